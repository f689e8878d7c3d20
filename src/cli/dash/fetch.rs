//! The texts beside the list: read where they lie, each on a thread that nobody waits for.
//!
//! All of it was written by workers: bounded, and control characters made visible. It leaves
//! out which text is wanted.

use std::fs::File;
use std::io::{Read as _, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ilchul_git_worktree::GitWorktree;

use super::super::Global;
use super::super::error::CliError;
use super::super::read::{OfRun, Read};
use super::feed::Feed;
use super::news::{News, Post};
use crate::dash::{Kind, Topic};
use crate::engine::bundle::Bundles;
use crate::home::read_plain;
use crate::render::evidence::{self, Dossier};
use crate::render::log::visible;
use crate::render::table::Screen;
use crate::render::{clean, words};
use crate::supervisor::clock::wall_ms;

/// How much of a log's end is shown, in bytes.
const LOG_MAX: u64 = 512 * 1024;
/// How much of a diff is shown, in bytes.
const DIFF_MAX: usize = 512 * 1024;

/// A text that was asked for.
#[derive(Debug)]
pub(super) struct Fetched {
    /// What was asked for.
    pub(super) topic: Topic,
    /// The text, clean.
    pub(super) text: String,
    /// What a title says beside it.
    pub(super) note: String,
}

/// Begins to fetch what `topic` asks for; the text comes as news.
pub(super) fn begin(global: &Global, feed: &Feed, topic: Topic, post: &Post) {
    let (global, run, post) = (global.clone(), feed.read.view.id.clone(), post.clone());
    let change = (feed.read.place.repository.clone(), feed.base(&topic.task), head(feed, &topic.task));
    std::thread::spawn(move || {
        let fetched = match topic.kind {
            Kind::Evidence => evidence_of(&global, run, &topic).map(|text| (text, String::new())),
            Kind::Diff => diff(&change),
            Kind::Why | Kind::Help | Kind::Log => Ok(Default::default()),
        };
        let (text, note) = fetched.unwrap_or_else(|error| (failed(&error), String::new()));
        post.send(News::Fetched(Fetched { topic, text, note }));
    });
}

/// An error in the place of a text.
pub(super) fn failed(error: &CliError) -> String {
    clean(&format!("This can't be shown: failed to {}.\n{}", error.message.trim_end_matches('.'), error.hint))
}

fn evidence_of(global: &Global, run: String, topic: &Topic) -> Result<String, CliError> {
    if topic.attempt == 0 {
        return Ok(format!("`{}` was never tried: nothing was checked.", topic.task));
    }
    let of = OfRun { run: Some(run) };
    let (read, mut bundles) = Read::open_with(global, &of, |rows| {
        Bundles::gather(rows.iter().map(|row| (row.at, &row.event)), Some(&topic.task))
    })?;
    let task = read.task(&topic.task)?;
    let (declared, until) = (task.declared.clone(), task.until.clone());
    let bundle = bundles.remove(&topic.task, topic.attempt);
    let dossier = Dossier { declared, until, bundle, change: None };
    Ok(evidence::text(&dossier, Screen { color: false, width: None, now_ms: wall_ms() }))
}

/// What a task changed, or is changing: its head, else the tip of its worker's branch.
#[derive(Debug)]
enum Head {
    Commit(String),
    Branch(String),
    /// It has no worktree, or none yet.
    None,
}

fn head(feed: &Feed, task: &str) -> Head {
    let Some(task) = feed.read.view.task(task) else { return Head::None };
    if let Some(head) = &task.head {
        return Head::Commit(head.clone());
    }
    let worker = task.worker.as_deref().and_then(|id| feed.read.view.worker(id));
    let branch = worker.and_then(|worker| worker.workspace.as_ref()?.fields.get("branch").cloned());
    branch.map_or(Head::None, Head::Branch)
}

fn diff(
    (repository, base, head): &(Arc<GitWorktree>, Option<String>, Head),
) -> Result<(String, String), CliError> {
    let git = |error: ilchul_substrate::Error| CliError::new("diff", super::super::error::words(&error));
    let (head, so_far) = match head {
        Head::Commit(head) => (head.clone(), ""),
        Head::Branch(branch) => {
            let tip = repository.resolve_commit(&format!("refs/heads/{branch}")).map_err(git)?;
            (tip, ", committed so far")
        }
        Head::None => return Ok(("It has no commits of its own.".to_owned(), String::new())),
    };
    let Some(base) = base else { return Ok(("It has no base yet.".to_owned(), String::new())) };
    let note = format!("{}..{}{so_far}", words::short(base), words::short(&head));
    let patch = repository.patch(base, &head, DIFF_MAX).map_err(git)?;
    let text = match (patch.text.is_empty(), patch.whole) {
        (true, _) => "Nothing was changed.".to_owned(),
        (false, true) => clean(&patch.text),
        (false, false) => {
            format!("{}\n... cut off here: `git diff {base} {head}` has it whole", clean(&patch.text))
        }
    };
    Ok((text, note))
}

/// A log that is looked at again and again.
#[derive(Debug)]
pub(super) struct Log {
    topic: Topic,
    path: PathBuf,
    /// How long it was, and whether anything was shown at all.
    seen: Option<u64>,
}

impl Log {
    /// The log of the worker that `topic` is about.
    pub(super) fn new(feed: &Feed, topic: Topic) -> Self {
        let worker = format!("{}.{}", topic.task, topic.attempt);
        let path = feed.read.place.home.log(&feed.read.view.id, &worker);
        Self { topic, path, seen: None }
    }

    /// What it is about.
    pub(super) fn topic(&self) -> &Topic {
        &self.topic
    }

    /// Its end, if it is another one than at the last look.
    pub(super) fn look(&mut self) -> Option<Fetched> {
        let read = tail(&self.path, self.seen);
        let (text, note, seen) = match read {
            Ok(None) => return None,
            Ok(Some((bytes, length))) => {
                let whole = length <= LOG_MAX;
                let note = if whole { String::new() } else { format!("the last {} KiB", LOG_MAX >> 10) };
                let text = if bytes.is_empty() { self.nothing() } else { visible(&bytes) };
                (text, note, length)
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && self.seen.is_none() => {
                (self.nothing(), String::new(), 0)
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
            Err(error) => {
                let message = format!("read the log `{}`: {error}", self.path.display());
                (failed(&CliError::new("log", message)), String::new(), u64::MAX)
            }
        };
        if self.seen.replace(seen) == Some(seen) {
            return None;
        }
        Some(Fetched { topic: self.topic.clone(), text, note })
    }

    fn nothing(&self) -> String {
        match self.topic.attempt {
            0 => format!("`{}` has no worker yet.", self.topic.task),
            _ => format!("`{}.{}` has printed nothing so far.", self.topic.task, self.topic.attempt),
        }
    }
}

/// The end of a file and its length; `None` where it is as long as it was.
fn tail(path: &Path, seen: Option<u64>) -> std::io::Result<Option<(Vec<u8>, u64)>> {
    let mut file: File = read_plain(path)?;
    let length = file.metadata()?.len();
    if Some(length) == seen {
        return Ok(None);
    }
    file.seek(SeekFrom::Start(length.saturating_sub(LOG_MAX)))?;
    let mut bytes = Vec::new();
    file.take(LOG_MAX).read_to_end(&mut bytes)?;
    Ok(Some((bytes, length)))
}
