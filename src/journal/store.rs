//! The database: opened with care, appended to in one transaction per batch.

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension, TransactionBehavior, params};

use super::record::{ROOT, Row};
use super::schema::{self, migrations};
use super::{JournalError, Recorded};
use crate::engine::event::{Event, RunEvent};
use crate::engine::moment::Stamp;
use crate::home::{Home, private_dir};

/// How long a writer waits for another (a short command) before it gives up.
const BUSY: Duration = Duration::from_secs(10);

/// An open journal, for one thread.
#[derive(Debug)]
pub struct Journal {
    pub(super) connection: Connection,
    path: PathBuf,
    identity: (u64, u64),
    last_seq: u64,
    digests: BTreeMap<String, [u8; 32]>,
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
    /// Opens the journal for writing, making or migrating it where needed.
    ///
    /// # Errors
    /// `Lost` when it is missing beside runs, `Damaged`, `Newer`, or what the system says.
    pub fn open(home: &Home) -> Result<Self, JournalError> {
        let path = home.journal();
        private_dir(home.root()).map_err(|source| io("make the folder", home.root(), source))?;
        if !path.exists() && home.root().join("runs").exists() {
            return Err(JournalError::Lost { path });
        }
        // Made by us, so that it is never readable by others, not even for a moment.
        std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(&path)
            .map_err(|source| io("make the journal", &path, source))?;
        let mut connection = connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        let found = version(&connection)?;
        if found > schema::VERSION {
            return Err(JournalError::Newer { found });
        }
        set_up(&connection)?;
        migrations()
            .to_latest(&mut connection)
            .map_err(|error| JournalError::Damaged { what: format!("migrating the schema: {error}") })?;
        Self::over(connection, path)
    }

    /// Opens the journal for reading only.
    ///
    /// # Errors
    /// `Missing` where there is none, `Lost` where there was one, or `Damaged`.
    pub fn open_read(home: &Home) -> Result<Self, JournalError> {
        let path = home.journal();
        if !path.exists() {
            let lost = home.root().join("runs").exists();
            return Err(if lost { JournalError::Lost { path } } else { JournalError::Missing { path } });
        }
        let connection = connect(&path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        version(&connection)?;
        Self::over(connection, path)
    }

    fn over(connection: Connection, path: PathBuf) -> Result<Self, JournalError> {
        let identity = identity(&path)?;
        connection.set_prepared_statement_cache_capacity(16);
        let last_seq: i64 = connection
            .query_row("SELECT coalesce(max(seq), 0) FROM events", [], |row| row.get(0))
            .map_err(|source| damage_or("read", source))?;
        let last_seq = u64::try_from(last_seq).unwrap_or_default();
        Ok(Self { connection, path, identity, last_seq, digests: BTreeMap::new() })
    }

    /// The highest sequence number, 0 when empty.
    #[must_use]
    pub fn last_seq(&self) -> u64 {
        self.last_seq
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
        self.append_batch(run, events.into_iter().map(|event| (at, event)).collect())
    }

    /// Appends a batch of one run's events in one transaction, and returns what was recorded
    /// once it is on the disk.
    ///
    /// # Errors
    /// `Replaced` when the file isn't ours any more; `Indeterminate` when the commit failed:
    /// then this journal must be dropped, opened and read again.
    pub fn append_batch(
        &mut self,
        run: &str,
        events: Vec<(Stamp, Event)>,
    ) -> Result<Vec<Recorded>, JournalError> {
        if identity(&self.path)? != self.identity {
            return Err(JournalError::Replaced { path: self.path.clone() });
        }
        let mut digest = self.last_digest(run)?;
        let mut recorded = Vec::with_capacity(events.len());
        let mut seq = self.last_seq;
        let failed = |source| JournalError::Indeterminate { source };
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        {
            let mut insert = transaction
                .prepare_cached(
                    "INSERT INTO events (seq, run, moment, wall_ms, kind, data, digest) VALUES (?,?,?,?,?,?,?)",
                )
                .map_err(failed)?;
            for (at, event) in events {
                seq += 1;
                let row = Row::new(run, seq, at, &event, &digest)?;
                insert
                    .execute(params![row.seq, run, row.moment, row.wall_ms, row.kind, row.data, row.digest])
                    .map_err(failed)?;
                if let Event::Run(RunEvent::Started(started)) = &event {
                    transaction
                        .execute(
                            "INSERT INTO runs (id, path, first_seq) VALUES (?, ?, ?)",
                            params![run, started.path, row.seq],
                        )
                        .map_err(failed)?;
                }
                digest = row.digest;
                recorded.push(Recorded { seq, at, event });
            }
        }
        transaction.commit().map_err(failed)?;
        self.last_seq = seq;
        self.digests.insert(run.to_owned(), digest);
        Ok(recorded)
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
        let fail = |source| damage_or("read", source);
        let mut select = self
            .connection
            .prepare_cached(
                "SELECT seq, moment, wall_ms, kind, data, digest FROM events WHERE run = ? AND seq > ? ORDER BY seq",
            )
            .map_err(fail)?;
        let after = self.first_seq(run)?.saturating_sub(1).max(i64::try_from(seq).unwrap_or(i64::MAX));
        let mut rows = select.query(params![run, after]).map_err(fail)?;
        let mut recorded = Vec::new();
        let mut last = digest;
        while let Some(row) = rows.next().map_err(fail)? {
            let row = Row {
                seq: row.get(0).map_err(fail)?,
                moment: row.get(1).map_err(fail)?,
                wall_ms: row.get(2).map_err(fail)?,
                kind: row.get(3).map_err(fail)?,
                data: row.get(4).map_err(fail)?,
                digest: row.get(5).map_err(fail)?,
            };
            let previous = std::mem::replace(&mut last, row.digest);
            recorded.push(row.read(run, &previous)?);
        }
        Ok((recorded, last))
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

fn connect(path: &Path, flags: OpenFlags) -> Result<Connection, JournalError> {
    let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(|source| damage_or("open", source))?;
    connection.busy_timeout(BUSY).map_err(|source| damage_or("open", source))?;
    Ok(connection)
}

fn version(connection: &Connection) -> Result<u32, JournalError> {
    connection
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .map_err(|source| damage_or("open", source))
}

fn set_up(connection: &Connection) -> Result<(), JournalError> {
    let fail = |source| damage_or("open", source);
    // WAL needs shared memory between processes: where it can't be had (a network file
    // system) SQLite answers with another mode, and every commit is still synced.
    let _mode: String =
        connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0)).map_err(fail)?;
    connection.pragma_update(None, "synchronous", "FULL").map_err(fail)?;
    connection.pragma_update(None, "wal_autocheckpoint", 4000).map_err(fail)
}

fn identity(path: &Path) -> Result<(u64, u64), JournalError> {
    match std::fs::metadata(path) {
        Ok(metadata) => Ok((metadata.dev(), metadata.ino())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(JournalError::Replaced { path: path.to_owned() })
        }
        Err(source) => Err(io("look at the journal", path, source)),
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

fn io(action: &'static str, path: &Path, source: std::io::Error) -> JournalError {
    JournalError::Io { action, path: path.to_owned(), source }
}
