//! A shim that fills its tree before anything else, by a `git` of the test's own.
//!
//! It leaves out the real one: see `substrates/git-worktree/tests` and `tests/slurm`.

use super::{Stage, wait_for};
use ilchul::protocol::{CheckoutSpec, SetupSpec};
use nix::sys::signal::Signal;
use serde_json::json;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

const OWED: &str = "files owed\n";
const DONE: &str = "files done\n";

/// A fresh tree, a record of it, and a shim that shall fill it by `git`, a script, and then run
/// `commands`.
fn filling(stage: &mut Stage, git: Option<&str>, timeout_ms: u64, commands: &[&str]) {
    fs::write(stage.path("tree/.git"), "gitdir: x").unwrap();
    fs::create_dir_all(stage.path("bin")).unwrap();
    if let Some(script) = git {
        let program = stage.path("bin/git");
        fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    }
    if !stage.path("record").exists() {
        fs::write(stage.path("record"), OWED).unwrap();
    }
    let checkout = CheckoutSpec {
        argv: ["git", "-C", "/", "read-tree"].map(OsString::from).to_vec(),
        env: vec![("GIT_CONFIG_COUNT".into(), "0".into())],
        timeout_ms,
        untouched: vec![stage.path("index.lock"), stage.path("index")],
        record: stage.path("record"),
        owed: OWED.to_owned(),
        done: DONE.to_owned(),
        host_signs: vec!["No space left".to_owned()],
    };
    let spec = SetupSpec {
        checkout: Some(checkout),
        commands: commands.iter().map(|line| (*line).to_owned()).collect(),
        timeout_ms: 30_000,
        grace_ms: 300,
        env: BTreeMap::new(),
        log: stage.path("setup.log"),
        log_cap: 1_000_000,
        show: true,
    };
    fs::write(stage.path("setup.json"), serde_json::to_vec(&spec).unwrap()).unwrap();
    let mut command = stage.command();
    // A relative entry could find a program that the repository brought.
    command.env("PATH", format!("bin:.:{}:/usr/bin:/bin", stage.path("bin").display()));
    if git.is_none() {
        command.env("PATH", stage.path("bin"));
    }
    command.env("SLURMD_NODENAME", "n7").arg("--setup").arg(stage.path("setup.json"));
    stage.shim = Some(command.spawn().unwrap());
}

fn record(stage: &Stage) -> String {
    fs::read_to_string(stage.path("record")).unwrap()
}

#[test]
fn the_files_come_first_then_the_setup_then_readiness() {
    let mut stage = Stage::new();
    let tree = stage.path("tree").display().to_string();
    let git = format!(
        "cd {tree}; echo \"$*\" > args; env | grep ^GIT > vars; until test -e go; do sleep 0.01; done; echo x > file"
    );
    filling(&mut stage, Some(&git), 30_000, &["cat file > second"]);
    assert_eq!(stage.file("args"), "-C / read-tree\n");
    assert_eq!(stage.file("vars"), "GIT_CONFIG_COUNT=0\n", "nothing else of git's");
    let beat = stage.beat("whose child it is", |beat| beat["child"]["start_ticks"].is_u64());
    assert_eq!(beat["seq"], 0);
    assert_eq!((stage.try_mail("ready.json"), record(&stage).as_str()), (None, OWED));
    assert!(!stage.path("tree/second").exists());
    fs::write(stage.path("tree/go"), "").unwrap();
    stage.mail("ready.json");
    assert_eq!((stage.file("second").as_str(), record(&stage).as_str()), ("x\n", DONE));
    assert_eq!(fs::metadata(stage.path("record")).unwrap().permissions().mode() & 0o777, 0o600);
    let log = fs::read_to_string(stage.path("setup.log")).unwrap();
    assert_eq!(log, "$ git read-tree HEAD, on n7\n$ cat file > second\n");
    stage.assign(&["true"], json!({}));
    assert_eq!(stage.exit()["code"], 0);
}

#[test]
fn a_checkout_that_failed_says_why_and_whose_trouble_it_is_and_nothing_follows() {
    let cases = [
        (
            "echo fatal: bad object >&2; exit 128",
            "launch_checkout: git ended with exit code 128 on n7: fatal: bad object",
        ),
        (
            "echo error: x: No space left on device >&2; exit 1",
            "launch_checkout by its host: git ended with exit code 1 on n7: error: x: No space left on device",
        ),
        ("kill -KILL $$", "launch_checkout: git was ended by signal 9 on n7"),
        ("exec sleep 600", "launch_checkout by its host: git wasn't through after 1 s on n7"),
    ];
    for (git, error) in cases {
        let mut stage = Stage::new();
        let timeout = if git.contains("sleep") { 1_000 } else { 30_000 };
        filling(&mut stage, Some(git), timeout, &["touch never"]);
        assert_eq!(stage.exit()["error"], error);
        assert_eq!((stage.try_mail("ready.json"), record(&stage).as_str()), (None, OWED));
        assert!(!stage.path("tree/never").exists());
    }
}

#[test]
fn a_node_without_git_is_told_by_name_with_what_may_help() {
    let mut stage = Stage::new();
    filling(&mut stage, None, 30_000, &[]);
    let error = stage.exit()["error"].as_str().unwrap().to_owned();
    assert!(
        error.starts_with("launch_checkout: there is no `git` on n7; a line of `slurm.setup`"),
        "{error}"
    );
}

#[test]
fn r4b_what_somebody_began_is_never_begun_again() {
    let begun: [(&str, &str); 4] =
        [("record", DONE), ("index.lock", ""), ("index", ""), ("tree/README", "half")];
    for (name, bytes) in begun {
        let mut stage = Stage::new();
        fs::write(stage.path(name), bytes).unwrap();
        let ran = stage.path("ran").display().to_string();
        filling(&mut stage, Some(&format!("touch {ran}")), 30_000, &[]);
        let error = stage.exit()["error"].as_str().unwrap().to_owned();
        assert!(error.starts_with("launch_checkout: it was begun before: `"), "{error}");
        assert!(!Path::new(&ran).exists(), "{name}");
    }
}

#[test]
fn an_order_to_end_is_heard_before_and_during_a_checkout() {
    let order = json!({"schema": "ilchul.worker/1", "token": 7, "grace_ms": 100});
    let mut stage = Stage::new();
    stage.put("stop.json", &order);
    filling(&mut stage, Some("exit 0"), 30_000, &[]);
    assert_eq!(stage.exit()["error"], "it was stopped while its tree was set up");
    assert_eq!(record(&stage), OWED);
    for by_signal in [false, true] {
        let mut stage = Stage::new();
        let pid_file = stage.path("pid").display().to_string();
        filling(&mut stage, Some(&format!("echo $$ > {pid_file}; exec sleep 600")), 30_000, &[]);
        let pid = wait_for("git", || fs::read_to_string(&pid_file).ok().filter(|text| text.ends_with('\n')));
        if by_signal {
            stage.signal(Signal::SIGTERM);
        } else {
            stage.put("stop.json", &order);
        }
        let said = stage.exit()["error"].as_str().unwrap().to_owned();
        assert!(said.ends_with("while its tree was set up"), "{said}");
        assert!(!Path::new("/proc").join(pid.trim()).exists());
        assert_eq!(record(&stage), OWED);
    }
}
