//! The shell around the engine: one loop that records before it acts.
//!
//! Inputs come from mail, probes, signals and requests; the engine decides; the
//! batch is committed; then what is owed is done on other threads. It leaves out
//! wording and colour: a [`Listener`] is told what was committed.

mod agent;
mod around;
pub mod clock;
pub mod close;
mod drift;
pub mod environment;
pub mod fold;
mod graft;
pub mod include;
mod jobs;
pub mod journal_bell;
mod launch;
mod leftover;
mod living;
mod mailbox;
mod marks;
mod peek;
mod perform;
pub mod ports;
mod probe;
pub mod recheck;
mod remnants;
mod repair;
pub mod request;
mod restore;
mod resume;
mod run;
mod setting_up;
pub mod signals;
mod stop;
pub mod suspend;
mod turn;
mod unrecorded;
mod vanished;
mod verify;
mod views;
mod watch;
pub mod world;

#[cfg(test)]
mod tests;

use std::fmt;

use crate::engine::evidence::ChildExit;
use crate::engine::state::RunState;
use crate::engine::{Corrupt, Rejection};
use crate::journal::{JournalError, Recorded};

pub use launch::words;
pub use resume::{Opened, open_folded, open_new, open_old};
pub use run::{End, Supervisor};
pub use unrecorded::Unrecorded;

/// Who is told what happened, after it is on the disk.
pub trait Listener {
    /// A batch was committed; `state` is the fold after it.
    fn committed(&mut self, state: &RunState, batch: &[Recorded]);

    /// What became of the workers of an earlier life: after the first commit, before the
    /// batch is told.
    fn resumed(&mut self, _resumed: &[Resumed]) {}

    /// Something that is no event, but that a person may want to know.
    fn note(&mut self, note: &Note);

    /// Called about once a second, for what moves by itself.
    fn tick(&mut self, state: &RunState);

    /// The supervisor returns: whoever drew something that moves takes it away.
    fn done(&mut self) {}
}

/// Something that is no event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// Watches can't be had: mail is looked at by polling. The reason.
    Polling(String),
    /// The substrate couldn't be asked. The reason.
    ProbeFailed(String),
    /// What the host says of a worker settles nothing yet. The worker, and what it says.
    Unsettled(String, String),
    /// The journal's log has grown to so many bytes: somebody reads it without an end.
    LogGrows(u64),
}

/// What became of one worker while nobody supervised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resumed {
    /// `<task>.<attempt>`.
    pub worker: String,
    /// What was found.
    pub fate: Fate,
    /// What follows for its task.
    pub then: Then,
}

/// What was found of a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// Alive: it goes on undisturbed.
    Adopted,
    /// In its host's queue, which says why: it waits there undisturbed.
    Queued(String),
    /// Alive, and told to end before: it still is.
    Ending,
    /// It ended, and left how.
    Settled(ChildExit),
    /// Session and process are proven gone, and left no end. What was looked at.
    Gone(String),
    /// Its launch was interrupted: it is listed, and never tried again in place.
    HalfMade,
    /// It couldn't be looked at. Why.
    Unknown(String),
}

/// What follows from what was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// Nothing by itself.
    Nothing,
    /// Its evidence is checked.
    Checked,
    /// The task is tried again.
    Again {
        /// The next attempt.
        attempt: u32,
        /// The highest ordinal it may reach.
        allowed: u32,
    },
    /// No attempt is left.
    Failed,
    /// A person is needed.
    Person,
}

/// What ends a supervisor against its will.
#[derive(Debug)]
pub enum SupervisorError {
    /// The journal can't be written or read any more.
    Journal(JournalError),
    /// A batch couldn't be recorded: nothing is decided any more.
    Unrecorded(Box<Unrecorded>),
    /// The journal's events aren't a legal past.
    Corrupt(Corrupt),
    /// A command was refused.
    Rejected(Rejection),
    /// There is no such run.
    UnknownRun(String),
    /// The system said no.
    Io(&'static str, std::io::Error),
}

impl fmt::Display for SupervisorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Journal(error) => error.fmt(f),
            Self::Unrecorded(unrecorded) => unrecorded.fmt(f),
            Self::Corrupt(error) => error.fmt(f),
            Self::Rejected(rejection) => rejection.fmt(f),
            Self::UnknownRun(run) => write!(f, "find the run `{run}`"),
            Self::Io(action, error) => write!(f, "{action}: {error}"),
        }
    }
}

impl std::error::Error for SupervisorError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Journal(error) => Some(error),
            Self::Unrecorded(unrecorded) => Some(unrecorded),
            Self::Corrupt(error) => Some(error),
            Self::Rejected(error) => Some(error),
            Self::Io(_, error) => Some(error),
            Self::UnknownRun(_) => None,
        }
    }
}

impl From<JournalError> for SupervisorError {
    fn from(error: JournalError) -> Self {
        Self::Journal(error)
    }
}

impl From<Corrupt> for SupervisorError {
    fn from(error: Corrupt) -> Self {
        Self::Corrupt(error)
    }
}
