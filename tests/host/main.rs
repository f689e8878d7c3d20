//! Another machine by real ssh: an sshd of each test's own on the loopback, whose home is a
//! folder of its own. `scripts/host-test` runs it.
//!
//! It leaves out what a command does there, which other tests know.

#![expect(clippy::unwrap_used, reason = "the helpers of a test may panic as the test may")]

mod doctor;
mod follow;
mod link;
mod machine;
mod remote;
mod repository;
mod run;
mod terminal;
#[path = "../acceptance/world.rs"]
#[expect(dead_code, reason = "other tests need more of it")]
mod world;
