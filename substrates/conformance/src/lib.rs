//! The suite that every substrate must pass, and [`Scripted`], the in-memory one.
//!
//! A substrate is done when `conformance!` passes over its harness, not when it
//! works. Left out: what only one kind promises (a branch's name, a pane's title,
//! an exact environment); that stays in the substrate's own tests.
//!
//! ```
//! use ilchul_conformance::{Harness, conformance};
//! # use ilchul_conformance::{Hosts, Scripted};
//! # use ilchul_substrate::{Handle, Mark};
//! # struct Mine(Scripted<()>);
//! # impl Mine { fn new() -> Self { Self(Scripted::new(Hosts::Workspace)) } }
//! # impl Harness for Mine {
//! #     type S = Scripted<()>;
//! #     fn hosts(&self) -> Hosts { Hosts::Workspace }
//! #     fn substrate(&self) -> &Self::S { &self.0 }
//! #     fn reopened(&self) -> Self::S { self.0.clone() }
//! #     fn run(&self) -> &str { "r1" }
//! #     fn lasting(&self, _: &Mark) {}
//! #     fn ending(&self, _: &Mark, _: i32) -> Option<()> { None }
//! #     fn obstruct(&self, mark: &Mark) -> bool { self.0.obstruct(mark); true }
//! #     fn obstructed(&self, _: &Mark) -> Result<(), String> { Ok(()) }
//! #     fn lose(&self, handle: &Handle) { self.0.lose(&handle.mark); }
//! #     fn mistaken(&self, handle: &Handle) -> Handle { Scripted::<()>::mistaken(handle) }
//! #     fn kept(&self, _: &Handle) -> Result<(), String> { Ok(()) }
//! # }
//! mod my_substrate {
//!     # use super::Mine;
//!     ilchul_conformance::conformance!(Mine::new);
//! }
//! # fn main() {}
//! ```

mod harness;
pub mod promise;
mod scripted;
mod wait;

pub use harness::{Harness, Hosts};
pub use scripted::{Call, Gate, Scripted, Verb};
pub use wait::{PATIENCE, wait_for, wait_until};

/// One `#[test]` per promise, each over a new harness made by the given function.
///
/// Use it once per module: the tests bear the names of the promises.
#[macro_export]
macro_rules! conformance {
    ($make:expr) => {
        $crate::conformance! { @each $make;
            // ensure
            ensured_twice_is_there_once
            ensured_by_two_threads_at_once_is_there_once
            ensured_after_a_cold_start_is_found
            attempts_of_one_task_are_apart
            what_is_in_the_way_is_a_conflict_and_left_as_it_was
            an_ended_session_is_not_started_again
            // observe
            a_handle_survives_a_round_trip_as_text
            observations_come_in_bulk_and_in_order
            a_handle_of_another_kind_is_unknown_and_refused
            a_handle_without_its_fields_is_unknown_and_refused
            a_handle_that_names_nothing_is_never_live
            what_vanished_is_gone
            looking_changes_nothing
            an_ended_session_reports_its_exit
            // release
            another_identity_is_not_touched
            released_twice_is_ok
            released_after_a_cold_start_is_released
            released_after_it_vanished_is_ok
            release_keeps_what_must_be_kept
            release_touches_no_other_mark
            // discover, attach
            discover_lists_the_runs_marks_in_order
            discover_after_a_cold_start_finds_the_same
            attach_agrees_with_the_capabilities
        }
    };
    (@each $make:expr; $($promise:ident)+) => {
        $(
            #[test]
            fn $promise() {
                $crate::promise::$promise(&($make)());
            }
        )+
    };
}
