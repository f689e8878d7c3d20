//! One life of a supervisor: the same turns as the real one, on the simulated world.
//!
//! Drain what reached us, decide, commit once, act: each boundary is a place where this
//! life may end. It mirrors `src/supervisor/run.rs`, `turn.rs`, `resume.rs`, `probe.rs`
//! and `mailbox.rs`; how effects are done is in `perform.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ilchul::engine::Engine;
use ilchul::engine::budget::Amounts;
use ilchul::engine::effect::Effect;
use ilchul::engine::event::{ClaimStep, Event, Place, TaskStep, WorkerStep};
use ilchul::engine::evidence::ChildExit;
use ilchul::engine::input::{Input, Seen};
use ilchul::engine::moment::{Moment, Now, Stamp};
use ilchul::engine::state::{RunPhase, RunState};
use ilchul::workflow::TaskKind;

use crate::disk::{Body, File};
use crate::laws::{Broken, Laws};
use crate::mutants::Defect;
use crate::planted;
use crate::world::{Happening, Job, Message, Observed, Session, World, who};

/// How often everything is looked at, whatever rang.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long a fact from which nothing follows may wait to share a sync with the next.
const SHARE_WITHIN: Duration = Duration::from_millis(10);

/// Whether a life goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Lives,
    /// It died at a boundary.
    Crashed,
    /// It let go of the run: ended, or interrupted.
    Over,
}

/// One life.
#[derive(Debug)]
pub struct Shell {
    pub life: u64,
    pub engine: Engine,
    /// Where the run's line is tied to the kernel's clock.
    line: (u64, Moment),
    turn: Now,
    turns: u64,
    fresh: Vec<(Stamp, Event)>,
    pub doing: BTreeSet<Effect>,
    /// Versions of the files that were read, by worker.
    pub mailboxes: BTreeMap<String, BTreeMap<File, u64>>,
    probing: bool,
    looked_at: Option<Moment>,
    waiting_since: Option<Moment>,
    napped: bool,
    wake: u64,
    answered: Vec<u64>,
    pub defect: Option<Defect>,
}

/// The world and its laws, as a life meets them.
pub struct Stage<'a> {
    pub world: &'a mut World,
    pub laws: &'a mut Laws,
}

impl Shell {
    /// The first life of a new run.
    pub fn start(life: u64, stage: &mut Stage<'_>, defect: Option<Defect>) -> Result<(Self, Fate), Broken> {
        let line = (stage.world.mono(), Moment(0));
        let turn = now(stage.world, line, (life, 0), defect);
        let engine = Engine::start(planted::plan(stage.world.started.clone(), defect), turn.stamp);
        let mut shell = Self::over(life, engine, line, (turn, defect));
        stage.world.life = Some(life);
        shell.handle(&Input::Tick);
        let fate = shell.rest(stage)?;
        Ok((shell, fate))
    }

    /// A further life, from the disk alone.
    pub fn resume(life: u64, stage: &mut Stage<'_>, defect: Option<Defect>) -> Result<(Self, Fate), Broken> {
        let mut rows = stage.world.disk.journal.clone();
        if defect == Some(Defect::ForgetsARow) {
            forget_a_row(&mut rows);
        }
        let mut engine =
            Engine::replay(rows).map_err(|error| Broken::new("j12_every_past_is_legal", error))?;
        stage.laws.opened(&engine, &stage.world.disk.journal)?;
        let line = line(stage.world, engine.state());
        let turn = now(stage.world, line, (life, 0), defect);
        let boot = (2, stage.world.boot_id(), stage.world.mono());
        engine.resume(turn, boot).map_err(|error| Broken::new("j12_every_past_is_legal", error))?;
        stage.laws.begins(stage.world);
        let mut shell = Self::over(life, engine, line, (turn, defect));
        stage.world.life = Some(life);
        shell.adopt(stage)?;
        shell.handle(&Input::Tick);
        let fate = shell.rest(stage)?;
        Ok((shell, fate))
    }

    fn over(life: u64, engine: Engine, line: (u64, Moment), (turn, defect): (Now, Option<Defect>)) -> Self {
        Self {
            life,
            engine,
            line,
            turn,
            turns: 0,
            fresh: Vec::new(),
            doing: BTreeSet::new(),
            mailboxes: BTreeMap::new(),
            probing: false,
            looked_at: None,
            waiting_since: None,
            napped: false,
            wake: 0,
            answered: Vec::new(),
            defect,
        }
    }

    pub fn state(&self) -> &RunState {
        self.engine.state()
    }

    /// One turn of the loop, for what reached it.
    pub fn turn(&mut self, first: Message, stage: &mut Stage<'_>) -> Result<Fate, Broken> {
        if matches!(first, Message::Wake(wake) if wake != self.wake) {
            return Ok(Fate::Lives);
        }
        self.awake(stage);
        self.take(first, stage)?;
        while let Some(message) = stage.world.waiting(self.life) {
            self.take(message, stage)?;
        }
        self.look(stage)?;
        self.rest(stage)
    }

    /// Notices a gap of our own.
    fn awake(&mut self, stage: &mut Stage<'_>) {
        self.turns += 1;
        stage.laws.turns(stage.world);
        let turn = now(stage.world, self.line, (self.life, self.turns), self.defect);
        let before = std::mem::replace(&mut self.turn, turn);
        let gap = self.turn.stamp.moment.since(before.stamp.moment);
        let limit = self.state().workflow().heartbeat.unhealthy_after / 2;
        if gap > LOOK_EVERY + limit && self.defect != Some(Defect::NeverBlind) {
            self.handle(&Input::Blind);
        }
    }

    fn take(&mut self, message: Message, stage: &mut Stage<'_>) -> Result<(), Broken> {
        match message {
            Message::Wake(_) => self.napped = true,
            Message::Ring(worker, file) => return self.read_mail(&worker, Some(file), stage),
            Message::Bell => self.read_requests(stage),
            Message::Done(effect, seen) => {
                let worker = effect.worker().to_owned();
                self.doing.remove(&effect);
                let launched = matches!(seen, Seen::Launched { .. });
                self.see(&worker, seen, stage)?;
                if launched {
                    return self.read_mail(&worker, Some(File::Ready), stage);
                }
            }
            Message::Seen(worker, seen) => return self.see(&worker, seen, stage),
            Message::Probed(observed) => {
                self.probing = false;
                for (worker, observed) in observed {
                    self.probed(&worker, observed, stage)?;
                }
            }
            Message::Signal => self.handle(&Input::Interrupted { reason: "SIGINT".to_owned() }),
        }
        Ok(())
    }

    /// Only requests are refused: for the rest, a refusal is the engine's bug.
    pub fn handle(&mut self, input: &Input) {
        if let Err(rejection) = self.engine.handle(self.turn, input) {
            panic!("the engine refuses {input:?}: {rejection}");
        }
    }

    pub fn see(&mut self, worker: &str, seen: Seen, stage: &mut Stage<'_>) -> Result<(), Broken> {
        let (worker, seen) = match self.defect {
            Some(Defect::DropsTheFence) => unfenced(self.state(), worker, seen),
            Some(Defect::TakesAnyEcho) => (worker.to_owned(), any_echo(&self.engine, worker, seen)),
            Some(defect) => (worker.to_owned(), planted::hear(self.state(), worker, seen, defect)),
            None => (worker.to_owned(), seen),
        };
        if let Seen::Beat(beat) = &seen {
            stage.laws.beat(&worker, *beat, stage.world);
        }
        let before = stage.laws.is_dead(&worker, &seen).then(|| self.at_rest());
        let input = Input::Worker { worker, seen };
        self.handle(&input);
        match before {
            Some(before) => stage.laws.l7_dead_tokens_change_nothing(before, &self.engine, &input),
            None => Ok(()),
        }
    }

    /// This engine with everything that is due at this very moment done.
    fn at_rest(&mut self) -> Engine {
        self.handle(&Input::Tick);
        self.engine.clone()
    }

    /// The slow look that runs regardless.
    fn look(&mut self, stage: &mut Stage<'_>) -> Result<(), Broken> {
        let now = self.turn.stamp.moment;
        if self.engine.next_deadline().is_some_and(|at| at <= now) {
            self.handle(&Input::Tick);
        }
        if self.looked_at.is_some_and(|at| now.since(at) < LOOK_EVERY) {
            return Ok(());
        }
        self.looked_at = Some(now);
        if self.defect == Some(Defect::AlwaysBlind) {
            self.handle(&Input::Blind);
        }
        let workers: Vec<String> = self.mailboxes.keys().cloned().collect();
        for worker in workers {
            self.read_mail(&worker, None, stage)?;
        }
        self.read_requests(stage);
        self.probe(stage);
        self.handle(&Input::Tick);
        Ok(())
    }

    /// The top of the loop: commit, end, act, sleep.
    fn rest(&mut self, stage: &mut Stage<'_>) -> Result<Fate, Broken> {
        self.gather(stage)?;
        let owed: Vec<Effect> =
            self.engine.outstanding().into_iter().filter(|effect| !self.doing.contains(effect)).collect();
        if self.defect == Some(Defect::ActsFirst) {
            self.act(owed.clone(), stage)?;
        }
        if (!owed.is_empty() || !self.may_wait()) && self.commit(stage)? == Fate::Crashed {
            return Ok(Fate::Crashed);
        }
        if self.defect == Some(Defect::MiscountsChildren) {
            let mut wrong = self.engine.state().clone();
            wrong.tasks.iter_mut().for_each(|task| task.open_children = 0);
            stage.laws.turned(&wrong, stage.world)?;
        }
        stage.laws.turned(self.engine.state(), stage.world)?;
        if self.is_over() {
            return Ok(Fate::Over);
        }
        if self.act(owed, stage)? == Fate::Crashed {
            return Ok(Fate::Crashed);
        }
        // What an act itself decided (a dispatch that failed) belongs to this turn's time.
        self.gather(stage)?;
        self.sleep(stage.world);
        Ok(Fate::Lives)
    }

    /// Takes over what was decided, under this turn's time.
    fn gather(&mut self, stage: &mut Stage<'_>) -> Result<(), Broken> {
        let at = self.turn.stamp;
        let rows: Vec<(Stamp, Event)> =
            self.engine.take_events().into_iter().map(|event| (at, event)).collect();
        if rows.is_empty() {
            return Ok(());
        }
        stage.laws.decided(&rows, &self.engine)?;
        self.fresh.extend(rows);
        Ok(())
    }

    fn may_wait(&mut self) -> bool {
        let napped = std::mem::take(&mut self.napped);
        let quiet = !napped && self.answered.is_empty() && self.state().phase == RunPhase::Running;
        let small = self.fresh.iter().all(|(_, event)| match event {
            Event::Worker(event) => matches!(event.step, WorkerStep::Launched { .. }),
            Event::Task(event) => matches!(event.step, TaskStep::Acknowledged),
            Event::Run(_) | Event::Claim(_) | Event::Report(_) | Event::Evidence(_) | Event::Ignored(_) => {
                false
            }
        });
        let since = *self.waiting_since.get_or_insert(self.turn.stamp.moment);
        quiet && small && self.turn.stamp.moment.since(since) < SHARE_WITHIN
    }

    /// One transaction for everything decided, then the answers; three places to die.
    fn commit(&mut self, stage: &mut Stage<'_>) -> Result<Fate, Broken> {
        self.waiting_since = None;
        let rows = std::mem::take(&mut self.fresh);
        if rows.is_empty() && self.answered.is_empty() {
            return Ok(Fate::Lives);
        }
        let about = (self.life, self.turns);
        let world = &mut *stage.world;
        if crashes(world, "crash before the commit", about) {
            return Ok(Fate::Crashed);
        }
        // A commit that fails is indeterminate: the rows are there or not, and we stop.
        if crashes(world, "commit fails, rows lost", about) {
            return Ok(Fate::Crashed);
        }
        let mut rows = rows;
        if let Some(defect) = self.defect {
            planted::write(&mut rows, self.engine.state(), defect);
        }
        let halved = self.defect == Some(Defect::CommitsByHalves) && halve(&mut rows, world, about);
        for (at, event) in &rows {
            world.say(|| format!("commits at {}: {}", at.moment.0, brief(event)));
        }
        world.write(&rows);
        stage.laws.committed(&rows, world)?;
        if halved || crashes(world, "commit fails, rows there", about) {
            return Ok(Fate::Crashed);
        }
        self.forget_ended();
        for id in std::mem::take(&mut self.answered) {
            world.disk.requests.remove(&id);
        }
        let crashed = crashes(world, "crash after the commit", about);
        Ok(if crashed { Fate::Crashed } else { Fate::Lives })
    }

    /// A run that is over, or was brought down, waits for the sessions that are being ended.
    fn is_over(&self) -> bool {
        let state = self.state();
        let stops = self.doing.iter().any(|effect| matches!(effect, Effect::Stop { .. }));
        match state.phase {
            RunPhase::Running => false,
            RunPhase::Interrupted => state.interrupted != "down" || !stops,
            RunPhase::Ended { .. } => !stops,
        }
    }

    /// Starts what is owed, each once in this life; between any two it may die.
    fn act(&mut self, owed: Vec<Effect>, stage: &mut Stage<'_>) -> Result<Fate, Broken> {
        for (n, effect) in owed.into_iter().enumerate() {
            if !self.doing.insert(effect.clone()) {
                continue;
            }
            let about = (self.life, self.turns * 64 + n as u64);
            if crashes(stage.world, "crash between the acts", about) {
                return Ok(Fate::Crashed);
            }
            stage.laws.law_1_acting(&effect)?;
            stage.world.say(|| format!("does {effect:?}"));
            self.perform(effect, stage)?;
        }
        Ok(Fate::Lives)
    }

    fn sleep(&mut self, world: &mut World) {
        let now = self.moment(world);
        let look = self.looked_at.map_or(Duration::ZERO, |at| at.after(LOOK_EVERY).since(now));
        let deadline = self.engine.next_deadline().map_or(look, |at| at.since(now));
        let share = if self.fresh.is_empty() { look } else { SHARE_WITHIN };
        let wait = look.min(deadline).min(share);
        self.wake += 1;
        let ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(1);
        world.after(ms, Happening::Message(self.life, Message::Wake(self.wake)));
    }

    fn moment(&self, world: &World) -> Moment {
        now(world, self.line, (self.life, self.turns), self.defect).stamp.moment
    }

    /// Finds what lives by its mark, and reads what it wrote while nobody looked.
    fn adopt(&mut self, stage: &mut Stage<'_>) -> Result<(), Broken> {
        let active: Vec<String> = self.state().active.iter().cloned().collect();
        let looks = !stage.world.chance.rarely("discover fails", (self.life, 0), 60);
        for id in active {
            self.mailboxes.entry(id.clone()).or_default();
            let launched = self.state().workers.get(&id).is_some_and(|worker| worker.session.is_some());
            if looks && !launched && stage.world.sessions.contains_key(&id) {
                // It was started, and the life that started it ended before it could say so.
                self.see(&id, launched_at(stage.world, &id), stage)?;
            }
            self.read_mail(&id, None, stage)?;
        }
        Ok(())
    }

    fn read_mail(&mut self, id: &str, only: Option<File>, stage: &mut Stage<'_>) -> Result<(), Broken> {
        if self.state().workers.get(id).is_none_or(|worker| worker.session.is_none()) {
            return Ok(());
        }
        let files: Vec<File> = match only {
            // An exit brings the report before it with it.
            Some(File::Exit) => vec![File::Report, File::Exit],
            Some(file) => vec![file],
            None => File::ALL.to_vec(),
        };
        for file in files {
            let Some(read) = self.mailboxes.get_mut(id) else { return Ok(()) };
            let found = stage.world.disk.mail.get(id).and_then(|folder| folder.files.get(&file));
            let Some((version, body)) = found.filter(|(version, _)| read.get(&file) != Some(version)) else {
                continue;
            };
            read.insert(file, *version);
            let seen = seen(body);
            self.see(id, seen, stage)?;
        }
        Ok(())
    }

    fn read_requests(&mut self, stage: &mut Stage<'_>) {
        for (id, request) in stage.world.disk.requests.clone() {
            if self.answered.contains(&id) {
                continue;
            }
            let granted = self.engine.handle(self.turn, &Input::Request(request.clone()));
            stage.world.say(|| format!("answers {request:?}: {granted:?}"));
            assert!(granted.is_ok() || granted.is_err_and(|no| no.code != "engine_bug"), "{request:?}");
            self.answered.push(id);
        }
    }

    fn probe(&mut self, stage: &mut Stage<'_>) {
        if self.probing {
            return;
        }
        let open = |id: &&String| {
            let worker = &self.state().workers[*id];
            let at_work = worker.phase.is_live() && worker.exit.is_none() && !worker.stopped;
            // What couldn't be ended is looked at until it is gone, whatever it recorded meanwhile.
            (worker.at_large || at_work) && worker.session.is_some()
        };
        let whose: Vec<String> = self.state().active.iter().filter(open).cloned().collect();
        if whose.is_empty() {
            return;
        }
        self.probing = true;
        let about = (self.life, self.turns);
        let ms = stage.world.chance.span("probe takes", about, (1, 80));
        stage.world.after(ms, Happening::Thread(self.life, Job::Probe(whose)));
    }

    fn probed(&mut self, id: &str, observed: Observed, stage: &mut Stage<'_>) -> Result<(), Broken> {
        let code = match observed {
            Observed::Unknown if self.defect == Some(Defect::UnknownIsAbsent) => None,
            Observed::Live | Observed::Unknown => return Ok(()),
            Observed::Ended(code) => code,
            Observed::Absent => None,
        };
        // What it wrote before its end comes first: an end on record is no death.
        self.read_mail(id, None, stage)?;
        let Some(worker) = self.state().workers.get(id) else { return Ok(()) };
        if !worker.at_large && (worker.exit.is_some() || !worker.phase.is_live()) {
            return Ok(());
        }
        let own = matches!(self.state().planned(worker.task).kind, TaskKind::Worker(_));
        if let (true, Some(code), false) = (own, code, worker.at_large) {
            let exit = ChildExit::Code(code);
            return self.see(
                id,
                Seen::Ended {
                    token: None,
                    exit,
                    survivors: Vec::new(),
                    error: None,
                    usage: Amounts::default(),
                },
                stage,
            );
        }
        let detail = format!("the look said {observed:?}");
        let ms = stage.world.chance.span("burial takes", (self.life, self.turns), (1, 200));
        stage.world.after(ms, Happening::Thread(self.life, Job::Bury(id.to_owned(), detail)));
        Ok(())
    }

    /// Lets go of workers to whom nothing is owed any more.
    fn forget_ended(&mut self) {
        let Self { engine, mailboxes, doing, .. } = self;
        let active = &engine.state().active;
        let gone: Vec<String> = mailboxes.keys().filter(|id| !active.contains(*id)).cloned().collect();
        for id in gone {
            mailboxes.remove(&id);
            doing.retain(|effect| effect.worker() != id || matches!(effect, Effect::Stop { .. }));
        }
    }
}

/// What a launch that was found, or made, says.
pub fn launched_at(world: &World, id: &str) -> Seen {
    let place =
        |kind: &str| Place { kind: kind.to_owned(), id: id.to_owned(), fields: BTreeMap::default().into() };
    let workspace = world.disk.trees.contains(id).then(|| place("git-worktree"));
    Seen::Launched { workspace, session: place("subprocess"), port: None }
}

/// The time of a turn on the run's own line.
fn now(
    world: &World,
    (mono, moment): (u64, Moment),
    (life, turn): (u64, u64),
    defect: Option<Defect>,
) -> Now {
    let mut passed = Duration::from_millis(world.mono() - mono);
    if defect == Some(Defect::AgesByTheWall) {
        passed += Duration::from_millis(u64::try_from(world.wall_offset).unwrap_or_default());
    }
    let stamp = Stamp { moment: moment.after(passed), wall_ms: world.wall() };
    Now { stamp, seed: world.chance.bytes(life, turn) }
}

/// The line of a run that goes on: the same boot counts what passed, another one doesn't.
pub fn line(world: &World, state: &RunState) -> (u64, Moment) {
    let (anchor, last) = (&state.anchor, state.last_at.moment);
    let passed = Duration::from_millis(world.mono().saturating_sub(anchor.mono_ms));
    let moment = if anchor.boot == world.boot_id() { last.max(anchor.moment.after(passed)) } else { last };
    (world.mono(), moment)
}

/// What a person's command without a supervisor is decided at.
pub fn stamp_without(world: &World, state: &RunState) -> Now {
    now(world, line(world, state), (u64::MAX, world.now), None)
}

fn crashes(world: &mut World, site: &'static str, about: (u64, u64)) -> bool {
    let crashed = world.chance.rarely(site, about, world.crash_rate);
    if crashed {
        world.say(|| format!("!! {site}"));
    }
    crashed
}

fn seen(body: &Body) -> Seen {
    match body {
        Body::Ready { nonce, in_tree } => {
            Seen::Ready { nonce: nonce.clone(), pid: 42, started_at: String::new(), in_tree: *in_tree }
        }
        Body::Ack { token } => Seen::Acknowledged { token: *token },
        Body::Beat(beat) => Seen::Beat(*beat),
        Body::Report(report, sha256) => Seen::Reported { report: report.clone(), sha256: sha256.clone() },
        Body::Garbled(sha256) => Seen::BadFile {
            file: ilchul::protocol::REPORT.to_owned(),
            code: "not_json".to_owned(),
            detail: "half a word".to_owned(),
            sha256: sha256.clone(),
        },
        Body::Exit { token, exit, error } => Seen::Ended {
            token: *token,
            exit: *exit,
            survivors: Vec::new(),
            error: error.clone(),
            usage: Amounts::default(),
        },
    }
}

/// An event in a line.
pub fn brief(event: &Event) -> String {
    let text = match event {
        Event::Run(ilchul::engine::event::RunEvent::Started(_)) => "run started".to_owned(),
        Event::Run(event) => format!("run {event:?}"),
        Event::Task(event) => format!("task {} {:?} {}", event.task, event.step, event.reason),
        Event::Worker(event) => format!("worker {} {:?} {}", event.worker, event.step, event.reason),
        Event::Claim(event) => format!("claim {} token {} {:?}", event.worker, event.token, event.step),
        Event::Report(event) => format!("report {} {:?}", event.worker, event.step),
        Event::Evidence(event) => {
            format!("evidence {}.{} {:?}", event.task, event.attempt, event.checked.verdict)
        }
        Event::Ignored(event) => format!("ignored {:?} {} {}", event.worker, event.input, event.code),
    };
    text.chars().take(160).collect()
}

/// Planted: a report that comes late is handed in for the worker that holds the task now.
fn unfenced(state: &RunState, worker: &str, seen: Seen) -> (String, Seen) {
    let same = (worker.to_owned(), seen.clone());
    let Seen::Reported { mut report, sha256 } = seen else { return same };
    let Some(known) = state.workers.get(worker).filter(|known| !known.token_live) else { return same };
    match state.current_worker(known.task) {
        Some((id, holder)) if holder.token_live && id != worker => {
            (report.token, report.attempt) = (holder.token, holder.attempt);
            (id, Seen::Reported { report, sha256 })
        }
        _ => same,
    }
}

/// Planted: what is echoed doesn't matter.
fn any_echo(engine: &Engine, worker: &str, seen: Seen) -> Seen {
    match seen {
        Seen::Ready { nonce, pid, started_at, .. } => {
            let nonce = engine.nonce(worker).map_or(nonce, str::to_owned);
            Seen::Ready { nonce, pid, started_at, in_tree: true }
        }
        other => other,
    }
}

/// Planted: of a batch only a part is written, and then we die.
fn halve(rows: &mut Vec<(Stamp, Event)>, world: &mut World, about: (u64, u64)) -> bool {
    let half = 1 + rows.len() / 2;
    let halves = rows.len() > half && world.chance.rarely("half a commit", about, 200);
    if halves {
        rows.truncate(half);
    }
    halves
}

/// Planted: one event of the past is overlooked.
fn forget_a_row(rows: &mut Vec<(Stamp, Event)>) {
    let small = |(_, event): &(Stamp, Event)| match event {
        Event::Claim(event) => matches!(event.step, ClaimStep::Renewed { .. } | ClaimStep::Expired),
        _ => false,
    };
    if let Some(at) = rows.iter().rposition(small) {
        rows.remove(at);
    }
}

/// Whether a session still lives, for who must know.
pub fn lives(world: &World, id: &str) -> bool {
    world.sessions.get(id) == Some(&Session::Live)
}

/// A worker's number, for choices that a life makes about it.
pub fn about(shell: &Shell, id: &str) -> (u64, u64) {
    (who(id), shell.life)
}
