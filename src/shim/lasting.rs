//! What stays from one turn of an agent to the next: beats, drop box, log, what was heard.
//!
//! A command has one turn, and is recorded by the same means. It leaves out what belongs to
//! one process (`run`).

use super::agent::Watch;
use super::beat::{Beats, Signs};
use super::drop_box::DropBox;
use super::launch::Session;
use super::output::Log;
use crate::protocol::ChildFacts;
use std::fs::File;

/// Bytes of output that are kept.
const LOG_CAP: u64 = 64 << 20;

/// What stays from one turn of an agent to the next; a command has one turn.
#[derive(Debug)]
pub(super) struct Lasting<'a> {
    session: &'a Session,
    pub(super) beats: Beats,
    pub(super) drop_box: DropBox,
    /// The log while nothing runs.
    pub(super) log: Option<Log>,
    /// None where no agent runs.
    pub(super) watch: Option<Watch<'a>>,
    pub(super) acked: bool,
    /// Which answer a question waits for.
    pub(super) next_answer: u32,
    /// Bytes printed so far, and trouble with keeping them.
    pub(super) printed: (u64, Option<String>),
}

impl<'a> Lasting<'a> {
    pub(super) fn new(session: &'a Session, beats: Beats, watch: Option<Watch<'a>>) -> Self {
        let drop_box = DropBox::new(&session.tree, &session.mail);
        Self { session, beats, drop_box, log: None, watch, acked: false, next_answer: 1, printed: (0, None) }
    }

    /// The log, to be written to by what runs now.
    pub(super) fn take_log(&mut self) -> Log {
        // With a terminal, output that is kept nowhere is still seen.
        let has_terminal = rustix::termios::isatty(rustix::stdio::stdin());
        self.log.take().unwrap_or_else(|| open_log(self.session, !has_terminal))
    }

    /// A line of ours between two turns, where the agent's are.
    pub(super) fn say(&mut self, text: &str) {
        let line = format!("[ilchul] {text}\n");
        if let Some(log) = &mut self.log {
            log.write(line.as_bytes());
        }
        if rustix::termios::isatty(rustix::stdio::stdout()) {
            // The pane's modes are its own again; one that is gone is no trouble.
            let _ = rustix::io::write(rustix::stdio::stdout(), line.as_bytes());
        }
    }

    /// Beats under `token`; without a child while it waits for an answer.
    pub(super) fn beat(&mut self, token: u64, child: Option<&ChildFacts>) {
        let watch = self.watch.as_ref();
        let (events, phase) = watch.map(Watch::progress).unzip();
        // A worker's own words first; trouble with the log is only ours.
        let note = self.drop_box.note().or_else(|| self.printed.1.clone());
        let note = note.or_else(|| watch.and_then(Watch::note));
        self.beats.busy(token, child, Signs { output_bytes: self.printed.0, events, phase, note });
    }
}

fn open_log(session: &Session, to_stdout: bool) -> Log {
    match &session.log {
        Some(path) => Log::append(path, LOG_CAP)
            .unwrap_or_else(|error| Log::nowhere(Some(format!("the log couldn't be opened: {error}")))),
        None if to_stdout => match rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdout(), 3) {
            Ok(stdout) => Log::to(File::from(stdout), LOG_CAP),
            Err(error) => Log::nowhere(Some(format!("the output couldn't be kept: {error}"))),
        },
        None => Log::nowhere(None),
    }
}
