//! Rate limits: the attempt ends, no retry is spent, no place is held, and all of that agent wait.

use std::collections::BTreeMap;

use super::{Plan, Play, flow, kinds, task};
use crate::engine::event::Event;
use crate::engine::gate::{self, Stage, Verdict};
use crate::engine::input::Seen;
use crate::engine::moment::Moment;
use crate::engine::task_table::TaskPhase as T;
use crate::protocol::{ReportStatus, Usage};
use crate::workflow::{Failures, Limits, Task, TaskKind, Workflow};

/// A task of the agent `agent`.
fn agent(id: &str, agent: &str) -> Task {
    let kind = TaskKind::Agent { agent: agent.to_owned(), prompt: "do".to_owned() };
    Task { kind, ..task(id) }
}

/// The worker says that it was refused for so many seconds, and ends.
fn limited(play: &mut Play, worker: &str, seconds: u64) -> Vec<Event> {
    play.start_work(worker);
    let mut report = play.report_of(worker, ReportStatus::Failed);
    report.retry_after = Some(seconds);
    report.reason = Some("rate_limited: 429".to_owned());
    report.usage = Some(Usage { tokens: Some(7), usd: None });
    play.see(worker, Seen::Reported { report: Box::new(report), sha256: worker.to_owned() });
    play.exit(worker, 1)
}

fn says(play: &Play, id: &str) -> Verdict {
    let now = play.now().stamp.moment;
    gate::verdict(play.state(), now, play.state().task_index(id).expect("a task"))
}

fn run(workers: u32, limits: Limits, tasks: Vec<Task>) -> Play {
    let mut started = super::started(Workflow { limits, ..flow(tasks) });
    started.workers = workers;
    Play::with(started)
}

#[test]
fn a_limited_attempt_spends_no_retry_and_waits_for_its_time() {
    let mut play = run(1, Limits::default(), vec![agent("a", "fixer")]);
    let events = kinds(&limited(&mut play, "a.1", 90));
    assert_eq!(
        events,
        ["worker.ended", "claim.closed", "task.ready", "claim.settled", "worker.completed-retained"]
    );
    assert_eq!((play.phase("a"), &*play.task("a").reason), (T::Ready, "rate_limited: 429"));
    let until = Moment(play.now_ms + 90_000);
    let reason = "the rate limit of the agent `fixer`, which `a.1` met".to_owned();
    assert_eq!(says(&play, "a"), Verdict::Limited { until, stage: Stage::Rate, reason });
    assert_eq!(play.engine.next_deadline(), Some(until));
    assert_eq!(play.state().live_count(), 0, "no place is held");
    assert_eq!(play.tick(89_999), []);
    assert_eq!(kinds(&play.tick(1))[0], "task.claimed");
    assert_eq!((play.task("a").attempt, play.task("a").allowed), (2, 2), "no retry is spent");
    play.start_work("a.2");
    play.finish("a.2");
    assert_eq!(play.ended(), Some(true));
}

#[test]
fn every_task_of_the_same_agent_waits_and_others_go_on() {
    let tasks = vec![agent("a", "fixer"), agent("b", "fixer"), agent("c", "other"), task("d")];
    let mut play = run(1, Limits::default(), tasks);
    limited(&mut play, "a.1", 90);
    assert_eq!([play.phase("b"), play.phase("c")], [T::Ready, T::Claimed]);
    assert_eq!(says(&play, "b").stage(), Some(Stage::Rate));
    play.complete("c.1");
    play.complete("d.1");
    assert_eq!([play.phase("a"), play.phase("b")], [T::Ready, T::Ready]);
    play.tick(90_000);
    assert_eq!([play.phase("a"), play.phase("b")], [T::Claimed, T::Ready], "one place, in order");
}

#[test]
fn of_two_limits_of_one_agent_the_later_holds() {
    let mut play = run(2, Limits::default(), vec![agent("a", "fixer"), agent("b", "fixer")]);
    limited(&mut play, "a.1", 300);
    limited(&mut play, "b.1", 30);
    play.tick(30_000);
    assert_eq!([play.phase("a"), play.phase("b")], [T::Ready, T::Ready]);
    play.tick(270_000);
    assert_eq!([play.phase("a"), play.phase("b")], [T::Claimed, T::Claimed]);
}

#[test]
fn a_task_without_an_agent_waits_alone() {
    let mut play = run(1, Limits::default(), vec![task("a"), task("b")]);
    limited(&mut play, "a.1", 60);
    assert_eq!([play.phase("a"), play.phase("b")], [T::Ready, T::Claimed]);
    assert_eq!(says(&play, "a").stage(), Some(Stage::Rate));
    play.complete("b.1");
    play.tick(60_000);
    assert_eq!(play.phase("a"), T::Claimed);
}

#[test]
fn j8_a_limit_survives_a_restart_and_is_neither_forgotten_nor_prolonged() {
    let mut play = run(1, Limits::default(), vec![agent("a", "fixer"), agent("b", "fixer")]);
    limited(&mut play, "a.1", 90);
    for _ in 0..3 {
        play.now_ms += 20_000;
        play.crash_and_resume();
        assert_eq!([play.phase("a"), play.phase("b")], [T::Ready, T::Ready]);
    }
    play.tick(29_999);
    assert_eq!(play.phase("a"), T::Ready);
    play.tick(1);
    assert_eq!(play.phase("a"), T::Claimed);
}

#[test]
fn whoever_says_at_once_again_and_again_waits_longer_each_time() {
    let mut play = run(1, Limits::default(), vec![agent("a", "fixer")]);
    let mut waits = Vec::new();
    for n in 1..=9 {
        let before = play.now_ms;
        limited(&mut play, &format!("a.{n}"), 0);
        let Verdict::Limited { until, .. } = says(&play, "a") else { panic!("it waits") };
        waits.push((until.0 - before) / 1000);
        play.tick(until.0 - before);
    }
    assert_eq!(waits, [5, 10, 20, 40, 80, 160, 320, 320, 320]);
    // Another outcome begins the count anew.
    play.start_work("a.10");
    assert_eq!(play.task("a").rate_limits, 9);
}

#[test]
fn a_limit_is_no_failure_that_stops_a_run_but_an_attempt_of_its_cap() {
    let failures = Failures { max: 0, within: std::time::Duration::from_secs(600) };
    let limits = Limits { attempts: Some(2), failures: Some(failures), ..Limits::default() };
    let mut play = run(1, limits, vec![agent("a", "fixer")]);
    limited(&mut play, "a.1", 1);
    assert!(play.state().halted.is_none());
    play.tick(5_000);
    limited(&mut play, "a.2", 1);
    assert_eq!((play.phase("a"), play.ended()), (T::Failed, Some(false)), "{}", play.task("a").reason);
    assert!(play.task("a").reason.starts_with("denied: attempts"), "{}", play.task("a").reason);
}

#[test]
fn d9_what_a_limited_attempt_used_is_charged() {
    let limits = Limits { tokens: Some(100), ..Limits::default() };
    let mut play = run(1, limits, vec![agent("a", "fixer")]);
    limited(&mut play, "a.1", 30);
    let account = play.state().ledger.of(crate::engine::budget::Channel::Tokens).clone();
    assert_eq!((account.spent, account.reserved, account.free), (7, 0, 93));
}

#[test]
fn a_retry_after_counts_with_a_failure_only() {
    let mut play = Play::busy(task("a"));
    let mut report = play.report_of("a.1", ReportStatus::Done);
    report.retry_after = Some(60);
    play.see("a.1", Seen::Reported { report: Box::new(report), sha256: "x".to_owned() });
    play.exit("a.1", 0);
    assert_eq!((play.phase("a"), &play.state().limited), (T::Completed, &BTreeMap::new()));
}

#[test]
fn what_was_to_be_repaired_still_is_after_a_limit() {
    let mut play = Play::busy(task("a").tree().shows(vec![super::artifact()]).retries(1));
    play.finish("a.1");
    play.capture("a.1", "c1");
    play.judge("a.1", crate::engine::evidence::Verdict::Refuted);
    play.judge("a.1", crate::engine::evidence::Verdict::Refuted);
    assert_eq!(play.worker("a.2").start, "c1");
    limited(&mut play, "a.2", 5);
    play.capture("a.2", "c2");
    play.tick(10_000);
    assert_eq!((&*play.worker("a.3").start, play.task("a").refuted.len()), ("c1", 1));
}
