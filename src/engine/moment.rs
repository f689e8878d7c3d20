//! Time as the engine knows it: an argument, never a reading.
//!
//! It leaves out every clock: `supervisor/clock.rs` reads the only one and maps
//! it onto a run's own line, which stands still while the machine sleeps and goes
//! on across reboots (law J8).

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A point on the run's monotonic line, in milliseconds since its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Moment(pub u64);

impl Moment {
    /// The point `span` later; stops at the end of the line rather than wrapping.
    #[must_use]
    pub fn after(self, span: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(span.as_millis()).unwrap_or(u64::MAX)))
    }

    /// How long after `earlier` this is; zero when it isn't.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// When something was journaled: the moment orders and ages, the wall time is a label for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Stamp {
    /// Where on the run's line.
    pub moment: Moment,
    /// Milliseconds since 1970, by a clock that may jump.
    pub wall_ms: i64,
}

/// What a decision may know beside the state: the time, and unpredictable bytes for nonces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// The time.
    pub stamp: Stamp,
    /// Fresh for every decision; makes the nonces of the workers it launches.
    pub seed: [u8; 16],
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_never_wraps_and_never_runs_backwards() {
        assert_eq!(Moment(u64::MAX).after(Duration::from_secs(1)), Moment(u64::MAX));
        assert_eq!(Moment(5).since(Moment(9)), Duration::ZERO);
        assert_eq!(Moment(1500).since(Moment(500)), Duration::from_secs(1));
    }
}
