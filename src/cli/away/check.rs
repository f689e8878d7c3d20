//! `ilchul --host NAME doctor`: the way there first, then what the machine says of itself.
//!
//! It leaves out mending: each line says what a person may do.

use std::ffi::OsString;

use super::super::error::CliError;
use super::super::output::{self, Output};
use super::link::Link;
use super::{pass, place};

/// Runs it: lines of ours, then the doctor there.
///
/// # Errors
/// When the machine isn't reached, or can't run our program.
pub(super) fn run(link: &Link, words: &[OsString], output: Output) -> Result<i32, CliError> {
    let look = link.look()?;
    let say = |text: String| {
        if !output.json {
            output::line(&crate::render::clean(&text));
        }
    };
    let name = &link.target.name;
    say(format!(
        "ok    link to {name}: ssh {} answers; its socket is in {}.",
        link.ssh.destination(),
        link.kept.display()
    ));
    say(format!("ok    system of {name}: {}.", look.get("system")));
    place_program(link, &look)?;
    say(format!("ok    program on {name}: {}.", link.program.path().to_string_lossy()));
    let folder = place::shown(link.folder()?);
    let (word, found) = match look.get("kind") {
        "repository" if look.get("from").is_empty() && !look.get("head").is_empty() => {
            ("ok", "a repository of its own, nothing is sent there".to_owned())
        }
        "repository" => ("ok", format!("made for {}", look.get("from"))),
        "other" => ("fail", "it isn't empty, and no repository. Name another one".to_owned()),
        _ => ("ok", "it isn't there; `up` makes it".to_owned()),
    };
    say(format!("{word:<4}  folder on {name}: {folder}: {found}."));
    if look.get("kind") != "repository" {
        // The doctor there would only say that there is no repository.
        return Ok(i32::from(word == "fail"));
    }
    pass::run(link, words, pass::Pipes::default())
}

fn place_program(link: &Link, look: &super::link::Look) -> Result<(), CliError> {
    if look.get("program") == "noexec" {
        return Err(pass::refused(link, super::enter::ABSENT));
    }
    link.ready(".")
}
