//! What is left when the journal can't be written: the facts, and what is known of them.
//!
//! It leaves out where they are kept and what is said of it, which is the command line's.

use std::fmt;

use super::run::Supervisor;
use crate::engine::event::Event;
use crate::engine::moment::Stamp;
use crate::home::Home;
use crate::journal::{Journal, JournalError};

/// A batch that couldn't be recorded. Nothing followed from it: what it decided was told to
/// nobody and acted on by nobody.
#[derive(Debug)]
pub struct Unrecorded {
    /// What kept it from being recorded.
    pub error: JournalError,
    /// Where the journal is.
    pub home: Home,
    /// Whose events they are.
    pub run: String,
    /// The workflow file's path in the repository.
    pub path: String,
    /// The last row before the batch.
    pub after: u64,
    /// The events, oldest first.
    pub events: Vec<(Stamp, Event)>,
}

impl Unrecorded {
    /// Reads the journal again: whether the batch is there. The handle that failed must have
    /// been dropped: a log that was written but not synced counts for it, or doesn't, by luck.
    ///
    /// # Errors
    /// When it can't be read either.
    pub fn is_there(&self) -> Result<bool, JournalError> {
        Journal::holds(&self.home, &self.run, self.after, &self.events)
    }
}

impl fmt::Display for Unrecorded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for Unrecorded {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.error.source()
    }
}

impl Supervisor {
    /// The end of deciding: whoever drew something that moves takes it away.
    pub(super) fn unrecorded(
        &mut self,
        error: JournalError,
        after: u64,
        events: Vec<(Stamp, Event)>,
    ) -> Box<Unrecorded> {
        self.listener.done();
        let path = self.engine.state().started.path.clone();
        Box::new(Unrecorded {
            error,
            home: self.world.home.clone(),
            run: self.world.run.clone(),
            path,
            after,
            events,
        })
    }
}
