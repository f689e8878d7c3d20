//! `up --detach`: the same command in a session of its own, once it holds the lock.
//!
//! What `up` refuses was refused before, in its own words. It leaves out the run itself:
//! the supervisor in the background decides everything anew.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::error::CliError;
use super::exit_code::Exit;
use super::output;
use super::place::Place;
use super::up::UpArgs;
use crate::home::{open_plain, read_plain};
use crate::journal::lock::Holder;
use crate::journal::{Journal, lock};
use crate::workflow::SessionKind;

/// How long the background supervisor may take to get the lock.
const PATIENCE: Duration = Duration::from_secs(60);
/// How the error begins that says nothing but that it takes too long.
pub(super) const UNSEEN: &str = "see the background supervisor hold the lock";
/// How often the lock is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// The most that is repeated of what a supervisor said that ended at once.
const SAID_MAX: u64 = 64 << 10;

/// Starts it and returns once it holds the lock. `session` is what was chosen here, where
/// there may be a terminal; there is none in the background.
///
/// # Errors
/// When it can't be started, or isn't seen to hold the lock in time.
pub fn run(place: &Place, args: &UpArgs, session: SessionKind) -> Result<Exit, CliError> {
    let fail = |error: std::io::Error| {
        CliError::new("detach", format!("start a supervisor in the background: {error}"))
    };
    let path = place.home.root().join("supervisor.log");
    let open = || open_plain(&path, OpenOptions::new().create(true).append(true).mode(0o600));
    let log = open().map_err(fail)?;
    let before = log.metadata().map_err(fail)?.len();
    let again = args.session.is_none().then(|| format!("--session={}", session.word()));
    // A session of its own: a closed terminal must not end it. `setsid` is part of util-linux.
    let mut child = Command::new(in_path("setsid"))
        .arg(std::env::current_exe().map_err(fail)?)
        .args(arguments(std::env::args_os().skip(1), again))
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(open().map_err(fail)?)
        .spawn()
        .map_err(fail)?;
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        let holder = lock::held(&place.home.lock()).ok().flatten().flatten();
        let ours = |holder: &Holder| holder.pid == child.id() && is_begun(place, &holder.run);
        if let Some(holder) = holder.filter(ours) {
            output::talk(&format!(
                "A supervisor drives the run {} in the background (process {}). It writes to {}.",
                holder.run,
                holder.pid,
                path.display()
            ));
            return Ok(Exit::Done);
        }
        if let Some(status) = child.try_wait().map_err(fail)? {
            return Ok(ended(exit(status.code()), &path, before));
        }
        std::thread::sleep(LOOK_EVERY);
    }
    let waited = PATIENCE.as_secs();
    let message = format!("{UNSEEN} within {waited} s");
    Err(CliError::new("detach", message)
        .hint(format!("It may still start; it writes to `{}`.", path.display())))
}

/// Where a program is. Not by a relative entry of `PATH`: it would find what the repository,
/// in which the new process has to stand, brought along.
pub(super) fn in_path(program: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).filter(|folder| folder.is_absolute());
    let found = folders.map(|folder| folder.join(program)).find(|file| file.is_file());
    found.unwrap_or_else(|| Path::new("/usr/bin").join(program))
}

/// Whether a run stands in the journal: what a script does next shall find it.
fn is_begun(place: &Place, run: &str) -> bool {
    let runs = (!run.is_empty()).then(|| Journal::open_read(&place.home).and_then(|journal| journal.runs()));
    matches!(runs, Some(Ok(runs)) if runs.iter().any(|begun| begun.id == run))
}

/// Our own arguments, with `--detach` taken out or replaced.
fn arguments(given: impl Iterator<Item = OsString>, again: Option<String>) -> Vec<OsString> {
    let mut again = again.map(OsString::from);
    given.filter_map(|word| if word == "--detach" { again.take() } else { Some(word) }).collect()
}

/// It ended before its lock was seen: a short run is over, or something changed after it was
/// asked for here, and it was refused there.
fn ended(exit: Exit, log: &Path, start: u64) -> Exit {
    if matches!(exit, Exit::Done | Exit::Failed) {
        output::talk(&format!("The run has ended already. Its supervisor wrote to {}.", log.display()));
        return Exit::Done;
    }
    said(log, start).lines().for_each(output::talk);
    exit
}

/// What was written to the log from `start` on.
fn said(log: &Path, start: u64) -> String {
    let mut bytes = Vec::new();
    let read = read_plain(log).and_then(|mut file| {
        file.seek(SeekFrom::Start(start))?;
        file.take(SAID_MAX).read_to_end(&mut bytes)
    });
    match read {
        Ok(_) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) => format!("What it said can't be read in {}: {error}.\n", log.display()),
    }
}

fn exit(code: Option<i32>) -> Exit {
    [Exit::Done, Exit::Failed, Exit::Interrupted, Exit::Held, Exit::Journal]
        .into_iter()
        .find(|exit| Some(exit.code()) == code)
        .unwrap_or(Exit::Wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_command_goes_to_the_background_with_the_session_that_was_chosen() {
        let words = |words: &[&str]| words.iter().map(OsString::from).collect::<Vec<_>>();
        let given = words(&["--home", "h", "up", "--detach", "f.yaml"]);
        let named = arguments(given.clone().into_iter(), Some("--session=tmux".to_owned()));
        assert_eq!(named, words(&["--home", "h", "up", "--session=tmux", "f.yaml"]));
        assert_eq!(arguments(given.into_iter(), None), words(&["--home", "h", "up", "f.yaml"]));
    }
}
