//! A git or a tmux that hangs: it is named, and the loop turns on.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::unistd::Pid;

use super::in_time::in_time;
use super::world::{Ran, Up, World, runs, wait_until};
use super::{TWO, both_at_work, sorted, timed};

/// What a look and a request may take.
const SOON: Duration = Duration::from_secs(1);
/// What the end of a supervisor may take.
const END: Duration = Duration::from_secs(2);

/// Puts a `tool` first in `PATH` that hangs while the world's file `hang` exists and its
/// arguments match `when`.
fn with_hanging(world: &mut World, tool: &str, when: &str) {
    let tools = world.root().join(format!("hanging-{tool}"));
    fs::create_dir(&tools).unwrap();
    let real =
        std::env::split_paths(&world.path).map(|dir| dir.join(tool)).find(|path| path.exists()).unwrap();
    let hang = world.root().join("hang");
    // As deaf as a stuck disk, and gone with the world's file.
    let script = format!(
        "#!/bin/sh\ncase \" $* \" in {when}) test -e {0} || exec {1} \"$@\"; while test -e {0}; do sleep 0.1; done; exit 1;; esac\nexec {1} \"$@\"\n",
        hang.display(),
        real.display()
    );
    fs::write(tools.join(tool), script).unwrap();
    fs::set_permissions(tools.join(tool), fs::Permissions::from_mode(0o755)).unwrap();
    let others = std::env::split_paths(&world.path).collect::<Vec<_>>();
    world.path = std::env::join_paths(std::iter::once(tools).chain(others)).unwrap();
}

/// The loop answers a request, and `status` answers, each within a second.
#[track_caller]
fn turns(world: &World, task: &str) {
    answers(world);
    // Asked once more it refuses, and that is an answer of the loop's as well.
    let mut codes = std::iter::once(0).chain(std::iter::repeat(1));
    in_time(SOON, || timed(|| world.run(&["cancel", task]).exits(codes.next().unwrap())).1);
}

#[track_caller]
fn answers(world: &World) {
    in_time(SOON, || timed(|| world.run(&["status"]).exits(0)).1);
}

/// How long an interrupted supervisor took to end, and what it said.
fn interrupted(up: Up) -> (Ran, Duration) {
    timed(|| {
        up.signal(Signal::SIGINT);
        up.wait().exits(4)
    })
}

#[test]
fn a_git_that_hangs_holds_up_its_own_worker_alone() {
    in_time(END, || hanging_git(&[]));
}

#[test]
fn a_git_that_hangs_holds_up_its_own_worker_alone_where_there_is_one_processor() {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let ours = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap();
    let one = ours.trim().split(['-', ',']).next().unwrap();
    in_time(END, || hanging_git(&["taskset", "-c", one]));
}

/// One run with a git that hangs, started by way of `by`; how long its supervisor took to end.
fn hanging_git(by: &[&str]) -> Duration {
    let mut world = World::with(
        "limits: { grace: 1s, workers: 4 }\n\
         tasks:\n\
         \x20 a: { run: 'echo a >> $W/ledger' }\n\
         \x20 b: { run: 'echo b >> $W/ledger', workspace: none }\n\
         \x20 c: { run: 'echo c >> $W/ledger', workspace: none, needs: [b] }\n\
         \x20 d: { run: 'echo d >> $W/ledger', workspace: none, needs: [a] }\n",
    );
    with_hanging(&mut world, "git", "*worktree*");
    world.touch("hang");
    let words = [by, &[env!("CARGO_BIN_EXE_ilchul"), "up", "--session", "subprocess"]].concat();
    let mut command = world.sealed(words[0]);
    command.args(&words[1..]);
    let up = world.spawn(command);
    world.await_task("c", "completed");
    assert_eq!(world.told("a"), "claimed");
    turns(&world, "d");
    let (_, took) = interrupted(up);
    fs::remove_file(world.root().join("hang")).unwrap();
    world.up().exits(3);
    assert_eq!(sorted(&world), ["a", "b", "c"]);
    assert_eq!(world.told("a"), "completed");
    took
}

#[test]
fn a_tmux_that_hangs_is_named_and_concluded_nothing_from() {
    in_time(END, hanging_tmux);
}

/// One run whose tmux comes to hang; how long its supervisor took to end.
fn hanging_tmux() -> Duration {
    let mut world = World::with(TWO);
    with_hanging(&mut world, "tmux", "*");
    let up = world.start(&["up", "--session", "tmux"]);
    both_at_work(&world);
    let server = world.tmux(&["display-message", "-p", "#{pid}"]).exits(0).stdout;
    let server = Pid::from_raw(server.trim().parse().unwrap());
    assert!(server.as_raw() > 1);
    // The server itself hangs, so that a connection that is open already hangs as well.
    world.touch("hang");
    nix::sys::signal::kill(server, Signal::SIGSTOP).unwrap();
    turns(&world, "c");
    wait_until("four seconds of looks", {
        let until = std::time::Instant::now() + Duration::from_secs(4);
        move || std::time::Instant::now() > until
    });
    answers(&world);
    assert!(["a.1", "b.1"].iter().all(|id| runs(world.shim(id))));
    let (ran, took) = interrupted(up);
    assert!(ran.stderr.contains("sessions can't be looked at"), "{}", ran.stderr);
    assert!(ran.stderr.contains("nothing is concluded from that"), "{}", ran.stderr);
    nix::sys::signal::kill(server, Signal::SIGCONT).unwrap();
    fs::remove_file(world.root().join("hang")).unwrap();
    world.touch("go");
    world.run(&["up"]).exits(3);
    assert_eq!(sorted(&world), ["a.1", "b.1"]);
    took
}
