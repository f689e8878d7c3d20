//! Sessions as tmux windows: one session per run, one window per worker, found again by its mark.
//!
//! The server is the user's own, so everything here keeps to what carries our marks:
//! no global option, no key binding, no other session, and nothing that closes a
//! window. It leaves out what runs inside, and when to look or to end something.

mod answer;
mod blocks;
mod control;
mod ensure;
mod gate;
mod judge;
mod leftover;
mod link;
mod make;
mod panes;
mod process;
mod quote;
mod run;
mod server;
mod tree;

pub use server::Server;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ilchul_substrate::{
    Capabilities, Error, ErrorKind, Handle, Mark, Observation, SessionSpec, State, Substrate, Urgency,
};

use crate::answer::survivor;
use crate::gate::Gate;
use crate::judge::{Here, KIND, Known, Look, Place, locate};
use crate::link::Link;
use crate::panes::Pane;
use crate::process::life;
use crate::server::{COMMAND_LIMIT, Tmux};

const ENSURE: &str = "make tmux window";
const RELEASE: &str = "end tmux session";
/// How often a window is tried again because its index was taken or the connection ended.
const TRIES: usize = 3;

/// Hosts the workers of one run as windows of one tmux session.
pub struct TmuxSession {
    link: Link,
    session_name: String,
    run: String,
    grace: Duration,
    here: Here,
    making: Gate,
}

impl TmuxSession {
    /// Prepares to use `server` through the `tmux` in `PATH`. Starts nothing.
    ///
    /// `session_name` is what people see (`ilchul-<repo>-<run>`), `grace` how long an
    /// asked release waits before it kills.
    ///
    /// # Errors
    /// `Unavailable` when tmux or what it needs is missing or too old, `Refused` for a
    /// name or socket that can't be used or isn't ours.
    pub fn open(server: &Server, session_name: &str, run: &str, grace: Duration) -> Result<Self, Error> {
        Self::open_program(Path::new("tmux"), server, session_name, run, grace)
    }

    /// The same with another program than the `tmux` in `PATH`.
    ///
    /// # Errors
    /// As [`TmuxSession::open`].
    pub fn open_program(
        program: &Path,
        server: &Server,
        session_name: &str,
        run: &str,
        grace: Duration,
    ) -> Result<Self, Error> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        // tmux rewrites `.` and `:` in names, and a name that isn't what we asked for isn't found again.
        if !session_name.starts_with(|c: char| c.is_ascii_alphanumeric()) || !session_name.chars().all(plain)
        {
            let text = format!("`{}` can't be a session's name", session_name.escape_debug());
            return Err(Error::new(ErrorKind::Refused, "open tmux", text));
        }
        // A mark says what a run's id may look like; the task is any.
        Mark::new(run, "x", 1).map_err(|error| {
            Error::new(ErrorKind::Refused, "open tmux", format!("run `{}`", run.escape_debug()))
                .with_source(error)
        })?;
        let proc = |error| Error::io("read process identity", "`/proc`", error);
        let here =
            Here { boot: process::boot_id().map_err(proc)?, pids: process::pid_namespace().map_err(proc)? };
        let tmux = Tmux::find(program, server)?;
        Ok(Self {
            link: Link::new(tmux, run),
            session_name: session_name.to_owned(),
            run: run.to_owned(),
            grace,
            here,
            making: Gate::default(),
        })
    }

    /// Rings `doorbell` from a thread of its own when panes may have ended or gone.
    ///
    /// A hint to look now, late by up to a second and possibly lost: never the truth.
    #[must_use]
    pub fn with_doorbell(mut self, doorbell: Box<dyn Fn() + Send + Sync>) -> Self {
        self.link = self.link.with_doorbell(Arc::from(doorbell));
        self
    }

    /// Reads `path` instead of the user's configuration, should we be the one to start the server.
    #[must_use]
    pub fn with_config(mut self, path: &Path) -> Self {
        self.link = self.link.with_config(path);
        self
    }

    /// The name under which the run's session is made.
    #[must_use]
    pub fn session_name(&self) -> &str {
        &self.session_name
    }

    /// The socket of the server that new windows go to.
    #[must_use]
    pub fn socket(&self) -> &Path {
        self.link.tmux.socket()
    }

    /// The command that puts a client that is already in that server there; none for a foreign handle.
    #[must_use]
    pub fn switch(&self, handle: &Handle) -> Option<Vec<OsString>> {
        let known = Known::read(handle).ok()?;
        // A pane's id finds session and window, wherever the user moved it.
        let words = ["switch-client", "-t", &known.pane].map(OsString::from);
        Some(at_socket(&known.socket).into_iter().chain(words).collect())
    }
}

impl Substrate for TmuxSession {
    type Spec = SessionSpec;

    fn kind(&self) -> &'static str {
        KIND
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            queued: false,
            push_events: true,
            attach: true,
            local_files: true,
            wall_time: false,
            can_partition: false,
        }
    }

    fn ensure(&self, mark: &Mark, spec: &SessionSpec) -> Result<Handle, Error> {
        let late =
            || Error::new(ErrorKind::Unavailable, ENSURE, "others have waited for the server too long");
        // Looking and making are one step: two threads must not both find nothing.
        let _turn = self.making.enter(COMMAND_LIMIT * 2).ok_or_else(late)?;
        for _ in 0..TRIES {
            if let Some(handle) = self.ensure_once(mark, spec)? {
                return Ok(handle);
            }
        }
        Err(Error::new(ErrorKind::Io, ENSURE, format!("no window after {TRIES} tries")))
    }

    fn observe(&self, handles: &[Handle]) -> Vec<Observation> {
        // One look per server: handles of an earlier start may name another than ours.
        let mut looks: BTreeMap<PathBuf, Look> = BTreeMap::new();
        let answer = |handle: &Handle| match Known::read(handle) {
            Err(error) => State::Unknown(error.to_string()),
            Ok(known) => {
                let look = looks.entry(known.socket.clone());
                let look = look.or_insert_with(|| self.link.look_elsewhere(&known.socket));
                self.settle(&known, look)
            }
        };
        handles.iter().map(answer).map(Observation::now).collect()
    }

    fn release(&self, handle: &Handle, urgency: Urgency) -> Result<(), Error> {
        let known = Known::read(handle)?;
        let look = self.link.look_elsewhere(&known.socket);
        let conflict = |text: String| Err(Error::new(ErrorKind::Conflict, RELEASE, text));
        let ticks = match locate(&known, &self.here, &look, life) {
            // A process may still match by pid and start alone; while its server can't be asked,
            // that is too little to end it by.
            Place::Dark(why) => return Err(Error::new(ErrorKind::Unavailable, RELEASE, why)),
            Place::Taken(why) => return conflict(why),
            // Pids of an earlier boot name nothing of ours.
            Place::Gone(_) if known.here.boot != self.here.boot => return Ok(()),
            // The pane is gone, but a program that ignores the hangup isn't.
            Place::Gone(_) => match survivor(&known) {
                Some(ticks) => ticks,
                None => return Ok(()),
            },
            Place::Pane(pane) => {
                let now = process::stat(known.pid).map_err(|error| Error::io(RELEASE, "`/proc`", error))?;
                match (now, known.ticks) {
                    (Some(now), Some(ticks)) if now.start_ticks != ticks && !pane.dead => {
                        return conflict(format!("process {} began at another time", known.pid));
                    }
                    (_, Some(ticks)) => ticks,
                    (Some(now), None) if !pane.dead => now.start_ticks,
                    // It ended before anybody read its start. What it left in its session began after
                    // the server did, and whoever has its pid now is another.
                    (Some(_) | None, None) => known.server_ticks,
                }
            }
        };
        self.end_tree(&known, ticks, urgency)?;
        // So that a look after this one sees the end: tmux collects it in its own time.
        self.settle(&known, &self.link.look_elsewhere(&known.socket));
        Ok(())
    }

    fn discover(&self, run: &str) -> Result<Vec<(Mark, Handle)>, Error> {
        let listing = match self.link.look() {
            Look::Server(listing) => listing,
            Look::NoServer(_) => return Ok(Vec::new()),
            Look::Dark(why) => return Err(Error::new(ErrorKind::Unavailable, "list tmux panes", why)),
        };
        // Of any session and state: users move windows, and half-made ones count.
        let ours = |pane: &&Pane| pane.mark.as_ref().is_some_and(|mark| mark.run() == run);
        let mut found = Vec::new();
        for pane in listing.panes.values().filter(ours) {
            if let Some(mark) = &pane.mark {
                found.push((mark.clone(), self.handle(mark, &listing, pane, false)?));
            }
        }
        found.sort_by(|left, right| left.0.cmp(&right.0));
        Ok(found)
    }

    fn attach(&self, handle: &Handle) -> Option<Vec<OsString>> {
        let known = Known::read(handle).ok()?;
        let words = ["attach-session", "-t", &known.session, ";", "select-window", "-t", &known.window];
        Some(at_socket(&known.socket).into_iter().chain(words.map(OsString::from)).collect())
    }
}

fn at_socket(socket: &Path) -> Vec<OsString> {
    vec!["tmux".into(), "-S".into(), socket.into()]
}
