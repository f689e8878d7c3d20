//! Problems of a workflow file: what is wrong, where, and a picture of the line.
//!
//! It collects and draws; it judges nothing, and where a problem stands is for
//! the sibling `place` to work out.

use std::collections::HashSet;
use std::fmt::{self, Display, Write as _};

use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, SourceCode};
use regex::Regex;

use super::place::{Excerpt, Path, Source, visible};
use super::slurm::SlurmRequest;
use super::tree::Span;

/// Problems that are kept; the rest is counted. A screenful of causes helps, a flood hides them.
const MAX_PROBLEMS: usize = 100;
/// Problems among tasks that get a suggestion: searching for one takes time with many tasks.
const MAX_SUGGESTIONS: usize = 20;

/// How much a problem matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The file can't be used.
    Error,
    /// The file can be used, but not everything in it has an effect.
    Warning,
}

/// One thing to change in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where in the structure, as in `tasks.fix.needs[0]`. Empty for the whole file.
    pub path: String,
    /// What was found and what is allowed.
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// Byte offset in the file and length in bytes.
    pub span: (usize, usize),
    /// Whether it stops the file from being used.
    pub severity: Severity,
    excerpt: Excerpt,
}

/// All that is wrong with a file, in the order of its lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Errors {
    /// The file, as shown in messages.
    pub name: String,
    /// At least one, at most a hundred.
    pub problems: Vec<Problem>,
    /// How many more there are than `problems` holds.
    pub more: usize,
}

impl Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.problems.len() + self.more;
        write!(
            f,
            "use workflow `{}`: {count} problem{}",
            visible(&self.name),
            if count == 1 { "" } else { "s" }
        )
    }
}

impl std::error::Error for Errors {}

impl Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            return f.write_str(&self.message);
        }
        write!(f, "{}: {}", self.path, self.message)
    }
}

impl std::error::Error for Problem {}

impl Diagnostic for Problem {
    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
        })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(&self.excerpt)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        Some(Box::new(std::iter::once(LabeledSpan::underline(self.excerpt.mark))))
    }
}

/// Draws every problem: `file:line:column`, what is wrong, the line, what to write.
///
/// `width` is the terminal's, in columns.
#[must_use]
pub fn render(errors: &Errors, color: bool, width: usize) -> String {
    let mut out = render_problems(&errors.name, &errors.problems, color, width);
    if errors.more > 0 {
        let _ = writeln!(out, "... and {} more", errors.more);
    }
    out
}

/// Draws problems of the file that messages call `name`; used for warnings as well.
#[must_use]
pub fn render_problems(name: &str, problems: &[Problem], color: bool, width: usize) -> String {
    let theme = if color { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
    // Wrapping needs some room to work in; below that the terminal wraps.
    let handler = GraphicalReportHandler::new_themed(theme)
        .with_width(width.max(20))
        .with_links(false)
        .with_context_lines(0)
        .with_cause_chain()
        .without_syntax_highlighting();
    let mut out = String::new();
    for problem in problems {
        let _ = writeln!(out, "{}:{}:{}", visible(name), problem.line, problem.column);
        // A `String` takes every write, so that only a fault of the drawing
        // itself can fail here: the words are still worth printing.
        if handler.render_report(&mut out, problem).is_err() {
            let _ = writeln!(out, "{problem}");
        }
    }
    out
}

/// Takes problems as they are found.
pub(super) struct Sink<'s> {
    pub(super) source: Source<'s>,
    errors: Vec<Problem>,
    more: usize,
    warnings: Vec<Problem>,
    /// What the workflow asks of a cluster, for its tasks to be held against.
    pub(super) cluster: SlurmRequest,
    /// Regular expressions that compile: large files repeat a few, and compiling is what costs.
    patterns: HashSet<String>,
}

impl<'s> Sink<'s> {
    pub(super) fn new(source: Source<'s>) -> Self {
        Self {
            source,
            errors: Vec::new(),
            more: 0,
            warnings: Vec::new(),
            patterns: HashSet::new(),
            cluster: SlurmRequest::default(),
        }
    }

    /// A problem that stops the file from being used.
    pub(super) fn error(&mut self, at: &Path<'_>, span: Span, message: impl Into<String>) {
        self.add(Severity::Error, at, span, (message.into(), None));
    }

    /// The same, with what to write instead.
    pub(super) fn error_with(
        &mut self,
        at: &Path<'_>,
        span: Span,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.add(Severity::Error, at, span, (message.into(), Some(help.into())));
    }

    /// Something that has no effect.
    pub(super) fn warn(&mut self, at: &Path<'_>, span: Span, message: impl Into<String>) {
        self.add(Severity::Warning, at, span, (message.into(), None));
    }

    /// Whether a name is still worth searching for among thousands.
    pub(super) fn suggests(&self) -> bool {
        self.errors.len() < MAX_SUGGESTIONS
    }

    /// Compiles a regular expression, unless it was before; else says what is wrong with it.
    pub(super) fn pattern(&mut self, pattern: &str) -> Result<(), regex::Error> {
        if !self.patterns.contains(pattern) {
            Regex::new(pattern)?;
            self.patterns.insert(pattern.to_owned());
        }
        Ok(())
    }

    /// How many problems there are so far: what was read between two looks had none, or some.
    pub(super) fn error_count(&self) -> usize {
        self.errors.len() + self.more
    }

    /// Whether the file is refused already.
    pub(super) fn has_errors(&self) -> bool {
        !self.errors.is_empty()
    }

    /// Keeps a problem, or counts it where there are enough.
    fn add(&mut self, severity: Severity, at: &Path<'_>, span: Span, words: (String, Option<String>)) {
        let list = match severity {
            Severity::Error => &mut self.errors,
            Severity::Warning => &mut self.warnings,
        };
        if list.len() >= MAX_PROBLEMS {
            if severity == Severity::Error {
                self.more += 1;
            }
            return;
        }
        // Worked out now, because the text isn't kept.
        let (line, column, excerpt) = self.source.place(span);
        let span = (span.start() + self.source.skipped, span.len());
        let (message, help) = words;
        list.push(Problem { path: at.to_string(), message, help, line, column, span, severity, excerpt });
    }

    /// The warnings, or all that is wrong.
    pub(super) fn finish(mut self, name: &str) -> Result<Vec<Problem>, Errors> {
        if self.errors.is_empty() {
            self.warnings.sort_by_key(|problem| problem.span.0);
            return Ok(self.warnings);
        }
        self.errors.sort_by_key(|problem| problem.span.0);
        Err(Errors { name: name.to_owned(), problems: self.errors, more: self.more })
    }
}
