//! One run of the simulator: what happens next, until a law breaks or the end is reached.
//!
//! It leaves out how many runs there are, and what is shown of one (`shrink.rs`).

use std::collections::BTreeMap;

use ilchul::engine::Engine;
use ilchul::engine::input::{Choice, Request};
use ilchul::engine::outstanding::asked;
use ilchul::engine::question;
use ilchul::engine::state::{RunPhase, RunState};

use crate::chance::{Chance, Key, Quiet};
use crate::faults::{self, Fault};
use crate::laws::{Broken, Laws};
use crate::mutants::Defect;
use crate::shell::{Fate, Shell, Stage};
use crate::world::{Happening, Message, World};
use crate::{perform, plan, worker};

/// Steps in which anything may go wrong.
const STEPS_WILD: usize = 500;
/// Steps in which a healed run must have come to its end.
const STEPS_HEALED: usize = 12_000;
/// How often somebody looks after what waits for a person.
const ATTEND_MS: u64 = 3_000;

/// What a run was asked to be.
#[derive(Debug, Clone, Default)]
pub struct Order {
    pub seed: u64,
    pub quiet: Quiet,
    pub defect: Option<Defect>,
    /// Keep lines for a person.
    pub verbose: bool,
}

/// What became of it.
#[derive(Debug)]
pub struct Outcome {
    pub broken: Option<Broken>,
    pub deviations: Vec<Key>,
    pub trace: Vec<String>,
    pub steps: usize,
    pub crashes: u64,
    pub executions: usize,
    pub ended: bool,
    /// How often each kind of event was committed, each cause was named, each choice deviated.
    pub seen: BTreeMap<String, u64>,
}

struct Sim {
    world: World,
    laws: Laws,
    shell: Option<Shell>,
    lives: u64,
    defect: Option<Defect>,
    steps: usize,
}

/// Plays one seed.
pub fn play(order: &Order) -> Outcome {
    let mut chance = Chance::new(order.seed, order.quiet.clone());
    let started = plan::started(&mut chance);
    let laws = Laws::new(&started);
    let world = World::new(started, chance, order.verbose);
    let mut sim = Sim { world, laws, shell: None, lives: 1, defect: order.defect, steps: 0 };
    // Four of ten are healed in the end and must finish; which ones, no shrinking changes.
    let heals = order.seed % 10 < 4;
    let result = sim.play(heals);
    if let Err(broken) = &result {
        sim.world.say(|| format!("BROKEN {broken}"));
    }
    let ended = sim.is_ended();
    let mut seen = sim.laws.seen().clone();
    for key in &sim.world.chance.deviations {
        *seen.entry(format!("choice: {}", key.site)).or_default() += 1;
    }
    Outcome {
        broken: result.err(),
        ended,
        seen,
        deviations: sim.world.chance.deviations,
        trace: sim.world.trace.unwrap_or_default(),
        steps: sim.steps,
        crashes: sim.world.ledger.crashes,
        executions: sim.world.ledger.executions.len(),
    }
}

impl Sim {
    fn play(&mut self, heals: bool) -> Result<(), Broken> {
        faults::plan(&mut self.world);
        let mut stage = Stage { world: &mut self.world, laws: &mut self.laws };
        let (shell, fate) = Shell::start(1, &mut stage, self.defect)?;
        self.shell = Some(shell);
        self.fate(fate);
        for _ in 0..STEPS_WILD {
            if !self.step()? {
                break;
            }
        }
        self.check_past()?;
        if heals { self.heal() } else { Ok(()) }
    }

    /// One thing happens; false when nothing will any more.
    fn step(&mut self) -> Result<bool, Broken> {
        let Some(happening) = self.world.next() else { return Ok(false) };
        self.steps += 1;
        self.happen(happening)?;
        self.laws.stepped(&self.world)?;
        Ok(true)
    }

    fn happen(&mut self, happening: Happening) -> Result<(), Broken> {
        let frozen = self.world.frozen_until;
        match happening {
            Happening::Worker(id, deed) => worker::act(&mut self.world, &id, deed),
            Happening::Deposit(id, body) => self.world.deposit(&id, body),
            Happening::Thread(life, _) | Happening::Message(life, _) if self.world.life != Some(life) => {}
            happening @ (Happening::Thread(..) | Happening::Message(..)) if frozen > self.world.now => {
                let ms = frozen - self.world.now;
                self.world.after(ms, happening);
            }
            Happening::Thread(life, job) => {
                let mut stage = Stage { world: &mut self.world, laws: &mut self.laws };
                perform::step(life, job, self.defect, &mut stage)?;
            }
            Happening::Message(_, message) => self.turn(message)?,
            Happening::Fault(_) if self.world.chance.is_healed() => {}
            Happening::Fault(fault) => self.strike(fault)?,
            Happening::Restart => self.restart()?,
            Happening::Attend => self.attend()?,
        }
        Ok(())
    }

    fn turn(&mut self, message: Message) -> Result<(), Broken> {
        let Some(shell) = &mut self.shell else { return Ok(()) };
        let mut stage = Stage { world: &mut self.world, laws: &mut self.laws };
        let fate = shell.turn(message, &mut stage)?;
        self.fate(fate);
        Ok(())
    }

    /// A life is over: its threads end with it, the world goes on.
    fn fate(&mut self, fate: Fate) {
        if fate == Fate::Lives {
            return;
        }
        let ended =
            self.shell.as_ref().is_some_and(|shell| matches!(shell.state().phase, RunPhase::Ended { .. }));
        self.world.say(|| format!("the life is over: {fate:?}"));
        self.world.ledger.crashes += u64::from(fate == Fate::Crashed);
        self.shell = None;
        self.world.life = None;
        self.world.frozen_until = 0;
        if fate == Fate::Crashed || !ended {
            let ms = self.world.chance.span("restart after", (self.lives, 0), (20, 25_000));
            self.world.after(ms, Happening::Restart);
        }
    }

    fn restart(&mut self) -> Result<(), Broken> {
        if self.shell.is_some() || self.is_ended() || self.world.disk.journal.is_empty() {
            return self.restart_from_nothing();
        }
        self.lives += 1;
        let mut stage = Stage { world: &mut self.world, laws: &mut self.laws };
        stage.world.say(|| "a supervisor starts".to_owned());
        let (shell, fate) = Shell::resume(self.lives, &mut stage, self.defect)?;
        self.shell = Some(shell);
        self.fate(fate);
        Ok(())
    }

    /// It died before its root was on the disk: there is no run, and another is started.
    fn restart_from_nothing(&mut self) -> Result<(), Broken> {
        if self.shell.is_some() || !self.world.disk.journal.is_empty() {
            return Ok(());
        }
        self.lives += 1;
        self.laws = Laws::new(&self.world.started);
        self.world.started.boot = self.world.boot_id();
        self.world.started.mono_ms = self.world.mono();
        let mut stage = Stage { world: &mut self.world, laws: &mut self.laws };
        let (shell, fate) = Shell::start(self.lives, &mut stage, self.defect)?;
        self.shell = Some(shell);
        self.fate(fate);
        Ok(())
    }

    fn strike(&mut self, fault: Fault) -> Result<(), Broken> {
        self.world.say(|| format!("!! {fault:?}"));
        match fault {
            Fault::Crash if self.shell.is_some() => self.fate(Fate::Crashed),
            Fault::Reboot => {
                faults::strike(&mut self.world, fault);
                if self.shell.is_some() {
                    self.fate(Fate::Crashed);
                }
            }
            Fault::Interrupt => {
                if let Some(life) = self.world.life {
                    self.world.after(1, Happening::Message(life, Message::Signal));
                }
            }
            Fault::Ask(n) => return self.ask(n),
            Fault::Respond => return self.respond(),
            Fault::Crash
            | Fault::Freeze(_)
            | Fault::WallJump(_)
            | Fault::KillSession(_)
            | Fault::KillShim(_)
            | Fault::Repeat(_) => faults::strike(&mut self.world, fault),
        }
        Ok(())
    }

    fn ask(&mut self, n: u64) -> Result<(), Broken> {
        let Some(state) = self.state() else { return Ok(()) };
        let request = faults::request(&mut self.world, n, &state);
        let mut stage = Stage { world: &mut self.world, laws: &mut self.laws };
        faults::ask(&mut stage, n, request)
    }

    /// Somebody answers whoever waits longest.
    fn respond(&mut self) -> Result<(), Broken> {
        let Some(state) = self.state() else { return Ok(()) };
        let Some((task, _)) = question::all(&state).into_iter().next() else { return Ok(()) };
        let request = faults::respond(&state.planned(task).id);
        let mut stage = Stage { world: &mut self.world, laws: &mut self.laws };
        faults::ask(&mut stage, 3_000 + task as u64, request)
    }

    /// What a person sees of the run: the fold of what is on the disk.
    fn state(&self) -> Option<RunState> {
        Engine::replay(self.world.disk.journal.iter().cloned()).ok().map(|engine| engine.state().clone())
    }

    fn is_ended(&self) -> bool {
        match &self.shell {
            Some(shell) => matches!(shell.state().phase, RunPhase::Ended { .. }),
            None => self.state().is_some_and(|state| matches!(state.phase, RunPhase::Ended { .. })),
        }
    }

    /// The whole past, folded once more from its first row.
    fn check_past(&mut self) -> Result<(), Broken> {
        let Some(shell) = &self.shell else { return Ok(()) };
        let rows = &self.world.disk.journal;
        let folded = Engine::replay(rows.iter().cloned())
            .map_err(|error| Broken::new("j12_every_past_is_legal", error))?;
        let again = Engine::replay(rows.iter().cloned()).map(|engine| engine.state().clone());
        if again.as_ref() != Ok(folded.state()) {
            return Err(Broken::new("j5_replay_is_exact", "two replays of one journal differ"));
        }
        let _ = shell;
        Ok(())
    }

    /// All faults end, workers do as they were asked, somebody answers: the run must end.
    fn heal(&mut self) -> Result<(), Broken> {
        self.world.say(|| "everything heals".to_owned());
        self.world.chance.heal();
        self.world.frozen_until = 0;
        worker::heal(&mut self.world);
        self.world.after(1, Happening::Restart);
        self.world.after(2, Happening::Attend);
        for _ in 0..STEPS_HEALED {
            if self.shell.is_none() && self.is_ended() {
                return self.check_end();
            }
            self.step()?;
        }
        let open = self.state().map(|state| {
            let name = |n: usize| {
                format!("{} is {} ({})", state.planned(n).id, state.tasks[n].phase, state.tasks[n].reason)
            };
            let open: Vec<String> =
                (0..state.tasks.len()).filter(|n| !state.tasks[*n].phase.is_terminal()).map(name).collect();
            format!("the run is {:?}, {open:?}", state.phase)
        });
        Err(Broken::new("d1_every_run_ends", open.unwrap_or_default()))
    }

    /// Somebody looks after what waits for a person, and starts a supervisor where none is.
    fn attend(&mut self) -> Result<(), Broken> {
        if self.shell.is_none() {
            self.restart()?;
        }
        let state = self.shell.as_ref().map(|shell| shell.state().clone());
        if let Some(state) = state {
            let doubtful: Vec<usize> =
                (0..state.tasks.len()).filter(|task| faults::in_doubt(&state, *task)).collect();
            for task in doubtful {
                let request = Request::Decide { task: state.planned(task).id.clone(), choice: Choice::Rerun };
                let mut stage = Stage { world: &mut self.world, laws: &mut self.laws };
                faults::ask(&mut stage, 1_000 + task as u64, request)?;
            }
            for task in (0..state.tasks.len()).filter(|task| asked(&state, *task).is_some()) {
                let request = faults::answer(&state.planned(task).id, true);
                let mut stage = Stage { world: &mut self.world, laws: &mut self.laws };
                faults::ask(&mut stage, 2_000 + task as u64, request)?;
            }
        }
        if !self.is_ended() {
            self.world.after(ATTEND_MS, Happening::Attend);
        }
        Ok(())
    }

    /// At the end every task has one end, and nothing is owed any more.
    fn check_end(&self) -> Result<(), Broken> {
        let rows = self.world.disk.journal.iter().cloned();
        let engine = Engine::replay(rows).map_err(|error| Broken::new("j12_every_past_is_legal", error))?;
        let state = engine.state();
        let ended = state.tasks.iter().all(|task| task.phase.is_terminal());
        let rests = engine.outstanding().is_empty() && engine.next_deadline().is_none();
        let live = state.workers.values().any(|worker| worker.token_live);
        if ended && rests && !live {
            return Ok(());
        }
        let detail = format!("all ended: {ended}, nothing owed: {rests}, a live claim: {live}");
        Err(Broken::new("d1_every_task_ends_once", detail))
    }
}
