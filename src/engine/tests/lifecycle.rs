//! One task from its claim to its end, with nothing but an exit to look at.

use super::{Plan, Play, artifact, flow, kinds, task};
use crate::engine::budget::Amounts;
use crate::engine::evidence::{ChildExit, Verdict};
use crate::engine::input::{Request, Seen};
use crate::engine::task_table::TaskPhase as T;
use crate::engine::worker_table::WorkerPhase as W;
use crate::protocol::{ReportStatus as Status, WALL_TIME};
use crate::workflow::{Evidence, Item};

#[test]
fn a_run_task_completes_on_its_exit_alone_and_in_the_order_of_the_laws() {
    let mut play = Play::new(flow(vec![task("a")]));
    assert_eq!(play.phase("a"), T::Claimed);
    assert_eq!(kinds(&play.launch("a.1")), ["worker.launched"]);
    assert_eq!(kinds(&play.ready("a.1")), ["worker.ready", "worker.busy"]);
    assert_eq!(kinds(&play.ack("a.1")), ["task.in_progress"]);
    assert_eq!(kinds(&play.report("a.1", Status::Done)), ["report.accepted"]);
    let last = ["worker.ended", "claim.closed", "task.verifying", "worker.completed-retained"];
    let judged = ["evidence.verified", "task.completed", "run.ended"];
    assert_eq!(kinds(&play.exit("a.1", 0)), [&last[..], &judged[..]].concat());
    assert_eq!(play.ended(), Some(true));
    assert_eq!(play.worker_phase("a.1"), W::CompletedRetained);
}

#[test]
fn a_worker_whose_task_wants_no_retention_is_safe_to_close() {
    let mut play = Play::new(flow(vec![crate::workflow::Task { retain: false, ..task("a") }]));
    play.complete("a.1");
    assert_eq!(play.worker_phase("a.1"), W::SafeToClose);
}

#[test]
fn law_2_a_report_of_done_completes_nothing_by_itself() {
    let mut play = Play::busy(task("a"));
    play.report("a.1", Status::Done);
    assert_eq!(play.phase("a"), T::InProgress);
    play.exit("a.1", 3);
    assert_eq!(play.phase("a"), T::Failed);
    assert_eq!(play.ended(), Some(false));
    assert!(play.task("a").reason.starts_with("refuted: exit:"), "{}", play.task("a").reason);
}

#[test]
fn an_exit_nobody_recorded_is_refuted_and_not_looked_at_for_ever() {
    let mut play = Play::busy(task("a"));
    play.report("a.1", Status::Done);
    let exit = ChildExit::Unknown;
    play.see(
        "a.1",
        Seen::Ended { token: None, exit, survivors: Vec::new(), error: None, usage: Amounts::default() },
    );
    assert_eq!(play.phase("a"), T::Failed);
    assert!(play.task("a").reason.starts_with("unverifiable: exit:"), "{}", play.task("a").reason);
}

#[test]
fn a_worker_that_its_hosts_wall_time_ended_failed_for_that_reason_and_is_tried_again() {
    let mut play = Play::new(flow(vec![task("a").retries(1)]));
    for attempt in 1..=2 {
        let worker = format!("a.{attempt}");
        play.start_work(&worker);
        let mut report = play.report_of(&worker, Status::Failed);
        report.reason = Some(WALL_TIME.to_owned());
        play.see(&worker, Seen::Reported { report: Box::new(report), sha256: worker.clone() });
        play.exit(&worker, 4);
    }
    assert_eq!((play.phase("a"), play.task("a").attempt), (T::Failed, 2));
    assert_eq!(play.task("a").reason, "wall_time: its wall time is nearly over, so it was told to end");
    // Before it was ready, it is a launch that failed.
    let mut play = Play::new(flow(vec![task("a")]));
    play.launch("a.1");
    let exit = ChildExit::Unknown;
    let error = Some(WALL_TIME.to_owned());
    play.see(
        "a.1",
        Seen::Ended { token: None, exit, survivors: Vec::new(), error, usage: Amounts::default() },
    );
    assert_eq!((play.phase("a"), play.task("a").reason.as_str()), (T::Failed, WALL_TIME));
}

#[test]
fn attempts_are_used_up_one_by_one_and_then_the_task_fails() {
    let mut play = Play::new(flow(vec![task("a").retries(2)]));
    for attempt in 1..=3 {
        let worker = format!("a.{attempt}");
        assert_eq!((play.task("a").attempt, play.phase("a")), (attempt, T::Claimed));
        play.fail(&worker);
        assert_eq!(play.worker_phase(&worker), W::CompletedRetained);
    }
    assert_eq!(play.phase("a"), T::Failed);
    assert_eq!(play.task("a").reason, "reported_failed: because");
    assert_eq!((play.state().workers.len(), play.ended()), (3, Some(false)));
}

#[test]
fn a_partial_report_ends_the_task_as_partial_and_the_run_without_success() {
    let mut play = Play::busy(task("a").retries(3));
    play.report("a.1", Status::Partial);
    assert_eq!(play.phase("a"), T::InProgress);
    play.exit("a.1", 0);
    assert_eq!((play.phase("a"), play.ended()), (T::Partial, Some(false)));
}

#[test]
fn an_end_without_a_report_fails_the_attempt_whatever_its_code() {
    for code in [0, 1] {
        let mut play = Play::busy(task("a"));
        play.exit("a.1", code);
        assert_eq!(play.phase("a"), T::Failed);
        assert!(play.task("a").reason.starts_with("no_report:"), "{}", play.task("a").reason);
    }
}

#[test]
fn a_non_zero_exit_is_fatal_where_no_exit_item_judges_it() {
    let mut play = Play::busy(task("a").shows(vec![artifact()]));
    play.report("a.1", Status::Done);
    play.exit("a.1", 1);
    assert_eq!((play.phase("a"), &*play.task("a").reason), (T::Failed, "fatal_exit: exit code 1"));

    let mut asked_for = Play::busy(task("a").shows(vec![Item::Exit(3)]));
    asked_for.report("a.1", Status::Done);
    asked_for.exit("a.1", 3);
    assert_eq!(asked_for.phase("a"), T::Completed);
}

#[test]
fn waived_evidence_completes_on_the_report_and_the_end() {
    let waived = crate::workflow::Task { evidence: Evidence::Waived("a look".to_owned()), ..task("a") };
    let mut play = Play::busy(waived);
    play.finish("a.1");
    assert_eq!(play.phase("a"), T::Completed);
    assert!(play.task("a").evidence.is_empty());
}

#[test]
fn other_evidence_waits_for_a_look_and_the_look_decides() {
    for (verdict, phase) in [(Verdict::Verified, T::Completed), (Verdict::Refuted, T::Failed)] {
        let mut play = Play::busy(task("a").shows(vec![artifact()]));
        play.finish("a.1");
        assert_eq!((play.phase("a"), play.owed()), (T::Verifying, vec!["verify a.1".to_owned()]));
        play.judge("a.1", verdict);
        assert_eq!(play.phase("a"), phase);
    }
}

#[test]
fn e5_what_cannot_be_seen_is_looked_at_once_more_and_then_refuted() {
    let mut play = Play::busy(task("a").shows(vec![artifact()]));
    play.finish("a.1");
    play.judge("a.1", Verdict::Unverifiable);
    assert_eq!((play.phase("a"), play.owed()), (T::Verifying, vec!["verify a.1".to_owned()]));
    play.judge("a.1", Verdict::Unverifiable);
    assert_eq!(play.phase("a"), T::Failed);

    let mut seen = Play::busy(task("a").shows(vec![artifact()]));
    seen.finish("a.1");
    seen.judge("a.1", Verdict::Unverifiable);
    seen.judge("a.1", Verdict::Verified);
    assert_eq!(seen.phase("a"), T::Completed);
}

#[test]
fn e5_a_check_that_answers_too_little_proves_nothing_and_is_not_asked_for_ever() {
    let mut play = Play::busy(task("a").shows(vec![artifact(), artifact()]));
    play.finish("a.1");
    play.see("a.1", Seen::Judged { checked: Vec::new() });
    assert_eq!(play.phase("a"), T::Verifying);
    play.see("a.1", Seen::Judged { checked: Vec::new() });
    assert_eq!(play.phase("a"), T::Failed);
}

#[test]
fn a_verdict_nobody_asked_for_changes_nothing() {
    let mut play = Play::busy(task("a").shows(vec![artifact()]));
    let before = play.state().clone();
    let events = play.judge("a.1", Verdict::Verified);
    assert_eq!(super::ignored_code(&events), "late");
    assert_eq!(play.state(), &before);
}

#[test]
fn a_blocked_task_is_not_settled_and_its_timeout_stands_still() {
    for status in [Status::Blocked, Status::NeedsInput] {
        let mut play = Play::busy(task("a").timeout(100));
        play.tick_beating(50_000, &["a.1"]);
        play.report("a.1", status);
        assert_eq!(play.phase("a"), T::Blocked);
        play.tick_beating(500_000, &["a.1"]);
        assert_eq!((play.phase("a"), play.worker_phase("a.1")), (T::Blocked, W::Busy));
        // It goes on by itself: the rest of its time counts again.
        play.report("a.1", Status::Done);
        assert_eq!(play.phase("a"), T::InProgress);
        play.tick_beating(48_000, &["a.1"]);
        assert_eq!(play.phase("a"), T::InProgress);
        play.tick_beating(4_000, &["a.1"]);
        assert_eq!(play.phase("a"), T::Failed);
        assert!(play.task("a").reason.starts_with("timeout:"), "{}", play.task("a").reason);
    }
}

#[test]
fn a_blocked_task_still_ends_by_a_later_report_an_exit_or_an_attested_death() {
    let ends: [fn(&mut Play) -> T; 3] = [
        |play| {
            play.finish("a.1");
            T::Completed
        },
        |play| {
            play.exit("a.1", 0);
            T::Failed
        },
        |play| {
            play.gone("a.1");
            T::Failed
        },
    ];
    for end in ends {
        let mut play = Play::busy(task("a"));
        play.report("a.1", Status::Blocked);
        let expected = end(&mut play);
        assert_eq!(play.phase("a"), expected);
    }
}

#[test]
fn a_report_under_the_live_token_counts_as_the_acknowledgement() {
    let mut play = Play::new(flow(vec![task("a")]));
    play.launch("a.1");
    play.ready("a.1");
    assert_eq!(kinds(&play.report("a.1", Status::Done)), ["task.in_progress", "report.accepted"]);
}

#[test]
fn what_the_last_report_said_reaches_the_task_for_its_dependents() {
    let mut play = Play::busy(task("a"));
    let mut report = play.report_of("a.1", Status::Done);
    report.outputs.insert("label".to_owned(), "left".into());
    play.see("a.1", Seen::Reported { report: Box::new(report), sha256: "1".to_owned() });
    play.exit("a.1", 0);
    assert_eq!(play.task("a").summary, "as asked");
    assert_eq!(play.task("a").outputs["label"], "left");

    let mut failed = Play::busy(task("a"));
    failed.report("a.1", Status::Failed);
    failed.exit("a.1", 1);
    assert_eq!((failed.phase("a"), &*failed.task("a").summary), (T::Failed, "as asked"));
}

#[test]
fn no_change_without_a_reason_is_refuted() {
    for (reason, phase) in [(Some("nothing to do"), T::Completed), (Some(" "), T::Failed), (None, T::Failed)]
    {
        let mut play = Play::busy(task("a"));
        let mut report = play.report_of("a.1", Status::NoChange);
        report.reason = reason.map(str::to_owned);
        play.see("a.1", Seen::Reported { report: Box::new(report), sha256: "1".to_owned() });
        play.exit("a.1", 0);
        assert_eq!(play.phase("a"), phase, "{reason:?}");
    }
}

#[test]
fn a_question_that_was_answered_is_not_the_workers_last_word() {
    let mut play = Play::busy(task("a"));
    play.report("a.1", Status::NeedsInput);
    let text = "so".to_owned();
    let answer = Request::Respond { task: "a".to_owned(), text, who: "ana".to_owned() };
    play.ask(answer).expect("it asks");
    play.exit("a.1", 0);
    assert!(play.task("a").reason.starts_with("no_report: "), "{}", play.task("a").reason);
}
