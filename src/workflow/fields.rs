//! Mappings: their keys, each once and each known, or named with what was probably meant.
//!
//! It knows the tables of keys, but not what a key is for: values are taken by
//! the sibling `take`. The mistakes that YAML leaves open (duplicate keys,
//! merge keys, keys that are no text) all end here.

use std::collections::HashMap;

use super::error::Sink;
use super::keys::{Key, Table};
use super::place::{Path, quote};
use super::scalar;
use super::take::{found, is_null};
use super::tree::{Node, Span, Value};

/// A key of a mapping, as it stands in the file.
pub(super) struct Entry<'n, 's> {
    pub(super) name: &'n str,
    /// Of the key, not of the value.
    pub(super) span: Span,
    pub(super) value: &'n Node<'s>,
}

/// A known key of a mapping, as it stands in the file.
#[derive(Clone, Copy)]
pub(super) struct Field<'n, 's> {
    /// Its entry in the table: name, shape and bounds.
    pub(super) key: &'static Key,
    /// Of the key, not of the value.
    pub(super) span: Span,
    pub(super) value: &'n Node<'s>,
}

/// A mapping with fixed keys.
pub(super) struct Fields<'n, 's> {
    found: Vec<Field<'n, 's>>,
    /// Names that the table refuses and names that a mistaken one may mean: all reported already.
    pub(super) reported: Vec<&'static str>,
}

impl<'n, 's> Fields<'n, 's> {
    /// The key of this name, if the file has it.
    pub(super) fn get(&self, name: &str) -> Option<Field<'n, 's>> {
        self.found.iter().find(|field| field.key.name == name).copied()
    }

    /// Whether one of these is missing only because something reported already stands in its place.
    pub(super) fn stands_for(&self, names: &[&str], table: &Table) -> bool {
        let is_kind =
            |name: &str| names.contains(&name) || table.refused.iter().any(|(other, _)| *other == name);
        self.reported.iter().any(|name| is_kind(name))
    }

    /// These keys, and behind them those of `other` that aren't among them or left out.
    pub(super) fn over(&self, other: &Self, left_out: &[&str]) -> Self {
        let lacks = |field: &&Field<'_, '_>| {
            let name = field.key.name;
            self.get(name).is_none() && !left_out.contains(&name)
        };
        let found = self.found.iter().chain(other.found.iter().filter(lacks)).copied().collect();
        Fields { found, reported: Vec::new() }
    }

    /// In the order of the file.
    pub(super) fn among(&self, names: &[&str]) -> Vec<Field<'n, 's>> {
        self.found.iter().filter(|field| names.contains(&field.key.name)).copied().collect()
    }
}

impl Sink<'_> {
    /// The keys of a mapping, each once; `noun` is what a key names.
    pub(super) fn entries<'n, 's>(
        &mut self,
        at: &Path<'_>,
        node: &'n Node<'s>,
        noun: &str,
    ) -> Vec<Entry<'n, 's>> {
        let Value::Map(pairs) = &node.value else {
            self.error(at, node.span, format!("{}: a mapping is allowed here", found(node)));
            return Vec::new();
        };
        let mut seen: HashMap<&str, Span> = HashMap::new();
        let mut entries: Vec<Entry<'n, 's>> = Vec::with_capacity(pairs.len());
        for (key, value) in pairs.iter() {
            let Value::Scalar { text, plain } = &key.value else {
                self.error(at, key.span, format!("{}: the name of a {noun} is text", found(key)));
                continue;
            };
            // Read as text, `~` and `null` would be valid names, and surely not the ones that were meant.
            if is_null(key) {
                let help = "put quotes around it if the text itself is meant";
                self.error_with(at, key.span, format!("a {noun} needs a name, and null is none"), help);
                continue;
            }
            let name = text.as_ref();
            if name == "<<" && *plain {
                let help = "write the keys out, or name a whole value with an alias";
                self.error_with(at, key.span, "merge keys aren't supported", help);
                continue;
            }
            // Nearly every mapping is small, and then looking along it is the quickest.
            let first = if pairs.len() <= 16 {
                entries.iter().find(|entry| entry.name == name).map(|entry| entry.span)
            } else {
                seen.insert(name, key.span)
            };
            if let Some(first) = first {
                let (first, here) = (self.source.line(first.start()), self.source.line(key.span.start()));
                let lines = if first == here {
                    format!("on line {here}")
                } else {
                    format!("on lines {first} and {here}")
                };
                let message = format!("the {noun} {} is given twice, {lines}", quote(name));
                self.error_with(&at.key(name), key.span, message, "keep one of them");
                continue;
            }
            entries.push(Entry { name, span: key.span, value });
        }
        entries
    }

    /// A mapping with fixed keys; unknown ones are named, with the nearest known one.
    pub(super) fn fields<'n, 's>(
        &mut self,
        at: &Path<'_>,
        node: &'n Node<'s>,
        table: &'static Table,
    ) -> Option<Fields<'n, 's>> {
        // Said here and not by `entries`, because here the keys are known.
        if !matches!(node.value, Value::Map(_)) {
            let names = names(table);
            self.error(
                at,
                node.span,
                format!("{}: a mapping is allowed here, with the keys {names}", found(node)),
            );
            return None;
        }
        let mut fields = Fields { found: Vec::new(), reported: Vec::new() };
        for entry in self.entries(at, node, "key") {
            if let Some(key) = table.keys.iter().find(|key| key.name == entry.name) {
                fields.found.push(Field { key, span: entry.span, value: entry.value });
            } else if let Some((name, why)) = table.refused.iter().find(|(name, _)| *name == entry.name) {
                fields.reported.push(name);
                self.error(&at.key(name), entry.span, format!("`{name}` {why}"));
            } else {
                fields.reported.extend(self.unknown_key(at, &entry, table));
            }
        }
        for key in table.keys.iter().filter(|key| key.required) {
            if fields.get(key.name).is_none() {
                // Behind the start of the mapping there is no better place for what isn't there.
                let at_start = Span::new(node.span.start(), 1);
                self.error(at, at_start, format!("the key `{}` is missing", key.name));
            }
        }
        Some(fields)
    }

    /// Returns the name that was probably meant.
    fn unknown_key(
        &mut self,
        at: &Path<'_>,
        entry: &Entry<'_, '_>,
        table: &'static Table,
    ) -> Option<&'static str> {
        let message = format!("unknown key {}", quote(entry.name));
        let known = table.keys.iter().map(|key| key.name).chain(table.refused.iter().map(|(name, _)| *name));
        let near = scalar::nearest(entry.name, known);
        let help = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("the keys here are {}", names(table)),
        };
        self.error_with(&at.key(entry.name), entry.span, message, help);
        near
    }
}

/// Every key of a table, for a message.
fn names(table: &Table) -> String {
    let names: Vec<String> = table.keys.iter().map(|key| format!("`{}`", key.name)).collect();
    names.join(", ")
}
