//! Ending a session ends its whole tree and nothing else, however it resists.
//! Left out: processes of other users.

use crate::common::{World, identity, runs, send};
use ilchul_conformance::{PATIENCE, wait_for, wait_until};
use ilchul_subprocess::Subprocess;
use ilchul_subprocess::process::{self, Identity};
use ilchul_substrate::{ErrorKind, Exit, Handle, State, Substrate, Urgency};
use nix::sys::signal::Signal;
use std::process::Command;
use std::time::Duration;

/// The tree under a session once it has `count` processes below its leader.
fn tree(handle: &Handle, count: usize) -> Vec<Identity> {
    wait_for("the tree has grown", PATIENCE, || {
        let below = process::descendants(identity(handle)).ok()?;
        (below.len() >= count).then_some(below)
    })
}

#[track_caller]
fn assert_all_ended(tree: &[Identity]) {
    let left: Vec<_> = tree.iter().filter(|identity| runs(**identity)).collect();
    assert!(left.is_empty(), "{left:?} of {tree:?}");
}

#[test]
fn a_tree_that_ignores_term_is_ended() {
    let world = World::with_grace(Duration::from_millis(200));
    let handle = world.started("deaf", "trap '' TERM; sleep 600 & echo ready; wait");
    let tree = tree(&handle, 1);
    world.substrate.release(&handle, Urgency::Asked).unwrap();
    assert_all_ended(&tree);
    assert_eq!(world.state(&handle), State::Ended(Some(Exit::Signal(9))));
}

#[test]
fn who_is_asked_may_finish_within_the_grace() {
    let world = World::new();
    let handle =
        world.started("polite", "trap 'echo bye; exit 4' TERM; echo ready; while :; do sleep 0.01; done");
    world.substrate.release(&handle, Urgency::Asked).unwrap();
    assert_eq!(world.state(&handle), State::Ended(Some(Exit::Code(4))));
    assert!(world.output(&handle.mark).contains("bye"));
}

#[test]
fn at_once_asks_nobody() {
    let world = World::new();
    let handle = world.started("now", "trap 'echo bye' TERM; echo ready; while :; do sleep 0.01; done");
    world.substrate.release(&handle, Urgency::AtOnce).unwrap();
    assert_eq!(world.state(&handle), State::Ended(Some(Exit::Signal(9))));
    assert!(!world.output(&handle.mark).contains("bye"));
}

#[test]
fn a_grandchild_that_left_group_and_session_is_ended() {
    for (task, urgency) in [("asked", Urgency::Asked), ("at-once", Urgency::AtOnce)] {
        let world = World::with_grace(Duration::from_millis(300));
        let handle =
            world.started(task, "setsid sh -c 'trap \"\" TERM; sleep 600 & wait' & echo ready; wait");
        let leader = identity(&handle);
        let tree = wait_for("the escape", PATIENCE, || {
            let below = tree(&handle, 2);
            let escaped = |it: &Identity| process::identify(it.pid).unwrap().unwrap().session == it.pid;
            below.iter().any(escaped).then_some(below)
        });
        // Asked, the leader dies at once and its child becomes another's: it was seen before.
        world.substrate.release(&handle, urgency).unwrap();
        assert_all_ended(&tree);
        assert!(!runs(leader));
    }
}

#[test]
fn a_tree_that_forks_while_it_is_ended_is_ended() {
    let world = World::with_grace(Duration::from_millis(200));
    let script = "trap 'sleep 600 & sleep 601 &' TERM; echo ready; while :; do sleep 0.02; done";
    let handle = world.started("forks", script);
    world.substrate.release(&handle, Urgency::Asked).unwrap();
    assert_eq!(world.substrate.discover(&world.run).unwrap(), [], "nobody bears the mark any more");
}

#[test]
fn what_a_dead_leader_left_is_a_conflict_and_ended_by_release() {
    let world = World::new();
    let handle = world.started("left", "sleep 600 & echo ready");
    world.ended(&handle);
    let cold = Subprocess::new(Duration::from_secs(10));
    let found = cold.discover(&world.run).unwrap();
    assert_eq!(found.len(), 1, "the rest is shown by its mark");
    let rest = identity(&found[0].1);
    let error = cold.ensure(&handle.mark, &world.script(&handle.mark, "exit 0")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(runs(rest), "and left as it was");
    world.substrate.release(&handle, Urgency::Asked).unwrap();
    assert!(!runs(rest));
}

#[test]
fn a_bystander_in_our_own_group_is_not_ended() {
    let world = World::new();
    let mut bystander = Command::new("sleep").arg("600").spawn().unwrap();
    let handle = world.started("beside", "sleep 600 & echo ready; wait");
    world.substrate.release(&handle, Urgency::Asked).unwrap();
    let there = process::identify(bystander.id()).unwrap().unwrap();
    assert!(!there.is_ended());
    bystander.kill().unwrap();
    bystander.wait().unwrap();
}

#[test]
fn a_subreaper_may_end_all_below_it_and_stay() {
    let world = World::new();
    let handle = world.started("below", "sleep 600 & setsid sleep 601 & echo ready; wait; exec sleep 602");
    let tree = tree(&handle, 2);
    process::end_descendants(identity(&handle), Duration::from_secs(10)).unwrap();
    assert_all_ended(&tree);
    assert!(runs(identity(&handle)));
}

#[test]
fn an_identity_of_the_past_ends_nothing() {
    let world = World::new();
    let handle = world.started("past", "echo ready; exec sleep 600");
    let now = identity(&handle);
    let past = Identity { start_ticks: now.start_ticks - 1, ..now };
    process::end_tree(past, Duration::ZERO).unwrap();
    process::end_descendants(past, Duration::ZERO).unwrap();
    assert!(runs(now));
}

#[test]
fn a_stopped_tree_is_ended_at_once() {
    let world = World::new();
    let handle = world.started("stopped", "sleep 600 & echo ready; wait");
    let tree = tree(&handle, 1);
    for identity in &tree {
        send(*identity, Signal::SIGSTOP);
    }
    world.substrate.release(&handle, Urgency::AtOnce).unwrap();
    assert_all_ended(&tree);
}

#[test]
fn two_releases_at_once_both_see_the_end() {
    let world = World::new();
    let handle = world.started("two", "sleep 600 & echo ready; wait");
    let tree = tree(&handle, 1);
    let release = || world.substrate.release(&handle, Urgency::Asked);
    let (one, other) = std::thread::scope(|scope| {
        let other = scope.spawn(release);
        (release(), other.join())
    });
    one.unwrap();
    other.unwrap().unwrap();
    assert_all_ended(&tree);
    wait_until("the end is seen", PATIENCE, || matches!(world.state(&handle), State::Ended(_)));
}
