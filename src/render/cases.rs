//! What the exports share: an attempt's evidence as the cases of a test suite.
//!
//! It leaves out the formats: `statement` and `junit` write them.

use serde_json::Value;

use super::evidence::{Dossier, duration_ms};
use super::words::{line, reason, task_reason};
use crate::engine::evidence::{Checked, Verdict};
use crate::engine::moment::Stamp;
use crate::engine::task_table::TaskPhase;
use crate::engine::view::TaskView;

/// One task, for the exports.
#[derive(Debug, Clone)]
pub struct Suite {
    /// Its id.
    pub task: String,
    /// Where it is.
    pub phase: TaskPhase,
    /// Its last attempt.
    pub dossier: Dossier,
    /// Each declared item, and the task itself where no item says why it isn't completed.
    pub cases: Vec<Case>,
}

/// One case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// Its name, unique in its suite.
    pub name: String,
    /// What came out.
    pub outcome: Outcome,
    /// Why.
    pub reason: String,
    /// The kind of its item, or `task`.
    pub kind: String,
    /// How long it took.
    pub millis: u64,
}

/// What came out of a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Verified.
    Passed,
    /// Refuted, or the task didn't complete.
    Failed,
    /// Nobody could see.
    Error,
    /// It wasn't asked for.
    Waived,
    /// It wasn't looked at.
    Skipped,
}

/// The frame of a run that the exports name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// The run's id.
    pub run: String,
    /// The workflow's name.
    pub workflow: String,
    /// The workflow file's path in the repository.
    pub path: String,
    /// SHA-256 of that file's bytes, in hex.
    pub digest: String,
    /// When the run started.
    pub started_at: Stamp,
}

/// The cases of one task.
#[must_use]
pub fn suite(task: &TaskView, dossier: Dossier) -> Suite {
    let mut cases: Vec<Case> = match &dossier.declared {
        Ok(kinds) => kinds.iter().enumerate().map(|(index, kind)| case(&dossier, index, kind)).collect(),
        Err(why) => vec![Case {
            name: "evidence".to_owned(),
            outcome: Outcome::Waived,
            reason: format!("waived by the workflow: {why}"),
            kind: "task".to_owned(),
            millis: 0,
        }],
    };
    if let Some(outcome) = of_task(task.phase, &cases) {
        let why = reason(&task_reason(task));
        let why = if why.is_empty() { task.phase.to_string() } else { format!("{}: {why}", task.phase) };
        let (name, kind) = ("task".to_owned(), "task".to_owned());
        cases.push(Case { name, outcome, reason: why, kind, millis: 0 });
    }
    Suite { task: task.id.clone(), phase: task.phase, dossier, cases }
}

fn case(dossier: &Dossier, index: usize, kind: &str) -> Case {
    let number = index + 1;
    let Some((_, checked)) = dossier.bundle.items.get(&index) else {
        return Case {
            name: format!("{number} {kind}"),
            outcome: Outcome::Skipped,
            reason: "it wasn't checked".to_owned(),
            kind: kind.to_owned(),
            millis: 0,
        };
    };
    Case {
        name: line(&format!("{number} {} {}", checked.kind, about(checked))),
        outcome: match checked.verdict {
            Verdict::Verified => Outcome::Passed,
            Verdict::Refuted => Outcome::Failed,
            Verdict::Unverifiable => Outcome::Error,
        },
        reason: checked.reason.clone(),
        kind: checked.kind.clone(),
        millis: duration_ms(checked).unwrap_or(0),
    }
}

/// What an item of this kind was about, as far as its facts tell.
fn about(checked: &Checked) -> &str {
    let fact = |name| checked.facts.get(name).and_then(Value::as_str);
    ["path", "command", "source", "asked"].into_iter().find_map(fact).unwrap_or_default()
}

/// A task that didn't complete says so itself where none of its items does.
fn of_task(phase: TaskPhase, cases: &[Case]) -> Option<Outcome> {
    let said = cases.iter().any(|case| matches!(case.outcome, Outcome::Failed | Outcome::Error));
    match phase {
        TaskPhase::Completed => None,
        TaskPhase::Failed | TaskPhase::Cancelled => (!said).then_some(Outcome::Failed),
        TaskPhase::Partial
        | TaskPhase::Skipped
        | TaskPhase::Pending
        | TaskPhase::Ready
        | TaskPhase::Claimed
        | TaskPhase::InProgress
        | TaskPhase::Verifying
        | TaskPhase::RepairRequired
        | TaskPhase::Blocked => Some(Outcome::Skipped),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::sample;
    use super::*;
    use crate::engine::bundle::Bundle;

    /// A completed task with an exit, an artifact and a command.
    pub(crate) fn sample_suite() -> Suite {
        let ran = Checked::new("command", Verdict::Verified, "it ended with exit code 0")
            .fact("command", "make\tcheck")
            .fact("started_at", "2023-11-14T22:14:00Z")
            .fact("ended_at", "2023-11-14T22:14:01.250Z");
        let kept = Checked::new("artifact", Verdict::Verified, "`out`, 3 bytes")
            .fact("path", "out")
            .fact("sha256", "a".repeat(64));
        let checks = [Checked::new("exit", Verdict::Verified, "exit code 0"), kept, ran];
        let mut bundle = Bundle { task: "build".into(), attempt: 1, ..Bundle::default() };
        bundle.items = checks.into_iter().map(|checked| (sample::at(60), checked)).enumerate().collect();
        let dossier = Dossier {
            declared: Ok(vec!["exit", "artifact", "command"]),
            until: Vec::new(),
            bundle,
            change: None,
        };
        suite(&of_phase(TaskPhase::Completed), dossier)
    }

    pub(crate) fn of_phase(phase: TaskPhase) -> TaskView {
        let mut task = sample::view().tasks.swap_remove(0);
        (task.id, task.phase, task.reason) = ("build".to_owned(), phase, String::new());
        task
    }

    pub(crate) fn frame() -> Frame {
        Frame {
            run: "r1".into(),
            workflow: "nightly".into(),
            path: "ilchul.yaml".into(),
            digest: "d".repeat(64),
            started_at: sample::at(0),
        }
    }

    fn with(phase: TaskPhase, verdicts: &[Verdict]) -> Vec<(String, Outcome)> {
        let mut bundle = Bundle { task: "build".into(), attempt: 1, ..Bundle::default() };
        let checks = verdicts.iter().map(|verdict| (sample::at(60), Checked::new("exit", *verdict, "why")));
        bundle.items = checks.enumerate().collect();
        let dossier = Dossier { declared: Ok(vec!["exit", "exit"]), until: Vec::new(), bundle, change: None };
        suite(&of_phase(phase), dossier).cases.into_iter().map(|case| (case.name, case.outcome)).collect()
    }

    #[test]
    fn each_item_is_a_case_named_by_its_place_and_what_it_was_about() {
        let names: Vec<_> = sample_suite().cases.into_iter().map(|case| (case.name, case.millis)).collect();
        let named = |name: &str, millis| (name.to_owned(), millis);
        assert_eq!(
            names,
            [named("1 exit", 0), named("2 artifact out", 0), named("3 command make check", 1250)]
        );
    }

    #[test]
    fn a_task_that_is_not_completed_never_looks_green() {
        use Verdict::{Refuted, Unverifiable, Verified};
        let outcomes = |phase, verdicts: &[Verdict]| -> Vec<Outcome> {
            with(phase, verdicts).into_iter().map(|(_, outcome)| outcome).collect()
        };
        assert_eq!(outcomes(TaskPhase::Completed, &[Verified, Verified]), [Outcome::Passed; 2]);
        assert_eq!(outcomes(TaskPhase::Failed, &[Verified, Refuted]), [Outcome::Passed, Outcome::Failed]);
        assert_eq!(outcomes(TaskPhase::Failed, &[Verified, Unverifiable]), [Outcome::Passed, Outcome::Error]);
        let unsaid = [Outcome::Passed, Outcome::Passed, Outcome::Failed];
        assert_eq!(outcomes(TaskPhase::Failed, &[Verified, Verified]), unsaid);
        assert_eq!(
            outcomes(TaskPhase::Cancelled, &[]),
            [Outcome::Skipped, Outcome::Skipped, Outcome::Failed]
        );
        assert_eq!(outcomes(TaskPhase::Skipped, &[]), [Outcome::Skipped; 3]);
    }
}
