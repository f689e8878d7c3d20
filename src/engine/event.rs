//! All that is ever journaled. The state of a run is the fold of these.
//!
//! An event says what happened, never what to do: what is owed is derived from the
//! state (`outstanding.rs`). It leaves out sequence, time and digest, which the
//! journal adds, and wording, which `render` adds.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::budget::Amounts;
use super::evidence::{Accepted, Checked};
use super::halt::{Halt, Halted};
use super::moment::Moment;
use super::task_table::TaskMove;
use crate::workflow::{SessionKind, Workflow};

mod adopted;
mod drift;
mod extended;
mod setup;
mod worker;

pub use adopted::Adopted;
pub use drift::{Drift, DriftChange, Drifted};
pub use extended::{Answered, Extended, Outcome, Submitted};
pub use setup::SetupApproval;
pub use worker::{ClaimEvent, ClaimStep, Place, PlainMove, Snapshot, WorkerEvent, WorkerStep};

/// One event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// Something happened to the run.
    Run(RunEvent),
    /// Something happened to a task.
    Task(TaskEvent),
    /// Something happened to a worker.
    Worker(WorkerEvent),
    /// Something happened to a claim.
    Claim(ClaimEvent),
    /// A worker said something.
    Report(ReportEvent),
    /// ilchul checked something.
    Evidence(EvidenceEvent),
    /// Something arrived that changes nothing.
    Ignored(Ignored),
}

/// What happened to a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunEvent {
    /// The root: one per run, always first.
    Started(Box<Started>),
    /// Another supervisor went on with it.
    Resumed {
        /// The supervisor's process.
        pid: u32,
        /// The kernel's boot id: tells a reboot from a restart.
        boot: String,
        /// The kernel's monotonic clock at this event, in milliseconds.
        mono_ms: u64,
    },
    /// The supervisor stopped before the end; workers may live on.
    Interrupted {
        /// A signal, `down`, or trouble of its own.
        reason: String,
    },
    /// A person asked for the end of every live worker; nothing new starts.
    Stopping {
        /// Without a grace.
        force: bool,
    },
    /// Every task has ended.
    Ended {
        /// Whether every task completed, or was skipped by design.
        success: bool,
        /// What stopped it before its tasks were through, if anything did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        halted: Option<Halt>,
    },
    /// It is stopped before its tasks are through: nothing new starts.
    Halted(Halted),
    /// A person's `retry` after the end.
    Reopened {
        /// The task they named.
        task: String,
    },
    /// A person's `up --adopt`: the edited workflow takes the place of the old one.
    Adopted(Box<Adopted>),
    /// A control task made tasks, or a worker submitted some.
    Extended(Box<Extended>),
    /// Something changed where no worker has any business, while some were at work (law R5).
    Drifted(Box<Drifted>),
}

/// What a run starts from, frozen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Started {
    /// The run's id.
    pub run: String,
    /// The file's path in the repository: the workflow's identity.
    pub path: String,
    /// SHA-256 of the file's bytes, in hex.
    pub digest: String,
    /// The full commit id that tasks start from.
    pub base: String,
    /// What `base` was written as.
    pub base_name: String,
    /// Other commit-ishes that tasks start from, resolved once: as written to full id.
    pub bases: BTreeMap<String, String>,
    /// What hosts the workers.
    pub session: SessionKind,
    /// Live workers at once.
    pub workers: u32,
    /// Only these tasks were asked for, with what they need; empty: all.
    pub only: Vec<String>,
    /// What was approved of the repository's setup; none where it brings none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub setup: Option<SetupApproval>,
    /// The supervisor's process.
    pub pid: u32,
    /// The kernel's boot id.
    pub boot: String,
    /// The kernel's monotonic clock at the start, in milliseconds.
    pub mono_ms: u64,
    /// The validated workflow, so that nobody needs the file again.
    pub workflow: Workflow,
}

/// What happened to a task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskEvent {
    /// Its id.
    pub task: String,
    /// Code and detail, as `code` or `code: detail`; empty where the state says it all.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// What happened.
    pub step: TaskStep,
}

/// One step of a task, with what the state needs to remember of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskStep {
    /// See [`TaskMove::NeedsMet`].
    NeedsMet,
    /// See [`TaskMove::NeedsImpossible`].
    NeedsImpossible {
        /// The task at the start of the chain of causes.
        root: String,
        /// Nothing it needs failed or was cancelled.
        by_design: bool,
    },
    /// See [`TaskMove::Deferred`].
    Deferred {
        /// The gate's stage.
        stage: String,
        /// Not before this moment, where one is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Moment>,
    },
    /// See [`TaskMove::Denied`].
    Denied {
        /// The gate's stage.
        stage: String,
    },
    /// See [`TaskMove::Opened`].
    Opened,
    /// See [`TaskMove::Asked`].
    Asked,
    /// See [`TaskMove::Claimed`].
    Claimed {
        /// Its ordinal, from 1.
        attempt: u32,
        /// The worker whose expired claim this one recovers.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        recovered_from: Option<String>,
    },
    /// See [`TaskMove::Acknowledged`].
    Acknowledged,
    /// See [`TaskMove::HostFailed`].
    HostFailed {
        /// Not before this moment.
        until: Moment,
    },
    /// See [`TaskMove::LaunchFailed`].
    LaunchFailed {
        /// An attempt is left.
        again: bool,
    },
    /// See [`TaskMove::Worked`].
    Worked,
    /// See [`TaskMove::AttemptFailed`].
    AttemptFailed {
        /// An attempt is left.
        again: bool,
    },
    /// See [`TaskMove::WentPartial`].
    WentPartial,
    /// See [`TaskMove::Blocked`].
    Blocked,
    /// See [`TaskMove::Unblocked`].
    Unblocked,
    /// See [`TaskMove::Unblocked`]: a person's answer, which is owed to the worker from now on.
    Answered {
        /// Which answer of the attempt, from 1.
        n: u32,
        /// The login name of whoever said it.
        by: String,
        /// In their words.
        text: String,
    },
    /// See [`TaskMove::RateLimited`].
    RateLimited {
        /// Not before this moment.
        until: Moment,
    },
    /// See [`TaskMove::Requeued`].
    Requeued,
    /// See [`TaskMove::Recovered`].
    Recovered {
        /// An attempt is left.
        again: bool,
    },
    /// See [`TaskMove::DecidedSkip`].
    DecidedSkip,
    /// See [`TaskMove::DecidedAccept`].
    DecidedAccept,
    /// See [`TaskMove::Verified`]: holds the only proof that leads there.
    Verified {
        /// What ilchul verified.
        accepted: Accepted,
    },
    /// See [`TaskMove::Refuted`].
    Refuted,
    /// See [`TaskMove::Repaired`].
    Repaired {
        /// An attempt is left.
        again: bool,
    },
    /// See [`TaskMove::Cancelled`].
    Cancelled,
    /// See [`TaskMove::Reopened`].
    Reopened,
    /// See [`TaskMove::Rearmed`].
    Rearmed,
    /// See [`TaskMove::Replanned`].
    Replanned,
    /// See [`TaskMove::Withdrawn`].
    Withdrawn,
}

impl TaskStep {
    /// The table's step.
    #[must_use]
    pub fn table(&self) -> TaskMove {
        match self {
            Self::NeedsMet => TaskMove::NeedsMet,
            Self::NeedsImpossible { .. } => TaskMove::NeedsImpossible,
            Self::Deferred { .. } => TaskMove::Deferred,
            Self::Denied { .. } => TaskMove::Denied,
            Self::Opened => TaskMove::Opened,
            Self::Asked => TaskMove::Asked,
            Self::Claimed { .. } => TaskMove::Claimed,
            Self::Acknowledged => TaskMove::Acknowledged,
            Self::HostFailed { .. } => TaskMove::HostFailed,
            Self::LaunchFailed { again } => TaskMove::LaunchFailed { again: *again },
            Self::Worked => TaskMove::Worked,
            Self::AttemptFailed { again } => TaskMove::AttemptFailed { again: *again },
            Self::WentPartial => TaskMove::WentPartial,
            Self::Blocked => TaskMove::Blocked,
            Self::Unblocked | Self::Answered { .. } => TaskMove::Unblocked,
            Self::RateLimited { .. } => TaskMove::RateLimited,
            Self::Requeued => TaskMove::Requeued,
            Self::Recovered { again } => TaskMove::Recovered { again: *again },
            Self::DecidedSkip => TaskMove::DecidedSkip,
            Self::DecidedAccept => TaskMove::DecidedAccept,
            Self::Verified { .. } => TaskMove::Verified,
            Self::Refuted => TaskMove::Refuted,
            Self::Repaired { again } => TaskMove::Repaired { again: *again },
            Self::Cancelled => TaskMove::Cancelled,
            Self::Reopened => TaskMove::Reopened,
            Self::Rearmed => TaskMove::Rearmed,
            Self::Replanned => TaskMove::Replanned,
            Self::Withdrawn => TaskMove::Withdrawn,
        }
    }
}

/// What a worker said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReportEvent {
    /// Whose mail it was in.
    pub worker: String,
    /// What became of it.
    pub step: ReportStep,
}

/// What became of a report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReportStep {
    /// Under the live token, whole, and about this task.
    Accepted {
        /// Its status word.
        status: String,
        /// Its summary.
        summary: String,
        /// Its reason.
        reason: Option<String>,
        /// What dependents may read.
        #[serde(default, skip_serializing_if = "Map::is_empty")]
        outputs: Map<String, Value>,
        /// Claimed hashes and commits, by the item they belong to.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        claims: Vec<Value>,
        /// What it says that it cost.
        #[serde(default, skip_serializing_if = "Amounts::is_empty")]
        usage: Amounts,
        /// The seconds after which its provider lets it try again.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after: Option<u64>,
        /// Which answer it waits for, if it says so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        question: Option<u32>,
        /// Its shim wrote it.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        by_shim: bool,
        /// SHA-256 of its bytes, in hex: the same report again is no news.
        sha256: String,
    },
    /// Anything else: kept, shown, without effect.
    Refused {
        /// Why, as a code.
        code: String,
        /// Why, in words.
        detail: String,
        /// SHA-256 of its bytes, in hex.
        sha256: String,
    },
}

/// What ilchul checked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EvidenceEvent {
    /// Whose evidence.
    pub task: String,
    /// Of which attempt.
    pub attempt: u32,
    /// Which declared item, from 0.
    pub item: usize,
    /// What came out.
    pub checked: Checked,
}

/// Something that arrived and changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ignored {
    /// Whose, if it was a worker's.
    pub worker: Option<String>,
    /// What arrived.
    pub input: String,
    /// Why it changes nothing, as a code.
    pub code: String,
    /// Why, in words.
    pub detail: String,
}
