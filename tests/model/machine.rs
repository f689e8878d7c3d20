//! The model itself: which actions a state allows, and where each leads.
//!
//! It leaves out what an action does (`shell.rs`, `world.rs`).

use ilchul::engine::effect::Effect;
use ilchul::engine::input::{Choice, Request};
use ilchul::engine::worker_table::WorkerPhase;
use stateright::{Model, Property};

use crate::laws::{self, Law};
use crate::mutants::Mutant;
use crate::plan::Plan;
use crate::state::{State, Whom};
use crate::world::{Act, File, Shim, Worker};
use ilchul::workflow::OnLost;

/// The most steps in which a run ends once nothing goes wrong any more.
const HEALED_WITHIN: usize = 300;
/// One state in so many is asked whether its run can still end.
const HEALED_SAMPLE: u64 = 64;

/// One step of anybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Tree and mail are made.
    Make(Whom),
    /// The session is started.
    Spawn(Whom),
    /// The launch's outcome is handed in.
    Launched(Whom),
    /// Sessions are looked for again.
    Discover,
    /// A launch of an earlier life is given up.
    GiveUp(Whom),
    /// The assignment is renamed into the mail.
    Deliver(Whom),
    /// The session is ended.
    Stop(Whom),
    /// That is handed in.
    Stopped(Whom),
    /// The tree is kept.
    Capture(Whom),
    /// The evidence is looked at; `true`: and nothing could be seen.
    Verify(Whom, bool),
    /// A file is read.
    Read(Whom, File),
    /// A session is looked at, and isn't there.
    Probe(Whom),
    /// A worker does something.
    Worker(Whom, Act),
    /// A step of the clock in which the supervisor looked.
    Wait,
    /// A step of the clock in which it couldn't.
    Stall,
    /// The supervisor ends.
    Crash,
    /// Another begins; `true`: its look at the sessions fails.
    Resume(bool),
    /// The journal is copied.
    Copy,
    /// The copy is put back.
    Restore,
    /// A person decides on what is in doubt.
    Decide(usize, Choice),
    /// What was held back is committed (only [`Mutant::ActFirst`]).
    Commit,
}

/// The model of one plan.
#[derive(Debug, Clone)]
pub struct Machine {
    /// What it is about.
    pub plan: Plan,
}

impl Model for Machine {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::first(&self.plan)]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        // An ended run is driven by nobody.
        if state.ended() {
            return;
        }
        if state.up {
            self.supervisor(state, actions);
        } else {
            actions.push(Action::Resume(false));
        }
        for worker in &state.world {
            self.worker(state, worker, actions);
        }
        self.faults(state, actions);
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        self.take(&mut state, action);
        state.identify();
        (state != *last).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        laws::properties(&self.plan)
    }
}

impl Machine {
    /// What a living supervisor may do next: outcomes of what is under way, what is owed, and looks.
    fn supervisor(&self, state: &State, actions: &mut Vec<Action>) {
        if state.behind.is_some() {
            actions.push(Action::Commit);
        }
        actions.extend(state.undiscovered.then_some(Action::Discover));
        for worker in state.world.iter().filter(|worker| worker.desk.launching) {
            let whom = (worker.task, worker.attempt);
            let made = worker.shim == Shim::None;
            actions.push(if made { Action::Spawn(whom) } else { Action::Launched(whom) });
        }
        for effect in state.engine.outstanding() {
            self.owed(state, &effect, actions);
        }
        for worker in &state.world {
            let whom = (worker.task, worker.attempt);
            if worker.desk.stopped {
                actions.push(Action::Stopped(whom));
            }
            if !state.is_watched(whom) {
                continue;
            }
            let news = File::ALL.into_iter().filter(|file| worker.is_news(*file));
            actions.extend(news.map(|file| Action::Read(whom, file)));
            if state.is_absent(&self.plan, whom) {
                actions.push(Action::Probe(whom));
            }
        }
    }

    /// `perform.rs`: what is owed and not under way.
    fn owed(&self, state: &State, effect: &Effect, actions: &mut Vec<Action>) {
        let Some(row) = state.engine.state().workers.get(effect.worker()) else { return };
        let whom = (row.task, row.attempt);
        let worker = state.worker(whom);
        let launching = worker.is_some_and(|worker| worker.desk.launching);
        match effect {
            Effect::Provision { worker: id } if state.engine.nonce(id).is_some() => {
                actions.extend((!launching).then_some(Action::Make(whom)));
            }
            // It may live, and have been given its work by a journal that is gone.
            Effect::Provision { .. } if state.undiscovered => {}
            Effect::Provision { .. } => actions.push(Action::GiveUp(whom)),
            Effect::Deliver { .. } => {
                let again = self.plan.mutant == Some(Mutant::Resend) && state.life > 1;
                let due = worker.is_some_and(|w| w.assignment.is_none() || (again && w.deliveries < 2));
                actions.extend(due.then_some(Action::Deliver(whom)));
            }
            // While it is being made, the launch's outcome tells what is to be ended.
            Effect::Stop { .. } => {
                let under_way = launching || worker.is_some_and(|worker| worker.desk.stopped);
                actions.extend((!under_way).then_some(Action::Stop(whom)));
            }
            Effect::Capture { .. } => actions.push(Action::Capture(whom)),
            // Nobody submits anything here.
            Effect::Reply { .. } | Effect::Answer { .. } => {}
            Effect::Verify { .. } => {
                actions.push(Action::Verify(whom, false));
                if state.left.murk > 0 {
                    actions.push(Action::Verify(whom, true));
                }
            }
        }
    }

    fn worker(&self, state: &State, worker: &Worker, actions: &mut Vec<Action>) {
        let whom = (worker.task, worker.attempt);
        // What one does to whom nothing is owed any more is read by nobody; that its body
        // starts is all that could still matter.
        let active = state.engine.state().active.contains(&*worker.id);
        let left = &state.left;
        for act in Act::ALL.into_iter().filter(|act| act.fits(worker)) {
            let may = match act {
                Act::Start => true,
                Act::Ready | Act::Ack | Act::Report | Act::Exit | Act::Wake => active,
                Act::Lie => active && left.lies > 0,
                Act::Fail | Act::Die | Act::Orphan => active && left.deaths > 0,
                Act::Hush => active && left.silences > 0,
            };
            actions.extend(may.then_some(Action::Worker(whom, act)));
        }
    }

    fn faults(&self, state: &State, actions: &mut Vec<Action>) {
        let left = &state.left;
        if left.clock > 0 {
            actions.push(Action::Wait);
            actions.extend(state.up.then_some(Action::Stall));
        }
        if state.up && left.crashes > 0 {
            actions.push(Action::Crash);
        }
        if !state.up && left.blind > 0 {
            actions.push(Action::Resume(true));
        }
        if left.restores > 0 {
            match (&state.copy, state.up) {
                (None, true) => actions.push(Action::Copy),
                (Some(_), false) => actions.push(Action::Restore),
                (None, false) | (Some(_), true) => {}
            }
        }
        if state.up && left.decisions > 0 {
            let choices = [Choice::Rerun, Choice::Skip, Choice::Accept];
            for task in (0..state.engine.state().tasks.len()).filter(|task| in_doubt(state, *task)) {
                actions.extend(choices.map(|choice| Action::Decide(task, choice)));
            }
        }
    }

    /// One action, done.
    fn take(&self, state: &mut State, action: Action) {
        let plan = &self.plan;
        if !recorded(state, action) {
            state.breaks(Law::ActedFirst);
        }
        match action {
            Action::Make(whom) => state.make(plan, whom),
            Action::Spawn(whom) => state.spawn(whom),
            Action::Launched(whom) => state.launched(plan, whom),
            Action::Discover => state.discover(plan),
            Action::GiveUp(whom) => state.give_up(plan, whom),
            Action::Deliver(whom) => state.deliver(whom),
            Action::Stop(whom) => state.stop(plan, whom),
            Action::Stopped(whom) => state.stopped(plan, whom),
            Action::Capture(whom) => state.capture(plan, whom),
            Action::Verify(whom, murky) => {
                state.left.murk -= u8::from(murky);
                state.verify(plan, whom, murky);
            }
            Action::Read(whom, file) => state.read(plan, whom, file),
            Action::Probe(whom) => state.probe(plan, whom),
            Action::Worker(whom, act) => self.act(state, whom, act),
            Action::Wait | Action::Stall => {
                state.left.clock -= 1;
                state.wait(plan, action == Action::Wait);
            }
            Action::Crash => {
                state.left.crashes -= 1;
                state.crash();
            }
            Action::Resume(blind) => {
                state.left.blind -= u8::from(blind);
                state.resume(plan, blind);
            }
            Action::Copy => state.copy = Some((state.journal.clone(), state.engine.clone())),
            Action::Restore => {
                state.left.restores -= 1;
                if let Some((journal, engine)) = state.copy.take() {
                    (state.journal, state.engine) = (journal, engine);
                    // What the lost rows said is no verdict any more.
                    state.world.iter_mut().for_each(|worker| worker.verdicts = 0);
                }
            }
            Action::Decide(task, choice) => {
                state.left.decisions -= 1;
                let task = state.engine.state().planned(task).id.clone();
                state.ask(plan, Request::Decide { task, choice });
            }
            Action::Commit => state.flush(),
        }
    }

    fn act(&self, state: &mut State, whom: Whom, act: Act) {
        let left = &mut state.left;
        match act {
            Act::Lie => left.lies -= 1,
            Act::Fail | Act::Die | Act::Orphan => left.deaths -= 1,
            Act::Hush => left.silences -= 1,
            Act::Ready | Act::Start | Act::Ack | Act::Report | Act::Exit | Act::Wake => {}
        }
        let beside =
            state.world.iter().any(|other| other.task == whom.0 && other.attempt != whom.1 && other.runs());
        // `retry` is a person's word that a lost worker may go on beside its successor.
        if act == Act::Start && beside && self.plan.on_lost != OnLost::Retry {
            state.breaks(Law::Beside);
        }
        if let Some(worker) = state.worker_mut(whom) {
            act.done(worker);
        }
    }

    /// Whether the run still ends, once nothing goes wrong any more and a person answers.
    /// Asked of a sample of the states, chosen by their identity.
    pub fn can_end(&self, state: &State) -> bool {
        let asked = matches!(self.plan.mutant, None | Some(Mutant::SwallowStop));
        if !asked || !state.mix().is_multiple_of(HEALED_SAMPLE) {
            return true;
        }
        let mut state = state.clone();
        for _ in 0..HEALED_WITHIN {
            if state.ended() {
                return true;
            }
            match self.heal(&state) {
                Some(next) => state = next,
                None => return false,
            }
        }
        false
    }

    /// The next step of a world in which nothing goes wrong.
    fn heal(&self, state: &State) -> Option<State> {
        let mut state = state.clone();
        (state.left.clock, state.left.decisions) = (1, 1);
        let mut actions = Vec::new();
        self.actions(&state, &mut actions);
        let rank = |action: &Action| match action {
            Action::Resume(false) => Some(0),
            Action::Worker(_, Act::Wake) => Some(1),
            Action::Verify(_, true)
            | Action::Stall
            | Action::Crash
            | Action::Resume(true)
            | Action::Copy
            | Action::Restore => None,
            Action::Worker(_, act) => Act::HONEST.contains(act).then_some(3),
            Action::Wait => Some(5),
            Action::Decide(_, Choice::Skip) => Some(6),
            Action::Decide(_, Choice::Rerun) => Some(4),
            Action::Decide(_, Choice::Accept) => None,
            Action::Make(_)
            | Action::Spawn(_)
            | Action::Launched(_)
            | Action::Discover
            | Action::GiveUp(_)
            | Action::Deliver(_)
            | Action::Stop(_)
            | Action::Stopped(_)
            | Action::Capture(_)
            | Action::Verify(_, false)
            | Action::Read(..)
            | Action::Probe(_)
            | Action::Commit => Some(2),
        };
        let mut good: Vec<(u8, Action)> =
            actions.into_iter().filter_map(|action| Some((rank(&action)?, action))).collect();
        good.sort_by_key(|(rank, _)| *rank);
        good.into_iter().find_map(|(_, action)| self.next_state(&state, action))
    }
}

/// Whether the disk knows why the world is touched (law 1).
fn recorded(state: &State, action: Action) -> bool {
    let disk = state.behind.as_ref().map_or(&state.engine, |held| &held.0).state();
    let row = |whom: Whom| disk.workers.get(&state.id(whom));
    match action {
        Action::Make(whom) | Action::Spawn(whom) => row(whom).is_some(),
        Action::Deliver(whom) => row(whom).is_some_and(|row| row.dispatched_at.is_some()),
        Action::Stop(whom) => row(whom).is_some_and(|row| row.stop.is_some()),
        Action::Capture(whom) => row(whom).is_some_and(|row| row.settled),
        Action::Launched(_)
        | Action::Discover
        | Action::GiveUp(_)
        | Action::Stopped(_)
        | Action::Verify(..)
        | Action::Read(..)
        | Action::Probe(_)
        | Action::Worker(..)
        | Action::Wait
        | Action::Stall
        | Action::Crash
        | Action::Resume(_)
        | Action::Copy
        | Action::Restore
        | Action::Decide(..)
        | Action::Commit => true,
    }
}

/// What `decide` is for.
fn in_doubt(state: &State, task: usize) -> bool {
    let run = state.engine.state();
    run.held_by(task).is_some()
        || run.tasks[task].phase.is_held()
            && run
                .current_worker(task)
                .is_some_and(|(_, worker)| worker.expired || worker.phase == WorkerPhase::Unhealthy)
}
