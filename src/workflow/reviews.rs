//! Rules between a task and those that review it.
//!
//! A reviewer has one head to judge and runs anew for each: so it reviews one task, starts
//! there, and nothing may need it. It leaves out cycles, which `dag` finds among all edges.

use std::collections::HashMap;

use super::error::Sink;
use super::model::{TaskBase, WorkspaceKind};
use super::place::Path;
use super::scalar;
use super::tasks::Drafted;
use super::tree::{Node, Span, Value};

/// A task that is named as a reviewer.
pub(super) struct Review {
    /// Its id.
    pub(super) task: String,
    /// Where it is named.
    pub(super) span: Span,
    /// In which item of the list.
    pub(super) item: usize,
}

/// The reviewers that a task's evidence names; what is no id was refused already.
pub(super) fn named(evidence: &Node<'_>) -> Vec<Review> {
    let Value::List(items) = &evidence.value else { return Vec::new() };
    let mut reviews = Vec::new();
    for (item, node) in items.iter().enumerate() {
        let Value::Map(pairs) = &node.value else { continue };
        for (key, value) in pairs.iter() {
            match (&key.value, &value.value) {
                (Value::Scalar { text: key, .. }, Value::Scalar { text, .. })
                    if key == "review" && scalar::slug(text).is_ok() =>
                {
                    reviews.push(Review { task: text.clone().into_owned(), span: value.span, item });
                }
                (Value::Scalar { .. } | Value::List(_) | Value::Map(_), _) => {}
            }
        }
    }
    reviews
}

/// A problem where a reviewer is named.
pub(super) fn error(sink: &mut Sink<'_>, draft: &Drafted, review: &Review, words: (String, String)) {
    let (tasks, task) = (Path::ROOT.key("tasks"), draft.task.id.as_str());
    let (task, evidence) = (tasks.key(task), "evidence");
    let evidence = task.key(evidence);
    let item = evidence.index(review.item);
    sink.error_with(&item.key("review"), review.span, words.0, words.1);
}

/// Checks what a reviewer is, and that nothing rests on one. Unknown ids are `dag`'s to name.
pub(super) fn check(sink: &mut Sink<'_>, drafts: &[Drafted], by_id: &HashMap<&str, usize>) {
    let mut reviewed: HashMap<usize, usize> = HashMap::new();
    for (index, draft) in drafts.iter().enumerate() {
        for review in &draft.reviews {
            let Some(&reviewer) = by_id.get(review.task.as_str()).filter(|found| **found != index) else {
                continue;
            };
            if let Some(words) = unfit(draft, &drafts[reviewer]) {
                error(sink, draft, review, words);
            }
            if let Some(first) = reviewed.insert(reviewer, index) {
                let message = format!("`{}` already reviews `{}`", review.task, drafts[first].task.id);
                error(sink, draft, review, (message, "a reviewer judges one head: add another".to_owned()));
            }
        }
    }
    for draft in drafts.iter().filter(|_| !reviewed.is_empty()) {
        users(sink, draft, drafts, |id| by_id.get(id).and_then(|reviewer| reviewed.get(reviewer)).copied());
    }
}

/// Why one task can't review another.
fn unfit(draft: &Drafted, reviewer: &Drafted) -> Option<(String, String)> {
    let id = &reviewer.task.id;
    if draft.task.workspace == WorkspaceKind::None {
        let message = "without a worktree there is no head to review".to_owned();
        return Some((message, "leave `workspace` out, or show something else".to_owned()));
    }
    if reviewer.task.kind.is_control() || !reviewer.task.branches.is_empty() {
        let message =
            format!("`{id}` is a `{}`, and a reviewer is one worker that answers", reviewer.task.word());
        return Some((message, "review by a task that runs, or asks an agent".to_owned()));
    }
    if reviewer.task.workspace == WorkspaceKind::None {
        let message = format!("`{id}` has no worktree to look at the head in");
        return Some((message, format!("leave `workspace` of `{id}` out")));
    }
    reviewer.task.base.as_ref().map(|_| {
        let message = format!("`{id}` has a `base` of its own, and a reviewer starts at the head it judges");
        (message, format!("leave `base` of `{id}` out"))
    })
}

/// Who needs a reviewer, or starts from one.
fn users(
    sink: &mut Sink<'_>,
    draft: &Drafted,
    drafts: &[Drafted],
    reviewed_by: impl Fn(&str) -> Option<usize>,
) {
    let (tasks, own) = (Path::ROOT.key("tasks"), draft.task.id.as_str());
    let at = tasks.key(own);
    for (need, (span, place)) in draft.task.needs.iter().zip(&draft.needs) {
        let Some(reviewed) = reviewed_by(&need.task).map(|index| drafts[index].task.id.as_str()) else {
            continue;
        };
        let (message, help) = if reviewed == own {
            let message = format!("tasks wait for each other: {own} -> {} -> {own}", need.task);
            (message, "remove the need: a reviewer starts once this task's work is done".to_owned())
        } else {
            let message = format!("`{}` only reviews `{reviewed}`, for each of its attempts anew", need.task);
            (message, format!("need `{reviewed}`: the verdict on it is part of its evidence"))
        };
        let needs = at.key("needs");
        sink.error_with(&place.path(&needs), *span, message, help);
    }
    if let Some(TaskBase::Task(id)) = &draft.task.base
        && let Some(reviewed) = reviewed_by(id).map(|index| drafts[index].task.id.as_str())
    {
        let message = format!("`{id}` only reviews `{reviewed}`: nothing starts from what it leaves behind");
        let help = format!("start from `{reviewed}`");
        sink.error_with(&at.key("base").key("task"), draft.base, message, help);
    }
}
