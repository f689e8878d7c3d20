//! The tasks that control tasks make: which they are, that their ids fit, and that nobody else has them.
//!
//! The forms are the contract's: `<task>-i<k>` for an iteration, `-e<k>` for an
//! entrant, `-j<k>` for a judge, `-m<k>` for an element, k from 1. Making the
//! tasks is the engine's.

use std::collections::HashMap;

use super::error::Sink;
use super::model::{Task, TaskKind};
use super::place::Path;
use super::scalar::MAX_SLUG;
use super::tasks::Drafted;

/// Some tasks of one body that a control task makes, for whoever shows a plan.
#[derive(Debug, Clone, PartialEq)]
pub struct Made<'t> {
    /// What they are to it: `iteration`, `element`, `entrant` or `judge`.
    pub role: &'static str,
    /// The letter in their ids.
    letter: char,
    /// The number of the first.
    first: usize,
    /// How many at most, at least 1.
    pub count: usize,
    /// What each of them does.
    pub body: &'t Task,
}

impl Made<'_> {
    /// The ids of the first and the last, under a task of this id.
    #[must_use]
    pub fn ids(&self, parent: &str) -> (String, String) {
        let id = |number: usize| format!("{parent}-{}{number}", self.letter);
        (id(self.first), id(self.first + self.count - 1))
    }

    /// The id that stands for any of them: with the number left open where there are several.
    #[must_use]
    pub fn any(&self, parent: &str) -> String {
        if self.count == 1 { self.ids(parent).0 } else { format!("{parent}-{}<k>", self.letter) }
    }
}

/// What a task makes, in the order of the ids; nothing for one that a worker or a person does.
#[must_use]
pub fn made(task: &Task) -> Vec<Made<'_>> {
    let bounded = |role, letter, most: u32, body| {
        let count = usize::try_from(most).unwrap_or(usize::MAX);
        vec![Made { role, letter, first: 1, count, body }]
    };
    match &task.kind {
        TaskKind::Loop(body) => bounded("iteration", 'i', body.max, &body.each),
        TaskKind::Map(map) => bounded("element", 'm', map.max, &map.each),
        TaskKind::Tournament(cup) => {
            let mut made: Vec<Made<'_>> = Vec::new();
            for (index, body) in cup.entrants.iter().enumerate() {
                match made.last_mut() {
                    // Alike, one after another: shown once.
                    Some(last) if last.body == body => last.count += 1,
                    Some(_) | None => {
                        made.push(Made { role: "entrant", letter: 'e', first: index + 1, count: 1, body });
                    }
                }
            }
            // As many matches as entrants, less one.
            let count = cup.entrants.len().saturating_sub(1).max(1);
            made.push(Made { role: "judge", letter: 'j', first: 1, count, body: &cup.judge });
            made
        }
        TaskKind::Run(_)
        | TaskKind::Argv(_)
        | TaskKind::Worker(_)
        | TaskKind::Agent { .. }
        | TaskKind::Reduce(_)
        | TaskKind::Approve(_) => Vec::new(),
    }
}

/// What the child with this letter and number is, if there can be one.
fn child(kind: &TaskKind, letter: char, number: u32) -> Option<&TaskKind> {
    let index = usize::try_from(number).ok()?.checked_sub(1)?;
    match (kind, letter) {
        (TaskKind::Loop(body), 'i') => (number <= body.max).then_some(&body.each.kind),
        (TaskKind::Map(map), 'm') => (number <= map.max).then_some(&map.each.kind),
        (TaskKind::Tournament(cup), 'e') => cup.entrants.get(index).map(|entrant| &entrant.kind),
        // As many matches as entrants, less one.
        (TaskKind::Tournament(cup), 'j') => (index + 1 < cup.entrants.len()).then_some(&cup.judge.kind),
        (
            TaskKind::Loop(_)
            | TaskKind::Map(_)
            | TaskKind::Tournament(_)
            | TaskKind::Run(_)
            | TaskKind::Argv(_)
            | TaskKind::Worker(_)
            | TaskKind::Agent { .. }
            | TaskKind::Reduce(_)
            | TaskKind::Approve(_),
            _,
        ) => None,
    }
}

/// The longest ending of a child's id.
fn longest(kind: &TaskKind) -> String {
    match kind {
        TaskKind::Loop(body) => format!("-i{}{}", body.max, longest(&body.each.kind)),
        TaskKind::Map(map) => format!("-m{}{}", map.max, longest(&map.each.kind)),
        TaskKind::Tournament(cup) => {
            let count = cup.entrants.len();
            let endings = cup.entrants.iter().map(|entrant| longest(&entrant.kind));
            let inner = endings.max_by_key(String::len).unwrap_or_default();
            format!("-e{count}{inner}")
        }
        TaskKind::Run(_)
        | TaskKind::Argv(_)
        | TaskKind::Worker(_)
        | TaskKind::Agent { .. }
        | TaskKind::Reduce(_)
        | TaskKind::Approve(_) => String::new(),
    }
}

/// Whether a task of this kind makes one whose id ends so.
fn makes(kind: &TaskKind, ending: &str) -> bool {
    let Some(rest) = ending.strip_prefix('-') else { return false };
    let mut characters = rest.chars();
    let Some(letter) = characters.next() else { return false };
    let rest = characters.as_str();
    let end = rest.find(|it: char| !it.is_ascii_digit()).unwrap_or(rest.len());
    let (digits, rest) = rest.split_at(end);
    // Counted from 1, without zeros before it.
    let Some(number) = digits.parse::<u32>().ok().filter(|_| !digits.starts_with('0')) else { return false };
    child(kind, letter, number).is_some_and(|inner| rest.is_empty() || makes(inner, rest))
}

/// Checks the ids of all tasks against those that will be made. The first `planned` of them are
/// there already, with what they made: only what is new beside them is judged.
pub(super) fn check(sink: &mut Sink<'_>, drafts: &[Drafted], planned: usize) {
    let tasks = Path::ROOT.key("tasks");
    let mut makers: HashMap<&str, usize> = HashMap::new();
    for (index, draft) in drafts.iter().enumerate() {
        let (id, kind) = (draft.task.id.as_str(), &draft.task.kind);
        let ending = longest(kind);
        if ending.is_empty() {
            continue;
        }
        makers.insert(id, index);
        if index >= planned && id.len() <= MAX_SLUG && id.len() + ending.len() > MAX_SLUG {
            let room = MAX_SLUG.saturating_sub(ending.len());
            let message =
                format!("the tasks that `{id}` makes would have ids of more than {MAX_SLUG} characters");
            let help = format!("an id of at most {room} characters leaves room for `{ending}`");
            sink.error_with(&tasks.key(id), draft.span, message, help);
        }
    }
    if makers.is_empty() {
        return;
    }
    for (index, draft) in drafts.iter().enumerate() {
        let id = draft.task.id.as_str();
        // Slugs are ASCII and short; what isn't was refused already.
        let cuts = id.char_indices().filter(|(_, it)| *it == '-').take(MAX_SLUG);
        for (cut, _) in cuts {
            let (maker, ending) = id.split_at(cut);
            let Some(&by) = makers.get(maker).filter(|by| **by >= planned || index >= planned) else {
                continue;
            };
            if makes(&drafts[by].task.kind, ending) {
                // Whichever of the two came later is the one to change.
                let at = if index >= planned { draft } else { &drafts[by] };
                let message = format!("`{maker}` makes a task of this id itself: `{id}`");
                sink.error_with(&tasks.key(&at.task.id), at.span, message, "give one of the two another id");
            }
        }
    }
}
