//! What a seed makes people ask for: tasks, needs, policies, evidence, limits.
//!
//! It leaves out how workers behave (`worker.rs`) and what goes wrong (`faults.rs`).

use std::collections::BTreeMap;
use std::time::Duration;

use ilchul::engine::event::Started;
use ilchul::workflow::{
    Ceiling, Defaults, Evidence, Failures, Heartbeat, Item, Limits, Loop, Map, Need, OnLost, Order,
    SessionKind, SlurmRequest, Task, TaskBase, TaskKind, Tournament, When, Workflow, WorkspaceKind,
};

use crate::chance::Chance;

/// Most tasks of a run.
const TASKS_MAX: u64 = 10;
const POLICIES: [When; 5] = [When::Completed, When::Partial, When::Terminal, When::Optional, When::Failed];

/// The root of a run.
pub fn started(chance: &mut Chance) -> Started {
    let wanted = 1 + chance.pick("task count", (0, 0), TASKS_MAX);
    let mut tasks: Vec<Task> = Vec::new();
    for n in 0..wanted {
        // Each is there for itself, so that a trace can lose one without losing those after it.
        if n == 0 || chance.pick("task", (n, 0), 8) != 0 {
            let task = one(chance, n, &tasks);
            tasks.push(task);
        }
    }
    let mut tasks = with_branches(tasks);
    review_some(chance, &mut tasks);
    let only = chance.rarely("only", (0, 0), 120).then(|| {
        let index = chance.pick("only which", (0, 0), tasks.len() as u64);
        tasks.get(usize::try_from(index).unwrap_or_default()).map(|task| task.id.clone())
    });
    let attempts = chance
        .rarely("attempts limit", (0, 0), 150)
        .then(|| u32::try_from(1 + chance.pick("attempts allowed", (0, 0), 12)).unwrap_or(1));
    let on_lost = [OnLost::Ask, OnLost::Ask, OnLost::Retry, OnLost::Fail];
    let on_lost = on_lost[index(chance.pick("on lost", (0, 0), 4))];
    let workers = 1 + chance.pick("workers", (0, 0), 4);
    Started {
        run: "r1".to_owned(),
        path: "ilchul.yaml".to_owned(),
        digest: String::new(),
        base: "base".to_owned(),
        base_name: "HEAD".to_owned(),
        bases: BTreeMap::new(),
        session: SessionKind::Subprocess,
        workers: u32::try_from(workers).unwrap_or(1),
        only: only.flatten().into_iter().collect(),
        setup: None,
        pid: 1,
        boot: "boot 0".to_owned(),
        mono_ms: 0,
        workflow: Workflow {
            name: "simulated".to_owned(),
            base: None,
            session: None,
            heartbeat: heartbeat(on_lost),
            limits: limits(chance, attempts),
            order: if chance.rarely("file order", (0, 0), 300) { Order::Fifo } else { Order::Critical },
            setup: None,
            slurm: SlurmRequest::default(),
            agents: BTreeMap::new(),
            defaults: Defaults::default(),
            tasks,
        },
    }
}

/// Shorter than the defaults, so that a few hundred steps see every limit.
fn heartbeat(on_lost: OnLost) -> Heartbeat {
    Heartbeat {
        every: Duration::from_secs(2),
        unhealthy_after: Duration::from_secs(6),
        lost_after: Duration::from_secs(14),
        stalled_after: Duration::from_secs(60),
        on_lost,
    }
}

fn limits(chance: &mut Chance, attempts: Option<u32>) -> Limits {
    let capped = |chance: &mut Chance, site| chance.rarely(site, (0, 0), 400);
    let tokens = capped(chance, "tokens capped").then(|| 30 + chance.pick("tokens", (0, 0), 300));
    let usd = [2.0, 0.5, 9.25][index(chance.pick("usd", (0, 0), 3))];
    let usd = capped(chance, "usd capped").then_some(usd);
    let wall = [400, 60, 25][index(chance.pick("wall", (0, 0), 3))];
    let wall = chance.rarely("time limited", (0, 0), 150).then(|| Duration::from_secs(wall));
    let max = u32::try_from(chance.pick("failures borne", (0, 0), 4)).unwrap_or_default();
    let failures = Failures { max, within: Duration::from_secs(120) };
    Limits {
        attempts,
        tokens,
        usd,
        wall,
        failures: chance.rarely("failures limited", (0, 0), 150).then_some(failures),
        ready: Duration::from_secs(8),
        start: Duration::from_secs(6),
        grace: Duration::from_secs(3),
        ..Limits::default()
    }
}

fn one(chance: &mut Chance, n: u64, before: &[Task]) -> Task {
    let when = POLICIES[index(chance.pick("when", (n, 0), 9)) % POLICIES.len()];
    let mut needs: Vec<Need> = Vec::new();
    for k in 0..chance.pick("need count", (n, 0), 4).min(before.len() as u64) {
        let id = &before[index(chance.pick("need", (n, k), before.len() as u64))].id;
        let own = chance.rarely("own policy", (n, k), 150);
        let own = own.then(|| POLICIES[index(chance.pick("policy", (n, k), 5))]);
        if needs.iter().all(|known| known.task != *id) {
            needs.push(Need { task: id.clone(), when: own });
        }
    }
    let worktree = chance.pick("worktree", (n, 0), 3) != 0;
    let behind = worktree && !needs.is_empty() && chance.rarely("behind", (n, 0), 250);
    let plain = body(chance, n, worktree);
    let over = needs.first().map(|need| need.task.clone());
    let (mut kind, evidence, branches) = control(chance, n, over, plain);
    let budget = fund(&mut kind, ceiling(chance, n));
    Task {
        when,
        branches,
        base: behind.then(|| TaskBase::Task(needs[0].task.clone())),
        needs,
        workspace: if worktree { WorkspaceKind::Worktree } else { WorkspaceKind::None },
        timeout: Duration::from_secs([60, 30, 20][index(chance.pick("timeout", (n, 0), 3))]),
        retries: u32::try_from(chance.pick("retries", (n, 0), 4)).unwrap_or_default(),
        budget,
        evidence,
        retain: chance.pick("free", (n, 0), 4) != 1,
        ..Task::new(format!("t{n}"), kind)
    }
}

/// What an attempt may use; most say nothing of it.
fn ceiling(chance: &mut Chance, n: u64) -> Ceiling {
    let tokens = chance.rarely("ceiling of tokens", (n, 0), 400);
    let tokens = tokens.then(|| 1 + chance.pick("ceiling", (n, 0), 80));
    let usd = chance.rarely("ceiling of money", (n, 0), 400).then_some(0.75);
    Ceiling { tokens, usd }
}

/// Gives a ceiling to the bodies of a task that makes some; else it is the task's own.
fn fund(kind: &mut TaskKind, budget: Ceiling) -> Ceiling {
    let give = |each: &mut Task| each.budget = fund(&mut each.kind, budget);
    match kind {
        TaskKind::Loop(body) => give(&mut body.each),
        TaskKind::Map(map) => give(&mut map.each),
        TaskKind::Tournament(cup) => cup.entrants.iter_mut().chain([&mut cup.judge]).for_each(give),
        TaskKind::Approve(_) => {}
        TaskKind::Run(_)
        | TaskKind::Argv(_)
        | TaskKind::Worker(_)
        | TaskKind::Agent { .. }
        | TaskKind::Reduce(_) => return budget,
    }
    Ceiling::default()
}

/// Made of it: the task itself, or a task that makes some.
fn control(
    chance: &mut Chance,
    n: u64,
    over: Option<String>,
    (kind, evidence): (TaskKind, Evidence),
) -> (TaskKind, Evidence, BTreeMap<String, Vec<String>>) {
    let none = BTreeMap::new();
    let children = || Evidence::Items(vec![Item::Children]);
    let fan =
        |over, each| TaskKind::Map(Box::new(Map { task: over, output: "files".to_owned(), max: 2, each }));
    match (chance.pick("control", (n, 0), 14), over) {
        (1, _) => {
            let most = 1 + chance.pick("iterations", (n, 0), 3);
            (TaskKind::Loop(Box::new(until(most))), children(), none)
        }
        (2, Some(over)) => {
            let each = Task { kind, evidence, ..child() };
            (fan(over, each), children(), none)
        }
        (3, Some(over)) => {
            let each = Task { kind: TaskKind::Loop(Box::new(until(2))), evidence: children(), ..child() };
            (fan(over, each), children(), none)
        }
        (4 | 5, _) => {
            let entrants = 2 + chance.pick("entrants", (n, 0), 4);
            let entrant = |_| Task { kind: kind.clone(), evidence: evidence.clone(), ..child() };
            let cup = Tournament { entrants: (0..entrants).map(entrant).collect(), judge: judge() };
            (TaskKind::Tournament(Box::new(cup)), children(), none)
        }
        (6, _) => {
            let asks = Item::Approval { message: "Ship it?".to_owned() };
            (TaskKind::Approve("Ship it?".to_owned()), Evidence::Items(vec![asks]), none)
        }
        (7 | 8, _) => {
            let label = choice("label", ["a", "b"]);
            let branches = ["a", "b"].map(|label| (label.to_owned(), Vec::new()));
            (kind, Evidence::Items(vec![Item::Exit(0), label]), BTreeMap::from(branches))
        }
        (_, _) => (kind, evidence, none),
    }
}

/// A body; its id is given when it is made.
fn child() -> Task {
    Task { timeout: Duration::from_secs(60), ..Task::new("", TaskKind::Run("true".to_owned())) }
}

/// It goes on until an iteration answers that it is done.
fn until(max: u64) -> Loop {
    let done = Item::Output { name: "done".to_owned(), equals: true.into() };
    let each = Task { conditions: 1, evidence: Evidence::Items(vec![Item::Exit(0), done]), ..child() };
    Loop { max: u32::try_from(max).unwrap_or(1), each }
}

/// Asked once more where it names neither.
fn judge() -> Task {
    let winner = choice("winner", ["left", "right"]);
    Task { retries: 1, evidence: Evidence::Items(vec![Item::Exit(0), winner]), ..child() }
}

fn choice(name: &str, among: [&str; 2]) -> Item {
    Item::Choice { name: name.to_owned(), among: among.map(str::to_owned).into() }
}

/// Those that need a classifier are behind its labels in turn, some behind both, some behind none.
fn with_branches(mut tasks: Vec<Task>) -> Vec<Task> {
    for n in 0..tasks.len() {
        let needs_it = |task: &&Task| task.needs.iter().any(|need| need.task == tasks[n].id);
        let behind: Vec<String> = tasks.iter().filter(needs_it).map(|task| task.id.clone()).collect();
        for (k, branch) in tasks[n].branches.values_mut().enumerate() {
            let mine = |place: usize| place % 4 == k || place % 4 == 2;
            branch.extend(behind.iter().enumerate().filter(|(at, _)| mine(*at)).map(|(_, id)| id.clone()));
        }
    }
    tasks
}

fn body(chance: &mut Chance, n: u64, worktree: bool) -> (TaskKind, Evidence) {
    let kind = match chance.pick("kind", (n, 0), 4) {
        0 | 1 => TaskKind::Run("true".to_owned()),
        2 => TaskKind::Agent { agent: "fixer".to_owned(), prompt: "fix".to_owned(), model: None },
        _ => TaskKind::Worker(vec!["own".to_owned()]),
    };
    let artifact = || Item::Artifact { path: "out".to_owned() };
    let diff = |allow_none| Item::Diff { paths: Vec::new(), max_lines: None, clean: false, allow_none };
    let evidence = match chance.pick("evidence", (n, 0), 6) {
        0 => Evidence::Items(vec![Item::Exit(0)]),
        1 => Evidence::Items(vec![Item::Exit(0), artifact()]),
        2 => Evidence::Items(vec![artifact()]),
        3 if worktree => Evidence::Items(vec![diff(false), artifact()]),
        4 if worktree => Evidence::Items(vec![diff(true)]),
        5 => Evidence::Waived("the simulator says so".to_owned()),
        _ => Evidence::Items(vec![artifact(), Item::Exit(0)]),
    };
    (kind, if chance.pick("asks a person", (n, 0), 5) == 1 { with_approval(evidence) } else { evidence })
}

/// Some tasks with a worktree get a reviewer, before or behind them in the file. What makes tasks
/// or chooses a branch has none.
fn review_some(chance: &mut Chance, tasks: &mut Vec<Task>) {
    for n in 0..TASKS_MAX {
        let id = format!("t{n}");
        let fit = |task: &Task| {
            let plain = !task.kind.is_control() && task.branches.is_empty();
            plain && task.workspace == WorkspaceKind::Worktree
        };
        let Some(index) = tasks.iter().position(|task| task.id == id && fit(task)) else { continue };
        let Evidence::Items(items) = &mut tasks[index].evidence else { continue };
        if chance.pick("reviewed", (n, 0), 6) != 1 {
            continue;
        }
        items.push(Item::Review { task: format!("r{n}") });
        let reviewer = Task {
            id: format!("r{n}"),
            needs: Vec::new(),
            base: None,
            evidence: Evidence::Items(vec![Item::Exit(0)]),
            ..tasks[index].clone()
        };
        let at = if chance.pick("reviewer first", (n, 0), 2) == 1 { 0 } else { tasks.len() };
        tasks.insert(at, reviewer);
    }
}

/// The same, and a person's word in front of it.
fn with_approval(evidence: Evidence) -> Evidence {
    let approval = Item::Approval { message: "Well?".to_owned() };
    match evidence {
        Evidence::Items(items) => Evidence::Items(std::iter::once(approval).chain(items).collect()),
        waived @ Evidence::Waived(_) => waived,
    }
}

fn index(value: u64) -> usize {
    usize::try_from(value).unwrap_or_default()
}
