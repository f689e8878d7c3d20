//! `ilchul mcp`: the same rules and files as the commands, and nothing that a client says ends it.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, channel};

use serde_json::{Value, json};

use super::world::{PATIENCE, Up, World, wait_until};

/// A server in the place of a worker's child, whose task lasts until `go` is there.
struct Served {
    world: World,
    up: Option<Up>,
    child: Child,
    input: Option<ChildStdin>,
    said: Receiver<String>,
}

impl Served {
    fn new(more: &str) -> Self {
        let world = World::with(&format!(
            "tasks:\n  work:\n    workspace: none\n    run: |\n      env > $W/env.new; mv $W/env.new $W/env\n      while [ ! -e $W/go ]; do sleep 0.02; done\n{more}"
        ));
        let up = world.start_up();
        world.await_task("work", "in_progress");
        let env = world.root().join("env");
        wait_until("the worker's environment", || env.exists());
        let mut command = world.ilchul(&["mcp"]);
        for line in fs::read_to_string(env).unwrap().lines() {
            if let Some((name, value)) = line.split_once('=').filter(|(name, _)| name.starts_with("ILCHUL_"))
            {
                command.env(name, value);
            }
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (input, out) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        let (sender, said) = channel();
        std::thread::spawn(move || out.lines().map_while(Result::ok).all(|line| sender.send(line).is_ok()));
        Self { world, up: Some(up), child, input, said }
    }

    fn write(&mut self, text: &str) {
        self.input.as_mut().unwrap().write_all(format!("{text}\n").as_bytes()).unwrap();
    }

    /// The next message that it says.
    #[track_caller]
    fn hears(&mut self) -> Value {
        serde_json::from_str(&self.said.recv_timeout(PATIENCE).expect("a message")).expect("JSON in one line")
    }

    #[track_caller]
    fn asks(&mut self, text: &str) -> Value {
        self.write(text);
        self.hears()
    }

    #[track_caller]
    fn calls(&mut self, tool: &str, arguments: &Value) -> Value {
        let call = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": tool, "arguments": arguments}});
        let answer = self.asks(&call.to_string());
        assert_eq!(answer["id"], 7, "{answer}");
        answer["result"].clone()
    }

    /// Its input ends, and so does it.
    fn ends(&mut self) {
        self.input = None;
        wait_until("the server's end", || {
            self.child.try_wait().unwrap().is_some_and(|status| status.success())
        });
    }

    fn done(&mut self, code: i32) {
        self.world.touch("go");
        self.up.take().unwrap().wait().exits(code);
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn text(result: &Value) -> &str {
    result["content"][0]["text"].as_str().unwrap()
}

#[test]
fn a_whole_session_from_the_handshake_to_the_report() {
    let mut served =
        Served::new("  end: { needs: [work], workspace: none, run: 'cat \"$ILCHUL_INPUTS\" > $W/inputs' }\n");
    let hello = served.asks(r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}"#);
    assert_eq!((&hello["id"], &hello["result"]["protocolVersion"]), (&json!(0), &json!("2025-06-18")));
    served.write(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
    assert_eq!(
        served.asks(r#"{"jsonrpc":"2.0","id":"p","method":"ping"}"#),
        json!({"jsonrpc": "2.0", "id": "p", "result": {}})
    );
    let tools = served.asks(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#);
    assert_eq!(tools["result"]["tools"].as_array().unwrap().len(), 6);
    assert_eq!(served.calls("inputs", &json!({}))["structuredContent"]["schema"], "ilchul.inputs/1");
    assert_eq!(
        served.calls("note", &json!({"note": "looking\nat it"}))["structuredContent"]["note"],
        "looking at it"
    );
    let reported = served.calls(
        "report",
        &json!({"status": "done", "summary": "by a tool", "outputs": {"n": [1]}, "usage_tokens": 5}),
    );
    assert_eq!((&reported["isError"], text(&reported)), (&json!(false), "Reported `done`."));
    // The first one counts, as with the command.
    let again = served.calls("report", &json!({"status": "failed", "summary": "no"}));
    assert_eq!(again["isError"], true);
    assert!(text(&again).contains("The first report of an attempt counts"), "{again}");
    served.ends();
    served.done(0);
    assert_eq!(served.world.state().tasks[0].summary, "by a tool");
    let inputs = fs::read_to_string(served.world.root().join("inputs")).unwrap();
    assert!(inputs.contains(r#""outputs":{"n":[1]}"#), "{inputs}");
}

#[test]
fn a_question_waits_for_its_answer_while_the_server_answers_others_and_may_be_cancelled() {
    let mut served = Served::new("");
    let ask = |id: u32, question: &str, wait: u32| {
        json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": "needs_input", "arguments": {"question": question, "wait_seconds": wait}}}).to_string()
    };
    served.write(&ask(1, "Which one?", 60));
    served.world.await_task("work", "blocked");
    assert_eq!(served.asks(r#"{"jsonrpc":"2.0","id":2,"method":"ping"}"#)["id"], 2);
    served.world.ok(&["answer", "work", "the first"]);
    let answer = served.hears();
    assert_eq!((&answer["id"], text(&answer["result"])), (&json!(1), "the first"));
    // Cancelled, it says nothing any more; the question stands.
    served.write(&ask(3, "And now?", 60));
    served.world.await_task("work", "blocked");
    served.write(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":3}}"#);
    assert_eq!(served.asks(r#"{"jsonrpc":"2.0","id":4,"method":"ping"}"#)["id"], 4);
    assert_eq!(served.world.data(&["status"])["tasks"][0]["question"]["n"], 2);
    served.world.ok(&["answer", "work", "the second"]);
    // Without a wait it says what to do, and the answer stands in mail.
    let asked = served.calls("needs_input", &json!({"question": "Once more?"}));
    assert!(text(&asked).contains("End your turn") && asked["structuredContent"]["n"] == 3, "{asked}");
    served.world.await_task("work", "blocked");
    served.world.ok(&["answer", "work", "the third"]);
    let mail = served.world.mail("work.1");
    wait_until("the answer", || mail.join("answer-3.json").exists());
    served.ends();
    served.done(0);
}

#[test]
fn a_batch_of_tasks_is_submitted_or_refused_as_by_the_command() {
    let mut served = Served::new("");
    let task = json!({"run": "true", "workspace": "none"});
    let refused =
        served.calls("submit", &json!({"tasks": {"a": task, "b": {"run": "true", "needs": ["ghost"]}}}));
    assert_eq!(refused["isError"], true);
    assert!(text(&refused).contains("no task `ghost`"), "{refused}");
    let planned = served.calls("submit", &json!({"tasks": {"a": task}}));
    assert_eq!((&planned["isError"], &planned["structuredContent"]["tasks"]), (&json!(false), &json!(["a"])));
    served.ends();
    served.done(0);
    assert_eq!(served.world.told("a"), "completed");
}

#[test]
fn whatever_a_client_says_is_answered_or_passed_over_and_the_server_goes_on() {
    let mut served = Served::new("");
    let call = |params: Value| {
        json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).to_string()
    };
    for (text, code) in [
        ("{".to_owned(), -32700),
        ("\u{0}\u{1}\u{fffd}".to_owned(), -32700),
        ("[[[[".repeat(20_000), -32700),
        ("7".to_owned(), -32600),
        (r#"{"jsonrpc":"2.0","id":1,"method":"resources/list"}"#.to_owned(), -32601),
        (call(json!({"name": "sh", "arguments": {"command": "id"}})), -32602),
        (call(json!({})), -32602),
        (call(json!({"name": ["report"]})), -32602),
        (format!("{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"{}\"}}", "x".repeat(3 << 20)), -32600),
    ] {
        let answer = served.asks(&text);
        assert_eq!(answer["error"]["code"], code, "{}", text.chars().take(80).collect::<String>());
    }
    for arguments in [json!([]), json!("x"), json!({"note": {"a": 1}}), json!({"path": "/etc/passwd"})] {
        assert_eq!(served.calls("note", &arguments)["isError"], true, "{arguments}");
    }
    // A file outside of the tree, another task's report, and text that steers a terminal.
    let outside = served
        .calls("report", &json!({"status": "done", "summary": "x", "evidence": ["artifact=/etc/passwd"]}));
    assert_eq!(outside["isError"], true, "{outside}");
    let foreign =
        served.calls("report", &json!({"status": "done", "summary": "x", "task": "other", "token": 1}));
    assert!(text(&foreign).contains("it takes no `t"), "{foreign}");
    served.write("\r");
    served.write(r#"{"jsonrpc":"2.0","method":"tools/call","params":{"name":"report","arguments":{"status":"done","summary":"x"}}}"#);
    let batch = r#"[{"jsonrpc":"2.0","id":5,"method":"ping"},{"jsonrpc":"2.0","method":"x"},{"jsonrpc":"2.0","id":6,"method":"ping"}]"#;
    assert_eq!((&served.asks(batch)["id"], &served.hears()["id"]), (&json!(5), &json!(6)));
    assert!(
        !served.world.mail("work.1").join("report.json").exists(),
        "nothing of all that reported anything"
    );
    served.ends();
    served.done(0);
}

#[test]
fn outside_of_a_worker_the_tools_say_so() {
    let world = World::with("tasks:\n  a: { run: 'true' }\n");
    let mut command = world.ilchul(&["mcp"]);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let line =
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"note","arguments":{"note":"x"}}}"#;
    child.stdin.take().unwrap().write_all(format!("{line}\n").as_bytes()).unwrap();
    let said = super::world::ran(&child.wait_with_output().unwrap()).exits(0);
    assert!(said.stdout.contains("`ILCHUL_MAIL` isn't set") && said.stderr.is_empty(), "{said:?}");
}
