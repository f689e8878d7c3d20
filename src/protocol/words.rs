//! Saying what stands in a field and what was expected there.
//!
//! It leaves out finding the problems; that is `shape`'s.

use super::shape::Kind;
use serde_json::Value;

/// A value in a few words, never the whole of it.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => format!("`{}`", text.chars().take(60).collect::<String>().escape_debug()),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}

/// Words that are often written for another; what edit distance can't know.
const SYNONYMS: &[(&str, &str)] = &[
    ("success", "done"),
    ("succeeded", "done"),
    ("successful", "done"),
    ("completed", "done"),
    ("complete", "done"),
    ("ok", "done"),
    ("passed", "done"),
    ("finished", "done"),
    ("error", "failed"),
    ("failure", "failed"),
    ("question", "needs_input"),
    ("unchanged", "no_change"),
    ("file", "artifact"),
    ("test", "command"),
    ("commit", "diff"),
];

/// That `text` is none of `words`, and which of them it was probably meant to be.
pub(super) fn not_a_word(text: &str, words: &[&str]) -> String {
    let shown: String = text.chars().take(60).collect();
    let plain = shown.trim().to_ascii_lowercase().replace([' ', '-'], "_");
    // Meaning before spelling: `ok` is nearer to nothing in the list.
    let synonym = SYNONYMS.iter().find(|(other, word)| *other == plain && words.contains(word));
    let near = || words.iter().map(|word| (distance(&plain, word), *word)).min().filter(|(far, _)| *far <= 2);
    let meant = synonym.map(|(_, word)| *word).or_else(|| near().map(|(_, word)| word));
    let list = words.join(", ");
    match meant {
        Some(word) => format!("`{}` isn't one of {list}; did you mean `{word}`?", shown.escape_debug()),
        None => format!("`{}` isn't one of {list}", shown.escape_debug()),
    }
}

/// Insertions, deletions and replacements from `a` to `b`; both are short.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.chars().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}

impl Kind {
    /// What a person is told to write there.
    pub(super) fn words(self) -> String {
        match self {
            Self::Text => "a text".to_owned(),
            Self::Word(words) => format!("one of {}", words.join(", ")),
            Self::TreePath => "a path relative to the tree".to_owned(),
            Self::Hash => "64 lowercase hexadecimal digits".to_owned(),
            Self::ObjectName => "the name of a commit".to_owned(),
            Self::Bool => "true or false".to_owned(),
            Self::U64 => "a whole number from 0".to_owned(),
            Self::U32 => format!("a whole number from 0 to {}", u32::MAX),
            Self::Seconds => format!("whole seconds from 0 to {}", super::RETRY_AFTER_MAX_S),
            Self::Positive => format!("a whole number from 1 to {}", u32::MAX),
            Self::I32 => "a whole number of 32 bits".to_owned(),
            Self::Amount => "a number from 0".to_owned(),
            Self::Texts => "a list of texts".to_owned(),
            Self::Pids => "a list of process ids".to_owned(),
            Self::Env => "an object of texts".to_owned(),
            Self::Object | Self::Record(_) => "an object".to_owned(),
            Self::Records { .. } => "a list of objects".to_owned(),
        }
    }
}
