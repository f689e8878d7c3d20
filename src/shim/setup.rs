//! What a fresh tree is given before its worker is ready: `ilchul shim --setup FILE ...`.
//!
//! Run by the very shim that will own the child, or that will become the worker: so it
//! ends with its session, and whoever adopts that session needn't start it again. Its
//! output has a log of its own, because evidence is read from the worker's. It leaves out
//! what is copied into the tree, which was done before, and every approval.

use super::launch::Session;
use super::output::Log;
use super::relay::{self, Relay};
use super::run::{self, LOOK_EVERY};
use super::spawn::Program;
use super::terminal::{Pair, Pane};
use super::tree::{End, Tree};
use super::{ShimError, beat, checkout, clock, process, system};
use crate::mail;
use crate::protocol::{ChildFacts, Problem, SETUP_FAILED, STOP, SetupSpec, Stop, WALL_TIME, parse};
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::time::{Duration, Instant};

/// The longest wait: a later deadline would be beyond the clock's range.
pub(super) const MAX_WAIT: Duration = Duration::from_secs(30 * 86_400);
/// How long output is waited for after the tree's end.
const DRAIN_PATIENCE: Duration = Duration::from_millis(500);
/// Bytes of the log's end that a reason is taken from.
const TAIL: u64 = 2_048;
/// Lines of them that it repeats, and characters altogether.
const TAIL_LINES: usize = 3;
const TAIL_CHARS: usize = 400;

/// Runs every command of the specification; the answer is why the tree can't be used, if it can't.
pub(super) fn run(session: &Session, file: &Path) -> Result<Option<String>, ShimError> {
    let spec = read(file)?;
    if let Some(checkout) = &spec.checkout {
        if let Some(stopped) = stop_order(session) {
            return Ok(Some(stopped.why.to_owned()));
        }
        if let Some(why) = checkout::run(session, checkout, (&spec.log, spec.log_cap)) {
            return Ok(Some(why));
        }
    }
    // From here on: a slow checkout has a time of its own.
    let until = clock::now() + Duration::from_millis(spec.timeout_ms).min(MAX_WAIT);
    for command in &spec.commands {
        // A launch that was given up while it was made finds that here.
        if let Some(stopped) = stop_order(session) {
            return Ok(Some(stopped.why.to_owned()));
        }
        if let Some(why) = one(session, &spec, command, until) {
            return Ok(Some(why));
        }
    }
    Ok(None)
}

fn read(file: &Path) -> Result<SetupSpec, ShimError> {
    let bytes = mail::read_regular(file)?;
    rustix::fs::unlink(file).map_err(system("remove the specification of the setup"))?;
    serde_json::from_slice(&bytes).map_err(|error| {
        let problem = Problem { code: "bad_value", path: String::new(), message: error.to_string() };
        ShimError::Document(file.to_owned(), problem)
    })
}

/// Runs one command; the answer is why it failed, if it did.
fn one(session: &Session, spec: &SetupSpec, command: &str, until: Instant) -> Option<String> {
    let failed = |what: &str| Some(format!("{SETUP_FAILED}`{command}` {what}{}", tail(&spec.log)));
    let (child, relay) = match start(spec, command) {
        Ok(started) => started,
        Err(error) => {
            let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
            return failed(&format!("couldn't be started: failed to {error}{}", cause.unwrap_or_default()));
        }
    };
    let grace = Duration::from_millis(spec.grace_ms).min(MAX_WAIT);
    match attend(session, (child, relay), until, grace) {
        Ended::Stopped(why) => Some(why.to_owned()),
        Ended::Late => failed(&format!("wasn't done within the setup's {} s", spec.timeout_ms / 1_000)),
        Ended::Well => None,
        Ended::Badly(how) => failed(&how),
    }
}

/// How a child that sets up a tree ended.
pub(super) enum Ended {
    /// With 0, by itself.
    Well,
    /// By itself too, and otherwise; the end of a sentence.
    Badly(String),
    /// By us: its time was up.
    Late,
    /// By us: somebody wants this session to end.
    Stopped(&'static str),
}

/// Stays with a child until its whole tree has ended.
pub(super) fn attend(
    session: &Session,
    (child, relay): (Pid, Relay),
    until: Instant,
    grace: Duration,
) -> Ended {
    beat::of_setup(&session.mail, &facts(child));
    let mut phase = Phase { session, tree: Tree::new(child), relay, until, why: None };
    phase.live(grace);
    let Phase { tree, mut relay, why, .. } = phase;
    relay.drain(&session.signals, DRAIN_PATIENCE, clock::now);
    match (why, tree.end()) {
        (Some(Why::Stopped(why)), _) => Ended::Stopped(why),
        (Some(Why::Late), _) => Ended::Late,
        (None, Some((End::Code(0), _))) => Ended::Well,
        (None, Some((End::Code(code), _))) => Ended::Badly(format!("ended with exit code {code}")),
        (None, Some((End::Signal(signal), _))) => Ended::Badly(format!("was ended by signal {signal}")),
        (None, Some((End::Unseen, _)) | None) => Ended::Badly("ended, nobody saw how".to_owned()),
    }
}

/// Who is to be ended if this shim dies: its successor finds it in the last heartbeat.
fn facts(child: Pid) -> ChildFacts {
    let pid = u32::try_from(child.as_raw()).unwrap_or_default();
    let start_ticks = process::stat(pid).map(|facts| facts.start_ticks);
    ChildFacts { pid, started_at: clock::label(), start_ticks, alive: true }
}

fn start(spec: &SetupSpec, command: &str) -> Result<(Pid, Relay), ShimError> {
    // What can't be kept could never be explained.
    let mut log = Log::append(&spec.log, spec.log_cap).map_err(system("open the setup's log"))?;
    log.write(format!("$ {command}\n").as_bytes());
    let argv: Vec<OsString> = ["/bin/sh", "-c", command].iter().map(OsString::from).collect();
    let program = Program::find(&argv, run::environment(&spec.env)).map_err(system("start the shell"))?;
    let Some(pane) = spec.show.then(Pane::take).flatten() else {
        let (reading, writing) = relay::pipe().map_err(system("open a pipe for output"))?;
        let child = program.start_in_group(&writing).map_err(system("start the shell"))?;
        return Ok((child, Relay::from_pipe(reading, log)));
    };
    let pair = Pair::like(&pane)?;
    let child = run::through_trampoline(&program, &pair).map_err(system("start the shell"))?;
    Ok((child, Relay::between(pair, pane, log)))
}

/// Why a command was ended by us.
enum Why {
    Late,
    Stopped(&'static str),
}

struct Phase<'a> {
    session: &'a Session,
    tree: Tree,
    relay: Relay,
    until: Instant,
    why: Option<Why>,
}

impl Phase<'_> {
    fn live(&mut self, grace: Duration) {
        let mut look_at = clock::now() + LOOK_EVERY;
        loop {
            let now = clock::now();
            self.tree.step(grace, now);
            if self.tree.is_over() {
                return;
            }
            if now >= self.until && self.tree.is_running() {
                self.end(Why::Late, grace, now);
            }
            if now >= look_at {
                look_at = now + LOOK_EVERY;
                if self.session.wall.is_over(now) {
                    self.end(Why::Stopped(WALL_TIME), grace, now);
                }
                if let Some(order) = stop_order(self.session) {
                    self.end(Why::Stopped(order.why), order.grace.unwrap_or(grace), now);
                }
            }
            let due = [Some(look_at), self.tree.wake_at(now), self.tree.is_running().then_some(self.until)];
            let next = due.into_iter().flatten().min().unwrap_or(look_at);
            self.relay.turn(&self.session.signals, next.saturating_duration_since(now));
            while let Some(signal) = self.session.signals.next() {
                match signal {
                    Signal::SIGTERM => self.end(Why::Stopped(TERMED), grace, clock::now()),
                    Signal::SIGWINCH => self.relay.resize(),
                    // Nothing else ends it: a terminal that hangs up is no order.
                    _ => {}
                }
            }
        }
    }

    fn end(&mut self, why: Why, grace: Duration, now: Instant) {
        if self.why.is_none() && self.tree.end().is_none() {
            self.why = Some(why);
        }
        self.tree.ask(grace, now);
    }
}

const TERMED: &str = "it was told to end (SIGTERM) while its tree was set up";

/// An order to end, whatever token it names: mail serves one attempt.
struct Order {
    why: &'static str,
    grace: Option<Duration>,
}

fn stop_order(session: &Session) -> Option<Order> {
    let bytes = mail::read_bounded(&session.mail, STOP).ok()??;
    let stop = parse::<Stop>(&bytes).ok()?;
    let grace = stop.grace_ms.map(|grace| Duration::from_millis(grace).min(MAX_WAIT));
    Some(Order { why: "it was stopped while its tree was set up", grace })
}

/// The last lines of the log, as the end of a sentence; control characters are made visible
/// where it is shown.
pub(super) fn tail(log: &Path) -> String {
    let mut bytes = Vec::new();
    let read = File::open(log).and_then(|mut file| {
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
        file.take(TAIL).read_to_end(&mut bytes)
    });
    let text = String::from_utf8_lossy(&bytes);
    let printed = |line: &&str| !line.is_empty() && !line.starts_with("$ ");
    let lines: Vec<&str> = text.lines().map(str::trim).filter(printed).collect();
    let last = lines[lines.len().saturating_sub(TAIL_LINES)..].join(" | ");
    let from = last.char_indices().rev().nth(TAIL_CHARS - 1).map_or(0, |(at, _)| at);
    match (read, last.get(from..)) {
        (Ok(_), Some(last)) if !last.is_empty() => format!(": {last}"),
        (Ok(_) | Err(_), _) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_repeats_the_last_lines_that_were_printed_and_is_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("x.log");
        let check = |text: &str, expected: &str| {
            std::fs::write(&log, text).unwrap();
            assert_eq!(tail(&log), expected);
        };
        check("$ make\none\ntwo\n\nthree\nfour\n", ": two | three | four");
        check("$ make\n", "");
        check("$ make\r\nno rule\r\n", ": no rule");
        std::fs::write(&log, "é".repeat(5_000)).unwrap();
        assert_eq!(tail(&log), format!(": {}", "é".repeat(TAIL_CHARS)));
        assert_eq!(tail(&dir.path().join("none")), "");
    }
}
