//! When the next submit may go out: a few at once, then one in each pause.
//!
//! A site's controller serves everybody, and sites end the accounts of those who flood it.
//! Turns are given in the order in which they were asked for, so nobody waits behind
//! whoever came later. It leaves out other supervisors: each keeps its own pace.

use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// The turns of one supervisor's submits.
#[derive(Debug)]
pub(crate) struct Turns {
    every: Duration,
    burst: u32,
    /// When all that was given out would be due, had there been no burst.
    due: Mutex<Option<Instant>>,
}

impl Turns {
    /// One submit in each `every`, after `burst` of them at once.
    pub(crate) fn new(every: Duration, burst: u32) -> Self {
        Self { every, burst, due: Mutex::default() }
    }

    /// Waits for its turn.
    pub(crate) fn wait(&self) {
        let now = Instant::now();
        thread::sleep(self.taken(now).saturating_duration_since(now));
    }

    /// Gives out the next turn, and says when it is.
    fn taken(&self, now: Instant) -> Instant {
        let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        let own = due.map_or(now, |due| due.max(now));
        *due = Some(own + self.every);
        // The burst is credit: whoever was quiet for long has all of it again.
        let credit = self.every.saturating_mul(self.burst.saturating_sub(1));
        own.checked_sub(credit).unwrap_or(now).max(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: Duration = Duration::from_millis(500);

    #[test]
    fn a_burst_goes_at_once_and_then_one_in_each_pause() {
        let (turns, now) = (Turns::new(EVERY, 3), Instant::now());
        let waits: Vec<Duration> = (0..6).map(|_| turns.taken(now) - now).collect();
        assert_eq!(waits[..3], [Duration::ZERO; 3]);
        assert_eq!(waits[3..], [EVERY, EVERY * 2, EVERY * 3]);
    }

    #[test]
    fn whoever_was_quiet_has_the_burst_again_and_no_more_than_that() {
        let (turns, now) = (Turns::new(EVERY, 3), Instant::now());
        for _ in 0..9 {
            turns.taken(now);
        }
        let later = now + EVERY * 100;
        let waits: Vec<Duration> = (0..5).map(|_| turns.taken(later) - later).collect();
        assert_eq!(waits, [Duration::ZERO, Duration::ZERO, Duration::ZERO, EVERY, EVERY * 2]);
    }

    #[test]
    fn turns_are_given_in_the_order_in_which_they_are_asked_for() {
        let (turns, now) = (Turns::new(EVERY, 1), Instant::now());
        let given: Vec<Instant> = (0..50).map(|number| turns.taken(now + EVERY * number / 7)).collect();
        assert!(given.is_sorted_by(|one, other| one < other), "{given:?}");
        assert!(given.windows(2).all(|pair| pair[1] - pair[0] >= EVERY));
    }

    #[test]
    fn no_pause_is_no_wait() {
        let (turns, now) = (Turns::new(Duration::ZERO, 1), Instant::now());
        assert!((0..9).all(|_| turns.taken(now) == now));
    }
}
