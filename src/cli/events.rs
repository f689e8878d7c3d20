//! `ilchul events`: the journal of a run, oldest first, and with `-f` as it grows.

use std::time::Duration;

use clap::Args;

use super::Global;
use super::away::rows;
use super::error::CliError;
use super::exit_code::Exit;
use super::output::Output;
use super::read::{self, Follower, OfRun};
use crate::engine::event::{Event, RunEvent};
use crate::journal::Recorded;
use crate::render::{events, json};

/// How often `-f` looks for more.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Arguments of `events`.
#[derive(Debug, Args)]
pub struct EventsArgs {
    /// Go on with what comes, until the run ends.
    #[arg(short, long)]
    follow: bool,
    /// Rows for another ilchul, with whether a supervisor drives the run.
    #[arg(long, hide = true)]
    rows: bool,
    /// Of these rows, those after this one.
    #[arg(long, hide = true, default_value_t = 0)]
    after: u64,
    #[command(flatten)]
    of: OfRun,
}

impl EventsArgs {
    /// Whether it goes on until the run ends, or until nobody reads it any more.
    pub(super) fn follows(&self) -> bool {
        self.follow
    }
}

/// Runs it.
///
/// # Errors
/// When there is no run, or the journal is damaged.
pub fn run(global: &Global, args: &EventsArgs, output: Output) -> Result<Exit, CliError> {
    let (place, journal, run) = read::target(global, &args.of)?;
    if args.rows {
        return rows::tell((&place, &run), Follower::new(journal, run.clone()), args.after);
    }
    let mut follower = Follower::new(journal, run);
    let mut ended = false;
    loop {
        let recorded = follower.poll()?;
        ended = recorded.iter().fold(ended, |before, row| ends(row).unwrap_or(before));
        let read = read::emit(lines(&recorded, output).as_bytes());
        if !read || !args.follow || ended || !read::pause_for_reader(LOOK_EVERY) {
            return Ok(Exit::Done);
        }
    }
}

fn lines(recorded: &[Recorded], output: Output) -> String {
    let screen = read::screen(output);
    recorded.iter().fold(String::new(), |mut text, row| {
        if output.json {
            text.push_str(&json::text(&events::json(row.seq, row.at, &row.event)));
        } else {
            text.push_str(&events::text(screen, row.seq, row.at, &row.event));
        }
        text.push('\n');
        text
    })
}

/// Whether the run is over after this event; `None` where the event says nothing of that.
fn ends(row: &Recorded) -> Option<bool> {
    match &row.event {
        Event::Run(RunEvent::Ended { .. }) => Some(true),
        Event::Run(RunEvent::Resumed { .. } | RunEvent::Reopened { .. } | RunEvent::Adopted(_)) => {
            Some(false)
        }
        Event::Run(
            RunEvent::Started(_)
            | RunEvent::Interrupted { .. }
            | RunEvent::Stopping { .. }
            | RunEvent::Extended(_)
            | RunEvent::Halted(_)
            | RunEvent::Drifted(_),
        )
        | Event::Task(_)
        | Event::Worker(_)
        | Event::Claim(_)
        | Event::Report(_)
        | Event::Evidence(_)
        | Event::Ignored(_) => None,
    }
}
