//! Another boot: all that lived is provably dead, and whoever has its pids now is a stranger.
//!
//! A boot is another `boot_id`, bound over the kernel's in a mount namespace of one `up`.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Stdio};

use ilchul::engine::event::{Event, RunEvent};
use nix::sys::signal::Signal;

use super::inherited::unshared;
use super::world::{Ran, World, runs, signal, wait_for, wait_until};

const OTHER_BOOT: &str = "00000000-1111-2222-3333-444444444444";
const BIND: &str = "mount --bind ../boot /proc/sys/kernel/random/boot_id";

/// `a` has completed, `b` and `c` are at work, `d` needs them.
const FOUR: &str = "limits: { grace: 1s, workers: 2 }\n\
    defaults: { retries: 1 }\n\
    tasks:\n\
    \x20 a: { run: 'echo $ILCHUL_WORKER >> $W/ledger' }\n\
    \x20 b: { run: &body 'echo $ILCHUL_WORKER >> $W/ledger; test $ILCHUL_ATTEMPT = 2 || exec sleep 600', needs: [a] }\n\
    \x20 c: { run: *body, needs: [a] }\n\
    \x20 d: { run: 'echo $ILCHUL_WORKER >> $W/ledger', needs: [b, c] }\n";

/// `up` in another boot, to its end.
fn up_after_reboot(world: &World) -> Ran {
    fs::write(world.root().join("boot"), format!("{OTHER_BOOT}\n")).unwrap();
    let mut command = unshared(world, &["-m", "sh", "-c"]);
    command.arg(format!("{BIND} && exec \"$0\" up")).arg(env!("CARGO_BIN_EXE_ilchul"));
    world.spawn(command).wait()
}

fn reboot(session: &str) {
    let world = World::with(FOUR);
    let up = world.start(&["up", "--session", session]);
    wait_until("both bodies", || world.ledger().len() == 3);
    world.await_task("b", "in_progress");
    world.await_task("c", "in_progress");
    let before = world.state();
    let alive: Vec<_> = ["b.1", "c.1"].iter().flat_map(|id| [world.shim(id), world.child(id)]).collect();
    up.kill();
    for process in &alive {
        if runs(*process) {
            signal(*process, Signal::SIGKILL);
        }
    }
    if session == "tmux" {
        world.tmux(&["kill-server"]).exits(0);
    }
    wait_until("everybody's death", || !alive.iter().any(|process| runs(*process)));
    let ran = up_after_reboot(&world).exits(0);
    assert!(ran.stderr.contains("b.1  gone: its session is gone"), "{}", ran.stderr);
    let mut ledger = world.ledger();
    ledger.sort();
    assert_eq!(ledger, ["a.1", "b.1", "b.2", "c.1", "c.2", "d.1"], "{session}");
    let state = world.state();
    let resumed =
        |event: &Event| matches!(event, Event::Run(RunEvent::Resumed { boot, .. }) if boot == OTHER_BOOT);
    assert!(world.events().iter().any(resumed), "the boot is journaled");
    let highest = before.workers.values().map(|worker| worker.token).max().unwrap();
    for id in ["b.2", "c.2", "d.1"] {
        assert!(state.workers[id].token > highest, "{session}: {id}");
    }
    for id in ["b.1", "c.1"] {
        assert!(state.workers[id].reason.contains("worker_died"), "{}", state.workers[id].reason);
        assert!(world.tree(id).join("README").exists(), "what it made is kept");
    }
    // J8: time went on where the last event left it, though the new boot's clock may say anything.
    assert!(state.last_at.moment >= before.last_at.moment);
}

#[test]
fn j6_after_a_reboot_plain_workers_are_dead_and_their_attempts_are_tried_again() {
    reboot("subprocess");
}

#[test]
fn j6_after_a_reboot_panes_are_dead_and_their_attempts_are_tried_again() {
    reboot("tmux");
}

/// A pid namespace whose first process is a shell that does what it is told.
struct Island {
    shell: Child,
    orders: ChildStdin,
    answers: BufReader<std::process::ChildStdout>,
}

impl Island {
    fn new(world: &World) -> Self {
        let mut command = unshared(world, &["-pfm", "--mount-proc", "sh"]);
        let mut shell = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (orders, answers) = (shell.stdin.take().unwrap(), shell.stdout.take().unwrap());
        Self { shell, orders, answers: BufReader::new(answers) }
    }

    /// Has a line done, which says one line itself.
    fn tell(&mut self, line: &str) -> String {
        writeln!(self.orders, "{line}").unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        answer.trim().to_owned()
    }
}

impl Drop for Island {
    fn drop(&mut self) {
        // With `unshare` its shell ends by the end of its orders, and with that all that lives there.
        let _ = writeln!(self.orders, "exit");
        let _ = self.shell.wait();
    }
}

#[test]
fn l19_a_recycled_pid_is_another_object_and_neither_signalled_nor_adopted() {
    for after in ["true", BIND] {
        let world = World::with(
            "limits: { grace: 1s }\n\
             tasks: { a: { retries: 1, run: 'echo $ILCHUL_WORKER >> $W/ledger; test $ILCHUL_ATTEMPT = 2 || exec sleep 600' } }",
        );
        fs::write(world.root().join("boot"), format!("{OTHER_BOOT}\n")).unwrap();
        let mut island = Island::new(&world);
        let program = env!("CARGO_BIN_EXE_ilchul");
        let up = island.tell(&format!("{program} up --session subprocess > /dev/null 2>&1 & echo $!"));
        world.await_task("a", "in_progress");
        wait_until("the body", || world.ledger() == ["a.1"]);
        let (shim, child) = (world.shim("a.1"), world.child("a.1"));
        // These are the island's numbers; its own shell sends the signals.
        let kills = format!("kill -9 {up}; kill -9 {}; kill -9 {}", shim.pid, child.pid);
        assert_eq!(island.tell(&format!("{kills}; wait {up} 2> /dev/null; echo over")), "over");
        let gone =
            format!("test -e /proc/{} || test -e /proc/{} && echo there || echo gone", shim.pid, child.pid);
        // An orphan's zombie is its first process's to reap, which a shell does when it waits.
        wait_for("their pids to be free", || (island.tell(&format!("wait; {gone}")) == "gone").then_some(()));
        let mut bystanders = Vec::new();
        for pid in [shim.pid, child.pid] {
            // A subshell may take the number that was meant for the bystander: then it is tried again.
            let bystander = wait_for("the recycled pid", || {
                let line = format!("echo {} > /proc/sys/kernel/ns_last_pid; sleep 600 & echo $!", pid - 1);
                let got = island.tell(&line);
                (got == pid.to_string()).then_some(got)
            });
            bystanders.push(bystander);
        }
        let code = island.tell(&format!("({after} && {program} up > ../said 2>&1); echo $?"));
        let said = fs::read_to_string(world.root().join("said")).unwrap();
        assert_eq!(code, "0", "{said}");
        assert!(!said.contains("adopted"), "{said}");
        assert_eq!(world.ledger(), ["a.1", "a.2"], "{said}");
        for pid in bystanders {
            let line = format!("read -r line < /proc/{pid}/stat; echo $line");
            let stat = island.tell(&line);
            assert!(stat.contains("(sleep) S"), "after `{after}`: {pid}: {stat}");
        }
    }
}

#[test]
fn a_clock_that_began_long_ago_counts_no_second_of_it() {
    let world = World::with("tasks: { a: { run: 'echo x >> $W/ledger', timeout: 30s } }");
    let mut command = unshared(&world, &["-T", "--monotonic", "3000000000", "--boottime", "3000000000"]);
    command.args(["-f", env!("CARGO_BIN_EXE_ilchul"), "up", "--session", "subprocess"]);
    world.spawn(command).wait().exits(0);
    assert_eq!(world.ledger(), ["x"]);
    assert!(world.state().last_at.moment.0 < 30_000);
}
