//! `ilchul validate`: everything that is wrong with a workflow file, at once.
//!
//! It reads that one file. It asks neither git nor tmux: whether a base exists or a
//! session can be had is for `plan` to say.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Map, Value, json};

use super::Global;
use super::describe;
use super::describe::count;
use super::error::CliError;
use super::exit_code::Exit;
use super::output::Output;
use super::workflow_file;
use crate::workflow::Task;

/// Arguments of `validate`.
#[derive(Debug, Args)]
pub struct ValidateArgs {
    /// The workflow file; `ilchul.yaml` at the repository's root by default.
    file: Option<PathBuf>,
}

/// Runs it.
///
/// # Errors
/// When the file can't be read, or anything in it is wrong.
pub fn run(_global: &Global, args: &ValidateArgs, output: Output) -> Result<Exit, CliError> {
    let path = workflow_file::locate(&workflow_file::here()?, args.file.as_deref());
    let file = workflow_file::load(&path, output)?;
    let (tasks, warnings) = (file.loaded.workflow.tasks.len(), &file.loaded.warnings);
    let name = path.display().to_string();
    output.result(
        || {
            let warnings = workflow_file::details(&name, warnings);
            let workflow = &file.loaded.workflow;
            let ceiling = |task: &Task| (task.id.clone(), json!(task.budget));
            let ceilings = workflow.tasks.iter().filter(|task| !task.budget.is_empty()).map(ceiling);
            let budgets: Map<String, Value> = ceilings.collect();
            json!({
                "name": workflow.name, "tasks": tasks, "warnings": warnings,
                "limits": describe::bounds_json(&workflow.limits), "budgets": budgets,
            })
        },
        || {
            let found = if warnings.is_empty() {
                "no problems".to_owned()
            } else {
                format!("no errors, {}", count(warnings.len(), "warning"))
            };
            crate::render::clean(&format!("`{name}`: {}, {found}.\n", count(tasks, "task")))
        },
    );
    Ok(Exit::Done)
}
