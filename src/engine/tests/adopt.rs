//! An edited workflow in the middle of a run: what is kept, what reruns, and what that costs.

use super::{Plan, Play, Script, flow, kinds, task};
use crate::engine::event::{Adopted, Event};
use crate::engine::input::{Request, Seen};
use crate::engine::reshape::{self, Fate};
use crate::engine::state::RunPhase;
use crate::engine::task_table::TaskPhase as T;
use crate::engine::worker_table::WorkerPhase as W;
use crate::protocol::ReportStatus;
use crate::workflow::{Agent, Item, SessionKind, Task, TaskBase, TaskKind, When, Workflow, WorkspaceKind};

impl Play {
    /// The event that adopting `workflow` would journal.
    pub(super) fn edit_to(&self, workflow: Workflow) -> Adopted {
        let started = &self.state().started;
        Adopted {
            digest: format!("digest {}", self.journal.len()),
            copy: "workflow-2.yaml".to_owned(),
            base: started.base.clone(),
            base_name: started.base_name.clone(),
            bases: started.bases.clone(),
            workers: started.workers,
            setup: None,
            workflow,
        }
    }

    /// A person adopts an edit, in one transaction of its own; nobody drives the run meanwhile.
    pub(super) fn adopt(&mut self, adopted: &Adopted) -> Result<Vec<Event>, &'static str> {
        let before = self.state().clone();
        let result = self.engine.adopt(self.now(), adopted);
        let events = self.engine.take_events();
        let at = self.now().stamp;
        self.journal.extend(events.iter().cloned().map(|event| (at, event)));
        self.cuts.push(self.journal.len());
        let replayed = crate::engine::Engine::replay(self.journal.clone()).expect("replays");
        assert_eq!(replayed.state(), self.state());
        if let Err(rejection) = result {
            assert_eq!((self.state(), events.len()), (&before, 0), "{rejection}");
            return Err(rejection.code);
        }
        Ok(events)
    }

    /// The same, and another life takes the run up.
    fn adopt_and_go_on(&mut self, tasks: Vec<Task>) -> Vec<Event> {
        let events = self.adopt(&self.edit_to(flow(tasks))).expect("granted");
        self.crash_and_resume();
        events
    }

    /// What adopting would mean: a line for each task.
    fn outlook(&self, workflow: Workflow) -> Vec<String> {
        let told = |one: reshape::Outlook| {
            let ends = one.ends.iter().map(|worker| format!(" ({worker})")).collect::<String>();
            format!("{} {}: {}{ends}", one.fate.word(), one.task, one.because)
        };
        reshape::plan(self.state(), &self.edit_to(workflow)).into_iter().map(told).collect()
    }
}

fn runs(id: &str, line: &str) -> Task {
    Task { kind: TaskKind::Run(line.to_owned()), ..task(id) }
}

/// a, then b after it, and c beside them.
fn three() -> Vec<Task> {
    vec![task("a"), task("b").needs(&["a"]), task("c")]
}

fn ended() -> Play {
    let mut play = Play::new(flow(three()));
    ["a.1", "c.1", "b.1"].into_iter().for_each(|worker| play.complete(worker));
    assert_eq!(play.ended(), Some(true));
    play
}

#[test]
fn j10_an_edit_says_for_each_task_what_would_rerun_and_why() {
    let play = ended();
    let check = |tasks: Vec<Task>, expected: &[&str]| assert_eq!(play.outlook(flow(tasks)), expected);
    check(three(), &["keep a: completed", "keep b: completed", "keep c: completed"]);
    check(
        vec![runs("a", "false"), task("b").needs(&["a"]), task("c")],
        &["rerun a: its `run` changed", "rerun b: needs `a`, which reruns", "keep c: completed"],
    );
    check(
        vec![task("c"), task("d").needs(&["c"]), task("b")],
        &["keep c: completed", "new d: ", "rerun b: its `needs` changed", "gone a: completed"],
    );
    check(
        vec![task("a").timeout(5).retries(2), task("b").need("a", When::Terminal), task("c")],
        &[
            "keep a: completed; its `retries` and `timeout` changed",
            "keep b: completed; its `when` changed",
            "keep c: completed",
        ],
    );
}

#[test]
fn every_key_that_shapes_a_result_reruns_and_every_other_keeps() {
    let mut play = Play::new(flow(vec![task("a")]));
    play.complete("a.1");
    let agent = TaskKind::Agent { agent: "x".to_owned(), prompt: "p".to_owned(), model: None };
    let shaping: [(Task, &str); 8] = [
        (runs("a", "false"), "its `run` changed"),
        (Task { kind: TaskKind::Argv(vec!["true".to_owned()]), ..task("a") }, "its `argv` and `run` changed"),
        (Task { kind: TaskKind::Worker(Vec::new()), ..task("a") }, "its `run` and `worker` changed"),
        (Task { kind: agent, ..task("a") }, "its `agent`, `prompt` and `run` changed"),
        (Task { env: [("K".to_owned(), None)].into(), ..task("a") }, "its `env` changed"),
        (task("a").shows(vec![Item::Exit(3)]), "its `evidence` changed"),
        (task("a").tree(), "its `workspace` changed"),
        (task("a").needs(&["z"]), "its `needs` changed"),
    ];
    for (edited, because) in shaping {
        let found = play.outlook(flow(vec![edited, task("z")]));
        assert_eq!(found, [format!("rerun a: {because}"), "new z: ".to_owned()]);
    }
    let kept: [Task; 4] = [
        task("a").retries(1),
        task("a").timeout(1),
        task("a").when(When::Terminal),
        Task { retain: false, ..task("a") },
    ];
    for edited in kept {
        assert!(play.outlook(flow(vec![edited]))[0].starts_with("keep a: completed"));
    }
}

#[test]
fn an_agents_new_command_reruns_its_tasks_and_a_new_name_alone_does_not() {
    let asks = |agent: &str| {
        let kind = TaskKind::Agent { agent: agent.to_owned(), prompt: "p".to_owned(), model: None };
        Task { kind, ..task("a") }
    };
    let with = |agent: &str, argv: &str| {
        let entry = (agent.to_owned(), Agent::command(vec![argv.to_owned()]));
        Workflow { agents: [entry].into(), ..flow(vec![asks(agent)]) }
    };
    let mut play = Play::new(with("x", "./one"));
    play.complete("a.1");
    assert_eq!(play.outlook(with("x", "./two")), ["rerun a: its `agent` changed"]);
    assert_eq!(play.outlook(with("y", "./one")), ["keep a: completed"]);
}

#[test]
fn a_base_counts_by_its_commit_and_not_by_its_name() {
    let play = ended();
    let on = |name: &str| vec![Task { base: Some(TaskBase::Commit(name.to_owned())), ..task("a") }];
    let told = |adopted: &Adopted| {
        let first = reshape::plan(play.state(), adopted).into_iter().next().expect("a task");
        format!("{}: {}", first.fate.word(), first.because)
    };
    let mut edit = play.edit_to(flow(on("main")));
    edit.bases.insert("main".to_owned(), "base".to_owned());
    assert_eq!(told(&edit), "keep: completed");
    edit.bases.insert("main".to_owned(), "another".to_owned());
    assert_eq!(told(&edit), "rerun: its `base` changed");
    let moved = Adopted { base: "another".to_owned(), ..play.edit_to(flow(three())) };
    assert_eq!(told(&moved), "rerun: its `base` changed");
}

#[test]
fn what_failed_gets_another_chance_where_the_edit_grants_more() {
    let mut play = Play::new(flow(vec![task("a").retries(1).timeout(60), task("b").needs(&["a"])]));
    play.fail("a.1");
    play.fail("a.2");
    assert_eq!(play.ended(), Some(false));
    let check = |a: Task, expected: &[&str]| {
        let mut flow = flow(vec![a, task("b").needs(&["a"])]);
        flow.limits.workers = Some(9);
        assert_eq!(play.outlook(flow), expected);
    };
    let again = ["needs `a`, which reruns"].map(|why| format!("replan b: {why}"));
    let timeout = ["rerun a: its `timeout` was raised", &again[0]];
    check(task("a").retries(1).timeout(61), &timeout);
    check(task("a").retries(2).timeout(60), &["rerun a: its `retries` were raised", &again[0]]);
    check(task("a").retries(0).timeout(60), &["keep a: failed; its `retries` changed", "keep b: skipped"]);
    let when = play.outlook(flow(vec![task("a").retries(1).timeout(60), task("b").need("a", When::Failed)]));
    assert_eq!(when, ["keep a: failed", "replan b: its `when` changed"]);
}

#[test]
fn l2_what_reruns_goes_on_counting_and_what_is_kept_stays_to_the_last_word() {
    let mut play = ended();
    let kept = play.task("c").clone();
    let edited = vec![runs("a", "false").retries(1), task("b").needs(&["a"]), task("c")];
    let events = play.adopt_and_go_on(edited);
    assert_eq!(kinds(&events), ["run.adopted", "task.pending", "task.pending"]);
    assert_eq!(play.task("c"), &kept);
    assert_eq!((play.phase("a"), play.task("a").allowed, play.phase("b")), (T::Claimed, 3, T::Pending));
    play.fail("a.2");
    play.complete("a.3");
    play.complete("b.2");
    assert_eq!(play.ended(), Some(true));
    assert!(!play.state().workers.contains_key("c.2"));
}

#[test]
fn a_task_that_runs_and_changed_is_stopped_and_reruns_only_after_its_end() {
    let mut play = Play::new(flow(vec![task("a").tree(), task("c")]));
    play.start_work("a.1");
    play.start_work("c.1");
    let token = play.worker("a.1").token;
    let edited = vec![Task { kind: TaskKind::Run("false".to_owned()), ..task("a").tree() }, task("c")];
    assert_eq!(
        play.outlook(flow(edited.clone())),
        ["rerun a: its `run` changed (a.1)", "keep c: in progress"]
    );
    let events = play.adopt_and_go_on(edited);
    assert_eq!(kinds(&events), ["run.adopted", "claim.revoked", "worker.stopping", "task.pending"]);
    assert_eq!(play.task("a").reason, "");
    assert_eq!((play.phase("a"), play.phase("c")), (T::Ready, T::InProgress));
    assert_eq!(play.owed(), ["stop a.1"]);
    let late = play.report("a.1", ReportStatus::Done);
    assert_eq!(kinds(&late), ["report.refused"]);
    assert!(play.worker("c.1").token_live && !play.worker("a.1").token_live);
    play.stopped("a.1");
    assert_eq!((play.phase("a"), play.task("a").attempt), (T::Claimed, 2));
    assert!(play.worker("a.2").token > token, "l6");
    assert!(play.owed().contains(&"capture a.1".to_owned()), "what its tree holds is kept");
    play.capture("a.1", "c1");
    assert_eq!((play.worker_phase("a.1"), &play.task("a").head), (W::CompletedRetained, &None));
    play.complete("a.2");
    play.finish("c.1");
    play.capture("a.2", "c2");
    assert_eq!(play.ended(), Some(true), "no retry was spent");
}

#[test]
fn a_task_that_is_gone_is_left_out_and_spoils_nothing() {
    let mut play = Play::new(flow(vec![task("a"), task("b"), task("c").needs(&["b"]), task("d")]));
    play.fail("a.1");
    play.start_work("b.1");
    play.start_work("d.1");
    let events = play.adopt_and_go_on(vec![task("d")]);
    let expected = ["run.adopted", "claim.revoked", "worker.stopping", "task.skipped", "task.skipped"];
    assert_eq!(kinds(&events), expected);
    assert_eq!(
        play.task("a").reason,
        "removed: the workflow no longer has it; before: reported_failed: because"
    );
    assert_eq!(play.task("c").reason, "removed: the workflow no longer has it");
    assert_eq!(play.state().planned(play.worker("b.1").task).id, "b", "each worker keeps its task");
    play.stopped("b.1");
    play.finish("d.1");
    assert_eq!(play.ended(), Some(true));
    let retry = |id: &str| Request::Retry { task: id.to_owned() };
    assert_eq!(play.ask(retry("a")).expect_err("it is gone").code, "not_retryable");
    assert_eq!(play.outlook(flow(vec![task("d")])), ["keep d: completed"], "it is gone only once");
}

#[test]
fn a_task_that_comes_back_starts_over_under_its_own_ordinals() {
    let mut play = ended();
    play.adopt_and_go_on(vec![task("a"), task("c")]);
    assert_eq!(play.ended(), Some(true));
    let back = ["keep a: completed", "rerun b: it is back in the workflow", "keep c: completed"];
    assert_eq!(play.outlook(flow(three())), back);
    play.adopt_and_go_on(three());
    play.complete("b.2");
    assert_eq!(play.ended(), Some(true));
}

#[test]
fn j10_an_ended_run_that_adopts_is_unfinished_until_it_ends_again() {
    let mut play = ended();
    play.adopt(&play.edit_to(flow(three()))).expect("granted");
    assert_eq!((play.state().phase, play.state().ended_at), (RunPhase::Interrupted, None));
    assert_eq!((play.owed(), play.engine.next_deadline()), (Vec::new(), None), "law 1: nobody acts yet");
    play.crash_and_resume();
    assert_eq!(play.ended(), Some(true));
    assert_eq!(play.state().workers.len(), 3, "nothing was started");
}

#[test]
fn law_1_a_crash_right_after_the_adoption_goes_on_with_the_adopted_plan() {
    let mut play = Play::new(flow(three()));
    play.complete("a.1");
    play.start_work("b.1");
    play.adopt(&play.edit_to(flow(vec![runs("a", "false"), task("b").needs(&["a"]), task("e")])))
        .expect("granted");
    for _ in 0..3 {
        play.crash_and_resume();
        assert!(play.owed().contains(&"stop b.1".to_owned()));
    }
    assert_eq!((play.phase("a"), play.phase("b"), play.phase("c")), (T::Claimed, T::Pending, T::Skipped));
}

#[test]
fn settings_apply_at_once_and_rerun_nothing() {
    let mut play = Play::new(flow(vec![task("a"), task("b"), task("c")]));
    play.start_work("a.1");
    let mut edited = flow(vec![task("a").timeout(7).retries(3), task("b"), task("c")]);
    edited.limits.workers = Some(1);
    edited.heartbeat.lost_after = std::time::Duration::from_secs(90);
    let named = reshape::settings(play.state().workflow(), &edited);
    assert_eq!(named, ["heartbeat.lost_after", "limits.workers"]);
    let adopted = Adopted { workers: 1, ..play.edit_to(edited) };
    assert_eq!(kinds(&play.adopt(&adopted).expect("granted")), ["run.adopted"]);
    play.crash_and_resume();
    assert_eq!((play.phase("a"), play.task("a").allowed), (T::InProgress, 4));
    play.tick_beating(12_000, &["a.1"]);
    assert!(play.worker("a.1").stop.is_some(), "the new timeout counts for who works already");
    assert!(!play.state().has_room());
}

#[test]
fn l15_an_edit_that_another_run_is_needed_for_changes_nothing() {
    let check = |upto: Script, edit: fn(&mut Adopted), code: &str| {
        let mut started = super::started(flow(vec![task("a").tree(), task("b")]));
        started.only = vec!["a".to_owned()];
        let mut play = Play::with(started);
        upto(&mut play);
        let mut adopted = play.edit_to(play.state().workflow().clone());
        edit(&mut adopted);
        assert_eq!(play.adopt(&adopted).expect_err("refused"), code);
    };
    check(|_| (), |edit| edit.workflow.session = Some(SessionKind::Tmux), "session_changed");
    check(|_| (), |edit| drop(edit.workflow.tasks.remove(0)), "only_changed");
    let busy: Script = |play| play.start_work("a.1");
    check(busy, |edit| edit.workflow.tasks[0].workspace = WorkspaceKind::None, "workspace_changed");
}

#[test]
fn what_only_left_out_follows_the_new_needs() {
    let mut started = super::started(flow(vec![task("a"), task("b")]));
    started.only = vec!["a".to_owned()];
    let mut play = Play::with(started);
    play.complete("a.1");
    let edited = vec![task("a").needs(&["b"]), task("b"), task("n")];
    let told = play.outlook(flow(edited.clone()));
    assert_eq!(told, ["rerun a: its `needs` changed", "replan b: `--only` needs it now", "new n: "]);
    play.adopt_and_go_on(edited);
    assert_eq!((play.phase("a"), play.phase("b"), play.phase("n")), (T::Pending, T::Claimed, T::Skipped));
}

#[test]
fn a_launch_under_way_is_given_up_and_no_orphan_is_left() {
    let mut play = Play::new(flow(vec![task("a")]));
    play.adopt_and_go_on(vec![runs("a", "false")]);
    assert_eq!((play.phase("a"), play.owed()), (T::Ready, vec!["stop a.1".to_owned()]));
    play.see("a.1", Seen::Stopped { trouble: None });
    assert_eq!((play.worker_phase("a.1"), play.phase("a")), (W::StaleRegistry, T::Claimed));
    assert_eq!(play.owed(), ["provision a.2"]);
}

#[test]
fn a_new_digest_alone_keeps_every_task() {
    let play = ended();
    let all = reshape::plan(play.state(), &play.edit_to(flow(three())));
    assert!(all.iter().all(|one| one.fate == Fate::Keep && one.was == one.becomes));
}
