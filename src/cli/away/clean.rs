//! What another machine prints, on its way to a terminal here: colours, and nothing else that
//! steers it (S8).
//!
//! The ilchul there cleans what it renders; login shells, ssh, and a machine that lies don't. It
//! leaves out streams that no terminal shows: a script has every byte.

use std::io::{self, Write};

use crate::render::{clean, clean_but_colour};

/// The longest beginning of a colour that is waited for.
const COLOUR_MAX: usize = 32;

/// A stream whose text is cleaned as it comes.
#[derive(Debug)]
pub(super) struct Cleaned<W: Write> {
    to: W,
    colour: bool,
    /// The end of a piece that the next one may go on with.
    held: Vec<u8>,
}

impl<W: Write> Cleaned<W> {
    /// In front of `to`, which may show colours or not.
    pub(super) fn new(to: W, colour: bool) -> Self {
        Self { to, colour, held: Vec::new() }
    }

    fn pass(&mut self, ready: usize) -> io::Result<()> {
        let rest = self.held.split_off(ready);
        let bytes = std::mem::replace(&mut self.held, rest);
        let text = String::from_utf8_lossy(&bytes);
        let text = if self.colour { clean_but_colour(&text) } else { clean(&text) };
        self.to.write_all(text.as_bytes())
    }
}

impl<W: Write> Write for Cleaned<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.held.extend_from_slice(bytes);
        self.pass(ready(&self.held))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

impl<W: Write> Drop for Cleaned<W> {
    fn drop(&mut self) {
        // Nothing goes on with it any more. Where nobody reads, nobody misses it.
        let _ = self.pass(self.held.len()).and_then(|()| self.to.flush());
    }
}

/// How much of `bytes` can be judged: a letter or a colour at its end may not be whole yet.
fn ready(bytes: &[u8]) -> usize {
    let from = bytes.len().saturating_sub(COLOUR_MAX);
    if let Some(at) = bytes[from..].iter().rposition(|byte| *byte == 0x1b).map(|at| from + at) {
        let is_open = match &bytes[at + 1..] {
            [] => true,
            [b'[', codes @ ..] => codes.iter().all(|byte| byte.is_ascii_digit() || *byte == b';'),
            [..] => false,
        };
        if is_open {
            return at;
        }
    }
    let tail = bytes.len() - bytes.len().min(3);
    let Some(at) = bytes[tail..].iter().rposition(|byte| *byte >= 0xc0).map(|at| tail + at) else {
        return bytes.len();
    };
    match std::str::from_utf8(&bytes[at..]) {
        Err(error) if error.error_len().is_none() => at,
        Ok(_) | Err(_) => bytes.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(colour: bool, pieces: &[&[u8]]) -> String {
        let mut out = Vec::new();
        let mut cleaned = Cleaned::new(&mut out, colour);
        pieces.iter().for_each(|piece| cleaned.write_all(piece).unwrap());
        drop(cleaned);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn s8_only_colours_of_another_machine_pass_however_its_stream_is_cut() {
        let text = "é \u{1b}[1;31mred\u{1b}[0m \u{1f980}\n\u{1b}]0;t\u{7}\u{1b}[2J\u{202e}\r\u{1b}[31";
        let shown =
            "é \u{1b}[1;31mred\u{1b}[0m \u{1f980}\n\\u{1b}]0;t\\u{7}\\u{1b}[2J\\u{202e}\\u{d}\\u{1b}[31";
        let bytes = text.as_bytes();
        for cut in 0..=bytes.len() {
            assert_eq!(seen(true, &[&bytes[..cut], &bytes[cut..]]), shown, "{cut}");
        }
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(seen(true, &single), shown);
        assert_eq!(seen(false, &single), shown.replace('\u{1b}', "\\u{1b}"));
    }

    #[test]
    fn what_can_be_judged_is_shown_at_once_and_bytes_that_are_no_text_too() {
        let mut out = Vec::new();
        let mut cleaned = Cleaned::new(&mut out, true);
        cleaned.write_all(b"no line's end \xff\xff\xffx").unwrap();
        assert_eq!(cleaned.held, b"");
        cleaned.write_all(&[b"\x1b[".as_slice(), &[b'1'; COLOUR_MAX]].concat()).unwrap();
        assert_eq!(cleaned.held, b"", "no colour is that long");
        drop(cleaned);
        let text = String::from_utf8(out).unwrap();
        assert!(text.starts_with("no line's end \u{fffd}") && text.contains("\\u{1b}[111"), "{text}");
    }
}
