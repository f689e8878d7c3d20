//! Putting the files into a tree that was made without them: the first thing in a session.
//!
//! On a cluster it is done where the work is, so that all nodes do it at once and the host of the
//! supervisor idles. What runs, with which settings, and how it is written down comes as data. It
//! leaves out a second try: where anything was begun, the tree stays as it is.

use super::launch::Session;
use super::output::Log;
use super::relay::{self, Relay};
use super::setup::{self, Ended, MAX_WAIT};
use super::spawn::Program;
use super::{ShimError, clock, run, system};
use crate::protocol::{CHECKOUT_FAILED, CHECKOUT_HOST, CheckoutSpec};
use nix::unistd::Pid;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

/// Git's own file, which a tree has from its birth.
const GITFILE: &str = ".git";

/// Fills the tree; the answer is why that failed, if it did.
pub(super) fn run(session: &Session, spec: &CheckoutSpec, (log, cap): (&Path, u64)) -> Option<String> {
    match begun(session, spec) {
        Ok(None) => {}
        Ok(Some(what)) => return Some(format!("{CHECKOUT_FAILED}it was begun before: {what}")),
        Err(error) => return Some(of_system("look at the fresh tree", &error)),
    }
    let env = environment(spec);
    let program = match Program::find(&spec.argv, env) {
        Ok(program) => program,
        Err(error) => return Some(not_there(spec, &error)),
    };
    let started = match start(&program, (log, cap)) {
        Ok(started) => started,
        Err(error) => {
            let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
            return Some(format!("{CHECKOUT_HOST}failed to {error}{}", cause.unwrap_or_default()));
        }
    };
    let until = clock::now() + Duration::from_millis(spec.timeout_ms).min(MAX_WAIT);
    // Killed and not asked: on TERM git tidies up, and what is half made shall be found.
    match setup::attend(session, started, until, Duration::ZERO) {
        Ended::Well => finish(spec).err().map(|error| of_system("say that its files are there", &error)),
        Ended::Stopped(why) => Some(why.to_owned()),
        Ended::Late => {
            let seconds = spec.timeout_ms / 1_000;
            Some(format!("{CHECKOUT_HOST}git wasn't through after {seconds} s on {}", node()))
        }
        Ended::Badly(how) => {
            let said = setup::tail(log);
            let host = spec.host_signs.iter().any(|sign| said.contains(sign.as_str()));
            let whose = if host { CHECKOUT_HOST } else { CHECKOUT_FAILED };
            Some(format!("{whose}git {how} on {}{said}", node()))
        }
    }
}

/// What shows that somebody began it, if anything does.
fn begun(session: &Session, spec: &CheckoutSpec) -> io::Result<Option<String>> {
    if fs::read(&spec.record)? != spec.owed.as_bytes() {
        return Ok(Some(format!("`{}` says so", spec.record.display())));
    }
    for path in &spec.untouched {
        match fs::symlink_metadata(path) {
            Ok(_) => return Ok(Some(format!("`{}` is there", path.display()))),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    for entry in fs::read_dir(&session.tree)? {
        let name = entry?.file_name();
        if name != GITFILE {
            return Ok(Some(format!("`{}` is in its tree", name.display())));
        }
    }
    Ok(None)
}

/// The session's own, without relative entries of `PATH`: those could find a program in the tree.
fn environment(spec: &CheckoutSpec) -> BTreeMap<OsString, OsString> {
    let mut env = run::environment(&BTreeMap::new());
    if let Some(path) = env.get_mut(OsStr::new("PATH")) {
        let whole = std::env::split_paths(path).filter(|entry| entry.is_absolute());
        // Joined from what was split, so no entry holds what separates them.
        *path = std::env::join_paths(whole).unwrap_or_default();
    }
    env.extend(spec.env.iter().cloned());
    env
}

fn start(program: &Program, (log, cap): (&Path, u64)) -> Result<(Pid, Relay), ShimError> {
    let mut log = Log::append(log, cap).map_err(system("open the setup's log"))?;
    log.write(format!("$ git read-tree HEAD, on {}\n", node()).as_bytes());
    let (reading, writing) = relay::pipe().map_err(system("open a pipe for output"))?;
    let child = program.start_in_group(&writing).map_err(system("start git"))?;
    Ok((child, Relay::from_pipe(reading, log)))
}

/// Replaces the record whole and durably: whoever reads it, on whatever host, sees one or the other.
fn finish(spec: &CheckoutSpec) -> io::Result<()> {
    let mut beside = spec.record.clone().into_os_string();
    beside.push(format!(".{}", std::process::id()));
    let mut file: File = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
    file.write_all(spec.done.as_bytes())?;
    file.sync_all()?;
    fs::rename(&beside, &spec.record)
}

fn of_system(action: &str, error: &io::Error) -> String {
    let host = [ErrorKind::StorageFull, ErrorKind::QuotaExceeded, ErrorKind::OutOfMemory];
    let whose = if host.contains(&error.kind()) { CHECKOUT_HOST } else { CHECKOUT_FAILED };
    format!("{whose}failed to {action} on {}: {error}", node())
}

/// A node without git stays one: that is for people, and no trouble that passes.
fn not_there(spec: &CheckoutSpec, error: &io::Error) -> String {
    let name = spec.argv.first().map(|name| name.display().to_string()).unwrap_or_default();
    match error.kind() {
        ErrorKind::NotFound => format!(
            "{CHECKOUT_FAILED}there is no `{name}` on {}; a line of `slurm.setup` may load it, as in \
             `module load git`",
            node()
        ),
        _ => of_system("start git", error),
    }
}

/// Where this is, as people know it.
fn node() -> String {
    let named = std::env::var("SLURMD_NODENAME").ok();
    let own = || Some(nix::sys::utsname::uname().ok()?.nodename().to_string_lossy().into_owned());
    named.or_else(own).unwrap_or_else(|| "this host".to_owned())
}
