//! A worker asks, a person answers, and the worker goes on: once each, whoever drives the run.

use std::fs;
use std::io::Write as _;
use std::process::Stdio;

use serde_json::{Value, json};

use super::world::{World, ran, wait_for, wait_until};

/// A world whose task `ask` runs this.
pub fn world(work: &str) -> World {
    World::with(&format!(
        "tasks:\n  ask:\n    workspace: none\n    run: |\n      {}\n",
        work.replace('\n', "\n      ")
    ))
}

/// Asks, waits, and writes the answer down.
pub const ASKS: &str = "answer=$(ilchul report --status needs_input --reason 'Which one?' --wait)\necho \"heard $answer\" >> $W/ledger";

#[test]
fn an_answer_reaches_a_worker_that_waits_for_it() {
    let world = world(ASKS);
    let up = world.start_up();
    world.await_task("ask", "blocked");
    let status = world.ok(&["status"]);
    assert!(status.contains("`ask` has waited for you for "), "{status}");
    assert!(
        status.contains(": Which one? Look: ilchul logs ask. Answer: ilchul answer ask \"...\"\n"),
        "{status}"
    );
    let why = world.ok(&["why", "ask"]);
    assert!(why.contains("Next: ilchul answer ask \"...\"\n") && why.contains("Which one?"), "{why}");
    let data = world.data(&["status"]);
    let question = &data["tasks"][0]["question"];
    assert_eq!(
        (&question["text"], &question["n"], &question["worker"]),
        (&json!("Which one?"), &json!(1), &json!("ask.1"))
    );
    assert_eq!(world.data(&["why", "ask"])["question"], *question);

    let said = world.ok(&["answer", "ask", "the second\none"]);
    assert_eq!(said, "`ask` is answered, and goes on.\n");
    let told = up.wait().exits(0).stderr;
    let asked = "! ask  waits for you: Which one? (ilchul logs -f ask, or ilchul answer ask \"...\")";
    assert!(told.contains(asked), "{told}");
    assert!(told.contains("goes on, answered by "), "{told}");
    assert_eq!(world.ledger(), ["heard the second", "one"]);
    let events = world.ok(&["events"]);
    assert!(events.contains("answer 1 by ") && events.contains(": the second one"), "{events}");
    let file: Value =
        serde_json::from_slice(&fs::read(world.mail("ask.1").join("answer-1.json")).unwrap()).unwrap();
    assert_eq!(
        (&file["schema"], &file["n"], &file["text"]),
        (&json!("ilchul.worker/1"), &json!(1), &json!("the second\none"))
    );
    // So that nobody hands it over once more.
    assert!(world.mail("ask.1").join("taken-1.json").exists());
    assert_eq!(world.data(&["status"])["tasks"][0]["question"], Value::Null);
}

#[test]
fn several_questions_of_one_attempt_each_have_their_own_answer() {
    let world = world(&format!("{ASKS}\n{ASKS}\n{ASKS}"));
    let up = world.start_up();
    world.await_task("ask", "blocked");
    for n in 1..=3 {
        wait_until("the next question", || world.data(&["status"])["tasks"][0]["question"]["n"] == json!(n));
        world.ok(&["answer", "ask", &format!("number {n}")]);
    }
    up.wait().exits(0);
    assert_eq!(world.ledger(), ["heard number 1", "heard number 2", "heard number 3"]);
    assert_eq!(world.state().tasks[0].attempt, 1);
}

#[test]
fn an_answer_is_refused_with_a_reason_where_nobody_asks() {
    let world = world("while [ ! -e $W/go ]; do sleep 0.02; done");
    let up = world.start_up();
    world.await_task("ask", "in_progress");
    let (code, error) = world.refused(&["answer", "ask", "yes"]);
    assert_eq!((code, &error["message"]), (1, &json!("answer `ask`: `ask` asks nothing: it is in_progress")));
    assert_eq!(world.refused(&["answer", "ask", " "]).1["code"], "no_answer");
    assert_eq!(world.refused(&["answer", "nobody", "yes"]).0, 1);
    assert_eq!(world.run(&["answer", "ask"]).code, 2);
    world.touch("go");
    up.wait().exits(0);
    let (_, error) = world.refused(&["answer", "ask", "yes"]);
    assert_eq!(error["message"], "answer `ask`: `ask` asks nothing: it has ended, it is completed");
}

#[test]
fn an_answer_may_come_from_standard_input_and_is_bounded() {
    let world = world(&ASKS.replace("heard $answer", "${#answer}"));
    let up = world.start_up();
    world.await_task("ask", "blocked");
    let say = |bytes: usize| {
        let mut command = world.ilchul(&["answer", "ask", "-"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut text = vec![b'x'; bytes];
        text.push(b'\n');
        // It may have read enough before all is written.
        let _ = child.stdin.take().unwrap().write_all(&text);
        ran(&child.wait_with_output().unwrap())
    };
    assert!(say(65_537).exits(1).stderr.contains("more than 65536 bytes"));
    assert!(say(0).exits(1).stderr.contains("the answer is empty"));
    say(65_536).exits(0);
    up.wait().exits(0);
    assert_eq!(world.ledger(), ["65536"]);
}

#[test]
fn a_worker_cannot_answer_for_a_person() {
    let work = "ilchul report --status needs_input --reason 'May I?' > $W/told\n(cd $W/repo && ilchul --home $W/repo.ilchul answer ask yes) 2> $W/refusal\necho $? >> $W/ledger\nilchul report --wait > $W/heard";
    let world = world(work);
    let up = world.start_up();
    wait_until("the refusal", || world.ledger() == ["1"]);
    let refusal = fs::read_to_string(world.root().join("refusal")).unwrap();
    assert!(refusal.contains("a worker can't answer for a person"), "{refusal}");
    assert!(fs::read_to_string(world.root().join("told")).unwrap().contains("answer-1.json"));
    // What it asked may still be on its way.
    world.await_task("ask", "blocked");
    world.ok(&["answer", "ask", "you may"]);
    up.wait().exits(0);
    assert_eq!(fs::read_to_string(world.root().join("heard")).unwrap(), "you may\n");
}

#[test]
fn a_wait_that_is_too_short_leaves_the_question_and_can_be_gone_on_with() {
    let work = "ilchul report --status needs_input --reason 'Which?' --wait 100ms 2> $W/late\necho $? >> $W/ledger\nilchul report --wait >> $W/ledger";
    let world = world(work);
    let up = world.start_up();
    wait_until("the end of the first wait", || world.ledger() == ["4"]);
    assert!(fs::read_to_string(world.root().join("late")).unwrap().contains("The question stands."));
    world.await_task("ask", "blocked");
    assert_eq!(world.data(&["status"])["tasks"][0]["question"]["n"], 1);
    world.ok(&["answer", "ask", "this"]);
    up.wait().exits(0);
    assert_eq!(world.ledger(), ["4", "this"]);
}

#[test]
fn j6_an_answer_that_nobody_delivered_before_a_kill_is_delivered_by_the_next_life() {
    let world = world(ASKS);
    let up = world.start_up();
    world.await_task("ask", "blocked");
    up.kill();
    // Nobody drives the run: the answer is journaled, and waits.
    let said = world.ok(&["answer", "ask", "so"]);
    assert!(said.contains("No supervisor works: run `ilchul up` to go on."), "{said}");
    assert!(!world.mail("ask.1").join("answer-1.json").exists());
    assert!(
        world.refused(&["answer", "ask", "again"]).1["message"].as_str().unwrap().contains("asks nothing")
    );
    world.up().exits(0);
    assert_eq!((world.ledger(), world.state().tasks[0].attempt), (vec!["heard so".to_owned()], 1));
}

#[test]
fn l16_an_answer_that_is_there_is_never_replaced() {
    let world = world(
        "ilchul report --status needs_input --reason 'Which?' --wait > $W/heard\nwhile [ ! -e $W/go ]; do sleep 0.02; done",
    );
    let up = world.start_up();
    world.await_task("ask", "blocked");
    world.ok(&["answer", "ask", "so"]);
    let file = world.mail("ask.1").join("answer-1.json");
    wait_until("the answer", || file.exists());
    up.kill();
    let held = fs::read_to_string(&file).unwrap().replace("\"so\"", "\"what a reader holds\"");
    fs::write(&file, &held).unwrap();
    let up = world.start_up();
    world.await_resumes(1);
    world.touch("go");
    up.wait().exits(0);
    assert_eq!(fs::read_to_string(&file).unwrap(), held);
}

#[test]
fn l7_an_answer_under_a_dead_token_reaches_nobody() {
    let world = world(
        "[ \"$ILCHUL_ATTEMPT\" = 2 ] || ilchul report --status needs_input --reason 'Which?' --wait 30s || exit 1\necho \"$ILCHUL_ATTEMPT\" >> $W/ledger",
    );
    let up = world.start_up();
    world.await_task("ask", "blocked");
    let worker = world.mail("ask.1");
    world.ok(&["cancel", "ask"]);
    assert_eq!(world.refused(&["answer", "ask", "yes"]).0, 1);
    up.wait().exits(3);
    assert!(!worker.join("answer-1.json").exists());
    // A forged answer for another token isn't taken for one.
    world.ok(&["retry", "ask"]);
    world.up().exits(0);
    assert_eq!(world.ledger(), ["2"]);
}

#[test]
fn unattended_ends_where_only_an_answer_can_go_on() {
    let world = world(ASKS);
    let ran = world.run(&["up", "--session", "subprocess", "--unattended"]).exits(4);
    assert!(ran.stderr.contains("Only a person can go on with `ask`"), "{}", ran.stderr);
    assert!(ran.stdout.contains("Which one?") || ran.stderr.contains("Which one?"), "{ran:?}");
    // A resumed life says again what waits, and what to type.
    let ran = world.run(&["up", "--session", "subprocess", "--unattended"]).exits(4);
    assert!(ran.stderr.contains("waits for you: Which one?"), "{}", ran.stderr);
    let up = world.start_up();
    world.await_resumes(2);
    world.ok(&["answer", "ask", "so"]);
    up.wait().exits(0);
    assert_eq!(world.ledger(), ["heard so"]);
}

#[test]
fn a_worker_without_the_shim_reads_its_answer_from_mail() {
    let script = r#"launch=$(cat "$ILCHUL_LAUNCH"); rm "$ILCHUL_LAUNCH"
field() { printf '%s' "$1" | sed -n "s/.*\"$2\":\"\{0,1\}\([^\",}]*\).*/\1/p"; }
put() { mkdir -p "$ILCHUL_MAIL/.tmp"; cat > "$ILCHUL_MAIL/.tmp/$1"; mv "$ILCHUL_MAIL/.tmp/$1" "$ILCHUL_MAIL/$1"; }
printf '{"schema":"ilchul.worker/1","worker":"%s","nonce":"%s","pid":%s,"started_at":"t"}' "$ILCHUL_WORKER" "$(field "$launch" nonce)" $$ | put ready.json
while [ ! -e "$ILCHUL_MAIL/assignment.json" ]; do sleep 0.02; done
token=$(sed 's/.*"token":\([0-9]*\).*/\1/' "$ILCHUL_MAIL/assignment.json")
say() { printf '{"schema":"ilchul.report/1","task":"%s","attempt":%s,"token":%s,"status":"%s","summary":"s"}' "$ILCHUL_TASK" "$ILCHUL_ATTEMPT" "$token" "$1" | put report.json; }
say needs_input
while [ ! -e "$ILCHUL_MAIL/answer-1.json" ]; do sleep 0.02; done
field "$(cat "$ILCHUL_MAIL/answer-1.json")" text >> $W/ledger
say done
"#;
    let world = World::new();
    let script = script.replace("$W", world.root().to_str().unwrap());
    fs::write(world.root().join("worker"), script).unwrap();
    world.workflow(
        "tasks:\n  own: { worker: [sh, $W/worker], workspace: none, evidence: waived, reason: no exit }\n",
    );
    let up = world.start_up();
    world.await_task("own", "blocked");
    world.ok(&["answer", "own", "by mail"]);
    up.wait().exits(0);
    assert_eq!(world.ledger(), ["by mail"]);
}

#[test]
fn in_tmux_the_question_comes_with_the_way_to_the_terminal() {
    let world = world(ASKS);
    let up = world.start(&["up", "--session", "tmux"]);
    world.await_task("ask", "blocked");
    let status = world.ok(&["status"]);
    assert!(status.contains("Look: ilchul attach ask. Answer: ilchul answer ask \"...\"\n"), "{status}");
    // What is answered is never typed into the pane.
    world.ok(&["answer", "ask", "not by keys"]);
    up.wait().exits(0);
    let screen = wait_for("the log", || fs::read_to_string(world.home().log(&world.run_id()?, "ask.1")).ok());
    assert!(!screen.contains("not by keys"), "{screen}");
    assert_eq!(world.ledger(), ["heard not by keys"]);
}
