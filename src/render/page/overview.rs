//! The top of the page: where the run is, what wants attention, what it used, who waits.
//!
//! It leaves out single tasks' records.

use serde_json::{Value, json};

use super::super::table::Screen;
use super::super::words::{count, list, reason, run_state, task_reason};
use super::super::{status, why};
use super::Page;
use super::words::{instant, stamp, state, took};
use crate::engine::budget::Channel;
use crate::engine::budget::snapshot::Line;
use crate::engine::state::RunPhase;
use crate::engine::task_table::TaskPhase;
use crate::engine::view::RunView;

/// Waiting tasks that are listed; the rest is counted.
const WAITS: usize = 200;

/// The run itself.
pub(super) fn run(page: &Page<'_>) -> Value {
    let (view, line) = (page.view, &page.story.timeline);
    let word = run_state(view.phase, page.held);
    let (class, mark, how) = match view.phase {
        RunPhase::Ended { success: true } => ("good", "✓", "ended with success".to_owned()),
        RunPhase::Ended { success: false } => ("bad", "✗", "ended without success".to_owned()),
        RunPhase::Running if page.held => ("plain", "▶", "is running".to_owned()),
        RunPhase::Running => ("warn", "!", "is interrupted: no supervisor drives it".to_owned()),
        RunPhase::Interrupted => ("warn", "!", format!("is interrupted ({})", reason(&view.interrupted))),
    };
    let halted = view
        .halted
        .as_ref()
        .map(|halted| format!("It was stopped by its {}: {}", halted.by.word(), halted.reason));
    let (entries, last) = page.story.entries;
    json!({
        "id": view.id,
        "workflow": view.workflow,
        "path": view.path,
        "state": word,
        "class": class,
        "mark": mark,
        "how": how,
        "halted": halted,
        "base": view.base,
        "base_name": view.base_name,
        "session": view.session,
        "started": stamp(view.started_at),
        "ended": view.ended_at.map(stamp),
        "last": stamp(view.last_at),
        "took": took(line.millis()),
        "lives": count(line.lives.len(), "time"),
        "entries": count(entries, "entrie").replace("1 entrie", "1 entry"),
        "last_seq": last,
        "digest": Some(&page.story.bundles.workflow).filter(|digest| !digest.is_empty()),
        "made": instant(page.made_ms),
    })
}

/// What wants somebody's attention, as `status` says it.
pub(super) fn attention(page: &Page<'_>) -> Vec<String> {
    let screen = Screen { color: false, width: None, now_ms: page.made_ms };
    status::attention(page.view, page.held, page.beside, screen)
}

/// How many tasks are in each state, in the contract's order.
pub(super) fn tally(view: &RunView) -> Value {
    let number = |phase| view.tasks.iter().filter(|task| task.phase == phase).count();
    let found = TaskPhase::ALL.into_iter().map(|phase| (phase, number(phase)));
    let shown: Vec<Value> = found
        .filter(|(_, number)| *number > 0)
        .map(|(phase, number)| json!({"state": state(phase), "number": number}))
        .collect();
    json!({"all": count(view.tasks.len(), "task"), "by": shown})
}

/// What is bounded, or used.
pub(super) fn budget(view: &RunView) -> Vec<Value> {
    let budget = &view.budget;
    let plain = |amount: i64| amount.to_string();
    let time = |amount: i64| took(u64::try_from(amount).unwrap_or(0));
    let of = |channel: Channel| move |amount: i64| channel.number(amount);
    let rows = [
        ("Attempts", row(&budget.attempts, plain)),
        ("Tasks", row(&budget.tasks, plain)),
        ("Workers at once", row(&budget.workers, plain)),
        ("Time", row(&budget.wall, time)),
        ("Tokens", row(&budget.tokens, of(Channel::Tokens))),
        ("US dollars", row(&budget.usd, of(Channel::Usd))),
    ];
    let named = rows.into_iter().filter_map(|(name, row)| row.map(|row| (name, row)));
    named
        .map(|(name, mut row)| {
            row["name"] = name.into();
            row
        })
        .collect()
}

/// One bound; none where there is neither a bound nor a use.
fn row(line: &Line, word: impl Fn(i64) -> String) -> Option<Value> {
    if line.total.is_none() && line.used == 0 && line.reserved == 0 {
        return None;
    }
    // In hundredths of the bound, for the bar.
    let share = line.total.filter(|total| *total > 0).map(|total| {
        let used = line.used.saturating_add(line.reserved).clamp(0, total);
        used.saturating_mul(100) / total
    });
    Some(json!({
        "total": line.total.map(&word), "used": word(line.used), "share": share,
        "reserved": (line.reserved != 0).then(|| word(line.reserved)), "left": line.left.map(&word),
    }))
}

/// Who waits for what, and for whom in the end.
pub(super) fn waits(view: &RunView) -> Value {
    let open = view.tasks.iter().filter(|task| !task.phase.is_terminal() && !task.removed);
    let waiting: Vec<_> = open.filter(|task| !task.waits_for.is_empty() || task.asks.is_some()).collect();
    let rows: Vec<Value> = waiting
        .iter()
        .take(WAITS)
        .map(|task| {
            let chain = why::chain(view, task);
            let root = chain.last().filter(|_| chain.len() > 1);
            let what =
                if task.waits_for.is_empty() { reason(&task_reason(task)) } else { list(&task.waits_for) };
            json!({
                "id": task.id, "state": state(task.phase), "since": stamp(task.since), "what": what,
                "root": root.map(|root| json!({"id": root.id, "why": reason(&task_reason(root))})),
            })
        })
        .collect();
    json!({"rows": rows, "more": waiting.len().saturating_sub(WAITS)})
}
