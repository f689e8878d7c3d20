//! What the supervisor tells a shim that sets up its tree before anything else.
//!
//! Both ends are ilchul's own, of one version, so there is no schema word. It leaves out
//! what came of it: a shim that was through says that it is ready, one that failed leaves
//! `exit.json` with the reason.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

/// The file of a [`SetupSpec`] in mail; removed by its one reader, because it may hold secrets.
pub const SETUP: &str = "setup.json";
/// How the `error` of an exit record begins whose shim couldn't set up its tree.
pub const SETUP_FAILED: &str = "launch_setup: ";

/// The same of a shim that couldn't put the files into its tree.
pub const CHECKOUT_FAILED: &str = "launch_checkout: ";
/// The same where its host is to blame: no room, no time.
pub const CHECKOUT_HOST: &str = "launch_checkout by its host: ";

/// Why a shim ended its work before its host would have ended both.
pub const WALL_TIME: &str = "wall_time: its wall time is nearly over, so it was told to end";

/// What a shim says of work that failed after the kernel ended a process of its job.
pub const MEMORY: &str = "its memory was used up: the kernel ended a process of it";

/// How the files come into a tree that was made without them: once, before anything else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckoutSpec {
    /// Program and arguments; the program is looked for in whole paths of `PATH` alone.
    pub argv: Vec<OsString>,
    /// Added to the session's own environment, in which nothing begins with `GIT_`.
    pub env: Vec<(OsString, OsString)>,
    /// Milliseconds that it may take.
    pub timeout_ms: u64,
    /// What isn't there before it: else somebody began it already, and it isn't begun again.
    pub untouched: Vec<PathBuf>,
    /// The file that says whether the files are there.
    pub record: PathBuf,
    /// What that holds before.
    pub owed: String,
    /// And after.
    pub done: String,
    /// Words of the program's by which its host is to blame.
    pub host_signs: Vec<String>,
}

/// What a fresh tree is given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetupSpec {
    /// Its files, where it was made without them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkout: Option<CheckoutSpec>,
    /// Lines for `sh -c`, in this order.
    pub commands: Vec<String>,
    /// Milliseconds that all of them may take.
    pub timeout_ms: u64,
    /// Milliseconds from TERM to KILL.
    pub grace_ms: u64,
    /// Added to the session's own environment.
    pub env: BTreeMap<String, String>,
    /// Where the output goes, appended.
    pub log: PathBuf,
    /// Bytes of output that are kept.
    pub log_cap: u64,
    /// Whether a person at the session's terminal may see it: not where what stands there
    /// becomes the worker's own log, which evidence is read from.
    pub show: bool,
}
