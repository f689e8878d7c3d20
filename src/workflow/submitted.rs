//! Tasks that a worker submits: read like those of a file, beside what the run has planned.
//!
//! The same reader and the same rules, so that nothing can be submitted that couldn't stand in
//! the file; only the text is JSON, and problems are told by the place in the batch. It leaves
//! out who may submit, and the run's bounds: those change while it runs.

use std::collections::{BTreeSet, HashSet};

use serde_json::Value as Json;

use super::children;
use super::dag;
use super::error::Sink;
use super::keys::MAX_TASKS;
use super::model::{Asked, Evidence, Item, Need, Task, Trust, Workflow};
use super::place::{Path, Source};
use super::reviews::Review;
use super::tasks::{Drafted, Outer, Place};
use super::tree::{Node, Span, Value};

/// What is asked for, and by whom.
#[derive(Debug, Clone, Copy)]
pub struct Batch<'b> {
    /// Id and body of each task, in the order in which they are counted.
    pub tasks: &'b [(String, Json)],
    /// Who submits them: their parent.
    pub by: &'b str,
    /// Of who submits them; they never have more.
    pub trust: Trust,
}

/// Why a batch isn't taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// The place of the first wrong task in the batch, from 0.
    pub index: usize,
    /// What is wrong with it.
    pub reason: String,
}

/// The tasks of a batch, if all of them may be planned: `workflow` is the one in force, `planned`
/// are those of its tasks that count.
///
/// # Errors
/// The first task that is wrong, and why: then none of the batch may be planned.
pub fn submitted(workflow: &Workflow, planned: &[&Task], batch: Batch<'_>) -> Result<Vec<Task>, Wrong> {
    if batch.tasks.is_empty() {
        return Err(Wrong { index: 0, reason: "there are no tasks in it".to_owned() });
    }
    if planned.len() + batch.tasks.len() > MAX_TASKS {
        let index = MAX_TASKS.saturating_sub(planned.len());
        return Err(Wrong { index, reason: format!("a run has at most {MAX_TASKS} tasks") });
    }
    let known: HashSet<&str> = planned.iter().map(|task| task.id.as_str()).collect();
    let taken = |(id, _): &(String, Json)| known.contains(id.as_str());
    if let Some(index) = batch.tasks.iter().position(taken) {
        let reason = format!("tasks.{}: the run has a task of this id already", batch.tasks[index].0);
        return Err(Wrong { index, reason });
    }
    // Every node stands where its task's id does in this text, so that a problem's place tells
    // whose it is. Nothing stands at its start: what has no place of its own is nobody's.
    let mut text = String::from("\n");
    let mut spans = Vec::with_capacity(batch.tasks.len());
    for (id, _) in batch.tasks {
        spans.push(Span::new(text.len(), id.len()));
        text.push_str(id);
        text.push('\n');
    }
    let mut sink = Sink::new(Source::new(&text, 0));
    let drafts = sink.batch(workflow, (planned, &known), (batch.tasks, &spans));
    let place = |offset: usize| spans.partition_point(|span| span.start() <= offset).saturating_sub(1);
    if let Err(errors) = sink.finish("") {
        let first = errors.problems.first();
        let reason = first.map_or_else(String::new, |problem| match &problem.help {
            Some(help) => format!("{problem} ({help})"),
            None => problem.to_string(),
        });
        return Err(Wrong { index: first.map_or(0, |problem| place(problem.span.0)), reason });
    }
    if drafts.len() != planned.len() + batch.tasks.len() {
        // Unreachable by construction; taking a part of a batch would be worse.
        return Err(Wrong { index: 0, reason: "a task of it couldn't be read".to_owned() });
    }
    let mut tasks: Vec<Task> = drafts.into_iter().skip(planned.len()).map(|draft| draft.task).collect();
    for (index, task) in tasks.iter_mut().enumerate() {
        task.parent = Some(batch.by.to_owned());
        if batch.trust == Trust::Untrusted {
            task.distrust().map_err(|why| Wrong { index, reason: format!("tasks.{}: {why}", task.id) })?;
        }
    }
    Ok(tasks)
}

impl Sink<'_> {
    /// What is planned, and behind it the batch as far as it could be read.
    fn batch(
        &mut self,
        workflow: &Workflow,
        (planned, known): (&[&Task], &HashSet<&str>),
        (tasks, spans): (&[(String, Json)], &[Span]),
    ) -> Vec<Drafted> {
        let pairs = tasks.iter().zip(spans).map(|((id, body), span)| (text(id, *span), node(body, *span)));
        let root = Node { value: Value::Map(pairs.collect::<Vec<_>>().into()), span: Span::new(1, 0) };
        let agent_names: BTreeSet<String> = workflow.agents.keys().cloned().collect();
        let outer = Outer {
            defaults: &workflow.defaults,
            limits: &workflow.limits,
            agents: &workflow.agents,
            agent_names: &agent_names,
        };
        let mut drafts: Vec<Drafted> = planned.iter().map(|task| draft(task, known)).collect();
        drafts.extend(self.tasks(&Path::ROOT.key("tasks"), &root, &outer));
        dag::check(self, &drafts);
        children::check(self, &drafts, planned.len());
        self.keep_apart(&drafts[planned.len()..], known);
        drafts
    }

    /// Nothing may be asked of a task that is planned: it would have to wait for a new one.
    fn keep_apart(&mut self, batch: &[Drafted], known: &HashSet<&str>) {
        for draft in batch {
            for id in draft.reviews.iter().map(|review| review.task.as_str()).filter(|id| known.contains(id))
            {
                let message = format!("`{id}` is planned already, and can't become its reviewer");
                self.error(&Path::ROOT.key("tasks").key(&draft.task.id), draft.span, message);
            }
        }
    }
}

/// A task that is planned, as far as new ones can touch it. Its own rules were checked before.
fn draft(task: &Task, known: &HashSet<&str>) -> Drafted {
    let needs: Vec<Need> =
        task.needs.iter().filter(|need| known.contains(need.task.as_str())).cloned().collect();
    let places = needs.iter().map(|_| (Span::default(), Place::Implied(String::new()))).collect();
    let of = |(item, found): (usize, &Item)| match found.asks() {
        Some(Asked::Task(task)) if known.contains(task) => {
            Some(Review { task: task.to_owned(), span: Span::default(), item })
        }
        Some(Asked::Task(_) | Asked::Person(_)) | None => None,
    };
    let reviews = task.evidence.items().iter().enumerate().filter_map(of).collect();
    let seen = Task {
        needs,
        workspace: task.workspace,
        evidence: Evidence::Items(Vec::new()),
        ..Task::new(&task.id, task.kind.clone())
    };
    Drafted { task: seen, span: Span::default(), needs: places, base: Span::default(), reviews }
}

fn text(text: &str, span: Span) -> Node<'static> {
    Node { value: Value::Scalar { text: text.to_owned().into(), plain: false }, span }
}

/// A JSON value as the reader of files takes it: quoted text is text, and all else is plain.
fn node(value: &Json, span: Span) -> Node<'static> {
    let value = match value {
        Json::String(found) => return text(found, span),
        Json::Null | Json::Bool(_) | Json::Number(_) => {
            Value::Scalar { text: value.to_string().into(), plain: true }
        }
        Json::Array(items) => {
            Value::List(items.iter().map(|item| node(item, span)).collect::<Vec<_>>().into())
        }
        Json::Object(fields) => Value::Map(
            fields
                .iter()
                .map(|(name, value)| (text(name, span), node(value, span)))
                .collect::<Vec<_>>()
                .into(),
        ),
    };
    Node { value, span }
}
