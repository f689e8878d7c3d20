//! Laws about time: what may be concluded from silence, and when.
//!
//! Ages are counted here from what was really handed in and from the end of the last
//! gap of the supervisor's own, so that no clock but the run's line can shorten one.

use std::time::Duration;

use ilchul::engine::moment::Moment;
use ilchul::engine::state::{RunPhase, RunState};
use ilchul::workflow::OnLost;

use super::journal::CAUSES;
use super::{Broken, Laws, hold};

/// The period of the slow look, and the turn that it takes.
const PERIOD: Duration = Duration::from_millis(1_100);
/// How much later than it was decided a launch may be committed, and so be seen from here.
const SHARED: Duration = Duration::from_millis(25);

impl Laws {
    /// From when a worker's silence counts, at the earliest.
    fn silent_since(&self, id: &str) -> Moment {
        let held = self.book.workers.get(id);
        let sign = held.map_or(Moment(0), |held| held.sign_before.max(held.launched.unwrap_or_default()));
        sign.max(self.book.regained)
    }

    fn since(&self, id: &str, from: Option<Moment>, at: Moment) -> Duration {
        at.since(from.map_or(self.silent_since(id), |from| from.max(self.book.regained)))
    }

    /// L17, L18: unhealthy only after a whole limit in which we looked.
    pub(super) fn l17_silence(&self, id: &str, reason: &str, at: Moment) -> Result<(), Broken> {
        let Some(held) = self.book.workers.get(id) else { return Ok(()) };
        let limits = &self.book.workflow.limits;
        let (silent, limit) = match reason.split_once(':').map_or(reason, |(code, _)| code) {
            "silent" => (self.since(id, None, at), self.book.workflow.heartbeat.unhealthy_after),
            "no_ack" => (self.since(id, held.dispatched, at), limits.start),
            "launch_ready" => (self.since(id, held.launched, at), limits.ready),
            _ => (Duration::ZERO, Duration::MAX),
        };
        hold("l17_blindness_is_not_death", silent.saturating_add(SHARED) >= limit, || {
            format!("`{id}` after {} ms: {reason}", silent.as_millis())
        })
    }

    pub(super) fn l17_nobody_expires_early(&self, id: &str, at: Moment) -> Result<(), Broken> {
        let silent = self.since(id, None, at);
        let limit = self.book.workflow.heartbeat.lost_after;
        hold("l12_l17_nobody_expires_early", silent + SHARED >= limit, || {
            format!("`{id}` expired after {} ms of silence", silent.as_millis())
        })
    }

    /// A token dies by an observation, and never by silence where a person is to be asked.
    pub(super) fn l8_l10_a_cause(&mut self, id: &str, reason: &str, at: Moment) -> Result<(), Broken> {
        let cause = CAUSES.iter().find(|cause| reason.starts_with(**cause));
        if let Some(cause) = cause {
            *self.book.kinds.entry(format!("cause: {cause}")).or_default() += 1;
        }
        hold("l8_every_end_has_a_cause", cause.is_some(), || format!("`{id}`: {reason}"))?;
        let Some(held) = self.book.workers.get(id) else { return Ok(()) };
        if reason.starts_with("lost") {
            let asks = self.book.workflow.heartbeat.on_lost == OnLost::Ask;
            hold("l10_silence_never_fails", !asks && held.expired, || format!("`{id}`: {reason}"))?;
        }
        if reason.starts_with("timeout") {
            let task = id.rsplit_once('.').map_or(id, |(task, _)| task);
            let planned = self.book.workflow.tasks.iter().find(|planned| planned.id == task);
            let limit = planned.map_or(Duration::MAX, |planned| planned.timeout);
            let worked = at.since(held.dispatched.unwrap_or(at));
            let looked = at.since(self.book.regained);
            let grace = self.book.workflow.heartbeat.unhealthy_after;
            hold("l17_a_timeout_comes_after_a_look", worked >= limit && looked >= grace, || {
                format!("`{id}` after {} ms, {} ms after a gap", worked.as_millis(), looked.as_millis())
            })?;
        }
        Ok(())
    }

    /// A silent worker's claim expires in time, while somebody looks.
    pub(super) fn l1_no_wait_outlives_its_worker(&self, at: Moment, state: &RunState) -> Result<(), Broken> {
        if state.phase != RunPhase::Running {
            return Ok(());
        }
        let limit = self.book.workflow.heartbeat.lost_after + PERIOD;
        for (id, held) in self.book.workers.iter().filter(|(_, held)| held.live && held.echoed && !held.over)
        {
            let silent = at.since(self.silent_since(id).max(held.sign));
            hold("l1_no_wait_outlives_its_worker", held.expired || silent <= limit, || {
                format!("`{id}` is waited for after {} ms of silence", silent.as_millis())
            })?;
        }
        Ok(())
    }
}
