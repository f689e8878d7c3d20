//! `ilchul retry`: grant an ended task one more attempt.

use clap::Args;

use super::error::CliError;
use super::exit_code::Exit;
use super::output::Output;
use super::{Global, act};
use crate::engine::input::Request;

/// Arguments of `retry`.
#[derive(Debug, Args, Clone)]
pub struct RetryArgs {
    /// A failed, partial or cancelled task.
    task: String,
    /// The run; the latest by default. The beginning of its id is enough.
    #[arg(long, value_name = "RUN")]
    run: Option<String>,
}

/// Runs it.
///
/// # Errors
/// When it is refused, or nobody can decide it.
pub fn run(global: &Global, args: &RetryArgs, output: Output) -> Result<Exit, CliError> {
    let (place, run) = act::target(global, args.run.as_deref())?;
    let request = Request::Retry { task: args.task.clone() };
    let done = format!("`{}` is ready for one more attempt.", args.task);
    act::act((&place, &run), &request, &done, output)
}
