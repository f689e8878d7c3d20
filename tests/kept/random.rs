//! Random commands and random outside acts: after each of them, all that was there still is.
//!
//! A failure prints its seed and the shortest story that was found. `ILCHUL_KEPT_SEED` begins
//! elsewhere, `ILCHUL_KEPT_SECONDS` goes on for longer. It leaves out tmux, whose panes the
//! traced run looks at.

use std::cell::RefCell;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use proptest::collection::vec;
use proptest::prelude::{Just, ProptestConfig, Strategy, prop_oneof};
use proptest::test_runner::{RngAlgorithm, TestCaseError, TestRng, TestRunner};

use super::inventory::{AWAY, GROWS, Inventory};
use super::stage::{Stage, Started};
use super::world::{World, runs, wait_until};

/// How long new stories are begun, of which there are two at least.
const SECONDS: u64 = 30;
/// Acts in one story.
const ACTS: std::ops::Range<usize> = 8..20;
/// The codes that `ilchul` may end with: neither a crash of its own nor a broken journal.
const CODES: &[i32] = &[0, 1, 3, 4, 5];

/// Every task leaves something, and goes on writing only into files of which that is known.
const WORKFLOW: &str = "heartbeat: { every: 100ms, unhealthy_after: 1s, lost_after: 3s }\n\
    limits: { grace: 500ms, workers: 3 }\n\
    tasks:\n\
    \x20 waits: { run: 'echo i >> w-i.log; until test -e $W/go; do echo . >> w-waits.txt; sleep 0.05; done' }\n\
    \x20 quick: { run: 'echo q >> w-quick.txt; mkdir -p deep; echo d >> deep/w-d.txt', evidence: [ { exit: 0 }, { artifact: w-quick.txt } ] }\n\
    \x20 commits: { run: 'echo c >> w-c.txt; git add w-c.txt; git -c user.name=w -c user.email=w@localhost commit -q -m c; echo c >> w-c.txt', retain: false }\n\
    \x20 fails: { run: 'echo $ILCHUL_ATTEMPT >> w-try.txt; test -e $W/go', retries: 1 }\n\
    \x20 refuted: { run: 'echo r >> w-r.txt', retries: 1, evidence: [ { command: 'test -e nothing' } ] }\n\
    \x20 asked: { run: 'echo a >> w-a.txt', evidence: [ { exit: 0 }, { approval: { message: good? } } ] }\n\
    \x20 slow: { run: 'trap \"\" TERM; echo s >> w-s.txt; while :; do sleep 0.1; done', timeout: 1s }\n\
    \x20 bare: { run: 'echo b >> w-b.txt', workspace: none }\n";
/// Its tasks, and one that isn't there.
const TASKS: &[&str] = &["waits", "quick", "commits", "fails", "refuted", "asked", "slow", "bare", "nobody"];

/// One act of a story.
#[derive(Debug, Clone)]
enum Act {
    /// `up`, in the background, with one of these words more.
    Up(&'static str),
    /// The supervisor is killed with signal 9, if there is one.
    Kill,
    /// A command about the run, with its words.
    Run(&'static [&'static str]),
    /// One about a task.
    Task(&'static [&'static str], usize),
    /// One about a worker.
    Worker(&'static str, usize),
    /// A moment passes.
    Rest(u64),
    /// Workers may go on.
    Go,
    /// Somebody writes a file into a tree.
    Write(usize, &'static str),
    /// Somebody changes the checkout.
    Edit,
    /// Somebody commits what is in the checkout.
    Commit,
    /// Somebody makes a branch, and a worktree for it.
    Branch,
    /// Somebody moves a worktree away.
    Away(usize),
    /// And back.
    Back,
    /// Somebody types a git command that touches only what nobody needs.
    Git(&'static [&'static str]),
    /// Somebody kills what a worker's session began with.
    Shoot(usize),
}

fn act() -> impl Strategy<Value = Act> {
    let run: &[&'static [&'static str]] = &[
        &["down"],
        &["down", "--force"],
        &["cleanup", "--safe"],
        &["workers", "--close"],
        &["status"],
        &["evidence", "--export", "../exported"],
    ];
    let task: &[&'static [&'static str]] = &[
        &["retry"],
        &["cancel"],
        &["approve"],
        &["deny"],
        &["decide", "rerun"],
        &["decide", "skip"],
        &["decide", "accept"],
        &["evidence", "--recheck"],
        &["why"],
    ];
    let git: &[&'static [&'static str]] = &[
        &["worktree", "prune"],
        &["worktree", "prune", "--expire", "now"],
        &["gc", "-q", "--auto"],
        &["pack-refs", "--all"],
    ];
    prop_oneof![
        5 => prop_oneof![4 => Just(""), 1 => Just("--new"), 1 => Just("--adopt"), 1 => Just("--unattended")].prop_map(Act::Up),
        3 => Just(Act::Kill),
        4 => proptest::sample::select(run).prop_map(Act::Run),
        4 => (proptest::sample::select(task), 0..TASKS.len()).prop_map(|(words, task)| Act::Task(words, task)),
        4 => (prop_oneof![2 => Just("release"), 1 => Just("retain")], 0..64_usize).prop_map(|(word, worker)| Act::Worker(word, worker)),
        4 => (20..400_u64).prop_map(Act::Rest),
        1 => Just(Act::Go),
        3 => (0..64_usize, prop_oneof![Just("mine.txt"), Just("mine.log"), Just("README")]).prop_map(|(tree, name)| Act::Write(tree, name)),
        1 => Just(Act::Edit),
        1 => Just(Act::Commit),
        1 => Just(Act::Branch),
        2 => (0..64_usize).prop_map(Act::Away),
        2 => Just(Act::Back),
        2 => proptest::sample::select(git).prop_map(Act::Git),
        1 => (0..64_usize).prop_map(Act::Shoot),
    ]
}

/// A world in which a story is told.
struct Telling {
    stage: Stage,
    up: Option<Started>,
    /// How many acts had something to act on.
    done: usize,
    acts: usize,
}

impl Telling {
    fn new() -> Self {
        let world = World::with(WORKFLOW);
        fs::write(world.repo().join(".git/info/exclude"), "*.log\n").unwrap();
        fs::write(world.repo().join("mine.txt"), "mine\n").unwrap();
        fs::create_dir(world.root().join(AWAY)).unwrap();
        Self { stage: Stage::of(world), up: None, done: 0, acts: 0 }
    }

    fn world(&self) -> &World {
        &self.stage.world
    }

    /// Runs `ilchul` to its end; what it refuses is as good as what it does.
    fn run(&mut self, args: &[&str]) -> Result<(), TestCaseError> {
        let ran = self.stage.run(args);
        self.done += usize::from(ran.code == 0);
        judge(args, ran.code, &ran.stderr)
    }

    /// Does it, and answers what it has changed itself.
    fn tell(&mut self, act: &Act) -> Result<Vec<String>, TestCaseError> {
        self.acts += 1;
        match act {
            Act::Up(more) => self.up(more)?,
            Act::Kill => {
                if self.up.as_mut().is_some_and(Started::has_ended) {
                    self.ended()?;
                }
                if let Some(up) = self.up.take() {
                    up.kill();
                    self.done += 1;
                }
            }
            Act::Run(words) => self.run(words)?,
            Act::Task(words, task) => {
                let mut args = vec![words[0], TASKS[*task]];
                args.extend(&words[1..]);
                self.run(&args)?;
            }
            Act::Worker(word, worker) => {
                let workers = self.workers();
                if let Some(worker) = workers.get(worker % workers.len().max(1)) {
                    self.run(&[word, worker])?;
                }
            }
            Act::Rest(millis) => std::thread::sleep(Duration::from_millis(*millis)),
            Act::Go => self.world().touch("go"),
            Act::Shoot(worker) => self.shoot(*worker),
            Act::Write(..)
            | Act::Edit
            | Act::Commit
            | Act::Branch
            | Act::Away(_)
            | Act::Back
            | Act::Git(_) => {
                return Ok(self.outside(act));
            }
        }
        Ok(Vec::new())
    }

    /// What somebody else does; answers what it changes.
    fn outside(&self, act: &Act) -> Vec<String> {
        let world = self.world();
        match act {
            Act::Write(tree, name) => {
                let trees = self.trees();
                let Some(tree) = trees.get(tree % trees.len().max(1)) else { return Vec::new() };
                let path = tree.join(name);
                // A half-made tree may not be there yet.
                let _ = fs::write(&path, format!("{} theirs\n", self.acts));
                vec![format!("file {} has changed", path.display())]
            }
            Act::Edit => {
                let path = world.repo().join("README");
                fs::write(&path, format!("{} edited\n", self.acts)).unwrap();
                vec![format!("file {} has changed", path.display())]
            }
            Act::Commit => {
                world.git(&["add", "-A"]);
                world.git(&[
                    "-c",
                    "user.name=t",
                    "-c",
                    "user.email=t@localhost",
                    "commit",
                    "-q",
                    "--allow-empty",
                    "-m",
                    "x",
                ]);
                vec!["reference refs/heads/main ".to_owned()]
            }
            Act::Branch => {
                let name = format!("theirs-{}", self.acts);
                world.git(&["worktree", "add", "-q", "-B", &name, &format!("../{name}")]);
                Vec::new()
            }
            Act::Away(tree) => {
                let trees = self.trees();
                if let Some(tree) = trees.get(tree % trees.len().max(1)) {
                    let _ = fs::rename(tree, self.away(tree));
                }
                Vec::new()
            }
            Act::Back => {
                for tree in self.known_trees() {
                    let away = self.away(&tree);
                    if away.exists() && !tree.exists() {
                        fs::rename(away, tree).unwrap();
                    }
                }
                Vec::new()
            }
            Act::Git(words) => {
                // Refused where something else holds a lock just then.
                let _ = world.sealed("git").args(*words).output().unwrap();
                Vec::new()
            }
            Act::Up(_)
            | Act::Kill
            | Act::Run(_)
            | Act::Task(..)
            | Act::Worker(..)
            | Act::Rest(_)
            | Act::Go
            | Act::Shoot(_) => unreachable!("it is no outside act"),
        }
    }

    fn up(&mut self, more: &'static str) -> Result<(), TestCaseError> {
        if self.up.as_mut().is_some_and(|up| !up.has_ended()) {
            return Ok(());
        }
        self.ended()?;
        let args: Vec<&str> =
            ["up", "--session", "subprocess", more].into_iter().filter(|word| !word.is_empty()).collect();
        let mut up = self.stage.start(&args);
        wait_until("a supervisor", || up.has_ended() || self.world().is_held());
        self.done += 1;
        self.up = Some(up);
        Ok(())
    }

    /// Judges a supervisor that has ended by itself.
    fn ended(&mut self) -> Result<(), TestCaseError> {
        let Some(up) = self.up.take() else { return Ok(()) };
        let ran = up.wait();
        judge(&["up"], ran.code, &ran.stderr)
    }

    fn shoot(&mut self, worker: usize) {
        let workers = self.workers();
        let Some(id) = workers.get(worker % workers.len().max(1)) else { return };
        let state = self.world().state();
        if state.workers[id].session.is_some() {
            let shim = self.world().shim(id);
            if runs(shim) {
                super::world::signal(shim, Signal::SIGKILL);
                self.done += 1;
            }
        }
    }

    fn workers(&self) -> Vec<String> {
        self.world().peek().map(|state| state.workers.keys().cloned().collect()).unwrap_or_default()
    }

    /// Trees of all runs that are where they were made.
    fn trees(&self) -> Vec<PathBuf> {
        self.known_trees().into_iter().filter(|tree| tree.is_dir()).collect()
    }

    fn known_trees(&self) -> Vec<PathBuf> {
        let home = self.world().home();
        let runs = home.root().join("runs");
        let names = |folder: PathBuf| {
            let entries = fs::read_dir(folder).into_iter().flatten();
            let mut names: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
            names.sort();
            names
        };
        let mut trees = Vec::new();
        for run in names(runs) {
            let run_name = run.file_name().unwrap().to_owned();
            trees.extend(names(run.join("trees")));
            for away in names(self.world().root().join(AWAY).join(run_name)) {
                trees.push(run.join("trees").join(away.file_name().unwrap()));
            }
        }
        trees
    }

    /// Where a tree is moved to.
    fn away(&self, tree: &std::path::Path) -> PathBuf {
        let run = tree.ancestors().nth(2).unwrap().file_name().unwrap();
        let place = self.world().root().join(AWAY).join(run);
        fs::create_dir_all(&place).unwrap();
        place.join(tree.file_name().unwrap())
    }
}

impl Drop for Telling {
    /// Before its world: it would go on starting workers.
    fn drop(&mut self) {
        drop(self.up.take());
    }
}

fn judge(args: &[&str], code: i32, stderr: &str) -> Result<(), TestCaseError> {
    if CODES.contains(&code) {
        return Ok(());
    }
    Err(TestCaseError::fail(format!("{args:?} ended with {code}: {stderr}")))
}

/// Tells a story and holds what was there against what is there, after every act.
fn told(story: &[Act], counts: &RefCell<(usize, usize)>) -> Result<(), TestCaseError> {
    assert!(WORKFLOW.contains(GROWS));
    let mut telling = Telling::new();
    let mut before = Inventory::of(telling.world());
    // Every story begins with a run and ends without one.
    let all = [Act::Up("")].into_iter().chain(story.iter().cloned());
    for (index, act) in
        all.chain([Act::Back, Act::Run(&["down", "--force"]), Act::Up("--unattended")]).enumerate()
    {
        let own = telling.tell(&act)?;
        let after = Inventory::of(telling.world());
        let lost = before.lost(&after);
        let lost: Vec<&String> =
            lost.iter().filter(|lost| !own.iter().any(|own| lost.starts_with(own.as_str()))).collect();
        if !lost.is_empty() {
            return Err(TestCaseError::fail(format!("after act {index}, {act:?}: {lost:#?}")));
        }
        before = after;
    }
    let mut counts = counts.borrow_mut();
    counts.0 += telling.done;
    counts.1 += before.len();
    Ok(())
}

#[test]
fn r1_after_any_commands_and_outside_acts_everything_that_was_there_still_is() {
    let setting = |name: &str, default: u64| {
        std::env::var(name).ok().map_or(default, |text| text.parse().expect("a number"))
    };
    let until = Instant::now() + Duration::from_secs(setting("ILCHUL_KEPT_SECONDS", SECONDS));
    let counts = RefCell::new((0, 0));
    let mut stories = 0;
    for seed in setting("ILCHUL_KEPT_SEED", 1).. {
        // However slow the machine, what is asserted below needs two.
        if stories >= 2 && Instant::now() >= until {
            break;
        }
        let config = ProptestConfig {
            cases: 1,
            failure_persistence: None,
            max_shrink_time: 60_000,
            ..ProptestConfig::default()
        };
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let random = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        let mut runner = TestRunner::new_with_rng(config, random);
        if let Err(error) = runner.run(&vec(act(), ACTS), |story| told(&story, &counts)) {
            panic!("ILCHUL_KEPT_SEED={seed}: {error}");
        }
        stories += 1;
    }
    let (done, looked_at) = counts.into_inner();
    assert!(stories >= 2 && done >= 4 * stories && looked_at >= 50 * stories, "{stories} {done} {looked_at}");
}
