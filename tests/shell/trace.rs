//! A real run as a trace: in a file, at a collector, and held against OTLP's own field names.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use super::collector::Collector;
use super::world::World;
use super::{STORY, story};

/// The fields of OTLP's messages that we write: any other name would be passed over in silence.
const FIELDS: &[(&str, &[&str])] = &[
    ("request", &["resourceSpans"]),
    ("resourceSpans", &["resource", "scopeSpans", "schemaUrl"]),
    ("resource", &["attributes", "droppedAttributesCount"]),
    ("scopeSpans", &["scope", "spans", "schemaUrl"]),
    ("scope", &["name", "version", "attributes", "droppedAttributesCount"]),
    (
        "spans",
        &[
            "traceId",
            "spanId",
            "traceState",
            "parentSpanId",
            "flags",
            "name",
            "kind",
            "startTimeUnixNano",
            "endTimeUnixNano",
            "attributes",
            "droppedAttributesCount",
            "events",
            "droppedEventsCount",
            "links",
            "droppedLinksCount",
            "status",
        ],
    ),
    ("events", &["timeUnixNano", "name", "attributes", "droppedAttributesCount"]),
    ("links", &["traceId", "spanId", "traceState", "attributes", "droppedAttributesCount", "flags"]),
    ("status", &["code", "message"]),
    ("attributes", &["key", "value"]),
    (
        "value",
        &["stringValue", "boolValue", "intValue", "doubleValue", "arrayValue", "kvlistValue", "bytesValue"],
    ),
];

/// All that is wrong with a part of a document, which stands under `name`.
fn complaints(name: &str, part: &Value) -> Vec<String> {
    if let Value::Array(parts) = part {
        return parts.iter().flat_map(|part| complaints(name, part)).collect();
    }
    let Value::Object(fields) = part else { return scalar(name, part).into_iter().collect() };
    let Some((_, known)) = FIELDS.iter().find(|(message, _)| *message == name) else {
        return vec![format!("`{name}` is no message")];
    };
    let unknown = fields.keys().filter(|key| !known.contains(&key.as_str()));
    let unknown = unknown.map(|key| format!("`{name}` has no field `{key}`"));
    unknown.chain(fields.iter().flat_map(|(key, value)| complaints(key, value))).collect()
}

fn scalar(name: &str, value: &Value) -> Option<String> {
    let hex = |digits: usize| {
        value.as_str().is_some_and(|text| {
            text.len() == digits && text.chars().all(|c| c.is_ascii_digit() || ('a'..='f').contains(&c))
        })
    };
    let right = match name {
        "traceId" => hex(32),
        "spanId" | "parentSpanId" => hex(16),
        // 64 bits are text in JSON.
        "startTimeUnixNano" | "endTimeUnixNano" | "timeUnixNano" | "intValue" => {
            value.as_str().is_some_and(|text| text.parse::<i64>().is_ok())
        }
        "kind" => value == 1,
        "code" => value.as_u64().is_some_and(|code| code <= 2),
        "boolValue" => value.is_boolean(),
        _ => value.is_string(),
    };
    (!right).then(|| format!("`{name}` can't be {value}"))
}

#[track_caller]
fn spans(lines: &str) -> Vec<Value> {
    let documents: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(!documents.is_empty());
    for document in &documents {
        assert_eq!(complaints("request", document), [""; 0]);
    }
    let of =
        |document: &Value| document["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap().clone();
    documents.iter().flat_map(of).collect()
}

#[test]
fn the_checker_of_otlp_sees_what_is_wrong() {
    let wrong = [
        r#"{"resource_spans": []}"#,
        r#"{"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": "AB"}]}]}]}"#,
        r#"{"resourceSpans": [{"scopeSpans": [{"spans": [{"startTimeUnixNano": 5}]}]}]}"#,
        r#"{"resourceSpans": [{"resource": {"attributes": [{"key": "a", "value": {"intValue": 5}}]}}]}"#,
        r#"{"resourceSpans": [{"scopeSpans": [{"spans": [{"status": {"code": "OK"}}]}]}]}"#,
    ];
    for wrong in wrong {
        assert_eq!(complaints("request", &serde_json::from_str(wrong).unwrap()).len(), 1, "{wrong}");
    }
}

#[test]
fn a_run_is_one_trace_in_a_file_and_on_stdout_and_holds_no_lock() {
    let world = story();
    let printed = world.ok(&["trace"]);
    let file = world.root().join("trace.json");
    let said = world.ok(&["trace", "--otel", file.to_str().unwrap()]);
    assert_eq!(fs::read_to_string(&file).unwrap(), printed);
    let spans = spans(&printed);
    let run = world.run_id().unwrap();
    assert!(said.starts_with(&format!("{} spans of the run {run} are in ", spans.len())), "{said}");
    let names: BTreeSet<&str> = spans.iter().map(|span| span["name"].as_str().unwrap()).collect();
    for name in ["run test", "task greet", "attempt greet.1", "launch", "work", "verify", "task ship"] {
        assert!(names.contains(name), "{name}: {names:?}");
    }
    let traces: BTreeSet<&str> = spans.iter().map(|span| span["traceId"].as_str().unwrap()).collect();
    assert_eq!(traces.len(), 1);
    // The question to a person is told where it is asked.
    let asked = spans.iter().filter(|span| span["events"].to_string().contains("\"evidence.asked\""));
    assert_eq!(asked.map(|span| span["name"].as_str().unwrap()).collect::<Vec<_>>(), ["verify"]);
    assert_eq!(world.data(&["trace", "--otel", file.to_str().unwrap()])["spans"], spans.len());
}

#[test]
fn a_collector_gets_what_a_file_would_and_its_refusal_is_told() {
    let world = story();
    let collector = Collector::start("200 OK");
    world.ok(&["trace", "--otel", &collector.address]);
    let received = collector.received();
    assert_eq!(received.len(), 1);
    assert_eq!(received[0].line, "POST /v1/traces HTTP/1.1");
    assert!(received[0].headers.contains(&"content-type: application/json".to_owned()), "{received:?}");
    assert_eq!(format!("{}\n", received[0].body), world.ok(&["trace"]));

    let sour = Collector::start("503 Service Unavailable");
    let (code, error) = world.refused(&["trace", "--otel", &sour.address]);
    assert_eq!((code, &error["code"]), (1, &"otel".into()));
    let message = error["message"].as_str().unwrap();
    assert!(message.ends_with("it answered 503 Service Unavailable: no, thank you"), "{message}");
    let (code, _) = world.refused(&["trace", "--otel", "http://127.0.0.1:1"]);
    assert_eq!(code, 1);
    let (_, error) = world.refused(&["trace", "--otel", "https://127.0.0.1:1"]);
    assert!(error["message"].as_str().unwrap().contains("only plain `http://`"), "{error}");
}

#[test]
fn a_collector_that_leads_elsewhere_isn_t_followed_nor_is_a_proxy_asked() {
    let world = story();
    let elsewhere = Collector::start("200 OK");
    let header = format!("307 Temporary Redirect\r\nlocation: {}/v1/traces", elsewhere.address);
    let leading = Collector::start(header.leak());
    let mut command = world.ilchul(&["trace", "--otel", &leading.address]);
    command.env("http_proxy", &elsewhere.address).env("ALL_PROXY", &elsewhere.address);
    super::world::ran(&command.output().unwrap()).exits(1);
    assert_eq!((leading.received().len(), elsewhere.received().len()), (1, 0));
}

#[test]
fn up_exports_what_it_ran_and_its_outcome_is_the_run_s_own() {
    let world = World::with(STORY);
    let file = world.root().join("up.json");
    let up = ["up", "--session", "subprocess", "--unattended", "--otel"];
    world.run(&[&up[..], &[file.to_str().unwrap()]].concat()).exits(4);
    let first = spans(&fs::read_to_string(&file).unwrap());
    assert!(first[0]["attributes"].to_string().contains("ilchul.open"), "it isn't over");
    world.ok(&["approve", "ship"]);
    world.run(&[&up[..], &[file.to_str().unwrap()]].concat()).exits(0);
    let second = spans(&fs::read_to_string(&file).unwrap());
    assert_eq!(second[0]["status"]["code"], 1);
    assert_eq!(second[0]["traceId"], first[0]["traceId"]);

    let world = World::with("tasks: { a: { run: 'true' } }\n");
    let said = world.run(&["up", "--session", "subprocess", "--otel", "http://127.0.0.1:1"]).exits(0);
    assert!(said.stderr.contains("The trace wasn't exported: failed to export to"), "{}", said.stderr);
    let world = World::with("tasks: { a: { run: 'true' } }\n");
    world.run(&["up", "--session", "subprocess", "--otel", "https://x"]).exits(1);
    assert_eq!(world.run_id(), None, "what can't be done is said before anything is");
}
