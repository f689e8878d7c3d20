//! The graph as a Mermaid flowchart: control tasks as subgraphs, states as words and classes.
//!
//! Everything that somebody else wrote stands in quotes, with every character that Mermaid or
//! the HTML behind it could act on written as a number.

use std::fmt::Write as _;

use super::super::table::Tone;
use super::Graph;

/// The classes that states have: fill, line and text, readable on light and dark pages.
const CLASSES: &str = "    classDef good fill:#dff5e1,stroke:#1a7f37,color:#0b3d1a
    classDef warn fill:#fff3cd,stroke:#9a6700,color:#4d3300
    classDef bad fill:#ffe3e0,stroke:#cf222e,color:#5c0f14
    classDef dim fill:#eceff1,stroke:#8b949e,color:#57606a
    classDef plan stroke-dasharray:4 3
";

/// The whole chart, every line ended.
#[must_use]
pub fn mermaid(graph: &Graph) -> String {
    let families = graph.families();
    let mut out = String::from("flowchart TD\n");
    // Opened and closed by a stack of our own; the ends are entries in it.
    let mut open: Vec<Step> =
        families.last().into_iter().flatten().rev().map(|node| Step::Node(*node, 1)).collect();
    while let Some(step) = open.pop() {
        match step {
            Step::End(depth) => {
                let _ = writeln!(out, "{:width$}end", "", width = depth * 4);
            }
            Step::Node(node, depth) if families[node].is_empty() => box_of(&mut out, graph, (node, depth)),
            Step::Node(node, depth) => {
                let width = depth * 4;
                let _ = writeln!(out, "{:width$}subgraph g{node}[\"{}\"]", "", escape(&graph.nodes[node].id));
                box_of(&mut out, graph, (node, depth + 1));
                open.push(Step::End(depth));
                open.extend(families[node].iter().rev().map(|child| Step::Node(*child, depth + 1)));
            }
        }
    }
    for edge in &graph.edges {
        let line = if edge.pruned { "-.->" } else { "-->" };
        let words = match edge.words().as_str() {
            "" => String::new(),
            words => format!("|\"{}\"|", escape(words)),
        };
        let _ = writeln!(out, "    n{} {line}{words} n{}", edge.from, edge.to);
    }
    for (index, node) in graph.nodes.iter().enumerate() {
        // From a control task to what it makes first; the rest follows from that.
        if let (Some(parent), 1) = (node.parent, node.step) {
            let _ = writeln!(out, "    n{parent} -.- n{index}");
        }
    }
    out.push_str(CLASSES);
    for (class, tone) in [("good", Tone::Good), ("warn", Tone::Warn), ("bad", Tone::Bad), ("dim", Tone::Dim)]
    {
        classes(&mut out, graph, class, |node| node.phase.is_some() && node.tone() == tone);
    }
    classes(&mut out, graph, "plan", |node| !node.note.is_empty());
    out
}

enum Step {
    Node(usize, usize),
    End(usize),
}

fn box_of(out: &mut String, graph: &Graph, (index, depth): (usize, usize)) {
    let node = &graph.nodes[index];
    let (id, detail) = (escape(&node.id), escape(&node.detail()));
    let _ = writeln!(out, "{:width$}n{index}[\"{id}<br>{detail}\"]", "", width = depth * 4);
}

fn classes(out: &mut String, graph: &Graph, class: &str, is_it: impl Fn(&super::Node) -> bool) {
    let nodes: Vec<String> = (0..graph.nodes.len())
        .filter(|index| is_it(&graph.nodes[*index]))
        .map(|index| format!("n{index}"))
        .collect();
    if !nodes.is_empty() {
        let _ = writeln!(out, "    class {} {class}", nodes.join(","));
    }
}

/// Letters, digits and what never means anything stay; the rest becomes `#number;`.
fn escape(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        if c.is_alphanumeric() || matches!(c, ' ' | '-' | '_' | '.' | ',') {
            out.push(c);
        } else {
            let _ = write!(out, "#{};", u32::from(c));
        }
        out
    })
}
