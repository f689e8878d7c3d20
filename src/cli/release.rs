//! `ilchul release`: mark a retained worker as safe to close, with reasons.

use clap::Args;

use super::error::CliError;
use super::exit_code::Exit;
use super::output::Output;
use super::place::Place;
use super::{Global, act};
use crate::engine::input::Request;
use crate::engine::state::{RunState, WorkerState};
use crate::supervisor::world::handle;
use ilchul_subprocess::process::{Identity, is_running};
use ilchul_substrate::{Mark, State, Substrate};

/// Arguments of `release`.
#[derive(Debug, Args, Clone)]
pub struct ReleaseArgs {
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
pub fn run(global: &Global, args: &ReleaseArgs, output: Output) -> Result<Exit, CliError> {
    let (place, run) = act::target(global, args.run.as_deref())?;
    let state = place.run(Some(&run))?;
    let observations = observe(&place, state.engine.state(), &args.worker)?;
    let done = format!(
        "`{}` is safe to close: {}. Nothing was removed; its worktree stays, locked.",
        args.worker,
        observations.join("; ")
    );
    let request = Request::Release { worker: args.worker.clone(), observations };
    act::act((&place, &run), &request, &done, output)
}

/// What is looked at before a worker is called safe to close; anything that isn't known refuses.
fn observe(place: &Place, state: &RunState, id: &str) -> Result<Vec<String>, CliError> {
    // Whether there is such a worker, and whether it may be released, is the engine's to say.
    let Some(worker) = state.workers.get(id) else { return Ok(Vec::new()) };
    if worker.phase.is_live() {
        return Ok(Vec::new());
    }
    let mut seen = vec![process(worker, id)?];
    if let Some(workspace) = &worker.workspace {
        let refuse = |why: String| {
            CliError::new("not_safe", format!("call `{id}` safe to close: {why}"))
                .hint("Nothing was changed. Look at its worktree: `ilchul workers` names it.")
        };
        let mark: Mark = format!("ilchul.{}.{id}", state.started.run)
            .parse()
            .map_err(|error: ilchul_substrate::InvalidMark| refuse(error.to_string()))?;
        let tree = handle(mark, workspace);
        let looked = place.repository.observe(std::slice::from_ref(&tree));
        match looked.first().map(|observation| &observation.state) {
            Some(State::Live(_)) => {
                let reference = format!("refs/ilchul/{}/{id}", state.started.run);
                let message = format!("ilchul: what {id} held when it was released");
                let kept = place
                    .repository
                    .snapshot(&tree, &reference, &message)
                    .map_err(|error| refuse(super::error::words(&error)))?;
                seen.push(match kept.uncommitted.len() {
                    0 => "nothing is uncommitted".to_owned(),
                    1 => "1 uncommitted file is kept".to_owned(),
                    count => format!("{count} uncommitted files are kept"),
                });
                seen.push(format!("all of it is in {reference}"));
            }
            Some(State::Absent) => seen.push("the worktree is gone already".to_owned()),
            Some(State::Unknown(why)) => return Err(refuse(why.clone())),
            Some(State::Queued(_) | State::Ended(_)) | None => {
                return Err(refuse("its worktree can't be looked at".to_owned()));
            }
        }
    }
    Ok(seen)
}

/// The session's first process must be gone.
fn process(worker: &WorkerState, id: &str) -> Result<String, CliError> {
    let Some(session) = &worker.session else { return Ok("it never had a session".to_owned()) };
    let number = |name: &str| session.fields.get(name).and_then(|value| value.parse::<u64>().ok());
    let pid = number("pid").or_else(|| session.id.parse().ok()).and_then(|pid| u32::try_from(pid).ok());
    let (Some(pid), Some(start_ticks)) = (pid, number("start_ticks")) else {
        return Ok("its process was never seen".to_owned());
    };
    let another_boot =
        session.fields.get("boot_id").is_some_and(|boot| *boot != crate::supervisor::clock::boot_id());
    match is_running(Identity { pid, start_ticks }) {
        Ok(true) if !another_boot => {
            Err(CliError::new("not_safe", format!("call `{id}` safe to close: its process {pid} still runs"))
                .hint("Wait for its end, or end it with `ilchul down`."))
        }
        Ok(_) => Ok("its process has ended".to_owned()),
        Err(error) => Err(CliError::new("not_safe", format!("look at the process of `{id}`: {error}"))),
    }
}
