//! Waiting with an end: the crate's only reader of a clock, and its only sleeper.
//!
//! It leaves out wall time: ages of files are handed to the caller as file times,
//! because nothing here may order or expire by them.

use std::time::{Duration, Instant};

/// A moment after which waiting is over; monotonic, of this process only.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline(Instant);

impl Deadline {
    pub(crate) fn after(limit: Duration) -> Self {
        let now = Instant::now();
        // A limit too large for the clock is as good as a day.
        Self(now.checked_add(limit).unwrap_or(now + Duration::from_hours(24)))
    }

    pub(crate) fn left(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }
}

/// Asks `ready` until it answers or `limit` has passed; asks at least once.
///
/// The pause doubles from 0.2 ms to 5 ms: the waits are for other people's
/// few milliseconds of git, which ring no bell.
pub(crate) fn wait_for<T>(limit: Duration, mut ready: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Deadline::after(limit);
    let mut pause = Duration::from_micros(200);
    loop {
        if let Some(answer) = ready() {
            return Some(answer);
        }
        let left = deadline.left();
        if left.is_zero() {
            return None;
        }
        std::thread::sleep(pause.min(left));
        pause = (pause * 2).min(Duration::from_millis(5));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_ends_with_the_answer_or_at_its_limit() {
        let mut asked = 0;
        let answer = wait_for(Duration::from_secs(60), || {
            asked += 1;
            (asked == 3).then_some("three")
        });
        assert_eq!(answer, Some("three"));
        assert_eq!(wait_for(Duration::ZERO, || None::<()>), None);
    }
}
