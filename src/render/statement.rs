//! An in-toto Statement v1 about one task: predicate `test-result` v0.1.
//!
//! Its subjects are the commit that was judged and the artifacts that were kept. It leaves
//! out signing, which is for whoever publishes it.

use serde_json::{Value, json};

use super::cases::{Case, Frame, Outcome, Suite};
use crate::engine::task_table::TaskPhase;

/// The type of the document.
pub const STATEMENT: &str = "https://in-toto.io/Statement/v1";
/// The type of what it says.
pub const TEST_RESULT: &str = "https://in-toto.io/attestation/test-result/v0.1";

/// The statement of one task; none where there is nothing that it could be about.
#[must_use]
pub fn statement(frame: &Frame, suite: &Suite) -> Option<Value> {
    let result = result(suite)?;
    let subjects = subjects(frame, suite);
    // A statement without a subject says nothing of anything, and isn't a valid one.
    if subjects.is_empty() {
        return None;
    }
    let bundle = &suite.dossier.bundle;
    let configuration = json!({
        "name": frame.path,
        "digest": {"sha256": frame.digest},
        "annotations": {
            "producer": "ilchul",
            "run": frame.run,
            "workflow": frame.workflow,
            "task": suite.task,
            "attempt": bundle.attempt,
            "start": bundle.start,
            "state": suite.phase.word(),
            "drift": super::drift::json(&bundle.drift),
        },
    });
    Some(json!({
        "_type": STATEMENT,
        "subject": subjects,
        "predicateType": TEST_RESULT,
        "predicate": {
            "result": result,
            "configuration": [configuration],
            "passedTests": named(suite, |case| case.outcome == Outcome::Passed),
            "warnedTests": named(suite, |case| case.outcome == Outcome::Waived),
            "failedTests": named(suite, |case| matches!(case.outcome, Outcome::Failed | Outcome::Error)),
        },
    }))
}

fn named(suite: &Suite, which: impl Fn(&Case) -> bool) -> Vec<&str> {
    suite.cases.iter().filter(|case| which(case)).map(|case| case.name.as_str()).collect()
}

/// None for a task that hasn't been tested to its end.
fn result(suite: &Suite) -> Option<&'static str> {
    match suite.phase {
        TaskPhase::Completed if suite.dossier.declared.is_ok() => Some("PASSED"),
        // Nothing was tested, or a part was done: neither is a pass.
        TaskPhase::Completed | TaskPhase::Partial => Some("WARNED"),
        TaskPhase::Failed | TaskPhase::Cancelled => Some("FAILED"),
        TaskPhase::Skipped
        | TaskPhase::Pending
        | TaskPhase::Ready
        | TaskPhase::Claimed
        | TaskPhase::InProgress
        | TaskPhase::Verifying
        | TaskPhase::RepairRequired
        | TaskPhase::Blocked => None,
    }
}

/// The judged commit, and each artifact whose bytes were kept; a digest once.
fn subjects(frame: &Frame, suite: &Suite) -> Vec<Value> {
    let bundle = &suite.dossier.bundle;
    let head = bundle.snapshot.as_ref().map(|snapshot| {
        let name = format!("refs/ilchul/{}/{}", frame.run, bundle.worker_id());
        json!({"name": name, "digest": {"gitCommit": snapshot.commit}})
    });
    // What met its loop's condition is no work of the iteration's that its own items name.
    let own = bundle.items.iter().filter(|(index, _)| !suite.dossier.is_condition(**index));
    let artifacts = own.map(|(_, (_, checked))| checked).filter(|checked| checked.kind == "artifact");
    let artifacts = artifacts.filter_map(|checked| {
        let (path, sha256) = (checked.facts.get("path")?, checked.facts.get("sha256")?);
        Some(json!({"name": path, "digest": {"sha256": sha256}}))
    });
    let mut subjects: Vec<Value> = Vec::new();
    for subject in head.into_iter().chain(artifacts) {
        if !subjects.contains(&subject) {
            subjects.push(subject);
        }
    }
    subjects
}

/// Whether a file with these bytes is a statement that ilchul wrote.
#[must_use]
pub fn is_ours(bytes: &[u8]) -> bool {
    let Ok(found) = serde_json::from_slice::<Value>(bytes) else { return false };
    let producer = &found["predicate"]["configuration"][0]["annotations"]["producer"];
    found["predicateType"] == TEST_RESULT && producer == "ilchul"
}

#[cfg(test)]
mod tests {
    use super::super::cases::suite;
    use super::super::cases::tests::{frame, of_phase, sample_suite};
    use super::*;
    use crate::engine::event::Snapshot;

    #[test]
    fn a_statement_is_about_the_judged_commit_and_the_kept_bytes() {
        let mut suite = sample_suite();
        suite.dossier.bundle.snapshot = Some(Snapshot {
            commit: "c".repeat(40),
            tip: "t".into(),
            uncommitted: Vec::new(),
            changed: Vec::new(),
        });
        let found = statement(&frame(), &suite).unwrap();
        assert_eq!((&found["_type"], &found["predicateType"]), (&json!(STATEMENT), &json!(TEST_RESULT)));
        assert_eq!(
            found["subject"],
            json!([
                {"name": "refs/ilchul/r1/build.1", "digest": {"gitCommit": "c".repeat(40)}},
                {"name": "out", "digest": {"sha256": "a".repeat(64)}},
            ])
        );
        let predicate = &found["predicate"];
        assert_eq!(predicate["result"], "PASSED");
        assert_eq!(predicate["passedTests"], json!(["1 exit", "2 artifact out", "3 command make check"]));
        assert_eq!((&predicate["warnedTests"], &predicate["failedTests"]), (&json!([]), &json!([])));
        assert!(is_ours(&serde_json::to_vec(&found).unwrap()));
        assert!(!is_ours(b"{\"predicateType\": 3}") && !is_ours(b"no JSON"));
    }

    #[test]
    fn only_a_completed_task_with_evidence_has_passed() {
        let result = |phase, declared: Result<Vec<&'static str>, String>| {
            let mut dossier = sample_suite().dossier;
            dossier.declared = declared;
            statement(&frame(), &suite(&of_phase(phase), dossier)).map(|found| found["predicate"].clone())
        };
        let failed = result(TaskPhase::Failed, Ok(vec!["exit"])).unwrap();
        assert_eq!((&failed["result"], &failed["failedTests"]), (&json!("FAILED"), &json!(["task"])));
        let waived = result(TaskPhase::Completed, Err("a spike".into())).unwrap();
        assert_eq!((&waived["result"], &waived["warnedTests"]), (&json!("WARNED"), &json!(["evidence"])));
        assert_eq!(result(TaskPhase::InProgress, Ok(vec!["exit"])), None);
        assert_eq!(result(TaskPhase::Skipped, Ok(vec!["exit"])), None);
    }

    #[test]
    fn without_a_commit_and_an_artifact_there_is_nothing_to_state() {
        let mut suite = sample_suite();
        suite.dossier.bundle.items.clear();
        assert_eq!(statement(&frame(), &suite), None);
    }
}
