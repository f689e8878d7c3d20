//! The canonical form of a task: what shapes its result, and what only says when it runs.
//!
//! Two tasks with one shape that need the same do the same, however their files are written.
//! It leaves out what a difference leads to (`reshape.rs`).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::decide::sha256_hex;
use crate::workflow::{Agent, Task, TaskBase, TaskKind, Workflow};

/// What shapes a task's result, by the key that says so.
pub(super) fn shape(
    flow: &Workflow,
    task: &Task,
    (base, bases): (&str, &BTreeMap<String, String>),
) -> Map<String, Value> {
    let start = match &task.base {
        None => json!({"commit": base}),
        // What a name stood for counts, not how it is written.
        Some(TaskBase::Commit(name)) => json!({"commit": bases.get(name).map_or(base, String::as_str)}),
        Some(TaskBase::Task(id)) => json!({"task": id}),
    };
    let needs: BTreeSet<&str> = task.needs.iter().map(|need| need.task.as_str()).collect();
    let mut shape = Map::new();
    let mut put = |key: &str, value: Value| drop(shape.insert(key.to_owned(), value));
    match &task.kind {
        TaskKind::Run(line) => put("run", json!(line)),
        TaskKind::Argv(argv) => put("argv", json!(argv)),
        TaskKind::Worker(argv) => put("worker", json!(argv)),
        TaskKind::Agent { agent, prompt, model } => {
            // Without its definition: a newer ilchul launches the same agent, perhaps in other words.
            put("agent", json!(flow.agents.get(agent).map(Agent::shape)));
            put("prompt", json!(prompt));
            if model.is_some() {
                put("model", json!(model));
            }
        }
        TaskKind::Reduce(line) => put("reduce", json!(line)),
        TaskKind::Approve(message) => put("approve", json!(message)),
        TaskKind::Loop(body) => put("loop", json!(body.each)),
        TaskKind::Map(map) => put("map", json!([map.task, map.output, map.each])),
        TaskKind::Tournament(cup) => put("tournament", json!(cup)),
    }
    if !task.branches.is_empty() {
        put("classify", json!(task.branches));
    }
    put("base", start);
    put("env", json!(task.env));
    put("evidence", json!(task.evidence));
    put("needs", json!(needs));
    put("workspace", json!(task.workspace));
    shape
}

/// What only says when, how long and how often a task runs: a result stays what it is under others.
pub(super) fn policies(task: &Task) -> Map<String, Value> {
    let when: BTreeMap<&str, _> =
        task.needs.iter().map(|need| (need.task.as_str(), need.when.unwrap_or(task.when))).collect();
    let timeout = u64::try_from(task.timeout.as_millis()).unwrap_or(u64::MAX);
    let all = [
        ("when", json!(when)),
        ("timeout", json!(timeout)),
        ("retries", json!(task.retries)),
        ("retain", json!(task.retain)),
        ("budget", json!(task.budget)),
        ("max", json!(bound(task))),
    ];
    all.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

/// How many children a control task may make at most: a cap on how often, not on what.
pub(super) fn bound(task: &Task) -> Option<u32> {
    match &task.kind {
        TaskKind::Loop(body) => Some(body.max),
        TaskKind::Map(map) => Some(map.max),
        TaskKind::Run(_)
        | TaskKind::Argv(_)
        | TaskKind::Worker(_)
        | TaskKind::Agent { .. }
        | TaskKind::Reduce(_)
        | TaskKind::Approve(_)
        | TaskKind::Tournament(_) => None,
    }
}

/// A map of `serde_json` is sorted by its keys, so equal shapes have equal texts.
pub(super) fn digest(shape: &Map<String, Value>) -> String {
    sha256_hex(Value::Object(shape.clone()).to_string().as_bytes())
}

pub(super) fn differing(old: &Map<String, Value>, new: &Map<String, Value>) -> Vec<String> {
    let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    keys.into_iter().filter(|key| old.get(*key) != new.get(*key)).cloned().collect()
}

/// `its `env` and `run` changed`.
pub(super) fn changed_words(keys: &[String]) -> String {
    let named: Vec<String> = keys.iter().map(|key| format!("`{key}`")).collect();
    let list = match named.as_slice() {
        [head @ .., last] if !head.is_empty() => format!("{} and {last}", head.join(", ")),
        all => all.join(""),
    };
    format!("its {list} changed")
}
