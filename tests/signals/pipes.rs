//! Closed descriptors and readers that go away: nobody panics, and the run is unharmed.

use std::io::Read;
use std::process::{Command, Stdio};

use super::world::{World, runs, wait_until};
use super::{TWO, both_at_work, sorted};

const ONE: &str = "tasks: { a: { run: 'echo $ILCHUL_TASK >> $W/ledger' } }";

/// A shell line about the program `$0`; its code, and what it said.
fn shell(world: &World, line: &str) -> (Option<i32>, String) {
    let mut command = world.sealed("sh");
    let output = command.args(["-c", line, env!("CARGO_BIN_EXE_ilchul")]).output().unwrap();
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code(), text)
}

#[test]
fn a_run_ends_as_it_would_whatever_descriptors_are_closed() {
    let up = "\"$0\" up --session subprocess";
    for closed in ["< /dev/null", "<&-", ">&-", "2>&-", "<&- >&- 2>&-", "> /dev/full 2> /dev/full"] {
        let world = World::with(ONE);
        let (code, said) = shell(&world, &format!("{up} {closed}"));
        assert_eq!(code, Some(0), "{closed}: {said}");
        assert!(!said.contains("panicked"), "{closed}: {said}");
        assert_eq!(world.ledger(), ["a"], "{closed}");
        assert_eq!(world.told("a"), "completed", "{closed}");
    }
}

#[test]
fn a_reader_of_progress_that_goes_away_ends_nothing() {
    for piped in ["up --session subprocess 2>&1", "up --session subprocess --output json"] {
        let world = World::with(TWO);
        world.touch("go");
        let line = format!("{{ \"$0\" {piped}; echo $? > ../code; }} | head -n 1");
        let (_, said) = shell(&world, &line);
        assert_eq!(said.lines().count(), 1, "{said}");
        assert_eq!(std::fs::read_to_string(world.root().join("code")).unwrap(), "0\n", "{piped}");
        assert_eq!(sorted(&world), ["a.1", "b.1", "c.1"]);
    }
}

/// The program with an output that nobody reads any more.
fn unread(world: &World, args: &[&str]) -> Command {
    let (reader, writer) = std::io::pipe().unwrap();
    let mut command = world.ilchul(args);
    command.stdout(writer).stderr(Stdio::piped());
    drop(reader);
    command
}

#[test]
fn commands_that_look_end_quietly_where_nobody_reads() {
    let world = World::with(TWO);
    let up = world.start_up();
    both_at_work(&world);
    let before = world.events().len();
    for args in [
        &["status"][..],
        &["status", "--json"],
        &["workers"],
        &["why", "a"],
        &["events"],
        &["runs"],
        &["plan"],
        &["doctor"],
        &["schema", "workflow"],
        &["--help"],
        &["--version"],
        &["logs", "a"],
        // These would go on until the run ends, were anybody there.
        &["events", "-f"],
        &["events", "-f", "--json"],
        &["logs", "a", "-f"],
        &["status", "--watch"],
    ] {
        let child = unread(&world, args).spawn().unwrap();
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(matches!(output.status.code(), Some(0 | 1)), "{args:?}: {:?} {said}", output.status);
        assert!(!said.contains("panicked"), "{args:?}: {said}");
    }
    assert_eq!(world.events().len(), before);
    world.touch("go");
    up.wait().exits(0);
}

#[test]
fn a_follower_ends_with_its_reader_though_nothing_more_is_said() {
    let world = World::with(TWO);
    let up = world.start_up();
    both_at_work(&world);
    for line in
        ["\"$0\" events -f | head -n 1", "\"$0\" status --watch | head -n 1", "\"$0\" status | head -n 1"]
    {
        let (code, said) = shell(&world, line);
        assert_eq!((code, said.lines().count()), (Some(0), 1), "{line}: {said}");
    }
    // Nothing was printed yet, so no write can tell that the reader is gone.
    let (reader, writer) = std::io::pipe().unwrap();
    let mut command = world.ilchul(&["logs", "a", "-f"]);
    let mut follower = command.stdout(writer).spawn().unwrap();
    drop(command);
    wait_until("the follower at work", || {
        let wait = std::fs::read_to_string(format!("/proc/{}/syscall", follower.id())).unwrap_or_default();
        !wait.starts_with("running") && !wait.is_empty()
    });
    assert!(follower.try_wait().unwrap().is_none());
    drop(reader);
    wait_until("its end", || follower.try_wait().unwrap().is_some());
    world.touch("go");
    up.wait().exits(0);
}

#[test]
fn a_pipe_closes_when_its_supervisor_ends_though_workers_live() {
    for session in ["subprocess", "tmux"] {
        let world = World::with(TWO);
        let (mut reader, writer) = std::io::pipe().unwrap();
        let mut command = world.ilchul(&["up", "--session", session]);
        let mut up = command.stdout(writer.try_clone().unwrap()).stderr(writer).spawn().unwrap();
        drop(command);
        both_at_work(&world);
        let (send, ended) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let mut text = String::new();
            let _ = send.send(reader.read_to_string(&mut text).map(|_| text));
        });
        up.kill().unwrap();
        up.wait().unwrap();
        let text = ended.recv_timeout(super::world::PATIENCE).expect("a worker holds the pipe").unwrap();
        assert!(text.starts_with("Run "), "{session}: {text}");
        assert!(["a.1", "b.1"].iter().all(|id| runs(world.shim(id))), "{session}");
        world.touch("go");
        world.run(&["up"]).exits(0);
    }
}
