//! `status` for people: the run, its tasks with reasons and ages, and what wants attention.
//!
//! It leaves out where workers are (`workers`) and chains of causes (`why`).

use super::table::{Screen, Table, Tone, toned};
use super::words::{
    ago, answers, count, line, reason, respond, run_state, short, span, stopped, tally, task_reason,
    up as up_again,
};
use super::wrap::wrapped;
use super::{Beside, control};
use crate::engine::budget::Channel;
use crate::engine::evidence::{Checked, Verdict};
use crate::engine::state::RunPhase;
use crate::engine::task_table::TaskPhase;
use crate::engine::view::{RunView, TaskView, WorkerView};
use crate::engine::worker_table::WorkerPhase;

/// More tasks than this, and those that are over and fine are only counted.
const ROWS: usize = 200;
/// Alerts beyond these are only counted.
const ALERTS: usize = 20;

/// All of `status`.
#[must_use]
pub fn text(view: &RunView, held: bool, beside: &Beside, screen: Screen) -> String {
    let mut text = wrapped(&(head(view, held, screen) + &summary(view)), screen);
    text.push('\n');
    text.push_str(&table(view, beside, screen));
    let alerts = alerts(view, held, beside, screen);
    if !alerts.is_empty() {
        text.push('\n');
        text.push_str(&wrapped(&alerts, screen));
    }
    text
}

/// The tasks alone, aged by the run's last event: the record that `up` prints at the end.
#[must_use]
pub fn tasks(view: &RunView, color: bool, width: usize) -> String {
    table(view, &Beside::default(), Screen { color, width: Some(width), now_ms: view.last_at.wall_ms })
}

fn head(view: &RunView, held: bool, screen: Screen) -> String {
    let state = run_state(view.phase, held);
    let word = toned(screen, run_tone(view, held), state);
    let halted = view.halted.as_ref().map(|halted| format!("{}: {}", halted.by.word(), line(&halted.reason)));
    let so = match (view.phase, held) {
        (RunPhase::Running, true) => {
            halted.map(|why| format!(", and nothing new starts ({why})")).unwrap_or_default()
        }
        (RunPhase::Running, false) => {
            format!(
                ": no supervisor drives it, the last entry is from {}",
                ago(screen.now_ms, view.last_at.wall_ms)
            )
        }
        (RunPhase::Interrupted, _) => {
            format!(" ({}), {}", reason(&view.interrupted), ago(screen.now_ms, view.last_at.wall_ms))
        }
        (RunPhase::Ended { success }, _) => {
            let ended = view.ended_at.unwrap_or(view.last_at).wall_ms;
            let how = if success { "with success" } else { "without success" };
            let how = halted.map_or_else(|| how.to_owned(), |why| format!("{how} ({why})"));
            let took = span(ended.saturating_sub(view.started_at.wall_ms));
            format!(" {how} {}, after {took}", ago(screen.now_ms, ended))
        }
    };
    let started = ago(screen.now_ms, view.started_at.wall_ms);
    let base = format!("{} ({})", line(&view.base_name), line(short(&view.base)));
    let is = if matches!(view.phase, RunPhase::Ended { .. }) { "has" } else { "is" };
    format!("Run {} of {} {is} {word}{so}.\nStarted {started} from {base}.\n", view.id, line(&view.workflow))
}

fn summary(view: &RunView) -> String {
    let mut text = format!("{}: {}.", count(view.tasks.len(), "task"), tally(view));
    let whole = |number: i64| usize::try_from(number).unwrap_or(0);
    let (workers, attempts) = (&view.budget.workers, &view.budget.attempts);
    if let Some(limit) = workers.total {
        text.push_str(&format!(" {} of {} in use.", workers.used, count(whole(limit), "worker")));
    }
    match attempts.total {
        Some(limit) => text.push_str(&format!(" {} of {limit} attempts used.\n", attempts.used)),
        None => text.push_str(&format!(" {} used.\n", count(whole(attempts.used), "attempt"))),
    }
    text.push_str(&bounds(view));
    text
}

/// Time, tokens and money, each where it is bounded.
fn bounds(view: &RunView) -> String {
    let mut parts = Vec::new();
    if let (Some(total), used) = (view.budget.wall.total, view.budget.wall.used) {
        parts.push(format!("time: {} of {} used", span(used), span(total)));
    }
    for (channel, line) in [(Channel::Tokens, &view.budget.tokens), (Channel::Usd, &view.budget.usd)] {
        let number = |amount: i64| channel.number(amount);
        if let (Some(total), Some(left)) = (line.total, line.left) {
            parts.push(format!(
                "{}: {} of {} used, {} reserved, {} left",
                channel.word(),
                number(line.used),
                number(total),
                number(line.reserved),
                number(left)
            ));
        }
    }
    parts.iter().map(|part| format!("Budget of {part}.\n")).collect()
}

fn table(view: &RunView, beside: &Beside, screen: Screen) -> String {
    let whole = view.tasks.len() <= ROWS;
    let is_quiet = |task: &TaskView| matches!(task.phase, TaskPhase::Completed | TaskPhase::Skipped);
    let head = ["TASK", "STATE", "SINCE", "ATTEMPT", "EVIDENCE", "REASON"];
    let mut table = Table::new(screen, &head);
    let mut shown = 0;
    // A terminal holds no thousand lines; what wants attention comes from the front.
    let tasks = control::nested(view).into_iter().filter(|(_, task)| whole || !is_quiet(task));
    for (depth, task) in tasks.take(ROWS) {
        shown += 1;
        let mut cells = row(task, view, beside, screen);
        cells[0].insert_str(0, &"  ".repeat(depth));
        table.row(cells, 1, task_tone(task.phase));
    }
    let mut text = table.text();
    if shown < view.tasks.len() {
        let rest = count(view.tasks.len() - shown, "task");
        text.push_str(&format!("{rest} left out here; `ilchul status --json` has them all.\n"));
    }
    text
}

fn row(task: &TaskView, view: &RunView, beside: &Beside, screen: Screen) -> Vec<String> {
    let mut why = reason(&task_reason(task));
    if task.phase.is_held() {
        if let Some(at) = task.worker.as_deref().and_then(|worker| beside.beat_ms(worker)) {
            why.push_str(&format!(", heard of {}", ago(screen.now_ms, at)));
        }
        if held_by(task, view).is_some_and(|worker| worker.lost) {
            why.push_str(", lost");
        }
        if let Some(worker) = held_by(task, view).filter(|worker| worker.reason.starts_with("stalled")) {
            why.push_str(&format!(", {}", reason(&worker.reason)));
        }
    }
    vec![
        task.id.clone(),
        task.phase.word().to_owned(),
        ago(screen.now_ms, task.since.wall_ms),
        // Nobody tries a control task: its own tasks have attempts.
        if task.attempt == 0 || control::is_control(task) {
            String::new()
        } else {
            format!("{} of {}", task.attempt, task.allowed)
        },
        verdicts(task),
        why,
    ]
}

fn held_by<'v>(task: &TaskView, view: &'v RunView) -> Option<&'v WorkerView> {
    task.worker.as_deref().and_then(|id| view.worker(id))
}

/// `2 verified`, `1 verified, 1 refuted`, `waived`.
fn verdicts(task: &TaskView) -> String {
    if task.declared.is_err() {
        return "waived".to_owned();
    }
    let number = |verdict: Verdict| {
        let seen = |checked: &&Checked| checked.verdict == verdict && !checked.is_unanswered();
        task.evidence.iter().filter(seen).count()
    };
    let parts: Vec<String> = [Verdict::Verified, Verdict::Refuted, Verdict::Unverifiable]
        .into_iter()
        .map(|verdict| (verdict, number(verdict)))
        .filter(|(_, number)| *number > 0)
        .map(|(verdict, number)| format!("{number} {}", verdict.word()))
        .collect();
    parts.join(", ")
}

fn alerts(view: &RunView, held: bool, beside: &Beside, screen: Screen) -> String {
    attention(view, held, beside, screen).iter().map(|line| format!("{line}\n")).collect()
}

/// What wants somebody's attention, as sentences with the commands to type; the first of many.
pub(super) fn attention(view: &RunView, held: bool, beside: &Beside, screen: Screen) -> Vec<String> {
    let mut lines = Vec::new();
    if !held && !matches!(view.phase, RunPhase::Ended { .. }) {
        lines.push(format!("Nobody drives this run. Go on with: {}", up_again(&view.path)));
    }
    lines.extend(view.workers.iter().filter_map(|worker| worker_alert(worker, beside, screen)));
    for task in &view.tasks {
        let id = &task.id;
        match task.phase {
            TaskPhase::Blocked => lines.push(asks(view, task, screen)),
            TaskPhase::Verifying if task.asks.is_some() => {
                let asks = stopped(&line(task.asks.as_deref().unwrap_or_default()));
                lines.push(format!(
                    "`{id}` waits for your approval: {asks} Look: ilchul evidence {id}. Answer: {}",
                    answers(id, "")
                ));
            }
            TaskPhase::Failed if control::is_made_good(view, task) => {}
            TaskPhase::Failed => lines.push(format!("`{id}` failed. See why: ilchul why {id}")),
            TaskPhase::Pending
            | TaskPhase::Ready
            | TaskPhase::Claimed
            | TaskPhase::InProgress
            | TaskPhase::Verifying
            | TaskPhase::RepairRequired
            | TaskPhase::Completed
            | TaskPhase::Partial
            | TaskPhase::Skipped
            | TaskPhase::Cancelled => {}
        }
    }
    let more = lines.len().saturating_sub(ALERTS);
    lines.truncate(ALERTS);
    if more > 0 {
        lines.push(format!("{more} more want attention; `ilchul status --json` has them all."));
    }
    lines
}

/// A worker's question, and what to type.
fn asks(view: &RunView, task: &TaskView, screen: Screen) -> String {
    let id = &task.id;
    let look = if view.session == "subprocess" { "logs" } else { "attach" };
    let text = task.question.as_ref().map_or_else(String::new, |question| line(&question.text));
    let for_long = span(screen.now_ms.saturating_sub(task.since.wall_ms));
    let text = stopped(&text);
    format!(
        "`{id}` has waited for you for {for_long}: {text} Look: ilchul {look} {id}. Answer: {}",
        respond(id, "")
    )
}

fn worker_alert(worker: &WorkerView, beside: &Beside, screen: Screen) -> Option<String> {
    let heard = match beside.beat_ms(&worker.id) {
        Some(at) => format!("last heard of {}", ago(screen.now_ms, at)),
        None => "never heard of".to_owned(),
    };
    let (id, task) = (&worker.id, &worker.task);
    if worker.lost && worker.phase.is_live() {
        return Some(format!(
            "`{id}` is lost, {heard}. Look: ilchul attach {id}. Decide: ilchul decide {task} rerun|skip|accept"
        ));
    }
    let why = reason(&worker.reason);
    match worker.phase {
        WorkerPhase::Unhealthy => {
            Some(format!("`{id}` is unhealthy, {heard}: {why}. Look: ilchul attach {id}"))
        }
        WorkerPhase::StaleRegistry => {
            Some(format!("`{id}` is stale: {why}. See its output: ilchul logs {id}"))
        }
        WorkerPhase::Provisioning
        | WorkerPhase::Ready
        | WorkerPhase::Busy
        | WorkerPhase::CompletedRetained
        | WorkerPhase::SafeToClose
        | WorkerPhase::CleanupReleased
        | WorkerPhase::Closed => None,
    }
}

fn run_tone(view: &RunView, held: bool) -> Tone {
    match (view.phase, held) {
        (RunPhase::Running, true) | (RunPhase::Ended { success: true }, _) => Tone::Good,
        (RunPhase::Running, false) | (RunPhase::Interrupted, _) => Tone::Warn,
        (RunPhase::Ended { success: false }, _) => Tone::Bad,
    }
}

/// The colour beside a task's state.
#[must_use]
pub fn task_tone(phase: TaskPhase) -> Tone {
    match phase {
        TaskPhase::Completed => Tone::Good,
        TaskPhase::Failed | TaskPhase::Cancelled => Tone::Bad,
        TaskPhase::Blocked | TaskPhase::RepairRequired | TaskPhase::Partial => Tone::Warn,
        TaskPhase::Pending | TaskPhase::Skipped => Tone::Dim,
        TaskPhase::Ready | TaskPhase::Claimed | TaskPhase::InProgress | TaskPhase::Verifying => Tone::Plain,
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn every_status_shows_its_reason_and_the_age_of_what_is_known() {
        insta::assert_snapshot!(text(&sample::view(), true, &sample::beside(), sample::screen()), @r#"
        Run 20231114-221320-ab12 of nightly is running.
        Started 2 min ago from main (aaaaaaaaaaaa).
        6 tasks: 1 pending, 1 claimed, 1 in_progress, 1 completed, 1 failed, 1 skipped. 2 of 4 workers in use. 5 of 10 attempts used.

        TASK   STATE        SINCE      ATTEMPT  EVIDENCE    REASON
        build  completed    1 min ago  1 of 1   2 verified  2 items verified
        fix    in_progress  1 min ago  1 of 2   -           `fix.1` works on it, heard of 3 s ago
        docs   claimed      1 min ago  2 of 3   -           waits for its worker's readiness
        pack   pending      1 min ago  -        -           waits for task `fix`, which is in_progress
        gone   failed       30 s ago   1 of 1   -           the worker ended without a report (exit code 3)
        tail   skipped      1 min ago  -        -           needs `gone`, which is failed

        `gone` failed. See why: ilchul why gone
        "#);
    }

    #[test]
    fn a_run_that_nobody_holds_is_shown_as_interrupted_with_the_way_on() {
        let text = text(&sample::view(), false, &sample::beside(), sample::screen());
        assert!(
            text.starts_with("Run 20231114-221320-ab12 of nightly is interrupted: no supervisor"),
            "{text}"
        );
        assert!(text.contains("Go on with: ilchul up\n"), "{text}");
    }

    #[test]
    fn a_lost_worker_and_a_question_come_with_the_commands_to_type() {
        let mut view = sample::view();
        view.workers[1].lost = true;
        sample::asks(&mut view, "which \u{1b}[5mone?");
        let text = super::text(&view, true, &sample::beside(), sample::screen());
        let lost = "`fix.1` is lost, last heard of 3 s ago. Look: ilchul attach fix.1. \
                    Decide: ilchul decide fix rerun|skip|accept\n";
        assert!(text.contains(lost), "{text}");
        let asks = "`fix` has waited for you for 1 min: which \\u{1b}[5mone? Look: ilchul attach fix. \
                    Answer: ilchul answer fix \"...\"\n";
        assert!(text.contains(asks), "{text}");
        view.session = "subprocess";
        let text = super::text(&view, true, &sample::beside(), sample::screen());
        assert!(text.contains("one? Look: ilchul logs fix. Answer: ilchul answer fix"), "{text}");
    }

    #[test]
    fn a_rate_limit_is_shown_with_its_time_however_long_its_reason_is() {
        let mut view = sample::view();
        let docs = &mut view.tasks[2];
        docs.phase = TaskPhase::Ready;
        docs.waits_for = vec!["the rate limit of the agent `a`, which `fix.1` met".to_owned()];
        let until_ms = Some(sample::START_MS + 180_001);
        docs.gate =
            Some(crate::engine::view::Gated { verdict: "limited", stage: "rate".to_owned(), until_ms });
        let shown = text(&view, true, &sample::beside(), sample::screen());
        let said = "waits for the rate limit of the agent `a`, which `fix.1` met, until 2023-11-14T22:16:21Z";
        assert!(shown.contains(said), "{shown}");
        view.tasks[2].reason = format!("rate_limited: {}", "no ".repeat(500));
        let shown = text(&view, true, &sample::beside(), sample::screen());
        assert!(
            shown.contains("rate limited: no no ") && shown.contains(", until 2023-11-14T22:16:21Z"),
            "{shown}"
        );
    }

    #[test]
    fn an_approval_comes_with_the_commands_to_type_and_counts_as_no_verdict() {
        let mut view = sample::view();
        let fix = &mut view.tasks[1];
        (fix.phase, fix.asks) = (TaskPhase::Verifying, Some("ship \u{1b}[5mit".to_owned()));
        fix.evidence =
            vec![Checked::new("exit", Verdict::Verified, "exit code 0"), Checked::unanswered("ship it")];
        let text = text(&view, true, &sample::beside(), sample::screen());
        let alert = "`fix` waits for your approval: ship \\u{1b}[5mit. Look: ilchul evidence fix. \
                     Answer: ilchul approve fix, or ilchul deny fix\n";
        assert!(text.contains(alert), "{text}");
        assert!(text.contains("1 of 2   1 verified  waits for your approval: ship"), "{text}");
    }

    #[test]
    fn l10_an_unhealthy_worker_is_shown_as_silent_and_not_as_failed() {
        let mut view = sample::view();
        view.workers[1].phase = WorkerPhase::Unhealthy;
        view.workers[1].reason = "silent: no heartbeat for 12 s".to_owned();
        let text = text(&view, true, &sample::beside(), sample::screen());
        assert!(text.contains(
            "`fix.1` is unhealthy, last heard of 3 s ago: no heartbeat for 12 s. Look: ilchul attach fix.1"
        ));
        assert!(!text.contains("`fix` failed"));
    }

    #[test]
    fn a_large_run_shows_what_is_left_to_do_and_counts_the_rest() {
        let mut view = sample::view();
        for number in 0..1000 {
            let mut task = view.tasks[0].clone();
            task.id = format!("b{number}");
            view.tasks.push(task);
        }
        let text = text(&view, true, &sample::beside(), sample::screen());
        assert!(text.lines().count() < 20, "{text}");
        assert!(text.contains("1002 tasks left out here"), "{text}");
        assert!(text.contains("\nfix "), "{text}");
    }

    #[test]
    fn the_record_at_the_end_is_aged_by_the_last_event() {
        let text = tasks(&sample::view(), false, 200);
        assert!(text.contains("gone   failed       5 s ago"), "{text}");
    }
}
