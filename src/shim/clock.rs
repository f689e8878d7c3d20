//! The shim's two clocks: a label for people, and one to wait by.
//!
//! It leaves out comparing either with another process's: ages are the supervisor's.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// A longer time without a look at the clock is one in which this process was stopped: no wait of
/// a shim's in a job is longer than a second.
const GAP: Duration = Duration::from_secs(5);

thread_local! {
    /// None where gaps count as any time does. A shim has one thread.
    static AWAKE: Cell<Option<Awake>> = const { Cell::new(None) };
}

/// What was seen of the kernel's clock.
#[derive(Debug, Clone, Copy)]
struct Awake {
    /// The last look.
    seen: Instant,
    /// All gaps together.
    lost: Duration,
}

impl Awake {
    fn at(self, now: Instant) -> Self {
        let gap = now.saturating_duration_since(self.seen);
        Self { seen: now, lost: if gap >= GAP { self.lost + gap } else { self.lost } }
    }
}

/// The wall clock as an RFC 3339 label; nothing is decided by it.
pub(super) fn label() -> String {
    jiff::Timestamp::now().to_string()
}

/// From now on the clock to wait by stands still while this process is stopped: a cluster that
/// suspends a job counts that time no more than the job can use it.
pub(super) fn leave_out_gaps() {
    AWAKE.set(Some(Awake { seen: Instant::now(), lost: Duration::ZERO }));
}

/// The clock to wait by: it never jumps, and it stands still while suspended.
pub(super) fn now() -> Instant {
    let now = Instant::now();
    let Some(awake) = AWAKE.get().map(|awake| awake.at(now)) else { return now };
    AWAKE.set(Some(awake));
    now.checked_sub(awake.lost).unwrap_or(now)
}

/// The wall clock in whole seconds since 1970: only for a wait that somebody else's clock ends.
pub(super) fn unix() -> i64 {
    jiff::Timestamp::now().as_second()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn j8_a_time_in_which_the_process_was_stopped_counts_for_nothing_and_a_wait_does() {
        let seconds = Duration::from_secs;
        let start = Instant::now();
        let mut awake = Awake { seen: start, lost: Duration::ZERO };
        // An hour of looks, then a day without one, then an hour again.
        let day = seconds(86_400);
        for second in 1..=3_600 {
            awake = awake.at(start + seconds(second));
        }
        assert_eq!(awake.lost, Duration::ZERO);
        awake = awake.at(start + seconds(3_600) + day);
        for second in 1..=3_600 {
            awake = awake.at(start + seconds(3_600 + second) + day);
        }
        assert_eq!(awake.lost, day);
    }

    #[test]
    fn the_clock_stands_still_where_gaps_are_left_out_and_nowhere_else() {
        let minute = Duration::from_secs(60);
        let (seen, lost) = (Instant::now().checked_sub(minute).unwrap(), Duration::ZERO);
        let before = now();
        AWAKE.set(Some(Awake { seen, lost }));
        let stopped = now();
        assert!(before.saturating_duration_since(stopped) > minute / 2, "a minute was left out");
        AWAKE.set(None);
        assert!(now() >= before);
    }
}
