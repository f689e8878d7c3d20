//! What changed round the workers, end to end: in the main checkout, in what all worktrees
//! share, in other workers' trees; told with names, and blamed on nobody.
//!
//! It leaves out each place by itself, which the substrate's own tests name one by one.

use std::fs;

use ilchul::engine::event::{Drift, Event, RunEvent};
use serde_json::Value;

use super::world::{World, wait_until};

/// What is journaled of drift: who was at work, and what changed.
fn told(world: &World) -> Vec<(Vec<String>, Drift)> {
    let drifted = |event: Event| match event {
        Event::Run(RunEvent::Drifted(drifted)) => Some((drifted.workers, drifted.drift)),
        _ => None,
    };
    world.events().into_iter().filter_map(drifted).collect()
}

/// All names of one kind that stand in the record of a task's last attempt.
fn names(world: &World, task: &str, kind: &str) -> Vec<String> {
    let found = world.data(&["evidence", task]);
    let changes = found["drift"]["changes"].as_array().unwrap().iter();
    let of_kind = changes.filter(|change| change["kind"] == kind);
    let names = of_kind.flat_map(|change| change["names"].as_array().unwrap());
    names.map(|name| name.as_str().unwrap().to_owned()).collect()
}

#[test]
fn r5_files_of_the_main_checkout_that_change_meanwhile_are_told_by_name_everywhere() {
    let world = World::with(
        "tasks:\n  a:\n    run: 'echo x >> $W/repo/README; echo y > $W/repo/src/new.txt'\n    evidence: [ { exit: 0 } ]\n",
    );
    let ran = world.up().exits(0);
    let words = "changed between the looks at dispatch and settlement of `a.1`, by whom isn't known: \
                 files of the main checkout: README, src/new.txt";
    assert!(ran.stderr.contains(words), "{}", ran.stderr);
    assert_eq!(names(&world, "a", "files"), ["README", "src/new.txt"]);
    for command in ["why", "evidence"] {
        let shown = world.ok(&[command, "a"]);
        assert!(shown.contains("  files of the main checkout: README, src/new.txt\n"), "{command}: {shown}");
    }
    assert_eq!(world.data(&["why", "a"])["drift"]["changes"][0]["names"][0], "README");
    assert!(world.ok(&["events"]).contains("run.drifted"));
    let folder = world.root().join("out");
    world.ok(&["evidence", "--export", folder.to_str().unwrap()]);
    let exported = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    for path in exported {
        assert!(fs::read_to_string(&path).unwrap().contains("src/new.txt"), "{}", path.display());
    }
}

#[test]
fn r5_a_run_that_keeps_to_its_trees_has_no_drift_and_says_so() {
    let world = World::with(
        "tasks: { a: { run: 'echo x >> README; git add -A; git -c user.name=t -c user.email=t@localhost commit -qm x' }, b: { needs: [a], run: 'true', base: { task: a } } }",
    );
    let ran = world.up().exits(0);
    assert_eq!(told(&world), [], "{}", ran.stderr);
    let found = world.data(&["evidence", "a"]);
    assert_eq!(found["drift"], serde_json::json!({"changes": [], "unseen": null}));
}

#[test]
fn r5_a_moved_branch_and_shared_settings_are_told_and_not_obeyed() {
    let world = World::with(
        "tasks:\n  a: { run: 'git update-ref refs/heads/main $(git -c user.name=t -c user.email=t@localhost commit-tree -m x HEAD^{tree}); git config --file $W/repo/.git/config core.fsmonitor $W/canary' }\n  b: { needs: [a], run: 'true' }\n",
    );
    let base = world.head();
    world.up().exits(0);
    let moved = names(&world, "a", "refs");
    assert!(moved[0].starts_with(&format!("refs/heads/main ({} to ", &base[..12])), "{moved:?}");
    assert_eq!(names(&world, "a", "settings"), ["config"]);
    let started = world.state().workers["b.1"].start.clone();
    assert_eq!(started, base, "the recorded base counts");
}

#[test]
fn r5_another_workers_branch_that_is_moved_and_tree_that_is_removed_are_told() {
    let world = World::with(
        "tasks:\n  a: { run: 'true' }\n  b: { needs: [a], run: 'true' }\n  c: { needs: [b], run: 'git update-ref refs/heads/ilchul/$ILCHUL_RUN/a.1 $(git -c user.name=t -c user.email=t@localhost commit-tree -m x HEAD^{tree}); git -C $W/repo worktree remove -f -f $ILCHUL_TREE/../ilchul.$ILCHUL_RUN.b.1' }\n",
    );
    world.up().exits(0);
    let found = names(&world, "c", "worktrees");
    assert!(found.iter().any(|name| name.starts_with("a.1: its branch moved (")), "{found:?}");
    assert!(found.contains(&"b.1: its folder is gone".to_owned()), "{found:?}");
    // A look between the two tells them one by one, and nobody else is told of.
    assert!(told(&world).len() <= 2, "{:?}", told(&world));
}

/// The user edits once the look at the settlement of the only worker is over. None where that
/// look began in the very millisecond of its end: nobody can tell then whether it came after.
fn told_of_an_edit_between_workers() -> Option<Vec<(Vec<String>, Drift)>> {
    let world = World::with(
        "tasks:\n  a: { run: 'true', evidence: [ { exit: 0 }, { approval: { message: ok } } ] }\n  b: { needs: [a], run: 'true' }\n",
    );
    let up = world.start_up();
    wait_until("the question", || world.peek().is_some_and(|state| !state.tasks[0].evidence.is_empty()));
    let ended = world.moment_of("worker.ended").unwrap().0;
    let looked = || {
        let at = fs::read_to_string(world.home().looked(&world.run_id().unwrap())).unwrap_or_default();
        at.trim().parse::<u64>().ok().filter(|at| *at >= ended)
    };
    wait_until("the look", || looked().is_some());
    let is_later = looked().unwrap() > ended;
    if is_later {
        fs::write(world.repo().join("README"), "mine\n").unwrap();
    }
    world.run(&["approve", "a"]).exits(0);
    up.wait().exits(0);
    is_later.then(|| told(&world))
}

#[test]
fn r5_what_the_user_edits_after_a_workers_settlement_is_not_laid_at_its_door() {
    let told = (0..20).find_map(|_| told_of_an_edit_between_workers()).expect("a look after the end");
    // Looks rest in between: who is launched in such a rest may have begun before the edit, for
    // all that anybody can know, and is named. Who had ended can't have done it.
    let named: Vec<&String> = told.iter().flat_map(|(workers, _)| workers).collect();
    assert!(named.iter().all(|worker| *worker == "b.1"), "{told:?}");
}

#[test]
fn r5_what_changes_while_no_supervisor_lives_is_told_by_the_next_one() {
    let world = World::with("tasks: { a: { run: 'until test -e $W/go; do sleep 0.02; done' } }");
    let up = world.start_up();
    world.await_task("a", "in_progress");
    wait_until("the look to be kept", || world.home().surroundings(&world.run_id().unwrap()).exists());
    up.kill();
    fs::write(world.repo().join("README"), "other\n").unwrap();
    world.git(&["branch", "side"]);
    world.touch("go");
    let ran = world.up().exits(0);
    assert_eq!(names(&world, "a", "files"), ["README"], "{}", ran.stderr);
    assert!(names(&world, "a", "refs")[0].starts_with("refs/heads/side (new, "));
}

#[test]
fn l9_a_life_that_cannot_read_what_was_seen_before_says_that_it_does_not_know() {
    let world = World::with("tasks: { a: { run: 'until test -e $W/go; do sleep 0.02; done' } }");
    let up = world.start_up();
    world.await_task("a", "in_progress");
    let kept = world.home().surroundings(&world.run_id().unwrap());
    wait_until("the look to be kept", || kept.exists());
    up.kill();
    fs::write(kept, "torn").unwrap();
    world.touch("go");
    world.up().exits(0);
    let unseen: Value = world.data(&["evidence", "a"])["drift"]["unseen"].clone();
    assert!(unseen.as_str().unwrap().contains("can't be read"), "{unseen}");
}
