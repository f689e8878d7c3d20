//! Decisions of a person: which a task is open to, and the question before each.
//!
//! Whether a decision is granted is the engine's to say. It leaves out sending it.

use super::keys::Key;
use super::{Act, Look, Wish};
use crate::engine::task_table::TaskPhase;
use crate::engine::view::{TaskView, WorkerView};
use crate::render::words::line;

/// What any other key means where there is one yes.
const YES: &str = "y: yes   any other key: no";

/// The question, what the keys mean to people, and what they mean.
type Question = (String, &'static str, &'static [(char, Act)]);

/// A question that waits for one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    /// About which task.
    pub(super) task: String,
    /// The question.
    pub(super) words: String,
    /// What the keys mean.
    pub(super) keys: &'static str,
    choices: &'static [(char, Act)],
    /// What the task was like when this was asked.
    attempt: u32,
    phase: TaskPhase,
    message: Option<String>,
}

impl Asked {
    /// What a key says; anything but one of the choices is a no.
    pub(super) fn answer(&self, key: Key) -> Option<Wish> {
        let Key::Char(key) = key else { return None };
        let choice = self.choices.iter().find(|(choice, _)| *choice == key)?;
        Some(Wish::Act(choice.1, self.task.clone()))
    }

    /// Whether the task is still as it was: a yes to another attempt is no yes to this one.
    pub(super) fn still_holds(&self, look: &Look) -> bool {
        look.view.task(&self.task).is_some_and(|task| {
            (task.attempt, task.phase, &task.asks) == (self.attempt, self.phase, &self.message)
        })
    }
}

/// An answer that is being typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reply {
    /// To whose worker.
    pub(super) task: String,
    /// Its question.
    pub(super) question: String,
    /// What was typed so far.
    pub(super) text: String,
    /// Which attempt asks, and which of its questions this is.
    asks: (u32, Option<u32>),
}

impl Reply {
    /// To what the task's worker asks, if it does.
    pub(super) fn to(task: &TaskView) -> Option<Self> {
        let is_asked = task.phase == TaskPhase::Blocked && task.asks.is_none();
        let question = task.question.as_ref().map(|asked| line(&asked.text)).unwrap_or_default();
        let text = String::new();
        is_asked.then(|| Self { task: task.id.clone(), question, text, asks: numbered(task) })
    }

    /// Whether the same question is still open: words for another one must not reach this one.
    pub(super) fn still_holds(&self, look: &Look) -> bool {
        let task = look.view.task(&self.task);
        task.is_some_and(|task| task.phase == TaskPhase::Blocked && numbered(task) == self.asks)
    }
}

fn numbered(task: &TaskView) -> (u32, Option<u32>) {
    (task.attempt, task.question.as_ref().map(|asked| asked.n))
}

/// Whether only a person can go on with a task.
pub(super) fn waits(task: &TaskView, worker: Option<&WorkerView>) -> bool {
    task.asks.is_some() || task.phase == TaskPhase::Blocked || is_lost(worker)
}

pub(super) fn is_lost(worker: Option<&WorkerView>) -> bool {
    worker.is_some_and(|worker| worker.lost && worker.phase.is_live())
}

/// The question before what a key asks for; why there is none.
pub(super) fn ask(key: char, task: &TaskView, worker: Option<&WorkerView>) -> Result<Asked, String> {
    let (id, phase, attempt) = (&task.id, task.phase, task.attempt);
    let is_over = phase.is_terminal();
    let (words, keys, choices): Question = match key {
        'c' if is_over => return Err(format!("`{id}` has ended: it is {phase}.")),
        'c' => (format!("Cancel `{id}`? What its worker made stays."), YES, &[('y', Act::Cancel)]),
        'r' if matches!(phase, TaskPhase::Failed | TaskPhase::Partial | TaskPhase::Cancelled) => {
            (format!("Grant `{id}` one more attempt?"), YES, &[('y', Act::Retry)])
        }
        'r' => {
            let which = "only what failed, was partial or cancelled can be retried";
            return Err(format!("`{id}` is {phase}: {which}."));
        }
        _ => answer(task, worker)?,
    };
    let (task, message) = (id.clone(), task.asks.clone());
    Ok(Asked { attempt, task, words, keys, choices, phase, message })
}

fn answer(task: &TaskView, worker: Option<&WorkerView>) -> Result<Question, String> {
    let id = &task.id;
    if let Some(message) = &task.asks {
        let words = format!("`{id}` asks for your approval: {}", line(message));
        let choices = &[('a', Act::Approve), ('d', Act::Deny)];
        return Ok((words, "a: approve   d: deny   any other key: neither", choices));
    }
    if is_lost(worker) {
        let words = format!("The worker of `{id}` is lost: it may be at work or gone, nobody can tell.");
        let keys = "r: run again   s: skip   c: check as if done   any other key: wait";
        return Ok((words, keys, &[('r', Act::Rerun), ('s', Act::Skip), ('c', Act::Accept)]));
    }
    Err(format!("`{id}` asks you nothing: it is {}.", task.phase))
}
