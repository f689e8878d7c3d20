//! The page of keys.

use super::keys::HELP;

/// Its lines, aligned.
pub(super) fn lines() -> Vec<String> {
    let widest = HELP.iter().map(|(keys, _)| keys.len()).max().unwrap_or(0);
    let mut lines: Vec<String> = HELP.iter().map(|(keys, does)| format!("{keys:widest$}  {does}")).collect();
    lines.push(String::new());
    lines.push("Nothing here stops anything or decides without asking once more.".to_owned());
    lines
}
