//! `status`, `workers`, `runs`, `events`, `evidence`, `why`: exact documents, names, exit codes.

use serde_json::{Value, json};

use super::story::Story;
use crate::world::World;

const RUN: &str = "20231114-221320-ab12";

/// build has completed, fix is being worked on.
fn halfway(world: &World) -> Story {
    let mut story = Story::start(world, RUN);
    story.completes("build", 1);
    story.task("fix", "", ilchul::engine::event::TaskStep::NeedsMet);
    story.works("fix", 1);
    story.beats("fix.1", "2023-11-14T22:13:50.5Z");
    story
}

#[test]
fn an_empty_home_has_no_runs_and_looking_makes_none() {
    let world = World::new();
    assert_eq!(world.ok(&["runs", "--json"]), "{\"data\":[],\"ok\":true,\"schema_version\":1}\n");
    assert!(world.ok(&["runs"]).contains("no run here"));
    for command in [
        &["status"][..],
        &["workers"],
        &["events"],
        &["wait"],
        &["why", "a"],
        &["evidence", "a"],
        &["logs", "a"],
    ] {
        let (code, error) = world.refused(command);
        assert_eq!((code, &error["code"]), (1, &json!("no_runs")), "{command:?}");
        assert_eq!(error["hint"], "Run `ilchul up` to start one.");
    }
    assert!(!world.home().root().exists());
}

#[test]
fn status_json_is_what_the_contract_says() {
    let world = World::new();
    let story = halfway(&world);
    let held = story.held();
    let base = world.head();
    let scratch = story.home.root().join("runs").join(RUN).join("scratch");
    let worker = |id: &str, task: &str, state: &str, reason: &str, beat: Value| {
        json!({"id": id, "task": task, "attempt": 1, "state": state, "reason": reason,
            "session": {"kind": "subprocess", "id": "4320"}, "tree": scratch.join(id), "branch": null,
            "pid": 4321, "last_heartbeat_at": beat, "close": null, "restore": [], "node": null, "job_folder": null})
    };
    let expected = json!({
        "run": {"id": RUN, "workflow": "nightly", "state": "running", "base": base,
            "started_at": "2023-11-14T22:13:20Z", "ended_at": null, "halted": null},
        "tasks": [
            {"id": "build", "kind": "run", "parent": null, "state": "completed", "reason": "verified: 1 item verified",
                "since": "2023-11-14T22:13:34Z", "attempt": 1, "worker": "build.1", "head": null,
                "evidence": [{"kind": "exit", "verdict": "verified", "reason": "exit code 0"}], "conditions": [], "question": null, "until": null},
            {"id": "fix", "kind": "run", "parent": null, "state": "in_progress", "reason": "working: `fix.1` works on it",
                "since": "2023-11-14T22:13:41Z", "attempt": 1, "worker": "fix.1", "head": null, "evidence": [], "conditions": [], "question": null, "until": null},
            {"id": "pack", "kind": "run", "parent": null, "state": "pending",
                "reason": "waits: task `fix`, which is in_progress",
                "since": "2023-11-14T22:13:20Z", "attempt": 0, "worker": null, "head": null, "evidence": [], "conditions": [], "question": null, "until": null},
        ],
        "workers": [
            worker("build.1", "build", "completed-retained", "retained: its work is over, its tree and session are kept", Value::Null),
            worker("fix.1", "fix", "busy", "working: works on its task", json!("2023-11-14T22:13:50.5Z")),
        ],
        "budget": {
            "attempts": {"total": 10, "used": 2, "reserved": 0, "left": 8},
            "workers": {"total": 4, "used": 1, "reserved": 0, "left": 3},
            "tasks": null, "wall": null, "tokens": null, "usd": null,
        },
    });
    assert_eq!(world.data(&["status"]), expected);
    assert_eq!(world.data(&["workers"]), expected["workers"]);
    assert_eq!(world.data(&["runs"]), json!([expected["run"]]));
    drop(held);
    assert_eq!(world.data(&["status"])["run"]["state"], "interrupted", "nobody holds it");
    assert_eq!(world.data(&["runs"])[0]["state"], "interrupted");
}

#[test]
fn a_run_is_named_by_a_unique_beginning_and_the_latest_is_the_default() {
    let world = World::new();
    Story::start(&world, "20231114-221320-aaaa").ends_well();
    Story::start(&world, "20231115-221320-bbbb").ends_badly();
    assert_eq!(world.data(&["status"])["run"]["id"], "20231115-221320-bbbb");
    assert_eq!(world.data(&["status", "--run", "20231114"])["run"]["id"], "20231114-221320-aaaa");
    assert_eq!(world.data(&["runs"]).as_array().unwrap().len(), 2);
    let (code, error) = world.refused(&["status", "--run", "2023"]);
    assert_eq!((code, &error["code"]), (1, &json!("ambiguous_run")));
    let (code, error) = world.refused(&["events", "--run", "20231115-221320-bbbc"]);
    assert_eq!((code, &error["code"]), (1, &json!("unknown_run")));
    assert_eq!(error["hint"], "Did you mean `20231115-221320-bbbb`?");
}

#[test]
fn l15_an_unknown_name_is_an_error_with_the_nearest_one() {
    let world = World::new();
    halfway(&world);
    for command in
        [&["why", "fux"][..], &["evidence", "fux"], &["logs", "fux"], &["attach", "fux"], &["wait", "fux"]]
    {
        let (code, error) = world.refused(command);
        assert_eq!((code, &error["code"]), (1, &json!("unknown_task")), "{command:?}");
        assert_eq!(error["hint"], "Did you mean `fix`?");
    }
    let (code, error) = world.refused(&["logs", "fix.7"]);
    assert_eq!(
        (code, &error["code"], &error["hint"]),
        (1, &json!("unknown_worker"), &json!("Did you mean `fix.1`?"))
    );
    let ran = world.run(&["why", "fu\u{1b}[1mx"]);
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.starts_with("error: failed to find the task `fu\\u{1b}[1mx`"), "{ran:?}");
    for command in [&["logs", "pack"][..], &["attach", "pack"]] {
        assert_eq!(world.refused(command).1["code"], "no_attempt", "{command:?}");
    }
    for command in [&["logs", "fix", "--attempt", "2"][..], &["evidence", "fix", "--attempt", "2"]] {
        assert_eq!(world.refused(command).1["code"], "unknown_attempt", "{command:?}");
    }
}

#[test]
fn events_are_one_object_a_line_oldest_first_with_their_own_fields() {
    let world = World::new();
    Story::start(&world, RUN).ends_badly();
    let text = world.ok(&["events", "--json"]);
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let seqs: Vec<u64> = lines.iter().map(|line| line["seq"].as_u64().unwrap()).collect();
    assert!(seqs.windows(2).all(|pair| pair[0] < pair[1]));
    let kinds: Vec<&str> = lines.iter().map(|line| line["kind"].as_str().unwrap()).take(8).collect();
    let expected = [
        "run.started",
        "task.ready",
        "task.claimed",
        "worker.provisioning",
        "claim.granted",
        "worker.launched",
        "worker.ready",
        "worker.busy",
    ];
    assert_eq!(kinds, expected);
    assert_eq!((&lines[0]["workflow"], &lines[0]["base_name"]), (&json!("nightly"), &json!("main")));
    let granted = json!({"seq": 5, "at": "2023-11-14T22:13:23Z", "kind": "claim.granted", "task": "build",
        "worker": "build.1", "attempt": 1, "token": 1, "expires": 99_000, "reason": null});
    assert_eq!(lines[4], granted);
    assert_eq!(lines.last().unwrap()["success"], false);
    assert!(!world.ok(&["events"]).contains('\u{1b}'), "what a worker said stays text");
}

#[test]
fn evidence_tells_each_attempt_apart() {
    let world = World::new();
    Story::start(&world, RUN).ends_badly();
    let last = world.data(&["evidence", "fix"]);
    assert_eq!((&last["task"], &last["attempt"]), (&json!("fix"), &json!(2)));
    let item = json!({"kind": "exit", "verdict": "refuted", "reason": "expected exit code 0, found exit code 3",
        "expected": 0, "code": 3, "checked_at": "2023-11-14T22:14:00Z"});
    assert_eq!(last["items"], json!([item]));
    assert_eq!(last["report"]["summary"], "tried\u{1b}[2J it");
    let first = world.data(&["evidence", "fix", "--attempt", "1"]);
    assert_eq!((&first["attempt"], &first["items"][0]["verdict"]), (&json!(1), &json!("refuted")));
    let untried = world.data(&["evidence", "pack"]);
    for (key, value) in
        [("attempt", json!(0)), ("worker", json!(null)), ("items", json!([])), ("report", json!(null))]
    {
        assert_eq!(untried[key], value, "{key}");
    }
    let text = world.ok(&["evidence", "fix"]);
    assert!(text.contains("  refuted  exit: expected exit code 0, found exit code 3"), "{text}");
    assert!(text.contains("Tried\\u{1b}[2J it."), "{text}");
}

#[test]
fn why_follows_the_chain_to_its_root_and_says_what_to_type() {
    let world = World::new();
    Story::start(&world, RUN).ends_badly();
    let why = world.data(&["why", "pack"]);
    assert_eq!((&why["state"], &why["chain"][1]["task"]), (&json!("skipped"), &json!("fix")));
    assert_eq!(
        why["next"],
        json!(["ilchul logs fix", "ilchul evidence fix", "ilchul retry fix", "ilchul up"])
    );
    let text = world.ok(&["why", "pack"]);
    assert!(text.contains("\n  fix  failed, "), "{text}");
    assert!(text.ends_with("Next: ilchul retry fix\nNext: ilchul up\n"), "{text}");
}

#[test]
fn status_text_has_no_colour_for_a_pipe_and_has_it_when_asked() {
    let world = World::new();
    Story::start(&world, RUN).ends_badly();
    let plain = world.ok(&["status"]);
    assert!(plain.starts_with(&format!("Run {RUN} of nightly has ended without success ")), "{plain}");
    assert!(!plain.contains('\u{1b}'), "{plain}");
    let colored = world.ok(&["status", "--color", "always"]);
    assert!(colored.contains("\u{1b}[31mfailed\u{1b}[0m"), "{colored}");
    assert!(world.ok(&["workers"]).contains("completed-retained"));
}

#[test]
fn j11_a_damaged_journal_is_said_by_every_reader_and_stays_as_it_is() {
    let world = World::new();
    std::fs::create_dir(world.home().root()).unwrap();
    let path = world.home().journal();
    std::fs::write(&path, "not a database, and long enough to be looked at as one".repeat(40)).unwrap();
    let before = std::fs::read(&path).unwrap();
    for command in ["status", "workers", "runs", "events", "wait"] {
        let (code, error) = world.refused(&[command]);
        assert_eq!((code, &error["code"]), (6, &json!("journal")), "{command}");
    }
    assert_eq!(std::fs::read(&path).unwrap(), before);
}
