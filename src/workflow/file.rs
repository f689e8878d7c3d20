//! Reads a workflow's bytes from disk: a regular file of bounded size, or a clear refusal.
//!
//! What the bytes mean is not looked at here.

use std::fs::{self, File, FileType, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use super::place::visible;

/// The largest workflow that is read, in bytes.
pub const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// Why a workflow couldn't be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// There is no such file.
    #[error("find workflow `{}`", shown(.path))]
    Missing {
        /// As given.
        path: PathBuf,
    },
    /// It is there, but reading it would hang or mean nothing.
    #[error("read workflow `{}`: it is {kind}, not a file", shown(.path))]
    NotAFile {
        /// As given.
        path: PathBuf,
        /// With its article.
        kind: &'static str,
    },
    /// It holds more than [`MAX_BYTES`].
    #[error("read workflow `{}`: it is larger than 16 MiB", shown(.path))]
    TooLarge {
        /// As given.
        path: PathBuf,
    },
    /// The system refused.
    #[error("read workflow `{}`", shown(.path))]
    Io {
        /// As given.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
}

impl ReadError {
    /// What a person may do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "run `ilchul init` to write one, or name another file",
            Self::NotAFile { .. } => "name the workflow's file itself",
            Self::TooLarge { .. } => "split the workflow",
            Self::Io { .. } => "check the path and its permissions",
        }
    }
}

/// A path for a message: its name may be chosen by anybody.
fn shown(path: &Path) -> String {
    visible(&path.to_string_lossy())
}

/// The file's bytes. Links are followed; FIFOs, devices and folders are refused without waiting.
///
/// # Errors
/// Whatever keeps it from being a regular file of at most [`MAX_BYTES`].
pub fn read(path: &Path) -> Result<Vec<u8>, ReadError> {
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => ReadError::Missing { path: path.to_owned() },
        _ => ReadError::Io { path: path.to_owned(), source },
    };
    // Looked at before it is opened, because opening a device can act on it;
    // and again afterwards, because the name may lead elsewhere by then.
    regular(path, fs::metadata(path).map_err(failed)?.file_type())?;
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or(0);
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(failed)?;
    regular(path, file.metadata().map_err(failed)?.file_type())?;
    bounded(&file).map_err(failed)?.ok_or_else(|| ReadError::TooLarge { path: path.to_owned() })
}

/// `None`: there is more than may be read. The size that the system names isn't believed: it may grow.
fn bounded(file: &File) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    // One byte more than allowed tells a full file from one that is too large.
    let count = file.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    Ok((count as u64 <= MAX_BYTES).then_some(bytes))
}

/// Nothing but a file has an end that can be waited for.
fn regular(path: &Path, found: FileType) -> Result<(), ReadError> {
    let kind = if found.is_file() {
        return Ok(());
    } else if found.is_dir() {
        "a folder"
    } else if found.is_fifo() {
        "a FIFO"
    } else if found.is_socket() {
        "a socket"
    } else {
        "a device"
    };
    Err(ReadError::NotAFile { path: path.to_owned(), kind })
}
