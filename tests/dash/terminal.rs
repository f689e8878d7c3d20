//! A terminal that a test types in and reads: one window of a tmux server of its own.

use super::world::{World, wait_until};

/// The server's name, below the world's own folder.
const LABEL: &str = "screen";

/// A terminal with a shell that has jobs.
pub struct Terminal<'w> {
    world: &'w World,
}

impl<'w> Terminal<'w> {
    /// One of this size.
    #[track_caller]
    pub fn new(world: &'w World, columns: u16, lines: u16) -> Self {
        let terminal = Self { world };
        let (columns, lines) = (columns.to_string(), lines.to_string());
        let size = ["new-session", "-d", "-x", &columns, "-y", &lines];
        terminal.tmux(&[&["-f", "/dev/null"], &size[..], &["env", "PS1=$ ", "sh", "-im"]].concat());
        terminal.await_screen("$");
        terminal
    }

    fn tmux(&self, args: &[&str]) -> String {
        self.world.tmux(&[&["-L", LABEL], args].concat()).exits(0).stdout
    }

    /// Types a line and Enter.
    pub fn line(&self, text: &str) {
        self.tmux(&["send-keys", "-l", text]);
        self.key("Enter");
    }

    /// Starts ilchul with these arguments.
    pub fn ilchul(&self, args: &str) {
        self.line(&format!("{} {args}", env!("CARGO_BIN_EXE_ilchul")));
    }

    /// Presses one key, by tmux's name for it.
    pub fn key(&self, key: &str) {
        self.tmux(&["send-keys", key]);
    }

    /// Another size.
    pub fn resize(&self, columns: u16, lines: u16) {
        self.tmux(&["resize-window", "-x", &columns.to_string(), "-y", &lines.to_string()]);
    }

    /// What is on the screen.
    pub fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p"])
    }

    /// What a format says of the pane.
    pub fn is(&self, format: &str) -> String {
        self.tmux(&["display-message", "-p", format]).trim().to_owned()
    }

    /// Waits until the screen is as `holds` says.
    #[track_caller]
    pub fn await_that(&self, what: &str, mut holds: impl FnMut(&str) -> bool) {
        let waited = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            wait_until(what, || holds(&self.screen()));
        }));
        assert!(waited.is_ok(), "waited in vain for {what}:\n{}", self.screen());
    }

    /// Waits until all of these stand on the screen, in one line where a text has several.
    #[track_caller]
    pub fn await_screen(&self, text: &str) {
        self.await_that(&format!("`{text}`"), |screen| screen.contains(text));
    }

    /// Waits until one line has all of these words.
    #[track_caller]
    pub fn await_line(&self, words: &[&str]) {
        let has = |line: &str| words.iter().all(|word| line.contains(word));
        self.await_that(&format!("a line with {words:?}"), |screen| screen.lines().any(has));
    }

    /// Waits until keys are the shell's: whoever leaves the screen drops those that were for him.
    #[track_caller]
    pub fn await_prompt(&self) {
        self.await_that("the shell's turn", |_| self.is("#{alternate_on} #{pane_current_command}") == "0 sh");
    }

    /// Waits until the dashboard has given the terminal back to the shell, as it was.
    #[track_caller]
    pub fn await_shell(&self, code: i32) {
        self.await_prompt();
        self.line("echo code $?; stty -a | tr ';' '\\n' | grep -c -w -e -icanon -e -echo -e -isig");
        self.await_that("a sane terminal", |screen| screen.contains(&format!("code {code}\n0\n")));
        assert_eq!(self.is("#{cursor_flag}"), "1", "the cursor is shown again");
    }
}
