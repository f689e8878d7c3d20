//! The JSON Schemas (2020-12) of the protocol's files, made from the tables that they are read by.
//!
//! Unknown fields are allowed, as the readers allow them. It leaves out rules
//! between fields, and limits of size and depth, which a schema can't say.

use serde_json::{Map, Value, json};

use super::shape::{Field, Kind};
use super::submission::{SubmissionAnswer, SubmissionFile};
use super::wire::Answer;
use super::wire::{Ack, Assignment, ExitRecord, Heartbeat, Launch, Note, Ready, Stop};
use super::{RETRY_AFTER_MAX_S, Report, WORKER_SCHEMA, Wire};

/// The dialect that editors know best.
const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// The schema of `report.json`.
#[must_use]
pub fn report_schema() -> Value {
    let mut schema = document::<Report>();
    schema["$schema"] = json!(DIALECT);
    schema["title"] = json!("ilchul report");
    schema
}

/// The schemas of the other files in mail: one definition each, named after the file.
#[must_use]
pub fn worker_schema() -> Value {
    let files = [
        ("launch", document::<Launch>()),
        ("ready", document::<Ready>()),
        ("assignment", document::<Assignment>()),
        ("ack", document::<Ack>()),
        ("heartbeat", document::<Heartbeat>()),
        ("exit", document::<ExitRecord>()),
        ("answer", document::<Answer>()),
        ("stop", document::<Stop>()),
        ("note", document::<Note>()),
        ("submit", document::<SubmissionFile>()),
        ("submit-result", document::<SubmissionAnswer>()),
    ];
    let any: Vec<Value> = files.iter().map(|(name, _)| json!({"$ref": format!("#/$defs/{name}")})).collect();
    let definitions: Map<String, Value> =
        files.into_iter().map(|(name, file)| (name.to_owned(), file)).collect();
    json!({
        "$schema": DIALECT,
        "title": WORKER_SCHEMA,
        "description": "Files of a worker's mail folder; `report.json` has a schema of its own.",
        "anyOf": any,
        "$defs": definitions,
    })
}

/// A whole document: its fields, and the schema word that says which it is.
fn document<T: Wire>() -> Value {
    let mut schema = object(T::FIELDS);
    schema["properties"]["schema"] = json!({"const": T::SCHEMA});
    if let Some(required) = schema["required"].as_array_mut() {
        required.insert(0, json!("schema"));
    }
    schema
}

/// An object with these fields. An optional one may be `null`, as its reader takes it.
fn object(fields: &[Field]) -> Value {
    let property = |field: &Field| {
        let value = kind(field.kind);
        let value = if field.required { value } else { json!({"anyOf": [value, {"type": "null"}]}) };
        (field.name.to_owned(), value)
    };
    let properties: Map<String, Value> = fields.iter().map(property).collect();
    let required: Vec<&str> = fields.iter().filter(|field| field.required).map(|field| field.name).collect();
    json!({"type": "object", "properties": properties, "required": required})
}

/// What may stand in one field. No look-around in patterns: few validators have it.
fn kind(kind: Kind) -> Value {
    let text = json!({"type": "string"});
    let pattern = |pattern: &str| json!({"type": "string", "pattern": pattern});
    let whole = |least: i64, most: u64| json!({"type": "integer", "minimum": least, "maximum": most});
    match kind {
        Kind::Text => text,
        Kind::Word(words) => json!({"enum": words}),
        Kind::TreePath => {
            json!({"type": "string", "minLength": 1, "not": {"pattern": "^/|(^|/)\\.\\.(/|$)"}})
        }
        Kind::Hash => pattern("^[0-9a-f]{64}$"),
        Kind::ObjectName => pattern("^[0-9a-f]{4,64}$"),
        Kind::Bool => json!({"type": "boolean"}),
        Kind::U64 => whole(0, u64::MAX),
        Kind::U32 => whole(0, u64::from(u32::MAX)),
        Kind::Positive => whole(1, u64::from(u32::MAX)),
        Kind::Seconds => whole(0, RETRY_AFTER_MAX_S),
        Kind::I32 => whole(i64::from(i32::MIN), u64::from(i32::MAX.unsigned_abs())),
        Kind::Amount => json!({"type": "number", "minimum": 0}),
        Kind::Texts => json!({"type": "array", "items": text}),
        Kind::Pids => json!({"type": "array", "items": whole(0, u64::from(u32::MAX))}),
        Kind::Env => json!({
            "type": "object",
            "propertyNames": {"pattern": "^[^=]+$"},
            "additionalProperties": text,
        }),
        Kind::Object => json!({"type": "object"}),
        Kind::Record(fields) => object(fields),
        Kind::Records { fields, max } => json!({"type": "array", "items": object(fields), "maxItems": max}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::Path;

    /// Just enough of a validator for the words that are used here; another word fails the test.
    fn accepts(root: &Value, schema: &Value, value: &Value) -> bool {
        let rules = schema.as_object().unwrap();
        rules.iter().all(|(word, rule)| match word.as_str() {
            "$schema" | "title" | "description" | "$defs" => true,
            "$ref" => {
                accepts(root, root.pointer(rule.as_str().unwrap().trim_start_matches('#')).unwrap(), value)
            }
            "type" => match rule.as_str().unwrap() {
                "object" => value.is_object(),
                "array" => value.is_array(),
                "string" => value.is_string(),
                "boolean" => value.is_boolean(),
                "null" => value.is_null(),
                "number" => value.is_number(),
                "integer" => value.is_u64() || value.is_i64(),
                other => panic!("the type {other}"),
            },
            "const" => rule == value,
            "enum" => rule.as_array().unwrap().contains(value),
            "pattern" => matches(rule, value),
            "not" => !accepts(root, rule, value),
            "minLength" => {
                value.as_str().is_none_or(|text| text.chars().count() as u64 >= rule.as_u64().unwrap())
            }
            "minimum" => value.as_f64().is_none_or(|number| number >= rule.as_f64().unwrap()),
            "maximum" => value.as_f64().is_none_or(|number| number <= rule.as_f64().unwrap()),
            "maxItems" => value.as_array().is_none_or(|items| items.len() as u64 <= rule.as_u64().unwrap()),
            "items" => {
                value.as_array().is_none_or(|items| items.iter().all(|item| accepts(root, rule, item)))
            }
            "required" => {
                let names = rule.as_array().unwrap().iter();
                value
                    .as_object()
                    .is_none_or(|map| names.into_iter().all(|name| map.contains_key(name.as_str().unwrap())))
            }
            "properties" => {
                let known = rule.as_object().unwrap();
                value.as_object().is_none_or(|map| {
                    known
                        .iter()
                        .all(|(name, rule)| map.get(name).is_none_or(|value| accepts(root, rule, value)))
                })
            }
            "additionalProperties" => {
                value.as_object().is_none_or(|map| map.values().all(|value| accepts(root, rule, value)))
            }
            "propertyNames" => {
                value.as_object().is_none_or(|map| map.keys().all(|name| accepts(root, rule, &json!(name))))
            }
            "anyOf" => rule.as_array().unwrap().iter().any(|rule| accepts(root, rule, value)),
            other => panic!("the word {other}"),
        })
    }

    fn matches(pattern: &Value, value: &Value) -> bool {
        let pattern = regex::Regex::new(pattern.as_str().unwrap()).unwrap();
        value.as_str().is_none_or(|text| pattern.is_match(text))
    }

    fn takes(schema: &Value, value: &Value) -> bool {
        accepts(schema, schema, value)
    }

    #[test]
    fn the_schema_and_the_reader_agree_on_every_report_that_is_plain_json() {
        let (schema, mut seen) = (report_schema(), [0, 0]);
        for (folder, valid) in [("valid", true), ("invalid", false)] {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/reports").join(folder);
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let bytes = fs::read(&path).unwrap();
                // What is no JSON, or only wrong below the level of values, is beyond a schema.
                let below = ["duplicate.json", "duplicate-deep.json", "deep.json", "escaped-nul.json"];
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                let Ok(value) = serde_json::from_slice::<Value>(&bytes) else { continue };
                if !name.ends_with(".json") || below.contains(&name.as_str()) {
                    continue;
                }
                assert_eq!(takes(&schema, &value), valid, "{name}");
                assert_eq!(Report::check(&bytes).is_ok(), valid, "{name}");
                seen[usize::from(valid)] += 1;
            }
        }
        assert!(seen[0] >= 8 && seen[1] >= 8, "{seen:?}");
    }

    #[test]
    fn the_schema_and_the_reader_agree_on_paths_hashes_and_numbers() {
        let schema = report_schema();
        let check = |claim: Value, more: Value| {
            let mut report = json!({"schema": "ilchul.report/1", "task": "a", "attempt": 1, "token": 1,
                "status": "done", "summary": "", "evidence": [claim]});
            report.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            let read = Report::check(report.to_string().as_bytes()).is_ok();
            assert_eq!(takes(&schema, &report), read, "{report}");
            read
        };
        for (path, good) in
            [("a/b", true), ("..a/b..", true), ("", false), ("/a", false), ("..", false), ("a/../b", false)]
        {
            assert_eq!(check(json!({"kind": "artifact", "path": path}), json!({})), good, "{path}");
        }
        for (more, good) in [
            (json!({"attempt": 0}), false),
            (json!({"attempt": 4_294_967_296_u64}), false),
            (json!({"token": u64::MAX}), true),
            (json!({"token": -1}), false),
            (json!({"usage": {"usd": -0.5}}), false),
            (json!({"usage": {"tokens": null, "usd": 0}}), true),
            (json!({"status": "ok"}), false),
            (json!({"reason": null, "usage": null}), true),
        ] {
            assert_eq!(check(json!({"kind": "exit"}), more.clone()), good, "{more}");
        }
    }

    #[test]
    fn every_file_of_a_worker_has_a_schema_that_takes_what_its_reader_takes() {
        let schema = worker_schema();
        let check = |name: &str, value: Value, good: bool| {
            let one = schema["$defs"].get(name).unwrap();
            assert_eq!(accepts(&schema, one, &value), good, "{name}: {value}");
        };
        let with = |more: Value| {
            let mut value = json!({"schema": "ilchul.worker/1"});
            value.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            value
        };
        check("ack", with(json!({"token": 7})), true);
        check("ack", json!({"token": 7}), false);
        check("note", with(json!({"note": "x"})), true);
        check("stop", with(json!({})), true);
        check("exit", with(json!({"code": -1, "started_at": "", "ended_at": "", "survivors": [2]})), true);
        check("exit", with(json!({"code": 2_147_483_648_u64, "started_at": "", "ended_at": ""})), false);
        check(
            "assignment",
            with(json!({"run": "r", "task": "t", "attempt": 1, "token": 1, "env": {"A": "b"}})),
            true,
        );
        check(
            "assignment",
            with(json!({"run": "r", "task": "t", "attempt": 1, "token": 1, "env": {"A=": "b"}})),
            false,
        );
        check(
            "heartbeat",
            with(json!({"seq": 1, "at": "", "child": {"pid": 2, "started_at": "", "alive": true}})),
            true,
        );
        check("ready", with(json!({"worker": "a.1", "nonce": "n", "pid": 1, "started_at": ""})), true);
        check("launch", with(json!({"worker": "a.1", "nonce": "n", "mail": "m"})), false);
        assert!(takes(&schema, &with(json!({"token": 7}))));
        assert!(!takes(&schema, &json!([])));
    }
}
