//! Reviews: another task's verdict on one head, and on no other.

use super::{Plan, Play, approval, artifact, flow, kinds, review, started, task};
use crate::engine::event::{Event, Snapshot};
use crate::engine::evidence::{Checked, Verdict};
use crate::engine::input::{Choice, Input, Request, Seen};
use crate::engine::outstanding::asked;
use crate::engine::state::RunPhase;
use crate::engine::task_table::TaskPhase as T;
use crate::engine::view::RunView;
use crate::protocol::ReportStatus;
use crate::workflow::{Evidence, Item, Task};

/// A task `a` that `r` reviews.
fn pair(items: Vec<Item>, retries: u32) -> Vec<Task> {
    vec![task("r").tree().retries(1), task("a").tree().shows(items).retries(retries)]
}

/// The work of an attempt of `a` is done, and kept as `commit`.
fn done(play: &mut Play, worker: &str, commit: &str) {
    play.complete(worker);
    play.capture(worker, commit);
}

/// A run in which `r` is to look at `head`.
fn reviewing(items: Vec<Item>, retries: u32) -> Play {
    let mut play = Play::new(flow(pair(items, retries)));
    done(&mut play, "a.1", "head");
    play
}

fn verdict(play: &Play) -> Checked {
    let all = &play.task("a").evidence;
    all.iter().find(|checked| checked.kind == "review").expect("an item").clone()
}

/// How the review of the only attempt came out, and what became of the task.
fn outcome(end: impl Fn(&mut Play)) -> (T, Verdict, String) {
    let mut play = reviewing(vec![Item::Exit(0), review("r")], 0);
    end(&mut play);
    let found = verdict(&play);
    assert_eq!(
        (play.phase("a") == T::Completed, play.ended()),
        (found.verdict == Verdict::Verified, play.ended())
    );
    (play.phase("a"), found.verdict, found.reason)
}

#[test]
fn a_reviewer_starts_at_the_head_once_everything_else_is_verified() {
    let mut play = Play::new(flow(pair(vec![artifact(), review("r")], 0)));
    assert_eq!((play.phase("r"), play.phase("a")), (T::Pending, T::Claimed));
    done(&mut play, "a.1", "head");
    assert_eq!((play.phase("r"), play.owed()), (T::Pending, vec!["verify a.1".to_owned()]));
    let events = play.judge("a.1", Verdict::Verified);
    assert!(kinds(&events).contains(&"task.claimed".to_owned()), "{:?}", kinds(&events));
    assert_eq!((play.phase("a"), play.phase("r")), (T::Verifying, T::Claimed));
    assert_eq!((&*play.worker("r.1").start, play.state().base_of(0)), ("head", "head".to_owned()));
    let events = kinds(&play.answer("r.1", Some("pass")));
    assert_eq!(
        events[events.len() - 3..],
        ["evidence.verified", "task.completed", "run.ended"],
        "{events:?}"
    );
    let found = verdict(&play);
    assert_eq!(found.reason, "`r` says pass: \"as asked\"");
    let facts: Vec<_> =
        ["by", "worker", "answer", "commit", "ended"].map(|name| found.facts.get(name).cloned()).into();
    assert_eq!(facts, ["r", "r.1", "pass", "head", "completed"].map(|text| Some(text.into())));
    assert_eq!(play.ended(), Some(true));
}

#[test]
fn why_a_task_waits_for_its_review_is_said_on_both_sides() {
    let mut play = Play::new(flow(pair(vec![artifact(), review("r")], 0)));
    let waits =
        |play: &Play, task: &str| RunView::of(play.state()).task(task).expect("known").waits_for.clone();
    assert_eq!(waits(&play, "r"), ["a head of `a` to review, which is claimed"]);
    done(&mut play, "a.1", "head");
    assert_eq!(waits(&play, "a"), ["its evidence to be checked"]);
    play.judge("a.1", Verdict::Verified);
    assert_eq!(waits(&play, "a"), ["the review by `r`, which is claimed"]);
    assert_eq!(RunView::of(play.state()).task("a").expect("known").reviewed_by, ["r"]);
}

#[test]
fn law_2_only_an_answer_of_pass_verifies() {
    let answered = |answer: Option<&'static str>| outcome(move |play| drop(play.answer("r.1", answer)));
    assert_eq!(answered(Some("pass")).0, T::Completed);
    let refuted = |reason: &str| (T::Failed, Verdict::Refuted, reason.to_owned());
    assert_eq!(answered(Some("fail")), refuted("`r` says fail: \"as asked\""));
    assert_eq!(answered(Some("Pass")), refuted("`r` answered \"\"Pass\"\", which is neither pass nor fail"));
    assert_eq!(answered(None), refuted("`r` gave no verdict: `outputs.verdict` is missing"));
}

#[test]
fn e5_a_reviewer_that_fails_refutes_and_one_that_nobody_asks_shows_nothing() {
    let failed = outcome(|play| {
        play.fail("r.1");
        play.fail("r.2");
    });
    assert_eq!(
        failed,
        (
            T::Failed,
            Verdict::Refuted,
            "`r` gave no verdict, it is failed: \"reported_failed: because\"".to_owned()
        )
    );
    let partial = outcome(|play| {
        play.start_work("r.1");
        play.report("r.1", ReportStatus::Partial);
        play.exit("r.1", 0);
    });
    assert_eq!((partial.0, partial.1), (T::Failed, Verdict::Refuted));
    let cancelled =
        outcome(|play| drop(play.ask(Request::Cancel { task: "r".to_owned() }).expect("granted")));
    assert_eq!(
        cancelled,
        (
            T::Failed,
            Verdict::Unverifiable,
            "nobody looked: `r` is cancelled: \"cancelled by a person\"".to_owned()
        )
    );
}

#[test]
fn e5_a_reviewer_that_was_skipped_leaves_its_task_unverified() {
    let mut tasks = pair(vec![Item::Exit(0), review("r")], 0);
    tasks[0] = task("r").tree().needs(&["lint"]);
    tasks.push(task("lint"));
    let mut play = Play::new(flow(tasks));
    play.fail("lint.1");
    assert_eq!(play.phase("r"), T::Skipped);
    done(&mut play, "a.1", "head");
    assert_eq!((play.phase("a"), verdict(&play).verdict), (T::Failed, Verdict::Unverifiable));
    assert!(
        verdict(&play).reason.starts_with("nobody looked: `r` is skipped: "),
        "{}",
        verdict(&play).reason
    );
}

#[test]
fn e2_what_a_reviewer_changed_makes_its_verdict_worth_nothing() {
    let ended = |tip: &'static str, changed: &'static [&'static str]| {
        outcome(move |play| {
            play.start_work("r.1");
            let mut report = play.report_of("r.1", ReportStatus::Done);
            report.outputs.insert("verdict".to_owned(), "pass".into());
            play.see("r.1", Seen::Reported { report: Box::new(report), sha256: "x".to_owned() });
            play.exit("r.1", 0);
            let names = |paths: &[&str]| paths.iter().map(|path| (*path).to_owned()).collect::<Vec<_>>();
            let uncommitted = names(&["notes.txt"]);
            let kept = Snapshot { commit: "s".into(), tip: tip.into(), uncommitted, changed: names(changed) };
            play.see("r.1", Seen::Captured { snapshot: Ok(kept) });
        })
    };
    assert_eq!(ended("head", &[]).0, T::Completed, "a new file beside the tracked ones is no change");
    let unverifiable = |reason: &str| (T::Failed, Verdict::Unverifiable, reason.to_owned());
    assert_eq!(ended("head", &["a.rs"]), unverifiable("`r` changed what it was given: a.rs"));
    assert_eq!(
        ended("other", &[]),
        unverifiable("`r` looked at another commit than the head: it ended at other")
    );
    let unseen = outcome(|play| {
        play.start_work("r.1");
        play.finish("r.1");
        play.see("r.1", Seen::Captured { snapshot: Err("no space".to_owned()) });
    });
    assert_eq!(unseen, unverifiable("nobody could see whether `r` left the head as it was"));
}

#[test]
fn a_head_that_could_not_be_kept_is_not_reviewed() {
    let mut play = Play::new(flow(pair(vec![Item::Exit(0), review("r")], 0)));
    play.complete("a.1");
    play.see("a.1", Seen::Captured { snapshot: Err("no space".to_owned()) });
    assert_eq!((play.phase("a"), play.phase("r"), play.task("r").attempt), (T::Failed, T::Skipped, 0));
    assert_eq!(verdict(&play).reason, "the head couldn't be kept, so `r` can't look at it");
}

#[test]
fn e5_a_second_attempt_is_reviewed_anew_and_fed_what_the_first_review_said() {
    let mut play = reviewing(vec![artifact(), review("r")], 1);
    play.judge("a.1", Verdict::Verified);
    play.answer("r.1", Some("fail"));
    let told: Vec<&str> = play.task("a").refuted.iter().map(|item| item.reason.as_str()).collect();
    assert_eq!((play.phase("a"), told), (T::Claimed, vec!["`r` says fail: \"as asked\""]));
    assert_eq!((play.phase("r"), &*play.worker("a.2").start), (T::Completed, "head"));
    done(&mut play, "a.2", "better");
    let events = play.judge("a.2", Verdict::Verified);
    let replanned = events.iter().find_map(|event| match event {
        Event::Task(event) if event.task == "r" => {
            Some((event.reason.as_str(), Event::Task(event.clone()).kind()))
        }
        _ => None,
    });
    assert_eq!(replanned, Some(("replanned: attempt 2 of `a` is to be reviewed", "task.pending".to_owned())));
    // The same answer to another head is no answer to this one, and neither is the old pass.
    assert_eq!(
        (play.phase("a"), play.phase("r"), &*play.worker("r.2").start),
        (T::Verifying, T::Claimed, "better")
    );
    play.answer("r.2", Some("pass"));
    assert_eq!((play.phase("a"), play.ended()), (T::Completed, Some(true)));
}

#[test]
fn e5_the_same_commit_in_another_attempt_is_reviewed_once_more() {
    let mut play = reviewing(vec![review("r"), approval()], 1);
    play.answer("r.1", Some("pass"));
    play.ask(super::approval::answer("a", false)).expect("asked for");
    done(&mut play, "a.2", "head");
    assert_eq!((play.phase("r"), play.task("r").for_attempt), (T::Claimed, 2));
    assert!(verdict(&play).is_unanswered());
}

#[test]
fn a_reviewer_may_try_as_often_for_each_head_and_the_run_s_limit_counts_them_all() {
    let mut play = reviewing(vec![review("r")], 1);
    play.fail("r.1");
    play.fail("r.2");
    assert_eq!(play.phase("a"), T::Claimed, "a reviewer that fails refutes");
    done(&mut play, "a.2", "better");
    assert_eq!((play.task("r").attempt, play.task("r").allowed), (3, 4));

    let mut few = flow(pair(vec![review("r")], 1));
    few.limits.attempts = Some(3);
    let mut play = Play::new(few);
    done(&mut play, "a.1", "head");
    play.answer("r.1", Some("fail"));
    done(&mut play, "a.2", "better");
    assert_eq!((play.phase("a"), play.phase("r")), (T::Failed, T::Failed));
    assert!(verdict(&play).reason.contains("denied: attempts"), "{}", verdict(&play).reason);
    assert_eq!((play.state().attempts_spent, play.ended()), (3, Some(false)));
}

#[test]
fn a_failed_attempt_of_a_reviewer_never_moves_what_it_looks_at() {
    let mut tasks = pair(vec![review("r")], 0);
    tasks[0] = task("r").tree().retries(1).shows(vec![artifact()]);
    let mut play = Play::new(flow(tasks));
    done(&mut play, "a.1", "head");
    play.complete("r.1");
    play.capture("r.1", "its own");
    play.judge("r.1", Verdict::Refuted);
    assert_eq!((&*play.worker("r.2").start, play.task("a").head.as_deref()), ("head", Some("head")));
}

#[test]
fn both_are_asked_at_once_and_a_no_of_either_ends_the_other() {
    let mut play = reviewing(vec![approval(), review("r")], 0);
    assert_eq!((play.phase("r"), asked(play.state(), 1).is_some()), (T::Claimed, true));
    play.answer("r.1", Some("pass"));
    assert_eq!((play.phase("a"), asked(play.state(), 1).is_some()), (T::Verifying, true));
    play.ask(super::approval::answer("a", true)).expect("asked for");
    assert_eq!(play.ended(), Some(true));

    let mut play = reviewing(vec![approval(), review("r")], 0);
    play.start_work("r.1");
    let events = kinds(&play.ask(super::approval::answer("a", false)).expect("asked for"));
    assert!(events.contains(&"claim.revoked".to_owned()), "{events:?}");
    assert_eq!(
        (play.phase("a"), play.phase("r"), play.owed()),
        (T::Failed, T::Skipped, vec!["stop r.1".to_owned()])
    );
    assert_eq!(play.task("r").reason, "needs_unmet: reviews `a`, which is failed");
    play.stopped("r.1");
    play.capture("r.1", "head");
    assert_eq!(play.ended(), Some(false));
}

#[test]
fn a_reviewer_whose_head_is_gone_starts_nothing_beside_its_old_session() {
    let mut play = reviewing(vec![approval(), review("r")], 1);
    play.start_work("r.1");
    play.ask(super::approval::answer("a", false)).expect("asked for");
    assert_eq!(play.phase("r"), T::Pending);
    done(&mut play, "a.2", "better");
    assert_eq!(play.phase("r"), T::Ready, "r.1 hasn't ended yet");
    play.stopped("r.1");
    assert_eq!((play.phase("r"), &*play.worker("r.2").start), (T::Claimed, "better"));
    // What the old one says now is about nothing.
    assert_eq!(super::kinds(&play.report("r.1", ReportStatus::Done)), ["report.refused"]);
}

#[test]
fn a_task_that_ends_without_asking_takes_its_reviewer_along() {
    for end in [(|play: &mut Play| play.fail("a.1")) as super::Script, |play| {
        drop(play.ask(Request::Cancel { task: "a".to_owned() }).expect("granted"));
    }] {
        let mut play = Play::new(flow(pair(vec![review("r")], 0)));
        end(&mut play);
        assert_eq!(play.phase("r"), T::Skipped, "{:?}", play.phase("a"));
        assert!(!play.task("r").by_design);
    }
}

#[test]
fn a_retry_wakes_the_reviewer_with_the_task_and_never_by_itself() {
    let mut play = Play::new(flow(pair(vec![review("r")], 0)));
    play.fail("a.1");
    let refused = play.ask(Request::Retry { task: "r".to_owned() });
    assert!(refused.is_err(), "it is skipped");
    play.ask(Request::Retry { task: "a".to_owned() }).expect("granted");
    assert_eq!(play.phase("r"), T::Pending);
    done(&mut play, "a.2", "head");
    play.ask(Request::Cancel { task: "r".to_owned() }).expect("granted");
    assert_eq!((play.phase("a"), play.phase("r")), (T::Failed, T::Cancelled));
    let refused = play.ask(Request::Retry { task: "r".to_owned() }).expect_err("a reviewer");
    assert_eq!(refused.message, "`r` only reviews `a`, which asks it anew with each attempt");
    play.ask(Request::Retry { task: "a".to_owned() }).expect("granted");
    assert_eq!(play.phase("r"), T::Pending, "a cancelled review is asked for anew by a retry only");
    play.stopped("r.1");
    done(&mut play, "a.3", "head");
    play.answer("r.2", Some("pass"));
    assert_eq!(play.phase("a"), T::Completed);
}

#[test]
fn j12_a_review_survives_a_crash_at_any_of_its_steps() {
    let mut play = reviewing(vec![artifact(), review("r")], 0);
    play.judge("a.1", Verdict::Verified);
    play.crash_and_resume();
    assert_eq!((play.phase("a"), play.phase("r"), play.task("r").for_attempt), (T::Verifying, T::Claimed, 1));
    // The nonce is lost with the life that launched it.
    play.see("r.1", Seen::LaunchFailed { step: "interrupted", detail: "x".to_owned(), host: true });
    let again = play.state().current_worker(0).map(|(id, _)| id).expect("claimed again");
    play.answer(&again, Some("pass"));
    play.crash_and_resume();
    assert_eq!(play.phase("a"), T::Completed);
}

#[test]
fn down_ends_the_reviewer_and_the_next_life_goes_on_with_the_same_head() {
    let mut play = reviewing(vec![review("r")], 0);
    play.start_work("r.1");
    play.ask(Request::Down { force: false }).expect("granted");
    play.stopped("r.1");
    play.capture("r.1", "head");
    assert_eq!(
        (play.state().phase, play.phase("a"), play.phase("r")),
        (RunPhase::Interrupted, T::Verifying, T::Ready)
    );
    play.crash_and_resume();
    assert_eq!(play.phase("r"), T::Claimed);
    play.answer("r.2", Some("pass"));
    assert_eq!(play.phase("a"), T::Completed);
}

#[test]
fn what_a_person_decides_about_a_reviewer_is_no_verdict() {
    let mut tasks = pair(vec![review("r")], 0);
    tasks[0].evidence = Evidence::Waived("it only talks".to_owned());
    let mut play = Play::new(flow(tasks));
    done(&mut play, "a.1", "head");
    play.start_work("r.1");
    play.tick(11_000);
    play.ask(Request::Decide { task: "r".to_owned(), choice: Choice::Accept }).expect("in doubt");
    play.stopped("r.1");
    play.capture("r.1", "head");
    assert_eq!((play.phase("r"), play.phase("a")), (T::Completed, T::Failed));
    assert_eq!(verdict(&play).reason, "`r` gave no verdict, and no report");
}

#[test]
fn only_asks_for_a_task_and_its_reviewer_together() {
    for named in ["a", "r"] {
        let mut tasks = pair(vec![review("r")], 0);
        tasks.push(task("b"));
        let mut play = Play::with(super::Started { only: vec![named.to_owned()], ..started(flow(tasks)) });
        assert_eq!((play.phase("a"), play.phase("r"), play.phase("b")), (T::Claimed, T::Pending, T::Skipped));
        done(&mut play, "a.1", "head");
        play.answer("r.1", Some("pass"));
        assert_eq!(play.ended(), Some(true));
    }
    let mut tasks = pair(vec![review("r")], 0);
    tasks.push(task("b"));
    let play = Play::with(super::Started { only: vec!["b".to_owned()], ..started(flow(tasks)) });
    assert_eq!((play.phase("a"), play.phase("r")), (T::Skipped, T::Skipped));
}

#[test]
fn two_reviewers_both_pass_and_a_reviewer_may_be_reviewed() {
    let mut tasks = pair(vec![review("r"), review("s")], 0);
    tasks.push(task("s").tree().shows(vec![review("t")]));
    tasks.push(task("t").tree());
    let mut play = Play::new(flow(tasks));
    done(&mut play, "a.1", "head");
    play.answer("r.1", Some("pass"));
    play.answer("s.1", Some("pass"));
    assert_eq!(
        (play.phase("a"), play.phase("s"), &*play.worker("t.1").start),
        (T::Verifying, T::Verifying, "head")
    );
    play.answer("t.1", Some("pass"));
    assert_eq!(play.ended(), Some(true));
}

#[test]
fn a_refuted_no_change_is_never_reviewed() {
    let mut play = Play::new(flow(pair(vec![review("r")], 0)));
    play.start_work("a.1");
    play.report("a.1", ReportStatus::NoChange);
    play.exit("a.1", 0);
    play.capture("a.1", "head");
    assert_eq!((play.phase("a"), play.task("r").attempt), (T::Failed, 0));
}

#[test]
fn an_edited_reviewer_reruns_what_it_judged_and_an_edited_task_its_reviewer() {
    for (changed, causes) in [(0, "its `env` changed"), (1, "reviews `a`, which reruns")] {
        let mut play = reviewing(vec![review("r")], 0);
        play.answer("r.1", Some("pass"));
        assert_eq!(play.ended(), Some(true));
        let mut edited = flow(pair(vec![review("r")], 0));
        edited.tasks[changed].env.insert("E".to_owned(), None);
        let adopted = play.edit_to(edited);
        let plan = crate::engine::reshape::plan(play.state(), &adopted);
        assert_eq!(plan[0].because, causes);
        assert!(plan.iter().all(|one| one.fate == crate::engine::reshape::Fate::Rerun));
        play.adopt(&adopted).expect("granted");
        play.crash_and_resume();
        done(&mut play, "a.2", "again");
        play.answer("r.2", Some("pass"));
        assert_eq!((play.ended(), &*play.worker("r.2").start), (Some(true), "again"));
    }
}

#[test]
fn an_edit_that_takes_the_review_away_leaves_a_plain_task() {
    let mut play = reviewing(vec![review("r")], 0);
    let mut edited = flow(pair(vec![Item::Exit(0)], 0));
    edited.tasks.remove(1);
    let adopted = play.edit_to(edited);
    play.adopt(&adopted).expect("granted");
    play.crash_and_resume();
    play.give(&Input::Tick).expect("never refused");
    assert_eq!((play.phase("a"), play.state().reviews.len()), (T::Skipped, 0));
    play.stopped("r.1");
    assert_eq!((play.phase("r"), &*play.worker("r.2").start), (T::Claimed, "base"));
}
