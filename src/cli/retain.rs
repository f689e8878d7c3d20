//! `ilchul retain`: take the mark "safe to close" back.

use clap::Args;

use super::error::CliError;
use super::exit_code::Exit;
use super::output::Output;
use super::{Global, act};
use crate::engine::input::Request;

/// Arguments of `retain`.
#[derive(Debug, Args, Clone)]
pub struct RetainArgs {
    /// A worker, as `<task>.<attempt>`.
    worker: String,
    /// The run; the latest by default. The beginning of its id is enough.
    #[arg(long, value_name = "RUN")]
    run: Option<String>,
}

/// Runs it.
///
/// # Errors
/// When it is refused, or nobody can decide it.
pub fn run(global: &Global, args: &RetainArgs, output: Output) -> Result<Exit, CliError> {
    let (place, run) = act::target(global, args.run.as_deref())?;
    let request = Request::Retain { worker: args.worker.clone() };
    let done = format!("`{}` is retained.", args.worker);
    act::act((&place, &run), &request, &done, output)
}
