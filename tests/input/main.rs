//! The commands that come before a run, and those of a worker's own: exact output and exit codes.
//!
//! Each in a sealed world, as a user would type it. Of running it has only that what `init` writes runs green.

#![expect(clippy::unwrap_used, reason = "the helpers of a test may panic as the test may")]

mod doctor;
mod start;
mod worker;
mod world;
