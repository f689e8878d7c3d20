//! What a look at the world can answer.
//!
//! It leaves out what follows from an answer: that an absent session fails an
//! attempt, or that an unknown one doesn't, is the engine's to decide.

use std::path::PathBuf;
use std::time::Duration;

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// By itself, with this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

/// What is known of something live.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Facts {
    /// The session's first process.
    pub pid: Option<u32>,
    /// Its start time in clock ticks since boot (`/proc/<pid>/stat`, field 22).
    pub start_ticks: Option<u64>,
    /// The directory it works in, or the workspace's path.
    pub path: Option<PathBuf>,
    /// What else a person may want to read (`branch`, `head`, `window`, `node`), by name.
    pub notes: Vec<(&'static str, String)>,
}

/// What a look found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Accepted, not running yet, and why.
    Queued(String),
    /// Accepted, and as things are it will never run, and why. Nobody has ended it yet.
    Stuck(String),
    /// There, and proven to be the one that the handle names.
    Live(Facts),
    /// It was there and has ended by itself; `None` where nobody can know how.
    Ended(Option<Exit>),
    /// Proven not to be there: gone, never made, or its place taken by something else.
    Absent,
    /// The look failed or proved nothing; never a reason to end anything.
    Unknown(String),
}

/// One answer of `observe`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// What was found.
    pub state: State,
    /// How old that knowledge is; zero where the substrate looked itself.
    pub age: Duration,
    /// What the host says beside it, in its own words (`NODE_FAIL on n2`), for people only.
    pub note: Option<String>,
}

impl Observation {
    /// A look that was made just now.
    #[must_use]
    pub fn now(state: State) -> Self {
        Self { state, age: Duration::ZERO, note: None }
    }
}
