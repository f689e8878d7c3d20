//! How the planted defects about control tasks go wrong: in the plan, in what is heard, in the rows.
//!
//! It leaves out defects of a life itself, which stand where they act (`shell.rs`, `perform.rs`).

use std::collections::BTreeSet;

use ilchul::engine::event::{Event, RunEvent, Started, TaskEvent, TaskStep};
use ilchul::engine::input::Seen;
use ilchul::engine::moment::Stamp;
use ilchul::engine::state::RunState;
use ilchul::workflow::{Evidence, Item, Loop, Task, TaskKind};
use serde_json::Value;

use crate::mutants::Defect;

/// What a life with this defect takes for the plan.
pub fn plan(mut started: Started, defect: Option<Defect>) -> Started {
    let Some(defect) = defect else { return started };
    for task in &mut started.workflow.tasks {
        bend(task, defect);
    }
    started
}

fn bend(task: &mut Task, defect: Defect) {
    match (&mut task.kind, defect) {
        (TaskKind::Map(map), _) => bend(&mut map.each, defect),
        (TaskKind::Loop(body), Defect::LoopsOnceMore) => body.max += 1,
        (TaskKind::Loop(body), Defect::OverlooksConditions) => {
            let items = body.each.evidence.items();
            let own = items.len() - body.each.conditions;
            body.each.evidence = Evidence::Items(items[..own].to_vec());
            body.each.conditions = 0;
        }
        (TaskKind::Loop(body), Defect::IsNeverContent) => never(body),
        (TaskKind::Tournament(cup), Defect::LeavesAnEntrantOut) if cup.entrants.len() > 2 => {
            cup.entrants.pop();
        }
        (_, Defect::SwapsBranches) if task.branches.len() == 2 => {
            let mut branches: Vec<Vec<String>> = task.branches.values().cloned().collect();
            branches.reverse();
            task.branches.values_mut().zip(branches).for_each(|(branch, other)| *branch = other);
        }
        (_, Defect::TakesAnyLabel) if !task.branches.is_empty() => {
            task.evidence = Evidence::Items(vec![Item::Exit(0)]);
        }
        (_, _) => {}
    }
}

fn never(body: &mut Loop) {
    let never = |item: &Item| match item {
        Item::Output { name, .. } => Item::Output { name: name.clone(), equals: "never".into() },
        item => item.clone(),
    };
    body.each.evidence = Evidence::Items(body.each.evidence.items().iter().map(never).collect());
}

/// What it hears where a worker said something.
pub fn hear(state: &RunState, worker: &str, seen: Seen, defect: Defect) -> Seen {
    let Seen::Reported { mut report, sha256 } = seen else { return seen };
    let known = state.workers.get(worker);
    let judges = known.is_some_and(|known| state.planned(known.task).judges.is_some());
    match (defect, report.outputs.get_mut("winner")) {
        // What names neither of the two would be a word that its worker never gave.
        (Defect::MishearsJudges, Some(Value::String(winner))) if judges && winner == "left" => {
            "right".clone_into(winner);
        }
        (Defect::MishearsJudges, Some(Value::String(winner))) if judges && winner == "right" => {
            "left".clone_into(winner);
        }
        (_, _) => {}
    }
    if let (Defect::AddsAnElement, Some(Value::Array(files))) = (defect, report.outputs.get_mut("files")) {
        files.push("one more".into());
    }
    Seen::Reported { report, sha256 }
}

/// What it writes for what was decided.
pub fn write(rows: &mut Vec<(Stamp, Event)>, state: &RunState, defect: Defect) {
    match defect {
        Defect::TwistsTheEnd => {
            for (_, event) in rows {
                if let Event::Run(RunEvent::Ended { success, .. }) = event {
                    *success = !*success;
                }
            }
        }
        Defect::JudgesOneAlone => {
            for (_, event) in rows {
                let Event::Run(RunEvent::Extended(extended)) = event else { continue };
                for (left, right) in extended.tasks.iter_mut().filter_map(|task| task.judges.as_mut()) {
                    right.clone_from(left);
                }
            }
        }
        Defect::MakesThemTwice => {
            let made = |(_, event): &&(Stamp, Event)| matches!(event, Event::Run(RunEvent::Extended(_)));
            let again: Vec<(Stamp, Event)> = rows.iter().filter(made).cloned().collect();
            rows.extend(again);
        }
        Defect::LeavesChildrenBehind => {
            let ended = named(rows, |step| matches!(step, TaskStep::Cancelled));
            let made = |id: &str| parent(state, id).is_some_and(|parent| ended.contains(parent));
            drop_steps(rows, |event| matches!(event.step, TaskStep::Cancelled) && made(&event.task));
        }
        Defect::ReopensAChildAlone => {
            let opened = named(rows, |step| matches!(step, TaskStep::Reopened));
            let makers: BTreeSet<&str> = opened.iter().filter_map(|id| parent(state, id)).collect();
            drop_steps(rows, |event| {
                matches!(event.step, TaskStep::Reopened) && makers.contains(event.task.as_str())
            });
        }
        _ => {}
    }
}

fn parent<'a>(state: &'a RunState, id: &str) -> Option<&'a str> {
    state.planned(state.task_index(id)?).parent.as_deref()
}

fn named(rows: &[(Stamp, Event)], which: impl Fn(&TaskStep) -> bool) -> BTreeSet<String> {
    let of = |(_, event): &(Stamp, Event)| match event {
        Event::Task(event) if which(&event.step) => Some(event.task.clone()),
        _ => None,
    };
    rows.iter().filter_map(of).collect()
}

fn drop_steps(rows: &mut Vec<(Stamp, Event)>, which: impl Fn(&TaskEvent) -> bool) {
    rows.retain(|(_, event)| !matches!(event, Event::Task(event) if which(event)));
}
