//! What stops a run before its tasks are through: its time is up, or too much of it failed.
//!
//! Decided once, as an event. From then on nothing new starts; the gate denies what is ready.
//! When the time is up, what is at work is asked to end, too, and fails; after too many failures
//! it is left to its end. It leaves out budgets: a channel that is used up stops only those
//! who need it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::event::TaskStep;
use super::moment::Moment;
use super::state::RunState;

/// What stopped a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Halt {
    /// `limits.wall`.
    Wall,
    /// `limits.failures`.
    Breaker,
}

impl Halt {
    /// The word that users see.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Wall => "wall",
            Self::Breaker => "breaker",
        }
    }
}

/// That a run was stopped, and why, as a part of a sentence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Halted {
    /// What stopped it.
    pub by: Halt,
    /// Why.
    pub reason: String,
}

/// When the run's time is up, on its own line: suspended time isn't on it, and a restart adds
/// none (law J8).
#[must_use]
pub fn deadline(state: &RunState) -> Option<Moment> {
    state.workflow().limits.wall.map(|wall| state.started_at.moment.after(wall))
}

/// How much of its time the run has used at its last event.
#[must_use]
pub fn used(state: &RunState) -> Duration {
    state.last_at.moment.since(state.started_at.moment)
}

/// What stops the run now, if anything does and nothing did before.
pub(super) fn due(state: &RunState, now: Moment) -> Option<Halted> {
    if state.halted.is_some() || state.open_count == 0 {
        return None;
    }
    if deadline(state).is_some_and(|deadline| deadline <= now) {
        let wall = state.workflow().limits.wall.unwrap_or_default().as_secs();
        return Some(Halted { by: Halt::Wall, reason: format!("the run's time of {wall} s is used up") });
    }
    let bound = state.workflow().limits.failures?;
    let failed = state.failures.len();
    let reason = || {
        let within = bound.within.as_secs();
        format!("{failed} attempts failed within {within} s, and {} may", bound.max)
    };
    (failed > usize::try_from(bound.max).unwrap_or(usize::MAX))
        .then(|| Halted { by: Halt::Breaker, reason: reason() })
}

/// Counts a failed attempt, and forgets those that are too old to count with it.
pub(super) fn count(state: &mut RunState, step: &TaskStep, at: Moment) {
    let failed = match step {
        TaskStep::LaunchFailed { .. }
        | TaskStep::AttemptFailed { .. }
        | TaskStep::Recovered { .. }
        | TaskStep::Refuted => true,
        TaskStep::NeedsMet
        | TaskStep::NeedsImpossible { .. }
        | TaskStep::Deferred { .. }
        | TaskStep::Denied { .. }
        | TaskStep::Opened
        | TaskStep::Asked
        | TaskStep::Claimed { .. }
        | TaskStep::Acknowledged
        | TaskStep::HostFailed { .. }
        | TaskStep::RateLimited { .. }
        | TaskStep::Answered { .. }
        | TaskStep::Worked
        | TaskStep::WentPartial
        | TaskStep::Blocked
        | TaskStep::Unblocked
        | TaskStep::Requeued
        | TaskStep::DecidedSkip
        | TaskStep::DecidedAccept
        | TaskStep::Verified { .. }
        | TaskStep::Repaired { .. }
        | TaskStep::Cancelled
        | TaskStep::Reopened
        | TaskStep::Rearmed
        | TaskStep::Replanned
        | TaskStep::Withdrawn => false,
    };
    let (true, Some(bound)) = (failed, state.workflow().limits.failures) else { return };
    state.failures.push_back(at);
    while state.failures.front().is_some_and(|first| at.since(*first) > bound.within) {
        state.failures.pop_front();
    }
}

/// A person goes on with the run: what failed before doesn't stop it once more.
pub(super) fn lift(state: &mut RunState) {
    state.halted = None;
    state.failures.clear();
}
