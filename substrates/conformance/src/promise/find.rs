//! What `discover` and `attach` promise: what is there, and how a person gets there.
//!
//! It leaves out running the attach command; that needs a terminal.

use super::{is_live, made, mark, mark_of, marks, must, state_of};
use crate::Harness;
use ilchul_substrate::{Mark, Substrate};

/// Marks are ordered by task, then by the attempt as a number; other runs aren't listed.
pub fn discover_lists_the_runs_marks_in_order<H: Harness>(harness: &H) {
    let substrate = harness.substrate();
    assert_eq!(marks(substrate, harness.run()), [], "a run without things has none, and no error");
    // Made out of order; as text, `.10` would come before `.2`.
    let made_in = [("b", 1), ("a", 10), ("a", 2)].map(|(task, attempt)| mark(harness, task, attempt));
    for mark in &made_in {
        made(harness, mark);
    }
    let longer = format!("{}0", harness.run());
    let elsewhere = mark_of(&longer, "a", 1);
    made(harness, &elsewhere);
    let [b1, a10, a2] = made_in;
    assert_eq!(marks(substrate, harness.run()), [a2, a10, b1]);
    assert_eq!(marks(substrate, &longer), [elsewhere]);
}

/// A new object lists the same, with handles that are good for everything else.
pub fn discover_after_a_cold_start_finds_the_same<H: Harness>(harness: &H) {
    let handles = ["x", "y"].map(|task| made(harness, &mark(harness, task, 1)));
    let cold = harness.reopened();
    let found = must("discover", cold.discover(harness.run()));
    let names = |mark: &Mark, id: &str| (mark.clone(), id.to_owned());
    assert_eq!(
        found.iter().map(|(mark, handle)| names(mark, &handle.id)).collect::<Vec<_>>(),
        handles.iter().map(|handle| names(&handle.mark, &handle.id)).collect::<Vec<_>>(),
    );
    for (mark, handle) in &found {
        assert_eq!(&handle.mark, mark, "the handle bears the mark it is listed under");
        assert_eq!(handle.kind, cold.kind());
        let state = state_of(harness.substrate(), handle);
        assert!(is_live(&state), "a discovered handle finds the live thing, not {state:?}");
    }
}

/// Where it says that people can be there, it says how; elsewhere it says nothing.
pub fn attach_agrees_with_the_capabilities<H: Harness>(harness: &H) {
    let handle = made(harness, &mark(harness, "attach", 1));
    for substrate in [harness.substrate(), &harness.reopened()] {
        let command = substrate.attach(&handle);
        assert_eq!(command.is_some(), substrate.capabilities().attach);
        if let Some(argv) = command {
            assert!(argv.first().is_some_and(|program| !program.is_empty()), "a command, not {argv:?}");
        }
    }
}
