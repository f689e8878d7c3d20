//! `ilchul man DIR`: a manual page for each command, as files for `man`.
//!
//! Made from the same words as `--help`, so the two can't differ. It leaves out where a
//! system keeps its pages: whoever installs ilchul knows that.

use std::io;
use std::path::{Path, PathBuf};

use clap::{Args, Command, CommandFactory};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};
use serde_json::json;

use super::error::CliError;
use super::exit_code::Exit;
use super::output::Output;
use super::{Cli, Global};

/// Where things are, for the page of the whole.
const FILES: [(&str, &str); 4] = [
    ("ilchul.yaml", "The workflow, at the root of the repository."),
    (
        "<repository>.ilchul/",
        "The home, beside the checkout: the journal, evidence, and for each run its worktrees, mail and logs.",
    ),
    ("~/.config/ilchul/config.yaml", "Settings of your own."),
    ("$XDG_STATE_HOME/ilchul/", "Homes of repositories beside which nothing can be written."),
];

/// Variables that ilchul itself heeds, for the page of the whole.
const ENVIRONMENT: [(&str, &str); 4] = [
    ("ILCHUL_HOME", "The home, in place of the folder beside the checkout; --home goes before it."),
    (
        "ILCHUL_HOST",
        "The machine that commands run on, by ssh; --host goes before it, and no worker heeds it.",
    ),
    ("NO_COLOR", "No colour where --color is auto."),
    (
        "ILCHUL_TRACE",
        "What ilchul tells of itself on stderr, for whoever looks for a bug: off, error, debug, ...",
    ),
];

/// Arguments of `man`.
#[derive(Debug, Args)]
pub struct ManArgs {
    /// The folder to write the pages to; pages of these names that are there are replaced.
    dir: PathBuf,
}

/// Runs it.
///
/// # Errors
/// When a page can't be written.
pub fn run(_global: &Global, args: &ManArgs, output: Output) -> Result<Exit, CliError> {
    let dir = &args.dir;
    let failed = |path: &Path, error: &io::Error| {
        CliError::new("io", format!("write the manual to `{}`: {error}", path.display()))
    };
    std::fs::create_dir_all(dir).map_err(|error| failed(dir, &error))?;
    let pages = pages().map_err(|error| failed(dir, &error))?;
    for (name, text) in &pages {
        let path = dir.join(name);
        std::fs::write(&path, text).map_err(|error| failed(&path, &error))?;
    }
    let names: Vec<&String> = pages.iter().map(|(name, _)| name).collect();
    let first = dir.join("ilchul.1");
    output.result(
        || json!({"folder": dir, "pages": names}),
        || format!("Wrote {} pages. Read the first: man -l {}\n", pages.len(), first.display()),
    );
    Ok(Exit::Done)
}

/// Every page: its file's name, and what it says.
fn pages() -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut whole = Cli::command().disable_help_subcommand(true);
    whole.build();
    let commands: Vec<&Command> = whole.get_subcommands().filter(|sub| !sub.is_hide_set()).collect();
    let mut pages = vec![("ilchul.1".to_owned(), page(&whole, &see(&commands, "ilchul"))?)];
    for command in &commands {
        let name = format!("ilchul-{}", command.get_name());
        pages.push((format!("{name}.1"), page(command, &see(&commands, &name))?));
    }
    Ok(pages)
}

/// The other pages that this one leads to: a command's to the whole, the whole to all.
fn see(commands: &[&Command], name: &str) -> String {
    if name != "ilchul" {
        return "ilchul(1)".to_owned();
    }
    let all: Vec<String> = commands.iter().map(|one| format!("ilchul-{}(1)", one.get_name())).collect();
    all.join(", ")
}

fn page(command: &Command, see: &str) -> io::Result<Vec<u8>> {
    let is_whole = command.get_name() == "ilchul";
    let version = format!("ilchul {}", env!("CARGO_PKG_VERSION"));
    let man = Man::new(command.clone()).source(version).manual("ilchul");
    let mut text = Vec::new();
    man.render_title(&mut text)?;
    man.render_name_section(&mut text)?;
    man.render_synopsis_section(&mut text)?;
    man.render_description_section(&mut text)?;
    man.render_options_section(&mut text)?;
    if is_whole {
        man.render_subcommands_section(&mut text)?;
    }
    let mut more = Roff::new();
    if let Some(after) = command.get_after_long_help().or_else(|| command.get_after_help()) {
        // As it stands: these are examples and lists, which filling would make one paragraph of.
        more.control("SH", ["NOTES"]).control("nf", []);
        after.to_string().lines().for_each(|line| {
            more.text([roman(line)]);
        });
        more.control("fi", []);
    }
    list(&mut more, "EXIT STATUS", Exit::TABLE.iter().map(|(code, means)| (code.to_string(), *means)));
    if is_whole {
        list(&mut more, "FILES", FILES.iter().map(|(path, means)| ((*path).to_owned(), *means)));
        list(&mut more, "ENVIRONMENT", ENVIRONMENT.iter().map(|(name, means)| ((*name).to_owned(), *means)));
    }
    more.control("SH", ["SEE ALSO"]).text([roman(see)]);
    more.to_writer(&mut text)?;
    Ok(text)
}

fn list<'w>(roff: &mut Roff, title: &str, entries: impl Iterator<Item = (String, &'w str)>) {
    roff.control("SH", [title]);
    for (term, means) in entries {
        roff.control("TP", []).text([bold(term)]).text([roman(means)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_that_help_lists_has_a_page_with_the_same_words() {
        let pages = pages().unwrap();
        let mut whole = Cli::command();
        whole.build();
        for command in whole.get_subcommands().filter(|sub| sub.get_name() != "help") {
            let name = format!("ilchul-{}.1", command.get_name());
            let page = pages.iter().find(|(page, _)| *page == name);
            let page = String::from_utf8(page.unwrap_or_else(|| panic!("no {name}")).1.clone()).unwrap();
            let about = command.get_about().unwrap().to_string();
            let first = about.split([';', ',', ':', '.', '\'']).next().unwrap();
            assert!(page.contains(first), "{name}: {first}: {page}");
            assert!(page.contains(".SH \"EXIT STATUS\"") && page.contains("ilchul(1)"), "{name}");
        }
        assert_eq!(pages.len(), whole.get_subcommands().count(), "`help` has none, the whole has one");
    }
}
