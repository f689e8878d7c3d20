//! What a supervisor inherits: ignored and blocked signals, a place as the first process of
//! a namespace, and noise.
//!
//! It leaves out descriptors, which are `pipes.rs`, and terminals.

use std::fs;
use std::process::Command;

use ilchul::engine::event::{Event, RunEvent};
use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, PosixSpawnFlags, posix_spawn};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};

use super::world::{World, runs, wait_for, wait_until};
use super::{TWO, both_at_work, sorted};

/// `up` by way of a shell that says something first.
fn by_shell(world: &World, before: &str, session: &str) -> Command {
    let mut command = world.sealed("sh");
    command.arg("-c").arg(format!("{before}; exec \"$0\" up --session {session}"));
    command.arg(env!("CARGO_BIN_EXE_ilchul"));
    command
}

fn interruptions(world: &World) -> Vec<String> {
    let reason = |event: Event| match event {
        Event::Run(RunEvent::Interrupted { reason }) => Some(reason),
        _ => None,
    };
    world.events().into_iter().filter_map(reason).collect()
}

#[test]
fn ends_of_children_are_seen_where_the_parent_ignored_them() {
    for session in ["subprocess", "tmux"] {
        let world = World::with(
            "tasks:\n  a: { run: 'echo x > out.txt', evidence: [ { exit: 0 }, { command: 'test -e out.txt' } ] }\n\
             \x20 b: { run: 'exit 7', evidence: [ { exit: 7 } ] }\n",
        );
        let up = world.spawn(by_shell(&world, "trap '' CHLD", session));
        let ran = up.wait().exits(0);
        assert!(ran.stdout.contains("2 completed"), "{session}: {}{}", ran.stdout, ran.stderr);
        // What only looks starts programs too.
        let mut look = world.sealed("sh");
        look.args(["-c", "trap '' CHLD; \"$0\" workers && \"$0\" doctor", env!("CARGO_BIN_EXE_ilchul")]);
        let looked = look.output().unwrap();
        assert_eq!(looked.status.code(), Some(0), "{looked:?}");
    }
}

#[test]
fn what_the_parent_blocked_is_heard_all_the_same() {
    let world = World::with(TWO);
    let mut blocked = SigSet::empty();
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGCHLD] {
        blocked.add(signal);
    }
    let mut attributes = PosixSpawnAttr::init().unwrap();
    attributes.set_flags(PosixSpawnFlags::POSIX_SPAWN_SETSIGMASK).unwrap();
    attributes.set_sigmask(&blocked).unwrap();
    let script = format!(
        "cd '{}' && exec '{}' up --session subprocess > /dev/null 2> '{}'",
        world.repo().display(),
        env!("CARGO_BIN_EXE_ilchul"),
        world.root().join("said").display()
    );
    let text = |text: &str| std::ffi::CString::new(text).unwrap();
    let words = [text("sh"), text("-c"), text(&script)];
    let variable = |name: &str, value: &std::ffi::OsStr| text(&format!("{name}={}", value.to_str().unwrap()));
    let env = [variable("PATH", &world.path), variable("HOME", world.root().join("user").as_os_str())];
    let actions = PosixSpawnFileActions::init().unwrap();
    let up = posix_spawn("/bin/sh", &actions, &attributes, &words, &env).unwrap();
    both_at_work(&world);
    let shim = world.shim("a.1");
    kill(up, Signal::SIGTERM).unwrap();
    let ended = wait_for("its end", || {
        let status = waitpid(up, Some(WaitPidFlag::WNOHANG)).unwrap();
        (status != WaitStatus::StillAlive).then_some(status)
    });
    assert_eq!(ended, WaitStatus::Exited(up, 4));
    let said = fs::read_to_string(world.root().join("said")).unwrap();
    assert!(said.contains("Interrupted (SIGTERM)"), "{said}");
    assert!(runs(shim));
    world.touch("go");
    world.up().exits(0);
    assert_eq!(sorted(&world), ["a.1", "b.1", "c.1"]);
}

#[test]
fn what_the_parent_ignored_stays_ignored_as_under_nohup() {
    let world = World::with(TWO);
    let up = world.spawn(by_shell(&world, "trap '' INT HUP QUIT", "subprocess"));
    both_at_work(&world);
    for signal in [Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT] {
        up.signal(signal);
        up.signal(signal);
    }
    // Signals arrive in the order of their numbers, so an answer says that they were passed over.
    world.run(&["cancel", "c"]).exits(0);
    up.signal(Signal::SIGTERM);
    up.wait().exits(4);
    assert_eq!(interruptions(&world), ["SIGTERM"]);
    world.touch("go");
    world.up().exits(3);
    assert_eq!(sorted(&world), ["a.1", "b.1"]);
}

#[test]
fn signals_that_mean_nothing_here_change_nothing() {
    let world = World::with(TWO);
    let up = world.start_up();
    both_at_work(&world);
    let before = world.events().len();
    let noise = [
        Signal::SIGWINCH,
        Signal::SIGUSR1,
        Signal::SIGPIPE,
        Signal::SIGUSR2,
        Signal::SIGALRM,
        Signal::SIGCONT,
        Signal::SIGCHLD,
        Signal::SIGURG,
    ];
    for _ in 0..1000 {
        for signal in noise {
            up.signal(signal);
        }
    }
    world.run(&["status"]).exits(0);
    assert_eq!(world.events().len(), before, "{:?}", world.events().split_off(before));
    world.touch("go");
    up.wait().exits(0);
    assert_eq!(sorted(&world), ["a.1", "b.1", "c.1"]);
}

#[test]
fn reads_that_are_interrupted_are_tried_again() {
    let world = World::with(TWO);
    let up = world.start_up();
    both_at_work(&world);
    // Every thread that there is, and those to come; counted in each by itself.
    let tasks = fs::read_dir(format!("/proc/{}/task", up.pid)).unwrap();
    let mut tracer = world.sealed("strace");
    tracer.args(["-f", "-qq", "-o"]).arg(world.root().join("trace"));
    tracer.args(["-e", "trace=read", "-e", "inject=read:error=EINTR:when=3+5"]);
    for task in tasks {
        tracer.arg("-p").arg(task.unwrap().file_name());
    }
    let tracer = world.spawn(tracer);
    let injected = || {
        let trace = fs::read_to_string(world.root().join("trace")).unwrap_or_default();
        trace.lines().filter(|line| line.contains("EINTR") && line.contains("(INJECTED)")).count()
    };
    wait_until("the tracer", || {
        let status = fs::read_to_string(format!("/proc/{}/status", up.pid)).unwrap();
        status.lines().any(|line| line.starts_with("TracerPid:") && !line.ends_with("\t0"))
    });
    world.run(&["cancel", "c"]).exits(0);
    let before = world.events().len();
    wait_until("reads that were interrupted", || injected() > 3);
    assert_eq!(world.events().len(), before, "{:?}", world.events().split_off(before));
    tracer.signal(Signal::SIGTERM);
    tracer.wait();
    world.touch("go");
    up.wait().exits(3);
    assert_eq!(sorted(&world), ["a.1", "b.1"]);
}

/// `unshare` with what this user needs for `flags`.
pub fn unshared(world: &World, flags: &[&str]) -> Command {
    let mut command = world.sealed("unshare");
    if !nix::unistd::geteuid().is_root() {
        command.arg("-r");
    }
    command.args(flags);
    command
}

#[test]
fn as_the_first_process_of_a_namespace_it_leaves_no_zombie_and_no_descriptor_over_fifty_workers() {
    let tasks: String = (0..50).map(|n| format!("  t{n}: {{ run: 'true' }}\n")).collect();
    let needs: Vec<String> = (0..50).map(|n| format!("t{n}")).collect();
    // The last body looks around: it sees what its supervisor, process 1, has left by then.
    let world = World::with(&format!(
        "limits: {{ workers: 8 }}\ndefaults: {{ workspace: none }}\ntasks:\n{tasks}  last:\n    needs: [{}]\n\
         \x20   run: 'sh $W/look'\n",
        needs.join(", ")
    ));
    let look = "for try in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do\n\
        zombies=0\nfor stat in /proc/[0-9]*/stat; do\nread -r line 2> /dev/null < $stat || continue\n\
        case \"$line\" in *') Z '*) zombies=$((zombies + 1));; esac\ndone\n\
        test $zombies = 0 && break\nsleep 0.2\ndone\n\
        set -- /proc/1/fd/*\necho \"zombies $zombies\" >> LEDGER\necho \"fds $#\" >> LEDGER\n";
    let ledger = world.root().join("ledger");
    fs::write(world.root().join("look"), look.replace("LEDGER", ledger.to_str().unwrap())).unwrap();
    let mut command = unshared(&world, &["-pf", "--mount-proc", env!("CARGO_BIN_EXE_ilchul")]);
    command.args(["up", "--session", "subprocess"]);
    let ran = world.spawn(command).wait().exits(0);
    assert!(ran.stdout.contains("51 completed"), "{}", ran.stdout);
    let ledger = world.ledger();
    assert_eq!(ledger[0], "zombies 0");
    let open: u32 = ledger[1].strip_prefix("fds ").unwrap().parse().unwrap();
    assert!(open < 40, "{open} descriptors");
}

#[test]
fn under_nohup_and_setsid_it_is_the_same_supervisor() {
    let world = World::with(TWO);
    let mut command = world.sealed("setsid");
    command.args(["--wait", "nohup", env!("CARGO_BIN_EXE_ilchul"), "up", "--session", "subprocess"]);
    let mut up = world.spawn(command);
    both_at_work(&world);
    let holder = wait_for("its signature", || {
        ilchul::journal::lock::held(&world.home().lock()).unwrap().flatten().filter(|h| !h.run.is_empty())
    });
    let pid = nix::unistd::Pid::from_raw(i32::try_from(holder.pid).unwrap());
    kill(pid, Signal::SIGHUP).unwrap();
    world.run(&["cancel", "c"]).exits(0);
    assert!(world.is_held() && !up.has_ended());
    kill(pid, Signal::SIGINT).unwrap();
    up.wait();
    assert_eq!(interruptions(&world), ["SIGINT"]);
    world.touch("go");
    world.up().exits(3);
}
