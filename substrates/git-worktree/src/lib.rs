#![doc = include_str!("../README.md")]
//!
//! The file layout: `place` judges what is asked for, `provision` makes it, `look` observes, `remnants` lists what was
//! left half made, `fill` is the checkout that somebody else does, `head`, `changes`, `snapshot`, `diff` and `objects` read for
//! evidence; `plain` sees to it that none of that waits; `holding`, `reach` and `stash` say what a tree
//! would take with it; `fingerprint` tells what changed round the workers, from what `lookout` saw.
//! Left out on purpose: removing, pruning or repairing anything.

mod admin;
mod changes;
mod deadline;
mod diff;
mod exclude;
mod fill;
mod fingerprint;
mod git;
mod head;
mod holding;
mod look;
mod lookout;
mod objects;
mod patch;
mod place;
mod plain;
mod provision;
mod reach;
mod remnants;
mod repository;
mod snapshot;
mod standing;
mod stash;
mod turn;

pub use changes::{TreeId, UNTRACKED_MAX};
pub use diff::{DiffFile, DiffStat};
pub use fill::{Fill, Filled};
pub use fingerprint::{Change, Fingerprint};
pub use head::Head;
pub use holding::{Holding, LOOKED_MAX, Weight, weigh};
pub use lookout::{FILES_MAX, Sibling};
pub use objects::{Stored, blob_id};
pub use patch::PatchText;
pub use reach::{Reach, Target};
pub use remnants::Remnant;
pub use snapshot::Snapshot;
pub use standing::Standing;

use ilchul_substrate::{Capabilities, Error, Handle, Mark, Observation, Substrate, Urgency};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Who puts the files into a worktree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Filling {
    /// `ensure`, before it returns.
    #[default]
    AtOnce,
    /// Whoever works in it, by [`GitWorktree::filling`], perhaps on another host.
    Deferred,
}

/// What `ensure` needs to know to make a worktree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorktreeSpec {
    /// Where; absolute, its last part the mark. Missing folders above it are made, mode 0700.
    pub path: PathBuf,
    /// The branch to make, without `refs/heads/`; must not exist. None: detached, a view of
    /// a commit that nobody works on.
    pub branch: Option<String>,
    /// The commit to start from: a full id.
    pub base: String,
    /// Why git shall keep its hands off: one line, shown by `git worktree list`.
    pub reason: String,
    /// Who fills it.
    pub filling: Filling,
}

/// How long things may take, and what is trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// One `git worktree add --no-checkout`.
    pub administration: Duration,
    /// One checkout.
    pub checkout: Duration,
    /// Waiting for another process of ours to finish its administration.
    pub lock: Duration,
    /// Waiting for somebody else's half-written entry to become whole.
    pub foreign: Duration,
    /// Waiting for a git that is just packing references to let go of one of ours.
    pub packing: Duration,
    /// Run the filters that the repository's own settings define. They are commands.
    pub trust_filters: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            administration: Duration::from_mins(1),
            checkout: Duration::from_mins(15),
            lock: Duration::from_mins(2),
            foreign: Duration::from_secs(3),
            packing: Duration::from_secs(3),
            trust_filters: false,
        }
    }
}

/// Workspaces as locked worktrees of one git repository.
#[derive(Debug)]
pub struct GitWorktree {
    /// The git dir of the checkout that was named: its `HEAD` is what `HEAD` means to the user.
    here: PathBuf,
    common: PathBuf,
    checkout: PathBuf,
    quarantine: PathBuf,
    program: PathBuf,
    limits: Limits,
    turn: turn::Turns,
    /// Where else objects were kept when the repository was opened.
    alternates: Option<String>,
}

impl GitWorktree {
    /// The same with other limits.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The same with another `git` than the first one in `PATH`.
    #[must_use]
    pub fn with_program(mut self, program: PathBuf) -> Self {
        self.program = program;
        self
    }

    /// The git dir that all worktrees of the repository share.
    #[must_use]
    pub fn common_dir(&self) -> &Path {
        &self.common
    }

    /// The checkout that the repository was made with.
    #[must_use]
    pub fn main_checkout(&self) -> &Path {
        &self.checkout
    }

    pub(crate) fn entry_dir(&self, name: &str) -> PathBuf {
        self.common.join("worktrees").join(name)
    }
}

impl Substrate for GitWorktree {
    type Spec = WorktreeSpec;

    fn kind(&self) -> &'static str {
        look::KIND
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            queued: false,
            push_events: false,
            attach: false,
            local_files: true,
            wall_time: false,
            can_partition: false,
        }
    }

    /// Makes the worktree, or finds it by its mark.
    ///
    /// Once it returns, the tree is checked out at the base on its new branch,
    /// locked with the reason since its birth, and recorded as finished. A deferred one
    /// is recorded as made and not filled, and holds no file but git's own. If we
    /// die halfway, branch, entry or folder stay: `discover` shows the entry,
    /// [`GitWorktree::remnants`] says what it lacks, and `ensure` answers `Conflict`.
    ///
    /// A deadline that passed and a disk that filled up during the checkout are
    /// `Unavailable` too; what was left then is named in the text.
    fn ensure(&self, mark: &Mark, spec: &Self::Spec) -> Result<Handle, Error> {
        self.provision(mark, spec)
    }

    fn observe(&self, handles: &[Handle]) -> Vec<Observation> {
        self.look_at(handles)
    }

    /// Retains the tree: git's lock on it says so from now on. Urgency makes no difference.
    fn release(&self, handle: &Handle, _urgency: Urgency) -> Result<(), Error> {
        self.retain(handle)
    }

    fn discover(&self, run: &str) -> Result<Vec<(Mark, Handle)>, Error> {
        self.all_of(run)
    }

    /// Nobody is *in* a worktree: a person goes there with `cd`, which is no command to run.
    fn attach(&self, _handle: &Handle) -> Option<Vec<OsString>> {
        None
    }
}
