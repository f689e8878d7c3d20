//! `evidence`: what was declared for one attempt, what was checked, what came out, and
//! what its worker said, which is no proof.
//!
//! It leaves out the checking.

use serde_json::{Map, Value, json};

use super::table::{Screen, Tone, toned};
use super::words::{ago, line, parse_time, sentence, time};
use super::{clean, control, drift};
use crate::engine::bundle::{Bundle, Decision, Refused, Said};
use crate::engine::event::{Place, Snapshot};
use crate::engine::evidence::{Checked, ChildExit, Verdict};
use crate::engine::moment::Stamp;

/// Facts longer than this are cut for people; `--json` has them whole.
const FACT_MAX: usize = 200;

/// One attempt's bundle, beside what its task declares.
#[derive(Debug, Clone, PartialEq)]
pub struct Dossier {
    /// What the workflow declares, by kind; the reason, where it is waived.
    pub declared: Result<Vec<&'static str>, String>,
    /// The conditions of the loop around an iteration, by kind; they stand behind its own items.
    pub until: Vec<&'static str>,
    /// What the journal holds.
    pub bundle: Bundle,
    /// What the attempt changed, where its commits can be compared.
    pub change: Option<Change>,
}

impl Dossier {
    /// Whether what was checked as the `index`th is a condition of the loop around the task.
    #[must_use]
    pub fn is_condition(&self, index: usize) -> bool {
        let own = self.declared.as_ref().map_or(0, Vec::len);
        !self.until.is_empty() && index >= own
    }
}

/// What an attempt changed, counted between the commit that its tree started at and the
/// one that holds what was in it at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// How many paths.
    pub files: usize,
    /// Lines added.
    pub added: usize,
    /// Lines removed.
    pub removed: usize,
    /// What `git patch-id --stable` says; none where a file is binary, or nothing changed.
    pub patch_id: Option<String>,
}

/// The data of `evidence --json`.
#[must_use]
pub fn json(dossier: &Dossier) -> Value {
    let Dossier { declared, until: _, bundle, change } = dossier;
    let shown = |conditions: bool| -> Vec<Value> {
        let these = bundle.items.iter().filter(|(index, _)| dossier.is_condition(**index) == conditions);
        these.map(|(_, (at, checked))| item(*at, checked)).collect()
    };
    json!({
        "task": bundle.task,
        "attempt": bundle.attempt,
        "worker": (bundle.attempt > 0).then(|| bundle.worker_id()),
        "token": bundle.token,
        "start": bundle.start,
        "claimed_at": bundle.claimed_at.map(|at| time(at.wall_ms)),
        "ended_at": bundle.ended_at.map(|at| time(at.wall_ms)),
        "exit": bundle.exit.map(exit),
        "session": bundle.session.as_ref().map(place),
        "workspace": bundle.workspace.as_ref().map(place),
        "snapshot": bundle.snapshot.as_ref().map(snapshot),
        "change": change.as_ref().map(changed),
        "waived": declared.as_ref().err(),
        "items": shown(false),
        "conditions": shown(true),
        "report": bundle.report.as_ref().map(said),
        "refuted": bundle.refuted,
        "refused": bundle.refused.iter().map(refused).collect::<Vec<_>>(),
        "decisions": bundle.decisions.iter().map(decision).collect::<Vec<_>>(),
        "drift": drift::json(&bundle.drift),
    })
}

/// One item with its facts beside the verdict; a fact can't replace one of ours.
fn item(at: Stamp, checked: &Checked) -> Value {
    let mut fields: Map<String, Value> =
        checked.facts.iter().map(|(name, fact)| (name.to_owned(), fact.clone())).collect();
    if let Some(millis) = duration_ms(checked) {
        fields.insert("duration_ms".to_owned(), millis.into());
    }
    fields.insert("kind".to_owned(), checked.kind.clone().into());
    fields.insert("verdict".to_owned(), checked.verdict.word().into());
    fields.insert("reason".to_owned(), checked.reason.clone().into());
    fields.insert("checked_at".to_owned(), time(at.wall_ms).into());
    Value::Object(fields)
}

/// How long a command took, by the wall clock of whoever ran it; a clock that jumped gives none.
#[must_use]
pub fn duration_ms(checked: &Checked) -> Option<u64> {
    let when = |name| checked.facts.get(name).and_then(Value::as_str).and_then(parse_time);
    u64::try_from(when("ended_at")?.checked_sub(when("started_at")?)?).ok()
}

fn exit(exit: ChildExit) -> Value {
    match exit {
        ChildExit::Code(code) => json!({"code": code, "signal": null}),
        ChildExit::Signal(signal) => json!({"code": null, "signal": signal}),
        ChildExit::Unknown => json!({"code": null, "signal": null}),
    }
}

fn place(place: &Place) -> Value {
    json!({"kind": place.kind, "id": place.id, "path": place.fields.get("path"), "branch": place.fields.get("branch")})
}

fn snapshot(snapshot: &Snapshot) -> Value {
    json!({"commit": snapshot.commit, "tip": snapshot.tip, "uncommitted": snapshot.uncommitted})
}

fn changed(change: &Change) -> Value {
    json!({"files": change.files, "added": change.added, "removed": change.removed, "patch_id": change.patch_id})
}

fn decision(decision: &Decision) -> Value {
    json!({"at": time(decision.at.wall_ms), "kind": decision.kind, "reason": decision.reason})
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
    let Bundle { task, attempt, .. } = &dossier.bundle;
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
    text.push_str(&conditions(dossier, screen));
    text.push_str(&report_text(dossier, screen));
    if let Some(why) = &dossier.bundle.refuted {
        text.push_str(&format!("{} as a whole: {}\n", toned(screen, Tone::Bad, "Refuted"), line(why)));
    }
    text.push_str(&drift::text(&dossier.bundle.worker_id(), &dossier.bundle.drift));
    text
}

/// What its loop asked of an iteration; one that wasn't met is no failure of it.
fn conditions(dossier: &Dossier, screen: Screen) -> String {
    let own = dossier.declared.as_ref().map_or(0, Vec::len);
    let entries = dossier.until.iter().enumerate();
    let shown = |(n, kind): (usize, &&'static str)| match dossier.bundle.items.get(&(own + n)) {
        Some((at, checked)) => condition(*at, checked, screen),
        None => entry(dossier, own + n, kind, screen),
    };
    let entries: String = entries.map(shown).collect();
    match dossier.until.len() {
        0 => entries,
        1 => format!("The condition of its loop:\n{entries}"),
        _ => format!("The conditions of its loop:\n{entries}"),
    }
}

/// A condition of the loop around it, which says nothing about the task itself.
fn condition(at: Stamp, checked: &Checked, screen: Screen) -> String {
    let (tone, word) = match checked.verdict {
        Verdict::Verified => (Tone::Good, "met"),
        Verdict::Refuted | Verdict::Unverifiable => (Tone::Warn, "not met"),
    };
    format!("  {}  {}", toned(screen, tone, word), details(at, checked, screen))
}

fn entry(dossier: &Dossier, index: usize, kind: &str, screen: Screen) -> String {
    let Some((at, checked)) = dossier.bundle.items.get(&index) else {
        return format!("  {}  {kind}\n", toned(screen, Tone::Dim, "not checked"));
    };
    let tone = match checked.verdict {
        Verdict::Verified => Tone::Good,
        Verdict::Refuted => Tone::Bad,
        Verdict::Unverifiable => Tone::Warn,
    };
    let verdict = toned(screen, tone, checked.verdict.word());
    format!("  {verdict}  {}", details(*at, checked, screen))
}

/// Its kind and reason, and its facts in lines of their own.
fn details(at: Stamp, checked: &Checked, screen: Screen) -> String {
    let when = ago(screen.now_ms, at.wall_ms);
    let mut text = format!("{}: {} ({when})\n", line(&checked.kind), line(&checked.reason));
    for (name, value) in checked.facts.iter() {
        match (name, value) {
            // There was none: no signal, no patch.
            (_, Value::Null) => {}
            // Each match on a line: a list of objects is for `--json`.
            ("bracket", Value::Array(played)) => {
                let lines = played.iter().map(|one| format!("    match {}\n", control::recorded(one)));
                text.extend(lines);
            }
            (name, value) => text.push_str(&format!("    {}: {}\n", line(name), fact(value))),
        }
    }
    text
}

/// A recorded fact on one line, cut where it is long.
pub(super) fn fact(value: &Value) -> String {
    let raw = match value {
        Value::String(text) => text.clone(),
        Value::Null => "none".to_owned(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    };
    match raw.char_indices().nth(FACT_MAX) {
        Some((cut, _)) => format!("{}…", line(&raw[..cut])),
        None => line(&raw),
    }
}

fn report_text(dossier: &Dossier, screen: Screen) -> String {
    let bundle = &dossier.bundle;
    let mut text = String::new();
    // A control task has nobody who could report.
    let is_control =
        bundle.token.is_none() && matches!(dossier.declared.as_deref(), Ok(["children"] | ["approval"]));
    match &bundle.report {
        None if is_control => {}
        None if bundle.attempt > 0 => text.push_str("No report was accepted.\n"),
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
    for report in &bundle.refused {
        let when = ago(screen.now_ms, report.at.wall_ms);
        text.push_str(&format!(
            "A report was refused {when}: {}: {} (kept as {})\n",
            line(&report.code),
            line(&report.detail),
            report.sha256
        ));
    }
    for decision in &bundle.decisions {
        let when = ago(screen.now_ms, decision.at.wall_ms);
        text.push_str(&format!("Decided {when}: {} ({})\n", line(&decision.reason), decision.kind));
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
        let bundle = Bundle {
            task: "build".to_owned(),
            attempt: 1,
            items: built
                .evidence
                .into_iter()
                .enumerate()
                .map(|(n, checked)| (n, (sample::at(60), checked)))
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
            ..Bundle::default()
        };
        Dossier { declared: Ok(vec!["exit", "artifact", "diff"]), until: Vec::new(), bundle, change: None }
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
        let forged = Checked::new("exit", Verdict::Refuted, "no").fact("verdict", "verified").fact("code", 3);
        dossier.bundle.items.insert(0, (sample::at(60), forged));
        let found = json(&dossier);
        let item = json!({"kind": "exit", "verdict": "refuted", "reason": "no", "code": 3, "checked_at": "2023-11-14T22:14:20Z"});
        assert_eq!(found["items"][0], item);
        assert_eq!(found["report"]["status"], "done");
        assert_eq!(found["refused"][0]["code"], "dead_token");
        assert_eq!(found["waived"], Value::Null);
    }

    #[test]
    fn the_record_of_an_attempt_has_its_worker_exit_commits_durations_and_decisions() {
        let mut dossier = dossier();
        let ran = Checked::new("command", Verdict::Verified, "ok")
            .fact("started_at", "2023-11-14T22:14:00Z")
            .fact("ended_at", "2023-11-14T22:14:01.250Z");
        dossier.bundle.items.insert(1, (sample::at(60), ran));
        dossier.bundle.token = Some(7);
        dossier.bundle.exit = Some(ChildExit::Signal(9));
        dossier.bundle.snapshot = Some(Snapshot {
            commit: "c".into(),
            tip: "t".into(),
            uncommitted: vec!["x".into()],
            changed: Vec::new(),
        });
        dossier.bundle.decisions.push(Decision {
            at: sample::at(80),
            kind: "task.verifying".into(),
            reason: "decided by a person\u{1b}".into(),
        });
        dossier.change = Some(Change { files: 2, added: 3, removed: 4, patch_id: None });
        let found = json(&dossier);
        assert_eq!(found["change"], json!({"files": 2, "added": 3, "removed": 4, "patch_id": null}));
        assert_eq!((&found["worker"], &found["token"]), (&json!("build.1"), &json!(7)));
        assert_eq!(found["exit"], json!({"code": null, "signal": 9}));
        assert_eq!(found["snapshot"], json!({"commit": "c", "tip": "t", "uncommitted": ["x"]}));
        assert_eq!(found["items"][1]["duration_ms"], 1250);
        assert_eq!(found["items"][0].get("duration_ms"), None);
        assert_eq!(found["decisions"][0]["kind"], "task.verifying");
        let text = text(&dossier, sample::screen());
        assert!(text.contains(": decided by a person\\u{1b} (task.verifying)\n"), "{text}");
    }

    #[test]
    fn e1_waived_evidence_is_said_with_its_reason() {
        let bundle = Bundle { task: "build".to_owned(), attempt: 1, token: Some(1), ..Bundle::default() };
        let waived = Dossier { declared: Err("a spike".to_owned()), until: Vec::new(), bundle, change: None };
        assert_eq!(
            text(&waived, sample::screen()),
            "Evidence of `build`, attempt 1:\n  waived by the workflow: a spike\nNo report was accepted.\n"
        );
        assert_eq!(json(&waived)["waived"], "a spike");
        assert_eq!(json(&waived)["report"], Value::Null);
    }

    #[test]
    fn a_task_that_was_never_tried_has_nothing_to_show() {
        let bundle = Bundle { task: "build".to_owned(), ..Bundle::default() };
        let untried = Dossier { bundle, ..dossier() };
        let text = text(&untried, sample::screen());
        assert!(text.starts_with("`build` hasn't been tried yet.\n  not checked  exit\n"), "{text}");
        assert!(!text.contains("No report"));
    }
}
