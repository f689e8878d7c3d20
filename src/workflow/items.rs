//! Reads what a task must show: the list of evidence items, or why there is none.

use super::error::Sink;
use super::fields::{Field, Fields};
use super::keys::{self, CONDITIONS, ITEMS, Table};
use super::model::{Evidence, Item, WorkspaceKind};
use super::place::Path;
use super::scalar;
use super::take::found;
use super::tree::{Node, Span, Value};

/// Items of one task: each costs a check at every attempt.
const MAX_ITEMS: usize = 1000;

/// What surrounds the evidence of a task.
pub(super) struct Surroundings {
    /// Where the task's key stands.
    pub(super) task: Span,
    /// An agent's word is no proof, so that it must declare evidence.
    pub(super) is_agent: bool,
    /// Where nothing is tracked, no change can be shown.
    pub(super) workspace: WorkspaceKind,
    /// Who else judges it.
    pub(super) rule: Rule,
}

/// What a body's evidence is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    /// It judges the task, alone.
    Whole,
    /// What it answers is judged besides: a label, a winner.
    Answer,
    /// What it leaves is judged besides, by the conditions of a loop.
    Iteration,
    /// A piece of a body that is put together from two: what it lacks may stand in the other.
    Part,
}

/// Which keys an item has.
pub(super) struct Form {
    pub(super) table: &'static Table,
    pub(super) kinds: &'static [&'static str],
}

const EVIDENCE: Form = Form { table: &keys::ITEM, kinds: ITEMS };
const CONDITION: Form = Form { table: &keys::CONDITION, kinds: CONDITIONS };

impl Sink<'_> {
    /// `evidence` and `reason` of a task.
    pub(super) fn evidence(
        &mut self,
        at: &Path<'_>,
        body: &Fields<'_, '_>,
        around: &Surroundings,
    ) -> Evidence {
        let reason = body.get("reason");
        let Some(field) = body.get("evidence") else {
            self.stray_reason(at, reason, around.rule);
            return self.no_evidence(at, around);
        };
        let here = at.key("evidence");
        match &field.value.value {
            Value::Scalar { text, .. } if text == "waived" => self.waived(at, (field, reason), around.rule),
            Value::List(nodes) => {
                self.stray_reason(at, reason, around.rule);
                // Vacuously true evidence is none.
                if nodes.is_empty() {
                    let help = "name an item, leave the key out, or write `evidence: waived` with a `reason`";
                    self.error_with(&here, field.value.span, "an empty list shows nothing", help);
                }
                let mut items = Vec::with_capacity(nodes.len());
                self.items(&here, field.value.span, (nodes, &EVIDENCE, around.workspace), &mut items);
                Evidence::Items(items)
            }
            Value::Scalar { .. } | Value::Map(_) => {
                self.stray_reason(at, reason, around.rule);
                let message =
                    format!("{}: a list of items, or the word `waived`, is allowed here", found(field.value));
                let near = match &field.value.value {
                    Value::Scalar { text, .. } => scalar::nearest(text, ["waived"]),
                    Value::List(_) | Value::Map(_) => None,
                };
                let help =
                    near.map_or("as in [ { exit: 0 }, { artifact: out.txt } ]", |_| "did you mean `waived`?");
                self.error_with(&here, field.value.span, message, help);
                Evidence::Items(Vec::new())
            }
        }
    }

    /// What stands where none is declared.
    fn no_evidence(&mut self, at: &Path<'_>, around: &Surroundings) -> Evidence {
        let exit = match around.rule {
            Rule::Whole => {
                if around.is_agent {
                    let help = "declare what it must show, or write `evidence: waived` with a `reason`";
                    self.error_with(at, around.task, "an agent task needs evidence", help);
                }
                // A command's own exit is what it can show without being asked.
                true
            }
            Rule::Answer => !around.is_agent,
            Rule::Iteration | Rule::Part => false,
        };
        Evidence::Items(if exit { vec![Item::Exit(0)] } else { Vec::new() })
    }

    /// `until`: one condition or a list of them, after what the body declares itself. Returns how many.
    pub(super) fn conditions(
        &mut self,
        at: &Path<'_>,
        node: &Node<'_>,
        workspace: WorkspaceKind,
        items: &mut Vec<Item>,
    ) -> usize {
        let before = items.len();
        if let Value::List(nodes) = &node.value {
            if nodes.is_empty() {
                let help = "name at least one, as in `until: { exit: 0 }`";
                self.error_with(at, node.span, "without a condition the loop would never be done", help);
            }
            self.items(at, node.span, (nodes, &CONDITION, workspace), items);
        } else if let Some(item) = self.item(at, node, &CONDITION) {
            self.beside(at, node, (&item, workspace), items);
            items.push(item);
        }
        items.len() - before
    }

    /// No evidence, for a reason that people will read in the record.
    fn waived(
        &mut self,
        at: &Path<'_>,
        (field, reason): (Field<'_, '_>, Option<Field<'_, '_>>),
        rule: Rule,
    ) -> Evidence {
        if matches!(rule, Rule::Answer | Rule::Iteration) {
            let judged = if rule == Rule::Answer { "its answer is" } else { "`until` is" };
            let message = format!("nothing is waived here: {judged} judged all the same");
            let help = "leave `evidence` out, and `reason` with it";
            self.error_with(&at.key("evidence"), field.span, message, help);
            return Evidence::Items(Vec::new());
        }
        let Some(reason) = reason else {
            if rule == Rule::Part {
                return Evidence::Waived(String::new());
            }
            let help = "write `reason:` beside it; it is journaled and shown";
            self.error_with(&at.key("evidence"), field.span, "evidence is waived without a reason", help);
            return Evidence::Waived(String::new());
        };
        let text = self.filled(&at.key("reason"), reason.value).unwrap_or_default();
        Evidence::Waived(text.to_owned())
    }

    /// A reason without a waiver would look like one in a review, and do nothing.
    fn stray_reason(&mut self, at: &Path<'_>, reason: Option<Field<'_, '_>>, rule: Rule) {
        if let Some(reason) = reason
            && rule != Rule::Part
        {
            let message = "a reason only goes with `evidence: waived`";
            self.error_with(&at.key("reason"), reason.span, message, "remove it, or write it as a comment");
        }
    }

    /// The declared items, behind those that are there. Rules between items are checked here,
    /// rules within one in `item`.
    fn items(
        &mut self,
        at: &Path<'_>,
        span: Span,
        (nodes, form, workspace): (&[Node<'_>], &Form, WorkspaceKind),
        items: &mut Vec<Item>,
    ) {
        // Aliases make a long list cheap to write.
        if nodes.len() > MAX_ITEMS {
            self.error(at, span, format!("more than {MAX_ITEMS} items"));
            return;
        }
        for (index, node) in nodes.iter().enumerate() {
            let at = at.index(index);
            let Some(item) = self.item(&at, node, form) else { continue };
            self.beside(&at, node, (&item, workspace), items);
            items.push(item);
        }
    }

    /// Whether an item may stand beside those before it.
    fn beside(
        &mut self,
        at: &Path<'_>,
        node: &Node<'_>,
        (item, workspace): (&Item, WorkspaceKind),
        items: &[Item],
    ) {
        match item {
            Item::Diff { .. } if workspace == WorkspaceKind::None => {
                let help = "leave `workspace` out, or show something else";
                self.error_with(at, node.span, "without a worktree there is no diff", help);
            }
            // Two codes can't both be met, so that the task could never complete.
            Item::Exit(_) if items.iter().any(|item| matches!(item, Item::Exit(_))) => {
                self.error(at, node.span, "a second `exit`: a child ends with one code");
            }
            // `approve TASK` names no item.
            Item::Approval { .. } if items.iter().any(|item| matches!(item, Item::Approval { .. })) => {
                self.error(at, node.span, "a second `approval`: a person is asked once");
            }
            Item::Exit(_)
            | Item::Command { .. }
            | Item::Diff { .. }
            | Item::Artifact { .. }
            | Item::Log { .. }
            | Item::Review { .. }
            | Item::Approval { .. }
            | Item::Output { .. }
            | Item::Choice { .. }
            | Item::Views
            | Item::Unchanged
            | Item::Reduced
            | Item::Children => {}
        }
    }
}
