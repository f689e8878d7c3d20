//! A run as one OpenTelemetry trace, in OTLP's JSON form: pure.
//!
//! The run is the root span; below it each task, in it the waits, attempts and their stages,
//! and the tasks that a control task made. Times are those of the run's own line, so no child
//! lies outside of its parent because a clock was set. Ids follow from names: an export that is
//! repeated is the same trace. It leaves out where the documents go.

mod span;
mod walk;

#[cfg(test)]
mod tests;

use serde_json::{Value, json};

use span::Span;
use walk::Walk;

use crate::engine::event::Event;
use crate::engine::moment::Stamp;

/// Most spans in one document: far below what collectors take in one request.
const SPANS_MAX: usize = 1000;

/// The documents of a run's events, oldest first: each an `ExportTraceServiceRequest`; none
/// where the run hasn't begun.
pub fn documents<'e>(events: impl Iterator<Item = (Stamp, &'e Event)>) -> Vec<Value> {
    let mut walk: Option<Walk> = None;
    for (at, event) in events {
        match &mut walk {
            Some(walk) => walk.take(at, event),
            None => walk = Walk::begin(at, event),
        }
    }
    let Some((run, spans)) = walk.map(Walk::end) else { return Vec::new() };
    spans.chunks(SPANS_MAX).map(|spans| document(&run, spans)).collect()
}

fn document(run: &str, spans: &[Span]) -> Value {
    let resource = [
        span::attribute("service.name", "ilchul"),
        span::attribute("service.version", env!("CARGO_PKG_VERSION")),
        span::attribute("service.instance.id", run),
    ];
    let scope = json!({"name": "ilchul", "version": env!("CARGO_PKG_VERSION")});
    json!({
        "resourceSpans": [{
            "resource": {"attributes": resource},
            "scopeSpans": [{"scope": scope, "spans": spans}],
        }],
    })
}

/// How many spans the documents have.
#[must_use]
pub fn count(documents: &[Value]) -> usize {
    let spans =
        |document: &Value| document["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().map(Vec::len);
    documents.iter().filter_map(spans).sum()
}

/// The id of a run's trace.
#[must_use]
pub fn trace_id(run: &str) -> String {
    span::trace_id(run)
}
