//! What waits for a person: questions and their answers, how people are told, and how they get there.
//!
//! The real binary in a sealed world. It leaves out what the engine's own tests prove of every
//! order of events, and kills (the recovery tests).

#![expect(clippy::unwrap_used, reason = "the helpers of a test may panic as the test may")]

mod limit;
mod mcp;
mod next;
mod notify;
mod question;
#[path = "../acceptance/world.rs"]
#[expect(dead_code, reason = "the acceptance tests use more of it")]
mod world;
