//! Control tasks for people: whose task is whose, what a loop still lacks, and who met whom.
//!
//! All of it is read from the view, also while the matches are played. It leaves out the
//! drawing of the graph (`graph`).

use serde_json::Value;

use super::words::{count, line};
use crate::engine::evidence::{Checked, Verdict};
use crate::engine::task_table::TaskPhase;
use crate::engine::view::{RunView, TaskView};
use crate::workflow::APPROVAL;

/// Iterations and matches that a person is shown: the last ones.
const SHOWN: usize = 20;

/// Whether it is done through tasks of its own, or by a person: it has no worker.
#[must_use]
pub fn is_control(task: &TaskView) -> bool {
    matches!(task.kind, "loop" | "map" | "tournament" | "approve")
}

/// The tasks with how deep they stand below others, each behind the one that made it.
#[must_use]
pub fn nested(view: &RunView) -> Vec<(usize, &TaskView)> {
    let mut nested: Vec<(usize, &TaskView)> = Vec::with_capacity(view.tasks.len());
    let is_known = |parent: &String| view.tasks.iter().any(|task| task.id == *parent);
    // Most runs have none, and a wide one must not be searched for each of its tasks.
    if view.tasks.iter().all(|task| task.parent.is_none()) {
        nested.extend(view.tasks.iter().map(|task| (0, task)));
        return nested;
    }
    let roots = view.tasks.iter().filter(|task| !task.parent.as_ref().is_some_and(is_known));
    // The last of the stack is next, so everything is put there from behind.
    let mut stack: Vec<(usize, &TaskView)> = roots.map(|task| (0, task)).collect();
    stack.reverse();
    let children = by_parent(view);
    while let Some((depth, task)) = stack.pop() {
        nested.push((depth, task));
        let own = children.get(task.id.as_str()).into_iter().flatten();
        stack.extend(own.rev().map(|child| (depth + 1, *child)));
    }
    nested
}

fn by_parent(view: &RunView) -> std::collections::BTreeMap<&str, Vec<&TaskView>> {
    let mut children: std::collections::BTreeMap<&str, Vec<&TaskView>> = std::collections::BTreeMap::new();
    for task in &view.tasks {
        if let Some(parent) = &task.parent {
            children.entry(parent).or_default().push(task);
        }
    }
    children
}

/// What became of the conditions of the loop around an iteration; `None` for any other task.
#[must_use]
pub fn condition(task: &TaskView) -> Option<String> {
    let unmet = task.conditions.iter().find(|checked| checked.verdict != Verdict::Verified);
    match (task.conditions.is_empty(), unmet) {
        (true, _) => None,
        (false, None) => Some("the condition is met".to_owned()),
        (false, Some(checked)) => {
            Some(format!("the condition isn't met: {}: {}", checked.kind, checked.reason))
        }
    }
}

/// What came out of a completed task beside its evidence: how a control task got there, what
/// was chosen, whether the loop may end.
#[must_use]
pub fn outcome(task: &TaskView) -> Option<String> {
    if let Some(condition) = condition(task) {
        return Some(condition);
    }
    said(&task.evidence)
}

/// The same for what was checked alone.
#[must_use]
pub fn said(evidence: &[Checked]) -> Option<String> {
    let says = |checked: &&Checked| ["children", "choice"].contains(&checked.kind.as_str());
    // Where a person's answer was all that was asked for, it says more than that one item holds.
    let alone = || evidence.first().filter(|checked| evidence.len() == 1 && checked.kind == APPROVAL);
    evidence.iter().find(says).or_else(alone).map(|checked| checked.reason.clone())
}

/// What a control task has made, in lines for `why`; empty for any other task.
#[must_use]
pub fn progress(view: &RunView, task: &TaskView) -> String {
    let own = |child: &&TaskView| child.parent.as_ref() == Some(&task.id) && !child.removed;
    let children: Vec<&TaskView> = view.tasks.iter().filter(own).collect();
    match task.kind {
        _ if children.is_empty() => String::new(),
        "loop" => listed("Iterations", &children.iter().map(|child| iteration(child)).collect::<Vec<_>>()),
        "tournament" => bracket(task, &children),
        "map" => format!("{}: {}.\n", count(children.len(), "element"), super::words::phases(&children)),
        _ => String::new(),
    }
}

fn iteration(task: &TaskView) -> String {
    let what = condition(task).filter(|_| task.phase == TaskPhase::Completed);
    format!("{}  {}", task.id, line(&what.unwrap_or_else(|| task.phase.to_string())))
}

fn bracket(task: &TaskView, children: &[&TaskView]) -> String {
    let sort = |sort: char| format!("{}-{sort}", task.id);
    let (judge, entrant) = (sort('j'), sort('e'));
    let matches = children.iter().filter(|child| child.id.starts_with(&judge));
    let mut text = listed("Matches", &matches.map(|judge| played(judge)).collect::<Vec<_>>());
    let withdrawn: Vec<String> = children
        .iter()
        .filter(|child| child.id.starts_with(&entrant))
        .filter(|child| child.phase.is_terminal() && child.phase != TaskPhase::Completed)
        .map(|child| format!("{} ({})", child.id, child.phase))
        .collect();
    if !withdrawn.is_empty() {
        text.push_str(&format!("Withdrawn: {}.\n", super::words::list(&withdrawn)));
    }
    text
}

/// One match, by its judge: the two that it needs last are left and right.
fn played(judge: &TaskView) -> String {
    let (left, right) = match judge.needs.as_slice() {
        [.., left, right] => (left.as_str(), right.as_str()),
        _ => ("?", "?"),
    };
    let word = judge.outputs.get("winner").and_then(Value::as_str);
    let winner = match (judge.phase, word) {
        (TaskPhase::Completed, Some("left")) => format!("{left} won"),
        (TaskPhase::Completed, Some("right")) => format!("{right} won"),
        (phase, _) if phase.is_terminal() => format!("nobody won (the judge is {phase})"),
        (phase, _) => format!("not judged yet ({phase})"),
    };
    format!("{}  {left} against {right}: {winner}", judge.id)
}

/// A played match of the record of a tournament.
#[must_use]
pub fn recorded(played: &Value) -> String {
    let id = |name: &str| line(played[name].as_str().unwrap_or("nobody"));
    format!("{}: {} against {}: {} won", id("judge"), id("left"), id("right"), id("winner"))
}

fn listed(head: &str, lines: &[String]) -> String {
    if lines.is_empty() {
        return String::new();
    }
    let hidden = lines.len().saturating_sub(SHOWN);
    let mut text = format!("{head}:\n");
    if hidden > 0 {
        text.push_str(&format!("  ... {hidden} before ...\n"));
    }
    text.extend(lines.iter().skip(hidden).map(|line| format!("  {line}\n")));
    text
}

/// Whether its failure is of no account: the control task that made it, through any number of
/// them, has completed all the same.
#[must_use]
pub fn is_made_good(view: &RunView, task: &TaskView) -> bool {
    let mut at = task;
    // A maker stands before what it made, so this ends.
    while let Some(parent) = at.parent.as_deref().and_then(|id| view.task(id)) {
        if is_control(parent) && parent.phase == TaskPhase::Completed {
            return true;
        }
        at = parent;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    fn child(id: &str, parent: &str, phase: TaskPhase, needs: &[&str]) -> TaskView {
        TaskView { parent: Some(parent.to_owned()), ..sample::task(id, phase, "", needs) }
    }

    /// A tournament of three whose second withdrew, a loop with two iterations, and a map.
    fn view() -> RunView {
        let mut view = sample::view();
        let kind =
            |id: &str, kind: &'static str, phase| TaskView { kind, ..sample::task(id, phase, "", &[]) };
        let mut judged = child("best-j1", "best", TaskPhase::Completed, &["best-e1", "best-e3"]);
        judged.outputs.insert("winner".to_owned(), "right".into());
        let mut first = child("fix-i1", "fix", TaskPhase::Completed, &[]);
        first.conditions = vec![Checked::new("command", Verdict::Refuted, "it ended with exit code 1")];
        view.tasks = vec![
            kind("fix", "loop", TaskPhase::InProgress),
            kind("best", "tournament", TaskPhase::InProgress),
            kind("each", "map", TaskPhase::InProgress),
            child("best-e1", "best", TaskPhase::Completed, &[]),
            child("best-e2", "best", TaskPhase::Failed, &[]),
            child("best-e3", "best", TaskPhase::Completed, &[]),
            first,
            child("fix-i2", "fix", TaskPhase::InProgress, &["fix-i1"]),
            judged,
            child("best-j2", "best", TaskPhase::InProgress, &["best-e3", "best-e4"]),
            child("each-m1", "each", TaskPhase::Completed, &[]),
            child("each-m2", "each", TaskPhase::Failed, &[]),
        ];
        view
    }

    fn told(id: &str) -> String {
        let view = view();
        progress(&view, view.task(id).unwrap())
    }

    #[test]
    fn a_task_stands_below_the_one_that_made_it() {
        let view = view();
        let nested: Vec<String> =
            nested(&view).into_iter().map(|(depth, task)| format!("{depth} {}", task.id)).collect();
        let expected = [
            "0 fix",
            "1 fix-i1",
            "1 fix-i2",
            "0 best",
            "1 best-e1",
            "1 best-e2",
            "1 best-e3",
            "1 best-j1",
            "1 best-j2",
            "0 each",
            "1 each-m1",
            "1 each-m2",
        ];
        assert_eq!(nested, expected);
        assert_eq!(super::nested(&sample::view()).len(), sample::view().tasks.len());
    }

    #[test]
    fn d5_a_bracket_is_told_while_it_is_played() {
        insta::assert_snapshot!(told("best"), @r"
        Matches:
          best-j1  best-e1 against best-e3: best-e3 won
          best-j2  best-e3 against best-e4: not judged yet (in_progress)
        Withdrawn: best-e2 (failed).
        ");
    }

    #[test]
    fn d3_an_iteration_is_told_with_what_it_lacked() {
        insta::assert_snapshot!(told("fix"), @r"
        Iterations:
          fix-i1  the condition isn't met: command: it ended with exit code 1
          fix-i2  in_progress
        ");
        assert_eq!(told("each"), "2 elements: 1 completed, 1 failed.\n");
        assert_eq!(told("fix-i1"), "");
    }

    #[test]
    fn a_long_loop_is_told_by_its_last_iterations() {
        let lines: Vec<String> = (1..=30).map(|k| format!("fix-i{k}  in_progress")).collect();
        let text = listed("Iterations", &lines);
        assert!(text.starts_with("Iterations:\n  ... 10 before ...\n  fix-i11  "), "{text}");
        assert!(text.ends_with("  fix-i30  in_progress\n"), "{text}");
    }

    #[test]
    fn a_failure_below_a_control_task_that_completed_is_of_no_account() {
        let mut view = view();
        assert!(!is_made_good(&view, view.task("best-e2").unwrap()));
        view.tasks[1].phase = TaskPhase::Completed;
        assert!(is_made_good(&view, view.task("best-e2").unwrap()));
        assert!(!is_made_good(&view, view.task("each-m2").unwrap()));
    }
}
