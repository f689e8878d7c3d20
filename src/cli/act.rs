//! What the acting commands share: find the run, send the request, say what follows.

use super::Global;
use super::error::CliError;
use super::exit_code::Exit;
use super::output::Output;
use super::place::{self, Place};
use super::request::{self, Granted};
use crate::engine::input::Request;
use crate::journal::JournalError;
use crate::render::words;

/// The place and the run that a command is about.
///
/// # Errors
/// When there is no repository, no journal or no such run, or the journal is a later ilchul's.
pub fn target(global: &Global, run: Option<&str>) -> Result<(Place, String), CliError> {
    let place = place::find(global.home.as_deref())?;
    let journal = place.journal()?;
    if let Some(found) = journal.newer() {
        return Err(JournalError::Newer { found }.into());
    }
    let run = place.run_id(&journal, run)?;
    Ok((place, run))
}

/// Sends a request and says what it led to.
///
/// # Errors
/// A refusal, or what keeps it from being decided.
pub fn act(
    (place, run): (&Place, &str),
    request: &Request,
    done: &str,
    output: Output,
) -> Result<Exit, CliError> {
    let Granted { supervised } = request::send(place, run, request)?;
    let waits = match request {
        Request::Retry { .. }
        | Request::Cancel { .. }
        | Request::Decide { .. }
        | Request::Answer { .. }
        | Request::Respond { .. } => !supervised,
        Request::Down { .. }
        | Request::Release { .. }
        | Request::Retain { .. }
        | Request::Withdraw { .. }
        | Request::CleanUp { .. } => false,
    };
    let next = if waits {
        format!(" No supervisor works: run `{}` to go on.", up(place, run)?)
    } else {
        String::new()
    };
    output.result(
        || serde_json::json!({"run": run, "supervised": supervised, "message": done}),
        || format!("{done}{next}\n"),
    );
    Ok(Exit::Done)
}

/// What to type to go on with a run.
fn up(place: &Place, run: &str) -> Result<String, CliError> {
    let runs = place.journal()?.runs()?;
    let path = runs.into_iter().find(|row| row.id == run).map(|row| row.path);
    Ok(words::up(&path.unwrap_or_default()))
}
