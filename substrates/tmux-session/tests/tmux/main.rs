//! Real tmux on private servers, one for each test, ended with it.
//!
//! One program, so that the support is compiled once and none of it is idle.

#![expect(clippy::unwrap_used, reason = "the helpers of tests aren't marked as tests themselves")]

mod conformance;
mod ensure;
mod observe;
mod release;
mod server;
mod support;
