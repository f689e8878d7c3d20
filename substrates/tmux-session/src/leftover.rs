//! Connections whose supervisor was killed while they were attaching.
//!
//! tmux (seen with 3.3a) waits for ever to hand such a client its last lines: the client
//! stays, and with it the server, even after `kill-server`. It leaves out everybody who
//! might still be heard: only who reads a pipe that nobody can write to any more is ended.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;

use crate::control::ATTACH;
use crate::process;
use crate::tree::ask_to_end;

/// Asks every left connection to the server at `socket` to end.
pub(crate) fn end_all(socket: &Path) {
    // Nothing depends on it: who can't be read or asked stays, as it would have without us.
    for stat in process::all().unwrap_or_default() {
        if is_ours(stat.pid, socket) && is_unheard(stat.pid).unwrap_or(false) {
            ask_to_end(stat.pid, stat.start_ticks);
        }
    }
}

/// Whether it was started as our connections are, with the very same words.
fn is_ours(pid: u32, socket: &Path) -> bool {
    let Ok(line) = fs::read(format!("/proc/{pid}/cmdline")) else { return false };
    let words: Vec<&[u8]> = line.split(|&byte| byte == 0).collect();
    let ours: Vec<&[u8]> = [b"-S", socket.as_os_str().as_encoded_bytes()]
        .into_iter()
        .chain(ATTACH.iter().map(|word| word.as_bytes()))
        .collect();
    words.windows(ours.len()).any(|some| some == ours)
}

/// Whether its input is a pipe that nobody holds the other end of.
fn is_unheard(pid: u32) -> io::Result<bool> {
    let input = format!("/proc/{pid}/fd/0");
    if !fs::metadata(&input)?.file_type().is_fifo() {
        return Ok(false);
    }
    // A read end of our own on the same pipe; nothing is read from it.
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    let pipe = OpenOptions::new().read(true).custom_flags(flags).open(&input)?;
    let mut fds = [PollFd::new(&pipe, PollFlags::IN)];
    poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }))?;
    let seen = fds[0].revents();
    Ok(seen.contains(PollFlags::HUP) && !seen.contains(PollFlags::IN))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Child, Command, Stdio};
    use std::time::{Duration, Instant};

    /// A process with the words of a connection to `socket`, which reads nothing.
    fn connection(socket: &str, input: Stdio) -> Child {
        let words = ["-c", "while :; do sleep 0.05; done", "tmux", "-S", socket];
        Command::new("sh").args(words).args(ATTACH).args(["-t", "$0"]).stdin(input).spawn().unwrap()
    }

    fn ends(child: &mut Child) -> bool {
        let until = Instant::now() + Duration::from_secs(10);
        while Instant::now() < until {
            if child.try_wait().unwrap().is_some() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        false
    }

    #[test]
    fn only_a_connection_of_ours_that_nobody_can_speak_to_is_ended() {
        let socket = format!("/tmp/ilchul-leftover-{}", std::process::id());
        let other = format!("{socket}-other");
        let mut heard = connection(&socket, Stdio::piped());
        let mut elsewhere = connection(&other, Stdio::piped());
        let mut plain = connection(&socket, Stdio::null());
        let mut left = connection(&socket, Stdio::piped());
        drop((elsewhere.stdin.take(), left.stdin.take()));
        // The words are there once the shell runs.
        while !is_ours(left.id(), Path::new(&socket)) || !is_ours(heard.id(), Path::new(&socket)) {
            std::thread::sleep(Duration::from_millis(5));
        }
        end_all(Path::new(&socket));
        let ended = ends(&mut left);
        let others = [&mut heard, &mut elsewhere, &mut plain].map(|child| {
            let lives = child.try_wait().unwrap().is_none();
            child.kill().unwrap();
            child.wait().unwrap();
            lives
        });
        let _ = left.kill();
        assert_eq!((ended, others), (true, [true; 3]));
    }
}
