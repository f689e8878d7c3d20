//! Trouble around a run: a check that outlives its supervisor, a tmux server that dies, a
//! journal that is taken away.
//!
//! It leaves out trouble with workers themselves, which is `life.rs` and `workers.rs`.

use std::fs;

use nix::sys::signal::Signal;

use super::world::{World, wait_until};

/// One task whose evidence is a command that notes its own life and waits for `go`.
fn checked() -> World {
    World::with(
        "limits: { grace: 1s }\n\
         tasks:\n  a:\n    run: 'echo body >> $W/ledger'\n    evidence:\n\
         \x20     - command: 'for p in $(cat $W/pids); do kill -0 $p && echo beside >> $W/ledger; done; echo $$ >> $W/pids; until test -e $W/go; do sleep 0.02; done'\n",
    )
}

fn checks(world: &World) -> usize {
    fs::read_to_string(world.root().join("pids")).unwrap_or_default().lines().count()
}

#[test]
fn e2_a_check_that_outlived_its_supervisor_never_runs_beside_its_repetition() {
    let world = checked();
    fs::write(world.root().join("pids"), "").unwrap();
    let up = world.start_up();
    wait_until("the check", || checks(&world) == 1);
    assert_eq!(world.told("a"), "verifying");
    up.kill();
    let up = world.start_up();
    world.await_resumes(1);
    world.touch("go");
    up.wait().exits(0);
    assert_eq!(world.ledger(), ["body"], "the body ran once, and no check beside another");
}

#[test]
fn a_task_that_is_being_checked_can_be_left_and_is_checked_again() {
    let world = checked();
    fs::write(world.root().join("pids"), "").unwrap();
    let up = world.start_up();
    wait_until("the check", || checks(&world) == 1);
    up.signal(Signal::SIGINT);
    up.wait().exits(4);
    assert_eq!(world.told("a"), "verifying");
    let up = world.start_up();
    world.await_resumes(1);
    world.touch("go");
    up.wait().exits(0);
    assert_eq!(world.ledger(), ["body"]);
    assert_eq!(world.state().tasks[0].attempt, 1);
}

#[test]
fn l19_when_the_tmux_server_dies_its_workers_are_dead_and_successors_start_on_a_new_one() {
    let world = World::with(
        "tasks:\n  a:\n    retries: 1\n\
         \x20   run: 'echo $ILCHUL_ATTEMPT >> $W/ledger; test $ILCHUL_ATTEMPT = 2 || sleep 600'\n",
    );
    let up = world.start(&["up", "--session", "tmux"]);
    world.await_task("a", "in_progress");
    wait_until("the body", || world.ledger() == ["1"]);
    let child = world.child("a.1");
    world.tmux(&["kill-server"]).exits(0);
    wait_until("the successor", || world.ledger() == ["1", "2"]);
    assert!(!super::world::runs(child), "the old body lives beside its successor");
    up.wait().exits(0);
    assert_eq!(world.state().tasks[0].attempt, 2);
}

#[test]
fn j11c_a_journal_that_is_replaced_under_a_supervisor_stops_it_and_no_worker() {
    let world = World::with("tasks: { a: { run: 'until test -e $W/go; do sleep 0.02; done' } }");
    let up = world.start_up();
    world.await_task("a", "in_progress");
    let shim = world.shim("a.1");
    fs::rename(world.home().journal(), world.root().join("journal.saved")).unwrap();
    world.touch("go");
    let ran = up.wait().exits(6);
    assert!(ran.stderr.contains("another file stands there now"), "{}", ran.stderr);
    wait_until("the worker's own end", || !super::world::runs(shim));
    fs::rename(world.root().join("journal.saved"), world.home().journal()).unwrap();
    world.up().exits(0);
    assert_eq!(world.state().tasks[0].attempt, 1);
}

#[test]
fn j11_a_row_that_was_edited_is_named_and_nothing_is_written() {
    let world = World::with("tasks: { a: { run: 'exit 1' } }");
    world.up().exits(3);
    let path = world.home().journal();
    let bytes = fs::read(&path).unwrap();
    // The exit that was journaled, as it stands in the file.
    let found = bytes.windows(20).position(|window| window == b"\"verdict\":\"refuted\",").unwrap();
    let mut edited = bytes;
    edited[found..found + 20].copy_from_slice(b"\"verdict\":\"REFUTED\",");
    fs::write(&path, &edited).unwrap();
    let ran = world.up().exits(6);
    assert!(ran.stderr.contains("hint: "), "{}", ran.stderr);
    assert_eq!(fs::read(&path).unwrap(), edited);
}

#[test]
fn with_too_little_free_disk_nothing_is_made_and_no_attempt_is_spent() {
    let world = World::with(
        "limits: { free_disk: 900TiB }\ntasks: { a: { run: 'echo ran >> $W/ledger', retries: 0 } }",
    );
    let up = world.start_up();
    let told = || world.peek().map(|state| (state.tasks[0].phase.word(), state.tasks[0].reason.clone()));
    wait_until("the reason", || {
        told().is_some_and(|(phase, reason)| phase == "ready" && reason.contains("launch_disk"))
    });
    let why = world.ok(&["why", "a"]);
    assert!(why.contains("bytes are free for") && why.contains("`limits.free_disk` is"), "{why}");
    up.signal(Signal::SIGINT);
    let told = up.wait().exits(4).stderr;
    assert!(told.contains("deferred") && told.contains("`limits.free_disk` is"), "{told}");
    assert!(world.state().workers.values().all(|w| w.workspace.is_none() && w.session.is_none()));
    assert_eq!(world.state().attempts_spent, 0);
    assert_eq!(world.ledger(), Vec::<String>::new());
}
