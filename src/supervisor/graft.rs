//! Copying files of the main checkout into a fresh tree, before anything runs in it.
//!
//! Neither side is reached through a link: the tree's folders come from the repository,
//! and a link among them could lead anywhere. What stands in the tree already is the
//! repository's and stays. It leaves out which files.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, fchmod, ioctl_ficlone, mkdirat, openat};
use rustix::io::Errno;

use super::include::{BYTES_MAX, Found};
use super::verify::open_below;

/// What kept a file from being copied.
#[derive(Debug)]
pub(super) struct Trouble {
    /// What was tried, and what was wrong.
    pub(super) detail: String,
    /// The host's: no room, no descriptors.
    pub(super) host: bool,
}

/// Copies all of `found`; answers how many were copied. What was copied before a trouble stays.
pub(super) fn graft(checkout: &Path, tree: &Path, found: &[Found]) -> Result<usize, Trouble> {
    let mut left = BYTES_MAX;
    let mut copied = 0;
    for one in found {
        match copy(checkout, tree, &one.path, left) {
            Ok(Some(bytes)) => {
                left = left.saturating_sub(bytes);
                copied += 1;
            }
            Ok(None) => {}
            Err(error) => {
                let full = [Errno::NOSPC, Errno::DQUOT, Errno::MFILE, Errno::NFILE];
                return Err(Trouble {
                    detail: format!("copy `{}`: {}", one.path, words(error)),
                    host: full.contains(&error),
                });
            }
        }
    }
    Ok(copied)
}

/// Copies one file; `None`: there is nothing to copy any more, or something stands there.
fn copy(checkout: &Path, tree: &Path, path: &str, left: u64) -> Result<Option<u64>, Errno> {
    let source = match open_below(checkout, path) {
        Ok(source) => source,
        // Looked at a moment ago; somebody's editor may have replaced it meanwhile.
        Err(Errno::NOENT) => return Ok(None),
        Err(error) => return Err(error),
    };
    let facts = source.metadata().map_err(|error| errno(&error))?;
    if !facts.is_file() {
        return Ok(None);
    }
    let Some(target) = create_below(tree, path)? else { return Ok(None) };
    if ioctl_ficlone(&target, &source).is_err() {
        // Another file system, or one that shares no blocks: byte by byte, and bounded, because it may grow.
        let copied = io::copy(&mut source.take(left.saturating_add(1)), &mut &target);
        if copied.map_err(|error| errno(&error))? > left {
            return Err(Errno::FBIG);
        }
    }
    fchmod(&target, Mode::from_raw_mode(facts.permissions().mode() & 0o777))?;
    Ok(Some(facts.len()))
}

/// A new file below the tree, with the folders that it needs; `None` where something stands there.
fn create_below(tree: &Path, path: &str) -> Result<Option<File>, Errno> {
    let folder_flags = OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let mut folder: OwnedFd = openat(CWD, tree, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
    for part in folders.split('/').filter(|part| !part.is_empty()) {
        match mkdirat(&folder, part, Mode::RWXU | Mode::RGRP | Mode::XGRP | Mode::ROTH | Mode::XOTH) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error),
        }
        folder = openat(&folder, part, folder_flags, Mode::empty())?;
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match openat(&folder, name, flags, Mode::RUSR | Mode::WUSR) {
        Ok(file) => Ok(Some(file.into())),
        Err(Errno::EXIST) => Ok(None),
        Err(error) => Err(error),
    }
}

fn errno(error: &io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}

fn words(error: Errno) -> String {
    match error {
        Errno::LOOP | Errno::NOTDIR => "a link or a file stands where a folder should be".to_owned(),
        error => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn found(path: &str) -> Found {
        Found { path: path.to_owned(), bytes: 0, ignored: true }
    }

    fn folders() -> (tempfile::TempDir, std::path::PathBuf, std::path::PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let (checkout, tree) = (dir.path().join("checkout"), dir.path().join("tree"));
        fs::create_dir_all(checkout.join("a/b")).unwrap();
        fs::create_dir(&tree).unwrap();
        fs::write(checkout.join("a/b/c"), "secret").unwrap();
        fs::set_permissions(checkout.join("a/b/c"), fs::Permissions::from_mode(0o750)).unwrap();
        (dir, checkout, tree)
    }

    #[test]
    fn a_file_arrives_with_its_folders_and_its_mode() {
        let (_dir, checkout, tree) = folders();
        assert_eq!(graft(&checkout, &tree, &[found("a/b/c"), found("gone")]).unwrap(), 1);
        assert_eq!(fs::read(tree.join("a/b/c")).unwrap(), b"secret");
        assert_eq!(tree.join("a/b/c").metadata().unwrap().permissions().mode() & 0o777, 0o750);
    }

    #[test]
    fn what_stands_in_the_tree_is_the_repositorys_and_stays() {
        let (_dir, checkout, tree) = folders();
        fs::create_dir_all(tree.join("a/b")).unwrap();
        fs::write(tree.join("a/b/c"), "tracked").unwrap();
        assert_eq!(graft(&checkout, &tree, &[found("a/b/c")]).unwrap(), 0);
        assert_eq!(fs::read(tree.join("a/b/c")).unwrap(), b"tracked");
    }

    #[test]
    fn neither_side_is_reached_through_a_link() {
        let (dir, checkout, tree) = folders();
        let elsewhere = dir.path().join("elsewhere");
        fs::create_dir(&elsewhere).unwrap();
        std::os::unix::fs::symlink(&elsewhere, tree.join("a")).unwrap();
        let trouble = graft(&checkout, &tree, &[found("a/b/c")]).unwrap_err();
        assert!(!trouble.host && trouble.detail.contains("a link or a file stands"), "{trouble:?}");
        assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
        fs::write(elsewhere.join("key"), "x").unwrap();
        std::os::unix::fs::symlink(&elsewhere, checkout.join("out")).unwrap();
        assert!(graft(&checkout, &tree, &[found("out/key")]).is_err());
        std::os::unix::fs::symlink("nowhere", tree.join("dangling")).unwrap();
        fs::write(checkout.join("dangling"), "x").unwrap();
        assert_eq!(graft(&checkout, &tree, &[found("dangling")]).unwrap(), 0);
        assert!(!tree.join("nowhere").exists());
    }
}
