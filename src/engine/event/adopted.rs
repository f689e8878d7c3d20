//! An edited workflow that a person adopted into a run.
//!
//! It leaves out what that means for each task: that is decided by comparing
//! (`reshape.rs`) and journaled as events of those tasks.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::SetupApproval;
use crate::workflow::Workflow;

/// What a run goes on with in place of what it was started with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Adopted {
    /// SHA-256 of the edited file's bytes, in hex.
    pub digest: String,
    /// The name of the copy in the run's folder that holds these bytes.
    pub copy: String,
    /// The full commit id that tasks start from: the old one, where the text didn't change.
    pub base: String,
    /// What `base` was written as.
    pub base_name: String,
    /// Other commit-ishes that tasks start from: as written to full id.
    pub bases: BTreeMap<String, String>,
    /// Live workers at once.
    pub workers: u32,
    /// What was approved of the repository's setup, under the edited file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub setup: Option<SetupApproval>,
    /// The validated workflow.
    pub workflow: Workflow,
}
