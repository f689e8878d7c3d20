//! What the dashboard knows of the run: folded once, then row by row as they come.
//!
//! It leaves out what is shown of it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::super::Global;
use super::super::error::CliError;
use super::super::read::{self, OfRun, Read};
use crate::dash::{Look, Progress};
use crate::engine::Engine;
use crate::engine::view::RunView;
use crate::protocol::Heartbeat;
use crate::render::Beside;
use crate::supervisor::SupervisorError;
use crate::supervisor::clock::wall_ms;

/// How long it is believed that no worktree has gone.
const GONE_AFTER: Duration = Duration::from_secs(5);
/// More workers than these aren't asked for their worktrees: that is a look at each.
const GONE_MAX: usize = 300;

/// A run that is followed.
pub(super) struct Feed {
    global: Global,
    of: OfRun,
    /// The run, read; its view is as old as the last [`Feed::look`].
    pub(super) read: Read,
    engine: Engine,
    gone: (Option<Instant>, BTreeMap<String, Vec<String>>),
}

impl Feed {
    /// Reads the run that is meant.
    ///
    /// # Errors
    /// When there is none, or the journal is damaged.
    pub(super) fn open(global: &Global, of: &OfRun) -> Result<Self, CliError> {
        let (read, engine) = Read::open_live(global, of)?;
        Ok(Self { global: global.clone(), of: of.clone(), read, engine, gone: (None, BTreeMap::new()) })
    }

    /// Whether the run was named, so that a later one is no concern.
    pub(super) fn is_named(&self) -> bool {
        self.of.run.is_some()
    }

    /// Takes what has come since; the look, if it is another one than before.
    ///
    /// # Errors
    /// When the journal can't be read any more, or isn't what was written.
    pub(super) fn look(&mut self) -> Result<Option<Look>, CliError> {
        if !self.is_named() && self.read.follower.latest()?.is_some_and(|latest| latest != self.read.view.id)
        {
            let global = self.global.clone();
            *self = Self::open(&global, &self.of)?;
            return Ok(Some(self.first()));
        }
        let rows = self.read.follower.poll()?;
        let held = read::is_held(&self.read.place, &self.read.view.id)?;
        if rows.is_empty() && held == self.read.held {
            return Ok(None);
        }
        for row in &rows {
            self.engine
                .fold(row.at, &row.event)
                .map_err(|corrupt| CliError::from(SupervisorError::Corrupt(corrupt)))?;
        }
        self.read.held = held;
        if !rows.is_empty() {
            self.read.view = RunView::of(self.engine.state());
        }
        Ok(Some(self.first()))
    }

    /// The look at what is known already.
    pub(super) fn first(&mut self) -> Look {
        let (beside, progress, now_ms) = self.pulse();
        Look { view: self.read.view.clone(), held: self.read.held, beside, progress, now_ms }
    }

    /// What moves without an event.
    pub(super) fn pulse(&mut self) -> (Beside, BTreeMap<String, Progress>, i64) {
        let (mut beats, mut progress) = (BTreeMap::new(), BTreeMap::new());
        for worker in self.read.view.workers.iter().filter(|worker| worker.phase.is_live()) {
            if let Some(beat) = self.read.beat(&worker.id) {
                progress.insert(worker.id.clone(), made(&beat));
                beats.insert(worker.id.clone(), beat.at);
            }
        }
        let is_due = self.gone.0.is_none_or(|at| at.elapsed() >= GONE_AFTER);
        if is_due && self.read.view.workers.len() <= GONE_MAX {
            self.gone = (Some(Instant::now()), self.read.gone());
        }
        let scratch = Some(self.read.place.home.run(&self.read.view.id).join("scratch"));
        let beside = Beside { beats, scratch, gone: self.gone.1.clone(), ..Beside::default() };
        (beside, progress, wall_ms())
    }

    /// The commit that a task's changes are compared with.
    pub(super) fn base(&self, task: &str) -> Option<String> {
        let state = self.engine.state();
        Some(state.base_of(state.task_index(task)?))
    }
}

fn made(beat: &Heartbeat) -> Progress {
    let (output_bytes, cpu_ms) = (beat.progress.output_bytes, beat.progress.cpu_ms);
    Progress { output_bytes, cpu_ms, note: beat.note.clone() }
}
