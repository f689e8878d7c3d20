//! Command lines of further turns, with texts that try to be more than texts.

use super::*;
use serde_json::json;

fn assignment(dir: &tempfile::TempDir, resume: &[&str], again: &[&str]) -> Assignment {
    let whole = json!({"schema": "ilchul.worker/1", "run": "r", "task": "fix", "attempt": 1, "token": 7,
        "argv": ["a"], "prompt_file": "/m/prompt.md", "agent": {"adapter": "x", "mode": "headless",
        "state": dir.path(), "resume": resume, "again": again}});
    crate::protocol::parse(whole.to_string().as_bytes()).unwrap()
}

fn next(assignment: &Assignment, session: Option<&str>, answer: &str) -> Option<Command> {
    let spec = assignment.agent.as_deref().unwrap();
    let reason = Reason::Answered(answer.to_owned());
    further((assignment, spec), session, (2, &reason), Path::new("/t")).unwrap()
}

#[test]
fn a_known_session_is_resumed_and_another_turn_begins_anew_with_its_task() {
    let dir = tempfile::tempdir().unwrap();
    let assignment = assignment(&dir, &["r", "{session}", "{prompt}"], &["a", "-f", "{prompt_file}"]);
    let resumed = next(&assignment, Some("s1"), "red").unwrap();
    assert_eq!((&resumed.argv[..2], resumed.is_fresh), (&["r".to_owned(), "s1".to_owned()][..], false));
    assert!(resumed.argv[2].starts_with("This is the answer to your question:\n\nred\n\n"));
    let anew = next(&assignment, None, "red").unwrap();
    assert_eq!(anew.argv, ["a", "-f", dir.path().join("turn-2.md").to_str().unwrap()]);
    assert!(anew.is_fresh && anew.stdin.is_none());
    let told = std::fs::read_to_string(dir.path().join("turn-2.md")).unwrap();
    assert!(told.starts_with("Read `/m/prompt.md` first") && told.contains("\"token\":7"), "{told}");
}

#[test]
fn no_text_is_looked_through_for_placeholders_and_a_long_one_is_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let assignment = assignment(&dir, &["r", "--p={prompt}{x}", "{session}"], &[]);
    let command = next(&assignment, Some("{prompt}"), "{session} {prompt_file}").unwrap();
    assert!(command.argv[1].contains("\n\n{session} {prompt_file}\n\n") && command.argv[1].ends_with("{x}"));
    assert_eq!(command.argv[2], "{prompt}");
    let long = next(&assignment, Some("s"), &"x".repeat(MAX_ARGUMENT)).unwrap();
    assert_eq!(long.argv[1], format!("--p=Read and follow {}{{x}}", dir.path().join("turn-2.md").display()));
}

#[test]
fn where_there_is_no_command_line_there_is_no_turn() {
    let dir = tempfile::tempdir().unwrap();
    assert!(next(&assignment(&dir, &["r", "{session}"], &[]), None, "x").is_none());
    assert!(next(&assignment(&dir, &[], &[]), Some("s"), "x").is_none());
    // One that goes on with the last session needs no name of it, and takes its prompt on standard input.
    let command = next(&assignment(&dir, &["r", "--continue"], &[]), None, "x").unwrap();
    assert!(command.stdin.is_some() && !command.is_fresh);
}
