//! `ilchul dash`: the run on the whole screen, live, with keys.
//!
//! It reads as `status` does, without the lock and also where nobody drives the run, and it
//! decides through the same requests as the commands. What is shown and what keys mean is
//! `crate::dash`'s; here are the terminal, the journal and the waiting.

mod away;
mod feed;
mod fetch;
mod input;
mod news;
mod run;
mod terminal;

use std::io::IsTerminal;

use clap::Args;

use super::Global;
use super::error::CliError;
use super::exit_code::Exit;
use super::output::Output;
use super::read::OfRun;

/// Arguments of `dash`.
#[derive(Debug, Args, Clone)]
pub struct DashArgs {
    #[command(flatten)]
    of: OfRun,
}

/// Runs it until somebody leaves.
///
/// # Errors
/// Where there is no terminal, when there is no run, or the journal is damaged.
pub fn run(global: &Global, args: &DashArgs, output: Output) -> Result<Exit, CliError> {
    if output.json {
        return Err(CliError::new("usage", "show the dashboard as JSON: it is for a terminal")
            .exit(Exit::Usage)
            .hint("Run `ilchul status --json`, or `ilchul status --watch --json` to follow it."));
    }
    if !(std::io::stdin().is_terminal() && std::io::stdout().is_terminal()) {
        return Err(CliError::new("no_terminal", "show the dashboard: there is no terminal here")
            .hint("Run `ilchul status --watch` to follow the run as text."));
    }
    let feed = feed::Feed::open(global, &args.of)?;
    run::Loop::new(global, feed, output.color)?.run()
}
