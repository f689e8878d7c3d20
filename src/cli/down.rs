//! `ilchul down`: end the supervisor and the live workers; what they made stays.
//!
//! Where no supervisor works, this process drives the end itself: it starts nothing new.

use std::time::Duration;

use clap::Args;

use super::error::CliError;
use super::exit_code::Exit;
use super::output::Output;
use super::place::Place;
use super::progress::Progress;
use super::{Global, act, drive, request};
use crate::engine::input::{Input, Request};
use crate::engine::state::RunPhase;
use crate::journal::{Journal, lock};
use crate::render::words;
use crate::supervisor::open_old;

/// How long `down` waits for a supervisor to let go of the lock, beyond the grace.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often the lock is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Arguments of `down`.
#[derive(Debug, Args, Clone)]
pub struct DownArgs {
    /// End the workers at once, without a grace.
    #[arg(long)]
    force: bool,
    /// The run; the latest by default. The beginning of its id is enough.
    #[arg(long, value_name = "RUN")]
    run: Option<String>,
}

/// Runs it.
///
/// # Errors
/// When nobody can decide it, or the supervisor doesn't let go.
pub fn run(global: &Global, args: &DownArgs, output: Output) -> Result<Exit, CliError> {
    let (place, run) = act::target(global, args.run.as_deref())?;
    let state = place.run(Some(&run))?;
    let live = state.engine.state().workers.values().filter(|worker| worker.phase.is_live()).count();
    let driven =
        lock::held(&place.home.lock()).ok().flatten().flatten().is_some_and(|holder| holder.run == run);
    let ended = matches!(state.engine.state().phase, RunPhase::Ended { .. });
    let message = if driven {
        request::send(&place, &run, &Request::Down { force: args.force })?;
        await_release(&place, state.engine.state().workflow().limits.grace + PATIENCE)?;
        down(&run, &state.engine.state().started.path)
    } else if live == 0 || ended {
        format!("The run {run} has no supervisor and no live workers.")
    } else {
        drive_down(&place, &run, args.force, output)?;
        down(&run, &state.engine.state().started.path)
    };
    output.result(|| serde_json::json!({"run": run, "message": message}), || format!("{message}\n"));
    Ok(Exit::Done)
}

fn down(run: &str, path: &str) -> String {
    format!(
        "The run {run} is down. Retained worktrees and sessions stay; `{}` goes on with it.",
        words::up(path)
    )
}

fn await_release(place: &Place, patience: Duration) -> Result<(), CliError> {
    let deadline = std::time::Instant::now() + patience;
    while lock::held(&place.home.lock()).ok().flatten().is_some() {
        if std::time::Instant::now() >= deadline {
            return Err(CliError::new("still_held", "see the supervisor end in time")
                .hint("Run `ilchul status` to see what it waits for, or `ilchul down --force`."));
        }
        std::thread::sleep(LOOK_EVERY);
    }
    Ok(())
}

fn drive_down(place: &Place, run: &str, force: bool, output: Output) -> Result<(), CliError> {
    let signals = drive::signals()?;
    let mut lock = drive::lock(place, Duration::from_secs(5))?;
    drive::sign(place, &mut lock, run)?;
    let journal = Journal::open(&place.home)?;
    let state = place.run_of(&journal, run)?;
    let started = &state.engine.state().started;
    let world = drive::world(place, run, started.session, &started.workflow)?;
    let opened = drive::opened(world, journal, Box::new(Progress::new(false, output.color_err)), false);
    drive::run(
        signals,
        || Ok(open_old(opened)?),
        |supervisor| {
            supervisor.tell(&Input::Request(Request::Down { force }));
            Ok(())
        },
    )?;
    Ok(())
}
