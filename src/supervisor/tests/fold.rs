//! Kept folds: they save time, say nothing of their own, and hide nothing.

use std::collections::BTreeMap;

use super::super::fold::{Folded, Proof, Proving, keep, read};
use super::DONE;
use super::life::{Birth, Life};
use super::stage::{RUN, Stage};
use crate::engine::event::{Event, RunEvent, Started};
use crate::engine::input::{Input, Request};
use crate::engine::moment::{Moment, Now, Stamp};
use crate::engine::state::RunState;
use crate::engine::{Engine, Replay};
use crate::home::{Home, private_dir};
use crate::journal::Journal;
use crate::supervisor::SupervisorError;
use crate::workflow::{self, SessionKind};

/// A journal whose run was kept in the middle.
struct Shelf {
    home: Home,
    _dir: tempfile::TempDir,
}

impl Shelf {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path().join("home"));
        let mut journal = Journal::open(&home).unwrap();
        private_dir(&home.run(RUN)).unwrap();
        let mut engine = Engine::start(started(), stamp(1));
        let mut write = |engine: &mut Engine, ms: u64, input: &Input| {
            engine.handle(Now { stamp: stamp(ms), seed: [0; 16] }, input).unwrap();
            journal.append(RUN, stamp(ms), engine.take_events()).unwrap();
            journal.mark(RUN).unwrap()
        };
        let mark = write(&mut engine, 1, &Input::Tick);
        keep(&home, engine.state(), mark).unwrap();
        write(&mut engine, 2, &Input::Request(Request::Cancel { task: "b".to_owned() }));
        Self { home, _dir: dir }
    }

    fn read(&self, proof: Proof) -> Result<RunState, SupervisorError> {
        let journal = Journal::open_read(&self.home).unwrap();
        read(&journal, &self.home, RUN, proof).map(|found| found.unwrap().engine.into_state())
    }

    /// Every way to read, in its own words.
    fn proofs(&self) -> [Proof; 3] {
        [Proof::Whole, Proof::Begun(Proving::of_last(&self.home, "w.yaml")), Proof::Since]
    }

    fn replayed(&self) -> RunState {
        replayed(&self.home)
    }

    /// Holds what is read against a replay, whatever stands in the kept fold.
    fn check(&self, why: &str) {
        let replayed = self.replayed();
        for proof in self.proofs() {
            assert_eq!(self.read(proof).unwrap(), replayed, "{why}");
        }
    }

    fn kept(&self) -> Vec<u8> {
        std::fs::read(self.home.fold(RUN)).unwrap()
    }

    fn replace(&self, bytes: &[u8]) {
        std::fs::write(self.home.fold(RUN), bytes).unwrap();
    }

    /// Edits the journal's file by hand: one word for another of the same length.
    fn edit(&self, old: &str, new: &str) {
        let path = self.home.journal();
        let mut bytes = std::fs::read(&path).unwrap();
        let at = bytes.windows(old.len()).position(|found| found == old.as_bytes()).unwrap();
        bytes[at..at + old.len()].copy_from_slice(new.as_bytes());
        std::fs::write(path, bytes).unwrap();
    }
}

fn replayed(home: &Home) -> RunState {
    let mut replay = Replay::default();
    let journal = Journal::open_read(home).unwrap();
    for row in journal.read_run(RUN).unwrap() {
        replay.take(row.at, row.event).unwrap();
    }
    replay.finish().unwrap().into_state()
}

fn stamp(ms: u64) -> Stamp {
    Stamp { moment: Moment(ms), wall_ms: 1_700_000_000_000 }
}

fn started() -> Started {
    let text = "version: 1\nname: w\ndefaults: { workspace: none }\ntasks: { a: { run: x }, b: { run: x, needs: [a] } }";
    Started {
        run: RUN.to_owned(),
        path: "w.yaml".to_owned(),
        digest: "d".repeat(64),
        base: "0".repeat(40),
        base_name: "HEAD".to_owned(),
        bases: BTreeMap::new(),
        session: SessionKind::Subprocess,
        workers: 1,
        only: Vec::new(),
        setup: None,
        pid: 1,
        boot: "boot".to_owned(),
        mono_ms: 0,
        workflow: workflow::load("w.yaml", text.as_bytes()).unwrap().workflow,
    }
}

#[test]
fn j4_a_kept_fold_and_the_rows_after_it_are_equal_to_the_whole_journal() {
    let shelf = Shelf::new();
    shelf.check("kept");
    std::fs::remove_file(shelf.home.fold(RUN)).unwrap();
    shelf.check("dropped");
}

#[test]
fn j4_a_fold_that_is_torn_or_changed_anywhere_is_passed_over() {
    let shelf = Shelf::new();
    let whole = shelf.kept();
    for length in (0..whole.len()).step_by(37) {
        shelf.replace(&whole[..length]);
        shelf.check("torn");
        let mut bytes = whole.clone();
        bytes[length] ^= 1;
        shelf.replace(&bytes);
        shelf.check("changed");
    }
    let lines: Vec<&[u8]> = whole.split_inclusive(|byte| *byte == b'\n').collect();
    for left_out in 0..lines.len() {
        let rest: Vec<&[u8]> =
            lines.iter().enumerate().filter(|(at, _)| *at != left_out).map(|(_, line)| *line).collect();
        shelf.replace(&rest.concat());
        shelf.check("a line is missing");
    }
}

#[test]
fn j4_a_fold_of_another_run_or_of_rows_that_are_not_there_is_passed_over() {
    let (one, other) = (Shelf::new(), Shelf::new());
    // The other's rows are as long and were written at the same moments, but one differs.
    let mut journal = Journal::open(&other.home).unwrap();
    let interrupted = Event::Run(RunEvent::Interrupted { reason: "x".to_owned() });
    journal.append(RUN, stamp(3), vec![interrupted]).unwrap();
    keep(&other.home, &other.replayed(), journal.mark(RUN).unwrap()).unwrap();
    one.replace(&other.kept());
    one.check("its last row isn't in this journal");
}

#[test]
fn j4_what_is_read_from_a_kept_fold_is_believed_only_as_far_as_it_goes() {
    let shelf = Shelf::new();
    // A row that the fold stands for: a look may rest on the fold, going on may not (J11).
    shelf.edit("needs_met", "needs_mat");
    for proof in [Proof::Whole, Proof::Begun(Proving::of_last(&shelf.home, "w.yaml"))] {
        let error = shelf.read(proof).unwrap_err();
        assert!(error.to_string().contains("row 2 doesn't match"), "j11: {error}");
    }
    assert!(shelf.read(Proof::Since).is_ok());
    std::fs::remove_file(shelf.home.fold(RUN)).unwrap();
    assert!(shelf.read(Proof::Since).unwrap_err().to_string().contains("row 2 doesn't match"));
}

#[test]
fn j11_a_row_after_the_kept_fold_that_was_edited_is_named_by_every_reader() {
    let shelf = Shelf::new();
    shelf.edit("cancelled", "cancellad");
    for proof in shelf.proofs() {
        let error = shelf.read(proof).unwrap_err();
        assert!(error.to_string().contains("doesn't match its digest"), "{error}");
    }
}

#[test]
fn a_run_that_the_journal_does_not_have_is_none() {
    let shelf = Shelf::new();
    let journal = Journal::open_read(&shelf.home).unwrap();
    for proof in shelf.proofs() {
        let found: Option<Folded> = read(&journal, &shelf.home, "r2", proof).unwrap();
        assert!(found.is_none());
    }
}

#[test]
fn j4_a_run_of_many_rows_leaves_a_fold_that_is_equal_to_its_journal() {
    let tasks: Vec<String> = (0..90).map(|number| format!("t{number}: {{ run: x }}")).collect();
    let stage = Stage::new(&format!("limits: {{ workers: 8 }}\ntasks: {{ {} }}", tasks.join(", ")));
    assert_eq!(Life::begin(&stage, Birth::default()).join(), DONE);
    let home = &stage.backstage.home;
    let journal = Journal::open_read(home).unwrap();
    assert!(home.fold(RUN).exists());
    let found = read(&journal, home, RUN, Proof::Whole).unwrap().unwrap();
    assert_eq!(found.engine.state(), &replayed(home));
    // It is what was read: the fold stands for every row.
    assert!(
        std::fs::read_to_string(home.fold(RUN)).unwrap().contains(&format!(" {RUN} {} ", found.mark.seq))
    );
}
