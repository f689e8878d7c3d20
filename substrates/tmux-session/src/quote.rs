//! Words of a tmux command line: any bytes in, exactly the same bytes out.
//!
//! It leaves out formats: tmux expands `#{}` and `#()` in some arguments after
//! it has read the line, and no quoting of words prevents that. Callers hand
//! data only to arguments that aren't expanded.

use ilchul_substrate::{Error, ErrorKind};

/// The longest command line we send, in bytes. A client hands its arguments to the
/// server in one message of 16 KiB; a margin is left for what tmux adds, and the
/// standing connection keeps to the same limit, so that the first window of a
/// session and the tenth take the same specs.
pub(crate) const MAX_LINE: usize = 15_000;

/// Appends `word`, preceded by a space unless `line` is empty.
///
/// # Errors
/// `Refused` for a NUL: it can stand in no argument of a program.
pub(crate) fn push_word(line: &mut Vec<u8>, word: &[u8]) -> Result<(), Error> {
    if word.contains(&0) {
        let shown = String::from_utf8_lossy(word).escape_debug().to_string();
        return Err(Error::new(ErrorKind::Refused, "quote word for tmux", format!("`{shown}` holds a NUL")));
    }
    if !line.is_empty() {
        line.push(b' ');
    }
    line.push(b'\'');
    for &byte in word {
        match byte {
            b'\'' => line.extend_from_slice(br"'\''"),
            // Control mode ends a command at the first newline, whatever quotes are open.
            b'\n' => line.extend_from_slice(br#"'"\n"'"#),
            // tmux reads its lines as signed characters, where this one is the end of the file.
            0xff => line.extend_from_slice(br#"'"\377"'"#),
            other => line.push(other),
        }
    }
    line.push(b'\'');
    Ok(())
}

/// Appends words that we wrote ourselves: no data, nothing to quote.
pub(crate) fn push_plain(line: &mut Vec<u8>, words: &str) {
    if !line.is_empty() {
        line.push(b' ');
    }
    line.extend_from_slice(words.as_bytes());
}

/// `path` as text for `sh` that holds no byte which sh, a tmux format or strftime reads as its own.
///
/// Every other byte is an octal escape that `printf` undoes, because tmux collapses
/// `##` differently before `[`, so that doubling isn't exact for every path.
pub(crate) fn for_sh_in_format(path: &[u8]) -> String {
    let mut text = String::from("\"$(printf '");
    for &byte in path {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'.' | b'_' | b'-') {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("\\{byte:03o}"));
        }
    }
    text.push_str("')\"");
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::proptest;

    fn quoted(word: &[u8]) -> Vec<u8> {
        let mut line = Vec::new();
        push_word(&mut line, word).unwrap();
        line
    }

    #[test]
    fn a_word_stands_in_single_quotes_on_one_line() {
        assert_eq!(quoted(b""), b"''");
        assert_eq!(quoted(b"a b;$X~#(y)\\"), br"'a b;$X~#(y)\'");
        assert_eq!(quoted(b"it's"), br"'it'\''s'");
        assert_eq!(quoted(b"a\nb"), br#"'a'"\n"'b'"#);
        assert_eq!(quoted(b"\xff"), br#"''"\377"''"#);
        for byte in 1..=255_u8 {
            assert!(!quoted(&[byte]).contains(&b'\n'), "{byte}");
        }
    }

    /// Reads one word as tmux does: quotes of both kinds, a backslash outside and inside double ones.
    fn read_back(line: &[u8]) -> Vec<u8> {
        let (mut word, mut open, mut at) = (Vec::new(), 0_u8, 0);
        while let Some(&byte) = line.get(at) {
            at += 1;
            match (open, byte) {
                (0, b'\'' | b'"') => open = byte,
                (quote, byte) if quote == byte => open = 0,
                (b'\'', byte) => word.push(byte),
                (_, b'\\') if line[at..].starts_with(b"377") => {
                    word.push(0xff);
                    at += 3;
                }
                (_, b'\\') => {
                    word.push(if line[at] == b'n' { b'\n' } else { line[at] });
                    at += 1;
                }
                (_, byte) => panic!("{byte} stands outside of quotes"),
            }
        }
        assert_eq!(open, 0, "an open quote");
        word
    }

    proptest! {
        #[test]
        fn any_word_reads_back_and_stays_on_its_line(word in proptest::collection::vec(1_u8..=255, 0..80)) {
            let line = quoted(&word);
            assert_eq!(read_back(&line), word);
            assert!(!line.contains(&b'\n') && !line.contains(&0xff));
        }
    }

    #[test]
    fn a_nul_is_refused() {
        let error = push_word(&mut Vec::new(), b"a\0b").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused);
    }

    #[test]
    fn a_path_for_sh_holds_nothing_that_anybody_expands() {
        for byte in 1..=255_u8 {
            let text = for_sh_in_format(&[b'/', byte]);
            let inner = text.strip_prefix("\"$(printf '").unwrap().strip_suffix("')\"").unwrap();
            assert!(!inner.contains(['#', '%', '$', '`', '"', '\'', '\n', ' ', '~', '*']), "{byte}: {inner}");
        }
    }
}
