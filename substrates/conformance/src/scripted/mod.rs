//! `Scripted`: a substrate in memory that does what a test tells it to.
//!
//! A clone is another object over the same world, as a substrate that is opened
//! again after a restart of the supervisor; states, calls and orders stay. Left
//! out: processes, files and time. A session "runs" until a test, `release` or a
//! callback says otherwise.

mod control;
mod gate;

pub use gate::Gate;

use gate::GateState;
use ilchul_substrate::{
    Capabilities, Error, ErrorKind, Exit, Facts, Handle, Mark, Observation, State, Substrate, Urgency,
};
use std::collections::{BTreeMap, VecDeque};
use std::ffi::OsString;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::Hosts;

/// The field that stands for a start time: it tells a thing from its successor in the same place.
const GENERATION: &str = "generation";

/// A verb of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verb {
    /// `ensure`
    Ensure,
    /// `observe`
    Observe,
    /// `release`
    Release,
    /// `discover`
    Discover,
    /// `attach`
    Attach,
}

/// One call as it arrived, before any fault or gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    /// `ensure` of this mark.
    Ensure(Mark),
    /// `observe` of these marks, in the order asked.
    Observe(Vec<Mark>),
    /// `release` of this mark, in this hurry.
    Release(Mark, Urgency),
    /// `discover` of this run.
    Discover(String),
    /// `attach` to this mark.
    Attach(Mark),
}

impl Call {
    /// Which verb was called.
    #[must_use]
    pub fn verb(&self) -> Verb {
        match self {
            Self::Ensure(_) => Verb::Ensure,
            Self::Observe(_) => Verb::Observe,
            Self::Release(..) => Verb::Release,
            Self::Discover(_) => Verb::Discover,
            Self::Attach(_) => Verb::Attach,
        }
    }

    /// The marks it was about; none for `discover`.
    #[must_use]
    pub fn marks(&self) -> &[Mark] {
        match self {
            Self::Ensure(mark) | Self::Release(mark, _) | Self::Attach(mark) => std::slice::from_ref(mark),
            Self::Observe(marks) => marks,
            Self::Discover(_) => &[],
        }
    }
}

/// The substrate and its controls. Clones share one world; usable from any thread.
pub struct Scripted<Spec> {
    world: Arc<World<Spec>>,
}

impl<Spec> Clone for Scripted<Spec> {
    fn clone(&self) -> Self {
        Self { world: Arc::clone(&self.world) }
    }
}

type OnEnsure<Spec> = Arc<dyn Fn(&Scripted<Spec>, &Mark, &Spec) + Send + Sync>;
type OnRelease<Spec> = Arc<dyn Fn(&Scripted<Spec>, &Mark, Urgency) + Send + Sync>;

struct World<Spec> {
    hosts: Hosts,
    kind: &'static str,
    inner: Mutex<Inner<Spec>>,
}

struct Inner<Spec> {
    capabilities: Capabilities,
    things: BTreeMap<Mark, Thing<Spec>>,
    calls: Vec<Call>,
    faults: BTreeMap<Verb, VecDeque<Fault>>,
    gates: Vec<(Verb, Option<Mark>, Arc<GateState>)>,
    on_ensure: Option<OnEnsure<Spec>>,
    on_release: Option<OnRelease<Spec>>,
    started: u64,
}

struct Thing<Spec> {
    /// None for what isn't ours.
    spec: Option<Arc<Spec>>,
    state: State,
    generation: u64,
}

/// An ordered failure.
#[derive(Clone, Copy)]
struct Fault {
    kind: ErrorKind,
    /// After the work was done: the caller is told that it failed, but it did not.
    late: bool,
}

impl<Spec> Scripted<Spec> {
    fn lock(&self) -> MutexGuard<'_, Inner<Spec>> {
        // A panic in another thread of the test must not hide behind a poisoned lock.
        self.world.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records a call, waits behind the gates that hold it, and takes the fault that awaits it.
    fn enter(&self, call: &Call) -> Option<Fault> {
        let held: Vec<Arc<GateState>> = {
            let mut inner = self.lock();
            inner.calls.push(call.clone());
            let holds = |only: &Option<Mark>| only.as_ref().is_none_or(|only| call.marks().contains(only));
            let gates = inner.gates.iter().filter(|(verb, only, _)| *verb == call.verb() && holds(only));
            gates.map(|(_, _, gate)| Arc::clone(gate)).collect()
        };
        for gate in held {
            gate.pass();
        }
        self.lock().faults.get_mut(&call.verb()).and_then(VecDeque::pop_front)
    }

    fn handle(&self, mark: &Mark, generation: u64) -> Handle {
        Handle {
            mark: mark.clone(),
            kind: self.world.kind.to_owned(),
            id: mark.worker(),
            fields: BTreeMap::from([(GENERATION.to_owned(), generation.to_string())]),
        }
    }

    fn check_kind(&self, handle: &Handle) -> Result<(), Error> {
        if handle.kind == self.world.kind {
            return Ok(());
        }
        let detail = format!("`{}` is of kind `{}`, not `{}`", handle.mark, handle.kind, self.world.kind);
        Err(Error::new(ErrorKind::Refused, "read handle", detail))
    }

    fn look(&self, inner: &Inner<Spec>, handle: &Handle) -> State {
        let generation = self.check_kind(handle).and_then(|()| handle.field(GENERATION).map(str::to_owned));
        match generation {
            Err(error) => State::Unknown(error.to_string()),
            Ok(generation) => match inner.things.get(&handle.mark) {
                Some(thing) if thing.generation.to_string() == generation => thing.state.clone(),
                Some(_) | None => State::Absent,
            },
        }
    }

    /// Makes or finds; true where it was made.
    fn make(&self, inner: &mut Inner<Spec>, mark: &Mark, spec: Spec) -> Result<(Handle, bool), Error> {
        // What was lost leaves its place free, as a closed window does.
        if let Some(thing) = inner.things.get(mark).filter(|thing| thing.state != State::Absent) {
            return match thing.generation {
                control::FOREIGN => Err(conflict("ensure", mark, "something else is in the way")),
                generation => Ok((self.handle(mark, generation), false)),
            };
        }
        inner.started += 1;
        let state = if inner.capabilities.queued {
            State::Queued("scripted".to_owned())
        } else {
            State::Live(facts(mark, inner.started))
        };
        let thing = Thing { spec: Some(Arc::new(spec)), state, generation: inner.started };
        inner.things.insert(mark.clone(), thing);
        Ok((self.handle(mark, inner.started), true))
    }

    fn end(&self, inner: &mut Inner<Spec>, handle: &Handle, urgency: Urgency) -> Result<(), Error> {
        self.check_kind(handle)?;
        let generation = handle.field(GENERATION)?;
        let Some(thing) = inner.things.get_mut(&handle.mark) else { return Ok(()) };
        if thing.generation.to_string() != generation {
            return Err(conflict("release", &handle.mark, "another thing is in its place"));
        }
        let signal = match urgency {
            Urgency::Asked => 15,
            Urgency::AtOnce => 9,
        };
        match (&thing.state, self.world.hosts) {
            (State::Ended(_) | State::Absent, _) | (_, Hosts::Workspace) => {}
            (State::Live(_) | State::Queued(_) | State::Stuck(_) | State::Unknown(_), Hosts::Session) => {
                thing.state = State::Ended(Some(Exit::Signal(signal)));
            }
        }
        Ok(())
    }
}

impl<Spec: Clone + Send + Sync> Substrate for Scripted<Spec> {
    type Spec = Spec;

    fn kind(&self) -> &'static str {
        self.world.kind
    }

    fn capabilities(&self) -> Capabilities {
        self.lock().capabilities
    }

    fn ensure(&self, mark: &Mark, spec: &Spec) -> Result<Handle, Error> {
        let fault = self.enter(&Call::Ensure(mark.clone()));
        if let Some(fault) = fault.filter(|fault| !fault.late) {
            return Err(scripted("ensure", mark, fault.kind));
        }
        let (handle, new, callback) = {
            let mut inner = self.lock();
            let (handle, new) = self.make(&mut inner, mark, spec.clone())?;
            (handle, new, inner.on_ensure.clone())
        };
        // Outside the lock, so that the callback may use every control.
        if let Some(callback) = callback.filter(|_| new) {
            callback(self, mark, spec);
        }
        fault.map_or(Ok(handle), |fault| Err(scripted("ensure", mark, fault.kind)))
    }

    fn observe(&self, handles: &[Handle]) -> Vec<Observation> {
        let marks = handles.iter().map(|handle| handle.mark.clone()).collect();
        if self.enter(&Call::Observe(marks)).is_some() {
            let blind = || Observation::now(State::Unknown("scripted: the look failed".to_owned()));
            return handles.iter().map(|_| blind()).collect();
        }
        let inner = self.lock();
        handles.iter().map(|handle| Observation::now(self.look(&inner, handle))).collect()
    }

    fn release(&self, handle: &Handle, urgency: Urgency) -> Result<(), Error> {
        let fault = self.enter(&Call::Release(handle.mark.clone(), urgency));
        if let Some(fault) = fault.filter(|fault| !fault.late) {
            return Err(scripted("release", &handle.mark, fault.kind));
        }
        let callback = {
            let mut inner = self.lock();
            self.end(&mut inner, handle, urgency)?;
            inner.on_release.clone()
        };
        if let Some(callback) = callback {
            callback(self, &handle.mark, urgency);
        }
        fault.map_or(Ok(()), |fault| Err(scripted("release", &handle.mark, fault.kind)))
    }

    fn discover(&self, run: &str) -> Result<Vec<(Mark, Handle)>, Error> {
        if let Some(fault) = self.enter(&Call::Discover(run.to_owned())) {
            return Err(Error::new(fault.kind, "discover", format!("run `{run}`: scripted to fail")));
        }
        let inner = self.lock();
        let there = inner.things.iter().filter(|(mark, thing)| {
            mark.run() == run && thing.generation != control::FOREIGN && thing.state != State::Absent
        });
        Ok(there.map(|(mark, thing)| (mark.clone(), self.handle(mark, thing.generation))).collect())
    }

    fn attach(&self, handle: &Handle) -> Option<Vec<OsString>> {
        self.enter(&Call::Attach(handle.mark.clone()));
        let possible = self.check_kind(handle).is_ok() && handle.field(GENERATION).is_ok();
        let argv = || vec![OsString::from("scripted-attach"), OsString::from(&handle.id)];
        (possible && self.capabilities().attach).then(argv)
    }
}

/// No pid: a test's supervisor might look at, or signal, the real process of that number.
fn facts(mark: &Mark, generation: u64) -> Facts {
    let notes = vec![("mark", mark.to_string()), (GENERATION, generation.to_string())];
    Facts { notes, ..Facts::default() }
}

fn conflict(action: &'static str, mark: &Mark, why: &str) -> Error {
    Error::new(ErrorKind::Conflict, action, format!("`{mark}`: {why}"))
}

fn scripted(action: &'static str, mark: &Mark, kind: ErrorKind) -> Error {
    Error::new(kind, action, format!("`{mark}`: scripted to fail"))
}
