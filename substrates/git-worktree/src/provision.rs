//! Making a worktree: administration under the lock, checkout outside it, a record last.
//!
//! At most two git processes. It leaves out every way back: where a step fails,
//! what is there stays and is named, and the next attempt has fresh names.

use crate::admin::{AdminLock, Entry, Files, Record, small_file};
use crate::deadline::wait_for;
use crate::git::{Call, Failure, run};
use crate::place::{MAKE, Place, conflict};
use crate::repository::trouble;
use crate::{Filling, GitWorktree, WorktreeSpec};
use git2::{ConfigLevel, ErrorCode, Repository};
use ilchul_substrate::{Error, ErrorKind, Handle, Mark};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

/// What puts the files of `HEAD` into a tree that has none. Submodules stay empty: filling them
/// takes a network and their own settings.
pub(crate) const CHECK_OUT: [&str; 5] = ["read-tree", "-m", "-u", "--no-recurse-submodules", "HEAD"];

/// How often the administration is tried while others write entries of their own.
const ROUNDS: usize = 12;

impl GitWorktree {
    /// Makes the worktree or finds it. Two threads that ask for one mark get one
    /// answer; threads with different marks wait for each other only in the lock.
    pub(crate) fn provision(&self, mark: &Mark, spec: &WorktreeSpec) -> Result<Handle, Error> {
        let repo = self.repository()?;
        let place = self.place(&repo, mark, spec)?;
        let _turn = self.turn.enter(mark);
        {
            let _lock = AdminLock::take(&self.common, self.limits.lock)?;
            if let Some(handle) = self.found(mark, &place, spec.filling)? {
                return Ok(handle);
            }
            self.sweep()?;
            self.free_of_obstacles(&repo, &place)?;
            self.unfinished_of_others()?;
            self.administer(&repo, &place)?;
        }
        if spec.filling == Filling::AtOnce {
            // Outside the lock: this is 97 % of the time, and nobody else reads its files.
            self.check_out(&repo, &place)?;
        }
        let entry = self.entry_dir(&place.name);
        let record = self.record(&place, spec.filling)?;
        // Last of all: without it the worktree counts as half made.
        Entry::finish(&entry, &record)?;
        Ok(self.handle(mark, &record))
    }

    /// The handle of a whole worktree of this mark; a half-made one, or another's, is in the way.
    /// Nor is a deferred one filled here, however far its checkout came.
    fn found(&self, mark: &Mark, place: &Place, filling: Filling) -> Result<Option<Handle>, Error> {
        if let Some(path) = self.set_aside(&place.name) {
            return Err(conflict(format!("an earlier, half-made `{mark}` lies in `{}`", path.display())));
        }
        let Some(entry) = Entry::read(&self.common, &place.name)? else { return Ok(None) };
        let shown = entry.dir.display();
        let Some(record) = entry.whole() else {
            return Err(conflict(format!("`{shown}` was left half made: {}", entry.lacks.join(", "))));
        };
        if record.path != place.text
            || record.branch != place.branch_text()
            || record.base != place.base.to_string()
            || (record.files == Files::AtOnce) != (filling == Filling::AtOnce)
        {
            let theirs = format!("`{}` on branch `{}` from {}", record.path, record.branch, record.base);
            return Err(conflict(format!("`{mark}` exists with another spec: {theirs}")));
        }
        // Not made anew: what was in the tree may still come back.
        match fs::symlink_metadata(&place.path) {
            Ok(_) => Ok(Some(self.handle(mark, record))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Err(conflict(format!("the tree `{}` is gone, its entry `{shown}` isn't", place.text)))
            }
            Err(error) => Err(Error::io(MAKE, format!("`{}`", place.text), error)),
        }
    }

    /// Branch and entry. The branch is made first and by us, in a way that fails
    /// if it exists: so after a failure of git we know that it is ours, and may
    /// try again where `git worktree add -b` would have left one in its own way.
    fn administer(&self, repo: &Repository, place: &Place) -> Result<(), Error> {
        let base = place.base.to_string();
        let start = match &place.branch {
            Some(branch) => {
                make_branch(repo, branch, place)?;
                branch
            }
            None => &base,
        };
        // `--lock` and `--reason` at once: between an add and a later `worktree lock`
        // somebody's `prune` could come.
        let words = ["worktree", "add", "--no-checkout", "--lock", "--reason"];
        let mut args: Vec<&OsStr> = words.iter().map(OsStr::new).collect();
        args.push(OsStr::new(&place.reason));
        if place.branch.is_none() {
            args.push(OsStr::new("--detach"));
        }
        args.extend([place.path.as_os_str(), OsStr::new(start)]);
        let call = Call {
            git_dir: &self.common,
            work_tree: &self.checkout,
            args: &args,
            settings: &[],
            limit: self.limits.administration,
        };
        // Twelve rounds or ten seconds, whichever ends first; each failure takes milliseconds.
        let mut rounds = 0;
        let outcome = wait_for(Duration::from_secs(10), || {
            rounds += 1;
            let outcome = run(&self.program, &call);
            let again = outcome.as_ref().is_err_and(is_contention) && self.nothing_but_the_branch(place);
            (!again || rounds == ROUNDS).then_some(outcome)
        });
        match outcome {
            Some(Ok(())) => self.is_ours(place),
            Some(Err(failure)) => Err(self.left(place, &failure)),
            None => Err(self.left(place, &Failure::Exit("others kept git's administration busy".to_owned()))),
        }
    }

    /// Whether git left nothing of this worktree, so that trying again is the first try.
    fn nothing_but_the_branch(&self, place: &Place) -> bool {
        let gone = |path: &Path| fs::symlink_metadata(path).is_err();
        gone(&place.path) && gone(&self.entry_dir(&place.name))
    }

    /// Git gives an entry another name when the wanted one is taken.
    fn is_ours(&self, place: &Place) -> Result<(), Error> {
        let entry = Entry::read(&self.common, &place.name)?;
        match entry.as_ref().and_then(|entry| entry.tree.as_ref()) {
            Some(tree) if *tree == place.path => Ok(()),
            Some(_) | None => {
                Err(conflict(format!("git made `{}` under another name than `{}`", place.text, place.name)))
            }
        }
    }

    /// The checkout, by git because libgit2's takes twice as long. `read-tree -m`
    /// refuses to write over a file that it doesn't know; `reset --hard` wouldn't.
    fn check_out(&self, repo: &Repository, place: &Place) -> Result<(), Error> {
        let args = CHECK_OUT.map(OsStr::new);
        let call = Call {
            git_dir: &self.entry_dir(&place.name),
            work_tree: &place.path,
            args: &args,
            settings: &self.filters_off(repo)?,
            limit: self.limits.checkout,
        };
        run(&self.program, &call).map_err(|failure| self.left(place, &failure))
    }

    /// Settings that switch off every filter which the repository itself defines.
    ///
    /// A filter is a command line. Those in the user's own settings (`git lfs
    /// install` writes there) are the user's wish, those in the repository's may
    /// have come with an archive.
    pub(crate) fn filters_off(&self, repo: &Repository) -> Result<Vec<(OsString, &'static str)>, Error> {
        let wrong =
            |error| trouble("read the repository's settings", format!("`{}`", self.common.display()), error);
        if self.limits.trust_filters {
            return Ok(Vec::new());
        }
        let config = repo.config().map_err(wrong)?;
        let mut off = Vec::new();
        let entries = config.entries(Some("^filter\\.")).map_err(wrong)?;
        let collected = entries.for_each(|entry| {
            let of_the_user = matches!(
                entry.level(),
                ConfigLevel::ProgramData | ConfigLevel::System | ConfigLevel::XDG | ConfigLevel::Global
            );
            // As bytes: a name that isn't UTF-8 must not slip through.
            let name = entry.name_bytes();
            let dot = name.iter().rposition(|byte| *byte == b'.');
            if let (false, Some(dot)) = (of_the_user, dot) {
                let keys = [("smudge", ""), ("clean", ""), ("process", ""), ("required", "false")];
                let key = |key: &str| OsString::from_vec([&name[..=dot], key.as_bytes()].concat());
                off.extend(keys.map(|(name, value)| (key(name), value)));
            }
        });
        collected.map_err(wrong)?;
        Ok(off)
    }

    /// What became of it, with all that is there now by name.
    fn left(&self, place: &Place, failure: &Failure) -> Error {
        let mut left: Vec<String> = place.branch.iter().map(|branch| format!("branch `{branch}`")).collect();
        if !self.nothing_but_the_branch(place) {
            left.push(format!("entry `{}`", self.entry_dir(&place.name).display()));
            left.push(format!("folder `{}`", place.text));
        }
        let left = if left.is_empty() { "nothing".to_owned() } else { left.join(", ") };
        let detail = format!("{}; left behind: {left}", failure.words());
        // Unavailable although something is left: whoever has no disk shall not spend an attempt.
        let kind = if failure.is_the_hosts() { ErrorKind::Unavailable } else { ErrorKind::Conflict };
        Error::new(kind, MAKE, detail)
    }

    /// What tells this tree from anything put in its place later.
    fn record(&self, place: &Place, filling: Filling) -> Result<Record, Error> {
        let gitfile = small_file(&place.path.join(".git"))?;
        let gitfile =
            gitfile.ok_or_else(|| conflict(format!("`{}` has lost its `.git` file", place.text)))?;
        let metadata =
            fs::metadata(&place.path).map_err(|error| Error::io(MAKE, format!("`{}`", place.text), error))?;
        Ok(Record {
            path: place.text.clone(),
            branch: place.branch_text().to_owned(),
            base: place.base.to_string(),
            gitfile: gitfile.trim_end_matches('\n').to_owned(),
            inode: metadata.ino().to_string(),
            files: match filling {
                Filling::AtOnce => Files::AtOnce,
                Filling::Deferred => Files::Owed,
            },
        })
    }
}

/// The branch, in a way that fails if it exists.
fn make_branch(repo: &Repository, branch: &str, place: &Place) -> Result<(), Error> {
    let shown = format!("branch `{branch}`");
    let name = format!("refs/heads/{branch}");
    let made = repo.reference(&name, place.base, false, "ilchul: worktree");
    made.map(drop).map_err(|error| match error.code() {
        ErrorCode::Exists | ErrorCode::Locked | ErrorCode::InvalidSpec => {
            conflict(format!("{shown}: {}", error.message())).with_source(error)
        }
        _ => trouble(MAKE, &shown, error),
    })
}

/// Words with which git gives up because somebody else's entry was half written.
fn is_contention(failure: &Failure) -> bool {
    let signs = [
        "commondir",
        "failed to read",
        "already checked out",
        "already used by worktree",
        "could not create",
    ];
    match failure {
        Failure::Exit(words) => signs.iter().any(|sign| words.contains(sign)) && !failure.is_the_hosts(),
        Failure::Start(_) | Failure::Hung(_) => false,
    }
}
