//! A look round the workers: what it found is told with who was at work, and nothing follows.

use super::{Play, flow, kinds, task};
use crate::engine::event::{Drift, DriftChange, Event};
use crate::engine::input::Input;
use crate::engine::task_table::TaskPhase as T;

fn drift(names: &[&str]) -> Drift {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let changes = vec![DriftChange { kind: "files".to_owned(), names, more: 0 }];
    Drift { changes, unseen: None }
}

fn unseen() -> Drift {
    Drift { changes: Vec::new(), unseen: Some("too large".to_owned()) }
}

fn look(play: &mut Play, workers: &[&str], drift: Drift) -> Vec<String> {
    let workers = workers.iter().map(|worker| (*worker).to_owned()).collect();
    let events: Vec<Event> = play.give(&Input::Looked { workers, drift }).expect("a look is never refused");
    kinds(&events)
}

#[test]
fn r5_drift_is_kept_with_everybody_who_was_at_work_and_refutes_nothing() {
    let mut play = Play::new(flow(vec![task("a"), task("b"), task("c")]));
    play.start_work("a.1");
    play.start_work("b.1");
    assert_eq!(look(&mut play, &["a.1", "b.1"], drift(&["x"])), ["run.drifted"]);
    assert_eq!(look(&mut play, &["a.1"], drift(&["x", "y"])), ["run.drifted"]);
    let kept = |play: &Play, id: &str| play.worker(id).drift.clone().map(|drift| *drift);
    assert_eq!(kept(&play, "a.1"), Some(drift(&["x", "y"])));
    assert_eq!(kept(&play, "b.1"), Some(drift(&["x"])));
    play.finish("a.1");
    assert_eq!(play.phase("a"), T::Completed);
    assert_eq!(kept(&play, "a.1"), Some(drift(&["x", "y"])), "its end keeps it");
}

#[test]
fn r5_what_changed_while_nobody_was_at_work_is_the_users_own_affair() {
    let mut play = Play::busy(task("a"));
    assert_eq!(look(&mut play, &[], drift(&["x"])), [""; 0]);
    assert_eq!(look(&mut play, &["z.9"], drift(&["x"])), [""; 0], "nobody of this run");
    assert_eq!(look(&mut play, &["a.1"], Drift::default()), [""; 0], "nothing changed");
}

#[test]
fn l9_what_cannot_be_looked_at_is_told_once_for_each_worker() {
    let mut play = Play::new(flow(vec![task("a"), task("b")]));
    play.start_work("a.1");
    assert_eq!(look(&mut play, &["a.1"], unseen()), ["run.drifted"]);
    assert_eq!(look(&mut play, &["a.1"], unseen()), [""; 0]);
    play.start_work("b.1");
    assert_eq!(look(&mut play, &["a.1", "b.1"], unseen()), ["run.drifted"]);
}

#[test]
fn r5_the_end_of_a_run_waits_for_the_look_that_is_awaited() {
    let mut play = Play::busy(task("a"));
    play.engine.await_look(true);
    play.finish("a.1");
    assert_eq!((play.phase("a"), play.ended()), (T::Completed, None));
    play.engine.await_look(false);
    assert_eq!(look(&mut play, &["a.1"], drift(&["x"])), ["run.drifted", "run.ended"]);
}

#[test]
fn a_life_that_ends_takes_its_wish_to_look_with_it() {
    let mut play = Play::busy(task("a"));
    play.engine.await_look(true);
    play.finish("a.1");
    play.crash_and_resume();
    assert_eq!(play.ended(), Some(true));
}
