//! Starting one turn: headless on pipes and no terminal, or on the session's terminal.
//!
//! A headless agent gets a session of its own, so that it can't ask on the pane's terminal
//! either, and standard input that ends. It leaves out what its output means.

use super::said::Voice;
use super::stream::Lens;
use super::turn::Command;
use crate::protocol::{AgentMode, STREAM};
use crate::shim::output::Log;
use crate::shim::relay::{self, Relay};
use crate::shim::run::{environment, through_trampoline};
use crate::shim::spawn::Program;
use crate::shim::terminal::{Pair, Pane};
use crate::shim::{ShimError, system};
use nix::unistd::Pid;
use std::ffi::OsString;
use std::io;
use std::path::Path;

/// Bytes of raw records that are kept.
const STREAM_CAP: u64 = 64 << 20;

/// Starts it; a log that wasn't needed comes back.
pub(super) fn start(
    voice: &Voice<'_>,
    command: &Command,
    log: Log,
) -> Result<(Pid, Relay), (ShimError, Log)> {
    match voice.spec.mode {
        AgentMode::Headless => match headless(voice, command) {
            Ok((child, ends)) => {
                let raw = Log::append(&Path::new(&voice.spec.state).join(STREAM), STREAM_CAP)
                    .unwrap_or_else(|error| Log::nowhere(Some(error.to_string())));
                let lens = Lens::new(&voice.spec.adapter, voice.spec.stream.clone(), raw);
                Ok((child, Relay::through(lens, ends, Pane::take(), log)))
            }
            Err(error) => Err((error, log)),
        },
        AgentMode::Terminal => match at_terminal(voice, command) {
            Ok((child, pair, pane)) => Ok((child, Relay::between(pair, pane, log))),
            Err(error) => Err((error, log)),
        },
    }
}

fn program(voice: &Voice<'_>, command: &Command) -> Result<Program, ShimError> {
    let argv: Vec<OsString> = command.argv.iter().map(OsString::from).collect();
    Program::find(&argv, environment(&voice.assignment.env)).map_err(system("start the program"))
}

type Ends = (std::os::fd::OwnedFd, std::os::fd::OwnedFd);

fn headless(voice: &Voice<'_>, command: &Command) -> Result<(Pid, Ends), ShimError> {
    let program = program(voice, command)?;
    let pipe = || relay::pipe().map_err(system("open a pipe for output"));
    let ((output, writes), (errors, complains)) = (pipe()?, pipe()?);
    let mut argv: Vec<OsString> =
        ["ilchul", "shim", "--exec", "--session", "--"].iter().map(OsString::from).collect();
    argv.push(program.file.into_os_string());
    argv.extend(program.argv.into_iter().skip(1));
    let trampoline = Program { file: "/proc/self/exe".into(), argv, env: program.env };
    let child = trampoline.start_with(command.stdin.as_ref(), &writes, &complains);
    Ok((child.map_err(system("start the program"))?, (output, errors)))
}

fn at_terminal(voice: &Voice<'_>, command: &Command) -> Result<(Pid, Pair, Pane), ShimError> {
    let program = program(voice, command)?;
    let none = || io::Error::other("the session has no terminal, and it was to be shown on one");
    let pane = Pane::take().ok_or_else(|| ShimError::System("start the program", none()))?;
    let pair = Pair::like(&pane)?;
    let child = through_trampoline(&program, &pair).map_err(system("start the program"))?;
    Ok((child, pair, pane))
}
