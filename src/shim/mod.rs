//! The process inside a session: `ilchul shim`.
//!
//! It proves readiness, waits for one assignment, owns the child, beats, captures
//! output and exit, and writes the report of a child that wrote none. It is
//! blocking and has one thread, because it has to start in about a millisecond
//! and to outlive everything else. It leaves out every decision: deadlines,
//! retries, verdicts and whether a token is live are the supervisor's, whose death
//! it doesn't even notice.

mod agent;
mod beat;
mod check;
mod checkout;
mod clock;
mod drop_box;
mod exec;
mod finish;
mod lasting;
mod launch;
mod memory;
mod output;
mod process;
mod relay;
mod run;
mod setup;
mod signals;
mod spawn;
mod terminal;
mod tree;
mod wait;
mod wall;

use crate::mail::MailError;
use crate::protocol::Problem;
use std::ffi::OsString;
use std::fmt;
use std::io::{self, Write};
use std::path::PathBuf;

/// What keeps a shim from doing its work.
#[derive(Debug)]
enum ShimError {
    /// The arguments or the environment aren't those of a shim.
    Usage(&'static str),
    /// The launch file or the specification holds something else.
    Document(PathBuf, Problem),
    /// The session doesn't stand in its tree (L20).
    WrongTree { here: PathBuf, tree: PathBuf },
    /// An earlier incarnation has taken the assignment: it isn't run twice.
    Taken(PathBuf),
    /// A file of the mail folder couldn't be read or written.
    Mail(MailError),
    /// The system refused.
    System(&'static str, io::Error),
}

impl fmt::Display for ShimError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(what) => write!(f, "read arguments: {what}"),
            Self::Document(path, _) => write!(f, "read `{}`", path.display()),
            Self::WrongTree { here, tree } => {
                write!(f, "start in `{}`: the session stands in `{}`", tree.display(), here.display())
            }
            Self::Taken(mail) => {
                write!(f, "take the assignment in `{}`: it was taken before", mail.display())
            }
            Self::Mail(error) => error.fmt(f),
            Self::System(action, _) => f.write_str(action),
        }
    }
}

impl std::error::Error for ShimError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Document(_, problem) => Some(problem),
            Self::System(_, error) => Some(error),
            Self::Mail(error) => error.source(),
            Self::Usage(_) | Self::WrongTree { .. } | Self::Taken(_) => None,
        }
    }
}

impl From<MailError> for ShimError {
    fn from(error: MailError) -> Self {
        Self::Mail(error)
    }
}

/// Turns an error number of either system crate into ours.
fn system<E: Into<io::Error>>(action: &'static str) -> impl FnOnce(E) -> ShimError {
    move |error| ShimError::System(action, error.into())
}

/// Runs one form of the shim; `args` are those after the word `shim`.
///
/// Answers the exit code: 0 once everything is recorded, 1 for a refusal, 2 for
/// wrong arguments; the trampoline's 126 and 127 are those of a shell.
#[must_use]
pub fn main(args: &[OsString]) -> i32 {
    let done = match args.first().and_then(|word| word.to_str()) {
        None if args.is_empty() => launch::run(None),
        Some("--setup") => launch::set_up(&args[1..]),
        Some("--exec") => exec::run(&args[1..]),
        Some("--check") => check::run(&args[1..]),
        None | Some(_) => Err(ShimError::Usage("expected nothing, `--setup`, `--exec` or `--check`")),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            say(&error);
            if matches!(error, ShimError::Usage(_)) { 2 } else { 1 }
        }
    }
}

/// Tells whoever looks at the session; a terminal that is gone is no reason to stop.
fn say(error: &dyn std::error::Error) {
    let mut line = format!("ilchul shim: failed to {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        line.push_str(": ");
        line.push_str(&error.to_string());
        cause = error.source();
    }
    line.push('\n');
    let _ = io::stderr().write_all(line.as_bytes());
}
