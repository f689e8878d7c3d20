//! `ilchul workers`: where each worker is, what it holds, and how fresh that is.

use clap::Args;

use super::Global;
use super::error::CliError;
use super::exit_code::Exit;
use super::output::Output;
use super::read::{self, OfRun, Read};
use crate::render::{json, workers};

/// Arguments of `workers`.
#[derive(Debug, Args)]
pub struct WorkersArgs {
    #[command(flatten)]
    of: OfRun,
}

/// Runs it.
///
/// # Errors
/// When there is no run, or the journal is damaged.
pub fn run(global: &Global, args: &WorkersArgs, output: Output) -> Result<Exit, CliError> {
    let read = Read::open(global, &args.of)?;
    let beside = read.beside(true);
    output.result(
        || json::workers(&read.view, &beside),
        || workers::text(&read.view, &beside, read::screen(output)),
    );
    Ok(Exit::Done)
}
