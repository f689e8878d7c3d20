//! `loop`: the same body again from where the last one ended, until its conditions are met.
//!
//! Law D3. Each iteration is judged on the conditions together with its own evidence; a
//! condition that isn't met yet fails no iteration. It leaves out that judgement.

use super::{Next, Outcome, after, child, children, told};
use crate::engine::evidence::{Checked, Verdict};
use crate::engine::named::Named;
use crate::engine::state::RunState;
use crate::engine::task_table::TaskPhase;
use crate::workflow::Loop;

pub(super) fn next(state: &RunState, task: usize, body: &Loop) -> Next {
    let iterations = children(state, task, 'i');
    let count = u32::try_from(iterations.len()).unwrap_or(u32::MAX);
    let make = |from: Option<usize>| {
        let iteration = child(state, task, &body.each, ('i', count + 1));
        vec![match from {
            Some(from) => after(state, from, iteration),
            None => iteration,
        }]
    };
    let Some(&last) = iterations.last() else {
        return Next::Make(make(None), "the first iteration".to_owned());
    };
    let most = body.max.saturating_add(state.tasks[task].granted);
    match state.tasks[last].phase {
        TaskPhase::Completed => match unmet(state, last).first() {
            None => Next::Done(Outcome {
                child: Some(last),
                because: format!("iteration {count} of at most {most} met the condition"),
                facts: Named::default().with("iterations", count.into()),
            }),
            Some(why) if count < most => {
                Next::Make(make(Some(last)), format!("after iteration {count}: {}: {}", why.kind, why.reason))
            }
            Some(why) => Next::Failed(format!(
                "loop_cap: the condition isn't met after {count} of at most {most} iterations: {}: {}",
                why.kind, why.reason
            )),
        },
        TaskPhase::Pending
        | TaskPhase::Ready
        | TaskPhase::Claimed
        | TaskPhase::InProgress
        | TaskPhase::Verifying
        | TaskPhase::RepairRequired
        | TaskPhase::Blocked => Next::Wait,
        TaskPhase::Partial | TaskPhase::Failed | TaskPhase::Skipped | TaskPhase::Cancelled => {
            Next::Failed(format!("iteration_failed: {}", told(state, last)))
        }
    }
}

/// The conditions that the last attempt of an iteration didn't meet.
pub(in crate::engine) fn unmet(state: &RunState, iteration: usize) -> Vec<&Checked> {
    let required = state.planned(iteration).required();
    let conditions = state.tasks[iteration].evidence.iter().skip(required);
    conditions.filter(|checked| checked.verdict != Verdict::Verified).collect()
}
