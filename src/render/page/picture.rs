//! The picture of the graph: boxes and lines as long as they can be read, else a mark for each
//! task, by step.
//!
//! It leaves out the drawing of boxes (`graph`).

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::super::graph::{self, Graph, Node};
use super::words::{class, mark};
use crate::engine::task_table::TaskPhase;
use crate::render::words::count;

/// Boxes that a person can still follow.
const BOXES: usize = 80;
/// Lines between them.
const LINES: usize = 300;
/// Marks in one line of the small form.
const ACROSS: usize = 50;
/// The distance of two marks.
const CELL: usize = 18;

/// The picture, and the words that say the same.
pub(super) fn picture(graph: &Graph) -> Value {
    let top = graph.nodes.iter().filter(|node| node.parent.is_none()).count();
    let (tasks, steps) = (count(graph.nodes.len(), "task"), count(graph.steps(), "step"));
    let is_small = top > BOXES || graph.edges.len() > LINES;
    let svg = (!is_small).then(|| graph::inline(graph, "s-graph", "task-"));
    let rows: Vec<Value> =
        if is_small { (1..=graph.steps()).map(|step| row(graph, step)).collect() } else { Vec::new() };
    json!({"words": format!("{tasks} in {steps}"), "svg": svg, "rows": rows})
}

/// One step of the small form: how many are where, and a mark for each.
fn row(graph: &Graph, step: usize) -> Value {
    let nodes: Vec<&Node> =
        graph.nodes.iter().filter(|node| node.parent.is_none() && node.step == step).collect();
    let number = |phase| nodes.iter().filter(|node| node.phase == Some(phase)).count();
    let tally: Vec<String> = TaskPhase::ALL
        .into_iter()
        .map(|phase| (phase, number(phase)))
        .filter(|(_, number)| *number > 0)
        .map(|(phase, number)| format!("{number} {phase}"))
        .collect();
    json!({"step": step, "tasks": count(nodes.len(), "task"), "tally": tally.join(", "), "svg": marks(&nodes)})
}

fn marks(nodes: &[&Node]) -> String {
    let width = CELL * nodes.len().min(ACROSS);
    let height = CELL * nodes.len().div_ceil(ACROSS);
    let mut out = format!(
        "<svg class=\"marks\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" aria-hidden=\"true\">"
    );
    for (place, node) in nodes.iter().enumerate() {
        let (x, y) = (place % ACROSS * CELL, place / ACROSS * CELL);
        let sign = node.phase.map_or("·", mark);
        // A `String` takes every write. Nothing here is anybody's text.
        let _ = write!(
            out,
            "<rect class=\"box {}\" x=\"{}\" y=\"{}\" width=\"15\" height=\"15\" rx=\"3\"/><text x=\"{}\" y=\"{}\">{sign}</text>",
            class(node.tone()),
            x + 1,
            y + 1,
            x + 8,
            y + 13
        );
    }
    out.push_str("</svg>");
    out
}
