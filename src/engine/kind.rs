//! The names of events: `run.*`, `task.<state>`, `worker.<state>`, `claim.*`, ...
//!
//! Users and scripts filter by these (contract 6), so they are a list of their
//! own: a test holds them against the tables. It leaves out the events' contents.

use super::event::{ClaimStep, Event, PlainMove, ReportStep, RunEvent, TaskStep, WorkerStep};
use super::task_table::TaskPhase as T;
use super::worker_table::WorkerPhase as W;

impl Event {
    /// Its name, as `events` prints it.
    #[must_use]
    pub fn kind(&self) -> String {
        match self {
            Self::Run(event) => format!("run.{}", run(event)),
            Self::Task(event) => format!("task.{}", task(&event.step).word()),
            Self::Worker(event) => format!("worker.{}", worker(&event.step)),
            Self::Claim(event) => format!("claim.{}", claim(&event.step)),
            Self::Report(event) => format!("report.{}", report(&event.step)),
            Self::Evidence(event) => format!("evidence.{}", event.checked.verdict.word()),
            Self::Ignored(_) => "input.ignored".to_owned(),
        }
    }

    /// The task it is about, if it is about one.
    #[must_use]
    pub fn task(&self) -> Option<&str> {
        match self {
            Self::Run(RunEvent::Reopened { task }) => Some(task),
            Self::Run(RunEvent::Extended(extended)) => Some(&extended.by),
            Self::Task(event) => Some(&event.task),
            Self::Worker(event) => task_of(&event.worker),
            Self::Claim(event) => Some(&event.task),
            Self::Report(event) => task_of(&event.worker),
            Self::Evidence(event) => Some(&event.task),
            Self::Ignored(event) => event.worker.as_deref().and_then(task_of),
            Self::Run(
                RunEvent::Started(_)
                | RunEvent::Resumed { .. }
                | RunEvent::Interrupted { .. }
                | RunEvent::Stopping { .. }
                | RunEvent::Ended { .. }
                | RunEvent::Halted(_)
                | RunEvent::Adopted(_)
                | RunEvent::Drifted(_),
            ) => None,
        }
    }

    /// The worker it is about, if it is about one.
    #[must_use]
    pub fn worker(&self) -> Option<&str> {
        match self {
            Self::Worker(event) => Some(&event.worker),
            Self::Claim(event) => Some(&event.worker),
            Self::Report(event) => Some(&event.worker),
            Self::Ignored(event) => event.worker.as_deref(),
            Self::Run(_) | Self::Task(_) | Self::Evidence(_) => None,
        }
    }
}

fn task_of(worker: &str) -> Option<&str> {
    worker.rsplit_once('.').map(|(task, _)| task)
}

fn run(event: &RunEvent) -> &'static str {
    match event {
        RunEvent::Started(_) => "started",
        RunEvent::Resumed { .. } => "resumed",
        RunEvent::Interrupted { .. } => "interrupted",
        RunEvent::Stopping { .. } => "stopping",
        RunEvent::Ended { .. } => "ended",
        RunEvent::Halted(_) => "halted",
        RunEvent::Reopened { .. } => "reopened",
        RunEvent::Adopted(_) => "adopted",
        RunEvent::Extended(_) => "extended",
        RunEvent::Drifted(_) => "drifted",
    }
}

fn task(step: &TaskStep) -> T {
    let again_or_failed = |again: bool| if again { T::Ready } else { T::Failed };
    match step {
        TaskStep::NeedsMet
        | TaskStep::Deferred { .. }
        | TaskStep::HostFailed { .. }
        | TaskStep::RateLimited { .. }
        | TaskStep::Requeued
        | TaskStep::Reopened => T::Ready,
        TaskStep::NeedsImpossible { .. } | TaskStep::DecidedSkip | TaskStep::Withdrawn => T::Skipped,
        TaskStep::Denied { .. } => T::Failed,
        TaskStep::Claimed { .. } => T::Claimed,
        TaskStep::Acknowledged | TaskStep::Opened | TaskStep::Unblocked | TaskStep::Answered { .. } => {
            T::InProgress
        }
        TaskStep::LaunchFailed { again }
        | TaskStep::AttemptFailed { again }
        | TaskStep::Recovered { again }
        | TaskStep::Repaired { again } => again_or_failed(*again),
        TaskStep::Worked | TaskStep::Asked | TaskStep::DecidedAccept => T::Verifying,
        TaskStep::WentPartial => T::Partial,
        TaskStep::Blocked => T::Blocked,
        TaskStep::Verified { .. } => T::Completed,
        TaskStep::Refuted => T::RepairRequired,
        TaskStep::Cancelled => T::Cancelled,
        TaskStep::Rearmed | TaskStep::Replanned => T::Pending,
    }
}

fn worker(step: &WorkerStep) -> &'static str {
    match step {
        WorkerStep::Provisioning { .. } => W::Provisioning.word(),
        WorkerStep::Launched { .. } => "launched",
        WorkerStep::Echoed { .. } => W::Ready.word(),
        WorkerStep::Ended { .. } => "ended",
        WorkerStep::Stopping { .. } => "stopping",
        WorkerStep::Stopped => "stopped",
        WorkerStep::Found { .. } => W::StaleRegistry.word(),
        WorkerStep::Departed => "departed",
        WorkerStep::Suspended => "suspended",
        WorkerStep::Continued => "continued",
        WorkerStep::Captured { .. } => "captured",
        WorkerStep::SubmissionRefused { .. } => "submission-refused",
        WorkerStep::Released { .. } => W::SafeToClose.word(),
        WorkerStep::Moved { to } => match to {
            PlainMove::BeatWaiting => W::Ready.word(),
            PlainMove::Dispatched
            | PlainMove::BeatBusy
            | PlainMove::Stalled
            | PlainMove::Progressed
            | PlainMove::SeenAgain => W::Busy.word(),
            PlainMove::FellSilent => W::Unhealthy.word(),
            PlainMove::WentStale => W::StaleRegistry.word(),
            PlainMove::Retained | PlainMove::Unreleased | PlainMove::TreeKept => W::CompletedRetained.word(),
            PlainMove::Freed => W::SafeToClose.word(),
            // Its state stays what it was, so the event is named after what was seen.
            PlainMove::Queued => "queued",
            PlainMove::Starting => "starting",
            PlainMove::Begun => "begun",
            PlainMove::SessionGone => "session-gone",
            PlainMove::CleanedUp => W::CleanupReleased.word(),
            PlainMove::SeenAbsent => W::Closed.word(),
        },
    }
}

fn claim(step: &ClaimStep) -> &'static str {
    match step {
        ClaimStep::Granted { .. } => "granted",
        ClaimStep::Renewed { .. } => "renewed",
        ClaimStep::Expired => "expired",
        ClaimStep::Revoked { .. } => "revoked",
        ClaimStep::Closed => "closed",
        ClaimStep::Settled(_) => "settled",
    }
}

fn report(step: &ReportStep) -> &'static str {
    match step {
        ReportStep::Accepted { .. } => "accepted",
        ReportStep::Refused { .. } => "refused",
    }
}

#[cfg(test)]
mod tests {
    use super::super::moment::Moment;
    use super::super::task_table::{TaskMove, TaskPhase, next};
    use super::*;

    #[test]
    fn a_task_event_is_named_after_the_state_that_it_leads_to() {
        let steps = [
            TaskStep::NeedsMet,
            TaskStep::NeedsImpossible { root: "a".into(), by_design: false },
            TaskStep::Deferred { stage: "disk".into(), until: Some(Moment(1)) },
            TaskStep::Denied { stage: "attempts".into() },
            TaskStep::Opened,
            TaskStep::Asked,
            TaskStep::Claimed { attempt: 1, recovered_from: None },
            TaskStep::Acknowledged,
            TaskStep::HostFailed { until: Moment(1) },
            TaskStep::LaunchFailed { again: true },
            TaskStep::LaunchFailed { again: false },
            TaskStep::Worked,
            TaskStep::AttemptFailed { again: true },
            TaskStep::AttemptFailed { again: false },
            TaskStep::WentPartial,
            TaskStep::Blocked,
            TaskStep::Unblocked,
            TaskStep::Answered { n: 1, by: "ana".into(), text: "yes".into() },
            TaskStep::RateLimited { until: Moment(1) },
            TaskStep::Requeued,
            TaskStep::Recovered { again: true },
            TaskStep::Recovered { again: false },
            TaskStep::DecidedSkip,
            TaskStep::DecidedAccept,
            TaskStep::Refuted,
            TaskStep::Repaired { again: true },
            TaskStep::Repaired { again: false },
            TaskStep::Cancelled,
            TaskStep::Reopened,
            TaskStep::Rearmed,
            TaskStep::Replanned,
            TaskStep::Withdrawn,
        ];
        // All but `Verified`, which only an accepted verdict can make; an answer unblocks as well.
        assert_eq!(steps.len() + 1 - 1, TaskMove::ALL.len());
        for step in steps {
            let leads: Vec<_> =
                TaskPhase::ALL.iter().filter_map(|from| next(*from, step.table()).ok()).collect();
            assert!(!leads.is_empty() && leads.iter().all(|to| *to == task(&step)), "{step:?}");
        }
    }
}
