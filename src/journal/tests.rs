//! The journal as its laws see it, on a real file.

use std::cell::Cell;

use super::*;
use crate::engine::event::{Event, Ignored};
use crate::engine::moment::{Moment, Stamp};
use crate::home::{Disk, Home};

mod opening;
mod shared;
mod trouble;

fn event(detail: &str) -> Event {
    Event::Ignored(Ignored { worker: None, input: "x".into(), code: "y".into(), detail: detail.into() })
}

fn at(moment: u64) -> Stamp {
    Stamp { moment: Moment(moment), wall_ms: 1_700_000_000_000 }
}

thread_local! {
    /// Whether homes of this test lie, as far as anybody can see, on a file system of several hosts.
    static IS_SHARED: Cell<bool> = const { Cell::new(false) };
}

fn home() -> (tempfile::TempDir, Home) {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::at(dir.path().join("home"));
    (dir, if IS_SHARED.get() { home.on(Disk::Network("nfs")) } else { home })
}

#[test]
fn j2_sequence_numbers_rise_strictly_over_runs_and_reopenings() {
    let (_dir, home) = home();
    let mut journal = Journal::open(&home).unwrap();
    let first = journal.append("r1", at(1), vec![event("a"), event("b")]).unwrap();
    let second = journal.append("r2", at(2), vec![event("c")]).unwrap();
    drop(journal);
    let mut journal = Journal::open(&home).unwrap();
    let third = journal.append("r1", at(3), vec![event("d")]).unwrap();
    let seqs: Vec<u64> = first.iter().chain(&second).chain(&third).map(|row| row.seq).collect();
    assert_eq!(seqs, [1, 2, 3, 4]);
    let read = journal.read_run("r1").unwrap();
    assert_eq!(read, [first, third].concat());
}

#[test]
fn j11_a_row_edited_by_hand_is_named() {
    let (_dir, home) = home();
    let mut journal = Journal::open(&home).unwrap();
    journal.append("r", at(1), vec![event("a"), event("b"), event("c")]).unwrap();
    journal.connection.execute("UPDATE events SET data = replace(data, 'b', 'z') WHERE seq = 2", []).unwrap();
    let error = journal.read_run("r").unwrap_err();
    assert!(error.is_damage() && error.to_string().contains("row 2"), "{error}");
    journal.connection.execute("DELETE FROM events WHERE seq = 2", []).unwrap();
    let error = journal.read_run("r").unwrap_err();
    assert!(error.to_string().contains("row 3"), "{error}");
}

#[test]
fn j11_rows_are_proven_without_being_read_and_up_to_any_of_them() {
    let (_dir, home) = home();
    let mut journal = Journal::open(&home).unwrap();
    journal.append("other", at(1), vec![event("x")]).unwrap();
    journal.append("r", at(1), vec![event("a"), event("b"), event("c")]).unwrap();
    let last = journal.mark("r").unwrap();
    let middle = journal.prove("r", 3).unwrap();
    assert_eq!((journal.prove("r", u64::MAX).unwrap(), middle.seq), (last, 3));
    assert!(journal.has("r", middle).unwrap() && journal.has("r", last).unwrap());
    assert!(!journal.has("other", last).unwrap());
    assert!(!journal.has("r", Mark { digest: last.digest, ..middle }).unwrap());
    journal.connection.execute("UPDATE events SET moment = 9 WHERE seq = 3", []).unwrap();
    assert_eq!(journal.prove("r", 2).unwrap().seq, 2);
    let error = journal.prove("r", 3).unwrap_err();
    assert!(error.is_damage() && error.to_string().contains("row 3"), "{error}");
}

#[test]
fn reading_goes_on_after_any_row_and_stops_where_its_taker_does() {
    let (_dir, home) = home();
    let mut journal = Journal::open(&home).unwrap();
    let rows = journal.append("r", at(1), vec![event("a"), event("b"), event("c")]).unwrap();
    assert_eq!(journal.first("r").unwrap().as_ref(), None, "a run without a root has no first row");
    let mut taken = Vec::new();
    let stop = |row: Recorded| {
        taken.push(row);
        if taken.len() == 2 { Err(JournalError::Damaged { what: "enough".into() }) } else { Ok(()) }
    };
    assert!(journal.walk("r", Mark::ROOT, stop).is_err());
    assert_eq!(taken, rows[..2]);
    let second = journal.prove("r", 2).unwrap();
    assert_eq!(journal.read_after("r", second.seq, second.digest).unwrap().0, rows[2..]);
}

#[test]
fn j11_a_journal_missing_beside_its_runs_is_an_error_and_not_an_empty_one() {
    let (_dir, home) = home();
    crate::home::private_dir(&home.run("r")).unwrap();
    assert!(matches!(Journal::open(&home), Err(JournalError::Lost { .. })));
    assert!(matches!(Journal::open_read(&home), Err(JournalError::Lost { .. })));
    assert!(!home.journal().exists());
}

#[test]
fn j11_a_foreign_file_is_an_error_and_every_byte_stays() {
    let (_dir, home) = home();
    crate::home::private_dir(home.root()).unwrap();
    let bytes = vec![b'x'; 8192];
    std::fs::write(home.journal(), &bytes).unwrap();
    assert!(Journal::open(&home).unwrap_err().is_damage());
    assert_eq!(std::fs::read(home.journal()).unwrap(), bytes);
}

#[test]
fn j11_a_newer_schema_is_never_written() {
    let (_dir, home) = home();
    drop(Journal::open(&home).unwrap());
    let raw = rusqlite::Connection::open(home.journal()).unwrap();
    raw.pragma_update(None, "user_version", schema::VERSION + 1).unwrap();
    drop(raw);
    assert!(matches!(Journal::open(&home), Err(JournalError::Newer { .. })));
    assert!(Journal::open_read(&home).is_ok());
}

#[test]
fn j11c_a_journal_replaced_under_us_is_not_written() {
    let (_dir, home) = home();
    let mut journal = Journal::open(&home).unwrap();
    std::fs::rename(home.journal(), home.root().join("away")).unwrap();
    std::fs::write(home.journal(), b"").unwrap();
    assert!(matches!(journal.append("r", at(1), vec![event("a")]), Err(JournalError::Replaced { .. })));
    std::fs::remove_file(home.journal()).unwrap();
    assert!(matches!(journal.append("r", at(1), vec![event("a")]), Err(JournalError::Replaced { .. })));
}

#[test]
fn a_request_is_answered_once() {
    use crate::engine::input::Request;
    let (_dir, home) = home();
    let journal = Journal::open(&home).unwrap();
    let request = Request::Retry { task: "a".into() };
    let id = journal.ask(&home, "r", &request, 0).unwrap();
    assert!(home.bell().join("ring").exists());
    assert_eq!(journal.asked().unwrap(), [Asked { id, run: "r".into(), request: Some(request) }]);
    assert_eq!(journal.answered(id).unwrap(), None);
    let granted = Answer { accepted: true, message: String::new() };
    journal.answer(id, &granted).unwrap();
    journal.answer(id, &Answer { accepted: false, message: "late".into() }).unwrap();
    assert_eq!(journal.answered(id).unwrap(), Some(granted));
    assert_eq!(journal.asked().unwrap(), []);
}

#[test]
fn s13_the_journal_and_its_companions_are_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let (_dir, home) = home();
    let mut journal = Journal::open(&home).unwrap();
    journal.append("r", at(1), vec![event("a")]).unwrap();
    for entry in std::fs::read_dir(home.root()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:?}", entry.file_name());
    }
}
