//! The pane that a person looks at, and the terminal that the child is given.
//!
//! The child gets a pseudo-terminal of its own: then output can be kept on its
//! way to the pane, and a pane that dies takes nothing with it. The pane is opened
//! anew, because making the inherited descriptor non-blocking would do so for
//! everybody who shares it. It leaves out moving bytes, which is the relay's.

use super::{ShimError, system};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::pty::{OpenptFlags, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, Termios, isatty, tcgetattr, tcgetwinsize, tcsetattr, tcsetwinsize};
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// The outer terminal, in raw mode for as long as this lives.
#[derive(Debug)]
pub(super) struct Pane {
    tty: OwnedFd,
    before: Termios,
}

impl Pane {
    /// The terminal on our standard input; none where that is something else.
    pub(super) fn take() -> Option<Self> {
        let stdin = rustix::stdio::stdin();
        if !isatty(stdin) {
            return None;
        }
        let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let open = |path: &str| rustix::fs::openat(CWD, path, flags, Mode::empty());
        let tty = open("/proc/self/fd/0").or_else(|_| open("/dev/tty")).ok()?;
        let before = tcgetattr(&tty).ok()?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(&tty, OptionalActions::Now, &raw).ok()?;
        Some(Self { tty, before })
    }

    /// Gives the child's terminal the pane's size.
    pub(super) fn resize(&self, child: impl AsFd) {
        if let Ok(size) = tcgetwinsize(&self.tty) {
            // Changing it tells the child's foreground group (SIGWINCH) by itself.
            let _ = tcsetwinsize(child, size);
        }
    }
}

impl AsFd for Pane {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.tty.as_fd()
    }
}

impl Drop for Pane {
    fn drop(&mut self) {
        // A terminal that is gone has no mode to restore.
        let _ = tcsetattr(&self.tty, OptionalActions::Now, &self.before);
    }
}

/// A pseudo-terminal: our end, the child's end, and that end's path.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) ours: OwnedFd,
    pub(super) childs: OwnedFd,
    pub(super) path: OsString,
}

impl Pair {
    /// A new one with the pane's modes and size.
    pub(super) fn like(pane: &Pane) -> Result<Self, ShimError> {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let ours = openpt(flags).map_err(system("open a terminal for the child"))?;
        unlockpt(&ours).map_err(system("unlock the child's terminal"))?;
        let name = ptsname(&ours, Vec::new()).map_err(system("name the child's terminal"))?;
        let path = OsString::from_vec(name.into_bytes());
        let childs = open_terminal(&path).map_err(system("open the child's terminal"))?;
        tcsetattr(&childs, OptionalActions::Now, &pane.before)
            .map_err(system("set up the child's terminal"))?;
        pane.resize(&ours);
        rustix::io::ioctl_fionbio(&ours, true).map_err(system("set up the child's terminal"))?;
        Ok(Self { ours, childs, path })
    }
}

/// Opens a terminal by path without making it the controlling one.
pub(super) fn open_terminal(path: &OsStr) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    rustix::fs::openat(CWD, path.as_bytes(), flags, Mode::empty())
}
