//! The tasks in the order in which they are shown: as the workflow has them, as a tree of what
//! they need, or those that a filter takes.
//!
//! It leaves out the columns: a row is only a place in the view, and where it hangs.

use std::collections::HashMap;

use crate::engine::view::{RunView, TaskView};

/// Deeper than this, a tree doesn't move further to the right: a chain of thousands stays readable.
const DEPTH_MAX: usize = 12;

/// One line of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Row {
    /// The place of its task in the view.
    pub(super) task: usize,
    /// How far to the right it stands.
    pub(super) depth: usize,
    /// For each depth, whether a line goes on down to a later sibling there.
    bars: u16,
    /// In the tree: lines are drawn.
    drawn: bool,
    /// The last of its siblings.
    last: bool,
}

impl Row {
    /// What stands before its name.
    pub(super) fn lead(&self) -> String {
        if !self.drawn {
            return "  ".repeat(self.depth);
        }
        let Some(own) = self.depth.checked_sub(1) else { return String::new() };
        let bars = (1..=own).map(|depth| if self.bars >> depth & 1 == 1 { "│ " } else { "  " });
        let mut lead: String = bars.collect();
        lead.push_str(if self.last { "└ " } else { "├ " });
        lead
    }
}

/// Which tasks are shown, and how.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Order {
    /// As a tree.
    pub(super) tree: bool,
    /// Words that all must be there; empty for all tasks.
    pub(super) filter: String,
}

impl Order {
    /// The rows, top to bottom. Tasks that an edit took away are shown nowhere but with a filter.
    pub(super) fn rows(&self, view: &RunView) -> Vec<Row> {
        let words: Vec<String> = self.filter.to_lowercase().split_whitespace().map(str::to_owned).collect();
        let all = walk(&above(view, self.tree), self.tree);
        if words.is_empty() {
            return all;
        }
        let takes = |task: &TaskView| words.iter().all(|word| matches(task, word));
        let found = all.into_iter().filter(|row| takes(&view.tasks[row.task]));
        found.map(|row| Row { depth: 0, drawn: false, ..row }).collect()
    }
}

fn matches(task: &TaskView, word: &str) -> bool {
    // What people look for under one name is in two states.
    let waits = word == "waits" && (task.asks.is_some() || task.phase.word() == "blocked");
    waits
        || task.id.contains(word)
        || task.phase.word().contains(word)
        || task.kind.contains(word)
        || task.worker.as_deref().is_some_and(|worker| worker.contains(word))
}

/// For each task the one that it hangs below: whoever made it; in a tree, else, of what it
/// needs the one that stands deepest.
fn above(view: &RunView, tree: bool) -> Vec<Option<usize>> {
    let places: HashMap<&str, usize> =
        view.tasks.iter().enumerate().map(|(place, task)| (task.id.as_str(), place)).collect();
    let place = |id: &String| places.get(id.as_str()).copied();
    let mut above: Vec<Option<usize>> =
        view.tasks.iter().map(|task| task.parent.as_ref().and_then(place)).collect();
    if !tree {
        return above;
    }
    let needs: Vec<Vec<usize>> =
        view.tasks.iter().map(|task| task.needs.iter().filter_map(place).collect()).collect();
    let levels = levels(&needs);
    for (task, own) in needs.iter().enumerate() {
        if above[task].is_none() {
            // The last of equals: what was named last is usually what it waits for.
            above[task] = own.iter().copied().max_by_key(|need| levels[*need]);
        }
    }
    above
}

/// The longest way from a task without needs to each.
fn levels(needs: &[Vec<usize>]) -> Vec<usize> {
    let mut behind = vec![Vec::new(); needs.len()];
    let mut open: Vec<usize> = needs.iter().map(Vec::len).collect();
    for (task, own) in needs.iter().enumerate() {
        for need in own {
            behind[*need].push(task);
        }
    }
    let mut levels = vec![0; needs.len()];
    let mut free: Vec<usize> = (0..needs.len()).filter(|task| open[*task] == 0).collect();
    // Each task becomes free once, so this ends, whatever the needs are.
    while let Some(task) = free.pop() {
        for next in &behind[task] {
            levels[*next] = levels[*next].max(levels[task] + 1);
            open[*next] -= 1;
            if open[*next] == 0 {
                free.push(*next);
            }
        }
    }
    levels
}

/// All tasks, each behind what it hangs below.
fn walk(above: &[Option<usize>], drawn: bool) -> Vec<Row> {
    let mut below = vec![Vec::new(); above.len()];
    let mut roots = Vec::new();
    for (task, parent) in above.iter().enumerate() {
        match parent.filter(|parent| *parent != task) {
            Some(parent) => below[parent].push(task),
            None => roots.push(task),
        }
    }
    let mut rows = Vec::with_capacity(above.len());
    let mut seen = vec![false; above.len()];
    let row = |task, last| Row { task, depth: 0, bars: 0, drawn, last };
    let mut stack: Vec<Row> = roots.iter().rev().map(|task| row(*task, true)).collect();
    // What hangs in a circle has no root. No run has one, and a list still shows every task.
    let mut circles = 0..above.len();
    while let Some(next) = stack.pop().or_else(|| circles.find(|task| !seen[*task]).map(|t| row(t, true))) {
        if std::mem::replace(&mut seen[next.task], true) {
            continue;
        }
        rows.push(next);
        let depth = (next.depth + 1).min(DEPTH_MAX);
        let own = &below[next.task];
        for (place, child) in own.iter().enumerate().rev() {
            let last = place + 1 == own.len();
            let keep = next.bars & ((1 << depth) - 1);
            let bars = if last { keep } else { keep | 1 << depth };
            stack.push(Row { task: *child, depth, bars, drawn, last });
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::super::tests::run;
    use super::*;

    fn shown(order: &Order, view: &RunView) -> Vec<String> {
        let text = |row: &Row| format!("{}{}", row.lead(), view.tasks[row.task].id);
        order.rows(view).iter().map(text).collect()
    }

    #[test]
    fn a_list_has_the_workflows_order_with_made_tasks_below_their_maker() {
        let view = run(&[
            ("a", &[], None),
            ("fix", &["a"], None),
            ("b", &[], None),
            ("fix-i1", &[], Some("fix")),
            ("fix-i2", &["fix-i1"], Some("fix")),
        ]);
        assert_eq!(shown(&Order::default(), &view), ["a", "fix", "  fix-i1", "  fix-i2", "b"]);
    }

    #[test]
    fn a_tree_hangs_each_task_below_the_deepest_that_it_needs() {
        let view = run(&[
            ("a", &[], None),
            ("b", &["a"], None),
            ("c", &["a", "b"], None),
            ("d", &["a"], None),
            ("e", &[], None),
            ("d-i1", &[], Some("d")),
            ("d-i2", &["d-i1"], Some("d")),
            ("f", &["d"], None),
        ]);
        let tree = Order { tree: true, ..Order::default() };
        let expected = ["a", "├ b", "│ └ c", "└ d", "  ├ d-i1", "  ├ d-i2", "  └ f", "e"];
        assert_eq!(shown(&tree, &view), expected);
    }

    #[test]
    fn a_filter_takes_words_of_name_state_and_kind_and_shows_them_flat() {
        let view = run(&[("alpha", &[], None), ("beta", &["alpha"], None), ("alpine", &["beta"], None)]);
        let order = |filter: &str| Order { tree: true, filter: filter.to_owned() };
        assert_eq!(shown(&order("ALP"), &view), ["alpha", "alpine"]);
        assert_eq!(shown(&order("pend beta"), &view), ["beta"]);
        assert_eq!(shown(&order("nothing"), &view), [""; 0]);
        assert_eq!(shown(&order("  "), &view), ["alpha", "└ beta", "  └ alpine"]);
    }

    #[test]
    fn a_long_chain_and_even_a_circle_show_every_task_once() {
        let names: Vec<String> = (0..2_000).map(|number| format!("t{number}")).collect();
        let needs: Vec<Vec<&str>> = (0..2_000)
            .map(|at: usize| at.checked_sub(1).map(|b| names[b].as_str()).into_iter().collect())
            .collect();
        let plan: Vec<(&str, &[&str], Option<&str>)> =
            names.iter().zip(&needs).map(|(name, needs)| (name.as_str(), needs.as_slice(), None)).collect();
        let rows = Order { tree: true, ..Order::default() }.rows(&run(&plan));
        assert_eq!(rows.len(), 2_000);
        assert!(rows.iter().all(|row| row.depth <= DEPTH_MAX));
        let circle = run(&[("a", &["b"], None), ("b", &["a"], None), ("c", &["c"], None)]);
        for tree in [false, true] {
            let mut all = Order { tree, ..Order::default() }.rows(&circle);
            all.sort_by_key(|row| row.task);
            assert_eq!(all.iter().map(|row| row.task).collect::<Vec<_>>(), [0, 1, 2]);
        }
    }
}
