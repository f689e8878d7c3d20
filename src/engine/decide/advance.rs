//! What follows from the state alone: readiness, settlement, verdicts, retention,
//! claims, the end. Each call takes one step; the engine repeats until nothing follows.

use super::launch::{nonce, sha256_hex};
use super::{View, claim_event, control, mail, moved, review, task_event, worker_event};
use crate::engine::budget;
use crate::engine::event::{ClaimEvent, ClaimStep, Event, PlainMove, RunEvent, TaskStep, WorkerStep};
use crate::engine::evidence::{Accepted, ChildExit, Verdict, judge_without_looking};
use crate::engine::gate::{self, Verdict as Say};
use crate::engine::halt::{self, Halt};
use crate::engine::no_change;
use crate::engine::outstanding::{LOOKS, owes_look, waits_for_others};
use crate::engine::ready;
use crate::engine::state::{RunPhase, WorkerState, worker_id};
use crate::engine::task_table::TaskPhase;
use crate::engine::timer;
use crate::engine::worker_table::WorkerPhase;
use crate::workflow::{SessionKind, WorkspaceKind};
use serde_json::Map;

/// The next events that follow, or none.
pub(in crate::engine) fn advance(view: View<'_>) -> Vec<Event> {
    let state = view.state;
    if state.phase != RunPhase::Running {
        return Vec::new();
    }
    if let Some(halted) = halt::due(state, view.now.stamp.moment) {
        return vec![Event::Run(RunEvent::Halted(halted))];
    }
    let settled = settle(view);
    if !settled.is_empty() {
        return settled;
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
    if let (None, Some(begun)) = (state.stopping, control::begin(view)) {
        return vec![begun];
    }
    let claims = claim(view);
    if claims.is_empty() { end(view) } else { claims }
}

/// Attempts whose token has died are charged, before anybody else is promised what they leave.
fn settle(view: View<'_>) -> Vec<Event> {
    let state = view.state;
    let over = state.unsettled.iter().filter_map(|id| Some((id, state.workers.get(id)?)));
    let over = over.filter(|(_, worker)| !worker.token_live);
    over.map(|(id, worker)| claim_event(view, id, worker, ClaimStep::Settled(budget::charge(state, worker))))
        .collect()
}

/// The run's time is up: what isn't through by now fails, and whoever works on it is asked to end.
fn time_is_up(view: View<'_>, task: usize, why: &str) -> Vec<Event> {
    let reason = format!("wall: {why}");
    if view.state.tasks[task].phase == TaskPhase::Verifying {
        return vec![task_event(view, task, TaskStep::Refuted, reason)];
    }
    if view.state.planned(task).kind.is_control() {
        // What it made ends first, and is denied where it hasn't begun.
        return control::go_on(view, task);
    }
    let Some((id, worker)) = view.state.current_worker(task) else { return Vec::new() };
    let mut events = vec![
        claim_event(view, &id, worker, ClaimStep::Revoked { reason: reason.clone() }),
        task_event(view, task, TaskStep::AttemptFailed { again: false }, reason),
    ];
    if !worker.is_over() && worker.stop.is_none() {
        events.push(worker_event(&id, String::new(), WorkerStep::Stopping { force: false }));
    }
    events
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
    // What another host was told to end may live on there, cut off from everybody.
    let proven = worker.end_is_seen() || view.state.started.session != SessionKind::Slurm;
    let to = if planned.retain || !proven { PlainMove::Retained } else { PlainMove::Freed };
    vec![moved(id, to, "")]
}

fn of_task(view: View<'_>, task: usize) -> Vec<Event> {
    let is_control = view.state.planned(task).kind.is_control();
    let phase = view.state.tasks[task].phase;
    let out_of_time = view.state.halted.as_ref().filter(|halted| halted.by == Halt::Wall);
    if let (Some(halted), true) = (out_of_time, phase.is_held() || phase == TaskPhase::Verifying) {
        return time_is_up(view, task, &halted.reason);
    }
    match phase {
        TaskPhase::Verifying if is_control => control::verdict(view, task),
        TaskPhase::Verifying => verdict(view, task),
        TaskPhase::InProgress if is_control => control::go_on(view, task),
        TaskPhase::RepairRequired => {
            let again = view.state.tasks[task].may_try_again() && out_of_time.is_none();
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
        let exit = worker.exit.unwrap_or(ChildExit::Unknown);
        let nothing = Map::new();
        let outputs = worker.report.as_ref().map_or(&nothing, |report| &report.outputs);
        return judge_without_looking(&planned.evidence, exit, outputs)
            .map_or_else(Vec::new, |checked| mail::evidence_events(view, worker, &checked));
    }
    if let Some(why) = no_change::unfounded(view.state, task) {
        return vec![task_event(view, task, TaskStep::Refuted, format!("refuted: no_change: {why}"))];
    }
    // A condition that couldn't be seen is looked at once more before the loop goes by it.
    if planned.conditions > 0 && owes_look(view.state, task, worker) {
        return Vec::new();
    }
    if let Some(accepted) = Accepted::new(planned, &state.evidence) {
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
        let own = state.evidence.iter().take(planned.required());
        own.into_iter().find(|checked| checked.verdict == verdict && !checked.is_unanswered())
    });
    let Some(checked) = worst else { return Vec::new() };
    let only_exits = judge_without_looking(&planned.evidence, ChildExit::Unknown, &Map::new()).is_some();
    let looks_again = state.rounds < LOOKS && !only_exits && !checked.is_answer();
    if checked.verdict == Verdict::Unverifiable && looks_again {
        return Vec::new();
    }
    let reason = format!("{}: {}: {}", checked.verdict.word(), checked.kind, checked.reason);
    vec![task_event(view, task, TaskStep::Refuted, reason)]
}

/// What the gate says of the ready tasks, in their order: denied or claimed.
fn claim(view: View<'_>) -> Vec<Event> {
    let state = view.state;
    if state.stopping.is_some() {
        return Vec::new();
    }
    match gate::next(state, view.now.stamp.moment) {
        Some((task, Say::Allow)) => grant(view, task),
        Some((task, Say::Deny { stage, reason })) => {
            let reason = gate::denial_words(stage, &reason);
            vec![task_event(view, task, TaskStep::Denied { stage: stage.word().to_owned() }, reason)]
        }
        Some((task, Say::Defer { stage, reason })) => {
            let reason = gate::deferral_words(stage, &reason);
            let step = TaskStep::Deferred { stage: stage.word().to_owned(), until: None };
            vec![task_event(view, task, step, reason)]
        }
        // Neither is ever a verdict that is to be journaled.
        Some((_, Say::Approve { .. } | Say::Limited { .. })) | None => Vec::new(),
    }
}

/// One transaction: the task is claimed, its worker will be made, its token is given out.
fn grant(view: View<'_>, task: usize) -> Vec<Event> {
    let state = view.state;
    let attempt = state.tasks[task].next_attempt();
    let recovered_from = state.tasks[task].recovers.clone();
    let id = worker_id(&state.planned(task).id, attempt);
    let token = state.last_token + 1;
    // A reviewer looks at the head it is given, whatever an attempt of its own has left.
    let restart_at = state.tasks[task].restart_at.clone().filter(|_| !state.reviews.contains_key(&task));
    let start = restart_at.unwrap_or_else(|| state.base_of(task));
    let nonce_sha256 = sha256_hex(nonce(view.now, &id).as_bytes());
    let within = timer::ready_within(state, task) + state.workflow().heartbeat.lost_after;
    let expires = view.now.stamp.moment.after(within);
    vec![
        task_event(view, task, TaskStep::Claimed { attempt, recovered_from }, ""),
        worker_event(&id, String::new(), WorkerStep::Provisioning { token, start, nonce_sha256 }),
        Event::Claim(ClaimEvent {
            task: state.planned(task).id.clone(),
            worker: id,
            token,
            step: ClaimStep::Granted { expires, reserved: budget::reservation(state, task) },
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
    let given_up = if state.open_count == 0 { give_up(view) } else { Vec::new() };
    if !given_up.is_empty() || view.awaited {
        // What changed while the last worker was at work is told before the run is over.
        return given_up;
    }
    if state.open_count == 0 {
        let counts = |task: &usize| !state.tasks[*task].removed && state.control_parent(*task).is_none();
        let mut planned = (0..state.tasks.len()).filter(counts).map(|task| &state.tasks[task]);
        let halted = state.halted.as_ref().map(|halted| halted.by);
        let success = halted.is_none()
            && planned.all(|task| match task.phase {
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
        return vec![Event::Run(RunEvent::Ended { success, halted })];
    }
    // By force nothing is waited for: a verification only looks, and the next life looks again.
    // A control task only waits for what it made, which is requeued or has ended.
    let rests = |task: usize| {
        let waits = state.tasks[task].phase == TaskPhase::InProgress && state.planned(task).kind.is_control();
        waits || waits_for_others(state, task)
    };
    let quiet = || state.moving.iter().all(|&task| rests(task));
    if state.stopping == Some(true) || (state.stopping.is_some() && quiet()) {
        return vec![Event::Run(RunEvent::Interrupted { reason: "down".to_owned() })];
    }
    Vec::new()
}
