//! Laws about the world: what was concluded is held against what really happened.

use ilchul::engine::event::{EvidenceEvent, ReportEvent, ReportStep};
use ilchul::engine::evidence::Verdict;

use super::{Broken, Laws, hold};
use crate::shell::lives;
use crate::world::World;

/// Why a token may have been revoked while its body runs on: a clock's or a person's
/// word, never a crash of ours (law J6).
const MAY_RUN_ON: [&str; 7] = [
    "wall",
    "timeout",
    "lost",
    "decided by a person",
    "cancelled by a person",
    "replanned: ",
    "stopped: `down`",
];

impl Laws {
    /// Only the verdicts of our own looks complete a task, and they must be true.
    pub(super) fn law_2_no_evidence_no_completion(&self, id: &str, world: &World) -> Result<(), Broken> {
        let law = "law_2_no_evidence_no_completion";
        let Some(attempt) = self.book.tasks.get(id).map(|task| task.attempt) else { return Ok(()) };
        let worker = format!("{id}.{attempt}");
        let planned = self.book.workflow.tasks.iter().find(|task| task.id == id);
        let is_control = planned.is_some_and(|task| task.kind.is_control());
        let own = planned.into_iter().flat_map(|task| task.evidence.items().iter().take(task.required()));
        for item in own.filter(|item| Self::is_looked_at(item)) {
            let truth = world.ledger.look(&worker, item);
            hold(law, truth.verdict == Verdict::Verified, || {
                format!("`{id}` completed, and `{}` of `{worker}` doesn't hold", item.kind())
            })?;
        }
        let ran = world.ledger.executions.iter().any(|execution| execution.worker == worker);
        hold(law, ran || is_control, || format!("`{worker}` completed and never ran"))
    }

    /// A report is accepted only from who wrote it, under the token that it was written under.
    pub(super) fn l7_a_report_counts_from_its_own_worker(
        &mut self,
        event: &ReportEvent,
        world: &World,
    ) -> Result<(), Broken> {
        let ReportStep::Accepted { sha256, .. } = &event.step else { return Ok(()) };
        self.book.heard.insert(event.worker.clone());
        let Some(held) = self.book.workers.get(&event.worker) else { return Ok(()) };
        let own = world.ledger.reports.contains(&(event.worker.clone(), held.token, sha256.clone()));
        hold("l7_a_report_counts_from_its_own_worker", own && held.live, || {
            format!("`{}` never wrote {sha256}, live: {}", event.worker, held.live)
        })
    }

    /// Evidence is of the attempt that is judged, after its claim was closed.
    pub(super) fn e5_evidence_binds_to_its_attempt(&self, event: &EvidenceEvent) -> Result<(), Broken> {
        let attempt = self.book.tasks.get(&event.task).map(|task| task.attempt);
        let planned = self.book.workflow.tasks.iter().find(|task| task.id == event.task);
        // A control task has no worker whose end could be waited for.
        let closed = planned.is_some_and(|task| task.kind.is_control())
            || self.book.holder(&event.task).is_some_and(|held| !held.live && held.over);
        hold("e5_evidence_binds_to_its_attempt", attempt == Some(event.attempt) && closed, || {
            format!("`{}.{}`, now at {attempt:?}", event.task, event.attempt)
        })
    }

    pub(super) fn l18_granted_is_not_started(&self, id: &str, world: &World) -> Result<(), Broken> {
        let Some(attempt) = self.book.tasks.get(id).map(|task| task.attempt) else { return Ok(()) };
        let worker = format!("{id}.{attempt}");
        let token = self.book.workers.get(&worker).map_or(0, |held| held.token);
        let taken = world.ledger.taken.contains(&(worker.clone(), token));
        hold("l18_granted_is_not_started", taken, || format!("`{worker}` never took {token}"))
    }

    pub(super) fn l19_l20_only_a_proven_worker_is_ready(
        &self,
        id: &str,
        world: &World,
    ) -> Result<(), Broken> {
        let proven = world.ledger.proven.contains(id);
        hold("l19_l20_only_a_proven_worker_is_ready", proven, || format!("`{id}` proved nothing"))
    }

    /// An attempt fails by a death only where somebody really died.
    pub(super) fn l9_death_is_attested(&self, id: &str, reason: &str, world: &World) -> Result<(), Broken> {
        let died = !reason.starts_with("worker_died") || !lives(world, id);
        hold("l9_death_is_attested", died, || format!("`{id}` lives: {reason}"))
    }

    /// A session that was to be ended is over only when it is.
    pub(super) fn l9_an_end_is_seen(&self, id: &str, world: &World) -> Result<(), Broken> {
        hold("l9_an_end_is_seen", !lives(world, id), || format!("`{id}` was ended and lives"))
    }

    pub(super) fn l16_a_dispatch_is_delivered_at_most_once(&self, world: &World) -> Result<(), Broken> {
        let twice = world.ledger.deliveries.iter().find(|(_, times)| **times > 1);
        hold("l16_a_dispatch_is_delivered_at_most_once", twice.is_none(), || format!("{twice:?}"))
    }

    /// A body starts: once per token, never for what is given up by a crash, never beside
    /// another that a crash of ours gave up.
    pub(super) fn j6_executes(&self, index: usize, world: &World) -> Result<(), Broken> {
        let law = "j6_at_most_once_and_never_beside_a_live_worker";
        let this = &world.ledger.executions[index];
        let before = &world.ledger.executions[..index];
        let again = before.iter().any(|other| other.token == this.token);
        hold(law, !again, || format!("`{}` ran twice under token {}", this.worker, this.token))?;
        let Some(held) = self.book.workers.get(&this.worker) else {
            return Err(Broken::new("law_1_record_then_act", format!("`{}` runs unrecorded", this.worker)));
        };
        let own = held.token == this.token && held.dispatched.is_some();
        hold("law_1_record_then_act", own, || format!("`{}` runs undispatched", this.worker))?;
        let may = |reason: &str| MAY_RUN_ON.iter().any(|cause| reason.starts_with(cause));
        hold(law, held.live || may(&held.revoked), || {
            format!("`{}` starts although its claim is over: {}", this.worker, held.revoked)
        })?;
        let beside = before.iter().filter(|other| other.task == this.task && other.until.is_none());
        for other in beside {
            let known = self.book.workers.get(&other.worker);
            let revoked = known.map_or("", |held| held.revoked.as_str());
            // Only who was given up as lost is left alone; all others are ended first.
            hold(law, revoked.starts_with("lost"), || {
                format!("`{}` starts beside `{}`, which was given up: {revoked}", this.worker, other.worker)
            })?;
        }
        Ok(())
    }
}
