//! The fold of tasks that were made while the run went on, and of what they hand to their maker.
//!
//! New tasks stand behind all others, so that places never change. It leaves out which tasks
//! are made, and when.

use serde_json::{Map, Value};

use super::worker::answer;
use super::{Corrupt, find_task, find_worker, sort};
use crate::engine::control;
use crate::engine::event::{Answered, Extended, Outcome, Submitted};
use crate::engine::moment::Stamp;
use crate::engine::order;
use crate::engine::state::{RunState, TaskState};
use crate::engine::task_table::TaskPhase;
use crate::workflow::{Task, TaskKind};

pub(super) fn extend(state: &mut RunState, at: Stamp, extended: &Extended) -> Result<(), Corrupt> {
    let by = find_task(state, &extended.by)?;
    if let Some(Submitted { worker, n, again, sha256 }) = &extended.submission {
        let worker = find_worker(state, worker)?;
        if worker.task != by {
            return Err(Corrupt(format!("`{}` didn't submit that", extended.by)));
        }
        let ids = again.iter().chain(extended.tasks.iter().map(|task| &task.id)).cloned().collect();
        answer(worker, *n, Answered { sha256: sha256.clone(), outcome: Outcome::Accepted(ids) })?;
    }
    state.replanned = true;
    let mut places = Vec::with_capacity(extended.tasks.len());
    for task in &extended.tasks {
        if task.parent.as_ref() != Some(&extended.by) {
            return Err(Corrupt(format!("`{}` isn't a child of `{}`", task.id, extended.by)));
        }
        places.push(place(state, at, task)?);
    }
    // Only now: a task of the batch may need one that comes after it.
    for &index in &places {
        state.asked_for[index] = state.asked_for[by];
        let reviewers: Vec<usize> =
            state.planned(index).reviewers().filter_map(|id| state.task_index(id)).collect();
        state.reviews.extend(reviewers.into_iter().map(|reviewer| (reviewer, index)));
        link(state, index)?;
        state.open_count += 1;
        if let Some(parent) = state.control_parent(index) {
            state.tasks[parent].open_children += 1;
        }
    }
    // Chains are measured from the first place that is new, or taken anew.
    if let Some(&first) = places.iter().min() {
        order::extend(state, first);
    }
    for index in places {
        sort(state, index, TaskPhase::Pending);
    }
    Ok(())
}

/// Where a new task stands: behind the others, or where a removed one of that name stood.
fn place(state: &mut RunState, at: Stamp, task: &Task) -> Result<usize, Corrupt> {
    let Some(index) = state.task_index(&task.id) else {
        let index = state.tasks.len();
        state.index.insert(task.id.clone(), index);
        state.started.workflow.tasks.push(task.clone());
        state.tasks.push(TaskState::new(task, at));
        state.dependents.push(Vec::new());
        state.asked_for.push(true);
        return Ok(index);
    };
    if !state.tasks[index].removed {
        return Err(Corrupt(format!("a second task `{}`", task.id)));
    }
    for dependents in &mut state.dependents {
        dependents.retain(|(dependent, _)| *dependent != index);
    }
    // Those that needed the one of that name are removed as well, or they would be waiting for it.
    let RunState { dependents, tasks, .. } = state;
    dependents[index].retain(|(dependent, _)| !tasks[*dependent].removed);
    if let Some(&(dependent, _)) = dependents[index].first() {
        let (id, of) = (&state.planned(dependent).id, &task.id);
        return Err(Corrupt(format!("`{id}` needs `{of}`, which is replaced")));
    }
    state.started.workflow.tasks[index] = task.clone();
    let known = &mut state.tasks[index];
    known.start_over(task.retries);
    (known.phase, known.since, known.removed) = (TaskPhase::Pending, at, false);
    known.reason.clear();
    known.open_children = 0;
    Ok(index)
}

fn link(state: &mut RunState, index: usize) -> Result<(), Corrupt> {
    let mut unended = 0;
    for position in 0..state.planned(index).needs.len() {
        let id = state.planned(index).needs[position].task.clone();
        let needed = find_task(state, &id)?;
        state.dependents[needed].push((index, position));
        unended += usize::from(!state.tasks[needed].phase.is_terminal());
    }
    state.tasks[index].unended = unended;
    Ok(())
}

/// A control task that has completed hands on what its chosen child did, or what all of them did.
pub(super) fn take_result(state: &mut RunState, index: usize) {
    let chosen = state.tasks[index].evidence.first().and_then(|checked| checked.facts.get("child"));
    let chosen = chosen.and_then(Value::as_str).and_then(|id| state.task_index(id));
    if let Some(chosen) = chosen {
        let TaskState { head, summary, outputs, .. } = state.tasks[chosen].clone();
        let task = &mut state.tasks[index];
        (task.head, task.summary, task.outputs) = (head, summary, outputs);
    } else if let TaskKind::Map(_) = state.planned(index).kind {
        let items = control::outputs(state, index);
        state.tasks[index].outputs = Map::from_iter([("items".to_owned(), items)]);
    }
}

/// A control task starts over: what it made is a record from now on.
pub(super) fn forget_children(state: &mut RunState, index: usize) -> Result<(), Corrupt> {
    for child in control::offspring(state, index) {
        if !state.tasks[child].phase.is_terminal() {
            return Err(Corrupt(format!("`{}` goes on without its parent", state.planned(child).id)));
        }
        super::adopt::remove(&mut state.tasks[child], true);
        state.asked_for[child] = false;
    }
    state.tasks[index].open_children = 0;
    Ok(())
}
