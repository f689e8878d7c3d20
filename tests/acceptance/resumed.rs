//! What a second `up` finds and says: adopted, settled, gone, tried again, for a person to decide.
//!
//! It leaves out where exactly the first one ended, which is walked through elsewhere.

use std::fs;

use super::world::{World, wait_until};

/// Eight tasks: two that end by themselves, two that end when told, four that would go on.
const EIGHT: &str = "limits: { workers: 8, grace: 1s }\n\
    defaults: { retries: 1 }\n\
    tasks:\n\
    \x20 quick1: { run: &quick 'until test -e $W/quick; do sleep 0.02; done' }\n\
    \x20 quick2: { run: *quick }\n\
    \x20 bad: { run: 'until test -e $W/quick; do sleep 0.02; done; exit 3', retries: 0 }\n\
    \x20 asks: { run: 'ilchul report --status needs_input --summary which; until test -e $W/go; do sleep 0.02; done; ilchul report --status done --summary this' }\n\
    \x20 long1: { run: &long 'until test -e $W/go; do sleep 0.02; done' }\n\
    \x20 long2: { run: *long }\n\
    \x20 long3: { run: *long, retries: 0 }\n\
    \x20 long4: { run: *long }\n";

/// Starts the eight, kills the supervisor, and lets the quick ones end while nobody looks.
fn orphaned(session: &str) -> World {
    let world = World::with(EIGHT);
    let up = world.start(&["up", "--session", session]);
    for task in ["quick1", "quick2", "bad", "long1", "long2", "long3", "long4"] {
        world.await_task(task, "in_progress");
    }
    world.await_task("asks", "blocked");
    up.kill();
    world.touch("quick");
    for worker in ["quick1.1", "quick2.1", "bad.1"] {
        wait_until("the end on record", || world.mail(worker).join("exit.json").exists());
    }
    world
}

/// The lines about one worker.
fn line<'a>(text: &'a str, worker: &str) -> &'a str {
    let about = |line: &&str| line.split_whitespace().nth(2) == Some(worker);
    text.lines().find(about).unwrap_or_else(|| panic!("nothing about {worker} in\n{text}"))
}

#[test]
fn a_second_up_says_whom_it_adopted_and_what_it_settled() {
    for session in ["subprocess", "tmux"] {
        let world = orphaned(session);
        let up = world.start(&["up", "--session", session]);
        world.await_task("quick1", "completed");
        world.touch("go");
        let ran = up.wait().exits(3);
        let said = ran.stderr.as_str();
        assert!(line(said, "long1.1").ends_with("adopted: it lives and goes on undisturbed"), "{said}");
        assert!(line(said, "asks.1").ends_with("it waits for you (ilchul why asks)"), "{said}");
        assert!(
            line(said, "quick2.1").ends_with(
                "settled: it ended while nobody supervised (exit code 0); its evidence is checked"
            ) || line(said, "quick2.1").ends_with("settled: it ended while nobody supervised (exit code 0)"),
            "{said}"
        );
        assert!(line(said, "bad.1").contains("(exit code 3)"), "{said}");
        assert!(said.contains("of 8 workers: 5 adopted, 3 settled, 1 for you to decide"), "{said}");
        let attempts: u32 = world.state().tasks.iter().map(|task| task.attempt).sum();
        assert_eq!(attempts, 8, "something ran twice");
    }
}

#[test]
fn after_the_loss_of_the_tmux_server_a_second_up_says_who_is_gone_and_what_is_tried_again() {
    let world = orphaned("tmux");
    world.tmux(&["kill-server"]).exits(0);
    let up = world.start(&["up", "--session", "tmux"]);
    world.await_task("quick1", "completed");
    world.touch("go");
    let ran = up.wait().exits(3);
    let said = ran.stderr.as_str();
    for worker in ["long1.1", "long2.1", "long4.1"] {
        let found = line(said, worker);
        assert!(found.contains("gone: its session is gone"), "{said}");
        assert!(found.ends_with("is tried again (attempt 2 of 2)"), "{said}");
    }
    assert!(line(said, "long3.1").ends_with("`long3` has failed (ilchul retry long3)"), "{said}");
    assert!(line(said, "quick1.1").contains("settled"), "{said}");
    assert!(said.contains("of 8 workers: 3 settled, 5 gone, 4 tried again"), "{said}");
    for (task, phase) in world.phases() {
        let failed = ["bad", "long3"].contains(&task.as_str());
        assert_eq!(phase, if failed { "failed" } else { "completed" }, "{task}");
    }
    // Nothing that was there is gone but the sessions.
    assert!(world.tree("long1.1").is_dir() && world.tree("long3.1").is_dir());
}

#[test]
fn l2_l6_a_journal_put_back_repeats_no_ordinal_no_token_and_runs_nothing_beside_what_lives() {
    let world = World::with(
        "limits: { grace: 1s }\n\
         defaults: { retries: 2 }\n\
         tasks: { a: { run: 'echo $ILCHUL_WORKER >> $W/ledger; test -e $W/first || { touch $W/first; exit 3; }; until test -e $W/go; do sleep 0.02; done' } }",
    );
    let up = world.start_up();
    wait_until("the first attempt", || world.ledger().len() == 1);
    up.kill();
    let journal = world.home().journal();
    let copy = |to_old: bool| {
        for name in ["journal.db", "journal.db-wal"] {
            let (now, old) = (journal.with_file_name(name), world.root().join(format!("old-{name}")));
            let (from, to) = if to_old { (now, old) } else { (old, now) };
            if from.exists() {
                fs::copy(from, to).unwrap();
            }
        }
    };
    copy(true);
    let up = world.start_up();
    wait_until("the second attempt", || world.ledger().len() == 2);
    world.await_task("a", "in_progress");
    up.kill();
    for name in ["journal.db", "journal.db-wal", "journal.db-shm"] {
        let path = journal.with_file_name(name);
        if path.exists() {
            fs::remove_file(path).unwrap();
        }
    }
    copy(false);
    let up = world.start_up();
    world.await_worker("a.2", "stale-registry");
    world.await_task("a", "ready");
    let why = world.run(&["why", "a"]).exits(0).stdout;
    assert!(why.contains("`a.2`, which was found and isn't in this journal, to end"), "{why}");
    assert!(why.contains("decide a rerun"), "{why}");
    world.run(&["decide", "a", "rerun"]).exits(0);
    wait_until("the third attempt", || world.ledger().len() == 3);
    world.touch("go");
    up.wait().exits(0);
    assert_eq!(world.ledger(), ["a.1", "a.2", "a.3"]);
    let token = |worker: &str| -> u64 {
        let text = fs::read_to_string(world.mail(worker).join("assignment.json")).unwrap();
        serde_json::from_str::<serde_json::Value>(&text).unwrap()["token"].as_u64().unwrap()
    };
    assert!(token("a.1") < token("a.2") && token("a.2") < token("a.3"));
}
