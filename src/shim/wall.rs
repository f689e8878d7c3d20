//! When the session's host ends it, and that work has to end by itself before.
//!
//! The host counts from the start of its job, which is this node's; so only differences of the
//! node's own running time count here, and a clock that is set changes nothing; time in which the
//! host had it suspended counts for neither. The host's own
//! warning is the second way: it comes as any order to end does, up to a minute early, and a file
//! beside it says what it means. It leaves out the end itself.

use super::clock;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Seconds that the job may take until its work is told to end.
const ALLOWED: &str = "ILCHUL_WALL";
/// The node's running time when the job began, in seconds.
const BEGAN: &str = "ILCHUL_JOB_BEGAN";
/// The file that is there once the host's own warning came.
const WARNED: &str = "ILCHUL_WALL_SIGN";

/// The end that was set for this session, if any was.
#[derive(Debug, Default)]
pub(super) struct Wall {
    at: Option<Instant>,
    sign: Option<PathBuf>,
}

impl Wall {
    /// From the session's environment.
    pub(super) fn read() -> Self {
        let sign = std::env::var_os(WARNED).map(PathBuf::from);
        if sign.is_some() {
            // A job that its cluster suspends has all of its time left when it goes on.
            clock::leave_out_gaps();
        }
        let number = |text: &str| text.split('.').next().and_then(|whole| whole.trim().parse::<u64>().ok());
        let variable = |name: &str| number(&std::env::var(name).ok()?);
        let running = fs::read_to_string("/proc/uptime").ok().and_then(|text| number(&text));
        let passed = running.zip(variable(BEGAN)).and_then(|(now, began)| now.checked_sub(began));
        let allowed = variable(ALLOWED).map(Duration::from_secs);
        let left = allowed.map(|allowed| left(allowed, Duration::from_secs(passed.unwrap_or_default())));
        let at = left.and_then(|left| clock::now().checked_add(left));
        Self { at, sign }
    }

    /// When the work has to be told to end.
    pub(super) fn at(&self) -> Option<Instant> {
        self.at
    }

    /// Whether it has to be now.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.at.is_some_and(|at| now >= at)
    }

    /// Whether its host is a cluster's job, which others than we may end.
    pub(super) fn is_of_a_job(&self) -> bool {
        self.sign.is_some()
    }

    /// Whether an order to end that came now is the host's, because its time is nearly over.
    pub(super) fn is_announced(&self) -> bool {
        self.sign.as_ref().is_some_and(|sign| sign.symlink_metadata().is_ok())
    }
}

/// A set-up that took longer leaves nothing.
fn left(allowed: Duration, passed: Duration) -> Duration {
    allowed.saturating_sub(passed)
}

/// Whether a variable is only the shim's.
pub(super) fn is_own(name: &[u8]) -> bool {
    [ALLOWED, BEGAN, WARNED].iter().any(|own| name == own.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_counts_from_the_jobs_start_and_is_at_once_where_that_is_long_ago() {
        let seconds = Duration::from_secs;
        assert_eq!(left(seconds(400), seconds(100)), seconds(300));
        assert_eq!(left(seconds(40), seconds(90)), Duration::ZERO);
        let none = Wall::default();
        assert!(!none.is_over(clock::now() + seconds(10_000_000)) && !none.is_announced());
        let now = clock::now();
        let wall = Wall { at: Some(now), ..Wall::default() };
        assert!(wall.is_over(now) && wall.at() == Some(now));
    }
}
