//! `ilchul answer TASK TEXT`: a person's answer to the question that a task's worker asks.
//!
//! It leaves out how it gets there: it is journaled first, and the supervisor owes it to the
//! worker's mail from then on. No key is ever typed into a pane.

use std::io::{IsTerminal, Read as _};

use clap::Args;

use super::answer::{login, outside_of_workers};
use super::error::CliError;
use super::exit_code::Exit;
use super::output::{self, Output};
use super::{Global, act};
use crate::engine::input::Request;
use crate::protocol::MAX_ANSWER_BYTES;

/// Arguments of `answer`.
#[derive(Debug, Args, Clone)]
pub struct RespondArgs {
    /// A task that waits for you; `ilchul status` names it, and what it asks.
    task: String,
    /// What its worker is told; `-` reads it from standard input.
    #[arg(allow_hyphen_values = true)]
    text: String,
    /// The run; the latest by default. The beginning of its id is enough.
    #[arg(long, value_name = "RUN")]
    run: Option<String>,
}

impl RespondArgs {
    /// Whether the answer stands in standard input.
    pub(super) fn reads_input(&self) -> bool {
        self.text == "-"
    }
}

/// Runs it.
///
/// # Errors
/// Without a text, or with one that is too long, when nobody asks, or nobody can decide it.
pub fn run(global: &Global, args: &RespondArgs, output: Output) -> Result<Exit, CliError> {
    let task = args.task.escape_debug();
    outside_of_workers("answer", &format!("`{task}`"))?;
    let text = if args.text == "-" { piped(&format!("{task}"))? } else { args.text.clone() };
    checked(&format!("{task}"), &text)?;
    let (place, run) = act::target(global, args.run.as_deref())?;
    let request = Request::Respond { task: args.task.clone(), text, who: login() };
    let done = format!("`{task}` is answered, and goes on.");
    act::act((&place, &run), &request, &done, output)
}

/// What is to be said, from standard input; the line break at its end isn't part of it.
fn piped(task: &str) -> Result<String, CliError> {
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        output::talk("Type the answer; Ctrl-D on a line of its own ends it.");
    }
    let mut bytes = Vec::new();
    let read = stdin.lock().take(MAX_ANSWER_BYTES as u64 + 2).read_to_end(&mut bytes);
    read.map_err(|error| CliError::new("io", format!("answer `{task}`: read standard input: {error}")))?;
    let text = String::from_utf8(bytes)
        .map_err(|_| CliError::new("bad_answer", format!("answer `{task}`: standard input isn't UTF-8")))?;
    Ok(text.strip_suffix('\n').unwrap_or(&text).to_owned())
}

fn checked(task: &str, text: &str) -> Result<(), CliError> {
    if text.trim().is_empty() {
        return Err(CliError::new("no_answer", format!("answer `{task}`: the answer is empty"))
            .hint(format!("Say it in quotes, as in: {}", crate::render::words::respond(task, ""))));
    }
    if text.contains('\0') {
        return Err(CliError::new("bad_answer", format!("answer `{task}`: it holds a NUL character"))
            .hint("Say it in text."));
    }
    if text.len() > MAX_ANSWER_BYTES {
        let message = format!("answer `{task}`: more than {MAX_ANSWER_BYTES} bytes");
        return Err(CliError::new("too_long", message)
            .hint("Put what is long into a file that the worker can read, and say where it is."));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_words_and_a_bound() {
        assert!(checked("a", "yes").is_ok());
        assert!(checked("a", &"x".repeat(MAX_ANSWER_BYTES)).is_ok());
        assert_eq!(checked("a", " \n").unwrap_err().code, "no_answer");
        assert_eq!(checked("a", "yes\0").unwrap_err().code, "bad_answer");
        assert_eq!(checked("a", &"x".repeat(MAX_ANSWER_BYTES + 1)).unwrap_err().code, "too_long");
    }
}
