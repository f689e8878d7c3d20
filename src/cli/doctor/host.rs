//! What the machine has: git, tmux, watches.
//!
//! Programs are asked with a deadline, because a hung server is one of the things to find.
//! Nothing is started: asking tmux for its sessions starts no server.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use ilchul_tmux_session::{Server, TmuxSession};

use super::Finding;
use crate::cli::ask::ask;
use crate::cli::choose::{self, version};
use crate::cli::error::words;
use crate::workflow::Workflow;

/// The oldest git that can be used.
const OLDEST_GIT: (u32, u32) = (2, 31);
/// Watches and instances that one run should have left.
const SPARE: (u64, u64) = (1_000, 8);
/// Processes whose open files are counted at most.
const MAX_PROCESSES: usize = 50_000;

/// The `git` in `PATH`.
pub(super) fn git() -> Finding {
    let advice = "Install git 2.30 or newer.";
    match ask("git", &["--version"]) {
        Err(why) => Finding::fail("git", why, advice),
        Ok(answer) => {
            let text = answer.text.lines().next().unwrap_or_default();
            let shown = text.strip_prefix("git version ").unwrap_or(text);
            match version(shown) {
                Some(found) if answer.success && found >= OLDEST_GIT => Finding::ok("git", shown),
                Some(_) if answer.success => {
                    Finding::fail("git", format!("{shown} is older than 2.30"), advice)
                }
                Some(_) | None => Finding::fail("git", format!("`git --version` says `{shown}`"), advice),
            }
        }
    }
}

/// What the named kind of session needs; tmux is only wanted where none is named.
pub(super) fn session(named: Option<&str>, workflow: Option<&Workflow>) -> Vec<Finding> {
    match named {
        None => tmux(Finding::warn),
        Some("tmux") => tmux(Finding::fail),
        Some("subprocess") => vec![Finding::ok("sessions", "`subprocess` needs nothing")],
        Some("slurm") => super::slurm::all(workflow),
        Some(other) => vec![Finding::fail(
            "sessions",
            format!("this version has no kind `{other}`"),
            "Name `tmux`, `subprocess` or `slurm`.",
        )],
    }
}

/// The program and the server; `missing` says how bad it is where they can't be had.
fn tmux(missing: fn(&'static str, String, &'static str) -> Finding) -> Vec<Finding> {
    let without = "Install tmux 3.2 or newer; without it workers run as plain processes.";
    let found = match choose::tmux_version() {
        Ok(found) => found,
        Err(why) => return vec![missing("tmux", why, without)],
    };
    let mut findings = vec![Finding::ok("tmux", found)];
    // The substrate's own opening, so that what it refuses is found here and not by `up`.
    findings.push(match TmuxSession::open(&Server::from_env(), "ilchul-doctor", "doctor", Duration::ZERO) {
        Err(error) => missing("tmux server", words(&error), "Look at the socket, `TMUX` and `TMUX_TMPDIR`."),
        Ok(session) => {
            let socket = session.socket().to_string_lossy().into_owned();
            let told = format!("`tmux -S {socket} list-sessions`");
            match ask("tmux", &["-S", &socket, "list-sessions"]) {
                Ok(answer) if answer.success => {
                    Finding::ok("tmux server", format!("it answers at `{socket}`"))
                }
                Ok(answer) if is_absent(&answer.text) => Finding::ok(
                    "tmux server",
                    format!("none at `{socket}`; one is started when it is needed"),
                ),
                Ok(answer) => {
                    missing("tmux server", format!("{told} says `{}`", answer.text), "Look at the server.")
                }
                Err(why) => missing("tmux server", why, "Look at the server; it may hang."),
            }
        }
    });
    findings
}

/// What tmux says where nobody listens.
fn is_absent(text: &str) -> bool {
    text.contains("no server running") || text.contains("No such file or directory")
}

/// The limits on watches, and how much of them our user's processes use.
pub(super) fn inotify() -> Vec<Finding> {
    let limit = |name: &str| -> Option<u64> {
        fs::read_to_string(format!("/proc/sys/fs/inotify/{name}")).ok()?.trim().parse().ok()
    };
    let (Some(watches), Some(instances)) = (limit("max_user_watches"), limit("max_user_instances")) else {
        return vec![Finding::warn(
            "inotify",
            "its limits can't be read in `/proc/sys/fs/inotify`",
            "Without watches ilchul looks at mail every few moments, and says so.",
        )];
    };
    let used = used();
    vec![
        level("inotify watches", ("max_user_watches", watches), used.0, SPARE.0),
        level("inotify instances", ("max_user_instances", instances), used.1, SPARE.1),
    ]
}

/// A limit is a warning before it is reached: a run that starts needs some of it at once.
fn level(what: &'static str, (name, limit): (&str, u64), used: u64, spare: u64) -> Finding {
    let found = format!("{used} of {limit} used");
    if limit.saturating_sub(used) >= spare {
        return Finding::ok(what, found);
    }
    let advice = format!(
        "Raise the limit with `sysctl fs.inotify.{name}={}`; until then mail may be looked at by polling.",
        limit.saturating_mul(2).max(spare * 4)
    );
    Finding::warn(what, found, advice)
}

/// Watches and instances of our user's processes, as far as we may look.
fn used() -> (u64, u64) {
    // The limits count per user, so others' processes are of no concern.
    let user = nix::unistd::getuid().as_raw();
    let (mut watches, mut instances) = (0, 0);
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten().take(MAX_PROCESSES);
    for process in processes.filter(|entry| entry.metadata().is_ok_and(|found| found.uid() == user)) {
        // Not a process, gone by now, or not ours to look into: it counts nothing.
        for file in fs::read_dir(process.path().join("fd")).into_iter().flatten().flatten() {
            let is_inotify =
                fs::read_link(file.path()).is_ok_and(|link| link.as_os_str() == "anon_inode:inotify");
            if is_inotify {
                instances += 1;
                let info = process.path().join("fdinfo").join(file.file_name());
                let lines = fs::read_to_string(info).unwrap_or_default();
                watches += lines.lines().filter(|line| line.starts_with("inotify ")).count() as u64;
            }
        }
    }
    (watches, instances)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::Level;

    #[test]
    fn a_limit_that_is_nearly_reached_is_a_warning_that_names_a_larger_one() {
        assert_eq!(level("w", ("n", 128), 120, 8), Finding::ok("w", "120 of 128 used"));
        let near = level("w", ("max_user_instances", 128), 121, 8);
        assert_eq!(near.level, Level::Warn);
        assert!(near.advice.contains("`sysctl fs.inotify.max_user_instances=256`"), "{}", near.advice);
        assert_eq!(level("w", ("n", 0), 5, 8).level, Level::Warn);
    }

    #[test]
    fn our_own_watches_are_counted() {
        use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
        let before = used();
        let inotify = Inotify::init(InitFlags::empty()).unwrap();
        inotify.add_watch("/", AddWatchFlags::IN_CREATE).unwrap();
        inotify.add_watch("/proc", AddWatchFlags::IN_CREATE).unwrap();
        // Other tests may open and close theirs meanwhile, so only a floor is certain.
        let mine = used();
        assert!(mine.0 >= 2 && mine.1 >= 1, "{before:?} then {mine:?}");
    }

    #[test]
    fn a_server_that_is_not_there_is_told_from_one_that_refuses() {
        assert!(is_absent("no server running on /tmp/tmux-0/default"));
        assert!(is_absent("error connecting to /tmp/x (No such file or directory)"));
        assert!(!is_absent("error connecting to /tmp/x (Permission denied)"));
    }
}
