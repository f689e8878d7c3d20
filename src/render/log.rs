//! A worker's raw output, made safe to show: in pieces, as it comes.
//!
//! On a terminal colours are dropped and every other control character is made
//! visible; to a pipe whole escape sequences are dropped, and what is left is made visible
//! as well. It leaves out reading the file.

use anstream::adapter::StripBytes;

use super::clean;

/// A line that doesn't end is shown in parts of this size.
const LINE_MAX: usize = 64 * 1024;

/// Makes one stream of output safe.
#[derive(Debug)]
pub struct LogFilter {
    /// For a pipe: takes escape sequences out.
    strip: Option<StripBytes>,
    /// A line's beginning whose rest hasn't come yet.
    pending: Vec<u8>,
}

impl LogFilter {
    /// For a terminal.
    #[must_use]
    pub fn visible() -> Self {
        Self { strip: None, pending: Vec::new() }
    }

    /// For a pipe or a file. Who reads there may still be a terminal's pager.
    #[must_use]
    pub fn stripped() -> Self {
        Self { strip: Some(StripBytes::new()), pending: Vec::new() }
    }

    /// What can be shown once `bytes` have come.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        match &mut self.strip {
            Some(strip) => strip.strip_next(bytes).for_each(|part| self.pending.extend_from_slice(part)),
            None => self.pending.extend_from_slice(bytes),
        }
        // A sequence cut in two would be seen as text, so only whole lines pass.
        let ready = match self.pending.iter().rposition(|byte| *byte == b'\n') {
            Some(last) => last + 1,
            None if self.pending.len() > LINE_MAX => self.pending.len(),
            None => return Vec::new(),
        };
        let rest = self.pending.split_off(ready);
        visible(&std::mem::replace(&mut self.pending, rest)).into_bytes()
    }

    /// What is left once nothing more will come.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        visible(&self.pending).into_bytes()
    }
}

/// Text for a terminal: without colours, with every other control character visible.
#[must_use]
pub fn visible(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes).replace("\r\n", "\n");
    clean(&without_colors(&text))
}

/// Without `ESC [ digits ; ... m`; whatever else begins with ESC stays, to be made visible.
fn without_colors(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("\u{1b}[") {
        let (before, sequence) = rest.split_at(start);
        out.push_str(before);
        let body = &sequence[2..];
        let end = body.find(|c: char| !(c.is_ascii_digit() || c == ';' || c == ':')).unwrap_or(body.len());
        if body[end..].starts_with('m') {
            rest = &body[end + 1..];
        } else {
            out.push('\u{1b}');
            rest = &sequence[1..];
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn through(mut filter: LogFilter, pieces: &[&[u8]]) -> String {
        let mut out: Vec<u8> = pieces.iter().flat_map(|piece| filter.push(piece)).collect();
        out.extend(filter.finish());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn s8_on_a_terminal_colours_go_and_everything_else_is_seen() {
        let raw: &[u8] = b"\x1b[1;31mred\x1b[0m\r\n\x1b]0;title\x07\x1b[2Jx\ry\n";
        let seen = "red\n\\u{1b}]0;title\\u{7}\\u{1b}[2Jx\\u{d}y\n";
        assert_eq!(through(LogFilter::visible(), &[raw]), seen);
    }

    #[test]
    fn s8_a_sequence_that_comes_in_pieces_is_seen_like_a_whole_one() {
        let raw: &[u8] = b"\x1b[1;31mred\x1b[0m caf\xc3\xa9\n\x1b[2J";
        for cut in 0..raw.len() {
            let pieces = [&raw[..cut], &raw[cut..]];
            assert_eq!(through(LogFilter::visible(), &pieces), "red café\n\\u{1b}[2J");
            assert_eq!(through(LogFilter::stripped(), &pieces), "red café\n");
        }
    }

    #[test]
    fn s9_what_is_no_escape_sequence_is_made_visible_for_a_pipe_too() {
        let raw = "\u{1b}[1mx\u{202e}y\u{9b}2J\r\nz\rw".as_bytes();
        for cut in 0..raw.len() {
            let seen = through(LogFilter::stripped(), &[&raw[..cut], &raw[cut..]]);
            assert!(seen.starts_with("x\\u{202e}y") && seen.ends_with("\nz\\u{d}w"), "{seen:?}");
            assert!(!seen.contains(['\u{9b}', '\u{202e}', '\r', '\u{1b}']), "{seen:?}");
        }
    }

    #[test]
    fn a_line_without_an_end_is_shown_all_the_same() {
        let mut filter = LogFilter::visible();
        assert!(filter.push(&vec![b'a'; LINE_MAX]).is_empty());
        assert_eq!(filter.push(b"b").len(), LINE_MAX + 1);
    }

    #[test]
    fn a_last_line_without_a_newline_is_not_lost() {
        assert_eq!(through(LogFilter::visible(), &[b"a\nb"]), "a\nb");
        assert_eq!(through(LogFilter::stripped(), &[b"a\nb"]), "a\nb");
    }
}
