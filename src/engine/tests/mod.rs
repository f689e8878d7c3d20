//! Plays runs against the engine: one harness, so that a change of its interface touches one place.
//!
//! Every step is checked against a replay of the journal so far (laws J4, J5). It
//! leaves out the shell: what a supervisor would do is said by the test itself.

mod adopt;
mod approval;
mod budget;
mod claims;
mod cluster;
mod control;
mod dag;
mod drift;
mod gate;
mod halt;
mod large;
mod launching;
mod lifecycle;
mod order;
mod owed;
mod plan;
mod policies;
mod properties;
mod question;
mod random;
mod rate;
mod remnants;
mod requests;
mod retention;
mod retry;
mod review;
mod scale;
mod silence;
mod submit;
mod trees;
mod wide;

use super::budget::Amounts;
use super::effect::Effect;
use super::event::{Event, Place, Snapshot, Started};
use super::evidence::{Checked, ChildExit, Verdict, judge_choice};
use super::input::{Beat, Input, Request, Seen};
use super::moment::{Moment, Now, Stamp};
use super::state::{RunPhase, RunState, TaskState, WorkerState};
use super::task_table::TaskPhase;
use super::worker_table::WorkerPhase;
use super::{Engine, Rejection, fold};
use crate::protocol::{REPORT_SCHEMA, Report, ReportStatus};
use crate::workflow::{Item, Task, Workflow, WorkspaceKind};
use plan::{Plan, approval, artifact, diff, flow, review, started, task};

/// Runs of more tasks aren't replayed after every step: that would be quadratic by itself.
const REPLAYED_TASKS: usize = 16;

/// Some steps of a play.
type Script = fn(&mut Play);

/// One run being played.
struct Play {
    engine: Engine,
    journal: Vec<(Stamp, Event)>,
    /// How long the journal was after each input: where a crash may cut it (law J1).
    cuts: Vec<usize>,
    now_ms: u64,
    beats: u64,
}

impl Play {
    fn new(workflow: Workflow) -> Self {
        Self::with(started(workflow))
    }

    fn with(started: Started) -> Self {
        let engine = Engine::start(started, stamp(0));
        let mut play = Self { engine, journal: Vec::new(), cuts: Vec::new(), now_ms: 0, beats: 0 };
        play.give(&Input::Tick).expect("a tick is never refused");
        play
    }

    /// A run of one task, whose worker has taken its assignment.
    fn busy(task: Task) -> Self {
        let worker = format!("{}.1", task.id);
        let mut play = Self::new(flow(vec![task]));
        play.start_work(&worker);
        play
    }

    fn now(&self) -> Now {
        Now { stamp: stamp(self.now_ms), seed: [7; 16] }
    }

    fn give(&mut self, input: &Input) -> Result<Vec<Event>, Rejection> {
        let result = self.engine.handle(self.now(), input);
        let events = self.engine.take_events();
        let at = self.now().stamp;
        self.journal.extend(events.iter().cloned().map(|event| (at, event)));
        self.cuts.push(self.journal.len());
        if self.state().tasks.len() <= REPLAYED_TASKS {
            assert_eq!(Engine::replay(self.journal.clone()).expect("replays").state(), self.state());
            // A run whose plan has changed keeps no text: that plan isn't in its root.
            if !self.state().replanned {
                assert_eq!(&written_and_read(self.state()), self.state(), "j4: as text");
            }
        }
        result.map(|()| events)
    }

    fn see(&mut self, worker: &str, seen: Seen) -> Vec<Event> {
        self.give(&Input::Worker { worker: worker.to_owned(), seen }).expect("what was seen is never refused")
    }

    fn ask(&mut self, request: Request) -> Result<Vec<Event>, Rejection> {
        self.give(&Input::Request(request))
    }

    fn tick(&mut self, ms: u64) -> Vec<Event> {
        self.now_ms += ms;
        self.give(&Input::Tick).expect("a tick is never refused")
    }

    /// Time passes in which every named worker beats as it should.
    fn tick_beating(&mut self, ms: u64, workers: &[&str]) {
        for _ in 0..ms / 2_000 {
            self.tick(2_000);
            workers.iter().for_each(|worker| drop(self.beat(worker)));
        }
    }

    fn launch(&mut self, worker: &str) -> Vec<Event> {
        let tree = self.state().planned(self.worker(worker).task).workspace == WorkspaceKind::Worktree;
        let workspace = tree.then(|| place("git-worktree", worker));
        self.see(worker, Seen::Launched { workspace, session: place("subprocess", worker), port: None })
    }

    fn ready(&mut self, worker: &str) -> Vec<Event> {
        let nonce = self.engine.nonce(worker).unwrap_or("none").to_owned();
        self.see(worker, Seen::Ready { nonce, pid: 42, started_at: String::new(), in_tree: true })
    }

    fn ack(&mut self, worker: &str) -> Vec<Event> {
        let token = self.worker(worker).token;
        self.see(worker, Seen::Acknowledged { token })
    }

    fn beat(&mut self, worker: &str) -> Vec<Event> {
        self.beats += 1;
        let token = Some(self.worker(worker).token);
        self.see(
            worker,
            Seen::Beat(Beat { token, seq: self.beats, alive: Some(true), progress: 0, asks: None }),
        )
    }

    fn report(&mut self, worker: &str, status: ReportStatus) -> Vec<Event> {
        let report = self.report_of(worker, status);
        let sha256 = format!("{worker} {status:?}");
        self.see(worker, Seen::Reported { report: Box::new(report), sha256 })
    }

    fn report_of(&self, worker: &str, status: ReportStatus) -> Report {
        let known = self.worker(worker);
        Report {
            schema: REPORT_SCHEMA.to_owned(),
            task: self.state().planned(known.task).id.clone(),
            attempt: known.attempt,
            token: known.token,
            status,
            summary: "as asked".to_owned(),
            reason: Some("because".to_owned()),
            evidence: Vec::new(),
            outputs: serde_json::Map::new(),
            usage: None,
            retry_after: None,
            question: None,
            by: None,
        }
    }

    /// A reviewer's whole life: it looks at what it was given and answers.
    fn answer(&mut self, worker: &str, answer: Option<&str>) -> Vec<Event> {
        self.start_work(worker);
        let mut report = self.report_of(worker, ReportStatus::Done);
        report.outputs.extend(answer.map(|answer| ("verdict".to_owned(), answer.into())));
        self.see(worker, Seen::Reported { report: Box::new(report), sha256: worker.to_owned() });
        self.exit(worker, 0);
        let start = self.worker(worker).start.clone();
        self.capture(worker, &start)
    }

    fn exit(&mut self, worker: &str, code: i32) -> Vec<Event> {
        let token = Some(self.worker(worker).token);
        let exit = ChildExit::Code(code);
        self.see(
            worker,
            Seen::Ended { token, exit, survivors: Vec::new(), error: None, usage: Amounts::default() },
        )
    }

    fn gone(&mut self, worker: &str) -> Vec<Event> {
        self.see(worker, Seen::Gone { detail: "no such process".to_owned() })
    }

    fn stopped(&mut self, worker: &str) -> Vec<Event> {
        self.see(worker, Seen::Stopped { trouble: None })
    }

    fn capture(&mut self, worker: &str, commit: &str) -> Vec<Event> {
        let snapshot = Snapshot {
            commit: commit.to_owned(),
            tip: commit.to_owned(),
            uncommitted: Vec::new(),
            changed: Vec::new(),
        };
        self.see(worker, Seen::Captured { snapshot: Ok(snapshot) })
    }

    /// Every declared item comes out the same, but for those that the report itself answers.
    fn judge(&mut self, worker: &str, verdict: Verdict) -> Vec<Event> {
        let checked = self.looks(worker, verdict);
        self.see(worker, Seen::Judged { checked })
    }

    fn looks(&self, worker: &str, verdict: Verdict) -> Vec<Checked> {
        let Some(known) = self.state().workers.get(worker) else { return Vec::new() };
        let nothing = serde_json::Map::new();
        let outputs = known.report.as_ref().map_or(&nothing, |report| &report.outputs);
        let items = self.state().planned(known.task).evidence.items();
        let look = |item: &Item| match item {
            Item::Choice { name, among } => judge_choice(name, among, outputs),
            _ => Checked::new(item.kind(), verdict, "seen"),
        };
        items.iter().map(look).collect()
    }

    fn start_work(&mut self, worker: &str) {
        self.launch(worker);
        self.ready(worker);
        self.ack(worker);
    }

    fn finish(&mut self, worker: &str) -> Vec<Event> {
        self.report(worker, ReportStatus::Done);
        self.exit(worker, 0)
    }

    /// The whole life of an attempt that ends as asked.
    fn complete(&mut self, worker: &str) {
        self.start_work(worker);
        self.finish(worker);
    }

    /// The whole life of an attempt that ends in failure.
    fn fail(&mut self, worker: &str) {
        self.start_work(worker);
        self.report(worker, ReportStatus::Failed);
        self.exit(worker, 0);
    }

    fn state(&self) -> &RunState {
        self.engine.state()
    }

    fn task(&self, id: &str) -> &TaskState {
        &self.state().tasks[self.state().task_index(id).expect("a task of the play")]
    }

    fn worker(&self, id: &str) -> &WorkerState {
        &self.state().workers[id]
    }

    fn phase(&self, id: &str) -> TaskPhase {
        self.task(id).phase
    }

    fn worker_phase(&self, id: &str) -> WorkerPhase {
        self.worker(id).phase
    }

    fn ended(&self) -> Option<bool> {
        match self.state().phase {
            RunPhase::Ended { success } => Some(success),
            RunPhase::Running | RunPhase::Interrupted => None,
        }
    }

    /// What is owed, as words.
    fn owed(&self) -> Vec<String> {
        let word = |effect: &Effect| match effect {
            Effect::Provision { .. } => "provision",
            Effect::Deliver { .. } => "deliver",
            Effect::Stop { force: false, .. } => "stop",
            Effect::Stop { force: true, .. } => "kill",
            Effect::Capture { .. } => "capture",
            Effect::Verify { .. } => "verify",
            Effect::Reply { .. } => "reply",
            Effect::Answer { .. } => "answer",
        };
        let owed = self.engine.outstanding();
        owed.iter().map(|effect| format!("{} {}", word(effect), effect.worker())).collect()
    }

    /// Another life of the supervisor takes over from the journal alone.
    fn crash_and_resume(&mut self) {
        self.engine = Engine::replay(self.journal.clone()).expect("replays");
        self.engine.resume(self.now(), (2, "boot".to_owned(), self.now_ms)).expect("resumes");
        self.give(&Input::Tick).expect("a tick is never refused");
    }
}

/// The state, by way of its text.
fn written_and_read(state: &RunState) -> RunState {
    let mut parts = Vec::new();
    let mut write = |text: &[u8]| -> serde_json::Result<()> {
        assert!(!text.contains(&b'\n'), "a part is one line");
        parts.push(fold::read(text)?);
        Ok(())
    };
    fold::write(state, &mut write).expect("a state has a text");
    fold::join(state.started.clone(), state.started_at, parts).expect("its parts make one").into_state()
}

fn stamp(ms: u64) -> Stamp {
    Stamp { moment: Moment(ms), wall_ms: i64::try_from(ms).expect("small") }
}

fn place(kind: &str, id: &str) -> Place {
    Place { kind: kind.to_owned(), id: id.to_owned(), fields: Default::default() }
}

/// The names of events, in order.
fn kinds(events: &[Event]) -> Vec<String> {
    events.iter().map(Event::kind).collect()
}

/// The one event that something without effect leaves.
fn ignored_code(events: &[Event]) -> &str {
    match events {
        [Event::Ignored(ignored)] => &ignored.code,
        _ => panic!("expected one ignored input, got {:?}", kinds(events)),
    }
}
