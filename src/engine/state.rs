//! The state of one run: a fold of its events, and nothing else.
//!
//! It leaves out heartbeats (`pulse.rs`: they are never journaled) and every
//! decision. Fields are read freely inside the engine; only `apply` writes them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::budget::Ledger;
use super::control;
use super::event::Started;
use super::evidence::Checked;
use super::halt::Halted;
use super::limit::Limited;
use super::moment::{Moment, Stamp};
use super::order::{self, Ready};
use super::review;
use super::task_table::TaskPhase;
pub use super::worker_state::{Given, KeptReport, WorkerState};
use crate::workflow::{Need, Task, TaskBase, When, Workflow};

/// Where a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RunPhase {
    /// A supervisor holds it, or died holding it.
    Running,
    /// A supervisor let go of it before the end.
    Interrupted,
    /// Every task has ended.
    Ended {
        /// Whether every task completed, or was skipped by design.
        success: bool,
    },
}

/// The state of one run.
#[derive(Debug, Clone, PartialEq)]
pub struct RunState {
    /// What it started from, with what was adopted since.
    pub started: Started,
    /// When.
    pub started_at: Stamp,
    /// The last event's time.
    pub last_at: Stamp,
    /// Where the run's line is tied to a boot's monotonic clock.
    pub anchor: Anchor,
    /// When it ended, if it has.
    pub ended_at: Option<Stamp>,
    /// Where it is.
    pub phase: RunPhase,
    /// Why it is interrupted.
    pub interrupted: String,
    /// A person asked for the end of every live worker: with or without force.
    pub stopping: Option<bool>,
    /// In the order of the workflow; those that an adopted edit lost stand behind the others.
    pub tasks: Vec<TaskState>,
    /// By id; an attempt's worker stays here for good. Boxed: a node of the map is half empty.
    pub workers: BTreeMap<String, Box<WorkerState>>,
    /// The highest token given out: tokens rise and never repeat.
    pub last_token: u64,
    /// Attempts over all tasks; those that the host failed spend none.
    pub attempts_spent: usize,
    /// What is free, reserved and spent of tokens and money.
    pub ledger: Ledger,
    /// Attempts that are to be settled once their token is dead.
    pub unsettled: BTreeSet<String>,
    /// What stopped it before its tasks were through.
    pub halted: Option<Halted>,
    /// Agents whose provider refuses work for now, by the name that the workflow gives them.
    pub limited: BTreeMap<String, Limited>,
    /// When attempts failed, as far back as `limits.failures` looks.
    pub failures: VecDeque<Moment>,
    /// Tasks that could start, in the order in which they are to; control tasks, which need no
    /// worker, aren't among them.
    pub ready: Ready,
    /// Control tasks that could begin.
    pub opening: BTreeSet<usize>,
    /// Pending tasks whose dependency policy is decided, one way or the other.
    pub decidable: BTreeSet<usize>,
    /// Workers that live, or to whom something is still owed.
    pub active: BTreeSet<String>,
    /// Found workers that live, or may: nothing of their tasks is claimed beside them.
    pub at_large: BTreeSet<String>,
    /// The plan is no longer the one that the run began with: an edit was adopted, or tasks were made.
    pub replanned: bool,
    /// Tasks between their claim and their end.
    pub moving: BTreeSet<usize>,
    /// Tasks that haven't ended.
    pub open_count: usize,
    /// Who reviews whom: a reviewer judges one task.
    pub reviews: BTreeMap<usize, usize>,
    /// Reviewers with a head to judge, until their own end.
    pub reviewing: BTreeSet<usize>,
    pub(super) index: BTreeMap<String, usize>,
    pub(super) dependents: Vec<Vec<(usize, usize)>>,
    /// By task: how many tasks the longest chain from it through its dependents has.
    pub(super) chains: Vec<u32>,
    /// What `--only` left in.
    pub(super) asked_for: Vec<bool>,
}

/// One point that a run's line and a boot's monotonic clock have in common.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Anchor {
    /// Which boot.
    pub boot: String,
    /// The kernel's monotonic clock there, in milliseconds.
    pub mono_ms: u64,
    /// The run's line there.
    pub moment: Moment,
}

/// The code of a launch that met a limit which its host doesn't name.
const LIMIT_MET: &str = "launch_limit";

/// The state of one task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskState {
    /// Where it is.
    pub phase: TaskPhase,
    /// `code` or `code: detail`; empty where the phase says it all.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Since when it is there.
    pub since: Stamp,
    /// The last attempt's ordinal; 0 before the first.
    pub attempt: u32,
    /// The highest ordinal that was found on the disk without the journal telling of it; else 0.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub found: u32,
    /// The highest ordinal it may reach.
    pub allowed: u32,
    /// How often the host has failed its launches in a row.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub host_failures: u32,
    /// How many of its launches in a row met a limit of their host that nobody names.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub limits_met: u32,
    /// How many of its attempts in a row were refused by their provider.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub rate_limits: u32,
    /// The worker whose expired claim the next attempt recovers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovers: Option<String>,
    /// Ready, but not before this moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub defer_until: Option<Moment>,
    /// Its last attempt's head, once captured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<String>,
    /// Where its first attempt started: every diff is taken from there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// Where the next attempt starts, when not at the task's base.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart_at: Option<String>,
    /// What of the last attempt's evidence was refuted: fed to the next one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refuted: Vec<Checked>,
    /// What its last accepted report said to dependents.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub summary: String,
    /// What its last accepted report handed to dependents.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub outputs: Map<String, Value>,
    /// The last attempt's checks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Checked>,
    /// The checks of the attempt before that, for whoever repairs it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub last_evidence: Vec<Checked>,
    /// How often this attempt's evidence has been looked at.
    pub rounds: u32,
    /// Skipped by design: nothing it needs failed or was cancelled.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub by_design: bool,
    /// Of a reviewer: which attempt of the task that it reviews its work is about.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub for_attempt: u32,
    /// Skipped because of this task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<String>,
    /// How many of its needs haven't ended.
    pub unended: usize,
    /// How many of the tasks that it made haven't ended.
    #[serde(default, skip_serializing_if = "is_none")]
    pub open_children: usize,
    /// Iterations that a person granted beyond the loop's own bound.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub granted: u32,
    /// An adopted edit of the workflow no longer has it: only its record is left.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub removed: bool,
}

impl RunState {
    /// The state right after the root event.
    #[must_use]
    pub fn new(started: Started, at: Stamp) -> Self {
        let count = started.workflow.tasks.len();
        let index: BTreeMap<String, usize> =
            started.workflow.tasks.iter().enumerate().map(|(i, task)| (task.id.clone(), i)).collect();
        let mut dependents = vec![Vec::new(); count];
        for (i, task) in started.workflow.tasks.iter().enumerate() {
            for (n, need) in task.needs.iter().enumerate() {
                if let Some(&needed) = index.get(&need.task) {
                    dependents[needed].push((i, n));
                }
            }
        }
        let tasks: Vec<TaskState> =
            started.workflow.tasks.iter().map(|task| TaskState::new(task, at)).collect();
        let asked_for = asked_for(&started.only, &started.workflow.tasks, &index);
        let reviews = review::of_plan(&started.workflow.tasks, &index);
        let free = |i: &usize| (tasks[*i].unended == 0 && !reviews.contains_key(i)) || !asked_for[*i];
        let decidable = (0..count).filter(free).collect();
        let anchor = Anchor { boot: started.boot.clone(), mono_ms: started.mono_ms, moment: at.moment };
        let ledger = Ledger::new(&started.workflow.limits);
        let mut state = Self {
            started,
            started_at: at,
            last_at: at,
            anchor,
            ended_at: None,
            phase: RunPhase::Running,
            interrupted: String::new(),
            stopping: None,
            tasks,
            workers: BTreeMap::new(),
            last_token: 0,
            attempts_spent: 0,
            ledger,
            unsettled: BTreeSet::new(),
            halted: None,
            limited: BTreeMap::new(),
            failures: VecDeque::new(),
            ready: Ready::default(),
            opening: BTreeSet::new(),
            decidable,
            moving: BTreeSet::new(),
            active: BTreeSet::new(),
            at_large: BTreeSet::new(),
            replanned: false,
            open_count: count,
            reviews,
            reviewing: BTreeSet::new(),
            index,
            dependents,
            chains: Vec::new(),
            asked_for,
        };
        order::extend(&mut state, 0);
        state
    }

    /// The workflow.
    #[must_use]
    pub fn workflow(&self) -> &Workflow {
        &self.started.workflow
    }

    /// A task's place in the workflow.
    #[must_use]
    pub fn task_index(&self, id: &str) -> Option<usize> {
        self.index.get(id).copied()
    }

    /// A task as planned.
    #[must_use]
    pub fn planned(&self, task: usize) -> &Task {
        &self.started.workflow.tasks[task]
    }

    /// The worker that holds a task now, with its id.
    #[must_use]
    pub fn current_worker(&self, task: usize) -> Option<(String, &WorkerState)> {
        let id = worker_id(&self.planned(task).id, self.tasks[task].attempt);
        self.workers.get(&id).map(|worker| (id, worker.as_ref()))
    }

    /// Workers that count against `limits.workers`: live, with a live claim or a session not yet ended.
    #[must_use]
    pub fn live_count(&self) -> usize {
        self.active.iter().filter(|id| self.workers.get(*id).is_some_and(|worker| worker.counts())).count()
    }

    /// Whether one more worker may start.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.live_count() < usize::try_from(self.started.workers).unwrap_or(usize::MAX)
    }

    /// The commit that a task's diff is taken from, and its first attempt starts at.
    #[must_use]
    pub fn base_of(&self, task: usize) -> String {
        if let Some(base) = &self.tasks[task].base {
            return base.clone();
        }
        if let Some(head) = self.reviews.get(&task).and_then(|reviewed| review::head(self, *reviewed)) {
            return head.to_owned();
        }
        match &self.planned(task).base {
            None => self.started.base.clone(),
            Some(TaskBase::Commit(name)) => {
                self.started.bases.get(name).unwrap_or(&self.started.base).clone()
            }
            Some(TaskBase::Task(id)) => self
                .task_index(id)
                .and_then(|index| self.tasks[index].head.clone())
                .unwrap_or_else(|| self.started.base.clone()),
        }
    }

    /// The worker that was found alive without the journal telling of it, and so keeps this
    /// task from being claimed.
    #[must_use]
    pub fn held_by(&self, task: usize) -> Option<&str> {
        let of_task = |id: &&String| self.workers.get(*id).is_some_and(|worker| worker.task == task);
        self.at_large.iter().find(of_task).map(String::as_str)
    }

    /// The control task that made a task, if one did: it answers for that task's end.
    #[must_use]
    pub fn control_parent(&self, task: usize) -> Option<usize> {
        let parent = self.task_index(self.planned(task).parent.as_deref()?)?;
        self.planned(parent).kind.is_control().then_some(parent)
    }

    /// What the next attempt of a task is told, and of whose last attempt that was: what was
    /// refuted of its own, or which conditions the iteration before it didn't meet.
    #[must_use]
    pub fn feedback(&self, task: usize) -> (usize, Vec<&Checked>) {
        let own = &self.tasks[task].refuted;
        if !own.is_empty() {
            return (task, own.iter().collect());
        }
        let Some(TaskBase::Task(before)) = &self.planned(task).base else { return (task, Vec::new()) };
        let before = self.task_index(before).filter(|before| {
            self.planned(*before).conditions > 0 && self.planned(*before).parent == self.planned(task).parent
        });
        before.map_or_else(|| (task, Vec::new()), |before| (before, control::unmet(self, before)))
    }

    /// The policy that applies to one need of a task.
    #[must_use]
    pub fn policy_of(&self, task: usize, need: &Need) -> When {
        need.when.unwrap_or(self.planned(task).when)
    }
}

impl TaskState {
    pub(super) fn new(task: &Task, at: Stamp) -> Self {
        Self {
            phase: TaskPhase::Pending,
            reason: String::new(),
            since: at,
            attempt: 0,
            found: 0,
            host_failures: 0,
            limits_met: 0,
            rate_limits: 0,
            recovers: None,
            allowed: task.retries.saturating_add(1),
            defer_until: None,
            head: None,
            base: None,
            restart_at: None,
            refuted: Vec::new(),
            summary: String::new(),
            outputs: Map::new(),
            evidence: Vec::new(),
            last_evidence: Vec::new(),
            rounds: 0,
            for_attempt: 0,
            by_design: false,
            root: None,
            unended: task.needs.len(),
            open_children: 0,
            granted: 0,
            removed: false,
        }
    }

    /// The ordinal of the next attempt: never one that was used, by whatever journal.
    #[must_use]
    pub fn next_attempt(&self) -> u32 {
        self.attempt.max(self.found).saturating_add(1)
    }

    /// Nothing that was done counts any more; ordinals go on, and every attempt is granted anew.
    pub(super) fn start_over(&mut self, retries: u32) {
        self.allowed = self.next_attempt().saturating_add(retries);
        (self.head, self.base, self.restart_at) = (None, None, None);
        self.refuted.clear();
        self.summary.clear();
        self.outputs.clear();
        self.last_evidence = std::mem::take(&mut self.evidence);
        (self.rounds, self.for_attempt, self.granted) = (0, 0, 0);
        self.limits_met = 0;
        self.by_design = false;
        self.root = None;
    }

    /// A person's `retry`: one attempt more.
    pub(super) fn reopen(&mut self) {
        self.allowed = self.attempt.saturating_add(1);
        // Whoever asks for it anew may have had the limit raised.
        self.limits_met = 0;
        if self.restart_at.is_none() {
            // What it starts from may have a newer head by now.
            self.base = None;
        }
    }

    /// A launch of it failed: only those that met a limit one after the other are counted.
    pub(super) fn count_limit(&mut self, reason: &str) {
        let met = reason.strip_prefix(LIMIT_MET).is_some_and(|rest| rest.starts_with(':'));
        self.limits_met = if met { self.limits_met.saturating_add(1) } else { 0 };
    }

    /// Whether a failed attempt may be followed by another.
    #[must_use]
    pub fn may_try_again(&self) -> bool {
        self.attempt < self.allowed
    }
}

/// Which tasks `--only` leaves in: those named, and what they need through any number of steps.
/// A task and its reviewers need each other.
pub(super) fn asked_for(only: &[String], tasks: &[Task], index: &BTreeMap<String, usize>) -> Vec<bool> {
    let reviews = if only.is_empty() { BTreeMap::new() } else { review::of_plan(tasks, index) };
    let mut asked = vec![only.is_empty(); tasks.len()];
    let mut open: Vec<usize> = only.iter().filter_map(|id| index.get(id).copied()).collect();
    while let Some(task) = open.pop() {
        if !std::mem::replace(&mut asked[task], true) {
            open.extend(tasks[task].needs.iter().filter_map(|need| index.get(&need.task).copied()));
            open.extend(tasks[task].reviewers().filter_map(|id| index.get(id).copied()));
            open.extend(reviews.get(&task));
        }
    }
    asked
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_none(count: &usize) -> bool {
    *count == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// `<task>.<attempt>`.
#[must_use]
pub fn worker_id(task: &str, attempt: u32) -> String {
    format!("{task}.{attempt}")
}
