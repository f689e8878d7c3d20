//! The bounded log of everything that a child printed.
//!
//! It never grows memory and never blocks the child: beyond its bound, or on a
//! full disk, bytes are counted and dropped, and the log says so once. It leaves
//! out cleaning the text, which is done where it is shown.

use rustix::fs::{CWD, Mode, OFlags};
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Where a child's output goes.
#[derive(Debug)]
pub(super) struct Log {
    file: Option<File>,
    room: u64,
    total: u64,
    truncated: bool,
    trouble: Option<String>,
}

impl Log {
    /// Appends to the file `path`, made with mode 0600, until it has `cap` bytes.
    pub(super) fn append(path: &Path, cap: u64) -> io::Result<Self> {
        Self::open(path, cap, OFlags::APPEND)
    }

    /// The same, starting empty.
    pub(super) fn anew(path: &Path, cap: u64) -> io::Result<Self> {
        let log = Self::open(path, cap, OFlags::empty())?;
        // Not by the opening: first it has to be seen that it is a file, and nobody else's.
        log.file.as_ref().map_or(Ok(()), |file| file.set_len(0))?;
        Ok(Self { room: cap, ..log })
    }

    /// Counts and keeps nothing.
    pub(super) fn nowhere(trouble: Option<String>) -> Self {
        Self { file: None, room: 0, total: 0, truncated: true, trouble }
    }

    /// To a stream that is open already.
    pub(super) fn to(file: File, cap: u64) -> Self {
        Self { file: Some(file), room: cap, total: 0, truncated: false, trouble: None }
    }

    fn open(path: &Path, cap: u64, how: OFlags) -> io::Result<Self> {
        // NONBLOCK: a FIFO that nobody reads from would be waited for.
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let flags = flags | OFlags::CLOEXEC | OFlags::NOCTTY | how;
        let file = File::from(rustix::fs::openat(CWD, path, flags, Mode::RUSR | Mode::WUSR)?);
        let facts = file.metadata()?;
        if !facts.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it isn't a regular file"));
        }
        if facts.nlink() > 1 {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it has another name elsewhere"));
        }
        Ok(Self::to(file, cap.saturating_sub(facts.len())))
    }

    /// Takes what was printed.
    pub(super) fn write(&mut self, bytes: &[u8]) {
        self.total += bytes.len() as u64;
        let Some(file) = &mut self.file else { return };
        let kept = usize::try_from(self.room).unwrap_or(usize::MAX).min(bytes.len());
        let mut written = file.write_all(&bytes[..kept]);
        self.room -= kept as u64;
        if kept < bytes.len() && !self.truncated {
            self.truncated = true;
            written = written
                .and_then(|()| file.write_all(b"\n[ilchul: the log is full; what follows isn't kept]\n"));
        }
        if let Err(error) = written {
            // The child's work matters more than its log.
            self.truncated = true;
            self.trouble = Some(format!("the log couldn't be written: {error}"));
            self.file = None;
        }
    }

    /// Bytes printed so far, kept or not.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// Whether something wasn't kept.
    pub(super) fn is_truncated(&self) -> bool {
        self.truncated && self.total > 0
    }

    /// What a person should know about the log.
    pub(super) fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_log_is_bounded_says_so_once_and_goes_on_counting() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.log");
        let mut log = Log::append(&path, 10).unwrap();
        for _ in 0..1_000 {
            log.write(b"12345678");
        }
        assert_eq!(log.total(), 8_000);
        assert!(log.is_truncated());
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("1234567812\n[ilchul: the log is full"), "{text}");
        assert_eq!(text.matches("ilchul").count(), 1);
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_log_goes_on_where_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.log");
        Log::append(&path, 10).unwrap().write(b"12345678");
        Log::append(&path, 10).unwrap().write(b"ab");
        assert_eq!(std::fs::read(&path).unwrap(), b"12345678ab");
        Log::anew(&path, 10).unwrap().write(b"x");
        assert_eq!(std::fs::read(&path).unwrap(), b"x");
    }

    #[test]
    fn a_full_disk_costs_the_log_and_nothing_else() {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut log = Log::to(full, 100);
        log.write(b"abc");
        log.write(b"abc");
        assert_eq!(log.total(), 6);
        assert!(log.trouble().unwrap().contains("couldn't be written"));
    }

    #[test]
    fn s22_what_stands_in_place_of_a_log_is_neither_written_nor_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let (secret, path) = (dir.path().join("secret"), dir.path().join("x.log"));
        std::fs::write(&secret, "kept").unwrap();
        std::fs::hard_link(&secret, &path).unwrap();
        assert!(Log::anew(&path, 10).is_err() && Log::append(&path, 10).is_err());
        assert_eq!(std::fs::read(&secret).unwrap(), b"kept");
        let fifo = dir.path().join("fifo");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(Log::anew(&fifo, 10).is_err() && Log::append(&fifo, 10).is_err());
    }

    #[test]
    fn a_link_in_place_of_the_log_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("elsewhere", dir.path().join("x.log")).unwrap();
        assert!(Log::append(&dir.path().join("x.log"), 10).is_err());
        assert!(!dir.path().join("elsewhere").exists());
    }
}
