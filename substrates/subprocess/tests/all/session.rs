//! What only this substrate promises of starting and observing: exact environment,
//! nothing inherited, identity. Left out: ending trees, in `ending.rs`.

use crate::common::{World, identity, runs, send, state};
use ilchul_conformance::{PATIENCE, wait_until};
use ilchul_subprocess::{Subprocess, process};
use ilchul_substrate::{ErrorKind, Exit, SessionSpec, State, Substrate, Urgency};
use nix::sys::signal::Signal;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

#[test]
fn s14_the_environment_is_the_specs_and_the_mark() {
    let world = World::new();
    let mark = world.mark("env");
    let mut spec = world.spec(&mark, &["sleep", "600"]);
    spec.env.push(("ILCHUL_MARK".into(), "ilchul.other.task.9".into()));
    let handle = world.substrate.ensure(&mark, &spec).unwrap();
    let environ = world.environment(&handle);
    let seen: BTreeSet<&str> = environ.split_terminator('\0').collect();
    let ours = format!("ILCHUL_MARK={mark}");
    assert_eq!(seen, BTreeSet::from(["CANARY=1", "PATH=/usr/local/bin:/usr/bin:/bin", ours.as_str()]));
}

#[test]
fn no_descriptor_of_ours_is_inherited() {
    let world = World::new();
    let open = File::open("/dev/null").unwrap();
    let handle = world.substrate.ensure(&world.mark("fds"), &sleeper(&world, "fds")).unwrap();
    world.environment(&handle);
    // The kernel shows the new environment a moment before it closes what isn't inherited.
    wait_until("the end of the exec", PATIENCE, || !descriptors(&handle.id).contains(&open.as_raw_fd()));
    let theirs = descriptors(&handle.id);
    assert!(theirs.is_superset(&BTreeSet::from([0, 1, 2])));
    // Whoever started the tests may have left some open for all its descendants.
    let leaky: BTreeSet<i32> = descriptors("self").into_iter().filter(|fd| !closes_on_exec(*fd)).collect();
    assert!(theirs.is_subset(&(&leaky | &BTreeSet::from([0, 1, 2]))), "{theirs:?} beside {leaky:?}");
    let target = |fd: i32| fs::read_link(format!("/proc/{}/fd/{fd}", handle.id)).unwrap();
    let log = world.log(&handle.mark);
    assert_eq!([target(0), target(1), target(2)], ["/dev/null".into(), log.clone(), log]);
}

fn sleeper(world: &World, task: &str) -> SessionSpec {
    world.spec(&world.mark(task), &["sleep", "600"])
}

fn descriptors(pid: &str) -> BTreeSet<i32> {
    let names = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    names.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

fn closes_on_exec(fd: i32) -> bool {
    const O_CLOEXEC: i32 = 0o2_000_000;
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).unwrap_or_default();
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
    // One that is closed by now (the listing's own) can't be inherited either.
    flags.is_none_or(|flags| i32::from_str_radix(flags.trim(), 8).is_ok_and(|flags| flags & O_CLOEXEC != 0))
}

#[test]
fn the_session_leads_a_group_of_its_own_in_the_specs_directory() {
    let world = World::new();
    let handle = world.substrate.ensure(&world.mark("lead"), &sleeper(&world, "lead")).unwrap();
    let there = process::identify(identity(&handle).pid).unwrap().unwrap();
    assert_eq!(there.group, there.identity.pid);
    let State::Live(facts) = world.state(&handle) else { panic!("it lives") };
    assert_eq!(facts.pid, Some(there.identity.pid));
    assert_eq!(facts.start_ticks, Some(there.identity.start_ticks));
    assert_eq!(facts.path, Some(world.folder.path().canonicalize().unwrap()));
}

#[test]
fn output_is_appended_to_a_private_log() {
    let world = World::new();
    let mark = world.mark("log");
    fs::write(world.log(&mark), "before\n").unwrap();
    let handle = world.substrate.ensure(&mark, &world.script(&mark, "echo out; echo err >&2")).unwrap();
    assert_eq!(world.ended(&handle), State::Ended(Some(Exit::Code(0))));
    assert_eq!(world.output(&mark), "before\nout\nerr\n");

    let other = world.mark("private");
    world.substrate.ensure(&other, &world.script(&other, "exit 0")).unwrap();
    let mode = fs::metadata(world.log(&other)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn arguments_reach_the_program_as_they_are() {
    let world = World::new();
    let mark = world.mark("argv");
    let argv = ["printf", "%s\\n", "$(id)", "a b", "*", ""];
    let handle = world.substrate.ensure(&mark, &world.spec(&mark, &argv)).unwrap();
    world.ended(&handle);
    assert_eq!(world.output(&mark), "$(id)\na b\n*\n\n");
}

#[test]
fn a_program_is_found_in_the_specs_path_and_from_the_specs_directory() {
    let world = World::new();
    let bin = world.folder.path().join("bin");
    fs::create_dir(&bin).unwrap();
    fs::write(bin.join("tool"), "#!/bin/sh\necho tool $0\n").unwrap();
    fs::set_permissions(bin.join("tool"), fs::Permissions::from_mode(0o755)).unwrap();
    for (task, program) in [("by-name", "tool"), ("relative", "./bin/tool")] {
        let mark = world.mark(task);
        let mut spec = world.spec(&mark, &[program]);
        spec.env = vec![("PATH".into(), bin.clone().into())];
        let handle = world.substrate.ensure(&mark, &spec).unwrap();
        assert_eq!(world.ended(&handle), State::Ended(Some(Exit::Code(0))), "{task}");
    }
}

#[test]
fn a_spec_that_cannot_be_served_is_refused_and_makes_nothing() {
    let world = World::new();
    let mark = world.mark("bad");
    let good = sleeper(&world, "bad");
    let mut script = good.clone();
    script.argv = vec![world.folder.path().join("text").into()];
    fs::write(world.folder.path().join("text"), "not a program").unwrap();
    let specs = [
        ("no argv", SessionSpec { argv: vec![], ..good.clone() }),
        ("no program", SessionSpec { argv: vec!["no-such-program".into()], ..good.clone() }),
        ("no file", SessionSpec { argv: vec!["/no/such/file".into()], ..good.clone() }),
        ("not executable", script),
        ("NUL", SessionSpec { argv: vec!["sleep".into(), "1\0".into()], ..good.clone() }),
        (
            "no folder",
            SessionSpec { cwd: "/no/such/folder".into(), argv: vec!["/bin/sh".into()], ..good.clone() },
        ),
        ("variable", SessionSpec { env: vec![("A=B".into(), "1".into())], ..good.clone() }),
        ("no PATH", SessionSpec { env: vec![], ..good.clone() }),
        (
            "too long",
            SessionSpec { argv: vec!["/bin/true".into(), "x".repeat(200_000).into()], ..good.clone() },
        ),
    ];
    for (what, spec) in specs {
        let error = world.substrate.ensure(&mark, &spec).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused, "{what}: failed to {error}");
    }
    let folder = SessionSpec { log: world.folder.path().to_owned(), ..good.clone() };
    assert_eq!(world.substrate.ensure(&mark, &folder).unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(world.substrate.discover(&world.run).unwrap(), []);
    world.substrate.ensure(&mark, &good).unwrap();
}

#[test]
fn the_signal_that_ended_it_is_known_to_its_parent_only() {
    let world = World::new();
    let handle = world.substrate.ensure(&world.mark("sig"), &sleeper(&world, "sig")).unwrap();
    send(identity(&handle), Signal::SIGKILL);
    assert_eq!(world.ended(&handle), State::Ended(Some(Exit::Signal(9))));
    assert_eq!(state(&Subprocess::new(Duration::ZERO), &handle), State::Ended(None));
}

#[test]
fn l19_a_recycled_pid_is_another_object() {
    let world = World::new();
    let handle = world.substrate.ensure(&world.mark("pid"), &sleeper(&world, "pid")).unwrap();
    let mut recycled = handle.clone();
    recycled.fields.insert("start_ticks".to_owned(), "1".to_owned());
    assert_eq!(world.state(&recycled), State::Absent);
    let error = world.substrate.release(&recycled, Urgency::AtOnce).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(runs(identity(&handle)));
}

#[test]
fn another_boots_process_is_absent_and_its_release_touches_nothing() {
    let world = World::new();
    let handle = world.substrate.ensure(&world.mark("boot"), &sleeper(&world, "boot")).unwrap();
    let mut older = handle.clone();
    older.fields.insert("boot_id".to_owned(), "00000000-0000-0000-0000-000000000000".to_owned());
    assert_eq!(world.state(&older), State::Absent);
    world.substrate.release(&older, Urgency::AtOnce).unwrap();
    assert!(runs(identity(&handle)));
}

#[test]
fn a_handle_that_names_everybody_is_refused() {
    let world = World::new();
    let handle = world.substrate.ensure(&world.mark("all"), &sleeper(&world, "all")).unwrap();
    for id in ["0", "1", "-1", "", "4294967296", "+5"] {
        let mut named = handle.clone();
        named.id = id.to_owned();
        if id == "+5" {
            named.fields.insert("start_ticks".to_owned(), "x".to_owned());
        }
        assert!(matches!(world.state(&named), State::Unknown(_)), "{id}");
        let error = world.substrate.release(&named, Urgency::AtOnce).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused, "{id}");
    }
}

#[test]
fn l19_a_stopped_process_is_live() {
    let world = World::new();
    let handle = world.substrate.ensure(&world.mark("stop"), &sleeper(&world, "stop")).unwrap();
    let identity = identity(&handle);
    send(identity, Signal::SIGSTOP);
    let stopped = || process::identify(identity.pid).unwrap().unwrap().state == b'T';
    wait_until("it is stopped", PATIENCE, stopped);
    assert!(matches!(world.state(&handle), State::Live(_)));
    assert!(matches!(state(&Subprocess::new(Duration::ZERO), &handle), State::Live(_)));
    // Asked, not killed: the stopped one is woken to act on it.
    world.substrate.release(&handle, Urgency::Asked).unwrap();
    assert_eq!(world.state(&handle), State::Ended(Some(Exit::Signal(15))));
}

#[test]
fn twenty_threads_start_twenty_sessions_once_each() {
    let world = World::new();
    let start = Barrier::new(20);
    let handles: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..20)
            .map(|thread| {
                let (world, start) = (&world, &start);
                scope.spawn(move || {
                    // Two threads to each of the first five marks besides their own.
                    let marks = [world.mark(&format!("t{thread}")), world.mark(&format!("t{}", thread % 5))];
                    start.wait();
                    marks.map(|mark| world.substrate.ensure(&mark, &sleeper(world, mark.task())).unwrap())
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let pids: BTreeSet<&str> = handles.iter().map(|handle| handle.id.as_str()).collect();
    assert_eq!(pids.len(), 20);
    assert_eq!(world.substrate.discover(&world.run).unwrap().len(), 20);
}

#[test]
fn dropping_the_object_leaves_its_sessions_alive() {
    let world = World::new();
    let first = Subprocess::new(Duration::ZERO);
    let handle = first.ensure(&world.mark("drop"), &sleeper(&world, "drop")).unwrap();
    drop(first);
    assert!(runs(identity(&handle)));
    assert!(matches!(world.state(&handle), State::Live(_)), "and the next one finds it");
}

#[test]
fn a_session_outlives_the_thread_that_started_it() {
    let world = World::new();
    let (mark, spec) = (world.mark("thread"), sleeper(&world, "thread"));
    let started = thread::scope(|scope| scope.spawn(|| world.substrate.ensure(&mark, &spec)).join());
    let handle = started.unwrap().unwrap();
    assert!(runs(identity(&handle)));
}

#[test]
fn an_exit_that_nobody_can_know_is_none_where_sigchld_is_ignored() {
    const INNER: &str = "ILCHUL_TEST_SIGCHLD_IGNORED";
    if std::env::var_os(INNER).is_some() {
        let world = World::new();
        let mark = world.mark("chld");
        let handle = world.substrate.ensure(&mark, &world.script(&mark, "exit 3")).unwrap();
        assert_eq!(world.ended(&handle), State::Ended(None));
        world.substrate.release(&handle, Urgency::Asked).unwrap();
        let live = world.substrate.ensure(&world.mark("live"), &sleeper(&world, "live")).unwrap();
        assert!(matches!(world.state(&live), State::Live(_)));
        world.substrate.release(&live, Urgency::Asked).unwrap();
        assert_eq!(world.state(&live), State::Ended(None));
        return;
    }
    // Ignoring is inherited, and only another program can set it without `unsafe`.
    let name = "session::an_exit_that_nobody_can_know_is_none_where_sigchld_is_ignored";
    let output = Command::new("env")
        .arg("--ignore-signal=CHLD")
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", name])
        .env(INNER, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}
