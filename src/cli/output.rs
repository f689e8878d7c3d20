//! Printing: results on stdout, talk on stderr, and one envelope for `--json`.
//!
//! A reader that went away (`| head`) is no error of ours. It leaves out words.

use std::io::{IsTerminal, Write};

use serde_json::{Value, json};

use super::Color;
use super::away::is_seen_by_front;
use super::error::CliError;
use crate::render::fit;

/// How a command prints.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    /// One JSON document in place of text.
    pub json: bool,
    /// Colour on stdout.
    pub color: bool,
    /// Colour on stderr.
    pub color_err: bool,
}

impl Output {
    /// From the command line and the environment.
    #[must_use]
    pub fn new(json: bool, color: Color) -> Self {
        let wanted = |terminal: bool| match color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => {
                let forbidden = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
                terminal && !forbidden
            }
        };
        Self {
            json,
            color: wanted(std::io::stdout().is_terminal()) && !json,
            color_err: wanted(std::io::stderr().is_terminal()),
        }
    }

    /// Prints a result: `data` for scripts, `text` for people.
    pub fn result(&self, data: impl FnOnce() -> Value, text: impl FnOnce() -> String) {
        if self.json {
            let whole = json!({"schema_version": 1, "ok": true, "data": data()});
            line(&crate::render::json::text(&whole));
        } else {
            print(&text());
        }
    }

    /// Prints an error: for scripts on stdout, for people on stderr.
    pub fn error(&self, error: &CliError) {
        if self.json {
            line(&crate::render::json::text(&error.json()));
        }
        talk(&format!("error: failed to {}.", error.message.trim_end_matches('.')));
        if !error.hint.is_empty() {
            talk(&format!("hint: {}", error.hint));
        }
    }
}

/// Prints text on stdout as it is.
pub fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    // Nobody reads any more: what was to be done is done, so there is nothing to report.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Prints one line on stdout.
pub fn line(text: &str) {
    print(&format!("{text}\n"));
}

/// Prints a text on stderr, control characters made visible. On a terminal it wraps between
/// words and breaks no line to type; a file has it as it is.
pub fn talk(text: &str) {
    let text = crate::render::clean(text);
    if !std::io::stderr().is_terminal() && !is_seen_by_front() {
        return talk_raw(&format!("{text}\n"));
    }
    let columns = size_of_talk().0;
    let wrapped = |line: &str| match line.starts_with(' ') {
        // Set off as something to type, or as a table.
        true => line.to_owned(),
        false => fit::paragraph(line, columns, 0),
    };
    let lines: Vec<String> = text.split('\n').map(wrapped).collect();
    talk_raw(&format!("{}\n", lines.join("\n")));
}

/// The width of the terminal; what `COLUMNS` says of one elsewhere, or 100, where there is none.
#[must_use]
pub fn width() -> usize {
    let elsewhere = || std::env::var("COLUMNS").ok()?.parse().ok();
    rustix::termios::tcgetwinsize(std::io::stdout())
        .ok()
        .map(|size| usize::from(size.ws_col))
        .or_else(elsewhere)
        .filter(|width| *width >= 20)
        .unwrap_or(100)
}

/// Whether a person sees stdout on a terminal: here, or where a front shows it.
#[must_use]
pub fn is_seen() -> bool {
    std::io::stdout().is_terminal() || is_seen_by_front()
}

/// Columns and lines of the terminal on stderr; 80 by 24 where it doesn't say.
#[must_use]
pub fn size_of_talk() -> (usize, usize) {
    let size = rustix::termios::tcgetwinsize(std::io::stderr()).ok();
    let size = size.map(|size| (usize::from(size.ws_col), usize::from(size.ws_row)));
    let elsewhere = if is_seen_by_front() { width() } else { 80 };
    size.filter(|(columns, lines)| *columns > 0 && *lines > 0).unwrap_or((elsewhere, 24))
}

/// Prints what an ilchul on another machine said: no more of it steers a terminal than its
/// colours, where there are any here.
pub fn talk_of_another(text: &[u8], color: bool) {
    let text = String::from_utf8_lossy(text);
    talk_raw(&if color { crate::render::clean_but_colour(&text) } else { crate::render::clean(&text) });
}

/// Prints text on stderr that carries our own colours, and nothing of anybody else's.
pub fn talk_styled(text: &str) {
    talk_raw(&format!("{text}\n"));
}

/// Prints text on stderr as it is, in one write.
pub fn talk_raw(text: &str) {
    let mut out = std::io::stderr().lock();
    let _ = out.write_all(text.as_bytes());
}
