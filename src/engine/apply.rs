//! The fold: (state, event) -> state.
//!
//! It never refuses an event that `decide` may emit and never panics on one that
//! it may not: that is [`Corrupt`]. It leaves out every choice; a replay takes the
//! same steps with no clock and no chance (law J5).

use super::control;
use super::event::{
    ClaimEvent, ClaimStep, Event, EvidenceEvent, ReportEvent, ReportStep, RunEvent, TaskEvent, TaskStep,
};
use super::evidence::{Checked, Verdict};
use super::moment::Stamp;
use super::review;
use super::state::{Anchor, KeptReport, RunPhase, RunState, WorkerState, worker_id};
use super::task_table::{self, TaskPhase};
use super::{budget, halt, order, ready};
use crate::workflow::{Item, REDUCE, Trust};
use serde_json::Map;
use std::fmt;

mod adopt;
mod extend;
mod question;
mod worker;

/// An event that doesn't fit the state: the journal isn't one that we wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Corrupt(pub String);

impl fmt::Display for Corrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "replay the journal: {}", self.0)
    }
}

impl std::error::Error for Corrupt {}

/// Most reports of one worker whose hashes are remembered: the latest, so that a rescan is never news.
const SEEN_REPORTS_MAX: usize = 64;

/// Takes one event into the state.
///
/// # Errors
/// [`Corrupt`] when the event can't have happened in this state.
pub fn apply(state: &mut RunState, at: Stamp, event: &Event) -> Result<(), Corrupt> {
    state.last_at = at;
    match event {
        Event::Run(event) => apply_run(state, at, event),
        Event::Task(event) => apply_task(state, at, event),
        Event::Worker(event) => worker::apply_worker(state, at, event),
        Event::Claim(event) => apply_claim(state, event),
        Event::Report(event) => apply_report(state, event),
        Event::Evidence(event) => apply_evidence(state, event),
        Event::Ignored(_) => Ok(()),
    }
}

fn apply_run(state: &mut RunState, at: Stamp, event: &RunEvent) -> Result<(), Corrupt> {
    match event {
        RunEvent::Started(_) => return Err(Corrupt("a second root event".to_owned())),
        RunEvent::Resumed { boot, mono_ms, .. } => {
            state.anchor = Anchor { boot: boot.clone(), mono_ms: *mono_ms, moment: at.moment };
            state.phase = RunPhase::Running;
            state.stopping = None;
        }
        RunEvent::Reopened { .. } => {
            // Unfinished again, but nobody drives it: only a resume does.
            state.phase = RunPhase::Interrupted;
            "reopened".clone_into(&mut state.interrupted);
            state.ended_at = None;
            state.stopping = None;
            halt::lift(state);
        }
        RunEvent::Halted(halted) => state.halted = Some(halted.clone()),
        RunEvent::Interrupted { reason } => {
            state.phase = RunPhase::Interrupted;
            state.interrupted.clone_from(reason);
            state.stopping = None;
        }
        RunEvent::Stopping { force } => state.stopping = Some(*force),
        RunEvent::Ended { success, .. } => {
            state.phase = RunPhase::Ended { success: *success };
            state.ended_at = Some(at);
        }
        RunEvent::Adopted(adopted) => adopt::adopt(state, adopted)?,
        RunEvent::Extended(extended) => extend::extend(state, at, extended)?,
        RunEvent::Drifted(drifted) => {
            for id in &drifted.workers {
                find_worker(state, id)?.drift.get_or_insert_default().take(&drifted.drift);
            }
        }
    }
    Ok(())
}

fn apply_task(state: &mut RunState, at: Stamp, event: &TaskEvent) -> Result<(), Corrupt> {
    let index = find_task(state, &event.task)?;
    let from = state.tasks[index].phase;
    let to = task_table::next(from, event.step.table())
        .map_err(|illegal| Corrupt(format!("`{}` can't {illegal}", event.task)))?;
    let task = &mut state.tasks[index];
    task.phase = to;
    task.reason.clone_from(&event.reason);
    if from != to {
        task.since = at;
    }
    task.defer_until = None;
    take_step(state, index, event)?;
    follow_attempt(state, index, at, (from, to), &event.step);
    if let (TaskStep::Verified { .. }, true) = (&event.step, state.planned(index).kind.is_control()) {
        extend::take_result(state, index);
    }
    if let TaskStep::Replanned = event.step {
        extend::forget_children(state, index)?;
        let retries = state.planned(index).retries;
        state.tasks[index].start_over(retries);
    }
    if !state.planned(index).kind.is_control() {
        // What a control task fails by has been counted.
        halt::count(state, &event.step, at.moment);
    }
    reindex(state, index, from, to);
    Ok(())
}

/// What a step leaves behind in the task itself.
fn take_step(state: &mut RunState, index: usize, event: &TaskEvent) -> Result<(), Corrupt> {
    let is_capped = control::is_capped(state, index);
    let RunState { tasks, attempts_spent, .. } = state;
    let task = &mut tasks[index];
    match &event.step {
        TaskStep::NeedsImpossible { root, by_design } => {
            task.root = Some(root.clone());
            task.by_design = *by_design;
        }
        TaskStep::Deferred { until, .. } => task.defer_until = *until,
        TaskStep::HostFailed { until } => {
            task.defer_until = Some(*until);
            task.host_failures = task.host_failures.saturating_add(1);
            task.count_limit(&event.reason);
            task.allowed = task.allowed.saturating_add(1);
            *attempts_spent = attempts_spent.saturating_sub(1);
        }
        TaskStep::Requeued => task.allowed = task.allowed.saturating_add(1),
        TaskStep::RateLimited { until } => {
            task.allowed = task.allowed.saturating_add(1);
            question::limited(state, index, *until);
        }
        TaskStep::Answered { n, by, text } => question::answered(state, index, *n, (by, text))?,
        // Whatever else came of it, its provider let it work.
        TaskStep::Worked
        | TaskStep::AttemptFailed { .. }
        | TaskStep::WentPartial
        | TaskStep::Recovered { .. } => task.rate_limits = 0,
        TaskStep::Reopened => {
            // A loop that had used up its iterations gets one more.
            task.granted = task.granted.saturating_add(u32::from(is_capped));
            task.reopen();
        }
        TaskStep::Claimed { attempt, .. } => {
            if *attempt != task.next_attempt() {
                return Err(Corrupt(format!("attempt {attempt} of `{}` after {}", event.task, task.attempt)));
            }
            task.attempt = *attempt;
            *attempts_spent += 1;
            task.last_evidence = std::mem::take(&mut task.evidence);
            task.rounds = 0;
        }
        TaskStep::Opened | TaskStep::Asked => {
            task.attempt = task.next_attempt();
            task.last_evidence = std::mem::take(&mut task.evidence);
            task.rounds = 0;
        }
        TaskStep::Rearmed => {
            task.root = None;
            task.by_design = false;
        }
        TaskStep::Acknowledged => (task.host_failures, task.limits_met) = (0, 0),
        TaskStep::LaunchFailed { .. } => task.count_limit(&event.reason),
        TaskStep::NeedsMet => {
            let reviewed = state.reviews.get(&index).copied();
            state.tasks[index].for_attempt = reviewed.map_or(0, |reviewed| state.tasks[reviewed].attempt);
        }
        TaskStep::Withdrawn => task.by_design = true,
        TaskStep::Denied { .. }
        | TaskStep::Blocked
        | TaskStep::Unblocked
        | TaskStep::DecidedSkip
        | TaskStep::DecidedAccept
        | TaskStep::Verified { .. }
        | TaskStep::Refuted
        | TaskStep::Repaired { .. }
        | TaskStep::Cancelled
        | TaskStep::Replanned => {}
    }
    Ok(())
}

/// What a task's step means for the worker of its current attempt.
fn follow_attempt(
    state: &mut RunState,
    index: usize,
    at: Stamp,
    (from, to): (TaskPhase, TaskPhase),
    step: &TaskStep,
) {
    let id = worker_id(&state.planned(index).id, state.tasks[index].attempt);
    let RunState { tasks, workers, .. } = state;
    let task = &mut tasks[index];
    let Some(worker) = workers.get_mut(&id) else { return };
    match (from, to) {
        (_, TaskPhase::Blocked) => {
            worker.paused_since.get_or_insert(at.moment);
        }
        (TaskPhase::Blocked, _) if !worker.suspended => worker.unpause(at.moment),
        _ => {}
    }
    if to == TaskPhase::InProgress {
        worker.acknowledged = true;
        // It goes on: the question isn't its last word any more.
        let is_question = |report: &KeptReport| matches!(report.status.as_str(), "needs_input" | "blocked");
        if from == TaskPhase::Blocked && worker.report.as_deref().is_some_and(is_question) {
            worker.report = None;
        }
    }
    // A claim that expired and is given to somebody else: the successor says whose it was.
    if matches!(step, TaskStep::Recovered { .. } | TaskStep::Requeued) && worker.expired {
        task.recovers = Some(id);
    }
    if from.is_held() && !to.is_held() {
        worker.settled = true;
        // Nothing was tried to the end here, so what the attempt was to repair still is.
        if !matches!(step, TaskStep::HostFailed { .. } | TaskStep::Requeued | TaskStep::RateLimited { .. }) {
            task.restart_at = None;
            task.refuted.clear();
        }
        // Dependents read it whatever the outcome: a `when: failed` task repairs by it.
        if let Some(report) = &worker.report {
            task.summary.clone_from(&report.summary);
            task.outputs.clone_from(&report.outputs);
        }
    }
    if let TaskStep::Refuted = step {
        let untrusted = state.started.workflow.tasks[index].trust == Trust::Untrusted;
        let snapshot = worker.captured.clone().flatten().filter(|_| !untrusted);
        // What somebody changed who may change nothing isn't handed on to anybody.
        task.restart_at = snapshot.map(|snapshot| snapshot.commit);
        task.refuted = refuted(&task.evidence, &task.reason);
    }
}

/// What the next attempt is told: the items that didn't hold, or what was wrong with the report itself.
fn refuted(evidence: &[Checked], reason: &str) -> Vec<Checked> {
    // Nobody was asked for it, so there is nothing to repair in it.
    let missed = |checked: &&Checked| checked.verdict != Verdict::Verified && !checked.is_unanswered();
    let items: Vec<Checked> = evidence.iter().filter(missed).cloned().collect();
    if items.is_empty() { vec![Checked::new("report", Verdict::Refuted, reason)] } else { items }
}

/// Puts a task into the derived sets that its phase belongs to, and out of the others.
fn sort(state: &mut RunState, index: usize, to: TaskPhase) {
    let is_control = state.planned(index).kind.is_control();
    let put = |set: &mut std::collections::BTreeSet<usize>, wanted: bool| {
        if wanted {
            set.insert(index)
        } else {
            set.remove(&index)
        };
    };
    let reviews = state.reviews.contains_key(&index);
    put(&mut state.reviewing, reviews && review::is_at_work(to));
    put(&mut state.opening, to == TaskPhase::Ready && is_control);
    put(&mut state.moving, to.is_held() || matches!(to, TaskPhase::Verifying | TaskPhase::RepairRequired));
    let decidable = to == TaskPhase::Pending && ready::is_decided(state, index);
    put(&mut state.decidable, decidable);
    order::sort(state, index, to == TaskPhase::Ready && !is_control);
}

/// What a reviewer's start waits for may have come: its task moved, or more of it is verified.
fn wake_reviewers(state: &mut RunState, task: usize) {
    let own = |reviewer: &usize| state.reviews.get(reviewer) == Some(&task);
    let named = state.planned(task).reviewers().filter_map(|id| state.task_index(id));
    for reviewer in named.filter(own).collect::<Vec<_>>() {
        sort(state, reviewer, state.tasks[reviewer].phase);
    }
}

/// Keeps everything derived true after a task moved.
fn reindex(state: &mut RunState, index: usize, from: TaskPhase, to: TaskPhase) {
    sort(state, index, to);
    wake_reviewers(state, index);
    if from.is_terminal() == to.is_terminal() {
        return;
    }
    let ended = to.is_terminal();
    state.open_count = if ended { state.open_count - 1 } else { state.open_count + 1 };
    if let Some(parent) = state.control_parent(index) {
        let open = &mut state.tasks[parent].open_children;
        *open = if ended { open.saturating_sub(1) } else { *open + 1 };
    }
    for position in 0..state.dependents[index].len() {
        let (dependent, need) = state.dependents[index][position];
        let task = &mut state.tasks[dependent];
        task.unended = if ended { task.unended - 1 } else { task.unended + 1 };
        if task.phase != TaskPhase::Pending {
            continue;
        }
        // One need alone is looked at here: a fan-in of thousands must not be walked for each of them.
        if ended && (ready::is_free(state, dependent) || ready::spoils(state, dependent, need)) {
            state.decidable.insert(dependent);
        } else if !ended && !ready::is_decided(state, dependent) {
            state.decidable.remove(&dependent);
        }
    }
}

fn apply_claim(state: &mut RunState, event: &ClaimEvent) -> Result<(), Corrupt> {
    let worker = find_worker(state, &event.worker)?;
    if worker.token != event.token {
        return Err(Corrupt(format!("`{}` holds token {}, not {}", event.worker, worker.token, event.token)));
    }
    match &event.step {
        ClaimStep::Granted { expires, .. } | ClaimStep::Renewed { expires } => {
            worker.expires = (*expires).max(worker.expires);
            worker.expired = false;
        }
        ClaimStep::Expired => worker.expired = true,
        ClaimStep::Revoked { .. } | ClaimStep::Closed => worker.token_live = false,
        ClaimStep::Settled(_) => {}
    }
    match &event.step {
        ClaimStep::Granted { reserved, .. } => {
            worker.reserved = *reserved;
            let task = worker.task;
            state.ledger.reserve(reserved);
            if !reserved.is_empty() || budget::is_watched(state, task) {
                state.unsettled.insert(event.worker.clone());
            }
        }
        ClaimStep::Settled(charge) => {
            let reserved = std::mem::take(&mut worker.reserved);
            if !state.unsettled.remove(&event.worker) {
                return Err(Corrupt(format!("`{}` is settled twice", event.worker)));
            }
            state.ledger.settle(&reserved, charge, &event.worker);
        }
        ClaimStep::Renewed { .. } | ClaimStep::Expired | ClaimStep::Revoked { .. } | ClaimStep::Closed => {}
    }
    Ok(())
}

fn apply_report(state: &mut RunState, event: &ReportEvent) -> Result<(), Corrupt> {
    let worker = find_worker(state, &event.worker)?;
    let mut to_settle = false;
    let sha256 = match &event.step {
        ReportStep::Accepted {
            status,
            summary,
            reason,
            outputs,
            claims,
            usage,
            retry_after,
            question: _,
            by_shim,
            sha256,
        } => {
            worker.report = Some(Box::new(KeptReport {
                status: status.clone(),
                summary: summary.clone(),
                reason: reason.clone(),
                outputs: outputs.clone(),
                claims: claims.clone(),
                usage: *usage,
                retry_after: *retry_after,
                by_shim: *by_shim,
            }));
            if !usage.is_empty() {
                to_settle = true;
            }
            sha256
        }
        ReportStep::Refused { sha256, .. } => sha256,
    };
    if !worker.seen_reports.contains(sha256) {
        if worker.seen_reports.len() == SEEN_REPORTS_MAX {
            worker.seen_reports.remove(0);
        }
        worker.seen_reports.reserve_exact(1);
        worker.seen_reports.push(sha256.clone());
    }
    if to_settle {
        // Whatever was planned, it was used.
        state.unsettled.insert(event.worker.clone());
    }
    Ok(())
}

fn apply_evidence(state: &mut RunState, event: &EvidenceEvent) -> Result<(), Corrupt> {
    let index = find_task(state, &event.task)?;
    let planned = state.planned(index).evidence.items();
    let items = planned.len();
    let by_others = matches!(planned.get(event.item), Some(Item::Approval { .. } | Item::Review { .. }));
    let task = &mut state.tasks[index];
    if task.attempt != event.attempt {
        return Err(Corrupt(format!("evidence for attempt {} of `{}`", event.attempt, event.task)));
    }
    if by_others && event.checked.is_answer() {
        let asked = task.evidence.get_mut(event.item).filter(|checked| checked.is_unanswered());
        let asked =
            asked.ok_or_else(|| Corrupt(format!("an answer that `{}` didn't ask for", event.task)))?;
        *asked = event.checked.clone();
        wake_reviewers(state, index);
        return Ok(());
    }
    if event.item == 0 {
        task.rounds += 1;
        task.evidence.clear();
    }
    // Exact: a run holds one such list for each task, for good.
    task.evidence.reserve_exact(items.saturating_sub(task.evidence.len()).max(1));
    task.evidence.push(event.checked.clone());
    hand_on_result(state, index, &event.checked);
    wake_reviewers(state, index);
    Ok(())
}

/// What a `reduce` printed twice is its answer, unless its report gave one (law D6).
fn hand_on_result(state: &mut RunState, index: usize, checked: &Checked) {
    let is_proven = checked.kind == REDUCE && checked.verdict == Verdict::Verified;
    let Some(result) = checked.facts.get("result").filter(|_| is_proven) else { return };
    let worker = state.current_worker(index).and_then(|(_, worker)| worker.report.as_ref());
    if worker.is_none_or(|report| report.outputs.is_empty()) {
        state.tasks[index].outputs = Map::from_iter([("result".to_owned(), result.clone())]);
    }
}

fn find_task(state: &RunState, id: &str) -> Result<usize, Corrupt> {
    state.task_index(id).ok_or_else(|| Corrupt(format!("no task `{id}`")))
}

fn find_worker<'a>(state: &'a mut RunState, id: &str) -> Result<&'a mut WorkerState, Corrupt> {
    state.workers.get_mut(id).map(AsMut::as_mut).ok_or_else(|| Corrupt(format!("no worker `{id}`")))
}
