//! Git's administrative entries, read file by file, and the lock round their making.
//!
//! Every add of git and of libgit2 reads the half-written entries of the others
//! and fails now and then; so ours are made one at a time. It leaves out what to
//! do about an entry, and never removes one.

use crate::deadline::wait_for;
use ilchul_substrate::{Error, ErrorKind};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{ErrorKind as IoKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Our file in an entry: written last, so it says that the checkout finished.
pub(crate) const READY: &str = "ilchul-ready";
const READY_FORM: &str = "ilchul-worktree/1";
/// A later form, so that a program that knows nothing of deferred ones takes none for filled.
const DEFERRED_FORM: &str = "ilchul-worktree/2";
const LOCK: &str = "ilchul.lock";

/// The most that is read of any of these files, in bytes; git's own are shorter than a path.
const FILE_MAX: u64 = 64 * 1024;

/// How many taken names are passed over.
const NAMES_MAX: u32 = 100;

/// Tells temporary names of one process apart.
static WRITES: AtomicU64 = AtomicU64::new(0);

/// What a record says of the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Files {
    /// Checked out before the record was written.
    AtOnce,
    /// Somebody else's to check out; nobody has said that it's done.
    Owed,
    /// Checked out by somebody else, who said so.
    Done,
}

/// What `ensure` wrote down about a finished worktree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) path: String,
    /// Empty for a detached one.
    pub(crate) branch: String,
    pub(crate) base: String,
    /// What git wrote into the tree's `.git` file, without the line's end.
    pub(crate) gitfile: String,
    /// The tree's inode: it moves with the tree and isn't shared by a folder put in its place.
    pub(crate) inode: String,
    pub(crate) files: Files,
}

impl Record {
    pub(crate) fn to_text(&self) -> String {
        let (form, files) = match self.files {
            Files::AtOnce => (READY_FORM, ""),
            Files::Owed => (DEFERRED_FORM, "files owed\n"),
            Files::Done => (DEFERRED_FORM, "files done\n"),
        };
        format!(
            "{form}\npath {}\nbranch {}\nbase {}\ngitfile {}\ninode {}\n{files}",
            self.path, self.branch, self.base, self.gitfile, self.inode
        )
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let form = lines.next()?;
        let mut next = |key: &str| lines.next()?.strip_prefix(key)?.strip_prefix(' ').map(str::to_owned);
        Some(Self {
            path: next("path")?,
            branch: next("branch")?,
            base: next("base")?,
            gitfile: next("gitfile")?,
            inode: next("inode")?,
            files: match form {
                READY_FORM => Files::AtOnce,
                DEFERRED_FORM => match next("files")?.as_str() {
                    "owed" => Files::Owed,
                    "done" => Files::Done,
                    _ => return None,
                },
                _ => return None,
            },
        })
    }
}

/// One folder in `worktrees/` of the common dir, as it is now.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) dir: PathBuf,
    /// Where git believes the tree to be, `.git` cut off.
    pub(crate) tree: Option<PathBuf>,
    pub(crate) record: Option<Record>,
    /// What keeps it from being whole, in words; empty for a whole one.
    pub(crate) lacks: Vec<String>,
}

impl Entry {
    /// The entry `name`, or `None` where there is none.
    pub(crate) fn read(common: &Path, name: &str) -> Result<Option<Self>, Error> {
        let dir = common.join("worktrees").join(name);
        match fs::symlink_metadata(&dir) {
            Ok(_) => {}
            Err(error) if error.kind() == IoKind::NotFound => return Ok(None),
            Err(error) => {
                return Err(Error::io("read worktree entry", format!("`{}`", dir.display()), error));
            }
        }
        // It names the tree's `.git` file, not the tree.
        let tree = small_file(&dir.join("gitdir"))?.map(|text| {
            let path = PathBuf::from(text.trim_end_matches('\n'));
            path.parent().map_or_else(|| path.clone(), Path::to_path_buf)
        });
        let record = small_file(&dir.join(READY))?.as_deref().and_then(Record::parse);
        let mut lacks = missing_links(&dir)?;
        // Git's own word for an add that was killed; with a reason given it isn't written.
        if small_file(&dir.join("locked"))?.is_some_and(|reason| reason.trim_end() == "initializing") {
            lacks.push("still locked as `initializing`".to_owned());
        }
        if record.is_none() {
            // Beside a record an index.lock is only the worker's own git at work.
            if dir.join("index.lock").exists() {
                lacks.push("an `index.lock` was left".to_owned());
            }
            if tree.as_deref().is_some_and(|tree| !tree.exists()) {
                lacks.push("no tree".to_owned());
            }
            lacks.push("its checkout isn't recorded as finished".to_owned());
        }
        Ok(Some(Self { dir, tree, record, lacks }))
    }

    /// The record of a whole entry.
    pub(crate) fn whole(&self) -> Option<&Record> {
        self.record.as_ref().filter(|_| self.lacks.is_empty())
    }

    /// Says, durably, that the checkout finished.
    pub(crate) fn finish(dir: &Path, record: &Record) -> Result<(), Error> {
        write_whole(&dir.join(READY), record.to_text().as_bytes())
    }

    /// Replaces the reason for which git keeps its hands off this worktree.
    pub(crate) fn lock_with(&self, reason: &str) -> Result<(), Error> {
        write_whole(&self.dir.join("locked"), format!("{reason}\n").as_bytes())
    }
}

/// Which of the three files are missing or empty without which an entry blocks every later add.
pub(crate) fn missing_links(dir: &Path) -> Result<Vec<String>, Error> {
    let mut missing = Vec::new();
    for name in ["HEAD", "commondir", "gitdir"] {
        if small_file(&dir.join(name))?.is_none_or(|text| text.trim().is_empty()) {
            missing.push(format!("no `{name}`"));
        }
    }
    Ok(missing)
}

/// The names in `worktrees/`, sorted; an error is never an empty list.
pub(crate) fn entry_names(common: &Path) -> Result<Vec<String>, Error> {
    let dir = common.join("worktrees");
    let wrong = |error| Error::io("list worktrees", format!("`{}`", dir.display()), error);
    let listing = match fs::read_dir(&dir) {
        Ok(listing) => listing,
        // Git makes the folder with the first worktree; without the common dir nothing is known.
        Err(error) if error.kind() == IoKind::NotFound && common.join("HEAD").is_file() => {
            return Ok(Vec::new());
        }
        Err(error) => return Err(wrong(error)),
    };
    let mut names = Vec::new();
    for entry in listing {
        // A name that isn't UTF-8 can't be one of ours.
        if let Ok(name) = entry.map_err(wrong)?.file_name().into_string() {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// The text of a small regular file; `None` where there is none.
pub(crate) fn small_file(path: &Path) -> Result<Option<String>, Error> {
    let wrong = |error| Error::io("read", format!("`{}`", path.display()), error);
    let mut bytes = Vec::new();
    // Opening a FIFO would wait for a writer; git writes none of these as a link.
    let flags = OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW;
    match OpenOptions::new().read(true).custom_flags(flags.bits()).open(path) {
        Ok(file) if !file.metadata().map_err(wrong)?.is_file() => return Ok(None),
        Ok(file) => file.take(FILE_MAX).read_to_end(&mut bytes).map_err(wrong)?,
        Err(error) if matches!(error.kind(), IoKind::NotFound | IoKind::NotADirectory) => return Ok(None),
        // A link, and a socket: something, and no file.
        Err(error)
            if [Errno::ELOOP, Errno::ENXIO]
                .map(|errno| Some(errno as i32))
                .contains(&error.raw_os_error()) =>
        {
            return Ok(None);
        }
        Err(error) => return Err(wrong(error)),
    };
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

/// Writes a file so that any reader, also after a power cut, finds the old or the new whole.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let wrong = |error| Error::io("write", format!("`{}`", path.display()), error);
    let (temporary, mut file) = beside(path).map_err(wrong)?;
    file.write_all(bytes).map_err(wrong)?;
    file.sync_all().map_err(wrong)?;
    fs::rename(&temporary, path).map_err(wrong)
}

/// A new file beside `path`. A name that is taken, which a dead process of our number may have
/// left, is passed over: it could lead elsewhere.
fn beside(path: &Path) -> std::io::Result<(PathBuf, File)> {
    let mut tries = 0;
    loop {
        tries += 1;
        let mut name = path.file_name().unwrap_or_default().to_owned();
        // Two threads may write the same file at once; the last rename wins, whole.
        name.push(format!(".ilchul-{}-{}", std::process::id(), WRITES.fetch_add(1, Ordering::Relaxed)));
        let temporary = path.with_file_name(name);
        match OpenOptions::new().write(true).create_new(true).open(&temporary) {
            Ok(file) => return Ok((temporary, file)),
            Err(error) if error.kind() == IoKind::AlreadyExists && tries < NAMES_MAX => {}
            Err(error) => return Err(error),
        }
    }
}

/// The lock round git's administration of one repository; released on drop and on death.
///
/// Rust opens files close-on-exec, so no git that we start keeps it after us.
#[derive(Debug)]
pub(crate) struct AdminLock {
    _file: File,
}

impl AdminLock {
    /// Waits for the lock at most `limit`.
    pub(crate) fn take(common: &Path, limit: Duration) -> Result<Self, Error> {
        let path = common.join(LOCK);
        let wrong =
            |error| Error::io("lock the repository's worktrees", format!("`{}`", path.display()), error);
        let flags = (OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits();
        let mut options = OpenOptions::new();
        let file = options.create(true).truncate(false).write(true).custom_flags(flags).open(&path);
        let file = file.map_err(wrong)?;
        // Asked again and again rather than waited for: a holder that was stopped must not stop us.
        let answer = wait_for(limit, || match file.try_lock() {
            Ok(()) => Some(Ok(())),
            Err(TryLockError::WouldBlock) => None,
            Err(TryLockError::Error(error)) => Some(Err(error)),
        });
        match answer {
            Some(Ok(())) => Ok(Self { _file: file }),
            Some(Err(error)) => Err(wrong(error)),
            None => Err(Error::new(
                ErrorKind::Unavailable,
                "lock the repository's worktrees",
                format!("another process has held `{}` for {:.1} s", path.display(), limit.as_secs_f64()),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_reads_back_as_it_was_written_and_nothing_else_is_one() {
        let record = Record {
            path: "/home/a b/ilchul.r.t.1".into(),
            branch: "ilchul/r/t.1".into(),
            base: "0".repeat(40),
            gitfile: "gitdir: /x/.git/worktrees/ilchul.r.t.1".into(),
            inode: "77".into(),
            files: Files::AtOnce,
        };
        for (files, form) in [(Files::AtOnce, "/1\n"), (Files::Owed, "/2\n"), (Files::Done, "/2\n")] {
            let record = Record { files, ..record.clone() };
            let text = record.to_text();
            assert_eq!(Record::parse(&text), Some(record));
            assert_eq!(Record::parse(&text.replace(form, "/3\n")), None, "a later form isn't guessed at");
            let cut = text.trim_end().rfind('\n').unwrap();
            assert_eq!(Record::parse(&text[..cut]), None, "half a record is none");
        }
    }

    #[test]
    fn the_lock_excludes_and_ends_with_its_holder() {
        let dir = tempfile::tempdir().unwrap();
        let held = AdminLock::take(dir.path(), Duration::from_secs(5)).unwrap();
        let refused = AdminLock::take(dir.path(), Duration::from_millis(20)).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Unavailable);
        drop(held);
        AdminLock::take(dir.path(), Duration::from_secs(5)).unwrap();
    }

    #[test]
    fn a_listing_that_failed_is_not_an_empty_one() {
        let dir = tempfile::tempdir().unwrap();
        assert!(entry_names(dir.path()).is_err(), "no repository here");
        fs::write(dir.path().join("HEAD"), "ref: refs/heads/main\n").unwrap();
        assert!(entry_names(dir.path()).unwrap().is_empty());
        fs::write(dir.path().join("worktrees"), "").unwrap();
        assert!(entry_names(dir.path()).is_err(), "a file in its place");
    }
}
