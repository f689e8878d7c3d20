//! `ilchul status --line`: the run in a few words, for a status line or a prompt.
//!
//! Asked every few seconds in whatever folder somebody is in, so it prints nothing where there
//! is no repository, no run, or any trouble, and always ends well. It leaves out colour.

use super::Global;
use super::exit_code::Exit;
use super::output::Output;
use super::read::{OfRun, Read};
use crate::engine::state::RunPhase;
use crate::engine::task_table::TaskPhase;
use crate::engine::view::{RunView, TaskView};

/// Runs it.
pub fn run(global: &Global, of: &OfRun, output: Output) -> Exit {
    let line = Read::open(global, of).ok().map(|read| text(&read.view, read.held));
    if output.json || line.is_some() {
        output.result(
            || serde_json::json!({ "line": line }),
            || format!("{}\n", line.as_deref().unwrap_or_default()),
        );
    }
    Exit::Done
}

/// A few words: how far, what runs, who waits for you.
fn text(view: &RunView, held: bool) -> String {
    let tasks: Vec<&TaskView> = view.tasks.iter().filter(|task| !task.removed).collect();
    let count = |fits: fn(&TaskView) -> bool| tasks.iter().filter(|task| fits(task)).count();
    let ended = count(|task| task.phase.is_terminal());
    let mut parts = vec![format!("{ended}/{} done", tasks.len())];
    let mut more = |count: usize, what: &str| {
        if count > 0 {
            parts.push(format!("{count} {what}"));
        }
    };
    let waits = |task: &TaskView| task.asks.is_some() || task.phase == TaskPhase::Blocked;
    more(
        count(|task| {
            matches!(task.phase, TaskPhase::Claimed | TaskPhase::InProgress | TaskPhase::Verifying)
                && task.asks.is_none()
        }),
        "running",
    );
    more(tasks.iter().filter(|task| waits(task)).count(), "for you");
    more(count(|task| task.phase == TaskPhase::Failed), "failed");
    match (&view.phase, held) {
        (RunPhase::Ended { success: true }, _) => parts.push("ok".to_owned()),
        (RunPhase::Ended { success: false }, _) => parts.push("ended".to_owned()),
        (_, true) => {}
        (_, false) => parts.push("paused".to_owned()),
    }
    crate::render::clean(&format!("{}: {}", view.workflow, parts.join(", ")))
}
