//! A lock that is waited for only so long, because a hung server may hold up its holder.
//!
//! It leaves out what it guards; the standard mutex has no deadline.

use std::sync::{Condvar, Mutex};
use std::time::Duration;

use crate::control::locked;

/// One at a time.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    taken: Mutex<bool>,
    freed: Condvar,
}

/// Held while inside.
#[derive(Debug)]
pub(crate) struct Turn<'a>(&'a Gate);

impl Gate {
    /// Enters within `limit`, or doesn't.
    pub(crate) fn enter(&self, limit: Duration) -> Option<Turn<'_>> {
        let taken = locked(&self.taken);
        let (mut taken, waited) = self.freed.wait_timeout_while(taken, limit, |taken| *taken).ok()?;
        if waited.timed_out() {
            return None;
        }
        *taken = true;
        Some(Turn(self))
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        *locked(&self.0.taken) = false;
        self.0.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn one_enters_at_a_time_and_the_next_gives_up_in_time() {
        let gate = Gate::default();
        let turn = gate.enter(Duration::from_secs(1)).unwrap();
        assert!(gate.enter(Duration::from_millis(10)).is_none());
        thread::scope(|scope| {
            let next = scope.spawn(|| gate.enter(Duration::from_secs(60)).is_some());
            drop(turn);
            assert!(next.join().unwrap());
        });
    }
}
