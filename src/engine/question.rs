//! What a worker asks a person, derived from its last report while its task is blocked.
//!
//! It leaves out approvals (`outstanding::asked`), which no worker waits for.

use super::moment::Stamp;
use super::state::RunState;
use super::task_table::TaskPhase;

/// An open question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// `needs_input`, or `blocked`.
    pub status: String,
    /// In the worker's words.
    pub text: String,
    /// Which answer of the attempt it waits for, from 1.
    pub n: u32,
    /// Since when it waits.
    pub since: Stamp,
    /// `<task>.<attempt>`: who asks.
    pub worker: String,
}

/// What the worker of a task asks, if it waits for a person.
#[must_use]
pub fn open(state: &RunState, task: usize) -> Option<Question> {
    let known = &state.tasks[task];
    if known.phase != TaskPhase::Blocked {
        return None;
    }
    let (id, worker) = state.current_worker(task)?;
    // Words that came later go before those that blocked it: it may have asked anew meanwhile.
    let said = worker.report.as_ref();
    Some(Question {
        status: said.map_or_else(|| "blocked".to_owned(), |report| report.status.clone()),
        text: said.map_or_else(String::new, |report| {
            report.reason.clone().unwrap_or_else(|| report.summary.clone())
        }),
        n: worker.answer_count().saturating_add(1),
        since: known.since,
        worker: id,
    })
}

/// Every open question, who has waited longest first.
#[must_use]
pub fn all(state: &RunState) -> Vec<(usize, Question)> {
    let open = |&task: &usize| Some((task, open(state, task)?));
    let mut all: Vec<(usize, Question)> = state.moving.iter().filter_map(open).collect();
    all.sort_by_key(|(task, question)| (question.since.moment, *task));
    all
}
