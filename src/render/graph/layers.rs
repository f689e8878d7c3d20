//! Which step a task belongs to: the longest way to it from a task that needs nothing.
//!
//! Linear, and without recursion: a chain may be as long as a workflow. Where in its step a
//! task is drawn is each form's to decide.

use super::Graph;

/// Sets every node's step, among the nodes of the same parent.
pub(super) fn assign(graph: &mut Graph) {
    let count = graph.nodes.len();
    let mut waits = vec![0_usize; count];
    let mut leads = vec![Vec::new(); count];
    for edge in &graph.edges {
        waits[edge.to] += 1;
        leads[edge.from].push(edge.to);
    }
    let mut open: Vec<usize> = (0..count).filter(|node| waits[*node] == 0).collect();
    let mut next = 0;
    while let Some(node) = open.get(next).copied() {
        next += 1;
        for to in leads[node].iter().copied() {
            graph.nodes[to].step = graph.nodes[to].step.max(graph.nodes[node].step + 1);
            waits[to] -= 1;
            if waits[to] == 0 {
                open.push(to);
            }
        }
    }
}
