//! The text beside the list: what it is about, its lines, and which of them are in sight.
//!
//! It leaves out where the text comes from.

use std::ops::Range;

use super::keys::Step;
use crate::render::fit::{untabbed, wrap};

/// The most lines of a text that are kept: the last ones of a log, the first ones of all else.
const LINES_MAX: usize = 20_000;

/// What a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Why the task is where it is.
    Why,
    /// What its worker printed.
    Log,
    /// What was checked.
    Evidence,
    /// What it changed.
    Diff,
    /// The keys.
    Help,
}

/// A text that somebody has to fetch. Another topic is another text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    /// What is wanted.
    pub kind: Kind,
    /// Of which task.
    pub task: String,
    /// Its last attempt; 0 before the first.
    pub attempt: u32,
    /// Rises, or is another, when the text may have changed.
    pub version: (usize, u64),
}

impl Topic {
    /// Whether both are about the same, newer or older.
    pub(super) fn is_about(&self, other: &Self) -> bool {
        (self.kind, &self.task, self.attempt) == (other.kind, &other.task, other.attempt)
    }
}

/// The text that is open.
#[derive(Debug)]
pub(super) struct Pane {
    pub(super) kind: Kind,
    /// What the lines are about; none while they are on their way, and for what needs no fetching.
    pub(super) topic: Option<Topic>,
    /// What a title says beside it.
    pub(super) note: String,
    lines: Vec<String>,
    /// For the width that it was last drawn at: the line, and which part of it.
    parts: Vec<(usize, Range<usize>)>,
    columns: usize,
    /// Lines on the screen.
    height: usize,
    top: usize,
    /// The end stays in sight as it grows.
    follows: bool,
}

impl Pane {
    pub(super) fn new(kind: Kind) -> Self {
        Self {
            kind,
            topic: None,
            note: String::new(),
            lines: Vec::new(),
            parts: Vec::new(),
            columns: 0,
            height: 0,
            top: 0,
            follows: kind == Kind::Log,
        }
    }

    /// Takes another text. The same kind of text of the same task keeps its place.
    pub(super) fn put(&mut self, topic: Option<Topic>, text: &str, note: &str) {
        let same = self.topic.as_ref().zip(topic.as_ref()).is_some_and(|(old, new)| old.is_about(new));
        if !same {
            self.top = 0;
            self.follows = self.kind == Kind::Log;
        }
        (self.topic, self.note) = (topic, note.to_owned());
        let mut lines: Vec<String> = text.lines().map(untabbed).collect();
        let over = lines.len().saturating_sub(LINES_MAX);
        if self.kind == Kind::Log {
            lines.drain(..over);
        } else {
            lines.truncate(LINES_MAX);
        }
        if lines != self.lines {
            self.lines = lines;
            self.columns = 0;
        }
    }

    /// Lays the text out for a place of this size.
    pub(super) fn lay_out(&mut self, columns: usize, height: usize) {
        self.height = height;
        if self.columns != columns {
            self.columns = columns;
            let words = matches!(self.kind, Kind::Why | Kind::Evidence | Kind::Help);
            self.parts.clear();
            for (number, line) in self.lines.iter().enumerate() {
                self.parts.extend(wrap(line, columns, words).into_iter().map(|part| (number, part)));
            }
        }
        self.top = if self.follows { self.last_top() } else { self.top.min(self.last_top()) };
    }

    fn last_top(&self) -> usize {
        self.parts.len().saturating_sub(self.height)
    }

    /// What is in sight: each with the line that it is a part of.
    pub(super) fn shown(&self) -> impl Iterator<Item = (&str, &str)> {
        self.parts.iter().skip(self.top).take(self.height).map(|(number, part)| {
            let line = self.lines[*number].as_str();
            (&line[part.clone()], line)
        })
    }

    /// How far down it is, where not all is in sight.
    pub(super) fn place(&self) -> Option<String> {
        if self.parts.len() <= self.height {
            return None;
        }
        let last = (self.top + self.height).min(self.parts.len());
        let follows = if self.follows { ", follows" } else { "" };
        Some(format!("{} to {last} of {}{follows}", self.top + 1, self.parts.len()))
    }

    pub(super) fn scroll(&mut self, step: Step) {
        let page = self.height.saturating_sub(1).max(1);
        self.top = match step {
            Step::Lines(by) => self.top.saturating_add_signed(by),
            Step::Pages(by) => self.top.saturating_add_signed(by.saturating_mul(signed(page))),
            Step::First => 0,
            Step::Last => self.last_top(),
        }
        .min(self.last_top());
        self.follows = self.kind == Kind::Log && self.top == self.last_top();
    }
}

pub(super) fn signed(number: usize) -> isize {
    isize::try_from(number).unwrap_or(isize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(task: &str, version: u64) -> Option<Topic> {
        Some(Topic { kind: Kind::Log, task: task.to_owned(), attempt: 1, version: (0, version) })
    }

    fn shown(pane: &Pane) -> Vec<&str> {
        pane.shown().map(|(part, _)| part).collect()
    }

    #[test]
    fn a_log_follows_its_end_until_somebody_scrolls_up_and_again_at_the_end() {
        let mut pane = Pane::new(Kind::Log);
        pane.put(topic("a", 0), "1\n2\n3\n4", "");
        pane.lay_out(10, 2);
        assert_eq!(shown(&pane), ["3", "4"]);
        pane.scroll(Step::Lines(-1));
        pane.put(topic("a", 0), "1\n2\n3\n4\n5\n6", "");
        pane.lay_out(10, 2);
        assert_eq!(shown(&pane), ["2", "3"], "somebody reads here");
        pane.scroll(Step::Last);
        pane.put(topic("a", 0), "1\n2\n3\n4\n5\n6\n7", "");
        pane.lay_out(10, 2);
        assert_eq!((shown(&pane), pane.place().as_deref()), (vec!["6", "7"], Some("6 to 7 of 7, follows")));
        pane.scroll(Step::First);
        pane.put(topic("b", 0), "x", "");
        pane.lay_out(10, 2);
        assert_eq!((shown(&pane), pane.place()), (vec!["x"], None), "another task's is read from its end");
    }

    #[test]
    fn a_text_keeps_its_place_when_it_is_told_anew_and_never_scrolls_beyond_itself() {
        let mut pane = Pane::new(Kind::Diff);
        pane.put(topic("a", 0), "one\ntwo\nthree\nfour", "");
        pane.lay_out(3, 2);
        assert_eq!(shown(&pane), ["one", "two"]);
        pane.scroll(Step::Pages(1));
        pane.put(topic("a", 1), "one\ntwo\nthree\nfour\nfive", "");
        pane.lay_out(3, 2);
        assert_eq!(shown(&pane), ["two", "thr"]);
        pane.scroll(Step::Lines(1_000));
        assert_eq!(shown(&pane), ["fiv", "e"]);
        pane.scroll(Step::Lines(isize::MIN));
        assert_eq!(shown(&pane), ["one", "two"]);
        pane.lay_out(0, 0);
        pane.scroll(Step::Pages(1));
        assert_eq!(shown(&pane), [""; 0]);
    }

    #[test]
    fn of_a_text_without_an_end_a_log_keeps_its_last_lines_and_a_diff_its_first() {
        let long: String = (0..LINES_MAX + 5).map(|number| format!("{number}\n")).collect();
        for (kind, first) in [(Kind::Log, "5"), (Kind::Diff, "0")] {
            let mut pane = Pane::new(kind);
            pane.put(topic("a", 0), &long, "");
            pane.lay_out(10, 1);
            pane.scroll(Step::First);
            assert_eq!(shown(&pane), [first]);
        }
    }
}
