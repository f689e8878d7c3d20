//! Restarts: a supervisor that ends at any point loses nothing and repeats nothing.
//!
//! It leaves out damage to the journal itself, which has tests of its own.

use std::collections::BTreeMap;

use ilchul_conformance::{PATIENCE, Verb, wait_until};
use ilchul_substrate::{ErrorKind, State};

use super::DONE;
use super::life::{Birth, Cut, Life, Outcome};
use super::stage::{Stage, told};
use crate::engine::evidence::ChildExit;
use crate::engine::input::{Choice, Request};
use crate::supervisor::{End, Fate, Note, Resumed, Then};

const THREE: &str = "tasks: { a: { run: x }, b: { run: x, needs: [a] }, c: { run: x, needs: [a] } }";

fn resumed(worker: &str, fate: Fate, then: Then) -> Resumed {
    Resumed { worker: worker.to_owned(), fate, then }
}

/// How often each task's body ran, over all attempts.
fn per_task(ran: &BTreeMap<String, u32>) -> BTreeMap<String, u32> {
    let mut sums = BTreeMap::new();
    for (worker, times) in ran {
        *sums.entry(worker.rsplit_once('.').unwrap().0.to_owned()).or_default() += times;
    }
    sums
}

/// Runs to the end from wherever the run is, letting time pass for what is deferred.
fn to_the_end(stage: &Stage) -> Outcome {
    let life = Life::next(stage);
    stage.pass_until("the end of the resumed life", &life, || life.is_over());
    life.join()
}

/// Cuts a run of three tasks at `cut`, goes on, and holds the laws against the end.
/// False when the run ended before the cut.
fn cut_and_go_on(cut: Cut) -> bool {
    let stage = Stage::new(THREE);
    let life = Life::begin(&stage, Birth { cut: Some(cut), ..Birth::default() });
    let first = life.join();
    assert!(
        matches!(first, Outcome::Cut | Outcome::Ended(End::Ended { success: true })),
        "{cut:?}: {first:?}"
    );
    let before = stage.state();
    let end = to_the_end(&stage);
    let state = stage.state();
    assert_eq!(end, DONE, "{cut:?}: {}", ["a", "b", "c"].map(|task| told(&state, task)).join(", "));
    for task in ["a", "b", "c"] {
        assert_eq!(told(&state, task), "completed", "{cut:?}: {task}");
    }
    // J6: no attempt was in doubt, because every worker lived on: nothing ran twice.
    let once: BTreeMap<String, u32> = ["a", "b", "c"].map(|task| (task.to_owned(), 1)).into();
    assert_eq!(per_task(&stage.ran()), once, "{cut:?}: {:?}", stage.ran());
    assert_eq!(stage.faults(), Vec::<String>::new(), "{cut:?}");
    // J6: what was committed as completed is never executed again.
    for (index, task) in before.tasks.iter().enumerate().filter(|(_, task)| task.phase.is_terminal()) {
        assert_eq!(state.tasks[index].attempt, task.attempt, "{cut:?}");
    }
    first == Outcome::Cut
}

#[test]
fn l13_cut_off_after_any_commit_before_acting_on_it_the_end_is_the_same() {
    let cuts = (1..100).take_while(|k| cut_and_go_on(Cut::BeforeActing(*k))).count();
    assert!(cuts >= 3, "only {cuts} commits were cut at");
}

#[test]
fn l13_cut_off_while_effects_are_under_way_the_end_is_the_same() {
    let cuts = (1..100).take_while(|k| cut_and_go_on(Cut::AfterActing(*k))).count();
    assert!(cuts >= 3, "only {cuts} commits were cut at");
}

#[test]
fn j6_cut_off_again_and_again_the_run_still_ends_and_runs_each_body_once() {
    let stage = Stage::new(THREE);
    let mut old = false;
    for cut in [
        Cut::AfterActing(1),
        Cut::BeforeActing(1),
        Cut::AfterActing(2),
        Cut::BeforeActing(2),
        Cut::AfterActing(3),
    ] {
        let life = Life::begin(&stage, Birth { old, cut: Some(cut), ..Birth::default() });
        stage.pass_until("the cut", &life, || life.is_over());
        assert_ne!(
            std::mem::discriminant(&life.join()),
            std::mem::discriminant(&Outcome::Failed(String::new()))
        );
        old = true;
    }
    assert_eq!(to_the_end(&stage), DONE);
    assert!(per_task(&stage.ran()).values().all(|times| *times == 1), "{:?}", stage.ran());
}

#[test]
fn a_half_made_worker_that_has_no_mail_yet_is_listed_and_is_no_reason_to_poll() {
    let stage = Stage::new(super::ONE);
    let life = Life::begin(&stage, Birth { cut: Some(Cut::BeforeActing(1)), ..Birth::default() });
    assert_eq!(life.join(), Outcome::Cut);
    stage.cast("a", |actor| actor.until("finish"));
    let life = Life::next(&stage);
    life.await_task("a", "in_progress");
    // Watches are set elsewhere: their trouble is told with the look after that.
    stage.pass(&life, std::time::Duration::from_secs(2));
    assert_eq!(life.notes(), []);
    assert_eq!(life.resumed(), [resumed("a.1", Fate::HalfMade, Then::Nothing)]);
    stage.call("finish");
    assert_eq!(life.join(), DONE);
}

#[test]
fn j10_an_ended_run_starts_nothing() {
    let stage = Stage::new(THREE);
    assert_eq!(Life::first(&stage).join(), DONE);
    let (events, ran) = (stage.backstage.on_disk().len(), stage.ran());
    assert_eq!(Life::next(&stage).join(), DONE);
    assert_eq!((stage.backstage.on_disk().len(), stage.ran()), (events, ran));
}

#[test]
fn a_live_session_is_adopted_and_its_task_completed_by_the_same_attempt() {
    let stage = Stage::new(super::ONE);
    stage.cast("a", |actor| actor.until("finish"));
    let life = Life::first(&stage);
    life.await_task("a", "in_progress");
    assert_eq!(life.kill(), Outcome::Cut);
    let life = Life::next(&stage);
    life.await_state("the new life", |_| true);
    assert_eq!(life.resumed(), [resumed("a.1", Fate::Adopted, Then::Nothing)]);
    stage.call("finish");
    assert_eq!(life.join(), DONE);
    assert_eq!(stage.ran(), [("a.1".to_owned(), 1)].into());
    assert_eq!(stage.sessions().count(Verb::Ensure, &Stage::mark("a.1")), 1);
}

#[test]
fn j3_what_a_worker_finished_while_nobody_looked_is_settled_by_the_next_life() {
    let stage = Stage::new(super::ONE);
    stage.cast("a", |actor| actor.until("finish"));
    let life = Life::first(&stage);
    life.await_task("a", "in_progress");
    assert_eq!(life.kill(), Outcome::Cut);
    stage.call("finish");
    wait_until("the end on record", PATIENCE, || stage.mail("a.1").join("exit.json").exists());
    let life = Life::next(&stage);
    wait_until("the end", PATIENCE, || life.is_over());
    assert_eq!(life.resumed(), [resumed("a.1", Fate::Settled(ChildExit::Code(0)), Then::Nothing)]);
    assert_eq!(life.join(), DONE);
    assert_eq!(stage.ran(), [("a.1".to_owned(), 1)].into());
}

#[test]
fn a_worker_that_died_while_nobody_looked_is_retried() {
    let stage = Stage::new("tasks: { a: { run: x, retries: 1 } }");
    stage.cast("a.1", |actor| actor.until("never"));
    let life = Life::first(&stage);
    life.await_task("a", "in_progress");
    assert_eq!(life.kill(), Outcome::Cut);
    stage.sessions().lose(&Stage::mark("a.1"));
    let life = Life::next(&stage);
    stage.pass_until("the end of the resumed life", &life, || life.is_over());
    let gone = Fate::Gone("its session is gone".to_owned());
    assert_eq!(life.resumed(), [resumed("a.1", gone, Then::Again { attempt: 2, allowed: 2 })]);
    assert_eq!(life.join(), DONE);
    let state = stage.state();
    assert!(state.workers["a.1"].reason.starts_with("worker_died"), "{:?}", stage.history("a.1"));
    assert_eq!(state.tasks[0].attempt, 2);
}

#[test]
fn l9_when_nobody_can_say_what_lives_a_resume_waits_and_repeats_nothing() {
    let stage = Stage::new(super::ONE);
    stage.cast("a", |actor| actor.until("finish"));
    let life = Life::first(&stage);
    life.await_task("a", "in_progress");
    assert_eq!(life.kill(), Outcome::Cut);
    stage.sessions().fail_next(Verb::Discover, 1, ErrorKind::Unavailable);
    stage.sessions().fail_next(Verb::Observe, 2, ErrorKind::Unavailable);
    let life = Life::next(&stage);
    let blind = |note: &Note| matches!(note, Note::ProbeFailed(_));
    stage.pass_until("the failed looks", &life, || {
        life.notes().iter().filter(|note| blind(note)).count() >= 2
    });
    let told = life.resumed();
    assert!(matches!(&told[..], [Resumed { fate: Fate::Unknown(_), then: Then::Nothing, .. }]), "{told:?}");
    assert_eq!(stage.told("a"), "in_progress");
    stage.call("finish");
    stage.pass_until("the end", &life, || life.is_over());
    assert_eq!(life.join(), DONE);
    assert_eq!(stage.ran(), [("a.1".to_owned(), 1)].into());
}

#[test]
fn l9_a_launch_whose_session_cannot_be_looked_for_is_never_repeated_beside_it() {
    let stage = Stage::new(super::ONE);
    let gate = stage.sessions().hold_only(Verb::Ensure, &Stage::mark("a.1"));
    let life = Life::first(&stage);
    gate.wait_for_arrivals(1);
    assert_eq!(life.kill(), Outcome::Cut);
    gate.open();
    // The session is made though nobody waits for it any more.
    wait_until("the orphan", PATIENCE, || stage.mail("a.1").join("ready.json").exists());
    stage.sessions().fail_next(Verb::Discover, 1, ErrorKind::Unavailable);
    assert_eq!(to_the_end(&stage), DONE);
    let state = stage.state();
    assert_eq!(told(&state, "a"), "completed");
    assert_eq!(per_task(&stage.ran()), [("a".to_owned(), 1)].into(), "{:?}", stage.ran());
}

#[test]
fn a_launch_that_finishes_after_its_supervisor_is_found_by_its_mark() {
    let stage = Stage::new(super::ONE);
    let gate = stage.sessions().hold_only(Verb::Ensure, &Stage::mark("a.1"));
    let life = Life::first(&stage);
    gate.wait_for_arrivals(1);
    let commits = life.commits();
    assert_eq!(life.kill(), Outcome::Cut);
    assert!(commits >= 1);
    gate.open();
    wait_until("the orphan", PATIENCE, || stage.mail("a.1").join("ready.json").exists());
    assert_eq!(to_the_end(&stage), DONE);
    assert_eq!(stage.ran(), [("a.1".to_owned(), 1)].into());
}

#[test]
fn l2_l6_an_older_journal_put_back_repeats_no_number_and_starts_nothing_beside_what_lives() {
    let stage = Stage::new("tasks: { a: { run: x, retries: 1 } }");
    stage.cast("a", |actor| actor.until("finish"));
    let life = Life::begin(&stage, Birth { cut: Some(Cut::BeforeActing(1)), ..Birth::default() });
    assert_eq!(life.join(), Outcome::Cut);
    let journal = stage.backstage.home.journal();
    let old = std::fs::read(&journal).unwrap();
    let life = Life::next(&stage);
    life.await_task("a", "in_progress");
    assert_eq!(stage.state().last_token, 2);
    assert_eq!(life.kill(), Outcome::Cut);
    for name in ["journal.db-wal", "journal.db-shm"] {
        // A life that ended in order has removed both.
        let _ = std::fs::remove_file(journal.with_file_name(name));
    }
    std::fs::write(&journal, old).unwrap();
    let life = Life::next(&stage);
    life.await_state("what was found", |state| state.workers.contains_key("a.2"));
    stage.pass(&life, std::time::Duration::from_secs(400));
    assert_eq!(
        (stage.told("a").as_str(), stage.state().tasks[0].attempt),
        ("ready (launch_interrupted: the supervisor ended while it was being made)", 1)
    );
    let reason = stage.state().workers["a.2"].reason.clone();
    assert!(reason.starts_with("unknown_to_journal"), "{reason}");
    let answer = Life::ask(&stage, &Request::Decide { task: "a".to_owned(), choice: Choice::Rerun });
    assert!(answer.accepted, "{}", answer.message);
    stage.pass_until("the third attempt", &life, || life.is(|state| state.workers.contains_key("a.3")));
    assert_eq!(stage.state().workers["a.3"].token, 3);
    stage.call("finish");
    stage.pass_until("the end", &life, || life.is_over());
    assert_eq!(life.join(), DONE);
    assert_eq!(stage.ran(), [("a.2".to_owned(), 1), ("a.3".to_owned(), 1)].into());
}

#[test]
fn l9_a_session_that_a_resume_could_not_look_for_is_found_by_a_later_look_and_adopted() {
    let stage = Stage::new(super::ONE);
    stage.cast("a.1", |actor| actor.until("finish"));
    let gate = stage.sessions().hold_only(Verb::Ensure, &Stage::mark("a.1"));
    let life = Life::first(&stage);
    gate.wait_for_arrivals(1);
    assert_eq!(life.kill(), Outcome::Cut);
    gate.open();
    wait_until("the orphan", PATIENCE, || stage.mail("a.1").join("ready.json").exists());
    stage.sessions().fail_next(Verb::Discover, 1, ErrorKind::Unavailable);
    let life = Life::next(&stage);
    stage.pass_until("the adoption", &life, || life.is(|state| state.workers["a.1"].acknowledged));
    stage.call("finish");
    stage.pass_until("the end", &life, || life.is_over());
    assert_eq!(life.join(), DONE);
    assert_eq!(stage.ran(), [("a.1".to_owned(), 1)].into());
}

#[test]
fn a_launch_that_is_given_up_while_it_is_on_its_way_finds_an_order_to_end_in_its_mail() {
    let stage = Stage::new(super::ONE);
    stage.cast("a.1", |actor| {
        actor.ready(None);
        let stop = actor.mail.join(crate::protocol::STOP);
        if actor.wait(|| stop.exists()) {
            actor.leave(143);
        }
    });
    let gate = stage.sessions().hold_only(Verb::Ensure, &Stage::mark("a.1"));
    let life = Life::first(&stage);
    gate.wait_for_arrivals(1);
    assert_eq!(life.kill(), Outcome::Cut);
    // Nothing is found of it yet: it is given up, and its session is made after that.
    let life = Life::next(&stage);
    life.await_state("the next attempt", |state| state.workers.contains_key("a.2"));
    gate.open();
    wait_until("the end of what came late", PATIENCE, || {
        matches!(stage.sessions().state(&Stage::mark("a.1")), Some(State::Ended(_)))
    });
    stage.pass_until("the end", &life, || life.is_over());
    assert_eq!(life.join(), DONE);
    assert_eq!(stage.ran(), [("a.2".to_owned(), 1)].into());
}
