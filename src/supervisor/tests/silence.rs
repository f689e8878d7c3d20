//! Silence: what a supervisor does, and doesn't do, about a worker that says nothing.
//!
//! The clock moves in steps that its loop can follow, so that it isn't blind itself.

use std::time::Duration;

use ilchul_conformance::Verb;
use ilchul_substrate::{Capabilities, ErrorKind, Facts, State};

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

/// A cluster: it queues, and its nodes may be cut off.
fn on_cluster(stage: &Stage, state: State) {
    let (queued, can_partition) = (true, true);
    let capabilities = ilchul_substrate::Substrate::capabilities(stage.sessions());
    stage.sessions().set_capabilities(Capabilities { queued, can_partition, ..capabilities });
    let backstage = std::sync::Arc::downgrade(&stage.backstage);
    stage.cast("a", move |actor| {
        if let Some(backstage) = backstage.upgrade() {
            backstage.sessions.set_state(&Stage::mark("a.1"), state.clone());
        }
        if actor.wait_for_cue("begin") {
            actor.until("finish");
        }
    });
}

fn live(notes: &[(&'static str, &str)]) -> State {
    let notes = notes.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    State::Live(Facts { notes, ..Facts::default() })
}

#[test]
fn l9_a_queue_that_cant_be_seen_makes_nobody_late() {
    for ready in [10, 60] {
        let stage = Stage::new(&format!("limits: {{ ready: {ready}s }}\ntasks: {{ a: {{ run: x }} }}"));
        on_cluster(&stage, State::Unknown("squeue: no answer within 30 s".to_owned()));
        stage.sessions().fail_next(Verb::Observe, usize::MAX >> 40, ErrorKind::Unavailable);
        let life = Life::first(&stage);
        life.await_state("the launch", |state| {
            state.workers.get("a.1").is_some_and(|a| a.launched_at.is_some())
        });
        stage.pass(&life, secs(180));
        assert_eq!(stage.told("a"), "claimed");
        let queued = |state: &RunState| state.workers["a.1"].queued;
        assert!(life.is(queued), "{:?}", stage.history("a.1"));
        // Seen again, it runs, and its time counts from here.
        stage.sessions().heal();
        stage.sessions().set_state(&Stage::mark("a.1"), live(&[("node", "n1")]));
        stage.pass_until("its start", &life, || !life.is(queued));
        stage.call("begin");
        stage.call("finish");
        stage.pass_until("the end", &life, || life.is_over());
        assert_eq!(life.join(), DONE);
    }
}

#[test]
fn a_job_that_runs_without_a_word_is_late_and_its_node_is_named() {
    let stage = Stage::new("limits: { ready: 10s }\ntasks: { a: { run: x } }");
    on_cluster(&stage, live(&[("job", "7"), ("node", "n1"), ("starts", "")]));
    let life = Life::first(&stage);
    stage.pass_until("the end", &life, || life.is_over());
    assert_eq!(life.join(), FAILED);
    let told = stage.told("a");
    assert!(told.contains("its script hasn't begun within 70 s (starting on n1)"), "{told}");
}

#[test]
fn j8_a_job_that_is_suspended_before_its_first_word_and_in_its_work_loses_no_time() {
    let stage = Stage::new(
        "limits: { ready: 10s }\n\
         heartbeat: { every: 1s, unhealthy_after: 5s, lost_after: 20s, on_lost: fail }\n\
         tasks: { a: { run: x, timeout: 30s } }",
    );
    let suspended = || live(&[("node", "n1"), ("starts", ""), ("suspended", "Slurm says SUSPENDED")]);
    on_cluster(&stage, suspended());
    let life = Life::first(&stage);
    let is = |word: bool| life.is(|state| state.workers.get("a.1").is_some_and(|a| a.suspended == word));
    stage.pass_until("its suspension", &life, || is(true));
    stage.pass(&life, secs(200));
    assert_eq!(stage.told("a"), "claimed");
    stage.sessions().set_state(&Stage::mark("a.1"), live(&[("node", "n1")]));
    stage.pass_until("it goes on", &life, || is(false));
    stage.call("begin");
    life.await_task("a", "in_progress");
    stage.sessions().set_state(&Stage::mark("a.1"), suspended());
    stage.pass_until("its second suspension", &life, || is(true));
    stage.pass(&life, secs(200));
    assert_eq!(stage.told("a"), "in_progress");
    assert!(life.is(|state| phase(state, "a.1") == "busy"));
    stage.sessions().set_state(&Stage::mark("a.1"), live(&[("node", "n1")]));
    stage.pass_until("it goes on", &life, || is(false));
    stage.call("finish");
    assert_eq!(life.join(), DONE);
}

#[test]
fn what_will_never_start_is_told_by_its_reason_though_it_is_seen_to_end_while_it_is_taken_back() {
    let stage = Stage::new("limits: { ready: 10m }\ntasks: { a: { run: x } }");
    on_cluster(&stage, State::Stuck("Slurm holds job 7 for ever: PartitionConfig".to_owned()));
    let gate = stage.sessions().hold(Verb::Release);
    let life = Life::first(&stage);
    stage.pass_until("its release", &life, || stage.sessions().count(Verb::Release, &Stage::mark("a.1")) > 0);
    // As a job that was called off, and whose release isn't back yet.
    stage.sessions().set_state(&Stage::mark("a.1"), State::Ended(None));
    stage.pass(&life, secs(60));
    assert_eq!(stage.told("a"), "claimed");
    assert_eq!(stage.sessions().count(Verb::Release, &Stage::mark("a.1")), 1);
    gate.open();
    stage.pass_until("the end", &life, || life.is_over());
    assert_eq!(life.join(), FAILED);
    let told = stage.told("a");
    assert!(told.contains("it will never start: Slurm holds job 7 for ever: PartitionConfig"), "{told}");
}
