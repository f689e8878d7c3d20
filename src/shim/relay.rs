//! Moving bytes: child to log and pane, keyboard to child.
//!
//! A headless agent prints through a lens, into two pipes; a person at its pane may interrupt
//! it and type nothing else.
//!
//! Nothing here blocks but `poll`, so a stuck pane or a flood costs no heartbeat.
//! What waits to be written is bounded: while it does, nothing more is read. It
//! leaves out what the bytes mean.

use super::agent::Lens;
use super::output::Log;
use super::signals::Signals;
use super::terminal::{Pair, Pane};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

/// Bytes moved at a time.
const CHUNK: usize = 64 * 1024;
/// Chunks taken in one turn: a flood may not keep the loop from its beats.
const CHUNKS_A_TURN: usize = 16;
/// Bytes taken at most after the tree has ended: a survivor may print for ever.
const LAST_BYTES: u64 = 64 << 20;

/// What a terminal sends for Ctrl-C.
const INTERRUPT: u8 = 3;

/// The child's output and, where there is a terminal, its input.
#[derive(Debug)]
pub(super) struct Relay {
    /// Where the child's output comes from; none after its end.
    source: Option<OwnedFd>,
    /// Where its standard error comes from, if that is apart.
    errors: Option<OwnedFd>,
    /// What a headless agent's output is read through.
    lens: Option<Lens>,
    /// Somebody typed Ctrl-C to what has no terminal.
    interrupted: bool,
    /// Kept open while the child runs: without it, output would end before the child opened its end.
    childs_end: Option<OwnedFd>,
    pane: Option<Pane>,
    to_pane: Vec<u8>,
    to_child: Vec<u8>,
    log: Log,
    chunk: Vec<u8>,
    /// Bytes read so far, shown or not.
    taken: u64,
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

    /// From two pipes through `lens` to the log, and to the pane if there is one.
    pub(super) fn through(
        lens: Lens,
        (source, errors): (OwnedFd, OwnedFd),
        pane: Option<Pane>,
        log: Log,
    ) -> Self {
        Self { errors: Some(errors), lens: Some(lens), pane, ..Self::new(source, log) }
    }

    fn new(source: OwnedFd, log: Log) -> Self {
        Self {
            source: Some(source),
            errors: None,
            lens: None,
            interrupted: false,
            childs_end: None,
            pane: None,
            to_pane: Vec::new(),
            to_child: Vec::new(),
            log,
            chunk: Vec::new(),
            taken: 0,
        }
    }

    /// What was printed so far.
    pub(super) fn log(&self) -> &Log {
        &self.log
    }

    /// What the output is read through, if anything.
    pub(super) fn lens(&mut self) -> Option<&mut Lens> {
        self.lens.as_mut()
    }

    /// Whether Ctrl-C was typed since the last time.
    pub(super) fn take_interrupt(&mut self) -> bool {
        std::mem::take(&mut self.interrupted)
    }

    /// Gives the log back.
    pub(super) fn into_log(self) -> Log {
        self.log
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
        const CAME: PollFlags = PollFlags::IN.union(PollFlags::HUP).union(PollFlags::ERR);
        let [source, errors, pane] = self.wait(signals, timeout);
        if source.contains(PollFlags::OUT) {
            self.type_to_child();
        }
        if source.intersects(CAME) {
            self.take_output(CHUNKS_A_TURN, Stream::Output);
        }
        if errors.intersects(CAME) {
            self.take_output(CHUNKS_A_TURN, Stream::Errors);
        }
        if pane.contains(PollFlags::OUT) {
            self.show();
        }
        if pane.intersects(CAME) {
            self.take_keys();
        }
    }

    /// What source, errors and pane are ready for.
    fn wait(&self, signals: &Signals, timeout: Duration) -> [PollFlags; 3] {
        let waits = self.to_pane.is_empty();
        let mut wanted = vec![PollFd::new(signals, PollFlags::IN)];
        let mut places = [None; 3];
        let mut want = |place: usize, fd, reads: bool, writes: bool| {
            let mut flags = PollFlags::empty();
            flags.set(PollFlags::IN, reads);
            flags.set(PollFlags::OUT, writes);
            // Asked for nothing, `poll` still answers HUP, and the loop would spin.
            if !flags.is_empty() {
                places[place] = Some(wanted.len());
                wanted.push(PollFd::from_borrowed_fd(fd, flags));
            }
        };
        if let Some(source) = &self.source {
            want(0, source.as_fd(), waits, !self.to_child.is_empty());
        }
        if let Some(errors) = &self.errors {
            want(1, errors.as_fd(), waits, false);
        }
        if let Some(pane) = &self.pane {
            want(2, pane.as_fd(), self.to_child.is_empty(), !waits);
        }
        let limit = Timespec::try_from(timeout).ok();
        if poll(&mut wanted, limit.as_ref()).is_err() {
            return [PollFlags::empty(); 3];
        }
        places.map(|at| at.map_or(PollFlags::empty(), |at: usize| wanted[at].revents()))
    }

    /// Takes what the child has printed; true when it may have printed more.
    fn take_output(&mut self, chunks: usize, stream: Stream) -> bool {
        self.chunk.resize(CHUNK, 0);
        for _ in 0..chunks {
            let from = match stream {
                Stream::Output => &self.source,
                Stream::Errors => &self.errors,
            };
            let Some(from) = from else { return false };
            match rustix::io::read(from, self.chunk.as_mut_slice()) {
                Ok(count) if count > 0 => {
                    self.taken += count as u64;
                    self.pass_on(count, stream);
                    if !self.to_pane.is_empty() {
                        return true;
                    }
                }
                Err(Errno::AGAIN) => return false,
                Err(Errno::INTR) => {}
                // The end of a pipe is 0, that of a terminal an error.
                Ok(_) | Err(_) => {
                    self.end_of(stream);
                    return false;
                }
            }
        }
        true
    }

    /// The first `count` bytes of the chunk, to log and pane.
    fn pass_on(&mut self, count: usize, stream: Stream) {
        let shown = match (&mut self.lens, stream) {
            (Some(lens), Stream::Output) => lens.take(&self.chunk[..count]),
            (Some(lens), Stream::Errors) => lens.take_errors(&self.chunk[..count]),
            (None, Stream::Output | Stream::Errors) => {
                self.log.write(&self.chunk[..count]);
                if self.pane.is_some() {
                    self.to_pane.extend_from_slice(&self.chunk[..count]);
                    self.show();
                }
                return;
            }
        };
        self.say(&shown);
    }

    /// Shows lines of ours: a terminal in raw mode wants its carriage returns.
    /// Puts lines of ours among the output.
    pub(super) fn say(&mut self, lines: &[u8]) {
        self.log.write(lines);
        if self.pane.is_some() && !lines.is_empty() {
            for line in lines.split_inclusive(|byte| *byte == b'\n') {
                let (text, end) = line.split_at(line.len() - usize::from(line.ends_with(b"\n")));
                self.to_pane.extend_from_slice(text);
                self.to_pane.extend_from_slice(if end.is_empty() { b"" } else { b"\r\n" });
            }
            self.show();
        }
    }

    fn end_of(&mut self, stream: Stream) {
        match stream {
            Stream::Errors => self.errors = None,
            Stream::Output => {
                self.source = None;
                let last = self.lens.as_mut().map(Lens::finish).unwrap_or_default();
                self.say(&last);
            }
        }
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
            // What has no terminal is given no keys.
            Ok(count) if count > 0 && self.lens.is_some() => {
                self.interrupted |= keys[..count].contains(&INTERRUPT);
            }
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
        let bound = self.taken + LAST_BYTES;
        while self.has_source() || !self.to_pane.is_empty() {
            let left = until.saturating_duration_since(now());
            if left.is_zero() || self.taken > bound {
                break;
            }
            if self.to_pane.is_empty() && self.has_source() && self.take_all() {
                continue;
            }
            if self.has_source() || !self.to_pane.is_empty() {
                self.turn(signals, left.min(Duration::from_millis(20)));
                while signals.next().is_some() {}
            }
        }
        // A pane that doesn't take it any more doesn't keep it from the log.
        self.pane = None;
        self.to_pane.clear();
        while self.taken <= bound && self.take_all() {}
        self.end_of(Stream::Output);
    }

    fn has_source(&self) -> bool {
        self.source.is_some() || self.errors.is_some()
    }

    /// Takes what waits in either stream; true when there may be more.
    fn take_all(&mut self) -> bool {
        let output = self.take_output(CHUNKS_A_TURN, Stream::Output);
        self.take_output(CHUNKS_A_TURN, Stream::Errors) || output
    }
}

/// Which of a child's two streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stream {
    Output,
    Errors,
}

/// A pipe whose reading end (the first) doesn't block.
pub(super) fn pipe() -> std::io::Result<(OwnedFd, OwnedFd)> {
    let (reading, writing) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC)?;
    // Only our end: the child expects writes that wait.
    rustix::io::ioctl_fionbio(&reading, true)?;
    Ok((reading, writing))
}
