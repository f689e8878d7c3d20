//! A few lines at the bottom of a terminal that are written again in place, below lines that stay.
//!
//! It makes the bytes and leaves out writing them. What it can't know is somebody else's
//! writing in between: a stop and its `fg` are told to it, so that nothing of the shell's is
//! taken away.

use std::fmt::Write as _;

use anstream::adapter::strip_str;
use unicode_width::UnicodeWidthStr;

/// What stands there now.
#[derive(Debug, Default)]
pub struct Region {
    shown: Vec<String>,
}

impl Region {
    /// The bytes that put `above` where it stays and `lines` below it, on a terminal of so many
    /// columns; none where that stands there already.
    pub fn draw(&mut self, above: &str, lines: Vec<String>, columns: usize) -> String {
        if above.is_empty() && lines == self.shown {
            return String::new();
        }
        let mut bytes = String::new();
        let rows: usize = self.shown.iter().map(|line| rows(line, columns)).sum();
        if rows > 0 {
            // Up to its first line, and away with all of it. The cursor stands below its last.
            // Writing to a string can't fail.
            let _ = write!(bytes, "\u{1b}[{rows}A\r\u{1b}[J");
        }
        bytes.push_str(above);
        for line in &lines {
            bytes.push_str(line);
            bytes.push('\n');
        }
        self.shown = lines;
        bytes
    }

    /// Others have written below it since: what stands there stays.
    pub fn forget(&mut self) {
        self.shown.clear();
    }
}

/// How many rows a line takes: a terminal that has become narrower wraps what it has.
fn rows(line: &str, columns: usize) -> usize {
    strip_str(line).to_string().width().div_ceil(columns.max(1)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn what_stays_is_written_once_and_what_moves_in_its_place() {
        let mut region = Region::default();
        assert_eq!(region.draw("one\n", lines("a\nb"), 80), "one\na\nb\n");
        assert_eq!(region.draw("", lines("a\nb"), 80), "", "nothing has changed");
        assert_eq!(region.draw("", lines("a\nc"), 80), "\u{1b}[2A\r\u{1b}[Ja\nc\n");
        assert_eq!(region.draw("two\n", lines("a\nc"), 80), "\u{1b}[2A\r\u{1b}[Jtwo\na\nc\n");
        assert_eq!(region.draw("", Vec::new(), 80), "\u{1b}[2A\r\u{1b}[J");
        assert_eq!(region.draw("", Vec::new(), 80), "");
    }

    #[test]
    fn a_line_that_wraps_is_taken_away_whole_and_colour_has_no_width() {
        let mut region = Region::default();
        region.draw("", lines("\u{1b}[31m0123456789\u{1b}[0m\nshort"), 10);
        assert!(region.draw("", lines("x"), 10).starts_with("\u{1b}[2A"));
        region.draw("", lines("0123456789012\n"), 80);
        assert!(region.draw("", Vec::new(), 6).starts_with("\u{1b}[3A"), "it became narrower");
    }

    #[test]
    fn what_was_forgotten_is_left_alone() {
        let mut region = Region::default();
        region.draw("", lines("a"), 80);
        region.forget();
        assert_eq!(region.draw("", lines("a"), 80), "a\n");
    }
}
