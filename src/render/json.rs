//! The shapes of `--json` (contract 6): every key always there, an unknown scalar `null`.
//!
//! It leaves out the envelope, which is the command line's.

use serde_json::{Value, json};

use super::runs::RunLine;
use super::words::{attach, respond, task_reason, time};
use super::{Beside, branch};
use crate::engine::evidence::Checked;
use crate::engine::halt::Halt;
use crate::engine::question::Question;
use crate::engine::view::{RunView, TaskView, WorkerView};

/// The document as text in which nothing steers a terminal.
///
/// JSON escapes the oldest control characters by itself; the rest of what
/// [`super::clean`] knows is escaped here. They occur inside strings only.
#[must_use]
pub fn text(value: &Value) -> String {
    let text = value.to_string();
    if !text.chars().any(super::is_raw) {
        return text;
    }
    let mut units = [0; 2];
    text.chars().fold(String::with_capacity(text.len() + 16), |mut out, c| {
        if super::is_raw(c) {
            out.extend(c.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")));
        } else {
            out.push(c);
        }
        out
    })
}

/// The data of `status --json`.
#[must_use]
pub fn status(view: &RunView, held: bool, beside: &Beside) -> Value {
    json!({
        "run": run(&RunLine::of(view, held)),
        "tasks": view.tasks.iter().map(task).collect::<Vec<_>>(),
        "workers": workers(view, beside),
        "budget": view.budget.json(),
    })
}

/// The data of `workers --json`.
#[must_use]
pub fn workers(view: &RunView, beside: &Beside) -> Value {
    view.workers.iter().map(|each| worker(each, beside)).collect()
}

/// One run, as in `status --json` and `runs --json`.
#[must_use]
pub fn run(run: &RunLine) -> Value {
    json!({
        "id": run.id,
        "workflow": run.workflow,
        "state": run.state(),
        "base": run.base,
        "started_at": time(run.started_at.wall_ms),
        "ended_at": run.ended_at.and_then(|at| time(at.wall_ms)),
        "halted": run.halted.map(Halt::word),
    })
}

/// One task, as in `status --json`.
#[must_use]
pub fn task(task: &TaskView) -> Value {
    json!({
        "id": task.id,
        "kind": task.kind,
        "parent": task.parent,
        "state": task.phase.word(),
        "reason": task_reason(task),
        "since": time(task.since.wall_ms),
        "question": task.question.as_ref().map(|question| self::question(&task.id, question)),
        "until": task.gate.as_ref().and_then(|gate| gate.until_ms).and_then(time),
        "attempt": task.attempt,
        "worker": task.worker,
        "head": task.head,
        "evidence": task.evidence.iter().map(verdict).collect::<Vec<_>>(),
        "conditions": task.conditions.iter().map(verdict).collect::<Vec<_>>(),
    })
}

/// What a worker asks, since when, and what to type.
#[must_use]
pub fn question(task: &str, question: &Question) -> Value {
    json!({
        "status": question.status,
        "text": question.text,
        "n": question.n,
        "worker": question.worker,
        "since": time(question.since.wall_ms),
        "attach": attach(&question.worker),
        "answer": respond(task, ""),
    })
}

fn verdict(checked: &Checked) -> Value {
    json!({"kind": checked.kind, "verdict": checked.verdict.word(), "reason": checked.reason})
}

/// One worker, as in `status --json` and `workers --json`.
#[must_use]
pub fn worker(worker: &WorkerView, beside: &Beside) -> Value {
    // Two keys whether or not there is a session yet, so that no reader has to look for them.
    let session = worker.session.as_ref();
    let host = beside.hosts.get(&worker.id);
    json!({
        "id": worker.id,
        "task": worker.task,
        "attempt": worker.attempt,
        "state": worker.phase.word(),
        "reason": beside.reason(worker),
        "restore": beside.gone.get(&worker.id).map(Vec::as_slice).unwrap_or_default(),
        "close": beside.closes.get(&worker.id).map(super::close::json),
        "session": {"kind": session.map(|place| &place.kind), "id": session.map(|place| &place.id)},
        "node": host.map(|host| &host.node),
        "job_folder": host.map(|host| super::shown(&host.folder)),
        "tree": beside.tree(worker),
        "branch": branch(worker),
        "pid": worker.pid,
        "last_heartbeat_at": beside.beat_ms(&worker.id).and_then(time),
    })
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn status_has_the_shape_of_the_contract() {
        let (view, beside) = (sample::view(), sample::beside());
        let found = status(&view, true, &beside);
        let parts =
            [&found["run"], &found["tasks"][0], &found["tasks"][3], &found["workers"][0], &found["budget"]];
        insta::assert_snapshot!(parts.map(Value::to_string).join("\n"), @r#"
        {"base":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","ended_at":null,"halted":null,"id":"20231114-221320-ab12","started_at":"2023-11-14T22:13:20Z","state":"running","workflow":"nightly"}
        {"attempt":1,"conditions":[],"evidence":[{"kind":"exit","reason":"exit code 0","verdict":"verified"},{"kind":"artifact","reason":"a regular file","verdict":"verified"}],"head":"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb","id":"build","kind":"run","parent":null,"question":null,"reason":"verified: 2 items verified","since":"2023-11-14T22:13:30Z","state":"completed","until":null,"worker":"build.1"}
        {"attempt":0,"conditions":[],"evidence":[],"head":null,"id":"pack","kind":"run","parent":null,"question":null,"reason":"waits: task `fix`, which is in_progress","since":"2023-11-14T22:13:30Z","state":"pending","until":null,"worker":null}
        {"attempt":1,"branch":"ilchul/r1/build.1","close":null,"id":"build.1","job_folder":null,"last_heartbeat_at":"2023-11-14T22:13:50Z","node":null,"pid":41,"reason":"retained: its work is over, its tree and session are kept","restore":[],"session":{"id":"%3","kind":"tmux"},"state":"completed-retained","task":"build","tree":"/h/t/build.1"}
        {"attempts":{"left":5,"reserved":0,"total":10,"used":5},"tasks":null,"tokens":null,"usd":null,"wall":null,"workers":{"left":2,"reserved":0,"total":4,"used":2}}
        "#);
    }

    #[test]
    fn a_question_comes_with_its_words_whole_and_with_what_to_type() {
        let mut view = sample::view();
        sample::asks(&mut view, &"which? ".repeat(100));
        let found = status(&view, true, &sample::beside());
        let asked = &found["tasks"][1]["question"];
        assert_eq!(asked["text"], "which? ".repeat(100));
        assert_eq!([&asked["n"], &asked["worker"]], [&json!(2), &json!("fix.1")]);
        assert_eq!(asked["since"], "2023-11-14T22:13:50Z");
        assert_eq!(
            [&asked["attach"], &asked["answer"]],
            ["ilchul attach fix.1", "ilchul answer fix \"...\""]
        );
        let reason = found["tasks"][1]["reason"].as_str().unwrap();
        assert!(reason.starts_with("needs_input: which? which? "), "{reason}");
        assert!(reason.ends_with(" (ilchul answer fix \"...\")"), "what to type is never cut: {reason}");
    }

    #[test]
    fn s8_a_document_steers_no_terminal_and_reads_back_the_same() {
        let value = json!({"a": "x\u{9b}2J\u{7f}\u{202e}\u{1b}[1m", "b": "é"});
        let shown = text(&value);
        assert_eq!(shown, r#"{"a":"x\u009b2J\u007f\u202e\u001b[1m","b":"é"}"#);
        assert_eq!(serde_json::from_str::<Value>(&shown).unwrap(), value);
    }

    #[test]
    fn keys_are_there_and_null_where_nothing_is_known() {
        let view = sample::view();
        let found = status(&view, false, &Beside::default());
        assert_eq!(found["run"]["state"], "interrupted");
        assert_eq!([&found["budget"]["wall"], &found["run"]["halted"]], [&Value::Null, &Value::Null]);
        let provisioning = &found["workers"][2];
        assert_eq!(provisioning["session"], json!({"kind": null, "id": null}));
        for key in ["tree", "branch", "pid", "last_heartbeat_at"] {
            assert!(provisioning.get(key).is_some_and(Value::is_null), "{key}");
        }
    }

    #[test]
    fn a_heartbeats_time_that_is_none_is_null() {
        let mut beside = sample::beside();
        beside.beats.insert("fix.1".to_owned(), "\u{1b}[2Jnow".to_owned());
        let found = workers(&sample::view(), &beside);
        assert_eq!(found[1]["id"], "fix.1");
        assert_eq!(found[1]["last_heartbeat_at"], Value::Null);
    }
}
