//! What reaches the laptop's terminal: colours and widths of there, and nothing that steers it.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::remote::Remote;
use crate::world::{wait_for, wait_until};

const ONE: &str = "tasks: { a: { run: 'true' } }\n";
/// Steers a terminal, and looks like a colour where it is cut.
const RAW: &str = r"\033]0;x\007\033[2J\033[1;31mred\033[0m\033[31";

/// A machine whose program says what no ilchul would.
fn liar(says: &str) -> Remote {
    let remote = Remote::with(ONE);
    let program = remote.home().join("liar");
    let text = format!(
        "#!/bin/sh\ncase \"$*\" in --version) echo 'ilchul {}'; exit;; esac\n{says}\n",
        env!("CARGO_PKG_VERSION")
    );
    fs::write(&program, text).unwrap();
    fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
    remote.settings(&format!(
        "hosts: {{ big: {{ ssh: there, folder: ., program: {} }} }}\n",
        program.display()
    ));
    remote
}

#[test]
fn s8_no_command_of_a_machine_that_lies_steers_the_terminal_here() {
    let remote = liar(&format!("printf '{RAW}'; printf '{RAW}' >&2"));
    let shown = remote.shown("$I --host big status; $I --host big logs a; $I --host big answer a b; true");
    // Both streams of three commands, whose ends may be mixed.
    let red = "\\u{1b}]0;x\\u{7}\\u{1b}[2J\u{1b}[1;31mred\u{1b}[0m";
    assert_eq!((shown.matches(red).count(), shown.matches("\\u{1b}[31").count()), (6, 6), "{shown:?}");
    assert!(!shown.contains("\u{1b}]") && !shown.contains("\u{1b}[2J"), "{shown:?}");
    let plain = remote.shown("NO_COLOR=1 $I --host big status; true");
    assert!(!plain.contains('\u{1b}'), "{plain:?}");
    // Neither is a script's log of what was complained of.
    let script = crate::world::ran(&remote.on("big", &["status"]).output().unwrap()).exits(0);
    assert!(!script.stderr.contains('\u{1b}'), "{:?}", script.stderr);
}

#[test]
fn a_script_has_every_byte_of_a_commands_output() {
    let remote = liar("i=1; while [ $i -le 255 ]; do printf \"\\\\$(printf %o $i)\"; i=$((i+1)); done");
    let out = remote.on("big", &["page", "-"]).output().unwrap();
    assert_eq!(out.stdout, (1..=255).collect::<Vec<u8>>());
}

#[test]
fn tables_have_their_colours_and_the_width_of_the_terminal_here() {
    let remote = Remote::with(
        "tasks: { a: { run: 'printf \"\\033[31mlog\\033[0m \\007\\n\"', evidence: waived, reason: 'long words that would never fit into a line of such a terminal' } }\n",
    );
    remote.up().exits(0);
    let shown = remote.shown("stty cols 61; $I --host there status; $I --host there logs a");
    let here = anstream::adapter::strip_str(&shown).to_string();
    assert!(shown.contains("\u{1b}[") && here.contains("completed"), "{shown:?}");
    assert!(here.lines().all(|line| line.trim_end().chars().count() <= 61), "{here}");
    assert!(here.contains("log \\u{7}"), "{here}");
    // As it is told where it runs.
    let there = remote.run(&["status", "--color", "never"]).exits(0).stdout;
    assert!(
        there.lines().next().is_some_and(|line| here.contains(line.split(' ').next().unwrap())),
        "{there}"
    );
}

#[test]
fn a_login_shell_that_ends_only_on_a_terminal_is_told_with_its_words() {
    let ends = "sh -c '[ ! -t 0 ] || { printf \"\\033[2JWelcome\\nquota exceeded\\n\"; exit $(cat $HOME/code); }; eval \"$SSH_ORIGINAL_COMMAND\"'";
    let remote = Remote::forced(ONE, Some(ends));
    remote.up().exits(0);
    for code in ["0", "3"] {
        fs::write(remote.home().join("code"), code).unwrap();
        let shown = remote.shown("$I --host there attach a; echo left $?");
        let shown = shown.split_whitespace().collect::<Vec<_>>().join(" ");
        let why = format!("its login shell ended with {code} before it ran anything: quota exceeded");
        assert!(shown.contains(&why) && shown.contains("left 1"), "{shown:?}");
        assert!(shown.contains("files do on a terminal.") && !shown.contains("[2J"), "{shown:?}");
    }
}

#[test]
fn s8_what_a_login_shell_prints_is_on_no_terminal_here() {
    let noise = "sh -c 'printf \"\\033]0;x\\007Welcome\\n\"; echo loud >&2; eval \"$SSH_ORIGINAL_COMMAND\"'";
    let remote =
        Remote::forced("tasks: { a: { run: 'while [ ! -e $W/go ]; do sleep 0.05; done' } }\n", Some(noise));
    remote.run(&["up", "--session", "tmux", "--detach"]).exits(0);
    wait_until("the window", || remote.run(&["attach", "a", "--print"]).code == 0);
    let typed = "stty cols 61 rows 20; $I --host there status; $I --host there attach a; echo left $?";
    let child = remote.on_terminal(typed).spawn().unwrap();
    let tmux = |words: &[&str]| {
        let mut command = remote.world.sealed("tmux");
        crate::world::ran(&command.env("TMUX_TMPDIR", remote.home()).args(words).output().unwrap()).stdout
    };
    let client = wait_for("the client there", || {
        let all = tmux(&["list-clients", "-F", "#{client_width} #{client_name}"]);
        all.lines().find_map(|line| line.strip_prefix("61 ").map(str::to_owned))
    });
    tmux(&["detach-client", "-t", &client]);
    let shown = String::from_utf8_lossy(&child.wait_with_output().unwrap().stdout).into_owned();
    for word in ["Welcome", "loud", "]0;x", "ilchul.host.1"] {
        assert!(!shown.contains(word), "{word}: {shown:?}");
    }
    assert!(shown.contains("in_progress") && shown.contains("left 0"), "{shown:?}");
    remote.world.touch("go");
    remote.run(&["wait"]).exits(0);
}
