//! Tasks that a worker adds to its run, with the real binary (law D7).

use std::fs;

use ilchul::engine::event::Event;
use serde_json::{Value, json};

use super::world::{PATIENCE, World, wait_for, wait_until};

/// A world whose task `plan` runs this, with these lines before `tasks`.
fn world(before: &str, work: &str) -> World {
    World::with(&format!(
        "{before}tasks:\n  plan:\n    workspace: none\n    run: |\n      {}\n  end: {{ run: 'true', workspace: none, needs: [plan] }}\n",
        work.replace('\n', "\n      ")
    ))
}

fn batch(world: &World, tasks: &Value) {
    fs::write(world.root().join("batch.json"), json!({ "tasks": tasks }).to_string()).unwrap();
}

fn plain(needs: &[&str]) -> Value {
    json!({"run": "echo \"$ILCHUL_TASK\" >> $W/ledger", "workspace": "none", "needs": needs})
}

/// Two tasks that write their names down, the first of them needing the second.
fn two(world: &World) -> Value {
    let text = json!({"pack": plain(&["build"]), "build": plain(&[])}).to_string();
    serde_json::from_str(&text.replace("$W", world.root().to_str().unwrap())).unwrap()
}

fn submitted(world: &World) -> usize {
    world.events().iter().filter(|event| event.kind() == "run.extended").count()
}

#[test]
fn d7_a_worker_submits_a_batch_that_runs_and_is_shown_with_where_it_comes_from() {
    let world = world("", "ilchul submit $W/batch.json --json > $W/answer");
    batch(&world, &two(&world));
    world.up().exits(0);
    assert_eq!(world.ledger(), ["build", "pack"]);
    let answer: Value =
        serde_json::from_str(&fs::read_to_string(world.root().join("answer")).unwrap()).unwrap();
    assert_eq!((&answer["ok"], &answer["data"]["accepted"]), (&json!(true), &json!(true)));
    let mut ids: Vec<&str> =
        answer["data"]["tasks"].as_array().unwrap().iter().map(|id| id.as_str().unwrap()).collect();
    ids.sort_unstable();
    assert_eq!(ids, ["build", "pack"]);
    let tasks = world.data(&["status"])["tasks"].clone();
    let found = |id: &str| tasks.as_array().unwrap().iter().find(|task| task["id"] == id).unwrap().clone();
    assert_eq!((&found("build")["parent"], &found("plan")["parent"]), (&json!("plan"), &Value::Null));
    assert!(world.ok(&["why", "build"]).contains("submitted by `plan`"), "{}", world.ok(&["why", "build"]));
    assert!(world.ok(&["graph"]).contains("build"));
    let told = world.ok(&["events"]);
    assert!(told.contains("plan submitted") && told.contains("submission 1 of plan.1"), "{told}");
}

#[test]
fn d7_a_batch_with_a_bad_forward_edge_is_refused_whole_and_the_worker_is_told_where() {
    let world = world("", "ilchul submit $W/batch.json --json > $W/answer\ntest $? = 1");
    batch(&world, &json!({"a": plain(&[]), "b": plain(&["ghost"]), "c": plain(&[])}));
    world.up().exits(0);
    let answer: Value =
        serde_json::from_str(&fs::read_to_string(world.root().join("answer")).unwrap()).unwrap();
    assert_eq!(
        (&answer["error"]["code"], &answer["error"]["details"]["index"]),
        (&json!("refused"), &json!(1))
    );
    assert!(answer["error"]["message"].as_str().unwrap().contains("no task `ghost`"), "{answer}");
    assert_eq!((world.phases().len(), submitted(&world)), (2, 0));
    let told = world.ok(&["events"]);
    assert!(told.contains("worker.submission-refused") && told.contains("no task `ghost`"), "{told}");
}

#[test]
fn l7_a_submission_under_another_token_plans_nothing_and_the_next_one_does() {
    let forge = r#"printf '{"schema":"ilchul.worker/1","token":999,"tasks":{"forged":{"run":"true"}}}' > "$ILCHUL_MAIL/.tmp/x"
mv "$ILCHUL_MAIL/.tmp/x" "$ILCHUL_MAIL/submit-1.json"
ilchul submit $W/batch.json"#;
    let world = world("", forge);
    batch(&world, &two(&world));
    world.up().exits(0);
    assert!(world.state().task_index("forged").is_none());
    assert_eq!((world.ledger(), submitted(&world)), (vec!["build".to_owned(), "pack".to_owned()], 1));
    let ignored = |event: &Event| matches!(event, Event::Ignored(found) if found.input == "submission" && found.code == "dead_token");
    assert_eq!(world.events().iter().filter(|event| ignored(event)).count(), 1);
}

#[test]
fn d7_the_runs_bounds_refuse_a_batch_whole() {
    for limits in ["limits: { tasks: 3 }\n", "limits: { depth: 0 }\n"] {
        let world = world(limits, "ilchul submit $W/batch.json 2> $W/answer\ntest $? = 1");
        batch(&world, &two(&world));
        world.up().exits(0);
        let answer = fs::read_to_string(world.root().join("answer")).unwrap();
        assert!(answer.contains("denied: "), "{answer}");
        assert_eq!(world.phases().len(), 2);
    }
}

#[test]
fn j7_a_batch_that_nobody_read_before_a_kill_is_answered_by_the_next_life() {
    let world =
        world("", "while [ ! -e $W/go ]; do sleep 0.02; done\nilchul submit $W/batch.json --wait 60s");
    batch(&world, &two(&world));
    let up = world.start_up();
    world.await_task("plan", "in_progress");
    up.kill();
    // The worker lives on, and submits into a mail that nobody reads.
    world.touch("go");
    wait_until("the submission", || world.mail("plan.1").join("submit-1.json").exists());
    assert_eq!(submitted(&world), 0);
    world.up().exits(0);
    assert_eq!((world.ledger(), submitted(&world)), (vec!["build".to_owned(), "pack".to_owned()], 1));
    assert_eq!(world.state().tasks[0].attempt, 1);
}

#[test]
fn j7_a_resumed_run_keeps_what_was_submitted_and_gives_the_same_answer_again() {
    let world = world("", "ilchul submit $W/batch.json\nwhile [ ! -e $W/go ]; do sleep 0.02; done");
    batch(&world, &two(&world));
    let up = world.start_up();
    world.await_task("pack", "completed");
    let answer = world.mail("plan.1").join("submit-1.result.json");
    let first = wait_for("the answer", || fs::read(&answer).ok());
    up.kill();
    // As if the life had ended between the journal and the file.
    fs::remove_file(&answer).unwrap();
    let up = world.start_up();
    assert_eq!(wait_for("the answer again", || fs::read(&answer).ok()), first);
    world.touch("go");
    up.wait().exits(0);
    assert_eq!((world.ledger(), submitted(&world)), (vec!["build".to_owned(), "pack".to_owned()], 1));
}

#[test]
fn what_is_dropped_in_the_tree_is_submitted_too() {
    let work = r#"token=$(sed -n 's/.*"token":\([0-9]*\).*/\1/p' "$ILCHUL_MAIL/assignment.json")
mkdir -p .ilchul
printf '{"schema":"ilchul.worker/1","token":%s,"tasks":{"dropped":{"run":"true"}}}' "$token" > .ilchul/x
mv .ilchul/x .ilchul/submit-1.json
while [ ! -e "$ILCHUL_MAIL/submit-1.result.json" ]; do sleep 0.02; done"#;
    let world =
        World::with(&format!("tasks:\n  plan:\n    run: |\n      {}\n", work.replace('\n', "\n      ")));
    world.up().exits(0);
    assert_eq!(world.told("dropped"), "completed");
}

#[test]
fn an_untrusted_task_may_look_and_answer_but_a_change_of_its_tree_refutes_it() {
    let world = World::with(
        "tasks:\n  reads: { run: 'cat README', trust: untrusted }\n  \
         writes: { run: 'echo x >> README', trust: untrusted }\n  \
         adds: { run: 'echo x > new.txt', trust: untrusted }\n  \
         uses: { needs: [reads], run: 'cat \"$ILCHUL_INPUTS\" > $W/inputs', workspace: none }\n",
    );
    world.up().exits(3);
    assert!(world.told("reads").starts_with("completed"), "{}", world.told("reads"));
    for (task, path) in [("writes", "README"), ("adds", "new.txt")] {
        let told = world.told(task);
        assert!(told.contains("unchanged") && told.contains(path), "{told}");
    }
    let inputs: Value =
        serde_json::from_str(&fs::read_to_string(world.root().join("inputs")).unwrap()).unwrap();
    assert_eq!(inputs["needs"]["reads"]["trust"], "untrusted");
    assert!(world.ok(&["why", "reads"]).contains("untrusted"), "{}", world.ok(&["why", "reads"]));
    assert!(world.ok(&["evidence", "reads"]).contains("untrusted, and its tree is as it was made"));
}

#[test]
fn without_a_supervisor_submit_gives_up_in_time_and_outside_of_a_worker_at_once() {
    let world = world(
        "",
        "while [ ! -e $W/go ]; do sleep 0.02; done\nilchul submit $W/batch.json --wait 1s 2> $W/answer\necho $? > $W/code",
    );
    batch(&world, &two(&world));
    let outside = world.run(&["submit", "batch.json"]).exits(1);
    assert!(outside.stderr.contains("ILCHUL_MAIL"), "{}", outside.stderr);
    let up = world.start_up();
    world.await_task("plan", "in_progress");
    up.kill();
    world.touch("go");
    let code = wait_for("the exit code", || {
        fs::read_to_string(world.root().join("code")).ok().filter(|code| !code.is_empty())
    });
    assert!(PATIENCE.as_secs() > 1 && code.trim() == "4", "{code}");
    world.up();
}
