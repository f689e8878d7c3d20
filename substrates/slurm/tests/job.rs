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
const PATIENCE: Duration = Duration::from_secs(60);

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
        let command = format!("exec sh -c '{program}'\n");
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
        self.command(&[shell]).spawn().unwrap()
    }

    /// By way of `words`, the last of which is a shell.
    fn command(&self, words: &[&str]) -> Command {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/job.sh");
        let usual = std::env::var_os("PATH").unwrap();
        let path = std::iter::once(self.path("bin")).chain(std::env::split_paths(&usual));
        let mut command = Command::new(words[0]);
        command.args(&words[1..]);
        // As a login shell reads it, which is where set-up lines run.
        command.arg("-c").arg("umask 027; il_script=$1; set -- job \"$2\"; . \"$il_script\"");
        command.arg("sh").arg(script).arg(self.path("s"));
        command.env("PATH", std::env::join_paths(path).unwrap()).env("SLURM_JOB_ID", "7");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// Lines of the user's, before the program.
    fn set_up(&self, lines: &[&str]) {
        let steps: String = lines.iter().map(|line| format!("step '{line}'\n")).collect();
        fs::write(self.path("s/env"), steps).unwrap();
    }

    /// Nothing of the user's comes before the program, but for these lines of plain variables.
    fn plain(&self, env: &str) {
        fs::write(self.path("s/env"), env).unwrap();
        let spec = fs::read_to_string(self.path("s/spec")).unwrap();
        fs::write(self.path("s/spec"), format!("{spec}il_plain=1\nil_capture=0\n")).unwrap();
    }

    /// Has the node's programs of these names noted, in order, as they start.
    fn note_starts(&self, names: &[&str]) {
        let ledger = self.path("starts");
        for name in names {
            let note = format!("echo {name} >> '{}'", ledger.display());
            self.program(name, &format!("{note}; exec {} \"$@\"", usual(name).display()));
        }
    }

    fn end(&self) -> String {
        fs::read_to_string(self.path("s/exit")).unwrap().replace(NONCE, "").trim().to_owned()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path("s/log")).unwrap_or_default()
    }
}

/// The node's own program of this name.
fn usual(name: &str) -> PathBuf {
    let paths = std::env::var_os("PATH").unwrap();
    std::env::split_paths(&paths).map(|folder| folder.join(name)).find(|path| path.is_file()).unwrap()
}

/// A shell in namespaces of its own, with what this user needs for them.
fn unshared(flags: &[&'static str]) -> Vec<&'static str> {
    let mapped = if nix::unistd::geteuid().is_root() { None } else { Some("--map-root-user") };
    ["unshare"].into_iter().chain(mapped).chain(flags.iter().copied()).chain(["sh"]).collect()
}

#[track_caller]
fn wait_for_file(path: &Path) {
    let deadline = Instant::now() + PATIENCE;
    while !path.exists() {
        assert!(Instant::now() < deadline, "no `{}`", path.display());
        std::thread::sleep(Duration::from_millis(10));
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
fn l7_a_job_that_is_started_again_ends_though_its_process_has_the_first_ones_number() {
    let node = Node::with("echo once >> ../ledger; sleep 600");
    node.program("tmux", "exit 1");
    let words = unshared(&["--pid", "--fork", "--kill-child", "--mount-proc"]);
    let mut first = node.command(&words).spawn().unwrap();
    wait_for_file(&node.path("ledger"));
    let claim = fs::read_to_string(node.path("s/claim")).unwrap();
    // As its node goes down: it tidies nothing up.
    first.kill().unwrap();
    first.wait().unwrap();
    assert_eq!(ended(node.command(&words).spawn().unwrap()).code(), Some(79));
    assert_eq!(fs::read_to_string(node.path("s/claim")).unwrap(), claim);
    assert_eq!(fs::read_to_string(node.path("ledger")).unwrap(), "once\n");
}

#[test]
fn a_claim_that_cant_be_read_is_somebody_elses() {
    let node = Node::with("echo begun > ../begun");
    node.program("cat", "exit 1");
    node.program("ln", "exit 1");
    assert_eq!(ended(node.start()).code(), Some(79));
    assert!(!node.path("begun").exists());
}

#[test]
fn j8_a_terminal_that_lacks_what_was_to_come_with_it_runs_its_program_once() {
    let node = Node::with("echo once >> ../ledger; exit 7");
    // The terminal is made, and what is asked for in the same breath isn't.
    let tmux = format!(
        "for word; do shift; [ \"$word\" != worker: ] || word=nobody:; set -- \"$@\" \"$word\"; done\n\
         exec {} \"$@\"",
        usual("tmux").display()
    );
    node.program("tmux", &tmux);
    assert_eq!(ended(node.start()).code(), Some(7));
    assert_eq!(node.end(), "7");
    assert_eq!(fs::read_to_string(node.path("ledger")).unwrap(), "once\n");
}

#[test]
fn a_node_whose_tmp_is_full_is_said_to_be() {
    let node = Node::with("echo begun > ../begun");
    node.plain("");
    node.program("tmux", "exit 1");
    // Its folder, a pipe and tmux's words are all that there is room for.
    let make = "mkdir '{0}' && mount -t tmpfs -o nr_inodes=3,size=64k,mode=700 none '{0}' && echo '{0}'";
    node.program("mktemp", &make.replace("{0}", node.path("run").to_str().unwrap()));
    assert_eq!(ended(node.command(&unshared(&["--mount"])).spawn().unwrap()).code(), Some(71));
    assert_eq!(node.end(), "71 nothing can be written in /tmp on this node");
    assert!(!node.path("begun").exists());
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
fn l19_a_terminal_that_ended_and_that_nobody_reaped_is_no_life() {
    // As the first process of some nodes and containers: whoever lost their parent is ours, and we
    // don't look after them.
    nix::sys::prctl::set_child_subreaper(true).unwrap();
    let node = Node::with("exit 7");
    node.plain("");
    assert_eq!(ended(node.start()).code(), Some(7));
    assert_eq!(node.end(), "7");
}

#[test]
fn a_terminal_that_ends_before_its_program_leaves_the_program_its_end() {
    let node = Node::with("trap : HUP; tmux kill-server; echo late > ../late; exit 7");
    node.plain("");
    let code = ended(node.start()).code();
    assert_eq!(
        (code, node.end().as_str(), node.path("late").exists()),
        (Some(7), "7", true),
        "{}",
        node.log()
    );
}

#[test]
fn a_tmux_that_makes_no_terminal_is_an_end_with_its_reason() {
    let node = Node::with("echo begun");
    node.program("tmux", "[ \"$1\" = -V ] && echo tmux 3.3a && exit 0\nexit 1");
    assert_eq!(ended(node.start()).code(), Some(71));
    assert_eq!(node.end(), "71 no terminal could be made by tmux");
    assert_eq!(node.log(), "[ilchul: no terminal could be made by tmux]\n");
    // With its own words, where it has some.
    let node = Node::with("echo begun");
    node.program("tmux", "[ \"$1\" = -V ] && echo tmux 3.3a && exit 0\necho 'error creating it' >&2; exit 1");
    assert_eq!(ended(node.start()).code(), Some(71));
    assert_eq!(node.end(), "71 no terminal could be made by tmux: error creating it");
}

#[test]
fn a_job_that_ends_at_once_costs_its_node_few_programs_and_leaves_nothing_there() {
    let node = Node::with("exit 7");
    node.plain("export GIVEN='a b'\n");
    node.note_starts(&["cat", "ln", "mkdir", "mkfifo", "mv", "rm", "rmdir", "sed", "sync", "tmux"]);
    let run = node.path("run");
    node.program("mktemp", &format!("mkdir -m 700 '{0}' && echo '{0}'", run.display()));
    assert_eq!(ended(node.start()).code(), Some(7));
    let starts = fs::read_to_string(node.path("starts")).unwrap();
    let mut starts: Vec<&str> = starts.lines().filter(|name| *name != "mkdir").collect();
    // Some run beside each other, and a terminal that needs longer is asked once more.
    starts.sort_unstable();
    starts.dedup_by(|one, other| *one == "tmux" && *one == *other);
    assert_eq!(starts, ["ln", "mkfifo", "mv", "rm", "sync", "sync", "tmux"]);
    assert!(!run.exists());
    let mut left: Vec<_> =
        fs::read_dir(node.path("s")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["claim", "command", "env", "exit", "intent", "log", "spec"]);
}

#[test]
fn plain_variables_reach_the_program_as_they_were_given() {
    for shell in ["sh", "bash"] {
        let node = Node::with("echo \"$GIVEN\"; umask; [ -n \"$ILCHUL_JOB_BEGAN\" ] && exit 7");
        node.program("tmux", "exit 1");
        node.plain("export GIVEN='a  b'\nexport ILCHUL_X='$HOME'\n");
        assert_eq!(ended(node.start_in(shell)).code(), Some(7));
        assert_eq!((node.end().as_str(), node.log().as_str()), ("7", "a  b\n0027\n"));
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
    wait_for_file(&node.path("s/claim"));
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

/// Ends all that a job runs, as Slurm does: everything is signalled at about the same time.
fn signal_all(job: &Child, signal: &str) {
    let top = job.id().to_string();
    let below = Command::new("ps").args(["-e", "-o", "pid=", "-o", "ppid="]).output().unwrap();
    let below = String::from_utf8(below.stdout).unwrap();
    let pairs: Vec<(&str, &str)> = below
        .lines()
        .filter_map(|line| {
            let mut fields = line.split_whitespace();
            Some((fields.next()?, fields.next()?))
        })
        .collect();
    // Children first: a line may be seen to fail before its shell was told anything.
    let mut all = vec![top.as_str()];
    let mut seen = 0;
    while seen < all.len() {
        let parent = all[seen];
        all.extend(pairs.iter().filter(|(_, of)| *of == parent).map(|(pid, _)| *pid));
        seen += 1;
    }
    // By one program: between two of them a line that takes its end well would have its shell go on.
    let mut told = Command::new("kill");
    told.arg(format!("-{signal}")).args(all.iter().rev()).stderr(Stdio::null());
    assert!(told.status().is_ok());
}

#[track_caller]
fn wait_for_stage(node: &Node) {
    let deadline = Instant::now() + PATIENCE;
    while fs::read_to_string(node.path("s/stage")).unwrap_or_default().is_empty() {
        assert!(Instant::now() < deadline, "no stage");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_job_that_is_cancelled_at_a_set_up_line_says_so_and_doesnt_blame_the_line() {
    let outside = "143 its job was told to end from outside (SIGTERM): by `scancel`, by preemption or by an \
                   administrator, during the set-up line";
    for (line, signal, stop, told) in [
        ("sleep 600", "TERM", "", outside.to_owned() + " `sleep 600`"),
        // One that tidies up and leaves with a code of its own.
        (
            "sh -c \"trap \\\"exit 3\\\" TERM; while :; do sleep 1; done\"",
            "TERM",
            "",
            outside.to_owned() + " `sh -c \"trap \\\"exit 3\\\" TERM; while :; do sleep 1; done\"`",
        ),
        // One that ends its shell as well.
        ("sleep 600 || exit 3", "TERM", "", outside.to_owned() + " `sleep 600 || exit 3`"),
        (
            "sleep 600",
            "USR2",
            "",
            "143 it was told to end by ilchul during the set-up line `sleep 600`".to_owned(),
        ),
        (
            "sleep 600",
            "USR1",
            "",
            "143 its wall time was nearly over during the set-up line `sleep 600`".to_owned(),
        ),
        (
            "sleep 600",
            "TERM",
            "0123456789abcdef0123456789abcdef term",
            "143 it was told to end by ilchul during the set-up line `sleep 600`".to_owned(),
        ),
    ] {
        for shell in ["sh", "bash"] {
            let node = Node::with("echo begun");
            node.set_up(&[line]);
            fs::write(node.path("s/stop"), format!("{stop}\n")).unwrap();
            let job = node.start_in(shell);
            wait_for_stage(&node);
            // The line itself may be a moment behind its announcement.
            std::thread::sleep(Duration::from_millis(100));
            signal_all(&job, signal);
            assert_eq!(ended(job).code(), Some(143), "{line} {shell}");
            assert_eq!(node.end(), told, "{shell}");
            assert!(node.log().ends_with("]\n") && !node.log().contains("begun"), "{}", node.log());
        }
    }
}

#[test]
fn where_a_job_is_at_its_set_up_lines_stands_in_its_folder_and_no_longer_than_that() {
    let node = Node::with("while ! test -e ../go; do sleep 0.05; done");
    node.program("tmux", "exit 1");
    let line = format!("while ! test -e {}; do sleep 0.05; done", node.path("on").display());
    node.set_up(&["set -C -e", &line]);
    let job = node.start_in("bash");
    let deadline = Instant::now() + PATIENCE;
    let stage = || fs::read_to_string(node.path("s/stage")).unwrap_or_default();
    while !stage().starts_with("while") {
        assert!(Instant::now() < deadline, "{}", stage());
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(
        ilchul_slurm::stage(&node.path("s")).as_deref(),
        Some(format!("the set-up line `{line}`").as_str())
    );
    fs::write(node.path("on"), "").unwrap();
    while !stage().is_empty() {
        assert!(Instant::now() < deadline, "{}", stage());
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(ilchul_slurm::stage(&node.path("s")), None);
    fs::write(node.path("go"), "").unwrap();
    assert_eq!(ended(job).code(), Some(0));
}

#[test]
fn what_a_set_up_line_left_running_ends_before_the_end_is_written_down() {
    let node = Node::with("echo begun");
    let line = format!("sleep 600 & echo $! > {}", node.path("pid").display());
    node.set_up(&[&line, "false"]);
    assert_eq!(ended(node.start_in("bash")).code(), Some(73));
    assert_eq!(node.end(), "73 the set-up line `false` failed");
    let pid = fs::read_to_string(node.path("pid")).unwrap();
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    assert!(stat.is_empty() || stat.contains(") Z "), "{stat}");
}

#[test]
fn what_is_asked_between_the_set_up_lines_and_the_program_isnt_lost() {
    let node = Node::with("sleep 600");
    node.program("tmux", "exit 1");
    let (looks, go) = (node.path("looks"), node.path("go"));
    let look = format!("touch {}; while ! test -e {}; do sleep 0.05; done", looks.display(), go.display());
    node.program("squeue", &look);
    node.set_up(&["export ILCHUL_WALL=99 ILCHUL_JOB_BEGAN=1"]);
    let job = node.start_in("bash");
    wait_for_file(&looks);
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(job.id().try_into().unwrap()),
        nix::sys::signal::Signal::SIGTERM,
    )
    .unwrap();
    fs::write(&go, "").unwrap();
    assert_eq!(ended(job).code(), Some(143));
    assert_eq!(node.end(), "143");
}

#[test]
fn j8_set_up_lines_that_slurm_suspended_cost_the_job_only_what_slurm_counts() {
    let show = "read -r now _ < /proc/uptime; echo $((${now%.*} - ${ILCHUL_JOB_BEGAN%.*}))";
    for (said, used) in [("echo 1-02:03:04", 93_784), ("echo 2:05", 125), ("echo 0:00", 0), ("exit 1", -1)] {
        let node = Node::with(show);
        node.program("tmux", "exit 1");
        node.program("squeue", said);
        // As if they had taken all of the node's time.
        node.set_up(&["export ILCHUL_WALL=99 ILCHUL_JOB_BEGAN=1"]);
        assert_eq!(ended(node.start()).code(), Some(0));
        let passed: i64 = node.log().trim().parse().unwrap();
        let expected = if used < 0 { passed.max(60) } else { used };
        assert!((expected..expected + 20).contains(&passed), "{said}: {passed}");
    }
    // One whose set-up took no time asks nobody.
    let node = Node::with("true");
    node.program("tmux", "exit 1");
    node.program("squeue", "touch \"${0%/*}/asked\"");
    node.set_up(&["export ILCHUL_WALL=99"]);
    assert_eq!(ended(node.start()).code(), Some(0));
    assert!(!node.path("bin/asked").exists());
}
