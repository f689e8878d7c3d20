//! One run as one HTML file: what happened, when, on which evidence, for whoever gets the file.
//!
//! It loads nothing and runs nothing: no script, no font, no address; its policy forbids them
//! too. Every text passes one door (`written`), where control characters are made visible and
//! markup is escaped, whoever wrote it. It leaves out reading logs and writing the file.

mod chart;
mod lanes;
mod notes;
mod overview;
mod picture;
mod tasks;
mod timeline;
mod words;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod timeline_tests;

use std::collections::BTreeMap;
use std::time::Duration;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, Output, State, Value as Shown, escape_formatter};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::{Beside, clean};
use crate::engine::bundle::Bundles;
use crate::engine::event::Event;
use crate::engine::moment::Stamp;
use crate::engine::view::RunView;
use crate::render::graph::Graph;

pub use notes::Notes;
pub use timeline::Timeline;

/// By its beginning a file is known as one that ilchul wrote.
const HEAD: &str = "<!DOCTYPE html>\n<!-- written by ilchul page -->\n";
const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");

/// The end of some output, made safe to show.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tail {
    /// Whole lines.
    pub text: String,
    /// How many bytes there are in all.
    pub bytes: u64,
    /// That is all of it.
    pub whole: bool,
}

/// What only the events tell, gathered in one pass before they are folded away.
#[derive(Debug, Clone, Default)]
pub struct Story {
    /// Who was at what, when.
    pub timeline: Timeline,
    /// The attempts.
    pub bundles: Bundles,
    /// What was refused, ignored and seen to drift.
    pub notes: Notes,
    /// How many events there are, and the number of the last.
    pub entries: (usize, u64),
}

impl Story {
    /// From a run's events with their numbers, oldest first.
    pub fn gather<'e, I: Iterator<Item = (u64, Stamp, &'e Event)> + Clone>(events: I) -> Self {
        let stamped = || events.clone().map(|(_, at, event)| (at, event));
        let last = events.clone().last().map_or(0, |(seq, ..)| seq);
        Self {
            timeline: Timeline::gather(stamped()),
            bundles: Bundles::gather(stamped(), None),
            notes: Notes::gather(events.clone()),
            entries: (events.count(), last),
        }
    }
}

/// All that a page is made from.
#[derive(Debug)]
pub struct Page<'v> {
    /// The run.
    pub view: &'v RunView,
    /// A supervisor drives it now.
    pub held: bool,
    /// What no view holds.
    pub beside: &'v Beside,
    /// The tasks as they are drawn.
    pub graph: &'v Graph,
    /// What its events tell.
    pub story: Story,
    /// The ends of the workers' logs, by worker.
    pub logs: BTreeMap<String, Tail>,
    /// The ends of what evidence commands printed, by the digest of the whole.
    pub outputs: BTreeMap<String, Tail>,
    /// When it is made, in milliseconds since 1970.
    pub made_ms: i64,
}

/// The document.
///
/// # Errors
/// When the template and what fills it don't fit together, which is a bug of ours.
pub fn document(mut page: Page<'_>) -> Result<String, minijinja::Error> {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
    environment.set_formatter(written);
    environment.add_filter("parts", |text: &str| text.split('`').map(str::to_owned).collect::<Vec<_>>());
    environment.add_template("page", PAGE)?;
    if page.held {
        // The wall clock is only a label, but the run's own line isn't known to who only looks.
        let since = page.made_ms.saturating_sub(page.view.last_at.wall_ms);
        page.story.timeline.go_on(Duration::from_millis(u64::try_from(since).unwrap_or(0)));
    }
    let run = overview::run(&page);
    let bundles = std::mem::take(&mut page.story.bundles);
    let values = json!({
        "style": STYLE,
        "style_hash": base64(&Sha256::digest(STYLE)),
        "version": env!("CARGO_PKG_VERSION"),
        "run": run,
        "attention": overview::attention(&page),
        "tally": overview::tally(page.view),
        "budget": overview::budget(page.view),
        "picture": picture::picture(page.graph),
        "timeline": lanes::timeline(&page),
        "waits": overview::waits(page.view),
        "tasks": tasks::tasks(&page, bundles),
        "notes": page.story.notes.json(),
        "has_logs": !page.logs.is_empty() || !page.outputs.is_empty(),
    });
    let body = environment.get_template("page")?.render(Serde(values))?;
    Ok(format!("{HEAD}{body}"))
}

/// Whether a file with these bytes is a page that ilchul wrote.
#[must_use]
pub fn is_ours(bytes: &[u8]) -> bool {
    bytes.starts_with(HEAD.as_bytes())
}

/// The one door to the page.
fn written(out: &mut Output<'_>, state: &mut State<'_, '_>, value: &Shown) -> Result<(), minijinja::Error> {
    match value.as_str() {
        Some(text) if !value.is_safe() => escape_formatter(out, state, &Shown::from(told(text))),
        // A missing value would be a hole in a sentence.
        _ => escape_formatter(out, state, value),
    }
}

/// Text that may stand in a document at all.
fn told(text: &str) -> String {
    // Neither may be in one, not even by its number.
    clean(text).replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}")
}

/// Base64, as a policy writes digests.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let group =
            (0..3).fold(0_u32, |all, place| all << 8 | u32::from(chunk.get(place).copied().unwrap_or(0)));
        for place in 0..4 {
            let letter = LETTERS[(group >> (18 - 6 * place) & 63) as usize];
            out.push(if place <= chunk.len() { char::from(letter) } else { '=' });
        }
    }
    out
}
