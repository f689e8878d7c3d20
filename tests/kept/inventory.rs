//! All that may never be gone again, with what it holds: files, references, locks, records.
//!
//! Two of them are compared, and everything is named that the later one lacks. It leaves out who
//! was allowed to change something: the caller knows what it did itself.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use ilchul::journal::Journal;

use super::stage::below;
use super::world::{Ran, World, ran};

/// Where a test puts trees that somebody moves away for a while.
pub const AWAY: &str = "away";
/// What the name of a file begins with that its worker goes on writing.
pub const GROWS: &str = "w-";

/// What was there at one moment.
#[derive(Debug)]
pub struct Inventory {
    /// Files of the checkout, of all trees and scratch folders, captured logs, reports, blobs.
    files: BTreeMap<PathBuf, Vec<u8>>,
    /// Each reference and what it names.
    references: BTreeMap<String, String>,
    /// The reason of each locked worktree, by its entry.
    locks: BTreeMap<String, String>,
    /// Each run's rows.
    rows: BTreeMap<String, Vec<String>>,
    /// Commits that an earlier one is part of, asked of git when they are needed.
    repo: PathBuf,
}

impl Inventory {
    /// What is there now.
    #[track_caller]
    pub fn of(world: &World) -> Self {
        let (references, locks, rows) = (references(world), locks(world), rows(world));
        // Last, so that nothing is in a record that isn't in a file yet.
        Self { files: files(world), references, locks, rows, repo: world.repo() }
    }

    /// How much there is, to show that a test looked at something.
    pub fn len(&self) -> usize {
        self.files.len() + self.references.len() + self.locks.len() + self.rows.len()
    }

    /// Everything that isn't in `later` any more, or isn't what it was.
    #[track_caller]
    pub fn lost(&self, later: &Self) -> Vec<String> {
        let mut lost = Vec::new();
        for (path, bytes) in &self.files {
            match later.files.get(path) {
                None => lost.push(format!("file {} is gone", path.display())),
                // Nothing is lost of what is just being made.
                Some(now) if now == bytes || bytes.is_empty() => {}
                Some(now) if may_grow(path) && now.starts_with(bytes) => {}
                Some(now) => {
                    let shown =
                        |bytes: &[u8]| String::from_utf8_lossy(&bytes[..bytes.len().min(80)]).into_owned();
                    let (was, is) = (shown(bytes), shown(now));
                    lost.push(format!("file {} has changed: {was:?}, {is:?}", path.display()));
                }
            }
        }
        // A snapshot may get another name, a commit may not be without one.
        let kept: BTreeSet<&String> = ours(&later.references).map(|(_, commit)| commit).collect();
        for (name, commit) in ours(&self.references) {
            if !kept.contains(commit) || !later.references.contains_key(name) {
                lost.push(format!("reference {name} {commit} is gone"));
            }
        }
        for (name, commit) in self.references.iter().filter(|(name, _)| !name.starts_with("refs/ilchul/")) {
            let now = later.references.get(name);
            let grew = || name.starts_with("refs/heads/ilchul/") && self.is_part_of(commit, now.unwrap());
            if now != Some(commit) && (now.is_none() || !grew()) {
                lost.push(format!("reference {name} {commit} is {now:?}"));
            }
        }
        for (name, reason) in &self.locks {
            if !later.locks.get(name).is_some_and(|now| now == reason || reason.is_empty()) {
                lost.push(format!("lock {name} `{reason}` is {:?}", later.locks.get(name)));
            }
        }
        for (run, rows) in &self.rows {
            if !later.rows.get(run).is_some_and(|now| now.starts_with(rows)) {
                lost.push(format!("rows of {run} have changed"));
            }
        }
        lost
    }

    /// A branch moves on with its worker, and never back.
    fn is_part_of(&self, earlier: &str, later: &str) -> bool {
        let mut git = std::process::Command::new("git");
        git.arg("-C").arg(&self.repo).args(["merge-base", "--is-ancestor", earlier, later]);
        git.status().unwrap().success()
    }
}

/// References of ours.
fn ours(all: &BTreeMap<String, String>) -> impl Iterator<Item = (&String, &String)> {
    all.iter().filter(|(name, _)| name.starts_with("refs/ilchul/"))
}

/// What only ever gets longer: logs, and files that a worker goes on writing.
fn may_grow(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let folder = path.parent().and_then(Path::file_name).unwrap_or_default();
    name.starts_with(GROWS) || (folder == "logs" && name.ends_with(".log"))
}

fn files(world: &World) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let git = world.repo().join(".git");
    for path in below(&world.repo()).into_iter().filter(|path| !path.starts_with(&git)) {
        add(&mut found, path.clone(), &path);
    }
    let home = world.home().root().to_owned();
    for path in below(&home).into_iter().filter(|path| is_kept(&home, path)) {
        add(&mut found, path.clone(), &path);
    }
    // Moved away isn't lost: it counts as being where it was.
    let away = world.root().join(AWAY);
    for path in below(&away) {
        if let Ok(inside) = path.strip_prefix(&away)
            && inside.components().count() > 1
        {
            let run = inside.components().next().unwrap();
            add(&mut found, home.join("runs").join(run).join("trees").join(strip(inside)), &path);
        }
    }
    found
}

fn strip(inside: &Path) -> PathBuf {
    inside.components().skip(1).collect()
}

fn add(found: &mut BTreeMap<PathBuf, Vec<u8>>, name: PathBuf, path: &Path) {
    let Ok(facts) = path.symlink_metadata() else { return };
    let bytes = if facts.is_dir() {
        b"folder".to_vec()
    } else if facts.is_symlink() {
        fs::read_link(path).unwrap().into_os_string().into_encoded_bytes()
    } else {
        fs::read(path).unwrap_or_default()
    };
    found.insert(name, bytes);
}

/// Trees, scratch folders, logs, blobs, and what was said last; not what comes and goes.
fn is_kept(home: &Path, path: &Path) -> bool {
    let inside = path.strip_prefix(home).unwrap();
    let words: Vec<_> = inside.components().map(|word| word.as_os_str().to_string_lossy()).collect();
    let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
    match words.as_slice() {
        // The snapshots' lists of git's own are no work: its `.git` file is a link.
        ["runs", _, "trees" | "scratch", _, ..] | ["runs", _, "logs", _] => true,
        ["runs", _, "mail", _, name] => ["report.json", "exit.json", "assignment.json"].contains(name),
        ["runs", _, "workflow.yaml"] | ["blobs", "sha256", _, _] => true,
        _ => false,
    }
}

fn references(world: &World) -> BTreeMap<String, String> {
    let mut git = world.sealed("git");
    // Not by a git of the test's own making, which writes down how it is called.
    git.env("PATH", std::env::var_os("PATH").unwrap());
    let Ran { stdout, .. } =
        ran(&git.args(["for-each-ref", "--format=%(refname) %(objectname)"]).output().unwrap()).exits(0);
    let read = |line: &str| line.split_once(' ').map(|(name, commit)| (name.to_owned(), commit.to_owned()));
    stdout.lines().filter_map(read).collect()
}

/// Those moved aside half made included: nothing of them is gone.
fn locks(world: &World) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for place in [world.home().quarantine(), world.repo().join(".git/worktrees")] {
        let Ok(entries) = fs::read_dir(place) else { continue };
        for entry in entries {
            let entry = entry.unwrap();
            if let Ok(reason) = fs::read_to_string(entry.path().join("locked")) {
                found.insert(entry.file_name().to_string_lossy().into_owned(), reason);
            }
        }
    }
    found
}

fn rows(world: &World) -> BTreeMap<String, Vec<String>> {
    let Ok(journal) = Journal::open_read(&world.home()) else { return BTreeMap::new() };
    let rows = |run: String| {
        let rows = journal.read_run(&run).unwrap().into_iter();
        (run, rows.map(|row| format!("{} {:?} {:?}", row.seq, row.at, row.event)).collect())
    };
    journal.runs().unwrap().into_iter().map(|run| rows(run.id)).collect()
}

#[test]
fn whatever_is_gone_or_changed_is_named() {
    let world = World::with("tasks: { a: { run: 'echo 1 > w-1; echo 2 > b', retain: false } }");
    world.git(&["branch", "spare"]);
    world.up().exits(0);
    let tree = world.tree("a.1");
    let entry = world.repo().join(".git/worktrees").join(tree.file_name().unwrap());
    let snapshot = format!("refs/ilchul/{}/a.1", world.run_id().unwrap());
    let branch = format!("refs/heads/ilchul/{}/a.1", world.run_id().unwrap());
    let log = world.home().log(&world.run_id().unwrap(), "a.1");
    let before = Inventory::of(&world);
    let lost = || before.lost(&Inventory::of(&world)).join("\n");
    assert_eq!(lost(), "");
    let mut checks = 0;
    let mut check = |act: &dyn Fn(), undo: &dyn Fn(), told: &str| {
        act();
        assert!(lost().contains(told), "{told}: {}", lost());
        undo();
        assert_eq!(lost(), "", "{told}");
        checks += 1;
    };
    let write = |path: &Path, text: &str| fs::write(path, text).unwrap();
    let b = tree.join("b");
    check(&|| fs::remove_file(&b).unwrap(), &|| write(&b, "2\n"), "/b is gone");
    check(&|| write(&b, "3\n"), &|| write(&b, "2\n"), "/b has changed");
    write(&tree.join("w-1"), "1\n2\n");
    assert_eq!(lost(), "");
    check(&|| write(&tree.join("w-1"), "2\n"), &|| write(&tree.join("w-1"), "1\n"), "w-1 has changed");
    let mine = world.repo().join("README");
    let text = fs::read_to_string(&mine).unwrap();
    check(&|| write(&mine, "x"), &|| write(&mine, &text), "README has changed");
    let logged = fs::read_to_string(&log).unwrap();
    check(&|| fs::remove_file(&log).unwrap(), &|| write(&log, &logged), "a.1.log is gone");
    let reason = fs::read_to_string(entry.join("locked")).unwrap();
    let locked = entry.join("locked");
    check(&|| fs::remove_file(&locked).unwrap(), &|| write(&locked, &reason), "lock ilchul.");
    let old = world.git(&["rev-parse", &snapshot]);
    let set = |name: &str, to: &str| {
        world.git(&["update-ref", name, to]);
    };
    check(&|| set(&snapshot, "main"), &|| set(&snapshot, old.trim()), &snapshot);
    let spare = || world.git(&["branch", "-D", "spare"]);
    check(&|| drop(spare()), &|| set("refs/heads/spare", "main"), "refs/heads/spare");
    // A worker's branch may move on, and not elsewhere.
    set(&branch, old.trim());
    assert_eq!(lost(), "");
    check(&|| set(&branch, "main~1"), &|| set(&branch, "main"), &branch);
    assert_eq!(checks, 9);
}
