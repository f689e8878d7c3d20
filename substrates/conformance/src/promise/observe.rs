//! What `observe` promises: the truth about that thing, or that it couldn't look.
//!
//! It leaves out which facts are told; that differs by kind.

use super::{ended, is_gone, is_live, made, mark, mark_of, marks, must_fail, state_of};
use crate::{Harness, Hosts, PATIENCE, wait_until};
use ilchul_substrate::{ErrorKind, Exit, Handle, State, Substrate, Urgency};
use std::collections::BTreeMap;

/// How often two looks at one that begins may differ, and more than it has steps.
const CHANGES: usize = 8;

/// What is journaled as text and read back by another process names the same thing.
pub fn a_handle_survives_a_round_trip_as_text<H: Harness>(harness: &H) {
    let handle = made(harness, &mark(harness, "text", 1));
    let text = written(&handle);
    let read = read(&text);
    assert_eq!(read, handle);
    let cold = harness.reopened();
    // What begins changes a few times, and it may between two looks.
    for more in (0..CHANGES).rev() {
        let state = state_of(&cold, &read);
        assert!(is_live(&state), "found again from text, not {state:?}");
        let other = state_of(harness.substrate(), &handle);
        if more == 0 || state == other {
            assert_eq!(state, other, "old and new object see the same");
            break;
        }
    }
}

/// One answer per handle, in the order asked, repeated ones too; none for none.
pub fn observations_come_in_bulk_and_in_order<H: Harness>(harness: &H) {
    let substrate = harness.substrate();
    assert!(substrate.observe(&[]).is_empty(), "no handle, no observation");
    let one = made(harness, &mark(harness, "one", 1));
    let two = made(harness, &mark(harness, "two", 1));
    let alien = alien(&one);
    let asked = [two.clone(), alien.clone(), one.clone(), two.clone()];
    for more in (0..CHANGES).rev() {
        let seen: Vec<State> = substrate.observe(&asked).into_iter().map(|seen| seen.state).collect();
        let (live_one, live_two) = (state_of(substrate, &one), state_of(substrate, &two));
        assert_ne!(live_one, live_two, "two live things can be told apart");
        let each = [live_two.clone(), state_of(substrate, &alien), live_one, live_two];
        if more == 0 || seen == each {
            assert_eq!(seen, each);
            break;
        }
    }
}

/// Another substrate's handle proves nothing here, so it is neither absent nor touched.
pub fn a_handle_of_another_kind_is_unknown_and_refused<H: Harness>(harness: &H) {
    let handle = made(harness, &mark(harness, "kind", 1));
    assert_unknown_and_refused(harness, &alien(&handle), &handle);
}

/// Nor does a handle of an older form: what can't be proven isn't acted on.
pub fn a_handle_without_its_fields_is_unknown_and_refused<H: Harness>(harness: &H) {
    let handle = made(harness, &mark(harness, "fields", 1));
    assert!(!handle.fields.is_empty(), "identity stands in fields, beside location");
    let bare = Handle { fields: BTreeMap::new(), ..handle.clone() };
    assert_unknown_and_refused(harness, &bare, &handle);
    for name in handle.fields.keys() {
        let mut without = handle.clone();
        without.fields.remove(name);
        let state = state_of(harness.substrate(), &without);
        // A field may be there for people only, so `Live` is an honest answer.
        assert!(!is_gone(&state), "without `{name}` nothing is proven gone, yet {state:?}");
    }
}

/// A well-formed handle with nonsense in it finds no live thing, and above all not this one.
pub fn a_handle_that_names_nothing_is_never_live<H: Harness>(harness: &H) {
    let handle = made(harness, &mark(harness, "real", 1));
    let nonsense = Handle {
        mark: mark_of(harness.run(), "never-made", 1),
        id: "nothing".to_owned(),
        fields: handle.fields.keys().map(|name| (name.clone(), "nothing".to_owned())).collect(),
        kind: handle.kind.clone(),
    };
    let state = state_of(harness.substrate(), &nonsense);
    assert!(matches!(state, State::Absent | State::Unknown(_)), "not {state:?}");
    assert!(is_live(&state_of(harness.substrate(), &handle)));
}

/// What was removed from outside is absent, or, for a session, ended; to a cold start too.
pub fn what_vanished_is_gone<H: Harness>(harness: &H) {
    let (lost, other) = (mark(harness, "lost", 1), mark(harness, "other", 1));
    let (lost, other) = (made(harness, &lost), made(harness, &other));
    harness.lose(&lost);
    for substrate in [harness.substrate(), &harness.reopened()] {
        wait_until("what vanished is seen as gone", PATIENCE, || is_gone(&state_of(substrate, &lost)));
        let state = state_of(substrate, &lost);
        match harness.hosts() {
            Hosts::Session => assert!(is_gone(&state), "gone for good, not {state:?}"),
            Hosts::Workspace => assert_eq!(state, State::Absent),
        }
        assert!(is_live(&state_of(substrate, &other)), "and nothing else is");
    }
}

/// A look makes nothing, ends nothing and is the same the second time.
pub fn looking_changes_nothing<H: Harness>(harness: &H) {
    let substrate = harness.substrate();
    let here = mark(harness, "here", 1);
    let handle = made(harness, &here);
    let unmade = Handle { mark: mark(harness, "unmade", 1), ..alien(&handle) };
    let asked = [handle, unmade];
    let first: Vec<State> = substrate.observe(&asked).into_iter().map(|seen| seen.state).collect();
    let again: Vec<State> = substrate.observe(&asked).into_iter().map(|seen| seen.state).collect();
    assert_eq!(first, again);
    assert_eq!(marks(substrate, harness.run()), [here]);
}

/// The exit is reported to the object that started it, and stays the same.
pub fn an_ended_session_reports_its_exit<H: Harness>(harness: &H) {
    for (attempt, code) in [(1, 0), (2, 7)] {
        let Some((handle, state)) = ended(harness, &mark(harness, "exit", attempt), code) else { return };
        assert_eq!(state, State::Ended(Some(Exit::Code(code))));
        assert_eq!(state_of(harness.substrate(), &handle), state, "a second look says the same");
        let cold = state_of(&harness.reopened(), &handle);
        assert!(
            cold == state || cold == State::Ended(None),
            "a cold start knows the exit or that nobody can, not {cold:?}"
        );
        assert_kept_and_releasable(harness, &handle);
    }
}

#[track_caller]
fn assert_kept_and_releasable<H: Harness>(harness: &H, handle: &Handle) {
    super::must("release what has ended", harness.substrate().release(handle, Urgency::Asked));
    super::assert_kept(harness, handle);
}

/// `strange` names the place of `real` in a way that proves nothing.
#[track_caller]
fn assert_unknown_and_refused<H: Harness>(harness: &H, strange: &Handle, real: &Handle) {
    let substrate = harness.substrate();
    let state = state_of(substrate, strange);
    assert!(matches!(state, State::Unknown(_)), "a handle that proves nothing is unknown, not {state:?}");
    for urgency in [Urgency::Asked, Urgency::AtOnce] {
        let error = must_fail("release by a strange handle", substrate.release(strange, urgency));
        assert_eq!(error.kind(), ErrorKind::Refused, "failed to {error}");
    }
    assert!(substrate.attach(strange).is_none(), "nobody is led by a strange handle");
    assert!(is_live(&state_of(substrate, real)), "and the real one was not touched");
}

fn alien(handle: &Handle) -> Handle {
    Handle { kind: "another-kind".to_owned(), ..handle.clone() }
}

/// The public fields as lines; a stand-in for the journal.
fn written(handle: &Handle) -> Vec<String> {
    let mut lines = vec![handle.mark.to_string(), handle.kind.clone(), handle.id.clone()];
    lines.extend(handle.fields.iter().flat_map(|(name, value)| [name.clone(), value.clone()]));
    lines
}

fn read(lines: &[String]) -> Handle {
    let [mark, kind, id, fields @ ..] = lines else { panic!("a handle has at least three lines") };
    let mark = match mark.parse() {
        Ok(mark) => mark,
        Err(error) => panic!("failed to {error}"),
    };
    let pairs = fields.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone()));
    Handle { mark, kind: kind.clone(), id: id.clone(), fields: pairs.collect() }
}
