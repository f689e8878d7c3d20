//! Control tasks: what was chosen is an event, is replayed, capped and told (laws D3 to D5, J7).
//!
//! Every step is replayed by the harness itself, so each assertion also holds after a crash;
//! the tests that name one crash in the middle as well. It leaves out files and reading YAML.

use serde_json::{Map, Value, json};

use super::{Plan, Play, approval, artifact, flow, kinds, started, task};
use crate::engine::control;
use crate::engine::event::{Event, Started};
use crate::engine::evidence::{Checked, Verdict, judge_choice};
use crate::engine::input::{Answer, Request, Seen};
use crate::engine::reshape::{self, Fate};
use crate::engine::state::RunPhase;
use crate::engine::task_table::TaskPhase as T;
use crate::protocol::{Report, ReportStatus};
use crate::workflow::{Evidence, Item, Loop, Map as Fan, Need, Task, TaskBase, TaskKind, Tournament, When};

/// A control task of this kind.
pub(super) fn control_task(id: &str, kind: TaskKind) -> Task {
    Task { kind, ..task(id).shows(vec![Item::Children]) }
}

/// A loop around a body that must show nothing of its own, until a file is there.
pub(super) fn until_file(id: &str, max: u32) -> Task {
    until(id, max, vec![artifact()], 1)
}

/// A loop whose body is looked at for `items`, the last `conditions` of which are the loop's.
pub(super) fn until(id: &str, max: u32, items: Vec<Item>, conditions: usize) -> Task {
    let each = Task { conditions, ..task("").shows(items) };
    control_task(id, TaskKind::Loop(Box::new(Loop { max, each })))
}

pub(super) fn cup(id: &str, entrants: usize) -> Task {
    let winner = Item::Choice { name: "winner".to_owned(), among: vec!["left".into(), "right".into()] };
    let judge = task("").shows(vec![Item::Exit(0), winner]).retries(1);
    let entrants = vec![task("").tree(); entrants];
    control_task(id, TaskKind::Tournament(Box::new(Tournament { entrants, judge })))
}

pub(super) fn fan(id: &str, over: &str, max: u32) -> Task {
    let map = Fan { task: over.to_owned(), output: "files".to_owned(), max, each: task("") };
    control_task(id, TaskKind::Map(Box::new(map))).needs(&[over])
}

pub(super) fn classifier(id: &str, branches: &[(&str, &[&str])]) -> Task {
    let among = branches.iter().map(|(label, _)| (*label).to_owned()).collect();
    let label = Item::Choice { name: "label".to_owned(), among };
    let owned = |(label, tasks): &(&str, &[&str])| {
        ((*label).to_owned(), tasks.iter().map(|task| (*task).to_owned()).collect())
    };
    Task { branches: branches.iter().map(owned).collect(), ..task(id).shows(vec![Item::Exit(0), label]) }
}

impl Play {
    /// An attempt that ends as asked and answers this.
    fn answers(&mut self, worker: &str, outputs: Value) -> Vec<String> {
        self.begin(worker);
        let Value::Object(outputs) = outputs else { panic!("an object") };
        let report = Report { outputs, ..self.report_of(worker, ReportStatus::Done) };
        let mut events =
            kinds(&self.see(worker, Seen::Reported { report: Box::new(report), sha256: worker.to_owned() }));
        events.extend(kinds(&self.exit(worker, 0)));
        events.extend(self.look(worker));
        events
    }

    /// An honest look at evidence of which all but the answers holds, where one is owed.
    fn look(&mut self, worker: &str) -> Vec<String> {
        let task = self.worker(worker).task;
        if !self.owed().contains(&format!("verify {worker}")) {
            return Vec::new();
        }
        let outputs = self.worker(worker).report.as_ref().expect("it reported").outputs.clone();
        let seen = |item: &Item| match item {
            Item::Choice { name, among } => judge_choice(name, among, &outputs),
            other => Checked::new(other.kind(), Verdict::Verified, "seen"),
        };
        let checked = self.state().planned(task).evidence.items().iter().map(seen).collect();
        kinds(&self.see(worker, Seen::Judged { checked }))
    }

    /// An attempt whose tree is kept as this commit.
    fn completes_at(&mut self, worker: &str, commit: &str) {
        self.begin(worker);
        self.finish(worker);
        self.capture(worker, commit);
    }

    /// An iteration whose conditions come out so.
    fn iterates(&mut self, worker: &str, verdict: Verdict) -> Vec<String> {
        self.begin(worker);
        self.finish(worker);
        kinds(&self.judge(worker, verdict))
    }

    /// It takes its assignment, unless it has.
    fn begin(&mut self, worker: &str) {
        if self.worker(worker).session.is_none() {
            self.start_work(worker);
        }
    }

    /// The supervisor dies while everybody works, and another takes over from the journal alone:
    /// a launch that a crash interrupts would be given up.
    fn crash(&mut self) {
        let workers: Vec<String> = self.state().active.iter().cloned().collect();
        workers.iter().for_each(|worker| self.begin(worker));
        self.crash_and_resume();
    }

    /// The ids of all tasks that aren't the file's own.
    fn made(&self) -> Vec<&str> {
        let made = self.state().workflow().tasks.iter().filter(|task| task.parent.is_some());
        made.map(|task| task.id.as_str()).collect()
    }

    fn reason(&self, id: &str) -> &str {
        &self.task(id).reason
    }
}

#[test]
fn d3_a_loop_goes_on_from_its_last_iteration_until_its_condition_is_met() {
    let mut play = Play::new(flow(vec![until_file("fix", 5), task("after").needs(&["fix"])]));
    assert_eq!((play.phase("fix"), play.made()), (T::InProgress, vec!["fix-i1"]));
    let events = play.iterates("fix-i1.1", Verdict::Refuted);
    assert_eq!(play.phase("fix-i1"), T::Completed, "a condition that isn't met fails no iteration");
    assert!(events.contains(&"run.extended".to_owned()), "{events:?}");
    let second = play.state().planned(play.state().task_index("fix-i2").expect("made"));
    assert_eq!(second.base, Some(TaskBase::Task("fix-i1".to_owned())));
    assert_eq!(second.needs, [Need { task: "fix-i1".to_owned(), when: Some(When::Completed) }]);
    assert_eq!(play.phase("after"), T::Pending, "dependents wait for the whole loop");
    play.crash();
    assert_eq!(play.made(), ["fix-i1", "fix-i2"], "a finished iteration isn't repeated");
    play.iterates("fix-i2.1", Verdict::Verified);
    assert_eq!(
        (play.phase("fix"), play.phase("after")),
        (T::Completed, T::Claimed),
        "{}",
        play.reason("fix")
    );
    let shown = &play.task("fix").evidence[0];
    assert_eq!(shown.reason, "iteration 2 of at most 5 met the condition");
    play.complete("after.1");
    assert_eq!(play.ended(), Some(true));
}

#[test]
fn d3_an_iteration_reads_which_conditions_the_one_before_didnt_meet() {
    let mut play = Play::new(flow(vec![until_file("fix", 5)]));
    play.iterates("fix-i1.1", Verdict::Refuted);
    let second = play.state().task_index("fix-i2").expect("made");
    let told = |play: &Play| -> Vec<String> {
        let (of, checked) = play.state().feedback(second);
        assert_eq!(Some(of), play.state().task_index("fix-i1"));
        checked.iter().map(|checked| checked.kind.clone()).collect()
    };
    assert_eq!(told(&play), ["artifact"]);
    // A later attempt of the same iteration still reads it.
    play.fail("fix-i2.1");
    assert_eq!(told(&play), ["artifact"]);
}

#[test]
fn d3_the_cap_fails_a_loop_and_a_retry_grants_one_iteration_more() {
    let mut play = Play::new(flow(vec![until_file("fix", 2)]));
    play.iterates("fix-i1.1", Verdict::Refuted);
    play.iterates("fix-i2.1", Verdict::Refuted);
    assert_eq!((play.phase("fix"), play.ended()), (T::Failed, Some(false)));
    assert!(play.reason("fix").starts_with("loop_cap: the condition isn't met after 2 of at most 2"));
    play.ask(Request::Retry { task: "fix".to_owned() }).expect("granted");
    play.crash_and_resume();
    play.crash();
    assert_eq!(play.made(), ["fix-i1", "fix-i2", "fix-i3"]);
    play.iterates("fix-i3.1", Verdict::Verified);
    assert_eq!(play.ended(), Some(true));
}

#[test]
fn d3_a_failed_iteration_ends_the_loop_and_its_retry_goes_on_with_it() {
    let mut play = Play::new(flow(vec![until_file("fix", 5)]));
    play.fail("fix-i1.1");
    assert_eq!((play.phase("fix"), play.made()), (T::Failed, vec!["fix-i1"]));
    assert_eq!(play.reason("fix"), "iteration_failed: `fix-i1` is failed: reported_failed: because");
}

#[test]
fn d3_a_retry_of_the_loop_or_of_its_failed_iteration_goes_on_with_that_one() {
    for named in ["fix", "fix-i1"] {
        let mut play = Play::new(flow(vec![until_file("fix", 5)]));
        play.fail("fix-i1.1");
        play.ask(Request::Retry { task: named.to_owned() }).expect("granted");
        play.crash_and_resume();
        assert_eq!((play.phase("fix"), play.phase("fix-i1")), (T::InProgress, T::Claimed));
        play.iterates("fix-i1.2", Verdict::Verified);
        assert_eq!(play.ended(), Some(true));
    }
}

#[test]
fn d3_an_iteration_fails_by_its_own_evidence_but_by_no_condition() {
    let mut play = Play::new(flow(vec![until("fix", 5, vec![Item::Exit(0), artifact()], 1)]));
    play.complete("fix-i1.1");
    let checked =
        |exit, file| vec![Checked::new("exit", exit, "seen"), Checked::new("artifact", file, "seen")];
    play.see("fix-i1.1", Seen::Judged { checked: checked(Verdict::Refuted, Verdict::Verified) });
    assert_eq!((play.phase("fix-i1"), play.phase("fix")), (T::Failed, T::Failed));
}

#[test]
fn d3_a_condition_that_cant_be_seen_is_looked_at_twice_and_isnt_met_then() {
    let mut play = Play::new(flow(vec![until_file("fix", 5)]));
    play.iterates("fix-i1.1", Verdict::Unverifiable);
    assert_eq!((play.phase("fix-i1"), play.owed()), (T::Verifying, vec!["verify fix-i1.1".to_owned()]));
    play.judge("fix-i1.1", Verdict::Unverifiable);
    assert_eq!((play.phase("fix-i1"), play.made().len()), (T::Completed, 2));
}

#[test]
fn d3_a_person_may_be_the_condition_of_a_loop() {
    let mut play = Play::new(flow(vec![until("draft", 5, vec![approval()], 1)]));
    let say = |play: &mut Play, task: &str, yes| {
        let answer = Answer { yes, who: "ana".to_owned(), reason: None };
        play.ask(Request::Answer { task: task.to_owned(), answer }).expect("asked for");
    };
    play.complete("draft-i1.1");
    assert_eq!(play.phase("draft-i1"), T::Verifying, "a person is asked");
    say(&mut play, "draft-i1", false);
    assert_eq!((play.phase("draft-i1"), play.phase("draft")), (T::Completed, T::InProgress));
    play.complete("draft-i2.1");
    say(&mut play, "draft-i2", true);
    assert_eq!(play.ended(), Some(true));
}

#[test]
fn d3_a_timeout_is_no_success_of_an_iteration() {
    let each = Task { conditions: 1, ..task("").shows(vec![artifact()]).timeout(10) };
    let body = TaskKind::Loop(Box::new(Loop { max: 3, each }));
    let mut play = Play::new(flow(vec![control_task("fix", body)]));
    play.start_work("fix-i1.1");
    play.tick_beating(12_000, &["fix-i1.1"]);
    play.stopped("fix-i1.1");
    assert_eq!((play.phase("fix-i1"), play.phase("fix")), (T::Failed, T::Failed));
    assert!(play.reason("fix-i1").starts_with("timeout"), "{}", play.reason("fix-i1"));
}

#[test]
fn d4_a_classifiers_label_opens_one_branch_and_prunes_the_others() {
    let tasks = || {
        vec![
            classifier("sort", &[("bug", &["fix", "both"]), ("docs", &["write", "both"])]),
            task("fix").needs(&["sort"]),
            task("write").needs(&["sort"]),
            task("both").needs(&["sort"]),
            task("behind").needs(&["write"]),
            task("join").needs(&["fix", "write"]).when(When::Optional),
        ]
    };
    let mut play = Play::new(flow(tasks()));
    play.answers("sort.1", json!({"label": "bug"}));
    // The choice is an event: another life finds it (law J7).
    play.crash();
    assert_eq!(
        (play.phase("sort"), play.phase("fix"), play.phase("both")),
        (T::Completed, T::InProgress, T::InProgress)
    );
    assert_eq!((play.phase("write"), play.reason("write")), (T::Skipped, "pruned: `sort` chose `bug`"));
    assert_eq!(play.phase("behind"), T::Skipped);
    assert!(play.task("write").by_design && play.task("behind").by_design);
    play.finish("fix.1");
    play.finish("both.1");
    assert_eq!(
        (play.phase("fix"), play.phase("join")),
        (T::Completed, T::Claimed),
        "{:?}",
        play.task("both")
    );
    play.complete("join.1");
    assert_eq!(play.ended(), Some(true), "what was pruned is skipped by design");
}

#[test]
fn d4_an_unknown_label_or_none_fails_the_task_and_everything_behind_it_has_an_outcome() {
    for outputs in [json!({"label": "stranger"}), json!({}), json!({"label": ["bug"]})] {
        let tasks = vec![
            classifier("sort", &[("bug", &["fix"])]),
            task("fix").needs(&["sort"]),
            task("end").needs(&["fix"]),
        ];
        let mut play = Play::new(flow(tasks));
        play.answers("sort.1", outputs);
        assert_eq!(
            (play.phase("sort"), play.phase("fix"), play.phase("end")),
            (T::Failed, T::Skipped, T::Skipped)
        );
        assert!(!play.task("fix").by_design);
        assert_eq!(play.ended(), Some(false));
    }
}

/// Every entrant in order: true where it completes.
fn enter(play: &mut Play, id: &str, outcomes: &[bool]) {
    for (k, completes) in (1..).zip(outcomes) {
        let worker = format!("{id}-e{k}.1");
        if *completes {
            play.completes_at(&worker, &format!("head-{k}"));
        } else {
            play.fail(&worker);
            play.capture(&worker, "lost");
        }
    }
}

#[test]
fn d5_entrants_meet_in_their_order_and_the_winners_head_becomes_the_tasks() {
    let mut play = Play::new(flow(vec![cup("best", 2), task("use").tree().needs(&["best"]).behind("best")]));
    assert_eq!(play.made(), ["best-e1", "best-e2"]);
    enter(&mut play, "best", &[true, true]);
    assert_eq!(play.made()[2..], ["best-j1"]);
    let judge = play.state().planned(play.state().task_index("best-j1").expect("made"));
    assert_eq!(judge.judges, Some(("best-e1".to_owned(), "best-e2".to_owned())));
    play.crash();
    play.answers("best-j1.1", json!({"winner": "right"}));
    assert_eq!((play.phase("best"), play.task("best").head.as_deref()), (T::Completed, Some("head-2")));
    assert_eq!(play.state().base_of(1), "head-2");
    let bracket = play.task("best").evidence[0].facts.get("bracket").expect("kept").clone();
    let expected = json!([{"judge": "best-j1", "left": "best-e1", "right": "best-e2", "winner": "best-e2"}]);
    assert_eq!(bracket, expected);
}

#[test]
fn d5_four_and_five_entrants_two_of_them_failing_end_right() {
    // Who completes, the answers of the judges in order, and the champion.
    let cases: [(&[bool], &[&str], &str); 6] = [
        (&[true, false, true, false], &["left"], "best-e1"),
        (&[false, true, false, true], &["right"], "best-e4"),
        (&[true, true, true, true], &["left", "right", "right"], "best-e4"),
        // An odd one out has a bye, in the first round and in the second.
        (&[true, false, true, false, true], &["right", "left"], "best-e3"),
        (&[true, false, true, false, true], &["right", "right"], "best-e5"),
        (&[true, true, true, true, true], &["left", "left", "right", "right"], "best-e5"),
    ];
    for (entrants, answers, champion) in cases {
        let started = started(flow(vec![cup("best", entrants.len())]));
        let mut play = Play::with(Started { workers: 8, ..started });
        enter(&mut play, "best", entrants);
        for (k, answer) in (1..).zip(answers) {
            play.crash();
            play.answers(&format!("best-j{k}.1"), json!({"winner": answer}));
        }
        let chosen = play.task("best").evidence[0].facts.get("child").expect("kept");
        assert_eq!((chosen, play.ended()), (&Value::from(champion), Some(true)), "{entrants:?} {answers:?}");
    }
}

#[test]
fn d5_a_judge_that_names_a_stranger_is_asked_once_more_and_then_the_match_fails() {
    let mut play = Play::new(flow(vec![cup("best", 2)]));
    enter(&mut play, "best", &[true, true]);
    play.answers("best-j1.1", json!({"winner": "best-e7"}));
    assert_eq!(play.phase("best-j1"), T::Claimed, "asked once more");
    play.crash();
    play.answers("best-j1.2", json!({"winner": "neither"}));
    assert_eq!((play.phase("best-j1"), play.phase("best")), (T::Failed, T::Failed));
    assert_eq!(play.reason("best"), "no_champion: no judge named a winner");
    assert_eq!(play.ended(), Some(false));
}

#[test]
fn d5_a_lone_survivor_is_champion_without_a_match_and_none_is_a_failure() {
    for (entrants, phase) in [([false, true], T::Completed), ([false, false], T::Failed)] {
        let mut play = Play::new(flow(vec![cup("best", 2)]));
        enter(&mut play, "best", &entrants);
        assert_eq!((play.phase("best"), play.made().len()), (phase, 2), "{}", play.reason("best"));
    }
}

#[test]
fn d5_an_entrant_that_withdrew_stays_out_once_matches_were_made() {
    let mut play = Play::new(flow(vec![cup("best", 3)]));
    enter(&mut play, "best", &[true, false, true]);
    assert_eq!(play.made().last(), Some(&"best-j1"));
    let refused = play.ask(Request::Retry { task: "best-e2".to_owned() }).expect_err("too late");
    assert_eq!(refused.message, "`best-e2` has withdrawn: the matches of `best` were made without it");
    // The judge fails; a retry of the tournament asks a judge again, and no entrant.
    play.fail("best-j1.1");
    play.fail("best-j1.2");
    assert_eq!(play.phase("best"), T::Failed);
    play.ask(Request::Retry { task: "best".to_owned() }).expect("granted");
    play.crash_and_resume();
    assert_eq!((play.phase("best-e2"), play.phase("best-j1")), (T::Failed, T::Claimed));
    play.answers("best-j1.3", json!({"winner": "left"}));
    assert_eq!(play.ended(), Some(true));
}

#[test]
fn a_map_makes_a_task_for_each_element_and_answers_with_what_they_answered() {
    let mut play =
        Play::new(flow(vec![task("list"), fan("check", "list", 10), task("sum").needs(&["check"])]));
    play.answers("list.1", json!({"files": ["a", {"b": 1}]}));
    assert_eq!(play.made(), ["check-m1", "check-m2"]);
    let items: Vec<_> = ["check-m1", "check-m2"]
        .map(|id| play.state().planned(play.state().task_index(id).expect("made")).item.clone())
        .into();
    assert_eq!(items, [Some(json!("a")), Some(json!({"b": 1}))]);
    play.crash();
    play.answers("check-m2.1", json!({"n": 2}));
    assert_eq!(play.phase("check"), T::InProgress);
    play.answers("check-m1.1", json!({"n": 1}));
    let outputs = Map::from_iter([("items".to_owned(), json!([{"n": 1}, {"n": 2}]))]);
    assert_eq!((play.phase("check"), &play.task("check").outputs), (T::Completed, &outputs));
    play.complete("sum.1");
    assert_eq!(play.ended(), Some(true));
}

/// What a reduction's second run came to.
fn reduced(verdict: Verdict, result: Value) -> Checked {
    Checked::new("reduce", verdict, "seen").fact("result", result)
}

#[test]
fn d6_what_a_reduction_printed_twice_is_its_answer_unless_its_report_gave_one() {
    let kind = || TaskKind::Reduce("sum".to_owned());
    let sum = |id: &str| Task { kind: kind(), ..task(id).shows(vec![Item::Reduced]) };
    let mut play = Play::new(flow(vec![sum("a"), sum("b"), sum("c").retries(1)]));
    for worker in ["a.1", "c.1"] {
        play.begin(worker);
        play.finish(worker);
    }
    play.see("a.1", Seen::Judged { checked: vec![reduced(Verdict::Verified, json!({"n": 7}))] });
    play.crash();
    let expected = Map::from_iter([("result".to_owned(), json!({"n": 7}))]);
    assert_eq!((play.phase("a"), &play.task("a").outputs), (T::Completed, &expected));
    // A report goes before it.
    play.begin("b.1");
    let outputs = Map::from_iter([("own".to_owned(), json!(1))]);
    let report = Report { outputs: outputs.clone(), ..play.report_of("b.1", ReportStatus::Done) };
    play.see("b.1", Seen::Reported { report: Box::new(report), sha256: "b".to_owned() });
    play.exit("b.1", 0);
    play.see("b.1", Seen::Judged { checked: vec![reduced(Verdict::Verified, json!(7))] });
    assert_eq!(play.task("b").outputs, outputs);
    // One that printed something else hands on nothing, and is tried again as it may.
    play.see("c.1", Seen::Judged { checked: vec![reduced(Verdict::Refuted, json!(7))] });
    assert_eq!((&play.task("c").outputs, play.task("c").attempt), (&Map::new(), 2));
    play.begin("c.2");
    play.finish("c.2");
    play.see("c.2", Seen::Judged { checked: vec![reduced(Verdict::Verified, json!("8\n"))] });
    assert_eq!(play.task("c").outputs.get("result"), Some(&json!("8\n")));
    assert_eq!(play.ended(), Some(true));
}

#[test]
fn an_element_reaches_what_a_control_task_in_the_map_makes() {
    let Task { kind: TaskKind::Map(mut map), needs, .. } = fan("check", "list", 10) else { panic!("a map") };
    map.each = until_file("", 3);
    let check = Task { needs, ..control_task("check", TaskKind::Map(map)) };
    let mut play = Play::new(flow(vec![task("list"), check]));
    play.answers("list.1", json!({"files": ["a", "b"]}));
    play.iterates("check-m2-i1.1", Verdict::Refuted);
    let item = |id: &str| play.state().planned(play.state().task_index(id).expect("made")).item.clone();
    assert_eq!(item("check-m1-i1"), Some(json!("a")));
    assert_eq!((item("check-m2-i1"), item("check-m2-i2")), (Some(json!("b")), Some(json!("b"))));
}

#[test]
fn a_map_over_nothing_completes_and_over_no_list_or_too_long_a_one_fails() {
    let cases = [
        (json!({"files": []}), T::Completed, ""),
        (json!({"files": "a"}), T::Failed, "not_a_list: `list.outputs.files` is no list"),
        (json!({}), T::Failed, "not_a_list: there is no `list.outputs.files`"),
        (
            json!({"files": [1, 2, 3]}),
            T::Failed,
            "map_cap: `list.outputs.files` has 3 elements, at most 2 are allowed",
        ),
        (
            json!({"files": ["x".repeat(70_000)]}),
            T::Failed,
            "map_cap: element 1 of `list.outputs.files` is over 65536 bytes",
        ),
    ];
    for (outputs, phase, reason) in cases {
        let mut play = Play::new(flow(vec![task("list"), fan("check", "list", 2)]));
        play.answers("list.1", outputs);
        assert_eq!((play.phase("check"), play.reason("check")), (phase, reason));
    }
}

#[test]
fn a_maps_failed_element_fails_it_once_all_have_ended_and_is_retried_alone() {
    let mut play = Play::new(flow(vec![task("list"), fan("check", "list", 5)]));
    play.answers("list.1", json!({"files": [1, 2]}));
    play.fail("check-m1.1");
    assert_eq!(play.phase("check"), T::InProgress, "the other goes on");
    play.complete("check-m2.1");
    assert_eq!(play.reason("check"), "element_failed: `check-m1` is failed: reported_failed: because");
    play.ask(Request::Retry { task: "check".to_owned() }).expect("granted");
    play.crash_and_resume();
    assert_eq!((play.phase("check-m1"), play.phase("check-m2")), (T::Claimed, T::Completed));
    play.complete("check-m1.2");
    assert_eq!(play.ended(), Some(true));
}

#[test]
fn an_approve_task_holds_no_worker_and_waits_for_a_person() {
    let gate =
        Task { kind: TaskKind::Approve("Ship it?".to_owned()), ..task("gate").shows(vec![approval()]) };
    for (yes, phase) in [(true, T::Completed), (false, T::Failed)] {
        let mut play =
            Play::new(flow(vec![task("a"), gate.clone().needs(&["a"]), task("b").needs(&["gate"])]));
        play.complete("a.1");
        assert_eq!((play.phase("gate"), play.state().live_count(), play.owed()), (T::Verifying, 0, vec![]));
        play.crash_and_resume();
        let answer = Answer { yes, who: "ana".to_owned(), reason: None };
        play.ask(Request::Answer { task: "gate".to_owned(), answer }).expect("asked for");
        assert_eq!(play.phase("gate"), phase);
        assert_eq!(play.phase("b"), if yes { T::Claimed } else { T::Skipped });
    }
}

#[test]
fn cancelling_a_control_task_cancels_what_it_made() {
    let mut play = Play::new(flow(vec![cup("best", 2), task("after").needs(&["best"])]));
    play.start_work("best-e1.1");
    play.ask(Request::Cancel { task: "best".to_owned() }).expect("granted");
    for id in ["best", "best-e1", "best-e2"] {
        assert_eq!(play.phase(id), T::Cancelled, "{id}");
    }
    assert_eq!(play.phase("after"), T::Skipped);
    play.stopped("best-e1.1");
    play.capture("best-e1.1", "kept");
    play.stopped("best-e2.1");
    assert_eq!(play.ended(), Some(false));
}

#[test]
fn the_bound_on_tasks_denies_a_control_task_that_would_pass_it() {
    let mut workflow = flow(vec![until_file("fix", 5)]);
    workflow.limits.tasks = Some(2);
    let mut play = Play::new(workflow);
    play.iterates("fix-i1.1", Verdict::Refuted);
    assert_eq!(play.phase("fix"), T::Failed);
    assert_eq!(play.reason("fix"), "denied: tasks: the run would have 3 tasks, `limits.tasks` is 2");
}

#[test]
fn an_adopted_edit_of_a_loop_starts_it_over_and_keeps_what_it_made_as_a_record() {
    let mut play = Play::new(flow(vec![until_file("fix", 5), task("other")]));
    play.iterates("fix-i1.1", Verdict::Refuted);
    play.start_work("fix-i2.1");
    play.begin("other.1");
    // Another body changes the loop; the other task alone is kept.
    let mut other_body = until_file("fix", 5);
    if let TaskKind::Loop(body) = &mut other_body.kind {
        body.each.env.insert("A".to_owned(), Some("b".to_owned()));
    }
    let edited = flow(vec![task("other"), other_body]);
    play.adopt(&play.edit_to(edited)).expect("granted");
    assert_eq!((play.phase("fix"), play.phase("fix-i2")), (T::Pending, T::Skipped));
    assert!(play.task("fix-i1").removed && play.task("fix-i2").removed);
    play.crash_and_resume();
    play.stopped("fix-i2.1");
    assert_eq!(play.phase("fix-i1"), T::Claimed, "{}", play.reason("fix-i1"));
    assert_eq!(play.task("fix-i1").attempt, 2, "ordinals go on, so nothing of the old one is shared");
    play.iterates("fix-i1.2", Verdict::Verified);
    play.finish("other.1");
    assert_eq!((play.phase("fix"), play.ended()), (T::Completed, Some(true)));
}

#[test]
fn an_adopted_edit_of_a_loops_bound_goes_on_from_its_last_iteration() {
    let mut play = Play::new(flow(vec![until_file("fix", 2)]));
    play.iterates("fix-i1.1", Verdict::Refuted);
    play.begin("fix-i2.1");
    play.adopt(&play.edit_to(flow(vec![until_file("fix", 3)]))).expect("granted");
    play.crash_and_resume();
    play.iterates("fix-i2.1", Verdict::Refuted);
    assert_eq!(play.phase("fix"), T::InProgress, "{}", play.reason("fix"));
    play.iterates("fix-i3.1", Verdict::Refuted);
    assert_eq!(play.phase("fix"), T::Failed);
    // It failed at its cap: a higher one is another chance, as more retries are.
    let outlook = reshape::plan(play.state(), &play.edit_to(flow(vec![until_file("fix", 4)])));
    assert_eq!((outlook[0].fate, outlook[0].because.as_str()), (Fate::Rerun, "its `max` was raised"));
}

#[test]
fn an_adopted_edit_of_something_else_keeps_a_loop_with_all_its_iterations() {
    let mut play = Play::new(flow(vec![until_file("fix", 5), task("other")]));
    play.iterates("fix-i1.1", Verdict::Refuted);
    play.begin("fix-i2.1");
    play.begin("other.1");
    let edited = flow(vec![until_file("fix", 5), task("other").retries(1), task("new")]);
    play.adopt(&play.edit_to(edited)).expect("granted");
    play.crash_and_resume();
    assert_eq!(
        (play.phase("fix"), play.phase("fix-i1"), play.phase("fix-i2")),
        (T::InProgress, T::Completed, T::InProgress)
    );
    play.iterates("fix-i2.1", Verdict::Verified);
    assert_eq!(play.phase("fix"), T::Completed, "{}", play.reason("fix"));
}

#[test]
fn a_loop_may_stand_in_a_map_and_each_answers_for_its_own() {
    let Task { kind: TaskKind::Loop(body), .. } = until_file("", 3) else { panic!("a loop") };
    let each = control_task("", TaskKind::Loop(body));
    let map = Fan { task: "list".to_owned(), output: "files".to_owned(), max: 9, each };
    let outer = control_task("fix", TaskKind::Map(Box::new(map))).needs(&["list"]);
    let mut play = Play::new(flow(vec![task("list"), outer]));
    play.answers("list.1", json!({"files": [1, 2]}));
    play.iterates("fix-m1-i1.1", Verdict::Refuted);
    play.iterates("fix-m2-i1.1", Verdict::Verified);
    assert_eq!((play.phase("fix-m1"), play.phase("fix-m2")), (T::InProgress, T::Completed));
    play.iterates("fix-m1-i2.1", Verdict::Verified);
    assert_eq!((play.phase("fix"), play.ended()), (T::Completed, Some(true)));
    let fix = play.state().task_index("fix").expect("there");
    assert_eq!(control::descendants(play.state(), fix).len(), 5);
}

#[test]
fn j7_every_cut_of_a_journal_with_choices_goes_on_to_the_same_end() {
    let mut play = Play::new(flow(vec![until_file("fix", 3), cup("best", 3).needs(&["fix"])]));
    play.iterates("fix-i1.1", Verdict::Refuted);
    play.iterates("fix-i2.1", Verdict::Verified);
    enter(&mut play, "best", &[true, false, true]);
    play.answers("best-j1.1", json!({"winner": "left"}));
    assert_eq!(play.ended(), Some(true));
    for cut in play.cuts.clone() {
        let engine = crate::engine::Engine::replay(play.journal[..cut].to_vec()).expect("a legal past");
        let made = engine.state().tasks.len();
        // What was chosen before the cut is there, and nothing is made twice.
        let ids: std::collections::BTreeSet<_> =
            engine.state().workflow().tasks.iter().map(|task| task.id.clone()).collect();
        assert_eq!(ids.len(), made);
        assert!(!matches!(engine.state().phase, RunPhase::Ended { .. }) || cut == play.journal.len());
    }
}

#[test]
fn a_duplicate_completion_starts_nothing_early() {
    let mut play = Play::new(flow(vec![until_file("fix", 5)]));
    play.start_work("fix-i1.1");
    play.report("fix-i1.1", ReportStatus::Done);
    assert_eq!(kinds(&play.report("fix-i1.1", ReportStatus::Done)), Vec::<String>::new());
    play.exit("fix-i1.1", 0);
    assert_eq!(kinds(&play.exit("fix-i1.1", 0)), Vec::<String>::new());
    assert_eq!((play.phase("fix-i1"), play.made().len()), (T::Verifying, 1));
    play.judge("fix-i1.1", Verdict::Refuted);
    let events = play.judge("fix-i1.1", Verdict::Refuted);
    assert!(matches!(events.as_slice(), [Event::Ignored(_)]), "{:?}", kinds(&events));
    assert_eq!(play.made().len(), 2);
}

#[test]
fn evidence_of_a_control_task_is_what_became_of_its_children() {
    assert_eq!(until_file("fix", 1).evidence, Evidence::Items(vec![Item::Children]));
    let mut play = Play::new(flow(vec![until_file("fix", 1)]));
    play.iterates("fix-i1.1", Verdict::Verified);
    let kept = play.task("fix").evidence.clone();
    assert_eq!((kept.len(), &*kept[0].kind, kept[0].verdict), (1, "children", Verdict::Verified));
    assert_eq!(kept[0].facts.get("child"), Some(&json!("fix-i1")));
}

#[test]
fn down_lets_go_of_a_run_whose_control_tasks_are_in_progress() {
    for force in [false, true] {
        let mut play = Play::new(flow(vec![until_file("fix", 3), cup("best", 2)]));
        play.begin("fix-i1.1");
        play.ask(Request::Down { force }).expect("granted");
        ["fix-i1.1", "best-e1.1", "best-e2.1"].into_iter().for_each(|worker| drop(play.stopped(worker)));
        for worker in ["best-e1.1", "best-e2.1"] {
            play.capture(worker, "kept");
        }
        assert_eq!(play.state().phase, RunPhase::Interrupted, "force: {force}, owed {:?}", play.owed());
        assert_eq!((play.phase("fix"), play.phase("fix-i1")), (T::InProgress, T::Ready));
        play.crash_and_resume();
        play.iterates("fix-i1.2", Verdict::Verified);
        assert_eq!(play.phase("fix"), T::Completed);
    }
}

#[test]
fn d5_a_match_that_is_judged_late_isnt_answered_by_the_judge_of_two_others() {
    let started = started(flow(vec![cup("best", 8)]));
    let mut play = Play::with(Started { workers: 8, ..started });
    enter(&mut play, "best", &[true; 8]);
    let spoil = |play: &mut Play, judge: &str| {
        (1..=2).for_each(|n| drop(play.answers(&format!("{judge}.{n}"), json!({}))));
    };
    // The first match fails, so the others move up: e3 meets e5, and e7 has a bye.
    spoil(&mut play, "best-j1");
    for k in 2..=4 {
        play.answers(&format!("best-j{k}.1"), json!({"winner": "left"}));
    }
    play.answers("best-j5.1", json!({"winner": "right"}));
    spoil(&mut play, "best-j6");
    assert_eq!(play.reason("best"), "no_champion: no judge named a winner");
    play.ask(Request::Retry { task: "best".to_owned() }).expect("granted");
    play.crash_and_resume();
    play.answers("best-j1.3", json!({"winner": "left"}));
    play.answers("best-j6.3", json!({"winner": "left"}));
    // Now e1 is in, and meets e3: nobody has judged those two yet.
    let pair = |id: &str| play.state().planned(play.state().task_index(id).expect("made")).judges.clone();
    assert_eq!(pair("best-j7"), Some(("best-e1".to_owned(), "best-e3".to_owned())));
    play.answers("best-j7.1", json!({"winner": "left"}));
    // The sixth judge has judged those two who meet in this round, too.
    let pair = |id: &str| play.state().planned(play.state().task_index(id).expect("made")).judges.clone();
    assert_eq!(pair("best-j8"), Some(("best-e1".to_owned(), "best-e5".to_owned())));
    play.answers("best-j8.1", json!({"winner": "right"}));
    let chosen = play.task("best").evidence[0].facts.get("child").expect("kept");
    assert_eq!((chosen, play.ended()), (&Value::from("best-e5"), Some(true)));
}

#[test]
fn an_adopted_edit_leaves_what_a_named_loop_made_asked_for() {
    let tasks = |n| vec![until_file("fix", 5), task("other").retries(n)];
    let only = vec!["fix".to_owned()];
    let mut play = Play::with(Started { only, ..started(flow(tasks(0))) });
    play.begin("fix-i1.1");
    play.adopt(&play.edit_to(flow(tasks(1)))).expect("granted");
    let child = play.state().task_index("fix-i1").expect("made");
    assert!(play.state().asked_for[child]);
}

#[test]
fn a_retry_of_a_need_wakes_no_iteration_of_a_loop_that_has_ended() {
    let body = until_file("fix", 5).need("list", When::Partial);
    let mut play = Play::new(flow(vec![task("list"), body]));
    play.start_work("list.1");
    play.report("list.1", ReportStatus::Partial);
    play.exit("list.1", 0);
    play.begin("fix-i1.1");
    play.ask(Request::Retry { task: "list".to_owned() }).expect("granted");
    play.finish("fix-i1.1");
    play.judge("fix-i1.1", Verdict::Refuted);
    assert_eq!(play.phase("fix-i2"), T::Pending, "its need goes on again");
    play.fail("list.2");
    assert_eq!((play.phase("fix-i2"), play.phase("fix")), (T::Skipped, T::Failed));
    play.ask(Request::Retry { task: "list".to_owned() }).expect("granted");
    play.crash_and_resume();
    assert_eq!(play.phase("fix-i2"), T::Skipped, "nobody would answer for it");
    play.complete("list.3");
    play.ask(Request::Retry { task: "fix".to_owned() }).expect("granted");
    play.crash_and_resume();
    assert_eq!((play.phase("fix"), play.phase("fix-i2")), (T::InProgress, T::Claimed));
    play.iterates("fix-i2.1", Verdict::Verified);
    assert_eq!(play.ended(), Some(true));
}

#[test]
fn a_retry_of_what_a_nested_task_made_opens_the_outermost_first() {
    let Task { kind: TaskKind::Loop(body), .. } = until_file("", 3) else { panic!("a loop") };
    let each = control_task("", TaskKind::Loop(body));
    let map = Fan { task: "list".to_owned(), output: "files".to_owned(), max: 9, each };
    let outer = control_task("fix", TaskKind::Map(Box::new(map))).needs(&["list"]);
    let mut play = Play::new(flow(vec![task("list"), outer]));
    play.answers("list.1", json!({"files": [1]}));
    play.fail("fix-m1-i1.1");
    assert_eq!((play.phase("fix"), play.ended()), (T::Failed, Some(false)));
    let events = play.ask(Request::Retry { task: "fix-m1-i1".to_owned() }).expect("granted");
    let opened = |event: &Event| match event {
        Event::Task(event) => Some(event.task.clone()),
        _ => None,
    };
    let opened: Vec<String> = events.iter().filter_map(opened).take(3).collect();
    assert_eq!(opened, ["fix", "fix-m1", "fix-m1-i1"]);
}
