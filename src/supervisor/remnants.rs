//! What is there of this run that its journal doesn't tell of.
//!
//! An older copy of a journal may have been put back: then trees, mail and sessions exist
//! of attempts that it never heard of. Their names are enough to keep ordinals and tokens
//! rising (laws L2, L6). It leaves out what follows: that is the engine's.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use ilchul_substrate::{Handle, State, Substrate};

use super::resume::Found;
use super::world::{World, place};
use crate::engine::input::Remnant;
use crate::engine::state::RunState;
use crate::mail;
use crate::protocol::{self, Assignment};
use crate::workflow::WorkspaceKind;

/// Everything of the run that isn't in `state`, and what is at large there; by worker.
pub(super) fn scan(world: &World, state: &RunState, found: &Found) -> Vec<Remnant> {
    let no_sessions = Vec::new();
    let sessions: BTreeMap<String, &Handle> =
        found.as_ref().unwrap_or(&no_sessions).iter().map(|(mark, handle)| (mark.worker(), handle)).collect();
    let mut names = names_on_disk(world, state);
    names.extend(sessions.keys().cloned());
    names.retain(|name| !state.workers.contains_key(name) && is_of_a_task(state, name));
    // Named by a look that failed before: now there may be an answer.
    names.extend(state.at_large.iter().cloned());
    if names.is_empty() {
        return Vec::new();
    }
    let trees: BTreeMap<String, Handle> = match &world.repository {
        Some(repository) => repository
            .discover(&world.run)
            .unwrap_or_default()
            .into_iter()
            .map(|(mark, handle)| (mark.worker(), handle))
            .collect(),
        None => BTreeMap::new(),
    };
    let remnant = |name: String| Remnant {
        token: token(&world.home.mail(&world.run, &name)),
        workspace: trees.get(&name).map(place),
        session: sessions.get(&name).map(|handle| place(handle)),
        lives: sessions.get(&name).map_or(found.is_err(), |session| may_live(world, session)),
        worker: name,
    };
    names.into_iter().map(remnant).collect()
}

/// The workers that have mail, files or branches, whoever wrote their rows.
fn names_on_disk(world: &World, state: &RunState) -> BTreeSet<String> {
    let run = world.home.run(&world.run);
    let prefix = format!("ilchul.{}.", world.run);
    let mut names = entries(&run.join("mail"));
    names.extend(entries(&run.join("scratch")));
    names.extend(
        entries(&run.join("trees")).iter().filter_map(|name| name.strip_prefix(&prefix)).map(str::to_owned),
    );
    // A tree that somebody removed leaves its branch, and git would refuse to make it again.
    let worktrees = state.workflow().tasks.iter().any(|task| task.workspace == WorkspaceKind::Worktree);
    for space in ["refs/heads/ilchul", "refs/ilchul"] {
        if let (Some(repository), true) = (&world.repository, worktrees) {
            let below = format!("{space}/{}/", world.run);
            names.extend(repository.references_below(&below).unwrap_or_default());
        }
    }
    names
}

fn entries(folder: &Path) -> BTreeSet<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return BTreeSet::new() };
    entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect()
}

fn is_of_a_task(state: &RunState, name: &str) -> bool {
    let parts = name.rsplit_once('.');
    parts.is_some_and(|(task, attempt)| state.task_index(task).is_some() && attempt.parse::<u32>().is_ok())
}

/// The token under which it was given its work, if it was.
fn token(folder: &Path) -> Option<u64> {
    let bytes = mail::read_bounded(folder, protocol::ASSIGNMENT).ok()??;
    protocol::parse::<Assignment>(&bytes).ok().map(|assignment| assignment.token)
}

/// Whether a session lives, or can't be told not to (law L9).
fn may_live(world: &World, session: &Handle) -> bool {
    let observed = world.sessions.observe(std::slice::from_ref(session));
    match observed.first().map(|seen| &seen.state) {
        Some(State::Ended(_) | State::Absent) => false,
        Some(State::Live(_) | State::Queued(_) | State::Stuck(_) | State::Unknown(_)) | None => true,
    }
}
