//! The child and everything below it: reaped, asked to end, ended.
//!
//! The shim is the subreaper, so whatever loses its parent becomes its child and
//! "no children" means that the whole tree is gone; processes that left group and
//! session are found too. It leaves out waiting: the caller polls and calls `step`.

use super::{clock, process};
use nix::errno::Errno;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// How long a process may take to end after KILL before it counts as a survivor.
const KILL_PATIENCE: Duration = Duration::from_secs(3);
/// How often a tree that is being ended is looked at for new processes.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// How the child ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    /// By itself, with this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// It is gone, and nobody told us how.
    Unseen,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Running,
    /// TERM was sent; KILL follows then.
    Asked(Instant),
    /// KILL was sent; whatever is left then is a survivor.
    Killed(Instant),
    Over,
}

/// The tree below the shim.
#[derive(Debug)]
pub(super) struct Tree {
    child: Pid,
    phase: Phase,
    end: Option<(End, String)>,
    /// Asked once each: a shell that traps TERM isn't asked fifty times a second.
    asked: BTreeSet<(u32, u64)>,
    survivors: Vec<u32>,
}

impl Tree {
    /// The tree that begins with `child`.
    pub(super) fn new(child: Pid) -> Self {
        Self { child, phase: Phase::Running, end: None, asked: BTreeSet::new(), survivors: Vec::new() }
    }

    /// How and when (a label) the child ended, once it has.
    pub(super) fn end(&self) -> Option<&(End, String)> {
        self.end.as_ref()
    }

    /// Whether nothing is left to wait for.
    pub(super) fn is_over(&self) -> bool {
        self.phase == Phase::Over
    }

    /// Whether the child runs and nothing has asked it to end.
    pub(super) fn is_running(&self) -> bool {
        self.phase == Phase::Running
    }

    /// Processes that outlived a KILL.
    pub(super) fn survivors(&self) -> &[u32] {
        &self.survivors
    }

    /// When `step` wants to be called again, whatever happens.
    pub(super) fn wake_at(&self, now: Instant) -> Option<Instant> {
        match self.phase {
            Phase::Running | Phase::Over => None,
            Phase::Asked(until) | Phase::Killed(until) => Some(until.min(now + LOOK_AGAIN)),
        }
    }

    /// Asks the whole tree to end, and ends it after `grace`. A second order can only shorten that.
    pub(super) fn ask(&mut self, grace: Duration, now: Instant) {
        let until = now + grace;
        match self.phase {
            Phase::Running => self.phase = Phase::Asked(until),
            Phase::Asked(earlier) => self.phase = Phase::Asked(until.min(earlier)),
            Phase::Killed(_) | Phase::Over => {}
        }
    }

    /// Reaps what has ended and takes the next step of an ending; `grace` is for what outlives the child.
    pub(super) fn step(&mut self, grace: Duration, now: Instant) {
        if self.reap() {
            if self.end.is_none() {
                // Somebody had SIGCHLD ignored for us: the system threw the status away.
                self.end = Some((End::Unseen, clock::label()));
            }
            self.phase = Phase::Over;
            return;
        }
        if self.phase == Phase::Running && self.end.is_some() {
            self.ask(grace, now);
        }
        match self.phase {
            Phase::Running | Phase::Over => {}
            Phase::Asked(until) if now < until => self.ask_each(),
            Phase::Asked(_) => {
                self.kill_each();
                self.phase = Phase::Killed(now + KILL_PATIENCE);
            }
            Phase::Killed(until) if now < until => self.kill_each(),
            Phase::Killed(_) => {
                self.survivors = process::descendants().into_iter().map(|(pid, _)| pid).collect();
                if self.end.is_none() {
                    self.end = Some((End::Unseen, clock::label()));
                }
                self.phase = Phase::Over;
            }
        }
    }

    /// Passes a signal on to the child's own process group.
    pub(super) fn pass_on(&self, signal: Signal) {
        // The group is the child's for as long as the child isn't reaped.
        if self.end.is_none() && self.child.as_raw() > 1 {
            let _ = nix::sys::signal::killpg(self.child, signal);
        }
    }

    /// Takes the status of every child that has ended; true when there is no child any more.
    fn reap(&mut self) -> bool {
        loop {
            let end = match waitpid(Pid::from_raw(-1), Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(pid, code)) => (pid, End::Code(code)),
                Ok(WaitStatus::Signaled(pid, signal, _)) => (pid, End::Signal(signal as i32)),
                Err(Errno::ECHILD) => return true,
                Err(Errno::EINTR) => continue,
                // Only ends are asked for, so what is left is "none has ended".
                Ok(_) | Err(_) => return false,
            };
            if end.0 == self.child {
                self.end = Some((end.1, clock::label()));
            }
        }
    }

    /// All that is there at first; after that, whoever lost the parent that started it. What a
    /// process starts that was asked and goes on is how it tidies up: a commit, say.
    fn ask_each(&mut self) {
        let (first, own) = (self.asked.is_empty(), std::process::id());
        let wanted = |facts: &process::Stat| !facts.is_zombie && (first || facts.parent == own);
        for (pid, facts) in process::descendants() {
            if wanted(&facts) && self.asked.insert((pid, facts.start_ticks)) {
                process::signal(pid, facts.start_ticks, Signal::SIGTERM);
                // A stopped process would see the TERM only when somebody wakes it.
                process::signal(pid, facts.start_ticks, Signal::SIGCONT);
            }
        }
    }

    fn kill_each(&mut self) {
        for (pid, facts) in process::descendants() {
            if !facts.is_zombie {
                process::signal(pid, facts.start_ticks, Signal::SIGKILL);
            }
        }
    }
}
