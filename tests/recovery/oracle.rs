//! The one oracle: what must hold after any crash, however it came about.
//!
//! It looks from outside: at what the commands print, at git, at tmux, at `/proc`, at the
//! ledger, at the database with a SQLite of its own. It leaves out how the crash was made.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use super::life::said;
use super::plan::Plan;
use super::world::{World, wait_until};

/// The end of each task: state, reason, its verdicts, and the tree that its head holds.
pub type Outcome = BTreeMap<String, String>;

/// What must never be gone again once it was there.
pub type Retained = BTreeSet<String>;

/// The end of the latest run, as `status --json` tells it.
#[track_caller]
pub fn outcome(world: &World) -> Outcome {
    let status = status(world);
    let told = |task: &Value| {
        let verdicts: Vec<String> = list(&task["evidence"])
            .map(|item| format!("{} {}: {}", item["kind"], item["verdict"], item["reason"]))
            .collect();
        let told = format!("{} ({}) {verdicts:?}", task["state"], task["reason"]);
        (word(&task["id"]), format!("{told} {:?}", task["head"].as_str().map(|head| files(world, head))))
    };
    list(&status["tasks"]).map(told).collect()
}

/// What a commit holds; the workflow itself names the folder of its world and is left out.
fn files(world: &World, commit: &str) -> Vec<String> {
    let listed = world.git(&["ls-tree", "-r", commit]);
    listed.lines().filter(|line| !line.ends_with("ilchul.yaml")).map(str::to_owned).collect()
}

/// How often each task's body began.
pub fn bodies(world: &World) -> BTreeMap<String, usize> {
    let mut bodies = BTreeMap::new();
    for line in world.ledger().iter().filter(|line| line.ends_with(" start")) {
        *bodies.entry(line.split(' ').next().unwrap().to_owned()).or_default() += 1;
    }
    bodies
}

/// Everything retained that is there now: worktrees, branches, kept commits, folders, panes.
pub fn retained(world: &World) -> Retained {
    let mut found = Retained::new();
    let listed = world.git(&["worktree", "list", "--porcelain"]);
    found.extend(listed.lines().filter(|line| line.starts_with("worktree ")).map(str::to_owned));
    // A branch may move on, what was kept under `refs/ilchul` may not.
    found
        .extend(world.git(&["for-each-ref", "--format=%(refname)", "refs/heads"]).lines().map(str::to_owned));
    let kept = world.git(&["for-each-ref", "--format=%(refname) %(objectname)", "refs/ilchul"]);
    found.extend(kept.lines().map(str::to_owned));
    for part in ["trees", "scratch", "mail", "logs"] {
        for run in entries(&world.home().root().join("runs")) {
            found.extend(entries(&run.join(part)).iter().map(|path| path.display().to_string()));
        }
    }
    found.extend(panes(world));
    found
}

/// The panes of this world's own server, each with its mark.
fn panes(world: &World) -> Vec<String> {
    if entries(&world.root().join("tmux")).is_empty() {
        return Vec::new();
    }
    let ran = world.tmux(&["list-panes", "-a", "-F", "pane #{pane_id} #{@ilchul_mark}"]);
    ran.stdout.lines().map(str::to_owned).collect()
}

fn entries(folder: &Path) -> Vec<std::path::PathBuf> {
    let Ok(found) = std::fs::read_dir(folder) else { return Vec::new() };
    found.map(|entry| entry.unwrap().path()).collect()
}

/// Lets the run end after it was crashed, and holds everything that must hold against it.
///
/// `context` names the crash. Without another life of its own it is shown with what was said.
#[track_caller]
pub fn ends_as_undisturbed(world: &World, plan: &Plan, context: &str) {
    let before = retained(world);
    let ran = world.run(&plan.up());
    let told =
        || format!("{context}\n--- now\n{}{}--- before\n{}", ran.stdout, ran.stderr, said(world.root()));
    assert_eq!(ran.code, plan.code, "{}", told());
    let found = outcome(world);
    let same = found.len() == plan.outcome.len();
    let other: Vec<_> = found.iter().filter(|(task, end)| plan.outcome.get(*task) != Some(*end)).collect();
    let story = || other.iter().map(|(task, _)| story(world, task)).collect::<String>();
    assert!(same && other.is_empty(), "{other:#?}\n{}\n{}", story(), told());
    let after = retained(world);
    let gone: Vec<_> = before.difference(&after).collect();
    assert!(gone.is_empty(), "gone: {gone:?}\n{}", told());
    each_is_settled_once(world, &told);
    no_body_ran_twice(world, plan, &told);
    the_journal_is_whole(world, &told);
    nobody_is_left(world, &told);
}

/// What happened to one task.
fn story(world: &World, task: &str) -> String {
    let text = world.run(&["events", "--json"]).stdout;
    let about = format!("\"task\":\"{task}\"");
    text.lines().filter(|line| line.contains(&about)).map(|line| format!("{line}\n")).collect()
}

/// L2, L6, J2: tokens rise and each is settled once; one root, one end, one completion each.
fn each_is_settled_once(world: &World, told: &dyn Fn() -> String) {
    let text = world.run(&["events", "--json"]).exits(0).stdout;
    let events: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let sequence: Vec<u64> = events.iter().map(|event| event["seq"].as_u64().unwrap()).collect();
    assert!(sequence.windows(2).all(|pair| pair[0] < pair[1]), "{sequence:?}\n{}", told());
    let of = |kind: &str| events.iter().filter(|event| event["kind"] == kind).collect::<Vec<_>>();
    assert_eq!((of("run.started").len(), of("run.ended").len()), (1, 1), "{}", told());
    let tokens =
        |kind: &str| of(kind).iter().map(|event| event["token"].as_u64().unwrap()).collect::<Vec<_>>();
    let granted = tokens("claim.granted");
    assert!(granted.windows(2).all(|pair| pair[0] < pair[1]), "{granted:?}\n{}", told());
    let mut settled = [tokens("claim.closed"), tokens("claim.revoked")].concat();
    settled.sort_unstable();
    assert_eq!(settled, granted, "{}", told());
    let mut completed: Vec<String> = of("task.completed").iter().map(|event| word(&event["task"])).collect();
    completed.sort_unstable();
    completed.dedup();
    assert_eq!(completed.len(), of("task.completed").len(), "completed twice\n{}", told());
}

/// J6: an attempt runs at most once, never beside another one of its task; and where only the
/// supervisor was killed its shims lived on, so no body ran more often than undisturbed.
fn no_body_ran_twice(world: &World, plan: &Plan, told: &dyn Fn() -> String) {
    let mut began: BTreeSet<(String, String)> = BTreeSet::new();
    let mut tokens: BTreeSet<String> = BTreeSet::new();
    let mut at_work: BTreeSet<(String, String)> = BTreeSet::new();
    for line in world.ledger() {
        let words: Vec<&str> = line.split(' ').collect();
        let [task, attempt, token, pid, moment] = words[..] else { panic!("{line}\n{}", told()) };
        let own = format!("{attempt} {token} {pid}");
        if moment == "start" {
            assert!(began.insert((task.to_owned(), attempt.to_owned())), "{line} again\n{}", told());
            assert!(tokens.insert(token.to_owned()), "the token of {line} again\n{}", told());
            at_work.insert((task.to_owned(), own));
        } else {
            // Whatever else is in the ledger: an end without a start, or a body beside another.
            let ended = moment == "end" && at_work.remove(&(task.to_owned(), own));
            assert!(ended, "{line}: {:#?}\n{}", world.ledger(), told());
        }
    }
    assert_eq!(bodies(world), plan.bodies, "{:#?}\n{}", world.ledger(), told());
}

/// J4, J11: it folds twice to the same, and a SQLite that isn't ours finds nothing wrong.
fn the_journal_is_whole(world: &World, told: &dyn Fn() -> String) {
    let fold = || world.run(&["status", "--json"]).exits(0).stdout;
    assert_eq!(fold(), fold(), "{}", told());
    let database = rusqlite::Connection::open(world.home().journal()).unwrap();
    let check: String = database.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(check, "ok", "{}", told());
}

/// No process of the world lives but its tmux server, and every pane is a worker's of the run.
fn nobody_is_left(world: &World, told: &dyn Fn() -> String) {
    wait_until(&format!("the end of {:?}\n{}", alive(world.root()), told()), || {
        alive(world.root()).is_empty()
    });
    let run = world.run_id().unwrap();
    let status = status(world);
    let workers: BTreeSet<String> = list(&status["workers"]).map(|worker| word(&worker["id"])).collect();
    for pane in panes(world) {
        let mark = pane.rsplit(' ').next().unwrap();
        // A pane without a mark is tmux's own first one, or half made: it runs nothing of ours.
        let known = mark.strip_prefix(&format!("ilchul.{run}.")).is_some_and(|id| workers.contains(id));
        assert!(known || mark.is_empty(), "{pane} is nobody's\n{}", told());
    }
}

/// The processes that carry this world's folder in their environment.
fn alive(root: &Path) -> Vec<String> {
    let needle = root.to_str().unwrap().as_bytes();
    let mut found = Vec::new();
    for entry in entries(Path::new("/proc")) {
        let own = std::fs::read(entry.join("environ")).unwrap_or_default();
        if !own.windows(needle.len()).any(|window| window == needle) {
            continue;
        }
        let name = std::fs::read_to_string(entry.join("comm")).unwrap_or_default();
        let line = std::fs::read(entry.join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if !name.starts_with("tmux: server") && !line.is_empty() {
            found.push(format!("{} {line}", entry.display()));
        }
    }
    found
}

fn status(world: &World) -> Value {
    let text = world.run(&["status", "--json"]).exits(0).stdout;
    serde_json::from_str::<Value>(&text).unwrap()["data"].take()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().unwrap().iter()
}

fn word(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}
