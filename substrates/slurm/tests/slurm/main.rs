//! The tests against a real Slurm: one program, one cluster, which `scripts/slurm-test` starts.
//!
//! Those of `accounting` need one with accounting, and the others one without.
//! Left out: nodes and controllers that fail, which would disturb the tests beside them;
//! those are in the program's own `tests/slurm`.

#![expect(clippy::unwrap_used, reason = "the helpers of a test may panic as the test may")]

mod accounting;
mod common;
mod conformance;
mod session;
