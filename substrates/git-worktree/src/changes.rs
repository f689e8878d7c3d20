//! What in a work tree isn't committed, found by libgit2: no hook, filter or monitor runs.
//!
//! It leaves out ignored files, the drop box `.ilchul/`, and what is inside
//! submodules and nested repositories: those have a history of their own.

use crate::repository::trouble;
use crate::{GitWorktree, plain};
use git2::{Index, IndexEntry, IndexEntryFlag, Repository, RepositoryOpenFlags, Status, StatusOptions};
use ilchul_substrate::{Error, ErrorKind, Handle};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

const READ: &str = "read work tree";

/// The worker's drop box at a tree's root; ours, so never part of its work.
pub(crate) const DROP_BOX: &[u8] = b".ilchul/";

/// The most untracked paths that [`GitWorktree::tree_id`] lists.
pub const UNTRACKED_MAX: usize = 1000;

/// The tracked files of a work tree as they are now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeId {
    /// The id that a commit of them would give its tree; nothing is stored.
    pub tree: String,
    /// Untracked and not ignored paths, at most [`UNTRACKED_MAX`], sorted.
    pub untracked: Vec<String>,
    /// How many there are.
    pub untracked_count: usize,
}

/// Changed paths, as bytes: a file's name need not be UTF-8.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// Differs between `HEAD` and the index, or between the index and the work tree.
    pub(crate) all: BTreeSet<Vec<u8>>,
    /// Tracked, and other than in the index: to be read again.
    pub(crate) modified: Vec<Vec<u8>>,
    pub(crate) removed: BTreeSet<Vec<u8>>,
    pub(crate) untracked: BTreeSet<Vec<u8>>,
    /// Couldn't be looked into.
    pub(crate) unreadable: Vec<Vec<u8>>,
}

impl GitWorktree {
    /// What isn't committed in `tree`, which is the main checkout or one of the
    /// repository's worktrees: changed, staged and untracked paths, sorted.
    ///
    /// # Errors
    /// `Refused` when `tree` is neither.
    pub fn uncommitted(&self, tree: &Path) -> Result<Vec<String>, Error> {
        let real =
            tree.canonicalize().map_err(|error| Error::io(READ, format!("`{}`", tree.display()), error))?;
        let git_dir = if real == self.checkout { self.common.clone() } else { self.entry_of(&real)? };
        let repo = open_tree(&git_dir, &real)?;
        Ok(shown(&changes(&repo)?.all))
    }

    /// The tracked paths as they are in the work tree now, as one id, and what is untracked.
    ///
    /// # Errors
    /// When entry and tree don't belong together, or a tracked file can't be read.
    pub fn tree_id(&self, handle: &Handle) -> Result<TreeId, Error> {
        let bound = self.bound(handle)?;
        self.must_be_filled(READ, handle)?;
        let repo = open_tree(&bound.entry, &bound.tree)?;
        let found = changes(&repo)?;
        let odb = crate::objects::odb(&repo)?;
        // Tried before every other store: what is written for the id stays in memory.
        let _memory = odb.add_new_mempack_backend(1000).map_err(|error| trouble(READ, "objects", error))?;
        let (tree, left_out) = write_tree(&repo, &found, false)?;
        if let Some(path) = left_out.first() {
            return Err(Error::new(ErrorKind::Io, READ, format!("`{path}` can't be read")));
        }
        let untracked: Vec<String> =
            found.untracked.iter().take(UNTRACKED_MAX).map(|path| text(path)).collect();
        Ok(TreeId { tree: tree.to_string(), untracked, untracked_count: found.untracked.len() })
    }

    fn entry_of(&self, tree: &Path) -> Result<std::path::PathBuf, Error> {
        for name in crate::admin::entry_names(&self.common)? {
            let entry = crate::admin::Entry::read(&self.common, &name)?;
            if let Some(entry) = entry.filter(|entry| entry.tree.as_deref() == Some(tree)) {
                return Ok(entry.dir);
            }
        }
        let detail = format!("`{}` is no work tree of `{}`", tree.display(), self.common.display());
        Err(Error::new(ErrorKind::Refused, READ, detail))
    }
}

/// The repository as seen from a work tree, both given by us.
pub(crate) fn open_tree(git_dir: &Path, tree: &Path) -> Result<Repository, Error> {
    let wrong = |error| trouble(READ, format!("`{}`", tree.display()), error);
    // An entry lies two folders below what it shares; the main checkout's git dir is that itself.
    let common = if git_dir.join("commondir").exists() { git_dir.join("../..") } else { git_dir.to_owned() };
    plain::common(&common)?;
    plain::entry(git_dir)?;
    plain::tree(tree)?;
    let flags = RepositoryOpenFlags::NO_SEARCH | RepositoryOpenFlags::NO_DOTGIT;
    let repo = Repository::open_ext(git_dir, flags, std::iter::empty::<&OsStr>()).map_err(wrong)?;
    repo.set_workdir(tree, false).map_err(wrong)?;
    Ok(repo)
}

/// Compares `HEAD`, index and work tree. The index on disk is only read.
pub(crate) fn changes(repo: &Repository) -> Result<Changes, Error> {
    let wrong = |error| trouble(READ, format!("`{}`", repo.path().display()), error);
    let mut index = repo.index().map_err(wrong)?;
    let absent_by_design = look_at_everything(&mut index).map_err(wrong)?;
    let mut options = StatusOptions::new();
    options.include_untracked(true).recurse_untracked_dirs(true).include_ignored(false);
    // Not refreshed: that would bring back from disk the flags that were just cleared.
    options.exclude_submodules(true).include_unreadable(true).no_refresh(true);
    let mut found = Changes::default();
    for entry in repo.statuses(Some(&mut options)).map_err(wrong)?.iter() {
        let (path, status) = (entry.path_bytes().to_vec(), entry.status());
        if path.starts_with(DROP_BOX) {
            continue;
        }
        if status.contains(Status::WT_UNREADABLE) {
            found.unreadable.push(path);
            continue;
        }
        if status.contains(Status::WT_DELETED) {
            if absent_by_design.contains(&path) {
                continue;
            }
            found.removed.insert(path.clone());
        } else if status.contains(Status::WT_NEW) {
            found.untracked.insert(path.clone());
        } else if status.intersects(Status::WT_MODIFIED | Status::WT_TYPECHANGE | Status::CONFLICTED) {
            found.modified.push(path.clone());
        }
        found.all.insert(path);
    }
    Ok(found)
}

/// Clears, in memory, the flags by which an index tells git not to look at a
/// file: a worker could hide a change behind them. Returns the paths that a
/// sparse checkout leaves out of the work tree.
fn look_at_everything(index: &mut Index) -> Result<BTreeSet<Vec<u8>>, git2::Error> {
    let valid = IndexEntryFlag::VALID.bits();
    let sparse = git2::IndexEntryExtendedFlag::SKIP_WORKTREE.bits();
    let flagged: Vec<IndexEntry> =
        index.iter().filter(|entry| entry.flags & valid != 0 || entry.flags_extended & sparse != 0).collect();
    let mut absent = BTreeSet::new();
    for mut entry in flagged {
        if entry.flags_extended & sparse != 0 {
            absent.insert(entry.path.clone());
        }
        entry.flags &= !valid;
        entry.flags_extended &= !sparse;
        index.add(&entry)?;
    }
    Ok(absent)
}

/// Writes the tree of the index with the work tree's changes applied, and what couldn't be taken in.
///
/// The index that is written from is made afresh in memory: the one on disk
/// carries a cache of tree ids, and that could be made to say anything.
pub(crate) fn write_tree(
    repo: &Repository,
    found: &Changes,
    with_untracked: bool,
) -> Result<(git2::Oid, Vec<String>), Error> {
    let wrong = |error| trouble("write tree", format!("`{}`", repo.path().display()), error);
    let mut index = repo.index().map_err(wrong)?;
    let mut left_out: Vec<String> = found.unreadable.iter().map(|path| text(path)).collect();
    let untracked = found.untracked.iter().filter(|_| with_untracked);
    for path in found.modified.iter().chain(untracked) {
        // Nested repositories are listed with a slash at the end.
        if path.ends_with(b"/") || index.add_path(Path::new(OsStr::from_bytes(path))).is_err() {
            left_out.push(text(path));
        }
    }
    let mut fresh = Index::new().map_err(wrong)?;
    for mut entry in index.iter() {
        let stage = (entry.flags >> 12) & 3;
        if stage == 0 && !found.removed.contains(&entry.path) {
            entry.flags_extended = 0;
            fresh.add(&entry).map_err(wrong)?;
        }
    }
    let tree = fresh.write_tree_to(repo).map_err(wrong)?;
    left_out.sort_unstable();
    Ok((tree, left_out))
}

pub(crate) fn shown(paths: &BTreeSet<Vec<u8>>) -> Vec<String> {
    paths.iter().map(|path| text(path)).collect()
}

fn text(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}
