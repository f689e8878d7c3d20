//! The disk: the journal's rows, and the files of each worker's mail.
//!
//! A file is there whole or not at all, as renames make it, and each version differs
//! from the one before. It leaves out who writes and reads.

use std::collections::{BTreeMap, BTreeSet};

use ilchul::engine::event::Event;
use ilchul::engine::evidence::ChildExit;
use ilchul::engine::input::{Beat, Request};
use ilchul::engine::moment::Stamp;
use ilchul::protocol::Report;

/// What a worker may write, in the order in which it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum File {
    Ready,
    Ack,
    Beat,
    Report,
    Exit,
}

impl File {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Ready, Self::Ack, Self::Beat, Self::Report, Self::Exit];
}

/// What stands in one of them.
#[derive(Debug, Clone)]
pub enum Body {
    /// The echo, and whether the process really stands in its tree.
    Ready {
        nonce: String,
        in_tree: bool,
    },
    Ack {
        token: u64,
    },
    Beat(Beat),
    /// A report, and the digest of its bytes.
    Report(Box<Report>, String),
    /// Bytes that are no report, by their digest.
    Garbled(String),
    /// How the child ended; without a token where there was no assignment.
    Exit {
        token: Option<u64>,
        exit: ChildExit,
        error: Option<String>,
    },
}

impl Body {
    /// The file that it belongs into.
    pub fn file(&self) -> File {
        match self {
            Self::Ready { .. } => File::Ready,
            Self::Ack { .. } => File::Ack,
            Self::Beat(_) => File::Beat,
            Self::Report(..) | Self::Garbled(_) => File::Report,
            Self::Exit { .. } => File::Exit,
        }
    }
}

/// One worker's mail.
#[derive(Debug, Default)]
pub struct Folder {
    /// What stood in its launch file.
    pub nonce: String,
    /// The token of the assignment, once delivered.
    pub assignment: Option<u64>,
    /// The token that an order to end names.
    pub stop: Option<u64>,
    /// Answers of people, by number: the token that each names.
    pub answers: BTreeMap<u32, u64>,
    /// What the worker wrote: version and content.
    pub files: BTreeMap<File, (u64, Body)>,
}

/// Everything that outlives a process.
#[derive(Debug, Default)]
pub struct Disk {
    /// Committed rows.
    pub journal: Vec<(Stamp, Event)>,
    /// By worker.
    pub mail: BTreeMap<String, Folder>,
    /// Worktrees that were made.
    pub trees: BTreeSet<String>,
    /// Requests that wait for an answer.
    pub requests: BTreeMap<u64, Request>,
    versions: u64,
}

impl Disk {
    /// Puts a file in place of the one before.
    pub fn put(&mut self, worker: &str, body: Body) {
        self.versions += 1;
        if let Some(folder) = self.mail.get_mut(worker) {
            folder.files.insert(body.file(), (self.versions, body));
        }
    }
}
