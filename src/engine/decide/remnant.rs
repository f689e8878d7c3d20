//! What a new life found of the run's attempts, and the journal doesn't tell of.
//!
//! That happens when an older copy of the journal was put back. Whatever the lost rows
//! said, ordinals and tokens that were given out are never given out again (laws L2, L6),
//! and nothing is started beside what lives. It leaves out looking.

use super::{View, worker_event};
use crate::engine::event::{Event, WorkerStep};
use crate::engine::input::Remnant;

/// No assignment of an honest history names a token that much higher than the journal's last:
/// a file that does was forged, and believing it would use up the numbers.
const TOKEN_LEAP_MAX: u64 = 1 << 32;

/// One event for each remnant that is news.
pub(super) fn decide(view: View<'_>, remnants: &[Remnant]) -> Vec<Event> {
    remnants.iter().filter_map(|remnant| found(view, remnant)).collect()
}

fn found(view: View<'_>, remnant: &Remnant) -> Option<Event> {
    let id = &remnant.worker;
    let Some(worker) = view.state.workers.get(id) else {
        let (task, attempt) = id.rsplit_once('.')?;
        let task = view.state.task_index(task)?;
        // Of an ordinal that the journal has passed, nothing needs to be kept free.
        let newer = attempt.parse().is_ok_and(|attempt: u32| attempt > view.state.tasks[task].attempt);
        return newer.then(|| event(view, remnant));
    };
    if worker.at_large && !remnant.lives {
        let reason = "its session has ended".to_owned();
        return Some(worker_event(id, reason, WorkerStep::Departed));
    }
    let placed = worker.at_large && worker.session.is_none() && remnant.session.is_some();
    placed.then(|| event(view, remnant))
}

fn event(view: View<'_>, remnant: &Remnant) -> Event {
    let most = view.state.last_token.saturating_add(TOKEN_LEAP_MAX);
    let step = WorkerStep::Found {
        token: remnant.token.filter(|token| *token <= most),
        workspace: remnant.workspace.clone(),
        session: remnant.session.clone(),
        lives: remnant.lives,
    };
    let lives = match (&remnant.session, remnant.lives) {
        (Some(_), true) => "its session lives",
        (None, true) => "nobody could look whether it lives",
        (_, false) => "its session has ended",
    };
    worker_event(&remnant.worker, format!("unknown_to_journal: found by its mark; {lives}"), step)
}
