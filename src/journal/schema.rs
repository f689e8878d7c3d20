//! The journal's schema: a list of migrations. Append, never edit.
//!
//! Events have no index by run: it would cost every commit a page more, and the rows
//! of a run are looked for from its first row on, which for the latest is all there are.
//! It leaves out what rows mean; see `record.rs`.

use rusqlite_migration::{M, Migrations};

/// The schema that this ilchul writes.
pub const VERSION: u32 = 1;

/// From an empty file to [`VERSION`].
pub(super) fn migrations() -> Migrations<'static> {
    Migrations::new(vec![M::up(
        "CREATE TABLE events (
            seq       INTEGER PRIMARY KEY,
            run       TEXT NOT NULL,
            moment    INTEGER NOT NULL,
            wall_ms   INTEGER NOT NULL,
            kind      TEXT NOT NULL,
            data      TEXT NOT NULL,
            digest    BLOB NOT NULL CHECK (length(digest) = 32)
        ) STRICT;
        CREATE TABLE runs (
            id         TEXT PRIMARY KEY,
            path       TEXT NOT NULL,
            first_seq  INTEGER NOT NULL
        ) STRICT;
        CREATE TABLE requests (
            id        INTEGER PRIMARY KEY AUTOINCREMENT,
            run       TEXT NOT NULL,
            body      TEXT NOT NULL CHECK (json_valid(body)),
            asked_ms  INTEGER NOT NULL,
            accepted  INTEGER,
            answer    TEXT
        ) STRICT;
        CREATE INDEX requests_open ON requests (id) WHERE accepted IS NULL;",
    )])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_migrations_lead_from_nothing_to_the_version_that_is_written() {
        migrations().validate().unwrap();
        let mut connection = rusqlite::Connection::open_in_memory().unwrap();
        migrations().to_latest(&mut connection).unwrap();
        let version: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
        assert_eq!(version, VERSION);
    }
}
