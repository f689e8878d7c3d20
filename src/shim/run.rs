//! One child under one token: started, watched, ended.
//!
//! One loop turns output, signals, beats and orders; nothing in it blocks but one
//! `poll`. An agent is watched on the way (`agent`), and may have several. It leaves out the deadline (the supervisor stops us) and what is written
//! at the end (`finish`).

use super::agent::{self, Verdict};
use super::beat::Beats;
use super::finish::Finished;
use super::lasting::Lasting;
use super::launch::Session;
use super::relay::{self, Relay};
use super::spawn::Program;
use super::terminal::{Pair, Pane};
use super::tree::{End, Tree};
use super::{ShimError, clock, finish, memory, process, system, wall};
use crate::mail;
use crate::protocol::{
    ACK, Ack, Assignment, ChildFacts, MEMORY, STOP, Stop, WALL_TIME, WORKER_SCHEMA, parse,
};
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::time::{Duration, Instant};

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
    if let Some(spec) = &assignment.agent {
        return agent::run(session, assignment, spec, beats);
    }
    let started_at = clock::label();
    let mut lasting = Lasting::new(session, beats, None);
    let (child, relay) = match start(assignment, &mut lasting) {
        Ok(started) => started,
        Err(error) => return finish::not_started(session, assignment, started_at, &error),
    };
    let mut attempt = Attempt::new(session, assignment, &mut lasting, (child, relay));
    attempt.begin(started_at);
    attempt.live();
    let (finished, _, _) = attempt.end_of_turn();
    lasting.drop_box.look_last(assignment);
    finish::ended(session, assignment, &Finished { acked: lasting.acked, ..finished })
}

fn start(assignment: &Assignment, lasting: &mut Lasting<'_>) -> Result<(Pid, Relay), ShimError> {
    let argv: Vec<OsString> = assignment.argv.iter().map(OsString::from).collect();
    let program = Program::find(&argv, environment(&assignment.env)).map_err(system("start the program"))?;
    // The terminal decides, not a setting: the same shim serves a pane and a plain process group.
    let Some(pane) = Pane::take() else {
        let (reading, writing) = relay::pipe().map_err(system("open a pipe for output"))?;
        let child = program.start_in_group(&writing).map_err(system("start the program"))?;
        return Ok((child, Relay::from_pipe(reading, lasting.take_log())));
    };
    let pair = Pair::like(&pane)?;
    let child = through_trampoline(&program, &pair).map_err(system("start the program"))?;
    Ok((child, Relay::between(pair, pane, lasting.take_log())))
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
        !leaked && name != b"ILCHUL_LAUNCH" && name != b"ILCHUL_LOG" && !wall::is_own(name)
    };
    let mut env: BTreeMap<OsString, OsString> = std::env::vars_os().filter(|(name, _)| ours(name)).collect();
    env.extend(added.iter().map(|(name, value)| (name.into(), value.into())));
    env
}

/// One child of an assignment, from its start to the end of its tree.
pub(super) struct Attempt<'a, 'b> {
    session: &'a Session,
    assignment: &'a Assignment,
    lasting: &'b mut Lasting<'a>,
    tree: Tree,
    relay: Relay,
    child: ChildFacts,
    grace: Duration,
    ack_at: Instant,
    look_at: Instant,
    watch_at: Instant,
    stopped: Option<&'static str>,
    verdict: Option<Verdict>,
    /// Processes of its job that the kernel had ended before; `None` where that can't be known.
    starved: Option<u64>,
}

/// An order of ilchul's own comes as a file first, and the wall time is announced: it is neither.
const JOB_TERMED: &str =
    "its job was told to end from outside (SIGTERM): by `scancel`, by preemption or by an administrator";

impl<'a, 'b> Attempt<'a, 'b> {
    pub(super) fn new(
        session: &'a Session,
        assignment: &'a Assignment,
        lasting: &'b mut Lasting<'a>,
        (child, relay): (Pid, Relay),
    ) -> Self {
        let now = clock::now();
        let pid = u32::try_from(child.as_raw()).unwrap_or_default();
        // An agent always lives long enough; the supervisor needn't wait to know that it began.
        let ack_at = if assignment.prompt_file.is_some() { now } else { now + ACK_AFTER };
        Self {
            session,
            assignment,
            lasting,
            tree: Tree::new(child),
            relay,
            child: ChildFacts { pid, started_at: String::new(), start_ticks: None, alive: true },
            grace: Duration::from_millis(assignment.grace_ms).min(MAX_GRACE),
            ack_at,
            look_at: now + LOOK_EVERY,
            watch_at: now,
            stopped: None,
            verdict: None,
            starved: session.wall.is_of_a_job().then(memory::ends).flatten(),
        }
    }

    pub(super) fn begin(&mut self, started_at: String) {
        // The first one comes with the ack: both say that it began.
        self.lasting.beats.change(self.assignment.beat_ms, self.ack_at);
        self.child.started_at = started_at;
    }

    pub(super) fn live(&mut self) {
        loop {
            let now = clock::now();
            self.tree.step(self.grace, now);
            if self.tree.is_over() {
                return;
            }
            self.watch(now);
            self.write_what_is_due(now);
            let wall = self.session.wall.at().filter(|_| self.stopped.is_none() && self.tree.is_running());
            if wall.is_some_and(|at| now >= at) {
                // Before the child's last words, where the host's own warning would stand as well.
                let words = WALL_TIME.rsplit(": ").next().unwrap_or_default();
                self.relay.say(format!("[ilchul: {words}]\n").as_bytes());
                self.end(WALL_TIME, self.grace, now);
            }
            // Orders are looked for even where nothing else is due: no watch is held meanwhile.
            let due =
                [Some(self.look_at), self.next_write(), self.tree.wake_at(now), self.next_watch(), wall];
            let next = due.into_iter().flatten().min().unwrap_or(self.look_at);
            self.relay.turn(&self.session.signals, next.saturating_duration_since(now));
            if self.relay.take_interrupt() {
                self.tree.pass_on(Signal::SIGINT);
            }
            while let Some(signal) = self.session.signals.next() {
                self.take_signal(signal);
            }
        }
    }

    fn next_write(&self) -> Option<Instant> {
        let ack_at = (!self.lasting.acked).then_some(self.ack_at);
        ack_at.into_iter().chain([self.lasting.beats.due_at()]).min()
    }

    fn next_watch(&self) -> Option<Instant> {
        let watch = self.lasting.watch.as_ref()?;
        // What was decided is decided: only its looks go on.
        let verdict_at = if self.verdict.is_none() { watch.wake_at() } else { None };
        [Some(self.watch_at), verdict_at].into_iter().flatten().min()
    }

    /// Hears the agent, and ends a turn that is over or never began.
    fn watch(&mut self, now: Instant) {
        let Some(watch) = &mut self.lasting.watch else { return };
        if now >= self.watch_at {
            self.watch_at = now + agent::LOOK_EVERY;
            let printed = self.relay.log().total();
            watch.look(self.relay.lens(), printed, now);
            self.pass_question_on();
        }
        let Some(watch) = &mut self.lasting.watch else { return };
        if self.verdict.is_none()
            && self.tree.is_running()
            && let Some(verdict) = watch.verdict(now)
        {
            self.verdict = Some(verdict);
            watch.ends();
            self.tree.ask(self.grace, now);
        }
    }

    /// Tells what the agent asks a person: a beat that says so goes first, because an older
    /// one, read after the question, would take it back.
    fn pass_question_on(&mut self) {
        let Some(watch) = &mut self.lasting.watch else { return };
        let Some(text) = watch.take_question() else { return };
        let (events, _) = watch.progress();
        self.beat();
        let n = self.lasting.next_answer;
        agent::put(self.session, self.assignment, &agent::question(self.assignment, (n, events), text));
    }

    fn beat(&mut self) {
        // Later than at the start on purpose: a short command never pays for it.
        if self.child.start_ticks.is_none() && self.tree.end().is_none() {
            self.child.start_ticks = process::stat(self.child.pid).map(|facts| facts.start_ticks);
        }
        let log = self.relay.log();
        self.lasting.printed = (log.total(), log.trouble().map(str::to_owned));
        self.lasting.beat(self.assignment.token, Some(&self.child));
    }

    fn write_what_is_due(&mut self, now: Instant) {
        if !self.lasting.acked && now >= self.ack_at {
            self.lasting.acked = write_ack(self.session, self.assignment.token);
            self.ack_at = now + LOOK_EVERY;
        }
        if now >= self.lasting.beats.due_at() {
            self.beat();
        }
        if now >= self.look_at {
            self.look_at = now + LOOK_EVERY;
            self.lasting.drop_box.look(self.assignment);
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
            Signal::SIGTERM => {
                let now = clock::now();
                let wall = &self.session.wall;
                let why = match (wall.is_announced(), wall.is_of_a_job()) {
                    (true, _) => WALL_TIME,
                    (false, true) => JOB_TERMED,
                    (false, false) => "its shim was told to end (SIGTERM)",
                };
                self.end(why, self.grace, now);
            }
            Signal::SIGWINCH => self.relay.resize(),
            Signal::SIGUSR1 | Signal::SIGUSR2 => self.tree.pass_on(signal),
            // At a terminal the keyboard is the child's, by way of its own terminal;
            // without one, whoever interrupts the shim means the work.
            Signal::SIGINT | Signal::SIGQUIT if !self.relay.has_pane() => self.tree.pass_on(signal),
            // SIGCHLD only wakes us, and a terminal that hangs up or stops us ends no work.
            _ => {}
        }
    }

    /// Takes what was printed last, and answers how it ended, why it was ended by us, and the end
    /// of what was printed beside records.
    pub(super) fn end_of_turn(mut self) -> (Finished, Option<Verdict>, String) {
        self.relay.drain(&self.session.signals, DRAIN_PATIENCE, clock::now);
        let printed = self.relay.log().total();
        if let Some(watch) = &mut self.lasting.watch {
            watch.look(self.relay.lens(), printed, clock::now());
            watch.judge_result();
        }
        self.pass_question_on();
        let failed = !matches!(self.tree.end(), Some((End::Code(0), _)));
        // What went on without that process, and well, needs no word.
        let starved = failed && self.starved.is_some() && memory::ends() > self.starved;
        if starved {
            self.relay.say(format!("[ilchul: {MEMORY}]\n").as_bytes());
        }
        let finished = Finished {
            tree: self.tree,
            started_at: self.child.started_at,
            acked: self.lasting.acked,
            stopped: self.stopped,
            starved,
            over: false,
            usage: None,
        };
        let tail = self.relay.lens().map(|lens| lens.tail()).unwrap_or_default();
        self.lasting.log = Some(self.relay.into_log());
        (finished, self.verdict, tail)
    }
}

/// Says that the assignment was taken; false when it couldn't be said yet.
pub(super) fn write_ack(session: &Session, token: u64) -> bool {
    let ack = Ack { schema: WORKER_SCHEMA.to_owned(), token };
    mail::write_json(&session.mail, ACK, &ack, false).is_ok()
}
