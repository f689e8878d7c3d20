//! Processes by identity: who is there, what belongs to it, and ending all of it.
//!
//! Identity is a pid with its start time, within one boot; see [`boot_id`]. Left
//! out: starting processes, reaping them (only a parent can), and other hosts.

mod tree;

pub use tree::{descendants, end_descendants, end_tree, end_trees};

use std::fmt;
use std::fs;
use std::io;

const ESRCH: i32 = 3;
/// The kernel's flag for its own threads, in field 9.
const PF_KTHREAD: u64 = 0x0020_0000;

/// One process and no other, within one boot of the host: pids are reused, start times aren't.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity {
    /// The process id.
    pub pid: u32,
    /// When it started, in clock ticks since boot (`/proc/<pid>/stat`, field 22).
    pub start_ticks: u64,
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.pid, self.start_ticks)
    }
}

/// A process as `/proc/<pid>/stat` shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Process {
    /// Which process.
    pub identity: Identity,
    /// The pid of its parent.
    pub parent: u32,
    /// Its process group.
    pub group: u32,
    /// Its session in the terminal's sense.
    pub session: u32,
    /// The kernel's letter: `R`, `S`, `D`, `T`, `t`, `Z`, `X`, ...
    pub state: u8,
    /// A thread of the kernel, which has no program, arguments or environment.
    pub kernel: bool,
}

impl Process {
    /// Dead, and perhaps not yet reaped. A stopped process isn't.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        matches!(self.state, b'Z' | b'X' | b'x')
    }
}

/// The kernel's name for this boot; an identity of another boot is gone.
///
/// # Errors
/// When it can't be read (`/proc` isn't mounted).
pub fn boot_id() -> io::Result<String> {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").map(|text| text.trim().to_owned())
}

/// The process that has this pid now, or none.
///
/// # Errors
/// When `/proc` couldn't be read or understood; that proves neither presence nor absence.
pub fn identify(pid: u32) -> io::Result<Option<Process>> {
    let stat = match fs::read(format!("/proc/{pid}/stat")) {
        Ok(stat) => stat,
        Err(error) if is_gone(&error) => return absent_if_proc_works(),
        Err(error) => return Err(error),
    };
    if is_released(&stat) {
        return Ok(None);
    }
    let unreadable =
        || io::Error::new(io::ErrorKind::InvalidData, format!("/proc/{pid}/stat has another form"));
    parse(&stat).map(Some).ok_or_else(unreadable)
}

/// Whether this very process is there and hasn't ended.
///
/// # Errors
/// As [`identify`].
pub fn is_running(identity: Identity) -> io::Result<bool> {
    let there = identify(identity.pid)?;
    Ok(there.is_some_and(|process| process.identity == identity && !process.is_ended()))
}

/// All pids of now.
///
/// # Errors
/// When `/proc` couldn't be read, or shows not even ourselves.
pub fn pids() -> io::Result<Vec<u32>> {
    let mut pids = Vec::new();
    for entry in fs::read_dir("/proc")? {
        pids.extend(entry?.file_name().to_str().and_then(|name| name.parse::<u32>().ok()));
    }
    if pids.contains(&std::process::id()) {
        Ok(pids)
    } else {
        Err(io::Error::new(io::ErrorKind::NotFound, "/proc doesn't show this process"))
    }
}

/// All processes of now, dead ones too.
///
/// # Errors
/// When one couldn't be read for another reason than that it is gone.
pub fn all() -> io::Result<Vec<Process>> {
    let mut processes = Vec::new();
    for pid in pids()? {
        processes.extend(identify(pid)?);
    }
    Ok(processes)
}

/// Whether any process, dead ones included, is in this group; one system call.
#[must_use]
pub fn group_exists(group: u32) -> bool {
    let group = i32::try_from(group).ok().and_then(rustix::process::Pid::from_raw);
    // Whoever may not signal them says so: then they exist.
    group.is_some_and(|group| rustix::process::test_kill_process_group(group) != Err(rustix::io::Errno::SRCH))
}

/// The running processes of a group, in the order of their start.
///
/// # Errors
/// As [`all`].
pub fn group(group: u32) -> io::Result<Vec<Identity>> {
    let mut members: Vec<Process> = all()?;
    members.retain(|process| process.group == group && !process.is_ended());
    members.sort_by_key(|process| (process.identity.start_ticks, process.identity.pid));
    Ok(members.into_iter().map(|process| process.identity).collect())
}

fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(ESRCH)
}

/// Without `/proc` every process would seem gone; ourselves we know to be there.
fn absent_if_proc_works() -> io::Result<Option<Process>> {
    fs::metadata("/proc/self/stat").map(|_| None)
}

/// The name (field 2) may hold blanks and parentheses, so fields count from the last `)`.
fn fields(stat: &[u8]) -> Option<Vec<&[u8]>> {
    let name_ends = stat.iter().rposition(|byte| *byte == b')')?;
    Some(stat.get(name_ends + 2..)?.split(u8::is_ascii_whitespace).collect())
}

/// One that was collected between the open and the read: the kernel still tells of it, and of
/// neither a group nor a session any more.
fn is_released(stat: &[u8]) -> bool {
    fields(stat).is_some_and(|fields| fields.get(2..4) == Some(&[b"-1", b"-1"]))
}

fn parse(stat: &[u8]) -> Option<Process> {
    let pid = number(stat.split(|byte| *byte == b' ').next()?)?;
    let fields = fields(stat)?;
    Some(Process {
        identity: Identity { pid, start_ticks: number(fields.get(19)?)? },
        state: *fields.first()?.first()?,
        parent: number(fields.get(1)?)?,
        group: number(fields.get(2)?)?,
        session: number(fields.get(3)?)?,
        kernel: number::<u64>(fields.get(6)?)? & PF_KTHREAD != 0,
    })
}

fn number<N: std::str::FromStr>(text: &[u8]) -> Option<N> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A running process that never was.
    pub(crate) fn process(pid: u32, parent: u32, group: u32, start_ticks: u64) -> Process {
        Process {
            identity: Identity { pid, start_ticks },
            parent,
            group,
            session: 1,
            state: b'S',
            kernel: false,
        }
    }

    #[test]
    fn a_name_with_blanks_and_parentheses_hides_no_field() {
        let tail = "S 11 22 33 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 98765 1000 1 18446744073709551615";
        for name in ["sh", "a b", ") S 1 1 1", "((", "a)b) (c", ""] {
            let found = parse(format!("77 ({name}) {tail}\n").as_bytes()).unwrap();
            assert_eq!(found, Process { session: 33, ..process(77, 11, 22, 98765) }, "{name}");
        }
    }

    #[test]
    fn l9_a_stat_of_another_form_is_no_process_and_no_absence() {
        for text in ["", "77", "77 (sh", "77 (sh)", "77 (sh) S", "77 (sh) S 1 2 3", "x (sh) S 1 2 3"] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn l9_a_process_that_is_collected_while_it_is_read_is_gone_and_no_trouble() {
        let of = |group: &str, session: &str| {
            let text =
                format!("77 (a) b) X 0 {group} {session} 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 98765 0 0\n");
            is_released(text.as_bytes())
        };
        assert!(of("-1", "-1") && !of("22", "33") && !of("0", "0"));
        assert!(!is_released(b"77 (sh)") && !is_released(b""));
    }

    #[test]
    fn we_are_there_and_an_impossible_pid_is_not() {
        let me = identify(std::process::id()).unwrap().unwrap();
        assert!(is_running(me.identity).unwrap());
        assert!(all().unwrap().iter().any(|process| process.identity == me.identity));
        assert!(group(me.group).unwrap().contains(&me.identity));
        assert!(group_exists(me.group));
        assert_eq!(identify(u32::MAX).unwrap(), None);
        assert!(!group_exists(u32::MAX));
    }

    #[test]
    fn l19_a_recycled_pid_is_another_object() {
        let me = identify(std::process::id()).unwrap().unwrap().identity;
        let before = Identity { start_ticks: me.start_ticks + 1, ..me };
        assert!(!is_running(before).unwrap());
    }

    #[test]
    fn only_the_dead_have_ended() {
        for (state, ended) in [(b'Z', true), (b'X', true), (b'T', false), (b't', false), (b'D', false)] {
            assert_eq!(Process { state, ..process(2, 1, 2, 3) }.is_ended(), ended);
        }
    }

    #[test]
    fn a_boot_has_one_name() {
        let boot = boot_id().unwrap();
        assert_eq!(boot.len(), 36);
        assert_eq!(boot_id().unwrap(), boot);
    }
}
