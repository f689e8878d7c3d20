//! What stops a run before its tasks are through: its time, and too many failures.

use std::time::Duration;

use super::{Plan, Play, flow, kinds, task};
use crate::engine::halt::{self, Halt};
use crate::engine::input::{Input, Request};
use crate::engine::moment::Moment;
use crate::engine::task_table::TaskPhase as T;
use crate::workflow::{Failures, Limits, Task, When, Workflow};

fn within(wall: u64, tasks: Vec<Task>) -> Play {
    let limits = Limits { wall: Some(Duration::from_secs(wall)), ..Limits::default() };
    Play::new(Workflow { limits, ..flow(tasks) })
}

fn breaker(max: u32, seconds: u64, tasks: Vec<Task>) -> Play {
    let failures = Some(Failures { max, within: Duration::from_secs(seconds) });
    let limits = Limits { failures, ..Limits::default() };
    Play::new(Workflow { limits, ..flow(tasks) })
}

fn halted(play: &Play) -> Option<Halt> {
    play.state().halted.as_ref().map(|halted| halted.by)
}

fn last(play: &Play) -> String {
    let (_, event) = play.journal.last().expect("a run has events");
    format!("{} {}", event.kind(), serde_json::to_value(event).expect("has a form")["run"]["ended"]["halted"])
}

#[test]
fn j8_the_runs_time_ends_what_isnt_through_and_the_run() {
    let tasks = vec![
        task("works"),
        task("checked").tree().shows(vec![super::artifact()]),
        task("behind").needs(&["works"]),
        task("anyway").needs(&["works"]).when(When::Terminal),
    ];
    let mut play = within(100, tasks);
    assert_eq!(halt::deadline(play.state()), Some(Moment(100_000)));
    play.start_work("works.1");
    play.complete("checked.1");
    assert_eq!(play.phase("checked"), T::Verifying);
    play.tick_beating(98_000, &["works.1"]);
    assert_eq!(halted(&play), None);
    let events = play.tick(2_000);
    assert_eq!(kinds(&events)[0], "run.halted");
    assert_eq!(halted(&play), Some(Halt::Wall));
    let reason = "wall: the run's time of 100 s is used up";
    assert_eq!((play.phase("works"), play.task("works").reason.as_str()), (T::Failed, reason));
    assert_eq!((play.phase("checked"), play.task("checked").reason.as_str()), (T::Failed, reason));
    assert_eq!((play.phase("behind"), play.phase("anyway")), (T::Skipped, T::Failed));
    assert_eq!(play.task("anyway").reason, format!("denied: {reason}"));
    assert_eq!(play.owed(), ["capture checked.1", "stop works.1"]);
    play.capture("checked.1", "c");
    play.stopped("works.1");
    assert_eq!((play.ended(), last(&play)), (Some(false), "run.ended \"wall\"".to_owned()));
}

#[test]
fn j8_the_deadline_survives_restarts_and_none_of_them_adds_time() {
    let mut play = within(100, vec![task("a")]);
    play.start_work("a.1");
    for _ in 0..9 {
        play.tick(10_000);
        play.crash_and_resume();
        assert_eq!((halted(&play), halt::deadline(play.state())), (None, Some(Moment(100_000))));
        assert!(play.engine.next_deadline().is_some_and(|at| at <= Moment(100_000)));
    }
    // Nobody drove it when its time came: the next life finds out at once.
    play.give(&Input::Interrupted { reason: "SIGINT".to_owned() }).expect("never refused");
    play.now_ms = 100_000;
    play.crash_and_resume();
    assert_eq!((halted(&play), play.phase("a")), (Some(Halt::Wall), T::Failed));
    play.crash_and_resume();
    let halts = play.journal.iter().filter(|(_, event)| event.kind() == "run.halted").count();
    assert_eq!(halts, 1, "said once");
}

#[test]
fn j8_a_retry_gets_no_more_time_unless_the_limit_is_raised() {
    let mut play = within(10, vec![task("a")]);
    play.tick(10_000);
    play.stopped("a.1");
    assert_eq!(play.ended(), Some(false));
    play.ask(Request::Retry { task: "a".to_owned() }).expect("it failed");
    play.crash_and_resume();
    assert_eq!((play.phase("a"), play.ended()), (T::Failed, Some(false)));
    let mut workflow = play.state().workflow().clone();
    workflow.limits.wall = Some(Duration::from_secs(60));
    let adopted = play.edit_to(workflow);
    play.ask(Request::Retry { task: "a".to_owned() }).expect("it failed");
    play.adopt(&adopted).expect("nothing is in the way");
    play.crash_and_resume();
    assert_eq!((halted(&play), play.phase("a")), (None, T::Claimed));
}

#[test]
fn time_that_is_up_stops_no_run_whose_tasks_are_through() {
    let mut play = within(10, vec![task("a").tree()]);
    play.complete("a.1");
    play.capture("a.1", "c");
    play.tick(20_000);
    assert_eq!((play.ended(), halted(&play)), (Some(true), None));
}

#[test]
fn the_breaker_stops_what_is_new_and_leaves_what_lives_to_its_end() {
    let tasks =
        vec![task("a").retries(9), task("b").retries(9), task("slow"), task("later").needs(&["slow"])];
    let mut play = breaker(2, 60, tasks);
    play.start_work("slow.1");
    play.fail("a.1");
    play.fail("b.1");
    assert_eq!((halted(&play), play.phase("a")), (None, T::Claimed));
    play.fail("a.2");
    assert_eq!(halted(&play), Some(Halt::Breaker));
    let why = "denied: breaker: 3 attempts failed within 60 s, and 2 may";
    assert_eq!((play.phase("a"), play.task("a").reason.as_str()), (T::Failed, why));
    // Who lives isn't touched, and what it shows counts.
    assert_eq!((play.phase("slow"), play.owed()), (T::InProgress, vec!["provision b.2".to_owned()]));
    play.finish("slow.1");
    assert_eq!((play.phase("slow"), play.phase("later")), (T::Completed, T::Failed));
    play.complete("b.2");
    assert_eq!((play.phase("b"), play.ended()), (T::Completed, Some(false)));
    assert_eq!(last(&play), "run.ended \"breaker\"");
}

#[test]
fn failures_that_lie_far_apart_stop_nothing_and_neither_does_the_host() {
    let mut play = breaker(1, 60, vec![task("a").retries(9)]);
    for attempt in 1..6 {
        play.fail(&format!("a.{attempt}"));
        play.tick(61_000);
    }
    let host = super::Seen::LaunchFailed { step: "disk", detail: "full".to_owned(), host: true };
    for attempt in 6..9 {
        play.see(&format!("a.{attempt}"), host.clone());
        play.tick(40_000);
    }
    assert_eq!((halted(&play), play.state().failures.len()), (None, 1), "only as far back as it looks");
}

#[test]
fn a_retry_lifts_the_breaker() {
    let mut play = breaker(0, 60, vec![task("a"), task("b").needs(&["a"])]);
    play.fail("a.1");
    assert_eq!((halted(&play), play.ended()), (Some(Halt::Breaker), Some(false)));
    play.ask(Request::Retry { task: "a".to_owned() }).expect("it failed");
    assert_eq!(halted(&play), None);
    play.crash_and_resume();
    play.complete("a.2");
    play.complete("b.1");
    assert_eq!((play.ended(), last(&play)), (Some(true), "run.ended null".to_owned()));
}
