//! Retries, dependency policies, and what waits for a person.
//!
//! The tables are the engine's and tested there; this is the whole binary on a few of them.

use super::world::World;

#[test]
fn retries_are_used_and_no_more() {
    let world = World::with("tasks: { a: { run: 'echo $ILCHUL_ATTEMPT >> $W/ledger; exit 1', retries: 2 } }");
    world.up().exits(3);
    assert_eq!(world.ledger(), ["1", "2", "3"]);
    assert!(world.told("a").starts_with("failed (refuted: exit"), "{}", world.told("a"));
    // L21: each attempt has a tree of its own, and all of them stay.
    assert!(["a.1", "a.2", "a.3"].iter().all(|id| world.tree(id).is_dir()));
}

#[test]
fn a_task_that_succeeds_at_last_is_completed() {
    let world = World::with("tasks: { a: { run: 'test $ILCHUL_ATTEMPT = 2', retries: 5 } }");
    world.up().exits(0);
    assert_eq!(world.state().tasks[0].attempt, 2);
}

#[test]
fn a_failure_skips_its_dependents_and_nothing_else() {
    let world = World::with(
        "defaults: { workspace: none }\n\
         tasks:\n\
         \x20 bad: { run: 'exit 1' }\n\
         \x20 good: { run: 'true' }\n\
         \x20 after-bad: { run: 'true', needs: [bad] }\n\
         \x20 after-that: { run: 'true', needs: [after-bad] }\n\
         \x20 on-failure: { run: 'true', needs: [bad], when: failed }\n\
         \x20 always: { run: 'true', needs: [bad, good], when: terminal }\n\
         \x20 either: { run: 'true', needs: [bad, good], when: optional }\n\
         \x20 unneeded: { run: 'true', needs: [good], when: failed }\n",
    );
    world.up().exits(3);
    let phases = world.phases();
    let phases: Vec<(&str, &str)> = phases.iter().map(|(id, phase)| (id.as_str(), phase.as_str())).collect();
    let expected = [
        ("bad", "failed"),
        ("good", "completed"),
        ("after-bad", "skipped"),
        ("after-that", "skipped"),
        ("on-failure", "completed"),
        ("always", "completed"),
        ("either", "completed"),
        ("unneeded", "skipped"),
    ];
    assert_eq!(phases, expected);
    assert!(world.told("after-that").contains("`bad`"), "the root is named: {}", world.told("after-that"));
}

#[test]
fn what_is_skipped_by_design_is_a_success() {
    let world = World::with("tasks:\n  a: { run: 'true' }\n  b: { run: 'true', needs: [a], when: failed }\n");
    world.up().exits(0);
    assert!(world.told("b").starts_with("skipped"), "{}", world.told("b"));
}

/// A task whose worker reports by itself, under the shim: `say STATUS` in `body` does.
fn speaking(body: &str) -> World {
    let report = r#"{"schema":"ilchul.report/1","task":"a","attempt":1,"token":%s,"status":"%s","summary":"Which one?"}"#;
    World::with(&format!(
        "tasks:\n  a:\n    run: |\n\
         \x20     token=$(sed -n 's/.*\"token\" *: *\\([0-9]*\\).*/\\1/p' \"$ILCHUL_MAIL/assignment.json\")\n\
         \x20     say() {{ printf '{report}' \"$token\" \"$1\" > \"$ILCHUL_MAIL/.tmp/r\"; mv \"$ILCHUL_MAIL/.tmp/r\" \"$ILCHUL_MAIL/report.json\"; }}\n\
         \x20     {body}\n"
    ))
}

/// Reports this status, waits for `go`, reports `done` and ends.
fn asking(status: &str) -> World {
    speaking(&format!("say {status}; until test -e $W/go; do sleep 0.02; done; say done"))
}

#[test]
fn a_worker_that_needs_input_blocks_its_task_and_says_so() {
    let world = asking("needs_input");
    let up = world.start_up();
    world.await_task("a", "blocked");
    assert_eq!(world.told("a"), "blocked (needs_input: Which one?)");
    world.touch("go");
    let ran = up.wait().exits(0);
    assert!(ran.stderr.contains("waits for you: Which one?"), "{}", ran.stderr);
    assert!(ran.stderr.contains("ilchul logs -f a, or ilchul answer a"), "{}", ran.stderr);
    assert_eq!(world.told("a"), "completed");
}

#[test]
fn unattended_ends_with_4_where_only_a_person_can_go_on() {
    let world = asking("blocked");
    let ran = world.run(&["up", "--session", "subprocess", "--unattended"]).exits(4);
    assert!(ran.stderr.contains("Only a person can go on"), "{}", ran.stderr);
    world.touch("go");
    world.up().exits(0);
    assert_eq!(world.state().tasks[0].attempt, 1);
}

#[test]
fn partial_is_an_end_of_its_own_and_what_needs_it_decides() {
    let world = speaking("say partial");
    let path = world.repo().join("ilchul.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    let after = "  b: { run: 'true', needs: [a], when: partial }\n  c: { run: 'true', needs: [a] }\n";
    std::fs::write(&path, format!("{text}{after}")).unwrap();
    world.up().exits(3);
    assert_eq!(world.told("a"), "partial (reported: Which one?)");
    assert_eq!(world.told("b"), "completed");
    assert!(world.told("c").starts_with("skipped"), "{}", world.told("c"));
}

#[test]
fn only_runs_what_was_named_and_what_it_needs() {
    let world = World::with(
        "defaults: { workspace: none }\n\
         tasks:\n\
         \x20 a: { run: 'echo a >> $W/ledger' }\n\
         \x20 b: { run: 'echo b >> $W/ledger', needs: [a] }\n\
         \x20 c: { run: 'echo c >> $W/ledger' }\n",
    );
    let unknown = world.run(&["up", "--session", "subprocess", "--only", "bb"]).exits(1);
    assert!(unknown.stderr.contains("`bb`") && unknown.stderr.contains("a, b, c"), "{}", unknown.stderr);
    assert_eq!(world.run_id(), None);
    world.run(&["up", "--session", "subprocess", "--only", "b"]).exits(0);
    assert_eq!(world.ledger(), ["a", "b"]);
    assert!(world.told("c").starts_with("skipped"), "{}", world.told("c"));
}

#[test]
fn the_number_of_workers_is_a_limit() {
    let world = World::with(
        "defaults: { workspace: none }\n\
         tasks:\n\
         \x20 a: { run: &body 'mkdir $W/alone || echo two >> $W/ledger; sleep 0.1; rmdir $W/alone' }\n\
         \x20 b: { run: *body }\n\
         \x20 c: { run: *body }\n",
    );
    world.run(&["up", "--session", "subprocess", "--workers", "1"]).exits(0);
    assert_eq!(world.ledger(), Vec::<String>::new());
}

#[test]
fn a_failed_task_is_retried_on_request_and_what_it_held_back_follows() {
    let world = World::with(
        "tasks:\n\
         \x20 a: { run: 'echo $ILCHUL_ATTEMPT >> $W/ledger; test -e $W/go' }\n\
         \x20 b: { run: 'true', needs: [a] }\n",
    );
    world.up().exits(3);
    let refused = world.run(&["retry", "b"]).exits(1);
    assert!(refused.stderr.contains("only a failed, partial or cancelled task"), "{}", refused.stderr);
    let unknown = world.run(&["retry", "bb"]).exits(1);
    assert!(unknown.stderr.contains("no task `bb`"), "{}", unknown.stderr);
    world.touch("go");
    let granted = world.run(&["retry", "a"]).exits(0);
    assert!(granted.stdout.contains("ilchul up"), "{}", granted.stdout);
    world.up().exits(0);
    assert_eq!(world.ledger(), ["1", "2"]);
    assert_eq!(world.told("b"), "completed");
}

#[test]
fn a_running_task_is_cancelled_on_request_and_its_worker_ended() {
    let world = World::with(
        "limits: { grace: 1s }\n\
         tasks:\n  a: { run: 'sleep 600' }\n  b: { run: 'true', needs: [a] }\n",
    );
    let up = world.start_up();
    world.await_task("a", "in_progress");
    let shim = world.shim("a.1");
    world.run(&["cancel", "a"]).exits(0);
    up.wait().exits(3);
    assert_eq!(world.told("a"), "cancelled (cancelled by a person)");
    assert!(world.told("b").starts_with("skipped"), "{}", world.told("b"));
    assert!(!super::world::runs(shim));
    let again = world.run(&["cancel", "a"]).exits(1);
    assert!(again.stderr.contains("already ended"), "{}", again.stderr);
}
