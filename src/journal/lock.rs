//! The lock of the one supervisor of a home (law J9).
//!
//! An open-file-description lock: the kernel drops it when its holder dies, no child
//! inherits it, and others can see that it is held without taking it for a moment.
//!
//! On a network file system it is the server's: NFS, GPFS and CephFS keep it between hosts, and
//! so do Lustre mounted with `flock` and BeeGFS with `tuneUseGlobalFileLocks`. A mount that keeps
//! locks to itself (`local_lock`, `localflock`, BeeGFS as it comes, sshfs) holds it on one host
//! alone, and nobody can see that from here. So a holder also signs with its host and, where others
//! may see the file, touches it every few seconds: a lock that looks free, with another host's
//! signature on a file that was touched just now, is held. Two that begin in the same moment pass
//! each other by; the journal's chain of digests then finds the second writer.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, SystemTime};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use nix::sys::stat::futimens;
use nix::sys::time::TimeSpec;
use serde::{Deserialize, Serialize};

use crate::home::open_plain;

/// Between two touches of a holder.
const TOUCH_EVERY: Duration = Duration::from_secs(10);
/// How long a touch counts: what others see may be late, and clocks differ a little.
const FRESH: Duration = Duration::from_secs(35);

/// Who holds a lock, for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The process.
    pub pid: u32,
    /// The run that it drives; empty for a short command.
    pub run: String,
    /// Since when, RFC 3339.
    pub since: String,
    /// Its host, where that is another one than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
}

/// What stands in the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Signature {
    #[serde(flatten)]
    holder: Holder,
    /// The life of its host.
    #[serde(default)]
    boot: String,
}

/// The lock, held until it is dropped.
#[derive(Debug)]
pub struct Lock {
    file: File,
    /// Ends whoever touches the file.
    touching: Option<Sender<()>>,
}

impl Drop for Lock {
    fn drop(&mut self) {
        // A death leaves the signature; whoever lets go takes it back, so that nobody has to doubt.
        // Failing costs the next one a wait at most.
        let _ = self.file.set_len(0);
    }
}

impl Lock {
    /// Takes the lock, unsigned; `None` when somebody else has it.
    ///
    /// # Errors
    /// What the system says.
    pub fn take(path: &Path) -> io::Result<Option<Self>> {
        let mut file = open(path)?;
        match fcntl(&file, FcntlArg::F_OFD_SETLK(&whole_file(libc::F_WRLCK))) {
            Ok(_) if elsewhere(&mut file)?.is_some() => Ok(None),
            Ok(_) => {
                // Who held it before isn't who holds it now.
                file.set_len(0)?;
                Ok(Some(Self { file, touching: None }))
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
        let holder = Holder { host: Some(host()), ..holder.clone() };
        let text = serde_json::to_vec(&Signature { holder, boot: boot() })?;
        // Over what is there, so that a holder that adds its run is never nobody in between.
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(&text)?;
        self.file.set_len(text.len() as u64)
    }

    /// Touches the file every few seconds from now on, for hosts that this lock may not reach.
    ///
    /// # Errors
    /// What the system says.
    pub fn touch_on(&mut self, path: &Path) -> io::Result<()> {
        self.file.sync_data()?;
        // Opened anew: a copy of ours would hold the lock beyond our own end.
        let file = open(path)?;
        let (send, ended) = channel();
        let body = move || {
            while ended.recv_timeout(TOUCH_EVERY) == Err(RecvTimeoutError::Timeout) {
                // By the server's clock, and tried again soon.
                let _ = futimens(&file, &TimeSpec::UTIME_OMIT, &TimeSpec::UTIME_NOW);
            }
        };
        thread::Builder::new().name("lock".to_owned()).spawn(body)?;
        self.touching = Some(send);
        Ok(())
    }
}

/// What to do where a lock can't be had because the file system has none; empty for other trouble.
#[must_use]
pub fn advice(error: &io::Error) -> &'static str {
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::ENOSYS | Errno::EOPNOTSUPP | Errno::ENOLCK) => {
            "Its file system keeps no locks: have it mounted with them (Lustre: `flock`), or name a home \
             elsewhere with `--home`."
        }
        Some(_) | None => "",
    }
}

/// Who holds it on another host, by a signature that was touched just now.
fn elsewhere(file: &mut File) -> io::Result<Option<Holder>> {
    let Some(Signature { holder, boot: theirs }) = signature(file)? else { return Ok(None) };
    // One that is called as this host is, and is of another life of it, is dead.
    if theirs.is_empty() || theirs == boot() || holder.host.is_none() || holder.host == Some(host()) {
        return Ok(None);
    }
    let touched = file.metadata()?.modified()?;
    let age = SystemTime::now().duration_since(touched).unwrap_or_else(|ahead| ahead.duration());
    Ok((age < FRESH).then_some(holder))
}

fn signature(file: &mut File) -> io::Result<Option<Signature>> {
    let mut text = String::new();
    file.take(4096).read_to_string(&mut text)?;
    Ok(serde_json::from_str(&text).ok())
}

fn host() -> String {
    nix::sys::utsname::uname().map(|name| name.nodename().to_string_lossy().into_owned()).unwrap_or_default()
}

fn boot() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
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
        return Ok(elsewhere(&mut file)?.map(Some));
    }
    let holder = signature(&mut file)?.map(|signed| signed.holder);
    let here = Some(host());
    Ok(Some(
        holder.map(|holder| Holder { host: holder.host.clone().filter(|_| holder.host != here), ..holder }),
    ))
}

/// The process that signed, where it is one of this host and of this life of it: elsewhere its pid
/// means nothing.
///
/// # Errors
/// As [`held`].
pub fn signer(path: &Path) -> io::Result<Option<u32>> {
    let mut file = open_plain(path, OpenOptions::new().read(true).write(true))?;
    let signed = signature(&mut file)?;
    let here = |signed: &Signature| signed.holder.host == Some(host()) && signed.boot == boot();
    Ok(signed.filter(here).map(|signed| signed.holder.pid))
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
        let holder = Holder { pid: 7, run: "r".into(), since: "2026-01-01T00:00:00Z".into(), host: None };
        lock.sign(&holder).unwrap();
        assert!(Lock::take(&path).unwrap().is_none());
        assert_eq!(held(&path).unwrap(), Some(Some(holder)));
        drop(lock);
        assert_eq!(held(&path).unwrap(), None);
        assert!(Lock::take(&path).unwrap().is_some());
    }

    /// What a holder on another host left, touched so long ago.
    fn signed_elsewhere(path: &Path, ago: Duration) {
        let text = r#"{"pid":7,"run":"r","since":"2026-01-01T00:00:00Z","host":"login2","boot":"other"}"#;
        std::fs::write(path, text).unwrap();
        let file = open(path).unwrap();
        file.set_modified(SystemTime::now() - ago).unwrap();
    }

    #[test]
    fn j9_a_lock_that_doesnt_reach_here_is_held_while_another_host_touches_its_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        signed_elsewhere(&path, Duration::from_secs(5));
        assert!(Lock::take(&path).unwrap().is_none());
        let holder = held(&path).unwrap().unwrap().unwrap();
        assert_eq!((holder.pid, holder.host.as_deref()), (7, Some("login2")));
        // It was killed: nobody touches it any more.
        signed_elsewhere(&path, FRESH + Duration::from_secs(1));
        assert_eq!(held(&path).unwrap(), None);
        let mut lock = Lock::take(&path).unwrap().expect("free");
        // One of this host is known by the lock itself, and says no host.
        lock.sign(&holder).unwrap();
        assert_eq!(held(&path).unwrap().unwrap().unwrap().host, None);
        drop(lock);
        assert_eq!(std::fs::read(&path).unwrap(), b"", "whoever lets go leaves no doubt");
    }

    #[test]
    fn j9_a_signers_pid_means_something_in_this_life_of_this_host_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let mut lock = Lock::take(&path).unwrap().expect("free");
        assert_eq!(signer(&path).unwrap(), None);
        lock.sign(&Holder { pid: 7, run: "r".into(), since: "x".into(), host: None }).unwrap();
        assert_eq!(signer(&path).unwrap(), Some(7));
        for (host, boot) in [("login2".to_owned(), boot()), (host(), "other".to_owned())] {
            let text = format!(r#"{{"pid":7,"run":"r","since":"x","host":"{host}","boot":"{boot}"}}"#);
            std::fs::write(&path, text).unwrap();
            assert_eq!(signer(&path).unwrap(), None);
        }
    }

    #[test]
    fn a_file_system_without_locks_is_told_from_other_trouble() {
        for none in [Errno::ENOSYS, Errno::EOPNOTSUPP, Errno::ENOLCK] {
            assert!(advice(&none.into()).contains("keeps no locks"), "{none}");
        }
        assert_eq!(advice(&Errno::EACCES.into()), "");
    }

    #[test]
    fn j9_an_earlier_life_of_this_host_holds_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let text = format!(r#"{{"pid":7,"run":"r","since":"x","host":"{}","boot":"other"}}"#, host());
        std::fs::write(&path, text).unwrap();
        assert!(Lock::take(&path).unwrap().is_some());
        // As earlier versions signed.
        std::fs::write(&path, r#"{"pid":7,"run":"r","since":"x"}"#).unwrap();
        assert!(Lock::take(&path).unwrap().is_some());
    }

    #[test]
    fn j9_a_lock_whose_file_is_touched_is_free_as_soon_as_it_is_let_go() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let mut lock = Lock::take(&path).unwrap().expect("free");
        lock.touch_on(&path).unwrap();
        assert!(Lock::take(&path).unwrap().is_none());
        drop(lock);
        assert!(Lock::take(&path).unwrap().is_some());
    }

    #[test]
    fn j9_whoever_held_it_before_is_not_named_for_who_holds_it_now() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let holder = |pid, run: &str| Holder {
            pid,
            run: run.into(),
            since: "2026-01-01T00:00:00Z".into(),
            host: None,
        };
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
