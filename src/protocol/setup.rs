//! What the supervisor tells a shim that sets up its tree before anything else.
//!
//! Both ends are ilchul's own, of one version, so there is no schema word. It leaves out
//! what came of it: a shim that was through says that it is ready, one that failed leaves
//! `exit.json` with the reason.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The file of a [`SetupSpec`] in mail; removed by its one reader, because it may hold secrets.
pub const SETUP: &str = "setup.json";
/// How the `error` of an exit record begins whose shim couldn't set up its tree.
pub const SETUP_FAILED: &str = "launch_setup: ";

/// What a fresh tree is given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetupSpec {
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
