//! From a run's events to its spans: a task is followed through the engine's own table.
//!
//! It leaves out the form of a span (`span.rs`).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::span::{Line, Span, Status, attribute, span_id};
use crate::engine::event::{Event, EvidenceEvent, ReportStep, RunEvent, TaskEvent, TaskStep};
use crate::engine::moment::Stamp;
use crate::engine::state::worker_id;
use crate::engine::task_table::{self, TaskPhase};
use crate::workflow::Task;

/// What happens to a worker or a claim that a reader of a trace looks for; the other steps are
/// the stages themselves.
const TOLD: [&str; 9] = [
    "worker.unhealthy",
    "worker.stale-registry",
    "worker.ended",
    "worker.stopping",
    "worker.stopped",
    "worker.session-gone",
    "worker.submission-refused",
    "claim.expired",
    "claim.revoked",
];

/// The stage of a task that nothing but room or its turn keeps back.
const WAIT: &str = "wait";

/// Where one task is, and which of its spans are open, by their places.
#[derive(Default)]
struct Followed {
    phase: Option<TaskPhase>,
    task: Option<usize>,
    attempt: Option<usize>,
    stage: Option<usize>,
    /// How many stages it has had, for their ids.
    stages: usize,
}

/// The spans of one run so far. The first is the run's own.
pub(super) struct Walk {
    run: String,
    line: Line,
    last: Stamp,
    spans: Vec<Span>,
    planned: BTreeMap<String, Task>,
    tasks: BTreeMap<String, Followed>,
    /// The place of each attempt's span: what a worker says may come later than its end.
    attempts: BTreeMap<String, usize>,
}

impl Walk {
    /// Begins with the root event; `None` for any other.
    pub(super) fn begin(at: Stamp, event: &Event) -> Option<Self> {
        let Event::Run(RunEvent::Started(started)) = event else { return None };
        let (run, line) = (started.run.clone(), Line(at));
        let mut root = Span::new(&run, "", format!("run {}", started.workflow.name), line.nanos(at));
        root.put("ilchul.run", run.as_str());
        root.put("ilchul.workflow", started.workflow.name.as_str());
        root.put("ilchul.workflow.path", started.path.as_str());
        root.put("ilchul.workflow.sha256", started.digest.as_str());
        root.put("ilchul.base", started.base.as_str());
        root.put("ilchul.session", started.session.word());
        root.put("ilchul.workers", started.workers);
        let mut walk = Self {
            run,
            line,
            last: at,
            spans: vec![root],
            planned: BTreeMap::new(),
            tasks: BTreeMap::new(),
            attempts: BTreeMap::new(),
        };
        walk.plan(&started.workflow.tasks);
        Some(walk)
    }

    fn plan(&mut self, tasks: &[Task]) {
        self.planned.extend(tasks.iter().map(|task| (task.id.clone(), task.clone())));
    }

    /// The next event.
    pub(super) fn take(&mut self, at: Stamp, event: &Event) {
        self.last = at;
        match event {
            Event::Run(step) => self.run(at, step, event),
            Event::Task(step) => self.task(at, step),
            Event::Evidence(step) => self.evidence(at, step),
            Event::Worker(step) => self.of_worker(at, event, &step.worker, &step.reason),
            Event::Claim(step) => self.of_worker(at, event, &step.worker, ""),
            Event::Report(step) => {
                let (name, attributes) = match &step.step {
                    ReportStep::Accepted { status, summary, .. } => (
                        "report.accepted",
                        [
                            attribute("ilchul.status", status.as_str()),
                            attribute("ilchul.summary", summary.as_str()),
                        ],
                    ),
                    ReportStep::Refused { code, detail, .. } => (
                        "report.refused",
                        [
                            attribute("ilchul.code", code.as_str()),
                            attribute("ilchul.reason", detail.as_str()),
                        ],
                    ),
                };
                self.tell(self.attempts.get(&step.worker).copied(), at, name, &attributes);
            }
            Event::Ignored(ignored) => {
                let place = ignored.worker.as_ref().and_then(|worker| self.attempts.get(worker)).copied();
                let reason = format!("{}: {}: {}", ignored.input, ignored.code, ignored.detail);
                self.tell(place, at, "input.ignored", &[attribute("ilchul.reason", reason)]);
            }
        }
    }

    /// Tells an event in the span at `place`, else in the run's.
    fn tell(&mut self, place: Option<usize>, at: Stamp, name: &str, attributes: &[Value]) {
        let at = self.line.nanos(at);
        if let Some(span) = self.spans.get_mut(place.unwrap_or(0)) {
            span.happened(&at, name, attributes);
        }
    }

    fn of_worker(&mut self, at: Stamp, event: &Event, worker: &str, reason: &str) {
        let name = event.kind();
        if TOLD.contains(&name.as_str()) {
            let attributes = [attribute("ilchul.worker", worker), attribute("ilchul.reason", reason)];
            self.tell(self.attempts.get(worker).copied(), at, &name, &attributes);
        }
    }

    fn run(&mut self, at: Stamp, step: &RunEvent, event: &Event) {
        let told = match step {
            RunEvent::Ended { success, halted } => {
                let why = halted.as_ref().map_or("not every task completed", |halt| halt.word());
                self.close(Some(0), at, if *success { Status::ok() } else { Status::error(why) });
                None
            }
            RunEvent::Reopened { task } => {
                // It goes on: how it ended before says nothing any more.
                self.close(Some(0), at, Status::default());
                self.spans[0].end = String::new();
                Some(task.clone())
            }
            RunEvent::Interrupted { reason } => Some(reason.clone()),
            RunEvent::Extended(extended) => {
                self.plan(&extended.tasks);
                Some(format!("{}: {}", extended.by, extended.why))
            }
            RunEvent::Adopted(adopted) => {
                self.plan(&adopted.workflow.tasks);
                Some(adopted.digest.clone())
            }
            RunEvent::Drifted(drifted) => {
                let kinds: Vec<&str> =
                    drifted.drift.changes.iter().map(|change| change.kind.as_str()).collect();
                Some(kinds.join(", "))
            }
            RunEvent::Halted(halted) => Some(halted.by.word().to_owned()),
            RunEvent::Started(_) | RunEvent::Resumed { .. } | RunEvent::Stopping { .. } => {
                Some(String::new())
            }
        };
        if let Some(reason) = told {
            self.tell(None, at, &event.kind(), &[attribute("ilchul.reason", reason)]);
        }
    }

    fn evidence(&mut self, at: Stamp, event: &EvidenceEvent) {
        let checked = &event.checked;
        let attributes = [
            attribute("ilchul.evidence", checked.kind.as_str()),
            attribute("ilchul.item", event.item),
            attribute("ilchul.reason", checked.reason.as_str()),
        ];
        let followed = self.tasks.get(&event.task);
        let place = followed.and_then(|task| task.stage.or(task.attempt).or(task.task));
        // A question is told as one: nobody has looked yet.
        let name = match checked.is_unanswered() {
            true => "evidence.asked".to_owned(),
            false => format!("evidence.{}", checked.verdict.word()),
        };
        self.tell(place, at, &name, &attributes);
    }

    fn task(&mut self, at: Stamp, event: &TaskEvent) {
        let mut followed = self.tasks.remove(&event.task).unwrap_or_default();
        let from = followed.phase.unwrap_or(TaskPhase::Pending);
        // A step that the table doesn't have is a damaged journal's, which its reader names.
        if let Ok(to) = task_table::next(from, event.step.table()) {
            self.moved(at, event, &mut followed, (from, to));
            followed.phase = Some(to);
        }
        self.tasks.insert(event.task.clone(), followed);
    }

    fn moved(
        &mut self,
        at: Stamp,
        event: &TaskEvent,
        followed: &mut Followed,
        (from, to): (TaskPhase, TaskPhase),
    ) {
        let id = event.task.as_str();
        let task = match followed.task {
            Some(place) => place,
            None => self.open_task(at, id),
        };
        followed.task = Some(task);
        if from != to {
            let status = stage_status(event, to);
            self.close(followed.stage.take(), at, status);
        }
        if !is_tried(to) {
            self.close(followed.attempt.take(), at, outcome(to, &event.reason));
        }
        if let TaskStep::Claimed { attempt, .. } = event.step {
            followed.attempt = Some(self.open_attempt(at, id, task, attempt));
        }
        if from != to
            && let Some(name) = stage(to)
        {
            followed.stages += 1;
            let path = format!("{id} {}", followed.stages);
            followed.stage = Some(self.open(at, &path, name.to_owned(), followed.attempt.unwrap_or(task)));
        }
        if to.is_terminal() {
            self.close(Some(task), at, outcome(to, &event.reason));
            self.spans[task].put("ilchul.state", to.word());
        } else if from.is_terminal() {
            // A person's retry: the same task goes on.
            let span = &mut self.spans[task];
            span.end = String::new();
            span.status = Status::default();
            span.attributes.retain(|attribute| attribute["key"] != "ilchul.state");
        }
    }

    /// Opens a span below the one at `parent`, and says where it is.
    fn open(&mut self, at: Stamp, path: &str, name: String, parent: usize) -> usize {
        let parent = self.spans[parent].span_id.clone();
        self.spans.push(Span::new(&self.run, path, name, self.line.nanos(at)).below(&parent));
        self.spans.len() - 1
    }

    fn open_task(&mut self, at: Stamp, id: &str) -> usize {
        let planned = self.planned.get(id).cloned();
        let maker = planned.as_ref().and_then(|task| task.parent.as_ref());
        let parent = maker.and_then(|maker| self.tasks.get(maker)?.task).unwrap_or(0);
        let place = self.open(at, id, format!("task {id}"), parent);
        let span = &mut self.spans[place];
        span.put("ilchul.task", id);
        if let Some(task) = planned {
            span.put("ilchul.kind", task.word());
            for need in &task.needs {
                span.link(&span_id(&self.run, &need.task), "needs");
            }
        }
        place
    }

    fn open_attempt(&mut self, at: Stamp, id: &str, task: usize, attempt: u32) -> usize {
        let worker = worker_id(id, attempt);
        let place = self.open(at, &worker, format!("attempt {worker}"), task);
        let span = &mut self.spans[place];
        span.put("ilchul.task", id);
        span.put("ilchul.worker", worker.as_str());
        span.put("ilchul.attempt", attempt);
        self.attempts.insert(worker, place);
        place
    }

    fn close(&mut self, place: Option<usize>, at: Stamp, status: Status) {
        if let Some(span) = place.and_then(|place| self.spans.get_mut(place)) {
            span.end = self.line.nanos(at);
            span.status = status;
        }
    }

    /// The run's id and its spans; what is still open ends at the last event, and says so.
    pub(super) fn end(mut self) -> (String, Vec<Span>) {
        let last = self.line.nanos(self.last);
        for span in self.spans.iter_mut().filter(|span| span.end.is_empty()) {
            span.end.clone_from(&last);
            span.put("ilchul.open", true);
        }
        // Who didn't wait has no wait to look at.
        self.spans.retain(|span| span.name != WAIT || span.start != span.end);
        // A need that never began has no span to be linked to.
        let known: BTreeSet<String> = self.spans.iter().map(|span| span.span_id.clone()).collect();
        for span in &mut self.spans {
            span.links.retain(|link| link["spanId"].as_str().is_some_and(|id| known.contains(id)));
        }
        (self.run, self.spans)
    }
}

/// Whether an attempt is under way in a phase.
fn is_tried(phase: TaskPhase) -> bool {
    match phase {
        TaskPhase::Claimed
        | TaskPhase::InProgress
        | TaskPhase::Verifying
        | TaskPhase::RepairRequired
        | TaskPhase::Blocked => true,
        TaskPhase::Pending
        | TaskPhase::Ready
        | TaskPhase::Completed
        | TaskPhase::Partial
        | TaskPhase::Failed
        | TaskPhase::Skipped
        | TaskPhase::Cancelled => false,
    }
}

/// The name of the span in which a task is in a phase, where that takes time.
fn stage(phase: TaskPhase) -> Option<&'static str> {
    match phase {
        TaskPhase::Ready => Some(WAIT),
        TaskPhase::Claimed => Some("launch"),
        TaskPhase::InProgress => Some("work"),
        TaskPhase::Blocked => Some("blocked"),
        TaskPhase::Verifying => Some("verify"),
        TaskPhase::Pending
        | TaskPhase::RepairRequired
        | TaskPhase::Completed
        | TaskPhase::Partial
        | TaskPhase::Failed
        | TaskPhase::Skipped
        | TaskPhase::Cancelled => None,
    }
}

/// How the stage before a step ended: only what failed in it is its own fault.
fn stage_status(event: &TaskEvent, to: TaskPhase) -> Status {
    let failed = matches!(
        event.step,
        TaskStep::HostFailed { .. }
            | TaskStep::LaunchFailed { .. }
            | TaskStep::AttemptFailed { .. }
            | TaskStep::Recovered { .. }
            | TaskStep::Refuted
    );
    match (failed, to) {
        (true, _) => Status::error(&event.reason),
        (false, TaskPhase::Completed) => Status::ok(),
        (false, _) => Status::default(),
    }
}

fn outcome(to: TaskPhase, reason: &str) -> Status {
    match to {
        TaskPhase::Completed => Status::ok(),
        TaskPhase::Failed | TaskPhase::Cancelled => Status::error(reason),
        // Another attempt follows: this one came to nothing.
        TaskPhase::Ready => Status::error(reason),
        TaskPhase::Partial
        | TaskPhase::Skipped
        | TaskPhase::Pending
        | TaskPhase::Claimed
        | TaskPhase::InProgress
        | TaskPhase::Verifying
        | TaskPhase::RepairRequired
        | TaskPhase::Blocked => Status::default(),
    }
}
