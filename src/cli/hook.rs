//! `ilchul hook EVENT`: what an agent's own hook system calls; one line in `events.jsonl`.
//!
//! An agent waits for its hooks, and takes what they print or how they end for an order. So
//! this starts at once, says nothing, ends with 0 whatever happens, and waits for nothing for
//! long. It leaves out what an event means, which is the shim's.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{CWD, Mode, OFlags};
use serde_json::{Map, Value, json};

use crate::mail;
use crate::protocol::{
    AGENT_DIR, ASSIGNMENT, Assignment, DROP_BOX, EVENTS, REPORT, Report, answer_name, how_to_report, parse,
    turn_name,
};

/// Bytes of the payload that are read.
const MAX_PAYLOAD: u64 = 256 * 1024;
/// How long a payload is waited for: some callers leave the pipe open.
const PATIENCE: Duration = Duration::from_secs(2);
/// Bytes of the file beyond which nothing more is appended.
const MAX_FILE: u64 = 64 << 20;
/// Characters of a message, and of any other text.
const MESSAGE_CHARS: usize = 1_000;
const TEXT_CHARS: usize = 300;
/// Bytes of a record of usage.
const MAX_USAGE: usize = 1_024;
/// Turns of one attempt that are told apart.
const MAX_TURNS: u32 = 1_000;

/// Arguments of `hook`.
#[derive(Debug, Args)]
pub struct HookArgs {
    /// What happened, by the agent's own name for it.
    event: Option<OsString>,
    /// The payload, where it comes as an argument and not on standard input.
    #[arg(value_name = "JSON")]
    payload: Option<OsString>,
    /// The folder of the attempt's agent, in place of `$ILCHUL_MAIL/agent`.
    #[arg(long, value_name = "DIR")]
    to: Option<OsString>,
    /// Ask for the report, once a turn, where the agent ends without one.
    #[arg(long)]
    guard: bool,
}

/// Runs the words after `hook`; for speed, before anything else is looked at.
pub fn run_words(words: &[OsString]) {
    let mut args = HookArgs { event: None, payload: None, to: None, guard: false };
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        match word.to_str() {
            Some("--guard") => args.guard = true,
            Some("--to") => args.to = rest.next().cloned(),
            _ if args.event.is_none() => args.event = Some(word.clone()),
            _ => args.payload = Some(word.clone()),
        }
    }
    run(&args);
}

/// Runs it; there is nobody to tell of what fails.
pub fn run(args: &HookArgs) {
    let payload = payload(args.payload.as_deref());
    let folder = args.to.clone().map(PathBuf::from).or_else(|| Some(mail_of_env()?.join(AGENT_DIR)));
    let Some(folder) = folder else { return };
    let asks_for_report = args.guard.then(|| missing_report(&folder, &payload)).flatten();
    let mut line = line(args.event.as_deref(), &payload);
    if asks_for_report.is_some() {
        // The turn goes on: this isn't its end.
        line.insert("pending".to_owned(), json!(1));
    }
    append(&folder, &line);
    if let Some(reason) = asks_for_report {
        let order = json!({"decision": "block", "reason": reason});
        let _ = std::io::stdout().write_all(order.to_string().as_bytes());
    }
}

fn mail_of_env() -> Option<PathBuf> {
    std::env::var_os("ILCHUL_MAIL").filter(|value| !value.is_empty()).map(PathBuf::from)
}

fn payload(argument: Option<&OsStr>) -> Map<String, Value> {
    let bytes = match argument.and_then(OsStr::to_str) {
        Some(text) => text.as_bytes().to_vec(),
        None => read_input(),
    };
    match serde_json::from_slice(&bytes) {
        Ok(Value::Object(fields)) => fields,
        Ok(_) | Err(_) => Map::new(),
    }
}

/// What comes on standard input, as far as it comes soon.
fn read_input() -> Vec<u8> {
    let stdin = rustix::stdio::stdin();
    let mut bytes = Vec::new();
    if rustix::termios::isatty(stdin) {
        return bytes;
    }
    let until = Instant::now() + PATIENCE;
    let mut chunk = vec![0; 64 * 1024];
    while (bytes.len() as u64) < MAX_PAYLOAD {
        let left = until.saturating_duration_since(Instant::now());
        let limit = Timespec::try_from(left).ok();
        let ready = poll(&mut [PollFd::new(&stdin, PollFlags::IN)], limit.as_ref());
        if left.is_zero() || !matches!(ready, Ok(1..)) {
            break;
        }
        match rustix::io::read(stdin, chunk.as_mut_slice()) {
            Ok(count) if count > 0 => bytes.extend_from_slice(&chunk[..count]),
            Ok(_) | Err(_) => break,
        }
    }
    bytes
}

/// The event as it is kept: small fields only, each bounded.
fn line(event: Option<&OsStr>, payload: &Map<String, Value>) -> Map<String, Value> {
    let mut line = Map::new();
    let mut put = |name: &str, value: Option<String>, most: usize| {
        if let Some(text) = value {
            line.insert(name.to_owned(), json!(text.chars().take(most).collect::<String>()));
        }
    };
    let named = event.map(|event| event.to_string_lossy().into_owned());
    put("event", named.or_else(|| text(payload, &["hook_event_name", "type"])), TEXT_CHARS);
    put("at", Some(jiff::Timestamp::now().to_string()), TEXT_CHARS);
    put("session", text(payload, &["session_id", "sessionID", "thread-id", "session"]), TEXT_CHARS);
    put("tool", text(payload, &["tool_name", "tool"]), TEXT_CHARS);
    put("message", message(payload), MESSAGE_CHARS);
    let count = |name: &str| payload.get(name).and_then(Value::as_array).map_or(0, Vec::len);
    let pending = count("background_tasks") + count("session_crons");
    if pending > 0 {
        line.insert("pending".to_owned(), json!(pending));
    }
    if let Some(usage) = payload.get("usage").filter(|usage| usage.is_object())
        && usage.to_string().len() <= MAX_USAGE
    {
        line.insert("usage".to_owned(), usage.clone());
    }
    line
}

fn text(payload: &Map<String, Value>, names: &[&str]) -> Option<String> {
    let found = names.iter().find_map(|name| payload.get(*name)?.as_str());
    found.filter(|text| !text.trim().is_empty()).map(str::to_owned)
}

/// What it says, or what its tool was to do: a person who is asked wants to know.
fn message(payload: &Map<String, Value>) -> Option<String> {
    let said = text(payload, &["message", "question", "reason", "error", "prompt"]);
    said.or_else(|| {
        let input = payload.get("tool_input")?;
        let first = input.get("questions").and_then(|all| all.get(0)).and_then(Value::as_object);
        let asked = first.and_then(|question| text(question, &["question"]));
        asked.or_else(|| text(input.as_object()?, &["question", "command", "description", "file_path"]))
    })
}

/// One write of one line: what several hooks append at once stays apart.
fn append(folder: &Path, line: &Map<String, Value>) {
    let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::NOFOLLOW;
    // NONBLOCK: a FIFO in its place would be waited for.
    let flags = flags | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    let opened = rustix::fs::openat(CWD, folder.join(EVENTS), flags, Mode::RUSR | Mode::WUSR);
    let Ok(mut file) = opened.map(File::from) else { return };
    let fits = |facts: std::fs::Metadata| facts.is_file() && facts.nlink() == 1 && facts.len() < MAX_FILE;
    if file.metadata().is_ok_and(fits) {
        let mut bytes = Value::Object(line.clone()).to_string().into_bytes();
        bytes.push(b'\n');
        let _ = file.write_all(&bytes);
    }
}

/// What the agent is told where it ends without a report; nothing where it has one, or was told.
fn missing_report(folder: &Path, payload: &Map<String, Value>) -> Option<String> {
    if payload.get("stop_hook_active").and_then(Value::as_bool) == Some(true) {
        return None;
    }
    let mail =
        folder.parent().filter(|_| folder.ends_with(AGENT_DIR)).map(Path::to_owned).or_else(mail_of_env)?;
    let assignment: Assignment = parse(&mail::read_bounded(&mail, ASSIGNMENT).ok()??).ok()?;
    let tree = PathBuf::from(std::env::var_os("ILCHUL_TREE")?);
    let in_mail = mail::read_bounded(&mail, REPORT).ok().flatten();
    let dropped = mail::read_in_untrusted(&tree.join(DROP_BOX), REPORT).ok().flatten();
    let has = |bytes: &Vec<u8>| Report::check(bytes).is_ok_and(|report| counts(&report, &assignment, &mail));
    if [in_mail, dropped].iter().flatten().any(has) || !is_first_time(folder) {
        return None;
    }
    Some(format!(
        "Before you end your turn, report what came of the task. {}",
        how_to_report(&assignment, &tree)
    ))
}

/// Whether a report is this attempt's and isn't a question that was answered.
fn counts(report: &Report, assignment: &Assignment, mail: &Path) -> bool {
    let is_answered = || mail.join(answer_name(report.question.unwrap_or(1))).exists();
    let Assignment { task, attempt, token, .. } = assignment;
    let mine = report.task == *task && report.attempt == *attempt && report.token == *token;
    mine && !(report.status.is_open() && (report.by.is_some() || is_answered()))
}

/// Whether nobody asked in this turn yet; the file that says so is made by looking.
fn is_first_time(folder: &Path) -> bool {
    let turn = (2..=MAX_TURNS).take_while(|n| folder.join(turn_name(*n)).exists()).last().unwrap_or(1);
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let path = folder.join(format!("guarded-{turn}"));
    rustix::fs::openat(CWD, path, flags, Mode::RUSR | Mode::WUSR).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(payload: Value) -> Map<String, Value> {
        let Value::Object(fields) = payload else { panic!("an object") };
        line(Some(OsStr::new("E")), &fields)
    }

    #[test]
    fn of_a_payload_only_small_known_fields_are_kept() {
        let codex = of(
            json!({"session_id": "01a1ff6d", "turn_id": "t", "cwd": "/w", "hook_event_name": "PreToolUse",
            "tool_name": "Bash", "tool_input": {"command": "cargo test"}, "tool_use_id": "call_1"}),
        );
        let kept: Vec<&str> = codex.keys().map(String::as_str).collect();
        assert_eq!(kept, ["at", "event", "message", "session", "tool"]);
        assert_eq!((&codex["event"], &codex["tool"]), (&json!("E"), &json!("Bash")));
        assert_eq!(codex["message"], "cargo test");
        let notified = of(json!({"message": "Claude needs your permission", "tool_input": {"command": "x"}}));
        assert_eq!(notified["message"], "Claude needs your permission");
        let asked = of(json!({"tool_name": "AskUserQuestion",
            "tool_input": {"questions": [{"question": "Which colour?", "options": []}]}}));
        assert_eq!(asked["message"], "Which colour?");
    }

    #[test]
    fn work_in_the_background_is_counted_and_long_texts_are_cut() {
        let stop =
            of(json!({"background_tasks": [1, 2], "session_crons": [3], "message": "é".repeat(50_000),
            "usage": {"input_tokens": 5}}));
        assert_eq!(stop["pending"], 3);
        assert_eq!(stop["usage"]["input_tokens"], 5);
        assert!(Value::Object(stop).to_string().len() < 16 * 1024);
        let odd = of(json!({"session_id": 7, "tool_name": ["x"], "background_tasks": "x", "usage": "much"}));
        assert_eq!(odd.keys().map(String::as_str).collect::<Vec<_>>(), ["at", "event"]);
    }

    #[test]
    fn without_a_name_of_its_own_an_event_has_the_payloads() {
        let Value::Object(fields) = json!({"hook_event_name": "Stop"}) else { panic!("an object") };
        assert_eq!(line(None, &fields)["event"], "Stop");
        assert!(!line(None, &Map::new()).contains_key("event"));
    }
}
