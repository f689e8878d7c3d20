//! What stands on the terminal now, so that only what differs is written.
//!
//! A picture that is the same writes nothing at all. It leaves out what is in the picture.

use ratatui::backend::Backend;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::Dash;

/// A terminal and what was last written to it.
#[derive(Debug)]
pub struct Screen<B: Backend> {
    backend: B,
    shown: Buffer,
    color: bool,
    /// Nothing on the terminal is known to be ours.
    stale: bool,
}

impl<B: Backend> Screen<B> {
    /// A screen of which nothing is known yet.
    #[must_use]
    pub fn new(backend: B, color: bool) -> Self {
        Self { backend, shown: Buffer::default(), color, stale: true }
    }

    /// Somebody else wrote there: the next picture is written whole.
    pub fn forget(&mut self) {
        self.stale = true;
    }

    /// The terminal.
    pub fn backend_mut(&mut self) -> &mut B {
        &mut self.backend
    }

    /// Draws the dashboard; returns how many cells were written.
    ///
    /// # Errors
    /// What the terminal says.
    pub fn draw(&mut self, dash: &mut Dash) -> Result<usize, B::Error> {
        let size = self.backend.size()?;
        let area = Rect::new(0, 0, size.width, size.height);
        let mut next = Buffer::empty(area);
        dash.draw(&mut next, self.color);
        if self.stale || self.shown.area != area {
            self.backend.clear()?;
            self.backend.hide_cursor()?;
            self.shown = Buffer::empty(area);
            self.stale = false;
        }
        let changed = self.shown.diff(&next);
        let count = changed.len();
        if count > 0 {
            self.backend.draw(changed.into_iter())?;
            self.backend.flush()?;
        }
        self.shown = next;
        Ok(count)
    }
}
