//! `ilchul up`: run a workflow, or go on with it.
//!
//! It decides which run, says what happens, and ends with the record. It leaves out
//! the driving itself.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::error::CliError;
use super::exit_code::Exit;
use super::notify::Voices;
use super::output::{self, Output};
use super::place::{self, Place, Run};
use super::progress::Progress;
use super::workflow_file::{self, File};
use super::{
    Global, adopt, agent_look, choose, detach, drive, metrics, record, settings, start, surroundings,
};
use crate::engine::Engine;
use crate::engine::state::{RunPhase, RunState};
use crate::journal::Journal;
use crate::render::words;
use crate::supervisor::fold::{Proof, Proving};
use crate::supervisor::signals::Signals;
use crate::supervisor::{End, Listener, open_folded, open_new};

/// Arguments of `up`.
#[derive(Debug, Args, Clone)]
pub struct UpArgs {
    /// The workflow file; `ilchul.yaml` at the repository's root by default.
    pub(super) file: Option<PathBuf>,
    /// What hosts the workers; never replaced by another kind when named.
    #[arg(long, value_name = "KIND", value_parser = clap::builder::PossibleValuesParser::new(choose::SESSIONS))]
    pub(super) session: Option<String>,
    /// Live workers at once; the workflow's limit, or the number of cores (20 on Slurm), by default.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(super) workers: Option<u32>,
    /// Start another run, though there is one of this workflow.
    #[arg(long)]
    pub(super) new: bool,
    /// Go on with the last run under the edited file: what it changes reruns, the rest is kept.
    #[arg(long, conflicts_with = "new")]
    pub(super) adopt: bool,
    /// End with exit code 4 where only a person can go on.
    #[arg(long)]
    pub(super) unattended: bool,
    /// Return once the supervisor works in the background.
    #[arg(long)]
    pub(super) detach: bool,
    /// Only this task and what it needs.
    #[arg(long, value_name = "TASK")]
    pub(super) only: Vec<String>,
    /// Run the repository's setup without `ilchul approve --hooks`: for CI, where nobody can be asked.
    #[arg(long)]
    pub(super) trust_setup: bool,
    /// How progress is told.
    #[arg(long, value_enum, default_value = "text")]
    pub(super) output: Told,
    /// When it returns, export the run as an OpenTelemetry trace, as `ilchul trace` does.
    #[arg(long, value_name = "FILE|URL")]
    pub(super) otel: Option<String>,
    /// Keep what is counted in this file, in Prometheus's text format.
    #[arg(long, value_name = "FILE")]
    pub(super) metrics: Option<PathBuf>,
}

/// How progress is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Told {
    /// Lines for people, on stderr.
    Text,
    /// The journal's events as JSON lines, on stdout.
    Json,
}

/// Runs it.
///
/// # Errors
/// Everything that keeps a run from starting or going on; 5 when another supervisor works.
pub fn run(global: &Global, args: &UpArgs, output: Output) -> Result<Exit, CliError> {
    let place = place::find(global.home.as_deref())?;
    let path = workflow_file::locate(&workflow_file::here()?, args.file.as_deref());
    let identity = workflow_file::identity(&path, place.repository.main_checkout());
    // A long journal takes as long to prove as a large file to read.
    let proving = Proving::of_last(&place.home, &identity);
    let file = workflow_file::load(&path, output)?;
    start::check_only(&file, &args.only)?;
    if !place.home.journal().exists() {
        // A first run is refused before even its home is made.
        start::approved(&place, &file.loaded.workflow, args.trust_setup)?;
    }
    // What returns at once is ended by a signal as any other command.
    let signals = if args.detach { Signals::none() } else { drive::signals()? };
    let mut lock = drive::lock(&place, Duration::ZERO)?;
    drive::sign(&place, &mut lock, "")?;
    let mut journal = Journal::open(&place.home)?;
    let last = last_run(&place, &journal, &identity, Proof::Begun(proving))?;
    let exit = match last {
        Some(last) if !args.new => {
            same_terms(last.engine.state(), args)?;
            let last = under_this_file((&place, &mut journal), last, (&file, args), output)?;
            let state = last.engine.state();
            if let RunPhase::Ended { success } = state.phase {
                return ended_before(&place, last.engine.into_state(), success, &file, output);
            }
            if args.output == Told::Text {
                start::moved(&place, state);
            }
            if args.detach {
                let session = state.started.session;
                drop((journal, lock));
                return detach::run(&place, args, session);
            }
            drive::sign(&place, &mut lock, &state.started.run)?;
            // The journal has the workflow; a large one isn't held twice while it runs.
            drop(file);
            go_on(&place, (journal, signals), last.engine, args, output)?
        }
        last => {
            refuse_beside_live(&place, &journal, last.as_ref())?;
            let named = args.session.as_deref().map(choose::named).transpose()?;
            let chosen = choose::session(named, file.loaded.workflow.session)?;
            let File { loaded, bytes, digest } = file;
            let mut workflow = loaded.workflow;
            let degraded = agent_look::settle(&mut workflow, chosen.kind)?;
            let lacking = surroundings::look(&workflow, chosen.kind)?;
            let started = start::plan(&place, (workflow, digest), (identity, chosen.kind), args)?;
            if let (Some(because), Told::Text) = (chosen.line(), args.output) {
                output::talk(&because);
            }
            if args.output == Told::Text {
                degraded.iter().chain(&lacking).for_each(|line| output::talk(line));
            }
            if args.detach {
                // What can't be had is refused here, and not in a log.
                drive::world(&place, &started.run, started.session, &started.workflow)?;
                drop((journal, lock));
                return detach::run(&place, args, started.session);
            }
            drive::sign(&place, &mut lock, &started.run)?;
            begin(&place, (journal, signals), started, (bytes, args), output)?
        }
    };
    drop(lock);
    Ok(exit)
}

/// The latest run of the workflow that `identity` names.
///
/// # Errors
/// When the journal is damaged.
pub fn last_run(
    place: &Place,
    journal: &Journal,
    identity: &str,
    proof: Proof,
) -> Result<Option<Run>, CliError> {
    let runs = journal.runs()?;
    let last = runs.iter().rev().find(|run| run.path == identity);
    last.map(|run| place.run_by(journal, &run.id, proof)).transpose()
}

/// The last run ended: its record is the answer, unless something asks for a new one.
fn ended_before(
    place: &Place,
    state: RunState,
    success: bool,
    file: &File,
    output: Output,
) -> Result<Exit, CliError> {
    let hint = "Run `ilchul up --new` to start another, or `ilchul runs` to see the old ones.";
    let base = start::resolve(place, &file.loaded.workflow)?;
    if base != state.started.base {
        let message = format!(
            "go on with the run `{}`: it has ended, and its base `{}` has moved from {} to {}",
            state.started.run,
            state.started.base_name,
            words::short(&state.started.base),
            words::short(&base)
        );
        return Err(CliError::new("base_moved", message).hint(hint));
    }
    output::talk(&format!(
        "The run {} has ended; nothing was started. Run `ilchul up --new` for another.",
        state.started.run
    ));
    record::vanished(place, &state);
    record::print(state, output);
    Ok(if success { Exit::Done } else { Exit::Failed })
}

/// A run goes on only under the file that it has, or under an edited one that is adopted.
fn under_this_file(
    (place, journal): (&Place, &mut Journal),
    last: Run,
    (file, args): (&File, &UpArgs),
    output: Output,
) -> Result<Run, CliError> {
    let quiet = output.json || args.output == Told::Json;
    let say = |text: &str| {
        if !quiet {
            output::talk(text.trim_end());
        }
    };
    let state = last.engine.state();
    let run = state.started.run.clone();
    let Some(change) = adopt::change(place, state, file, args.workers)? else {
        if args.adopt {
            say("There is nothing to adopt: the file is the one that the run has.");
        }
        return Ok(last);
    };
    if !args.adopt {
        say(&format!("What the edited file would mean for the run {run}:\n{}", change.text()));
        return Err(change.needed(state));
    }
    let text = format!("The run {run} adopts the edited file:\n{}", change.text());
    let adopted = change.approved(place, args.trust_setup)?.adopt(place, journal, last, file)?;
    say(&text);
    Ok(adopted)
}

/// What a run was started with on the command line, it goes on with (law L15).
fn same_terms(state: &RunState, args: &UpArgs) -> Result<(), CliError> {
    let run = &state.started.run;
    let named = args.session.as_deref().map(choose::named).transpose()?;
    // A run that only shows its record needs no session at all.
    let starts = args.adopt || !matches!(state.phase, RunPhase::Ended { .. });
    if starts && named.is_some_and(|named| named != state.started.session) {
        let kind = state.started.session.word();
        let message =
            format!("go on with the run `{run}` in another kind of session: it was started with `{kind}`");
        return Err(CliError::new("session_changed", message)
            .hint("Leave `--session` out, or start another run with `ilchul up --new`."));
    }
    let tasks = |only: &[String]| only.iter().cloned().collect::<std::collections::BTreeSet<_>>();
    if !args.only.is_empty() && tasks(&args.only) != tasks(&state.started.only) {
        let message = format!("go on with the run `{run}`: it was started with other tasks in `--only`");
        return Err(CliError::new("only_changed", message)
            .hint("Leave `--only` out, or start another run with `ilchul up --new`."));
    }
    Ok(())
}

fn refuse_beside_live(place: &Place, journal: &Journal, last: Option<&Run>) -> Result<(), CliError> {
    let last = match last {
        Some(_) => None,
        // Another workflow's run may have live workers as well.
        None => journal.runs()?.last().map(|run| place.run_of(journal, &run.id)).transpose()?,
    }
    .as_ref()
    .map(|run| run.engine.state().clone())
    .or_else(|| last.map(|run| run.engine.state().clone()));
    let Some(state) = last else { return Ok(()) };
    let live: Vec<&str> = state
        .workers
        .iter()
        .filter(|(_, worker)| worker.phase.is_live())
        .map(|(id, _)| id.as_str())
        .collect();
    if live.is_empty() || matches!(state.phase, RunPhase::Ended { .. }) {
        return Ok(());
    }
    let message =
        format!("start another run: the run `{}` has live workers: {}", state.started.run, live.join(", "));
    Err(CliError::new("live_workers", message)
        .hint("Run `ilchul up` on its file to go on with it, or `ilchul down` to end its workers."))
}

fn begin(
    place: &Place,
    (journal, signals): (Journal, Signals),
    started: crate::engine::event::Started,
    (bytes, args): (Vec<u8>, &UpArgs),
    output: Output,
) -> Result<Exit, CliError> {
    start::freeze(place, &started.run, &bytes)?;
    drop(bytes);
    let world = drive::world(place, &started.run, started.session, &started.workflow)?;
    if args.output == Told::Text {
        start::announce(place, &started);
    }
    let listener = voices(place, &started.run, args, output)?;
    let opened = drive::opened(world, journal, listener, args.unattended);
    let ended = drive::run(signals, || Ok(open_new(opened, started)), |_| Ok(()))?;
    finish(&ended.0, ended.1.into_state(), args, output)
}

fn go_on(
    place: &Place,
    (journal, signals): (Journal, Signals),
    engine: Engine,
    args: &UpArgs,
    output: Output,
) -> Result<Exit, CliError> {
    let state = engine.state();
    let run = &state.started.run;
    let world = drive::world(place, run, state.started.session, state.workflow())?;
    if args.output == Told::Text {
        output::talk(&format!(
            "Going on with the run {run}: {} of {} tasks have ended.",
            state.tasks.len() - state.open_count,
            state.tasks.len()
        ));
    }
    if args.output == Told::Text {
        record::vanished(place, state);
    }
    let listener = voices(place, run, args, output)?;
    let opened = drive::opened(world, journal, listener, args.unattended);
    let ended = drive::run(signals, || Ok(open_folded(opened, engine)?), |_| Ok(()))?;
    finish(&ended.0, ended.1.into_state(), args, output)
}

/// The screen, and whoever else the user wants to be told by.
fn voices(place: &Place, run: &str, args: &UpArgs, output: Output) -> Result<Box<dyn Listener>, CliError> {
    let screen = Progress::new(args.output == Told::Json, output.color_err);
    let voices = Voices::new(screen, settings::load()?.notify, (&place.home, run));
    Ok(metrics::beside(args.metrics.as_deref(), Box::new(voices)))
}

fn finish(end: &End, state: RunState, args: &UpArgs, output: Output) -> Result<Exit, CliError> {
    let live = state.workers.values().filter(|worker| worker.phase.is_live()).count();
    let exit = match end {
        End::Ended { success: true } => Exit::Done,
        End::Ended { success: false } => Exit::Failed,
        End::Interrupted { .. } | End::Unattended => Exit::Interrupted,
    };
    if args.output == Told::Json {
        return Ok(exit);
    }
    match end {
        End::Ended { .. } => record::print(state, output),
        End::Interrupted { reason } => output::talk(&record::interrupted(&state, reason, live)),
        End::Unattended => {
            let waits = record::unattended(&state);
            record::print(state, output);
            output::talk(&waits);
        }
    }
    Ok(exit)
}
