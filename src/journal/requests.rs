//! Requests: how other processes change a run that a supervisor holds.
//!
//! They write a row and ring; the supervisor decides, journals and answers. The
//! bell is only a doorbell: the supervisor reads the table in any case.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rusqlite::{OptionalExtension, params};

use super::store::damage_or;
use super::{Journal, JournalError};
use crate::engine::input::Request;
use crate::home::{Home, open_plain, private_dir};

/// A request that waits for its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Its number.
    pub id: i64,
    /// Which run it is about.
    pub run: String,
    /// What is asked; `None` when it can't be read by this ilchul.
    pub request: Option<Request>,
}

/// What the supervisor answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Whether it was granted.
    pub accepted: bool,
    /// The code and words of a refusal; empty when granted.
    pub message: String,
}

impl Journal {
    /// Writes a request and rings.
    ///
    /// # Errors
    /// What SQLite or the system says.
    pub fn ask(&self, home: &Home, run: &str, request: &Request, asked_ms: i64) -> Result<i64, JournalError> {
        let body = serde_json::to_string(request)
            .map_err(|source| JournalError::Encode { kind: "request".to_owned(), source })?;
        self.connection
            .execute(
                "INSERT INTO requests (run, body, asked_ms) VALUES (?, ?, ?)",
                params![run, body, asked_ms],
            )
            .map_err(|source| damage_or("write", source))?;
        let id = self.connection.last_insert_rowid();
        ring(&home.bell());
        Ok(id)
    }

    /// The requests that nobody has answered, oldest first.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn asked(&self) -> Result<Vec<Asked>, JournalError> {
        let fail = |source| damage_or("read", source);
        let mut select = self
            .connection
            .prepare_cached("SELECT id, run, body FROM requests WHERE accepted IS NULL ORDER BY id LIMIT 256")
            .map_err(fail)?;
        let rows = select
            .query_map([], |row| {
                let body: String = row.get(2)?;
                Ok(Asked { id: row.get(0)?, run: row.get(1)?, request: serde_json::from_str(&body).ok() })
            })
            .map_err(fail)?;
        rows.collect::<Result<_, _>>().map_err(fail)
    }

    /// Answers a request, once.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn answer(&self, id: i64, answer: &Answer) -> Result<(), JournalError> {
        self.connection
            .execute(
                "UPDATE requests SET accepted = ?, answer = ? WHERE id = ? AND accepted IS NULL",
                params![answer.accepted, answer.message, id],
            )
            .map_err(|source| damage_or("write", source))?;
        Ok(())
    }

    /// The answer to a request, if there is one yet.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn answered(&self, id: i64) -> Result<Option<Answer>, JournalError> {
        self.connection
            .query_row(
                "SELECT accepted, coalesce(answer, '') FROM requests WHERE id = ? AND accepted IS NOT NULL",
                [id],
                |row| Ok(Answer { accepted: row.get(0)?, message: row.get(1)? }),
            )
            .optional()
            .map_err(|source| damage_or("read", source))
    }
}

/// Rings: a doorbell may be missed, so nothing is reported.
fn ring(bell: &Path) {
    if private_dir(bell).is_ok() {
        let mut options = OpenOptions::new();
        let ring = options.write(true).create(true).truncate(true).mode(0o600);
        let _ = open_plain(&bell.join("ring"), ring);
    }
}
