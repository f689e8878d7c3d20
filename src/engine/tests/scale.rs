//! Large runs: what a step costs doesn't grow with the run. Calls are counted, not time.

use super::{Plan, Play, flow, started, task};
use crate::engine::event::Started;
use crate::engine::ready;
use crate::workflow::{Task, When};

const MANY: usize = 2_000;

fn run(tasks: Vec<Task>, workers: u32) -> Play {
    Play::with(Started { workers, ..started(flow(tasks)) })
}

/// Plays every worker to its end, in the order in which they are owed; counts the inputs.
fn complete_all(play: &mut Play) -> usize {
    let mut done = 0;
    while play.ended().is_none() {
        let next = play.engine.outstanding().first().map(|effect| effect.worker().to_owned());
        play.complete(&next.expect("a run that hasn't ended owes something"));
        done += 1;
        assert!(done <= MANY + 1, "more attempts than tasks");
    }
    done * 5
}

fn chain() -> Vec<Task> {
    let link = |n: usize| {
        let link = task(&format!("t{n}"));
        if n == 0 { link } else { link.needs(&[&format!("t{}", n - 1)]) }
    };
    (0..MANY).map(link).collect()
}

#[test]
fn a_chain_of_thousands_ends_with_the_same_few_events_for_each_task() {
    let mut play = run(chain(), 4);
    let inputs = complete_all(&mut play);
    assert_eq!((inputs, play.ended()), (MANY * 5, Some(true)));
    assert_eq!(play.journal.len(), 2 + MANY * 15);
}

#[test]
fn a_fan_in_of_thousands_is_walked_a_fixed_number_of_times() {
    let mut tasks: Vec<Task> = (0..MANY).map(|n| task(&format!("t{n}"))).collect();
    let ids: Vec<String> = tasks.iter().map(|task| task.id.clone()).collect();
    tasks.push(task("all").needs(&ids.iter().map(String::as_str).collect::<Vec<_>>()));
    ready::LOOKS_AT_NEEDS.set(0);
    let mut play = run(tasks, 64);
    complete_all(&mut play);
    assert_eq!(play.ended(), Some(true));
    let looks = ready::LOOKS_AT_NEEDS.get();
    assert!(looks <= 8 * MANY, "{looks} looks at {MANY} needs");
}

#[test]
fn a_failure_at_the_head_of_thousands_skips_them_all_in_one_step() {
    ready::LOOKS_AT_NEEDS.set(0);
    let mut play = run(chain(), 4);
    play.fail("t0.1");
    assert_eq!(play.ended(), Some(false));
    assert_eq!(play.task(&format!("t{}", MANY - 1)).root.as_deref(), Some("t0"));
    let looks = ready::LOOKS_AT_NEEDS.get();
    assert!(looks <= 8 * MANY, "{looks} looks at {MANY} needs");
}

#[test]
fn a_fan_out_of_thousands_starts_in_order_as_places_come_free() {
    let mut tasks = vec![task("root")];
    tasks.extend((0..MANY).map(|n| task(&format!("t{n}")).needs(&["root"]).when(When::Terminal)));
    let mut play = run(tasks, 8);
    complete_all(&mut play);
    assert_eq!(play.ended(), Some(true));
    assert!(play.state().active.is_empty() && play.state().moving.is_empty());
}
