//! Budgets: reserved with the claim, settled once, conserved at every event and after any crash.

use super::{Plan, Play, flow, kinds, started, task};
use crate::engine::budget::{Account, Amounts, Channel};
use crate::engine::event::{ClaimStep, Event, Started};
use crate::engine::evidence::ChildExit;
use crate::engine::input::{Choice, Input, Request, Seen};
use crate::engine::task_table::TaskPhase as T;
use crate::protocol::{ReportStatus, Usage};
use crate::workflow::{Ceiling, Limits, Task, TaskKind, Workflow};

/// A task that speaks for itself, so that it may spend.
fn speaks(id: &str) -> Task {
    Task { kind: TaskKind::Worker(vec!["own".to_owned()]), ..task(id) }
}

fn ceiling(of: Task, tokens: u64) -> Task {
    Task { budget: Ceiling { tokens: Some(tokens), usd: None }, ..of }
}

fn capped(tokens: u64, tasks: Vec<Task>) -> Play {
    let limits = Limits { tokens: Some(tokens), ..Limits::default() };
    Play::with(Started { workers: 4, ..started(Workflow { limits, ..flow(tasks) }) })
}

fn tokens(play: &Play) -> &Account {
    play.state().ledger.of(Channel::Tokens)
}

/// Free, reserved, spent.
fn split(play: &Play) -> (i64, i64, i64) {
    let account = tokens(play);
    assert_eq!(account.free + account.reserved + account.spent, account.total.expect("capped"), "d9");
    (account.free, account.reserved, account.spent)
}

/// The whole life of an attempt that says what it used.
fn spend(play: &mut Play, worker: &str, used: Option<u64>) {
    play.start_work(worker);
    say(play, worker, used);
    play.exit(worker, 0);
}

fn say(play: &mut Play, worker: &str, used: Option<u64>) {
    let mut report = play.report_of(worker, ReportStatus::Done);
    report.usage = used.map(|tokens| Usage { tokens: Some(tokens), usd: None });
    play.see(worker, Seen::Reported { report: Box::new(report), sha256: format!("{worker} {used:?}") });
}

#[test]
fn d9_j7_a_ceiling_is_reserved_with_the_claim_and_settled_once_by_the_report() {
    let mut play = capped(100, vec![ceiling(speaks("a"), 60)]);
    assert_eq!(split(&play), (40, 60, 0));
    let granted = play.journal.iter().find_map(|(_, event)| match event {
        Event::Claim(event) => match &event.step {
            ClaimStep::Granted { reserved, .. } => Some(*reserved),
            _ => None,
        },
        _ => None,
    });
    assert_eq!(granted, Some(Amounts { tokens: Some(60), usd_micros: None }), "j7: it is an event");
    spend(&mut play, "a.1", Some(25));
    assert_eq!(split(&play), (75, 0, 25));
    // Whatever arrives later, and whoever resumes.
    say(&mut play, "a.1", Some(70));
    play.crash_and_resume();
    assert_eq!(split(&play), (75, 0, 25));
    let settled = play.journal.iter().filter(|(_, event)| event.kind() == "claim.settled").count();
    assert_eq!((settled, play.phase("a")), (1, T::Completed));
}

#[test]
fn d9_a_crash_between_reservation_and_settlement_mints_nothing() {
    let mut play = capped(100, vec![ceiling(speaks("a"), 60), ceiling(speaks("b"), 60)]);
    for _ in 0..3 {
        play.crash_and_resume();
        assert_eq!(split(&play), (40, 60, 0));
        assert_eq!(play.phase("b"), T::Ready);
    }
}

#[test]
fn d9_an_attempt_in_doubt_is_charged_whole() {
    let whole = |end: fn(&mut Play)| {
        let mut play = capped(100, vec![ceiling(speaks("a"), 60)]);
        play.start_work("a.1");
        end(&mut play);
        split(&play)
    };
    assert_eq!(whole(|play| drop(play.gone("a.1"))), (40, 0, 60), "it died");
    assert_eq!(whole(|play| drop(play.ask(Request::Cancel { task: "a".to_owned() }))), (40, 0, 60));
    assert_eq!(whole(|play| drop(play.exit("a.1", 1))), (40, 0, 60), "it ended without a word");
    assert_eq!(whole(|play| drop(play.tick(70_000))), (40, 60, 0), "lost, and a person is asked");
    // What it said before it went silent is the least that it used.
    let more = |used| {
        let mut play = capped(100, vec![ceiling(speaks("a"), 60)]);
        play.start_work("a.1");
        say(&mut play, "a.1", Some(used));
        play.gone("a.1");
        split(&play)
    };
    assert_eq!((more(5), more(80)), ((40, 0, 60), (20, 0, 80)));
}

#[test]
fn d9_an_attempt_that_never_held_an_assignment_is_charged_nothing() {
    let mut play = capped(100, vec![ceiling(speaks("a"), 60).retries(1)]);
    let host = Seen::LaunchFailed { step: "session", detail: "no".to_owned(), host: true };
    let events = play.see("a.1", host);
    assert!(kinds(&events).contains(&"claim.settled".to_owned()));
    assert_eq!(split(&play), (100, 0, 0));
    play.tick(5_000);
    assert_eq!((split(&play), play.phase("a")), ((40, 60, 0), T::Claimed));
}

#[test]
fn d9_more_than_was_reserved_is_charged_and_keeps_others_out() {
    let mut play = capped(100, vec![ceiling(speaks("a"), 10), ceiling(speaks("b"), 10).needs(&["a"])]);
    spend(&mut play, "a.1", Some(140));
    assert_eq!(split(&play), (-40, 0, 140));
    let said = "denied: budget: an attempt needs 10 tokens, and 0 tokens are left of the run's";
    assert_eq!((play.phase("b"), play.task("b").reason.as_str()), (T::Failed, said));
    assert_eq!(play.task("b").attempt, 0, "no attempt is spent");
}

#[test]
fn a_share_that_can_be_had_later_is_waited_for_and_one_that_never_can_is_denied() {
    let mut play = capped(
        100,
        vec![ceiling(speaks("a"), 60), ceiling(speaks("b"), 60), ceiling(speaks("huge"), 101), task("plain")],
    );
    assert_eq!([play.phase("a"), play.phase("b"), play.phase("huge")], [T::Claimed, T::Ready, T::Failed]);
    assert_eq!(play.phase("plain"), T::Claimed, "who needs none isn't kept by it");
    assert_eq!(play.task("b").reason, "deferred: budget: tokens that other attempts have reserved");
    let before = play.journal.len();
    (0..5).for_each(|_| drop(play.tick(100)));
    assert_eq!(play.journal.len(), before, "said once");
    spend(&mut play, "a.1", Some(30));
    assert_eq!((play.phase("b"), split(&play)), (T::Claimed, (10, 60, 30)));
}

#[test]
fn who_waits_for_a_large_share_isnt_overtaken_by_small_ones() {
    let mut play =
        capped(100, vec![ceiling(speaks("a"), 60), ceiling(speaks("b"), 90), ceiling(speaks("c"), 10)]);
    assert_eq!([play.phase("a"), play.phase("b"), play.phase("c")], [T::Claimed, T::Ready, T::Ready]);
    spend(&mut play, "a.1", Some(5));
    assert_eq!((play.phase("b"), play.phase("c")), (T::Claimed, T::Ready));
}

#[test]
fn without_a_ceiling_all_that_is_free_is_reserved_and_silence_about_it_closes_the_channel() {
    let mut play = capped(100, vec![speaks("a"), ceiling(speaks("b"), 10), task("plain").needs(&["a"])]);
    assert_eq!((split(&play), play.phase("b")), ((0, 100, 0), T::Ready));
    spend(&mut play, "a.1", None);
    assert_eq!(tokens(&play).closed_by.as_deref(), Some("a.1"));
    let said =
        "denied: budget: `a.1` didn't say what it used of the run's tokens, so what is left isn't known";
    assert_eq!((play.phase("b"), play.task("b").reason.as_str()), (T::Failed, said));
    assert_eq!(play.phase("plain"), T::Claimed, "who needs none goes on");

    // One that says what it used leaves the rest to others.
    let mut open = capped(100, vec![speaks("a"), ceiling(speaks("b"), 10)]);
    spend(&mut open, "a.1", Some(80));
    assert_eq!((open.phase("b"), split(&open)), (T::Claimed, (10, 10, 80)));
}

#[test]
fn a_plain_command_needs_no_share_but_what_it_says_that_it_used_counts() {
    let mut play = capped(100, vec![task("a"), task("b")]);
    assert_eq!(split(&play), (100, 0, 0));
    play.complete("a.1");
    assert_eq!((split(&play), tokens(&play).closed_by.clone()), ((100, 0, 0), None));
    spend(&mut play, "b.1", Some(30));
    assert_eq!(split(&play), (70, 0, 30));
}

#[test]
fn without_a_cap_nothing_is_reserved_and_nothing_is_closed() {
    let mut play = Play::new(flow(vec![speaks("a"), ceiling(speaks("b"), 10)]));
    spend(&mut play, "a.1", None);
    spend(&mut play, "b.1", Some(500));
    let account = tokens(&play);
    assert_eq!((account.reserved, account.spent, account.closed_by.clone()), (0, 500, None));
    let settled = play.journal.iter().filter(|(_, event)| event.kind() == "claim.settled").count();
    assert_eq!((settled, play.ended()), (1, Some(true)), "an event only where there is something to say");
}

#[test]
fn money_and_tokens_are_two_budgets() {
    let limits = Limits { tokens: Some(100), usd: Some(1.0), ..Limits::default() };
    let both = Task { budget: Ceiling { tokens: Some(10), usd: Some(0.6) }, ..speaks("a") };
    let second = Task { id: "b".to_owned(), ..both.clone() };
    let mut play = Play::new(Workflow { limits, ..flow(vec![both, second]) });
    assert_eq!(play.task("b").reason, "deferred: budget: usd that other attempts have reserved");
    play.start_work("a.1");
    let mut report = play.report_of("a.1", ReportStatus::Done);
    report.usage = Some(Usage { tokens: None, usd: Some(0.25) });
    play.see("a.1", Seen::Reported { report: Box::new(report), sha256: "x".to_owned() });
    play.exit("a.1", 0);
    let usd = play.state().ledger.of(Channel::Usd);
    assert_eq!((usd.free, usd.reserved, usd.spent), (150_000, 600_000, 250_000));
    assert_eq!(split(&play), (80, 10, 10), "of tokens it said nothing, so its ceiling is charged");
}

#[test]
fn a_decision_on_an_attempt_in_doubt_settles_it() {
    let mut play = capped(100, vec![ceiling(speaks("a"), 60)]);
    play.start_work("a.1");
    play.tick(70_000);
    play.ask(Request::Decide { task: "a".to_owned(), choice: Choice::Skip }).expect("it is in doubt");
    assert_eq!((split(&play), play.phase("a")), ((40, 0, 60), T::Skipped));
}

#[test]
fn another_cap_is_adopted_with_what_was_spent_and_reserved() {
    let mut play = capped(100, vec![ceiling(speaks("a"), 60), ceiling(speaks("b"), 60)]);
    let mut workflow = play.state().workflow().clone();
    workflow.limits.tokens = Some(150);
    let adopted = play.edit_to(workflow);
    play.give(&Input::Interrupted { reason: "SIGINT".to_owned() }).expect("never refused");
    play.adopt(&adopted).expect("nothing is in the way");
    assert_eq!(split(&play), (90, 60, 0));
    play.crash_and_resume();
    assert_eq!((split(&play), play.phase("b")), ((30, 120, 0), T::Claimed));
}

/// Its child ends, and its shim says what was used.
fn end(play: &mut Play, worker: &str, measured: u64) {
    let usage = Amounts { tokens: Some(measured), usd_micros: None };
    let token = Some(play.worker(worker).token);
    let exit = ChildExit::Code(0);
    play.see(worker, Seen::Ended { token, exit, survivors: Vec::new(), error: None, usage });
}

#[test]
fn d9_what_was_measured_beats_what_is_claimed_if_it_is_more() {
    for (claimed, measured, charged) in [(None, 25, 25), (Some(20), 25, 25), (Some(30), 25, 30)] {
        let mut play = capped(100, vec![ceiling(speaks("a"), 60)]);
        play.start_work("a.1");
        say(&mut play, "a.1", claimed);
        end(&mut play, "a.1", measured);
        assert_eq!(split(&play), (100 - charged, 0, charged), "{claimed:?}");
        play.crash_and_resume();
        assert_eq!(split(&play), (100 - charged, 0, charged));
    }
}

#[test]
fn what_was_measured_is_counted_where_nothing_was_planned_and_nothing_reported() {
    let mut play = Play::with(started(flow(vec![task("a")])));
    play.start_work("a.1");
    end(&mut play, "a.1", 25);
    assert_eq!(tokens(&play).spent, 25);
    // One without a ceiling that told it isn't unknown: whoever comes may still be paid for.
    let mut play = capped(100, vec![speaks("a"), speaks("b")]);
    play.start_work("a.1");
    end(&mut play, "a.1", 25);
    assert_eq!((tokens(&play).spent, tokens(&play).closed_by.as_ref()), (25, None));
}
