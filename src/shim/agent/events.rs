//! What an agent's hooks append to `events.jsonl`, read on from where the last look ended.
//!
//! The file is the agent's to write, so it is hostile input: no links, regular files only, so
//! many bytes a look, so many a line. A line that is no event is passed over; nothing here
//! fails, and nothing that stands there proves more than a sign of life. It leaves out meaning.

use super::record;
use crate::mail;
use serde_json::Value;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// The longest line that is read.
const MAX_LINE: usize = 16 * 1024;
/// Bytes that one look reads: a flood may not keep the loop from its beats.
const BYTES_A_LOOK: u64 = 1 << 20;

/// The file, and how far it was read.
#[derive(Debug)]
pub(super) struct EventsFile {
    path: PathBuf,
    /// Device and inode of the file that `offset` counts in.
    identity: Option<(u64, u64)>,
    offset: u64,
    /// The beginning of a line whose end isn't written yet.
    line: Vec<u8>,
    skips: bool,
}

impl EventsFile {
    /// The file at `path`, none of it read; it may come later.
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, identity: None, offset: 0, line: Vec::new(), skips: false }
    }

    /// Each event that is news, with its name.
    pub(super) fn look(&mut self) -> Vec<(String, Value)> {
        let Ok(file) = mail::open_regular(&self.path) else { return Vec::new() };
        let Ok(facts) = file.metadata() else { return Vec::new() };
        let identity = Some((facts.dev(), facts.ino()));
        // Another file in its place, or one that was cut: what it has now is read from its start.
        if self.identity != identity || facts.len() < self.offset {
            *self = Self { identity, ..Self::new(std::mem::take(&mut self.path)) };
        }
        if facts.len() == self.offset { Vec::new() } else { self.read(file).unwrap_or_default() }
    }

    fn read(&mut self, mut file: File) -> std::io::Result<Vec<(String, Value)>> {
        file.seek(SeekFrom::Start(self.offset))?;
        let mut bytes = Vec::new();
        file.take(BYTES_A_LOOK).read_to_end(&mut bytes)?;
        self.offset += bytes.len() as u64;
        Ok(self.events(&bytes))
    }

    fn events(&mut self, bytes: &[u8]) -> Vec<(String, Value)> {
        let mut found = Vec::new();
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            if self.line.len() + piece.len() > MAX_LINE {
                self.skips = true;
                self.line.clear();
            }
            if !self.skips {
                self.line.extend_from_slice(piece);
            }
            if piece.ends_with(b"\n") {
                let line = std::mem::take(&mut self.line);
                let skipped = std::mem::replace(&mut self.skips, false);
                found.extend(event(&line).filter(|_| !skipped));
            }
        }
        found
    }
}

fn event(line: &[u8]) -> Option<(String, Value)> {
    let value: Value = serde_json::from_slice(line.trim_ascii()).ok()?;
    let name = record::name(&["event".to_owned()], &value)?;
    Some((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn stage() -> (tempfile::TempDir, EventsFile, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events.jsonl");
        (dir, EventsFile::new(path.clone()), path)
    }

    fn append(path: &PathBuf, bytes: &[u8]) {
        std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap().write_all(bytes).unwrap();
    }

    fn names(file: &mut EventsFile) -> Vec<String> {
        file.look().into_iter().map(|(name, _)| name).collect()
    }

    #[test]
    fn each_line_is_read_once_and_half_a_line_when_it_is_whole() {
        let (_dir, mut file, path) = stage();
        assert!(names(&mut file).is_empty(), "there is none yet");
        append(&path, b"{\"event\":\"a\"}\n{\"event\":\"b\"");
        assert_eq!(names(&mut file), ["a"]);
        append(&path, b",\"tool\":\"Bash\"}\n{\"event\":\"c\"}\n");
        let found = file.look();
        assert_eq!(found[0].1["tool"], "Bash");
        assert_eq!(found[1].0, "c");
        assert!(names(&mut file).is_empty());
    }

    #[test]
    fn s22_hostile_lines_are_passed_over_and_the_next_one_is_read() {
        let (_dir, mut file, path) = stage();
        append(&path, b"\n[]\n{}\n{\"event\":7}\nno json\n\xff\xfe\0\n");
        append(&path, "[".repeat(9_000).as_bytes());
        append(&path, b"\n{\"event\":\"");
        append(&path, &vec![b'x'; 3 << 20]);
        append(&path, b"\"}\n{\"event\":\"after\"}\n");
        let mut seen = Vec::new();
        // One look reads a megabyte.
        for _ in 0..5 {
            seen.extend(names(&mut file));
        }
        assert_eq!(seen, ["after"]);
        assert!(file.line.capacity() <= 2 * MAX_LINE);
    }

    #[test]
    fn s22_what_is_no_file_is_neither_followed_nor_waited_for() {
        let (dir, mut file, path) = stage();
        std::fs::write(dir.path().join("other"), "{\"event\":\"a\"}\n").unwrap();
        std::os::unix::fs::symlink(dir.path().join("other"), &path).unwrap();
        assert!(names(&mut file).is_empty());
        std::fs::remove_file(&path).unwrap();
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(names(&mut file).is_empty());
    }

    #[test]
    fn a_file_that_was_cut_or_replaced_is_read_from_its_start() {
        let (dir, mut file, path) = stage();
        append(&path, b"{\"event\":\"a\"}\n{\"event\":\"b\"}\n{\"ev");
        assert_eq!(names(&mut file), ["a", "b"]);
        std::fs::write(&path, "{\"event\":\"c\"}\n").unwrap();
        assert_eq!(names(&mut file), ["c"]);
        std::fs::write(dir.path().join("new"), "{\"event\":\"d\"}\n{\"event\":\"e\"}\n").unwrap();
        std::fs::rename(dir.path().join("new"), &path).unwrap();
        assert_eq!(names(&mut file), ["d", "e"]);
    }
}
