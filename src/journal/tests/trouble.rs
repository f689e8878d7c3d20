//! Commits that fail, writers and readers that stay, files taken away under us.

use std::time::Duration;

use rusqlite::Connection;

use super::*;

fn batch(details: &[&str]) -> Vec<(Stamp, Event)> {
    (1..).zip(details).map(|(moment, detail)| (at(moment), event(detail))).collect()
}

/// A batch that can't be written once `trouble` has been made is still the caller's, isn't
/// there when it is read again, and is recorded without a gap once the trouble is over.
#[track_caller]
fn fails(make: &str, expected: Trouble) {
    let (_dir, home) = home();
    let mut journal = Journal::open(&home).unwrap();
    let first = journal.append("r", at(0), vec![event("before")]).unwrap();
    journal.connection.execute_batch(make).unwrap();
    let large = "x".repeat(100_000);
    let mut events = batch(&["a", &large]);
    let whole = events.clone();
    let error = journal.append_batch("r", &mut events).unwrap_err();
    assert!(
        matches!(&error, JournalError::Indeterminate { path, .. } if *path == home.journal()),
        "{error:?}"
    );
    assert_eq!(error.trouble(), expected, "{error}");
    assert_eq!(events, whole);
    drop(journal);
    assert!(!Journal::holds(&home, "r", 1, &events).unwrap());
    let mut journal = Journal::open(&home).unwrap();
    let second = journal.append_batch("r", &mut events).unwrap();
    assert_eq!(second.iter().map(|row| row.seq).collect::<Vec<_>>(), [2, 3]);
    assert!(events.is_empty());
    assert!(Journal::holds(&home, "r", 1, &whole).unwrap());
    assert!(!Journal::holds(&home, "r", 1, &whole[..1]).unwrap(), "half a batch is no batch");
    assert_eq!(journal.read_run("r").unwrap(), [first, second].concat());
}

#[test]
pub(super) fn j11a_a_full_disk_is_named_and_the_batch_is_looked_for_by_a_new_handle() {
    fails("PRAGMA max_page_count = 1", Trouble::DiskFull);
}

#[test]
pub(super) fn j11a_a_disk_that_may_not_be_written_is_named() {
    fails("PRAGMA query_only = 1", Trouble::ReadOnly);
}

#[test]
pub(super) fn a_writer_that_stays_is_an_error_that_names_the_file_and_loses_nothing() {
    let (_dir, home) = home();
    let mut journal = Journal::open(&home).unwrap();
    journal.connection.busy_timeout(Duration::from_millis(20)).unwrap();
    let other = Connection::open(home.journal()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut events = batch(&["a"]);
    let error = journal.append_batch("r", &mut events).unwrap_err();
    assert!(matches!(error, JournalError::Busy { .. }), "{error:?}");
    assert!(error.to_string().contains("journal.db`: another process has held it"), "{error}");
    assert_eq!(events.len(), 1);
    other.execute_batch("COMMIT").unwrap();
    assert_eq!(journal.append_batch("r", &mut events).unwrap().len(), 1);
}

#[test]
pub(super) fn a_writer_that_goes_is_waited_for() {
    let (_dir, home) = home();
    let mut journal = Journal::open(&home).unwrap();
    let other = Connection::open(home.journal()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    std::thread::scope(|scope| {
        let appended = scope.spawn(|| journal.append_batch("r", &mut batch(&["a"])));
        // Long enough for the append to find the lock held; it is right whenever this ends.
        std::thread::sleep(Duration::from_millis(100));
        other.execute_batch("COMMIT").unwrap();
        assert_eq!(appended.join().unwrap().unwrap().len(), 1);
    });
}

#[test]
pub(super) fn j9_rows_that_somebody_else_wrote_meanwhile_are_named() {
    let (_dir, home) = home();
    let mut journal = Journal::open(&home).unwrap();
    let mut other = Journal::open(&home).unwrap();
    other.append("r", at(1), vec![event("theirs")]).unwrap();
    let mut events = batch(&["ours"]);
    let error = journal.append_batch("r", &mut events).unwrap_err();
    assert!(error.is_damage() && error.to_string().contains("somebody else wrote"), "{error}");
    assert_eq!((events.len(), other.read_run("r").unwrap().len()), (1, 1));
}

#[test]
pub(super) fn j11c_a_log_taken_away_under_us_stops_the_writer_and_what_it_wrote_is_looked_for() {
    let (_dir, home) = home();
    let mut journal = Journal::open(&home).unwrap();
    journal.append("r", at(0), vec![event("before")]).unwrap();
    std::fs::remove_file(home.root().join("journal.db-wal")).unwrap();
    let mut events = batch(&["a"]);
    let error = journal.append_batch("r", &mut events).unwrap_err();
    assert!(matches!(&error, JournalError::Replaced { path } if path.ends_with("journal.db-wal")), "{error}");
    assert_eq!(events.len(), 1, "it is the caller's to look for and to keep");
    drop(journal);
    // The log was still open, and is folded back when it is closed.
    assert!(Journal::holds(&home, "r", 1, &events).unwrap());
}

#[test]
pub(super) fn a_reader_that_stays_makes_the_log_grow_which_is_told_and_mended_once_it_goes() {
    let (_dir, home) = home();
    let mut journal = Journal::open(&home).unwrap();
    journal.append("r", at(0), vec![event("a")]).unwrap();
    let reader = Connection::open(home.journal()).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM events").unwrap();
    journal.connection.pragma_update(None, "wal_autocheckpoint", 10).unwrap();
    journal.on_disk.log_limit = 200_000;
    let large = "x".repeat(20_000);
    let mut told = Vec::new();
    for moment in 1..40 {
        journal.append("r", at(moment), vec![event(&large)]).unwrap();
        told.extend(journal.grown_log());
    }
    assert!(told.len() >= 2 && told[0] >= 200_000 && told[1] >= 2 * told[0], "{told:?}");
    reader.execute_batch("COMMIT").unwrap();
    journal.append("r", at(40), vec![event("b")]).unwrap();
    journal.append("r", at(41), vec![event("c")]).unwrap();
    drop(reader);
    drop(journal);
    assert!(!home.root().join("journal.db-wal").exists());
    assert_eq!(Journal::open_read(&home).unwrap().read_run("r").unwrap().len(), 42);
}

#[test]
pub(super) fn where_no_write_ahead_log_can_be_had_every_commit_is_still_synced() {
    let (_dir, home) = home();
    let mut journal = Journal::open(&home).unwrap();
    // What SQLite answers by itself on a network file system.
    let mode: String =
        journal.connection.pragma_update_and_check(None, "journal_mode", "DELETE", |row| row.get(0)).unwrap();
    assert_eq!(mode, "delete");
    let synchronous: u32 =
        journal.connection.pragma_query_value(None, "synchronous", |row| row.get(0)).unwrap();
    assert_eq!(synchronous, 2, "FULL");
    journal.append("r", at(0), vec![event("a")]).unwrap();
    journal.append("r", at(1), vec![event("b")]).unwrap();
    assert_eq!(Journal::open_read(&home).unwrap().read_run("r").unwrap().len(), 2);
}

#[test]
pub(super) fn j2_a_second_root_of_a_run_is_named() {
    let (_dir, home) = home();
    let mut journal = Journal::open(&home).unwrap();
    journal.append("r", at(0), vec![root()]).unwrap();
    let error = journal.append("r", at(1), vec![root()]).unwrap_err();
    assert!(error.is_damage(), "it can't be written: {error}");
    // By a hand that knows the tables and the chain, it can.
    journal.connection.execute("DELETE FROM runs", []).unwrap();
    journal.append("r", at(1), vec![root()]).unwrap();
    journal.connection.execute("UPDATE runs SET first_seq = 1", []).unwrap();
    let error = journal.read_run("r").unwrap_err();
    assert!(
        error.is_damage() && error.to_string().contains("row 2 begins the run `r` a second time"),
        "{error}"
    );
}

fn root() -> Event {
    let workflow = crate::workflow::load("ilchul.yaml", b"version: 1\nname: w\ntasks: { a: { run: x } }\n");
    Event::Run(crate::engine::event::RunEvent::Started(Box::new(crate::engine::event::Started {
        run: "r".into(),
        path: "ilchul.yaml".into(),
        digest: String::new(),
        base: "c".into(),
        base_name: "HEAD".into(),
        bases: Default::default(),
        session: crate::workflow::SessionKind::Subprocess,
        workers: 1,
        only: Vec::new(),
        setup: None,
        pid: 1,
        boot: "b".into(),
        mono_ms: 0,
        workflow: workflow.unwrap().workflow,
    })))
}
