//! The gate: every stage in its order, what is journaled of it, and what readers are told.

use super::{Plan, Play, flow, kinds, started, task};
use crate::engine::event::Started;
use crate::engine::gate::{self, Stage, Verdict};
use crate::engine::input::Seen;
use crate::engine::moment::Moment;
use crate::engine::state::RunState;
use crate::engine::task_table::TaskPhase as T;
use crate::engine::view::RunView;
use crate::workflow::{Limits, Task, Workflow};

/// A run within these limits, that has so many places.
fn run(workers: u32, limits: Limits, tasks: Vec<Task>) -> Play {
    Play::with(Started { workers, ..started(Workflow { limits, ..flow(tasks) }) })
}

fn says(state: &RunState, task: &str) -> Verdict {
    gate::verdict(state, state.last_at.moment, state.task_index(task).expect("planned"))
}

fn stage(state: &RunState, task: &str) -> Option<Stage> {
    says(state, task).stage()
}

#[test]
fn d8_a_permanent_no_is_never_masked_by_a_temporary_one() {
    let words: Vec<&str> = Stage::ALL.into_iter().map(Stage::word).collect();
    assert_eq!(words[2..9], ["trust", "capability", "tasks", "attempts", "depth", "budget", "approval"]);
    assert_eq!(words.last(), Some(&"workers"));
    assert!(Stage::ALL.is_sorted());

    // The one place is taken, the host has just failed, and both are only for now.
    let limits = Limits { attempts: Some(3), ..Limits::default() };
    let mut play = run(1, limits, vec![task("a").retries(1), task("b")]);
    play.see("a.1", Seen::LaunchFailed { step: "disk", detail: "full".to_owned(), host: true });
    let mut state = play.state().clone();
    assert_eq!((play.phase("a"), stage(&state, "a")), (T::Ready, Some(Stage::Host)));
    let Verdict::Limited { until, .. } = says(&state, "a") else { panic!("until when is known") };
    assert!(until > state.last_at.moment && state.attempts_spent == 1, "no attempt is spent for it");
    assert_eq!(gate::verdict(&state, until, 0).stage(), Some(Stage::Workers), "and no place is held");
    // Whatever is only for now, a no for ever is said first, and the earlier stage before the later.
    state.attempts_spent = 3;
    assert_eq!(stage(&state, "a"), Some(Stage::Attempts));
    state.started.workflow.limits.tasks = Some(0);
    assert_eq!((stage(&state, "a"), says(&state, "a").word()), (Some(Stage::Tasks), "deny"));
}

#[test]
fn d8_a_denial_is_journaled_while_there_is_no_place() {
    let limits = Limits { attempts: Some(1), ..Limits::default() };
    let play = run(1, limits, vec![task("a"), task("b")]);
    assert_eq!((play.phase("a"), play.phase("b")), (T::Claimed, T::Failed));
    assert_eq!(play.task("b").reason, "denied: attempts: all 1 attempts of the run are used up");
    assert_eq!(play.task("b").attempt, 0);
}

#[test]
fn a_task_beyond_the_task_cap_is_denied_and_those_before_it_are_not() {
    let limits = Limits { tasks: Some(2), ..Limits::default() };
    let play = run(4, limits, vec![task("a"), task("b"), task("c")]);
    assert_eq!([play.phase("a"), play.phase("b"), play.phase("c")], [T::Claimed, T::Claimed, T::Failed]);
    assert_eq!(play.task("c").reason, "denied: tasks: the run has room for 2 tasks, and this is one more");
}

#[test]
fn waiting_for_a_place_is_derived_and_leaves_no_event() {
    let tasks: Vec<Task> = (0..200).map(|n| task(&format!("t{n:03}"))).collect();
    let mut play = run(2, Limits::default(), tasks);
    let ready = play.journal.iter().filter(|(_, event)| event.kind() == "task.ready").count();
    assert_eq!(ready, 200, "once for its needs, never for the gate");
    let before = play.journal.len();
    for _ in 0..20 {
        play.tick(100);
    }
    assert_eq!(play.journal.len(), before, "no event for a tick");
    let view = RunView::of(play.state());
    let gated = view.task("t199").and_then(|task| task.gate.clone()).expect("it waits");
    assert_eq!((gated.verdict, gated.stage.as_str(), gated.until_ms), ("defer", "workers", None));
    assert_eq!(view.task("t199").unwrap().waits_for, ["a free worker: 2 of 2 are in use"]);
}

#[test]
fn whoever_waits_for_a_moment_is_told_until_when() {
    let mut play = run(1, Limits::default(), vec![task("a")]);
    play.now_ms = 1_000;
    play.see("a.1", Seen::LaunchFailed { step: "disk", detail: "full".to_owned(), host: true });
    let gated = RunView::of(play.state()).task("a").and_then(|task| task.gate.clone()).expect("it waits");
    assert_eq!((gated.verdict, gated.stage.as_str(), gated.until_ms), ("limited", "host", Some(6_000)));
    assert_eq!(play.state().ready.iter().collect::<Vec<_>>(), [0]);
    assert_eq!(play.engine.next_deadline(), Some(Moment(6_000)));
    let events = play.tick(5_000);
    assert_eq!(kinds(&events), ["task.claimed", "worker.provisioning", "claim.granted"]);
}

#[test]
fn a_denied_task_says_which_stage_denied_it_to_every_reader() {
    let limits = Limits { attempts: Some(1), ..Limits::default() };
    let play = run(1, limits, vec![task("a"), task("b")]);
    let view = RunView::of(play.state());
    let gated = view.task("b").and_then(|task| task.gate.clone()).expect("denied");
    assert_eq!((gated.verdict, gated.stage.as_str()), ("deny", "attempts"));
    assert_eq!(view.task("a").unwrap().gate, None);
}
