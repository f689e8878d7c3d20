//! Approvals: a person is asked last, answers once, and nobody else can.

use super::{Plan, Play, approval, artifact, flow, kinds, task};
use crate::engine::evidence::Verdict;
use crate::engine::input::{Answer, Input, Request};
use crate::engine::outstanding::asked;
use crate::engine::state::RunPhase;
use crate::engine::task_table::TaskPhase as T;
use crate::workflow::Item;

/// Somebody's answer.
pub(super) fn answer(task: &str, yes: bool) -> Request {
    let answer = Answer { yes, who: "ana".to_owned(), reason: Some("because".to_owned()) };
    Request::Answer { task: task.to_owned(), answer }
}

/// What is asked of the first task.
fn question(play: &Play) -> Option<String> {
    asked(play.state(), 0).map(|(_, message)| message.to_owned())
}

/// A run whose task `a` shows these items and has done its work.
fn done(items: Vec<Item>, retries: u32) -> Play {
    let mut play = Play::busy(task("a").shows(items).retries(retries));
    play.finish("a.1");
    play
}

fn refused(play: &mut Play, yes: bool) -> String {
    let before = play.state().clone();
    let rejection = play.ask(answer("a", yes)).expect_err("nobody is asked");
    assert_eq!((play.state(), rejection.code), (&before, "not_asked"));
    rejection.message
}

#[test]
fn a_person_is_asked_once_everything_else_is_verified_and_the_task_waits() {
    for items in [vec![artifact(), approval()], vec![approval(), artifact()]] {
        let mut play = done(items, 0);
        assert_eq!((question(&play), play.owed()), (None, vec!["verify a.1".to_owned()]));
        assert!(refused(&mut play, true).ends_with("its other evidence isn't verified yet"));
        play.judge("a.1", Verdict::Verified);
        assert_eq!((play.phase("a"), question(&play).as_deref()), (T::Verifying, Some("Ship it?")));
        // It waits as long as it takes, and asks for nothing else.
        assert_eq!((play.owed(), play.tick(9_000_000), play.engine.next_deadline()), (vec![], vec![], None));
        let events = kinds(&play.ask(answer("a", true)).expect("asked for"));
        assert_eq!(events, ["evidence.verified", "task.completed", "run.ended"]);
        assert_eq!((play.ended(), question(&play)), (Some(true), None));
        let given = play.task("a").evidence.iter().find(|checked| checked.is_answer()).expect("kept");
        assert_eq!(given.reason, "approved by ana: because");
    }
}

#[test]
fn an_approval_without_anything_to_look_at_needs_no_look() {
    for items in [vec![approval()], vec![Item::Exit(0), approval()], vec![approval(), Item::Exit(0)]] {
        let mut play = done(items, 0);
        assert_eq!((play.phase("a"), question(&play).is_some(), play.owed()), (T::Verifying, true, vec![]));
        play.ask(answer("a", true)).expect("asked for");
        assert_eq!(play.phase("a"), T::Completed);
    }
}

#[test]
fn denied_it_is_refuted_and_the_next_attempt_is_told_and_asks_anew() {
    let mut play = done(vec![artifact(), approval()], 1);
    play.judge("a.1", Verdict::Verified);
    play.ask(answer("a", false)).expect("asked for");
    let told: Vec<&str> = play.task("a").refuted.iter().map(|item| item.reason.as_str()).collect();
    assert_eq!((play.phase("a"), told), (T::Claimed, vec!["denied by ana: because"]));
    assert!(refused(&mut play, true).ends_with("it is claimed, and nobody is asked for its approval now"));
    play.complete("a.2");
    play.judge("a.2", Verdict::Verified);
    assert_eq!(question(&play).as_deref(), Some("Ship it?"), "e5: an answer is for one attempt");
    play.ask(answer("a", false)).expect("asked for");
    assert_eq!(
        (play.phase("a"), &*play.task("a").reason),
        (T::Failed, "refuted: approval: denied by ana: because")
    );
}

#[test]
fn e5_an_answer_to_one_attempt_is_none_to_the_next() {
    let mut play = done(vec![approval()], 1);
    play.ask(answer("a", false)).expect("asked for");
    play.complete("a.2");
    assert_eq!((play.phase("a"), question(&play).is_some()), (T::Verifying, true));
}

#[test]
fn nobody_is_asked_where_something_else_is_refuted_or_cannot_be_seen() {
    let mut play = done(vec![artifact(), approval()], 1);
    let events = play.judge("a.1", Verdict::Refuted);
    assert_eq!(kinds(&events)[..3], ["evidence.refuted", "evidence.unverifiable", "task.repair_required"]);
    let told: Vec<&str> = play.task("a").refuted.iter().map(|item| item.kind.as_str()).collect();
    assert_eq!((play.phase("a"), told), (T::Claimed, vec!["artifact"]));

    let mut unseen = done(vec![artifact(), approval()], 0);
    unseen.judge("a.1", Verdict::Unverifiable);
    assert_eq!((question(&unseen), unseen.owed()), (None, vec!["verify a.1".to_owned()]));
    unseen.judge("a.1", Verdict::Verified);
    assert!(question(&unseen).is_some(), "the second look saw it");
    unseen.ask(answer("a", true)).expect("asked for");
    assert_eq!(unseen.phase("a"), T::Completed);

    let exit = done(vec![Item::Exit(3), approval()], 0);
    assert_eq!((exit.phase("a"), question(&exit)), (T::Failed, None));
}

#[test]
fn law_2_no_look_gives_an_approval_whatever_it_answers() {
    let mut play = done(vec![artifact(), approval()], 0);
    play.judge("a.1", Verdict::Verified);
    assert_eq!(play.phase("a"), T::Verifying);
    for verdict in [Verdict::Verified, Verdict::Refuted] {
        assert_eq!(super::ignored_code(&play.judge("a.1", verdict)), "not_asked_for");
    }
    assert!(play.task("a").evidence[1].is_unanswered());
}

#[test]
fn only_a_task_that_asks_is_answered_and_only_once() {
    let mut play = Play::busy(task("a").shows(vec![artifact()]));
    assert!(refused(&mut play, true).ends_with("its evidence asks for no approval"));
    let mut play = Play::busy(task("a").shows(vec![approval()]));
    assert!(
        refused(&mut play, true).ends_with("it is in_progress, and nobody is asked for its approval now")
    );
    play.finish("a.1");
    play.ask(answer("a", true)).expect("asked for");
    for yes in [true, false] {
        assert!(refused(&mut play, yes).ends_with("its last attempt was answered already"));
    }
    assert_eq!(play.ask(answer("b", true)).expect_err("no such task").code, "unknown_task");
}

#[test]
fn j7_an_answer_is_replayed_and_never_asked_for_twice() {
    let mut play = done(vec![artifact(), approval()], 0);
    play.judge("a.1", Verdict::Verified);
    play.crash_and_resume();
    assert_eq!((question(&play).as_deref(), play.owed()), (Some("Ship it?"), vec![]));
    // Without a supervisor, by the command itself: what follows waits for the next life.
    play.give(&Input::Interrupted { reason: "SIGINT".to_owned() }).expect("never refused");
    play.ask(answer("a", true)).expect("asked for");
    assert_eq!((play.phase("a"), question(&play)), (T::Verifying, None));
    assert!(refused(&mut play, false).ends_with("its last attempt was answered already"));
    play.crash_and_resume();
    assert_eq!((play.phase("a"), play.ended()), (T::Completed, Some(true)));
}

#[test]
fn down_does_not_wait_for_a_person() {
    let mut play = done(vec![approval()], 0);
    play.ask(Request::Down { force: false }).expect("granted");
    assert_eq!(play.state().phase, RunPhase::Interrupted);
    play.crash_and_resume();
    assert!(question(&play).is_some());
}

#[test]
fn whoever_waits_for_a_person_keeps_nobody_else_from_working() {
    let mut play =
        Play::new(flow(vec![task("a").shows(vec![approval()]), task("b"), task("c").needs(&["a"])]));
    play.complete("a.1");
    play.complete("b.1");
    assert_eq!((play.phase("b"), play.phase("c"), play.ended()), (T::Completed, T::Pending, None));
    play.ask(answer("a", true)).expect("asked for");
    assert_eq!(play.phase("c"), T::Claimed);
}

#[test]
fn a_task_that_waits_for_a_person_can_be_cancelled() {
    let mut play = done(vec![approval()], 3);
    play.ask(Request::Cancel { task: "a".to_owned() }).expect("granted");
    assert_eq!((play.phase("a"), question(&play)), (T::Cancelled, None));
}
