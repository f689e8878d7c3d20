//! The record of a run as `up` prints it at the end, and what to do next.

use super::output::{self, Output};
use super::place::Place;
use crate::engine::state::{RunPhase, RunState};
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
    let mut text = crate::render::status::tasks(view, output.color, output::width());
    text.push_str(&format!("\n{}\n", ended(view)));
    let next = next(view);
    if !next.is_empty() {
        let widest = next.iter().map(|(typed, _)| typed.len()).max().unwrap_or(0);
        text.push_str("Next:\n");
        // A line each, so that none of them is broken where a terminal is narrow.
        text.extend(next.iter().map(|(typed, what)| format!("  {typed:widest$}  {what}\n")));
    }
    text
}

/// How it ended, after how long, and what became of its tasks.
fn ended(view: &RunView) -> String {
    let (run, tally) = (&view.id, words::tally(view));
    match (view.phase, view.ended_at) {
        (RunPhase::Ended { success }, Some(ended)) => {
            let how = if success { "with success" } else { "without success" };
            let took = words::span(ended.wall_ms.saturating_sub(view.started_at.wall_ms));
            format!("The run {run} has ended {how} after {took}: {tally}.")
        }
        (RunPhase::Ended { .. } | RunPhase::Running | RunPhase::Interrupted, _) => {
            format!("The run {run} isn't over: {tally}.")
        }
    }
}

/// What a person may want to type now, and what for.
fn next(view: &RunView) -> Vec<(String, String)> {
    let failed = |task: &&TaskView| {
        task.phase == TaskPhase::Failed && !task.removed && !control::is_made_good(view, task)
    };
    let mut next = Vec::new();
    let mut failed = view.tasks.iter().filter(failed);
    if let Some(task) = failed.next() {
        let (id, up) = (&task.id, words::up(&view.path));
        let more = match failed.count() {
            0 => String::new(),
            more => format!("; {more} more failed"),
        };
        next.push((format!("ilchul why {id}"), format!("why it failed{more}")));
        if !control::is_control(task) {
            next.push((format!("ilchul logs {id}"), "what its worker printed".to_owned()));
        }
        next.push((format!("ilchul retry {id}"), format!("one more attempt; `{up}` goes on with it")));
    } else if view.tasks.iter().any(|task| task.attempt > 0) {
        next.push(("ilchul evidence TASK".to_owned(), "what was checked, and what came out".to_owned()));
    }
    let trees = view.workers.iter().filter(|worker| worker.workspace.is_some()).count();
    if trees > 0 {
        let kept = words::count(trees, "kept worktree");
        next.push(("ilchul workers --close".to_owned(), format!("which of {kept} may be closed")));
    }
    next
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::sample;

    fn last(view: &RunView) -> String {
        let next: Vec<String> =
            next(view).into_iter().map(|(typed, what)| format!("{typed}: {what}")).collect();
        format!("{}\n{}", ended(view), next.join("\n"))
    }

    #[test]
    fn a_run_without_success_leads_to_its_first_failure_and_one_with_it_to_its_evidence() {
        let mut view = sample::view();
        view.phase = RunPhase::Ended { success: false };
        view.ended_at = Some(sample::at(95));
        view.tasks.push(sample::task("late", TaskPhase::Failed, "", &[]));
        insta::assert_snapshot!(last(&view), @r"
        The run 20231114-221320-ab12 has ended without success after 1 min: 1 pending, 1 claimed, 1 in_progress, 1 completed, 2 failed, 1 skipped.
        ilchul why gone: why it failed; 1 more failed
        ilchul logs gone: what its worker printed
        ilchul retry gone: one more attempt; `ilchul up` goes on with it
        ilchul workers --close: which of 1 kept worktree may be closed
        ");
        view.tasks.truncate(1);
        view.phase = RunPhase::Ended { success: true };
        insta::assert_snapshot!(last(&view), @r"
        The run 20231114-221320-ab12 has ended with success after 1 min: 1 completed.
        ilchul evidence TASK: what was checked, and what came out
        ilchul workers --close: which of 1 kept worktree may be closed
        ");
    }

    #[test]
    fn a_run_that_waits_for_a_person_isnt_told_as_ended() {
        let mut view = sample::view();
        view.tasks.truncate(1);
        assert!(ended(&view).ends_with("isn't over: 1 completed."), "{}", ended(&view));
    }
}
