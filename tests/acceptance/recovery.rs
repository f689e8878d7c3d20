//! A supervisor killed at random moments, again and again: the end is the same, and no body
//! runs twice in one attempt.
//!
//! The moments follow from a seed that a failure prints. It leaves out chosen moments,
//! which the supervisor's own tests walk through one by one.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::world::World;

/// Six tasks in a diamond with a tail; each writes what it is into the ledger when it begins
/// and when it ends.
const SIX: &str = "limits: { workers: 3, grace: 1s }\n\
    defaults: { retries: 1, env: { L: $W/ledger } }\n\
    tasks:\n\
    \x20 a: { run: &body 'echo $ILCHUL_WORKER >> $L; sleep 0.05; echo $ILCHUL_WORKER > out.txt', evidence: &proof [ { exit: 0 }, { artifact: out.txt } ] }\n\
    \x20 b: { run: *body, evidence: *proof, needs: [a] }\n\
    \x20 c: { run: *body, evidence: *proof, needs: [a] }\n\
    \x20 d: { run: *body, evidence: *proof, needs: [b, c] }\n\
    \x20 e: { run: *body, evidence: *proof }\n\
    \x20 f: { run: *body, evidence: *proof, needs: [d, e] }\n";

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

/// Kills `up` at up to four random moments, then lets it end; answers how often it was killed.
fn one_round(seed: u64, session: &str) -> u32 {
    let world = World::with(SIX);
    let mut dice = Dice(seed);
    let mut kills = 0;
    for _ in 0..4 {
        let mut up = world.start(&["up", "--session", session]);
        let at = Instant::now() + Duration::from_millis(dice.below(350));
        while Instant::now() < at && !up.has_ended() {
            std::thread::sleep(Duration::from_millis(1));
        }
        if up.has_ended() {
            break;
        }
        up.kill();
        kills += 1;
    }
    let ran = world.run(&["up", "--session", session]);
    assert_eq!(ran.code, 0, "seed {seed}:\n{}\n{}", ran.stdout, ran.stderr);
    assert!(
        world.phases().iter().all(|(_, phase)| phase == "completed"),
        "seed {seed}: {:?}",
        world.phases()
    );
    let mut bodies: BTreeMap<String, u32> = BTreeMap::new();
    for line in world.ledger() {
        *bodies.entry(line).or_default() += 1;
    }
    assert!(bodies.values().all(|times| *times == 1), "seed {seed}: {bodies:?}");
    // J6: shims outlive their supervisor, so no task's body ran in more than one attempt.
    let mut tasks: BTreeMap<&str, u32> = BTreeMap::new();
    for worker in bodies.keys() {
        *tasks.entry(worker.split_once('.').unwrap().0).or_default() += 1;
    }
    assert_eq!(tasks, ["a", "b", "c", "d", "e", "f"].map(|task| (task, 1)).into(), "seed {seed}: {bodies:?}");
    kills
}

#[test]
fn j6_killed_at_random_moments_a_run_ends_as_if_nothing_had_happened() {
    let kills: u32 = (1..=12).map(|seed| one_round(seed * 0x9E37_79B9, "subprocess")).sum();
    assert!(kills >= 12, "only {kills} kills hit a supervisor at work");
}

#[test]
fn j6_the_same_in_tmux() {
    let kills: u32 = (13..=15).map(|seed| one_round(seed * 0x9E37_79B9, "tmux")).sum();
    assert!(kills >= 3, "only {kills} kills hit a supervisor at work");
}
