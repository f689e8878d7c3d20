//! Runs on the other machine, from here.

use std::fs;

use crate::remote::Remote;
use crate::world::{ran, wait_for, wait_until};

const TWO: &str = "tasks:\n  a: { run: 'echo hello > a.txt; git add a.txt; git -c user.name=t -c user.email=t@localhost commit -qm a', evidence: [{ artifact: a.txt }, { exit: 0 }] }\n  b: { needs: [a], base: { task: a }, run: 'wc -c < a.txt > b.txt', evidence: [{ diff: { paths: [b.txt] } }] }\n";

#[test]
fn a_run_is_told_here_and_kept_there_with_its_evidence_and_exit_code() {
    let remote = Remote::with(TWO);
    let ran = remote.up().exits(0);
    assert!(ran.stderr.contains("Sending ilchul to there, once"), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("ok a  completed") && ran.stderr.contains("ok b  completed"),
        "{}",
        ran.stderr
    );
    assert!(ran.stdout.contains("has ended with success"), "{}", ran.stdout);
    assert!(!remote.world.home().root().exists(), "no home is made here");
    assert!(remote.home().join("ilchul/repo.ilchul/journal.db").exists());
    let evidence = remote.ok(&["evidence", "b"]);
    assert!(evidence.contains("verified  diff"), "{evidence}");
    let status: serde_json::Value = serde_json::from_str(&remote.ok(&["status", "--json"])).unwrap();
    assert_eq!(status["data"]["tasks"][1]["state"], "completed", "{status}");
    // The branches of its workers are here, and nothing else changed.
    let branches = remote.world.git(&["for-each-ref", "--format=%(refname)", "refs/remotes/there/"]);
    assert_eq!(branches.lines().count(), 2, "{branches}{}", ran.stderr);
    let name = branches.lines().next().unwrap();
    assert_eq!(remote.world.git(&["show", &format!("{name}:a.txt")]), "hello\n");
    assert_eq!(remote.world.git(&["status", "--porcelain"]), "");
    // Once more: it says that it has ended, sends no program, and starts nothing.
    let again = remote.up().exits(0);
    assert!(again.stderr.contains("has ended; nothing was started"), "{}", again.stderr);
    assert!(!again.stderr.contains("Sending"), "{}", again.stderr);
    assert_eq!(again.stdout, ran.stdout);
    assert_eq!(fs::read_dir(remote.home().join(".cache/ilchul/bin")).unwrap().count(), 1);
}

#[test]
fn a_branch_of_any_size_comes_back_whole() {
    // More than is kept of a command's output, and nothing that a pack makes smaller.
    let remote = Remote::with(
        "tasks: { a: { run: 'head -c 70000000 /dev/urandom > big; git add big; git -c user.name=t -c user.email=t@localhost commit -qm big', evidence: [{ exit: 0 }] } }\n",
    );
    let ran = remote.up().exits(0);
    assert!(ran.stderr.contains("The branches of 1 worker are fetched to"), "{}", ran.stderr);
    let name = remote.world.git(&["for-each-ref", "--format=%(refname)", "refs/remotes/there/"]);
    let size = remote.world.git(&["cat-file", "-s", &format!("{}:big", name.trim())]);
    assert_eq!(size, "70000000\n");
}

#[test]
fn a_run_that_fails_and_what_is_refused_end_here_with_the_codes_of_there() {
    let remote = Remote::with("tasks: { bad: { run: 'exit 7' } }\n");
    let ran = remote.up().exits(3);
    assert!(ran.stdout.contains("has ended without success"), "{}", ran.stdout);
    remote.up().exits(3);
    let refused = remote.run(&["why", "nobody"]).exits(1);
    assert!(refused.stderr.contains("failed to find the task `nobody`"), "{}", refused.stderr);
    let refused = remote.run(&["why", "nobody", "--json"]).exits(1);
    assert!(refused.stdout.starts_with("{"), "{}", refused.stdout);
    remote.run(&["why"]).exits(2);
    remote.run(&["wait"]).exits(3);
    // An invalid workflow is refused here, before anything goes there.
    remote.commit("ilchul.yaml", "version: 1\ntasks: { a: { rum: x } }\n");
    let refused = remote.up().exits(1);
    assert!(refused.stderr.contains("unknown key `rum`"), "{}", refused.stderr);
}

#[test]
fn workers_in_windows_there_are_attached_to_by_the_command_that_is_printed() {
    let remote = Remote::with("tasks: { a: { run: 'while [ ! -e $W/go ]; do sleep 0.05; done' } }\n");
    let begun = remote.run(&["up", "--session", "tmux", "--detach"]).exits(0);
    assert!(begun.stderr.contains("in the background"), "{}", begun.stderr);
    wait_until("the window", || remote.run(&["attach", "a", "--print"]).code == 0);
    let way = remote.ok(&["attach", "a", "--print"]);
    assert!(way.starts_with("tmux -S") && way.contains("there/tmux"), "{way}");
    remote.world.touch("go");
    remote.run(&["wait"]).exits(0);
}

#[test]
fn json_events_go_through_as_they_are_journaled() {
    let remote = Remote::with(TWO);
    let ran = remote.run(&["up", "--session", "subprocess", "--output", "json"]).exits(0);
    let kinds: Vec<String> = ran
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["kind"].to_string())
        .collect();
    assert_eq!(kinds.first().map(String::as_str), Some("\"run.started\""), "{kinds:?}");
    assert_eq!(kinds.last().map(String::as_str), Some("\"run.ended\""), "{kinds:?}");
}

#[test]
fn on_a_terminal_a_command_there_has_one_of_the_same_size() {
    let remote = Remote::with("tasks: { a: { run: 'while [ ! -e $W/go ]; do sleep 0.05; done' } }\n");
    remote.run(&["up", "--session", "tmux", "--detach"]).exits(0);
    wait_until("the window", || remote.run(&["attach", "a", "--print"]).code == 0);
    // `script` gives it a terminal, of 61 columns; tmux there draws that wide, and is left.
    let typed = "stty cols 61 rows 20; $I --host there why nobody; echo code $?; $I --host there attach a; echo left $?";
    let child = remote.on_terminal(typed).spawn().unwrap();
    let tmux = |words: &[&str]| {
        let mut command = remote.world.sealed("tmux");
        ran(&command.env("TMUX_TMPDIR", remote.home()).args(words).output().unwrap()).stdout
    };
    // The supervisor's own client has another width.
    let client = wait_for("the client there", || {
        let all = tmux(&["list-clients", "-F", "#{client_width} #{client_name}"]);
        all.lines().find_map(|line| line.strip_prefix("61 ").map(str::to_owned))
    });
    tmux(&["detach-client", "-t", &client]);
    let said = String::from_utf8_lossy(&child.wait_with_output().unwrap().stdout).into_owned();
    assert!(said.contains("code 1") && said.contains("left 0"), "{said}");
    remote.world.touch("go");
    remote.run(&["wait"]).exits(0);
}
