//! The supervisor on scripted sessions: the laws that only the shell around the engine
//! can break.
//!
//! Real journal, real mail, no git and no tmux; the clock moves when a test moves it.
//! What the engine decides has tests of its own.

mod actor;
mod deliver;
mod fold;
mod life;
mod resume;
mod silence;
mod stage;
mod time;

use ilchul_conformance::{Verb, wait_until};
use ilchul_substrate::ErrorKind;
use std::time::Duration;

use crate::engine::input::{Choice, Input, Request};
use crate::supervisor::{End, Note};
use life::{Birth, Life, Outcome};
use stage::Stage;

const DONE: Outcome = Outcome::Ended(End::Ended { success: true });
const FAILED: Outcome = Outcome::Ended(End::Ended { success: false });
const ONE: &str = "tasks: { a: { run: x } }";

#[test]
fn law_1_nothing_reaches_a_worker_before_its_intent_is_on_the_disk() {
    let stage = Stage::new("tasks: { a: { run: x }, b: { run: x, needs: [a] }, c: { run: x } }");
    stage.cast("c", |actor| actor.until("never"));
    let life = Life::first(&stage);
    life.await_task("b", "completed");
    life.await_task("c", "in_progress");
    assert!(Life::ask(&stage, &Request::Cancel { task: "c".to_owned() }).accepted);
    assert_eq!(life.join(), FAILED);
    assert_eq!(stage.faults(), Vec::<String>::new());
    assert_eq!(stage.ran(), [("a.1", 1), ("b.1", 1), ("c.1", 1)].map(|(w, n)| (w.to_owned(), n)).into());
}

#[test]
fn law_1_while_the_journal_cannot_be_written_nothing_is_done() {
    let stage = Stage::new(ONE);
    stage.cast("a", |actor| {
        actor.wait_or_stop("ready");
        actor.honest();
    });
    let home = &stage.backstage.home;
    drop(crate::journal::Journal::open(home).unwrap());
    let other = rusqlite::Connection::open(home.journal()).unwrap();
    let half_a_second_without = |what: &dyn Fn() -> bool| {
        let began = std::time::Instant::now();
        wait_until("half a second", ilchul_conformance::PATIENCE, || {
            assert!(!what(), "it was done before its intent was on the disk");
            began.elapsed() > Duration::from_millis(500)
        });
    };
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let life = Life::first(&stage);
    wait_until("the loop", ilchul_conformance::PATIENCE, || home.bell().exists());
    half_a_second_without(&|| home.run(stage::RUN).exists());
    other.execute_batch("ROLLBACK").unwrap();
    life.await_state("the launch", |state| {
        state.workers.get("a.1").is_some_and(|worker| worker.session.is_some())
    });
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    stage.call("ready");
    let mail = stage.mail("a.1");
    wait_until("readiness", ilchul_conformance::PATIENCE, || mail.join(crate::protocol::READY).exists());
    half_a_second_without(&|| mail.join(crate::protocol::ASSIGNMENT).exists());
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(life.join(), DONE);
}

#[test]
fn a_task_is_completed_by_the_way_that_the_tables_allow() {
    let stage = Stage::new(ONE);
    assert_eq!(Life::first(&stage).join(), DONE);
    let history = stage.history("a.1");
    let expected = [
        "worker.provisioning",
        "claim.granted",
        "worker.launched",
        "worker.ready",
        "worker.busy",
        "report.accepted",
        "worker.ended",
        "claim.closed",
        "worker.completed-retained",
    ];
    assert_eq!(history, expected);
    assert_eq!(stage.told("a"), "completed");
}

#[test]
fn a_worker_that_is_ready_before_its_host_answers_is_heard_and_waits_for_its_place_to_be_journaled() {
    let stage = Stage::new(ONE);
    stage.call("late answer");
    assert_eq!(Life::first(&stage).join(), DONE);
    let history = stage.history("a.1");
    let at = |kind: &str| history.iter().position(|found| found == kind).unwrap();
    assert!(at("worker.launched") < at("worker.busy"), "{history:?}");
    assert_eq!(stage.faults(), Vec::<String>::new());
}

#[test]
fn law_2_a_report_without_the_declared_evidence_completes_nothing() {
    let stage = Stage::new("tasks: { a: { run: x, evidence: [ { exit: 0 }, { artifact: out.txt } ] } }");
    assert_eq!(Life::first(&stage).join(), FAILED);
    assert_eq!(stage.told("a"), "failed (refuted: artifact: `out.txt` doesn't exist)");
    assert_eq!(stage.ran().get("a.1"), Some(&1));
}

#[test]
fn a_refuted_attempt_feeds_the_next_one_what_was_missing() {
    let stage =
        Stage::new("tasks: { a: { run: x, retries: 1, evidence: [ { exit: 0 }, { artifact: out.txt } ] } }");
    stage.cast("a.2", |actor| {
        let Some(assignment) = actor.begin() else { return };
        let refuted = actor.inputs()["refuted"].clone();
        actor.write("out.txt", refuted[0]["reason"].as_str().unwrap_or("nothing was handed on"));
        actor.finish(&assignment);
    });
    assert_eq!(Life::first(&stage).join(), DONE);
    let state = stage.state();
    let kept = state.tasks[0].evidence[1].facts.get("sha256").unwrap().as_str().unwrap().to_owned();
    let blob = stage.backstage.home.blobs().join(&kept[..2]).join(&kept[2..]);
    assert_eq!(std::fs::read_to_string(blob).unwrap(), "`out.txt` doesn't exist");
}

#[test]
fn a_launch_that_the_host_fails_is_deferred_and_spends_no_attempt() {
    let stage = Stage::new(ONE);
    stage.sessions().fail_next(Verb::Ensure, 1, ErrorKind::Unavailable);
    let life = Life::first(&stage);
    life.await_state("the deferral", |state| state.tasks[0].defer_until.is_some());
    assert!(stage.told("a").starts_with("ready (launch_session: "), "{}", stage.told("a"));
    stage.pass_until("the second try", &life, || life.is_over());
    assert_eq!(life.join(), DONE);
    assert_eq!(stage.ran(), [("a.2".to_owned(), 1)].into());
}

#[test]
fn a_launch_that_the_substrate_fails_spends_an_attempt() {
    let stage = Stage::new(ONE);
    stage.sessions().fail_next(Verb::Ensure, 1, ErrorKind::Io);
    assert_eq!(Life::first(&stage).join(), FAILED);
    assert!(stage.told("a").starts_with("failed (launch_session: "), "{}", stage.told("a"));
    assert_eq!(stage.ran(), [].into());
}

#[test]
fn a_thing_in_the_way_fails_that_attempt_and_the_next_one_gets_another_name() {
    let stage = Stage::new("tasks: { a: { run: x, retries: 1 } }");
    stage.sessions().obstruct(&Stage::mark("a.1"));
    assert_eq!(Life::first(&stage).join(), DONE);
    assert_eq!(stage.ran(), [("a.2".to_owned(), 1)].into());
}

#[test]
fn a_session_that_is_gone_without_an_end_on_record_died() {
    let stage = Stage::new("tasks: { a: { run: x, retries: 1 } }");
    stage.cast("a.1", |actor| {
        if actor.begin().is_some() {
            actor.vanish();
        }
    });
    let life = Life::first(&stage);
    stage.pass_until("the end", &life, || life.is_over());
    assert_eq!(life.join(), DONE);
    let state = stage.state();
    assert!(state.workers["a.1"].reason.starts_with("worker_died: "), "{}", state.workers["a.1"].reason);
    assert_eq!(stage.ran(), [("a.1".to_owned(), 1), ("a.2".to_owned(), 1)].into());
}

#[test]
fn an_end_on_record_is_no_death_even_when_the_session_is_gone() {
    let stage = Stage::new(ONE);
    stage.cast("a", |actor| {
        if let Some(assignment) = actor.begin() {
            actor.finish(&assignment);
            actor.vanish();
        }
    });
    let life = Life::first(&stage);
    stage.pass_until("the end", &life, || life.is_over());
    assert_eq!(life.join(), DONE);
}

#[test]
fn l9_a_look_that_failed_concludes_nothing() {
    let stage = Stage::new(ONE);
    stage.cast("a", |actor| actor.until("finish"));
    let life = Life::first(&stage);
    life.await_task("a", "in_progress");
    stage.sessions().fail_next(Verb::Observe, 3, ErrorKind::Io);
    let blind = |life: &Life| life.notes().iter().any(|note| matches!(note, Note::ProbeFailed(_)));
    stage.pass_until("a failed look", &life, || blind(&life));
    let looks = stage.sessions().count(Verb::Observe, &Stage::mark("a.1"));
    stage.pass_until("four looks more", &life, || {
        stage.sessions().count(Verb::Observe, &Stage::mark("a.1")) > looks + 4
    });
    assert_eq!(stage.told("a"), "in_progress");
    stage.call("finish");
    assert_eq!(life.join(), DONE);
    assert_eq!(stage.ran(), [("a.1".to_owned(), 1)].into());
}

#[test]
fn l19_a_wrong_nonce_is_never_believed() {
    let stage = Stage::new("limits: { ready: 5s }\ntasks: { a: { run: x } }");
    stage.cast("a", |actor| {
        actor.ready(Some("not-the-nonce"));
        actor.take();
    });
    let life = Life::first(&stage);
    stage.pass_until("the end", &life, || life.is_over());
    assert_eq!(life.join(), FAILED);
    assert_eq!(stage.told("a"), "failed (launch_ready: no readiness within 5 s)");
    assert_eq!(stage.ran(), [].into());
    assert!(stage.history("a.1").contains(&"input.ignored".to_owned()));
}

#[test]
fn an_end_without_a_report_is_a_failed_attempt_whatever_its_code() {
    let stage = Stage::new(ONE);
    stage.cast("a", |actor| {
        if let Some(assignment) = actor.begin() {
            actor.exit(&assignment, 0);
        }
    });
    assert_eq!(Life::first(&stage).join(), FAILED);
    assert_eq!(stage.told("a"), "failed (no_report: the worker ended without a report (exit code 0))");
}

#[test]
fn requests_are_decided_journaled_and_answered_once() {
    let stage = Stage::new("tasks: { a: { run: x }, b: { run: x } }");
    stage.cast("a", |actor| actor.until("finish"));
    stage.cast("b.1", |actor| {
        if let Some(assignment) = actor.begin() {
            actor.report(&assignment, "failed", "It can't.");
            actor.exit(&assignment, 1);
        }
    });
    let life = Life::first(&stage);
    life.await_task("b", "failed");
    life.await_task("a", "in_progress");
    let ask = |request: Request| {
        let answer = Life::ask(&stage, &request);
        (answer.accepted, answer.message)
    };
    let task = |id: &str| id.to_owned();
    let (granted, words) = ask(Request::Retry { task: task("none") });
    assert!(!granted && words.contains("no task `none`"), "{words}");
    let (granted, words) = ask(Request::Retry { task: task("a") });
    assert!(!granted && words.contains("only a failed"), "{words}");
    let (granted, words) = ask(Request::Decide { task: task("a"), choice: Choice::Skip });
    assert!(!granted && words.contains("nothing about it is in doubt"), "{words}");
    let release = Request::Release { worker: "a.1".to_owned(), observations: Vec::new() };
    let (granted, words) = ask(release);
    assert!(!granted && words.contains("only a completed-retained worker"), "{words}");
    assert!(ask(Request::Retry { task: task("b") }).0);
    life.await_task("b", "completed");
    stage.call("finish");
    assert_eq!(life.join(), DONE);
    assert_eq!(stage.ran().get("b.2"), Some(&1));
}

#[test]
fn a_request_about_another_run_is_refused() {
    let stage = Stage::new(ONE);
    stage.cast("a", |actor| actor.until("finish"));
    let life = Life::first(&stage);
    life.await_task("a", "in_progress");
    let home = &stage.backstage.home;
    let journal = crate::journal::Journal::open(home).unwrap();
    let id = journal.ask(home, "r0", &Request::Cancel { task: "a".to_owned() }, 0).unwrap();
    wait_until("an answer", ilchul_conformance::PATIENCE, || journal.answered(id).unwrap().is_some());
    assert_eq!(journal.answered(id).unwrap().unwrap().message, "the supervisor drives the run `r1`");
    stage.call("finish");
    assert_eq!(life.join(), DONE);
}

#[test]
fn down_ends_live_workers_and_spends_no_retry() {
    let stage = Stage::new("tasks: { a: { run: x }, b: { run: x, needs: [a] } }");
    stage.cast("a.1", |actor| actor.until("never"));
    let life = Life::first(&stage);
    life.await_task("a", "in_progress");
    assert!(Life::ask(&stage, &Request::Down { force: false }).accepted);
    assert_eq!(life.join(), Outcome::Ended(End::Interrupted { reason: "down".to_owned() }));
    assert_eq!(stage.told("a"), "ready (stopped: `down`)");
    assert_eq!(stage.state().workers["a.1"].phase.word(), "completed-retained");
    assert!(stage.mail("a.1").join(crate::protocol::STOP).exists());
    assert_eq!(Life::next(&stage).join(), DONE);
    assert_eq!(stage.ran(), [("a.1", 1), ("a.2", 1), ("b.1", 1)].map(|(w, n)| (w.to_owned(), n)).into());
    assert_eq!(stage.faults(), Vec::<String>::new());
}

#[test]
fn down_by_force_asks_nobody() {
    let stage = Stage::new(ONE);
    stage.cast("a.1", |actor| actor.until("never"));
    let life = Life::first(&stage);
    life.await_task("a", "in_progress");
    assert!(Life::ask(&stage, &Request::Down { force: true }).accepted);
    assert_eq!(life.join(), Outcome::Ended(End::Interrupted { reason: "down".to_owned() }));
    assert!(!stage.mail("a.1").join(crate::protocol::STOP).exists());
}

#[test]
fn a_signal_ends_the_supervisor_and_no_worker() {
    let stage = Stage::new(ONE);
    stage.cast("a", |actor| actor.until("finish"));
    let life = Life::first(&stage);
    life.await_task("a", "in_progress");
    assert_eq!(life.kill(), Outcome::Cut);
    let first = Some(Input::Interrupted { reason: "SIGINT".to_owned() });
    let life = Life::begin(&stage, Birth { old: true, first, ..Birth::default() });
    assert_eq!(life.join(), Outcome::Ended(End::Interrupted { reason: "SIGINT".to_owned() }));
    assert_eq!(stage.sessions().count(Verb::Release, &Stage::mark("a.1")), 0);
    stage.call("finish");
    assert_eq!(Life::next(&stage).join(), DONE);
    assert_eq!(stage.ran(), [("a.1".to_owned(), 1)].into());
}

#[test]
fn unattended_ends_where_only_a_person_can_go_on() {
    let stage = Stage::new("tasks: { a: { run: x }, b: { run: x, needs: [a] }, c: { run: x } }");
    stage.cast("a", |actor| {
        let Some(assignment) = actor.begin() else { return };
        actor.report(&assignment, "needs_input", "Which one?");
        if actor.wait_or_stop("answered") {
            actor.finish(&assignment);
        }
    });
    let life = Life::begin(&stage, Birth { unattended: true, ..Birth::default() });
    assert_eq!(life.join(), Outcome::Ended(End::Unattended));
    assert_eq!(stage.told("a"), "blocked (needs_input: Which one?)");
    assert_eq!(stage.told("c"), "completed");
    stage.call("answered");
    assert_eq!(Life::next(&stage).join(), DONE);
    assert_eq!(stage.ran().get("a.1"), Some(&1));
}

#[test]
fn a_timeout_ends_the_worker_and_the_attempt() {
    let stage = Stage::new("tasks: { a: { run: x, timeout: 20s } }");
    stage.cast("a", |actor| actor.until("never"));
    let life = Life::first(&stage);
    life.await_task("a", "in_progress");
    stage.pass(&life, Duration::from_secs(30));
    assert_eq!(life.join(), FAILED);
    assert_eq!(stage.told("a"), "failed (timeout: 20 s were used up)");
    assert!(stage.history("a.1").contains(&"worker.stopping".to_owned()));
    assert!(stage.mail("a.1").join(crate::protocol::STOP).exists());
}
