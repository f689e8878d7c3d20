//! The tests of process groups as sessions: one program, so that they share one world.
//!
//! It leaves out unit tests of the parsers, which stand beside them.

mod common;
mod conformance;
mod ending;
mod session;
