//! A signal that asks for an end: what is journaled, what is said, and what goes on.

use std::time::Duration;

use ilchul::engine::event::{Event, RunEvent};
use nix::sys::signal::Signal;

use super::in_time::in_time;
use super::world::{World, runs, wait_until};
use super::{TWO, both_at_work, sorted, timed};

/// What the handlers of a process are told; one bit each.
fn caught(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap_or("0");
    u64::from_str_radix(mask.trim(), 16).unwrap()
}

/// One fresh run that is asked to end by `signal`, and gone on with; how long that end took.
fn one_life(session: &str, signal: Signal) -> Duration {
    let world = World::with(
        "limits: { grace: 1s, workers: 2 }\n\
         tasks:\n\
         \x20 a: { run: &body 'echo $ILCHUL_WORKER >> $W/ledger; until test -e $W/go; do sleep 0.02; done' }\n\
         \x20 b: { run: 'echo $ILCHUL_WORKER >> $W/ledger; until test -e $W/free; do sleep 0.02; done' }\n\
         \x20 c: { run: *body }\n\
         \x20 d: { run: *body, needs: [b] }\n",
    );
    let up = world.start(&["up", "--session", session]);
    both_at_work(&world);
    let shims = ["a.1", "b.1"].map(|id| world.shim(id));
    let children = ["a.1", "b.1"].map(|id| world.child(id));
    let (ran, took) = timed(|| {
        up.signal(signal);
        up.wait().exits(4)
    });
    let run = world.run_id().unwrap();
    let expected = format!(
        "Interrupted ({signal}): the run {run}. 2 workers go on without a supervisor. \
         Run `ilchul up` to go on, or `ilchul down` to end the workers.\n"
    );
    assert!(ran.stderr.ends_with(&expected), "{}", ran.stderr);
    assert_eq!(ran.stdout, "");
    let last = world.events().pop();
    assert!(
        matches!(&last, Some(Event::Run(RunEvent::Interrupted { reason })) if reason == signal.as_str()),
        "{last:?}"
    );
    wait_until("a free lock", || !world.is_held());
    // Nobody dispatches: what becomes free stays free, and its worker ends by itself.
    world.touch("free");
    wait_until("the end of b's worker", || !runs(shims[1]));
    assert!(runs(shims[0]) && runs(children[0]));
    assert_eq!(sorted(&world), ["a.1", "b.1"]);
    let up = world.start(&["up"]);
    world.await_resumes(1);
    world.touch("go");
    let ran = up.wait().exits(0);
    assert!(ran.stderr.contains("a.1  adopted"), "{session}, {signal}: {}", ran.stderr);
    assert_eq!(sorted(&world), ["a.1", "b.1", "c.1", "d.1"], "{session}, {signal}");
    took
}

#[test]
fn a_signal_ends_the_supervisor_in_two_seconds_and_no_plain_worker() {
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT] {
        in_time(Duration::from_secs(2), || one_life("subprocess", signal));
    }
}

#[test]
fn a_signal_ends_the_supervisor_in_two_seconds_and_no_pane() {
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT] {
        in_time(Duration::from_secs(2), || one_life("tmux", signal));
    }
}

#[test]
fn a_second_signal_ends_it_at_once_though_its_loop_hangs() {
    in_time(Duration::from_secs(1), second_signal);
}

fn second_signal() -> Duration {
    let world = World::with(TWO);
    let mut up = world.start_up();
    both_at_work(&world);
    // The loop waits for the journal, which another process holds.
    let other = rusqlite::Connection::open(world.home().journal()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    up.signal(Signal::SIGINT);
    let late = std::time::Instant::now() + Duration::from_millis(500);
    wait_until("half a second", || {
        assert!(!up.has_ended(), "it ended without a word in the journal");
        std::time::Instant::now() > late
    });
    let (_, took) = timed(|| {
        up.signal(Signal::SIGTERM);
        up.wait().exits(4)
    });
    other.execute_batch("ROLLBACK").unwrap();
    assert!(["a.1", "b.1"].iter().all(|id| runs(world.shim(id))));
    world.touch("go");
    world.up().exits(0);
    assert_eq!(sorted(&world), ["a.1", "b.1", "c.1"]);
    took
}

#[test]
fn a_signal_that_comes_before_the_first_turn_is_heard_as_well() {
    for signal in [Signal::SIGINT, Signal::SIGHUP] {
        // It can't end by itself before it is told to.
        let world = World::with(
            "tasks: { a: { run: 'until test -e $W/go; do sleep 0.02; done; echo $ILCHUL_TASK >> $W/ledger' } }",
        );
        let mut up = world.start_up();
        wait_until("its handlers", || {
            assert!(!up.has_ended());
            caught(up.pid) & (1 << (signal as i32 - 1)) != 0
        });
        up.signal(signal);
        let ran = up.wait().exits(4);
        assert!(ran.stderr.contains(&format!("Interrupted ({signal})")), "{}", ran.stderr);
        world.touch("go");
        world.up().exits(0);
        assert_eq!(world.ledger(), ["a"]);
    }
}
