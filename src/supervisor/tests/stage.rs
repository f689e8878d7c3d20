//! The stage of these tests: a home, scripted sessions, a clock that a test moves, and
//! actors that play the workers.
//!
//! An actor is a thread that reads and writes mail as a shim would; its process is a
//! real one that only stands in the tree. Left out: git, tmux, and every judgement.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Child;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ilchul_conformance::{Hosts, PATIENCE, Scripted, wait_until};
use ilchul_substrate::{Mark, SessionSpec};

use super::actor::Actor;
use super::life::Life;
use crate::engine::Engine;
use crate::engine::event::{Event, Started};
use crate::engine::input::Request;
use crate::engine::state::RunState;
use crate::home::Home;
use crate::journal::Journal;
use crate::supervisor::clock::{Clock, boot_id};
use crate::supervisor::environment::Inherited;
use crate::supervisor::world::World;
use crate::workflow::{self, SessionKind};

/// The run of every stage.
pub(super) const RUN: &str = "r1";
/// What a worker's part is: played in a thread of its own.
pub(super) type Part = Arc<dyn Fn(&Actor) + Send + Sync>;

/// What actors and test share.
pub(super) struct Backstage {
    pub(super) home: Home,
    pub(super) sessions: Scripted<SessionSpec>,
    parts: Mutex<BTreeMap<String, Part>>,
    ran: Mutex<BTreeMap<String, u32>>,
    cues: Mutex<Vec<String>>,
    faults: Mutex<Vec<String>>,
    standing: Mutex<Vec<Child>>,
    /// Actors that do something right now: time stands still for them.
    acting: AtomicUsize,
}

/// Somebody acts for as long as this is there.
pub(super) struct Acting(Arc<Backstage>);

impl Acting {
    pub(super) fn new(backstage: &Arc<Backstage>) -> Self {
        backstage.acting.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(backstage))
    }

    /// Does something that takes as long as somebody else does.
    pub(super) fn idle<T>(backstage: &Backstage, wait: impl FnOnce() -> T) -> T {
        backstage.acting.fetch_sub(1, Ordering::SeqCst);
        let waited = wait();
        backstage.acting.fetch_add(1, Ordering::SeqCst);
        waited
    }
}

impl Drop for Acting {
    fn drop(&mut self) {
        self.0.acting.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Locks though another thread may have panicked: its own message is the one to read.
fn open<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Backstage {
    /// Counts one execution of a worker's body.
    pub(super) fn count(&self, worker: &str) {
        *open(&self.ran).entry(worker.to_owned()).or_default() += 1;
    }

    /// Whether the test has called `cue`.
    pub(super) fn is_called(&self, cue: &str) -> bool {
        open(&self.cues).iter().any(|called| called == cue)
    }

    /// Keeps a process until the stage is struck.
    pub(super) fn keep(&self, process: Child) {
        open(&self.standing).push(process);
    }

    /// Something that breaks a law was seen where nobody may panic.
    pub(super) fn fault(&self, what: String) {
        open(&self.faults).push(what);
    }

    /// What the journal holds right now, as any other process would see it.
    pub(super) fn on_disk(&self) -> Vec<Event> {
        let read = Journal::open_read(&self.home).and_then(|journal| journal.read_run(RUN));
        read.map(|rows| rows.into_iter().map(|row| row.event).collect()).unwrap_or_default()
    }

    fn part(&self, worker: &str) -> Part {
        let task = worker.rsplit_once('.').map_or(worker, |(task, _)| task);
        let parts = open(&self.parts);
        parts.get(worker).or_else(|| parts.get(task)).cloned().unwrap_or_else(|| Arc::new(Actor::honest))
    }
}

/// One run's world, over any number of lives of its supervisor.
pub(super) struct Stage {
    pub(super) backstage: Arc<Backstage>,
    millis: Arc<AtomicU64>,
    /// What the wall's clock says, which is nobody's time.
    pub(super) wall: Arc<AtomicI64>,
    boot: String,
    workflow: workflow::Workflow,
    _dir: tempfile::TempDir,
}

impl Stage {
    /// A stage for the tasks written in `text`, a workflow without its first lines.
    pub(super) fn new(text: &str) -> Self {
        let whole = format!("version: 1\nname: stage\ndefaults: {{ workspace: none }}\n{text}");
        let workflow = workflow::load("stage.yaml", whole.as_bytes()).unwrap().workflow;
        let dir = tempfile::tempdir().unwrap();
        let sessions = Scripted::new(Hosts::Session);
        let backstage = Arc::new(Backstage {
            home: Home::at(dir.path().join("home")),
            sessions: sessions.clone(),
            parts: Mutex::default(),
            ran: Mutex::default(),
            cues: Mutex::default(),
            faults: Mutex::default(),
            standing: Mutex::default(),
            acting: AtomicUsize::new(0),
        });
        // Weak: the substrate lives in the backstage, which would else never end.
        let weak = Arc::downgrade(&backstage);
        sessions.on_ensure(move |_, mark, spec| {
            if let Some(backstage) = weak.upgrade() {
                enter(&backstage, mark, spec);
            }
        });
        Self {
            backstage,
            millis: Arc::new(AtomicU64::new(1_000_000)),
            wall: Arc::new(AtomicI64::new(1_800_000_000_000)),
            boot: boot_id(),
            workflow,
            _dir: dir,
        }
    }

    /// The same, whose first life was in another boot than all later ones.
    pub(super) fn before_reboot(text: &str) -> Self {
        let mut stage = Self::new(text);
        stage.boot = "another boot".to_owned();
        stage
    }

    /// Gives a worker (`a.1`), or all attempts of a task (`a`), another part than the honest one.
    pub(super) fn cast(&self, who: &str, part: impl Fn(&Actor) + Send + Sync + 'static) {
        open(&self.backstage.parts).insert(who.to_owned(), Arc::new(part));
    }

    /// Calls a cue that actors wait for.
    pub(super) fn call(&self, cue: &str) {
        open(&self.backstage.cues).push(cue.to_owned());
    }

    /// The scripted sessions.
    pub(super) fn sessions(&self) -> &Scripted<SessionSpec> {
        &self.backstage.sessions
    }

    /// A worker's mark.
    pub(super) fn mark(worker: &str) -> Mark {
        format!("ilchul.{RUN}.{worker}").parse().unwrap()
    }

    /// A worker's mail folder.
    pub(super) fn mail(&self, worker: &str) -> PathBuf {
        self.backstage.home.mail(RUN, worker)
    }

    /// How often each worker's body ran.
    pub(super) fn ran(&self) -> BTreeMap<String, u32> {
        open(&self.backstage.ran).clone()
    }

    /// What was seen that breaks a law.
    pub(super) fn faults(&self) -> Vec<String> {
        open(&self.backstage.faults).clone()
    }

    /// Moves the clock in one jump: a suspended machine, a stopped process.
    pub(super) fn jump(&self, span: Duration) {
        self.millis.fetch_add(u64::try_from(span.as_millis()).unwrap(), Ordering::SeqCst);
    }

    /// Sets the machine's own clock, which a new boot begins anew.
    pub(super) fn set(&self, millis: u64) {
        self.millis.store(millis, Ordering::SeqCst);
    }

    /// Lets time pass, second by second, until `enough`; each second is seen by `life`'s loop,
    /// so that it never takes a loaded machine for a gap of its own.
    pub(super) fn pass_until(&self, what: &str, life: &Life, mut enough: impl FnMut() -> bool) {
        wait_until(what, PATIENCE, || {
            if enough() {
                return true;
            }
            self.pass(life, Duration::from_secs(1));
            false
        });
    }

    /// Lets `span` pass in the same way.
    pub(super) fn pass(&self, life: &Life, span: Duration) {
        for _ in 0..span.as_secs() {
            // An actor whose thread waits for a core must not grow old meanwhile.
            wait_until("the actors to have acted", PATIENCE, || {
                self.backstage.acting.load(Ordering::SeqCst) == 0 || life.is_over()
            });
            let ticks = life.ticks();
            self.jump(Duration::from_secs(1));
            wait_until("the loop to look", PATIENCE, || life.ticks() > ticks || life.is_over());
        }
    }

    /// The clock of a new life.
    pub(super) fn clock(&self) -> Clock {
        Clock::manual(Arc::clone(&self.millis), Arc::clone(&self.wall))
    }

    /// The world of a new life.
    pub(super) fn world(&self) -> World {
        World {
            home: self.backstage.home.clone(),
            run: RUN.to_owned(),
            repository: None,
            sessions: Arc::new(self.backstage.sessions.clone()),
            inherited: Inherited::default(),
            program: "/bin/false".into(),
            ports: Arc::default(),
            cores: 2,
        }
    }

    /// The root of the run.
    pub(super) fn started(&self) -> Started {
        Started {
            run: RUN.to_owned(),
            path: "stage.yaml".to_owned(),
            digest: "d".repeat(64),
            base: "0".repeat(40),
            base_name: "HEAD".to_owned(),
            bases: BTreeMap::new(),
            session: SessionKind::Subprocess,
            workers: self.workflow.limits.workers.unwrap_or(4),
            only: Vec::new(),
            setup: None,
            pid: std::process::id(),
            boot: self.boot.clone(),
            mono_ms: self.millis.load(Ordering::SeqCst),
            workflow: self.workflow.clone(),
        }
    }

    /// The state as a reader folds it from the disk.
    pub(super) fn state(&self) -> RunState {
        let rows = Journal::open_read(&self.backstage.home).unwrap().read_run(RUN).unwrap();
        Engine::replay(rows.into_iter().map(|row| (row.at, row.event))).unwrap().state().clone()
    }

    /// The state of one task, in words: phase, and reason where there is one.
    pub(super) fn told(&self, task: &str) -> String {
        told(&self.state(), task)
    }

    /// The names of the events on disk about `worker`.
    pub(super) fn history(&self, worker: &str) -> Vec<String> {
        let about = |event: &&Event| event.worker() == Some(worker);
        self.backstage.on_disk().iter().filter(about).map(Event::kind).collect()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.call("curtain");
        for mut process in open(&self.backstage.standing).drain(..) {
            // It may have ended by itself; only waiting for it matters.
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// The state of one task, in words.
pub(super) fn told(state: &RunState, task: &str) -> String {
    let task = &state.tasks[state.task_index(task).unwrap()];
    if task.reason.is_empty() { task.phase.to_string() } else { format!("{} ({})", task.phase, task.reason) }
}

/// A session was made: its actor begins.
fn enter(backstage: &Arc<Backstage>, mark: &Mark, spec: &SessionSpec) {
    let actor = Actor::new(Arc::clone(backstage), mark.clone(), spec);
    let part = backstage.part(&mark.worker());
    let actor_mail = actor.mail.clone();
    let acting = Acting::new(backstage);
    std::thread::spawn(move || {
        let _acting = acting;
        part(&actor);
    });
    if backstage.is_called("late answer") {
        // A slow host: its worker is ready, and the loop was rung and turned, before it says
        // that anything was made. The answer to a request tells that the loop has turned.
        wait_until("readiness", PATIENCE, || actor_mail.join(crate::protocol::READY).exists());
        let journal = Journal::open(&backstage.home).unwrap();
        let request = Request::Retry { task: "nobody".to_owned() };
        let id = journal.ask(&backstage.home, RUN, &request, 0).unwrap();
        wait_until("an answer", PATIENCE, || journal.answered(id).unwrap().is_some());
    }
}
