//! `approval`: a task waits for a person, and for nobody else.

use ilchul::engine::event::Event;
use serde_json::Value;

use super::evidence::reporter;
use super::world::{World, wait_until};

const ASKS: &str = "evidence: [ { artifact: out.txt }, { approval: { message: 'Ship it?' } } ]";

/// Work that waits until the test lets it go on.
const GATED: &str = "'while ! test -e $W/go; do sleep 0.05; done; echo x > out.txt'";

/// A task that shows what it must and then asks.
fn asking() -> World {
    World::with(&format!("tasks:\n  a:\n    run: echo x > out.txt\n    {ASKS}\n"))
}

/// The state as people and scripts see it.
fn status(world: &World) -> Value {
    let ran = world.run(&["status", "--json"]).exits(0);
    serde_json::from_str::<Value>(&ran.stdout).unwrap()["data"]["tasks"][0].clone()
}

fn waits(world: &World) -> bool {
    world.run_id().is_some()
        && status(world)["reason"].as_str().is_some_and(|why| why.starts_with("approval: "))
}

/// Who answered what, as the journal tells it.
fn answers(world: &World) -> Vec<(String, Value)> {
    let answer = |event: &Event| match event {
        Event::Evidence(event) if event.checked.is_answer() => {
            Some((event.checked.reason.clone(), event.checked.facts.get("who")?.clone()))
        }
        _ => None,
    };
    world.events().iter().filter_map(answer).collect()
}

fn me() -> String {
    let user = nix::unistd::User::from_uid(nix::unistd::Uid::current()).unwrap();
    user.unwrap().name
}

#[test]
fn a_task_waits_for_a_person_and_says_everywhere_what_to_type() {
    let world = asking();
    let up = world.start_up();
    wait_until("the question", || waits(&world));
    let typed = "ilchul approve a, or ilchul deny a";
    assert_eq!(status(&world)["reason"], format!("approval: Ship it? ({typed})"));
    assert_eq!(status(&world)["state"], "verifying");
    let text = world.run(&["status"]).exits(0).stdout;
    assert!(
        text.contains(&format!(
            "`a` waits for your approval: Ship it? Look: ilchul evidence a. Answer: {typed}"
        )),
        "{text}"
    );
    let why = world.run(&["why", "a"]).exits(0).stdout;
    assert!(why.contains("Next: ilchul approve a\nNext: ilchul deny a\n"), "{why}");
    let waited = world.run(&["wait", "--timeout", "0"]).exits(4).stderr;
    assert!(waited.contains("Ship it?"), "{waited}");
    let said = world.run(&["approve", "a", "--reason", "it reads well"]).exits(0).stdout;
    assert_eq!(said, "`a` is approved.\n");
    let ran = up.wait().exits(0);
    assert!(
        ran.stderr.contains(&format!("! a  waits for your approval: Ship it? ({typed})")),
        "{}",
        ran.stderr
    );
    assert_eq!(answers(&world), [(format!("approved by {}: it reads well", me()), me().into())]);
}

#[test]
fn whoever_waits_for_the_task_is_told_when_it_asks() {
    let world = World::with(&format!("tasks:\n  a:\n    run: {GATED}\n    {ASKS}\n"));
    let up = world.start_up();
    wait_until("its work", || world.run_id().is_some() && status(&world)["state"] == "in_progress");
    let said = world.root().join("said");
    let mut wait = world.ilchul(&["wait", "a"]);
    let wait = wait.stdout(std::process::Stdio::null()).stderr(std::fs::File::create(&said).unwrap());
    let mut wait = wait.spawn().unwrap();
    std::fs::write(world.root().join("go"), "").unwrap();
    wait_until("its word", || {
        std::fs::read_to_string(&said).unwrap()
            == "`a` waits for your approval: Ship it? (ilchul approve a, or ilchul deny a)\n"
    });
    world.run(&["approve", "a"]).exits(0);
    assert_eq!(wait.wait().unwrap().code(), Some(0));
    up.wait().exits(0);
}

#[test]
fn denied_it_is_repaired_or_failed_and_the_reason_is_handed_on() {
    let world = World::with(&format!(
        "tasks:\n  a:\n    run: 'cp \"$ILCHUL_INPUTS\" out.txt; echo $ILCHUL_ATTEMPT >> out.txt'\n    retries: 1\n    {ASKS}\n"
    ));
    let up = world.start_up();
    wait_until("the question", || waits(&world));
    world.run(&["deny", "a", "--reason", "too loud"]).exits(0);
    wait_until("the second question", || waits(&world) && status(&world)["attempt"] == 2);
    let inputs = std::fs::read_to_string(world.tree("a.2").join("out.txt")).unwrap();
    assert!(inputs.contains(&format!("denied by {}: too loud", me())), "{inputs}");
    world.run(&["deny", "a"]).exits(0);
    up.wait().exits(3);
    assert_eq!(world.told("a"), format!("failed (refuted: approval: denied by {})", me()));
    world.run(&["approve", "a"]).exits(1);
    assert_eq!(answers(&world).len(), 2);
}

#[test]
fn forged_an_approval_that_a_worker_claims_is_none() {
    let claim = "{\"kind\":\"approval\",\"path\":\"out.txt\"}";
    let run = reporter(claim).replace('\n', "\n      ");
    let world = World::with(&format!("tasks:\n  a:\n    run: |\n      {run}\n    {ASKS}\n"));
    world.run(&["up", "--session", "subprocess", "--unattended"]).exits(4);
    assert!(waits(&world), "{}", status(&world));
    assert_eq!(answers(&world), []);
}

#[test]
fn forged_an_approval_that_a_worker_types_is_refused() {
    let ilchul = env!("CARGO_BIN_EXE_ilchul");
    // Its own, too early; then another's, which is asked for.
    let world = World::with(&format!(
        "tasks:\n  a:\n    run: 'echo x > out.txt; {ilchul} approve a || true'\n    {ASKS}\n  \
         b:\n    run: 'while ! test -e $W/go; do sleep 0.05; done; {ilchul} approve a 2> out.txt; test $? = 1'\n    \
         evidence: [ {{ exit: 0 }}, {{ log: {{ pattern: inside_worker, source: out.txt }} }} ]\n"
    ));
    let world_log =
        |task: &str| std::fs::read_to_string(world.tree(task).join("out.txt")).unwrap_or_default();
    let up = world.start(&["up", "--session", "subprocess", "--unattended"]);
    wait_until("the question", || waits(&world));
    std::fs::write(world.root().join("go"), "").unwrap();
    up.wait().exits(4);
    assert!(world_log("b.1").contains("a worker can't answer for a person"), "{}", world_log("b.1"));
    assert!(waits(&world));
    assert_eq!(answers(&world), []);
}

#[test]
fn an_answer_that_nobody_asked_for_is_refused_and_changes_nothing() {
    let world = World::with(&format!("tasks:\n  a:\n    run: {GATED}\n    {ASKS}\n"));
    let up = world.start_up();
    wait_until("its work", || world.run_id().is_some() && status(&world)["state"] == "in_progress");
    for verb in ["approve", "deny"] {
        let refused = world.run(&[verb, "a"]).exits(1).stderr;
        assert!(refused.contains("it is in_progress, and nobody is asked for its approval now"), "{refused}");
    }
    world.run(&["approve", "b"]).exits(1);
    std::fs::write(world.root().join("go"), "").unwrap();
    wait_until("the question", || waits(&world));
    assert_eq!(answers(&world), []);
    world.run(&["approve", "a"]).exits(0);
    up.wait().exits(0);
    let again = world.run(&["deny", "a"]).exits(1).stderr;
    assert!(again.contains("its last attempt was answered already"), "{again}");
    assert_eq!(answers(&world).len(), 1);
}

#[test]
fn nobody_is_asked_where_something_else_is_refuted() {
    let world = World::with(&format!("tasks:\n  a:\n    run: 'true'\n    {ASKS}\n"));
    let ran = world.up().exits(3);
    assert!(!ran.stderr.contains("waits for your approval"), "{}", ran.stderr);
    assert_eq!(world.told("a"), "failed (refuted: artifact: `out.txt` doesn't exist)");
    world.run(&["approve", "a"]).exits(1);
}

#[test]
fn unattended_ends_with_4_and_an_answer_without_a_supervisor_waits_for_the_next() {
    let world = asking();
    let ran = world.run(&["up", "--session", "subprocess", "--unattended"]).exits(4);
    assert!(ran.stderr.contains("Only a person can go on with `a`"), "{}", ran.stderr);
    let words = ran.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        words.contains("waits for your approval: Ship it? (ilchul approve a, or ilchul deny a)"),
        "{words}"
    );
    // Still asked, by whoever comes next, and not checked again.
    let again = world.run(&["up", "--session", "subprocess", "--unattended"]).exits(4);
    assert!(again.stderr.contains("! a  waits for your approval: Ship it?"), "{}", again.stderr);
    let said = world.run(&["approve", "a"]).exits(0).stdout;
    assert_eq!(said, "`a` is approved. No supervisor works: run `ilchul up` to go on.\n");
    world.up().exits(0);
    assert_eq!((world.told("a"), answers(&world).len()), ("completed".to_owned(), 1));
    let kinds: Vec<String> = world.events().iter().map(Event::kind).collect();
    assert_eq!(kinds.iter().filter(|kind| *kind == "evidence.verified").count(), 2, "{kinds:?}");
}

#[test]
fn j7_a_killed_supervisor_neither_loses_an_answer_nor_asks_again() {
    let world = asking();
    let up = world.start_up();
    wait_until("the question", || waits(&world));
    up.kill();
    assert!(waits(&world));
    world.run(&["approve", "a"]).exits(0);
    let ran = world.up().exits(0);
    assert!(!ran.stderr.contains("waits for your approval"), "{}", ran.stderr);
    assert_eq!(answers(&world).len(), 1);
}
