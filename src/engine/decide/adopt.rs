//! Adopting an edited workflow: one decision that says for every task what becomes of it.
//!
//! What reruns loses its claim and its worker first, and spends no retry. It leaves out the
//! comparison (`reshape.rs`) and who may ask: only a command that holds the lock.

use super::{Rejection, View, request, task_event};
use crate::engine::control;
use crate::engine::event::{Adopted, Event, RunEvent, TaskStep};
use crate::engine::reshape::{self, Fate};
use crate::engine::state::RunState;
use crate::engine::task_table::TaskPhase;

/// Why a task that the edited workflow lost has ended.
const REMOVED: &str = "removed: the workflow no longer has it";
/// Why a task has ended that was made by one that reruns, or is gone.
const REPLACED: &str = "removed: the task that made it is planned again";

pub(in crate::engine) fn adopt(view: View<'_>, adopted: &Adopted) -> Result<Vec<Event>, Rejection> {
    refuse(view.state, adopted)?;
    let mut events = vec![Event::Run(RunEvent::Adopted(Box::new(adopted.clone())))];
    for outlook in reshape::plan(view.state, adopted) {
        let Some(task) = view.state.task_index(&outlook.task) else { continue };
        let phase = view.state.tasks[task].phase;
        let (step, reason) = match outlook.fate {
            Fate::Keep | Fate::New => continue,
            Fate::Rerun | Fate::Replan => {
                let waits = phase == TaskPhase::Pending;
                ((!waits).then_some(TaskStep::Replanned), format!("replanned: {}", outlook.because))
            }
            Fate::Gone => ((!phase.is_terminal()).then_some(TaskStep::Withdrawn), REMOVED.to_owned()),
        };
        // What it made ends with it, whatever becomes of its maker.
        for part in control::offspring(view.state, task).into_iter().rev() {
            events.extend(request::take_back(view, part, &reason));
            if !view.state.tasks[part].phase.is_terminal() {
                events.push(task_event(view, part, TaskStep::Withdrawn, REPLACED));
            }
        }
        events.extend(request::take_back(view, task, &reason));
        events.extend(step.map(|step| task_event(view, task, step, reason)));
    }
    Ok(events)
}

/// What can't be changed under a run: it needs another one.
fn refuse(state: &RunState, adopted: &Adopted) -> Result<(), Rejection> {
    let (old, new) = (state.workflow(), &adopted.workflow);
    if let Some(kind) =
        new.session.filter(|kind| old.session != Some(*kind) && state.started.session != *kind)
    {
        let message = format!(
            "its `session` is now `{}`, and the run was started with `{}`",
            kind.word(),
            state.started.session.word()
        );
        return Err(Rejection { code: "session_changed", message });
    }
    let gone = |id: &&String| new.tasks.iter().all(|task| task.id != **id);
    if let Some(id) = state.started.only.iter().find(gone) {
        let message = format!("the run was started with `--only {id}`, and the workflow no longer has it");
        return Err(Rejection { code: "only_changed", message });
    }
    for worker in state.active.iter().filter_map(|id| state.workers.get(id)) {
        let before = state.planned(worker.task);
        let after = new.tasks.iter().find(|task| task.id == before.id);
        if after.is_some_and(|after| after.workspace != before.workspace) {
            // What its tree holds is kept by the plan that it was made under.
            let message = format!(
                "the `workspace` of `{0}` changed, and its worker `{0}.{1}` isn't over yet",
                before.id, worker.attempt
            );
            return Err(Rejection { code: "workspace_changed", message });
        }
    }
    Ok(())
}
