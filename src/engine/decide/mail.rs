//! What a worker's mail says, and what becomes of it.
//!
//! Anything said under a dead token leaves every row equal but for one event (L7).

use serde_json::Value;

use super::{
    View, attempt_failed, claim_event, ignored, launch, moved, question, silence, task_event, worker_event,
};
use crate::engine::budget::Amounts;
use crate::engine::event::{
    ClaimStep, Event, EvidenceEvent, PlainMove, ReportEvent, ReportStep, Snapshot, TaskStep, WorkerStep,
};
use crate::engine::evidence::{Checked, ChildExit, Verdict};
use crate::engine::input::Beat;
use crate::engine::outstanding;
use crate::engine::state::WorkerState;
use crate::engine::task_table::TaskPhase;
use crate::engine::timer;
use crate::engine::worker_table::WorkerPhase;
use crate::protocol::{CHECKOUT_FAILED, CHECKOUT_HOST, Report, SETUP_FAILED, WALL_TIME};
use crate::workflow::{Asked, Item};

/// It took the assignment.
pub(super) fn acknowledged(view: View<'_>, id: &str, worker: &WorkerState, token: u64) -> Vec<Event> {
    if !holds(worker, token) {
        return vec![dead_token(id, "ack", token, worker)];
    }
    acknowledge(view, worker).into_iter().collect()
}

/// The acknowledgement that an ack, or a report under the live token, is.
fn acknowledge(view: View<'_>, worker: &WorkerState) -> Option<Event> {
    let waits = view.state.tasks[worker.task].phase == TaskPhase::Claimed && worker.dispatched_at.is_some();
    waits.then(|| task_event(view, worker.task, TaskStep::Acknowledged, ""))
}

/// It beat. The pulse was taken already; here is only what a beat changes.
pub(super) fn beat(view: View<'_>, id: &str, worker: &WorkerState, beat: &Beat) -> Vec<Event> {
    if beat.token.is_some_and(|token| !holds(worker, token)) {
        let first = view.pulses.get(id).is_none_or(|pulse| !pulse.complained);
        let token = beat.token.unwrap_or_default();
        return if first { vec![dead_token(id, "heartbeat", token, worker)] } else { Vec::new() };
    }
    let mut events = silence::beats_again(view, id, worker);
    let now = view.now.stamp.moment;
    // A worker that beats but never takes its assignment stays unhealthy: beats alone prove no work (L18).
    let idle = timer::acknowledgement_due(view.state, view.pulses, id, worker).is_some_and(|due| due <= now);
    if worker.phase == WorkerPhase::Unhealthy && worker.pid.is_some() && !idle {
        let to = if worker.dispatched_at.is_some() { PlainMove::BeatBusy } else { PlainMove::BeatWaiting };
        events.push(moved(id, to, ""));
    }
    let progressed = view.pulses.get(id).is_some_and(|pulse| pulse.progressed == now);
    if worker.stalled && progressed && worker.phase == WorkerPhase::Busy {
        events.push(moved(id, PlainMove::Progressed, ""));
    }
    events.extend(question::taken_back(view, worker, (beat, progressed)));
    let life = view.state.workflow().heartbeat.lost_after;
    // A commit per beat would cost a sync per worker and second: renew when half of the life is gone.
    let low = worker.expires.since(now) < life / 2;
    if worker.token_live && (worker.expired || low) {
        let expires = now.after(life);
        events.push(claim_event(view, id, worker, ClaimStep::Renewed { expires }));
    }
    events
}

/// It reported. Accepted is only: live token, this task, this attempt, not settled yet.
pub(super) fn reported(
    view: View<'_>,
    id: &str,
    worker: &WorkerState,
    report: &Report,
    sha256: &str,
) -> Vec<Event> {
    if worker.seen_reports.iter().any(|seen| seen == sha256) {
        return Vec::new();
    }
    let planned = view.state.planned(worker.task);
    let refusal = if report.task != planned.id || report.attempt != worker.attempt {
        let detail = format!("it is about `{}.{}`, in the mail of `{id}`", report.task, report.attempt);
        Some(("wrong_task", detail))
    } else if report.token != worker.token {
        Some(("dead_token", format!("token {}, the claim's is {}", report.token, worker.token)))
    } else if !worker.token_live || worker.settled {
        Some(("late", "the attempt was already settled, or its claim revoked".to_owned()))
    } else if worker.dispatched_at.is_none() {
        Some(("not_dispatched", "the worker holds no assignment".to_owned()))
    } else {
        None
    };
    if let Some((code, detail)) = refusal {
        let step = ReportStep::Refused { code: code.to_owned(), detail, sha256: sha256.to_owned() };
        return vec![Event::Report(ReportEvent { worker: id.to_owned(), step })];
    }
    let step = ReportStep::Accepted {
        status: report.status.as_str().to_owned(),
        summary: report.summary.clone(),
        reason: report.reason.clone(),
        outputs: report.outputs.clone(),
        claims: report
            .evidence
            .iter()
            .filter_map(|claim| serde_json::to_value(claim).ok())
            .collect::<Vec<Value>>(),
        usage: report.usage.map(Amounts::from).unwrap_or_default(),
        retry_after: report.retry_after,
        question: report.question,
        by_shim: report.by.is_some(),
        sha256: sha256.to_owned(),
    };
    let mut events: Vec<Event> = acknowledge(view, worker).into_iter().collect();
    events.push(Event::Report(ReportEvent { worker: id.to_owned(), step }));
    let waits = report.status.is_open();
    let blocked = view.state.tasks[worker.task].phase == TaskPhase::Blocked;
    if waits && !blocked && !question::is_answered(worker, report) {
        let why = report.reason.as_deref().unwrap_or(&report.summary);
        let reason = format!("{}: {why}", report.status.as_str());
        events.push(task_event(view, worker.task, TaskStep::Blocked, reason));
    } else if blocked && !waits {
        // It went on by itself, so its time counts again.
        events.push(task_event(view, worker.task, TaskStep::Unblocked, ""));
    }
    events
}

/// It wrote something that can't be believed: kept, journaled, without effect.
pub(super) fn bad_file(
    id: &str,
    worker: &WorkerState,
    (file, code, detail): (&str, &str, &str),
    sha256: &str,
) -> Vec<Event> {
    if file != crate::protocol::REPORT {
        return vec![ignored(Some(id), file, code, detail)];
    }
    if !sha256.is_empty() && worker.seen_reports.iter().any(|seen| seen == sha256) {
        return Vec::new();
    }
    let step =
        ReportStep::Refused { code: code.to_owned(), detail: detail.to_owned(), sha256: sha256.to_owned() };
    vec![Event::Report(ReportEvent { worker: id.to_owned(), step })]
}

/// It ended before it was given anything to do, because what its tree needs couldn't be made:
/// a launch that failed, as any other. The reason, and whether its host is to blame.
fn setup_failed(
    view: View<'_>,
    id: &str,
    worker: &WorkerState,
    (reason, host): (String, bool),
) -> Vec<Event> {
    let step = if host {
        launch::host_failed(view, worker)
    } else {
        TaskStep::LaunchFailed { again: view.state.tasks[worker.task].may_try_again() }
    };
    vec![
        claim_event(view, id, worker, ClaimStep::Revoked { reason: reason.clone() }),
        task_event(view, worker.task, step, reason),
    ]
}

/// The reason of a shim that couldn't give its tree what it needs, and whether its host is to blame.
fn of_setup(error: &str) -> Option<(String, bool)> {
    if let Some(detail) = error.strip_prefix(CHECKOUT_HOST) {
        return Some((format!("{CHECKOUT_FAILED}{detail}"), true));
    }
    let known = [SETUP_FAILED, CHECKOUT_FAILED, WALL_TIME].iter().any(|known| error.starts_with(known));
    known.then(|| (error.to_owned(), false))
}

/// Its child ended. What follows is decided from the state, so that a crash in between loses nothing.
pub(super) fn ended(
    view: View<'_>,
    (id, worker): (&str, &WorkerState),
    token: Option<u64>,
    (exit, usage): (ChildExit, Amounts),
    (survivors, error): (&[u32], Option<&str>),
) -> Vec<Event> {
    if worker.exit.is_some() || !worker.phase.is_live() {
        return Vec::new();
    }
    if token.is_some_and(|token| token != worker.token) {
        return vec![dead_token(id, "exit", token.unwrap_or_default(), worker)];
    }
    let waits = view.state.tasks[worker.task].phase == TaskPhase::Claimed && worker.dispatched_at.is_none();
    let setup = error.filter(|_| waits && worker.token_live).and_then(of_setup);
    let reason = match (error, survivors) {
        (Some(error), _) => {
            setup.as_ref().map_or_else(|| format!("start_failed: {error}"), |(reason, _)| reason.clone())
        }
        (None, []) => String::new(),
        (None, left) => format!("survivors: {left:?} outlived the end of their tree"),
    };
    let mut events =
        vec![worker_event(id, reason, WorkerStep::Ended { exit, survivors: survivors.to_vec(), usage })];
    events.extend(setup.into_iter().flat_map(|reason| setup_failed(view, id, worker, reason)));
    events
}

/// Its evidence was looked at.
pub(super) fn judged(view: View<'_>, id: &str, worker: &WorkerState, checked: &[Checked]) -> Vec<Event> {
    let task = &view.state.tasks[worker.task];
    if task.phase != TaskPhase::Verifying || task.attempt != worker.attempt {
        return vec![ignored(Some(id), "evidence", "late", "the attempt isn't being verified")];
    }
    if !outstanding::owes_look(view.state, worker.task, worker) {
        return vec![ignored(Some(id), "evidence", "not_asked_for", "no look at its evidence is owed")];
    }
    let items = view.state.planned(worker.task).evidence.items();
    if checked.len() == items.len() {
        return evidence_events(view, worker, checked);
    }
    // A check that gave no answer for every item proves nothing, and must not be asked for ever.
    let unseen = |item: &Item| {
        let reason = format!("the check answered {} of {} items", checked.len(), items.len());
        Checked::new(item.kind(), Verdict::Unverifiable, reason)
    };
    evidence_events(view, worker, &items.iter().map(unseen).collect::<Vec<_>>())
}

/// What its tree held was kept, or couldn't be: once, and only after the attempt was over.
pub(super) fn captured(
    view: View<'_>,
    id: &str,
    worker: &WorkerState,
    snapshot: &Result<Snapshot, String>,
) -> Vec<Event> {
    let owed = worker.owes_capture(view.state.planned(worker.task).workspace);
    if !(worker.settled && worker.is_over() && owed) {
        return vec![ignored(Some(id), "capture", "not_asked_for", "no snapshot of its tree is owed")];
    }
    let (reason, snapshot) = match snapshot {
        Ok(kept) => (String::new(), Some(kept.clone())),
        Err(trouble) => (trouble.clone(), None),
    };
    vec![worker_event(id, reason, WorkerStep::Captured { snapshot })]
}

/// One event for each checked item. Whoever looked, approvals and reviews aren't theirs to give.
pub(super) fn evidence_events(view: View<'_>, worker: &WorkerState, checked: &[Checked]) -> Vec<Event> {
    let planned = view.state.planned(worker.task);
    let event = |(item, checked): (usize, &Checked)| {
        let checked = match planned.evidence.items().get(item).and_then(Item::asks) {
            Some(Asked::Person(message)) => Checked::unanswered(message),
            Some(Asked::Task(task)) => Checked::unreviewed(task),
            None => checked.clone(),
        };
        Event::Evidence(EvidenceEvent { task: planned.id.clone(), attempt: worker.attempt, item, checked })
    };
    checked.iter().enumerate().map(event).collect()
}

/// The child has ended and the attempt isn't settled: what its last word and its exit lead to.
pub(super) fn settle(view: View<'_>, id: &str, worker: &WorkerState, exit: ChildExit) -> Vec<Event> {
    let planned = view.state.planned(worker.task);
    let phase = view.state.tasks[worker.task].phase;
    let Some(report) = &worker.report else {
        let reason = if phase == TaskPhase::Claimed && worker.dispatched_at.is_none() {
            format!("launch_session: the worker ended before it was ready ({})", exit.words())
        } else {
            format!("no_report: the worker ended without a report ({})", exit.words())
        };
        return attempt_failed(view, id, worker, reason);
    };
    let said = report.reason.clone().unwrap_or_else(|| report.summary.clone());
    let closed = || claim_event(view, id, worker, ClaimStep::Closed);
    match report.status.as_str() {
        "done" | "no_change" if crate::engine::evidence::is_fatal(planned, exit) => {
            attempt_failed(view, id, worker, format!("fatal_exit: {}", exit.words()))
        }
        "done" | "no_change" => vec![closed(), task_event(view, worker.task, TaskStep::Worked, "")],
        "partial" => {
            vec![closed(), task_event(view, worker.task, TaskStep::WentPartial, format!("reported: {said}"))]
        }
        "failed" => match report.retry_after {
            Some(seconds) => question::rate_limited(view, (id, worker), seconds, &said),
            // Its host's doing, told by its shim.
            None if said == WALL_TIME => attempt_failed(view, id, worker, said),
            None => attempt_failed(view, id, worker, format!("reported_failed: {said}")),
        },
        other => attempt_failed(view, id, worker, format!("ended_{other}: {said}")),
    }
}

pub(super) fn holds(worker: &WorkerState, token: u64) -> bool {
    worker.token_live && worker.token == token
}

pub(super) fn dead_token(id: &str, what: &str, token: u64, worker: &WorkerState) -> Event {
    let detail = if token == worker.token {
        format!("token {token} was revoked or settled")
    } else {
        format!("token {token}, the claim's is {}", worker.token)
    };
    ignored(Some(id), what, "dead_token", detail)
}
