//! Rows and events, both ways, and the digest that chains them.
//!
//! Row types are not domain types: whatever the engine's events become, what stands
//! here is what older journals hold. It leaves out where rows are kept.

use std::borrow::Cow;

use sha2::{Digest, Sha256};

use super::JournalError;
use crate::engine::event::Event;
use crate::engine::moment::{Moment, Stamp};

/// One journaled event.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// Rises strictly over the whole journal.
    pub seq: u64,
    /// When.
    pub at: Stamp,
    /// What.
    pub event: Event,
}

/// A row as it is stored; its texts are borrowed from SQLite where it is read.
pub(super) struct Row<'r> {
    pub(super) seq: i64,
    pub(super) moment: i64,
    pub(super) wall_ms: i64,
    pub(super) kind: Cow<'r, str>,
    pub(super) data: Cow<'r, str>,
    pub(super) digest: [u8; 32],
}

/// The digest before a run's first row.
pub(super) const ROOT: [u8; 32] = [0; 32];

impl Row<'_> {
    /// The row for `event`, chained to the run's previous row.
    pub(super) fn new(
        run: &str,
        seq: u64,
        at: Stamp,
        event: &Event,
        previous: &[u8; 32],
    ) -> Result<Self, JournalError> {
        let data = serde_json::to_string(event)
            .map_err(|source| JournalError::Encode { kind: event.kind(), source })?;
        let mut row = Self {
            seq: i64::try_from(seq).unwrap_or(i64::MAX),
            moment: i64::try_from(at.moment.0).unwrap_or(i64::MAX),
            wall_ms: at.wall_ms,
            kind: event.kind().into(),
            data: data.into(),
            digest: ROOT,
        };
        row.digest = row.chained(run, previous);
        Ok(row)
    }

    /// The same, as long as it is wanted.
    pub(super) fn into_owned(self) -> Row<'static> {
        let (kind, data) = (self.kind.into_owned().into(), self.data.into_owned().into());
        Row { seq: self.seq, moment: self.moment, wall_ms: self.wall_ms, kind, data, digest: self.digest }
    }

    /// SHA-256 over the previous digest and every field, each with its length.
    pub(super) fn chained(&self, run: &str, previous: &[u8; 32]) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(previous);
        for number in [self.seq, self.moment, self.wall_ms] {
            hash.update(number.to_le_bytes());
        }
        for text in [run, &*self.kind, &*self.data] {
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text.as_bytes());
        }
        hash.finalize().into()
    }

    /// Whether the row may stand where it does: a run has one root, its first event (law J2).
    /// The chain can't know that: whoever writes a second one may well have chained it.
    pub(super) fn check_root(&self, run: &str, is_first: bool) -> Result<(), JournalError> {
        if is_first || self.kind != "run.started" {
            return Ok(());
        }
        Err(JournalError::Damaged { what: format!("row {} begins the run `{run}` a second time", self.seq) })
    }

    /// Whether the row is the one that was written after `previous`.
    pub(super) fn prove(&self, run: &str, previous: &[u8; 32]) -> Result<(), JournalError> {
        if self.chained(run, previous) == self.digest {
            return Ok(());
        }
        Err(JournalError::Damaged {
            what: format!("row {} doesn't match its digest: it, or the one before it, was changed", self.seq),
        })
    }

    /// The event, if the row is the one that was written after `previous`.
    pub(super) fn read(&self, run: &str, previous: &[u8; 32]) -> Result<Recorded, JournalError> {
        self.prove(run, previous)?;
        let event: Event = serde_json::from_str(&self.data).map_err(|error| JournalError::Damaged {
            what: format!(
                "row {} is whole, but can't be read: {error}; a later ilchul may have written it",
                self.seq
            ),
        })?;
        let at =
            Stamp { moment: Moment(u64::try_from(self.moment).unwrap_or_default()), wall_ms: self.wall_ms };
        Ok(Recorded { seq: u64::try_from(self.seq).unwrap_or_default(), at, event })
    }
}
