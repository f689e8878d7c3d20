//! `evidence`: what was declared for one attempt, what was checked, what came out, and
//! what its worker said, which is no proof.
//!
//! It leaves out the checking.

use serde_json::{Map, Value, json};

use super::clean;
use super::table::{Screen, Tone, toned};
use super::words::{ago, line, sentence, time};
use crate::engine::evidence::{Checked, Verdict};
use crate::engine::moment::Stamp;

/// Facts longer than this are cut for people; `--json` has them whole.
const FACT_MAX: usize = 200;

/// Everything that is known of one attempt's evidence.
#[derive(Debug, Clone, PartialEq)]
pub struct Dossier {
    /// The task's id.
    pub task: String,
    /// Which attempt; 0 before the first.
    pub attempt: u32,
    /// What the workflow declares, by kind; the reason, where it is waived.
    pub declared: Result<Vec<&'static str>, String>,
    /// The last check of each item, by its place in the declaration.
    pub items: Vec<(usize, Stamp, Checked)>,
    /// The last accepted report.
    pub report: Option<Said>,
    /// Reports that changed nothing.
    pub refused: Vec<Refused>,
}

/// An accepted report.
#[derive(Debug, Clone, PartialEq)]
pub struct Said {
    /// When it was accepted.
    pub at: Stamp,
    /// Its status word.
    pub status: String,
    /// Its summary.
    pub summary: String,
    /// Its reason.
    pub reason: Option<String>,
    /// What dependents may read.
    pub outputs: Map<String, Value>,
    /// Claimed hashes and commits.
    pub claims: Vec<Value>,
    /// SHA-256 of its bytes, in hex.
    pub sha256: String,
}

/// A refused report.
#[derive(Debug, Clone, PartialEq)]
pub struct Refused {
    /// When it was refused.
    pub at: Stamp,
    /// Why, as a code.
    pub code: String,
    /// Why, in words.
    pub detail: String,
    /// SHA-256 of its bytes, in hex.
    pub sha256: String,
}

/// The data of `evidence --json`.
#[must_use]
pub fn json(dossier: &Dossier) -> Value {
    let items: Vec<Value> = dossier.items.iter().map(|(_, at, checked)| item(*at, checked)).collect();
    json!({
        "task": dossier.task,
        "attempt": dossier.attempt,
        "waived": dossier.declared.as_ref().err(),
        "items": items,
        "report": dossier.report.as_ref().map(said),
        "refused": dossier.refused.iter().map(refused).collect::<Vec<_>>(),
    })
}

/// One item with its facts beside the verdict; a fact can't replace one of ours.
fn item(at: Stamp, checked: &Checked) -> Value {
    let mut fields: Map<String, Value> =
        checked.facts.iter().map(|(name, fact)| (name.to_owned(), fact.clone())).collect();
    fields.insert("kind".to_owned(), checked.kind.clone().into());
    fields.insert("verdict".to_owned(), checked.verdict.word().into());
    fields.insert("reason".to_owned(), checked.reason.clone().into());
    fields.insert("checked_at".to_owned(), time(at.wall_ms).into());
    Value::Object(fields)
}

fn said(report: &Said) -> Value {
    json!({
        "at": time(report.at.wall_ms),
        "status": report.status,
        "summary": report.summary,
        "reason": report.reason,
        "outputs": report.outputs,
        "evidence": report.claims,
        "sha256": report.sha256,
    })
}

fn refused(report: &Refused) -> Value {
    json!({"at": time(report.at.wall_ms), "code": report.code, "detail": report.detail, "sha256": report.sha256})
}

/// The words for people.
#[must_use]
pub fn text(dossier: &Dossier, screen: Screen) -> String {
    let Dossier { task, attempt, .. } = dossier;
    let mut text = match attempt {
        0 => format!("`{task}` hasn't been tried yet.\n"),
        _ => format!("Evidence of `{task}`, attempt {attempt}:\n"),
    };
    match &dossier.declared {
        Err(why) => text.push_str(&format!(
            "  {} by the workflow: {}\n",
            toned(screen, Tone::Warn, "waived"),
            line(why)
        )),
        Ok(kinds) => {
            for (index, kind) in kinds.iter().enumerate() {
                text.push_str(&entry(dossier, index, kind, screen));
            }
        }
    }
    text.push_str(&report_text(dossier, screen));
    text
}

fn entry(dossier: &Dossier, index: usize, kind: &str, screen: Screen) -> String {
    let Some((_, at, checked)) = dossier.items.iter().find(|(item, _, _)| *item == index) else {
        return format!("  {}  {kind}\n", toned(screen, Tone::Dim, "not checked"));
    };
    let tone = match checked.verdict {
        Verdict::Verified => Tone::Good,
        Verdict::Refuted => Tone::Bad,
        Verdict::Unverifiable => Tone::Warn,
    };
    let verdict = toned(screen, tone, checked.verdict.word());
    let when = ago(screen.now_ms, at.wall_ms);
    let mut text = format!("  {verdict}  {}: {} ({when})\n", line(&checked.kind), line(&checked.reason));
    for (name, value) in checked.facts.iter() {
        text.push_str(&format!("    {}: {}\n", line(name), fact(value)));
    }
    text
}

fn fact(value: &Value) -> String {
    let raw = match value {
        Value::String(text) => text.clone(),
        Value::Null => "not known".to_owned(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    };
    match raw.char_indices().nth(FACT_MAX) {
        Some((cut, _)) => format!("{}…", line(&raw[..cut])),
        None => line(&raw),
    }
}

fn report_text(dossier: &Dossier, screen: Screen) -> String {
    let mut text = String::new();
    match &dossier.report {
        None if dossier.attempt > 0 => text.push_str("No report was accepted.\n"),
        None => {}
        Some(report) => {
            let when = ago(screen.now_ms, report.at.wall_ms);
            text.push_str(&format!(
                "The worker said (a claim, no proof): {}, {when}.\n",
                line(&report.status)
            ));
            let summary = sentence(&line(&report.summary));
            let reason = report.reason.as_deref().map(|reason| sentence(&line(reason))).unwrap_or_default();
            for said in [summary, reason].into_iter().filter(|said| !said.is_empty()) {
                text.push_str(&format!("  {said}\n"));
            }
            for (name, value) in &report.outputs {
                text.push_str(&format!("  output {}: {}\n", clean(name), fact(value)));
            }
        }
    }
    for report in &dossier.refused {
        let when = ago(screen.now_ms, report.at.wall_ms);
        text.push_str(&format!(
            "A report was refused {when}: {}: {} (kept as {})\n",
            line(&report.code),
            line(&report.detail),
            report.sha256
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    fn dossier() -> Dossier {
        let built = sample::view().tasks.swap_remove(0);
        let outputs = json!({"label": "left\u{1b}[1m"});
        Dossier {
            task: "build".to_owned(),
            attempt: 1,
            declared: Ok(vec!["exit", "artifact", "diff"]),
            items: built
                .evidence
                .into_iter()
                .enumerate()
                .map(|(n, checked)| (n, sample::at(60), checked))
                .collect(),
            report: Some(Said {
                at: sample::at(50),
                status: "done".to_owned(),
                summary: "built it".to_owned(),
                reason: None,
                outputs: outputs.as_object().cloned().unwrap_or_default(),
                claims: Vec::new(),
                sha256: "c".repeat(64),
            }),
            refused: vec![Refused {
                at: sample::at(70),
                code: "dead_token".to_owned(),
                detail: "token 1, the claim's is 2".to_owned(),
                sha256: "d".repeat(64),
            }],
        }
    }

    #[test]
    fn items_are_shown_with_verdict_reason_and_facts_and_the_report_as_a_claim() {
        insta::assert_snapshot!(text(&dossier(), sample::screen()), @r#"
        Evidence of `build`, attempt 1:
          verified  exit: exit code 0 (1 min ago)
            code: 0
            expected: 0
          verified  artifact: a regular file (1 min ago)
            path: out/\u{1b}[1mx
          not checked  diff
        The worker said (a claim, no proof): done, 1 min ago.
          Built it.
          output label: left\u{1b}[1m
        A report was refused 50 s ago: dead_token: token 1, the claim's is 2 (kept as dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd)
        "#);
    }

    #[test]
    fn facts_stand_beside_the_verdict_and_never_replace_it() {
        let mut dossier = dossier();
        dossier.items[0].2 =
            Checked::new("exit", Verdict::Refuted, "no").fact("verdict", "verified").fact("code", 3);
        let found = json(&dossier);
        let item = json!({"kind": "exit", "verdict": "refuted", "reason": "no", "code": 3, "checked_at": "2023-11-14T22:14:20Z"});
        assert_eq!(found["items"][0], item);
        assert_eq!(found["report"]["status"], "done");
        assert_eq!(found["refused"][0]["code"], "dead_token");
        assert_eq!(found["waived"], Value::Null);
    }

    #[test]
    fn e1_waived_evidence_is_said_with_its_reason() {
        let waived = Dossier {
            declared: Err("a spike".to_owned()),
            items: Vec::new(),
            report: None,
            refused: Vec::new(),
            ..dossier()
        };
        assert_eq!(
            text(&waived, sample::screen()),
            "Evidence of `build`, attempt 1:\n  waived by the workflow: a spike\nNo report was accepted.\n"
        );
        assert_eq!(json(&waived)["waived"], "a spike");
        assert_eq!(json(&waived)["report"], Value::Null);
    }

    #[test]
    fn a_task_that_was_never_tried_has_nothing_to_show() {
        let untried =
            Dossier { attempt: 0, items: Vec::new(), report: None, refused: Vec::new(), ..dossier() };
        let text = text(&untried, sample::screen());
        assert!(text.starts_with("`build` hasn't been tried yet.\n  not checked  exit\n"), "{text}");
        assert!(!text.contains("No report"));
    }
}
