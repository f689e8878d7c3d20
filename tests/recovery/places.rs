//! The supervisor restarted in the middle of a step, five times in a row each.
//!
//! Each step is held open by something that waits for a file, so the kill hits it for sure:
//! a stub of git while a worker is provisioned, a body while it is being ended, a command
//! while evidence is checked; the delivery, which is one rename, is hit by strace. It leaves
//! out the capture of a tree, which has no place to be held: the journal's points on both
//! sides of it are in `journal.rs`.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::life::{self, killed_at};
use super::oracle;
use super::plan::Plan;
use super::world::{World, wait_until};

/// How often in a row the supervisor is killed at each place.
const TIMES: usize = 5;

fn lines(world: &World, name: &str) -> usize {
    fs::read_to_string(world.root().join(name)).unwrap_or_default().lines().count()
}

pub fn events(world: &World, kind: &str) -> usize {
    world.events().iter().filter(|event| event.kind() == kind).count()
}

/// Starts `up` five times, and kills it each time once `reached` holds for that life.
pub fn killed_in_a_row(world: &World, plan: &Plan, reached: impl Fn(usize) -> bool) {
    for life in 1..=TIMES {
        let mut up = world.start(&plan.up());
        wait_until(&format!("the place in life {life}"), || {
            assert!(!up.has_ended(), "life {life} of {} ended by itself", plan.session);
            reached(life)
        });
        up.kill();
    }
}

/// A git that says on `worktree add` that it came, and waits there for `go`.
fn hold_git(world: &mut World) {
    let real = std::env::split_paths(&world.path).map(|dir| dir.join("git")).find(|path| path.exists());
    let (tools, root) = (world.root().join("held"), world.root().display().to_string());
    fs::create_dir(&tools).unwrap();
    let script = format!(
        "#!/bin/sh\ncase \" $* \" in *' worktree add '*)\n\
         echo here >> {root}/reached; until test -e {root}/go; do sleep 0.02; done ;;\nesac\n\
         exec {} \"$@\"\n",
        real.unwrap().display()
    );
    fs::write(tools.join("git"), script).unwrap();
    fs::set_permissions(tools.join("git"), fs::Permissions::from_mode(0o755)).unwrap();
    let others: Vec<_> = std::env::split_paths(&world.path).collect();
    world.path = std::env::join_paths(std::iter::once(tools).chain(others)).unwrap();
}

#[test]
fn r4b_killed_five_times_while_a_worktree_is_made_no_half_is_used_and_each_attempt_has_its_own() {
    for session in ["subprocess", "tmux"] {
        let plan = Plan::of("  a: { run: 'sh $W/body true' }\n", session);
        let mut world = plan.world();
        hold_git(&mut world);
        killed_in_a_row(&world, &plan, |life| lines(&world, "reached") >= life);
        // All five go on at once, late, beside the sixth: nobody's tree is anybody else's.
        world.touch("go");
        oracle::ends_as_undisturbed(&world, &plan, &format!("{session}, provisioning"));
        assert_eq!(world.state().tasks[0].attempt, 6, "{session}");
    }
}

#[test]
fn l16_killed_five_times_at_the_delivery_itself_the_assignment_is_there_once() {
    let plan = Plan::of("  a: { run: 'sh $W/body true' }\n", "subprocess");
    let world = plan.world();
    for life in 1..=TIMES {
        // The main thread renames nothing else before it: mail is its only business.
        assert!(killed_at(&world, &plan.up(), ("renameat2", &[]), 1), "life {life}");
        assert!(!world.mail("a.1").join("assignment.json").exists(), "life {life}");
    }
    oracle::ends_as_undisturbed(&world, &plan, "dispatch");
    // The same attempt, under the token that was granted before the first kill.
    assert_eq!(world.state().tasks[0].attempt, 1);
    assert_eq!(events(&world, "claim.granted"), 1);
}

#[test]
fn e2_killed_five_times_during_a_check_it_is_awaited_and_never_runs_beside_itself() {
    for session in ["subprocess", "tmux"] {
        let check = "echo in >> $W/checks; until test -e $W/go; do sleep 0.02; done; echo out >> $W/checks";
        let tasks = format!("  a: {{ run: 'sh $W/body true', evidence: [ {{ command: '{check}' }} ] }}\n");
        let plan = Plan::of(&tasks, session);
        let world = plan.world();
        killed_in_a_row(&world, &plan, |life| {
            lines(&world, "checks") == 1 && events(&world, "run.resumed") >= life - 1
        });
        world.touch("go");
        oracle::ends_as_undisturbed(&world, &plan, &format!("{session}, verification"));
        let checks = fs::read_to_string(world.root().join("checks")).unwrap();
        let order: Vec<&str> = checks.lines().collect();
        assert!(order.chunks(2).all(|pair| pair == ["in", "out"]), "{session}: {order:?}");
    }
}

#[test]
fn killed_five_times_while_a_worker_is_ended_it_is_ended_once_and_its_task_fails_once() {
    // It outstays its time, and its welcome until `go`.
    let tasks = "  a: { run: 'sh $W/body sh $W/stay $W', timeout: 3s }\n";
    let stay = "trap '' TERM INT HUP\nsleep 3.5\nuntil test -e \"$1/go\"; do sleep 0.02; done\n";
    for session in ["subprocess", "tmux"] {
        let plan = Plan::of_with(tasks, session, &[("stay", stay)]);
        let world = plan.world();
        killed_in_a_row(&world, &plan, |life| {
            events(&world, "worker.stopping") == 1 && events(&world, "run.resumed") >= life - 1
        });
        world.touch("go");
        oracle::ends_as_undisturbed(&world, &plan, &format!("{session}, cleanup"));
        assert_eq!((plan.code, world.state().tasks[0].attempt), (3, 1), "{session}");
    }
}

#[test]
fn a_down_that_is_killed_five_times_is_finished_by_the_sixth_and_up_goes_on() {
    let tasks = "  a: { run: 'sh $W/body sh $W/stay $W' }\n";
    let stay = "trap '' TERM INT HUP\nuntil test -e \"$1/go\"; do sleep 0.02; done\n";
    let plan = Plan::of_with(tasks, "subprocess", &[("stay", stay)]);
    let world = plan.world();
    let up = world.start(&plan.up());
    wait_until("the body", || !world.ledger().is_empty());
    world.await_task("a", "in_progress");
    up.kill();
    for life in 1..=TIMES {
        let down = world.start(&["down"]);
        wait_until("its order", || {
            events(&world, "run.resumed") >= life && events(&world, "run.stopping") >= 1
        });
        down.kill();
    }
    let began = life::said(world.root());
    world.touch("go");
    world.run(&["down"]).exits(0);
    assert_eq!(oracle::bodies(&world).get("a"), Some(&1), "{began}");
    world.run(&plan.up()).exits(0);
    assert_eq!(oracle::outcome(&world), plan.outcome);
}
