//! A workflow file: YAML text in, a validated [`Workflow`] or everything that is wrong with it out.
//!
//! The only room that reads people's YAML. It knows nothing of runs: whether a
//! commit exists or a program can be started is for others to find out.

mod adapters;
mod agent;
mod agents;
mod body;
mod bounds;
mod branches;
mod children;
mod control;
mod dag;
mod entrants;
mod error;
mod evidence;
mod fields;
mod file;
mod item;
mod items;
mod keys;
mod kinds;
mod millis;
mod model;
mod place;
mod read;
mod reviews;
mod scalar;
mod schema;
mod settings;
mod setup;
pub mod slurm;
mod submitted;
mod take;
mod tasks;
mod template;
mod tree;
mod trust;

#[cfg(test)]
mod tests;

use error::Sink;
use place::{Path, Source};
use tree::Span;

pub use adapters::{Catalogue, placeholders};
pub use children::{Made, made};
pub use control::{Loop, Map, Tournament};
pub use error::{Errors, Problem, Severity, render, render_problems};
pub use file::{MAX_BYTES, ReadError, read};
pub use model::{
    APPROVAL, Access, Adapter, Agent, Asked, COMMAND, Ceiling, Defaults, Evidence, Failures, Health,
    Heartbeat, Item, Launch, Limits, LogSource, Need, OnLost, Order, REDUCE, REVIEW, SessionKind, Setup,
    SlurmRequest, Task, TaskBase, TaskKind, Trust, When, Workflow, WorkspaceKind,
};
pub use schema::{schema, settings_schema};
pub use settings::{HostSettings, Notify, Settings, SettingsError};
pub use submitted::{Batch, Wrong, submitted};

/// A workflow that may be run, and what has no effect in its file.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// Every check passed.
    pub workflow: Workflow,
    /// In the order of the file's lines.
    pub warnings: Vec<Problem>,
}

/// Reads the text of a workflow file; `name` is the file as messages show it.
///
/// # Errors
/// All problems at once, each with its position. Text that isn't UTF-8 or
/// YAML stops at the first of them.
pub fn load(name: &str, text: &[u8]) -> Result<Loaded, Errors> {
    load_for(&Settings::default(), name, text)
}

/// The same for a user with settings: theirs hold where the file says nothing.
///
/// # Errors
/// As [`load`].
pub fn load_for(settings: &Settings, name: &str, text: &[u8]) -> Result<Loaded, Errors> {
    let read = parsed(name, text, |sink, root| sink.workflow(root, &stem(name), settings));
    read.map(|(workflow, warnings)| Loaded { workflow, warnings })
}

/// What a reader makes of a text's tree, and what has no effect in it.
fn parsed<T>(
    name: &str,
    text: &[u8],
    reader: impl FnOnce(&mut Sink<'_>, &tree::Node<'_>) -> Option<T>,
) -> Result<(T, Vec<Problem>), Errors> {
    // Some editors write one; to YAML it would be part of the first key.
    let skipped = if text.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
    let bytes = text.get(skipped..).unwrap_or_default();
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => return Err(not_utf8(name, bytes, skipped, error.valid_up_to())),
    };
    let mut sink = Sink::new(Source::new(text, skipped));
    let made = tree::parse(text, &mut sink).and_then(|root| reader(&mut sink, &root));
    if made.is_none() && !sink.has_errors() {
        // Unreachable by construction; a refusal without words would be worse than this one.
        sink.error(&Path::ROOT, Span::default(), "the file couldn't be read");
    }
    match (sink.finish(name), made) {
        (Ok(warnings), Some(made)) => Ok((made, warnings)),
        (Ok(problems), None) => Err(Errors { name: name.to_owned(), problems, more: 0 }),
        (Err(errors), _) => Err(errors),
    }
}

/// The file's name without folders and extension.
fn stem(name: &str) -> String {
    let stem = std::path::Path::new(name).file_stem().and_then(|stem| stem.to_str()).unwrap_or(name);
    // It becomes the workflow's name, so that what holds for a written one holds for it.
    place::visible(stem).chars().take(read::MAX_NAME).collect()
}

/// The one problem of bytes that are no text.
fn not_utf8(name: &str, bytes: &[u8], skipped: usize, valid: usize) -> Errors {
    // The valid part stays as it is, so that positions up to the fault hold.
    let shown = String::from_utf8_lossy(bytes);
    let mut sink = Sink::new(Source::new(&shown, skipped));
    let at = Span::new(valid, 1);
    let is_wide = bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff");
    if is_wide {
        sink.error_with(&Path::ROOT, at, "the file is UTF-16", "save it as UTF-8");
    } else {
        let byte = bytes.get(valid).copied().unwrap_or_default();
        let message = format!("the byte 0x{byte:02x} at offset {} isn't UTF-8", valid + skipped);
        sink.error_with(&Path::ROOT, at, message, "save the file as UTF-8");
    }
    match sink.finish(name) {
        Ok(problems) => Errors { name: name.to_owned(), problems, more: 0 },
        Err(errors) => errors,
    }
}
