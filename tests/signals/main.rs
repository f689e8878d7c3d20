//! Signals, terminals, pipes, reboots and blindness: what may befall a supervisor that goes
//! on living, or comes back, and costs no worker anything.
//!
//! The built binary in the sealed world of the acceptance tests, on real process groups,
//! terminals and namespaces. It leaves out kills at every step, which are `recovery.rs` there.

#![expect(clippy::unwrap_used, reason = "the helpers of a test may panic as the test may")]

mod blind;
mod crowd;
mod detach;
mod ending;
mod hung;
mod in_time;
mod inherited;
mod pipes;
mod reboot;
mod terminal;
#[path = "../acceptance/world.rs"]
mod world;

use std::time::{Duration, Instant};

use world::{World, wait_until};

/// Two tasks that note themselves and wait for `go`, and one that needs both.
pub const TWO: &str = "limits: { grace: 1s, workers: 2 }\n\
    tasks:\n\
    \x20 a: { run: &body 'echo $ILCHUL_WORKER >> $W/ledger; until test -e $W/go; do sleep 0.02; done' }\n\
    \x20 b: { run: *body }\n\
    \x20 c: { run: *body, needs: [a, b] }\n";

/// Waits until both of [`TWO`] are at work.
#[track_caller]
pub fn both_at_work(world: &World) {
    world.await_task("a", "in_progress");
    world.await_task("b", "in_progress");
    wait_until("both bodies", || world.ledger().len() == 2);
    // A body may begin before the journal says where it runs; from here on nothing is owed to it.
    world.shim("a.1");
    world.shim("b.1");
}

/// The ledger in the order of names.
pub fn sorted(world: &World) -> Vec<String> {
    let mut lines = world.ledger();
    lines.sort();
    lines
}

/// How long `what` took.
pub fn timed<T>(what: impl FnOnce() -> T) -> (T, Duration) {
    let began = Instant::now();
    let answer = what();
    (answer, began.elapsed())
}
