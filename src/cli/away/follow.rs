//! Following a run on another machine, through links that break.
//!
//! It leaves out what is told of the run (`tale`), starting a supervisor that died there
//! (`revive`), and deciding anything about the run.

use std::ffi::OsString;
use std::process::Child;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::thread;
use std::time::{Duration, Instant};

use super::super::error::CliError;
use super::super::exit_code::Exit;
use super::super::output::{self, Output};
use super::enter::{self, Entry, How};
use super::link::Link;
use super::listen::{Said, hear, read};
use super::revive::{Revive, UNHELD};
use super::tale::{Heard, Tale};
use super::{pass, place, stream};
use crate::host::{HostError, Past, Ssh, Trouble};

/// Between two looks at what came and at the signals.
const TURN: Duration = Duration::from_millis(100);
/// Ctrl-C ends the ssh of the same terminal too: for so long it may be heard after the link's end.
const HEARD: Duration = Duration::from_millis(500);
/// The other side says something each second; a link that is so long silent is cut.
const SILENCE: Duration = Duration::from_secs(30);
/// The longest pause between two attempts to reach the machine again.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// A run that is followed.
pub(super) struct Follow<'l> {
    link: &'l Link,
    output: Output,
    tale: Tale,
    revive: Revive<'l>,
    stopped: Arc<AtomicBool>,
}

/// What one link led to.
enum Step {
    Over(Option<Exit>),
    /// The link broke; whether anything came through it.
    Broken(String, bool),
}

impl<'l> Follow<'l> {
    /// Hears Ctrl-C from now on; `again` starts a supervisor there.
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
        let (tale, revive) = (Tale::new(link, json, output), Revive::new(link, again, output));
        Ok(Self { link, output, tale, revive, stopped })
    }

    /// The run's id.
    pub(super) fn run_id(&self) -> &str {
        self.tale.run_id()
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
                        self.tale.say(&format!(
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
        self.tale.relink();
        self.revive.unseen();
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
            self.tale.tick();
        };
        // It may have ended, and nothing waits for what it holds open.
        let _ = child.kill();
        let _ = child.wait();
        step
    }

    fn open(&self) -> Result<Child, CliError> {
        let mut words: Vec<OsString> = ["events", "--rows", "--after"].map(OsString::from).to_vec();
        words.push(self.tale.seq().to_string().into());
        if !self.run_id().is_empty() {
            words.extend(["--run".into(), self.run_id().into()]);
        }
        let folder = Some(self.link.folder()?);
        let entry = Entry { program: &self.link.program, folder, words: &words, env: &[], how: How::Plain };
        let mut command = self.link.command(&entry)?;
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
        let heard = self.tale.take(line, wanted)?;
        if self.tale.went_on() {
            self.revive.progress();
        }
        match heard {
            Heard::Part => Ok(None),
            Heard::Foreign => Ok(Some(None)),
            Heard::Over(exit) => {
                self.tale.over();
                Ok(Some(Some(exit)))
            }
            Heard::Driven => {
                self.revive.held();
                Ok(None)
            }
            Heard::Undriven => Ok(self.revive.unheld(&mut self.tale)?.map(Some)),
        }
    }

    /// Ctrl-C: following ends, and nothing else.
    fn left(&mut self) -> Exit {
        self.tale.done();
        let named = &self.link.target.named;
        output::talk(&format!(
            "Following has ended; the run {} goes on there. Run `ilchul --host {named} up` to follow it again, or `ilchul --host {named} down` to end it.",
            self.run_id()
        ));
        Exit::Interrupted
    }

    fn is_stopped_within(&self, pause: Duration) -> bool {
        let until = Instant::now() + pause;
        while Instant::now() < until && !self.stopped.load(Ordering::Relaxed) {
            thread::sleep(TURN);
        }
        self.stopped.load(Ordering::Relaxed)
    }
}
