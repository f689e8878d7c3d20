//! `ilchul page FILE`: the run as one HTML file that loads nothing, for whoever gets it.
//!
//! It reads the run, the ends of logs and of what commands printed, and writes one file whole.
//! It leaves out how anything looks (`render`).

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read as _, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use clap::Args;
use rustix::fs::{CWD, Mode, OFlags, openat};
use serde_json::{Value, json};

use super::Global;
use super::error::CliError;
use super::exit_code::Exit;
use super::export::{self, Document};
use super::output::{self, Output};
use super::read::{OfRun, Read};
use crate::engine::task_table::TaskPhase;
use crate::engine::view::TaskView;
use crate::home::{Home, read_plain};
use crate::journal::blobs;
use crate::render::graph::Graph;
use crate::render::log::visible;
use crate::render::page::{self, Page, Story, Tail};
use crate::supervisor::clock::wall_ms;

/// How much of the end of some output stands in a page: of what went wrong, and of the rest.
const LOUD: u64 = 8 << 10;
const QUIET: u64 = 2 << 10;
/// How much there may be of all of them: a page that nobody can open helps nobody.
const LOGS_MAX: u64 = 8 << 20;

/// Arguments of `page`.
#[derive(Debug, Args)]
pub struct PageArgs {
    /// The file to write; `-` is stdout.
    file: PathBuf,
    /// Replace a file that ilchul didn't write.
    #[arg(long)]
    force: bool,
    /// Leave out what workers and commands printed.
    #[arg(long)]
    no_logs: bool,
    #[command(flatten)]
    of: OfRun,
}

/// Runs it.
///
/// # Errors
/// When there is no run, the journal is damaged, or the file can't be written.
pub fn run(global: &Global, args: &PageArgs, output: Output) -> Result<Exit, CliError> {
    let to_stdout = args.file.as_os_str() == "-";
    if to_stdout && output.json {
        let message = "print the page and one JSON document: stdout holds one of them";
        return Err(CliError::new("usage", message)
            .exit(Exit::Usage)
            .hint("Leave out `--json`, or name a file."));
    }
    let gather = |rows: &[crate::journal::Recorded]| {
        Story::gather(rows.iter().map(|row| (row.seq, row.at, &row.event)))
    };
    let (read, story, graph) = Read::open_drawn(global, &args.of, gather, Graph::of_run)?;
    let (logs, outputs) = if args.no_logs { Default::default() } else { Ends::gather(&read) };
    let beside = read.beside(false);
    let page = Page {
        view: &read.view,
        held: read.held,
        beside: &beside,
        graph: &graph,
        story,
        logs,
        outputs,
        made_ms: wall_ms(),
    };
    let text = page::document(page)
        .map_err(|error| CliError::new("page", format!("fill in the page: {error:#}")))?;
    if to_stdout {
        output::print(&text);
        return Ok(Exit::Done);
    }
    let bytes = text.len();
    write(&args.file, text, args.force)?;
    let file = args.file.display().to_string();
    output.result(
        || json!({"run": read.view.id, "file": file, "bytes": bytes}),
        || {
            let size = bytes.div_ceil(1024);
            crate::render::clean(&format!(
                "The page of run {} is in `{file}` ({size} KiB). It loads nothing: open it in any browser.\n",
                read.view.id
            ))
        },
    );
    Ok(Exit::Done)
}

/// What is read of logs and blobs, within one bound.
struct Ends<'r> {
    home: &'r Home,
    left: u64,
}

type Tails = BTreeMap<String, Tail>;

impl<'r> Ends<'r> {
    /// By worker, and by digest. What can't be read is left out: the record doesn't hang on it.
    fn gather(read: &'r Read) -> (Tails, Tails) {
        let mut ends = Self { home: &read.place.home, left: LOGS_MAX };
        let (mut logs, mut outputs) = (Tails::new(), Tails::new());
        // What went wrong comes first, so that a bound cuts what nobody asks for.
        let (quiet, loud): (Vec<&TaskView>, Vec<&TaskView>) =
            read.view.tasks.iter().partition(|task| is_quiet(task));
        for (task, most) in
            loud.into_iter().map(|task| (task, LOUD)).chain(quiet.into_iter().map(|task| (task, QUIET)))
        {
            if let Some(worker) = &task.worker {
                let log = ends.home.log(&read.view.id, worker);
                logs.extend(ends.end(&log, most).map(|tail| (worker.clone(), tail)));
            }
            for checked in task.evidence.iter().chain(&task.conditions) {
                let Some(sha256) = checked.facts.get("log_sha256").and_then(Value::as_str) else { continue };
                if is_digest(sha256) && !outputs.contains_key(sha256) {
                    let tail = ends.end(&blobs::path(ends.home, sha256), most);
                    outputs.extend(tail.map(|tail| (sha256.to_owned(), tail)));
                }
            }
        }
        (logs, outputs)
    }

    /// The end of a file, from the beginning of a line on; none where there is nothing.
    fn end(&mut self, path: &Path, most: u64) -> Option<Tail> {
        let mut file = read_plain(path).ok()?;
        let bytes = file.metadata().ok()?.len();
        let most = most.min(self.left);
        let from = bytes.saturating_sub(most);
        file.seek(SeekFrom::Start(from)).ok()?;
        let mut end = Vec::new();
        file.take(most).read_to_end(&mut end).ok()?;
        self.left = self.left.saturating_sub(end.len() as u64);
        let cut =
            if from == 0 { 0 } else { end.iter().position(|byte| *byte == b'\n').map_or(0, |at| at + 1) };
        let text = visible(&end[cut..]);
        (!text.trim().is_empty()).then_some(Tail { text, bytes, whole: from == 0 })
    }
}

fn is_quiet(task: &TaskView) -> bool {
    matches!(task.phase, TaskPhase::Completed | TaskPhase::Skipped)
}

/// What was recorded may be anything; a path is made of digits only.
fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Writes the file whole, in the place of none or of one of ours.
fn write(path: &Path, text: String, force: bool) -> Result<(), CliError> {
    let wrong =
        |error: &dyn std::fmt::Display| CliError::new("page", format!("write `{}`: {error}", path.display()));
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| wrong(&"it names no file").hint("Name a file, or `-` for stdout."))?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let folder = openat(CWD, parent, flags, Mode::empty())
        .map_err(|error| wrong(&error).hint("Name a file in a folder that is there."))?;
    let folder = File::from(folder);
    let mut document = Document { name: name.to_owned(), text, is_ours: page::is_ours, replaces: false };
    document.replaces = match export::look(&folder, &document) {
        Ok(replaces) => replaces,
        // The name is replaced, never what a link leads to.
        Err(_) if force && !path.is_dir() => true,
        Err(why) => {
            let hint = "Nothing was written. Name another file, or replace this one with `--force`.";
            return Err(
                CliError::new("page_in_the_way", format!("write `{}`: {why}", path.display())).hint(hint)
            );
        }
    };
    export::put(&folder, &document).and_then(|()| folder.sync_all()).map_err(|error| wrong(&error))
}
