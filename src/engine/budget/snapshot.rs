//! What of a run's bounds is used, reserved and left: one line for each, for people, scripts
//! and workers alike.
//!
//! It leaves out the bounds themselves, and wording.

use serde_json::{Map, Value, json};

use super::{Channel, dollars};
use crate::engine::halt;
use crate::engine::state::RunState;

/// One bound: whole units of its channel, millionths of a dollar, or milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Line {
    /// The bound; none: there is none.
    pub total: Option<i64>,
    /// Gone, or in use.
    pub used: i64,
    /// Promised to those who are at work.
    pub reserved: i64,
    /// What is left; below zero where more was used than there was.
    pub left: Option<i64>,
}

impl Line {
    fn new(total: Option<i64>, used: i64) -> Self {
        Self { total, used, reserved: 0, left: total.map(|total| total.saturating_sub(used)) }
    }

    fn json(&self, number: impl Fn(i64) -> Value) -> Value {
        json!({
            "total": self.total.map(&number),
            "used": number(self.used),
            "reserved": number(self.reserved),
            "left": self.left.map(&number),
        })
    }
}

/// Every bound of a run that is used up by running.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Snapshot {
    /// `limits.attempts`; those that the host failed don't count.
    pub attempts: Line,
    /// `limits.tasks`.
    pub tasks: Line,
    /// Live workers at once.
    pub workers: Line,
    /// `limits.wall`.
    pub wall: Line,
    /// `limits.tokens`.
    pub tokens: Line,
    /// `limits.usd`.
    pub usd: Line,
}

impl Snapshot {
    /// That of a run at its last event.
    #[must_use]
    pub fn of(state: &RunState) -> Self {
        let limits = &state.workflow().limits;
        let tasks = state.tasks.iter().filter(|task| !task.removed).count();
        let wall = limits.wall.map(|wall| signed(wall.as_millis()));
        Self {
            attempts: Line::new(limits.attempts.map(i64::from), count(state.attempts_spent)),
            tasks: Line::new(limits.tasks.map(i64::from), count(tasks)),
            workers: Line::new(Some(i64::from(state.started.workers)), count(state.live_count())),
            wall: Line::new(wall, signed(halt::used(state).as_millis())),
            tokens: account(state, Channel::Tokens),
            usd: account(state, Channel::Usd),
        }
    }

    /// By name, as in `status --json` and in a worker's inputs: attempts and workers always, the
    /// others as `null` where they have no bound. Time is in whole seconds, money in dollars.
    #[must_use]
    pub fn json(&self) -> Map<String, Value> {
        let whole = |amount: i64| json!(amount);
        let bounded = |line: &Line, value: Value| if line.total.is_some() { value } else { Value::Null };
        let all = [
            ("attempts", self.attempts.json(whole)),
            ("tasks", bounded(&self.tasks, self.tasks.json(whole))),
            ("workers", self.workers.json(whole)),
            ("wall", bounded(&self.wall, self.wall.json(|ms| json!(ms / 1000)))),
            ("tokens", bounded(&self.tokens, self.tokens.json(whole))),
            ("usd", bounded(&self.usd, self.usd.json(|micros| json!(dollars(micros))))),
        ];
        all.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

fn account(state: &RunState, channel: Channel) -> Line {
    let account = state.ledger.of(channel);
    let left = account.total.map(|_| account.free);
    Line { total: account.total, used: account.spent, reserved: account.reserved, left }
}

fn count(items: usize) -> i64 {
    i64::try_from(items).unwrap_or(i64::MAX)
}

fn signed(millis: u128) -> i64 {
    i64::try_from(millis).unwrap_or(i64::MAX)
}
