//! What is owed in each state: once, in a fixed order, and never after its outcome.

use super::{Plan, Play, artifact, flow, task};
use crate::engine::evidence::Verdict;
use crate::engine::input::{Input, Request};
use crate::engine::task_table::TaskPhase as T;

fn owes(play: &Play, expected: &[&str]) {
    assert_eq!(play.owed(), expected);
    assert_eq!(play.owed(), expected, "asking changes nothing");
}

#[test]
fn each_step_of_an_attempt_owes_one_thing_and_its_outcome_ends_it() {
    let mut play = Play::new(flow(vec![task("a").tree().shows(vec![artifact()])]));
    owes(&play, &["provision a.1"]);
    play.launch("a.1");
    owes(&play, &[]);
    play.ready("a.1");
    owes(&play, &["deliver a.1"]);
    play.ack("a.1");
    owes(&play, &[]);
    play.report("a.1", crate::protocol::ReportStatus::Done);
    owes(&play, &[]);
    play.exit("a.1", 0);
    owes(&play, &["capture a.1"]);
    play.capture("a.1", "c1");
    owes(&play, &["verify a.1"]);
    play.judge("a.1", Verdict::Verified);
    owes(&play, &[]);
    assert_eq!(play.ended(), Some(true));
}

#[test]
fn a_crash_between_a_decision_and_its_act_loses_nothing_that_is_owed() {
    let mut play = Play::new(flow(vec![task("a").tree().shows(vec![artifact()])]));
    let steps: [fn(&mut Play); 5] = [
        |play| drop(play.launch("a.1")),
        |play| {
            // Its nonce was known to the life that launched it; the worker echoes it to the next.
            play.ready("a.1");
        },
        |play| drop(play.ack("a.1")),
        |play| drop(play.finish("a.1")),
        |play| drop(play.capture("a.1", "c1")),
    ];
    for (n, step) in steps.into_iter().enumerate() {
        step(&mut play);
        let before = play.owed();
        if n > 0 {
            play.crash_and_resume();
        }
        assert_eq!(play.owed(), before);
    }
    play.judge("a.1", Verdict::Verified);
    assert_eq!(play.phase("a"), T::Completed);
}

#[test]
fn j12_half_a_round_of_evidence_is_looked_at_again() {
    let mut play = Play::busy(task("a").shows(vec![artifact(), artifact()]));
    play.finish("a.1");
    play.judge("a.1", Verdict::Unverifiable);
    let whole = play.journal.len();
    play.judge("a.1", Verdict::Unverifiable);
    play.journal.truncate(whole + 1);
    play.crash_and_resume();
    owes(&play, &["verify a.1"]);
    play.judge("a.1", Verdict::Verified);
    assert_eq!(play.phase("a"), T::Completed);
}

#[test]
fn l16_an_assignment_is_owed_under_its_own_token_and_not_once_it_was_taken_or_revoked() {
    let mut play = Play::new(flow(vec![task("a")]));
    play.launch("a.1");
    play.ready("a.1");
    owes(&play, &["deliver a.1"]);
    play.ask(Request::Cancel { task: "a".to_owned() }).expect("granted");
    owes(&play, &["stop a.1"]);
}

#[test]
fn a_revoked_claim_that_was_never_launched_is_not_provisioned() {
    let mut play = Play::new(flow(vec![task("a")]));
    play.ask(Request::Down { force: true }).expect("granted");
    owes(&play, &["kill a.1"]);
}

#[test]
fn an_exit_that_was_seen_ends_the_wish_to_stop() {
    let mut play = Play::busy(task("a").timeout(5));
    play.tick(5_000);
    owes(&play, &["stop a.1"]);
    play.exit("a.1", 143);
    owes(&play, &[]);
    assert_eq!(play.stopped("a.1"), [], "the stop's own outcome is no news then");
}

#[test]
fn a_stop_that_nobody_wished_is_not_believed() {
    let mut play = Play::busy(task("a"));
    assert_eq!(super::ignored_code(&play.stopped("a.1")), "not_asked_for");
    assert_eq!(play.phase("a"), T::InProgress);
}

#[test]
fn an_interrupted_run_owes_nothing_until_it_is_resumed() {
    let mut play = Play::new(flow(vec![task("a"), task("b")]));
    play.start_work("b.1");
    play.give(&Input::Interrupted { reason: "SIGTERM".to_owned() }).expect("never refused");
    owes(&play, &[]);
    play.crash_and_resume();
    owes(&play, &["provision a.1"]);
}

#[test]
fn what_is_owed_to_several_comes_in_the_same_order_every_time() {
    let tasks = vec![task("c").shows(vec![artifact()]), task("b"), task("a").tree(), task("d")];
    let mut play = Play::new(flow(tasks));
    play.complete("c.1");
    play.launch("b.1");
    play.ready("b.1");
    play.complete("a.1");
    owes(&play, &["capture a.1", "deliver b.1", "provision d.1", "verify c.1"]);
}
