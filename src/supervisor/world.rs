//! The world of one supervisor: where things are, what hosts them, what is inherited.
//!
//! Shared by the loop and by the jobs on other threads; nothing here changes. It
//! leaves out the clock and the journal, which only the loop has.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use ilchul_git_worktree::GitWorktree;
use ilchul_substrate::{Handle, Mark, SessionSpec, Substrate};

use super::environment::Inherited;
use super::ports::Ports;
use crate::engine::event::Place;
use crate::home::Home;

/// Anything that hosts sessions.
pub type Sessions = Arc<dyn Substrate<Spec = SessionSpec>>;

/// The world of one supervisor.
#[derive(Clone)]
pub struct World {
    /// Where things are.
    pub home: Home,
    /// The run that is driven.
    pub run: String,
    /// The repository; none where no task has a worktree.
    pub repository: Option<Arc<GitWorktree>>,
    /// What hosts the workers' processes.
    pub sessions: Sessions,
    /// Our own environment.
    pub inherited: Inherited,
    /// The program of the shim: ilchul itself.
    pub program: PathBuf,
    /// The ports of this life's workers.
    pub ports: Arc<Ports>,
    /// How many launches may run at once; always at least two, so that one that hangs doesn't
    /// hold up the others.
    pub cores: usize,
}

impl World {
    /// The mark of a worker of this run.
    ///
    /// # Errors
    /// Never for a worker of a validated workflow.
    pub fn mark(&self, worker: &str) -> Result<Mark, ilchul_substrate::InvalidMark> {
        format!("ilchul.{}.{worker}", self.run).parse()
    }
}

impl World {
    /// Where the checks of one worker leave what they print.
    #[must_use]
    pub fn checks(&self, worker: &str) -> PathBuf {
        self.home.checks(&self.run, worker)
    }

    /// Where one worker's files are, with a worktree or without.
    #[must_use]
    pub fn tree(&self, worker: &str, worktree: bool) -> PathBuf {
        if worktree && self.repository.is_some() {
            self.home.tree(&self.run, worker)
        } else {
            self.home.scratch(&self.run, worker)
        }
    }
}

/// A substrate's handle, as the journal keeps it.
#[must_use]
pub fn place(handle: &Handle) -> Place {
    Place { kind: handle.kind.clone(), id: handle.id.clone(), fields: handle.fields.clone().into() }
}

/// A journaled place, as the substrate knows it.
#[must_use]
pub fn handle(mark: Mark, place: &Place) -> Handle {
    let fields = BTreeMap::from(&place.fields);
    Handle { mark, kind: place.kind.clone(), id: place.id.clone(), fields }
}
