//! `ilchul decide`: decide what can't be known of an attempt.

use clap::Args;

use super::error::CliError;
use super::exit_code::Exit;
use super::output::Output;
use super::{Global, act};
use crate::engine::input::Choice;
use crate::engine::input::Request;
use clap::ValueEnum;

/// A person's word.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Word {
    /// Revoke the attempt and try again.
    Rerun,
    /// Leave the task out.
    Skip,
    /// Check it as if it had reported done.
    Accept,
}

/// Arguments of `decide`.
#[derive(Debug, Args, Clone)]
pub struct DecideArgs {
    /// A task whose worker is silent or lost.
    task: String,
    /// What to do.
    #[arg(value_enum)]
    choice: Word,
    /// The run; the latest by default. The beginning of its id is enough.
    #[arg(long, value_name = "RUN")]
    run: Option<String>,
}

/// Runs it.
///
/// # Errors
/// When it is refused, or nobody can decide it.
pub fn run(global: &Global, args: &DecideArgs, output: Output) -> Result<Exit, CliError> {
    let (place, run) = act::target(global, args.run.as_deref())?;
    let (choice, what) = match args.choice {
        Word::Rerun => (Choice::Rerun, "will be tried again"),
        Word::Skip => (Choice::Skip, "is left out"),
        Word::Accept => (Choice::Accept, "is checked as if it had reported done"),
    };
    let request = Request::Decide { task: args.task.clone(), choice };
    let done = format!("`{}` {what}.", args.task);
    act::act((&place, &run), &request, &done, output)
}
