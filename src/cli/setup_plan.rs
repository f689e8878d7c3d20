//! What a run's setup would do now, for `plan` and `doctor`: files, commands, approval.
//!
//! It only looks; what it finds may be another thing when a tree is made.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use super::describe::{self, bytes, count};
use super::error::CliError;
use super::place::Place;
use super::setup::{self, Approved, Setup};
use crate::supervisor::include::Found;
use crate::workflow::Workflow;

/// Paths that one line names.
const NAMED: usize = 5;
/// Files that `--json` lists.
const LISTED_MAX: usize = 1_000;

/// A setup with what it would find.
pub struct Outlook {
    setup: Setup,
    files: Vec<Found>,
    timeout: Option<Duration>,
    /// By whom and when; none: `up` would refuse.
    pub approved: Option<Approved>,
}

/// What `up` would do for every worktree; none where the repository brings nothing.
///
/// # Errors
/// What can't be read.
pub fn look(place: &Place, workflow: &Workflow) -> Result<Option<Outlook>, CliError> {
    let Some(setup) = setup::of_now(place, workflow)? else { return Ok(None) };
    let files = setup.files(place)?;
    let approved = setup::approved(place, &setup)?;
    let timed = workflow.setup.as_ref().filter(|setup| !setup.run.is_empty());
    Ok(Some(Outlook { setup, files, approved, timeout: timed.map(|setup| setup.timeout) }))
}

impl Outlook {
    /// For people: a block of lines, each with its break.
    #[must_use]
    pub fn text(&self) -> String {
        let total = self.files.iter().fold(0_u64, |sum, one| sum.saturating_add(one.bytes));
        let within =
            self.timeout.map_or_else(String::new, |time| format!(", within {}", describe::duration(time)));
        let mut text = format!(
            "Setup     {} to copy ({}), {} to run{within}\n",
            count(self.files.len(), "file"),
            bytes(total),
            count(self.setup.run.len(), "command")
        );
        for line in self.setup.text().lines() {
            // A `String` takes every write.
            let _ = writeln!(text, "        {line}");
        }
        let changes: Vec<String> =
            self.files.iter().filter(|one| !one.ignored).map(|one| one.path.clone()).collect();
        if !changes.is_empty() {
            let names = describe::list(&changes, NAMED);
            let _ = writeln!(
                text,
                "          git doesn't ignore these, so they count as the task's changes: {names}"
            );
        }
        let _ = match &self.approved {
            Some(approved) => writeln!(text, "          approved by {} at {}", approved.who, approved.at),
            None => writeln!(text, "          not approved: `up` refuses it until `ilchul approve --hooks`"),
        };
        text
    }

    /// For scripts.
    #[must_use]
    pub fn json(&self) -> Value {
        let file = |one: &Found| json!({"path": one.path, "bytes": one.bytes, "ignored": one.ignored});
        let mut value = self.setup.json();
        value["files"] = self.files.iter().take(LISTED_MAX).map(file).collect();
        value["file_count"] = json!(self.files.len());
        value["timeout_ms"] =
            json!(self.timeout.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)));
        value["approved"] =
            json!(self.approved.as_ref().map(|approved| json!({"who": approved.who, "at": approved.at})));
        value
    }
}
