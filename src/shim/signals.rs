//! Signals as something to poll for.
//!
//! They are blocked and read from a descriptor: a handler needs `unsafe`, and a
//! blocked signal can't end the shim between two steps. It leaves out what each
//! one leads to. Children get an empty mask when they are spawned.

use super::{ShimError, system};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use std::os::fd::{AsFd, BorrowedFd};

/// Everything that would end, stop or wake a shim.
const TAKEN: &[Signal] = &[
    Signal::SIGCHLD,
    Signal::SIGHUP,
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGTERM,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGWINCH,
    Signal::SIGTSTP,
    // Blocked, these let a shim in the background set its terminal instead of stopping it.
    Signal::SIGTTIN,
    Signal::SIGTTOU,
];

/// The signals of this process, from its making on.
#[derive(Debug)]
pub(super) struct Signals {
    source: SignalFd,
}

impl Signals {
    /// Blocks them and opens the descriptor.
    pub(super) fn take() -> Result<Self, ShimError> {
        let mut set = SigSet::empty();
        for signal in TAKEN {
            set.add(*signal);
        }
        set.thread_block().map_err(system("block signals"))?;
        let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
        let source = SignalFd::with_flags(&set, flags).map_err(system("open a descriptor for signals"))?;
        Ok(Self { source })
    }

    /// The next one that arrived, if any.
    pub(super) fn next(&self) -> Option<Signal> {
        let facts = self.source.read_signal().ok().flatten()?;
        i32::try_from(facts.ssi_signo).ok().and_then(|number| Signal::try_from(number).ok())
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.source.as_fd()
    }
}
