//! The whole run that the proofs are made of: every command, five crashes, every kind of end.
//!
//! It asserts only as much as shows that all of it happened. It leaves out watching and judging.

use std::fs;

use super::stage::Stage;
use super::world::World;

/// What a worker of the run leaves: a commit, a changed file, an untracked and an ignored one.
const LEAVES: &str = "echo more >> src/lib.txt; \
    git -c user.name=w -c user.email=w@localhost commit -q -a -m more; \
    echo later >> README; echo u > untracked.txt; mkdir deep; echo d > deep/er.txt; \
    echo noise > noise.log; echo gone > gone.txt; rm gone.txt; mv deep/er.txt deep/est.txt";

/// The first workflow.
fn first() -> String {
    format!(
        "heartbeat: {{ every: 200ms, unhealthy_after: 3s, lost_after: 30s }}\n\
         limits: {{ grace: 1s, workers: 4 }}\n\
         tasks:\n\
         \x20 tidy: {{ run: 'true' }}\n\
         \x20 made: {{ run: '{LEAVES}', evidence: [ {{ exit: 0 }}, {{ artifact: untracked.txt }}, {{ command: 'test -e untracked.txt' }}, {{ diff: {{ paths: ['**'] }} }} ] }}\n\
         \x20 mended: {{ run: 'test $ILCHUL_ATTEMPT = 1 || touch fixed.txt; touch tried.$ILCHUL_ATTEMPT', retries: 1, evidence: [ {{ command: 'test -e fixed.txt' }} ] }}\n\
         \x20 after: {{ needs: [made], base: {{ task: made }}, run: 'echo after >> README' }}\n\
         \x20 failing: {{ run: 'rm README; echo left > left.txt; exit 1', retries: 1 }}\n\
         \x20 slow: {{ run: 'trap \"\" TERM; echo slow > slow.txt; while :; do sleep 0.1; done', timeout: 1s }}\n\
         \x20 bare: {{ run: 'echo bare > bare.txt', workspace: none }}\n\
         \x20 asked: {{ run: 'echo a > asked.txt', evidence: [ {{ exit: 0 }}, {{ approval: {{ message: good? }} }} ] }}\n\
         \x20 said: {{ run: 'echo s > said.txt', evidence: [ {{ exit: 0 }}, {{ approval: {{ message: good? }} }} ] }}\n\
         \x20 unwanted: {{ run: 'echo u > u.txt; until test -e $W/never; do sleep 0.05; done' }}\n\
         \x20 long: {{ run: 'echo l > long.txt; until test -e $W/go; do sleep 0.05; done' }}\n"
    )
}

/// The second one: a worker that falls silent.
const SECOND: &str = "heartbeat: { every: 200ms, unhealthy_after: 1s, lost_after: 2s }\n\
    limits: { grace: 1s, workers: 1 }\n\
    tasks:\n\
    \x20 silent: { run: 'echo $ILCHUL_ATTEMPT > silent.txt; test $ILCHUL_ATTEMPT = 2 || until test -e $W/never; do sleep 0.05; done' }\n";

/// A world in which nothing of it has happened yet.
pub fn world() -> World {
    let world = World::with(&first());
    fs::write(world.repo().join("mine.txt"), "not committed\n").unwrap();
    fs::write(world.repo().join(".git/info/exclude"), "*.log\n").unwrap();
    fs::write(world.repo().join("mine.log"), "ignored\n").unwrap();
    world
}

/// Plays it to its end.
#[track_caller]
pub fn play(stage: &Stage, session: &str) {
    let up = ["up", "--session", session];
    work_and_crash(stage, &up);
    read_everything(stage);
    act_and_crash(stage, &up);
    close(stage);
    stop_and_go_on(stage, &up);
    edit(stage, &up);
    fall_silent(stage);
}

fn work_and_crash(stage: &Stage, up: &[&str]) {
    let world = &stage.world;
    let first = stage.start(up);
    world.await_task("tidy", "completed");
    world.await_worker("tidy.1", "completed-retained");
    world.await_task("made", "completed");
    first.kill();
    let second = stage.start(up);
    world.await_resumes(1);
    for (task, phase) in [("mended", "completed"), ("after", "completed"), ("asked", "verifying")] {
        world.await_task(task, phase);
    }
    for (task, phase) in [("failing", "failed"), ("slow", "failed"), ("said", "verifying")] {
        world.await_task(task, phase);
    }
    second.kill();
}

fn read_everything(stage: &Stage) {
    let out = stage.world.root().join("exported");
    for args in [
        &["status"][..],
        &["status", "--json"],
        &["workers"],
        &["workers", "--close"],
        &["why", "failing"],
        &["events", "--json"],
        &["runs"],
        &["plan"],
        &["validate"],
        &["logs", "made"],
        &["evidence", "made"],
        &["evidence", "made", "--recheck"],
        &["evidence", "--export", out.to_str().unwrap()],
        &["schema", "workflow"],
    ] {
        stage.exits(0, args);
    }
    // What this machine lacks, and that there is a workflow, are answers too.
    stage.run(&["doctor"]);
    stage.exits(1, &["init"]);
    stage.run(&["wait", "made", "--timeout", "1s"]);
}

fn act_and_crash(stage: &Stage, up: &[&str]) {
    let world = &stage.world;
    // Nobody supervises: each takes the lock and decides.
    stage.exits(0, &["retry", "failing"]);
    stage.exits(0, &["approve", "asked"]);
    let third = stage.start(up);
    world.await_resumes(2);
    world.await_task("unwanted", "in_progress");
    world.await_task("long", "in_progress");
    world.await_task("failing", "failed");
    stage.exits(0, &["cancel", "unwanted"]);
    stage.exits(0, &["deny", "said", "--reason", "no"]);
    world.await_task("unwanted", "cancelled");
    third.kill();
    stage.exits(0, &["workers", "--close", "--json"]);
}

fn close(stage: &Stage) {
    // Its ignored file is in no commit.
    stage.exits(1, &["release", "made.1"]);
    for worker in ["tidy.1", "mended.2", "failing.1", "bare.1"] {
        stage.run(&["release", worker]);
    }
    stage.exits(0, &["retain", "tidy.1"]);
    stage.exits(0, &["release", "tidy.1"]);
    stage.exits(0, &["cleanup", "--safe"]);
    assert_eq!(stage.world.state().workers["tidy.1"].phase.word(), "cleanup-released");
}

fn stop_and_go_on(stage: &Stage, up: &[&str]) {
    let world = &stage.world;
    // It adopts what lives and ends it.
    stage.exits(0, &["down"]);
    let fourth = stage.start(up);
    world.await_task("long", "in_progress");
    stage.exits(0, &["down"]);
    fourth.wait();
    let fifth = stage.start(up);
    world.await_task("long", "in_progress");
    fifth.kill();
    stage.exits(0, &["down", "--force"]);
    world.touch("go");
    stage.exits(3, up);
    stage.exits(3, up);
    let kinds: Vec<String> = world.events().iter().map(ilchul::engine::event::Event::kind).collect();
    for kind in ["evidence.refuted", "worker.safe-to-close", "worker.stopping", "worker.cleanup-released"] {
        assert!(kinds.iter().any(|one| one == kind), "no {kind}: {kinds:?}");
    }
}

/// The file changes: adopted, and then begun anew beside all that the first run left.
fn edit(stage: &Stage, up: &[&str]) {
    let world = &stage.world;
    world.workflow(&first().replace("exit 1", "until test -e $W/again; do sleep 0.05; done"));
    stage.note();
    stage.exits(1, up);
    stage.exits(0, &["plan"]);
    let adopting = stage.start(&[up, &["--adopt"]].concat());
    world.await_task("failing", "in_progress");
    adopting.kill();
    world.touch("again");
    stage.exits(3, up);
}

/// On plain processes, because tmux wakes whoever is stopped in a pane of its.
fn fall_silent(stage: &Stage) {
    let up = ["up", "--session", "subprocess"];
    let world = &stage.world;
    world.workflow(SECOND);
    stage.note();
    let sixth = stage.start(&[&up[..], &["--new", "--unattended"]].concat());
    world.await_task("silent", "in_progress");
    super::world::signal(world.shim("silent.1"), nix::sys::signal::Signal::SIGSTOP);
    // Only a person can go on now.
    sixth.wait().exits(4);
    stage.exits(0, &["decide", "silent", "rerun"]);
    stage.exits(0, &up);
    stage.exits(0, &["runs"]);
}
