//! Silence: what a supervisor does, and doesn't do, about a worker that says nothing.
//!
//! The clock moves in steps that its loop can follow, so that it isn't blind itself.

use std::time::Duration;

use ilchul_conformance::Verb;

use super::life::{Life, Outcome};
use super::stage::Stage;
use super::{DONE, FAILED};
use crate::engine::input::{Choice, Request};
use crate::engine::state::RunState;

const fn secs(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn phase(state: &RunState, worker: &str) -> String {
    state.workers.get(worker).map(|worker| worker.phase.word().to_owned()).unwrap_or_default()
}

fn silent(on_lost: &str) -> Stage {
    let stage = Stage::new(&format!(
        "heartbeat: {{ every: 1s, unhealthy_after: 5s, lost_after: 20s, on_lost: {on_lost} }}\n\
         tasks: {{ a: {{ run: x, retries: 1 }} }}"
    ));
    stage.cast("a.1", |actor| actor.until("finish"));
    stage
}

#[test]
fn l10_a_silent_worker_is_unhealthy_then_lost_and_asked_about_and_never_ended() {
    let stage = silent("ask");
    let life = Life::first(&stage);
    life.await_task("a", "in_progress");
    stage.pass(&life, secs(8));
    assert!(life.is(|state| phase(state, "a.1") == "unhealthy"), "{}", stage.told("a"));
    stage.pass(&life, secs(60));
    assert!(life.is(|state| state.workers["a.1"].expired && state.workers["a.1"].token_live));
    assert_eq!(stage.told("a"), "in_progress");
    assert_eq!(stage.sessions().count(Verb::Release, &Stage::mark("a.1")), 0);
    // L6: until a recovery is journaled, the holder may still come back.
    stage.call("finish");
    assert_eq!(life.join(), DONE);
    assert_eq!(stage.ran(), [("a.1".to_owned(), 1)].into());
}

#[test]
fn a_beat_brings_an_unhealthy_worker_back() {
    let stage = silent("ask");
    stage.cast("a.1", |actor| {
        let Some(assignment) = actor.begin() else { return };
        actor.wait_or_stop("beat");
        actor.beat(&assignment);
        actor.wait_or_stop("finish");
        actor.finish(&assignment);
    });
    let life = Life::first(&stage);
    life.await_task("a", "in_progress");
    stage.pass(&life, secs(8));
    life.await_state("silence to be noticed", |state| phase(state, "a.1") == "unhealthy");
    stage.call("beat");
    life.await_state("the beat to be heard", |state| phase(state, "a.1") == "busy");
    stage.call("finish");
    assert_eq!(life.join(), DONE);
}

#[test]
fn l17_a_gap_of_our_own_costs_no_worker_its_grace() {
    let stage = silent("fail");
    let life = Life::first(&stage);
    life.await_task("a", "in_progress");
    let ticks = life.ticks();
    stage.jump(secs(3600));
    ilchul_conformance::wait_until("a look after the gap", ilchul_conformance::PATIENCE, || {
        life.ticks() > ticks
    });
    assert!(life.is(|state| phase(state, "a.1") == "busy"), "{}", stage.told("a"));
    stage.pass(&life, secs(3));
    assert!(life.is(|state| phase(state, "a.1") == "busy"));
    stage.call("finish");
    assert_eq!(life.join(), DONE);
}

#[test]
fn l17_a_restart_costs_no_worker_its_grace() {
    let stage = silent("fail");
    let life = Life::first(&stage);
    life.await_task("a", "in_progress");
    assert_eq!(life.kill(), Outcome::Cut);
    stage.jump(secs(3600));
    let life = Life::next(&stage);
    stage.pass(&life, secs(3));
    assert!(life.is(|state| phase(state, "a.1") == "busy"), "{}", stage.told("a"));
    stage.call("finish");
    assert_eq!(life.join(), DONE);
    assert_eq!(stage.ran(), [("a.1".to_owned(), 1)].into());
}

#[test]
fn lost_and_fail_fails_the_task_and_kills_nobody() {
    let stage = silent("fail");
    let life = Life::first(&stage);
    life.await_task("a", "in_progress");
    stage.pass_until("the verdict", &life, || life.is(|state| state.tasks[0].phase.is_terminal()));
    assert_eq!(stage.told("a"), "failed (lost: no heartbeat for 20 s)");
    assert_eq!(stage.sessions().count(Verb::Release, &Stage::mark("a.1")), 0);
    stage.call("finish");
    stage.pass_until("the end", &life, || life.is_over());
    assert_eq!(life.join(), FAILED);
}

#[test]
fn l7_a_late_report_is_refused_and_kept_and_its_successor_undisturbed() {
    let stage = silent("retry");
    stage.cast("a.2", |actor| actor.until("second"));
    let life = Life::first(&stage);
    life.await_task("a", "in_progress");
    stage.pass_until("a successor", &life, || life.is(|state| phase(state, "a.2") == "busy"));
    life.await_task("a", "in_progress");
    stage.call("finish");
    let refused = || stage.history("a.1").contains(&"report.refused".to_owned());
    ilchul_conformance::wait_until("the refusal", ilchul_conformance::PATIENCE, refused);
    assert!(stage.mail("a.1").join("report.json").exists());
    assert_eq!(stage.told("a"), "in_progress");
    stage.call("second");
    stage.pass_until("the end", &life, || life.is_over());
    assert_eq!(life.join(), DONE);
    let state = stage.state();
    assert_eq!(state.tasks[0].attempt, 2);
    assert_eq!(stage.ran(), [("a.1".to_owned(), 1), ("a.2".to_owned(), 1)].into());
}

#[test]
fn a_person_may_rerun_what_is_lost_and_the_old_one_is_ended() {
    let stage = silent("ask");
    let life = Life::first(&stage);
    life.await_task("a", "in_progress");
    stage.pass(&life, secs(25));
    life.await_state("the loss", |state| state.workers["a.1"].expired);
    let request = Request::Decide { task: "a".to_owned(), choice: Choice::Rerun };
    assert!(Life::ask(&stage, &request).accepted);
    assert_eq!(life.join(), DONE);
    assert!(stage.mail("a.1").join(crate::protocol::STOP).exists());
    assert_eq!(stage.faults(), Vec::<String>::new());
    assert_eq!(stage.ran(), [("a.1".to_owned(), 1), ("a.2".to_owned(), 1)].into());
}

#[test]
fn l18_a_worker_that_beats_but_never_acknowledges_is_unhealthy() {
    let stage = Stage::new(
        "limits: { start: 5s }\nheartbeat: { every: 1s, unhealthy_after: 60s, lost_after: 300s }\n\
         tasks: { a: { run: x } }",
    );
    stage.cast("a", |actor| {
        actor.ready(None);
        actor.wait_or_stop("take");
        if let Some(assignment) = actor.take() {
            actor.beat(&assignment);
            actor.finish(&assignment);
        }
    });
    let life = Life::first(&stage);
    life.await_state("the dispatch", |state| phase(state, "a.1") == "busy");
    stage.pass(&life, secs(10));
    life.await_state("unhealthy", |state| phase(state, "a.1") == "unhealthy");
    assert!(life.is(|state| state.workers["a.1"].reason.starts_with("no_ack")));
    stage.call("take");
    assert_eq!(life.join(), DONE);
}
