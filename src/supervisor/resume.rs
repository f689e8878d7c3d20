//! Starting a life: a new run, or one that another life left unfinished.
//!
//! A run that goes on is folded from its journal; what lives is found by its mark
//! and adopted; what was half made is left alone and listed.

use ilchul_substrate::{Handle, State, Substrate};

use super::clock::{Clock, boot_id};
use super::run::{Parts, Supervisor};
use super::world::{World, place};
use super::{Listener, Note, SupervisorError};
use crate::engine::Engine;
use crate::engine::event::Started;
use crate::engine::input::Seen;
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
pub fn open_old(mut opened: Opened) -> Result<Supervisor, SupervisorError> {
    let recorded = opened.journal.read_run(&opened.world.run)?;
    if recorded.is_empty() {
        return Err(SupervisorError::UnknownRun(opened.world.run));
    }
    let mut engine = Engine::replay(recorded.into_iter().map(|row| (row.at, row.event)))?;
    opened.clock = opened.clock.on_line(&engine.state().anchor, engine.state().last_at.moment);
    let boot = (std::process::id(), boot_id(), opened.clock.mono_ms());
    let turn = opened.clock.now();
    engine.resume(turn, boot)?;
    let mut supervisor = Supervisor::new(parts(opened, engine), turn);
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
        let active: Vec<String> = self.engine.state().active.iter().cloned().collect();
        let found = match self.world.sessions.discover(&self.world.run) {
            Ok(found) => found,
            Err(error) => {
                // Nothing is concluded from a look that failed: the probe asks again.
                self.listener.note(&Note::ProbeFailed(super::launch::words(&error)));
                Vec::new()
            }
        };
        for id in active {
            self.open_mailbox(&id);
            if let Some(mailbox) = self.mailboxes.get(&id) {
                self.watch.add(mailbox.folder());
            }
            let session = found.iter().find(|(mark, _)| mark.worker() == id).map(|(_, handle)| handle);
            let launched =
                self.engine.state().workers.get(&id).is_some_and(|worker| worker.session.is_some());
            if let (Some(session), false) = (session, launched) {
                // It was started, and the life that started it ended before it could say so.
                let workspace = self.workspace_of(&id);
                self.see(&id, Seen::Launched { workspace, session: place(session) });
            }
            if session.is_some_and(|session| self.lives(session)) {
                self.listener.note(&Note::Adopted(id.clone()));
            } else if session.is_none() && !launched {
                self.listener.note(&Note::HalfMade(id.clone()));
            }
            self.read_mail(&id, None);
        }
    }

    fn lives(&self, session: &Handle) -> bool {
        let observed = self.world.sessions.observe(std::slice::from_ref(session));
        matches!(observed.first().map(|seen| &seen.state), Some(State::Live(_)))
    }

    fn workspace_of(&self, id: &str) -> Option<crate::engine::event::Place> {
        let repository = self.world.repository.as_ref()?;
        let found = repository.discover(&self.world.run).ok()?;
        found.iter().find(|(mark, _)| mark.worker() == id).map(|(_, handle)| place(handle))
    }
}
