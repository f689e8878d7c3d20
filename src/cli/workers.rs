//! `ilchul workers`: where each worker is, what it holds, and how fresh that is.

use clap::Args;

use super::Global;
use super::close::Closing;
use super::error::CliError;
use super::exit_code::Exit;
use super::output::Output;
use super::read::{self, OfRun, Read};
use crate::render::{json, workers};

/// Arguments of `workers`.
#[derive(Debug, Args)]
pub struct WorkersArgs {
    /// Say of each whether it may be closed, with reasons and sizes: looks at processes, files and git.
    #[arg(long)]
    close: bool,
    #[command(flatten)]
    of: OfRun,
}

/// Runs it.
///
/// # Errors
/// When there is no run, or the journal is damaged.
pub fn run(global: &Global, args: &WorkersArgs, output: Output) -> Result<Exit, CliError> {
    let (read, closes) = if args.close {
        let closing = Closing::open(global, &args.of)?;
        let closes = closing.verdicts();
        (closing.read, closes)
    } else {
        (Read::open(global, &args.of)?, std::collections::BTreeMap::new())
    };
    let beside = crate::render::Beside { closes, ..read.beside(true) };
    output.result(
        || json::workers(&read.view, &beside),
        || workers::text(&read.view, &beside, read::screen(output)),
    );
    Ok(Exit::Done)
}
