//! Nothing that a repository brings by itself runs before a person approved just that.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use super::setup::world;
use super::world::{World, wait_until};

/// A setup with a script, a second script that nobody names, and a file that is copied.
fn scripted() -> World {
    let world = World::new();
    fs::create_dir(world.repo().join("scripts")).unwrap();
    for (name, text) in [("prepare", "#!/bin/sh\necho setup >> $W/ledger\n"), ("other", "#!/bin/sh\n")] {
        let path = world.repo().join("scripts").join(name);
        fs::write(&path, text.replace("$W", world.root().to_str().unwrap())).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    world.workflow(
        "setup: { include: [.env], run: [./scripts/prepare --fast] }\ntasks: { a: { run: 'true' } }\n",
    );
    world
}

fn commit(world: &World, path: &str, text: &str) {
    fs::write(world.repo().join(path), text).unwrap();
    world.git(&["-c", "user.name=t", "-c", "user.email=t@localhost", "commit", "-q", "-a", "-m", "Change"]);
}

/// `up` is refused for want of an approval; answers what it would do.
#[track_caller]
fn is_refused(world: &World) -> Value {
    let (code, error) = world.refused(&["up", "--session", "subprocess"]);
    assert_eq!((code, &error["code"]), (1, &"setup_unapproved".into()), "{error}");
    error
}

fn approve(world: &World) -> String {
    world.ok(&["approve", "--hooks", "--yes"])
}

#[test]
fn s1_an_unapproved_setup_is_refused_before_anything_is_made() {
    let world = scripted();
    let error = is_refused(&world);
    assert_eq!(
        error["message"],
        "start a run: nobody has approved the setup of its worktrees: run `./scripts/prepare --fast` and copy `.env`"
    );
    assert!(error["hint"].as_str().unwrap().contains("ilchul approve --hooks"), "{error}");
    assert_eq!(error["details"]["scripts"][0]["path"], "scripts/prepare");
    assert!(!world.home().root().exists());
    assert!(world.git(&["worktree", "list"]).lines().count() == 1);
    assert_eq!(world.ledger(), [""; 0]);
    let ran = world.up().exits(1);
    assert!(ran.stderr.contains("nobody has approved the setup"), "{}", ran.stderr);
}

#[test]
fn an_approved_setup_runs_and_the_approval_is_kept_for_its_owner_only() {
    let world = scripted();
    let ran = world.run(&["approve", "--hooks", "--yes"]).exits(0);
    assert!(
        ran.stderr.contains(
            "  copy    .env\n  run     ./scripts/prepare --fast\n  script  scripts/prepare (sha256 "
        ),
        "{}",
        ran.stderr
    );
    let digest = is_refused_digest(&ran.stdout);
    let file = world.home().approved(&digest);
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(file.parent().unwrap().metadata().unwrap().permissions().mode() & 0o777, 0o700);
    world.up().exits(0);
    assert_eq!(world.ledger(), ["setup"]);
    assert!(approve(&world).starts_with("It was approved before (digest "));
    let plan = &world.data(&["plan"])["setup"];
    assert_eq!(plan["digest"], digest.as_str());
    assert!(plan["approved"]["who"].is_string(), "{plan}");
}

fn is_refused_digest(said: &str) -> String {
    let (_, rest) = said.split_once("(digest ").unwrap();
    rest.trim_end().trim_end_matches(").").to_owned()
}

#[test]
fn another_content_needs_another_approval_and_the_old_one_comes_back_with_its_content() {
    let world = scripted();
    approve(&world);
    let script = fs::read_to_string(world.repo().join("scripts/prepare")).unwrap();
    commit(&world, "scripts/prepare", &format!("{script}echo more\n"));
    is_refused(&world);
    commit(&world, "scripts/prepare", &script);
    commit(&world, "scripts/other", "#!/bin/sh\necho nobody names this\n");
    world.up().exits(0);
    fs::write(world.repo().join(".worktreeinclude"), "*.pem\n").unwrap();
    let (_, error) = world.refused(&["up", "--new", "--session", "subprocess"]);
    assert_eq!(error["details"]["worktreeinclude"], "*.pem\n");
    approve(&world);
    world.run(&["up", "--new", "--session", "subprocess"]).exits(0);
}

#[test]
fn a_script_behind_a_link_is_compared_as_well() {
    let world = World::new();
    fs::write(world.repo().join("real"), "#!/bin/sh\n").unwrap();
    std::os::unix::fs::symlink("real", world.repo().join("prepare")).unwrap();
    world.workflow("setup: { run: [sh prepare] }\ntasks: { a: { run: 'true' } }\n");
    approve(&world);
    commit(&world, "real", "#!/bin/sh\ntrue\n");
    is_refused(&world);
}

#[test]
fn the_flag_is_for_one_start_and_remembers_nothing() {
    let world = scripted();
    world.run(&["up", "--session", "subprocess", "--trust-setup"]).exits(0);
    assert_eq!(world.ledger(), ["setup"]);
    let (_, error) = world.refused(&["up", "--new", "--session", "subprocess"]);
    assert_eq!(error["code"], "setup_unapproved");
    let detached = world.run(&["up", "--new", "--session", "subprocess", "--trust-setup", "--detach"]);
    detached.exits(0);
    wait_until("the second run", || world.ledger().len() == 2 && !world.is_held());
}

#[test]
fn an_edited_setup_is_adopted_only_once_it_was_approved() {
    let world = scripted();
    approve(&world);
    world.up().exits(0);
    world.workflow(
        "setup: { run: ['echo edited >> $W/ledger'] }\ntasks: { a: { run: 'true' }, b: { run: 'true' } }\n",
    );
    let (_, error) = world.refused(&["up", "--adopt", "--session", "subprocess"]);
    assert_eq!(error["code"], "setup_unapproved");
    approve(&world);
    let ran = world.run(&["up", "--adopt", "--session", "subprocess"]).exits(0);
    assert!(ran.stderr.contains("`setup.include` and `setup.run`"), "{}", ran.stderr);
    assert_eq!(world.ledger(), ["setup", "edited"]);
}

#[test]
fn only_a_yes_at_a_terminal_is_a_yes() {
    let world = scripted();
    let (code, error) = world.refused(&["approve", "--hooks"]);
    assert_eq!((code, &error["code"]), (1, &"not_approved".into()));
    let closed = world.run(&["approve", "--hooks"]).exits(1);
    assert!(closed.stderr.contains("there is no terminal to ask at"), "{}", closed.stderr);
    let type_in = |word: &str| {
        let out = world.root().join("said");
        let _ = fs::remove_file(&out);
        let command = format!(
            "{} approve --hooks 2>&1 | tee {}; echo ENDED >> {}",
            env!("CARGO_BIN_EXE_ilchul"),
            out.display(),
            out.display()
        );
        world
            .tmux(&["new-session", "-d", "-s", "ask", "-c", world.repo().to_str().unwrap(), &command])
            .exits(0);
        let said = || fs::read_to_string(&out).unwrap_or_default();
        wait_until("the question", || said().contains("Approve it? [y/N]"));
        world.tmux(&["send-keys", "-t", "ask", word, "Enter"]).exits(0);
        wait_until("the answer", || said().ends_with("ENDED\n"));
        said()
    };
    let said = type_in("n");
    assert!(said.contains("the answer wasn't yes"), "{said}");
    is_refused(&world);
    let said = type_in("y");
    assert!(said.contains("Approved (digest "), "{said}");
    world.up().exits(0);
}

#[test]
fn a_worker_cannot_approve_and_a_damaged_approval_is_no_answer() {
    let world = scripted();
    let inside = world.ilchul(&["approve", "--hooks", "--yes"]).env("ILCHUL_WORKER", "a.1").output().unwrap();
    let ran = super::world::ran(&inside).exits(1);
    assert!(ran.stderr.contains("a worker can't answer for a person"), "{}", ran.stderr);
    let digest = is_refused(&world)["details"]["digest"].as_str().unwrap().to_owned();
    approve(&world);
    fs::write(world.home().approved(&digest), "{}").unwrap();
    let (code, error) = world.refused(&["up", "--session", "subprocess"]);
    assert_eq!((code, &error["code"]), (1, &"approval".into()));
    let other = world.run(&["approve", "--yes"]);
    assert_eq!(other.code, 2, "{}", other.stderr);
}

#[test]
fn doctor_names_an_unapproved_setup_and_a_repository_without_one_is_asked_nothing() {
    let world = scripted();
    let line = |world: &World| {
        let said = world.run(&["doctor", "--session", "subprocess"]).stdout;
        said.lines().find(|line| line.contains("  setup: ")).map(str::to_owned)
    };
    assert!(line(&world).unwrap().starts_with("warn  setup: nobody has approved"), "{:?}", line(&world));
    approve(&world);
    assert!(line(&world).unwrap().starts_with("ok    setup: approved by "), "{:?}", line(&world));
    let plain = self::world("tasks: { a: { run: 'true' } }\n");
    assert_eq!(line(&plain), None);
    assert_eq!(
        plain.ok(&["approve", "--hooks"]),
        "There is nothing to approve: this repository brings no setup.\n"
    );
    assert_eq!(plain.data(&["plan"])["setup"], Value::Null);
    fs::write(plain.repo().join(".worktreeinclude"), "# nothing\n\n").unwrap();
    plain.up().exits(0);
}
