//! The repository: whether worktrees can be made of it, and what lies in the way.
//!
//! What lies in the way is named and left: who made it, and whether it is still wanted,
//! can't be known from here.

use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::Finding;
use crate::cli::describe::{count, list};
use crate::cli::error::{CliError, words};
use crate::cli::place::Place;
use crate::cli::{settings, setup_plan, workflow_file};
use crate::workflow::{self, Workflow};

/// Names that one line shows.
const NAMED: usize = 5;
/// Worktrees whose locks are looked at.
const MAX_WORKTREES: usize = 10_000;
/// Files of git's whose lock keeps others waiting.
const LOCKED: [&str; 5] = ["index.lock", "HEAD.lock", "config.lock", "packed-refs.lock", "shallow.lock"];

/// Whether it is one that worktrees can be made of.
pub(super) fn kind(place: Result<&Place, &CliError>) -> Finding {
    match place {
        Ok(place) => Finding::ok(
            "repository",
            format!("`{}`, with a checkout", place.repository.main_checkout().display()),
        ),
        Err(error) => {
            let found = error.message.strip_prefix("open repository: ").unwrap_or(&error.message);
            Finding::fail("repository", found, error.hint.clone())
        }
    }
}

/// Worktrees of ours that were begun and not finished.
pub(super) fn remnants(place: &Place) -> Finding {
    match place.repository.remnants() {
        Ok(found) if found.is_empty() => Finding::ok("remnants", "no half-made worktrees"),
        Ok(found) => {
            let names: Vec<String> = found.iter().map(|remnant| remnant.path.display().to_string()).collect();
            let text = format!("{}: {}", count(found.len(), "half-made worktree"), list(&names, NAMED));
            Finding::warn(
                "remnants",
                text,
                "They are kept for you to look at; nothing of a run depends on them.",
            )
        }
        Err(error) => Finding::warn("remnants", format!("failed to {}", words(&error)), ""),
    }
}

/// Lock files of git's own. Ours or not can't be known; none is ever removed (R4b).
pub(super) fn locks(place: &Place) -> Finding {
    let common = place.repository.common_dir();
    let found: Vec<String> = lock_files(common).iter().map(|path| with_age(path)).collect();
    if found.is_empty() {
        return Finding::ok("git locks", "none");
    }
    let shown = found.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    let more = found.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    Finding::warn(
        "git locks",
        format!("{shown}{more}"),
        "If no git is at work there, a git that died has left it: look, then remove it yourself.",
    )
}

/// The repository's workflow. One that can't be read is `validate`'s to explain.
pub(super) fn workflow(place: &Place) -> Option<Workflow> {
    let path = place.repository.main_checkout().join(workflow_file::NAME);
    let settings = settings::load().ok()?;
    let loaded = workflow::load_for(&settings, workflow_file::NAME, &workflow::read(&path).ok()?).ok()?;
    Some(loaded.workflow)
}

/// Whether what the repository brings to every worktree was approved.
pub(super) fn setup(place: &Place, workflow: &Workflow) -> Option<Finding> {
    match setup_plan::look(place, workflow) {
        Ok(None) => None,
        Ok(Some(outlook)) => Some(match outlook.approved {
            Some(approved) => {
                Finding::ok("setup", format!("approved by {} at {}", approved.who, approved.at))
            }
            None => Finding::warn(
                "setup",
                "nobody has approved what this repository would run or copy before its tasks",
                "Run `ilchul approve --hooks` to see and approve it.",
            ),
        }),
        Err(error) => Some(Finding::fail("setup", error.message, error.hint)),
    }
}

/// Lock files of the repository and of each of its worktrees, sorted.
fn lock_files(common: &Path) -> Vec<PathBuf> {
    let worktrees = fs::read_dir(common.join("worktrees")).into_iter().flatten().flatten();
    let folders = worktrees.take(MAX_WORKTREES).map(|entry| entry.path());
    let candidates = std::iter::once(common.to_owned()).chain(folders);
    let mut found: Vec<PathBuf> = candidates
        .flat_map(|folder| LOCKED.map(|name| folder.join(name)))
        .filter(|path| path.symlink_metadata().is_ok())
        .collect();
    found.sort();
    found
}

/// The file and how old it is; a label for people, nothing is decided by it.
fn with_age(path: &Path) -> String {
    let modified = path.symlink_metadata().and_then(|found| found.modified()).ok();
    let since = modified.and_then(|time| Timestamp::try_from(time).ok());
    match since {
        Some(since) => {
            let age_ms = crate::supervisor::clock::wall_ms().saturating_sub(since.as_millisecond());
            let age = std::time::Duration::from_secs(u64::try_from(age_ms / 1000).unwrap_or(0));
            format!("`{}` ({} old)", path.display(), crate::cli::describe::duration(age))
        }
        None => format!("`{}`", path.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r4b_locks_of_every_worktree_are_found_and_stay() {
        let top = tempfile::tempdir().unwrap();
        fs::create_dir_all(top.path().join("worktrees/a")).unwrap();
        assert_eq!(lock_files(top.path()), Vec::<PathBuf>::new());
        for name in ["index.lock", "worktrees/a/index.lock", "worktrees/a/locked"] {
            fs::write(top.path().join(name), "").unwrap();
        }
        let found = lock_files(top.path());
        assert_eq!(found, [top.path().join("index.lock"), top.path().join("worktrees/a/index.lock")]);
        assert!(with_age(&found[0]).ends_with("s old)"), "{}", with_age(&found[0]));
        assert!(found.iter().all(|path| path.exists()));
    }
}
