//! J4 and J5: the lines of `events --json` say all that `status` shows, and always the same.

use nix::sys::signal::Signal;
use rusqlite::Connection;
use serde_json::Value;

use super::other_fold::fold;
use crate::world::World;

const KINDS_OF_ENDS: &str = "limits: { workers: 3, grace: 1s }\n\
    tasks:\n\
    \x20 ok: { run: 'echo hello > out.txt', evidence: [ { exit: 0 }, { artifact: out.txt } ] }\n\
    \x20 again: { run: 'test $ILCHUL_ATTEMPT = 2', retries: 1 }\n\
    \x20 bad: { run: 'exit 3' }\n\
    \x20 after-bad: { run: 'true', needs: [bad] }\n\
    \x20 on-failure: { run: 'true', needs: [bad], when: failed }\n\
    \x20 unneeded: { run: 'true', needs: [ok], when: failed }\n\
    \x20 repaired: { run: 'test $ILCHUL_ATTEMPT = 1 || echo y > y', retries: 1, evidence: [ { exit: 0 }, { artifact: y } ] }\n\
    \x20 gone: { run: 'kill -9 $$' }\n\
    \x20 slow: { run: 'sleep 600', timeout: 1s }\n\
    \x20 plain: { run: 'true', workspace: none }\n\
    \x20 stale: { worker: [$FIXTURES/stale.sh], needs: [ok] }\n";

fn status(world: &World) -> Value {
    let ran = world.run(&["status", "--json"]).exits(0);
    serde_json::from_str::<Value>(&ran.stdout).unwrap()["data"].take()
}

/// The fold of the lines is what `status` shows, by names and fields alone.
#[track_caller]
fn check(world: &World) -> Value {
    let lines = world.run(&["events", "--json"]).exits(0).stdout;
    let status = status(world);
    let mut shown = status.clone();
    for worker in shown["workers"].as_array_mut().unwrap() {
        // The folder of a worker without a worktree follows from the home, not from events.
        if worker["branch"].is_null() {
            worker["tree"] = Value::Null;
        }
    }
    fold(&lines).agrees_with(&shown);
    status
}

#[test]
fn j4_events_alone_fold_to_what_status_shows_for_every_kind_of_end() {
    let world = World::with(KINDS_OF_ENDS);
    world.up().exits(3);
    let status = check(&world);
    let states: Vec<&str> =
        status["tasks"].as_array().unwrap().iter().map(|task| task["state"].as_str().unwrap()).collect();
    for state in ["completed", "failed", "skipped"] {
        assert!(states.contains(&state), "{states:?}");
    }
    world.run(&["release", "ok.1"]).exits(0);
    world.run(&["retry", "bad"]).exits(0);
    assert_eq!(check(&world)["run"]["state"], "interrupted");
    world.up().exits(3);
    assert_eq!(check(&world)["run"]["state"], "ended");
}

#[test]
fn j4_events_alone_fold_to_what_status_shows_after_kills_resumes_and_cancels() {
    let world = World::with(
        "tasks:\n\
         \x20 a: { run: 'until test -e $W/go; do sleep 0.02; done' }\n\
         \x20 b: { run: 'until test -e $W/never; do sleep 0.02; done' }\n\
         \x20 c: { run: 'true', needs: [a] }\n\
         \x20 d: { run: 'true', needs: [b] }\n",
    );
    let up = world.start_up();
    world.await_task("a", "in_progress");
    world.await_task("b", "in_progress");
    up.kill();
    assert_eq!(check(&world)["run"]["state"], "interrupted");
    let up = world.start_up();
    world.await_resumes(1);
    world.run(&["cancel", "b"]).exits(0);
    world.await_task("b", "cancelled");
    up.signal(Signal::SIGINT);
    up.wait().exits(4);
    check(&world);
    world.touch("go");
    world.up().exits(3);
    check(&world);
}

#[test]
fn j4_the_list_of_runs_is_a_fold_of_the_events() {
    let world = World::with("tasks: { a: { run: 'true' } }");
    world.up().exits(0);
    world.run(&["up", "--session", "subprocess", "--new"]).exits(0);
    let raw = Connection::open(world.home().journal()).unwrap();
    let rows = |query: &str| -> Vec<(String, String, i64)> {
        let mut select = raw.prepare(query).unwrap();
        let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
        rows.map(Result::unwrap).collect()
    };
    let kept = rows("SELECT id, path, first_seq FROM runs ORDER BY first_seq");
    let folded =
        "SELECT run, data ->> '$.run.started.path', seq FROM events WHERE kind = 'run.started' ORDER BY seq";
    assert_eq!((kept.len(), &kept), (2, &rows(folded)));
    let shown = world.run(&["runs", "--json"]).exits(0).stdout;
    raw.execute_batch(&format!("DELETE FROM runs; INSERT INTO runs (id, path, first_seq) {folded}")).unwrap();
    assert_eq!(world.run(&["runs", "--json"]).exits(0).stdout, shown);
}

#[test]
fn j5_a_replay_says_the_same_wherever_and_whenever_it_is_made() {
    let world = World::with(KINDS_OF_ENDS);
    world.up().exits(3);
    let say = |command: &str, zone: &str, language: &str| {
        let mut command = world.ilchul(&[command, "--json"]);
        command.env("TZ", zone).env("LANG", language).env("LC_ALL", language);
        command.output().unwrap().stdout
    };
    for command in ["status", "events", "workers"] {
        let first = say(command, "UTC", "C.UTF-8");
        assert!(first.len() > 1000);
        for (zone, language) in [("Asia/Seoul", "ko_KR.UTF-8"), ("America/St_Johns", "C"), ("nowhere", "xx")]
        {
            assert_eq!(say(command, zone, language), first, "`{command}` in {zone}, {language}");
        }
        let same = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| say(command, "UTC", "C"))).collect();
            threads.into_iter().all(|thread| thread.join().unwrap() == first)
        });
        assert!(same, "`{command}` beside others");
    }
}
