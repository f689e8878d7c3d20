//! A journal that can't be written while a run goes on: what stops, what is said, what is kept.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use rusqlite::Connection;
use serde_json::Value;

use crate::world::{Ran, World, runs, wait_until};

const HELD: &str = "tasks: { a: { run: 'echo x >> $W/ledger; until test -e $W/go; do sleep 0.02; done' } }";

/// The file that an error names as the place of what couldn't be recorded, and its lines.
#[track_caller]
fn pending(ran: &Ran) -> (PathBuf, Vec<Value>) {
    let (_, rest) = ran.stderr.split_once("is kept in `").unwrap_or_else(|| panic!("{}", ran.stderr));
    let path = PathBuf::from(rest.split('`').next().unwrap());
    let text = fs::read_to_string(&path).unwrap();
    (path, text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

#[test]
fn j11c_what_a_replaced_journal_could_not_take_is_kept_beside_the_run_and_named() {
    let world = World::with(HELD);
    let up = world.start_up();
    world.await_task("a", "in_progress");
    let (shim, run) = (world.shim("a.1"), world.run_id().unwrap());
    let saved = world.root().join("journal.saved");
    fs::rename(world.home().journal(), &saved).unwrap();
    world.touch("go");
    let ran = up.wait().exits(6);
    let (path, lines) = pending(&ran);
    assert_eq!(path.parent(), Some(world.home().run(&run).as_path()));
    let first = &lines[0];
    assert_eq!((&first["task"], &first["worker"], &first["seq"]), (&"a".into(), &"a.1".into(), &Value::Null));
    assert!(first["kind"].is_string() && first["event"].is_object(), "{first}");
    assert!(ran.stderr.contains("Workers go on") && ran.stderr.contains("run `ilchul up`"), "{}", ran.stderr);
    wait_until("the worker's own end", || !runs(shim));
    fs::rename(saved, world.home().journal()).unwrap();
    world.up().exits(0);
    assert_eq!((world.ledger(), world.state().tasks[0].attempt), (vec!["x".to_owned()], 1));
    assert!(path.exists(), "nothing reads it back, nothing takes it away");
}

#[test]
fn a_writer_that_holds_the_journal_for_two_seconds_is_waited_for() {
    let world = World::with(HELD);
    let up = world.start_up();
    world.await_task("a", "in_progress");
    // Where it runs may be journaled after that it works.
    let shim = world.shim("a.1");
    let other = Connection::open(world.home().journal()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    world.touch("go");
    wait_until("the worker's own end", || !runs(shim));
    std::thread::sleep(std::time::Duration::from_secs(2));
    other.execute_batch("COMMIT").unwrap();
    up.wait().exits(0);
}

#[test]
fn a_writer_that_stays_stops_the_supervisor_and_no_worker() {
    let world = World::with(HELD);
    let up = world.start_up();
    world.await_task("a", "in_progress");
    let other = Connection::open(world.home().journal()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    world.touch("go");
    let ran = up.wait().exits(5);
    assert!(ran.stderr.contains("another process has held it for more than 10 s"), "{}", ran.stderr);
    assert!(ran.stderr.contains("doesn't have the"), "{}", ran.stderr);
    assert!(!pending(&ran).1.is_empty());
    other.execute_batch("COMMIT").unwrap();
    world.up().exits(0);
    assert_eq!((world.ledger(), world.state().tasks[0].attempt), (vec!["x".to_owned()], 1));
}

/// A home on a file system of 1 MiB, in a mount namespace that only this script sees. It is
/// filled while two workers work, and emptied before the run goes on. What the supervisor
/// can't record is that the time of one of them is used up.
const FULL: &str = r#"
set -eu
mount -t tmpfs -o size=1m home "$ILCHUL_HOME"
"$ILCHUL" up --session subprocess >"$W/out" 2>"$W/err" & up=$!
until test -e "$W/working"; do sleep 0.05; done
dd if=/dev/zero of="$ILCHUL_HOME/filler" bs=4k 2>/dev/null || true
code=0; wait $up || code=$?
echo $code >"$W/code"
rm "$ILCHUL_HOME/filler"
touch "$W/go"
code=0; "$ILCHUL" up --session subprocess >"$W/out2" 2>"$W/err2" || code=$?
echo $code >"$W/code2"
"$ILCHUL" status --json >"$W/status"
"#;

#[test]
fn j11a_a_full_disk_stops_the_supervisor_and_no_worker_and_room_is_all_it_takes_to_go_on() {
    let world = World::with(
        "defaults: { workspace: none }\n\
         limits: { workers: 2, grace: 1s }\n\
         tasks:\n\
         \x20 a: { run: 'echo x >> $W/ledger; touch $W/working; until test -e $W/go; do sleep 0.02; done' }\n\
         \x20 b: { run: 'sleep 600', timeout: 3s }\n",
    );
    let home = world.root().join("small");
    fs::create_dir(&home).unwrap();
    let mut command = Command::new("unshare");
    command.args(["-rm", "sh", "-c", FULL]).current_dir(world.repo()).env_clear();
    command.env("PATH", &world.path).env("HOME", world.root().join("user")).env("W", world.root());
    // What the full home has no room for is kept in the folder for temporary files: this world's.
    command.env("TMPDIR", world.root());
    command.env("ILCHUL", env!("CARGO_BIN_EXE_ilchul")).env("ILCHUL_HOME", &home).env("LANG", "C.UTF-8");
    let output = command.output().unwrap();
    let said = |name: &str| fs::read_to_string(world.root().join(name)).unwrap_or_default();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}\n{}\n{}{}", said("err"), said("code2"), said("err2"));
    let error = said("err");
    assert_eq!(said("code"), "1\n", "{error}");
    assert!(error.contains("small/journal.db`: database or disk is full"), "{error}");
    assert!(error.contains("bytes are free there); read again, "), "{error}");
    assert!(error.contains("Workers go on without a supervisor. Free space"), "{error}");
    assert_eq!(said("code2"), "3\n", "{}", said("err2"));
    assert_eq!(world.ledger(), ["x"]);
    let status: Value = serde_json::from_str(&said("status")).unwrap();
    let told = |task: usize, key: &str| status["data"]["tasks"][task][key].clone();
    assert_eq!((told(0, "state"), told(0, "attempt")), ("completed".into(), 1.into()));
    assert_eq!((told(1, "state"), told(1, "attempt")), ("failed".into(), 1.into()));
}

#[test]
fn j11_a_newer_journal_is_read_and_every_command_that_writes_says_six() {
    let world = World::with("tasks: { a: { run: 'exit 1' } }");
    world.up().exits(3);
    let raw = Connection::open(world.home().journal()).unwrap();
    raw.pragma_update(None, "user_version", 99).unwrap();
    drop(raw);
    let bytes = || fs::read(world.home().journal()).unwrap();
    let before = bytes();
    for command in [&["status"][..], &["events"], &["runs"], &["why", "a"], &["evidence", "a"], &["workers"]]
    {
        let ran = world.run(command).exits(0);
        assert!(ran.stderr.contains("a later ilchul's (its schema is 99)"), "{command:?}: {}", ran.stderr);
        assert!(!ran.stdout.is_empty(), "{command:?}");
    }
    for command in
        [&["up"][..], &["up", "--new"], &["down"], &["retry", "a"], &["cancel", "a"], &["release", "a.1"]]
    {
        let ran = world.run(command).exits(6);
        assert!(ran.stderr.contains("its schema is 99"), "{command:?}: {}", ran.stderr);
    }
    assert!(bytes() == before, "every byte stays as it was");
}

#[test]
fn j11_what_is_no_journal_is_six_for_every_command_and_keeps_every_byte() {
    let world = World::with("tasks: { a: { run: 'exit 1' } }");
    world.up().exits(3);
    let whole = fs::read(world.home().journal()).unwrap();
    let cut = whole[..whole.len() - 700].to_vec();
    for bytes in [Vec::new(), b"x".to_vec(), vec![b'x'; 9000], cut] {
        fs::write(world.home().journal(), &bytes).unwrap();
        for command in [&["up"][..], &["up", "--new"], &["down"], &["retry", "a"], &["status"], &["events"]] {
            let ran = world.run(command).exits(6);
            assert!(ran.stderr.contains("journal"), "{command:?}: {}", ran.stderr);
        }
        assert!(fs::read(world.home().journal()).unwrap() == bytes, "{} bytes", bytes.len());
    }
}
