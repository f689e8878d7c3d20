//! Looking at evidence: each declared item is checked by ilchul itself.
//!
//! Runs on a thread of its own; the answers are inputs. A check that can't be made
//! is `unverifiable`, one that throws or times out is refuted (law E5). It leaves
//! out what verdicts lead to.

mod artifact;
mod command;
mod diff;
mod file;
mod log;
mod reduce;
mod secrets;
mod unchanged;

pub(super) use artifact::CAP as ARTIFACT_CAP;
pub(super) use command::OUTPUT_CAP;
pub(super) use diff::PATHS_MAX;
pub(super) use file::open_below;
pub(super) use reduce::{Reduction, argv as reduce_argv, canonical, result as reduce_result};

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ilchul_git_worktree::GitWorktree;
use ilchul_substrate::Handle;
use serde_json::{Map, Value};

use super::views::{self, View};
use crate::engine::event::Snapshot;
use crate::engine::evidence::{Checked, ChildExit, Verdict, judge_choice, judge_exit, judge_output};
use crate::home::Home;
use crate::workflow::Item;

/// Everything that the checks of one attempt may look at.
#[derive(Clone)]
pub struct Case {
    /// Where blobs and logs go.
    pub home: Home,
    /// What the task declares, in order.
    pub items: Vec<Item>,
    /// How the child ended.
    pub exit: ChildExit,
    /// The tree.
    pub tree: PathBuf,
    /// The tree as a worktree; none for a plain folder.
    pub git: Option<Git>,
    /// Whose trees a judge compares; it may have none itself.
    pub repository: Option<Arc<GitWorktree>>,
    /// The mail folder: its assignment is the stamp of the dispatch.
    pub mail: PathBuf,
    /// What a judge compares.
    pub views: Vec<View>,
    /// What a `reduce` runs, and over what.
    pub reduces: Option<Reduction>,
    /// Everything that the worker printed, as its shim captured it.
    pub log: PathBuf,
    /// Where commands leave output and results.
    pub checks: PathBuf,
    /// Claimed hashes and commits, as the report gave them.
    pub claims: Vec<Value>,
    /// What the report answered.
    pub outputs: Map<String, Value>,
    /// The worker's environment, whole: evidence commands run in it and not in ours.
    pub env: BTreeMap<String, String>,
    /// What commands are started through, where the worker had more than variables.
    pub around: Vec<String>,
    /// Between TERM and KILL.
    pub grace: Duration,
    /// The program of the shim.
    pub program: PathBuf,
}

/// What git knows of the tree.
#[derive(Clone)]
pub struct Git {
    /// The repository.
    pub repository: Arc<GitWorktree>,
    /// The worktree.
    pub handle: Handle,
    /// What the tree held when the attempt was over.
    pub snapshot: Option<Snapshot>,
    /// The task's base.
    pub base: String,
}

impl Case {
    /// The commit that is judged.
    fn head(&self) -> Option<&str> {
        self.git.as_ref().and_then(|git| git.snapshot.as_ref()).map(|snapshot| snapshot.commit.as_str())
    }

    /// A tree whose `.git` file was replaced proves nothing by git: a command that asks git there
    /// is answered by whatever repository that file names, hooks and monitors included (S2).
    fn astray(&self) -> Result<Option<String>, String> {
        let Some(git) = &self.git else { return Ok(None) };
        let head = git.repository.head(&git.handle).map_err(|error| error.to_string())?;
        Ok((!head.gitfile_intact).then(|| "the tree's `.git` file isn't the one that git wrote".to_owned()))
    }

    /// What the report claims of items of `kind`, field by field.
    fn claimed<'a>(&'a self, kind: &'a str, field: &'a str) -> impl Iterator<Item = (&'a Value, &'a str)> {
        self.claims
            .iter()
            .filter(move |claim| claim["kind"] == kind)
            .filter_map(move |claim| claim[field].as_str().map(|value| (claim, value)))
    }

    /// A claimed commit that isn't the judged head refutes whatever is judged by commit.
    fn foreign_commit(&self) -> Option<String> {
        let head = self.head()?;
        let tip = self.git.as_ref()?.snapshot.as_ref()?.tip.as_str();
        self.claims
            .iter()
            .filter_map(|claim| claim["commit"].as_str())
            .find(|claimed| *claimed != head && *claimed != tip)
            .map(|claimed| format!("the report claims commit {claimed}, the task's head is {head}"))
    }
}

/// Checks every item, in order.
#[must_use]
pub fn verify(case: &Case) -> Vec<Checked> {
    case.items
        .iter()
        .enumerate()
        .map(|(number, item)| match item {
            Item::Exit(expected) => judge_exit(*expected, case.exit),
            Item::Command { command, matches, timeout } => {
                command::check(case, number, (command, matches.as_deref(), *timeout))
            }
            Item::Diff { paths, max_lines, clean, allow_none } => {
                let rules =
                    diff::Rules { paths, max_lines: *max_lines, clean: *clean, allow_none: *allow_none };
                diff::check(case, &rules)
            }
            Item::Artifact { path } => artifact::check(case, path),
            // Nothing to look at: the engine asks others, once the rest is verified.
            Item::Approval { message } => Checked::unanswered(message),
            Item::Review { task } => Checked::unreviewed(task),
            Item::Log { pattern, source } => log::check(case, pattern, source),
            Item::Output { name, equals } => judge_output(name, equals, &case.outputs),
            Item::Choice { name, among } => judge_choice(name, among, &case.outputs),
            Item::Unchanged => unchanged::check(case),
            Item::Views => views::check(&case.views, case.repository.as_deref()),
            Item::Reduced => reduce::check(case, number),
            // A control task has no tree; the engine judges it by what it knows of its children.
            Item::Children => unverifiable("children", "judged by what became of its children"),
        })
        .collect()
}

/// The environment of evidence commands: the session's own, and the extras.
#[must_use]
pub fn environment(
    session: Vec<(OsString, OsString)>,
    extras: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let plain = session
        .into_iter()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        // What only the shim is told, and takes away from its child as well.
        .filter(|(name, _)| name != "ILCHUL_LAUNCH" && name != "ILCHUL_LOG");
    plain.chain(extras.iter().map(|(name, value)| (name.clone(), value.clone()))).collect()
}

pub(super) fn refuted(kind: &str, reason: impl Into<String>) -> Checked {
    Checked::new(kind, Verdict::Refuted, reason)
}

pub(super) fn unverifiable(kind: &str, reason: impl Into<String>) -> Checked {
    Checked::new(kind, Verdict::Unverifiable, reason)
}

pub(super) fn verified(kind: &str, reason: impl Into<String>) -> Checked {
    Checked::new(kind, Verdict::Verified, reason)
}
