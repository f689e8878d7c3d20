//! One span, with OTLP's own names of its fields.
//!
//! It leaves out which spans there are (`walk.rs`).

use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::engine::moment::Stamp;

/// Most characters of a text that a worker may have written.
const TEXT_MAX: usize = 1024;
/// `SPAN_KIND_INTERNAL`.
const INTERNAL: u8 = 1;

/// One span.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Span {
    trace_id: String,
    pub(super) span_id: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) parent_span_id: String,
    pub(super) name: String,
    kind: u8,
    #[serde(rename = "startTimeUnixNano")]
    pub(super) start: String,
    #[serde(rename = "endTimeUnixNano")]
    pub(super) end: String,
    pub(super) attributes: Vec<Value>,
    pub(super) events: Vec<Value>,
    pub(super) links: Vec<Value>,
    pub(super) status: Status,
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub(super) struct Status {
    code: u8,
    #[serde(skip_serializing_if = "String::is_empty")]
    message: String,
}

impl Status {
    /// As it should.
    pub(super) fn ok() -> Self {
        Self { code: 1, message: String::new() }
    }

    /// Otherwise.
    pub(super) fn error(message: &str) -> Self {
        Self { code: 2, message: shortened(message) }
    }
}

/// The run's line of time as nanoseconds since 1970: the wall time of its start, and from there
/// on only what has passed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line(pub(super) Stamp);

impl Line {
    /// Where `at` lies on it, as OTLP writes 64 bits in JSON.
    pub(super) fn nanos(self, at: Stamp) -> String {
        let passed = i128::try_from(at.moment.since(self.0.moment).as_nanos()).unwrap_or_default();
        (i128::from(self.0.wall_ms) * 1_000_000 + passed).max(0).to_string()
    }
}

impl Span {
    /// A span of `run` that begins at `start`. `path` names it within the run, for its id.
    pub(super) fn new(run: &str, path: &str, name: String, start: String) -> Self {
        Self {
            trace_id: trace_id(run),
            span_id: span_id(run, path),
            parent_span_id: String::new(),
            name,
            kind: INTERNAL,
            end: String::new(),
            start,
            attributes: Vec::new(),
            events: Vec::new(),
            links: Vec::new(),
            status: Status::default(),
        }
    }

    /// The same below another.
    pub(super) fn below(mut self, parent: &str) -> Self {
        parent.clone_into(&mut self.parent_span_id);
        self
    }

    /// Adds an attribute.
    pub(super) fn put(&mut self, key: &str, value: impl Into<Value>) {
        self.attributes.push(attribute(key, value));
    }

    /// Adds something that happened within it.
    pub(super) fn happened(&mut self, at: &str, name: &str, attributes: &[Value]) {
        self.events.push(json!({"timeUnixNano": at, "name": name, "attributes": attributes}));
    }

    /// Adds a link to a span of the same trace, and what it means.
    pub(super) fn link(&mut self, span: &str, relation: &str) {
        let attributes = [attribute("ilchul.relation", relation)];
        self.links.push(json!({"traceId": self.trace_id, "spanId": span, "attributes": attributes}));
    }
}

/// A key and a value as OTLP writes them: 64 bits are text, and there is no null.
pub(super) fn attribute(key: &str, value: impl Into<Value>) -> Value {
    let value = match value.into() {
        Value::Bool(value) => json!({"boolValue": value}),
        Value::Number(number) if number.is_f64() => json!({"doubleValue": number}),
        Value::Number(number) => json!({"intValue": number.to_string()}),
        Value::String(text) => json!({"stringValue": shortened(&text)}),
        other @ (Value::Null | Value::Array(_) | Value::Object(_)) => {
            json!({"stringValue": shortened(&other.to_string())})
        }
    };
    json!({"key": key, "value": value})
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(TEXT_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// 16 bytes in hex.
pub(super) fn trace_id(run: &str) -> String {
    digest(&format!("ilchul run {run}"), 16)
}

/// 8 bytes in hex.
pub(super) fn span_id(run: &str, path: &str) -> String {
    digest(&format!("ilchul span {run} {path}"), 8)
}

fn digest(of: &str, bytes: usize) -> String {
    Sha256::digest(of.as_bytes()).iter().take(bytes).map(|byte| format!("{byte:02x}")).collect()
}
