//! What a judge looks at: both heads, each in a detached worktree of its own.
//!
//! A judge may do what it likes in its own tree, but a change of what it compares refutes the
//! match (law D5). They are found again by a mark of their own, under `<run>-left` and
//! `<run>-right`, so that nobody takes them for workers. It leaves out who meets whom.

use std::path::PathBuf;

use ilchul_git_worktree::{Filling, GitWorktree, WorktreeSpec};
use ilchul_substrate::{ErrorKind, Mark, Substrate};

use super::launch::{Failure, words};
use super::verify::{refuted, unverifiable, verified};
use super::world::World;
use crate::engine::evidence::Checked;
use crate::engine::state::RunState;
use crate::home::Home;

/// The kind of the item that is checked here.
const KIND: &str = "views";

/// One of the two heads.
#[derive(Debug, Clone)]
pub struct View {
    /// `left` or `right`.
    pub side: &'static str,
    /// The entrant.
    pub task: String,
    /// Its head.
    pub commit: String,
    /// Where it is, or will be.
    pub path: PathBuf,
    mark: Mark,
}

/// What the worker `id` of a judge compares; empty for any other task, and where the entrants
/// left no commits.
#[must_use]
pub fn of(home: &Home, state: &RunState, id: &str) -> Vec<View> {
    let Some(worker) = state.workers.get(id) else { return Vec::new() };
    let Some((left, right)) = &state.planned(worker.task).judges else { return Vec::new() };
    let judge = &state.planned(worker.task).id;
    let view = |(side, task): (&'static str, &String)| {
        let commit = state.tasks[state.task_index(task)?].head.clone()?;
        let run = format!("{}-{side}", state.started.run);
        let mark = Mark::new(&run, judge, worker.attempt).ok()?;
        let path = home.tree(&state.started.run, id).with_file_name(mark.to_string());
        Some(View { side, task: task.clone(), commit, path, mark })
    };
    // Both or none: a comparison needs two.
    [("left", left), ("right", right)].into_iter().map(view).collect::<Option<_>>().unwrap_or_default()
}

/// Makes them, locked from birth like any other worktree.
///
/// # Errors
/// The step of the launch that failed.
pub fn make(world: &World, views: &[View]) -> Result<(), Failure> {
    let Some(repository) = &world.repository else { return Ok(()) };
    for view in views {
        let spec = WorktreeSpec {
            path: view.path.clone(),
            branch: None,
            base: view.commit.clone(),
            reason: format!("ilchul: run {}, the head of {}", world.run, view.task),
            filling: Filling::AtOnce,
        };
        repository.ensure(&view.mark, &spec).map_err(|error| {
            let host = error.kind() == ErrorKind::Unavailable;
            ("view", words(&error), host)
        })?;
    }
    Ok(())
}

/// Whether both are as they were made.
#[must_use]
pub fn check(views: &[View], repository: Option<&GitWorktree>) -> Checked {
    let Some(repository) = repository else {
        return unverifiable(KIND, "there is no repository to look at");
    };
    if views.is_empty() {
        return unverifiable(KIND, "the entrants left no commits to compare");
    }
    for view in views {
        match changed(repository, view) {
            Ok(None) => {}
            Ok(Some(how)) => {
                return refuted(KIND, format!("the judge changed the {} tree: {how}", view.side));
            }
            Err(trouble) => return unverifiable(KIND, trouble),
        }
    }
    let compared = views.iter().map(|view| format!("{} {}", view.side, view.commit)).collect::<Vec<_>>();
    verified(KIND, "both trees are as they were made").fact("compared", compared.join(", "))
}

/// How a view differs from what was made, or why nobody can know.
fn changed(repository: &GitWorktree, view: &View) -> Result<Option<String>, String> {
    let found = repository.discover(view.mark.run()).map_err(|error| words(&error))?;
    let Some((_, handle)) = found.into_iter().find(|(mark, _)| *mark == view.mark) else {
        return Ok(Some("its worktree is gone".to_owned()));
    };
    let head = repository.head(&handle).map_err(|error| words(&error))?;
    if head.commit != view.commit {
        return Ok(Some(format!("it stands at {}, and was made at {}", head.commit, view.commit)));
    }
    if !head.gitfile_intact {
        return Ok(Some("its `.git` file isn't the one that git wrote".to_owned()));
    }
    let paths = repository.uncommitted(&view.path).map_err(|error| words(&error))?;
    Ok(paths.first().map(|first| match paths.len() {
        1 => format!("`{first}`"),
        count => format!("`{first}` and {} more", count - 1),
    }))
}
