//! Prompt templates: which values of other tasks they name, checked before the run.
//!
//! Only the forms of the contract and `refuted` are let through, each by itself: a
//! parser that recurses would let a stranger's prompt overflow our stack, and
//! loops or filters have nothing to do here. What is let through is brought
//! into a form that minijinja reads as it was meant: ids may hold `-` or begin
//! with a digit, which it would take for arithmetic. Filling in is not done here.

use std::sync::LazyLock;

use minijinja::Environment;
use regex::{Captures, Regex};

use super::error::Sink;
use super::model::Need;
use super::place::{Path, quote};
use super::scalar;
use super::tree::{Node, Span};

/// Tags of one prompt that are refused one by one: by then it was written for something else.
const MAX_FAULTS: usize = 10;
const ALLOWED: &str = "a prompt may use {{ needs.TASK.summary }}, {{ needs.TASK.outputs.NAME }} and {{ refuted }}; for two braces write {{ '{{' }}";
const ALLOWED_IN_MAP: &str = "this prompt may use {{ item }}, {{ item.NAME }}, {{ needs.TASK.summary }}, {{ needs.TASK.outputs.NAME }} and {{ refuted }}; for two braces write {{ '{{' }}";

/// What a prompt may name.
#[derive(Clone, Copy)]
pub(super) struct Names<'n> {
    /// Whose values it may use.
    pub(super) needs: &'n [Need],
    /// Whether it stands in a `map`, and so has an element to work on.
    pub(super) has_item: bool,
}

impl Names<'_> {
    fn allowed(&self) -> &'static str {
        if self.has_item { ALLOWED_IN_MAP } else { ALLOWED }
    }
}

/// A whole tag, from its first brace on: a need's value, an element of a map, what was refuted, or braces meant as text.
static TAG: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let value = r"needs\.([a-z0-9][a-z0-9_-]*)\.(?:(summary)|outputs\.([A-Za-z0-9_][A-Za-z0-9_-]*?))";
    let braces = r"(refuted|'[{}%#]{1,2}')";
    let item = r"(item)(?:\.([A-Za-z0-9_][A-Za-z0-9_-]*?))?";
    Regex::new(&format!(r"^\{{\{{(-?)\s*(?:{value}|{braces}|{item})\s*(-?)\}}\}}")).ok()
});

/// Checks a prompt; returns it in the form that can be filled in.
pub(super) fn check(
    sink: &mut Sink<'_>,
    at: &Path<'_>,
    written: (&Node<'_>, &str),
    names: Names<'_>,
) -> String {
    let (node, text) = written;
    let mut prompt = String::with_capacity(text.len());
    let mut rest = text;
    let mut has_tags = false;
    let mut faults = 0;
    while let Some(start) = opening(rest) {
        has_tags = true;
        prompt.push_str(&rest[..start]);
        let tag = &rest[start..];
        let length = if let Some(found) = TAG.as_ref().and_then(|form| form.captures(tag)) {
            value(sink, at, node, (&found, names));
            prompt.push_str(&rewritten(&found));
            found[0].len()
        } else {
            faults += 1;
            // Up to its end, or as much as tells it from others.
            let shown: String = tag.chars().take(40).take_while(|it| !matches!(it, '}' | '\n')).collect();
            let message = format!("{} can't be filled in", quote(shown.trim_end()));
            sink.error_with(at, find(sink, node, shown.trim_end()), message, names.allowed());
            prompt.push_str(&tag[..2]);
            2
        };
        rest = &tag[length..];
        if faults == MAX_FAULTS {
            break;
        }
    }
    prompt.push_str(rest);
    // The last word has who fills it in. What follows braces that were refused isn't asked again.
    if has_tags
        && !sink.has_errors()
        && let Err(error) = Environment::empty().template_from_str(&prompt)
    {
        let said = error.detail().unwrap_or("it can't be parsed");
        sink.error_with(at, node.span, format!("this isn't a template: {said}"), names.allowed());
    }
    prompt
}

/// Where the next tag, statement or comment begins.
fn opening(text: &str) -> Option<usize> {
    text.as_bytes().windows(2).position(|pair| matches!(pair, b"{{" | b"{%" | b"{#"))
}

/// The task that a tag names must be among the needs: only their values are there at its start.
fn value(sink: &mut Sink<'_>, at: &Path<'_>, node: &Node<'_>, (found, names): (&Captures<'_>, Names<'_>)) {
    if found.get(6).is_some() && !names.has_item {
        let message = "the prompt names `item`, which only the `each` of a `map` has";
        sink.error(at, find(sink, node, &found[0]), message);
    }
    let Some(id) = found.get(2).map(|id| id.as_str()) else { return };
    let needs = names.needs;
    if needs.iter().any(|need| need.task == id) {
        return;
    }
    let help = match scalar::nearest(id, needs.iter().map(|need| need.task.as_str())) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "add it to the task's needs".to_owned(),
    };
    let message = format!("the prompt names the task {}, which isn't among the needs", quote(id));
    // With what stands before it, lest an id is found in the middle of a word.
    let span = find(sink, node, &format!("needs.{id}."));
    sink.error_with(at, span, message, help);
}

/// The tag with ids and names as subscripts, which minijinja can't take apart.
fn rewritten(found: &Captures<'_>) -> String {
    let part = |index| found.get(index).map_or("", |part| part.as_str());
    let inner = match (part(2), part(4)) {
        ("", _) if part(7).is_empty() => format!("{}{}", part(5), part(6)),
        ("", _) => format!("item['{}']", part(7)),
        (id, "") => format!("needs['{id}'].summary"),
        (id, name) => format!("needs['{id}'].outputs['{name}']"),
    };
    format!("{{{{{} {inner} {}}}}}", part(1), part(8))
}

/// Where a piece of a prompt stands in the file; quotes and folded lines may hide it.
fn find(sink: &Sink<'_>, node: &Node<'_>, piece: &str) -> Span {
    match sink.source.slice(node.span).find(piece) {
        Some(offset) => Span::new(node.span.start() + offset, piece.len()),
        None => node.span,
    }
}
