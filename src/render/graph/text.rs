//! The graph for a terminal: a line for each task, by step, with what it needs behind it.
//!
//! It fits the width that it is given, 80 columns where there is none. Colour is a second
//! cue: the words alone say everything.

use std::fmt::Write as _;

use super::super::table::{Screen, toned};
use super::super::words::count;
use super::{Edge, Graph, Node};

/// Columns where nobody says how many there are.
const WIDTH: usize = 80;
/// The widest column of ids; a longer one has a line of its own.
const ID_MAX: usize = 36;

/// One line's parts, before they are laid out.
struct Row {
    step: String,
    id: String,
    node: usize,
    needs: Vec<String>,
}

/// The whole text, every line ended.
#[must_use]
pub fn text(graph: &Graph, screen: Screen) -> String {
    let tasks = graph.nodes.iter().filter(|node| node.note.is_empty()).count();
    let (tasks, steps) = (count(tasks, "task"), count(graph.steps(), "step"));
    let head = match &graph.run {
        Some(run) => format!("Run {run} of {}: {tasks} in {steps}.\n", graph.name),
        None => format!("Workflow {}: {tasks} in {steps}.\n", graph.name),
    };
    let mut rows = Vec::with_capacity(graph.nodes.len());
    collect(graph, &mut rows);
    let widest = rows.iter().map(|row| row.id.chars().count()).filter(|length| *length <= ID_MAX);
    let lengths = Lengths {
        step: graph.steps().to_string().len(),
        id: widest.max().unwrap_or(0),
        // A placeholder has no state, so that its words may reach into that column.
        kind: longest(graph.nodes.iter().filter(|node| node.note.is_empty()).map(Node::what)),
        state: longest(graph.nodes.iter().map(|node| node.state().to_owned())),
        all: screen.width.unwrap_or(WIDTH).max(40),
    };
    rows.iter().fold(head + "\n", |mut out, row| {
        line(&mut out, graph, row, (&lengths, screen));
        out
    })
}

struct Lengths {
    step: usize,
    id: usize,
    kind: usize,
    state: usize,
    all: usize,
}

fn longest(words: impl Iterator<Item = String>) -> usize {
    words.map(|word| word.chars().count()).max().unwrap_or(0)
}

/// Every row in the order in which it is shown: children behind their parent. A stack of our own,
/// though nothing nests deeply: what is submitted may, one day.
fn collect(graph: &Graph, rows: &mut Vec<Row>) {
    let families = graph.families();
    let mut needs = vec![Vec::new(); graph.nodes.len()];
    for edge in &graph.edges {
        needs[edge.to].push(needed(graph, edge));
    }
    let top = families.last().cloned().unwrap_or_default();
    let mut open: Vec<(usize, String, bool)> =
        top.into_iter().rev().map(|node| (node, String::new(), false)).collect();
    let mut last_step = 0;
    while let Some((node, lead, is_last)) = open.pop() {
        let found = &graph.nodes[node];
        let is_top = found.parent.is_none();
        let step = if is_top && found.step != last_step { found.step.to_string() } else { String::new() };
        if is_top {
            last_step = found.step;
        }
        let branch = match (is_top, is_last) {
            (true, _) => "",
            (false, true) => "└ ",
            (false, false) => "├ ",
        };
        rows.push(Row {
            step,
            id: format!("{lead}{branch}{}", found.id),
            node,
            needs: std::mem::take(&mut needs[node]),
        });
        let below = match (is_top, is_last) {
            (true, _) => lead,
            (false, true) => lead + "  ",
            (false, false) => lead + "│ ",
        };
        let children = &families[node];
        for (place, child) in children.iter().enumerate().rev() {
            open.push((*child, below.clone(), place + 1 == children.len()));
        }
    }
}

/// `test (when failed)`.
fn needed(graph: &Graph, edge: &Edge) -> String {
    let id = &graph.nodes[edge.from].id;
    match edge.words().as_str() {
        "" => id.clone(),
        words => format!("{id} ({words})"),
    }
}

fn line(out: &mut String, graph: &Graph, row: &Row, (lengths, screen): (&Lengths, Screen)) {
    let node = &graph.nodes[row.node];
    let (step, id) = (lengths.step, lengths.id);
    let what = node.what();
    // A `String` takes every write.
    let _ = write!(out, "{:>step$}  {:<id$}", row.step, row.id);
    if row.id.chars().count() > id {
        let _ = write!(out, "\n{:step$}  {:<id$}", "", "");
    }
    let mut used = step + 2 + id + 2 + what.chars().count();
    let _ = write!(out, "  {what}");
    let state = node.state();
    if !state.is_empty() {
        let gap = lengths.kind.saturating_sub(what.chars().count()) + 2;
        let _ = write!(out, "{:gap$}{}", "", toned(screen, node.tone(), state));
        used += gap + state.chars().count();
    }
    if row.needs.is_empty() {
        out.push('\n');
        return;
    }
    let inline = row.needs.join(", ");
    let aligned = step + 2 + id + 2 + lengths.kind + if lengths.state > 0 { lengths.state + 2 } else { 0 };
    let gap = aligned.saturating_sub(used) + 2;
    if used + gap + 3 + inline.chars().count() <= lengths.all {
        let _ = writeln!(out, "{:gap$}<- {inline}", "");
        return;
    }
    out.push('\n');
    wrap(out, &row.needs, (step + 4, lengths.all));
}

/// Needs on lines of their own, as many on each as fit. One that doesn't fit at all stands whole.
fn wrap(out: &mut String, needs: &[String], (indent, width): (usize, usize)) {
    let mut line = format!("{:indent$}<-", "");
    let mut is_empty = true;
    for (place, need) in needs.iter().enumerate() {
        let comma = if place + 1 < needs.len() { "," } else { "" };
        if !is_empty && line.chars().count() + 1 + need.chars().count() + comma.len() > width {
            out.push_str(&line);
            out.push('\n');
            line = format!("{:indent$}  ", "");
        }
        let _ = write!(line, " {need}{comma}");
        is_empty = false;
    }
    out.push_str(&line);
    out.push('\n');
}
