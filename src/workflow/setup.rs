//! `setup`: what every fresh worktree is given before its worker is ready.
//!
//! It leaves out whether anybody approved it, and which files its patterns find.

use std::time::Duration;

use super::error::Sink;
use super::fields::Field;
use super::keys;
use super::model::Setup;
use super::place::Path;
use super::scalar;
use super::tree::Node;

/// The time of all commands together, where the file names none.
const TIMEOUT: Duration = Duration::from_secs(5 * 60);
/// The longest: whoever waits for a worker waits for this too.
const MAX_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);
/// Patterns and commands, each: every worktree pays for them.
const MAX_ENTRIES: usize = 200;

impl Sink<'_> {
    /// The mapping. `None`: it isn't one, or it asks for nothing.
    pub(super) fn setup(&mut self, at: &Path<'_>, node: &Node<'_>) -> Option<Setup> {
        let body = self.fields(at, node, &keys::SETUP)?;
        if body.get("include").is_none() && body.get("run").is_none() && body.reported.is_empty() {
            self.error(at, node.span, "a setup has `include`, `run` or both");
        }
        let include = body.get("include").map(|field| self.included(at, field)).unwrap_or_default();
        let run = body.get("run").map(|field| self.lines(at, field)).unwrap_or_default();
        let timeout = body.get("timeout").and_then(|field| {
            let timeout = self.duration(at, field)?;
            if timeout > MAX_TIMEOUT {
                self.error(&at.key("timeout"), field.value.span, "a setup may take at most 24h");
            }
            Some(timeout)
        });
        Some(Setup { include, run, timeout: timeout.unwrap_or(TIMEOUT) })
    }

    /// Patterns, each of which stays below the checkout's root.
    fn included(&mut self, at: &Path<'_>, field: Field<'_, '_>) -> Vec<String> {
        let at = at.key(field.key.name);
        let items = self.list(&at, field.value).unwrap_or_default();
        self.bounded(&at, field, items.len());
        let mut patterns = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let at = at.index(index);
            let Some(text) = self.text(&at, item) else { continue };
            match scalar::glob(text) {
                Ok(()) => patterns.push(text.to_owned()),
                Err(fault) => self.fault(&at, item, fault),
            }
        }
        patterns
    }

    /// Command lines.
    fn lines(&mut self, at: &Path<'_>, field: Field<'_, '_>) -> Vec<String> {
        let at = at.key(field.key.name);
        let items = self.list(&at, field.value).unwrap_or_default();
        self.bounded(&at, field, items.len());
        let read = |(index, item)| self.filled(&at.index(index), item).map(str::to_owned);
        items.iter().enumerate().filter_map(read).collect()
    }

    fn bounded(&mut self, at: &Path<'_>, field: Field<'_, '_>, count: usize) {
        if count > MAX_ENTRIES {
            let message = format!("{count} entries are more than the {MAX_ENTRIES} that a setup may have");
            self.error(at, field.value.span, message);
        }
    }
}
