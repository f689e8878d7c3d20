//! Our environment, and what a task is given of it: where a secret may be read, and where not
//! (S14, S15, S25).
//!
//! It leaves out the list of what is inherited, which is tested beside it.

use std::fs;
use std::path::Path;

use super::world::{World, ran, wait_until};

/// Stands in our environment under a name that no task asks for.
const CANARY: &str = "canary-c0ffee-0001";
/// Stands there under a name that a task passes on.
const PASSED: &str = "canary-c0ffee-0002";

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|part| part == text.as_bytes())
}

/// All processes whose argv or, of those whose home is `world`, whose environment has `text`.
fn processes_with(world: &World, file: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        let bytes = fs::read(entry.path().join(file)).unwrap_or_default();
        let environ = fs::read(entry.path().join("environ")).unwrap_or_default();
        let ours = holds(&environ, world.root().to_str().unwrap());
        if ours && name.parse::<u32>().is_ok() && holds(&bytes, text) {
            let argv = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            found.push(format!("{name} {}", String::from_utf8_lossy(&argv).replace('\0', " ")));
        }
    }
    found
}

/// The files below the home, and below `folder` alone, that hold `text`.
fn files_with(folder: &Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(path) = open.pop() {
        let kind = path.symlink_metadata().unwrap().file_type();
        if kind.is_dir() {
            open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if kind.is_file() && holds(&fs::read(&path).unwrap(), text) {
            found.push(path.file_name().unwrap().to_string_lossy().into_owned());
        }
    }
    found.sort();
    found.dedup();
    found
}

#[test]
fn s14_s15_a_secret_of_ours_is_nowhere_and_one_that_is_passed_on_only_where_its_task_is() {
    for session in ["tmux", "subprocess"] {
        let world = World::with(
            "limits: { workers: 4 }\ntasks:\n\
             \x20 asks: { env: { API_KEY: null }, run: 'printf %s \"$API_KEY\" | wc -c > size; until test -e $W/go; do sleep 0.02; done', \
             evidence: [ { artifact: size }, { command: 'test ${#API_KEY} = 18' } ] }\n\
             \x20 other: { run: 'until test -e $W/go; do sleep 0.02; done; env > env.txt', evidence: [ { artifact: env.txt }, { command: 'env' } ] }\n\
             \x20 own: { worker: [$FIXTURES/honest.sh, sh, -c, 'test ${#API_KEY} = 18; until test -e $W/go; do sleep 0.02; done'], env: { API_KEY: null } }\n",
        );
        let mut command = world.ilchul(&["up", "--session", session]);
        command
            .env("SECRET_TOKEN", CANARY)
            .env("API_KEY", PASSED)
            .env("GIT_TOKEN", CANARY)
            .env("LD_DEBUG_X", CANARY);
        let up = world.spawn(command);
        for task in ["asks", "other", "own"] {
            world.await_task(task, "in_progress");
        }
        wait_until("the worker's own work", || world.tree("asks.1").join("size").exists());
        // Ours is in our own environment, and in nobody else's.
        let bearers = processes_with(&world, "environ", CANARY);
        assert!(
            bearers.len() == 1 && bearers[0].starts_with(&format!("{} ", up.pid)),
            "{session}: {bearers:?}"
        );
        assert_eq!(processes_with(&world, "cmdline", "canary-c0ffee"), [""; 0], "{session}");
        let other = world.child("other.1").pid;
        assert!(!holds(&fs::read(format!("/proc/{other}/environ")).unwrap(), PASSED));
        let asks = world.child("asks.1").pid;
        assert!(holds(&fs::read(format!("/proc/{asks}/environ")).unwrap(), PASSED), "the trap is real");
        if session == "tmux" {
            for args in [
                &["show-environment", "-g"][..],
                &["show-options", "-g"],
                &["list-panes", "-a", "-F", "#{pane_start_command} #{pane_title}"],
            ] {
                let shown = world.tmux(args);
                assert!(
                    shown.code == 0 && !shown.stdout.contains("canary-c0ffee"),
                    "{args:?}: {}",
                    shown.stdout
                );
            }
            let name = world.tmux(&["list-sessions", "-F", "#{session_name}"]).stdout;
            let shown = world.tmux(&["show-environment", "-t", &format!("={}", name.trim())]);
            assert!(!shown.stdout.contains("canary-c0ffee"), "{}", shown.stdout);
        }
        world.touch("go");
        up.wait().exits(0);
        let home = world.home();
        assert_eq!(files_with(home.root(), CANARY), [""; 0], "{session}");
        // The files of its own that hand it over, each for its owner only (S13).
        let handed = files_with(home.root(), PASSED);
        assert!(
            handed
                .iter()
                .all(|name| ["0.json", "1.json", "assignment.json", "env.json"].contains(&name.as_str())),
            "{session}: {handed:?}"
        );
        let shown = ["events", "status", "workers", "evidence asks", "why asks", "logs asks"].map(|args| {
            let ran =
                ran(&world.ilchul(&args.split(' ').collect::<Vec<_>>()).arg("--json").output().unwrap());
            ran.stdout + &ran.stderr
        });
        assert!(!shown.concat().contains("canary-c0ffee"), "{session}");
    }
}

#[test]
fn s25_a_command_that_is_run_again_has_its_workers_environment_and_time_and_not_ours() {
    let world = World::with(
        "tasks: { a: { run: 'env | sort > worker.txt; pwd >> worker.txt', env: { CHOSEN: value }, evidence: [\n\
         { command: 'env | sort; pwd' }, { command: 'ls -l /proc/self/fd | grep -c ilchul || true', match: '^0\\s*$' },\n\
         { command: 'yes | head -c 20000000' }, { command: 'sleep 600', timeout: 1s } ] } }",
    );
    let mut command = world.ilchul(&["up", "--session", "subprocess"]);
    command.env("SECRET_TOKEN", CANARY).env("TMUX", "/nowhere,1,0").env("RUST_LOG", "trace");
    let started = std::time::Instant::now();
    assert_eq!(ran(&command.output().unwrap()).code, 3, "the last command is too slow");
    assert!(started.elapsed().as_secs() < 120);
    let checks = world.home().checks(&world.run_id().unwrap(), "a.1");
    let names = |text: String| -> Vec<String> {
        // The shell's own, and the mark by which a session is found again.
        let shell = ["_=", "OLDPWD=", "SHLVL=", "ILCHUL_MARK="];
        text.lines()
            .filter(|line| !shell.iter().any(|name| line.starts_with(name)))
            .map(str::to_owned)
            .collect()
    };
    let ours = names(fs::read_to_string(checks.join("0.log")).unwrap());
    let worker = names(fs::read_to_string(world.tree("a.1").join("worker.txt")).unwrap());
    assert_eq!(ours, worker);
    assert!(ours.iter().any(|line| line == "CHOSEN=value") && !ours.concat().contains(CANARY), "{ours:?}");
    let told = |number: usize| world.state().tasks[0].evidence[number].clone();
    assert_eq!(told(1).verdict.word(), "verified", "no descriptor of ours: {}", told(1).reason);
    assert_eq!(told(2).facts.get("truncated"), Some(&true.into()), "its output has a bound");
    assert!(told(3).reason.contains("wasn't done after 1 s"), "{}", told(3).reason);
}
