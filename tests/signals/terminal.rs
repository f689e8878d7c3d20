//! A real terminal with a shell that has jobs: Ctrl-C, Ctrl-Z and `fg`, and a terminal that
//! is closed under a run.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::process::{Child, Command};
use std::sync::{Arc, Mutex, Weak};

use ilchul::engine::event::{ClaimStep, Event, PlainMove, RunEvent, WorkerStep};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use super::world::{World, runs, wait_for, wait_until};
use super::{TWO, both_at_work, sorted};

/// A terminal and the leader of its session.
struct Terminal {
    keys: Option<Arc<OwnedFd>>,
    screen: Arc<Mutex<String>>,
    leader: Child,
}

impl Terminal {
    /// Runs `command` in a session of its own, with a new terminal as its controlling one.
    fn of(world: &World, command: &[&str]) -> Self {
        let keys = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&keys).unwrap();
        unlockpt(&keys).unwrap();
        let name = ptsname(&keys, Vec::new()).unwrap();
        let flags = rustix::fs::OFlags::RDWR | rustix::fs::OFlags::NOCTTY | rustix::fs::OFlags::CLOEXEC;
        let slave = File::from(rustix::fs::open(&name, flags, rustix::fs::Mode::empty()).unwrap());
        let mut program: Command = world.sealed("setsid");
        program.args(["--ctty", "--wait"]).args(command).env("TERM", "xterm").env("PS1", "$ ");
        program.stdin(slave.try_clone().unwrap()).stdout(slave.try_clone().unwrap()).stderr(slave);
        let leader = program.spawn().unwrap();
        let screen = Arc::new(Mutex::new(String::new()));
        let keys = Arc::new(keys);
        let (reader, shown) = (Arc::downgrade(&keys), Arc::clone(&screen));
        std::thread::spawn(move || show(&reader, &shown));
        Self { keys: Some(keys), screen, leader }
    }

    /// A shell with job control.
    fn shell(world: &World) -> Self {
        Self::of(world, &["sh", "-im"])
    }

    fn type_in(&self, keys: &str) {
        let written = rustix::io::write(self.keys.as_ref().unwrap(), keys.as_bytes()).unwrap();
        assert_eq!(written, keys.len());
    }

    fn screen(&self) -> String {
        self.screen.lock().unwrap().clone()
    }

    /// Closes the terminal, as its window's end does.
    fn hang_up(&mut self) {
        let keys = Arc::downgrade(&self.keys.take().unwrap());
        wait_until("the reader to let go", || keys.strong_count() == 0);
    }

    /// The code of the last job.
    #[track_caller]
    fn ended(&self, code: i32) {
        self.type_in("echo code $?\n");
        self.await_screen(&format!("code {code}"));
    }

    #[track_caller]
    fn wait(&self, what: &str, holds: impl FnMut() -> bool) {
        let waited = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| wait_until(what, holds)));
        assert!(waited.is_ok(), "waited in vain for {what}:\n{}", self.screen());
    }

    #[track_caller]
    fn await_screen(&self, what: &str) {
        self.wait(&format!("`{what}` on the screen"), || self.screen().contains(what));
    }
}

/// Reads what is shown for as long as the terminal is there; it holds it only for a moment.
fn show(keys: &Weak<OwnedFd>, shown: &Mutex<String>) {
    let moment = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
    let mut bytes = [0; 4096];
    while let Some(keys) = keys.upgrade() {
        let ready = poll(&mut [PollFd::new(&keys, PollFlags::IN)], Some(&moment)).unwrap_or(0);
        if ready == 0 {
            continue;
        }
        match rustix::io::read(&keys, &mut bytes) {
            Ok(count) => shown.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..count])),
            // Nobody has its other end open any more.
            Err(_) => return,
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // The leader ends with its terminal; one that doesn't is ended.
        drop(self.keys.take());
        let _ = self.leader.kill();
        let _ = self.leader.wait();
    }
}

/// The pid of whoever drives the world's run.
fn supervisor(world: &World) -> u32 {
    let held = || ilchul::journal::lock::held(&world.home().lock()).unwrap().flatten();
    wait_for("a supervisor", || held().filter(|holder| !holder.run.is_empty())).pid
}

/// The letter of a process's state; none where it is gone.
fn state(pid: u32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

/// Whether anything was concluded from silence.
fn blamed(event: &Event) -> bool {
    match event {
        Event::Worker(event) => {
            matches!(event.step, WorkerStep::Moved { to: PlainMove::FellSilent | PlainMove::WentStale })
        }
        Event::Claim(event) => matches!(event.step, ClaimStep::Expired | ClaimStep::Revoked { .. }),
        _ => false,
    }
}

const UP: &str = concat!(env!("CARGO_BIN_EXE_ilchul"), " up --session subprocess\n");

#[test]
fn l17_stopped_at_the_keyboard_for_three_times_the_patience_nobody_is_lost_or_stopped() {
    let world = World::new();
    world.workflow(&format!(
        "heartbeat: {{ every: 100ms, unhealthy_after: 2s, lost_after: 2s, on_lost: fail }}\n{TWO}"
    ));
    let terminal = Terminal::shell(&world);
    terminal.type_in(UP);
    both_at_work(&world);
    let (up, shims) = (supervisor(&world), ["a.1", "b.1"].map(|id| world.shim(id)));
    let children = ["a.1", "b.1"].map(|id| world.child(id));
    terminal.type_in("\u{1a}");
    wait_until("the stopped supervisor", || state(up) == Some('T'));
    // The workers' own beats tell how much time passes.
    let beats = || {
        let text = std::fs::read_to_string(world.mail("a.1").join("heartbeat.json")).unwrap_or_default();
        serde_json::from_str::<serde_json::Value>(&text)
            .ok()
            .and_then(|beat| beat["seq"].as_u64())
            .unwrap_or(0)
    };
    let before = beats();
    wait_until("three times the patience", || beats() > before + 60);
    assert!(shims.iter().chain(&children).all(|process| state(process.pid) != Some('T') && runs(*process)));
    terminal.type_in("fg\n");
    wait_until("the supervisor again", || state(up).is_some_and(|state| state != 'T'));
    world.run(&["cancel", "c"]).exits(0);
    // Half a patience later it still blames nobody.
    let before = beats();
    wait_until("half a patience", || beats() > before + 11);
    assert_eq!(world.events().into_iter().find(blamed), None);
    terminal.type_in("\u{3}");
    terminal.await_screen("Interrupted (SIGINT)");
    terminal.ended(4);
    assert!(shims.into_iter().chain(children).all(runs), "Ctrl-C is for the supervisor alone");
    world.touch("go");
    world.up().exits(3);
    assert_eq!(sorted(&world), ["a.1", "b.1"]);
}

#[test]
fn stopped_again_and_again_while_workers_are_made_it_never_hangs() {
    for session in ["subprocess", "tmux"] {
        let tasks: String =
            (0..12).map(|n| format!("  t{n}: {{ run: 'echo t{n} >> $W/ledger' }}\n")).collect();
        let world = World::with(&format!("limits: {{ workers: 3 }}\ntasks:\n{tasks}"));
        let terminal = Terminal::shell(&world);
        terminal.type_in(&UP.replace("subprocess", session));
        let up = supervisor(&world);
        let mut stops = 0;
        while stops < 50 && state(up).is_some_and(|state| state != 'Z') {
            terminal.type_in("\u{1a}");
            let stopped = wait_for("it to stop or to end", || match state(up) {
                Some('T') => Some(true),
                None | Some('Z') => Some(false),
                Some(_) => None,
            });
            if stopped {
                stops += 1;
                terminal.type_in("fg\n");
                terminal.wait("it to go on", || state(up) != Some('T'));
            }
        }
        terminal.ended(0);
        assert!(stops > 5, "{session}: only {stops} stops");
        let mut ledger = world.ledger();
        ledger.sort();
        ledger.dedup();
        assert_eq!((ledger.len(), world.ledger().len()), (12, 12), "{session}: {stops} stops");
    }
}

#[test]
fn where_nobody_could_continue_it_the_keyboard_stops_it_no_more_than_the_kernel_would() {
    let world = World::with(TWO);
    // The leader of its session, as the program of a window is.
    let mut terminal = Terminal::of(&world, &[env!("CARGO_BIN_EXE_ilchul"), "up", "--session", "subprocess"]);
    both_at_work(&world);
    terminal.type_in("\u{1a}");
    terminal.await_screen("^Z");
    world.run(&["cancel", "c"]).exits(0);
    world.touch("go");
    assert_eq!(terminal.leader.wait().unwrap().code(), Some(3), "{}", terminal.screen());
}

#[test]
fn a_closed_terminal_ends_the_supervisor_as_a_hangup_and_no_worker() {
    for session in ["subprocess", "tmux"] {
        let world = World::with(TWO);
        let mut terminal = Terminal::of(&world, &[env!("CARGO_BIN_EXE_ilchul"), "up", "--session", session]);
        both_at_work(&world);
        let up = supervisor(&world);
        let shims = ["a.1", "b.1"].map(|id| world.shim(id));
        terminal.hang_up();
        wait_until("its end", || state(up).is_none_or(|state| state == 'Z'));
        assert_eq!(terminal.leader.wait().unwrap().code(), Some(4), "{session}");
        let last = world.events().pop();
        assert!(
            matches!(&last, Some(Event::Run(RunEvent::Interrupted { reason })) if reason == "SIGHUP"),
            "{last:?}"
        );
        assert!(shims.into_iter().all(runs), "{session}");
        world.touch("go");
        world.run(&["up"]).exits(0);
        assert_eq!(sorted(&world), ["a.1", "b.1", "c.1"]);
    }
}

#[test]
fn in_the_background_it_outlives_its_terminal_and_hosts_what_the_terminal_would() {
    let world = World::with(TWO);
    let mut terminal = Terminal::shell(&world);
    terminal.type_in(concat!(env!("CARGO_BIN_EXE_ilchul"), " up --detach; echo code $?\n"));
    terminal.await_screen("code 0");
    terminal.await_screen("in the background");
    both_at_work(&world);
    let up = supervisor(&world);
    // There is a terminal where it was typed, so panes are what `up` would have made.
    assert_eq!(world.state().started.session.word(), "tmux");
    terminal.hang_up();
    let _ = terminal.leader.wait();
    world.run(&["cancel", "c"]).exits(0);
    assert_eq!(supervisor(&world), up);
    world.run(&["down"]).exits(0);
    assert!(!world.is_held());
}
