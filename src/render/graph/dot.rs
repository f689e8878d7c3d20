//! The graph in Graphviz's DOT: control tasks as clusters, states as words and colours.
//!
//! Every text is a quoted string, in which a quote and a backslash are escaped: no label can
//! end it, and none is read as HTML.

use std::fmt::Write as _;

use super::super::table::Tone;
use super::Graph;

/// The whole document, every line ended.
#[must_use]
pub fn dot(graph: &Graph) -> String {
    let families = graph.families();
    let mut out = format!("digraph {} {{\n", quote(&graph.name));
    out.push_str("    rankdir=TB;\n    node [shape=box, style=\"rounded,filled\", fillcolor=\"#ffffff\", fontname=\"sans-serif\"];\n    edge [fontname=\"sans-serif\", fontsize=10];\n");
    // Opened and closed by a stack of our own; the ends are entries in it.
    let mut open: Vec<Step> =
        families.last().into_iter().flatten().rev().map(|node| Step::Node(*node, 1)).collect();
    while let Some(step) = open.pop() {
        match step {
            Step::End(depth) => {
                let _ = writeln!(out, "{:width$}}}", "", width = depth * 4);
            }
            Step::Node(node, depth) if families[node].is_empty() => box_of(&mut out, graph, (node, depth)),
            Step::Node(node, depth) => {
                let width = depth * 4;
                let label = quote(&graph.nodes[node].id);
                let _ = writeln!(out, "{:width$}subgraph cluster_{node} {{ label={label};", "");
                box_of(&mut out, graph, (node, depth + 1));
                open.push(Step::End(depth));
                open.extend(families[node].iter().rev().map(|child| Step::Node(*child, depth + 1)));
            }
        }
    }
    for edge in &graph.edges {
        let mut looks = Vec::new();
        if !edge.words().is_empty() {
            looks.push(format!("label={}", quote(&edge.words())));
        }
        if edge.pruned {
            looks.push("style=dashed, color=\"#8b949e\"".to_owned());
        }
        let looks = if looks.is_empty() { String::new() } else { format!(" [{}]", looks.join(", ")) };
        let _ = writeln!(out, "    n{} -> n{}{looks};", edge.from, edge.to);
    }
    for (index, node) in graph.nodes.iter().enumerate() {
        if let (Some(parent), 1) = (node.parent, node.step) {
            let _ = writeln!(out, "    n{parent} -> n{index} [style=dotted, arrowhead=none];");
        }
    }
    out.push_str("}\n");
    out
}

enum Step {
    Node(usize, usize),
    End(usize),
}

fn box_of(out: &mut String, graph: &Graph, (index, depth): (usize, usize)) {
    let node = &graph.nodes[index];
    let label = quote(&format!("{}\n{}", node.id, node.detail()));
    let (fill, line) = match node.tone() {
        Tone::Plain => ("#ffffff", "#57606a"),
        Tone::Good => ("#dff5e1", "#1a7f37"),
        Tone::Warn => ("#fff3cd", "#9a6700"),
        Tone::Bad => ("#ffe3e0", "#cf222e"),
        Tone::Dim => ("#eceff1", "#8b949e"),
    };
    let style = if node.note.is_empty() { "" } else { ", style=\"rounded,filled,dashed\"" };
    let _ = writeln!(
        out,
        "{:width$}n{index} [label={label}, fillcolor=\"{fill}\", color=\"{line}\"{style}];",
        "",
        width = depth * 4
    );
}

/// A quoted string. A line break is DOT's own escape; other control characters were made visible.
fn quote(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
