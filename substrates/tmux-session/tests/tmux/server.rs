//! Servers as users have them: odd configurations, hooks, old or hung programs, many clients.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::support::{RUN, SESSION, World, assert_live, mark, state, until, until_ended};
use ilchul_substrate::{ErrorKind, Exit, State, Substrate, Urgency};
use ilchul_tmux_session::{Server, TmuxSession};

/// A whole life under a configuration, with a server of ours and with one that is there.
fn check_configured(text: &str) {
    for users in [false, true] {
        let world = World::configured(text);
        // Nobody is attached to the user's session here: with `destroy-unattached` it would be
        // gone, and its server with it, while we look.
        if users && text.contains("destroy-unattached") {
            continue;
        }
        if users {
            world.user_server();
        }
        let session = world.open();
        let live = world.sleeper(&session, "a");
        let ended = world.ensure(&session, "b", &world.script("exit 3"));
        let quick = world.ensure(&world.open(), "c", &world.script("exit 0"));
        assert_live(&state(&session, &live));
        assert_eq!(until_ended(&session, &ended), State::Ended(Some(Exit::Code(3))), "{text}");
        assert_eq!(until_ended(&session, &quick), State::Ended(Some(Exit::Code(0))), "{text}");
        session.release(&live, Urgency::AtOnce).unwrap();
        assert_eq!(state(&world.open(), &live), State::Ended(Some(Exit::Signal(9))), "{text}");
        assert_eq!(session.discover(RUN).unwrap().len(), 3, "{text}");
    }
}

#[test]
fn a_user_s_configuration_changes_nothing_of_ours() {
    check_configured("set -g default-command 'exit 7'\nset -g default-shell /bin/false\n");
    check_configured("set -g base-index 1\nset -g pane-base-index 1\nset -g renumber-windows on\n");
    check_configured("set -g remain-on-exit off\nset -g automatic-rename on\nset -g allow-rename on\n");
    check_configured("set -g destroy-unattached on\nset -s exit-empty off\n");
    check_configured("set -g detach-on-destroy off\nset -g status off\nset -g prefix C-a\nset -g mouse on\n");
    check_configured(
        "set-hook -g after-new-window 'rename-window hooked'\nset-hook -g after-set-option 'display-message x'\n",
    );
}

#[test]
fn a_server_that_ends_when_nobody_is_attached_is_refused_by_the_option_s_name() {
    let world = World::configured("set -s exit-unattached on\n");
    let session = world.open();
    let spec = world.script("echo > started; sleep 600");
    let error = session.ensure(&mark("a"), &spec).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("exit-unattached"), "{error}");
    assert!(!world.path("started").exists(), "nothing was made");
}

#[test]
fn a_hook_that_kills_new_windows_is_named() {
    let world = World::configured("set-hook -g after-new-window 'kill-window'\n");
    world.user_server();
    let session = world.open();
    world.sleeper(&session, "a");
    let error = session.ensure(&mark("b"), &world.spec(&["sleep", "600"])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("after-new-window"), "{error}");
    assert_eq!(session.discover(RUN).unwrap().len(), 1);
}

#[test]
fn a_lost_connection_is_made_again() {
    let world = World::new();
    let session = world.open();
    let first = world.sleeper(&session, "a");
    for task in ["b", "c"] {
        // Detaching is what a user's `detach-client -a` does to us.
        world.ask(&["detach-client", "-s", &first.fields["session"]]);
        let handle = world.sleeper(&session, task);
        assert_live(&state(&session, &handle));
        until("it is attached again", || {
            state(&session, &handle);
            (world.ask(&["list-clients", "-F", "#{client_control_mode}"]) == "1").then_some(())
        });
    }
    drop(session);
    until("nobody is attached", || world.ask(&["list-clients"]).is_empty().then_some(()));
    assert_live(&state(&world.open(), &first));
}

#[test]
fn the_doorbell_rings_when_a_worker_ends_and_when_one_is_closed() {
    let world = World::new();
    let rung = Arc::new(AtomicUsize::new(0));
    let bell = Arc::clone(&rung);
    let session = world.open().with_doorbell(Box::new(move || {
        bell.fetch_add(1, Ordering::SeqCst);
    }));
    let handles = ["a", "b"].map(|task| world.sleeper(&session, task));
    // The first news of a subscription is that it began.
    until("it listens", || (rung.load(Ordering::SeqCst) > 0).then_some(()));
    let before = rung.load(Ordering::SeqCst);
    crate::support::signal(crate::support::pid_of(&handles[0]), rustix::process::Signal::KILL);
    until("it rings for an end", || (rung.load(Ordering::SeqCst) > before).then_some(()));
    let before = rung.load(Ordering::SeqCst);
    world.ask(&["kill-window", "-t", &handles[1].fields["window"]]);
    until("it rings for a closed window", || (rung.load(Ordering::SeqCst) > before).then_some(()));
}

fn program(world: &World, text: &str) -> PathBuf {
    let path = world.path("tmux-stub");
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

fn refusal(program: &Path, socket: PathBuf) -> ilchul_substrate::Error {
    let opened = TmuxSession::open_program(program, &Server::Socket(socket), SESSION, RUN, Duration::ZERO);
    opened.err().expect("it can't be used")
}

#[test]
fn a_tmux_that_is_missing_old_odd_or_hung_is_unavailable_and_named() {
    let world = World::new();
    for (text, part) in [
        ("echo tmux 2.9", "tmux 2.9"),
        ("echo tmux 3.1c", "older than tmux 3.2"),
        ("echo tmux master", "tmux master"),
        ("exec sleep 600", "no answer"),
    ] {
        let begun = Instant::now();
        let error = refusal(&program(&world, text), world.socket());
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.to_string().contains(part), "{error}");
        assert!(begun.elapsed() < Duration::from_secs(60));
    }
    let error = refusal(Path::new("/no/such/tmux"), world.socket());
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("/no/such/tmux"), "{error}");
}

#[test]
fn a_tmux_that_hangs_later_is_unknown_and_the_caller_goes_on() {
    let world = World::new();
    let handle = world.sleeper(&world.open(), "a");
    let stub = program(&world, "case \"$*\" in -V) echo tmux 3.3a;; *) exec sleep 600;; esac");
    let session = world.open_with(&stub);
    let begun = Instant::now();
    crate::support::assert_unknown(&state(&session, &handle), "no answer");
    assert!(session.discover(RUN).is_err());
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
}

#[test]
fn names_and_sockets_that_can_t_be_used_are_refused() {
    let world = World::new();
    for name in ["", "a.b", "a:b", "-x", "a b", "#(touch canary)", "=x"] {
        let server = Server::Socket(world.socket());
        let error = TmuxSession::open(&server, name, RUN, Duration::ZERO).err().expect("no name");
        assert_eq!(error.kind(), ErrorKind::Refused, "{name}");
    }
    let tmux = Path::new("tmux");
    assert_eq!(refusal(tmux, world.path(&"x".repeat(120))).kind(), ErrorKind::Refused);
    assert_eq!(refusal(tmux, world.path("tmux.conf")).kind(), ErrorKind::Refused);
    assert_eq!(refusal(tmux, world.path("none/s")).kind(), ErrorKind::Unavailable);
    assert_eq!(refusal(tmux, PathBuf::from("relative/s")).kind(), ErrorKind::Refused);
}

#[test]
fn a_server_without_a_session_is_an_empty_place_too() {
    let world = World::configured("set -s exit-empty off\n");
    world.user_server();
    world.ask(&["kill-session", "-t", "mine"]);
    let session = world.open();
    assert_eq!(session.discover(RUN).unwrap(), []);
    let handle = world.sleeper(&session, "a");
    assert_live(&state(&session, &handle));
}

#[test]
fn a_socket_without_a_server_is_an_empty_place() {
    let world = World::new();
    let session = world.open();
    let handle = world.sleeper(&session, "a");
    crate::support::signal(world.server_pid(), rustix::process::Signal::KILL);
    until("the server is gone", || (state(&session, &handle) == State::Absent).then_some(()));
    assert!(world.socket().exists(), "a killed server leaves its socket");
    assert_eq!(world.open().discover(RUN).unwrap(), []);
}
