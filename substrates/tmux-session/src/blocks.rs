//! The stream of control mode, cut into replies and notices. Pure.
//!
//! It leaves out who waits for a reply and what a notice is worth.

/// The most bytes of one reply that we hold; a stream beyond it is given up.
const MAX_REPLY: usize = 16 << 20;

/// What a piece of the stream amounts to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// One command's reply: its output, or the error's text.
    Reply(Result<String, String>),
    /// A notification, whole.
    Notice(String),
}

/// A stream that holds more in one reply than any listing does.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooLong;

/// Cuts bytes into events, however they arrive.
#[derive(Debug, Default)]
pub(crate) struct Blocks {
    line: Vec<u8>,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    /// What follows `%end` or `%error`, exactly: output may look like either.
    stamp: String,
    text: String,
}

impl Blocks {
    /// Takes some bytes, gives the events that they complete.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Result<Vec<Event>, TooLong> {
        let mut events = Vec::new();
        for &byte in bytes {
            if byte != b'\n' {
                self.line.push(byte);
                continue;
            }
            let line = String::from_utf8_lossy(&self.line).into_owned();
            self.line.clear();
            events.extend(self.take(&line));
        }
        let held = self.line.len() + self.open.as_ref().map_or(0, |open| open.text.len());
        if held > MAX_REPLY { Err(TooLong) } else { Ok(events) }
    }

    fn take(&mut self, line: &str) -> Option<Event> {
        let Some(open) = &mut self.open else {
            match line.strip_prefix("%begin ") {
                Some(stamp) => self.open = Some(Open { stamp: stamp.to_owned(), text: String::new() }),
                None => return Some(Event::Notice(line.to_owned())),
            }
            return None;
        };
        let ended = line.strip_prefix("%end ") == Some(&open.stamp);
        let failed = line.strip_prefix("%error ") == Some(&open.stamp);
        if !ended && !failed {
            open.text.push_str(line);
            open.text.push('\n');
            return None;
        }
        let open = self.open.take()?;
        // Flag 1 marks what came from our lines; 0 is the attaching itself, or a hook of the user's.
        if !open.stamp.ends_with(" 1") {
            return None;
        }
        Some(Event::Reply(if ended { Ok(open.text) } else { Err(open.text.trim_end().to_owned()) }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, proptest};

    const STREAM: &str = "%begin 1 270 0\n%end 1 270 0\n%session-changed $0 il-x\n%begin 1 275 1\n%end 1 9 1\n\
        %5\n%end 1 275 1\n%begin 1 276 1\nbad\n%error 1 276 1\n%window-close @1\n";

    fn expected() -> Vec<Event> {
        vec![
            Event::Notice("%session-changed $0 il-x".to_owned()),
            Event::Reply(Ok("%end 1 9 1\n%5\n".to_owned())),
            Event::Reply(Err("bad".to_owned())),
            Event::Notice("%window-close @1".to_owned()),
        ]
    }

    #[test]
    fn replies_and_notices_are_told_apart_in_any_pieces() {
        for size in 1..STREAM.len() {
            let mut blocks = Blocks::default();
            let events: Vec<Event> =
                STREAM.as_bytes().chunks(size).flat_map(|piece| blocks.feed(piece).unwrap()).collect();
            assert_eq!(events, expected(), "pieces of {size}");
        }
    }

    #[test]
    fn a_stream_without_end_is_given_up() {
        let mut blocks = Blocks::default();
        let piece = vec![b'x'; 1 << 20];
        assert!((0..20).any(|_| blocks.feed(&piece) == Err(TooLong)));
    }

    proptest! {
        #[test]
        fn no_bytes_break_it(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _events = Blocks::default().feed(&bytes);
        }
    }
}
