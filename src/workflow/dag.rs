//! Rules between tasks: needs exist, nothing waits for itself, bases lie among the needs.
//!
//! Time is linear in tasks and needs, but for two bounded searches: the
//! nearest name, and the shortest of several cycles. What runs when is the
//! engine's to decide, not said here.

use std::collections::{HashMap, VecDeque};

use petgraph::algo::{kosaraju_scc, toposort};
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef;

use super::error::Sink;
use super::model::TaskBase;
use super::place::{Path, quote};
use super::reviews;
use super::scalar;
use super::tasks::Drafted;

/// Names that are compared to find what a mistaken one means.
const MAX_CANDIDATES: usize = 10_000;
/// Steps of the search for the shortest cycle of one knot; beyond them a short one must do.
const MAX_STEPS: usize = 1_000_000;
/// Needs that are looked at before a base's task is searched for properly.
const NEAR: usize = 64;
/// Tasks of a cycle that are printed in full.
const MAX_PRINTED: usize = 1_000;

/// Edges lead from a task to what it waits for; the weight is the need's place in the task's
/// list, and the reviewers' places follow those of the needs.
type Graph = DiGraph<(), usize>;

/// Checks the references between tasks.
pub(super) fn check(sink: &mut Sink<'_>, drafts: &[Drafted]) {
    let by_id: HashMap<&str, usize> =
        drafts.iter().enumerate().map(|(index, draft)| (draft.task.id.as_str(), index)).collect();
    let mut graph = Graph::with_capacity(drafts.len(), drafts.len());
    // Node numbers are places in `drafts`, so that no second map is needed.
    for _ in drafts {
        graph.add_node(());
    }
    for (index, draft) in drafts.iter().enumerate() {
        for (place, need) in draft.task.needs.iter().enumerate() {
            // No edge for it: one knot, one problem.
            if need.task == draft.task.id {
                let message = format!("the task `{}` needs itself", need.task);
                need_error(sink, draft, place, (message, Some("remove it".to_owned())));
            } else if let Some(target) = by_id.get(need.task.as_str()) {
                graph.add_edge(NodeIndex::new(index), NodeIndex::new(*target), place);
            } else {
                let message = format!("no task {}", quote(&need.task));
                let help = nearest(sink, &need.task, drafts, index);
                let help = help.unwrap_or_else(|| "add that task, or remove the need".to_owned());
                need_error(sink, draft, place, (message, Some(help)));
            }
        }
        review_edges(sink, drafts, (index, &by_id), &mut graph);
    }
    reviews::check(sink, drafts, &by_id);
    match toposort(&graph, None) {
        Ok(order) => bases(sink, drafts, &by_id, (&graph, &order)),
        // The error names one task of one cycle, which is too little to act on.
        Err(_) => cycles(sink, drafts, &graph),
    }
}

/// A task completes after its reviewers: what those need must not wait for it.
fn review_edges(
    sink: &mut Sink<'_>,
    drafts: &[Drafted],
    (index, by_id): (usize, &HashMap<&str, usize>),
    graph: &mut Graph,
) {
    let draft = &drafts[index];
    for (place, review) in draft.reviews.iter().enumerate() {
        if review.task == draft.task.id {
            let message = format!("the task `{}` reviews itself", review.task);
            reviews::error(sink, draft, review, (message, "name another task".to_owned()));
        } else if let Some(target) = by_id.get(review.task.as_str()) {
            let place = draft.task.needs.len() + place;
            graph.add_edge(NodeIndex::new(index), NodeIndex::new(*target), place);
        } else {
            let help = nearest(sink, &review.task, drafts, index);
            let help = help.unwrap_or_else(|| "add that task, or remove the item".to_owned());
            reviews::error(sink, draft, review, (format!("no task {}", quote(&review.task)), help));
        }
    }
}

/// A problem at one of a task's needs, or of its reviewers.
fn need_error(sink: &mut Sink<'_>, draft: &Drafted, place: usize, words: (String, Option<String>)) {
    let Some((span, index)) = draft.needs.get(place).copied() else {
        let review = place.checked_sub(draft.needs.len()).and_then(|place| draft.reviews.get(place));
        if let Some(review) = review {
            reviews::error(sink, draft, review, (words.0, "remove one of these needs".to_owned()));
        }
        return;
    };
    let (tasks, task) = (Path::ROOT.key("tasks"), draft.task.id.as_str());
    let (task, needs) = (tasks.key(task), "needs");
    let needs = task.key(needs);
    let (message, help) = words;
    match help {
        Some(help) => sink.error_with(&needs.index(index), span, message, help),
        None => sink.error(&needs.index(index), span, message),
    }
}

/// The task that was probably meant, while that is still worth a search.
fn nearest(sink: &Sink<'_>, id: &str, drafts: &[Drafted], own: usize) -> Option<String> {
    if !sink.suggests() {
        return None;
    }
    let others = drafts.iter().enumerate().filter(|(index, _)| *index != own);
    let ids = others.map(|(_, draft)| draft.task.id.as_str()).take(MAX_CANDIDATES);
    scalar::nearest(id, ids).map(|near| format!("did you mean `{near}`?"))
}

/// One problem per knot of tasks that wait for each other, with the shortest way around it.
fn cycles(sink: &mut Sink<'_>, drafts: &[Drafted], graph: &Graph) {
    // Tarjan's algorithm would recurse as deep as the longest chain.
    let mut knots = kosaraju_scc(graph);
    knots.retain(|knot| knot.len() > 1);
    // Which knot a task belongs to: a search must not leave its own.
    let mut member = vec![usize::MAX; drafts.len()];
    for (number, knot) in knots.iter_mut().enumerate() {
        knot.sort_unstable();
        for node in knot.iter() {
            member[node.index()] = number;
        }
    }
    for (number, knot) in knots.iter().enumerate() {
        let Some(cycle) = shortest(graph, knot, |node| member[node.index()] == number) else { continue };
        let (Some(first), Some(second)) = (cycle.first(), cycle.get(1)) else { continue };
        let place = graph.find_edge(*first, *second).and_then(|edge| graph.edge_weight(edge)).copied();
        let message = format!("tasks wait for each other: {}", printed(drafts, &cycle));
        let help = "remove one of these needs".to_owned();
        need_error(sink, &drafts[first.index()], place.unwrap_or(0), (message, Some(help)));
    }
}

/// The cycle as an arrow path, its middle left out where nobody would read it.
fn printed(drafts: &[Drafted], cycle: &[NodeIndex]) -> String {
    let mut ids: Vec<String> = cycle.iter().map(|node| drafts[node.index()].task.id.clone()).collect();
    if ids.len() > MAX_PRINTED + 1 {
        let left_out = ids.len() - MAX_PRINTED;
        ids.splice(MAX_PRINTED - 1..ids.len() - 1, [format!("({left_out} more)")]);
    }
    ids.join(" -> ")
}

/// The shortest cycle within a knot, its first task repeated at the end.
fn shortest(graph: &Graph, knot: &[NodeIndex], inside: impl Fn(NodeIndex) -> bool) -> Option<Vec<NodeIndex>> {
    let mut best: Option<Vec<NodeIndex>> = None;
    let mut steps = 0;
    for start in knot {
        let most = best.as_ref().map_or(usize::MAX, Vec::len);
        if let Some(cycle) = around(graph, *start, &inside, &mut steps)
            && cycle.len() < most
        {
            best = Some(cycle);
        }
        // A shorter one may be left, but this one is a cycle all the same.
        if steps > MAX_STEPS {
            break;
        }
    }
    best
}

/// The shortest way from a task back to itself.
fn around(
    graph: &Graph,
    start: NodeIndex,
    inside: impl Fn(NodeIndex) -> bool,
    steps: &mut usize,
) -> Option<Vec<NodeIndex>> {
    let mut came_from: HashMap<NodeIndex, NodeIndex> = HashMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(node) = queue.pop_front() {
        // Newest edge first is how the graph keeps them; the file's order is wanted.
        let mut targets: Vec<_> = graph.edges(node).map(|edge| (*edge.weight(), edge.target())).collect();
        targets.sort_unstable();
        for (_, target) in targets {
            *steps += 1;
            if target == start {
                // Backwards along the way that led here.
                let mut cycle = vec![start, node];
                let mut last = node;
                while let Some(previous) = came_from.get(&last) {
                    cycle.push(*previous);
                    last = *previous;
                }
                if node == start {
                    cycle.pop();
                }
                cycle.reverse();
                return Some(cycle);
            }
            if inside(target) && !came_from.contains_key(&target) {
                came_from.insert(target, node);
                queue.push_back(target);
            }
        }
    }
    None
}

/// A task may start from another's head only once that one has ended for certain: it must be among the needs.
fn bases(
    sink: &mut Sink<'_>,
    drafts: &[Drafted],
    by_id: &HashMap<&str, usize>,
    (graph, order): (&Graph, &[NodeIndex]),
) {
    let mut open: Vec<(usize, usize)> = Vec::new();
    for (index, draft) in drafts.iter().enumerate() {
        let Some(TaskBase::Task(id)) = &draft.task.base else { continue };
        match by_id.get(id.as_str()) {
            Some(target) if is_near(graph, index, *target) => {
                base_workspace(sink, draft, &drafts[*target]);
            }
            Some(target) => open.push((index, *target)),
            None => {
                let help =
                    nearest(sink, id, drafts, index).unwrap_or_else(|| "name a task among the needs".into());
                base_error(sink, draft, format!("no task {}", quote(id)), help);
            }
        }
    }
    // What is left starts from a task far up, or from one that it doesn't need.
    let mut targets: Vec<usize> = open.iter().map(|(_, target)| *target).collect();
    targets.sort_unstable();
    targets.dedup();
    // Sixty-four targets at a time, one bit each, handed on from needs to
    // dependents: a search per task would be quadratic.
    for chunk in targets.chunks(64) {
        let mut reached = vec![0_u64; drafts.len()];
        // Dependents come before their needs in this order.
        for node in order.iter().rev() {
            let own = chunk.binary_search(&node.index()).map_or(0, |bit| 1 << bit);
            let needed = graph.neighbors(*node).fold(0, |bits, need| bits | reached[need.index()]);
            reached[node.index()] = own | needed;
        }
        for (index, target) in &open {
            let Ok(bit) = chunk.binary_search(target) else { continue };
            let (draft, from) = (&drafts[*index], &drafts[*target]);
            if index == target {
                let message = format!("`{}` can't start from itself", draft.task.id);
                base_error(sink, draft, message, "name a task among its needs".to_owned());
            } else if reached[*index] & (1 << bit) == 0 {
                let id = &from.task.id;
                let message = format!("`{}` starts from `{id}`, but doesn't need it", draft.task.id);
                base_error(sink, draft, message, format!("add `{id}` to its needs"));
            } else {
                base_workspace(sink, draft, from);
            }
        }
    }
}

/// Whether a task is found among the nearest needs: so it nearly always is, and no wider search is due.
fn is_near(graph: &Graph, from: usize, target: usize) -> bool {
    let mut near = vec![NodeIndex::new(from)];
    let mut next = 0;
    while let Some(node) = near.get(next).copied() {
        for need in graph.neighbors(node).take(NEAR) {
            if need.index() == target {
                return true;
            }
            near.push(need);
        }
        next += 1;
        if near.len() > NEAR {
            return false;
        }
    }
    false
}

/// A task without a worktree leaves no head behind.
fn base_workspace(sink: &mut Sink<'_>, draft: &Drafted, from: &Drafted) {
    if from.task.workspace == super::model::WorkspaceKind::None {
        let message = format!("`{}` has no worktree to start from", from.task.id);
        base_error(sink, draft, message, "start from a task that has one, or leave `base` out".to_owned());
    }
}

/// A problem at the task that another starts from.
fn base_error(sink: &mut Sink<'_>, draft: &Drafted, message: String, help: String) {
    let tasks = Path::ROOT.key("tasks");
    let task = tasks.key(&draft.task.id);
    let base = task.key("base");
    sink.error_with(&base.key("task"), draft.base, message, help);
}
