//! `ilchul heartbeat --note TEXT`: a line that the worker's next heartbeat shows.
//!
//! The shim beats by itself; this only leaves the line where it looks.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::Global;
use super::error::CliError;
use super::exit_code::Exit;
use super::output::Output;
use super::worker_side::{Replace, WorkerSide};
use crate::protocol::{NOTE, Note, WORKER_SCHEMA};

/// Characters of a note that the shim passes on.
const MAX_NOTE: usize = 500;

/// Arguments of `heartbeat`.
#[derive(Debug, Args)]
pub struct HeartbeatArgs {
    /// What to show, in one line.
    #[arg(long, value_name = "TEXT")]
    note: String,
}

/// Runs it.
///
/// # Errors
/// Outside of a worker, for an empty note, or when neither mail nor the drop box can be written.
pub fn run(_global: &Global, args: &HeartbeatArgs, output: Output) -> Result<Exit, CliError> {
    let (path, note) = leave(&args.note)?;
    output.result(
        || json!({"file": path, "note": note}),
        || format!("Left the note in `{}`.\n", path.display()),
    );
    Ok(Exit::Done)
}

/// Leaves a note, and answers where, and what of it.
///
/// # Errors
/// As [`run`].
pub(super) fn leave(text: &str) -> Result<(PathBuf, String), CliError> {
    let side = WorkerSide::here()?;
    let note = one_line(text);
    if note.is_empty() {
        return Err(
            CliError::new("empty_note", "leave a note: it is empty").hint("Say what the worker is doing.")
        );
    }
    let document = Note { schema: WORKER_SCHEMA.to_owned(), note };
    // Text and a constant: it has a JSON form.
    let bytes = json!(document).to_string().into_bytes();
    let path = side.write(NOTE, &bytes, Replace::Yes)?;
    Ok((path, document.note))
}

/// White space of any kind is one blank, and what the shim would cut off isn't written.
fn one_line(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().take(MAX_NOTE).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_one_line_of_bounded_length() {
        assert_eq!(one_line(" a\n\tb  c "), "a b c");
        assert_eq!(one_line("\n "), "");
        assert_eq!(one_line(&"é".repeat(900)).chars().count(), MAX_NOTE);
    }
}
