//! Words: plurals, lists, ages, times, and reasons as sentences' parts.
//!
//! Every text here is for people. It leaves out layout (`table`) and colour.

use super::{clean, control};
use crate::engine::event::Extended;
use crate::engine::state::RunPhase;
use crate::engine::task_table::TaskPhase;
use crate::engine::view::{RunView, TaskView, WorkerView};
use crate::engine::worker_table::WorkerPhase;

/// The longest text of a worker's that stands in a line, in characters.
const LINE_MAX: usize = 400;
/// The longest question that stands in a reason, in characters.
const ASKED_MAX: usize = 160;

/// `1 task`, `3 tasks`: nouns whose plural is an `s`.
#[must_use]
pub fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// `a`, `a and b`, `a, b and c`.
#[must_use]
pub fn list<T: AsRef<str>>(items: &[T]) -> String {
    match items {
        [] => String::new(),
        [one] => one.as_ref().to_owned(),
        [head @ .., last] => {
            let head: Vec<&str> = head.iter().map(AsRef::as_ref).collect();
            format!("{} and {}", head.join(", "), last.as_ref())
        }
    }
}

/// A span in milliseconds as people say it: `3 s`, `12 min`, `2 h 5 min`, `3 d 4 h`.
#[must_use]
pub fn span(millis: i64) -> String {
    let seconds = millis.max(0) / 1000;
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    let two = |large: i64, unit: &str, small: i64, part: &str| {
        if small == 0 { format!("{large} {unit}") } else { format!("{large} {unit} {small} {part}") }
    };
    match seconds {
        ..60 => format!("{seconds} s"),
        60..3600 => format!("{minutes} min"),
        3600..86_400 => two(hours, "h", minutes % 60, "min"),
        86_400.. => two(days, "d", hours % 24, "h"),
    }
}

/// How long before `now_ms` something was; a label that lies ahead (the clock was set back) is now.
#[must_use]
pub fn ago(now_ms: i64, then_ms: i64) -> String {
    match now_ms.saturating_sub(then_ms) {
        ..1000 => "just now".to_owned(),
        passed => format!("{} ago", span(passed)),
    }
}

/// RFC 3339 in UTC; `None` outside the years that can be written.
#[must_use]
pub fn time(wall_ms: i64) -> Option<String> {
    jiff::Timestamp::from_millisecond(wall_ms).ok().map(|time| time.to_string())
}

/// The milliseconds since 1970 of an RFC 3339 time.
#[must_use]
pub fn parse_time(text: &str) -> Option<i64> {
    text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond)
}

/// The first twelve digits of a commit id.
#[must_use]
pub fn short(commit: &str) -> &str {
    commit.get(..12).unwrap_or(commit)
}

/// What to type to go on with a run of the workflow file at `path`.
#[must_use]
pub fn up(path: &str) -> String {
    if path == "ilchul.yaml" { "ilchul up".to_owned() } else { format!("ilchul up {}", line(path)) }
}

/// Somebody else's text on one line: bounded, control characters visible, line breaks as spaces.
#[must_use]
pub fn line(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(LINE_MAX));
    let mut words = text.split_whitespace();
    if let Some(first) = words.next() {
        out.push_str(first);
    }
    for word in words {
        out.push(' ');
        out.push_str(word);
        if out.len() > 4 * LINE_MAX {
            break;
        }
    }
    if let Some((cut, _)) = out.char_indices().nth(LINE_MAX) {
        out.truncate(cut);
        out.push('…');
    }
    clean(&out)
}

/// A reason (`code: detail`) as a part of a sentence.
#[must_use]
pub fn reason(reason: &str) -> String {
    let Some((code, detail)) = split(reason) else { return line(reason) };
    let said = line(detail);
    match code {
        // The detail says it all.
        "silent" | "no_ack" | "no_report" | "needs_unmet" | "not_needed" | "free" | "working"
        | "verified" | "retained" | "starting" | "decided" | "wall_time" => said,
        "waits" => format!("waits for {said}"),
        "approval" => format!("waits for your approval: {said}"),
        "needs_input" => format!("needs input: {said}"),
        "reported_failed" => format!("its worker reported a failure: {said}"),
        "reported" => format!("its worker reported a part: {said}"),
        "timeout" => format!("timed out: {said}"),
        "replanned" => format!("planned again: {said}"),
        "not_asked_for" => format!("not asked for ({said})"),
        "denied" => format!("denied by the gate: {said}"),
        code => match code.split_once('_') {
            Some(("launch", step)) => {
                format!("the launch failed at its {} step: {said}", step.replace('_', " "))
            }
            Some(("ended", status)) => format!("ended while it said {}: {said}", status.replace('_', " ")),
            Some(_) | None => format!("{}: {said}", code.replace('_', " ")),
        },
    }
}

/// The code and the detail of a reason, where it has a code.
fn split(reason: &str) -> Option<(&str, &str)> {
    let (code, detail) = reason.split_once(": ")?;
    let is_code = !code.is_empty() && code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    is_code.then_some((code, detail))
}

/// With a full stop, but none after an id or a path that somebody may double-click.
#[must_use]
pub fn stopped(text: &str) -> String {
    let stop = if text.is_empty() || text.ends_with(['.', '!', '?', '`', ':', '…']) { "" } else { "." };
    format!("{text}{stop}")
}

/// A sentence: its first letter large, and [`stopped`].
#[must_use]
pub fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters
        .next()
        .map_or_else(String::new, |first| stopped(&format!("{}{}", first.to_uppercase(), letters.as_str())))
}

/// What to type to answer an approval; `of_run` names the run where that is needed.
#[must_use]
pub fn answers(task: &str, of_run: &str) -> String {
    format!("ilchul approve {task}{of_run}, or ilchul deny {task}{of_run}")
}

/// What to type to go to a worker's terminal.
#[must_use]
pub fn attach(worker: &str) -> String {
    format!("ilchul attach {worker}")
}

/// What to type to answer a worker's question.
#[must_use]
pub fn respond(task: &str, of_run: &str) -> String {
    format!("ilchul answer {task}{of_run} \"...\"")
}

/// The time that a task isn't started before, to the second, where the gate knows one.
fn limited_until(task: &TaskView) -> Option<String> {
    let until = task.gate.as_ref().and_then(|gate| gate.until_ms)?;
    time(until.saturating_add(999) / 1000 * 1000)
}

/// Why a task is where it is, as `code: detail`: its own reason, or what follows from its state.
#[must_use]
pub fn task_reason(task: &TaskView) -> String {
    if let Some(message) = &task.asks {
        // Cut here, so that what to type is never what is cut.
        let asked = line(&message.chars().take(ASKED_MAX).collect::<String>());
        return format!("approval: {asked} ({})", answers(&task.id, ""));
    }
    if let Some(question) = &task.question {
        let text = line(&question.text.chars().take(ASKED_MAX).collect::<String>());
        return format!("{}: {text} ({})", line(&question.status), respond(&task.id, ""));
    }
    if let Some(until) = limited_until(task) {
        let why = if task.reason.is_empty() {
            format!("waits: {}", list(&task.waits_for))
        } else {
            task.reason.chars().take(ASKED_MAX).collect()
        };
        return format!("{why}, until {until}");
    }
    if !task.reason.is_empty() {
        return task.reason.clone();
    }
    if !task.waits_for.is_empty() {
        return format!("waits: {}", list(&task.waits_for));
    }
    match task.phase {
        TaskPhase::Pending => "waits: its needs".to_owned(),
        TaskPhase::Ready => "free: can start at any moment".to_owned(),
        TaskPhase::Claimed => "starting: its worker is being started".to_owned(),
        TaskPhase::InProgress => match &task.worker {
            Some(worker) => format!("working: `{worker}` works on it"),
            None => "working: it is being worked on".to_owned(),
        },
        TaskPhase::Verifying => "verifying: its evidence is being checked".to_owned(),
        TaskPhase::RepairRequired => "refuted: some evidence was refuted".to_owned(),
        TaskPhase::Blocked => "blocked: its worker waits for an answer".to_owned(),
        TaskPhase::Completed => match &task.declared {
            Err(why) => format!("waived: {why}"),
            Ok(_) if let Some(outcome) = control::outcome(task) => format!("verified: {outcome}"),
            Ok(items) => format!("verified: {} verified", count(items.len(), "item")),
        },
        TaskPhase::Partial => "partial: a part of it was done".to_owned(),
        TaskPhase::Failed => "failed: it ended without what was asked for".to_owned(),
        TaskPhase::Skipped => "decided: skipped by a person".to_owned(),
        TaskPhase::Cancelled => "cancelled: ended by a person".to_owned(),
    }
}

/// Why a worker is where it is, as `code: detail`.
#[must_use]
pub fn worker_reason(worker: &WorkerView) -> String {
    if worker.lost {
        return "lost: silent for so long that its claim expired".to_owned();
    }
    if !worker.reason.is_empty() {
        return worker.reason.clone();
    }
    match worker.phase {
        WorkerPhase::Provisioning => "starting: its tree and session are being made",
        WorkerPhase::Ready => "waits: its assignment",
        WorkerPhase::Busy => "working: works on its task",
        WorkerPhase::Unhealthy => "silent: wasn't heard of in time",
        WorkerPhase::CompletedRetained => "retained: its work is over, its tree and session are kept",
        WorkerPhase::SafeToClose => {
            return match worker.observations.as_slice() {
                [] => "released: its work is over".to_owned(),
                seen => format!("released: {}", list(seen)),
            };
        }
        WorkerPhase::StaleRegistry => "stale: what is there isn't what was recorded",
        WorkerPhase::CleanupReleased => "released: may be cleaned up",
        WorkerPhase::Closed => "closed: its session and tree are gone",
    }
    .to_owned()
}

/// Where a run really is: one that says it runs, but that nobody holds, is interrupted.
#[must_use]
pub fn run_state(phase: RunPhase, held: bool) -> &'static str {
    match phase {
        RunPhase::Running if held => "running",
        RunPhase::Running | RunPhase::Interrupted => "interrupted",
        RunPhase::Ended { .. } => "ended",
    }
}

/// How many tasks are in each state, in the order of the contract: `1 completed, 2 pending`.
#[must_use]
pub fn tally(view: &RunView) -> String {
    phases(&view.tasks.iter().collect::<Vec<_>>())
}

/// The same for some of them.
#[must_use]
pub fn phases(tasks: &[&TaskView]) -> String {
    let parts: Vec<String> = TaskPhase::ALL
        .into_iter()
        .map(|phase| (phase, tasks.iter().filter(|task| task.phase == phase).count()))
        .filter(|(_, number)| *number > 0)
        .map(|(phase, number)| format!("{number} {phase}"))
        .collect();
    parts.join(", ")
}

/// What was made, by whom and why: `fix made fix-i2: after iteration 1: ...`.
#[must_use]
pub fn extended(made: &Extended) -> String {
    let ids: Vec<&str> = made.tasks.iter().map(|task| task.id.as_str()).collect();
    let ids = match ids.as_slice() {
        [] => "nothing".to_owned(),
        [one] => line(one),
        [first, second] => format!("{} and {}", line(first), line(second)),
        [first, .., last] => format!("{} to {}, {} in all", line(first), line(last), ids.len()),
    };
    match &made.submission {
        Some(from) => {
            format!("{} submitted {ids}: submission {} of {}", line(&made.by), from.n, line(&from.worker))
        }
        None => format!("{} made {ids}: {}", line(&made.by), line(&made.why)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_lists_read_as_people_say_them() {
        assert_eq!([count(0, "task"), count(1, "task"), count(2, "task")], ["0 tasks", "1 task", "2 tasks"]);
        assert_eq!(list::<&str>(&[]), "");
        assert_eq!(list(&["a"]), "a");
        assert_eq!(list(&["a", "b"]), "a and b");
        assert_eq!(list(&["a", "b", "c"]), "a, b and c");
    }

    #[test]
    fn ages_have_the_unit_that_matters() {
        let said: Vec<String> =
            [0, 59_999, 60_000, 3_599_000, 3_600_000, 7_500_000, 86_400_000, 276_000_000].map(span).into();
        assert_eq!(said, ["0 s", "59 s", "1 min", "59 min", "1 h", "2 h 5 min", "1 d", "3 d 4 h"]);
        assert_eq!(ago(10_000, 6_500), "3 s ago");
        assert_eq!(ago(10_000, 9_500), "just now");
        assert_eq!(ago(10_000, 70_000), "just now", "a clock that was set back ages nothing");
    }

    #[test]
    fn times_are_rfc_3339_in_utc_and_read_back() {
        assert_eq!(time(1_700_000_000_000).as_deref(), Some("2023-11-14T22:13:20Z"));
        assert_eq!(time(1_700_000_000_250).as_deref(), Some("2023-11-14T22:13:20.25Z"));
        assert_eq!(time(i64::MAX), None);
        assert_eq!(parse_time("2023-11-14T22:13:20.25Z"), Some(1_700_000_000_250));
        assert_eq!(parse_time("yesterday"), None);
    }

    #[test]
    fn a_reason_reads_as_a_part_of_a_sentence() {
        for (raw, said) in [
            ("silent: no heartbeat for 12 s", "no heartbeat for 12 s"),
            ("needs_unmet: needs `a`, which is failed", "needs `a`, which is failed"),
            ("fatal_exit: exit code 1", "fatal exit: exit code 1"),
            ("launch_session: no server", "the launch failed at its session step: no server"),
            ("ended_needs_input: which one?", "ended while it said needs input: which one?"),
            ("cancelled by a person", "cancelled by a person"),
            ("`a` was reopened", "`a` was reopened"),
            ("Read: the docs", "Read: the docs"),
            ("", ""),
        ] {
            assert_eq!(reason(raw), said);
        }
    }

    #[test]
    fn s8_a_workers_text_stays_on_its_line_and_is_bounded() {
        assert_eq!(line("a\u{1b}[31mb\r\nc\td"), "a\\u{1b}[31mb c d");
        let long = line(&"x".repeat(10_000));
        assert_eq!(long.chars().count(), LINE_MAX + 1);
        assert!(long.ends_with('…'));
        assert!(line(&"y ".repeat(1_000_000)).chars().count() <= LINE_MAX + 1);
        assert_eq!(reason("needs_input: a\u{7}b"), "needs input: a\\u{7}b");
    }

    #[test]
    fn an_approval_is_asked_for_with_what_to_type_however_long_the_question_is() {
        let mut task = super::super::sample::task("fix", TaskPhase::Verifying, "decided by a person", &[]);
        task.asks = Some("Ship \u{1b}[5mit?".to_owned());
        let typed = "ilchul approve fix, or ilchul deny fix";
        assert_eq!(task_reason(&task), format!("approval: Ship \\u{{1b}}[5mit? ({typed})"));
        task.asks = Some("why? ".repeat(1_000));
        let said = reason(&task_reason(&task));
        assert!(said.starts_with("waits for your approval: why? why? "), "{said}");
        assert!(said.ends_with(&format!(" ({typed})")), "{said}");
    }

    #[test]
    fn a_full_stop_never_follows_an_id_directly() {
        assert_eq!(sentence("waits for `a`"), "Waits for `a`");
        assert_eq!(sentence("the run has ended"), "The run has ended.");
        assert_eq!(sentence(""), "");
    }

    #[test]
    fn a_run_that_nobody_holds_is_interrupted_whatever_it_says() {
        assert_eq!(run_state(RunPhase::Running, true), "running");
        assert_eq!(run_state(RunPhase::Running, false), "interrupted");
        assert_eq!(run_state(RunPhase::Interrupted, true), "interrupted");
        assert_eq!(run_state(RunPhase::Ended { success: false }, true), "ended");
    }
}
