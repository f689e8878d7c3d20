//! Budgets of tokens and money: what is free, reserved and spent of each capped channel.
//!
//! An attempt's ceiling is reserved with its claim and settled once, when its token dies: where
//! its end was seen by what it reported, or what its shim measured if that is more, else by the
//! whole reservation. Both are events, so a crash mints nothing (laws D9, J7). An attempt without a ceiling reserves all that is free:
//! the one rule under which nobody can overdraw what somebody else was promised. It leaves out
//! when that is asked (`gate.rs`) and how it is shown (`snapshot`).

use serde::{Deserialize, Serialize};

use super::state::{RunState, WorkerState};
use crate::protocol::Usage;
use crate::workflow::{Ceiling, Limits};

pub mod snapshot;

/// The most that one report counts for: a lie about more would only break sums.
const MOST: u64 = 1_000_000_000_000_000;

/// What a budget is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Channel {
    /// Model tokens, all kinds together.
    Tokens,
    /// Millionths of a US dollar.
    Usd,
}

impl Channel {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Tokens, Self::Usd];

    /// The word that users see.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Tokens => "tokens",
            Self::Usd => "usd",
        }
    }

    /// An amount as people write it: whole tokens, dollars.
    #[must_use]
    pub fn number(self, amount: i64) -> String {
        match self {
            Self::Tokens => amount.to_string(),
            Self::Usd => dollars(amount).to_string(),
        }
    }

    fn words(self, amount: u64) -> String {
        format!("{} {}", self.number(signed(amount)), self.word())
    }
}

/// An amount for each channel. `None`: nobody said, which isn't nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Amounts {
    /// Tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// Millionths of a dollar.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usd_micros: Option<u64>,
}

impl Amounts {
    /// Whether nobody said anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// That of one channel.
    #[must_use]
    pub fn of(&self, channel: Channel) -> Option<u64> {
        match channel {
            Channel::Tokens => self.tokens,
            Channel::Usd => self.usd_micros,
        }
    }

    fn put(&mut self, channel: Channel, amount: Option<u64>) {
        match channel {
            Channel::Tokens => self.tokens = amount,
            Channel::Usd => self.usd_micros = amount,
        }
    }
}

impl From<Ceiling> for Amounts {
    fn from(ceiling: Ceiling) -> Self {
        Self { tokens: ceiling.tokens, usd_micros: ceiling.usd.map(micros) }
    }
}

impl From<Usage> for Amounts {
    fn from(usage: Usage) -> Self {
        let most = |amount: u64| amount.min(MOST);
        Self { tokens: usage.tokens.map(most), usd_micros: usage.usd.map(micros).map(most) }
    }
}

/// What there is of one channel. While it is capped, free, reserved and spent together are the
/// total, at every event; free is below zero where somebody used more than they had reserved.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Account {
    /// The cap; none: only what is spent is counted.
    pub total: Option<i64>,
    /// Left for whoever comes.
    pub free: i64,
    /// Promised to attempts whose token lives.
    pub reserved: i64,
    /// Gone.
    pub spent: i64,
    /// The worker that ended without saying what it used, and had no ceiling: what is left is
    /// no longer known, and nothing that needs it starts.
    pub closed_by: Option<String>,
}

impl Account {
    fn cap(&mut self, total: Option<u64>) {
        let total = total.map(signed);
        if total != self.total {
            // Whoever sets another cap has seen what is known.
            self.closed_by = None;
        }
        self.total = total;
        self.free = total.map_or(0, |total| total.saturating_sub(self.reserved).saturating_sub(self.spent));
    }

    fn reserve(&mut self, amount: u64) {
        self.reserved = self.reserved.saturating_add(signed(amount));
        self.free = self.free.saturating_sub(signed(amount));
    }

    fn settle(&mut self, reserved: u64, spent: u64) {
        self.reserved = self.reserved.saturating_sub(signed(reserved));
        self.spent = self.spent.saturating_add(signed(spent));
        if self.total.is_some() {
            self.free = self.free.saturating_add(signed(reserved)).saturating_sub(signed(spent));
        }
    }
}

/// Every channel's account.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Ledger {
    tokens: Account,
    usd: Account,
}

impl Ledger {
    /// That of a run that begins within `limits`.
    #[must_use]
    pub fn new(limits: &Limits) -> Self {
        let mut ledger = Self::default();
        ledger.cap(limits);
        ledger
    }

    /// One channel's account.
    #[must_use]
    pub fn of(&self, channel: Channel) -> &Account {
        match channel {
            Channel::Tokens => &self.tokens,
            Channel::Usd => &self.usd,
        }
    }

    fn account(&mut self, channel: Channel) -> &mut Account {
        match channel {
            Channel::Tokens => &mut self.tokens,
            Channel::Usd => &mut self.usd,
        }
    }

    /// Other limits: what was reserved and spent stays.
    pub(super) fn cap(&mut self, limits: &Limits) {
        self.tokens.cap(limits.tokens);
        self.usd.cap(limits.usd.map(micros));
    }

    /// Whether any channel is capped.
    #[must_use]
    pub fn is_capped(&self) -> bool {
        Channel::ALL.into_iter().any(|channel| self.of(channel).total.is_some())
    }

    pub(super) fn reserve(&mut self, amounts: &Amounts) {
        for channel in Channel::ALL {
            self.account(channel).reserve(amounts.of(channel).unwrap_or(0));
        }
    }

    pub(super) fn settle(&mut self, reserved: &Amounts, charge: &Charge, worker: &str) {
        for channel in Channel::ALL {
            let amount = |of: &Amounts| of.of(channel).unwrap_or(0);
            self.account(channel).settle(amount(reserved), amount(&charge.spent));
        }
        for channel in &charge.unknown {
            self.account(*channel).closed_by.get_or_insert_with(|| worker.to_owned());
        }
    }
}

/// What an attempt is charged in the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charge {
    /// What it used, or is taken to have used.
    pub spent: Amounts,
    /// Of which channels nobody can tell what it used.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<Channel>,
}

impl Charge {
    /// As people read it.
    #[must_use]
    pub fn words(&self) -> String {
        let spent = |channel: Channel| Some(channel.words(self.spent.of(channel)?));
        let mut words: Vec<String> = Channel::ALL.into_iter().filter_map(spent).collect();
        words.extend(self.unknown.iter().map(|channel| format!("{} unknown", channel.word())));
        if words.is_empty() { "nothing used".to_owned() } else { words.join(", ") }
    }
}

/// What a task's attempt needs of a channel.
enum Demand {
    Nothing,
    /// Its ceiling.
    Exactly(u64),
    /// It has no ceiling, and may use it.
    Everything,
}

fn demand(state: &RunState, task: usize, channel: Channel) -> Demand {
    let planned = state.planned(task);
    match Amounts::from(planned.budget).of(channel) {
        _ if state.ledger.of(channel).total.is_none() => Demand::Nothing,
        Some(ceiling) => Demand::Exactly(ceiling),
        None if planned.kind.may_spend() => Demand::Everything,
        None => Demand::Nothing,
    }
}

/// Why no settlement of other attempts can ever give this task what it needs.
pub(super) fn never(state: &RunState, task: usize) -> Option<String> {
    Channel::ALL.into_iter().find_map(|channel| {
        let account = state.ledger.of(channel);
        let needs = match demand(state, task, channel) {
            Demand::Nothing => return None,
            Demand::Exactly(ceiling) => ceiling,
            Demand::Everything => 1,
        };
        let word = channel.word();
        if let Some(worker) = &account.closed_by {
            return Some(format!(
                "`{worker}` didn't say what it used of the run's {word}, so what is left isn't known"
            ));
        }
        let reachable = account.free.saturating_add(account.reserved);
        let left = || channel.words(u64::try_from(reachable).unwrap_or(0));
        (signed(needs) > reachable).then(|| {
            format!("an attempt needs {}, and {} are left of the run's", channel.words(needs), left())
        })
    })
}

/// The channels of which others hold what this task needs.
pub(super) fn lacks(state: &RunState, task: usize) -> Vec<Channel> {
    let lacks = |channel: &Channel| {
        let free = state.ledger.of(*channel).free;
        match demand(state, task, *channel) {
            Demand::Nothing => false,
            Demand::Exactly(ceiling) => signed(ceiling) > free,
            Demand::Everything => free < 1,
        }
    };
    Channel::ALL.into_iter().filter(lacks).collect()
}

/// Whether this task needs any of a channel.
pub(super) fn needs(state: &RunState, task: usize, channel: Channel) -> bool {
    !matches!(demand(state, task, channel), Demand::Nothing)
}

/// What is reserved with the claim of a task that the gate lets start.
pub(super) fn reservation(state: &RunState, task: usize) -> Amounts {
    let mut amounts = Amounts::default();
    for channel in Channel::ALL {
        let amount = match demand(state, task, channel) {
            Demand::Nothing => None,
            Demand::Exactly(ceiling) => Some(ceiling),
            Demand::Everything => u64::try_from(state.ledger.of(channel).free).ok(),
        };
        amounts.put(channel, amount);
    }
    amounts
}

/// Whether the attempt of a task must be settled though nothing is reserved for it.
pub(super) fn is_watched(state: &RunState, task: usize) -> bool {
    state.ledger.is_capped() && state.planned(task).kind.may_spend()
}

/// What an attempt is charged whose token is dead.
pub(super) fn charge(state: &RunState, worker: &WorkerState) -> Charge {
    let mut charge = Charge { spent: Amounts::default(), unknown: Vec::new() };
    if worker.dispatched_at.is_none() {
        // It never held an assignment, so it never ran (law J6).
        return charge;
    }
    let planned = state.planned(worker.task);
    for channel in Channel::ALL {
        let claimed = worker.report.as_ref().and_then(|report| report.usage.of(channel));
        // Of what was measured and what is claimed, the higher: `None` is less than anything.
        let said = claimed.max(worker.measured.of(channel));
        let reserved = worker.reserved.of(channel);
        let amount = match (said, reserved) {
            (Some(used), _) if worker.exit.is_some() => Some(used),
            // It may have gone on after it said so.
            (Some(used), reserved) => Some(used.max(reserved.unwrap_or(0))),
            (None, reserved) => reserved,
        };
        charge.spent.put(channel, amount);
        let bounded = Amounts::from(planned.budget).of(channel).is_some();
        let capped = state.ledger.of(channel).total.is_some();
        if said.is_none() && !bounded && capped && planned.kind.may_spend() {
            charge.unknown.push(channel);
        }
    }
    charge
}

fn signed(amount: u64) -> i64 {
    i64::try_from(amount).unwrap_or(i64::MAX)
}

/// Dollars as whole millionths, rounded to the nearest.
fn micros(dollars: f64) -> u64 {
    // By way of its decimal text: a cast would cut, and a sum of floats isn't exact.
    let text = format!("{dollars:.6}");
    text.replace('.', "").parse().unwrap_or(MOST)
}

/// Millionths as dollars, for people and JSON.
fn dollars(micros: i64) -> f64 {
    format!("{micros}e-6").parse().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_counted_in_whole_millionths() {
        assert_eq!(
            [0.1, 0.2, 20.0, 0.000_001, 1e9].map(micros),
            [100_000, 200_000, 20_000_000, 1, 1_000_000_000_000_000]
        );
        assert_eq!(micros(0.1) + micros(0.2), micros(0.3));
        assert_eq!([300_000, -1_500_000, 1].map(dollars), [0.3, -1.5, 0.000_001]);
        assert_eq!(Amounts::from(Usage { tokens: Some(u64::MAX), usd: Some(1e300) }).usd_micros, Some(MOST));
        assert_eq!(micros(f64::INFINITY), MOST);
    }

    #[test]
    fn d9_another_cap_moves_what_is_free_and_nothing_else() {
        let mut account = Account::default();
        account.cap(Some(100));
        account.reserve(40);
        account.settle(40, 60);
        assert_eq!((account.free, account.reserved, account.spent), (40, 0, 60));
        account.cap(Some(50));
        assert_eq!((account.free, account.spent), (-10, 60), "more is spent than may be");
        account.cap(None);
        account.settle(0, 5);
        account.cap(Some(200));
        assert_eq!((account.free, account.reserved, account.spent), (135, 0, 65));
    }
}
