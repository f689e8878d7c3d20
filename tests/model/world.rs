//! The world as it is, whatever the journal says: sessions, children, mail on disk, and
//! an outside ledger of what was done to it.
//!
//! It leaves out the bytes of mail: a file is there or not, and names a token.

use std::sync::Arc;

/// A file that a worker may write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum File {
    /// `ready.json`.
    Ready,
    /// `ack.json`.
    Ack,
    /// `heartbeat.json`.
    Beat,
    /// `report.json`.
    Report,
    /// `exit.json`.
    Exit,
}

impl File {
    /// In the order in which a look at a whole folder reads them.
    pub const ALL: [Self; 5] = [Self::Ready, Self::Ack, Self::Beat, Self::Report, Self::Exit];
}

/// A child, the process that runs a task's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Child {
    /// Not yet.
    None,
    /// It runs.
    Runs,
    /// It has ended.
    Ended,
}

/// The shim, the process that the session is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shim {
    /// Tree and mail are made, the session isn't.
    None,
    /// It lives.
    Lives,
    /// Its session has ended.
    Gone,
}

/// What the living supervisor remembers of one worker outside the fold: lost in a crash.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Desk {
    /// A launch of this life is under way.
    pub launching: bool,
    /// Its session was ended, and that wasn't handed in yet.
    pub stopped: bool,
    /// Files whose present version was read.
    pub read: [bool; 5],
}

/// One attempt's part of the world.
#[derive(Debug, Clone)]
pub struct Worker {
    /// `<task>.<attempt>`.
    pub id: Arc<str>,
    /// Which task of the plan.
    pub task: usize,
    /// Which attempt.
    pub attempt: u32,
    /// What `ready.json` will echo.
    pub nonce: Arc<str>,
    /// Its session.
    pub shim: Shim,
    /// Its child.
    pub child: Child,
    /// Stopped (as by SIGSTOP): it does nothing until it wakes.
    pub silent: bool,
    /// The token of the assignment in its mail.
    pub assignment: Option<u64>,
    /// Which files are there.
    pub wrote: [bool; 5],
    /// Its heartbeat: the version, and what the file says.
    pub beat: (u64, Option<u64>, Option<bool>),
    /// What its task asks for is there.
    pub artifact: bool,
    /// A snapshot of its tree is there.
    pub kept: bool,
    /// What the supervisor remembers.
    pub desk: Desk,
    /// The ledger: assignments that were renamed into its mail.
    pub deliveries: u8,
    /// The ledger: starts of its body.
    pub executions: u8,
    /// The ledger: sessions that were started for it.
    pub sessions: u8,
    /// The ledger: settlements of its attempt in the journal.
    pub verdicts: u8,
    /// The ledger: looks at its evidence that saw nothing.
    pub murky: u8,
    /// The ledger: when anything last told that it lives, or that nobody could look.
    pub heard: u64,
}

impl Worker {
    /// One whose tree and mail were just made.
    pub fn made(id: &str, task: usize, attempt: u32, (nonce, now): (&str, u64)) -> Self {
        Self {
            id: id.into(),
            task,
            attempt,
            nonce: nonce.into(),
            shim: Shim::None,
            child: Child::None,
            silent: false,
            assignment: None,
            wrote: [false; 5],
            beat: (0, None, None),
            artifact: false,
            kept: false,
            desk: Desk { launching: true, ..Desk::default() },
            deliveries: 0,
            executions: 0,
            sessions: 0,
            verdicts: 0,
            murky: 0,
            heard: now,
        }
    }

    /// Whether it can do anything by itself now.
    pub fn acts(&self) -> bool {
        self.shim == Shim::Lives && !self.silent
    }

    /// Whether its body may go on: an orphaned child does, a stopped one will.
    pub fn runs(&self) -> bool {
        self.child == Child::Runs
    }

    /// Whether a file is there.
    pub fn has(&self, file: File) -> bool {
        self.wrote[file as usize]
    }

    /// Whether a file is there that this life hasn't read.
    pub fn is_news(&self, file: File) -> bool {
        self.has(file) && !self.desk.read[file as usize]
    }

    /// A file is written, or written anew.
    pub fn write(&mut self, file: File) {
        self.wrote[file as usize] = true;
        self.desk.read[file as usize] = false;
    }

    /// It beats: under its token, once its child was started.
    pub fn beats(&mut self) {
        let started = self.child != Child::None;
        self.beat = (self.beat.0 + 1, self.assignment.filter(|_| started), started.then_some(self.runs()));
        self.write(File::Beat);
    }

    /// The token that a file names.
    pub fn names(&self, file: File) -> Option<u64> {
        match file {
            File::Ready => None,
            File::Beat => self.beat.1,
            File::Ack | File::Report | File::Exit => self.assignment,
        }
    }

    /// Both processes are over; `record`: the shim could write how.
    pub fn end(&mut self, record: bool) {
        if record {
            self.write(File::Exit);
        }
        self.shim = Shim::Gone;
        self.silent = false;
        if self.child == Child::Runs {
            self.child = Child::Ended;
        }
    }

    /// What tells it from others, as numbers.
    pub fn canon(&self, into: &mut Vec<u64>) {
        let bits = |flags: &[bool]| flags.iter().fold(0, |all, flag| (all << 1) | u64::from(*flag));
        into.extend([
            self.task as u64,
            u64::from(self.attempt),
            (self.shim as u64) << 2 | self.child as u64,
            bits(&[self.silent, self.artifact, self.kept, self.desk.launching, self.desk.stopped]),
            bits(&self.wrote) << 5 | bits(&self.desk.read),
            self.assignment.unwrap_or(0),
            self.beat.0 << 8
                | self.beat.1.map_or(0, |token| (token + 1) << 2)
                | self.beat.2.map_or(0, |alive| 1 + u64::from(alive)),
            u64::from(self.deliveries) << 24
                | u64::from(self.executions) << 16
                | u64::from(self.sessions) << 8
                | u64::from(self.verdicts),
            u64::from(self.murky),
            self.heard,
        ]);
        // Which life made it; of a nonce no more than that can matter.
        into.push(self.nonce.bytes().take(8).fold(0, |all, byte| (all << 8) | u64::from(byte)));
    }
}

/// What a worker may do by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// It writes its readiness.
    Ready,
    /// It takes its assignment and starts its child.
    Start,
    /// It acknowledges.
    Ack,
    /// Its child does the work and reports it.
    Report,
    /// Its child ends, and the shim records that.
    Exit,
    /// Its child reports work that it didn't do.
    Lie,
    /// Its child fails without a word; the shim records the end.
    Fail,
    /// Shim and child are gone without a record.
    Die,
    /// The shim is gone without a record; the child lives on.
    Orphan,
    /// It falls silent.
    Hush,
    /// It goes on where it stopped, and beats.
    Wake,
}

impl Act {
    /// What goes on by itself where nothing goes wrong.
    pub const HONEST: [Self; 5] = [Self::Ready, Self::Start, Self::Ack, Self::Report, Self::Exit];
    /// Everything.
    pub const ALL: [Self; 11] = [
        Self::Ready,
        Self::Start,
        Self::Ack,
        Self::Report,
        Self::Exit,
        Self::Lie,
        Self::Fail,
        Self::Die,
        Self::Orphan,
        Self::Hush,
        Self::Wake,
    ];

    /// Whether a worker can do it now.
    pub fn fits(self, worker: &Worker) -> bool {
        let lives = worker.shim == Shim::Lives;
        match self {
            Self::Ready => worker.acts() && !worker.has(File::Ready),
            Self::Start => worker.acts() && worker.assignment.is_some() && worker.child == Child::None,
            Self::Ack => worker.acts() && worker.runs() && !worker.has(File::Ack),
            // An orphan works on and reports; nobody records its end.
            Self::Report | Self::Lie => worker.runs() && !worker.silent && !worker.has(File::Report),
            Self::Exit => worker.acts() && worker.runs() && worker.has(File::Report),
            Self::Fail => worker.acts() && worker.runs() && !worker.has(File::Report),
            Self::Die => lives,
            Self::Orphan => lives && worker.runs(),
            Self::Hush => worker.acts(),
            Self::Wake => lives && worker.silent,
        }
    }

    /// It is done.
    pub fn done(self, worker: &mut Worker) {
        match self {
            Self::Ready => worker.write(File::Ready),
            Self::Start => {
                worker.child = Child::Runs;
                worker.executions += 1;
            }
            Self::Ack => worker.write(File::Ack),
            Self::Report => {
                worker.artifact = true;
                worker.write(File::Report);
            }
            Self::Lie => worker.write(File::Report),
            Self::Exit | Self::Fail => worker.end(true),
            Self::Die => worker.end(false),
            Self::Orphan => {
                worker.shim = Shim::Gone;
                worker.silent = false;
            }
            Self::Hush => worker.silent = true,
            Self::Wake => {
                worker.silent = false;
                worker.beats();
            }
        }
    }
}
