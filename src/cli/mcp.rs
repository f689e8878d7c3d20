//! `ilchul mcp`: the worker's side as tools, for agents that prefer them to commands.
//!
//! A server of the Model Context Protocol on standard input and output: one JSON-RPC message a
//! line. What comes in is a stranger's: whatever it is, the answer is a message or nothing, and
//! the server goes on until its input ends. What waits for somebody does so on a thread of its
//! own. It leaves out what the tools do (`tools.rs`), and every part of the protocol but tools.

mod rpc;
mod tools;

use std::collections::BTreeMap;
use std::io::{BufRead, Read as _, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use clap::Args;
use serde_json::{Value, json};

use super::Global;
use super::error::CliError;
use super::exit_code::Exit;
use super::output::Output;
use rpc::{Call, Fault, Incoming};

/// Versions of the protocol that are spoken, the newest first.
const VERSIONS: [&str; 4] = ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"];
/// The longest message that is read, in bytes.
const LINE_MAX: usize = 2 << 20;
/// Calls that may wait side by side.
const WAITING_MAX: usize = 8;

/// What an agent is told of the server.
const INSTRUCTIONS: &str = "Tools of the task that you work on. Call `report` once, as the last thing that you do: \
it says how it went, and everything in it is checked. Ask a person with `needs_input`. A report that is too good is worse than an honest one.";

/// Arguments of `mcp`.
#[derive(Debug, Args)]
pub struct McpArgs {}

/// Calls that wait, by the text of their id, with what tells them that nobody wants them any more.
type Waiting = Arc<Mutex<BTreeMap<String, Arc<AtomicBool>>>>;

/// Runs it, until its input ends.
///
/// # Errors
/// None: whatever is wrong is said to whoever called.
pub fn run(_global: &Global, _args: &McpArgs, output: Output) -> Result<Exit, CliError> {
    let mut input = std::io::stdin().lock();
    let waiting = Waiting::default();
    while let Some(line) = next_line(&mut input) {
        let Ok(bytes) = line else {
            say(&rpc::failed(&Value::Null, &Fault::invalid(format!("a message over {LINE_MAX} bytes"))));
            continue;
        };
        if !bytes.trim_ascii().is_empty() {
            hear(&bytes, &waiting, output);
        }
    }
    Ok(Exit::Done)
}

/// The next line; none at the end of the input, an error for one that is too long.
fn next_line(input: &mut impl BufRead) -> Option<Result<Vec<u8>, ()>> {
    let mut line = Vec::new();
    let read = input.by_ref().take(LINE_MAX as u64 + 1).read_until(b'\n', &mut line).ok()?;
    if read == 0 {
        return None;
    }
    if line.last() == Some(&b'\n') || read <= LINE_MAX {
        return Some(Ok(line));
    }
    // The rest of it is passed over, piece by piece.
    loop {
        let buffer = input.fill_buf().ok()?;
        if buffer.is_empty() {
            return Some(Err(()));
        }
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let length = end.map_or(buffer.len(), |end| end + 1);
        input.consume(length);
        if end.is_some() {
            return Some(Err(()));
        }
    }
}

/// Says one message. Who doesn't read any more has ended, and so do we with the input.
fn say(message: &Value) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(format!("{message}\n").as_bytes()).and_then(|()| out.flush());
}

/// Takes one line, which may hold a batch: older versions have those.
fn hear(bytes: &[u8], waiting: &Waiting, output: Output) {
    let messages = match rpc::read(bytes) {
        Ok(messages) => messages,
        Err(fault) => return say(&rpc::failed(&Value::Null, &fault)),
    };
    for message in messages {
        match message {
            Incoming::Call(call) => answer(call, waiting, output),
            Incoming::Cancelled(id) => {
                if let Some(gone) = lock(waiting).get(&id) {
                    gone.store(true, Ordering::SeqCst);
                }
            }
            Incoming::Nothing => {}
            Incoming::Wrong(id, fault) => say(&rpc::failed(&id, &fault)),
        }
    }
}

fn answer(call: Call, waiting: &Waiting, output: Output) {
    match call.method.as_str() {
        "initialize" => say(&rpc::done(&call.id, &welcome(&call.params))),
        "ping" => say(&rpc::done(&call.id, &json!({}))),
        "tools/list" => say(&rpc::done(&call.id, &json!({"tools": tools::list()}))),
        "tools/call" => tool(call, waiting, output),
        other => {
            let fault = Fault::unknown(format!("there is no method `{}`", other.escape_debug()));
            say(&rpc::failed(&call.id, &fault));
        }
    }
}

/// What both sides speak: the version that was asked for, where we know it.
fn welcome(params: &Value) -> Value {
    let asked = params.get("protocolVersion").and_then(Value::as_str);
    let version = VERSIONS.into_iter().find(|known| Some(*known) == asked).unwrap_or(VERSIONS[0]);
    json!({
        "protocolVersion": version,
        "capabilities": {"tools": {"listChanged": false}},
        "serverInfo": {"name": "ilchul", "version": env!("CARGO_PKG_VERSION")},
        "instructions": INSTRUCTIONS,
    })
}

fn tool(call: Call, waiting: &Waiting, output: Output) {
    let name = call.params.get("name").and_then(Value::as_str).map(str::to_owned);
    let arguments = call.params.get("arguments").cloned().unwrap_or_else(|| json!({}));
    let Some(known) = name.as_deref().and_then(tools::find) else {
        let named = name.unwrap_or_default();
        let fault = Fault::bad(format!("there is no tool `{}`", named.escape_debug()));
        return say(&rpc::failed(&call.id, &fault));
    };
    let gone = Arc::new(AtomicBool::new(false));
    if !tools::waits(known, &arguments) {
        return say(&rpc::done(&call.id, &tools::call(known, &arguments, (output, &gone))));
    }
    let key = call.id.to_string();
    {
        let mut all = lock(waiting);
        if all.len() >= WAITING_MAX {
            return say(&rpc::failed(&call.id, &Fault::bad("too many calls wait already".to_owned())));
        }
        all.insert(key.clone(), gone.clone());
    }
    let shared = waiting.clone();
    let id = call.id.clone();
    let started = std::thread::Builder::new().name("call".to_owned()).spawn(move || {
        let result = tools::call(known, &arguments, (output, &gone));
        lock(&shared).remove(&key);
        // Who cancelled it doesn't want an answer.
        if !gone.load(Ordering::SeqCst) {
            say(&rpc::done(&call.id, &result));
        }
    });
    if let Err(error) = started {
        lock(waiting).remove(&id.to_string());
        say(&rpc::failed(&id, &Fault::bad(format!("no thread: {error}"))));
    }
}

fn lock(waiting: &Waiting) -> std::sync::MutexGuard<'_, BTreeMap<String, Arc<AtomicBool>>> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_a_bound_and_what_comes_after_a_long_one_is_read() {
        let mut text = b"{}\n".to_vec();
        text.extend(vec![b'x'; LINE_MAX + 10]);
        text.extend(b"\nlast");
        let mut input = std::io::BufReader::new(text.as_slice());
        let lines: Vec<_> = std::iter::from_fn(|| next_line(&mut input)).collect();
        assert_eq!(lines, [Ok(b"{}\n".to_vec()), Err(()), Ok(b"last".to_vec())]);
    }

    #[test]
    fn the_version_that_is_asked_for_is_spoken_where_it_is_known() {
        let speaks = |asked: Value| welcome(&json!({"protocolVersion": asked}))["protocolVersion"].clone();
        assert_eq!(speaks(json!("2024-11-05")), "2024-11-05");
        for unknown in [json!("1999-01-01"), json!(7), Value::Null] {
            assert_eq!(speaks(unknown), VERSIONS[0]);
        }
    }
}
