//! One child under one token: started, watched, ended.
//!
//! One loop turns output, signals, beats and orders; nothing in it blocks but one
//! `poll`. It leaves out the deadline (the supervisor stops us) and what is written
//! at the end (`finish`).

use super::beat::Beats;
use super::drop_box::DropBox;
use super::launch::Session;
use super::output::Log;
use super::relay::{self, Relay};
use super::spawn::Program;
use super::terminal::{Pair, Pane};
use super::tree::Tree;
use super::{ShimError, clock, finish, process, system};
use crate::mail;
use crate::protocol::{ACK, Ack, Assignment, ChildFacts, STOP, Stop, WORKER_SCHEMA, parse};
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::time::{Duration, Instant};

/// Bytes of output that are kept.
const LOG_CAP: u64 = 64 << 20;
/// A command that ends sooner needs no ack: its report, under the token, is one.
const ACK_AFTER: Duration = Duration::from_millis(20);
/// How often orders and the drop box are looked for.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(500);
/// A wait is cut here: a deadline beyond the clock's range would be a panic.
const MAX_GRACE: Duration = Duration::from_secs(3_600);
/// How long output is waited for after the tree's end.
const DRAIN_PATIENCE: Duration = Duration::from_millis(500);

/// Starts the assignment's child and stays until everything about it is recorded.
pub(super) fn run(session: &Session, assignment: &Assignment, beats: Beats) -> Result<(), ShimError> {
    let started_at = clock::label();
    let (child, relay) = match start(session, assignment) {
        Ok(started) => started,
        Err(error) => return finish::not_started(session, assignment, started_at, &error),
    };
    let mut attempt = Attempt::new(session, assignment, child, relay);
    attempt.beats(beats, started_at);
    attempt.live();
    attempt.relay.drain(&session.signals, DRAIN_PATIENCE, clock::now);
    attempt.drop_box.look_last(assignment);
    finish::ended(session, assignment, &attempt.finished())
}

fn start(session: &Session, assignment: &Assignment) -> Result<(Pid, Relay), ShimError> {
    let argv: Vec<OsString> = assignment.argv.iter().map(OsString::from).collect();
    let program = Program::find(&argv, environment(&assignment.env)).map_err(system("start the program"))?;
    // The terminal decides, not a setting: the same shim serves a pane and a plain process group.
    let Some(pane) = Pane::take() else {
        let (reading, writing) = relay::pipe().map_err(system("open a pipe for output"))?;
        let child = program.start_in_group(&writing).map_err(system("start the program"))?;
        return Ok((child, Relay::from_pipe(reading, open_log(session, true))));
    };
    let pair = Pair::like(&pane)?;
    let child = through_trampoline(&program, &pair).map_err(system("start the program"))?;
    Ok((child, Relay::between(pair, pane, open_log(session, false))))
}

/// A new session and a controlling terminal can't be had from `posix_spawn`.
pub(super) fn through_trampoline(program: &Program, pair: &Pair) -> std::io::Result<Pid> {
    let mut argv: Vec<OsString> = ["ilchul", "shim", "--exec", "--tty"].iter().map(OsString::from).collect();
    // By path: a descriptor that crosses an exec would have to lose its close-on-exec.
    argv.extend([pair.path.clone(), "--".into()]);
    argv.extend(program.argv.iter().cloned());
    // The path of the running file even after it was replaced by a newer one.
    Program { file: "/proc/self/exe".into(), argv, env: program.env.clone() }.start_as_is()
}

/// The session's own environment and what is added to it.
pub(super) fn environment(added: &BTreeMap<String, String>) -> BTreeMap<OsString, OsString> {
    let ours = |name: &OsString| {
        let name = name.as_bytes();
        // A terminal server adds its own, and a git that runs us may have left some.
        let leaked = name.starts_with(b"TMUX") || name.starts_with(b"GIT_");
        !leaked && name != b"ILCHUL_LAUNCH" && name != b"ILCHUL_LOG"
    };
    let mut env: BTreeMap<OsString, OsString> = std::env::vars_os().filter(|(name, _)| ours(name)).collect();
    env.extend(added.iter().map(|(name, value)| (name.into(), value.into())));
    env
}

fn open_log(session: &Session, to_stdout: bool) -> Log {
    match &session.log {
        Some(path) => Log::append(path, LOG_CAP)
            .unwrap_or_else(|error| Log::nowhere(Some(format!("the log couldn't be opened: {error}")))),
        None if to_stdout => match rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdout(), 3) {
            Ok(stdout) => Log::to(File::from(stdout), LOG_CAP),
            Err(error) => Log::nowhere(Some(format!("the output couldn't be kept: {error}"))),
        },
        None => Log::nowhere(None),
    }
}

/// What `finish` needs to know.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) tree: Tree,
    pub(super) started_at: String,
    pub(super) acked: bool,
    /// Why it was ended from outside, if it was.
    pub(super) stopped: Option<&'static str>,
}

struct Attempt<'a> {
    session: &'a Session,
    assignment: &'a Assignment,
    tree: Tree,
    relay: Relay,
    drop_box: DropBox,
    child: ChildFacts,
    beats: Option<Beats>,
    grace: Duration,
    acked: bool,
    ack_at: Instant,
    look_at: Instant,
    stopped: Option<&'static str>,
}

impl<'a> Attempt<'a> {
    fn new(session: &'a Session, assignment: &'a Assignment, child: Pid, relay: Relay) -> Self {
        let now = clock::now();
        let pid = u32::try_from(child.as_raw()).unwrap_or_default();
        // An agent always lives long enough; the supervisor needn't wait to know that it began.
        let ack_at = if assignment.prompt_file.is_some() { now } else { now + ACK_AFTER };
        Self {
            session,
            assignment,
            tree: Tree::new(child),
            relay,
            drop_box: DropBox::new(&session.tree, &session.mail),
            child: ChildFacts { pid, started_at: String::new(), start_ticks: None, alive: true },
            beats: None,
            grace: Duration::from_millis(assignment.grace_ms).min(MAX_GRACE),
            acked: false,
            ack_at,
            look_at: now + LOOK_EVERY,
            stopped: None,
        }
    }

    fn beats(&mut self, mut beats: Beats, started_at: String) {
        // The first one comes with the ack: both say that it began.
        beats.change(self.assignment.beat_ms, self.ack_at);
        self.beats = Some(beats);
        self.child.started_at = started_at;
    }

    fn live(&mut self) {
        loop {
            let now = clock::now();
            self.tree.step(self.grace, now);
            if self.tree.is_over() {
                return;
            }
            self.write_what_is_due(now);
            // Orders are looked for even where nothing else is due: no watch is held meanwhile.
            let due = [Some(self.look_at), self.next_write(), self.tree.wake_at(now)];
            let next = due.into_iter().flatten().min().unwrap_or(self.look_at);
            self.relay.turn(&self.session.signals, next.saturating_duration_since(now));
            while let Some(signal) = self.session.signals.next() {
                self.take_signal(signal);
            }
        }
    }

    fn next_write(&self) -> Option<Instant> {
        let ack_at = (!self.acked).then_some(self.ack_at);
        [ack_at, self.beats.as_ref().map(Beats::due_at)].into_iter().flatten().min()
    }

    fn write_what_is_due(&mut self, now: Instant) {
        if !self.acked && now >= self.ack_at {
            self.acked = write_ack(self.session, self.assignment.token);
            self.ack_at = now + LOOK_EVERY;
        }
        if self.beats.as_ref().is_some_and(|beats| now >= beats.due_at()) {
            // Later than at the start on purpose: a short command never pays for it.
            if self.child.start_ticks.is_none() && self.tree.end().is_none() {
                self.child.start_ticks = process::stat(self.child.pid).map(|facts| facts.start_ticks);
            }
            // A worker's own words first; trouble with the log is only ours.
            let log = self.relay.log();
            let note = self.drop_box.note().or_else(|| log.trouble().map(str::to_owned));
            let printed = log.total();
            if let Some(beats) = &mut self.beats {
                beats.busy(self.assignment.token, &self.child, printed, note);
            }
        }
        if now >= self.look_at {
            self.look_at = now + LOOK_EVERY;
            self.drop_box.look(self.assignment);
            self.look_for_stop(now);
        }
    }

    fn look_for_stop(&mut self, now: Instant) {
        let Ok(Some(bytes)) = mail::read_bounded(&self.session.mail, STOP) else { return };
        let Ok(stop) = parse::<Stop>(&bytes) else { return };
        // An order for another token isn't ours (L7).
        if stop.token == Some(self.assignment.token) {
            let grace = stop.grace_ms.map_or(self.grace, |grace| Duration::from_millis(grace).min(MAX_GRACE));
            self.end("it was stopped by the supervisor", grace, now);
        }
    }

    fn end(&mut self, why: &'static str, grace: Duration, now: Instant) {
        // An order that comes after the child's own end hurries what is left, and
        // doesn't turn a finished command into a stopped one.
        if self.tree.end().is_none() && self.stopped.is_none() {
            self.stopped = Some(why);
        }
        self.tree.ask(grace, now);
    }

    fn take_signal(&mut self, signal: Signal) {
        match signal {
            Signal::SIGTERM => self.end("its shim was told to end (SIGTERM)", self.grace, clock::now()),
            Signal::SIGWINCH => self.relay.resize(),
            Signal::SIGUSR1 | Signal::SIGUSR2 => self.tree.pass_on(signal),
            // At a terminal the keyboard is the child's, by way of its own terminal;
            // without one, whoever interrupts the shim means the work.
            Signal::SIGINT | Signal::SIGQUIT if !self.relay.has_pane() => self.tree.pass_on(signal),
            // SIGCHLD only wakes us, and a terminal that hangs up or stops us ends no work.
            _ => {}
        }
    }

    fn finished(self) -> Finished {
        Finished {
            tree: self.tree,
            started_at: self.child.started_at,
            acked: self.acked,
            stopped: self.stopped,
        }
    }
}

/// Says that the assignment was taken; false when it couldn't be said yet.
pub(super) fn write_ack(session: &Session, token: u64) -> bool {
    let ack = Ack { schema: WORKER_SCHEMA.to_owned(), token };
    mail::write_json(&session.mail, ACK, &ack, false).is_ok()
}
