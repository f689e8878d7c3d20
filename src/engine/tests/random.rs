//! Random workflows, and inputs as a hostile world would send them: stale, twice, out of order.

use std::time::Duration;

use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::{collection, sample};
use serde_json::{Map, Value, json};

use super::control::{classifier, control_task, cup, fan, until, until_file};
use super::{Plan, Play, approval, artifact, flow, place, review, started, task};
use crate::engine::budget::Amounts;
use crate::engine::event::{Snapshot, Started};
use crate::engine::evidence::{ChildExit, Verdict};
use crate::engine::input::{Beat, Choice, Input, Remnant, Request, Seen};
use crate::engine::reshape::{self, Fate};
use crate::engine::state::TaskState;
use crate::protocol::{ReportStatus, Usage};
use crate::workflow::{
    Ceiling, Evidence, Failures, Item, Limits, Map as Fan, OnLost, Task, TaskBase, TaskKind, When,
};

const TASKS_MAX: usize = 12;

/// One move of the world. Numbers choose among what there is, so that every value means something.
#[derive(Debug, Clone)]
pub(super) enum Move {
    Tick(u64),
    Blind,
    Crash,
    Interrupt,
    /// To a worker of the run, or to one that it never had.
    Worker(u8, Said),
    Ask(u8, Asked),
    /// A new life finds an attempt of a task that the journal doesn't tell of, so much further on.
    Found {
        task: u8,
        beyond: u32,
        lives: bool,
    },
    /// A person edits the workflow while nobody drives the run, and adopts that.
    Adopt(Vec<Edit>),
}

/// One edit; numbers choose among the tasks.
#[derive(Debug, Clone)]
pub(super) enum Edit {
    Body(u8),
    Drop(u8),
    Add(u8),
    When(u8, When),
    Retries(u8, u32),
    Reverse,
    /// Another cap of tokens, or none.
    Cap(Option<u64>),
    /// Of a loop or a map.
    Bound(u8, u32),
}

/// What is seen of a worker; `off` makes the token another one.
#[derive(Debug, Clone)]
pub(super) enum Said {
    Launched,
    LaunchFailed(bool),
    Ready(bool),
    Acknowledged { off: u64 },
    Beat { off: u64, seq: u64, alive: Option<bool> },
    Reported { off: u64, status: ReportStatus, hash: u8, usage: Option<Usage> },
    BadFile(u8),
    Ended { off: u64, code: Option<i32> },
    Gone,
    Stopped,
    Captured(bool),
    Judged(Verdict, bool),
}

/// What a person asks.
#[derive(Debug, Clone)]
pub(super) enum Asked {
    Retry,
    Cancel,
    Down(bool),
    Release,
    Retain,
    Withdraw,
    CleanUp,
    Decide(Choice),
    Answer(bool),
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let policy = sample::select(vec![When::Completed, When::Terminal, When::Failed]);
    let one = prop_oneof![
        4 => any::<u8>().prop_map(Edit::Body),
        3 => any::<u8>().prop_map(Edit::Drop),
        2 => any::<u8>().prop_map(Edit::Add),
        1 => (any::<u8>(), policy).prop_map(|(task, when)| Edit::When(task, when)),
        1 => (any::<u8>(), 0..4_u32).prop_map(|(task, retries)| Edit::Retries(task, retries)),
        1 => Just(Edit::Reverse),
        2 => proptest::option::of(1..200_u64).prop_map(Edit::Cap),
        1 => (any::<u8>(), 1..4_u32).prop_map(|(task, most)| Edit::Bound(task, most)),
    ];
    collection::vec(one, 0..4)
}

/// The tasks as somebody would leave them in the file; ids that were gone may come back.
fn edited(mut tasks: Vec<Task>, edits: &[Edit]) -> Vec<Task> {
    for edit in edits {
        let count = tasks.len().max(1);
        let at = |n: u8| usize::from(n) % count;
        match edit {
            Edit::Body(n) => tasks.iter_mut().skip(at(*n)).take(1).for_each(|task| {
                task.env.insert(format!("E{n}"), None);
            }),
            Edit::Drop(n) if tasks.len() > 1 => {
                let gone = tasks.remove(at(*n)).id;
                tasks.iter_mut().for_each(|task| task.needs.retain(|need| need.task != gone));
                tasks.iter_mut().for_each(|task| forget_reviewer(task, &gone));
                // A `map` over what nobody plans any more, and a label for it, aren't valid.
                for lost in &mut tasks {
                    if matches!(&lost.kind, TaskKind::Map(map) if map.task == gone) {
                        let plain = task(&lost.id);
                        (lost.kind, lost.evidence) = (plain.kind, plain.evidence);
                    }
                }
                let branches = tasks.iter_mut().flat_map(|task| task.branches.values_mut());
                branches.for_each(|branch| branch.retain(|task| *task != gone));
                let lost = Some(TaskBase::Task(gone));
                tasks.iter_mut().filter(|task| task.base == lost).for_each(|task| task.base = None);
            }
            Edit::Drop(_) => {}
            Edit::Add(n) => {
                let new = task(&format!("x{}", n % 3));
                let reviews = tasks.iter().any(|task| task.reviewers().any(|by| by == tasks[at(*n)].id));
                if !reviews && tasks.iter().all(|task| task.id != new.id) {
                    let needed = tasks[at(*n)].id.clone();
                    tasks.insert(at(*n), new.needs(&[&needed]));
                }
            }
            Edit::When(n, when) => tasks[at(*n)].when = *when,
            Edit::Retries(n, retries) => tasks[at(*n)].retries = *retries,
            Edit::Reverse => tasks.reverse(),
            Edit::Cap(_) => {}
            Edit::Bound(n, most) => match &mut tasks[at(*n)].kind {
                TaskKind::Loop(body) => body.max = *most,
                TaskKind::Map(map) => map.max = *most,
                _ => {}
            },
        }
    }
    tasks
}

/// The task shows what is left, or waives it where nothing is.
fn forget_reviewer(task: &mut Task, gone: &str) {
    if let Evidence::Items(items) = &mut task.evidence {
        items.retain(|item| !matches!(item, Item::Review { task } if task == gone));
        if items.is_empty() {
            task.evidence = Evidence::Waived("its reviewer has gone".to_owned());
        }
    }
}

fn off() -> impl Strategy<Value = u64> {
    prop_oneof![8 => Just(0), 1 => Just(1), 1 => Just(u64::MAX)]
}

fn status() -> impl Strategy<Value = ReportStatus> {
    prop_oneof![
        5 => Just(ReportStatus::Done),
        1 => Just(ReportStatus::Failed),
        1 => Just(ReportStatus::Blocked),
        1 => Just(ReportStatus::Partial),
        1 => Just(ReportStatus::NeedsInput),
        1 => Just(ReportStatus::NoChange),
    ]
}

/// What a report says that it cost: often nothing, sometimes more than anybody allowed.
fn usage() -> impl Strategy<Value = Option<Usage>> {
    let tokens = sample::select(vec![None, Some(0), Some(7), Some(40), Some(u64::MAX)]);
    let usd = sample::select(vec![None, Some(0.1), Some(2.5), Some(1e300)]);
    proptest::option::weighted(0.6, (tokens, usd).prop_map(|(tokens, usd)| Usage { tokens, usd }))
}

/// Bounds of a run that is likely to meet them.
fn limits() -> impl Strategy<Value = Limits> {
    use proptest::option::weighted as or;
    let failures = (0..4_u32, sample::select(vec![10, 1_000]))
        .prop_map(|(max, seconds)| Failures { max, within: Duration::from_secs(seconds) });
    let usd = sample::select(vec![0.05, 1.0, 5.0]);
    let wall = sample::select(vec![30, 300, 2_000]).prop_map(Duration::from_secs);
    let attempts = (or(0.2, 1..20_u32), or(0.1, 10..30_u32));
    (attempts, or(0.5, 1..150_u64), or(0.4, usd), or(0.2, wall), or(0.2, failures)).prop_map(
        |((attempts, tasks), tokens, usd, wall, failures)| Limits {
            attempts,
            tasks,
            tokens,
            usd,
            wall,
            failures,
            ..Limits::default()
        },
    )
}

/// What a task may use: some say so, some may without saying it, most can't.
fn spends() -> impl Strategy<Value = (bool, Ceiling)> {
    let tokens = proptest::option::weighted(0.5, 1..60_u64);
    let usd = proptest::option::weighted(0.5, sample::select(vec![0.01, 0.5, 3.0]));
    let ceiling = (tokens, usd).prop_map(|(tokens, usd)| Ceiling { tokens, usd });
    prop_oneof![2 => Just((false, Ceiling::default())), 1 => Just((true, Ceiling::default())), 3 => (any::<bool>(), ceiling)]
}

fn verdict() -> impl Strategy<Value = Verdict> {
    prop_oneof![3 => Just(Verdict::Verified), 1 => Just(Verdict::Refuted), 1 => Just(Verdict::Unverifiable)]
}

fn said() -> impl Strategy<Value = Said> {
    let alive = sample::select(vec![None, Some(true), Some(false)]);
    let code = sample::select(vec![Some(0), Some(0), Some(3), None]);
    prop_oneof![
        4 => Just(Said::Launched),
        1 => any::<bool>().prop_map(Said::LaunchFailed),
        4 => prop_oneof![4 => Just(true), 1 => Just(false)].prop_map(Said::Ready),
        4 => off().prop_map(|off| Said::Acknowledged { off }),
        2 => (off(), 0..9_u64, alive).prop_map(|(off, seq, alive)| Said::Beat { off, seq, alive }),
        4 => (off(), status(), any::<u8>(), usage())
            .prop_map(|(off, status, hash, usage)| Said::Reported { off, status, hash, usage }),
        1 => any::<u8>().prop_map(Said::BadFile),
        4 => (off(), code).prop_map(|(off, code)| Said::Ended { off, code }),
        1 => Just(Said::Gone),
        3 => Just(Said::Stopped),
        4 => any::<bool>().prop_map(Said::Captured),
        4 => (verdict(), any::<bool>()).prop_map(|(verdict, whole)| Said::Judged(verdict, whole)),
    ]
}

fn asked() -> impl Strategy<Value = Asked> {
    prop_oneof![
        4 => Just(Asked::Retry),
        3 => Just(Asked::Cancel),
        1 => any::<bool>().prop_map(Asked::Down),
        2 => Just(Asked::Release),
        1 => Just(Asked::Retain),
        1 => Just(Asked::Withdraw),
        1 => Just(Asked::CleanUp),
        2 => sample::select(vec![Choice::Rerun, Choice::Skip, Choice::Accept]).prop_map(Asked::Decide),
        2 => any::<bool>().prop_map(Asked::Answer),
    ]
}

pub(super) fn moves() -> impl Strategy<Value = Vec<Move>> {
    let times = sample::select(vec![0, 1_000, 5_000, 11_000, 31_000, 61_000, 400_000]);
    let one = prop_oneof![
        3 => times.prop_map(Move::Tick),
        1 => Just(Move::Blind),
        1 => Just(Move::Crash),
        1 => Just(Move::Interrupt),
        1 => (any::<u8>(), 1..4_u32, any::<bool>())
            .prop_map(|(task, beyond, lives)| Move::Found { task, beyond, lives }),
        1 => edits().prop_map(Move::Adopt),
        30 => (any::<u8>(), said()).prop_map(|(worker, said)| Move::Worker(worker, said)),
        3 => (any::<u8>(), asked()).prop_map(|(task, asked)| Move::Ask(task, asked)),
    ];
    collection::vec(one, 0..60)
}

fn one_task(n: usize) -> impl Strategy<Value = Task> {
    let policy =
        || sample::select(vec![When::Completed, When::Partial, When::Terminal, When::Optional, When::Failed]);
    let own = proptest::option::weighted(0.2, policy());
    let needs = collection::vec((0..n.max(1), own), 0..4);
    let shows = sample::select(vec![
        vec![Item::Exit(0)],
        vec![artifact()],
        vec![artifact(), approval()],
        vec![Item::Exit(0), approval()],
        vec![approval()],
    ]);
    (needs, policy(), 0..3_u32, any::<bool>(), shows, any::<bool>(), (spends(), 0..16_u8)).prop_map(
        move |(needs, when, retries, tree, shows, behind, ((speaks, budget), sort))| {
            let mut task = task(&format!("t{n}")).when(when).retries(retries).timeout(300);
            for (need, own) in needs.into_iter().filter(|_| n > 0) {
                let id = format!("t{need}");
                if task.needs.iter().all(|known| known.task != id) {
                    task = match own {
                        Some(own) => task.need(&id, own),
                        None => task.needs(&[&id]),
                    };
                }
            }
            if let (true, Some(first)) = (behind, task.needs.first().map(|need| need.task.clone())) {
                task = task.behind(&first);
            }
            task = task.shows(shows);
            task.budget = budget;
            if speaks {
                task.kind = TaskKind::Worker(vec!["own".to_owned()]);
            }
            let task = if tree { task.tree() } else { task };
            of_sort(sort, n, task)
        },
    )
}

/// The same, and for some of them a reviewer of their own, which may have needs of its own.
/// What makes tasks, asks a person or chooses a branch has no head to be judged.
fn reviewed(mut tasks: Vec<Task>, wanted: &[(usize, u32, bool)]) -> Vec<Task> {
    for &(n, retries, needs_first) in wanted {
        let index = n % tasks.len();
        let id = format!("r{index}");
        let unfit = tasks[index].kind.is_control() || !tasks[index].branches.is_empty();
        if unfit || tasks[index].id.starts_with('r') || tasks.iter().any(|task| task.id == id) {
            continue;
        }
        let mut reviewer = task(&id).tree().retries(retries);
        if needs_first && tasks[index].id != "t0" {
            reviewer = reviewer.needs(&["t0"]);
        }
        let Evidence::Items(mut items) = tasks[index].evidence.clone() else { continue };
        items.push(review(&id));
        tasks[index] = tasks[index].clone().shows(items).tree();
        // Before or behind the one that it reviews: the order is no hint.
        tasks.insert(if retries == 0 { 0 } else { tasks.len() }, reviewer);
    }
    tasks
}

/// The same task as one of the control kinds, or as it is.
fn of_sort(sort: u8, n: usize, plain: Task) -> Task {
    let id = format!("t{n}");
    let over = plain.needs.first().map(|need| need.task.clone());
    let shaped = match (sort, over) {
        (0, _) => until_file(&id, 3),
        (1, _) => until(&id, 2, vec![Item::Exit(0), artifact(), approval()], 1),
        (2, _) => cup(&id, 2),
        (3, _) => cup(&id, 3 + n % 3),
        (4, Some(over)) => fan(&id, &over, 2),
        (5, Some(over)) => {
            let Task { kind: TaskKind::Loop(body), .. } = until_file("", 2) else { return plain };
            let each = control_task("", TaskKind::Loop(body));
            let map = Fan { task: over, output: "files".to_owned(), max: 3, each };
            control_task(&id, TaskKind::Map(Box::new(map)))
        }
        (6, _) => control_task(&id, TaskKind::Approve("Well?".to_owned())).shows(vec![approval()]),
        // Which tasks are behind its labels is said once all are there.
        (7 | 8, _) => classifier(&id, &[("a", &[]), ("b", &[])]),
        (_, _) => return plain,
    };
    let mut shaped = shaped;
    work_as(&mut shaped, &plain);
    let Task { needs, when, retries, .. } = plain;
    Task { needs, when, retries, ..shaped }
}

/// Whoever works for this task does what `plain` does, and may use as much.
fn work_as(task: &mut Task, plain: &Task) {
    match &mut task.kind {
        TaskKind::Loop(body) => work_as(&mut body.each, plain),
        TaskKind::Map(map) => work_as(&mut map.each, plain),
        TaskKind::Tournament(cup) => {
            let all = cup.entrants.iter_mut().chain([&mut cup.judge]);
            all.for_each(|body| work_as(body, plain));
        }
        TaskKind::Approve(_) => {}
        _ => (task.kind, task.budget) = (plain.kind.clone(), plain.budget),
    }
}

/// Those that need a classifier are behind its labels in turn; one may be behind both.
fn with_branches(mut tasks: Vec<Task>) -> Vec<Task> {
    for n in 0..tasks.len() {
        let id = tasks[n].id.clone();
        let needs_it = |task: &&Task| task.needs.iter().any(|need| need.task == id);
        let behind: Vec<String> = tasks.iter().filter(needs_it).map(|task| task.id.clone()).collect();
        for (k, branch) in tasks[n].branches.values_mut().enumerate() {
            let mine = behind.iter().enumerate().filter(|(place, _)| place % 3 == k || place % 3 == 2);
            branch.extend(mine.map(|(_, task)| task.clone()));
        }
    }
    tasks
}

pub(super) fn runs() -> impl Strategy<Value = Started> {
    runs_of(1..=TASKS_MAX)
}

pub(super) fn runs_of(counts: std::ops::RangeInclusive<usize>) -> impl Strategy<Value = Started> {
    let most = *counts.end();
    let tasks = counts.prop_flat_map(|count| (0..count).map(one_task).collect::<Vec<_>>());
    let tasks = tasks.prop_map(with_branches);
    let lost = sample::select(vec![OnLost::Ask, OnLost::Retry, OnLost::Fail]);
    let wanted = collection::vec((0..most, 0..3_u32, any::<bool>()), 0..(most / 4).max(3));
    let tasks = (tasks, wanted).prop_map(|(tasks, wanted)| reviewed(tasks, &wanted));
    let only = proptest::option::weighted(0.2, 0..TASKS_MAX);
    (tasks, lost, limits(), 1..5_u32, only).prop_map(|(tasks, lost, limits, workers, only)| {
        let only = only.and_then(|n| tasks.get(n)).map(|task| task.id.clone()).into_iter().collect();
        let mut workflow = flow(tasks);
        workflow.heartbeat.on_lost = lost;
        workflow.limits = limits;
        Started { workers, only, ..started(workflow) }
    })
}

impl Play {
    /// Makes one move; what is refused is refused.
    pub(super) fn make(&mut self, one: &Move) {
        match one {
            Move::Tick(ms) => drop(self.tick(*ms)),
            Move::Blind => drop(self.give(&Input::Blind)),
            Move::Crash => self.crash_and_resume(),
            Move::Interrupt => {
                drop(self.give(&Input::Interrupted { reason: "signal".to_owned() }));
                // Most runs are taken up again; some stay interrupted until the next crash.
                if self.now_ms.is_multiple_of(2_000) {
                    self.crash_and_resume();
                }
            }
            Move::Worker(n, said) => {
                let known: Vec<String> = self.state().workers.keys().cloned().collect();
                let worker = known.get(usize::from(*n) % (known.len() + 1)).cloned();
                self.say(&worker.unwrap_or_else(|| "ghost.1".to_owned()), said);
            }
            Move::Found { task, beyond, lives } => {
                let index = usize::from(*task) % self.state().tasks.len();
                let ordinal = self.state().tasks[index].next_attempt() + beyond - 1;
                let worker = format!("{}.{ordinal}", self.state().planned(index).id);
                let token = Some(self.state().last_token + u64::from(*beyond));
                let session = Some(place("p", &worker));
                let found = Remnant { worker, token, workspace: None, session, lives: *lives };
                drop(self.give(&Input::Remnants(vec![found])));
            }
            Move::Adopt(edits) => self.edit(edits),
            Move::Ask(n, asked) => {
                let index = usize::from(*n) % self.state().tasks.len();
                let task = self.state().planned(index).id.clone();
                let worker = format!("{task}.{}", self.state().tasks[index].attempt);
                let request = match asked {
                    Asked::Retry => Request::Retry { task },
                    Asked::Cancel => Request::Cancel { task },
                    Asked::Down(force) => Request::Down { force: *force },
                    Asked::Release => Request::Release { worker, observations: Vec::new() },
                    Asked::Retain => Request::Retain { worker },
                    Asked::Withdraw => Request::Withdraw { worker, reasons: Vec::new() },
                    Asked::CleanUp => {
                        Request::CleanUp { worker, by: "x".to_owned(), observations: Vec::new() }
                    }
                    Asked::Decide(choice) => Request::Decide { task, choice: *choice },
                    Asked::Answer(yes) => super::approval::answer(&task, *yes),
                };
                let before = self.state().clone();
                if let Err(rejection) = self.ask(request) {
                    assert_ne!(rejection.code, "engine_bug", "{rejection}");
                    assert_eq!(self.state(), &before);
                }
            }
        }
    }

    /// What is kept keeps everything but how often it may be tried.
    fn edit(&mut self, edits: &[Edit]) {
        let planned = &self.state().workflow().tasks;
        let there = |(task, known): (&Task, &TaskState)| {
            // What was made isn't in the file.
            (!known.removed && task.parent.is_none()).then(|| task.clone())
        };
        let tasks = planned.iter().zip(&self.state().tasks).filter_map(there).collect();
        let mut workflow = self.state().workflow().clone();
        workflow.tasks = edited(tasks, edits);
        let cap = |edit: &Edit| if let Edit::Cap(tokens) = edit { Some(*tokens) } else { None };
        workflow.limits.tokens = edits.iter().find_map(cap).unwrap_or(workflow.limits.tokens);
        let adopted = self.edit_to(workflow);
        let before = self.state().clone();
        let plan = reshape::plan(&before, &adopted);
        if let Err(code) = self.adopt(&adopted) {
            assert!(["only_changed", "workspace_changed"].contains(&code), "{code}");
            return;
        }
        for one in plan.iter().filter(|one| one.fate == Fate::Keep) {
            let was = before.tasks[before.task_index(&one.task).expect("kept")].clone();
            let now = self.task(&one.task).clone();
            let TaskState { allowed, unended, .. } = now;
            assert_eq!(now, TaskState { allowed, unended, ..was });
        }
        self.crash_and_resume();
    }

    fn say(&mut self, worker: &str, said: &Said) {
        let known = self.state().workers.get(worker);
        let token = |off: u64| known.map_or(off, |known| known.token.wrapping_add(off));
        let seen = match said {
            Said::Launched => Seen::Launched {
                workspace: Some(place("git-worktree", worker)),
                session: place("p", worker),
                port: None,
            },
            Said::LaunchFailed(host) => {
                Seen::LaunchFailed { step: "session", detail: "trouble".to_owned(), host: *host }
            }
            Said::Ready(right) => {
                let nonce = self.engine.nonce(worker).filter(|_| *right).unwrap_or("guess").to_owned();
                Seen::Ready { nonce, pid: 42, started_at: String::new(), in_tree: true }
            }
            Said::Acknowledged { off } => Seen::Acknowledged { token: token(*off) },
            Said::Beat { off, seq, alive } => Seen::Beat(Beat {
                token: Some(token(*off)),
                seq: *seq,
                alive: *alive,
                progress: *seq,
                asks: None,
            }),
            Said::Reported { off, status, hash, usage } => {
                let Some(token) = known.map(|_| token(*off)) else { return };
                let outputs = answers(*hash);
                let report = self.report_of(worker, *status);
                let report = crate::protocol::Report { token, outputs, usage: *usage, ..report };
                Seen::Reported { report: Box::new(report), sha256: format!("{}", hash % 8) }
            }
            Said::BadFile(hash) => Seen::BadFile {
                file: crate::protocol::REPORT.to_owned(),
                code: "not_json".to_owned(),
                detail: String::new(),
                sha256: format!("{}", hash % 8),
            },
            Said::Ended { off, code } => Seen::Ended {
                token: Some(token(*off)),
                exit: code.map_or(ChildExit::Unknown, ChildExit::Code),
                survivors: Vec::new(),
                error: None,
                usage: Amounts::default(),
            },
            Said::Gone => Seen::Gone { detail: "no such process".to_owned() },
            Said::Stopped => Seen::Stopped { trouble: None },
            Said::Captured(kept) => Seen::Captured {
                snapshot: if *kept {
                    Ok(snapshot(worker, known.map_or("", |known| &known.start)))
                } else {
                    Err("no space".to_owned())
                },
            },
            Said::Judged(verdict, whole) => {
                let mut checked = self.looks(worker, *verdict);
                checked.truncate(if *whole { checked.len() } else { checked.len() / 2 });
                Seen::Judged { checked }
            }
        };
        self.see(worker, seen);
    }
}

/// What an honest reviewer leaves: its tip is where it started.
fn snapshot(worker: &str, start: &str) -> Snapshot {
    let commit = format!("head of {worker}");
    Snapshot { commit, tip: start.to_owned(), uncommitted: Vec::new(), changed: Vec::new() }
}

/// What a worker may answer: words, winners, verdicts and lists; also none, and wrong ones.
pub(super) fn answers(number: u8) -> Map<String, Value> {
    let of = |values: &[Value]| values[usize::from(number) % values.len()].clone();
    let mut outputs = Map::new();
    outputs.insert("label".to_owned(), of(&["a", "b", "a", "b", "stranger"].map(Value::from)));
    outputs.insert(
        "winner".to_owned(),
        of(&["left", "right", "right", "left", "both", "left"].map(Value::from)),
    );
    let verdicts = ["pass", "pass", "pass", "pass", "fail", "perhaps"].map(Value::from);
    let verdict = verdicts.get(usize::from(number % 8));
    outputs.extend(verdict.map(|verdict| ("verdict".to_owned(), verdict.clone())));
    let lists = [json!([1, 2]), json!(["x"]), json!([]), json!({"n": [1]}), json!([1, 2, 3]), json!([3])];
    outputs.insert("files".to_owned(), of(&lists));
    if number.is_multiple_of(13) { Map::new() } else { outputs }
}
