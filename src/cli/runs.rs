//! `ilchul runs`: every run of this repository, oldest first.

use clap::Args;

use super::Global;
use super::error::CliError;
use super::exit_code::Exit;
use super::output::Output;
use super::read;
use crate::engine::event::{Event, RunEvent};
use crate::engine::state::RunPhase;
use crate::journal::Recorded;
use crate::render::json;
use crate::render::runs::{self, RunLine};

/// Arguments of `runs`.
#[derive(Debug, Args)]
pub struct RunsArgs {}

/// Runs it.
///
/// # Errors
/// When the journal can't be read. No run at all is an empty list.
pub fn run(global: &Global, _args: &RunsArgs, output: Output) -> Result<Exit, CliError> {
    let mut lines = Vec::new();
    if let Some((place, journal)) = read::journal(global)? {
        for row in journal.runs()? {
            let mut found = line(&row.id, &journal.read_run(&row.id)?);
            if let Some(line) = &mut found {
                line.held = line.phase == RunPhase::Running && read::is_held(&place, &row.id)?;
            }
            lines.extend(found);
        }
    }
    output.result(|| lines.iter().map(json::run).collect(), || runs::text(&lines, read::screen(output)));
    Ok(Exit::Done)
}

/// A run's line from its own events: tasks and workers aren't folded for a list.
fn line(id: &str, recorded: &[Recorded]) -> Option<RunLine> {
    let mut found: Option<RunLine> = None;
    for row in recorded {
        let Event::Run(event) = &row.event else { continue };
        if let RunEvent::Started(started) = event {
            found = Some(RunLine {
                id: id.to_owned(),
                workflow: started.workflow.name.clone(),
                phase: RunPhase::Running,
                held: false,
                base: started.base.clone(),
                base_name: started.base_name.clone(),
                started_at: row.at,
                ended_at: None,
                halted: None,
            });
        }
        let Some(line) = &mut found else { continue };
        match event {
            RunEvent::Started(_)
            | RunEvent::Stopping { .. }
            | RunEvent::Drifted(_)
            | RunEvent::Extended(_) => {}
            RunEvent::Halted(halted) => line.halted = Some(halted.by),
            RunEvent::Resumed { .. } => line.phase = RunPhase::Running,
            RunEvent::Reopened { .. } => {
                (line.phase, line.ended_at, line.halted) = (RunPhase::Interrupted, None, None);
            }
            RunEvent::Adopted(adopted) => {
                line.halted = None;
                line.workflow.clone_from(&adopted.workflow.name);
                (line.base, line.base_name) = (adopted.base.clone(), adopted.base_name.clone());
                if line.ended_at.take().is_some() {
                    line.phase = RunPhase::Interrupted;
                }
            }
            RunEvent::Interrupted { .. } => line.phase = RunPhase::Interrupted,
            RunEvent::Ended { success, halted } => {
                line.halted = *halted;
                (line.phase, line.ended_at) = (RunPhase::Ended { success: *success }, Some(row.at));
            }
        }
    }
    found
}
