//! One state of the model: the real engine, its journal on disk, and the world around it.
//!
//! `decide` is the only way to the engine and commits at once: between a decision and
//! its commit nothing touches the world, so a crash there is a crash before it. It
//! leaves out who calls it (`shell.rs`).

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use ilchul::engine::Engine;
use ilchul::engine::event::Event;
use ilchul::engine::input::Input;
use ilchul::engine::moment::{Moment, Now, Stamp};
use ilchul::engine::state::{RunPhase, WorkerState, worker_id};

use crate::canon;
use crate::laws::{self, Law};
use crate::mutants::Mutant;
use crate::plan::{Budget, Plan, STEP_MS};
use crate::world::Worker;

/// Committed batches, the last first; shared with the states before.
#[derive(Clone, Default)]
pub struct Journal(Option<Arc<Batch>>);

struct Batch {
    events: Vec<(Stamp, Event)>,
    before: Journal,
}

impl Journal {
    /// One transaction.
    pub fn append(&mut self, events: Vec<(Stamp, Event)>) {
        let before = std::mem::take(self);
        self.0 = Some(Arc::new(Batch { events, before }));
    }

    /// All events, the first first.
    pub fn read(&self) -> Vec<(Stamp, Event)> {
        let mut batches = Vec::new();
        let mut next = &self.0;
        while let Some(batch) = next {
            batches.push(batch);
            next = &batch.before.0;
        }
        batches.into_iter().rev().flat_map(|batch| batch.events.iter().cloned()).collect()
    }
}

/// Whom an action is about: a task of the plan and an attempt.
pub type Whom = (usize, u32);

/// What the disk folds to, and what isn't on it yet.
pub type Held = (Arc<Engine>, Vec<(Stamp, Event)>);

/// One state.
#[derive(Clone)]
pub struct State {
    /// What a living supervisor decides on; what the journal folds to, where it is dead.
    pub engine: Arc<Engine>,
    /// What is on the disk.
    pub journal: Journal,
    /// What the disk folds to, where something is decided and not on it (only [`Mutant::ActFirst`]).
    pub behind: Option<Held>,
    /// A copy of the journal, and what it folds to.
    pub copy: Option<(Journal, Arc<Engine>)>,
    /// A supervisor lives.
    pub up: bool,
    /// It couldn't look for sessions yet: it looks again before it gives up any launch.
    pub undiscovered: bool,
    /// The how manieth it is.
    pub life: u8,
    /// The time, in steps.
    pub now: u64,
    /// Everything that was ever made, in order of task and attempt.
    pub world: Vec<Worker>,
    /// What may still go wrong.
    pub left: Budget,
    /// The ledger: the highest token that anybody was ever told, in this or another past.
    pub highest: u64,
    /// Laws that were broken on the way here.
    pub broken: u32,
    canon: Vec<u64>,
}

impl State {
    /// A run that has just begun.
    pub fn first(plan: &Plan) -> Self {
        let at = stamp(0);
        let mut state = Self {
            engine: Arc::new(Engine::start(plan.started(), at)),
            journal: Journal::default(),
            behind: None,
            copy: None,
            up: true,
            undiscovered: false,
            life: 1,
            now: 0,
            world: Vec::new(),
            left: plan.budget,
            highest: 0,
            broken: 0,
            canon: Vec::new(),
        };
        state.decide(plan, &Input::Tick);
        state.identify();
        state
    }

    /// The time of this step, and the chance of this life.
    pub fn clock(&self) -> Now {
        Now { stamp: stamp(self.now), seed: [self.life; 16] }
    }

    /// Decides on one input and commits what came of it.
    pub fn decide(&mut self, plan: &Plan, input: &Input) -> Vec<Event> {
        self.decide_at(plan, self.clock(), input)
    }

    /// The same at a time that may be another than ours.
    pub fn decide_at(&mut self, plan: &Plan, now: Now, input: &Input) -> Vec<Event> {
        let before = Arc::clone(&self.engine);
        let engine = Arc::make_mut(&mut self.engine);
        if engine.handle(now, input).is_err() {
            return Vec::new();
        }
        let events = engine.take_events();
        laws::audit(self, plan, &before, &events);
        self.commit(plan, before, now.stamp, &events);
        events
    }

    /// What is decided goes to the disk; under one mutant only later.
    fn commit(&mut self, plan: &Plan, before: Arc<Engine>, at: Stamp, events: &[Event]) {
        let rows = events.iter().cloned().map(|event| (at, event));
        // The root is always committed: without it there is no run to resume.
        let late = plan.mutant == Some(Mutant::ActFirst) && self.journal.0.is_some();
        if events.is_empty() {
            return;
        }
        if late {
            self.behind.get_or_insert((before, Vec::new())).1.extend(rows);
        } else {
            self.journal.append(rows.collect());
        }
    }

    /// What was held back goes to the disk.
    pub fn flush(&mut self) {
        if let Some((_, events)) = self.behind.take() {
            self.journal.append(events);
        }
    }

    /// The run has ended.
    pub fn ended(&self) -> bool {
        matches!(self.engine.state().phase, RunPhase::Ended { .. })
    }

    /// An attempt's part of the world.
    pub fn worker(&self, whom: Whom) -> Option<&Worker> {
        self.world.iter().find(|worker| (worker.task, worker.attempt) == whom)
    }

    /// The same, to be changed.
    pub fn worker_mut(&mut self, whom: Whom) -> Option<&mut Worker> {
        self.world.iter_mut().find(|worker| (worker.task, worker.attempt) == whom)
    }

    /// The engine's row of an attempt.
    pub fn row(&self, whom: Whom) -> Option<&WorkerState> {
        self.engine.state().workers.get(&self.id(whom)).map(AsRef::as_ref)
    }

    /// Its name.
    pub fn id(&self, (task, attempt): Whom) -> String {
        worker_id(&self.engine.state().planned(task).id, attempt)
    }

    /// Notes that a law was broken.
    pub fn breaks(&mut self, law: Law) {
        self.broken |= 1 << law as u32;
    }

    /// Whether one was.
    pub fn broke(&self, law: Law) -> bool {
        self.broken & (1 << law as u32) != 0
    }

    /// A number that is its own, for samples.
    pub fn mix(&self) -> u64 {
        let odd = |all: u64, part: &u64| (all ^ part).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29);
        self.canon.iter().fold(0, odd) >> 7
    }

    /// Computes what it is told apart by. Called once, when it is whole.
    pub fn identify(&mut self) {
        let mut canon = Vec::with_capacity(128);
        canon::engine(&self.engine, self.up, &mut canon);
        canon.extend([
            u64::from(self.up),
            u64::from(self.undiscovered),
            u64::from(self.life),
            self.now,
            self.left.canon(),
            self.highest,
            u64::from(self.broken),
        ]);
        self.world.iter().for_each(|worker| worker.canon(&mut canon));
        for other in [self.behind.as_ref().map(|held| &held.0), self.copy.as_ref().map(|copy| &copy.1)] {
            canon.push(u64::from(other.is_some()));
            if let Some(other) = other {
                canon::engine(other, false, &mut canon);
            }
        }
        self.canon = canon;
    }
}

impl Hash for State {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.canon.hash(hasher);
    }
}

impl PartialEq for State {
    fn eq(&self, other: &Self) -> bool {
        self.canon == other.canon
    }
}

/// A number of steps as the engine's time.
pub fn stamp(steps: u64) -> Stamp {
    Stamp { moment: Moment(steps * STEP_MS), wall_ms: 0 }
}
