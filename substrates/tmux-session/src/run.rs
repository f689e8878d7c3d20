//! One short-lived child with a deadline: its output, or why there is none.
//!
//! It leaves out what the program is; a hung one is killed and named by the caller.

use std::io;
use std::os::fd::AsFd;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::read;

/// The most output we take from one command, in bytes; far above what any listing needs.
const MAX_OUTPUT: usize = 16 << 20;

/// What a child said.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) success: bool,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum NoAnswer {
    Start(io::Error),
    Late,
    Io(io::Error),
}

/// Runs `command` without input, at most for `limit`.
pub(crate) fn run(command: &mut Command, limit: Duration) -> Result<Answer, NoAnswer> {
    let until = Instant::now() + limit;
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.map_err(NoAnswer::Start)?;
    let answer = collect(&mut child, until);
    if answer.is_err() {
        // It may have ended by itself meanwhile; either way it is collected.
        let _killed = child.kill();
        let _collected = child.wait();
    }
    answer
}

/// Reads both pipes to their end. A grandchild that keeps one open is as late as the child.
fn collect(child: &mut Child, until: Instant) -> Result<Answer, NoAnswer> {
    let missing = || NoAnswer::Io(io::Error::other("no pipe"));
    let (out_pipe, err_pipe) =
        (child.stdout.take().ok_or_else(missing)?, child.stderr.take().ok_or_else(missing)?);
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let (mut out_open, mut err_open) = (true, true);
    // Both at once: a child that fills one pipe while we wait for the other would hang.
    while out_open || err_open {
        let left = until.saturating_duration_since(Instant::now());
        let timeout = Timespec::try_from(left).map_err(|error| NoAnswer::Io(io::Error::other(error)))?;
        let mut fds = Vec::new();
        if out_open {
            fds.push(PollFd::new(&out_pipe, PollFlags::IN));
        }
        if err_open {
            fds.push(PollFd::new(&err_pipe, PollFlags::IN));
        }
        match poll(&mut fds, Some(&timeout)) {
            Ok(0) => return Err(NoAnswer::Late),
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(NoAnswer::Io(error.into())),
        }
        let ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        drop(fds);
        let mut ready = ready.into_iter();
        if out_open && ready.next() == Some(true) {
            out_open = take(&out_pipe, &mut out)?;
        }
        if err_open && ready.next() == Some(true) {
            err_open = take(&err_pipe, &mut err)?;
        }
    }
    let success = wait(child, until)?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ok(Answer { success, out: text(out), err: text(err) })
}

/// Whether more may come.
fn take(pipe: impl AsFd, into: &mut Vec<u8>) -> Result<bool, NoAnswer> {
    let mut buffer = [0_u8; 16 << 10];
    match read(pipe, &mut buffer) {
        Ok(0) => Ok(false),
        Ok(count) if into.len() + count > MAX_OUTPUT => {
            Err(NoAnswer::Io(io::Error::other("too much output")))
        }
        Ok(count) => {
            into.extend_from_slice(&buffer[..count]);
            Ok(true)
        }
        Err(rustix::io::Errno::INTR) => Ok(true),
        Err(error) => Err(NoAnswer::Io(error.into())),
    }
}

/// The status of a child that closed its pipes.
fn wait(child: &mut Child, until: Instant) -> Result<bool, NoAnswer> {
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(status.success()),
            Ok(None) if Instant::now() >= until => return Err(NoAnswer::Late),
            // Its pipes are closed, so it is ending: this is microseconds, rarely entered.
            Ok(None) => thread::sleep(Duration::from_micros(200)),
            Err(error) => return Err(NoAnswer::Io(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str, limit: Duration) -> Result<Answer, NoAnswer> {
        run(Command::new("sh").args(["-c", script]), limit)
    }

    #[test]
    fn both_streams_and_the_status_arrive() {
        let answer = sh("echo a; echo b >&2; exit 3", Duration::from_secs(10)).unwrap();
        assert_eq!((answer.success, answer.out.as_str(), answer.err.as_str()), (false, "a\n", "b\n"));
    }

    #[test]
    fn a_hung_child_ends_with_the_deadline() {
        let begun = Instant::now();
        assert!(matches!(sh("exec sleep 600", Duration::from_millis(100)), Err(NoAnswer::Late)));
        let closed = sh("exec >&- 2>&-; exec sleep 600", Duration::from_millis(100));
        assert!(matches!(closed, Err(NoAnswer::Late)));
        assert!(begun.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn a_missing_program_is_named_as_such() {
        let missing = run(&mut Command::new("/no/such/program"), Duration::from_secs(1));
        assert!(matches!(missing, Err(NoAnswer::Start(_))));
    }
}
