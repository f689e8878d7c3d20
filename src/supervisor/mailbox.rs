//! Mail, read: which of a worker's files changed, and what they say, as inputs.
//!
//! A file is read when its inode, size or time differs from what was read last, so
//! a ring costs one read and a rescan a few looks. Times only tell change; they
//! order nothing (law L17). It leaves out what an input leads to.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::engine::evidence::ChildExit;
use crate::engine::input::{Beat, Seen};
use crate::mail::{self, MailError};
use crate::protocol::{self, Ack, ExitRecord, Heartbeat, Ready, Report};

/// What a worker may write, in the order in which it matters.
const FILES: [&str; 5] =
    [protocol::READY, protocol::ACK, protocol::HEARTBEAT, protocol::REPORT, protocol::EXIT];

/// One worker's mail.
#[derive(Debug)]
pub struct Mailbox {
    folder: PathBuf,
    tree: PathBuf,
    seen: BTreeMap<&'static str, Version>,
    retired: bool,
}

/// What tells one version of a file from the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Version {
    inode: u64,
    size: u64,
    changed: (i64, i64),
}

impl Mailbox {
    /// The mail in `folder` of a worker that works in `tree`; none of it read.
    #[must_use]
    pub fn new(folder: PathBuf, tree: PathBuf) -> Self {
        Self { folder, tree, seen: BTreeMap::new(), retired: false }
    }

    /// Notes that its worker is over; answers whether that was noted before.
    pub fn retire(&mut self) -> bool {
        std::mem::replace(&mut self.retired, true)
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What one file says, if it is news. An exit brings the report before it with it.
    pub fn read(&mut self, name: &str) -> Vec<Seen> {
        let Some(name) = FILES.into_iter().find(|known| *known == name) else { return Vec::new() };
        let mut seen = Vec::new();
        if name == protocol::EXIT {
            seen.extend(self.look(protocol::REPORT));
        }
        seen.extend(self.look(name));
        seen
    }

    /// What all files say, where it is news.
    pub fn read_all(&mut self) -> Vec<Seen> {
        FILES.into_iter().filter_map(|name| self.look(name)).collect()
    }

    fn look(&mut self, name: &'static str) -> Option<Seen> {
        let version = version(&self.folder.join(name))?;
        if self.seen.get(name) == Some(&version) {
            return None;
        }
        let bytes = match mail::read_bounded(&self.folder, name) {
            Ok(bytes) => bytes?,
            // A look that failed proves nothing: the next one may succeed.
            Err(MailError::Io(..) | MailError::Exists(..) | MailError::Encode(..)) => return None,
            Err(error @ (MailError::NotRegular(..) | MailError::TooLarge(..))) => {
                self.seen.insert(name, version);
                let code = if matches!(error, MailError::TooLarge(..)) { "too_large" } else { "not_regular" };
                return Some(bad_file(name, code, error.to_string(), String::new()));
            }
        };
        self.seen.insert(name, version);
        Some(parse(name, &bytes, &self.tree))
    }
}

fn version(path: &Path) -> Option<Version> {
    let metadata = std::fs::symlink_metadata(path).ok()?;
    Some(Version {
        inode: metadata.ino(),
        size: metadata.size(),
        changed: (metadata.ctime(), metadata.ctime_nsec()),
    })
}

fn parse(name: &'static str, bytes: &[u8], tree: &Path) -> Seen {
    let sha256 = || Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let refuse = |problem: protocol::Problem| {
        let detail = if problem.path.is_empty() {
            problem.message
        } else {
            format!("{}: {}", problem.path, problem.message)
        };
        bad_file(name, problem.code, detail, sha256())
    };
    match name {
        protocol::READY => match protocol::parse::<Ready>(bytes) {
            Ok(ready) => Seen::Ready {
                in_tree: works_in(ready.pid, tree),
                nonce: ready.nonce,
                pid: ready.pid,
                started_at: ready.started_at,
            },
            Err(problem) => refuse(problem),
        },
        protocol::ACK => match protocol::parse::<Ack>(bytes) {
            Ok(ack) => Seen::Acknowledged { token: ack.token },
            Err(problem) => refuse(problem),
        },
        protocol::HEARTBEAT => match protocol::parse::<Heartbeat>(bytes) {
            Ok(beat) => Seen::Beat(Beat {
                token: beat.token,
                seq: beat.seq,
                alive: beat.child.as_ref().map(|child| child.alive),
                progress: beat.progress.output_bytes.saturating_add(beat.progress.cpu_ms),
            }),
            Err(problem) => refuse(problem),
        },
        protocol::REPORT => match Report::check(bytes) {
            Ok(report) => Seen::Reported { report: Box::new(report), sha256: sha256() },
            Err(problems) => {
                let all: Vec<String> = problems.iter().map(ToString::to_string).collect();
                let code = problems.first().map_or("not_json", |problem| problem.code);
                bad_file(name, code, all.join("; "), sha256())
            }
        },
        _ => match protocol::parse::<ExitRecord>(bytes) {
            Ok(exit) => Seen::Ended {
                token: exit.token,
                exit: match (exit.code, exit.signal) {
                    (Some(code), _) => ChildExit::Code(code),
                    (None, Some(signal)) => ChildExit::Signal(signal),
                    (None, None) => ChildExit::Unknown,
                },
                survivors: exit.survivors,
                error: exit.error,
            },
            Err(problem) => refuse(problem),
        },
    }
}

/// Whether a process's real working directory is `tree` (law L20): the same folder, by
/// whatever path.
fn works_in(pid: u32, tree: &Path) -> bool {
    let real = std::fs::metadata(format!("/proc/{pid}/cwd"));
    match (real, std::fs::metadata(tree)) {
        (Ok(real), Ok(tree)) => (real.dev(), real.ino()) == (tree.dev(), tree.ino()),
        (Err(_), _) | (_, Err(_)) => false,
    }
}

fn bad_file(name: &str, code: &str, detail: String, sha256: String) -> Seen {
    Seen::BadFile { file: name.to_owned(), code: code.to_owned(), detail, sha256 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mailbox() -> (tempfile::TempDir, Mailbox) {
        let dir = tempfile::tempdir().unwrap();
        let mailbox = Mailbox::new(dir.path().to_owned(), dir.path().to_owned());
        (dir, mailbox)
    }

    #[test]
    fn a_file_is_read_once_until_it_changes() {
        let (dir, mut mailbox) = mailbox();
        let ack = |token: u64| format!(r#"{{"schema":"ilchul.worker/1","token":{token}}}"#);
        assert_eq!(mailbox.read_all(), []);
        std::fs::write(dir.path().join(".new"), ack(7)).unwrap();
        std::fs::rename(dir.path().join(".new"), dir.path().join("ack.json")).unwrap();
        assert_eq!(mailbox.read("ack.json"), [Seen::Acknowledged { token: 7 }]);
        assert_eq!(mailbox.read_all(), []);
        std::fs::write(dir.path().join(".new"), ack(8)).unwrap();
        std::fs::rename(dir.path().join(".new"), dir.path().join("ack.json")).unwrap();
        assert_eq!(mailbox.read_all(), [Seen::Acknowledged { token: 8 }]);
    }

    #[test]
    fn half_a_file_is_refused_with_its_hash_and_a_link_is_never_followed() {
        let (dir, mut mailbox) = mailbox();
        std::fs::write(dir.path().join("report.json"), r#"{"schema":"ilchul.rep"#).unwrap();
        let seen = mailbox.read_all();
        assert!(matches!(&seen[..], [Seen::BadFile { sha256, .. }] if sha256.len() == 64), "{seen:?}");
        std::os::unix::fs::symlink("/etc/passwd", dir.path().join("ack.json")).unwrap();
        let seen = mailbox.read_all();
        assert!(matches!(&seen[..], [Seen::BadFile { code, .. }] if code == "not_regular"), "{seen:?}");
    }

    #[test]
    fn l20_a_process_is_in_the_tree_only_when_its_real_working_directory_is() {
        let here = std::env::current_dir().unwrap();
        assert!(works_in(std::process::id(), &here));
        assert!(!works_in(std::process::id(), Path::new("/")));
        assert!(!works_in(u32::MAX, &here));
    }

    #[test]
    fn an_exit_brings_the_report_that_was_written_before_it() {
        let (dir, mut mailbox) = mailbox();
        std::fs::write(
            dir.path().join("report.json"),
            r#"{"schema":"ilchul.report/1","task":"a","attempt":1,"token":1,"status":"done","summary":"s"}"#,
        )
        .unwrap();
        std::fs::write(
            dir.path().join("exit.json"),
            r#"{"schema":"ilchul.worker/1","token":1,"code":0,"signal":null,"started_at":"a","ended_at":"b"}"#,
        )
        .unwrap();
        let seen = mailbox.read("exit.json");
        assert!(matches!(&seen[..], [Seen::Reported { .. }, Seen::Ended { .. }]), "{seen:?}");
    }
}
