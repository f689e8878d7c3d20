//! What `events --rows` says to an ilchul that follows from another machine: rows as the journal
//! has them, and whether a supervisor drives the run.
//!
//! It leaves out what they mean, which the fold knows.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::super::error::CliError;
use super::super::exit_code::Exit;
use super::super::place::Place;
use super::super::read::{self, Follower};
use crate::engine::event::Event;
use crate::engine::moment::{Moment, Stamp};
use crate::journal::Recorded;

/// How often the journal is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// So many looks from one word to the next, where there is no news.
const SILENT: u32 = 4;
/// Rows in one word.
const ROWS: usize = 1000;

/// One word: a line of JSON.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Word {
    /// The run.
    pub run: String,
    /// A supervisor drives it.
    pub held: bool,
    /// The next word belongs to the same look.
    pub more: bool,
    /// Sequence, moment and wall time in milliseconds, event.
    pub rows: Vec<(u64, u64, i64, Event)>,
}

impl Word {
    /// The rows as the journal has them.
    pub fn recorded(self) -> Vec<Recorded> {
        let row = |(seq, moment, wall_ms, event)| Recorded {
            seq,
            at: Stamp { moment: Moment(moment), wall_ms },
            event,
        };
        self.rows.into_iter().map(row).collect()
    }
}

/// Tells the rows after `after`, and goes on until nobody reads any more.
///
/// # Errors
/// When the journal or the lock can't be read.
pub fn tell((place, run): (&Place, &str), mut follower: Follower, after: u64) -> Result<Exit, CliError> {
    let mut looks = 0;
    loop {
        // Before the rows: who lets go has written all that it will.
        let held = read::is_held(place, run)?;
        let rows: Vec<_> = follower.poll()?.into_iter().filter(|row| row.seq > after).collect();
        let is_due = looks % SILENT == 0;
        looks += 1;
        let count = rows.len().div_ceil(ROWS).max(usize::from(is_due));
        let mut rows = rows.into_iter();
        for left in (0..count).rev() {
            let row = |row: Recorded| (row.seq, row.at.moment.0, row.at.wall_ms, row.event);
            let rows = rows.by_ref().take(ROWS).map(row).collect();
            let word = Word { run: run.to_owned(), held, more: left > 0, rows };
            let line = serde_json::to_string(&word)
                .map_err(|error| CliError::new("journal", format!("tell of its rows: {error}")))?;
            if !read::emit(format!("{line}\n").as_bytes()) {
                return Ok(Exit::Done);
            }
        }
        if !read::pause_for_reader(LOOK_EVERY) {
            return Ok(Exit::Done);
        }
    }
}
