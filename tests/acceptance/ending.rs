//! Ends whoever a world's tests left alive, whether or not a journal tells of them.
//!
//! A worker whose launch a kill interrupted is in no record, nor is a tmux server. All of them
//! were started with their world's own folder in the environment, and nobody else has it.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// How long the kernel may take to end what was killed.
const PATIENCE: Duration = Duration::from_secs(10);

/// Ends every process that was started in the world whose folder is `root`.
pub fn end_all(root: &Path) {
    let begun = Instant::now();
    let ended = |pid: &Pid| kill(*pid, Signal::SIGKILL).is_ok();
    // Again and again, because one that is just being killed may have started another.
    while of_world(root).into_iter().filter(ended).count() > 0 && begun.elapsed() < PATIENCE {
        thread::sleep(Duration::from_millis(10));
    }
}

/// Every live process that was started with `root` in its environment.
pub fn of_world(root: &Path) -> Vec<Pid> {
    let root = root.as_os_str().as_encoded_bytes();
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse::<i32>() else { continue };
        // A process that has ended has none.
        let started_with = fs::read(entry.path().join("environ")).unwrap_or_default();
        if pid > 1 && started_with.windows(root.len()).any(|part| part == root) {
            found.push(Pid::from_raw(pid));
        }
    }
    found
}
