//! The tools: what each takes, and what it does by the same ways as the command of its name.
//!
//! Arguments are a stranger's and looked at one by one; an unknown one is named. A tool that
//! fails says so in its result, so that the model can read why. It leaves out the protocol.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::cli::claims;
use crate::cli::error::{CliError, words};
use crate::cli::output::Output;
use crate::cli::report::{self, ReportArgs};
use crate::cli::worker_side::WorkerSide;
use crate::cli::{heartbeat, question, submit};
use crate::mail;
use crate::protocol::{RETRY_AFTER_MAX_S, Report, ReportStatus};

/// The longest that a call may wait, in seconds.
const WAIT_MAX_S: u64 = 24 * 3600;
/// How long a submission is waited for, where nobody says.
const SUBMIT_WAIT_S: u64 = 30;
/// How long one look for an answer takes, after which a cancellation is noticed.
const SLICE: Duration = Duration::from_millis(200);

/// One tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    /// `ilchul report`.
    Report,
    /// `ilchul heartbeat --note`.
    Note,
    /// `ilchul report --status needs_input`.
    NeedsInput,
    /// `ilchul submit`.
    Submit,
    /// What `$ILCHUL_INPUTS` holds.
    Inputs,
    /// `ilchul report --check`.
    CheckReport,
}

const ALL: [Tool; 6] =
    [Tool::Report, Tool::Note, Tool::NeedsInput, Tool::Submit, Tool::Inputs, Tool::CheckReport];

impl Tool {
    fn name(self) -> &'static str {
        match self {
            Self::Report => "report",
            Self::Note => "note",
            Self::NeedsInput => "needs_input",
            Self::Submit => "submit",
            Self::Inputs => "inputs",
            Self::CheckReport => "check_report",
        }
    }

    fn description(self) -> &'static str {
        match self {
            Self::Report => {
                "Say how the task went. The last thing to do: the first report that isn't `needs_input` or `blocked` counts, and everything in it is checked."
            }
            Self::Note => "Leave one line about what you are doing, for whoever looks.",
            Self::NeedsInput => {
                "Ask a person. With `wait_seconds` the answer is the result; without, end your turn: the answer comes as the next message."
            }
            Self::Submit => "Add tasks to the run, all of them or none.",
            Self::Inputs => {
                "What the tasks before this one handed on, what budget is left, and what was refuted last time."
            }
            Self::CheckReport => "Say all that is wrong with a report, and write none.",
        }
    }

    /// What it takes: the properties, and which of them have to be there.
    fn takes(self) -> (Value, Vec<&'static str>) {
        let text = |what: &str| json!({"type": "string", "description": what});
        let whole = |most: u64, what: &str| json!({"type": "integer", "minimum": 0, "maximum": most, "description": what});
        match self {
            Self::Report => (
                json!({
                    "status": {"type": "string", "enum": ReportStatus::WORDS},
                    "summary": text("What was done, in a sentence or a few."),
                    "reason": text("Why it went so, where it isn't `done`."),
                    "evidence": {"type": "array", "items": {"type": "string"},
                        "description": "What to look at: artifact=PATH, log=PATH, commit=ID or command=TEXT."},
                    "outputs": {"type": "object", "description": "Named values for other tasks."},
                    "usage_tokens": whole(u64::MAX, "Model tokens used."),
                    "usage_usd": {"type": "number", "minimum": 0, "description": "US dollars spent."},
                    "retry_after": whole(RETRY_AFTER_MAX_S, "With `failed`: the provider refuses work for so many seconds."),
                }),
                vec!["status", "summary"],
            ),
            Self::Note => (json!({"note": text("One line.")}), vec!["note"]),
            Self::NeedsInput => (
                json!({
                    "question": text("What a person has to say."),
                    "wait_seconds": whole(WAIT_MAX_S, "Wait so long for the answer; 0 doesn't."),
                }),
                vec!["question"],
            ),
            Self::Submit => (
                json!({
                    "tasks": {"type": "object", "description": "Tasks by id, each as in the workflow file."},
                    "wait_seconds": whole(WAIT_MAX_S, "Wait so long for the answer; 30 by default, 0 doesn't."),
                }),
                vec!["tasks"],
            ),
            Self::Inputs => (json!({}), Vec::new()),
            Self::CheckReport => (
                json!({"report": {"type": "object", "description": "The report, as in report.json."}}),
                vec!["report"],
            ),
        }
    }
}

/// What `tools/list` answers.
#[must_use]
pub fn list() -> Vec<Value> {
    let tool = |tool: Tool| {
        let (properties, required) = tool.takes();
        json!({
            "name": tool.name(),
            "description": tool.description(),
            "inputSchema": {
                "type": "object", "properties": properties, "required": required, "additionalProperties": false,
            },
        })
    };
    ALL.into_iter().map(tool).collect()
}

/// The tool of a name.
#[must_use]
pub fn find(name: &str) -> Option<Tool> {
    ALL.into_iter().find(|tool| tool.name() == name)
}

/// Whether a call stands still for somebody.
#[must_use]
pub fn waits(tool: Tool, arguments: &Value) -> bool {
    let said = arguments.get("wait_seconds").and_then(Value::as_u64);
    match tool {
        Tool::NeedsInput => said.unwrap_or(0) > 0,
        Tool::Submit => said != Some(0),
        Tool::Report | Tool::Note | Tool::Inputs | Tool::CheckReport => false,
    }
}

/// Does what a tool does; what went wrong stands in the result.
#[must_use]
pub fn call(tool: Tool, arguments: &Value, (output, gone): (Output, &AtomicBool)) -> Value {
    let done = taken(tool, arguments).and_then(|arguments| match tool {
        Tool::Report => report(&arguments, output),
        Tool::Note => note(&arguments),
        Tool::NeedsInput => needs_input(&arguments, (output, gone)),
        Tool::Submit => submit(&arguments, gone),
        Tool::Inputs => inputs(),
        Tool::CheckReport => check_report(&arguments),
    });
    match done {
        Ok((text, data)) => {
            json!({"content": [{"type": "text", "text": text}], "structuredContent": data, "isError": false})
        }
        Err(error) => {
            let hint = if error.hint.is_empty() { String::new() } else { format!(" {}", error.hint) };
            let details =
                if error.details.is_null() { String::new() } else { format!("\n{}", error.details) };
            let text = format!("Failed to {}.{hint}{details}", error.message.trim_end_matches('.'));
            json!({"content": [{"type": "text", "text": text}], "isError": true})
        }
    }
}

type Done = Result<(String, Value), CliError>;

fn wrong(message: impl Into<String>) -> CliError {
    CliError::new("bad_arguments", message)
}

/// The arguments, if they are what the tool takes.
fn taken(tool: Tool, arguments: &Value) -> Result<Map<String, Value>, CliError> {
    let name = tool.name();
    let Value::Object(arguments) = arguments else {
        return Err(wrong(format!("call `{name}`: `arguments` isn't an object")));
    };
    let (properties, required) = tool.takes();
    if let Some(unknown) = arguments.keys().find(|key| properties.get(key.as_str()).is_none()) {
        let known: Vec<&String> =
            properties.as_object().map(|known| known.keys().collect()).unwrap_or_default();
        let message = format!("call `{name}`: it takes no `{}`", unknown.escape_debug());
        return Err(wrong(message).hint(format!("It takes {}.", json!(known))));
    }
    if let Some(missing) = required.iter().find(|key| arguments.get(**key).is_none_or(Value::is_null)) {
        return Err(wrong(format!("call `{name}`: `{missing}` is missing")));
    }
    Ok(arguments
        .iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect())
}

fn text(arguments: &Map<String, Value>, key: &str) -> Result<Option<String>, CliError> {
    match arguments.get(key) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(wrong(format!("take `{key}`: it isn't a text"))),
    }
}

fn whole(arguments: &Map<String, Value>, key: &str, most: u64) -> Result<Option<u64>, CliError> {
    let Some(value) = arguments.get(key) else { return Ok(None) };
    let number = value.as_u64().filter(|number| *number <= most);
    number.map(Some).ok_or_else(|| wrong(format!("take `{key}`: it isn't a whole number from 0 to {most}")))
}

fn report(arguments: &Map<String, Value>, output: Output) -> Done {
    let mut evidence = Vec::new();
    match arguments.get("evidence") {
        None => {}
        Some(Value::Array(all)) => {
            for one in all {
                let one = one.as_str().ok_or_else(|| wrong("take `evidence`: it isn't a list of texts"))?;
                evidence
                    .push(claims::reference(one).map_err(|why| wrong(format!("take `evidence`: {why}")))?);
            }
        }
        Some(_) => return Err(wrong("take `evidence`: it isn't a list of texts")),
    }
    let outputs = match arguments.get("outputs") {
        None => Vec::new(),
        Some(Value::Object(outputs)) => {
            outputs.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
        }
        Some(_) => return Err(wrong("take `outputs`: it isn't an object")),
    };
    let usd = arguments
        .get("usage_usd")
        .map(|usd| usd.as_f64().ok_or_else(|| wrong("take `usage_usd`: it isn't a number")));
    let args = ReportArgs {
        status: text(arguments, "status")?,
        summary: text(arguments, "summary")?,
        reason: text(arguments, "reason")?,
        evidence,
        output: outputs,
        tokens: whole(arguments, "usage_tokens", u64::MAX)?,
        usd: usd.transpose()?,
        retry_after: whole(arguments, "retry_after", RETRY_AFTER_MAX_S)?.map(Duration::from_secs),
        ..ReportArgs::default()
    };
    let (side, assignment) = here()?;
    let written = report::put(&args, (&side, &assignment), quiet(output))?;
    let status = written.parsed.status.as_str();
    Ok((format!("Reported `{status}`."), json!({"file": written.path, "report": written.report})))
}

fn here() -> Result<(WorkerSide, crate::protocol::Assignment), CliError> {
    let side = WorkerSide::here()?;
    let assignment = side.assignment()?;
    Ok((side, assignment))
}

/// Problems stand in the result, and not on standard error as well.
fn quiet(output: Output) -> Output {
    Output { json: true, ..output }
}

fn note(arguments: &Map<String, Value>) -> Done {
    let (path, note) = heartbeat::leave(&text(arguments, "note")?.unwrap_or_default())?;
    Ok(("Left the note.".to_owned(), json!({"file": path, "note": note})))
}

fn needs_input(arguments: &Map<String, Value>, (output, gone): (Output, &AtomicBool)) -> Done {
    let question = text(arguments, "question")?.unwrap_or_default();
    if question.trim().is_empty() {
        return Err(wrong("ask: the question is empty"));
    }
    let patience = whole(arguments, "wait_seconds", WAIT_MAX_S)?.unwrap_or(0);
    let args = ReportArgs {
        status: Some(ReportStatus::NeedsInput.as_str().to_owned()),
        reason: Some(question),
        ..ReportArgs::default()
    };
    let (side, assignment) = here()?;
    let written = report::put(&args, (&side, &assignment), quiet(output))?;
    let n = written.parsed.question.unwrap_or_default();
    if patience == 0 {
        let text = "Asked. End your turn: the answer comes as the next message.".to_owned();
        return Ok((text, json!({"n": n, "answer": null})));
    }
    let answer =
        sliced(Duration::from_secs(patience), gone, |slice| question::wait(&side, &assignment, (n, slice)))?;
    Ok((answer.clone(), json!({"n": n, "answer": answer})))
}

/// Waits in slices, between which it is seen that nobody wants the answer any more.
fn sliced<T>(
    patience: Duration,
    gone: &AtomicBool,
    mut wait: impl FnMut(Duration) -> Result<T, CliError>,
) -> Result<T, CliError> {
    let mut left = patience;
    loop {
        let slice = left.min(SLICE);
        left = left.saturating_sub(slice);
        match wait(slice) {
            Err(error) if error.code == "no_answer" && !left.is_zero() && !gone.load(Ordering::SeqCst) => {}
            other => return other,
        }
    }
}

fn submit(arguments: &Map<String, Value>, gone: &AtomicBool) -> Done {
    let patience = whole(arguments, "wait_seconds", WAIT_MAX_S)?.unwrap_or(SUBMIT_WAIT_S);
    let document = json!({"tasks": arguments.get("tasks")}).to_string();
    let (side, assignment) = here()?;
    let bytes = submit::compose(("tasks", document.as_bytes()), assignment.token)?;
    let (n, path) = submit::write(&side, &bytes)?;
    if patience == 0 {
        return Ok((
            format!("Submitted as number {n}."),
            json!({"n": n, "file": path, "accepted": null, "tasks": []}),
        ));
    }
    let answer = sliced(Duration::from_secs(patience), gone, |slice| submit::wait(&side, n, slice))?;
    let text = format!("Planned: {}", answer.tasks.join(", "));
    Ok((text, json!({"n": n, "file": path, "accepted": true, "tasks": answer.tasks})))
}

fn inputs() -> Done {
    let Some(path) = std::env::var_os("ILCHUL_INPUTS").filter(|path| !path.is_empty()).map(PathBuf::from)
    else {
        return Err(CliError::new("outside_worker", "read the inputs: `ILCHUL_INPUTS` isn't set"));
    };
    let bytes = mail::read_regular(&path).map_err(|error| CliError::new("unreadable", words(&error)))?;
    let data: Value = serde_json::from_slice(&bytes)
        .map_err(|error| CliError::new("unreadable", format!("read the inputs: {error}")))?;
    Ok((data.to_string(), data))
}

fn check_report(arguments: &Map<String, Value>) -> Done {
    let report = arguments.get("report").cloned().unwrap_or_default();
    match Report::check(report.to_string().as_bytes()) {
        Ok(_) => Ok(("No problems.".to_owned(), json!({"problems": []}))),
        Err(problems) => {
            let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
            Ok((lines.join("\n"), json!({"problems": problems})))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(tool: &str, arguments: &Value) -> (bool, String) {
        let gone = AtomicBool::new(false);
        let output = Output::new(true, crate::cli::Color::Never);
        let result = call(find(tool).unwrap(), arguments, (output, &gone));
        (result["isError"].as_bool().unwrap(), result["content"][0]["text"].as_str().unwrap().to_owned())
    }

    #[test]
    fn every_tool_is_listed_with_a_schema_that_names_all_it_takes() {
        let names: Vec<Value> = list().iter().map(|tool| tool["name"].clone()).collect();
        assert_eq!(names, ["report", "note", "needs_input", "submit", "inputs", "check_report"]);
        for tool in list() {
            let schema = &tool["inputSchema"];
            assert_eq!((&schema["type"], &schema["additionalProperties"]), (&json!("object"), &json!(false)));
            for required in schema["required"].as_array().unwrap() {
                assert!(schema["properties"].get(required.as_str().unwrap()).is_some(), "{tool}");
            }
        }
        assert_eq!(find("sh"), None);
    }

    #[test]
    fn arguments_that_a_tool_does_not_take_are_named() {
        for (tool, arguments, expected) in [
            ("note", json!([]), "`arguments` isn't an object"),
            ("note", json!({}), "`note` is missing"),
            ("note", json!({"note": null}), "`note` is missing"),
            ("note", json!({"note": "x", "to": "/etc/passwd"}), "it takes no `to`"),
            ("note", json!({"note": 7}), "take `note`: it isn't a text"),
            ("needs_input", json!({"question": " "}), "the question is empty"),
            ("needs_input", json!({"question": "x", "wait_seconds": -1}), "it isn't a whole number"),
            (
                "report",
                json!({"status": "done", "summary": "x", "evidence": ["x"]}),
                "expected artifact=PATH",
            ),
            ("report", json!({"status": "done", "summary": "x", "outputs": 7}), "it isn't an object"),
            (
                "report",
                json!({"status": "done", "summary": "x", "retry_after": 1e300}),
                "it isn't a whole number",
            ),
        ] {
            let (is_error, text) = says(tool, &arguments);
            assert!(is_error && text.contains(expected), "{tool} {arguments}: {text}");
        }
    }

    #[test]
    fn a_report_is_checked_without_a_worker() {
        let (is_error, text) = says("check_report", &json!({"report": {"schema": "ilchul.report/1"}}));
        assert!(!is_error && text.contains("read `task`: it is missing"), "{text}");
    }

    #[test]
    fn only_what_waits_for_somebody_has_a_thread() {
        assert!(waits(Tool::Submit, &json!({})) && !waits(Tool::Submit, &json!({"wait_seconds": 0})));
        assert!(waits(Tool::NeedsInput, &json!({"wait_seconds": 5})));
        assert!(!waits(Tool::NeedsInput, &json!({})) && !waits(Tool::Report, &json!({"wait_seconds": 5})));
    }
}
