//! What is said, and kept, when the journal couldn't be written (laws J11a, J11c).
//!
//! It leaves out the journal itself: by now its handle is gone, and it is read like any other.

use std::path::Path;

use serde_json::{Value, json};

use super::error::{CliError, words};
use super::exit_code::Exit;
use crate::journal::{JournalError, Trouble, pending};
use crate::render;
use crate::supervisor::Unrecorded;
use crate::supervisor::clock::wall_ms;

/// Reads again, keeps what isn't there, and says which it was. Call it once the handle that
/// failed has been dropped.
#[must_use]
pub fn explain(unrecorded: &Unrecorded) -> CliError {
    let error = &unrecorded.error;
    let count = render::words::count(unrecorded.events.len(), "event");
    let free = free_bytes(unrecorded.home.root());
    let mut message = words(error);
    if let (Trouble::DiskFull, Some(free)) = (error.trouble(), free) {
        message.push_str(&format!(" ({free} bytes are free there)"));
    }
    let found = unrecorded.is_there();
    message.push_str(&match &found {
        Ok(true) => format!("; read again, the journal has the {count} of this batch"),
        Ok(false) => format!("; read again, the journal doesn't have the {count} of this batch"),
        Err(again) => format!(
            "; it can't be read again either, so whether the {count} of this batch are there isn't known: {}",
            words(again)
        ),
    });
    let kept = match found {
        Ok(true) => None,
        Ok(false) | Err(_) => {
            let stamp = jiff::Timestamp::from_millisecond(wall_ms()).unwrap_or_default();
            let stamp = stamp.strftime("%Y%m%dT%H%M%S%3fZ").to_string();
            match pending::keep(&unrecorded.home, &unrecorded.run, &stamp, &lines(unrecorded)) {
                Ok(path) => {
                    message.push_str(&format!("; what it couldn't record is kept in `{}`", path.display()));
                    Some(path)
                }
                Err(error) => {
                    message.push_str(&format!(
                        "; what it couldn't record is lost ({error}), but what workers wrote is still in their files"
                    ));
                    None
                }
            }
        }
    };
    let batch = match found {
        Ok(true) => "recorded",
        Ok(false) => "not_recorded",
        Err(_) => "unknown",
    };
    CliError::new("journal", message).exit(exit(error)).hint(hint(unrecorded)).details(json!({
        "batch": batch,
        "events": unrecorded.events.len(),
        "pending": kept.map(|path| path.display().to_string()),
        "free_bytes": free,
    }))
}

fn exit(error: &JournalError) -> Exit {
    match error {
        JournalError::Busy { .. } => Exit::Held,
        error if error.is_damage() => Exit::Journal,
        _ => Exit::Wrong,
    }
}

fn hint(unrecorded: &Unrecorded) -> String {
    let first = match (&unrecorded.error, unrecorded.error.trouble()) {
        (JournalError::Replaced { .. }, _) => "Put the journal back that was there",
        (JournalError::Busy { .. }, _) => "End what holds the journal",
        (_, Trouble::DiskFull) => "Free space on its file system",
        (_, Trouble::ReadOnly) => "Make its file system writable",
        (_, Trouble::Io | Trouble::Other) => "Look at its disk",
    };
    let up = render::words::up(&unrecorded.path);
    format!(
        "Workers go on without a supervisor. {first}, then run `{up}` to go on: it looks at the world again."
    )
}

/// As `events --json` shows them, without a number, because they have none; and each as it
/// would have been kept.
fn lines(unrecorded: &Unrecorded) -> String {
    unrecorded.events.iter().fold(String::new(), |mut text, (at, event)| {
        let mut line = render::events::json(0, *at, event);
        line["seq"] = Value::Null;
        line["event"] = serde_json::to_value(event).unwrap_or_default();
        text.push_str(&render::json::text(&line));
        text.push('\n');
        text
    })
}

fn free_bytes(path: &Path) -> Option<u64> {
    let found = rustix::fs::statvfs(path).ok()?;
    found.f_bavail.checked_mul(found.f_frsize)
}
