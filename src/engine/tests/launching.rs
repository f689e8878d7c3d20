//! Between the claim and the dispatch: what a launch may do wrong, and in which order.

use std::time::Duration;

use super::{Plan, Play, flow, ignored_code, kinds, place, started, task};
use crate::engine::budget::Amounts;
use crate::engine::event::{Event, Started};
use crate::engine::evidence::ChildExit;
use crate::engine::input::{Request, Seen};
use crate::engine::moment::Moment;
use crate::engine::task_table::TaskPhase as T;
use crate::engine::worker_table::WorkerPhase as W;
use crate::workflow::{SessionKind, Setup, Task, Workflow};

fn launch_failed(host: bool) -> Seen {
    Seen::LaunchFailed { step: "session", detail: "no tmux".to_owned(), host }
}

#[test]
fn a_launch_that_failed_rolls_the_claim_back_and_spends_an_attempt() {
    let mut play = Play::new(flow(vec![task("a").retries(1)]));
    let events = kinds(&play.see("a.1", launch_failed(false)));
    assert_eq!(events[..3], ["claim.revoked", "task.ready", "worker.stale-registry"]);
    assert_eq!(play.worker("a.1").reason, "launch_session: no tmux");
    assert_eq!(play.task("a").attempt, 2);
    play.see("a.2", launch_failed(false));
    assert_eq!((play.phase("a"), play.ended()), (T::Failed, Some(false)));
}

#[test]
fn the_hosts_trouble_spends_no_attempt_and_waits() {
    let mut play = Play::new(flow(vec![task("a")]));
    // Each time for twice as long: a host in trouble isn't helped by more launches.
    for (attempt, pause_ms) in [(1, 5_000), (2, 10_000), (3, 20_000)] {
        play.see(&format!("a.{attempt}"), launch_failed(true));
        assert_eq!((play.phase("a"), play.owed()), (T::Ready, Vec::new()));
        assert_eq!(play.tick(pause_ms - 1), []);
        play.tick(1);
        assert_eq!((play.phase("a"), play.task("a").attempt), (T::Claimed, attempt + 1));
    }
    play.complete("a.4");
    assert_eq!(play.phase("a"), T::Completed);
}

#[test]
fn the_hosts_trouble_uses_up_none_of_the_runs_attempts() {
    let mut workflow = flow(vec![task("a")]);
    workflow.limits.attempts = Some(1);
    let mut play = Play::new(workflow);
    play.see("a.1", launch_failed(true));
    play.tick(5_000);
    play.complete("a.2");
    assert_eq!(play.phase("a"), T::Completed);
}

#[test]
fn a_worker_that_is_not_ready_in_time_is_stopped_and_the_attempt_spent() {
    let mut play = Play::new(flow(vec![task("a").retries(1)]));
    play.launch("a.1");
    assert_eq!(play.tick(59_999), []);
    play.tick(1);
    assert_eq!((play.phase("a"), play.worker_phase("a.1")), (T::Ready, W::Unhealthy));
    assert_eq!(play.owed(), ["stop a.1"]);
    // What it says from now on finds a dead token.
    assert_eq!(play.ready("a.1"), []);
    assert_eq!(play.worker_phase("a.1"), W::Unhealthy);
    play.stopped("a.1");
    assert_eq!((play.phase("a"), play.task("a").attempt), (T::Claimed, 2));
}

#[test]
fn beats_do_not_stand_in_for_readiness() {
    let mut play = Play::new(flow(vec![task("a")]));
    play.launch("a.1");
    play.tick_beating(60_000, &["a.1"]);
    assert_eq!(play.phase("a"), T::Failed);
}

#[test]
fn readiness_that_is_seen_before_the_launch_returns_is_believed_and_work_waits_for_the_launch() {
    let mut play = Play::new(flow(vec![task("a")]));
    assert_eq!(kinds(&play.ready("a.1")), ["worker.ready"]);
    assert_eq!(play.owed(), ["provision a.1"], "a crash here still owes the launch");
    assert_eq!(kinds(&play.launch("a.1")), ["worker.launched", "worker.busy"]);
    assert_eq!(play.owed(), ["deliver a.1"]);
}

#[test]
fn a_launch_that_fails_after_the_worker_was_ready_is_rolled_back_like_any_other() {
    let mut play = Play::new(flow(vec![task("a").retries(1)]));
    play.ready("a.1");
    play.see("a.1", launch_failed(false));
    assert_eq!((play.worker_phase("a.1"), play.owed()), (W::StaleRegistry, vec!["provision a.2".into()]));
}

#[test]
fn r2_a_tree_that_is_known_only_after_its_workers_end_is_kept_all_the_same() {
    let mut play = Play::new(flow(vec![task("a").tree().retries(1)]));
    play.exit("a.1", 127);
    assert_eq!(play.task("a").attempt, 2);
    play.launch("a.1");
    assert_eq!(play.owed(), ["capture a.1", "provision a.2"]);
    play.capture("a.1", "c1");
    assert_eq!(play.owed(), ["provision a.2"]);
}

#[test]
fn the_same_launch_twice_is_no_news_and_another_one_is_refused() {
    let mut play = Play::busy(task("a"));
    let before = play.state().clone();
    assert_eq!(play.launch("a.1"), []);
    let other = Seen::Launched { workspace: None, session: place("subprocess", "another"), port: None };
    assert_eq!(ignored_code(&play.see("a.1", other)), "late");
    assert_eq!(play.state(), &before);
}

#[test]
fn a_launch_failure_that_arrives_after_the_work_began_changes_nothing() {
    let mut play = Play::busy(task("a"));
    let before = play.state().clone();
    assert_eq!(ignored_code(&play.see("a.1", launch_failed(true))), "late");
    assert_eq!(play.state(), &before);
}

#[test]
fn a_dispatch_that_failed_ends_the_session_that_waits_for_it() {
    let mut play = Play::new(flow(vec![task("a").retries(1)]));
    play.launch("a.1");
    play.ready("a.1");
    play.see("a.1", Seen::LaunchFailed { step: "mail", detail: "no space".to_owned(), host: false });
    assert_eq!((play.task("a").attempt, play.owed()), (1, vec!["stop a.1".to_owned()]));
    play.stopped("a.1");
    assert_eq!((play.task("a").attempt, play.owed()), (2, vec!["provision a.2".to_owned()]));
}

#[test]
fn a_session_that_ends_before_it_is_ready_is_a_failed_launch() {
    let mut play = Play::new(flow(vec![task("a")]));
    play.launch("a.1");
    play.exit("a.1", 127);
    assert_eq!(play.phase("a"), T::Failed);
    assert!(play.task("a").reason.starts_with("launch_session:"), "{}", play.task("a").reason);

    let mut gone = Play::new(flow(vec![task("a")]));
    gone.launch("a.1");
    gone.gone("a.1");
    assert!(gone.task("a").reason.starts_with("launch_session:"), "{}", gone.task("a").reason);
}

#[test]
fn a_worker_cancelled_before_its_launch_returns_is_stopped_and_does_not_hold_the_run() {
    let endings: [(super::Script, W); 3] = [
        // The launch was lost with a crash: the mark finds nothing, or ends what it finds.
        (|play| drop(play.stopped("a.1")), W::StaleRegistry),
        (|play| drop(play.see("a.1", launch_failed(false))), W::StaleRegistry),
        (
            |play| {
                play.launch("a.1");
                play.stopped("a.1");
            },
            W::CompletedRetained,
        ),
    ];
    for (end, phase) in endings {
        let mut play = Play::new(flow(vec![task("a")]));
        play.ask(Request::Cancel { task: "a".to_owned() }).expect("granted");
        assert_eq!((play.owed(), play.ended()), (vec!["stop a.1".to_owned()], None));
        end(&mut play);
        assert_eq!((play.worker_phase("a.1"), play.ended()), (phase, Some(false)));
    }
}

#[test]
fn j6_a_claim_whose_launch_was_lost_in_a_crash_is_owed_again() {
    let mut play = Play::new(flow(vec![task("a")]));
    play.crash_and_resume();
    assert_eq!(play.owed(), ["provision a.1"]);
    assert_eq!(play.engine.nonce("a.1"), None, "only its digest outlives a life");
    // The shell can't prove readiness without it, so the host's trouble rolls the claim back.
    play.see("a.1", launch_failed(true));
    play.tick(5_000);
    assert!(play.engine.nonce("a.2").is_some());
    play.complete("a.2");
    assert_eq!(play.phase("a"), T::Completed);
}

#[test]
fn the_hosts_trouble_is_forgotten_once_a_worker_works() {
    let mut play = Play::new(flow(vec![task("a").retries(1)]));
    play.see("a.1", launch_failed(true));
    play.tick(5_000);
    play.fail("a.2");
    play.see("a.3", launch_failed(true));
    assert_eq!(play.tick(4_999), []);
    play.tick(1);
    assert_eq!((play.phase("a"), play.task("a").attempt), (T::Claimed, 4));
}

#[test]
fn the_hosts_trouble_is_tried_again_after_five_minutes_and_a_half_at_the_latest() {
    let mut play = Play::new(flow(vec![task("a")]));
    for attempt in 1..=12 {
        play.see(&format!("a.{attempt}"), launch_failed(true));
        play.tick(320_000);
        assert_eq!((play.phase("a"), play.task("a").attempt), (T::Claimed, attempt + 1));
    }
}

#[test]
fn a_session_that_is_heard_of_after_its_worker_was_given_up_is_ended_before_the_next_is_made() {
    let mut play = Play::new(flow(vec![task("a")]));
    // A crash interrupted the launch, and nobody could look for its session.
    play.see("a.1", Seen::LaunchFailed { step: "interrupted", detail: String::new(), host: true });
    assert_eq!((play.worker_phase("a.1"), play.phase("a")), (W::StaleRegistry, T::Claimed));
    let mut play = Play::new(flow(vec![task("a")]));
    play.see("a.1", launch_failed(true));
    assert_eq!(kinds(&play.launch("a.1")), ["worker.launched", "worker.stopping"]);
    assert_eq!(play.owed(), ["stop a.1"]);
    play.tick(60_000);
    assert_eq!(play.phase("a"), T::Ready, "claimed beside a live session");
    play.stopped("a.1");
    assert_eq!((play.phase("a"), play.task("a").attempt), (T::Claimed, 2));
    assert_eq!(play.worker_phase("a.1"), W::CompletedRetained);
}

/// A tree that takes up to two minutes to be set up.
fn set_up(tasks: Vec<Task>) -> Workflow {
    let setup =
        Setup { include: Vec::new(), run: vec!["make".to_owned()], timeout: Duration::from_secs(120) };
    Workflow { setup: Some(setup), ..flow(tasks) }
}

#[test]
fn l6_a_claim_lives_through_the_setup_of_its_tree_and_a_plain_folder_has_none() {
    for (plan, limit_ms) in [(task("a").tree(), 180_000), (task("a"), 60_000)] {
        let mut play = Play::new(set_up(vec![plan]));
        play.launch("a.1");
        let (granted, lost) = (play.worker("a.1").expires, Duration::from_secs(60));
        assert_eq!(granted, Moment(0).after(Duration::from_millis(limit_ms) + lost));
        assert_eq!(play.tick(limit_ms - 1), []);
        play.tick(1);
        let told = format!("launch_ready: no readiness within {} s", limit_ms / 1_000);
        assert_eq!((play.phase("a"), play.task("a").reason.clone()), (T::Failed, told));
    }
}

#[test]
fn a_setup_that_failed_is_a_failed_launch_whose_tree_is_kept() {
    let mut play = Play::new(set_up(vec![task("a").tree().retries(1)]));
    play.launch("a.1");
    let events = play.see("a.1", ended_with("launch_setup: `make` ended with exit code 2"));
    assert_eq!(kinds(&events)[..3], ["worker.ended", "claim.revoked", "task.ready"]);
    // The next attempt is claimed at once, so only the event still says why.
    let why = events.iter().find_map(|event| match event {
        Event::Task(told) => Some(told.reason.as_str()),
        _ => None,
    });
    assert_eq!(why, Some("launch_setup: `make` ended with exit code 2"));
    play.capture("a.1", "c1");
    assert_eq!(play.worker_phase("a.1"), W::CompletedRetained);
    assert_eq!(play.task("a").attempt, 2);
    // What a ready worker says so is no word about its launch.
    play.launch("a.2");
    play.ready("a.2");
    play.see("a.2", ended_with("launch_setup: late"));
    assert!(play.task("a").reason.starts_with("no_report: "), "{}", play.task("a").reason);
}

#[test]
fn l6_on_a_cluster_a_worker_with_a_tree_has_time_for_its_checkout_before_it_is_late() {
    for (plan, limit_ms) in [(task("a").tree(), 60_000 + 15 * 60_000), (task("a"), 60_000)] {
        let mut play = Play::with(Started { session: SessionKind::Slurm, ..started(flow(vec![plan])) });
        play.launch("a.1");
        assert_eq!(play.tick(limit_ms - 1), []);
        play.tick(1);
        assert_eq!(play.phase("a"), T::Failed);
    }
}

#[test]
fn a_checkout_that_failed_is_a_failed_launch_and_a_nodes_full_disk_spends_no_attempt() {
    let mut play = Play::new(flow(vec![task("a").tree()]));
    play.launch("a.1");
    let events = play.see("a.1", ended_with("launch_checkout by its host: git ended: No space left"));
    assert_eq!(kinds(&events)[..3], ["worker.ended", "claim.revoked", "task.ready"]);
    assert_eq!(play.task("a").reason, "launch_checkout: git ended: No space left");
    play.capture("a.1", "c1");
    // As after any trouble of a host: later, and in another tree.
    assert_eq!((play.phase("a"), play.task("a").attempt), (T::Ready, 1));
    play.tick(5_000);
    assert_eq!((play.phase("a"), play.task("a").attempt), (T::Claimed, 2));
    play.launch("a.2");
    play.see("a.2", ended_with("launch_checkout: there is no `git` on n1"));
    assert_eq!(play.phase("a"), T::Failed);
    assert_eq!(play.task("a").reason, "launch_checkout: there is no `git` on n1");
}

fn ended_with(error: &str) -> Seen {
    Seen::Ended {
        token: None,
        exit: ChildExit::Unknown,
        survivors: Vec::new(),
        error: Some(error.to_owned()),
        usage: Amounts::default(),
    }
}
