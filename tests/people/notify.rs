//! People are told once of what waits for them, in their own way, and never by a shell.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::question::ASKS;
use super::world::{World, wait_until};

/// A world whose task asks this, and whose user wants to be told by `ways`.
fn world(asks: &str, ways: &str) -> World {
    let world = World::with(&format!(
        "tasks:\n  ask:\n    workspace: none\n    run: |\n      {}\n",
        ASKS.replace("Which one?", asks).replace('\n', "\n      ")
    ));
    let config = world.root().join("user/.config/ilchul");
    fs::create_dir_all(&config).unwrap();
    let ways = ways.replace("$W", world.root().to_str().unwrap());
    fs::write(config.join("config.yaml"), format!("notify: {ways}\n")).unwrap();
    let tell = "#!/bin/sh\ncat > \"$0.text\"\nprintf '%s|%s|%s|%s|%s\\n' \"$ILCHUL_NOTIFY_EVENT\" \"$ILCHUL_NOTIFY_TASK\" \"$ILCHUL_NOTIFY_WORKER\" \"$ILCHUL_NOTIFY_LOOK\" \"$ILCHUL_NOTIFY_ANSWER\" >> \"$0.told\"\n";
    script(&world, "tell", tell);
    world
}

fn script(world: &World, name: &str, text: &str) {
    let path = world.root().join(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn told(world: &World) -> Vec<String> {
    let text = fs::read_to_string(world.root().join("tell.told")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

const QUESTION: &str = "question|ask|ask.1|ilchul logs ask.1|ilchul answer ask \"...\"";

#[test]
fn a_question_is_told_once_and_not_again_by_a_later_life() {
    let world = world("Which one?", "[{ command: [$W/tell] }]");
    let up = world.start_up();
    wait_until("the message", || told(&world) == [QUESTION]);
    assert_eq!(fs::read_to_string(world.root().join("tell.text")).unwrap(), "Which one?\n");
    up.kill();
    for n in 1..=2 {
        let up = world.start_up();
        world.await_resumes(n);
        // It looks once a second, and has by the time that it takes a request.
        assert_eq!(world.refused(&["retry", "ask"]).0, 1);
        up.kill();
    }
    let up = world.start_up();
    world.await_resumes(3);
    world.ok(&["answer", "ask", "so"]);
    up.wait().exits(0);
    assert_eq!(told(&world), [QUESTION, "ended|||ilchul status|"]);
}

#[test]
fn what_a_worker_writes_is_never_run_by_whoever_is_told() {
    let world = world(r"$(touch $W/ran); \`touch $W/ran\`", "[{ command: [$W/tell] }]");
    let up = world.start_up();
    wait_until("the message", || !told(&world).is_empty());
    world.ok(&["answer", "ask", "so"]);
    up.wait().exits(0);
    assert_eq!(told(&world).len(), 2);
}

#[test]
fn a_way_that_fails_or_hangs_is_told_of_once_and_changes_nothing() {
    let world =
        world("Which one?", "[{ command: [$W/nobody] }, { command: [$W/hangs] }, { command: [$W/tell] }]");
    script(&world, "hangs", "#!/bin/sh\nsleep 600\n");
    let up = world.start_up();
    world.await_task("ask", "blocked");
    // Nobody waits for a notifier: the answer is taken while one of them hangs.
    world.ok(&["answer", "ask", "so"]);
    let told_of = up.wait().exits(0).stderr;
    assert_eq!(told_of.matches("nobody: there is no `").count(), 1, "{told_of}");
    assert!(told_of.matches("hangs: it took longer than 5 s").count() <= 1, "{told_of}");
    assert_eq!(told(&world)[0], QUESTION);
}

#[test]
fn an_approval_and_the_end_of_a_run_are_told_too() {
    let world = world("x", "[{ command: [$W/tell] }]");
    world.workflow("tasks:\n  ship: { run: 'true', workspace: none, evidence: [ { exit: 0 }, { approval: { message: 'Ship it?' } } ] }\n");
    let up = world.start_up();
    wait_until("the message", || told(&world).len() == 1);
    assert_eq!(
        told(&world),
        ["approval|ship||ilchul evidence ship|ilchul approve ship, or ilchul deny ship"]
    );
    world.ok(&["approve", "ship"]);
    up.wait().exits(0);
    assert_eq!(told(&world)[1], "ended|||ilchul status|");
}

#[test]
fn in_tmux_the_message_stands_in_the_persons_own_status_line_and_nothing_in_it_is_expanded() {
    let world = world("#(touch $W/ran) 100%H?", "[tmux, bell]");
    // Their server has a label of its own; the workers' sessions are in the same one.
    let tmux = |args: &[&str]| world.tmux(&[&["-L", "own"], args].concat());
    tmux(&["new-session", "-d", "-s", "person", "-x", "150", "-y", "10", "sh"]).exits(0);
    tmux(&["new-session", "-d", "-s", "other", "-x", "150", "-y", "10", "sh"]).exits(0);
    tmux(&["set-option", "-g", "display-time", "60000"]).exits(0);
    // Two people look: one at the session that `up` runs in, one at another.
    let look = |name: &str, session: &str| {
        world
            .tmux(&[
                "new-session",
                "-d",
                "-s",
                name,
                "-x",
                "160",
                "-y",
                "12",
                &format!("TMUX= tmux -L own attach -t {session}"),
            ])
            .exits(0);
    };
    look("eyes", "person");
    look("stranger", "other");
    wait_until("both to look", || tmux(&["list-clients"]).stdout.lines().count() == 2);
    let program = env!("CARGO_BIN_EXE_ilchul");
    let line = format!("cd {} && {program} up --session subprocess", world.repo().display());
    tmux(&["send-keys", "-t", "person", &line, "Enter"]).exits(0);
    let shows = |name: &str| world.tmux(&["capture-pane", "-p", "-t", name]).stdout;
    let message = "ilchul: ask waits for you: #(touch ";
    wait_until("the message", || shows("eyes").contains(message));
    assert!(shows("eyes").contains("100%H?"), "{}", shows("eyes"));
    assert!(!shows("stranger").contains("waits for you"), "{}", shows("stranger"));
    assert!(!world.root().join("ran").exists());
    world.ok(&["answer", "ask", "so"]);
    world.await_task("ask", "completed");
}
