//! Unreadable isn't empty: what stands where a journal should be, and its every byte after.

use std::os::unix::fs::symlink;
use std::path::Path;

use rusqlite::Connection;
use rusqlite_migration::{M, Migrations};

use super::super::open::migrate;
use super::*;

/// A home with a run's folder and a whole journal of 40 rows, folded back into one file.
fn kept() -> (tempfile::TempDir, Home) {
    let (dir, home) = home();
    let mut journal = Journal::open(&home).unwrap();
    for moment in 0..40 {
        journal.append("r", at(moment), vec![event(&"x".repeat(500))]).unwrap();
    }
    drop(journal);
    crate::home::private_dir(&home.run("r")).unwrap();
    (dir, home)
}

/// Of the journal and its log; a log without a byte is none.
fn bytes(home: &Home) -> [Vec<u8>; 2] {
    let log = super::super::file::log_of(&home.journal());
    [home.journal(), log].map(|path| std::fs::read(path).unwrap_or_default())
}

/// Both ways of opening, up to the rows.
fn read(home: &Home) -> [Result<usize, JournalError>; 2] {
    let rows = |journal: Journal| journal.read_run("r").map(|rows| rows.len());
    [Journal::open(home).and_then(rows), Journal::open_read(home).and_then(rows)]
}

/// Whatever `spoil` does to a journal that was kept is an error that says `why`, and nothing
/// is written.
#[track_caller]
fn check(spoil: impl FnOnce(&Path), why: &str) {
    let (_dir, home) = kept();
    spoil(&home.journal());
    let before = bytes(&home);
    for error in read(&home).map(Result::unwrap_err) {
        let text = error.to_string();
        assert!(text.contains(why), "{text}");
        assert!(error.is_damage() || matches!(error, JournalError::Io { .. }), "{error:?}");
    }
    assert!(bytes(&home) == before);
}

fn replace(path: &Path, with: &[u8]) {
    std::fs::write(path, with).unwrap();
}

#[test]
pub(super) fn j11_an_empty_file_beside_runs_is_no_new_journal() {
    check(|path| replace(path, b""), "it is empty, but the runs that it told of");
}

#[test]
pub(super) fn j11_an_empty_database_beside_runs_is_no_new_journal() {
    check(
        |path| {
            std::fs::remove_file(path).unwrap();
            Connection::open(path).unwrap().pragma_update(None, "journal_mode", "WAL").unwrap();
        },
        "it is empty, but the runs",
    );
}

#[test]
pub(super) fn j11_a_file_that_is_no_database_is_named() {
    check(|path| replace(path, b"x"), "journal.db` can't be read: file is not a database");
    check(|path| replace(path, &[b'x'; 8192]), "file is not a database");
}

#[test]
pub(super) fn j11_a_folder_a_pipe_and_links_to_nothing_are_no_new_journal() {
    let gone = |path: &Path| std::fs::remove_file(path).unwrap();
    check(
        |path| {
            gone(path);
            std::fs::create_dir(path).unwrap();
        },
        "journal.db` is a folder",
    );
    check(
        |path| {
            gone(path);
            nix::unistd::mkfifo(path, nix::sys::stat::Mode::S_IRWXU).unwrap();
            // A pipe would keep whoever reads it waiting: the test looks at no byte of it.
            let home = Home::at(path.parent().unwrap());
            assert!(
                read(&home).into_iter().all(|read| read.unwrap_err().to_string().contains("isn't a file"))
            );
            gone(path);
            symlink("nowhere", path).unwrap();
        },
        "journal.db` is a link to nothing",
    );
    check(
        |path| {
            gone(path);
            symlink("journal.db", path).unwrap();
        },
        "look at the journal",
    );
}

#[test]
pub(super) fn j11_a_journal_cut_off_anywhere_is_damaged() {
    let (_dir, home) = kept();
    let whole = std::fs::read(home.journal()).unwrap();
    for left in [100, 4000, 4096, 5000, whole.len() / 2, whole.len() / 2 + 4096, whole.len() - 1000] {
        std::fs::write(home.journal(), &whole[..left]).unwrap();
        let before = bytes(&home);
        for error in read(&home).map(Result::unwrap_err) {
            assert!(error.is_damage(), "{left} of {}: {error:?}", whole.len());
        }
        assert!(bytes(&home) == before, "{left} of {}", whole.len());
    }
}

#[test]
pub(super) fn j11_another_programs_database_is_refused() {
    check(
        |path| {
            std::fs::remove_file(path).unwrap();
            Connection::open(path).unwrap().execute_batch("CREATE TABLE bookmarks (url)").unwrap();
        },
        "is another program's database",
    );
    check(
        |path| {
            std::fs::remove_file(path).unwrap();
            let raw = Connection::open(path).unwrap();
            raw.execute_batch("CREATE TABLE bookmarks (url); PRAGMA user_version = 1").unwrap();
        },
        "isn't a journal: no such",
    );
    check(
        |path| Connection::open(path).unwrap().pragma_update(None, "application_id", 0x0f05_5112).unwrap(),
        "is another program's database (application 0xf055112)",
    );
}

#[test]
pub(super) fn j11_a_journal_from_before_it_said_what_it_is_still_opens() {
    let (_dir, home) = kept();
    let id = || {
        let raw = Connection::open(home.journal()).unwrap();
        raw.pragma_query_value(None, "application_id", |row| row.get::<_, i64>(0)).unwrap()
    };
    assert_eq!(id(), 0x696c_6368, "`file` shows `ilch`");
    Connection::open(home.journal()).unwrap().pragma_update(None, "application_id", 0).unwrap();
    assert!(read(&home).into_iter().all(|rows| rows.unwrap() == 40));
    assert_eq!(id(), 0, "and it is left as it is");
}

#[test]
pub(super) fn j11_a_newer_journal_is_read_and_not_even_its_log_is_folded_back() {
    let (_dir, home) = kept();
    let raw = Connection::open(home.journal()).unwrap();
    super::super::file::tidy_on_close(&raw, false).unwrap();
    raw.pragma_update(None, "user_version", schema::VERSION + 1).unwrap();
    drop(raw);
    let before = bytes(&home);
    assert!(!before[1].is_empty(), "there is something to fold back");
    assert!(
        matches!(Journal::open(&home), Err(JournalError::Newer { found }) if found == schema::VERSION + 1)
    );
    let journal = Journal::open_read(&home).unwrap();
    assert_eq!((journal.newer(), journal.read_run("r").unwrap().len()), (Some(schema::VERSION + 1), 40));
    drop(journal);
    assert!(bytes(&home) == before);
}

#[test]
pub(super) fn j11_a_journal_that_was_only_looked_at_keeps_the_log_that_a_crash_left() {
    let (_dir, home) = kept();
    let raw = Connection::open(home.journal()).unwrap();
    super::super::file::tidy_on_close(&raw, false).unwrap();
    raw.execute("UPDATE events SET data = replace(data, 'x', 'z') WHERE seq = 7", []).unwrap();
    drop(raw);
    let before = bytes(&home);
    assert!(
        read(&home).into_iter().all(|read| read.unwrap_err().to_string().contains("row 7 doesn't match"))
    );
    assert!(bytes(&home) == before);
}

/// The real first step and a second one.
fn two(second: &'static str) -> Migrations<'static> {
    Migrations::new(vec![M::up("SELECT 1"), M::up(second)])
}

fn shape(path: &Path) -> (u32, Vec<String>) {
    let raw = Connection::open(path).unwrap();
    let version = raw.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    let mut names = raw.prepare("SELECT name FROM sqlite_schema ORDER BY name").unwrap();
    let names = names.query_map([], |row| row.get(0)).unwrap();
    (version, names.map(Result::unwrap).collect())
}

#[test]
pub(super) fn a_migration_that_fails_halfway_leaves_the_old_schema_and_a_copy_beside_it() {
    let (_dir, home) = kept();
    let before = shape(&home.journal());
    let mut raw = Connection::open(home.journal()).unwrap();
    let broken = two("CREATE TABLE more (x); DELETE FROM events; INSERT INTO nowhere VALUES (1)");
    assert!(migrate(&mut raw, &home.journal(), (1, 2), &broken).is_err());
    drop(raw);
    assert_eq!(shape(&home.journal()), before);
    assert!(read(&home).into_iter().all(|rows| rows.unwrap() == 40));
    let copy = home.root().join("journal.v1.db");
    assert_eq!(shape(&copy), before);
    // Again, with the copy of the first try in the way.
    let mut raw = Connection::open(home.journal()).unwrap();
    migrate(&mut raw, &home.journal(), (1, 2), &two("CREATE TABLE more (x)")).unwrap();
    drop(raw);
    assert_eq!(shape(&home.journal()).0, 2);
    assert!(shape(&home.journal()).1.contains(&"more".to_owned()));
    assert_eq!(shape(&copy), before, "the copy is of what was there before");
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(std::fs::metadata(copy).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
pub(super) fn a_crash_at_any_statement_of_a_migration_leaves_the_old_schema() {
    let steps = ["CREATE TABLE more (x)", "DELETE FROM events", "DROP TABLE runs", "PRAGMA user_version = 2"];
    for cut in 0..=steps.len() {
        let (dir, home) = kept();
        let before = shape(&home.journal());
        let raw = Connection::open(home.journal()).unwrap();
        raw.execute_batch("PRAGMA cache_size = 1; BEGIN").unwrap();
        for step in &steps[..cut] {
            raw.execute_batch(step).unwrap();
        }
        // What a kill leaves: the files as they are now, with nobody to end the transaction.
        let after = Home::at(dir.path().join("after"));
        crate::home::private_dir(&after.run("r")).unwrap();
        for suffix in ["", "-wal"] {
            let name = format!("journal.db{suffix}");
            std::fs::copy(home.root().join(&name), after.root().join(&name)).unwrap();
        }
        assert_eq!(shape(&after.journal()), before, "cut after {cut}");
        assert!(read(&after).into_iter().all(|rows| rows.unwrap() == 40), "cut after {cut}");
    }
}
