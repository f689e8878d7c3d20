//! An older journal was put back: what is there beyond it pushes ordinals and tokens up, and
//! nothing is started beside what lives.

use super::{Plan, Play, flow, kinds, place, task};
use crate::engine::input::{Choice, Input, Remnant, Request};
use crate::engine::task_table::TaskPhase as T;
use crate::engine::worker_table::WorkerPhase as W;
use crate::protocol::ReportStatus as Status;

fn remnant(worker: &str, token: Option<u64>, lives: bool) -> Remnant {
    Remnant {
        worker: worker.to_owned(),
        token,
        workspace: None,
        session: Some(place("subprocess", worker)),
        lives,
    }
}

/// A run of one task that another life goes on with, and what it finds.
fn resumed(remnants: Vec<Remnant>) -> Play {
    let mut play = Play::new(flow(vec![task("a").retries(2)]));
    play.fail("a.1");
    play.fail("a.2");
    // The journal as it was before anything was claimed.
    play.journal.truncate(2);
    play.engine = crate::engine::Engine::replay(play.journal.clone()).unwrap();
    play.engine.resume(play.now(), (2, "boot".to_owned(), 0)).unwrap();
    play.give(&Input::Remnants(remnants)).unwrap();
    play
}

#[test]
fn l2_l6_ordinals_and_tokens_go_on_past_what_is_on_the_disk() {
    let play = resumed(vec![remnant("a.1", Some(1), false), remnant("a.2", Some(2), false)]);
    assert_eq!((play.phase("a"), play.task("a").attempt), (T::Claimed, 3));
    assert_eq!(play.worker("a.3").token, 3);
    assert_eq!(play.worker_phase("a.2"), W::CompletedRetained);
    // Without them both would begin again, under numbers that others hold.
    let play = resumed(Vec::new());
    assert_eq!((play.task("a").attempt, play.worker("a.1").token), (1, 1));
}

#[test]
fn j6_nothing_is_claimed_beside_what_lives() {
    let mut play = resumed(vec![remnant("a.2", Some(2), true)]);
    play.tick(600_000);
    assert_eq!((play.phase("a"), play.worker_phase("a.2")), (T::Ready, W::StaleRegistry));
    let reason = &play.worker("a.2").reason;
    assert!(reason.starts_with("unknown_to_journal: found by its mark; its session lives"), "{reason}");
    assert_eq!(kinds(&play.gone("a.2"))[0], "worker.departed");
    assert_eq!((play.phase("a"), play.task("a").attempt), (T::Claimed, 3));
}

#[test]
fn a_person_may_decide_that_what_lives_is_ended() {
    let mut play = resumed(vec![remnant("a.2", None, true)]);
    let decide = |choice| Request::Decide { task: "a".to_owned(), choice };
    for choice in [Choice::Skip, Choice::Accept] {
        assert_eq!(play.ask(decide(choice)).unwrap_err().code, "not_in_doubt");
    }
    play.ask(decide(Choice::Rerun)).unwrap();
    assert_eq!((play.phase("a"), play.owed()), (T::Ready, vec!["stop a.2".to_owned()]));
    assert_eq!(play.ask(decide(Choice::Rerun)), Ok(Vec::new()));
    play.stopped("a.2");
    assert_eq!(play.task("a").attempt, 3);
    play.complete("a.3");
    assert_eq!(play.ended(), Some(true));
}

#[test]
fn l7_what_it_reports_is_kept_and_changes_nothing() {
    let mut play = resumed(vec![remnant("a.2", Some(2), true)]);
    assert_eq!(kinds(&play.report("a.2", Status::Done)), ["report.refused"]);
    assert_eq!(super::ignored_code(&play.ack("a.2")), "dead_token");
    assert_eq!(play.phase("a"), T::Ready);
}

#[test]
fn a_forged_token_does_not_use_up_the_numbers() {
    let play = resumed(vec![remnant("a.2", Some(u64::MAX - 1), false)]);
    assert_eq!(play.worker("a.3").token, 1);
}

#[test]
fn l9_where_nobody_could_look_it_may_live_until_somebody_can() {
    let unplaced = |lives| Remnant { session: None, ..remnant("a.2", Some(2), lives) };
    let mut play = resumed(vec![unplaced(true)]);
    assert_eq!(play.phase("a"), T::Ready);
    // Now there is an answer: it lives, and where.
    let events = play.give(&Input::Remnants(vec![remnant("a.2", Some(2), true)])).unwrap();
    assert_eq!(kinds(&events), ["worker.stale-registry"]);
    assert!(play.worker("a.2").session.is_some());
    assert_eq!(play.give(&Input::Remnants(vec![remnant("a.2", Some(2), true)])), Ok(Vec::new()));
    let events = play.give(&Input::Remnants(vec![unplaced(false)])).unwrap();
    assert_eq!(kinds(&events)[0], "worker.departed");
    assert_eq!(play.task("a").attempt, 3);
}

#[test]
fn what_the_journal_knows_or_never_planned_is_no_remnant() {
    let mut play = Play::busy(task("a").retries(1));
    play.report("a.1", Status::Failed);
    play.exit("a.1", 0);
    let known = vec![remnant("a.1", None, true), remnant("b.1", None, true), remnant("nonsense", None, true)];
    assert_eq!(play.give(&Input::Remnants(known)), Ok(Vec::new()));
}

#[test]
fn cancel_and_down_end_what_was_found_too() {
    let mut play = resumed(vec![remnant("a.2", None, true)]);
    play.ask(Request::Cancel { task: "a".to_owned() }).unwrap();
    assert_eq!(play.owed(), ["stop a.2"]);
    let mut play = resumed(vec![remnant("a.2", None, true)]);
    play.ask(Request::Down { force: false }).unwrap();
    assert_eq!(play.owed(), ["stop a.2"]);
    play.stopped("a.2");
    assert_eq!(play.state().phase, crate::engine::state::RunPhase::Interrupted);
}

#[test]
fn a_journal_that_lost_rows_twice_still_never_repeats_a_number() {
    let mut play = resumed(vec![remnant("a.4", Some(9), false)]);
    assert_eq!((play.task("a").attempt, play.worker("a.5").token), (5, 10));
    play.fail("a.5");
    play.crash_and_resume();
    play.give(&Input::Remnants(vec![remnant("a.4", Some(9), false)])).unwrap();
    assert_eq!(play.state().last_token, 10);
}
