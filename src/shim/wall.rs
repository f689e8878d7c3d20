//! When the session's host ends it, and that work has to end by itself before.
//!
//! The host counts from the start of its job, which is this node's; so only differences of the
//! node's own running time count here, and a clock that is set changes nothing. It leaves out the
//! host's own warning, which comes as SIGTERM and may come first.

use super::clock;
use std::fs;
use std::time::{Duration, Instant};

/// Seconds that the job may take until its work is told to end.
const ALLOWED: &str = "ILCHUL_WALL";
/// The node's running time when the job began, in seconds.
const BEGAN: &str = "ILCHUL_JOB_BEGAN";

/// The most by which a host's own warning comes early: Slurm promises a minute.
const EARLY: Duration = Duration::from_secs(60);

/// The end that was set for this session, if any was.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Wall(Option<(Instant, Duration)>);

impl Wall {
    /// From the session's environment.
    pub(super) fn read() -> Self {
        let number = |text: &str| text.split('.').next().and_then(|whole| whole.trim().parse::<u64>().ok());
        let variable = |name: &str| number(&std::env::var(name).ok()?);
        let Some(allowed) = variable(ALLOWED) else { return Self(None) };
        let running = fs::read_to_string("/proc/uptime").ok().and_then(|text| number(&text));
        let passed = running.zip(variable(BEGAN)).and_then(|(now, began)| now.checked_sub(began));
        Self::after(Duration::from_secs(allowed), Duration::from_secs(passed.unwrap_or_default()))
    }

    fn after(allowed: Duration, passed: Duration) -> Self {
        let at = clock::now().checked_add(allowed.saturating_sub(passed));
        // Of a short time only a part is near its end.
        Self(at.map(|at| (at, EARLY.min(allowed / 4))))
    }

    /// When the work has to be told to end.
    pub(super) fn at(self) -> Option<Instant> {
        self.0.map(|(at, _)| at)
    }

    /// Whether it has to be now.
    pub(super) fn is_over(self, now: Instant) -> bool {
        self.0.is_some_and(|(at, _)| now >= at)
    }

    /// Whether an order to end that comes now is the host's, because its time is nearly over.
    pub(super) fn is_near(self, now: Instant) -> bool {
        self.0.is_some_and(|(at, early)| now + early >= at)
    }
}

/// Whether a variable is only the shim's.
pub(super) fn is_own(name: &[u8]) -> bool {
    name == ALLOWED.as_bytes() || name == BEGAN.as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_counts_from_the_jobs_start_and_only_its_last_part_is_near() {
        let wall = Wall::after(Duration::from_secs(400), Duration::from_secs(100));
        let now = clock::now();
        let after = |seconds: u64| now + Duration::from_secs(seconds);
        assert!(!wall.is_near(after(239)) && wall.is_near(after(241)));
        assert!(!wall.is_over(after(299)) && wall.is_over(after(301)));
        let short = Wall::after(Duration::from_secs(40), Duration::ZERO);
        assert!(!short.is_near(after(29)) && short.is_near(after(31)));
        // Set up for longer than it may take: at once.
        assert!(Wall::after(Duration::from_secs(40), Duration::from_secs(90)).is_over(clock::now()));
        assert!(!Wall::default().is_over(after(10_000_000)) && !Wall::default().is_near(now));
    }
}
