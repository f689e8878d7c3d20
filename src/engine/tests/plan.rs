//! Words for what a test plans: tasks, workflows, and the root event of a run.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::engine::event::Started;
use crate::workflow::{
    Defaults, Evidence, Heartbeat, Item, Limits, Need, Order, SessionKind, SlurmRequest, Task, TaskBase,
    TaskKind, When, Workflow, WorkspaceKind,
};

/// A task that runs in an empty folder and must end with 0.
pub(super) fn task(id: &str) -> Task {
    Task { workspace: WorkspaceKind::None, ..Task::new(id, TaskKind::Run("true".to_owned())) }
}

/// Words for what a test plans.
pub(super) trait Plan {
    fn needs(self, ids: &[&str]) -> Self;
    fn need(self, id: &str, when: When) -> Self;
    fn when(self, when: When) -> Self;
    fn retries(self, retries: u32) -> Self;
    fn tree(self) -> Self;
    fn behind(self, id: &str) -> Self;
    fn shows(self, items: Vec<Item>) -> Self;
    fn timeout(self, seconds: u64) -> Self;
}

impl Plan for Task {
    fn needs(mut self, ids: &[&str]) -> Self {
        self.needs.extend(ids.iter().map(|id| Need { task: (*id).to_owned(), when: None }));
        self
    }
    fn need(mut self, id: &str, when: When) -> Self {
        self.needs.push(Need { task: id.to_owned(), when: Some(when) });
        self
    }
    fn when(self, when: When) -> Self {
        Self { when, ..self }
    }
    fn retries(self, retries: u32) -> Self {
        Self { retries, ..self }
    }
    fn tree(self) -> Self {
        Self { workspace: WorkspaceKind::Worktree, ..self }
    }
    fn behind(self, id: &str) -> Self {
        Self { base: Some(TaskBase::Task(id.to_owned())), ..self }
    }
    fn shows(self, items: Vec<Item>) -> Self {
        Self { evidence: Evidence::Items(items), ..self }
    }
    fn timeout(self, seconds: u64) -> Self {
        Self { timeout: Duration::from_secs(seconds), ..self }
    }
}

pub(super) fn artifact() -> Item {
    Item::Artifact { path: "out".to_owned() }
}

pub(super) fn diff(allow_none: bool) -> Item {
    Item::Diff { paths: Vec::new(), max_lines: None, clean: false, allow_none }
}

pub(super) fn approval() -> Item {
    Item::Approval { message: "Ship it?".to_owned() }
}

pub(super) fn review(by: &str) -> Item {
    Item::Review { task: by.to_owned() }
}

pub(super) fn flow(tasks: Vec<Task>) -> Workflow {
    Workflow {
        name: "play".to_owned(),
        base: None,
        session: None,
        heartbeat: Heartbeat::default(),
        limits: Limits::default(),
        setup: None,
        slurm: SlurmRequest::default(),
        order: Order::default(),
        agents: BTreeMap::new(),
        defaults: Defaults::default(),
        tasks,
    }
}

pub(super) fn started(workflow: Workflow) -> Started {
    Started {
        run: "r1".to_owned(),
        path: "ilchul.yaml".to_owned(),
        digest: String::new(),
        base: "base".to_owned(),
        base_name: "HEAD".to_owned(),
        bases: BTreeMap::new(),
        session: SessionKind::Subprocess,
        workers: 4,
        only: Vec::new(),
        setup: None,
        pid: 1,
        boot: "boot".to_owned(),
        mono_ms: 0,
        workflow,
    }
}
