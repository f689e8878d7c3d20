//! The files of `ilchul.worker/1` as types, field for field as they are written.
//!
//! Times are RFC 3339 labels for people: nothing is ordered or expired by them.
//! Texts are kept as they came; making control characters visible is `render`'s.

use super::agent::{AgentPhase, AgentSpec};
use super::report::{USAGE, Usage};
use super::shape::Field;
use super::shape::Kind::{Bool, Env, I32, Object, Pids, Positive, Record, Text, Texts, U32, U64, Word};
use super::{WORKER_SCHEMA, Wire};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What one incarnation is told by its 0600 file: who it is, and its nonce.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Launch {
    /// [`WORKER_SCHEMA`].
    pub schema: String,
    /// `<task>.<attempt>`.
    pub worker: String,
    /// The secret of this incarnation; stands in no environment and no argv.
    pub nonce: String,
    /// The mail folder.
    pub mail: String,
    /// The tree to work in.
    pub tree: String,
}

/// The worker's proof of readiness.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// [`WORKER_SCHEMA`].
    pub schema: String,
    /// `<task>.<attempt>`.
    pub worker: String,
    /// The nonce of the launch file.
    pub nonce: String,
    /// The worker's (the shim's) process.
    pub pid: u32,
    /// When it started.
    pub started_at: String,
}

/// What to do, under which token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    /// [`WORKER_SCHEMA`].
    pub schema: String,
    /// The run's id.
    pub run: String,
    /// The task's id.
    pub task: String,
    /// The attempt's ordinal, from 1.
    pub attempt: u32,
    /// The claim's token: everything said from now on is said under it.
    pub token: u64,
    /// Program and arguments, executed directly.
    #[serde(default)]
    pub argv: Vec<String>,
    /// Set for an agent, whose end without a report is never `done`.
    #[serde(default)]
    pub prompt_file: Option<String>,
    /// Added to the session's own environment.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// When the supervisor means to stop it; a label, the shim doesn't act on it.
    #[serde(default)]
    pub deadline: Option<String>,
    /// Milliseconds from one heartbeat to the next.
    #[serde(default = "default_beat_ms")]
    pub beat_ms: u64,
    /// Milliseconds from asking a process to end to ending it.
    #[serde(default = "default_grace_ms")]
    pub grace_ms: u64,
    /// How the agent is run; none for whatever is no agent, and for one that nobody knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<Box<AgentSpec>>,
}

/// The worker took the assignment with this token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ack {
    /// [`WORKER_SCHEMA`].
    pub schema: String,
    /// The assignment's token.
    pub token: u64,
}

/// A sign of life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// [`WORKER_SCHEMA`].
    pub schema: String,
    /// The assignment's token; none before the dispatch.
    #[serde(default)]
    pub token: Option<u64>,
    /// Rises by one with each beat of this incarnation.
    pub seq: u64,
    /// When it was written.
    pub at: String,
    /// The child, once there is one.
    #[serde(default)]
    pub child: Option<ChildFacts>,
    /// How much has happened so far.
    #[serde(default)]
    pub progress: Progress,
    /// What the worker, or the shim, wants a person to read.
    #[serde(default)]
    pub note: Option<String>,
}

/// The child as its shim saw it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChildFacts {
    /// Its process.
    pub pid: u32,
    /// When it was started.
    pub started_at: String,
    /// Its start time in clock ticks since boot, which with the pid is its identity.
    #[serde(default)]
    pub start_ticks: Option<u64>,
    /// Whether that identity still runs: a zombie doesn't.
    pub alive: bool,
}

/// Counters that only rise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Progress {
    /// Bytes that the child has printed.
    #[serde(default)]
    pub output_bytes: u64,
    /// Processor time of the child's whole tree, in milliseconds.
    #[serde(default)]
    pub cpu_ms: u64,
    /// Signs that an agent got further. Where they are counted, they alone are progress:
    /// repainting a screen and burning processor time aren't.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events: Option<u64>,
    /// What an agent is at; no counter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<AgentPhase>,
}

/// How the child ended, and what was left of its tree.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExitRecord {
    /// [`WORKER_SCHEMA`].
    pub schema: String,
    /// The assignment's token; none when there was no assignment.
    #[serde(default)]
    pub token: Option<u64>,
    /// The exit code, after a normal end.
    #[serde(default)]
    pub code: Option<i32>,
    /// The signal that ended it.
    #[serde(default)]
    pub signal: Option<i32>,
    /// When the child was started.
    pub started_at: String,
    /// When its end was seen.
    pub ended_at: String,
    /// Processes of its tree that outlived a KILL.
    #[serde(default)]
    pub survivors: Vec<u32>,
    /// Why the child couldn't be started, or its end couldn't be seen.
    #[serde(default)]
    pub error: Option<String>,
    /// What the work cost, as it was measured: of an agent that tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
}

/// The supervisor's `answer-<n>.json`: what a person said to the worker's question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// [`WORKER_SCHEMA`].
    pub schema: String,
    /// The token of the attempt that asked: another attempt's answer isn't this one's.
    pub token: u64,
    /// Which answer of the attempt, from 1.
    pub n: u32,
    /// In the person's words.
    pub text: String,
}

/// The order to end the child's tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stop {
    /// [`WORKER_SCHEMA`].
    pub schema: String,
    /// The token it is meant for; none for a worker that has no assignment yet.
    #[serde(default)]
    pub token: Option<u64>,
    /// Milliseconds from TERM to KILL; none means the assignment's.
    #[serde(default)]
    pub grace_ms: Option<u64>,
}

/// What a worker wants to show in its next heartbeat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// [`WORKER_SCHEMA`].
    pub schema: String,
    /// One line.
    pub note: String,
}

fn default_beat_ms() -> u64 {
    2_000
}

fn default_grace_ms() -> u64 {
    10_000
}

impl Wire for Launch {
    const SCHEMA: &'static str = WORKER_SCHEMA;
    const FIELDS: &'static [Field] = &[
        Field::must("worker", Text),
        Field::must("nonce", Text),
        Field::must("mail", Text),
        Field::must("tree", Text),
    ];
}

impl Wire for Ready {
    const SCHEMA: &'static str = WORKER_SCHEMA;
    const FIELDS: &'static [Field] = &[
        Field::must("worker", Text),
        Field::must("nonce", Text),
        Field::must("pid", U32),
        Field::must("started_at", Text),
    ];
}

impl Wire for Assignment {
    const SCHEMA: &'static str = WORKER_SCHEMA;
    const FIELDS: &'static [Field] = &[
        Field::must("run", Text),
        Field::must("task", Text),
        Field::must("attempt", Positive),
        Field::must("token", U64),
        Field::may("argv", Texts),
        Field::may("prompt_file", Text),
        Field::may("env", Env),
        Field::may("deadline", Text),
        Field::may("beat_ms", U64),
        Field::may("grace_ms", U64),
        // Both ends are ours, of one version: its own type reads it.
        Field::may("agent", Object),
    ];
}

impl Wire for Ack {
    const SCHEMA: &'static str = WORKER_SCHEMA;
    const FIELDS: &'static [Field] = &[Field::must("token", U64)];
}

impl Wire for Heartbeat {
    const SCHEMA: &'static str = WORKER_SCHEMA;
    const FIELDS: &'static [Field] = &[
        Field::may("token", U64),
        Field::must("seq", U64),
        Field::must("at", Text),
        Field::may("child", Record(CHILD)),
        Field::may("progress", Record(PROGRESS)),
        Field::may("note", Text),
    ];
}

const CHILD: &[Field] = &[
    Field::must("pid", U32),
    Field::must("started_at", Text),
    Field::may("start_ticks", U64),
    Field::must("alive", Bool),
];

const PROGRESS: &[Field] = &[
    Field::may("output_bytes", U64),
    Field::may("cpu_ms", U64),
    Field::may("events", U64),
    Field::may("phase", Word(AgentPhase::WORDS)),
];

impl Wire for ExitRecord {
    const SCHEMA: &'static str = WORKER_SCHEMA;
    const FIELDS: &'static [Field] = &[
        Field::may("token", U64),
        Field::may("code", I32),
        Field::may("signal", I32),
        Field::must("started_at", Text),
        Field::must("ended_at", Text),
        Field::may("survivors", Pids),
        Field::may("error", Text),
        Field::may("usage", Record(USAGE)),
    ];
}

impl Wire for Answer {
    const SCHEMA: &'static str = WORKER_SCHEMA;
    const FIELDS: &'static [Field] =
        &[Field::must("token", U64), Field::must("n", Positive), Field::must("text", Text)];
}

impl Wire for Stop {
    const SCHEMA: &'static str = WORKER_SCHEMA;
    const FIELDS: &'static [Field] = &[Field::may("token", U64), Field::may("grace_ms", U64)];
}

impl Wire for Note {
    const SCHEMA: &'static str = WORKER_SCHEMA;
    const FIELDS: &'static [Field] = &[Field::must("note", Text)];
}
