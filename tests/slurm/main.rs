//! The program on a real Slurm: one cluster, which `scripts/slurm-test` starts, and which these
//! tests make fail. One after the other, because a controller that is frozen is so for all.
//!
//! Those of `accounting` need a cluster with accounting, and the others one without.
//! It leaves out what the substrate promises by itself; see `substrates/slurm/tests`.

#![expect(clippy::unwrap_used, reason = "the helpers of a test may panic as the test may")]

mod accounting;
mod away;
mod common;
mod faults;
mod life;
#[path = "../host/remote.rs"]
#[expect(dead_code, reason = "tests of the link need more of it")]
mod remote;
mod same;
mod tree;
#[path = "../acceptance/world.rs"]
#[expect(dead_code, reason = "other tests need more of it")]
mod world;
