//! Reading a run as its fold: from a fold that was kept beside the journal, where one fits.
//!
//! A kept fold saves time and says nothing that the journal doesn't (law J4): it names the
//! row that it ends with and the very sources that made it, and where anything about it
//! doesn't fit, or it is gone, every event is replayed. It leaves out what is done with a
//! fold, and when one is kept.

use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::thread::JoinHandle;

use sha2::{Digest, Sha256};

use super::SupervisorError;
use crate::engine::event::{Event, RunEvent};
use crate::engine::fold::{self, Part};
use crate::engine::state::RunState;
use crate::engine::{Engine, Replay};
use crate::home::{Home, read_plain};
use crate::journal::{Journal, JournalError, Mark};

/// Tells the sources that fold: a fold of others may mean something else.
const MADE_BY: &str = env!("ILCHUL_FOLD");
/// The largest kept fold that is read, in bytes: the largest run's has a tenth of that.
const MAX_BYTES: u64 = 256 << 20;
/// The longest first line, in bytes.
const TITLE_MAX: u64 = 4096;
/// Characters of a digest in hex.
const HEX: usize = 64;

/// How much of the journal is proven before its run is told.
#[derive(Debug)]
pub enum Proof {
    /// Every row: whoever goes on with a run builds on all of them (law J11).
    Whole,
    /// The same, begun before.
    Begun(Proving),
    /// What came after the kept fold: for a look.
    Since,
}

/// A proof, under way on a thread of its own, of the rows that a kept fold stands for.
#[derive(Debug)]
pub struct Proving(JoinHandle<Option<Mark>>);

impl Proving {
    /// Begins with the last run of the workflow at `path`, while the caller has other things
    /// to do. Nothing is made where there is nothing.
    #[must_use]
    pub fn of_last(home: &Home, path: &str) -> Self {
        let (home, path) = (home.clone(), path.to_owned());
        Self(std::thread::spawn(move || {
            let journal = Journal::open_read(&home).ok()?;
            let run = journal.runs().ok()?.into_iter().rev().find(|run| run.path == path)?.id;
            prove(&journal, &home, &run)
        }))
    }

    fn of(home: &Home, run: &str) -> Self {
        let (home, run) = (home.clone(), run.to_owned());
        Self(std::thread::spawn(move || prove(&Journal::open_read(&home).ok()?, &home, &run)))
    }

    /// Whether the rows up to `mark` were proven.
    fn holds(self, mark: Mark) -> bool {
        self.0.join().is_ok_and(|proven| proven == Some(mark))
    }
}

/// The place up to which the kept fold stands for rows, if they are the ones that were written.
fn prove(journal: &Journal, home: &Home, run: &str) -> Option<Mark> {
    let mut first = String::new();
    BufReader::new(read_plain(&home.fold(run)).ok()?.take(TITLE_MAX)).read_line(&mut first).ok()?;
    let mark = titled(first.trim_end().as_bytes(), run)?;
    journal.prove(run, mark.seq).ok().filter(|proven| *proven == mark)
}

/// A run, read.
#[derive(Debug)]
pub struct Folded {
    /// Its machine.
    pub engine: Engine,
    /// Its last row.
    pub mark: Mark,
}

/// Reads a run; `None` where the journal has no such run.
///
/// # Errors
/// `Damaged`, naming the first row that doesn't fit; or rows that are no legal past.
pub fn read(
    journal: &Journal,
    home: &Home,
    run: &str,
    proof: Proof,
) -> Result<Option<Folded>, SupervisorError> {
    let (mut replay, from) = match kept(journal, home, run, proof)? {
        Some(Folded { engine, mark }) => (Replay::on(engine), mark),
        None => (Replay::default(), Mark::ROOT),
    };
    let mark = journal.walk(run, from, |row| Ok::<(), SupervisorError>(replay.take(row.at, row.event)?))?;
    if replay.is_empty() {
        return Ok(None);
    }
    Ok(Some(Folded { engine: replay.finish()?, mark }))
}

/// Keeps the fold of a run whose last row is `mark`. It need not survive a crash, so nothing
/// waits for the disk.
///
/// # Errors
/// What the system says; the run goes on without it.
pub fn keep(home: &Home, state: &RunState, mark: Mark) -> io::Result<()> {
    let run = &state.started.run;
    let mut file = BufWriter::new(tempfile::NamedTempFile::new_in(home.run(run))?);
    let mut last = String::new();
    let mut put = |text: &[u8]| -> io::Result<()> {
        last = chained(&last, text);
        file.write_all(last.as_bytes())?;
        file.write_all(text)?;
        file.write_all(b"\n")
    };
    put(title(run, mark).as_bytes())?;
    fold::write(state, put)?;
    file.into_inner()?.persist(home.fold(run))?;
    Ok(())
}

/// The first line: whose fold, of which sources, and the row that it ends with.
fn title(run: &str, mark: Mark) -> String {
    format!("ilchul.fold {MADE_BY} {run} {} {}", mark.seq, hex(&mark.digest))
}

/// The digest of a line, which covers the line before it.
fn chained(previous: &str, text: &[u8]) -> String {
    let mut hash = Sha256::new();
    hash.update(previous.as_bytes());
    hash.update(text);
    hex(&hash.finalize())
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// The kept fold, if it is this run's, ours, whole, and ends with a row of this journal.
fn kept(journal: &Journal, home: &Home, run: &str, proof: Proof) -> Result<Option<Folded>, SupervisorError> {
    let Some(text) = text(home, run) else { return Ok(None) };
    let lines: Vec<&[u8]> = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
    let Some(mark) = lines.first().and_then(|line| titled(line, run)) else { return Ok(None) };
    if !journal.has(run, mark)? {
        return Ok(None);
    }
    let parts = match proof {
        Proof::Since => halves(&lines),
        Proof::Whole => proven(journal, (run, mark), Proving::of(home, run), &lines)?,
        Proof::Begun(proving) => proven(journal, (run, mark), proving, &lines)?,
    };
    let (Some(parts), Some(root)) = (parts, journal.first(run)?) else { return Ok(None) };
    let Event::Run(RunEvent::Started(started)) = root.event else { return Ok(None) };
    Ok(fold::join(*started, root.at, parts).map(|engine| Folded { engine, mark }))
}

/// All parts, once the rows that they stand for are proven.
fn proven(
    journal: &Journal,
    (run, mark): (&str, Mark),
    proving: Proving,
    lines: &[&[u8]],
) -> Result<Option<Vec<Part>>, JournalError> {
    let parts = parts(lines, 1..lines.len());
    // What went wrong elsewhere, or was begun with another run, is done here, and said here.
    let fits = proving.holds(mark) || journal.prove(run, mark.seq)? == mark;
    Ok(parts.filter(|_| fits))
}

/// The bytes of the kept fold; one that can't be read is none.
fn text(home: &Home, run: &str) -> Option<Vec<u8>> {
    let file = read_plain(&home.fold(run)).ok()?;
    if file.metadata().ok()?.len() > MAX_BYTES {
        return None;
    }
    let mut bytes = Vec::new();
    file.take(MAX_BYTES).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

fn titled(line: &[u8], run: &str) -> Option<Mark> {
    let (digest, text) = line.split_at_checked(HEX)?;
    let words: Vec<&str> = std::str::from_utf8(text).ok()?.split(' ').collect();
    let [_, _, _, seq, _] = words[..] else { return None };
    let seq = seq.parse().ok()?;
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(words[4].as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    let mark = Mark { seq, digest: bytes };
    (text == title(run, mark).as_bytes() && digest == chained("", text).as_bytes()).then_some(mark)
}

/// All parts, by two threads.
fn halves(lines: &[&[u8]]) -> Option<Vec<Part>> {
    let half = lines.len().div_ceil(2);
    std::thread::scope(|scope| {
        let rest = scope.spawn(|| parts(lines, half..lines.len()));
        let mut all = parts(lines, 1..half)?;
        all.extend(rest.join().ok()??);
        Some(all)
    })
}

/// Some of the lines as parts, each proven to follow the one before it.
fn parts(lines: &[&[u8]], which: std::ops::Range<usize>) -> Option<Vec<Part>> {
    let one = |at: usize| {
        let previous = std::str::from_utf8(lines[at - 1].get(..HEX)?).ok()?;
        let (digest, text) = lines[at].split_at_checked(HEX)?;
        let fits = digest == chained(previous, text).as_bytes();
        if fits { fold::read(text).ok() } else { None }
    };
    which.map(one).collect()
}
