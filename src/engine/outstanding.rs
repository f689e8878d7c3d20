//! What is owed: derived from the state each time it is asked for.
//!
//! Of people too: an approval that is asked for. There is no queue of effects that a crash could lose. It leaves out what is
//! already being done: the supervisor knows that.

use super::effect::Effect;
use super::evidence::{Checked, Verdict};
use super::review;
use super::state::{RunPhase, RunState, WorkerState};
use super::task_table::TaskPhase;
use super::worker_table::WorkerPhase;
use crate::workflow::{Asked, WorkspaceKind};

/// How often evidence that can't be seen is looked at before that counts as refuted.
pub const LOOKS: u32 = 2;

/// Everything owed now, in a fixed order.
#[must_use]
pub fn outstanding(state: &RunState) -> Vec<Effect> {
    let mut owed = Vec::new();
    if state.phase != RunPhase::Running {
        return owed;
    }
    for id in &state.active {
        if let Some(worker) = state.workers.get(id) {
            for_worker(state, id, worker, &mut owed);
        }
    }
    for &task in &state.moving {
        if let (TaskPhase::Verifying, Some((id, worker))) =
            (state.tasks[task].phase, state.current_worker(task))
            && owes_look(state, task, worker)
        {
            owed.push(Effect::Verify { worker: id });
        }
    }
    owed
}

fn for_worker(state: &RunState, id: &str, worker: &WorkerState, owed: &mut Vec<Effect>) {
    if worker.phase.is_live() && worker.session.is_none() && worker.token_live && !worker.is_over() {
        owed.push(Effect::Provision { worker: id.to_owned() });
    }
    if worker.phase == WorkerPhase::Busy && !worker.acknowledged && worker.token_live {
        owed.push(Effect::Deliver { worker: id.to_owned(), token: worker.token });
    }
    let reply = |n: &u32| Effect::Reply { worker: id.to_owned(), n: *n };
    owed.extend(worker.submissions.keys().map(reply));
    // Under a dead token nothing reaches it any more (law L7).
    if worker.token_live {
        owed.extend((1..=worker.answer_count()).map(|n| Effect::Answer { worker: id.to_owned(), n }));
    }
    // Without a known session too: a crash may have lost the launch, and the mark still finds it.
    if let (Some(force), true) = (worker.stop, worker.owes_stop()) {
        owed.push(Effect::Stop { worker: id.to_owned(), force });
    }
    if worker.settled && worker.is_over() && worker.owes_capture(state.planned(worker.task).workspace) {
        owed.push(Effect::Capture { worker: id.to_owned() });
    }
}

/// Whether a verifying task's evidence must be looked at, for the first time or once more.
#[must_use]
pub fn owes_look(state: &RunState, task: usize, worker: &WorkerState) -> bool {
    let planned = state.planned(task);
    let kept = worker.captured.is_some() || planned.workspace == WorkspaceKind::None;
    let checked = &state.tasks[task].evidence;
    let required = planned.required();
    let refuted = |checked: &Checked| checked.verdict == Verdict::Refuted;
    let seen = |(item, checked): (usize, &Checked)| {
        checked.verdict == Verdict::Verified
            || checked.is_unanswered()
            || (item >= required && refuted(checked))
    };
    let judged = checked.len() == planned.evidence.items().len()
        && (checked.iter().take(required).any(|checked| refuted(checked) || is_final(checked))
            || checked.iter().enumerate().all(seen));
    // A round of which only a part was journaled never counts as a look.
    let looks_left = state.tasks[task].rounds < LOOKS || checked.len() != planned.evidence.items().len();
    worker.is_over() && kept && !judged && looks_left
}

/// Whether an item was answered, and not with a yes: a second look would find no other answer.
fn is_final(checked: &Checked) -> bool {
    checked.is_answer() && checked.verdict != Verdict::Verified
}

/// The approval that a task waits for, by its place among the items, with what a person is
/// asked: only while everything that nobody is asked for is verified.
#[must_use]
pub fn asked(state: &RunState, task: usize) -> Option<(usize, &str)> {
    if !review::rest_holds(state, task) {
        return None;
    }
    let items = state.planned(task).evidence.items().iter().zip(&state.tasks[task].evidence);
    items.enumerate().find_map(|(index, (item, checked))| match item.asks() {
        Some(Asked::Person(message)) if checked.is_unanswered() => Some((index, message)),
        Some(Asked::Person(_) | Asked::Task(_)) | None => None,
    })
}

/// Whether a task waits for a person's answer or another task's, and for nothing else.
#[must_use]
pub fn waits_for_others(state: &RunState, task: usize) -> bool {
    asked(state, task).is_some() || review::open(state, task).next().is_some()
}
