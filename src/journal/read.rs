//! Reading a run back: every row proven to follow the one before it.
//!
//! Rows are borrowed from SQLite while they are proven and parsed, so a long run is never
//! in memory as a list. It leaves out writing, and what an event means.

use rusqlite::types::ValueRef;
use rusqlite::{OptionalExtension, params};

use super::record::{ROOT, Row};
use super::store::damage_or;
use super::{Journal, JournalError, Recorded};

/// How many rows are held in memory where a reader keeps writers waiting.
const AT_ONCE: usize = 256;

/// A place in a run's rows: the last sequence number that was read, and its row's digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// 0 before the first row.
    pub seq: u64,
    /// What the next row's digest covers.
    pub digest: [u8; 32],
}

impl Mark {
    /// Before a run's first row.
    pub const ROOT: Self = Self { seq: 0, digest: ROOT };
}

impl Journal {
    /// All events of one run, oldest first, each proven to follow the one before it.
    ///
    /// # Errors
    /// `Damaged`, naming the first row that doesn't fit.
    pub fn read_run(&self, run: &str) -> Result<Vec<Recorded>, JournalError> {
        self.read_after(run, 0, ROOT).map(|(recorded, _)| recorded)
    }

    /// The events of one run after `seq`, whose digest is given; and the last digest.
    ///
    /// # Errors
    /// `Damaged`, naming the first row that doesn't fit.
    pub fn read_after(
        &self,
        run: &str,
        seq: u64,
        digest: [u8; 32],
    ) -> Result<(Vec<Recorded>, [u8; 32]), JournalError> {
        let mut recorded = Vec::new();
        let last = self.walk(run, Mark { seq, digest }, |row| {
            recorded.push(row);
            Ok::<(), JournalError>(())
        })?;
        Ok((recorded, last.digest))
    }

    /// Hands over the events of one run after `from`, one by one; the place of the last.
    ///
    /// # Errors
    /// `Damaged`, naming the first row that doesn't fit; or what `take` says.
    pub fn walk<E: From<JournalError>>(
        &self,
        run: &str,
        from: Mark,
        mut take: impl FnMut(Recorded) -> Result<(), E>,
    ) -> Result<Mark, E> {
        self.rows(run, (from, i64::MAX), |row, previous| take(row.read(run, previous)?))
    }

    /// Proves the rows of one run up to `until` without reading what they say; the place of
    /// the last of them.
    ///
    /// # Errors
    /// `Damaged`, naming the first row that doesn't fit.
    pub fn prove(&self, run: &str, until: u64) -> Result<Mark, JournalError> {
        let until = i64::try_from(until).unwrap_or(i64::MAX);
        self.rows(run, (Mark::ROOT, until), |row, previous| row.prove(run, previous))
    }

    /// The root of one run, if the journal has it.
    ///
    /// # Errors
    /// `Damaged` when it isn't the row that was written.
    pub fn first(&self, run: &str) -> Result<Option<Recorded>, JournalError> {
        let mut first = None;
        let until = self.first_seq(run)?;
        self.rows(run, (Mark::ROOT, until), |row, previous| {
            first = Some(row.read(run, previous)?);
            Ok::<(), JournalError>(())
        })?;
        Ok(first)
    }

    /// Whether `mark` is the place of one of the run's rows.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn has(&self, run: &str, mark: Mark) -> Result<bool, JournalError> {
        let seq = i64::try_from(mark.seq).unwrap_or(i64::MAX);
        let found: Option<[u8; 32]> = self
            .connection
            .query_row("SELECT digest FROM events WHERE seq = ? AND run = ?", params![seq, run], |row| {
                row.get(0)
            })
            .optional()
            .map_err(|source| damage_or("read", source))?;
        Ok(found == Some(mark.digest))
    }

    /// Visits the rows after `from` and up to `until`, each with the digest before it.
    fn rows<E: From<JournalError>>(
        &self,
        run: &str,
        (from, until): (Mark, i64),
        mut visit: impl FnMut(&Row<'_>, &[u8; 32]) -> Result<(), E>,
    ) -> Result<Mark, E> {
        let fail = |source| damage_or("read", source);
        let mut select = self
            .connection
            .prepare_cached(
                "SELECT seq, moment, wall_ms, kind, data, digest FROM events \
                 WHERE run = ? AND seq > ? AND seq <= ? ORDER BY seq",
            )
            .map_err(fail)?;
        let mut after =
            self.first_seq(run)?.saturating_sub(1).max(i64::try_from(from.seq).unwrap_or(i64::MAX));
        let mut last = from;
        let mut take = |row: &Row<'_>| {
            row.check_root(run, last == Mark::ROOT)?;
            visit(row, &last.digest)?;
            last = Mark { seq: u64::try_from(row.seq).unwrap_or_default(), digest: row.digest };
            Ok::<(), E>(())
        };
        if self.has_log {
            let mut rows = select.query(params![run, after, until]).map_err(fail)?;
            while let Some(row) = rows.next().map_err(fail)? {
                take(&borrowed(row).map_err(fail)?)?;
            }
            return Ok(last);
        }
        // Nobody can write while a statement reads, and whoever visits may wait for a pager.
        loop {
            let mut rows = select.query(params![run, after, until]).map_err(fail)?;
            let mut some = Vec::new();
            while let (true, Some(row)) = (some.len() < AT_ONCE, rows.next().map_err(fail)?) {
                some.push(borrowed(row).map_err(fail)?.into_owned());
            }
            drop(rows);
            let Some(end) = some.last() else { return Ok(last) };
            after = end.seq;
            some.iter().try_for_each(&mut take)?;
        }
    }

    /// Where a run's rows begin; 0 for one that the list of runs doesn't have.
    fn first_seq(&self, run: &str) -> Result<i64, JournalError> {
        let found = self
            .connection
            .query_row("SELECT first_seq FROM runs WHERE id = ?", [run], |row| row.get(0))
            .optional()
            .map_err(|source| damage_or("read", source))?;
        Ok(found.unwrap_or(0))
    }
}

fn borrowed<'r>(row: &'r rusqlite::Row<'_>) -> rusqlite::Result<Row<'r>> {
    let text = |column: usize| -> rusqlite::Result<&'r str> {
        let value: ValueRef<'r> = row.get_ref(column)?;
        Ok(value.as_str()?)
    };
    Ok(Row {
        seq: row.get(0)?,
        moment: row.get(1)?,
        wall_ms: row.get(2)?,
        kind: text(3)?.into(),
        data: text(4)?.into(),
        digest: row.get(5)?,
    })
}
