//! What a look round the workers leads to: it is told, and nothing else follows from it.
//!
//! It leaves out when it is looked, which is the supervisor's to choose.

use super::View;
use crate::engine::event::{Drift, Drifted, Event, RunEvent};

/// One event for what changed while somebody was at work. What can't be looked at is told once
/// for each of them.
pub(super) fn looked(view: View<'_>, workers: &[String], drift: &Drift) -> Vec<Event> {
    let known = |id: &&String| view.state.workers.contains_key(*id);
    let workers: Vec<String> = workers.iter().filter(known).cloned().collect();
    let told = |id: &String| {
        let drift = view.state.workers[id].drift.as_ref();
        drift.is_some_and(|drift| drift.unseen.is_some())
    };
    let news = !drift.changes.is_empty() || (drift.unseen.is_some() && !workers.iter().all(told));
    if workers.is_empty() || !news {
        // Nobody was at work: what changed is the user's own affair.
        return Vec::new();
    }
    vec![Event::Run(RunEvent::Drifted(Box::new(Drifted { workers, drift: drift.clone() })))]
}
