//! Silence, blindness and time: what they lead to, and what they never do.

use std::time::Duration;

use super::{Plan, Play, flow, kinds, started, task};
use crate::engine::input::{Beat, Input, Request, Seen};
use crate::engine::moment::Moment;
use crate::engine::task_table::TaskPhase as T;
use crate::engine::worker_table::WorkerPhase as W;
use crate::protocol::ReportStatus as Status;
use crate::workflow::{OnLost, Task, Workflow};

fn on_lost(policy: OnLost, task: Task) -> Workflow {
    let mut flow = flow(vec![task]);
    flow.heartbeat.on_lost = policy;
    flow
}

fn busy(workflow: Workflow) -> Play {
    let mut play = Play::new(workflow);
    play.start_work("a.1");
    play
}

#[test]
fn a_silent_worker_is_unhealthy_and_back_on_a_fresh_beat() {
    let mut play = Play::busy(task("a"));
    assert_eq!(play.tick(9_999), []);
    assert_eq!(kinds(&play.tick(1)), ["worker.unhealthy"]);
    assert!(play.worker("a.1").reason.starts_with("silent:"), "{}", play.worker("a.1").reason);
    assert_eq!(kinds(&play.beat("a.1")), ["worker.busy"]);
    assert_eq!(play.phase("a"), T::InProgress);
}

#[test]
fn an_old_beat_read_again_is_no_sign_of_life() {
    let mut play = Play::busy(task("a"));
    let token = Some(play.worker("a.1").token);
    let beat = |seq| Seen::Beat(Beat { token, seq, alive: Some(true), progress: 0, asks: None });
    play.see("a.1", beat(5));
    play.tick(10_000);
    assert_eq!(play.worker_phase("a.1"), W::Unhealthy);
    assert_eq!(play.see("a.1", beat(5)), []);
    assert_eq!(play.see("a.1", beat(4)), []);
    assert_eq!(play.worker_phase("a.1"), W::Unhealthy);
    assert_eq!(kinds(&play.see("a.1", beat(6))), ["worker.busy"]);
}

#[test]
fn l18_beats_of_a_shim_whose_child_is_gone_prove_nothing() {
    let mut play = Play::busy(task("a"));
    let token = Some(play.worker("a.1").token);
    for seq in 1..=5 {
        play.tick(2_000);
        play.see("a.1", Seen::Beat(Beat { token, seq, alive: Some(false), progress: seq, asks: None }));
    }
    assert_eq!(play.worker_phase("a.1"), W::Unhealthy);
}

#[test]
fn l10_lost_asks_by_default_and_nothing_fails_and_nobody_is_stopped() {
    let mut play = Play::busy(task("a").retries(3));
    play.tick(10_000);
    assert_eq!(kinds(&play.tick(50_000)), ["claim.expired"]);
    play.tick(600_000);
    assert_eq!((play.phase("a"), play.worker_phase("a.1")), (T::InProgress, W::Unhealthy));
    assert_eq!((play.owed(), play.state().workers.len()), (Vec::new(), 1));
}

#[test]
fn l6_expiry_makes_a_claim_recoverable_and_not_dead() {
    let mut play = Play::busy(task("a"));
    play.tick(60_000);
    assert!(play.worker("a.1").expired);
    assert_eq!(kinds(&play.beat("a.1")), ["worker.busy", "claim.renewed"]);
    assert!(!play.worker("a.1").expired);
    play.tick(60_000);
    assert!(play.worker("a.1").expired);
    play.finish("a.1");
    assert_eq!(play.phase("a"), T::Completed);
}

#[test]
fn l10_lost_retries_elsewhere_where_the_policy_says_so_and_fences_the_old_worker() {
    let mut play = busy(on_lost(OnLost::Retry, task("a").retries(1)));
    play.tick(10_000);
    let events = kinds(&play.tick(50_000));
    assert_eq!(events[..3], ["claim.expired", "claim.revoked", "task.ready"]);
    assert_eq!((play.phase("a"), play.task("a").attempt), (T::Claimed, 2));
    assert_eq!((play.worker_phase("a.1"), play.owed()), (W::Unhealthy, vec!["provision a.2".to_owned()]));
    assert_eq!(super::ignored_code(&play.beat("a.1")), "dead_token");
    // Attempts that are used up fail the task, and nothing else does.
    play.start_work("a.2");
    play.tick(60_000);
    assert_eq!(play.phase("a"), T::Failed);
}

#[test]
fn l10_lost_fails_where_the_policy_says_so() {
    let mut play = busy(on_lost(OnLost::Fail, task("a").retries(3)));
    play.tick(60_000);
    assert_eq!(play.phase("a"), T::Failed);
    assert!(play.task("a").reason.starts_with("lost:"), "{}", play.task("a").reason);
}

#[test]
fn l1_every_wait_on_a_worker_ends_with_its_silence() {
    let mut play = Play::busy(task("a"));
    play.tick_beating(20_000, &["a.1"]);
    let last = play.engine.pulses().get("a.1").expect("watched").seen;
    assert_eq!(play.engine.next_deadline(), Some(last.after(Duration::from_secs(10))));
    play.tick(10_000);
    assert_eq!(play.engine.next_deadline(), Some(last.after(Duration::from_secs(60))));
}

#[test]
fn l11_a_beat_that_never_came_ages_from_the_dispatch() {
    let mut play = Play::new(flow(vec![task("a")]));
    play.tick(5_000);
    play.launch("a.1");
    play.tick(7_000);
    play.ready("a.1");
    play.ack("a.1");
    assert_eq!(play.worker("a.1").dispatched_at, Some(Moment(12_000)));
    assert_eq!(play.tick(9_999), []);
    assert_eq!(kinds(&play.tick(1)), ["worker.unhealthy"]);
}

#[test]
fn l12_l17_blindness_gives_everybody_a_whole_fresh_grace() {
    let mut play = Play::busy(task("a"));
    play.now_ms += 3_600_000;
    play.give(&Input::Blind).expect("never refused");
    play.tick(0);
    play.tick(9_999);
    assert_eq!(play.worker_phase("a.1"), W::Busy, "the gap was ours");
    play.tick(1);
    assert_eq!(play.worker_phase("a.1"), W::Unhealthy);
}

#[test]
fn l17_a_timeout_that_passed_in_our_blindness_waits_for_one_look_at_the_mail() {
    for resume in [false, true] {
        let mut play = Play::busy(task("a").timeout(100));
        play.now_ms += 3_600_000;
        if resume {
            play.crash_and_resume();
        } else {
            play.give(&Input::Blind).expect("never refused");
        }
        play.tick(9_999);
        assert_eq!(play.phase("a"), T::InProgress);
        play.tick(1);
        assert_eq!(play.phase("a"), T::Failed, "and no longer than that");
    }
}

#[test]
fn l13_l17_a_restart_gives_a_whole_fresh_grace_and_changes_no_phase() {
    let mut play = busy(on_lost(OnLost::Fail, task("a")));
    play.tick(9_000);
    play.now_ms += 500_000;
    play.crash_and_resume();
    assert_eq!((play.phase("a"), play.worker_phase("a.1")), (T::InProgress, W::Busy));
    play.tick(59_999);
    assert_eq!((play.phase("a"), play.worker_phase("a.1")), (T::InProgress, W::Unhealthy));
    play.tick(1);
    assert_eq!(play.phase("a"), T::Failed);
}

#[test]
fn l18_a_worker_that_never_acknowledges_is_unhealthy_however_well_it_beats() {
    let mut play = Play::new(flow(vec![task("a").timeout(100)]));
    play.launch("a.1");
    play.ready("a.1");
    play.tick_beating(28_000, &["a.1"]);
    assert_eq!(play.worker_phase("a.1"), W::Busy);
    play.tick_beating(4_000, &["a.1"]);
    assert_eq!(play.worker_phase("a.1"), W::Unhealthy);
    assert!(play.worker("a.1").reason.starts_with("no_ack:"), "{}", play.worker("a.1").reason);
    let flaps = play.journal.len();
    play.tick_beating(30_000, &["a.1"]);
    assert!(play.journal.len() <= flaps + 2, "beats alone bring nothing back and forth");
    play.ack("a.1");
    assert_eq!(kinds(&play.beat("a.1")), ["worker.busy"]);
    assert_eq!(play.phase("a"), T::InProgress);
}

#[test]
fn l17_blindness_counts_for_the_acknowledgement_too() {
    let mut play = Play::new(flow(vec![task("a")]));
    play.launch("a.1");
    play.ready("a.1");
    play.now_ms += 300_000;
    play.give(&Input::Blind).expect("never refused");
    play.tick_beating(28_000, &["a.1"]);
    assert_eq!(play.worker_phase("a.1"), W::Busy);
}

#[test]
fn j6_a_timeout_stops_the_session_and_the_next_attempt_waits_for_its_end() {
    let mut play = Play::busy(task("a").retries(1).timeout(100));
    play.tick_beating(98_000, &["a.1"]);
    let events = kinds(&play.tick(2_000));
    assert_eq!(events[..3], ["claim.revoked", "task.ready", "worker.stopping"]);
    assert_eq!((play.phase("a"), play.owed()), (T::Ready, vec!["stop a.1".to_owned()]));
    play.stopped("a.1");
    assert_eq!((play.worker_phase("a.1"), play.owed()), (W::CompletedRetained, vec!["provision a.2".into()]));
}

#[test]
fn a_session_that_is_being_ended_still_takes_its_place() {
    let only_one =
        crate::engine::event::Started { workers: 1, ..started(flow(vec![task("a").retries(1).timeout(5)])) };
    let mut play = Play::with(only_one);
    play.start_work("a.1");
    play.tick(5_000);
    assert_eq!((play.phase("a"), play.owed()), (T::Ready, vec!["stop a.1".to_owned()]));
    play.stopped("a.1");
    assert_eq!((play.phase("a"), play.owed()), (T::Claimed, vec!["provision a.2".to_owned()]));
}

#[test]
fn l10_an_attested_death_fails_the_attempt_at_once() {
    let mut play = Play::busy(task("a").retries(1));
    let events = kinds(&play.gone("a.1"));
    assert_eq!(events[..3], ["worker.stale-registry", "claim.revoked", "task.ready"]);
    assert_eq!((play.phase("a"), play.worker_phase("a.1")), (T::Claimed, W::CompletedRetained));
    assert_eq!(play.gone("a.1"), []);
}

#[test]
fn nothing_is_due_in_a_run_that_nobody_holds() {
    let mut play = Play::busy(task("a"));
    play.give(&Input::Interrupted { reason: "SIGINT".to_owned() }).expect("never refused");
    assert_eq!((play.engine.next_deadline(), play.tick(600_000)), (None, vec![]));
    assert_eq!(play.worker_phase("a.1"), W::Busy);
}

#[test]
fn l13_a_blocked_tasks_pause_survives_a_restart() {
    let mut play = Play::busy(task("a").timeout(100));
    play.tick_beating(50_000, &["a.1"]);
    play.report("a.1", Status::Blocked);
    play.tick_beating(100_000, &["a.1"]);
    play.crash_and_resume();
    play.beats = 1_000;
    play.tick_beating(100_000, &["a.1"]);
    play.report("a.1", Status::Done);
    play.tick_beating(48_000, &["a.1"]);
    assert_eq!(play.phase("a"), T::InProgress);
    play.tick_beating(2_000, &["a.1"]);
    assert_eq!(play.phase("a"), T::Failed);
}

#[test]
fn a_deadline_that_nothing_can_follow_from_wakes_nobody() {
    let one = crate::engine::event::Started { workers: 1, ..started(flow(vec![task("a"), task("b")])) };
    let mut play = Play::with(one);
    play.see("a.1", Seen::LaunchFailed { step: "session", detail: "tmux".to_owned(), host: true });
    // The place went to `b`; `a` is due in 5 s, but has no room until `b` ends.
    play.launch("b.1");
    play.ready("b.1");
    play.ack("b.1");
    play.tick(5_000);
    let next = play.engine.next_deadline().expect("the worker's silence");
    assert!(next > Moment(play.now_ms), "{next:?} would spin");
    play.ask(Request::Cancel { task: "b".to_owned() }).expect("granted");
    play.stopped("b.1");
    assert_eq!(play.phase("a"), T::Claimed);
}

/// A beat of `a.1` that says how much was done; what follows but for the claim's renewal.
fn beat(play: &mut Play, seq: u64, progress: u64) -> Vec<String> {
    let token = Some(play.worker("a.1").token);
    let events =
        kinds(&play.see("a.1", Seen::Beat(Beat { token, seq, alive: Some(true), progress, asks: None })));
    events.into_iter().filter(|kind| kind != "claim.renewed").collect()
}

#[test]
fn l18_alive_is_not_progressing_beats_without_work_are_stalled_and_nothing_more() {
    let mut play = Play::busy(task("a"));
    for seq in 1..450 {
        play.tick(2_000);
        assert_eq!(beat(&mut play, seq, 7), Vec::<String>::new());
    }
    assert_eq!(kinds(&play.tick(2_000)), ["worker.busy"]);
    assert!(play.worker("a.1").reason.starts_with("stalled:"), "{}", play.worker("a.1").reason);
    // It is said once, and nothing follows from it.
    assert_eq!(beat(&mut play, 450, 7), Vec::<String>::new());
    play.tick(2_000);
    assert_eq!((play.phase("a"), play.worker_phase("a.1")), (T::InProgress, W::Busy));
    assert_eq!(beat(&mut play, 451, 8), ["worker.busy"]);
    assert_eq!(play.worker("a.1").reason, "");
}

#[test]
fn l17_a_new_life_gives_a_stalled_worker_a_whole_fresh_time_before_it_says_so() {
    let mut play = Play::busy(task("a"));
    for seq in 1..=449 {
        play.tick(2_000);
        beat(&mut play, seq, 7);
    }
    play.crash_and_resume();
    play.tick(2_000);
    beat(&mut play, 450, 7);
    assert!(!play.worker("a.1").stalled);
}

#[test]
fn whoever_waits_for_a_person_is_not_stalled() {
    let mut play = Play::busy(task("a"));
    play.report("a.1", Status::NeedsInput);
    for seq in 1..=500 {
        play.tick(2_000);
        beat(&mut play, seq, 7);
    }
    assert!(!play.worker("a.1").stalled);
}

#[test]
fn a_lost_worker_that_still_lives_is_asked_to_end_before_the_run_does() {
    for policy in [OnLost::Retry, OnLost::Fail] {
        let mut play = busy(on_lost(policy, task("a").retries(1)));
        play.tick(10_000);
        play.tick(50_000);
        if policy == OnLost::Retry {
            play.complete("a.2");
        }
        assert_eq!(play.ended(), None, "{policy:?}");
        assert_eq!(play.owed(), ["stop a.1"]);
        play.stopped("a.1");
        assert_eq!(play.ended(), Some(policy == OnLost::Retry));
        assert_eq!(play.worker_phase("a.1"), W::CompletedRetained);
    }
}

#[test]
fn the_successor_of_a_recovered_claim_says_whose_it_was() {
    let mut play = busy(on_lost(OnLost::Retry, task("a").retries(1)));
    play.tick(60_000);
    assert_eq!(play.worker("a.2").recovered_from.as_deref(), Some("a.1"));
    let mut play = Play::busy(task("a"));
    play.tick(60_000);
    play.ask(Request::Decide { task: "a".to_owned(), choice: crate::engine::input::Choice::Rerun }).unwrap();
    play.stopped("a.1");
    assert_eq!(play.worker("a.2").recovered_from.as_deref(), Some("a.1"));
    // A failure is no recovery.
    let mut play = Play::busy(task("a").retries(1));
    play.report("a.1", Status::Failed);
    play.exit("a.1", 0);
    assert_eq!(play.worker("a.2").recovered_from, None);
}

#[test]
fn l8_no_claim_ends_for_its_lease_alone_each_end_names_what_was_observed() {
    // Expired is not ended: whatever the policy, the end says what was seen or who decided.
    let mut play = Play::busy(task("a"));
    play.tick(60_000);
    assert!(play.worker("a.1").expired && play.worker("a.1").token_live);
    for (policy, retries) in [(OnLost::Retry, 1), (OnLost::Fail, 0)] {
        let mut play = busy(on_lost(policy, task("a").retries(retries)));
        play.tick(10_000);
        let events = play.tick(50_000);
        let reason = events.iter().find_map(|event| match event {
            crate::engine::event::Event::Claim(claim) => match &claim.step {
                crate::engine::event::ClaimStep::Revoked { reason } => Some(reason.clone()),
                _ => None,
            },
            _ => None,
        });
        assert_eq!(reason.as_deref(), Some("lost: no heartbeat for 60 s"));
    }
}

#[test]
fn j6_what_could_not_be_ended_lives_and_its_task_waits_until_it_is_gone() {
    let mut play = Play::busy(task("a").retries(1).timeout(100));
    play.tick_beating(98_000, &["a.1"]);
    play.tick(2_000);
    let trouble = Some("stop: process 7 is another user's".to_owned());
    play.see("a.1", Seen::Stopped { trouble: trouble.clone() });
    play.tick_beating(60_000, &[]);
    assert_eq!((play.phase("a"), play.owed(), play.ended()), (T::Ready, Vec::new(), None));
    // A person may have it tried again; it is no more ended than before.
    let rerun = Request::Decide { task: "a".to_owned(), choice: crate::engine::input::Choice::Rerun };
    play.ask(rerun).unwrap();
    assert_eq!(play.owed(), ["stop a.1"]);
    play.see("a.1", Seen::Stopped { trouble });
    play.crash_and_resume();
    assert_eq!((play.phase("a"), play.owed()), (T::Ready, Vec::new()));
    play.gone("a.1");
    assert_eq!((play.phase("a"), play.task("a").attempt), (T::Claimed, 2));
    assert_eq!(play.worker_phase("a.1"), W::CompletedRetained);
    play.complete("a.2");
    assert_eq!(play.ended(), Some(true));
}

#[test]
fn what_could_not_be_ended_does_not_hold_the_end_of_its_run() {
    let mut play = Play::busy(task("a"));
    play.ask(Request::Cancel { task: "a".to_owned() }).unwrap();
    play.see("a.1", Seen::Stopped { trouble: Some("stop: survivors".to_owned()) });
    assert_eq!(play.ended(), Some(false));
}
