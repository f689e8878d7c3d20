//! What a command can fail with: words, a hint, and the exit code of its class.
//!
//! It leaves out the printing of workflow problems, which have pictures of their own.

use std::fmt;

use serde_json::{Value, json};

use super::exit_code::Exit;
use crate::journal::JournalError;
use crate::supervisor::SupervisorError;
pub use crate::supervisor::words;

/// A failed command, for people and for scripts.
#[derive(Debug)]
pub struct CliError {
    /// The class.
    pub exit: Exit,
    /// One word for scripts.
    pub code: &'static str,
    /// What was tried and what was wrong; completes "failed to ...".
    pub message: String,
    /// What to do about it; empty where nobody can know.
    pub hint: String,
    /// More, for `--json`: a list of workflow problems, the holder of a lock.
    pub details: Value,
}

impl CliError {
    /// An error of the input or the environment (exit code 1).
    #[must_use]
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { exit: Exit::Wrong, code, message: message.into(), hint: String::new(), details: Value::Null }
    }

    /// The same with what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }

    /// The same in another class.
    #[must_use]
    pub fn exit(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }

    /// The same with details for `--json`.
    #[must_use]
    pub fn details(mut self, details: Value) -> Self {
        self.details = details;
        self
    }

    /// The form of `--json`.
    #[must_use]
    pub fn json(&self) -> Value {
        let mut error = json!({"code": self.code, "message": self.message, "hint": self.hint});
        if !self.details.is_null() {
            error["details"] = self.details.clone();
        }
        json!({"schema_version": 1, "ok": false, "error": error})
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for CliError {}

impl From<JournalError> for CliError {
    fn from(error: JournalError) -> Self {
        let exit = match &error {
            JournalError::Busy { .. } => Exit::Held,
            error if error.is_damage() => Exit::Journal,
            _ => Exit::Wrong,
        };
        let hint = match &error {
            JournalError::Missing { .. } => "Run `ilchul up` to start a run; there has been none here.",
            JournalError::Lost { .. } => {
                "Put the journal back from a backup, or name another home with `--home`."
            }
            JournalError::Damaged { .. } => {
                "Nothing was changed. Put the journal back from a backup, or name another home with `--home`."
            }
            JournalError::Newer { .. } => "Use the newer ilchul; this one can only read the journal.",
            JournalError::Replaced { .. } => {
                "Nothing was written. Look for what replaced the file, then run `ilchul up`."
            }
            JournalError::Indeterminate { .. } => {
                "Free space or rights on the disk, then run `ilchul up`: it reads again what is there."
            }
            JournalError::Busy { .. } => "End what holds the journal, then try again. Nothing was written.",
            JournalError::Store { .. } | JournalError::Io { .. } | JournalError::Encode { .. } => "",
        };
        Self::new("journal", words(&error)).exit(exit).hint(hint)
    }
}

impl From<SupervisorError> for CliError {
    fn from(error: SupervisorError) -> Self {
        match error {
            SupervisorError::Journal(error) => error.into(),
            SupervisorError::Unrecorded(unrecorded) => super::unrecorded::explain(&unrecorded),
            SupervisorError::Corrupt(corrupt) => Self::new("journal", corrupt.to_string())
                .exit(Exit::Journal)
                .hint("Nothing was changed. Keep the journal for a report of this bug."),
            SupervisorError::Rejected(rejection) => Self::new(rejection.code, rejection.message),
            SupervisorError::UnknownRun(run) => Self::new("unknown_run", format!("find the run `{run}`"))
                .hint("Run `ilchul runs` to see them."),
            SupervisorError::Io(action, error) => Self::new("io", format!("{action}: {error}")),
        }
    }
}
