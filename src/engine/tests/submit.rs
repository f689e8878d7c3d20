//! Submission (law D7): a batch is planned whole or not at all, under the live token, once.
//!
//! Every step is replayed by the harness itself; the tests that name one crash in the middle as
//! well. It leaves out files, and most of what a task may be: the reader's own tests have that.

use serde_json::{Value, json};

use super::{Plan, Play, flow, ignored_code, kinds, started, task};
use crate::engine::event::{Event, Outcome, Started};
use crate::engine::input::{Request, Seen};
use crate::engine::task_table::TaskPhase as T;
use crate::protocol::{ReportStatus, Submission};
use crate::workflow::{Item, Limits, TaskBase, TaskKind, Trust, Workflow, WorkspaceKind};

/// A batch, the place of its wrong task, and what is said of that.
type Case<'c> = (&'c [(&'c str, Value)], usize, &'c str);

/// A body that works in no tree, as all of these plays do.
fn body(needs: &[&str]) -> Value {
    json!({"run": "true", "needs": needs, "workspace": "none"})
}

impl Play {
    fn submit(&mut self, worker: &str, n: u32, tasks: &[(&str, Value)]) -> Vec<Event> {
        let token = self.worker(worker).token;
        self.submit_under(worker, (n, token), tasks)
    }

    fn submit_under(&mut self, worker: &str, (n, token): (u32, u64), tasks: &[(&str, Value)]) -> Vec<Event> {
        let tasks: Vec<_> = tasks.iter().map(|(id, body)| ((*id).to_owned(), body.clone())).collect();
        let sha256 = format!("{tasks:?}");
        self.see(worker, Seen::Submitted { n, submission: Submission { token, tasks }, sha256 })
    }

    /// What a submission was answered: the ids, or the place and the reason.
    fn answered(&self, worker: &str, n: u32) -> Result<Vec<String>, (usize, String)> {
        match self.worker(worker).submissions[&n].outcome.clone() {
            Outcome::Accepted(ids) => Ok(ids),
            Outcome::Refused { index, reason } => Err((index, reason)),
        }
    }

    #[track_caller]
    fn refuses(&mut self, tasks: &[(&str, Value)], at: usize, words: &str) {
        let n = u32::try_from(self.worker("plan.1").submissions.len()).unwrap() + 1;
        let before = (self.state().tasks.clone(), self.state().workflow().clone());
        assert_eq!(kinds(&self.submit("plan.1", n, tasks)), ["worker.submission-refused"]);
        let (index, reason) = self.answered("plan.1", n).expect_err("a refusal");
        assert!(index == at && reason.contains(words), "{index}: {reason}");
        assert_eq!((&self.state().tasks, self.state().workflow()), (&before.0, &before.1));
    }
}

fn limited(limits: Limits) -> Play {
    let mut play = Play::new(Workflow { limits, ..flow(vec![task("plan"), task("end")]) });
    play.start_work("plan.1");
    play
}

#[test]
fn d7_a_batch_is_planned_whole_in_one_event_with_its_parent_and_runs_like_any_other() {
    let mut play = Play::busy(task("plan"));
    // The first needs the second: an edge forward in the batch.
    let events = play.submit("plan.1", 1, &[("pack", body(&["build"])), ("build", body(&[]))]);
    assert_eq!(kinds(&events)[0], "run.extended");
    assert_eq!(play.answered("plan.1", 1), Ok(vec!["pack".to_owned(), "build".to_owned()]));
    let build = play.state().planned(play.state().task_index("build").unwrap());
    assert_eq!((build.parent.as_deref(), build.workspace), (Some("plan"), WorkspaceKind::None));
    assert_eq!((play.phase("build"), play.phase("pack")), (T::Claimed, T::Pending));
    play.finish("plan.1");
    assert_eq!((play.phase("plan"), play.ended()), (T::Completed, None));
    play.complete("build.1");
    play.complete("pack.1");
    assert_eq!(play.ended(), Some(true));
}

#[test]
fn what_was_submitted_counts_for_the_runs_success_by_itself() {
    let mut play = Play::busy(task("plan"));
    play.submit("plan.1", 1, &[("build", body(&[]))]);
    play.finish("plan.1");
    play.fail("build.1");
    assert_eq!((play.phase("plan"), play.ended()), (T::Completed, Some(false)));
}

#[test]
fn d7_a_bad_forward_edge_refuses_the_batch_whole_with_its_place_and_the_reason() {
    let mut play = Play::busy(task("plan"));
    play.refuses(&[("a", body(&[])), ("b", body(&["c"])), ("d", body(&[]))], 1, "no task `c`");
    play.crash_and_resume();
    let (index, reason) = play.answered("plan.1", 1).expect_err("a refusal");
    assert_eq!((index, reason.contains("tasks.b.needs[0]")), (1, true), "{reason}");
    // Mended, it is another submission.
    play.submit("plan.1", 2, &[("a", body(&[])), ("b", body(&["a"]))]);
    assert_eq!(play.answered("plan.1", 2).map(|ids| ids.len()), Ok(2));
}

#[test]
fn d7_the_checks_are_those_of_a_file() {
    let mut play = Play::new(flow(vec![task("plan"), task("end").needs(&["plan"])]));
    play.start_work("plan.1");
    let cases: &[Case<'_>] = &[
        (&[], 0, "no tasks"),
        (&[("a", body(&[])), ("end", body(&[]))], 1, "has a task of this id already"),
        (&[("a", body(&["b"])), ("b", body(&["a"]))], 0, "wait for each other: a -> b -> a"),
        (&[("a", body(&[])), ("B", body(&[]))], 1, "`B`"),
        (&[("a", json!({"rum": "true"}))], 0, "did you mean `run`"),
        (&[("a", json!({"run": "true", "agent": "x", "prompt": "y"}))], 0, "a second kind"),
        (
            &[("a", json!({"agent": "ghost", "prompt": "y", "evidence": [{"exit": 0}]}))],
            0,
            "no agent `ghost`",
        ),
        (&[("a", json!("true"))], 0, "a mapping is allowed here"),
        (&[("a", json!({"run": "true", "timeout": "soon"}))], 0, "tasks.a.timeout"),
        (&[("a", json!({"run": "x", "base": {"task": "end"}, "needs": ["plan"]}))], 0, "but doesn't need it"),
        (&[("a", json!({"run": "x", "base": "v9.9"}))], 0, "tasks.a.base"),
        (&[("a", json!({"run": "x", "evidence": [{"review": "end"}]}))], 0, "`end`"),
        (
            &[
                ("l-i1", body(&[])),
                ("l", json!({"loop": {"max": 2, "until": {"exit": 0}, "each": {"run": "x"}}})),
            ],
            0,
            "`l` makes a task of this id itself",
        ),
        (
            &[("c", json!({"classify": {"by": {"run": "x"}, "branches": {"yes": ["end"]}}}))],
            0,
            "no task `end`",
        ),
    ];
    for (tasks, index, words) in cases {
        play.refuses(tasks, *index, words);
    }
}

#[test]
fn ids_that_control_tasks_make_are_taken_on_either_side() {
    let each = task("").shows(vec![Item::Exit(0)]);
    let until = crate::workflow::Loop { max: 3, each: crate::workflow::Task { conditions: 1, ..each } };
    let looped = crate::workflow::Task {
        kind: TaskKind::Loop(Box::new(until)),
        ..task("fix").shows(vec![Item::Children])
    };
    let mut play = Play::new(flow(vec![task("plan"), looped, task("late-i2")]));
    play.start_work("plan.1");
    play.refuses(&[("a", body(&[])), ("fix-i3", body(&[]))], 1, "`fix` makes a task of this id itself");
    let late = json!({"loop": {"max": 2, "until": {"exit": 0}, "each": {"run": "x", "workspace": "none"}}});
    play.refuses(&[("a", body(&[])), ("late", late)], 1, "`late` makes a task of this id itself: `late-i2`");
    // What the loop has made already speaks against nobody.
    play.submit("plan.1", 3, &[("fix-i4", body(&["fix-i1"]))]);
    assert_eq!(play.answered("plan.1", 3), Ok(vec!["fix-i4".to_owned()]));
}

#[test]
fn d7_control_tasks_may_be_submitted_and_run() {
    let mut play = Play::busy(task("plan"));
    let looped = json!({"loop": {"max": 2, "until": {"exit": 0}, "each": {"run": "x", "workspace": "none"}}});
    play.submit("plan.1", 1, &[("fix", looped)]);
    play.finish("plan.1");
    assert_eq!(play.phase("fix-i1"), T::Claimed);
    play.complete("fix-i1.1");
    assert_eq!((play.phase("fix"), play.ended()), (T::Completed, Some(true)));
}

#[test]
fn j7_a_repeated_file_is_answered_the_same_and_never_twice_across_a_crash() {
    let mut play = Play::busy(task("plan"));
    let batch = [("build", body(&[]))];
    play.submit("plan.1", 1, &batch);
    assert!(play.owed().contains(&"reply plan.1".to_owned()));
    let count = play.state().tasks.len();
    // The answer's file may not have been written: the next life owes it again, and reads the mail anew.
    play.crash_and_resume();
    assert!(play.owed().contains(&"reply plan.1".to_owned()), "{:?}", play.owed());
    assert_eq!(kinds(&play.submit("plan.1", 1, &batch)), [""; 0]);
    assert_eq!((play.state().tasks.len(), play.answered("plan.1", 1).is_ok()), (count, true));
    // The same number with another content changes nothing.
    let events = play.submit("plan.1", 1, &[("other", body(&[]))]);
    assert_eq!(ignored_code(&events), "answered");
    assert_eq!(play.state().tasks.len(), count);
}

#[test]
fn j12_no_prefix_of_the_journal_has_tasks_without_their_answer() {
    let mut play = Play::busy(task("plan"));
    let batch = [("a", body(&[])), ("b", body(&["a"]))];
    play.submit("plan.1", 1, &batch);
    for cut in 1..=play.journal.len() {
        let mut other = Play { journal: play.journal[..cut].to_vec(), ..Play::busy(task("plan")) };
        other.crash_and_resume();
        if other.state().workers.get("plan.1").is_none_or(|worker| worker.dispatched_at.is_none()) {
            continue;
        }
        other.submit("plan.1", 1, &batch);
        assert_eq!(other.answered("plan.1", 1), Ok(vec!["a".to_owned(), "b".to_owned()]), "cut at {cut}");
        assert_eq!(other.state().tasks.len(), 3);
    }
}

#[test]
fn l7_a_dead_token_plans_nothing_and_leaves_one_event() {
    let mut play = Play::new(flow(vec![task("plan").retries(1), task("end")]));
    play.start_work("plan.1");
    let batch = [("build", body(&[]))];
    let token = play.worker("plan.1").token;
    let before = play.state().tasks.clone();
    assert_eq!(ignored_code(&play.submit_under("plan.1", (1, token + 7), &batch)), "dead_token");
    assert_eq!(play.state().tasks, before);
    play.fail("plan.1");
    let before = play.state().tasks.clone();
    assert_eq!(ignored_code(&play.submit("plan.1", 1, &batch)), "dead_token");
    assert_eq!((play.state().tasks.clone(), play.worker("plan.1").submissions.len()), (before, 0));
}

#[test]
fn what_is_submitted_before_an_assignment_is_held_plans_nothing() {
    let mut play = Play::new(flow(vec![task("plan")]));
    play.launch("plan.1");
    assert_eq!(ignored_code(&play.submit("plan.1", 1, &[("a", body(&[]))])), "not_dispatched");
}

#[test]
fn d7_the_runs_bounds_hold_for_the_batch_as_a_whole() {
    let mut play = limited(Limits { tasks: Some(4), ..Limits::default() });
    let three = [("a", body(&[])), ("b", body(&[])), ("c", body(&[]))];
    play.refuses(&three, 2, "the run would have 5 tasks, `limits.tasks` is 4");
    play.submit("plan.1", 2, &three[..2]);
    assert!(play.answered("plan.1", 2).is_ok());
}

#[test]
fn d7_tasks_are_submitted_only_as_deep_as_the_run_allows() {
    let mut play = limited(Limits { depth: Some(1), ..Limits::default() });
    play.submit("plan.1", 1, &[("a", body(&[]))]);
    play.start_work("a.1");
    play.submit("a.1", 1, &[("b", body(&[]))]);
    let (index, reason) = play.answered("a.1", 1).expect_err("a refusal");
    assert_eq!((index, reason.starts_with("denied: depth: ")), (0, true), "{reason}");
    assert!(play.state().task_index("b").is_none());
    let mut none = limited(Limits { depth: Some(0), ..Limits::default() });
    none.refuses(&[("a", body(&[]))], 0, "denied: depth: ");
}

#[test]
fn d7_what_an_untrusted_task_submits_is_untrusted_whatever_it_says() {
    let mut plan = task("plan");
    plan.distrust().unwrap();
    let mut play = Play::busy(plan);
    let raised = json!({"run": "true", "trust": "trusted"});
    let change = json!({"run": "true", "evidence": [{"diff": {}}]});
    play.refuses(&[("a", raised.clone()), ("b", change)], 1, "asks for a change");
    play.submit("plan.1", 2, &[("a", raised)]);
    let planned = play.state().planned(play.state().task_index("a").unwrap()).clone();
    assert_eq!(planned.trust, Trust::Untrusted);
    assert_eq!(planned.evidence.items(), [Item::Exit(0), Item::Unchanged]);
}

#[test]
fn what_an_untrusted_task_changed_isnt_handed_to_its_next_attempt() {
    let mut one = task("a").tree().retries(1);
    one.distrust().unwrap();
    let mut play = Play::busy(one);
    play.finish("a.1");
    play.capture("a.1", "changed");
    play.judge("a.1", crate::engine::evidence::Verdict::Refuted);
    assert_eq!(play.worker("a.2").start, "base");
}

#[test]
fn a_submitted_task_starts_from_a_commit_that_the_run_resolved() {
    let started =
        Started { bases: [("v1".to_owned(), "c1".to_owned())].into(), ..started(flow(vec![task("plan")])) };
    let mut play = Play::with(started);
    play.start_work("plan.1");
    play.submit("plan.1", 1, &[("a", json!({"run": "x", "base": "v1"}))]);
    let index = play.state().task_index("a").unwrap();
    assert_eq!(play.state().planned(index).base, Some(TaskBase::Commit("v1".to_owned())));
    assert_eq!(play.worker("a.1").start, "c1");
}

#[test]
fn a_submitted_task_is_reviewed_by_one_of_its_batch() {
    let mut play = Play::busy(task("plan"));
    let change = json!({"run": "x", "evidence": [{"review": "look"}]});
    play.submit("plan.1", 1, &[("change", change), ("look", json!({"run": "x"}))]);
    assert_eq!(play.phase("look"), T::Pending);
    play.finish("plan.1");
    play.complete("change.1");
    play.capture("change.1", "head");
    play.judge("change.1", crate::engine::evidence::Verdict::Verified);
    assert_eq!(play.phase("look"), T::Claimed);
    play.answer("look.1", Some("pass"));
    assert_eq!((play.phase("change"), play.ended()), (T::Completed, Some(true)));
}

#[test]
fn j6_a_later_attempt_that_submits_the_same_is_answered_and_nothing_is_planned_twice() {
    let mut play = Play::busy(task("plan").retries(2));
    let looped = json!({"loop": {"max": 2, "until": {"exit": 0}, "each": {"run": "x", "workspace": "none"}}});
    let batch = [("build", body(&[])), ("fix", looped)];
    play.submit("plan.1", 1, &batch);
    play.complete("build.1");
    play.report("plan.1", ReportStatus::Failed);
    play.exit("plan.1", 0);
    play.start_work("plan.2");
    let count = play.state().tasks.len();
    play.submit("plan.2", 1, &batch);
    assert_eq!(play.answered("plan.2", 1), Ok(vec!["build".to_owned(), "fix".to_owned()]));
    assert_eq!(
        (play.phase("build"), play.task("build").attempt, play.state().tasks.len()),
        (T::Completed, 1, count)
    );
    // Another task under that name is another plan, and so is one that lies beside new ones.
    play.submit("plan.2", 2, &[("build", body(&["end"]))]);
    assert!(play.answered("plan.2", 2).is_err());
    play.submit("plan.2", 3, &[("build", json!({"run": "other", "workspace": "none"}))]);
    let (index, reason) = play.answered("plan.2", 3).expect_err("a refusal");
    assert_eq!((index, reason.contains("submitted before as another task")), (0, true), "{reason}");
    play.submit("plan.2", 4, &[("new", body(&[])), ("build", body(&[]))]);
    assert!(play.answered("plan.2", 4).is_err_and(|(index, _)| index == 1));
}

#[test]
fn what_is_submitted_keeps_its_outcome_when_its_submitter_fails() {
    let mut play = Play::busy(task("plan"));
    play.submit("plan.1", 1, &[("build", body(&[])), ("pack", body(&["plan"]))]);
    play.report("plan.1", ReportStatus::Failed);
    play.exit("plan.1", 0);
    play.complete("build.1");
    assert_eq!(
        (play.phase("plan"), play.phase("build"), play.phase("pack")),
        (T::Failed, T::Completed, T::Skipped)
    );
    assert_eq!(play.ended(), Some(false));
    let _ = play.ask(Request::Retry { task: "plan".to_owned() }).expect("a failed task may be retried");
}
