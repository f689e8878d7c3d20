//! What `--json` prints, as JSON Schemas (2020-12): one document for each command that reads.
//!
//! Closed: a key that isn't here is no part of the promise, and a test holds real outputs
//! against them. What a worker or an adapter may shape (outputs, facts, an event's own fields)
//! is left open and said to be. It leaves out files that workers write, which are the protocol's.

use serde_json::{Map, Value, json};

use crate::engine::task_table::TaskPhase;
use crate::engine::worker_table::WorkerPhase;

/// The dialect that editors know best.
const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// `status --json`; with `--watch` one such document a line.
#[must_use]
pub fn status() -> Value {
    let data = object(vec![
        ("run", refer("run")),
        ("tasks", list(refer("task"))),
        ("workers", list(refer("worker"))),
        ("budget", refer("budget")),
    ]);
    document("status", data, &["run", "task", "question", "verdict", "worker", "budget"])
}

/// `workers --json`.
#[must_use]
pub fn workers() -> Value {
    document("workers", list(refer("worker")), &["worker"])
}

/// `runs --json`, oldest first.
#[must_use]
pub fn runs() -> Value {
    document("runs", list(refer("run")), &["run"])
}

/// `why TASK --json`.
#[must_use]
pub fn why() -> Value {
    let link =
        vec![("task", text()), ("state", task_state()), ("reason", text()), ("since", or_null(time()))];
    let gate = vec![
        ("verdict", words(&["deny", "approve", "defer", "limited"])),
        ("stage", text()),
        ("until", or_null(time())),
    ];
    let data = object(vec![
        ("task", text()),
        ("state", task_state()),
        ("reason", text()),
        ("since", or_null(time())),
        ("attempt", whole()),
        ("attempts_allowed", whole()),
        ("worker", or_null(text())),
        ("waits_for", list(text())),
        ("question", or_null(refer("question"))),
        ("parent", or_null(text())),
        ("submitted", flag()),
        ("trust", words(&["trusted", "untrusted"])),
        ("gate", or_null(object(gate))),
        ("chain", told(list(object(link)), "From the task to the one where its state begins.")),
        ("observed", object(vec![("by", text()), ("at", or_null(time()))])),
        ("change", told(text(), "What would change the state, in words.")),
        ("next", told(list(text()), "Commands to type.")),
        ("job", or_null(object(vec![("id", text()), ("node", text()), ("folder", text())]))),
        ("drift", or_null(refer("drift"))),
        ("restore", told(list(text()), "Commands that bring a worktree back that is gone.")),
    ]);
    document("why", data, &["drift", "question"])
}

/// `evidence TASK --json`, with `--recheck`, and `evidence --export --json`.
#[must_use]
pub fn evidence() -> Value {
    let rechecked = object(vec![
        ("kind", text()),
        ("recorded", verdict_word()),
        ("recheck", words(&["same", "differs", "gone", "unknown"])),
        ("reason", text()),
    ]);
    let again = object(vec![
        ("task", text()),
        ("attempt", whole()),
        ("items", list(rechecked.clone())),
        ("conditions", list(rechecked)),
    ]);
    let export = object(vec![("run", text()), ("files", list(text())), ("without_statement", list(text()))]);
    let data = json!({"anyOf": [record(), again, export]});
    document("evidence", data, &["drift"])
}

fn record() -> Value {
    let item = open(
        vec![
            ("kind", text()),
            ("verdict", verdict_word()),
            ("reason", text()),
            ("checked_at", or_null(time())),
        ],
        "The facts of its kind stand beside these.",
    );
    let place =
        vec![("kind", text()), ("id", text()), ("path", or_null(text())), ("branch", or_null(text()))];
    let counts =
        vec![("files", whole()), ("added", whole()), ("removed", whole()), ("patch_id", or_null(text()))];
    let report = vec![
        ("at", or_null(time())),
        ("status", text()),
        ("summary", text()),
        ("reason", or_null(text())),
        ("outputs", json!({"type": "object"})),
        ("evidence", json!({"type": "array"})),
        ("sha256", text()),
    ];
    let refused = vec![("at", or_null(time())), ("code", text()), ("detail", text()), ("sha256", text())];
    let snapshot = vec![("commit", text()), ("tip", text()), ("uncommitted", list(text()))];
    let decision = vec![("at", or_null(time())), ("kind", text()), ("reason", text())];
    object(vec![
        ("task", text()),
        ("attempt", whole()),
        ("worker", or_null(text())),
        ("token", or_null(whole())),
        ("start", or_null(text())),
        ("claimed_at", or_null(time())),
        ("ended_at", or_null(time())),
        ("exit", or_null(object(vec![("code", or_null(integer())), ("signal", or_null(integer()))]))),
        ("session", or_null(object(place.clone()))),
        ("workspace", or_null(object(place))),
        ("snapshot", or_null(object(snapshot))),
        ("change", or_null(object(counts))),
        ("waived", or_null(text())),
        ("items", list(item.clone())),
        ("conditions", list(item)),
        ("report", told(or_null(object(report)), "What its worker claimed. Never proof.")),
        ("refuted", or_null(text())),
        ("refused", list(object(refused))),
        ("decisions", list(object(decision))),
        ("drift", refer("drift")),
    ])
}

/// One line of `events --json` and of `up --output json`: no envelope.
#[must_use]
pub fn events() -> Value {
    let kind =
        json!({"type": "string", "pattern": "^(run|task|worker|claim|report|evidence|input)\\.[a-z_-]+$"});
    let mut schema = open(
        vec![
            ("seq", whole()),
            ("at", or_null(time())),
            ("kind", kind),
            ("task", or_null(text())),
            ("worker", or_null(text())),
            ("reason", or_null(text())),
            ("attempt", or_null(whole())),
            ("token", or_null(whole())),
        ],
        "The event's own fields stand beside these.",
    );
    schema["$schema"] = json!(DIALECT);
    schema["title"] = json!("A line of ilchul events --json");
    schema
}

/// `graph --json`.
#[must_use]
pub fn graph() -> Value {
    let node = vec![
        ("id", text()),
        ("kind", text()),
        ("parent", or_null(text())),
        ("submitted_by", or_null(text())),
        ("state", or_null(task_state())),
        ("pruned", flag()),
        ("step", whole()),
        ("stands_for", or_null(text())),
    ];
    let edge = vec![
        ("from", text()),
        ("to", text()),
        ("when", when()),
        ("labels", list(text())),
        ("pruned", flag()),
    ];
    let data = object(vec![
        ("workflow", text()),
        ("run", or_null(text())),
        ("nodes", list(object(node))),
        ("edges", list(object(edge))),
    ]);
    document("graph", data, &[])
}

/// `logs TASK --json`.
#[must_use]
pub fn logs() -> Value {
    let data = object(vec![
        ("task", text()),
        ("attempt", whole()),
        ("worker", text()),
        ("path", text()),
        ("text", told(text(), "Its end, made safe to show.")),
        ("whole", told(flag(), "That is all of it.")),
    ]);
    document("logs", data, &[])
}

/// `plan --json`.
#[must_use]
pub fn plan() -> Value {
    let need = object(vec![("task", text()), ("when", when())]);
    let base = vec![("task", or_null(text())), ("commit", or_null(text())), ("written", or_null(text()))];
    let task: Vec<Field> = vec![
        ("id", text()),
        ("step", whole()),
        ("needs", list(need)),
        ("when", when()),
        ("base", or_null(object(base))),
        ("branches", json!({"type": "object", "additionalProperties": list(text())})),
        ("submit", told(or_null(list(text())), "The line that would submit its job to a cluster.")),
    ];
    let agent = vec![
        ("name", text()),
        ("adapter", text()),
        ("version", or_null(text())),
        ("tried", flag()),
        ("mode", words(&["headless", "terminal"])),
        ("access", words(&["read-only", "worktree", "full"])),
        ("model", or_null(text())),
    ];
    let prompt = vec![("task", text()), ("agent", text()), ("adapter", text()), ("text", text())];
    let data = object(vec![
        ("workflow", text()),
        ("file", text()),
        ("base", object(vec![("commit", text()), ("written", text()), ("uncommitted", list(text()))])),
        ("session", object(vec![("kind", text()), ("reason", text()), ("notice", or_null(text()))])),
        ("workers", whole()),
        ("lacking", told(list(text()), "What jobs on a cluster won't have of these surroundings.")),
        ("agents", list(object(agent))),
        ("prompts", told(or_null(list(object(prompt))), "With `--prompts`.")),
        ("limits", told(json!({"type": "object"}), "As the workflow's `limits`; times in milliseconds.")),
        ("order", words(&["critical", "fifo"])),
        ("home", text()),
        ("home_exists", flag()),
        ("setup", or_null(json!({"type": "object"}))),
        ("tasks", list(object(body(task)))),
        ("adoption", or_null(json!({"type": "object"}))),
        ("warnings", list(json!({"type": "object"}))),
    ]);
    document("plan", data, &["made"])
}

/// What a task of a file and one that is made have in common, behind `more`.
fn body(mut more: Vec<Field>) -> Vec<Field> {
    let item = object(vec![("kind", text()), ("words", text()), ("until", flag())]);
    let budget = object(vec![("tokens", or_null(number())), ("usd", or_null(number()))]);
    more.extend([
        ("kind", text()),
        ("what", text()),
        ("workspace", words(&["worktree", "none"])),
        ("evidence", list(item)),
        ("waived", or_null(text())),
        ("timeout_ms", whole()),
        ("attempts", whole()),
        ("retain", flag()),
        ("makes", list(refer("made"))),
        ("budget", budget),
    ]);
    more
}

/// `page FILE --json`.
#[must_use]
pub fn page() -> Value {
    document("page", object(vec![("run", text()), ("file", text()), ("bytes", whole())]), &[])
}

/// What several documents share, by name.
fn shared(name: &str) -> Value {
    match name {
        "run" => object(vec![
            ("id", text()),
            ("workflow", text()),
            ("state", words(&["running", "interrupted", "ended"])),
            ("base", text()),
            ("started_at", or_null(time())),
            ("ended_at", or_null(time())),
            ("halted", or_null(words(&["wall", "breaker"]))),
        ]),
        "task" => object(vec![
            ("id", text()),
            ("kind", text()),
            ("parent", or_null(text())),
            ("state", task_state()),
            ("reason", text()),
            ("since", or_null(time())),
            ("attempt", whole()),
            ("worker", or_null(text())),
            ("head", or_null(text())),
            ("question", or_null(refer("question"))),
            ("until", told(or_null(time()), "Not before that.")),
            ("evidence", list(refer("verdict"))),
            ("conditions", list(refer("verdict"))),
        ]),
        "verdict" => object(vec![("kind", text()), ("verdict", verdict_word()), ("reason", text())]),
        "question" => object(vec![
            ("status", text()),
            ("text", text()),
            ("n", whole()),
            ("worker", text()),
            ("since", or_null(time())),
            ("attach", told(text(), "A command to type.")),
            ("answer", told(text(), "A command to type.")),
        ]),
        "worker" => worker(),
        "budget" => {
            let line = object(vec![
                ("total", or_null(number())),
                ("used", number()),
                ("reserved", number()),
                ("left", or_null(number())),
            ]);
            let bounded = or_null(line.clone());
            object(vec![
                ("attempts", line.clone()),
                ("tasks", bounded.clone()),
                ("workers", line),
                ("wall", told(bounded.clone(), "In seconds.")),
                ("tokens", bounded.clone()),
                ("usd", bounded),
            ])
        }
        "drift" => {
            let change = object(vec![("kind", text()), ("names", list(text())), ("more", whole())]);
            object(vec![("changes", list(change)), ("unseen", or_null(text()))])
        }
        "made" => {
            object(body(vec![("role", text()), ("count", whole()), ("first", text()), ("last", text())]))
        }
        // A name that isn't here is a bug of ours, which nothing validates against.
        _ => json!(false),
    }
}

fn worker() -> Value {
    let phases: Vec<&str> = WorkerPhase::ALL.into_iter().map(WorkerPhase::word).collect();
    let size = || or_null(whole());
    let sizes = object(vec![("source", size()), ("regenerable", size()), ("unknown", size())]);
    let close = object(vec![
        ("verdict", words(&["safe", "not safe", "unknown"])),
        ("reasons", list(text())),
        ("sizes", sizes),
    ]);
    object(vec![
        ("id", text()),
        ("task", text()),
        ("attempt", whole()),
        ("state", words(&phases)),
        ("reason", text()),
        ("restore", list(text())),
        ("close", or_null(close)),
        ("session", object(vec![("kind", or_null(text())), ("id", or_null(text()))])),
        ("node", or_null(text())),
        ("job_folder", or_null(text())),
        ("tree", or_null(text())),
        ("branch", or_null(text())),
        ("pid", or_null(whole())),
        ("last_heartbeat_at", or_null(time())),
    ])
}

type Field = (&'static str, Value);

/// A command's whole document: its data, or an error.
fn document(command: &str, data: Value, names: &[&str]) -> Value {
    let error = json!({
        "type": "object",
        "properties": {"code": text(), "message": text(), "hint": text(), "details": true},
        "required": ["code", "message", "hint"],
        "additionalProperties": false,
    });
    let version = json!({"const": 1});
    let good =
        object(vec![("schema_version", version.clone()), ("ok", json!({"const": true})), ("data", data)]);
    let bad = object(vec![("schema_version", version), ("ok", json!({"const": false})), ("error", error)]);
    let mut schema = json!({
        "$schema": DIALECT,
        "title": format!("ilchul {command} --json"),
        "oneOf": [good, bad],
    });
    let shared: Map<String, Value> = names.iter().map(|name| ((*name).to_owned(), shared(name))).collect();
    if !shared.is_empty() {
        schema["$defs"] = Value::Object(shared);
    }
    schema
}

/// An object with these keys, all of them and no other.
#[expect(clippy::needless_pass_by_value, reason = "it becomes a part of what is made")]
fn object(fields: Vec<Field>) -> Value {
    let required: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
    let properties: Map<String, Value> =
        fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
}

/// An object with at least these keys.
fn open(fields: Vec<Field>, why: &str) -> Value {
    let mut schema = object(fields);
    schema["additionalProperties"] = json!(true);
    told(schema, why)
}

fn told(mut schema: Value, why: &str) -> Value {
    schema["description"] = json!(why);
    schema
}

fn refer(name: &str) -> Value {
    json!({"$ref": format!("#/$defs/{name}")})
}

#[expect(clippy::needless_pass_by_value, reason = "it becomes a part of what is made")]
fn list(items: Value) -> Value {
    json!({"type": "array", "items": items})
}

#[expect(clippy::needless_pass_by_value, reason = "it becomes a part of what is made")]
fn or_null(schema: Value) -> Value {
    json!({"anyOf": [schema, {"type": "null"}]})
}

fn words(words: &[&str]) -> Value {
    json!({"enum": words})
}

fn task_state() -> Value {
    words(&TaskPhase::ALL.map(TaskPhase::word))
}

fn verdict_word() -> Value {
    words(&["verified", "refuted", "unverifiable"])
}

fn when() -> Value {
    words(&["completed", "partial", "terminal", "optional", "failed"])
}

fn text() -> Value {
    json!({"type": "string"})
}

/// RFC 3339, in UTC.
fn time() -> Value {
    json!({"type": "string", "format": "date-time", "pattern": "Z$"})
}

fn whole() -> Value {
    json!({"type": "integer", "minimum": 0})
}

fn integer() -> Value {
    json!({"type": "integer"})
}

fn number() -> Value {
    json!({"type": "number"})
}

fn flag() -> Value {
    json!({"type": "boolean"})
}
