//! Where a worktree's `HEAD` is, read through the entry that we know.
//!
//! It leaves out judging it: that a worker left its branch is a fact here, not an error.

use crate::admin::small_file;
use crate::objects::{links, odb, parse};
use crate::repository::trouble;
use crate::{GitWorktree, plain};
use git2::{ErrorCode, Oid, ReferenceType, Repository};
use ilchul_substrate::{Error, ErrorKind, Handle};
use std::path::Path;

const READ: &str = "read HEAD";

/// What a worktree's `HEAD` names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The commit that is checked out; stored here.
    pub commit: String,
    /// The tip of the branch that the worktree was made with; `None` where the branch is gone.
    pub branch_tip: Option<String>,
    /// `HEAD` names that branch, and the branch is no alias of another.
    pub on_branch: bool,
    /// The tree's `.git` file holds the bytes that git wrote for it. Where not,
    /// a plain `git` run in the tree works on whatever that file names.
    pub gitfile_intact: bool,
}

impl GitWorktree {
    /// Where the worktree stands.
    ///
    /// # Errors
    /// `Conflict` when entry and tree don't belong together any more, `Io` when
    /// `HEAD` names no commit that is stored here.
    pub fn head(&self, handle: &Handle) -> Result<Head, Error> {
        let bound = self.bound(handle)?;
        let repo = self.repository()?;
        let commit = commit_of(&repo, &bound.entry)?;
        links(&odb(&repo)?, commit)?;
        let name = handle.field("branch")?;
        if name.is_empty() {
            // It was made detached: no branch of its own can have moved.
            let gitfile_intact = bound.gitfile_intact;
            return Ok(Head {
                commit: commit.to_string(),
                branch_tip: None,
                on_branch: false,
                gitfile_intact,
            });
        }
        let branch = format!("refs/heads/{name}");
        plain::references(&self.common, &[&branch])?;
        let (tip, direct) = match repo.find_reference(&branch) {
            Ok(reference) => {
                let direct = reference.kind() == Some(ReferenceType::Direct);
                (reference.resolve().ok().and_then(|reference| reference.target()), direct)
            }
            Err(error) if error.code() == ErrorCode::NotFound => (None, false),
            Err(error) => return Err(trouble(READ, format!("branch `{branch}`"), error)),
        };
        let on_branch = direct && symbolic(&bound.entry)?.as_deref() == Some(&branch);
        Ok(Head {
            commit: commit.to_string(),
            branch_tip: tip.map(|tip| tip.to_string()),
            on_branch,
            gitfile_intact: bound.gitfile_intact,
        })
    }
}

impl GitWorktree {
    /// The last parts of the references directly below `prefix`, which ends in `/`; in no
    /// order. A reference deeper down isn't among them.
    ///
    /// # Errors
    /// What git says.
    pub fn references_below(&self, prefix: &str) -> Result<Vec<String>, Error> {
        let wrong = |error| trouble("list references", format!("`{prefix}`"), error);
        let repo = self.repository()?;
        plain::references_below(&self.common.join(prefix))?;
        let found = repo.references_glob(&format!("{prefix}*")).map_err(wrong)?;
        let mut names = Vec::new();
        for reference in found {
            let reference = reference.map_err(wrong)?;
            let name = String::from_utf8_lossy(reference.name_bytes()).into_owned();
            names.extend(name.strip_prefix(prefix).filter(|last| !last.contains('/')).map(str::to_owned));
        }
        Ok(names)
    }
}

/// The reference that an entry's `HEAD` names, if it names one.
fn symbolic(entry: &Path) -> Result<Option<String>, Error> {
    let text = small_file(&entry.join("HEAD"))?.unwrap_or_default();
    Ok(text.trim_end().strip_prefix("ref: ").map(str::to_owned))
}

/// The commit that an entry's `HEAD` names, directly or by a branch.
pub(crate) fn commit_of(repo: &Repository, entry: &Path) -> Result<Oid, Error> {
    let path = entry.join("HEAD");
    let text = small_file(&path)?.unwrap_or_default();
    let text = text.trim_end();
    match text.strip_prefix("ref: ") {
        Some(name) if plain::references(repo.commondir(), &[name]).is_err() => {
            Err(Error::new(ErrorKind::Io, READ, format!("`{name}` isn't a regular file")))
        }
        Some(name) => repo.refname_to_id(name).map_err(|error| trouble(READ, format!("`{name}`"), error)),
        None => parse(text).map_err(|error| {
            Error::new(ErrorKind::Io, READ, format!("`{}` names no commit", path.display()))
                .with_source(error)
        }),
    }
}
