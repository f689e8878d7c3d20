//! The fold of answers and rate limits. It leaves out what they mean for phases (`task_table`).

use super::{Corrupt, find_worker};
use crate::engine::limit;
use crate::engine::moment::Moment;
use crate::engine::state::{Given, RunState, worker_id};

/// The worker of a task's attempt was given its `n`th answer.
pub(super) fn answered(
    state: &mut RunState,
    task: usize,
    n: u32,
    (by, text): (&str, &str),
) -> Result<(), Corrupt> {
    let id = worker_id(&state.planned(task).id, state.tasks[task].attempt);
    let worker = find_worker(state, &id)?;
    if worker.answer_count().checked_add(1) != Some(n) {
        return Err(Corrupt(format!("answer {n} to `{id}` after {}", worker.answer_count())));
    }
    worker.answers.push(Given { by: by.to_owned(), text: text.to_owned() });
    Ok(())
}

/// A task's attempt was refused by its provider.
pub(super) fn limited(state: &mut RunState, task: usize, until: Moment) {
    let worker = worker_id(&state.planned(task).id, state.tasks[task].attempt);
    let known = &mut state.tasks[task];
    known.rate_limits = known.rate_limits.saturating_add(1);
    limit::take(state, (state.last_at.moment, task), worker, until);
}
