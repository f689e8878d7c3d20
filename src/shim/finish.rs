//! What is written at the end: the report of a child that wrote none, then the exit.
//!
//! The exit is always last and durable, so whoever finds it finds everything that
//! was said. The report isn't synced on its own: what a power cut may take of it
//! stands in the exit as well. It leaves out what the outcome means.

use super::launch::Session;
use super::run::write_ack;
use super::tree::{End, Tree};
use super::{ShimError, clock};
use crate::mail::{self, MailError};
use crate::protocol::{
    self, Answer, Assignment, EXIT, ExitRecord, MEMORY, REPORT, REPORT_SCHEMA, Report, ReportStatus, Usage,
    WORKER_SCHEMA, answer_name,
};
use nix::sys::signal::Signal;
use std::error::Error;
use std::time::Duration;

/// How often a write that failed is tried again, and how long after (a full disk may be emptied).
const TRIES: u32 = 120;
const PAUSE: Duration = Duration::from_millis(500);

/// What is known of a child that ended.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) tree: Tree,
    pub(super) started_at: String,
    pub(super) acked: bool,
    /// Why it was ended from outside, if it was.
    pub(super) stopped: Option<&'static str>,
    /// The kernel ended a process of its job, because its memory was used up.
    pub(super) starved: bool,
    /// Its turn was over before it was ended: what it made of our signal is no exit of the work.
    pub(super) over: bool,
    /// What it used, as far as that was told.
    pub(super) usage: Option<Usage>,
}

/// Records a child that ended.
pub(super) fn ended(
    session: &Session,
    assignment: &Assignment,
    finished: &Finished,
) -> Result<(), ShimError> {
    // Only a tree that outlived its KILL leaves an end that nobody saw.
    let (end, ended_at) = match finished.tree.end() {
        Some((end, at)) => (end.clone(), at.clone()),
        None => (End::Unseen, clock::label()),
    };
    let is_agent = assignment.prompt_file.is_some();
    if is_agent {
        // Without a report under the token nothing else would say that it was taken.
        if !finished.acked {
            let _ = write_ack(session, assignment.token);
        }
    } else {
        write_report(session, &compose(assignment, &end, finished))?;
    }
    let (code, signal, error) = match end {
        End::Code(_) | End::Signal(_) if finished.over => (Some(0), None, None),
        End::Code(code) => (Some(code), None, None),
        End::Signal(signal) => (None, Some(signal), None),
        End::Unseen => (None, None, Some("its end wasn't seen".to_owned())),
    };
    write_exit(
        session,
        &ExitRecord {
            schema: WORKER_SCHEMA.to_owned(),
            token: Some(assignment.token),
            code,
            signal,
            started_at: finished.started_at.clone(),
            ended_at,
            survivors: finished.tree.survivors().to_vec(),
            error,
            usage: finished.usage,
        },
    )
}

/// Records a child that couldn't be started.
pub(super) fn not_started(
    session: &Session,
    assignment: &Assignment,
    started_at: String,
    error: &ShimError,
) -> Result<(), ShimError> {
    // Also where a person looks first: the pane, or the session's log.
    super::say(error);
    let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
    let reason = format!("failed to {error}{cause}");
    if assignment.prompt_file.is_some() {
        let _ = write_ack(session, assignment.token);
    } else {
        let summary = "it couldn't be started".to_owned();
        write_report(session, &report(assignment, ReportStatus::Failed, summary, Some(reason.clone())))?;
    }
    write_exit(session, &empty_exit(Some(assignment.token), started_at, reason))
}

/// Records a session that ended before it was given anything to do, so that its end
/// isn't taken for a crash.
pub(super) fn never_assigned(session: &Session, why: &str) -> Result<(), ShimError> {
    write_exit(session, &empty_exit(None, session.started_at.clone(), why.to_owned()))
}

fn empty_exit(token: Option<u64>, started_at: String, error: String) -> ExitRecord {
    ExitRecord {
        schema: WORKER_SCHEMA.to_owned(),
        token,
        code: None,
        signal: None,
        started_at,
        ended_at: clock::label(),
        survivors: Vec::new(),
        error: Some(error),
        usage: None,
    }
}

/// The report of a plain command: `done` says that it ended by itself, the `exit` item decides.
fn compose(assignment: &Assignment, end: &End, finished: &Finished) -> Report {
    // Worded for a status line: what it did, then how.
    let mut summary = match end {
        End::Code(code) => format!("exited with code {code}"),
        End::Signal(number) => format!("ended by {}", signal_name(*number)),
        End::Unseen => "ended, nobody saw how".to_owned(),
    };
    if finished.starved {
        summary = format!("{summary}; {MEMORY}");
    }
    match (end, finished.stopped) {
        // A program that tidies up and exits with 0 when it is stopped hasn't done its work.
        (_, Some(why)) => report(assignment, ReportStatus::Failed, summary, Some(why.to_owned())),
        (End::Code(_), None) => report(assignment, ReportStatus::Done, summary, None),
        (End::Signal(_) | End::Unseen, None) => {
            let reason = summary.clone();
            report(assignment, ReportStatus::Failed, summary, Some(reason))
        }
    }
}

fn signal_name(number: i32) -> String {
    match Signal::try_from(number) {
        Ok(signal) => format!("signal {number} ({signal})"),
        Err(_) => format!("signal {number}"),
    }
}

/// A report of the shim's own.
pub(super) fn report(
    assignment: &Assignment,
    status: ReportStatus,
    summary: String,
    reason: Option<String>,
) -> Report {
    Report {
        schema: REPORT_SCHEMA.to_owned(),
        task: assignment.task.clone(),
        attempt: assignment.attempt,
        token: assignment.token,
        status,
        summary,
        reason,
        evidence: Vec::new(),
        outputs: serde_json::Map::new(),
        usage: None,
        retry_after: None,
        question: None,
        by: None,
    }
}

fn write_report(session: &Session, report: &Report) -> Result<(), ShimError> {
    match persist(|| mail::write_new(&session.mail, REPORT, report, false)) {
        Ok(()) => Ok(()),
        // A question that was answered says nothing of how it went on.
        Err(MailError::Exists(_)) if holds_answered(session, report.token) => {
            Ok(persist(|| mail::write_json(&session.mail, REPORT, report, false))?)
        }
        // The child wrote its own, which is what was wanted.
        Err(MailError::Exists(_)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Whether the report that stands in mail only asks what was answered since.
fn holds_answered(session: &Session, token: u64) -> bool {
    let read = |name: &str| mail::read_bounded(&session.mail, name).ok().flatten();
    let report = read(REPORT).and_then(|bytes| Report::check(&bytes).ok());
    let asked = report.filter(|report| report.token == token && report.status.is_open());
    let Some(n) = asked.and_then(|report| report.question) else { return false };
    let answer = read(&answer_name(n)).and_then(|bytes| protocol::parse::<Answer>(&bytes).ok());
    answer.is_some_and(|answer| answer.token == token && answer.n == n)
}

fn write_exit(session: &Session, exit: &ExitRecord) -> Result<(), ShimError> {
    Ok(persist(|| mail::write_json(&session.mail, EXIT, exit, true))?)
}

/// Writes, and waits for a disk that has no room now: the outcome of a day's work isn't dropped for that.
fn persist(mut write: impl FnMut() -> Result<(), MailError>) -> Result<(), MailError> {
    let mut tries = 0;
    loop {
        tries += 1;
        match write() {
            Err(error @ MailError::Io(..)) if !error.is_gone() && tries < TRIES => std::thread::sleep(PAUSE),
            other => return other,
        }
    }
}
