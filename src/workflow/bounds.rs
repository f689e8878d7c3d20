//! What bounds attempts and orders them: ceilings, failures that are borne, which task is first,
//! and what a task has that says nothing of it.
//!
//! It leaves out the limits of the whole run (`model.rs`) and what follows from any of them.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::millis;
use super::model::WorkspaceKind;

/// How long an attempt may take that names no time of its own. Source: contract 3.
const TASK_TIMEOUT: Duration = Duration::from_secs(30 * 60);

/// What holds for every task that doesn't say otherwise. Merged into the tasks of the file; kept
/// for those that are submitted later.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Defaults {
    /// What hosts their files.
    pub workspace: WorkspaceKind,
    /// An attempt's time.
    #[serde(with = "millis")]
    pub timeout: Duration,
    /// Attempts after the first.
    pub retries: u32,
    /// Tasks add to these, and win.
    pub env: BTreeMap<String, Option<String>>,
    /// For agents and workers alone: a command line spends nothing unless it says so.
    pub budget: Ceiling,
}

impl Default for Defaults {
    fn default() -> Self {
        Self {
            workspace: WorkspaceKind::Worktree,
            timeout: TASK_TIMEOUT,
            retries: 0,
            env: BTreeMap::new(),
            budget: Ceiling::default(),
        }
    }
}

impl Defaults {
    /// Whether the file sets none.
    #[must_use]
    pub fn is_usual(&self) -> bool {
        *self == Self::default()
    }
}

/// More failed attempts than `max` within such a time stop the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failures {
    /// So many are borne.
    pub max: u32,
    /// From the first of them to the one too many.
    #[serde(with = "millis")]
    pub within: Duration,
}

/// What one attempt may use at most. `None`: nobody said.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Ceiling {
    /// Tokens.
    pub tokens: Option<u64>,
    /// US dollars.
    pub usd: Option<f64>,
}

impl Ceiling {
    /// Whether nobody said anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The same, with what it leaves open taken from `other`.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self { tokens: self.tokens.or(other.tokens), usd: self.usd.or(other.usd) }
    }
}

/// Which of the ready tasks starts first, where not all can.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// What the longest chain waits for, then what most tasks wait for, then the oldest, then by id.
    #[default]
    Critical,
    /// The order of the file.
    Fifo,
}

impl Order {
    /// That of runs whose journal names none.
    pub(super) fn before() -> Self {
        Self::Fifo
    }
}
