//! Tasks that a run got while it ran.
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
}
