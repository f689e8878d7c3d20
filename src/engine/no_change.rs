//! When a report that says `no_change` counts (contract 3).
//!
//! It is the one claim about a whole attempt, so it is held against the head, the base and
//! every `diff` item at once. It leaves out the items themselves.

use super::state::RunState;
use crate::workflow::{Item, WorkspaceKind};

/// How many paths a reason names.
const NAMED: usize = 5;

/// Why the present attempt's `no_change` doesn't count; none where it does, or nobody said it.
#[must_use]
pub fn unfounded(state: &RunState, task: usize) -> Option<String> {
    let (_, worker) = state.current_worker(task)?;
    let report = worker.report.as_ref().filter(|report| report.status == "no_change")?;
    let planned = state.planned(task);
    let asks_for_change =
        planned.evidence.items().iter().any(|item| matches!(item, Item::Diff { allow_none: false, .. }));
    let kept = worker.captured.as_ref().and_then(Option::as_ref);
    let has_tree = planned.workspace == WorkspaceKind::Worktree;
    if asks_for_change {
        return Some("a `diff` item asks for a change".to_owned());
    }
    if report.reason.as_deref().unwrap_or("").trim().is_empty() {
        return Some("the report gives no reason".to_owned());
    }
    let Some(kept) = kept else {
        return has_tree
            .then(|| "the head couldn't be kept, so nobody can compare it with the base".to_owned());
    };
    let base = state.base_of(task);
    if kept.tip != base {
        return Some(format!("the head differs from the base: it is {}", kept.tip));
    }
    let more = kept.uncommitted.len().saturating_sub(NAMED);
    let named = kept.uncommitted.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    (kept.commit != base).then(|| format!("the tree differs from the base: {named}{more}"))
}
