//! `map`: a body for each element of a list that an earlier task answered.
//!
//! The list is read once, when the children are made, all in one event. It leaves out how an
//! element reaches a worker.

use serde_json::Value;

use super::{Next, Outcome, child, children, first_failed};
use crate::engine::named::Named;
use crate::engine::state::RunState;
use crate::engine::task_table::TaskPhase;
use crate::workflow::{Map, Task};

/// Bytes of one element as JSON: a variable of its child's environment has to hold it.
const ELEMENT_MAX: usize = 64 * 1024;

pub(super) fn next(state: &RunState, task: usize, map: &Map) -> Next {
    let made = children(state, task, 'm');
    if made.is_empty() {
        return first(state, task, map);
    }
    if let Some(why) = first_failed(state, &made, true) {
        return Next::Failed(format!("element_failed: {why}"));
    }
    if let Some(why) = first_failed(state, &made, false) {
        return Next::Partial(format!("element_partial: {why}"));
    }
    Next::Done(outcome(format!("all {} elements are completed", made.len()), made.len()))
}

fn first(state: &RunState, task: usize, map: &Map) -> Next {
    let from = format!("`{}.outputs.{}`", map.task, map.output);
    let found = state.task_index(&map.task).and_then(|source| state.tasks[source].outputs.get(&map.output));
    let elements = match found {
        Some(Value::Array(elements)) => elements,
        Some(_) => return Next::Failed(format!("not_a_list: {from} is no list")),
        None => return Next::Failed(format!("not_a_list: there is no {from}")),
    };
    let most = usize::try_from(map.max).unwrap_or(usize::MAX);
    if elements.len() > most {
        let count = elements.len();
        return Next::Failed(format!("map_cap: {from} has {count} elements, at most {most} are allowed"));
    }
    let too_large = elements.iter().position(|element| element.to_string().len() > ELEMENT_MAX);
    if let Some(index) = too_large {
        return Next::Failed(format!("map_cap: element {} of {from} is over {ELEMENT_MAX} bytes", index + 1));
    }
    if elements.is_empty() {
        return Next::Done(outcome(format!("{from} is empty"), 0));
    }
    let make = |(k, element): (u32, &Value)| Task {
        item: Some(element.clone()),
        ..child(state, task, &map.each, ('m', k))
    };
    let tasks = (1..).zip(elements).map(make).collect();
    Next::Make(tasks, format!("{} elements of {from}", elements.len()))
}

fn outcome(because: String, count: usize) -> Outcome {
    Outcome { child: None, because, facts: Named::default().with("elements", count.into()) }
}

/// What the children answered, in their order; null for one without a result.
pub(in crate::engine) fn outputs(state: &RunState, task: usize) -> Value {
    let answered = |child: usize| match state.tasks[child].phase {
        TaskPhase::Completed | TaskPhase::Partial => Value::Object(state.tasks[child].outputs.clone()),
        TaskPhase::Pending
        | TaskPhase::Ready
        | TaskPhase::Claimed
        | TaskPhase::InProgress
        | TaskPhase::Verifying
        | TaskPhase::RepairRequired
        | TaskPhase::Blocked
        | TaskPhase::Failed
        | TaskPhase::Skipped
        | TaskPhase::Cancelled => Value::Null,
    };
    children(state, task, 'm').into_iter().map(answered).collect()
}
