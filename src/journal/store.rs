//! The database: appended to in one transaction per batch, and read row by row.
//!
//! It leaves out how it is opened (`open.rs`).

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use super::file::OnDisk;
use super::record::{ROOT, Row};
use super::{JournalError, Mark, Recorded};
use crate::engine::event::{Event, RunEvent};
use crate::engine::moment::Stamp;
use crate::home::Home;

/// An open journal, for one thread.
#[derive(Debug)]
pub struct Journal {
    pub(super) connection: Connection,
    pub(super) on_disk: OnDisk,
    pub(super) last_seq: u64,
    pub(super) digests: BTreeMap<String, [u8; 32]>,
    /// Its schema, where that is one of a later ilchul; such a journal is never written.
    pub(super) newer: Option<u32>,
    /// Whether readers and writers go on beside each other.
    pub(super) has_log: bool,
}

/// One run, as the journal lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunRow {
    /// Its id.
    pub id: String,
    /// The workflow file's path in the repository.
    pub path: String,
}

impl Journal {
    /// The highest sequence number, 0 when empty.
    #[must_use]
    pub fn last_seq(&self) -> u64 {
        self.last_seq
    }

    /// The place of a run's last row, where it was written by this very object just now.
    #[must_use]
    pub fn mark(&self, run: &str) -> Option<Mark> {
        self.digests.get(run).map(|digest| Mark { seq: self.last_seq, digest: *digest })
    }

    /// [`Journal::append_batch`] for events of one moment.
    ///
    /// # Errors
    /// As there.
    pub fn append(
        &mut self,
        run: &str,
        at: Stamp,
        events: Vec<Event>,
    ) -> Result<Vec<Recorded>, JournalError> {
        self.append_batch(run, &mut events.into_iter().map(|event| (at, event)).collect())
    }

    /// Appends a batch of one run's events in one transaction, and returns what was recorded
    /// once it is on the disk. Only then are they taken out of `events`: what couldn't be
    /// recorded is still the caller's to keep.
    ///
    /// # Errors
    /// `Replaced` when the file isn't ours any more; `Busy` when another process kept it from
    /// being written; `Indeterminate` when the commit failed: then this journal must be
    /// dropped, opened and read again ([`Journal::holds`]).
    pub fn append_batch(
        &mut self,
        run: &str,
        events: &mut Vec<(Stamp, Event)>,
    ) -> Result<Vec<Recorded>, JournalError> {
        self.on_disk.check()?;
        let mut digest = self.last_digest(run)?;
        let mut seq = self.last_seq;
        let on_disk = &self.on_disk;
        let failed = |source| on_disk.write_failed(source);
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        {
            let mut insert = transaction
                .prepare_cached(
                    "INSERT INTO events (seq, run, moment, wall_ms, kind, data, digest) VALUES (?,?,?,?,?,?,?)",
                )
                .map_err(failed)?;
            for (at, event) in events.iter() {
                seq += 1;
                let row = Row::new(run, seq, *at, event, &digest)?;
                insert
                    .execute(params![row.seq, run, row.moment, row.wall_ms, row.kind, row.data, row.digest])
                    .map_err(failed)?;
                if let Event::Run(RunEvent::Started(started)) = event {
                    transaction
                        .execute(
                            "INSERT INTO runs (id, path, first_seq) VALUES (?, ?, ?)",
                            params![run, started.path, row.seq],
                        )
                        .map_err(failed)?;
                }
                digest = row.digest;
            }
        }
        transaction.commit().map_err(failed)?;
        // Once more: what went into a file that was taken away meanwhile is recorded nowhere.
        self.on_disk.check()?;
        self.on_disk.check_log()?;
        self.on_disk.written(&self.connection)?;
        let first = self.last_seq + 1;
        self.last_seq = seq;
        self.digests.insert(run.to_owned(), digest);
        let numbered = (first..).zip(events.drain(..));
        Ok(numbered.map(|(seq, (at, event))| Recorded { seq, at, event }).collect())
    }

    /// Whether a batch whose commit failed is on the disk all the same, after the row `after`:
    /// by a handle of its own, because the one that failed can't know (law J11a).
    ///
    /// # Errors
    /// When the journal can't be read: then nobody knows.
    pub fn holds(
        home: &Home,
        run: &str,
        after: u64,
        events: &[(Stamp, Event)],
    ) -> Result<bool, JournalError> {
        let recorded = Self::open_read(home)?.read_run(run)?;
        let rows = recorded.iter().filter(|row| row.seq > after).map(|row| (row.at, &row.event));
        Ok(rows.eq(events.iter().map(|(at, event)| (*at, event))))
    }

    /// The size of the write-ahead log, where it has doubled beyond what is usual since this
    /// was last asked: somebody reads without an end, so that it can't be folded back.
    pub fn grown_log(&mut self) -> Option<u64> {
        self.on_disk.grown_log()
    }

    /// Its schema, where a later ilchul wrote it.
    #[must_use]
    pub fn newer(&self) -> Option<u32> {
        self.newer
    }

    fn last_digest(&mut self, run: &str) -> Result<[u8; 32], JournalError> {
        if let Some(digest) = self.digests.get(run) {
            return Ok(*digest);
        }
        let found: Option<[u8; 32]> = self
            .connection
            .query_row("SELECT digest FROM events WHERE run = ? ORDER BY seq DESC LIMIT 1", [run], |row| {
                row.get(0)
            })
            .optional()
            .map_err(|source| damage_or("read", source))?;
        Ok(found.unwrap_or(ROOT))
    }

    /// All runs, oldest first.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn runs(&self) -> Result<Vec<RunRow>, JournalError> {
        let fail = |source| damage_or("read", source);
        let mut select =
            self.connection.prepare_cached("SELECT id, path FROM runs ORDER BY first_seq").map_err(fail)?;
        let rows =
            select.query_map([], |row| Ok(RunRow { id: row.get(0)?, path: row.get(1)? })).map_err(fail)?;
        rows.collect::<Result<_, _>>().map_err(fail)
    }
}

pub(super) fn damage_or(action: &'static str, source: rusqlite::Error) -> JournalError {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
    let damaged = matches!(source.sqlite_error_code(), Some(DatabaseCorrupt | NotADatabase))
        || source.to_string().contains("no such table");
    if damaged {
        JournalError::Damaged { what: source.to_string() }
    } else {
        JournalError::Store { action, source }
    }
}
