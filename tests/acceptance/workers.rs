//! Workers that speak the protocol themselves, honest and otherwise: none completes wrongly.
//!
//! The scripts are those of `fixtures/workers`. It leaves out what the shim does.

use super::world::{World, runs, wait_until};

const BOTH: [&str; 2] = ["subprocess", "tmux"];

fn worker(script: &str, more: &str) -> World {
    World::with(&format!(
        "limits: {{ grace: 1s }}\n\
         tasks: {{ a: {{ worker: [/bin/sh, $FIXTURES/{script}], {more} }} }}"
    ))
}

#[test]
fn an_honest_script_does_a_task_without_the_shim_in_both_kinds_of_session() {
    for session in BOTH {
        let world = World::with(
            "defaults: { env: { BEAT: '0.05' } }\n\
             tasks:\n  a:\n    worker: [/bin/sh, $FIXTURES/honest.sh, sh, -c, 'echo work > done.txt']\n\
             \x20   evidence: [ { exit: 0 }, { artifact: done.txt } ]\n",
        );
        let ran = world.run(&["up", "--session", session]);
        assert_eq!(world.told("a"), "completed", "{session}: {}", ran.stderr);
        assert_eq!(ran.code, 0);
    }
}

#[test]
fn a_liar_is_refuted() {
    let world = worker("liar.sh", "evidence: [ { artifact: target/junit.xml } ]");
    world.up().exits(3);
    assert_eq!(world.told("a"), "failed (refuted: artifact: `target/junit.xml` doesn't exist)");
}

#[test]
fn l7_a_report_under_an_old_token_counts_for_nothing() {
    let world = worker("stale.sh", "evidence: [ { exit: 0 } ]");
    let ran = world.up().exits(3);
    assert!(world.told("a").starts_with("failed (no_report"), "{}", world.told("a"));
    assert!(ran.stderr.contains("report refused: dead_token"), "{}", ran.stderr);
}

#[test]
fn a_torn_report_is_kept_and_refused_and_the_whole_one_taken() {
    let world = worker("torn.sh", "evidence: [ { exit: 0 } ]");
    let ran = world.up().exits(0);
    assert!(ran.stderr.contains("report refused: not_json"), "{}", ran.stderr);
    assert_eq!(world.told("a"), "completed");
}

#[test]
fn a_wrong_nonce_is_given_no_work() {
    let world = World::with(
        "limits: { grace: 1s, ready: 3s }\n\
         tasks: { a: { worker: [/bin/sh, $FIXTURES/wrong-nonce.sh], evidence: [ { exit: 0 } ] } }",
    );
    world.up().exits(3);
    assert!(world.told("a").starts_with("failed (launch_ready"), "{}", world.told("a"));
    assert!(!world.mail("a.1").join("assignment.json").exists());
    wait_until("its end", || !runs(world.shim("a.1")));
}

#[test]
fn a_crash_in_the_middle_is_a_failed_attempt_and_what_it_wrote_is_kept() {
    for session in BOTH {
        let world = worker("crasher.sh", "evidence: [ { exit: 0 } ]");
        world.run(&["up", "--session", session]).exits(3);
        let told = world.told("a");
        assert!(told.starts_with("failed (no_report: ") && told.contains("signal 9"), "{session}: {told}");
        assert_eq!(std::fs::read_to_string(world.tree("a.1").join("half-done")).unwrap(), "half\n");
        let reference = format!("refs/ilchul/{}/a.1", world.run_id().unwrap());
        assert_eq!(world.git(&["show", &format!("{reference}:half-done")]), "half\n");
    }
}

#[test]
fn a_stubborn_worker_is_ended_with_its_whole_tree_when_its_time_is_up() {
    let world = worker("stubborn.sh", "timeout: 4s, evidence: [ { exit: 0 } ]");
    let ran = world.up().exits(3);
    assert!(world.told("a").starts_with("failed (timeout: 4 s"), "{}: {}", world.told("a"), ran.stderr);
    assert!(!runs(world.shim("a.1")));
    let pid = std::fs::read_to_string(world.tree("a.1").join("stubborn.pid")).unwrap();
    let state = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    assert!(state.is_empty() || state.contains(") Z "), "{state}");
}

#[test]
fn l10_a_silent_worker_is_asked_about_and_not_ended() {
    let world = World::with(
        "heartbeat: { every: 200ms, unhealthy_after: 1s, lost_after: 2s }\n\
         limits: { grace: 1s }\n\
         tasks: { a: { worker: [/bin/sh, $FIXTURES/silent.sh], evidence: [ { exit: 0 } ] } }",
    );
    let ran = world.run(&["up", "--session", "subprocess", "--unattended"]).exits(4);
    assert!(ran.stderr.contains("ilchul decide a rerun|skip|accept"), "{}", ran.stderr);
    assert_eq!(world.told("a"), "in_progress");
    assert!(runs(world.shim("a.1")));
    world.run(&["decide", "a", "skip"]).exits(0);
    world.up().exits(3);
    assert!(!runs(world.shim("a.1")));
    assert_eq!(world.told("a"), "skipped (decided by a person)");
}
