//! What the laws remember of committed rows: kept apart from the engine's own state.
//!
//! It leaves out every judgement.

use std::collections::{BTreeMap, BTreeSet};

use ilchul::engine::event::{Started, TaskStep};
use ilchul::engine::evidence::Verdict;
use ilchul::engine::input::Beat;
use ilchul::engine::moment::Moment;
use ilchul::workflow::Workflow;

use super::purse::Purse;

/// How a task ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Completed,
    Partial,
    Failed,
    Skipped,
    Cancelled,
}

/// One worker's claim and life.
#[derive(Debug, Clone, Default)]
pub struct Held {
    pub token: u64,
    /// Neither revoked nor closed.
    pub live: bool,
    /// Why it was revoked; empty where it was closed.
    pub revoked: String,
    pub settlements: u32,
    pub expires: Moment,
    pub expired: bool,
    pub launched: Option<Moment>,
    pub has_tree: bool,
    pub echoed: bool,
    pub dispatched: Option<Moment>,
    pub captured: bool,
    /// An end was recorded, or its session was ended, or it is known to be gone.
    pub over: bool,
    /// The last fresh beat under its token.
    pub sign: Moment,
    /// The same when this turn began: a beat that is read after a decision can't undo it.
    pub sign_before: Moment,
    pub beats: Option<u64>,
}

/// One task.
#[derive(Debug, Clone, Default)]
pub struct Tried {
    pub attempt: u32,
    pub outcome: Option<Outcome>,
    /// It was skipped, and nothing was wrong with that.
    pub by_design: bool,
    /// How often a person's retry opened it again.
    pub reopened: u32,
    /// Its worker waits for a person.
    pub asks: bool,
    /// How many answers its attempt was given.
    pub answers: u32,
    /// Of the last look, by item.
    pub verdicts: Vec<Verdict>,
    /// The child that a control task named as its own.
    pub chosen: Option<String>,
}

/// The book.
#[derive(Debug)]
pub struct Book {
    pub workflow: Workflow,
    pub only: Vec<String>,
    pub places: usize,
    /// How many rows are on the disk.
    pub rows: usize,
    pub roots: usize,
    pub ended: bool,
    pub last_token: u64,
    /// Claims less those that the host, or a person, gave back.
    pub spent: usize,
    pub workers: BTreeMap<String, Held>,
    pub tasks: BTreeMap<String, Tried>,
    /// Workers whose report was accepted.
    pub heard: BTreeSet<String>,
    /// When the supervisor could last look again after a gap.
    pub regained: Moment,
    /// When it last began a turn.
    pub looked: Moment,
    /// Tokens, money and time.
    pub purse: Purse,
    /// Until when no task of an agent, or a task without one, may be claimed.
    pub limited: BTreeMap<String, Moment>,
    /// How often each kind of event was committed.
    pub kinds: BTreeMap<String, u64>,
}

impl Book {
    pub fn new(started: &Started) -> Self {
        let tasks = started.workflow.tasks.iter().map(|task| (task.id.clone(), Tried::default())).collect();
        Self {
            workflow: started.workflow.clone(),
            only: started.only.clone(),
            places: usize::try_from(started.workers).unwrap_or(usize::MAX),
            rows: 0,
            roots: 0,
            ended: false,
            last_token: 0,
            spent: 0,
            workers: BTreeMap::new(),
            tasks,
            heard: BTreeSet::new(),
            regained: Moment(0),
            looked: Moment(0),
            purse: Purse::default(),
            limited: BTreeMap::new(),
            kinds: BTreeMap::new(),
        }
    }

    /// A sign of life, where it is one: the right token, news, and no word of a dead child.
    pub fn beat(&mut self, worker: &str, beat: Beat, at: Moment) {
        let Some(held) = self.workers.get_mut(worker) else { return };
        let own = held.live && beat.token.is_none_or(|token| token == held.token);
        let fresh = held.beats.is_none_or(|beats| beat.seq > beats);
        if !own || !fresh {
            return;
        }
        held.beats = Some(beat.seq);
        if beat.alive != Some(false) {
            held.sign = at;
        }
    }

    /// How a task's worker is called now.
    pub fn holder(&self, task: &str) -> Option<&Held> {
        self.workers.get(&format!("{task}.{}", self.tasks.get(task)?.attempt))
    }
}

/// Whether a step leads to an end, and to which.
pub fn outcome(step: &TaskStep) -> Option<Outcome> {
    match step {
        TaskStep::Verified { .. } => Some(Outcome::Completed),
        TaskStep::WentPartial => Some(Outcome::Partial),
        TaskStep::Denied { .. }
        | TaskStep::LaunchFailed { again: false }
        | TaskStep::AttemptFailed { again: false }
        | TaskStep::Recovered { again: false }
        | TaskStep::Repaired { again: false } => Some(Outcome::Failed),
        TaskStep::NeedsImpossible { .. } | TaskStep::DecidedSkip | TaskStep::Withdrawn => {
            Some(Outcome::Skipped)
        }
        TaskStep::Cancelled => Some(Outcome::Cancelled),
        TaskStep::NeedsMet
        | TaskStep::Deferred { .. }
        | TaskStep::Opened
        | TaskStep::Asked
        | TaskStep::Claimed { .. }
        | TaskStep::Acknowledged
        | TaskStep::HostFailed { .. }
        | TaskStep::RateLimited { .. }
        | TaskStep::Answered { .. }
        | TaskStep::LaunchFailed { again: true }
        | TaskStep::Worked
        | TaskStep::AttemptFailed { again: true }
        | TaskStep::Blocked
        | TaskStep::Unblocked
        | TaskStep::Requeued
        | TaskStep::Recovered { again: true }
        | TaskStep::DecidedAccept
        | TaskStep::Refuted
        | TaskStep::Repaired { again: true }
        | TaskStep::Reopened
        | TaskStep::Rearmed
        | TaskStep::Replanned => None,
    }
}
