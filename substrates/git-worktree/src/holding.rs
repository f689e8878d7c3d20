//! What a work tree holds now: what no commit has, what a snapshot lacks, and how much it weighs.
//!
//! Everything is read through the entry that we know and bounded by [`LOOKED_MAX`]. It leaves
//! out judging: that ignored files speak against closing a tree is the caller's to say.

use crate::GitWorktree;
use crate::changes::{changes, open_tree, shown, write_tree};
use crate::objects::{links, odb, parse};
use crate::repository::trouble;
use git2::{Oid, Repository, Status, StatusOptions};
use ilchul_substrate::{Error, Handle};
use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind as IoKind;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

const READ: &str = "look through work tree";

/// The most files of one kind that are looked at.
pub const LOOKED_MAX: usize = 100_000;
/// The most names that are given of one kind.
const NAMED_MAX: usize = 5;
/// The mode of a submodule in an index.
const GITLINK: u32 = 0o160_000;

/// How many files there are, and how large they are together.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Weight {
    /// Files, at most [`LOOKED_MAX`].
    pub count: usize,
    /// Their sizes, in bytes.
    pub bytes: u64,
    /// There are more than were looked at.
    pub more: bool,
    /// The first few; a folder that is all of the kind is one name, with a slash at its end.
    pub names: Vec<String>,
}

/// What a work tree holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Holding {
    /// Tracked paths that aren't as they are in `HEAD`, sorted.
    pub changed: Vec<String>,
    /// Untracked and not ignored paths, sorted.
    pub untracked: Vec<String>,
    /// Paths by which a snapshot of it would differ from the commit that it was compared with,
    /// sorted; `None` where it wasn't. Nothing is stored for it.
    pub since: Option<Vec<String>>,
    /// What no snapshot takes in: nested repositories, unreadable files.
    pub left_out: Vec<String>,
    /// Submodules with a repository of their own, which isn't looked into.
    pub submodules: Vec<String>,
    /// Tracked files.
    pub source: Weight,
    /// Ignored files, without the drop box.
    pub ignored: Weight,
    /// Untracked files.
    pub unknown: Weight,
}

impl GitWorktree {
    /// What the tree holds now, compared with the commit `since`.
    ///
    /// # Errors
    /// When entry and tree don't belong together, or something in it can't be looked at.
    pub fn holding(&self, handle: &Handle, since: Option<&str>) -> Result<Holding, Error> {
        let bound = self.bound(handle)?;
        self.must_be_filled(READ, handle)?;
        let repo = open_tree(&bound.entry, &bound.tree)?;
        let found = changes(&repo)?;
        let odb = odb(&repo)?;
        // Tried before every other store: what is written for the id stays in memory.
        let _memory = odb.add_new_mempack_backend(1000).map_err(|error| trouble(READ, "objects", error))?;
        let (content, left_out) = write_tree(&repo, &found, true)?;
        let untracked = shown(&found.untracked);
        let changed = found.all.difference(&found.untracked).cloned().collect();
        let (source, mut submodules) = tracked(&repo, &bound.tree)?;
        if fs::symlink_metadata(bound.entry.join("modules")).is_ok() {
            submodules.push("its git dir".to_owned());
        }
        let mut unknown = Walk::new(&bound.tree);
        found.untracked.iter().try_for_each(|path| unknown.take(path))?;
        Ok(Holding {
            changed: shown(&changed),
            untracked,
            since: since.map(|commit| different(&repo, commit, content)).transpose()?,
            left_out,
            submodules,
            source,
            ignored: ignored(&repo, &bound.tree)?,
            unknown: unknown.weight,
        })
    }
}

/// The paths by which two trees differ.
fn different(repo: &Repository, commit: &str, content: Oid) -> Result<Vec<String>, Error> {
    let wrong = |error| trouble(READ, commit, error);
    let old = links(&odb(repo)?, parse(commit)?)?.tree;
    if old == content {
        return Ok(Vec::new());
    }
    let (old, new) = (repo.find_tree(old).map_err(wrong)?, repo.find_tree(content).map_err(wrong)?);
    let diff = repo.diff_tree_to_tree(Some(&old), Some(&new), None).map_err(wrong)?;
    let path = |delta: git2::DiffDelta<'_>| {
        let bytes = delta.new_file().path_bytes().or_else(|| delta.old_file().path_bytes());
        String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned()
    };
    Ok(diff.deltas().map(path).collect())
}

/// The weight of a plain folder, links not followed.
///
/// # Errors
/// When something in it can't be looked at; a folder that isn't there is empty.
pub fn weigh(folder: &Path) -> Result<Weight, Error> {
    let mut walk = Walk::new(folder);
    let listing = match fs::read_dir(folder) {
        Ok(listing) => listing,
        Err(error) if error.kind() == IoKind::NotFound => return Ok(walk.weight),
        Err(error) => return Err(Error::io(READ, format!("`{}`", folder.display()), error)),
    };
    for entry in listing {
        let entry = entry.map_err(|error| Error::io(READ, format!("`{}`", folder.display()), error))?;
        let mut name = entry.file_name().as_bytes().to_vec();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            name.push(b'/');
        }
        walk.take(&name)?;
    }
    walk.weight.names.sort_unstable();
    Ok(walk.weight)
}

fn tracked(repo: &Repository, tree: &Path) -> Result<(Weight, Vec<String>), Error> {
    let index = repo.index().map_err(|error| trouble(READ, format!("`{}`", tree.display()), error))?;
    let (mut weight, mut submodules) = (Weight::default(), Vec::new());
    for entry in index.iter() {
        let path = tree.join(OsStr::from_bytes(&entry.path));
        if entry.mode == GITLINK {
            if fs::symlink_metadata(path.join(".git")).is_ok() {
                submodules.push(String::from_utf8_lossy(&entry.path).into_owned());
            }
            continue;
        }
        if weight.count == LOOKED_MAX {
            weight.more = true;
            continue;
        }
        // Removed ones are among the changes already.
        if let Ok(found) = fs::symlink_metadata(&path) {
            weight.count += 1;
            weight.bytes += found.len();
        }
    }
    Ok((weight, submodules))
}

/// All that git is told to ignore: it is in no commit, and in no snapshot either.
fn ignored(repo: &Repository, tree: &Path) -> Result<Weight, Error> {
    let mut options = StatusOptions::new();
    options.include_ignored(true).recurse_ignored_dirs(false).no_refresh(true);
    // Also below folders that hold nothing but ignored files.
    options.include_untracked(true).recurse_untracked_dirs(true).exclude_submodules(true);
    let wrong = |error| trouble(READ, format!("`{}`", tree.display()), error);
    let mut walk = Walk::new(tree);
    for entry in repo.statuses(Some(&mut options)).map_err(wrong)?.iter() {
        let path = entry.path_bytes();
        if entry.status().contains(Status::IGNORED) && !path.starts_with(crate::changes::DROP_BOX) {
            walk.take(path)?;
        }
    }
    Ok(walk.weight)
}

/// Counting files below a tree, up to the limit.
struct Walk {
    tree: PathBuf,
    weight: Weight,
}

impl Walk {
    fn new(tree: &Path) -> Self {
        Self { tree: tree.to_owned(), weight: Weight::default() }
    }

    /// Counts a file, or all files below a folder.
    fn take(&mut self, path: &[u8]) -> Result<(), Error> {
        if self.weight.names.len() < NAMED_MAX {
            self.weight.names.push(String::from_utf8_lossy(path).into_owned());
        }
        let mut open = vec![self.tree.join(OsStr::from_bytes(path))];
        // Ends at the limit: links aren't followed, so nothing is met twice.
        while let Some(path) = open.pop() {
            if self.weight.count >= LOOKED_MAX {
                self.weight.more = true;
                return Ok(());
            }
            let wrong = |error| Error::io(READ, format!("`{}`", path.display()), error);
            let found = match fs::symlink_metadata(&path) {
                Ok(found) => found,
                Err(error) if error.kind() == IoKind::NotFound => continue,
                Err(error) => return Err(wrong(error)),
            };
            if found.is_dir() {
                for entry in fs::read_dir(&path).map_err(wrong)? {
                    open.push(entry.map_err(wrong)?.path());
                }
            } else {
                self.weight.count += 1;
                self.weight.bytes += found.len();
            }
        }
        Ok(())
    }
}
