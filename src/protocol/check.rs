//! What the supervisor tells `ilchul shim --check`, and what that answers.
//!
//! Both ends are ilchul's own, of one version, so there is no schema word. It
//! leaves out what an answer means for a verdict.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// One evidence command to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckSpec {
    /// Program and arguments, executed directly.
    pub argv: Vec<String>,
    /// Where it runs.
    pub cwd: PathBuf,
    /// The whole environment: nothing is inherited.
    pub env: BTreeMap<String, String>,
    /// Milliseconds that it may take.
    pub timeout_ms: u64,
    /// Milliseconds from TERM to KILL.
    pub grace_ms: u64,
    /// Where its output goes; made anew.
    pub output: PathBuf,
    /// Bytes of output that are kept.
    pub output_cap: u64,
    /// Where the [`CheckOutcome`] goes, by rename, as the last thing.
    pub result: PathBuf,
}

/// How it went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckOutcome {
    /// The exit code, after a normal end.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Whether its time ran out, so that it was ended by us.
    pub timed_out: bool,
    /// When it was started (RFC 3339).
    pub started_at: String,
    /// When its end was seen (RFC 3339).
    pub ended_at: String,
    /// Bytes that it printed, kept or not.
    pub output_bytes: u64,
    /// Whether some of them weren't kept.
    pub truncated: bool,
    /// Processes that outlived a KILL.
    pub survivors: Vec<u32>,
    /// Why it couldn't be started, or its end couldn't be seen.
    pub error: Option<String>,
}
