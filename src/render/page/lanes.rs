//! The timeline for people: a line of words and bars for each task, and the critical path.
//!
//! It leaves out the bars themselves (`chart`) and how they are found (`timeline`).

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::super::control;
use super::super::words::{count, list};
use super::timeline::{Lane, Stage, Timeline, millis};
use super::words::{state, took};
use super::{Page, chart};
use crate::engine::view::TaskView;

/// Tasks that are shown at once; the others can be opened.
const SHOWN: usize = 150;
/// Less than that isn't called waiting: launching takes its time.
const WAIT_MS: u64 = 500;

/// All of it.
pub(super) fn timeline(page: &Page<'_>) -> Value {
    let line = &page.story.timeline;
    let path = line.critical(page.view);
    let critical: BTreeSet<&str> = path.iter().map(|task| task.id.as_str()).collect();
    let nested = control::nested(page.view);
    let moved = |task: &TaskView| line.lanes.get(&task.id).filter(|lane| !lane.spans.is_empty());
    let rows = nested.into_iter().filter_map(|(depth, task)| moved(task).map(|lane| (depth, task, lane)));
    let is_critical = |task: &TaskView| critical.contains(task.id.as_str());
    let rows: Vec<Value> =
        rows.map(|(depth, task, lane)| row(line, (task, depth), lane, is_critical(task))).collect();
    let still = page.view.tasks.len() - rows.len();
    let (shown, rest) = rows.split_at(rows.len().min(SHOWN));
    json!({
        "rows": shown,
        "rest": rest,
        "still": (still > 0).then(|| count(still, "task")),
        "axis": chart::axis(line),
        "lives": chart::lives(line),
        "life_words": lives(line),
        "legend": Stage::ALL.map(|stage| json!({"svg": chart::sample(stage), "word": stage.word()})),
        "path": path.iter().map(|task| link(line, task)).collect::<Vec<_>>(),
    })
}

fn row(line: &Timeline, (task, depth): (&TaskView, usize), lane: &Lane, critical: bool) -> Value {
    json!({
        "id": task.id,
        "depth": depth.min(4),
        "state": state(task.phase),
        "critical": critical,
        "words": words(line, task, lane),
        "svg": chart::bars(line, lane, control::is_control(task)),
    })
}

/// `0.1 s to 4.2 s, 2 attempts; waited 1.3 s for a place`.
fn words(line: &Timeline, task: &TaskView, lane: &Lane) -> String {
    let at = |moment| took(millis(line.from, moment));
    let mut words = match (lane.from(), lane.to(), lane.ended) {
        (Some(from), Some(to), Some(_)) => format!("from {} to {}", at(from), at(to)),
        (Some(from), ..) => format!("from {} on", at(from)),
        (None, ..) => return String::new(),
    };
    let attempts: BTreeSet<u32> =
        lane.spans.iter().map(|span| span.attempt).filter(|attempt| *attempt > 0).collect();
    if attempts.len() > 1 {
        words.push_str(&format!(", {}", count(attempts.len(), "attempt")));
    }
    let spent = |wanted: Stage| -> u64 {
        lane.spans.iter().filter(|span| span.stage == wanted).map(|span| millis(span.from, span.to)).sum()
    };
    let working = if control::is_control(task) { "its own tasks" } else { "working" };
    for (stage, what) in [
        (Stage::Ready, "ready"),
        (Stage::Starting, "starting"),
        (Stage::Working, working),
        (Stage::Blocked, "blocked"),
        (Stage::Checking, "being checked"),
    ] {
        let spent = spent(stage);
        if spent >= WAIT_MS || (stage == Stage::Working && spent > 0) {
            words.push_str(&format!(", {what} {}", took(spent)));
        }
    }
    if !task.needs.is_empty() {
        words.push_str(&format!("; after {}", few(&task.needs)));
    }
    words
}

/// Some names, and how many more there are.
fn few(names: &[String]) -> String {
    const FEW: usize = 6;
    let mut shown: Vec<String> = names.iter().take(FEW).cloned().collect();
    if names.len() > FEW {
        shown.push(format!("{} more", names.len() - FEW));
    }
    list(&shown)
}

/// One link of the critical path.
fn link(line: &Timeline, task: &TaskView) -> Value {
    let lane = line.lanes.get(&task.id);
    let from = lane.and_then(Lane::from);
    let to = lane.and_then(Lane::to);
    let begun = lane.and_then(Lane::begun);
    let waited = match (from, begun) {
        (Some(from), Some(begun)) => Some(millis(from, begun)).filter(|waited| *waited >= WAIT_MS),
        (Some(_) | None, None) | (None, Some(_)) => None,
    };
    let whole = from.zip(to).map_or(0, |(from, to)| millis(from, to));
    json!({
        "id": task.id,
        "state": state(task.phase),
        "from": from.map(|from| took(millis(line.from, from))),
        "to": to.map(|to| took(millis(line.from, to))),
        "took": took(whole),
        "waited": waited.map(took),
    })
}

/// When somebody supervised, in words.
fn lives(line: &Timeline) -> String {
    let at = |moment| took(millis(line.from, moment));
    let lives: Vec<String> =
        line.lives.iter().map(|(from, to)| format!("from {} to {}", at(*from), at(*to))).collect();
    format!("Supervised {}", few(&lives))
}
