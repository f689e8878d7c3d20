//! A home that several hosts see: no shared memory, one writer or some readers, and what a
//! writer leaves that was killed.

use std::path::Path;

use rusqlite::Connection;

use super::super::file::tidy_on_close;
use super::*;

fn shared() -> (tempfile::TempDir, Home) {
    IS_SHARED.set(true);
    let made = home();
    IS_SHARED.set(false);
    made
}

/// How the rows of the journal at `path` are kept, as its own header says it.
fn has_log(path: &Path) -> bool {
    std::fs::read(path).unwrap()[18..20] == [2, 2]
}

fn files(home: &Home) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(home.root())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("journal"))
        .collect();
    names.sort();
    names
}

#[test]
fn the_same_promises_are_kept_where_a_rollback_journal_is() {
    IS_SHARED.set(true);
    j2_sequence_numbers_rise_strictly_over_runs_and_reopenings();
    j11_a_row_edited_by_hand_is_named();
    j11_rows_are_proven_without_being_read_and_up_to_any_of_them();
    reading_goes_on_after_any_row_and_stops_where_its_taker_does();
    j11_a_journal_missing_beside_its_runs_is_an_error_and_not_an_empty_one();
    j11_a_foreign_file_is_an_error_and_every_byte_stays();
    j11_a_newer_schema_is_never_written();
    j11c_a_journal_replaced_under_us_is_not_written();
    a_request_is_answered_once();
    s13_the_journal_and_its_companions_are_for_their_owner_only();
    opening::j11_an_empty_file_beside_runs_is_no_new_journal();
    opening::j11_an_empty_database_beside_runs_is_no_new_journal();
    opening::j11_a_file_that_is_no_database_is_named();
    opening::j11_a_folder_a_pipe_and_links_to_nothing_are_no_new_journal();
    opening::j11_a_journal_cut_off_anywhere_is_damaged();
    opening::j11_another_programs_database_is_refused();
    opening::j11_a_journal_from_before_it_said_what_it_is_still_opens();
    opening::a_migration_that_fails_halfway_leaves_the_old_schema_and_a_copy_beside_it();
    trouble::j11a_a_full_disk_is_named_and_the_batch_is_looked_for_by_a_new_handle();
    trouble::j11a_a_disk_that_may_not_be_written_is_named();
    trouble::a_writer_that_stays_is_an_error_that_names_the_file_and_loses_nothing();
    trouble::a_writer_that_goes_is_waited_for();
    trouble::j9_rows_that_somebody_else_wrote_meanwhile_are_named();
}

#[test]
fn on_a_network_file_system_nothing_is_kept_in_shared_memory() {
    let (_dir, home) = shared();
    let mut journal = Journal::open(&home).unwrap();
    journal.append("r", at(1), vec![event("a")]).unwrap();
    let reader = Journal::open_read(&home).unwrap();
    assert_eq!(reader.read_run("r").unwrap().len(), 1);
    assert_eq!(files(&home), ["journal.db", "journal.db-journal"]);
    assert_eq!(std::fs::metadata(home.root().join("journal.db-journal")).unwrap().len(), 0);
    assert!(!has_log(&home.journal()));
    let synchronous: i64 =
        journal.connection.pragma_query_value(None, "synchronous", |row| row.get(0)).unwrap();
    assert_eq!(synchronous, 2, "every commit is synced");
}

#[test]
fn a_journal_moves_to_the_way_that_fits_where_it_lies_once_nobody_else_has_it() {
    let (_dir, there) = shared();
    let here = Home::at(there.root());
    let mut journal = Journal::open(&here).unwrap();
    journal.append("r", at(1), vec![event("a")]).unwrap();
    // A reader or a writer of the old kind keeps it as it is, and is waited for by nobody.
    let began = std::time::Instant::now();
    let mut other = Journal::open(&there).unwrap();
    assert!(other.has_log && has_log(&there.journal()));
    assert!(began.elapsed() < super::super::open::BUSY);
    other.append("r", at(2), vec![event("b")]).unwrap();
    drop((journal, other));
    let mut journal = Journal::open(&there).unwrap();
    assert!(!journal.has_log && !has_log(&there.journal()));
    journal.append("r", at(3), vec![event("c")]).unwrap();
    drop(journal);
    let journal = Journal::open(&here).unwrap();
    assert!(journal.has_log && has_log(&there.journal()));
    assert_eq!(journal.read_run("r").unwrap().len(), 3);
}

#[test]
fn j11_the_log_that_a_crash_left_is_taken_over_when_a_journal_moves() {
    let (_dir, there) = shared();
    let mut journal = Journal::open(&Home::at(there.root())).unwrap();
    tidy_on_close(&journal.connection, false).unwrap();
    journal.append("r", at(1), vec![event("a")]).unwrap();
    tidy_on_close(&journal.connection, false).unwrap();
    drop(journal);
    assert!(std::fs::metadata(there.root().join("journal.db-wal")).unwrap().len() > 0);
    assert_eq!(Journal::open(&there).unwrap().read_run("r").unwrap().len(), 1);
    assert_eq!(Journal::open_read(&there).unwrap().read_run("r").unwrap().len(), 1);
    assert!(!there.root().join("journal.db-wal").exists());
}

#[test]
fn a_reader_that_waits_for_its_pager_keeps_no_writer_waiting() {
    let (_dir, home) = shared();
    let mut journal = Journal::open(&home).unwrap();
    journal.connection.busy_timeout(std::time::Duration::from_millis(20)).unwrap();
    let many = (0..600).map(|_| event("a")).collect();
    journal.append("r", at(1), many).unwrap();
    let reader = Journal::open_read(&home).unwrap();
    let mut seen = 0;
    let slow = |_| {
        seen += 1;
        if seen % 100 == 1 && seen < 700 {
            journal.append("r", at(2), vec![event("b")])?;
        }
        Ok::<(), JournalError>(())
    };
    reader.walk("r", Mark::ROOT, slow).unwrap();
    assert_eq!(seen, 607, "and what was written meanwhile is read too");
}

#[test]
fn a_reader_waits_while_a_batch_is_being_put_in_its_place() {
    let (_dir, home) = shared();
    let mut journal = Journal::open(&home).unwrap();
    journal.append("r", at(1), vec![event("a")]).unwrap();
    journal.connection.execute_batch("PRAGMA cache_size = 1; BEGIN EXCLUSIVE; DELETE FROM events").unwrap();
    std::thread::scope(|scope| {
        let read = scope.spawn(|| Journal::open_read(&home)?.read_run("r"));
        // Long enough for it to find the lock held; it is right whenever this ends.
        std::thread::sleep(std::time::Duration::from_millis(100));
        journal.connection.execute_batch("ROLLBACK").unwrap();
        assert_eq!(read.join().unwrap().unwrap().len(), 1);
    });
}

/// What a kill leaves in the middle of a batch: the files as they are then, and no lock.
fn killed(home: &Home, dir: &Path) -> Home {
    let after = Home::at(dir.join("after")).on(Disk::Network("nfs"));
    crate::home::private_dir(&after.run("r")).unwrap();
    copy_batch(home, &after);
    after
}

fn copy_batch(from: &Home, to: &Home) {
    let journal = Journal::open(from).unwrap();
    journal.connection.execute_batch("PRAGMA cache_size = 1; BEGIN IMMEDIATE").unwrap();
    journal.connection.execute_batch("UPDATE events SET data = 'half', kind = 'half'").unwrap();
    for name in ["journal.db", "journal.db-journal"] {
        std::fs::write(to.root().join(name), std::fs::read(from.root().join(name)).unwrap()).unwrap();
    }
    assert!(std::fs::metadata(to.root().join("journal.db-journal")).unwrap().len() > 512);
    journal.connection.execute_batch("ROLLBACK").unwrap();
    // The rows are there already, in a file that is not to be believed before it is rolled back.
    let bytes = std::fs::read(to.journal()).unwrap();
    assert!(bytes.windows(4).any(|four| four == b"half"));
    journal.on_disk.check().unwrap();
}

fn large(home: &Home) {
    let mut journal = Journal::open(home).unwrap();
    for moment in 0..40 {
        journal.append("r", at(moment), vec![event(&"x".repeat(2_000))]).unwrap();
    }
}

#[test]
fn j11a_half_a_batch_that_a_kill_left_is_rolled_back_by_whoever_comes_first() {
    for reads_first in [true, false] {
        let (dir, home) = shared();
        large(&home);
        let after = killed(&home, dir.path());
        if reads_first {
            assert_eq!(Journal::open_read(&after).unwrap().read_run("r").unwrap().len(), 40);
        }
        let mut journal = Journal::open(&after).unwrap();
        assert_eq!(journal.read_run("r").unwrap().len(), 40);
        assert_eq!(journal.append("r", at(40), vec![event("b")]).unwrap()[0].seq, 41);
    }
}

#[test]
fn j11a_a_reader_that_was_there_before_a_writer_was_killed_goes_on() {
    let (dir, home) = shared();
    large(&home);
    let after = Home::at(dir.path().join("after")).on(Disk::Network("nfs"));
    crate::home::private_dir(after.root()).unwrap();
    large(&after);
    let reader = Journal::open_read(&after).unwrap();
    assert_eq!(reader.read_run("r").unwrap().len(), 40);
    // A write by name alone: closing a descriptor here would drop the reader's locks, which it
    // has none of between two reads.
    copy_batch(&home, &after);
    assert_eq!(reader.read_run("r").unwrap().len(), 40);
    let raw = Connection::open(after.journal()).unwrap();
    let sound: String = raw.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(sound, "ok");
}

#[test]
fn j11_a_reader_changes_no_row_even_where_it_may_roll_back() {
    let (_dir, home) = shared();
    large(&home);
    let reader = Journal::open_read(&home).unwrap();
    let refused = reader.connection.execute("DELETE FROM events", []).unwrap_err();
    assert_eq!(refused.sqlite_error_code(), Some(rusqlite::ErrorCode::ReadOnly));
}
