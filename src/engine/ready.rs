//! Dependency policies: when a task may start, and when it never will.
//!
//! It leaves out the gate (limits, attempts): a task that is ready by its needs
//! may still have to wait.

use super::event::{Event, TaskEvent, TaskStep};
use super::review::{self, Gate};
use super::state::RunState;
use super::task_table::TaskPhase;
use crate::workflow::{TaskBase, When};

#[cfg(test)]
thread_local! {
    /// How often one need of one task was looked at: a test holds it against the size of the run.
    pub(super) static LOOKS_AT_NEEDS: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// Whether a pending task's policy is decided, one way or the other.
#[must_use]
pub fn is_decided(state: &RunState, task: usize) -> bool {
    is_free(state, task)
        || review::gate(state, task) == Some(Gate::Ended)
        || (0..state.planned(task).needs.len()).any(|need| spoils(state, task, need))
}

/// Whether nothing that it waits for is still to come.
#[must_use]
pub fn is_free(state: &RunState, task: usize) -> bool {
    state.tasks[task].unended == 0 && review::gate(state, task).is_none_or(|gate| gate != Gate::Waits)
}

/// Whether one ended need is enough for the policy never to be satisfied.
#[must_use]
pub fn spoils(state: &RunState, task: usize, need: usize) -> bool {
    #[cfg(test)]
    LOOKS_AT_NEEDS.set(LOOKS_AT_NEEDS.get() + 1);
    let need = &state.planned(task).needs[need];
    let Some(needed) = state.task_index(&need.task) else { return false };
    let phase = state.tasks[needed].phase;
    phase.is_terminal()
        && match state.policy_of(task, need) {
            When::Completed => phase != TaskPhase::Completed,
            When::Partial => !is_partial_or_better(phase),
            When::Terminal | When::Optional | When::Failed => false,
        }
}

/// The event that a decided task is due.
#[must_use]
pub fn decide(state: &RunState, task: usize) -> Event {
    let id = state.planned(task).id.clone();
    match impossible(state, task) {
        None => Event::Task(TaskEvent { task: id, reason: String::new(), step: TaskStep::NeedsMet }),
        Some(Impossible { reason, root, by_design }) => {
            Event::Task(TaskEvent { task: id, reason, step: TaskStep::NeedsImpossible { root, by_design } })
        }
    }
}

/// Whether something keeps a ready task from being claimed whose end wakes us by itself.
#[must_use]
pub fn is_held_back(state: &RunState, task: usize) -> bool {
    awaits_base(state, task) || awaits_end(state, task) || state.held_by(task).is_some()
}

/// Whether an earlier attempt was told to end and hasn't yet: its successor never runs beside
/// it (law J6). Only who was given up as lost and is left alone isn't waited for.
#[must_use]
pub fn awaits_end(state: &RunState, task: usize) -> bool {
    let old = |id| state.workers.get(id).is_some_and(|worker| worker.task == task && worker.owes_stop());
    state.tasks[task].attempt > 0 && state.active.iter().any(old)
}

/// Whether the tree that a ready task starts from isn't kept yet: the task before it has
/// ended, its last snapshot is on its way.
#[must_use]
pub fn awaits_base(state: &RunState, task: usize) -> bool {
    let (None, Some(TaskBase::Task(id))) = (&state.tasks[task].base, &state.planned(task).base) else {
        return false;
    };
    let Some(index) = state.task_index(id) else { return false };
    let workspace = state.planned(index).workspace;
    // A lost worker is never over by itself: nothing waits for it.
    state.current_worker(index).is_some_and(|(_, worker)| {
        worker.settled && worker.owes_capture(workspace) && (worker.is_over() || worker.stop.is_some())
    })
}

struct Impossible {
    reason: String,
    root: String,
    by_design: bool,
}

fn impossible(state: &RunState, task: usize) -> Option<Impossible> {
    let planned = state.planned(task);
    if !state.asked_for[task] {
        let reason = "not_asked_for: --only".to_owned();
        return Some(Impossible { reason, root: planned.id.clone(), by_design: true });
    }
    for (position, need) in planned.needs.iter().enumerate() {
        if spoils(state, task, position) {
            return Some(blame(state, task, &need.task));
        }
    }
    if let (Some(Gate::Ended), Some(&reviewed)) = (review::gate(state, task), state.reviews.get(&task)) {
        let id = &state.planned(reviewed).id;
        let mut blamed = blame(state, task, id);
        blamed.reason = format!("needs_unmet: reviews `{id}`, which is {}", state.tasks[reviewed].phase);
        return Some(blamed);
    }
    // `optional` and `failed` are about all needs that share the policy, together.
    for policy in [When::Optional, When::Failed] {
        let group: Vec<&str> = planned
            .needs
            .iter()
            .filter(|need| state.policy_of(task, need) == policy)
            .map(|need| need.task.as_str())
            .collect();
        let satisfied = group.iter().filter_map(|id| state.task_index(id)).any(|needed| {
            let phase = state.tasks[needed].phase;
            if policy == When::Failed { phase == TaskPhase::Failed } else { is_partial_or_better(phase) }
        });
        if let (Some(first), false) = (group.first(), satisfied) {
            let mut blamed = blame(state, task, first);
            if policy == When::Failed {
                blamed.reason = format!("not_needed: none of {} failed", group.join(", "));
            }
            return Some(blamed);
        }
    }
    None
}

/// Why `task` can't start because of `need`: the root cause, through any number of steps.
fn blame(state: &RunState, task: usize, need: &str) -> Impossible {
    let needed = state.task_index(need).map(|index| &state.tasks[index]);
    let root = needed.and_then(|needed| needed.root.clone()).unwrap_or_else(|| need.to_owned());
    let cause = state.task_index(&root).map_or(TaskPhase::Failed, |index| state.tasks[index].phase);
    let reason = if root == need {
        format!("needs_unmet: needs `{need}`, which is {cause}")
    } else {
        format!("needs_unmet: needs `{need}`, which was skipped because `{root}` is {cause}")
    };
    let by_design = !state
        .planned(task)
        .needs
        .iter()
        .filter_map(|need| state.task_index(&need.task))
        .chain(state.reviews.get(&task).copied())
        .any(|index| match state.tasks[index].phase {
            TaskPhase::Failed | TaskPhase::Cancelled => true,
            TaskPhase::Skipped => !state.tasks[index].by_design,
            TaskPhase::Pending
            | TaskPhase::Ready
            | TaskPhase::Claimed
            | TaskPhase::InProgress
            | TaskPhase::Verifying
            | TaskPhase::RepairRequired
            | TaskPhase::Blocked
            | TaskPhase::Completed
            | TaskPhase::Partial => false,
        });
    Impossible { reason, root, by_design }
}

fn is_partial_or_better(phase: TaskPhase) -> bool {
    matches!(phase, TaskPhase::Completed | TaskPhase::Partial)
}
