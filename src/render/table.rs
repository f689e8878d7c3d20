//! Tables: aligned columns without borders, as wide as the terminal and no wider.
//!
//! Colour is a second cue: the words alone say everything. It leaves out what
//! stands in the cells.

use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Table as Layout};

/// Blanks between two columns.
const GAP: u16 = 2;
/// The narrowest last column that is worth keeping the others whole for.
const LAST_MIN: usize = 16;

/// What a cell's colour says beside its words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Nothing.
    Plain,
    /// As it should be.
    Good,
    /// Somebody should look.
    Warn,
    /// Not as it should be.
    Bad,
    /// Of no interest any more.
    Dim,
}

// While the table is laid out, a tone is a character without width, so that it takes no
// room and survives wrapping. `clean` escapes these in every text that isn't ours, so
// none can be forged.
const END: char = '\u{2060}';
const GOOD: char = '\u{2061}';
const WARN: char = '\u{2062}';
const BAD: char = '\u{2063}';
const DIM: char = '\u{2064}';

/// Where text goes: colour, and the width, where there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Screen {
    /// Colour is wanted.
    pub color: bool,
    /// Columns of the terminal; `None`: lines stay whole, for `grep` and friends.
    pub width: Option<usize>,
    /// The time to age by, in milliseconds since 1970.
    pub now_ms: i64,
}

/// A table in the making. Cells must be clean already.
#[derive(Debug)]
pub struct Table {
    head: Vec<String>,
    rows: Vec<Vec<String>>,
    screen: Screen,
}

impl Table {
    /// An empty table with these headings.
    #[must_use]
    pub fn new(screen: Screen, head: &[&str]) -> Self {
        let head = head.iter().map(|word| paint(screen, Tone::Dim, word)).collect();
        Self { head, rows: Vec::new(), screen }
    }

    /// Adds a row; the tone colours the cell at `toned`.
    pub fn row(&mut self, cells: Vec<String>, toned: usize, tone: Tone) {
        let screen = self.screen;
        let cells = cells.into_iter().enumerate().map(|(index, cell)| match cell {
            cell if cell.is_empty() => "-".to_owned(),
            cell if index == toned => paint(screen, tone, &cell),
            cell => cell,
        });
        self.rows.push(cells.collect());
    }

    /// The text, every line ended.
    #[must_use]
    pub fn text(self) -> String {
        let last = self.head.len().saturating_sub(1);
        let widths = self.layout(self.head.len()).column_max_content_widths();
        let fixed: usize = widths.iter().take(last).map(|width| usize::from(*width + GAP)).sum();
        let all = fixed + widths.last().map_or(0, |width| usize::from(*width));
        let text = match self.screen.width {
            None => written(self.layout(last + 1)),
            Some(width) if width >= all => written(self.layout(last + 1)),
            // Ids and states stay whole, and reasons wrap, as long as a reason has room to.
            Some(width) if width >= fixed + LAST_MIN => {
                let mut layout = self.narrow(width);
                layout.column_iter_mut().take(last).for_each(whole);
                written(layout)
            }
            // Then it stands below, so that an id can still be pasted.
            Some(width) if width + usize::from(GAP) >= fixed => self.stacked(last, width),
            Some(width) => {
                let mut layout = self.narrow(width);
                let room = widths.first().is_some_and(|id| usize::from(*id) * 2 < width);
                layout.column_iter_mut().take(usize::from(room)).for_each(whole);
                written(layout)
            }
        };
        colored(&text)
    }

    /// The first `count` columns.
    fn layout(&self, count: usize) -> Layout {
        let mut layout = Layout::new();
        layout.load_style(comfy_table::presets::NOTHING);
        layout.set_content_arrangement(ContentArrangement::Disabled);
        layout.set_header(self.head.iter().take(count));
        for row in &self.rows {
            layout.add_row(row.iter().take(count));
        }
        for (index, column) in layout.column_iter_mut().enumerate() {
            column.set_padding((0, if index + 1 == count { 0 } else { GAP }));
            column.set_cell_alignment(CellAlignment::Left);
        }
        layout
    }

    /// All of them, cells broken where they must be.
    fn narrow(&self, width: usize) -> Layout {
        let mut layout = self.layout(self.head.len());
        layout.set_content_arrangement(ContentArrangement::Dynamic);
        layout.set_width(u16::try_from(width).unwrap_or(u16::MAX));
        layout
    }

    /// Each row's last cell in lines of its own.
    fn stacked(&self, last: usize, width: usize) -> String {
        let below = |cells: &Vec<String>| {
            let words = format!("  {}", cells.get(last).map_or("", String::as_str));
            format!("{}\n", super::wrap::broken(&words, width, 2))
        };
        let lines = written(self.layout(last));
        let cells = std::iter::once(&self.head).chain(&self.rows);
        lines.lines().zip(cells).fold(String::new(), |out, (line, cells)| {
            let said =
                if cells.get(last).is_some_and(|cell| cell == "-") { String::new() } else { below(cells) };
            out + line + "\n" + &said
        })
    }
}

fn whole(column: &mut comfy_table::Column) {
    column.set_constraint(ColumnConstraint::ContentWidth);
}

/// As text, no line of which ends in blanks.
fn written(layout: Layout) -> String {
    let mut out = String::new();
    for line in layout.trim_fmt().lines() {
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// `text` with its tone, where colour is wanted.
fn paint(screen: Screen, tone: Tone, text: &str) -> String {
    let mark = match tone {
        Tone::Plain => return text.to_owned(),
        Tone::Good => GOOD,
        Tone::Warn => WARN,
        Tone::Bad => BAD,
        Tone::Dim => DIM,
    };
    if screen.color { format!("{mark}{text}{END}") } else { text.to_owned() }
}

/// `text` with its tone as a terminal wants it.
#[must_use]
pub fn toned(screen: Screen, tone: Tone, text: &str) -> String {
    colored(&paint(screen, tone, text))
}

fn colored(text: &str) -> String {
    if !text.contains([END, GOOD, WARN, BAD, DIM]) {
        return text.to_owned();
    }
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        match c {
            END => out.push_str("\u{1b}[0m"),
            GOOD => out.push_str("\u{1b}[32m"),
            WARN => out.push_str("\u{1b}[33m"),
            BAD => out.push_str("\u{1b}[31m"),
            DIM => out.push_str("\u{1b}[2m"),
            other => out.push(other),
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn screen(color: bool, width: Option<usize>) -> Screen {
        Screen { color, width, now_ms: 0 }
    }

    fn two_rows(screen: Screen) -> String {
        let mut table = Table::new(screen, &["TASK", "STATE", "REASON"]);
        table.row(vec!["a".into(), "completed".into(), String::new()], 1, Tone::Good);
        table.row(vec!["longer".into(), "failed".into(), "one two three four five six".into()], 1, Tone::Bad);
        table.text()
    }

    #[test]
    fn columns_are_aligned_and_no_line_ends_in_blanks() {
        assert_eq!(
            two_rows(screen(false, None)),
            "TASK    STATE      REASON\na       completed  -\nlonger  failed     one two three four five six\n"
        );
    }

    #[test]
    fn a_narrow_terminal_wraps_cells_and_is_never_overrun() {
        let text = two_rows(screen(false, Some(36)));
        assert!(text.lines().all(|line| line.chars().count() <= 36), "{text}");
        assert!(
            text.contains("\nlonger  failed     one two three\n"),
            "the first columns stay whole: {text}"
        );
        let tiny = two_rows(screen(false, Some(12)));
        assert!(tiny.lines().all(|line| line.chars().count() <= 12), "{tiny}");
    }

    #[test]
    fn where_a_reason_has_no_room_it_stands_below_and_ids_stay_whole() {
        assert_eq!(
            two_rows(screen(false, Some(20))),
            "TASK    STATE\n  REASON\na       completed\nlonger  failed\n  one two three four\n  five six\n"
        );
    }

    #[test]
    fn colour_changes_no_letter_and_no_column() {
        let colored = two_rows(screen(true, Some(36)));
        assert!(colored.contains("\u{1b}[31mfailed\u{1b}[0m"), "{colored:?}");
        let plain = anstream::adapter::strip_str(&colored).to_string();
        let trimmed: Vec<&str> = plain.lines().map(str::trim_end).collect();
        assert_eq!(trimmed.join("\n") + "\n", two_rows(screen(false, Some(36))));
    }

    #[test]
    fn s8_the_marks_of_colour_cannot_be_forged() {
        for mark in [END, GOOD, WARN, BAD, DIM] {
            assert!(!crate::render::clean(&format!("a{mark}b")).contains(mark));
        }
    }
}
