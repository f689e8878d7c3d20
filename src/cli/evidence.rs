//! `ilchul evidence TASK`: what was checked of one attempt, and what its worker said.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;

use super::Global;
use super::error::CliError;
use super::exit_code::Exit;
use super::output::Output;
use super::read::{self, OfRun, Read};
use crate::engine::event::{Event, ReportStep};
use crate::engine::evidence::Checked;
use crate::engine::moment::Stamp;
use crate::journal::Recorded;
use crate::render::evidence::{self, Dossier, Refused, Said};

/// Arguments of `evidence`.
#[derive(Debug, Args)]
pub struct EvidenceArgs {
    /// The task.
    task: String,
    /// Which attempt; the last by default.
    #[arg(long, value_name = "N")]
    attempt: Option<u32>,
    // The contract names these two: named here so that they are refused for what they are.
    #[arg(long, hide = true)]
    recheck: bool,
    #[arg(long, hide = true, value_name = "DIR")]
    export: Option<PathBuf>,
    #[command(flatten)]
    of: OfRun,
}

/// What the journal holds of one task's evidence, by attempt.
#[derive(Default)]
struct Found {
    items: BTreeMap<(u32, usize), (Stamp, Checked)>,
    reports: BTreeMap<u32, Said>,
    refused: Vec<(u32, Refused)>,
}

/// Runs it.
///
/// # Errors
/// When there is no such run, task or attempt, or the journal is damaged.
pub fn run(global: &Global, args: &EvidenceArgs, output: Output) -> Result<Exit, CliError> {
    for (asked, name) in [(args.recheck, "--recheck"), (args.export.is_some(), "--export")] {
        if asked {
            return Err(CliError::new("not_yet", format!("use `{name}`: it comes with a later version"))
                .hint("Leave it out to see what was checked when the attempt was judged."));
        }
    }
    let (read, mut found) = Read::open_with(global, &args.of, |rows| look(rows, &args.task))?;
    let task = read.task(&args.task)?;
    let attempt = args.attempt.unwrap_or(task.attempt);
    if args.attempt.is_some() && !(1..=task.attempt).contains(&attempt) {
        return Err(read::unknown_attempt(task, attempt));
    }
    let items = found.items.into_iter().filter(|((of, _), _)| *of == attempt);
    let dossier = Dossier {
        task: task.id.clone(),
        attempt,
        declared: task.declared.clone(),
        items: items.map(|((_, item), (at, checked))| (item, at, checked)).collect(),
        report: found.reports.remove(&attempt),
        refused: found
            .refused
            .into_iter()
            .filter(|(of, _)| *of == attempt)
            .map(|(_, refused)| refused)
            .collect(),
    };
    output.result(|| evidence::json(&dossier), || evidence::text(&dossier, read::screen(output)));
    Ok(Exit::Done)
}

/// The checks and reports of one task; of an item that was checked twice, the last check.
fn look(rows: &[Recorded], task: &str) -> Found {
    let mut found = Found::default();
    for row in rows.iter().filter(|row| row.event.task() == Some(task)) {
        match &row.event {
            Event::Evidence(event) => {
                found.items.insert((event.attempt, event.item), (row.at, event.checked.clone()));
            }
            Event::Report(event) => {
                let attempt = event.worker.rsplit_once('.').and_then(|(_, attempt)| attempt.parse().ok());
                let Some(attempt) = attempt else { continue };
                keep(&mut found, attempt, row.at, &event.step);
            }
            Event::Run(_) | Event::Task(_) | Event::Worker(_) | Event::Claim(_) | Event::Ignored(_) => {}
        }
    }
    found
}

fn keep(found: &mut Found, attempt: u32, at: Stamp, step: &ReportStep) {
    match step {
        ReportStep::Accepted { status, summary, reason, outputs, claims, sha256 } => {
            let said = Said {
                at,
                status: status.clone(),
                summary: summary.clone(),
                reason: reason.clone(),
                outputs: outputs.clone(),
                claims: claims.clone(),
                sha256: sha256.clone(),
            };
            found.reports.insert(attempt, said);
        }
        ReportStep::Refused { code, detail, sha256 } => {
            let refused = Refused { at, code: code.clone(), detail: detail.clone(), sha256: sha256.clone() };
            found.refused.push((attempt, refused));
        }
    }
}
