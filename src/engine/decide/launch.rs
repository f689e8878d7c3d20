//! Between the claim and the dispatch: what became of the launch.

use std::time::Duration;

use sha2::{Digest, Sha256};

use super::{View, claim_event, ignored, moved, task_event, worker_event};
use crate::engine::event::{ClaimStep, Event, Place, PlainMove, TaskStep, WorkerStep};
use crate::engine::moment::Now;
use crate::engine::state::WorkerState;
use crate::engine::task_table::TaskPhase;
use crate::engine::worker_table::WorkerPhase;

/// How long the gate holds a task back after the host failed it, for the first time.
const HOST_PAUSE: Duration = Duration::from_secs(5);
/// How often that doubles where the host fails again and again: to five minutes and a third.
const HOST_DOUBLINGS: u32 = 6;
/// The step whose failure may be one of the moment, or for good: nobody but its host knows.
const LIMIT: &str = "limit";
/// How often such a failure is waited for: with the pauses above, for most of an hour.
const LIMIT_TRIES: u32 = 15;

/// Tree and session were made. Said twice it is no news. A worker whose end was seen first
/// still has a tree to keep, so its place is taken down too.
pub(super) fn launched(
    id: &str,
    worker: &WorkerState,
    workspace: Option<&Place>,
    (session, port): (&Place, Option<u16>),
) -> Vec<Event> {
    if worker.session.as_ref() == Some(session) {
        return Vec::new();
    }
    let closed = matches!(worker.phase, WorkerPhase::CleanupReleased | WorkerPhase::Closed);
    if worker.session.is_some() || closed {
        return vec![ignored(Some(id), "launch", "late", format!("`{id}` is {}", worker.phase))];
    }
    let step = WorkerStep::Launched { workspace: workspace.cloned(), session: session.clone(), port };
    let mut events = vec![worker_event(id, String::new(), step)];
    if worker.phase == WorkerPhase::StaleRegistry && worker.exit.is_none() && !worker.stopped {
        // It was given up, and nobody will ever give it work.
        events.push(worker_event(id, worker.reason.clone(), WorkerStep::Stopping { force: false }));
    }
    events
}

/// A launch step failed: the claim is rolled back; a host's trouble spends no attempt.
pub(super) fn failed(
    view: View<'_>,
    id: &str,
    worker: &WorkerState,
    (step, detail, host): (&str, &str, bool),
) -> Vec<Event> {
    let claimed = view.state.tasks[worker.task].phase == TaskPhase::Claimed;
    if !worker.phase.is_live() || worker.is_over() || (worker.token_live && !claimed) {
        return vec![ignored(Some(id), "launch", "late", format!("`{id}` is {}: {detail}", worker.phase))];
    }
    let tries = view.state.tasks[worker.task].limits_met;
    let for_good = step == LIMIT && tries >= LIMIT_TRIES;
    let count = if for_good { format!(" (refused {} times in a row)", tries + 1) } else { String::new() };
    let (reason, host) = (format!("launch_{step}: {detail}{count}"), host && !for_good);
    let mut events = Vec::new();
    if worker.token_live {
        events.push(claim_event(view, id, worker, ClaimStep::Revoked { reason: reason.clone() }));
        let step = if host {
            // Our own end says nothing about the host: there is nothing to wait for.
            let interrupted = TaskStep::HostFailed { until: view.now.stamp.moment };
            if step == "interrupted" { interrupted } else { host_failed(view, worker) }
        } else {
            TaskStep::LaunchFailed { again: view.state.tasks[worker.task].may_try_again() }
        };
        events.push(task_event(view, worker.task, step, reason.clone()));
    }
    if worker.session.is_none() {
        events.push(moved(id, PlainMove::WentStale, reason));
    } else if worker.stop.is_none() {
        // The dispatch failed, not the session: it is there, and must be ended like any other.
        events.push(worker_event(id, reason, WorkerStep::Stopping { force: false }));
    }
    events
}

/// The task goes back, and waits a while for its host to be well again.
pub(super) fn host_failed(view: View<'_>, worker: &WorkerState) -> TaskStep {
    let failures = view.state.tasks[worker.task].host_failures.min(HOST_DOUBLINGS);
    TaskStep::HostFailed { until: view.now.stamp.moment.after(HOST_PAUSE * (1 << failures)) }
}

/// Its host holds it in a queue. Said again with the same reason it is no news.
pub(super) fn queued(id: &str, worker: &WorkerState, reason: &str) -> Vec<Event> {
    let reason = format!("queued: {reason}");
    if worker.phase != WorkerPhase::Provisioning || (worker.queued && worker.reason == reason) {
        return Vec::new();
    }
    vec![moved(id, PlainMove::Queued, reason)]
}

/// Its host runs it, and nobody heard of it yet: told once.
pub(super) fn starting(id: &str, worker: &WorkerState, reason: &str) -> Vec<Event> {
    let news = worker.phase == WorkerPhase::Provisioning && !worker.starting;
    news.then(|| moved(id, PlainMove::Starting, reason)).into_iter().collect()
}

/// It runs, which is news only where it waited, or where it says what it is at.
pub(super) fn begun(id: &str, worker: &WorkerState, reason: &str) -> Vec<Event> {
    let elsewhere = worker.queued || worker.starting || worker.reason != reason;
    let news = worker.phase == WorkerPhase::Provisioning && elsewhere;
    news.then(|| moved(id, PlainMove::Begun, reason)).into_iter().collect()
}

/// It says that it is ready: only the nonce of this incarnation, inside the tree, counts (L19, L20).
pub(super) fn ready(
    id: &str,
    worker: &WorkerState,
    nonce: &str,
    (pid, started_at, in_tree): (u32, &str, bool),
) -> Vec<Event> {
    if !digests_match(&sha256_hex(nonce.as_bytes()), &worker.nonce_sha256) {
        let detail = "the nonce in `ready.json` isn't the one this incarnation was given";
        return vec![ignored(Some(id), "ready", "wrong_nonce", detail)];
    }
    if worker.phase != WorkerPhase::Provisioning || !worker.token_live {
        return Vec::new();
    }
    if !in_tree {
        let detail = "the process's working directory isn't the worker's tree";
        return vec![ignored(Some(id), "ready", "wrong_directory", detail)];
    }
    vec![worker_event(id, String::new(), WorkerStep::Echoed { pid, started_at: started_at.to_owned() })]
}

/// The nonce of one worker: fresh for every decision, different for every worker of one.
pub(in crate::engine) fn nonce(now: Now, worker: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(now.seed);
    hash.update(worker.as_bytes());
    hex(&hash.finalize())[..32].to_owned()
}

/// SHA-256 in lowercase hex.
pub(in crate::engine) fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]])
        .map(char::from)
        .collect()
}

/// Compares without stopping at the first difference (S16).
fn digests_match(left: &str, right: &str) -> bool {
    left.len() == right.len()
        && left.bytes().zip(right.bytes()).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
}
