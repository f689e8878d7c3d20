//! What people ask of a run: granted, or refused with nothing changed.

use super::{Plan, Play, artifact, flow, kinds, task};
use crate::engine::evidence::Verdict;
use crate::engine::input::{Choice, Input, Request, Seen};
use crate::engine::state::RunPhase;
use crate::engine::task_table::TaskPhase as T;
use crate::engine::worker_table::WorkerPhase as W;

fn cancel(id: &str) -> Request {
    Request::Cancel { task: id.to_owned() }
}

fn release(id: &str) -> Request {
    Request::Release { worker: id.to_owned(), observations: vec!["clean".to_owned()] }
}

fn retain(id: &str) -> Request {
    Request::Retain { worker: id.to_owned() }
}

fn choose(choice: Choice) -> Request {
    Request::Decide { task: "a".to_owned(), choice }
}

/// Asks for what can't be granted; nothing may change.
fn refused(play: &mut Play, request: Request) -> &'static str {
    let before = play.state().clone();
    let rejection = play.ask(request).expect_err("it can't be granted");
    assert_eq!(play.state(), &before);
    rejection.code
}

#[test]
fn l15_a_name_that_the_run_does_not_have_is_an_error() {
    let mut play = Play::new(flow(vec![task("a")]));
    assert_eq!(refused(&mut play, cancel("b")), "unknown_task");
    assert_eq!(refused(&mut play, Request::Retry { task: "b".to_owned() }), "unknown_task");
    assert_eq!(refused(&mut play, release("a.2")), "unknown_worker");
    assert_eq!(refused(&mut play, retain("a.2")), "unknown_worker");
}

#[test]
fn a_cancelled_task_ends_and_its_worker_is_stopped_and_kept() {
    let mut play = Play::busy(task("a").tree().retries(3));
    let events = kinds(&play.ask(cancel("a")).expect("granted"));
    assert_eq!(events, ["claim.revoked", "worker.stopping", "task.cancelled"]);
    assert_eq!((play.owed(), play.ended()), (vec!["stop a.1".to_owned()], None));
    play.stopped("a.1");
    assert_eq!(play.owed(), ["capture a.1"]);
    play.capture("a.1", "c1");
    assert_eq!((play.worker_phase("a.1"), play.ended()), (W::CompletedRetained, Some(false)));
    assert_eq!(refused(&mut play, cancel("a")), "already_ended");
}

#[test]
fn a_task_can_be_cancelled_wherever_it_is_until_it_ends() {
    let upto: [(super::Script, T); 5] = [
        (|_| (), T::Claimed),
        (|play| play.start_work("a.1"), T::InProgress),
        (
            |play| {
                play.start_work("a.1");
                play.report("a.1", crate::protocol::ReportStatus::Blocked);
            },
            T::Blocked,
        ),
        (|play| play.complete("a.1"), T::Verifying),
        (
            |play| {
                play.start_work("a.1");
                play.tick(60_000);
            },
            T::InProgress,
        ),
    ];
    for (play_to, phase) in upto {
        let mut play = Play::new(flow(vec![task("a").shows(vec![artifact()]), task("b").needs(&["a"])]));
        play_to(&mut play);
        assert_eq!(play.phase("a"), phase);
        play.ask(cancel("a")).expect("granted");
        if play.owed().contains(&"stop a.1".to_owned()) {
            play.stopped("a.1");
        }
        assert_eq!((play.phase("a"), play.phase("b")), (T::Cancelled, T::Skipped));
        assert_eq!(play.ended(), Some(false), "from {phase}");
        assert_eq!(super::ignored_code(&play.judge("a.1", Verdict::Verified)), "late");
        assert_eq!(play.phase("a"), T::Cancelled);
    }
}

#[test]
fn a_pending_task_that_is_cancelled_never_starts() {
    let mut play = Play::new(flow(vec![task("a"), task("b").needs(&["a"])]));
    assert_eq!(kinds(&play.ask(cancel("b")).expect("granted")), ["task.cancelled"]);
    play.complete("a.1");
    assert_eq!((play.phase("b"), play.ended()), (T::Cancelled, Some(false)));
}

#[test]
fn down_stops_every_worker_spends_no_retry_and_interrupts_the_run() {
    let mut play = Play::new(flow(vec![task("a"), task("b"), task("c").needs(&["a"])]));
    play.start_work("a.1");
    play.ask(Request::Down { force: false }).expect("granted");
    assert_eq!((play.phase("a"), play.phase("b"), play.phase("c")), (T::Ready, T::Ready, T::Pending));
    assert_eq!(play.owed(), ["stop a.1", "stop b.1"]);
    play.stopped("a.1");
    assert_eq!(play.state().phase, RunPhase::Running);
    play.stopped("b.1");
    assert_eq!((play.state().phase, &*play.state().interrupted), (RunPhase::Interrupted, "down"));
    assert_eq!((play.owed(), play.tick(600_000)), (Vec::new(), Vec::new()));
    // The next supervisor goes on, with as many attempts left as before.
    play.crash_and_resume();
    play.complete("a.2");
    play.complete("b.2");
    play.complete("c.1");
    assert_eq!(play.ended(), Some(true));
}

#[test]
fn down_by_force_overtakes_a_patient_one() {
    let mut play = Play::busy(task("a"));
    play.ask(Request::Down { force: false }).expect("granted");
    assert_eq!(play.owed(), ["stop a.1"]);
    play.ask(Request::Down { force: true }).expect("granted");
    assert_eq!(play.owed(), ["kill a.1"]);
    play.ask(Request::Down { force: false }).expect("granted");
    assert_eq!(play.owed(), ["kill a.1"]);
}

#[test]
fn down_lets_a_verification_come_to_its_end() {
    let mut play = Play::new(flow(vec![task("a").retries(1).shows(vec![artifact()]), task("b")]));
    play.complete("a.1");
    play.ask(Request::Down { force: false }).expect("granted");
    play.stopped("b.1");
    assert_eq!((play.state().phase, play.owed()), (RunPhase::Running, vec!["verify a.1".to_owned()]));
    play.judge("a.1", Verdict::Refuted);
    assert_eq!((play.phase("a"), play.state().phase), (T::Ready, RunPhase::Interrupted));
}

#[test]
fn down_by_force_waits_for_no_verification_and_the_next_life_looks_again() {
    let mut play = Play::busy(task("a").shows(vec![artifact()]));
    play.finish("a.1");
    play.ask(Request::Down { force: true }).expect("granted");
    assert_eq!((play.phase("a"), play.state().phase), (T::Verifying, RunPhase::Interrupted));
    play.crash_and_resume();
    assert_eq!(play.owed(), ["verify a.1"]);
}

#[test]
fn down_by_force_still_keeps_what_a_tree_holds() {
    let mut play = Play::busy(task("a").tree());
    play.ask(Request::Down { force: true }).expect("granted");
    play.stopped("a.1");
    assert_eq!((play.state().phase, play.owed()), (RunPhase::Running, vec!["capture a.1".to_owned()]));
    play.capture("a.1", "c1");
    assert_eq!(play.state().phase, RunPhase::Interrupted);
}

#[test]
fn a_cancelled_tasks_older_worker_that_was_given_up_is_stopped_too() {
    let mut workflow = flow(vec![task("a").retries(1)]);
    workflow.heartbeat.on_lost = crate::workflow::OnLost::Retry;
    let mut play = Play::new(workflow);
    play.start_work("a.1");
    play.tick(60_000);
    play.ask(cancel("a")).expect("granted");
    assert_eq!(play.owed(), ["stop a.1", "stop a.2"]);
}

#[test]
fn down_reaches_lost_and_half_launched_workers_too() {
    let mut play = Play::new(flow(vec![task("a"), task("b")]));
    play.start_work("a.1");
    play.tick(60_000);
    assert!(play.worker("a.1").expired);
    play.ask(Request::Down { force: false }).expect("granted");
    assert_eq!(play.owed(), ["stop a.1", "stop b.1"]);
    play.crash_and_resume();
    // A crash in between loses no stop, and who starts the run again wants it to go on.
    assert_eq!(play.owed(), ["stop a.1", "stop b.1"]);
    play.stopped("a.1");
    play.stopped("b.1");
    assert_eq!(play.owed(), ["provision a.2", "provision b.2"]);
}

#[test]
fn down_after_the_last_task_is_the_runs_ordinary_end() {
    let mut play = Play::busy(task("a"));
    play.finish("a.1");
    assert_eq!(play.ask(Request::Down { force: true }).expect("granted"), []);
    assert_eq!(play.ended(), Some(true));
}

#[test]
fn only_a_retained_worker_can_be_released_and_only_a_released_one_retained_again() {
    let mut play = Play::new(flow(vec![task("a"), task("b")]));
    play.start_work("a.1");
    assert_eq!(refused(&mut play, release("a.1")), "not_releasable");
    assert_eq!(refused(&mut play, retain("a.1")), "not_retainable");
    play.finish("a.1");
    assert_eq!(kinds(&play.ask(release("a.1")).expect("granted")), ["worker.safe-to-close"]);
    assert_eq!(play.worker("a.1").observations, ["clean"]);
    assert_eq!(play.ask(release("a.1")).expect("granted twice"), []);
    assert_eq!(kinds(&play.ask(retain("a.1")).expect("granted")), ["worker.completed-retained"]);
    assert_eq!(play.ask(retain("a.1")).expect("granted twice"), []);
    play.gone("b.1");
    assert_eq!(refused(&mut play, release("b.1")), "not_releasable");
}

#[test]
fn an_ended_run_still_releases_and_retains() {
    let mut play = Play::busy(task("a"));
    play.finish("a.1");
    play.ask(release("a.1")).expect("granted");
    assert_eq!((play.worker_phase("a.1"), play.ended()), (W::SafeToClose, Some(true)));
}

#[test]
fn only_what_is_in_doubt_can_be_decided() {
    let mut play = Play::new(flow(vec![task("a")]));
    assert_eq!(refused(&mut play, choose(Choice::Rerun)), "not_in_doubt");
    play.start_work("a.1");
    assert_eq!(refused(&mut play, choose(Choice::Accept)), "not_in_doubt");
    play.finish("a.1");
    assert_eq!(refused(&mut play, choose(Choice::Skip)), "not_in_doubt");
}

fn in_doubt(tree: bool) -> Play {
    let plan = task("a").shows(vec![artifact()]);
    let mut play = Play::new(flow(vec![if tree { plan.tree() } else { plan }, task("b").needs(&["a"])]));
    play.start_work("a.1");
    play.tick(60_000);
    play
}

#[test]
fn decided_to_rerun_the_old_token_dies_and_no_retry_is_spent() {
    let mut play = in_doubt(false);
    play.ask(choose(Choice::Rerun)).expect("granted");
    assert_eq!((play.phase("a"), play.owed()), (T::Ready, vec!["stop a.1".to_owned()]));
    play.stopped("a.1");
    assert_eq!((play.phase("a"), play.task("a").attempt), (T::Claimed, 2));
    assert_eq!(super::ignored_code(&play.ack("a.1")), "dead_token");
}

#[test]
fn decided_to_skip_the_task_is_left_out_and_not_by_design() {
    let mut play = in_doubt(false);
    play.ask(choose(Choice::Skip)).expect("granted");
    play.stopped("a.1");
    assert_eq!((play.phase("a"), play.phase("b")), (T::Skipped, T::Skipped));
    assert_eq!(play.ended(), Some(false));
}

#[test]
fn law_2_decided_to_accept_is_verified_after_the_process_has_ended() {
    for tree in [false, true] {
        let mut play = in_doubt(tree);
        play.ask(choose(Choice::Accept)).expect("granted");
        assert_eq!((play.phase("a"), play.owed()), (T::Verifying, vec!["stop a.1".to_owned()]));
        play.stopped("a.1");
        if tree {
            assert_eq!(play.owed(), ["capture a.1"]);
            play.capture("a.1", "c1");
        }
        assert_eq!(play.owed(), ["verify a.1"]);
        play.judge("a.1", Verdict::Verified);
        assert_eq!((play.phase("a"), play.phase("b")), (T::Completed, T::Claimed));
    }
}

#[test]
fn e2_decided_to_accept_not_even_an_exit_is_judged_before_the_process_has_ended() {
    for (code, phase) in [(0, T::Completed), (143, T::Failed)] {
        let mut play = Play::busy(task("a"));
        play.tick(60_000);
        play.ask(choose(Choice::Accept)).expect("granted");
        assert_eq!(play.phase("a"), T::Verifying);
        play.exit("a.1", code);
        assert_eq!(play.phase("a"), phase, "exit {code}");
    }
}

#[test]
fn what_was_decided_to_accept_is_judged_though_its_launch_failed_and_was_seen_late() {
    let mut play = Play::new(flow(vec![task("a")]));
    play.ready("a.1");
    play.tick(11_000);
    play.ask(choose(Choice::Accept)).expect("granted");
    assert_eq!(play.phase("a"), T::Verifying);
    play.give(&Input::Interrupted { reason: "SIGINT".to_owned() }).expect("never refused");
    let detail = "no tmux".to_owned();
    play.see("a.1", Seen::LaunchFailed { step: "session", detail, host: false });
    play.launch("a.1");
    play.crash_and_resume();
    assert_eq!((play.owed(), play.phase("a")), (vec!["stop a.1".to_owned()], T::Verifying));
    play.stopped("a.1");
    // Its worker is kept and over; nobody saw how it ended, so the exit can't be verified.
    assert_eq!((play.worker_phase("a.1"), play.phase("a")), (W::CompletedRetained, T::Failed));
    assert_eq!(play.ended(), Some(false));
}

#[test]
fn a_signal_interrupts_the_run_and_leaves_every_worker_alone() {
    let mut play = Play::busy(task("a"));
    let signal = Input::Interrupted { reason: "SIGINT".to_owned() };
    assert_eq!(kinds(&play.give(&signal).expect("never refused")), ["run.interrupted"]);
    assert_eq!(play.give(&signal).expect("never refused"), []);
    assert_eq!((play.worker_phase("a.1"), play.owed()), (W::Busy, Vec::new()));
    play.crash_and_resume();
    play.finish("a.1");
    assert_eq!(play.ended(), Some(true));
}

#[test]
fn j10_an_ended_run_is_neither_interrupted_nor_resumed() {
    let mut play = Play::busy(task("a"));
    play.finish("a.1");
    let before = play.state().clone();
    let length = play.journal.len();
    play.give(&Input::Interrupted { reason: "SIGINT".to_owned() }).expect("never refused");
    play.crash_and_resume();
    assert_eq!((play.state(), play.owed()), (&before, Vec::new()));
    assert_eq!(play.journal.len(), length);
}
