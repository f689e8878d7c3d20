//! The one loop: drain what reached us, decide, commit once, act.
//!
//! Nothing outside sees a decision before its batch is on the disk. It leaves out
//! how things are done (`perform.rs`) and looked at (`probe.rs`).

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};

use super::clock::Clock;
use super::drift::{Looked, Lookout};
use super::mailbox::Mailbox;
use super::marks::Marks;
use super::peek::Peeks;
use super::resume::Found;
use super::signals::Signals;
use super::turn::SHARE_WITHIN;
use super::watch::{Ring, Watch};
use super::world::World;
use super::{Listener, Note, Resumed, SupervisorError};
use crate::engine::Engine;
use crate::engine::effect::Effect;
use crate::engine::event::Event;
use crate::engine::input::{Input, Seen};
use crate::engine::moment::{Moment, Now, Stamp};
use crate::engine::state::RunState;
use crate::journal::{Answer, Journal};
use crate::protocol::READY;
use ilchul_substrate::{Handle, Observation};

/// How often everything is looked at, whatever rang.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The same where nothing can ring.
const LOOK_DEAF: Duration = Duration::from_millis(100);
/// The same where heartbeats are short; faster would only wear the machine.
const LOOK_LEAST: Duration = Duration::from_millis(50);
/// The most messages that one batch takes in.
const BATCH_MAX: usize = 4096;

/// What other threads tell the loop.
pub(super) enum Message {
    /// An effect's outcome.
    Done(Effect, Seen),
    /// What a dead worker left is ended; the detail of its death.
    Buried(String, String),
    /// A look at all sessions.
    Probed(Vec<(Probed, Observation)>),
    /// What a look for sessions found that a resume couldn't take.
    Discovered(Found),
    /// A look round the workers.
    LookedRound(Box<Looked>),
    /// What it saw is kept.
    KeptRound,
    /// What speaks against marks of workers that were called safe to close.
    Marked(Vec<(String, Vec<String>)>),
}

/// Whose session was looked at.
pub(super) enum Probed {
    /// A worker's.
    Worker(String),
    /// One whose attempt is over; it is looked at until it has ended, so that it is reaped.
    Over(Handle),
}

/// How a supervisor ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// The run has ended.
    Ended {
        /// Every task completed, or was skipped by design.
        success: bool,
    },
    /// It stopped before the end; `up` goes on with it.
    Interrupted {
        /// A signal, or `down`.
        reason: String,
    },
    /// Only a person can go on, and nobody attends.
    Unattended,
}

/// One life of the process that decides.
pub struct Supervisor {
    pub(super) world: World,
    pub(super) engine: Engine,
    pub(super) journal: Journal,
    pub(super) clock: Clock,
    pub(super) watch: Watch,
    pub(super) rings: UnboundedReceiver<Ring>,
    pub(super) messages: UnboundedReceiver<Message>,
    pub(super) sender: UnboundedSender<Message>,
    pub(super) checkouts: Arc<Semaphore>,
    pub(super) mailboxes: BTreeMap<String, Mailbox>,
    /// Looks beside the slow one, where no file rings.
    peeks: Peeks,
    pub(super) doing: BTreeSet<Effect>,
    pub(super) over: Vec<Handle>,
    pub(super) probing: bool,
    /// Workers whose death is told once what they left is ended: until then no look counts,
    /// because it sees that very end.
    pub(super) burying: BTreeSet<String>,
    pub(super) unattended: bool,
    pub(super) listener: Box<dyn Listener>,
    pub(super) answers: Vec<(i64, Answer)>,
    pub(super) looked_at: Option<Moment>,
    /// Decided and not yet on the disk.
    pub(super) fresh: Vec<(Stamp, Event)>,
    pub(super) waiting_since: Option<Moment>,
    /// What became of the workers of an earlier life, until it is told.
    pub(super) resumed: Vec<Resumed>,
    /// A resume couldn't look for sessions: it is still to be done.
    pub(super) undiscovered: bool,
    /// That look is under way.
    pub(super) discovering: bool,
    /// Rows that the kept fold doesn't have yet.
    pub(super) unkept_count: usize,
    /// The last turn came because nothing else did.
    pub(super) napped: bool,
    pub(super) lookout: Lookout,
    pub(super) marks: Marks,
    signals: Signals,
    /// The time of this turn: what is decided in it is journaled with it, so that a replay
    /// of the journal folds to the very state that was decided on (law J4).
    pub(super) turn: Now,
}

/// What a supervisor is made of.
pub(super) struct Parts {
    pub(super) world: World,
    pub(super) engine: Engine,
    pub(super) journal: Journal,
    pub(super) clock: Clock,
    pub(super) listener: Box<dyn Listener>,
    pub(super) unattended: bool,
}

impl Supervisor {
    /// `turn`: the time at which the engine in `parts` decided what it hasn't handed out yet.
    pub(super) fn new(parts: Parts, turn: Now) -> Self {
        // Unbounded: the callbacks that fill them must never block, and the loop drains
        // them whole each time it turns.
        let (ring, rings) = tokio::sync::mpsc::unbounded_channel();
        let (sender, messages) = tokio::sync::mpsc::unbounded_channel();
        let watch = Watch::new(ring);
        if crate::home::private_dir(&parts.world.home.bell()).is_ok() {
            watch.add(&parts.world.home.bell());
        }
        Self {
            checkouts: Arc::new(Semaphore::new(parts.world.cores.max(2))),
            world: parts.world,
            engine: parts.engine,
            journal: parts.journal,
            clock: parts.clock,
            watch,
            rings,
            messages,
            sender,
            mailboxes: BTreeMap::new(),
            peeks: Peeks::default(),
            doing: BTreeSet::new(),
            over: Vec::new(),
            probing: false,
            burying: BTreeSet::new(),
            unattended: parts.unattended,
            listener: parts.listener,
            answers: Vec::new(),
            looked_at: None,
            fresh: Vec::new(),
            waiting_since: None,
            resumed: Vec::new(),
            undiscovered: false,
            discovering: false,
            unkept_count: 0,
            napped: false,
            lookout: Lookout::default(),
            marks: Marks::default(),
            signals: Signals::none(),
            turn,
        }
    }

    /// The fold.
    #[must_use]
    pub fn state(&self) -> &RunState {
        self.engine.state()
    }

    /// Stops where one of these asks for it.
    pub fn heed(&mut self, signals: Signals) {
        self.signals = signals;
    }

    /// The fold, where nothing follows any more.
    #[must_use]
    pub fn into_state(self) -> RunState {
        self.engine.into_state()
    }

    /// Takes an input before the loop turns for the first time.
    pub fn tell(&mut self, input: &Input) {
        self.handle(input);
    }

    /// Drives the run until it ends or is interrupted.
    ///
    /// # Errors
    /// When the journal can't be written: nothing is decided any more, workers live on.
    pub async fn run(&mut self) -> Result<End, SupervisorError> {
        // Who was asked to end before the first turn dispatches nothing in it.
        if let Some(name) = self.signals.pending() {
            self.interrupted(name);
        }
        self.handle(&Input::Tick);
        loop {
            self.gather();
            self.look_round();
            let owed = self.owed();
            if owed.is_some() || !self.may_wait() {
                self.commit()?;
            }
            if let Some(end) = self.end().filter(|end| !self.still_ends_sessions(end)) {
                self.listener.done();
                return Ok(end);
            }
            self.act(owed.unwrap_or_default());
            let wait = self.wait();
            tokio::select! {
                name = self.signals.first() => { self.awake(); self.interrupted(name); }
                Some(message) = self.messages.recv() => { self.awake(); self.take(message); }
                Some(ring) = self.rings.recv() => { self.awake(); self.ring(&ring); }
                () = tokio::time::sleep(wait) => { self.awake(); self.napped = true; }
            }
            self.drain();
            self.look();
        }
    }

    /// Notices a gap of our own: nobody may be judged by what we didn't see (law L17).
    fn awake(&mut self) {
        self.clock.never_before(self.turn.stamp.moment);
        let before = std::mem::replace(&mut self.turn, self.clock.now());
        let gap = self.turn.stamp.moment.since(before.stamp.moment);
        if gap > self.patience() / 2 {
            self.handle(&Input::Blind);
        }
    }

    /// The shortest silence that anything follows from.
    fn patience(&self) -> Duration {
        let workflow = self.state().workflow();
        let (heartbeat, limits) = (&workflow.heartbeat, &workflow.limits);
        heartbeat.unhealthy_after.min(heartbeat.lost_after).min(limits.ready).min(limits.start)
    }

    /// Everything else that is waiting already goes into the same batch.
    fn drain(&mut self) {
        for _ in 0..BATCH_MAX {
            let message = self.messages.try_recv();
            let ring = self.rings.try_recv();
            if message.is_err() && ring.is_err() {
                return;
            }
            if let Ok(message) = message {
                self.take(message);
            }
            if let Ok(ring) = ring {
                self.ring(&ring);
            }
        }
    }

    pub(super) fn handle(&mut self, input: &Input) {
        // Only requests are refused, and `ask` looks at that; for the rest a refusal is an
        // engine's bug, which must not end workers.
        if let Err(rejection) = self.engine.handle(self.turn, input) {
            tracing::error!(code = rejection.code, "{rejection}");
        }
    }

    pub(super) fn see(&mut self, worker: &str, seen: Seen) {
        self.handle(&Input::Worker { worker: worker.to_owned(), seen });
    }

    fn interrupted(&mut self, signal: &str) {
        self.handle(&Input::Interrupted { reason: signal.to_owned() });
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Done(effect, seen) => {
                let worker = effect.worker().to_owned();
                self.doing.remove(&effect);
                if let Seen::NotStopped { detail } = &seen {
                    self.listener.note(&Note::ProbeFailed(detail.clone()));
                }
                let launched = matches!(seen, Seen::Launched { .. });
                self.see(&worker, seen);
                if launched {
                    // Before this nobody could write more than that: the rest rings.
                    self.read_mail(&worker, Some(READY));
                    self.expect_mail(&worker);
                }
            }
            Message::Buried(worker, detail) => {
                self.burying.remove(&worker);
                self.see(&worker, Seen::Gone { detail });
            }
            Message::Probed(observations) => self.probed(observations),
            Message::Discovered(found) => self.discovered(&found),
            Message::LookedRound(looked) => self.looked_round(*looked),
            Message::KeptRound => self.kept_round(),
            Message::Marked(found) => self.marks_probed(found),
        }
    }

    fn ring(&mut self, ring: &Ring) {
        let (folder, name) = match ring {
            Ring::Everything => return self.rescan(),
            Ring::Folder(folder) => (folder.as_path(), self.first_word(folder)),
            Ring::File(path) => {
                let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return };
                (folder, name.to_str())
            }
        };
        if folder == self.world.home.bell() {
            self.read_requests();
            return;
        }
        let worker = folder.file_name().and_then(|worker| worker.to_str()).map(str::to_owned);
        let known =
            |worker: &String| self.mailboxes.get(worker).is_some_and(|mailbox| mailbox.folder() == folder);
        if let Some(worker) = worker.filter(known) {
            self.read_mail(&worker, name);
        }
    }

    /// What can have been written before a folder was watched: before the dispatch only the
    /// readiness, later anything (`None`).
    fn first_word(&self, folder: &Path) -> Option<&'static str> {
        let worker = folder.file_name().and_then(|worker| worker.to_str());
        let worker = worker.and_then(|worker| self.engine.state().workers.get(worker))?;
        worker.dispatched_at.is_none().then_some(READY)
    }

    /// The slow look that runs regardless: mail, requests, sessions, deadlines.
    fn look(&mut self) {
        let now = self.turn.stamp.moment;
        for worker in self.peeks.due(now) {
            self.read_mail(&worker, None);
        }
        if self.engine.next_deadline().is_some_and(|at| at <= now) {
            // What came in time and wasn't read yet counts first.
            self.rescan();
            self.handle(&Input::Tick);
        }
        if self.looked_at.is_some_and(|at| now.since(at) < self.look_every()) {
            return;
        }
        self.looked_at = Some(now);
        if let Some(trouble) = self.watch.take_trouble() {
            self.listener.note(&Note::Polling(trouble));
        }
        self.rescan();
        self.read_requests();
        self.discover();
        self.probe();
        self.probe_marks();
        self.handle(&Input::Tick);
        self.listener.tick(self.engine.state());
    }

    fn look_every(&self) -> Duration {
        // Well below half the patience, or a nap of ours would pass for blindness.
        let often = LOOK_EVERY.min(self.patience() / 4).max(LOOK_LEAST);
        if self.watch.is_deaf() { often.min(LOOK_DEAF) } else { often }
    }

    fn wait(&self) -> Duration {
        let now = self.clock.stamp().moment;
        let look = self.looked_at.map_or(Duration::ZERO, |at| at.after(self.look_every()).since(now));
        let deadline = self.engine.next_deadline().map_or(look, |at| at.since(now));
        let share = if self.fresh.is_empty() { look } else { SHARE_WITHIN };
        let round = self.until_look(now).unwrap_or(look);
        let peek = self.peeks.next().map_or(look, |at| at.since(now));
        self.clock.nap(look.min(deadline).min(share).min(round).min(peek))
    }

    /// A worker whose files ring nobody may write something now.
    pub(super) fn expect_mail(&mut self, worker: &str) {
        if !self.world.sessions.capabilities().local_files {
            self.peeks.look_for(worker, self.turn.stamp.moment);
        }
    }

    fn rescan(&mut self) {
        let workers: Vec<String> = self.mailboxes.keys().cloned().collect();
        for worker in workers {
            self.read_mail(&worker, None);
        }
    }

    pub(super) fn read_mail(&mut self, worker: &str, name: Option<&str>) {
        // Until its place is journaled a worker isn't ours yet; the launch's outcome reads all.
        let state = self.engine.state();
        if state.workers.get(worker).is_none_or(|worker| worker.session.is_none()) {
            return;
        }
        let Some(mailbox) = self.mailboxes.get_mut(worker) else { return };
        let seen = match name {
            Some(name) => mailbox.read(name),
            None => mailbox.read_all(),
        };
        for seen in seen {
            self.see(worker, seen);
        }
    }

    fn read_requests(&mut self) {
        let asked = match self.journal.asked() {
            Ok(asked) => asked,
            Err(error) => {
                tracing::warn!(%error, "requests can't be read");
                return;
            }
        };
        for asked in asked {
            if self.answers.iter().any(|(id, _)| *id == asked.id) {
                continue;
            }
            let answer = match asked.request {
                Some(request) if asked.run == self.world.run => {
                    match self.engine.handle(self.turn, &Input::Request(request)) {
                        Ok(()) => Answer { accepted: true, message: String::new() },
                        Err(rejection) => Answer { accepted: false, message: rejection.message },
                    }
                }
                Some(_) => refuse(format!("the supervisor drives the run `{}`", self.world.run)),
                None => refuse("the supervisor doesn't know this request: it may be older".to_owned()),
            };
            self.answers.push((asked.id, answer));
        }
    }
}

fn refuse(message: String) -> Answer {
    Answer { accepted: false, message }
}
