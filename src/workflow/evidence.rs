//! What a task must show: the items of its evidence, validated.
//!
//! A part of the model, with the same promises. It leaves out how an item is written, and how
//! it is judged.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::millis;

/// What a task must show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Evidence {
    /// Every item, at least one.
    Items(Vec<Item>),
    /// Nothing, for this reason: journaled and shown.
    Waived(String),
}

impl Evidence {
    /// The declared items; none when waived.
    #[must_use]
    pub fn items(&self) -> &[Item] {
        match self {
            Self::Items(items) => items,
            Self::Waived(_) => &[],
        }
    }
}

/// The kind of the one item that a person answers.
pub const APPROVAL: &str = "approval";
/// The kind of the items that other tasks answer.
pub const REVIEW: &str = "review";
/// The kind of the item that every `reduce` has.
pub const REDUCE: &str = "reduce";

/// One thing that ilchul checks itself, or asks a person for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Item {
    /// The child ended by itself with this code.
    Exit(i32),
    /// A command run by ilchul at the judged commit ended with 0 (and its output matched).
    Command {
        /// For `sh -c`.
        command: String,
        /// A regular expression that its output must contain.
        matches: Option<String>,
        /// Its own time. Default 10 min.
        #[serde(with = "millis")]
        timeout: Duration,
    },
    /// What changed between the task's base and its head.
    Diff {
        /// Globs; each changed path must match one. Empty: any path.
        paths: Vec<String>,
        /// The most added and removed lines together.
        max_lines: Option<u64>,
        /// Nothing may be left uncommitted.
        clean: bool,
        /// An empty diff is allowed.
        allow_none: bool,
    },
    /// A new regular file inside the tree.
    Artifact {
        /// Relative to the tree.
        path: String,
    },
    /// Text that was written while the attempt worked.
    Log {
        /// A regular expression that the text must contain.
        pattern: String,
        /// Which text. Default: the worker's output.
        source: LogSource,
    },
    /// Another task of the workflow judges this one's head, once everything else is verified.
    Review {
        /// Its id: it does nothing else, and nothing needs it.
        task: String,
    },
    /// A person says yes, once everything else is verified.
    Approval {
        /// What they are asked.
        message: String,
    },
    /// A condition of a loop: the report's output of this name has this value.
    Output {
        /// The output's name.
        name: String,
        /// What it must be.
        equals: serde_json::Value,
    },
    /// The report's output of this name is one of these words: a classifier's label, a judge's winner.
    Choice {
        /// The output's name.
        name: String,
        /// What may be chosen.
        among: Vec<String>,
    },
    /// A judge's views of the two heads are as they were made.
    Views,
    /// An untrusted task's tree is as it was made: the head is the base, and nothing is uncommitted.
    Unchanged,
    /// ilchul's own run of a `reduce`, over the same inputs, printed the same.
    Reduced,
    /// What became of its children decides: the one item of a control task.
    Children,
}

/// Where a `log` item looks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogSource {
    /// Everything that the worker printed, as ilchul captured it.
    Worker,
    /// A new regular file inside the tree, relative to it.
    File(String),
}

impl LogSource {
    /// As the workflow file names it.
    #[must_use]
    pub fn word(&self) -> &str {
        match self {
            Self::Worker => "worker",
            Self::File(path) => path,
        }
    }
}

/// What somebody is asked for, and not a look at the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked<'i> {
    /// A person, with this message.
    Person(&'i str),
    /// The task of this id.
    Task(&'i str),
}

impl Item {
    /// Who has to answer it, where somebody has to.
    #[must_use]
    pub fn asks(&self) -> Option<Asked<'_>> {
        match self {
            Self::Approval { message } => Some(Asked::Person(message)),
            Self::Review { task } => Some(Asked::Task(task)),
            Self::Exit(_)
            | Self::Command { .. }
            | Self::Diff { .. }
            | Self::Artifact { .. }
            | Self::Log { .. }
            | Self::Output { .. }
            | Self::Choice { .. }
            | Self::Views
            | Self::Unchanged
            | Self::Reduced
            | Self::Children => None,
        }
    }

    /// The word of `evidence` that declares it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Exit(_) => "exit",
            Self::Command { .. } => "command",
            Self::Diff { .. } => "diff",
            Self::Artifact { .. } => "artifact",
            Self::Log { .. } => "log",
            Self::Review { .. } => REVIEW,
            Self::Approval { .. } => APPROVAL,
            Self::Output { .. } => "output",
            Self::Choice { .. } => "choice",
            Self::Views => "views",
            Self::Unchanged => "unchanged",
            Self::Reduced => REDUCE,
            Self::Children => "children",
        }
    }
}
