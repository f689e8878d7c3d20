//! `ilchul next`: the worker that has waited longest, and the way to it.

use std::fs;

use serde_json::{Value, json};

use super::question::{ASKS, world};
use super::world::{World, wait_until};

#[test]
fn next_names_who_waits_longest_and_what_to_type_where_there_is_no_terminal() {
    let world = World::with(&format!(
        "tasks:\n  late: {{ workspace: none, run: 'while [ ! -e $W/go ]; do sleep 0.02; done; {ASKS_LATE}' }}\n  early: {{ workspace: none, run: '{ASKS_EARLY}' }}\n",
        ASKS_LATE = "ilchul report --status needs_input --reason \"Late?\" --wait",
        ASKS_EARLY = "ilchul report --status blocked --reason \"Early?\" --wait"
    ));
    let up = world.start_up();
    world.await_task("late", "in_progress");
    world.await_task("early", "blocked");
    world.touch("go");
    world.await_task("late", "blocked");
    let said = world.ok(&["next"]);
    assert!(said.starts_with("`early.1` asks: Early?\n"), "{said}");
    assert!(
        said.contains("\nLook: ilchul logs early\nAnswer: ilchul answer early \"...\"\n1 more wait"),
        "{said}"
    );
    let data = world.data(&["next"]);
    assert_eq!(
        (&data["task"], &data["worker"], &data["state"], &data["question"], &data["more"]),
        (&json!("early"), &json!("early.1"), &json!("blocked"), &json!("Early?"), &json!(1))
    );
    assert_eq!(data["attach"], "ilchul attach early.1");
    world.ok(&["answer", "early", "a"]);
    assert_eq!(world.data(&["next"])["task"], "late");
    world.ok(&["answer", "late", "b"]);
    up.wait().exits(0);
    assert_eq!(world.ok(&["next"]), "No worker waits for you.\n");
    assert_eq!(world.data(&["next"]), Value::Null);
}

#[test]
fn next_goes_to_the_terminal_of_whoever_waits_where_there_is_one() {
    let world = world(ASKS);
    // The person's own terminal: a window in the same server.
    world.tmux(&["new-session", "-d", "-s", "person", "-x", "120", "-y", "20", "sh"]).exits(0);
    let up = world.start(&["up", "--session", "tmux"]);
    world.await_task("ask", "blocked");
    assert!(world.ok(&["next"]).contains("Look: ilchul attach ask.1\n"));
    // Somebody looks at that window, so that there is a client to switch.
    world
        .tmux(&["new-session", "-d", "-s", "eyes", "-x", "130", "-y", "30", "TMUX= tmux attach -t person"])
        .exits(0);
    let looks = |session: &str| {
        world.tmux(&["list-clients", "-F", "#{client_session}"]).stdout.lines().any(|line| line == session)
    };
    wait_until("a person who looks", || looks("person"));
    let program = env!("CARGO_BIN_EXE_ilchul");
    world
        .tmux(&[
            "send-keys",
            "-t",
            "person",
            &format!("cd {} && {program} next", world.repo().display()),
            "Enter",
        ])
        .exits(0);
    let run = format!("ilchul-repo-{}", world.run_id().unwrap());
    wait_until("the worker's window in front of the person", || looks(&run));
    world.ok(&["answer", "ask", "so"]);
    up.wait().exits(0);
    assert_eq!(fs::read_to_string(world.root().join("ledger")).unwrap(), "heard so\n");
}
