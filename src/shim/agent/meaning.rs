//! What one record of an agent means, and the texts that are taken from it.
//!
//! Pure, and total: an agent writes what it wants. It leaves out what a meaning leads to
//! (`watch`).

use super::record::{dig, matches_any, one_line, words};
use super::usage::RESULT;
use crate::protocol::AgentSignals;
use serde_json::Value;

/// Characters of a question, and of an error.
pub(super) const TEXT_CHARS: usize = 1_000;
/// Characters of what was done last.
pub(super) const NOTE_CHARS: usize = 200;
/// Characters of a session's id.
const SESSION_CHARS: usize = 300;

/// What a record can mean; the first that fits is what it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Its provider refuses work.
    Limited,
    /// Its turn failed.
    Failed,
    /// Its turn is over.
    Ended,
    /// It waits for a person.
    NeedsInput,
    /// A tool was started.
    ToolOpen,
    /// A tool has ended.
    ToolClose,
    /// It runs.
    Ready,
    /// It got further.
    Progress,
    /// Nothing that anybody asked for.
    Nothing,
}

/// What the record `name` means.
pub(super) fn meaning(signals: &AgentSignals, name: &str, value: &Value) -> Meaning {
    let ordered = [
        (&signals.limited, Meaning::Limited),
        (&signals.turn_failed, Meaning::Failed),
        (&signals.turn_end, Meaning::Ended),
        (&signals.needs_input, Meaning::NeedsInput),
        (&signals.tool_open, Meaning::ToolOpen),
        (&signals.tool_close, Meaning::ToolClose),
        (&signals.ready, Meaning::Ready),
        (&signals.progress, Meaning::Progress),
    ];
    let found = ordered.into_iter().find(|(patterns, _)| matches_any(patterns, name));
    match found.map(|(_, meaning)| meaning) {
        // It ended its turn and left work behind that goes on.
        Some(Meaning::Ended) if dig(value, "pending").and_then(Value::as_u64) > Some(0) => Meaning::Progress,
        Some(meaning) => meaning,
        None if name == RESULT => Meaning::Progress,
        None => Meaning::Nothing,
    }
}

/// A session's id. It will stand in an argv, so it may be no option and has no odd characters.
pub(super) fn session_id(value: &Value) -> Option<String> {
    let id = value.as_str()?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "._:/-@+".contains(c);
    let begins_well = id.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '/');
    (begins_well && id.len() <= SESSION_CHARS && id.chars().all(plain)).then(|| id.to_owned())
}

/// What a person is asked, as far as a hook tells.
pub(super) fn question(value: &Value) -> String {
    let text = |name: &str| dig(value, name).map(words).filter(|text| !text.trim().is_empty());
    let said = text("message").map(|text| one_line(&text, TEXT_CHARS));
    let tool = text("tool").map(|tool| one_line(&tool, NOTE_CHARS));
    match (said, tool) {
        (Some(said), Some(tool)) => format!("{said} (tool {tool})"),
        (Some(said), None) => said,
        (None, Some(tool)) => format!("it asks for permission to use {tool}"),
        (None, None) => "it waits for a person, and doesn't say for what".to_owned(),
    }
}

/// The last line with something on it.
pub(super) fn last_line(text: &str) -> String {
    let line = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
    one_line(line, TEXT_CHARS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_record_has_one_meaning_and_the_graver_one_goes_first() {
        let texts = |text: &str| vec![text.to_owned()];
        let signals = AgentSignals {
            progress: texts("*"),
            tool_open: texts("tool"),
            turn_end: texts("end"),
            turn_failed: texts("end/error"),
            ..AgentSignals::default()
        };
        for (name, expected) in [
            ("x", Meaning::Progress),
            ("tool/Bash", Meaning::ToolOpen),
            ("end", Meaning::Ended),
            ("end/ok", Meaning::Ended),
            ("end/error", Meaning::Failed),
        ] {
            assert_eq!(meaning(&signals, name, &json!({})), expected, "{name}");
        }
        assert_eq!(meaning(&signals, "end", &json!({"pending": 2})), Meaning::Progress);
        assert_eq!(meaning(&signals, "end", &json!({"pending": 0})), Meaning::Ended);
        let none = AgentSignals::default();
        assert_eq!(meaning(&none, "x", &json!({})), Meaning::Nothing);
        assert_eq!(meaning(&none, RESULT, &json!(null)), Meaning::Progress, "without being asked for");
    }

    #[test]
    fn s22_a_session_that_could_be_an_option_or_two_words_is_none() {
        for id in ["01a1ff6d-4a13-72f2", "/home/u/.pi/s.jsonl", "ses_1:2@x"] {
            assert_eq!(session_id(&json!(id)).as_deref(), Some(id));
        }
        for id in ["", "-x", "--resume", "a b", "a\n", "$(x)", "../x", "é"] {
            assert_eq!(session_id(&json!(id)), None, "{id}");
        }
        assert_eq!(session_id(&json!("x".repeat(400))), None);
        assert_eq!(session_id(&json!(7)), None);
    }

    #[test]
    fn a_question_says_what_is_known_of_it() {
        assert_eq!(question(&json!({"message": "may\nI?", "tool": "Bash"})), "may I? (tool Bash)");
        assert_eq!(question(&json!({"message": "which?"})), "which?");
        assert_eq!(question(&json!({"tool": "Bash", "message": " "})), "it asks for permission to use Bash");
        assert!(question(&json!({})).contains("doesn't say"));
    }

    #[test]
    fn the_last_line_is_one_that_says_something() {
        assert_eq!(last_line("a\nb\n\n  \n"), "b");
        assert_eq!(last_line(""), "");
    }
}
