//! The graph as SVG: a row for each step, a box for each task, its children as lines inside.
//!
//! It runs nothing, loads nothing and names nobody else: no script, no link, no font. Colours
//! follow the reader's light or dark scheme. The layout is our own, layered by the longest
//! way; within a row, tasks stand below what they need as far as that is easy to have.

use std::fmt::Write as _;

use super::super::table::Tone;
use super::{Graph, Node};

/// Width of one character of the fonts that readers have, in tenths of a pixel; generous.
const CHARACTER: usize = 74;
const LINE: usize = 18;
const PADDING: usize = 10;
const GAP: usize = 28;
const ROW_GAP: usize = 56;
const MARGIN: usize = 20;
/// Characters of one line in a box.
const LINE_MAX: usize = 60;
/// Children that are drawn in a box; the rest is counted.
const CHILDREN_MAX: usize = 20;

const STYLE: &str = "\
text{font:12px ui-sans-serif,system-ui,sans-serif;fill:#1f2328}
.id{font-weight:600}
.box{fill:#fff;stroke:#57606a}
.good{fill:#dff5e1;stroke:#1a7f37}.warn{fill:#fff3cd;stroke:#9a6700}
.bad{fill:#ffe3e0;stroke:#cf222e}.dim{fill:#eceff1;stroke:#8b949e}
.edge{fill:none;stroke:#57606a}.pruned{stroke-dasharray:4 3;stroke:#8b949e}
.word,.part{font-size:11px;fill:#57606a}
.word{paint-order:stroke;stroke:#fff;stroke-width:3px}
.head{fill:#57606a}
@media (prefers-color-scheme:dark){
text{fill:#e6edf3}
.box{fill:#161b22;stroke:#8b949e}
.good{fill:#12361d;stroke:#3fb950}.warn{fill:#3a2d0a;stroke:#d29922}
.bad{fill:#42161a;stroke:#f85149}.dim{fill:#21262d;stroke:#6e7681}
.edge{stroke:#8b949e}.pruned{stroke:#6e7681}
.word,.part{fill:#9da7b3}
.word{stroke:#0d1117}
.head{fill:#8b949e}
}
";

/// A box with its lines and its place.
struct Drawn {
    lines: Vec<String>,
    x: usize,
    y: usize,
    width: usize,
    height: usize,
}

/// A picture without its frame.
struct Picture {
    width: usize,
    height: usize,
    body: String,
}

/// The whole document.
#[must_use]
pub fn svg(graph: &Graph) -> String {
    let Picture { width, height, body } = picture(graph, None);
    let title = escape(&graph.name);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" role=\"img\">\n<title>{title}</title>\n<style>\n{STYLE}</style>\n{body}</svg>\n"
    )
}

/// The picture as a part of a page, which has the style: `label` is the id of what names it,
/// and each box leads to `#<anchor><id of its task>`.
#[must_use]
pub fn inline(graph: &Graph, label: &str, anchor: &str) -> String {
    let Picture { width, height, body } = picture(graph, Some(anchor));
    format!(
        "<svg class=\"dag\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" role=\"group\" aria-labelledby=\"{}\">\n{body}</svg>\n",
        escape(label)
    )
}

fn picture(graph: &Graph, anchor: Option<&str>) -> Picture {
    let families = graph.families();
    let top = families.last().cloned().unwrap_or_default();
    let mut drawn: Vec<Option<Drawn>> = Vec::new();
    drawn.resize_with(graph.nodes.len(), || None);
    for node in &top {
        drawn[*node] = Some(measured(graph, &families, *node));
    }
    let (width, height) = place(graph, &top, &mut drawn);
    let mut out = String::from(
        "<defs><marker id=\"to\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"7\" markerHeight=\"7\" orient=\"auto\"><path class=\"head\" d=\"M0 0L8 4L0 8z\"/></marker></defs>\n",
    );
    // Lines first: where one passes a box, it passes behind it.
    for edge in &graph.edges {
        if let (Some(from), Some(to)) = (&drawn[edge.from], &drawn[edge.to]) {
            line(&mut out, (from, to), edge);
        }
    }
    for node in &top {
        if let Some(found) = &drawn[*node] {
            linked(&mut out, &graph.nodes[*node], found, anchor);
        }
    }
    // Words last, with a rim of their own: what a box covered couldn't be read.
    for edge in &graph.edges {
        if let (Some(from), Some(to)) = (&drawn[edge.from], &drawn[edge.to]) {
            beside(&mut out, (from, to), edge);
        }
    }
    Picture { width, height, body: out }
}

/// A box, and the way to what is told of it where it stands in a page.
fn linked(out: &mut String, node: &Node, found: &Drawn, anchor: Option<&str>) {
    let Some(anchor) = anchor else { return boxed(out, node, found) };
    let (anchor, id) = (escape(anchor), escape(&node.id));
    let _ = writeln!(out, "<a href=\"#{anchor}{id}\">");
    boxed(out, node, found);
    out.push_str("</a>\n");
}

/// The lines of a box and its size: id, what it does, then its children.
fn measured(graph: &Graph, families: &[Vec<usize>], index: usize) -> Drawn {
    let node = &graph.nodes[index];
    let mut lines = vec![cut(&node.id), cut(&node.detail())];
    let mut open: Vec<(usize, usize)> = families[index].iter().rev().map(|child| (*child, 0)).collect();
    let mut left_out = 0_usize;
    while let Some((child, depth)) = open.pop() {
        if lines.len() < CHILDREN_MAX + 2 {
            let node = &graph.nodes[child];
            lines.push(cut(&format!("{:depth$}• {}: {}", "", node.id, node.detail())));
        } else {
            left_out += 1;
        }
        open.extend(families[child].iter().rev().map(|inner| (*inner, depth + 2)));
    }
    if left_out > 0 {
        lines.push(format!("... and {left_out} more"));
    }
    let longest = lines.iter().map(|line| line.chars().count()).max().unwrap_or(0);
    let width = longest * CHARACTER / 10 + 2 * PADDING;
    Drawn { x: 0, y: 0, width, height: lines.len() * LINE + PADDING, lines }
}

/// Gives every box its place; returns the size of the whole.
fn place(graph: &Graph, top: &[usize], drawn: &mut [Option<Drawn>]) -> (usize, usize) {
    let mut rows: Vec<Vec<usize>> = vec![Vec::new(); graph.steps()];
    for node in top {
        rows[graph.nodes[*node].step - 1].push(*node);
    }
    let mut needs = vec![Vec::new(); graph.nodes.len()];
    for edge in &graph.edges {
        needs[edge.to].push(edge.from);
    }
    let width_of = |drawn: &[Option<Drawn>], row: &[usize]| {
        let boxes = row.iter().filter_map(|node| drawn[*node].as_ref()).map(|found| found.width);
        boxes.sum::<usize>() + GAP * row.len().saturating_sub(1)
    };
    let widest = rows.iter().map(|row| width_of(drawn, row)).max().unwrap_or(0);
    let mut y = MARGIN;
    for row in &mut rows {
        // Whole numbers, so that the order is the same everywhere.
        let middle = |node: &usize| {
            let above: Vec<usize> = needs[*node]
                .iter()
                .filter_map(|need| drawn[*need].as_ref())
                .map(|found| found.x + found.width / 2)
                .collect();
            if above.is_empty() { 0 } else { above.iter().sum::<usize>() / above.len() }
        };
        row.sort_by_cached_key(|node| (middle(node), *node));
        let mut x = MARGIN + (widest - width_of(drawn, row)) / 2;
        let mut tallest = 0;
        for node in row.iter() {
            if let Some(found) = &mut drawn[*node] {
                (found.x, found.y) = (x, y);
                x += found.width + GAP;
                tallest = tallest.max(found.height);
            }
        }
        y += tallest + ROW_GAP;
    }
    (widest + 2 * MARGIN, (y + MARGIN).saturating_sub(ROW_GAP).max(2 * MARGIN))
}

fn line(out: &mut String, (from, to): (&Drawn, &Drawn), edge: &super::Edge) {
    let (x1, y1) = (from.x + from.width / 2, from.y + from.height);
    let (x2, y2) = (to.x + to.width / 2, to.y);
    let half = y1.midpoint(y2);
    let class = if edge.pruned { "edge pruned" } else { "edge" };
    let _ = writeln!(
        out,
        "<path class=\"{class}\" marker-end=\"url(#to)\" d=\"M{x1} {y1}C{x1} {half} {x2} {half} {x2} {y2}\"/>"
    );
}

/// What stands beside a line: near its end, where the lines of one task have parted.
fn beside(out: &mut String, (from, to): (&Drawn, &Drawn), edge: &super::Edge) {
    let words = edge.words();
    if words.is_empty() {
        return;
    }
    let (x1, y1) = (from.x + from.width / 2, from.y + from.height);
    let (x2, y2) = (to.x + to.width / 2, to.y);
    let (x, y) = ((x1 + 3 * x2) / 4, (y1 + 3 * y2) / 4);
    let _ = writeln!(out, "<text class=\"word\" x=\"{x}\" y=\"{y}\">{}</text>", escape(&cut(&words)));
}

fn boxed(out: &mut String, node: &Node, found: &Drawn) {
    let Drawn { lines, x, y, width, height } = found;
    let class = match node.tone() {
        Tone::Plain => "box",
        Tone::Good => "box good",
        Tone::Warn => "box warn",
        Tone::Bad => "box bad",
        Tone::Dim => "box dim",
    };
    let _ = writeln!(
        out,
        "<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"6\"/>"
    );
    for (place, text) in lines.iter().enumerate() {
        let class = match place {
            0 => " class=\"id\"",
            1 => "",
            _ => " class=\"part\"",
        };
        // Blanks at its beginning say how deep a child is, and would be dropped.
        let depth = text.chars().take_while(|c| *c == ' ').count();
        let (x, y) = (x + PADDING + depth * CHARACTER / 10, y + (place + 1) * LINE - 3);
        let _ = writeln!(out, "<text{class} x=\"{x}\" y=\"{y}\">{}</text>", escape(text.trim_start()));
    }
}

/// At most a line's characters.
fn cut(text: &str) -> String {
    if text.chars().count() <= LINE_MAX {
        return text.to_owned();
    }
    let short: String = text.chars().take(LINE_MAX - 3).collect();
    format!("{short}...")
}

/// Text that XML reads as text, and that it may hold at all.
fn escape(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // Neither may stand in a document, not even by its number.
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
        out
    })
}
