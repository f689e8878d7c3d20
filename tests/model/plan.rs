//! What one check is about: the tasks, the policy, and how much may go wrong.
//!
//! Every fault spends from a budget, so that the states are finitely many. It leaves
//! out how a fault looks (`world.rs`, `shell.rs`).

use std::collections::BTreeMap;
use std::time::Duration;

use ilchul::engine::event::Started;
use ilchul::workflow::{
    Defaults, Evidence, Heartbeat, Item, Limits, Loop, Need, OnLost, Order, SessionKind, SlurmRequest, Task,
    TaskKind, Workflow, WorkspaceKind,
};

use crate::mutants::Mutant;

/// One step of the clock, in milliseconds. All limits are multiples of it, so that the
/// absolute time of a state is a small number.
pub const STEP_MS: u64 = 10_000;
/// Silence until a worker is unhealthy, in steps.
const UNHEALTHY_STEPS: u64 = 1;
/// Silence until it is lost, in steps.
pub const LOST_STEPS: u64 = 2;

/// How much may go wrong, and how often a person may decide.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Budget {
    /// Ends of the supervisor.
    pub crashes: u8,
    /// Deaths of a shim, with its child or without it, and children that fail.
    pub deaths: u8,
    /// Workers that fall silent; each may wake late.
    pub silences: u8,
    /// Steps of the clock.
    pub clock: u8,
    /// A person's words on what is in doubt.
    pub decisions: u8,
    /// Reports of work that wasn't done.
    pub lies: u8,
    /// Looks at evidence that see nothing.
    pub murk: u8,
    /// Resumes whose look at the sessions fails.
    pub blind: u8,
    /// Copies of the journal that are put back later.
    pub restores: u8,
}

impl Budget {
    /// As numbers, for a state's identity.
    pub fn canon(self) -> u64 {
        let parts = [
            self.crashes,
            self.deaths,
            self.silences,
            self.clock,
            self.decisions,
            self.lies,
            self.murk,
            self.blind,
        ];
        parts.into_iter().fold(u64::from(self.restores), |all, part| (all << 7) | u64::from(part))
    }

    /// Faults of the world that may cost an execution. A crash of ours is none.
    pub fn excuses(self) -> u8 {
        self.deaths + self.silences + self.decisions + self.lies + self.murk + self.restores
    }
}

/// What kind of tasks a plan has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Tasks that a worker does.
    Plain,
    /// One loop of at most two iterations, until what an iteration reports is there.
    Loop,
    /// A classifier before two branches: the truth chooses `x`, a lie `y`.
    Choice,
}

/// What one check is about.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What the tasks are.
    pub shape: Shape,
    /// How many tasks, where they are plain.
    pub tasks: u8,
    /// Each needs the one before it.
    pub chained: bool,
    /// Attempts after the first.
    pub retries: u32,
    /// Workers at once.
    pub workers: u32,
    /// What silence leads to in the end.
    pub on_lost: OnLost,
    /// Tasks work in a tree whose contents are kept.
    pub trees: bool,
    /// An attempt's time, in steps.
    pub timeout: u64,
    /// What may go wrong.
    pub budget: Budget,
    /// What is wrong on purpose.
    pub mutant: Option<Mutant>,
}

impl Plan {
    /// One task, two attempts, one worker more than needed, nothing goes wrong.
    pub fn quiet() -> Self {
        Self {
            shape: Shape::Plain,
            tasks: 1,
            chained: false,
            retries: 1,
            workers: 2,
            on_lost: OnLost::Ask,
            trees: false,
            timeout: 100,
            budget: Budget::default(),
            mutant: None,
        }
    }

    /// The root event of its run.
    pub fn started(&self) -> Started {
        Started {
            run: "r".to_owned(),
            path: String::new(),
            digest: String::new(),
            base: "base".to_owned(),
            base_name: String::new(),
            bases: BTreeMap::new(),
            session: SessionKind::Subprocess,
            workers: self.workers,
            only: Vec::new(),
            setup: None,
            pid: 1,
            boot: String::new(),
            mono_ms: 0,
            workflow: self.workflow(),
        }
    }

    fn workflow(&self) -> Workflow {
        let steps = |count: u64| Duration::from_millis(count * STEP_MS);
        let heartbeat = Heartbeat {
            unhealthy_after: steps(UNHEALTHY_STEPS),
            lost_after: steps(LOST_STEPS),
            on_lost: self.on_lost,
            ..Heartbeat::default()
        };
        Workflow {
            name: String::new(),
            base: None,
            session: None,
            heartbeat,
            order: Order::default(),
            limits: Limits { ready: steps(2), start: steps(2), ..Limits::default() },
            setup: None,
            slurm: SlurmRequest::default(),
            agents: BTreeMap::new(),
            defaults: Defaults::default(),
            tasks: match self.shape {
                Shape::Plain => (0..self.tasks).map(|number| self.task(number)).collect(),
                Shape::Loop => vec![self.looped()],
                Shape::Choice => self.choice(),
            },
        }
    }

    fn looped(&self) -> Task {
        let each = Task { id: String::new(), conditions: 1, ..self.task(0) };
        let kind = TaskKind::Loop(Box::new(Loop { max: 2, each }));
        Task { kind, evidence: Evidence::Items(vec![Item::Children]), ..self.task(0) }
    }

    fn choice(&self) -> Vec<Task> {
        let labels = ["x", "y"].map(str::to_owned);
        let label = Item::Choice { name: "label".to_owned(), among: labels.to_vec() };
        let behind = ["b", "c"].map(|task| vec![task.to_owned()]);
        let branches = labels.into_iter().zip(behind).collect();
        let first = Task { branches, evidence: Evidence::Items(vec![label]), ..self.task(0) };
        let needs = vec![Need { task: first.id.clone(), when: None }];
        let other = |number| Task { needs: needs.clone(), ..self.task(number) };
        vec![first, other(1), other(2)]
    }

    fn task(&self, number: u8) -> Task {
        let name = |number: u8| char::from(b'a' + number).to_string();
        let needs = number.checked_sub(1).filter(|_| self.chained);
        Task {
            needs: needs.into_iter().map(|need| Need { task: name(need), when: None }).collect(),
            workspace: if self.trees { WorkspaceKind::Worktree } else { WorkspaceKind::None },
            timeout: Duration::from_millis(self.timeout * STEP_MS),
            retries: self.retries,
            // Not an `exit`: that one is judged from the record, without a look at the world.
            evidence: Evidence::Items(vec![Item::Artifact { path: String::new() }]),
            ..Task::new(name(number), TaskKind::Argv(Vec::new()))
        }
    }
}
