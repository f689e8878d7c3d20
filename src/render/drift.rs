//! What changed round the workers, in words: where, and while who was at work.
//!
//! Never who did it, which nobody can know: the user works in the same repository. It leaves
//! out looking.

use serde_json::{Value, json};

use super::words::{count, line, list};
use crate::engine::event::{Drift, DriftChange, Drifted};

/// Workers of a look that are named; the others are counted.
const WORKERS: usize = 5;

/// What a look found, for `up` and `events`: one line.
#[must_use]
pub fn told(drifted: &Drifted) -> String {
    let mut workers: Vec<String> =
        drifted.workers.iter().take(WORKERS).map(|worker| format!("`{}`", line(worker))).collect();
    let more = drifted.workers.len().saturating_sub(WORKERS);
    if more > 0 {
        workers.push(format!("{more} more"));
    }
    let (what, whom) = (words(&drifted.drift).join("; "), list(&workers));
    if drifted.drift.changes.is_empty() {
        return format!("{what} between the looks at dispatch and settlement of {whom}");
    }
    format!("changed between the looks at dispatch and settlement of {whom}, by whom isn't known: {what}")
}

/// One fragment for each kind of thing that changed, and one for what couldn't be looked at.
#[must_use]
pub fn words(drift: &Drift) -> Vec<String> {
    let unseen = drift.unseen.iter().map(|why| format!("it isn't known what changed in {}", line(why)));
    drift.changes.iter().map(change).chain(unseen).collect()
}

fn change(change: &DriftChange) -> String {
    let mut names: Vec<String> = change.names.iter().map(|name| line(name)).collect();
    if change.more > 0 {
        names.push(count(change.more, "more change"));
    }
    format!("{}: {}", place(&change.kind), names.join(", "))
}

/// The place of a kind of change; a newer program's kind stands for itself.
fn place(kind: &str) -> String {
    match kind {
        "files" => "files of the main checkout".to_owned(),
        "refs" => "references".to_owned(),
        "settings" => "shared files of the git dir".to_owned(),
        "worktrees" => "other worktrees".to_owned(),
        other => line(other),
    }
}

/// Lines for one attempt; none where nothing is to be told.
#[must_use]
pub fn text(worker: &str, drift: &Drift) -> String {
    if drift.is_empty() {
        return String::new();
    }
    let lines: String = words(drift).iter().map(|words| format!("  {words}\n")).collect();
    format!(
        "Changed between the looks at dispatch and settlement of `{worker}`, by whom isn't known:\n{lines}"
    )
}

/// The data for scripts.
#[must_use]
pub fn json(drift: &Drift) -> Value {
    json!({"changes": drift.changes, "unseen": drift.unseen})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drift() -> Drift {
        let change = |kind: &str, names: &[&str], more| DriftChange {
            kind: kind.into(),
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            more,
        };
        Drift {
            changes: vec![
                change("files", &["README", "src/\u{1b}[1mx"], 3),
                change("refs", &["refs/heads/main (1 to 2)"], 0),
            ],
            unseen: None,
        }
    }

    #[test]
    fn r5_drift_is_told_with_names_and_who_was_at_work_and_never_who_did_it() {
        let drifted = Drifted { workers: vec!["a.1".into(), "b.2".into()], drift: drift() };
        assert_eq!(
            told(&drifted),
            "changed between the looks at dispatch and settlement of `a.1` and `b.2`, by whom isn't known: \
             files of the main checkout: README, src/\\u{1b}[1mx, 3 more changes; \
             references: refs/heads/main (1 to 2)"
        );
        assert_eq!(text("a.1", &Drift::default()), "");
        assert!(text("a.1", &drift()).ends_with("\n  references: refs/heads/main (1 to 2)\n"));
        assert_eq!(json(&drift())["changes"][0]["more"], 3);
    }

    #[test]
    fn l9_what_nobody_looked_at_is_said_to_be_unknown() {
        let drift = Drift { unseen: Some("the main checkout: too large".into()), ..Drift::default() };
        let workers = (1..=7).map(|n| format!("a.{n}")).collect();
        assert_eq!(
            told(&Drifted { workers, drift }),
            "it isn't known what changed in the main checkout: too large between the looks at dispatch and settlement of \
             `a.1`, `a.2`, `a.3`, `a.4`, `a.5` and 2 more"
        );
    }
}
