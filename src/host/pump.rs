//! Reading a pipe on a thread of its own, and knowing when nothing more is to be expected of it.
//!
//! What a program left running, or the master of an ssh link, may hold its pipes open for ever.
//! It leaves out what becomes of the bytes.

use std::io::Read;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// For so long an open pipe may be without a word once its program has ended.
pub(super) const REST: Duration = Duration::from_secs(2);
/// Between two looks at the thread.
const PAUSE: Duration = Duration::from_millis(2);

/// A pipe that is read.
#[derive(Debug)]
pub struct Pump {
    /// Since when the thread stands in front of an empty pipe; none while it is busy with bytes.
    idle: Arc<Mutex<Option<Instant>>>,
    thread: Option<JoinHandle<()>>,
}

impl Pump {
    /// Gives what comes to `each`, until the pipe's end or until that answers `false`.
    pub fn of(
        pipe: Option<impl Read + Send + 'static>,
        mut each: impl FnMut(&[u8]) -> bool + Send + 'static,
    ) -> Self {
        let idle = Arc::new(Mutex::new(None));
        let shared = idle.clone();
        let set = move |since| *shared.lock().unwrap_or_else(PoisonError::into_inner) = since;
        let thread = pipe.map(|mut pipe| {
            thread::spawn(move || {
                let mut piece = vec![0; 64 << 10];
                loop {
                    set(Some(Instant::now()));
                    let Ok(count @ 1..) = pipe.read(&mut piece) else { break };
                    set(None);
                    if !each(&piece[..count]) {
                        break;
                    }
                }
            })
        });
        Self { idle, thread }
    }

    /// Waits for the pipe's end, or until it was silent for a while after its program `ended`.
    /// What takes long to be given on (a pager's reader, a slow disk) isn't silence.
    pub fn rest(&self, ended: Instant) {
        let is_silent = || {
            let idle = *self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            idle.is_some_and(|since| since.max(ended).elapsed() >= REST)
        };
        while self.thread.as_ref().is_some_and(|thread| !thread.is_finished()) && !is_silent() {
            thread::sleep(PAUSE);
        }
    }
}
