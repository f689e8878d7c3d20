//! The JSON Schema (2020-12) of the workflow file, for editors.
//!
//! Made from the table of keys that the reader uses. Rules between keys that a
//! schema can't say well (needs that exist, bounds that depend on each other)
//! are left to `ilchul validate`.

use serde_json::{Map, Value, json};

use super::keys::{self, CONDITIONS, ITEMS, KINDS, PLAIN_KINDS, Shape, Table};

/// The schema as a JSON document.
#[must_use]
pub fn schema() -> Value {
    let mut root = table(&keys::WORKFLOW);
    if let Value::Object(root) = &mut root {
        root.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
        root.insert("title".to_owned(), json!("ilchul workflow"));
        root.insert(
            // What stands in several places, under names that editors show.
            "$defs".to_owned(),
            json!({
                "task": task(),
                "body": body(),
                "nested": table(&keys::NESTED),
                "loop": table(&keys::LOOP),
                "map": table(&keys::MAP),
                "tournament": table(&keys::TOURNAMENT),
                "item": one_of(table(&keys::ITEM), ITEMS),
                "condition": one_of(table(&keys::CONDITION), CONDITIONS),
                "env": {
                    "type": "object",
                    "additionalProperties": { "type": ["string", "number", "boolean", "null"] },
                    "propertyNames": {
                        "pattern": "^[!-<>-~]+$",
                        "not": { "pattern": "^(ILCHUL_|GIT_|TMUX|LD_|PATH$)" },
                    },
                },
                "slug": { "type": ["string", "number"], "pattern": "^[a-z0-9][a-z0-9_-]{0,62}$" },
                "duration": {
                    "type": "string",
                    "pattern": "^(?=.)([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$",
                    "examples": ["30m", "2s", "1h30m", "500ms"],
                },
                "size": {
                    "type": ["string", "integer"],
                    "minimum": 1,
                    "pattern": "^[0-9]+(B|[kKMGT]B|[KMGT]iB)?$",
                    "examples": ["2GiB", "500MB"],
                },
            }),
        );
    }
    root
}

/// The schema of a user's own settings.
#[must_use]
pub fn settings_schema() -> Value {
    let mut root = table(&keys::SETTINGS);
    if let (Value::Object(root), Value::Object(mut shared)) = (&mut root, schema()) {
        root.insert("$schema".to_owned(), shared.remove("$schema").unwrap_or_default());
        root.insert("title".to_owned(), json!("ilchul settings"));
        let used = ["env", "slug", "duration", "size"];
        let defs = shared.get("$defs").and_then(Value::as_object).into_iter().flatten();
        let defs: Map<String, Value> = defs
            .filter(|(name, _)| used.contains(&name.as_str()))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        root.insert("$defs".to_owned(), Value::Object(defs));
    }
    root
}

/// A mapping with fixed keys.
fn table(table: &Table) -> Value {
    let mut properties = Map::new();
    for key in table.keys {
        let mut value = shape(&key.shape);
        if let Value::Object(value) = &mut value {
            value.insert("description".to_owned(), json!(key.doc));
        }
        properties.insert(key.name.to_owned(), value);
    }
    // The same flag that makes the reader miss a key.
    let required: Vec<&str> = table.keys.iter().filter(|key| key.required).map(|key| key.name).collect();
    json!({
        "type": "object",
        "description": table.doc,
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

/// A mapping with exactly one of some keys.
fn one_of(mut value: Value, names: &[&str]) -> Value {
    let choices: Vec<Value> = names.iter().map(|name| json!({ "required": [name] })).collect();
    if let Value::Object(value) = &mut value {
        value.insert("oneOf".to_owned(), json!(choices));
    }
    value
}

/// A task's body, with the rules between keys that a schema can say.
fn task() -> Value {
    let mut value = one_of(table(&keys::TASK), KINDS);
    if let Value::Object(value) = &mut value {
        value.insert(
            "dependentRequired".to_owned(),
            json!({ "agent": ["prompt", "evidence"], "prompt": ["agent"] }),
        );
    }
    value
}

/// A body that one worker does: what else judges it decides whether it needs evidence.
fn body() -> Value {
    let mut value = one_of(table(&keys::BODY), PLAIN_KINDS);
    if let Value::Object(value) = &mut value {
        value.insert("dependentRequired".to_owned(), json!({ "agent": ["prompt"], "prompt": ["agent"] }));
    }
    value
}

/// The tables that stand once each, and are referred to: they are large, or lead back to themselves.
static SHARED: [(&str, &Table); 8] = [
    ("task", &keys::TASK),
    ("body", &keys::BODY),
    ("nested", &keys::NESTED),
    ("loop", &keys::LOOP),
    ("map", &keys::MAP),
    ("tournament", &keys::TOURNAMENT),
    ("item", &keys::ITEM),
    ("condition", &keys::CONDITION),
];

/// The form of a value.
fn shape(shape: &Shape) -> Value {
    match shape {
        Shape::Version => json!({ "const": 1 }),
        // Any scalar is taken as its text, so that `run: true` means the program.
        Shape::Text => json!({ "type": ["string", "number", "boolean"] }),
        Shape::Slug => json!({ "$ref": "#/$defs/slug" }),
        Shape::Flag => json!({ "type": "boolean" }),
        Shape::Count(min, max) => json!({ "type": "integer", "minimum": min, "maximum": max }),
        Shape::Amount => json!({ "type": "number", "exclusiveMinimum": 0 }),
        Shape::Duration => json!({ "$ref": "#/$defs/duration" }),
        Shape::Size => json!({ "$ref": "#/$defs/size" }),
        Shape::Word(words) => json!({ "enum": words }),
        Shape::List(items) => json!({ "type": "array", "items": self::shape(items) }),
        Shape::Env => json!({ "$ref": "#/$defs/env" }),
        Shape::Table(inner) => match SHARED.iter().find(|(_, shared)| std::ptr::eq(*inner, *shared)) {
            Some((name, _)) => json!({ "$ref": format!("#/$defs/{name}") }),
            None => table(inner),
        },
        Shape::Any => json!(true),
        Shape::OutputOf => json!({
            "type": "string",
            "pattern": "^[a-z0-9][a-z0-9_-]{0,62}\\.outputs\\.[A-Za-z0-9_][A-Za-z0-9_-]*$",
        }),
        Shape::Choices(values) => json!({
            "type": "object",
            "minProperties": 1,
            "propertyNames": { "maxLength": 63 },
            "additionalProperties": { "type": "array", "items": self::shape(values) },
        }),
        Shape::Map(values) => json!({
            "type": "object",
            "propertyNames": { "pattern": "^[a-z0-9][a-z0-9_-]{0,62}$" },
            "additionalProperties": self::shape(values),
        }),
        Shape::Either(choices) => {
            let choices: Vec<Value> = choices.iter().map(self::shape).collect();
            json!({ "anyOf": choices })
        }
    }
}
