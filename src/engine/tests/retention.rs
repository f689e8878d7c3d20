//! What becomes of workers whose work is over: every step granted or refused by where they are.

use super::{Play, flow, kinds, task};
use crate::engine::input::{Request, Seen};
use crate::engine::task_table::TaskPhase as T;
use crate::engine::worker_table::WorkerPhase as W;

fn release() -> Request {
    Request::Release { worker: "a.1".to_owned(), observations: vec!["clean".to_owned()] }
}

fn withdraw() -> Request {
    Request::Withdraw { worker: "a.1".to_owned(), reasons: vec!["process 7 lives".to_owned()] }
}

fn clean_up() -> Request {
    let observations = vec!["no process lives".to_owned(), "clean".to_owned()];
    Request::CleanUp { worker: "a.1".to_owned(), by: "ann".to_owned(), observations }
}

fn finished() -> Play {
    let mut play = Play::busy(task("a"));
    play.finish("a.1");
    play
}

/// The kinds of what a request leads to.
fn asked(play: &mut Play, request: Request) -> Vec<String> {
    kinds(&play.ask(request).expect("granted")).iter().map(ToString::to_string).collect()
}

#[test]
fn r4a_a_mark_that_no_longer_holds_is_taken_back_with_what_was_seen_and_only_once() {
    let mut play = finished();
    assert_eq!(asked(&mut play, withdraw()), [""; 0], "there is no mark yet");
    assert_eq!(asked(&mut play, release()), ["worker.safe-to-close"]);
    assert_eq!(asked(&mut play, withdraw()), ["worker.completed-retained"]);
    assert_eq!(play.worker("a.1").reason, "not_safe: process 7 lives");
    assert_eq!(asked(&mut play, withdraw()), [""; 0]);
}

#[test]
fn only_a_worker_that_is_safe_to_close_is_cleaned_up_and_it_says_by_whom_and_why() {
    let mut play = Play::new(flow(vec![task("a")]));
    play.start_work("a.1");
    let refusal = |play: &mut Play| play.ask(clean_up()).expect_err("it can't be granted").code;
    assert_eq!(refusal(&mut play), "not_cleanable", "a busy one");
    play.finish("a.1");
    assert_eq!(refusal(&mut play), "not_cleanable", "a retained one");
    play.ask(release()).expect("granted");
    assert_eq!(asked(&mut play, clean_up()), ["worker.cleanup-released"]);
    assert_eq!(play.worker("a.1").reason, "cleaned_up: by ann: no process lives; clean");
    assert_eq!(asked(&mut play, clean_up()), [""; 0], "granted twice");
    assert!(play.ask(release()).is_err());
}

#[test]
fn r3_a_session_that_vanished_is_told_once_and_fails_nothing() {
    let mut play = finished();
    let vanished = || Seen::Vanished { session: true, tree: false };
    assert_eq!(kinds(&play.see("a.1", vanished())), ["worker.session-gone"]);
    assert_eq!(kinds(&play.see("a.1", vanished())), [""; 0]);
    assert_eq!((play.worker_phase("a.1"), play.phase("a")), (W::CompletedRetained, T::Completed));
    assert!(play.worker("a.1").reason.starts_with("session_gone: "));
    assert_eq!(kinds(&play.see("a.1", Seen::Vanished { session: false, tree: true })), [""; 0]);
}

#[test]
fn r3_only_what_was_cleaned_up_is_closed_and_only_once_session_and_tree_are_gone() {
    let mut play = finished();
    play.ask(release()).expect("granted");
    play.ask(clean_up()).expect("granted");
    for (session, tree) in [(true, false), (false, true), (false, false)] {
        assert_eq!(kinds(&play.see("a.1", Seen::Vanished { session, tree })), [""; 0]);
    }
    let both = || Seen::Vanished { session: true, tree: true };
    assert_eq!(kinds(&play.see("a.1", both())), ["worker.closed"]);
    assert_eq!(kinds(&play.see("a.1", both())), [""; 0]);
    assert_eq!(play.worker_phase("a.1"), W::Closed);
}

#[test]
fn l9_of_a_live_worker_nothing_follows_from_what_seems_to_be_missing() {
    let mut play = Play::new(flow(vec![task("a")]));
    play.start_work("a.1");
    assert_eq!(kinds(&play.see("a.1", Seen::Vanished { session: true, tree: true })), [""; 0]);
    assert_eq!(play.worker_phase("a.1"), W::Busy);
}
