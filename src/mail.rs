//! Files that cross between processes: bounded reads, whole writes.
//!
//! The other side may be hostile or half dead, so a read opens without following
//! links and without blocking, takes regular files only, and has an upper bound;
//! a write goes to a temporary name in the folder's `.tmp/` and is renamed. It
//! leaves out what the files mean (`protocol`) and noticing them (the shim, the
//! supervisor). Nothing here removes a file that another process wrote.

use crate::protocol::{MAX_BYTES, TMP_DIR};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, RenameFlags};
use rustix::io::Errno;
use serde::Serialize;
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// A file that couldn't be read or written.
#[derive(Debug)]
pub enum MailError {
    /// It stands there and isn't a regular file, or is a link: it is left alone.
    NotRegular(PathBuf),
    /// It is longer than [`MAX_BYTES`].
    TooLarge(PathBuf),
    /// It is there already, and the write was one that doesn't replace.
    Exists(PathBuf),
    /// The value has no JSON form.
    Encode(PathBuf, serde_json::Error),
    /// The system refused; the word says what was tried.
    Io(&'static str, PathBuf, io::Error),
}

impl MailError {
    /// Whether the folder itself is gone: nobody reads there any more.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        matches!(self, Self::Io(_, _, error) if error.kind() == io::ErrorKind::NotFound)
    }
}

impl fmt::Display for MailError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotRegular(path) => write!(f, "read `{}`: it isn't a regular file", path.display()),
            Self::TooLarge(path) => write!(f, "read `{}`: it is over {MAX_BYTES} bytes", path.display()),
            Self::Exists(path) => write!(f, "write `{}`: it is there already", path.display()),
            Self::Encode(path, _) => write!(f, "write `{}`: it has no JSON form", path.display()),
            Self::Io(action, path, _) => write!(f, "{action} `{}`", path.display()),
        }
    }
}

impl std::error::Error for MailError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Encode(_, error) => Some(error),
            Self::Io(_, _, error) => Some(error),
            Self::NotRegular(_) | Self::TooLarge(_) | Self::Exists(_) => None,
        }
    }
}

/// The bytes of the file `name` in `dir`, or none where there is no such file.
///
/// # Errors
/// A link, a FIFO, a folder or a device is `NotRegular`; more than [`MAX_BYTES`]
/// is `TooLarge`; a look that failed is `Io` and never "no such file".
pub fn read_bounded(dir: &Path, name: &str) -> Result<Option<Vec<u8>>, MailError> {
    none_if_missing(read_regular(&dir.join(name)))
}

/// The bytes of the regular file `path`, under the same rules as [`read_bounded`].
///
/// # Errors
/// As [`read_bounded`], and `Io` where there is no such file.
pub fn read_regular(path: &Path) -> Result<Vec<u8>, MailError> {
    read_at(CWD, path, path)
}

/// As [`read_bounded`], where `dir` itself is as little trusted as what is in it:
/// a link in its place isn't followed.
///
/// # Errors
/// As [`read_bounded`].
pub fn read_in_untrusted(dir: &Path, name: &str) -> Result<Option<Vec<u8>>, MailError> {
    let path = dir.join(name);
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let folder = match rustix::fs::openat(CWD, dir, flags, Mode::empty()) {
        Ok(folder) => folder,
        Err(Errno::NOENT) => return Ok(None),
        Err(Errno::LOOP | Errno::NOTDIR) => return Err(MailError::NotRegular(dir.to_owned())),
        Err(error) => return Err(MailError::Io("open", dir.to_owned(), error.into())),
    };
    none_if_missing(read_at(folder.as_fd(), Path::new(name), &path))
}

fn none_if_missing(answer: Result<Vec<u8>, MailError>) -> Result<Option<Vec<u8>>, MailError> {
    match answer {
        Err(MailError::Io(_, _, error)) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        other => other.map(Some),
    }
}

fn read_at(folder: BorrowedFd<'_>, name: &Path, path: &Path) -> Result<Vec<u8>, MailError> {
    let file = open_at(folder, name, path)?;
    let failed = |error| MailError::Io("read", path.to_owned(), error);
    // The length may change under us, so the read has a bound of its own.
    let length = file.metadata().map_err(failed)?.len();
    let expected = usize::try_from(length).unwrap_or(MAX_BYTES).min(MAX_BYTES);
    let mut bytes = Vec::with_capacity(expected + 1);
    file.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() > MAX_BYTES {
        return Err(MailError::TooLarge(path.to_owned()));
    }
    Ok(bytes)
}

/// The regular file `path`, open for reading; for what is read in pieces, or handed on.
///
/// # Errors
/// `NotRegular` for a link, a FIFO, a folder or a device, else `Io`.
pub fn open_regular(path: &Path) -> Result<File, MailError> {
    open_at(CWD, path, path)
}

fn open_at(folder: BorrowedFd<'_>, name: &Path, path: &Path) -> Result<File, MailError> {
    // NONBLOCK: opening a FIFO that nobody writes to would wait for ever.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    let file = match rustix::fs::openat(folder, name, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        // A link, and a socket or a device without a driver.
        Err(Errno::LOOP | Errno::NXIO) => return Err(MailError::NotRegular(path.to_owned())),
        Err(error) => return Err(MailError::Io("open", path.to_owned(), error.into())),
    };
    let facts = file.metadata().map_err(|error| MailError::Io("read", path.to_owned(), error))?;
    if facts.is_file() { Ok(file) } else { Err(MailError::NotRegular(path.to_owned())) }
}

/// Writes `value` as the file `name` in `dir`, replacing an older one whole.
///
/// Once it returns with `sync`, the content is on the disk; without, a reader sees
/// the old or the new file, but a power cut may lose both.
///
/// # Errors
/// `Encode` or `Io`; the file is then as it was.
pub fn write_json(dir: &Path, name: &str, value: &impl Serialize, sync: bool) -> Result<(), MailError> {
    write_bytes(dir, name, &encode(dir, name, value)?, sync)
}

/// [`write_json`] for a document that is encoded already.
///
/// # Errors
/// `Io`; the file is then as it was.
pub fn write_bytes(dir: &Path, name: &str, bytes: &[u8], sync: bool) -> Result<(), MailError> {
    let path = dir.join(name);
    let half = half_written(dir, name, bytes, sync)?;
    rustix::fs::rename(&half, &path).map_err(|error| MailError::Io("rename to", path, error.into()))
}

/// Writes `value` as the file `name` in `dir` only where there is none yet.
///
/// # Errors
/// `Exists` where something stands there (even a dangling link), `Encode` or `Io`.
pub fn write_new(dir: &Path, name: &str, value: &impl Serialize, sync: bool) -> Result<(), MailError> {
    write_new_bytes(dir, name, &encode(dir, name, value)?, sync)
}

/// [`write_new`] for a document that is encoded already.
///
/// # Errors
/// `Exists` or `Io`.
pub fn write_new_bytes(dir: &Path, name: &str, bytes: &[u8], sync: bool) -> Result<(), MailError> {
    let path = dir.join(name);
    let half = half_written(dir, name, bytes, sync)?;
    let renamed = match rustix::fs::renameat_with(CWD, &half, CWD, &path, RenameFlags::NOREPLACE) {
        // Some file systems don't know the flag; a hard link never replaces either.
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
            let linked = rustix::fs::linkat(CWD, &half, CWD, &path, AtFlags::empty());
            let _ = rustix::fs::unlink(&half);
            linked
        }
        Err(error) => {
            let _ = rustix::fs::unlink(&half);
            Err(error)
        }
        Ok(()) => Ok(()),
    };
    match renamed {
        Ok(()) => Ok(()),
        Err(Errno::EXIST) => Err(MailError::Exists(path)),
        Err(error) => Err(MailError::Io("rename to", path, error.into())),
    }
}

fn encode(dir: &Path, name: &str, value: &impl Serialize) -> Result<Vec<u8>, MailError> {
    let mut bytes = serde_json::to_vec(value).map_err(|error| MailError::Encode(dir.join(name), error))?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// Makes names of one process differ; the pid makes those of several.
static SERIAL: AtomicU32 = AtomicU32::new(0);

/// A new file in `.tmp/` with these bytes, of mode 0600 whatever the umask leaves.
fn half_written(dir: &Path, name: &str, bytes: &[u8], sync: bool) -> Result<PathBuf, MailError> {
    let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
    let half = dir.join(TMP_DIR).join(format!("{name}.{}.{serial}", std::process::id()));
    let mut file = File::from(create(dir, &half)?);
    let written = file.write_all(bytes).and_then(|()| if sync { file.sync_data() } else { Ok(()) });
    written.map_err(|error| {
        let _ = rustix::fs::unlink(&half);
        MailError::Io("write", half.clone(), error)
    })?;
    Ok(half)
}

fn create(dir: &Path, half: &Path) -> Result<OwnedFd, MailError> {
    // EXCL follows no link, and a name that a dead process of our pid left is replaced.
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let open = || rustix::fs::openat(CWD, half, flags, Mode::RUSR | Mode::WUSR);
    let opened = match open() {
        Err(Errno::NOENT) => {
            // Only `.tmp` is made here: a mail folder that is gone stays gone.
            match rustix::fs::mkdir(dir.join(TMP_DIR), Mode::RWXU) {
                Ok(()) | Err(Errno::EXIST) => open(),
                Err(error) => Err(error),
            }
        }
        Err(Errno::EXIST) => {
            let _ = rustix::fs::unlink(half);
            open()
        }
        other => other,
    };
    opened.map_err(|error| MailError::Io("create", half.to_owned(), error.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    #[test]
    fn what_is_written_is_read_back_and_is_private() {
        let dir = folder();
        write_json(dir.path(), "a.json", &json!({"n": 1}), true).unwrap();
        write_json(dir.path(), "a.json", &json!({"n": 2}), false).unwrap();
        assert_eq!(read_bounded(dir.path(), "a.json").unwrap().unwrap(), b"{\"n\":2}\n");
        let mode = dir.path().join("a.json").metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(dir.path().join(TMP_DIR).read_dir().unwrap().count(), 0, "no half file stays");
    }

    #[test]
    fn a_missing_file_is_none_and_a_missing_folder_cannot_be_written() {
        let dir = folder();
        assert!(read_bounded(dir.path(), "a.json").unwrap().is_none());
        let gone = dir.path().join("gone");
        let error = write_json(&gone, "a.json", &json!({}), false).unwrap_err();
        assert!(error.is_gone(), "{error}");
        assert!(!gone.exists());
    }

    #[test]
    fn links_fifos_and_folders_are_not_read() {
        let dir = folder();
        std::fs::write(dir.path().join("real"), "{}").unwrap();
        symlink("real", dir.path().join("link")).unwrap();
        nix::unistd::mkfifo(&dir.path().join("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        std::fs::create_dir(dir.path().join("folder")).unwrap();
        for name in ["link", "fifo", "folder"] {
            let answer = read_bounded(dir.path(), name);
            assert!(matches!(answer, Err(MailError::NotRegular(_))), "{name}: {answer:?}");
        }
    }

    #[test]
    fn a_link_in_place_of_an_untrusted_folder_is_not_followed() {
        let dir = folder();
        std::fs::create_dir(dir.path().join("real")).unwrap();
        std::fs::write(dir.path().join("real/a.json"), "{}").unwrap();
        symlink("real", dir.path().join("link")).unwrap();
        assert_eq!(read_in_untrusted(&dir.path().join("real"), "a.json").unwrap().unwrap(), b"{}");
        assert!(read_in_untrusted(&dir.path().join("real"), "b.json").unwrap().is_none());
        assert!(read_in_untrusted(&dir.path().join("none"), "a.json").unwrap().is_none());
        let linked = read_in_untrusted(&dir.path().join("link"), "a.json");
        assert!(matches!(linked, Err(MailError::NotRegular(_))), "{linked:?}");
    }

    #[test]
    fn the_bound_is_exact() {
        let dir = folder();
        std::fs::write(dir.path().join("fits"), vec![b' '; MAX_BYTES]).unwrap();
        std::fs::write(dir.path().join("over"), vec![b' '; MAX_BYTES + 1]).unwrap();
        assert_eq!(read_bounded(dir.path(), "fits").unwrap().unwrap().len(), MAX_BYTES);
        assert!(matches!(read_bounded(dir.path(), "over"), Err(MailError::TooLarge(_))));
    }

    #[test]
    fn write_new_never_replaces() {
        let dir = folder();
        write_new(dir.path(), "report.json", &json!({"n": 1}), false).unwrap();
        let again = write_new(dir.path(), "report.json", &json!({"n": 2}), false);
        assert!(matches!(again, Err(MailError::Exists(_))), "{again:?}");
        assert_eq!(read_bounded(dir.path(), "report.json").unwrap().unwrap(), b"{\"n\":1}\n");
        symlink("nowhere", dir.path().join("dangling")).unwrap();
        assert!(matches!(write_new(dir.path(), "dangling", &json!({}), false), Err(MailError::Exists(_))));
        assert_eq!(dir.path().join(TMP_DIR).read_dir().unwrap().count(), 0, "no half file stays");
    }

    #[test]
    fn errors_complete_failed_to_and_keep_their_cause() {
        let error = read_regular(Path::new("/nowhere/x")).unwrap_err();
        assert_eq!(error.to_string(), "open `/nowhere/x`");
        assert!(std::error::Error::source(&error).is_some());
    }
}
