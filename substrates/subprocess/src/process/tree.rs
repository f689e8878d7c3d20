//! A process tree, and its end.
//!
//! A tree is a root, its descendants, and the members of the groups and sessions
//! that any of them leads; what once was seen in it stays in it when its parent
//! dies. Left out: what left group, session *and* parent behind before we first
//! looked; only a subreaper above it, or its mark, finds that.

use super::{Identity, Process, all, identify, is_running};
use ilchul_substrate::{Error, ErrorKind};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use rustix::process::{PidfdFlags, Signal as RawSignal, pidfd_open, pidfd_send_signal};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::thread;
use std::time::Duration;

/// Between two looks, doubled up to the longest: most processes end at once.
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(20);

/// How long the killed may take to be gone (a process in a system call can't die).
const KILL_PATIENCE: Duration = Duration::from_secs(5);

const ACTION: &str = "end processes";

/// The running descendants of `root`, itself not included.
///
/// # Errors
/// When `/proc` couldn't be read.
pub fn descendants(root: Identity) -> io::Result<Vec<Identity>> {
    let mut tree = Tree::below(root);
    tree.grow()?;
    Ok(tree.seen.keys().copied().filter(|identity| *identity != root).collect())
}

/// Ends `root` and all that belongs to it: asks (TERM, and CONT for the stopped), waits
/// up to about `grace`, kills; a `grace` of zero kills at once. Returns once none is
/// left, or fails and names who is. A root that is already gone is `Ok`.
///
/// Never ends the calling process, even where it belongs to the tree.
///
/// # Errors
/// `Io` with the survivors, or when `/proc` couldn't be read or a signal not be sent.
pub fn end_tree(root: Identity, grace: Duration) -> Result<(), Error> {
    end_trees(&[root], grace)
}

/// The same for several roots at once, with one grace for all.
///
/// # Errors
/// As [`end_tree`].
pub fn end_trees(roots: &[Identity], grace: Duration) -> Result<(), Error> {
    Tree { seen: roots.iter().map(|root| (*root, false)).collect(), spared: None }.end(grace)
}

/// The same for all below `root` but not `root` itself: for a subreaper that stays.
///
/// # Errors
/// As [`end_tree`].
pub fn end_descendants(root: Identity, grace: Duration) -> Result<(), Error> {
    Tree::below(root).end(grace)
}

struct Tree {
    /// Every process ever seen in the tree, and whether it was asked to end.
    seen: BTreeMap<Identity, bool>,
    /// A root that only counts as a parent.
    spared: Option<Identity>,
}

impl Tree {
    fn below(root: Identity) -> Self {
        Self { seen: BTreeMap::new(), spared: Some(root) }
    }

    /// Adds what has joined since the last look, and returns who runs.
    fn grow(&mut self) -> io::Result<Vec<Process>> {
        let now = all()?;
        loop {
            let joined: Vec<Identity> = now
                .iter()
                .filter(|process| self.takes(process, &now))
                .map(|process| process.identity)
                .collect();
            if joined.is_empty() {
                break;
            }
            self.seen.extend(joined.into_iter().map(|identity| (identity, false)));
        }
        Ok(now.into_iter().filter(|process| self.has(process.identity) && !process.is_ended()).collect())
    }

    fn has(&self, identity: Identity) -> bool {
        self.seen.contains_key(&identity)
    }

    /// Whether a process that isn't in the tree belongs there.
    fn takes(&self, process: &Process, now: &[Process]) -> bool {
        if self.has(process.identity) || !may_be_ended(process) || self.spared == Some(process.identity) {
            return false;
        }
        let child_of_spared = self.spared.is_some_and(|root| {
            root.pid == process.parent && root.start_ticks <= process.identity.start_ticks
        });
        child_of_spared
            || [process.parent, process.group, process.session]
                .iter()
                .any(|pid| self.stands_for(*pid, process, now))
    }

    /// Whether `pid`, as the parent, group or session of `process`, means one of the
    /// tree: a pid can't be reused while it names a group or session, unless that was empty.
    fn stands_for(&self, pid: u32, process: &Process, now: &[Process]) -> bool {
        let oldest = Identity { pid, start_ticks: 0 };
        let latest = Identity { pid, start_ticks: process.identity.start_ticks };
        let Some((known, _)) = self.seen.range(oldest..=latest).next_back() else { return false };
        let holder = now.iter().find(|other| other.identity.pid == pid);
        holder.is_none_or(|holder| holder.identity == *known)
    }

    fn end(&mut self, grace: Duration) -> Result<(), Error> {
        if grace > Duration::ZERO && self.ask(grace)? {
            return Ok(());
        }
        let mut survivors = self.grow().map_err(unreadable)?;
        let mut pauses = Pauses::new(KILL_PATIENCE);
        // Repeated, because a process may have forked between the look and its death.
        while !survivors.is_empty() {
            self.kill(&survivors)?;
            if !pauses.pause() {
                break;
            }
            survivors = self.grow().map_err(unreadable)?;
        }
        if survivors.is_empty() { Ok(()) } else { Err(left(&survivors)) }
    }

    /// True once all have ended; false when the grace is over.
    fn ask(&mut self, grace: Duration) -> Result<bool, Error> {
        let mut pauses = Pauses::new(grace);
        loop {
            let running = self.grow().map_err(unreadable)?;
            if running.is_empty() {
                return Ok(true);
            }
            for process in running {
                if self.seen.insert(process.identity, true) == Some(false) {
                    signal(process.identity, RawSignal::TERM)?;
                    // A stopped one can't act on it; for the others this means nothing.
                    signal(process.identity, RawSignal::CONT)?;
                }
            }
            // Cheap looks at those we know; a whole one when they are gone.
            while self.any_runs().map_err(unreadable)? {
                if !pauses.pause() {
                    return Ok(false);
                }
            }
            if pauses.is_over() {
                return Ok(false);
            }
        }
    }

    fn any_runs(&self) -> io::Result<bool> {
        for identity in self.seen.keys() {
            if is_running(*identity)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Groups first and whole, which no fork can outrun; then each that is left.
    fn kill(&self, running: &[Process]) -> Result<(), Error> {
        let groups: BTreeSet<u32> = running.iter().map(|process| process.group).collect();
        for group in groups {
            self.kill_group(group)?;
        }
        running.iter().try_for_each(|process| signal(process.identity, RawSignal::KILL))
    }

    /// Only a group whose leader is one of the tree, looked at just now.
    fn kill_group(&self, group: u32) -> Result<(), Error> {
        let leader = identify(group).map_err(unreadable)?;
        let ours = leader.is_some_and(|leader| self.has(leader.identity) && leader.group == group);
        let own = u32::try_from(nix::unistd::getpgrp().as_raw()).is_ok_and(|own| own == group);
        let Ok(pgid) = i32::try_from(group) else { return Ok(()) };
        if !ours || own {
            return Ok(());
        }
        // 0 is our own group, 1 the host's first, and below that is everybody.
        assert!(pgid > 1, "process group {pgid} is not one to end");
        match killpg(Pid::from_raw(pgid), Signal::SIGKILL) {
            // Who may not be killed is named in the end, after all the others were.
            Ok(()) | Err(nix::errno::Errno::ESRCH | nix::errno::Errno::EPERM) => Ok(()),
            Err(errno) => Err(Error::io(ACTION, format!("group {pgid}"), io::Error::from(errno))),
        }
    }
}

/// Time that passes only here, in pauses that grow; the substrate reads no clock.
struct Pauses {
    left: Duration,
    next: Duration,
}

impl Pauses {
    fn new(total: Duration) -> Self {
        Self { left: total, next: SHORTEST_PAUSE }
    }

    fn is_over(&self) -> bool {
        self.left.is_zero()
    }

    /// Sleeps a little; false, without sleeping, when nothing is left.
    fn pause(&mut self) -> bool {
        let pause = self.next.min(self.left);
        thread::sleep(pause);
        self.left -= pause;
        self.next = (self.next * 2).min(LONGEST_PAUSE);
        !pause.is_zero()
    }
}

fn may_be_ended(process: &Process) -> bool {
    process.identity.pid > 1 && process.identity.pid != std::process::id()
}

/// Signals this very process: the descriptor is opened first and the identity compared
/// after that, so a reused pid is never hit.
fn signal(identity: Identity, signal: RawSignal) -> Result<(), Error> {
    let failed = |errno: rustix::io::Errno| Error::io(ACTION, identity, io::Error::from(errno));
    let Some(pid) = i32::try_from(identity.pid).ok().and_then(rustix::process::Pid::from_raw) else {
        return Ok(());
    };
    let descriptor = match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(descriptor) => descriptor,
        Err(rustix::io::Errno::SRCH) => return Ok(()),
        Err(errno) => return Err(failed(errno)),
    };
    if std::process::id() == identity.pid || !is_running(identity).map_err(unreadable)? {
        return Ok(());
    }
    match pidfd_send_signal(&descriptor, signal) {
        Ok(()) | Err(rustix::io::Errno::SRCH | rustix::io::Errno::PERM) => Ok(()),
        Err(errno) => Err(failed(errno)),
    }
}

fn unreadable(error: io::Error) -> Error {
    Error::io(ACTION, "/proc", error)
}

fn left(survivors: &[Process]) -> Error {
    let name = |process: &Process| {
        let pid = process.identity.pid;
        let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        format!("`{}` ({pid}, state {})", name.trim().escape_debug(), char::from(process.state))
    };
    let names: Vec<String> = survivors.iter().take(10).map(name).collect();
    Error::new(ErrorKind::Io, ACTION, format!("{} left: {}", survivors.len(), names.join(", ")))
}
