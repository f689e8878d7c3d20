//! The worker table of laws.md: every state, every step, and where each leads.
//!
//! It leaves out the guards and what retention checks; see `decide`.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::task_table::Illegal;

/// Where a worker is. Source: contract 5.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WorkerPhase {
    /// Being made.
    Provisioning,
    /// Has echoed its nonce.
    Ready,
    /// Holds its assignment.
    Busy,
    /// Silent for too long, not known to be gone.
    Unhealthy,
    /// Its work is over; tree and session are kept.
    CompletedRetained,
    /// Its work is over; a person may remove what it left.
    SafeToClose,
    /// Not what the row says.
    StaleRegistry,
    /// `cleanup --safe` has ended its session.
    CleanupReleased,
    /// Session and tree were seen to be gone.
    Closed,
}

impl WorkerPhase {
    /// All of them, in the order of the contract.
    pub const ALL: [Self; 9] = [
        Self::Provisioning,
        Self::Ready,
        Self::Busy,
        Self::Unhealthy,
        Self::CompletedRetained,
        Self::SafeToClose,
        Self::StaleRegistry,
        Self::CleanupReleased,
        Self::Closed,
    ];

    /// The word that users see.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Provisioning => "provisioning",
            Self::Ready => "ready",
            Self::Busy => "busy",
            Self::Unhealthy => "unhealthy",
            Self::CompletedRetained => "completed-retained",
            Self::SafeToClose => "safe-to-close",
            Self::StaleRegistry => "stale-registry",
            Self::CleanupReleased => "cleanup-released",
            Self::Closed => "closed",
        }
    }

    /// Provisioning, ready, busy or unhealthy.
    #[must_use]
    pub fn is_live(self) -> bool {
        matches!(self, Self::Provisioning | Self::Ready | Self::Busy | Self::Unhealthy)
    }
}

impl fmt::Display for WorkerPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// What can happen to a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WorkerMove {
    /// The nonce was echoed in time.
    Echoed,
    /// It was given its assignment.
    Dispatched,
    /// Nonce, acknowledgement or beat overdue.
    FellSilent,
    /// A fresh beat of the same incarnation, before its dispatch.
    BeatWaiting,
    /// A fresh beat of the same incarnation, holding its assignment.
    BeatBusy,
    /// It beats, but its child has done nothing for long: alive isn't progressing.
    Stalled,
    /// Its child does something again.
    Progressed,
    /// Its host has taken it and hasn't started it yet: the reason says why.
    Queued,
    /// Its host has started it, and nothing of it has said so yet.
    Starting,
    /// It is known to have begun: from now on its readiness is waited for.
    Begun,
    /// A launch step failed, or an attested probe says it isn't what the row says.
    WentStale,
    /// The work is over and retention is wanted.
    Retained,
    /// The work is over and retention isn't wanted.
    Freed,
    /// The session vanished after the work was over; the worktree still counts.
    SessionGone,
    /// A person's release, with the close verdict's reasons.
    Released,
    /// `retain`, or a later probe saw changes or a live process.
    Unreleased,
    /// `cleanup --safe` accepted it.
    CleanedUp,
    /// Session and tree were observed absent.
    SeenAbsent,
    /// Seen again with the same identity, holding its assignment.
    SeenAgain,
    /// The session is absent, the tree is there, and a snapshot was taken.
    TreeKept,
}

impl WorkerMove {
    /// All of them.
    pub const ALL: [Self; 20] = [
        Self::Echoed,
        Self::Dispatched,
        Self::FellSilent,
        Self::BeatWaiting,
        Self::BeatBusy,
        Self::Stalled,
        Self::Progressed,
        Self::Queued,
        Self::Starting,
        Self::Begun,
        Self::WentStale,
        Self::Retained,
        Self::Freed,
        Self::SessionGone,
        Self::Released,
        Self::Unreleased,
        Self::CleanedUp,
        Self::SeenAbsent,
        Self::SeenAgain,
        Self::TreeKept,
    ];
}

/// Where `step` leads from `from`.
///
/// # Errors
/// [`Illegal`] for every pair that laws.md doesn't list.
pub fn next(from: WorkerPhase, step: WorkerMove) -> Result<WorkerPhase, Illegal<WorkerPhase, WorkerMove>> {
    use WorkerMove as M;
    use WorkerPhase as P;
    let to = match (step, from) {
        (M::Echoed, P::Provisioning) | (M::BeatWaiting, P::Unhealthy) => P::Ready,
        (M::Dispatched, P::Ready)
        | (M::BeatBusy, P::Unhealthy)
        | (M::Stalled | M::Progressed, P::Busy)
        | (M::SeenAgain, P::StaleRegistry) => P::Busy,
        (M::Queued | M::Starting | M::Begun, P::Provisioning) => P::Provisioning,
        (M::FellSilent, P::Provisioning | P::Ready | P::Busy) => P::Unhealthy,
        (M::WentStale, P::Provisioning | P::Ready | P::Busy | P::Unhealthy) => P::StaleRegistry,
        (M::Retained, P::Provisioning | P::Ready | P::Busy | P::Unhealthy)
        | (M::SessionGone, P::CompletedRetained)
        | (M::Unreleased, P::SafeToClose)
        | (M::TreeKept, P::StaleRegistry) => P::CompletedRetained,
        (M::Freed, P::Provisioning | P::Ready | P::Busy | P::Unhealthy)
        | (M::SessionGone, P::SafeToClose)
        | (M::Released, P::CompletedRetained) => P::SafeToClose,
        (M::CleanedUp, P::SafeToClose) => P::CleanupReleased,
        (M::SeenAbsent, P::StaleRegistry | P::CleanupReleased) => P::Closed,
        // Spelled out by step, so that whoever adds one decides its rows above.
        (
            M::Echoed
            | M::Dispatched
            | M::FellSilent
            | M::BeatWaiting
            | M::BeatBusy
            | M::Stalled
            | M::Progressed
            | M::Queued
            | M::Starting
            | M::Begun
            | M::WentStale
            | M::Retained
            | M::Freed
            | M::SessionGone
            | M::Released
            | M::Unreleased
            | M::CleanedUp
            | M::SeenAbsent
            | M::SeenAgain
            | M::TreeKept,
            _,
        ) => return Err(Illegal { from, tried: step }),
    };
    Ok(to)
}

#[cfg(test)]
mod tests {
    use super::WorkerMove as M;
    use super::WorkerPhase as P;
    use super::{WorkerMove, WorkerPhase, next};

    /// Every legal step of laws.md, as (from, step, to).
    fn legal() -> Vec<(WorkerPhase, WorkerMove, WorkerPhase)> {
        let mut rows = vec![
            (P::Provisioning, M::Echoed, P::Ready),
            (P::Ready, M::Dispatched, P::Busy),
            (P::Provisioning, M::FellSilent, P::Unhealthy),
            (P::Ready, M::FellSilent, P::Unhealthy),
            (P::Busy, M::FellSilent, P::Unhealthy),
            (P::Unhealthy, M::BeatWaiting, P::Ready),
            (P::Unhealthy, M::BeatBusy, P::Busy),
            (P::Busy, M::Stalled, P::Busy),
            (P::Busy, M::Progressed, P::Busy),
            (P::Provisioning, M::Queued, P::Provisioning),
            (P::Provisioning, M::Starting, P::Provisioning),
            (P::Provisioning, M::Begun, P::Provisioning),
            (P::CompletedRetained, M::SessionGone, P::CompletedRetained),
            (P::SafeToClose, M::SessionGone, P::SafeToClose),
            (P::CompletedRetained, M::Released, P::SafeToClose),
            (P::SafeToClose, M::Unreleased, P::CompletedRetained),
            (P::SafeToClose, M::CleanedUp, P::CleanupReleased),
            (P::StaleRegistry, M::SeenAgain, P::Busy),
            (P::StaleRegistry, M::TreeKept, P::CompletedRetained),
            (P::StaleRegistry, M::SeenAbsent, P::Closed),
            (P::CleanupReleased, M::SeenAbsent, P::Closed),
        ];
        for live in WorkerPhase::ALL.into_iter().filter(|phase| phase.is_live()) {
            rows.extend([
                (live, M::WentStale, P::StaleRegistry),
                (live, M::Retained, P::CompletedRetained),
                (live, M::Freed, P::SafeToClose),
            ]);
        }
        rows
    }

    #[test]
    fn every_row_of_the_worker_table_leads_where_the_laws_say() {
        for (from, step, to) in legal() {
            assert_eq!(next(from, step), Ok(to), "{from} {step:?}");
        }
    }

    #[test]
    fn every_other_pair_of_the_worker_table_is_an_illegal_value() {
        let legal = legal();
        for from in WorkerPhase::ALL {
            for step in WorkerMove::ALL {
                if !legal.iter().any(|row| row.0 == from && row.1 == step) {
                    assert!(next(from, step).is_err(), "{from} {step:?}");
                }
            }
        }
    }

    #[test]
    fn a_busy_worker_is_never_retained_released_or_cleaned_up_by_a_person() {
        for step in [M::Released, M::Unreleased, M::CleanedUp] {
            for from in WorkerPhase::ALL.into_iter().filter(|phase| phase.is_live()) {
                assert!(next(from, step).is_err(), "{from} {step:?}");
            }
        }
        assert!(next(P::CompletedRetained, M::CleanedUp).is_err());
    }

    #[test]
    fn nothing_leaves_closed() {
        for step in WorkerMove::ALL {
            assert!(next(P::Closed, step).is_err(), "{step:?}");
        }
    }
}
