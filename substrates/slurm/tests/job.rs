//! The job's script by itself, without a Slurm: nodes that lack something, and signals that
//! come at a bad moment.
//!
//! It leaves out everything that a controller has a part in; see `tests/slurm`.

#![expect(clippy::unwrap_used, reason = "the helpers of a test may panic as the test may")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

const NONCE: &str = "0123456789abcdef0123456789abcdef";
/// Far more than any of it takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// A session's folder on a node whose programs come first from `bin`.
struct Node {
    top: TempDir,
}

impl Node {
    /// A session that runs `program`, a line of shell.
    fn with(program: &str) -> Self {
        let top = TempDir::new().unwrap();
        for name in ["s", "bin", "cwd"] {
            fs::create_dir(top.path().join(name)).unwrap();
        }
        let node = Self { top };
        let (cwd, log) = (node.path("cwd"), node.path("s/log"));
        let spec =
            format!("cwd='{}'\nlog='{}'\ntitle='t'\ncapture=1\ngrace=1\n", cwd.display(), log.display());
        let command = format!("echo \"$$\" > \"$1\"\nexec sh -c '{program}'\n");
        for (name, text) in [("intent", NONCE), ("exit", ""), ("spec", &spec), ("command", &command)] {
            fs::write(node.path("s").join(name), format!("{text}\n")).unwrap();
        }
        node
    }

    fn path(&self, name: &str) -> PathBuf {
        self.top.path().join(name)
    }

    /// Another program of this name on the node.
    fn program(&self, name: &str, script: &str) {
        let path = self.path("bin").join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn start(&self) -> Child {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/job.sh");
        let usual = std::env::var_os("PATH").unwrap();
        let path = std::iter::once(self.path("bin")).chain(std::env::split_paths(&usual));
        let mut command = Command::new("sh");
        command.arg(script).arg("job").arg(self.path("s"));
        command.env("PATH", std::env::join_paths(path).unwrap()).env("SLURM_JOB_ID", "7");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    fn end(&self) -> String {
        fs::read_to_string(self.path("s/exit")).unwrap().replace(NONCE, "").trim().to_owned()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path("s/log")).unwrap_or_default()
    }
}

#[track_caller]
fn ended(mut job: Child) -> ExitStatus {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(status) = job.try_wait().unwrap() {
            return status;
        }
        if Instant::now() >= deadline {
            job.kill().unwrap();
            panic!("the job's script goes on");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_nodes_tmux_that_is_too_old_costs_the_terminal_and_not_the_job() {
    for (version, told) in [("tmux 3.1c", true), ("tmux 2.7", true), ("", false)] {
        let node = Node::with("echo worked; exit 7");
        let say = format!("[ \"$1\" = -V ] && [ -n \"{version}\" ] && echo {version} && exit 0\nexit 1");
        node.program("tmux", &say);
        assert_eq!(ended(node.start()).code(), Some(7), "{version}");
        assert_eq!(node.end(), "7");
        let log = node.log();
        assert!(log.contains("worked"), "{log}");
        assert_eq!(log.contains(&format!("{version} on this node is too old")), told, "{log}");
    }
}

#[test]
fn what_is_asked_before_the_program_began_isnt_lost() {
    let node = Node::with("sleep 600");
    node.program("tmux", "exit 1");
    // As late as can be before there is anybody to wait for, and with the traps set.
    node.program("mkfifo", "kill -TERM \"$PPID\"; PATH=${PATH#*:} exec mkfifo \"$@\"");
    assert_eq!(ended(node.start()).code(), Some(143));
    assert_eq!(node.end(), "143");
}

#[test]
fn a_second_job_of_one_attempt_ends_at_once_and_leaves_the_first_one_alone() {
    let node = Node::with("while ! test -e ../go; do sleep 0.05; done; echo once >> ../ledger");
    node.program("tmux", "exit 1");
    let first = node.start();
    let deadline = Instant::now() + PATIENCE;
    while !node.path("s/claim").exists() {
        assert!(Instant::now() < deadline, "no claim");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(ended(node.start()).code(), Some(79));
    assert_eq!(node.end(), "", "the end is for the first one to say");
    fs::write(node.path("go"), "").unwrap();
    assert_eq!(ended(first).code(), Some(0));
    assert_eq!(fs::read_to_string(node.path("ledger")).unwrap(), "once\n");
}
