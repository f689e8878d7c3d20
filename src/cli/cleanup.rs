//! `ilchul cleanup --safe`: close what may be closed, and say what its person may remove.
//!
//! Nothing is removed here. The commands are text, for whoever decides to type them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use ilchul_substrate::{Mark, Urgency};
use serde_json::json;

use super::close::Closing;
use super::error::{CliError, words};
use super::exit_code::Exit;
use super::output::{self, Output};
use super::place::Place;
use super::read::OfRun;
use super::{Global, act, request, session};
use crate::engine::close::{self, Close, CloseVerdict, Held, Looked, Tree};
use crate::engine::input::Request;
use crate::engine::view::WorkerView;
use crate::engine::worker_table::WorkerPhase;
use crate::render::clean;
use crate::render::close::clause;
use crate::render::words::line;
use crate::supervisor::close::quoted;
use crate::supervisor::world::handle;
use crate::workflow::SessionKind;

/// How long what is left of a session may take to end.
const GRACE: Duration = Duration::from_secs(10);

/// Arguments of `cleanup`.
#[derive(Debug, Args, Clone)]
pub struct CleanupArgs {
    /// Only workers that are safe to close: there is no other cleanup.
    #[arg(long, required = true)]
    safe: bool,
    /// The run; the latest by default. The beginning of its id is enough.
    #[arg(long, value_name = "RUN")]
    run: Option<String>,
}

/// What became of one worker.
struct Closed<'w> {
    worker: &'w WorkerView,
    close: Close,
    /// What its person may run; none where it is retained again.
    commands: Option<Vec<String>>,
}

/// Runs it.
///
/// # Errors
/// When nobody can decide it, or the journal can't be written.
pub fn run(global: &Global, args: &CleanupArgs, output: Output) -> Result<Exit, CliError> {
    let (place, run) = act::target(global, args.run.as_deref())?;
    let closing = Closing::open(global, &OfRun { run: Some(run.clone()) })?;
    let marked =
        |worker: &WorkerView| matches!(worker.phase, WorkerPhase::SafeToClose | WorkerPhase::CleanupReleased);
    let mut closed = Vec::new();
    for (worker, looked) in closing.look(marked) {
        closed.push(settle((&place, &run), worker, &looked)?);
    }
    output.result(|| data(&run, &closed), || text(&run, &closed));
    Ok(Exit::Done)
}

/// Decided and journaled first; only then is its session ended (law 1).
fn settle<'w>(
    (place, run): (&Place, &str),
    worker: &'w WorkerView,
    looked: &Looked,
) -> Result<Closed<'w>, CliError> {
    let close = close::judge(looked);
    let id = worker.id.clone();
    if close.verdict != CloseVerdict::Safe {
        // Of one that was closed before, there is no mark to take back.
        let reasons = close.reasons.get(..close.against).unwrap_or_default().to_vec();
        if worker.phase == WorkerPhase::SafeToClose {
            request::send(place, run, &Request::Withdraw { worker: id, reasons })?;
        }
        return Ok(Closed { worker, close, commands: None });
    }
    let observations = close.reasons.clone();
    request::send(place, run, &Request::CleanUp { worker: id, by: user(), observations })?;
    if let Err(why) = end_session(place, run, worker) {
        output::talk(&format!("What is left of the session of `{}` stays: {}.", worker.id, line(&why)));
    }
    Ok(Closed { worker, close, commands: Some(commands(place, worker, looked)) })
}

fn user() -> String {
    let id = nix::unistd::geteuid();
    match nix::unistd::User::from_uid(id) {
        Ok(Some(user)) => user.name,
        Ok(None) | Err(_) => format!("user {id}"),
    }
}

/// No process of it lives: this ends what a substrate still counts as its session. A terminal stays.
fn end_session(place: &Place, run: &str, worker: &WorkerView) -> Result<(), String> {
    let Some(found) = &worker.session else { return Ok(()) };
    let kinds = [SessionKind::Tmux, SessionKind::Slurm];
    let kind = kinds.into_iter().find(|kind| kind.word() == found.kind).unwrap_or(SessionKind::Subprocess);
    let waits = session::Waits { grace: GRACE, poll: None, submit_every: None };
    let sessions = session::open(place, run, kind, waits).map_err(|error| error.message)?;
    let mark = format!("ilchul.{run}.{}", worker.id).parse();
    let mark = mark.map_err(|error: ilchul_substrate::InvalidMark| error.to_string())?;
    sessions.release(&handle(mark, found), Urgency::Asked).map_err(|error| words(&error))
}

/// What the worker's person may run. A branch is named only because the verdict was safe:
/// what it holds is held elsewhere.
fn commands(place: &Place, worker: &WorkerView, looked: &Looked) -> Vec<String> {
    let git = format!("git -C {}", quoted(&place.repository.main_checkout().display().to_string()));
    let mut commands = Vec::new();
    if let Some(workspace) = &worker.workspace {
        let field = |name: &str| workspace.fields.get(name).map(String::as_str).unwrap_or_default();
        let path = quoted(field("path"));
        // Git refuses without it where something is uncommitted; the snapshot has that.
        let force = match &looked.tree {
            Tree::There(held) if is_dirty(held) => "--force ",
            // To git, all its files were deleted.
            Tree::Unfilled => "--force ",
            Tree::There(_) | Tree::Gone { .. } | Tree::Never | Tree::Folder(_) | Tree::Hidden(_) => "",
        };
        commands.push(format!("{git} worktree unlock {path}"));
        commands.push(format!("{git} worktree remove {force}{path}"));
        commands.push(format!("{git} branch -D {}", quoted(field("branch"))));
        for view in views(Path::new(field("path"))) {
            let view = quoted(&view.display().to_string());
            commands.push(format!("{git} worktree unlock {view}"));
            commands.push(format!("{git} worktree remove {view}"));
        }
    }
    let terminal = worker.session.as_ref().filter(|session| session.kind == SessionKind::Tmux.word());
    if let Some(session) = terminal {
        let socket = session.fields.get("socket").map(|socket| format!("-S {} ", quoted(socket)));
        commands.push(format!("tmux {}kill-window -t {}", socket.unwrap_or_default(), quoted(&session.id)));
    }
    commands
}

/// The detached trees that a judge was given beside its own at `tree`.
fn views(tree: &Path) -> Vec<PathBuf> {
    let mark = tree.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse::<Mark>().ok());
    let Some(mark) = mark else { return Vec::new() };
    let view = |side| tree.with_file_name(format!("ilchul.{}-{side}.{}", mark.run(), mark.worker()));
    ["left", "right"].map(view).into_iter().filter(|path| path.is_dir()).collect()
}

fn is_dirty(held: &Held) -> bool {
    !matches!(&held.uncommitted, Ok(paths) if paths.is_empty())
}

fn data(run: &str, closed: &[Closed<'_>]) -> serde_json::Value {
    let one = |one: &Closed<'_>| {
        json!({
            "worker": one.worker.id,
            "state": match one.commands {
                Some(_) => WorkerPhase::CleanupReleased.word(),
                None if one.worker.phase == WorkerPhase::SafeToClose => WorkerPhase::CompletedRetained.word(),
                None => one.worker.phase.word(),
            },
            "close": crate::render::close::json(&one.close),
            "commands": one.commands.as_deref().unwrap_or_default(),
        })
    };
    json!({"run": run, "workers": closed.iter().map(one).collect::<Vec<_>>()})
}

fn text(run: &str, closed: &[Closed<'_>]) -> String {
    if closed.is_empty() {
        return format!("Run {run} has no worker that is safe to close. Nothing was changed.\n");
    }
    let mut text = String::new();
    for one in closed {
        let (id, why) = (&one.worker.id, clause(&one.close));
        match &one.commands {
            None if one.worker.phase == WorkerPhase::SafeToClose => {
                text.push_str(&format!(
                    "`{id}` isn't safe to close any more and is retained again: {why}.\n"
                ));
            }
            None => text.push_str(&format!("`{id}` isn't as it was when it was closed: {why}.\n")),
            Some(commands) => {
                text.push_str(&format!("`{id}` is closed: {why}.\n"));
                text.extend(commands.iter().map(|command| format!("  {}\n", clean(command))));
            }
        }
    }
    text.push_str("Nothing was removed. The commands above are yours to run, or not.\n");
    text
}
