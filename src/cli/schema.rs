//! `ilchul schema NAME`: the JSON Schema of a format, for editors and for other programs.
//!
//! It leaves out the schemas themselves: each room makes its own from the tables it reads by.

use clap::Args;
use serde_json::Value;

use super::Global;
use super::error::CliError;
use super::exit_code::Exit;
use super::output::{self, Output};
use crate::render::schema;
use crate::{protocol, workflow};

/// What a schema is made by.
type Maker = fn() -> Value;

/// The formats that have one.
const SCHEMAS: [(&str, Maker); 14] = [
    ("workflow", workflow::schema),
    ("settings", workflow::settings_schema),
    ("report", protocol::report_schema),
    ("worker", protocol::worker_schema),
    // What the commands of these names print with `--json`.
    ("status", schema::status),
    ("workers", schema::workers),
    ("why", schema::why),
    ("evidence", schema::evidence),
    ("events", schema::events),
    ("graph", schema::graph),
    ("runs", schema::runs),
    ("logs", schema::logs),
    ("plan", schema::plan),
    ("page", schema::page),
];

/// Their names.
pub fn names() -> impl Iterator<Item = &'static str> {
    SCHEMAS.iter().map(|(name, _)| *name)
}

/// Arguments of `schema`.
#[derive(Debug, Args)]
pub struct SchemaArgs {
    /// Which format: `workflow`, `settings`, `report`, `worker`, or a command that reads, for its `--json`:
    /// `status`, `workers`, `why`, `evidence`, `events`, `graph`, `runs`, `logs`, `plan`, `page`.
    name: String,
}

/// Runs it.
///
/// # Errors
/// When there is no such format.
pub fn run(_global: &Global, args: &SchemaArgs, output: Output) -> Result<Exit, CliError> {
    let found = SCHEMAS.iter().find(|(name, _)| *name == args.name);
    let Some((_, make)) = found else {
        let names: Vec<String> = SCHEMAS.iter().map(|(name, _)| format!("`{name}`")).collect();
        let message = format!("find the schema `{}`", args.name.escape_debug());
        return Err(
            CliError::new("unknown_schema", message).hint(format!("The schemas are {}.", names.join(", ")))
        );
    };
    let schema = make();
    if output.json {
        output.result(|| schema, String::new);
    } else {
        // A `Value` has a JSON form always.
        output::line(&format!("{schema:#}"));
    }
    Ok(Exit::Done)
}
