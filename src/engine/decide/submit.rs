//! What a worker submits, and what it is answered (law D7).
//!
//! All of a batch is planned in one event, with the answer, or nothing is and the first wrong
//! task is named. It leaves out what a task may be (the workflow's reader) and the answer's file.

use super::control::planned_count;
use super::mail::{dead_token, holds};
use super::{View, ignored, worker_event};
use crate::engine::event::{Event, Extended, RunEvent, Submitted, WorkerStep};
use crate::engine::gate;
use crate::engine::state::WorkerState;
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
        Ok(tasks) => {
            let submission = Submitted { worker: id.to_owned(), n, sha256: sha256.to_owned() };
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

/// The tasks of a submission by `task`, where all of them may be planned.
fn planned(view: View<'_>, task: usize, submission: &Submission) -> Result<Vec<Task>, Wrong> {
    let (state, by) = (view.state, view.state.planned(task));
    let depth = gate::depth(state, task) + 1;
    if let Some(reason) = gate::too_deep(depth, state.workflow().limits.depth) {
        return Err(Wrong { index: 0, reason: format!("denied: depth: {reason}") });
    }
    let most = state.workflow().limits.tasks.and_then(|most| usize::try_from(most).ok());
    let room = most.unwrap_or(usize::MAX).saturating_sub(planned_count(view));
    if submission.tasks.len() > room {
        let would = planned_count(view) + submission.tasks.len();
        let most = most.unwrap_or_default();
        let reason = format!("denied: tasks: the run would have {would} tasks, `limits.tasks` is {most}");
        return Err(Wrong { index: room, reason });
    }
    let known = state.workflow().tasks.iter().zip(&state.tasks).filter(|(_, known)| !known.removed);
    let known: Vec<&Task> = known.map(|(planned, _)| planned).collect();
    let batch = Batch { tasks: &submission.tasks, by: &by.id, trust: by.trust };
    let tasks = workflow::submitted(state.workflow(), &known, batch)?;
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
