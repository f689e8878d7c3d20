//! Every schema that was ever released opens, and says what it said then.
//!
//! What later programs say besides is no business of an old sample: it is held against what
//! was there when it was made.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::world::World;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/journals")
}

/// All that is in `before` is in `now` too: objects may have got more keys, nothing else.
#[track_caller]
fn holds(now: &Value, before: &Value, at: &str) {
    match (now, before) {
        (Value::Object(now), Value::Object(before)) => {
            for (key, value) in before {
                holds(now.get(key).unwrap_or(&Value::Null), value, &format!("{at}.{key}"));
            }
        }
        (Value::Array(now), Value::Array(before)) => {
            assert_eq!(now.len(), before.len(), "{at}");
            now.iter()
                .zip(before)
                .enumerate()
                .for_each(|(n, (now, before))| holds(now, before, &format!("{at}[{n}]")));
        }
        _ => assert_eq!(now, before, "{at}"),
    }
}

/// Compares, or writes anew under `ILCHUL_BLESS`.
#[track_caller]
fn compare(path: &Path, now: &[Value]) {
    if std::env::var_os("ILCHUL_BLESS").is_some() {
        let text: String = now.iter().map(|value| format!("{value}\n")).collect();
        fs::write(path, text).unwrap();
    }
    let text = fs::read_to_string(path).unwrap();
    let before: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(now.len(), before.len(), "{}", path.display());
    for (n, (now, before)) in now.iter().zip(&before).enumerate() {
        holds(now, before, &format!("{}:{}", path.display(), n + 1));
    }
}

/// The samples by name, without their ending.
fn samples() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> =
        fs::read_dir(fixtures()).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.retain(|path| path.extension().is_some_and(|ending| ending == "db"));
    found.sort();
    found
}

#[test]
fn every_schema_has_a_sample() {
    let names: Vec<String> =
        samples().iter().map(|path| path.file_stem().unwrap().to_string_lossy().into_owned()).collect();
    let wanted: Vec<String> =
        (1..=ilchul::journal::schema::VERSION).map(|version| format!("v{version}")).collect();
    assert_eq!(names, wanted);
}

#[test]
fn j11_every_sample_of_a_schema_opens_forever_and_says_what_it_said() {
    for sample in samples() {
        let world = World::new();
        fs::create_dir(world.home().root()).unwrap();
        fs::copy(&sample, world.home().journal()).unwrap();
        let runs: Value = serde_json::from_str(&world.run(&["runs", "--json"]).exits(0).stdout).unwrap();
        let (mut statuses, mut events) = (Vec::new(), Vec::new());
        for run in runs["data"].as_array().unwrap() {
            let id = run["id"].as_str().unwrap();
            let status = world.run(&["status", "--json", "--run", id]).exits(0).stdout;
            statuses.push(serde_json::from_str::<Value>(&status).unwrap()["data"].take());
            let lines = world.run(&["events", "--json", "--run", id]).exits(0).stdout;
            super::other_fold::fold(&lines).agrees_with(statuses.last().unwrap());
            events.extend(lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()));
        }
        assert!(statuses.len() >= 2, "a sample has several runs");
        compare(&sample.with_extension("status.jsonl"), &statuses);
        compare(&sample.with_extension("events.jsonl"), &events);
    }
}
