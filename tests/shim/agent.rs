//! A shim that runs a coding agent: small scripts play the agent, and the test its supervisor.
//!
//! Every script does what real agents were seen to do. It leaves out real ones.

use super::{Pane, Stage, binary, is_alive, report, wait_for};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use std::fs;

/// Functions that the scripts share: a hook event, and a report into the drop box.
const TOOLS: &str = r#"
event() { printf '{"event":"%s"%s}\n' "$1" "$2" >> "$STATE/events.jsonl"; }
report() { mkdir -p .ilchul; printf '{"schema":"ilchul.report/1","task":"fix","attempt":1,"token":7,"status":"%s","summary":"%s","reason":"%s"}' "$1" "$2" "$2" > .ilchul/report.new; mv .ilchul/report.new .ilchul/report.json; }
until_there() { while [ ! -e "$1" ]; do sleep 0.02; done; }
"#;

/// A stage on which the script `agent` is the agent; `more` is added to its specification.
fn agent(script: &str, more: Value) -> Stage {
    let stage = Stage::ready();
    assign(&stage, script, more);
    stage
}

fn assign(stage: &Stage, script: &str, more: Value) {
    let state = stage.path("mail/agent");
    fs::create_dir(&state).unwrap();
    fs::write(stage.path("mail/prompt.md"), "do it").unwrap();
    let script = format!("{TOOLS}{script}");
    fs::write(stage.path("agent.sh"), &script).unwrap();
    let file = stage.path("agent.sh");
    let file = file.to_str().unwrap();
    let mut spec = json!({"adapter": "fake", "mode": "headless", "state": state,
        "signals": {"ready": ["start"], "progress": ["step"], "tool_open": ["open"], "tool_close": ["close"],
            "needs_input": ["ask"], "turn_end": ["stop"], "turn_failed": ["fail"], "limited": ["limit"]},
        "again": ["sh", file, "again", "{prompt}"], "resume": ["sh", file, "resume", "{session}", "{prompt}"],
        "limits": {"phrases": ["429"], "wait": ["try again in"]}, "linger_ms": 100, "ready_ms": 20_000});
    let Value::Object(more) = more else { panic!("an object") };
    spec.as_object_mut().unwrap().extend(more);
    let env = json!({"STATE": state, "ILCHUL_MAIL": stage.path("mail"), "ILCHUL_TREE": stage.path("tree"),
        "ILCHUL": binary()});
    let prompt = stage.path("mail/prompt.md");
    stage.assign(&["sh", file, "first"], json!({"prompt_file": prompt, "env": env, "agent": spec}));
}

fn has(stage: &Stage, what: &str, is: impl Fn(&Value) -> bool) -> Value {
    wait_for(what, || stage.try_mail("report.json").filter(&is))
}

fn answer(stage: &Stage, n: u32, token: u64, text: &str) {
    let answer = json!({"schema": "ilchul.worker/1", "token": token, "n": n, "text": text});
    stage.put(&format!("answer-{n}.json"), &answer);
}

fn phase(beat: &Value) -> &str {
    beat["progress"]["phase"].as_str().unwrap_or_default()
}

#[test]
fn an_agent_that_reports_and_ends_is_recorded_like_any_child() {
    let mut stage = agent("echo hello; echo oops >&2; report done fixed", json!({}));
    let exit = stage.exit();
    assert_eq!((&exit["code"], &exit["token"]), (&json!(0), &json!(7)));
    assert_eq!(exit.get("usage"), None, "nobody said what it used");
    assert_eq!(stage.mail("report.json")["summary"], "fixed");
    assert_eq!(stage.mail("ack.json")["token"], 7);
    let log = stage.log();
    assert!(log.contains("hello\n") && log.contains("oops\n"), "{log}");
}

#[test]
fn a_headless_agent_has_no_terminal_and_input_that_ends_even_in_a_pane() {
    let script = "cat; (: < /dev/tty) 2> /dev/null && echo has a terminal; tty; ps -o sid= -p $$ | tr -d ' ' > sid; \
        echo $$ > pid; report done x";
    let mut pane = Pane::open();
    assign(&pane.stage, script, json!({}));
    pane.shows("not a tty");
    assert_eq!(pane.stage.exit()["code"], 0);
    let log = pane.stage.log();
    assert_eq!(log, "not a tty\n");
    assert_eq!(pane.stage.file("sid"), pane.stage.file("pid"), "a session of its own");
}

#[test]
fn an_agent_whose_wall_time_is_over_has_failed_for_that_unless_it_said_how_it_went() {
    for (script, status) in [
        ("trap 'exit 0' TERM; sleep 600 & wait", "failed"),
        ("trap 'report done x; exit 0' TERM; sleep 600 & wait", "done"),
        ("report needs_input 'which?'", "failed"),
    ] {
        let mut stage = super::walled(106, 100);
        assign(&stage, script, json!({}));
        stage.exit();
        let said = stage.mail("report.json");
        assert_eq!(said["status"], status, "{said}");
        assert_eq!(said["reason"] == super::WALL_TIME, status == "failed", "{said}");
    }
}

#[test]
fn a_prompt_can_be_standard_input() {
    let stage = Stage::ready();
    let prompt = stage.path("mail/prompt.md");
    assign(&stage, "cat > got; echo >> got; report done x", json!({"stdin": prompt}));
    let mut stage = stage;
    assert_eq!(stage.exit()["code"], 0);
    assert_eq!(stage.file("got"), "do it\n");
}

#[test]
fn s22_a_fifo_in_place_of_the_prompt_is_refused_and_not_waited_for() {
    let stage = Stage::ready();
    let fifo = stage.path("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    assign(&stage, "cat", json!({"stdin": fifo}));
    let mut stage = stage;
    let exit = stage.exit();
    assert!(exit["error"].as_str().unwrap().contains("regular file"), "{exit}");
}

#[test]
fn beats_tell_phase_tool_and_signs_of_progress() {
    let script = "until_there a; event start; until_there b; event open ',\"tool\":\"Bash\"'; until_there c; \
        event close; until_there d; event stop; until_there e; report done x";
    let mut stage = agent(script, json!({"ready": "event"}));
    let go = |name: &str| fs::write(stage.path("tree").join(name), "").unwrap();
    let beat = stage.beat("the first beat", |beat| phase(beat) == "starting");
    assert_eq!(beat["progress"]["events"], 0);
    go("a");
    assert_eq!(stage.beat("readiness", |beat| phase(beat) == "model")["progress"]["events"], 1);
    go("b");
    let beat = stage.beat("a tool", |beat| phase(beat) == "tool");
    assert_eq!((&beat["progress"]["events"], &beat["note"]), (&json!(2), &json!("fake: tool Bash")));
    go("c");
    stage.beat("the model again", |beat| phase(beat) == "model");
    go("d");
    stage.beat("the end of the turn", |beat| phase(beat) == "turn-ended");
    go("e");
    assert_eq!(stage.exit()["code"], 0);
}

#[test]
fn repainting_without_an_event_is_no_progress() {
    let script =
        "event start; while [ ! -e go ]; do printf 'thinking...\\r'; sleep 0.01; done; report done x";
    let mut stage = agent(script, json!({"ready": "event"}));
    let beat = stage.beat("some output", |beat| beat["progress"]["output_bytes"].as_u64() > Some(100));
    let seq = beat["seq"].as_u64().unwrap();
    let later = stage.beat("ten more beats", |beat| beat["seq"].as_u64() > Some(seq + 10));
    assert!(later["progress"]["output_bytes"].as_u64() > beat["progress"]["output_bytes"].as_u64());
    assert_eq!(later["progress"]["events"], 1);
    fs::write(stage.path("tree/go"), "").unwrap();
    stage.exit();
}

#[test]
fn an_agent_that_forgets_its_report_is_asked_once_in_its_own_session() {
    let script = "printf '%s\\n' \"$1\" \"$2\" \"$3\" >> turns; event start ',\"session\":\"ses-1\"'; \
        [ $1 = first ] || report done late";
    let mut stage = agent(script, json!({}));
    assert_eq!(stage.exit()["code"], 0);
    assert_eq!(stage.mail("report.json")["summary"], "late");
    let turns = stage.file("turns");
    assert!(
        turns.starts_with("first\n\n\nresume\nses-1\nYour turn has ended, and there is no valid report"),
        "{turns}"
    );
    assert!(turns.contains("\"token\":7") && turns.contains(".ilchul/report.json"), "{turns}");
    assert!(stage.log().contains("[ilchul] fake ended its turn without a report"), "{}", stage.log());
}

#[test]
fn a_reminder_says_what_is_wrong_with_the_report_that_is_there() {
    let script = "echo \"$*\" >> turns; mkdir -p .ilchul; [ $1 = first ] && echo '{ half' > .ilchul/report.json && \
        exit; report no_change fine";
    let mut stage = agent(script, json!({}));
    stage.exit();
    assert_eq!(stage.mail("report.json")["status"], "no_change");
    let turns = stage.file("turns");
    assert!(
        turns.contains("again Read `")
            && turns.contains("no valid report of it: it can't be used, key must be a string"),
        "{turns}"
    );
}

#[test]
fn one_that_never_reports_ends_without_a_report() {
    let mut stage = agent("echo x >> turns", json!({"reminders": 2}));
    assert_eq!(stage.exit()["code"], 0);
    assert_eq!(stage.file("turns"), "x\nx\nx\n");
    assert!(stage.try_mail("report.json").is_none());
    let mut stage = agent("echo x >> turns", json!({"again": [], "resume": []}));
    stage.exit();
    assert_eq!(stage.file("turns"), "x\n", "nothing to ask it with");
}

#[test]
fn a_prompt_of_a_further_turn_that_no_argument_names_is_standard_input() {
    let stage = Stage::ready();
    let file = stage.path("agent.sh");
    assign(
        &stage,
        "cat > got-$1; echo >> got-$1; [ $1 = first ] || report done x",
        json!({"again": ["sh", file, "again"]}),
    );
    let mut stage = stage;
    stage.exit();
    assert!(
        stage.file("got-again").contains("report what") || stage.file("got-again").contains("ilchul report")
    );
    assert_eq!(stage.file("got-first"), "\n");
}

#[test]
fn a_question_is_waited_for_with_beats_and_its_answer_is_the_next_turn() {
    let script = "printf '%s\\n' \"$*\" >> turns; event start ',\"session\":\"s1\"'; \
        if [ $1 = first ]; then report needs_input 'which colour?'; else report done \"$(grep -c -e '^-red' turns)\"; fi";
    let mut stage = agent(script, json!({}));
    has(&stage, "the question", |report| report["status"] == "needs_input");
    let beat =
        stage.beat("a beat without a child", |beat| beat["child"].is_null() && phase(beat) == "needs-input");
    assert_eq!(beat["token"], 7);
    let seq = beat["seq"].as_u64().unwrap();
    stage.beat("beats go on", |beat| beat["seq"].as_u64() > Some(seq + 5));
    answer(&stage, 1, 6, "of another attempt");
    answer(&stage, 2, 7, "of another question");
    let seq = stage.mail("heartbeat.json")["seq"].as_u64().unwrap();
    stage.beat("it waits on", |beat| beat["seq"].as_u64() > Some(seq + 20));
    answer(&stage, 1, 7, "-red {prompt_file} $(x)");
    assert_eq!(stage.exit()["code"], 0);
    let turns = stage.file("turns");
    assert!(
        turns.contains("resume s1 This is the answer to your question:\n\n-red {prompt_file} $(x)\n"),
        "{turns}"
    );
    assert_eq!(stage.mail("report.json")["summary"], "1", "an answer that looks like an option is none");
}

#[test]
fn a_question_that_was_answered_is_no_report_of_the_next_turn() {
    let script = "echo $1 >> turns; [ $1 = first ] && report needs_input q";
    let mut stage = agent(&format!("{script}; true"), json!({"reminders": 1}));
    has(&stage, "the question", |report| report["status"] == "needs_input");
    answer(&stage, 1, 7, "a");
    assert_eq!(stage.exit()["code"], 0);
    assert_eq!(stage.file("turns"), "first\nagain\nagain\n", "it was asked for its report");
}

#[test]
fn an_answer_that_the_agent_took_itself_is_not_that_to_its_next_question() {
    let script = "echo \"$*\" >> turns; if [ $1 = first ]; then until_there a; \
        echo '{}' > $ILCHUL_MAIL/taken-1.json; report needs_input 'and then?'; else report done x; fi";
    let mut stage = agent(script, json!({}));
    stage.beat("it works", |beat| !beat["child"].is_null());
    answer(&stage, 1, 7, "the first words");
    fs::write(stage.path("tree").join("a"), "").unwrap();
    stage.beat("it waits", |beat| phase(beat) == "needs-input" && beat["child"].is_null());
    answer(&stage, 2, 7, "the second words");
    stage.exit();
    let turns = stage.file("turns");
    assert!(turns.contains("the second words") && !turns.contains("the first words"), "{turns}");
}

#[test]
fn an_order_to_end_is_heard_while_it_waits_for_an_answer() {
    for by_file in [true, false] {
        let mut stage = agent("report needs_input q", json!({}));
        stage.beat("it waits", |beat| phase(beat) == "needs-input");
        if by_file {
            stage.put("stop.json", &json!({"schema": "ilchul.worker/1", "token": 7}));
        } else {
            stage.signal(Signal::SIGTERM);
        }
        assert_eq!(stage.exit()["code"], 0);
        assert_eq!(stage.mail("report.json")["status"], "needs_input");
    }
}

#[test]
fn a_hooks_question_is_a_report_of_the_shims_that_the_agents_own_replaces() {
    let script = "event start; event step; event ask ',\"tool\":\"Bash\",\"message\":\"rm x?\"'; until_there a; \
        event open; until_there b; event ask ',\"message\":\"sure?\"'; until_there c; event step; report done x";
    let mut stage = agent(script, json!({}));
    let go = |name: &str| fs::write(stage.path("tree").join(name), "").unwrap();
    let asked = stage.mail("report.json");
    assert_eq!(
        (&asked["status"], &asked["by"], &asked["question"]),
        (&json!("needs_input"), &json!("shim"), &json!(1))
    );
    assert_eq!(asked["reason"], "rm x? (tool Bash)");
    // The beat that says so was there before the question.
    let beat = stage.mail("heartbeat.json");
    assert_eq!((phase(&beat), &beat["progress"]["events"]), ("needs-input", &json!(2)));
    assert!(beat["child"]["alive"].as_bool().unwrap());
    go("a");
    let beat = stage.beat("it goes on", |beat| phase(beat) == "tool");
    assert_eq!(beat["progress"]["events"], 3);
    go("b");
    has(&stage, "another question", |report| report["reason"] == "sure?");
    go("c");
    assert_eq!(stage.exit()["code"], 0);
    assert_eq!(stage.mail("report.json")["status"], "done");
}

#[test]
fn a_hooks_question_that_was_never_taken_back_is_waited_on_after_the_turn() {
    let script = "echo \"$*\" >> turns; if [ $1 = first ]; then event ask ',\"message\":\"may I?\"'; event stop; \
        sleep 0.3; else report done x; fi";
    let mut stage = agent(script, json!({}));
    stage.beat("it waits", |beat| phase(beat) == "needs-input" && beat["child"].is_null());
    answer(&stage, 1, 7, "you may");
    stage.exit();
    assert!(stage.file("turns").contains("you may"));
}

#[test]
fn a_provider_that_refuses_work_is_a_report_with_a_time() {
    let fails = |script: &str, more: Value| {
        let mut stage = agent(script, more);
        stage.exit();
        let report = stage.mail("report.json");
        assert_eq!((&report["status"], &report["by"]), (&json!("failed"), &json!("shim")), "{report}");
        let reason = report["reason"].as_str().unwrap().to_owned();
        (report["retry_after"].as_u64(), reason)
    };
    let (wait, why) = fails("event limit ',\"message\":\"429: try again in 2m\"'; exit 1", json!({}));
    assert_eq!((wait, why.as_str()), (Some(120), "rate_limited: 429: try again in 2m"));
    // Told only on standard error, as some do.
    let (wait, why) = fails("echo 'Error: 429 Too Many Requests' >&2; exit 1", json!({}));
    assert_eq!((wait, why.as_str()), (Some(60), "rate_limited: Error: 429 Too Many Requests"));
    // One that hangs on its limit, and on TERM.
    let script = "event start; event limit; trap '' TERM; while :; do sleep 0.05; done";
    let (wait, _) = fails(script, json!({"end": "turn"}));
    assert_eq!(wait, Some(60));
}

#[test]
fn a_limit_that_the_agent_got_over_is_none() {
    let script = "event limit ',\"message\":\"429\"'; event step; [ $1 = first ] || report done x";
    let mut stage = agent(script, json!({}));
    stage.exit();
    assert_eq!(stage.mail("report.json")["status"], "done", "it was asked for its report");
}

#[test]
fn words_that_sound_like_a_limit_are_none_where_something_else_tells_how_it_went() {
    let script = "echo 'mended: 429 lines, a rate limit helper' >&2; [ $1 = first ] || report done x";
    let stream = json!({"stream": {"name": ["type"]}});
    let result = "echo '{\"status\":\"ok\"}' > $ILCHUL_TREE/result.json; ";
    let judged = json!({"result": {"file": "result.json", "path": "status", "ok": ["ok"]}});
    for (script, more) in [(script.to_owned(), stream), (format!("{result}{script}"), judged)] {
        let mut stage = agent(&script, more);
        stage.exit();
        assert_eq!(stage.mail("report.json")["status"], "done", "it was asked for its report: {script}");
    }
}

#[test]
fn an_agent_that_never_gets_ready_is_ended_and_says_why() {
    let script = "echo 'Trust this folder? [y/N]'; read answer < fifo";
    let stage = Stage::ready();
    nix::unistd::mkfifo(&stage.path("tree/fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    assign(&stage, script, json!({"ready": "event", "ready_ms": 300}));
    let mut stage = stage;
    let exit = stage.exit();
    assert_eq!(exit["signal"], 15, "{exit}");
    let report = stage.mail("report.json");
    assert_eq!(report["status"], "failed");
    assert_eq!(
        report["reason"],
        "not_ready: fake gave no sign within 1 s (a dialog, a login?): Trust this folder? [y/N]"
    );
}

#[test]
fn output_makes_an_agent_ready_where_nothing_else_can() {
    let mut stage = agent("echo up; sleep 0.5; report done x", json!({"ready": "output", "ready_ms": 400}));
    stage.exit();
    assert_eq!(stage.mail("report.json")["status"], "done");
}

#[test]
fn a_turn_that_is_over_ends_a_process_that_stays_with_all_that_it_left() {
    let script = "report done x; setsid sleep 300 & echo $! > orphan; event start; event stop; \
        while :; do sleep 0.05; done";
    let mut stage = agent(script, json!({"end": "turn"}));
    let exit = stage.exit();
    let seen = (&exit["code"], &exit["signal"], &exit["survivors"]);
    assert_eq!(seen, (&json!(0), &json!(null), &json!([])), "how it took our signal is no exit of its work");
    assert_eq!(stage.mail("report.json")["status"], "done");
    let orphan: i32 = stage.file("orphan").trim().parse().unwrap();
    wait_for("the end of what it left", || (!is_alive(orphan)).then_some(()));
}

#[test]
fn progress_after_the_end_of_a_turn_takes_it_back() {
    let script = "event stop; for i in 1 2 3 4 5 6 7 8; do sleep 0.1; event step; done; report done x";
    let mut stage = agent(script, json!({"end": "turn", "linger_ms": 600}));
    assert_eq!(stage.exit()["code"], 0, "it ended by itself");
    // Work that goes on in the background is progress too.
    let mut stage = agent("event stop ',\"pending\":1'; sleep 1; report done x", json!({"end": "turn"}));
    assert_eq!(stage.exit()["code"], 0);
}

#[test]
fn an_end_that_went_wrong_is_told_and_not_asked_about() {
    for (script, reason) in [
        (
            "echo x >> turns; echo 'error: no such model' >&2; exit 3",
            "turn_failed: fake: exit code 3: error: no such model",
        ),
        (
            "echo x >> turns; event fail ',\"message\":\"401 Unauthorized\"'",
            "turn_failed: fake: 401 Unauthorized",
        ),
        ("echo x >> turns; kill -9 $$", "turn_failed: fake: signal 9"),
    ] {
        let mut stage = agent(script, json!({}));
        stage.exit();
        assert_eq!(stage.mail("report.json")["reason"], reason);
        assert_eq!(stage.file("turns"), "x\n");
    }
    let mut stage = agent("report failed honest; exit 3", json!({}));
    stage.exit();
    assert_eq!(stage.mail("report.json")["reason"], "honest", "what it says itself goes first");
}

#[test]
fn a_result_file_is_progress_and_tells_usage_and_end() {
    let stage = Stage::ready();
    let result = json!({"file": stage.path("mail/agent/traj.json"), "path": "info.exit_status", "ok": ["Submitted"],
        "tokens": ["info.in", "info.out"], "usd": "info.cost"});
    let script = "say() { printf '{\"info\":{\"exit_status\":\"%s\",\"in\":10,\"out\":5,\"cost\":0.25}}' $1 > $STATE/t; \
        mv $STATE/t $STATE/traj.json; }; say null; until_there go; say LimitsExceeded";
    assign(&stage, script, json!({"result": result, "ready": "event"}));
    let mut stage = stage;
    stage.beat("progress", |beat| beat["progress"]["events"] == 1 && phase(beat) == "model");
    fs::write(stage.path("tree/go"), "").unwrap();
    let exit = stage.exit();
    assert_eq!(exit["usage"], json!({"tokens": 15, "usd": 0.25}));
    assert_eq!(stage.mail("report.json")["reason"], "turn_failed: fake: LimitsExceeded");
}

fn stream() -> Value {
    json!({"name": ["type", "item.type"], "session": ["thread.started:thread_id"], "error": ["failed:error.message"],
        "show": [{"on": "item/command", "line": "ran {item.command} (exit {item.code})"}], "drop": ["delta"]})
}

#[test]
fn a_stream_is_shown_rendered_and_kept_raw() {
    let script = r#"if [ $1 = resume ]; then echo "$2" > session; report done x; exit; fi
        echo 'Reading input'; echo '{"type":"thread.started","thread_id":"t-1"}'; echo '{"type":"delta","x":1}'
        echo '{"type":"item","item":{"type":"command","command":"cargo test","code":0}}'; echo 'warning' >&2
        echo '{"type":"item","item":{"type":"command","command":"a\u001b[31mb","code":1}}'; until_there go
        printf '{"type":"turn","usage":{"in":7,"out":1}}'"#;
    let usage = json!([{"on": "turn", "tokens": ["usage.in", "usage.out"]}]);
    let mut pane = Pane::open();
    let signals = json!({"ready": ["thread.started"], "progress": ["item"]});
    assign(
        &pane.stage,
        script,
        json!({"stream": stream(), "usage": usage, "ready": "event", "signals": signals}),
    );
    pane.shows("fake: ran cargo test (exit 0)\r\n");
    let beat = pane.stage.beat("three signs", |beat| beat["progress"]["events"] == 3);
    assert!(beat["note"].as_str().unwrap().starts_with("fake: ran a"), "{beat}");
    fs::write(pane.stage.path("tree/go"), "").unwrap();
    let exit = pane.stage.exit();
    assert_eq!(exit["usage"]["tokens"], 8);
    let log = pane.stage.log();
    assert!(log.contains("Reading input\n") && log.contains("warning\n"), "{log}");
    assert!(
        log.contains("fake: ran cargo test (exit 0)\n") && !log.contains('\u{1b}') && !log.contains("thread"),
        "{log}"
    );
    let raw = fs::read_to_string(pane.stage.path("mail/agent/stream.jsonl")).unwrap();
    assert_eq!(raw.lines().count(), 4, "{raw}");
    assert!(raw.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()), "{raw}");
    assert_eq!(pane.stage.file("session"), "t-1\n");
}

#[test]
fn a_flood_of_lines_without_end_costs_no_beat_and_no_memory() {
    let script = "yes '{\"type\":\"item\"' | tr -d '\\n'";
    let mut stage = agent(script, json!({"stream": stream()}));
    let seen = stage.beat("a beat", |_| true)["seq"].as_u64().unwrap();
    stage.beat("more beats", |beat| beat["seq"].as_u64() > Some(seen + 20));
    let status = fs::read_to_string(format!("/proc/{}/status", stage.pid())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(peak < 64 * 1024, "{peak} kB");
    stage.signal(Signal::SIGTERM);
    stage.exit();
    assert!(stage.log().contains("passed over"));
}

#[test]
fn s22_a_frozen_agent_that_filled_its_events_with_rubbish_is_still_stopped() {
    let script = "head -c 3000000 /dev/zero | tr '\\0' '[' > $STATE/events.jsonl; event start; echo full > full; \
        trap '' TERM; while :; do sleep 0.05; done";
    let mut stage = agent(script, json!({}));
    stage.file("full");
    let seen = stage.beat("a beat", |_| true)["seq"].as_u64().unwrap();
    stage.beat("more beats", |beat| beat["seq"].as_u64() > Some(seen + 10));
    stage.put("stop.json", &json!({"schema": "ilchul.worker/1", "token": 7, "grace_ms": 100}));
    assert_eq!(stage.exit()["signal"], 9);
    assert!(stage.try_mail("report.json").is_none(), "whoever stopped it knows");
}

#[test]
fn an_agent_at_a_terminal_is_ended_after_its_turn_and_resumed_there() {
    let script = "tty > /dev/null && echo \"turn $1\"; event start ',\"session\":\"s\"'; \
        [ $1 = first ] && report needs_input q || report done x; event stop; while :; do sleep 0.05; done";
    let mut pane = Pane::open();
    assign(&pane.stage, script, json!({"mode": "terminal", "ready": "event", "end": "turn"}));
    pane.shows("turn first");
    pane.shows("waits for an answer: ilchul answer fix TEXT");
    answer(&pane.stage, 1, 7, "red");
    pane.shows("turn resume");
    assert_eq!(pane.stage.exit()["code"], 0);
    assert_eq!(pane.stage.mail("report.json")["status"], "done");
}

#[test]
fn an_agent_for_a_terminal_is_not_started_without_one() {
    let mut stage = agent("report done x", json!({"mode": "terminal"}));
    let exit = stage.exit();
    assert!(exit["error"].as_str().unwrap().contains("has no terminal"), "{exit}");
}

#[test]
fn an_interrupt_at_a_headless_agents_pane_reaches_it_and_other_keys_do_not() {
    let mut pane = Pane::open();
    assign(
        &pane.stage,
        "trap 'echo interrupted; report failed x; exit' INT; echo begun; while :; do sleep 0.05; done",
        json!({}),
    );
    pane.shows("begun");
    pane.types("yes\r");
    pane.types("\x03");
    pane.shows("interrupted");
    pane.stage.exit();
    assert!(!pane.stage.log().contains("yes"));
}

#[test]
fn hooks_of_the_agent_are_heard_and_the_guard_asks_once_a_turn() {
    let script = r#"echo '{"session_id":"s-9"}' | $ILCHUL hook start; 
        echo '{"tool_name":"Bash"}' | $ILCHUL hook open
        echo '{"hook_event_name":"Stop"}' | $ILCHUL hook stop --guard > said-1
        echo '{"hook_event_name":"Stop"}' | $ILCHUL hook stop --guard > said-2
        report done x; echo '{}' | $ILCHUL hook stop --guard > said-3; echo >> said-3; until_there go"#;
    let mut stage = agent(script, json!({"ready": "event"}));
    assert_eq!(stage.file("said-3"), "\n", "it has reported");
    let said: Value = serde_json::from_str(&fs::read_to_string(stage.path("tree/said-1")).unwrap()).unwrap();
    assert_eq!(said["decision"], "block");
    assert!(said["reason"].as_str().unwrap().contains("\"token\":7"), "{said}");
    assert_eq!(fs::read_to_string(stage.path("tree/said-2")).unwrap(), "", "it was asked once");
    let beat = stage.beat("the end of the turn", |beat| phase(beat) == "turn-ended");
    assert_eq!(beat["note"], "fake: tool Bash");
    fs::write(stage.path("tree/go"), "").unwrap();
    assert_eq!(stage.exit()["code"], 0);
    let events = fs::read_to_string(stage.path("mail/agent/events.jsonl")).unwrap();
    let first: Value = serde_json::from_str(events.lines().next().unwrap()).unwrap();
    assert_eq!((&first["event"], &first["session"]), (&json!("start"), &json!("s-9")));
}

#[test]
fn a_report_in_mail_counts_like_one_in_the_drop_box() {
    let stage = Stage::ready();
    fs::write(stage.path("good"), report(7, "done", "by mail").to_string()).unwrap();
    assign(&stage, "cp ../good ../mail/report.json", json!({}));
    let mut stage = stage;
    stage.exit();
    assert_eq!(stage.mail("report.json")["summary"], "by mail");
}
