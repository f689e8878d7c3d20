//! What bounds attempts and orders them: ceilings, failures that are borne, which task is first.
//!
//! It leaves out the limits of the whole run (`model.rs`) and what follows from any of them.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::millis;

/// More failed attempts than `max` within such a time stop the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failures {
    /// So many are borne.
    pub max: u32,
    /// From the first of them to the one too many.
    #[serde(with = "millis")]
    pub within: Duration,
}

/// What one attempt may use at most. `None`: nobody said.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Ceiling {
    /// Tokens.
    pub tokens: Option<u64>,
    /// US dollars.
    pub usd: Option<f64>,
}

impl Ceiling {
    /// Whether nobody said anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The same, with what it leaves open taken from `other`.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self { tokens: self.tokens.or(other.tokens), usd: self.usd.or(other.usd) }
    }
}

/// Which of the ready tasks starts first, where not all can.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// What the longest chain waits for, then what most tasks wait for, then the oldest, then by id.
    #[default]
    Critical,
    /// The order of the file.
    Fifo,
}

impl Order {
    /// That of runs whose journal names none.
    pub(super) fn before() -> Self {
        Self::Fifo
    }
}
