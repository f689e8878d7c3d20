//! What accounting says of jobs that nobody else knows any more, and what it doesn't.
//!
//! It leaves out what a run makes of it. These tests take accounting down: one at a time.

use crate::common::{World, slurm};
use ilchul_conformance::{PATIENCE, wait_for, wait_until};
use ilchul_substrate::{Handle, State, Substrate};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

fn cluster(verb: &str, what: &str) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/slurm-cluster");
    let mut command = Command::new(script);
    command.arg(verb).arg(std::env::var_os("ILCHUL_SLURM_DIR").unwrap()).arg(what).stdin(Stdio::null());
    assert!(command.stdout(Stdio::null()).status().unwrap().success(), "{verb}");
}

/// Accounting is there again for the next test, however this one ends.
struct Back;

impl Drop for Back {
    fn drop(&mut self) {
        cluster("dbd-start", "");
    }
}

/// A job that runs, and of which this object has looked at nothing since.
fn started(world: &World, task: &str) -> Handle {
    let mark = world.mark(task);
    let handle =
        world.substrate.ensure(&mark, &world.script(&mark, "echo begun > begun; sleep 600")).unwrap();
    world.text("begun");
    handle
}

/// Kills every process of a job, so that none can say a word, and waits until Slurm forgot it.
fn kill_and_forget(handle: &Handle) {
    cluster("murder", &handle.id);
    let forgets = 3 * PATIENCE;
    wait_until("Slurm to forget it", forgets, || {
        !slurm(&["squeue", "--me", "-h", "-t", "all", "-o", "%A"]).lines().any(|id| id == handle.id)
    });
}

fn told(handle: &Handle) -> String {
    slurm(&["sacct", "-n", "-P", "-X", "-D", "-S", "now-1days", "-j", &handle.id, "-o", "State,ExitCode,End"])
}

#[test]
fn a_job_that_was_killed_without_a_word_and_aged_out_is_gone_by_the_word_of_accounting() {
    let world = World::new();
    let handle = started(&world, "aged");
    kill_and_forget(&handle);
    let seen = wait_for("it is settled", PATIENCE, || {
        let seen = world.substrate.observe(std::slice::from_ref(&handle)).remove(0);
        match seen.state {
            State::Absent => Some(seen),
            // Until several answers lacked it.
            State::Unknown(_) => None,
            other => panic!("{other:?}"),
        }
    });
    let note = seen.note.unwrap();
    assert!(note.starts_with("sacct says FAILED") || note.starts_with("sacct says CANCELLED"), "{note}");
}

#[test]
fn l9_accounting_that_was_down_is_believed_only_once_it_is_back_and_knows_an_end() {
    let world = World::new();
    let _back = Back;
    let handle = started(&world, "lied");
    wait_until("its record", PATIENCE, || told(&handle).starts_with("RUNNING"));
    cluster("dbd-stop", "");
    kill_and_forget(&handle);
    let until = Instant::now() + Duration::from_secs(4);
    let mut why = String::new();
    while Instant::now() < until {
        match world.state(&handle) {
            State::Unknown(last) => why = last,
            other => panic!("{other:?}"),
        }
    }
    assert!(why.contains("sacct"), "{why}");
    cluster("dbd-start", "");
    wait_until("accounting to know its end", 3 * PATIENCE, || {
        // Asked on both sides of the look, so that the look saw no other answer: for a while it
        // goes on calling it RUNNING, or says FAILED and not when.
        let before = told(&handle);
        let state = world.state(&handle);
        let open = before.is_empty() || before.ends_with("|Unknown");
        assert!(!open || told(&handle) != before || state != State::Absent, "{state:?} from {before}");
        state == State::Absent
    });
}
