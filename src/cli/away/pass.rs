//! A command that runs there as it was typed here: its streams, its exit code, its terminal.
//!
//! It leaves out what it does.

use std::ffi::OsString;
use std::io::IsTerminal;

use super::super::error::CliError;
use super::super::output::{self, Output};
use super::enter::{self, Entry, How};
use super::link::Link;
use super::{FRONT, SEEN, place, stream};
use crate::host::{HostError, Ssh};

/// What a command that runs there has to do with the streams of this one.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Pipes {
    /// It reads standard input.
    pub(super) input: bool,
    /// It ends once nobody reads what it prints.
    pub(super) follows: bool,
    /// It draws on a terminal, or asks there, where there is one.
    pub(super) terminal: bool,
}

/// Runs `words` there and answers the exit code.
///
/// # Errors
/// When the machine isn't reached, or has no such folder or program.
pub(super) fn run(
    link: &Link,
    words: &[OsString],
    (pipes, output): (Pipes, Output),
) -> Result<i32, CliError> {
    let is_terminal = std::io::stdin().is_terminal() && is_shown();
    if is_terminal && pipes.terminal {
        on_terminal(link, words)
    } else {
        through_pipes(link, words, (pipes, output))
    }
}

/// Whether a person sees both streams.
fn is_shown() -> bool {
    std::io::stdout().is_terminal() && std::io::stderr().is_terminal()
}

/// On a terminal of its own there, which has the size of ours. All that it prints arrives as it is.
fn on_terminal(link: &Link, words: &[OsString]) -> Result<i32, CliError> {
    // What is missing there is told and mended before the terminal is given away.
    link.ready(link.folder()?)?;
    let env = environment();
    let folder = Some(link.folder()?);
    let entry = Entry { program: &link.program, folder, words, env: &env, how: How::Terminal };
    let mut command = link.command(&entry)?;
    stream::terminal_pipes(&mut command);
    let failed = |error| link.failed(&HostError::Start(error));
    let done = stream::on_terminal(command.spawn().map_err(failed)?).map_err(failed)?;
    if Ssh::is_own_failure(done.code) {
        return Err(link.failed(&HostError::Lost("ssh says why above".to_owned())));
    }
    match done.said.as_deref() {
        Some(enter::RUN) => Ok(done.code),
        // A shell's files may end or take over only where there is a terminal.
        None => Err(link
            .failed(&Ssh::unreached(done.code, &done.before))
            .hint("Look at what its login shell's files do on a terminal.")),
        Some(word) => Err(refused(link, word)),
    }
}

/// Through pipes: what a login shell's files print there isn't part of it, and what reaches a
/// terminal here steers it no more than our own words do.
fn through_pipes(link: &Link, words: &[OsString], (pipes, output): (Pipes, Output)) -> Result<i32, CliError> {
    let mut words = words.to_vec();
    let mut env = environment();
    env.push((FRONT, if is_shown() { SEEN } else { "1" }.to_owned()));
    let is_said = |word: &OsString| word.as_encoded_bytes().starts_with(b"--color");
    if is_shown() && env.iter().all(|(name, _)| *name != "NO_COLOR") && !words.iter().any(is_said) {
        words.insert(0, "--color=always".into());
    }
    let out = std::io::stdout().is_terminal().then_some(output.color);
    let shown = stream::Shown { out, err: output.color_err };
    let folder = Some(link.folder()?);
    let entry = Entry { program: &link.program, folder, words: &words, env: &env, how: How::Plain };
    for is_second in [false, true] {
        let mut command = link.command(&entry)?;
        stream::pipes(&mut command, pipes.input);
        let failed = |error| link.failed(&HostError::Start(error));
        let child = command.spawn().map_err(failed)?;
        let done = stream::through(child, shown, pipes.follows).map_err(failed)?;
        match done.said.as_deref() {
            None => return Err(link.failed(&Ssh::unreached(done.code, &done.before))),
            Some(enter::RUN) if Ssh::is_own_failure(done.code) => {
                return Err(link.failed(&HostError::lost(&done.tail)));
            }
            Some(enter::RUN) => return Ok(done.code),
            Some(enter::ABSENT) if !is_second => place::send(link)?,
            Some(word) => return Err(refused(link, word)),
        }
    }
    Err(refused(link, enter::ABSENT))
}

/// What a word of the script means.
pub(super) fn refused(link: &Link, word: &str) -> CliError {
    let name = &link.target.name;
    let folder = place::shown(link.target.folder.as_deref().unwrap_or("."));
    if word == enter::NO_FOLDER {
        return CliError::new("host_folder", format!("enter `{folder}` on `{name}`: it isn't there"))
            .hint(format!("`ilchul --host {name} up` makes it, or name one: `--host {name}:FOLDER`."));
    }
    if let Some(version) = word.strip_prefix(enter::OTHER) {
        let message = format!(
            "run ilchul on `{name}`: its program says `{}`, and this one is {}",
            crate::render::clean(version.trim()),
            env!("CARGO_PKG_VERSION")
        );
        return CliError::new("host_program", message)
            .hint("Update it, or leave `program` of `hosts` out of your settings.");
    }
    let message = format!("run ilchul on `{name}`: it was sent, and isn't there to be run");
    CliError::new("host_program", message).hint(
        "Programs may not be allowed in that home (`noexec`): install ilchul elsewhere there and name it by `program` of `hosts` in your settings.",
    )
}

/// What of our environment says how things look here.
pub(super) fn environment() -> Vec<(&'static str, String)> {
    let set = |name: &'static str| Some((name, std::env::var(name).ok().filter(|value| !value.is_empty())?));
    let mut env: Vec<_> = ["NO_COLOR", "COLORTERM"].into_iter().filter_map(set).collect();
    if std::io::stdout().is_terminal() {
        env.push(("COLUMNS", output::width().to_string()));
    }
    env
}
