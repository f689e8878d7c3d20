//! One played worker: what a shim would write into mail, said step by step.
//!
//! It leaves out the process: one that only sleeps in the tree stands in for it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ilchul_conformance::PATIENCE;
use ilchul_substrate::{Exit, Mark, SessionSpec, State};
use serde_json::{Value, json};

use super::stage::{Acting, Backstage};
use crate::engine::event::{Event, WorkerStep};
use crate::mail;
use crate::protocol::{self, Assignment, Launch, REPORT_SCHEMA, WORKER_SCHEMA};

/// A worker on the stage.
pub(super) struct Actor {
    backstage: Arc<Backstage>,
    mark: Mark,
    pub(super) mail: PathBuf,
    pub(super) tree: PathBuf,
    beats: AtomicU64,
}

impl Actor {
    pub(super) fn new(backstage: Arc<Backstage>, mark: Mark, spec: &SessionSpec) -> Self {
        let of = |name: &str| {
            let found = spec.env.iter().find(|(key, _)| key == name).map(|(_, value)| PathBuf::from(value));
            found.unwrap_or_default()
        };
        let actor = Self {
            mail: of("ILCHUL_MAIL"),
            tree: of("ILCHUL_TREE"),
            backstage,
            mark,
            beats: AtomicU64::new(0),
        };
        actor.expect_intent("provisioning", |step| matches!(step, WorkerStep::Provisioning { .. }));
        actor
    }

    /// Law 1: whatever reaches a worker was journaled before.
    fn expect_intent(&self, what: &str, is: impl Fn(&WorkerStep) -> bool) {
        let ours = self.mark.worker();
        let there = self.backstage.on_disk().iter().any(|event| match event {
            Event::Worker(event) => event.worker == ours && is(&event.step),
            Event::Run(_)
            | Event::Task(_)
            | Event::Claim(_)
            | Event::Report(_)
            | Event::Evidence(_)
            | Event::Ignored(_) => false,
        });
        if !there {
            self.backstage.fault(format!("{ours}: {what} before it was on the disk"));
        }
    }

    fn say(&self, name: &str, value: &Value) {
        // The stage may be struck while an actor still speaks.
        let _ = mail::write_json(&self.mail, name, value, false);
    }

    /// Waits; false when the stage was struck or the session ended meanwhile.
    pub(super) fn wait(&self, met: impl FnMut() -> bool) -> bool {
        Acting::idle(&self.backstage, || self.await_cue(met))
    }

    fn await_cue(&self, mut met: impl FnMut() -> bool) -> bool {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            if met() {
                return true;
            }
            let state = self.backstage.sessions.state(&self.mark);
            let ended = !matches!(state, Some(State::Live(_) | State::Unknown(_)));
            if ended || self.backstage.is_called("curtain") {
                return false;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        false
    }

    /// Echoes `nonce`, or the true one.
    pub(super) fn ready(&self, nonce: Option<&str>) {
        let launch = std::fs::read(self.mail.join(protocol::LAUNCH)).unwrap();
        let launch: Launch = protocol::parse(&launch).unwrap();
        let standing =
            Command::new("sleep").arg("600").current_dir(&self.tree).stdin(Stdio::null()).spawn().unwrap();
        let pid = standing.id();
        self.backstage.keep(standing);
        let nonce = nonce.unwrap_or(&launch.nonce);
        self.say(
            protocol::READY,
            &json!({"schema": WORKER_SCHEMA, "worker": launch.worker, "nonce": nonce, "pid": pid, "started_at": "then"}),
        );
    }

    /// Waits for its assignment and acknowledges it: from here on its body runs.
    pub(super) fn take(&self) -> Option<Assignment> {
        let path = self.mail.join(protocol::ASSIGNMENT);
        if !self.wait(|| path.exists()) {
            return None;
        }
        self.expect_intent("an assignment", |step| {
            matches!(step, WorkerStep::Moved { to: crate::engine::event::PlainMove::Dispatched })
        });
        let assignment: Assignment = protocol::parse(&std::fs::read(path).ok()?).ok()?;
        self.say(protocol::ACK, &json!({"schema": WORKER_SCHEMA, "token": assignment.token}));
        self.backstage.count(&self.mark.worker());
        Some(assignment)
    }

    /// Both of the above.
    pub(super) fn begin(&self) -> Option<Assignment> {
        self.ready(None);
        self.take()
    }

    /// One heartbeat.
    pub(super) fn beat(&self, assignment: &Assignment) {
        let seq = self.beats.fetch_add(1, Ordering::SeqCst) + 1;
        self.say(
            protocol::HEARTBEAT,
            &json!({"schema": WORKER_SCHEMA, "token": assignment.token, "seq": seq, "at": "now"}),
        );
    }

    /// A report.
    pub(super) fn report(&self, assignment: &Assignment, status: &str, summary: &str) {
        self.say(
            protocol::REPORT,
            &json!({"schema": REPORT_SCHEMA, "task": assignment.task, "attempt": assignment.attempt,
                "token": assignment.token, "status": status, "summary": summary}),
        );
    }

    /// The end on record, as a shim leaves it.
    pub(super) fn exit(&self, assignment: &Assignment, code: i32) {
        self.say(
            protocol::EXIT,
            &json!({"schema": WORKER_SCHEMA, "token": assignment.token, "code": code, "signal": null,
                "started_at": "then", "ended_at": "now"}),
        );
        self.leave(code);
    }

    /// The session's own end.
    pub(super) fn leave(&self, code: i32) {
        self.backstage.sessions.set_state(&self.mark, State::Ended(Some(Exit::Code(code))));
    }

    /// The session is gone from one moment to the next.
    pub(super) fn vanish(&self) {
        self.backstage.sessions.lose(&self.mark);
    }

    /// Reports `done` and ends well.
    pub(super) fn finish(&self, assignment: &Assignment) {
        self.report(assignment, "done", "It ran.");
        self.exit(assignment, 0);
    }

    /// The whole of an honest worker.
    pub(super) fn honest(&self) {
        if let Some(assignment) = self.begin() {
            self.finish(&assignment);
        }
    }

    /// Works until the test calls `cue`, then ends well; ends at once when it is told to stop.
    pub(super) fn until(&self, cue: &str) {
        let Some(assignment) = self.begin() else { return };
        if self.wait_or_stop(cue) {
            self.finish(&assignment);
        } else if self.mail.join(protocol::STOP).exists() {
            self.exit(&assignment, 143);
        }
    }

    /// True when the cue was called, false when it was told to stop first.
    pub(super) fn wait_or_stop(&self, cue: &str) -> bool {
        let stop = self.mail.join(protocol::STOP);
        self.wait(|| self.backstage.is_called(cue) || stop.exists());
        if stop.exists() {
            self.expect_intent("a stop", |step| matches!(step, WorkerStep::Stopping { .. }));
        }
        self.backstage.is_called(cue)
    }

    /// Waits until the test calls `cue`, whatever its session's state is; false at the curtain.
    pub(super) fn wait_for_cue(&self, cue: &str) -> bool {
        Acting::idle(&self.backstage, || {
            let until = Instant::now() + PATIENCE;
            while Instant::now() < until && !self.backstage.is_called("curtain") {
                if self.backstage.is_called(cue) {
                    return true;
                }
                std::thread::sleep(Duration::from_millis(2));
            }
            false
        })
    }

    /// A file in its tree.
    pub(super) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.tree.join(name), text).unwrap();
    }

    /// What its needs and its last attempt handed on.
    pub(super) fn inputs(&self) -> Value {
        read_json(&self.mail.join("inputs.json"))
    }
}

/// A JSON file.
pub(super) fn read_json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}
