//! The bundle: all that the journal holds of one attempt, gathered from its events.
//!
//! An attempt's rows are written once, so gathering them again gives the same bundle. It
//! leaves out what is beside the journal (blobs, commits, trees): whoever asks again looks
//! at those.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::event::{
    ClaimStep, Drift, Event, EvidenceEvent, Place, ReportStep, RunEvent, Snapshot, TaskEvent, TaskStep,
    WorkerStep,
};
use super::evidence::{Checked, ChildExit};
use super::moment::Stamp;
use crate::workflow::{Task, Workflow};

/// One attempt, as the journal tells it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Bundle {
    /// The task's id.
    pub task: String,
    /// Its ordinal, from 1; 0 for a task that was never tried.
    pub attempt: u32,
    /// When it was claimed.
    pub claimed_at: Option<Stamp>,
    /// When its child was seen to have ended.
    pub ended_at: Option<Stamp>,
    /// Its claim's token.
    pub token: Option<u64>,
    /// The full commit id that its tree started at.
    pub start: Option<String>,
    /// How its child ended.
    pub exit: Option<ChildExit>,
    /// Where its files are; none without a worktree.
    pub workspace: Option<Place>,
    /// Where its process was.
    pub session: Option<Place>,
    /// What its tree held when it was over.
    pub snapshot: Option<Snapshot>,
    /// The last check of each item, by its place in the declaration.
    pub items: BTreeMap<usize, (Stamp, Checked)>,
    /// The last accepted report.
    pub report: Option<Said>,
    /// Why the report itself was refuted, whatever the items say.
    pub refuted: Option<String>,
    /// Reports that changed nothing.
    pub refused: Vec<Refused>,
    /// What people decided about it.
    pub decisions: Vec<Decision>,
    /// What changed round it while it was at work.
    pub drift: Drift,
}

/// An accepted report.
#[derive(Debug, Clone, PartialEq)]
pub struct Said {
    /// When it was accepted.
    pub at: Stamp,
    /// Its status word.
    pub status: String,
    /// Its summary.
    pub summary: String,
    /// Its reason.
    pub reason: Option<String>,
    /// What dependents may read.
    pub outputs: Map<String, Value>,
    /// Claimed hashes and commits.
    pub claims: Vec<Value>,
    /// SHA-256 of its bytes, in hex.
    pub sha256: String,
}

/// A refused report.
#[derive(Debug, Clone, PartialEq)]
pub struct Refused {
    /// When it was refused.
    pub at: Stamp,
    /// Why, as a code.
    pub code: String,
    /// Why, in words.
    pub detail: String,
    /// SHA-256 of its bytes, in hex.
    pub sha256: String,
}

/// Something that a person decided about an attempt.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// When.
    pub at: Stamp,
    /// What became of the task by it, as the name of the event.
    pub kind: String,
    /// Who and why, in words.
    pub reason: String,
}

/// What came of looking at one recorded item again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again {
    /// It is as it was recorded.
    Same,
    /// Something is there, and it is another.
    Differs,
    /// What was recorded isn't there any more.
    Gone,
    /// Nobody could look, from which nothing follows (law L9).
    Unknown,
}

impl Again {
    /// The word that users see.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Differs => "differs",
            Self::Gone => "gone",
            Self::Unknown => "unknown",
        }
    }
}

/// One recorded item, looked at again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rechecked {
    /// Which declared item, from 0.
    pub item: usize,
    /// What came out.
    pub again: Again,
    /// What was seen, or what differs, as a sentence's fragment.
    pub reason: String,
}

/// All attempts of a run, or of one task in it.
#[derive(Debug, Clone, Default)]
pub struct Bundles {
    /// SHA-256 of the workflow file that the run follows now, in hex.
    pub workflow: String,
    /// Who is planned again without anybody's word: with each head that is to be reviewed.
    reviewers: BTreeSet<String>,
    tasks: BTreeMap<String, BTreeMap<u32, Bundle>>,
}

impl Bundles {
    /// Gathers the attempts of `task`, or of every task, from a run's events, oldest first.
    pub fn gather<'e>(events: impl Iterator<Item = (Stamp, &'e Event)>, task: Option<&str>) -> Self {
        let mut found = Self::default();
        for (at, event) in events {
            if let Event::Run(event) = event {
                found.run(event, task);
                continue;
            }
            let about = event.task().filter(|about| task.is_none_or(|task| task == *about));
            if about.is_some() {
                found.take(at, event);
            }
        }
        found
    }

    /// One attempt; an empty bundle where the journal holds nothing of it.
    pub fn remove(&mut self, task: &str, attempt: u32) -> Bundle {
        let empty = || Bundle { task: task.to_owned(), attempt, ..Bundle::default() };
        self.tasks.get_mut(task).and_then(|attempts| attempts.remove(&attempt)).unwrap_or_else(empty)
    }

    fn run(&mut self, event: &RunEvent, named: Option<&str>) {
        match event {
            RunEvent::Started(started) => self.plan(&started.digest, &started.workflow),
            RunEvent::Adopted(adopted) => self.plan(&adopted.digest, &adopted.workflow),
            RunEvent::Drifted(drifted) => {
                let of_task = |worker: &&String| {
                    worker.rsplit_once('.').is_some_and(|(task, _)| named.is_none_or(|named| named == task))
                };
                for worker in drifted.workers.iter().filter(of_task) {
                    if let Some(bundle) = self.of(worker) {
                        bundle.drift.take(&drifted.drift);
                    }
                }
            }
            RunEvent::Resumed { .. }
            | RunEvent::Interrupted { .. }
            | RunEvent::Stopping { .. }
            | RunEvent::Ended { .. }
            | RunEvent::Halted(_)
            | RunEvent::Reopened { .. }
            | RunEvent::Extended(_) => {}
        }
    }

    fn plan(&mut self, digest: &str, workflow: &Workflow) {
        digest.clone_into(&mut self.workflow);
        self.reviewers = workflow.tasks.iter().flat_map(Task::reviewers).map(str::to_owned).collect();
    }

    fn take(&mut self, at: Stamp, event: &Event) {
        match event {
            Event::Task(event) => self.task(at, event),
            Event::Evidence(EvidenceEvent { task, attempt, item, checked }) => {
                self.at(task, *attempt).items.insert(*item, (at, checked.clone()));
            }
            Event::Worker(event) => {
                if let Some(bundle) = self.of(&event.worker) {
                    bundle.worker(at, &event.step);
                }
            }
            Event::Report(event) => {
                if let Some(bundle) = self.of(&event.worker) {
                    bundle.reported(at, &event.step);
                }
            }
            Event::Claim(event) => {
                if let (Some(bundle), ClaimStep::Granted { .. }) = (self.of(&event.worker), &event.step) {
                    bundle.token = Some(event.token);
                }
            }
            Event::Run(_) | Event::Ignored(_) => {}
        }
    }

    /// A decision is about the attempt that the task has at that time.
    fn task(&mut self, at: Stamp, event: &TaskEvent) {
        if let TaskStep::Claimed { attempt, .. } = &event.step {
            self.at(&event.task, *attempt).claimed_at = Some(at);
        } else if let (TaskStep::Refuted, Some(why)) = (&event.step, event.reason.strip_prefix("refuted: "))
            && why.starts_with("no_change: ")
        {
            let attempts = self.tasks.entry(event.task.clone()).or_default();
            if let Some((_, bundle)) = attempts.iter_mut().next_back() {
                bundle.refuted = Some(why.to_owned());
            }
        } else if is_decision(event) && !self.reviewers.contains(&event.task) {
            let attempts = self.tasks.entry(event.task.clone()).or_default();
            let Some((_, bundle)) = attempts.iter_mut().next_back() else { return };
            let kind = Event::Task(event.clone()).kind();
            bundle.decisions.push(Decision { at, kind, reason: event.reason.clone() });
        }
    }

    fn at(&mut self, task: &str, attempt: u32) -> &mut Bundle {
        let attempts = self.tasks.entry(task.to_owned()).or_default();
        attempts.entry(attempt).or_insert_with(|| Bundle {
            task: task.to_owned(),
            attempt,
            ..Bundle::default()
        })
    }

    /// The bundle of a worker by its id, `<task>.<attempt>`.
    fn of(&mut self, worker: &str) -> Option<&mut Bundle> {
        let (task, attempt) = worker.rsplit_once('.')?;
        Some(self.at(task, attempt.parse().ok()?))
    }
}

/// Whether only a person could have brought this about.
fn is_decision(event: &TaskEvent) -> bool {
    matches!(
        event.step,
        TaskStep::DecidedSkip
            | TaskStep::DecidedAccept
            | TaskStep::Requeued
            | TaskStep::Reopened
            | TaskStep::Cancelled
            | TaskStep::Replanned
            | TaskStep::Withdrawn
    )
}

impl Bundle {
    /// Its worker's id.
    #[must_use]
    pub fn worker_id(&self) -> String {
        format!("{}.{}", self.task, self.attempt)
    }

    /// The steps that say something of the attempt; the others move the worker only.
    fn worker(&mut self, at: Stamp, step: &WorkerStep) {
        if let WorkerStep::Provisioning { token, start, .. } = step {
            (self.token, self.start) = (Some(*token), Some(start.clone()));
        } else if let WorkerStep::Launched { workspace, session, .. } = step {
            self.workspace.clone_from(workspace);
            self.session = Some(session.clone());
        } else if let WorkerStep::Ended { exit, .. } = step {
            (self.exit, self.ended_at) = (Some(*exit), Some(at));
        } else if let WorkerStep::Captured { snapshot } = step {
            self.snapshot.clone_from(snapshot);
        }
    }

    fn reported(&mut self, at: Stamp, step: &ReportStep) {
        match step {
            ReportStep::Accepted { status, summary, reason, outputs, claims, sha256, .. } => {
                self.report = Some(Said {
                    at,
                    status: status.clone(),
                    summary: summary.clone(),
                    reason: reason.clone(),
                    outputs: outputs.clone(),
                    claims: claims.clone(),
                    sha256: sha256.clone(),
                });
            }
            ReportStep::Refused { code, detail, sha256 } => {
                let refused =
                    Refused { at, code: code.clone(), detail: detail.clone(), sha256: sha256.clone() };
                self.refused.push(refused);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::budget::Amounts;
    use crate::engine::event::WorkerEvent;
    use crate::engine::evidence::Verdict;
    use crate::engine::moment::Moment;

    fn at(second: u64) -> Stamp {
        Stamp { moment: Moment(second * 1000), wall_ms: 0 }
    }

    fn task(step: TaskStep) -> Event {
        Event::Task(TaskEvent { task: "a".into(), reason: "by a person".into(), step })
    }

    fn claimed(attempt: u32) -> Event {
        task(TaskStep::Claimed { attempt, recovered_from: None })
    }

    fn ended(worker: &str, code: i32) -> Event {
        let step = WorkerStep::Ended {
            exit: ChildExit::Code(code),
            survivors: Vec::new(),
            usage: Amounts::default(),
        };
        Event::Worker(WorkerEvent { worker: worker.into(), reason: String::new(), step })
    }

    fn checked(attempt: u32, verdict: Verdict) -> Event {
        let checked = Checked::new("exit", verdict, "seen");
        Event::Evidence(EvidenceEvent { task: "a".into(), attempt, item: 0, checked })
    }

    fn gather(events: &[Event], task: Option<&str>) -> Bundles {
        Bundles::gather(events.iter().enumerate().map(|(n, event)| (at(n as u64), event)), task)
    }

    #[test]
    fn e5_what_one_attempt_showed_is_never_in_the_bundle_of_another() {
        let events = [
            claimed(1),
            ended("a.1", 3),
            checked(1, Verdict::Refuted),
            claimed(2),
            ended("a.2", 0),
            checked(2, Verdict::Verified),
        ];
        let mut bundles = gather(&events, Some("a"));
        let (first, second) = (bundles.remove("a", 1), bundles.remove("a", 2));
        assert_eq!((first.exit, second.exit), (Some(ChildExit::Code(3)), Some(ChildExit::Code(0))));
        assert_eq!((first.claimed_at, first.ended_at), (Some(at(0)), Some(at(1))));
        assert_eq!(first.items[&0].1.verdict, Verdict::Refuted);
        assert_eq!(second.items[&0].1.verdict, Verdict::Verified);
        assert_eq!(second.worker_id(), "a.2");
    }

    #[test]
    fn of_an_item_that_was_checked_twice_the_last_check_counts() {
        let events = [claimed(1), checked(1, Verdict::Unverifiable), checked(1, Verdict::Verified)];
        assert_eq!(
            gather(&events, None).remove("a", 1).items[&0],
            (at(2), { Checked::new("exit", Verdict::Verified, "seen") })
        );
    }

    #[test]
    fn a_decision_of_a_person_stands_in_the_attempt_that_it_was_about() {
        let events = [claimed(1), task(TaskStep::DecidedAccept), task(TaskStep::Reopened), claimed(2)];
        let events: Vec<Event> = events.into_iter().chain([task(TaskStep::Cancelled)]).collect();
        let mut bundles = gather(&events, None);
        let mut kinds = |attempt| -> Vec<String> {
            let decisions = bundles.remove("a", attempt).decisions;
            decisions.into_iter().map(|decision| decision.kind).collect()
        };
        assert_eq!(kinds(1), ["task.verifying", "task.ready"]);
        assert_eq!(kinds(2), ["task.cancelled"]);
    }

    #[test]
    fn another_task_is_left_out_where_one_is_named_and_what_never_was_is_empty() {
        let mut bundles = gather(&[claimed(1), ended("a.1", 0)], Some("b"));
        assert_eq!(bundles.remove("a", 1).exit, None);
        let never = bundles.remove("b", 0);
        assert_eq!((never.task.as_str(), never.attempt, never.items.len()), ("b", 0, 0));
    }
}
