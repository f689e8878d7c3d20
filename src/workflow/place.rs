//! Where things stand: in the file by line and column, in the structure by a path of keys.
//!
//! Also the piece of a line that a picture shows, and the safe form of text
//! that others wrote. A problem keeps that piece only, so that a long file
//! isn't held for the sake of its errors, and neither a control character nor
//! a line of a megabyte reaches a terminal. What is wrong isn't said here.

use std::fmt::{self, Display};

use miette::{MietteError, MietteSpanContents, SourceCode, SourceSpan, SpanContents};

use super::tree::Span;

/// Characters of a line that a picture shows.
const MAX_EXCERPT: usize = 100;
/// Characters of somebody's text that a message repeats.
const MAX_QUOTE: usize = 60;

/// The text that positions refer to.
pub(super) struct Source<'s> {
    text: &'s str,
    /// Bytes before `text` in the file (a byte order mark).
    pub(super) skipped: usize,
    /// Where each line begins in `text`.
    starts: Vec<usize>,
}

impl<'s> Source<'s> {
    /// Finds the lines once, so that each place costs a binary search.
    pub(super) fn new(text: &'s str, skipped: usize) -> Self {
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let starts = std::iter::once(0).chain(breaks.map(|(at, _)| at + 1)).collect();
        Self { text, skipped, starts }
    }

    /// The line that holds a byte of the text, from 1.
    pub(super) fn line(&self, offset: usize) -> usize {
        self.starts.partition_point(|start| *start <= offset)
    }

    /// The text of a span; empty where it isn't one.
    pub(super) fn slice(&self, span: Span) -> &'s str {
        self.text.get(span.start()..span.end()).unwrap_or_default()
    }

    /// Line, column in characters (both from 1), and the picture.
    pub(super) fn place(&self, span: Span) -> (usize, usize, Excerpt) {
        // A faulty position of the parser's must not become a panic of ours.
        let mut start = span.start().min(self.text.len());
        while !self.text.is_char_boundary(start) {
            start -= 1;
        }
        let line = self.line(start);
        let line_start = self.starts.get(line - 1).copied().unwrap_or(0);
        let rest = self.text.get(line_start..).unwrap_or_default();
        let content = rest.split(['\n']).next().unwrap_or_default().trim_end_matches('\r');
        let before = start.saturating_sub(line_start).min(content.len());
        let column = content.get(..before).map_or(0, |text| text.chars().count());
        // What lies on later lines isn't drawn: one line says where to look.
        let marked = content.get(before..).unwrap_or_default();
        let length = marked.char_indices().take_while(|(at, _)| *at < span.len().max(1)).count().max(1);
        let excerpt = excerpt(content, column, length, line);
        (line, column + 1, excerpt)
    }
}

/// A piece of one line, made safe for a terminal, and the bytes of it to underline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Excerpt {
    text: String,
    /// From 1.
    line: usize,
    /// Offset and length in bytes of what is underlined.
    pub(super) mark: (usize, usize),
}

impl SourceCode for Excerpt {
    fn read_span<'a>(
        &'a self,
        _span: &SourceSpan,
        _lines_before: usize,
        _lines_after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let whole = (0, self.text.len()).into();
        let line = self.line.saturating_sub(1);
        Ok(Box::new(MietteSpanContents::new(self.text.as_bytes(), whole, line, 0, 1)))
    }
}

/// Cuts a window around the marked characters and makes it safe to print.
fn excerpt(content: &str, column: usize, length: usize, line: usize) -> Excerpt {
    // Short columns keep the line's start, which is what people look for.
    let from = if column + 20 < MAX_EXCERPT { 0 } else { column - 40 };
    let mut text = String::new();
    let mut mark = (0, 0);
    if from > 0 {
        text.push('…');
    }
    for (index, character) in content.chars().enumerate().skip(from).take(MAX_EXCERPT) {
        if index == column {
            mark.0 = text.len();
        }
        text.push(if character == '\t' { character } else { safe(character) });
        if (column..column.saturating_add(length)).contains(&index) {
            mark.1 = text.len() - mark.0;
        }
    }
    if mark.1 == 0 {
        // Behind the line's end: a blank to point at.
        mark = (text.len(), 1);
        text.push(' ');
    } else if content.chars().nth(from + MAX_EXCERPT).is_some() {
        text.push('…');
    }
    Excerpt { text, line, mark }
}

/// A character that shows where one was that a terminal would act on.
fn safe(character: char) -> char {
    match character {
        '\0'..='\u{1f}' => char::from_u32(0x2400 + u32::from(character)).unwrap_or('\u{fffd}'),
        '\u{7f}' => '\u{2421}',
        '\u{80}'..='\u{9f}'
        | '\u{ad}'
        | '\u{61c}'
        | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{34f}'
        | '\u{115f}'
        | '\u{1160}'
        | '\u{180e}'
        | '\u{3164}'
        | '\u{ffa0}'
        | '\u{fff9}'..='\u{fffb}'
        | '\u{feff}'
        // The tags that spell out words nobody sees.
        | '\u{e0000}'..='\u{e007f}' => '\u{fffd}',
        other => other,
    }
}

/// The text with everything that a terminal would act on made visible.
pub(super) fn visible(text: &str) -> String {
    text.chars().map(safe).collect()
}

/// Somebody's text for a message: in backticks, cut short, safe to print.
pub(super) fn quote(text: &str) -> String {
    let mut out = String::from("`");
    out.extend(text.chars().take(MAX_QUOTE).map(safe));
    if text.chars().nth(MAX_QUOTE).is_some() {
        out.push('…');
    }
    out.push('`');
    out
}

/// Where in the structure: kept as links, and only written out for a problem.
#[derive(Clone, Copy)]
pub(super) struct Path<'p> {
    parent: Option<&'p Path<'p>>,
    step: Step<'p>,
}

#[derive(Clone, Copy)]
enum Step<'p> {
    Root,
    Key(&'p str),
    Index(usize),
    Written(&'p str),
}

impl<'p> Path<'p> {
    /// The file's own mapping.
    pub(super) const ROOT: Path<'static> = Path { parent: None, step: Step::Root };

    /// A place that was written out before, because its links are gone.
    pub(super) fn written(path: &'p str) -> Self {
        Path { parent: None, step: Step::Written(path) }
    }

    /// One key further down.
    pub(super) fn key<'q>(&'q self, key: &'q str) -> Path<'q>
    where
        'p: 'q,
    {
        Path { parent: Some(self), step: Step::Key(key) }
    }

    /// One item further down, counted from 0.
    pub(super) fn index<'q>(&'q self, index: usize) -> Path<'q>
    where
        'p: 'q,
    {
        Path { parent: Some(self), step: Step::Index(index) }
    }
}

impl Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            Display::fmt(parent, f)?;
        }
        match self.step {
            Step::Root => Ok(()),
            Step::Written(path) => f.write_str(path),
            Step::Index(index) => write!(f, "[{index}]"),
            Step::Key(key) => {
                let dot = if self.parent.is_some_and(|parent| parent.parent.is_some()) { "." } else { "" };
                write!(f, "{dot}{}", quote(key).trim_matches('`'))
            }
        }
    }
}
