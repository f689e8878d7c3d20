//! The reference of the workflow file, made from the schema that `ilchul schema workflow` prints.
//!
//! `scripts/bless --test readme` writes it anew. It leaves out examples: the other guides have them.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use serde_json::Value;

/// What stands above the tables.
const TITLE: &str = "# The workflow file

Every key, from the schema that `ilchul schema workflow` prints for editors. An unknown key is an
error with its line. Rules between keys are told by `ilchul validate`; `ilchul plan` shows what a
file would do. What tasks and evidence are for: `ilchul docs tasks`.

To have it in an editor: `ilchul schema workflow > ilchul.schema.json`, and as the file's first line
`# yaml-language-server: $schema=./ilchul.schema.json`.
";

/// The names of what isn't a table, in words.
const WORDS: [(&str, &str); 4] = [
    ("slug", "an id: `[a-z0-9][a-z0-9_-]{0,62}`"),
    ("duration", "a time: `30m`, `2s`, `1h30m`, `500ms`"),
    ("size", "a size: `2GiB`, `500MB`"),
    ("env", "variables: text, or `null` to pass ilchul's own on"),
];

/// The whole page.
pub fn page(schema: &Value) -> String {
    let mut text = TITLE.to_owned();
    let mut open: VecDeque<(String, Value)> = VecDeque::from([("the file".to_owned(), schema.clone())]);
    let definitions = schema["$defs"].as_object().unwrap();
    let tables = definitions.iter().filter(|(_, table)| table["properties"].is_object());
    open.extend(tables.map(|(name, table)| (format!("`{name}`"), table.clone())));
    while let Some((name, table)) = open.pop_front() {
        let inner = section(&mut text, &name, &table);
        // What stands in one table only follows it.
        inner.into_iter().rev().for_each(|inner| open.push_front(inner));
    }
    text
}

/// One table, and the tables that stand inside of it.
fn section(text: &mut String, name: &str, table: &Value) -> Vec<(String, Value)> {
    let about = table["description"].as_str().unwrap_or_default();
    let _ = write!(text, "\n## {}\n\n{about}\n\n| key | value | meaning |\n|---|---|---|\n", title(name));
    let required: Vec<&str> = list(&table["required"]).iter().filter_map(|key| key.as_str()).collect();
    let mut inner = Vec::new();
    for (key, value) in table["properties"].as_object().unwrap() {
        let path = if name == "the file" { format!("`{key}`") } else { format!("{name} → `{key}`") };
        let kind = kind(value, &path, &mut inner);
        let must = if required.contains(&key.as_str()) { " Required." } else { "" };
        let means = value["description"].as_str().unwrap_or_default();
        let _ = writeln!(text, "| `{key}` | {} | {}{must} |", cell(&kind), cell(means));
    }
    inner
}

fn title(name: &str) -> String {
    if name == "the file" { "The file".to_owned() } else { name.to_owned() }
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// The form of a value in words; tables in it are told in sections of their own.
fn kind(value: &Value, path: &str, inner: &mut Vec<(String, Value)>) -> String {
    if let Some(reference) = value["$ref"].as_str() {
        let name = reference.rsplit('/').next().unwrap();
        let word = WORDS.iter().find(|(known, _)| *known == name);
        return word.map_or_else(|| format!("see `{name}`"), |(_, words)| (*words).to_owned());
    }
    if let Some(only) = value.get("const") {
        return format!("`{only}`");
    }
    let choices = list(&value["anyOf"]);
    if !choices.is_empty() {
        let words: Vec<String> = choices.iter().map(|choice| kind(choice, path, inner)).collect();
        return words.join("; or ");
    }
    let words: Vec<String> =
        list(&value["enum"]).iter().filter_map(|word| Some(format!("`{}`", word.as_str()?))).collect();
    if !words.is_empty() {
        return words.join(", ");
    }
    match value["type"].as_str() {
        Some("array") => format!("list of: {}", kind(&value["items"], path, inner)),
        Some("object") if value["properties"].is_object() => {
            inner.push((path.to_owned(), value.clone()));
            format!("see {path}")
        }
        Some("object") => format!("by name: {}", kind(&value["additionalProperties"], path, inner)),
        Some("boolean") => "`true` or `false`".to_owned(),
        Some("integer") => match (&value["minimum"], &value["maximum"]) {
            (Value::Number(least), Value::Number(most)) => format!("a whole number, {least} to {most}"),
            _ => "a whole number".to_owned(),
        },
        Some("number") => "a number".to_owned(),
        Some("string") => match value["pattern"].as_str() {
            Some(pattern) if pattern.contains("outputs") => "`TASK.outputs.NAME`".to_owned(),
            _ => "text".to_owned(),
        },
        // Any scalar is taken as its text.
        None if value["type"].is_array() => "text".to_owned(),
        Some(_) | None => "anything".to_owned(),
    }
}

#[test]
fn the_reference_of_the_workflow_file_is_that_of_the_program() {
    let printed = Command::new(env!("CARGO_BIN_EXE_ilchul")).args(["schema", "workflow"]).output().unwrap();
    let page = page(&serde_json::from_slice(&printed.stdout).unwrap());
    let path = super::root().join("src/docs/workflow.md");
    if std::env::var_os("ILCHUL_BLESS").is_some() {
        fs::write(&path, &page).unwrap();
    }
    let stands = fs::read_to_string(&path).unwrap_or_default();
    assert!(stands == page, "run `scripts/bless --test readme` and review the difference");
}

#[test]
fn a_schema_becomes_tables_and_inner_tables_follow_theirs() {
    let schema = serde_json::json!({
        "description": "All of it.", "required": ["a"],
        "properties": {
            "a": {"description": "One | two.", "enum": ["x", "y"]},
            "b": {"description": "Inner.", "type": "object", "description": "In.", "properties": {
                "c": {"description": "Deep.", "type": "integer", "minimum": 1, "maximum": 9}}},
        },
        "$defs": {"slug": {"type": "string"}, "item": {"description": "An item.", "properties": {
            "d": {"description": "Many.", "type": "array", "items": {"$ref": "#/$defs/slug"}}}}},
    });
    let page = page(&schema);
    assert!(page.contains("| `a` | `x`, `y` | One \\| two. Required. |"), "{page}");
    let order =
        ["## The file", "## `b`", "| `c` | a whole number, 1 to 9 | Deep. |", "## `item`", "list of: an id"];
    let places: Vec<usize> =
        order.iter().map(|part| page.find(part).unwrap_or_else(|| panic!("{part}: {page}"))).collect();
    assert!(places.is_sorted(), "{page}");
}
