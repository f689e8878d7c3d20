//! Worktrees that somebody else fills: what each moment of that is taken for.
//!
//! The part of whoever fills is played by hand, step by step, so that it can end at each.

use crate::common::{World, branch, files, mark, reference, state};
use ilchul_git_worktree::{Fill, Filled, Filling, GitWorktree, WorktreeSpec};
use ilchul_substrate::{ErrorKind, Handle, Mark, State, Substrate, Urgency};
use std::fs;
use std::process::Command;

/// How far somebody came.
type Halfway = dyn Fn(&World, &Mark, &Fill);

fn spec(world: &World, mark: &Mark) -> WorktreeSpec {
    WorktreeSpec { filling: Filling::Deferred, ..world.spec(mark) }
}

fn made(world: &World, substrate: &GitWorktree, mark: &Mark) -> (Handle, Fill) {
    let handle = substrate.ensure(mark, &spec(world, mark)).unwrap();
    let fill = substrate.filling(&handle).unwrap().expect("a deferred one");
    (handle, fill)
}

/// What the program of `fill` does, in a world whose variables lead elsewhere.
fn check_out(fill: &Fill) {
    let mut command = Command::new(&fill.argv[0]);
    command.args(&fill.argv[1..]).envs(fill.env.iter().cloned());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn say_so(fill: &Fill) {
    assert_eq!(fs::read_to_string(&fill.record).unwrap(), fill.owed);
    fs::write(&fill.record, &fill.done).unwrap();
}

fn note(substrate: &GitWorktree, handle: &Handle) -> Option<String> {
    let State::Live(facts) = state(substrate, handle) else { panic!("live") };
    facts.notes.into_iter().find_map(|(name, words)| (name == "files").then_some(words))
}

#[test]
fn a_deferred_tree_is_locked_and_on_its_branch_and_holds_no_file() {
    let world = World::new();
    let (substrate, mark) = (world.open(), mark("fix", 1));
    let (handle, fill) = made(&world, &substrate, &mark);
    let tree = world.tree(&mark);
    assert_eq!(files(&tree).len(), 1, "git's own");
    assert_eq!(world.git(&["rev-parse", &branch(&mark)]), world.head());
    assert!(world.git(&["worktree", "list", "--porcelain"]).contains("locked ilchul: in use by"));
    assert!(fill.untouched.iter().all(|path| !path.exists()));
    assert_eq!(substrate.filled(&handle).unwrap(), Filled::Never);
    assert_eq!(note(&substrate, &handle).as_deref(), Some("never filled"));
    assert_eq!(substrate.remnants().unwrap(), [], "it waits for its files and blocks nobody");
}

#[test]
fn filled_by_its_command_it_is_like_any_other() {
    let world = World::new();
    let (substrate, mark) = (world.open(), mark("fix", 1));
    let (handle, fill) = made(&world, &substrate, &mark);
    check_out(&fill);
    say_so(&fill);
    let tree = world.tree(&mark);
    assert_eq!(world.git_at(&tree, &["status", "--porcelain", "--branch"]), format!("## {}", branch(&mark)));
    assert_eq!(fs::read_to_string(tree.join("src/lib.rs")).unwrap(), "fn a() {}\nfn b() {}\n");
    assert_eq!((substrate.filled(&handle).unwrap(), note(&substrate, &handle)), (Filled::Whole, None));
    // The handle of its first day, whoever asks.
    assert_eq!(substrate.ensure(&mark, &spec(&world, &mark)).unwrap(), handle);
    assert_eq!(substrate.made(&mark).unwrap(), Some(handle.clone()));
    assert_eq!(substrate.filling(&handle).unwrap_err().kind(), ErrorKind::Conflict, "once only");
    fs::write(tree.join("README"), "changed\n").unwrap();
    let snapshot = substrate.snapshot(&handle, &reference(&mark), "s").unwrap();
    assert_eq!(snapshot.uncommitted, ["README"]);
}

#[test]
fn r4b_a_checkout_that_ended_anywhere_is_recognised_and_never_begun_again_by_ensure() {
    let world = World::new();
    let substrate = world.open();
    // Each way to stop: after its lock, among its files, before the word that it's done.
    let halfway: [&Halfway; 3] = [
        &|world, mark, _| fs::write(world.entry(mark).join("index.lock"), "").unwrap(),
        &|world, mark, _| fs::write(world.tree(mark).join("README"), "hel").unwrap(),
        &|_, _, fill| check_out(fill),
    ];
    for (attempt, stop) in (1..).zip(halfway) {
        let mark = mark("fix", attempt);
        let (handle, fill) = made(&world, &substrate, &mark);
        stop(&world, &mark, &fill);
        let before = files(&world.tree(&mark));
        assert_eq!(substrate.filled(&handle).unwrap(), Filled::Partly, "{attempt}");
        assert!(note(&substrate, &handle).unwrap().contains("ended halfway"));
        assert_eq!(substrate.remnants().unwrap().last().unwrap().name, mark.to_string());
        // Asked again it is the same one, and nothing of it is touched.
        assert_eq!(world.open().ensure(&mark, &spec(&world, &mark)).unwrap(), handle);
        assert_eq!(files(&world.tree(&mark)), before);
        // No word on files that look deleted and aren't.
        let words = substrate.snapshot(&handle, &reference(&mark), "s").unwrap_err().to_string();
        assert!(words.contains("never all checked out"), "{words}");
        assert!(substrate.holding(&handle, None).is_err() && substrate.tree_id(&handle).is_err());
        substrate.release(&handle, Urgency::Asked).unwrap();
        assert_eq!(files(&world.tree(&mark)), before);
        let lock = fs::read_to_string(world.entry(&mark).join("locked")).unwrap();
        assert_eq!(lock, format!("ilchul: retained {mark}\n"));
    }
}

#[test]
fn what_was_never_filled_holds_what_its_commit_does_unless_somebody_was_there() {
    let world = World::new();
    let (substrate, mark) = (world.open(), mark("fix", 1));
    let (handle, _) = made(&world, &substrate, &mark);
    let kept = substrate.snapshot(&handle, &reference(&mark), "s").unwrap();
    assert_eq!((kept.commit.as_str(), kept.uncommitted.len()), (world.head().as_str(), 0));
    assert_eq!(substrate.filled(&handle).unwrap(), Filled::Never, "a look changes nothing");
    // A branch that somebody moved on holds more than its base.
    world.git(&["commit", "-q", "--allow-empty", "-m", "more"]);
    world.git(&["update-ref", &format!("refs/heads/{}", branch(&mark)), "HEAD"]);
    assert_eq!(substrate.filled(&handle).unwrap(), Filled::Partly);
}

#[test]
fn who_fills_is_part_of_what_was_asked_for() {
    let world = World::new();
    let (substrate, mark) = (world.open(), mark("fix", 1));
    let (handle, _) = made(&world, &substrate, &mark);
    let error = substrate.ensure(&mark, &world.spec(&mark)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.to_string().contains("another spec"), "{error}");
    assert_eq!(substrate.filled(&handle).unwrap(), Filled::Never);
    let at_once = crate::common::mark("fix", 2);
    let handle = world.made(&substrate, &at_once);
    assert_eq!(substrate.filling(&handle).unwrap(), None);
    assert_eq!(substrate.filled(&handle).unwrap(), Filled::Whole);
}

#[test]
fn l9_a_tree_that_cannot_be_read_is_neither_filled_nor_empty() {
    let world = World::new();
    let (substrate, mark) = (world.open(), mark("fix", 1));
    let (handle, _) = made(&world, &substrate, &mark);
    let tree = world.tree(&mark);
    fs::rename(&tree, world.root.join("elsewhere")).unwrap();
    assert!(substrate.filled(&handle).is_err());
    assert!(matches!(state(&substrate, &handle), State::Absent));
    // And no half of one either, so that looks at others go on.
    assert_eq!(substrate.remnants().unwrap(), []);
}

#[test]
fn s3_the_command_runs_nothing_that_the_repository_names() {
    let world = World::new();
    let fired = world.canary(&world.root.join("evil"));
    let evil = world.root.join("evil").display().to_string();
    world.canary(&world.repo.join(".git/hooks/post-checkout"));
    world.write(".gitattributes", "README filter=evil=x\n");
    world.git(&["add", "."]);
    world.git(&["commit", "-q", "-m", "attributes"]);
    for (key, value) in [
        ("filter.evil=x.smudge", evil.as_str()),
        ("filter.evil=x.process", &evil),
        ("filter.evil=x.required", "true"),
        ("core.fsmonitor", &evil),
    ] {
        world.git(&["config", key, value]);
    }
    let (substrate, mark) = (world.open(), mark("fix", 1));
    let (handle, fill) = made(&world, &substrate, &mark);
    let _ = fs::remove_file(&fired);
    check_out(&fill);
    say_so(&fill);
    assert!(!fired.exists(), "{}", fs::read_to_string(&fired).unwrap());
    assert_eq!(substrate.filled(&handle).unwrap(), Filled::Whole);
    assert_eq!(fs::read_to_string(world.tree(&mark).join("README")).unwrap(), "hello\n");
}
