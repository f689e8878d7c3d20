//! `ilchul status`: the run, its tasks, reasons and ages; with `--watch` again on every change.

use std::io::IsTerminal;
use std::time::Duration;

use clap::Args;

use super::Global;
use super::error::CliError;
use super::exit_code::Exit;
use super::output::Output;
use super::read::{self, OfRun, Read};
use crate::engine::state::RunPhase;
use crate::render::{json, status};

/// How often `--watch` looks for a change.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Looks without a change after which a terminal is redrawn, because ages have moved.
const REDRAW_AFTER: u32 = 4;
/// Home, and nothing below: a redraw without the flicker of an empty screen.
const TOP: &str = "\u{1b}[H\u{1b}[J";

/// Arguments of `status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Show it again whenever something changes, until the run ends.
    #[arg(long)]
    watch: bool,
    /// One short line, for a status line; nothing where there is no run.
    #[arg(long, conflicts_with = "watch")]
    line: bool,
    #[command(flatten)]
    of: OfRun,
}

impl StatusArgs {
    /// Whether it goes on until the run ends, or until nobody reads it any more.
    pub(super) fn follows(&self) -> bool {
        self.watch
    }
}

/// Runs it.
///
/// # Errors
/// When there is no run, or the journal is damaged.
pub fn run(global: &Global, args: &StatusArgs, output: Output) -> Result<Exit, CliError> {
    if args.line {
        return Ok(super::status_line::run(global, &args.of, output));
    }
    let read = Read::open(global, &args.of)?;
    if args.watch {
        return watch(global, read, output);
    }
    output.result(
        || json::status(&read.view, read.held, &read.beside(true)),
        || status::text(&read.view, read.held, &read.beside(false), read::screen(output)),
    );
    Ok(Exit::Done)
}

fn watch(global: &Global, mut read: Read, output: Output) -> Result<Exit, CliError> {
    // The latest run may become another one meanwhile: this is about the one it was.
    let of = OfRun { run: Some(read.view.id.clone()) };
    let redraws = !output.json && std::io::stdout().is_terminal();
    let mut first = true;
    loop {
        if !draw(&read, output, redraws, std::mem::take(&mut first)) || ended(&read) {
            return Ok(Exit::Done);
        }
        let mut looks = 0;
        loop {
            if !read::pause_for_reader(LOOK_EVERY) {
                return Ok(Exit::Done);
            }
            looks += 1;
            if !read.follower.poll()?.is_empty() || read::is_held(&read.place, &read.view.id)? != read.held {
                read = Read::open(global, &of)?;
                break;
            }
            if redraws && looks >= REDRAW_AFTER {
                break;
            }
        }
    }
}

fn ended(read: &Read) -> bool {
    matches!(read.view.phase, RunPhase::Ended { .. })
}

/// Shows it once; `false` when nobody reads any more.
fn draw(read: &Read, output: Output, redraws: bool, first: bool) -> bool {
    if output.json {
        let data = json::status(&read.view, read.held, &read.beside(true));
        let line = serde_json::json!({"schema_version": 1, "ok": true, "data": data});
        return read::emit(format!("{}\n", json::text(&line)).as_bytes());
    }
    let text = status::text(&read.view, read.held, &read.beside(false), read::screen(output));
    let before = match (redraws, first) {
        (true, _) => TOP,
        (false, true) => "",
        (false, false) => "\n",
    };
    read::emit(format!("{before}{text}").as_bytes())
}
