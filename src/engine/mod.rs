//! The pure machine: inputs in, events out, effects owed.
//!
//! No clock, files, threads, async, SQL, git, tmux or logging. What it decides is
//! an event; its state is the fold of its events; what is owed is derived from the
//! state. The supervisor commits the events before anything else sees them.

mod apply;
pub mod budget;
pub mod bundle;
pub mod close;
pub mod control;
mod decide;
pub mod effect;
pub mod event;
pub mod evidence;
pub mod fold;
pub mod gate;
pub mod halt;
pub mod input;
mod kind;
pub mod limit;
pub mod moment;
pub mod named;
pub mod no_change;
mod order;
pub mod outstanding;
pub mod pulse;
pub mod question;
mod ready;
pub mod reshape;
pub mod review;
mod shape;
pub mod state;
pub mod task_table;
pub mod timer;
pub mod view;
mod worker_state;
pub mod worker_table;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

pub use apply::Corrupt;
pub use decide::Rejection;

use decide::View;
use effect::Effect;
use event::{Adopted, Event, RunEvent, Started, WorkerStep};
use input::{Input, Request, Seen};
use moment::{Moment, Now, Stamp};
use pulse::Pulses;
use state::{RunPhase, RunState};

/// Most steps that one input may lead to before that counts as a bug: a run of the
/// largest allowed workflow ends in fewer.
const STEPS_MAX: usize = 4_000_000;

/// One run's machine.
#[derive(Debug, Clone)]
pub struct Engine {
    state: RunState,
    pulses: Pulses,
    /// What workers launched in this life must echo; a later life doesn't know it.
    nonces: BTreeMap<String, String>,
    /// The end of the run waits for a look round the workers.
    awaited: bool,
    fresh: Vec<Event>,
}

impl Engine {
    /// A new run: its root event is the first of [`Engine::take_events`].
    #[must_use]
    pub fn start(started: Started, at: Stamp) -> Self {
        let root = Event::Run(RunEvent::Started(Box::new(started.clone())));
        let mut engine = Self::over(RunState::new(started, at));
        engine.fresh.push(root);
        engine
    }

    /// A run as its journal tells it. Only [`Engine::resume`] makes it go on.
    ///
    /// # Errors
    /// [`Corrupt`] when the events aren't one run's legal past.
    pub fn replay(events: impl IntoIterator<Item = (Stamp, Event)>) -> Result<Self, Corrupt> {
        let mut replay = Replay::default();
        for (at, event) in events {
            replay.take(at, event)?;
        }
        replay.finish()
    }

    /// Takes one more event of the journal, as a reader does that follows it.
    ///
    /// # Errors
    /// [`Corrupt`] when it can't have happened in this state.
    pub fn fold(&mut self, at: Stamp, event: &Event) -> Result<(), Corrupt> {
        apply::apply(&mut self.state, at, event)
    }

    fn over(state: RunState) -> Self {
        Self { state, pulses: Pulses::default(), nonces: BTreeMap::new(), awaited: false, fresh: Vec::new() }
    }

    /// The fold so far, events not yet taken included.
    #[must_use]
    pub fn state(&self) -> &RunState {
        &self.state
    }

    /// The fold, where nothing follows any more.
    #[must_use]
    pub fn into_state(self) -> RunState {
        self.state
    }

    /// The signs of life.
    #[must_use]
    pub fn pulses(&self) -> &Pulses {
        &self.pulses
    }

    /// What a worker must echo, if this life launched it.
    #[must_use]
    pub fn nonce(&self, worker: &str) -> Option<&str> {
        self.nonces.get(worker).map(String::as_str)
    }

    /// Another supervisor goes on with the run: every worker gets a whole fresh grace.
    /// A run that has ended stays so (law J10).
    ///
    /// # Errors
    /// [`Corrupt`] is a bug of the engine itself.
    pub fn resume(&mut self, now: Now, (pid, boot, mono_ms): (u32, String, u64)) -> Result<(), Corrupt> {
        if matches!(self.state.phase, RunPhase::Ended { .. }) {
            return Ok(());
        }
        self.record(now, vec![Event::Run(RunEvent::Resumed { pid, boot, mono_ms })])?;
        let live: Vec<String> = self.state.active.iter().cloned().collect();
        for worker in live {
            self.pulses.watch(&worker, now.stamp.moment);
        }
        self.pulses.renew_all(now.stamp.moment);
        Ok(())
    }

    /// Takes one input, and everything that follows from it.
    ///
    /// # Errors
    /// A [`Rejection`] for a command that can't be granted; nothing changed then.
    /// A [`Corrupt`] is a bug of the engine itself and travels as a rejection too.
    pub fn handle(&mut self, now: Now, input: &Input) -> Result<(), Rejection> {
        if !self.feel(now, input) {
            return Ok(());
        }
        for _ in 0..STEPS_MAX {
            let view = self.view(now);
            let events = decide::decide(view, input)?;
            let more = matches!(input, Input::Tick) && !events.is_empty();
            if let Input::Worker { worker, seen: Seen::Beat(_) } = input {
                let dead = events.iter().any(|event| matches!(event, Event::Ignored(_)));
                if dead {
                    self.pulses.complain(worker, now.stamp.moment);
                }
            }
            self.record(now, events).map_err(bug)?;
            if !more {
                break;
            }
        }
        self.settle(now).map_err(bug)
    }

    /// Takes a person's command while nobody drives the run: what follows from it waits
    /// for the next life.
    ///
    /// # Errors
    /// A [`Rejection`] when it can't be granted; nothing changed then.
    pub fn request(&mut self, now: Now, request: &Request) -> Result<(), Rejection> {
        let view = self.view(now);
        let events = decide::decide(view, &Input::Request(request.clone()))?;
        self.record(now, events).map_err(bug)
    }

    /// Takes an edited workflow while nobody drives the run: what follows waits for the next life.
    ///
    /// # Errors
    /// A [`Rejection`] for an edit that needs another run; nothing changed then.
    pub fn adopt(&mut self, now: Now, adopted: &Adopted) -> Result<(), Rejection> {
        let view = self.view(now);
        let events = decide::adopt(view, adopted)?;
        self.record(now, events).map_err(bug)
    }

    /// Whether the run's end waits for a look round the workers. Beside the fold: a life that
    /// ends takes its wish with it.
    pub fn await_look(&mut self, awaited: bool) {
        self.awaited = awaited;
    }

    fn view(&self, now: Now) -> View<'_> {
        View { state: &self.state, pulses: &self.pulses, now, awaited: self.awaited }
    }

    /// Everything that follows from the state alone.
    fn settle(&mut self, now: Now) -> Result<(), Corrupt> {
        for _ in 0..STEPS_MAX {
            let view = self.view(now);
            let events = decide::advance::advance(view);
            if events.is_empty() {
                return Ok(());
            }
            self.record(now, events)?;
        }
        Err(Corrupt("the state never comes to rest".to_owned()))
    }

    /// Beats live outside the fold: they are felt before anything is decided on them.
    /// False when the input is a beat that is no fresh sign of life: nothing follows then.
    fn feel(&mut self, now: Now, input: &Input) -> bool {
        match input {
            Input::Blind => self.pulses.renew_all(now.stamp.moment),
            Input::Worker { worker, seen: Seen::Suspended { .. } } => {
                self.pulses.renew(worker, now.stamp.moment);
            }
            Input::Worker { worker, seen: Seen::Beat(beat) } => {
                let known = self.state.workers.get(worker);
                let fenced = known.is_some_and(|known| {
                    let held = |token| known.token_live && token == known.token;
                    known.phase.is_live() && beat.token.is_none_or(held)
                });
                return !fenced || self.pulses.take(worker, beat, now.stamp.moment);
            }
            Input::Tick
            | Input::Worker { .. }
            | Input::Remnants(_)
            | Input::Looked { .. }
            | Input::Request(_)
            | Input::Interrupted { .. } => {}
        }
        true
    }

    fn record(&mut self, now: Now, events: Vec<Event>) -> Result<(), Corrupt> {
        for event in events {
            apply::apply(&mut self.state, now.stamp, &event)?;
            self.follow(now, &event);
            self.fresh.push(event);
        }
        Ok(())
    }

    /// What lives beside the fold: nonces of this life, and when silence starts to count.
    fn follow(&mut self, now: Now, event: &Event) {
        let Event::Worker(event) = event else { return };
        match &event.step {
            WorkerStep::Provisioning { .. } => {
                self.nonces.insert(event.worker.clone(), decide::nonce(now, &event.worker));
            }
            WorkerStep::Launched { .. } | WorkerStep::Echoed { .. } => {
                self.pulses.watch(&event.worker, now.stamp.moment);
            }
            // Whatever it owes, it could do nothing meanwhile.
            WorkerStep::Continued => self.pulses.renew(&event.worker, now.stamp.moment),
            WorkerStep::Moved { .. } | WorkerStep::Captured { .. } | WorkerStep::Stopped => {
                if self.state.workers.get(&event.worker).is_some_and(|worker| !worker.phase.is_live()) {
                    self.pulses.forget(&event.worker);
                    self.nonces.remove(&event.worker);
                }
            }
            WorkerStep::Ended { .. }
            | WorkerStep::Stopping { .. }
            | WorkerStep::Found { .. }
            | WorkerStep::Departed
            | WorkerStep::Suspended
            | WorkerStep::SubmissionRefused { .. }
            | WorkerStep::Released { .. } => {}
        }
    }

    /// What was decided since the last call: to be committed before anything else.
    #[must_use]
    pub fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.fresh)
    }

    /// What is owed now.
    #[must_use]
    pub fn outstanding(&self) -> Vec<Effect> {
        outstanding::outstanding(&self.state)
    }

    /// When something is due next.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Moment> {
        timer::next_deadline(&self.state, &self.pulses)
    }
}

/// A fold under way: events are taken one by one, so that nobody needs them all at once.
#[derive(Debug, Default)]
pub struct Replay(Option<RunState>);

impl Replay {
    /// A fold that goes on where `engine` stands.
    #[must_use]
    pub fn on(engine: Engine) -> Self {
        Self(Some(engine.state))
    }

    /// Takes the next event of the run.
    ///
    /// # Errors
    /// [`Corrupt`] when it can't have happened here.
    pub fn take(&mut self, at: Stamp, event: Event) -> Result<(), Corrupt> {
        match (&mut self.0, event) {
            (Some(state), event) => apply::apply(state, at, &event),
            (empty, Event::Run(RunEvent::Started(started))) => {
                *empty = Some(RunState::new(*started, at));
                Ok(())
            }
            (None, _) => Err(Corrupt("the first event isn't the run's root".to_owned())),
        }
    }

    /// Whether nothing was taken yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The machine of the run.
    ///
    /// # Errors
    /// [`Corrupt`] where there was no event at all.
    pub fn finish(self) -> Result<Engine, Corrupt> {
        self.0.map(Engine::over).ok_or_else(|| Corrupt("the first event isn't the run's root".to_owned()))
    }
}

fn bug(corrupt: Corrupt) -> Rejection {
    Rejection { code: "engine_bug", message: corrupt.0 }
}
