//! A validated workflow: what the engine plans by.
//!
//! Everything here has passed every check of [`super::load`]: ids are slugs,
//! needs exist and form no cycle, paths stay inside the repository, patterns
//! compile. It leaves out how it was written (spans, defaults, shorthands): a
//! run's journal keeps this form, so that a later start needs no YAML. What a task
//! must show has a file of its own (`evidence`).

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use super::agent::{Access, Adapter, Agent, COMMAND, Health, Launch};
pub use super::bounds::{Ceiling, Defaults, Failures, Order};
use super::control::{Loop, Map, Tournament};
pub use super::evidence::{APPROVAL, Asked, Evidence, Item, LogSource, REDUCE, REVIEW};
use super::millis;
pub use super::slurm::SlurmRequest;
pub use super::trust::Trust;

/// A whole workflow, frozen when its run starts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Workflow {
    /// Shown to people; defaults to the file's stem.
    pub name: String,
    /// A commit-ish as written; `None` means `HEAD`.
    pub base: Option<String>,
    /// The session kind that the file names, if it names one.
    pub session: Option<SessionKind>,
    /// How silence is judged.
    pub heartbeat: Heartbeat,
    /// Bounds for the whole run.
    pub limits: Limits,
    /// What every fresh worktree is given; `None`: nothing that this file names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub setup: Option<Setup>,
    /// What each job asks of a cluster that says nothing else.
    #[serde(default, skip_serializing_if = "SlurmRequest::is_empty")]
    pub slurm: SlurmRequest,
    /// Which of the ready tasks starts first. Workflows that were kept without it had the file's.
    #[serde(default = "Order::before")]
    pub order: Order,
    /// Adapters that tasks may name, by name.
    pub agents: BTreeMap<String, Agent>,
    /// What submitted tasks have that don't say otherwise; those of the file have it already.
    #[serde(default, skip_serializing_if = "Defaults::is_usual")]
    pub defaults: Defaults,
    /// In the order of the file; `needs` and `base` refer to ids in this list.
    pub tasks: Vec<Task>,
}

impl Workflow {
    /// The same as a host of this kind needs it: on a cluster, files arrive late and beats cost
    /// a shared file system more, so the usual times are longer there. What the file says stays.
    #[must_use]
    pub fn hosted_by(mut self, kind: SessionKind) -> Self {
        if kind == SessionKind::Slurm {
            let (beat, limits) = (Heartbeat::default(), Limits::default());
            if self.heartbeat == beat {
                self.heartbeat = Heartbeat {
                    every: Duration::from_secs(10),
                    unhealthy_after: Duration::from_secs(60),
                    lost_after: Duration::from_secs(180),
                    ..beat
                };
            }
            for (own, usual) in
                [(&mut self.limits.ready, limits.ready), (&mut self.limits.start, limits.start)]
            {
                if *own == usual {
                    *own = Duration::from_secs(180);
                }
            }
        }
        self
    }
}

/// What hosts a worker's process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SessionKind {
    /// A tmux window.
    Tmux,
    /// A process group.
    Subprocess,
    /// A Slurm job.
    Slurm,
}

impl SessionKind {
    /// The word that users write and see.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Tmux => "tmux",
            Self::Subprocess => "subprocess",
            Self::Slurm => "slurm",
        }
    }
}

/// What hosts a worker's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WorkspaceKind {
    /// A git worktree on a branch of its own.
    Worktree,
    /// An empty folder.
    None,
}

/// How silence is judged. Source: contract 3, `heartbeat`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// How often a worker beats. Default 2 s.
    #[serde(with = "millis")]
    pub every: Duration,
    /// Silence until a worker is shown as unhealthy. Default 10 s.
    #[serde(with = "millis")]
    pub unhealthy_after: Duration,
    /// Silence until `on_lost` applies, and how long a claim outlives its last beat. Default 60 s.
    #[serde(with = "millis")]
    pub lost_after: Duration,
    /// Beats without progress until a worker is shown as stalled. Default 15 min.
    #[serde(with = "millis")]
    pub stalled_after: Duration,
    /// What a lost worker leads to. Default `ask`.
    pub on_lost: OnLost,
}

impl Default for Heartbeat {
    fn default() -> Self {
        Self {
            every: Duration::from_secs(2),
            unhealthy_after: Duration::from_secs(10),
            lost_after: Duration::from_secs(60),
            stalled_after: Duration::from_secs(15 * 60),
            on_lost: OnLost::Ask,
        }
    }
}

/// The policy for a worker that has been silent for `lost_after`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnLost {
    /// Wait for a person.
    Ask,
    /// Recover the claim and try again elsewhere.
    Retry,
    /// Recover the claim and fail the attempt.
    Fail,
}

/// Bounds for the whole run. `None`: not bounded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// Live workers at once. `None`: cores, but at least 2; 20 on a cluster.
    pub workers: Option<u32>,
    /// Tasks in the run, submitted ones included.
    pub tasks: Option<u32>,
    /// Attempts over all tasks.
    pub attempts: Option<u32>,
    /// Nesting of submitted tasks.
    pub depth: Option<u32>,
    /// The run's own time.
    #[serde(with = "millis::option")]
    pub wall: Option<Duration>,
    /// Tokens over all tasks.
    pub tokens: Option<u64>,
    /// US dollars over all tasks.
    pub usd: Option<f64>,
    /// Failed attempts after which the run stops.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failures: Option<Failures>,
    /// Free bytes below which nothing new is provisioned.
    pub free_disk: Option<u64>,
    /// From the session's start to the worker's readiness. Default 60 s.
    #[serde(with = "millis")]
    pub ready: Duration,
    /// From the dispatch to the acknowledgement. Default 30 s.
    #[serde(with = "millis")]
    pub start: Duration,
    /// Between TERM and KILL. Default 10 s.
    #[serde(with = "millis")]
    pub grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            workers: None,
            tasks: None,
            attempts: None,
            depth: None,
            wall: None,
            tokens: None,
            usd: None,
            failures: None,
            free_disk: None,
            ready: Duration::from_secs(60),
            start: Duration::from_secs(30),
            grace: Duration::from_secs(10),
        }
    }
}

/// What every fresh worktree is given before its worker is ready. A task without a worktree
/// has none of it: its folder is no checkout that could be completed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setup {
    /// Paths, folders and globs of untracked files of the main checkout, relative to its root.
    pub include: Vec<String>,
    /// Lines for `sh -c`, in this order, each only after the one before it ended with 0.
    pub run: Vec<String>,
    /// The time of all commands together. Default 5 min.
    #[serde(with = "millis")]
    pub timeout: Duration,
}

/// One node of the DAG.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// A slug, unique in the workflow.
    pub id: String,
    /// What is done.
    pub kind: TaskKind,
    /// What must have ended before.
    pub needs: Vec<Need>,
    /// The policy for the needs that have none of their own.
    pub when: When,
    /// Where the tree starts; `None`: at the run's base.
    pub base: Option<TaskBase>,
    /// What hosts its files.
    pub workspace: WorkspaceKind,
    /// Variables for the worker, defaults merged in; `None` passes ilchul's own value on.
    pub env: BTreeMap<String, Option<String>>,
    /// An attempt's time, while it isn't blocked. Default 30 min.
    #[serde(with = "millis")]
    pub timeout: Duration,
    /// Attempts after the first.
    pub retries: u32,
    /// What one attempt may use at most: reserved when it is claimed.
    #[serde(default, skip_serializing_if = "Ceiling::is_empty")]
    pub budget: Ceiling,
    /// What its job asks of a cluster.
    #[serde(default, skip_serializing_if = "SlurmRequest::is_empty")]
    pub slurm: SlurmRequest,
    /// What must be shown.
    pub evidence: Evidence,
    /// Keep worktree and session until they are released. Default true.
    pub retain: bool,
    /// Whether what it does may change anything. Default trusted.
    #[serde(default, skip_serializing_if = "Trust::is_trusted")]
    pub trust: Trust,
    /// The control task that made it, or the task that submitted it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// How many of its evidence items, counted from the last, are conditions of the loop around
    /// it: what comes out of them decides about the loop and not about this task.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub conditions: usize,
    /// `classify`: the tasks behind each label; none for any other task.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub branches: BTreeMap<String, Vec<String>>,
    /// The element of a `map` that it works on, as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<serde_json::Value>,
    /// A judge's two entrants, left and right.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judges: Option<(String, String)>,
}

/// What a task does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskKind {
    /// `run`: a line for `sh -c`.
    Run(String),
    /// `argv`: a program and its arguments.
    Argv(Vec<String>),
    /// `worker`: a program that speaks the worker protocol itself.
    Worker(Vec<String>),
    /// `agent` and `prompt`: an entry of `agents`, and what it is asked.
    Agent {
        /// The name in [`Workflow::agents`].
        agent: String,
        /// The text, templates not yet filled in.
        prompt: String,
        /// The model, in place of the agent's.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        model: Option<String>,
    },
    /// `reduce`: a line for `sh -c` over what its needs answered, the same for the same inputs.
    Reduce(String),
    /// `approve`: a person says yes; nobody works on it.
    Approve(String),
    /// `loop`: the same body again, from where the last one ended, until its conditions are met.
    Loop(Box<Loop>),
    /// `map`: a body for each element of a list that an earlier task answered.
    Map(Box<Map>),
    /// `tournament`: several bodies side by side, and a judge for each pair.
    Tournament(Box<Tournament>),
}

impl TaskKind {
    /// Whether it is done through tasks of its own, or by a person, and so has no worker.
    #[must_use]
    pub fn is_control(&self) -> bool {
        match self {
            Self::Approve(_) | Self::Loop(_) | Self::Map(_) | Self::Tournament(_) => true,
            Self::Run(_) | Self::Argv(_) | Self::Worker(_) | Self::Agent { .. } | Self::Reduce(_) => false,
        }
    }

    /// Whether it may use tokens and money that nobody said anything of: what ilchul starts
    /// from a command line does so only where its `budget` says that it does.
    #[must_use]
    pub fn may_spend(&self) -> bool {
        match self {
            Self::Worker(_) | Self::Agent { .. } => true,
            Self::Run(_)
            | Self::Argv(_)
            | Self::Reduce(_)
            | Self::Approve(_)
            | Self::Loop(_)
            | Self::Map(_)
            | Self::Tournament(_) => false,
        }
    }

    /// The word that `status` shows for it.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Run(_) => "run",
            Self::Argv(_) => "argv",
            Self::Worker(_) => "worker",
            Self::Agent { .. } => "agent",
            Self::Reduce(_) => "reduce",
            Self::Approve(_) => "approve",
            Self::Loop(_) => "loop",
            Self::Map(_) => "map",
            Self::Tournament(_) => "tournament",
        }
    }
}

impl Task {
    /// A task that needs nothing, starts at the run's base in a worktree of its own and must end with 0.
    #[must_use]
    pub fn new(id: impl Into<String>, kind: TaskKind) -> Self {
        Self {
            id: id.into(),
            kind,
            needs: Vec::new(),
            when: When::Completed,
            base: None,
            workspace: WorkspaceKind::Worktree,
            env: BTreeMap::new(),
            timeout: Duration::from_secs(30 * 60),
            retries: 0,
            budget: Ceiling::default(),
            slurm: SlurmRequest::default(),
            evidence: Evidence::Items(vec![Item::Exit(0)]),
            retain: true,
            trust: Trust::Trusted,
            parent: None,
            conditions: 0,
            branches: BTreeMap::new(),
            item: None,
            judges: None,
        }
    }

    /// The word that `status` shows for what it does.
    #[must_use]
    pub fn word(&self) -> &'static str {
        if self.branches.is_empty() { self.kind.word() } else { "classify" }
    }

    /// How many of its evidence items must hold for it to complete: the first ones.
    #[must_use]
    pub fn required(&self) -> usize {
        self.evidence.items().len().saturating_sub(self.conditions)
    }
}

/// One entry of `needs`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Need {
    /// The id of a task of this workflow.
    pub task: String,
    /// Its own policy; `None`: the task's `when`.
    pub when: Option<When>,
}

/// A dependency policy. Source: contract 3, `when`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum When {
    /// All completed.
    Completed,
    /// All completed or partial.
    Partial,
    /// All ended.
    Terminal,
    /// All ended, at least one completed or partial.
    Optional,
    /// All ended, at least one failed.
    Failed,
}

/// Where a task's tree starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskBase {
    /// At a commit-ish.
    Commit(String),
    /// At another task's head (one of its needs), or its last snapshot.
    Task(String),
}

impl Task {
    /// The ids of the tasks that review it, in the order of its evidence.
    pub fn reviewers(&self) -> impl Iterator<Item = &str> {
        self.evidence.items().iter().filter_map(|item| match item.asks() {
            Some(Asked::Task(task)) => Some(task),
            Some(Asked::Person(_)) | None => None,
        })
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}
