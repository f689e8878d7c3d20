//! Who chooses whether a task goes on: the branches of all classifiers, found before any task is read.
//!
//! It only follows what is well formed. What isn't is named where the
//! classifier itself is read, in the sibling `kinds`.

use std::collections::HashMap;

use super::fields::Entry;
use super::place::Path;
use super::tree::{Node, Span, Value};

/// By the id of the task that stands in a branch: each classifier once, in the order of the file.
pub(super) type Branches<'n> = HashMap<&'n str, Vec<Branch<'n>>>;

/// Where a task stands in a branch.
pub(super) struct Branch<'n> {
    /// The classifier.
    pub(super) by: &'n str,
    label: &'n str,
    index: usize,
    pub(super) span: Span,
}

impl Branch<'_> {
    /// As messages show it.
    pub(super) fn path(&self) -> String {
        let (tasks, kind) = (Path::ROOT.key("tasks"), "classify");
        let task = tasks.key(self.by);
        let kind = task.key(kind);
        let branches = kind.key("branches");
        let label = branches.key(self.label);
        label.index(self.index).to_string()
    }
}

/// Finds them all.
pub(super) fn of<'n>(entries: &[Entry<'n, '_>]) -> Branches<'n> {
    let mut found = Branches::new();
    for entry in entries {
        let Some(labels) = value(entry.value, "classify").and_then(|body| value(body, "branches")) else {
            continue;
        };
        let Value::Map(labels) = &labels.value else { continue };
        for (label, tasks) in labels.iter() {
            let (Value::Scalar { text: label, .. }, Value::List(tasks)) = (&label.value, &tasks.value) else {
                continue;
            };
            for (index, task) in tasks.iter().enumerate() {
                let Value::Scalar { text: id, .. } = &task.value else { continue };
                // Nobody can wait for a choice that is theirs; that is an error, said elsewhere.
                if id.as_ref() == entry.name {
                    continue;
                }
                let known = found.entry(id.as_ref()).or_default();
                if known.last().is_none_or(|last| last.by != entry.name) {
                    known.push(Branch { by: entry.name, label, index, span: task.span });
                }
            }
        }
    }
    found
}

/// The value of a key, whatever else is wrong with the mapping.
fn value<'n, 's>(node: &'n Node<'s>, name: &str) -> Option<&'n Node<'s>> {
    let Value::Map(pairs) = &node.value else { return None };
    let is_it = |key: &Node<'_>| matches!(&key.value, Value::Scalar { text, .. } if text == name);
    pairs.iter().find(|(key, _)| is_it(key)).map(|(_, value)| value)
}
