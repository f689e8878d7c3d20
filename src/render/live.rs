//! What `up` shows while it works, below the lines that stay: how far it is, what runs now, and
//! what waits for a person, with the line to type.
//!
//! It is read off the state, not the view: it is made again and again while a large run goes on.
//! It leaves out where on the terminal it stands.

use super::bar::bar;
use super::fit::cut;
use super::table::{Screen, Tone, toned};
use super::words::{answers, count, line, respond, span};
use crate::engine::outstanding::asked;
use crate::engine::question;
use crate::engine::state::RunState;
use crate::engine::task_table::TaskPhase;

/// The widest bar, in columns.
const BAR_MAX: usize = 40;
/// The fewest tasks at work that are named, and waits that are told, however low a terminal is.
const NAMED_MIN: usize = 2;
/// The widest name that others are aligned to.
const NAME_MAX: usize = 24;

/// The lines, at most about `most`. None is wider than the screen, but for a line to type, which
/// is never cut.
#[must_use]
pub fn lines(state: &RunState, screen: Screen, most: usize) -> Vec<String> {
    let columns = screen.width.unwrap_or(80);
    let mut lines = vec![cut(&progress(state, columns), columns)];
    let (waiting, working): (Vec<usize>, Vec<usize>) = state
        .moving
        .iter()
        .copied()
        .filter(|&task| is_own(state, task))
        .partition(|&task| waits(state, task));
    // Beside the bar, and what is only counted of either.
    let room = most.saturating_sub(3);
    // Who waits for a person comes last, next to where that person types, and isn't crowded out.
    let told = waiting.len().min((room / 4).max(NAMED_MIN));
    let named = working.len().min(room.saturating_sub(2 * told).max(NAMED_MIN));
    let widest = working.iter().take(named).map(|&task| state.planned(task).id.chars().count()).max();
    let widest = widest.unwrap_or(0).min(NAME_MAX);
    for &task in working.iter().take(named) {
        let text = cut(&at_work(state, task, (widest, screen.now_ms)), columns.saturating_sub(2));
        lines.push(format!("{} {text}", toned(screen, Tone::Dim, ">")));
    }
    if working.len() > named {
        lines.push(format!("  and {} more at work", working.len() - named));
    }
    for &task in waiting.iter().take(told) {
        let (asks, typed) = asks(state, task);
        let text = cut(&format!("{}  {asks}", state.planned(task).id), columns.saturating_sub(2));
        lines.push(format!("{} {text}", toned(screen, Tone::Warn, "!")));
        lines.push(format!("  {typed}"));
    }
    if waiting.len() > told {
        lines.push(format!("  and {} more for you: ilchul status", waiting.len() - told));
    }
    lines
}

/// The bar, and the numbers beside it.
fn progress(state: &RunState, columns: usize) -> String {
    let number = |which: &dyn Fn(TaskPhase) -> bool| {
        state.tasks.iter().filter(|task| !task.removed && which(task.phase)).count()
    };
    let fine = number(&|phase| matches!(phase, TaskPhase::Completed | TaskPhase::Skipped));
    let over = number(&TaskPhase::is_terminal);
    let now = number(&|phase| phase.is_held() || phase == TaskPhase::Verifying);
    let total = number(&|_| true);
    let bar = bar(&[('#', fine), ('x', over - fine), ('>', now)], total, (columns / 3).min(BAR_MAX));
    let mut text = format!("{bar} {over} of {} ended", count(total, "task"));
    if over > fine {
        text.push_str(&format!(", {} without success", over - fine));
    }
    if !state.ready.is_empty() {
        text.push_str(&format!(", {} ready", state.ready.len()));
    }
    text
}

/// A control task is told by what it has made.
fn is_own(state: &RunState, task: usize) -> bool {
    let has_children =
        state.tasks[task].phase == TaskPhase::InProgress && state.tasks[task].open_children > 0;
    !(has_children && state.planned(task).kind.is_control())
}

/// Whether only a person can go on with it.
fn waits(state: &RunState, task: usize) -> bool {
    let lost = || state.current_worker(task).is_some_and(|(_, worker)| worker.expired && worker.token_live);
    asked(state, task).is_some() || state.tasks[task].phase == TaskPhase::Blocked || lost()
}

fn at_work(state: &RunState, task: usize, (widest, now_ms): (usize, i64)) -> String {
    let (planned, task) = (state.planned(task), &state.tasks[task]);
    let step = match task.phase {
        TaskPhase::Claimed => ", its worker is being started",
        TaskPhase::Verifying => ", its evidence is being checked",
        TaskPhase::Pending
        | TaskPhase::Ready
        | TaskPhase::InProgress
        | TaskPhase::RepairRequired
        | TaskPhase::Blocked
        | TaskPhase::Completed
        | TaskPhase::Partial
        | TaskPhase::Failed
        | TaskPhase::Skipped
        | TaskPhase::Cancelled => "",
    };
    let since = span(now_ms.saturating_sub(task.since.wall_ms));
    let tries = if task.attempt > 1 {
        format!(", attempt {} of {}", task.attempt, task.allowed)
    } else {
        String::new()
    };
    format!("{:widest$}  {since}{tries}{step}", planned.id)
}

/// What a person is asked, and what to type.
fn asks(state: &RunState, task: usize) -> (String, String) {
    let id = &state.planned(task).id;
    if let Some((_, message)) = asked(state, task) {
        return (format!("asks for your approval: {}", line(message)), answers(id, ""));
    }
    if let Some(question) = question::open(state, task) {
        return (format!("asks: {}", line(&question.text)), respond(id, ""));
    }
    if state.tasks[task].phase == TaskPhase::Blocked {
        return ("waits for your answer".to_owned(), respond(id, ""));
    }
    let lost = "is lost: nobody can tell whether its worker is at work".to_owned();
    (lost, format!("ilchul decide {id} rerun|skip|accept, or ilchul attach {id}"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use unicode_width::UnicodeWidthStr;

    use super::super::sample;
    use super::*;
    use crate::engine::event::Started;
    use crate::engine::evidence::Checked;
    use crate::workflow::{SessionKind, load};

    /// A run of these tasks, each where it is said to be.
    fn state(tasks: &str, phases: &[(&str, TaskPhase)]) -> RunState {
        let text = format!("version: 1\nname: w\ndefaults: {{ workspace: none }}\ntasks:\n{tasks}");
        let started = Started {
            run: "r1".to_owned(),
            path: "w.yaml".to_owned(),
            digest: "d".repeat(64),
            base: "0".repeat(40),
            base_name: "HEAD".to_owned(),
            bases: BTreeMap::new(),
            session: SessionKind::Tmux,
            workers: 4,
            only: Vec::new(),
            setup: None,
            pid: 1,
            boot: "boot".to_owned(),
            mono_ms: 0,
            workflow: load("w.yaml", text.as_bytes()).unwrap().workflow,
        };
        let mut state = RunState::new(started, sample::at(0));
        state.ready = Default::default();
        for (id, phase) in phases {
            let task = state.task_index(id).unwrap();
            (state.tasks[task].phase, state.tasks[task].since) = (*phase, sample::at(60));
            if phase.is_held() || *phase == TaskPhase::Verifying {
                state.moving.insert(task);
                (state.tasks[task].attempt, state.tasks[task].allowed) = (1, 2);
            }
        }
        state
    }

    fn five() -> RunState {
        let tasks = "  fetch: { run: x }\n  build: { run: x }\n  lint: { run: x }\n  test-everything: { run: x }\n\
                     \x20 ship: { run: x, evidence: [ { approval: { message: 'Ship \u{202e}it?' } } ] }\n";
        let mut state = state(
            tasks,
            &[
                ("fetch", TaskPhase::Completed),
                ("build", TaskPhase::InProgress),
                ("lint", TaskPhase::Failed),
                ("test-everything", TaskPhase::Claimed),
                ("ship", TaskPhase::Verifying),
            ],
        );
        state.tasks[3].attempt = 2;
        state.tasks[4].evidence = vec![Checked::unanswered("Ship it?")];
        state
    }

    fn shown(state: &RunState, width: usize, most: usize) -> String {
        lines(state, Screen { width: Some(width), ..sample::screen() }, most).join("\n")
    }

    #[test]
    fn it_says_how_far_it_is_what_runs_and_what_to_type_for_what_waits() {
        insta::assert_snapshot!(shown(&five(), 79, 12), @r"
        [####xxxx>>>>>>>>>>>>>>>>] 2 of 5 tasks ended, 1 without success
        > build            1 min
        > test-everything  1 min, attempt 2 of 2, its worker is being started
        ! ship  asks for your approval: Ship \u{202e}it?
          ilchul approve ship, or ilchul deny ship
        ");
    }

    #[test]
    fn a_question_and_a_lost_worker_come_with_their_own_lines_to_type() {
        let state = state("  ask: { run: x }\n", &[("ask", TaskPhase::Blocked)]);
        assert!(shown(&state, 79, 12).ends_with("! ask  waits for your answer\n  ilchul answer ask \"...\""));
    }

    #[test]
    fn no_line_is_wider_than_the_screen_but_one_to_type() {
        for width in 3..100 {
            for line in shown(&five(), width, 12).lines().filter(|line| !line.contains("ilchul")) {
                assert!(line.width() <= width, "{width}: {line:?}");
            }
            assert!(shown(&five(), width, 12).contains("ilchul approve ship, or ilchul deny ship"));
        }
    }

    #[test]
    fn of_a_crowd_some_are_named_and_the_rest_is_counted() {
        let ids: Vec<String> = (0..40).map(|number| format!("t{number}")).collect();
        let tasks: String = ids.iter().map(|id| format!("  {id}: {{ run: x }}\n")).collect();
        let at = |place: usize| if place < 30 { TaskPhase::InProgress } else { TaskPhase::Blocked };
        let phases: Vec<(&str, TaskPhase)> =
            ids.iter().enumerate().map(|(place, id)| (id.as_str(), at(place))).collect();
        let state = state(&tasks, &phases);
        for most in 0..60 {
            let text = shown(&state, 79, most);
            assert!(text.lines().count() <= most.max(9), "{most}:\n{text}");
            assert!(text.contains("more at work") || most > 30, "{text}");
            assert!(text.contains("! t30  waits for your answer\n  ilchul answer t30 \"...\""), "{text}");
        }
        assert!(
            shown(&state, 79, 12).contains("  and 8 more for you: ilchul status"),
            "{}",
            shown(&state, 79, 12)
        );
    }
}
