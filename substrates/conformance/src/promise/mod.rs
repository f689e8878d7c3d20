//! The promises of the contract, one function each; each panics when it is broken.
//!
//! Every function takes a fresh world. Left out: timing. A substrate may be slow,
//! so each wait has the same generous deadline.

mod ensure;
mod find;
mod observe;
mod release;

pub use ensure::{
    an_ended_session_is_not_started_again, attempts_of_one_task_are_apart,
    ensured_after_a_cold_start_is_found, ensured_by_two_threads_at_once_is_there_once,
    ensured_twice_is_there_once, what_is_in_the_way_is_a_conflict_and_left_as_it_was,
};
pub use find::{
    attach_agrees_with_the_capabilities, discover_after_a_cold_start_finds_the_same,
    discover_lists_the_runs_marks_in_order,
};
pub use observe::{
    a_handle_of_another_kind_is_unknown_and_refused, a_handle_survives_a_round_trip_as_text,
    a_handle_that_names_nothing_is_never_live, a_handle_without_its_fields_is_unknown_and_refused,
    an_ended_session_reports_its_exit, looking_changes_nothing, observations_come_in_bulk_and_in_order,
    what_vanished_is_gone,
};
pub use release::{
    another_identity_is_not_touched, release_keeps_what_must_be_kept, release_touches_no_other_mark,
    released_after_a_cold_start_is_released, released_after_it_vanished_is_ok, released_twice_is_ok,
};

use crate::{Harness, Hosts, PATIENCE, wait_until};
use ilchul_substrate::{Error, Facts, Handle, Mark, State, Substrate};

type Spec<H> = <<H as Harness>::S as Substrate>::Spec;

/// A mark of the harness's run.
fn mark<H: Harness>(harness: &H, task: &str, attempt: u32) -> Mark {
    mark_of(harness.run(), task, attempt)
}

fn mark_of(run: &str, task: &str, attempt: u32) -> Mark {
    match Mark::new(run, task, attempt) {
        Ok(mark) => mark,
        Err(error) => panic!("the harness's run must be a slug: failed to {error}"),
    }
}

/// The value, or a panic that says which step of the promise failed and why.
#[track_caller]
fn must<T>(step: &str, result: Result<T, Error>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("{step}: {:?}: failed to {error}", error.kind()),
    }
}

#[track_caller]
fn must_fail<T>(step: &str, result: Result<T, Error>) -> Error {
    match result {
        Ok(_) => panic!("{step}: it was accepted"),
        Err(error) => error,
    }
}

/// Makes a lasting thing and waits until it runs (a queued one may take a while).
#[track_caller]
fn made<H: Harness>(harness: &H, mark: &Mark) -> Handle {
    let substrate = harness.substrate();
    let handle = must("ensure", substrate.ensure(mark, &harness.lasting(mark)));
    assert_eq!(&handle.mark, mark, "the handle bears the mark it was asked for");
    assert_eq!(handle.kind, substrate.kind(), "the handle bears the substrate's kind");
    let state = state_of(substrate, &handle);
    if let State::Queued(_) = state {
        assert!(substrate.capabilities().queued, "queued, but its capabilities don't say so");
    } else {
        assert!(is_live(&state), "live once `ensure` returned, not {state:?}");
    }
    // Past its start as well: what is noted of that goes while promises compare two looks.
    let starts = |facts: &Facts| facts.notes.iter().any(|(name, _)| *name == "starts");
    let runs = || matches!(state_of(substrate, &handle), State::Live(facts) if !starts(&facts));
    wait_until("the queued thing runs", PATIENCE, runs);
    handle
}

/// A session that ended by itself with `exit`; waits until the substrate sees it.
/// `None` for workspaces, which have no exits; a session's harness must answer.
#[track_caller]
fn ended<H: Harness>(harness: &H, mark: &Mark, exit: i32) -> Option<(Handle, State)> {
    let spec = match (harness.hosts(), harness.ending(mark, exit)) {
        (Hosts::Session, Some(spec)) => spec,
        (Hosts::Workspace, None) => return None,
        (Hosts::Session, None) => panic!("a session's harness must know one that ends"),
        (Hosts::Workspace, Some(_)) => panic!("a workspace has no exit"),
    };
    let handle = must("ensure", harness.substrate().ensure(mark, &spec));
    wait_until("the session ended", PATIENCE, || is_gone(&state_of(harness.substrate(), &handle)));
    let state = state_of(harness.substrate(), &handle);
    Some((handle, state))
}

#[track_caller]
fn state_of<S: Substrate>(substrate: &S, handle: &Handle) -> State {
    let mut seen = substrate.observe(std::slice::from_ref(handle));
    assert_eq!(seen.len(), 1, "one observation for one handle");
    seen.remove(0).state
}

fn is_live(state: &State) -> bool {
    matches!(state, State::Live(_))
}

/// Attested not to be there any more; `Unknown` isn't.
fn is_gone(state: &State) -> bool {
    matches!(state, State::Absent | State::Ended(_))
}

/// What a mark's thing must look like after `release`.
#[track_caller]
fn assert_released<H: Harness>(harness: &H, substrate: &H::S, handle: &Handle) {
    let state = state_of(substrate, handle);
    match harness.hosts() {
        Hosts::Session => assert!(is_gone(&state), "a released session has ended, not {state:?}"),
        Hosts::Workspace => assert!(is_live(&state), "a released workspace stays, not {state:?}"),
    }
}

#[track_caller]
fn assert_kept<H: Harness>(harness: &H, handle: &Handle) {
    if let Err(missing) = harness.kept(handle) {
        panic!("`{}` must be kept: {missing}", handle.mark);
    }
}

/// The marks that `discover` lists now.
#[track_caller]
fn marks<S: Substrate>(substrate: &S, run: &str) -> Vec<Mark> {
    must("discover", substrate.discover(run)).into_iter().map(|(mark, _)| mark).collect()
}
