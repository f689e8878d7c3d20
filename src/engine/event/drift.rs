//! What is journaled of changes in places where no worker has any business (law R5).
//!
//! Nobody can know who made them: the user works in the same repository. So a change is told
//! of with those that were at work meanwhile, and refutes nothing. It leaves out looking.

use serde::{Deserialize, Serialize};

/// Most names of one kind that are kept for one worker; the others are counted.
const NAMES_MAX: usize = 20;

/// What a look found that the look before it didn't.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drifted {
    /// Who was at work between the two looks, as `<task>.<attempt>`.
    pub workers: Vec<String>,
    /// What changed between them.
    #[serde(flatten)]
    pub drift: Drift,
}

/// What changed round a worker while it was at work.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drift {
    /// One for each kind of thing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<DriftChange>,
    /// What couldn't be looked at, and why: of that nothing is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unseen: Option<String>,
}

/// What of one kind changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DriftChange {
    /// `files`, `refs`, `settings`, `worktrees`.
    pub kind: String,
    /// Paths in the main checkout; references; files of the git dir; worktrees.
    pub names: Vec<String>,
    /// How many more than these.
    #[serde(default)]
    pub more: usize,
}

impl Drift {
    /// Whether there is nothing to tell.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.unseen.is_none()
    }

    /// Takes what a later look found: each name once, and no more of them than are shown.
    pub fn take(&mut self, later: &Self) {
        if self.unseen.is_none() {
            self.unseen.clone_from(&later.unseen);
        }
        for change in &later.changes {
            let known = self.changes.iter_mut().find(|known| known.kind == change.kind);
            let Some(known) = known else {
                self.changes.push(change.clone());
                continue;
            };
            known.more = known.more.saturating_add(change.more);
            for name in change.names.iter().filter(|name| !known.names.contains(name)).collect::<Vec<_>>() {
                if known.names.len() < NAMES_MAX {
                    known.names.push(name.clone());
                } else {
                    known.more = known.more.saturating_add(1);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drift(names: &[&str], more: usize) -> Drift {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        Drift { changes: vec![DriftChange { kind: "files".into(), names, more }], unseen: None }
    }

    #[test]
    fn r5_a_name_that_changes_again_is_told_once_and_many_are_counted() {
        let mut found = drift(&["a", "b"], 1);
        found.take(&drift(&["b", "c"], 2));
        assert_eq!(found, drift(&["a", "b", "c"], 3));
        let many: Vec<String> = (0..30).map(|n| format!("n{n}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        found.take(&drift(&many, 0));
        assert_eq!((found.changes[0].names.len(), found.changes[0].more), (NAMES_MAX, 3 + 13));
    }

    #[test]
    fn r5_what_was_once_unseen_stays_said() {
        let mut found = Drift { unseen: Some("too large".into()), ..Drift::default() };
        found.take(&drift(&["a"], 0));
        assert_eq!(found.unseen.as_deref(), Some("too large"));
        assert!(!found.is_empty() && Drift::default().is_empty());
    }
}
