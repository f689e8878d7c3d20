//! `ilchul evidence`: what was checked of an attempt, the same looked at again, and the
//! record in the formats of others.
//!
//! It only reads the run. It leaves out the writing of files (`export.rs`).

use std::path::PathBuf;

use clap::Args;

use super::Global;
use super::error::CliError;
use super::exit_code::Exit;
use super::export;
use super::output::Output;
use super::read::{self, OfRun, Read};
use crate::engine::bundle::{Again, Bundle, Bundles};
use crate::engine::view::TaskView;
use crate::render::evidence::{self, Change, Dossier};
use crate::render::recheck as words;
use crate::supervisor::recheck::{Look, recheck};

/// Arguments of `evidence`.
#[derive(Debug, Args)]
pub struct EvidenceArgs {
    /// The task; with `--export` all of them by default.
    #[arg(required_unless_present = "export")]
    task: Option<String>,
    /// Which attempt; the last by default.
    #[arg(long, value_name = "N", conflicts_with = "export")]
    attempt: Option<u32>,
    /// Look at the record again: kept files and output, commits, the verdicts from them. Runs
    /// no command; 1 where anything differs or is gone.
    #[arg(long, conflicts_with = "export")]
    recheck: bool,
    /// Write an in-toto statement for each task and `junit.xml` into this folder.
    #[arg(long, value_name = "DIR")]
    export: Option<PathBuf>,
    #[command(flatten)]
    of: OfRun,
}

/// Runs it.
///
/// # Errors
/// When there is no such run, task or attempt, the journal is damaged, or a file can't be
/// written.
pub fn run(global: &Global, args: &EvidenceArgs, output: Output) -> Result<Exit, CliError> {
    let wanted = args.task.as_deref();
    let (read, bundles) = Read::open_with(global, &args.of, |rows| {
        Bundles::gather(rows.iter().map(|row| (row.at, &row.event)), wanted)
    })?;
    let named = wanted.map(|wanted| read.task(wanted)).transpose()?;
    match (named, &args.export) {
        (named, Some(folder)) => export::run(&read, bundles, named, folder, output),
        (Some(task), None) if args.recheck => again(&read, bundles, task, args.attempt, output),
        (Some(task), None) => show(&read, bundles, task, args.attempt, output),
        // The arguments' own rule keeps this from happening.
        (None, None) => Err(CliError::new("usage", "show evidence: no task was named").exit(Exit::Usage)),
    }
}

/// The attempt that is meant; 0 for a task that was never tried and none was named.
fn attempt(task: &TaskView, wanted: Option<u32>) -> Result<u32, CliError> {
    let attempt = wanted.unwrap_or(task.attempt);
    if wanted.is_some() && !(1..=task.attempt).contains(&attempt) {
        return Err(read::unknown_attempt(task, attempt));
    }
    Ok(attempt)
}

fn show(
    read: &Read,
    mut bundles: Bundles,
    task: &TaskView,
    wanted: Option<u32>,
    output: Output,
) -> Result<Exit, CliError> {
    let bundle = bundles.remove(&task.id, attempt(task, wanted)?);
    // Only scripts get the whole record: comparing large trees takes longer than a person waits.
    let change = if output.json { change(read, &bundle) } else { None };
    let dossier = Dossier { declared: task.declared.clone(), until: task.until.clone(), bundle, change };
    output.result(|| evidence::json(&dossier), || evidence::text(&dossier, read::screen(output)));
    Ok(Exit::Done)
}

/// What the attempt changed; none where a commit isn't there any more, which `--recheck` names.
fn change(read: &Read, bundle: &Bundle) -> Option<Change> {
    let (start, snapshot) = (bundle.start.as_ref()?, bundle.snapshot.as_ref()?);
    let stat = read.place.repository.diff(start, &snapshot.commit).ok()?;
    let (files, added, removed) = (stat.files.len(), stat.added, stat.removed);
    Some(Change { files, added, removed, patch_id: stat.patch_id })
}

fn again(
    read: &Read,
    mut bundles: Bundles,
    task: &TaskView,
    wanted: Option<u32>,
    output: Output,
) -> Result<Exit, CliError> {
    let attempt = attempt(task, wanted)?;
    if attempt == 0 {
        return Err(read::unknown_attempt(task, attempt));
    }
    let bundle = bundles.remove(&task.id, attempt);
    let look = Look { home: &read.place.home, repository: &read.place.repository, run: &read.view.id };
    let found = recheck(look, &bundle);
    let dossier =
        Dossier { declared: task.declared.clone(), until: task.until.clone(), bundle, change: None };
    output.result(|| words::json(&dossier, &found), || words::text(&dossier, &found, read::screen(output)));
    let holds = found.iter().all(|one| one.again == Again::Same);
    Ok(if holds { Exit::Done } else { Exit::Wrong })
}
