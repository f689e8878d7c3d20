//! What can be seen of a run: plain data for every reader, with reasons.
//!
//! It leaves out words for people (`render`) and anything that isn't in the
//! fold, such as the last heartbeat, which readers take from mail.

use serde_json::{Map, Value};

use super::budget::snapshot::Snapshot as Budget;
use super::control;
use super::event::{Drift, Place, Snapshot};
use super::evidence::Checked;
use super::gate::{self, Stage, Verdict};
use super::halt::Halted;
use super::moment::Stamp;
use super::outstanding::asked;
use super::question::{self, Question};
use super::review::{self, Gate};
use super::state::{RunPhase, RunState, TaskState, WorkerState};
use super::task_table::TaskPhase;
use super::worker_table::WorkerPhase;
use crate::protocol::MEMORY;
use crate::workflow::{Evidence, Item, Task, Trust};

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
    /// What is used and left of its bounds.
    pub budget: Budget,
    /// What stopped it before its tasks were through.
    pub halted: Option<Halted>,
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
    /// `run`, `argv`, `worker`, `agent`, `loop`, ...
    pub kind: &'static str,
    /// The task that made or submitted it.
    pub parent: Option<String>,
    /// Its parent is no control task: a worker submitted it.
    pub submitted: bool,
    /// What it changes refutes it, and what it answers is somebody's word.
    pub untrusted: bool,
    /// The ids of what it needs.
    pub needs: Vec<String>,
    /// Where it is.
    pub phase: TaskPhase,
    /// Why, as `code` or `code: detail`; empty where the phase says it all.
    pub reason: String,
    /// What the gate says of it, where it is ready, or was denied.
    pub gate: Option<Gated>,
    /// What it waits for right now; empty when it waits for nothing.
    pub waits_for: Vec<String>,
    /// What a person is asked before it may complete: its approval, once all else is verified.
    pub asks: Option<String>,
    /// What its worker asks, and waits for.
    pub question: Option<Question>,
    /// The tasks whose verdicts it waits for, once all else is verified.
    pub reviewed_by: Vec<String>,
    /// The task that it reviews.
    pub reviews: Option<String>,
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
    /// What came out of the conditions of the loop around it.
    pub conditions: Vec<Checked>,
    /// An adopted edit of the workflow no longer has it.
    pub removed: bool,
    /// What the workflow declares, by kind; the reason, where it is waived.
    pub declared: Result<Vec<&'static str>, String>,
    /// The conditions of the loop around it, by kind.
    pub until: Vec<&'static str>,
}

/// What the gate says of a task that it doesn't let start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gated {
    /// `deny`, `approve`, `defer` or `limited`.
    pub verdict: &'static str,
    /// The stage that says so.
    pub stage: String,
    /// Until when, in milliseconds since 1970, where that is known.
    pub until_ms: Option<i64>,
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
    /// What changed round it while it was at work.
    pub drift: Drift,
    /// What was kept of its tree, where something was.
    pub snapshot: Option<Snapshot>,
    /// Its last accepted report: status, summary, reason.
    pub report: Option<(String, String, Option<String>)>,
    /// The end of its whole tree was recorded by whoever saw it.
    pub end_seen: bool,
    /// Something outlived the end of its tree, as whoever saw that end recorded.
    pub survived: bool,
}

impl WorkerView {
    /// Whether it says that its work failed after its memory was used up.
    #[must_use]
    pub fn is_starved(&self) -> bool {
        self.report.as_ref().is_some_and(|(_, summary, _)| summary.ends_with(MEMORY))
    }
}

impl RunView {
    /// The view of a state that goes on.
    #[must_use]
    pub fn of(state: &RunState) -> Self {
        Self::from_state(state.clone())
    }

    /// The view of a state that nobody needs any more: a large run isn't held twice.
    #[must_use]
    pub fn from_state(state: RunState) -> Self {
        let count = state.tasks.len();
        let beside: Vec<Beside> = (0..count).map(|task| Beside::of(&state, task)).collect();
        let budget = Budget::of(&state);
        let RunState {
            halted,
            started,
            started_at,
            last_at,
            ended_at,
            phase,
            interrupted,
            tasks,
            workers,
            ..
        } = state;
        let ids: Vec<String> = started.workflow.tasks.iter().map(|task| task.id.clone()).collect();
        let mut workers: Vec<(usize, u32, WorkerView)> = workers
            .into_iter()
            .map(|(id, worker)| {
                (worker.task, worker.attempt, worker_view(id, ids[worker.task].clone(), *worker))
            })
            .collect();
        workers.sort_by_key(|(task, attempt, _)| (*task, *attempt));
        let planned = started.workflow.tasks.into_iter().zip(tasks).zip(beside);
        Self {
            id: started.run,
            workflow: started.workflow.name,
            path: started.path,
            phase,
            interrupted,
            base: started.base,
            base_name: started.base_name,
            session: started.session.word(),
            started_at,
            ended_at,
            last_at,
            budget,
            halted,
            tasks: planned.map(|((planned, task), beside)| task_view(planned, task, beside)).collect(),
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

/// What of a task's view the rest of the state says.
struct Beside {
    gate: Option<Gated>,
    waits_for: Vec<String>,
    asks: Option<String>,
    question: Option<Question>,
    reviewed_by: Vec<String>,
    reviews: Option<String>,
    held: bool,
    submitted: bool,
    worker: Option<String>,
}

impl Beside {
    fn of(state: &RunState, task: usize) -> Self {
        let now = state.last_at.moment;
        let says = (state.tasks[task].phase == TaskPhase::Ready).then(|| gate::verdict(state, now, task));
        Self {
            gate: gated(state, task, says.as_ref()),
            waits_for: waits_for(state, task, says.as_ref()),
            asks: asked(state, task).map(|(_, message)| message.to_owned()),
            question: question::open(state, task),
            reviewed_by: reviews(state, task).into_iter().map(|(by, _)| by).collect(),
            reviews: state.reviews.get(&task).map(|reviewed| state.planned(*reviewed).id.clone()),
            held: state.tasks[task].phase == TaskPhase::Ready && state.held_by(task).is_some(),
            submitted: state.planned(task).parent.is_some() && state.control_parent(task).is_none(),
            worker: state.current_worker(task).map(|(id, _)| id),
        }
    }
}

fn task_view(planned: Task, mut task: TaskState, beside: Beside) -> TaskView {
    let Beside { gate, waits_for, asks, question, reviewed_by, reviews, held, submitted, worker } = beside;
    let required = planned.required();
    let conditions = task.evidence.split_off(required.min(task.evidence.len()));
    let evidence = std::mem::take(&mut task.evidence);
    let by_budget = gate.as_ref().is_some_and(|gate| gate.stage == Stage::Budget.word());
    if task.reason.starts_with(gate::DEFERRED) && !by_budget {
        // What it was journaled to wait for is there; now it waits for something else.
        task.reason.clear();
    }
    TaskView {
        kind: planned.word(),
        id: planned.id,
        submitted,
        untrusted: planned.trust == Trust::Untrusted,
        parent: planned.parent,
        needs: planned.needs.into_iter().map(|need| need.task).collect(),
        phase: task.phase,
        reason: task.reason,
        gate,
        waits_for,
        asks,
        question,
        reviewed_by,
        reviews,
        held,
        since: task.since,
        attempt: task.attempt,
        allowed: task.allowed,
        worker,
        head: task.head,
        summary: task.summary,
        outputs: task.outputs,
        evidence,
        conditions,
        removed: task.removed,
        until: planned.evidence.items().iter().skip(required).map(Item::kind).collect(),
        declared: match planned.evidence {
            Evidence::Items(items) => Ok(items.iter().take(required).map(Item::kind).collect()),
            Evidence::Waived(reason) => Err(reason),
        },
    }
}

/// Who is to review a task now, and where they are.
fn reviews(state: &RunState, task: usize) -> Vec<(String, TaskPhase)> {
    let of = |(_, by): (usize, &str)| Some((by.to_owned(), state.tasks[state.task_index(by)?].phase));
    review::open(state, task).filter_map(of).collect()
}

/// What the gate says where it doesn't let a task start; of one that it denied, by its journaled reason.
fn gated(state: &RunState, index: usize, says: Option<&Verdict>) -> Option<Gated> {
    let task = &state.tasks[index];
    if let (TaskPhase::Failed, Some((stage, _))) = (task.phase, gate::denied(&task.reason)) {
        return Some(Gated { verdict: "deny", stage: stage.to_owned(), until_ms: None });
    }
    let says = says?;
    let until_ms = match says {
        Verdict::Limited { until, .. } => {
            let ahead = i64::try_from(until.since(state.last_at.moment).as_millis()).unwrap_or(i64::MAX);
            Some(state.last_at.wall_ms.saturating_add(ahead))
        }
        Verdict::Allow | Verdict::Deny { .. } | Verdict::Approve { .. } | Verdict::Defer { .. } => None,
    };
    Some(Gated { verdict: says.word(), stage: says.stage()?.word().to_owned(), until_ms })
}

/// What keeps a task from going on right now.
fn waits_for(state: &RunState, index: usize, says: Option<&Verdict>) -> Vec<String> {
    let task = &state.tasks[index];
    match task.phase {
        TaskPhase::Pending if review::gate(state, index) == Some(Gate::Waits) => {
            let reviewed = state.reviews.get(&index).copied().unwrap_or_default();
            let (id, phase) = (&state.planned(reviewed).id, state.tasks[reviewed].phase);
            vec![format!("a head of `{id}` to review, which is {phase}")]
        }
        TaskPhase::Pending => state
            .planned(index)
            .needs
            .iter()
            .filter_map(|need| state.task_index(&need.task).map(|needed| (need, needed)))
            .filter(|(_, needed)| !state.tasks[*needed].phase.is_terminal())
            .map(|(need, needed)| format!("task `{}`, which is {}", need.task, state.tasks[needed].phase))
            .collect(),
        TaskPhase::Ready => {
            let waits = says.filter(|says| **says != Verdict::Allow);
            waits.map(|says| says.reason().to_owned()).into_iter().collect()
        }
        TaskPhase::Claimed => {
            vec![queued(state, index).unwrap_or_else(|| readiness(state, index))]
        }
        TaskPhase::Verifying => {
            let person = asked(state, index).map(|(_, message)| format!("a person's approval: {message}"));
            let reviews = reviews(state, index).into_iter();
            let all: Vec<String> = person
                .into_iter()
                .chain(reviews.map(|(by, phase)| format!("the review by `{by}`, which is {phase}")))
                .collect();
            if all.is_empty() { vec!["its evidence to be checked".to_owned()] } else { all }
        }
        TaskPhase::Blocked => vec!["an answer".to_owned()],
        TaskPhase::InProgress if suspended(state, index).is_some() => {
            suspended(state, index).into_iter().collect()
        }
        TaskPhase::InProgress => control::descendants(state, index)
            .into_iter()
            .filter(|child| !state.tasks[*child].phase.is_terminal())
            .map(|child| format!("task `{}`, which is {}", state.planned(child).id, state.tasks[child].phase))
            .collect(),
        TaskPhase::RepairRequired
        | TaskPhase::Completed
        | TaskPhase::Partial
        | TaskPhase::Failed
        | TaskPhase::Skipped
        | TaskPhase::Cancelled => Vec::new(),
    }
}

/// What the host says of a worker that it holds in a queue.
fn queued(state: &RunState, index: usize) -> Option<String> {
    let (_, worker) = state.current_worker(index).filter(|(_, worker)| worker.queued)?;
    Some(format!("its turn in the cluster's queue ({})", worker.reason.trim_start_matches("queued: ")))
}

/// What the host says of a worker that it stopped for a while.
fn suspended(state: &RunState, index: usize) -> Option<String> {
    let (_, worker) = state.current_worker(index).filter(|(_, worker)| worker.suspended)?;
    Some(format!("its host to let it go on ({})", worker.reason))
}

/// Readiness, and what the host said of it.
fn readiness(state: &RunState, index: usize) -> String {
    let reason = state.current_worker(index).map(|(_, worker)| worker.reason.as_str());
    match reason.filter(|reason| !reason.is_empty()) {
        Some(reason) => format!("its worker's readiness ({reason})"),
        None => "its worker's readiness".to_owned(),
    }
}

fn worker_view(id: String, task: String, worker: WorkerState) -> WorkerView {
    let end_seen = worker.end_is_seen();
    WorkerView {
        id,
        task,
        attempt: worker.attempt,
        phase: worker.phase,
        reason: worker.reason,
        since: worker.since,
        session: worker.session,
        workspace: worker.workspace,
        pid: worker.pid,
        lost: worker.expired && worker.token_live,
        observations: worker.observations,
        drift: worker.drift.map(|drift| *drift).unwrap_or_default(),
        snapshot: worker.captured.flatten(),
        report: worker.report.map(|report| (report.status, report.summary, report.reason)),
        end_seen,
        survived: worker.survived,
    }
}
