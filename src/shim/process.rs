//! Looking at processes below this one, and signalling one of them.
//!
//! Identity is pid and start ticks (L19): a signal goes through a pidfd that was
//! opened before the start time was compared, so a recycled pid is never hit. It
//! leaves out processes that aren't descendants.

use nix::sys::signal::Signal;
use nix::unistd::{SysconfVar, sysconf};
use rustix::process::{Pid, PidfdFlags, pidfd_open, pidfd_send_signal};
use std::collections::BTreeMap;
use std::fs;

/// Processes listed at most: a fork bomb can't make the list endless.
const MAX_LISTED: usize = 100_000;

/// One process as `/proc/<pid>/stat` shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stat {
    /// The process it belongs to.
    pub(super) parent: u32,
    /// Start time in clock ticks since boot.
    pub(super) start_ticks: u64,
    /// Whether it has ended and only its entry is left.
    pub(super) is_zombie: bool,
    /// Processor time of it and of its reaped children, in clock ticks.
    pub(super) cpu_ticks: u64,
}

/// Looks at one process; none where there is none.
pub(super) fn stat(pid: u32) -> Option<Stat> {
    parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

fn parse_stat(text: &str) -> Option<Stat> {
    // The name stands in parentheses and may hold anything, parentheses too.
    let rest = &text[text.rfind(')')? + 1..];
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
    Some(Stat {
        parent: fields.get(1)?.parse().ok()?,
        is_zombie: matches!(fields.first(), Some(&("Z" | "X"))),
        // utime, stime, cutime, cstime are fields 14 to 17; ours begin with field 3.
        cpu_ticks: number(11)? + number(12)? + number(13)? + number(14)?,
        start_ticks: number(19)?,
    })
}

/// All descendants of this process, parents before children.
pub(super) fn descendants() -> Vec<(u32, Stat)> {
    // The kernel's own lists cost a look at each descendant; not every kernel has them.
    let own = std::process::id();
    let has_lists = fs::metadata(format!("/proc/{own}/task/{own}/children")).is_ok();
    if has_lists { below(own, children) } else { by_scan() }
}

/// The same by a look at every process there is.
fn by_scan() -> Vec<(u32, Stat)> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let mut by_parent: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for (pid, facts) in pids.filter_map(|pid| Some((pid, stat(pid)?))) {
        by_parent.entry(facts.parent).or_default().push(pid);
    }
    below(std::process::id(), |parent| by_parent.remove(&parent).unwrap_or_default())
}

fn below(root: u32, mut children: impl FnMut(u32) -> Vec<u32>) -> Vec<(u32, Stat)> {
    let mut found = Vec::new();
    let mut parents = vec![root];
    while let Some(parent) = parents.pop() {
        for pid in children(parent) {
            if found.len() >= MAX_LISTED {
                return found;
            }
            if let Some(facts) = stat(pid) {
                found.push((pid, facts));
                parents.push(pid);
            }
        }
    }
    found
}

fn children(parent: u32) -> Vec<u32> {
    let Ok(threads) = fs::read_dir(format!("/proc/{parent}/task")) else { return Vec::new() };
    let lists =
        threads.flatten().filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    let pids =
        |list: String| list.split_ascii_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<u32>>();
    lists.flat_map(pids).collect()
}

/// Sends `signal` to the process `pid` that started at `start_ticks`, and to no other.
pub(super) fn signal(pid: u32, start_ticks: u64, signal: Signal) {
    let Some(target) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return };
    let Ok(descriptor) = pidfd_open(target, PidfdFlags::empty()) else { return };
    if stat(pid).is_some_and(|facts| facts.start_ticks == start_ticks)
        && let Some(signal) = rustix::process::Signal::from_named_raw(signal as i32)
    {
        // Gone in the meantime is what was wanted.
        let _ = pidfd_send_signal(descriptor, signal);
    }
}

/// Processor time in milliseconds that everything below this process has used.
pub(super) fn cpu_ms() -> u64 {
    let per_second =
        sysconf(SysconfVar::CLK_TCK).ok().flatten().and_then(|n| u64::try_from(n).ok()).unwrap_or(100);
    let living: u64 = descendants().iter().map(|(_, facts)| facts.cpu_ticks).sum();
    // What we reaped ourselves is in our own count of children.
    let own = stat_of_reaped().unwrap_or_default();
    (living + own) * 1_000 / per_second.max(1)
}

/// Clock ticks of the children that this process has reaped.
fn stat_of_reaped() -> Option<u64> {
    let text = fs::read_to_string("/proc/self/stat").ok()?;
    let rest = &text[text.rfind(')')? + 1..];
    let mut fields = rest.split_ascii_whitespace().skip(13);
    Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_and_blanks_is_no_trouble() {
        let line = "7 (a) R (b) S 1 7 7 0 -1 4194560 1 2 3 4 10 20 30 40 20 0 1 0 12345 1 1";
        let facts = parse_stat(line).unwrap();
        assert_eq!(facts, Stat { parent: 1, start_ticks: 12_345, is_zombie: false, cpu_ticks: 100 });
        assert!(parse_stat("7 (a").is_none());
        assert!(parse_stat("7 (a) Z 1").is_none());
    }

    #[test]
    fn l19_a_recycled_pid_is_another_object() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let facts = stat(child.id()).unwrap();
        signal(child.id(), facts.start_ticks + 1, Signal::SIGKILL);
        assert!(child.try_wait().unwrap().is_none(), "another start time is another process");
        assert!(descendants().iter().any(|(pid, _)| *pid == child.id()));
        assert!(by_scan().iter().any(|(pid, _)| *pid == child.id()), "and without the kernel's lists");
        signal(child.id(), facts.start_ticks, Signal::SIGKILL);
        assert!(!child.wait().unwrap().success());
        assert!(stat(child.id()).is_none());
    }
}
