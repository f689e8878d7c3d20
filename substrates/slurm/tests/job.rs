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
        let spec = format!(
            "il_cwd='{}'\nil_log='{}'\nil_title='t'\nil_capture=1\nil_grace=1\n",
            cwd.display(),
            log.display()
        );
        let command = format!("echo \"$$\" > \"$1\"\nexec sh -c '{program}'\n");
        for (name, text) in
            [("intent", NONCE), ("exit", ""), ("env", ""), ("spec", &spec), ("command", &command)]
        {
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
        self.start_in("sh")
    }

    /// In another shell: with set-up lines it is bash.
    fn start_in(&self, shell: &str) -> Child {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/job.sh");
        let usual = std::env::var_os("PATH").unwrap();
        let path = std::iter::once(self.path("bin")).chain(std::env::split_paths(&usual));
        let mut command = Command::new(shell);
        // As a login shell reads it, which is where set-up lines run.
        command.arg("-c").arg("umask 027; il_script=$1; set -- job \"$2\"; . \"$il_script\"");
        command.arg("sh").arg(script).arg(self.path("s"));
        command.env("PATH", std::env::join_paths(path).unwrap()).env("SLURM_JOB_ID", "7");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    /// Lines of the user's, before the program.
    fn set_up(&self, lines: &[&str]) {
        let steps: String = lines.iter().map(|line| format!("step '{line}'\n")).collect();
        fs::write(self.path("s/env"), steps).unwrap();
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
fn a_claim_that_was_made_although_the_answer_says_no_is_known_by_its_words() {
    let node = Node::with("echo worked; exit 7");
    // As a file system does it to which two names are never one file.
    node.program("ln", "cp \"$1\" \"$2\"; exit 1");
    assert_eq!(ended(node.start()).code(), Some(7));
    assert_eq!(node.end(), "7");
    // Somebody else's, and a link that failed for good.
    for script in ["sed s/job=7/job=8/ \"$1\" > \"$2\"; exit 1", "exit 1"] {
        let node = Node::with("echo worked; exit 7");
        node.program("ln", script);
        assert_eq!(ended(node.start()).code(), Some(79), "{script}");
        assert_eq!(node.end(), "");
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

#[test]
fn whatever_set_up_lines_name_or_set_only_the_environment_goes_on() {
    for shell in ["sh", "bash"] {
        let node = Node::with("echo \"$GIVEN $run $mode $log $nonce\"; umask; exit 7");
        node.program("tmux", "exit 1");
        node.set_up(&[
            "export GIVEN=module",
            "export run=5 mode=fast log=debug nonce=N; set -- x",
            "folder=z script=w cwd=/u mask=0 title=t capture=0 grace=s",
            "set -eu; IFS=/; cd /; umask 0; fail() { :; }; record() { :; }; false() { :; }",
        ]);
        assert_eq!(ended(node.start_in(shell)).code(), Some(7));
        assert_eq!(node.end(), "7");
        assert_eq!(node.log(), "module 5 fast debug N\n0027\n");
    }
}

#[test]
fn a_set_up_line_that_fails_or_leaves_says_so_and_nothing_begins() {
    for (line, words) in [
        ("exit 0", "the set-up line `exit 0` ended its shell"),
        ("no-such-module load", "the set-up line `no-such-module load` failed"),
        ("set -e; false", "the set-up line `set -e; false` failed"),
    ] {
        let node = Node::with("echo begun");
        node.set_up(&[line]);
        assert_eq!(ended(node.start_in("bash")).code(), Some(73), "{line}");
        assert_eq!(node.end(), format!("73 {words}"));
        // What the shell itself said of it comes first.
        assert!(node.log().ends_with(&format!("[ilchul: {words}]\n")), "{}", node.log());
        assert_eq!(node.log().contains("not found"), line.starts_with("no-such"), "{}", node.log());
    }
}

#[test]
fn a_file_of_variables_is_handed_on_and_a_line_of_it_that_is_none_is_named() {
    let node = Node::with("echo \"$A\"");
    let file = node.path("vars");
    fs::write(&file, "# mine\nA=b c\n").unwrap();
    fs::write(node.path("s/env"), format!("env_file '{}'\n", file.display())).unwrap();
    node.program("tmux", "exit 1");
    assert_eq!(ended(node.start()).code(), Some(0));
    assert_eq!(node.log(), "b c\n");
    let node = Node::with("echo begun");
    fs::write(node.path("s/env"), format!("env_file '{}'\n", file.display())).unwrap();
    fs::write(&file, "A=b\nrubbish\n").unwrap();
    assert_eq!(ended(node.start()).code(), Some(73));
    assert!(node.end().ends_with("isn't NAME=VALUE"), "{}", node.end());
}
