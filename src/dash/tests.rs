//! The dashboard from its outside: pictures, keys, and whatever may come.

mod keys;
mod pictures;
mod random;

use super::{Dash, Key, Look, Progress, Screen};
use crate::engine::task_table::TaskPhase;
use crate::engine::view::RunView;
use crate::render::sample;

/// A run of these tasks, all of them pending: name, needs, maker.
pub(super) fn run(plan: &[(&str, &[&str], Option<&str>)]) -> RunView {
    let mut view = sample::view();
    view.workers.clear();
    view.tasks = plan
        .iter()
        .map(|(id, needs, parent)| {
            let mut task = sample::task(id, TaskPhase::Pending, "", needs);
            task.parent = parent.map(str::to_owned);
            task
        })
        .collect();
    view
}

/// The sample run, two minutes after its start.
fn look() -> Look {
    of(sample::view())
}

fn of(view: RunView) -> Look {
    let made =
        Progress { output_bytes: 3 << 20, cpu_ms: 41_500, note: Some("3 of 9 \u{1b}[2Jfiles".to_owned()) };
    Look {
        view,
        held: true,
        beside: sample::beside(),
        progress: [("fix.1".to_owned(), made)].into(),
        now_ms: sample::START_MS + 120_000,
    }
}

fn dash(look: Look) -> Dash {
    Dash::new(look, false, 24)
}

/// What is shown at a size, line by line, without the blanks at the ends.
fn picture(dash: &mut Dash, (columns, lines): (u16, u16)) -> String {
    let mut screen = Screen::new(ratatui::backend::TestBackend::new(columns, lines), false);
    screen.draw(dash).unwrap();
    let buffer = screen.backend_mut().buffer();
    let cells: Vec<&str> = buffer.content.iter().map(|cell| cell.symbol()).collect();
    let rows = cells.chunks(usize::from(columns).max(1)).map(|row| {
        let row: String = row.concat();
        assert!(row.chars().all(|c| !c.is_control()), "{row:?}");
        format!("{}\n", row.trim_end())
    });
    rows.collect()
}

fn press(dash: &mut Dash, keys: &str) {
    for key in keys.chars() {
        let wish = dash.key(Key::Char(key));
        assert_eq!(wish, None, "{key}");
    }
}
