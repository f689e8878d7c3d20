//! `ilchul why TASK`: the cause of a task's state, and what would change it.

use clap::Args;

use super::Global;
use super::error::CliError;
use super::exit_code::Exit;
use super::output::Output;
use super::read::{self, OfRun, Read};
use crate::render::why::Why;

/// Arguments of `why`.
#[derive(Debug, Args)]
pub struct WhyArgs {
    /// The task.
    task: String,
    #[command(flatten)]
    of: OfRun,
}

/// Runs it.
///
/// # Errors
/// When there is no such run or task, or the journal is damaged.
pub fn run(global: &Global, args: &WhyArgs, output: Output) -> Result<Exit, CliError> {
    let read = Read::open(global, &args.of)?;
    let task = read.task(&args.task)?;
    let mut beside = read.beside(false);
    // Also of one that has ended: where it ran is what is asked first.
    let worker = task.worker.as_deref().and_then(|worker| read.view.worker(worker));
    beside.hosts.extend(worker.and_then(|worker| Some((worker.id.clone(), read.host(worker)?))));
    let why = Why::new((&read.view, read.held), task, &beside, args.of.run.is_some());
    output.result(|| why.json(), || why.text(read::screen(output)));
    Ok(Exit::Done)
}
