//! What hostile repositories, workflows and workers can't talk ilchul into: faults.md S1-S25.
//!
//! The built binary in the sealed world of the acceptance tests, with a canary in every place
//! from which something of somebody else's could be run, followed, believed or shown. It leaves
//! out what one room can prove alone: parsers, the neutraliser, each substrate's own promises.

#![expect(clippy::unwrap_used, reason = "the helpers of a test may panic as the test may")]

mod canary;
mod files;
mod forgery;
mod outside;
mod repository;
mod secrets;
mod terminal;
#[path = "../acceptance/world.rs"]
#[expect(dead_code, reason = "the acceptance tests use more of it")]
mod world;
