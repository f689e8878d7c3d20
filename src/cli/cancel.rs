//! `ilchul cancel`: end a task, and the worker that holds it.

use clap::Args;

use super::error::CliError;
use super::exit_code::Exit;
use super::output::Output;
use super::{Global, act};
use crate::engine::input::Request;

/// Arguments of `cancel`.
#[derive(Debug, Args, Clone)]
pub struct CancelArgs {
    /// A task that hasn't ended.
    task: String,
    /// The run; the latest by default. The beginning of its id is enough.
    #[arg(long, value_name = "RUN")]
    run: Option<String>,
}

/// Runs it.
///
/// # Errors
/// When it is refused, or nobody can decide it.
pub fn run(global: &Global, args: &CancelArgs, output: Output) -> Result<Exit, CliError> {
    let (place, run) = act::target(global, args.run.as_deref())?;
    let request = Request::Cancel { task: args.task.clone() };
    let done = format!("`{}` is cancelled. What its worker made stays.", args.task);
    act::act((&place, &run), &request, &done, output)
}
