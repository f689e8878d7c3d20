//! The terminal's bytes as the dashboard's keys: total, whatever comes.
//!
//! A key that isn't known is passed over whole, so that no piece of it is taken for another.
//! Nothing here needs Alt, so Escape with a letter right behind it is both keys: on a slow line
//! that is what it was. It leaves out reading.

use crate::dash::Key;

const ESC: u8 = 0x1b;
/// A sequence that is longer isn't one.
const SEQUENCE_MAX: usize = 32;

/// Bytes that came, and are no whole key yet.
#[derive(Debug, Default)]
pub(super) struct Keys {
    pending: Vec<u8>,
}

/// What stands at the front of the bytes.
enum Front {
    /// So many bytes are this key, or one that isn't known.
    Key(usize, Option<Key>),
    /// The beginning of something.
    More,
}

impl Keys {
    /// The keys that are whole now.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Vec<Key> {
        self.pending.extend_from_slice(bytes);
        let mut keys = Vec::new();
        while !self.pending.is_empty() {
            let Front::Key(length, key) = front(&self.pending) else { break };
            keys.extend(key);
            self.pending.drain(..length);
        }
        keys
    }

    /// Whether something has begun: it is told from a lone Escape by what follows at once.
    pub(super) fn is_waiting(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Nothing more has come: what has begun was Escape, or nothing that is known.
    pub(super) fn settle(&mut self) -> Option<Key> {
        let begun = std::mem::take(&mut self.pending);
        (begun.first() == Some(&ESC)).then_some(Key::Esc)
    }
}

fn front(bytes: &[u8]) -> Front {
    match bytes {
        [] | [ESC] => Front::More,
        [ESC, b'[', rest @ ..] => sequence(rest),
        [ESC, b'O'] => Front::More,
        [ESC, b'O', last, ..] => Front::Key(3, moves(*last)),
        [ESC, ..] => Front::Key(1, Some(Key::Esc)),
        [b'\r' | b'\n', ..] => Front::Key(1, Some(Key::Enter)),
        [b'\t', ..] => Front::Key(1, Some(Key::Tab)),
        [0x7f | 0x08, ..] => Front::Key(1, Some(Key::Backspace)),
        [held @ 0x01..=0x1a, ..] => Front::Key(1, Some(Key::Ctrl(char::from(b'a' + held - 1)))),
        [0..0x20, ..] => Front::Key(1, None),
        [_, ..] => letter(bytes),
    }
}

/// What follows `ESC [`.
fn sequence(rest: &[u8]) -> Front {
    // The Linux console's function keys have one letter more.
    if let [b'[', after @ ..] = rest {
        return if after.is_empty() { Front::More } else { Front::Key(4, None) };
    }
    let Some(end) = rest.iter().position(|byte| (0x40..=0x7e).contains(byte)) else {
        return if rest.len() < SEQUENCE_MAX { Front::More } else { Front::Key(2 + rest.len(), None) };
    };
    // A letter may carry who else was held (`1;5A`): it moves all the same.
    let number = rest[..end].split(|byte| *byte == b';').next().unwrap_or_default();
    let key = match (rest[end], number) {
        (b'~', b"1" | b"7") => Some(Key::Home),
        (b'~', b"4" | b"8") => Some(Key::End),
        (b'~', b"5") => Some(Key::PageUp),
        (b'~', b"6") => Some(Key::PageDown),
        (b'Z', _) => Some(Key::Tab),
        (last, _) => moves(last),
    };
    Front::Key(2 + end + 1, key)
}

fn moves(last: u8) -> Option<Key> {
    match last {
        b'A' => Some(Key::Up),
        b'B' => Some(Key::Down),
        b'H' => Some(Key::Home),
        b'F' => Some(Key::End),
        _ => None,
    }
}

fn letter(bytes: &[u8]) -> Front {
    let length = match bytes[0] {
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => 1,
    };
    let Some(one) = bytes.get(..length) else { return Front::More };
    match std::str::from_utf8(one).ok().and_then(|text| text.chars().next()) {
        Some(letter) => Front::Key(length, Some(Key::Char(letter))),
        None => Front::Key(1, None),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// All keys of these bytes, once nothing more comes.
    fn keys(bytes: &[u8]) -> Vec<Key> {
        let mut keys = Keys::default();
        let mut all = keys.push(bytes);
        all.extend(keys.settle());
        all
    }

    #[test]
    fn a_terminals_bytes_are_the_dashboards_keys() {
        for (bytes, expected) in [
            (&b"jG?"[..], vec![Key::Char('j'), Key::Char('G'), Key::Char('?')]),
            (b"\x03\x1a\x0c", vec![Key::Ctrl('c'), Key::Ctrl('z'), Key::Ctrl('l')]),
            (b"\r\n\t\x7f\x08", vec![Key::Enter, Key::Enter, Key::Tab, Key::Backspace, Key::Backspace]),
            (b"\x1b[A\x1b[B\x1bOA\x1bOB", vec![Key::Up, Key::Down, Key::Up, Key::Down]),
            (b"\x1b[H\x1b[F\x1b[1~\x1b[4~\x1bOH", vec![Key::Home, Key::End, Key::Home, Key::End, Key::Home]),
            (b"\x1b[5~\x1b[6~\x1b[Z", vec![Key::PageUp, Key::PageDown, Key::Tab]),
            (b"\x1b[1;5A\x1b[5;2~", vec![Key::Up, Key::PageUp]),
            ("é日😀".as_bytes(), vec![Key::Char('é'), Key::Char('日'), Key::Char('😀')]),
            (b"\x1b", vec![Key::Esc]),
            (b"\x1bw", vec![Key::Esc, Key::Char('w')]),
            (b"\x1b\x1b", vec![Key::Esc, Key::Esc]),
        ] {
            assert_eq!(keys(bytes), expected, "{bytes:?}");
        }
    }

    #[test]
    fn what_isnt_known_is_passed_over_whole() {
        for unknown in ["\x1b[C", "\x1b[15~", "\x1b[[A", "\x1bOP", "\x1b[200~", "\x1b[<0;1;1M", "\0"] {
            assert_eq!(keys(format!("{unknown}q").as_bytes()), [Key::Char('q')], "{unknown:?}");
        }
        assert_eq!(keys(b"\xff\xc3(q"), [Key::Char('('), Key::Char('q')]);
    }

    proptest! {
        #[test]
        fn however_the_bytes_are_cut_the_keys_are_the_same(
            bytes in proptest::collection::vec(prop_oneof![any::<u8>(), Just(0x1b), Just(b'['), Just(b'A')], 0..60),
            cut in 0usize..60,
        ) {
            let (front, rest) = bytes.split_at(cut.min(bytes.len()));
            let mut pieces = Keys::default();
            let mut all = pieces.push(front);
            all.extend(pieces.push(rest));
            all.extend(pieces.settle());
            prop_assert_eq!(all, keys(&bytes));
            prop_assert!(!pieces.is_waiting());
        }
    }
}
