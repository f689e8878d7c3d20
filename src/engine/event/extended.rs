//! Tasks that a run got while it ran, and what a worker was answered that submitted some.
//!
//! It leaves out what they lead to: they are planned like any other from then on.

use serde::{Deserialize, Serialize};

use crate::workflow::Task;

/// One batch of tasks, whole: all of them are planned, or none is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Extended {
    /// The control task that made them, or the task that submitted them: the parent of each.
    pub by: String,
    /// Why, as a part of a sentence.
    pub why: String,
    /// Behind all others, in this order; ids that the run doesn't have, but for removed ones.
    pub tasks: Vec<Task>,
    /// The submission that they come from. In the same event: no prefix of a journal has the
    /// tasks without the answer, or the answer without them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub submission: Option<Submitted>,
}

/// Which submission it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submitted {
    /// `<task>.<attempt>`: who submitted it.
    pub worker: String,
    /// Its number, from 1.
    pub n: u32,
    /// Tasks that an earlier attempt submitted just so: they are answered, and stay planned once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub again: Vec<String>,
    /// SHA-256 of its bytes, in hex: the same again is no news, another under its number is refused.
    pub sha256: String,
}

/// What a submission was answered: kept, so that a later life answers the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answered {
    /// SHA-256 of its bytes, in hex.
    pub sha256: String,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of a submission.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// All of it is planned, under these ids.
    Accepted(Vec<String>),
    /// Nothing of it is.
    Refused {
        /// The place of the first wrong task, from 0.
        index: usize,
        /// What is wrong with it.
        reason: String,
    },
}
