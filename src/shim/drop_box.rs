//! The drop box in the tree, for agents that can write nowhere else.
//!
//! What lies there is hostile until proven otherwise: no links, regular files
//! only, bounded. While the child runs only a whole and valid report for this
//! attempt is relayed, and what it submits; at the end whatever is there is, so that the supervisor can
//! refuse it by name and show it. It leaves out judging; nothing is removed.

use super::agent::{may_replace, unusable};
use crate::mail::{self, MailError};
use crate::protocol::{
    Assignment, DROP_BOX, MAX_SUBMISSIONS, NOTE, Note, REPORT, Report, Submission, parse, submit_name,
};
use std::path::{Path, PathBuf};

/// Characters of a note that are passed on.
const NOTE_CHARS: usize = 500;

/// The drop box of one attempt.
#[derive(Debug)]
pub(super) struct DropBox {
    dir: PathBuf,
    mail: PathBuf,
    /// The last report that was looked at: it is parsed once, not twice a second.
    seen: Option<Vec<u8>>,
    /// The number of the submission that is looked for: each is relayed once.
    next: u32,
}

impl DropBox {
    /// That of `tree`, relayed to `mail`.
    pub(super) fn new(tree: &Path, mail: &Path) -> Self {
        Self { dir: tree.join(DROP_BOX), mail: mail.to_owned(), seen: None, next: 1 }
    }

    /// Whether the worker left a file of this name, here or in mail; its content is nobody's to read.
    pub(super) fn has(&self, name: &str) -> bool {
        [&self.mail, &self.dir].into_iter().any(|folder| std::fs::symlink_metadata(folder.join(name)).is_ok())
    }

    /// Relays what was submitted, and then a valid report, if there is a new one.
    pub(super) fn look(&mut self, assignment: &Assignment) {
        while self.relay_submission(assignment) {}
        let Ok(Some(bytes)) = mail::read_in_untrusted(&self.dir, REPORT) else { return };
        if self.seen.as_ref() == Some(&bytes) {
            return;
        }
        let Ok(report) = Report::check(&bytes) else { return };
        let mine = report.token == assignment.token
            && report.task == assignment.task
            && report.attempt == assignment.attempt;
        if !mine {
            return;
        }
        // A question gives way, and so does what can't count; a report that settles never does.
        let written = if may_replace(&self.mail, assignment) {
            mail::write_bytes(&self.mail, REPORT, &bytes, false)
        } else {
            mail::write_new_bytes(&self.mail, REPORT, &bytes, false)
        };
        if matches!(written, Ok(()) | Err(MailError::Exists(_))) {
            self.seen = Some(bytes);
        }
    }

    /// Relays the next submission of this attempt, under its number. False when there is none.
    fn relay_submission(&mut self, assignment: &Assignment) -> bool {
        let name = submit_name(self.next);
        if self.next > MAX_SUBMISSIONS {
            return false;
        }
        if let Ok(Some(bytes)) = mail::read_in_untrusted(&self.dir, &name) {
            let mine = Submission::parse(&bytes).is_ok_and(|it| it.token == assignment.token);
            // One that mail has already came from the worker itself.
            if !mine
                || matches!(mail::write_new_bytes(&self.mail, &name, &bytes, false), Err(MailError::Io(..)))
            {
                return false;
            }
        } else if !std::fs::symlink_metadata(self.mail.join(&name)).is_ok_and(|found| found.is_file()) {
            return false;
        }
        self.next += 1;
        true
    }

    /// Relays what is there at the end, valid or not, unless mail has a report.
    pub(super) fn look_last(&mut self, assignment: &Assignment) {
        self.look(assignment);
        if let Ok(Some(bytes)) = mail::read_in_untrusted(&self.dir, REPORT)
            && self.seen.as_ref() != Some(&bytes)
        {
            let _ = mail::write_new_bytes(&self.mail, REPORT, &bytes, false);
        }
    }

    /// Why what lies there isn't relayed, if something does.
    pub(super) fn trouble(&self, assignment: &Assignment) -> Option<String> {
        let bytes = match mail::read_in_untrusted(&self.dir, REPORT) {
            Ok(bytes) => bytes?,
            Err(error) => return Some(format!("failed to {error}")),
        };
        match Report::check(&bytes) {
            Err(problems) => Some(unusable(&problems)),
            Ok(report) if report.token != assignment.token => {
                Some("its token isn't this attempt's".to_owned())
            }
            Ok(report) if report.task != assignment.task || report.attempt != assignment.attempt => {
                Some("it is about another task or attempt".to_owned())
            }
            Ok(_) => None,
        }
    }

    /// The worker's latest line for the heartbeat, from mail or from here.
    pub(super) fn note(&self) -> Option<String> {
        let from_mail = mail::read_bounded(&self.mail, NOTE).ok().flatten();
        let bytes = from_mail.or_else(|| mail::read_in_untrusted(&self.dir, NOTE).ok().flatten())?;
        let note: Note = parse(&bytes).ok()?;
        Some(note.note.chars().take(NOTE_CHARS).collect())
    }
}
