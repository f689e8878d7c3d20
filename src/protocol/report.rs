//! The report: what a worker says came of its work. Never proof.
//!
//! It leaves out whether the claims are true, whether the token is live and
//! whether the status is acceptable for the task: those are the engine's.

use super::shape::Field;
use super::shape::Kind::{
    Amount, Hash, Object, ObjectName, Positive, Record, Records, Seconds, Text, TreePath, U64, Word,
};
use super::{MAX_CLAIMS, Problem, REPORT_SCHEMA, Wire};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What a worker claims as its outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReportStatus {
    /// The task is done.
    Done,
    /// It isn't, and won't be by this attempt.
    Failed,
    /// It can't go on without something from outside.
    Blocked,
    /// Some of it is done, and that is the end of it.
    Partial,
    /// It waits for an answer.
    NeedsInput,
    /// There was nothing to change.
    NoChange,
}

impl ReportStatus {
    /// Every status as it is written, in the order of the contract.
    pub const WORDS: &'static [&'static str] =
        &["done", "failed", "blocked", "partial", "needs_input", "no_change"];

    /// As it is written in a report.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Blocked => "blocked",
            Self::Partial => "partial",
            Self::NeedsInput => "needs_input",
            Self::NoChange => "no_change",
        }
    }

    /// Whether more is to come under the same token: such a report settles nothing.
    #[must_use]
    pub fn is_open(self) -> bool {
        match self {
            Self::Blocked | Self::NeedsInput => true,
            Self::Done | Self::Failed | Self::Partial | Self::NoChange => false,
        }
    }
}

/// A worker's report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// [`REPORT_SCHEMA`].
    pub schema: String,
    /// The task's id.
    pub task: String,
    /// The attempt's ordinal, from 1.
    pub attempt: u32,
    /// The token it is said under.
    pub token: u64,
    /// The outcome as the worker sees it.
    pub status: ReportStatus,
    /// In a sentence or a few.
    pub summary: String,
    /// Why, where it isn't `done`.
    #[serde(default)]
    pub reason: Option<String>,
    /// References that may add a hash or a commit to what is checked anyway.
    #[serde(default)]
    pub evidence: Vec<Claim>,
    /// Named values for other tasks.
    #[serde(default)]
    pub outputs: Map<String, Value>,
    /// What it cost.
    #[serde(default)]
    pub usage: Option<Usage>,
    /// With `failed`: the provider refuses work for now, and lets it try again after so many seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
    /// With `needs_input` or `blocked`: the number of the answer that it waits for, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub question: Option<u32>,
    /// Who wrote it, where it isn't the worker itself: such a question ends as soon as the worker goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<ReportBy>,
}

/// Who writes reports in a worker's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReportBy {
    /// The shim, which saw that its child waits for a person.
    Shim,
}

impl ReportBy {
    /// Everybody as they are written.
    pub const WORDS: &'static [&'static str] = &["shim"];
}

/// One reference of a report.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Claim {
    /// An evidence kind of the workflow file.
    pub kind: String,
    /// A file, relative to the tree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// A command as it was run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// An object name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// The file's hash: 64 lowercase hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

/// What an attempt cost, as far as the worker knows.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Usage {
    /// Model tokens, all kinds together.
    #[serde(default)]
    pub tokens: Option<u64>,
    /// Dollars.
    #[serde(default)]
    pub usd: Option<f64>,
}

impl Report {
    /// Reads a report and says all that is wrong with it.
    ///
    /// # Errors
    /// Every problem found, in the order of the fields; at least one.
    pub fn check(bytes: &[u8]) -> Result<Self, Vec<Problem>> {
        super::read(bytes)
    }
}

/// The evidence kinds that a workflow can declare.
pub const EVIDENCE_KINDS: &[&str] = &["exit", "command", "diff", "artifact", "log", "review", "approval"];

impl Wire for Report {
    const SCHEMA: &'static str = REPORT_SCHEMA;
    const FIELDS: &'static [Field] = &[
        Field::must("task", Text),
        Field::must("attempt", Positive),
        Field::must("token", U64),
        Field::must("status", Word(ReportStatus::WORDS)),
        Field::must("summary", Text),
        Field::may("reason", Text),
        Field::may("evidence", Records { fields: CLAIM, max: MAX_CLAIMS }),
        Field::may("outputs", Object),
        Field::may("usage", Record(USAGE)),
        Field::may("retry_after", Seconds),
        Field::may("question", Positive),
        Field::may("by", Word(ReportBy::WORDS)),
    ];
}

const CLAIM: &[Field] = &[
    Field::must("kind", Word(EVIDENCE_KINDS)),
    Field::may("path", TreePath),
    Field::may("command", Text),
    Field::may("commit", ObjectName),
    Field::may("sha256", Hash),
];

/// The fields of [`Usage`].
pub(super) const USAGE: &[Field] = &[Field::may("tokens", U64), Field::may("usd", Amount)];
