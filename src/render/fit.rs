//! Text in columns: how wide it is, where it is cut, and how it wraps.
//!
//! Everything that comes in is clean already; tabs are the one thing left that a terminal would
//! act on. It leaves out tables (`table`).

use std::ops::Range;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// A blank at which no line is broken, while it is laid out.
const HELD: char = '\u{a0}';
/// Columns between two stops of a tab.
const TAB: usize = 8;

/// How many columns it takes.
#[must_use]
pub fn width(text: &str) -> usize {
    text.width()
}

/// Cut to `most` columns; what is cut ends in an ellipsis.
#[must_use]
pub fn cut(text: &str, most: usize) -> String {
    if width(text) <= most {
        return text.to_owned();
    }
    let Some(room) = most.checked_sub(1) else { return String::new() };
    let mut out = head(text, room).to_owned();
    out.push('…');
    out
}

/// Cut or filled with blanks to exactly `columns`.
#[must_use]
pub fn fit(text: &str, columns: usize) -> String {
    let mut out = cut(text, columns);
    out.extend(std::iter::repeat_n(' ', columns.saturating_sub(width(&out))));
    out
}

/// As much from the front as fits.
fn head(text: &str, most: usize) -> &str {
    let mut taken = 0;
    let end = text.char_indices().find(|(_, c)| {
        taken += c.width().unwrap_or(0);
        taken > most
    });
    end.map_or(text, |(at, _)| &text[..at])
}

/// With its tabs as blanks.
#[must_use]
pub fn untabbed(line: &str) -> String {
    if !line.contains('\t') {
        return line.to_owned();
    }
    let mut column = 0;
    line.chars().fold(String::with_capacity(line.len() + TAB), |mut out, c| {
        let blanks = if c == '\t' { TAB - column % TAB } else { 0 };
        if c == '\t' {
            out.extend(std::iter::repeat_n(' ', blanks));
        } else {
            out.push(c);
        }
        column += blanks + c.width().unwrap_or(0);
        out
    })
}

/// The parts of a line that fit into `columns` each: between words where `words`, else wherever
/// the edge is. An empty line is one empty part.
#[must_use]
pub fn wrap(line: &str, columns: usize, words: bool) -> Vec<Range<usize>> {
    let mut parts = Vec::new();
    let mut from = 0;
    // Each part is looked at once: a line may be as long as a whole log.
    while from < line.len() {
        let rest = &line[from..];
        let mut fits = head(rest, columns).len();
        if fits == rest.len() || columns == 0 {
            break;
        }
        if fits == 0 {
            // A character that is wider than the whole room.
            fits = rest.chars().next().map_or(rest.len(), char::len_utf8);
        }
        if words && let Some(blank) = rest[..fits].rfind(' ').filter(|at| *at > fits / 3) {
            fits = blank + 1;
        }
        parts.push(from..from + rest[..fits].trim_end().len());
        from += fits;
        if words {
            from += line[from..].bytes().take_while(|byte| *byte == b' ').count();
        }
    }
    if from < line.len() || parts.is_empty() {
        parts.push(from..line.len());
    }
    parts
}

/// A sentence on lines of so many columns, each after the first behind `indent` blanks. What
/// stands in parentheses or backquotes is a line to type, and isn't broken where it fits on a
/// line of its own.
#[must_use]
pub fn paragraph(text: &str, columns: usize, indent: usize) -> String {
    let mut inside = None;
    let mut deep = String::with_capacity(text.len());
    for c in text.chars() {
        inside = match (inside, c) {
            (None, '(') => Some(')'),
            (None, '`') => Some('`'),
            (Some(end), c) if c == end => None,
            (inside, _) => inside,
        };
        deep.push(if c == ' ' && inside.is_some() { HELD } else { c });
    }
    let first = wrap(&deep, columns, true).into_iter().next().unwrap_or_default();
    let rest = deep[first.end..].trim_start();
    let mut lines = vec![deep[first].to_owned()];
    if !rest.is_empty() {
        let parts = wrap(rest, columns.saturating_sub(indent).max(1), true).into_iter();
        lines.extend(parts.map(|part| format!("{}{}", " ".repeat(indent), &rest[part])));
    }
    lines.join("\n").replace(HELD, " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_and_filled_by_columns_and_not_by_letters() {
        assert_eq!(cut("build", 5), "build");
        assert_eq!(cut("build", 4), "bui…");
        assert_eq!(cut("build", 0), "");
        assert_eq!(cut("日本語", 4), "日…");
        assert_eq!(fit("日本", 5), "日本 ");
        assert_eq!(fit("日本語", 4), "日… ");
    }

    #[test]
    fn tabs_reach_the_next_stop() {
        assert_eq!(untabbed("a\tb\t\tc"), "a       b               c");
        assert_eq!(untabbed("plain"), "plain");
    }

    #[test]
    fn a_long_line_wraps_between_words_or_at_the_edge_and_loses_no_letter() {
        let wrap = |line: &'static str, columns, words| -> Vec<&str> {
            super::wrap(line, columns, words).into_iter().map(|part| &line[part]).collect()
        };
        assert_eq!(wrap("one two three", 8, true), ["one two", "three"]);
        assert_eq!(wrap("onetwothree", 4, true), ["onet", "woth", "ree"]);
        assert_eq!(wrap("a b", 2, false), ["a", "b"]);
        assert_eq!(wrap("", 8, true), [""]);
        assert_eq!(
            wrap("日本語", 1, false),
            ["日", "本", "語"],
            "wider than the room, and still not for ever"
        );
        assert_eq!(wrap("abc", 0, false), ["abc"]);
        for columns in 1..20 {
            let letters: String = wrap("some words, longerwordsthanthat", columns, true).concat();
            assert_eq!(letters.replace(' ', ""), "somewords,longerwordsthanthat");
        }
    }

    #[test]
    fn a_line_to_type_is_broken_only_where_it_fits_nowhere() {
        let text =
            "09:00:00 ! docs  waits for your approval: Publish? (ilchul approve docs, or ilchul deny docs)";
        assert_eq!(
            paragraph(text, 60, 11),
            "09:00:00 ! docs  waits for your approval: Publish?\n           (ilchul approve docs, or ilchul deny docs)"
        );
        assert_eq!(paragraph(text, 200, 11), text);
        assert_eq!(paragraph("a short one", 80, 11), "a short one");
        assert_eq!(paragraph("say `ilchul up` now", 8, 2), "say\n  `ilchu\n  l up`\n  now");
        for columns in 1..120 {
            let letters = paragraph(text, columns, 11).replace([' ', '\n'], "");
            assert_eq!(letters, text.replace(' ', ""), "{columns}");
        }
    }
}
