//! `ilchul --host NAME up`: the repository goes there, a supervisor starts there, and what
//! happens is told here.
//!
//! It leaves out following (`follow`) and sending (`send`).

use std::ffi::OsString;
use std::io::IsTerminal;
use std::time::Duration;

use super::super::error::CliError;
use super::super::exit_code::Exit;
use super::super::output::{self, Output};
use super::super::up::{Told, UpArgs};
use super::follow::Follow;
use super::link::Link;
use super::{fetch, send};
use crate::host::Ran;

/// How long `up --detach` there may take to begin: it waits 60 s for its supervisor.
const LIMIT: Duration = Duration::from_secs(120);

/// Runs it.
///
/// # Errors
/// What keeps the repository from going there, or the machine from being reached.
pub(super) fn run(
    link: &Link,
    (args, words): (&UpArgs, &[OsString]),
    output: Output,
) -> Result<i32, CliError> {
    let look = link.look()?;
    let sent = send::sync(link, &look, (args, words), output)?;
    link.ready(link.folder()?)?;
    let words = there(words, args, sent.file.as_deref());
    let started = link.ilchul(&words, LIMIT)?;
    let is_held = started.code == Exit::Held.code();
    let joins = is_held && !(args.new || args.adopt || args.detach);
    // An answer on stdout is the whole answer: the run has ended before, or the command is refused.
    let answered = !started.stdout.is_empty() && !joins;
    if args.detach || answered || (started.code != 0 && !joins) {
        say(&started, output);
        let is_over = [Exit::Done, Exit::Failed].iter().any(|exit| exit.code() == started.code);
        if let (Some(root), true, false) = (&sent.root, answered && is_over, args.detach) {
            // Nobody may have followed it to its end.
            fetch::of_latest(link, root, &words);
        }
        return Ok(started.code);
    }
    if !joins {
        output::talk_of_another(&started.stderr, output.color_err);
    }
    let again = again(&words);
    let mut follow = Follow::new(link, (args.output == Told::Json, &again), output)?;
    let wanted = joins.then_some(sent.file.as_deref()).flatten();
    let Some(exit) = follow.run(wanted)? else {
        // It is another workflow's run that is driven there.
        say(&started, output);
        return Ok(started.code);
    };
    if let (Some(root), Exit::Done | Exit::Failed) = (&sent.root, exit) {
        fetch::branches(link, root, follow.run_id());
    }
    Ok(exit.code())
}

/// What a command there said, as if it had said it here.
fn say(ran: &Ran, output: Output) {
    output::talk_of_another(&ran.stderr, output.color_err);
    let text = String::from_utf8_lossy(&ran.stdout);
    // A script has it as it came; a terminal has no more of it than colours.
    let is_seen = std::io::stdout().is_terminal();
    output::print(&if is_seen { crate::render::clean_but_colour(&text) } else { text.into_owned() });
}

/// Our own words, detached, with the workflow's path as it is there.
fn there(words: &[OsString], args: &UpArgs, file: Option<&str>) -> Vec<OsString> {
    let mut words = words.to_vec();
    if let (Some(given), Some(file)) = (&args.file, file)
        && let Some(at) = words.iter().rposition(|word| word == given.as_os_str())
    {
        words[at] = file.into();
    }
    let is_value = |at: usize| at > 0 && (words[at - 1] == "--home" || words[at - 1] == "--color");
    let up = (0..words.len()).find(|&at| words[at] == "up" && !is_value(at));
    if let (Some(up), false) = (up, args.detach) {
        words.insert(up + 1, "--detach".into());
    }
    words
}

/// The same words for a supervisor that takes over: nothing begins anew by them.
fn again(words: &[OsString]) -> Vec<OsString> {
    words.iter().filter(|word| *word != "--new" && *word != "--adopt").cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;
    use clap::Parser;

    #[test]
    fn the_command_there_is_the_one_here_detached_with_the_path_in_the_repository() {
        let check = |given: &str, file: Option<&str>, expected: &str| {
            let words: Vec<OsString> = given.split(' ').map(OsString::from).collect();
            let cli = Cli::parse_from(std::iter::once("ilchul".into()).chain(words.clone()));
            let crate::cli::Command::Up(args) = cli.command else { panic!() };
            let expected: Vec<OsString> = expected.split(' ').map(OsString::from).collect();
            assert_eq!(there(&words, &args, file), expected);
        };
        check("up", None, "up --detach");
        check("--home up up x.yaml --new", Some("flows/x.yaml"), "--home up up --detach flows/x.yaml --new");
        check("up --detach x.yaml", Some("a/x.yaml"), "up --detach a/x.yaml");
        let words = ["up", "--detach", "--new", "x.yaml"].map(OsString::from);
        assert_eq!(again(&words), ["up", "--detach", "x.yaml"].map(OsString::from));
    }
}
