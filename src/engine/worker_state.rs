//! The state of one worker: what the fold remembers of an attempt's tree, session and mail.
//!
//! Only `apply` writes it. It leaves out heartbeats (`pulse.rs`).

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use super::budget::Amounts;
use super::event::{Answered, Drift, Place, Snapshot};
use super::evidence::ChildExit;
use super::moment::{Moment, Stamp};
use super::worker_table::WorkerPhase;
use crate::workflow::WorkspaceKind;

/// The state of one worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorkerState {
    /// Whose attempt it is: an index into the tasks.
    pub task: usize,
    /// Which attempt.
    pub attempt: u32,
    /// Where it is.
    pub phase: WorkerPhase,
    /// `code` or `code: detail`; empty where the phase says it all.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Since when it is there.
    pub since: Stamp,
    /// Its claim's token.
    pub token: u64,
    /// The claim is neither closed nor revoked.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub token_live: bool,
    /// The claim has expired and waits for a recovery.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub expired: bool,
    /// Until then without a beat.
    pub expires: Moment,
    /// The commit that its tree starts at.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub start: String,
    /// SHA-256 of the nonce that it must echo, in hex.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub nonce_sha256: String,
    /// Where its files are, once made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace: Option<Place>,
    /// Where its process is, once made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<Place>,
    /// The first port of its block, from its launch on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// When it was launched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub launched_at: Option<Moment>,
    /// The process that echoed the nonce.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// When its assignment was decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dispatched_at: Option<Moment>,
    /// Time that doesn't count against the timeout.
    #[serde(default, skip_serializing_if = "Duration::is_zero")]
    pub paused: Duration,
    /// Since when it is blocked, or suspended by its host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused_since: Option<Moment>,
    /// Its host has stopped it for a while: it can do nothing, and owes nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspended: bool,
    /// Found by its mark, unknown to the journal, and not yet seen to have ended.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub at_large: bool,
    /// Its host holds it in a queue: nothing is owed by it yet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub queued: bool,
    /// Its host runs it, and nothing of it has said so yet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub starting: bool,
    /// It was seen to start before, so that what it owes doesn't begin anew when that is seen again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub has_started: bool,
    /// It was seen to have begun before; likewise.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub has_begun: bool,
    /// Since when nobody could see whether it goes on: it counts as queued, and owes nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unseen_since: Option<Moment>,
    /// It beats without doing anything.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stalled: bool,
    /// The worker whose expired claim it recovers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovered_from: Option<String>,
    /// It has acknowledged its assignment.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub acknowledged: bool,
    /// Its last accepted report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<Box<KeptReport>>,
    /// SHA-256 of every report seen, accepted or not: the same again is no news.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub seen_reports: Vec<String>,
    /// What it submitted, by number, and what it was answered.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub submissions: BTreeMap<u32, Answered>,
    /// What its questions were answered, in order: the place of each is its number less one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<Given>,
    /// What it used, as its shim was told by the agent's own figures.
    #[serde(default, skip_serializing_if = "Amounts::is_empty")]
    pub measured: Amounts,
    /// How its child ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<ChildExit>,
    /// Something outlived the end of its tree.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub survived: bool,
    /// Its session is to be ended: with or without force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop: Option<bool>,
    /// Its session was ended on our wish.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stopped: bool,
    /// The attempt has an outcome.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub settled: bool,
    /// What its tree held: `None` until captured.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "known")]
    pub captured: Option<Option<Snapshot>>,
    /// What its claim reserved, until that is settled.
    #[serde(default, skip_serializing_if = "Amounts::is_empty")]
    pub reserved: Amounts,
    /// What was looked at when it was released.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub observations: Vec<String>,
    /// What changed round it while it was at work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drift: Option<Box<Drift>>,
}

/// What the state remembers of an accepted report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KeptReport {
    /// Its status word.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub status: String,
    /// Its summary.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub summary: String,
    /// Its reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What dependents may read.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub outputs: Map<String, Value>,
    /// Claimed hashes and commits.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub claims: Vec<Value>,
    /// What it says that it cost.
    #[serde(default, skip_serializing_if = "Amounts::is_empty")]
    pub usage: Amounts,
    /// The seconds after which its provider lets it try again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
    /// Its shim wrote it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub by_shim: bool,
}

/// What a person answered a worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Given {
    /// Their login name.
    pub by: String,
    /// In their words.
    pub text: String,
}

/// A field that is there is known, though it may say that there is nothing.
fn known<'de, T: Deserialize<'de>, D: Deserializer<'de>>(from: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(from).map(Some)
}

impl WorkerState {
    /// The row of an attempt about which nothing but its claim is known.
    pub(super) fn new((task, attempt): (usize, u32), at: Stamp, phase: WorkerPhase, token: u64) -> Self {
        Self {
            task,
            attempt,
            phase,
            reason: String::new(),
            since: at,
            token,
            token_live: false,
            expired: false,
            expires: at.moment,
            start: String::new(),
            nonce_sha256: String::new(),
            workspace: None,
            session: None,
            port: None,
            launched_at: None,
            pid: None,
            dispatched_at: None,
            paused: Duration::ZERO,
            paused_since: None,
            suspended: false,
            at_large: false,
            queued: false,
            starting: false,
            has_started: false,
            has_begun: false,
            unseen_since: None,
            stalled: false,
            recovered_from: None,
            acknowledged: false,
            report: None,
            seen_reports: Vec::new(),
            submissions: BTreeMap::new(),
            answers: Vec::new(),
            measured: Amounts::default(),
            exit: None,
            survived: false,
            stop: None,
            stopped: false,
            settled: false,
            captured: None,
            reserved: Amounts::default(),
            observations: Vec::new(),
            drift: None,
        }
    }

    /// How many answers it was given.
    #[must_use]
    pub fn answer_count(&self) -> u32 {
        u32::try_from(self.answers.len()).unwrap_or(u32::MAX)
    }

    /// Whether it takes one of the places that `limits.workers` grants.
    #[must_use]
    pub fn counts(&self) -> bool {
        self.phase.is_live() && (self.token_live || self.stop.is_some())
    }

    /// Whether what its tree holds must still be kept.
    #[must_use]
    pub fn owes_capture(&self, workspace: WorkspaceKind) -> bool {
        self.captured.is_none() && workspace == WorkspaceKind::Worktree && self.workspace.is_some()
    }

    /// Its time goes on, unless something else holds it too.
    pub(super) fn unpause(&mut self, now: Moment) {
        let (since, dispatched) = (self.paused_since.take(), self.dispatched_at);
        if let (Some(since), Some(dispatched)) = (since, dispatched) {
            self.paused += now.since(since.max(dispatched));
        }
    }

    /// Whether the end of its whole tree was recorded by whoever saw it. One that only its host
    /// tells of, which may have lost sight of it, is no such record.
    #[must_use]
    pub fn end_is_seen(&self) -> bool {
        self.exit.is_some_and(|exit| exit != ChildExit::Unknown) && !self.survived
    }

    /// Whether its process is over, as far as anybody can tell.
    #[must_use]
    pub fn is_over(&self) -> bool {
        !self.at_large && (self.exit.is_some() || self.stopped || !self.phase.is_live())
    }

    /// Whether its session must still be ended, or looked for by its mark where it isn't known yet.
    #[must_use]
    pub fn owes_stop(&self) -> bool {
        self.stop.is_some() && (self.at_large || (self.phase.is_live() && !self.is_over()))
    }

    /// Whether anything can still follow for it.
    #[must_use]
    pub fn is_active(&self, workspace: WorkspaceKind) -> bool {
        let to_keep =
            self.session.is_some() && (self.workspace.is_some() || workspace == WorkspaceKind::None);
        self.phase.is_live()
            || self.at_large
            || self.owes_capture(workspace)
            || (self.phase == WorkerPhase::StaleRegistry && to_keep)
    }
}
