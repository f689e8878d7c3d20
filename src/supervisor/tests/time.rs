//! Clocks that jump: the wall's is a label, the machine's own is bridged, and a gap of ours
//! costs nobody anything.

use std::sync::atomic::Ordering;
use std::time::Duration;

use ilchul_conformance::{PATIENCE, Verb, wait_until};
use ilchul_substrate::ErrorKind;

use super::DONE;
use super::life::{Life, Outcome};
use super::stage::Stage;
use crate::engine::moment::Stamp;
use crate::journal::Journal;

const fn secs(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// One task that beats when it is called, and ends when it is called.
fn beating() -> Stage {
    let stage = Stage::new(
        "heartbeat: { every: 1s, unhealthy_after: 5s, lost_after: 20s, on_lost: fail }\n\
         tasks: { a: { run: x } }",
    );
    stage.cast("a.1", |actor| actor.until("finish"));
    stage
}

fn stamps(stage: &Stage) -> Vec<Stamp> {
    let rows = Journal::open_read(&stage.backstage.home).unwrap().read_run(super::stage::RUN).unwrap();
    rows.into_iter().map(|row| row.at).collect()
}

fn is_busy(life: &Life) -> bool {
    life.is(|state| state.workers["a.1"].phase.word() == "busy")
}

#[track_caller]
fn one_look(life: &Life) {
    let ticks = life.ticks();
    wait_until("a look", PATIENCE, || life.ticks() > ticks);
}

#[test]
fn l17_a_gap_longer_than_half_the_patience_gives_a_whole_fresh_grace() {
    let stage = beating();
    let life = Life::first(&stage);
    life.await_task("a", "in_progress");
    stage.pass(&life, secs(2));
    // With these two seconds it would be silent for more than five.
    stage.jump(Duration::from_millis(3_200));
    one_look(&life);
    assert!(is_busy(&life), "{}", stage.told("a"));
    stage.pass(&life, secs(4));
    assert!(is_busy(&life), "the whole grace counts from the end of the gap");
    stage.pass(&life, secs(2));
    life.await_state("silence to be noticed", |state| state.workers["a.1"].phase.word() == "unhealthy");
    stage.call("finish");
    assert_eq!(life.join(), DONE);
}

#[test]
fn l12_the_walls_clock_is_a_label_that_expires_and_orders_nothing() {
    let stage = beating();
    let life = Life::first(&stage);
    life.await_task("a", "in_progress");
    // An hour back, a day on, 1970, before it, and 2106.
    for wall in [1_799_996_400_000, 1_800_086_400_000, 0, -86_400_000, 4_291_747_200_000] {
        stage.wall.store(wall, Ordering::SeqCst);
        stage.pass(&life, secs(1));
        assert!(is_busy(&life), "at {wall}: {}", stage.told("a"));
        stage.jump(secs(600));
        one_look(&life);
    }
    stage.wall.store(0, Ordering::SeqCst);
    stage.call("finish");
    assert_eq!(life.join(), DONE);
    let stamps = stamps(&stage);
    assert!(stamps.is_sorted_by_key(|at| at.moment), "{stamps:?}");
    assert!(stamps.last().unwrap().wall_ms < stamps[0].wall_ms, "the label is told as it was");
}

#[test]
fn j8_the_machines_own_clock_may_go_back_and_nothing_expires_or_goes_back_with_it() {
    let stage = beating();
    let life = Life::first(&stage);
    life.await_task("a", "in_progress");
    for millis in [990_000, 10, 900_000, 0] {
        stage.set(millis);
        let ticks = life.ticks();
        wait_until("a look", PATIENCE, || {
            stage.jump(Duration::from_millis(100));
            life.ticks() > ticks
        });
        assert!(is_busy(&life), "at {millis}: {}", stage.told("a"));
    }
    // Time goes on from where it was: a silence is noticed as ever.
    stage.pass(&life, secs(8));
    life.await_state("silence to be noticed", |state| state.workers["a.1"].phase.word() == "unhealthy");
    stage.call("finish");
    assert_eq!(life.join(), DONE);
    let stamps = stamps(&stage);
    assert!(stamps.is_sorted_by_key(|at| at.moment), "{stamps:?}");
}

#[test]
fn j8_after_a_reboot_a_deadline_has_what_was_left_of_it_at_the_last_event() {
    let stage = Stage::before_reboot("tasks: { a: { run: x }, b: { run: x } }");
    stage.sessions().fail_next(Verb::Ensure, 1, ErrorKind::Unavailable);
    let life = Life::first(&stage);
    let deferred = |task: &crate::engine::state::TaskState| task.defer_until.is_some();
    life.await_state("the deferral", |state| state.tasks.iter().any(deferred));
    assert_eq!(life.kill(), Outcome::Cut);
    let before = stage.state();
    let until = before.tasks.iter().find_map(|task| task.defer_until).unwrap();
    let left = until.since(before.last_at.moment);
    assert!(left > secs(1), "{left:?}");
    // Days without a machine, and a clock that begins anew.
    stage.set(77);
    let life = Life::next(&stage);
    let waits = |life: &Life| life.is(|state| state.tasks.iter().any(deferred));
    life.await_state("the resumed run", |state| state.anchor.boot != "another boot");
    assert!(waits(&life), "the time without a machine counted");
    stage.pass_until("the end", &life, || life.is_over());
    assert_eq!(life.join(), DONE);
    let claimed = stage.state().last_at.moment;
    assert!(claimed >= until, "it was tried before its time: {claimed:?}, {until:?}");
}
