//! YAML text as a tree in which every key and every value knows its place.
//!
//! Built from the parser's events and not through serde: only so can all wrong
//! keys and types of a file be reported at once, each at its own position. It
//! knows YAML, but nothing about workflows. Duplicate and merge keys are left
//! to the reader, which knows what a key names.

use std::borrow::Cow;
use std::collections::HashMap;
use std::rc::Rc;

use serde_saphyr::granit_parser::{Event, Parser, ScalarStyle, ScanError, Span as ParserSpan};

use super::error::Sink;
use super::place::{Path, quote, visible};

/// Levels of lists and mappings; a workflow needs about eight.
const MAX_DEPTH: usize = 32;
/// Nodes, those that aliases repeat included: ten for each of two hundred thousand tasks.
const MAX_NODES: usize = 2_000_000;

/// A range of bytes. Files are capped far below 4 GiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Span {
    start: u32,
    len: u32,
}

impl Span {
    /// Beyond 4 GiB it saturates, which no file that is read can reach.
    pub(super) fn new(start: usize, len: usize) -> Self {
        let narrow = |value| u32::try_from(value).unwrap_or(u32::MAX);
        Self { start: narrow(start), len: narrow(len) }
    }

    /// Byte offset in the text.
    pub(super) fn start(self) -> usize {
        self.start as usize
    }

    /// In bytes.
    pub(super) fn len(self) -> usize {
        self.len as usize
    }

    /// The byte behind it.
    pub(super) fn end(self) -> usize {
        self.start().saturating_add(self.len())
    }
}

impl From<&ParserSpan> for Span {
    fn from(span: &ParserSpan) -> Self {
        let start = span.start.byte_offset().unwrap_or(0);
        let end = span.end.byte_offset().unwrap_or(start);
        Self::new(start, end.saturating_sub(start))
    }
}

/// A value and where it stands. An alias stands where it is used.
#[derive(Debug, Clone)]
pub(super) struct Node<'s> {
    pub(super) value: Value<'s>,
    pub(super) span: Span,
}

/// What YAML itself can tell; numbers and the like are for the reader to see in the text.
#[derive(Debug, Clone)]
pub(super) enum Value<'s> {
    /// `plain`: without quotes, so that it may be a number, a boolean or null.
    Scalar { text: Cow<'s, str>, plain: bool },
    /// Shared, because aliases may repeat it.
    List(Rc<Vec<Node<'s>>>),
    /// Keys and values in the order of the file.
    Map(Rc<Vec<(Node<'s>, Node<'s>)>>),
}

/// A list or mapping that hasn't ended yet.
struct Open<'s> {
    items: Vec<Node<'s>>,
    is_map: bool,
    anchor: usize,
    start: Span,
    /// Nodes in it, itself included.
    weight: usize,
}

/// Puts events together; what is still open is on the stack, so that depth costs no recursion.
struct Builder<'s> {
    open: Vec<Open<'s>>,
    root: Option<Node<'s>>,
    /// Ended nodes with an anchor, and how many nodes they stand for.
    anchors: HashMap<usize, (Node<'s>, usize)>,
    total: usize,
    documents: usize,
}

/// Reads one document. `None`: the text isn't one, and the sink knows why.
pub(super) fn parse<'s>(text: &'s str, sink: &mut Sink<'s>) -> Option<Node<'s>> {
    let mut builder =
        Builder { open: Vec::new(), root: None, anchors: HashMap::new(), total: 0, documents: 0 };
    for event in Parser::new_from_str(text) {
        let step = match event {
            Ok((event, span)) => {
                if let Some(tag) = span.tag_span() {
                    refuse_tag(Span::from(&tag), sink);
                }
                builder.take(event, Span::from(&span), sink)
            }
            Err(error) => Err(syntax(&error, text)),
        };
        if let Err(Stop { span, message, help }) = step {
            sink.error_with(&Path::ROOT, span, message, help);
            return None;
        }
    }
    if builder.root.is_none() {
        sink.error_with(
            &Path::ROOT,
            Span::default(),
            "the file is empty",
            "a workflow begins with `version: 1` and has `tasks`; `ilchul init` writes one to start from",
        );
    }
    builder.root
}

/// A problem after which the rest of the text can't be made sense of.
struct Stop {
    span: Span,
    message: String,
    help: String,
}

impl Stop {
    fn new(span: Span, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { span, message: message.into(), help: help.into() }
    }
}

impl<'s> Builder<'s> {
    /// One event.
    fn take(&mut self, event: Event<'s>, span: Span, sink: &mut Sink<'s>) -> Result<(), Stop> {
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                // Read as one they would be merged, read as the first the rest would be lost.
                if self.documents > 1 {
                    let help = "put it into a file of its own";
                    return Err(Stop::new(
                        span,
                        "a second document begins here: a workflow is one document",
                        help,
                    ));
                }
                Ok(())
            }
            Event::Scalar(text, style, anchor, _) => {
                let plain = style == ScalarStyle::Plain;
                self.count(1, span)?;
                self.end(Node { value: Value::Scalar { text, plain }, span }, anchor, 1);
                Ok(())
            }
            Event::SequenceStart(_, anchor, _) => self.begin(false, anchor, span),
            Event::MappingStart(_, anchor, _) => self.begin(true, anchor, span),
            Event::SequenceEnd | Event::MappingEnd => {
                self.close(span);
                Ok(())
            }
            Event::Alias(anchor) => self.alias(anchor, span, sink),
            // What is left opens and closes the stream, or was not asked for.
            _ => Ok(()),
        }
    }

    /// A list or mapping opens. Its depth is bounded, because dropping the tree recurses.
    fn begin(&mut self, is_map: bool, anchor: usize, start: Span) -> Result<(), Stop> {
        self.count(1, start)?;
        if self.open.len() >= MAX_DEPTH {
            let message = format!("lists and mappings are nested deeper than {MAX_DEPTH} levels");
            return Err(Stop::new(start, message, "a workflow needs no more than eight"));
        }
        self.open.push(Open { items: Vec::new(), is_map, anchor, start, weight: 1 });
        Ok(())
    }

    /// The innermost list or mapping ends; its span reaches from its first to its last byte.
    fn close(&mut self, span: Span) {
        let Some(open) = self.open.pop() else { return };
        let len = span.end().saturating_sub(open.start.start());
        let value = if open.is_map {
            let mut pairs = Vec::with_capacity(open.items.len() / 2);
            let mut items = open.items.into_iter();
            while let (Some(key), Some(value)) = (items.next(), items.next()) {
                pairs.push((key, value));
            }
            Value::Map(Rc::new(pairs))
        } else {
            Value::List(Rc::new(open.items))
        };
        self.end(Node { value, span: Span::new(open.start.start(), len) }, open.anchor, open.weight);
    }

    /// Repeats a finished node by sharing it. One that isn't finished contains the alias itself.
    fn alias(&mut self, anchor: usize, span: Span, sink: &Sink<'s>) -> Result<(), Stop> {
        let Some((node, weight)) = self.anchors.get(&anchor) else {
            let message = format!("the alias `{}` stands inside of what it names", sink.source.slice(span));
            return Err(Stop::new(span, message, "write the value out"));
        };
        let (node, weight) = (Node { value: node.value.clone(), span }, *weight);
        self.count(weight, span)?;
        self.end(node, 0, weight);
        Ok(())
    }

    /// Puts a finished node, worth `weight` nodes, into what is open around it.
    fn end(&mut self, node: Node<'s>, anchor: usize, weight: usize) {
        if anchor != 0 {
            self.anchors.insert(anchor, (node.clone(), weight));
        }
        match self.open.last_mut() {
            Some(open) => {
                open.weight = open.weight.saturating_add(weight);
                open.items.push(node);
            }
            None => self.root = Some(node),
        }
    }

    /// Counts before anything is built: an alias costs as much as it repeats,
    /// so that a bomb is refused by arithmetic.
    fn count(&mut self, nodes: usize, span: Span) -> Result<(), Stop> {
        // Saturating, because nine levels of nine are past any integer soon after.
        self.total = self.total.saturating_add(nodes);
        if self.total > MAX_NODES {
            let message = format!("more than {MAX_NODES} values, counting what aliases repeat");
            return Err(Stop::new(span, message, "split the workflow, or use fewer aliases"));
        }
        Ok(())
    }
}

/// Tags would change what a value is behind the reader's back.
fn refuse_tag(span: Span, sink: &mut Sink<'_>) {
    let message = format!("the tag {} isn't allowed in a workflow", quote(sink.source.slice(span)));
    sink.error_with(&Path::ROOT, span, message, "remove it; text that looks like a number can be quoted");
}

/// What the parser says, in its own words, with help where they need some.
fn syntax(error: &ScanError, text: &str) -> Stop {
    let offset = error.marker().byte_offset().unwrap_or(text.len()).min(text.len());
    let said = error.info();
    let help = if said.contains("tab") {
        "indent with spaces"
    } else if said.contains("mapping values") {
        "put quotes around text that holds `: `, or check the indentation above"
    } else if said.contains("anchor") {
        "an alias names an anchor above it, as in `&name`"
    } else if said.contains("recursion limit") {
        "a workflow needs no more than eight levels"
    } else {
        "check quotes, brackets and indentation here and on the line above"
    };
    Stop::new(Span::new(offset, 1), format!("this isn't YAML: {}", visible(&said)), help)
}
