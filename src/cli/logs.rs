//! `ilchul logs TASK`: what a worker printed, made safe to show.

use std::fs::File;
use std::io::{Read as _, Seek, SeekFrom};
use std::path::Path;
use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::Global;
use super::error::CliError;
use super::exit_code::Exit;
use super::output::{self, Output};
use super::read::{self, OfRun, Read};
use crate::engine::worker_table::WorkerPhase;
use crate::home::read_plain;
use crate::journal::Recorded;
use crate::protocol;
use crate::render::log::{LogFilter, visible};

/// How often `-f` looks for more.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// What is read at once.
const PIECE: usize = 64 * 1024;
/// How much of the end `--json` carries.
const JSON_MAX: u64 = 1 << 20;

/// Arguments of `logs`.
#[derive(Debug, Args)]
pub struct LogsArgs {
    /// The task, or a worker (`<task>.<attempt>`).
    #[arg(value_name = "TASK")]
    name: String,
    /// Go on with what comes, until the attempt ends.
    #[arg(short, long)]
    follow: bool,
    /// What the setup of its tree printed, in place of the worker's own output.
    #[arg(long, conflicts_with = "follow")]
    setup: bool,
    /// Which attempt; the last by default.
    #[arg(long, value_name = "N")]
    attempt: Option<u32>,
    #[command(flatten)]
    of: OfRun,
}

impl LogsArgs {
    /// Whether it goes on until the run ends, or until nobody reads it any more.
    pub(super) fn follows(&self) -> bool {
        self.follow
    }
}

/// Runs it.
///
/// # Errors
/// When there is no such run, task or attempt, or its log can't be read.
pub fn run(global: &Global, args: &LogsArgs, output: Output) -> Result<Exit, CliError> {
    if args.follow && output.json {
        let message = "follow as one JSON document: it never ends";
        return Err(CliError::new("usage", message).exit(Exit::Usage).hint("Leave out `--json` or `-f`."));
    }
    let mut read = Read::open(global, &args.of)?;
    let worker = read.worker(&args.name, args.attempt)?.clone();
    let home = &read.place.home;
    let path = if args.setup {
        home.setup_log(&read.view.id, &worker.id)
    } else {
        home.log(&read.view.id, &worker.id)
    };
    if output.json {
        let (text, whole) = tail(&path)?;
        let data = || {
            json!({"task": worker.task, "attempt": worker.attempt, "worker": worker.id,
                "path": path.display().to_string(), "text": text, "whole": whole})
        };
        output.result(data, String::new);
        return Ok(Exit::Done);
    }
    let mut log = Log { filter: filter(), file: None, path: &path };
    if !log.drain()? {
        return Ok(Exit::Done);
    }
    if !args.follow {
        if log.file.is_none() {
            let what = if args.setup { "The setup of" } else { "" };
            output::talk(format!("{what} `{}` has written nothing so far.", worker.id).trim_start());
        }
        log.finish();
        return Ok(Exit::Done);
    }
    let mail = read.place.home.mail(&read.view.id, &worker.id);
    let mut over = !worker.phase.is_live();
    // Looked at before the last drain, so that nothing written before the end is missed.
    while !over {
        over = is_over(&read.follower.poll()?, &worker.id) || mail.join(protocol::EXIT).exists();
        let read = over || read::pause_for_reader(LOOK_EVERY);
        if !read || !log.drain()? {
            return Ok(Exit::Done);
        }
    }
    log.finish();
    Ok(Exit::Done)
}

fn filter() -> LogFilter {
    if output::is_seen() { LogFilter::visible() } else { LogFilter::stripped() }
}

/// Whether these rows end the attempt's worker.
fn is_over(rows: &[Recorded], worker: &str) -> bool {
    let ended = [
        WorkerPhase::CompletedRetained,
        WorkerPhase::SafeToClose,
        WorkerPhase::StaleRegistry,
        WorkerPhase::Closed,
    ];
    rows.iter().filter(|row| row.event.worker() == Some(worker)).any(|row| {
        let kind = row.event.kind();
        kind.strip_prefix("worker.").is_some_and(|word| ended.iter().any(|phase| phase.word() == word))
    })
}

/// A log that is read as it grows. It may not be there yet.
struct Log<'p> {
    filter: LogFilter,
    file: Option<File>,
    path: &'p Path,
}

impl Log<'_> {
    /// Prints what has come; `false` when nobody reads any more.
    fn drain(&mut self) -> Result<bool, CliError> {
        if self.file.is_none() {
            self.file = open(self.path)?;
        }
        let Some(file) = &mut self.file else { return Ok(true) };
        let mut piece = vec![0; PIECE];
        loop {
            let got = file.read(&mut piece).map_err(|error| unreadable(self.path, &error))?;
            if got == 0 {
                return Ok(true);
            }
            if !read::emit(&self.filter.push(&piece[..got])) {
                return Ok(false);
            }
        }
    }

    fn finish(self) {
        // Nothing follows, so it is no matter whether anybody still reads.
        let _ = read::emit(&self.filter.finish());
    }
}

fn open(path: &Path) -> Result<Option<File>, CliError> {
    match read_plain(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(unreadable(path, &error)),
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> CliError {
    CliError::new("log", format!("read the log `{}`: {error}", path.display()))
}

/// The end of a log for `--json`, and whether that is all of it.
fn tail(path: &Path) -> Result<(String, bool), CliError> {
    let fail = |error: std::io::Error| unreadable(path, &error);
    let Some(mut file) = open(path)? else { return Ok((String::new(), true)) };
    let length = file.metadata().map_err(fail)?.len();
    let from = length.saturating_sub(JSON_MAX);
    file.seek(SeekFrom::Start(from)).map_err(fail)?;
    let mut bytes = Vec::new();
    file.take(JSON_MAX).read_to_end(&mut bytes).map_err(fail)?;
    Ok((visible(&bytes), from == 0))
}
