//! What `up` says while it drives a run: one line a transition, and on a terminal a few below
//! them that tell how far it is, what runs now and what waits for a person.
//!
//! Told after the commit, never before. It leaves out the record at the end.

use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use super::region::Region;
use super::{output, resumed, waiting};
use crate::engine::event::{
    ClaimStep, Event, EvidenceEvent, PlainMove, ReportStep, RunEvent, TaskStep, WorkerEvent, WorkerStep,
};
use crate::engine::evidence::Verdict;
use crate::engine::moment::Moment;
use crate::engine::state::RunState;
use crate::journal::Recorded;
use crate::render::table::Screen;
use crate::render::{clean, control, fit, live, words as said};
use crate::supervisor::clock::wall_ms;
use crate::supervisor::{Listener, Note, Resumed, suspend};
use crate::workflow::{APPROVAL, SessionKind};

/// How far in a line goes on: below the text, behind time and mark.
const INDENT: usize = 11;
/// For so long the lines that move are good enough; once a second they are made anew anyway.
const FRESH: Duration = Duration::from_millis(100);

/// The voice of `up`.
pub struct Progress {
    json: bool,
    color: bool,
    /// What moves below the lines that stay; none without a terminal.
    region: Option<Region>,
    /// The lines there, and when they were made: a large run isn't counted at every batch.
    lines: (Option<Instant>, Vec<String>),
    /// How often we were stopped when that was drawn.
    stops: usize,
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
            json,
            color,
            region: live.then(Region::default),
            lines: (None, Vec::new()),
            stops: suspend::stops(),
            told: Vec::new(),
            resumed: BTreeSet::new(),
            pending: String::new(),
        }
    }

    fn say(&mut self, mark: &str, text: &str) {
        let plain = format!("{} {mark} {}", wall(), clean(text));
        // On a terminal a long one wraps between words; a file has it on one line, for `grep`.
        let mut line = match &self.region {
            Some(_) => fit::paragraph(&plain, output::size_of_talk().0, INDENT),
            None => plain,
        };
        if self.color {
            let toned = format!(" {}{mark}\u{1b}[0m ", style(mark));
            line = line.replacen(&format!(" {mark} "), &toned, 1);
        }
        self.pending.push_str(&line);
        self.pending.push('\n');
    }

    /// Says what went wrong beside the run.
    pub fn trouble(&mut self, text: &str) {
        if !self.json {
            self.say("!", text);
        }
    }

    /// Puts out what was said, and on a terminal what moves below it.
    fn flush(&mut self, state: Option<&RunState>) {
        let said = std::mem::take(&mut self.pending);
        let Some(region) = &mut self.region else {
            if !said.is_empty() {
                output::talk_raw(&said);
            }
            return;
        };
        let (columns, height) = output::size_of_talk();
        let is_fresh = self.lines.0.is_some_and(|made| made.elapsed() < FRESH);
        match state {
            Some(state) if !is_fresh => {
                let width = Some(columns.saturating_sub(1));
                let screen = Screen { color: self.color, width, now_ms: wall_ms() };
                self.lines = (Some(Instant::now()), live::lines(state, screen, height / 2));
            }
            Some(_) => {}
            None => self.lines = (None, Vec::new()),
        }
        let stops = suspend::stops();
        if stops != self.stops {
            // The shell has written below it: taking it away would take that.
            self.stops = stops;
            region.forget();
        }
        let text = region.draw(&said, self.lines.1.clone(), columns);
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
            Note::Unsettled(worker, why) => format!("{worker} isn't judged yet: {why}"),
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
        WorkerStep::Moved { to: PlainMove::Queued } => (">", format!("{worker}  {why}")),
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
        WorkerStep::Suspended => ("!", format!("{worker}  {why}; its time isn't counted until it goes on")),
        WorkerStep::Continued => (">", format!("{worker}  goes on")),
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
        SessionKind::Tmux | SessionKind::Slurm => format!(" (ilchul attach {name})"),
        SessionKind::Subprocess => format!(" (ilchul attach {name}, or ilchul logs -f {name})"),
    }
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
    let now = jiff::Timestamp::from_millisecond(wall_ms()).unwrap_or_default();
    now.to_zoned(jiff::tz::TimeZone::system()).strftime("%H:%M:%S").to_string()
}
