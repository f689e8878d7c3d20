//! Looking at sessions, in bulk: who is gone, and whose end nobody recorded.
//!
//! A failed look proves nothing (law L9). It leaves out what follows from an answer.

use std::path::PathBuf;
use std::time::Duration;

use ilchul_substrate::{Exit, Facts, Handle, Observation, State, Urgency};

use super::mailbox::Mailbox;
use super::run::{Message, Probed, Supervisor};
use super::stop::{end_remains, order};
use super::world::handle;
use super::{Note, leftover};
use crate::engine::budget::Amounts;
use crate::engine::effect::Effect;
use crate::engine::evidence::ChildExit;
use crate::engine::input::Seen;
use crate::workflow::TaskKind;

/// What a host says of a session that lives, under `name`.
fn said<'f>(facts: &'f Facts, name: &str) -> Option<&'f str> {
    facts.notes.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
}

/// How long a job may be unseen before it counts as one that waits: most are seen long before.
/// Well within what it has to be ready, because a look at a controller that hangs takes a while.
const UNSEEN: Duration = Duration::from_secs(25);

impl Supervisor {
    /// Starts a look, unless one is under way.
    pub(super) fn probe(&mut self) {
        if self.probing {
            return;
        }
        let (mut whose, mut handles) = (Vec::new(), Vec::new());
        for id in &self.engine.state().active {
            let Some(worker) = self.engine.state().workers.get(id) else { continue };
            let open =
                worker.at_large || (worker.phase.is_live() && worker.exit.is_none() && !worker.stopped);
            if let (true, Some(place), Ok(mark)) = (open, &worker.session, self.world.mark(id)) {
                whose.push(Probed::Worker(id.clone()));
                handles.push(handle(mark, place));
            }
        }
        for session in std::mem::take(&mut self.over) {
            handles.push(session.clone());
            whose.push(Probed::Over(session));
        }
        if handles.is_empty() {
            return;
        }
        self.probing = true;
        let (sessions, sender) = (self.world.sessions.clone(), self.sender.clone());
        tokio::task::spawn_blocking(move || {
            let observed = sessions.observe(&handles);
            let _ = sender.send(Message::Probed(whose.into_iter().zip(observed).collect()));
        });
    }

    /// What a look found.
    pub(super) fn probed(&mut self, observations: Vec<(Probed, Observation)>) {
        self.probing = false;
        let mut trouble = None;
        for (whose, observed) in observations {
            match (&observed.state, &whose) {
                // Its host did answer.
                (State::Unknown(why), Probed::Worker(id)) if observed.note.is_some() => {
                    self.listener.note(&Note::Unsettled(id.clone(), why.clone()));
                }
                (State::Unknown(why), _) => trouble = Some(why.clone()),
                _ => {}
            }
            match whose {
                Probed::Worker(id) => self.probed_worker(&id, &observed),
                Probed::Over(session) => match observed.state {
                    State::Ended(_) | State::Absent => {}
                    State::Queued(_) | State::Stuck(_) | State::Live(_) | State::Unknown(_) => {
                        self.over.push(session);
                    }
                },
            }
        }
        if let Some(why) = trouble {
            self.listener.note(&Note::ProbeFailed(why));
        }
    }

    fn probed_worker(&mut self, id: &str, observed: &Observation) {
        if self.burying.contains(id) {
            return;
        }
        match &observed.state {
            // Before its host said anything of it there is nothing to tell, and most never wait.
            State::Queued(reason) if observed.note.is_some() => {
                self.see(id, Seen::Queued { reason: reason.clone() });
            }
            // Or nobody could ask it for long: a queue that can't be seen makes nobody late (law L9).
            State::Queued(reason) | State::Unknown(reason) if self.waits_unseen(id) => {
                self.see(id, Seen::Queued { reason: reason.clone() });
            }
            State::Queued(_) => {}
            State::Live(facts) => self.lives(id, facts),
            State::Ended(_) | State::Absent | State::Stuck(_) | State::Unknown(_) => {}
        }
        if let Some(detail) = self.judge_session(id, observed) {
            self.bury(id, detail);
        }
    }

    /// Its session lives: whether it may do anything, and how far it came where it isn't ready.
    fn lives(&mut self, id: &str, facts: &Facts) {
        if let Some(why) = said(facts, "suspended") {
            self.see(id, Seen::Suspended { reason: why.to_owned() });
            return;
        }
        let Some(worker) = self.engine.state().workers.get(id) else { return };
        let (suspended, ready) = (worker.suspended, worker.pid.is_some());
        let folder = worker.session.as_ref().and_then(|place| place.fields.get("folder")).map(PathBuf::from);
        if suspended {
            self.see(id, Seen::GoesOn);
        }
        if ready {
            return;
        }
        let node = said(facts, "node").unwrap_or_default();
        let seen = if said(facts, "starts").is_some() {
            Seen::Starting { reason: format!("starting on {node}") }
        } else {
            let at = folder.and_then(|folder| ilchul_slurm::stage(&folder));
            Seen::Begun { reason: at.map(|at| format!("at {at} on {node}")).unwrap_or_default() }
        };
        self.see(id, seen);
        self.expect_mail(id);
    }

    /// Whether a cluster has had a worker's session for long, and nothing was heard of it since.
    fn waits_unseen(&self, id: &str) -> bool {
        let worker = self.engine.state().workers.get(id).filter(|worker| worker.pid.is_none());
        let since = worker.map(|worker| self.turn.stamp.moment.since(worker.since.moment));
        let limit = UNSEEN.min(self.engine.state().workflow().limits.ready / 2);
        self.world.sessions.capabilities().queued && since.is_some_and(|since| since > limit)
    }

    /// Whether a worker on another host was heard of a moment ago. A controller that forgot its
    /// job, or can't reach the node, proves nothing against that.
    fn is_heard_of(&self, id: &str) -> bool {
        let limit = self.engine.state().workflow().heartbeat.unhealthy_after;
        let beats =
            self.engine.pulses().silence(id, self.turn.stamp.moment).is_some_and(|silence| silence < limit);
        let ready = self.engine.state().workers.get(id).is_some_and(|worker| worker.pid.is_some());
        self.world.sessions.capabilities().can_partition && ready && beats
    }

    /// What the look at one worker's session leads to; the detail of a death that nobody
    /// recorded, which is to be told once what it left is ended.
    pub(super) fn judge_session(&mut self, id: &str, observed: &Observation) -> Option<String> {
        let (exit, detail) = match &observed.state {
            State::Queued(_) | State::Live(_) | State::Unknown(_) => return None,
            State::Stuck(why) => return Some(format!("it will never start: {why}")),
            // A controller that misses the node, or forgot the job, isn't believed against its beats.
            State::Ended(None) | State::Absent if self.is_heard_of(id) => return None,
            State::Ended(exit) => (*exit, "its session has ended, and no end was recorded"),
            State::Absent => (None, "its session is gone"),
        };
        let said = observed.note.as_ref().map(|note| format!(" ({note})")).unwrap_or_default();
        let detail = format!("{detail}{said}");
        // What it wrote before its end comes first: an end on record is no death.
        self.read_mail(id, None);
        let worker = self.engine.state().workers.get(id)?;
        if !worker.at_large && (worker.exit.is_some() || !worker.phase.is_live()) {
            return None;
        }
        let own = matches!(self.engine.state().planned(worker.task).kind, TaskKind::Worker(_));
        let ended = match exit {
            Some(Exit::Code(code)) => Some(ChildExit::Code(code)),
            Some(Exit::Signal(signal)) => Some(ChildExit::Signal(signal)),
            None => None,
        };
        // One that speaks for itself and has reported is over; how it ended nobody may know.
        let reported = worker.report.as_ref().map(|_| ChildExit::Unknown);
        if let (true, Some(exit), false) = (own, ended.or(reported), worker.at_large) {
            let seen = Seen::Ended {
                token: None,
                exit,
                survivors: Vec::new(),
                error: None,
                usage: Amounts::default(),
            };
            self.see(id, seen);
            return None;
        }
        Some(ended.map_or_else(|| detail.clone(), |exit| format!("{detail} ({})", exit.words())))
    }

    /// Ends what a dead shim left, then tells of the death: its successor never runs beside it.
    fn bury(&mut self, id: &str, detail: String) {
        self.burying.insert(id.to_owned());
        let (id, sender, burial) = (id.to_owned(), self.sender.clone(), self.burial(id));
        let run = self.world.run.clone();
        tokio::task::spawn_blocking(move || {
            burial();
            let detail = leftover::added(detail, &run, &id);
            let _ = sender.send(Message::Buried(id, detail));
        });
    }

    /// What ends whatever a session left that is gone.
    pub(super) fn burial(&self, id: &str) -> impl FnOnce() + Send + use<> {
        let folder = self.world.home.mail(&self.world.run, id);
        let state = self.engine.state();
        let token = state.workers.get(id).map_or(0, |worker| worker.token);
        let (session, grace) = (self.session_of(id), state.workflow().limits.grace);
        let elsewhere = self.world.sessions.capabilities().can_partition;
        let sessions = self.world.sessions.clone();
        move || {
            let Some(session) = session else { return };
            if elsewhere {
                // Whoever lives beyond a cut, or comes out of a queue too late, is told to end,
                // and what the host still holds is taken back. Neither has to succeed: the next
                // attempt shares nothing with this one.
                order(&folder, token, grace);
                let _ = sessions.release(&session, Urgency::AtOnce);
            } else {
                end_remains(&session, &folder, (token, grace));
            }
        }
    }

    /// Lets go of workers to whom nothing is owed any more; their sessions are still reaped.
    pub(super) fn forget_ended(&mut self) {
        let active = &self.engine.state().active;
        let gone: Vec<String> = self.mailboxes.keys().filter(|id| !active.contains(*id)).cloned().collect();
        for id in gone {
            if self.may_still_write(&id) {
                // What it left may speak for it: that is refused and shown, not overlooked (law L7).
                if self.mailboxes.get_mut(&id).is_none_or(Mailbox::retire) {
                    continue;
                }
            } else if let Some(mailbox) = self.mailboxes.remove(&id) {
                self.watch.remove(mailbox.folder());
            }
            // A stop under way goes on to its end, whatever was recorded meanwhile.
            self.doing.retain(|effect| effect.worker() != id || matches!(effect, Effect::Stop { .. }));
            if let Some(session) = self.session_of(&id) {
                self.over.push(session);
            }
        }
    }

    /// Whether nobody saw the end of a worker's tree: it had work, and no exit was recorded.
    fn may_still_write(&self, id: &str) -> bool {
        let worker = self.engine.state().workers.get(id);
        worker.is_some_and(|worker| worker.exit.is_none() && worker.dispatched_at.is_some())
    }

    pub(super) fn session_of(&self, id: &str) -> Option<Handle> {
        let place = self.engine.state().workers.get(id)?.session.as_ref()?;
        Some(handle(self.world.mark(id).ok()?, place))
    }
}
