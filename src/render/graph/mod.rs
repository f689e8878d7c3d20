//! The graph of a workflow or of a run, and its forms: text, Mermaid, DOT, SVG and JSON.
//!
//! Pure and deterministic: the same workflow or state gives the same bytes. It leaves out
//! reasons and ages, which are `status`'s and `why`'s.

mod dot;
mod layers;
mod mermaid;
mod svg;
mod text;

#[cfg(test)]
mod tests;

pub use dot::dot;
pub use mermaid::mermaid;
pub use svg::{inline, svg};
pub use text::text;

use std::collections::{HashMap, HashSet};

use serde_json::{Value, json};

use super::clean;
use super::table::Tone;
use crate::engine::state::RunState;
use crate::engine::task_table::TaskPhase;
use crate::workflow::{Task, When, Workflow, made};

/// What is drawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Graph {
    /// The workflow's name, clean.
    pub name: String,
    /// The run's id; none for a workflow that is only planned.
    pub run: Option<String>,
    /// In the order of the workflow; a parent stands before its children.
    pub nodes: Vec<Node>,
    /// By where they lead, then by the order of the needs.
    pub edges: Vec<Edge>,
}

/// One task, or a placeholder for those that a control task will make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// The task's id; of a placeholder with the number left open: `fix-i<k>`.
    pub id: String,
    /// The word for what it does.
    pub kind: &'static str,
    /// Where it is, in a run.
    pub phase: Option<TaskPhase>,
    /// A classifier chose another branch.
    pub pruned: bool,
    /// What a placeholder stands for: `iteration, at most 5`. Empty for a task.
    pub note: String,
    /// The node of the control task that makes it.
    pub parent: Option<usize>,
    /// The task that submitted it: that one goes its own way, so that no line leads from it.
    pub submitted_by: Option<String>,
    /// From 1: the earliest step among those of the same parent.
    pub step: usize,
}

/// A need, between two tasks of the same parent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edge {
    /// The node that is needed.
    pub from: usize,
    /// The node that needs it.
    pub to: usize,
    /// The policy's word, where it isn't `completed`.
    pub when: Option<&'static str>,
    /// The labels under which a classifier leads here, clean.
    pub labels: Vec<String>,
    /// The classifier chose another way.
    pub pruned: bool,
}

/// What a run adds to the tasks of its workflow.
struct Lived<'s> {
    phase: TaskPhase,
    reason: &'s str,
    label: Option<&'s str>,
}

impl Graph {
    /// A workflow, as it is written.
    #[must_use]
    pub fn of_workflow(workflow: &Workflow) -> Self {
        let tasks: Vec<&Task> = workflow.tasks.iter().collect();
        build(&workflow.name, None, &tasks, &|_| None)
    }

    /// A run, with the states of its tasks and with the tasks that were made meanwhile.
    #[must_use]
    pub fn of_run(state: &RunState) -> Self {
        let counted: Vec<usize> =
            (0..state.tasks.len()).filter(|index| !state.tasks[*index].removed).collect();
        let tasks: Vec<&Task> = counted.iter().map(|index| state.planned(*index)).collect();
        let lived = |position: usize| {
            let task = &state.tasks[*counted.get(position)?];
            let label = task.outputs.get("label").and_then(Value::as_str);
            Some(Lived { phase: task.phase, reason: &task.reason, label })
        };
        build(&state.workflow().name, Some(&state.started.run), &tasks, &lived)
    }

    /// How many steps the tasks of the workflow itself take.
    #[must_use]
    pub fn steps(&self) -> usize {
        self.nodes.iter().filter(|node| node.parent.is_none()).map(|node| node.step).max().unwrap_or(0)
    }

    /// The children of every node, in one pass: those of the workflow itself stand at the end.
    fn families(&self) -> Vec<Vec<usize>> {
        let mut families = vec![Vec::new(); self.nodes.len() + 1];
        for (index, node) in self.nodes.iter().enumerate() {
            families[node.parent.unwrap_or(self.nodes.len())].push(index);
        }
        for family in &mut families {
            family.sort_by_key(|index| (self.nodes[*index].step, *index));
        }
        families
    }

    /// For scripts.
    #[must_use]
    pub fn json(&self) -> Value {
        let id = |index: usize| self.nodes[index].id.as_str();
        let node = |node: &Node| {
            json!({
                "id": node.id,
                "kind": node.kind,
                "parent": node.parent.map(id),
                "submitted_by": node.submitted_by,
                "state": node.phase.map(TaskPhase::word),
                "pruned": node.pruned,
                "step": node.step,
                "stands_for": (!node.note.is_empty()).then_some(node.note.as_str()),
            })
        };
        let edge = |edge: &Edge| {
            json!({
                "from": id(edge.from),
                "to": id(edge.to),
                "when": edge.when.unwrap_or("completed"),
                "labels": edge.labels,
                "pruned": edge.pruned,
            })
        };
        json!({
            "workflow": self.name,
            "run": self.run,
            "nodes": self.nodes.iter().map(node).collect::<Vec<_>>(),
            "edges": self.edges.iter().map(edge).collect::<Vec<_>>(),
        })
    }
}

impl Node {
    /// Where it is, in words; empty where nothing has begun.
    pub(super) fn state(&self) -> &'static str {
        match self.phase {
            Some(TaskPhase::Skipped) if self.pruned => "skipped (pruned)",
            Some(phase) => phase.word(),
            None => "",
        }
    }

    /// What colour says of it beside the word.
    pub(super) fn tone(&self) -> Tone {
        self.phase.map_or(Tone::Plain, super::status::task_tone)
    }

    /// What it does, or what it stands for.
    fn what(&self) -> String {
        match &self.submitted_by {
            Some(by) => format!("{}, submitted by {by}", self.kind),
            None if self.note.is_empty() => self.kind.to_owned(),
            None => self.note.clone(),
        }
    }

    /// The same, and where it is: the second line of a box.
    fn detail(&self) -> String {
        let what = self.what();
        match self.state() {
            "" => what,
            state => format!("{what}, {state}"),
        }
    }
}

impl Edge {
    /// What stands beside the line; empty for a plain need.
    fn words(&self) -> String {
        let mut words = self.labels.join(", ");
        if let Some(when) = self.when {
            if !words.is_empty() {
                words.push_str(", ");
            }
            words.push_str("when ");
            words.push_str(when);
        }
        words
    }
}

/// The word of a policy, but for the usual one.
fn policy(when: When) -> Option<&'static str> {
    match when {
        When::Completed => None,
        When::Partial => Some("partial"),
        When::Terminal => Some("terminal"),
        When::Optional => Some("optional"),
        When::Failed => Some("failed"),
    }
}

fn build<'s>(
    name: &str,
    run: Option<&str>,
    tasks: &[&Task],
    lived: &dyn Fn(usize) -> Option<Lived<'s>>,
) -> Graph {
    let mut graph = Graph {
        // A name is one line; what a terminal acts on is made visible for every form alike.
        name: clean(name),
        run: run.map(str::to_owned),
        nodes: Vec::with_capacity(tasks.len()),
        edges: Vec::new(),
    };
    let positions: HashMap<&str, usize> =
        tasks.iter().enumerate().map(|(position, task)| (task.id.as_str(), position)).collect();
    let is_parent: HashSet<&str> = tasks.iter().filter_map(|task| task.parent.as_deref()).collect();
    // Nodes of tasks come first, at the positions of the tasks; placeholders follow.
    for (position, task) in tasks.iter().enumerate() {
        let life = lived(position);
        graph.nodes.push(Node {
            id: task.id.clone(),
            kind: task.word(),
            phase: life.as_ref().map(|life| life.phase),
            pruned: life.is_some_and(|life| life.reason.starts_with("pruned:")),
            note: String::new(),
            // A task that another one submitted stands by itself.
            parent: task
                .parent
                .as_deref()
                .and_then(|parent| positions.get(parent).copied())
                .filter(|parent| tasks[*parent].kind.is_control()),
            submitted_by: task.parent.clone().filter(|parent| {
                positions.get(parent.as_str()).is_none_or(|parent| !tasks[*parent].kind.is_control())
            }),
            step: 1,
        });
    }
    edges(&mut graph, tasks, &positions, lived);
    for (position, task) in tasks.iter().enumerate() {
        let is_over = graph.nodes[position].phase.is_some_and(TaskPhase::is_terminal);
        // What was made stands for itself; what never will be isn't drawn.
        if !is_parent.contains(task.id.as_str()) && !is_over {
            placeholders(&mut graph, task, (&task.id, position));
        }
    }
    layers::assign(&mut graph);
    graph
}

/// A line for every need between two tasks of one parent: what a child inherits is drawn once, at
/// the task that makes it.
fn edges<'s>(
    graph: &mut Graph,
    tasks: &[&Task],
    positions: &HashMap<&str, usize>,
    lived: &dyn Fn(usize) -> Option<Lived<'s>>,
) {
    // Found once: a classifier may lead to thousands of tasks.
    let mut labels: HashMap<(usize, &str), Vec<&str>> = HashMap::new();
    for (position, task) in tasks.iter().enumerate() {
        for (label, behind) in &task.branches {
            for id in behind {
                labels.entry((position, id)).or_default().push(label);
            }
        }
    }
    for (position, task) in tasks.iter().enumerate() {
        for need in &task.needs {
            let Some(from) = positions.get(need.task.as_str()).copied() else { continue };
            if graph.nodes[from].parent != graph.nodes[position].parent {
                continue;
            }
            let labels = labels.get(&(from, task.id.as_str())).map_or(&[][..], Vec::as_slice);
            let chosen = lived(from).and_then(|life| life.label);
            let is_other = |chosen: &str| !labels.is_empty() && !labels.contains(&chosen);
            graph.edges.push(Edge {
                from,
                to: position,
                when: policy(need.when.unwrap_or(task.when)),
                labels: labels.iter().map(|label| clean(label)).collect(),
                pruned: graph.nodes[position].pruned && chosen.is_some_and(is_other),
            });
        }
    }
}

/// What a control task will make, one node for each body.
fn placeholders(graph: &mut Graph, task: &Task, (id, parent): (&str, usize)) {
    let mut entrants = Vec::new();
    for part in made(task) {
        let count = part.count;
        let note = match part.role {
            role @ ("iteration" | "element") => format!("{role}, at most {count}"),
            role if count == 1 => role.to_owned(),
            role => format!("{role}, {count} of them"),
        };
        let index = graph.nodes.len();
        let part_id = part.any(id);
        let kind = part.body.word();
        let note = format!("{kind}: {note}");
        graph.nodes.push(Node {
            id: part_id.clone(),
            kind,
            phase: None,
            pruned: false,
            note,
            parent: Some(parent),
            submitted_by: None,
            step: 1,
        });
        if part.role == "judge" {
            let edge = |from| Edge { from, to: index, when: None, labels: Vec::new(), pruned: false };
            graph.edges.extend(entrants.iter().copied().map(edge));
        } else {
            entrants.push(index);
        }
        placeholders(graph, part.body, (&part_id, index));
    }
}
