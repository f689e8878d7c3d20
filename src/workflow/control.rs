//! The kinds of tasks that make tasks of their own, as they are planned.
//!
//! Bodies are whole tasks whose id is given when they are made. It leaves out what follows
//! for them while they run (`engine/control`).

use serde::{Deserialize, Serialize};

use super::model::Task;

/// A `loop`. Its conditions are the last items of the body's evidence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Loop {
    /// The most iterations, at least 1.
    pub max: u32,
    /// One iteration; its id is given when it is made.
    pub each: Task,
}

/// A `map`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Map {
    /// The task whose output is gone through; among the needs.
    pub task: String,
    /// The name of that output.
    pub output: String,
    /// The most elements.
    pub max: u32,
    /// The body for one element; its id is given when it is made.
    pub each: Task,
}

/// A `tournament`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tournament {
    /// At least two, in their order; ids are given when they are made.
    pub entrants: Vec<Task>,
    /// Decides one match.
    pub judge: Task,
}
