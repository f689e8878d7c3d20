//! Running a child with a time limit, and never waiting for the end of its pipes.
//!
//! What a killed client started, or the master of an ssh link, may hold them open for ever. It
//! leaves out what is run.

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::{HostError, Input, Ran};

/// The most that is kept of an output.
pub const OUTPUT_MAX: usize = 64 << 20;
/// The time of a call that moves one file.
pub(super) const LIMIT: Duration = Duration::from_secs(600);
/// Between two looks at a child.
const PAUSE: Duration = Duration::from_millis(2);
/// For so long the pipes of a child that has ended may still bring something.
const REST: Duration = Duration::from_secs(2);

/// Runs `command` with `input`, for `limit` at most.
pub(super) fn run(mut command: Command, input: Input, limit: Duration) -> Result<Ran, HostError> {
    let bytes = match input {
        Input::Nothing => {
            command.stdin(Stdio::null());
            None
        }
        Input::File(file) => {
            command.stdin(file);
            None
        }
        Input::Bytes(bytes) => {
            command.stdin(Stdio::piped());
            Some(bytes)
        }
    };
    let mut child =
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(HostError::Start)?;
    if let (Some(bytes), Some(mut pipe)) = (bytes, child.stdin.take()) {
        // One that doesn't read it says so by its exit.
        thread::spawn(move || pipe.write_all(&bytes));
    }
    let (out, err) = (Drain::of(child.stdout.take()), Drain::of(child.stderr.take()));
    let code = wait(&mut child, limit).ok_or(HostError::Late(limit))?;
    let until = Instant::now() + REST;
    Ok(Ran { code, stdout: out.taken(until), stderr: err.taken(until) })
}

/// The exit code; none where the child had to be ended.
fn wait(child: &mut Child, limit: Duration) -> Option<i32> {
    let began = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status.code().unwrap_or(-1)),
            Ok(None) if began.elapsed() < limit => thread::sleep(PAUSE),
            Ok(None) | Err(_) => {
                let _ = child.kill();
                let _ = child.wait();
                return None;
            }
        }
    }
}

/// A pipe that is read on a thread of its own.
struct Drain {
    bytes: Arc<Mutex<Vec<u8>>>,
    thread: Option<JoinHandle<()>>,
}

impl Drain {
    fn of(pipe: Option<impl Read + Send + 'static>) -> Self {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let (kept, mut piece) = (bytes.clone(), vec![0; 64 << 10]);
        let thread = pipe.map(|mut pipe| {
            thread::spawn(move || {
                while let Ok(count @ 1..) = pipe.read(&mut piece) {
                    let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                    let room = OUTPUT_MAX.saturating_sub(kept.len());
                    kept.extend_from_slice(&piece[..count.min(room)]);
                }
            })
        });
        Self { bytes, thread }
    }

    /// What came, waiting for the end of the pipe no longer than `until`.
    fn taken(self, until: Instant) -> Vec<u8> {
        while self.thread.as_ref().is_some_and(|thread| !thread.is_finished()) && Instant::now() < until {
            thread::sleep(PAUSE);
        }
        std::mem::take(&mut *self.bytes.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
