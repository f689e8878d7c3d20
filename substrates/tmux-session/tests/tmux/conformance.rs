//! The suite that every substrate must pass, over a private server.
//!
//! It leaves out what only tmux promises; the other files here hold that.

use crate::support::{RUN, World};
use ilchul_conformance::{Harness, Hosts};
use ilchul_substrate::{Handle, Mark, SessionSpec};
use ilchul_tmux_session::TmuxSession;

struct Tmux {
    // Dropped first: the connection ends before the server does.
    session: TmuxSession,
    world: World,
}

impl Tmux {
    fn new() -> Self {
        let world = World::new();
        Self { session: world.open(), world }
    }
}

impl Harness for Tmux {
    type S = TmuxSession;

    fn hosts(&self) -> Hosts {
        Hosts::Session
    }

    fn substrate(&self) -> &TmuxSession {
        &self.session
    }

    fn reopened(&self) -> TmuxSession {
        self.world.open()
    }

    fn run(&self) -> &str {
        RUN
    }

    fn lasting(&self, _: &Mark) -> SessionSpec {
        self.world.spec(&["sleep", "600"])
    }

    fn ending(&self, _: &Mark, exit: i32) -> Option<SessionSpec> {
        Some(self.world.script(&format!("exit {exit}")))
    }

    /// A window of the user's that bears the mark, as one that was only half made would.
    fn obstruct(&self, mark: &Mark) -> bool {
        self.world.user_server();
        self.world.ask(&["set-option", "-p", "-t", "mine:", "@ilchul_mark", &mark.to_string()]);
        true
    }

    fn obstructed(&self, mark: &Mark) -> Result<(), String> {
        let format = "#{pane_start_command} #{pane_dead} #{@ilchul_mark}";
        let seen = self.world.ask(&["list-panes", "-s", "-t", "mine", "-F", format]);
        if seen == format!("sleep 600 0 {mark}") { Ok(()) } else { Err(seen) }
    }

    fn lose(&self, handle: &Handle) {
        self.world.note_server();
        self.world.ask(&["kill-window", "-t", &handle.fields["window"]]);
    }

    fn mistaken(&self, handle: &Handle) -> Handle {
        let ticks: u64 = handle.fields["start_ticks"].parse().unwrap();
        let mut mistaken = handle.clone();
        mistaken.fields.insert("start_ticks".to_owned(), (ticks + 1).to_string());
        mistaken
    }

    fn kept(&self, handle: &Handle) -> Result<(), String> {
        let panes = self.world.ask(&["list-panes", "-a", "-F", "#{pane_id}"]);
        if panes.lines().any(|id| id == handle.id) {
            Ok(())
        } else {
            Err(format!("{} isn't among {panes}", handle.id))
        }
    }
}

mod tmux {
    use super::Tmux;

    ilchul_conformance::conformance!(Tmux::new);
}
