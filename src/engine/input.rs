//! All that can happen to us. The supervisor turns files, processes, clocks and
//! people's commands into these; each is an observation, never a conclusion.
//!
//! It leaves out how they were observed.

use serde::{Deserialize, Serialize};

use super::budget::Amounts;
use super::event::{Drift, Place, Snapshot};
use super::evidence::{Checked, ChildExit};
use crate::protocol::{Report, Submission};

/// One thing that reached us.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// The clock moved; whatever is due may be decided.
    Tick,
    /// The supervisor couldn't look for a while: every worker gets a whole fresh grace (law L17).
    Blind,
    /// About one worker.
    Worker {
        /// `<task>.<attempt>`.
        worker: String,
        /// What was seen.
        seen: Seen,
    },
    /// A person's command.
    Request(Request),
    /// What a new life found of this run's attempts by their marks, all of it at once: nothing
    /// may be claimed between two of them.
    Remnants(Vec<Remnant>),
    /// A look round the workers, at what none of them has any business with.
    Looked {
        /// Who was at work since the look before it.
        workers: Vec<String>,
        /// What changed since then.
        drift: Drift,
    },
    /// A signal asked the supervisor to stop; workers live on.
    Interrupted {
        /// The signal's name.
        reason: String,
    },
}

/// What there is of an attempt, found by its mark. The journal may not know the attempt: an
/// older copy of it was put back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remnant {
    /// `<task>.<attempt>`.
    pub worker: String,
    /// The token that its assignment names, where there is one.
    pub token: Option<u64>,
    /// Where its files are, if there are any.
    pub workspace: Option<Place>,
    /// Where its process is, or was.
    pub session: Option<Place>,
    /// Its session lives, or nobody could look.
    pub lives: bool,
}

/// What was seen of one worker.
#[derive(Debug, Clone, PartialEq)]
pub enum Seen {
    /// Tree, mail and session were made.
    Launched {
        /// The files' place; none without a worktree.
        workspace: Option<Place>,
        /// The process's place.
        session: Place,
        /// The first port of its block; none where it isn't known.
        port: Option<u16>,
    },
    /// A launch step failed.
    LaunchFailed {
        /// `workspace`, `mail`, `session`.
        step: &'static str,
        /// What was tried and what was wrong.
        detail: String,
        /// The host's trouble (disk, tmux, limits), not the task's.
        host: bool,
    },
    /// Its host has taken it, and holds it in a queue.
    Queued {
        /// Why, in the host's words.
        reason: String,
    },
    /// Its host runs it, and nothing of it was heard or seen yet.
    Starting {
        /// Where, in the host's words.
        reason: String,
    },
    /// It runs its own part.
    Begun {
        /// What it is at, in the host's words; empty where only its readiness is to come.
        reason: String,
    },
    /// Its host has stopped it for a while: its silence says nothing, and none of its time counts.
    Suspended {
        /// What its host says.
        reason: String,
    },
    /// Its host lets it run, whatever was before.
    GoesOn,
    /// It wrote `ready.json`.
    Ready {
        /// What it echoed.
        nonce: String,
        /// Its process.
        pid: u32,
        /// RFC 3339, as it said.
        started_at: String,
        /// Its real working directory is the tree, as far as it could be looked at.
        in_tree: bool,
    },
    /// It wrote `ack.json`.
    Acknowledged {
        /// The token it names.
        token: u64,
    },
    /// It wrote `heartbeat.json`.
    Beat(Beat),
    /// It wrote `report.json`, and the file reads as a report.
    Reported {
        /// What it says.
        report: Box<Report>,
        /// SHA-256 of the bytes, in hex.
        sha256: String,
    },
    /// It wrote `submit-<n>.json`, and the file reads as a submission.
    Submitted {
        /// Its number, from 1.
        n: u32,
        /// The token, and the tasks as they were written.
        submission: Submission,
        /// SHA-256 of the bytes, in hex.
        sha256: String,
    },
    /// It wrote a file that can't be believed.
    BadFile {
        /// Which file.
        file: String,
        /// What is wrong, as a code.
        code: String,
        /// What is wrong, in words.
        detail: String,
        /// SHA-256 of the bytes read, in hex; empty where none were.
        sha256: String,
    },
    /// The child ended, and whatever it wrote before was handed in first.
    Ended {
        /// The token that the record names; `None`: it comes from the session itself.
        token: Option<u64>,
        /// How.
        exit: ChildExit,
        /// What couldn't be ended with it.
        survivors: Vec<u32>,
        /// It couldn't be started.
        error: Option<String>,
        /// What it used, as its shim was told by the agent's own figures.
        usage: Amounts,
    },
    /// Session and process are proven gone without a record of an end.
    Gone {
        /// What was looked at.
        detail: String,
    },
    /// Its session was ended on our wish.
    Stopped {
        /// What went wrong, if it did.
        trouble: Option<String>,
    },
    /// Nobody could look for the session that is to be ended: it is still to be ended.
    NotStopped {
        /// What was tried and what was wrong.
        detail: String,
    },
    /// What its tree held was kept.
    Captured {
        /// What was kept; the trouble, where it couldn't be.
        snapshot: Result<Snapshot, String>,
    },
    /// What is left of a worker whose work is over was proven to be gone.
    Vanished {
        /// Its session is gone, and it had a terminal to keep.
        session: bool,
        /// Its worktree is gone.
        tree: bool,
    },
    /// Its evidence was looked at.
    Judged {
        /// One for each declared item, in order.
        checked: Vec<Checked>,
    },
}

/// One heartbeat, as far as the engine cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Beat {
    /// The claim it is made under; `None` before the dispatch.
    pub token: Option<u64>,
    /// Rises with each beat of one incarnation.
    pub seq: u64,
    /// The child lives, where there is one.
    pub alive: Option<bool>,
    /// What moves when work is done: the signs of an agent's progress where those are told, else
    /// output bytes and CPU time together.
    pub progress: u64,
    /// Whether the child waits for a person, where its shim can tell.
    pub asks: Option<bool>,
}

/// What a person asks of a run. Written by other processes into the journal's `requests`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "snake_case")]
pub enum Request {
    /// Grant a failed, partial or cancelled task one more attempt.
    Retry {
        /// Which.
        task: String,
    },
    /// End a task that hasn't ended.
    Cancel {
        /// Which.
        task: String,
    },
    /// End the live workers and the supervisor.
    Down {
        /// Without a grace.
        force: bool,
    },
    /// Mark a retained worker as safe to close.
    Release {
        /// `<task>.<attempt>`.
        worker: String,
        /// What was looked at, and what was seen.
        observations: Vec<String>,
    },
    /// Take that mark back.
    Retain {
        /// `<task>.<attempt>`.
        worker: String,
    },
    /// Take it back because a later look saw something to lose.
    Withdraw {
        /// `<task>.<attempt>`.
        worker: String,
        /// What was seen.
        reasons: Vec<String>,
    },
    /// A safe-to-close worker is closed: its session is ended, its files are the person's to remove.
    CleanUp {
        /// `<task>.<attempt>`.
        worker: String,
        /// Who asked for it.
        by: String,
        /// What was looked at just before, and what was seen.
        observations: Vec<String>,
    },
    /// Decide what can't be known of an attempt.
    Decide {
        /// Which task.
        task: String,
        /// What to do.
        choice: Choice,
    },
    /// Answer the question that a task's worker asks.
    Respond {
        /// Which task.
        task: String,
        /// In the person's words.
        text: String,
        /// Their login name.
        who: String,
    },
    /// Answer the approval that a task waits for.
    Answer {
        /// Which task.
        task: String,
        /// Who says what.
        answer: Answer,
    },
}

/// A person's answer to an approval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Approved, else denied.
    pub yes: bool,
    /// Their login name.
    pub who: String,
    /// Why, in their words.
    pub reason: Option<String>,
}

/// A person's word on an attempt in doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Choice {
    /// Revoke it and try again.
    Rerun,
    /// Leave the task out.
    Skip,
    /// Check it as if it had reported.
    Accept,
}
