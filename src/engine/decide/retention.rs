//! What becomes of workers whose work is over: kept, called safe to close, closed.
//!
//! Nothing here removes anything: a worker that is closed is one of which a person was told
//! what may be removed. It leaves out the verdict on what was seen (`engine/close.rs`).

use super::request::worker;
use super::{Rejection, View, moved, worker_event};
use crate::engine::event::{Event, PlainMove, WorkerStep};
use crate::engine::state::WorkerState;
use crate::engine::worker_table::WorkerPhase;

/// The code of a worker's reason once its session was seen to be gone.
const SESSION_GONE: &str = "session_gone";

pub(super) fn release(view: View<'_>, id: &str, observations: &[String]) -> Result<Vec<Event>, Rejection> {
    let worker = worker(view, id)?;
    match worker.phase {
        WorkerPhase::CompletedRetained => {
            let step = WorkerStep::Released { observations: observations.to_vec() };
            Ok(vec![worker_event(id, "released by a person".to_owned(), step)])
        }
        WorkerPhase::SafeToClose => Ok(Vec::new()),
        phase @ (WorkerPhase::Provisioning
        | WorkerPhase::Ready
        | WorkerPhase::Busy
        | WorkerPhase::Unhealthy
        | WorkerPhase::StaleRegistry
        | WorkerPhase::CleanupReleased
        | WorkerPhase::Closed) => {
            let message = format!("`{id}` is {phase}: only a completed-retained worker can be released");
            Err(Rejection { code: "not_releasable", message })
        }
    }
}

pub(super) fn retain(view: View<'_>, id: &str) -> Result<Vec<Event>, Rejection> {
    let worker = worker(view, id)?;
    match worker.phase {
        WorkerPhase::SafeToClose => Ok(vec![moved(id, PlainMove::Unreleased, "retained by a person")]),
        WorkerPhase::CompletedRetained => Ok(Vec::new()),
        phase @ (WorkerPhase::Provisioning
        | WorkerPhase::Ready
        | WorkerPhase::Busy
        | WorkerPhase::Unhealthy
        | WorkerPhase::StaleRegistry
        | WorkerPhase::CleanupReleased
        | WorkerPhase::Closed) => {
            let message = format!("`{id}` is {phase}: only a safe-to-close worker can be retained again");
            Err(Rejection { code: "not_retainable", message })
        }
    }
}

/// A mark that no longer holds is taken back, with what was seen (law R4a).
pub(super) fn withdraw(view: View<'_>, id: &str, reasons: &[String]) -> Result<Vec<Event>, Rejection> {
    // Anything else has no mark to lose: it was taken back meanwhile, or never given.
    let marked = worker(view, id)?.phase == WorkerPhase::SafeToClose;
    let event = || moved(id, PlainMove::Unreleased, format!("not_safe: {}", reasons.join("; ")));
    Ok(marked.then(event).into_iter().collect())
}

pub(super) fn clean_up(
    view: View<'_>,
    id: &str,
    by: &str,
    observations: &[String],
) -> Result<Vec<Event>, Rejection> {
    match worker(view, id)?.phase {
        WorkerPhase::SafeToClose => {
            let reason = format!("cleaned_up: by {by}: {}", observations.join("; "));
            Ok(vec![moved(id, PlainMove::CleanedUp, reason)])
        }
        WorkerPhase::CleanupReleased => Ok(Vec::new()),
        phase @ (WorkerPhase::Provisioning
        | WorkerPhase::Ready
        | WorkerPhase::Busy
        | WorkerPhase::Unhealthy
        | WorkerPhase::CompletedRetained
        | WorkerPhase::StaleRegistry
        | WorkerPhase::Closed) => {
            let message = format!("`{id}` is {phase}: only a safe-to-close worker can be cleaned up");
            Err(Rejection { code: "not_cleanable", message })
        }
    }
}

/// What is left of it is gone: told once, and no reason for anything else to fail (law R3).
pub(super) fn vanished(id: &str, worker: &WorkerState, session: bool, tree: bool) -> Vec<Event> {
    match worker.phase {
        WorkerPhase::CompletedRetained | WorkerPhase::SafeToClose => {
            let news = session && !worker.reason.starts_with(SESSION_GONE);
            let reason = format!("{SESSION_GONE}: its session is gone, its worktree counts");
            news.then(|| moved(id, PlainMove::SessionGone, reason)).into_iter().collect()
        }
        WorkerPhase::CleanupReleased | WorkerPhase::StaleRegistry => {
            let gone = session && tree && !worker.at_large;
            let event = || moved(id, PlainMove::SeenAbsent, "closed: its session and its worktree are gone");
            gone.then(event).into_iter().collect()
        }
        // A live worker whose session is gone is told of by a probe; a closed one is done with.
        WorkerPhase::Provisioning
        | WorkerPhase::Ready
        | WorkerPhase::Busy
        | WorkerPhase::Unhealthy
        | WorkerPhase::Closed => Vec::new(),
    }
}
