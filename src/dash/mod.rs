//! The dashboard as a value: what is shown of a run, what a key does to it, and how it is drawn.
//!
//! Pure: a key or a fresh look goes in, a picture and at most one wish come out. It leaves
//! out the terminal, the journal and every file, which are the caller's.

mod columns;
mod decide;
mod draw;
mod help;
mod keys;
mod list;
mod model;
mod pane;
mod screen;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use crate::engine::view::RunView;
use crate::render::Beside;

pub use keys::Key;
pub use model::Dash;
pub use pane::{Kind, Topic};
pub use screen::Screen;

/// What was seen of a run in one look.
#[derive(Debug, Clone)]
pub struct Look {
    /// The run.
    pub view: RunView,
    /// A supervisor drives it now.
    pub held: bool,
    /// Heartbeats and what lies beside the journal.
    pub beside: Beside,
    /// How far each live worker is, by its last heartbeat.
    pub progress: BTreeMap<String, Progress>,
    /// The time of the look, in milliseconds since 1970.
    pub now_ms: i64,
}

/// What a worker's last heartbeat says of its work.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes that its child has printed.
    pub output_bytes: u64,
    /// Processor time of its child's tree, in milliseconds.
    pub cpu_ms: u64,
    /// What it wants a person to read; not clean yet.
    pub note: Option<String>,
}

/// What the caller is asked to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// End.
    Quit,
    /// Give the terminal back to the shell, as Ctrl-Z asks for.
    Suspend,
    /// Draw everything anew: somebody wrote over the screen.
    Redraw,
    /// Show this worker's terminal.
    Attach(String),
    /// Send a person's decision about this task, which they have confirmed.
    Act(Act, String),
    /// Send a person's words to the worker of this task, which asked for them.
    Reply(String, String),
}

/// A person's decision about a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// End it.
    Cancel,
    /// Grant it one more attempt.
    Retry,
    /// Say yes to what it waits for.
    Approve,
    /// Say no.
    Deny,
    /// Give its lost attempt up, and try again.
    Rerun,
    /// Leave it out.
    Skip,
    /// Check its lost attempt as if it had reported done.
    Accept,
}
