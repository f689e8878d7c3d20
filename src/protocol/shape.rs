//! Which fields a document has and what may stand in them, as data.
//!
//! One table serves reading and explaining, so that `report --check` and the
//! supervisor can't disagree. Every problem of a document is found in one pass.
//! It leaves out rules between fields.

use super::Problem;
use super::RETRY_AFTER_MAX_S;
use super::words::{not_a_word, shown};
use serde_json::{Map, Value};

/// Problems listed at most: a hostile document can't make a long list.
const MAX_PROBLEMS: usize = 100;

/// One field of a document.
#[derive(Debug)]
pub struct Field {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) required: bool,
}

impl Field {
    /// A field that has to be there.
    pub(super) const fn must(name: &'static str, kind: Kind) -> Self {
        Self { name, kind, required: true }
    }

    /// A field that may be missing or `null`.
    pub(super) const fn may(name: &'static str, kind: Kind) -> Self {
        Self { name, kind, required: false }
    }
}

/// What may stand in a field.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// Any text.
    Text,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A path that stays in the tree.
    TreePath,
    /// A SHA-256 in lowercase hexadecimal.
    Hash,
    /// A git object name in hexadecimal, abbreviated or whole.
    ObjectName,
    /// true or false.
    Bool,
    /// A whole number of 64 bits.
    U64,
    /// A whole number of 32 bits.
    U32,
    /// A whole number of 32 bits, from 1.
    Positive,
    /// Whole seconds, up to [`RETRY_AFTER_MAX_S`].
    Seconds,
    /// A whole number of 32 bits with a sign.
    I32,
    /// A number that isn't negative.
    Amount,
    /// A list of texts.
    Texts,
    /// A list of process ids.
    Pids,
    /// Environment variables.
    Env,
    /// Any object.
    Object,
    /// An object with these fields.
    Record(&'static [Field]),
    /// A list of such objects.
    Records {
        /// The fields of each.
        fields: &'static [Field],
        /// Entries at most.
        max: usize,
    },
}

/// All that is wrong with `object`. Optional fields that are `null` are taken out of it.
pub(super) fn check(object: &mut Map<String, Value>, schema: &str, fields: &[Field]) -> Vec<Problem> {
    let mut problems = Vec::new();
    match object.get("schema") {
        None => problems.push(Problem::new(
            "missing_field",
            "schema",
            format!("it is missing, expected `{schema}`"),
        )),
        Some(Value::String(found)) if found == schema => {}
        Some(found) => {
            let message = format!("found {}, expected `{schema}`", shown(found));
            problems.push(Problem::new("wrong_schema", "schema", message));
        }
    }
    check_fields(object, fields, "", &mut problems);
    if problems.len() > MAX_PROBLEMS {
        let more = problems.len() - MAX_PROBLEMS;
        problems.truncate(MAX_PROBLEMS);
        problems.push(Problem::new("too_many", "", format!("{more} more problems aren't listed")));
    }
    problems
}

fn check_fields(object: &mut Map<String, Value>, fields: &[Field], at: &str, problems: &mut Vec<Problem>) {
    for field in fields {
        let path = if at.is_empty() { field.name.to_owned() } else { format!("{at}.{}", field.name) };
        match object.get_mut(field.name) {
            None if field.required => {
                problems.push(Problem::new(
                    "missing_field",
                    path,
                    format!("it is missing, expected {}", field.kind.words()),
                ));
            }
            None => {}
            Some(Value::Null) if !field.required => {
                object.remove(field.name);
            }
            Some(value) => check_value(value, field.kind, &path, problems),
        }
    }
}

fn check_value(value: &mut Value, kind: Kind, path: &str, problems: &mut Vec<Problem>) {
    match kind {
        Kind::Record(fields) => match value {
            Value::Object(object) => check_fields(object, fields, path, problems),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                problems.push(wrong_type(value, kind, path));
            }
        },
        Kind::Records { fields, max } => match value {
            Value::Array(items) => check_records(items, fields, max, path, problems),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
                problems.push(wrong_type(value, kind, path));
            }
        },
        Kind::Texts | Kind::Pids => match value {
            Value::Array(items) => {
                let item_kind = if matches!(kind, Kind::Texts) { Kind::Text } else { Kind::U32 };
                for (index, item) in items.iter_mut().enumerate() {
                    check_value(item, item_kind, &format!("{path}[{index}]"), problems);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
                problems.push(wrong_type(value, kind, path));
            }
        },
        Kind::Env => match value {
            Value::Object(variables) => check_env(variables, path, problems),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                problems.push(wrong_type(value, kind, path));
            }
        },
        Kind::Text | Kind::Word(_) | Kind::TreePath | Kind::Hash | Kind::ObjectName => match value.as_str() {
            Some(text) => problems.extend(text_problem(text, kind, path)),
            None => problems.push(wrong_type(value, kind, path)),
        },
        Kind::U64 | Kind::U32 | Kind::Positive | Kind::Seconds | Kind::I32 | Kind::Amount => {
            problems.extend(number_problem(value, kind, path));
        }
        Kind::Bool => {
            if !value.is_boolean() {
                problems.push(wrong_type(value, kind, path));
            }
        }
        Kind::Object => {
            if !value.is_object() {
                problems.push(wrong_type(value, kind, path));
            }
        }
    }
}

fn check_records(items: &mut [Value], fields: &[Field], max: usize, path: &str, problems: &mut Vec<Problem>) {
    if items.len() > max {
        problems.push(Problem::new(
            "too_many",
            path,
            format!("{} entries, at most {max} are read", items.len()),
        ));
    }
    for (index, item) in items.iter_mut().take(max).enumerate() {
        let at = format!("{path}[{index}]");
        match item {
            Value::Object(object) => check_fields(object, fields, &at, problems),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                problems.push(wrong_type(item, Kind::Object, &at));
            }
        }
    }
}

fn check_env(variables: &mut Map<String, Value>, path: &str, problems: &mut Vec<Problem>) {
    for (name, value) in variables {
        let at = format!("{path}.{}", name.chars().take(60).collect::<String>());
        if name.is_empty() || name.contains('=') {
            problems.push(Problem::new(
                "bad_value",
                at.as_str(),
                "it can't be the name of an environment variable",
            ));
        }
        check_value(value, Kind::Text, &at, problems);
    }
}

fn text_problem(text: &str, kind: Kind, path: &str) -> Option<Problem> {
    let hexadecimal = |c: u8| c.is_ascii_digit() || (b'a'..=b'f').contains(&c);
    let message = match kind {
        Kind::Word(words) if !words.contains(&text) => not_a_word(text, words),
        Kind::TreePath => path_trouble(text)?.to_owned(),
        Kind::Hash if text.len() != 64 || !text.bytes().all(hexadecimal) => {
            "it isn't 64 lowercase hexadecimal digits".to_owned()
        }
        Kind::ObjectName if !(4..=64).contains(&text.len()) || !text.bytes().all(hexadecimal) => {
            "it isn't the name of a commit in lowercase hexadecimal".to_owned()
        }
        Kind::Text | Kind::Word(_) | Kind::Hash | Kind::ObjectName => return None,
        Kind::Bool | Kind::U64 | Kind::U32 | Kind::Positive | Kind::Seconds => return None,
        Kind::I32 | Kind::Amount => return None,
        Kind::Texts | Kind::Pids | Kind::Env | Kind::Object | Kind::Record(_) | Kind::Records { .. } => {
            return None;
        }
    };
    Some(Problem::new("bad_value", path, message))
}

/// What keeps `text` from being a path inside a tree. Links are looked at when the file is.
fn path_trouble(text: &str) -> Option<&'static str> {
    if text.is_empty() {
        Some("it is empty")
    } else if text.starts_with('/') {
        Some("it is absolute, expected a path relative to the tree")
    } else if text.split('/').any(|part| part == "..") {
        Some("it leaves the tree (`..`)")
    } else {
        None
    }
}

fn number_problem(value: &Value, kind: Kind, path: &str) -> Option<Problem> {
    let Value::Number(number) = value else { return Some(wrong_type(value, kind, path)) };
    let whole = number.is_u64() || number.is_i64();
    let fits = match kind {
        Kind::U64 => number.is_u64(),
        Kind::U32 => number.as_u64().is_some_and(|n| u32::try_from(n).is_ok()),
        Kind::Positive => number.as_u64().is_some_and(|n| n > 0 && u32::try_from(n).is_ok()),
        Kind::Seconds => number.as_u64().is_some_and(|n| n <= RETRY_AFTER_MAX_S),
        Kind::I32 => number.as_i64().is_some_and(|n| i32::try_from(n).is_ok()),
        Kind::Amount => number.as_f64().is_some_and(|n| n.is_finite() && n >= 0.0),
        Kind::Text | Kind::Word(_) | Kind::TreePath | Kind::Hash | Kind::ObjectName | Kind::Bool => false,
        Kind::Texts | Kind::Pids | Kind::Env | Kind::Object | Kind::Record(_) | Kind::Records { .. } => false,
    };
    if fits {
        return None;
    }
    let code = if whole || matches!(kind, Kind::Amount) { "bad_value" } else { "wrong_type" };
    Some(Problem::new(code, path, format!("found {number}, expected {}", kind.words())))
}

fn wrong_type(value: &Value, kind: Kind, path: &str) -> Problem {
    Problem::new("wrong_type", path, format!("found {}, expected {}", shown(value), kind.words()))
}
