//! What time and probes lead to. Silence alone never fails anything (L10).

use super::{View, attempt_failed, claim_event, moved, task_event, worker_event};
use crate::engine::event::{ClaimStep, Event, PlainMove, TaskStep, WorkerStep};
use crate::engine::state::WorkerState;
use crate::engine::task_table::TaskPhase;
use crate::engine::timer::{self, Timer};
use crate::engine::worker_table::WorkerPhase;
use crate::workflow::OnLost;

/// Everything that is due now.
pub(super) fn due(view: View<'_>) -> Vec<Event> {
    // One timer's events can make the next one moot, so each call takes the first that
    // still says something; `Engine::handle` asks again until nothing is due.
    timer::due(view.state, view.pulses, view.now.stamp.moment)
        .into_iter()
        .map(|timer| fire(view, &timer))
        .find(|events| !events.is_empty())
        .unwrap_or_default()
}

fn fire(view: View<'_>, timer: &Timer) -> Vec<Event> {
    let worker = |id: &String| view.state.workers.get(id).map(|worker| (id.clone(), worker));
    match timer {
        Timer::Ready(id) => worker(id).map_or_else(Vec::new, |(id, worker)| not_ready(view, &id, worker)),
        Timer::Start(id) => worker(id).map_or_else(Vec::new, |(id, worker)| {
            fell_silent(&id, worker, "no_ack: the assignment wasn't acknowledged in time")
        }),
        Timer::Unhealthy(id) => worker(id).map_or_else(Vec::new, |(id, worker)| {
            let silence = view.pulses.silence(&id, view.now.stamp.moment).unwrap_or_default();
            fell_silent(&id, worker, &format!("silent: no heartbeat for {} s", silence.as_secs()))
        }),
        Timer::Stalled(id) => vec![moved(id, PlainMove::Stalled, stalled(view))],
        Timer::Lost(id) => worker(id).map_or_else(Vec::new, |(id, worker)| lost(view, &id, worker)),
        Timer::Timeout(id) => worker(id).map_or_else(Vec::new, |(id, worker)| timed_out(view, &id, worker)),
        // The gate, and what stops a run, look by themselves: being due is all that they waited for.
        Timer::Deferred(_) | Timer::Wall => Vec::new(),
    }
}

fn stalled(view: View<'_>) -> String {
    let limit = view.state.workflow().heartbeat.stalled_after.as_secs();
    format!("stalled: it beats, but has done nothing for {limit} s")
}

/// What a worker wasn't through with in time, as far as its host told.
fn late_with(view: View<'_>, worker: &WorkerState) -> String {
    let limit = timer::owed_within(view.state, worker).as_secs();
    let at = if worker.reason.is_empty() { String::new() } else { format!(" ({})", worker.reason) };
    if worker.starting {
        return format!(
            "launch_ready: its job runs, and its script hasn't begun within {limit} s{at}: a profile of the \
             login shell, a prolog or a shared folder may hang there; `limits.ready` can give it longer"
        );
    }
    format!("launch_ready: no readiness within {limit} s{at}")
}

fn not_ready(view: View<'_>, id: &str, worker: &WorkerState) -> Vec<Event> {
    let reason = late_with(view, worker);
    let again = view.state.tasks[worker.task].may_try_again();
    vec![
        moved(id, PlainMove::FellSilent, reason.clone()),
        claim_event(view, id, worker, ClaimStep::Revoked { reason: reason.clone() }),
        task_event(view, worker.task, TaskStep::LaunchFailed { again }, reason),
        worker_event(id, String::new(), WorkerStep::Stopping { force: false }),
    ]
}

fn fell_silent(id: &str, worker: &WorkerState, reason: &str) -> Vec<Event> {
    match worker.phase {
        WorkerPhase::Ready | WorkerPhase::Busy => vec![moved(id, PlainMove::FellSilent, reason)],
        WorkerPhase::Provisioning
        | WorkerPhase::Unhealthy
        | WorkerPhase::CompletedRetained
        | WorkerPhase::SafeToClose
        | WorkerPhase::StaleRegistry
        | WorkerPhase::CleanupReleased
        | WorkerPhase::Closed => Vec::new(),
    }
}

/// Silent for `lost_after`: the policy decides, and nobody is killed for it.
fn lost(view: View<'_>, id: &str, worker: &WorkerState) -> Vec<Event> {
    if !worker.token_live {
        return Vec::new();
    }
    let heartbeat = &view.state.workflow().heartbeat;
    let reason = format!("lost: no heartbeat for {} s", heartbeat.lost_after.as_secs());
    let mut events = vec![claim_event(view, id, worker, ClaimStep::Expired)];
    let again = match heartbeat.on_lost {
        OnLost::Ask => return events,
        OnLost::Retry => view.state.tasks[worker.task].may_try_again(),
        OnLost::Fail => false,
    };
    events.push(claim_event(view, id, worker, ClaimStep::Revoked { reason: reason.clone() }));
    events.push(task_event(view, worker.task, TaskStep::Recovered { again }, reason));
    events
}

fn timed_out(view: View<'_>, id: &str, worker: &WorkerState) -> Vec<Event> {
    if !worker.token_live {
        return Vec::new();
    }
    let limit = view.state.planned(worker.task).timeout.as_secs();
    let mut events = attempt_failed(view, id, worker, format!("timeout: {limit} s were used up"));
    events.push(worker_event(id, String::new(), WorkerStep::Stopping { force: false }));
    events
}

/// How often the beats of what is suspended must rise: over a network file system one may be
/// read long after it was written.
const RISES: u32 = 2;

/// It beats though its host has stopped it. A host that can't be asked any more, or is behind,
/// isn't believed against that: otherwise nothing it owed would ever be due again.
pub(super) fn beats_again(view: View<'_>, id: &str, worker: &WorkerState) -> Vec<Event> {
    let rises = view.pulses.get(id).map_or(0, |pulse| pulse.rises);
    if rises >= RISES { goes_on(id, worker) } else { Vec::new() }
}

/// Its host has stopped it: from now on none of its time counts, in whatever life of ours.
pub(super) fn suspended(id: &str, worker: &WorkerState, reason: &str) -> Vec<Event> {
    let news = worker.phase.is_live() && worker.exit.is_none() && !worker.suspended;
    let event = || worker_event(id, format!("suspended: {reason}"), WorkerStep::Suspended);
    news.then(event).into_iter().collect()
}

pub(super) fn goes_on(id: &str, worker: &WorkerState) -> Vec<Event> {
    worker.suspended.then(|| worker_event(id, String::new(), WorkerStep::Continued)).into_iter().collect()
}

/// Session and process are proven gone, and no end was recorded: the attempt fails at once.
pub(super) fn gone(view: View<'_>, id: &str, worker: &WorkerState, detail: &str) -> Vec<Event> {
    if worker.at_large {
        return vec![worker_event(id, detail.to_owned(), WorkerStep::Departed)];
    }
    if worker.exit.is_some() || !worker.phase.is_live() {
        return Vec::new();
    }
    // What never began and was to be stopped didn't die.
    let code = if worker.queued && worker.stop.is_some() { "taken_back" } else { "worker_died" };
    let reason = format!("{code}: {detail}");
    let mut events = vec![moved(id, PlainMove::WentStale, reason.clone())];
    if !worker.token_live {
        return events;
    }
    if view.state.tasks[worker.task].phase == TaskPhase::Claimed && worker.dispatched_at.is_none() {
        let again = view.state.tasks[worker.task].may_try_again();
        let reason = format!("launch_session: {detail}");
        events.push(claim_event(view, id, worker, ClaimStep::Revoked { reason: reason.clone() }));
        events.push(task_event(view, worker.task, TaskStep::LaunchFailed { again }, reason));
    } else {
        events.extend(attempt_failed(view, id, worker, reason));
    }
    events
}
