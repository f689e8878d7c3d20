//! What can be seen of a run: plain data for every reader, with reasons.
//!
//! It leaves out words for people (`render`) and anything that isn't in the
//! fold, such as the last heartbeat, which readers take from mail.

use serde_json::{Map, Value};

use super::event::Place;
use super::evidence::Checked;
use super::moment::Stamp;
use super::ready;
use super::state::{RunPhase, RunState, WorkerState};
use super::task_table::TaskPhase;
use super::worker_table::WorkerPhase;

/// One run, as readers see it.
#[derive(Debug, Clone, PartialEq)]
pub struct RunView {
    /// The run's id.
    pub id: String,
    /// The workflow's name.
    pub workflow: String,
    /// The workflow file's path in the repository.
    pub path: String,
    /// Where it is; whether a supervisor really holds it is for the reader to look at.
    pub phase: RunPhase,
    /// Why it is interrupted.
    pub interrupted: String,
    /// The full commit id it started from.
    pub base: String,
    /// What that was written as.
    pub base_name: String,
    /// The kind of session that it uses.
    pub session: &'static str,
    /// When it started.
    pub started_at: Stamp,
    /// When it ended.
    pub ended_at: Option<Stamp>,
    /// The last event's time.
    pub last_at: Stamp,
    /// In the order of the workflow.
    pub tasks: Vec<TaskView>,
    /// By task and attempt, in the order of the workflow.
    pub workers: Vec<WorkerView>,
}

/// One task, as readers see it.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskView {
    /// Its id.
    pub id: String,
    /// `run`, `argv`, `worker`, `agent`.
    pub kind: &'static str,
    /// The ids of what it needs.
    pub needs: Vec<String>,
    /// Where it is.
    pub phase: TaskPhase,
    /// Why, as `code` or `code: detail`; empty where the phase says it all.
    pub reason: String,
    /// What it waits for right now; empty when it waits for nothing.
    pub waits_for: Vec<String>,
    /// Ready, but held back by a worker that was found and isn't in the journal.
    pub held: bool,
    /// Since when.
    pub since: Stamp,
    /// The last attempt; 0 before the first.
    pub attempt: u32,
    /// The most attempts it may have.
    pub allowed: u32,
    /// The last attempt's worker.
    pub worker: Option<String>,
    /// The last attempt's head.
    pub head: Option<String>,
    /// What its last report said.
    pub summary: String,
    /// What it handed on.
    pub outputs: Map<String, Value>,
    /// The last attempt's checks.
    pub evidence: Vec<Checked>,
    /// An adopted edit of the workflow no longer has it.
    pub removed: bool,
    /// What the workflow declares, by kind; the reason, where it is waived.
    pub declared: Result<Vec<&'static str>, String>,
}

/// One worker, as readers see it.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkerView {
    /// `<task>.<attempt>`.
    pub id: String,
    /// Its task's id.
    pub task: String,
    /// Its attempt.
    pub attempt: u32,
    /// Where it is.
    pub phase: WorkerPhase,
    /// Why, as `code` or `code: detail`.
    pub reason: String,
    /// Since when.
    pub since: Stamp,
    /// Its process's place, once made.
    pub session: Option<Place>,
    /// Its files' place, once made; none without a worktree.
    pub workspace: Option<Place>,
    /// The process that echoed the nonce.
    pub pid: Option<u32>,
    /// Its claim expired, and a person may decide.
    pub lost: bool,
    /// What was looked at when it was released.
    pub observations: Vec<String>,
    /// Its last accepted report: status, summary, reason.
    pub report: Option<(String, String, Option<String>)>,
}

impl RunView {
    /// The view of a state.
    #[must_use]
    pub fn of(state: &RunState) -> Self {
        let mut workers: Vec<(usize, u32, WorkerView)> = state
            .workers
            .iter()
            .map(|(id, worker)| (worker.task, worker.attempt, worker_view(state, id, worker)))
            .collect();
        workers.sort_by_key(|(task, attempt, _)| (*task, *attempt));
        Self {
            id: state.started.run.clone(),
            workflow: state.workflow().name.clone(),
            path: state.started.path.clone(),
            phase: state.phase,
            interrupted: state.interrupted.clone(),
            base: state.started.base.clone(),
            base_name: state.started.base_name.clone(),
            session: state.started.session.word(),
            started_at: state.started_at,
            ended_at: state.ended_at,
            last_at: state.last_at,
            tasks: (0..state.tasks.len()).map(|task| task_view(state, task)).collect(),
            workers: workers.into_iter().map(|(_, _, view)| view).collect(),
        }
    }

    /// One task by id.
    #[must_use]
    pub fn task(&self, id: &str) -> Option<&TaskView> {
        self.tasks.iter().find(|task| task.id == id)
    }

    /// One worker by id.
    #[must_use]
    pub fn worker(&self, id: &str) -> Option<&WorkerView> {
        self.workers.iter().find(|worker| worker.id == id)
    }
}

fn task_view(state: &RunState, index: usize) -> TaskView {
    let planned = state.planned(index);
    let task = &state.tasks[index];
    TaskView {
        id: planned.id.clone(),
        kind: planned.kind.word(),
        needs: planned.needs.iter().map(|need| need.task.clone()).collect(),
        phase: task.phase,
        reason: task.reason.clone(),
        waits_for: waits_for(state, index),
        held: task.phase == TaskPhase::Ready && state.held_by(index).is_some(),
        since: task.since,
        attempt: task.attempt,
        allowed: task.allowed,
        worker: state.current_worker(index).map(|(id, _)| id),
        head: task.head.clone(),
        summary: task.summary.clone(),
        outputs: task.outputs.clone(),
        evidence: task.evidence.clone(),
        removed: task.removed,
        declared: match &planned.evidence {
            crate::workflow::Evidence::Items(items) => {
                Ok(items.iter().map(crate::workflow::Item::kind).collect())
            }
            crate::workflow::Evidence::Waived(reason) => Err(reason.clone()),
        },
    }
}

/// What keeps a task from going on right now.
fn waits_for(state: &RunState, index: usize) -> Vec<String> {
    let task = &state.tasks[index];
    match task.phase {
        TaskPhase::Pending => state
            .planned(index)
            .needs
            .iter()
            .filter_map(|need| state.task_index(&need.task).map(|needed| (need, needed)))
            .filter(|(_, needed)| !state.tasks[*needed].phase.is_terminal())
            .map(|(need, needed)| format!("task `{}`, which is {}", need.task, state.tasks[needed].phase))
            .collect(),
        TaskPhase::Ready => {
            let (live, limit) = (state.live_count(), state.started.workers);
            if ready::awaits_end(state, index) {
                return vec!["the end of its last attempt's session".to_owned()];
            }
            if ready::awaits_end(state, index) {
                return vec!["the end of its last attempt's session".to_owned()];
            }
            if ready::awaits_base(state, index) {
                return vec!["the last snapshot of the task that it starts from".to_owned()];
            }
            if let Some(found) = state.held_by(index) {
                return vec![format!("`{found}`, which was found and isn't in this journal, to end")];
            }
            match (task.defer_until.is_some(), !state.has_room()) {
                (true, _) => vec!["the host: its last launch failed there".to_owned()],
                (false, true) => vec![format!("a free worker: {live} of {limit} are in use")],
                (false, false) => Vec::new(),
            }
        }
        TaskPhase::Claimed => vec!["its worker's readiness".to_owned()],
        TaskPhase::Verifying => vec!["its evidence to be checked".to_owned()],
        TaskPhase::Blocked => vec!["an answer".to_owned()],
        TaskPhase::InProgress
        | TaskPhase::RepairRequired
        | TaskPhase::Completed
        | TaskPhase::Partial
        | TaskPhase::Failed
        | TaskPhase::Skipped
        | TaskPhase::Cancelled => Vec::new(),
    }
}

fn worker_view(state: &RunState, id: &str, worker: &WorkerState) -> WorkerView {
    WorkerView {
        id: id.to_owned(),
        task: state.planned(worker.task).id.clone(),
        attempt: worker.attempt,
        phase: worker.phase,
        reason: worker.reason.clone(),
        since: worker.since,
        session: worker.session.clone(),
        workspace: worker.workspace.clone(),
        pid: worker.pid,
        lost: worker.expired && worker.token_live,
        observations: worker.observations.clone(),
        report: worker
            .report
            .as_ref()
            .map(|report| (report.status.clone(), report.summary.clone(), report.reason.clone())),
    }
}
