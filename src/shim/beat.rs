//! Heartbeats: when the next one is due, and writing it.
//!
//! It leaves out what a missing beat means. A beat that can't be written is tried
//! again at the next: a full disk or a vanished folder ends no work.

use super::{clock, process};
use crate::mail;
use crate::protocol::{AgentPhase, ChildFacts, HEARTBEAT, Heartbeat, Progress, WORKER_SCHEMA};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The beats of one incarnation.
#[derive(Debug)]
pub(super) struct Beats {
    mail: PathBuf,
    seq: u64,
    every: Duration,
    due_at: Instant,
    cpu_ms: u64,
}

impl Beats {
    /// Beats into `mail`, the first one `every` from now.
    pub(super) fn new(mail: PathBuf, every: Duration) -> Self {
        Self { mail, seq: 0, every, due_at: clock::now() + every, cpu_ms: 0 }
    }

    /// Another rhythm from now on; the next beat is due at `due_at`.
    pub(super) fn change(&mut self, every_ms: u64, due_at: Instant) {
        // Faster would only wear the disk, slower would look dead.
        self.every = Duration::from_millis(every_ms.clamp(50, 600_000));
        self.due_at = due_at;
    }

    /// When the next one is due.
    pub(super) fn due_at(&self) -> Instant {
        self.due_at
    }

    /// Writes one without a child: no assignment was read yet.
    pub(super) fn idle(&mut self, note: Option<String>) {
        self.write(None, None, Progress::default(), note);
    }

    /// Writes one under `token`; without a child while it waits for an answer.
    pub(super) fn busy(&mut self, token: u64, child: Option<&ChildFacts>, signs: Signs) {
        let child = child.map(|child| ChildFacts { alive: lives(child), ..child.clone() });
        // A process between its end and its reaping is counted nowhere for a moment.
        self.cpu_ms = self.cpu_ms.max(process::cpu_ms());
        let Signs { output_bytes, events, phase, note } = signs;
        let progress = Progress { output_bytes, cpu_ms: self.cpu_ms, events, phase };
        self.write(Some(token), child, progress, note);
    }

    fn write(
        &mut self,
        token: Option<u64>,
        child: Option<ChildFacts>,
        progress: Progress,
        note: Option<String>,
    ) {
        self.seq += 1;
        self.due_at = clock::now() + self.every;
        let schema = WORKER_SCHEMA.to_owned();
        let beat = Heartbeat { schema, token, seq: self.seq, at: clock::label(), child, progress, note };
        let _ = mail::write_json(&self.mail, HEARTBEAT, &beat, false);
    }
}

fn lives(child: &ChildFacts) -> bool {
    let same = |facts: &process::Stat| child.start_ticks.is_none_or(|ticks| ticks == facts.start_ticks);
    process::stat(child.pid).is_some_and(|facts| same(&facts) && !facts.is_zombie)
}

/// What a beat tells beside who lives.
#[derive(Debug, Default)]
pub(super) struct Signs {
    /// Bytes printed so far.
    pub(super) output_bytes: u64,
    /// Signs of an agent's progress so far.
    pub(super) events: Option<u64>,
    /// What the agent is at.
    pub(super) phase: Option<AgentPhase>,
    /// For a person.
    pub(super) note: Option<String>,
}

/// Names the child of a setup, so that it can be ended when this shim is gone. It counts as
/// number 0: the worker's own beats, whoever writes them, begin after it.
pub(super) fn of_setup(mail: &Path, child: &ChildFacts) {
    let beat = Heartbeat {
        schema: WORKER_SCHEMA.to_owned(),
        token: None,
        seq: 0,
        at: clock::label(),
        child: Some(child.clone()),
        progress: Progress::default(),
        note: None,
    };
    let _ = mail::write_json(mail, HEARTBEAT, &beat, false);
}
