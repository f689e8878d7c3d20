//! A worktree's whole state as a commit, without touching its index, `HEAD` or branches.
//!
//! It leaves out ignored files, `.ilchul/`, and what nested repositories hold;
//! what couldn't be taken in is listed by name.

use crate::changes::{Changes, changes, open_tree, shown, write_tree};
use crate::deadline::wait_for;
use crate::fill::{Filled, not_filled};
use crate::head::commit_of;
use crate::objects::{links, odb};
use crate::repository::trouble;
use crate::{GitWorktree, plain};
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
    /// Those among them that `parent` or the index tracks, sorted.
    pub changed: Vec<String>,
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
    /// kept as `<reference>-<id>` before it moves: no snapshot is lost. The caller is the only
    /// one who takes snapshots for `reference`: a lock that stays on it was left by a process
    /// that was killed, and is moved aside.
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
        let (found, tree, left_out) = match self.filled(handle)? {
            Filled::Whole => {
                let found = changes(&repo)?;
                let (tree, left_out) = write_tree(&repo, &found, true)?;
                (found, tree, left_out)
            }
            // To git every file of it looks deleted; it holds what its commit does.
            Filled::Never => (Changes::default(), base, Vec::new()),
            Filled::Partly => return Err(not_filled(TAKE, handle)),
        };
        let commit = if tree == base {
            head
        } else {
            let parent = repo.find_commit(head).map_err(wrong)?;
            let tree = repo.find_tree(tree).map_err(wrong)?;
            let ours = Signature::new("ilchul", "ilchul@localhost", &parent.time()).map_err(wrong)?;
            repo.commit(None, &ours, &ours, message, &tree, &[&parent]).map_err(wrong)?
        };
        plain::references(&self.common, &[reference])?;
        let kept = self.name_past_lock(&repo, reference, commit)?;
        let (uncommitted, changed) = if commit == head {
            Default::default()
        } else {
            (shown(&found.all), shown(&found.all.difference(&found.untracked).cloned().collect()))
        };
        let (commit, parent) = (commit.to_string(), head.to_string());
        Ok(Snapshot { commit, parent, uncommitted, changed, left_out, kept })
    }
}

impl GitWorktree {
    /// A process that is killed between locking a reference and writing it leaves the lock,
    /// and without this the work of that attempt could never be kept.
    fn name_past_lock(
        &self,
        repo: &Repository,
        reference: &str,
        commit: Oid,
    ) -> Result<Option<String>, Error> {
        let wrong = |(reference, error): Failure| trouble(TAKE, format!("reference `{reference}`"), error);
        match name(repo, reference, commit) {
            Err((held, error)) if error.code() == ErrorCode::Locked => {
                let lock = self.common.join(format!("{held}.lock"));
                if wait_for(self.limits.packing, || (!lock.exists()).then_some(())).is_none() {
                    let moved = self.move_aside(&format!("{}.lock", held.replace('/', ".")), &lock);
                    // Gone in that very moment is as good.
                    if lock.exists() {
                        moved?;
                    }
                }
                name(repo, reference, commit).map_err(wrong)
            }
            named => named.map_err(wrong),
        }
    }
}

/// The reference that couldn't be written, and why.
type Failure = (String, git2::Error);

/// Lets `reference` name `commit`; what it named before gets a name of its own first.
fn name(repo: &Repository, reference: &str, commit: Oid) -> Result<Option<String>, Failure> {
    let wrong = |error| (reference.to_owned(), error);
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
    repo.reference(&kept, before, true, message).map_err(|error| (kept.clone(), error))?;
    // Only if it still names what was kept.
    repo.reference_matching(reference, commit, true, before, message).map_err(wrong)?;
    Ok(Some(kept))
}
