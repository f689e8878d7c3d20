//! Short looks at the mail of workers whose files ring no bell: those on other hosts.
//!
//! Something is about to be written there when a session was made, has begun, or was given its
//! work; so it is looked for soon, and then less and less often until the slow look is enough.
//! A file that nobody writes costs five looks. It leaves out reading (`mailbox.rs`).

use std::collections::BTreeMap;
use std::time::Duration;

use crate::engine::moment::Moment;

/// The first pause, and the one at which the slow look takes over.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// Whose mail is looked at when, beside the slow look.
#[derive(Debug, Default)]
pub struct Peeks(BTreeMap<String, (Moment, Duration)>);

impl Peeks {
    /// `worker` may write something from now on.
    pub fn look_for(&mut self, worker: &str, now: Moment) {
        self.0.insert(worker.to_owned(), (now.after(PAUSES.0), PAUSES.0));
    }

    /// When the next look is.
    #[must_use]
    pub fn next(&self) -> Option<Moment> {
        self.0.values().map(|(at, _)| *at).min()
    }

    /// Whose mail is to be looked at now; each has its next look after twice the pause.
    pub fn due(&mut self, now: Moment) -> Vec<String> {
        let due: Vec<String> =
            self.0.iter().filter(|(_, (at, _))| *at <= now).map(|(worker, _)| worker.clone()).collect();
        for (at, pause) in self.0.values_mut().filter(|(at, _)| *at <= now) {
            *pause *= 2;
            *at = now.after(*pause);
        }
        self.0.retain(|_, (_, pause)| *pause < PAUSES.1);
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_expected_is_looked_for_soon_and_then_ever_less_until_nobody_does() {
        let mut peeks = Peeks::default();
        assert_eq!(peeks.next(), None);
        peeks.look_for("a.1", Moment(1_000));
        let mut at = Vec::new();
        while let Some(next) = peeks.next() {
            assert_eq!(peeks.due(Moment(next.0 - 1)), [""; 0]);
            assert_eq!(peeks.due(next), ["a.1"]);
            at.push(next.0 - 1_000);
        }
        assert_eq!(at, [50, 150, 350, 750, 1_550]);
    }

    #[test]
    fn each_worker_has_its_own_looks_and_news_begins_them_again() {
        let mut peeks = Peeks::default();
        peeks.look_for("a.1", Moment(0));
        peeks.look_for("b.1", Moment(40));
        assert_eq!(peeks.due(Moment(60)), ["a.1"]);
        assert_eq!(peeks.next(), Some(Moment(90)));
        peeks.look_for("a.1", Moment(60));
        assert_eq!(peeks.due(Moment(110)), ["a.1", "b.1"]);
    }
}
