//! The only clock read: the kernel's monotonic clock, mapped onto a run's own line.
//!
//! CLOCK_MONOTONIC stands still while the machine sleeps, so suspended time counts
//! for nobody (law J8). Wall time is a label. It leaves out every decision by time.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

use crate::engine::moment::{Moment, Now, Stamp};
use crate::engine::state::Anchor;

/// A clock that is tied to one run's line.
#[derive(Debug, Clone)]
pub struct Clock {
    source: Source,
    mono_ms: u64,
    moment: Moment,
}

#[derive(Debug, Clone)]
enum Source {
    Kernel,
    Manual(Arc<AtomicU64>, Arc<AtomicI64>),
}

impl Clock {
    /// The kernel's clock, for a run that starts now.
    #[must_use]
    pub fn kernel() -> Self {
        let source = Source::Kernel;
        Self { mono_ms: source.mono_ms(), source, moment: Moment(0) }
    }

    /// A clock that only moves when `millis` does, for tests; `wall` is the label beside it.
    #[must_use]
    pub fn manual(millis: Arc<AtomicU64>, wall: Arc<AtomicI64>) -> Self {
        let source = Source::Manual(millis, wall);
        Self { mono_ms: source.mono_ms(), source, moment: Moment(0) }
    }

    /// The same clock on the line of a run that goes on.
    ///
    /// In the boot of the anchor the time since then has passed for the workers too;
    /// in another boot nothing passed that anybody lived through after `last`.
    #[must_use]
    pub fn on_line(&self, anchor: &Anchor, last: Moment) -> Self {
        let now = self.source.mono_ms();
        let moment = if anchor.boot == boot_id() {
            last.max(anchor.moment.after(Duration::from_millis(now.saturating_sub(anchor.mono_ms))))
        } else {
            last
        };
        Self { source: self.source.clone(), mono_ms: now, moment }
    }

    /// The kernel's clock in milliseconds, for anchors.
    #[must_use]
    pub fn mono_ms(&self) -> u64 {
        self.source.mono_ms()
    }

    /// Where the run's line is now, with the wall time beside it.
    #[must_use]
    pub fn stamp(&self) -> Stamp {
        let passed = self.source.mono_ms().saturating_sub(self.mono_ms);
        let wall_ms = match &self.source {
            Source::Kernel => wall_ms(),
            Source::Manual(_, wall) => wall.load(Ordering::SeqCst),
        };
        Stamp { moment: self.moment.after(Duration::from_millis(passed)), wall_ms }
    }

    /// Goes on from `last` where the source went back: a run's line never does.
    pub fn never_before(&mut self, last: Moment) {
        let now = self.source.mono_ms();
        if now < self.mono_ms || self.stamp().moment < last {
            (self.mono_ms, self.moment) = (now, last);
        }
    }

    /// What a decision may know.
    #[must_use]
    pub fn now(&self) -> Now {
        Now { stamp: self.stamp(), seed: *uuid::Uuid::new_v4().as_bytes() }
    }

    /// How long the loop may really sleep for a wait of `wait` on this clock.
    #[must_use]
    pub fn nap(&self, wait: Duration) -> Duration {
        match self.source {
            Source::Kernel => wait,
            // A test moves the clock while we sleep, so look often.
            Source::Manual(..) => wait.min(Duration::from_millis(5)),
        }
    }
}

impl Source {
    fn mono_ms(&self) -> u64 {
        match self {
            Self::Kernel => clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(0, |time| {
                let time = Duration::from(time);
                u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
            }),
            Self::Manual(millis, _) => millis.load(Ordering::SeqCst),
        }
    }
}

/// Milliseconds since 1970; a label.
#[must_use]
pub fn wall_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

/// The kernel's id of this boot; empty where it can't be read, which equals no recorded one.
#[must_use]
pub fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn j8_another_boot_goes_on_at_the_last_event_and_the_same_boot_counts_what_passed() {
        let millis = Arc::new(AtomicU64::new(50_000));
        let clock = Clock::manual(Arc::clone(&millis), Arc::default());
        let anchor = Anchor { boot: boot_id(), mono_ms: 10_000, moment: Moment(1_000) };
        let same = clock.on_line(&anchor, Moment(5_000));
        assert_eq!(same.stamp().moment, Moment(41_000));
        let other = clock.on_line(&Anchor { boot: "another".into(), ..anchor }, Moment(5_000));
        assert_eq!(other.stamp().moment, Moment(5_000));
        millis.store(50_250, Ordering::SeqCst);
        assert_eq!(other.stamp().moment, Moment(5_250));
    }

    #[test]
    fn j8_the_line_never_runs_backwards_even_when_the_monotonic_clock_does() {
        let clock = Clock::manual(Arc::new(AtomicU64::new(100)), Arc::default());
        let anchor = Anchor { boot: boot_id(), mono_ms: 10_000, moment: Moment(1_000) };
        assert_eq!(clock.on_line(&anchor, Moment(5_000)).stamp().moment, Moment(5_000));
        let millis = Arc::new(AtomicU64::new(9_000));
        let mut clock = Clock::manual(Arc::clone(&millis), Arc::default());
        millis.store(9_700, Ordering::SeqCst);
        let last = clock.stamp().moment;
        millis.store(20, Ordering::SeqCst);
        clock.never_before(last);
        assert_eq!(clock.stamp().moment, last);
        millis.store(70, Ordering::SeqCst);
        assert_eq!(clock.stamp().moment, Moment(last.0 + 50));
    }
}
