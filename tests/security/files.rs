//! Files that a worker puts where ilchul reads: never followed, never waited for, never large.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;

use super::world::{World, wait_until};

/// Runs one task that puts a FIFO at `path` and is to show what it changed; answers how it ended.
fn with_fifo(path: &str) -> String {
    let run = format!("echo x > src/new; f={path}; rm -f $f; mkfifo $f");
    let world = World::with(&format!("tasks: {{ a: {{ run: '{run}', evidence: [ {{ diff: {{}} }} ] }} }}"));
    let common = world.repo().join(".git");
    let kept: Vec<_> = ["config", "packed-refs", "info/exclude", "shallow"]
        .map(|name| (common.join(name), fs::read(common.join(name)).ok()))
        .into();
    assert!(world.start_up().wait().code >= 0);
    // The repository as it was: the answer is asked with everybody's own eyes.
    for (file, bytes) in kept {
        match bytes {
            Some(bytes) => {
                let _ = fs::remove_file(&file);
                fs::write(file, bytes).unwrap();
            }
            None => drop(fs::remove_file(file)),
        }
    }
    world.told("a")
}

#[test]
fn s10_a_fifo_where_git_reads_hangs_nobody_and_proves_nothing() {
    let common = "$(git rev-parse --git-common-dir)";
    let entry = "$(git rev-parse --git-dir)";
    for path in [
        ".gitignore",
        "src/.gitattributes",
        &format!("{entry}/index"),
        &format!("{entry}/HEAD"),
        &format!("{common}/refs/heads/ilchul/$ILCHUL_RUN/a.1"),
        &format!("{common}/info/attributes"),
        &format!("{common}/config"),
        &format!("{common}/packed-refs"),
        &format!("{common}/shallow"),
        &format!("{common}/objects/info/alternates"),
    ] {
        let told = with_fifo(path);
        assert!(told.starts_with("failed (unverifiable: diff"), "{path}: {told}");
    }
    // Where git reads nothing it is only a file that no commit can hold.
    assert_eq!(with_fifo("src/pipe"), "completed");
}

/// What may stand in a file's place, each made by a shell at `$f`; `$S` is the secret.
const KINDS: [(&str, &str); 9] = [
    ("link", "ln -s $S $f"),
    ("dangling link", "ln -s $W/nowhere $f"),
    ("fifo", "mkfifo $f"),
    ("folder", "mkdir $f"),
    ("device", "ln -s /dev/zero $f"),
    ("environment", "ln -s /proc/self/environ $f"),
    ("hard link", "ln $S $f"),
    ("sparse", "truncate -s 2G $f"),
    ("socket", "$W/socket $f"),
];

/// A world with a secret file outside, and a program that makes a socket.
fn with_secret(workflow: &str) -> World {
    let world = World::new();
    let secret = world.root().join("secret");
    fs::write(&secret, "TOP-SECRET-CANARY\n").unwrap();
    let socket = world.root().join("socket");
    // Moved to its place: a socket is bound where it is made, and a path of it has 107 bytes.
    let bound = world.root().join("bound");
    drop(UnixListener::bind(&bound).unwrap());
    fs::write(&socket, format!("#!/bin/sh\ncp -a {} \"$1\"\n", bound.display())).unwrap();
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o755)).unwrap();
    world.workflow(&workflow.replace("$S", secret.to_str().unwrap()));
    world
}

/// No file below the home but the worker's own holds the secret's bytes.
#[track_caller]
fn keeps_no_secret(world: &World, what: &str) {
    let mut open = vec![world.home().root().to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let (path, kind) = {
                let entry = entry.unwrap();
                (entry.path(), entry.file_type().unwrap())
            };
            let theirs = ["mail", "trees"].iter().any(|name| path.file_name().unwrap() == *name);
            if kind.is_dir() && !theirs {
                open.push(path);
            } else if kind.is_file() && path.metadata().unwrap().len() < 64 << 20 {
                let bytes = fs::read(&path).unwrap();
                let found = bytes.windows(10).any(|bytes| bytes == b"TOP-SECRET");
                assert!(!found, "{what}: `{}`", path.display());
            }
        }
    }
}

#[test]
fn s10_s12_whatever_stands_in_place_of_a_mail_file_is_refused_and_costs_nothing() {
    for file in ["report", "heartbeat"] {
        let mut tasks = String::new();
        for (number, (_, make)) in KINDS.iter().enumerate() {
            tasks += &format!(
                "  t{number}: {{ run: 'f=$ILCHUL_MAIL/{file}.json; rm -f $f; {make}; sleep 0.2; rm -rf $ILCHUL_TREE/none' }}\n"
            );
        }
        tasks += "  hold: { run: 'until test -e $W/go; do sleep 0.02; done' }\n";
        let world = with_secret(&format!(
            "defaults: {{ workspace: none }}\nlimits: {{ workers: 12 }}\ntasks:\n{tasks}"
        ));
        let up = world.start_up();
        for number in 0..KINDS.len() {
            wait_until("the end of every task", || {
                let state = world.peek();
                state.is_some_and(|state| {
                    state
                        .task_index(&format!("t{number}"))
                        .is_some_and(|task| state.tasks[task].phase.is_terminal())
                })
            });
        }
        let peak = peak(up.pid);
        world.touch("go");
        up.wait();
        for (number, (kind, _)) in KINDS.iter().enumerate() {
            let told = world.told(&format!("t{number}"));
            // A heartbeat proves nothing; a report that can't be read is none.
            let expected =
                if file == "report" { told.starts_with("failed (no_report") } else { told == "completed" };
            assert!(expected, "{file} as {kind}: {told}");
        }
        let refused = world.events().iter().filter(|event| event.kind() == "report.refused").count();
        assert!(file != "report" || refused >= KINDS.len() - 1, "{refused} were named");
        assert!(peak < 150 << 20, "{peak} bytes");
        keeps_no_secret(&world, file);
    }
}

/// The most memory that a process has had, in bytes.
fn peak(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().unwrap() << 10
}

#[test]
fn s10_s12_whatever_stands_in_place_of_evidence_proves_nothing_and_costs_nothing() {
    let mut tasks = String::new();
    let evidence = ["artifact: out", "log: { pattern: SECRET, source: out }"];
    let kinds: Vec<_> = KINDS.iter().filter(|(kind, _)| *kind != "hard link").collect();
    for (item, evidence) in evidence.iter().enumerate() {
        for (number, (_, make)) in kinds.iter().enumerate() {
            tasks +=
                &format!("  t{item}-{number}: {{ run: 'f=out; {make}', evidence: [ {{ {evidence} }} ] }}\n");
        }
    }
    tasks += "  hold: { run: 'until test -e $W/go; do sleep 0.02; done' }\n";
    let world =
        with_secret(&format!("limits: {{ workers: 4 }}\ndefaults: {{ workspace: none }}\ntasks:\n{tasks}"));
    let up = world.start_up();
    let all: Vec<String> = (0..evidence.len())
        .flat_map(|item| (0..kinds.len()).map(move |number| format!("t{item}-{number}")))
        .collect();
    for task in &all {
        wait_until("the end of every task", || {
            let state = world.peek();
            state.is_some_and(|state| {
                state.task_index(task).is_some_and(|task| state.tasks[task].phase.is_terminal())
            })
        });
    }
    let peak = peak(up.pid);
    world.touch("go");
    up.wait();
    for task in &all {
        let told = world.told(task);
        assert!(
            told.starts_with("failed (refuted") || told.starts_with("failed (unverifiable"),
            "{task}: {told}"
        );
    }
    assert!(peak < 150 << 20, "{peak} bytes");
    keeps_no_secret(&world, "evidence");
}

#[test]
fn s10_s22_what_stands_under_a_name_of_ours_is_neither_followed_nor_waited_for() {
    let world = World::with("tasks: { a: { run: 'echo printed; exit 1' } }");
    world.up().exits(3);
    let (home, run) = (world.home(), world.run_id().unwrap());
    let victim = world.root().join("victim");
    fs::write(&victim, "theirs\n").unwrap();
    let swap = |path: &std::path::Path, fifo: bool| {
        if path.symlink_metadata().is_ok() {
            fs::remove_file(path).unwrap();
        }
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        if fifo {
            nix::unistd::mkfifo(path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        } else {
            symlink(&victim, path).unwrap();
        }
    };
    let names = [
        home.log(&run, "a.1"),
        home.log(&run, "a.2"),
        home.fold(&run),
        home.bell().join("ring"),
        home.root().join("supervisor.log"),
        home.checks(&run, "a.2").join("0.log"),
    ];
    for fifo in [false, true] {
        names.iter().for_each(|name| swap(name, fifo));
        for args in [
            "status",
            "logs a",
            "logs a -f",
            "why a",
            "workers --close",
            "evidence a --recheck",
            "retry a",
            "up --detach",
            "plan",
        ] {
            let shown = world.start(&args.split(' ').collect::<Vec<_>>()).wait();
            assert!(shown.code >= 0 && shown.code != 101, "{args}: {shown:?}");
            assert!(
                !shown.stdout.contains("theirs") && !shown.stderr.contains("theirs"),
                "{args}: {shown:?}"
            );
        }
        world.start_up().wait();
        assert_eq!(fs::read_to_string(&victim).unwrap(), "theirs\n");
    }
}

#[test]
fn s13_everything_in_the_home_is_for_its_owner_only_whatever_the_umask() {
    let world = World::with(
        "limits: { grace: 1s }\ntasks:\n  a: { run: 'echo x > out; echo printed', env: { KEY: value }, evidence: [ { artifact: out }, { command: 'cat out' }, { log: { pattern: printed } } ] }\n\
         \x20 b: { run: 'exit 1', workspace: none }\n",
    );
    let mut loose = world.sealed("sh");
    loose.args(["-c", "umask 000; \"$0\" up --detach --session subprocess && \"$0\" wait; \"$0\" retry b; \"$0\" release a.1; exec \"$0\" up --session subprocess"]);
    loose.arg(env!("CARGO_BIN_EXE_ilchul")).output().unwrap();
    world.await_task("b", "failed");
    let mut open = vec![world.home().root().to_owned()];
    let mut seen = 0;
    while let Some(path) = open.pop() {
        let found = path.symlink_metadata().unwrap();
        let rights = found.permissions().mode() & 0o777;
        let wanted = if found.is_dir() { 0o700 } else { 0o600 };
        // A tree is the repository's and the worker's own.
        let inside =
            path.parent().is_some_and(|above| above.ends_with("trees") || above.ends_with("scratch"));
        if inside {
            continue;
        }
        assert_eq!(rights & !wanted, 0, "`{}` has {rights:o}", path.display());
        seen += 1;
        if found.is_dir() {
            open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    assert!(seen > 30, "{seen}");
}
