//! Mail, read: which of a worker's files changed, and what they say, as inputs.
//!
//! A file is read when its inode, size or time differs from what was read last, so
//! a ring costs one read and a rescan a few looks. Times only tell change; they
//! order nothing (law L17). Submissions are numbered without gaps, so that the next one is one
//! look and nobody lists a folder. It leaves out what an input leads to.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::engine::budget::Amounts;
use crate::engine::evidence::ChildExit;
use crate::engine::input::{Beat, Seen};
use crate::mail::{self, MailError};
use crate::protocol::{self, Ack, AgentPhase, ExitRecord, Heartbeat, Ready, Report, Submission};

/// What a worker may write, in the order in which it matters.
const FILES: [&str; 5] =
    [protocol::READY, protocol::ACK, protocol::HEARTBEAT, protocol::REPORT, protocol::EXIT];
/// Submissions that one look takes: each may have a megabyte, and others wait.
const SUBMISSIONS_A_LOOK: usize = 16;

/// One worker's mail.
#[derive(Debug)]
pub struct Mailbox {
    folder: PathBuf,
    tree: PathBuf,
    seen: BTreeMap<&'static str, Version>,
    /// What was read of its submissions: the place of each is its number less one.
    submitted: Vec<Version>,
    retired: bool,
    elsewhere: bool,
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
        Self { folder, tree, seen: BTreeMap::new(), submitted: Vec::new(), retired: false, elsewhere: false }
    }

    /// The same for a worker on another host: its files are looked at by opening them, because
    /// that is what a network file system asks its server about, and its pid names nobody here.
    #[must_use]
    pub fn of_another_host(self) -> Self {
        Self { elsewhere: true, ..self }
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

    /// What one file says, if it is news. An exit brings the report before it with it, and both
    /// bring what was submitted before them: that counts while the token lives.
    pub fn read(&mut self, name: &str) -> Vec<Seen> {
        if let Some(n) = protocol::submission_number(name) {
            let again = self.look_again(n);
            return again.into_iter().chain(self.look_at_submissions().0).collect();
        }
        let Some(name) = FILES.into_iter().find(|known| *known == name) else { return Vec::new() };
        match name {
            protocol::REPORT => self.look_in_order(&[name]),
            protocol::EXIT => self.look_in_order(&[protocol::REPORT, name]),
            _ => self.look(name).into_iter().collect(),
        }
    }

    /// What all files say, where it is news.
    pub fn read_all(&mut self) -> Vec<Seen> {
        let mut seen: Vec<Seen> = FILES[..3].iter().filter_map(|name| self.look(name)).collect();
        seen.extend(self.look_in_order(&FILES[3..]));
        seen
    }

    /// Submissions and then the last words. Where more was submitted than one look takes, those
    /// wait for the next look: after them nothing that was submitted would count.
    fn look_in_order(&mut self, last: &[&'static str]) -> Vec<Seen> {
        let (mut seen, more) = self.look_at_submissions();
        if !more {
            seen.extend(last.iter().filter_map(|name| self.look(name)));
        }
        seen
    }

    /// The submissions that come next, and whether there may be more.
    fn look_at_submissions(&mut self) -> (Vec<Seen>, bool) {
        let mut seen = Vec::new();
        for _ in 0..SUBMISSIONS_A_LOOK {
            let n = u32::try_from(self.submitted.len() + 1).unwrap_or(u32::MAX);
            if n > protocol::MAX_SUBMISSIONS {
                return (seen, false);
            }
            let Some((version, found)) = self.look_at_submission(n) else { return (seen, false) };
            self.submitted.push(version);
            seen.push(found);
        }
        (seen, true)
    }

    /// A submission that was read and is another now.
    fn look_again(&mut self, n: u32) -> Option<Seen> {
        let place = usize::try_from(n).ok()?.checked_sub(1)?;
        let known = *self.submitted.get(place)?;
        let (version, found) = self.look_at_submission(n).filter(|(version, _)| *version != known)?;
        self.submitted[place] = version;
        Some(found)
    }

    fn look_at_submission(&self, n: u32) -> Option<(Version, Seen)> {
        let name = protocol::submit_name(n);
        let version = version(&self.folder.join(&name), self.elsewhere)?;
        let bytes = match mail::read_bounded(&self.folder, &name) {
            Ok(bytes) => bytes?,
            Err(error) => return Some((version, unreadable(&name, &error)?)),
        };
        let found = match Submission::parse(&bytes) {
            Ok(submission) => Seen::Submitted { n, submission, sha256: sha256(&bytes) },
            Err(problem) => refuse(&name, problem, &bytes),
        };
        Some((version, found))
    }

    fn look(&mut self, name: &'static str) -> Option<Seen> {
        let version = version(&self.folder.join(name), self.elsewhere)?;
        if self.seen.get(name) == Some(&version) {
            return None;
        }
        let bytes = match mail::read_bounded(&self.folder, name) {
            Ok(bytes) => bytes?,
            Err(error) => {
                let seen = unreadable(name, &error)?;
                self.seen.insert(name, version);
                return Some(seen);
            }
        };
        self.seen.insert(name, version);
        Some(parse(name, &bytes, (!self.elsewhere).then_some(self.tree.as_path())))
    }
}

fn version(path: &Path, by_opening: bool) -> Option<Version> {
    let opened = by_opening.then(|| crate::home::read_plain(path).ok()?.metadata().ok()).flatten();
    // What can't be opened may still be something to refuse.
    let metadata = opened.or_else(|| std::fs::symlink_metadata(path).ok())?;
    Some(Version {
        inode: metadata.ino(),
        size: metadata.size(),
        changed: (metadata.ctime(), metadata.ctime_nsec()),
    })
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What there is instead of a file; none where a look failed: that proves nothing, and the next
/// one may succeed.
fn unreadable(name: &str, error: &MailError) -> Option<Seen> {
    let code = match error {
        MailError::TooLarge(..) => "too_large",
        MailError::NotRegular(..) => "not_regular",
        MailError::Io(..) | MailError::Exists(..) | MailError::Encode(..) => return None,
    };
    Some(bad_file(name, code, error.to_string(), String::new()))
}

fn refuse(name: &str, problem: protocol::Problem, bytes: &[u8]) -> Seen {
    let detail = if problem.path.is_empty() {
        problem.message
    } else {
        format!("{}: {}", problem.path, problem.message)
    };
    bad_file(name, problem.code, detail, sha256(bytes))
}

fn parse(name: &'static str, bytes: &[u8], tree: Option<&Path>) -> Seen {
    let sha256 = || sha256(bytes);
    let refuse = |problem: protocol::Problem| refuse(name, problem, bytes);
    match name {
        protocol::READY => match protocol::parse::<Ready>(bytes) {
            Ok(ready) => Seen::Ready {
                // On another host only the shim can look, and does before it says that it is ready.
                in_tree: tree.is_none_or(|tree| works_in(ready.pid, tree)),
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
                // Repainting and waiting aren't progress: where signs of it are told, they alone count.
                progress: beat
                    .progress
                    .events
                    .unwrap_or_else(|| beat.progress.output_bytes.saturating_add(beat.progress.cpu_ms)),
                asks: beat.progress.phase.map(|phase| phase == AgentPhase::NeedsInput),
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
                usage: exit.usage.map(Amounts::from).unwrap_or_default(),
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

    fn submit(dir: &tempfile::TempDir, n: u32, token: u64) {
        let text = format!(r#"{{"schema":"ilchul.worker/1","token":{token},"tasks":{{"a":{{}}}}}}"#);
        std::fs::write(dir.path().join(".new"), text).unwrap();
        std::fs::rename(dir.path().join(".new"), dir.path().join(protocol::submit_name(n))).unwrap();
    }

    fn number(seen: &Seen) -> u32 {
        match seen {
            Seen::Submitted { n, .. } => *n,
            Seen::BadFile { .. } => 0,
            Seen::Reported { .. } => 2_000,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn submissions_are_read_once_in_their_order_and_again_when_they_change() {
        let (dir, mut mailbox) = mailbox();
        submit(&dir, 2, 7);
        // Nobody knows yet what the first one says.
        assert_eq!(mailbox.read("submit-2.json"), []);
        submit(&dir, 1, 7);
        assert_eq!(mailbox.read("submit-1.json").iter().map(number).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(mailbox.read_all(), []);
        submit(&dir, 1, 8);
        let again = mailbox.read("submit-1.json");
        assert!(matches!(&again[..], [Seen::Submitted { n: 1, submission, .. }] if submission.token == 8));
        assert_eq!(mailbox.read("submit-1.result.json"), []);
    }

    #[test]
    fn a_submission_that_is_a_link_or_no_json_is_refused_by_name_and_the_next_is_read() {
        let (dir, mut mailbox) = mailbox();
        std::os::unix::fs::symlink("/etc/passwd", dir.path().join("submit-1.json")).unwrap();
        std::fs::write(dir.path().join("submit-2.json"), "{").unwrap();
        submit(&dir, 3, 7);
        let seen = mailbox.read_all();
        assert!(
            matches!(&seen[0], Seen::BadFile { file, code, .. } if file == "submit-1.json" && code == "not_regular")
        );
        assert!(
            matches!(&seen[1], Seen::BadFile { file, code, .. } if file == "submit-2.json" && code == "not_json")
        );
        assert_eq!(seen.iter().map(number).collect::<Vec<_>>(), [0, 0, 3]);
    }

    #[test]
    fn what_was_submitted_is_read_before_the_last_words_however_much_it_is() {
        let (dir, mut mailbox) = mailbox();
        let count = u32::try_from(SUBMISSIONS_A_LOOK).unwrap() + 4;
        (1..=count).for_each(|n| submit(&dir, n, 7));
        let report =
            r#"{"schema":"ilchul.report/1","task":"a","attempt":1,"token":1,"status":"done","summary":"s"}"#;
        std::fs::write(dir.path().join("report.json"), report).unwrap();
        let mut seen = mailbox.read("report.json");
        assert_eq!(seen.len(), SUBMISSIONS_A_LOOK);
        seen.extend(mailbox.read_all());
        let order: Vec<u32> = seen.iter().map(number).collect();
        assert_eq!(order, (1..=count).chain([2_000]).collect::<Vec<_>>());
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
