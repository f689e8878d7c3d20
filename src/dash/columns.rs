//! The columns of the list: which there are at a width, and what stands in them.
//!
//! The name and the state come first and are never left out; the reason takes what is left.

use ratatui::layout::Rect;
use ratatui::style::Modifier;

use super::draw::Paper;
use super::list::Row;
use super::model::Dash;
use crate::engine::evidence::Verdict;
use crate::engine::view::TaskView;
use crate::render::control;
use crate::render::fit::{cut, fit};
use crate::render::status::task_tone;
use crate::render::table::Tone;
use crate::render::words::{line, parse_time, reason, task_reason};

/// Blanks between two columns.
const GAP: usize = 2;
/// The mark before a name.
const MARK: usize = 2;
/// The narrowest reason that is worth a column.
const REASON_MIN: usize = 12;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    Name,
    State,
    Age,
    Attempt,
    Heard,
    Progress,
    Worker,
    Evidence,
    Reason,
}

impl Column {
    fn head(self) -> &'static str {
        match self {
            Self::Name => "TASK",
            Self::State => "STATE",
            Self::Age => "AGE",
            Self::Attempt => "TRY",
            Self::Heard => "HEARD",
            Self::Progress => "PROGRESS",
            Self::Worker => "WORKER",
            Self::Evidence => "EVIDENCE",
            Self::Reason => "REASON",
        }
    }
}

/// The columns of one picture, each with its width.
pub(super) struct Columns(Vec<(Column, usize)>);

impl Columns {
    pub(super) fn new(dash: &Dash, all: usize) -> Self {
        let name = dash.widest.clamp(4, (all / 3).max(8));
        // By what is to be given up last.
        let optional = [
            (Column::Age, 6),
            (Column::Attempt, 5),
            (Column::Heard, 5),
            (Column::Evidence, 12),
            (Column::Progress, 17),
            (Column::Worker, name + 2),
        ];
        let state = dash.state.max(Column::State.head().len());
        let mut columns = vec![(Column::Name, name), (Column::State, state)];
        let mut used = MARK + name + GAP + state;
        let mut taken = Vec::new();
        // A column of little use gives way to more of the reason.
        let reserve = |column| match column {
            Column::Age | Column::Attempt => REASON_MIN,
            Column::Heard => REASON_MIN + 8,
            Column::Evidence | Column::Progress | Column::Worker => REASON_MIN + 34,
            Column::Name | Column::State | Column::Reason => 0,
        };
        for (column, columns) in optional {
            if used + GAP + columns + GAP + reserve(column) <= all {
                used += GAP + columns;
                taken.push((column, columns));
            }
        }
        let order =
            [Column::Age, Column::Attempt, Column::Worker, Column::Heard, Column::Progress, Column::Evidence];
        columns
            .extend(order.iter().filter_map(|column| taken.iter().find(|taken| taken.0 == *column).copied()));
        if let Some(left) = all.checked_sub(used + GAP).filter(|left| *left >= REASON_MIN) {
            columns.push((Column::Reason, left));
        }
        Self(columns)
    }

    pub(super) fn head(&self) -> String {
        let cells: Vec<String> = self.0.iter().map(|(column, width)| fit(column.head(), *width)).collect();
        format!("{}{}", " ".repeat(MARK), cells.join(&" ".repeat(GAP)))
    }

    /// What stands in each column for one task, and the colour of its state.
    pub(super) fn row(&self, dash: &Dash, row: &Row) -> (Vec<String>, Tone, bool) {
        let task = &dash.look.view.tasks[row.task];
        let cells = self.0.iter().map(|(column, width)| cell(dash, (row, task), *column, *width)).collect();
        (cells, task_tone(task.phase), dash.waiting.binary_search(&row.task).is_ok())
    }

    pub(super) fn draw(
        &self,
        paper: &mut Paper<'_>,
        place: Rect,
        ((cells, tone, waits), selected): (&(Vec<String>, Tone, bool), bool),
    ) {
        let style = |paper: &Paper<'_>, tone| {
            let style = paper.tone(tone);
            if selected { style.add_modifier(Modifier::REVERSED) } else { style }
        };
        let plain = style(paper, Tone::Plain);
        let mark = match (selected, waits) {
            (true, true) => ">!",
            (true, false) => "> ",
            (false, true) => " !",
            (false, false) => "  ",
        };
        // The whole line first, so that a selected one has no holes.
        paper.line(place, mark, plain);
        let mut x = MARK;
        for ((column, width), cell) in self.0.iter().zip(cells) {
            let style = if *column == Column::State { style(paper, *tone) } else { plain };
            let at = u16::try_from(x).unwrap_or(u16::MAX).min(place.width);
            let room = u16::try_from(*width).unwrap_or(u16::MAX).min(place.width - at);
            paper.line(Rect { x: place.x + at, width: room, ..place }, cell, style);
            x += width + GAP;
        }
    }
}

fn cell(dash: &Dash, (row, task): (&Row, &TaskView), column: Column, columns: usize) -> String {
    let worker = dash.worker(task).filter(|worker| worker.phase.is_live());
    match column {
        Column::Name => format!("{}{}", row.lead(), task.id),
        Column::State => task.phase.word().to_owned(),
        Column::Age => brief(dash.look.now_ms, task.since.wall_ms),
        // Nobody tries a control task: its own tasks have attempts.
        Column::Attempt if task.attempt == 0 || control::is_control(task) => String::new(),
        Column::Attempt => format!("{}/{}", task.attempt, task.allowed),
        Column::Worker => task.worker.clone().unwrap_or_default(),
        Column::Heard => {
            let at = worker.and_then(|worker| parse_time(dash.look.beside.beats.get(&worker.id)?));
            at.map(|at| brief(dash.look.now_ms, at)).unwrap_or_default()
        }
        Column::Progress => {
            let progress = worker.and_then(|worker| dash.look.progress.get(&worker.id));
            progress
                .map(|made| format!("{}, {} cpu", size(made.output_bytes), seconds(made.cpu_ms)))
                .unwrap_or_default()
        }
        Column::Evidence => evidence(task),
        Column::Reason => cut(&why(dash, task), columns),
    }
}

/// Why a task is where it is, and what its worker wants to be read, in one line.
fn why(dash: &Dash, task: &TaskView) -> String {
    let mut why = reason(&task_reason(task));
    let Some(worker) = dash.worker(task).filter(|worker| worker.phase.is_live()) else { return why };
    if worker.lost {
        why.push_str(", lost");
    } else if !worker.reason.is_empty() {
        why.push_str(&format!(", {}", reason(&worker.reason)));
    }
    if let Some(note) = dash.look.progress.get(&worker.id).and_then(|progress| progress.note.as_ref()) {
        why.push_str(&format!(": {}", line(note)));
    }
    why
}

/// `2 of 3 ok`, `waived`.
fn evidence(task: &TaskView) -> String {
    match &task.declared {
        Err(_) => "waived".to_owned(),
        Ok(_) if task.evidence.is_empty() => String::new(),
        Ok(declared) => {
            let fine = task.evidence.iter().filter(|checked| checked.verdict == Verdict::Verified).count();
            format!("{fine} of {} ok", declared.len())
        }
    }
}

/// An age in a column: `12s`, `3m`, `2h5m`, `3d4h`.
fn brief(now_ms: i64, then_ms: i64) -> String {
    let seconds = now_ms.saturating_sub(then_ms).max(0) / 1000;
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match seconds {
        ..60 => format!("{seconds}s"),
        60..3600 => format!("{minutes}m"),
        3600..86_400 => format!("{hours}h{}m", minutes % 60),
        86_400..8_640_000 => format!("{days}d{}h", hours % 24),
        8_640_000.. => format!("{days}d"),
    }
}

/// `512 B`, `12 KiB`, `3.4 MiB`.
fn size(bytes: u64) -> String {
    match bytes {
        ..1024 => format!("{bytes} B"),
        1024..1_048_576 => format!("{} KiB", bytes >> 10),
        1_048_576..1_073_741_824 => format!("{}.{} MiB", bytes >> 20, (bytes >> 10) % 1024 * 10 / 1024),
        1_073_741_824.. => format!("{}.{} GiB", bytes >> 30, (bytes >> 20) % 1024 * 10 / 1024),
    }
}

fn seconds(millis: u64) -> String {
    match millis {
        ..60_000 => format!("{}s", millis / 1000),
        60_000.. => format!("{}m", millis / 60_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::fit::width;

    #[test]
    fn ages_and_sizes_stay_within_their_columns() {
        let ages: Vec<String> = [0, 59, 60, 3_599, 3_600, 86_399, 86_400, 8_639_999, 8_640_000, -5]
            .map(|seconds: i64| brief(seconds * 1000, 0))
            .into();
        assert_eq!(ages, ["0s", "59s", "1m", "59m", "1h0m", "23h59m", "1d0h", "99d23h", "100d", "0s"]);
        assert!(ages.iter().all(|age| width(age) <= 6));
        let sizes: Vec<String> = [0, 1023, 1024, 1_048_575, 3_565_158, 5 << 30].map(size).into();
        assert_eq!(sizes, ["0 B", "1023 B", "1 KiB", "1023 KiB", "3.3 MiB", "5.0 GiB"]);
        assert_eq!([seconds(59_999), seconds(3_600_000)], ["59s", "60m"]);
    }
}
