//! What people ask of a run: granted as events, or refused with a reason.

use std::collections::BTreeSet;

use super::{Rejection, View, claim_event, question, retention, task_event, worker_event};
use crate::engine::control;
use crate::engine::event::{ClaimStep, Event, EvidenceEvent, RunEvent, TaskStep, WorkerStep};
use crate::engine::evidence::Checked;
use crate::engine::input::{Answer, Choice, Request};
use crate::engine::outstanding::asked;
use crate::engine::state::{RunPhase, WorkerState};
use crate::engine::task_table::TaskPhase;
use crate::engine::worker_table::WorkerPhase;
use crate::workflow::Item;

pub(super) fn decide(view: View<'_>, request: &Request) -> Result<Vec<Event>, Rejection> {
    match request {
        Request::Retry { task } => retry(view, task),
        Request::Cancel { task } => cancel(view, task),
        Request::Down { force } => Ok(down(view, *force)),
        Request::Release { worker, observations } => retention::release(view, worker, observations),
        Request::Retain { worker } => retention::retain(view, worker),
        Request::Withdraw { worker, reasons } => retention::withdraw(view, worker, reasons),
        Request::CleanUp { worker, by, observations } => retention::clean_up(view, worker, by, observations),
        Request::Decide { task, choice } => choose(view, task, *choice),
        Request::Respond { task, text, who } => question::respond(view, task, (text, who)),
        Request::Answer { task, answer } => self::answer(view, task, answer),
    }
}

pub(super) fn task_index(view: View<'_>, task: &str) -> Result<usize, Rejection> {
    view.state.task_index(task).ok_or_else(|| Rejection {
        code: "unknown_task",
        message: format!("the run `{}` has no task `{task}`", view.state.started.run),
    })
}

pub(super) fn worker<'a>(view: View<'a>, id: &str) -> Result<&'a WorkerState, Rejection> {
    view.state.workers.get(id).map(AsRef::as_ref).ok_or_else(|| Rejection {
        code: "unknown_worker",
        message: format!("the run `{}` has no worker `{id}`", view.state.started.run),
    })
}

fn retry(view: View<'_>, id: &str) -> Result<Vec<Event>, Rejection> {
    let task = task_index(view, id)?;
    let phase = view.state.tasks[task].phase;
    if view.state.tasks[task].removed {
        let message = format!("the workflow no longer has `{id}`: put it back and adopt that");
        return Err(Rejection { code: "not_retryable", message });
    }
    if !is_retryable(phase) {
        let message = format!("`{id}` is {phase}: only a failed, partial or cancelled task can be retried");
        return Err(Rejection { code: "not_retryable", message });
    }
    if let Some(reviewed) = view.state.reviews.get(&task) {
        let reviewed = &view.state.planned(*reviewed).id;
        let message = format!("`{id}` only reviews `{reviewed}`, which asks it anew with each attempt");
        return Err(Rejection { code: "not_retryable", message });
    }
    let makers = makers_to_reopen(view, task)?;
    let mut events = Vec::new();
    if matches!(view.state.phase, RunPhase::Ended { .. }) {
        events.push(Event::Run(RunEvent::Reopened { task: id.to_owned() }));
    }
    let reopened: Vec<usize> = makers.into_iter().chain([task]).chain(failed_parts(view, task)).collect();
    for index in &reopened {
        events.push(task_event(view, *index, TaskStep::Reopened, "retried by a person"));
    }
    for index in to_rearm(view, &reopened) {
        events.push(task_event(view, index, TaskStep::Rearmed, format!("`{id}` was reopened")));
    }
    // Who cancelled a review may want the next one all the same: else no retry could complete.
    for index in reviewers(view, task) {
        if view.state.tasks[index].phase == TaskPhase::Cancelled {
            let reason = format!("replanned: `{id}`, which it reviews, was reopened");
            events.push(task_event(view, index, TaskStep::Replanned, reason));
        }
    }
    Ok(events)
}

fn is_retryable(phase: TaskPhase) -> bool {
    matches!(phase, TaskPhase::Failed | TaskPhase::Partial | TaskPhase::Cancelled)
}

/// The control tasks around `task` that have ended with it: they are unfinished again.
fn makers_to_reopen(view: View<'_>, task: usize) -> Result<Vec<usize>, Rejection> {
    let refused = |message: String| Rejection { code: "not_retryable", message };
    let mut makers = Vec::new();
    let mut inner = task;
    while let Some(maker) = view.state.control_parent(inner) {
        let (id, of) = (&view.state.planned(inner).id, &view.state.planned(maker).id);
        if view.state.planned(inner).judges.is_none() && control::has_matches(view.state, maker) {
            return Err(refused(format!("`{id}` has withdrawn: the matches of `{of}` were made without it")));
        }
        let phase = view.state.tasks[maker].phase;
        if is_retryable(phase) {
            makers.push(maker);
        } else if phase.is_terminal() {
            return Err(refused(format!("`{of}`, which made `{id}`, is {phase} without it")));
        }
        inner = maker;
    }
    // The outermost first: nothing goes on before who answers for it does.
    makers.reverse();
    Ok(makers)
}

/// What a control task failed by: reopened with it, through any number of makers.
fn failed_parts(view: View<'_>, task: usize) -> Vec<usize> {
    let mut parts: Vec<usize> = Vec::new();
    for child in control::descendants(view.state, task) {
        let known = &view.state.tasks[child];
        let maker = view.state.control_parent(child);
        let is_reopened = maker.is_some_and(|maker| maker == task || parts.contains(&maker));
        // Entrants that withdrew stay out of a bracket that was played without them.
        let is_out = view.state.planned(child).judges.is_none()
            && maker.is_some_and(|maker| control::has_matches(view.state, maker));
        if is_reopened && !is_out && !known.removed && is_retryable(known.phase) {
            parts.push(child);
        }
    }
    parts
}

/// What was skipped and is waited for again. What a control task made goes on only with it, and so
/// it is looked at again when that is reopened, whatever it was skipped for.
fn to_rearm(view: View<'_>, reopened: &[usize]) -> BTreeSet<usize> {
    let with_maker = |index: &usize| {
        let maker = view.state.control_parent(*index);
        maker.is_none_or(|maker| reopened.contains(&maker) || !view.state.tasks[maker].phase.is_terminal())
    };
    let skipped = |index: &usize| {
        let known = &view.state.tasks[*index];
        known.phase == TaskPhase::Skipped && known.root.is_some() && !known.removed
    };
    let after = reopened.iter().flat_map(|index| skipped_after(view, *index));
    let made = reopened.iter().flat_map(|index| control::descendants(view.state, *index)).filter(skipped);
    after.chain(made).filter(with_maker).collect()
}

/// Every task that was skipped for its needs and depends on `task` through others that were:
/// those that still can't start for another reason are skipped again at once, with that reason.
fn skipped_after(view: View<'_>, task: usize) -> BTreeSet<usize> {
    let mut found = BTreeSet::new();
    let mut open = vec![task];
    while let Some(task) = open.pop() {
        let dependents = view.state.dependents[task].iter().map(|(dependent, _)| *dependent);
        for dependent in dependents.chain(reviewers(view, task)) {
            let other = &view.state.tasks[dependent];
            let by_needs = other.root.is_some() && view.state.asked_for[dependent];
            if other.phase == TaskPhase::Skipped && by_needs && found.insert(dependent) {
                open.push(dependent);
            }
        }
    }
    found
}

fn reviewers<'a>(view: View<'a>, task: usize) -> impl Iterator<Item = usize> + 'a {
    view.state.planned(task).reviewers().filter_map(move |id| view.state.task_index(id))
}

fn cancel(view: View<'_>, id: &str) -> Result<Vec<Event>, Rejection> {
    let task = task_index(view, id)?;
    let phase = view.state.tasks[task].phase;
    if phase.is_terminal() {
        let message = format!("`{id}` has already ended: it is {phase}");
        return Err(Rejection { code: "already_ended", message });
    }
    let reason = "cancelled by a person";
    let mut events = Vec::new();
    // What it made goes first: its maker would otherwise be without an answer for it.
    let parts = control::descendants(view.state, task).into_iter().rev();
    for index in parts.filter(|part| !view.state.tasks[*part].phase.is_terminal()).chain([task]) {
        events.extend(take_back(view, index, reason));
        events.push(task_event(view, index, TaskStep::Cancelled, reason));
    }
    Ok(events)
}

/// The end of every claim and worker of a task, whatever becomes of the task.
pub(super) fn take_back(view: View<'_>, task: usize, reason: &str) -> Vec<Event> {
    let mut events = Vec::new();
    if let Some((worker_id, worker)) = view.state.current_worker(task)
        && worker.token_live
    {
        let step = ClaimStep::Revoked { reason: reason.to_owned() };
        events.push(claim_event(view, &worker_id, worker, step));
    }
    // An older attempt's worker too: it may have been given up as lost, and live on.
    for id in &view.state.active {
        let live = |worker: &&WorkerState| {
            worker.task == task && (worker.at_large || (worker.phase.is_live() && !worker.is_over()))
        };
        let worker = view.state.workers.get(id).map(AsRef::as_ref).filter(live);
        if worker.is_some_and(|worker| worker.stop.is_none()) {
            events.push(worker_event(id, String::new(), WorkerStep::Stopping { force: false }));
        }
    }
    events
}

/// Every live worker is stopped, without spending a retry; nothing new starts.
fn down(view: View<'_>, force: bool) -> Vec<Event> {
    if matches!(view.state.phase, RunPhase::Ended { .. }) {
        return Vec::new();
    }
    let mut events = Vec::new();
    if view.state.phase == RunPhase::Running {
        events.push(Event::Run(RunEvent::Stopping { force }));
    }
    for id in &view.state.active {
        let Some(worker) = view.state.workers.get(id) else { continue };
        if !worker.at_large && (!worker.phase.is_live() || worker.exit.is_some()) {
            continue;
        }
        if worker.token_live {
            let step = ClaimStep::Revoked { reason: "stopped: `down`".to_owned() };
            events.push(claim_event(view, id, worker, step));
            events.push(task_event(view, worker.task, TaskStep::Requeued, "stopped: `down`"));
        }
        events.push(worker_event(id, String::new(), WorkerStep::Stopping { force }));
    }
    events
}

/// A person's word on what can't be known: only for a worker that is silent or lost.
fn choose(view: View<'_>, id: &str, choice: Choice) -> Result<Vec<Event>, Rejection> {
    let task = task_index(view, id)?;
    if let Some(found) = view.state.held_by(task) {
        return choose_found(view, id, found, choice);
    }
    let phase = view.state.tasks[task].phase;
    let doubtful = view
        .state
        .current_worker(task)
        .filter(|(_, worker)| phase.is_held() && (worker.expired || worker.phase == WorkerPhase::Unhealthy));
    let Some((worker_id, worker)) = doubtful else {
        let message = format!("`{id}` is {phase}, and nothing about it is in doubt");
        return Err(Rejection { code: "not_in_doubt", message });
    };
    let (claim, step) = match choice {
        Choice::Rerun => (revoked("rerun"), TaskStep::Requeued),
        Choice::Skip => (revoked("skip"), TaskStep::DecidedSkip),
        Choice::Accept => (ClaimStep::Closed, TaskStep::DecidedAccept),
    };
    Ok(vec![
        claim_event(view, &worker_id, worker, claim),
        task_event(view, task, step, "decided by a person"),
        worker_event(&worker_id, String::new(), WorkerStep::Stopping { force: false }),
    ])
}

/// A task that waits beside something that was found alive: nobody can tell what that did or
/// will do, so all that can be decided is its end.
fn choose_found(view: View<'_>, id: &str, found: &str, choice: Choice) -> Result<Vec<Event>, Rejection> {
    match choice {
        Choice::Rerun => {
            let known = view.state.workers.get(found).is_some_and(|worker| worker.stop.is_none());
            let stopping = WorkerStep::Stopping { force: false };
            Ok(known
                .then(|| worker_event(found, "decided by a person".to_owned(), stopping))
                .into_iter()
                .collect())
        }
        Choice::Skip | Choice::Accept => {
            let message = format!(
                "`{id}` waits for the end of `{found}`, of which nobody knows what it did or will do: only `rerun`, which ends it, can be decided"
            );
            Err(Rejection { code: "not_in_doubt", message })
        }
    }
}

fn revoked(choice: &str) -> ClaimStep {
    ClaimStep::Revoked { reason: format!("decided by a person: {choice}") }
}

/// A person's answer, to the attempt that waits for it and to no other (law E5).
fn answer(view: View<'_>, id: &str, answer: &Answer) -> Result<Vec<Event>, Rejection> {
    let task = task_index(view, id)?;
    let Some((item, message)) = asked(view.state, task) else {
        let items = view.state.planned(task).evidence.items();
        let phase = view.state.tasks[task].phase;
        let why = if !items.iter().any(|item| matches!(item, Item::Approval { .. })) {
            "its evidence asks for no approval".to_owned()
        } else if view.state.tasks[task].evidence.iter().any(Checked::is_answer) {
            "its last attempt was answered already".to_owned()
        } else if phase == TaskPhase::Verifying {
            "its other evidence isn't verified yet".to_owned()
        } else {
            format!("it is {phase}, and nobody is asked for its approval now")
        };
        return Err(Rejection { code: "not_asked", message: format!("`{id}` can't be answered: {why}") });
    };
    let checked = Checked::answered(message, answer);
    let attempt = view.state.tasks[task].attempt;
    Ok(vec![Event::Evidence(EvidenceEvent { task: id.to_owned(), attempt, item, checked })])
}
