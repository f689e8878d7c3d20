//! Tests of the room as a whole: the fixtures, every rule, and bytes that nobody meant.

mod adapters;
mod bounds;
mod children;
mod control;
mod rules;
mod scalars;
mod shapes;

use std::fs;
use std::path::{Path, PathBuf};

use super::{Errors, Loaded, Workflow, load, render};

/// Files of a folder of fixtures. The folder is found upwards from here, because tests run in the
/// root of their package, which needn't be where this file lies.
fn fixtures(folder: &str) -> Vec<PathBuf> {
    let root = Path::new(file!())
        .ancestors()
        .find(|folder| folder.join("fixtures/workflows").is_dir())
        .expect("fixtures");
    let entries = fs::read_dir(root.join("fixtures/workflows").join(folder)).expect("a folder");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    paths.sort();
    paths
}

fn file_name(path: &Path) -> String {
    path.file_name().expect("a name").to_string_lossy().into_owned()
}

/// A file that must load.
fn good(text: &str) -> Loaded {
    match load("test.yaml", text.as_bytes()) {
        Ok(loaded) => loaded,
        Err(errors) => panic!("{}", render(&errors, false, 100)),
    }
}

/// A file that must not.
fn bad(text: &str) -> Errors {
    load("test.yaml", text.as_bytes()).expect_err("a refused file")
}

/// One task's body, on a line of its own, must load.
fn good_task(body: &str) -> Workflow {
    good(&format!("version: 1\ntasks:\n  a: {{ {body} }}\n")).workflow
}

/// Each problem as `line:column path: message`.
fn said(errors: &Errors) -> Vec<String> {
    let line = |it: &super::Problem| format!("{}:{} {}: {}", it.line, it.column, it.path, it.message);
    errors.problems.iter().map(line).collect()
}

/// The file has exactly these problems.
fn check(text: &str, expected: &[&str]) {
    assert_eq!(said(&bad(text)), expected, "for:\n{text}");
}

#[test]
fn every_invalid_fixture_says_what_its_text_file_says() {
    let paths = fixtures("invalid");
    assert!(paths.len() > 50, "only {} fixtures", paths.len());
    let mut differing = Vec::new();
    for path in paths {
        let text = fs::read(&path).expect("a fixture");
        let errors = load(&file_name(&path), &text).expect_err(&file_name(&path));
        let said = render(&errors, false, 100);
        let expected = path.with_extension("txt");
        if std::env::var_os("ILCHUL_BLESS").is_some_and(|bless| bless == "1") {
            fs::write(&expected, &said).expect("a written file");
        }
        if fs::read_to_string(&expected).ok().as_deref() != Some(&said) {
            differing.push(format!("{}:\n{said}", file_name(&path)));
        }
    }
    assert!(differing.is_empty(), "ILCHUL_BLESS=1 accepts:\n{}", differing.join("\n"));
}

#[test]
fn every_valid_fixture_loads() {
    let paths = fixtures("valid");
    assert!(paths.len() >= 5, "only {} fixtures", paths.len());
    for path in paths {
        let text = fs::read(&path).expect("a fixture");
        if let Err(errors) = load(&file_name(&path), &text) {
            panic!("{}", render(&errors, false, 100));
        }
    }
}

#[test]
fn a_loaded_workflow_survives_being_journaled() {
    for path in fixtures("valid") {
        let text = fs::read(&path).expect("a fixture");
        let loaded = load(&file_name(&path), &text).expect("a workflow").workflow;
        let json = serde_json::to_string(&loaded).expect("json");
        assert_eq!(serde_json::from_str::<Workflow>(&json).expect("a workflow"), loaded);
    }
}

#[test]
fn the_parallel_fixture_has_tasks_that_run_at_once() {
    let path =
        fixtures("valid").into_iter().find(|path| file_name(path) == "parallel.yaml").expect("the fixture");
    let tasks =
        load("parallel.yaml", &fs::read(path).expect("a fixture")).expect("a workflow").workflow.tasks;
    assert!(tasks.len() >= 4);
    let left = tasks.iter().find(|task| task.id == "left").expect("left");
    let right = tasks.iter().find(|task| task.id == "right").expect("right");
    assert_eq!(left.needs, right.needs);
}

/// Every key of a schema, through all tables.
fn schema_keys(schema: &serde_json::Value, into: &mut Vec<String>) {
    if let Some(properties) = schema.get("properties").and_then(serde_json::Value::as_object) {
        into.extend(properties.keys().cloned());
    }
    match schema {
        serde_json::Value::Object(map) => map.values().for_each(|value| schema_keys(value, into)),
        serde_json::Value::Array(list) => list.iter().for_each(|value| schema_keys(value, into)),
        _ => {}
    }
}

#[test]
fn every_key_of_the_schema_is_used_by_the_fixture_that_uses_everything() {
    let mut keys = Vec::new();
    schema_keys(&super::schema(), &mut keys);
    assert!(keys.len() > 40, "{keys:?}");
    assert!(!keys.iter().any(|key| key == "neds"));
    let path = fixtures("valid").into_iter().find(|path| file_name(path) == "everything.yaml").expect("it");
    let text = fs::read_to_string(path).expect("a fixture");
    for key in keys {
        assert!(text.contains(&format!("{key}:")), "`{key}` isn't used");
    }
}

/// Says where a value has keys or shapes that the schema doesn't: enough of JSON Schema for our own.
fn mismatch(
    root: &serde_json::Value,
    schema: &serde_json::Value,
    value: &serde_json::Value,
) -> Option<String> {
    if let Some(target) = schema.get("$ref").and_then(serde_json::Value::as_str) {
        let target = root.pointer(target.trim_start_matches('#')).expect("a definition");
        return mismatch(root, target, value);
    }
    if let Some(choices) = schema.get("anyOf").and_then(serde_json::Value::as_array) {
        let faults: Option<Vec<String>> =
            choices.iter().map(|choice| mismatch(root, choice, value)).collect();
        return faults.map(|faults| faults.join(" or "));
    }
    if let Some(words) = schema.get("enum").and_then(serde_json::Value::as_array) {
        return (!words.contains(value)).then(|| format!("{value} is none of {words:?}"));
    }
    let types = match schema.get("type") {
        Some(serde_json::Value::Array(types)) => types.clone(),
        Some(one) => vec![one.clone()],
        None => Vec::new(),
    };
    let is = match value {
        serde_json::Value::Object(_) => "object",
        serde_json::Value::Array(_) => "array",
        serde_json::Value::String(_) => "string",
        serde_json::Value::Bool(_) => "boolean",
        serde_json::Value::Null => "null",
        serde_json::Value::Number(number) if number.is_f64() => "number",
        serde_json::Value::Number(_) => "integer",
    };
    let fits = types.is_empty() || types.iter().any(|it| it == is || (is == "integer" && it == "number"));
    if !fits {
        return Some(format!("{value} is no {types:?}"));
    }
    if let (Some(pattern), Some(text)) = (schema.get("pattern"), value.as_str()) {
        // The regex crate knows no lookahead; the schema has one, against empty text.
        let pattern = pattern.as_str().expect("a pattern").replace("(?=.)", "");
        if text.is_empty() || !regex::Regex::new(&pattern).expect("a pattern").is_match(text) {
            return Some(format!("{text:?} doesn't match"));
        }
    }
    if let Some(one_of) = schema.get("oneOf").and_then(serde_json::Value::as_array) {
        let has =
            |choice: &serde_json::Value| value.get(choice["required"][0].as_str().expect("a key")).is_some();
        if one_of.iter().filter(|choice| has(choice)).count() != 1 {
            return Some(format!("{value} isn't of exactly one kind"));
        }
    }
    match value {
        serde_json::Value::Array(items) => {
            items.iter().find_map(|item| mismatch(root, schema.get("items")?, item))
        }
        serde_json::Value::Object(fields) => fields.iter().find_map(|(name, field)| {
            match schema.get("properties").and_then(|properties| properties.get(name)) {
                Some(inner) => mismatch(root, inner, field),
                None => match schema.get("additionalProperties")? {
                    serde_json::Value::Bool(_) => Some(format!("unknown key {name}")),
                    inner => mismatch(root, inner, field),
                },
            }
        }),
        _ => None,
    }
}

#[test]
fn valid_fixtures_fit_the_schema_and_a_made_up_key_does_not() {
    let schema = super::schema();
    for path in fixtures("valid") {
        let text = fs::read_to_string(&path).expect("a fixture");
        let text = text.trim_start_matches('\u{feff}');
        let options = serde_saphyr::options! { strict_booleans: true };
        let mut value: serde_json::Value = serde_saphyr::from_str_with_options(text, options).expect("YAML");
        assert_eq!(mismatch(&schema, &schema, &value), None, "{}", file_name(&path));
        value["made_up"] = serde_json::json!(1);
        assert_eq!(mismatch(&schema, &schema, &value), Some("unknown key made_up".to_owned()));
    }
    let wrong = serde_json::json!({ "version": 1, "tasks": { "a": { "run": "x", "neds": ["b"] } } });
    assert_eq!(mismatch(&schema, &schema, &wrong), Some("unknown key neds".to_owned()));
    let wrong = serde_json::json!({ "version": 1, "tasks": { "a": { "run": "x", "argv": ["b"] } } });
    assert!(mismatch(&schema, &schema, &wrong).is_some_and(|fault| fault.contains("exactly one kind")));
}
