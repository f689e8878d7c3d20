//! What passes through a worker's mail folder: wire types and total parsers.
//!
//! Every parser here takes bytes and answers a value or a [`Problem`]; none of
//! them panics, whatever the bytes. It leaves out all input and output: opening,
//! bounding, renaming and watching files is `mail`'s and the shim's. It also
//! leaves out meaning: whether a token is live or a claim holds is the engine's.

mod agent;
mod check;
mod json;
mod problem;
mod report;
mod schema;
mod setup;
mod shape;
mod submission;
mod wire;
mod words;

pub use agent::{
    AGENT_DIR, AgentEnd, AgentMode, AgentPhase, AgentReady, AgentSignals, AgentSpec, EVENTS, LimitRules,
    ResultFile, STREAM, ShowRule, StreamRules, UsageFold, UsageRule, how_to_report, turn_name,
};
pub use check::{CheckOutcome, CheckSpec};
pub use problem::Problem;
pub use report::{Claim, EVIDENCE_KINDS, Report, ReportBy, ReportStatus, Usage};
pub use schema::{report_schema, worker_schema};
pub use setup::{
    CHECKOUT_FAILED, CHECKOUT_HOST, CheckoutSpec, MEMORY, SETUP, SETUP_FAILED, SetupSpec, WALL_TIME,
};
pub use submission::{Submission, SubmissionAnswer, submission_number};
pub use wire::{
    Ack, Answer, Assignment, ChildFacts, ExitRecord, Heartbeat, Launch, Note, Progress, Ready, Stop,
};

use serde::de::DeserializeOwned;

/// The variable of a second run of what has been reported on: its reports are nobody's.
pub const AGAIN: &str = "ILCHUL_AGAIN";
/// The schema word of every file in mail but the report.
pub const WORKER_SCHEMA: &str = "ilchul.worker/1";
/// The schema word of a report.
pub const REPORT_SCHEMA: &str = "ilchul.report/1";
/// The largest document that is read, in bytes.
pub const MAX_BYTES: usize = 1 << 20;
/// The most evidence entries that a report may carry.
pub const MAX_CLAIMS: usize = 1_000;
/// The most submissions of one worker, counted from 1.
pub const MAX_SUBMISSIONS: u32 = 1_000;
/// The most answers that one attempt is given, counted from 1.
pub const MAX_ANSWERS: u32 = 100;
/// The longest answer, in bytes.
pub const MAX_ANSWER_BYTES: usize = 64 * 1024;
/// The longest wait that a rate limit may ask for, in seconds: 31 days, a month's quota.
pub const RETRY_AFTER_MAX_S: u64 = 31 * 24 * 3600;
/// The deepest nesting of arrays and objects that is read.
pub const MAX_DEPTH: usize = 64;

/// The worker's proof that this incarnation stands in its tree.
pub const READY: &str = "ready.json";
/// What to do; its rename into mail is the delivery.
pub const ASSIGNMENT: &str = "assignment.json";
/// The worker took the assignment.
pub const ACK: &str = "ack.json";
/// The latest sign of life; replaced by each next one.
pub const HEARTBEAT: &str = "heartbeat.json";
/// What the worker says came of it.
pub const REPORT: &str = "report.json";
/// How the child ended; always the last file of an attempt.
pub const EXIT: &str = "exit.json";
/// The supervisor's order to end.
pub const STOP: &str = "stop.json";
/// A line from the worker for the next heartbeat.
pub const NOTE: &str = "note.json";
/// The 0600 file with the nonce, read once and removed by its reader.
pub const LAUNCH: &str = "launch.json";
/// The folder inside mail for half-written files; nobody watches it.
pub const TMP_DIR: &str = ".tmp";
/// The drop box inside a tree, for agents that can write nowhere else.
pub const DROP_BOX: &str = ".ilchul";

/// The name of the `n`th answer to a worker's question.
#[must_use]
pub fn answer_name(n: u32) -> String {
    format!("answer-{n}.json")
}

/// What says that a worker took its `n`th answer itself, while it waited for it.
#[must_use]
pub fn taken_name(n: u32) -> String {
    format!("taken-{n}.json")
}

/// The name of a worker's `n`th submission.
#[must_use]
pub fn submit_name(n: u32) -> String {
    format!("submit-{n}.json")
}

/// The name of the reply to a worker's `n`th submission.
#[must_use]
pub fn submit_result_name(n: u32) -> String {
    format!("submit-{n}.result.json")
}

/// A document of the protocol: which schema word and which fields it has.
pub trait Wire: DeserializeOwned {
    /// The word its `schema` field must hold.
    const SCHEMA: &'static str;
    /// Its other fields.
    #[doc(hidden)]
    const FIELDS: &'static [shape::Field];
}

/// Reads one document.
///
/// Unknown fields are ignored, so that a later writer can add some; an optional
/// field that is `null` counts as absent.
///
/// # Errors
/// The first [`Problem`] of the document; [`problems_of`] lists them all.
pub fn parse<T: Wire>(bytes: &[u8]) -> Result<T, Problem> {
    read(bytes).map_err(|mut problems| problems.swap_remove(0))
}

/// Everything that is wrong with one document; empty when [`parse`] takes it.
#[must_use]
pub fn problems_of<T: Wire>(bytes: &[u8]) -> Vec<Problem> {
    read::<T>(bytes).err().unwrap_or_default()
}

/// The error holds at least one problem.
fn read<T: Wire>(bytes: &[u8]) -> Result<T, Vec<Problem>> {
    let mut fields = json::object(bytes).map_err(|problem| vec![problem])?;
    let problems = shape::check(&mut fields, T::SCHEMA, T::FIELDS);
    if !problems.is_empty() {
        return Err(problems);
    }
    // The shape has said yes to every field, so a refusal here means that table
    // and type disagree; it is still an answer and no panic.
    serde_json::from_value(serde_json::Value::Object(fields))
        .map_err(|error| vec![Problem::new("bad_value", "", error.to_string())])
}

#[cfg(test)]
mod tests;
