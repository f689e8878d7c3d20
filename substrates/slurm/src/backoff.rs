//! When a question of Slurm's may be asked again: seldom, and seldomer after failures.
//!
//! A whole site shares one controller and one database. It leaves out who asks what; whoever
//! holds one holds a lock over it, so that one question is under way.

use std::time::{Duration, Instant};

/// The longest pause after failures, however many.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// The turns of one kind of question.
#[derive(Debug)]
pub(crate) struct Backoff {
    interval: Duration,
    answered_at: Option<Instant>,
    /// The last failure, when it was, and how many there were in a row before it.
    failure: Option<(Instant, String, u32)>,
    /// How many answers there were.
    number: u64,
}

impl Backoff {
    /// An answer is good for `interval`.
    pub(crate) fn new(interval: Duration) -> Self {
        Self { interval, answered_at: None, failure: None, number: 0 }
    }

    /// Why nothing may be asked now, after a failure.
    pub(crate) fn held(&self) -> Option<&str> {
        let (at, why, count) = self.failure.as_ref()?;
        let longest = LONGEST_PAUSE.max(self.interval);
        let pause = self.interval.saturating_mul(1 << (*count).min(6)).min(longest);
        (at.elapsed() < jittered(pause, self.number)).then_some(why)
    }

    /// Whether the last answer is still good.
    pub(crate) fn is_fresh(&self) -> bool {
        self.answered_at.is_some_and(|at| at.elapsed() < jittered(self.interval, self.number))
    }

    /// There is an answer to what was asked at `asked_at`; its number, one for each.
    pub(crate) fn answered(&mut self, asked_at: Instant) -> u64 {
        (self.answered_at, self.failure) = (Some(asked_at), None);
        self.number += 1;
        self.number
    }

    /// There was none.
    pub(crate) fn failed(&mut self, why: String) {
        let count = self.failure.as_ref().map_or(0, |(_, _, count)| count.saturating_add(1));
        self.failure = Some((Instant::now(), why, count));
    }
}

/// A tenth more or less, so that the supervisors of a site don't ask in step. Chance isn't
/// needed for that: the process and the number of the answer differ.
fn jittered(pause: Duration, number: u64) -> Duration {
    let mixed = (u64::from(std::process::id()) ^ number).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56;
    let tenths = u32::try_from(mixed % 21).unwrap_or_default();
    pause.mul_f64(0.9 + f64::from(tenths) / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_differs_by_a_tenth_at_most() {
        let pause = Duration::from_secs(10);
        let all: Vec<_> = (0..100).map(|number| jittered(pause, number)).collect();
        assert!(all.iter().all(|one| *one >= pause.mul_f64(0.89) && *one <= pause.mul_f64(1.11)));
        assert!(all.iter().any(|one| *one != all[0]));
    }

    #[test]
    fn an_answer_is_good_for_a_while_and_a_failure_holds_the_next_question_back() {
        let mut turns = Backoff::new(Duration::from_secs(600));
        assert!(!turns.is_fresh() && turns.held().is_none());
        assert_eq!(turns.answered(Instant::now()), 1);
        assert!(turns.is_fresh());
        turns.failed("down".to_owned());
        assert_eq!(turns.held(), Some("down"));
        // What is known stays known meanwhile, and one answer ends the pause.
        assert!(turns.is_fresh());
        assert_eq!(turns.answered(Instant::now()), 2);
        assert_eq!(turns.held(), None);
    }

    #[test]
    fn pauses_grow_with_failures_up_to_the_longest() {
        let mut turns = Backoff::new(Duration::ZERO);
        turns.failed("down".to_owned());
        assert_eq!(turns.held(), None, "an interval of nothing has no pauses");
        let mut turns = Backoff::new(Duration::from_secs(10));
        for _ in 0..100 {
            turns.failed("down".to_owned());
        }
        let long_ago = Instant::now().checked_sub(LONGEST_PAUSE.mul_f64(1.2)).unwrap();
        turns.failure = Some((long_ago, "down".to_owned(), 100));
        assert_eq!(turns.held(), None);
    }
}
