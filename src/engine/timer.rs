//! Deadlines: all kinds in one enum, derived from the state and the pulses.
//!
//! Nothing here is stored or set; the loop asks for the earliest and sleeps until
//! then. It leaves out what a due deadline leads to; see `decide`.

use std::time::Duration;

use super::gate;
use super::halt;
use super::limit;
use super::moment::Moment;
use super::pulse::Pulses;
use super::ready;
use super::state::{RunPhase, RunState, WorkerState};
use super::task_table::TaskPhase;
use super::worker_table::WorkerPhase;
use crate::workflow::{SessionKind, WorkspaceKind};

/// The longest that a worker on a cluster may take to put the files into its tree.
pub const CHECKOUT: Duration = Duration::from_mins(15);

/// What can be due.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// The nonce wasn't echoed within [`owed_within`].
    Ready(String),
    /// The assignment wasn't acknowledged within `limits.start`.
    Start(String),
    /// No beat for `heartbeat.unhealthy_after`.
    Unhealthy(String),
    /// Beats, but no progress for `heartbeat.stalled_after`.
    Stalled(String),
    /// No beat for `heartbeat.lost_after`.
    Lost(String),
    /// The attempt's time is up.
    Timeout(String),
    /// A deferred task may be looked at again.
    Deferred(usize),
    /// The run's time is up.
    Wall,
}

/// All deadlines, unsorted: a handful for each live worker.
#[must_use]
pub fn deadlines(state: &RunState, pulses: &Pulses) -> Vec<(Moment, Timer)> {
    let mut all = Vec::new();
    if state.phase != RunPhase::Running {
        return all;
    }
    for id in &state.active {
        let Some(worker) = state.workers.get(id) else { continue };
        if worker.phase.is_live() && !worker.settled {
            of_worker(state, pulses, id, worker, &mut all);
        }
    }
    let stops = halt::deadline(state).filter(|_| state.halted.is_none() && state.open_count > 0);
    all.extend(stops.map(|at| (at, Timer::Wall)));
    // Where there is no room, the end of a worker wakes us; a deadline in the past would spin.
    let room = state.stopping.is_none() && state.has_room();
    for task in state.ready.iter().filter(|_| room) {
        // Who waits for tokens as well is woken by their settlement: its past limit would spin.
        let waits_long = state.tasks[task].reason.starts_with(gate::DEFERRED);
        let limited = limit::of(state, task).filter(|_| !waits_long).map(|(until, _)| until);
        let until = state.tasks[task].defer_until.max(limited);
        if let (Some(until), false) = (until, ready::is_held_back(state, task)) {
            all.push((until, Timer::Deferred(task)));
        }
        // Only the first few can start; a deadline of the ten-thousandth wakes nobody.
        if all.len() > 1024 {
            break;
        }
    }
    all
}

fn of_worker(
    state: &RunState,
    pulses: &Pulses,
    id: &str,
    worker: &WorkerState,
    all: &mut Vec<(Moment, Timer)>,
) {
    let heartbeat = &state.workflow().heartbeat;
    // It can do nothing, so it owes nothing.
    if worker.suspended {
        return;
    }
    let pulse = pulses.get(id);
    let seen = pulse.map(|pulse| pulse.seen);
    match worker.phase {
        WorkerPhase::Provisioning => {
            // A cluster may take hours: whoever waits there owes nothing yet.
            if let (Some(launched), false) = (worker.launched_at, worker.queued) {
                let from = pulse.map_or(launched, |pulse| pulse.since.max(launched));
                all.push((from.after(owed_within(state, worker)), Timer::Ready(id.to_owned())));
            }
            return;
        }
        WorkerPhase::Ready | WorkerPhase::Busy => {
            if let Some(seen) = seen {
                all.push((seen.after(heartbeat.unhealthy_after), Timer::Unhealthy(id.to_owned())));
            }
        }
        WorkerPhase::Unhealthy
        | WorkerPhase::CompletedRetained
        | WorkerPhase::SafeToClose
        | WorkerPhase::StaleRegistry
        | WorkerPhase::CleanupReleased
        | WorkerPhase::Closed => {}
    }
    if let (Some(due), WorkerPhase::Busy) = (acknowledgement_due(state, pulses, id, worker), worker.phase) {
        all.push((due, Timer::Start(id.to_owned())));
    }
    if let (Some(seen), false) = (seen, worker.expired) {
        all.push((seen.after(heartbeat.lost_after), Timer::Lost(id.to_owned())));
    }
    let blocked = state.tasks[worker.task].phase == TaskPhase::Blocked;
    // Whoever waits for a person makes no progress, and that is said already.
    let may_stall = worker.phase == WorkerPhase::Busy && worker.acknowledged && !worker.stalled && !blocked;
    if let (Some(pulse), true) = (pulse, may_stall) {
        all.push((pulse.progressed.after(heartbeat.stalled_after), Timer::Stalled(id.to_owned())));
    }
    if let (Some(dispatched), false) = (worker.dispatched_at, blocked) {
        let timeout = state.planned(worker.task).timeout;
        let due = dispatched.after(timeout.saturating_add(worker.paused));
        // Its end may stand in mail that nobody could read (law L17); it gets no time beyond that look.
        let looked = pulse.and_then(|pulse| pulse.regained).map(|at| at.after(heartbeat.unhealthy_after));
        all.push((looked.map_or(due, |looked| due.max(looked)), Timer::Timeout(id.to_owned())));
    }
}

/// How long a file that a node just made may stay unseen on another host: network file systems
/// remember for up to a minute that a name is missing.
const UNSEEN: Duration = Duration::from_mins(1);

/// How long a worker that isn't ready may still take: to say anything at all, or to be ready.
#[must_use]
pub fn owed_within(state: &RunState, worker: &WorkerState) -> Duration {
    if worker.starting {
        return state.workflow().limits.ready.saturating_add(UNSEEN);
    }
    ready_within(state, worker.task)
}

/// From a session's start to the readiness of a worker of `task`: the setup of its tree comes first
/// (law L6), and on a cluster the checkout before that.
#[must_use]
pub fn ready_within(state: &RunState, task: usize) -> Duration {
    let workflow = state.workflow();
    let has_tree = state.planned(task).workspace == WorkspaceKind::Worktree;
    let setup = workflow.setup.as_ref().filter(|setup| has_tree && !setup.run.is_empty());
    let fills = has_tree && state.started.session == SessionKind::Slurm;
    let checkout = if fills { CHECKOUT } else { Duration::ZERO };
    let setup = setup.map_or(Duration::ZERO, |setup| setup.timeout);
    workflow.limits.ready.saturating_add(setup).saturating_add(checkout)
}

/// Until when a dispatched worker must say that it took its assignment. Beats don't
/// move it (law L18: granted isn't started); our own blindness does (law L17).
#[must_use]
pub fn acknowledgement_due(
    state: &RunState,
    pulses: &Pulses,
    id: &str,
    worker: &WorkerState,
) -> Option<Moment> {
    let dispatched = worker.dispatched_at.filter(|_| !worker.acknowledged)?;
    let from = pulses.get(id).map_or(dispatched, |pulse| pulse.since.max(dispatched));
    Some(from.after(state.workflow().limits.start))
}

/// The earliest deadline, if there is any.
#[must_use]
pub fn next_deadline(state: &RunState, pulses: &Pulses) -> Option<Moment> {
    deadlines(state, pulses).into_iter().map(|(at, _)| at).min()
}

/// What is due, earliest first; ties in the order of [`Timer`].
#[must_use]
pub fn due(state: &RunState, pulses: &Pulses, now: Moment) -> Vec<Timer> {
    let mut due: Vec<(Moment, Timer)> =
        deadlines(state, pulses).into_iter().filter(|(at, _)| *at <= now).collect();
    due.sort();
    due.into_iter().map(|(_, timer)| timer).collect()
}
