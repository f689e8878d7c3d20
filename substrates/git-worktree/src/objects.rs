//! Commits and files by id, as they were stored.
//!
//! Commits are read byte by byte: libgit2's own walk believes `info/grafts` and
//! commit-graph files, which a worker can write. Replace references are never
//! looked at. It leaves out names: apart from `resolve_commit` all take full ids.

use crate::GitWorktree;
use crate::repository::trouble;
use git2::{ErrorCode, ObjectType, Odb, Oid, Repository, TreeWalkMode, TreeWalkResult};
use ilchul_substrate::{Error, ErrorKind};
use std::collections::{HashSet, VecDeque};
use std::path::Path;

const READ: &str = "read commit";
/// How a tree marks a symbolic link.
const LINK_MODE: i32 = 0o120_000;

/// What a stored commit says of itself.
pub(crate) struct Links {
    pub(crate) tree: Oid,
    pub(crate) parents: Vec<Oid>,
}

impl GitWorktree {
    /// The full id of the commit that `rev` names for whoever stands in the
    /// checkout that [`GitWorktree::open`] was given.
    ///
    /// # Errors
    /// `Refused` when it names no commit.
    pub fn resolve_commit(&self, rev: &str) -> Result<String, Error> {
        let repo = Repository::open(&self.here).map_err(|error| trouble(READ, format!("`{rev}`"), error))?;
        let named = repo.revparse_single(rev).and_then(|object| object.peel_to_commit());
        named.map(|commit| commit.id().to_string()).map_err(|error| {
            let detail = format!("`{}` names no commit", rev.escape_debug());
            Error::new(ErrorKind::Refused, READ, detail).with_source(error)
        })
    }

    /// Whether the commit `id` is stored here.
    ///
    /// # Errors
    /// When `id` is no full id, or the object can't be read.
    pub fn contains_commit(&self, id: &str) -> Result<bool, Error> {
        let repo = self.repository()?;
        let oid = parse(id)?;
        match odb(&repo)?.read_header(oid) {
            Ok((_, kind)) => Ok(kind == ObjectType::Commit),
            Err(error) if error.code() == ErrorCode::NotFound => Ok(false),
            Err(error) => Err(trouble(READ, id, error)),
        }
    }

    /// Whether `head` is `base` or comes after it, by the parents that the commits themselves name.
    ///
    /// # Errors
    /// When a commit on the way is missing and `base` wasn't met: nobody knows then.
    pub fn descends(&self, head: &str, base: &str) -> Result<bool, Error> {
        let repo = self.repository()?;
        let odb = odb(&repo)?;
        let (head, base) = (parse(head)?, parse(base)?);
        links(&odb, base)?;
        let mut seen = HashSet::from([head]);
        let mut queue = VecDeque::from([head]);
        let mut missing = None;
        // Ends with the history: no commit is looked at twice.
        while let Some(oid) = queue.pop_front() {
            if oid == base {
                return Ok(true);
            }
            match links(&odb, oid) {
                Ok(links) => queue.extend(links.parents.into_iter().filter(|parent| seen.insert(*parent))),
                // Where a shallow clone ends; the base may still be met on another way.
                Err(error) => missing = missing.or(Some(error)),
            }
        }
        missing.map_or(Ok(false), Err)
    }

    /// The id of the file or link at `path` in `commit`, if there is one.
    ///
    /// # Errors
    /// When the commit or a folder on the way isn't stored here.
    pub fn blob_at(&self, commit: &str, path: &Path) -> Result<Option<String>, Error> {
        let repo = self.repository()?;
        let tree = links(&odb(&repo)?, parse(commit)?)?.tree;
        let tree = repo.find_tree(tree).map_err(|error| trouble(READ, commit, error))?;
        match tree.get_path(path) {
            Ok(entry) => Ok((entry.kind() == Some(ObjectType::Blob)).then(|| entry.id().to_string())),
            Err(error) if error.code() == ErrorCode::NotFound && error.class() != git2::ErrorClass::Odb => {
                Ok(None)
            }
            Err(error) => Err(trouble(READ, format!("`{}` in {commit}", path.display()), error)),
        }
    }
}

/// A file or link as a commit has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its bytes; of a link, the text that it leads to.
    pub bytes: Vec<u8>,
    /// It is a link.
    pub link: bool,
}

impl GitWorktree {
    /// The file or link at `path` in `commit`, if there is one.
    ///
    /// # Errors
    /// When something on the way isn't stored here, and `Refused` for more than `cap` bytes.
    pub fn file_at(&self, commit: &str, path: &Path, cap: usize) -> Result<Option<Stored>, Error> {
        let repo = self.repository()?;
        let odb = odb(&repo)?;
        let tree = links(&odb, parse(commit)?)?.tree;
        let tree = repo.find_tree(tree).map_err(|error| trouble(READ, commit, error))?;
        let what = || format!("`{}` in {commit}", path.display());
        let entry = match tree.get_path(path) {
            Ok(entry) if entry.kind() == Some(ObjectType::Blob) => entry,
            Ok(_) => return Ok(None),
            Err(error) if error.code() == ErrorCode::NotFound && error.class() != git2::ErrorClass::Odb => {
                return Ok(None);
            }
            Err(error) => return Err(trouble(READ, what(), error)),
        };
        let (size, _) = odb.read_header(entry.id()).map_err(|error| trouble(READ, what(), error))?;
        if size > cap {
            let detail = format!("{} has {size} bytes, at most {cap} are read", what());
            return Err(Error::new(ErrorKind::Refused, READ, detail));
        }
        let object = odb.read(entry.id()).map_err(|error| trouble(READ, what(), error))?;
        Ok(Some(Stored { bytes: object.data().to_vec(), link: entry.filemode() == LINK_MODE }))
    }
}

/// The id that git gives a file with these bytes; nothing is stored.
///
/// # Errors
/// None that is known: libgit2 only hashes.
pub fn blob_id(bytes: &[u8]) -> Result<String, Error> {
    Oid::hash_object(ObjectType::Blob, bytes)
        .map(|id| id.to_string())
        .map_err(|error| trouble(READ, "a file's bytes", error))
}

/// A full id, or `Refused`.
pub(crate) fn parse(id: &str) -> Result<Oid, Error> {
    Oid::from_str(id).ok().filter(|_| id.len() == 40).ok_or_else(|| {
        Error::new(ErrorKind::Refused, READ, format!("`{}` is no full commit id", id.escape_debug()))
    })
}

pub(crate) fn odb(repo: &Repository) -> Result<Odb<'_>, Error> {
    repo.odb().map_err(|error| trouble(READ, "objects", error))
}

/// Tree and parents of a stored commit, from its own bytes.
pub(crate) fn links(odb: &Odb<'_>, oid: Oid) -> Result<Links, Error> {
    let object = odb.read(oid).map_err(|error| trouble(READ, oid, error))?;
    if object.kind() != ObjectType::Commit {
        return Err(Error::new(ErrorKind::Refused, READ, format!("{oid} is no commit")));
    }
    let damaged = || Error::new(ErrorKind::Io, READ, format!("{oid} is damaged"));
    let mut tree = None;
    let mut parents = Vec::new();
    for line in object.data().split(|byte| *byte == b'\n') {
        let id = |hex: &[u8]| std::str::from_utf8(hex).ok().and_then(|hex| parse(hex).ok());
        if let Some(hex) = line.strip_prefix(b"tree ") {
            tree = Some(id(hex).ok_or_else(damaged)?);
        } else if let Some(hex) = line.strip_prefix(b"parent ") {
            parents.push(id(hex).ok_or_else(damaged)?);
        } else {
            break;
        }
    }
    Ok(Links { tree: tree.ok_or_else(damaged)?, parents })
}

/// Makes sure that every folder and file of a commit is stored here, without reading the files.
pub(crate) fn complete(repo: &Repository, commit: Oid) -> Result<(), Error> {
    let odb = odb(repo)?;
    let tree = links(&odb, commit)?.tree;
    let wrong = |error| trouble(READ, format!("every object of {commit}"), error);
    let tree = repo.find_tree(tree).map_err(wrong)?;
    let mut missing = None;
    let walked = tree.walk(TreeWalkMode::PreOrder, |folder, entry| {
        // A submodule's commit lives in another repository.
        let here = entry.kind() != Some(ObjectType::Blob) || odb.exists(entry.id());
        if here {
            return TreeWalkResult::Ok;
        }
        missing = Some(format!("{folder}{}", String::from_utf8_lossy(entry.name_bytes())));
        TreeWalkResult::Abort
    });
    match missing {
        Some(path) => {
            let detail = format!("`{path}` of {commit} isn't stored here (a partial clone, or damage)");
            Err(Error::new(ErrorKind::Refused, READ, detail))
        }
        None => walked.map_err(wrong),
    }
}
