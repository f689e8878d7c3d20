//! `ilchul submit FILE`: tasks that a worker adds to its run.
//!
//! It writes the next submission under the token of its assignment and waits for the answer. It
//! leaves out what a task may be: the supervisor checks that, as it checks a workflow file.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::json;

use super::Global;
use super::describe::count;
use super::error::{CliError, words};
use super::exit_code::Exit;
use super::output::Output;
use super::worker_side::{Replace, WorkerSide};
use crate::mail;
use crate::protocol::{
    self, MAX_BYTES, MAX_SUBMISSIONS, Submission, SubmissionAnswer, WORKER_SCHEMA, submit_name,
    submit_result_name,
};

/// How often the answer is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Arguments of `submit`.
#[derive(Debug, Args)]
pub struct SubmitArgs {
    /// JSON: `{"tasks": {"ID": {...}}}`, each task as in the workflow file.
    file: PathBuf,
    /// How long to wait for the answer; 0s doesn't.
    #[arg(long, value_name = "T", default_value = "30s", value_parser = super::wait::duration)]
    wait: Duration,
}

/// Runs it.
///
/// # Errors
/// Outside of a worker, for a file that is no submission, when mail can't be written, when the
/// batch is refused (1), or without an answer in time (4).
pub fn run(_global: &Global, args: &SubmitArgs, output: Output) -> Result<Exit, CliError> {
    let side = WorkerSide::here()?;
    let assignment = side.assignment()?;
    let shown = args.file.display().to_string();
    let bytes = mail::read_regular(&args.file).map_err(|error| wrong(&shown, &words(&error)))?;
    let bytes = compose((&shown, &bytes), assignment.token)?;
    let (n, path) = write(&side, &bytes)?;
    if args.wait.is_zero() {
        output.result(
            || json!({"file": path, "n": n, "accepted": null, "tasks": []}),
            || format!("Submitted as `{}`.\n", path.display()),
        );
        return Ok(Exit::Done);
    }
    let answer = wait(&side, n, args.wait)?;
    output.result(
        || json!({"file": path, "n": n, "accepted": true, "tasks": answer.tasks}),
        || {
            let ids = answer.tasks.join(", ");
            crate::render::clean(&format!("Planned {}: {ids}\n", count(answer.tasks.len(), "task")))
        },
    );
    Ok(Exit::Done)
}

fn wrong(name: &str, why: &str) -> CliError {
    CliError::new("invalid_submission", format!("use `{name}`: {why}"))
        .hint("Write `{\"tasks\": {\"ID\": {\"run\": \"...\"}}}`, each task as in the workflow file.")
}

/// The submission that a document holds, under our own token whatever stands there.
pub(super) fn compose((name, bytes): (&str, &[u8]), token: u64) -> Result<Vec<u8>, CliError> {
    let tasks = Submission::tasks(bytes).map_err(|problem| wrong(name, &problem.to_string()))?;
    let whole = serde_json::to_vec(&Submission { token, tasks });
    let whole = whole.map_err(|error| wrong(name, &error.to_string()))?;
    if whole.len() > MAX_BYTES {
        return Err(wrong(name, &format!("{} bytes, at most {MAX_BYTES} are read", whole.len())));
    }
    Ok(whole)
}

/// Writes it under the next number that nobody has taken.
pub(super) fn write(side: &WorkerSide, bytes: &[u8]) -> Result<(u32, PathBuf), CliError> {
    for n in 1..=MAX_SUBMISSIONS {
        let name = submit_name(n);
        if side.has(&name) {
            continue;
        }
        match side.write(&name, bytes, Replace::No) {
            Ok(path) => return Ok((n, path)),
            // Another process of this worker was quicker.
            Err(error) if error.code == "reported" => {}
            Err(error) => return Err(error),
        }
    }
    let message = format!("submit the tasks: {MAX_SUBMISSIONS} batches were submitted, and that is all");
    Err(CliError::new("too_many", message).hint("Submit more tasks in one batch."))
}

/// Waits for the answer; a refusal is an error.
pub(super) fn wait(side: &WorkerSide, n: u32, patience: Duration) -> Result<SubmissionAnswer, CliError> {
    let answer = answer(side, n, patience)?;
    if answer.accepted {
        return Ok(answer);
    }
    let (index, reason) = (answer.index.unwrap_or_default(), answer.reason.unwrap_or_default());
    let message = format!("submit the tasks: the task at index {index} is wrong: {}", reason.escape_debug());
    Err(CliError::new("refused", message)
        .hint("Nothing of the batch was planned. Mend that task, and submit the whole batch again.")
        .details(json!({"n": n, "index": index, "reason": reason})))
}

fn answer(side: &WorkerSide, n: u32, patience: Duration) -> Result<SubmissionAnswer, CliError> {
    let deadline = Instant::now() + patience;
    loop {
        let found = side.read(&submit_result_name(n));
        if let Some(Ok(answer)) = found.map(|bytes| protocol::parse::<SubmissionAnswer>(&bytes))
            && answer.n == n
            && answer.schema == WORKER_SCHEMA
        {
            return Ok(answer);
        }
        if Instant::now() >= deadline {
            let message = format!("get an answer to submission {n} within {} s", patience.as_secs());
            return Err(CliError::new("no_answer", message).exit(Exit::Interrupted).hint(
                "It stands in mail and will be answered when the supervisor goes on, while this attempt's token lives.",
            ));
        }
        std::thread::sleep(LOOK_EVERY);
    }
}
