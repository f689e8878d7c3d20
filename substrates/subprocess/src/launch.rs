//! From a spec to a child: exact environment, own process group, output to the log.
//!
//! It leaves out hooks between fork and exec: without one the standard library
//! uses `posix_spawn`, which doesn't copy the supervisor's page tables. For the
//! same reason the program is looked up here; std forks when it must search a
//! `PATH` that was set.

use ilchul_substrate::{Error, ErrorKind, Mark, SessionSpec};
use nix::fcntl::OFlag;
use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::marks::VARIABLE;

const ACTION: &str = "start session";

// What the system says where the spec is at fault; std has stable names for none of them.
const E2BIG: i32 = 7;
const ENOEXEC: i32 = 8;
const EISDIR: i32 = 21;

/// Starts the session's first process.
///
/// # Errors
/// `Refused` for a spec that can't run here, `Conflict` when the log's place is a
/// folder, `Unavailable` for limits of the host, `Io` for the rest.
pub(crate) fn launch(mark: &Mark, spec: &SessionSpec) -> Result<Child, Error> {
    let [program, arguments @ ..] = spec.argv.as_slice() else {
        return Err(refused(mark, "there is no program to run"));
    };
    if let Some((name, _)) = spec.env.iter().find(|(name, _)| !is_variable(name)) {
        return Err(refused(mark, &format!("`{}` can't be a variable's name", name.display())));
    }
    let path = find(program, spec)
        .ok_or_else(|| refused(mark, &format!("there is no program `{}` in its PATH", program.display())))?;
    let log = open_log(mark, &spec.log)?;
    let twin = log.try_clone().map_err(|error| Error::io(ACTION, mark, error))?;
    let mut command = Command::new(&path);
    command
        .arg0(program)
        .args(arguments)
        .env_clear()
        .envs(spec.env.iter().map(|(name, value)| (name, value)))
        // Last, so that no spec can pass for another mark.
        .env(VARIABLE, mark.to_string())
        .current_dir(&spec.cwd)
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::from(log))
        .stderr(Stdio::from(twin));
    command.spawn().map_err(|error| spawn_failed(mark, spec, &path, error))
}

/// Output is appended, so a log that an earlier incarnation wrote is kept.
fn open_log(mark: &Mark, log: &Path) -> Result<File, Error> {
    // By no link, and never waiting: something else may stand under a name that can be foreseen.
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(0o600).custom_flags(flags.bits()).open(log).map_err(|error| {
        let what = format!("`{mark}`: log `{}`", log.display());
        match error.raw_os_error() {
            Some(EISDIR) => {
                Error::new(ErrorKind::Conflict, ACTION, format!("{what}: {error}")).with_source(error)
            }
            Some(_) | None => Error::io(ACTION, what, error),
        }
    })
}

/// The program's file. A name without a slash is looked up in the spec's own PATH,
/// never in ours; a relative one starts at the spec's directory.
fn find(program: &OsStr, spec: &SessionSpec) -> Option<PathBuf> {
    if program.as_bytes().contains(&b'/') {
        return Some(spec.cwd.join(program));
    }
    let (_, path) = spec.env.iter().rfind(|(name, _)| name == "PATH")?;
    std::env::split_paths(path)
        // An empty entry means "here": not in a tree that others write to.
        .filter(|folder| !folder.as_os_str().is_empty())
        .map(|folder| spec.cwd.join(folder).join(program))
        .find(|file| file.is_file() && rustix::fs::access(file, rustix::fs::Access::EXEC_OK).is_ok())
}

fn is_variable(name: &OsString) -> bool {
    !name.is_empty() && !name.as_bytes().iter().any(|byte| matches!(byte, b'=' | 0))
}

/// The system names neither file nor folder, so what it meant is looked up afterwards.
fn spawn_failed(mark: &Mark, spec: &SessionSpec, path: &Path, error: io::Error) -> Error {
    use io::ErrorKind as K;
    let spec_is_wrong = matches!(
        error.kind(),
        K::NotFound | K::PermissionDenied | K::NotADirectory | K::InvalidInput | K::ArgumentListTooLong
    ) || matches!(error.raw_os_error(), Some(E2BIG | ENOEXEC));
    if !spec_is_wrong {
        return Error::io(ACTION, format!("`{mark}`"), error);
    }
    let what = if spec.cwd.is_dir() { path } else { &spec.cwd };
    Error::new(ErrorKind::Refused, ACTION, format!("`{mark}`: `{}`: {error}", what.display()))
        .with_source(error)
}

fn refused(mark: &Mark, why: &str) -> Error {
    Error::new(ErrorKind::Refused, ACTION, format!("`{mark}`: {why}"))
}
