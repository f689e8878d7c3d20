//! Killed before every syscall by which the journal changes the disk.
//!
//! The points are counted by doing: the run is killed at the first, the second, and so on,
//! until one ends before its point comes. It leaves out what lies between two points; the
//! supervisor's own tests and random moments reach in there.

use std::sync::atomic::{AtomicU32, Ordering};

use super::life::{self, JOURNAL_CALLS};
use super::oracle;
use super::plan::Plan;
use super::world::World;

/// Points at once: they wait for each other's disk more than for a processor.
const LANES: usize = 2;

/// Kills a fresh run, `prepared` before, at `first`, `first + stride`, ...; answers how many points
/// there were.
pub fn at_every_point(plan: &Plan, (first, stride): (u32, u32), prepared: fn(&World)) -> u32 {
    let next = AtomicU32::new(first);
    let beyond = AtomicU32::new(u32::MAX);
    std::thread::scope(|scope| {
        for _ in 0..LANES {
            scope.spawn(|| {
                loop {
                    let point = next.fetch_add(stride, Ordering::SeqCst);
                    if point >= beyond.load(Ordering::SeqCst) {
                        return;
                    }
                    let world = plan.world();
                    prepared(&world);
                    let files = life::journal_files(&world);
                    if !life::killed_at(&world, &plan.up(), (JOURNAL_CALLS, &files), point) {
                        beyond.fetch_min(point, Ordering::SeqCst);
                    }
                    let context = format!("{} killed at journal point {point}", plan.session);
                    oracle::ends_as_undisturbed(&world, plan, &context);
                }
            });
        }
    });
    beyond.into_inner() - 1
}

#[test]
fn j6_j12_killed_at_any_syscall_of_the_journal_a_run_ends_as_if_nothing_had_happened() {
    let points = at_every_point(&Plan::three("subprocess"), (1, 1), |_| {});
    assert!(points >= 60, "only {points} points: strace didn't see the journal being written");
}

#[test]
fn j6_j12_the_same_in_tmux() {
    // Each stride of its own finds other points; the long form takes them all.
    let stride = life::setting("ILCHUL_CRASH_STRIDE", 5);
    let points = at_every_point(&Plan::three("tmux"), (1, u32::try_from(stride).unwrap()), |_| {});
    assert!(points >= 40, "only {points} points: strace didn't see the journal being written");
}

#[test]
fn only_the_main_thread_writes_the_journal_so_no_point_is_missed() {
    let plan = Plan::three("subprocess");
    let world = plan.world();
    let log = world.root().join("calls");
    // All threads, and none of the programs that they start.
    let mut own = ["-f", "-b", "execve", "-qq", "-o", log.to_str().unwrap()].map(str::to_owned).to_vec();
    own.extend(life::journal_files(&world));
    own.extend(["-e".to_owned(), format!("trace={JOURNAL_CALLS}"), "-e".into(), "signal=none".into()]);
    let status = life::end(life::wrapped(&world, "strace", &own, &plan.up()));
    assert!(status.success(), "{status}\n{}", life::said(world.root()));
    let text = std::fs::read_to_string(log).unwrap();
    let threads: std::collections::BTreeSet<&str> =
        text.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert!(text.lines().count() >= 60, "{text}");
    assert_eq!(threads.len(), 1, "{text}");
}

#[test]
fn killed_five_times_during_resume_itself_a_run_still_ends_as_if_nothing_had_happened() {
    let plan = Plan::three("subprocess");
    for first in [30, 50, 70, 90] {
        let world = plan.world();
        let files = life::journal_files(&world);
        assert!(life::killed_at(&world, &plan.up(), (JOURNAL_CALLS, &files), first), "point {first}");
        for nth in 1..=5 {
            let context = format!("killed at point {first}, resume {nth}");
            let killed = life::killed_at(&world, &plan.up(), (JOURNAL_CALLS, &files), nth);
            assert!(killed, "{context}: {}", life::said(world.root()));
        }
        oracle::ends_as_undisturbed(&world, &plan, &format!("killed at {first} and in five resumes"));
    }
}
