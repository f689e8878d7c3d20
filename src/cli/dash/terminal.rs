//! The terminal: taken for the dashboard, and given back as it was, whatever happens.
//!
//! It leaves out what is drawn.

use std::io::{self, Stdout, stdout};
use std::sync::atomic::{AtomicBool, Ordering};

use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::Show;
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};

use crate::dash::Screen;

/// The exit code of a panic.
const PANICKED: i32 = 101;

/// The terminal is ours now. A panic has no other way to know.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// The terminal, for as long as it is held.
pub(super) struct Terminal {
    /// What is drawn on.
    pub(super) screen: Screen<CrosstermBackend<Stdout>>,
}

impl Terminal {
    /// Takes the terminal.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn take(color: bool) -> io::Result<Self> {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            // The message must not be lost with the screen that it would stand on.
            give_back();
            before(info);
            if std::thread::current().name() != Some("main") {
                // The loop would go on drawing on a terminal that isn't its own any more.
                std::process::exit(PANICKED);
            }
        }));
        let mut terminal = Self { screen: Screen::new(CrosstermBackend::new(stdout()), color) };
        terminal.enter()?;
        Ok(terminal)
    }

    /// Takes it again after [`Terminal::leave`].
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn enter(&mut self) -> io::Result<()> {
        TAKEN.store(true, Ordering::SeqCst);
        enable_raw_mode()?;
        execute!(stdout(), EnterAlternateScreen)?;
        self.screen.forget();
        Ok(())
    }

    /// Gives it back, for a while or for good.
    #[expect(clippy::unused_self, reason = "only who holds the terminal may give it back")]
    pub(super) fn leave(&self) {
        give_back();
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        give_back();
    }
}

/// As it was. A terminal that is gone can't be given back, and needn't be.
fn give_back() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        let _ = execute!(stdout(), LeaveAlternateScreen, Show);
        let _ = disable_raw_mode();
    }
}
