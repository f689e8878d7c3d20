//! Laws of tasks that make tasks (D3 to D5): derived a second time, from what workers really
//! answered and from the rows, never from the engine's own reckoning.
//!
//! It leaves out what is true of every task (`journal.rs`, `truth.rs`).

use ilchul::engine::event::{EvidenceEvent, Extended, RunEvent, TaskEvent, TaskStep};
use ilchul::engine::evidence::Verdict;
use ilchul::engine::halt::Halt;
use ilchul::engine::state::RunState;
use ilchul::engine::task_table::TaskPhase;
use ilchul::workflow::{Item, Loop, Map, Task, TaskKind, Tournament};
use serde_json::Value;

use super::book::{Outcome, Tried};
use super::{Broken, Laws, hold};
use crate::world::World;

/// Left and right of a match.
type Pair = (String, String);

/// How far a bracket is.
enum Bracket {
    /// These matches have no judge yet.
    Open(Vec<Pair>),
    /// It is played: the champion, if there is one.
    Played(Option<String>),
}

impl Laws {
    fn planned(&self, id: &str) -> Option<&Task> {
        self.book.workflow.tasks.iter().find(|task| task.id == id)
    }

    fn tried(&self, id: &str) -> Tried {
        self.book.tasks.get(id).cloned().unwrap_or_default()
    }

    fn completed(&self, id: &str) -> bool {
        self.tried(id).outcome == Some(Outcome::Completed)
    }

    /// What was made by `id`, of one sort, in its order.
    fn children(&self, id: &str, sort: &str) -> Vec<&Task> {
        let of = |task: &&Task| {
            let made = task.parent.as_deref() == Some(id);
            made && task.id.strip_prefix(id).is_some_and(|rest| rest.starts_with(sort))
        };
        self.book.workflow.tasks.iter().filter(of).collect()
    }

    /// What a task's last attempt really answered.
    fn answered<'a>(&self, id: &str, name: &str, world: &'a World) -> Option<&'a Value> {
        world.ledger.answer(&format!("{id}.{}", self.tried(id).attempt), name)
    }

    /// Whether its last attempt said anything that counts.
    fn was_heard(&self, id: &str) -> bool {
        self.book.heard.contains(&format!("{id}.{}", self.tried(id).attempt))
    }

    /// An item's verdict; a person's answer takes the place of the question.
    pub(super) fn note_evidence(&mut self, event: &EvidenceEvent) {
        let Some(tried) = self.book.tasks.get_mut(&event.task) else { return };
        let answer = event.checked.kind == "approval" && event.checked.verdict != Verdict::Unverifiable;
        let verdict = event.checked.verdict;
        match tried.verdicts.get_mut(event.item) {
            Some(known) if answer => *known = verdict,
            _ if event.item == 0 => tried.verdicts = vec![verdict],
            _ => tried.verdicts.push(verdict),
        }
        if event.checked.kind == "children" {
            let child = event.checked.facts.get("child").and_then(Value::as_str);
            tried.chosen = child.map(str::to_owned);
        }
    }

    /// Whether an iteration's last attempt met every condition of the loop as it was planned:
    /// by the rows and by the truth; nothing, where the two contradict each other.
    fn met(&self, body: &Loop, iteration: &str, world: &World) -> Option<bool> {
        let tried = self.tried(iteration);
        let items = body.each.evidence.items();
        if tried.verdicts.len() != items.len() {
            return None;
        }
        let worker = format!("{iteration}.{}", tried.attempt);
        let own = items.len() - body.each.conditions;
        let mut met = true;
        for (item, verdict) in items.iter().zip(&tried.verdicts).skip(own) {
            let holds = world.ledger.look(&worker, item).verdict == Verdict::Verified;
            met &= *verdict == Verdict::Verified;
            let lies = match verdict {
                Verdict::Verified => !holds,
                // What nobody heard can't be known.
                Verdict::Refuted => holds && self.was_heard(iteration),
                Verdict::Unverifiable => false,
            };
            if lies {
                return None;
            }
        }
        Some(met)
    }

    /// Tasks are made: by whom, which, and when it may be.
    pub(super) fn extended(&mut self, extended: &Extended, world: &World) -> Result<(), Broken> {
        let by = &extended.by;
        for task in &extended.tasks {
            let new = !self.book.tasks.contains_key(&task.id);
            hold("d3_nothing_is_made_twice", new, || format!("`{}`", task.id))?;
        }
        let Some(maker) = self.planned(by).cloned() else {
            return Err(Broken::new("d3_nothing_is_made_by_nobody", by));
        };
        hold("d3_d5_only_an_open_task_makes_tasks", self.tried(by).outcome.is_none(), || by.clone())?;
        match &maker.kind {
            TaskKind::Loop(body) => self.d3_an_iteration(by, body, extended, world)?,
            TaskKind::Map(map) => self.map_a_child_an_element(by, map, extended, world)?,
            TaskKind::Tournament(cup) => self.d5_matches(by, cup, extended, world)?,
            TaskKind::Run(_)
            | TaskKind::Argv(_)
            | TaskKind::Worker(_)
            | TaskKind::Agent { .. }
            | TaskKind::Reduce(_)
            | TaskKind::Approve(_) => return Err(Broken::new("d3_nothing_is_made_by_nobody", by)),
        }
        for task in &extended.tasks {
            self.book.tasks.insert(task.id.clone(), Tried::default());
            self.book.workflow.tasks.push(task.clone());
        }
        Ok(())
    }

    /// The next one, after one that finished without its conditions, within the cap.
    fn d3_an_iteration(
        &self,
        by: &str,
        body: &Loop,
        extended: &Extended,
        world: &World,
    ) -> Result<(), Broken> {
        let done = self.children(by, "-i");
        let ids: Vec<&str> = extended.tasks.iter().map(|task| task.id.as_str()).collect();
        let next = format!("{by}-i{}", done.len() + 1);
        hold("d3_one_iteration_follows_another", ids == [next.as_str()], || format!("{ids:?}"))?;
        let last = done.last().map(|task| task.id.clone());
        let open = last
            .as_ref()
            .is_none_or(|last| self.completed(last) && self.met(body, last, world) == Some(false));
        hold("d3_an_iteration_follows_an_unmet_one", open, || format!("`{next}` after {last:?}"))?;
        // A person's retry grants one more.
        let most = body.max + self.tried(by).reopened;
        let holds = done.len() < usize::try_from(most).unwrap_or_default();
        hold("d3_the_cap_holds", holds, || format!("`{next}`, {most} are allowed"))
    }

    fn map_a_child_an_element(
        &self,
        by: &str,
        map: &Map,
        extended: &Extended,
        world: &World,
    ) -> Result<(), Broken> {
        let law = "map_makes_one_child_an_element";
        let k = |n: usize| format!("{by}-m{}", n + 1);
        let named = extended.tasks.iter().enumerate().all(|(n, task)| task.id == k(n));
        hold(law, named && self.children(by, "-m").is_empty(), || format!("`{by}` makes more"))?;
        let capped = extended.tasks.len() <= usize::try_from(map.max).unwrap_or_default();
        hold("map_the_cap_holds", capped, || format!("`{by}` makes {}", extended.tasks.len()))?;
        // What another control task hands on isn't any one worker's answer.
        if !self.was_heard(&map.task) {
            return Ok(());
        }
        let elements: Vec<Value> = extended.tasks.iter().filter_map(|task| task.item.clone()).collect();
        let answered = self.answered(&map.task, &map.output, world);
        hold(law, answered == Some(&Value::Array(elements.clone())), || {
            format!("`{by}` has {elements:?}, `{}` answered {answered:?}", map.task)
        })
    }

    /// Entrants once, all of them; then a judge for each match that the bracket has open.
    fn d5_matches(
        &self,
        by: &str,
        cup: &Tournament,
        extended: &Extended,
        world: &World,
    ) -> Result<(), Broken> {
        if self.children(by, "-e").is_empty() {
            let expected: Vec<String> = (1..=cup.entrants.len()).map(|k| format!("{by}-e{k}")).collect();
            let made: Vec<&String> = extended.tasks.iter().map(|task| &task.id).collect();
            return hold("d5_every_entrant_takes_part", made.iter().copied().eq(&expected), || {
                format!("{made:?} of {expected:?}")
            });
        }
        let Bracket::Open(expected) = self.bracket(by, world) else {
            return Err(Broken::new("d5_matches_follow_the_bracket", format!("`{by}` is played")));
        };
        let made: Vec<Pair> = extended.tasks.iter().filter_map(|task| task.judges.clone()).collect();
        let entrants: Vec<&str> = self.children(by, "-e").iter().map(|task| task.id.as_str()).collect();
        let impartial = extended.tasks.iter().all(|task| {
            let (left, right) = task.judges.clone().unwrap_or_default();
            let both = entrants.contains(&left.as_str()) && entrants.contains(&right.as_str());
            both && left != right && !entrants.contains(&task.id.as_str())
        });
        hold("d5_no_judge_is_an_entrant", impartial, || format!("{made:?}"))?;
        hold("d5_matches_follow_the_bracket", made == expected && made.len() == extended.tasks.len(), || {
            format!("`{by}`: {made:?}, the bracket has {expected:?}")
        })
    }

    /// Single elimination in the order of the entrants, by what judges of those very two said.
    fn bracket(&self, by: &str, world: &World) -> Bracket {
        let entrants = self.children(by, "-e").into_iter().map(|task| task.id.clone());
        let mut left: Vec<String> = entrants.filter(|id| self.completed(id)).collect();
        let judges = self.children(by, "-j");
        while left.len() > 1 {
            let mut open = Vec::new();
            let mut next = Vec::new();
            let mut round = left.iter();
            while let Some(one) = round.next() {
                let Some(other) = round.next() else {
                    next.push(one.clone());
                    break;
                };
                let pair = (one.clone(), other.clone());
                match judges.iter().find(|judge| judge.judges.as_ref() == Some(&pair)) {
                    None => open.push(pair),
                    Some(judge) if self.completed(&judge.id) => {
                        match self.answered(&judge.id, "winner", world).and_then(Value::as_str) {
                            Some("left") => next.push(pair.0),
                            Some("right") => next.push(pair.1),
                            _ => {}
                        }
                    }
                    Some(_) => {}
                }
            }
            if !open.is_empty() {
                return Bracket::Open(open);
            }
            left = next;
        }
        Bracket::Played(left.pop())
    }

    /// What every step of a task means for those that made it, or that it made.
    pub(super) fn controls(&mut self, event: &TaskEvent, world: &World) -> Result<(), Broken> {
        let Some(planned) = self.planned(&event.task).cloned() else { return Ok(()) };
        if let (
            Some(parent),
            TaskStep::NeedsMet | TaskStep::Claimed { .. } | TaskStep::Opened | TaskStep::Reopened,
        ) = (&planned.parent, &event.step)
        {
            let open = self.tried(parent).outcome.is_none();
            hold("d3_d5_a_child_goes_on_only_under_its_maker", open, || {
                format!("`{}`: {:?}", event.task, event.step)
            })?;
        }
        self.d4_a_branch(&planned, event, world)?;
        match (&planned.kind, super::book::outcome(&event.step)) {
            (TaskKind::Loop(_) | TaskKind::Map(_) | TaskKind::Tournament(_), Some(ended)) => {
                self.ends(&planned, (ended, &event.reason), world)
            }
            (_, _) => Ok(()),
        }
    }

    /// D4: one known label; what stands behind another one stays out, and not by a failure.
    fn d4_a_branch(&mut self, task: &Task, event: &TaskEvent, world: &World) -> Result<(), Broken> {
        if let (TaskStep::Verified { .. }, false) = (&event.step, task.branches.is_empty()) {
            let label = self.answered(&task.id, "label", world).and_then(Value::as_str);
            let known = label.is_some_and(|label| task.branches.contains_key(label));
            hold("d4_exactly_one_known_label", known, || format!("`{}` chose {label:?}", task.id))?;
        }
        let behind = |need: &Task| need.branches.values().any(|branch| branch.contains(&task.id));
        let needs = task.needs.iter().filter_map(|need| self.planned(&need.task));
        let out = needs.filter(|need| behind(need) && self.completed(&need.id)).find(|need| {
            let label = self.answered(&need.id, "label", world).and_then(Value::as_str);
            let chosen = label.and_then(|label| need.branches.get(label));
            chosen.is_none_or(|chosen| !chosen.contains(&task.id))
        });
        let out = out.map(|need| need.id.clone());
        match &event.step {
            TaskStep::NeedsMet => hold("d4_only_the_chosen_branch_starts", out.is_none(), || {
                format!("`{}` is ready, and `{out:?}` chose another branch", task.id)
            }),
            TaskStep::NeedsImpossible { by_design, .. } if event.reason.starts_with("pruned") => {
                self.count("pruned");
                hold("d4_pruned_by_design", out.is_some() && *by_design, || {
                    format!("`{}`: {}", task.id, event.reason)
                })
            }
            _ => Ok(()),
        }
    }

    fn count(&mut self, what: &str) {
        *self.book.kinds.entry(format!("control: {what}")).or_default() += 1;
    }

    /// A task ends that made others: after all of them, as they tell.
    fn ends(&mut self, task: &Task, (ended, reason): (Outcome, &str), world: &World) -> Result<(), Broken> {
        let is_open = |child: &&Task| self.tried(&child.id).outcome.is_none();
        let open = self.children(&task.id, "-").into_iter().find(is_open).map(|child| child.id.clone());
        hold("d1_a_maker_ends_after_what_it_made", open.is_none(), || {
            format!("`{}` is {ended:?}, `{open:?}` is open", task.id)
        })?;
        if !matches!(ended, Outcome::Completed | Outcome::Failed) || reason.starts_with("denied") {
            return Ok(());
        }
        let code = reason.split_once(':').map_or("completed", |(code, _)| code).to_owned();
        if code == "wall" {
            let over = self.book.purse.halted == Some(Halt::Wall) && ended == Outcome::Failed;
            return hold("d3_d5_time_ends_a_maker_only_when_it_is_up", over, || format!("`{}`", task.id));
        }
        self.count(&format!("{} {code}", task.kind.word()));
        let completed = ended == Outcome::Completed;
        match &task.kind {
            TaskKind::Loop(body) => {
                let last = self.children(&task.id, "-i").last().map(|last| last.id.clone());
                let finished = last.as_ref().is_some_and(|last| self.completed(last));
                let met = last.as_ref().and_then(|last| self.met(body, last, world));
                let capped = self.children(&task.id, "-i").len() >= usize::try_from(body.max).unwrap_or(0);
                let holds = match code.as_str() {
                    "completed" => completed && finished && met == Some(true),
                    "loop_cap" => !completed && finished && met == Some(false) && capped,
                    "iteration_failed" => !completed && !finished,
                    _ => false,
                };
                hold("d3_a_loop_ends_as_its_last_iteration_tells", holds, || {
                    format!("`{}`, finished: {finished}, met: {met:?}, capped: {capped}: {reason}", task.id)
                })
            }
            TaskKind::Tournament(_) => {
                let champion = match self.bracket(&task.id, world) {
                    Bracket::Played(champion) => champion,
                    Bracket::Open(open) => {
                        let detail = format!("`{}` ends with {open:?} unjudged", task.id);
                        return Err(Broken::new("d5_matches_follow_the_bracket", detail));
                    }
                };
                let chosen = self.tried(&task.id).chosen.filter(|_| completed);
                hold("d5_the_champion_won", champion == chosen, || {
                    format!("`{}`: {chosen:?}, the judges said {champion:?}", task.id)
                })
            }
            _ => {
                let all = self.children(&task.id, "-m").iter().all(|child| self.completed(&child.id));
                let holds = !completed || all;
                hold("map_completes_with_all_its_elements", holds, || format!("`{}`", task.id))
            }
        }
    }

    /// The run's own word: what was made counts through who made it.
    pub(super) fn d1_success(&self, event: &RunEvent) -> Result<(), Broken> {
        let RunEvent::Ended { success, halted } = event else { return Ok(()) };
        let counts = |task: &&Task| task.parent.is_none();
        let well = self.book.workflow.tasks.iter().filter(counts).all(|task| {
            let tried = self.tried(&task.id);
            match tried.outcome {
                Some(Outcome::Completed) => true,
                Some(Outcome::Skipped) => tried.by_design,
                Some(Outcome::Partial | Outcome::Failed | Outcome::Cancelled) | None => false,
            }
        });
        // A run that was stopped is none, however well it went until then.
        let well = well && halted.is_none();
        hold("d1_success_counts_children_through_their_maker", *success == well, || {
            format!("success: {success}, by the rows: {well}")
        })
    }

    /// What the state keeps so that nobody has to walk the run is what a walk finds.
    pub(super) fn j4_derived_fields(&self, state: &RunState) -> Result<(), Broken> {
        let law = "j4_derived_fields_equal_a_recount";
        let open = |task: usize| !state.tasks[task].phase.is_terminal();
        let mut children = vec![0; state.tasks.len()];
        for (n, task) in state.workflow().tasks.iter().enumerate() {
            let parent = task.parent.as_deref().and_then(|id| state.task_index(id));
            if let Some(parent) = parent.filter(|_| open(n)) {
                children[parent] += 1;
            }
            let needs = task.needs.iter().filter_map(|need| state.task_index(&need.task));
            let unended = needs.filter(|need| open(*need)).count();
            hold(law, state.tasks[n].unended == unended, || format!("`{}`: {unended} needs", task.id))?;
            let (phase, control) = (state.tasks[n].phase, task.kind.is_control());
            let ready = phase == TaskPhase::Ready;
            let held = phase.is_held();
            let moves = held || matches!(phase, TaskPhase::Verifying | TaskPhase::RepairRequired);
            let sorted = state.ready.contains(n) == (ready && !control)
                && state.opening.contains(&n) == (ready && control)
                && state.moving.contains(&n) == moves;
            hold(law, sorted, || format!("`{}` is {phase}", task.id))?;
        }
        for (n, children) in children.into_iter().enumerate() {
            hold(law, state.tasks[n].open_children == children, || {
                format!("`{}` has {children} open children", state.planned(n).id)
            })?;
        }
        let all = (0..state.tasks.len()).filter(|task| open(*task)).count();
        hold(law, state.open_count == all, || format!("{all} open tasks"))
    }

    /// Whether an item is one that a worker's look can tell of.
    pub(super) fn is_looked_at(item: &Item) -> bool {
        !matches!(item, Item::Children)
    }
}
