//! Ending a process tree: ask, wait, freeze, kill, and say what is left.
//!
//! Signals go to single processes through pidfds, after their start was compared:
//! a recycled pid is never hit, and no process group is ever addressed as a whole.
//! It leaves out whether the tree may be ended; the caller has proven whose it is.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use ilchul_substrate::Urgency;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::process::{self, Stat};

/// How often we look again for processes that were forked meanwhile.
const ROUNDS: usize = 4;
/// How long a killed tree may take to be gone, per round.
const KILL_WAIT: Duration = Duration::from_secs(1);

/// Why a tree hasn't ended.
#[derive(Debug)]
pub(crate) enum NotEnded {
    /// We are part of it ourselves. Nothing was touched.
    Inside,
    /// These pids outlived a kill, or couldn't be signalled.
    Survivors(Vec<u32>),
    /// Processes can't be listed.
    Unreadable(io::Error),
}

/// Ends the tree of the session leader `pid` that began at `start_ticks`.
///
/// To the tree belong the leader, the members of its session, and the descendants
/// of these, whatever session or group they moved to. What was re-parented away
/// *before* this call and also left the session can't be found by anybody.
pub(crate) fn end(pid: u32, start_ticks: u64, urgency: Urgency, grace: Duration) -> Result<(), NotEnded> {
    assert!(pid > 1, "pid {pid} is never a session of ours");
    let mut tree = Tree { leader: pid, start_ticks, members: BTreeMap::new() };
    tree.scan()?;
    if tree.members.contains_key(&std::process::id()) {
        return Err(NotEnded::Inside);
    }
    match urgency {
        Urgency::Asked => tree.ask(grace)?,
        Urgency::AtOnce => {}
    }
    for _ in 0..ROUNDS {
        tree.freeze()?;
        if tree.members.is_empty() {
            return Ok(());
        }
        tree.signal(Signal::KILL);
        tree.wait(Instant::now() + KILL_WAIT);
        tree.scan()?;
    }
    if tree.members.is_empty() { Ok(()) } else { Err(NotEnded::Survivors(tree.pids())) }
}

/// Asks one process to end, if it still is the one that began at `start_ticks`.
pub(crate) fn ask_to_end(pid: u32, start_ticks: u64) {
    if let Some(pidfd) = open_proven(pid, start_ticks) {
        // Ended meanwhile, or not ours to signal: then it stays as it is.
        let _sent = pidfd_send_signal(&pidfd, Signal::TERM);
    }
}

struct Tree {
    leader: u32,
    start_ticks: u64,
    /// Live members: pid to start ticks.
    members: BTreeMap<u32, u64>,
}

impl Tree {
    /// Drops what has ended, adds what belongs to the tree now.
    fn scan(&mut self) -> Result<(), NotEnded> {
        let all = process::all().map_err(NotEnded::Unreadable)?;
        self.members = belonging(&all, (self.leader, self.start_ticks), &self.members);
        Ok(())
    }

    /// TERM, then as much of the grace as they need.
    fn ask(&mut self, grace: Duration) -> Result<(), NotEnded> {
        let until = Instant::now() + grace;
        self.signal(Signal::TERM);
        // A stopped process would take the TERM only when it is continued.
        self.signal(Signal::CONT);
        while !self.members.is_empty() && Instant::now() < until {
            self.wait(until);
            self.scan()?;
        }
        Ok(())
    }

    /// Stops all members until no new one appears, so that a fork can't outrun the kill:
    /// once its parent is dead, a child belongs to nobody we know.
    fn freeze(&mut self) -> Result<(), NotEnded> {
        for _ in 0..ROUNDS {
            self.signal(Signal::STOP);
            let before = self.members.clone();
            self.scan()?;
            if self.members.keys().all(|pid| before.contains_key(pid)) {
                break;
            }
        }
        Ok(())
    }

    fn signal(&self, signal: Signal) {
        for (&pid, &start_ticks) in &self.members {
            // What can't be signalled (it ended, or isn't ours to signal) shows in the next scan.
            if let Some(pidfd) = open_proven(pid, start_ticks) {
                let _sent = pidfd_send_signal(&pidfd, signal);
            }
        }
    }

    /// Waits until all members of the last scan have ended, at most until `until`.
    fn wait(&self, until: Instant) {
        for (&pid, &start_ticks) in &self.members {
            let Some(pidfd) = open_proven(pid, start_ticks) else { continue };
            let left = until.saturating_duration_since(Instant::now());
            let Ok(timeout) = Timespec::try_from(left) else { continue };
            // Interrupted or timed out: the scan that follows says who is left.
            let _ready = poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&timeout));
        }
    }

    fn pids(&self) -> Vec<u32> {
        self.members.keys().copied().collect()
    }
}

/// A pidfd of exactly that process: opened first, compared after, so it can't be another by then.
fn open_proven(pid: u32, start_ticks: u64) -> Option<OwnedFd> {
    if pid <= 1 {
        return None;
    }
    let pidfd = pidfd_open(Pid::from_raw(i32::try_from(pid).ok()?)?, PidfdFlags::empty()).ok()?;
    let now = process::stat(pid).ok()??;
    (now.start_ticks == start_ticks && !now.ended).then_some(pidfd)
}

/// The live processes of the tree, by what is known now and what was known before.
fn belonging(all: &[Stat], leader: (u32, u64), known: &BTreeMap<u32, u64>) -> BTreeMap<u32, u64> {
    let (leader_pid, leader_ticks) = leader;
    // The kernel gives no pid away that still names a session. So members of session
    // `leader_pid` are ours, unless the leader is another process by now.
    let foreign = all.iter().any(|stat| stat.pid == leader_pid && stat.start_ticks != leader_ticks);
    let is_seed = |stat: &Stat| {
        let in_session = !foreign && stat.session == leader_pid && stat.start_ticks >= leader_ticks;
        (stat.pid, stat.start_ticks) == leader
            || in_session
            || known.get(&stat.pid) == Some(&stat.start_ticks)
    };
    let mut found: BTreeMap<u32, u64> =
        all.iter().filter(|stat| is_seed(stat)).map(|stat| (stat.pid, stat.start_ticks)).collect();
    loop {
        let before = found.len();
        for stat in all {
            // A child began after its parent; else the parent's pid is a new one's.
            if found.get(&stat.parent).is_some_and(|&parent| stat.start_ticks >= parent) {
                found.insert(stat.pid, stat.start_ticks);
            }
        }
        if found.len() == before {
            break;
        }
    }
    found.retain(|pid, _| all.iter().any(|stat| stat.pid == *pid && !stat.ended));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stat(pid: u32, parent: u32, session: u32, start_ticks: u64) -> Stat {
        Stat { pid, parent, session, start_ticks, ended: false, exit: None }
    }

    fn pids(all: &[Stat], leader: (u32, u64), known: &[(u32, u64)]) -> Vec<u32> {
        belonging(all, leader, &known.iter().copied().collect()).into_keys().collect()
    }

    #[test]
    fn the_tree_is_leader_session_and_descendants() {
        let all = [
            stat(10, 1, 10, 100),
            stat(11, 10, 10, 101),
            stat(12, 11, 12, 102), // left the session, still a child
            stat(13, 1, 10, 103),  // re-parented, still in the session
            stat(14, 12, 14, 104),
            stat(20, 1, 20, 105),
        ];
        assert_eq!(pids(&all, (10, 100), &[]), [10, 11, 12, 13, 14]);
    }

    #[test]
    fn l19_a_recycled_leader_pid_is_another_tree() {
        let all = [stat(10, 1, 10, 900), stat(11, 10, 10, 901)];
        assert_eq!(pids(&all, (10, 100), &[]), [0_u32; 0]);
    }

    #[test]
    fn what_was_known_stays_known_when_its_parents_are_gone() {
        let all = [stat(14, 1, 14, 104), stat(15, 14, 15, 105), stat(16, 1, 16, 300)];
        assert_eq!(pids(&all, (10, 100), &[(14, 104), (16, 106)]), [14, 15], "16 is a recycled pid");
    }

    #[test]
    fn a_zombie_has_ended() {
        let zombie = Stat { ended: true, ..stat(10, 1, 10, 100) };
        assert_eq!(pids(&[zombie, stat(11, 1, 10, 101)], (10, 100), &[]), [11]);
    }
}
