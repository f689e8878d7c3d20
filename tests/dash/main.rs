//! The dashboard and `up` on a real terminal: keys go in, the screen is read back.
//!
//! The terminal is a tmux server of this world's own, beside the one that hosts workers. It
//! leaves out pictures letter by letter, which are the tests of `src/dash`.

#![expect(clippy::unwrap_used, reason = "the helpers of a test may panic as the test may")]

mod keys;
mod leaving;
mod live;
mod terminal;
mod up;
#[path = "../acceptance/world.rs"]
#[expect(dead_code, reason = "the acceptance tests use more of it")]
mod world;
