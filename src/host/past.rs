//! Passing over what a login shell's files print before our own words begin.
//!
//! It leaves out what such files read: our input comes after them only where they leave it alone.

/// Stands on a line of its own where our words begin.
pub const MARK: &str = "ilchul.host.1";
/// So much may stand before it.
const BEFORE_MAX: usize = 1 << 20;

/// A stream of which only what comes after the line with [`MARK`] counts.
#[derive(Debug, Default)]
pub struct Past {
    before: Vec<u8>,
    said: Option<String>,
}

impl Past {
    /// What of `bytes` comes after the mark.
    pub fn feed<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        if self.said.is_some() {
            return bytes;
        }
        let from = self.before.len();
        if from > BEFORE_MAX {
            return &[];
        }
        self.before.extend_from_slice(bytes);
        let needle = format!("\n{MARK} ");
        let whole = &self.before;
        let begin = match whole.starts_with(&needle.as_bytes()[1..]) {
            true => Some(needle.len() - 1),
            false => find(whole, needle.as_bytes()).map(|at| at + needle.len()),
        };
        let Some(begin) = begin else { return &[] };
        let Some(end) = find(&whole[begin..], b"\n").map(|at| begin + at) else { return &[] };
        self.said = Some(String::from_utf8_lossy(&whole[begin..end]).into_owned());
        // The line ends within these bytes: before them there was none.
        &bytes[(end + 1).saturating_sub(from).min(bytes.len())..]
    }

    /// What stands behind the mark on its line; none before it was seen.
    #[must_use]
    pub fn said(&self) -> Option<&str> {
        self.said.as_deref()
    }

    /// All that came before the mark, and what came with it.
    #[must_use]
    pub fn before(&self) -> &[u8] {
        &self.before
    }
}

fn find(whole: &[u8], part: &[u8]) -> Option<usize> {
    whole.windows(part.len()).position(|window| window == part)
}
