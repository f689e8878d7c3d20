//! What a dead worker left running, so that it can be named.
//!
//! A process that left its session and lost its parents is told by the variables that its
//! worker gave to all its children. It is named and never ended: a variable is inherited by
//! whatever a user starts there, and proves too little to end anything by.

use std::fs::File;
use std::io::Read;

use ilchul_subprocess::process::{self, Process};

/// The most of an environment that is read, in bytes; the kernel's default limit is below.
const LARGEST: u64 = 8 << 20;
/// The most processes that are named.
const NAMED: usize = 5;

/// `detail`, with a clause about what `worker` of `run` left running, if it left anything.
pub(super) fn added(detail: String, run: &str, worker: &str) -> String {
    match named(run, worker) {
        Some(left) => format!("{detail}; {left}"),
        None => detail,
    }
}

/// A clause about all processes that bear the names of `worker` of `run`; none without any.
fn named(run: &str, worker: &str) -> Option<String> {
    let left = find(run, worker);
    let words: Vec<String> = left.iter().take(NAMED).map(words).collect();
    let more = if left.len() > NAMED { format!(" and {} more", left.len() - NAMED) } else { String::new() };
    (!left.is_empty()).then(|| format!("it left running: {}{more}", words.join(", ")))
}

fn find(run: &str, worker: &str) -> Vec<Process> {
    let wanted = [format!("ILCHUL_RUN={run}"), format!("ILCHUL_WORKER={worker}")];
    let all = process::all().unwrap_or_default();
    let bears = |process: &Process| {
        let variables = environment(process.identity.pid);
        wanted.iter().all(|wanted| variables.split(|byte| *byte == 0).any(|found| found == wanted.as_bytes()))
    };
    // Compared afterwards, because a pid may have changed hands while its environment was read.
    let same = |process: &Process| process::is_running(process.identity).unwrap_or(false);
    all.into_iter().filter(|process| !process.is_ended() && bears(process) && same(process)).collect()
}

/// The variables of a process, as the kernel shows them; nothing where they can't be read.
pub(super) fn environment(pid: u32) -> Vec<u8> {
    let mut text = Vec::new();
    // Somebody else's, or gone: then it isn't one of ours either.
    let _ =
        File::open(format!("/proc/{pid}/environ")).and_then(|file| file.take(LARGEST).read_to_end(&mut text));
    text
}

fn words(process: &Process) -> String {
    let pid = process.identity.pid;
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    format!("process {pid} ({})", name.trim().escape_debug())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn what_bears_both_names_is_named_and_nobody_else() {
        let run = format!("leftover{}", std::process::id());
        let start = |worker: &str| {
            let mut command = Command::new("sleep");
            command.arg("600").env("ILCHUL_RUN", &run).env("ILCHUL_WORKER", worker).spawn().unwrap()
        };
        let (mut ours, mut other) = (start("a.1"), start("a.11"));
        // A process bears its names only once its exec is done.
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
        let found = loop {
            let found = named(&run, "a.1");
            if found.is_some() || std::time::Instant::now() > deadline {
                break found;
            }
        };
        let expected = format!("it left running: process {} (sleep)", ours.id());
        for child in [&mut ours, &mut other] {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        assert_eq!(found, Some(expected));
        assert_eq!(named(&run, "a.1"), None);
    }
}
