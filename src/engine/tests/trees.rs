//! Attempts with a worktree: nothing is judged before it is kept, and where the next one starts.

use super::{Plan, Play, artifact, diff, flow, kinds, task};
use crate::engine::evidence::Verdict;
use crate::engine::input::Seen;
use crate::engine::task_table::TaskPhase as T;
use crate::engine::view::RunView;
use crate::engine::worker_table::WorkerPhase as W;
use crate::protocol::ReportStatus as Status;
use crate::workflow::{Item, When};

#[test]
fn r2_a_tree_is_kept_before_anything_is_judged() {
    let mut play = Play::busy(task("a").tree());
    play.finish("a.1");
    assert_eq!((play.phase("a"), play.owed()), (T::Verifying, vec!["capture a.1".to_owned()]));
    assert_eq!(play.worker_phase("a.1"), W::Busy);
    let events = kinds(&play.capture("a.1", "c1"));
    assert_eq!(events[..2], ["worker.captured", "worker.completed-retained"]);
    assert_eq!((play.phase("a"), play.task("a").head.as_deref()), (T::Completed, Some("c1")));
}

#[test]
fn e3_a_verdict_that_comes_before_the_tree_is_kept_is_not_believed() {
    let mut play = Play::busy(task("a").tree().shows(vec![artifact()]));
    play.finish("a.1");
    assert_eq!(super::ignored_code(&play.judge("a.1", Verdict::Verified)), "not_asked_for");
    play.capture("a.1", "c1");
    assert_eq!((play.phase("a"), play.owed()), (T::Verifying, vec!["verify a.1".to_owned()]));
}

#[test]
fn r2_a_failed_attempts_tree_is_kept_before_the_run_ends() {
    let mut play = Play::busy(task("a").tree());
    play.report("a.1", Status::Failed);
    play.exit("a.1", 1);
    assert_eq!((play.phase("a"), play.ended()), (T::Failed, None));
    play.capture("a.1", "c1");
    assert_eq!((play.worker_phase("a.1"), play.ended()), (W::CompletedRetained, Some(false)));
}

#[test]
fn the_next_attempt_starts_from_what_was_refuted_and_is_told_what_was_wrong() {
    let mut play = Play::new(flow(vec![task("a").tree().retries(1).shows(vec![artifact()])]));
    assert_eq!(play.worker("a.1").start, "base");
    play.start_work("a.1");
    play.finish("a.1");
    play.capture("a.1", "c1");
    let events = play.judge("a.1", Verdict::Refuted);
    assert_eq!(kinds(&events)[..3], ["evidence.refuted", "task.repair_required", "task.ready"]);
    assert_eq!(play.worker("a.2").start, "c1");
    assert_eq!(play.task("a").refuted.len(), 1);
    assert_eq!(play.state().base_of(0), "base");
}

#[test]
fn the_next_attempt_starts_at_the_base_after_a_failure() {
    let mut play = Play::new(flow(vec![task("a").tree().retries(2).shows(vec![artifact()])]));
    play.complete("a.1");
    play.capture("a.1", "c1");
    play.judge("a.1", Verdict::Refuted);
    play.fail("a.2");
    assert_eq!(play.worker("a.3").start, "base");
    assert!(play.task("a").refuted.is_empty());
}

#[test]
fn what_an_attempt_was_to_repair_outlives_the_hosts_trouble_and_down() {
    let mut play = Play::new(flow(vec![task("a").tree().retries(1).shows(vec![artifact()])]));
    play.complete("a.1");
    play.capture("a.1", "c1");
    play.judge("a.1", Verdict::Refuted);
    play.see("a.2", Seen::LaunchFailed { step: "workspace", detail: "disk".to_owned(), host: true });
    play.tick(5_000);
    assert_eq!(play.worker("a.3").start, "c1");
    assert_eq!(play.task("a").refuted.len(), 1);
}

#[test]
fn a_dependent_that_starts_from_another_task_waits_for_its_snapshot() {
    let fix = task("fix").tree().needs(&["test"]).when(When::Failed).behind("test");
    let mut play = Play::new(flow(vec![task("test").tree(), fix]));
    play.start_work("test.1");
    play.report("test.1", Status::Failed);
    play.exit("test.1", 1);
    assert_eq!((play.phase("test"), play.phase("fix")), (T::Failed, T::Ready));
    let view = RunView::of(play.state());
    let waits_for = &view.task("fix").expect("planned").waits_for;
    assert_eq!(waits_for[..], ["the last snapshot of the task that it starts from"]);
    play.capture("test.1", "c1");
    assert_eq!(play.phase("fix"), T::Claimed);
    assert_eq!(play.worker("fix.1").start, "c1");
    assert_eq!(play.state().base_of(1), "c1");
}

#[test]
fn no_change_holds_only_where_the_head_is_the_base_and_no_diff_is_asked_for() {
    let plain = || vec![Item::Exit(0)];
    let cases = [
        (plain(), "base", T::Completed),
        (plain(), "c1", T::Failed),
        (vec![diff(true)], "base", T::Completed),
        (vec![diff(false)], "base", T::Failed),
    ];
    for (items, head, phase) in cases {
        let look = items != plain();
        let mut play = Play::busy(task("a").tree().shows(items.clone()));
        play.report("a.1", Status::NoChange);
        play.exit("a.1", 0);
        play.capture("a.1", head);
        if look {
            play.judge("a.1", Verdict::Verified);
        }
        assert_eq!(play.phase("a"), phase, "{items:?} at {head}");
    }
}

#[test]
fn no_change_is_refuted_where_the_head_is_not_known() {
    let mut play = Play::busy(task("a").tree());
    play.report("a.1", Status::NoChange);
    play.exit("a.1", 0);
    play.see("a.1", Seen::Captured { snapshot: Err("no space".to_owned()) });
    assert_eq!(play.phase("a"), T::Failed);
}

#[test]
fn a_tree_is_captured_once_and_only_after_the_attempt_is_over() {
    let mut play = Play::busy(task("a").tree());
    assert_eq!(super::ignored_code(&play.capture("a.1", "early")), "not_asked_for");
    play.finish("a.1");
    play.capture("a.1", "c1");
    assert_eq!(super::ignored_code(&play.capture("a.1", "late")), "not_asked_for");
    assert_eq!(play.task("a").head.as_deref(), Some("c1"));
}

#[test]
fn an_older_attempts_snapshot_never_becomes_the_tasks_head() {
    let mut play = Play::new(flow(vec![task("a").tree().retries(1).timeout(5)]));
    play.start_work("a.1");
    play.tick(5_000);
    play.stopped("a.1");
    play.start_work("a.2");
    play.finish("a.2");
    play.capture("a.2", "c2");
    play.capture("a.1", "c1");
    assert_eq!(play.task("a").head.as_deref(), Some("c2"));
    assert_eq!(play.worker_phase("a.1"), W::CompletedRetained);
}

#[test]
fn a_worker_that_died_is_stale_until_its_tree_is_kept() {
    let mut play = Play::busy(task("a").tree());
    play.gone("a.1");
    assert_eq!((play.worker_phase("a.1"), play.owed()), (W::StaleRegistry, vec!["capture a.1".to_owned()]));
    play.capture("a.1", "c1");
    assert_eq!((play.worker_phase("a.1"), play.ended()), (W::CompletedRetained, Some(false)));
}
