//! How many supervisors may die one after the other before nobody starts another one.
//!
//! It leaves out what is done about it.

use std::time::{Duration, Instant};

/// Supervisors that die one after the other without any progress of the run.
pub(super) const DEATHS: u32 = 3;
/// One that drives a run for so long got somewhere: a job may wait for days, and makes no news.
const STEADY: Duration = Duration::from_secs(60);

/// The deaths so far.
#[derive(Debug, Default)]
pub(super) struct Deaths {
    count: u32,
    /// Since when one drives the run, as far as it was seen without a gap.
    held: Option<Instant>,
}

impl Deaths {
    /// One drives the run now.
    pub(super) fn held(&mut self, now: Instant) {
        if now.duration_since(*self.held.get_or_insert(now)) >= STEADY {
            self.count = 0;
        }
    }

    /// None does, or nobody sees it.
    pub(super) fn unseen(&mut self) {
        self.held = None;
    }

    /// The run went on.
    pub(super) fn progress(&mut self) {
        self.count = 0;
    }

    /// One died; whether that is one too many.
    pub(super) fn died(&mut self) -> bool {
        self.unseen();
        self.count += 1;
        self.count > DEATHS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_supervisors_that_die_one_soon_after_the_other_are_counted() {
        let begin = Instant::now();
        let at = |seconds: u64| begin + Duration::from_secs(seconds);
        let mut hourly = Deaths::default();
        for hour in 0..9 {
            [0, 30, 61].into_iter().for_each(|after| hourly.held(at(hour * 3600 + after)));
            assert!(!hourly.died(), "{hour}");
        }
        let mut soon = Deaths::default();
        let died = (0..4).map(|minute| {
            soon.held(at(minute * 60));
            soon.held(at(minute * 60 + 40));
            soon.died()
        });
        assert_eq!(died.collect::<Vec<_>>(), [false, false, false, true]);
        let mut gone_on = Deaths::default();
        for _ in 0..9 {
            assert!(!gone_on.died());
            gone_on.progress();
        }
        // Between two looks that are far apart, it may have died as well.
        let mut gaps = Deaths::default();
        for time in 0..4 {
            gaps.held(at(time * 900));
            gaps.unseen();
            gaps.held(at(time * 900 + 800));
            assert_eq!(gaps.died(), time == 3);
        }
    }
}
