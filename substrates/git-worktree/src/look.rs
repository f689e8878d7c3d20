//! Looking at worktrees: by handle, by run, without starting a process.
//!
//! It leaves out what follows from an answer. An entry or a tree that can't be
//! read is unknown; only a tree whose folder can be read and holds no such name is absent.

use crate::GitWorktree;
use crate::admin::{Entry, Files, Record, entry_names, small_file};
use crate::fill::DEFERRED;
use ilchul_substrate::{Error, ErrorKind, Facts, Handle, Mark, Observation, State};
use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind as IoKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

pub(crate) const KIND: &str = "worktree";

/// The file in a tree that names its git dir.
pub(crate) const GITFILE: &str = ".git";

/// A handle whose entry was read and found to be the one of its tree.
pub(crate) struct Bound {
    pub(crate) entry: PathBuf,
    pub(crate) tree: PathBuf,
    /// The tree's `.git` file still holds what git wrote.
    pub(crate) gitfile_intact: bool,
}

impl GitWorktree {
    /// Text only, because it is journaled; all of it from the record, so that a
    /// found worktree has the handle of the day it was made.
    pub(crate) fn handle(&self, mark: &Mark, record: &Record) -> Handle {
        let fields = [
            ("path", record.path.clone()),
            ("branch", record.branch.clone()),
            ("base", record.base.clone()),
            ("common", self.common.display().to_string()),
            ("gitfile", record.gitfile.clone()),
            ("inode", record.inode.clone()),
        ];
        let mut fields: BTreeMap<String, String> =
            fields.map(|(name, value)| (name.to_owned(), value)).into();
        if record.files != Files::AtOnce {
            // That it is deferred, and not how far it came: a handle stays as it was on its day.
            fields.insert(DEFERRED.to_owned(), "deferred".to_owned());
        }
        Handle { mark: mark.clone(), kind: KIND.to_owned(), id: record.path.clone(), fields }
    }

    pub(crate) fn look_at(&self, handles: &[Handle]) -> Vec<Observation> {
        // Opened once for all: it reads the settings and the packed references.
        let repo = self.repository().ok();
        let look = |handle: &Handle| self.state(handle, repo.as_ref()).unwrap_or_else(State::Unknown);
        handles.iter().map(|handle| Observation::now(look(handle))).collect()
    }

    /// `Err` holds why nothing could be proven.
    fn state(&self, handle: &Handle, repo: Option<&git2::Repository>) -> Result<State, String> {
        let say = |error: Error| error.to_string();
        self.mine(handle).map_err(say)?;
        let tree = PathBuf::from(handle.field("path").map_err(say)?);
        let entry = Entry::read(&self.common, &handle.mark.to_string()).map_err(say)?;
        // The tree first: what became of git's side says nothing about the files in it.
        let Some(inode) = inode_of(&tree).map_err(say)? else { return missing(&tree) };
        let intact = gitfile_intact(&tree, handle.field("gitfile").map_err(say)?).map_err(say)?;
        if !intact && inode != handle.field("inode").map_err(say)? {
            // Neither the folder that was made nor the link that git wrote: something else's place.
            return Ok(State::Absent);
        }
        let Some(entry) = entry else {
            // Its files may hold work, so the tree can't be called absent.
            return Err(format!("git's entry is gone, `{}` is there", tree.display()));
        };
        if entry.tree.as_deref() != Some(&tree) {
            return Err(format!("`{}` doesn't belong to `{}`", entry.dir.display(), tree.display()));
        }
        let Some(record) = entry.whole() else {
            return Err(format!("half made: {}", entry.lacks.join(", ")));
        };
        // A branch or commit that can't be read makes the tree no less live.
        let mut notes = vec![("branch", record.branch.clone())];
        if let Some(commit) = repo.and_then(|repo| crate::head::commit_of(repo, &entry.dir).ok()) {
            notes.push(("head", commit.to_string()));
        }
        if !intact {
            notes.push(("gitfile", "changed".to_owned()));
        }
        if let Some(words) = self.how_filled(&entry, record).map_err(say)?.lack() {
            notes.push(("files", words.to_owned()));
        }
        Ok(State::Live(Facts { path: Some(tree), notes, ..Facts::default() }))
    }

    /// All entries of a run, half-made ones with as many fields as are known.
    pub(crate) fn all_of(&self, run: &str) -> Result<Vec<(Mark, Handle)>, Error> {
        let mut found = Vec::new();
        for name in entry_names(&self.common)? {
            let Ok(mark) = name.parse::<Mark>() else { continue };
            // By the whole part: run `r1` isn't asked about `r10`.
            if mark.run() != run {
                continue;
            }
            let Some(entry) = Entry::read(&self.common, &name)? else { continue };
            let handle = match &entry.record {
                Some(record) => self.handle(&mark, record),
                None => self.half_handle(&mark, &entry),
            };
            found.push((mark, handle));
        }
        // As marks: by name, attempt 10 would come before attempt 2.
        found.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(found)
    }

    /// Without identity fields: every verb but `release` refuses such a handle.
    fn half_handle(&self, mark: &Mark, entry: &Entry) -> Handle {
        let mut fields = BTreeMap::new();
        fields.insert("common".to_owned(), self.common.display().to_string());
        fields.insert("half_made".to_owned(), entry.lacks.join(", "));
        let mut id = entry.dir.display().to_string();
        if let Some(tree) = &entry.tree {
            id = tree.display().to_string();
            fields.insert("path".to_owned(), id.clone());
        }
        Handle { mark: mark.clone(), kind: KIND.to_owned(), id, fields }
    }

    /// Locks the worktree as retained. A tree or an entry that is gone is no trouble.
    pub(crate) fn retain(&self, handle: &Handle) -> Result<(), Error> {
        self.mine(handle)?;
        let mark = &handle.mark;
        let Some(entry) = Entry::read(&self.common, &mark.to_string())? else { return Ok(()) };
        let path = handle.fields.get("path").map(PathBuf::from);
        if entry.tree.is_some() && path != entry.tree {
            return Err(foreign(mark, &format!("`{}` is another tree's entry", entry.dir.display())));
        }
        // A half-made one has no identity yet beyond its mark; it is kept all the same.
        if let (Some(tree), Some(_)) = (&path, handle.fields.get("inode")) {
            is_the_one(handle, tree)?;
        }
        entry.lock_with(&format!("ilchul: retained {mark}"))
    }

    /// The entry and tree of a handle, or an error that says what doesn't match.
    ///
    /// Everything read for evidence starts here: from the entry that we know, and
    /// never from the tree's `.git` file, which its worker can rewrite.
    pub(crate) fn bound(&self, handle: &Handle) -> Result<Bound, Error> {
        self.mine(handle)?;
        let tree = PathBuf::from(handle.field("path")?);
        let entry = Entry::read(&self.common, &handle.mark.to_string())?
            .ok_or_else(|| foreign(&handle.mark, "git's entry is gone"))?;
        // Compared with what git writes: an edited one would lead to other objects and branches.
        let common = small_file(&entry.dir.join("commondir"))?;
        if entry.tree.as_deref() != Some(&tree) || common.as_deref().map(str::trim_end) != Some("../..") {
            let detail = format!("`{}` doesn't belong to `{}`", entry.dir.display(), tree.display());
            return Err(foreign(&handle.mark, &detail));
        }
        let gitfile_intact = is_the_one(handle, &tree)?;
        Ok(Bound { entry: entry.dir, tree, gitfile_intact })
    }

    /// A named target or an error: a handle of another repository isn't looked for in this one.
    fn mine(&self, handle: &Handle) -> Result<(), Error> {
        let common = handle.field("common")?;
        if handle.kind == KIND && Path::new(common) == self.common {
            return Ok(());
        }
        let detail = format!("`{}` is a {} of `{common}`", handle.mark, handle.kind);
        Err(Error::new(ErrorKind::Refused, "read handle", detail))
    }
}

fn foreign(mark: &Mark, detail: &str) -> Error {
    Error::new(ErrorKind::Conflict, "find worktree", format!("`{mark}`: {detail}"))
}

/// That the folder at `tree` is the one of the handle, by its inode or by what
/// git wrote into it; whether the latter is untouched. A tree that is gone passes.
fn is_the_one(handle: &Handle, tree: &Path) -> Result<bool, Error> {
    let Some(inode) = inode_of(tree)? else { return Ok(false) };
    let intact = gitfile_intact(tree, handle.field("gitfile")?)?;
    if intact || inode == handle.field("inode")? {
        return Ok(intact);
    }
    Err(foreign(&handle.mark, &format!("something else lies at `{}`", tree.display())))
}

pub(crate) fn inode_of(tree: &Path) -> Result<Option<String>, Error> {
    match fs::symlink_metadata(tree) {
        Ok(metadata) => Ok(Some(metadata.ino().to_string())),
        Err(error) if error.kind() == IoKind::NotFound => Ok(None),
        Err(error) => Err(Error::io("look at worktree", format!("`{}`", tree.display()), error)),
    }
}

/// Absent, if the folder round it can be seen; an unmounted disk hides the folder too.
fn missing(tree: &Path) -> Result<State, String> {
    match tree.parent().map(fs::metadata) {
        Some(Ok(metadata)) if metadata.is_dir() => Ok(State::Absent),
        Some(_) | None => Err(format!("the folder round `{}` is gone too, or not mounted", tree.display())),
    }
}

pub(crate) fn gitfile_intact(tree: &Path, recorded: &str) -> Result<bool, Error> {
    let path = tree.join(GITFILE);
    // Not through a link: the bytes behind one aren't the tree's.
    match fs::symlink_metadata(&path) {
        Ok(metadata) if metadata.is_file() => {}
        Ok(_) => return Ok(false),
        Err(error) if matches!(error.kind(), IoKind::NotFound | IoKind::NotADirectory) => return Ok(false),
        Err(error) => return Err(Error::io("read", format!("`{}`", path.display()), error)),
    }
    Ok(small_file(&path)?.is_some_and(|text| text.strip_suffix('\n').unwrap_or(&text) == recorded))
}
