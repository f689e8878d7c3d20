//! Bounds of a run, met by real workers: tokens, time and failures; what people and workers
//! are shown of them; and what a kill in the middle leaves.

use serde_json::{Value, json};

use crate::world::World;

/// Reports by itself what it used.
const SAYS: &str = "ilchul report --status done --summary ok --usage-tokens";

#[test]
fn d9_tokens_are_reserved_settled_and_shown_to_people_and_workers() {
    let world = World::with(&format!(
        "limits: {{ workers: 2, tokens: 100, usd: 4, wall: 1h }}\n\
         tasks:\n\
         \x20 a: {{ run: '{SAYS} 25', budget: {{ tokens: 60, usd: 1.5 }} }}\n\
         \x20 b: {{ run: 'cp \"$ILCHUL_INPUTS\" got.json; {SAYS} 5', needs: [a], budget: {{ tokens: 50 }},\n\
         \x20      evidence: [ {{ exit: 0 }}, {{ artifact: got.json }} ] }}\n\
         \x20 huge: {{ run: 'true', needs: [b], budget: {{ tokens: 90 }} }}\n"
    ));
    world.up().exits(3);
    let got: Value =
        serde_json::from_slice(&std::fs::read(world.tree("b.1").join("got.json")).unwrap()).unwrap();
    assert_eq!(got["budget"]["tokens"], json!({"total": 100, "used": 25, "reserved": 50, "left": 25}));
    // Of money it said nothing, so its ceiling is charged.
    assert_eq!(got["budget"]["usd"], json!({"total": 4.0, "used": 1.5, "reserved": 0.0, "left": 2.5}));
    assert_eq!(got["budget"]["wall"]["total"], 3600);
    let shown = &world.data(&["status"])["budget"];
    assert_eq!(shown["tokens"], json!({"total": 100, "used": 30, "reserved": 0, "left": 70}));
    let text = world.ok(&["status"]);
    assert!(text.contains("Budget of tokens: 30 of 100 used, 0 reserved, 70 left.\n"), "{text}");
    let why = world.data(&["why", "huge"]);
    assert_eq!(why["gate"], json!({"verdict": "deny", "stage": "budget", "until": null}));
    assert_eq!(
        (why["attempt"].as_u64(), why["reason"].as_str()),
        (Some(0), Some("denied: budget: an attempt needs 90 tokens, and 70 tokens are left of the run's"))
    );
    let events = world.ok(&["events"]);
    assert!(events.contains("claim.settled") && events.contains("25 tokens, 1.5 usd"), "{events}");
}

#[test]
fn d9_a_kill_in_the_middle_of_an_attempt_neither_loses_nor_mints_a_token() {
    let world = World::with(&format!(
        "limits: {{ tokens: 100 }}\n\
         tasks:\n\
         \x20 a: {{ run: 'until test -e $W/go; do sleep 0.02; done; {SAYS} 10', budget: {{ tokens: 60 }} }}\n\
         \x20 b: {{ run: '{SAYS} 20', budget: {{ tokens: 60 }} }}\n"
    ));
    let up = world.start_up();
    world.await_task("a", "in_progress");
    let held = json!({"total": 100, "used": 0, "reserved": 60, "left": 40});
    assert_eq!(world.data(&["status"])["budget"]["tokens"], held);
    up.kill();
    assert_eq!(world.data(&["status"])["budget"]["tokens"], held);
    assert_eq!(world.data(&["why", "b"])["gate"]["stage"], "budget");
    let up = world.start_up();
    world.await_resumes(1);
    assert_eq!(world.data(&["status"])["budget"]["tokens"], held);
    world.touch("go");
    up.wait().exits(0);
    let left = json!({"total": 100, "used": 30, "reserved": 0, "left": 70});
    assert_eq!(world.data(&["status"])["budget"]["tokens"], left);
}

#[test]
fn j8_a_run_whose_time_is_up_ends_its_workers_and_says_so() {
    let world = World::with(
        "limits: { wall: 4s, grace: 1s }\n\
         tasks:\n\
         \x20 a: { run: 'sleep 600' }\n\
         \x20 b: { run: 'true', needs: [a] }\n",
    );
    let ran = world.up().exits(3);
    assert!(ran.stderr.contains("stopped: the run's time of 4 s is used up"), "{}", ran.stderr);
    assert_eq!(world.told("a"), "failed (wall: the run's time of 4 s is used up)");
    assert!(world.told("b").starts_with("skipped"), "{}", world.told("b"));
    let status = world.data(&["status"]);
    assert_eq!(
        (status["run"]["state"].as_str(), status["run"]["halted"].as_str()),
        (Some("ended"), Some("wall"))
    );
    assert!(world.ok(&["status"]).contains("without success (wall: the run's time of 4 s is used up)"));
    let ended = world.ok(&["events", "--json"]);
    let ended = ended.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let ended: Vec<Value> = ended.filter(|event| event["kind"] == "run.ended").collect();
    assert_eq!((ended.len(), &ended[0]["halted"]), (1, &json!("wall")));
    // It has ended, and a look at it changes nothing.
    world.up().exits(3);
}

#[test]
fn too_many_failures_stop_the_run_and_a_retry_goes_on() {
    let world = World::with(
        "defaults: { workspace: none }\n\
         limits: { workers: 1, failures: { max: 1, within: 10m } }\n\
         order: fifo\n\
         tasks:\n\
         \x20 a: { run: 'test -e $W/go' }\n\
         \x20 b: { run: 'test -e $W/go' }\n\
         \x20 c: { run: 'echo c >> $W/ledger' }\n",
    );
    world.up().exits(3);
    assert_eq!(world.ledger(), Vec::<String>::new());
    let why = "failed (denied: breaker: 2 attempts failed within 600 s, and 1 may)";
    assert_eq!(world.told("c"), why);
    assert_eq!(world.data(&["runs"])[0]["halted"], "breaker");
    world.touch("go");
    for task in ["a", "b", "c"] {
        world.run(&["retry", task]).exits(0);
    }
    world.up().exits(0);
    assert_eq!(
        (world.ledger(), &world.data(&["status"])["run"]["halted"]),
        (vec!["c".to_owned()], &Value::Null)
    );
}

#[test]
fn plan_and_validate_show_bounds_and_ceilings_before_anything_runs() {
    let world = World::with(
        "limits: { attempts: 9, tokens: 100, usd: 2.5, wall: 90m, failures: { max: 3, within: 10m } }\n\
         tasks:\n\
         \x20 a: { run: 'true', budget: { tokens: 60 } }\n\
         \x20 b: { run: 'true' }\n",
    );
    let text = world.ok(&["plan"]);
    for line in [
        "Limit     9 attempts over all tasks\n",
        "Limit     1h30m for the whole run\n",
        "Limit     100 tokens over all tasks\n",
        "Limit     2.5 usd over all tasks\n",
        "Limit     3 failed attempts within 10m; one more stops the run\n",
        "    budget: 60 tokens an attempt\n",
    ] {
        assert!(text.contains(line), "{line} isn't in\n{text}");
    }
    let plan = world.data(&["plan"]);
    assert_eq!((&plan["order"], &plan["limits"]["tokens"]), (&json!("critical"), &json!(100)));
    assert_eq!(plan["tasks"][0]["budget"], json!({"tokens": 60, "usd": null}));
    let valid = world.data(&["validate"]);
    assert_eq!(valid["budgets"], json!({"a": {"tokens": 60, "usd": null}}));
    assert_eq!(valid["warnings"], json!([]));
}
