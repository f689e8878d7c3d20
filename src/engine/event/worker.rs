//! What is journaled of workers and their claims.
//!
//! It leaves out what they say (`ReportEvent`) and what is checked (`EvidenceEvent`).

use serde::{Deserialize, Serialize};

use crate::engine::budget::{Amounts, Charge};
use crate::engine::evidence::ChildExit;
use crate::engine::moment::Moment;
use crate::engine::named::Named;
use crate::engine::worker_table::WorkerMove;

/// What happened to a worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorkerEvent {
    /// `<task>.<attempt>`.
    pub worker: String,
    /// Code and detail; empty where the state says it all.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// What happened.
    pub step: WorkerStep,
}

/// One step of a worker, with what the state needs to remember of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WorkerStep {
    /// It will be made: the intent, before anything is touched.
    Provisioning {
        /// Its claim's token.
        token: u64,
        /// The full commit id that its tree starts at.
        start: String,
        /// SHA-256 of the nonce that it must echo.
        nonce_sha256: String,
    },
    /// Tree and session were made; the phase stays.
    Launched {
        /// Where the files are; none for an attempt without a worktree.
        workspace: Option<Place>,
        /// Where the process is.
        session: Place,
        /// The first port of its block.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        port: Option<u16>,
    },
    /// A table step that needs nothing beside it.
    Moved {
        /// Which.
        #[serde(rename = "move")]
        to: PlainMove,
    },
    /// See [`WorkerMove::Echoed`].
    Echoed {
        /// As the worker said.
        pid: u32,
        /// As the worker said, RFC 3339.
        started_at: String,
    },
    /// Its child ended: the settlement, when it was observed; the phase stays.
    Ended {
        /// How.
        exit: ChildExit,
        /// Processes that couldn't be ended with it.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        survivors: Vec<u32>,
        /// What it used, as it was measured.
        #[serde(default, skip_serializing_if = "Amounts::is_empty")]
        usage: Amounts,
    },
    /// Its session is to be ended; the phase stays.
    Stopping {
        /// Without a grace.
        force: bool,
    },
    /// Its session was ended on our wish; the phase stays.
    Stopped,
    /// Something of this run was found that the journal doesn't tell of: it is listed as
    /// stale-registry, and its task isn't claimed beside it.
    Found {
        /// The token that its assignment names.
        token: Option<u64>,
        /// Where the files are, if there are any.
        workspace: Option<Place>,
        /// Where the process is, or was.
        session: Option<Place>,
        /// Its session lives, or nobody could look.
        lives: bool,
    },
    /// The session of something that was found was seen to have ended; the phase stays.
    Departed,
    /// Its host has stopped it for a while: none of its time counts until it goes on; the phase
    /// stays.
    Suspended,
    /// Its host lets it go on; the phase stays.
    Continued,
    /// What its tree held was kept as a commit; the phase stays.
    Captured {
        /// What was kept; none for an attempt without a worktree.
        snapshot: Option<Snapshot>,
    },
    /// It submitted tasks, none of which is planned; the reason says why, the phase stays.
    SubmissionRefused {
        /// The number of the submission, from 1.
        n: u32,
        /// The place of the first wrong task in it, from 0.
        index: usize,
        /// SHA-256 of its bytes, in hex.
        sha256: String,
    },
    /// See [`WorkerMove::Released`].
    Released {
        /// What was looked at, and what was seen.
        observations: Vec<String>,
    },
}

/// Table steps that carry nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlainMove {
    /// See [`WorkerMove::Dispatched`].
    Dispatched,
    /// See [`WorkerMove::FellSilent`].
    FellSilent,
    /// See [`WorkerMove::BeatWaiting`].
    BeatWaiting,
    /// See [`WorkerMove::BeatBusy`].
    BeatBusy,
    /// See [`WorkerMove::Stalled`].
    Stalled,
    /// See [`WorkerMove::Progressed`].
    Progressed,
    /// See [`WorkerMove::Queued`].
    Queued,
    /// See [`WorkerMove::Starting`].
    Starting,
    /// See [`WorkerMove::Begun`].
    Begun,
    /// See [`WorkerMove::WentStale`].
    WentStale,
    /// See [`WorkerMove::Retained`].
    Retained,
    /// See [`WorkerMove::Freed`].
    Freed,
    /// See [`WorkerMove::SessionGone`].
    SessionGone,
    /// See [`WorkerMove::Unreleased`].
    Unreleased,
    /// See [`WorkerMove::CleanedUp`].
    CleanedUp,
    /// See [`WorkerMove::SeenAbsent`].
    SeenAbsent,
    /// See [`WorkerMove::SeenAgain`].
    SeenAgain,
    /// See [`WorkerMove::TreeKept`].
    TreeKept,
}

impl WorkerStep {
    /// The table's step; `None` where the phase stays.
    #[must_use]
    pub fn table(&self) -> Option<WorkerMove> {
        match self {
            Self::Provisioning { .. }
            | Self::Launched { .. }
            | Self::Ended { .. }
            | Self::Stopping { .. }
            | Self::Stopped
            | Self::Found { .. }
            | Self::Departed
            | Self::Suspended
            | Self::Continued
            | Self::Captured { .. }
            | Self::SubmissionRefused { .. } => None,
            Self::Echoed { .. } => Some(WorkerMove::Echoed),
            Self::Released { .. } => Some(WorkerMove::Released),
            Self::Moved { to } => Some(match to {
                PlainMove::Dispatched => WorkerMove::Dispatched,
                PlainMove::FellSilent => WorkerMove::FellSilent,
                PlainMove::BeatWaiting => WorkerMove::BeatWaiting,
                PlainMove::BeatBusy => WorkerMove::BeatBusy,
                PlainMove::Stalled => WorkerMove::Stalled,
                PlainMove::Progressed => WorkerMove::Progressed,
                PlainMove::Queued => WorkerMove::Queued,
                PlainMove::Starting => WorkerMove::Starting,
                PlainMove::Begun => WorkerMove::Begun,
                PlainMove::WentStale => WorkerMove::WentStale,
                PlainMove::Retained => WorkerMove::Retained,
                PlainMove::Freed => WorkerMove::Freed,
                PlainMove::SessionGone => WorkerMove::SessionGone,
                PlainMove::Unreleased => WorkerMove::Unreleased,
                PlainMove::CleanedUp => WorkerMove::CleanedUp,
                PlainMove::SeenAbsent => WorkerMove::SeenAbsent,
                PlainMove::SeenAgain => WorkerMove::SeenAgain,
                PlainMove::TreeKept => WorkerMove::TreeKept,
            }),
        }
    }
}

/// A substrate's handle as the journal keeps it (the mark follows from the worker).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The substrate.
    pub kind: String,
    /// What a person would type.
    pub id: String,
    /// What proves identity.
    pub fields: Named<String>,
}

/// What a tree held when its attempt was over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The commit that holds everything: the branch's tip where nothing was uncommitted.
    pub commit: String,
    /// The branch's tip.
    pub tip: String,
    /// Paths that were uncommitted, a bounded list.
    pub uncommitted: Vec<String>,
    /// Those among them that are tracked: a new file is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changed: Vec<String>,
}

/// What happened to a claim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimEvent {
    /// The task held.
    pub task: String,
    /// `<task>.<attempt>`.
    pub worker: String,
    /// Fences: nothing said under an older one has any effect.
    pub token: u64,
    /// What happened.
    pub step: ClaimStep,
}

/// One step of a claim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClaimStep {
    /// Given out.
    Granted {
        /// Until then without a beat.
        expires: Moment,
        /// What is set aside for it.
        #[serde(default, skip_serializing_if = "Amounts::is_empty")]
        reserved: Amounts,
    },
    /// A beat of the holder moved the expiry.
    Renewed {
        /// Until then without another.
        expires: Moment,
    },
    /// The holder was silent for too long: recoverable, not dead.
    Expired,
    /// The token is dead.
    Revoked {
        /// By what observation or whom.
        reason: String,
    },
    /// The attempt was settled.
    Closed,
    /// What it used was charged, once and for good; what was set aside beyond that is free.
    Settled(Charge),
}
