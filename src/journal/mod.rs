//! The journal: the append-only list of events, in SQLite, and its only user.
//!
//! WAL, synchronous FULL: what `append` returned for is on the disk. Rows are
//! chained by digest, so an edited one is named. Also here: the requests that
//! other processes write, the supervisor's lock, and the content-addressed blobs.
//! It leaves out policy: what an event means is the engine's.

pub mod blobs;
mod file;
pub mod lock;
mod open;
pub mod pending;
mod read;
mod record;
mod requests;
pub mod schema;
mod store;

use std::fmt;
use std::path::PathBuf;

pub use read::Mark;
pub use record::Recorded;
pub use requests::{Answer, Asked};
pub use store::{Journal, RunRow};

/// What can go wrong with a journal.
#[derive(Debug)]
pub enum JournalError {
    /// It isn't there.
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// It isn't there, but what its runs retained is: unreadable isn't empty (law J11).
    Lost {
        /// Where it was looked for.
        path: PathBuf,
        /// What is the matter with it: that it is missing, or that it is empty.
        what: &'static str,
    },
    /// It is there and isn't what we wrote.
    Damaged {
        /// What was found.
        what: String,
    },
    /// A later ilchul wrote it: it may be read there, never written here.
    Newer {
        /// Its schema.
        found: u32,
    },
    /// Another file stands where ours was opened (law J11c).
    Replaced {
        /// Where.
        path: PathBuf,
    },
    /// A write failed: whether it is there is unknown until it is read again (law J11a).
    Indeterminate {
        /// Which file.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// Another process kept it from being written for longer than anybody should.
    Busy {
        /// Which file.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// SQLite said no.
    Store {
        /// While doing what.
        action: &'static str,
        /// What it said.
        source: rusqlite::Error,
    },
    /// The system said no.
    Io {
        /// While doing what.
        action: &'static str,
        /// With which file.
        path: PathBuf,
        /// What it said.
        source: std::io::Error,
    },
    /// An event has no JSON form.
    Encode {
        /// Which kind.
        kind: String,
        /// Why.
        source: serde_json::Error,
    },
}

/// Why a write failed, as far as that tells what to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// No room is left on the file system.
    DiskFull,
    /// Nothing may be written there.
    ReadOnly,
    /// Reading or writing failed.
    Io,
    /// Anything else.
    Other,
}

impl JournalError {
    /// Whether the journal itself is the trouble (exit code 6), not the machine.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Lost { .. } | Self::Damaged { .. } | Self::Newer { .. } | Self::Replaced { .. } => true,
            Self::Missing { .. }
            | Self::Indeterminate { .. }
            | Self::Busy { .. }
            | Self::Store { .. }
            | Self::Io { .. }
            | Self::Encode { .. } => false,
        }
    }

    /// What kept a write from being done, where SQLite said so.
    #[must_use]
    pub fn trouble(&self) -> Trouble {
        use rusqlite::ErrorCode as Code;
        let (Self::Indeterminate { source, .. } | Self::Store { source, .. }) = self else {
            return Trouble::Other;
        };
        match source.sqlite_error_code() {
            Some(Code::DiskFull) => Trouble::DiskFull,
            Some(Code::ReadOnly) => Trouble::ReadOnly,
            Some(Code::SystemIoFailure | Code::CannotOpen) => Trouble::Io,
            _ => Trouble::Other,
        }
    }
}

impl fmt::Display for JournalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { path } => write!(f, "open the journal `{}`: there is none", path.display()),
            Self::Lost { path, what } => write!(
                f,
                "open the journal `{}`: it {what}, but the runs that it told of have left files beside it",
                path.display()
            ),
            Self::Damaged { what } => write!(f, "read the journal: {what}"),
            Self::Newer { found } => write!(
                f,
                "write the journal: its schema is {found}, and this ilchul writes {}",
                schema::VERSION
            ),
            Self::Replaced { path } => {
                write!(f, "write the journal `{}`: another file stands there now", path.display())
            }
            Self::Indeterminate { path, source } => {
                write!(f, "commit to the journal `{}`: {source}", path.display())
            }
            Self::Busy { path, .. } => write!(
                f,
                "write the journal `{}`: another process has held it for more than {} s",
                path.display(),
                open::BUSY.as_secs()
            ),
            Self::Store { action, source } => write!(f, "{action} the journal: {source}"),
            Self::Io { action, path, source } => write!(f, "{action} `{}`: {source}", path.display()),
            Self::Encode { kind, .. } => write!(f, "write a `{kind}` event"),
        }
    }
}

impl std::error::Error for JournalError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Indeterminate { source, .. } | Self::Busy { source, .. } | Self::Store { source, .. } => {
                Some(source)
            }
            Self::Io { source, .. } => Some(source),
            Self::Encode { source, .. } => Some(source),
            Self::Missing { .. }
            | Self::Lost { .. }
            | Self::Damaged { .. }
            | Self::Newer { .. }
            | Self::Replaced { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests;
