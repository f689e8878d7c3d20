//! The timeline's rules: stretches of attempts, lives of supervisors, and the critical path.
//!
//! It leaves out how they are drawn.

use super::super::sample;
use super::tests::{claimed, task};
use super::timeline::{Lane, Span, Stage};
use super::*;
use crate::engine::event::{RunEvent, TaskStep};
use crate::engine::moment::Moment;
use crate::engine::task_table::TaskPhase;
use crate::engine::view::TaskView;

fn lane(spans: &[(Stage, u32, u64, u64)], ended: Option<u64>) -> Lane {
    let span = |(stage, attempt, from, to): &(Stage, u32, u64, u64)| Span {
        stage: *stage,
        attempt: *attempt,
        from: Moment(from * 1000),
        to: Moment(to * 1000),
    };
    Lane {
        spans: spans.iter().map(span).collect(),
        ended: ended.map(|at| Moment(at * 1000)),
        ..Lane::default()
    }
}

fn gathered(events: &[(Stamp, Event)]) -> Timeline {
    Timeline::gather(events.iter().map(|(at, event)| (*at, event)))
}

#[test]
fn each_attempt_is_a_stretch_of_its_own_and_a_retry_begins_another() {
    let line = gathered(&[
        task(1, "a", TaskStep::NeedsMet),
        task(2, "a", claimed(1)),
        task(3, "a", TaskStep::Acknowledged),
        task(6, "a", TaskStep::Worked),
        task(7, "a", TaskStep::Refuted),
        task(7, "a", TaskStep::Repaired { again: true }),
        task(9, "a", claimed(2)),
        task(10, "a", TaskStep::Acknowledged),
        task(11, "a", TaskStep::Blocked),
        task(13, "a", TaskStep::Unblocked),
        task(15, "a", TaskStep::AttemptFailed { again: false }),
        task(16, "b", TaskStep::NeedsMet),
        task(20, "c", TaskStep::DecidedSkip),
    ]);
    let expected = [
        (Stage::Ready, 0, 1, 2),
        (Stage::Starting, 1, 2, 3),
        (Stage::Working, 1, 3, 6),
        (Stage::Checking, 1, 6, 7),
        (Stage::Refuted, 1, 7, 7),
        (Stage::Ready, 0, 7, 9),
        (Stage::Starting, 2, 9, 10),
        (Stage::Working, 2, 10, 11),
        (Stage::Blocked, 2, 11, 13),
        (Stage::Working, 2, 13, 15),
    ];
    assert_eq!(line.lanes["a"].spans, lane(&expected, None).spans);
    assert_eq!((line.lanes["a"].ended, line.lanes["b"].ended), (Some(Moment(15_000)), None));
    // What goes on reaches as far as anybody knows.
    assert_eq!(line.lanes["b"].spans, lane(&[(Stage::Ready, 0, 16, 20)], None).spans);
    assert!(line.lanes["c"].spans.is_empty());
}

#[test]
fn a_supervisor_that_died_is_known_to_have_lived_until_its_last_entry() {
    let resumed =
        |at| (sample::at(at), Event::Run(RunEvent::Resumed { pid: 2, boot: "b".into(), mono_ms: 0 }));
    let ended = |at| (sample::at(at), Event::Run(RunEvent::Interrupted { reason: "down".into() }));
    let mut events = vec![resumed(0), task(4, "a", TaskStep::NeedsMet), resumed(9), ended(12), resumed(20)];
    events.push(task(22, "a", TaskStep::DecidedSkip));
    let seconds = |(from, to): &(Moment, Moment)| (from.0 / 1000, to.0 / 1000);
    let lives: Vec<(u64, u64)> = gathered(&events).lives.iter().map(seconds).collect();
    assert_eq!(lives, [(0, 4), (9, 12), (20, 22)]);
}

#[test]
fn what_goes_on_is_drawn_up_to_now_and_what_has_ended_is_not() {
    let mut line = gathered(&[
        task(1, "a", TaskStep::NeedsMet),
        task(2, "a", claimed(1)),
        task(2, "b", TaskStep::NeedsMet),
        task(5, "b", TaskStep::DecidedSkip),
    ]);
    line.go_on(Duration::from_secs(60));
    let last = |id: &str| line.lanes[id].to().map(|to| to.0 / 1000);
    assert_eq!((last("a"), last("b"), line.to.0), (Some(65), Some(5), 65_000));
}

#[test]
fn the_critical_path_goes_back_to_whoever_was_waited_for_last() {
    let mut view = sample::view();
    let control = |id: &str, needs: &[&str]| TaskView {
        kind: "loop",
        ..sample::task(id, TaskPhase::Completed, "", needs)
    };
    let child = |id: &str, needs: &[&str]| TaskView {
        parent: Some("fix".into()),
        ..sample::task(id, TaskPhase::Completed, "", needs)
    };
    let plain = |id: &str, needs: &[&str]| sample::task(id, TaskPhase::Completed, "", needs);
    view.tasks = vec![
        plain("slow", &[]),
        plain("quick", &[]),
        control("fix", &["slow", "quick"]),
        child("fix-i1", &["slow", "quick"]),
        child("fix-i2", &["slow", "quick", "fix-i1"]),
        plain("ship", &["fix", "quick"]),
        plain("aside", &[]),
    ];
    let work = |from, to| lane(&[(Stage::Working, 1, from, to)], Some(to));
    let mut line = Timeline { to: Moment(30_000), ..Timeline::default() };
    let lanes = [
        ("slow", work(0, 8)),
        ("quick", work(0, 2)),
        ("fix", work(8, 20)),
        ("fix-i1", work(8, 12)),
        ("fix-i2", work(12, 20)),
        ("ship", work(20, 30)),
        ("aside", work(0, 29)),
    ];
    line.lanes = lanes.into_iter().map(|(id, lane)| (id.to_owned(), lane)).collect();
    let path: Vec<&str> = line.critical(&view).iter().map(|task| task.id.as_str()).collect();
    assert_eq!(path, ["slow", "fix-i1", "fix-i2", "fix", "ship"]);
    // What comes back to itself ends all the same.
    view.tasks[0].needs = vec!["slow".to_owned()];
    assert_eq!(line.critical(&view).len(), 5);
    assert!(Timeline::default().critical(&view).is_empty());
}

#[test]
fn a_match_waited_for_the_one_that_sent_its_entrant_on() {
    let mut view = sample::view();
    let child = |id: &str, needs: &[&str]| TaskView {
        parent: Some("cup".into()),
        ..sample::task(id, TaskPhase::Completed, "", needs)
    };
    let cup = TaskView { kind: "tournament", ..sample::task("cup", TaskPhase::Completed, "", &[]) };
    view.tasks = vec![
        cup,
        child("cup-e1", &[]),
        child("cup-e2", &[]),
        child("cup-e3", &[]),
        child("cup-j1", &["cup-e1", "cup-e2"]),
        child("cup-j2", &["cup-e2", "cup-e3"]),
    ];
    let work = |from, to| lane(&[(Stage::Working, 1, from, to)], Some(to));
    let lanes = [
        ("cup", work(0, 20)),
        ("cup-e1", work(0, 4)),
        ("cup-e2", work(0, 5)),
        ("cup-e3", work(0, 6)),
        ("cup-j1", work(5, 15)),
        ("cup-j2", work(15, 20)),
    ];
    let mut line = Timeline { to: Moment(20_000), ..Timeline::default() };
    line.lanes = lanes.into_iter().map(|(id, lane)| (id.to_owned(), lane)).collect();
    let path: Vec<&str> = line.critical(&view).iter().map(|task| task.id.as_str()).collect();
    assert_eq!(path, ["cup-e2", "cup-j1", "cup-j2", "cup"]);
}
