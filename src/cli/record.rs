//! The record of a run as `up` prints it at the end, and what to do next.

use super::output::{self, Output};
use super::place::Place;
use crate::engine::state::RunState;
use crate::engine::task_table::TaskPhase;
use crate::engine::view::{RunView, TaskView};
use crate::engine::worker_table::WorkerPhase;
use crate::render::{control, words};
use crate::supervisor::close;

/// Prints the record on stdout.
pub fn print(state: RunState, output: Output) {
    let view = RunView::from_state(state);
    output.result(|| crate::render::json::status(&view, false, &Default::default()), || text(&view, output));
}

fn text(view: &RunView, output: Output) -> String {
    let count = |phase: TaskPhase| view.tasks.iter().filter(|task| task.phase == phase).count();
    let counts: Vec<String> = TaskPhase::ALL
        .into_iter()
        .filter(|phase| count(*phase) > 0)
        .map(|phase| format!("{} {phase}", count(phase)))
        .collect();
    let mut text = crate::render::status::tasks(view, output.color, output::width());
    text.push_str(&format!("\nRun {}: {}.\n", view.id, counts.join(", ")));
    let trees = view.workers.iter().filter(|worker| worker.workspace.is_some()).count();
    if trees > 0 {
        let (noun, verb) = if trees == 1 { ("worktree", "is") } else { ("worktrees", "are") };
        text.push_str(&format!(
            "{trees} {noun} {verb} kept: see `ilchul workers`. Evidence: `ilchul evidence TASK`.\n"
        ));
    }
    let failed = |task: &&TaskView| {
        task.phase == TaskPhase::Failed && !task.removed && !control::is_made_good(view, task)
    };
    if let Some(failed) = view.tasks.iter().find(failed) {
        let id = &failed.id;
        let logs = if control::is_control(failed) { String::new() } else { format!("`ilchul logs {id}`, ") };
        text.push_str(&format!("Next: `ilchul why {id}`, {logs}or `ilchul retry {id}` and `ilchul up`.\n"));
    }
    text
}

/// What is said after Ctrl-C and `down`.
#[must_use]
pub fn interrupted(state: &RunState, reason: &str, live: usize) -> String {
    let run = &state.started.run;
    let (noun, verb) = if live == 1 { ("worker", "goes") } else { ("workers", "go") };
    let workers = if live == 0 {
        "No worker is live.".to_owned()
    } else {
        format!("{live} {noun} {verb} on without a supervisor.")
    };
    format!(
        "Interrupted ({reason}): the run {run}. {workers} Run `{}` to go on, or `ilchul down` to end the workers.",
        words::up(&state.started.path)
    )
}

/// What is said where only a person can go on, and nobody attends.
#[must_use]
pub fn unattended(state: &RunState) -> String {
    let waiting: Vec<String> =
        state.moving.iter().map(|&task| format!("`{}`", state.planned(task).id)).collect();
    let first = state.moving.first().map_or("TASK", |&task| state.planned(task).id.as_str());
    format!(
        "Only a person can go on with {}, and nobody attends. Look with `ilchul why {first}`, act, then run `{}`.",
        words::list(&waiting),
        words::up(&state.started.path)
    )
}

/// Tells of worktrees that are gone, and how to have them back; nothing fails for it.
pub fn vanished(place: &Place, state: &RunState) {
    for (id, worker) in &state.workers {
        if matches!(worker.phase, WorkerPhase::CleanupReleased | WorkerPhase::Closed) {
            continue;
        }
        let snapshot = worker.captured.as_ref().and_then(Option::as_ref);
        let of = (id.as_str(), worker.workspace.as_ref(), snapshot);
        if let Some(commands) = close::vanished(&place.repository, &state.started.run, of) {
            output::talk(crate::render::restore(id, &commands).trim_end());
        }
    }
}
