//! A worktree whose files somebody else checks out: the command for it, and how far that came.
//!
//! The record is the one witness that it's done: it is there from the start and replaced whole,
//! because a network file system remembers longest that a name is missing. It leaves out running
//! the command, and doing it a second time: a tree in which it began is never retried.

use crate::GitWorktree;
use crate::admin::{Entry, Files, READY, Record};
use crate::git::{Call, HOST_SIGNS, variables, words};
use crate::head::commit_of;
use crate::look::GITFILE;
use crate::provision::CHECK_OUT;
use ilchul_substrate::{Error, ErrorKind, Handle, Mark};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::ErrorKind as IoKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

const FILL: &str = "fill worktree";
/// The field of a handle whose worktree somebody else fills.
pub(crate) const DEFERRED: &str = "files";

/// How far a worktree's files are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filled {
    /// They were all checked out.
    Whole,
    /// Nobody has begun: it holds nothing but git's own file, and its branch stands at its base.
    Never,
    /// Something is there, and nobody said that it's all: a checkout goes on, or ended halfway.
    Partly,
}

impl Filled {
    /// What it lacks, in words.
    #[must_use]
    pub fn lack(self) -> Option<&'static str> {
        match self {
            Self::Whole => None,
            Self::Never => Some("never filled"),
            Self::Partly => Some("its checkout goes on, or ended halfway"),
        }
    }
}

/// How to fill a deferred worktree, for whoever does it; perhaps on another host, so all of it is
/// data. Once only: where anything of `untouched` is there, or the tree holds more than `.git`,
/// somebody began before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fill {
    /// Program and arguments, which mean the same wherever it stands; only whole paths of `PATH`
    /// may be looked through for it.
    pub argv: Vec<OsString>,
    /// For its environment, in which nothing else begins with `GIT_`.
    pub env: Vec<(OsString, OsString)>,
    /// How long it may take.
    pub limit: Duration,
    /// What no checkout has touched isn't there.
    pub untouched: Vec<PathBuf>,
    /// The file that says how far it came.
    pub record: PathBuf,
    /// What it holds before.
    pub owed: String,
    /// What replaces it, durably and whole, once the program has ended well.
    pub done: String,
    /// Words of the program's by which the host is to blame and not the repository.
    pub host_signs: &'static [&'static str],
}

impl GitWorktree {
    /// How to fill the deferred worktree of `handle`; `None` for one that `ensure` filled.
    ///
    /// # Errors
    /// When its record or the repository's settings can't be read, or it was filled before.
    pub fn filling(&self, handle: &Handle) -> Result<Option<Fill>, Error> {
        let bound = self.bound(handle)?;
        let record = self.record_of(&handle.mark)?.and_then(|entry| entry.record);
        let Some(record) = record else { return Err(not_filled(FILL, handle)) };
        match record.files {
            Files::AtOnce => return Ok(None),
            Files::Done => {
                let detail = format!("`{}` has its files", handle.mark);
                return Err(Error::new(ErrorKind::Conflict, FILL, detail));
            }
            Files::Owed => {}
        }
        let args = CHECK_OUT.map(OsStr::new);
        let call = Call {
            git_dir: &bound.entry,
            work_tree: &bound.tree,
            args: &args,
            settings: &self.filters_off(&self.repository()?)?,
            limit: self.limits.checkout,
        };
        let mut argv = vec![self.program.clone().into_os_string(), "-C".into(), "/".into()];
        argv.extend(words(&call));
        Ok(Some(Fill {
            argv,
            env: variables(&call),
            limit: call.limit,
            untouched: begun(&bound.entry).to_vec(),
            record: bound.entry.join(READY),
            owed: record.to_text(),
            done: Record { files: Files::Done, ..record }.to_text(),
            host_signs: &HOST_SIGNS,
        }))
    }

    /// How far the files of `handle`'s worktree are there.
    ///
    /// # Errors
    /// When entry, record or tree can't be looked at, or don't belong together.
    pub fn filled(&self, handle: &Handle) -> Result<Filled, Error> {
        if !handle.fields.contains_key(DEFERRED) {
            return Ok(Filled::Whole);
        }
        self.bound(handle)?;
        let Some(entry) = self.record_of(&handle.mark)? else { return Err(not_filled(FILL, handle)) };
        let record = entry.record.as_ref().ok_or_else(|| not_filled(FILL, handle))?;
        self.how_filled(&entry, record)
    }

    /// The handle of a worktree that was made under `mark`; `None` where there is none, or half
    /// of one.
    ///
    /// # Errors
    /// When its entry can't be read.
    pub fn made(&self, mark: &Mark) -> Result<Option<Handle>, Error> {
        let entry = self.record_of(mark)?;
        Ok(entry.as_ref().and_then(Entry::whole).map(|record| self.handle(mark, record)))
    }

    fn record_of(&self, mark: &Mark) -> Result<Option<Entry>, Error> {
        Entry::read(&self.common, &mark.to_string())
    }

    pub(crate) fn how_filled(&self, entry: &Entry, record: &Record) -> Result<Filled, Error> {
        if record.files != Files::Owed {
            return Ok(Filled::Whole);
        }
        for path in begun(&entry.dir) {
            if is_there(&path)? {
                return Ok(Filled::Partly);
            }
        }
        if !holds_only_git(Path::new(&record.path))? {
            return Ok(Filled::Partly);
        }
        // Somebody may have moved its branch on from elsewhere: then there is something to lose.
        let at = commit_of(&self.repository()?, &entry.dir)?.to_string();
        Ok(if at == record.base { Filled::Never } else { Filled::Partly })
    }

    /// To git, what was never checked out looks deleted.
    pub(crate) fn must_be_filled(&self, action: &'static str, handle: &Handle) -> Result<(), Error> {
        match self.filled(handle)? {
            Filled::Whole => Ok(()),
            Filled::Never | Filled::Partly => Err(not_filled(action, handle)),
        }
    }
}

pub(crate) fn not_filled(action: &'static str, handle: &Handle) -> Error {
    let detail = format!("the files of `{}` were never all checked out", handle.mark);
    Error::new(ErrorKind::Conflict, action, detail)
}

/// What a checkout writes into the entry, first and last.
fn begun(entry: &Path) -> [PathBuf; 2] {
    ["index.lock", "index"].map(|name| entry.join(name))
}

fn is_there(path: &Path) -> Result<bool, Error> {
    match fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == IoKind::NotFound => Ok(false),
        Err(error) => Err(Error::io(FILL, format!("`{}`", path.display()), error)),
    }
}

fn holds_only_git(tree: &Path) -> Result<bool, Error> {
    let wrong = |error| Error::io(FILL, format!("`{}`", tree.display()), error);
    for entry in fs::read_dir(tree).map_err(wrong)? {
        if entry.map_err(wrong)?.file_name() != GITFILE {
            return Ok(false);
        }
    }
    Ok(true)
}
