//! The small language of an adapter's texts: `{name}`, `{name:argument}`, `{name|json}`.
//!
//! It finds placeholders, says what is wrong with them, and replaces them. Whatever looks
//! like none (a brace in JSON or in TOML) stays as it is. It leaves out what they stand for.

/// What a text may have anywhere.
pub const NAMES: &[&str] = &[
    "state",
    "mail",
    "tree",
    "repo",
    "git_dir",
    "common_dir",
    "ilchul",
    "hook",
    "guard",
    "prompt",
    "prompt_file",
    "session",
    "model",
];
/// What stands for several arguments, or none: alone in its argument.
pub const LISTS: &[&str] = &["inject", "access", "args", "model_args"];

/// One placeholder of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placeholder<'t> {
    /// The whole of it, braces included.
    pub text: &'t str,
    /// Its name.
    pub name: &'t str,
    /// What stands behind its colon.
    pub argument: Option<&'t str>,
    /// Whether it is written as the inside of a JSON string.
    pub json: bool,
}

/// The next placeholder of a text, and what stands before and behind it.
#[must_use]
pub fn next(text: &str) -> Option<(&str, Placeholder<'_>, &str)> {
    for (open, _) in text.match_indices('{') {
        let rest = &text[open + 1..];
        let close = rest.find('}')?;
        if let Some(placeholder) = read(&text[open..open + close + 2], &rest[..close]) {
            return Some((&text[..open], placeholder, &rest[close + 1..]));
        }
    }
    None
}

/// The inside of a pair of braces, if it is one.
fn read<'t>(text: &'t str, inside: &'t str) -> Option<Placeholder<'t>> {
    let (rest, json) = inside.strip_suffix("|json").map_or((inside, false), |rest| (rest, true));
    let (name, argument) = match rest.split_once(':') {
        Some((name, argument)) => (name, Some(argument)),
        None => (rest, None),
    };
    let is_name = |c: char| c.is_ascii_lowercase() || c == '_';
    let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let fits = !name.is_empty() && name.chars().all(is_name);
    let argued = argument.is_none_or(|argument| !argument.is_empty() && argument.chars().all(is_word));
    (fits && argued).then_some(Placeholder { text, name, argument, json })
}

/// Every placeholder of a text, in its order.
pub fn all(text: &str) -> impl Iterator<Item = Placeholder<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (_, found, behind) = next(rest)?;
        rest = behind;
        Some(found)
    })
}

/// Whether a text has a placeholder of that name.
#[must_use]
pub fn has(text: &str, name: &str) -> bool {
    all(text).any(|found| found.name == name)
}

/// The text with what `value` says in place of each placeholder; where it says nothing, the
/// placeholder stays.
pub fn fill(text: &str, value: impl Fn(&Placeholder<'_>) -> Option<String>) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, found, behind)) = next(rest) {
        filled.push_str(before);
        match value(&found) {
            Some(value) if found.json => filled.push_str(&inside_json(&value)),
            Some(value) => filled.push_str(&value),
            None => filled.push_str(found.text),
        }
        rest = behind;
    }
    filled.push_str(rest);
    filled
}

/// A text as it stands between the quotes of a JSON string, and of a TOML one.
fn inside_json(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted.get(1..quoted.len() - 1).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_no_placeholder_stays_as_it_is() {
        for text in
            ["{}", "{ state }", "{hooks=[{type=\"x\"}]}", "({ event })", "{State}", "{a", "{:x}", "{a:}"]
        {
            assert_eq!(all(text).count(), 0, "{text}");
            assert_eq!(fill(text, |_| Some("x".to_owned())), text);
        }
    }

    #[test]
    fn every_placeholder_is_replaced_once_and_what_it_stands_for_never_again() {
        let text = "a {state}/{hook:Stop} {model} {}";
        let filled = fill(text, |found| match (found.name, found.argument) {
            ("state", None) => Some("{model}".to_owned()),
            ("hook", Some("Stop")) => Some("it's".to_owned()),
            _ => None,
        });
        assert_eq!(filled, "a {model}/it's {model} {}");
    }

    #[test]
    fn a_value_inside_of_json_is_escaped() {
        let filled = fill("\"{state|json}\"", |_| Some("a\"b\\c\nd".to_owned()));
        assert_eq!(serde_json::from_str::<String>(&filled).unwrap(), "a\"b\\c\nd");
    }

    #[test]
    fn a_placeholder_is_found_behind_braces_that_are_none() {
        let found: Vec<&str> = all("x={\"{repo|json}\"={y}}").map(|found| found.name).collect();
        assert_eq!(found, ["repo", "y"]);
    }
}
