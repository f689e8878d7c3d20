//! The life of one incarnation, up to its assignment.
//!
//! Nothing is handed over to a session that doesn't stand in its tree (L20): the
//! working directory is compared before readiness is said. It leaves out running
//! the child (`run`) and everything that was written about it (`finish`).

use super::beat::Beats;
use super::signals::Signals;
use super::wait::{self, Waited};
use super::wall::Wall;
use super::{ShimError, clock, exec, finish, run, setup, system};
use crate::mail;
use crate::protocol::{ACK, EXIT, Launch, READY, Ready, WORKER_SCHEMA, parse};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often a worker without an assignment beats.
const IDLE_BEAT: Duration = Duration::from_secs(2);

/// One incarnation: where it is and how it is reached.
#[derive(Debug)]
pub(super) struct Session {
    /// `<task>.<attempt>`.
    pub(super) worker: String,
    /// The mail folder.
    pub(super) mail: PathBuf,
    /// The tree, which is also the working directory.
    pub(super) tree: PathBuf,
    /// Where output is kept, if anywhere.
    pub(super) log: Option<PathBuf>,
    /// When this incarnation began (a label).
    pub(super) started_at: String,
    /// Its signals.
    pub(super) signals: Signals,
    /// When its host ends it.
    pub(super) wall: Wall,
}

/// `ilchul shim --setup FILE [--exec ...]`: the tree is set up first, and then this is the
/// shim, or becomes the program that speaks for itself.
pub(super) fn set_up(args: &[OsString]) -> Result<i32, ShimError> {
    let (file, rest) = args.split_first().ok_or(ShimError::Usage("`--setup` takes one file"))?;
    match rest.split_first() {
        None => run(Some(Path::new(file))),
        Some((word, rest)) if word == "--exec" => become_worker(Path::new(file), rest),
        Some(_) => Err(ShimError::Usage("after `--setup FILE` comes nothing, or `--exec`")),
    }
}

/// Sets up the tree of a program that reads the launch file itself.
fn become_worker(file: &Path, rest: &[OsString]) -> Result<i32, ShimError> {
    let session = {
        let var = |name: &str| std::env::var_os(name).ok_or(ShimError::Usage("only ilchul starts a shim"));
        let worker = var("ILCHUL_WORKER")?.to_string_lossy().into_owned();
        let (mail, tree) = (var("ILCHUL_MAIL")?.into(), var("ILCHUL_TREE")?.into());
        let signals = Signals::take()?;
        Session { worker, mail, tree, log: None, started_at: clock::label(), signals, wall: Wall::read() }
    };
    verify_place(&session.tree)?;
    nix::sys::prctl::set_child_subreaper(true).map_err(system("adopt orphans"))?;
    if let Some(why) = setup::run(&session, file)? {
        finish::never_assigned(&session, &why)?;
        return Ok(1);
    }
    // It would outlive the exec, and a program that knows nothing of it would reap nobody.
    nix::sys::prctl::set_child_subreaper(false).map_err(system("let go of orphans"))?;
    drop(session);
    exec::run(rest)
}

/// `ilchul shim`: everything else is read from the environment.
pub(super) fn run(to_set_up: Option<&Path>) -> Result<i32, ShimError> {
    let signals = Signals::take()?;
    let started_at = clock::label();
    let launch = read_launch()?;
    let tree = PathBuf::from(&launch.tree);
    verify_place(&tree)?;
    nix::sys::prctl::set_child_subreaper(true).map_err(system("adopt orphans"))?;
    let mail = PathBuf::from(&launch.mail);
    refuse_a_second_time(&mail)?;
    let log = std::env::var_os("ILCHUL_LOG").map(PathBuf::from);
    let (worker, wall) = (launch.worker.clone(), Wall::read());
    let session = Session { worker, mail, tree, log, started_at, signals, wall };
    if let Some(file) = to_set_up
        && let Some(why) = setup::run(&session, file)?
    {
        finish::never_assigned(&session, &why)?;
        return Ok(0);
    }
    say_ready(&session, launch.nonce)?;

    let mut beats = Beats::new(session.mail.clone(), IDLE_BEAT);
    match wait::for_assignment(&session, &mut beats) {
        Waited::Assigned(assignment) => {
            run::run(&session, &assignment, beats)?;
        }
        Waited::Stopped(why) => finish::never_assigned(&session, why)?,
        // Whoever would read a word about it is gone as well.
        Waited::Gone => {}
    }
    Ok(0)
}

fn read_launch() -> Result<Launch, ShimError> {
    let path = std::env::var_os("ILCHUL_LAUNCH").map(PathBuf::from);
    let path = path.ok_or(ShimError::Usage("`ILCHUL_LAUNCH` isn't set: only ilchul starts a shim"))?;
    let bytes = mail::read_regular(&path)?;
    // Before anything else can read it: the nonce proves who came first.
    rustix::fs::unlink(&path).map_err(system("remove the launch file"))?;
    parse(&bytes).map_err(|problem| ShimError::Document(path, problem))
}

fn verify_place(tree: &Path) -> Result<(), ShimError> {
    // The same folder, by whatever path: two looks, where resolving every link takes a dozen.
    let here = rustix::fs::stat(".").map_err(system("find the working directory"))?;
    let wanted = rustix::fs::stat(tree).map_err(system("find the tree"))?;
    if (here.st_dev, here.st_ino) == (wanted.st_dev, wanted.st_ino) {
        return Ok(());
    }
    let here = std::env::current_dir().map_err(system("find the working directory"))?;
    Err(ShimError::WrongTree { here, tree: tree.to_owned() })
}

fn say_ready(session: &Session, nonce: String) -> Result<(), ShimError> {
    let ready = Ready {
        schema: WORKER_SCHEMA.to_owned(),
        worker: session.worker.clone(),
        nonce,
        pid: std::process::id(),
        started_at: session.started_at.clone(),
    };
    Ok(mail::write_json(&session.mail, READY, &ready, false)?)
}

/// A mail folder serves one attempt: what is left there says that it has begun (L16).
/// Two shims can't pass here at once, because the launch file is read by one only.
fn refuse_a_second_time(mail: &Path) -> Result<(), ShimError> {
    if [ACK, EXIT].iter().any(|name| mail.join(name).symlink_metadata().is_ok()) {
        return Err(ShimError::Taken(mail.to_owned()));
    }
    Ok(())
}
