//! `up` on an edited workflow: the plan per task, and what `--adopt` makes of it.
//!
//! It leaves out which key means what, which the engine's own tests hold.

use std::fs;

use nix::sys::signal::Signal;

use super::world::{Ran, World, runs};

/// test, then fix, then ship; old beside them. Each notes that it ran.
const FLOW: &str = "tasks:
  test: { run: 'echo test >> $W/ledger' }
  fix: { run: 'echo fix >> $W/ledger', needs: [test] }
  ship: { run: 'echo ship >> $W/ledger', needs: [fix] }
  old: { run: 'echo old >> $W/ledger' }
";
/// The same with another fix, without old, with lint.
const EDITED: &str = "limits: { workers: 3 }
tasks:
  test: { run: 'echo test >> $W/ledger' }
  fix: { run: 'echo better >> $W/ledger', needs: [test] }
  ship: { run: 'echo ship >> $W/ledger', needs: [fix] }
  lint: { run: 'echo lint >> $W/ledger' }
";

/// Edits the file without committing it, so that the base stays.
fn edit(world: &World, text: &str) {
    let text = text.replace("$W", world.root().to_str().unwrap());
    fs::write(world.repo().join("ilchul.yaml"), format!("version: 1\nname: test\n{text}")).unwrap();
}

fn adopt(world: &World) -> Ran {
    world.run(&["up", "--session", "subprocess", "--adopt"])
}

/// Output with the run's id as RUN.
fn told(world: &World, text: &str) -> String {
    text.replace(&world.run_id().unwrap(), "RUN")
}

fn sorted(world: &World) -> Vec<String> {
    let mut lines = world.ledger();
    lines.sort();
    lines
}

fn copies(world: &World) -> Vec<String> {
    let names = fs::read_dir(world.home().run(&world.run_id().unwrap())).unwrap();
    let mut names: Vec<String> = names
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("workflow"))
        .collect();
    names.sort();
    names
}

#[test]
fn j10_an_edited_workflow_is_a_plan_that_says_per_task_what_would_rerun_and_why() {
    let world = World::with(FLOW);
    world.up().exits(0);
    let before = (world.events().len(), world.ledger());
    edit(&world, EDITED);
    let ran = world.up().exits(1);
    assert_eq!(ran.stdout, "");
    assert_eq!(
        told(&world, &ran.stderr),
        "What the edited file would mean for the run RUN:
  keep    test  completed
  rerun   fix   its `run` changed
  rerun   ship  needs `fix`, which reruns
  new     lint
  gone    old   completed; its worktree is kept
Settings of the run that change: `limits.workers`.
error: failed to go on with the run `RUN`: it has ended, and the file has changed since: 2 tasks would rerun, 1 is new, 1 is gone.
hint: Run `ilchul up --adopt` to go on with the run so, `ilchul up --new` to start another, or put the file back.
"
    );
    assert_eq!((world.events().len(), world.ledger()), before, "nothing was started or written");
    assert_eq!(copies(&world), ["workflow.yaml"]);
}

#[test]
fn the_plan_is_data_for_scripts() {
    let world = World::with(FLOW);
    world.up().exits(0);
    edit(&world, EDITED);
    let ran = world.run(&["up", "--session", "subprocess", "--json"]).exits(1);
    let said: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let details = &said["error"]["details"];
    assert_eq!(said["error"]["code"], "workflow_changed");
    assert_eq!(details["settings"], serde_json::json!(["limits.workers"]));
    let tasks: Vec<String> = details["tasks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|task| {
            let same = task["was"] == task["becomes"];
            format!("{} {} {} {same}", task["id"], task["plan"], task["reason"]).replace('"', "")
        })
        .collect();
    assert_eq!(
        tasks,
        [
            "test keep completed true",
            "fix rerun its `run` changed false",
            "ship rerun needs `fix`, which reruns true",
            "lint new  false",
            "old gone completed; its worktree is kept false",
        ]
    );
    assert_eq!(details["tasks"][0]["was"].as_str().unwrap().len(), 12);
    let planned = world.run(&["plan", "--json"]).exits(0);
    let planned: serde_json::Value = serde_json::from_str(&planned.stdout).unwrap();
    assert_eq!(&planned["data"]["adoption"], details, "`plan` says the same");
}

#[test]
fn plan_shows_what_an_edit_would_mean_and_touches_nothing() {
    let world = World::with(FLOW);
    assert!(world.run(&["plan"]).exits(0).stdout.ends_with("Run `ilchul up` to start it.\n"));
    assert!(!world.home().root().exists());
    world.up().exits(0);
    let before = world.events().len();
    edit(&world, EDITED);
    let ran = world.run(&["plan"]).exits(0);
    let said = told(&world, &ran.stdout);
    assert!(
        said.contains(
            "\nWhat the edited file would mean for the run RUN:\n  keep    test  completed\n  rerun   fix   its `run` changed\n"
        ),
        "{said}"
    );
    assert!(
        said.ends_with(
            "\nNothing was started. Run `ilchul up --adopt` to go on with that run so, or `ilchul up --new` to start another.\n"
        ),
        "{said}"
    );
    assert_eq!((world.events().len(), copies(&world)), (before, vec!["workflow.yaml".to_owned()]));
}

#[test]
fn adopt_reruns_what_changed_keeps_the_rest_and_deletes_nothing() {
    let world = World::with(FLOW);
    world.up().exits(0);
    let first = fs::read(world.home().workflow(&world.run_id().unwrap())).unwrap();
    edit(&world, EDITED);
    let ran = adopt(&world).exits(0);
    let said = told(&world, &ran.stderr);
    let begins = "The run RUN adopts the edited file:
  keep    test  completed
  rerun   fix   its `run` changed
  rerun   ship  needs `fix`, which reruns
  new     lint
  gone    old   completed; its worktree is kept
Settings of the run that change: `limits.workers`.
Going on with the run RUN: 2 of 5 tasks have ended.
";
    assert!(said.starts_with(begins), "{said}");
    assert_eq!(sorted(&world), ["better", "fix", "lint", "old", "ship", "ship", "test"]);
    for worker in ["test.1", "fix.1", "fix.2", "ship.1", "ship.2", "lint.1", "old.1"] {
        assert!(world.tree(worker).is_dir(), "{worker}");
    }
    let run = world.run_id().unwrap();
    assert_eq!(copies(&world), ["workflow-2.yaml", "workflow.yaml"]);
    assert_eq!(fs::read(world.home().workflow(&run)).unwrap(), first, "the first is never replaced");
    let copy = fs::read(world.home().run(&run).join("workflow-2.yaml")).unwrap();
    assert_eq!(copy, fs::read(world.repo().join("ilchul.yaml")).unwrap());
    let state = world.state();
    assert_eq!(state.started.workers, 3);
    let again = world.up().exits(0);
    assert!(again.stderr.contains("has ended; nothing was started"), "{}", again.stderr);
    assert_eq!(world.ledger().len(), 7);
}

#[test]
fn an_adoption_is_told_in_words_wherever_a_run_is_looked_at() {
    let world = World::with("tasks: { a: { run: 'true' }, b: { run: 'exit 1' } }");
    world.up().exits(3);
    edit(&world, "tasks: { a: { run: 'test -d .' } }");
    adopt(&world).exits(0);
    let events = world.run(&["events"]).exits(0).stdout;
    let lines: Vec<&str> =
        events.lines().filter_map(|line| line.split_once("Z  ")).map(|(_, said)| said).collect();
    let at = lines.iter().position(|line| line.starts_with("run.adopted")).unwrap();
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(words(lines[at]), "run.adopted - the edited workflow, now of 1 task, kept as workflow-2.yaml");
    assert_eq!(words(lines[at + 1]), "task.pending a planned again: its `run` changed");
    let json = world.run(&["events", "--json"]).exits(0).stdout;
    let find = |kind: &str| {
        let rows = json.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        rows.rev().find(|row| row["kind"] == kind).unwrap()
    };
    assert_eq!(find("run.adopted")["copy"], "workflow-2.yaml");
    assert_eq!(find("task.pending")["reason"], "replanned: its `run` changed");
    let why = world.run(&["why", "b"]).exits(0).stdout;
    assert!(why.contains("Removed: the workflow no longer has it; before: refuted: exit"), "{why}");
    assert!(why.ends_with("Next: ilchul status\n"), "a retry isn't offered: {why}");
    let refused = world.run(&["retry", "b"]).exits(1);
    assert!(refused.stderr.contains("the workflow no longer has `b`"), "{}", refused.stderr);
    let runs = world.run(&["runs"]).exits(0).stdout;
    assert!(runs.contains("ended"), "{runs}");
}

/// a runs until it is let go, b is done.
const BUSY: &str = "tasks:
  a: { run: 'echo a >> $W/ledger; until test -e $W/go; do sleep 0.02; done' }
  b: { run: 'echo b >> $W/ledger' }
";

#[test]
fn after_ctrl_c_a_running_task_that_changed_is_ended_and_reruns_in_a_tree_of_its_own() {
    let world = World::with(BUSY);
    let up = world.start_up();
    world.await_task("a", "in_progress");
    world.await_task("b", "completed");
    let (shim, child) = (world.shim("a.1"), world.child("a.1"));
    up.signal(Signal::SIGINT);
    up.wait().exits(4);
    edit(&world, "tasks:\n  a: { run: 'echo new >> $W/ledger' }\n  b: { run: 'echo b >> $W/ledger' }\n");
    let refused = world.up().exits(1);
    let said = told(&world, &refused.stderr);
    assert!(
        said.starts_with(
            "What the edited file would mean for the run RUN:\n  rerun   a  its `run` changed; `a.1` is ended first\n  keep    b  completed\nerror: failed to go on with the run `RUN`: the file has changed since: 1 task would rerun.\n"
        ),
        "{said}"
    );
    assert!(runs(shim) && runs(child), "a refusal ends nobody");
    adopt(&world).exits(0);
    assert!(!runs(shim) && !runs(child));
    assert_eq!(sorted(&world), ["a", "b", "new"]);
    assert_eq!(world.told("a"), "completed");
    let state = world.state();
    assert_eq!(state.tasks[0].attempt, 2);
    assert!(state.workers["a.1"].captured.is_some(), "what it had is kept");
    assert!(world.tree("a.1").is_dir() && world.tree("a.2").is_dir());
}

#[test]
fn a_running_task_that_did_not_change_is_adopted_undisturbed() {
    let world = World::with(BUSY);
    let up = world.start_up();
    world.await_task("a", "in_progress");
    world.await_task("b", "completed");
    let child = world.child("a.1");
    up.kill();
    edit(&world, &BUSY.replace("echo b ", "echo c "));
    let up = world.start(&["up", "--session", "subprocess", "--adopt"]);
    world.await_task("b", "completed");
    assert!(runs(child));
    world.touch("go");
    up.wait().exits(0);
    assert_eq!(sorted(&world), ["a", "b", "c"]);
    assert_eq!(world.state().tasks[0].attempt, 1);
}

#[test]
fn law_1_killed_right_after_the_adoption_the_next_up_goes_on_with_it() {
    let world = World::with(BUSY);
    let up = world.start_up();
    world.await_task("a", "in_progress");
    world.await_task("b", "completed");
    let child = world.child("a.1");
    up.kill();
    edit(&world, "tasks:\n  a: { run: 'echo new >> $W/ledger' }\n  b: { run: 'echo b >> $W/ledger' }\n");
    let up = world.start(&["up", "--session", "subprocess", "--adopt"]);
    super::world::wait_until("the adoption", || {
        world.events().iter().any(|event| event.kind() == "run.adopted")
    });
    up.kill();
    let ran = world.up().exits(0);
    assert!(!ran.stderr.contains("edited"), "{}", ran.stderr);
    assert!(!runs(child));
    assert_eq!(world.told("a"), "completed");
    let new = world.ledger().iter().filter(|line| *line == "new").count();
    assert_eq!((new, sorted(&world)[..2].to_vec()), (1, vec!["a".to_owned(), "b".to_owned()]));
    let adopted = world.events().iter().filter(|event| event.kind() == "run.adopted").count();
    assert_eq!(adopted, 1, "it is decided once");
}

#[test]
fn adopt_with_new_is_usage_and_without_a_change_it_says_so() {
    let world = World::with("tasks: { a: { run: 'true' } }");
    world.run(&["up", "--adopt", "--new"]).exits(2);
    assert!(!world.home().root().exists());
    adopt(&world).exits(0);
    let ran = adopt(&world).exits(0);
    assert!(
        ran.stderr.starts_with("There is nothing to adopt: the file is the one that the run has.\n"),
        "{}",
        ran.stderr
    );
    assert_eq!(copies(&world), ["workflow.yaml"]);
}

#[test]
fn retry_reopens_an_ended_run_and_an_edited_file_still_needs_adopt() {
    let world = World::with("tasks: { a: { run: 'echo x >> $W/ledger; test -e $W/go' } }");
    world.up().exits(3);
    world.run(&["retry", "a"]).exits(0);
    world.touch("go");
    edit(&world, "tasks: { a: { run: 'echo x >> $W/ledger; test -e $W/go' } } # a note");
    let ran = world.up().exits(1);
    assert!(ran.stderr.contains("the file has changed since: no task would rerun."), "{}", ran.stderr);
    assert_eq!(world.ledger().len(), 1);
    adopt(&world).exits(0);
    assert_eq!(world.ledger(), ["x", "x"]);
}

#[test]
fn a_base_that_moved_with_the_edit_is_named_and_stays() {
    let world = World::with("tasks: { a: { run: 'true' } }");
    world.up().exits(0);
    let base = world.state().started.base;
    world.workflow("tasks: { a: { run: 'true' }, b: { run: 'true' } }");
    let moved = world.git(&["rev-parse", "HEAD"]);
    let ran = world.up().exits(1);
    let line = format!(
        "The base `HEAD` has moved to {}; this run stays at {}, another one would not.\n",
        &moved[..12],
        &base[..12]
    );
    assert!(ran.stderr.contains(&line), "{}", ran.stderr);
    adopt(&world).exits(0);
    assert_eq!(world.state().workers["b.1"].start, base);
}

#[test]
fn a_base_that_is_written_anew_reruns_what_starts_there() {
    let world =
        World::with("tasks: { a: { run: 'true' }, b: { run: 'true', needs: [a], base: { task: a } } }");
    world.up().exits(0);
    world.git(&["branch", "next"]);
    world.workflow(
        "base: HEAD\ntasks: { a: { run: 'true' }, b: { run: 'true', needs: [a], base: { task: a } } }",
    );
    let same = world.up().exits(1);
    assert!(same.stderr.contains("no task would rerun"), "`HEAD` is the default: {}", same.stderr);
    world.workflow(
        "base: main\ntasks: { a: { run: 'true' }, b: { run: 'true', needs: [a], base: { task: a } } }",
    );
    let ran = adopt(&world).exits(0);
    assert!(
        ran.stderr.contains("  rerun   a  its `base` changed\n  rerun   b  needs `a`, which reruns\n"),
        "{}",
        ran.stderr
    );
    assert_eq!(world.state().workers["a.2"].start, world.git(&["rev-parse", "main"]).trim());
}

#[test]
fn what_another_run_is_needed_for_is_refused_and_changes_nothing() {
    let world = World::with("tasks: { a: { run: 'true' }, b: { run: 'true' } }");
    world.run(&["up", "--session", "subprocess", "--only", "a"]).exits(0);
    let before = world.events().len();
    let only = world.run(&["up", "--session", "subprocess", "--only", "b"]).exits(1);
    assert!(only.stderr.contains("it was started with other tasks in `--only`"), "{}", only.stderr);
    edit(&world, "defaults: { session: tmux }\ntasks: { a: { run: 'true' }, b: { run: 'true' } }");
    let ran = adopt(&world).exits(1);
    assert!(ran.stderr.contains("its `session` is now `tmux`"), "{}", ran.stderr);
    assert!(ran.stderr.contains("`ilchul up --new`"), "{}", ran.stderr);
    assert_eq!((world.events().len(), copies(&world)), (before, vec!["workflow.yaml".to_owned()]));
}
