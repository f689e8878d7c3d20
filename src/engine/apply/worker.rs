//! The fold of what happens to workers. It leaves out what that means for their tasks.

use super::{Corrupt, find_task, find_worker};
use crate::engine::event::{Answered, Outcome, WorkerEvent, WorkerStep};
use crate::engine::moment::Stamp;
use crate::engine::state::{RunState, WorkerState};
use crate::engine::task_table::TaskPhase;
use crate::engine::worker_table::{self, WorkerMove, WorkerPhase};

pub(super) fn apply_worker(state: &mut RunState, at: Stamp, event: &WorkerEvent) -> Result<(), Corrupt> {
    if let WorkerStep::Provisioning { token, start, nonce_sha256 } = &event.step {
        return provision(state, at, &event.worker, *token, (start, nonce_sha256));
    }
    find(state, at, event)?;
    let is_blocked = is_blocked(state, &event.worker);
    let worker = find_worker(state, &event.worker)?;
    take_move(worker, at, event)?;
    match &event.step {
        WorkerStep::Launched { workspace, session, port } => {
            worker.port = *port;
            worker.workspace.clone_from(workspace);
            worker.session = Some(session.clone());
            worker.launched_at = Some(at.moment);
            // Given up before anybody knew that it was made: nothing is started beside it.
            worker.at_large |=
                worker.phase == WorkerPhase::StaleRegistry && worker.exit.is_none() && !worker.stopped;
        }
        WorkerStep::Echoed { pid, .. } => worker.pid = Some(*pid),
        WorkerStep::Ended { exit, usage, survivors } => {
            worker.exit = Some(*exit);
            worker.survived = !survivors.is_empty();
            worker.measured = *usage;
        }
        WorkerStep::Stopping { force } => worker.stop = Some(*force || worker.stop == Some(true)),
        // What couldn't be ended lives, as far as anybody knows, and may be told to end again.
        WorkerStep::Stopped if !event.reason.is_empty() => {
            worker.at_large = true;
            worker.stop = None;
        }
        WorkerStep::Stopped | WorkerStep::Departed => {
            worker.stopped = true;
            worker.at_large = false;
        }
        WorkerStep::Suspended => suspend(worker, at, &event.reason),
        WorkerStep::Continued => go_on(worker, at, is_blocked),
        WorkerStep::Captured { snapshot } => worker.captured = Some(snapshot.clone()),
        WorkerStep::SubmissionRefused { n, index, sha256 } => {
            let outcome = Outcome::Refused { index: *index, reason: event.reason.clone() };
            answer(worker, *n, Answered { sha256: sha256.clone(), outcome })?;
        }
        WorkerStep::Released { observations } => worker.observations.clone_from(observations),
        WorkerStep::Provisioning { .. } | WorkerStep::Found { .. } | WorkerStep::Moved { .. } => {}
    }
    let head = match &event.step {
        WorkerStep::Captured { snapshot: Some(snapshot) } => Some((worker.attempt, snapshot.commit.clone())),
        _ => None,
    };
    let (task, at_large) = (worker.task, worker.at_large);
    if at_large {
        state.at_large.insert(event.worker.clone());
    } else {
        state.at_large.remove(&event.worker);
    }
    if matches!(&event.step, WorkerStep::Ended { usage, .. } if !usage.is_empty()) {
        // Whatever was planned, it was used.
        state.unsettled.insert(event.worker.clone());
    }
    if state.workers[&event.worker].is_active(state.planned(task).workspace) {
        state.active.insert(event.worker.clone());
    } else {
        state.active.remove(&event.worker);
    }
    if let Some((attempt, commit)) = head
        && state.tasks[task].attempt == attempt
    {
        state.tasks[task].head = Some(commit);
    }
    Ok(())
}

fn suspend(worker: &mut WorkerState, at: Stamp, reason: &str) {
    worker.suspended = true;
    reason.clone_into(&mut worker.reason);
    worker.paused_since.get_or_insert(at.moment);
}

fn go_on(worker: &mut WorkerState, at: Stamp, is_blocked: bool) {
    worker.suspended = false;
    worker.reason.clear();
    if !is_blocked {
        worker.unpause(at.moment);
    }
}

/// Whether its time stands still because its task waits for a person.
fn is_blocked(state: &RunState, id: &str) -> bool {
    let task = state.workers.get(id).map(|worker| &state.tasks[worker.task]);
    task.is_some_and(|task| task.phase == TaskPhase::Blocked)
}

/// The move of the table that an event is, if it is one.
fn take_move(worker: &mut WorkerState, at: Stamp, event: &WorkerEvent) -> Result<(), Corrupt> {
    let Some(step) = event.step.table() else { return Ok(()) };
    let to = worker_table::next(worker.phase, step)
        .map_err(|illegal| Corrupt(format!("`{}` can't {illegal}", event.worker)))?;
    if to != worker.phase {
        worker.since = at;
    }
    worker.phase = to;
    worker.reason.clone_from(&event.reason);
    worker.stalled = step == WorkerMove::Stalled;
    count_from_start(worker, at, step);
    worker.queued = step == WorkerMove::Queued;
    worker.starting = step == WorkerMove::Starting;
    if step == WorkerMove::Dispatched {
        worker.dispatched_at = Some(at.moment);
    }
    Ok(())
}

/// What it owes counts from where it was first seen to start, and to have begun, as if it had been
/// launched then. No job goes back to the queue: one that counts as queued after that was only out
/// of sight, and that time is left out. Where it is by now is no new start either.
fn count_from_start(worker: &mut WorkerState, at: Stamp, step: WorkerMove) {
    if step == WorkerMove::Queued && (worker.has_started || worker.has_begun) {
        worker.unseen_since.get_or_insert(at.moment);
    }
    let seen = if step == WorkerMove::Starting {
        &mut worker.has_started
    } else if step == WorkerMove::Begun {
        &mut worker.has_begun
    } else {
        return;
    };
    let is_first = !std::mem::replace(seen, true);
    let unseen = worker.unseen_since.take();
    if is_first && (step == WorkerMove::Starting || worker.queued || worker.starting) {
        worker.launched_at = Some(at.moment);
    } else if let Some(unseen) = unseen {
        worker.launched_at = worker.launched_at.map(|from| from.after(at.moment.since(unseen)));
    }
}

/// A submission is answered once and for good.
pub(super) fn answer(worker: &mut WorkerState, n: u32, answered: Answered) -> Result<(), Corrupt> {
    match worker.submissions.insert(n, answered) {
        None => Ok(()),
        Some(_) => Err(Corrupt(format!("submission {n} is answered twice"))),
    }
}

fn provision(
    state: &mut RunState,
    at: Stamp,
    id: &str,
    token: u64,
    (start, nonce_sha256): (&str, &str),
) -> Result<(), Corrupt> {
    let (task, attempt) = parts(state, id)?;
    if token <= state.last_token || state.workers.contains_key(id) {
        return Err(Corrupt(format!("token {token} or worker `{id}` twice")));
    }
    let base = state.base_of(task);
    state.tasks[task].base.get_or_insert(base);
    state.last_token = token;
    state.active.insert(id.to_owned());
    let worker = WorkerState {
        token_live: true,
        start: start.to_owned(),
        nonce_sha256: nonce_sha256.to_owned(),
        recovered_from: state.tasks[task].recovers.take(),
        ..WorkerState::new((task, attempt), at, WorkerPhase::Provisioning, token)
    };
    state.workers.insert(id.to_owned(), Box::new(worker));
    Ok(())
}

/// Something of the run that the journal doesn't tell of: neither its ordinal nor its token is
/// used again. Told once more, it corrects what the first look couldn't see.
fn find(state: &mut RunState, at: Stamp, event: &WorkerEvent) -> Result<(), Corrupt> {
    let WorkerStep::Found { token, workspace, session, lives } = &event.step else { return Ok(()) };
    let (task, attempt) = parts(state, &event.worker)?;
    let known = state.workers.get(&event.worker);
    if known.is_some_and(|known| !known.at_large) || attempt <= state.tasks[task].attempt {
        return Err(Corrupt(format!("`{}` was found, and is known", event.worker)));
    }
    state.tasks[task].found = state.tasks[task].found.max(attempt);
    state.last_token = state.last_token.max(token.unwrap_or_default());
    let token = token.unwrap_or_default();
    let worker = WorkerState {
        reason: event.reason.clone(),
        workspace: workspace.clone(),
        session: session.clone(),
        at_large: *lives,
        settled: true,
        ..WorkerState::new((task, attempt), at, WorkerPhase::StaleRegistry, token)
    };
    state.workers.insert(event.worker.clone(), Box::new(worker));
    Ok(())
}

/// A worker id's task and ordinal.
fn parts(state: &RunState, id: &str) -> Result<(usize, u32), Corrupt> {
    let bad = || Corrupt(format!("`{id}` is no worker"));
    let (task, attempt) = id.rsplit_once('.').ok_or_else(bad)?;
    Ok((find_task(state, task)?, attempt.parse().map_err(|_| bad())?))
}
