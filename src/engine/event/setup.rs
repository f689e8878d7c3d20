//! What a person approved of what the repository brings to every fresh worktree.
//!
//! Frozen with the run, so that a later edit of the repository changes nothing of it. It
//! leaves out what the approval is compared with, which is looked at before a run starts.

use serde::{Deserialize, Serialize};

/// An approval, as it stood when the run started or took over an edited file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetupApproval {
    /// SHA-256 over all that was approved, in hex.
    pub digest: String,
    /// What was in `.worktreeinclude`; empty where there was none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub listed: String,
    /// Who said yes: a login name, or the flag of the command line.
    pub by: String,
}
