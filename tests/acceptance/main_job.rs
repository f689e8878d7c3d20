//! The main job: parallel tasks, each in its own worktree and session, completed on evidence.
//!
//! The same workflow on plain processes and in tmux. It leaves out everything that goes wrong.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::world::{World, wait_until};
use ilchul::engine::evidence::Verdict;

const BOTH: [&str; 2] = ["subprocess", "tmux"];

/// A task's id, its phase, and its evidence by kind.
type Outcome = (String, String, Vec<(String, Verdict)>);

/// What a run came to, without what differs between two runs.
fn outcome(world: &World) -> Vec<Outcome> {
    let state = world.state();
    let tasks = state.tasks.iter().zip(&state.workflow().tasks);
    let evidence = |task: &ilchul::engine::state::TaskState| {
        task.evidence.iter().map(|checked| (checked.kind.clone(), checked.verdict)).collect()
    };
    tasks.map(|(task, planned)| (planned.id.clone(), task.phase.to_string(), evidence(task))).collect()
}

fn fixture(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/workflows/valid").join(name);
    let text = fs::read_to_string(path).unwrap();
    text.lines()
        .filter(|line| !line.starts_with("version:") && !line.starts_with("name:"))
        .map(|line| format!("{line}\n"))
        .collect()
}

#[test]
fn the_parallel_workflow_completes_alike_on_plain_processes_and_in_tmux() {
    let outcomes = BOTH.map(|session| {
        let world = World::with(&fixture("parallel.yaml"));
        let ran = world.run(&["up", "--session", session]).exits(0);
        assert!(ran.stdout.contains("4 completed"), "{}", ran.stdout);
        outcome(&world)
    });
    assert_eq!(outcomes[0], outcomes[1]);
    assert_eq!(outcomes[0].len(), 4);
    for (task, phase, evidence) in &outcomes[0] {
        assert_eq!(phase, "completed", "{task}");
        assert_eq!(evidence[..], [("exit".to_owned(), Verdict::Verified)], "{task}");
    }
}

#[test]
fn independent_tasks_really_run_at_the_same_time() {
    for session in BOTH {
        let world = World::with(
            "tasks:\n\
             \x20 left: { run: 'touch $W/left; until test -e $W/right; do sleep 0.02; done' }\n\
             \x20 right: { run: 'touch $W/right; until test -e $W/left; do sleep 0.02; done' }\n",
        );
        world.run(&["up", "--session", session]).exits(0);
    }
}

#[test]
fn each_task_works_in_its_own_locked_worktree_on_its_own_branch() {
    let world = World::with(
        "tasks:\n\
         \x20 a: { run: 'pwd > where; echo a > file', evidence: [ { artifact: where } ] }\n\
         \x20 b: { run: 'pwd > where; echo b > file', evidence: [ { artifact: where } ] }\n",
    );
    world.up().exits(0);
    let run = world.run_id().unwrap();
    let list = world.git(&["worktree", "list", "--porcelain"]);
    let state = world.state();
    for (id, text) in [("a.1", "a\n"), ("b.1", "b\n")] {
        let tree = world.tree(id);
        assert_eq!(fs::read_to_string(tree.join("where")).unwrap().trim(), tree.to_str().unwrap());
        assert_eq!(fs::read_to_string(tree.join("file")).unwrap(), text);
        // git's own list, the disk and the journal agree.
        let entry = list.split("\n\n").find(|entry| entry.contains(tree.to_str().unwrap())).unwrap();
        assert!(entry.contains(&format!("branch refs/heads/ilchul/{run}/{id}")), "{entry}");
        assert!(entry.contains("\nlocked ilchul"), "{entry}");
        let place = state.workers[id].workspace.as_ref().unwrap();
        assert_eq!(place.kind, "worktree");
        assert!(
            place.id == tree.to_str().unwrap()
                || place.fields.iter().any(|(_, field)| *field == tree.to_str().unwrap())
        );
    }
    assert_eq!(list.matches("worktree ").count(), 3, "{list}");
    assert_eq!(world.git(&["status", "--porcelain"]), "", "the main checkout is untouched");
}

#[test]
fn what_a_task_leaves_uncommitted_is_kept_under_a_reference_of_the_run() {
    let world = World::with("tasks: { a: { run: 'echo new > new.txt; echo two >> src/lib.txt' } }");
    world.up().exits(0);
    let reference = format!("refs/ilchul/{}/a.1", world.run_id().unwrap());
    assert_eq!(world.git(&["show", &format!("{reference}:new.txt")]), "new\n");
    assert_eq!(world.git(&["show", &format!("{reference}:src/lib.txt")]), "one\ntwo\n");
    assert!(!world.repo().join("new.txt").exists());
}

#[test]
fn each_worker_has_a_window_of_its_own_in_the_runs_session_and_the_journal_names_it() {
    let world = World::with(
        "tasks:\n\
         \x20 a: { run: 'until test -e $W/go; do sleep 0.02; done' }\n\
         \x20 b: { run: 'until test -e $W/go; do sleep 0.02; done' }\n",
    );
    let up = world.start(&["up", "--session", "tmux"]);
    world.await_task("a", "in_progress");
    world.await_task("b", "in_progress");
    // They may be at work before the journal says where.
    world.shim("a.1");
    world.shim("b.1");
    let format = "#{session_name} #{window_name} #{pane_id} #{pane_dead}";
    let listed = world.tmux(&["list-panes", "-a", "-F", format]).exits(0).stdout;
    let state = world.state();
    let session = format!("ilchul-repo-{}", world.run_id().unwrap());
    let found: BTreeMap<&str, &str> = listed
        .lines()
        .map(|line| {
            let parts: Vec<&str> = line.split(' ').collect();
            assert_eq!((parts[0], parts[3]), (session.as_str(), "0"), "{line}");
            (parts[1], parts[2])
        })
        .collect();
    assert_eq!(found.keys().copied().collect::<Vec<_>>(), ["a.1", "b.1"], "{listed}");
    for (id, pane) in found {
        assert_eq!(state.workers[id].session.as_ref().unwrap().id, pane);
    }
    world.touch("go");
    up.wait().exits(0);
    // Retained: the dead panes stay, with what was on them.
    let listed = world.tmux(&["list-panes", "-a", "-F", format]).exits(0).stdout;
    assert_eq!(listed.lines().filter(|line| line.ends_with(" 1")).count(), 2, "{listed}");
}

#[test]
fn l15_without_tmux_plain_processes_work_and_a_named_tmux_is_refused_with_nothing_made() {
    let world = World::with("tasks: { a: { run: 'true' } }").without_tmux();
    let refused = world.run(&["up", "--session", "tmux"]).exits(1);
    assert!(refused.stderr.contains("tmux"), "{}", refused.stderr);
    assert!(refused.stderr.contains("hint: "), "{}", refused.stderr);
    assert_eq!(world.run_id(), None);
    assert_eq!(world.git(&["worktree", "list"]).lines().count(), 1);
    world.up().exits(0);
    assert_eq!(world.phases(), [("a".to_owned(), "completed".to_owned())]);
}

#[test]
fn without_a_terminal_and_without_a_name_plain_processes_are_taken_and_it_is_said_why() {
    let world = World::with("tasks: { a: { run: 'true' } }");
    let ran = world.run(&["up"]).exits(0);
    assert!(ran.stderr.contains("plain processes"), "{}", ran.stderr);
    assert_eq!(world.state().started.session.word(), "subprocess");
}

#[test]
fn a_workers_environment_holds_the_contract_and_none_of_ours() {
    let world = World::with(
        "defaults: { env: { CHOSEN: chosen, PASSED: null } }\n\
         tasks: { a: { run: 'env > env.txt', evidence: [ { artifact: env.txt } ] } }",
    );
    let mut command = world.ilchul(&["up", "--session", "subprocess"]);
    command
        .env("SECRET", "canary")
        .env("GIT_DIR", "/nonexistent")
        .env_remove("GIT_DIR")
        .env("PASSED", "passed");
    assert_eq!(command.output().unwrap().status.code(), Some(0));
    let env = fs::read_to_string(world.tree("a.1").join("env.txt")).unwrap();
    let has = |line: &str| env.lines().any(|found| found.starts_with(line));
    for name in [
        "ILCHUL_RUN=",
        "ILCHUL_TASK=a",
        "ILCHUL_ATTEMPT=1",
        "ILCHUL_WORKER=a.1",
        "ILCHUL_MAIL=",
        "ILCHUL_TREE=",
        "ILCHUL_BASE=",
        "ILCHUL_INPUTS=",
        "ILCHUL_PORT_BASE=",
        "CHOSEN=chosen",
        "PASSED=passed",
        "HOME=",
    ] {
        assert!(has(name), "{name} isn't in\n{env}");
    }
    for name in ["SECRET=", "GIT_", "TMUX"] {
        assert!(!has(name), "{name} is in\n{env}");
    }
}

#[test]
fn dependents_read_what_their_needs_handed_on() {
    let world = World::with(
        "tasks:\n\
         \x20 a: { run: 'true' }\n\
         \x20 b: { run: 'cat \"$ILCHUL_INPUTS\" > got.json', needs: [a], evidence: [ { artifact: got.json } ] }\n",
    );
    world.up().exits(0);
    let got: serde_json::Value =
        serde_json::from_slice(&fs::read(world.tree("b.1").join("got.json")).unwrap()).unwrap();
    assert_eq!(got["needs"]["a"]["status"], "completed");
    assert_eq!(got["needs"]["a"]["evidence"][0]["verdict"], "verified");
}

#[test]
fn the_output_of_a_worker_is_captured_whole() {
    for session in BOTH {
        let world =
            World::with("tasks: { a: { run: 'for i in 1 2 3; do echo line $i; done; echo to stderr >&2' } }");
        world.run(&["up", "--session", session]).exits(0);
        let log = world.home().log(&world.run_id().unwrap(), "a.1");
        let whole =
            |text: &str| ["line 1", "line 2", "line 3", "to stderr"].iter().all(|line| text.contains(line));
        wait_until("the log", || whole(&fs::read_to_string(&log).unwrap_or_default()));
    }
}
