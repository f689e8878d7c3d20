//! Reads one item of evidence: its kind, what goes with it, and the small languages in it.
//!
//! What an item may stand beside, and what stands where there is none, is in the sibling
//! `items`.

use std::time::Duration;

use super::error::Sink;
use super::fields::{Field, Fields};
use super::items::Form;
use super::keys;
use super::model::{Item, LogSource};
use super::place::{Path, quote};
use super::scalar;
use super::take::any_of;
use super::tree::{Node, Span, Value};

/// How long a `command` may take that names no time of its own. Source: contract 3.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(10 * 60);

impl Sink<'_> {
    /// One item: exactly one kind, and only the keys that go with it.
    pub(super) fn item(&mut self, at: &Path<'_>, node: &Node<'_>, form: &Form) -> Option<Item> {
        let body = self.fields(at, node, form.table)?;
        let kinds = body.among(form.kinds);
        let Some(kind) = kinds.first().copied() else {
            if !body.stands_for(form.kinds, form.table) {
                let start = Span::new(node.span.start(), 1);
                self.error(at, start, format!("an item has one of {}", any_of(form.kinds)));
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
        if let (Some(stray), false) = (body.get("equals"), kind.key.name == "output") {
            self.error(&at.key("equals"), stray.span, "`equals` only goes with `output`");
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
            "output" => self.output(at, kind, &body),
            // `among` returns no other name.
            _ => None,
        }
    }

    /// An output of the report, and what it must be.
    fn output(&mut self, at: &Path<'_>, kind: Field<'_, '_>, body: &Fields<'_, '_>) -> Option<Item> {
        let name = self.output_name(&at.key("output"), kind.value);
        let Some(field) = body.get("equals") else {
            let help = "write `equals:` beside it, with the value that ends the loop";
            self.error_with(&at.key("output"), kind.span, "an `output` needs something to be equal to", help);
            return None;
        };
        let equals = self.json(&at.key("equals"), field.value);
        Some(Item::Output { name: name?, equals: equals? })
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
