//! `up --detach`: what it refuses, what it answers, and what the supervisor outlives.
//!
//! The terminal that is closed under it is in `terminal.rs`.

use std::fs;

use super::world::{Ran, World, runs};
use super::{TWO, both_at_work, sorted};

/// `up` and `up --detach` say the same, and end with the same code.
#[track_caller]
fn refuses_alike(world: &World, args: &[&str], code: i32) -> Ran {
    let with = |more: &[&str]| {
        let args: Vec<&str> = ["up"].iter().chain(args).chain(more).copied().collect();
        world.run(&args)
    };
    let (front, back) = (with(&[]).exits(code), with(&["--detach"]).exits(code));
    assert_eq!((&front.stdout, &front.stderr), (&back.stdout, &back.stderr));
    assert!(!world.home().root().join("supervisor.log").exists(), "nothing was started");
    back
}

#[test]
fn it_refuses_what_up_refuses_in_the_same_words() {
    let world = World::with("tasks: { a: { run: 'true', neds: [b] } }");
    refuses_alike(&world, &[], 1);
    world.workflow("tasks: { a: { run: 'exit 1' } }");
    refuses_alike(&world, &["--only", "b"], 1);
    refuses_alike(&world, &["no-such-file.yaml"], 1);
    refuses_alike(&world, &["--session", "screen"], 2);
    world.workflow("base: nowhere\ntasks: { a: { run: 'exit 1' } }");
    refuses_alike(&world, &[], 1);
    world.workflow("tasks: { a: { run: 'exit 1' } }");
    world.up().exits(3);
    // An ended run is its record, with its code.
    let record = refuses_alike(&world, &[], 3);
    assert!(record.stdout.contains("1 failed"), "{}", record.stdout);
    fs::write(world.repo().join("ilchul.yaml"), "version: 1\nname: test\ntasks: { b: { run: 'true' } }\n")
        .unwrap();
    refuses_alike(&world, &[], 1);
    refuses_alike(&world, &["--json"], 1);
}

#[test]
fn the_second_one_says_who_holds_the_home() {
    let world = World::with(TWO);
    let up = world.start_up();
    both_at_work(&world);
    let refused = refuses_alike(&world, &[], 5);
    assert!(refused.stderr.contains(&format!("process {} has driven", up.pid)), "{}", refused.stderr);
    world.touch("go");
    up.wait().exits(0);
}

#[test]
fn it_names_its_log_and_down_ends_it() {
    let world = World::with(TWO);
    let ran = world.run(&["up", "--session", "subprocess", "--detach"]).exits(0);
    let log = world.home().root().join("supervisor.log");
    let run = world.run_id().unwrap();
    let holder = ilchul::journal::lock::held(&world.home().lock()).unwrap().flatten().unwrap();
    let expected = format!(
        "A supervisor drives the run {run} in the background (process {}). It writes to {}.\n",
        holder.pid,
        log.display()
    );
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("", expected.as_str()));
    both_at_work(&world);
    let shims = ["a.1", "b.1"].map(|id| world.shim(id));
    let again = world.run(&["up", "--detach"]).exits(5);
    assert!(
        again.stderr.contains(&format!("process {} has driven the run `{run}`", holder.pid)),
        "{}",
        again.stderr
    );
    world.run(&["down"]).exits(0);
    assert!(!world.is_held() && !shims.into_iter().any(runs));
    let told = fs::read_to_string(&log).unwrap();
    assert!(told.contains("a  started") && told.contains("Interrupted (down)"), "{told}");
    // It goes on in the background too.
    world.run(&["up", "--detach"]).exits(0);
    world.touch("go");
    world.await_task("c", "completed");
    super::world::wait_until("its end", || !world.is_held());
    assert_eq!(sorted(&world), ["a.1", "a.2", "b.1", "b.2", "c.1"]);
}
