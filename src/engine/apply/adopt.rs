//! The fold of an adoption: the plan is another one, what was done stays where it was.
//!
//! Tasks that the edited workflow lost stay behind the others, so that their workers,
//! evidence and reasons can be looked at for good. It leaves out which tasks rerun:
//! events of their own say so.

use std::collections::BTreeSet;

use super::{Corrupt, sort};
use crate::engine::event::Adopted;
use crate::engine::order::{self, Ready};
use crate::engine::state::{RunPhase, RunState, TaskState};
use crate::engine::{budget, halt};
use crate::workflow::Task;

pub(super) fn adopt(state: &mut RunState, adopted: &Adopted) -> Result<(), Corrupt> {
    let before = std::mem::take(&mut state.started.workflow.tasks);
    let old_index = std::mem::take(&mut state.index);
    let mut old_tasks: Vec<Option<TaskState>> =
        std::mem::take(&mut state.tasks).into_iter().map(Some).collect();
    let count = adopted.workflow.tasks.len();
    let mut workflow = adopted.workflow.clone();
    let planned: BTreeSet<&str> = adopted.workflow.tasks.iter().map(|task| task.id.as_str()).collect();
    let lost = |task: &&Task| !planned.contains(task.id.as_str());
    workflow.tasks.extend(before.iter().filter(lost).cloned());

    state.replanned = true;
    let started = &mut state.started;
    started.digest.clone_from(&adopted.digest);
    started.base.clone_from(&adopted.base);
    started.base_name.clone_from(&adopted.base_name);
    started.bases.extend(adopted.bases.clone());
    started.workers = adopted.workers;
    started.setup.clone_from(&adopted.setup);
    started.workflow = workflow;

    // Only what is derived from the plan is taken from a run that starts with it.
    let fresh = RunState::new(started.clone(), state.last_at);
    state.index = fresh.index;
    state.dependents = fresh.dependents;
    state.asked_for = fresh.asked_for;
    state.reviews = fresh.reviews;
    state.tasks = fresh.tasks;
    for (id, &old) in &old_index {
        let new = *state.index.get(id).ok_or_else(|| Corrupt(format!("`{id}` is lost")))?;
        if let Some(mut task) = old_tasks.get_mut(old).and_then(Option::take) {
            let retries = (before[old].retries, state.started.workflow.tasks[new].retries);
            task.allowed = task.allowed.saturating_sub(retries.0).saturating_add(retries.1);
            let is_gone = new >= count && (task.removed || root(state, new) >= count);
            remove(&mut task, is_gone);
            state.tasks[new] = task;
        }
    }
    // Who reviewed what is no longer planned is a task like any other.
    state.reviews.retain(|_, reviewed| !state.tasks[*reviewed].removed);
    for worker in state.workers.values_mut() {
        worker.task = state.index[&before[worker.task].id];
    }
    for index in 0..state.tasks.len() {
        // Which of those that were made are asked for, their maker says, who stands before them.
        if let Some(maker) = state.planned(index).parent.as_deref().and_then(|id| state.task_index(id)) {
            state.asked_for[index] = state.asked_for[maker];
        }
    }
    for (task, asked_for) in state.tasks.iter().zip(&mut state.asked_for) {
        // Nobody asks for what is no longer planned, so that nothing starts it again.
        *asked_for = *asked_for && !task.removed;
    }
    derive(state);
    halt::lift(state);
    cap(state);
    if matches!(state.phase, RunPhase::Ended { .. }) {
        state.phase = RunPhase::Interrupted;
        "adopted".clone_into(&mut state.interrupted);
        state.ended_at = None;
        state.stopping = None;
    }
    Ok(())
}

/// The authored task that a task was made by, through any number of makers.
fn root(state: &RunState, mut task: usize) -> usize {
    // A maker stands before what it made, so this ends.
    while let Some(maker) = state.planned(task).parent.as_deref().and_then(|id| state.task_index(id)) {
        task = maker;
    }
    task
}

/// Other caps: who is at work under a cap that is new must be settled, too.
fn cap(state: &mut RunState) {
    let limits = state.started.workflow.limits.clone();
    state.ledger.cap(&limits);
    let live = state.workers.iter().filter(|(_, worker)| worker.token_live);
    let watched = live.filter(|(_, worker)| budget::is_watched(state, worker.task)).map(|(id, _)| id.clone());
    let watched: Vec<String> = watched.collect();
    state.unsettled.extend(watched);
}

/// A task that had ended before it was removed says both.
pub(super) fn remove(task: &mut TaskState, removed: bool) {
    if removed && !task.removed && task.phase.is_terminal() {
        let before =
            if task.reason.is_empty() { String::new() } else { format!("; before: {}", task.reason) };
        task.reason = format!("removed: the workflow no longer has it{before}");
    }
    task.removed = removed;
}

/// Everything that follows from phases and plan alone.
fn derive(state: &mut RunState) {
    for index in 0..state.tasks.len() {
        let needs = &state.started.workflow.tasks[index].needs;
        let open = needs.iter().filter_map(|need| state.index.get(&need.task));
        state.tasks[index].unended = open.filter(|needed| !state.tasks[**needed].phase.is_terminal()).count();
    }
    state.open_count = state.tasks.iter().filter(|task| !task.phase.is_terminal()).count();
    state.ready = Ready::default();
    order::extend(state, 0);
    let derived = [&mut state.moving, &mut state.decidable, &mut state.reviewing, &mut state.opening];
    derived.into_iter().for_each(BTreeSet::clear);
    for index in 0..state.tasks.len() {
        sort(state, index, state.tasks[index].phase);
    }
}
