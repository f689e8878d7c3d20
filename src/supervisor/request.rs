//! What a worker's session asks of a cluster: the task's words, and the workflow's for the rest.
//!
//! It leaves out what a cluster makes of it, and everything where no cluster hosts the run.

use std::ffi::OsString;
use std::time::Duration;

use ilchul_substrate::Request;

use super::world::World;
use crate::engine::state::RunState;
use crate::engine::timer::CHECKOUT;
use crate::workflow::{SessionKind, Task, Workflow, WorkspaceKind};

/// Beyond the task's own time: readiness, the last words, what Slurm counts in minutes.
const SPARE: Duration = Duration::from_secs(5 * 60);

/// What the session of an attempt of `task` asks for.
pub(super) fn of(state: &RunState, task: &Task) -> Request {
    if state.started.session == SessionKind::Slurm {
        of_task(state.workflow(), task)
    } else {
        Request::default()
    }
}

/// The same before there is a run.
#[must_use]
pub fn of_task(workflow: &Workflow, task: &Task) -> Request {
    let asked = task.slurm.or(&workflow.slurm);
    let has_tree = task.workspace == WorkspaceKind::Worktree;
    let setup = workflow.setup.as_ref().filter(|_| has_tree).map_or(Duration::ZERO, |setup| setup.timeout);
    // The node fills the tree first, and may take as long as it is allowed to.
    let checkout = if has_tree { CHECKOUT } else { Duration::ZERO };
    let usual = [task.timeout, setup, checkout].into_iter().fold(SPARE, Duration::saturating_add);
    Request {
        options: asked.options(),
        setup: asked.setup.clone(),
        env_file: asked.env_file.as_ref().map(Into::into),
        wall: Some(asked.time.unwrap_or(usual)),
    }
}

/// The variables of ours that the session of `task` was said to have.
pub(super) fn exported(world: &World, state: &RunState, task: &Task) -> Vec<(OsString, OsString)> {
    if state.started.session != SessionKind::Slurm {
        return Vec::new();
    }
    let asked = task.slurm.or(&state.workflow().slurm);
    asked.export.iter().filter_map(|name| world.inherited.own(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workflow;

    fn wall(task: &str) -> Option<Duration> {
        let text = format!("version: 1\nsetup: {{ run: [x], timeout: 2m }}\ntasks: {{ a: {task} }}\n");
        let workflow = workflow::load("x.yaml", text.as_bytes()).unwrap().workflow;
        of_task(&workflow, &workflow.tasks[0]).wall
    }

    #[test]
    fn a_job_outlasts_its_task_unless_somebody_says_how_long_it_may_take() {
        assert_eq!(wall("{ run: x, timeout: 10m }"), Some(Duration::from_secs(32 * 60)));
        assert_eq!(wall("{ run: x, timeout: 10m, workspace: none }"), Some(Duration::from_secs(15 * 60)));
        assert_eq!(wall("{ run: x, slurm: { time: 8m } }"), Some(Duration::from_secs(8 * 60)));
    }
}
