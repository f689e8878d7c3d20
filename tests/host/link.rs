//! The link itself: words that arrive, shells that print, machines that aren't there.

use std::fs;
use std::io::Write;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::remote::Remote;
use crate::world::{ran, wait_until};

const ONE: &str = "tasks: { a: { run: 'true' } }\n";

#[test]
fn words_with_quotes_breaks_and_dollars_arrive_unharmed_and_so_does_standard_input() {
    let remote = Remote::with(ONE);
    let exe = env!("CARGO_BIN_EXE_ilchul");
    let text = format!(
        "version: 1\ntasks: {{ ask: {{ run: '{exe} report --status needs_input --reason which --wait > {}/answer', evidence: [{{ exit: 0 }}] }} }}\n",
        remote.world.root().display()
    );
    remote.commit("ilchul.yaml", &text);
    remote.run(&["up", "--session", "subprocess", "--detach"]).exits(0);
    wait_until("the question", || remote.ok(&["status", "--json"]).contains("which"));
    let odd = "it's \"$HOME\" `id` !! $(id)\n\\n *";
    remote.ok(&["answer", "ask", odd]);
    let got = || fs::read_to_string(remote.world.root().join("answer")).unwrap_or_default();
    wait_until("the answer", || got().contains("it's"));
    assert!(got().contains("\"$HOME\" `id` !! $(id)"), "{}", got());
    remote.run(&["wait"]).exits(0);
}

#[test]
fn a_login_shell_that_prints_says_nothing_in_what_a_command_says() {
    let forced = "sh -c 'echo Welcome; printf half; echo loud >&2; eval \"$SSH_ORIGINAL_COMMAND\"'";
    let remote = Remote::forced(ONE, Some(forced));
    let up = remote.up().exits(0);
    for word in ["Welcome", "half", "loud"] {
        assert!(!up.stdout.contains(word) && !up.stderr.contains(word), "{word}: {up:?}");
    }
    let status = remote.run(&["status", "--json"]).exits(0);
    assert!(status.stdout.starts_with('{') && status.stderr.is_empty(), "{status:?}");
    remote.run(&["why", "nobody"]).exits(1);
}

#[test]
fn a_machine_that_is_not_there_is_told_in_words_and_soon() {
    let mut remote = Remote::with(ONE);
    remote.cut();
    let began = Instant::now();
    let silent = remote.run(&["status"]).exits(1);
    assert!(silent.stderr.contains("failed to reach `there`"), "{}", silent.stderr);
    assert!(silent.stderr.contains("Look at the network"), "{}", silent.stderr);
    let json = remote.run(&["status", "--json"]).exits(1);
    assert!(json.stdout.contains("\"code\":\"host\""), "{}", json.stdout);
    let unknown = ran(&remote.on("no-such-host.invalid", &["status"]).output().unwrap()).exits(1);
    assert!(unknown.stderr.contains("no-such-host.invalid"), "{}", unknown.stderr);
    let option = ran(&remote.on("-oProxyCommand=touch x", &["status"]).output().unwrap());
    assert!(option.code == 1 || option.code == 2, "{option:?}");
    let option = ran(&remote.world.ilchul(&["--host=-oProxyCommand=x", "status"]).output().unwrap()).exits(1);
    assert!(option.stderr.contains("that is no name for ssh"), "{}", option.stderr);
    assert!(began.elapsed() < Duration::from_secs(120));
}

#[test]
fn a_key_that_nobody_knows_and_a_door_that_stays_shut_are_told_apart() {
    let remote = Remote::with(ONE);
    let known = fs::read(remote.etc("known")).unwrap();
    fs::write(remote.etc("known"), "").unwrap();
    let key = remote.run(&["status"]).exits(1);
    assert!(key.stderr.contains("look at its key"), "{}", key.stderr);
    fs::write(remote.etc("known"), known).unwrap();
    fs::write(remote.etc("id.pub"), "").unwrap();
    let denied = remote.run(&["up"]).exits(1);
    assert!(
        denied.stderr.contains("Permission denied") && denied.stderr.contains("in a terminal"),
        "{}",
        denied.stderr
    );
}

#[test]
fn the_environment_names_the_machine_but_never_for_a_worker_or_a_command_of_here() {
    let remote = Remote::with(ONE);
    remote.up().exits(0);
    let here = |args: &[&str], worker: bool| {
        let mut command = remote.world.ilchul(args);
        command.env("XDG_RUNTIME_DIR", remote.world.root().join("r")).env("ILCHUL_HOST", "there");
        if worker {
            command.env("ILCHUL_WORKER", "a.1");
        }
        ran(&command.output().unwrap())
    };
    assert!(here(&["status"], false).exits(0).stdout.contains("completed"));
    assert!(here(&["status"], true).exits(1).stderr.contains("there has been none here"));
    here(&["validate"], false).exits(0);
    assert!(here(&["schema", "workflow"], false).exits(0).stdout.contains("$schema"));
}

#[test]
fn a_worker_there_knows_nothing_of_the_machine_that_was_named() {
    let remote = Remote::with("tasks: { a: { run: 'env > $W/env' } }\n");
    let mut command = remote.world.ilchul(&["up", "--session", "subprocess"]);
    command.env("XDG_RUNTIME_DIR", remote.world.root().join("r")).env("ILCHUL_HOST", "there");
    ran(&command.output().unwrap()).exits(0);
    let env = fs::read_to_string(remote.world.root().join("env")).unwrap();
    assert!(env.contains("ILCHUL_TASK=a") && !env.contains("ILCHUL_HOST"), "{env}");
}

#[test]
fn a_program_of_the_settings_is_used_where_it_is_of_this_version() {
    let remote = Remote::with(ONE);
    let settings = remote.world.root().join("user/.config/ilchul");
    fs::create_dir_all(&settings).unwrap();
    let names = |program: &str| {
        let text = format!("hosts: {{ big: {{ ssh: there, folder: work/p, program: {program} }} }}\n");
        fs::write(settings.join("config.yaml"), text).unwrap();
    };
    let up = || ran(&remote.on("big", &["up", "--session", "subprocess"]).output().unwrap());
    names(env!("CARGO_BIN_EXE_ilchul"));
    let good = up().exits(0);
    assert!(!good.stderr.contains("Sending"), "{}", good.stderr);
    assert!(!remote.home().join(".cache").exists() && remote.home().join("work/p.ilchul").exists());
    let old = remote.home().join("old");
    fs::write(&old, "#!/bin/sh\necho ilchul 0.0.9\n").unwrap();
    fs::set_permissions(&old, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    names("~/old");
    let other = up().exits(1);
    assert!(other.stderr.contains("its program says `ilchul 0.0.9`"), "{}", other.stderr);
    names("/nowhere/ilchul");
    assert!(up().exits(1).stderr.contains("isn't a program there"));
}

#[test]
fn a_loop_that_reads_lines_keeps_them() {
    let remote = Remote::with(ONE);
    remote.up().exits(0);
    let mut command = remote.ilchul(&["status"]);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let mut pipe = child.stdin.take().unwrap();
    assert!(child.wait().unwrap().success());
    // Nobody has read it: the pipe's other end went with the child, unread.
    assert!(pipe.write_all(b"a line\n").is_err());
}

#[test]
fn s8_a_machine_that_lies_writes_nothing_raw_and_names_no_run_as_it_likes() {
    let remote = Remote::with(ONE);
    let settings = remote.world.root().join("user/.config/ilchul");
    fs::create_dir_all(&settings).unwrap();
    let program = remote.home().join("liar");
    let text =
        format!("hosts: {{ big: {{ ssh: there, folder: work/p, program: {} }} }}\n", program.display());
    fs::write(settings.join("config.yaml"), text).unwrap();
    let lies = |rows: &str| {
        let text = format!(
            "#!/bin/sh\ncase \"$*\" in\n--version) echo 'ilchul {}';;\n*--rows*) {rows};;\n*) printf '\\033]0;x\\007\\033[2Jbegun\\n' >&2;;\nesac\n",
            env!("CARGO_PKG_VERSION")
        );
        fs::write(&program, text).unwrap();
        fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let ran = ran(&remote.on("big", &["up", "--session", "subprocess"]).output().unwrap()).exits(1);
        assert!(ran.stderr.contains("\\u{1b}]0;x\\u{7}\\u{1b}[2Jbegun\n"), "{ran:?}");
        assert!(!ran.stderr.contains('\u{1b}') && !ran.stdout.contains('\u{1b}'), "{ran:?}");
        ran.stderr
    };
    let word = r#"{"run":"../\u001b[31mr","held":true,"more":false,"rows":[]}"#;
    let named = lies(&format!("printf '%s\\n' '{word}'; sleep 1"));
    assert!(named.contains("failed to understand `big`: what it calls the run is no id"), "{named}");
    // The rows of a real run, under the name of another one.
    remote.up().exits(0);
    let real = env!("CARGO_BIN_EXE_ilchul");
    let other =
        format!("cd $HOME/ilchul/repo; {real} \"$@\" | sed -u 's/\"run\":\"[^\"]*\"/\"run\":\"other\"/'");
    let named = lies(&other);
    assert!(named.contains("failed to understand `big`: its rows are of another run"), "{named}");
}
