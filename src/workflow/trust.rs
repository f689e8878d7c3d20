//! Whose work may change anything: what `trust: untrusted` means for a task and all in it.
//!
//! It leaves out what is checked in the tree, and what untrusted workers may submit.

use serde::{Deserialize, Serialize};

use super::model::{Evidence, Item, Task, TaskKind, WorkspaceKind};

/// Whether what a task does may change anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Trust {
    /// It works in its tree, within what its evidence allows.
    #[default]
    Trusted,
    /// What it changes in its tree refutes it, what it answers is labelled, and so is what it submits.
    Untrusted,
}

impl Trust {
    /// Whether it is the usual one.
    #[must_use]
    pub fn is_trusted(&self) -> bool {
        *self == Self::Trusted
    }
}

impl Task {
    /// Makes it, and every body in it, one that may change nothing.
    ///
    /// # Errors
    /// Where its own evidence asks for a change: both could never hold.
    pub fn distrust(&mut self) -> Result<(), &'static str> {
        self.trust = Trust::Untrusted;
        match &mut self.kind {
            TaskKind::Loop(body) => body.each.distrust(),
            TaskKind::Map(map) => map.each.distrust(),
            TaskKind::Tournament(cup) => {
                cup.entrants.iter_mut().try_for_each(Self::distrust)?;
                cup.judge.distrust()
            }
            TaskKind::Approve(_) => Ok(()),
            TaskKind::Run(_)
            | TaskKind::Argv(_)
            | TaskKind::Worker(_)
            | TaskKind::Agent { .. }
            | TaskKind::Reduce(_) => self.show_unchanged(),
        }
    }

    /// One more item, before the conditions of a loop: those are judged by what the body left.
    fn show_unchanged(&mut self) -> Result<(), &'static str> {
        let asks_for_change = |item: &Item| matches!(item, Item::Diff { allow_none: false, .. });
        let items = self.evidence.items();
        if items.iter().any(asks_for_change) {
            return Err("an untrusted task changes nothing, and its `diff` asks for a change");
        }
        // Where there is no tree there is nothing of the repository's to change.
        if self.workspace == WorkspaceKind::None || items.contains(&Item::Unchanged) {
            return Ok(());
        }
        let mut items = items.to_vec();
        items.insert(self.required(), Item::Unchanged);
        self.evidence = Evidence::Items(items);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workflow::{Loop, Task};

    fn command() -> Task {
        Task::new("a", TaskKind::Run("true".to_owned()))
    }

    #[test]
    fn an_untrusted_task_must_show_that_its_tree_is_unchanged_once() {
        let mut task = command();
        task.distrust().unwrap();
        task.distrust().unwrap();
        assert_eq!(task.evidence.items(), [Item::Exit(0), Item::Unchanged]);
        let mut plain = Task { workspace: WorkspaceKind::None, ..command() };
        plain.distrust().unwrap();
        assert_eq!((plain.trust, plain.evidence.items()), (Trust::Untrusted, &[Item::Exit(0)][..]));
    }

    #[test]
    fn every_body_in_an_untrusted_task_is_untrusted_and_conditions_stay_last() {
        let each = Task { conditions: 1, ..command() };
        let mut task = Task::new("l", TaskKind::Loop(Box::new(Loop { max: 2, each })));
        task.distrust().unwrap();
        let TaskKind::Loop(body) = &task.kind else { panic!("a loop") };
        assert_eq!(body.each.trust, Trust::Untrusted);
        assert_eq!(body.each.evidence.items(), [Item::Unchanged, Item::Exit(0)]);
    }

    #[test]
    fn an_untrusted_task_that_must_change_something_is_refused() {
        let diff = Item::Diff { paths: Vec::new(), max_lines: None, clean: false, allow_none: false };
        let mut task = Task { evidence: Evidence::Items(vec![diff]), ..command() };
        assert!(task.distrust().unwrap_err().contains("`diff` asks for a change"));
    }
}
