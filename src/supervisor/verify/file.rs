//! A new regular file inside the tree, as `artifact` and `log` need one (law E4).
//!
//! Opened below the tree's own descriptor without following any link; whoever asked
//! hashes, measures and copies what that one descriptor reads. It leaves out what the
//! bytes must be.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat, openat2};

use super::{Case, refuted, unverifiable};
use crate::engine::evidence::Checked;
use crate::journal::blobs::Blob;
use crate::protocol::ASSIGNMENT;

/// The file at `path` inside the tree, from its first byte on: regular, changed since the
/// dispatch, other than in the task's base, at most `cap` bytes; else the verdict on it.
pub(super) fn open_new(case: &Case, kind: &str, path: &str, cap: u64) -> Result<File, Checked> {
    let mut file = open_below(&case.tree, path).map_err(|error| match error {
        rustix::io::Errno::NOENT => refuted(kind, format!("`{path}` doesn't exist")),
        rustix::io::Errno::LOOP | rustix::io::Errno::XDEV => {
            refuted(kind, format!("`{path}` leads through a link"))
        }
        error => unverifiable(kind, format!("open `{path}`: {error}")),
    })?;
    let look = |error| unverifiable(kind, format!("look at `{path}`: {error}"));
    let metadata = file.metadata().map_err(look)?;
    if !metadata.is_file() {
        return Err(refuted(kind, format!("`{path}` isn't a regular file")));
    }
    // The assignment is written in the same file system at the dispatch: its change time is
    // the stamp, by the same clock and with the same steps as the file's.
    let stamp = std::fs::symlink_metadata(case.mail.join(ASSIGNMENT))
        .map_err(|error| unverifiable(kind, format!("look at the stamp of the dispatch: {error}")))?;
    if (metadata.ctime(), metadata.ctime_nsec()) < (stamp.ctime(), stamp.ctime_nsec()) {
        return Err(refuted(kind, format!("`{path}` wasn't changed since the dispatch")));
    }
    if metadata.len() > cap {
        return Err(refuted(kind, format!("`{path}` has {} bytes, at most {cap} are kept", metadata.len())));
    }
    match same_as_base(case, path, &mut file, cap) {
        Ok(false) => Ok(file),
        Ok(true) => Err(refuted(kind, format!("`{path}` is the same as in the task's base"))),
        Err(why) => Err(unverifiable(kind, why)),
    }
}

pub(in crate::supervisor) fn open_below(tree: &Path, path: &str) -> rustix::io::Result<File> {
    let folder = openat(CWD, tree, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let how = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    openat2(&folder, path, flags, Mode::empty(), how).map(File::from)
}

fn same_as_base(case: &Case, path: &str, file: &mut File, cap: u64) -> Result<bool, String> {
    let Some(git) = &case.git else { return Ok(false) };
    let base = git.repository.blob_at(&git.base, Path::new(path)).map_err(|error| error.to_string())?;
    let Some(base) = base else { return Ok(false) };
    let mut bytes = Vec::new();
    let read = |error: std::io::Error| format!("read `{path}`: {error}");
    file.take(cap + 1).read_to_end(&mut bytes).map_err(read)?;
    file.seek(SeekFrom::Start(0)).map_err(read)?;
    let found = ilchul_git_worktree::blob_id(&bytes).map_err(|error| error.to_string())?;
    Ok(found == base)
}

/// What is wrong with the hash that the report claims of this file, where it claims one.
pub(super) fn other_than_claimed(case: &Case, kind: &str, path: &str, blob: &Blob) -> Option<String> {
    let (_, hash) = case
        .claimed(kind, "sha256")
        .find(|(claim, _)| claim["path"].as_str().is_some_and(|claimed| same_path(claimed, path)))?;
    (hash != blob.sha256).then(|| format!("the report claims SHA-256 {hash}, found {}", blob.sha256))
}

fn same_path(left: &str, right: &str) -> bool {
    let normal = |text: &str| text.trim_start_matches("./").to_owned();
    normal(left) == normal(right)
}
