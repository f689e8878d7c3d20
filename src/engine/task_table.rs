//! The task table of laws.md: every state, every step, and where each leads.
//!
//! It leaves out the guards (who may take a step, and when): `decide` holds
//! them. A pair that isn't in the table is an [`Illegal`] value, never a panic.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Where a task is. Source: contract 5.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskPhase {
    /// Waits for its needs.
    Pending,
    /// Could start.
    Ready,
    /// Held by a worker that hasn't acknowledged it.
    Claimed,
    /// Being worked on.
    InProgress,
    /// Reported; the evidence is being checked.
    Verifying,
    /// Some evidence was refuted.
    RepairRequired,
    /// Its worker waits for something or somebody.
    Blocked,
    /// Every item verified.
    Completed,
    /// Ended with a part of what was asked for.
    Partial,
    /// Ended without it.
    Failed,
    /// Never started.
    Skipped,
    /// Ended by a person.
    Cancelled,
}

impl TaskPhase {
    /// All of them, in the order of the contract.
    pub const ALL: [Self; 12] = [
        Self::Pending,
        Self::Ready,
        Self::Claimed,
        Self::InProgress,
        Self::Verifying,
        Self::RepairRequired,
        Self::Blocked,
        Self::Completed,
        Self::Partial,
        Self::Failed,
        Self::Skipped,
        Self::Cancelled,
    ];

    /// The word that users see.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Ready => "ready",
            Self::Claimed => "claimed",
            Self::InProgress => "in_progress",
            Self::Verifying => "verifying",
            Self::RepairRequired => "repair_required",
            Self::Blocked => "blocked",
            Self::Completed => "completed",
            Self::Partial => "partial",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether only a person's `retry` leads out of it.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        match self {
            Self::Completed | Self::Partial | Self::Failed | Self::Skipped | Self::Cancelled => true,
            Self::Pending
            | Self::Ready
            | Self::Claimed
            | Self::InProgress
            | Self::Verifying
            | Self::RepairRequired
            | Self::Blocked => false,
        }
    }

    /// Whether a worker holds it.
    #[must_use]
    pub fn is_held(self) -> bool {
        matches!(self, Self::Claimed | Self::InProgress | Self::Blocked)
    }
}

impl fmt::Display for TaskPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// What can happen to a task. `again`: an attempt is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TaskMove {
    /// The dependency policy is satisfied.
    NeedsMet,
    /// The dependency policy can no longer be satisfied.
    NeedsImpossible,
    /// The gate says: not now.
    Deferred,
    /// The gate says: never.
    Denied,
    /// A control task begins: its children are made. No claim, no worker.
    Opened,
    /// An `approve` task begins: a person is asked.
    Asked,
    /// Given to a worker.
    Claimed,
    /// Taken by a worker whose nonce matched.
    Acknowledged,
    /// The host couldn't launch it: no attempt is spent.
    HostFailed,
    /// Launch or dispatch failed.
    LaunchFailed {
        /// An attempt is left.
        again: bool,
    },
    /// Reported done (or no change), and the child has ended.
    Worked,
    /// The attempt failed.
    AttemptFailed {
        /// An attempt is left.
        again: bool,
    },
    /// Reported partial, and the child has ended.
    WentPartial,
    /// The worker says that it can't go on by itself.
    Blocked,
    /// Answered, or progress was seen.
    Unblocked,
    /// Its worker's provider refuses work for now: no retry is spent.
    RateLimited,
    /// A person takes it back from its worker, or `down` stopped it: no retry is spent.
    Requeued,
    /// The claim expired and was recovered.
    Recovered {
        /// An attempt is left.
        again: bool,
    },
    /// A person decides an attempt in doubt: leave it out.
    DecidedSkip,
    /// A person decides an attempt in doubt: check it as if it had reported.
    DecidedAccept,
    /// Every declared item was verified.
    Verified,
    /// An item was refuted, or stayed unverifiable.
    Refuted,
    /// What was refuted goes to the next attempt, or attempts are used up.
    Repaired {
        /// An attempt is left.
        again: bool,
    },
    /// A person, or the cascade of an abort.
    Cancelled,
    /// A person's `retry`.
    Reopened,
    /// What it was skipped for was reopened.
    Rearmed,
    /// A person adopted an edit that changes what shapes it, or what it needs.
    Replanned,
    /// A person adopted an edit that no longer has it.
    Withdrawn,
}

impl TaskMove {
    /// All of them.
    pub const ALL: [Self; 32] = [
        Self::NeedsMet,
        Self::NeedsImpossible,
        Self::Deferred,
        Self::Denied,
        Self::Opened,
        Self::Asked,
        Self::Claimed,
        Self::Acknowledged,
        Self::HostFailed,
        Self::LaunchFailed { again: true },
        Self::LaunchFailed { again: false },
        Self::Worked,
        Self::AttemptFailed { again: true },
        Self::AttemptFailed { again: false },
        Self::WentPartial,
        Self::Blocked,
        Self::Unblocked,
        Self::RateLimited,
        Self::Requeued,
        Self::Recovered { again: true },
        Self::Recovered { again: false },
        Self::DecidedSkip,
        Self::DecidedAccept,
        Self::Verified,
        Self::Refuted,
        Self::Repaired { again: true },
        Self::Repaired { again: false },
        Self::Cancelled,
        Self::Reopened,
        Self::Rearmed,
        Self::Replanned,
        Self::Withdrawn,
    ];
}

/// A step that the table doesn't have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Illegal<S, M> {
    /// Where it was.
    pub from: S,
    /// What was tried.
    pub tried: M,
}

impl<S: fmt::Display, M: fmt::Debug> fmt::Display for Illegal<S, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "take the step {:?} from `{}`", self.tried, self.from)
    }
}

/// Where `step` leads from `from`.
///
/// # Errors
/// [`Illegal`] for every pair that laws.md doesn't list.
pub fn next(from: TaskPhase, step: TaskMove) -> Result<TaskPhase, Illegal<TaskPhase, TaskMove>> {
    use TaskMove as M;
    use TaskPhase as P;
    let again_or_failed = |again: bool| if again { P::Ready } else { P::Failed };
    let to = match (step, from) {
        (M::NeedsMet, P::Pending)
        | (M::Deferred, P::Ready)
        | (M::HostFailed, P::Claimed)
        | (M::RateLimited, P::InProgress | P::Blocked)
        | (M::Requeued, P::Claimed | P::InProgress | P::Blocked)
        | (M::Reopened, P::Failed | P::Partial | P::Cancelled) => P::Ready,
        (M::NeedsImpossible, P::Pending) | (M::DecidedSkip, P::Claimed | P::InProgress | P::Blocked) => {
            P::Skipped
        }
        (M::Denied, P::Ready) => P::Failed,
        (M::Claimed, P::Ready) => P::Claimed,
        (M::Acknowledged, P::Claimed) | (M::Opened, P::Ready) | (M::Unblocked, P::Blocked) => P::InProgress,
        (M::LaunchFailed { again }, P::Claimed)
        | (M::AttemptFailed { again }, P::Claimed | P::InProgress | P::Blocked)
        | (M::Recovered { again }, P::Claimed | P::InProgress | P::Blocked)
        | (M::Repaired { again }, P::RepairRequired) => again_or_failed(again),
        (M::Worked, P::InProgress | P::Blocked)
        | (M::Asked, P::Ready)
        | (M::DecidedAccept, P::Claimed | P::InProgress | P::Blocked) => P::Verifying,
        (M::WentPartial, P::InProgress | P::Blocked) => P::Partial,
        (M::Blocked, P::InProgress) => P::Blocked,
        (M::Verified, P::Verifying) => P::Completed,
        (M::Refuted, P::Verifying) => P::RepairRequired,
        (M::Rearmed, P::Skipped) => P::Pending,
        // The person's adopted edit; which states are terminal is spelled out where it is asked.
        (M::Replanned, from) if from != P::Pending => P::Pending,
        (M::Withdrawn, from) if !from.is_terminal() => P::Skipped,
        (M::Cancelled, from) if !from.is_terminal() => P::Cancelled,
        // Spelled out by step, so that whoever adds one decides its rows above.
        (
            M::NeedsMet
            | M::NeedsImpossible
            | M::Deferred
            | M::Denied
            | M::Opened
            | M::Asked
            | M::Claimed
            | M::Acknowledged
            | M::HostFailed
            | M::LaunchFailed { .. }
            | M::Worked
            | M::AttemptFailed { .. }
            | M::WentPartial
            | M::Blocked
            | M::Unblocked
            | M::RateLimited
            | M::Requeued
            | M::Recovered { .. }
            | M::DecidedSkip
            | M::DecidedAccept
            | M::Verified
            | M::Refuted
            | M::Repaired { .. }
            | M::Cancelled
            | M::Reopened
            | M::Rearmed
            | M::Replanned
            | M::Withdrawn,
            _,
        ) => return Err(Illegal { from, tried: step }),
    };
    Ok(to)
}

#[cfg(test)]
#[path = "task_table_tests.rs"]
mod tests;
