//! The lock of the one supervisor of a home (law J9).
//!
//! An open-file-description lock: the kernel drops it when its holder dies, no child
//! inherits it, and others can see that it is held without taking it for a moment.
//!
//! On a network file system it is the server's: NFS, GPFS and CephFS keep it between hosts, and
//! so do Lustre mounted with `flock` and BeeGFS with `tuneUseGlobalFileLocks`. A mount that keeps
//! locks to itself (`local_lock`, `localflock`, BeeGFS as it comes) holds it on one host alone,
//! which nobody can see from here; SQLite's own locks are of the same kind, and the journal's
//! chain of digests then finds the second writer.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use serde::{Deserialize, Serialize};

use crate::home::open_plain;

/// Who holds a lock, for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The process.
    pub pid: u32,
    /// The run that it drives; empty for a short command.
    pub run: String,
    /// Since when, RFC 3339.
    pub since: String,
}

/// The lock, held until it is dropped.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

impl Lock {
    /// Takes the lock, unsigned; `None` when somebody else has it.
    ///
    /// # Errors
    /// What the system says.
    pub fn take(path: &Path) -> io::Result<Option<Self>> {
        let file = open(path)?;
        match fcntl(&file, FcntlArg::F_OFD_SETLK(&whole_file(libc::F_WRLCK))) {
            Ok(_) => {
                // Who held it before isn't who holds it now.
                file.set_len(0)?;
                Ok(Some(Self { file }))
            }
            Err(Errno::EAGAIN | Errno::EACCES) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Writes who holds it.
    ///
    /// # Errors
    /// What the system says.
    pub fn sign(&mut self, holder: &Holder) -> io::Result<()> {
        let text = serde_json::to_vec(holder)?;
        // Over what is there, so that a holder that adds its run is never nobody in between.
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(&text)?;
        self.file.set_len(text.len() as u64)
    }
}

/// Whether somebody holds the lock now, and who, as far as they have signed.
///
/// # Errors
/// What the system says; a missing file is nobody.
pub fn held(path: &Path) -> io::Result<Option<Option<Holder>>> {
    let mut file = match open_plain(path, OpenOptions::new().read(true).write(true)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut probe = whole_file(libc::F_WRLCK);
    fcntl(&file, FcntlArg::F_OFD_GETLK(&mut probe))?;
    if i32::from(probe.l_type) == libc::F_UNLCK {
        return Ok(None);
    }
    let mut text = String::new();
    (&mut file).take(4096).read_to_string(&mut text)?;
    Ok(Some(serde_json::from_str(&text).ok()))
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    open_plain(path, options.read(true).write(true).create(true).truncate(false).mode(0o600))
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the constants are 0 to 2; C declares them wider than the field"
)]
fn whole_file(kind: i32) -> libc::flock {
    libc::flock {
        l_type: kind as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn j9_only_one_holds_the_lock_and_the_second_learns_who() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        assert_eq!(held(&path).unwrap(), None);
        let mut lock = Lock::take(&path).unwrap().expect("free");
        let holder = Holder { pid: 7, run: "r".into(), since: "2026-01-01T00:00:00Z".into() };
        lock.sign(&holder).unwrap();
        assert!(Lock::take(&path).unwrap().is_none());
        assert_eq!(held(&path).unwrap(), Some(Some(holder)));
        drop(lock);
        assert_eq!(held(&path).unwrap(), None);
        assert!(Lock::take(&path).unwrap().is_some());
    }

    #[test]
    fn j9_whoever_held_it_before_is_not_named_for_who_holds_it_now() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let holder = |pid, run: &str| Holder { pid, run: run.into(), since: "2026-01-01T00:00:00Z".into() };
        let mut lock = Lock::take(&path).unwrap().expect("free");
        lock.sign(&holder(7, "a-run-with-a-long-name")).unwrap();
        drop(lock);
        let mut lock = Lock::take(&path).unwrap().expect("free");
        assert_eq!(held(&path).unwrap(), Some(None), "it hasn't said its name");
        for run in ["", "r", "", "another"] {
            lock.sign(&holder(8, run)).unwrap();
            assert_eq!(held(&path).unwrap(), Some(Some(holder(8, run))));
        }
    }

    #[test]
    fn j9_no_child_inherits_the_lock() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let lock = Lock::take(&path).unwrap().expect("free");
        let mut child = std::process::Command::new("sleep").arg("30").spawn().unwrap();
        drop(lock);
        // A spawn returns a moment before the kernel closes the child's copies of our files.
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while Lock::take(&path).unwrap().is_none() {
            assert!(std::time::Instant::now() < deadline, "the child holds the lock");
            std::thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
