//! Moving bytes: child to log and pane, keyboard to child.
//!
//! Nothing here blocks but `poll`, so a stuck pane or a flood costs no heartbeat.
//! What waits to be written is bounded: while it does, nothing more is read. It
//! leaves out what the bytes mean.

use super::output::Log;
use super::signals::Signals;
use super::terminal::{Pair, Pane};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// Bytes moved at a time.
const CHUNK: usize = 64 * 1024;
/// Chunks taken in one turn: a flood may not keep the loop from its beats.
const CHUNKS_A_TURN: usize = 16;
/// Bytes taken at most after the tree has ended: a survivor may print for ever.
const LAST_BYTES: u64 = 64 << 20;

/// The child's output and, where there is a terminal, its input.
#[derive(Debug)]
pub(super) struct Relay {
    /// Where the child's output comes from; none after its end.
    source: Option<OwnedFd>,
    /// Kept open while the child runs: without it, output would end before the child opened its end.
    childs_end: Option<OwnedFd>,
    pane: Option<Pane>,
    to_pane: Vec<u8>,
    to_child: Vec<u8>,
    log: Log,
    chunk: Vec<u8>,
}

impl Relay {
    /// From a pipe to the log.
    pub(super) fn from_pipe(source: OwnedFd, log: Log) -> Self {
        Self::new(source, log)
    }

    /// Between the child's terminal and the pane, and to the log.
    pub(super) fn between(pair: Pair, pane: Pane, log: Log) -> Self {
        Self { childs_end: Some(pair.childs), pane: Some(pane), ..Self::new(pair.ours, log) }
    }

    fn new(source: OwnedFd, log: Log) -> Self {
        Self {
            source: Some(source),
            childs_end: None,
            pane: None,
            to_pane: Vec::new(),
            to_child: Vec::new(),
            log,
            chunk: Vec::new(),
        }
    }

    /// What was printed so far.
    pub(super) fn log(&self) -> &Log {
        &self.log
    }

    /// Whether a person's terminal is (or was) part of it.
    pub(super) fn has_pane(&self) -> bool {
        self.pane.is_some()
    }

    /// The pane's size has changed.
    pub(super) fn resize(&self) {
        if let (Some(pane), Some(source)) = (&self.pane, &self.source) {
            pane.resize(source);
        }
    }

    /// Waits for bytes or a signal, at most `timeout`, and moves what can be moved.
    pub(super) fn turn(&mut self, signals: &Signals, timeout: Duration) {
        let (source, pane) = self.wait(signals, timeout);
        if source.contains(PollFlags::OUT) {
            self.type_to_child();
        }
        if source.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR) {
            self.take_output(CHUNKS_A_TURN);
        }
        if pane.contains(PollFlags::OUT) {
            self.show();
        }
        if pane.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR) {
            self.take_keys();
        }
    }

    /// What source and pane are ready for.
    fn wait(&self, signals: &Signals, timeout: Duration) -> (PollFlags, PollFlags) {
        let mut wanted = vec![PollFd::new(signals, PollFlags::IN)];
        let mut source_at = None;
        let mut pane_at = None;
        if let Some(source) = &self.source {
            let mut flags = PollFlags::empty();
            flags.set(PollFlags::IN, self.to_pane.is_empty());
            flags.set(PollFlags::OUT, !self.to_child.is_empty());
            // Asked for nothing, `poll` still answers HUP, and the loop would spin.
            if !flags.is_empty() {
                source_at = Some(wanted.len());
                wanted.push(PollFd::new(source, flags));
            }
        }
        if let Some(pane) = &self.pane {
            let mut flags = PollFlags::empty();
            flags.set(PollFlags::IN, self.to_child.is_empty());
            flags.set(PollFlags::OUT, !self.to_pane.is_empty());
            if !flags.is_empty() {
                pane_at = Some(wanted.len());
                wanted.push(PollFd::new(pane, flags));
            }
        }
        let limit = Timespec::try_from(timeout).ok();
        if poll(&mut wanted, limit.as_ref()).is_err() {
            return (PollFlags::empty(), PollFlags::empty());
        }
        let ready = |at: Option<usize>| at.map_or(PollFlags::empty(), |at| wanted[at].revents());
        (ready(source_at), ready(pane_at))
    }

    /// Takes what the child has printed; true when it may have printed more.
    fn take_output(&mut self, chunks: usize) -> bool {
        self.chunk.resize(CHUNK, 0);
        for _ in 0..chunks {
            let Some(source) = &self.source else { return false };
            match rustix::io::read(source, self.chunk.as_mut_slice()) {
                Ok(count) if count > 0 => {
                    self.log.write(&self.chunk[..count]);
                    if self.pane.is_some() {
                        self.to_pane.extend_from_slice(&self.chunk[..count]);
                        self.show();
                    }
                    if !self.to_pane.is_empty() {
                        return true;
                    }
                }
                Err(Errno::AGAIN) => return false,
                Err(Errno::INTR) => {}
                // The end of a pipe is 0, that of a terminal an error.
                Ok(_) | Err(_) => {
                    self.source = None;
                    return false;
                }
            }
        }
        true
    }

    /// Writes what waits for the pane; a pane that is gone is forgotten.
    fn show(&mut self) {
        let Some(pane) = &self.pane else { return self.to_pane.clear() };
        match rustix::io::write(pane, &self.to_pane) {
            Ok(count) => drop(self.to_pane.drain(..count)),
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(_) => {
                self.pane = None;
                self.to_pane.clear();
            }
        }
    }

    /// Takes what a person typed.
    fn take_keys(&mut self) {
        let Some(pane) = &self.pane else { return };
        let mut keys = [0; 4096];
        match rustix::io::read(pane, &mut keys) {
            Ok(count) if count > 0 => {
                self.to_child.extend_from_slice(&keys[..count]);
                self.type_to_child();
            }
            Err(Errno::AGAIN | Errno::INTR) => {}
            // The pane is gone; the child works on.
            Ok(_) | Err(_) => {
                self.pane = None;
                self.to_pane.clear();
            }
        }
    }

    fn type_to_child(&mut self) {
        let Some(source) = &self.source else { return self.to_child.clear() };
        match rustix::io::write(source, &self.to_child) {
            Ok(count) => drop(self.to_child.drain(..count)),
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(_) => self.to_child.clear(),
        }
    }

    /// Takes what is left once the tree has ended, for at most `patience`.
    pub(super) fn drain(&mut self, signals: &Signals, patience: Duration, mut now: impl FnMut() -> Instant) {
        // Closed by everybody, a terminal answers with an error once it is empty, a pipe with its end.
        self.childs_end = None;
        let until = now() + patience;
        let bound = self.log.total() + LAST_BYTES;
        while self.source.is_some() || !self.to_pane.is_empty() {
            let left = until.saturating_duration_since(now());
            if left.is_zero() || self.log.total() > bound {
                break;
            }
            if self.to_pane.is_empty() && self.source.is_some() && self.take_output(CHUNKS_A_TURN) {
                continue;
            }
            if self.source.is_some() || !self.to_pane.is_empty() {
                self.turn(signals, left.min(Duration::from_millis(20)));
                while signals.next().is_some() {}
            }
        }
        // A pane that doesn't take it any more doesn't keep it from the log.
        self.pane = None;
        self.to_pane.clear();
        while self.log.total() <= bound && self.take_output(CHUNKS_A_TURN) {}
    }
}

/// A pipe whose reading end (the first) doesn't block.
pub(super) fn pipe() -> std::io::Result<(OwnedFd, OwnedFd)> {
    let (reading, writing) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC)?;
    // Only our end: the child expects writes that wait.
    rustix::io::ioctl_fionbio(&reading, true)?;
    Ok((reading, writing))
}
