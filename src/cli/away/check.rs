//! `ilchul --host NAME doctor`: the way there first, then what the machine says of itself.
//!
//! It leaves out mending: each line says what a person may do.

use std::ffi::OsString;

use serde_json::json;

use super::super::error::CliError;
use super::super::output::{self, Output};
use super::link::{Link, Look};
use super::{pass, place};

/// A level's word, what was looked at, and what was found there.
type Line = (&'static str, String, String);

/// Runs it: lines of ours, then the doctor there.
///
/// # Errors
/// When the machine isn't reached, or can't run our program.
pub(super) fn run(link: &Link, words: &[OsString], output: Output) -> Result<i32, CliError> {
    let look = link.look()?;
    place_program(link, &look)?;
    let mut lines = way(link, &look)?;
    if look.get("kind") == "repository" {
        if !output.json {
            lines.iter().for_each(|line| output::line(&text(line)));
        }
        return pass::run(link, words, (pass::Pipes::default(), output));
    }
    // The doctor there would only say that there is no repository.
    let named = words.iter().any(|word| word == "slurm" || word == "--session=slurm");
    lines.extend(tools(link, &look, named));
    let json =
        |(level, what, found): &Line| json!({"level": level, "what": what, "found": found, "advice": null});
    output.result(
        || lines.iter().map(json).collect(),
        || lines.iter().map(|line| format!("{}\n", text(line))).collect(),
    );
    Ok(i32::from(lines.iter().any(|(level, ..)| *level == "fail")))
}

fn text((level, what, found): &Line) -> String {
    crate::render::clean(&format!("{level:<4}  {what}: {found}.")).replace('\n', " ")
}

/// The way there, and where it leads.
fn way(link: &Link, look: &Look) -> Result<Vec<Line>, CliError> {
    let name = &link.target.name;
    let (level, found) = match look.get("kind") {
        "repository" if look.get("from").is_empty() && !look.get("head").is_empty() => {
            ("ok", "a repository of its own, nothing is sent there".to_owned())
        }
        "repository" => ("ok", format!("made for {}", look.get("from"))),
        "other" => ("fail", "it isn't empty, and no repository. Name another one".to_owned()),
        _ => ("ok", "it isn't there; `up` makes it".to_owned()),
    };
    let answers = format!("ssh {} answers; its socket is in {}", link.ssh.destination(), link.kept.display());
    let program = link.program.path().to_string_lossy().into_owned();
    Ok(vec![
        ("ok", format!("link to {name}"), answers),
        ("ok", format!("system of {name}"), look.get("system").to_owned()),
        ("ok", format!("program on {name}"), program),
        (level, format!("folder on {name}"), format!("{}: {found}", place::shown(link.folder()?))),
    ])
}

/// What a run there would need; a cluster only where one was asked for.
fn tools(link: &Link, look: &Look, cluster: bool) -> Vec<Line> {
    let name = &link.target.name;
    let line = |tool: &str, missing: (&'static str, &str)| {
        let found = Some(look.get(tool)).filter(|found| !found.is_empty());
        let (level, found) = found.map_or(missing, |found| ("ok", found));
        (level, format!("{tool} on {name}"), found.to_owned())
    };
    let load = "it isn't there, or only in a terminal: load it in the files of the login shell";
    let mut lines = vec![
        line("git", ("fail", load)),
        line("tmux", ("ok", "it isn't there: workers are plain processes")),
    ];
    if cluster {
        lines.push(line("sbatch", ("fail", load)));
    }
    lines
}

fn place_program(link: &Link, look: &Look) -> Result<(), CliError> {
    if look.get("program") == "noexec" {
        return Err(pass::refused(link, super::enter::ABSENT));
    }
    link.ready(".")
}
