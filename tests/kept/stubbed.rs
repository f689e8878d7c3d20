//! The whole run with a git and a tmux that refuse to take anything away: none was asked to.
//!
//! It leaves out what is done without either: `traced.rs` sees that.

use std::collections::BTreeSet;
use std::fs;

use super::inventory::Inventory;
use super::stage::Stage;
use super::story;
use super::tools::{REFUSED, calls, verb, watch};
use super::world::World;

/// Everything that ilchul may ask git for.
const VERBS: &[&str] = &["--version", "worktree add", "read-tree"];

/// Plays the whole run and answers what was called.
#[track_caller]
fn played(session: &str) -> Vec<(String, Vec<String>)> {
    let mut world = story::world();
    watch(&mut world);
    let before = Inventory::of(&world);
    let stage = Stage::of(world);
    story::play(&stage, session);
    let lost = before.lost(&Inventory::of(&stage.world));
    // The story itself changes its workflow, and with it its branch.
    let own = ["ilchul.yaml has", "refs/heads/main"];
    let lost: Vec<&String> = lost.iter().filter(|lost| !own.iter().any(|own| lost.contains(own))).collect();
    assert!(lost.is_empty(), "{lost:#?}");
    calls(&stage.world)
}

#[track_caller]
fn none_takes_away(calls: &[(String, Vec<String>)]) {
    let refused: Vec<_> = calls.iter().filter(|(who, _)| who == "refused").collect();
    assert!(refused.is_empty(), "{refused:#?}");
    let verbs: BTreeSet<String> = calls
        .iter()
        .filter(|(who, words)| who == "ilchul" && words[0] == "git")
        .map(|(_, words)| verb(words))
        .collect();
    assert!(verbs.contains("worktree add") && verbs.contains("read-tree"), "{verbs:?}");
    let other: Vec<_> = verbs.iter().filter(|verb| !VERBS.contains(&verb.as_str())).collect();
    assert!(other.is_empty(), "{other:?}");
    // What a worker calls is told apart, or a refusal would have been its own.
    assert!(calls.iter().any(|(who, words)| who == "worker" && verb(words) == "commit"));
}

#[test]
fn r1_no_git_of_a_whole_run_is_asked_to_take_anything_away() {
    none_takes_away(&played("subprocess"));
}

#[test]
fn r1_no_tmux_of_a_whole_run_is_asked_to_take_anything_away() {
    let calls = played("tmux");
    none_takes_away(&calls);
    assert!(calls.iter().filter(|(who, words)| who == "ilchul" && words[0] == "tmux").count() >= 10);
}

#[test]
fn whatever_takes_something_away_is_refused_and_not_done() {
    let mut world = World::with("tasks: { a: { run: 'true' } }");
    fs::write(world.repo().join("mine.txt"), "mine\n").unwrap();
    fs::write(world.repo().join("README"), "changed\n").unwrap();
    world.git(&["branch", "spare"]);
    world.git(&["worktree", "add", "-q", "../side", "spare"]);
    watch(&mut world);
    let before = Inventory::of(&world);
    let git = [
        "worktree remove ../side",
        "worktree remove --force ../side",
        "-C . worktree prune",
        "-c core.hooksPath=/dev/null --git-dir=.git worktree move ../side ../other",
        "branch -D spare",
        "branch --delete spare",
        "branch -M spare other",
        "clean -f -d",
        "stash",
        "stash push -u",
        "reset --hard",
        "checkout -f",
        "checkout -- README",
        "gc",
        "prune",
        "update-ref -d refs/heads/spare",
        "push origin main",
        "rm README",
        "reflog expire --all",
        "read-tree --reset -u HEAD",
    ];
    let tmux = [
        "kill-server",
        "-S /nowhere kill-session -t mine",
        "list-panes ; kill-pane -t %0",
        "respawn-pane -k -t %0",
        "killw",
    ];
    let words = |line: &'static str| line.split(' ').collect::<Vec<_>>();
    let all = git.iter().map(|line| ("git", *line)).chain(tmux.iter().map(|line| ("tmux", *line)));
    for (tool, line) in all {
        let ended = world.sealed(tool).args(words(line)).output().unwrap();
        assert_eq!(ended.status.code(), Some(REFUSED), "{tool} {line}");
        let refused = calls(&world).pop().unwrap();
        assert_eq!((refused.0.as_str(), refused.1.len()), ("refused", words(line).len() + 1), "{line}");
    }
    assert_eq!(before.lost(&Inventory::of(&world)), Vec::<String>::new());
    for line in ["--version", "worktree list", "branch other", "update-ref -d refs/ilchul/none"] {
        assert!(world.sealed("git").args(words(line)).output().unwrap().status.success(), "{line}");
    }
    // A worker's own are its own.
    let mut own = world.sealed("git");
    let ended = own.env("ILCHUL_WORKER", "a.1").args(["branch", "-D", "other"]).output().unwrap();
    assert!(ended.status.success());
    assert_eq!(calls(&world).pop().unwrap().0, "worker");
}
