//! Slurm's commands as scripts of the tests' own: controllers whose answers are chosen.
//!
//! Each test runs in a process of its own, on a `PATH` where these commands come first. What
//! `sbatch` starts is the real script of a job, on this machine. Left out: what only a real
//! Slurm can show; those tests are in `tests/slurm`.

#![expect(clippy::unwrap_used, reason = "the helpers of a test may panic as the test may")]

mod believe;
mod ending;
mod fakes;
mod submitting;
