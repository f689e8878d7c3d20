//! That what libgit2 is about to open is no FIFO, socket or device: it would wait there for ever.
//!
//! Whoever works in a tree can put one in the place of any file that git reads. Looked at before
//! each use, so what is swapped in that very moment still gets through: a program that does that
//! outlived its worker. It leaves out what the files hold.

use ilchul_substrate::{Error, ErrorKind};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

const READ: &str = "read repository";

/// What is read of the folder that all worktrees share.
const COMMON: [&str; 8] = [
    "HEAD",
    "config",
    "packed-refs",
    "shallow",
    "info/attributes",
    "info/exclude",
    "info/grafts",
    "objects/info/alternates",
];
/// What is read of one worktree's own folder.
const ENTRY: [&str; 5] = ["HEAD", "index", "commondir", "gitdir", "config.worktree"];
/// What is read of every folder of a work tree.
const TREE: [&str; 3] = [".gitignore", ".gitattributes", ".gitmodules"];

/// The folder that all worktrees share.
pub(crate) fn common(dir: &Path) -> Result<(), Error> {
    files(COMMON.iter().map(|name| dir.join(name)))
}

/// One worktree's folder, or that of the main checkout.
pub(crate) fn entry(dir: &Path) -> Result<(), Error> {
    files(ENTRY.iter().map(|name| dir.join(name)))
}

/// References by their full names, and the logs of them.
pub(crate) fn references(common: &Path, names: &[&str]) -> Result<(), Error> {
    files(names.iter().flat_map(|name| [common.join(name), common.join("logs").join(name)]))
}

/// Everything that is stored below a folder of references.
pub(crate) fn references_below(folder: &Path) -> Result<(), Error> {
    walk(folder, |_| true)
}

/// A work tree: what git asks for the rules of each folder.
pub(crate) fn tree(root: &Path) -> Result<(), Error> {
    walk(root, |name| TREE.iter().any(|read| OsStr::new(read) == name))
}

fn files(paths: impl IntoIterator<Item = PathBuf>) -> Result<(), Error> {
    paths.into_iter().try_for_each(|path| file(&path))
}

/// Through a link, as whoever opens it would go. What can't be looked at is for that one to say.
fn file(path: &Path) -> Result<(), Error> {
    let Ok(found) = fs::metadata(path).map(|found| found.file_type()) else { return Ok(()) };
    let waits = found.is_fifo() || found.is_socket() || found.is_char_device() || found.is_block_device();
    if !waits {
        return Ok(());
    }
    let detail = format!("`{}` isn't a regular file", path.display());
    Err(Error::new(ErrorKind::Conflict, READ, detail))
}

/// All files below `root` whose name is `wanted`; no link to a folder is followed.
fn walk(root: &Path, wanted: impl Fn(&OsStr) -> bool) -> Result<(), Error> {
    let mut open = vec![root.to_owned()];
    while let Some(folder) = open.pop() {
        // A folder that can't be read is named by whoever needs what is in it.
        let Ok(listing) = fs::read_dir(&folder) else { continue };
        for found in listing.flatten() {
            let kind = found.file_type();
            match kind {
                Ok(kind) if kind.is_dir() => open.push(found.path()),
                Ok(kind) if kind.is_file() => {}
                Ok(_) | Err(_) if wanted(&found.file_name()) => file(&found.path())?,
                Ok(_) | Err(_) => {}
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::stat::Mode;
    use nix::unistd::mkfifo;

    #[test]
    fn s10_what_would_be_waited_for_is_named_wherever_it_stands() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir_all(at("a/b")).unwrap();
        fs::write(at(".gitignore"), "").unwrap();
        std::os::unix::fs::symlink("nowhere", at("a/.gitattributes")).unwrap();
        mkfifo(&at("a/data"), Mode::S_IRWXU).unwrap();
        tree(dir.path()).unwrap();
        references_below(dir.path()).unwrap_err();
        mkfifo(&at("a/b/.gitignore"), Mode::S_IRWXU).unwrap();
        let error = tree(dir.path()).unwrap_err();
        assert!(error.to_string().contains("a/b/.gitignore` isn't a regular file"), "{error}");
        // Behind a link as well: git would open it there.
        fs::remove_file(at("a/b/.gitignore")).unwrap();
        std::os::unix::fs::symlink("../data", at("a/b/.gitignore")).unwrap();
        tree(dir.path()).unwrap_err();
        entry(dir.path()).unwrap();
        mkfifo(&at("index"), Mode::S_IRWXU).unwrap();
        entry(dir.path()).unwrap_err();
        common(dir.path()).unwrap();
        std::os::unix::fs::symlink("/dev/zero", at("config")).unwrap();
        common(dir.path()).unwrap_err();
    }
}
