//! One thing that is wrong with a document.
//!
//! It leaves out colours, hints and exit codes, and it doesn't quote more of the
//! document than is needed to find the place.

use std::fmt;

/// What is wrong, where, in words.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Problem {
    /// A stable word to decide by: `too_large`, `not_utf8`, `not_json`, `too_deep`,
    /// `duplicate_key`, `nul`, `not_object`, `wrong_schema`, `missing_field`,
    /// `wrong_type`, `bad_value`, `too_many`.
    pub code: &'static str,
    /// Where: `evidence[3].sha256`; empty for the document itself.
    pub path: String,
    /// What, as a fragment without a full stop.
    pub message: String,
}

impl Problem {
    /// A problem at `path`.
    pub(super) fn new(code: &'static str, path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code, path: path.into(), message: message.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            write!(f, "read document: {}", self.message)
        } else {
            write!(f, "read `{}`: {}", self.path, self.message)
        }
    }
}

impl std::error::Error for Problem {}
