//! Sessions as plain process groups: the documented substitute for tmux.
//!
//! A session is a process group led by the spec's program, found again by
//! `ILCHUL_MARK` in its environment and by pid, start time and boot. `README.md`
//! beside this crate says what that can't promise. Left out: terminals, attaching,
//! log rotation, and any memory on disk; what isn't in `/proc` is forgotten.

mod launch;
mod marks;
pub mod process;

use ilchul_substrate::{
    Capabilities, Error, ErrorKind, Exit, Facts, Handle, Mark, Observation, SessionSpec, State, Substrate,
    Urgency,
};
use marks::Carriers;
use process::{Identity, Process};
use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::process::Child;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

const KIND: &str = "subprocess";
const START_TICKS: &str = "start_ticks";
const BOOT_ID: &str = "boot_id";

/// The substrate. Dropping it ends nothing: sessions outlive whoever started them.
pub struct Subprocess {
    grace: Duration,
    boot: OnceLock<String>,
    /// One slot per mark, so that threads which ensure different marks don't wait for each other.
    sessions: Mutex<HashMap<Mark, Arc<Mutex<Slot>>>>,
    /// What was there of a run before this object's first `ensure` in it.
    found: Mutex<HashMap<String, BTreeMap<Mark, Carriers>>>,
}

#[derive(Default)]
enum Slot {
    #[default]
    Empty,
    /// Ours to reap, so its exit will be known.
    Child { identity: Identity, child: Child, exit: Option<Exit> },
    /// Started by another object; only `/proc` knows about it.
    Adopted(Identity),
}

impl Slot {
    fn identity(&self) -> Option<Identity> {
        match self {
            Self::Empty => None,
            Self::Child { identity, .. } | Self::Adopted(identity) => Some(*identity),
        }
    }

    /// The exit of our own child once it has one; reaps it.
    fn exit(&mut self) -> Option<Exit> {
        match self {
            Self::Empty | Self::Adopted(_) => None,
            Self::Child { child, exit, .. } => {
                // An error means that somebody else reaped it (SIGCHLD ignored, a
                // `wait` for all): then nobody can know the exit, and `/proc` decides.
                if exit.is_none() {
                    *exit = child.try_wait().ok().flatten().and_then(|status| {
                        status.code().map(Exit::Code).or_else(|| status.signal().map(Exit::Signal))
                    });
                }
                *exit
            }
        }
    }
}

/// What the handle says, checked for form and kind only.
struct Named {
    identity: Identity,
    boot: String,
}

impl Subprocess {
    /// A substrate that gives a session asked to end `grace` before it is killed.
    #[must_use]
    pub fn new(grace: Duration) -> Self {
        Self {
            grace,
            boot: OnceLock::new(),
            sessions: Mutex::new(HashMap::new()),
            found: Mutex::new(HashMap::new()),
        }
    }

    fn boot(&self) -> Result<&str, Error> {
        if let Some(boot) = self.boot.get() {
            return Ok(boot);
        }
        let boot = process::boot_id().map_err(|error| Error::io("read", "the boot id", error))?;
        Ok(self.boot.get_or_init(|| boot))
    }

    fn handle(&self, mark: &Mark, identity: Identity) -> Result<Handle, Error> {
        let fields = [(START_TICKS, identity.start_ticks.to_string()), (BOOT_ID, self.boot()?.to_owned())];
        Ok(Handle {
            mark: mark.clone(),
            kind: KIND.to_owned(),
            id: identity.pid.to_string(),
            fields: fields.map(|(name, value)| (name.to_owned(), value)).into(),
        })
    }

    fn slot(&self, mark: &Mark) -> Arc<Mutex<Slot>> {
        Arc::clone(lock(&self.sessions).entry(mark.clone()).or_default())
    }

    /// The slot of the very process that is named, if this object knows it.
    fn known(&self, mark: &Mark, identity: Identity) -> Option<Arc<Mutex<Slot>>> {
        let slot = lock(&self.sessions).get(mark).map(Arc::clone)?;
        let same = lock(&slot).identity() == Some(identity);
        same.then_some(slot)
    }

    /// Who bore `mark` before this object came; one scan of `/proc` per run, because a
    /// scan costs more than a spawn.
    fn found_before(&self, mark: &Mark) -> Result<Option<Carriers>, Error> {
        let mut found = lock(&self.found);
        if !found.contains_key(mark.run()) {
            found.insert(mark.run().to_owned(), marks::of_run(mark.run())?);
        }
        Ok(found.get(mark.run()).and_then(|run| run.get(mark)).cloned())
    }

    fn start(&self, mark: &Mark, spec: &SessionSpec) -> Result<(Identity, Slot), Error> {
        match self.found_before(mark)? {
            Some(Carriers { leader: Some(leader), .. }) => Ok((leader, Slot::Adopted(leader))),
            Some(Carriers { leader: None, first }) => {
                let detail = format!("`{mark}`: process {} bears the mark and leads no session", first.pid);
                Err(Error::new(ErrorKind::Conflict, "start session", detail))
            }
            None => {
                let child = launch::launch(mark, spec)?;
                let identity = identity_of(&child);
                Ok((identity, Slot::Child { identity, child, exit: None }))
            }
        }
    }

    fn named(handle: &Handle) -> Result<Named, Error> {
        let refused = |detail: String| Error::new(ErrorKind::Refused, "read handle", detail);
        if handle.kind != KIND {
            return Err(refused(format!("`{}` is of kind `{}`, not `{KIND}`", handle.mark, handle.kind)));
        }
        let ticks = handle.field(START_TICKS)?;
        let boot = handle.field(BOOT_ID)?.to_owned();
        match (handle.id.parse(), ticks.parse()) {
            // 0 and 1 are never a session; as a group they would name far too much.
            (Ok(pid), Ok(start_ticks)) if pid > 1 => {
                Ok(Named { identity: Identity { pid, start_ticks }, boot })
            }
            (Ok(_) | Err(_), Ok(_) | Err(_)) => {
                Err(refused(format!("`{}` names no process: `{}`, `{ticks}`", handle.mark, handle.id)))
            }
        }
    }

    fn look(&self, handle: &Handle) -> Result<State, Error> {
        let named = Self::named(handle)?;
        if named.boot != self.boot()? {
            return Ok(State::Absent);
        }
        if let Some(slot) = self.known(&handle.mark, named.identity)
            && let Some(exit) = lock(&slot).exit()
        {
            return Ok(State::Ended(Some(exit)));
        }
        let there = process::identify(named.identity.pid)
            .map_err(|error| Error::io("look at", format!("process {}", named.identity.pid), error))?;
        Ok(match there {
            // It was there when the handle was written, in this boot, and it is over.
            None => State::Ended(None),
            Some(process) if process.identity != named.identity => State::Absent,
            Some(process) if process.is_ended() => State::Ended(None),
            Some(process) => State::Live(facts(&process)),
        })
    }

    fn end(named: &Named, mark: &Mark, grace: Duration) -> Result<(), Error> {
        let pid = named.identity.pid;
        let there =
            process::identify(pid).map_err(|error| Error::io("look at", format!("process {pid}"), error))?;
        match there {
            Some(process) if process.identity != named.identity => {
                let detail = format!("`{mark}`: process {pid} is another one by now");
                Err(Error::new(ErrorKind::Conflict, "end session", detail))
            }
            Some(process) if !process.is_ended() => process::end_tree(named.identity, grace),
            // Over, but what it started in its group may go on.
            Some(_) => end_rest(named.identity, grace, |_| true),
            // Its pid is free, so the group may be anybody's: only the mark proves it ours.
            None => end_rest(named.identity, grace, |member| marks::bears(member, mark)),
        }
    }
}

impl Substrate for Subprocess {
    type Spec = SessionSpec;

    fn kind(&self) -> &'static str {
        KIND
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            queued: false,
            push_events: false,
            attach: false,
            local_files: true,
            wall_time: false,
            can_partition: false,
        }
    }

    fn ensure(&self, mark: &Mark, spec: &SessionSpec) -> Result<Handle, Error> {
        // Before anything starts: what can't be named can't be found again.
        self.boot()?;
        let slot = self.slot(mark);
        let mut slot = lock(&slot);
        let identity = match slot.identity() {
            Some(identity) => identity,
            None => {
                let (identity, started) = self.start(mark, spec)?;
                *slot = started;
                identity
            }
        };
        self.handle(mark, identity)
    }

    fn observe(&self, handles: &[Handle]) -> Vec<Observation> {
        let look = |handle| self.look(handle).unwrap_or_else(|error| State::Unknown(error.to_string()));
        handles.iter().map(|handle| Observation::now(look(handle))).collect()
    }

    fn release(&self, handle: &Handle, urgency: Urgency) -> Result<(), Error> {
        let named = Self::named(handle)?;
        if named.boot != self.boot()? {
            return Ok(());
        }
        let grace = match urgency {
            Urgency::Asked => self.grace,
            Urgency::AtOnce => Duration::ZERO,
        };
        let ended = Self::end(&named, &handle.mark, grace);
        // Only now: reaping frees the pid, and until then it holds the group together.
        let exit = self.known(&handle.mark, named.identity).and_then(|slot| lock(&slot).exit());
        match ended {
            // Ours was reaped and its pid reused: gone, and not what is there now.
            Err(error) if error.kind() == ErrorKind::Conflict && exit.is_some() => Ok(()),
            ended => ended,
        }
    }

    fn discover(&self, run: &str) -> Result<Vec<(Mark, Handle)>, Error> {
        let found = marks::of_run(run)?;
        let handles = found.into_iter().map(|(mark, carriers)| {
            let identity = carriers.leader.unwrap_or(carriers.first);
            self.handle(&mark, identity).map(|handle| (mark, handle))
        });
        handles.collect()
    }

    fn attach(&self, _: &Handle) -> Option<Vec<OsString>> {
        None
    }
}

/// Ends what is left of the group of a leader that is over.
fn end_rest(leader: Identity, grace: Duration, ours: impl Fn(Identity) -> bool) -> Result<(), Error> {
    // One system call in the usual case, which is that nothing is left.
    if !process::group_exists(leader.pid) {
        return Ok(());
    }
    let members = process::group(leader.pid)
        .map_err(|error| Error::io("list", format!("process group {}", leader.pid), error))?;
    let ours: Vec<Identity> = members.into_iter().filter(|member| ours(*member)).collect();
    process::end_trees(&ours, grace)
}

/// A child's identity right after its start. With SIGCHLD ignored it may be gone
/// already; then a start time that no process has keeps its pid from meaning anything.
fn identity_of(child: &Child) -> Identity {
    let pid = child.id();
    let seen = process::identify(pid).ok().flatten();
    seen.map_or(Identity { pid, start_ticks: 0 }, |process| process.identity)
}

fn facts(process: &Process) -> Facts {
    let Identity { pid, start_ticks } = process.identity;
    Facts {
        pid: Some(pid),
        start_ticks: Some(start_ticks),
        path: std::fs::read_link(format!("/proc/{pid}/cwd")).ok(),
        notes: Vec::new(),
    }
}

/// A panic elsewhere leaves the maps whole, so a poisoned lock is still a good one.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
