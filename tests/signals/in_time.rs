//! A bar on a time, held on a machine that others keep busy too.
//!
//! It leaves out measuring: the numbers are `scripts/bench`'s.

use std::time::{Duration, Instant};

use super::world::PATIENCE;

/// Asserts that `once` takes less than `bar`, by the first of its tries that does: what else a
/// machine is busy with makes some of them late, and a program that is slow all of them.
#[track_caller]
pub fn in_time(bar: Duration, mut once: impl FnMut() -> Duration) {
    let until = Instant::now() + PATIENCE;
    let mut took = vec![once()];
    while took.iter().all(|took| *took >= bar) {
        assert!(Instant::now() < until, "all of these took {bar:?} and more: {took:?}");
        took.push(once());
    }
}
