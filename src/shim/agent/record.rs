//! Patterns, picks and paths: the small language in which an adapter names what it means.
//!
//! Everything here answers for any value; what isn't there is none. It leaves out where
//! records come from and what they lead to.

use serde_json::Value;

/// Characters of a record's name, and of each text that is shown of it.
const NAME_CHARS: usize = 200;
/// Characters of one value in a line.
const VALUE_CHARS: usize = 200;
/// Characters of a whole line.
const LINE_CHARS: usize = 300;

/// Whether `pattern` names this record: everything, itself, or what it is below.
pub(super) fn matches(pattern: &str, name: &str) -> bool {
    pattern == "*" || name.strip_prefix(pattern).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether any of `patterns` does.
pub(super) fn matches_any(patterns: &[String], name: &str) -> bool {
    patterns.iter().any(|pattern| matches(pattern, name))
}

/// What stands at a dotted path, in which a number is an index.
pub(super) fn dig<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').filter(|key| !key.is_empty()).try_fold(value, |value, key| match value {
        Value::Object(fields) => fields.get(key),
        Value::Array(items) => items.get(key.parse::<usize>().ok()?),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    })
}

/// The first of `picks` (`<pattern>:<path>`) that finds something in this record.
pub(super) fn pick<'a>(picks: &[String], name: &str, value: &'a Value) -> Option<&'a Value> {
    picks.iter().find_map(|pick| {
        let (pattern, path) = pick.rsplit_once(':')?;
        if matches(pattern, name) { dig(value, path).filter(|found| !found.is_null()) } else { None }
    })
}

/// The name that the texts at `paths` are together; none where there is none of them. What is
/// `true` goes by the last word of its path (`is_error`), what is `false` isn't there.
pub(super) fn name(paths: &[String], value: &Value) -> Option<String> {
    let part = |path: &'_ String| match dig(value, path)? {
        Value::String(text) => Some(text.clone()),
        Value::Bool(true) => path.rsplit('.').next().map(str::to_owned),
        Value::Null | Value::Bool(false) | Value::Number(_) | Value::Array(_) | Value::Object(_) => None,
    };
    let parts: Vec<String> = paths.iter().filter_map(part).collect();
    let name: String = parts.join("/").chars().take(NAME_CHARS).collect();
    (!name.is_empty()).then_some(name)
}

/// A value as words: a list of texts is a command line, an object its JSON.
pub(super) fn words(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) if items.iter().all(Value::is_string) => {
            items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" ")
        }
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

/// Fills the `{path}`s of a line in; `{a|b}` is the first of both that is there.
pub(super) fn fill(line: &str, value: &Value) -> String {
    let mut shown = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once('{') {
        shown.push_str(before);
        let Some((paths, after)) = after.split_once('}') else {
            shown.push('{');
            rest = after;
            continue;
        };
        let found = paths.split('|').find_map(|path| dig(value, path).filter(|found| !found.is_null()));
        shown.push_str(&one_line(&found.map(words).unwrap_or_default(), VALUE_CHARS));
        rest = after;
    }
    shown.push_str(rest);
    one_line(&shown, LINE_CHARS)
}

/// At most `most` characters on one line. Control characters are made visible: they would
/// reach a terminal.
pub(super) fn one_line(text: &str, most: usize) -> String {
    let visible = |c: char| if c.is_control() { c.escape_default().collect() } else { c.to_string() };
    // What is cut off isn't looked at: a value may have a megabyte.
    let blanks = |c: char| if c.is_whitespace() { ' ' } else { c };
    let near: String = text.trim().chars().take(most * 4).map(blanks).collect();
    let joined = near.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    let mut line: String = joined.chars().take(most).map(visible).collect();
    if joined.chars().count() > most {
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_pattern_is_everything_itself_or_what_is_below() {
        for (pattern, name, is) in [
            ("*", "x", true),
            ("item.completed", "item.completed", true),
            ("item.completed", "item.completed/error", true),
            ("item.completed/error", "item.completed", false),
            ("item", "item.completed", false),
            ("", "x", false),
        ] {
            assert_eq!(matches(pattern, name), is, "{pattern} {name}");
        }
    }

    #[test]
    fn a_path_goes_through_objects_and_lists_and_ends_nowhere_without_a_panic() {
        let value = json!({"a": [{"b": 1}, null], "c": "x"});
        assert_eq!(dig(&value, "a.0.b"), Some(&json!(1)));
        assert_eq!(dig(&value, ""), Some(&value));
        for path in ["a.7", "a.b", "c.d", "a.-1", "a.99999999999999999999999", "x"] {
            assert_eq!(dig(&value, path), None, "{path}");
        }
        assert_eq!(pick(&["x:c".into(), "*:a.1".into(), "y:c".into()], "y/z", &value), Some(&json!("x")));
        assert_eq!(pick(&["no colon".into()], "no colon", &value), None);
    }

    #[test]
    fn a_line_is_filled_in_and_stays_one_line_that_no_terminal_obeys() {
        let value = json!({"cmd": ["cargo", "test"], "code": 0, "text": "a\n\tb\u{1b}[31m", "o": {"k": 1}});
        assert_eq!(fill("ran {cmd} (exit {code})", &value), "ran cargo test (exit 0)");
        assert_eq!(fill("{none|code} {none} {o}", &value), "0 {\"k\":1}");
        assert_eq!(fill("{text}", &value), "a b\\u{1b}[31m");
        assert_eq!(fill("a {b", &value), "a {b");
        let long = fill("{t}{t}", &json!({"t": "é".repeat(5_000)}));
        assert!(long.chars().count() <= LINE_CHARS + 1 && long.ends_with('…'), "{long}");
    }
}
