//! What is left of workers whose work is over, and is there no more: looked at once per life.
//!
//! A terminal or a worktree that somebody removed fails nothing (law R3); that it is gone is
//! journaled where it is news. It leaves out how to have a tree back, which is derived when
//! it is shown (`close.rs`).

use ilchul_substrate::{Handle, State, Substrate};

use super::resume::Found;
use super::run::Supervisor;
use super::world::handle;
use crate::engine::input::Seen;
use crate::engine::state::WorkerState;
use crate::engine::worker_table::WorkerPhase;

impl Supervisor {
    /// Looks for what the journal says is kept.
    pub(super) fn see_vanished(&mut self, found: &Found) {
        // Without a list of what is there each one would have to be asked for.
        let Ok(there) = found else { return };
        let there: std::collections::BTreeSet<String> = there.iter().map(|(mark, _)| mark.worker()).collect();
        let state = self.engine.state();
        let missed = state.workers.iter().filter(|(id, worker)| is_kept(worker) && !there.contains(*id));
        let missed: Vec<(String, Handle)> =
            missed.filter_map(|(id, worker)| Some((id.clone(), self.session(id, worker)?))).collect();
        let handles: Vec<Handle> = missed.iter().map(|(_, session)| session.clone()).collect();
        let observed = self.world.sessions.observe(&handles);
        let terminal = self.world.sessions.capabilities().attach;
        for ((id, _), observation) in missed.into_iter().zip(observed) {
            let session = match observation.state {
                State::Absent => true,
                // A process group leaves no terminal: an ended one has nothing left to be seen.
                State::Ended(_) => !terminal,
                State::Live(_) | State::Queued(_) | State::Stuck(_) | State::Unknown(_) => false,
            };
            let Some(worker) = self.engine.state().workers.get(&id) else { continue };
            let cleaned = worker.phase == WorkerPhase::CleanupReleased;
            let tree = cleaned && session && self.tree_is_gone(&id, worker);
            // Of a kept one without a terminal the end is no news.
            if session && (terminal || tree) {
                self.see(&id, Seen::Vanished { session, tree });
            }
        }
    }

    fn session(&self, id: &str, worker: &WorkerState) -> Option<Handle> {
        Some(handle(self.world.mark(id).ok()?, worker.session.as_ref()?))
    }

    fn tree_is_gone(&self, id: &str, worker: &WorkerState) -> bool {
        let (Some(place), Some(repository)) = (&worker.workspace, &self.world.repository) else {
            return std::fs::symlink_metadata(self.world.home.scratch(&self.world.run, id))
                .is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound);
        };
        let Ok(mark) = self.world.mark(id) else { return false };
        let observed = repository.observe(&[handle(mark, place)]);
        matches!(observed.first().map(|seen| &seen.state), Some(State::Absent))
    }
}

fn is_kept(worker: &WorkerState) -> bool {
    match worker.phase {
        WorkerPhase::CompletedRetained | WorkerPhase::SafeToClose | WorkerPhase::CleanupReleased => true,
        WorkerPhase::Provisioning
        | WorkerPhase::Ready
        | WorkerPhase::Busy
        | WorkerPhase::Unhealthy
        | WorkerPhase::StaleRegistry
        | WorkerPhase::Closed => false,
    }
}
