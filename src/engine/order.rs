//! The order among ready tasks: who is claimed first where not all can be.
//!
//! First what the longest chain of dependents waits for (each task counts one: how long a task
//! takes is only known afterwards, and a `timeout` says how long it may, not how long it does),
//! then what more tasks wait for directly, then what has been ready for longer, then the id.
//! All of it follows from plan and journal, so a replay chooses alike (law J5). It leaves out
//! whether a task may start at all (`gate.rs`).

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::moment::Moment;
use super::state::RunState;
use crate::workflow::Order;

/// Where a ready task stands; the smallest is claimed first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    chain: Reverse<u32>,
    fan_out: Reverse<usize>,
    since: Moment,
    id: Box<str>,
    task: usize,
}

/// The tasks that could start, in the order in which they are to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ready {
    order: BTreeSet<Key>,
    /// What a task was put in by: its state may say something else by now.
    keys: BTreeMap<usize, Key>,
}

impl Ready {
    /// In order.
    pub fn iter(&self) -> impl Iterator<Item = usize> {
        self.order.iter().map(|key| key.task)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Whether a task is among them.
    #[must_use]
    pub fn contains(&self, task: usize) -> bool {
        self.keys.contains_key(&task)
    }

    /// Their places in the plan, for whoever keeps them as a set.
    #[must_use]
    pub fn places(&self) -> BTreeSet<usize> {
        self.keys.keys().copied().collect()
    }

    fn put(&mut self, key: Key) {
        self.remove(key.task);
        self.keys.insert(key.task, key.clone());
        self.order.insert(key);
    }

    fn remove(&mut self, task: usize) {
        if let Some(key) = self.keys.remove(&task) {
            self.order.remove(&key);
        }
    }
}

/// Puts a task among the ready ones, or takes it out.
pub(super) fn sort(state: &mut RunState, task: usize, ready: bool) {
    if ready {
        let key = key(state, task);
        state.ready.put(key);
    } else {
        state.ready.remove(task);
    }
}

/// All of them anew, from the places of a kept fold or of another plan.
pub(super) fn gather(state: &mut RunState, places: impl IntoIterator<Item = usize>) {
    state.ready = Ready::default();
    places.into_iter().for_each(|task| sort(state, task, true));
}

fn key(state: &RunState, task: usize) -> Key {
    match state.workflow().order {
        // The place in the file alone.
        Order::Fifo => {
            Key { chain: Reverse(0), fan_out: Reverse(0), since: Moment(0), id: Box::default(), task }
        }
        Order::Critical => {
            let counts = |(other, _): &&(usize, usize)| !state.tasks[*other].removed;
            Key {
                chain: Reverse(state.chains[task]),
                fan_out: Reverse(state.dependents[task].iter().filter(counts).count()),
                since: state.tasks[task].since.moment,
                id: state.planned(task).id.as_str().into(),
                task,
            }
        }
    }
}

/// Measures the chains of the tasks from `from` on, and makes those of older ones longer that
/// have a new dependent; whoever is ready takes its new place. The plan and its edges are there
/// already. Costs as much as what is new and what leads to it, each edge once.
pub(super) fn extend(state: &mut RunState, from: usize) {
    let count = state.tasks.len();
    state.chains.truncate(from);
    state.chains.resize(count, 1);
    let mut raised = measure(state, from);
    // An older task's chain was longer than those of its dependents, so that in the order of
    // the old lengths each is met once, after all that it depends on for its new one.
    while let Some((_, task)) = raised.pop_first() {
        let longest =
            1 + state.dependents[task].iter().map(|(other, _)| chain(state, *other)).max().unwrap_or(0);
        if longest <= state.chains[task] {
            continue;
        }
        state.chains[task] = longest;
        let shorter = |need: &usize| state.chains[*need] <= longest;
        raised.extend(needs(state, task).filter(shorter).map(|need| (state.chains[need], need)));
    }
    let places = state.ready.places();
    gather(state, places);
}

/// The new tasks, each after all of its dependents; older ones that they make longer come back.
fn measure(state: &mut RunState, from: usize) -> BTreeSet<(u32, usize)> {
    let counts = |other: usize| other >= from && !state.tasks[other].removed;
    let open = |task: &usize| state.dependents[*task].iter().filter(|(other, _)| counts(*other)).count();
    let mut unmet: Vec<usize> = (from..state.tasks.len()).map(|task| open(&task)).collect();
    let mut free: Vec<usize> = (from..state.tasks.len()).filter(|task| unmet[task - from] == 0).collect();
    let mut raised = BTreeSet::new();
    // Each task is free once: its last dependent frees it.
    while let Some(task) = free.pop() {
        let length = chain(state, task) + 1;
        let needed: Vec<usize> = needs(state, task).collect();
        for need in needed {
            if need < from {
                raised.insert((state.chains[need], need));
                continue;
            }
            state.chains[need] = state.chains[need].max(length);
            unmet[need - from] -= 1;
            if unmet[need - from] == 0 {
                free.push(need);
            }
        }
    }
    raised
}

/// What a task adds to the chains of those that it needs: nothing once the workflow lost it.
fn chain(state: &RunState, task: usize) -> u32 {
    if state.tasks[task].removed { 0 } else { state.chains[task] }
}

/// What leads to a task; nothing leads to one that the workflow lost, whose place may be taken again.
fn needs(state: &RunState, task: usize) -> impl Iterator<Item = usize> {
    let needs = if state.tasks[task].removed { &[] } else { state.planned(task).needs.as_slice() };
    needs.iter().filter_map(|need| state.task_index(&need.task))
}
