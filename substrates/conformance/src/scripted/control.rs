//! The controls of `Scripted`: what a test orders, and what it may ask afterwards.
//!
//! It leaves out the verbs themselves; nothing here is recorded as a call.

use super::{Call, Facts, Fault, GENERATION, Gate, GateState, Inner, Scripted, Thing, Verb, World, facts};
use crate::Hosts;
use ilchul_substrate::{Capabilities, ErrorKind, Handle, Mark, State, Urgency};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// The generation of what isn't ours; real ones count from 1.
pub(super) const FOREIGN: u64 = 0;

impl<Spec> Scripted<Spec> {
    /// An empty world of kind `scripted` that can't do anything special but show its files.
    #[must_use]
    pub fn new(hosts: Hosts) -> Self {
        Self::with_kind(hosts, "scripted")
    }

    /// An empty world whose handles bear `kind`, for tests with several substrates.
    #[must_use]
    pub fn with_kind(hosts: Hosts, kind: &'static str) -> Self {
        let capabilities = Capabilities {
            queued: false,
            push_events: false,
            attach: false,
            local_files: true,
            wall_time: false,
            can_partition: false,
        };
        let inner = Inner {
            capabilities,
            things: BTreeMap::new(),
            calls: Vec::new(),
            faults: BTreeMap::new(),
            gates: Vec::new(),
            on_ensure: None,
            on_release: None,
            started: FOREIGN,
        };
        Self { world: Arc::new(World { hosts, kind, inner: Mutex::new(inner) }) }
    }

    /// Changes what it says that it can do. With `queued`, what is made from now on
    /// waits as `Queued` until [`Scripted::set_state`]; with `attach`, `attach` answers.
    pub fn set_capabilities(&self, capabilities: Capabilities) {
        self.lock().capabilities = capabilities;
    }

    /// The next `times` calls of `verb` fail with `kind` and do nothing. A failing
    /// `observe` answers `Unknown` for each handle. Orders queue up behind earlier ones.
    pub fn fail_next(&self, verb: Verb, times: usize, kind: ErrorKind) {
        self.order(verb, times, Fault { kind, late: false });
    }

    /// The next `times` calls of `verb` are done, and fail with `kind` afterwards: the
    /// answer was lost. Only `ensure` and `release` do anything that could be lost.
    pub fn fail_next_late(&self, verb: Verb, times: usize, kind: ErrorKind) {
        self.order(verb, times, Fault { kind, late: true });
    }

    fn order(&self, verb: Verb, times: usize, fault: Fault) {
        self.lock().faults.entry(verb).or_default().extend(std::iter::repeat_n(fault, times));
    }

    /// Takes back every failure that was ordered and has not happened.
    pub fn heal(&self) {
        self.lock().faults.clear();
    }

    /// Holds every call of `verb` from now on until the gate is opened or dropped.
    pub fn hold(&self, verb: Verb) -> Gate {
        self.add_gate(verb, None)
    }

    /// The same for calls that are about `mark`.
    pub fn hold_only(&self, verb: Verb, mark: &Mark) -> Gate {
        self.add_gate(verb, Some(mark.clone()))
    }

    fn add_gate(&self, verb: Verb, only: Option<Mark>) -> Gate {
        let state = Arc::<GateState>::default();
        self.lock().gates.push((verb, only, Arc::clone(&state)));
        Gate { state }
    }

    /// Calls `play` in the calling thread, before `ensure` returns, whenever a thing is
    /// made (not when it is found): here a test plays the worker. No lock is held.
    pub fn on_ensure(&self, play: impl Fn(&Self, &Mark, &Spec) + Send + Sync + 'static) {
        self.lock().on_ensure = Some(Arc::new(play));
    }

    /// Calls `play` after each release that did not fail, before it returns.
    pub fn on_release(&self, play: impl Fn(&Self, &Mark, Urgency) + Send + Sync + 'static) {
        self.lock().on_release = Some(Arc::new(play));
    }

    /// Says what `observe` answers for the thing from now on.
    ///
    /// # Panics
    /// When nothing was ever made under `mark`.
    pub fn set_state(&self, mark: &Mark, state: State) {
        match self.lock().things.get_mut(mark) {
            Some(thing) => thing.state = state,
            None => panic!("nothing was made under `{mark}`"),
        }
    }

    /// Makes a thing live again, or a queued one start.
    pub fn set_live(&self, mark: &Mark) {
        let generation = self.lock().things.get(mark).map_or(FOREIGN, |thing| thing.generation);
        self.set_state(mark, State::Live(facts(mark, generation)));
    }

    /// What `observe` would answer now; none where nothing was ever made.
    #[must_use]
    pub fn state(&self, mark: &Mark) -> Option<State> {
        self.lock().things.get(mark).map(|thing| thing.state.clone())
    }

    /// The spec that the thing was made from.
    #[must_use]
    pub fn spec(&self, mark: &Mark) -> Option<Arc<Spec>> {
        self.lock().things.get(mark).and_then(|thing| thing.spec.clone())
    }

    /// All marks under which something was made, in order, lost ones too.
    #[must_use]
    pub fn marks(&self) -> Vec<Mark> {
        self.lock().things.keys().cloned().collect()
    }

    /// The thing vanishes from outside.
    ///
    /// # Panics
    /// When nothing was ever made under `mark`.
    pub fn lose(&self, mark: &Mark) {
        self.set_state(mark, State::Absent);
    }

    /// Another thing takes the place of the one under `mark`: its handle now names
    /// something gone, a release by it is a `Conflict`.
    ///
    /// # Panics
    /// When nothing was ever made under `mark`.
    pub fn replace(&self, mark: &Mark) {
        let mut inner = self.lock();
        inner.started += 1;
        let generation = inner.started;
        match inner.things.get_mut(mark) {
            Some(thing) => {
                thing.generation = generation;
                thing.state = State::Live(facts(mark, generation));
            }
            None => panic!("nothing was made under `{mark}`"),
        }
    }

    /// Puts something foreign in the way: an `ensure` of `mark` is a `Conflict`.
    pub fn obstruct(&self, mark: &Mark) {
        let foreign = Thing { spec: None, state: State::Live(Facts::default()), generation: FOREIGN };
        self.lock().things.insert(mark.clone(), foreign);
    }

    /// The handle as it would be if another thing had been made in the same place.
    #[must_use]
    pub fn mistaken(handle: &Handle) -> Handle {
        let mut other = handle.clone();
        other.fields.insert(GENERATION.to_owned(), u64::MAX.to_string());
        other
    }

    /// Every call so far, in the order they arrived, failed ones too.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.lock().calls.clone()
    }

    /// How often `verb` was called about `mark`.
    #[must_use]
    pub fn count(&self, verb: Verb, mark: &Mark) -> usize {
        let about = |call: &&Call| call.verb() == verb && call.marks().contains(mark);
        self.lock().calls.iter().filter(about).count()
    }

    /// Empties the record of calls and returns it.
    #[must_use]
    pub fn take_calls(&self) -> Vec<Call> {
        std::mem::take(&mut self.lock().calls)
    }
}
