//! Waiting for the assignment.
//!
//! inotify is the doorbell, reading the folder is the truth: it is looked at again
//! about every second, and more often where no watch can be had. The watch is
//! given back with the assignment, because a user has 128 of them and a hundred
//! workers at work must not use them up. It leaves out what is assigned.

use super::beat::Beats;
use super::clock;
use super::launch::Session;
use crate::mail::{self, MailError};
use crate::protocol::{ASSIGNMENT, Assignment, STOP, Stop, WALL_TIME, parse};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use nix::sys::signal::Signal;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::path::Path;
use std::time::Duration;

/// From one look to the next where a doorbell rings in between.
const WATCHED: Duration = Duration::from_secs(1);
/// The same where none does.
const UNWATCHED: Duration = Duration::from_millis(100);

/// What the waiting came to.
#[derive(Debug)]
pub(super) enum Waited {
    /// Work.
    Assigned(Box<Assignment>),
    /// An order to end, with its reason.
    Stopped(&'static str),
    /// The mail folder is gone.
    Gone,
}

/// Waits, beating, for as long as it takes: a supervisor may be away for days.
pub(super) fn for_assignment(session: &Session, beats: &mut Beats) -> Waited {
    let mut note = None;
    let mut said = None;
    // The usual case for a short task: it is there already, and no watch is needed.
    if let Some(answer) = look(session, &mut note) {
        return answer;
    }
    let bell = doorbell(&session.mail);
    loop {
        // After the watch began, so that nothing falls in between.
        if let Some(answer) = look(session, &mut note) {
            return answer;
        }
        let now = clock::now();
        if session.wall.is_over(now) {
            return Waited::Stopped(WALL_TIME);
        }
        // What was refused is said at once: somebody waits for the work to begin.
        if now >= beats.due_at() || said != note {
            beats.idle(note.clone());
            said.clone_from(&note);
        }
        let pause = if bell.is_some() { WATCHED } else { UNWATCHED };
        let pause = pause.min(beats.due_at().saturating_duration_since(now));
        let mut wanted = vec![PollFd::new(&session.signals, PollFlags::IN)];
        if let Some(bell) = &bell {
            wanted.push(PollFd::new(bell, PollFlags::IN));
        }
        let _ = poll(&mut wanted, Timespec::try_from(pause).ok().as_ref());
        if let Some(bell) = &bell {
            // What rang doesn't matter; it only has to stop ringing.
            let _ = bell.read_events();
        }
        while let Some(signal) = session.signals.next() {
            if signal == Signal::SIGTERM {
                return Waited::Stopped("it was told to end (SIGTERM) before it had an assignment");
            }
        }
    }
}

fn doorbell(mail: &Path) -> Option<Inotify> {
    let bell = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC).ok()?;
    let events = AddWatchFlags::IN_MOVED_TO
        | AddWatchFlags::IN_CREATE
        | AddWatchFlags::IN_DELETE_SELF
        | AddWatchFlags::IN_MOVE_SELF;
    bell.add_watch(mail, events).ok()?;
    Some(bell)
}

fn look(session: &Session, note: &mut Option<String>) -> Option<Waited> {
    match mail::read_bounded(&session.mail, STOP) {
        Ok(Some(bytes)) => match parse::<Stop>(&bytes) {
            Ok(_) => return Some(Waited::Stopped("it was stopped before it had an assignment")),
            Err(problem) => *note = Some(format!("{STOP} refused: {}", problem.message)),
        },
        Ok(None) => {}
        Err(error) => *note = Some(refused(STOP, &error)),
    }
    match mail::read_bounded(&session.mail, ASSIGNMENT) {
        Ok(Some(bytes)) => match read(session, &bytes) {
            Ok(assignment) => return Some(Waited::Assigned(Box::new(assignment))),
            Err(why) => *note = Some(format!("{ASSIGNMENT} refused: {why}")),
        },
        // Only where there is nothing does it matter whether there is a folder.
        Ok(None) => match session.mail.symlink_metadata() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Some(Waited::Gone),
            Ok(_) | Err(_) => {}
        },
        Err(error) => *note = Some(refused(ASSIGNMENT, &error)),
    }
    None
}

fn refused(name: &str, error: &MailError) -> String {
    format!("{name} refused: failed to {error}")
}

fn read(session: &Session, bytes: &[u8]) -> Result<Assignment, String> {
    let assignment: Assignment = parse(bytes).map_err(|problem| format!("failed to {problem}"))?;
    let named = format!("{}.{}", assignment.task, assignment.attempt);
    if named == session.worker {
        Ok(assignment)
    } else {
        // L15: work for another worker isn't done here instead.
        Err(format!("it is for `{named}`, this is `{}`", session.worker))
    }
}
