//! Typed values out of nodes: each either taken, or named with what is allowed.
//!
//! Nothing here knows what a key is for; bounds and words come from the key
//! table. A value that can't be taken is `None`, and reading goes on, so that
//! one mistake hides no other.

use std::collections::BTreeMap;
use std::time::Duration;

use super::error::Sink;
use super::fields::Field;
use super::keys::Shape;
use super::place::{Path, quote};
use super::scalar::{self, Fault};
use super::tree::{Node, Value};

/// Null as YAML 1.2 has it; the parser reports a missing value as `~`.
pub(super) fn is_null(node: &Node<'_>) -> bool {
    match &node.value {
        Value::Scalar { text, plain } => {
            *plain && matches!(text.as_ref(), "" | "~" | "null" | "Null" | "NULL")
        }
        Value::List(_) | Value::Map(_) => false,
    }
}

/// What stands there, for a message.
pub(super) fn found(node: &Node<'_>) -> String {
    match &node.value {
        Value::List(_) => "found a list".to_owned(),
        Value::Map(_) => "found a mapping".to_owned(),
        Value::Scalar { .. } if is_null(node) => "found no value".to_owned(),
        Value::Scalar { text, plain: true } => format!("found {}", quote(text)),
        Value::Scalar { text, plain: false } => format!("found the text {}", quote(text)),
    }
}

impl Sink<'_> {
    /// Reports what a small language refused: the rule is its own, what was found and where is added here.
    pub(super) fn fault(&mut self, at: &Path<'_>, node: &Node<'_>, fault: Fault) {
        let message = format!("{}: {}", found(node), fault.message);
        match fault.help {
            Some(help) => self.error_with(at, node.span, message, help),
            None => self.error(at, node.span, message),
        }
    }

    /// The text of a scalar, exactly as written; null isn't text.
    pub(super) fn text<'n>(&mut self, at: &Path<'_>, node: &'n Node<'_>) -> Option<&'n str> {
        match &node.value {
            Value::Scalar { text, .. } if !is_null(node) => {
                // Neither an argument nor a variable nor a path can carry one.
                if text.contains('\0') {
                    self.error(at, node.span, "found a NUL in a text, which no program can be given");
                    return None;
                }
                Some(text.as_ref())
            }
            Value::Scalar { .. } | Value::List(_) | Value::Map(_) => {
                self.error(at, node.span, format!("{}: text is allowed here", found(node)));
                None
            }
        }
    }

    /// The text of a scalar that a small language reads.
    fn worded<'n>(&mut self, at: &Path<'_>, node: &'n Node<'_>, allowed: &str) -> Option<&'n str> {
        match &node.value {
            Value::Scalar { text, .. } if !is_null(node) => Some(text.as_ref()),
            Value::Scalar { .. } | Value::List(_) | Value::Map(_) => {
                self.error(at, node.span, format!("{}: {allowed} is allowed here", found(node)));
                None
            }
        }
    }

    /// Text that isn't blank.
    pub(super) fn filled<'n>(&mut self, at: &Path<'_>, node: &'n Node<'_>) -> Option<&'n str> {
        let text = self.text(at, node)?;
        if text.trim().is_empty() {
            self.error(at, node.span, "found empty text where some is needed");
            return None;
        }
        Some(text)
    }

    /// An id.
    pub(super) fn slug<'n>(&mut self, at: &Path<'_>, node: &'n Node<'_>) -> Option<&'n str> {
        let text = self.text(at, node)?;
        if let Err(fault) = scalar::slug(text) {
            self.fault(at, node, fault);
            return None;
        }
        Some(text)
    }

    /// A scalar without quotes, as numbers and booleans are written.
    fn plain<'n>(&mut self, at: &Path<'_>, node: &'n Node<'_>, allowed: &str) -> Option<&'n str> {
        match &node.value {
            Value::Scalar { text, plain: true } if !is_null(node) => return Some(text.as_ref()),
            Value::Scalar { plain: false, .. } => {
                let message = format!("{}: {allowed} is allowed here", found(node));
                self.error_with(at, node.span, message, "write it without quotes");
            }
            Value::Scalar { .. } | Value::List(_) | Value::Map(_) => {
                self.error(at, node.span, format!("{}: {allowed} is allowed here", found(node)));
            }
        }
        None
    }

    /// What `parse` makes of the text, or a fault.
    fn parsed<T>(&mut self, at: &Path<'_>, node: &Node<'_>, parsed: Result<T, Fault>) -> Option<T> {
        match parsed {
            Ok(value) => Some(value),
            Err(fault) => {
                self.fault(at, node, fault);
                None
            }
        }
    }

    /// A whole number within the bounds of its key.
    pub(super) fn count(&mut self, at: &Path<'_>, field: Field<'_, '_>) -> Option<u64> {
        let Shape::Count(min, max) = field.key.shape else { return None };
        let at = at.key(field.key.name);
        let text = self.plain(&at, field.value, &format!("a whole number from {min} to {max}"))?;
        self.parsed(&at, field.value, scalar::integer(text, min, max))
    }

    /// The same for a bound that the model keeps in 32 bits.
    pub(super) fn small(&mut self, at: &Path<'_>, field: Field<'_, '_>) -> Option<u32> {
        self.count(at, field).and_then(|count| u32::try_from(count).ok())
    }

    /// Money.
    pub(super) fn amount(&mut self, at: &Path<'_>, field: Field<'_, '_>) -> Option<f64> {
        let at = at.key(field.key.name);
        let text = self.plain(&at, field.value, "an amount")?;
        self.parsed(&at, field.value, scalar::amount(text))
    }

    /// `true` or `false`, and no other word: what `yes` and `on` mean depends on who reads them.
    pub(super) fn flag(&mut self, at: &Path<'_>, field: Field<'_, '_>) -> Option<bool> {
        let at = at.key(field.key.name);
        match self.plain(&at, field.value, "true or false")? {
            "true" => Some(true),
            "false" => Some(false),
            _ => {
                self.error(
                    &at,
                    field.value.span,
                    format!("{}: true or false is allowed here", found(field.value)),
                );
                None
            }
        }
    }

    /// A time with its unit.
    pub(super) fn duration(&mut self, at: &Path<'_>, field: Field<'_, '_>) -> Option<Duration> {
        let at = at.key(field.key.name);
        let text = self.worded(&at, field.value, "a duration, as in 30m")?;
        self.parsed(&at, field.value, scalar::duration(text))
    }

    /// Bytes.
    pub(super) fn size(&mut self, at: &Path<'_>, field: Field<'_, '_>) -> Option<u64> {
        let at = at.key(field.key.name);
        let text = self.worded(&at, field.value, "a size, as in 2GiB")?;
        self.parsed(&at, field.value, scalar::size(text))
    }

    /// One of the words of its key.
    pub(super) fn word(&mut self, at: &Path<'_>, field: Field<'_, '_>) -> Option<&'static str> {
        let Shape::Word(words) = field.key.shape else { return None };
        let at = at.key(field.key.name);
        self.one_of(&at, field.value, words)
    }

    /// One of some words, with the nearest of them where it is none.
    pub(super) fn one_of(
        &mut self,
        at: &Path<'_>,
        node: &Node<'_>,
        words: &'static [&'static str],
    ) -> Option<&'static str> {
        let text = self.worded(at, node, &any_of(words))?;
        if let Some(word) = words.iter().find(|word| **word == text) {
            return Some(word);
        }
        let message = format!("{}: {} is allowed here", found(node), any_of(words));
        match scalar::nearest(text, words.iter().copied()) {
            Some(near) => self.error_with(at, node.span, message, format!("did you mean `{near}`?")),
            None => self.error(at, node.span, message),
        }
        None
    }

    /// The items of a list; a single text is refused with how to write a list of it.
    pub(super) fn list<'n, 's>(&mut self, at: &Path<'_>, node: &'n Node<'s>) -> Option<&'n [Node<'s>]> {
        match &node.value {
            Value::List(items) => return Some(items.as_slice()),
            Value::Scalar { text, .. } if !is_null(node) => {
                let message = format!("{}: a list is allowed here", found(node));
                // A short word can be shown as it should be; YAML in it would need quotes.
                let help = if text.len() <= 40 && !text.contains(['[', ',', '\n']) {
                    format!("write [{text}]")
                } else {
                    "write one item a line, each after `- `".to_owned()
                };
                self.error_with(at, node.span, message, help);
            }
            Value::Scalar { .. } | Value::Map(_) => {
                self.error(at, node.span, format!("{}: a list is allowed here", found(node)));
            }
        }
        None
    }

    /// A program and its arguments: at least the program.
    pub(super) fn argv(&mut self, at: &Path<'_>, field: Field<'_, '_>) -> Option<Vec<String>> {
        let at = at.key(field.key.name);
        let items = self.list(&at, field.value)?;
        // Arguments may be empty, the program may not.
        let mut argv = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            argv.extend(self.text(&at.index(index), item).map(str::to_owned));
        }
        if items.is_empty() || argv.first().is_some_and(String::is_empty) {
            self.error(&at, field.value.span, "the program is missing");
        }
        Some(argv)
    }

    /// The name of an output of a report, as templates can name it.
    pub(super) fn output_name(&mut self, at: &Path<'_>, node: &Node<'_>) -> Option<String> {
        let name = self.text(at, node)?;
        if !scalar::is_output(name) {
            let message = format!("{}: the name of an output is allowed here", found(node));
            self.error_with(at, node.span, message, "it is made of letters, digits, `_` and `-`");
            return None;
        }
        Some(name.to_owned())
    }

    /// Any value: scalars without quotes as JSON has them, everything else as text. Its depth and
    /// size were bounded when the tree was built.
    pub(super) fn json(&mut self, at: &Path<'_>, node: &Node<'_>) -> Option<serde_json::Value> {
        match &node.value {
            // A value that was forgotten reads as null, and would be compared with.
            Value::Scalar { .. } if is_null(node) => {
                self.error(at, node.span, "found no value: any other value is allowed here");
                None
            }
            Value::Scalar { text, plain } => {
                let read = serde_json::from_str(text).ok().filter(|_| *plain);
                Some(read.unwrap_or_else(|| serde_json::Value::String(text.to_string())))
            }
            Value::List(items) => {
                let items = items.iter().enumerate();
                items.map(|(index, item)| self.json(&at.index(index), item)).collect()
            }
            Value::Map(_) => {
                let entries = self.entries(at, node, "key");
                let pairs = entries.iter();
                pairs
                    .map(|entry| Some((entry.name.to_owned(), self.json(&at.key(entry.name), entry.value)?)))
                    .collect::<Option<serde_json::Map<_, _>>>()
                    .map(serde_json::Value::Object)
            }
        }
    }

    /// Variables for workers; `None` passes ilchul's own value on.
    pub(super) fn env(&mut self, at: &Path<'_>, field: Field<'_, '_>) -> BTreeMap<String, Option<String>> {
        let at = at.key(field.key.name);
        let mut env = BTreeMap::new();
        for entry in self.entries(&at, field.value, "variable") {
            let at = at.key(entry.name);
            if let Err(fault) = scalar::variable(entry.name) {
                let message = fault.message;
                match fault.help {
                    Some(help) => self.error_with(&at, entry.span, message, help),
                    None => self.error(&at, entry.span, message),
                }
            }
            // Null is a value here and nowhere else: it passes the variable on.
            let value = if is_null(entry.value) { Some(None) } else { self.text(&at, entry.value).map(Some) };
            if let Some(value) = value {
                env.insert(entry.name.to_owned(), value.map(str::to_owned));
            }
        }
        env
    }
}

/// `a`, `b` or `c`.
pub(super) fn any_of(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        Some(_) | None => quoted.concat(),
    }
}
