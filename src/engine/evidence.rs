//! Evidence: verdicts, and the only door to `completed`.
//!
//! It leaves out how items are checked (`supervisor/verify.rs` looks, this judges
//! what it saw) and the item kinds' declarations, which are the workflow's.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::named::Named;

use super::input::Answer;
use crate::workflow::{APPROVAL, Evidence, Item, REVIEW, Task};

/// What came out of one check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// ilchul saw it itself.
    Verified,
    /// ilchul saw otherwise.
    Refuted,
    /// ilchul couldn't see.
    Unverifiable,
}

impl Verdict {
    /// The word that users see.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::Refuted => "refuted",
            Self::Unverifiable => "unverifiable",
        }
    }
}

/// One checked item: verdict, reason, and the facts it was judged by.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Checked {
    /// The item's kind, as in the workflow.
    pub kind: String,
    /// What came out.
    pub verdict: Verdict,
    /// Why, in one sentence's fragment.
    pub reason: String,
    /// What was looked at: commit, exit, duration, hash, ... by name.
    #[serde(default, skip_serializing_if = "Named::is_empty")]
    pub facts: Named<Value>,
}

impl Checked {
    /// A check without facts.
    #[must_use]
    pub fn new(kind: &str, verdict: Verdict, reason: impl Into<String>) -> Self {
        Self { kind: kind.to_owned(), verdict, reason: reason.into(), facts: Named::default() }
    }

    /// An approval that nobody has given or denied yet.
    #[must_use]
    pub fn unanswered(message: &str) -> Self {
        Self::new(APPROVAL, Verdict::Unverifiable, format!("no answer yet: {message}"))
    }

    /// A person's answer to an approval.
    #[must_use]
    pub fn answered(message: &str, answer: &Answer) -> Self {
        let (verdict, done) = match answer.yes {
            true => (Verdict::Verified, "approved"),
            false => (Verdict::Refuted, "denied"),
        };
        let because = answer.reason.as_ref().map_or_else(String::new, |reason| format!(": {reason}"));
        Self::new(APPROVAL, verdict, format!("{done} by {}{because}", answer.who))
            .fact("asked", message)
            .fact("who", answer.who.clone())
    }

    /// A review without a verdict so far.
    #[must_use]
    pub fn unreviewed(by: &str) -> Self {
        Self::new(REVIEW, Verdict::Unverifiable, format!("no verdict of `{by}` yet")).fact("by", by)
    }

    /// Whether it is anything else than verified, and waits for nobody.
    #[must_use]
    pub fn is_unmet(&self) -> bool {
        self.verdict != Verdict::Verified && !self.is_unanswered()
    }

    /// Whether it is an approval or a review without an answer.
    #[must_use]
    pub fn is_unanswered(&self) -> bool {
        self.verdict == Verdict::Unverifiable && self.is_asked() && !self.is_answer()
    }

    /// Whether it is what a person or a reviewer answered, which changes one item and begins no
    /// new look. A review that nobody could make is one too: another look would be no other.
    #[must_use]
    pub fn is_answer(&self) -> bool {
        let seen = self.verdict != Verdict::Unverifiable;
        self.is_asked() && (seen || (self.kind == REVIEW && self.facts.get("ended").is_some()))
    }

    /// Whether somebody is asked for it, and nobody looks.
    fn is_asked(&self) -> bool {
        self.kind == APPROVAL || self.kind == REVIEW
    }

    /// The same with one fact more.
    #[must_use]
    pub fn fact(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.facts = self.facts.with(name, value.into());
        self
    }
}

/// Proof that every declared item was verified. No other code can make one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Accepted {
    /// How many items; 0 only where the workflow waives evidence.
    verified: usize,
}

impl Accepted {
    /// The proof, if `checked` verifies every item that `task` declares for itself, in order.
    /// Conditions of the loop around it were looked at too, and answered where a person is to.
    #[must_use]
    pub fn new(task: &Task, checked: &[Checked]) -> Option<Self> {
        let items = task.evidence.items();
        let whole = items.len() == checked.len();
        let same_kinds = items.iter().zip(checked).all(|(item, checked)| item.kind() == checked.kind);
        let (own, conditions) = checked.split_at_checked(task.required())?;
        let verified = own.iter().all(|checked| checked.verdict == Verdict::Verified);
        let settled = conditions.iter().all(|checked| !checked.is_unanswered())
            || conditions.iter().any(|checked| checked.is_unmet());
        (whole && same_kinds && verified && settled).then_some(Self { verified: own.len() })
    }

    /// How many items were verified.
    #[must_use]
    pub fn count(&self) -> usize {
        self.verified
    }
}

/// How a child ended, as far as anybody could see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChildExit {
    /// By itself.
    Code(i32),
    /// By a signal.
    Signal(i32),
    /// Nobody can know.
    Unknown,
}

impl ChildExit {
    /// Its words, for reasons.
    #[must_use]
    pub fn words(self) -> String {
        match self {
            Self::Code(code) => format!("exit code {code}"),
            Self::Signal(signal) => format!("ended by signal {signal}"),
            Self::Unknown => "exit unknown".to_owned(),
        }
    }
}

/// Judges an `exit` item: the one kind that needs no further look.
#[must_use]
pub fn judge_exit(expected: i32, found: ChildExit) -> Checked {
    let (verdict, reason) = match found {
        ChildExit::Code(code) if code == expected => (Verdict::Verified, format!("exit code {code}")),
        ChildExit::Code(_) | ChildExit::Signal(_) => {
            (Verdict::Refuted, format!("expected exit code {expected}, found {}", found.words()))
        }
        ChildExit::Unknown => (Verdict::Unverifiable, "nobody recorded how the process ended".to_owned()),
    };
    let checked = Checked::new("exit", verdict, reason).fact("expected", expected);
    match found {
        ChildExit::Code(code) => checked.fact("code", code),
        ChildExit::Signal(signal) => checked.fact("signal", signal),
        ChildExit::Unknown => checked,
    }
}

/// Judges everything at once where every item is an `exit` or waits for somebody else; `None` where
/// something must be looked at.
#[must_use]
pub fn judge_without_looking(
    declared: &Evidence,
    found: ChildExit,
    outputs: &Map<String, Value>,
) -> Option<Vec<Checked>> {
    declared
        .items()
        .iter()
        .map(|item| match item {
            Item::Exit(expected) => Some(judge_exit(*expected, found)),
            Item::Approval { message } => Some(Checked::unanswered(message)),
            Item::Review { task } => Some(Checked::unreviewed(task)),
            Item::Output { name, equals } => Some(judge_output(name, equals, outputs)),
            Item::Choice { name, among } => Some(judge_choice(name, among, outputs)),
            Item::Command { .. }
            | Item::Diff { .. }
            | Item::Artifact { .. }
            | Item::Log { .. }
            | Item::Views
            | Item::Unchanged
            | Item::Reduced
            | Item::Children => None,
        })
        .collect()
}

/// Judges an `output` condition by what the accepted report answered.
#[must_use]
pub fn judge_output(name: &str, equals: &Value, outputs: &Map<String, Value>) -> Checked {
    let (verdict, reason) = match outputs.get(name) {
        Some(found) if found == equals => {
            (Verdict::Verified, format!("`outputs.{name}` is {}", brief(found)))
        }
        Some(found) => (
            Verdict::Refuted,
            format!("expected `outputs.{name}` to be {}, found {}", brief(equals), brief(found)),
        ),
        None => (Verdict::Refuted, format!("the report has no `outputs.{name}`")),
    };
    Checked::new("output", verdict, reason).fact("name", name)
}

/// Judges a `choice` by what the accepted report answered: one known word, as text.
#[must_use]
pub fn judge_choice(name: &str, among: &[String], outputs: &Map<String, Value>) -> Checked {
    let known = || among.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
    let (verdict, reason) = match outputs.get(name) {
        Some(Value::String(word)) if among.contains(word) => (Verdict::Verified, format!("chose `{word}`")),
        Some(found) => {
            (Verdict::Refuted, format!("`outputs.{name}` is {}, which is none of {}", brief(found), known()))
        }
        None => {
            (Verdict::Refuted, format!("the report has no `outputs.{name}`: one of {} is asked for", known()))
        }
    };
    let checked = Checked::new("choice", verdict, reason).fact("name", name);
    match outputs.get(name) {
        Some(Value::String(word)) if verdict == Verdict::Verified => checked.fact("chosen", word.clone()),
        Some(_) | None => checked,
    }
}

/// A value as a reason shows it: other people's JSON has no bound of its own.
fn brief(value: &Value) -> String {
    const SHOWN: usize = 80;
    let text = value.to_string();
    let short: String = text.chars().take(SHOWN).collect();
    if short.len() < text.len() { format!("{short}...") } else { short }
}

/// Whether an exit is fatal by itself: evidence is declared, none of it is an
/// `exit` item, and the child didn't end with 0 (contract 3). An iteration that declares
/// none of its own only fails by a signal (law D3).
#[must_use]
pub fn is_fatal(task: &Task, found: ChildExit) -> bool {
    let has_exit_item = task.evidence.items().iter().any(|item| matches!(item, Item::Exit(_)));
    let only_conditions = task.conditions > 0 && task.required() == 0;
    match found {
        ChildExit::Code(0) | ChildExit::Unknown => false,
        ChildExit::Code(_) => !has_exit_item && !only_conditions,
        ChildExit::Signal(_) => !has_exit_item,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workflow::TaskKind;

    fn verified(kind: &str) -> Checked {
        Checked::new(kind, Verdict::Verified, "seen")
    }

    fn showing(evidence: Evidence) -> Task {
        Task { evidence, ..Task::new("a", TaskKind::Run("true".to_owned())) }
    }

    #[test]
    fn law_2_nothing_is_accepted_unless_every_declared_item_was_verified() {
        let declared = showing(Evidence::Items(vec![Item::Exit(0), Item::Artifact { path: "a".into() }]));
        let refuted = Checked::new("artifact", Verdict::Refuted, "missing");
        let unseen = Checked::new("artifact", Verdict::Unverifiable, "permission");
        assert!(Accepted::new(&declared, &[]).is_none());
        assert!(Accepted::new(&declared, &[verified("exit")]).is_none());
        assert!(Accepted::new(&declared, &[verified("exit"), refuted]).is_none());
        assert!(Accepted::new(&declared, &[verified("exit"), unseen]).is_none());
        assert!(Accepted::new(&declared, &[verified("artifact"), verified("exit")]).is_none());
        let accepted = Accepted::new(&declared, &[verified("exit"), verified("artifact")]);
        assert_eq!(accepted.map(|accepted| accepted.count()), Some(2));
    }

    #[test]
    fn an_approval_is_open_until_somebody_answers_and_the_record_says_who() {
        let answer = |yes, reason: Option<&str>| Answer {
            yes,
            who: "ana".to_owned(),
            reason: reason.map(str::to_owned),
        };
        let open = Checked::unanswered("Ship it?");
        assert_eq!((open.verdict, &*open.reason), (Verdict::Unverifiable, "no answer yet: Ship it?"));
        assert!(open.is_unanswered() && !open.is_answer());
        let yes = Checked::answered("Ship it?", &answer(true, None));
        assert_eq!((yes.verdict, &*yes.reason), (Verdict::Verified, "approved by ana"));
        let no = Checked::answered("Ship it?", &answer(false, Some("not today")));
        assert_eq!((no.verdict, &*no.reason), (Verdict::Refuted, "denied by ana: not today"));
        for answered in [yes, no] {
            assert!(answered.is_answer() && !answered.is_unanswered());
            assert_eq!(answered.facts.get("who").unwrap(), "ana");
            assert_eq!(answered.facts.get("asked").unwrap(), "Ship it?");
        }
        let unseen = Checked::new("artifact", Verdict::Unverifiable, "permission");
        assert!(!unseen.is_unanswered() && !verified("exit").is_answer());
    }

    #[test]
    fn waived_evidence_is_accepted_with_nothing_to_show_and_nothing_else_is() {
        let waived = showing(Evidence::Waived("why".into()));
        assert!(Accepted::new(&waived, &[]).is_some());
        assert!(Accepted::new(&waived, &[verified("exit")]).is_none());
    }

    #[test]
    fn an_exit_item_asks_for_its_own_code() {
        assert_eq!(judge_exit(3, ChildExit::Code(3)).verdict, Verdict::Verified);
        assert_eq!(judge_exit(0, ChildExit::Code(3)).verdict, Verdict::Refuted);
        assert_eq!(judge_exit(0, ChildExit::Signal(9)).verdict, Verdict::Refuted);
        assert_eq!(judge_exit(0, ChildExit::Unknown).verdict, Verdict::Unverifiable);
    }

    #[test]
    fn a_non_zero_exit_is_fatal_only_where_no_exit_item_judges_it() {
        let with = showing(Evidence::Items(vec![Item::Exit(3)]));
        let without = showing(Evidence::Items(vec![Item::Artifact { path: "a".into() }]));
        assert!(!is_fatal(&with, ChildExit::Code(1)));
        assert!(is_fatal(&without, ChildExit::Code(1)));
        assert!(is_fatal(&without, ChildExit::Signal(15)));
        assert!(!is_fatal(&without, ChildExit::Code(0)));
        assert!(is_fatal(&showing(Evidence::Waived("why".into())), ChildExit::Code(1)));
    }

    #[test]
    fn d3_a_condition_that_isnt_met_yet_fails_no_iteration() {
        let condition = Item::Artifact { path: "done".into() };
        let iteration = Task { conditions: 1, ..showing(Evidence::Items(vec![condition.clone()])) };
        let unmet = Checked::new("artifact", Verdict::Refuted, "missing");
        assert!(!is_fatal(&iteration, ChildExit::Code(1)) && is_fatal(&iteration, ChildExit::Signal(9)));
        assert_eq!(Accepted::new(&iteration, std::slice::from_ref(&unmet)).map(|it| it.count()), Some(0));
        assert!(Accepted::new(&iteration, &[]).is_none(), "nobody looked at the condition yet");
        let own = Evidence::Items(vec![Item::Exit(0), condition]);
        let iteration = Task { conditions: 1, ..showing(own) };
        assert!(Accepted::new(&iteration, &[verified("exit"), unmet]).is_some());
        let failed = Checked::new("exit", Verdict::Refuted, "code 1");
        assert!(Accepted::new(&iteration, &[failed, verified("artifact")]).is_none());
    }

    #[test]
    fn a_condition_that_asks_a_person_waits_for_them_only_while_the_others_are_met() {
        let asked = Item::Approval { message: "Good?".into() };
        let items = Evidence::Items(vec![Item::Artifact { path: "done".into() }, asked]);
        let iteration = Task { conditions: 2, ..showing(items) };
        let open = Checked::unanswered("Good?");
        let unmet = Checked::new("artifact", Verdict::Refuted, "missing");
        assert!(Accepted::new(&iteration, &[verified("artifact"), open.clone()]).is_none());
        assert!(Accepted::new(&iteration, &[unmet, open]).is_some());
    }

    #[test]
    fn a_choice_is_one_known_word_and_an_output_is_one_value() {
        let outputs = |value: Value| Map::from_iter([("label".to_owned(), value)]);
        let among = ["bug".to_owned(), "docs".to_owned()];
        let chosen = judge_choice("label", &among, &outputs("bug".into()));
        assert_eq!((chosen.verdict, &*chosen.reason), (Verdict::Verified, "chose `bug`"));
        assert_eq!(chosen.facts.get("chosen").unwrap(), "bug");
        for stranger in [Value::from("x"), Value::from(1), Value::Null, Value::from(vec!["bug"])] {
            let refused = judge_choice("label", &among, &outputs(stranger));
            assert_eq!(refused.verdict, Verdict::Refuted);
            assert!(refused.facts.get("chosen").is_none(), "{}", refused.reason);
        }
        let none = judge_choice("label", &among, &Map::new());
        assert_eq!(none.reason, "the report has no `outputs.label`: one of `bug`, `docs` is asked for");
        assert_eq!(judge_output("label", &true.into(), &outputs(true.into())).verdict, Verdict::Verified);
        let other = judge_output("label", &true.into(), &outputs(1.into()));
        assert_eq!(other.reason, "expected `outputs.label` to be true, found 1");
        assert_eq!(judge_output("label", &true.into(), &Map::new()).verdict, Verdict::Refuted);
    }
}
