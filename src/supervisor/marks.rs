//! Looking again at workers that were called safe to close: a mark that no longer holds is
//! taken back (law R4a).
//!
//! Once when a life begins and then seldom, a few workers at a time, on a thread of its own.
//! What counts is what came since: a live process, or a change that no snapshot has. It leaves
//! out the whole verdict, which `release` and `cleanup` ask for, and every look that failed.

use std::path::PathBuf;
use std::sync::Arc;

use ilchul_git_worktree::GitWorktree;
use ilchul_subprocess::process::Identity;
use ilchul_substrate::{Handle, State, Substrate};

use super::close::{reference, root};
use super::living::Living;
use super::run::{Message, Supervisor};
use super::world::handle;
use crate::engine::event::Snapshot;
use crate::engine::input::{Input, Request};
use crate::engine::state::RunState;
use crate::engine::worker_table::WorkerPhase;

/// Looks of the loop between two of these: a minute, where heartbeats are usual.
const LOOKS: u32 = 60;
/// Workers that one look takes in; the next takes those after them.
const ONCE: usize = 8;
/// Names that a reason gives.
const NAMES: usize = 3;

/// When marked workers are looked at again.
#[derive(Debug, Default)]
pub(super) struct Marks {
    looks_left: u32,
    looking: bool,
    /// The last one that was looked at.
    after: String,
}

/// One marked worker.
struct Marked {
    id: String,
    folder: PathBuf,
    session: Option<Identity>,
    tree: Option<(Arc<GitWorktree>, Handle, Option<Snapshot>)>,
}

impl Supervisor {
    /// Looks at the next few marked workers, if it is time.
    pub(super) fn probe_marks(&mut self) {
        self.marks.looks_left = self.marks.looks_left.saturating_sub(1);
        if self.marks.looks_left > 0 || self.marks.looking {
            return;
        }
        self.marks.looks_left = LOOKS;
        let marked = self.marked();
        let Some(last) = marked.last() else { return };
        self.marks.after = last.id.clone();
        self.marks.looking = true;
        let (run, sender) = (self.world.run.clone(), self.sender.clone());
        tokio::task::spawn_blocking(move || {
            let living = Living::look(&run).ok();
            let look = |marked: &Marked| Some((marked.id.clone(), marked.against(&run, living.as_ref())));
            let found = marked.iter().filter_map(look).filter(|(_, reasons)| !reasons.is_empty()).collect();
            let _ = sender.send(Message::Marked(found));
        });
    }

    /// What a look found against marks: each is taken back with the reason.
    pub(super) fn marks_probed(&mut self, found: Vec<(String, Vec<String>)>) {
        self.marks.looking = false;
        for (worker, reasons) in found {
            self.handle(&Input::Request(Request::Withdraw { worker, reasons }));
        }
    }

    /// The next few, by id; from the first again after the last.
    fn marked(&self) -> Vec<Marked> {
        let state = self.engine.state();
        let is_marked = |id: &&String| state.workers[*id].phase == WorkerPhase::SafeToClose;
        let ids: Vec<&String> = state.workers.keys().filter(is_marked).collect();
        let first = ids.partition_point(|id| **id <= self.marks.after);
        let rest = ids.iter().skip(first).chain(ids.iter().take(first));
        rest.take(ONCE).filter_map(|id| self.one_marked(state, id)).collect()
    }

    fn one_marked(&self, state: &RunState, id: &str) -> Option<Marked> {
        let worker = state.workers.get(id)?;
        let place = worker.workspace.as_ref().zip(self.world.repository.clone());
        let tree = match place {
            Some((place, repository)) => Some((
                repository,
                handle(self.world.mark(id).ok()?, place),
                worker.captured.clone().flatten(),
            )),
            None => None,
        };
        let folder = self.world.tree(id, worker.workspace.is_some());
        let session = worker.session.as_ref().and_then(root);
        Some(Marked { id: id.to_owned(), folder, session, tree })
    }
}

impl Marked {
    /// What speaks against the mark; nothing, where nobody could look.
    fn against(&self, run: &str, living: Option<&Living>) -> Vec<String> {
        let alive = living.and_then(|living| living.of(&self.id, Some(&self.folder), self.session).ok());
        let mut reasons: Vec<String> =
            alive.unwrap_or_default().into_iter().map(|process| format!("{process} lives")).collect();
        reasons.extend(self.changed(run));
        reasons
    }

    fn changed(&self, run: &str) -> Option<String> {
        let (repository, tree, snapshot) = self.tree.as_ref()?;
        let observed = repository.observe(std::slice::from_ref(tree));
        if !matches!(observed.first()?.state, State::Live(_)) {
            return None;
        }
        let kept = repository.reference(&reference(run, &self.id)).ok()??;
        let since = repository.holding(tree, Some(&kept)).ok()?.since?;
        if !since.is_empty() {
            let names: Vec<&str> = since.iter().take(NAMES).map(String::as_str).collect();
            let more = since.len().saturating_sub(NAMES);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            return Some(format!("changed since its snapshot: {}{more}", names.join(", ")));
        }
        // The same files, committed since: the commit itself may be held nowhere else.
        let head = repository.head(tree).ok()?.commit;
        let known = snapshot.as_ref().is_none_or(|snapshot| snapshot.tip == head || kept == head);
        let held = known || repository.descends(&kept, &head).unwrap_or(true);
        (!held).then(|| format!("its `HEAD` is at {} now, which its snapshot doesn't hold", short(&head)))
    }
}

fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}
