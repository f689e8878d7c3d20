//! Each task with its attempts: what was checked, what came out, what its worker claimed.
//!
//! It leaves out where a task stands among the others.

use serde_json::{Value, json};

use super::super::control;
use super::super::evidence::{Dossier, duration_ms, fact};
use super::super::words::{line, list, reason, short, stopped, task_reason};
use super::super::{branch, drift};
use super::words::{stamp, state, took, verdict};
use super::{Page, Tail};
use crate::engine::bundle::{Bundle, Bundles};
use crate::engine::evidence::{Checked, ChildExit};
use crate::engine::moment::Stamp;
use crate::engine::task_table::TaskPhase;
use crate::engine::view::TaskView;

/// Attempts of a task that are shown, the last ones: a retry costs a person one word.
const ATTEMPTS: usize = 20;
/// Facts of an item that a person has no use for beside the others.
const QUIET: &[&str] = &["cwd", "started_at", "ended_at", "truncated", "bracket"];

/// All of them, each behind the one that made it.
pub(super) fn tasks(page: &Page<'_>, mut bundles: Bundles) -> Vec<Value> {
    let nested = control::nested(page.view);
    nested.into_iter().map(|(depth, task)| one(page, (task, depth), &mut bundles)).collect()
}

fn one(page: &Page<'_>, (task, depth): (&TaskView, usize), bundles: &mut Bundles) -> Value {
    let first = task.attempt.saturating_sub(u32::try_from(ATTEMPTS).unwrap_or(u32::MAX)).max(1);
    let ordinals = if task.attempt == 0 { 0..=0 } else { first..=task.attempt };
    let records: Vec<Bundle> = ordinals.rev().map(|attempt| bundles.remove(&task.id, attempt)).collect();
    let known = |bundle: &&Bundle| bundle.attempt == task.attempt || bundle.claimed_at.is_some();
    let attempts: Vec<Value> =
        records.iter().filter(known).map(|bundle| attempt(page, task, bundle)).collect();
    let is_control = control::is_control(task);
    let failed = task.phase == TaskPhase::Failed && !control::is_made_good(page.view, task);
    json!({
        "id": task.id,
        "depth": depth.min(4),
        "kind": task.kind,
        "state": state(task.phase),
        "why": reason(&task_reason(task)),
        "open": failed || matches!(task.phase, TaskPhase::Blocked | TaskPhase::Partial) || task.asks.is_some(),
        "since": stamp(task.since),
        "parent": task.parent,
        "submitted": task.submitted,
        "untrusted": task.untrusted,
        "removed": task.removed,
        "needs": task.needs,
        "waits_for": (!task.waits_for.is_empty()).then(|| stopped(&list(&task.waits_for))),
        "tried": (task.attempt > 0 && !is_control).then(|| format!("attempt {} of {}", task.attempt, task.allowed)),
        "is_control": is_control,
        "progress": lines(&control::progress(page.view, task)),
        "waived": task.declared.as_ref().err(),
        "attempts": attempts,
    })
}

fn lines(text: &str) -> Vec<&str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect()
}

fn attempt(page: &Page<'_>, task: &TaskView, bundle: &Bundle) -> Value {
    let worker = page.view.worker(&bundle.worker_id());
    let span = bundle.claimed_at.zip(bundle.ended_at);
    let dossier = Dossier {
        declared: task.declared.clone(),
        until: task.until.clone(),
        bundle: bundle.clone(),
        change: None,
    };
    let (own, conditions) = items(page, &dossier);
    json!({
        "number": bundle.attempt,
        "last": bundle.attempt == task.attempt,
        "worker": (bundle.token.is_some()).then(|| bundle.worker_id()),
        "began": bundle.claimed_at.map(stamp),
        "took": span.map(|(from, to)| took(super::timeline::millis(from.moment, to.moment))),
        "exit": bundle.exit.map(ChildExit::words),
        "start": bundle.start.as_deref().map(short),
        "snapshot": bundle.snapshot.as_ref().map(|kept| short(&kept.commit)),
        "worker_state": worker.map(|worker| worker.phase.word()),
        "tree": worker.and_then(|worker| page.beside.tree(worker)),
        "branch": worker.and_then(branch),
        "node": worker.and_then(|worker| Some(&page.beside.hosts.get(&worker.id)?.node)),
        "session": worker.and_then(|worker| worker.session.as_ref()).map(|place| line(&place.id)),
        "gone": worker.is_some_and(|worker| page.beside.gone.contains_key(&worker.id)),
        "items": own,
        "conditions": conditions,
        "refuted": bundle.refuted,
        "report": bundle.report.as_ref().map(|said| json!({
            "at": stamp(said.at), "status": said.status, "summary": said.summary, "reason": said.reason,
            "outputs": said.outputs.iter().map(|(name, value)| json!({"name": name, "value": fact(value)})).collect::<Vec<_>>(),
        })),
        "refused": bundle.refused.iter().map(|one| json!({
            "at": stamp(one.at), "code": one.code, "detail": line(&one.detail), "sha256": one.sha256,
        })).collect::<Vec<_>>(),
        "decisions": bundle.decisions.iter().map(|one| json!({"at": stamp(one.at), "reason": reason(&one.reason)})).collect::<Vec<_>>(),
        "drift": drift::words(&bundle.drift),
        "log": page.logs.get(&bundle.worker_id()).map(tail),
    })
}

/// The declared items, looked at or not, and the conditions of the loop around it.
fn items(page: &Page<'_>, dossier: &Dossier) -> (Vec<Value>, Vec<Value>) {
    let own: &[&str] = dossier.declared.as_deref().unwrap_or_default();
    let all: Vec<Value> = own
        .iter()
        .chain(&dossier.until)
        .enumerate()
        .map(|(place, kind)| match dossier.bundle.items.get(&place) {
            Some((at, checked)) => item(page, *at, checked),
            None => json!({"kind": kind, "reason": "", "verdict": {"word": "not checked", "mark": "·", "class": "dim"}}),
        })
        .collect();
    let (own, conditions) = all.split_at(own.len());
    (own.to_vec(), conditions.to_vec())
}

fn item(page: &Page<'_>, at: Stamp, checked: &Checked) -> Value {
    let log =
        checked.facts.get("log_sha256").and_then(Value::as_str).and_then(|sha256| page.outputs.get(sha256));
    let command = checked.facts.get("command").and_then(Value::as_str);
    let facts = checked.facts.iter().filter(|(name, value)| {
        !QUIET.contains(name) && *name != "command" && !value.is_null() && **value != json!([])
    });
    let played = match checked.facts.get("bracket") {
        Some(Value::Array(played)) => played.iter().map(control::recorded).collect(),
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_))
        | None => Vec::new(),
    };
    json!({
        "kind": checked.kind,
        "verdict": verdict(checked),
        "reason": checked.reason,
        "at": stamp(at),
        "took": duration_ms(checked).map(took),
        "command": command,
        "facts": facts.map(|(name, value)| json!({"name": name, "value": fact(value)})).collect::<Vec<_>>(),
        "played": played,
        "output": log.map(tail),
    })
}

fn tail(tail: &Tail) -> Value {
    json!({"text": tail.text, "bytes": tail.bytes, "whole": tail.whole})
}
