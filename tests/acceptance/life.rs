//! Lives and deaths of workers and supervisors while a run goes on.
//!
//! It leaves out chosen and random moments, which are in `tests/recovery`.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::world::{World, ending, runs, signal, wait_until};

/// Two tasks that write into the ledger and wait for `go`.
const TWO: &str = "limits: { grace: 1s, workers: 2 }\n\
    tasks:\n\
    \x20 a: { run: 'echo a >> $W/ledger; until test -e $W/go; do sleep 0.02; done' }\n\
    \x20 b: { run: 'echo b >> $W/ledger; until test -e $W/go; do sleep 0.02; done', needs: [] }\n\
    \x20 c: { run: 'echo c >> $W/ledger', needs: [a, b] }\n";

fn sorted(mut lines: Vec<String>) -> Vec<String> {
    lines.sort();
    lines
}

fn both_at_work(world: &World) {
    world.await_task("a", "in_progress");
    world.await_task("b", "in_progress");
    wait_until("both bodies", || world.ledger().len() == 2);
    // A body may begin before the journal says where it runs; from here on nothing is owed to it.
    world.shim("a.1");
    world.shim("b.1");
}

#[test]
fn a_stopped_worker_is_unhealthy_and_comes_back() {
    let world = World::with(
        "heartbeat: { every: 200ms, unhealthy_after: 1s, lost_after: 30s }\n\
         tasks: { a: { run: 'until test -e $W/go; do sleep 0.02; done' } }",
    );
    let up = world.start_up();
    world.await_task("a", "in_progress");
    let shim = world.shim("a.1");
    signal(shim, Signal::SIGSTOP);
    world.await_worker("a.1", "unhealthy");
    assert!(runs(shim));
    signal(shim, Signal::SIGCONT);
    world.await_worker("a.1", "busy");
    world.touch("go");
    let ran = up.wait().exits(0);
    assert!(ran.stderr.contains("a.1  unhealthy: no heartbeat"), "{}", ran.stderr);
    assert!(ran.stderr.contains("a.1  is heard of again"), "{}", ran.stderr);
}

#[test]
fn a_killed_shim_is_seen_soon_and_its_child_ended_before_a_successor_starts() {
    for session in ["subprocess", "tmux"] {
        let world = World::with(
            "tasks:\n  a:\n    retries: 1\n\
             \x20   run: 'echo $ILCHUL_ATTEMPT >> $W/ledger; test $ILCHUL_ATTEMPT = 2 || sleep 600'\n",
        );
        let up = world.start(&["up", "--session", session]);
        world.await_task("a", "in_progress");
        wait_until("the body", || world.ledger() == ["1"]);
        let (shim, child) = (world.shim("a.1"), world.child("a.1"));
        signal(shim, Signal::SIGKILL);
        // Silence alone would be waited for twice as long as this wait goes on.
        wait_until("the successor", || world.ledger() == ["1", "2"]);
        assert!(!runs(child), "{session}: the child of the dead shim lives beside its successor");
        let ran = up.wait().exits(0);
        assert!(ran.stderr.contains("worker died"), "{session}: {}", ran.stderr);
    }
}

#[test]
fn ctrl_c_leaves_the_workers_alive_and_a_second_up_adopts_them() {
    for session in ["subprocess", "tmux"] {
        let world = World::with(TWO);
        let up = world.start(&["up", "--session", session]);
        both_at_work(&world);
        let shims = ["a.1", "b.1"].map(|id| world.shim(id));
        up.signal(Signal::SIGINT);
        let ran = up.wait().exits(4);
        assert!(ran.stderr.contains("2 workers go on without a supervisor"), "{}", ran.stderr);
        assert!(ran.stderr.contains("ilchul up") && ran.stderr.contains("ilchul down"), "{}", ran.stderr);
        assert!(shims.iter().all(|shim| runs(*shim)));
        wait_until("a free lock", || !world.is_held());
        let up = world.start(&["up"]);
        world.await_resumes(1);
        world.touch("go");
        let ran = up.wait().exits(0);
        assert!(ran.stderr.contains("a.1  adopted"), "{}", ran.stderr);
        assert_eq!(sorted(world.ledger()), ["a", "b", "c"], "{session}");
        assert_eq!(world.state().tasks[0].attempt, 1);
    }
}

#[test]
fn ctrl_c_at_the_terminal_reaches_the_whole_foreground_group_and_no_worker() {
    let world = World::with(TWO);
    let up = world.start_up();
    both_at_work(&world);
    let shims = ["a.1", "b.1"].map(|id| world.shim(id));
    let children = ["a.1", "b.1"].map(|id| world.child(id));
    up.signal_group(Signal::SIGINT);
    up.wait().exits(4);
    assert!(shims.into_iter().chain(children).all(runs));
    world.touch("go");
    world.up().exits(0);
    assert_eq!(sorted(world.ledger()), ["a", "b", "c"]);
}

#[test]
fn every_signal_that_asks_for_an_end_leaves_workers_alone() {
    let world = World::with(TWO);
    for (lives, sent) in [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT].into_iter().enumerate() {
        let up = world.start_up();
        both_at_work(&world);
        // Its handlers stand before the first commit of its life.
        world.await_resumes(lives);
        let shim = world.shim("a.1");
        up.signal(sent);
        let ran = up.wait().exits(4);
        assert!(ran.stderr.contains(&format!("Interrupted ({sent})")), "{}", ran.stderr);
        assert!(runs(shim), "{sent}");
    }
    world.touch("go");
    world.up().exits(0);
    assert_eq!(sorted(world.ledger()), ["a", "b", "c"]);
}

#[test]
fn j6_a_killed_supervisor_is_followed_by_one_that_repeats_nothing() {
    for session in ["subprocess", "tmux"] {
        let world = World::with(TWO);
        let up = world.start(&["up", "--session", session]);
        both_at_work(&world);
        up.kill();
        // A program that it was just starting holds its files until its exec.
        wait_until("the lock to end with its holder, though workers live", || !world.is_held());
        assert!(runs(world.shim("a.1")));
        world.touch("go");
        world.run(&["up"]).exits(0);
        assert_eq!(sorted(world.ledger()), ["a", "b", "c"], "{session}");
    }
}

#[test]
fn j9_a_second_up_beside_a_running_one_names_it_and_changes_nothing() {
    let world = World::with(TWO);
    let up = world.start_up();
    both_at_work(&world);
    let events = world.events().len();
    let ran = world.up().exits(5);
    assert!(ran.stderr.contains(&format!("process {}", up.pid)), "{}", ran.stderr);
    assert!(ran.stderr.contains(&world.run_id().unwrap()), "{}", ran.stderr);
    assert!(ran.stderr.contains("since 20"), "{}", ran.stderr);
    assert_eq!(world.events().len(), events);
    world.touch("go");
    up.wait().exits(0);
}

#[test]
fn j9_of_many_started_at_once_one_drives_and_the_others_say_who() {
    let world = World::with(TWO);
    let mut ups: Vec<_> = (0..8).map(|_| Some(world.start_up())).collect();
    both_at_work(&world);
    let ended = |up: &mut Option<super::world::Up>| up.as_mut().is_some_and(super::world::Up::has_ended);
    let mut refused = 0;
    wait_until("seven of them to be refused", || {
        for up in &mut ups {
            if ended(up) {
                up.take().unwrap().wait().exits(5);
                refused += 1;
            }
        }
        refused == 7
    });
    world.touch("go");
    ups.into_iter().flatten().next().unwrap().wait().exits(0);
    assert_eq!(sorted(world.ledger()), ["a", "b", "c"]);
}

#[test]
fn l17_a_stopped_supervisor_judges_nobody_by_what_it_did_not_see() {
    let world = World::with(
        "heartbeat: { every: 100ms, unhealthy_after: 4s, lost_after: 4s, on_lost: fail }\n\
         tasks: { a: { run: 'until test -e $W/go; do sleep 0.02; done' } }",
    );
    let up = world.start_up();
    world.await_task("a", "in_progress");
    up.signal(Signal::SIGSTOP);
    let beat = || {
        let text = std::fs::read_to_string(world.mail("a.1").join("heartbeat.json")).unwrap_or_default();
        serde_json::from_str::<serde_json::Value>(&text)
            .ok()
            .and_then(|beat| beat["seq"].as_u64())
            .unwrap_or(0)
    };
    // The worker's own beats tell that more than `lost_after` has passed.
    let before = beat();
    wait_until("fifty beats", || beat() > before + 50);
    up.signal(Signal::SIGCONT);
    world.touch("go");
    let ran = up.wait().exits(0);
    assert!(!ran.stderr.contains("unhealthy") && !ran.stderr.contains("lost"), "{}", ran.stderr);
}

#[test]
fn a_detached_supervisor_holds_the_lock_when_up_returns() {
    let world = World::with(TWO);
    let ran = world.run(&["up", "--session", "subprocess", "--detach"]).exits(0);
    assert!(world.is_held());
    assert!(ran.stderr.contains("in the background") || ran.stdout.contains("in the background"));
    both_at_work(&world);
    world.touch("go");
    world.await_task("c", "completed");
    wait_until("its end", || !world.is_held());
    assert_eq!(sorted(world.ledger()), ["a", "b", "c"]);
}

#[test]
fn down_asks_the_workers_to_end_and_up_goes_on_without_a_spent_retry() {
    let world = World::with(
        "limits: { grace: 5s }\n\
         tasks:\n  a:\n    run: 'echo $ILCHUL_ATTEMPT >> $W/ledger; trap \"echo asked >> $W/ledger; exit 9\" TERM; until test -e $W/go; do sleep 0.02; done'\n",
    );
    let up = world.start_up();
    world.await_task("a", "in_progress");
    wait_until("the body", || !world.ledger().is_empty());
    let shim = world.shim("a.1");
    let down = world.run(&["down"]).exits(0);
    assert!(down.stdout.contains("is down"), "{}", down.stdout);
    up.wait().exits(4);
    assert!(!runs(shim));
    assert_eq!(world.ledger(), ["1", "asked"]);
    assert_eq!(world.told("a"), "ready (stopped: `down`)");
    assert!(world.tree("a.1").join("README").exists());
    world.touch("go");
    world.up().exits(0);
    assert_eq!(world.ledger(), ["1", "asked", "2"]);
}

#[test]
fn down_by_force_asks_nobody_and_works_without_a_supervisor_too() {
    let world = World::with(
        "limits: { grace: 10m }\n\
         tasks: { a: { run: 'echo up >> $W/ledger; trap \"\" TERM INT HUP; while :; do sleep 0.1; done' } }",
    );
    let up = world.start_up();
    wait_until("the body", || !world.ledger().is_empty());
    world.await_task("a", "in_progress");
    let child = world.child("a.1");
    let began = Instant::now();
    world.run(&["down", "--force"]).exits(0);
    assert!(began.elapsed() < Duration::from_mins(5), "the grace was waited for");
    up.wait().exits(4);
    assert!(!runs(child));
    let up = world.start_up();
    wait_until("the next body", || world.ledger().len() == 2);
    world.await_task("a", "in_progress");
    let child = world.child("a.2");
    up.kill();
    world.run(&["down", "--force"]).exits(0);
    assert!(!runs(child));
    assert_eq!(world.told("a"), "ready (stopped: `down`)");
}

#[test]
fn a_timeout_ends_the_workers_whole_tree_and_the_attempt() {
    let world = World::with(
        "limits: { grace: 1s }\n\
         tasks: { a: { run: 'sleep 601 & sleep 600', timeout: 1s, retries: 1 } }",
    );
    let up = world.start_up();
    let child = world.child("a.1");
    let ran = up.wait().exits(3);
    assert!(ran.stderr.contains("timed out: 1 s"), "{}", ran.stderr);
    assert!(!runs(child));
    assert_eq!(world.state().tasks[0].attempt, 2);
}

#[test]
fn nobody_outlives_the_world_of_a_test_whether_or_not_a_record_tells_of_them() {
    let world = World::with("tasks: { a: { run: 'echo x >> $W/ledger; exec sleep 600' } }");
    let up = world.start(&["up", "--session", "tmux"]);
    wait_until("the work", || world.ledger() == ["x"]);
    up.kill();
    // As where the supervisor was killed before it knew of the session.
    std::fs::remove_file(world.home().journal()).unwrap();
    let root = world.root().to_owned();
    assert!(!ending::of_world(&root).is_empty());
    drop(world);
    assert_eq!(ending::of_world(&root), []);
}
