//! Control tasks: what follows for them, from what became of the tasks that they made.
//!
//! Each lowers to ordinary tasks and events, so that durability, evidence and display are
//! theirs for free; what shaped a run (an iteration more, a bracket) is an event each time
//! (law J7). Pure: it reads the fold and says what is next. It leaves out the events
//! themselves (`decide/control.rs`).

mod cup;
mod fan;
mod repeat;

pub(super) use fan::outputs;
pub(super) use repeat::unmet;

use std::collections::BTreeSet;

use super::named::Named;
use super::state::RunState;
use super::task_table::TaskPhase;
use crate::workflow::{Need, Task, TaskBase, TaskKind, When};
use serde_json::Value;

/// What follows for a control task that is in progress.
#[derive(Debug, Clone, PartialEq)]
pub enum Next {
    /// Something that it made goes on.
    Wait,
    /// These tasks are made, for this reason.
    Make(Vec<Task>, String),
    /// What it asked for was reached.
    Done(Outcome),
    /// Only a part of it was.
    Partial(String),
    /// It wasn't: `code: detail`.
    Failed(String),
}

/// How a control task reached what it asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The child whose head, summary and outputs become its own, if one's do.
    pub child: Option<usize>,
    /// Why, as a part of a sentence.
    pub because: String,
    /// What it rests on, for the record.
    pub facts: Named<Value>,
}

/// What follows for the control task `task`.
#[must_use]
pub fn next(state: &RunState, task: usize) -> Next {
    if state.tasks[task].open_children > 0 {
        return Next::Wait;
    }
    match &state.planned(task).kind {
        TaskKind::Loop(body) => repeat::next(state, task, body),
        TaskKind::Map(map) => fan::next(state, task, map),
        TaskKind::Tournament(cup) => cup::next(state, task, cup),
        TaskKind::Run(_)
        | TaskKind::Argv(_)
        | TaskKind::Worker(_)
        | TaskKind::Agent { .. }
        | TaskKind::Reduce(_)
        | TaskKind::Approve(_) => Next::Wait,
    }
}

/// Whether `task` is a loop whose iterations are used up: its last one completed, without its conditions.
#[must_use]
pub fn is_capped(state: &RunState, task: usize) -> bool {
    if !matches!(state.planned(task).kind, TaskKind::Loop(_)) {
        return false;
    }
    let last = children(state, task, 'i').last().copied();
    last.is_some_and(|last| state.tasks[last].phase == TaskPhase::Completed)
}

/// Whether a match of the tournament `task` was made: who takes part is settled then.
#[must_use]
pub fn has_matches(state: &RunState, task: usize) -> bool {
    !children(state, task, 'j').is_empty()
}

/// The children of one sort (`i`, `e`, `j`, `m`), in their order. Those of a body that an
/// adopted edit replaced aren't among them.
#[must_use]
pub fn children(state: &RunState, task: usize, sort: char) -> Vec<usize> {
    let id = &state.planned(task).id;
    let child =
        |k: u32| state.task_index(&child_id(id, sort, k)).filter(|child| !state.tasks[*child].removed);
    (1..).map_while(child).collect()
}

/// Every task that the control task `task` made, through any number of control tasks; those
/// that no longer count too.
#[must_use]
pub fn descendants(state: &RunState, task: usize) -> Vec<usize> {
    if !state.planned(task).kind.is_control() {
        return Vec::new();
    }
    below(state, task, |index| state.control_parent(index).is_some())
}

/// The same with what was submitted, by `task` too: all that there is because of it.
#[must_use]
pub fn offspring(state: &RunState, task: usize) -> Vec<usize> {
    below(state, task, |_| true)
}

fn below(state: &RunState, task: usize, counts: impl Fn(usize) -> bool) -> Vec<usize> {
    let mut found = Vec::new();
    let mut makers = BTreeSet::from([state.planned(task).id.as_str()]);
    // A maker stands before what it made, so one pass finds all.
    for (index, planned) in state.workflow().tasks.iter().enumerate().skip(task + 1) {
        if planned.parent.as_deref().is_some_and(|parent| makers.contains(parent)) && counts(index) {
            found.push(index);
            makers.insert(&planned.id);
        }
    }
    found
}

/// `<task>-<sort><k>`.
#[must_use]
pub fn child_id(task: &str, sort: char, k: u32) -> String {
    format!("{task}-{sort}{k}")
}

/// A task of the control task `parent`: it sees what that one needs, and starts where that one would.
fn child(state: &RunState, parent: usize, body: &Task, (sort, k): (char, u32)) -> Task {
    let planned = state.planned(parent);
    // The policies are met already, or the control task wouldn't have begun.
    let need = |need: &Need| Need { task: need.task.clone(), when: Some(state.policy_of(parent, need)) };
    Task {
        id: child_id(&planned.id, sort, k),
        parent: Some(planned.id.clone()),
        needs: planned.needs.iter().map(need).collect(),
        when: When::Completed,
        base: planned.base.clone(),
        // What works on an element does so through every control task in between.
        item: planned.item.clone(),
        ..body.clone()
    }
}

/// Starts where `from` ended, and reads what it answered.
fn after(state: &RunState, from: usize, task: Task) -> Task {
    let id = &state.planned(from).id;
    let mut needs = task.needs;
    needs.push(Need { task: id.clone(), when: Some(When::Completed) });
    Task { needs, base: Some(TaskBase::Task(id.clone())), ..task }
}

/// The first of `children` that didn't end as asked, as a reason: its id, state and why.
fn first_failed(state: &RunState, children: &[usize], accept_partial: bool) -> Option<String> {
    let failed = |child: &&usize| match state.tasks[**child].phase {
        TaskPhase::Completed => false,
        TaskPhase::Partial => !accept_partial,
        TaskPhase::Pending
        | TaskPhase::Ready
        | TaskPhase::Claimed
        | TaskPhase::InProgress
        | TaskPhase::Verifying
        | TaskPhase::RepairRequired
        | TaskPhase::Blocked
        | TaskPhase::Failed
        | TaskPhase::Skipped
        | TaskPhase::Cancelled => true,
    };
    children.iter().find(failed).map(|child| told(state, *child))
}

/// `` `fix-i2` is failed: fatal_exit: exit code 1 ``.
fn told(state: &RunState, child: usize) -> String {
    let task = &state.tasks[child];
    let why = if task.reason.is_empty() { String::new() } else { format!(": {}", task.reason) };
    format!("`{}` is {}{why}", state.planned(child).id, task.phase)
}
