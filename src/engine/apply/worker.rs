//! The fold of what happens to workers. It leaves out what that means for their tasks.

use std::time::Duration;

use super::{Corrupt, find_task, find_worker};
use crate::engine::event::{WorkerEvent, WorkerStep};
use crate::engine::moment::Stamp;
use crate::engine::state::{RunState, WorkerState};
use crate::engine::worker_table::{self, WorkerMove, WorkerPhase};

pub(super) fn apply_worker(state: &mut RunState, at: Stamp, event: &WorkerEvent) -> Result<(), Corrupt> {
    if let WorkerStep::Provisioning { token, start, nonce_sha256 } = &event.step {
        return provision(state, at, &event.worker, *token, (start, nonce_sha256));
    }
    let worker = find_worker(state, &event.worker)?;
    if let Some(step) = event.step.table() {
        let to = worker_table::next(worker.phase, step)
            .map_err(|illegal| Corrupt(format!("`{}` can't {illegal}", event.worker)))?;
        if to != worker.phase {
            worker.since = at;
        }
        worker.phase = to;
        worker.reason.clone_from(&event.reason);
        if step == WorkerMove::Dispatched {
            worker.dispatched_at = Some(at.moment);
        }
    }
    match &event.step {
        WorkerStep::Launched { workspace, session } => {
            worker.workspace.clone_from(workspace);
            worker.session = Some(session.clone());
            worker.launched_at = Some(at.moment);
        }
        WorkerStep::Echoed { pid, .. } => worker.pid = Some(*pid),
        WorkerStep::Ended { exit, .. } => worker.exit = Some(*exit),
        WorkerStep::Stopping { force } => worker.stop = Some(*force || worker.stop == Some(true)),
        WorkerStep::Stopped => worker.stopped = true,
        WorkerStep::Captured { snapshot } => worker.captured = Some(snapshot.clone()),
        WorkerStep::Released { observations } => worker.observations.clone_from(observations),
        WorkerStep::Provisioning { .. } | WorkerStep::Moved { .. } => {}
    }
    let head = match &event.step {
        WorkerStep::Captured { snapshot: Some(snapshot) } => Some((worker.attempt, snapshot.commit.clone())),
        _ => None,
    };
    let task = worker.task;
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

fn provision(
    state: &mut RunState,
    at: Stamp,
    id: &str,
    token: u64,
    (start, nonce_sha256): (&str, &str),
) -> Result<(), Corrupt> {
    let (task_id, attempt) = id.rsplit_once('.').ok_or_else(|| Corrupt(format!("`{id}` is no worker")))?;
    let task = find_task(state, task_id)?;
    let attempt = attempt.parse().map_err(|_| Corrupt(format!("`{id}` is no worker")))?;
    if token <= state.last_token || state.workers.contains_key(id) {
        return Err(Corrupt(format!("token {token} or worker `{id}` twice")));
    }
    let base = state.base_of(task);
    state.tasks[task].base.get_or_insert(base);
    state.last_token = token;
    state.active.insert(id.to_owned());
    let worker = WorkerState {
        task,
        attempt,
        phase: WorkerPhase::Provisioning,
        reason: String::new(),
        since: at,
        token,
        token_live: true,
        expired: false,
        expires: at.moment,
        start: start.to_owned(),
        nonce_sha256: nonce_sha256.to_owned(),
        workspace: None,
        session: None,
        launched_at: None,
        pid: None,
        dispatched_at: None,
        paused: Duration::ZERO,
        paused_since: None,
        acknowledged: false,
        report: None,
        seen_reports: Vec::new(),
        exit: None,
        stop: None,
        stopped: false,
        settled: false,
        captured: None,
        observations: Vec::new(),
    };
    state.workers.insert(id.to_owned(), worker);
    Ok(())
}
