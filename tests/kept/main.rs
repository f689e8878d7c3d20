//! Nothing that was there is ever gone (law R1): proven from outside, in three ways.
//!
//! A whole run with crashes and every command under strace, its calls judged one by one; the
//! same run with a git and a tmux that refuse whatever takes something away; and random
//! commands and outside acts, after each of which all that was there before still is. It leaves
//! out what was lost to somebody else and how it comes back: the acceptance tests hold that.

#![expect(clippy::unwrap_used, reason = "the helpers of a test may panic as the test may")]

mod guard;
mod inventory;
mod lives;
mod places;
mod planted;
mod random;
mod stage;
mod story;
mod stubbed;
mod tools;
mod trace;
mod traced;
#[path = "../acceptance/world.rs"]
#[expect(dead_code, reason = "the acceptance tests use more of it")]
mod world;
