//! The home: its disk, its rights, its journal, its supervisor.
//!
//! Everything is looked at as it is: a home that isn't made yet is not made here, and
//! rights that are too wide are named and not taken away.

use std::fs::Metadata;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use super::{Finding, Level};
use crate::cli::describe::{bytes, count};
use crate::cli::error::CliError;
use crate::home::{Disk, Home};
use crate::journal::{Journal, JournalError, lock};

/// Free bytes below which a warning, and below which a failure.
const FREE: (u64, u64) = (2 << 30, 64 << 20);

/// Everything about one home; it need not exist yet. What is right depends on who hosts workers.
pub(super) fn all(home: &Home, is_cluster: bool) -> Vec<Finding> {
    let root = home.root();
    // What isn't made yet will lie on the disk of the nearest folder above it.
    let Some(there) = root.ancestors().find(|folder| folder.is_dir()) else {
        return vec![Finding::fail("home", format!("nothing of `{}` exists", root.display()), ELSEWHERE)];
    };
    let mut findings = vec![rights(root, there)];
    findings.push(file_system(home, is_cluster));
    findings.push(free(there));
    findings.push(journal(home));
    findings.push(supervisor(home));
    findings
}

/// What helps where the place itself is the trouble.
const ELSEWHERE: &str = "Name another home with `--home` or `ILCHUL_HOME`.";

/// Whether the home is its owner's alone, or could be made.
fn rights(root: &Path, there: &Path) -> Finding {
    let shown = root.display();
    if there != root {
        let writable = nix::unistd::access(there, nix::unistd::AccessFlags::W_OK).is_ok();
        return if writable {
            Finding::ok("home", format!("`{shown}` isn't made yet"))
        } else {
            Finding::fail(
                "home",
                format!("`{shown}` can't be made: `{}` can't be written", there.display()),
                ELSEWHERE,
            )
        };
    }
    match root.metadata() {
        Ok(found) => judge(root, &found, nix::unistd::getuid().as_raw()),
        Err(error) => Finding::fail("home", format!("`{shown}`: {error}"), ELSEWHERE),
    }
}

/// Writable by others is worse than readable: a journal that somebody else may edit
/// proves nothing any more.
fn judge(root: &Path, found: &Metadata, user: u32) -> Finding {
    let (shown, mode) = (root.display(), found.permissions().mode() & 0o777);
    let advice = format!("Run `chmod 700 {shown}`.");
    if found.uid() != user {
        Finding::fail("home", format!("`{shown}` belongs to user {}", found.uid()), ELSEWHERE)
    } else if mode & 0o022 != 0 {
        Finding::fail("home", format!("others can write `{shown}` (mode {mode:04o})"), advice)
    } else if mode & 0o055 != 0 {
        Finding::warn("home", format!("others can look into `{shown}` (mode {mode:04o})"), advice)
    } else if mode & 0o700 == 0o700 {
        Finding::ok("home", format!("`{shown}` is private (mode {mode:04o})"))
    } else {
        Finding::fail("home", format!("`{shown}` can't be used by its owner (mode {mode:04o})"), advice)
    }
}

/// Where the home lies. Watches need the kernel's own disk; what runs on a cluster's nodes needs
/// one that they see.
fn file_system(home: &Home, is_cluster: bool) -> Finding {
    match home.disk() {
        Ok(disk) => kind(disk, is_cluster),
        Err(error) => Finding::warn("file system", format!("`{}`: {error}", home.root().display()), ""),
    }
}

fn kind(disk: Disk, is_cluster: bool) -> Finding {
    let what = "file system";
    match (disk, is_cluster) {
        (Disk::Network(name), true) => {
            Finding::ok(what, format!("{name}, a network file system, as a cluster's nodes need"))
        }
        (Disk::Network(name), false) => Finding::warn(
            what,
            format!("{name}, a network file system"),
            "Watches don't see what other hosts write, and every step is slower. Name a home on a local disk \
             with `--home`, unless a cluster's nodes run your tasks (`--session slurm`).",
        ),
        (Disk::Local(name), true) => Finding::warn(
            what,
            format!("{name}, local to this host"),
            "A cluster's nodes don't see it, unless they are this host. Name a home on a shared file system \
             with `--home`.",
        ),
        (Disk::Local(name), false) => Finding::ok(what, format!("{name}, local")),
        (Disk::Fuse, true) => Finding::ok(what, "fuse, which may be a network file system"),
        (Disk::Fuse, false) => Finding::warn(
            what,
            "fuse, which may be a network file system",
            "Use a home on a local disk if it is one.",
        ),
        (Disk::Unknown(other), _) => {
            Finding::ok(what, format!("type {other:#x}, not known as a network file system"))
        }
    }
}

/// How much the home may still grow.
fn free(there: &Path) -> Finding {
    match rustix::fs::statvfs(there) {
        Ok(found) => judge_free(found.f_bavail.saturating_mul(found.f_frsize)),
        Err(error) => Finding::warn("free disk", format!("`{}`: {error}", there.display()), ""),
    }
}

fn judge_free(free: u64) -> Finding {
    let level = match free {
        free if free < FREE.1 => Level::Fail,
        free if free < FREE.0 => Level::Warn,
        _ => return Finding::ok("free disk", bytes(free)),
    };
    let advice = "Free some space, or name a home on another disk with `--home`.".to_owned();
    Finding { level, what: "free disk", found: format!("only {}", bytes(free)), advice }
}

/// Whether the journal can be read. A damaged one is a finding here and no exit code 6:
/// what was asked for, the list, is there.
fn journal(home: &Home) -> Finding {
    let read = Journal::open_read(home).and_then(|journal| Ok((journal.runs()?.len(), journal.last_seq())));
    match read {
        Ok((runs, events)) => {
            Finding::ok("journal", format!("readable: {}, {events} events", count(runs, "run")))
        }
        Err(JournalError::Missing { .. }) => Finding::ok("journal", "none yet"),
        Err(error) => {
            let error = CliError::from(error);
            Finding::fail("journal", format!("failed to {}", error.message), error.hint)
        }
    }
}

/// Who holds the home now. Looking doesn't take the lock, not even for a moment.
fn supervisor(home: &Home) -> Finding {
    match lock::held(&home.lock()) {
        Ok(None) => Finding::ok("supervisor", "none is running"),
        Ok(Some(Some(holder))) => {
            let at = holder.host.map(|host| format!(" on `{host}`")).unwrap_or_default();
            let what = if holder.run.is_empty() {
                "holds the home".to_owned()
            } else {
                format!("has driven the run `{}`", holder.run)
            };
            Finding::ok("supervisor", format!("process {}{at} {what} since {}", holder.pid, holder.since))
        }
        Ok(Some(None)) => {
            Finding::warn("supervisor", "a process that hasn't said its name holds the home", "Look again.")
        }
        Err(error) => {
            let found = format!("`{}` can't be looked at: {error}", home.lock().display());
            Finding::fail("supervisor", found, lock::advice(&error))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn levels(findings: &[Finding]) -> Vec<(&'static str, Level)> {
        findings.iter().map(|finding| (finding.what, finding.level)).collect()
    }

    #[test]
    fn a_home_that_is_not_made_yet_is_no_fault() {
        let top = tempfile::tempdir().unwrap();
        let found = all(&Home::at(top.path().join("a/b")), false);
        let names = ["home", "file system", "free disk", "journal", "supervisor"];
        assert_eq!(found.iter().map(|finding| finding.what).collect::<Vec<_>>(), names);
        for what in ["home", "journal", "supervisor"] {
            assert!(levels(&found).contains(&(what, Level::Ok)), "{found:?}");
        }
        assert!(!top.path().join("a").exists());
    }

    #[test]
    fn s13_rights_for_others_are_found() {
        let top = tempfile::tempdir().unwrap();
        let user = nix::unistd::getuid().as_raw();
        for (mode, level) in [
            (0o700, Level::Ok),
            (0o750, Level::Warn),
            (0o755, Level::Warn),
            (0o777, Level::Fail),
            (0o500, Level::Fail),
        ] {
            fs::set_permissions(top.path(), fs::Permissions::from_mode(mode)).unwrap();
            let found = judge(top.path(), &top.path().metadata().unwrap(), user);
            assert_eq!(found.level, level, "{mode:o}: {}", found.found);
        }
        fs::set_permissions(top.path(), fs::Permissions::from_mode(0o700)).unwrap();
        let foreign = judge(top.path(), &top.path().metadata().unwrap(), user + 1);
        assert_eq!(foreign.level, Level::Fail);
    }

    #[test]
    fn a_cluster_needs_a_home_that_its_nodes_see_and_everybody_else_a_local_one() {
        let level = |disk, is_cluster| kind(disk, is_cluster).level;
        assert_eq!(level(Disk::Network("nfs"), false), Level::Warn);
        assert_eq!(level(Disk::Network("nfs"), true), Level::Ok);
        assert_eq!(level(Disk::Local("ext4"), true), Level::Warn);
        assert_eq!(kind(Disk::Local("ext4"), false), Finding::ok("file system", "ext4, local"));
        assert_eq!(level(Disk::Fuse, false), Level::Warn);
        assert!(!kind(Disk::Unknown(0x1234), false).found.contains("local"));
    }

    #[test]
    fn little_free_disk_warns_and_none_fails() {
        assert_eq!(judge_free(4 << 30), Finding::ok("free disk", "4.0 GiB"));
        assert_eq!((judge_free(1 << 30).level, judge_free(1 << 20).level), (Level::Warn, Level::Fail));
    }

    #[test]
    fn j11_a_missing_journal_beside_runs_and_a_damaged_one_are_failures() {
        let top = tempfile::tempdir().unwrap();
        let home = Home::at(top.path());
        fs::create_dir(top.path().join("runs")).unwrap();
        assert_eq!(journal(&home).level, Level::Fail);
        fs::write(home.journal(), "this is no database, and it is long enough to see that".repeat(20))
            .unwrap();
        let damaged = journal(&home);
        assert_eq!(damaged.level, Level::Fail, "{}", damaged.found);
        assert!(damaged.found.starts_with("failed to read the journal"), "{}", damaged.found);
    }

    #[test]
    fn a_running_supervisor_is_named() {
        let top = tempfile::tempdir().unwrap();
        let home = Home::at(top.path());
        assert_eq!(supervisor(&home), Finding::ok("supervisor", "none is running"));
        let mut lock = lock::Lock::take(&home.lock()).unwrap().unwrap();
        let holder =
            lock::Holder { pid: 7, run: "r".into(), since: "2026-01-01T00:00:00Z".into(), host: None };
        lock.sign(&holder).unwrap();
        let found = supervisor(&home).found;
        assert_eq!(found, "process 7 has driven the run `r` since 2026-01-01T00:00:00Z");
    }
}
