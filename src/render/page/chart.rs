//! The bars of the timeline as SVG: places in percent, so that they fit any width.
//!
//! Nothing here is anybody's text, and a screen reader has the words that stand beside each bar
//! instead. It leaves out colours, which are the style sheet's.

use std::fmt::Write as _;

use super::timeline::{Lane, Stage, Timeline, millis};
use crate::engine::moment::Moment;

/// Marks on the axis, beside the one at its beginning.
const TICKS: u64 = 4;
/// A number stands in a bar that is at least so wide, in hundredths of a percent.
const LABEL_MIN: u64 = 300;

/// One task's bars; of a maker, a thin one while its own tasks go on.
pub(super) fn bars(line: &Timeline, lane: &Lane, is_maker: bool) -> String {
    let mut out = open();
    for span in &lane.spans {
        let (x, width) = place(line, span.from, span.to);
        // Who has no worker isn't at work: its own tasks are, below.
        let (class, y, height) = if is_maker && span.stage == Stage::Working {
            ("span", 7, 4)
        } else {
            (span.stage.class(), 3, 12)
        };
        let _ = write!(
            out,
            "<rect class=\"{class}\" x=\"{}%\" y=\"{y}\" width=\"{}%\" height=\"{height}\"/>",
            percent(x),
            percent(width)
        );
        if span.attempt > 1 && span.stage == Stage::Working && width >= LABEL_MIN {
            let _ = write!(
                out,
                "<text class=\"n\" x=\"{}%\" dx=\"3\" y=\"13\">{}</text>",
                percent(x),
                span.attempt
            );
        }
    }
    if let Some((x, _)) = lane.ended.filter(|_| !lane.spans.is_empty()).map(|at| place(line, at, at)) {
        let _ = write!(out, "<rect class=\"end\" x=\"{}%\" y=\"1\" width=\"2\" height=\"16\"/>", percent(x));
    }
    out.push_str("</svg>");
    out
}

/// When somebody supervised.
pub(super) fn lives(line: &Timeline) -> String {
    let mut out = open();
    for (from, to) in &line.lives {
        let (x, width) = place(line, *from, *to);
        let (x, width) = (percent(x), percent(width));
        let _ = write!(out, "<rect class=\"life\" x=\"{x}%\" y=\"7\" width=\"{width}%\" height=\"4\"/>");
    }
    out.push_str("</svg>");
    out
}

/// The times along the top, and how far apart they are.
pub(super) fn axis(line: &Timeline) -> String {
    let mut out = open();
    for tick in 0..=TICKS {
        let x = tick * 10_000 / TICKS;
        let anchor = match tick {
            0 => "start",
            TICKS => "end",
            _ => "middle",
        };
        let at = super::words::took(line.millis() * tick / TICKS);
        let _ = write!(out, "<text x=\"{}%\" y=\"12\" text-anchor=\"{anchor}\">{at}</text>", percent(x));
    }
    out.push_str("</svg>");
    out
}

/// A sample of a stage, for the legend.
pub(super) fn sample(stage: Stage) -> String {
    format!(
        "<svg class=\"sample\" width=\"26\" height=\"14\" aria-hidden=\"true\"><rect class=\"{}\" x=\"1\" y=\"1\" width=\"24\" height=\"12\"/></svg>",
        stage.class()
    )
}

fn open() -> String {
    "<svg class=\"bars\" width=\"100%\" height=\"18\" aria-hidden=\"true\">".to_owned()
}

/// The beginning and the width, in hundredths of a percent of the whole.
fn place(line: &Timeline, from: Moment, to: Moment) -> (u64, u64) {
    let whole = line.millis().max(1);
    let share = |at: Moment| (millis(line.from, at).saturating_mul(10_000) / whole).min(10_000);
    (share(from), share(to) - share(from))
}

/// Hundredths of a percent, as SVG writes them.
fn percent(hundredths: u64) -> String {
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}
