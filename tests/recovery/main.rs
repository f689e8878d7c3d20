//! A supervisor killed with signal 9 wherever it can be: what follows equals an undisturbed run.
//!
//! At every syscall of its journal, at every start of a child, at random moments, and in the
//! middle of provisioning, dispatch, verification and cleanup. One oracle judges all of them
//! (`oracle.rs`). It leaves out what a run does while nobody kills anything: the acceptance
//! tests hold that.

#![expect(clippy::unwrap_used, reason = "the helpers of a test may panic as the test may")]

mod children;
mod control;
mod journal;
mod life;
mod oracle;
mod places;
mod plan;
mod question;
mod random;
mod tracer;
#[path = "../acceptance/world.rs"]
#[expect(dead_code, reason = "the acceptance tests use more of it")]
mod world;
