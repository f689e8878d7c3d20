//! What `--json` prints of real runs against the schemas that `ilchul schema` publishes.
//!
//! A validator of somebody else's judges both. It leaves out the files that workers write, whose
//! schemas `src/protocol` holds against its readers.

#![expect(clippy::unwrap_used, reason = "the helpers of a test may panic as the test may")]

#[path = "acceptance/world.rs"]
#[expect(dead_code, reason = "it is shared with tests that need more of it")]
mod world;

use jsonschema::Validator;
use serde_json::{Value, json};
use world::World;

/// Every kind of task, a worker that waits, a failure, a refused report, drift, a bound.
const ALL: &str = "limits: { tokens: 1000, wall: 1h, workers: 3, tasks: 50 }\n\
    tasks:\n\
    \x20 test: { run: 'echo one; exit 1', retries: 1 }\n\
    \x20 fix:\n\
    \x20   needs: [{ task: test, when: failed }]\n\
    \x20   loop: { max: 3, until: { command: 'test $(wc -l < steps) -ge 2' }, each: { run: 'echo x >> steps' } }\n\
    \x20 best:\n\
    \x20   tournament:\n\
    \x20     entrants: 2\n\
    \x20     each: { run: 'echo $ILCHUL_TASK > entry' }\n\
    \x20     judge: { run: 'ilchul report --status done --summary left --output winner=left' }\n\
    \x20 odd: { run: 'echo \"{\" > $ILCHUL_MAIL/report.json; echo drift >> $W/repo/README; sleep 0.5', workspace: none }\n\
    \x20 ship:\n\
    \x20   needs: [fix, best]\n\
    \x20   run: 'echo out > out.txt'\n\
    \x20   evidence: [{ artifact: out.txt }, { diff: { paths: ['*.txt'] } }, { approval: { message: 'Ship it?' } }]\n\
    \x20 tail: { needs: [ship], run: 'true' }\n\
    \x20 never: { needs: [test], run: 'true' }\n";

fn world() -> World {
    let world = World::with(ALL);
    world.run(&["up", "--session", "subprocess", "--unattended"]).exits(4);
    world
}

fn schema(world: &World, name: &str) -> Value {
    serde_json::from_str(&world.ok(&["schema", name])).unwrap()
}

fn validator(schema: &Value) -> Validator {
    jsonschema::options().should_validate_formats(true).build(schema).unwrap()
}

#[track_caller]
fn holds(validator: &Validator, document: &Value, what: &str) {
    let wrong: Vec<String> =
        validator.iter_errors(document).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(wrong.is_empty(), "{what}:\n{}", wrong.join("\n"));
}

/// What each command that reads is asked, by the schema that it promises.
fn asked() -> Vec<(&'static str, Vec<&'static str>)> {
    let tasks = ["test", "fix", "fix-i1", "best", "best-j1", "odd", "ship", "tail", "never"];
    let mut asked = vec![
        ("status", vec!["status"]),
        ("workers", vec!["workers"]),
        ("workers", vec!["workers", "--close"]),
        ("runs", vec!["runs"]),
        ("graph", vec!["graph"]),
        ("graph", vec!["graph", "ilchul.yaml"]),
        ("plan", vec!["plan"]),
        ("logs", vec!["logs", "test"]),
        ("page", vec!["page", "../page.html"]),
        ("evidence", vec!["evidence", "--export", "../out"]),
        ("evidence", vec!["evidence", "ship", "--recheck"]),
        ("evidence", vec!["evidence", "test", "--attempt", "1"]),
    ];
    for task in tasks {
        asked.extend([("why", vec!["why", task]), ("evidence", vec!["evidence", task])]);
    }
    asked
}

#[test]
fn what_every_command_prints_is_what_its_schema_says() {
    let world = world();
    for (name, command) in asked() {
        let validator = validator(&schema(&world, name));
        let ran = world.run(&[&command[..], &["--json"]].concat());
        let found: Value = serde_json::from_str(&ran.stdout).unwrap();
        assert_eq!(found["ok"], true, "{command:?}: {ran:?}");
        holds(&validator, &found, &format!("{command:?}"));
        // Strict both ways: neither a key less nor a key more is promised.
        let mut more = found.clone();
        more["extra"] = json!(1);
        assert!(!validator.is_valid(&more), "{name} lets an unknown key pass");
        let objects = found["data"].as_object().into_iter();
        for key in objects.flat_map(|data| data.keys()) {
            let mut less = found.clone();
            less["data"].as_object_mut().unwrap().remove(key);
            assert!(!validator.is_valid(&less), "{name} lets `{key}` be missing");
        }
    }
}

#[test]
fn every_event_of_a_run_is_a_line_of_its_schema() {
    let world = world();
    let validator = validator(&schema(&world, "events"));
    let lines = world.ok(&["events", "--json"]);
    let mut kinds = std::collections::BTreeSet::new();
    for line in lines.lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        kinds.insert(event["kind"].as_str().unwrap().to_owned());
        holds(&validator, &event, line);
    }
    for kind in [
        "run.started",
        "run.extended",
        "report.refused",
        "evidence.refuted",
        "task.completed",
        "claim.granted",
    ] {
        assert!(kinds.contains(kind), "the run has no {kind}: {kinds:?}");
    }
    assert!(!validator.is_valid(&json!({"seq": 1, "kind": "run.started"})));
}

#[test]
fn an_error_is_one_of_the_same_schema() {
    let world = World::with("tasks: { a: { run: 'true' } }\n");
    let all = ["status", "workers", "why", "graph", "logs", "evidence", "page"];
    world.up().exits(0);
    for name in all {
        let args: &[&str] = match name {
            "why" | "logs" | "evidence" => &["nobody"],
            "page" => &["src"],
            _ => &["--run", "nobody"],
        };
        let ran = world.run(&[&[name], args, &["--json"]].concat()).exits(1);
        let found: Value = serde_json::from_str(&ran.stdout).unwrap();
        assert_eq!(found["ok"], false, "{name}: {ran:?}");
        holds(&validator(&schema(&world, name)), &found, name);
    }
}

#[test]
fn a_run_that_ended_or_never_was_has_the_same_shapes() {
    let world = World::with("tasks: { a: { run: 'true' } }\n");
    holds(
        &validator(&schema(&world, "runs")),
        &serde_json::from_str(&world.ok(&["runs", "--json"])).unwrap(),
        "no run",
    );
    holds(
        &validator(&schema(&world, "graph")),
        &serde_json::from_str(&world.ok(&["graph", "--json"])).unwrap(),
        "a plan",
    );
    world.up().exits(0);
    for (name, args) in [
        ("runs", &["runs"][..]),
        ("status", &["status"]),
        ("workers", &["workers"]),
        ("why", &["why", "a"]),
        ("plan", &["plan"]),
    ] {
        let found = serde_json::from_str(&world.ok(&[args, &["--json"]].concat())).unwrap();
        holds(&validator(&schema(&world, name)), &found, name);
    }
}

#[test]
fn every_schema_is_a_schema_and_is_told_of() {
    let world = World::new();
    let ran = world.run(&["schema", "nothing"]).exits(1);
    let names: Vec<&str> =
        ran.stderr.split('`').skip(1).step_by(2).filter(|name| *name != "nothing").collect();
    assert!(names.len() >= 13, "{names:?}");
    for name in names {
        let schema = schema(&world, name);
        jsonschema::meta::validate(&schema).unwrap_or_else(|error| panic!("{name}: {error}"));
        let _ = validator(&schema);
        assert!(schema["title"].is_string(), "{name}");
    }
}
