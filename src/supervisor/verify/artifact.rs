//! `artifact`: a new regular file inside the tree, hashed and kept (law E4).
//!
//! Opened below the tree's own descriptor without following any link; hash, size
//! and copy come from that one descriptor.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat, openat2};

use super::{Case, refuted, unverifiable, verified};
use crate::engine::evidence::Checked;
use crate::journal::blobs::{self, Blob};
use crate::protocol::ASSIGNMENT;

const KIND: &str = "artifact";
/// The largest artifact that is kept.
pub(in crate::supervisor) const CAP: u64 = 256 << 20;

pub(super) fn check(case: &Case, path: &str) -> Checked {
    let checked = match open_below(&case.tree, path) {
        Ok(file) => judge(case, path, file),
        Err(rustix::io::Errno::NOENT) => refuted(KIND, format!("`{path}` doesn't exist")),
        Err(rustix::io::Errno::LOOP | rustix::io::Errno::XDEV) => {
            refuted(KIND, format!("`{path}` leads through a link"))
        }
        Err(error) => unverifiable(KIND, format!("open `{path}`: {error}")),
    };
    checked.fact("path", path)
}

/// Opens a file of the tree for reading; a link on the way is `LOOP` or `XDEV`.
pub(in crate::supervisor) fn open_below(tree: &Path, path: &str) -> rustix::io::Result<File> {
    let folder = openat(CWD, tree, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let how = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    openat2(&folder, path, flags, Mode::empty(), how).map(File::from)
}

fn judge(case: &Case, path: &str, mut file: File) -> Checked {
    let metadata = match file.metadata() {
        Ok(metadata) => metadata,
        Err(error) => return unverifiable(KIND, format!("look at `{path}`: {error}")),
    };
    if !metadata.is_file() {
        return refuted(KIND, format!("`{path}` isn't a regular file"));
    }
    // The assignment is written in the same file system at the dispatch: its change time is
    // the stamp, by the same clock and with the same steps as the artifact's.
    let stamp = match std::fs::symlink_metadata(case.mail.join(ASSIGNMENT)) {
        Ok(stamp) => (stamp.ctime(), stamp.ctime_nsec()),
        Err(error) => return unverifiable(KIND, format!("look at the stamp of the dispatch: {error}")),
    };
    if (metadata.ctime(), metadata.ctime_nsec()) < stamp {
        return refuted(KIND, format!("`{path}` wasn't changed since the dispatch"));
    }
    if metadata.len() > CAP {
        return refuted(KIND, format!("`{path}` has {} bytes, at most {CAP} are kept", metadata.len()));
    }
    match same_as_base(case, path, &mut file) {
        Ok(false) => {}
        Ok(true) => return refuted(KIND, format!("`{path}` is the same as in the task's base")),
        Err(why) => return unverifiable(KIND, why),
    }
    match blobs::keep(&case.home, &mut file, CAP) {
        Ok(blob) => kept(case, path, &blob),
        Err(error) => unverifiable(KIND, format!("keep `{path}`: {error}")),
    }
}

fn same_as_base(case: &Case, path: &str, file: &mut File) -> Result<bool, String> {
    let Some(git) = &case.git else { return Ok(false) };
    let base = git.repository.blob_at(&git.base, Path::new(path)).map_err(|error| error.to_string())?;
    let Some(base) = base else { return Ok(false) };
    let mut bytes = Vec::new();
    let read = |error: std::io::Error| format!("read `{path}`: {error}");
    file.take(CAP + 1).read_to_end(&mut bytes).map_err(read)?;
    file.seek(SeekFrom::Start(0)).map_err(read)?;
    let found = ilchul_git_worktree::blob_id(&bytes).map_err(|error| error.to_string())?;
    Ok(found == base)
}

fn kept(case: &Case, path: &str, blob: &Blob) -> Checked {
    let claimed = case
        .claimed(KIND, "sha256")
        .find(|(claim, _)| claim["path"].as_str().is_some_and(|claimed| same_path(claimed, path)));
    let checked = match claimed {
        Some((_, hash)) if hash != blob.sha256 => {
            refuted(KIND, format!("the report claims SHA-256 {hash}, found {}", blob.sha256))
        }
        Some(_) | None => verified(KIND, format!("`{path}`, {} bytes", blob.bytes)),
    };
    checked.fact("sha256", blob.sha256.clone()).fact("bytes", blob.bytes)
}

fn same_path(left: &str, right: &str) -> bool {
    let normal = |text: &str| text.trim_start_matches("./").to_owned();
    normal(left) == normal(right)
}
