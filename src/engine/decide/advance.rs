//! What follows from the state alone: readiness, settlement, verdicts, retention,
//! claims, the end. Each call takes one step; the engine repeats until nothing follows.

use super::launch::{nonce, sha256_hex};
use super::{View, mail, moved, review, task_event, worker_event};
use crate::engine::event::{ClaimEvent, ClaimStep, Event, PlainMove, RunEvent, TaskStep, WorkerStep};
use crate::engine::evidence::{Accepted, ChildExit, Verdict, judge_without_looking};
use crate::engine::no_change;
use crate::engine::outstanding::{LOOKS, waits_for_others};
use crate::engine::ready;
use crate::engine::state::{RunPhase, WorkerState, worker_id};
use crate::engine::task_table::TaskPhase;
use crate::engine::worker_table::WorkerPhase;
use crate::workflow::WorkspaceKind;

/// The next events that follow, or none.
pub(in crate::engine) fn advance(view: View<'_>) -> Vec<Event> {
    let state = view.state;
    if state.phase != RunPhase::Running {
        return Vec::new();
    }
    if let Some(&task) = state.decidable.first() {
        return vec![ready::decide(state, task)];
    }
    let taken_back = review::no_longer_awaited(view);
    if !taken_back.is_empty() {
        return taken_back;
    }
    for id in &state.active {
        let events = state.workers.get(id).map_or_else(Vec::new, |worker| of_worker(view, id, worker));
        if !events.is_empty() {
            return events;
        }
    }
    for &task in &state.moving {
        let events = of_task(view, task);
        if !events.is_empty() {
            return events;
        }
    }
    let claims = claim(view);
    if claims.is_empty() { end(view) } else { claims }
}

fn of_worker(view: View<'_>, id: &str, worker: &WorkerState) -> Vec<Event> {
    if let (Some(exit), false, true) = (worker.exit, worker.settled, worker.token_live) {
        return mail::settle(view, id, worker, exit);
    }
    // It may be ready before its launch returns, but works only once its place is journaled:
    // a crash in between would lose tree and session.
    let idle = worker.phase == WorkerPhase::Ready && worker.dispatched_at.is_none();
    if idle && worker.token_live && worker.session.is_some() {
        return vec![moved(id, PlainMove::Dispatched, "")];
    }
    if worker.settled { retain(view, id, worker) } else { Vec::new() }
}

/// The work is over and what the tree held is kept: the worker is retained, or free to go.
fn retain(view: View<'_>, id: &str, worker: &WorkerState) -> Vec<Event> {
    let planned = view.state.planned(worker.task);
    if worker.at_large || worker.owes_capture(planned.workspace) {
        return Vec::new();
    }
    if worker.phase == WorkerPhase::StaleRegistry {
        // Without a tree there is nothing to keep, and nothing that says it is gone either.
        let kept = worker.workspace.is_some() || planned.workspace == WorkspaceKind::None;
        return match (kept, worker.session.is_some()) {
            (true, true) => vec![moved(id, PlainMove::TreeKept, worker.reason.clone())],
            (true | false, _) => Vec::new(),
        };
    }
    if !(worker.phase.is_live() && worker.is_over()) {
        return Vec::new();
    }
    if worker.session.is_none() && worker.exit.is_none() {
        // Nothing that could be retained was ever seen; what may be half made is found by its mark.
        return vec![moved(id, PlainMove::WentStale, "launch_stopped: ended before its session was known")];
    }
    let to = if planned.retain { PlainMove::Retained } else { PlainMove::Freed };
    vec![moved(id, to, "")]
}

fn of_task(view: View<'_>, task: usize) -> Vec<Event> {
    match view.state.tasks[task].phase {
        TaskPhase::Verifying => verdict(view, task),
        TaskPhase::RepairRequired => {
            let again = view.state.tasks[task].may_try_again();
            let reason = view.state.tasks[task].reason.clone();
            vec![task_event(view, task, TaskStep::Repaired { again }, reason)]
        }
        TaskPhase::Pending
        | TaskPhase::Ready
        | TaskPhase::Claimed
        | TaskPhase::InProgress
        | TaskPhase::Blocked
        | TaskPhase::Completed
        | TaskPhase::Partial
        | TaskPhase::Failed
        | TaskPhase::Skipped
        | TaskPhase::Cancelled => Vec::new(),
    }
}

fn verdict(view: View<'_>, task: usize) -> Vec<Event> {
    let Some((_, worker)) = view.state.current_worker(task) else { return Vec::new() };
    let planned = view.state.planned(task);
    let state = &view.state.tasks[task];
    if !worker.is_over() || worker.owes_capture(planned.workspace) {
        return Vec::new();
    }
    if state.evidence.is_empty() && !planned.evidence.items().is_empty() {
        // An `exit` needs no further look, and most tasks of a wide DAG ask for nothing else.
        return judge_without_looking(&planned.evidence, worker.exit.unwrap_or(ChildExit::Unknown))
            .map_or_else(Vec::new, |checked| mail::evidence_events(view, worker, &checked));
    }
    if let Some(why) = no_change::unfounded(view.state, task) {
        return vec![task_event(view, task, TaskStep::Refuted, format!("refuted: no_change: {why}"))];
    }
    if let Some(accepted) = Accepted::new(&planned.evidence, &state.evidence) {
        return vec![task_event(view, task, TaskStep::Verified { accepted }, "")];
    }
    if state.evidence.len() != planned.evidence.items().len() {
        return Vec::new();
    }
    let answers = review::answers(view, task);
    if !answers.is_empty() {
        return answers;
    }
    let worst = [Verdict::Refuted, Verdict::Unverifiable].into_iter().find_map(|verdict| {
        // Others are only asked where nothing else stands in the way.
        state.evidence.iter().find(|checked| checked.verdict == verdict && !checked.is_unanswered())
    });
    let Some(checked) = worst else { return Vec::new() };
    let only_exits = judge_without_looking(&planned.evidence, ChildExit::Unknown).is_some();
    let looks_again = state.rounds < LOOKS && !only_exits && !checked.is_answer();
    if checked.verdict == Verdict::Unverifiable && looks_again {
        return Vec::new();
    }
    let reason = format!("{}: {}: {}", checked.verdict.word(), checked.kind, checked.reason);
    vec![task_event(view, task, TaskStep::Refuted, reason)]
}

/// The gate: what is ready is claimed, in order, while there is room.
fn claim(view: View<'_>) -> Vec<Event> {
    let state = view.state;
    if state.stopping.is_some() || !state.has_room() {
        return Vec::new();
    }
    let now = view.now.stamp.moment;
    let due = |task: &&usize| {
        state.tasks[**task].defer_until.is_none_or(|until| until <= now)
            && !ready::is_held_back(state, **task)
    };
    let Some(&task) = state.ready.iter().find(due) else { return Vec::new() };
    if let Some(limit) = state.workflow().limits.attempts
        && state.attempts_spent >= usize::try_from(limit).unwrap_or(usize::MAX)
    {
        let stage = "attempts".to_owned();
        let reason = format!("denied: attempts: all {limit} attempts of the run are used up");
        return vec![task_event(view, task, TaskStep::Denied { stage }, reason)];
    }
    let attempt = state.tasks[task].next_attempt();
    let recovered_from = state.tasks[task].recovers.clone();
    let id = worker_id(&state.planned(task).id, attempt);
    let token = state.last_token + 1;
    // A reviewer looks at the head it is given, whatever an attempt of its own has left.
    let restart_at = state.tasks[task].restart_at.clone().filter(|_| !state.reviews.contains_key(&task));
    let start = restart_at.unwrap_or_else(|| state.base_of(task));
    let nonce_sha256 = sha256_hex(nonce(view.now, &id).as_bytes());
    let limits = &state.workflow().limits;
    let expires = now.after(limits.ready + state.workflow().heartbeat.lost_after);
    vec![
        task_event(view, task, TaskStep::Claimed { attempt, recovered_from }, ""),
        worker_event(&id, String::new(), WorkerStep::Provisioning { token, start, nonce_sha256 }),
        Event::Claim(ClaimEvent {
            task: state.planned(task).id.clone(),
            worker: id,
            token,
            step: ClaimStep::Granted { expires },
        }),
    ]
}

/// Every task has ended: whoever was given up as lost and still lives can do nothing for the
/// run any more, and is asked to end before it does.
fn give_up(view: View<'_>) -> Vec<Event> {
    let state = view.state;
    let lives = |id: &&String| {
        let worker = state.workers.get(*id);
        // Who couldn't be ended isn't asked again by itself.
        worker.is_some_and(|worker| {
            worker.phase.is_live() && worker.settled && !worker.is_over() && !worker.at_large
        })
    };
    let unasked = state.active.iter().filter(lives).filter(|id| state.workers[*id].stop.is_none());
    let reason = || "the run has ended, and its claim is no longer live".to_owned();
    unasked.map(|id| worker_event(id, reason(), WorkerStep::Stopping { force: false })).collect()
}

/// Every task has ended and nothing is owed any more; or a person asked for the end.
fn end(view: View<'_>) -> Vec<Event> {
    let state = view.state;
    let busy = state.active.iter().filter_map(|id| state.workers.get(id)).any(|worker| {
        let owed = worker.owes_capture(state.planned(worker.task).workspace);
        !worker.settled || worker.owes_stop() || (worker.is_over() && owed)
    });
    if busy {
        return Vec::new();
    }
    if state.open_count == 0 {
        let given_up = give_up(view);
        if !given_up.is_empty() {
            return given_up;
        }
        let planned = state.tasks.iter().filter(|task| !task.removed);
        let success = planned.map(|task| (task, task.phase)).all(|(task, phase)| match phase {
            TaskPhase::Completed => true,
            TaskPhase::Skipped => task.by_design,
            TaskPhase::Pending
            | TaskPhase::Ready
            | TaskPhase::Claimed
            | TaskPhase::InProgress
            | TaskPhase::Verifying
            | TaskPhase::RepairRequired
            | TaskPhase::Blocked
            | TaskPhase::Partial
            | TaskPhase::Failed
            | TaskPhase::Cancelled => false,
        });
        return vec![Event::Run(RunEvent::Ended { success })];
    }
    // By force nothing is waited for: a verification only looks, and the next life looks again.
    let quiet = || state.moving.iter().all(|&task| waits_for_others(state, task));
    if state.stopping == Some(true) || (state.stopping.is_some() && quiet()) {
        return vec![Event::Run(RunEvent::Interrupted { reason: "down".to_owned() })];
    }
    Vec::new()
}
