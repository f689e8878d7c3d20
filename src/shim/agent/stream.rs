//! What a headless agent prints: JSON lines become records, and a line each for a person.
//!
//! Standard output and standard error come in apart. A line that is no record is shown as it
//! is, one that is too long is passed over and said so: whatever an agent prints, memory stays
//! bounded and nothing here fails. It leaves out what a record means (`watch`).

use super::record::{fill, matches, matches_any, name};
use crate::protocol::StreamRules;
use crate::shim::output::Log;
use serde_json::Value;

/// The longest line that is read; a conversation that is repeated whole may have megabytes.
const MAX_LINE: usize = 4 << 20;
/// Bytes at the end of what was no record that are kept to find a rate limit in.
const TAIL: usize = 2_048;
/// Records that wait to be heard: more than this are counted by nobody.
const MAX_WAITING: usize = 10_000;
/// Objects of one record that are records of their own.
const MAX_PARTS: usize = 1_000;

/// One record of a stream.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) name: String,
    pub(super) value: Value,
    /// What was shown of it.
    pub(super) line: Option<String>,
}

/// What stands between an agent's output and whoever reads it.
#[derive(Debug)]
pub(in crate::shim) struct Lens {
    adapter: String,
    rules: Option<StreamRules>,
    raw: Log,
    line: Vec<u8>,
    /// Within a line that is too long.
    skips: bool,
    waiting: Vec<Record>,
    tail: Vec<u8>,
    printed: u64,
}

impl Lens {
    /// For the output of `adapter`; without rules it is shown as it is.
    pub(super) fn new(adapter: &str, rules: Option<StreamRules>, raw: Log) -> Self {
        let adapter = adapter.to_owned();
        let (line, waiting, tail) = (Vec::new(), Vec::new(), Vec::new());
        Self { adapter, rules, raw, line, skips: false, waiting, tail, printed: 0 }
    }

    /// Takes bytes of standard output, and answers what is to be shown.
    pub(in crate::shim) fn take(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.printed += bytes.len() as u64;
        if self.rules.is_none() {
            return self.take_plain(bytes);
        }
        let mut shown = Vec::new();
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let room = MAX_LINE.saturating_sub(self.line.len());
            if piece.len() > room {
                self.skips = true;
                self.line.clear();
            }
            if !self.skips {
                self.line.extend_from_slice(piece);
            }
            if piece.ends_with(b"\n") {
                self.end_line(&mut shown);
            }
        }
        shown
    }

    /// Takes bytes of standard error, which are shown as they are.
    pub(in crate::shim) fn take_errors(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.printed += bytes.len() as u64;
        self.take_plain(bytes)
    }

    /// The last line may have no end of line.
    pub(in crate::shim) fn finish(&mut self) -> Vec<u8> {
        let mut shown = Vec::new();
        if !self.line.is_empty() || self.skips {
            self.end_line(&mut shown);
        }
        shown
    }

    /// Bytes printed so far.
    pub(super) fn printed(&self) -> u64 {
        self.printed
    }

    /// What has come in since the last time.
    pub(super) fn records(&mut self) -> Vec<Record> {
        std::mem::take(&mut self.waiting)
    }

    /// The end of what was no record, as text.
    pub(in crate::shim) fn tail(&self) -> String {
        String::from_utf8_lossy(&self.tail).into_owned()
    }

    fn take_plain(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.tail.extend_from_slice(&bytes[bytes.len().saturating_sub(TAIL)..]);
        let surplus = self.tail.len().saturating_sub(TAIL);
        self.tail.drain(..surplus);
        bytes.to_vec()
    }

    fn end_line(&mut self, shown: &mut Vec<u8>) {
        let line = std::mem::take(&mut self.line);
        if std::mem::replace(&mut self.skips, false) {
            shown.extend_from_slice(b"[ilchul: a line of more than 4 MiB was passed over]\n");
            return;
        }
        let text = line.trim_ascii();
        // Anything else is a message for people that strayed to standard output.
        let value = serde_json::from_slice::<Value>(text).ok().filter(Value::is_object);
        let (Some(rules), Some(value)) = (&self.rules, value) else {
            if !text.is_empty() {
                shown.extend(self.take_plain(&line));
            }
            return;
        };
        let records = records(rules, value);
        if records.first().is_some_and(|record| matches_any(&rules.drop, &record.name)) {
            return;
        }
        self.raw.write(text);
        self.raw.write(b"\n");
        for record in records {
            if let Some(line) = &record.line {
                shown.extend_from_slice(format!("{}: {line}\n", self.adapter).as_bytes());
            }
            if self.waiting.len() < MAX_WAITING {
                self.waiting.push(record);
            }
        }
    }
}

/// The record that `value` is, and those in it.
fn records(rules: &StreamRules, mut value: Value) -> Vec<Record> {
    let Some(whole) = name(&rules.name, &value) else { return Vec::new() };
    let parts = rules.each.as_deref().and_then(|path| take_list(&mut value, path)).unwrap_or_default();
    let mut found = vec![record(rules, whole.clone(), value)];
    for part in parts.into_iter().filter(Value::is_object).take(MAX_PARTS) {
        let name = name(&rules.each_name, &part).map_or(whole.clone(), |name| format!("{whole}/{name}"));
        found.push(record(rules, name, part));
    }
    found
}

/// Takes the list at `path` out: what is in it is looked at once.
fn take_list(value: &mut Value, path: &str) -> Option<Vec<Value>> {
    let found = path.split('.').try_fold(value, |value, key| value.get_mut(key))?;
    match found.take() {
        Value::Array(items) => Some(items),
        other => {
            *found = other;
            None
        }
    }
}

fn record(rules: &StreamRules, name: String, value: Value) -> Record {
    let rule = rules.show.iter().find(|rule| matches(&rule.on, &name));
    let line = rule.map(|rule| fill(&rule.line, &value)).filter(|line| !line.is_empty());
    Record { name, value, line }
}

#[cfg(test)]
#[path = "stream_tests.rs"]
mod tests;
