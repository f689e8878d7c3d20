//! `up` where there is a run already: go on, show the record, or ask for `--new`.
//!
//! It leaves out what happens to the workers in between.

use std::fs;

use super::world::World;

const LEDGER: &str = "tasks: { a: { run: 'echo $ILCHUL_RUN >> $W/ledger' } }";

#[test]
fn j10_an_ended_run_is_shown_with_its_code_and_starts_nothing() {
    let world = World::with("tasks: { a: { run: 'echo x >> $W/ledger; exit 1' } }");
    world.up().exits(3);
    let (run, events) = (world.run_id(), world.events().len());
    let ran = world.up().exits(3);
    assert!(ran.stderr.contains("has ended; nothing was started"), "{}", ran.stderr);
    assert!(ran.stdout.contains("1 failed"), "{}", ran.stdout);
    assert_eq!((world.run_id(), world.events().len()), (run, events));
    assert_eq!(world.ledger(), ["x"]);
}

#[test]
fn new_starts_another_run_and_the_old_one_stays() {
    let world = World::with(LEDGER);
    world.up().exits(0);
    let (first, tree) = (world.run_id().unwrap(), world.tree("a.1"));
    world.run(&["up", "--session", "subprocess", "--new"]).exits(0);
    let second = world.run_id().unwrap();
    assert!(first < second || first[..15] == second[..15], "ids sort by time: {first} {second}");
    assert_eq!(world.ledger(), [first, second]);
    assert!(tree.is_dir());
}

#[test]
fn a_changed_file_says_what_changed_and_needs_new() {
    let world = World::with(LEDGER);
    world.up().exits(0);
    let path = world.repo().join("ilchul.yaml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("{text}\n# a note\n")).unwrap();
    let ran = world.up().exits(1);
    assert!(ran.stderr.contains("the file has changed"), "{}", ran.stderr);
    assert!(ran.stderr.contains("--new"), "{}", ran.stderr);
    assert_eq!(world.ledger().len(), 1);
}

#[test]
fn a_base_that_moved_is_named_and_needs_new() {
    let world = World::with(LEDGER);
    world.up().exits(0);
    world.git(&["-c", "user.name=t", "-c", "user.email=t@t", "commit", "-q", "--allow-empty", "-m", "move"]);
    let ran = world.up().exits(1);
    assert!(ran.stderr.contains("its base `HEAD` has moved from"), "{}", ran.stderr);
    assert_eq!(world.ledger().len(), 1);
}

#[test]
fn new_is_refused_while_an_older_run_has_live_workers() {
    let world = World::with("tasks: { a: { run: 'until test -e $W/go; do sleep 0.02; done' } }");
    let up = world.start_up();
    world.await_task("a", "in_progress");
    up.kill();
    let ran = world.run(&["up", "--session", "subprocess", "--new"]).exits(1);
    assert!(ran.stderr.contains("has live workers: a.1"), "{}", ran.stderr);
    world.touch("go");
    world.up().exits(0);
}

#[test]
fn l15_a_run_is_not_gone_on_with_in_another_kind_of_session() {
    let world = World::with("tasks: { a: { run: 'until test -e $W/go; do sleep 0.02; done' } }");
    let up = world.start_up();
    world.await_task("a", "in_progress");
    up.kill();
    let ran = world.run(&["up", "--session", "tmux"]).exits(1);
    assert!(ran.stderr.contains("it was started with `subprocess`"), "{}", ran.stderr);
    world.touch("go");
    world.up().exits(0);
}

#[test]
fn a_workflow_with_mistakes_creates_nothing() {
    let world = World::with("tasks: { a: { run: 'true', neds: [b] } }");
    let ran = world.up().exits(1);
    assert!(ran.stderr.contains("neds") && ran.stderr.contains("needs"), "{}", ran.stderr);
    assert_eq!(ran.stdout, "");
    assert!(!world.home().root().exists());
}

#[test]
fn the_run_works_from_a_linked_worktree_and_a_subfolder_with_one_home() {
    let world = World::with(LEDGER);
    world.up().exits(0);
    let mut command = world.ilchul(&["up", "--session", "subprocess"]);
    let output = command.current_dir(world.repo().join("src")).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(world.ledger().len(), 1, "it is the same run");
    let inside = world.tree("a.1");
    let mut command = world.ilchul(&["up", "--session", "subprocess"]);
    let output = command.current_dir(inside).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(world.ledger().len(), 1, "from its own worktree too");
}

#[test]
fn j11_a_journal_that_is_missing_beside_runs_is_an_error_and_nothing_is_begun() {
    let world = World::with(LEDGER);
    world.up().exits(0);
    fs::rename(world.home().journal(), world.root().join("journal.saved")).unwrap();
    let ran = world.up().exits(6);
    assert!(ran.stderr.contains("missing"), "{}", ran.stderr);
    assert!(!world.home().journal().exists());
    assert_eq!(world.ledger().len(), 1);
}
