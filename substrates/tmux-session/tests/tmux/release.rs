//! Ending: the whole tree, in the hurry asked for, and nothing else; the pane stays to be read.

use std::time::{Duration, Instant};

use crate::support::{World, alive, assert_live, pid_of, state, until_ended};
use ilchul_substrate::{ErrorKind, Exit, State, Substrate, Urgency};

fn pids(text: &str) -> Vec<u32> {
    text.split_whitespace().map(|word| word.parse().unwrap()).collect()
}

#[test]
fn an_asked_session_may_end_by_itself() {
    let world = World::new();
    let session = world.open_patient();
    let script = "trap 'echo TERM > asked; echo END >> asked; exit 5' TERM; echo END > up; while :; do sleep 0.02; done";
    let handle = world.ensure(&session, "a", &world.script(script));
    world.read("up");
    session.release(&handle, Urgency::Asked).unwrap();
    assert_eq!(world.read("asked"), "TERM\n");
    assert_eq!(state(&session, &handle), State::Ended(Some(Exit::Code(5))));
    assert_eq!(world.ask(&["list-panes", "-a", "-F", "#{pane_id} #{pane_dead}"]), format!("{} 1", handle.id));
}

#[test]
fn a_tree_that_ignores_term_ends_after_the_grace_with_those_who_left_the_group() {
    let world = World::new();
    let session = world.open();
    let stubborn = "trap '' TERM HUP INT; while :; do sleep 0.05; done";
    // A child of the group, one in a session of its own, and a grandchild below that.
    let script = format!(
        "trap '' TERM HUP INT; sh -c \"{stubborn}\" & a=$!; \
         setsid sh -c 'trap \"\" TERM HUP; sleep 600 & echo $$ $! > left; wait; wait' & \
         until [ -s left ]; do sleep 0.01; done; echo $$ $a $(cat left) > up; echo END >> up; wait; wait; wait"
    );
    for (task, urgency) in [("a", Urgency::Asked), ("b", Urgency::AtOnce)] {
        for name in ["up", "left"] {
            let _absent_at_first = std::fs::remove_file(world.path(name));
        }
        let handle = world.ensure(&session, task, &world.script(&script));
        let tree = pids(&world.read("up"));
        assert_eq!((tree.len(), tree[0]), (4, pid_of(&handle)));
        assert!(tree.iter().all(|pid| alive(*pid)));
        let begun = Instant::now();
        session.release(&handle, urgency).unwrap();
        match urgency {
            Urgency::Asked => assert!(begun.elapsed() >= Duration::from_millis(300), "the grace was given"),
            Urgency::AtOnce => {}
        }
        assert!(tree.iter().all(|pid| !alive(*pid)), "{tree:?}");
        assert_eq!(state(&session, &handle), State::Ended(Some(Exit::Signal(9))));
        session.release(&handle, urgency).unwrap();
    }
}

#[test]
fn a_stopped_session_ends_when_asked() {
    let world = World::new();
    let session = world.open_patient();
    let handle = world.sleeper(&session, "a");
    crate::support::signal(pid_of(&handle), rustix::process::Signal::STOP);
    assert_live(&state(&session, &handle));
    session.release(&handle, Urgency::Asked).unwrap();
    assert_eq!(state(&session, &handle), State::Ended(Some(Exit::Signal(15))));
}

#[test]
fn what_a_session_left_behind_when_it_ended_is_ended_too() {
    let world = World::new();
    let session = world.open();
    let script = "trap '' HUP; sh -c 'trap \"\" HUP TERM; while :; do sleep 0.05; done' & echo $! > up; echo END >> up";
    let handle = world.ensure(&session, "a", &world.script(script));
    let left = pids(&world.read("up"));
    assert_eq!(until_ended(&session, &handle), State::Ended(Some(Exit::Code(0))));
    assert!(alive(left[0]));
    session.release(&handle, Urgency::AtOnce).unwrap();
    assert!(!alive(left[0]), "{handle:?}");
}

#[test]
fn ended_gone_and_repeated_are_ok_and_the_neighbour_lives() {
    let world = World::new();
    let session = world.open_patient();
    let neighbour = world.sleeper(&session, "worker-10");
    let ended = world.ensure(&session, "ended", &world.script("exit 0"));
    let gone = world.sleeper(&session, "gone");
    let handle = world.sleeper(&session, "worker-1");
    until_ended(&session, &ended);
    world.ask(&["kill-window", "-t", &gone.fields["window"]]);
    for handle in [&ended, &gone, &handle, &handle] {
        session.release(handle, Urgency::Asked).unwrap();
        world.open().release(handle, Urgency::AtOnce).unwrap();
    }
    assert_live(&state(&session, &neighbour));
}

#[test]
fn l19_a_handle_with_another_start_touches_nothing() {
    let world = World::new();
    let session = world.open();
    let handle = world.sleeper(&session, "a");
    let ticks: u64 = handle.fields["start_ticks"].parse().unwrap();
    let mut mistaken = handle.clone();
    mistaken.fields.insert("start_ticks".to_owned(), (ticks + 1).to_string());
    assert_eq!(state(&session, &mistaken), State::Absent);
    assert_eq!(session.release(&mistaken, Urgency::AtOnce).unwrap_err().kind(), ErrorKind::Conflict);
    let mut earlier_boot = handle.clone();
    earlier_boot.fields.insert("boot_id".to_owned(), "another".to_owned());
    assert_eq!(state(&session, &earlier_boot), State::Absent);
    session.release(&earlier_boot, Urgency::AtOnce).unwrap();
    assert_live(&state(&session, &handle));
}
