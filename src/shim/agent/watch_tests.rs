//! What is known of an agent after which records, on a clock of the test's.

use super::*;
use serde_json::json;

#[expect(clippy::needless_pass_by_value, reason = "a literal at each call")]
fn spec(dir: &tempfile::TempDir, more: Value) -> AgentSpec {
    let mut spec = json!({"adapter": "x", "mode": "headless", "state": dir.path(), "ready": "event", "end": "turn",
        "ready_ms": 1_000, "linger_ms": 500, "limits": {"phrases": ["429"], "wait": ["in"], "until": ["lim:at"]},
        "signals": {"ready": ["r"], "progress": ["p"], "tool_open": ["o"], "tool_close": ["c"], "needs_input": ["n"],
            "turn_end": ["e"], "turn_failed": ["f"], "limited": ["lim"]}});
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_value(spec).unwrap()
}

/// Hears each event at `now`.
fn hear(watch: &mut Watch<'_>, events: &[Value], now: Instant) {
    let path = Path::new(&watch.spec.state).join(EVENTS);
    let lines: String = events.iter().map(|event| format!("{event}\n")).collect();
    let before = std::fs::read_to_string(&path).unwrap_or_default();
    std::fs::write(&path, before + &lines).unwrap();
    watch.look(None, 0, now);
}

fn event(name: &str) -> Value {
    json!({"event": name})
}

fn after(now: Instant, millis: u64) -> Instant {
    now + Duration::from_millis(millis)
}

#[test]
fn a_turn_is_ready_by_its_first_sign_and_over_when_nothing_follows_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let spec = spec(&dir, json!({}));
    let mut watch = Watch::new(&spec);
    let now = clock::now();
    watch.begin_turn(true, now);
    assert_eq!((watch.verdict(after(now, 999)), watch.wake_at()), (None, Some(after(now, 1_000))));
    assert_eq!(watch.verdict(after(now, 1_000)), Some(Verdict::NotReady));
    hear(&mut watch, &[event("r"), event("unknown")], after(now, 10));
    assert_eq!((watch.verdict(after(now, 60_000)), watch.progress()), (None, (1, AgentPhase::Model)));
    hear(&mut watch, &[event("o"), event("o"), event("c")], after(now, 20));
    assert_eq!(watch.progress(), (4, AgentPhase::Tool));
    hear(&mut watch, &[event("e")], after(now, 100));
    assert_eq!(watch.progress(), (5, AgentPhase::TurnEnded));
    assert_eq!((watch.verdict(after(now, 599)), watch.verdict(after(now, 600))), (None, Some(Verdict::Over)));
    hear(&mut watch, &[event("p")], after(now, 599));
    assert_eq!((watch.verdict(after(now, 9_000)), watch.progress()), (None, (6, AgentPhase::Model)));
}

#[test]
fn a_question_is_told_once_and_stands_until_there_is_progress() {
    let dir = tempfile::tempdir().unwrap();
    let spec = spec(&dir, json!({}));
    let mut watch = Watch::new(&spec);
    let now = clock::now();
    watch.begin_turn(true, now);
    let ask = json!({"event": "n", "message": "may I?"});
    hear(&mut watch, &[event("p"), ask.clone(), ask.clone()], now);
    assert_eq!(watch.take_question().as_deref(), Some("may I?"));
    assert_eq!((watch.take_question(), watch.progress()), (None, (1, AgentPhase::NeedsInput)));
    hear(&mut watch, &[event("e")], now);
    assert!(watch.asks(), "the end of the turn is no answer");
    hear(&mut watch, &[event("p")], now);
    assert!(!watch.asks());
    // One that was answered before anybody looked is none.
    hear(&mut watch, &[ask, event("p")], now);
    assert_eq!((watch.take_question(), watch.asks()), (None, false));
}

#[test]
fn a_limit_holds_until_there_is_progress_and_says_for_how_long() {
    let dir = tempfile::tempdir().unwrap();
    let stream = json!({"name": ["type"], "error": ["err:text"]});
    let spec = spec(&dir, json!({"stream": stream}));
    let mut watch = Watch::new(&spec);
    let now = clock::now();
    watch.begin_turn(true, now);
    let in_an_hour = clock::unix() + 3_600;
    hear(
        &mut watch,
        &[json!({"event": "lim", "at": in_an_hour}), json!({"event": "f", "message": "429"})],
        now,
    );
    let limit = watch.limit("").unwrap();
    assert_eq!(limit.why, "429");
    assert!((3_590..=3_600).contains(&limit.seconds), "{limit:?}");
    assert_eq!(watch.verdict(after(now, 500)), Some(Verdict::Over), "it isn't waited for in its place");
    hear(&mut watch, &[event("p")], now);
    assert!(watch.limit("").is_none() && watch.failure().is_none());
    hear(&mut watch, &[json!({"event": "err", "text": "429, in 7 s"}), event("e")], now);
    assert_eq!(watch.limit("").unwrap().seconds, 7);
    watch.begin_turn(false, now);
    assert!(watch.limit("").is_none(), "another turn");
    assert_eq!(watch.limit("a\nHTTP 429\n").unwrap().why, "HTTP 429");
}

#[test]
fn a_failure_is_the_agents_own_word_and_an_end_after_it_takes_nothing_back() {
    let dir = tempfile::tempdir().unwrap();
    let spec = spec(&dir, json!({}));
    let mut watch = Watch::new(&spec);
    let now = clock::now();
    watch.begin_turn(true, now);
    hear(&mut watch, &[json!({"event": "f", "message": "401"}), event("e")], now);
    assert_eq!(watch.failure().as_deref(), Some("401"));
    assert!(watch.limit("").is_none());
}

#[test]
fn the_session_is_the_last_one_told_and_a_fresh_turn_forgets_it() {
    let dir = tempfile::tempdir().unwrap();
    let spec = spec(&dir, json!({}));
    let mut watch = Watch::new(&spec);
    let now = clock::now();
    watch.begin_turn(true, now);
    hear(
        &mut watch,
        &[json!({"event": "r", "session": "s1"}), json!({"event": "p", "session": "--evil"})],
        now,
    );
    assert_eq!(watch.session(), Some("s1"));
    watch.begin_turn(false, now);
    assert_eq!(watch.session(), Some("s1"));
    watch.begin_turn(true, now);
    assert_eq!(watch.session(), None);
}

#[test]
fn a_hook_that_is_read_with_what_the_agent_printed_after_it_takes_no_limit_back() {
    let dir = tempfile::tempdir().unwrap();
    let rules = json!({"name": ["type", "error"], "each": "message.content", "each_name": ["type"],
        "error": ["assistant/rate_limit/text:text"]});
    let signals = json!({"ready": ["r"], "progress": ["p", "assistant"], "turn_failed": ["f"],
        "limited": ["assistant/rate_limit"]});
    let spec = spec(&dir, json!({"stream": rules, "signals": signals}));
    let mut watch = Watch::new(&spec);
    let now = clock::now();
    watch.begin_turn(true, now);
    let raw = crate::shim::output::Log::append(&dir.path().join("stream.jsonl"), 1 << 20).unwrap();
    let mut lens = Lens::new("x", spec.stream.clone(), raw);
    let said = json!({"type": "assistant", "error": "rate_limit",
        "message": {"content": [{"type": "text", "text": "rejected (429), come back in 4s"}]}});
    lens.take(format!("{said}\n").as_bytes());
    let hooks = [event("r"), event("p"), json!({"event": "f", "message": "rate_limit"})];
    let lines: String = hooks.iter().map(|hook| format!("{hook}\n")).collect();
    std::fs::write(dir.path().join(EVENTS), lines).unwrap();
    watch.look(Some(&mut lens), 0, now);
    let limit = watch.limit("").unwrap();
    assert_eq!((limit.seconds, limit.why.as_str()), (4, "rejected (429), come back in 4s"));
}
