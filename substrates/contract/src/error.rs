//! The one error of all substrates: a kind to decide by, words to show.
//!
//! It leaves out what to do about it: hints and exit codes are the command line's.

use std::fmt;

/// What went wrong, as far as a caller decides by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The host can't serve now: program missing, disk full, limit reached. Nothing was made.
    Unavailable,
    /// The host refused for a limit of its own, and nobody can tell whether that passes: worth
    /// another try, and not for ever. Nothing was made.
    Limited,
    /// Something else, or something half made, is in the way. It was left as it was.
    Conflict,
    /// What was asked for can't be served by this substrate at all.
    Refused,
    /// Anything else the system said.
    Io,
}

/// A failed verb.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    action: &'static str,
    detail: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error whose text reads "`action`: `detail`", where `action` completes "failed to ...".
    #[must_use]
    pub fn new(kind: ErrorKind, action: &'static str, detail: impl Into<String>) -> Self {
        Self { kind, action, detail: detail.into(), source: None }
    }

    /// The same with the error that caused it.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// An error of the system while doing `action` to `what`; a full disk or an
    /// exhausted limit is the host's trouble (`Unavailable`), the rest `Io`.
    #[must_use]
    pub fn io(action: &'static str, what: impl fmt::Display, source: std::io::Error) -> Self {
        use std::io::ErrorKind as K;
        // By number, because the standard library has no name for most of them:
        // EAGAIN 11, ENOMEM 12, ENFILE 23, EMFILE 24, ENOSPC 28, EDQUOT 122.
        let host = matches!(source.kind(), K::StorageFull | K::QuotaExceeded | K::OutOfMemory)
            || matches!(source.raw_os_error(), Some(11 | 12 | 23 | 24 | 28 | 122));
        let kind = if host { ErrorKind::Unavailable } else { ErrorKind::Io };
        Self::new(kind, action, format!("{what}: {source}")).with_source(source)
    }

    /// What a caller decides by.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.action, self.detail)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn std::error::Error + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_the_hosts_trouble_and_a_missing_file_is_not() {
        let full = Error::io("write", "`x`", std::io::Error::from_raw_os_error(28));
        assert_eq!(full.kind(), ErrorKind::Unavailable);
        let missing = Error::io("read", "`x`", std::io::Error::from_raw_os_error(2));
        assert_eq!(missing.kind(), ErrorKind::Io);
        assert!(std::error::Error::source(&missing).is_some());
    }
}
