//! A gate holds calls until a test opens it: how a hanging host is played.
//!
//! It leaves out timeouts of its own; a test that forgets to open one ends by
//! dropping it.

use crate::PATIENCE;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Holds calls of one verb while it is closed; opens for good when opened or dropped.
#[must_use = "a gate that is dropped is open"]
pub struct Gate {
    pub(super) state: Arc<GateState>,
}

#[derive(Default)]
pub(super) struct GateState {
    inner: Mutex<Inner>,
    changed: Condvar,
}

#[derive(Default)]
struct Inner {
    open: bool,
    arrived: usize,
}

impl GateState {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn pass(&self) {
        let mut inner = self.lock();
        inner.arrived += 1;
        self.changed.notify_all();
        while !inner.open {
            inner = self.changed.wait(inner).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Gate {
    /// Returns once `count` calls have arrived since the gate was made.
    ///
    /// # Panics
    /// When fewer came within [`PATIENCE`].
    pub fn wait_for_arrivals(&self, count: usize) {
        self.wait_for_arrivals_within(count, PATIENCE);
    }

    fn wait_for_arrivals_within(&self, count: usize, patience: Duration) {
        let waited =
            self.state.changed.wait_timeout_while(self.state.lock(), patience, |gate| gate.arrived < count);
        let (inner, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        assert!(!timeout.timed_out(), "{} of {count} calls reached the gate", inner.arrived);
    }

    /// Lets all pass, those that wait and those to come.
    pub fn open(&self) {
        self.state.lock().open = true;
        self.state.changed.notify_all();
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.open();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "0 of 1 calls reached the gate")]
    fn a_gate_that_nobody_reached_says_so() {
        let gate = Gate { state: Arc::default() };
        gate.wait_for_arrivals_within(1, Duration::ZERO);
    }
}
