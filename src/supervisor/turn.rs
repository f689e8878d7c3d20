//! The end of a turn: what is owed, what is committed, and whether the run is over.
//!
//! It leaves out draining and looking, which begin a turn (`run.rs`).

use std::time::Duration;

use super::run::{End, Supervisor};
use super::{Note, SupervisorError, fold};
use crate::engine::effect::Effect;
use crate::engine::event::{Event, TaskStep, WorkerStep};
use crate::engine::outstanding::waits_for_others;
use crate::engine::state::{RunPhase, RunState};
use crate::engine::task_table::TaskPhase;

/// How long a fact from which nothing follows may wait to share a sync with the next.
pub(super) const SHARE_WITHIN: Duration = Duration::from_millis(10);

/// Rows after which the fold is kept anew: replaying them takes less time than a person notices.
pub(super) const KEEP_EVERY: usize = 8192;
/// A run that is let go of is kept from so many on.
const KEEP_AT_END: usize = 1024;

impl Supervisor {
    /// Whether what was decided may share its sync with the next turn: nothing follows from
    /// it, nobody is waiting to be told, and the turn is near. A launch's outcome and an
    /// acknowledgement are such; a crash in between finds both again in the world.
    pub(super) fn may_wait(&mut self) -> bool {
        let napped = std::mem::take(&mut self.napped);
        let quiet = !napped && self.answers.is_empty() && self.engine.state().phase == RunPhase::Running;
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

    /// Takes over what this turn decided, under this turn's time.
    pub(super) fn gather(&mut self) {
        let at = self.turn.stamp;
        let events = self.engine.take_events();
        self.notice(&events);
        self.fresh.extend(events.into_iter().map(|event| (at, event)));
    }

    /// What is owed and not under way.
    pub(super) fn owed(&self) -> Option<Vec<Effect>> {
        let held = |effect: &Effect| self.holds_launches() && matches!(effect, Effect::Provision { .. });
        let free = |effect: &Effect| !self.doing.contains(effect) && !held(effect);
        let owed: Vec<Effect> = self.engine.outstanding().into_iter().filter(free).collect();
        (!owed.is_empty()).then_some(owed)
    }

    /// One transaction for everything decided since the last, then the answers to who asked.
    pub(super) fn commit(&mut self) -> Result<(), SupervisorError> {
        self.waiting_since = None;
        let mut events = std::mem::take(&mut self.fresh);
        if !events.is_empty() {
            let after = self.journal.last_seq();
            let recorded = match self.journal.append_batch(&self.world.run, &mut events) {
                Ok(recorded) => recorded,
                Err(error) => {
                    return Err(SupervisorError::Unrecorded(self.unrecorded(error, after, events)));
                }
            };
            let resumed = std::mem::take(&mut self.resumed);
            if !resumed.is_empty() {
                self.listener.resumed(&resumed);
            }
            self.listener.committed(self.engine.state(), &recorded);
            if let Some(bytes) = self.journal.grown_log() {
                self.listener.note(&Note::LogGrows(bytes));
            }
            self.keep_fold(recorded.len());
            self.forget_ended();
        }
        self.keep_looked();
        for (id, answer) in std::mem::take(&mut self.answers) {
            self.journal.answer(id, &answer)?;
        }
        Ok(())
    }

    /// Keeps the fold of what is on the disk now, once there is enough to be worth it.
    fn keep_fold(&mut self, added: usize) {
        self.unkept_count += added;
        if self.engine.state().replanned {
            // Its plan is that of an event, and a fold is read with the plan of the root.
            return;
        }
        let going = self.engine.state().phase == RunPhase::Running;
        let enough = if going { KEEP_EVERY } else { KEEP_AT_END };
        let (true, Some(mark)) = (self.unkept_count >= enough, self.journal.mark(&self.world.run)) else {
            return;
        };
        self.unkept_count = 0;
        if let Err(error) = fold::keep(&self.world.home, self.engine.state(), mark) {
            // Only time is lost: the journal has everything.
            tracing::warn!(%error, "the fold can't be kept");
        }
    }

    /// A run that is over, or was brought down, waits for the sessions that are being ended:
    /// nobody else would. Whoever pressed Ctrl-C doesn't.
    pub(super) fn still_ends_sessions(&self, end: &End) -> bool {
        let waits = match end {
            End::Ended { .. } => true,
            End::Interrupted { reason } => reason == "down",
            End::Unattended => false,
        };
        waits && self.doing.iter().any(|effect| matches!(effect, Effect::Stop { .. }))
    }

    pub(super) fn end(&self) -> Option<End> {
        let state = self.engine.state();
        match state.phase {
            RunPhase::Ended { success } => Some(End::Ended { success }),
            RunPhase::Interrupted => Some(End::Interrupted { reason: state.interrupted.clone() }),
            RunPhase::Running if self.unattended && waits_for_a_person(state) => Some(End::Unattended),
            RunPhase::Running => None,
        }
    }
}

/// Whether nothing can happen until a person acts.
fn waits_for_a_person(state: &RunState) -> bool {
    let asks = |task: &usize| {
        let lost = state.current_worker(*task).is_some_and(|(_, worker)| worker.expired);
        let phase = state.tasks[*task].phase;
        phase == TaskPhase::Blocked || (phase.is_held() && lost) || waits_for_others(state, *task)
    };
    let held = |task: &usize| state.held_by(*task).is_some();
    let waits = !state.ready.is_empty() || !state.moving.is_empty();
    waits && state.ready.iter().all(|task| held(&task)) && state.moving.iter().all(asks)
}
