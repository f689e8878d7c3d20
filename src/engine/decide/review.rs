//! What follows from reviews: a verdict is taken, asked for anew, or no longer waited for.
//!
//! It leaves out who is asked and what an answer says (`engine/review.rs`).

use super::{View, request, task_event};
use crate::engine::event::{Event, EvidenceEvent, TaskStep};
use crate::engine::evidence::Checked;
use crate::engine::review;
use crate::engine::task_table::TaskPhase;

/// The next step of the reviews that a verifying task waits for; nothing while they go on.
pub(super) fn answers(view: View<'_>, task: usize) -> Vec<Event> {
    let state = view.state;
    let (id, attempt) = (&state.planned(task).id, state.tasks[task].attempt);
    let answer = |item: usize, checked: Checked| {
        vec![Event::Evidence(EvidenceEvent { task: id.clone(), attempt, item, checked })]
    };
    for (item, by) in review::open(state, task) {
        if review::head(state, task).is_none() {
            return answer(item, review::headless(by));
        }
        let Some(reviewer) = state.task_index(by) else { continue };
        let known = &state.tasks[reviewer];
        let stale = known.for_attempt != attempt;
        match known.phase {
            // What it found out is about an older attempt (law E5). Its attempts are granted anew
            // with each of the task's, which are bounded; `limits.attempts` counts them all.
            TaskPhase::Completed | TaskPhase::Partial | TaskPhase::Failed if stale => {
                return again(
                    view,
                    reviewer,
                    &format!("replanned: attempt {attempt} of `{id}` is to be reviewed"),
                );
            }
            TaskPhase::Completed
            | TaskPhase::Partial
            | TaskPhase::Failed
            | TaskPhase::Skipped
            | TaskPhase::Cancelled => return answer(item, review::judge(state, reviewer)),
            TaskPhase::Pending
            | TaskPhase::Ready
            | TaskPhase::Claimed
            | TaskPhase::InProgress
            | TaskPhase::Verifying
            | TaskPhase::RepairRequired
            | TaskPhase::Blocked => {}
        }
    }
    Vec::new()
}

/// A reviewer whose head nobody waits for any more ends its work, and waits for the next head.
pub(super) fn no_longer_awaited(view: View<'_>) -> Vec<Event> {
    let state = view.state;
    let idle = state.reviewing.iter().find(|reviewer| !review::is_awaited(state, **reviewer));
    let Some(&reviewer) = idle else { return Vec::new() };
    let reviewed = state.reviews.get(&reviewer).map_or("", |reviewed| state.planned(*reviewed).id.as_str());
    again(view, reviewer, &format!("replanned: `{reviewed}` doesn't wait for it any more"))
}

fn again(view: View<'_>, reviewer: usize, reason: &str) -> Vec<Event> {
    let mut events = request::take_back(view, reviewer, reason);
    events.push(task_event(view, reviewer, TaskStep::Replanned, reason));
    events
}
