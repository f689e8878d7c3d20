//! The world of the tests: a run of its own, a folder for logs, and an end for all it started.
//!
//! It leaves out assertions. Only processes that bear this run's mark, or that a
//! test started itself, are ever signalled.

use ilchul_conformance::{PATIENCE, wait_for, wait_until};
use ilchul_subprocess::Subprocess;
use ilchul_subprocess::process::{self, Identity};
use ilchul_substrate::{Handle, Mark, SessionSpec, State, Substrate, Urgency};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tempfile::TempDir;

static WORLDS: AtomicU32 = AtomicU32::new(0);

pub struct World {
    pub substrate: Subprocess,
    pub run: String,
    pub folder: TempDir,
}

impl World {
    pub fn new() -> Self {
        Self::with_grace(Duration::from_secs(10))
    }

    pub fn with_grace(grace: Duration) -> Self {
        // `/proc` is one for all tests. The letter keeps `<run>0` from being another's run.
        let number = WORLDS.fetch_add(1, Ordering::SeqCst);
        let run = format!("t{}-{number}x", std::process::id());
        let folder = TempDir::new().unwrap_or_else(|error| panic!("no temporary folder: {error}"));
        Self { substrate: Subprocess::new(grace), run, folder }
    }

    pub fn mark(&self, task: &str) -> Mark {
        Mark::new(&self.run, task, 1).unwrap_or_else(|error| panic!("failed to {error}"))
    }

    pub fn log(&self, mark: &Mark) -> PathBuf {
        self.folder.path().join(format!("{mark}.log"))
    }

    pub fn spec(&self, mark: &Mark, argv: &[&str]) -> SessionSpec {
        SessionSpec {
            title: mark.worker(),
            cwd: self.folder.path().to_owned(),
            argv: argv.iter().map(Into::into).collect(),
            env: vec![("PATH".into(), "/usr/local/bin:/usr/bin:/bin".into()), ("CANARY".into(), "1".into())],
            log: self.log(mark),
            capture: false,
            request: ilchul_substrate::Request::default(),
        }
    }

    pub fn script(&self, mark: &Mark, script: &str) -> SessionSpec {
        self.spec(mark, &["sh", "-c", script])
    }

    /// Starts a script and waits until it has written `ready`.
    pub fn started(&self, task: &str, script: &str) -> Handle {
        let mark = self.mark(task);
        let made = self.substrate.ensure(&mark, &self.script(&mark, script));
        let handle = made.unwrap_or_else(|error| panic!("failed to {error}"));
        wait_until("the script is ready", PATIENCE, || self.output(&mark).contains("ready"));
        handle
    }

    /// The environment of a session's leader, once it has one: a spawn returns in the
    /// middle of `exec`, with the environment unset and our descriptors not yet closed.
    pub fn environment(&self, handle: &Handle) -> String {
        wait_for("the program runs", PATIENCE, || {
            let text = fs::read_to_string(format!("/proc/{}/environ", handle.id)).ok()?;
            (!text.is_empty()).then_some(text)
        })
    }

    pub fn output(&self, mark: &Mark) -> String {
        fs::read_to_string(self.log(mark)).unwrap_or_default()
    }

    pub fn state(&self, handle: &Handle) -> State {
        state(&self.substrate, handle)
    }

    pub fn ended(&self, handle: &Handle) -> State {
        wait_for("the session ends", PATIENCE, || match self.state(handle) {
            State::Ended(exit) => Some(State::Ended(exit)),
            State::Queued(_) | State::Stuck(_) | State::Live(_) | State::Absent | State::Unknown(_) => None,
        })
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for run in [self.run.clone(), format!("{}0", self.run)] {
            for (_, handle) in self.substrate.discover(&run).unwrap_or_default() {
                // Best effort: a failing test must show its own failure.
                drop(self.substrate.release(&handle, Urgency::AtOnce));
            }
        }
    }
}

pub fn state(substrate: &Subprocess, handle: &Handle) -> State {
    substrate.observe(std::slice::from_ref(handle)).remove(0).state
}

pub fn identity(handle: &Handle) -> Identity {
    let (pid, start_ticks) = (handle.id.parse(), handle.fields["start_ticks"].parse());
    match (pid, start_ticks) {
        (Ok(pid), Ok(start_ticks)) => Identity { pid, start_ticks },
        other => panic!("no identity: {other:?}"),
    }
}

/// Signals one process that a test started, and no group.
pub fn send(identity: Identity, signal: Signal) {
    assert!(identity.pid > 1 && process::is_running(identity).unwrap_or(false), "{identity} isn't there");
    let pid = i32::try_from(identity.pid).unwrap_or_else(|error| panic!("{identity}: {error}"));
    kill(Pid::from_raw(pid), signal).unwrap_or_else(|error| panic!("{identity}: {error}"));
}

pub fn runs(identity: Identity) -> bool {
    process::is_running(identity).unwrap_or_else(|error| panic!("{identity}: {error}"))
}
