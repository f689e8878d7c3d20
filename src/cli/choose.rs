//! Which session kind a run uses, and how many workers at once.
//!
//! A kind that somebody named is never replaced by another (law L15). Looking starts
//! no server and makes nothing. It leaves out opening the substrate.

use std::io::IsTerminal;

use super::ask::ask;
use super::error::CliError;
use crate::workflow::SessionKind;

/// The words of `--session`.
pub const SESSIONS: [&str; 3] = ["tmux", "subprocess", "slurm"];
/// The oldest tmux that can be used.
const OLDEST_TMUX: (u32, u32) = (3, 2);

/// What the choice depends on outside.
struct Around<'a> {
    terminal: bool,
    in_tmux: bool,
    preferred: Option<SessionKind>,
    tmux: &'a dyn Fn() -> Result<String, String>,
    slurm: &'a dyn Fn() -> Result<String, String>,
}

/// A choice, and who made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// What to use.
    pub kind: SessionKind,
    /// Why, without a full stop.
    pub why: String,
    /// tmux would have been used if it could be.
    pub fallback: bool,
}

impl Choice {
    /// The one line that a person is told where tmux would have been used but can't be.
    #[must_use]
    pub fn line(&self) -> Option<String> {
        self.fallback.then(|| format!("Workers run as plain processes: {}.", self.why))
    }
}

/// The kind that a word of [`SESSIONS`] names.
///
/// # Errors
/// `session_unavailable` for one that this version can't host.
pub fn named(word: &str) -> Result<SessionKind, CliError> {
    match word {
        "tmux" => Ok(SessionKind::Tmux),
        "subprocess" => Ok(SessionKind::Subprocess),
        "slurm" => Ok(SessionKind::Slurm),
        other => Err(unavailable(other, "this version has no such kind")
            .hint("Name `--session tmux`, `--session subprocess` or `--session slurm`.")),
    }
}

/// The kind to use.
///
/// # Errors
/// `session_unavailable` when a kind was named that can't be had.
pub fn session(flag: Option<SessionKind>, workflow: Option<SessionKind>) -> Result<Choice, CliError> {
    let around = Around {
        terminal: std::io::stdin().is_terminal()
            || std::io::stdout().is_terminal()
            || std::io::stderr().is_terminal(),
        // Asked for only where nobody named a kind: a broken file must not keep a run from
        // starting that doesn't need it.
        preferred: if flag.or(workflow).is_none() { super::settings::load()?.session } else { None },
        in_tmux: std::env::var_os("TMUX").is_some_and(|value| !value.is_empty()),
        tmux: &tmux_version,
        slurm: &slurm_version,
    };
    decide(flag, workflow, &around)
}

fn decide(
    flag: Option<SessionKind>,
    workflow: Option<SessionKind>,
    around: &Around<'_>,
) -> Result<Choice, CliError> {
    let choice = |kind, why: &str, fallback| Choice { kind, why: why.to_owned(), fallback };
    let named = flag
        .map(|kind| (kind, "named with `--session`"))
        .or_else(|| workflow.map(|kind| (kind, "named by the workflow")))
        .or_else(|| around.preferred.map(|kind| (kind, "named in the settings")));
    match named {
        Some((SessionKind::Subprocess, who)) => Ok(choice(SessionKind::Subprocess, who, false)),
        Some((SessionKind::Slurm, who)) => match (around.slurm)() {
            Ok(_) => Ok(choice(SessionKind::Slurm, who, false)),
            Err(why) => Err(unavailable("slurm", &format!("it is {who}, but {why}"))
                .hint("Run this where Slurm's commands are, or name `--session tmux`.")),
        },
        Some((SessionKind::Tmux, who)) => match (around.tmux)() {
            Ok(_) => Ok(choice(SessionKind::Tmux, who, false)),
            Err(why) => Err(unavailable("tmux", &format!("it is {who}, but {why}"))
                .hint("Install tmux 3.2 or newer, or name `--session subprocess`.")),
        },
        None if !around.terminal && !around.in_tmux => {
            Ok(choice(SessionKind::Subprocess, "there is no terminal, and `TMUX` isn't set", true))
        }
        None => match (around.tmux)() {
            Ok(_) if around.in_tmux => Ok(choice(SessionKind::Tmux, "`TMUX` is set", false)),
            Ok(_) => Ok(choice(SessionKind::Tmux, "there is a terminal", false)),
            Err(why) => Ok(choice(SessionKind::Subprocess, &why, true)),
        },
    }
}

fn unavailable(kind: &str, why: &str) -> CliError {
    CliError::new("session_unavailable", format!("use the session kind `{kind}`: {why}"))
}

/// The version of the `tmux` in `PATH`.
///
/// # Errors
/// A clause that says why it can't be used.
pub fn tmux_version() -> Result<String, String> {
    let answer = ask("tmux", &["-V"])?;
    let text = answer.text.lines().next().unwrap_or_default();
    let shown = text.escape_debug().to_string();
    match version(text.strip_prefix("tmux ").unwrap_or(text)) {
        Some(found) if answer.success && found >= OLDEST_TMUX => {
            Ok(shown.strip_prefix("tmux ").unwrap_or(&shown).to_owned())
        }
        Some(_) if answer.success => Err(format!("`{shown}` is older than tmux 3.2")),
        Some(_) | None => Err(format!("`tmux -V` says `{shown}`, which is no version that is known")),
    }
}

/// The version of Slurm's commands in `PATH`. The controller isn't asked.
///
/// # Errors
/// A clause that says why they can't be used.
pub fn slurm_version() -> Result<String, String> {
    let answer = ask("sbatch", &["--version"])?;
    let text = answer.text.lines().next().unwrap_or_default();
    match text.strip_prefix("slurm").map(|rest| rest.trim_start_matches(['-', 'w', 'l', 'm', ' '])) {
        Some(found) if answer.success => Ok(found.escape_debug().to_string()),
        Some(_) | None => Err(format!("`sbatch --version` says `{}`", text.escape_debug())),
    }
}

/// The first two numbers of `3.3a`, `next-3.7`, `2.47.3`.
#[must_use]
pub fn version(text: &str) -> Option<(u32, u32)> {
    let (major, rest) = text.strip_prefix("next-").unwrap_or(text).split_once('.')?;
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    Some((major.parse().ok()?, rest.get(..end)?.parse().ok()?))
}

/// Jobs in a cluster's queue at once where nobody said: the cores here say nothing of it, and
/// sites mind whoever fills their queue.
const JOBS: u32 = 20;

/// Live workers at once: `--workers`, then the workflow, else the cores but at least 2.
#[must_use]
pub fn workers(flag: Option<u32>, workflow: Option<u32>, session: SessionKind) -> u32 {
    let usual = || match session {
        SessionKind::Slurm => JOBS,
        SessionKind::Tmux | SessionKind::Subprocess => {
            u32::try_from(super::drive::cores()).unwrap_or(u32::MAX).max(2)
        }
    };
    flag.or(workflow).unwrap_or_else(usual)
}

#[cfg(test)]
mod tests {
    use super::*;
    use SessionKind::{Subprocess, Tmux};

    type Named = Option<SessionKind>;

    /// What is chosen as `kind: why`, or the error's text.
    fn chosen(named: (Named, Named), terminal: bool, in_tmux: bool, tmux: bool) -> String {
        let version = || if tmux { Ok("3.4".to_owned()) } else { Err("no tmux here".to_owned()) };
        let slurm = || Err("no sbatch here".to_owned());
        let around = Around { terminal, in_tmux, preferred: None, tmux: &version, slurm: &slurm };
        match decide(named.0, named.1, &around) {
            Ok(choice) => {
                let mark = if choice.fallback { "!" } else { "" };
                format!("{}{mark}: {}", choice.kind.word(), choice.why)
            }
            Err(error) => error.message,
        }
    }

    #[test]
    fn l15_a_named_session_that_cannot_be_had_is_an_error_and_never_another() {
        let (flag, file) = ((Some(Tmux), Some(Subprocess)), (None, Some(Tmux)));
        assert_eq!(
            chosen(flag, true, true, false),
            "use the session kind `tmux`: it is named with `--session`, but no tmux here"
        );
        assert_eq!(
            chosen(file, true, true, false),
            "use the session kind `tmux`: it is named by the workflow, but no tmux here"
        );
        assert_eq!(
            chosen((Some(SessionKind::Slurm), None), true, true, true),
            "use the session kind `slurm`: it is named with `--session`, but no sbatch here"
        );
        assert_eq!(named("pbs").unwrap_err().code, "session_unavailable");
    }

    #[test]
    fn the_command_line_goes_before_the_workflow_and_that_before_the_surroundings() {
        assert_eq!(
            chosen((Some(Subprocess), Some(Tmux)), true, true, true),
            "subprocess: named with `--session`"
        );
        assert_eq!(
            chosen((Some(Tmux), Some(Subprocess)), false, false, true),
            "tmux: named with `--session`"
        );
        assert_eq!(chosen((None, Some(Subprocess)), true, true, true), "subprocess: named by the workflow");
        assert_eq!(chosen((None, Some(Tmux)), false, false, true), "tmux: named by the workflow");
    }

    #[test]
    fn without_a_name_tmux_is_used_where_it_can_be_seen_else_the_reason_is_told() {
        assert_eq!(chosen((None, None), true, false, true), "tmux: there is a terminal");
        assert_eq!(chosen((None, None), false, true, true), "tmux: `TMUX` is set");
        assert_eq!(chosen((None, None), true, false, false), "subprocess!: no tmux here");
        assert_eq!(
            chosen((None, None), false, false, true),
            "subprocess!: there is no terminal, and `TMUX` isn't set"
        );
    }

    #[test]
    fn versions_are_read_leniently() {
        for (text, expected) in [
            ("3.2", (3, 2)),
            ("3.3a", (3, 3)),
            ("next-3.7", (3, 7)),
            ("2.47.3", (2, 47)),
            ("3.4-rc2", (3, 4)),
        ] {
            assert_eq!(version(text), Some(expected), "{text}");
        }
        for text in ["", "master", "openbsd-7.5", "3", "3.", ".2"] {
            assert_eq!(version(text), None, "{text}");
        }
    }

    #[test]
    fn the_workers_are_those_named_else_at_least_two() {
        assert_eq!(workers(Some(1), Some(4), Tmux), 1);
        assert_eq!(workers(None, Some(4), Tmux), 4);
        assert!(workers(None, None, Tmux) >= 2);
        assert_eq!(workers(None, None, SessionKind::Slurm), JOBS);
    }
}
