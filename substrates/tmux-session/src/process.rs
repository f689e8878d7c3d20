//! Who a process is: pid, start ticks, boot and pid namespace, read from `/proc`.
//!
//! It leaves out signals (`tree`) and what follows from an answer (`judge`).

use std::io::{Error, ErrorKind, Result};
use std::{fs, str};

use ilchul_substrate::Exit;

/// What `/proc/<pid>/stat` says, as far as identity and ancestry need it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) pid: u32,
    pub(crate) parent: u32,
    /// The session it belongs to: the pid of the process that began it.
    pub(crate) session: u32,
    /// Clock ticks from boot to its start.
    pub(crate) start_ticks: u64,
    /// A zombie: ended, only its exit is still to be collected.
    pub(crate) ended: bool,
    /// How a zombie ended, where we may read it.
    pub(crate) exit: Option<Exit>,
}

/// Whether the process that had this pid and start is still there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Life {
    Running,
    /// Ended so; its parent hasn't collected the exit yet.
    Zombie(Option<Exit>),
    Gone,
    /// The pid lives, but began at another time: another process.
    Replaced,
    Unreadable(String),
}

/// Reads one process; `None` where there is no such pid.
pub(crate) fn stat(pid: u32) -> Result<Option<Stat>> {
    match fs::read(format!("/proc/{pid}/stat")) {
        Ok(text) => parse_stat(&text).map(Some).ok_or_else(|| {
            Error::new(ErrorKind::InvalidData, format!("`/proc/{pid}/stat` has another form"))
        }),
        // ESRCH: it ended between the open and the read.
        Err(error) if error.kind() == ErrorKind::NotFound || error.raw_os_error() == Some(3) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether the process with this pid and start lives.
pub(crate) fn life(pid: u32, start_ticks: u64) -> Life {
    match stat(pid) {
        Ok(None) => Life::Gone,
        Ok(Some(stat)) if stat.start_ticks != start_ticks => Life::Replaced,
        Ok(Some(stat)) if stat.ended => Life::Zombie(stat.exit),
        Ok(Some(_)) => Life::Running,
        Err(error) => Life::Unreadable(format!("process {pid} can't be read: {error}")),
    }
}

/// All processes that can be read.
pub(crate) fn all() -> Result<Vec<Stat>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        if let Some(pid) = name.to_str().and_then(|name| name.parse().ok())
            && let Ok(Some(stat)) = stat(pid)
        {
            found.push(stat);
        }
    }
    Ok(found)
}

/// This boot's id.
pub(crate) fn boot_id() -> Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

/// Our pid namespace: pids mean nothing outside it, and "no such pid" even less.
pub(crate) fn pid_namespace() -> Result<String> {
    Ok(fs::read_link("/proc/self/ns/pid")?.to_string_lossy().into_owned())
}

fn parse_stat(text: &[u8]) -> Option<Stat> {
    // The name stands in parentheses and may itself hold spaces and parentheses.
    let open = text.iter().position(|&byte| byte == b'(')?;
    let close = text.iter().rposition(|&byte| byte == b')')?;
    let pid = str::from_utf8(text.get(..open)?).ok()?.trim().parse().ok()?;
    let rest = str::from_utf8(text.get(close + 1..)?).ok()?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    let state = *fields.first()?;
    let threads: i64 = fields.get(17)?.parse().ok()?;
    // A first thread that ended before the others shows as a zombie too, but the process lives.
    let ended = matches!(state, "X" | "x") || (state == "Z" && threads <= 1);
    Some(Stat {
        pid,
        parent: fields.get(1)?.parse().ok()?,
        // Kernel threads of another namespace show session 0 or -1.
        session: fields.get(3)?.parse().unwrap_or(0),
        start_ticks: fields.get(19)?.parse().ok()?,
        ended,
        exit: fields.get(49).filter(|_| ended).and_then(|field| field.parse().ok()).and_then(exit),
    })
}

/// What `waitpid` would give: a code in the second byte, a signal in the low seven bits.
fn exit(status: i32) -> Option<Exit> {
    match status & 0x7f {
        0 => Some(Exit::Code((status >> 8) & 0xff)),
        0x7f => None,
        signal => Some(Exit::Signal(signal)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_spaces_and_parentheses_is_read() {
        let line = b"42 (a) b (c) S 7 42 40 0 -1 0 0 0 0 0 0 0 0 0 20 0 3 0 9876 0 0";
        let stat = parse_stat(line).unwrap();
        assert_eq!(
            (stat.pid, stat.parent, stat.session, stat.start_ticks, stat.ended),
            (42, 7, 40, 9876, false)
        );
    }

    #[test]
    fn only_a_zombie_without_other_threads_has_ended() {
        let line =
            |state, threads| format!("42 (a) {state} 7 42 40 0 -1 0 0 0 0 0 0 0 0 0 20 0 {threads} 0 9 0 0");
        assert!(parse_stat(line("Z", 1).as_bytes()).unwrap().ended);
        assert!(!parse_stat(line("Z", 2).as_bytes()).unwrap().ended);
        assert!(!parse_stat(line("T", 1).as_bytes()).unwrap().ended, "stopped isn't dead");
    }

    #[test]
    fn a_zombie_tells_how_it_ended() {
        assert_eq!(exit(0), Some(Exit::Code(0)));
        assert_eq!(exit(3 << 8), Some(Exit::Code(3)));
        assert_eq!(exit(9), Some(Exit::Signal(9)));
        assert_eq!(exit(0x80 | 11), Some(Exit::Signal(11)), "with a core");
        let mut child = std::process::Command::new("sh").args(["-c", "exit 7"]).spawn().unwrap();
        let stat = loop {
            let stat = stat(child.id()).unwrap().unwrap();
            if stat.ended {
                break stat;
            }
            std::thread::yield_now();
        };
        assert_eq!(life(stat.pid, stat.start_ticks), Life::Zombie(Some(Exit::Code(7))));
        child.wait().unwrap();
    }

    #[test]
    fn what_has_another_form_is_no_process() {
        for text in [&b""[..], b"42", b"42 (", b")(", b"42 (x) S", b"x (y) S 1 1 1"] {
            assert_eq!(parse_stat(text), None);
        }
    }

    #[test]
    fn l19_a_recycled_pid_is_another_object() {
        let own = stat(std::process::id()).unwrap().unwrap();
        assert_eq!(life(own.pid, own.start_ticks), Life::Running);
        assert_eq!(life(own.pid, own.start_ticks - 1), Life::Replaced);
        assert_eq!(life(u32::MAX, own.start_ticks), Life::Gone);
    }

    #[test]
    fn boot_and_namespace_can_be_read() {
        assert_eq!(boot_id().unwrap().len(), 36);
        assert!(pid_namespace().unwrap().starts_with("pid:["));
    }
}
