//! Killed at random moments of a run of twenty tasks, again and again.
//!
//! The moments follow from a seed that a failure prints. It leaves out chosen moments, which
//! the other files walk through one by one.

use std::time::{Duration, Instant};

use super::life::setting;
use super::oracle;
use super::plan::Plan;

/// How often a round kills at most.
const KILLS: u32 = 6;
/// A life ends before this, in milliseconds; an undisturbed run takes about three times as long.
const WITHIN: u64 = 250;

/// xorshift: enough to scatter moments, and the same on every machine.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// Kills `up` at random moments, then lets it end; answers how often it was killed.
fn one_round(plan: &Plan, seed: u64) -> u32 {
    let world = plan.world();
    let mut dice = Dice(seed);
    let mut kills = 0;
    for _ in 0..KILLS {
        let mut up = world.start(&plan.up());
        let at = Instant::now() + Duration::from_millis(dice.below(WITHIN));
        while Instant::now() < at && !up.has_ended() {
            std::thread::sleep(Duration::from_millis(1));
        }
        if up.has_ended() {
            break;
        }
        up.kill();
        kills += 1;
    }
    oracle::ends_as_undisturbed(&world, plan, &format!("{}, seed {seed}, {kills} kills", plan.session));
    kills
}

fn rounds(plan: &Plan, first: u64, count: usize) {
    let seeds = (first..).take(count);
    let kills: u32 = seeds.map(|seed| one_round(plan, seed.wrapping_mul(0x9E37_79B9_7F4A_7C15))).sum();
    assert!(usize::try_from(kills).unwrap() >= count, "only {kills} kills hit a supervisor at work");
}

/// Another first seed finds other moments.
fn first() -> u64 {
    u64::try_from(setting("ILCHUL_CRASH_SEED", 1)).unwrap()
}

#[test]
fn j6_killed_at_random_moments_a_run_of_twenty_tasks_ends_as_if_nothing_had_happened() {
    rounds(&Plan::twenty("subprocess"), first(), setting("ILCHUL_CRASH_ROUNDS", 8));
}

#[test]
fn j6_the_same_in_tmux() {
    rounds(&Plan::twenty("tmux"), first() + 1_000_000, setting("ILCHUL_CRASH_ROUNDS", 4));
}
