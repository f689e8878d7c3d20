//! A fresh worktree that works: what it is given before its task, and what becomes of a
//! setup that fails, takes too long, or whose supervisor dies.
//!
//! It leaves out who approves it (`setup_approval`).

use std::fs;
use std::os::unix::fs::PermissionsExt;

use ilchul::engine::event::Event;
use nix::sys::signal::Signal;
use serde_json::Value;

use super::world::{Ran, World, runs, wait_until};

/// A repository that ignores `.env` and what ends in `.made`, with this workflow.
pub fn world(workflow: &str) -> World {
    let world = World::new();
    fs::write(world.repo().join(".gitignore"), ".env\n*.made\n/keys/\n").unwrap();
    world.workflow(workflow);
    world
}

/// `up` with the flag for where nobody can be asked.
fn up(world: &World) -> Ran {
    world.run(&["up", "--session", "subprocess", "--trust-setup"])
}

fn write(world: &World, path: &str, text: &str) {
    let path = world.repo().join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// What the setup of a worker's tree printed.
fn log(world: &World, worker: &str) -> String {
    fs::read_to_string(world.home().setup_log(&world.run_id().unwrap(), worker)).unwrap_or_default()
}

#[test]
fn a_fresh_worktree_has_what_was_copied_and_made_before_its_task_and_its_evidence_run() {
    let world = world(concat!(
        "setup: { include: [.env, keys], run: ['cat .env > dep.made', 'cat keys/a >> dep.made'] }\n",
        "tasks:\n",
        "  a: { run: 'cat dep.made', evidence: [ { exit: 0 }, { command: cat dep.made, match: '^secret\\nkey' }, ",
        "{ diff: { allow_none: true, clean: true } } ] }\n",
        "  b: { needs: [a], base: { task: a }, run: 'test -x keys/a' }\n",
    ));
    write(&world, ".env", "secret\n");
    write(&world, "keys/a", "key\n");
    fs::set_permissions(world.repo().join("keys/a"), fs::Permissions::from_mode(0o700)).unwrap();
    up(&world).exits(0);
    assert_eq!(fs::read_to_string(world.tree("b.1").join("dep.made")).unwrap(), "secret\nkey\n");
    let said = world.ok(&["logs", "a", "--setup"]);
    assert_eq!(
        said,
        "[ilchul: copied 2 of 2: .env, keys/a]\n$ cat .env > dep.made\n$ cat keys/a >> dep.made\n"
    );
    assert_eq!(world.ok(&["logs", "a"]), "secret\nkey\n", "what a setup prints is no word of the worker's");
}

#[test]
fn a_list_at_the_root_gives_what_it_names_and_git_ignores() {
    let world =
        world("tasks:\n  a: { run: 'test -f sub/.env && test ! -e keys/b.pem && test ! -e new.txt' }\n");
    write(&world, ".worktreeinclude", "# for every tree\n.env\nkeys/*\n!*.pem\nnew.txt\n");
    for (path, text) in [("sub/.env", "x"), ("keys/a", "x"), ("keys/b.pem", "x"), ("new.txt", "untracked")] {
        write(&world, path, text);
    }
    up(&world).exits(0);
    assert_eq!(log(&world, "a.1"), "[ilchul: copied 2 of 2: keys/a, sub/.env]\n");
}

#[test]
fn what_git_does_not_ignore_counts_as_the_tasks_change_and_the_plan_says_so() {
    let world = world(concat!(
        "setup: { include: [local.txt, .env] }\n",
        "tasks: { a: { run: 'true', evidence: [ { diff: { clean: true, allow_none: true } } ] } }\n",
    ));
    write(&world, ".env", "x");
    write(&world, "local.txt", "x");
    let plan = world.ok(&["plan"]);
    assert!(
        plan.contains("Setup     2 files to copy (2 B), 0 commands to run\n          copy    local.txt\n"),
        "{plan}"
    );
    assert!(
        plan.contains("git doesn't ignore these, so they count as the task's changes: `local.txt`\n"),
        "{plan}"
    );
    assert!(plan.contains("not approved: `up` refuses it until `ilchul approve --hooks`"), "{plan}");
    let setup = &world.data(&["plan"])["setup"];
    let files: Vec<(&str, bool)> = setup["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| (file["path"].as_str().unwrap(), file["ignored"].as_bool().unwrap()))
        .collect();
    assert_eq!(files, [(".env", true), ("local.txt", false)]);
    assert_eq!((&setup["approved"], &setup["timeout_ms"]), (&Value::Null, &Value::Null));
    up(&world).exits(3);
    assert!(world.told("a").contains("local.txt"), "{}", world.told("a"));
}

#[test]
fn a_tracked_file_is_never_replaced_and_no_link_is_followed() {
    let world = world(
        "setup: { include: ['*', out] }\ntasks: { a: { run: 'test ! -e out && grep -q one src/lib.txt' } }\n",
    );
    write(&world, "src/lib.txt", "edited, not committed\n");
    fs::create_dir(world.root().join("elsewhere")).unwrap();
    fs::write(world.root().join("elsewhere/key"), "x").unwrap();
    std::os::unix::fs::symlink(world.root().join("elsewhere"), world.repo().join("out")).unwrap();
    up(&world).exits(0);
    assert_eq!(log(&world, "a.1"), "");
}

#[test]
fn a_setup_runs_in_the_workers_environment_and_not_in_ours() {
    let world = world(concat!(
        "setup: { run: ['env > env.made', 'pwd > pwd.made'] }\n",
        "tasks: { a: { run: 'env > task.made', env: { TOKEN: hidden } } }\n",
    ));
    let mut up = world.ilchul(&["up", "--session", "subprocess", "--trust-setup"]);
    let output = up.env("OURS", "1").env("GIT_DIR", "/nowhere").env_remove("GIT_DIR").output().unwrap();
    super::world::ran(&output).exits(0);
    let read = |name: &str| fs::read_to_string(world.tree("a.1").join(name)).unwrap();
    let names = |text: &str| {
        let mut names: Vec<String> =
            text.lines().filter_map(|line| Some(line.split_once('=')?.0.to_owned())).collect();
        names.retain(|name| name != "_" && name != "SHLVL" && name != "OLDPWD");
        names.sort();
        names
    };
    assert_eq!(names(&read("env.made")), names(&read("task.made")));
    assert!(read("env.made").contains("TOKEN=hidden\n") && !read("env.made").contains("OURS="));
    assert_eq!(read("pwd.made").trim_end(), world.tree("a.1").to_str().unwrap());
    assert!(!world.mail("a.1").join("setup.json").exists(), "it may hold secrets, and is read once");
}

#[test]
fn a_failed_setup_is_a_failed_launch_with_the_end_of_its_log() {
    let world = world(concat!(
        "setup: { run: ['echo fine', 'echo first; echo no such package >&2; exit 7', 'touch $W/never'] }\n",
        "tasks: { a: { run: 'touch $W/never', retries: 1 } }\n",
    ));
    up(&world).exits(3);
    let told = world.told("a");
    assert!(told.starts_with("failed (launch_setup: `echo first;"), "{told}");
    assert!(told.contains("ended with exit code 7: fine | first | no such package"), "{told}");
    assert!(!world.root().join("never").exists());
    assert_eq!(world.state().tasks[0].attempt, 2);
    for worker in ["a.1", "a.2"] {
        assert_eq!(world.state().workers[worker].phase.word(), "completed-retained");
        assert!(world.tree(worker).join("README").exists());
        assert!(log(&world, worker).ends_with("first\nno such package\n"), "{}", log(&world, worker));
    }
    let why = world.ok(&["why", "a"]);
    assert!(why.contains("no such package"), "{why}");
}

#[test]
fn l6_a_setup_has_its_own_time_and_what_it_left_running_is_ended_with_it() {
    let world = world(concat!(
        "limits: { ready: 1s, grace: 1s }\n",
        "setup: { run: ['sleep 1.2; touch $W/slow', 'sleep 600 & echo $! > $W/pid; sleep 600'], timeout: 6s }\n",
        "tasks: { a: { run: 'true' } }\n",
    ));
    up(&world).exits(3);
    assert!(world.root().join("slow").exists(), "longer than `ready` alone allows");
    let told = world.told("a");
    assert!(told.contains("wasn't done within the setup's 6 s"), "{told}");
    let pid = fs::read_to_string(world.root().join("pid")).unwrap();
    wait_until("its end", || !fs::exists(format!("/proc/{}", pid.trim())).unwrap());
}

#[test]
fn j6_a_setup_that_runs_while_its_supervisor_dies_is_adopted_and_runs_once() {
    let world = world(concat!(
        "setup: { run: ['echo setup >> $W/ledger; until test -e $W/go; do sleep 0.02; done'] }\n",
        "tasks: { a: { run: 'echo task >> $W/ledger' } }\n",
    ));
    let first = world.start(&["up", "--session", "subprocess", "--trust-setup"]);
    wait_until("the setup", || world.ledger() == ["setup"]);
    wait_until("the launch in the journal", || {
        world.peek().is_some_and(|state| state.workers["a.1"].session.is_some())
    });
    first.kill();
    // What was approved stays approved for this run, whatever the checkout says now.
    write(&world, ".worktreeinclude", "*.made\n");
    let second = world.start_up();
    world.await_resumes(1);
    world.touch("go");
    second.wait().exits(0);
    assert_eq!(world.ledger(), ["setup", "task"]);
    assert_eq!(world.state().tasks[0].attempt, 1);
}

#[test]
fn a_setup_is_ended_with_its_run_and_starts_anew_with_the_next() {
    let world = world(concat!(
        "limits: { grace: 1s }\n",
        "setup: { run: ['echo setup >> $W/ledger; test -e $W/go || sleep 600'] }\n",
        "tasks: { a: { run: 'echo task >> $W/ledger' } }\n",
    ));
    let first = world.start(&["up", "--session", "subprocess", "--trust-setup"]);
    wait_until("the setup", || world.ledger() == ["setup"]);
    let child = world.child("a.1");
    world.run(&["down"]).exits(0);
    first.wait().exits(4);
    assert!(!runs(child));
    world.touch("go");
    world.start_up().wait().exits(0);
    assert_eq!(world.ledger(), ["setup", "setup", "task"]);
}

#[test]
fn a_setup_whose_shim_was_killed_ends_with_it() {
    let world = world(concat!(
        "setup: { run: ['echo setup >> $W/ledger; test -e $W/go || sleep 600'] }\n",
        "tasks: { a: { run: 'echo task >> $W/ledger', retries: 1 } }\n",
    ));
    let up = world.start(&["up", "--session", "subprocess", "--trust-setup"]);
    wait_until("the setup", || world.ledger() == ["setup"]);
    let child = world.child("a.1");
    world.touch("go");
    super::world::signal(world.shim("a.1"), Signal::SIGKILL);
    up.wait().exits(0);
    assert!(!runs(child));
    assert_eq!(world.ledger(), ["setup", "setup", "task"]);
}

#[test]
fn a_program_that_speaks_for_itself_gets_its_tree_set_up_too() {
    let workflow = concat!(
        "setup: { run: ['echo MATCH ME; touch dep.made'] }\n",
        "tasks:\n",
        "  a: { worker: [$FIXTURES/honest.sh, sh, -c, 'test -f dep.made && touch was.made'], evidence: waived, reason: x }\n",
    );
    let good = world(workflow);
    up(&good).exits(0);
    assert!(good.tree("a.1").join("was.made").exists());
    assert_eq!(log(&good, "a.1"), "$ echo MATCH ME; touch dep.made\nMATCH ME\n");
    assert_eq!(good.run(&["logs", "a"]).exits(0).stdout, "");
    let bad = world(&workflow.replace("touch dep.made", "false"));
    up(&bad).exits(3);
    assert!(
        bad.told("a").contains("launch_setup: `echo MATCH ME; false` ended with exit code 1: MATCH ME"),
        "{}",
        bad.told("a")
    );
}

#[test]
fn a_plain_folder_is_no_checkout_and_gets_no_setup() {
    let world = world(concat!(
        "setup: { include: [.env], run: ['touch $W/never'] }\n",
        "tasks: { a: { run: 'test ! -e .env', workspace: none } }\n",
    ));
    write(&world, ".env", "x");
    // Nothing of it would run, so nobody is asked either.
    world.up().exits(0);
    assert!(!world.root().join("never").exists());
}

#[test]
fn at_a_terminal_the_setup_is_seen_and_the_task_gets_its_own() {
    let world = world(concat!(
        "setup: { run: ['test -t 1 && echo SETUP SEEN'] }\n",
        "tasks: { a: { run: 'test -t 1 && echo TASK SEEN' } }\n",
    ));
    world.run(&["up", "--session", "tmux", "--trust-setup"]).exits(0);
    let session = world.state().workers["a.1"].session.clone().unwrap();
    let pane = world.tmux(&["capture-pane", "-p", "-S", "-", "-t", &session.id]).exits(0).stdout;
    assert!(pane.contains("SETUP SEEN") && pane.contains("TASK SEEN"), "{pane}");
    assert!(log(&world, "a.1").contains("SETUP SEEN"), "{}", log(&world, "a.1"));
    assert!(!world.ok(&["logs", "a"]).contains("SETUP SEEN"));
}

#[test]
fn the_journal_says_that_a_setup_was_approved_and_by_whom() {
    let world = world("setup: { run: ['true'] }\ntasks: { a: { run: 'true' } }\n");
    up(&world).exits(0);
    let Some(Event::Run(ilchul::engine::event::RunEvent::Started(started))) =
        world.events().into_iter().next()
    else {
        panic!("no run")
    };
    let approval = started.setup.unwrap();
    assert_eq!((approval.by.as_str(), approval.digest.len()), ("--trust-setup", 64));
}

#[test]
fn live_workers_have_ports_and_names_of_their_own_which_setup_and_evidence_share() {
    let write = "echo $ILCHUL_PORT_BASE $ILCHUL_SLUG >> ports.made";
    let world = world(&format!(
        "limits: {{ workers: 2 }}\nsetup: {{ run: ['{write}'] }}\ntasks:\n{}",
        ["a", "b"].map(|id| format!(
            "  {id}: {{ run: '{write}; touch $W/{id}; until test -e $W/a -a -e $W/b; do sleep 0.02; done', evidence: [ {{ command: '{write}' }} ] }}\n"
        )).concat()
    ));
    up(&world).exits(0);
    let told = ["a.1", "b.1"].map(|worker| {
        let text = fs::read_to_string(world.tree(worker).join("ports.made")).unwrap();
        let lines: std::collections::BTreeSet<&str> = text.lines().collect();
        assert_eq!((lines.len(), text.lines().count()), (1, 3), "{text}");
        let port = world.state().workers[worker].port.unwrap();
        assert!(text.starts_with(&format!("{port} w{}", &worker[..1])), "{text}");
        (port, text)
    });
    assert!(told[0].0.abs_diff(told[1].0) >= 10, "{told:?}");
    assert_ne!(told[0].1, told[1].1);
}
