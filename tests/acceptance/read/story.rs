//! A run's journal, told event by event, as a supervisor would have written it.

use std::path::PathBuf;

use ilchul::engine::budget::Amounts;
use ilchul::engine::event::{
    ClaimEvent, ClaimStep, Event, EvidenceEvent, Place, PlainMove, ReportEvent, ReportStep, RunEvent,
    Started, TaskEvent, TaskStep, WorkerEvent, WorkerStep,
};
use ilchul::engine::evidence::{Accepted, Checked, ChildExit, Verdict};
use ilchul::engine::moment::{Moment, Stamp};
use ilchul::home::{Home, private_dir};
use ilchul::journal::Journal;
use ilchul::journal::lock::{Holder, Lock};
use ilchul::workflow::{SessionKind, load};

use crate::world::World;

/// When every told run starts: 2023-11-14T22:13:20Z.
const START_MS: i64 = 1_700_000_000_000;

const WORKFLOW: &str = "
version: 1
name: nightly
defaults: { session: subprocess, workspace: none }
limits: { workers: 4, attempts: 10 }
tasks:
  build: { run: make }
  fix: { run: ./fix, needs: [build], retries: 1 }
  pack: { run: ./pack, needs: [fix] }
";

/// One run being told.
pub(crate) struct Story {
    pub(crate) home: Home,
    pub(crate) run: String,
    journal: Journal,
    started: Started,
    token: u64,
    seconds: u32,
}

impl Story {
    /// A run that has just started.
    pub(crate) fn start(world: &World, run: &str) -> Self {
        let home = world.home();
        private_dir(home.root()).unwrap();
        let journal = Journal::open(&home).unwrap();
        private_dir(&home.run(run)).unwrap();
        let workflow = load("ilchul.yaml", WORKFLOW.as_bytes()).unwrap().workflow;
        let started = Started {
            run: run.to_owned(),
            path: "ilchul.yaml".to_owned(),
            digest: "d".repeat(64),
            base: world.head(),
            base_name: "main".to_owned(),
            bases: Default::default(),
            session: SessionKind::Subprocess,
            workers: 4,
            only: Vec::new(),
            setup: None,
            pid: 1,
            boot: "boot".to_owned(),
            mono_ms: 0,
            workflow,
        };
        let mut story =
            Self { home, run: run.to_owned(), journal, started: started.clone(), token: 0, seconds: 0 };
        story.tell(vec![Event::Run(RunEvent::Started(Box::new(started)))]);
        story
    }

    /// Commits events, one second after the last ones.
    pub(crate) fn tell(&mut self, events: Vec<Event>) {
        let (moment, wall) = (u64::from(self.seconds) * 1000, i64::from(self.seconds) * 1000);
        let at = Stamp { moment: Moment(moment), wall_ms: START_MS + wall };
        self.seconds += 1;
        self.journal.append(&self.run, at, events).unwrap();
    }

    pub(crate) fn task(&mut self, task: &str, reason: &str, step: TaskStep) {
        self.tell(vec![Event::Task(TaskEvent { task: task.into(), reason: reason.into(), step })]);
    }

    pub(crate) fn worker(&mut self, worker: &str, step: WorkerStep) {
        self.tell(vec![Event::Worker(WorkerEvent { worker: worker.into(), reason: String::new(), step })]);
    }

    pub(crate) fn moved(&mut self, worker: &str, to: PlainMove) {
        self.worker(worker, WorkerStep::Moved { to });
    }

    /// A task is claimed, launched in `session`, and being worked on; with mail and a log.
    pub(crate) fn works_in(&mut self, task: &str, attempt: u32, session: Place) {
        let worker = format!("{task}.{attempt}");
        self.token += 1;
        let token = self.token;
        private_dir(&self.home.mail(&self.run, &worker)).unwrap();
        private_dir(self.log(&worker).parent().unwrap()).unwrap();
        let claim = ClaimEvent {
            task: task.into(),
            worker: worker.clone(),
            token,
            step: ClaimStep::Granted { expires: Moment(99_000), reserved: Amounts::default() },
        };
        let provisioning =
            WorkerStep::Provisioning { token, start: self.started.base.clone(), nonce_sha256: "n".into() };
        let provisioning = WorkerEvent { worker: worker.clone(), reason: String::new(), step: provisioning };
        self.task(task, "", TaskStep::Claimed { attempt, recovered_from: None });
        self.tell(vec![Event::Worker(provisioning), Event::Claim(claim)]);
        self.worker(&worker, WorkerStep::Launched { workspace: None, session, port: None });
        self.worker(&worker, WorkerStep::Echoed { pid: 4321, started_at: "2023-11-14T22:13:24Z".into() });
        self.moved(&worker, PlainMove::Dispatched);
        self.task(task, "", TaskStep::Acknowledged);
    }

    pub(crate) fn works(&mut self, task: &str, attempt: u32) {
        self.works_in(
            task,
            attempt,
            Place { kind: "subprocess".into(), id: "4320".into(), fields: Default::default() },
        );
    }

    /// Its child ends with `code`, it says it is done, and its claim is closed.
    pub(crate) fn reports(&mut self, task: &str, attempt: u32, code: i32, summary: &str) {
        let worker = format!("{task}.{attempt}");
        let report = ReportStep::Accepted {
            status: "done".into(),
            summary: summary.into(),
            reason: None,
            outputs: Default::default(),
            claims: Vec::new(),
            usage: Amounts::default(),
            retry_after: None,
            question: None,
            by_shim: false,
            sha256: "e".repeat(64),
        };
        self.tell(vec![Event::Report(ReportEvent { worker: worker.clone(), step: report })]);
        self.worker(
            &worker,
            WorkerStep::Ended {
                exit: ChildExit::Code(code),
                survivors: Vec::new(),
                usage: Amounts::default(),
            },
        );
        let closed = ClaimEvent { task: task.into(), worker, token: self.token, step: ClaimStep::Closed };
        self.tell(vec![Event::Claim(closed)]);
    }

    fn checks(&mut self, task: &str, attempt: u32, checked: Checked) {
        self.tell(vec![Event::Evidence(EvidenceEvent { task: task.into(), attempt, item: 0, checked })]);
    }

    /// From its claim to its end, verified.
    pub(crate) fn completes(&mut self, task: &str, attempt: u32) {
        self.task(task, "", TaskStep::NeedsMet);
        self.works(task, attempt);
        self.finishes(task, attempt);
    }

    /// What is being worked on ends well.
    pub(crate) fn finishes(&mut self, task: &str, attempt: u32) {
        self.reports(task, attempt, 0, "made it");
        self.task(task, "", TaskStep::Worked);
        let checked =
            Checked::new("exit", Verdict::Verified, "exit code 0").fact("expected", 0).fact("code", 0);
        self.checks(task, attempt, checked.clone());
        let planned = self.started.workflow.tasks.iter().find(|planned| planned.id == task).unwrap();
        let accepted = Accepted::new(planned, &[checked]).unwrap();
        self.moved(&format!("{task}.{attempt}"), PlainMove::Retained);
        self.task(task, "", TaskStep::Verified { accepted });
    }

    /// What is being worked on ends refuted; `again`: an attempt is left.
    pub(crate) fn is_refuted(&mut self, task: &str, attempt: u32, again: bool) {
        self.reports(task, attempt, 3, "tried\u{1b}[2J it");
        self.task(task, "", TaskStep::Worked);
        let reason = "expected exit code 0, found exit code 3";
        self.checks(
            task,
            attempt,
            Checked::new("exit", Verdict::Refuted, reason).fact("expected", 0).fact("code", 3),
        );
        self.moved(&format!("{task}.{attempt}"), PlainMove::Retained);
        let reason = format!("refuted: exit: {reason}");
        self.task(task, &reason, TaskStep::Refuted);
        self.task(task, &reason, TaskStep::Repaired { again });
    }

    /// build completed, fix refuted twice, pack skipped for it, the run over.
    pub(crate) fn ends_badly(&mut self) {
        self.completes("build", 1);
        self.task("fix", "", TaskStep::NeedsMet);
        self.works("fix", 1);
        self.is_refuted("fix", 1, true);
        self.works("fix", 2);
        self.is_refuted("fix", 2, false);
        let step = TaskStep::NeedsImpossible { root: "fix".into(), by_design: false };
        self.task("pack", "needs_unmet: needs `fix`, which is failed", step);
        self.tell(vec![Event::Run(RunEvent::Ended { success: false, halted: None })]);
    }

    /// All three completed, the run over.
    pub(crate) fn ends_well(&mut self) {
        for task in ["build", "fix", "pack"] {
            self.completes(task, 1);
        }
        self.tell(vec![Event::Run(RunEvent::Ended { success: true, halted: None })]);
    }

    /// A supervisor holds the run until the lock is dropped.
    pub(crate) fn held(&self) -> Lock {
        let mut lock = Lock::take(&self.home.lock()).unwrap().expect("free");
        let (run, since) = (self.run.clone(), "2023-11-14T22:13:20Z".to_owned());
        lock.sign(&Holder { pid: std::process::id(), run, since, host: None }).unwrap();
        lock
    }

    pub(crate) fn log(&self, worker: &str) -> PathBuf {
        self.home.log(&self.run, worker)
    }

    /// Its last heartbeat.
    pub(crate) fn beats(&self, worker: &str, at: &str) {
        let beat = format!(r#"{{"schema":"ilchul.worker/1","token":1,"seq":1,"at":"{at}"}}"#);
        std::fs::write(self.home.mail(&self.run, worker).join("heartbeat.json"), beat).unwrap();
    }
}
