//! Reports: what an agent has said so far, and what its shim says in its place.
//!
//! Only a question gives way to another report; what an agent said for good stays. It leaves
//! out whether a report counts, which is the supervisor's.

use super::watch::Limit;
use crate::mail::{self, MailError};
use crate::protocol::{AgentSpec, Assignment, Problem, REPORT, Report, ReportBy, ReportStatus};
use crate::shim::finish;
use crate::shim::launch::Session;

/// Who speaks, for whom.
#[derive(Debug, Clone, Copy)]
pub(super) struct Voice<'a> {
    pub(super) session: &'a Session,
    pub(super) assignment: &'a Assignment,
    pub(super) spec: &'a AgentSpec,
}

/// What an agent has said.
#[derive(Debug)]
pub(super) enum Said {
    /// Nothing, or a question that was answered.
    Nothing,
    /// Something that no report can be, and why.
    Bad(String),
    /// A question, as its bytes.
    Question(Vec<u8>),
    /// How it went.
    Final,
}

impl Voice<'_> {
    /// What the mail's report says; `answered` is one that counts no more.
    pub(super) fn said(&self, answered: Option<&[u8]>) -> Said {
        let bytes = match mail::read_bounded(&self.session.mail, REPORT) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Said::Nothing,
            Err(error) => return Said::Bad(format!("failed to {error}")),
        };
        if answered == Some(&bytes) {
            return Said::Nothing;
        }
        match Report::check(&bytes) {
            Err(problems) => Said::Bad(unusable(&problems)),
            Ok(report) if !is_about(&report, self.assignment) => {
                Said::Bad("it names another task, attempt or token".to_owned())
            }
            // Ours: whether it still stands is known without it.
            Ok(report) if report.status.is_open() && report.by.is_some() => Said::Nothing,
            Ok(report) if report.status.is_open() => Said::Question(bytes),
            Ok(_) => Said::Final,
        }
    }

    /// Says that the attempt failed, unless the agent said how it went.
    pub(super) fn failed(&self, reason: &str) {
        let summary = format!("{} didn't get through", self.spec.adapter);
        let report = finish::report(self.assignment, ReportStatus::Failed, summary, Some(reason.to_owned()));
        self.put(&Report { by: Some(ReportBy::Shim), ..report });
    }

    /// Says that its provider refuses work for now.
    pub(super) fn limited(&self, limit: &Limit) {
        let summary = format!("{} met a rate limit; the task waits {} s", self.spec.adapter, limit.seconds);
        let reason = format!("rate_limited: {}", limit.why);
        let report = finish::report(self.assignment, ReportStatus::Failed, summary, Some(reason));
        self.put(&Report { by: Some(ReportBy::Shim), retry_after: Some(limit.seconds), ..report });
    }

    fn put(&self, report: &Report) {
        put(self.session, self.assignment, report);
    }
}

/// Writes a report of the shim's where none of the agent's stands that settles the attempt.
pub(in crate::shim) fn put(session: &Session, assignment: &Assignment, report: &Report) {
    // A session without mail is recorded nowhere; nothing better can be done about it.
    let _ = match may_replace(&session.mail, assignment) {
        true => mail::write_json(&session.mail, REPORT, report, false),
        false => mail::write_new(&session.mail, REPORT, report, false),
    };
}

/// Why a report can't be used, in words for whoever wrote it.
pub(in crate::shim) fn unusable(problems: &[Problem]) -> String {
    match problems.first() {
        Some(problem) if problem.path.is_empty() => format!("it can't be used, {}", problem.message),
        Some(problem) => format!("it can't be used, `{}`: {}", problem.path, problem.message),
        None => "it can't be used".to_owned(),
    }
}

/// The report that is a child's question, seen by its shim.
pub(in crate::shim) fn question(assignment: &Assignment, (n, at): (u32, u64), text: String) -> Report {
    // The same question at another time is another report.
    let summary = format!("it waits for a person, after {at} signs of progress");
    let report = finish::report(assignment, ReportStatus::NeedsInput, summary, Some(text));
    Report { by: Some(ReportBy::Shim), question: Some(n), ..report }
}

/// Whether mail's report gives way to another: it is a question, or nothing that counts.
pub(in crate::shim) fn may_replace(mail: &std::path::Path, assignment: &Assignment) -> bool {
    match mail::read_bounded(mail, REPORT) {
        Ok(Some(bytes)) => {
            Report::check(&bytes).map_or(true, |old| old.status.is_open() || !is_about(&old, assignment))
        }
        Err(MailError::TooLarge(_)) => true,
        Ok(None) | Err(_) => false,
    }
}

fn is_about(report: &Report, assignment: &Assignment) -> bool {
    let Assignment { task, attempt, token, .. } = assignment;
    report.task == *task && report.attempt == *attempt && report.token == *token
}
