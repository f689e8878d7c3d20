//! One thread at a time per mark, so that asking twice at once is asking once.
//!
//! It leaves out other processes: they are kept out by the lock on the home.

use ilchul_substrate::Mark;
use std::collections::BTreeSet;
use std::sync::{Condvar, Mutex, PoisonError};

/// The marks that a thread is just making.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    busy: Mutex<BTreeSet<Mark>>,
    freed: Condvar,
}

/// The right to make the thing of one mark, until dropped.
pub(crate) struct Turn<'a> {
    turns: &'a Turns,
    mark: Mark,
}

impl Turns {
    /// Waits until no other thread makes this mark's thing. Every holder has a
    /// deadline of its own, so this ends.
    pub(crate) fn enter(&self, mark: &Mark) -> Turn<'_> {
        let busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        let mut busy =
            self.freed.wait_while(busy, |busy| busy.contains(mark)).unwrap_or_else(PoisonError::into_inner);
        busy.insert(mark.clone());
        Turn { turns: self, mark: mark.clone() }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.turns.busy.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.mark);
        self.turns.freed.notify_all();
    }
}
