//! Running a child with a time limit, and never waiting for the end of its pipes.
//!
//! It leaves out what is run.

use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::pump::Pump;
use super::{HostError, Input, Ran};

/// The most that is kept of an output.
pub const OUTPUT_MAX: usize = 64 << 20;
/// The time of a call that moves one file.
pub(super) const LIMIT: Duration = Duration::from_secs(600);
/// Between two looks at a child.
const PAUSE: Duration = Duration::from_millis(2);

/// Runs `command` with `input`, for `limit` at most.
pub(super) fn run(command: Command, input: Input, limit: Duration) -> Result<Ran, HostError> {
    let kept = Kept::default();
    let mut ran = run_into(command, (input, limit), kept.taker(OUTPUT_MAX + 1))?;
    ran.stdout = kept.taken();
    // Half an answer is none.
    if ran.stdout.len() > OUTPUT_MAX { Err(HostError::Long) } else { Ok(ran) }
}

/// The same; what it prints goes to `each`, which answers whether it wants more.
pub(super) fn run_into(
    mut command: Command,
    (input, limit): (Input, Duration),
    each: impl FnMut(&[u8]) -> bool + Send + 'static,
) -> Result<Ran, HostError> {
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
    let complaint = Kept::default();
    let out = Pump::of(child.stdout.take(), each);
    let err = Pump::of(child.stderr.take(), complaint.taker(OUTPUT_MAX));
    let code = wait(&mut child, limit).ok_or(HostError::Late(limit))?;
    let ended = Instant::now();
    out.rest(ended);
    err.rest(ended);
    Ok(Ran { code, stdout: Vec::new(), stderr: complaint.taken() })
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

/// Bytes that a thread brings together.
#[derive(Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Kept {
    /// Keeps `max` bytes; what comes after them is read all the same, so that nothing stands still.
    fn taker(&self, max: usize) -> impl FnMut(&[u8]) -> bool + Send + 'static {
        let kept = self.0.clone();
        move |piece| {
            let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
            let room = max.saturating_sub(kept.len());
            kept.extend_from_slice(&piece[..piece.len().min(room)]);
            true
        }
    }

    fn taken(self) -> Vec<u8> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
