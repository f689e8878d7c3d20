//! One short-lived program with a deadline: what it says, or why it says nothing.
//!
//! Only for looking (`tmux -V`, `git --version`). It leaves out what the answer means.

use std::io::Read;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::os::fd::AsFd;

/// How long a program may take: these need milliseconds, and on a busy machine their turn.
const LIMIT: Duration = Duration::from_secs(10);
/// How often an ending program is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// The most that is read, in bytes.
const MAX_OUTPUT: usize = 64 * 1024;

/// What a program said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// It ended with 0.
    pub success: bool,
    /// Its output and errors together, trimmed.
    pub text: String,
}

/// Runs `program` without input and waits for its end.
///
/// In `/`, so that a relative entry of `PATH` finds nothing that a repository brought along, and
/// without what would make git write a trace of it.
///
/// # Errors
/// A sentence's end: that there is no such program, or that it gave no answer in time.
pub fn ask(program: &str, args: &[&str]) -> Result<Answer, String> {
    within(program, args, LIMIT)
}

/// The same with a deadline of its own.
///
/// # Errors
/// As [`ask`].
pub fn within(program: &str, args: &[&str], limit: Duration) -> Result<Answer, String> {
    let deadline = Instant::now() + limit;
    let (mut reader, writer) = std::io::pipe().map_err(|error| format!("no pipe: {error}"))?;
    let copy = writer.try_clone().map_err(|error| format!("no pipe: {error}"))?;
    let mut command = Command::new(program);
    command.args(args).current_dir("/").stdin(Stdio::null()).stdout(writer).stderr(copy);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"GIT_")) {
        command.env_remove(name);
    }
    let spawned = command.spawn();
    // It holds our ends of the pipe; the answer ends only without them.
    drop(command);
    let mut child = spawned.map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => format!("there is no `{program}` in `PATH`"),
        _ => format!("`{program}` can't be started: {error}"),
    })?;
    let said = read(&mut reader, deadline).and_then(|text| Some((text, ended(&mut child, deadline)?)));
    let Some((text, status)) = said else {
        // Ended by now or not: it is collected either way, and its answer is too late.
        let _ = child.kill();
        let _ = child.wait();
        return Err(format!("`{program}` gave no answer in {} s", limit.as_secs()));
    };
    let text = String::from_utf8_lossy(&text).trim().to_owned();
    Ok(Answer { success: status.success(), text })
}

/// All that comes until the pipe's end; none when that doesn't come in time.
fn read(reader: &mut std::io::PipeReader, deadline: Instant) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO);
        let ready = poll(&mut [PollFd::new(reader.as_fd(), PollFlags::POLLIN)], timeout).unwrap_or(0);
        if ready == 0 && Instant::now() >= deadline {
            return None;
        }
        if ready > 0 {
            match reader.read(&mut chunk).ok()? {
                0 => return Some(text),
                count => text.extend(chunk.iter().take(count.min(MAX_OUTPUT.saturating_sub(text.len())))),
            }
        }
    }
}

fn ended(child: &mut Child, deadline: Instant) -> Option<ExitStatus> {
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) if Instant::now() < deadline => std::thread::sleep(LOOK_EVERY),
            Ok(None) | Err(_) => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_program_says_is_read_whole_and_its_failure_is_an_answer() {
        let said = |script: &str| ask("sh", &["-c", script]);
        assert_eq!(said("echo out; echo err >&2"), Ok(Answer { success: true, text: "out\nerr".into() }));
        assert_eq!(said("exit 3"), Ok(Answer { success: false, text: String::new() }));
        let flood = said("head -c 300000 /dev/zero | tr '\\0' x").unwrap();
        assert_eq!(flood.text.len(), MAX_OUTPUT);
    }

    #[test]
    fn a_missing_program_and_a_hung_one_are_told_apart() {
        assert_eq!(
            ask("no-such-program-here", &[]),
            Err("there is no `no-such-program-here` in `PATH`".into())
        );
        let started = Instant::now();
        assert_eq!(ask("sleep", &["600"]), Err("`sleep` gave no answer in 10 s".into()));
        assert!(started.elapsed() < Duration::from_secs(60));
    }
}
