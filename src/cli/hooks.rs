//! `ilchul approve --hooks`: a person's word on what a repository brings to every worktree.
//!
//! It shows all of it first, and remembers the digest in the home. Git's own hooks aren't
//! part of it: no git that ilchul starts runs any. It leaves out what a run makes of it.

use std::io::{BufRead, IsTerminal, Write};
use std::path::Path;

use serde_json::{Value, json};

use super::Global;
use super::drive::now_text;
use super::error::CliError;
use super::exit_code::Exit;
use super::output::{self, Output};
use super::setup::{self, Setup};
use super::{place, workflow_file};
use crate::render;

/// The longest answer that is read.
const ANSWER_MAX: u64 = 64;

/// Shows the setup of a workflow and remembers that `who` approved it.
///
/// # Errors
/// When there is no such workflow, nobody can be asked, or they say no.
pub fn approve(
    global: &Global,
    (file, yes): (Option<&str>, bool),
    who: &str,
    output: Output,
) -> Result<Exit, CliError> {
    let place = place::find(global.home.as_deref())?;
    let path = workflow_file::locate(&workflow_file::here()?, file.map(Path::new));
    let file = workflow_file::load(&path, output)?;
    let Some(setup) = setup::of_now(&place, &file.loaded.workflow)? else {
        let data = || json!({"setup": Value::Null, "approved": false});
        output.result(data, || "There is nothing to approve: this repository brings no setup.\n".to_owned());
        return Ok(Exit::Done);
    };
    let known = setup::approved(&place, &setup)?;
    if !output.json {
        output::talk(&render::clean(&format!(
            "Before each task of `{}`, in its fresh worktree:\n{}It runs as you do. What these commands start in turn isn't part of the approval.",
            path.display(),
            setup.text()
        )));
    }
    if known.is_none() {
        if !yes {
            ask(&setup, output)?;
        }
        setup::approve(&place, &setup, who, &now_text())?;
    }
    let digest = setup.digest.clone();
    output.result(
        || json!({"setup": setup.json(), "approved": true}),
        || {
            format!(
                "{} (digest {digest}).\n",
                if known.is_some() { "It was approved before" } else { "Approved" }
            )
        },
    );
    Ok(Exit::Done)
}

/// Only a word typed at a terminal is a yes.
fn ask(setup: &Setup, output: Output) -> Result<(), CliError> {
    let refused = |message: &str| CliError::new("not_approved", message).details(setup.json());
    if output.json || !std::io::stdin().is_terminal() {
        return Err(refused("approve the setup: there is no terminal to ask at")
            .hint("Run `ilchul approve --hooks --yes` once you have read what it would do."));
    }
    let mut stderr = std::io::stderr();
    // A terminal that can't be written to can't be answered at either.
    let _ = stderr.write_all(b"Approve it? [y/N] ").and_then(|()| stderr.flush());
    let mut answer = String::new();
    let read = std::io::Read::take(std::io::stdin().lock(), ANSWER_MAX).read_line(&mut answer);
    if read.is_ok() && matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes") {
        return Ok(());
    }
    Err(refused("approve the setup: the answer wasn't yes").hint("Nothing was remembered."))
}
