//! Times, states and marks as the page writes them.
//!
//! A page is read long after it was made, so nothing here is an age. It leaves out reasons,
//! which every reader shares.

use serde_json::{Value, json};

use super::super::table::Tone;
use super::super::words::span;
use crate::engine::evidence::{Checked, Verdict};
use crate::engine::moment::Stamp;
use crate::engine::task_table::TaskPhase;

/// Below this a span is told in tenths of a second.
const SHORT_MS: u64 = 10_000;

/// How long something took: `40 ms`, `1.4 s`, `12 s`, `2 h 5 min`.
pub(super) fn took(millis: u64) -> String {
    match millis {
        0 => "0 s".to_owned(),
        1..1000 => format!("{millis} ms"),
        1000..SHORT_MS => format!("{}.{} s", millis / 1000, millis % 1000 / 100),
        SHORT_MS.. => span(i64::try_from(millis).unwrap_or(i64::MAX)),
    }
}

/// A time of day in UTC, for people and for machines.
pub(super) fn instant(wall_ms: i64) -> Value {
    let Ok(at) = jiff::Timestamp::from_millisecond(wall_ms) else { return Value::Null };
    json!({"iso": at.to_string(), "text": at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()})
}

/// The same of what was journaled.
pub(super) fn stamp(at: Stamp) -> Value {
    instant(at.wall_ms)
}

/// A state: its word, the sign before it and the class of its colour.
pub(super) fn state(phase: TaskPhase) -> Value {
    json!({"word": phase.word(), "mark": mark(phase), "class": class(super::super::status::task_tone(phase))})
}

/// The class of a colour.
pub(super) fn class(tone: Tone) -> &'static str {
    match tone {
        Tone::Plain => "plain",
        Tone::Good => "good",
        Tone::Warn => "warn",
        Tone::Bad => "bad",
        Tone::Dim => "dim",
    }
}

/// One letter that tells states apart where there is no room for a word.
pub(super) fn mark(phase: TaskPhase) -> &'static str {
    match phase {
        TaskPhase::Pending => "·",
        TaskPhase::Ready => "○",
        TaskPhase::Claimed => "◔",
        TaskPhase::InProgress => "▶",
        TaskPhase::Verifying => "?",
        TaskPhase::RepairRequired => "↻",
        TaskPhase::Blocked => "!",
        TaskPhase::Completed => "✓",
        TaskPhase::Partial => "◐",
        TaskPhase::Failed => "✗",
        TaskPhase::Skipped => "–",
        TaskPhase::Cancelled => "×",
    }
}

/// The same of a verdict.
pub(super) fn verdict(checked: &Checked) -> Value {
    let (mark, class) = match checked.verdict {
        Verdict::Verified => ("✓", "good"),
        Verdict::Refuted => ("✗", "bad"),
        Verdict::Unverifiable => ("?", "warn"),
    };
    let word = if checked.is_unanswered() { "not answered yet" } else { checked.verdict.word() };
    json!({"word": word, "mark": mark, "class": class})
}
