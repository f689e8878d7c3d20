//! Dependency policies: the whole table of policy and outcome, and what a skip says.

use super::{Plan, Play, flow, task};
use crate::engine::input::Request;
use crate::engine::task_table::TaskPhase as T;
use crate::protocol::ReportStatus as Status;
use crate::workflow::{Task, When};

/// Ends the first attempt of `id` as asked.
fn end(play: &mut Play, id: &str, how: T) {
    let worker = format!("{id}.1");
    match how {
        T::Completed => play.complete(&worker),
        T::Failed => play.fail(&worker),
        T::Partial => {
            play.start_work(&worker);
            play.report(&worker, Status::Partial);
            play.exit(&worker, 0);
        }
        T::Cancelled => drop(play.ask(Request::Cancel { task: id.to_owned() }).expect("granted")),
        T::Skipped
        | T::Pending
        | T::Ready
        | T::Claimed
        | T::InProgress
        | T::Verifying
        | T::RepairRequired
        | T::Blocked => panic!("no end: {how}"),
    }
}

/// What becomes of a task whose two needs end so.
fn outcome(dependent: Task, left: T, right: T) -> T {
    let mut play = Play::new(flow(vec![task("l"), task("r"), dependent]));
    end(&mut play, "l", left);
    end(&mut play, "r", right);
    play.phase("x")
}

const ENDS: [T; 4] = [T::Completed, T::Partial, T::Failed, T::Cancelled];

#[test]
fn every_policy_starts_a_task_exactly_where_the_contract_says() {
    for left in ENDS {
        for right in ENDS {
            let both = |held: fn(T) -> bool| held(left) && held(right);
            let any = |held: fn(T) -> bool| held(left) || held(right);
            let well = |end: T| matches!(end, T::Completed | T::Partial);
            let expected = [
                (When::Completed, both(|end| end == T::Completed)),
                (When::Partial, both(well)),
                (When::Terminal, true),
                (When::Optional, any(well)),
                (When::Failed, any(|end| end == T::Failed)),
            ];
            for (when, starts) in expected {
                let found = outcome(task("x").needs(&["l", "r"]).when(when), left, right);
                let wanted = if starts { T::Claimed } else { T::Skipped };
                assert_eq!(found, wanted, "{when:?} after {left} and {right}");
            }
        }
    }
}

#[test]
fn a_needs_own_policy_goes_before_the_tasks() {
    let mixed = || task("x").need("l", When::Failed).need("r", When::Completed);
    assert_eq!(outcome(mixed(), T::Failed, T::Completed), T::Claimed);
    assert_eq!(outcome(mixed(), T::Completed, T::Completed), T::Skipped);
    assert_eq!(outcome(mixed(), T::Failed, T::Failed), T::Skipped);
    let half = || task("x").needs(&["l"]).need("r", When::Terminal);
    assert_eq!(outcome(half(), T::Completed, T::Failed), T::Claimed);
    assert_eq!(outcome(half(), T::Failed, T::Completed), T::Skipped);
}

#[test]
fn a_group_is_judged_only_when_all_of_it_has_ended() {
    for when in [When::Optional, When::Failed, When::Terminal] {
        let mut play = Play::new(flow(vec![task("l"), task("r"), task("x").needs(&["l", "r"]).when(when)]));
        end(&mut play, "l", if when == When::Failed { T::Failed } else { T::Completed });
        assert_eq!(play.phase("x"), T::Pending, "{when:?}");
        end(&mut play, "r", T::Completed);
        assert_eq!(play.phase("x"), T::Claimed, "{when:?}");
    }
}

#[test]
fn one_need_that_can_no_longer_hold_skips_at_once() {
    let mut play = Play::new(flow(vec![task("l"), task("r"), task("x").needs(&["l", "r"])]));
    end(&mut play, "r", T::Failed);
    assert_eq!((play.phase("x"), play.phase("l")), (T::Skipped, T::Claimed));
}

#[test]
fn a_skip_names_the_root_cause_through_three_steps() {
    let chain = vec![task("a"), task("b").needs(&["a"]), task("c").needs(&["b"]), task("d").needs(&["c"])];
    let mut play = Play::new(flow(chain));
    end(&mut play, "a", T::Failed);
    for id in ["b", "c", "d"] {
        assert_eq!((play.phase(id), play.task(id).root.as_deref()), (T::Skipped, Some("a")));
        assert!(!play.task(id).by_design);
    }
    assert_eq!(play.task("b").reason, "needs_unmet: needs `a`, which is failed");
    assert_eq!(play.task("d").reason, "needs_unmet: needs `c`, which was skipped because `a` is failed");
    assert_eq!(play.ended(), Some(false));
}

#[test]
fn a_skip_is_by_design_where_nothing_it_needs_failed_or_was_cancelled() {
    let plan =
        || flow(vec![task("a"), task("fix").needs(&["a"]).when(When::Failed), task("then").needs(&["fix"])]);
    let mut pruned = Play::new(plan());
    end(&mut pruned, "a", T::Completed);
    assert!(pruned.task("fix").by_design && pruned.task("then").by_design);
    assert_eq!(pruned.task("fix").reason, "not_needed: none of a failed");
    assert_eq!(pruned.ended(), Some(true));

    let mut cancelled = Play::new(plan());
    end(&mut cancelled, "a", T::Cancelled);
    assert!(!cancelled.task("fix").by_design && !cancelled.task("then").by_design);
}

#[test]
fn a_task_that_went_on_after_a_skip_by_design_makes_the_run_succeed() {
    let tasks = vec![
        task("a"),
        task("fix").needs(&["a"]).when(When::Failed),
        task("x").needs(&["fix"]).when(When::Terminal),
    ];
    let mut play = Play::new(flow(tasks));
    end(&mut play, "a", T::Completed);
    end(&mut play, "x", T::Completed);
    assert_eq!(play.ended(), Some(true));
}
