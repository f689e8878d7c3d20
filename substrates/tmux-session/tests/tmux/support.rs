//! A sealed world for one test: a private server on its own socket, ended with the test.
//!
//! It leaves out the cases; nothing here touches a server that it didn't start.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use ilchul_substrate::{Handle, Mark, SessionSpec, State, Substrate};
use ilchul_tmux_session::{Server, TmuxSession};
use rustix::process::{Pid, Signal, kill_process};

pub const RUN: &str = "r1";
pub const SESSION: &str = "ilchul-test-r1";

pub struct World {
    dir: tempfile::TempDir,
    /// Servers to end: pid and start ticks, so that never another process is hit.
    servers: Mutex<Vec<(u32, u64)>>,
}

impl World {
    pub fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("ilt").tempdir().unwrap();
        fs::write(dir.path().join("tmux.conf"), "").unwrap();
        Self { dir, servers: Mutex::new(Vec::new()) }
    }

    pub fn configured(text: &str) -> Self {
        let world = Self::new();
        fs::write(world.path("tmux.conf"), text).unwrap();
        world
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn socket(&self) -> PathBuf {
        self.path("s")
    }

    /// A user's own server with a session of theirs, reading the world's configuration.
    pub fn user_server(&self) {
        let config = self.path("tmux.conf");
        let done = Command::new("tmux")
            .env_remove("TMUX")
            .env("ILCHUL_CANARY_GLOBAL", "leaked")
            .arg("-f")
            .arg(config)
            .arg("-S")
            .arg(self.socket())
            .args(["new-session", "-d", "-s", "mine", "sleep", "600"])
            .output()
            .unwrap();
        assert!(done.status.success(), "{done:?}");
        self.note_server();
    }

    pub fn open(&self) -> TmuxSession {
        self.open_with(Path::new("tmux"))
    }

    pub fn open_with(&self, program: &Path) -> TmuxSession {
        self.open_by(program, Duration::from_millis(300))
    }

    /// One that gives whoever is asked to end all the time that a busy machine may need for it.
    pub fn open_patient(&self) -> TmuxSession {
        self.open_by(Path::new("tmux"), Duration::from_secs(20))
    }

    fn open_by(&self, program: &Path, grace: Duration) -> TmuxSession {
        let server = Server::Socket(self.socket());
        let session = TmuxSession::open_program(program, &server, SESSION, RUN, grace).unwrap();
        session.with_config(&self.path("tmux.conf"))
    }

    pub fn spec(&self, argv: &[&str]) -> SessionSpec {
        SessionSpec {
            title: "worker.1".to_owned(),
            cwd: self.dir.path().canonicalize().unwrap(),
            argv: argv.iter().map(OsString::from).collect(),
            env: vec![("PATH".into(), "/usr/local/bin:/usr/bin:/bin".into())],
            log: self.path("log"),
            capture: false,
            request: ilchul_substrate::Request::default(),
        }
    }

    /// `sh -c script`.
    pub fn script(&self, script: &str) -> SessionSpec {
        self.spec(&["/bin/sh", "-c", script])
    }

    pub fn ensure(&self, session: &TmuxSession, task: &str, spec: &SessionSpec) -> Handle {
        let handle = session.ensure(&mark(task), spec).unwrap();
        self.note_server();
        handle
    }

    pub fn sleeper(&self, session: &TmuxSession, task: &str) -> Handle {
        self.ensure(session, task, &self.spec(&["sleep", "600"]))
    }

    /// What a person types: `tmux -S socket ...`.
    pub fn tmux(&self, words: &[&str]) -> Output {
        Command::new("tmux").env_remove("TMUX").arg("-S").arg(self.socket()).args(words).output().unwrap()
    }

    pub fn ask(&self, words: &[&str]) -> String {
        let output = self.tmux(words);
        assert!(output.status.success(), "{words:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }

    pub fn server_pid(&self) -> u32 {
        self.ask(&["display-message", "-p", "#{pid}"]).parse().unwrap()
    }

    /// Remembers the server for the end of the test.
    pub fn note_server(&self) {
        let output = self.tmux(&["display-message", "-p", "#{pid}"]);
        if let Ok(pid) = String::from_utf8_lossy(&output.stdout).trim().parse()
            && let Some(ticks) = start_ticks(pid)
        {
            let entry = (pid, ticks);
            let mut servers = self.servers.lock().unwrap();
            if !servers.contains(&entry) {
                servers.push(entry);
            }
        }
    }

    pub fn read(&self, name: &str) -> String {
        let path = self.path(name);
        until(&format!("`{name}` is written"), || {
            fs::read_to_string(&path).ok().filter(|text| text.ends_with("END\n"))
        })
        .trim_end_matches("END\n")
        .to_owned()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.note_server();
        for (pid, ticks) in self.servers.lock().unwrap().iter() {
            if start_ticks(*pid) == Some(*ticks) {
                signal(*pid, Signal::KILL);
            }
        }
    }
}

pub fn mark(task: &str) -> Mark {
    Mark::new(RUN, task, 1).unwrap()
}

pub fn signal(pid: u32, signal: Signal) {
    assert!(pid > 1);
    kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), signal).unwrap();
}

/// Field 22 of `/proc/<pid>/stat`; `None` when it is gone or a zombie.
pub fn start_ticks(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let rest: Vec<&str> = text[text.rfind(')')? + 2..].split(' ').collect();
    if rest[0] == "Z" { None } else { rest[19].parse().ok() }
}

pub fn alive(pid: u32) -> bool {
    start_ticks(pid).is_some()
}

pub fn pid_of(handle: &Handle) -> u32 {
    handle.fields["pid"].parse().unwrap()
}

pub fn state(session: &TmuxSession, handle: &Handle) -> State {
    session.observe(std::slice::from_ref(handle)).remove(0).state
}

/// Polls until `look` finds something; the one place where tests wait.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited too long until {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

pub fn until_ended(session: &TmuxSession, handle: &Handle) -> State {
    until("it has ended", || match state(session, handle) {
        State::Live(_) => None,
        other
        @ (State::Ended(_) | State::Absent | State::Unknown(_) | State::Queued(_) | State::Stuck(_)) => {
            Some(other)
        }
    })
}

#[track_caller]
pub fn assert_live(state: &State) {
    assert!(matches!(state, State::Live(_)), "{state:?}");
}

#[track_caller]
pub fn assert_unknown(state: &State, part: &str) {
    assert!(matches!(state, State::Unknown(why) if why.contains(part)), "{state:?}");
}
