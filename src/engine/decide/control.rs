//! What control tasks lead to, as events: they begin, make tasks, end.
//!
//! No claim and no worker is theirs. It leaves out the rules of each kind (`engine/control`).

use super::{View, task_event};
use crate::engine::control::{self, Next};
use crate::engine::event::{Event, EvidenceEvent, Extended, RunEvent, TaskStep};
use crate::engine::evidence::{Accepted, Checked, Verdict};
use crate::workflow::{Task, TaskKind};

/// A ready control task begins at once: it holds no worker, so no room is needed.
pub(super) fn begin(view: View<'_>) -> Option<Event> {
    let task = *view.state.opening.first()?;
    let step = match &view.state.planned(task).kind {
        TaskKind::Approve(_) => TaskStep::Asked,
        TaskKind::Loop(_)
        | TaskKind::Map(_)
        | TaskKind::Tournament(_)
        | TaskKind::Run(_)
        | TaskKind::Argv(_)
        | TaskKind::Worker(_)
        | TaskKind::Agent { .. }
        | TaskKind::Reduce(_) => TaskStep::Opened,
    };
    Some(task_event(view, task, step, ""))
}

/// What follows for one that is in progress.
pub(super) fn go_on(view: View<'_>, task: usize) -> Vec<Event> {
    match control::next(view.state, task) {
        Next::Wait => Vec::new(),
        Next::Make(tasks, why) => match refusal(view, &tasks) {
            Some(reason) => vec![task_event(view, task, TaskStep::AttemptFailed { again: false }, reason)],
            None => {
                let by = view.state.planned(task).id.clone();
                vec![Event::Run(RunEvent::Extended(Box::new(Extended { by, why, tasks, submission: None })))]
            }
        },
        Next::Done(_) => vec![task_event(view, task, TaskStep::Worked, "")],
        Next::Partial(reason) => vec![task_event(view, task, TaskStep::WentPartial, reason)],
        Next::Failed(reason) => {
            vec![task_event(view, task, TaskStep::AttemptFailed { again: false }, reason)]
        }
    }
}

/// How many tasks the run has, those that an edit lost left out.
pub(super) fn planned_count(view: View<'_>) -> usize {
    view.state.tasks.iter().filter(|task| !task.removed).count()
}

/// Why these tasks can't be made: the run's bound counts all that are planned.
fn refusal(view: View<'_>, tasks: &[Task]) -> Option<String> {
    let most = view.state.workflow().limits.tasks?;
    let would = planned_count(view) + tasks.len();
    (would > usize::try_from(most).unwrap_or(usize::MAX))
        .then(|| format!("denied: tasks: the run would have {would} tasks, `limits.tasks` is {most}"))
}

/// What one comes to whose children have ended, or that asks a person.
pub(super) fn verdict(view: View<'_>, task: usize) -> Vec<Event> {
    let planned = view.state.planned(task);
    let state = &view.state.tasks[task];
    if let Some(accepted) = Accepted::new(planned, &state.evidence) {
        return vec![task_event(view, task, TaskStep::Verified { accepted }, "")];
    }
    if let Some(refuted) = state.evidence.iter().find(|checked| checked.verdict == Verdict::Refuted) {
        let reason = format!("refuted: {}: {}", refuted.kind, refuted.reason);
        return vec![task_event(view, task, TaskStep::Refuted, reason)];
    }
    if !state.evidence.is_empty() {
        return Vec::new();
    }
    let checked = match (&planned.kind, control::next(view.state, task)) {
        (TaskKind::Approve(message), _) => Checked::unanswered(message),
        (_, Next::Done(outcome)) => {
            let child = outcome.child.map(|child| view.state.planned(child).id.clone());
            let seen = Checked {
                kind: "children".to_owned(),
                verdict: Verdict::Verified,
                reason: outcome.because,
                facts: outcome.facts,
            };
            match child {
                Some(child) => seen.fact("child", child),
                None => seen,
            }
        }
        // Nothing leads here: what it made has ended, and only a person's word changes that.
        (_, Next::Wait | Next::Make(..) | Next::Partial(_) | Next::Failed(_)) => {
            Checked::new("children", Verdict::Refuted, "what it rests on has changed")
        }
    };
    let (task, attempt) = (planned.id.clone(), state.attempt);
    vec![Event::Evidence(EvidenceEvent { task, attempt, item: 0, checked })]
}
