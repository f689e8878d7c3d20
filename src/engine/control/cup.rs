//! `tournament`: entrants side by side, single elimination in their order, a judge for each pair.
//!
//! Law D5. The bracket is derived each time from the judges' answers, which are events. An
//! entrant that didn't complete has withdrawn; an odd one out gets a bye; a match whose judge
//! named neither, even when asked once more, sends nobody on. It leaves out what a judge sees.

use serde_json::{Value, json};

use super::{Next, Outcome, child, children};
use crate::engine::named::Named;
use crate::engine::state::RunState;
use crate::engine::task_table::TaskPhase;
use crate::workflow::{Evidence, Item, Need, Task, Tournament, When};

/// The bracket as far as it is played.
#[derive(Debug, Default)]
struct Bracket {
    /// Those left: of the round that is being played, or the champion alone.
    left: Vec<usize>,
    /// Matches of this round that have no judge yet: its number, left and right.
    unjudged: Vec<(u32, usize, usize)>,
    /// Every match that was judged, for the record.
    played: Vec<Value>,
}

pub(super) fn next(state: &RunState, task: usize, cup: &Tournament) -> Next {
    let entrants = children(state, task, 'e');
    if entrants.is_empty() {
        let make = |(k, body): (u32, &Task)| child(state, task, body, ('e', k));
        let tasks: Vec<Task> = (1..).zip(&cup.entrants).map(make).collect();
        let why = format!("{} entrants", tasks.len());
        return Next::Make(tasks, why);
    }
    let bracket = bracket(state, task, &entrants);
    if !bracket.unjudged.is_empty() {
        let judge = |&(k, left, right): &(u32, usize, usize)| judge(state, task, cup, (k, left, right));
        let why = format!("{} entrants are left", bracket.left.len());
        return Next::Make(bracket.unjudged.iter().map(judge).collect(), why);
    }
    let withdrawn = entrants.iter().filter(|entrant| state.tasks[**entrant].phase != TaskPhase::Completed);
    let withdrawn = withdrawn.count();
    let Some(&champion) = bracket.left.first() else {
        let count = entrants.len();
        let why = if withdrawn == count {
            format!("none of {count} entrants completed")
        } else {
            "no judge named a winner".to_owned()
        };
        return Next::Failed(format!("no_champion: {why}"));
    };
    let name = &state.planned(champion).id;
    let because = match bracket.played.len() {
        0 => format!("`{name}` is the only entrant that completed"),
        1 => format!("`{name}` won the match"),
        matches => format!("`{name}` won the last of {matches} matches"),
    };
    let facts = Named::default().with("bracket", Value::Array(bracket.played));
    Next::Done(Outcome { child: Some(champion), because, facts: facts.with("withdrawn", withdrawn.into()) })
}

fn bracket(state: &RunState, task: usize, entrants: &[usize]) -> Bracket {
    let judges = children(state, task, 'j');
    let of = |pair: (usize, usize)| {
        let names = |judge: &&usize| {
            let (left, right) = (&state.planned(pair.0).id, &state.planned(pair.1).id);
            state.planned(**judge).judges.as_ref().is_some_and(|(a, b)| (a, b) == (left, right))
        };
        judges.iter().find(names).copied()
    };
    let stands = |entrant: &usize| state.tasks[*entrant].phase == TaskPhase::Completed;
    let mut bracket =
        Bracket { left: entrants.iter().copied().filter(stands).collect(), ..Bracket::default() };
    let mut number = judges.len();
    // Each round halves them, so this ends.
    while bracket.left.len() > 1 {
        let round = std::mem::take(&mut bracket.left);
        for pair in round.chunks(2) {
            let &[left, right] = pair else {
                bracket.left.extend(pair);
                continue;
            };
            // By who met, not by its place: a match that is judged again, late, changes whom the
            // winners meet, and what was said of two others isn't said of these.
            match of((left, right)) {
                None => {
                    number += 1;
                    let k = u32::try_from(number).unwrap_or(u32::MAX);
                    bracket.unjudged.push((k, left, right));
                }
                Some(judge) => {
                    let winner = winner(state, judge, (left, right));
                    bracket.left.extend(winner);
                    bracket.played.push(played(state, judge, (left, right), winner));
                }
            }
        }
        if !bracket.unjudged.is_empty() {
            bracket.left = round;
            return bracket;
        }
    }
    bracket
}

/// Whom a completed judge named; nobody, where the match has failed.
fn winner(state: &RunState, judge: usize, (left, right): (usize, usize)) -> Option<usize> {
    let task = &state.tasks[judge];
    let word = task.outputs.get("winner").and_then(Value::as_str);
    match (task.phase == TaskPhase::Completed, word) {
        (true, Some("left")) => Some(left),
        (true, Some("right")) => Some(right),
        (true | false, _) => None,
    }
}

fn played(state: &RunState, judge: usize, (left, right): (usize, usize), winner: Option<usize>) -> Value {
    let id = |task: usize| state.planned(task).id.as_str();
    json!({"judge": id(judge), "left": id(left), "right": id(right), "winner": winner.map(id)})
}

/// The judge of one match: it sees both heads and their evidence, and never the entrants' prompts.
fn judge(state: &RunState, task: usize, cup: &Tournament, (k, left, right): (u32, usize, usize)) -> Task {
    let made = child(state, task, &cup.judge, ('j', k));
    let id = |entrant: usize| state.planned(entrant).id.clone();
    let mut needs = made.needs;
    needs.extend([left, right].map(|entrant| Need { task: id(entrant), when: Some(When::Completed) }));
    let evidence = match made.evidence {
        // Only what was kept as a commit can be looked at.
        Evidence::Items(mut items) if [left, right].iter().all(|it| state.tasks[*it].head.is_some()) => {
            items.push(Item::Views);
            Evidence::Items(items)
        }
        other @ (Evidence::Items(_) | Evidence::Waived(_)) => other,
    };
    Task { needs, evidence, judges: Some((id(left), id(right))), ..made }
}
