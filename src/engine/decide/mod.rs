//! (state, now, input) -> events | rejection. Pure, and it may refuse.
//!
//! One file per kind of input; `advance.rs` holds what follows from the state
//! alone. It leaves out the table (guards are here, rows there) and every act.

mod adopt;
pub(super) mod advance;
mod control;
mod drift;
mod launch;
mod mail;
mod question;
mod remnant;
mod request;
mod retention;
mod review;
mod silence;
mod submit;

pub(in crate::engine) use adopt::adopt;
pub(in crate::engine) use launch::{nonce, sha256_hex};

use std::fmt;

use super::event::{
    ClaimEvent, ClaimStep, Event, Ignored, PlainMove, RunEvent, TaskEvent, TaskStep, WorkerEvent, WorkerStep,
};
use super::input::{Input, Seen};
use super::moment::Now;
use super::pulse::Pulses;
use super::state::{RunPhase, RunState, WorkerState};

/// A command that can't be granted: a code to decide by, words to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// One word.
    pub code: &'static str,
    /// What was asked, and why not.
    pub message: String,
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Rejection {}

/// What is decided on: the fold, and the signs of life beside it.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) state: &'a RunState,
    pub(super) pulses: &'a Pulses,
    pub(super) now: Now,
    /// The end waits for a look that somebody owes.
    pub(super) awaited: bool,
}

/// What an input leads to.
pub(super) fn decide(view: View<'_>, input: &Input) -> Result<Vec<Event>, Rejection> {
    match input {
        Input::Tick => Ok(silence::due(view)),
        // An unknown worker's beats come every other second; one event says it all.
        Input::Worker { worker, seen: Seen::Beat(_) }
            if view.pulses.get(worker).is_some_and(|pulse| pulse.complained)
                && !view.state.workers.contains_key(worker) =>
        {
            Ok(Vec::new())
        }
        Input::Blind => Ok(Vec::new()),
        Input::Looked { workers, drift } => Ok(drift::looked(view, workers, drift)),
        Input::Remnants(remnants) => Ok(remnant::decide(view, remnants)),
        Input::Worker { worker, seen } => Ok(match view.state.workers.get(worker) {
            Some(state) => of_worker(view, worker, state, seen),
            None => {
                vec![ignored(Some(worker), "mail", "unknown_worker", "no worker of this run has that name")]
            }
        }),
        Input::Request(request) => request::decide(view, request),
        Input::Interrupted { reason } => {
            let running = view.state.phase == RunPhase::Running;
            let event = || Event::Run(RunEvent::Interrupted { reason: reason.clone() });
            Ok(running.then(event).into_iter().collect())
        }
    }
}

fn of_worker(view: View<'_>, id: &str, worker: &WorkerState, seen: &Seen) -> Vec<Event> {
    match seen {
        Seen::Launched { workspace, session, port } => {
            launch::launched(id, worker, workspace.as_ref(), (session, *port))
        }
        Seen::LaunchFailed { step, detail, host } => launch::failed(view, id, worker, (step, detail, *host)),
        Seen::Queued { reason } => launch::queued(id, worker, reason),
        Seen::Starting { reason } => launch::starting(id, worker, reason),
        Seen::Begun { reason } => launch::begun(id, worker, reason),
        Seen::Suspended { reason } => silence::suspended(id, worker, reason),
        Seen::GoesOn => silence::goes_on(id, worker),
        Seen::Ready { nonce, pid, started_at, in_tree } => {
            launch::ready(id, worker, nonce, (*pid, started_at, *in_tree))
        }
        Seen::Acknowledged { token } => mail::acknowledged(view, id, worker, *token),
        Seen::Beat(beat) => mail::beat(view, id, worker, beat),
        Seen::Reported { report, sha256 } => mail::reported(view, id, worker, report, sha256),
        Seen::Submitted { n, submission, sha256 } => {
            submit::submitted(view, (id, worker), (*n, submission, sha256))
        }
        Seen::BadFile { file, code, detail, sha256 } => {
            mail::bad_file(id, worker, (file, code, detail), sha256)
        }
        Seen::Ended { token, exit, survivors, error, usage } => {
            mail::ended(view, (id, worker), *token, (*exit, *usage), (survivors, error.as_deref()))
        }
        Seen::Gone { detail } => silence::gone(view, id, worker, detail),
        // Its exit may have come first, or the order was given twice: then it is no news.
        Seen::Stopped { trouble } if worker.stop.is_some() => {
            let news = worker.at_large || (worker.phase.is_live() && !worker.stopped);
            let event = || worker_event(id, trouble.clone().unwrap_or_default(), WorkerStep::Stopped);
            news.then(event).into_iter().collect()
        }
        Seen::Stopped { .. } => {
            vec![ignored(Some(id), "stop", "not_asked_for", "nobody asked for the end of its session")]
        }
        // The effect is owed until somebody could look.
        Seen::NotStopped { .. } => Vec::new(),
        Seen::Captured { snapshot } => mail::captured(view, id, worker, snapshot),
        Seen::Vanished { session, tree } => retention::vanished(id, worker, *session, *tree),
        Seen::Judged { checked } => mail::judged(view, id, worker, checked),
    }
}

pub(super) fn worker_event(id: &str, reason: String, step: WorkerStep) -> Event {
    Event::Worker(WorkerEvent { worker: id.to_owned(), reason, step })
}

pub(super) fn moved(id: &str, to: PlainMove, reason: impl Into<String>) -> Event {
    worker_event(id, reason.into(), WorkerStep::Moved { to })
}

pub(super) fn task_event(view: View<'_>, task: usize, step: TaskStep, reason: impl Into<String>) -> Event {
    let task = view.state.planned(task).id.clone();
    Event::Task(TaskEvent { task, reason: reason.into(), step })
}

pub(super) fn claim_event(view: View<'_>, id: &str, worker: &WorkerState, step: ClaimStep) -> Event {
    let task = view.state.planned(worker.task).id.clone();
    Event::Claim(ClaimEvent { task, worker: id.to_owned(), token: worker.token, step })
}

pub(super) fn ignored(worker: Option<&str>, input: &str, code: &str, detail: impl Into<String>) -> Event {
    Event::Ignored(Ignored {
        worker: worker.map(str::to_owned),
        input: input.to_owned(),
        code: code.to_owned(),
        detail: detail.into(),
    })
}

/// The end of an attempt without a result: the token dies, the task goes on or fails.
pub(super) fn attempt_failed(view: View<'_>, id: &str, worker: &WorkerState, reason: String) -> Vec<Event> {
    let again = view.state.tasks[worker.task].may_try_again();
    let revoked = ClaimStep::Revoked { reason: reason.clone() };
    vec![
        claim_event(view, id, worker, revoked),
        task_event(view, worker.task, TaskStep::AttemptFailed { again }, reason),
    ]
}
