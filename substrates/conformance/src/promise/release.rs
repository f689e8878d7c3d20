//! What `release` promises: this one, wholly, and nothing else.
//!
//! It leaves out grace and signals, which sessions prove in their own tests.

use super::{assert_kept, assert_released, is_gone, is_live, made, mark, marks, must, must_fail, state_of};
use crate::{Harness, Hosts, PATIENCE, wait_until};
use ilchul_substrate::{ErrorKind, Facts, Handle, State, Substrate, Urgency};

const URGENCIES: [Urgency; 2] = [Urgency::Asked, Urgency::AtOnce];

/// L19: the place is the same, the thing isn't; no signal, no lock, no adoption.
pub fn another_identity_is_not_touched<H: Harness>(harness: &H) {
    let handle = made(harness, &mark(harness, "identity", 1));
    let mistaken = harness.mistaken(&handle);
    assert_ne!(mistaken, handle, "the harness must change the identity");
    for substrate in [harness.substrate(), &harness.reopened()] {
        let state = state_of(substrate, &mistaken);
        assert!(is_gone(&state), "what the handle named isn't there any more, not {state:?}");
        for urgency in URGENCIES {
            let error = must_fail("release of another identity", substrate.release(&mistaken, urgency));
            assert_eq!(error.kind(), ErrorKind::Conflict, "failed to {error}");
        }
        assert!(is_live(&state_of(substrate, &handle)), "it goes on");
    }
}

/// Repeating a release, in any hurry, by any object, is `Ok`.
pub fn released_twice_is_ok<H: Harness>(harness: &H) {
    for (attempt, urgency) in [(1, Urgency::Asked), (2, Urgency::AtOnce)] {
        let handle = made(harness, &mark(harness, "twice", attempt));
        must("release", harness.substrate().release(&handle, urgency));
        assert_released(harness, harness.substrate(), &handle);
        for again in URGENCIES {
            must("release again", harness.substrate().release(&handle, again));
            must("release again after a cold start", harness.reopened().release(&handle, again));
        }
        assert_released(harness, harness.substrate(), &handle);
    }
}

/// An object that didn't make it can release it; both see that.
pub fn released_after_a_cold_start_is_released<H: Harness>(harness: &H) {
    let handle = made(harness, &mark(harness, "cold", 1));
    let cold = harness.reopened();
    must("release after a cold start", cold.release(&handle, Urgency::Asked));
    assert_released(harness, &cold, &handle);
    assert_released(harness, harness.substrate(), &handle);
    assert_kept(harness, &handle);
}

/// Nothing is left to stop, so there is nothing to fail at.
pub fn released_after_it_vanished_is_ok<H: Harness>(harness: &H) {
    let handle = made(harness, &mark(harness, "vanished", 1));
    harness.lose(&handle);
    for substrate in [harness.substrate(), &harness.reopened()] {
        wait_until("it vanished", PATIENCE, || is_gone(&state_of(substrate, &handle)));
        for urgency in URGENCIES {
            must("release of what vanished", substrate.release(&handle, urgency));
        }
        assert!(is_gone(&state_of(substrate, &handle)), "a release brings nothing back");
    }
}

/// R1, R2: tree, log and pane outlive the release; a workspace is still found by its mark.
pub fn release_keeps_what_must_be_kept<H: Harness>(harness: &H) {
    for (attempt, urgency) in [(1, Urgency::Asked), (2, Urgency::AtOnce)] {
        let mark = mark(harness, "kept", attempt);
        let handle = made(harness, &mark);
        must("release", harness.substrate().release(&handle, urgency));
        assert_released(harness, harness.substrate(), &handle);
        assert_kept(harness, &handle);
        if harness.hosts() == Hosts::Workspace {
            assert!(marks(harness.substrate(), harness.run()).contains(&mark), "`{mark}` still exists");
        }
    }
}

/// The neighbour, even the next attempt of the same task, goes on unchanged.
pub fn release_touches_no_other_mark<H: Harness>(harness: &H) {
    let substrate = harness.substrate();
    let released = made(harness, &mark(harness, "task", 1));
    // `task.1` is a prefix of `task.10`: the usual way to hit a neighbour.
    let others = [mark(harness, "task", 10), mark(harness, "task-b", 1)].map(|mark| made(harness, &mark));
    // Notes are for people, and a cluster's change while a session begins.
    let look = |other: &Handle| match state_of(substrate, other) {
        State::Live(facts) => State::Live(Facts { notes: Vec::new(), ..facts }),
        state => state,
    };
    let before = others.each_ref().map(look);
    for urgency in URGENCIES {
        must("release", substrate.release(&released, urgency));
        assert_released(harness, substrate, &released);
        assert_eq!(others.each_ref().map(look), before);
    }
    for other in &others {
        let found = must("ensure", substrate.ensure(&other.mark, &harness.lasting(&other.mark)));
        assert_eq!(&found, other);
    }
}
