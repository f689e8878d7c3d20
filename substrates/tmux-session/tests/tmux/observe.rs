//! Looking: what is live, ended, gone or unknown, when servers, sockets and panes are disturbed.

use std::fs;
use std::time::{Duration, Instant};

use crate::support::{
    SESSION, World, alive, assert_live, assert_unknown, mark, pid_of, signal, state, until, until_ended,
};
use ilchul_substrate::{Exit, State, Substrate, Urgency};
use rustix::process::Signal;

/// More than all that a look waits for adds up to, on a busy machine too.
const DEADLINES: Duration = Duration::from_secs(60);

#[test]
fn a_cold_start_sees_the_same() {
    let world = World::new();
    let session = world.open();
    let live = world.sleeper(&session, "a");
    let ended = world.ensure(&session, "b", &world.script("exit 4"));
    until_ended(&session, &ended);
    let cold = world.open();
    let both = [live.clone(), ended.clone()];
    assert_eq!(cold.observe(&both), session.observe(&both));
    let State::Live(facts) = state(&cold, &live) else { panic!("not live") };
    assert_eq!(facts.pid, Some(pid_of(&live)));
    assert_eq!(facts.start_ticks.unwrap().to_string(), live.fields["start_ticks"]);
    assert_eq!(state(&cold, &ended), State::Ended(Some(Exit::Code(4))));
    assert_eq!(cold.discover("r1").unwrap().into_iter().map(|(_, handle)| handle).collect::<Vec<_>>(), both);
}

#[test]
fn l19_a_killed_server_took_its_panes_and_a_new_one_is_another() {
    let world = World::new();
    let session = world.open();
    // It ignores the hangup: a survivor that must not count as the session.
    let handle = world.ensure(&session, "a", &world.script("trap '' HUP; while :; do sleep 0.05; done"));
    signal(world.server_pid(), Signal::KILL);
    for session in [&session, &world.open()] {
        let seen = until("the server is gone", || match state(session, &handle) {
            State::Unknown(_) => None,
            seen
            @ (State::Live(_) | State::Ended(_) | State::Absent | State::Queued(_) | State::Stuck(_)) => {
                Some(seen)
            }
        });
        assert_eq!(seen, State::Absent);
    }
    let again = world.sleeper(&session, "a");
    assert_eq!(again.id, handle.id, "ids begin again");
    assert_ne!(again, handle);
    assert_eq!(state(&session, &handle), State::Absent);
    assert_live(&state(&session, &again));
    // Its process is still the one that we started, so it can be ended; the new pane isn't touched.
    assert!(alive(pid_of(&handle)));
    session.release(&handle, Urgency::AtOnce).unwrap();
    assert!(!alive(pid_of(&handle)));
    assert_live(&state(&session, &again));
}

#[test]
fn l9_a_removed_socket_is_unknown_and_no_second_server_is_started() {
    let world = World::new();
    let first = world.open();
    let handle = world.sleeper(&first, "a");
    fs::remove_file(world.socket()).unwrap();
    // The standing connection still proves it.
    assert_live(&state(&first, &handle));
    let cold = world.open();
    assert_unknown(&state(&cold, &handle), "lives");
    assert!(cold.discover("r1").is_err(), "an empty list would mean absence");
    assert!(cold.ensure(&mark("b"), &world.spec(&["true"])).is_err());
    assert!(!world.socket().exists());
    assert!(alive(pid_of(&handle)));
}

#[test]
fn l9_a_stopped_server_is_unknown_within_the_deadline() {
    let world = World::new();
    let warm = world.open();
    let handle = world.sleeper(&warm, "a");
    let server = world.server_pid();
    let cold = world.open();
    signal(server, Signal::STOP);
    for session in [&warm, &cold] {
        let begun = Instant::now();
        assert_unknown(&state(session, &handle), "no answer");
        assert!(begun.elapsed() < DEADLINES, "{:?}", begun.elapsed());
    }
    let begun = Instant::now();
    assert!(warm.release(&handle, Urgency::AtOnce).is_err());
    assert!(begun.elapsed() < DEADLINES, "{:?}", begun.elapsed());
    signal(server, Signal::CONT);
    assert_live(&state(&warm, &handle));
    assert_live(&state(&cold, &handle));
}

#[test]
fn what_the_user_closed_is_absent_and_the_rest_stays() {
    let world = World::new();
    world.user_server();
    let session = world.open();
    let handles = ["a", "b", "c"].map(|task| world.sleeper(&session, task));
    world.ask(&["kill-window", "-t", &handles[0].fields["window"]]);
    world.ask(&["kill-pane", "-t", &handles[1].id]);
    // What the user closed is hung up, and gone once its process has ended.
    until("both are absent", || {
        let absent = |handle| state(&session, handle) == State::Absent;
        handles[..2].iter().all(absent).then_some(())
    });
    assert_live(&state(&session, &handles[2]));
    world.ask(&["kill-session", "-t", SESSION]);
    until("the last is absent", || (state(&session, &handles[2]) == State::Absent).then_some(()));
    session.release(&handles[2], Urgency::Asked).unwrap();
    // A new session is made where the old one was closed; the user's own isn't entered.
    let again = world.sleeper(&session, "d");
    assert_ne!(again.fields["session"], handles[0].fields["session"]);
    assert_eq!(world.ask(&["list-panes", "-s", "-t", "mine"]).lines().count(), 1);
}

#[test]
fn a_worker_is_followed_wherever_the_user_moves_it() {
    let world = World::new();
    world.user_server();
    let session = world.open();
    let handles = ["a", "b", "c"].map(|task| world.sleeper(&session, task));
    world.ask(&["rename-session", "-t", SESSION, "renamed"]);
    world.ask(&["rename-window", "-t", &handles[0].fields["window"], "#(touch canary)"]);
    world.ask(&["join-pane", "-d", "-s", &handles[1].id, "-t", "mine:"]);
    world.ask(&["link-window", "-d", "-s", &handles[2].fields["window"], "-t", "mine:"]);
    world.ask(&["copy-mode", "-t", &handles[0].id]);
    for session in [&session, &world.open()] {
        session.observe(&handles).iter().for_each(|seen| assert_live(&seen.state));
        assert_eq!(session.discover("r1").unwrap().len(), 3);
    }
    // The renamed session is still the run's.
    let next = world.sleeper(&world.open(), "d");
    assert_eq!(next.fields["session"], handles[0].fields["session"]);
}

#[test]
fn l19_a_respawned_pane_is_another_object() {
    let world = World::new();
    let session = world.open();
    let handle = world.sleeper(&session, "a");
    world.ask(&["respawn-pane", "-k", "-t", &handle.id, "sleep 600"]);
    until("the first process has ended", || (!alive(pid_of(&handle))).then_some(()));
    assert_eq!(state(&session, &handle), State::Absent);
    let error = session.release(&handle, Urgency::AtOnce).unwrap_err();
    assert_eq!(error.kind(), ilchul_substrate::ErrorKind::Conflict);
    let stranger: u32 =
        world.ask(&["display-message", "-p", "-t", &handle.id, "#{pane_pid}"]).parse().unwrap();
    assert!(alive(stranger), "not touched");

    let stubborn =
        world.ensure(&session, "b", &world.script("trap '' HUP; echo > up; while :; do sleep 0.05; done"));
    until("it ignores the hangup", || world.path("up").exists().then_some(()));
    world.ask(&["respawn-pane", "-k", "-t", &stubborn.id, "sleep 600"]);
    assert_unknown(&state(&session, &stubborn), "lives");
    signal(pid_of(&stubborn), Signal::KILL);
    until("it is gone", || (state(&session, &stubborn) == State::Absent).then_some(()));
}

#[test]
fn a_pane_without_our_mark_is_not_ours() {
    let world = World::new();
    let session = world.open();
    let handle = world.sleeper(&session, "a");
    world.ask(&["set-option", "-p", "-t", &handle.id, "@ilchul_mark", "ilchul.r1.other.1"]);
    assert_unknown(&state(&session, &handle), "doesn't carry the mark");
    assert!(session.release(&handle, Urgency::AtOnce).is_err());
    assert!(alive(pid_of(&handle)), "not touched");
    signal(pid_of(&handle), Signal::KILL);
    until("it is gone", || (state(&session, &handle) == State::Absent).then_some(()));
}

#[test]
fn a_program_that_gave_up_its_terminal_lives_on() {
    let world = World::new();
    let session = world.open();
    let script = "trap '' HUP; exec >/dev/null 2>&1 </dev/null; echo > closed; while :; do sleep 0.05; done";
    let handle = world.ensure(&session, "a", &world.script(script));
    until("it closed its terminal", || world.path("closed").exists().then_some(()));
    assert_live(&state(&session, &handle));
    session.release(&handle, Urgency::AtOnce).unwrap();
    assert!(!alive(pid_of(&handle)));
}

#[test]
fn handles_of_another_server_are_looked_up_there() {
    let (world, other) = (World::new(), World::new());
    let (session, elsewhere) = (world.open(), other.open());
    let handles = [world.sleeper(&session, "a"), other.sleeper(&elsewhere, "a")];
    session.observe(&handles).iter().for_each(|seen| assert_live(&seen.state));
    session.release(&handles[1], Urgency::AtOnce).unwrap();
    assert_live(&state(&session, &handles[0]));
    assert_eq!(until_ended(&session, &handles[1]), State::Ended(Some(Exit::Signal(9))));
}

#[test]
fn what_attach_and_switch_name_is_there() {
    let world = World::new();
    let session = world.open();
    let handle = world.sleeper(&session, "a");
    let socket = world.socket().to_string_lossy().into_owned();
    let text = |words: Vec<std::ffi::OsString>| -> Vec<String> {
        words.into_iter().map(|word| word.into_string().unwrap()).collect()
    };
    let (at, window) = (&handle.fields["session"], &handle.fields["window"]);
    assert_eq!(
        text(session.attach(&handle).unwrap()),
        ["tmux", "-S", &socket, "attach-session", "-t", at, ";", "select-window", "-t", window]
    );
    assert_eq!(
        text(session.switch(&handle).unwrap()),
        ["tmux", "-S", &socket, "switch-client", "-t", &handle.id]
    );
    assert_eq!(
        world.ask(&["display-message", "-p", "-t", window, "#{session_name}"]),
        session.session_name()
    );
}
