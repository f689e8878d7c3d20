//! Following a run on another machine: its rows are folded here, and told as `up` tells them.
//!
//! The link may break: what was told isn't told again. The supervisor there may be killed: it is
//! started again, and adopts. It leaves out deciding anything about the run.

use std::ffi::OsString;
use std::process::Child;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::thread;
use std::time::{Duration, Instant};

use super::super::detach;
use super::super::error::CliError;
use super::super::exit_code::Exit;
use super::super::output::{self, Output};
use super::super::progress::Progress;
use super::super::record;
use super::deaths::{DEATHS, Deaths};
use super::enter::{self, Entry, How};
use super::link::Link;
use super::listen::{Said, hear, read};
use super::rows::Word;
use super::{pass, place, stream};
use crate::engine::Engine;
use crate::engine::event::{Event, RunEvent};
use crate::engine::state::{RunPhase, RunState};
use crate::host::{HostError, Past, Ssh, Trouble};
use crate::journal::Recorded;
use crate::supervisor::Listener;

/// Between two looks at what came and at the signals.
const TURN: Duration = Duration::from_millis(100);
/// Ctrl-C ends the ssh of the same terminal too: for so long it may be heard after the link's end.
const HEARD: Duration = Duration::from_millis(500);
/// The other side says something each second; a link that is so long silent is cut.
const SILENCE: Duration = Duration::from_secs(30);
/// How long a run may be without a supervisor: one may just be taking over.
const UNHELD: Duration = Duration::from_secs(3);
/// The longest pause between two attempts to reach the machine again.
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// How long a supervisor there may take to begin.
const START: Duration = Duration::from_secs(120);

/// A run that is followed.
pub(super) struct Follow<'l> {
    link: &'l Link,
    json: bool,
    /// What starts a supervisor there again.
    again: &'l [OsString],
    output: Output,
    progress: Progress,
    engine: Option<Engine>,
    run: String,
    seq: u64,
    /// Rows of a look that isn't whole yet.
    pending: Vec<Recorded>,
    unheld: Option<Instant>,
    deaths: Deaths,
    /// What one said that didn't begin.
    last_words: String,
    stopped: Arc<AtomicBool>,
}

/// What one link led to.
enum Step {
    Over(Option<Exit>),
    /// The link broke; whether anything came through it.
    Broken(String, bool),
}

impl<'l> Follow<'l> {
    /// Hears Ctrl-C from now on.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn new(
        link: &'l Link,
        (json, again): (bool, &'l [OsString]),
        output: Output,
    ) -> Result<Self, CliError> {
        let stopped = Arc::new(AtomicBool::new(false));
        hear(&stopped).map_err(|error| CliError::new("signals", format!("listen to signals: {error}")))?;
        let progress = Progress::new(json, output.color_err);
        let (engine, run, pending) = (None, String::new(), Vec::new());
        Ok(Self {
            link,
            json,
            again,
            output,
            progress,
            engine,
            run,
            seq: 0,
            pending,
            unheld: None,
            deaths: Deaths::default(),
            last_words: String::new(),
            stopped,
        })
    }

    /// The run's id.
    pub(super) fn run_id(&self) -> &str {
        &self.run
    }

    /// Follows to the end of the run; none where it isn't a run of `wanted`.
    ///
    /// # Errors
    /// When the machine can't be reached at all, or supervisors die there.
    pub(super) fn run(&mut self, wanted: Option<&str>) -> Result<Option<Exit>, CliError> {
        let mut pause = Duration::ZERO;
        let mut told = false;
        loop {
            match self.session(wanted)? {
                Step::Over(exit) => return Ok(exit),
                Step::Broken(why, came) => {
                    if self.is_stopped_within(HEARD) {
                        return Ok(Some(self.left()));
                    }
                    if came {
                        (pause, told) = (Duration::ZERO, false);
                    }
                    if !std::mem::replace(&mut told, true) {
                        self.say(&format!(
                            "the link to {} broke ({why}): the run goes on there, and it is tried again",
                            self.link.target.name
                        ));
                    }
                    pause = (pause * 2).clamp(Duration::from_secs(1), PAUSE_MAX);
                    if self.is_stopped_within(pause) {
                        return Ok(Some(self.left()));
                    }
                }
            }
        }
    }

    /// One link, from its beginning to its end.
    fn session(&mut self, wanted: Option<&str>) -> Result<Step, CliError> {
        let mut child = self.open()?;
        let (said, lines) = read(&mut child);
        self.pending.clear();
        self.deaths.unseen();
        let (mut heard, mut came) = (Instant::now(), false);
        let step = loop {
            if self.stopped.load(Ordering::Relaxed) {
                break Ok(Step::Over(Some(self.left())));
            }
            match lines.recv_timeout(TURN) {
                Ok(line) => {
                    (heard, came) = (Instant::now(), true);
                    match self.take(&line, wanted) {
                        Ok(Some(exit)) => break Ok(Step::Over(exit)),
                        Ok(None) => {}
                        Err(error) => break Err(error),
                    }
                }
                Err(RecvTimeoutError::Timeout) if heard.elapsed() < SILENCE => {}
                Err(RecvTimeoutError::Timeout) => break Ok(Step::Broken("it is silent".to_owned(), came)),
                Err(RecvTimeoutError::Disconnected) => {
                    let code = child.wait().ok().and_then(|status| status.code()).unwrap_or(-1);
                    let said = said.recv_timeout(UNHELD).unwrap_or_default();
                    break self.closed(code, &said, came);
                }
            }
            if let Some(engine) = &self.engine {
                self.progress.tick(engine.state());
            }
        };
        // It may have ended, and nothing waits for what it holds open.
        let _ = child.kill();
        let _ = child.wait();
        step
    }

    fn open(&self) -> Result<Child, CliError> {
        let mut words: Vec<OsString> = ["events", "--rows", "--after"].map(OsString::from).to_vec();
        words.push(self.seq.to_string().into());
        if !self.run.is_empty() {
            words.extend(["--run".into(), self.run.clone().into()]);
        }
        let folder = Some(self.link.folder()?);
        let entry = Entry { program: &self.link.program, folder, words: &words, env: &[], how: How::Plain };
        let script = enter::script(&entry);
        let mut command = self.link.ssh.command(&script, false).map_err(|error| self.link.failed(&error))?;
        stream::pipes(&mut command, false);
        command.spawn().map_err(|error| self.link.failed(&HostError::Start(error)))
    }

    /// What the end of a link means.
    fn closed(&self, code: i32, said: &Said, came: bool) -> Result<Step, CliError> {
        let error = match said.word.as_deref() {
            None => Ssh::unreached(code, &said.err),
            Some(enter::RUN) if Ssh::is_own_failure(code) || code < 0 => {
                HostError::lost(Past::default().feed(&said.err))
            }
            Some(enter::RUN) => {
                let mut past = Past::default();
                let words = past.feed(&said.err);
                let known = [Exit::Wrong, Exit::Usage, Exit::Journal];
                let Some(exit) = known.into_iter().find(|exit| exit.code() == code) else {
                    // Somebody killed it.
                    return Ok(Step::Broken(crate::host::gist(words), came));
                };
                output::talk_of_another(words, self.output.color_err);
                return Ok(Step::Over(Some(exit)));
            }
            Some(enter::ABSENT) => {
                place::send(self.link)?;
                return Ok(Step::Broken("ilchul was gone there".to_owned(), came));
            }
            Some(word) => return Err(pass::refused(self.link, word)),
        };
        // What a person has to mend isn't tried again and again.
        let final_one = matches!(&error, HostError::Unreached(Trouble::Key | Trouble::Denied, _));
        if final_one { Err(self.link.failed(&error)) } else { Ok(Step::Broken(error.to_string(), came)) }
    }

    /// One word of the other side: how it ended, if it did.
    fn take(&mut self, line: &str, wanted: Option<&str>) -> Result<Option<Option<Exit>>, CliError> {
        let unclear =
            |why: String| CliError::new("host", format!("understand `{}`: {why}", self.link.target.name));
        let word: Word = serde_json::from_str(line).map_err(|error| unclear(error.to_string()))?;
        if !is_id(&word.run) {
            return Err(unclear("what it calls the run is no id".to_owned()));
        }
        let (held, more) = (word.held, word.more);
        self.run.clone_from(&word.run);
        self.pending.extend(word.recorded());
        if more {
            return Ok(None);
        }
        let rows = std::mem::take(&mut self.pending);
        if !self.told(rows, wanted)? {
            return Ok(Some(None));
        }
        let Some(state) = self.engine.as_ref().map(Engine::state) else { return Ok(None) };
        match state.phase {
            RunPhase::Ended { success } => {
                return Ok(Some(Some(self.over(if success { Exit::Done } else { Exit::Failed }))));
            }
            RunPhase::Running | RunPhase::Interrupted => {}
        }
        if held {
            self.unheld = None;
            self.deaths.held(Instant::now());
            return Ok(None);
        }
        self.deaths.unseen();
        if self.unheld.get_or_insert_with(Instant::now).elapsed() >= UNHELD {
            self.unheld = None;
            return self.dead().map(|exit| exit.map(Some));
        }
        Ok(None)
    }

    /// Folds and tells; `false` where the run isn't of the workflow that was wanted.
    fn told(&mut self, mut rows: Vec<Recorded>, wanted: Option<&str>) -> Result<bool, CliError> {
        rows.retain(|row| row.seq > self.seq);
        let Some(last) = rows.last() else { return Ok(true) };
        self.seq = last.seq;
        let corrupt =
            |why: crate::engine::Corrupt| CliError::from(crate::supervisor::SupervisorError::Corrupt(why));
        if rows.iter().any(|row| matches!(row.event, Event::Task(_))) {
            self.deaths.progress();
        }
        let Some(engine) = &mut self.engine else {
            let begins = |row: &Recorded| {
                matches!(row.event, Event::Run(RunEvent::Started(_) | RunEvent::Resumed { .. }))
            };
            let news = rows.iter().rposition(begins).unwrap_or(0);
            let events = rows.iter().map(|row| (row.at, row.event.clone()));
            let engine = Engine::replay(events).map_err(corrupt)?;
            let state = engine.state();
            if state.started.run != self.run {
                let why = format!("understand `{}`: its rows are of another run", self.link.target.name);
                return Err(CliError::new("host", why));
            }
            if wanted.is_some_and(|wanted| wanted != state.started.path) {
                return Ok(false);
            }
            if !self.json {
                output::talk(&begun(state, &self.link.target.name));
            }
            let known = if wanted.is_some() { rows.len() } else { news };
            self.progress.committed(state, &rows[known..]);
            self.engine = Some(engine);
            return Ok(true);
        };
        for row in &rows {
            engine.fold(row.at, &row.event).map_err(corrupt)?;
        }
        self.progress.committed(engine.state(), &rows);
        Ok(true)
    }

    /// Nobody drives the run any more: what ended its supervisor, and what follows.
    fn dead(&mut self) -> Result<Option<Exit>, CliError> {
        let state = self.engine.as_ref().map(Engine::state);
        let asked =
            state.filter(|state| state.phase == RunPhase::Interrupted).map(|state| &state.interrupted);
        // A site ends what it finds on its login nodes by these; a person types `down` or Ctrl-C.
        let by_site = |reason: &str| matches!(reason, "SIGTERM" | "SIGHUP");
        if let (Some(state), Some(reason)) = (state, asked.filter(|reason| !by_site(reason))) {
            let live = state.workers.values().filter(|worker| worker.phase.is_live()).count();
            let words = record::interrupted(state, reason, live);
            self.progress.done();
            output::talk(&format!("On {}: {words}", self.link.target.name));
            return Ok(Some(Exit::Interrupted));
        }
        let name = self.link.target.name.clone();
        if self.deaths.died() {
            self.progress.done();
            let message = format!(
                "keep a supervisor on `{name}`: it died {DEATHS} times in a row, and nothing went on{}",
                if self.last_words.is_empty() { String::new() } else { format!(" ({})", self.last_words) }
            );
            return Err(CliError::new("host_supervisor", message).exit(Exit::Interrupted).hint(
                "Its last words are in `supervisor.log` of the home there; ask the site what it ends on login nodes.",
            ));
        }
        self.say(&format!("the supervisor on {name} is gone: another one is started, and adopts what lives"));
        let ran = match self.link.ilchul(self.again, START) {
            Ok(ran) => ran,
            // The next link says what is wrong.
            Err(error) if error.code == "host_lost" || error.code == "host" => return Ok(None),
            Err(error) => return Err(error),
        };
        if [Exit::Done, Exit::Failed, Exit::Held].iter().any(|exit| exit.code() == ran.code) {
            return Ok(None);
        }
        let refused = (ran.code == Exit::Wrong.code() && is_refusal(&ran.stderr)).then_some(Exit::Wrong);
        let known = [Exit::Interrupted, Exit::Journal].into_iter().find(|exit| exit.code() == ran.code);
        let Some(exit) = known.or(refused) else {
            // It may have been killed while it began: the next look counts it.
            self.last_words = ran.words();
            return Ok(None);
        };
        self.progress.done();
        output::talk_of_another(&ran.stderr, self.output.color_err);
        Ok(Some(exit))
    }

    /// The run is over: its record.
    fn over(&mut self, exit: Exit) -> Exit {
        self.progress.done();
        if let (Some(engine), false) = (self.engine.take(), self.json) {
            record::print(engine.into_state(), self.output);
            output::talk(&format!(
                "It is all on {0}: put `--host {0}` behind `ilchul`.",
                self.link.target.named
            ));
        }
        exit
    }

    /// Ctrl-C: following ends, and nothing else.
    fn left(&mut self) -> Exit {
        self.progress.done();
        let named = &self.link.target.named;
        output::talk(&format!(
            "Following has ended; the run {} goes on there. Run `ilchul --host {named} up` to follow it again, or `ilchul --host {named} down` to end it.",
            self.run
        ));
        Exit::Interrupted
    }

    fn say(&mut self, text: &str) {
        self.progress.trouble(text);
        match &self.engine {
            Some(engine) => self.progress.tick(engine.state()),
            None => output::talk(text),
        }
    }

    fn is_stopped_within(&self, pause: Duration) -> bool {
        let until = Instant::now() + pause;
        while Instant::now() < until && !self.stopped.load(Ordering::Relaxed) {
            thread::sleep(TURN);
        }
        self.stopped.load(Ordering::Relaxed)
    }
}

/// Whether the other machine's word may be a run's id: it stands in commands, and in names of
/// branches here.
pub(super) fn is_id(run: &str) -> bool {
    !run.is_empty() && run.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// Whether a supervisor there says why it doesn't begin: another one would say the same.
fn is_refusal(words: &[u8]) -> bool {
    let words = String::from_utf8_lossy(words);
    words.lines().any(|line| line.starts_with("error: ") && !line.contains(detach::UNSEEN))
}

fn begun(state: &RunState, name: &str) -> String {
    format!(
        "Following the run {} of {} on {name}: {} of {} tasks have ended. Ctrl-C ends following only.",
        state.started.run,
        state.started.path,
        state.tasks.len() - state.open_count,
        state.tasks.len()
    )
}
