//! A program in a real terminal: a window of a tmux server that belongs to the test's world.

use super::world::{World, wait_for};

/// How tall and wide the terminal is.
const SIZE: (&str, &str) = ("24", "100");

/// One terminal with one program in it.
pub struct Pane<'w> {
    world: &'w World,
    name: &'static str,
}

impl<'w> Pane<'w> {
    /// Starts `line` in a terminal of its own.
    #[track_caller]
    pub fn start(world: &'w World, name: &'static str, line: &str) -> Self {
        let size = ["-x", SIZE.1, "-y", SIZE.0];
        world.tmux(&[&["new-session", "-d", "-s", name], &size[..], &[line]].concat()).exits(0);
        Self { world, name }
    }

    /// Types text, as it is.
    #[track_caller]
    pub fn types(&self, text: &str) {
        self.world.tmux(&["send-keys", "-t", self.name, "-l", text]).exits(0);
    }

    /// Presses one key, by tmux's name of it.
    #[track_caller]
    pub fn presses(&self, key: &str) {
        self.world.tmux(&["send-keys", "-t", self.name, key]).exits(0);
    }

    /// What is on the screen now.
    #[track_caller]
    pub fn screen(&self) -> String {
        self.world.tmux(&["capture-pane", "-p", "-t", self.name]).exits(0).stdout
    }

    /// Waits until the screen is as `fits` wants it.
    #[track_caller]
    pub fn until(&self, what: &str, fits: impl Fn(&str) -> bool) -> String {
        let mut last = String::new();
        let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            wait_for(what, || {
                last = self.screen();
                fits(&last).then(|| last.clone())
            })
        }));
        found.unwrap_or_else(|_| panic!("waited in vain for {what}; on the screen:\n{last}"))
    }
}
