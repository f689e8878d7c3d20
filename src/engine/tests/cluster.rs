//! Workers of a cluster: queues, starts that hang, suspension, limits that nobody names.
//!
//! It leaves out what Slurm says in which words; that is its substrate's.

use std::time::Duration;

use super::{Plan, Play, flow, kinds, started, task};
use crate::engine::budget::Amounts;
use crate::engine::evidence::ChildExit;
use crate::engine::input::{Request, Seen};
use crate::engine::task_table::TaskPhase as T;
use crate::engine::view::RunView;
use crate::engine::worker_table::WorkerPhase as W;
use crate::protocol::ReportStatus;
use crate::workflow::{SessionKind, Task};

fn begun() -> Seen {
    Seen::Begun { reason: String::new() }
}

fn queued(reason: &str) -> Seen {
    Seen::Queued { reason: reason.to_owned() }
}

#[test]
fn a_worker_in_a_clusters_queue_is_never_late_and_its_time_counts_from_its_start() {
    let mut play = Play::new(flow(vec![task("a")]));
    play.launch("a.1");
    assert_eq!(kinds(&play.see("a.1", queued("Priority"))), ["worker.queued"]);
    assert_eq!(play.worker("a.1").reason, "queued: Priority");
    // Days, and a change of the reason; the same reason again is no news.
    assert_eq!(play.tick(200_000_000), []);
    assert_eq!(play.see("a.1", queued("Priority")), []);
    assert_eq!(kinds(&play.see("a.1", queued("Resources"))), ["worker.queued"]);
    assert_eq!(kinds(&play.see("a.1", begun())), ["worker.begun"]);
    assert_eq!(play.see("a.1", begun()), []);
    assert_eq!(play.tick(59_999), []);
    play.tick(1);
    assert_eq!((play.phase("a"), play.worker_phase("a.1")), (T::Failed, W::Unhealthy));
}

#[test]
fn what_runs_and_says_nothing_is_late_and_is_said_to_be_starting() {
    let mut play = Play::new(flow(vec![task("a")]));
    play.launch("a.1");
    play.see("a.1", queued("Priority"));
    play.see("a.1", starting());
    assert_eq!(play.see("a.1", starting()), [], "told once");
    assert_eq!(waits_for(&play), ["its worker's readiness (starting on n1)"]);
    assert_eq!(play.tick(119_999), []);
    play.tick(1);
    assert_eq!(play.phase("a"), T::Failed);
    let reason = &play.task("a").reason;
    assert!(reason.starts_with("launch_ready: its job runs, and its script hasn't begun"), "{reason}");
    assert!(reason.contains("(starting on n1): a profile of the login shell"), "{reason}");
}

fn starting() -> Seen {
    Seen::Starting { reason: "starting on n1".to_owned() }
}

fn waits_for(play: &Play) -> Vec<String> {
    RunView::of(play.state()).task("a").unwrap().waits_for.clone()
}

/// One whose worker has a tree, to be filled on the node that it comes to.
fn on_slurm() -> Play {
    let plan = flow(vec![task("a").tree()]);
    let mut started = started(plan);
    started.session = SessionKind::Slurm;
    Play::with(started)
}

#[test]
fn a_login_shell_that_hangs_isnt_given_the_time_of_a_checkout_and_a_set_up_line_is_named() {
    let mut hangs = on_slurm();
    hangs.launch("a.1");
    // Never seen to wait: the first look found it running.
    assert_eq!(kinds(&hangs.see("a.1", starting())), ["worker.starting"]);
    hangs.tick(120_000);
    assert_eq!(hangs.phase("a"), T::Failed);

    let mut slow = on_slurm();
    slow.launch("a.1");
    slow.see("a.1", starting());
    slow.tick(100_000);
    let at = || Seen::Begun { reason: "at the set-up line `sleep 9999` on n1".to_owned() };
    assert_eq!(kinds(&slow.see("a.1", at())), ["worker.begun"]);
    assert_eq!(slow.see("a.1", at()), []);
    assert_eq!(waits_for(&slow), ["its worker's readiness (at the set-up line `sleep 9999` on n1)"]);
    assert_eq!(slow.tick(959_999), [], "the limit, and a checkout's quarter of an hour");
    slow.tick(1);
    let reason = &slow.task("a").reason;
    assert_eq!(reason, "launch_ready: no readiness within 960 s (at the set-up line `sleep 9999` on n1)");
}

/// A controller that answers, and then doesn't, over and over: how long it takes until the worker
/// is late, of which every second is one that it was seen in.
fn flaps(play: &mut Play, seen: impl Fn() -> Seen) -> u64 {
    let mut in_sight = 0;
    while play.phase("a") == T::Claimed {
        play.see("a.1", seen());
        play.tick(10_000);
        in_sight += 10;
        assert!(in_sight < 5_000, "it is never late");
        if play.phase("a") == T::Claimed {
            play.see("a.1", queued("squeue: no answer within 30 s"));
            assert_eq!(play.tick(40_000), []);
        }
    }
    in_sight
}

#[test]
fn a_controller_that_comes_and_goes_keeps_nothing_that_hangs_from_being_late() {
    let mut shell = Play::new(flow(vec![task("a")]));
    shell.launch("a.1");
    shell.see("a.1", queued("Priority"));
    shell.tick(1_000_000);
    assert_eq!(flaps(&mut shell, starting), 120);
    assert!(shell.task("a").reason.starts_with("launch_ready: its job runs"), "{}", shell.task("a").reason);

    let mut line = on_slurm();
    line.launch("a.1");
    line.see("a.1", starting());
    line.tick(100_000);
    let at = || Seen::Begun { reason: "at the set-up line `sleep 9999` on n1".to_owned() };
    assert_eq!(flaps(&mut line, at), 960);
}

#[test]
fn l9_the_time_in_which_nobody_could_ask_for_a_worker_makes_it_late_by_nothing() {
    let mut play = on_slurm();
    play.launch("a.1");
    play.see("a.1", starting());
    play.tick(100_000);
    play.see("a.1", queued("squeue: no answer within 30 s"));
    assert_eq!(play.tick(10_000_000), []);
    play.crash_and_resume();
    // Unseen it began: it has all its time from where that was seen.
    play.see("a.1", begun());
    assert_eq!(play.tick(959_999), []);
    play.tick(1);
    assert_eq!(play.phase("a"), T::Failed);
}

#[test]
fn where_a_worker_is_by_now_is_no_new_start() {
    let mut play = on_slurm();
    play.launch("a.1");
    for line in 0..96 {
        play.see("a.1", Seen::Begun { reason: format!("at the set-up line `{line}` on n1") });
        play.tick(10_000);
    }
    assert_eq!(play.phase("a"), T::Failed);
}

fn suspended() -> Seen {
    Seen::Suspended { reason: "Slurm says SUSPENDED on n1 of job 7".to_owned() }
}

#[test]
fn j8_time_in_which_its_host_had_it_suspended_counts_for_nothing_in_whatever_life() {
    let mut play = Play::new(flow(vec![task("a").timeout(100)]));
    play.launch("a.1");
    play.ready("a.1");
    play.ack("a.1");
    play.tick_beating(60_000, &["a.1"]);
    assert_eq!(kinds(&play.see("a.1", suspended())), ["worker.suspended"]);
    assert_eq!(play.see("a.1", suspended()), [], "told once");
    assert_eq!(
        waits_for(&play),
        ["its host to let it go on (suspended: Slurm says SUSPENDED on n1 of job 7)"]
    );
    // A day, without a word, and with a new supervisor in between.
    assert_eq!(play.tick(43_200_000), []);
    play.crash_and_resume();
    assert_eq!(play.tick(43_200_000), []);
    assert_eq!((play.phase("a"), play.worker_phase("a.1")), (T::InProgress, W::Busy));
    assert_eq!(kinds(&play.see("a.1", Seen::GoesOn)), ["worker.continued"]);
    assert_eq!(play.see("a.1", Seen::GoesOn), []);
    play.tick_beating(38_000, &["a.1"]);
    assert_eq!(play.phase("a"), T::InProgress, "what was left of its time is left");
    play.tick_beating(4_000, &["a.1"]);
    assert!(play.task("a").reason.starts_with("timeout: "), "{}", play.task("a").reason);
}

#[test]
fn l10_what_beats_again_though_its_host_cant_be_asked_is_watched_again() {
    let mut play = Play::new(flow(vec![task("a").timeout(100)]));
    play.start_work("a.1");
    play.tick_beating(60_000, &["a.1"]);
    play.see("a.1", suspended());
    play.tick(500_000);
    // One may have been on its way for long.
    play.beat("a.1");
    assert!(play.worker("a.1").suspended);
    assert_eq!(play.tick(500_000), []);
    assert_eq!(kinds(&play.beat("a.1"))[0], "worker.continued");
    assert!(!play.worker("a.1").suspended);
    // It hangs, and with what it had used before, its time is up.
    play.tick(36_000);
    assert_eq!(play.worker_phase("a.1"), W::Unhealthy);
    play.tick(8_000);
    assert!(play.task("a").reason.starts_with("timeout: "), "{}", play.task("a").reason);
}

#[test]
fn j8_its_host_is_believed_as_long_as_it_says_that_a_worker_is_suspended() {
    let mut play = Play::busy(task("a"));
    play.beat("a.1");
    play.see("a.1", suspended());
    for _ in 0..10 {
        assert_eq!(play.beat("a.1"), []);
        assert_eq!(play.see("a.1", suspended()), []);
        play.tick(1_000);
    }
    assert!(play.worker("a.1").suspended);
    // What a new supervisor reads first may have been written before; what rises after it wasn't.
    play.beat("a.1");
    play.crash_and_resume();
    assert_eq!((play.beat("a.1"), play.beat("a.1")), (Vec::new(), Vec::new()));
    assert_eq!(kinds(&play.beat("a.1"))[0], "worker.continued");
    assert_eq!(kinds(&play.see("a.1", suspended())), ["worker.suspended"], "said anew, it is news");
}

#[test]
fn l17_what_goes_on_has_a_whole_fresh_grace_and_is_judged_again() {
    let mut play = Play::new(flow(vec![task("a").timeout(100_000)]));
    play.launch("a.1");
    play.ready("a.1");
    play.ack("a.1");
    play.see("a.1", suspended());
    play.tick(5_000_000);
    play.see("a.1", Seen::GoesOn);
    play.tick(5_000);
    assert_eq!(play.worker_phase("a.1"), W::Busy);
    play.tick(10_000_000);
    assert_ne!(play.worker_phase("a.1"), W::Busy);
}

#[test]
fn a_job_that_is_suspended_before_it_said_anything_isnt_late() {
    let mut play = on_slurm();
    play.launch("a.1");
    play.see("a.1", starting());
    play.tick(100_000);
    play.see("a.1", suspended());
    assert_eq!(play.tick(50_000_000), []);
    play.see("a.1", Seen::GoesOn);
    assert_eq!(play.tick(119_999), []);
    play.tick(1);
    assert_eq!(play.phase("a"), T::Failed);
}

#[test]
fn a_suspension_while_a_person_is_asked_is_counted_once() {
    let mut play = Play::new(flow(vec![task("a").timeout(100)]));
    play.start_work("a.1");
    play.report("a.1", ReportStatus::NeedsInput);
    play.tick_beating(50_000, &["a.1"]);
    play.see("a.1", suspended());
    play.tick(50_000);
    play.see("a.1", Seen::GoesOn);
    play.tick_beating(50_000, &["a.1"]);
    assert_eq!(play.phase("a"), T::Blocked);
    assert_eq!(play.worker("a.1").paused, Duration::ZERO, "it waits still");
    let answer = Request::Respond { task: "a".to_owned(), text: "yes".to_owned(), who: "ana".to_owned() };
    play.ask(answer).expect("granted");
    assert_eq!(play.worker("a.1").paused, Duration::from_secs(150));
}

#[test]
fn a_limit_that_nobody_names_is_waited_for_and_then_a_failed_task_in_its_hosts_words() {
    let mut play = Play::new(flow(vec![task("a")]));
    let (mut attempt, mut waited) = (0, 0);
    while play.phase("a") != T::Failed {
        if play.phase("a") == T::Claimed {
            attempt += 1;
            assert!(attempt <= 16, "it is tried for ever");
            let worker = format!("a.{attempt}");
            play.see(&worker, limited());
        }
        play.tick(5_000);
        waited += 5;
    }
    assert!(attempt == 16 && (1_800..7_200).contains(&waited), "{attempt} tries in {waited} s");
    let reason = &play.task("a").reason;
    assert_eq!(reason, "launch_limit: Job violates accounting/QOS policy (refused 16 times in a row)");
    // Trouble that is plainly the host's is waited for as long as it takes.
    let mut down = Play::new(flow(vec![task("a")]));
    refuse(&mut down, 40, absent);
    assert_eq!(down.phase("a"), T::Claimed);
}

fn limited() -> Seen {
    let detail = "Job violates accounting/QOS policy".to_owned();
    Seen::LaunchFailed { step: "limit", detail, host: true }
}

fn absent() -> Seen {
    Seen::LaunchFailed { step: "session", detail: "down".to_owned(), host: true }
}

/// So many launches fail one after the other, each when its pause is over.
fn refuse(play: &mut Play, count: u32, seen: fn() -> Seen) {
    for _ in 0..count {
        let worker = format!("a.{}", play.task("a").attempt);
        play.see(&worker, seen());
        play.tick(400_000);
    }
}

#[test]
fn only_limits_one_after_the_other_fail_a_task_whatever_else_its_host_failed_it_by() {
    let mut play = Play::new(flow(vec![task("a")]));
    // A controller that was away for long, then a limit: its tries begin here.
    refuse(&mut play, 20, absent);
    refuse(&mut play, 15, limited);
    assert_eq!((play.phase("a"), play.task("a").limits_met), (T::Claimed, 15));
    // Something else came between, and another life of ours.
    refuse(&mut play, 1, absent);
    assert_eq!(play.task("a").limits_met, 0);
    refuse(&mut play, 10, limited);
    play.crash_and_resume();
    refuse(&mut play, 5, limited);
    assert_eq!(play.phase("a"), T::Claimed);
    refuse(&mut play, 1, limited);
    assert_eq!(play.phase("a"), T::Failed);
    assert!(play.task("a").reason.ends_with("(refused 16 times in a row)"), "{}", play.task("a").reason);
}

#[test]
fn a_person_who_retries_what_met_a_limit_gets_all_its_tries_again() {
    let mut play = Play::new(flow(vec![task("a"), task("b")]));
    refuse(&mut play, 16, limited);
    assert_eq!(play.phase("a"), T::Failed);
    play.ask(Request::Retry { task: "a".to_owned() }).expect("granted");
    play.tick(400_000);
    refuse(&mut play, 15, limited);
    assert_eq!(play.phase("a"), T::Claimed, "{}", play.task("a").reason);
    refuse(&mut play, 1, limited);
    assert!(play.task("a").reason.ends_with("(refused 16 times in a row)"), "{}", play.task("a").reason);
}

#[test]
fn a_launch_that_was_let_in_begins_the_count_of_limits_anew() {
    let mut play = Play::new(flow(vec![task("a").retries(2)]));
    refuse(&mut play, 10, limited);
    let worker = format!("a.{}", play.task("a").attempt);
    play.start_work(&worker);
    assert_eq!(play.task("a").limits_met, 0);
    play.exit(&worker, 1);
    play.tick(400_000);
    refuse(&mut play, 10, limited);
    // Let in, and never ready: no limit kept it out.
    let worker = format!("a.{}", play.task("a").attempt);
    play.launch(&worker);
    play.tick(60_000);
    assert_eq!(play.task("a").limits_met, 0, "{}", play.task("a").reason);
}

#[test]
fn r4_what_a_cut_may_keep_from_being_heard_is_kept_and_never_called_safe_to_close() {
    let over = |session| {
        let mut started = started(flow(vec![Task { retain: false, ..task("a") }]));
        started.session = session;
        let mut play = Play::with(started);
        play.launch("a.1");
        play.tick(2_000_000);
        // Its host says that it is over; nothing of its own was heard.
        play.see("a.1", Seen::Stopped { trouble: None });
        play.worker_phase("a.1")
    };
    assert_eq!(over(SessionKind::Slurm), W::CompletedRetained);
    assert_eq!(over(SessionKind::Subprocess), W::SafeToClose);
}

#[test]
fn r4_whoever_decides_what_may_be_closed_is_told_what_outlived_an_end() {
    for (survivors, survived) in [(vec![4711], true), (Vec::new(), false)] {
        let mut play = on_slurm();
        play.start_work("a.1");
        play.report("a.1", ReportStatus::Done);
        let (token, usage) = (Some(play.worker("a.1").token), Amounts::default());
        play.see("a.1", Seen::Ended { token, exit: ChildExit::Code(0), survivors, error: None, usage });
        let view = RunView::of(play.state());
        let worker = view.worker("a.1").unwrap();
        assert_eq!((worker.survived, worker.end_seen), (survived, !survived));
    }
}

#[test]
fn what_was_taken_back_from_the_queue_didnt_die() {
    let mut play = Play::new(flow(vec![task("a")]));
    play.launch("a.1");
    play.see("a.1", queued("Priority"));
    play.ask(Request::Down { force: true }).expect("granted");
    play.see("a.1", Seen::Gone { detail: "it was called off before it began".to_owned() });
    let reason = play.worker("a.1").reason.clone();
    assert!(reason.starts_with("taken_back: "), "{reason}");
}

#[test]
fn a_worker_that_was_never_queued_begins_without_a_word() {
    let mut play = Play::new(flow(vec![task("a")]));
    play.launch("a.1");
    assert_eq!(play.see("a.1", begun()), []);
    play.ready("a.1");
    // An old look at the queue changes nothing any more.
    assert_eq!(play.see("a.1", queued("Priority")), []);
    assert_eq!(play.worker_phase("a.1"), W::Busy);
}

#[test]
fn a_worker_that_dies_in_the_queue_is_a_launch_that_failed() {
    let mut play = Play::new(flow(vec![task("a").retries(1)]));
    play.launch("a.1");
    play.see("a.1", queued("PartitionTimeLimit"));
    let detail = "it will never start: PartitionTimeLimit".to_owned();
    play.see("a.1", Seen::Gone { detail });
    assert_eq!(play.task("a").attempt, 2);
}
