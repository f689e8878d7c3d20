//! `ilchul graph`: draws a workflow, or the run with its states.
//!
//! A file that is named is drawn as it is written; else the run that is meant, and where there
//! has been none, the workflow of this repository. It leaves out how each form looks (`render`).

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::Global;
use super::error::CliError;
use super::exit_code::Exit;
use super::output::Output;
use super::read::{self, OfRun};
use super::workflow_file;
use crate::render::graph::{self, Graph};
use crate::supervisor::SupervisorError;
use crate::supervisor::fold::{self, Proof};

/// Arguments of `graph`.
#[derive(Debug, Args)]
pub struct GraphArgs {
    /// A workflow file to draw as it is written; the latest run by default.
    #[arg(conflicts_with = "run")]
    file: Option<PathBuf>,
    /// How to draw it.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    #[command(flatten)]
    of: OfRun,
}

/// How to draw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Lines for a terminal, by step.
    Text,
    /// A Mermaid flowchart.
    Mermaid,
    /// Graphviz's language.
    Dot,
    /// A picture.
    Svg,
}

/// Runs it.
///
/// # Errors
/// When the file or the run that is meant can't be read, or there is neither.
pub fn run(global: &Global, args: &GraphArgs, output: Output) -> Result<Exit, CliError> {
    let graph = match &args.file {
        Some(file) => planned(Some(file), output)?,
        None => of_run(global, args, output)?,
    };
    output.result(
        || graph.json(),
        || match args.format {
            Format::Text => graph::text(&graph, read::screen(output)),
            Format::Mermaid => graph::mermaid(&graph),
            Format::Dot => graph::dot(&graph),
            Format::Svg => graph::svg(&graph),
        },
    );
    Ok(Exit::Done)
}

fn planned(file: Option<&PathBuf>, output: Output) -> Result<Graph, CliError> {
    let here = workflow_file::here()?;
    let path = workflow_file::locate(&here, file.map(PathBuf::as_path));
    let file = workflow_file::load(&path, output)?;
    Ok(Graph::of_workflow(&file.loaded.workflow))
}

fn of_run(global: &Global, args: &GraphArgs, output: Output) -> Result<Graph, CliError> {
    let (place, journal, run) = match read::target(global, &args.of) {
        Ok(found) => found,
        // Nothing has run here: what would run can be drawn all the same.
        Err(error) if args.of.run.is_none() && error.code == "no_runs" => {
            return planned(None, output);
        }
        Err(error) => return Err(error),
    };
    let folded = fold::read(&journal, &place.home, &run, Proof::Since)?;
    let folded = folded.ok_or_else(|| CliError::from(SupervisorError::UnknownRun(run)))?;
    Ok(Graph::of_run(folded.engine.state()))
}
