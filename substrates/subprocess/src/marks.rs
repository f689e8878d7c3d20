//! Finding sessions by `ILCHUL_MARK` in `/proc/<pid>/environ`.
//!
//! It leaves out processes whose environment the user may not read: they belong
//! to others, or made themselves unreadable, and are not ours to adopt.

use crate::process::{self, Identity, Process};
use ilchul_substrate::{Error, Mark};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::thread;
use std::time::Duration;

/// The variable under which a session's processes are found again.
pub(crate) const VARIABLE: &str = "ILCHUL_MARK";

/// The kernel allows arguments and environment 6 MiB by default; more is cut off.
const LARGEST_ENVIRONMENT: u64 = 8 << 20;

/// An `exec` takes microseconds; on a loaded machine it may lose its processor in between.
const MOST_LOOKS: u32 = 100;
const BETWEEN_LOOKS: Duration = Duration::from_millis(1);

const ESRCH: i32 = 3;

/// The processes that bear one mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Carriers {
    /// The one that leads the session's process group, if it still runs.
    pub(crate) leader: Option<Identity>,
    /// The oldest of all.
    pub(crate) first: Identity,
}

/// All marks of `run` that running processes bear.
///
/// # Errors
/// When `/proc` couldn't be read, or a process in it for another reason than that
/// it is gone or somebody else's.
pub(crate) fn of_run(run: &str) -> Result<BTreeMap<Mark, Carriers>, Error> {
    let failed = |error| Error::io("look for", format!("processes of run `{run}`"), error);
    let mut by_mark: BTreeMap<Mark, Vec<Process>> = BTreeMap::new();
    for (pid, mark) in marks_of(process::pids().map_err(failed)?).map_err(failed)? {
        // Gone or replaced in between: then it bears no mark any more.
        if mark.run() == run
            && let Some(process) = running(pid).map_err(failed)?
        {
            by_mark.entry(mark).or_default().push(process);
        }
    }
    Ok(by_mark.into_iter().filter_map(|(mark, bearers)| Some((mark, carriers(bearers)?))).collect())
}

/// Whether this very process bears `mark`; false where that can't be read.
pub(crate) fn bears(identity: Identity, mark: &Mark) -> bool {
    let borne = marks_of(vec![identity.pid]).is_ok_and(|found| found.iter().any(|(_, borne)| borne == mark));
    // After reading, because the pid could have been reused before.
    borne && process::is_running(identity).unwrap_or(false)
}

fn running(pid: u32) -> io::Result<Option<Process>> {
    Ok(process::identify(pid)?.filter(|process| !process.is_ended()))
}

/// The marks of those of `pids` that bear one.
///
/// In the middle of `exec` a process has neither arguments nor environment yet, and a
/// spawn returns to its parent by then: such a one is looked at again, or a session
/// that was just started would be missed.
fn marks_of(mut pids: Vec<u32>) -> io::Result<Vec<(u32, Mark)>> {
    let mut found = Vec::new();
    for look in 0..MOST_LOOKS {
        let mut unsettled = Vec::new();
        for pid in pids {
            // Read before the environment: once there are arguments, both are there soon.
            let settled = look > 0 && !read("cmdline", pid)?.is_none_or(|text| text.is_empty());
            match read("environ", pid)? {
                None => {}
                Some(text) if text.is_empty() => {
                    let process = if settled { None } else { running(pid)? };
                    unsettled.extend(process.filter(|process| !process.kernel).map(|_| pid));
                }
                Some(text) => found.extend(mark_in(&text).map(|mark| (pid, mark))),
            }
        }
        if unsettled.is_empty() {
            break;
        }
        pids = unsettled;
        thread::sleep(BETWEEN_LOOKS);
    }
    Ok(found)
}

/// Jobs of a shell lead groups too and inherit the mark; the session's leader is the
/// one that no other bearer started.
fn carriers(mut bearers: Vec<Process>) -> Option<Carriers> {
    bearers.sort_by_key(|process| (process.identity.start_ticks, process.identity.pid));
    let is_child = |process: &Process| bearers.iter().any(|other| other.identity.pid == process.parent);
    let leads = |process: &&Process| process.group == process.identity.pid && !is_child(process);
    let leader = bearers.iter().find(leads).map(|process| process.identity);
    bearers.first().map(|process| Carriers { leader, first: process.identity })
}

/// A file of a process; none where the process is gone or not ours to read.
fn read(name: &str, pid: u32) -> io::Result<Option<Vec<u8>>> {
    let mut text = Vec::new();
    let read = File::open(format!("/proc/{pid}/{name}"))
        .and_then(|file| file.take(LARGEST_ENVIRONMENT).read_to_end(&mut text));
    match read {
        Ok(_) => Ok(Some(text)),
        Err(error)
            if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied)
                || error.raw_os_error() == Some(ESRCH) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn mark_in(environment: &[u8]) -> Option<Mark> {
    let prefix = format!("{VARIABLE}=");
    let mut variables = environment.split(|byte| *byte == 0);
    let value = variables.find_map(|variable| variable.strip_prefix(prefix.as_bytes()))?;
    std::str::from_utf8(value).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::tests::process;
    use std::process::Command;

    #[test]
    fn the_mark_is_read_from_the_whole_variable_only() {
        let mark = |text: &[u8]| mark_in(text).map(|mark| mark.to_string());
        assert_eq!(mark(b"A=1\0ILCHUL_MARK=ilchul.r.t.1\0B=2\0").as_deref(), Some("ilchul.r.t.1"));
        assert_eq!(mark(b"XILCHUL_MARK=ilchul.r.t.1\0"), None);
        assert_eq!(mark(b"ILCHUL_MARKS=ilchul.r.t.1\0"), None);
        assert_eq!(mark(b"ILCHUL_MARK=\xff\0"), None);
        assert_eq!(mark(b""), None);
    }

    #[test]
    fn a_process_without_an_environment_is_settled_and_bears_nothing() {
        let mut bare = Command::new("sleep").arg("600").env_clear().spawn().unwrap();
        let found = marks_of(vec![bare.id()]).unwrap();
        bare.kill().unwrap();
        // A zombie has no environment either, and will never have one.
        let dead = marks_of(vec![bare.id()]).unwrap();
        bare.wait().unwrap();
        assert_eq!((found, dead), (vec![], vec![]));
    }

    #[test]
    fn a_bearer_is_found_from_the_moment_it_was_spawned() {
        let mark: Mark = format!("ilchul.spawn{}.t.1", std::process::id()).parse().unwrap();
        for _ in 0..50 {
            let mut child = Command::new("sleep").arg("600").env(VARIABLE, mark.to_string()).spawn().unwrap();
            let found = marks_of(vec![child.id()]).unwrap();
            child.kill().unwrap();
            child.wait().unwrap();
            assert_eq!(found, [(child.id(), mark.clone())]);
        }
    }

    #[test]
    fn the_leader_is_the_group_leader_that_no_other_bearer_started() {
        // Same tick, and the pids have wrapped: only parentage tells them apart.
        let leader = process(900, 1, 900, 50);
        let job = process(20, 900, 20, 50);
        let member = process(901, 900, 900, 51);
        let found = carriers(vec![job, member, leader]).unwrap();
        assert_eq!(found.leader, Some(leader.identity));
    }

    #[test]
    fn what_a_dead_leader_left_in_its_group_leads_nothing() {
        let left = process(901, 1, 900, 51);
        let found = carriers(vec![left]).unwrap();
        assert_eq!(found, Carriers { leader: None, first: left.identity });
    }
}
