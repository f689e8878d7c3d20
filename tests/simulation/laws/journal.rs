//! Laws about rows alone: ordinals, tokens, settlements, ends, limits, policies.

use std::collections::BTreeMap;

use ilchul::engine::event::{
    ClaimEvent, ClaimStep, Event, PlainMove, RunEvent, TaskEvent, TaskStep, WorkerEvent, WorkerStep,
};
use ilchul::engine::moment::{Moment, Stamp};
use ilchul::workflow::{OnLost, When};

use super::book::{Held, Outcome, outcome};
use super::{Broken, Laws, hold};
use crate::world::World;

/// What may kill a token, by the beginning of its reason: each names an observation (law L8).
pub const CAUSES: [&str; 15] = [
    "wall",
    "worker_died",
    "no_report",
    "fatal_exit",
    "reported_failed",
    "ended_",
    "timeout",
    "launch_",
    "lost",
    "stopped: `down`",
    "decided by a person",
    "cancelled by a person",
    "replanned",
    "start_failed",
    "denied",
];

impl Laws {
    pub(super) fn row(&mut self, event: &Event, world: &World) -> Result<(), Broken> {
        *self.book.kinds.entry(event.kind()).or_default() += 1;
        let at = Moment(world.now);
        match event {
            Event::Run(event) => {
                self.d1_success(event)?;
                self.run_row(event, world)
            }
            Event::Task(event) => {
                self.d1_ends_are_sticky(event)?;
                self.controls(event, world)?;
                self.task_row(event, world)
            }
            Event::Worker(event) => self.worker_row(at, event, world),
            Event::Claim(event) => self.claim_row(at, event),
            Event::Report(event) => self.l7_a_report_counts_from_its_own_worker(event, world),
            Event::Evidence(event) => {
                self.e5_evidence_binds_to_its_attempt(event)?;
                self.note_evidence(event);
                Ok(())
            }
            Event::Ignored(_) => Ok(()),
        }
    }

    fn run_row(&mut self, event: &RunEvent, world: &World) -> Result<(), Broken> {
        match event {
            RunEvent::Started(_) => self.book.roots += 1,
            RunEvent::Ended { .. } => self.book.ended = true,
            RunEvent::Reopened { .. } => self.book.ended = false,
            RunEvent::Resumed { .. }
            | RunEvent::Halted(_)
            | RunEvent::Interrupted { .. }
            | RunEvent::Stopping { .. }
            | RunEvent::Adopted(_)
            | RunEvent::Drifted(_) => {}
            RunEvent::Extended(extended) => self.extended(extended, world)?,
        }
        hold("j2_one_root", self.book.roots == 1, || format!("{} roots", self.book.roots))
    }

    fn task_row(&mut self, event: &TaskEvent, world: &World) -> Result<(), Broken> {
        let id = &event.task;
        match &event.step {
            TaskStep::NeedsMet => self.d2_starts_when_its_needs_allow(id)?,
            TaskStep::Claimed { attempt, .. } => self.l2_ordinals_rise_by_one(id, *attempt)?,
            TaskStep::Acknowledged => self.l18_granted_is_not_started(id, world)?,
            TaskStep::Verified { .. } => self.law_2_no_evidence_no_completion(id, world)?,
            TaskStep::Recovered { .. } => {
                let asks = self.book.workflow.heartbeat.on_lost == OnLost::Ask;
                hold("l10_silence_never_fails", !asks, || format!("`{id}` was recovered unasked"))?;
            }
            // What the host failed spends nothing.
            TaskStep::HostFailed { .. } => self.book.spent = self.book.spent.saturating_sub(1),
            TaskStep::Answered { n, .. } => self.l7_only_who_asks_is_answered(id, *n)?,
            TaskStep::NeedsImpossible { .. }
            | TaskStep::RateLimited { .. }
            | TaskStep::Deferred { .. }
            | TaskStep::Denied { .. }
            | TaskStep::Opened
            | TaskStep::Asked
            | TaskStep::LaunchFailed { .. }
            | TaskStep::Worked
            | TaskStep::AttemptFailed { .. }
            | TaskStep::WentPartial
            | TaskStep::Blocked
            | TaskStep::Unblocked
            | TaskStep::Requeued
            | TaskStep::DecidedSkip
            | TaskStep::DecidedAccept
            | TaskStep::Refuted
            | TaskStep::Repaired { .. }
            | TaskStep::Cancelled
            | TaskStep::Reopened
            | TaskStep::Rearmed
            | TaskStep::Replanned
            | TaskStep::Withdrawn => {}
        }
        if let Some(tried) = self.book.tasks.get_mut(id) {
            match &event.step {
                TaskStep::Claimed { attempt, .. } => {
                    tried.attempt = *attempt;
                    tried.answers = 0;
                    tried.verdicts.clear();
                }
                TaskStep::Opened | TaskStep::Asked => {
                    tried.attempt += 1;
                    tried.verdicts.clear();
                    tried.chosen = None;
                }
                TaskStep::Reopened => tried.reopened += 1,
                TaskStep::Answered { n, .. } => {
                    tried.answers = *n;
                    *self.book.kinds.entry("an answer".to_owned()).or_default() += 1;
                }
                TaskStep::NeedsImpossible { by_design, .. } => tried.by_design = *by_design,
                TaskStep::DecidedSkip => tried.by_design = false,
                _ => {}
            }
            tried.asks = matches!(event.step, TaskStep::Blocked);
            tried.outcome = outcome(&event.step);
        }
        Ok(())
    }

    fn worker_row(&mut self, at: Moment, event: &WorkerEvent, world: &World) -> Result<(), Broken> {
        let id = &event.worker;
        match &event.step {
            WorkerStep::Provisioning { token, .. } => {
                self.l6_tokens_never_repeat(id, *token)?;
                let held = Held { token: *token, ..Held::default() };
                self.book.workers.insert(id.clone(), held);
            }
            WorkerStep::Echoed { .. } => self.l19_l20_only_a_proven_worker_is_ready(id, world)?,
            WorkerStep::Moved { to: PlainMove::FellSilent } => self.l17_silence(id, &event.reason, at)?,
            WorkerStep::Moved { to: PlainMove::WentStale } => {
                self.l9_death_is_attested(id, &event.reason, world)?;
            }
            WorkerStep::Moved { to: PlainMove::Retained | PlainMove::Freed } => {
                self.r2_kept_before_retained(id)?;
            }
            WorkerStep::Stopped if event.reason.is_empty() => self.l9_an_end_is_seen(id, world)?,
            WorkerStep::Moved { .. }
            | WorkerStep::Launched { .. }
            | WorkerStep::Ended { .. }
            | WorkerStep::Stopping { .. }
            | WorkerStep::Stopped
            | WorkerStep::Found { .. }
            | WorkerStep::Departed
            | WorkerStep::Suspended
            | WorkerStep::Continued
            | WorkerStep::SubmissionRefused { .. }
            | WorkerStep::Captured { .. }
            | WorkerStep::Released { .. } => {}
        }
        let Some(held) = self.book.workers.get_mut(id) else { return Ok(()) };
        match &event.step {
            WorkerStep::Launched { workspace, .. } => {
                held.launched = Some(at);
                held.has_tree = workspace.is_some();
            }
            WorkerStep::Echoed { .. } => {
                held.echoed = true;
                held.sign = held.sign.max(at);
            }
            WorkerStep::Moved { to: PlainMove::Dispatched } => {
                held.dispatched = Some(at);
                let proven = held.echoed && held.launched.is_some();
                let detail = || format!("`{id}` was dispatched unproven");
                return hold("l20_work_is_handed_over_only_in_the_tree", proven, detail);
            }
            WorkerStep::Moved { to: PlainMove::WentStale }
            | WorkerStep::Stopped
            | WorkerStep::Departed
            | WorkerStep::Ended { .. } => {
                held.over = true;
            }
            WorkerStep::Captured { .. } => held.captured = true,
            WorkerStep::Provisioning { .. }
            | WorkerStep::Found { .. }
            | WorkerStep::Suspended
            | WorkerStep::Continued
            | WorkerStep::Moved { .. }
            | WorkerStep::Stopping { .. }
            | WorkerStep::SubmissionRefused { .. }
            | WorkerStep::Released { .. } => {}
        }
        Ok(())
    }

    fn claim_row(&mut self, at: Moment, event: &ClaimEvent) -> Result<(), Broken> {
        let id = &event.worker;
        let Some(held) = self.book.workers.get(id).cloned() else {
            return Err(Broken::new("l5_a_claim_is_whole", format!("a claim of `{id}` before its worker")));
        };
        let own = held.token == event.token;
        hold("l6_only_the_holder_moves_its_claim", own, || format!("`{id}` under {}", event.token))?;
        match &event.step {
            ClaimStep::Granted { .. } => self.granted(event)?,
            ClaimStep::Renewed { expires } => {
                let holds = held.live && *expires >= held.expires;
                hold("l6_renewals_never_go_back", holds, || format!("`{id}`, live: {}", held.live))?;
            }
            ClaimStep::Expired => self.l17_nobody_expires_early(id, at)?,
            ClaimStep::Revoked { reason } => self.l8_l10_a_cause(id, reason, at)?,
            ClaimStep::Closed | ClaimStep::Settled(_) => {}
        }
        let Some(held) = self.book.workers.get_mut(id) else { return Ok(()) };
        match &event.step {
            ClaimStep::Granted { expires, .. } | ClaimStep::Renewed { expires } => {
                held.live = true;
                held.expired = false;
                held.expires = *expires;
            }
            ClaimStep::Expired => held.expired = true,
            ClaimStep::Revoked { reason } => {
                held.live = false;
                held.revoked.clone_from(reason);
                held.settlements += 1;
            }
            ClaimStep::Closed => {
                held.live = false;
                held.settlements += 1;
            }
            ClaimStep::Settled(_) => {}
        }
        let settlements = held.settlements;
        hold("l3_j2_one_settlement_an_attempt", settlements <= 1, || format!("`{id}`: {settlements}"))
    }

    /// L2, J10, the gate: what must be true when a claim is given out.
    fn granted(&mut self, event: &ClaimEvent) -> Result<(), Broken> {
        let id = &event.task;
        let held = |known: &&String| known.rsplit_once('.').is_some_and(|(task, _)| task == id);
        let other = self.book.workers.iter().find(|(known, worker)| held(known) && worker.live);
        let other = other.map(|(known, _)| known.clone());
        hold("l2_dispatch_intervals_are_disjoint", other.is_none(), || {
            format!("`{id}` is held by {other:?}")
        })?;
        hold("j10_an_ended_run_starts_nothing", !self.book.ended, || format!("`{id}` was claimed"))?;
        let completed = self.book.tasks.get(id).and_then(|task| task.outcome);
        hold("j6_completed_is_never_tried_again", completed != Some(Outcome::Completed), || id.clone())?;
        self.book.spent += 1;
        let allowed = self.book.workflow.limits.attempts.map_or(usize::MAX, |limit| limit as usize);
        hold("limits_attempts", self.book.spent <= allowed, || format!("{} spent", self.book.spent))?;
        let asked = self.asked_for();
        hold("only_what_was_asked_for", asked.get(id).copied().unwrap_or(true), || id.clone())
    }

    /// What `--only` leaves in, found from its end.
    fn asked_for(&self) -> BTreeMap<String, bool> {
        let tasks = &self.book.workflow.tasks;
        let everything = self.book.only.is_empty();
        let mut asked: BTreeMap<String, bool> = tasks
            .iter()
            .map(|task| (task.id.clone(), everything || self.book.only.contains(&task.id)))
            .collect();
        // As often as there are tasks: a reviewer may stand anywhere in the file.
        for task in tasks.iter().flat_map(|_| tasks).filter(|_| !everything) {
            let mut both = task.reviewers().any(|by| asked.get(by) == Some(&true));
            both |= asked[&task.id];
            if both {
                asked.insert(task.id.clone(), true);
                asked.extend(task.needs.iter().map(|need| (need.task.clone(), true)));
                asked.extend(task.reviewers().map(|by| (by.to_owned(), true)));
            }
        }
        // What was made is asked for with who made it.
        for (task, parent) in tasks.iter().filter_map(|task| Some((task, task.parent.as_ref()?))) {
            asked.insert(task.id.clone(), asked[parent]);
        }
        asked
    }

    /// Whom a reviewer reviews.
    fn reviewed_by(&self, reviewer: &str) -> Option<&str> {
        let tasks = &self.book.workflow.tasks;
        let found = tasks.iter().find(|task| task.reviewers().any(|by| by == reviewer));
        found.map(|task| task.id.as_str())
    }

    fn l2_ordinals_rise_by_one(&self, id: &str, attempt: u32) -> Result<(), Broken> {
        let last = self.book.tasks.get(id).map_or(0, |task| task.attempt);
        hold("l2_ordinals_rise_by_one", attempt == last + 1, || format!("`{id}`: {attempt} after {last}"))
    }

    fn l6_tokens_never_repeat(&mut self, id: &str, token: u64) -> Result<(), Broken> {
        let last = std::mem::replace(&mut self.book.last_token, token);
        let new = !self.book.workers.contains_key(id);
        hold("l6_tokens_never_repeat", token > last && new, || format!("`{id}`: {token} after {last}"))
    }

    /// A task that has ended stays so, but for a person's retry and what was skipped for it.
    fn d1_ends_are_sticky(&self, event: &TaskEvent) -> Result<(), Broken> {
        let ended = self.book.tasks.get(&event.task).and_then(|task| task.outcome);
        let may = match (&event.step, ended) {
            (_, None) => true,
            (TaskStep::Reopened, Some(Outcome::Failed | Outcome::Partial | Outcome::Cancelled)) => true,
            (TaskStep::Rearmed, Some(ended)) => ended == Outcome::Skipped,
            // Only for a head that is still to be judged.
            (TaskStep::Replanned, Some(ended)) => {
                let open = |id: &str| self.book.tasks.get(id).is_some_and(|task| task.outcome.is_none());
                ended != Outcome::Skipped && self.reviewed_by(&event.task).is_some_and(open)
            }
            (_, Some(_)) => false,
        };
        hold("d1_ends_are_sticky", may, || format!("`{}`, {ended:?}: {:?}", event.task, event.step))
    }

    /// A claim, its worker and its task's step are committed together.
    pub(super) fn l5_a_claim_is_whole(&self, rows: &[(Stamp, Event)]) -> Result<(), Broken> {
        for (n, (_, event)) in rows.iter().enumerate() {
            let Event::Task(TaskEvent { task, step: TaskStep::Claimed { attempt, .. }, .. }) = event else {
                continue;
            };
            let id = format!("{task}.{attempt}");
            let worker = matches!(
                rows.get(n + 1),
                Some((_, Event::Worker(event))) if event.worker == id && matches!(event.step, WorkerStep::Provisioning { .. })
            );
            let claim = matches!(
                rows.get(n + 2),
                Some((_, Event::Claim(event))) if event.worker == id && matches!(event.step, ClaimStep::Granted { .. })
            );
            hold("l5_a_claim_is_whole", worker && claim, || format!("`{id}` was claimed by halves"))?;
        }
        Ok(())
    }

    pub(super) fn l4_one_live_claim_a_task(&self) -> Result<(), Broken> {
        let mut live: Vec<&str> = self
            .book
            .workers
            .iter()
            .filter(|(_, held)| held.live)
            .filter_map(|(id, _)| id.rsplit_once('.').map(|(task, _)| task))
            .collect();
        let all = live.len();
        live.dedup();
        hold("l4_one_live_claim_a_task", live.len() == all, || format!("{live:?}"))
    }

    pub(super) fn limits_workers(&self) -> Result<(), Broken> {
        let live = self.book.workers.values().filter(|held| held.live).count();
        hold("limits_workers", live <= self.book.places, || format!("{live} of {}", self.book.places))
    }

    /// The policies of contract 3, written a second time.
    fn d2_starts_when_its_needs_allow(&self, id: &str) -> Result<(), Broken> {
        let Some(task) = self.book.workflow.tasks.iter().find(|task| task.id == id) else { return Ok(()) };
        let ended = |need: &str| self.book.tasks.get(need).and_then(|task| task.outcome);
        if let Some(reviewed) = self.reviewed_by(id) {
            let over = ended(reviewed).is_some();
            hold("d2_starts_when_its_needs_allow", !over, || {
                format!("`{id}` reviews `{reviewed}` after its end")
            })?;
        }
        let mut groups: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
        for need in &task.needs {
            let Some(found) = ended(&need.task) else {
                return Err(Broken::new(
                    "d2_starts_when_its_needs_allow",
                    format!("`{id}` before `{}`", need.task),
                ));
            };
            let better = matches!(found, Outcome::Completed | Outcome::Partial);
            let (group, holds) = match need.when.unwrap_or(task.when) {
                When::Completed => ("all", found == Outcome::Completed),
                When::Partial => ("all", better),
                When::Terminal => ("all", true),
                When::Optional => ("optional", better),
                When::Failed => ("failed", found == Outcome::Failed),
            };
            let (of, held) = groups.entry(group).or_default();
            (*of, *held) = (*of + 1, *held + usize::from(holds));
        }
        let met =
            groups.iter().all(|(group, (of, held))| if *group == "all" { of == held } else { *held > 0 });
        hold("d2_starts_when_its_needs_allow", met, || format!("`{id}`: {groups:?}"))
    }

    /// What an attempt's tree held is kept before its worker is let go.
    fn r2_kept_before_retained(&self, id: &str) -> Result<(), Broken> {
        let Some(held) = self.book.workers.get(id) else { return Ok(()) };
        hold("r2_kept_before_retained", held.captured || !held.has_tree, || format!("`{id}`"))?;
        hold("l9_a_live_worker_is_not_retained", held.over && !held.live, || format!("`{id}`"))
    }
}
