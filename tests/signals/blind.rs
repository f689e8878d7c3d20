//! Workers that stop, die, leave something behind, or whose files have the wrong age.

use std::fs::{self, File, FileTimes};
use std::time::{Duration, SystemTime};

use ilchul::engine::event::{Event, PlainMove, ReportStep, WorkerStep};
use nix::sys::signal::Signal;

use super::in_time::in_time;
use super::timed;
use super::world::{World, runs, signal, wait_for, wait_until};

/// A world in which silence tells soon. A worker that is alive has to beat that often on a busy
/// machine too, wherever something follows from its silence.
fn short(policy: &str, patience: &str, tasks: &str) -> World {
    World::with(&format!(
        "heartbeat: {{ every: 100ms, unhealthy_after: {patience}, lost_after: {patience}, on_lost: {policy} }}\n\
         limits: {{ grace: 1s, workers: 2 }}\n{tasks}"
    ))
}

/// Waits until the run's own clock, which the supervisor's looks move, has gone on by `span`.
fn pass(span: Duration) {
    let until = std::time::Instant::now() + span;
    wait_until("time to pass", || std::time::Instant::now() > until);
}

#[test]
fn l10_a_stopped_worker_is_waited_for_and_taken_back_on_its_next_beat() {
    let world = short(
        "ask",
        "1s",
        "tasks: { a: { run: 'echo x >> $W/ledger; until test -e $W/go; do sleep 0.02; done' } }",
    );
    let up = world.start_up();
    world.await_task("a", "in_progress");
    let (shim, child) = (world.shim("a.1"), world.child("a.1"));
    signal(shim, Signal::SIGSTOP);
    wait_until("the loss", || world.state().workers["a.1"].expired);
    // Three times `lost_after` in all.
    pass(Duration::from_secs(2));
    let state = world.state();
    assert!(state.workers["a.1"].token_live && runs(shim) && runs(child));
    assert_eq!((world.told("a").as_str(), state.workers.len()), ("in_progress", 1));
    signal(shim, Signal::SIGCONT);
    world.await_worker("a.1", "busy");
    world.touch("go");
    let ran = up.wait().exits(0);
    assert!(ran.stderr.contains("a.1  is heard of again"), "{}", ran.stderr);
    assert_eq!(world.ledger(), ["x"]);
}

#[test]
fn l7_a_lost_worker_has_one_successor_elsewhere_and_its_late_report_is_kept_and_shown() {
    let world = short(
        "retry",
        "4s",
        "tasks: { a: { retries: 3, run: 'pwd >> $W/ledger; until test -e $W/go$ILCHUL_ATTEMPT; do sleep 0.02; done' } }",
    );
    let up = world.start_up();
    world.await_task("a", "in_progress");
    wait_until("the body", || world.ledger().len() == 1);
    let (shim, child) = (world.shim("a.1"), world.child("a.1"));
    signal(shim, Signal::SIGSTOP);
    wait_until("the successor", || world.ledger().len() == 2);
    pass(Duration::from_secs(2));
    assert!(runs(shim) && runs(child), "nobody is ended for silence");
    assert_eq!(world.ledger().len(), 2, "one successor");
    assert_ne!(world.ledger()[0], world.ledger()[1], "in a tree of its own");
    world.touch("go1");
    signal(shim, Signal::SIGCONT);
    let late = || {
        world.events().into_iter().find_map(|event| match event {
            Event::Report(event) if event.worker == "a.1" => match event.step {
                ReportStep::Refused { code, .. } => Some(code),
                ReportStep::Accepted { .. } => Some("accepted".to_owned()),
            },
            _ => None,
        })
    };
    assert_eq!(wait_for("the late report", late), "late");
    assert_eq!(world.told("a"), "in_progress");
    assert!(world.mail("a.1").join("report.json").exists());
    world.touch("go2");
    let ran = up.wait().exits(0);
    assert!(ran.stderr.contains("a.1  report refused: late"), "{}", ran.stderr);
    assert_eq!(world.state().tasks[0].attempt, 2);
}

#[test]
fn a_killed_shim_is_known_dead_within_two_seconds_and_all_its_files_are_kept() {
    for session in ["subprocess", "tmux"] {
        in_time(Duration::from_secs(2), || killed_shim(session));
    }
}

/// One run whose only shim is killed; how long it took until that was journaled.
fn killed_shim(session: &str) -> Duration {
    let world = World::with(
        "tasks: { a: { run: 'echo kept > kept.txt; echo printed; echo x >> $W/ledger; exec sleep 600' } }",
    );
    let up = world.start(&["up", "--session", session]);
    world.await_task("a", "in_progress");
    wait_until("the body", || !world.ledger().is_empty());
    let (shim, child) = (world.shim("a.1"), world.child("a.1"));
    let ((), took) = timed(|| {
        signal(shim, Signal::SIGKILL);
        wait_until("its death", || {
            world.events().iter().any(|event| event.kind() == "worker.stale-registry")
        });
    });
    up.wait().exits(3);
    assert!(!runs(child), "{session}");
    assert_eq!(fs::read_to_string(world.tree("a.1").join("kept.txt")).unwrap(), "kept\n");
    let log = world.home().log(&world.run_id().unwrap(), "a.1");
    assert!(fs::read_to_string(log).unwrap().contains("printed"), "{session}");
    assert!(world.mail("a.1").join("assignment.json").exists());
    let reference = format!("refs/ilchul/{}/a.1", world.run_id().unwrap());
    assert_eq!(world.git(&["show", &format!("{reference}:kept.txt")]), "kept\n", "{session}");
    took
}

#[test]
fn l7_what_a_dead_worker_left_running_is_named_and_changes_nothing() {
    // It left group and session, and its parent is gone by the time that its shim dies.
    let world = World::with(
        "tasks:\n  a:\n    retries: 1\n\
         \x20   run: 'echo $ILCHUL_ATTEMPT >> $W/ledger; test $ILCHUL_ATTEMPT = 2 && exit 0; sh $W/daemon & wait; exec sleep 600'\n\
         \x20 b: { run: 'until test -e $W/go; do sleep 0.02; done' }\n",
    );
    fs::write(
        world.root().join("daemon"),
        "W=$(dirname \"$0\")\nsetsid sh -c 'echo $$ > \"$0/left\"; until test -e \"$0/gone\"; do date >> more.txt; sleep 0.05; done;\n\
         cat \"$0/late.json\" > \"$ILCHUL_MAIL/.tmp/r\"; mv \"$ILCHUL_MAIL/.tmp/r\" \"$ILCHUL_MAIL/report.json\"; echo sent >> \"$0/sent\"; exec sleep 600' \"$W\" > /dev/null 2>&1 < /dev/null &\n",
    )
    .unwrap();
    let up = world.start_up();
    wait_until("what it leaves", || {
        world.root().join("left").exists() && world.tree("a.1").join("more.txt").exists()
    });
    world.await_task("a", "in_progress");
    let shim = world.shim("a.1");
    let token = world.state().workers["a.1"].token;
    let report = format!(
        r#"{{"schema":"ilchul.report/1","task":"a","attempt":1,"token":{token},"status":"done","summary":"late"}}"#
    );
    fs::write(world.root().join("late.json"), report).unwrap();
    let left = fs::read_to_string(world.root().join("left")).unwrap();
    world.child("a.1");
    signal(shim, Signal::SIGKILL);
    world.await_task("a", "completed");
    assert_eq!(world.ledger(), ["1", "2"]);
    let named = format!("it left running: process {} (sh)", left.trim());
    let state = world.state();
    assert!(state.workers["a.1"].reason.contains(&named), "{}", state.workers["a.1"].reason);
    for look in ["workers", "status"] {
        let shown = world.run(&[look, "--json"]).exits(0).stdout;
        assert!(shown.contains(&named), "`{look}` doesn't say `{named}`: {shown}");
    }
    let before = world.events();
    world.touch("gone");
    wait_until("its word", || world.root().join("sent").exists());
    wait_until("one event", || world.events().len() > before.len());
    world.touch("go");
    let ran = up.wait().exits(0);
    assert!(ran.stderr.contains("a.1  report refused: late"), "{}", ran.stderr);
    let of_a = |event: &&Event| event.worker() == Some("a.1");
    let after: Vec<String> = world.events()[before.len()..].iter().filter(of_a).map(Event::kind).collect();
    assert_eq!(after, ["report.refused"]);
    assert_eq!((world.told("a").as_str(), world.state().tasks[0].attempt), ("completed", 2));
    let left = nix::unistd::Pid::from_raw(left.trim().parse().unwrap());
    assert!(left.as_raw() > 1);
    nix::sys::signal::kill(left, Signal::SIGKILL).unwrap();
}

#[test]
fn l17_the_age_of_a_file_neither_expires_nor_extends_anything() {
    let world = short("fail", "4s", "tasks: { a: { run: 'until test -e $W/go; do sleep 0.02; done' } }");
    let up = world.start_up();
    world.await_task("a", "in_progress");
    let far = SystemTime::UNIX_EPOCH + Duration::from_secs(4_070_908_800);
    for at in [SystemTime::UNIX_EPOCH, far, SystemTime::UNIX_EPOCH] {
        for name in ["heartbeat.json", "ready.json", "ack.json", "assignment.json"] {
            if let Ok(file) = File::options().write(true).open(world.mail("a.1").join(name)) {
                file.set_times(FileTimes::new().set_accessed(at).set_modified(at)).unwrap();
            }
        }
        pass(Duration::from_millis(700));
    }
    let fell = |event: &Event| matches!(event, Event::Worker(event) if matches!(event.step, WorkerStep::Moved { to: PlainMove::FellSilent }));
    assert_eq!(world.events().into_iter().find(fell), None);
    // Stopped, it is lost in time though its last beat has a date to come.
    signal(world.shim("a.1"), Signal::SIGSTOP);
    let beat = File::options().write(true).open(world.mail("a.1").join("heartbeat.json")).unwrap();
    beat.set_times(FileTimes::new().set_modified(far)).unwrap();
    world.await_task("a", "failed");
    assert_eq!(world.told("a"), "failed (lost: no heartbeat for 4 s)");
    signal(world.shim("a.1"), Signal::SIGCONT);
    world.touch("go");
    up.wait().exits(3);
}
