//! Launching one worker: tree, mail, session, in that order, on a thread of its own.
//!
//! What is made halfway stays and is found by its mark; nothing is tried twice in
//! place. It leaves out when and why.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ilchul_git_worktree::{Filling, WorktreeSpec};
use ilchul_substrate::{ErrorKind, Handle, Mark, Request, SessionSpec, Substrate};

use super::ports::{self, Reserved};
use super::setting_up;
use super::views::{self, View};
use super::watch::Watch;
use super::world::{World, place};
use crate::engine::input::Seen;
use crate::home::private_child;
use crate::mail;
use crate::protocol::{self, Launch, WORKER_SCHEMA};

/// What a launch needs to know, taken from the state by the loop.
#[derive(Debug, Clone)]
pub struct Job {
    /// `<task>.<attempt>`.
    pub worker: String,
    /// The attempt's ordinal.
    pub attempt: u32,
    /// The task's id.
    pub task: String,
    /// Its claim's token: also where the search for its ports begins.
    pub token: u64,
    /// The first port of its block, once one is reserved.
    pub port: Option<u16>,
    /// What it must echo.
    pub nonce: String,
    /// The commit that its tree starts at; none: a plain folder.
    pub start: Option<String>,
    /// The task's base, for the environment.
    pub base: String,
    /// A program that speaks the protocol itself, in place of the shim.
    pub own_worker: Option<Vec<String>>,
    /// Variables that travel in files.
    pub extras: BTreeMap<String, String>,
    /// What needs handed on, and what was refuted, as JSON.
    pub inputs: Option<Vec<u8>>,
    /// What an agent is asked.
    pub prompt: Option<String>,
    /// The files of an agent's own folder; none where the folder isn't wanted.
    pub agent: Option<Vec<(String, Vec<u8>)>>,
    /// What a judge compares.
    pub views: Vec<View>,
    /// What was refuted last time, as a text.
    pub refuted: Option<String>,
    /// Free bytes below which nothing is made.
    pub free_disk: Option<u64>,
    /// What its session asks of a cluster, and the variables that it has there of ours.
    pub request: Request,
    /// See `request`.
    pub exported: Vec<(OsString, OsString)>,
    /// What its tree is given first; none where nothing was approved, or there is no tree.
    pub setup: Option<TreeSetup>,
}

/// What a fresh tree is given, as it was approved.
#[derive(Debug, Clone)]
pub struct TreeSetup {
    /// Paths, folders and globs of the main checkout.
    pub include: Vec<String>,
    /// What was in `.worktreeinclude`.
    pub listed: String,
    /// Lines for `sh -c`.
    pub run: Vec<String>,
    /// The time of all of them together.
    pub timeout: Duration,
    /// Between TERM and KILL.
    pub grace: Duration,
}

/// The name of the file with what needs handed on.
pub const INPUTS: &str = "inputs.json";
/// The name of the file with what was refuted last time, where something was.
pub const REFUTED: &str = "refuted.md";
/// The name of the file with what an agent is asked.
pub const PROMPT: &str = "prompt.md";

/// Makes everything; the answer is what was seen.
pub fn launch(world: &World, watch: &Watch, job: &Job) -> Seen {
    let failed = |(step, detail, host)| Seen::LaunchFailed { step, detail, host };
    match launch_steps(world, watch, job) {
        Ok(seen) => seen,
        Err(failure) => failed(failure),
    }
}

/// The step that failed, why, and whether the host is to blame.
pub type Failure = (&'static str, String, bool);

fn launch_steps(world: &World, watch: &Watch, job: &Job) -> Result<Seen, Failure> {
    let mark = world.mark(&job.worker).map_err(|error| ("workspace", error.to_string(), false))?;
    enough_disk(world, job.free_disk)?;
    let start = ports::start(world.home.root(), job.token);
    let port = world.ports.reserve(&job.worker, start);
    let none = || ("ports", "no block of ten ports is free on this machine".to_owned(), true);
    let job = &Job { port: Some(port.ok_or_else(none)?), ..job.clone() };
    let (tree, workspace) = make_tree(world, job, &mark)?;
    views::make(world, &job.views)?;
    let folder = make_mail(world, watch, job, &tree)?;
    setting_up::set_up(world, job, (&tree, workspace.as_ref()), &folder)?;
    let spec = session(world, job, &tree, &folder)?;
    let session = world.sessions.ensure(&mark, &spec).map_err(|error| match error.kind() {
        ErrorKind::Unavailable => ("session", words(&error), true),
        ErrorKind::Limited => ("limit", words(&error), true),
        ErrorKind::Conflict | ErrorKind::Refused | ErrorKind::Io => ("session", words(&error), false),
    })?;
    let workspace = workspace.map(|handle| place(&handle));
    Ok(Seen::Launched { workspace, session: place(&session), port: job.port })
}

/// Too little room is the host's trouble: the task waits, and nothing is half made.
fn enough_disk(world: &World, limit: Option<u64>) -> Result<(), Failure> {
    let Some(limit) = limit else { return Ok(()) };
    let home = world.home.root();
    let found = rustix::fs::statvfs(home)
        .map_err(|error| ("disk", format!("look at the disk of `{}`: {error}", home.display()), true))?;
    let free = found.f_bavail.saturating_mul(found.f_frsize);
    if free >= limit {
        return Ok(());
    }
    let detail = format!("{free} bytes are free for `{}`, `limits.free_disk` is {limit}", home.display());
    Err(("disk", detail, true))
}

fn make_tree(world: &World, job: &Job, mark: &Mark) -> Result<(PathBuf, Option<Handle>), Failure> {
    let (Some(start), Some(repository)) = (&job.start, &world.repository) else {
        let folder = world.home.scratch(&world.run, &job.worker);
        private_child(&folder).map_err(|error| ("workspace", io_words(&folder, &error), true))?;
        return Ok((folder, None));
    };
    let path = world.home.tree(&world.run, &job.worker);
    if let Some(parent) = path.parent() {
        private_child(parent).map_err(|error| ("workspace", io_words(parent, &error), true))?;
    }
    let spec = WorktreeSpec {
        path: path.clone(),
        branch: Some(format!("ilchul/{}/{}", world.run, job.worker)),
        base: start.clone(),
        reason: format!("ilchul: run {}, worker {}", world.run, job.worker),
        filling: if setting_up::is_deferred(world, job) { Filling::Deferred } else { Filling::AtOnce },
    };
    let handle = repository.ensure(mark, &spec).map_err(|error| of_workspace(&error))?;
    Ok((path, Some(handle)))
}

/// A failure of the step that makes the tree.
pub(super) fn of_workspace(error: &ilchul_substrate::Error) -> Failure {
    ("workspace", words(error), error.kind() == ErrorKind::Unavailable)
}

/// The mail folder, with what the worker finds there; from here on it is watched.
fn make_mail(world: &World, watch: &Watch, job: &Job, tree: &Path) -> Result<PathBuf, Failure> {
    let folder = world.home.mail(&world.run, &job.worker);
    let trouble = |error: std::io::Error| ("mail", io_words(&folder, &error), true);
    private_child(&folder).map_err(trouble)?;
    private_child(&folder.join(protocol::TMP_DIR)).map_err(trouble)?;
    let text = |path: &Path| path.to_str().map(str::to_owned);
    let (Some(mail), Some(tree)) = (text(&folder), text(tree)) else {
        return Err(("mail", format!("`{}` isn't valid UTF-8", folder.display()), false));
    };
    let launch = Launch {
        schema: WORKER_SCHEMA.to_owned(),
        worker: job.worker.clone(),
        nonce: job.nonce.clone(),
        mail,
        tree,
    };
    // Nobody reads here before the session starts, so these need no rename.
    let bytes =
        |value: serde_json::Result<Vec<u8>>| value.map_err(|error| ("mail", error.to_string(), false));
    write_first(&folder, protocol::LAUNCH, &bytes(serde_json::to_vec(&launch))?)?;
    let formless = || ("mail", "its inputs have no JSON form".to_owned(), false);
    let reserved = job.port.map(|base| serde_json::to_vec(&Reserved { base })).transpose();
    if let Some(reserved) = reserved.map_err(|error| ("mail", error.to_string(), false))? {
        write_first(&folder, ports::FILE, &reserved)?;
    }
    write_first(&folder, INPUTS, job.inputs.as_deref().ok_or_else(formless)?)?;
    if let Some(prompt) = &job.prompt {
        write_first(&folder, PROMPT, prompt.as_bytes())?;
    }
    if let Some(files) = &job.agent {
        let own = folder.join(protocol::AGENT_DIR);
        private_child(&own).map_err(|error| ("mail", io_words(&own, &error), true))?;
        files.iter().try_for_each(|(name, bytes)| write_first(&own, name, bytes))?;
    }
    if let Some(refuted) = &job.refuted {
        write_first(&folder, REFUTED, refuted.as_bytes())?;
    }
    let logs = world.home.log(&world.run, &job.worker);
    if let Some(parent) = logs.parent() {
        private_child(parent).map_err(|error| ("mail", io_words(parent, &error), true))?;
    }
    if world.sessions.capabilities().local_files {
        watch.add(&folder);
    }
    Ok(folder)
}

/// A file of a folder that has no reader yet; one that is there already isn't ours to write.
pub(super) fn write_first(folder: &Path, name: &str, bytes: &[u8]) -> Result<(), Failure> {
    let path = folder.join(name);
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
    made.and_then(|mut file| file.write_all(bytes)).map_err(|error| ("mail", io_words(&path, &error), true))
}

fn session(world: &World, job: &Job, tree: &Path, folder: &Path) -> Result<SessionSpec, Failure> {
    let program = world.program.clone().into_os_string();
    let mut argv: Vec<OsString> = vec![program, "shim".into()];
    if folder.join(protocol::SETUP).is_file() {
        argv.extend(["--setup".into(), folder.join(protocol::SETUP).into_os_string()]);
    }
    let argv = match &job.own_worker {
        None => argv,
        Some(own) => {
            argv.push("--exec".into());
            if !job.extras.is_empty() {
                let name = "env.json";
                mail::write_json(folder, name, &job.extras, false)
                    .map_err(|error| ("mail", words(&error), true))?;
                argv.extend(["--env".into(), folder.join(name).into_os_string()]);
            }
            argv.push("--".into());
            argv.extend(own.iter().map(OsString::from));
            argv
        }
    };
    Ok(SessionSpec {
        title: job.worker.clone(),
        cwd: tree.to_owned(),
        argv,
        env: environment(world, job, tree, folder),
        log: world.home.log(&world.run, &job.worker),
        capture: job.own_worker.is_some(),
        request: job.request.clone(),
    })
}

/// The whole environment of a worker's session; nothing in it is secret.
pub fn environment(world: &World, job: &Job, tree: &Path, folder: &Path) -> Vec<(OsString, OsString)> {
    let mut env = world.inherited.plain(&world.program);
    let mut add = |name: &str, value: OsString| env.push((name.into(), value));
    add("ILCHUL_RUN", world.run.clone().into());
    add("ILCHUL_TASK", job.task.clone().into());
    add("ILCHUL_ATTEMPT", job.attempt.to_string().into());
    add("ILCHUL_WORKER", job.worker.clone().into());
    add("ILCHUL_LAUNCH", folder.join(protocol::LAUNCH).into());
    add("ILCHUL_MAIL", folder.into());
    add("ILCHUL_TREE", tree.into());
    add("ILCHUL_BASE", job.base.clone().into());
    add("ILCHUL_INPUTS", folder.join(INPUTS).into());
    add("ILCHUL_LOG", world.home.log(&world.run, &job.worker).into());
    for view in &job.views {
        add(if view.side == "left" { "ILCHUL_LEFT" } else { "ILCHUL_RIGHT" }, view.path.clone().into());
    }
    add("ILCHUL_SLUG", ports::slug(world.home.root(), &world.run, &job.worker).into());
    if let Some(port) = job.port {
        add("ILCHUL_PORT_BASE", port.to_string().into());
    }
    for (name, value) in &job.exported {
        add(&name.to_string_lossy(), value.clone());
    }
    if job.prompt.is_some() {
        add("ILCHUL_PROMPT_FILE", folder.join(PROMPT).into());
    }
    env
}

/// An error with its causes, for a reason.
pub fn words(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        // Some errors already end in the words of their cause.
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

fn io_words(path: &Path, error: &std::io::Error) -> String {
    format!("make `{}`: {error}", path.display())
}
