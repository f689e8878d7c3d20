//! Killed at the start of a chosen child, counted over all threads of the supervisor.
//!
//! strace counts the calls of each thread by itself, so a point can't be named with it: most
//! threads start one child only. This tracer stops at the kernel's own events instead. Children
//! are let go of before they do anything, so they live as they would have lived. It leaves out
//! everything else that a tracer could look at.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Instant;

use nix::errno::Errno;
use nix::libc;
use nix::sys::ptrace::{self, Event, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::life::wrapped;
use super::world::{PATIENCE, World};

/// When in a child's first moments the supervisor dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// The child exists and hasn't done anything.
    Born,
    /// The child is the program that it was meant to be.
    Started,
}

/// Waits for a line, so that it is held before it starts anything.
const WAIT: &str = "read -r go && exec \"$0\" \"$@\" < /dev/null";

/// Runs `up` and kills it at that moment of its `nth` child; false when it ended before that.
#[track_caller]
pub fn killed_at_child(world: &World, args: &[&str], moment: Moment, nth: usize) -> bool {
    let mut tracer = Tracer::start(world, args, moment, nth);
    let until = Instant::now() + PATIENCE;
    // Also after its end: whoever it had just started must be let go of.
    while tracer.step() {
        assert!(Instant::now() < until, "waited in vain for the end of a traced life");
    }
    tracer.killed
}

struct Tracer {
    supervisor: Pid,
    moment: Moment,
    nth: usize,
    /// Children seen at that moment.
    seen: usize,
    /// The shell that waited has become the supervisor.
    begun: bool,
    killed: bool,
}

impl Tracer {
    #[expect(clippy::zombie_processes, reason = "`step` collects it, with its threads and its children")]
    fn start(world: &World, args: &[&str], moment: Moment, nth: usize) -> Self {
        let own = ["-c".to_owned(), WAIT.to_owned()];
        let mut command: Command = wrapped(world, "/bin/sh", &own, args);
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        let supervisor = Pid::from_raw(i32::try_from(child.id()).unwrap());
        assert!(supervisor.as_raw() > 1);
        let events = Options::PTRACE_O_TRACECLONE
            | Options::PTRACE_O_TRACEFORK
            | Options::PTRACE_O_TRACEVFORK
            | Options::PTRACE_O_TRACEEXEC;
        ptrace::seize(supervisor, events)
            .unwrap_or_else(|error| panic!("ptrace isn't permitted here, and this test needs it: {error}"));
        child.stdin.take().unwrap().write_all(b"\n").unwrap();
        Self { supervisor, moment, nth, seen: 0, begun: false, killed: false }
    }

    /// Takes one piece of news; false once there is nobody left to bring any.
    fn step(&mut self) -> bool {
        // Only what this thread traces: other tests have children of their own.
        let flags = WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD;
        match waitpid(Pid::from_raw(-1), Some(flags)) {
            Err(Errno::ECHILD) => return false,
            Err(error) => panic!("wait for a traced life: {error}"),
            Ok(WaitStatus::PtraceEvent(pid, _, event)) => self.event(pid, event),
            Ok(WaitStatus::Stopped(pid, signal)) => may_be_gone(ptrace::cont(pid, signal)),
            // Threads and children that ended, and at last the supervisor itself.
            Ok(_) => {}
        }
        true
    }

    fn event(&mut self, pid: Pid, event: libc::c_int) {
        let is = |wanted: Event| event == wanted as libc::c_int;
        let own = self.is_thread(pid);
        let starts =
            is(Event::PTRACE_EVENT_FORK) || is(Event::PTRACE_EVENT_VFORK) || is(Event::PTRACE_EVENT_CLONE);
        if own && starts && self.begun {
            let child = ptrace::getevent(pid).ok().and_then(|child| i32::try_from(child).ok());
            if child.is_some_and(|child| !self.is_thread(Pid::from_raw(child))) {
                self.saw(Moment::Born);
            }
        }
        if is(Event::PTRACE_EVENT_EXEC) {
            if pid == self.supervisor {
                self.begun = true;
            } else {
                self.saw(Moment::Started);
            }
        }
        let done = match self.moment {
            Moment::Born => !own,
            Moment::Started => !own && is(Event::PTRACE_EVENT_EXEC),
        };
        may_be_gone(if done { ptrace::detach(pid, None) } else { ptrace::cont(pid, None) });
    }

    fn saw(&mut self, moment: Moment) {
        self.seen += usize::from(moment == self.moment);
        if moment == self.moment && self.seen == self.nth {
            kill(self.supervisor, Signal::SIGKILL).unwrap();
            self.killed = true;
        }
    }

    fn is_thread(&self, pid: Pid) -> bool {
        pid == self.supervisor
            || std::path::Path::new(&format!("/proc/{}/task/{pid}", self.supervisor)).exists()
    }
}

/// What was just killed can't be told to go on.
fn may_be_gone(told: nix::Result<()>) {
    assert!(matches!(told, Ok(()) | Err(Errno::ESRCH)), "{told:?}");
}
