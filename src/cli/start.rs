//! What a new run starts from: base, ids, the frozen file.

use std::collections::BTreeMap;

use super::choose;
use super::error::{CliError, words};
use super::output;
use super::place::Place;
use super::session;
use super::setup;
use super::up::UpArgs;
use super::workflow_file::{self, File};
use crate::engine::event::{SetupApproval, Started};
use crate::engine::state::RunState;
use crate::render::words;
use crate::supervisor::clock::{Clock, boot_id};
use crate::workflow::{SessionKind, TaskBase, Workflow};

/// How many uncommitted paths are named.
const NAMED: usize = 5;
/// Copies of edited files in one run's folder.
const COPIES_MAX: usize = 10_000;

/// The commit that a workflow's base names now.
///
/// # Errors
/// When it names none.
pub fn resolve(place: &Place, workflow: &Workflow) -> Result<String, CliError> {
    commit(place, base_name(workflow))
}

/// What the base is written as.
#[must_use]
pub fn base_name(workflow: &Workflow) -> &str {
    workflow.base.as_deref().unwrap_or("HEAD")
}

/// A run goes on from the commit that it began with: says so where its base's name has moved on.
pub fn moved(place: &Place, state: &RunState) {
    let Ok(now) = resolve(place, state.workflow()) else { return };
    let started = &state.started;
    if now != started.base {
        output::talk(&format!(
            "The run {} goes on from {}, though `{}` is {} now. For a run from there: `ilchul down`, then `ilchul up --new`.",
            started.run,
            words::short(&started.base),
            started.base_name,
            words::short(&now)
        ));
    }
}

/// The commit that a name stands for now.
///
/// # Errors
/// When it stands for none.
pub fn commit(place: &Place, name: &str) -> Result<String, CliError> {
    place.repository.resolve_commit(name).map_err(|error| {
        CliError::new("base", format!("find the base `{}`: {}", name.escape_debug(), words(&error)))
            .hint("Name a commit, branch or tag of this repository with `base:`.")
    })
}

/// The root of a new run.
///
/// # Errors
/// When a base names no commit.
pub fn plan(
    place: &Place,
    (workflow, digest): (Workflow, String),
    (path, session): (String, SessionKind),
    args: &UpArgs,
) -> Result<Started, CliError> {
    let mut bases = BTreeMap::new();
    for task in &workflow.tasks {
        if let Some(TaskBase::Commit(name)) = &task.base
            && !bases.contains_key(name)
        {
            bases.insert(name.clone(), commit(place, name)?);
        }
    }
    let workflow = workflow.hosted_by(session);
    Ok(Started {
        run: run_id(),
        path,
        digest,
        base: resolve(place, &workflow)?,
        setup: approved(place, &workflow, args.trust_setup)?,
        base_name: base_name(&workflow).to_owned(),
        bases,
        session,
        workers: choose::workers(args.workers, workflow.limits.workers, session),
        only: args.only.clone(),
        pid: std::process::id(),
        boot: boot_id(),
        mono_ms: Clock::kernel().mono_ms(),
        workflow,
    })
}

/// The setup that a run would start with now, if somebody approved it.
///
/// # Errors
/// When nobody has.
pub fn approved(place: &Place, workflow: &Workflow, trust: bool) -> Result<Option<SetupApproval>, CliError> {
    setup::granted(place, setup::of_now(place, workflow)?, trust)
}

/// `--only` names tasks of the workflow.
///
/// # Errors
/// When it doesn't.
pub fn check_only(file: &File, only: &[String]) -> Result<(), CliError> {
    let known = &file.loaded.workflow.tasks;
    match only.iter().find(|id| !known.iter().any(|task| task.id == **id)) {
        None => Ok(()),
        Some(id) => {
            let ids: Vec<&str> = known.iter().map(|task| task.id.as_str()).collect();
            Err(CliError::new(
                "unknown_task",
                format!("run only `{}`: the workflow has no such task", id.escape_debug()),
            )
            .hint(format!("Its tasks are: {}.", ids.join(", "))))
        }
    }
}

/// Sortable by time, and hard to hit twice: `20261121-093012-4f2a`.
fn run_id() -> String {
    let now = jiff::Timestamp::from_millisecond(crate::supervisor::clock::wall_ms()).unwrap_or_default();
    let time = now.strftime("%Y%m%d-%H%M%S");
    let chance = uuid::Uuid::new_v4().simple().to_string();
    format!("{time}-{}", &chance[..4])
}

/// Keeps the file as it was, before the journal names the run.
///
/// # Errors
/// What the system says.
pub fn freeze(place: &Place, run: &str, bytes: &[u8]) -> Result<(), CliError> {
    let path = place.home.workflow(run);
    whole_file(place, run, bytes)?.persist(path).map_err(|error| unkept(&error.error))?;
    Ok(())
}

/// A name in the run's folder for the copy of an edited file: none that is taken.
///
/// # Errors
/// When there is no name left.
pub fn copy_name(place: &Place, run: &str) -> Result<String, CliError> {
    let names = (2..=COPIES_MAX).map(|n| format!("workflow-{n}.yaml"));
    let mut free = names.filter(|name| std::fs::symlink_metadata(place.home.run(run).join(name)).is_err());
    free.next()
        .ok_or_else(|| CliError::new("home", format!("keep more than {COPIES_MAX} copies of the workflow")))
}

/// Keeps an edited file beside the first, which is never replaced.
///
/// # Errors
/// What the system says.
pub fn freeze_copy(place: &Place, run: &str, name: &str, bytes: &[u8]) -> Result<(), CliError> {
    let path = place.home.run(run).join(name);
    whole_file(place, run, bytes)?.persist_noclobber(path).map_err(|error| unkept(&error.error))?;
    Ok(())
}

fn whole_file(place: &Place, run: &str, bytes: &[u8]) -> Result<tempfile::NamedTempFile, CliError> {
    let folder = place.home.run(run);
    let write = || {
        crate::home::private_dir(&folder)?;
        let mut file = tempfile::NamedTempFile::new_in(&folder)?;
        std::io::Write::write_all(&mut file, bytes)?;
        file.as_file().sync_all()?;
        Ok(file)
    };
    write().map_err(|error| unkept(&error))
}

fn unkept(error: &std::io::Error) -> CliError {
    CliError::new("home", format!("keep a copy of the workflow: {error}"))
}

/// Says what is about to happen, and what isn't part of it.
pub fn announce(place: &Place, started: &Started) {
    let tasks = started.workflow.tasks.len();
    output::talk(&format!(
        "Run {} of {}: {tasks} task{}, {} at once, from {} ({}).",
        started.run,
        started.path,
        if tasks == 1 { "" } else { "s" },
        started.workers,
        started.base_name,
        words::short(&started.base)
    ));
    match started.session {
        SessionKind::Tmux => {
            output::talk(&format!(
                "Workers are windows of the tmux session {} (attach: ilchul attach TASK).",
                session::tmux_name(place, &started.run)
            ));
        }
        SessionKind::Subprocess => output::talk("Follow a worker: ilchul logs -f TASK."),
        SessionKind::Slurm => output::talk(
            "Workers are jobs of Slurm, named ilchul.<run>.<worker> (attach: ilchul attach TASK).",
        ),
    }
    if let Ok(changed) = place.repository.uncommitted(&checkout(place))
        && !changed.is_empty()
    {
        let named: Vec<&str> = changed.iter().take(NAMED).map(String::as_str).collect();
        let more = changed.len().saturating_sub(NAMED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        output::talk(&format!("Not part of it, because uncommitted: {}{more}.", named.join(", ")));
    }
}

/// The checkout that the command was typed in.
fn checkout(place: &Place) -> std::path::PathBuf {
    let here = workflow_file::here().ok().and_then(|here| workflow_file::root(&here));
    here.unwrap_or_else(|| place.repository.main_checkout().to_owned())
}
