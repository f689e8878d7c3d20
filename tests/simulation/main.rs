//! The real engine in a simulator that owns time, disk and chance.
//!
//! A seed makes a workflow, the behaviour of every worker, and what goes wrong; the laws
//! are judged after every step. `ILCHUL_SIM_SEED=n` replays one seed in full,
//! `ILCHUL_SIM_SEEDS=n` says how many are played. It leaves out real processes, real
//! git and real files: the other suites have those.

#![expect(clippy::panic, reason = "failing is what a test does")]

mod chance;
mod disk;
mod faults;
mod laws;
mod ledger;
mod mutants;
mod perform;
mod plan;
mod planted;
mod shell;
mod shrink;
mod sim;
mod worker;
mod world;

use std::collections::BTreeMap;

use sim::{Order, play};

/// Seeds of an ordinary test run.
const SEEDS: u64 = 2_000;

/// What happens in that many seeds, or the simulator has lost a part of its world.
const MUST_HAPPEN: &[&str] = &[
    "cause: cancelled by a person",
    "cause: decided by a person",
    "cause: ended_",
    "cause: fatal_exit",
    "cause: launch_",
    "cause: lost",
    "cause: no_report",
    "cause: rate_limited",
    "cause: replanned",
    "cause: reported_failed",
    "cause: stopped: `down`",
    "cause: timeout",
    "cause: wall",
    "cause: worker_died",
    "choice: can't be ended",
    "choice: capture fails",
    "choice: check answers in part",
    "choice: check can't see",
    "choice: commit fails, rows lost",
    "choice: commit fails, rows there",
    "choice: crash after the commit",
    "choice: crash before the commit",
    "choice: crash between the acts",
    "choice: delivery fails",
    "choice: discover fails",
    "choice: probe fails",
    "choice: ring lost",
    "choice: somebody sees the question",
    "choice: written twice",
    "an answer",
    "claim.expired",
    "claim.renewed",
    "claim.settled",
    "evidence.refuted",
    "evidence.unverifiable",
    "control: loop completed",
    "control: loop iteration_failed",
    "control: loop loop_cap",
    "control: map completed",
    "control: map element_failed",
    "control: map map_cap",
    "control: map not_a_list",
    "control: pruned",
    "control: tournament completed",
    "control: tournament no_champion",
    "input.ignored",
    "report.refused",
    "run.extended",
    "run.halted",
    "run.interrupted",
    "run.reopened",
    "run.stopping",
    "task.blocked",
    "task.partial",
    "task.pending",
    "task.skipped",
    "worker.safe-to-close",
    "worker.stale-registry",
    "worker.unhealthy",
];

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn every_seed_keeps_the_laws_and_every_healed_run_ends() {
    if let Some(seed) = number("ILCHUL_SIM_SEED") {
        let outcome = play(&Order { seed, verbose: true, ..Order::default() });
        println!("{}", outcome.trace.join("\n"));
        assert!(
            outcome.broken.is_none(),
            "seed {seed} breaks {}",
            outcome.broken.map_or_else(String::new, |b| b.to_string())
        );
        return;
    }
    let seeds = number("ILCHUL_SIM_SEEDS").unwrap_or(SEEDS);
    let (mut steps, mut crashes, mut executions, mut ended) = (0, 0, 0, 0);
    let mut seen: BTreeMap<String, u64> = BTreeMap::new();
    for seed in 0..seeds {
        let order = Order { seed, ..Order::default() };
        let outcome = play(&order);
        if let Some(broken) = outcome.broken {
            panic!("{}", shrink::words(&shrink::shrink(&order, broken.law, shrink::RUNS_MAX)));
        }
        steps += outcome.steps;
        crashes += outcome.crashes;
        executions += outcome.executions;
        ended += u64::from(outcome.ended);
        outcome.seen.into_iter().for_each(|(what, times)| *seen.entry(what).or_default() += times);
    }
    println!("{seeds} seeds: {steps} steps, {crashes} crashes, {executions} executions, {ended} runs ended");
    seen.iter().for_each(|(what, times)| println!("{times:>8}  {what}"));
    // A simulator in which nothing goes wrong, or nothing is ever done, proves nothing.
    let never: Vec<&str> =
        MUST_HAPPEN.iter().copied().filter(|what| seeds >= SEEDS && !seen.contains_key(*what)).collect();
    assert!(never.is_empty(), "never seen: {never:?}");
    let enough = |count: u64| seeds < 100 || count > seeds / 4;
    assert!(enough(crashes) && enough(executions as u64) && enough(ended), "too little happened");
}

#[test]
fn a_seed_plays_the_same_run_twice() {
    for seed in [3, 14, 159] {
        let order = Order { seed, verbose: true, ..Order::default() };
        assert_eq!(play(&order).trace, play(&order).trace, "seed {seed}");
    }
}
