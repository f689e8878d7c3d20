//! What is known of an agent while it works: readiness, progress, questions, the end of a turn.
//!
//! It is told by hooks, by the records of a stream and by a result file, never by what stands
//! on a screen. All of these are the agent's own words: good for liveness, never for success.
//! It leaves out what follows (`mod.rs`) and every decision of the supervisor's.

use super::events::EventsFile;
use super::limits;
use super::meaning::{Meaning, NOTE_CHARS, TEXT_CHARS, last_line, meaning, question, session_id};
use super::record::{dig, one_line, pick, words};
use super::stream::Lens;
use super::usage::{RESULT, Tally};
use crate::mail;
use crate::protocol::{AgentEnd, AgentPhase, AgentReady, AgentSpec, EVENTS, Usage};
use crate::shim::clock;
use serde_json::Value;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// From one look at hooks and result file to the next.
pub(in crate::shim) const LOOK_EVERY: Duration = Duration::from_millis(200);
/// The longest wait: a later deadline would be beyond the clock's range.
const MAX_WAIT: Duration = Duration::from_secs(30 * 86_400);
/// The longest result file that is read.
const MAX_RESULT: u64 = 16 << 20;

/// Why the shim ends a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::shim) enum Verdict {
    /// It never said that it runs.
    NotReady,
    /// It is over, and its process isn't.
    Over,
}

/// A provider that refuses work, as far as it was told.
#[derive(Debug, Clone)]
pub(super) struct Limit {
    pub(super) why: String,
    pub(super) seconds: u64,
}

/// One agent, watched.
#[derive(Debug)]
pub(in crate::shim) struct Watch<'a> {
    spec: &'a AgentSpec,
    events: EventsFile,
    /// Inode, size and time of change of the result file.
    result: Option<(u64, u64, i64, i64)>,
    tally: Tally,
    session: Option<String>,
    /// Signs of progress so far.
    count: u64,
    phase: AgentPhase,
    /// Tools that were started in this turn and haven't ended.
    open_tools: u32,
    note: Option<String>,
    /// What it waits for, until it is told to somebody.
    question: Option<String>,
    turn: Turn,
}

/// What is known of the turn that goes on.
#[derive(Debug)]
struct Turn {
    began: Instant,
    ready: bool,
    /// Since when it seems to be over.
    over_since: Option<Instant>,
    failed: bool,
    error: Option<String>,
    limited: bool,
    /// Seconds that a limit lasts, if that was said.
    wait: Option<u64>,
}

impl<'a> Watch<'a> {
    pub(super) fn new(spec: &'a AgentSpec) -> Self {
        Self {
            spec,
            events: EventsFile::new(Path::new(&spec.state).join(EVENTS)),
            result: None,
            tally: Tally::new(&spec.usage, spec.result.as_ref()),
            session: None,
            count: 0,
            phase: AgentPhase::Starting,
            open_tools: 0,
            note: None,
            question: None,
            turn: Turn::new(clock::now()),
        }
    }

    /// A turn begins; `fresh`: in a session of its own.
    pub(super) fn begin_turn(&mut self, fresh: bool, now: Instant) {
        self.tally.begin_turn(fresh);
        self.turn = Turn::new(now);
        self.turn.ready = self.spec.ready == AgentReady::Process;
        self.phase = AgentPhase::Starting;
        self.open_tools = 0;
        self.question = None;
        // What an earlier turn left there is no sign of this one.
        self.result = self.result_version();
        if fresh {
            self.session = None;
        }
    }

    /// Takes what is new.
    pub(in crate::shim) fn look(&mut self, lens: Option<&mut Lens>, printed: u64, now: Instant) {
        // Hooks first: an agent waits for each of them before it prints what followed.
        for (name, value) in self.events.look() {
            self.note_event(&value);
            self.hear(&name, &value, now);
        }
        if let Some(lens) = lens {
            for record in lens.records() {
                self.note_line(record.line.as_deref());
                self.hear(&record.name, &record.value, now);
            }
            self.turn.ready |= self.spec.ready == AgentReady::Output && lens.printed() > 0;
        }
        self.turn.ready |= self.spec.ready == AgentReady::Output && printed > 0;
        let version = self.result_version();
        if version.is_some() && version != self.result {
            self.result = version;
            self.hear(RESULT, &Value::Null, now);
        }
        if self.turn.ready && self.phase == AgentPhase::Starting {
            self.phase = AgentPhase::Model;
        }
    }

    /// Whether the turn has to be ended.
    pub(in crate::shim) fn verdict(&self, now: Instant) -> Option<Verdict> {
        let (due, verdict) = self.due()?;
        (due <= now).then_some(verdict)
    }

    /// When `verdict` will answer something else, if nothing happens.
    pub(in crate::shim) fn wake_at(&self) -> Option<Instant> {
        self.due().map(|(due, _)| due)
    }

    fn due(&self) -> Option<(Instant, Verdict)> {
        if !self.turn.ready {
            return Some((self.turn.began + wait(self.spec.ready_ms), Verdict::NotReady));
        }
        let since = self.turn.over_since.filter(|_| self.spec.end == AgentEnd::Turn)?;
        Some((since + wait(self.spec.linger_ms), Verdict::Over))
    }

    fn hear(&mut self, name: &str, value: &Value, now: Instant) {
        self.tally.hear(name, value);
        if let Some(session) = self.session_in(name, value) {
            self.session = Some(session);
        }
        let rules = &self.spec.limits;
        if let Some(seconds) = limits::seconds_of(rules, (name, value), clock::unix()) {
            self.turn.wait = Some(seconds);
        }
        let meaning = meaning(&self.spec.signals, name, value);
        if let Some(error) = self.error_in(name, value, meaning) {
            self.turn.limited |= limits::is_limit(rules, &error);
            self.turn.wait = limits::seconds_in(rules, &error).or(self.turn.wait);
            self.turn.error = Some(error);
        } else if matches!(meaning, Meaning::ToolOpen | Meaning::ToolClose | Meaning::Progress) {
            self.recovered();
        }
        self.act(meaning, value, now);
    }

    fn act(&mut self, meaning: Meaning, value: &Value, now: Instant) {
        if meaning == Meaning::Nothing {
            return;
        }
        self.turn.ready = true;
        match meaning {
            Meaning::Limited | Meaning::Failed | Meaning::Ended => {
                self.turn.limited |= meaning == Meaning::Limited;
                self.turn.failed |= meaning != Meaning::Ended;
                self.turn.over_since = Some(now);
                self.open_tools = 0;
                // An open question outlasts the turn in which it was asked.
                if self.phase != AgentPhase::NeedsInput {
                    self.phase = AgentPhase::TurnEnded;
                }
            }
            Meaning::NeedsInput => {
                if self.phase != AgentPhase::NeedsInput {
                    self.question = Some(question(value));
                }
                self.phase = AgentPhase::NeedsInput;
                return;
            }
            Meaning::ToolOpen => self.open_tools = self.open_tools.saturating_add(1),
            Meaning::ToolClose => self.open_tools = self.open_tools.saturating_sub(1),
            Meaning::Ready | Meaning::Progress | Meaning::Nothing => {}
        }
        if matches!(meaning, Meaning::ToolOpen | Meaning::ToolClose | Meaning::Ready | Meaning::Progress) {
            self.turn.over_since = None;
            self.turn.failed = false;
            self.question = None;
            self.phase = if self.open_tools > 0 { AgentPhase::Tool } else { AgentPhase::Model };
        }
        self.count = self.count.saturating_add(1);
    }

    /// It works again, so what had gone wrong before is nothing any more.
    fn recovered(&mut self) {
        self.turn.limited = false;
        self.turn.error = None;
        self.turn.wait = None;
    }

    fn session_in(&self, name: &str, value: &Value) -> Option<String> {
        let picks = self.spec.stream.as_ref().map_or(&[][..], |rules| rules.session.as_slice());
        session_id(pick(picks, name, value).or_else(|| dig(value, "session"))?)
    }

    fn error_in(&self, name: &str, value: &Value, meaning: Meaning) -> Option<String> {
        let picks = self.spec.stream.as_ref().map_or(&[][..], |rules| rules.error.as_slice());
        let of_failure =
            || dig(value, "message").filter(|_| matches!(meaning, Meaning::Limited | Meaning::Failed));
        let text = words(pick(picks, name, value).or_else(of_failure)?);
        (!text.trim().is_empty()).then(|| one_line(&text, TEXT_CHARS))
    }

    fn note_line(&mut self, line: Option<&str>) {
        if let Some(line) = line {
            self.note = Some(format!("{}: {}", self.spec.adapter, one_line(line, NOTE_CHARS)));
        }
    }

    fn note_event(&mut self, value: &Value) {
        if let Some(tool) = dig(value, "tool").and_then(Value::as_str) {
            self.note = Some(format!("{}: tool {}", self.spec.adapter, one_line(tool, NOTE_CHARS)));
        }
    }

    fn result_version(&self) -> Option<(u64, u64, i64, i64)> {
        let file = &self.spec.result.as_ref()?.file;
        let facts = std::fs::symlink_metadata(file).ok()?;
        Some((facts.ino(), facts.size(), facts.mtime(), facts.mtime_nsec()))
    }

    /// Reads the result file of a turn that has ended: what it used, and whether it went well.
    pub(in crate::shim) fn judge_result(&mut self) {
        let Some(rules) = &self.spec.result else { return };
        let found = read_json(Path::new(&rules.file));
        let word = found.as_ref().and_then(|found| dig(found, &rules.path)).map(words);
        if let Some(found) = &found {
            self.tally.hear(RESULT, found);
        }
        if word.as_ref().is_some_and(|word| !rules.ok.contains(word)) {
            self.turn.failed = true;
            self.turn.error = word.map(|word| one_line(&word, TEXT_CHARS)).or(self.turn.error.take());
        }
    }

    /// What is asked, once.
    pub(in crate::shim) fn take_question(&mut self) -> Option<String> {
        self.question.take()
    }

    /// What it waits for when its turn is over, or nothing.
    pub(super) fn asks(&self) -> bool {
        self.phase == AgentPhase::NeedsInput
    }

    /// It waits for an answer, whoever asked.
    pub(super) fn wait_for_answer(&mut self) {
        self.phase = AgentPhase::NeedsInput;
    }

    /// It is being ended.
    pub(in crate::shim) fn ends(&mut self) {
        if self.phase != AgentPhase::NeedsInput {
            self.phase = AgentPhase::Ending;
        }
    }

    /// Why its provider refuses work, if that is how the turn ended. `printed`: the end of
    /// what was no record, where that may be believed.
    pub(super) fn limit(&self, printed: &str) -> Option<Limit> {
        let rules = &self.spec.limits;
        if !self.turn.limited && !limits::is_limit(rules, printed) {
            return None;
        }
        let why = self.turn.error.clone().unwrap_or_else(|| last_line(printed));
        let seconds = self.turn.wait.or_else(|| limits::seconds_in(rules, printed));
        Some(Limit { why, seconds: seconds.unwrap_or_else(|| limits::default_seconds(rules)) })
    }

    /// What went wrong in this turn, if it says so itself.
    pub(super) fn failure(&self) -> Option<String> {
        let unnamed = || "it says that its turn failed".to_owned();
        self.turn.failed.then(|| self.turn.error.clone().unwrap_or_else(unnamed))
    }

    /// Its session, if it told.
    pub(super) fn session(&self) -> Option<&str> {
        self.session.as_deref()
    }

    /// Signs of progress so far, and what it is at.
    pub(in crate::shim) fn progress(&self) -> (u64, AgentPhase) {
        (self.count, self.phase)
    }

    /// What it did last.
    pub(in crate::shim) fn note(&self) -> Option<String> {
        self.note.clone()
    }

    /// What it used.
    pub(super) fn usage(&self) -> Option<Usage> {
        self.tally.total()
    }
}

impl Turn {
    fn new(began: Instant) -> Self {
        let (over_since, error, wait) = (None, None, None);
        Self { began, ready: false, over_since, failed: false, error, limited: false, wait }
    }
}

fn wait(millis: u64) -> Duration {
    Duration::from_millis(millis).min(MAX_WAIT)
}

fn read_json(path: &Path) -> Option<Value> {
    let mut bytes = Vec::new();
    mail::open_regular(path).ok()?.take(MAX_RESULT).read_to_end(&mut bytes).ok()?;
    serde_json::from_slice(&bytes).ok()
}

#[cfg(test)]
#[path = "watch_tests.rs"]
mod tests;
