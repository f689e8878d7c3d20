//! Never lose work: what ends stays, and is called safe to close only with reasons.
//!
//! It leaves out the removal itself: ilchul has no verb for it.

use std::fs;

use super::world::{World, wait_until};

fn phase(world: &World, worker: &str) -> String {
    world.state().workers[worker].phase.to_string()
}

fn locked(world: &World, worker: &str) -> bool {
    let list = world.git(&["worktree", "list", "--porcelain"]);
    let tree = world.tree(worker);
    list.split("\n\n").any(|entry| entry.contains(tree.to_str().unwrap()) && entry.contains("\nlocked"))
}

#[test]
fn a_released_worker_is_safe_to_close_with_reasons_and_keeps_its_locked_worktree() {
    let world = World::with("tasks: { a: { run: 'echo left > left.txt' } }");
    world.up().exits(0);
    assert_eq!(phase(&world, "a.1"), "completed-retained");
    let ran = world.run(&["release", "a.1"]).exits(0);
    assert!(ran.stdout.contains("no process lives"), "{}", ran.stdout);
    assert!(ran.stdout.contains("1 uncommitted file is kept"), "{}", ran.stdout);
    assert_eq!(phase(&world, "a.1"), "safe-to-close");
    let workers = world.run(&["workers", "--json"]).exits(0).stdout;
    let workers: serde_json::Value = serde_json::from_str(&workers).unwrap();
    assert_eq!(workers["data"][0]["state"], "safe-to-close");
    assert_eq!(workers["data"][0]["tree"], world.tree("a.1").to_str().unwrap());
    assert!(locked(&world, "a.1"));
    assert_eq!(fs::read_to_string(world.tree("a.1").join("left.txt")).unwrap(), "left\n");
    world.run(&["retain", "a.1"]).exits(0);
    assert_eq!(phase(&world, "a.1"), "completed-retained");
    assert!(locked(&world, "a.1"));
}

#[test]
fn a_release_that_is_refused_says_why_and_changes_nothing() {
    let world = World::with("tasks: { a: { run: 'until test -e $W/go; do sleep 0.02; done' } }");
    let up = world.start_up();
    world.await_task("a", "in_progress");
    let refused = world.run(&["release", "a.1"]).exits(1);
    assert!(
        refused.stderr.contains("only a completed-retained worker can be released"),
        "{}",
        refused.stderr
    );
    let refused = world.run(&["retain", "a.1"]).exits(1);
    assert!(refused.stderr.contains("only a safe-to-close worker"), "{}", refused.stderr);
    let refused = world.run(&["release", "b.1"]).exits(1);
    assert!(refused.stderr.contains("no worker `b.1`"), "{}", refused.stderr);
    assert_eq!(phase(&world, "a.1"), "busy");
    world.touch("go");
    up.wait().exits(0);
}

#[test]
fn retain_false_ends_safe_to_close_and_removes_nothing() {
    let world = World::with("tasks: { a: { run: 'echo left > left.txt', retain: false } }");
    world.up().exits(0);
    assert_eq!(phase(&world, "a.1"), "safe-to-close");
    assert!(world.tree("a.1").join("left.txt").exists());
    assert!(locked(&world, "a.1"));
}

#[test]
fn r3_a_worktree_that_vanished_fails_nothing_and_is_told_of() {
    let world = World::with("tasks: { a: { run: 'true' } }");
    world.up().exits(0);
    fs::rename(world.tree("a.1"), world.root().join("moved")).unwrap();
    world.up().exits(0);
    let ran = world.run(&["release", "a.1"]).exits(0);
    assert!(ran.stdout.contains("the worktree is gone already"), "{}", ran.stdout);
}

#[test]
fn r1_no_git_or_tmux_that_is_started_has_a_verb_that_takes_anything_away() {
    let world = World::with(
        "limits: { grace: 1s, workers: 4 }\n\
         tasks:\n\
         \x20 a: { run: 'echo a > a.txt; exit 1', retries: 1 }\n\
         \x20 b: { run: 'echo $ILCHUL_ATTEMPT >> $W/ledger; until test -e $W/go; do sleep 0.02; done' }\n\
         \x20 c: { run: 'sleep 600', timeout: 1s, workspace: none }\n",
    )
    .with_logged_tools();
    let up = world.start(&["up", "--session", "tmux"]);
    world.await_task("a", "failed");
    world.await_task("c", "failed");
    world.await_task("b", "in_progress");
    up.kill();
    world.run(&["down"]).exits(0);
    world.touch("go");
    world.run(&["up"]).exits(3);
    world.run(&["release", "a.1"]).exits(0);
    let log = fs::read_to_string(world.root().join("argv.log")).unwrap();
    assert!(log.contains("git ") && log.contains("tmux "), "nothing was logged: {log}");
    let of_git =
        ["remove", "prune", "-D", "-d", "--delete", "clean", "stash", "reset", "gc", "--force", "-f"];
    for line in log.lines() {
        let git = line.starts_with("git ");
        let takes = |word: &str| {
            (git && of_git.contains(&word)) || word.starts_with("kill-") || word.starts_with("respawn-")
        };
        assert!(!line.split_whitespace().any(takes), "{line}");
    }
    let made: Vec<String> = world.state().workers.keys().cloned().collect();
    assert_eq!(made, ["a.1", "a.2", "b.1", "b.2", "c.1"]);
    assert!(made[..4].iter().all(|id| world.tree(id).is_dir()));
}

#[test]
fn law_3_everything_that_was_there_before_a_crash_and_a_resume_is_there_after() {
    let world = World::with(
        "limits: { grace: 1s }\n\
         tasks:\n\
         \x20 a: { run: 'echo a > ignored.log; echo \"*.log\" > .gitignore; echo u > untracked; exit 1' }\n\
         \x20 b: { run: 'until test -e $W/go; do sleep 0.02; done' }\n",
    );
    let up = world.start(&["up", "--session", "tmux"]);
    world.await_task("a", "failed");
    world.await_task("b", "in_progress");
    wait_until("the snapshot", || phase(&world, "a.1") == "completed-retained");
    let refs = world.git(&["for-each-ref", "--format=%(refname) %(objectname)"]);
    let panes = world.tmux(&["list-panes", "-a", "-F", "#{pane_id}"]).exits(0).stdout;
    up.kill();
    world.touch("go");
    world.run(&["up"]).exits(3);
    let after = world.git(&["for-each-ref", "--format=%(refname) %(objectname)"]);
    assert!(refs.lines().all(|line| after.contains(line)), "{refs}\n{after}");
    let panes_after = world.tmux(&["list-panes", "-a", "-F", "#{pane_id}"]).exits(0).stdout;
    assert!(
        panes.lines().all(|pane| panes_after.lines().any(|after| after == pane)),
        "{panes}\n{panes_after}"
    );
    for file in ["ignored.log", ".gitignore", "untracked", "README"] {
        assert!(world.tree("a.1").join(file).exists(), "{file}");
    }
}
