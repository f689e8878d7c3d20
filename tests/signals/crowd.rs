//! Many supervisors at once, and what their workers hold of them: law J9.

use std::fs;
use std::path::PathBuf;

use ilchul::journal::lock::Lock;

use super::world::{Up, World, runs, wait_for, wait_until};
use super::{TWO, both_at_work, sorted};

const MANY: usize = 20;

/// What a process has open, as the kernel names it.
fn open_files(pid: u32) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else { return Vec::new() };
    entries.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok()).collect()
}

/// All processes that live below this world: by their working directory, and tmux's own.
fn inmates(world: &World) -> Vec<u32> {
    let mut found: Vec<u32> =
        ["a.1", "b.1"].iter().flat_map(|id| [world.shim(id).pid, world.child(id).pid]).collect();
    let server = world.tmux(&["display-message", "-p", "#{pid}"]);
    found.extend(server.stdout.trim().parse::<u32>());
    found
}

fn crowd(session: &str) {
    let world = World::with(TWO);
    let mut ups: Vec<Option<Up>> =
        (0..MANY).map(|_| Some(world.start(&["up", "--session", session]))).collect();
    both_at_work(&world);
    let ended = |up: &mut Option<Up>| up.as_mut().is_some_and(Up::has_ended);
    let mut said = Vec::new();
    wait_until("all but one to be refused", || {
        for up in &mut ups {
            if ended(up) {
                said.push(up.take().unwrap().wait().exits(5).stderr);
            }
        }
        said.len() == MANY - 1
    });
    let winner = ups.into_iter().flatten().next().unwrap();
    let named = format!("process {} ", winner.pid);
    assert!(said.iter().all(|text| text.contains(&named)), "{named}: {said:?}");
    let inmates = inmates(&world);
    assert_eq!(inmates.len(), if session == "tmux" { 5 } else { 4 });
    let (kept, journal) = (world.home().lock(), world.home().journal());
    for pid in &inmates {
        let files = open_files(*pid);
        assert!(!files.is_empty(), "{pid} can't be looked at");
        let ours =
            |file: &&PathBuf| **file == kept || file.to_string_lossy().starts_with(journal.to_str().unwrap());
        assert_eq!(files.iter().find(ours), None, "process {pid} holds it too");
    }
    winner.kill();
    // A program that it was just starting holds its files until its exec.
    let lock = wait_for("the lock of a dead supervisor", || Lock::take(&kept).unwrap());
    assert!(inmates.iter().all(|pid| !open_files(*pid).is_empty()), "its workers live");
    assert!(["a.1", "b.1"].iter().all(|id| runs(world.shim(id))));
    drop(lock);
    world.touch("go");
    world.run(&["up"]).exits(0);
    assert_eq!(sorted(&world), ["a.1", "b.1", "c.1"]);
}

#[test]
fn j9_of_twenty_one_drives_and_its_death_frees_the_lock_though_plain_workers_live() {
    crowd("subprocess");
}

#[test]
fn j9_of_twenty_one_drives_and_its_death_frees_the_lock_though_a_tmux_server_lives() {
    crowd("tmux");
}
