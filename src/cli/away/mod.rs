//! `--host NAME[:FOLDER]`: the same command on another machine, through ssh.
//!
//! All that a run is stays there: its home, its supervisor, its workers. What runs here is a
//! front, which may sleep or lose its link. It leaves out what any command does.

mod check;
mod clean;
mod deaths;
mod enter;
mod fetch;
mod follow;
mod git;
mod going;
mod link;
mod listen;
mod pass;
mod place;
mod revive;
pub(super) mod rows;
mod runs;
mod seal;
mod send;
mod stays;
mod stream;
mod tale;
mod target;
mod up;

use super::error::CliError;
use super::output::Output;
use super::{Cli, Command};
use link::Link;

/// Set for a command that a front on another machine runs: its output ends with that front.
pub(super) const FRONT: &str = "ILCHUL_FRONT";
/// What it says where a person sees that front's terminal, though the command there has pipes.
const SEEN: &str = "seen";

/// Whether a front shows what is printed here on a terminal.
pub(super) fn is_seen_by_front() -> bool {
    std::env::var_os(FRONT).is_some_and(|value| value == SEEN)
}

/// How a command gets on with a host.
enum Way<'a> {
    /// It works here, whatever is named.
    Here,
    /// It runs there as it was typed.
    There,
    /// It takes the repository along.
    Up(&'a super::up::UpArgs),
    /// It looks at the way there first.
    Doctor,
}

/// Runs a command on the host that is named; none where it runs here. Answers its exit code.
pub fn run(cli: &Cli, output: Output) -> Option<Result<i32, CliError>> {
    let way = way(&cli.command);
    if matches!(way, Way::Here) {
        return None;
    }
    let named = named(cli.global.host.as_deref())?;
    Some(Link::to(&named).and_then(|link| {
        let words = words(std::env::args_os().skip(1));
        match way {
            Way::Here | Way::There => pass::run(&link, &words, (pipes(cli), output)),
            Way::Up(args) => up::run(&link, (args, &words), output),
            Way::Doctor => check::run(&link, &words, output),
        }
    }))
}

/// The host of the command line, or of the environment, where no worker runs this.
fn named(given: Option<&str>) -> Option<String> {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    // A worker is where its run is: what the person's environment names is no place for it.
    let from_environment = || set("ILCHUL_HOST").filter(|_| set("ILCHUL_WORKER").is_none());
    given.map(str::to_owned).or_else(from_environment)
}

fn way(command: &Command) -> Way<'_> {
    match command {
        Command::Up(args) => Way::Up(args),
        Command::Doctor(_) => Way::Doctor,
        Command::Plan(_)
        | Command::Agents(_)
        | Command::Down(_)
        | Command::Wait(_)
        | Command::Status(_)
        | Command::Dash(_)
        | Command::Workers(_)
        | Command::Why(_)
        | Command::Logs(_)
        | Command::Attach(_)
        | Command::Next(_)
        | Command::Evidence(_)
        | Command::Events(_)
        | Command::Graph(_)
        | Command::Page(_)
        | Command::Runs(_)
        | Command::Trace(_)
        | Command::Retry(_)
        | Command::Cancel(_)
        | Command::Answer(_)
        | Command::Approve(_)
        | Command::Deny(_)
        | Command::Decide(_)
        | Command::Release(_)
        | Command::Retain(_)
        | Command::Cleanup(_) => Way::There,
        Command::Init(_)
        | Command::Validate(_)
        | Command::Schema(_)
        | Command::Docs(_)
        | Command::Completions(_)
        | Command::Man(_)
        | Command::TmuxSnippet(_)
        | Command::Report(_)
        | Command::Submit(_)
        | Command::Heartbeat(_)
        | Command::Mcp(_)
        | Command::Hook(_) => Way::Here,
    }
}

/// Standard input is given only to who reads it: any other would take it from whoever else does.
/// Only who follows ends with its reader: what acts isn't cut in the middle. And only who draws or
/// asks has a terminal there, on which nothing can be cleaned.
fn pipes(cli: &Cli) -> pass::Pipes {
    let command = &cli.command;
    let input = matches!(command, Command::Answer(args) if args.reads_input());
    let watches = matches!(command, Command::Status(args) if args.follows());
    let follows = watches
        || matches!(command, Command::Events(args) if args.follows())
        || matches!(command, Command::Logs(args) if args.follows());
    let draws = matches!(command, Command::Dash(_))
        || watches
        || matches!(command, Command::Attach(args) if args.goes())
        || matches!(command, Command::Next(args) if args.goes())
        || matches!(command, Command::Approve(args) if args.asks());
    pass::Pipes { input, follows, terminal: (draws || input) && !cli.global.json }
}

/// Our own words without the host.
fn words(given: impl Iterator<Item = std::ffi::OsString>) -> Vec<std::ffi::OsString> {
    let (mut kept, mut given) = (Vec::new(), given);
    while let Some(word) = given.next() {
        if word == "--" {
            kept.push(word);
            break;
        }
        if word == "--host" {
            let _ = given.next();
        } else if !word.as_encoded_bytes().starts_with(b"--host=") {
            kept.push(word);
        }
    }
    kept.extend(given);
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsString;

    #[test]
    fn all_words_but_the_host_go_along_as_they_are() {
        let check = |given: &str, expected: &str| {
            let split = |text: &str| text.split(' ').map(OsString::from).collect::<Vec<_>>();
            assert_eq!(words(split(given).into_iter()), split(expected));
        };
        check("--host x status --json", "status --json");
        check("status --host=x:/a --run r", "status --run r");
        check("answer t -- --host", "answer t -- --host");
    }
}
