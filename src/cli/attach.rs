//! `ilchul attach TASK|WORKER`: go to a worker's terminal, that one or none (law L15).

use std::ffi::OsString;
use std::io::IsTerminal;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use clap::Args;
use ilchul_substrate::{Handle, Mark, State, Substrate};
use ilchul_tmux_session::{Server, TmuxSession};
use serde_json::json;

use super::Global;
use super::error::{CliError, words};
use super::exit_code::Exit;
use super::output::{self, Output};
use super::read::{OfRun, Read};
use super::session::{self, Waits};
use crate::engine::event;
use crate::engine::view::WorkerView;

/// Arguments of `attach`.
#[derive(Debug, Args)]
pub struct AttachArgs {
    /// The task, or a worker (`<task>.<attempt>`).
    #[arg(value_name = "TASK|WORKER")]
    name: String,
    /// Which attempt; the last by default.
    #[arg(long, value_name = "N")]
    attempt: Option<u32>,
    /// Print the command instead of running it.
    #[arg(long)]
    print: bool,
    #[command(flatten)]
    of: OfRun,
}

impl AttachArgs {
    /// Whether it goes to a terminal, and doesn't only say how.
    pub(super) fn goes(&self) -> bool {
        !self.print
    }
}

/// The way to a terminal.
pub(super) struct Way {
    argv: Vec<OsString>,
    /// This client is in that server already and only changes its window.
    pub(super) inside: bool,
    /// Its process has ended; the terminal shows what it left.
    ended: bool,
}

/// Runs it. Where it succeeds without `--print`, tmux takes this process's place.
///
/// # Errors
/// When there is no such worker, or it has no terminal, or none any more.
pub fn run(global: &Global, args: &AttachArgs, output: Output) -> Result<Exit, CliError> {
    let read = Read::open(global, &args.of)?;
    let worker = read.worker(&args.name, args.attempt)?;
    to(&read, worker, args.print, output)
}

/// Goes to the terminal of one worker, or prints the command that does.
///
/// # Errors
/// When it has no terminal, or none any more.
pub(super) fn to(read: &Read, worker: &WorkerView, print: bool, output: Output) -> Result<Exit, CliError> {
    let id = &worker.id;
    let way = way(read, worker)?;
    if way.ended {
        output::talk(&format!("The process of `{id}` has ended; this is what it left."));
    }
    if print || output.json {
        let shown: Vec<String> = way.argv.iter().map(|word| word.to_string_lossy().into_owned()).collect();
        let line = shlex::try_join(shown.iter().map(String::as_str)).unwrap_or_else(|_| shown.join(" "));
        // `way` found a session, or there would be no way.
        let kind = worker.session.as_ref().map(|session| session.kind.as_str());
        output.result(
            || json!({"worker": id, "kind": kind, "argv": shown, "command": line}),
            || format!("{line}\n"),
        );
        return Ok(Exit::Done);
    }
    go(&way, id)
}

/// The way to a worker's terminal, which was looked at and is there.
///
/// # Errors
/// When it has no terminal, or none any more, or nobody can tell.
pub(super) fn way(read: &Read, worker: &WorkerView) -> Result<Way, CliError> {
    let id = &worker.id;
    let Some(session) = &worker.session else {
        return Err(CliError::new(
            "no_session",
            format!("attach to `{id}`: it has no session, it is {}", worker.phase),
        )
        .hint(format!("Run `ilchul why {}` to see why.", worker.task)));
    };
    match session.kind.as_str() {
        "tmux" => tmux(read, worker, session),
        "slurm" => slurm(read, worker, session),
        "subprocess" => Err(no_terminal(read, worker)),
        other => {
            let message =
                format!("attach to `{id}`: this ilchul knows no session of kind `{}`", other.escape_debug());
            Err(CliError::new("no_terminal", message).hint(elsewhere(read, worker)))
        }
    }
}

impl Way {
    /// What goes there; none where the substrate knows no way.
    pub(super) fn command(&self) -> Option<Command> {
        let (program, args) = self.argv.split_first()?;
        let mut command = Command::new(program);
        command.args(args);
        if !self.inside {
            // The client of another server: tmux would refuse to go from one into the next.
            command.env_remove("TMUX");
        }
        Some(command)
    }
}

fn go(way: &Way, id: &str) -> Result<Exit, CliError> {
    let here = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    if !way.inside && !here {
        return Err(CliError::new("no_terminal", format!("attach to `{id}`: there is no terminal here"))
            .hint("Add `--print` for the command to type in one."));
    }
    let Some(mut command) = way.command() else {
        return Err(CliError::new("no_session", format!("attach to `{id}`: its substrate knows no way")));
    };
    let error = command.exec();
    let program = command.get_program().to_string_lossy();
    Err(CliError::new("attach", format!("run `{program}`: {error}")))
}

fn tmux(read: &Read, worker: &WorkerView, place: &event::Place) -> Result<Way, CliError> {
    let id = &worker.id;
    let failed = |error: &dyn std::error::Error| {
        CliError::new("tmux", format!("attach to `{id}`: {}", words(error))).hint(elsewhere(read, worker))
    };
    let mark = Mark::new(&read.view.id, &worker.task, worker.attempt).map_err(|error| failed(&error))?;
    let handle =
        Handle { mark, kind: place.kind.clone(), id: place.id.clone(), fields: (&place.fields).into() };
    let socket = PathBuf::from(handle.field("socket").map_err(|error| failed(&error))?);
    // Only looked through, never made: the session's name is that of the handle.
    let server = TmuxSession::open(&Server::Socket(socket.clone()), "ilchul", &read.view.id, Duration::ZERO)
        .map_err(|error| failed(&error))?;
    let seen = server.observe(std::slice::from_ref(&handle)).into_iter().next();
    let gone = |code, why: &str| {
        Err(CliError::new(code, format!("attach to `{id}`: {why}")).hint(elsewhere(read, worker)))
    };
    let ended = match seen.map(|seen| seen.state) {
        Some(State::Live(_)) => false,
        // The pane is kept as its process left it: worth a look.
        Some(State::Ended(_)) => true,
        Some(State::Absent) => return gone("session_gone", "its tmux window isn't there any more"),
        Some(State::Queued(why) | State::Stuck(why) | State::Unknown(why)) => {
            return gone("session_unknown", &format!("its tmux window can't be looked at: {why}"));
        }
        None => return gone("session_unknown", "its tmux window can't be looked at"),
    };
    let inside = is_inside(&socket);
    let argv = if inside { server.switch(&handle) } else { server.attach(&handle) };
    Ok(Way { argv: argv.unwrap_or_default(), inside, ended })
}

/// Through the job itself: the way that works wherever the job runs.
fn slurm(read: &Read, worker: &WorkerView, place: &event::Place) -> Result<Way, CliError> {
    let id = &worker.id;
    let failed = |error: &dyn std::error::Error| {
        CliError::new("slurm", format!("attach to `{id}`: {}", words(error))).hint(elsewhere(read, worker))
    };
    let mark = Mark::new(&read.view.id, &worker.task, worker.attempt).map_err(|error| failed(&error))?;
    let handle =
        Handle { mark, kind: place.kind.clone(), id: place.id.clone(), fields: (&place.fields).into() };
    let waits = Waits { grace: Duration::ZERO, poll: None, settle: None, submit_every: None };
    let jobs = session::slurm(&read.place.home, &read.view.id, waits);
    let seen = jobs.observe(std::slice::from_ref(&handle)).into_iter().next();
    let gone = |code, why: &str| {
        Err(CliError::new(code, format!("attach to `{id}`: {why}")).hint(elsewhere(read, worker)))
    };
    match seen.map(|seen| seen.state) {
        Some(State::Live(_)) => {}
        Some(State::Ended(_) | State::Absent) => return gone("session_gone", "its job is over"),
        Some(State::Queued(why) | State::Stuck(why)) => {
            return gone("session_queued", &format!("its job {} waits: {why}", place.id));
        }
        Some(State::Unknown(why)) => {
            return gone("session_unknown", &format!("nobody knows of its job: {why}"));
        }
        None => return gone("session_unknown", "its job can't be looked at"),
    }
    let argv = jobs.attach(&handle).ok_or_else(|| {
        CliError::new("no_terminal", format!("attach to `{id}`: its job says of no terminal"))
            .hint(elsewhere(read, worker))
    })?;
    Ok(Way { argv, inside: false, ended: false })
}

/// Whether this terminal is a client of the server at `socket`.
fn is_inside(socket: &Path) -> bool {
    let same = |left: &Path, right: &Path| match (left.canonicalize(), right.canonicalize()) {
        (Ok(left), Ok(right)) => left == right,
        (Ok(_) | Err(_), Ok(_) | Err(_)) => left == right,
    };
    match Server::from_env() {
        Server::Socket(ours) => same(&ours, socket),
        Server::Default | Server::Label(_) => false,
    }
}

fn no_terminal(read: &Read, worker: &WorkerView) -> CliError {
    let message = format!("attach to `{}`: a session of kind `subprocess` has no terminal", worker.id);
    CliError::new("no_terminal", message).hint(elsewhere(read, worker))
}

/// Where else a person can look.
fn elsewhere(read: &Read, worker: &WorkerView) -> String {
    let follow = if worker.phase.is_live() { "logs -f" } else { "logs" };
    let tree = match worker.workspace.as_ref().and_then(|place| place.fields.get("path")) {
        Some(path) => path.clone(),
        None => read.place.home.scratch(&read.view.id, &worker.id).display().to_string(),
    };
    // A task's name means its last attempt.
    let is_last = read.view.task(&worker.task).is_some_and(|task| task.worker.as_ref() == Some(&worker.id));
    let name = if is_last { &worker.task } else { &worker.id };
    format!("Run `ilchul {follow} {name}` to see its output; its files are in {tree}")
}
