//! What an edited workflow means for a run: per task, whether it is kept or runs again, and why.
//!
//! Pure comparison: of what shaped a task's result with what would shape it now, each by a
//! digest over a canonical form. It leaves out deciding (`decide/adopt.rs`) and printing.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::event::Adopted;
use super::shape::{bound, changed_words, differing, digest, policies, shape};
use super::state::{RunState, WorkerState, asked_for};
use super::task_table::TaskPhase;
use crate::workflow::{Task, Workflow};

/// What becomes of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It stays as it is, with all that it did.
    Keep,
    /// What it did no longer counts: it starts once more.
    Rerun,
    /// It never ran; it is planned again in its new form.
    Replan,
    /// The run didn't have it.
    New,
    /// The edited workflow doesn't have it.
    Gone,
}

impl Fate {
    /// The word that users see.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::Rerun => "rerun",
            Self::Replan => "replan",
            Self::New => "new",
            Self::Gone => "gone",
        }
    }
}

/// What would become of one task, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outlook {
    /// Its id.
    pub task: String,
    /// What becomes of it.
    pub fate: Fate,
    /// Why, or what it is now; a part of a sentence. Empty for a new task.
    pub because: String,
    /// Live workers that would be ended for it.
    pub ends: Vec<String>,
    /// Digest, in hex, of what shaped it so far.
    pub was: Option<String>,
    /// Digest, in hex, of what would shape it from now on.
    pub becomes: Option<String>,
}

/// What adopting would mean: tasks of the edited workflow in its order, then those it lost.
#[must_use]
pub fn plan(state: &RunState, adopted: &Adopted) -> Vec<Outlook> {
    let edit = Edit::new(state, adopted);
    let causes = edit.causes();
    let mut outlooks: Vec<Outlook> =
        (0..adopted.workflow.tasks.len()).map(|task| edit.outlook(task, causes.get(&task))).collect();
    for (index, task) in state.workflow().tasks.iter().enumerate() {
        // What was made or submitted goes with its maker.
        let is_made = task.parent.is_some();
        if !is_made && !state.tasks[index].removed && !edit.index.contains_key(&task.id) {
            outlooks.push(edit.removal(index, task));
        }
    }
    outlooks
}

/// Settings of the whole run that differ, by their keys: they apply at once and rerun nothing.
/// A setup is one of them: trees that are made from now on get the new one.
#[must_use]
pub fn settings(old: &Workflow, new: &Workflow) -> Vec<String> {
    let of = |flow: &Workflow| {
        let mut all = Map::new();
        all.insert("name".to_owned(), json!(flow.name));
        all.insert("order".to_owned(), json!(flow.order));
        for (section, values) in [
            ("heartbeat", json!(flow.heartbeat)),
            ("limits", json!(flow.limits)),
            ("setup", json!(flow.setup)),
        ] {
            let values = values.as_object().cloned().unwrap_or_default();
            all.extend(values.into_iter().map(|(key, value)| (format!("{section}.{key}"), value)));
        }
        all
    };
    differing(&of(old), &of(new))
}

/// Reviewers with whom they review.
fn reviews(tasks: &[Task]) -> BTreeMap<&str, &str> {
    tasks.iter().flat_map(|task| task.reviewers().map(|reviewer| (reviewer, task.id.as_str()))).collect()
}

/// Both sides of an edit.
struct Edit<'a> {
    state: &'a RunState,
    adopted: &'a Adopted,
    /// Where the tasks of the edited workflow are.
    index: BTreeMap<String, usize>,
    /// Who reviews whom, by id, before and after.
    reviews: [BTreeMap<&'a str, &'a str>; 2],
    /// What `--only` leaves in of it.
    asked_for: Vec<bool>,
    /// By the task's place in the run.
    workers: BTreeMap<usize, Vec<(&'a String, &'a WorkerState)>>,
}

impl<'a> Edit<'a> {
    fn new(state: &'a RunState, adopted: &'a Adopted) -> Self {
        let tasks = &adopted.workflow.tasks;
        let index = tasks.iter().enumerate().map(|(i, task)| (task.id.clone(), i)).collect();
        let asked_for = asked_for(&state.started.only, tasks, &index);
        let mut workers: BTreeMap<usize, Vec<(&String, &WorkerState)>> = BTreeMap::new();
        for (id, worker) in &state.workers {
            workers.entry(worker.task).or_default().push((id, worker.as_ref()));
        }
        let planned = state.tasks.iter().filter(|task| !task.removed).count();
        let reviews = [&state.workflow().tasks[..planned], tasks].map(reviews);
        Self { state, adopted, index, reviews, asked_for, workers }
    }

    fn new_task(&self, task: usize) -> &'a Task {
        &self.adopted.workflow.tasks[task]
    }

    /// Where the run has it.
    fn old(&self, task: usize) -> Option<usize> {
        self.state.task_index(&self.new_task(task).id)
    }

    fn old_shape(&self, task: &Task) -> Map<String, Value> {
        let started = &self.state.started;
        let shape = shape(self.state.workflow(), task, (&started.base, &started.bases));
        self.with_review(0, task, shape)
    }

    fn new_shape(&self, task: &Task) -> Map<String, Value> {
        let shape = shape(&self.adopted.workflow, task, (&self.adopted.base, &self.adopted.bases));
        self.with_review(1, task, shape)
    }

    /// A reviewer starts at the head it is given: whose that is shapes its result.
    fn with_review(&self, side: usize, task: &Task, mut shape: Map<String, Value>) -> Map<String, Value> {
        if let Some(reviewed) = self.reviews[side].get(task.id.as_str()) {
            shape.insert("reviews".to_owned(), json!(reviewed));
        }
        shape
    }

    /// Why tasks don't stay as they are: for what is new in themselves, or for what they need.
    fn causes(&self) -> BTreeMap<usize, String> {
        let tasks = &self.adopted.workflow.tasks;
        let mut causes: BTreeMap<usize, String> = BTreeMap::new();
        let mut open: BTreeSet<usize> = BTreeSet::new();
        let mut dependents = vec![Vec::new(); tasks.len()];
        for (index, task) in tasks.iter().enumerate() {
            for needed in task.needs.iter().filter_map(|need| self.index.get(&need.task)) {
                dependents[*needed].push((index, "needs"));
            }
            // Each rests on the other: a verdict on what was judged, and on who judged it.
            for reviewer in task.reviewers().filter_map(|id| self.index.get(id)) {
                dependents[*reviewer].push((index, "is reviewed by"));
                dependents[index].push((*reviewer, "reviews"));
            }
            if let Some(why) = self.old(index).and_then(|old| self.own_cause(index, old)) {
                causes.insert(index, why);
                open.insert(index);
            }
        }
        // Each task is opened once, so this ends with the tasks.
        while let Some(needed) = open.pop_first() {
            for &(task, rests) in &dependents[needed] {
                if !causes.contains_key(&task) && self.has_used(task, needed) {
                    let fate = if self.attempts(needed) > 0 { "reruns" } else { "is planned again" };
                    causes.insert(task, format!("{rests} `{}`, which {fate}", self.new_task(needed).id));
                    open.insert(task);
                }
            }
        }
        causes
    }

    fn attempts(&self, task: usize) -> u32 {
        self.old(task).map_or(0, |old| self.state.tasks[old].attempt)
    }

    /// Whether anything of `task` rests on what became of `needed`.
    fn has_used(&self, task: usize, needed: usize) -> bool {
        let (Some(task), Some(needed)) = (self.old(task), self.old(needed)) else { return false };
        let (task, needed) = (&self.state.tasks[task], &self.state.tasks[needed]);
        task.phase != TaskPhase::Pending && (needed.phase.is_terminal() || task.attempt > 0)
    }

    /// What is new in the task itself.
    fn own_cause(&self, task: usize, old: usize) -> Option<String> {
        let (planned, known) = (self.new_task(task), &self.state.tasks[old]);
        let before = self.state.planned(old);
        if known.removed {
            return Some("it is back in the workflow".to_owned());
        }
        let changed = differing(&self.old_shape(before), &self.new_shape(planned));
        if !changed.is_empty() {
            return Some(changed_words(&changed));
        }
        match known.phase {
            TaskPhase::Skipped if self.asked_for[task] != self.state.asked_for[old] => {
                Some("`--only` needs it now".to_owned())
            }
            TaskPhase::Skipped if policies(before)["when"] != policies(planned)["when"] => {
                Some(changed_words(&["when".to_owned()]))
            }
            // It failed for want of these: more of them is another chance.
            TaskPhase::Failed | TaskPhase::Partial if planned.timeout > before.timeout => {
                Some("its `timeout` was raised".to_owned())
            }
            TaskPhase::Failed | TaskPhase::Partial if planned.retries > before.retries => {
                Some("its `retries` were raised".to_owned())
            }
            TaskPhase::Failed if bound(planned) > bound(before) => Some("its `max` was raised".to_owned()),
            TaskPhase::Pending
            | TaskPhase::Ready
            | TaskPhase::Claimed
            | TaskPhase::InProgress
            | TaskPhase::Verifying
            | TaskPhase::RepairRequired
            | TaskPhase::Blocked
            | TaskPhase::Completed
            | TaskPhase::Partial
            | TaskPhase::Failed
            | TaskPhase::Skipped
            | TaskPhase::Cancelled => None,
        }
    }

    fn outlook(&self, task: usize, cause: Option<&String>) -> Outlook {
        let planned = self.new_task(task);
        let becomes = Some(digest(&self.new_shape(planned)));
        let id = planned.id.clone();
        let Some(old) = self.old(task) else {
            return Outlook {
                task: id,
                fate: Fate::New,
                because: String::new(),
                ends: Vec::new(),
                was: None,
                becomes,
            };
        };
        let was = Some(digest(&self.old_shape(self.state.planned(old))));
        let known = &self.state.tasks[old];
        let (fate, because, ends) = match cause {
            None => (Fate::Keep, self.kept_words(task, old), Vec::new()),
            Some(why) if known.attempt == 0 => (Fate::Replan, why.clone(), self.live(old)),
            Some(why) => (Fate::Rerun, why.clone(), self.live(old)),
        };
        Outlook { task: id, fate, because, ends, was, becomes }
    }

    fn removal(&self, old: usize, task: &Task) -> Outlook {
        let trees = self.workers(old).filter(|(_, worker)| worker.workspace.is_some()).count();
        let kept = match trees {
            0 => "",
            1 => "; its worktree is kept",
            _ => "; its worktrees are kept",
        };
        let because = format!("{}{kept}", self.phase_words(old));
        let was = Some(digest(&self.old_shape(task)));
        Outlook { task: task.id.clone(), fate: Fate::Gone, because, ends: self.live(old), was, becomes: None }
    }

    fn kept_words(&self, task: usize, old: usize) -> String {
        let changed = differing(&policies(self.state.planned(old)), &policies(self.new_task(task)));
        let changed = if changed.is_empty() { changed } else { vec![changed_words(&changed)] };
        let mut words = vec![self.phase_words(old)];
        words.extend(changed);
        words.join("; ")
    }

    fn phase_words(&self, old: usize) -> String {
        let known = &self.state.tasks[old];
        match known.phase {
            TaskPhase::Pending | TaskPhase::Ready if known.attempt == 0 => "not started".to_owned(),
            TaskPhase::Pending
            | TaskPhase::Ready
            | TaskPhase::Claimed
            | TaskPhase::InProgress
            | TaskPhase::Verifying
            | TaskPhase::RepairRequired
            | TaskPhase::Blocked
            | TaskPhase::Completed
            | TaskPhase::Partial
            | TaskPhase::Failed
            | TaskPhase::Skipped
            | TaskPhase::Cancelled => known.phase.word().replace('_', " "),
        }
    }

    fn workers(&self, old: usize) -> impl Iterator<Item = (&'a String, &'a WorkerState)> {
        self.workers.get(&old).into_iter().flatten().copied()
    }

    fn live(&self, old: usize) -> Vec<String> {
        let live = |worker: &WorkerState| worker.phase.is_live() && !worker.is_over();
        self.workers(old).filter(|(_, worker)| live(worker)).map(|(id, _)| id.clone()).collect()
    }
}
