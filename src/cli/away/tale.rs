//! What is known here of a run on another machine: its rows, folded, and told as `up` tells them.
//!
//! Whatever link they come through, what was told isn't told again. It leaves out links, and who
//! drives the run.

use super::super::error::CliError;
use super::super::exit_code::Exit;
use super::super::output::{self, Output};
use super::super::progress::Progress;
use super::super::record;
use super::link::Link;
use super::rows::Word;
use crate::engine::event::{Event, RunEvent};
use crate::engine::state::{RunPhase, RunState};
use crate::engine::{Corrupt, Engine};
use crate::journal::Recorded;
use crate::supervisor::{Listener, SupervisorError};

/// What the other side's word says of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    /// Nothing yet: the look goes on, or there is no row.
    Part,
    /// It isn't a run of the workflow that was wanted.
    Foreign,
    /// It has ended.
    Over(Exit),
    /// A supervisor drives it.
    Driven,
    /// None does.
    Undriven,
}

/// A run, as far as it was told.
pub(super) struct Tale {
    /// The machine's name, and what is typed to mean it.
    name: String,
    named: String,
    json: bool,
    output: Output,
    progress: Progress,
    engine: Option<Engine>,
    run: String,
    seq: u64,
    /// Rows of a look that isn't whole yet.
    pending: Vec<Recorded>,
    went_on: bool,
}

impl Tale {
    /// Nothing is known yet.
    pub(super) fn new(link: &Link, json: bool, output: Output) -> Self {
        Self {
            name: link.target.name.clone(),
            named: link.target.named.clone(),
            json,
            output,
            progress: Progress::new(json, output.color_err),
            engine: None,
            run: String::new(),
            seq: 0,
            pending: Vec::new(),
            went_on: false,
        }
    }

    /// The run's id; empty before anything is known.
    pub(super) fn run_id(&self) -> &str {
        &self.run
    }

    /// The last row that was told.
    pub(super) fn seq(&self) -> u64 {
        self.seq
    }

    /// The run as it is known; none before its first row.
    pub(super) fn state(&self) -> Option<&RunState> {
        self.engine.as_ref().map(Engine::state)
    }

    /// Whether a task went on since this was last asked.
    pub(super) fn went_on(&mut self) -> bool {
        std::mem::take(&mut self.went_on)
    }

    /// Another link: half a look of the last one counts for nothing.
    pub(super) fn relink(&mut self) {
        self.pending.clear();
    }

    /// Takes one word of the other side; `wanted` is the workflow that the run has to be of.
    ///
    /// # Errors
    /// When it can't be understood, or its rows don't follow from each other.
    pub(super) fn take(&mut self, line: &str, wanted: Option<&str>) -> Result<Heard, CliError> {
        let word: Word = serde_json::from_str(line).map_err(|error| self.unclear(&error.to_string()))?;
        if !is_id(&word.run) {
            return Err(self.unclear("what it calls the run is no id"));
        }
        let (held, more) = (word.held, word.more);
        self.run.clone_from(&word.run);
        self.pending.extend(word.recorded());
        if more {
            return Ok(Heard::Part);
        }
        let rows = std::mem::take(&mut self.pending);
        if !self.told(rows, wanted)? {
            return Ok(Heard::Foreign);
        }
        Ok(match self.state().map(|state| state.phase) {
            None => Heard::Part,
            Some(RunPhase::Ended { success }) => Heard::Over(if success { Exit::Done } else { Exit::Failed }),
            Some(RunPhase::Running | RunPhase::Interrupted) if held => Heard::Driven,
            Some(RunPhase::Running | RunPhase::Interrupted) => Heard::Undriven,
        })
    }

    /// Folds and tells; `false` where the run isn't of the workflow that was wanted.
    fn told(&mut self, mut rows: Vec<Recorded>, wanted: Option<&str>) -> Result<bool, CliError> {
        rows.retain(|row| row.seq > self.seq);
        let Some(last) = rows.last() else { return Ok(true) };
        self.seq = last.seq;
        let corrupt = |why: Corrupt| CliError::from(SupervisorError::Corrupt(why));
        self.went_on |= rows.iter().any(|row| matches!(row.event, Event::Task(_)));
        let Some(engine) = &mut self.engine else {
            let begins = |row: &Recorded| {
                matches!(row.event, Event::Run(RunEvent::Started(_) | RunEvent::Resumed { .. }))
            };
            let news = rows.iter().rposition(begins).unwrap_or(0);
            let events = rows.iter().map(|row| (row.at, row.event.clone()));
            let engine = Engine::replay(events).map_err(corrupt)?;
            let state = engine.state();
            if state.started.run != self.run {
                return Err(self.unclear("its rows are of another run"));
            }
            if wanted.is_some_and(|wanted| wanted != state.started.path) {
                return Ok(false);
            }
            if !self.json {
                output::talk(&begun(state, &self.name));
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

    fn unclear(&self, why: &str) -> CliError {
        CliError::new("host", format!("understand `{}`: {why}", self.name))
    }

    /// Draws what goes on with time alone.
    pub(super) fn tick(&mut self) {
        if let Some(engine) = &self.engine {
            self.progress.tick(engine.state());
        }
    }

    /// Says what is in the way of following.
    pub(super) fn say(&mut self, text: &str) {
        self.progress.trouble(text);
        match &self.engine {
            Some(engine) => self.progress.tick(engine.state()),
            None => output::talk(text),
        }
    }

    /// Nothing more is drawn in place.
    pub(super) fn done(&mut self) {
        self.progress.done();
    }

    /// The run is over: its record.
    pub(super) fn over(&mut self) {
        self.done();
        if let (Some(engine), false) = (self.engine.take(), self.json) {
            record::print(engine.into_state(), self.output);
            output::talk(&format!("It is all on {0}: put `--host {0}` behind `ilchul`.", self.named));
        }
    }
}

/// Whether the other machine's word may be a run's id: it stands in commands, and in names of
/// branches here.
pub(super) fn is_id(run: &str) -> bool {
    !run.is_empty() && run.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
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
