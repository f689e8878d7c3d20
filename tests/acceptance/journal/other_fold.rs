//! A fold of its own: from the lines of `events --json` to the states that `status` shows.
//!
//! It knows names and fields as the contract names them, and no type of the program. What it
//! leaves out are the words that `status` makes up where an event gives no reason.

use std::collections::BTreeMap;

use serde_json::{Value, json};

const WORKER_STATES: &[&str] = &[
    "provisioning",
    "ready",
    "busy",
    "unhealthy",
    "completed-retained",
    "safe-to-close",
    "stale-registry",
    "cleanup-released",
    "closed",
];

/// One run, folded.
#[derive(Default)]
pub struct Fold {
    run: Value,
    tasks: Vec<Value>,
    workers: BTreeMap<String, Value>,
    last_seq: u64,
}

/// The fold of all lines, oldest first.
pub fn fold(lines: &str) -> Fold {
    let mut fold = Fold::default();
    for line in lines.lines() {
        fold.take(&serde_json::from_str(line).unwrap());
    }
    fold
}

impl Fold {
    fn take(&mut self, event: &Value) {
        let seq = event["seq"].as_u64().unwrap();
        assert!(seq > self.last_seq, "J2: {seq} after {}", self.last_seq);
        self.last_seq = seq;
        let (room, what) = event["kind"].as_str().unwrap().split_once('.').unwrap();
        match room {
            "run" => self.take_run(what, event),
            "task" => self.take_task(what, event),
            "worker" => self.take_worker(what, event),
            "evidence" => self.take_evidence(what, event),
            "claim" | "report" | "input" => {}
            _ => panic!("a kind that nobody named: {event}"),
        }
    }

    fn take_run(&mut self, what: &str, event: &Value) {
        let state = match what {
            "started" => {
                assert!(self.run.is_null(), "J2: one root");
                self.run = json!({"id": event["run"], "workflow": event["workflow"], "base": event["base"],
                    "started_at": event["at"], "ended_at": null, "halted": null});
                let task = |task: &Value| {
                    json!({"id": task["id"], "kind": task["kind"], "state": "pending", "since": event["at"],
                        "reason": null, "attempt": 0, "worker": null, "head": null, "evidence": []})
                };
                self.tasks = event["tasks"].as_array().unwrap().iter().map(task).collect();
                "running"
            }
            "resumed" => "running",
            "interrupted" | "reopened" => "interrupted",
            "ended" => "ended",
            "stopping" => return,
            "halted" => {
                self.run["halted"] = event["by"].clone();
                return;
            }
            _ => panic!("{event}"),
        };
        self.run["state"] = state.into();
        match what {
            "ended" => self.run["ended_at"] = event["at"].clone(),
            "reopened" => (self.run["ended_at"], self.run["halted"]) = (Value::Null, Value::Null),
            _ => {}
        }
    }

    fn task(&mut self, event: &Value) -> &mut Value {
        self.tasks.iter_mut().find(|task| task["id"] == event["task"]).unwrap()
    }

    fn take_task(&mut self, state: &str, event: &Value) {
        let task = self.task(event);
        if task["state"] != state {
            task["since"] = event["at"].clone();
        }
        task["state"] = state.into();
        task["reason"] = event["reason"].clone();
        if state == "claimed" {
            let before = task["attempt"].as_u64().unwrap();
            assert_eq!(event["attempt"], before + 1, "L2: {event}");
            task["attempt"] = event["attempt"].clone();
            task["evidence"] = json!([]);
        }
    }

    fn take_worker(&mut self, what: &str, event: &Value) {
        let id = event["worker"].as_str().unwrap().to_owned();
        if what == "provisioning" {
            assert!(!self.workers.contains_key(&id), "{id} twice");
            let worker = json!({"id": id, "task": event["task"], "attempt": event["attempt"], "pid": null,
                "session": {"kind": null, "id": null}, "tree": null, "branch": null});
            self.workers.insert(id.clone(), worker);
            self.task(event)["worker"] = id.clone().into();
        }
        let worker = self.workers.get_mut(&id).unwrap();
        if WORKER_STATES.contains(&what) {
            worker["state"] = what.into();
        }
        if WORKER_STATES.contains(&what) || what == "session-gone" {
            worker["reason"] = event["reason"].clone();
        }
        match what {
            "ready" if !event["pid"].is_null() => worker["pid"] = event["pid"].clone(),
            "launched" => {
                worker["session"] = json!({"kind": event["session"]["kind"], "id": event["session"]["id"]});
                worker["tree"] = event["workspace"]["fields"]["path"].clone();
                worker["branch"] = event["workspace"]["fields"]["branch"].clone();
            }
            "captured" if !event["snapshot"].is_null() => {
                let task = self.task(event);
                if task["attempt"] == event["attempt"] {
                    task["head"] = event["snapshot"]["commit"].clone();
                }
            }
            _ => {}
        }
    }

    fn take_evidence(&mut self, verdict: &str, event: &Value) {
        let evidence = self.task(event)["evidence"].as_array_mut().unwrap();
        if event["item"] == 0 {
            evidence.clear();
        }
        evidence.push(json!({"kind": event["evidence"], "verdict": verdict, "reason": event["reason"]}));
    }

    /// Holds every field against the data of `status --json`, of a run that nobody drives now.
    #[track_caller]
    pub fn agrees_with(mut self, status: &Value) {
        if self.run["state"] == "running" {
            // Nobody said goodbye: `status` looks at the lock besides.
            self.run["state"] = "interrupted".into();
        }
        same("the run", &self.run, &status["run"]);
        let (tasks, workers) = (status["tasks"].as_array().unwrap(), status["workers"].as_array().unwrap());
        assert_eq!((self.tasks.len(), self.workers.len()), (tasks.len(), workers.len()));
        for (ours, theirs) in self.tasks.iter().zip(tasks) {
            same("a task", ours, theirs);
        }
        for theirs in workers {
            same("a worker", &self.workers[theirs["id"].as_str().unwrap()], theirs);
        }
    }
}

#[track_caller]
fn same(what: &str, ours: &Value, theirs: &Value) {
    for (key, value) in ours.as_object().unwrap() {
        if key == "reason" && value.is_null() {
            assert!(theirs[key].is_string(), "{what}: there is always a reason: {theirs}");
        } else {
            assert_eq!(value, &theirs[key], "`{key}` of {what}:\n{ours}\n{theirs}");
        }
    }
}
