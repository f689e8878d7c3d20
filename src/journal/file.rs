//! The journal as files: is it still the one that was opened, and how large is its log.
//!
//! Looked at by name only, never opened: closing a descriptor of a database drops the locks
//! that SQLite holds on it in this process. It leaves out what is in the files.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use rusqlite::ErrorCode::{ConstraintViolation, DatabaseBusy, DatabaseLocked};
use rusqlite::config::DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE;

use super::JournalError;

/// A log is folded back at about 16 MiB; one of this size is kept from it by a reader.
const LOG_USUAL: u64 = 64 * 1024 * 1024;

/// Device and inode.
type Identity = (u64, u64);

/// The files of one open journal.
#[derive(Debug)]
pub(super) struct OnDisk {
    pub(super) path: PathBuf,
    identity: Identity,
    log: PathBuf,
    /// Known from the first commit on: before it there may be none, and while we are open
    /// nobody else has a reason to make another.
    log_identity: Option<Identity>,
    log_bytes: u64,
    /// The size that is worth a word next.
    pub(super) log_limit: u64,
    wrote: bool,
}

impl OnDisk {
    /// The files as they stand now.
    pub(super) fn now(path: PathBuf) -> Result<Self, JournalError> {
        let log = log_of(&path);
        let (identity, _) = look(&path)?.ok_or_else(|| JournalError::Replaced { path: path.clone() })?;
        Ok(Self { path, identity, log, log_identity: None, log_bytes: 0, log_limit: LOG_USUAL, wrote: false })
    }

    /// Whether the path still leads to the file that was opened (law J11c).
    pub(super) fn check(&self) -> Result<(), JournalError> {
        match look(&self.path)? {
            Some((identity, _)) if identity == self.identity => Ok(()),
            Some(_) | None => Err(JournalError::Replaced { path: self.path.clone() }),
        }
    }

    /// The same for the write-ahead log, right after a commit. Without one (a file system
    /// where SQLite keeps a rollback journal) there is nothing to look at.
    pub(super) fn check_log(&mut self) -> Result<(), JournalError> {
        match (look(&self.log)?, self.log_identity) {
            (Some((found, bytes)), known) if known.is_none_or(|known| known == found) => {
                self.log_identity = Some(found);
                self.log_bytes = bytes;
                Ok(())
            }
            (None, None) => Ok(()),
            (Some(_) | None, _) => Err(JournalError::Replaced { path: self.log.clone() }),
        }
    }

    /// A journal that was written may be tidied up when it is closed; until then it keeps
    /// every byte, because what is wrong with it may only be found later.
    pub(super) fn written(&mut self, connection: &Connection) -> Result<(), JournalError> {
        if !self.wrote {
            tidy_on_close(connection, true)?;
            self.wrote = true;
        }
        Ok(())
    }

    pub(super) fn grown_log(&mut self) -> Option<u64> {
        if self.log_bytes < self.log_limit {
            return None;
        }
        self.log_limit = self.log_bytes.saturating_mul(2);
        Some(self.log_bytes)
    }

    /// What a failed write means: nothing was begun, somebody else writes, or nobody knows.
    pub(super) fn write_failed(&self, source: rusqlite::Error) -> JournalError {
        match source.sqlite_error_code() {
            Some(DatabaseBusy | DatabaseLocked) => JournalError::Busy { path: self.path.clone(), source },
            Some(ConstraintViolation) => JournalError::Damaged {
                what: format!("`{}` has rows that somebody else wrote meanwhile", self.path.display()),
            },
            Some(_) | None => JournalError::Indeterminate { path: self.path.clone(), source },
        }
    }
}

/// The write-ahead log of the database at `path`.
pub(super) fn log_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    PathBuf::from(name)
}

/// Whether SQLite folds the log back when the last handle is closed.
pub(super) fn tidy_on_close(connection: &Connection, wanted: bool) -> Result<(), JournalError> {
    connection
        .set_db_config(SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, !wanted)
        .map(|_| ())
        .map_err(|source| JournalError::Store { action: "set up", source })
}

fn look(path: &Path) -> Result<Option<(Identity, u64)>, JournalError> {
    match std::fs::metadata(path) {
        Ok(metadata) => Ok(Some(((metadata.dev(), metadata.ino()), metadata.len()))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(JournalError::Io { action: "look at", path: path.to_owned(), source }),
    }
}
