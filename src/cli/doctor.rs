//! `ilchul doctor`: what ilchul needs on this machine, and whether it is there.
//!
//! It only looks. It leaves out mending: each line says what a person may do.

mod agents;
mod home;
mod host;
mod repository;
mod slurm;

use clap::Args;
use serde_json::{Value, json};

use super::error::CliError;
use super::exit_code::Exit;
use super::output::Output;
use super::{Global, choose, place, settings};
use crate::home::Home;
use crate::workflow::{SessionKind, Workflow};

/// Arguments of `doctor`.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Check what this kind of session needs, and nothing of another kind.
    #[arg(long, value_name = "KIND", value_parser = clap::builder::PossibleValuesParser::new(choose::SESSIONS))]
    session: Option<String>,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    /// As it should be.
    Ok,
    /// It works, but not as well as it could.
    Warn,
    /// Something can't work.
    Fail,
}

impl Level {
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Finding {
    level: Level,
    what: &'static str,
    /// A clause without a full stop.
    found: String,
    /// Sentences; empty where there is nothing to do.
    advice: String,
}

impl Finding {
    fn ok(what: &'static str, found: impl Into<String>) -> Self {
        Self { level: Level::Ok, what, found: found.into(), advice: String::new() }
    }

    fn warn(what: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { level: Level::Warn, what, found: found.into(), advice: advice.into() }
    }

    fn fail(what: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { level: Level::Fail, what, found: found.into(), advice: advice.into() }
    }

    fn line(&self) -> String {
        let text = format!("{:<4}  {}: {}. {}", self.level.word(), self.what, self.found, self.advice);
        format!("{}\n", crate::render::clean(text.trim_end()).replace('\n', " "))
    }

    fn json(&self) -> Value {
        let advice = Some(&self.advice).filter(|advice| !advice.is_empty());
        json!({"level": self.level.word(), "what": self.what, "found": self.found, "advice": advice})
    }
}

/// The kind that was named; one that starts nothing here is also looked for where it stands
/// for good, because nothing else that is looked at tells whether it can be had.
fn session<'a>(args: &'a DoctorArgs, workflow: Option<&Workflow>) -> Option<&'a str> {
    let usual = || {
        let kept = workflow.and_then(|workflow| workflow.session);
        let kept = kept.or_else(|| settings::load().ok()?.session);
        kept.filter(|kind| *kind == SessionKind::Slurm).map(SessionKind::word)
    };
    args.session.as_deref().or_else(usual)
}

/// Runs it.
///
/// # Errors
/// None: what is wrong is a line, and exit code 1.
pub fn run(global: &Global, args: &DoctorArgs, output: Output) -> Result<Exit, CliError> {
    let mut findings = vec![host::git()];
    let place = place::find(global.home.as_deref());
    findings.push(repository::kind(place.as_ref()));
    let workflow = place.as_ref().ok().and_then(repository::workflow);
    let session = session(args, workflow.as_ref());
    let is_cluster = session == Some(SessionKind::Slurm.word());
    findings.extend(host::session(session, workflow.as_ref()));
    findings.extend(host::inotify());
    match &place {
        Ok(place) => {
            findings.extend(home::all(&place.home, is_cluster));
            findings.push(repository::remnants(place));
            findings.push(repository::locks(place));
            findings.extend(workflow.iter().filter_map(|workflow| repository::setup(place, workflow)));
        }
        // A home that was named can be looked at without a repository.
        Err(_) => {
            findings.extend(global.home.iter().flat_map(|home| home::all(&Home::at(home), is_cluster)));
        }
    }
    findings.extend(agents::all(place.as_ref().ok()));
    output.result(
        || findings.iter().map(Finding::json).collect(),
        || findings.iter().map(Finding::line).collect(),
    );
    let failed = findings.iter().any(|finding| finding.level == Level::Fail);
    Ok(if failed { Exit::Wrong } else { Exit::Done })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_what_was_found_and_what_to_do_and_nothing_that_a_terminal_acts_on() {
        assert_eq!(Finding::ok("git", "2.47").line(), "ok    git: 2.47.\n");
        let finding = Finding::fail("home", "\u{1b}[2Jx\ny", "Run it.");
        assert_eq!(finding.line(), "fail  home: \\u{1b}[2Jx y. Run it.\n");
    }

    #[test]
    fn the_advice_of_a_good_finding_is_null() {
        let expected = json!({"level": "ok", "what": "git", "found": "2.47", "advice": null});
        assert_eq!(Finding::ok("git", "2.47").json(), expected);
    }
}
