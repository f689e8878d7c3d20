//! Opening the journal. Unreadable isn't empty (law J11): what is there is looked at through
//! a handle that can't change a byte, and only a journal of ours is then written.
//!
//! It leaves out rows, and whether they are whole: that is found when they are read.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use rusqlite_migration::Migrations;

use super::file::{OnDisk, log_of, tidy_on_close};
use super::schema::{self, migrations};
use super::store::damage_or;
use super::{Journal, JournalError};
use crate::home::{Home, private_dir};

/// How long a writer waits for another (a short command) before it gives up.
pub(super) const BUSY: Duration = Duration::from_secs(10);
/// What a journal's header says it is, as `file` shows it. Those made before it was set say 0.
const APPLICATION: i64 = 0x696c_6368;

/// The least that a database has.
const HEADER: u64 = 512;

/// What stands where the journal should be.
enum Standing {
    Nothing,
    /// A file without a byte, and nothing beside it: an earlier start was cut off.
    Empty,
    File,
}

impl Journal {
    /// Opens the journal for writing, making or migrating it where needed.
    ///
    /// # Errors
    /// `Lost` when it is missing beside runs, `Damaged`, `Newer`, or what the system says.
    pub fn open(home: &Home) -> Result<Self, JournalError> {
        let path = home.journal();
        let standing = standing(home)?;
        private_dir(home.root()).map_err(|source| io("make the folder", home.root(), source))?;
        let found = match standing {
            Standing::Nothing => {
                // Made by us, so that it is never readable by others, not even for a moment.
                let made = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&path);
                made.map_err(|source| io("make the journal", &path, source))?;
                0
            }
            Standing::Empty => 0,
            Standing::File => inspect(home, &path)?,
        };
        if found > schema::VERSION {
            return Err(JournalError::Newer { found });
        }
        let mut connection = connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        tidy_on_close(&connection, found == 0)?;
        set_up(&connection, home, found == 0)?;
        migrate(&mut connection, &path, (found, schema::VERSION), &migrations())?;
        Self::over(connection, home, None)
    }

    /// Opens the journal for reading only. A later ilchul's is read as far as it can be
    /// ([`Journal::newer`]).
    ///
    /// # Errors
    /// `Missing` where there is none, `Lost` where there was one, or `Damaged`.
    pub fn open_read(home: &Home) -> Result<Self, JournalError> {
        let path = home.journal();
        match standing(home)? {
            Standing::Nothing | Standing::Empty => return Err(JournalError::Missing { path }),
            Standing::File => {}
        }
        let (connection, found) = reader(home, &path)?;
        if found == 0 {
            return Err(JournalError::Missing { path });
        }
        Self::over(connection, home, (found > schema::VERSION).then_some(found))
    }

    fn over(connection: Connection, home: &Home, newer: Option<u32>) -> Result<Self, JournalError> {
        let has_log = has_log(&connection)?;
        let on_disk = OnDisk::now(home.journal())?;
        connection.set_prepared_statement_cache_capacity(16);
        let last_seq: i64 = connection
            .query_row("SELECT coalesce(max(seq), 0) FROM events", [], |row| row.get(0))
            .map_err(|source| damage_or("read", source))?;
        let last_seq = u64::try_from(last_seq).unwrap_or_default();
        Ok(Self { connection, on_disk, last_seq, digests: BTreeMap::new(), newer, has_log })
    }
}

/// Only a name that leads nowhere at all, with nothing beside it, is an empty past.
fn standing(home: &Home) -> Result<Standing, JournalError> {
    let path = home.journal();
    match std::fs::symlink_metadata(&path) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return if has_past(home)? { Err(lost(home, "is missing")) } else { Ok(Standing::Nothing) };
        }
        Err(source) => return Err(io("look at the journal", &path, source)),
    }
    let metadata = match std::fs::metadata(&path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(damaged(&path, "is a link to nothing"));
        }
        Err(source) => return Err(io("look at the journal", &path, source)),
    };
    if !metadata.is_file() {
        // A pipe would hang whoever opens it.
        let what = if metadata.is_dir() { "is a folder" } else { "isn't a file" };
        return Err(damaged(&path, what));
    }
    match (metadata.len(), has_past(home)?) {
        (0, true) => Err(lost(home, "is empty")),
        (0, false) => Ok(Standing::Empty),
        // SQLite takes a file without a whole header for an empty one.
        (1..HEADER, _) => Err(damaged(&path, "can't be read: file is not a database")),
        _ => Ok(Standing::File),
    }
}

/// Whether something beside the journal says that there has been one. Commits under
/// `refs/ilchul/` don't: a repository may have several homes.
fn has_past(home: &Home) -> Result<bool, JournalError> {
    for path in [home.root().join("runs"), home.root().join("blobs"), log_of(&home.journal())] {
        match std::fs::symlink_metadata(&path) {
            // A reader leaves a log without a byte.
            Ok(metadata) if metadata.is_file() && metadata.len() == 0 => {}
            Ok(_) => return Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(source) => return Err(io("look at", &path, source)),
        }
    }
    Ok(false)
}

/// The schema of a journal of ours; 0 where nothing was made in it yet.
fn inspect(home: &Home, path: &Path) -> Result<u32, JournalError> {
    reader(home, path).map(|(_, found)| found)
}

/// A handle that reads a journal of ours, and its schema; 0 where nothing was made in it yet.
///
/// Where a rollback journal is kept, that of a crash must be rolled back before anything is
/// read, now or while this reader goes on: a handle that can't write never could. So it may,
/// and no statement of its own does.
fn reader(home: &Home, path: &Path) -> Result<(Connection, u32), JournalError> {
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    match judge(&connection, home) {
        Ok(found) if has_log(&connection)? => return Ok((connection, found)),
        Ok(_) => {}
        Err(JournalError::Store { source, .. })
            if source.sqlite_error_code() == Some(rusqlite::ErrorCode::ReadOnly) => {}
        Err(error) => return Err(error),
    }
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    tidy_on_close(&connection, false)?;
    connection.pragma_update(None, "query_only", true).map_err(|source| damage_or("open", source))?;
    let found = judge(&connection, home)?;
    Ok((connection, found))
}

/// Whether it is kept with a write-ahead log.
fn has_log(connection: &Connection) -> Result<bool, JournalError> {
    let mode: String = connection
        .pragma_query_value(None, "journal_mode", |row| row.get(0))
        .map_err(|source| damage_or("open", source))?;
    Ok(mode.eq_ignore_ascii_case("wal"))
}

fn judge(connection: &Connection, home: &Home) -> Result<u32, JournalError> {
    let path = &home.journal();
    let named = |source| match damage_or("open", source) {
        JournalError::Damaged { what } => damaged(path, &format!("can't be read: {what}")),
        other => other,
    };
    let pragma = |name: &str| connection.pragma_query_value(None, name, |row| row.get(0)).map_err(named);
    let (found, application): (i64, i64) = (pragma("user_version")?, pragma("application_id")?);
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(named)?;
    if ![0, APPLICATION].contains(&application) {
        return Err(damaged(path, &format!("is another program's database (application {application:#x})")));
    }
    match (u32::try_from(found), tables) {
        (Err(_), _) => Err(damaged(path, &format!("has a schema that nobody writes ({found})"))),
        (Ok(0), 0) if has_past(home)? && !is_being_made(home)? => Err(lost(home, "is empty")),
        (Ok(0), 0) => Ok(0),
        (Ok(0), _) => Err(damaged(path, "is another program's database")),
        (Ok(found), _) => {
            let ours = "SELECT seq, run, moment, wall_ms, kind, data, digest FROM events, \
                        (SELECT id, path, first_seq FROM runs LIMIT 0) LIMIT 0";
            match connection.prepare(ours) {
                Ok(_) => Ok(found),
                Err(_) if found > schema::VERSION => Err(JournalError::Newer { found }),
                Err(error) => Err(damaged(path, &format!("isn't a journal: {error}"))),
            }
        }
    }
}

/// A log beside a journal without tables is what a first start leaves that was cut off.
fn is_being_made(home: &Home) -> Result<bool, JournalError> {
    let runs = home.root().join("runs");
    runs.try_exists().map(|there| !there).map_err(|source| io("look at", &runs, source))
}

/// Leads the schema from `found` to `wanted`, a transaction for each step, so that a crash
/// leaves one schema or the other. What is there is copied first, beside it.
pub(super) fn migrate(
    connection: &mut Connection,
    path: &Path,
    (found, wanted): (u32, u32),
    list: &Migrations<'_>,
) -> Result<(), JournalError> {
    if found == wanted {
        return Ok(());
    }
    if found > 0 {
        keep_copy(connection, path, found)?;
    }
    list.to_latest(connection).map_err(|error| match error {
        rusqlite_migration::Error::RusqliteError { err, .. } => damage_or("migrate", err),
        other => damaged(path, &format!("can't be migrated: {other}")),
    })
}

/// A whole copy of the journal as `journal.v<schema>.db` beside it. One that a migration
/// which failed left there holds no more than this one.
fn keep_copy(connection: &Connection, path: &Path, found: u32) -> Result<(), JournalError> {
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    let copy = folder.join(format!("journal.v{found}.db"));
    let fail = |source| io("copy the journal to", &copy, source);
    let file = tempfile::NamedTempFile::new_in(folder).map_err(fail)?;
    let name = file.path().to_string_lossy();
    connection.execute("VACUUM INTO ?", [&name]).map_err(|source| damage_or("copy", source))?;
    file.as_file().sync_all().map_err(fail)?;
    file.persist(&copy).map_err(|error| fail(error.error))?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(fail)
}

fn connect(path: &Path, flags: OpenFlags) -> Result<Connection, JournalError> {
    let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(|source| damage_or("open", source))?;
    connection.busy_timeout(BUSY).map_err(|source| damage_or("open", source))?;
    Ok(connection)
}

fn set_up(connection: &Connection, home: &Home, made: bool) -> Result<(), JournalError> {
    let fail = |source| damage_or("open", source);
    if made {
        connection.pragma_update(None, "application_id", APPLICATION).map_err(fail)?;
    }
    let shared =
        home.disk().map_err(|source| io("look at the file system of", home.root(), source))?.may_be_shared();
    keep_in(connection, if shared { "TRUNCATE" } else { "WAL" }).map_err(fail)?;
    connection.pragma_update(None, "synchronous", "FULL").map_err(fail)?;
    connection.pragma_update(None, "wal_autocheckpoint", 4000).map_err(fail)?;
    // A log that a long reader made grow is cut back once that reader has gone.
    let _limit: i64 = connection
        .pragma_update_and_check(None, "journal_size_limit", 16 * 1024 * 1024, |row| row.get(0))
        .map_err(fail)?;
    Ok(())
}

/// How rows are kept. A write-ahead log has an index in memory that all its processes share, and
/// SQLite doesn't notice that another host can't: `status` on a second login node would read, or
/// fold back, what isn't there. A rollback journal needs locks and synced files alone, both of
/// which such file systems have; and cut to nothing it needs no folder synced, as a file that is
/// removed does.
///
/// One is made into the other only by who has it alone: SQLite asks for the lock that no reader
/// or writer, on any host, leaves to it. Until it gets that, it stays what it is.
fn keep_in(connection: &Connection, mode: &str) -> rusqlite::Result<()> {
    use rusqlite::ErrorCode::{DatabaseBusy, DatabaseLocked};
    connection.busy_timeout(Duration::ZERO)?;
    let changed = connection.pragma_update_and_check(None, "journal_mode", mode, |_| Ok(()));
    connection.busy_timeout(BUSY)?;
    match changed {
        Err(error) if matches!(error.sqlite_error_code(), Some(DatabaseBusy | DatabaseLocked)) => Ok(()),
        changed => changed,
    }
}

fn lost(home: &Home, what: &'static str) -> JournalError {
    JournalError::Lost { path: home.journal(), what }
}

fn damaged(path: &Path, what: &str) -> JournalError {
    JournalError::Damaged { what: format!("`{}` {what}", path.display()) }
}

fn io(action: &'static str, path: &Path, source: std::io::Error) -> JournalError {
    JournalError::Io { action, path: path.to_owned(), source }
}
