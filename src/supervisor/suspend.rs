//! Ctrl-Z: stopping this process without stopping for ever.
//!
//! The terminal stops our whole process group, and in it a child that is halfway between
//! its fork and its exec. The thread that made it waits for the exec and can't stop, so the
//! shell never learns that we did, and nobody ever continues the child, which is in a group
//! of its own by then. So the stop is taken here: such children go on, then we stop. It
//! leaves out what the pause means: the loop sees the gap.

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};

use ilchul_subprocess::process::{self, Process};
use nix::sys::signal::{Signal, raise};
use rustix::process::{Pid, PidfdFlags, pidfd_open, pidfd_send_signal};

/// The most ancestors that are looked at.
const DEPTH: usize = 64;

/// How often this process was stopped.
static STOPS: AtomicUsize = AtomicUsize::new(0);

/// Stops this process until somebody continues it; where nobody would, it goes on at once.
pub fn suspend() {
    wake_halfway();
    if has_keeper() {
        // Before it stops, because another thread may write as soon as it goes on.
        STOPS.fetch_add(1, Ordering::SeqCst);
        // Fails only for a signal that doesn't exist.
        let _ = raise(Signal::SIGSTOP);
    }
}

/// How often this process was stopped: the terminal was somebody else's meanwhile.
#[must_use]
pub fn stops() -> usize {
    STOPS.load(Ordering::SeqCst)
}

/// Takes the stop from children that haven't become another program yet. One pass is
/// enough: whoever was born later wasn't meant, and is in no stop's way.
fn wake_halfway() {
    let Ok(ours) = fs::read("/proc/self/cmdline") else { return };
    let me = std::process::id();
    for child in process::all().unwrap_or_default() {
        // Until its exec it shares our memory, and our arguments with it.
        let halfway = |pid: u32| fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|words| words == ours);
        if child.parent == me && halfway(child.identity.pid) {
            let _ = wake(&child);
        }
    }
}

fn wake(child: &Process) -> std::io::Result<()> {
    let number = i32::try_from(child.identity.pid).map_err(std::io::Error::other)?;
    let Some(pid) = Pid::from_raw(number).filter(|_| number > 1) else { return Ok(()) };
    let held = pidfd_open(pid, PidfdFlags::empty())?;
    // Held first, compared then: what was compared is what gets the signal.
    if process::is_running(child.identity)? {
        pidfd_send_signal(&held, rustix::process::Signal::CONT)?;
    }
    Ok(())
}

/// Whether somebody outside our group can continue it: the rule by which the kernel lets
/// Ctrl-Z stop a group at all.
fn has_keeper() -> bool {
    let Ok(Some(mut at)) = process::identify(std::process::id()) else { return false };
    let (group, session) = (at.group, at.session);
    for _ in 0..DEPTH {
        match process::identify(at.parent) {
            Ok(Some(parent)) if parent.session != session => return false,
            Ok(Some(parent)) if parent.group != group => return true,
            Ok(Some(parent)) => at = parent,
            Ok(None) | Err(_) => return false,
        }
    }
    false
}
