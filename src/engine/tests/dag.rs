//! The DAG: who starts when, in which order, and within which limits.

use super::{Plan, Play, flow, kinds, started, task};
use crate::engine::event::{Event, Started};
use crate::engine::input::Request;
use crate::engine::task_table::TaskPhase as T;
use crate::workflow::{Task, When};

fn claimed(play: &Play) -> Vec<String> {
    let claim = |event: &Event| (event.kind() == "task.claimed").then(|| event.task().map(str::to_owned));
    play.journal.iter().filter_map(|(_, event)| claim(event).flatten()).collect()
}

/// Plays every claimed task to its end until nothing is claimed any more.
fn run_out(play: &mut Play) {
    for _ in 0..100 {
        let held: Vec<String> = play
            .state()
            .workers
            .iter()
            .filter(|(_, worker)| worker.token_live)
            .map(|(id, _)| id.clone())
            .collect();
        if held.is_empty() {
            return;
        }
        for worker in held {
            play.complete(&worker);
        }
    }
    panic!("the run never comes to rest");
}

#[test]
fn d2_a_dependent_starts_when_its_own_needs_allow_and_not_at_a_layers_end() {
    let tasks = vec![task("slow"), task("quick"), task("after").needs(&["quick"])];
    let mut play = Play::new(flow(tasks));
    play.complete("quick.1");
    assert_eq!((play.phase("after"), play.phase("slow")), (T::Claimed, T::Claimed));
}

#[test]
fn d1_order_among_ready_tasks_is_the_same_every_time() {
    let plan = || {
        let tasks = ["d", "c", "b", "a"].map(task).into_iter();
        flow(tasks.chain([task("z").needs(&["a", "b", "c", "d"])]).collect())
    };
    let order = |workers| {
        let mut play = Play::with(Started { workers, ..started(plan()) });
        run_out(&mut play);
        assert_eq!(play.ended(), Some(true));
        claimed(&play)
    };
    assert_eq!(order(1), ["a", "b", "c", "d", "z"]);
    assert_eq!(order(1), order(1));
    assert_eq!(order(4), ["a", "b", "c", "d", "z"]);
}

#[test]
fn no_more_workers_live_at_once_than_the_limit_says() {
    let tasks = (0..9).map(|n| task(&format!("t{n}"))).collect();
    let mut play = Play::with(Started { workers: 3, ..started(flow(tasks)) });
    assert_eq!((play.state().live_count(), play.owed().len()), (3, 3));
    play.complete("t0.1");
    assert_eq!((play.state().live_count(), play.phase("t3"), play.phase("t4")), (3, T::Claimed, T::Ready));
    run_out(&mut play);
    assert_eq!(play.ended(), Some(true));
}

#[test]
fn the_runs_own_attempts_are_bounded_and_the_denial_says_so() {
    let mut workflow = flow(vec![task("a").retries(5), task("b").needs(&["a"]).when(When::Terminal)]);
    workflow.limits.attempts = Some(2);
    let mut play = Play::new(workflow);
    play.fail("a.1");
    play.fail("a.2");
    assert_eq!((play.phase("a"), play.phase("b")), (T::Failed, T::Failed));
    assert!(play.task("b").reason.starts_with("denied: attempts:"), "{}", play.task("b").reason);
    assert_eq!((play.state().workers.len(), play.ended()), (2, Some(false)));
}

#[test]
fn only_what_was_asked_for_and_what_it_needs_is_run() {
    let tasks = vec![
        task("base"),
        task("other"),
        task("wanted").needs(&["base"]),
        task("after").needs(&["wanted"]),
        task("mixed").needs(&["other", "base"]),
    ];
    let only = Started { only: vec!["wanted".to_owned()], ..started(flow(tasks)) };
    let mut play = Play::with(only);
    for left_out in ["other", "after", "mixed"] {
        assert_eq!(play.phase(left_out), T::Skipped);
        assert_eq!(play.task(left_out).reason, "not_asked_for: --only");
    }
    run_out(&mut play);
    assert_eq!((claimed(&play), play.ended()), (vec!["base".to_owned(), "wanted".to_owned()], Some(true)));
}

#[test]
fn a_retry_does_not_bring_back_what_only_left_out() {
    let tasks = vec![task("a"), task("after").needs(&["a"])];
    let mut play = Play::with(Started { only: vec!["a".to_owned()], ..started(flow(tasks)) });
    play.fail("a.1");
    play.ask(Request::Retry { task: "a".to_owned() }).expect("granted");
    play.crash_and_resume();
    run_out(&mut play);
    assert_eq!((play.phase("after"), play.ended()), (T::Skipped, Some(true)));
}

#[test]
fn a_run_is_done_when_every_task_completed_or_was_skipped_by_design() {
    let done: [(Vec<Task>, bool); 3] = [
        (vec![task("a"), task("b").needs(&["a"])], true),
        (vec![task("a"), task("fix").needs(&["a"]).when(When::Failed)], true),
        (
            vec![
                task("a"),
                task("fix").needs(&["a"]).when(When::Failed),
                task("after").needs(&["fix"]),
                task("rest").needs(&["fix"]).when(When::Terminal),
            ],
            true,
        ),
    ];
    for (tasks, success) in done {
        let mut play = Play::new(flow(tasks));
        run_out(&mut play);
        assert_eq!(play.ended(), Some(success));
    }
}

#[test]
fn a_run_with_a_failed_partial_or_cancelled_task_is_not_done_even_where_it_was_repaired() {
    let plan = || flow(vec![task("a"), task("fix").needs(&["a"]).when(When::Terminal)]);
    let ends: [fn(&mut Play); 3] = [
        |play| play.fail("a.1"),
        |play| {
            play.start_work("a.1");
            play.report("a.1", crate::protocol::ReportStatus::Partial);
            play.exit("a.1", 0);
        },
        |play| {
            play.ask(Request::Cancel { task: "a".to_owned() }).expect("granted");
            play.stopped("a.1");
        },
    ];
    for end in ends {
        let mut play = Play::new(plan());
        end(&mut play);
        run_out(&mut play);
        assert_eq!((play.phase("fix"), play.ended()), (T::Completed, Some(false)));
    }
}

#[test]
fn d1_every_task_ends_in_one_terminal_state_and_the_run_ends_once() {
    let tasks = vec![
        task("a"),
        task("b").needs(&["a"]),
        task("c").needs(&["a"]).when(When::Failed),
        task("d").needs(&["b", "c"]).when(When::Optional),
    ];
    let mut play = Play::new(flow(tasks));
    play.fail("a.1");
    run_out(&mut play);
    let terminal = |task: &&str| play.phase(task).is_terminal();
    assert!(["a", "b", "c", "d"].iter().all(terminal));
    let names: Vec<Event> = play.journal.iter().map(|(_, event)| event.clone()).collect();
    assert_eq!(kinds(&names).iter().filter(|kind| *kind == "run.ended").count(), 1);
    assert_eq!((play.phase("b"), play.phase("c"), play.phase("d")), (T::Skipped, T::Completed, T::Completed));
}
