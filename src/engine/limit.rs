//! Rate limits: until when an agent's provider refuses work, and whom that keeps waiting.
//!
//! A limit is the provider's, so it holds for every task of the same agent; of a task that
//! runs no agent only that task waits. It is a moment on the run's line and part of the fold,
//! so a restart neither forgets nor prolongs it (law J8). It leaves out how a limit is
//! noticed: a worker's report says so.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::moment::Moment;
use super::state::RunState;
use crate::workflow::TaskKind;

/// The shortest wait, for the first refusal in a row.
const LEAST: Duration = Duration::from_secs(5);
/// How often that doubles where a provider refuses again and again: to five minutes and a third.
/// Whoever says "at once" each time would otherwise be started for ever without a pause.
const DOUBLINGS: u32 = 6;

/// Until when an agent is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limited {
    /// Not before this moment.
    pub until: Moment,
    /// `<task>.<attempt>`: the worker that said so.
    pub by: String,
}

/// The agent that a task runs, by the workflow's name for it.
fn agent(state: &RunState, task: usize) -> Option<&str> {
    match &state.planned(task).kind {
        TaskKind::Agent { agent, .. } => Some(agent),
        TaskKind::Run(_)
        | TaskKind::Argv(_)
        | TaskKind::Worker(_)
        | TaskKind::Reduce(_)
        | TaskKind::Approve(_)
        | TaskKind::Loop(_)
        | TaskKind::Map(_)
        | TaskKind::Tournament(_) => None,
    }
}

/// The end of the wait of a task whose worker was told to come back after `seconds`.
pub(super) fn until(state: &RunState, now: Moment, task: usize, seconds: u64) -> Moment {
    let least = LEAST * (1 << state.tasks[task].rate_limits.min(DOUBLINGS));
    now.after(Duration::from_secs(seconds).max(least))
}

/// Takes down what `worker` of `task` was refused.
pub(super) fn take(state: &mut RunState, (now, task): (Moment, usize), worker: String, until: Moment) {
    state.tasks[task].defer_until = Some(until);
    let Some(agent) = agent(state, task).map(str::to_owned) else { return };
    state.limited.retain(|_, limited| limited.until > now);
    let known = state.limited.entry(agent).or_insert(Limited { until, by: worker.clone() });
    // Two workers may be told different times: none starts before both.
    if until > known.until {
        *known = Limited { until, by: worker };
    }
}

/// Until when a task waits for its agent's provider, and what it waits for, as a noun.
pub(super) fn of(state: &RunState, task: usize) -> Option<(Moment, String)> {
    let limited = agent(state, task).and_then(|agent| Some((agent, state.limited.get(agent)?)));
    if let Some((agent, limited)) = limited {
        let reason = format!("the rate limit of the agent `{agent}`, which `{}` met", limited.by);
        return Some((limited.until, reason));
    }
    let known = &state.tasks[task];
    let own = known.defer_until.filter(|_| known.rate_limits > 0)?;
    Some((own, "the rate limit that its last worker met".to_owned()))
}
