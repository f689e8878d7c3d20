//! `up --detach`: the same command in a session of its own, once it holds the lock.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::error::CliError;
use super::exit_code::Exit;
use super::output;
use super::place::Place;
use crate::journal::lock;

/// How long the background supervisor may take to get the lock.
const PATIENCE: Duration = Duration::from_secs(20);

/// Starts it and returns once it holds the lock.
///
/// # Errors
/// When it ends before, with what it said.
pub fn run(place: &Place) -> Result<Exit, CliError> {
    let fail = |error: std::io::Error| {
        CliError::new("detach", format!("start a supervisor in the background: {error}"))
    };
    crate::home::private_dir(place.home.root()).map_err(fail)?;
    let path = place.home.root().join("supervisor.log");
    let open = || OpenOptions::new().create(true).append(true).mode(0o600).open(&path);
    let arguments: Vec<OsString> = std::env::args_os().skip(1).filter(|word| word != "--detach").collect();
    // A session of its own: a closed terminal must not end it. `setsid` is part of util-linux.
    let mut child = Command::new("setsid")
        .arg(std::env::current_exe().map_err(fail)?)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(open().map_err(fail)?)
        .stderr(open().map_err(fail)?)
        .spawn()
        .map_err(fail)?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        let holder = lock::held(&place.home.lock()).ok().flatten().flatten();
        if let Some(holder) = holder.filter(|holder| holder.pid == child.id() && !holder.run.is_empty()) {
            output::talk(&format!(
                "A supervisor drives the run {} in the background (process {}). It writes to {}.",
                holder.run,
                holder.pid,
                path.display()
            ));
            return Ok(Exit::Done);
        }
        if let Some(status) = child.try_wait().map_err(fail)? {
            let code = status.code().unwrap_or(1);
            if code == 0 {
                return Ok(Exit::Done);
            }
            let said = std::fs::read_to_string(&path).unwrap_or_default();
            let last = said
                .lines()
                .rev()
                .take(3)
                .collect::<Vec<_>>()
                .into_iter()
                .rev()
                .collect::<Vec<_>>()
                .join(" / ");
            let exit = [Exit::Failed, Exit::Interrupted, Exit::Held, Exit::Journal]
                .into_iter()
                .find(|exit| exit.code() == code);
            return Err(CliError::new(
                "detach",
                format!("start a supervisor in the background: it ended with {code}: {last}"),
            )
            .exit(exit.unwrap_or(Exit::Wrong)));
        }
        if Instant::now() >= deadline {
            return Err(CliError::new(
                "detach",
                format!("see the background supervisor hold the lock within {} s", PATIENCE.as_secs()),
            )
            .hint(format!("It may still start; it writes to `{}`.", path.display())));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}
