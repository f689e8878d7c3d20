//! Questions of workers and what people answer, and providers that refuse work for a while.
//!
//! An answer is one event with what it does to the task, so that no prefix of a journal has one
//! without the other; its file is owed from then on (`outstanding.rs`). It leaves out approvals,
//! which are evidence (`request.rs`).

use super::{Rejection, View, claim_event, request, task_event};
use crate::engine::event::{ClaimStep, Event, TaskStep};
use crate::engine::input::Beat;
use crate::engine::limit;
use crate::engine::outstanding::asked;
use crate::engine::state::WorkerState;
use crate::engine::task_table::TaskPhase;
use crate::protocol::{AgentMode, MAX_ANSWER_BYTES, MAX_ANSWERS, Report};
use crate::workflow::TaskKind;

/// A person's answer, to the attempt that asks and to no other.
pub(super) fn respond(view: View<'_>, id: &str, (text, who): (&str, &str)) -> Result<Vec<Event>, Rejection> {
    let refused = |code, message: String| Err(Rejection { code, message });
    let task = request::task_index(view, id)?;
    let waits = view.state.tasks[task].phase == TaskPhase::Blocked;
    let Some((worker_id, worker)) = view.state.current_worker(task).filter(|_| waits) else {
        return refused("not_asked", format!("`{id}` asks nothing: {}", instead(view, task)));
    };
    if !worker.token_live {
        return refused("not_asked", format!("`{worker_id}` is over: its claim isn't live any more"));
    }
    if worker.report.as_ref().is_some_and(|report| report.by_shim) && is_on_a_terminal(view, task) {
        let there = format!(
            "`{worker_id}` asks on its own screen, where no words of ours arrive: `ilchul attach {id}`"
        );
        return refused("not_asked", there);
    }
    if text.trim().is_empty() {
        return refused("no_answer", format!("the answer to `{id}` is empty"));
    }
    if text.contains('\0') {
        // No file of the protocol may hold one, so nobody could read it.
        return refused("no_answer", format!("the answer to `{id}` holds a NUL character"));
    }
    if text.len() > MAX_ANSWER_BYTES {
        let length = text.len();
        return refused(
            "too_long",
            format!("the answer has {length} bytes, at most {MAX_ANSWER_BYTES} are passed on"),
        );
    }
    if worker.answer_count() >= MAX_ANSWERS {
        return refused(
            "too_many",
            format!("`{worker_id}` was given {MAX_ANSWERS} answers, and that is all"),
        );
    }
    let step = TaskStep::Answered { n: worker.answer_count() + 1, by: who.to_owned(), text: text.to_owned() };
    Ok(vec![task_event(view, task, step, "")])
}

/// Whether its agent shows its own interface, with dialogs of its own.
fn is_on_a_terminal(view: View<'_>, task: usize) -> bool {
    let agents = &view.state.workflow().agents;
    match &view.state.planned(task).kind {
        TaskKind::Agent { agent, .. } => agents.get(agent).is_some_and(|one| one.mode == AgentMode::Terminal),
        TaskKind::Run(_)
        | TaskKind::Argv(_)
        | TaskKind::Worker(_)
        | TaskKind::Reduce(_)
        | TaskKind::Approve(_)
        | TaskKind::Loop(_)
        | TaskKind::Map(_)
        | TaskKind::Tournament(_) => false,
    }
}

/// What a task does in place of asking, and what it would take instead of an answer.
fn instead(view: View<'_>, task: usize) -> String {
    let (id, phase) = (&view.state.planned(task).id, view.state.tasks[task].phase);
    match asked(view.state, task) {
        Some(_) => {
            format!("it waits for an approval, which `ilchul approve {id}` or `ilchul deny {id}` gives")
        }
        None if phase.is_terminal() => format!("it has ended, it is {phase}"),
        None => format!("it is {phase}"),
    }
}

/// Whether a question names an answer that was given already: nobody is asked twice.
pub(super) fn is_answered(worker: &WorkerState, report: &Report) -> bool {
    report.question.is_some_and(|n| n <= worker.answer_count())
}

/// A question that the shim saw is over as soon as its child goes on: somebody answered it where
/// it was asked. What a worker asked itself ends only by an answer or another report.
pub(super) fn taken_back(
    view: View<'_>,
    worker: &WorkerState,
    (beat, progressed): (&Beat, bool),
) -> Option<Event> {
    let blocked = view.state.tasks[worker.task].phase == TaskPhase::Blocked;
    let seen = worker.report.as_ref().is_some_and(|report| report.by_shim);
    let goes_on = progressed && beat.asks == Some(false) && beat.alive == Some(true);
    (blocked && seen && goes_on && worker.token_live)
        .then(|| task_event(view, worker.task, TaskStep::Unblocked, ""))
}

/// Its provider refused it: the attempt ends without spending a retry, and its agent's tasks wait.
pub(super) fn rate_limited(
    view: View<'_>,
    (id, worker): (&str, &WorkerState),
    seconds: u64,
    said: &str,
) -> Vec<Event> {
    let until = limit::until(view.state, view.now.stamp.moment, worker.task, seconds);
    // Whoever wrote the reason may have named its cause with it.
    let said = said.strip_prefix("rate_limited: ").unwrap_or(said);
    vec![
        claim_event(view, id, worker, ClaimStep::Closed),
        task_event(view, worker.task, TaskStep::RateLimited { until }, format!("rate_limited: {said}")),
    ]
}
