//! Claims, tokens and fences: what is said under a dead token has no effect.

use super::{Plan, Play, flow, ignored_code, kinds, task};
use crate::engine::budget::Amounts;
use crate::engine::event::{Event, ReportStep, WorkerStep};
use crate::engine::input::{Beat, Request, Seen};
use crate::engine::state::RunState;
use crate::engine::task_table::TaskPhase as T;
use crate::protocol::ReportStatus as Status;

/// The rows, without the memory of which reports were seen: that is what the event itself leaves.
fn rows(state: &RunState) -> RunState {
    let mut rows = state.clone();
    rows.workers.values_mut().for_each(|worker| worker.seen_reports.clear());
    rows.last_at = rows.started_at;
    rows
}

/// Runs whose first attempt's token is dead, by every way that kills one.
fn dead_tokens() -> Vec<(&'static str, Play)> {
    let plan = || flow(vec![task("a").retries(1).timeout(5), task("other")]);
    let busy = || {
        let mut play = Play::new(plan());
        play.start_work("a.1");
        play
    };
    let mut timed_out = busy();
    timed_out.tick(5_000);
    let mut cancelled = busy();
    cancelled.ask(Request::Cancel { task: "a".to_owned() }).expect("can be cancelled");
    let mut settled = busy();
    settled.finish("a.1");
    let mut died = busy();
    died.gone("a.1");
    let mut stopped = busy();
    stopped.ask(Request::Down { force: false }).expect("can be stopped");
    vec![
        ("timed out", timed_out),
        ("cancelled", cancelled),
        ("settled", settled),
        ("died", died),
        ("stopped", stopped),
    ]
}

#[test]
fn l7_an_acknowledgement_under_a_dead_token_leaves_one_event() {
    for (how, mut play) in dead_tokens() {
        let before = rows(play.state());
        assert_eq!(ignored_code(&play.ack("a.1")), "dead_token", "{how}");
        assert_eq!(rows(play.state()), before, "{how}");
    }
}

#[test]
fn l7_a_late_report_is_kept_and_refused_and_changes_no_row() {
    for (how, mut play) in dead_tokens() {
        let before = rows(play.state());
        let events = play.report("a.1", Status::Partial);
        let [Event::Report(event)] = &events[..] else { panic!("{how}: {:?}", kinds(&events)) };
        assert!(matches!(&event.step, ReportStep::Refused { code, .. } if code == "late"), "{how}");
        assert_eq!(rows(play.state()), before, "{how}");
        assert_eq!(play.report("a.1", Status::Partial), [], "{how}");
    }
}

#[test]
fn l7_a_beat_under_a_dead_token_leaves_one_event_and_no_sign_of_life() {
    for (how, mut play) in dead_tokens() {
        let before = rows(play.state());
        let pulse = play.engine.pulses().get("a.1").map(|pulse| pulse.seen);
        play.now_ms += 100;
        assert_eq!(ignored_code(&play.beat("a.1")), "dead_token", "{how}");
        assert_eq!(play.beat("a.1"), [], "{how}: the second is no news");
        assert_eq!(rows(play.state()), before, "{how}");
        assert!(pulse.is_none() || pulse == play.engine.pulses().get("a.1").map(|pulse| pulse.seen), "{how}");
    }
}

#[test]
fn l7_a_token_of_the_future_is_as_dead_as_one_of_the_past() {
    let mut play = Play::busy(task("a"));
    let before = rows(play.state());
    let foreign = play.worker("a.1").token + 1;
    assert_eq!(ignored_code(&play.see("a.1", Seen::Acknowledged { token: foreign })), "dead_token");
    let beat = Beat { token: Some(foreign), seq: 1, alive: None, progress: 0, asks: None };
    assert_eq!(ignored_code(&play.see("a.1", Seen::Beat(beat))), "dead_token");
    let exit = crate::engine::evidence::ChildExit::Code(0);
    let ended = Seen::Ended {
        token: Some(foreign),
        exit,
        survivors: Vec::new(),
        error: None,
        usage: Amounts::default(),
    };
    assert_eq!(ignored_code(&play.see("a.1", ended)), "dead_token");
    assert_eq!(rows(play.state()), before);
}

#[test]
fn e5_a_report_about_another_task_or_attempt_is_refused() {
    let mut play = Play::new(flow(vec![task("a"), task("b")]));
    play.start_work("a.1");
    play.start_work("b.1");
    let of_b = play.report_of("b.1", Status::Done);
    let mut of_two = play.report_of("a.1", Status::Done);
    of_two.attempt = 2;
    let mut forged = play.report_of("a.1", Status::Done);
    forged.token += 7;
    for (sha256, report, expected) in
        [("1", of_b, "wrong_task"), ("2", of_two, "wrong_task"), ("3", forged, "dead_token")]
    {
        let before = rows(play.state());
        let events = play.see("a.1", Seen::Reported { report: Box::new(report), sha256: sha256.to_owned() });
        let [Event::Report(event)] = &events[..] else { panic!("{:?}", kinds(&events)) };
        assert!(matches!(&event.step, ReportStep::Refused { code, .. } if code == expected));
        assert_eq!(rows(play.state()), before);
    }
}

#[test]
fn a_report_before_the_assignment_is_refused() {
    let mut play = Play::new(flow(vec![task("a")]));
    assert_eq!(kinds(&play.report("a.1", Status::Done)), ["report.refused"]);
    assert_eq!(play.phase("a"), T::Claimed);
}

#[test]
fn the_same_report_read_twice_is_one_event_even_after_many_others() {
    let mut play = Play::busy(task("a"));
    assert_eq!(kinds(&play.report("a.1", Status::Done)), ["report.accepted"]);
    assert_eq!(play.report("a.1", Status::Done), []);
    let bad = |n: u32| Seen::BadFile {
        file: crate::protocol::REPORT.to_owned(),
        code: "not_json".to_owned(),
        detail: "at 1".to_owned(),
        sha256: format!("bad {n}"),
    };
    for n in 0..100 {
        assert_eq!(kinds(&play.see("a.1", bad(n))), ["report.refused"]);
        assert_eq!(play.see("a.1", bad(n)), [], "report {n}");
    }
    assert!(play.worker("a.1").seen_reports.len() <= 64);
}

#[test]
fn l3_the_first_settlement_is_final() {
    let mut play = Play::busy(task("a"));
    play.fail("a.1");
    assert_eq!(play.phase("a"), T::Failed);
    let before = rows(play.state());
    play.report("a.1", Status::Done);
    assert_eq!(play.exit("a.1", 0), []);
    assert_eq!(play.gone("a.1"), []);
    assert_eq!(rows(play.state()), before);
}

#[test]
fn l19_a_wrong_nonce_or_another_directory_never_gets_work() {
    let mut play = Play::new(flow(vec![task("a")]));
    play.launch("a.1");
    let nonce = play.engine.nonce("a.1").expect("launched in this life").to_owned();
    let ready = |nonce: &str, in_tree| Seen::Ready {
        nonce: nonce.to_owned(),
        pid: 42,
        started_at: String::new(),
        in_tree,
    };
    let before = rows(play.state());
    assert_eq!(ignored_code(&play.see("a.1", ready("guess", true))), "wrong_nonce");
    assert_eq!(ignored_code(&play.see("a.1", ready(&nonce, false))), "wrong_directory");
    assert_eq!(rows(play.state()), before);
    assert_eq!(play.owed(), Vec::<String>::new());
    assert_eq!(kinds(&play.see("a.1", ready(&nonce, true))), ["worker.ready", "worker.busy"]);
    assert_eq!(play.see("a.1", ready(&nonce, true)), []);
}

#[test]
fn l19_every_worker_has_a_nonce_of_its_own_and_the_journal_holds_none_of_them() {
    let play = Play::new(flow(vec![task("a"), task("b")]));
    let (a, b) = (play.engine.nonce("a.1").expect("known"), play.engine.nonce("b.1").expect("known"));
    assert_ne!(a, b);
    let journal = format!("{:?}", play.journal);
    assert!(!journal.contains(a) && !journal.contains(b));
}

#[test]
fn l2_l4_tokens_rise_and_a_new_claim_comes_only_after_the_old_one_died() {
    let mut play = Play::new(flow(vec![task("a").retries(3)]));
    for attempt in 1..=4 {
        play.fail(&format!("a.{attempt}"));
    }
    let (mut live, mut last) = (0, 0);
    for (_, event) in &play.journal {
        match event {
            Event::Worker(event) => {
                if let WorkerStep::Provisioning { token, .. } = event.step {
                    assert!(token > last, "{token} after {last}");
                    last = token;
                }
            }
            Event::Claim(event) => match event.step {
                crate::engine::event::ClaimStep::Granted { .. } => {
                    assert_eq!(live, 0);
                    live = 1;
                }
                crate::engine::event::ClaimStep::Revoked { .. } | crate::engine::event::ClaimStep::Closed => {
                    live = 0;
                }
                crate::engine::event::ClaimStep::Renewed { .. }
                | crate::engine::event::ClaimStep::Settled(_)
                | crate::engine::event::ClaimStep::Expired => {}
            },
            Event::Run(_) | Event::Task(_) | Event::Report(_) | Event::Evidence(_) | Event::Ignored(_) => {}
        }
    }
    assert_eq!((last, live), (4, 0));
}

#[test]
fn l5_claim_worker_and_token_are_decided_together() {
    let play = Play::new(flow(vec![task("a")]));
    let events: Vec<Event> = play.journal.iter().map(|(_, event)| event.clone()).collect();
    let expected = ["run.started", "task.ready", "task.claimed", "worker.provisioning", "claim.granted"];
    assert_eq!(kinds(&events), expected);
    assert_eq!(play.cuts, [expected.len()]);
}

#[test]
fn l6_a_beat_renews_the_claim_long_before_its_end_and_never_backwards() {
    let mut play = Play::busy(task("a"));
    let granted = play.worker("a.1").expires;
    play.tick_beating(300_000, &["a.1"]);
    let renewals = play.journal.iter().filter(|(_, event)| event.kind() == "claim.renewed").count();
    assert!(play.worker("a.1").expires > granted && !play.worker("a.1").expired);
    assert!((2..=12).contains(&renewals), "{renewals} renewals in five minutes");
}

#[test]
fn an_unknown_workers_beats_leave_one_event() {
    let mut play = Play::new(flow(vec![task("a")]));
    let beat = |seq| Seen::Beat(Beat { token: None, seq, alive: None, progress: 0, asks: None });
    assert_eq!(ignored_code(&play.see("ghost.1", beat(1))), "unknown_worker");
    assert_eq!(play.see("ghost.1", beat(2)), []);
    assert_eq!(ignored_code(&play.see("ghost.1", Seen::Acknowledged { token: 1 })), "unknown_worker");
}

#[test]
fn j7_a_denial_is_an_event_and_is_replayed_not_decided_again() {
    let mut workflow = flow(vec![task("a").retries(5)]);
    workflow.limits.attempts = Some(1);
    let mut play = Play::new(workflow);
    play.fail("a.1");
    let denied = |play: &Play| play.journal.iter().filter(|(_, event)| event.kind() == "task.failed").count();
    assert_eq!((play.phase("a"), denied(&play)), (T::Failed, 1));
    let before = play.state().clone();
    play.crash_and_resume();
    assert_eq!((play.state().tasks.clone(), denied(&play)), (before.tasks, 1));
}
