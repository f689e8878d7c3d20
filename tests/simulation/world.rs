//! The world: time, the queue of what will happen, the disk, sessions, and the truth.
//!
//! It outlives every supervisor. It leaves out what workers do (`worker.rs`), what goes
//! wrong (`faults.rs`) and who decides (`shell.rs`).

use std::collections::BTreeMap;

use ilchul::engine::effect::Effect;
use ilchul::engine::event::{Event, RunEvent, Started};
use ilchul::engine::input::Seen;
use ilchul::engine::moment::Stamp;
use ilchul::workflow::Task;
use serde_json::{Map, Value};

use crate::chance::Chance;
use crate::disk::{Body, Disk, File};
use crate::faults::Fault;
use crate::ledger::Ledger;
use crate::worker::{Actor, Deed};

/// Something that will happen.
#[derive(Debug, Clone)]
pub enum Happening {
    /// A worker does something.
    Worker(String, Deed),
    /// A file appears that nobody waits for any more.
    Deposit(String, Body),
    /// A thread of one supervisor's life takes its next step, unseen by its loop.
    Thread(u64, Job),
    /// Something reaches the loop of one life.
    Message(u64, Message),
    /// Something goes wrong.
    Fault(Fault),
    /// Somebody starts a supervisor.
    Restart,
    /// Somebody looks after what waits for a person.
    Attend,
}

/// What reaches the loop.
#[derive(Debug, Clone)]
pub enum Message {
    /// Its sleep is over; only the latest one counts.
    Wake(u64),
    /// A file changed.
    Ring(String, File),
    /// A request was written.
    Bell,
    /// An effect's outcome.
    Done(Effect, Seen),
    /// Something seen of a worker outside any effect.
    Seen(String, Seen),
    /// A look at sessions; none where the look failed.
    Probed(Vec<(String, Observed)>),
    /// A signal.
    Signal,
}

/// What a thread does next.
#[derive(Debug, Clone)]
pub enum Job {
    /// The steps of a launch, in their order.
    Tree(Launch),
    Mail(Launch),
    Session(Launch),
    /// Waits for a session that was asked to end, until then.
    Await(Effect, u64),
    Capture(Effect),
    Verify(Effect, Map<String, Value>),
    Probe(Vec<String>),
    /// Ends what a dead shim left, then tells of the death.
    Bury(String, String),
}

/// A launch under way.
#[derive(Debug, Clone)]
pub struct Launch {
    pub effect: Effect,
    /// What the worker must echo.
    pub nonce: String,
}

/// What a look at one session answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Observed {
    Live,
    /// With its code, where that is known.
    Ended(Option<i32>),
    Absent,
    Unknown,
}

/// A session that was made, and is found by its mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Session {
    Live,
    Ended(Option<i32>),
}

/// The world.
#[derive(Debug)]
pub struct World {
    /// Milliseconds that really passed.
    pub now: u64,
    /// Which boot this is.
    pub boot: u64,
    boot_at: u64,
    /// How far the wall clock is off.
    pub wall_offset: i64,
    queue: BTreeMap<(u64, u64), Happening>,
    tie: u64,
    pub disk: Disk,
    /// Tasks that were made while the run went on, by id.
    pub made: BTreeMap<String, Task>,
    pub sessions: BTreeMap<String, Session>,
    pub actors: BTreeMap<String, Actor>,
    pub ledger: Ledger,
    pub chance: Chance,
    pub started: Started,
    /// The life that holds the run now.
    pub life: Option<u64>,
    /// The supervisor is stopped until then, and its threads with it.
    pub frozen_until: u64,
    /// Of a thousand boundaries, how many a life dies at.
    pub crash_rate: u64,
    /// Lines for a person, where somebody wants them.
    pub trace: Option<Vec<String>>,
}

impl World {
    pub fn new(started: Started, mut chance: Chance, verbose: bool) -> Self {
        let crash_rate =
            [0, 4, 12, 30][usize::try_from(chance.pick("temper", (0, 0), 4)).unwrap_or_default()];
        Self {
            crash_rate,
            now: 0,
            boot: 0,
            boot_at: 0,
            wall_offset: 0,
            queue: BTreeMap::new(),
            tie: 0,
            disk: Disk::default(),
            made: BTreeMap::new(),
            sessions: BTreeMap::new(),
            actors: BTreeMap::new(),
            ledger: Ledger::default(),
            chance,
            started,
            life: None,
            frozen_until: 0,
            trace: verbose.then(Vec::new),
        }
    }

    /// Something will happen in `ms`; of two at the same time the first that was planned.
    pub fn after(&mut self, ms: u64, happening: Happening) {
        self.tie += 1;
        self.queue.insert((self.now + ms, self.tie), happening);
    }

    /// The next thing that happens; time is where it happens.
    pub fn next(&mut self) -> Option<Happening> {
        let ((at, _), happening) = self.queue.pop_first()?;
        self.now = self.now.max(at);
        Some(happening)
    }

    /// What waits at this very moment for the loop of `life`, as its channels would hold it.
    pub fn waiting(&mut self, life: u64) -> Option<Message> {
        let (&(at, tie), happening) = self.queue.first_key_value()?;
        let Happening::Message(of, message) = happening else { return None };
        if at > self.now || *of != life || matches!(message, Message::Wake(_)) {
            return None;
        }
        let message = message.clone();
        self.queue.remove(&(at, tie));
        Some(message)
    }

    /// Drops what is planned and no longer wanted.
    pub fn forget(&mut self, mut unwanted: impl FnMut(&Happening) -> bool) {
        self.queue.retain(|_, happening| !unwanted(happening));
    }

    /// The kernel's monotonic clock.
    pub fn mono(&self) -> u64 {
        self.now - self.boot_at
    }

    /// The kernel's id of this boot.
    pub fn boot_id(&self) -> String {
        format!("boot {}", self.boot)
    }

    /// The clock on the wall, wherever it is.
    pub fn wall(&self) -> i64 {
        i64::try_from(self.now).unwrap_or(i64::MAX).saturating_add(self.wall_offset)
    }

    /// The power goes: processes end, sessions are gone, the disk stays.
    pub fn reboot(&mut self) {
        self.boot += 1;
        self.boot_at = self.now;
        self.sessions.clear();
        let now = self.now;
        for (id, actor) in &mut self.actors {
            actor.dies();
            self.ledger.ends(id, now);
        }
    }

    /// A look at one session, by somebody who isn't mistaken.
    pub fn observe(&self, worker: &str) -> Observed {
        match self.sessions.get(worker) {
            Some(Session::Live) => Observed::Live,
            Some(Session::Ended(code)) => Observed::Ended(*code),
            None => Observed::Absent,
        }
    }

    /// A worker's file appears: the supervisor's watch rings, or doesn't.
    pub fn deposit(&mut self, worker: &str, body: Body) {
        let file = body.file();
        match &body {
            Body::Ack { token } => drop(self.ledger.taken.insert((worker.to_owned(), *token))),
            Body::Report(report, sha256) => {
                self.ledger.taken.insert((worker.to_owned(), report.token));
                self.ledger.reports.insert((worker.to_owned(), report.token, sha256.clone()));
            }
            Body::Ready { .. } | Body::Beat(_) | Body::Garbled(_) | Body::Exit { .. } => {}
        }
        self.say(|| format!("{worker} writes {body:?}"));
        let about = (who(worker), self.now);
        self.disk.put(worker, body.clone());
        if self.chance.rarely("written twice", about, 15) {
            let later = self.chance.span("second writing", about, (1, 20_000));
            self.after(later, Happening::Deposit(worker.to_owned(), body));
        }
        let Some(life) = self.life else { return };
        if !self.chance.rarely("ring lost", about, 60) {
            let ms = self.chance.span("ring delay", about, (1, 40));
            self.after(ms, Happening::Message(life, Message::Ring(worker.to_owned(), file)));
        }
    }

    /// Rows are committed: they are what the run is from now on.
    pub fn write(&mut self, rows: &[(Stamp, Event)]) {
        for (_, event) in rows {
            if let Event::Run(RunEvent::Extended(extended)) = event {
                self.made.extend(extended.tasks.iter().map(|task| (task.id.clone(), task.clone())));
            }
        }
        self.disk.journal.extend(rows.iter().cloned());
    }

    /// What a worker's task is planned to be.
    pub fn planned(&self, worker: &str) -> Option<&Task> {
        let id = worker.rsplit_once('.').map_or(worker, |(task, _)| task);
        let authored = self.started.workflow.tasks.iter().find(|planned| planned.id == id);
        authored.or_else(|| self.made.get(id))
    }

    /// A session is ended with everything in it.
    pub fn kill(&mut self, worker: &str, left: Option<Session>) {
        let now = self.now;
        if let Some(actor) = self.actors.get_mut(worker) {
            actor.dies();
        }
        self.ledger.ends(worker, now);
        match left {
            Some(session) => drop(self.sessions.insert(worker.to_owned(), session)),
            None => drop(self.sessions.remove(worker)),
        }
    }

    /// A line for a person.
    pub fn say(&mut self, line: impl FnOnce() -> String) {
        let (now, life) = (self.now, self.life);
        if let Some(trace) = &mut self.trace {
            let life = life.map_or_else(|| "-".to_owned(), |life| life.to_string());
            let line = line();
            trace.push(format!("{:>8}.{:03} s  life {life:>2}  {line}", now / 1000, now % 1000));
        }
    }
}

/// A worker as a number, for choices about it.
pub fn who(worker: &str) -> u64 {
    let (task, attempt) = worker.rsplit_once('.').unwrap_or((worker, "0"));
    // One that was made has letters behind its number.
    let digit = |number: u64, byte: u8| number.wrapping_mul(131).wrapping_add(u64::from(byte));
    let reviewer = if task.starts_with('r') { 50 } else { 0 };
    let task = match task.trim_start_matches(['t', 'r']).parse::<u64>() {
        Ok(task) => task + reviewer,
        Err(_) => task.bytes().fold(7, digit) % 1_000_000_007,
    };
    task * 100 + attempt.parse::<u64>().unwrap_or_default()
}
