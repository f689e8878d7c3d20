//! Tables, the fixtures, and random bytes for the parsers.

use super::{
    Ack, Assignment, Claim, ExitRecord, Heartbeat, Launch, MAX_BYTES, MAX_CLAIMS, Note, Problem,
    REPORT_SCHEMA, Ready, Report, ReportStatus, Stop, Usage, WORKER_SCHEMA, Wire, parse, problems_of,
};
use proptest::prelude::{Just, Strategy, any, prop, prop_oneof, proptest};
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::fs;
use std::path::{Path, PathBuf};

fn fixtures(kind: &str) -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/reports").join(kind);
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let found: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|kind| kind == "json")).collect();
    assert!(found.len() > 5, "{kind}: the fixtures are there");
    found
}

/// `code path` a problem, as the expectations are written.
fn listed(problems: &[Problem]) -> String {
    let line = |problem: &Problem| format!("{} {}", problem.code, problem.path).trim_end().to_owned() + "\n";
    problems.iter().map(line).collect()
}

#[test]
fn every_valid_fixture_is_taken_and_written_back_the_same() {
    for path in fixtures("valid") {
        let report =
            Report::check(&fs::read(&path).unwrap()).unwrap_or_else(|p| panic!("{}: {p:?}", path.display()));
        let again = Report::check(&serde_json::to_vec(&report).unwrap()).unwrap();
        assert_eq!(report, again, "{}", path.display());
    }
}

#[test]
fn every_invalid_fixture_is_refused_with_all_its_problems() {
    for path in fixtures("invalid") {
        let expected = fs::read_to_string(path.with_extension("expect")).unwrap();
        let problems = Report::check(&fs::read(&path).unwrap()).unwrap_err();
        assert_eq!(listed(&problems), expected, "{}: {problems:?}", path.display());
        for problem in problems {
            let text = problem.to_string();
            assert!(text.starts_with("read ") && !text.ends_with('.'), "{text}");
        }
    }
}

#[test]
fn a_full_report_keeps_everything_that_it_says() {
    let claim = |kind: &str| Claim { kind: kind.to_owned(), ..Claim::default() };
    let report = Report {
        schema: REPORT_SCHEMA.to_owned(),
        task: "fix".to_owned(),
        attempt: 2,
        token: u64::MAX,
        status: ReportStatus::NeedsInput,
        summary: "tab\tand \u{1b}[31m".to_owned(),
        reason: Some("why".to_owned()),
        evidence: vec![Claim { path: Some("a/b".to_owned()), ..claim("artifact") }, claim("exit")],
        outputs: Map::from_iter([("label".to_owned(), json!("left"))]),
        usage: Some(Usage { tokens: Some(5), usd: Some(0.5) }),
        retry_after: Some(super::RETRY_AFTER_MAX_S),
        question: Some(2),
        by: Some(super::ReportBy::Shim),
    };
    assert_eq!(Report::check(&serde_json::to_vec(&report).unwrap()).unwrap(), report);
}

#[test]
fn every_status_is_written_as_the_contract_says() {
    let all = [
        (ReportStatus::Done, false),
        (ReportStatus::Failed, false),
        (ReportStatus::Blocked, true),
        (ReportStatus::Partial, false),
        (ReportStatus::NeedsInput, true),
        (ReportStatus::NoChange, false),
    ];
    assert_eq!(all.map(|(status, _)| status.as_str()), ReportStatus::WORDS);
    for (status, is_open) in all {
        assert_eq!(serde_json::to_value(status).unwrap(), status.as_str());
        assert_eq!(status.is_open(), is_open, "{status:?}");
    }
}

fn report_with(field: &str, value: Value) -> Vec<u8> {
    let mut report = json!({"schema": REPORT_SCHEMA, "task": "fix", "attempt": 1, "token": 7, "status": "done",
        "summary": ""});
    report[field] = value;
    serde_json::to_vec(&report).unwrap()
}

#[test]
fn a_word_that_is_nearly_right_gets_a_suggestion() {
    let table = [
        ("success", "`done`?"),
        ("Done", "`done`?"),
        ("doen", "`done`?"),
        ("needs-input", "`needs_input`?"),
        ("no change", "`no_change`?"),
        ("faild", "`failed`?"),
        ("error", "`failed`?"),
    ];
    for (word, suggestion) in table {
        let problems = Report::check(&report_with("status", json!(word))).unwrap_err();
        assert!(problems[0].message.ends_with(suggestion), "{word}: {problems:?}");
    }
    let problems = Report::check(&report_with("status", json!("banana\u{1b}"))).unwrap_err();
    assert!(!problems[0].message.contains("did you mean"), "{problems:?}");
    assert!(!problems[0].message.contains('\u{1b}'), "what is quoted is made visible: {problems:?}");
}

#[test]
fn ten_thousand_claims_are_too_many_and_make_no_long_answer() {
    let claims = |count: usize, claim: &Value| report_with("evidence", vec![claim.clone(); count].into());
    assert!(Report::check(&claims(MAX_CLAIMS, &json!({"kind": "exit"}))).is_ok());
    let problems = Report::check(&claims(10_000, &json!({"kind": "exit"}))).unwrap_err();
    assert_eq!(listed(&problems), "too_many evidence\n");
    let problems = Report::check(&claims(10_000, &json!({"kind": "x"}))).unwrap_err();
    assert_eq!(problems.len(), 101, "a hundred, and how many more");
}

#[test]
fn the_bound_on_bytes_is_exact() {
    let mut bytes = report_with("reason", Value::Null);
    bytes.resize(MAX_BYTES, b' ');
    assert!(Report::check(&bytes).is_ok());
    bytes.push(b' ');
    assert_eq!(parse::<Report>(&bytes).unwrap_err().code, "too_large");
}

#[test]
fn the_bound_on_nesting_is_exact() {
    // The document and `outputs` are two of the levels.
    let nested = |lists: usize| {
        let text = String::from_utf8(report_with("outputs", json!({"a": 0}))).unwrap();
        text.replace("\"a\":0", &format!("\"a\":{}{}", "[".repeat(lists), "]".repeat(lists))).into_bytes()
    };
    assert!(Report::check(&nested(62)).is_ok());
    assert_eq!(Report::check(&nested(63)).unwrap_err()[0].code, "too_deep");
    assert!(Report::check(&nested(100_000)).is_err(), "no depth exhausts the stack");
}

/// Each document as it is written, whole and with every field that may be missing left out.
fn check<T: Wire + Serialize + PartialEq + std::fmt::Debug>(full: &Value, optional: &[&str]) {
    let read = |value: &Value| parse::<T>(&serde_json::to_vec(value).unwrap());
    let document = read(full).unwrap_or_else(|problem| panic!("{problem}: {full}"));
    assert_eq!(serde_json::to_value(&document).unwrap(), *full, "written as it was read");
    let fields: Vec<String> = full.as_object().unwrap().keys().cloned().collect();
    for field in &fields {
        let mut less = full.clone();
        less.as_object_mut().unwrap().remove(field);
        let mut null = full.clone();
        null[field] = Value::Null;
        let mut other = full.clone();
        other[field] = json!([[]]);
        if optional.contains(&field.as_str()) {
            assert!(read(&less).is_ok(), "{field} may be missing");
            assert!(read(&null).is_ok(), "{field} may be null");
        } else {
            assert_eq!(read(&less).unwrap_err().code, "missing_field", "{field}");
            assert!(read(&null).is_err(), "{field} may not be null");
        }
        assert!(read(&other).is_err(), "{field} isn't a list of lists");
    }
    let mut more = full.clone();
    more["unheard_of"] = json!({"x": [1]});
    assert_eq!(read(&more).unwrap(), document, "unknown fields are ignored");
    assert!(problems_of::<T>(&serde_json::to_vec(full).unwrap()).is_empty());
}

/// An agent that uses every field of its specification.
fn agent() -> Value {
    json!({"adapter": "a", "mode": "terminal", "state": "/m/agent", "stdin": "/m/prompt.md",
        "stream": {"name": ["type", "item.type"], "each": "message.content", "each_name": ["type"],
            "session": ["*:session_id"], "error": ["turn.failed:error.message"],
            "show": [{"on": "result", "line": "{text}"}], "drop": ["delta"]},
        "usage": [{"on": "result", "tokens": ["usage.in"], "usd": "cost", "fold": "session"}],
        "signals": {"ready": ["a"], "progress": ["b"], "tool_open": ["c"], "tool_close": ["d"],
            "needs_input": ["e"], "turn_end": ["f"], "turn_failed": ["g"], "limited": ["h"]},
        "result": {"file": "/m/agent/traj.json", "path": "info.status", "ok": ["Done"], "tokens": ["n"], "usd": "c"},
        "ready": "event", "end": "turn", "resume": ["x", "{session}", "{prompt}"], "again": ["x", "{prompt}"],
        "limits": {"phrases": ["rate limit"], "wait": ["try again in"], "seconds": ["e:s"], "until": ["e:u"],
            "default_ms": 5},
        "ready_ms": 1, "linger_ms": 2, "reminders": 3})
}

#[test]
fn an_agent_needs_only_a_name_a_mode_and_its_folder() {
    let least = json!({"schema": WORKER_SCHEMA, "run": "r", "task": "a", "attempt": 1, "token": 2,
        "agent": {"adapter": "a", "mode": "headless", "state": "/m/agent"}});
    let assignment: Assignment = parse(&serde_json::to_vec(&least).unwrap()).unwrap();
    let agent = assignment.agent.unwrap();
    assert_eq!((agent.ready_ms, agent.linger_ms, agent.reminders), (60_000, 5_000, 1));
    assert_eq!(agent.limits.default_ms, 60_000);
    for (field, value) in
        [("mode", json!("pane")), ("signals", json!({"ready": "x"})), ("reminders", json!(-1))]
    {
        let mut other = least.clone();
        other["agent"][field] = value;
        let problem = parse::<Assignment>(&serde_json::to_vec(&other).unwrap()).unwrap_err();
        assert_eq!(problem.code, "bad_value", "{other}");
    }
}

#[test]
fn every_phase_is_written_as_the_table_says() {
    use super::AgentPhase::{Ending, Model, NeedsInput, Starting, Tool, TurnEnded};
    let all = [Starting, Model, Tool, NeedsInput, TurnEnded, Ending];
    assert_eq!(all.map(super::AgentPhase::as_str), super::AgentPhase::WORDS);
    for phase in all {
        assert_eq!(serde_json::to_value(phase).unwrap(), phase.as_str());
    }
}

#[test]
fn every_file_of_the_protocol_is_read_as_it_is_written() {
    let schema = WORKER_SCHEMA;
    check::<Launch>(
        &json!({"schema": schema, "worker": "a.1", "nonce": "n", "mail": "/m", "tree": "/t"}),
        &[],
    );
    check::<Ready>(
        &json!({"schema": schema, "worker": "a.1", "nonce": "n", "pid": 9, "started_at": "t"}),
        &[],
    );
    check::<Assignment>(
        &json!({"schema": schema, "run": "r", "task": "a", "attempt": 1, "token": 2, "argv": ["x", ""],
            "prompt_file": "p", "env": {"A": "b"}, "deadline": "t", "beat_ms": 1, "grace_ms": 2,
            "agent": agent()}),
        &["argv", "prompt_file", "env", "deadline", "beat_ms", "grace_ms", "agent"],
    );
    check::<Ack>(&json!({"schema": schema, "token": 1}), &[]);
    check::<Heartbeat>(
        &json!({"schema": schema, "token": 1, "seq": 2, "at": "t", "child": {"pid": 1, "started_at": "t",
            "start_ticks": 5, "alive": true}, "progress": {"output_bytes": 1, "cpu_ms": 2, "events": 3, "phase": "needs-input"}, "note": "n"}),
        &["token", "child", "progress", "note"],
    );
    check::<ExitRecord>(
        &json!({"schema": schema, "token": 1, "code": -1, "signal": 9, "started_at": "t", "ended_at": "t",
            "survivors": [3], "error": "e", "usage": {"tokens": 1, "usd": 0.5}}),
        &["token", "code", "signal", "survivors", "error", "usage"],
    );
    check::<super::Answer>(&json!({"schema": schema, "token": 1, "n": 2, "text": "t"}), &[]);
    check::<Stop>(&json!({"schema": schema, "token": 1, "grace_ms": 3}), &["token", "grace_ms"]);
    check::<Note>(&json!({"schema": schema, "note": "n"}), &[]);
    check::<Report>(
        &json!({"schema": REPORT_SCHEMA, "task": "a", "attempt": 1, "token": 1, "status": "done", "summary": "",
            "reason": "", "evidence": [{"kind": "exit"}], "outputs": {}, "usage": {"tokens": 1, "usd": 0.5}}),
        &["reason", "evidence", "outputs", "usage"],
    );
}

#[test]
fn an_assignment_has_the_contracts_rhythm_unless_it_says_otherwise() {
    let least = json!({"schema": WORKER_SCHEMA, "run": "r", "task": "a", "attempt": 1, "token": 2});
    let assignment: Assignment = parse(&serde_json::to_vec(&least).unwrap()).unwrap();
    assert_eq!((assignment.beat_ms, assignment.grace_ms), (2_000, 10_000));
    for env in [json!({"": "x"}), json!({"A=B": "x"}), json!({"A": 1})] {
        let mut other = least.clone();
        other["env"] = env;
        assert!(parse::<Assignment>(&serde_json::to_vec(&other).unwrap()).is_err(), "{other}");
    }
}

#[test]
fn names_of_numbered_files_are_those_of_the_contract() {
    assert_eq!(super::answer_name(3), "answer-3.json");
    assert_eq!(super::submit_name(3), "submit-3.json");
    assert_eq!(super::submit_result_name(3), "submit-3.result.json");
}

/// Any JSON, a little more often like a report than chance would make it.
fn documents() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        prop::sample::select(vec!["done", REPORT_SCHEMA, WORKER_SCHEMA, "artifact"]).prop_map(Value::from),
    ];
    let names = prop::sample::select(vec![
        "schema", "task", "token", "status", "evidence", "kind", "env", "child", "x",
    ]);
    leaf.prop_recursive(4, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((names.clone(), inner), 0..6).prop_map(|fields| Value::Object(
                fields.into_iter().map(|(k, v)| (k.to_owned(), v)).collect()
            )),
        ]
    })
}

/// Every parser answers; a report is either taken or has problems, and never both.
fn answers(bytes: &[u8]) {
    let _ = (parse::<Launch>(bytes), parse::<Ready>(bytes), parse::<Ack>(bytes), parse::<Stop>(bytes));
    let _ = (
        parse::<Assignment>(bytes),
        parse::<Heartbeat>(bytes),
        parse::<ExitRecord>(bytes),
        parse::<Note>(bytes),
    );
    match Report::check(bytes) {
        Ok(report) => assert_eq!(Report::check(&serde_json::to_vec(&report).unwrap()).unwrap(), report),
        Err(problems) => {
            assert!(!problems.is_empty());
            assert_eq!(parse::<Report>(bytes).unwrap_err(), problems[0]);
        }
    }
}

proptest! {
    #[test]
    fn no_bytes_make_a_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        answers(&bytes);
    }

    #[test]
    fn no_json_makes_a_parser_panic(document in documents()) {
        answers(&serde_json::to_vec(&document).unwrap());
    }

    #[test]
    fn no_damage_to_a_good_report_makes_a_parser_panic(at in 0_usize..200, byte in any::<u8>(), cut in 0_usize..200) {
        let mut bytes = report_with("evidence", json!([{"kind": "artifact", "path": "a", "sha256": "a".repeat(64)}]));
        let length = bytes.len();
        bytes[at % length] = byte;
        answers(&bytes);
        bytes.truncate(cut);
        answers(&bytes);
    }
}
