//! Reads what a task must show: the list of evidence items, or why there is none.

use std::time::Duration;

use super::error::Sink;
use super::fields::{Field, Fields};
use super::keys::{self, ITEMS};
use super::model::{Evidence, Item, LogSource, WorkspaceKind};
use super::place::{Path, quote};
use super::scalar;
use super::take::{any_of, found};
use super::tree::{Node, Span, Value};

/// How long a `command` may take that names no time of its own. Source: contract 3.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(10 * 60);
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
}

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
            self.stray_reason(at, reason);
            if around.is_agent {
                let help = "declare what it must show, or write `evidence: waived` with a `reason`";
                self.error_with(at, around.task, "an agent task needs evidence", help);
            }
            // A command's own exit is what it can show without being asked.
            return Evidence::Items(vec![Item::Exit(0)]);
        };
        let here = at.key("evidence");
        match &field.value.value {
            Value::Scalar { text, .. } if text == "waived" => self.waived(at, field, reason),
            Value::List(items) => {
                self.stray_reason(at, reason);
                self.items(&here, field, items, around.workspace)
            }
            Value::Scalar { .. } | Value::Map(_) => {
                self.stray_reason(at, reason);
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

    /// No evidence, for a reason that people will read in the record.
    fn waived(&mut self, at: &Path<'_>, field: Field<'_, '_>, reason: Option<Field<'_, '_>>) -> Evidence {
        let Some(reason) = reason else {
            let help = "write `reason:` beside it; it is journaled and shown";
            self.error_with(&at.key("evidence"), field.span, "evidence is waived without a reason", help);
            return Evidence::Waived(String::new());
        };
        let text = self.filled(&at.key("reason"), reason.value).unwrap_or_default();
        Evidence::Waived(text.to_owned())
    }

    /// A reason without a waiver would look like one in a review, and do nothing.
    fn stray_reason(&mut self, at: &Path<'_>, reason: Option<Field<'_, '_>>) {
        if let Some(reason) = reason {
            let message = "a reason only goes with `evidence: waived`";
            self.error_with(&at.key("reason"), reason.span, message, "remove it, or write it as a comment");
        }
    }

    /// The declared items. Rules between items are checked here, rules within one in `item`.
    fn items(
        &mut self,
        at: &Path<'_>,
        field: Field<'_, '_>,
        nodes: &[Node<'_>],
        workspace: WorkspaceKind,
    ) -> Evidence {
        // Vacuously true evidence is none.
        if nodes.is_empty() {
            let help = "name an item, leave the key out, or write `evidence: waived` with a `reason`";
            self.error_with(at, field.value.span, "an empty list shows nothing", help);
        }
        // Aliases make a long list cheap to write.
        if nodes.len() > MAX_ITEMS {
            self.error(at, field.value.span, format!("more than {MAX_ITEMS} items"));
            return Evidence::Items(Vec::new());
        }
        let mut items: Vec<Item> = Vec::with_capacity(nodes.len());
        for (index, node) in nodes.iter().enumerate() {
            let at = at.index(index);
            let Some(item) = self.item(&at, node) else { continue };
            match &item {
                Item::Diff { .. } if workspace == WorkspaceKind::None => {
                    let help = "leave `workspace` out, or show something else";
                    self.error_with(&at, node.span, "without a worktree there is no diff", help);
                }
                // Two codes can't both be met, so that the task could never complete.
                Item::Exit(_) if items.iter().any(|item| matches!(item, Item::Exit(_))) => {
                    self.error(&at, node.span, "a second `exit`: a child ends with one code");
                }
                // `approve TASK` names no item.
                Item::Approval { .. } if items.iter().any(|item| matches!(item, Item::Approval { .. })) => {
                    self.error(&at, node.span, "a second `approval`: a person is asked once");
                }
                Item::Exit(_)
                | Item::Command { .. }
                | Item::Diff { .. }
                | Item::Artifact { .. }
                | Item::Log { .. }
                | Item::Review { .. }
                | Item::Approval { .. } => {}
            }
            items.push(item);
        }
        Evidence::Items(items)
    }

    /// One item: exactly one kind, and only the keys that go with it.
    fn item(&mut self, at: &Path<'_>, node: &Node<'_>) -> Option<Item> {
        let body = self.fields(at, node, &keys::ITEM)?;
        let kinds = body.among(ITEMS);
        let Some(kind) = kinds.first().copied() else {
            if !body.stands_for(ITEMS, &keys::ITEM) {
                let start = Span::new(node.span.start(), 1);
                self.error(at, start, format!("an item has one of {}", any_of(ITEMS)));
            }
            return None;
        };
        // At the second, because the first is what the item most likely is.
        for second in kinds.iter().skip(1) {
            let message = format!("a second kind of evidence beside `{}`", kind.key.name);
            self.error_with(&at.key(second.key.name), second.span, message, "make it an item of its own");
        }
        // Silently unused, a pattern would look like a check.
        if kind.key.name != "command" {
            for stray in body.among(&["match", "timeout"]) {
                let message = format!("`{}` only goes with `command`", stray.key.name);
                self.error(&at.key(stray.key.name), stray.span, message);
            }
        }
        let here = at.key(kind.key.name);
        match kind.key.name {
            "exit" => self.count(at, kind).and_then(|code| i32::try_from(code).ok()).map(Item::Exit),
            "command" => self.command(at, kind, &body),
            "diff" => self.diff(&here, kind.value),
            "artifact" => self.file(&here, kind.value).map(|path| Item::Artifact { path }),
            "log" => self.log(&here, kind.value),
            "review" => self.slug(&here, kind.value).map(|task| Item::Review { task: task.to_owned() }),
            "approval" => {
                let field = self.fields(&here, kind.value, &keys::APPROVAL)?.get("message")?;
                let message = self.filled(&here.key("message"), field.value)?;
                Some(Item::Approval { message: message.to_owned() })
            }
            // `among` returns no other name.
            _ => None,
        }
    }

    /// A command that ilchul runs itself. An empty one would succeed and show nothing.
    fn command(&mut self, at: &Path<'_>, kind: Field<'_, '_>, body: &Fields<'_, '_>) -> Option<Item> {
        let command = self.filled(&at.key("command"), kind.value).map(str::to_owned);
        let mut matches = None;
        if let Some(field) = body.get("match") {
            matches = self.regex(&at.key("match"), field.value);
        }
        let timeout =
            body.get("timeout").and_then(|field| self.duration(at, field)).unwrap_or(COMMAND_TIMEOUT);
        Some(Item::Command { command: command?, matches, timeout })
    }

    /// The path of a file inside the tree.
    fn file(&mut self, at: &Path<'_>, node: &Node<'_>) -> Option<String> {
        let path = self.text(at, node)?;
        if let Err(fault) = scalar::inside_tree(path) {
            self.fault(at, node, fault);
        } else if path.ends_with('/') || path.chars().any(char::is_control) {
            let message = format!("{}: the path of a file is allowed here", quote(path));
            self.error(at, node.span, message);
        }
        Some(path.to_owned())
    }

    /// A regular expression, as written.
    fn regex(&mut self, at: &Path<'_>, node: &Node<'_>) -> Option<String> {
        let pattern = self.text(at, node)?;
        if let Err(error) = self.pattern(pattern) {
            // The last line says what is wrong; the picture before it repeats the pattern.
            let said = error.to_string();
            let said = said.lines().last().unwrap_or_default().trim_start_matches("error: ");
            let message = format!("{}: this isn't a regular expression: {said}", quote(pattern));
            self.error(at, node.span, message);
        }
        Some(pattern.to_owned())
    }

    /// What a text must contain.
    fn log(&mut self, at: &Path<'_>, node: &Node<'_>) -> Option<Item> {
        let body = self.fields(at, node, &keys::LOG)?;
        let pattern = body.get("pattern").and_then(|field| {
            let here = at.key("pattern");
            // An empty pattern is found in every text, and would show nothing.
            self.filled(&here, field.value)?;
            self.regex(&here, field.value)
        });
        let source = match body.get("source") {
            None => Some(LogSource::Worker),
            Some(field) if matches!(&field.value.value, Value::Scalar { text, .. } if text == "worker") => {
                Some(LogSource::Worker)
            }
            Some(field) => self.file(&at.key("source"), field.value).map(LogSource::File),
        };
        Some(Item::Log { pattern: pattern?, source: source? })
    }

    /// What may have changed.
    fn diff(&mut self, at: &Path<'_>, node: &Node<'_>) -> Option<Item> {
        let body = self.fields(at, node, &keys::DIFF)?;
        let mut paths = Vec::new();
        if let Some(field) = body.get("paths") {
            let here = at.key("paths");
            let globs = self.list(&here, field.value).unwrap_or_default();
            for (index, glob) in globs.iter().enumerate() {
                let here = here.index(index);
                let Some(text) = self.text(&here, glob) else { continue };
                if let Err(fault) = scalar::glob(text) {
                    self.fault(&here, glob, fault);
                }
                paths.push(text.to_owned());
            }
            // Read as no bound it would allow everything, which is the opposite of what it says.
            if globs.is_empty() && matches!(field.value.value, Value::List(_)) {
                let help = "leave `paths` out to allow any path";
                self.error_with(&here, field.value.span, "an empty list allows no path", help);
            }
        }
        Some(Item::Diff {
            paths,
            max_lines: body.get("max_lines").and_then(|field| self.count(at, field)),
            clean: body.get("clean").and_then(|field| self.flag(at, field)).unwrap_or(false),
            allow_none: body.get("allow_none").and_then(|field| self.flag(at, field)).unwrap_or(false),
        })
    }
}
