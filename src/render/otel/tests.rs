//! The trace of a run that is written by hand, event by event.

use super::*;
use crate::engine::event::{EvidenceEvent, RunEvent, Started, TaskEvent, TaskStep};
use crate::engine::evidence::{Checked, Verdict};
use crate::engine::moment::Moment;
use crate::workflow::SessionKind;

const WORKFLOW: &str = "
version: 1
name: story
tasks:
  build: { run: make, retries: 1 }
  ship: { run: make ship, needs: [build] }
";

fn at(seconds: u64, wall_ms: i64) -> Stamp {
    Stamp { moment: Moment(seconds * 1000), wall_ms }
}

fn started() -> Event {
    Event::Run(RunEvent::Started(Box::new(Started {
        run: "20260101-000000-abcd".into(),
        path: "ilchul.yaml".into(),
        digest: "d".repeat(64),
        base: "b".repeat(40),
        base_name: "HEAD".into(),
        bases: std::collections::BTreeMap::new(),
        session: SessionKind::Subprocess,
        workers: 2,
        only: Vec::new(),
        setup: None,
        pid: 1,
        boot: "boot".into(),
        mono_ms: 0,
        workflow: crate::workflow::load("ilchul.yaml", WORKFLOW.as_bytes()).unwrap().workflow,
    })))
}

fn step(task: &str, step: TaskStep, reason: &str) -> Event {
    Event::Task(TaskEvent { task: task.into(), reason: reason.into(), step })
}

fn claimed(attempt: u32) -> TaskStep {
    TaskStep::Claimed { attempt, recovered_from: None }
}

/// The run: `build` is refuted once and repaired, `ship` works. The wall clock is set back an
/// hour in the middle of it.
fn story() -> Vec<(Stamp, Event)> {
    let refuted = Checked::new("exit", Verdict::Refuted, "expected exit code 0, found exit code 1");
    let hour = 3_600_000;
    vec![
        (at(0, hour), started()),
        (at(0, hour), step("build", TaskStep::NeedsMet, "")),
        (at(1, hour + 1000), step("build", claimed(1), "")),
        (at(2, hour + 2000), step("build", TaskStep::Acknowledged, "")),
        (at(5, hour + 5000), step("build", TaskStep::Worked, "")),
        (
            at(5, 5000),
            Event::Evidence(EvidenceEvent { task: "build".into(), attempt: 1, item: 0, checked: refuted }),
        ),
        (at(6, 6000), step("build", TaskStep::Refuted, "evidence: exit")),
        (at(6, 6000), step("build", TaskStep::Repaired { again: true }, "evidence: exit")),
        (at(6, 6000), step("build", claimed(2), "")),
        (at(7, 7000), step("build", TaskStep::Acknowledged, "")),
        (at(8, 8000), step("build", TaskStep::WentPartial, "said so")),
        (at(8, 8000), step("ship", TaskStep::NeedsMet, "")),
        (at(9, 9000), step("ship", claimed(1), "")),
        (at(9, 9000), step("ship", TaskStep::Acknowledged, "")),
    ]
}

fn spans(events: &[(Stamp, Event)]) -> Vec<Value> {
    let documents = documents(events.iter().map(|(at, event)| (*at, event)));
    assert_eq!(documents.len(), 1);
    documents[0]["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap().clone()
}

fn named<'s>(spans: &'s [Value], name: &str) -> &'s Value {
    let found: Vec<&Value> = spans.iter().filter(|span| span["name"] == name).collect();
    assert_eq!(found.len(), 1, "{name}: {spans:#?}");
    found[0]
}

fn seconds(span: &Value, field: &str) -> u64 {
    let nanos: u64 = span[field].as_str().unwrap().parse().unwrap();
    (nanos - 3_600_000_000_000) / 1_000_000_000
}

#[test]
fn a_run_is_a_tree_of_spans_on_its_own_line_of_time() {
    let spans = spans(&story());
    let names: Vec<&str> = spans.iter().map(|span| span["name"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        [
            "run story",
            "task build",
            "wait",
            "attempt build.1",
            "launch",
            "work",
            "verify",
            "attempt build.2",
            "launch",
            "work",
            "task ship",
            "wait",
            "attempt ship.1",
            "launch",
            "work",
        ]
    );
    let build = named(&spans, "attempt build.1");
    let times = |span: &Value| (seconds(span, "startTimeUnixNano"), seconds(span, "endTimeUnixNano"));
    assert_eq!(times(build), (1, 6), "a clock that was set back moves nothing");
    assert_eq!(times(named(&spans, "verify")), (5, 6));
    assert_eq!(times(named(&spans, "task build")), (0, 8));
    assert_eq!(times(&spans[0]), (0, 9));
    for span in &spans {
        let parent = spans.iter().find(|other| other["spanId"] == span["parentSpanId"]);
        assert_eq!(parent.is_none(), span["name"] == "run story");
        let Some(parent) = parent else { continue };
        assert!(times(parent).0 <= times(span).0 && times(span).1 <= times(parent).1, "{span:#}");
        assert_eq!(span["traceId"], spans[0]["traceId"]);
    }
}

#[test]
fn needs_are_links_refusals_are_events_and_only_failures_are_errors() {
    let spans = spans(&story());
    let links = named(&spans, "task ship")["links"].as_array().unwrap();
    assert_eq!(links.len(), 1);
    assert_eq!(links[0]["spanId"], named(&spans, "task build")["spanId"]);
    let verify = named(&spans, "verify");
    assert_eq!(verify["events"][0]["name"], "evidence.refuted");
    assert_eq!(verify["status"], json!({"code": 2, "message": "evidence: exit"}));
    assert_eq!(named(&spans, "attempt build.1")["status"]["code"], 2);
    assert_eq!(named(&spans, "attempt build.2")["status"], json!({"code": 0}), "partial is neither");
    assert_eq!(spans[0]["status"], json!({"code": 0}), "it goes on");
    let open = |span: &Value| span["attributes"].to_string().contains("ilchul.open");
    let open: Vec<&Value> = spans.iter().filter(|span| open(span)).map(|span| &span["name"]).collect();
    assert_eq!(open, ["run story", "task ship", "attempt ship.1", "work"]);
}

#[test]
fn the_same_run_is_the_same_trace_and_another_is_another() {
    assert_eq!(spans(&story()), spans(&story()));
    let ids: std::collections::BTreeSet<String> =
        spans(&story()).iter().map(|span| span["spanId"].to_string()).collect();
    assert_eq!(ids.len(), spans(&story()).len());
    assert_ne!(trace_id("a"), trace_id("b"));
    assert_eq!(trace_id("a").len(), 32);
}

#[test]
fn a_task_that_is_retried_after_its_end_goes_on_in_its_own_span() {
    let mut events = story();
    events.truncate(11);
    events.push((at(8, 8000), Event::Run(RunEvent::Ended { success: false, halted: None })));
    assert_eq!(spans(&events)[0]["status"], json!({"code": 2, "message": "not every task completed"}));
    events.push((at(20, 20_000), Event::Run(RunEvent::Reopened { task: "build".into() })));
    events.push((at(20, 20_000), step("build", TaskStep::Reopened, "")));
    let spans = spans(&events);
    assert_eq!(spans[0]["status"], json!({"code": 0}));
    assert_eq!(seconds(named(&spans, "task build"), "endTimeUnixNano"), 20);
    assert!(!named(&spans, "task build")["attributes"].to_string().contains("ilchul.state"));
}

#[test]
fn a_large_run_is_told_in_several_documents_and_nothing_in_none() {
    assert_eq!(documents(std::iter::empty()), [Value::Null; 0]);
    let mut events = story();
    events.truncate(2);
    for attempt in 1..=600 {
        events.push((at(2, 0), step("build", claimed(attempt), "")));
        events.push((at(2, 0), step("build", TaskStep::LaunchFailed { again: true }, "no")));
    }
    let documents = documents(events.iter().map(|(at, event)| (*at, event)));
    assert_eq!(documents.len(), 2);
    assert_eq!(count(&documents), 2 + 1 + 600 * 2);
}
