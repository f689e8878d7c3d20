//! A person's retry: what it reopens, what it rearms, and what it grants.

use super::{Plan, Play, artifact, flow, kinds, task};
use crate::engine::Engine;
use crate::engine::evidence::Verdict;
use crate::engine::input::{Choice, Input, Request};
use crate::engine::state::RunPhase;
use crate::engine::task_table::TaskPhase as T;
use crate::workflow::When;

fn retry(play: &mut Play, id: &str) -> Vec<String> {
    let events = kinds(&play.ask(Request::Retry { task: id.to_owned() }).expect("granted"));
    if play.state().phase == RunPhase::Interrupted {
        // The run had ended, and its supervisor with it.
        play.crash_and_resume();
    }
    events
}

#[test]
fn a_retry_reopens_the_run_and_rearms_what_was_skipped_because_of_it() {
    let tasks = vec![
        task("a"),
        task("b").needs(&["a"]),
        task("c").needs(&["b"]),
        task("other"),
        task("fix").needs(&["other"]).when(When::Failed),
    ];
    let mut play = Play::new(flow(tasks));
    play.complete("other.1");
    play.fail("a.1");
    assert_eq!(play.ended(), Some(false));
    let events = retry(&mut play, "a");
    assert_eq!(events, ["run.reopened", "task.ready", "task.pending", "task.pending"]);
    assert_eq!((play.phase("a"), play.task("a").attempt), (T::Claimed, 2));
    assert_eq!((play.phase("b"), play.phase("c"), play.phase("fix")), (T::Pending, T::Pending, T::Skipped));
    assert!(play.state().ended_at.is_none());
    ["a.2", "b.1", "c.1"].iter().for_each(|worker| play.complete(worker));
    assert_eq!(play.ended(), Some(true));
}

#[test]
fn a_retry_grants_one_attempt_and_no_more() {
    let mut play = Play::new(flow(vec![task("a").retries(2)]));
    ["a.1", "a.2", "a.3"].iter().for_each(|worker| play.fail(worker));
    retry(&mut play, "a");
    play.fail("a.4");
    assert_eq!((play.phase("a"), play.task("a").attempt), (T::Failed, 4));
}

#[test]
fn a_task_that_has_not_failed_cannot_be_retried() {
    let mut play = Play::new(flow(vec![task("a"), task("b").needs(&["a"])]));
    for id in ["a", "b"] {
        let rejection = play.ask(Request::Retry { task: id.to_owned() }).expect_err("not ended");
        assert_eq!(rejection.code, "not_retryable");
    }
    play.complete("a.1");
    assert!(play.ask(Request::Retry { task: "a".to_owned() }).is_err(), "completed is final");
}

#[test]
fn a_task_that_two_others_hold_back_is_skipped_again_for_the_second_reason() {
    let mut play = Play::new(flow(vec![task("a"), task("b"), task("c").needs(&["a", "b"])]));
    play.fail("a.1");
    play.fail("b.1");
    assert_eq!(play.task("c").root.as_deref(), Some("a"));
    retry(&mut play, "a");
    assert_eq!((play.phase("c"), play.task("c").root.as_deref()), (T::Skipped, Some("b")));
    play.complete("a.2");
    retry(&mut play, "b");
    assert_eq!(play.phase("c"), T::Pending);
    play.complete("b.2");
    assert_eq!(play.phase("c"), T::Claimed);
}

#[test]
fn any_member_of_a_group_that_is_retried_brings_the_dependent_back() {
    for again in ["l", "r"] {
        let plan = vec![task("l"), task("r"), task("x").needs(&["l", "r"]).when(When::Optional)];
        let mut play = Play::new(flow(plan));
        play.fail("l.1");
        play.fail("r.1");
        assert_eq!(play.phase("x"), T::Skipped);
        retry(&mut play, again);
        assert_eq!(play.phase("x"), T::Pending, "`{again}` may yet complete");
        play.complete(&format!("{again}.2"));
        assert_eq!(play.phase("x"), T::Claimed);
    }
}

#[test]
fn a_task_skipped_by_design_once_is_not_so_when_a_person_leaves_it_out_later() {
    let mut play = Play::new(flow(vec![task("a"), task("b").needs(&["a"])]));
    play.start_work("a.1");
    play.report("a.1", crate::protocol::ReportStatus::Partial);
    play.exit("a.1", 0);
    assert!(play.task("b").by_design, "nothing it needs failed or was cancelled");
    retry(&mut play, "a");
    play.complete("a.2");
    play.start_work("b.1");
    play.tick(60_000);
    let skip = Request::Decide { task: "b".to_owned(), choice: Choice::Skip };
    play.ask(skip).expect("granted");
    play.stopped("b.1");
    assert_eq!((play.phase("b"), play.ended()), (T::Skipped, Some(false)));
}

#[test]
fn j6_l21_a_retry_waits_for_the_end_of_the_old_worker_and_shares_nothing_with_it() {
    let mut play = Play::busy(task("a").tree());
    play.ask(Request::Cancel { task: "a".to_owned() }).expect("granted");
    retry(&mut play, "a");
    assert_eq!((play.phase("a"), play.owed()), (T::Ready, vec!["stop a.1".to_owned()]));
    play.stopped("a.1");
    assert_eq!(play.owed(), ["capture a.1", "provision a.2"]);
    assert!(play.worker("a.2").token > play.worker("a.1").token);
    play.start_work("a.2");
    assert_eq!(super::ignored_code(&play.ack("a.1")), "dead_token");
    play.capture("a.1", "c1");
    play.finish("a.2");
    play.capture("a.2", "c2");
    assert_eq!((play.phase("a"), play.task("a").head.as_deref()), (T::Completed, Some("c2")));
}

#[test]
fn a_retry_after_a_refutation_goes_on_from_what_was_refuted() {
    let mut play = Play::busy(task("a").tree().shows(vec![artifact()]));
    play.finish("a.1");
    play.capture("a.1", "c1");
    play.judge("a.1", Verdict::Refuted);
    retry(&mut play, "a");
    assert_eq!((&*play.worker("a.2").start, &*play.state().base_of(0)), ("c1", "base"));
}

#[test]
fn a_retried_task_starts_from_the_newest_head_of_the_task_before_it() {
    let next = task("b").tree().needs(&["a"]).when(When::Terminal).behind("a");
    let mut play = Play::new(flow(vec![task("a").tree(), next]));
    play.fail("a.1");
    play.capture("a.1", "a1");
    play.fail("b.1");
    play.capture("b.1", "b1");
    retry(&mut play, "a");
    play.complete("a.2");
    play.capture("a.2", "a2");
    assert_eq!(play.state().base_of(1), "a1", "an attempt that was made keeps its base");
    retry(&mut play, "b");
    assert_eq!(play.worker("b.2").start, "a2");
}

#[test]
fn a_command_without_a_supervisor_is_recorded_and_starts_nothing() {
    let mut play = Play::new(flow(vec![task("a")]));
    play.fail("a.1");
    play.engine = Engine::replay(play.journal.clone()).expect("replays");
    let request = Request::Retry { task: "a".to_owned() };
    play.engine.request(play.now(), &request).expect("granted");
    let events = play.engine.take_events();
    assert_eq!(kinds(&events), ["run.reopened", "task.ready"]);
    let at = play.now().stamp;
    play.journal.extend(events.into_iter().map(|event| (at, event)));
    assert_eq!((play.state().phase, play.phase("a")), (RunPhase::Interrupted, T::Ready));
    play.give(&Input::Tick).expect("never refused");
    assert_eq!(play.phase("a"), T::Ready, "nobody holds the run");
    play.crash_and_resume();
    assert_eq!((play.phase("a"), play.task("a").attempt), (T::Claimed, 2));
}
