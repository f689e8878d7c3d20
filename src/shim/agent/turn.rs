//! Further turns of an agent: their command lines and what they are told.
//!
//! A turn is one process. Whatever a person or a model wrote is put in whole: no text is
//! looked through for placeholders, and none becomes an option. It leaves out when there is
//! a further turn.

use crate::mail;
use crate::protocol::{AgentSpec, Assignment, how_to_report, turn_name};
use crate::shim::ShimError;
use std::fs::File;
use std::path::Path;

/// The longest prompt that is an argument: the system takes 128 KiB at most.
const MAX_ARGUMENT: usize = 100 * 1024;

/// What to start.
#[derive(Debug)]
pub(super) struct Command {
    pub(super) argv: Vec<String>,
    /// Handed over as standard input.
    pub(super) stdin: Option<File>,
    /// Whether it begins a session of its own.
    pub(super) is_fresh: bool,
}

/// The first turn: what the assignment says.
pub(super) fn first(assignment: &Assignment, spec: &AgentSpec) -> Result<Command, ShimError> {
    let stdin = spec.stdin.as_ref().map(|file| mail::open_regular(Path::new(file))).transpose()?;
    Ok(Command { argv: assignment.argv.clone(), stdin, is_fresh: true })
}

/// Why there is a further turn.
#[derive(Debug)]
pub(super) enum Reason {
    /// A person answered.
    Answered(String),
    /// There is no report, for this reason.
    Unreported(String),
}

/// A further turn, the `number`th; none where the agent has no command line for one.
pub(super) fn further(
    (assignment, spec): (&Assignment, &AgentSpec),
    session: Option<&str>,
    (number, reason): (u32, &Reason),
    tree: &Path,
) -> Result<Option<Command>, ShimError> {
    let known = session.filter(|_| !spec.resume.is_empty());
    let needs = |line: &[String]| line.iter().any(|word| word.contains("{session}"));
    // A line that names no session (`--continue`) needs none.
    let resumes = known.is_some() || !(spec.resume.is_empty() || needs(&spec.resume));
    let line = if resumes { &spec.resume } else { &spec.again };
    if line.is_empty() {
        return Ok(None);
    }
    let text = prompt(assignment, resumes, reason, tree);
    let name = turn_name(number);
    let state = Path::new(&spec.state);
    mail::write_bytes(state, &name, text.as_bytes(), false)?;
    let file = state.join(&name);
    let shown = file.display().to_string();
    let argument = if text.len() > MAX_ARGUMENT { format!("Read and follow {shown}") } else { text };
    let values =
        [("{session}", known.unwrap_or_default()), ("{prompt}", &argument), ("{prompt_file}", &shown)];
    let argv: Vec<String> = line.iter().map(|word| fill(word, &values)).collect();
    let named = line.iter().any(|word| word.contains("{prompt}") || word.contains("{prompt_file}"));
    let stdin = if named { None } else { Some(mail::open_regular(&file)?) };
    Ok(Some(Command { argv, stdin, is_fresh: !resumes }))
}

/// Puts values in, in one pass: what stands in a value is never looked at.
fn fill(word: &str, values: &[(&str, &str)]) -> String {
    let mut filled = String::new();
    let mut rest = word;
    while let Some(at) = rest.find('{') {
        filled.push_str(&rest[..at]);
        rest = &rest[at..];
        let (taken, value) = values
            .iter()
            .find(|(name, _)| rest.starts_with(name))
            .map_or((1, "{"), |(name, value)| (name.len(), value));
        filled.push_str(value);
        rest = &rest[taken..];
    }
    filled.push_str(rest);
    filled
}

/// What an agent is told. It never begins with a dash: it may be an argument.
fn prompt(assignment: &Assignment, resumes: bool, reason: &Reason, tree: &Path) -> String {
    let mut text = String::new();
    if !resumes {
        let file = assignment.prompt_file.as_deref().unwrap_or("the prompt file");
        text.push_str(&format!(
            "Read `{file}` first: it is your task. Work on it has begun in this tree and goes on with you.\n\n"
        ));
    }
    match reason {
        Reason::Answered(answer) => text.push_str(&format!(
            "This is the answer to your question:\n\n{answer}\n\nGo on with the task. At its end a new report is \
             needed; the one with your question counts no more.\n\n"
        )),
        Reason::Unreported(why) => text.push_str(&format!(
            "Your turn has ended, and there is no valid report of it: {why}. If the task isn't done, go on with it. \
             Then write the report as your last action.\n\n"
        )),
    }
    text.push_str(&how_to_report(assignment, tree));
    text
}

#[cfg(test)]
#[path = "turn_tests.rs"]
mod tests;
