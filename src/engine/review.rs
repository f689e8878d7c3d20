//! Reviews: another task's verdict on a head, asked for anew with each attempt.
//!
//! A reviewer waits until everything else about a head is verified, starts at that head, and
//! answers `outputs.verdict`. Pure questions to the state; the events that follow are in
//! `decide/review.rs`, what may name whom in the workflow.

use std::collections::BTreeMap;

use super::evidence::{Checked, Verdict};
use super::no_change;
use super::state::{RunState, WorkerState};
use super::task_table::TaskPhase;
use crate::workflow::{Asked, REVIEW, Task};

/// The output that a reviewer answers with: `pass` or `fail`.
pub const ANSWER: &str = "verdict";
/// The most characters of a reviewer's summary, or of a strange answer, that a reason quotes.
const QUOTED_MAX: usize = 400;
/// How many changed paths a reason names.
const NAMED: usize = 5;

/// What a reviewer's start waits for beside its own needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    /// The task that it reviews has nothing to be judged yet.
    Waits,
    /// A head is there, and its verdict is the next that it needs.
    Open,
    /// The task that it reviews has ended.
    Ended,
}

/// Whether a reviewer that is here has a head to judge.
pub(super) fn is_at_work(phase: TaskPhase) -> bool {
    phase != TaskPhase::Pending && !phase.is_terminal()
}

/// Who reviews whom. Tasks that an edit lost come last, so that they take no reviewer from others.
pub(super) fn of_plan(tasks: &[Task], index: &BTreeMap<String, usize>) -> BTreeMap<usize, usize> {
    let mut reviews = BTreeMap::new();
    for (reviewed, task) in tasks.iter().enumerate() {
        for reviewer in task.reviewers().filter_map(|id| index.get(id)) {
            reviews.entry(*reviewer).or_insert(reviewed);
        }
    }
    reviews
}

/// The gate of a task that reviews another; none for every other task.
#[must_use]
pub fn gate(state: &RunState, reviewer: usize) -> Option<Gate> {
    let reviewed = *state.reviews.get(&reviewer)?;
    let id = &state.planned(reviewer).id;
    Some(if state.tasks[reviewed].phase.is_terminal() {
        Gate::Ended
    } else if head(state, reviewed).is_some() && open(state, reviewed).any(|(_, by)| by == id) {
        Gate::Open
    } else {
        Gate::Waits
    })
}

/// Whether what a reviewer is doing is about the head that waits for it now (law E5).
#[must_use]
pub fn is_awaited(state: &RunState, reviewer: usize) -> bool {
    let attempt = state.reviews.get(&reviewer).map(|reviewed| state.tasks[*reviewed].attempt);
    gate(state, reviewer) == Some(Gate::Open) && attempt == Some(state.tasks[reviewer].for_attempt)
}

/// Whether every item that ilchul looks at itself is verified, and nobody who was asked said no.
#[must_use]
pub fn rest_holds(state: &RunState, task: usize) -> bool {
    let known = &state.tasks[task];
    let items = state.planned(task).evidence.items();
    known.phase == TaskPhase::Verifying
        && known.evidence.len() == items.len()
        && known
            .evidence
            .iter()
            .all(|checked| checked.verdict == Verdict::Verified || checked.is_unanswered())
        && no_change::unfounded(state, task).is_none()
}

/// The reviews that a task waits for, by their place among its items, with who is to give them.
pub fn open(state: &RunState, task: usize) -> impl Iterator<Item = (usize, &str)> {
    let asks = rest_holds(state, task);
    let items = state.planned(task).evidence.items().iter().zip(&state.tasks[task].evidence);
    items.enumerate().filter_map(move |(index, (item, checked))| match item.asks() {
        Some(Asked::Task(task)) if asks && checked.is_unanswered() => Some((index, task)),
        Some(Asked::Task(_) | Asked::Person(_)) | None => None,
    })
}

/// The commit of a task's present attempt, once it is kept.
#[must_use]
pub fn head(state: &RunState, task: usize) -> Option<&str> {
    let (_, worker) = state.current_worker(task)?;
    worker.captured.as_ref()?.as_ref().map(|snapshot| snapshot.commit.as_str())
}

/// What a reviewer's end says about the head that it was given.
#[must_use]
pub fn judge(state: &RunState, reviewer: usize) -> Checked {
    let known = &state.tasks[reviewer];
    let id = &state.planned(reviewer).id;
    let worker = state.current_worker(reviewer);
    let because =
        || if known.reason.is_empty() { String::new() } else { format!(": {}", quoted(&known.reason)) };
    let (verdict, reason) = match (known.phase, &worker) {
        (TaskPhase::Completed, Some((_, worker))) => answer(id, worker),
        // A check that ends without an answer is refuted (law E5).
        (TaskPhase::Completed | TaskPhase::Failed | TaskPhase::Partial, _) => {
            (Verdict::Refuted, format!("`{id}` gave no verdict, it is {}{}", known.phase, because()))
        }
        // Nobody looked, from which nothing follows (law L9).
        (
            TaskPhase::Skipped
            | TaskPhase::Cancelled
            | TaskPhase::Pending
            | TaskPhase::Ready
            | TaskPhase::Claimed
            | TaskPhase::InProgress
            | TaskPhase::Verifying
            | TaskPhase::RepairRequired
            | TaskPhase::Blocked,
            _,
        ) => (Verdict::Unverifiable, format!("nobody looked: `{id}` is {}{}", known.phase, because())),
    };
    let checked =
        Checked::new(REVIEW, verdict, reason).fact("by", id.as_str()).fact("ended", known.phase.word());
    match worker.filter(|_| known.for_attempt > 0) {
        Some((name, worker)) => checked
            .fact("worker", name)
            .fact("answer", worker.report.as_ref().and_then(|report| report.outputs.get(ANSWER).cloned()))
            .fact("commit", worker.start.as_str()),
        None => checked,
    }
}

/// A review of a head that nobody could keep: there is nothing to look at.
#[must_use]
pub fn headless(by: &str) -> Checked {
    let reason = format!("the head couldn't be kept, so `{by}` can't look at it");
    Checked::new(REVIEW, Verdict::Unverifiable, reason).fact("by", by).fact("ended", "never started")
}

/// What a reviewer that completed has said, and whether it looked at what it was given.
fn answer(id: &str, worker: &WorkerState) -> (Verdict, String) {
    if let Some(why) = touched(id, worker) {
        return (Verdict::Unverifiable, why);
    }
    let Some(report) = &worker.report else {
        return (Verdict::Refuted, format!("`{id}` gave no verdict, and no report"));
    };
    let said = quoted(&report.summary);
    match report.outputs.get(ANSWER) {
        Some(answer) if answer == "pass" => (Verdict::Verified, format!("`{id}` says pass: {said}")),
        Some(answer) if answer == "fail" => (Verdict::Refuted, format!("`{id}` says fail: {said}")),
        Some(other) => {
            let other = quoted(&other.to_string());
            (Verdict::Refuted, format!("`{id}` answered {other}, which is neither pass nor fail"))
        }
        None => (Verdict::Refuted, format!("`{id}` gave no verdict: `outputs.{ANSWER}` is missing")),
    }
}

/// Why what it says needn't be about the head: what moves under a look can't be judged by it
/// (law E2). New files beside the tracked ones are nobody's trouble.
fn touched(id: &str, worker: &WorkerState) -> Option<String> {
    let Some(Some(kept)) = &worker.captured else {
        return Some(format!("nobody could see whether `{id}` left the head as it was"));
    };
    if kept.tip != worker.start {
        return Some(format!("`{id}` looked at another commit than the head: it ended at {}", kept.tip));
    }
    let more = kept.changed.len().saturating_sub(NAMED);
    let named = kept.changed.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    (!kept.changed.is_empty()).then(|| format!("`{id}` changed what it was given: {named}{more}"))
}

/// Somebody's words on one line, bounded and in quotes.
fn quoted(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let short: String = line.chars().take(QUOTED_MAX).collect();
    let cut = if short.len() < line.len() { "…" } else { "" };
    format!("\"{short}{cut}\"")
}
