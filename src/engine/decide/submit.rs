//! What a worker submits, and what it is answered (law D7).
//!
//! All of a batch is planned in one event, with the answer, or nothing is and the first wrong
//! task is named. It leaves out what a task may be (the workflow's reader) and the answer's file.

use super::control::planned_count;
use super::mail::{dead_token, holds};
use super::{View, ignored, worker_event};
use crate::engine::event::{Event, Extended, RunEvent, Submitted, WorkerStep};
use crate::engine::state::WorkerState;
use crate::engine::{control, gate};
use crate::protocol::Submission;
use crate::workflow::{self, Batch, Task, TaskBase, Wrong};

/// What arrived, in the journal's words.
const INPUT: &str = "submission";

/// It submitted tasks.
pub(super) fn submitted(
    view: View<'_>,
    (id, worker): (&str, &WorkerState),
    (n, submission, sha256): (u32, &Submission, &str),
) -> Vec<Event> {
    if let Some(answered) = worker.submissions.get(&n) {
        // The same file again, after a crash or a look too many: its answer stands.
        let other = || format!("submission {n} was answered, and this is another under its number");
        let changed = answered.sha256 != sha256;
        return changed.then(|| ignored(Some(id), INPUT, "answered", other())).into_iter().collect();
    }
    if !holds(worker, submission.token) {
        return vec![dead_token(id, INPUT, submission.token, worker)];
    }
    if worker.dispatched_at.is_none() || worker.settled {
        return vec![ignored(Some(id), INPUT, "not_dispatched", "the worker holds no assignment")];
    }
    match planned(view, worker.task, submission) {
        Ok(Planned { tasks, again }) => {
            let submission = Submitted { worker: id.to_owned(), n, again, sha256: sha256.to_owned() };
            vec![Event::Run(RunEvent::Extended(Box::new(Extended {
                by: view.state.planned(worker.task).id.clone(),
                why: format!("submitted by {id}"),
                tasks,
                submission: Some(submission),
            })))]
        }
        Err(Wrong { index, reason }) => {
            let step = WorkerStep::SubmissionRefused { n, index, sha256: sha256.to_owned() };
            vec![worker_event(id, reason, step)]
        }
    }
}

/// What a batch comes to that is accepted.
struct Planned {
    tasks: Vec<Task>,
    again: Vec<String>,
}

/// The tasks of a submission by `task`, where all of them may be planned.
fn planned(view: View<'_>, task: usize, submission: &Submission) -> Result<Planned, Wrong> {
    let (state, by) = (view.state, view.state.planned(task));
    let own = control::offspring(state, task);
    let of_own = |id: &str| {
        let index = state.task_index(id).filter(|index| own.contains(index) && !state.tasks[*index].removed);
        index.map(|index| state.planned(index)).filter(|planned| planned.parent.as_ref() == Some(&by.id))
    };
    let known = |index: &usize| !state.tasks[*index].removed;
    let places = (0..state.tasks.len()).filter(known);
    // A later attempt of the same task may well come to the same plan: nothing is planned twice.
    if !submission.tasks.is_empty() && submission.tasks.iter().all(|(id, _)| of_own(id).is_some()) {
        let others = places.filter(|index| !own.contains(index)).map(|index| state.planned(index));
        let tasks = read(view, task, &others.collect::<Vec<_>>(), submission)?;
        if let Some(index) = tasks.iter().position(|task| of_own(&task.id) != Some(task)) {
            let reason = format!("tasks.{}: it was submitted before as another task", tasks[index].id);
            return Err(Wrong { index, reason });
        }
        return Ok(Planned { tasks: Vec::new(), again: tasks.into_iter().map(|task| task.id).collect() });
    }
    bounds(view, task, submission.tasks.len())?;
    let known: Vec<&Task> = places.map(|index| state.planned(index)).collect();
    Ok(Planned { tasks: read(view, task, &known, submission)?, again: Vec::new() })
}

/// What no bound of the run forbids.
fn bounds(view: View<'_>, task: usize, count: usize) -> Result<(), Wrong> {
    let limits = &view.state.workflow().limits;
    if let Some(reason) = gate::too_deep(gate::depth(view.state, task) + 1, limits.depth) {
        return Err(Wrong { index: 0, reason: format!("denied: depth: {reason}") });
    }
    let most = limits.tasks.and_then(|most| usize::try_from(most).ok()).unwrap_or(usize::MAX);
    let planned = planned_count(view);
    let room = most.saturating_sub(planned);
    if count <= room {
        return Ok(());
    }
    let would = planned + count;
    let reason = format!("denied: tasks: the run would have {would} tasks, `limits.tasks` is {most}");
    Err(Wrong { index: room, reason })
}

/// The tasks as they would be planned beside `known`.
fn read(view: View<'_>, task: usize, known: &[&Task], submission: &Submission) -> Result<Vec<Task>, Wrong> {
    let by = view.state.planned(task);
    let batch = Batch { tasks: &submission.tasks, by: &by.id, trust: by.trust };
    let tasks = workflow::submitted(view.state.workflow(), known, batch)?;
    match tasks.iter().enumerate().find_map(|(index, task)| Some((index, unresolved(view, task)?))) {
        Some((index, reason)) => Err(Wrong { index, reason }),
        None => Ok(tasks),
    }
}

/// A commit-ish means what it meant when the run began: one that wasn't resolved then could mean
/// anything, and a later life something else.
fn unresolved(view: View<'_>, task: &Task) -> Option<String> {
    let Some(TaskBase::Commit(name)) = &task.base else { return None };
    let started = &view.state.started;
    let known = started.bases.contains_key(name) || [&started.base, &started.base_name].contains(&name);
    let words = || {
        format!(
            "tasks.{}.base: no task of the run's file starts from this commit-ish (start from a task's head, or leave `base` out)",
            task.id
        )
    };
    (!known).then(words)
}
