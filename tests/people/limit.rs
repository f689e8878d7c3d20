//! A provider refuses work for a while: who waits, until when, and what that costs.

use serde_json::json;

use super::world::{World, wait_until};

/// Two tasks of one agent, of which the first attempt of the first is refused.
fn world(wait: &str) -> World {
    let world = World::new();
    let script = format!(
        "echo \"$ILCHUL_WORKER\" >> {root}/ledger\n[ \"$ILCHUL_WORKER\" = a.1 ] && exec ilchul report --status failed --reason 'rate_limited: 429' --retry-after {wait}\nilchul report --status done --summary ok\n",
        root = world.root().display()
    );
    std::fs::write(world.root().join("agent"), script).unwrap();
    world.workflow(
        "limits: { workers: 1 }\nagents: { mine: { adapter: command, argv: [sh, $W/agent] } }\ntasks:\n  a: { agent: mine, prompt: x, workspace: none, evidence: waived, reason: test }\n  b: { agent: mine, prompt: x, workspace: none, evidence: waived, reason: test }\n  c: { run: 'true', workspace: none }\n",
    );
    world
}

fn sorted(mut ledger: Vec<String>) -> Vec<String> {
    ledger.sort_unstable();
    ledger
}

#[test]
fn a_limit_holds_all_tasks_of_its_agent_and_no_place_and_spends_no_retry() {
    let world = world("12s");
    let up = world.start_up();
    world.await_task("c", "completed");
    let data = world.data(&["status"]);
    let (a, b) = (&data["tasks"][0], &data["tasks"][1]);
    assert_eq!((&a["state"], &b["state"]), (&json!("ready"), &json!("ready")));
    assert!(a["reason"].as_str().unwrap().starts_with("rate_limited: 429, until 20"), "{a}");
    assert!(a["until"].is_string() && a["until"] == b["until"], "{a} {b}");
    let why = world.data(&["why", "b"]);
    assert_eq!((&why["gate"]["verdict"], &why["gate"]["stage"]), (&json!("limited"), &json!("rate")));
    let text = world.ok(&["why", "b"]);
    assert!(text.contains("the rate limit of the agent `mine`, which `a.1` met, until 20"), "{text}");
    assert_eq!(world.ledger(), ["a.1"]);
    let told = up.wait().exits(0).stderr;
    assert!(told.contains("a  waits for its provider: rate limited: 429, for 12 s"), "{told}");
    // Which of the two goes first is the order's matter.
    assert_eq!(sorted(world.ledger()), ["a.1", "a.2", "b.1"]);
    assert_eq!(world.state().tasks[0].allowed, 2);
}

#[test]
fn j8_a_limit_is_kept_through_a_kill_and_is_not_prolonged_by_it() {
    let world = world("12s");
    let up = world.start_up();
    world.await_task("c", "completed");
    let until = world.data(&["status"])["tasks"][0]["until"].clone();
    up.kill();
    let up = world.start_up();
    world.await_resumes(1);
    assert_eq!(world.ledger(), ["a.1"]);
    wait_until("the same limit in the next life", || {
        world.data(&["status"])["tasks"][0]["until"].is_string()
    });
    // Labels of the wall clock differ by what two readings of it may.
    let seconds = |at: &serde_json::Value| {
        let at: jiff::Timestamp = at.as_str().unwrap().parse().unwrap();
        at.as_second()
    };
    let again = world.data(&["status"])["tasks"][0]["until"].clone();
    assert!((seconds(&until) - seconds(&again)).abs() <= 1, "{until} {again}");
    up.wait().exits(0);
    // Which of the two goes first is the order's matter.
    assert_eq!(sorted(world.ledger()), ["a.1", "a.2", "b.1"]);
}

#[test]
fn a_wait_goes_with_a_failure_and_has_a_bound() {
    let world = World::with(
        "tasks:\n  a:\n    workspace: none\n    run: |\n      ilchul report --status done --summary x --retry-after 5s 2> $W/done && exit 9\n      ilchul report --status failed --summary x --retry-after 32d 2> $W/long && exit 9\n      ilchul report --status done --summary x --wait 2> $W/wait && exit 9\n      true\n",
    );
    world.up().exits(0);
    let said = |name: &str| std::fs::read_to_string(world.root().join(name)).unwrap();
    assert!(said("done").contains("it goes with `failed` only"), "{}", said("done"));
    assert!(said("wait").contains("it goes with `needs_input` and `blocked` only"), "{}", said("wait"));
    assert!(said("long").contains("retry_after") || said("long").contains("retry-after"), "{}", said("long"));
}
