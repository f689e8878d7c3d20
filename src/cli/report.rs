//! `ilchul report`: says what came of a worker's work, or checks such a report.
//!
//! A report is a claim. It leaves out whether it is true and whether it still counts:
//! the supervisor checks both.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde_json::{Map, Value, json};

use super::Global;
use super::claims::{self, Reference};
use super::describe::count;
use super::error::{CliError, words};
use super::exit_code::Exit;
use super::output::{self, Output};
use super::question;
use super::worker_side::{Replace, WorkerSide};
use crate::mail;
use crate::protocol::{AGAIN, Assignment, Problem, REPORT, REPORT_SCHEMA, Report, ReportStatus, answer_name};

/// Arguments of `report`.
#[derive(Debug, Args, Default)]
pub struct ReportArgs {
    /// Say all that is wrong with the report in FILE, and write none.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["status", "summary", "reason", "evidence", "output", "tokens", "usd", "wait", "retry_after"])]
    pub(super) check: Option<PathBuf>,
    /// How it went.
    #[arg(long, required_unless_present_any = ["check", "wait"], value_parser = clap::builder::PossibleValuesParser::new(ReportStatus::WORDS))]
    pub(super) status: Option<String>,
    /// What was done, in a sentence or a few. Default: what `--reason` says.
    #[arg(long, value_name = "TEXT", required_unless_present_any = ["check", "reason", "wait"])]
    pub(super) summary: Option<String>,
    /// Why it went so, where it isn't `done`.
    #[arg(long, value_name = "TEXT")]
    pub(super) reason: Option<String>,
    /// What to look at: artifact=PATH, log=PATH, commit=ID or command=TEXT; paths count from the tree.
    #[arg(long, value_name = "KIND=VALUE", value_parser = claims::reference)]
    pub(super) evidence: Vec<Reference>,
    /// A value for other tasks: NAME=TEXT, or NAME:=JSON, as in `parts:=["a", "b"]`.
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    pub(super) output: Vec<(String, Value)>,
    /// Model tokens used.
    #[arg(long = "usage-tokens", value_name = "N")]
    pub(super) tokens: Option<u64>,
    /// With `failed`: the provider refuses work for now, and this is how long. No retry is spent.
    #[arg(long, value_name = "T", value_parser = super::wait::duration)]
    pub(super) retry_after: Option<Duration>,
    /// With `needs_input` or `blocked`: wait for the answer and print it; alone: to what was asked before.
    #[arg(long, value_name = "T", num_args = 0..=1, default_missing_value = "1h", value_parser = super::wait::duration)]
    pub(super) wait: Option<Duration>,
    /// US dollars spent.
    #[arg(long = "usage-usd", value_name = "X")]
    pub(super) usd: Option<f64>,
}

/// Runs it.
///
/// # Errors
/// Outside of a worker, when a file that it names can't be read, or when anything is wrong
/// with the report: then nothing is written.
pub fn run(_global: &Global, args: &ReportArgs, output: Output) -> Result<Exit, CliError> {
    match (&args.check, args.wait) {
        (Some(path), _) => check(path, output),
        (None, Some(patience)) if args.status.is_none() => wait_on(patience, output),
        (None, _) => write(args, output),
    }
}

fn pair(text: &str) -> Result<(String, Value), String> {
    let Some((name, value)) = text.split_once('=') else { return Err("expected NAME=VALUE".to_owned()) };
    // A list is what a `map` goes through, and text can't say one.
    let (name, value) = match name.strip_suffix(':') {
        Some(name) => {
            let value = serde_json::from_str(value).map_err(|error| format!("this isn't JSON: {error}"));
            (name, value?)
        }
        None => (name, json!(value)),
    };
    if name.is_empty() { Err("expected NAME=VALUE".to_owned()) } else { Ok((name.to_owned(), value)) }
}

fn check(path: &Path, output: Output) -> Result<Exit, CliError> {
    let shown = path.display().to_string();
    let bytes = mail::read_regular(path).map_err(|error| {
        CliError::new("unreadable", words(&error)).hint("Name the file of a report, such as `report.json`.")
    })?;
    let report = Report::check(&bytes).map_err(|problems| invalid(&shown, &problems, output))?;
    let worker = format!("{}.{}", report.task, report.attempt);
    output.result(
        || json!({"file": shown, "task": report.task, "attempt": report.attempt, "status": report.status, "problems": []}),
        || crate::render::clean(&format!("`{shown}`: a `{}` report of {worker}, no problems.\n", report.status.as_str())),
    );
    Ok(Exit::Done)
}

/// All problems, each on a line of its own, and the error that counts them.
fn invalid(name: &str, problems: &[Problem], output: Output) -> CliError {
    if !output.json {
        for problem in problems {
            let at = if problem.path.is_empty() { String::new() } else { format!(" {}:", problem.path) };
            output::talk(&format!("{name}:{at} {}", problem.message));
        }
    }
    let message = format!("use the report `{name}`: {}", count(problems.len(), "problem"));
    CliError::new("invalid_report", message)
        .hint("Run `ilchul schema report` for what may stand in one.")
        .details(json!(problems))
}

/// A report that was written.
pub(super) struct Written {
    /// Where, or where it would be.
    pub(super) path: PathBuf,
    /// As it was written.
    pub(super) report: Value,
    /// As it is read.
    pub(super) parsed: Report,
}

/// Writes the report that `args` describe, where nothing is wrong with it.
///
/// # Errors
/// As [`run`].
pub(super) fn put(
    args: &ReportArgs,
    (side, assignment): (&WorkerSide, &Assignment),
    output: Output,
) -> Result<Written, CliError> {
    let report = compose(args, side, assignment)?;
    let bytes = report.to_string().into_bytes();
    // What we compose goes through the reader that will judge it.
    let parsed = Report::check(&bytes).map_err(|problems| invalid(REPORT, &problems, output))?;
    // A second run of a `reduce` prints what the first did, and reports to nobody.
    let path = if std::env::var_os(AGAIN).is_some() {
        side.path(REPORT)
    } else {
        side.write(REPORT, &bytes, replace(side, assignment))?
    };
    Ok(Written { path, report, parsed })
}

fn write(args: &ReportArgs, output: Output) -> Result<Exit, CliError> {
    let side = WorkerSide::here()?;
    let assignment = side.assignment()?;
    let Written { path, report, parsed } = put(args, (&side, &assignment), output)?;
    if let (Some(patience), Some(n)) = (args.wait, parsed.question) {
        return answered(&side, &assignment, (n, patience), output);
    }
    let (status, worker) = (parsed.status.as_str(), format!("{}.{}", parsed.task, parsed.attempt));
    let answer = parsed.question.map(|n| side.path(&answer_name(n)));
    let told = answer.as_ref().map_or_else(String::new, |answer| {
        format!(
            "The answer will be in `{}`: end your turn, or wait with `ilchul report --wait`.\n",
            answer.display()
        )
    });
    output.result(
        || json!({"file": path, "report": report, "answer_file": answer}),
        || format!("Reported `{status}` for {worker} in `{}`.\n{told}", path.display()),
    );
    Ok(Exit::Done)
}

/// Waits for the answer to what was asked before.
fn wait_on(patience: Duration, output: Output) -> Result<Exit, CliError> {
    let side = WorkerSide::here()?;
    let assignment = side.assignment()?;
    let n = question::standing(&side, &assignment)?;
    answered(&side, &assignment, (n, patience), output)
}

/// The answer alone is the result: a script reads it by `$(...)`.
fn answered(
    side: &WorkerSide,
    assignment: &Assignment,
    (n, patience): (u32, Duration),
    output: Output,
) -> Result<Exit, CliError> {
    let text = question::wait(side, assignment, (n, patience))?;
    output.result(|| json!({"n": n, "answer": text}), || crate::render::clean(&format!("{text}\n")));
    Ok(Exit::Done)
}

/// A report of this attempt that settles it stays; a question, or anything else, gives way.
fn replace(side: &WorkerSide, assignment: &Assignment) -> Replace {
    let Some(Ok(old)) = side.read(REPORT).map(|bytes| Report::check(&bytes)) else { return Replace::Yes };
    let ours =
        old.token == assignment.token && old.attempt == assignment.attempt && old.task == assignment.task;
    if ours && !old.status.is_open() { Replace::No } else { Replace::Yes }
}

fn compose(args: &ReportArgs, side: &WorkerSide, assignment: &Assignment) -> Result<Value, CliError> {
    let mut outputs = Map::new();
    for (name, value) in &args.output {
        if outputs.insert(name.clone(), value.clone()).is_some() {
            let message = format!("take the output `{}`: it is named twice", name.escape_debug());
            return Err(CliError::new("invalid_report", message).hint("Give each name one value."));
        }
    }
    let claims: Vec<_> =
        args.evidence.iter().map(|reference| claims::claim(reference, side)).collect::<Result<_, _>>()?;
    let used = args.tokens.is_some() || args.usd.is_some();
    let status = args.status.as_deref().unwrap_or_default();
    let asks = matches!(status, "needs_input" | "blocked");
    let wrong = |option: &str, with: &str| {
        let message = format!("take `{option}`: it goes with {with} only, and this report is `{status}`");
        Err(CliError::new("invalid_report", message))
    };
    if args.wait.is_some() && !asks {
        return wrong("--wait", "`needs_input` and `blocked`");
    }
    if args.retry_after.is_some() && status != "failed" {
        return wrong("--retry-after", "`failed`");
    }
    let question = asks.then(|| question::next_number(side, assignment)).transpose()?;
    // A part of a second is waited for as well.
    let retry_after = args.retry_after.map(|wait| wait.as_millis().div_ceil(1000).min(u128::from(u64::MAX)));
    let mut report = json!({
        "schema": REPORT_SCHEMA,
        "task": assignment.task,
        "attempt": assignment.attempt,
        "token": assignment.token,
        "status": args.status,
        "summary": args.summary.as_ref().or(args.reason.as_ref()),
        "reason": args.reason,
        "evidence": claims,
        "outputs": outputs,
        "usage": used.then(|| json!({"tokens": args.tokens, "usd": args.usd})),
    });
    let more = [("question", question.map(u128::from)), ("retry_after", retry_after)];
    for (name, number) in more {
        if let Some(number) = number.and_then(|number| u64::try_from(number).ok()) {
            report[name] = number.into();
        }
    }
    Ok(report)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_is_text_unless_it_is_said_to_be_json() {
        for (written, name, value) in [
            ("label=left", "label", json!("left")),
            ("n=1", "n", json!("1")),
            ("note=a=b", "note", json!("a=b")),
            ("n:=1", "n", json!(1)),
            ("parts:=[\"a\", {\"b\": null}]", "parts", json!(["a", {"b": null}])),
            ("text:=\"a=b\"", "text", json!("a=b")),
        ] {
            assert_eq!(pair(written), Ok((name.to_owned(), value)), "{written}");
        }
        assert_eq!(pair("label"), Err("expected NAME=VALUE".to_owned()));
        assert_eq!(pair("=x"), Err("expected NAME=VALUE".to_owned()));
        assert_eq!(pair(":=1"), Err("expected NAME=VALUE".to_owned()));
        assert!(pair("parts:=[a]").unwrap_err().starts_with("this isn't JSON: "));
    }
}
