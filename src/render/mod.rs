//! Views as text and JSON: pure, for every reader alike.
//!
//! It leaves out where a view comes from and where the text goes.

pub mod bar;
pub mod cases;
pub mod close;
pub mod control;
pub mod drift;
pub mod events;
pub mod evidence;
pub mod fit;
pub mod graph;
pub mod json;
pub mod junit;
pub mod live;
pub mod log;
pub mod metrics;
pub mod otel;
pub mod page;
pub mod recheck;
pub mod runs;
pub mod schema;
pub mod statement;
pub mod status;
pub mod table;
pub mod why;
pub mod words;
pub mod workers;
pub mod wrap;

#[cfg(test)]
pub(crate) mod sample;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::engine::close::Close;
use crate::engine::view::WorkerView;

/// What readers show that no view holds: from mail, from the home's layout.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Beside {
    /// The time of each worker's last heartbeat, as it wrote it, RFC 3339.
    pub beats: BTreeMap<String, String>,
    /// The folder that holds the folders of workers without a worktree.
    pub scratch: Option<PathBuf>,
    /// The workers whose worktree is gone, and what to type to have it back; nothing where
    /// nothing keeps it.
    pub gone: BTreeMap<String, Vec<String>>,
    /// The close verdicts, where they were asked for.
    pub closes: BTreeMap<String, Close>,
    /// Where a cluster runs a worker, or ran it, as far as it has begun.
    pub hosts: BTreeMap<String, Host>,
}

/// A worker's place on a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// The node.
    pub node: String,
    /// The folder with the files of its job.
    pub folder: PathBuf,
}

impl Beside {
    /// Where a worker's files are; `None` until they were made.
    fn tree(&self, worker: &WorkerView) -> Option<String> {
        match (&worker.workspace, &worker.session, &self.scratch) {
            (Some(place), _, _) => place.fields.get("path").cloned(),
            (None, Some(_), Some(scratch)) => Some(shown(&scratch.join(&worker.id))),
            (None, Some(_), None) | (None, None, _) => None,
        }
    }

    /// Why a worker is where it is, as `code: detail`; first, that its worktree is gone.
    fn reason(&self, worker: &WorkerView) -> String {
        if !self.gone.contains_key(&worker.id) {
            return words::worker_reason(worker);
        }
        // What follows from the state alone says that the tree is kept.
        let before = match worker.reason.as_str() {
            "" => String::new(),
            reason => format!("; before: {}", words::reason(reason)),
        };
        format!("tree_gone: its worktree isn't there any more{before}")
    }

    /// The milliseconds since 1970 of a worker's last heartbeat.
    fn beat_ms(&self, worker: &str) -> Option<i64> {
        self.beats.get(worker).and_then(|at| words::parse_time(at))
    }
}

/// What to type to have a worktree back, indented; that nothing keeps it, where nothing does.
#[must_use]
pub fn restore(worker: &str, commands: &[String]) -> String {
    if commands.is_empty() {
        return format!("The worktree of `{worker}` is gone, and no snapshot keeps what it held.\n");
    }
    let lines: String = commands.iter().map(|command| format!("  {}\n", clean(command))).collect();
    format!("The worktree of `{worker}` is gone. To have it back, untracked files too:\n{lines}")
}

/// The branch of a worker's tree.
fn branch(worker: &WorkerView) -> Option<&str> {
    worker.workspace.as_ref()?.fields.get("branch").map(String::as_str)
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// Whether a character steers a terminal, or hides or reorders what stands beside it.
fn is_raw(c: char) -> bool {
    (c.is_control() && c != '\n' && c != '\t')
        || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
        // Letters that no font draws, and the tags that spell out words nobody sees.
        || matches!(c, '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{180e}' | '\u{3164}' | '\u{ffa0}')
        || ('\u{e0000}'..='\u{e007f}').contains(&c)
}

/// Makes control characters visible: nothing that a worker wrote reaches a terminal raw (S8).
/// Newline and tab stay.
#[must_use]
pub fn clean(text: &str) -> String {
    if !text.chars().any(is_raw) {
        return text.to_owned();
    }
    text.chars().fold(String::with_capacity(text.len() + 16), |mut out, c| {
        if is_raw(c) {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
        out
    })
}

/// The same for what another machine's ilchul says: its colours pass, and nothing else does.
#[must_use]
pub fn clean_but_colour(text: &str) -> String {
    let colour = |rest: &str| {
        let codes = rest.strip_prefix('[')?;
        let end = codes.find(|c: char| !c.is_ascii_digit() && c != ';')?;
        codes[end..].starts_with('m').then_some(end + 2)
    };
    let mut pieces = text.split('\u{1b}');
    let mut out = clean(pieces.next().unwrap_or_default());
    for piece in pieces {
        let passes = colour(piece).unwrap_or(0);
        out.push_str(if passes > 0 { "\u{1b}" } else { "\\u{1b}" });
        out.push_str(&piece[..passes]);
        out.push_str(&clean(&piece[passes..]));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s8_of_another_machine_only_colours_pass() {
        let check = |text: &str, expected: &str| assert_eq!(clean_but_colour(text), expected);
        check("a \u{1b}[1;31mred\u{1b}[0m b\n", "a \u{1b}[1;31mred\u{1b}[0m b\n");
        check("\u{1b}]0;t\u{7}\u{1b}[2J\u{1b}", "\\u{1b}]0;t\\u{7}\\u{1b}[2J\\u{1b}");
        check("\u{1b}[31\u{1b}[m\u{202e}", "\\u{1b}[31\u{1b}[m\\u{202e}");
    }

    #[test]
    fn s8_nothing_that_steers_a_terminal_passes() {
        assert_eq!(clean("plain\ttext\n"), "plain\ttext\n");
        assert_eq!(clean("\u{1b}]0;title\u{7}"), "\\u{1b}]0;title\\u{7}");
        assert_eq!(clean("\u{202e}txt.exe\u{9b}2J"), "\\u{202e}txt.exe\\u{9b}2J");
        assert_eq!(clean("a\r\u{8}\u{feff}"), "a\\u{d}\\u{8}\\u{feff}");
        assert_eq!(clean("a\u{e0041}\u{180e}b"), "a\\u{e0041}\\u{180e}b");
        let all: String = (0..0x3000).filter_map(char::from_u32).collect();
        let left = clean(&all);
        assert!(left.chars().all(|c| !c.is_control() || c == '\n' || c == '\t'));
    }
}
