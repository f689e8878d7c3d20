//! What an agent's work cost, folded from what it tells.
//!
//! Measured here means read from the agent's own figures and not from its report. It leaves
//! out prices: dollars are only what somebody said in dollars.

use super::record::{dig, matches};
use crate::protocol::{ResultFile, Usage, UsageFold, UsageRule};
use serde_json::Value;

/// The name under which the content of a result file is heard at the end of a turn.
pub(super) const RESULT: &str = "result-file";

/// What each rule has found.
#[derive(Debug)]
pub(super) struct Tally {
    rules: Vec<(UsageRule, Found)>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Found {
    /// Of the turns, or the sessions, that are over, and what only adds up.
    settled: Amount,
    /// Of the one that goes on.
    open: Amount,
}

#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Amount {
    tokens: Option<u64>,
    usd: Option<f64>,
}

impl Amount {
    fn plus(self, other: Self) -> Self {
        let usd = |a: f64, b: f64| a + b;
        Self {
            tokens: both(self.tokens, other.tokens, u64::saturating_add),
            usd: both(self.usd, other.usd, usd),
        }
    }

    fn or(self, other: Self) -> Self {
        Self { tokens: self.tokens.or(other.tokens), usd: self.usd.or(other.usd) }
    }

    fn most(self, other: Self) -> Self {
        Self { tokens: both(self.tokens, other.tokens, u64::max), usd: both(self.usd, other.usd, f64::max) }
    }
}

/// What is known of two amounts together; nobody said isn't nothing.
fn both<T>(a: Option<T>, b: Option<T>, join: impl FnOnce(T, T) -> T) -> Option<T> {
    match (a, b) {
        (Some(a), Some(b)) => Some(join(a, b)),
        (a, b) => a.or(b),
    }
}

impl Tally {
    /// With an agent's rules, and what its result file says.
    pub(super) fn new(rules: &[UsageRule], result: Option<&ResultFile>) -> Self {
        let of_result = result.map(|result| UsageRule {
            on: RESULT.to_owned(),
            tokens: result.tokens.clone(),
            usd: result.usd.clone(),
            fold: UsageFold::Last,
        });
        let rules = rules.iter().cloned().chain(of_result);
        Self { rules: rules.map(|rule| (rule, Found::default())).collect() }
    }

    /// Takes one record.
    pub(super) fn hear(&mut self, name: &str, value: &Value) {
        for (rule, found) in &mut self.rules {
            if !matches(&rule.on, name) {
                continue;
            }
            let amount = read(rule, value);
            match rule.fold {
                UsageFold::Last => found.open = amount.or(found.open),
                UsageFold::Sum => found.settled = found.settled.plus(amount),
                UsageFold::Session => found.open = found.open.most(amount),
            }
        }
    }

    /// A turn begins; `fresh`: in a session of its own.
    pub(super) fn begin_turn(&mut self, fresh: bool) {
        for (rule, found) in &mut self.rules {
            if fresh || rule.fold == UsageFold::Last {
                found.settled = found.settled.plus(std::mem::take(&mut found.open));
            }
        }
    }

    /// All of it; none where nobody said anything.
    pub(super) fn total(&self) -> Option<Usage> {
        let all = self
            .rules
            .iter()
            .fold(Amount::default(), |sum, (_, found)| sum.plus(found.settled).plus(found.open));
        (all != Amount::default()).then_some(Usage { tokens: all.tokens, usd: all.usd })
    }
}

fn read(rule: &UsageRule, value: &Value) -> Amount {
    let tokens = |path: &String| dig(value, path)?.as_u64();
    let tokens: Vec<u64> = rule.tokens.iter().filter_map(tokens).collect();
    let usd = rule.usd.as_deref().and_then(|path| dig(value, path)?.as_f64());
    Amount {
        tokens: (!tokens.is_empty()).then(|| tokens.into_iter().fold(0, u64::saturating_add)),
        usd: usd.filter(|usd| usd.is_finite() && *usd >= 0.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn tally(fold: UsageFold) -> Tally {
        let tokens = vec!["in".to_owned(), "out".to_owned()];
        Tally::new(&[UsageRule { on: "end".to_owned(), tokens, usd: Some("cost".to_owned()), fold }], None)
    }

    fn hear(tally: &mut Tally, tokens: u64) {
        tally.hear("end/x", &json!({"in": tokens, "out": 1, "cost": 0.25}));
    }

    #[test]
    fn two_turns_of_two_records_come_to_what_the_fold_says() {
        for (fold, fresh, tokens, usd) in [
            (UsageFold::Last, false, 21 + 41, 0.5),
            (UsageFold::Sum, false, 11 + 21 + 31 + 41, 1.0),
            (UsageFold::Session, false, 41, 0.25),
            (UsageFold::Session, true, 21 + 41, 0.5),
        ] {
            let mut tally = tally(fold);
            assert_eq!(tally.total(), None);
            tally.begin_turn(true);
            hear(&mut tally, 10);
            hear(&mut tally, 20);
            tally.begin_turn(fresh);
            hear(&mut tally, 30);
            hear(&mut tally, 40);
            tally.hear("other", &json!({"in": 1_000}));
            assert_eq!(tally.total(), Some(Usage { tokens: Some(tokens), usd: Some(usd) }), "{fold:?}");
        }
    }

    #[test]
    fn figures_that_can_be_none_are_none() {
        let mut tally = tally(UsageFold::Sum);
        for value in [json!({}), json!({"in": -1, "cost": -0.5}), json!({"in": "9", "cost": null}), json!(7)]
        {
            tally.hear("end", &value);
        }
        assert_eq!(tally.total(), None);
        tally.hear("end", &json!({"in": u64::MAX, "out": u64::MAX}));
        assert_eq!(tally.total(), Some(Usage { tokens: Some(u64::MAX), usd: None }));
    }

    #[test]
    fn a_result_file_tells_at_the_end_of_its_turn() {
        let result = ResultFile { tokens: vec!["n".to_owned()], ..ResultFile::default() };
        let mut tally = Tally::new(&[], Some(&result));
        tally.hear(RESULT, &json!(null));
        tally.hear(RESULT, &json!({"n": 5}));
        tally.begin_turn(true);
        tally.hear(RESULT, &json!({"n": 6}));
        assert_eq!(tally.total(), Some(Usage { tokens: Some(11), usd: None }));
    }
}
