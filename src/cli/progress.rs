//! What `up` says while it drives a run: one line a transition, and on a terminal
//! one line below them that tells what runs now.
//!
//! Told after the commit, never before. It leaves out the record at the end.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::IsTerminal;

use super::{output, resumed, waiting};
use crate::engine::event::{
    ClaimStep, Event, EvidenceEvent, PlainMove, ReportStep, RunEvent, TaskStep, WorkerEvent, WorkerStep,
};
use crate::engine::evidence::Verdict;
use crate::engine::moment::Moment;
use crate::engine::state::RunState;
use crate::engine::task_table::TaskPhase;
use crate::journal::Recorded;
use crate::render::{clean, control, words as said};
use crate::supervisor::{Listener, Note, Resumed};
use crate::workflow::{APPROVAL, SessionKind};

/// The voice of `up`.
pub struct Progress {
    live: bool,
    json: bool,
    color: bool,
    shown: bool,
    told: Vec<Note>,
    /// Tasks of which a resume has just told what became.
    resumed: BTreeSet<String>,
    /// What is said in this turn: stderr isn't buffered, and a batch is one write.
    pending: String,
}

impl Progress {
    /// Lines for people, or events as JSON lines on stdout.
    #[must_use]
    pub fn new(json: bool, color: bool) -> Self {
        let live = !json && std::io::stderr().is_terminal();
        Self {
            live,
            json,
            color,
            shown: false,
            told: Vec::new(),
            resumed: BTreeSet::new(),
            pending: String::new(),
        }
    }

    fn say(&mut self, mark: &str, text: &str) {
        let (on, off) = if self.color { (style(mark), "\u{1b}[0m") } else { ("", "") };
        // Writing to a string can't fail.
        let _ = writeln!(self.pending, "{} {on}{mark}{off} {}", wall(), clean(text));
    }

    /// Puts out what was said, and on a terminal the line below it.
    fn flush(&mut self, state: Option<&RunState>) {
        let mut text = String::new();
        if std::mem::take(&mut self.shown) {
            text.push_str("\r\u{1b}[2K");
        }
        text.push_str(&std::mem::take(&mut self.pending));
        if let (true, Some(state)) = (self.live, state) {
            text.extend(summary(state).chars().take(output::width().saturating_sub(1)));
            self.shown = true;
        }
        if !text.is_empty() {
            output::talk_raw(&text);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.flush(None);
    }
}

impl Listener for Progress {
    fn committed(&mut self, state: &RunState, batch: &[Recorded]) {
        if self.json {
            let lines: String = batch
                .iter()
                .map(|row| format!("{}\n", crate::render::events::json(row.seq, row.at, &row.event)))
                .collect();
            output::print(&lines);
            return;
        }
        let resumed = std::mem::take(&mut self.resumed);
        for row in batch {
            if row.event.task().is_some_and(|task| resumed.contains(task)) {
                // Told a moment ago, with what was found.
                continue;
            }
            if let Some((mark, text)) = words(state, &row.event) {
                self.say(mark, &text);
            }
            // Whoever goes on with a run wasn't there when it was asked.
            if matches!(row.event, Event::Run(RunEvent::Resumed { .. })) {
                state
                    .moving
                    .iter()
                    .filter_map(|&task| waiting::line(state, task))
                    .for_each(|text| self.say("!", &text));
            }
        }
        self.flush(Some(state));
    }

    fn resumed(&mut self, resumed: &[Resumed]) {
        if self.json {
            return;
        }
        for one in resumed {
            let (mark, text) = resumed::words(one);
            self.say(mark, &text);
        }
        self.say("-", &resumed::tally(resumed));
        let tasks = resumed.iter().filter_map(|one| one.worker.rsplit_once('.'));
        self.resumed = tasks.map(|(task, _)| task.to_owned()).collect();
    }

    fn note(&mut self, note: &Note) {
        // The same trouble every second is one piece of news.
        if self.json || self.told.contains(note) {
            return;
        }
        self.told.push(note.clone());
        let text = match note {
            Note::LogGrows(bytes) => format!(
                "the journal's log has grown to {} MiB: another process reads it without an end",
                bytes >> 20
            ),
            Note::Polling(why) => format!("watching by polling: {why}"),
            Note::ProbeFailed(why) => {
                format!("the workers' sessions can't be looked at: {why}; nothing is concluded from that")
            }
        };
        self.say("!", &text);
    }

    fn tick(&mut self, state: &RunState) {
        self.flush(Some(state));
    }

    fn done(&mut self) {
        self.flush(None);
    }
}

/// The transition in words; `None` where it is only a step on the way.
fn words(state: &RunState, event: &Event) -> Option<(&'static str, String)> {
    match event {
        Event::Run(event) => run_words(event),
        Event::Task(event) => {
            let (mark, what) = task_words(&event.step)?;
            let task = state.task_index(&event.task)?;
            // The batch may have brought its answer, too: then there is nothing to ask any more.
            if let (TaskStep::Blocked, Some(asks)) = (&event.step, waiting::question(state, task)) {
                return Some((mark, asks));
            }
            let is_control = state.planned(task).kind.is_control();
            if is_control && matches!(event.step, TaskStep::Worked) {
                // Its own tasks have just said that they ended.
                return None;
            }
            let outcome = control::said(&state.tasks[task].evidence);
            let detail = match (matches!(event.step, TaskStep::Verified { .. }), outcome) {
                (true, Some(outcome)) => format!(": {outcome}"),
                (true | false, _) => because(&event.reason),
            };
            let detail = if let TaskStep::Answered { by, text, .. } = &event.step {
                format!(", answered by {}: {}", said::line(by), said::line(text))
            } else if let TaskStep::RateLimited { until } = &event.step {
                format!("{detail}{}", wait(state, *until))
            } else {
                detail
            };
            Some((mark, format!("{}  {what}{detail}", event.task)))
        }
        Event::Worker(event) => worker_words(state, event),
        Event::Claim(event) => matches!(event.step, ClaimStep::Expired).then(|| {
            let next = format!("; decide with `ilchul decide {} rerun|skip|accept`", event.task);
            (
                "!",
                format!(
                    "{}  lost: no heartbeat for too long{next}{}",
                    event.worker,
                    hint(state, &event.worker)
                ),
            )
        }),
        // What a worker says while we end it is expected.
        Event::Report(event) if stopping(state, &event.worker) => None,
        Event::Report(event) => match &event.step {
            ReportStep::Refused { code, detail, .. } => {
                Some(("!", format!("{}  report refused: {code}: {detail}", event.worker)))
            }
            ReportStep::Accepted { .. } => None,
        },
        // A reviewer's own lines say that it works.
        Event::Evidence(event) if event.checked.is_unanswered() && event.checked.kind != APPROVAL => None,
        Event::Evidence(event) if event.checked.is_unanswered() => {
            Some(("!", waiting::approval(state, state.task_index(&event.task)?)?))
        }
        Event::Evidence(event) if event.checked.is_answer() => {
            let mark = if event.checked.verdict == Verdict::Verified { ">" } else { "x" };
            Some((mark, format!("{}  {}", event.task, event.checked.reason)))
        }
        // What a loop still lacks is no fault, and is told with the next iteration or at the cap.
        Event::Evidence(event) if is_condition(state, event) => None,
        Event::Evidence(event) => (event.checked.verdict != Verdict::Verified).then(|| {
            let checked = &event.checked;
            ("x", format!("{}  {} {}: {}", event.task, checked.kind, checked.verdict.word(), checked.reason))
        }),
        Event::Ignored(event) => {
            let worker = event.worker.as_deref().unwrap_or("-");
            let known = state.workers.contains_key(worker);
            (known && !stopping(state, worker)).then(|| {
                ("!", format!("{worker}  ignored {}: {}: {}", event.input, event.code, event.detail))
            })
        }
    }
}

/// What happened to a worker, where a person should know.
fn worker_words(state: &RunState, event: &WorkerEvent) -> Option<(&'static str, String)> {
    let (worker, why) = (&event.worker, said::reason(&event.reason));
    let (mark, text) = match &event.step {
        WorkerStep::Moved { to: PlainMove::FellSilent } => {
            ("!", format!("{worker}  unhealthy{}{}", because(&event.reason), hint(state, worker)))
        }
        WorkerStep::Moved { to: PlainMove::BeatBusy | PlainMove::BeatWaiting } => {
            (">", format!("{worker}  is heard of again"))
        }
        WorkerStep::Moved { to: PlainMove::Stalled } => {
            ("!", format!("{worker}  {why}{}", hint(state, worker)))
        }
        WorkerStep::Moved { to: PlainMove::Progressed } => (">", format!("{worker}  makes progress again")),
        WorkerStep::Moved { to: PlainMove::WentStale } => {
            ("!", format!("{worker}  is gone{}", because(&event.reason)))
        }
        WorkerStep::Found { lives: true, .. } => {
            let (task, _) = worker.rsplit_once('.').unwrap_or_default();
            let next = format!("`{task}` waits until it has ended; `ilchul decide {task} rerun` ends it");
            ("!", format!("{worker}  {why}; {next}{}", hint(state, worker)))
        }
        WorkerStep::Found { lives: false, .. } => ("!", format!("{worker}  {why}; it is kept and listed")),
        WorkerStep::SubmissionRefused { n, index, .. } => (
            "!",
            format!("{worker}  submission {n} is refused at its task {index}{}", because(&event.reason)),
        ),
        WorkerStep::Departed => (">", format!("{worker}  has ended")),
        WorkerStep::Provisioning { .. }
        | WorkerStep::Launched { .. }
        | WorkerStep::Moved { .. }
        | WorkerStep::Echoed { .. }
        | WorkerStep::Ended { .. }
        | WorkerStep::Stopping { .. }
        | WorkerStep::Stopped
        | WorkerStep::Captured { .. }
        | WorkerStep::Released { .. } => return None,
    };
    Some((mark, text))
}

fn is_condition(state: &RunState, event: &EvidenceEvent) -> bool {
    state.task_index(&event.task).is_some_and(|task| event.item >= state.planned(task).required())
}

/// How long something waits from now on.
fn wait(state: &RunState, until: Moment) -> String {
    let ahead = until.since(state.last_at.moment).as_millis();
    format!(", for {}", said::span(i64::try_from(ahead).unwrap_or(i64::MAX)))
}

fn stopping(state: &RunState, worker: &str) -> bool {
    state.workers.get(worker).is_some_and(|worker| worker.stop.is_some())
}

fn run_words(event: &RunEvent) -> Option<(&'static str, String)> {
    match event {
        RunEvent::Stopping { .. } => Some((">", "stopping the live workers".to_owned())),
        RunEvent::Extended(extended) => Some((">", said::extended(extended))),
        RunEvent::Drifted(drifted) => Some(("!", crate::render::drift::told(drifted))),
        RunEvent::Halted(halted) => Some(("x", format!("stopped: {}", said::line(&halted.reason)))),
        RunEvent::Started(_)
        | RunEvent::Resumed { .. }
        | RunEvent::Interrupted { .. }
        | RunEvent::Ended { .. }
        | RunEvent::Reopened { .. }
        | RunEvent::Adopted(_) => None,
    }
}

fn task_words(step: &TaskStep) -> Option<(&'static str, &'static str)> {
    match step {
        TaskStep::Acknowledged => Some((">", "started")),
        TaskStep::Worked => Some((">", "ended, checking its evidence")),
        TaskStep::DecidedAccept => Some((">", "taken as done by a person, checking its evidence")),
        TaskStep::Verified { .. } => Some(("ok", "completed")),
        TaskStep::WentPartial => Some(("x", "partial")),
        TaskStep::NeedsImpossible { .. } | TaskStep::DecidedSkip | TaskStep::Withdrawn => {
            Some(("-", "skipped"))
        }
        TaskStep::Blocked => Some(("!", "waits for you")),
        TaskStep::Unblocked | TaskStep::Answered { .. } => Some((">", "goes on")),
        TaskStep::RateLimited { .. } => Some(("!", "waits for its provider")),
        TaskStep::Requeued => Some((">", "back to ready")),
        TaskStep::Cancelled => Some(("-", "cancelled")),
        TaskStep::Reopened => Some((">", "reopened")),
        TaskStep::Rearmed => Some((">", "waits for its needs again")),
        TaskStep::Replanned => Some((">", "planned again")),
        TaskStep::HostFailed { .. } | TaskStep::Deferred { .. } => Some(("!", "deferred")),
        TaskStep::LaunchFailed { again: true }
        | TaskStep::AttemptFailed { again: true }
        | TaskStep::Recovered { again: true }
        | TaskStep::Repaired { again: true } => Some((">", "tries again")),
        TaskStep::LaunchFailed { again: false }
        | TaskStep::AttemptFailed { again: false }
        | TaskStep::Recovered { again: false }
        | TaskStep::Repaired { again: false }
        | TaskStep::Denied { .. } => Some(("x", "failed")),
        // What was refused was told item by item.
        TaskStep::NeedsMet
        | TaskStep::Opened
        | TaskStep::Asked
        | TaskStep::Claimed { .. }
        | TaskStep::Refuted => None,
    }
}

/// A reason behind a colon, in words.
fn because(reason: &str) -> String {
    if reason.is_empty() { String::new() } else { format!(": {}", said::reason(reason)) }
}

/// How a person gets to a worker.
fn hint(state: &RunState, name: &str) -> String {
    match state.started.session {
        SessionKind::Tmux => format!(" (ilchul attach {name})"),
        SessionKind::Subprocess => format!(" (ilchul attach {name}, or ilchul logs -f {name})"),
    }
}

/// What runs now, in one line.
fn summary(state: &RunState) -> String {
    let total = state.tasks.len();
    let done = total - state.open_count;
    let mut parts = vec![format!("{done}/{total} done")];
    let running: Vec<String> = state
        .moving
        .iter()
        // A control task is told by what it has made.
        .filter(|&&task| {
            let waits =
                state.tasks[task].phase == TaskPhase::InProgress && state.tasks[task].open_children > 0;
            !(waits && state.planned(task).kind.is_control())
        })
        .map(|&task| {
            if waiting::waits(state, task) {
                return format!("{} waits for you", state.planned(task).id);
            }
            let seconds = state.last_at.moment.since(state.tasks[task].since.moment).as_secs();
            let phase = state.tasks[task].phase;
            let what = if phase == TaskPhase::InProgress { String::new() } else { format!(" {phase}") };
            format!("{}{what} {seconds} s", state.planned(task).id)
        })
        .collect();
    if !running.is_empty() {
        parts.push(format!("now: {}", running.join(", ")));
    }
    if !state.ready.is_empty() {
        parts.push(format!("{} ready", state.ready.len()));
    }
    parts.join(" · ")
}

fn style(mark: &str) -> &'static str {
    match mark {
        "ok" => "\u{1b}[32m",
        "x" => "\u{1b}[31m",
        "!" => "\u{1b}[33m",
        _ => "\u{1b}[2m",
    }
}

fn wall() -> String {
    let now = jiff::Timestamp::from_millisecond(crate::supervisor::clock::wall_ms()).unwrap_or_default();
    now.to_zoned(jiff::tz::TimeZone::system()).strftime("%H:%M:%S").to_string()
}
