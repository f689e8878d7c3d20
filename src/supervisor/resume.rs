//! Starting a life: a new run, or one that another life left unfinished.
//!
//! A run that goes on is folded from its journal; then the world is observed, and only
//! then is anything decided. What lives is adopted undisturbed, what ended is settled from
//! its files, what is proven dead fails its attempt; anything else waits. It leaves out
//! what was left by a journal that is no longer there (`remnants.rs`).

use ilchul_substrate::{Error, Handle, Mark, Observation, State, Substrate};

use super::clock::{Clock, boot_id};
use super::fold::{self, Proof};
use super::run::{Message, Parts, Supervisor};
use super::turn::KEEP_EVERY;
use super::world::{World, place};
use super::{Fate, Listener, Note, Resumed, SupervisorError, Then, ports, remnants};
use crate::engine::Engine;
use crate::engine::event::Started;
use crate::engine::input::{Input, Seen};
use crate::engine::state::RunState;
use crate::engine::task_table::TaskPhase;
use crate::journal::Journal;

/// What a life is opened with.
pub struct Opened {
    /// Where everything is.
    pub world: World,
    /// The journal, for writing.
    pub journal: Journal,
    /// The clock; put on the run's line here.
    pub clock: Clock,
    /// Who is told.
    pub listener: Box<dyn Listener>,
    /// Nobody attends: end where only a person can go on.
    pub unattended: bool,
}

/// What exists of the run, as the substrate said; or why it couldn't say.
pub(super) type Found = Result<Vec<(Mark, Handle)>, Error>;

/// The first life of a new run.
#[must_use]
pub fn open_new(opened: Opened, started: Started) -> Supervisor {
    let turn = opened.clock.now();
    let engine = Engine::start(started, turn.stamp);
    Supervisor::new(parts(opened, engine), turn)
}

/// A further life of the run that `opened.world` names.
///
/// # Errors
/// When the journal has no such run, or its rows aren't a legal past.
pub fn open_old(opened: Opened) -> Result<Supervisor, SupervisorError> {
    let folded = fold::read(&opened.journal, &opened.world.home, &opened.world.run, Proof::Whole)?;
    let Some(folded) = folded else { return Err(SupervisorError::UnknownRun(opened.world.run)) };
    open_folded(opened, folded.engine)
}

/// [`open_old`] for a run that was read already, under the lock that is still held.
///
/// # Errors
/// As there.
pub fn open_folded(mut opened: Opened, mut engine: Engine) -> Result<Supervisor, SupervisorError> {
    opened.clock = opened.clock.on_line(&engine.state().anchor, engine.state().last_at.moment);
    let boot = (std::process::id(), boot_id(), opened.clock.mono_ms());
    let turn = opened.clock.now();
    engine.resume(turn, boot)?;
    let mut supervisor = Supervisor::new(parts(opened, engine), turn);
    // Soon, so that lives that end early don't leave more and more to replay; but not at once.
    supervisor.unkept_count = KEEP_EVERY - KEEP_EVERY / 16;
    supervisor.watch_again();
    supervisor.adopt();
    Ok(supervisor)
}

fn parts(opened: Opened, engine: Engine) -> Parts {
    Parts {
        world: opened.world,
        engine,
        journal: opened.journal,
        clock: opened.clock,
        listener: opened.listener,
        unattended: opened.unattended,
    }
}

impl Supervisor {
    /// Finds what lives by its mark, and reads what it wrote while nobody looked.
    fn adopt(&mut self) {
        let found = self.world.sessions.discover(&self.world.run);
        // Before anything else is heard, because whatever is heard may lead to a claim.
        self.take_found(&found);
        self.undiscovered = found.is_err();
        let mut fates = Vec::new();
        for id in self.lay_claim(&found) {
            if let Some(fate) = self.fate(&id, &found) {
                fates.push((id, fate));
            }
        }
        self.bury_the_dead(&fates);
        self.see_vanished(&found);
        let state = self.engine.state();
        let resumed = |(worker, fate): (String, Fate)| Resumed { then: then(state, &worker), worker, fate };
        self.resumed = fates.into_iter().map(resumed).collect();
        if let Err(error) = found {
            // Nothing is concluded from a look that failed: it is taken again.
            self.listener.note(&Note::ProbeFailed(super::launch::words(&error)));
        }
    }

    /// Opens the mail of every worker that the journal holds for active, and hears where those
    /// are whose launch nobody could journal. Nothing is decided on what they wrote yet.
    fn lay_claim(&mut self, found: &Found) -> Vec<String> {
        let active: Vec<String> = self.engine.state().active.iter().cloned().collect();
        for id in &active {
            self.open_and_watch(id);
        }
        if let Ok(found) = found {
            self.hear_launches(found);
        }
        active
    }

    /// Of a half-made one there may be no folder yet, and nobody will write into it.
    fn open_and_watch(&mut self, id: &str) {
        self.open_mailbox(id);
        let local = self.world.sessions.capabilities().local_files;
        if let Some(mailbox) = self.mailboxes.get(id).filter(|mailbox| local && mailbox.folder().is_dir()) {
            self.watch.add(mailbox.folder());
        }
    }

    /// A session was started, and the life that started it ended before it could say so.
    fn hear_launches(&mut self, found: &[(Mark, Handle)]) {
        for (mark, session) in found {
            let id = mark.worker();
            let unplaced =
                self.engine.state().workers.get(&id).is_some_and(|worker| worker.session.is_none());
            if unplaced {
                let workspace = self.workspace_of(&id);
                let port = ports::reserved(&self.world.home.mail(&self.world.run, &id));
                self.see(&id, Seen::Launched { workspace, session: place(session), port });
            }
        }
    }

    /// What became of one worker while nobody looked; none where its end was known before.
    fn fate(&mut self, id: &str, found: &Found) -> Option<Fate> {
        let worker = self.engine.state().workers.get(id)?;
        if !worker.phase.is_live() || worker.is_over() {
            self.read_mail(id, None);
            return None;
        }
        let Some(session) = self.session_of(id) else {
            return Some(match found {
                Ok(_) => Fate::HalfMade,
                Err(error) => Fate::Unknown(super::launch::words(error)),
            });
        };
        let observed = self.world.sessions.observe(std::slice::from_ref(&session));
        self.read_mail(id, None);
        let unseen = || Observation::now(State::Unknown("it wasn't looked at".to_owned()));
        let observed = observed.into_iter().next().unwrap_or_else(unseen);
        if let State::Unknown(why) = &observed.state {
            return Some(Fate::Unknown(why.clone()));
        }
        // The exit that it recorded counts more than what is left of its session.
        if let Some(exit) = self.engine.state().workers.get(id).and_then(|worker| worker.exit) {
            return Some(Fate::Settled(exit));
        }
        let Some(detail) = self.judge_session(id, &observed) else {
            let worker = self.engine.state().workers.get(id)?;
            let lives = match (&observed.state, worker.stop.is_some()) {
                (_, true) => Fate::Ending,
                (State::Queued(reason), false) => Fate::Queued(reason.clone()),
                (_, false) => Fate::Adopted,
            };
            return Some(worker.exit.map_or(lives, Fate::Settled));
        };
        Some(Fate::Gone(detail))
    }

    /// Ends what the dead left, all at once, because each may take a whole grace; only then
    /// are their attempts failed and tried again.
    fn bury_the_dead(&mut self, fates: &[(String, Fate)]) {
        let dead = fates.iter().filter_map(|(id, fate)| match fate {
            Fate::Gone(detail) => Some((id, detail)),
            Fate::Adopted
            | Fate::Queued(_)
            | Fate::Ending
            | Fate::Settled(_)
            | Fate::HalfMade
            | Fate::Unknown(_) => None,
        });
        let dead: Vec<(&String, &String)> = dead.collect();
        std::thread::scope(|scope| {
            for (id, _) in &dead {
                scope.spawn(self.burial(id));
            }
        });
        for (id, detail) in dead {
            self.see(id, Seen::Gone { detail: detail.clone() });
        }
    }

    /// What is there beyond what the journal tells, in one input: nothing may be claimed
    /// between two of them.
    fn take_found(&mut self, found: &Found) {
        let remnants = remnants::scan(&self.world, self.engine.state(), found);
        if remnants.is_empty() {
            return;
        }
        self.handle(&Input::Remnants(remnants));
        let at_large: Vec<String> = self.engine.state().at_large.iter().cloned().collect();
        for id in at_large {
            self.open_and_watch(&id);
        }
    }

    /// Looks once more for what a resume couldn't look for.
    pub(super) fn discover(&mut self) {
        if !self.undiscovered || std::mem::replace(&mut self.discovering, true) {
            return;
        }
        let (world, sender) = (self.world.clone(), self.sender.clone());
        tokio::task::spawn_blocking(move || {
            let _ = sender.send(Message::Discovered(world.sessions.discover(&world.run)));
        });
    }

    /// What that look found.
    pub(super) fn discovered(&mut self, found: &Found) {
        self.discovering = false;
        match found {
            Ok(sessions) => {
                self.take_found(found);
                self.hear_launches(sessions);
                self.undiscovered = false;
            }
            Err(error) => self.listener.note(&Note::ProbeFailed(super::launch::words(error))),
        }
    }

    fn workspace_of(&self, id: &str) -> Option<crate::engine::event::Place> {
        let repository = self.world.repository.as_ref()?;
        let found = repository.discover(&self.world.run).ok()?;
        found.iter().find(|(mark, _)| mark.worker() == id).map(|(_, handle)| place(handle))
    }
}

/// What follows for the task of a worker whose fate was found.
fn then(state: &RunState, id: &str) -> Then {
    let Some(worker) = state.workers.get(id) else { return Then::Nothing };
    let task = &state.tasks[worker.task];
    match task.phase {
        TaskPhase::Ready => Then::Again { attempt: task.next_attempt(), allowed: task.allowed },
        TaskPhase::Claimed if task.attempt > worker.attempt => {
            Then::Again { attempt: task.attempt, allowed: task.allowed }
        }
        TaskPhase::Verifying => Then::Checked,
        TaskPhase::Failed => Then::Failed,
        TaskPhase::Blocked => Then::Person,
        TaskPhase::Claimed | TaskPhase::InProgress if worker.expired => Then::Person,
        TaskPhase::Pending
        | TaskPhase::Claimed
        | TaskPhase::InProgress
        | TaskPhase::RepairRequired
        | TaskPhase::Completed
        | TaskPhase::Partial
        | TaskPhase::Skipped
        | TaskPhase::Cancelled => Then::Nothing,
    }
}
