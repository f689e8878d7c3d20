//! `log`: text that was written while the attempt worked contains a pattern (law E4).
//!
//! The text is the worker's output as its shim captured it, or a new file inside the
//! tree. It is read once, up to a bound: what is matched is what is kept. Nothing is
//! taken out of it: a terminal's control sequences and carriage returns are a part of
//! the text, and bytes that aren't UTF-8 stand as U+FFFD. It leaves out cleaning the
//! text, which is done where it is shown.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use regex::Regex;
use rustix::fs::{CWD, Mode, OFlags, openat};

use super::{Case, file, refuted, unverifiable, verified};
use crate::engine::evidence::Checked;
use crate::journal::blobs;
use crate::workflow::LogSource;

const KIND: &str = "log";
/// The most bytes that are searched: what a shim keeps of a worker's output.
const CAP: u64 = 64 << 20;
/// A full log ends with a line of the shim's that says so.
const SLACK: u64 = 64 << 10;
/// Characters of the found text that the record holds.
const SHOWN: usize = 200;

pub(super) fn check(case: &Case, pattern: &str, source: &LogSource) -> Checked {
    judge(case, pattern, source)
        .unwrap_or_else(|verdict| verdict)
        .fact("pattern", pattern)
        .fact("source", source.word())
}

fn judge(case: &Case, pattern: &str, source: &LogSource) -> Result<Checked, Checked> {
    let regex = Regex::new(pattern)
        .map_err(|error| unverifiable(KIND, format!("the pattern can't be used: {error}")))?;
    let (file, whose) = match source {
        LogSource::Worker => (captured(&case.log)?, "the worker's output".to_owned()),
        LogSource::File(path) => (file::open_new(case, KIND, path, CAP)?, format!("`{path}`")),
    };
    let mut bytes = Vec::new();
    file.take(CAP + SLACK)
        .read_to_end(&mut bytes)
        .map_err(|error| unverifiable(KIND, format!("read {whose}: {error}")))?;
    let blob = blobs::keep(&case.home, &mut &bytes[..], CAP + SLACK)
        .map_err(|error| unverifiable(KIND, format!("keep {whose}: {error}")))?;
    let other = match source {
        LogSource::Worker => None,
        LogSource::File(path) => file::other_than_claimed(case, KIND, path, &blob),
    };
    let checked = match other {
        Some(why) => refuted(KIND, why),
        None => search(&regex, &bytes, &whose),
    };
    Ok(checked.fact("sha256", blob.sha256).fact("bytes", blob.bytes))
}

/// The output of the worker, as its shim captured it.
fn captured(log: &Path) -> Result<File, Checked> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let file = openat(CWD, log, flags, Mode::empty()).map(File::from).map_err(|error| match error {
        // It is the shim's to make: a program that speaks the protocol itself may have none.
        rustix::io::Errno::NOENT => unverifiable(KIND, "the worker's output wasn't captured"),
        error => unverifiable(KIND, format!("open the worker's output: {error}")),
    })?;
    match file.metadata() {
        Ok(metadata) if metadata.is_file() => Ok(file),
        Ok(_) => Err(unverifiable(KIND, "the worker's output isn't in a regular file")),
        Err(error) => {
            let error: io::Error = error;
            Err(unverifiable(KIND, format!("look at the worker's output: {error}")))
        }
    }
}

fn search(regex: &Regex, bytes: &[u8], whose: &str) -> Checked {
    let text = String::from_utf8_lossy(bytes);
    let Some(found) = regex.find(&text) else {
        let cut = if bytes.len() as u64 >= CAP { " (only its first part was kept)" } else { "" };
        return refuted(KIND, format!("{whose} doesn't match `{regex}`{cut}"));
    };
    let line = 1 + text[..found.start()].matches('\n').count();
    let shown: String = found.as_str().chars().take(SHOWN).collect();
    verified(KIND, format!("{whose} matches in line {line}"))
        .fact("line", line)
        // Bytes of the decoded text, the second not included.
        .fact("range", vec![found.start(), found.end()])
        .fact("matched", shown)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::evidence::Verdict;

    fn found(pattern: &str, text: &[u8]) -> Checked {
        search(&Regex::new(pattern).unwrap(), text, "the worker's output")
    }

    #[test]
    fn the_first_match_is_told_with_its_line_and_range() {
        let checked = found("ok. [1-9]", b"building\n\ntest ok. 3 passed\nok. 4\n");
        assert_eq!(
            (checked.verdict, &*checked.reason),
            (Verdict::Verified, "the worker's output matches in line 3")
        );
        assert_eq!(checked.facts.get("line").unwrap(), 3);
        assert_eq!(checked.facts.get("range").unwrap(), &serde_json::json!([15, 20]));
        assert_eq!(checked.facts.get("matched").unwrap(), "ok. 3");
    }

    #[test]
    fn what_is_not_there_is_refuted_and_an_empty_output_shows_nothing() {
        for text in [&b""[..], b"test result: ok. 0 passed\n"] {
            let checked = found("ok\\. [1-9]", text);
            assert_eq!(checked.verdict, Verdict::Refuted);
            assert_eq!(checked.reason, "the worker's output doesn't match `ok\\. [1-9]`");
            assert_eq!(checked.facts.get("line"), None);
        }
    }

    #[test]
    fn control_sequences_and_foreign_bytes_are_part_of_the_text_and_stop_nothing() {
        let text = b"\x1b[32mok\x1b[0m \xff\xfe done\r\n";
        assert_eq!(found("ok", text).verdict, Verdict::Verified);
        assert_eq!(found("\u{fffd} done", text).verdict, Verdict::Verified);
        assert_eq!(found("(?m)^ok", text).verdict, Verdict::Refuted, "a colour stands before it");
        assert_eq!(found("(?m)done$", text).verdict, Verdict::Refuted, "a carriage return stands behind it");
        assert_eq!(found("(?mR)done$", text).verdict, Verdict::Verified);
    }

    #[test]
    fn e5_an_output_that_was_not_captured_is_unverifiable_and_a_link_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.1.log");
        let why = || captured(&path).map(drop).unwrap_err();
        assert_eq!(
            (why().verdict, &*why().reason),
            (Verdict::Unverifiable, "the worker's output wasn't captured")
        );
        std::os::unix::fs::symlink("/etc/passwd", &path).unwrap();
        assert!(why().reason.starts_with("open the worker's output: "), "{}", why().reason);
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        assert_eq!(why().reason, "the worker's output isn't in a regular file");
        std::fs::remove_dir(&path).unwrap();
        std::fs::write(&path, "ok").unwrap();
        assert!(captured(&path).is_ok());
    }

    #[test]
    fn s12_a_long_match_is_cut_in_the_record() {
        let checked = found("x+", "x".repeat(10_000).as_bytes());
        assert_eq!(checked.facts.get("matched").unwrap().as_str().unwrap().len(), SHOWN);
        assert_eq!(checked.facts.get("range").unwrap(), &serde_json::json!([0, 10_000]));
    }
}
