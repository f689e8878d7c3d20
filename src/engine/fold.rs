//! The fold of a run as text, and back: what a long journal need not be replayed for.
//!
//! What it says can always be rebuilt from the events and is equal to them (law J4); the
//! workflow, and what follows from it alone, isn't in it. It leaves out where the text is
//! kept, and whether it is believed.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use super::Engine;
use super::budget::Ledger;
use super::event::Started;
use super::halt::Halted;
use super::limit::Limited;
use super::moment::{Moment, Stamp};
use super::order;
use super::review;
use super::state::{Anchor, RunPhase, RunState, TaskState, WorkerState};

/// Tasks or workers in one part: parts are read on more than one core.
const PART: usize = 1250;

/// Everything of a state but its tasks and workers.
#[derive(Debug, Serialize, Deserialize)]
struct Head<'s> {
    tasks: usize,
    workers: usize,
    last_at: Stamp,
    anchor: Cow<'s, Anchor>,
    ended_at: Option<Stamp>,
    phase: RunPhase,
    interrupted: Cow<'s, str>,
    stopping: Option<bool>,
    last_token: u64,
    attempts_spent: usize,
    ledger: Cow<'s, Ledger>,
    unsettled: Cow<'s, BTreeSet<String>>,
    halted: Cow<'s, Option<Halted>>,
    #[serde(default, skip_serializing_if = "nobody")]
    limited: Cow<'s, BTreeMap<String, Limited>>,
    failures: Cow<'s, VecDeque<Moment>>,
    ready: BTreeSet<usize>,
    opening: Cow<'s, BTreeSet<usize>>,
    decidable: Cow<'s, BTreeSet<usize>>,
    active: Cow<'s, BTreeSet<String>>,
    at_large: Cow<'s, BTreeSet<String>>,
    moving: Cow<'s, BTreeSet<usize>>,
    open_count: usize,
}

fn nobody(limited: &BTreeMap<String, Limited>) -> bool {
    limited.is_empty()
}

/// One part of a fold's text, read.
#[derive(Debug)]
pub struct Part(Inside);

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Inside {
    Head(Box<Head<'static>>),
    Tasks(Vec<TaskState>),
    Workers(Vec<(String, Box<WorkerState>)>),
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Outside<'s> {
    Head(Box<Head<'s>>),
    Tasks(&'s [TaskState]),
    Workers(Vec<(&'s String, &'s WorkerState)>),
}

/// Hands over the parts of a state's text, in order; each is one line without its end.
///
/// # Errors
/// What `write` says, or that something has no JSON form.
pub fn write<E: From<serde_json::Error>>(
    state: &RunState,
    mut write: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), E> {
    // Every field by name: a new one must find its place here.
    let RunState {
        started: _,
        started_at: _,
        last_at,
        anchor,
        ended_at,
        phase,
        interrupted,
        stopping,
        tasks,
        workers,
        last_token,
        attempts_spent,
        ledger,
        unsettled,
        halted,
        limited,
        failures,
        ready,
        opening,
        decidable,
        active,
        at_large,
        // A run whose plan has changed keeps no fold: its plan isn't in its root.
        replanned: _,
        moving,
        open_count,
        // They follow from the plan, and from where the tasks are.
        reviews: _,
        reviewing: _,
        index: _,
        dependents: _,
        chains: _,
        asked_for: _,
    } = state;
    let head = Head {
        tasks: tasks.len(),
        workers: workers.len(),
        last_at: *last_at,
        anchor: Cow::Borrowed(anchor),
        ended_at: *ended_at,
        phase: *phase,
        interrupted: Cow::Borrowed(interrupted),
        stopping: *stopping,
        last_token: *last_token,
        attempts_spent: *attempts_spent,
        ledger: Cow::Borrowed(ledger),
        unsettled: Cow::Borrowed(unsettled),
        halted: Cow::Borrowed(halted),
        limited: Cow::Borrowed(limited),
        failures: Cow::Borrowed(failures),
        ready: ready.places(),
        opening: Cow::Borrowed(opening),
        decidable: Cow::Borrowed(decidable),
        active: Cow::Borrowed(active),
        at_large: Cow::Borrowed(at_large),
        moving: Cow::Borrowed(moving),
        open_count: *open_count,
    };
    write(&serde_json::to_vec(&Outside::Head(Box::new(head)))?)?;
    for part in tasks.chunks(PART) {
        write(&serde_json::to_vec(&Outside::Tasks(part))?)?;
    }
    let mut left = workers.iter().map(|(id, worker)| (id, worker.as_ref())).peekable();
    while left.peek().is_some() {
        write(&serde_json::to_vec(&Outside::Workers(left.by_ref().take(PART).collect()))?)?;
    }
    Ok(())
}

/// Reads one part.
///
/// # Errors
/// What isn't a part of a fold.
pub fn read(text: &[u8]) -> Result<Part, serde_json::Error> {
    serde_json::from_slice(text).map(Part)
}

/// The machine whose fold the parts are, in their order, of the run that began with
/// `started` at `at`; `None` where they don't make one.
#[must_use]
pub fn join(started: Started, at: Stamp, parts: Vec<Part>) -> Option<Engine> {
    let mut head = None;
    let mut tasks = Vec::new();
    let mut workers: Vec<(String, Box<WorkerState>)> = Vec::new();
    for Part(part) in parts {
        match part {
            Inside::Head(found) => head = Some(found),
            Inside::Tasks(mut part) => tasks.append(&mut part),
            Inside::Workers(mut part) => workers.append(&mut part),
        }
    }
    let head = *head?;
    let fresh = RunState::new(started, at);
    let known = |id: &String| workers.binary_search_by(|(worker, _)| worker.cmp(id)).is_ok();
    let sets = [&head.ready, &head.opening, &head.decidable, &head.moving];
    let places = sets.into_iter().flat_map(|set| set.iter());
    let whole =
        tasks.len() == head.tasks && tasks.len() == fresh.tasks.len() && workers.len() == head.workers;
    let inside = places.max().is_none_or(|last| *last < tasks.len())
        && workers.iter().all(|(_, worker)| worker.task < tasks.len());
    if !(whole && inside && workers.is_sorted_by(|a, b| a.0 < b.0) && head.active.iter().all(known)) {
        return None;
    }
    let at_work = |reviewer: &usize| review::is_at_work(tasks[*reviewer].phase);
    let reviewing = fresh.reviews.keys().copied().filter(at_work).collect();
    let mut state = RunState {
        last_at: head.last_at,
        anchor: head.anchor.into_owned(),
        ended_at: head.ended_at,
        phase: head.phase,
        interrupted: head.interrupted.into_owned(),
        stopping: head.stopping,
        tasks,
        workers: BTreeMap::from_iter(workers),
        last_token: head.last_token,
        attempts_spent: head.attempts_spent,
        ledger: head.ledger.into_owned(),
        unsettled: head.unsettled.into_owned(),
        halted: head.halted.into_owned(),
        limited: head.limited.into_owned(),
        failures: head.failures.into_owned(),
        opening: head.opening.into_owned(),
        decidable: head.decidable.into_owned(),
        active: head.active.into_owned(),
        at_large: head.at_large.into_owned(),
        moving: head.moving.into_owned(),
        open_count: head.open_count,
        reviewing,
        ..fresh
    };
    order::gather(&mut state, head.ready);
    Some(Engine::over(state))
}
