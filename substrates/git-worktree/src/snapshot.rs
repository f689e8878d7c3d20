//! A worktree's whole state as a commit, without touching its index, `HEAD` or branches.
//!
//! It leaves out ignored files, `.ilchul/`, and what nested repositories hold;
//! what couldn't be taken in is listed by name.

use crate::GitWorktree;
use crate::changes::{changes, open_tree, shown, write_tree};
use crate::head::commit_of;
use crate::objects::{links, odb};
use crate::repository::trouble;
use git2::{ErrorCode, Oid, Repository, Signature};
use ilchul_substrate::{Error, ErrorKind, Handle};

const TAKE: &str = "take snapshot";

/// A snapshot that is stored and named by a reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// What the reference names now; equals `parent` where nothing was uncommitted.
    pub commit: String,
    /// The worktree's `HEAD` commit.
    pub parent: String,
    /// What `commit` holds beyond `parent`: changed, staged and untracked paths, sorted.
    pub uncommitted: Vec<String>,
    /// What is in the tree and not in `commit`: nested repositories, unreadable files.
    pub left_out: Vec<String>,
    /// The name under which an earlier, different snapshot was kept.
    pub kept: Option<String>,
}

impl GitWorktree {
    /// Stores the worktree's state, untracked files included, and lets `reference` name it.
    ///
    /// The commit's only parent is the worktree's `HEAD` commit. It carries that
    /// commit's time, so that the same state gives the same commit: after a crash
    /// it may be taken again. If `reference` names something else already, that is
    /// kept as `<reference>-<id>` before it moves: no snapshot is lost.
    ///
    /// Text conversions (line ends) are done as git does them. Filters are not
    /// run: of a changed LFS file the snapshot holds the content and not a pointer.
    ///
    /// # Errors
    /// `Refused` for a reference outside `refs/ilchul/`, `Conflict` when entry and
    /// tree don't belong together or a lock file is in the way.
    pub fn snapshot(&self, handle: &Handle, reference: &str, message: &str) -> Result<Snapshot, Error> {
        if !reference.starts_with("refs/ilchul/") || !git2::Reference::is_valid_name(reference) {
            let detail = format!("`{}` is no reference below `refs/ilchul/`", reference.escape_debug());
            return Err(Error::new(ErrorKind::Refused, TAKE, detail));
        }
        let bound = self.bound(handle)?;
        let repo = open_tree(&bound.entry, &bound.tree)?;
        let wrong = |error| trouble(TAKE, format!("`{}`", handle.mark), error);
        let head = commit_of(&repo, &bound.entry)?;
        let base = links(&odb(&repo)?, head)?.tree;
        let found = changes(&repo)?;
        let (tree, left_out) = write_tree(&repo, &found, true)?;
        let commit = if tree == base {
            head
        } else {
            let parent = repo.find_commit(head).map_err(wrong)?;
            let tree = repo.find_tree(tree).map_err(wrong)?;
            let ours = Signature::new("ilchul", "ilchul@localhost", &parent.time()).map_err(wrong)?;
            repo.commit(None, &ours, &ours, message, &tree, &[&parent]).map_err(wrong)?
        };
        let kept = name(&repo, reference, commit)?;
        let uncommitted = if commit == head { Vec::new() } else { shown(&found.all) };
        Ok(Snapshot { commit: commit.to_string(), parent: head.to_string(), uncommitted, left_out, kept })
    }
}

/// Lets `reference` name `commit`; what it named before gets a name of its own first.
fn name(repo: &Repository, reference: &str, commit: Oid) -> Result<Option<String>, Error> {
    let wrong = |error| trouble(TAKE, format!("reference `{reference}`"), error);
    let message = "ilchul: snapshot";
    let before = match repo.refname_to_id(reference) {
        Ok(before) if before == commit => return Ok(None),
        Ok(before) => before,
        Err(error) if error.code() == ErrorCode::NotFound => {
            return repo.reference(reference, commit, false, message).map(|_| None).map_err(wrong);
        }
        Err(error) => return Err(wrong(error)),
    };
    let kept = format!("{reference}-{}", &before.to_string()[..12]);
    repo.reference(&kept, before, true, message).map_err(wrong)?;
    // Only if it still names what was kept.
    repo.reference_matching(reference, commit, true, before, message).map_err(wrong)?;
    Ok(Some(kept))
}
