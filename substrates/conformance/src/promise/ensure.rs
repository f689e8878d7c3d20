//! What `ensure` promises: one thing per mark, whoever asks, however often.
//!
//! It leaves out what is made; that is each substrate's own.

use super::{Spec, ended, made, mark, marks, must, must_fail, state_of};
use crate::Harness;
use ilchul_substrate::{ErrorKind, Handle, Substrate};
use std::sync::Barrier;
use std::thread;

/// A second `ensure` returns an equal handle and starts nothing.
pub fn ensured_twice_is_there_once<H: Harness>(harness: &H) {
    let mark = mark(harness, "twice", 1);
    let first = made(harness, &mark);
    let before = state_of(harness.substrate(), &first);
    let second = must("ensure again", harness.substrate().ensure(&mark, &harness.lasting(&mark)));
    assert_eq!(second, first);
    assert_eq!(marks(harness.substrate(), harness.run()), [mark]);
    assert_eq!(state_of(harness.substrate(), &first), before, "the first one goes on");
}

/// Threads that ask at the same moment get the same thing.
pub fn ensured_by_two_threads_at_once_is_there_once<H: Harness>(harness: &H) {
    let mark = mark(harness, "race", 1);
    let start = Barrier::new(2);
    let ask = || -> Handle {
        let spec: Spec<H> = harness.lasting(&mark);
        start.wait();
        must("ensure in a thread", harness.substrate().ensure(&mark, &spec))
    };
    let (one, other) = thread::scope(|scope| {
        let threads = (scope.spawn(ask), scope.spawn(ask));
        (threads.0.join(), threads.1.join())
    });
    let (Ok(one), Ok(other)) = (one, other) else { panic!("an `ensure` panicked") };
    assert_eq!(one, other);
    assert_eq!(marks(harness.substrate(), harness.run()), [mark]);
}

/// An object that never saw the first call finds what it made.
pub fn ensured_after_a_cold_start_is_found<H: Harness>(harness: &H) {
    let mark = mark(harness, "cold", 1);
    let first = made(harness, &mark);
    let cold = harness.reopened();
    let second = must("ensure after a cold start", cold.ensure(&mark, &harness.lasting(&mark)));
    assert_eq!(second, first);
    assert_eq!(marks(&cold, harness.run()), [mark]);
}

/// The ordinal is part of the name: a new attempt is a new thing beside the old one.
pub fn attempts_of_one_task_are_apart<H: Harness>(harness: &H) {
    let (first, second) = (mark(harness, "task", 1), mark(harness, "task", 2));
    let (one, two) = (made(harness, &first), made(harness, &second));
    assert_ne!(one.id, two.id, "two things have two names");
    assert_ne!(state_of(harness.substrate(), &one), state_of(harness.substrate(), &two));
    assert_eq!(marks(harness.substrate(), harness.run()), [first, second]);
}

/// Something foreign or half made is never overwritten, adopted or tidied away.
pub fn what_is_in_the_way_is_a_conflict_and_left_as_it_was<H: Harness>(harness: &H) {
    let (taken, free) = (mark(harness, "taken", 1), mark(harness, "free", 1));
    if !harness.obstruct(&taken) {
        // Then nothing can be in the way; what is left to hold is that a mark is free.
        made(harness, &taken);
        return;
    }
    // The first look of a cold start, and a repeated one: the answer must not wear off.
    for substrate in [&harness.reopened(), harness.substrate(), harness.substrate()] {
        let error = must_fail(
            "ensure where something is in the way",
            substrate.ensure(&taken, &harness.lasting(&taken)),
        );
        assert_eq!(error.kind(), ErrorKind::Conflict, "failed to {error}");
        if let Err(change) = harness.obstructed(&taken) {
            panic!("what was in the way has changed: {change}");
        }
    }
    made(harness, &free);
}

/// Over is over: the same object never gives an ended session a second life.
pub fn an_ended_session_is_not_started_again<H: Harness>(harness: &H) {
    let mark = mark(harness, "over", 1);
    let Some((first, state)) = ended(harness, &mark, 0) else { return };
    let again = must("ensure after the end", harness.substrate().ensure(&mark, &harness.lasting(&mark)));
    assert_eq!(again, first);
    assert_eq!(state_of(harness.substrate(), &again), state);
}
