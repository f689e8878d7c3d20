//! The order among ready tasks: what it is, that it is the same each time, and what it costs.

use std::collections::BTreeMap;

use proptest::prelude::{ProptestConfig, Strategy, any};
use proptest::{collection, proptest};

use super::{Plan, Play, flow, stamp, started, task};
use crate::engine::Engine;
use crate::engine::event::{Event, Started, TaskStep};
use crate::engine::order;
use crate::engine::state::RunState;
use crate::workflow::{Order, Task, Workflow};

/// The claims of a run in which one worker at a time completes what it gets.
fn claims(tasks: Vec<Task>, order: Order) -> Vec<String> {
    let mut play = Play::with(one_at_a_time(tasks, order));
    while play.ended().is_none() {
        let next = play.engine.outstanding().first().map(|effect| effect.worker().to_owned());
        play.complete(&next.expect("a run that hasn't ended owes something"));
        // So that those who became ready later are younger.
        play.tick(1);
    }
    claimed(&play)
}

fn one_at_a_time(tasks: Vec<Task>, order: Order) -> Started {
    Started { workers: 1, ..started(Workflow { order, ..flow(tasks) }) }
}

fn claimed(play: &Play) -> Vec<String> {
    let of = |event: &Event| match event {
        Event::Task(event) if matches!(event.step, TaskStep::Claimed { .. }) => Some(event.task.clone()),
        _ => None,
    };
    play.journal.iter().filter_map(|(_, event)| of(event)).collect()
}

fn tasks(plan: &[(&str, &[&str])]) -> Vec<Task> {
    plan.iter().map(|(id, needs)| task(id).needs(needs)).collect()
}

#[test]
fn d1_the_longest_chain_goes_first_then_what_most_wait_for_then_the_oldest_then_the_id() {
    let chain = tasks(&[("z", &[]), ("a", &[]), ("b", &["a"]), ("c", &["b"])]);
    // `z` is last though it has been ready for longer: the chain behind `a` is longer at first,
    // and no shorter in the end.
    assert_eq!(claims(chain, Order::Critical), ["a", "b", "z", "c"]);

    let wide = tasks(&[("a", &[]), ("z", &[]), ("l", &["z"]), ("m", &["z"]), ("n", &["a"])]);
    assert_eq!(claims(wide, Order::Critical)[..2], ["z", "a"]);

    let equal = tasks(&[("t2", &[]), ("t10", &[]), ("t1", &[])]);
    assert_eq!(claims(equal, Order::Critical), ["t1", "t10", "t2"]);
}

#[test]
fn d1_fifo_keeps_the_order_of_the_file() {
    let chain = tasks(&[("z", &[]), ("a", &[]), ("b", &["a"]), ("y", &[]), ("c", &["b"])]);
    assert_eq!(claims(chain, Order::Fifo), ["z", "a", "b", "y", "c"]);
}

#[test]
fn a_chain_of_ten_thousand_is_measured_edge_by_edge() {
    let link = |n: usize| {
        let link = task(&format!("t{n}"));
        if n == 0 { link } else { link.needs(&[&format!("t{}", n - 1)]) }
    };
    let state = RunState::new(started(flow((0..10_000).map(link).collect())), stamp(0));
    assert_eq!((state.chains[0], state.chains[9_999]), (10_000, 1));
}

#[test]
fn what_an_edit_lost_makes_no_chain_longer() {
    let mut play = Play::with(one_at_a_time(
        tasks(&[("x", &[]), ("a", &[]), ("b", &["a"]), ("c", &["b"]), ("d", &[]), ("e", &["d"])]),
        Order::Critical,
    ));
    assert_eq!(claimed(&play), ["a"]);
    let mut workflow = play.state().workflow().clone();
    workflow.tasks.retain(|task| !["b", "c"].contains(&task.id.as_str()));
    let adopted = play.edit_to(workflow);
    play.adopt(&adopted).expect("nothing is in the way");
    let state = play.state();
    let chain = |id: &str| state.chains[state.task_index(id).expect("planned, or once so")];
    assert_eq!((chain("a"), chain("d"), chain("x")), (1, 2, 1));
}

/// Needs of each task among those before it in some order that isn't the file's.
fn dags() -> impl Strategy<Value = Vec<Task>> {
    (2..24_usize).prop_flat_map(|count| {
        let edges = collection::vec((0..count, 0..count), 0..3 * count);
        (edges, any::<u64>()).prop_map(move |(edges, turn)| {
            let name = |n: usize| format!("t{}", (n + usize::try_from(turn % 7).unwrap()) % count);
            let mut needs: BTreeMap<usize, Vec<String>> = BTreeMap::new();
            for (left, right) in edges.into_iter().filter(|(left, right)| left != right) {
                let needed = name(left.min(right));
                let of = needs.entry(left.max(right)).or_default();
                if !of.contains(&needed) {
                    of.push(needed);
                }
            }
            let planned = |n: usize| {
                let ids: Vec<&str> = needs.get(&n).into_iter().flatten().map(String::as_str).collect();
                task(&name(n)).needs(&ids)
            };
            // The file may name what a task needs before or behind it.
            let mut all: Vec<Task> = (0..count).map(planned).collect();
            if turn % 2 == 0 {
                all.reverse();
            }
            all
        })
    })
}

/// The longest chain of dependents, by trying them all.
fn longest(state: &RunState, task: usize, known: &mut BTreeMap<usize, u32>) -> u32 {
    if let Some(length) = known.get(&task) {
        return *length;
    }
    let behind = state.dependents[task].iter().map(|(other, _)| longest(state, *other, known)).max();
    let length = 1 + behind.unwrap_or(0);
    known.insert(task, length);
    length
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn d1_j5_the_order_is_the_same_each_time_and_after_every_replay(dag in dags()) {
        let first = claims(dag.clone(), Order::Critical);
        assert_eq!(first, claims(dag.clone(), Order::Critical));
        // Whoever took over here would choose the same.
        let mut play = Play::with(one_at_a_time(dag, Order::Critical));
        while play.ended().is_none() {
            let worker = play.engine.outstanding()[0].worker().to_owned();
            play.complete(&worker);
            assert_eq!(Engine::replay(play.journal.clone()).unwrap().state().ready, play.state().ready);
            play.tick(1);
        }
        assert_eq!(claimed(&play), first);
    }

    #[test]
    fn chains_are_exact_and_a_plan_that_grows_measures_as_one_that_was_whole(dag in dags(), cut in 0..24_usize) {
        let whole = RunState::new(started(flow(dag.clone())), stamp(0));
        let mut known = BTreeMap::new();
        for task in 0..dag.len() {
            assert_eq!(whole.chains[task], longest(&whole, task, &mut known));
        }
        // What comes later may need what was there, and nothing that was there needs it.
        let mut ordered = dag;
        let rank = |state: &RunState, task: &Task| std::cmp::Reverse(state.chains[state.task_index(&task.id).unwrap()]);
        ordered.sort_by_key(|task| rank(&whole, task));
        let cut = cut.min(ordered.len());
        let mut grown = RunState::new(started(flow(ordered.clone())), stamp(0));
        let exact = grown.chains.clone();
        // As it was before the later ones came.
        let early = RunState::new(started(flow(ordered[..cut].to_vec())), stamp(0));
        grown.chains.clone_from(&early.chains);
        order::extend(&mut grown, cut);
        assert_eq!(grown.chains, exact);
    }
}
