//! Questions of workers: each is answered once, by a person, and only while it is asked.

use super::{Plan, Play, approval, flow, kinds, task};
use crate::engine::effect::Effect;
use crate::engine::event::Event;
use crate::engine::evidence::Verdict;
use crate::engine::input::{Beat, Request, Seen};
use crate::engine::question::{self, Question};
use crate::engine::state::{Given, RunPhase};
use crate::engine::task_table::TaskPhase as T;
use crate::protocol::{AgentMode, MAX_ANSWER_BYTES, MAX_ANSWERS, ReportBy, ReportStatus};
use crate::workflow::{Agent, Task, TaskKind};

fn respond(text: &str) -> Request {
    Request::Respond { task: "a".to_owned(), text: text.to_owned(), who: "ana".to_owned() }
}

/// The worker asks its `n`th question.
fn ask(play: &mut Play, n: u32) -> Vec<Event> {
    let mut report = play.report_of("a.1", ReportStatus::NeedsInput);
    report.question = Some(n);
    report.reason = Some(format!("which {n}?"));
    play.see("a.1", Seen::Reported { report: Box::new(report), sha256: format!("question {n}") })
}

fn asks(play: &Play) -> Option<Question> {
    question::open(play.state(), 0)
}

/// The answers that are owed to mail, by number.
fn owed(play: &Play) -> Vec<u32> {
    let of = |effect: Effect| if let Effect::Answer { n, .. } = effect { Some(n) } else { None };
    play.engine.outstanding().into_iter().filter_map(of).collect()
}

fn refused(play: &mut Play, text: &str) -> (&'static str, String) {
    let before = play.state().clone();
    let rejection = play.ask(respond(text)).expect_err("nobody asks");
    assert_eq!(play.state(), &before);
    (rejection.code, rejection.message)
}

#[test]
fn an_answer_is_one_event_that_unblocks_and_is_owed_from_then_on() {
    let mut play = Play::busy(task("a"));
    assert_eq!(kinds(&ask(&mut play, 1)), ["report.accepted", "task.blocked"]);
    let question = asks(&play).expect("it asks");
    assert_eq!((question.text.as_str(), question.n, question.worker.as_str()), ("which 1?", 1, "a.1"));
    assert_eq!(play.task("a").reason, "needs_input: which 1?");
    assert_eq!((owed(&play), play.phase("a")), (vec![], T::Blocked));
    let events = play.ask(respond("the first")).expect("it is asked");
    assert_eq!(kinds(&events), ["task.in_progress"], "one row: no prefix of the journal has a half of it");
    assert_eq!((play.phase("a"), asks(&play), owed(&play)), (T::InProgress, None, vec![1]));
    let given = Given { by: "ana".to_owned(), text: "the first".to_owned() };
    assert_eq!(play.worker("a.1").answers, [given]);
    // It is owed in each life until the attempt is over: writing it again does nothing.
    play.crash_and_resume();
    assert_eq!((play.phase("a"), owed(&play)), (T::InProgress, vec![1]));
    play.finish("a.1");
    assert_eq!((play.phase("a"), owed(&play)), (T::Completed, vec![]));
}

#[test]
fn an_answer_that_could_never_be_read_is_refused() {
    let mut play = Play::busy(task("a"));
    ask(&mut play, 1);
    assert_eq!(refused(&mut play, "yes\0no").0, "no_answer");
    play.ask(respond("yes")).expect("it still asks");
}

#[test]
fn a_dialog_on_an_agents_own_screen_is_answered_there_and_nowhere_else() {
    for (mode, by, goes) in [
        (AgentMode::Terminal, Some(ReportBy::Shim), false),
        (AgentMode::Terminal, None, true),
        (AgentMode::Headless, Some(ReportBy::Shim), true),
    ] {
        let kind = TaskKind::Agent { agent: "x".to_owned(), prompt: "p".to_owned(), model: None };
        let mut workflow = flow(vec![Task { kind, ..task("a") }]);
        workflow.agents.insert("x".to_owned(), Agent { mode, ..Agent::command(vec!["x".to_owned()]) });
        let mut play = Play::new(workflow);
        play.start_work("a.1");
        let mut report = play.report_of("a.1", ReportStatus::NeedsInput);
        report.by = by;
        play.see("a.1", Seen::Reported { report: Box::new(report), sha256: "x".to_owned() });
        assert_eq!(play.phase("a"), T::Blocked);
        if goes {
            play.ask(respond("yes")).expect("it is asked");
        } else {
            let (code, why) = refused(&mut play, "yes");
            assert!(code == "not_asked" && why.ends_with("`ilchul attach a`"), "{code}: {why}");
        }
    }
}

#[test]
fn one_attempt_asks_several_times_and_no_question_is_asked_twice() {
    let mut play = Play::busy(task("a"));
    for n in 1..=3 {
        ask(&mut play, n);
        assert_eq!(asks(&play).map(|question| question.n), Some(n));
        // The same bytes again, as after a restart that reads all mail anew.
        assert_eq!(kinds(&ask(&mut play, n)), Vec::<String>::new());
        play.ask(respond("so")).expect("it is asked");
        assert_eq!(kinds(&ask(&mut play, n)), Vec::<String>::new());
        // Other words under a number that was answered ask nothing: its answer stands in mail.
        let mut again = play.report_of("a.1", ReportStatus::NeedsInput);
        again.question = Some(n);
        let seen = Seen::Reported { report: Box::new(again), sha256: format!("reworded {n}") };
        assert_eq!(kinds(&play.see("a.1", seen)), ["report.accepted"]);
        assert_eq!((play.phase("a"), owed(&play).len()), (T::InProgress, n as usize));
    }
    // A worker that doesn't number its questions asks by other words.
    play.report("a.1", ReportStatus::NeedsInput);
    assert_eq!(asks(&play).map(|question| question.n), Some(4));
}

#[test]
fn what_is_asked_anew_while_it_waits_is_what_is_shown() {
    let mut play = Play::busy(task("a"));
    ask(&mut play, 1);
    let since = asks(&play).expect("it asks").since;
    play.tick_beating(4_000, &["a.1"]);
    let mut report = play.report_of("a.1", ReportStatus::NeedsInput);
    report.reason = Some("rather this?".to_owned());
    play.see("a.1", Seen::Reported { report: Box::new(report), sha256: "other".to_owned() });
    let question = asks(&play).expect("it asks");
    assert_eq!((question.text.as_str(), question.since, question.n), ("rather this?", since, 1));
}

#[test]
fn an_answer_is_refused_where_nobody_asks_and_changes_nothing() {
    let mut play = Play::new(flow(vec![task("a").shows(vec![approval()])]));
    assert_eq!(refused(&mut play, "x"), ("not_asked", "`a` asks nothing: it is claimed".to_owned()));
    play.start_work("a.1");
    assert_eq!(refused(&mut play, "x").1, "`a` asks nothing: it is in_progress");
    ask(&mut play, 1);
    assert_eq!(refused(&mut play, " \n").0, "no_answer");
    assert_eq!(refused(&mut play, &"x".repeat(MAX_ANSWER_BYTES + 1)).0, "too_long");
    play.ask(respond("x")).expect("it is asked");
    assert_eq!(refused(&mut play, "x").0, "not_asked");
    play.finish("a.1");
    assert!(refused(&mut play, "x").1.contains("`ilchul approve a` or `ilchul deny a`"));
    play.ask(super::approval::answer("a", true)).expect("asked for");
    assert_eq!(refused(&mut play, "x").1, "`a` asks nothing: it has ended, it is completed");
    let unknown = Request::Respond { task: "b".to_owned(), text: "x".to_owned(), who: "ana".to_owned() };
    assert_eq!(play.ask(unknown).expect_err("there is no such task").code, "unknown_task");
}

#[test]
fn an_attempt_has_a_bound_on_its_answers() {
    let mut play = Play::busy(task("a"));
    for n in 1..=MAX_ANSWERS {
        ask(&mut play, n);
        play.ask(respond("on")).expect("it is asked");
    }
    ask(&mut play, MAX_ANSWERS + 1);
    assert_eq!(refused(&mut play, "on").0, "too_many");
}

#[test]
fn l7_an_answer_never_reaches_an_attempt_whose_token_is_dead() {
    let mut play = Play::busy(task("a").retries(1));
    ask(&mut play, 1);
    play.ask(respond("so")).expect("it is asked");
    assert_eq!(owed(&play), [1]);
    // It dies before the answer is written: nothing of it is owed any more, and its successor is asked anew.
    play.gone("a.1");
    assert_eq!((owed(&play), play.phase("a")), (vec![], T::Claimed));
    assert!(play.worker("a.2").answers.is_empty());
    assert_eq!(refused(&mut play, "so").0, "not_asked");
    play.start_work("a.2");
    assert_eq!(ask(&mut play, 2).len(), 1, "what the dead one asks late is refused");
    assert_eq!((play.phase("a"), asks(&play)), (T::InProgress, None));
}

#[test]
fn a_person_answers_while_nobody_drives_the_run_and_the_next_life_delivers() {
    let mut play = Play::busy(task("a"));
    ask(&mut play, 1);
    play.give(&crate::engine::input::Input::Interrupted { reason: "SIGINT".to_owned() }).expect("a signal");
    assert_eq!(play.state().phase, RunPhase::Interrupted);
    let now = play.now();
    play.engine.request(now, &respond("so")).expect("it is asked");
    let events = play.engine.take_events();
    play.journal.extend(events.into_iter().map(|event| (now.stamp, event)));
    assert!(owed(&play).is_empty(), "nobody acts in this life");
    play.crash_and_resume();
    assert_eq!((owed(&play), play.phase("a")), (vec![1], T::InProgress));
}

#[test]
fn time_that_a_person_takes_is_not_the_workers() {
    let mut play = Play::busy(task("a").timeout(60));
    ask(&mut play, 1);
    play.tick_beating(600_000, &["a.1"]);
    play.ask(respond("so")).expect("it is asked");
    play.tick_beating(40_000, &["a.1"]);
    assert_eq!(play.phase("a"), T::InProgress);
    play.tick_beating(40_000, &["a.1"]);
    assert_eq!(play.phase("a"), T::Failed, "{}", play.task("a").reason);
}

#[test]
fn a_question_that_the_shim_saw_ends_when_its_child_goes_on_and_no_other_does() {
    for (by, stays) in [(Some(ReportBy::Shim), false), (None, true)] {
        let mut play = Play::busy(task("a"));
        let token = Some(play.worker("a.1").token);
        let beat = |seq, progress, asks| Seen::Beat(Beat { token, seq, alive: Some(true), progress, asks });
        play.see("a.1", beat(1, 5, Some(false)));
        // It tells that it waits before it says what for.
        play.see("a.1", beat(2, 6, Some(true)));
        let mut report = play.report_of("a.1", ReportStatus::NeedsInput);
        report.by = by;
        play.see("a.1", Seen::Reported { report: Box::new(report), sha256: "x".to_owned() });
        assert_eq!(play.phase("a"), T::Blocked);
        play.tick(1_000);
        for (seq, progress, asks) in
            [(2, 6, Some(true)), (3, 6, Some(false)), (4, 7, Some(true)), (5, 8, None)]
        {
            play.see("a.1", beat(seq, progress, asks));
            assert_eq!(play.phase("a"), T::Blocked, "beat {seq} is no sign that it goes on");
        }
        play.tick(1_000);
        let events = kinds(&play.see("a.1", beat(6, 9, Some(false))));
        assert_eq!((events.is_empty(), play.phase("a") == T::Blocked), (stays, stays));
        // Nobody is asked any more: an answer would come too late.
        assert_eq!(play.ask(respond("so")).is_err(), !stays);
    }
}

#[test]
fn who_waited_longest_is_the_first() {
    let mut play = Play::new(flow(vec![task("b"), task("a")]));
    for worker in ["a.1", "b.1"] {
        play.start_work(worker);
    }
    play.tick_beating(2_000, &["a.1", "b.1"]);
    ask(&mut play, 1);
    play.tick_beating(2_000, &["a.1", "b.1"]);
    play.report("b.1", ReportStatus::Blocked);
    let waiting: Vec<String> =
        question::all(play.state()).into_iter().map(|(_, question)| question.worker).collect();
    assert_eq!(waiting, ["a.1", "b.1"]);
    play.judge("a.1", Verdict::Verified);
}
