//! The references of a report, as `--evidence` writes them, made whole: hashes and full ids.
//!
//! They only add to what the task declares. It leaves out checking anything.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use ilchul_git_worktree::GitWorktree;
use sha2::{Digest, Sha256};

use super::error::{CliError, words};
use super::worker_side::WorkerSide;
use crate::protocol::Claim;

/// One `--evidence`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// A file of the tree, under the evidence kind `artifact` or `log`.
    File(&'static str, String),
    /// A commit-ish.
    Commit(String),
    /// A command as it was run.
    Command(String),
}

/// Reads `KIND=VALUE`.
///
/// # Errors
/// What was expected, for the command line's own message.
pub fn reference(text: &str) -> Result<Reference, String> {
    match text.split_once('=') {
        Some((_, "")) => Err("expected a value behind the `=`".to_owned()),
        Some(("artifact", path)) => Ok(Reference::File("artifact", path.to_owned())),
        Some(("log", path)) => Ok(Reference::File("log", path.to_owned())),
        Some(("commit", rev)) => Ok(Reference::Commit(rev.to_owned())),
        Some(("command", line)) => Ok(Reference::Command(line.to_owned())),
        Some(_) | None => Err("expected artifact=PATH, log=PATH, commit=ID or command=TEXT".to_owned()),
    }
}

/// The claim that a reference stands for.
///
/// # Errors
/// When the file isn't a regular one inside the tree, or the name is no commit.
pub fn claim(reference: &Reference, side: &WorkerSide) -> Result<Claim, CliError> {
    match reference {
        Reference::File(kind, path) => {
            let (path, sha256) = file(&side.tree()?, path)?;
            Ok(Claim { kind: (*kind).to_owned(), path: Some(path), sha256: Some(sha256), ..Claim::default() })
        }
        Reference::Commit(rev) => {
            let commit = commit(&side.tree()?, rev)?;
            Ok(Claim { kind: "diff".to_owned(), commit: Some(commit), ..Claim::default() })
        }
        Reference::Command(line) => {
            Ok(Claim { kind: "command".to_owned(), command: Some(line.clone()), ..Claim::default() })
        }
    }
}

fn commit(tree: &Path, rev: &str) -> Result<String, CliError> {
    // Nothing is made in the repository, so nothing can need the quarantine.
    let named = GitWorktree::open(tree, PathBuf::new()).and_then(|tree| tree.resolve_commit(rev));
    named.map_err(|error| {
        CliError::new("evidence", words(&error))
            .hint("Name a commit of the worker's tree, such as `commit=HEAD`.")
    })
}

/// The path from the tree's root and the hash of what is there.
fn file(tree: &Path, path: &str) -> Result<(String, String), CliError> {
    let shown = path.escape_debug().to_string();
    let fail = |why: String| {
        CliError::new("evidence", format!("hash `{shown}`: {why}"))
            .hint("Name a regular file inside the worker's tree; the path counts from the tree's root.")
    };
    let real = tree.join(path).canonicalize().map_err(|error| fail(error.to_string()))?;
    if !real.starts_with(tree) {
        return Err(fail("it lies outside of the tree".to_owned()));
    }
    // An absolute path is told from the root; a relative one stays as it is declared.
    let absolute = Path::new(path).is_absolute();
    let told = if absolute { real.strip_prefix(tree).ok().and_then(Path::to_str) } else { Some(path) };
    let told = told.ok_or_else(|| fail("its name isn't UTF-8".to_owned()))?.to_owned();
    // Looked at before it is opened: opening a FIFO would wait.
    if !real.metadata().is_ok_and(|found| found.is_file()) {
        return Err(fail("it isn't a regular file".to_owned()));
    }
    let mut source = File::open(&real).map_err(|error| fail(error.to_string()))?;
    let sha256 = hash(&mut source).map_err(|error| fail(error.to_string()))?;
    Ok((told, sha256))
}

fn hash(source: &mut impl Read) -> std::io::Result<String> {
    let mut hasher = Sha256::new();
    let mut chunk = [0; 64 * 1024];
    loop {
        let count = source.read(&mut chunk)?;
        if count == 0 {
            return Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect());
        }
        hasher.update(chunk.get(..count).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_reference_says_its_kind_and_has_a_value() {
        assert_eq!(reference("artifact=a=b"), Ok(Reference::File("artifact", "a=b".into())));
        assert_eq!(reference("commit=HEAD"), Ok(Reference::Commit("HEAD".into())));
        for text in ["", "artifact", "artifact=", "exit=0", "=x"] {
            assert!(reference(text).is_err(), "{text}");
        }
    }

    #[test]
    fn only_a_regular_file_inside_the_tree_is_hashed() {
        let top = tempfile::tempdir().unwrap();
        let tree = top.path().canonicalize().unwrap().join("tree");
        std::fs::create_dir(&tree).unwrap();
        std::fs::write(tree.join("a"), "abc").unwrap();
        std::fs::write(top.path().join("out"), "abc").unwrap();
        symlink("../out", tree.join("link")).unwrap();
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(file(&tree, "a").unwrap(), ("a".to_owned(), abc.to_owned()));
        let absolute = tree.join("a").display().to_string();
        assert_eq!(file(&tree, &absolute).unwrap(), ("a".to_owned(), abc.to_owned()));
        let why = |path: &str| file(&tree, path).unwrap_err().message;
        assert_eq!(why("link"), "hash `link`: it lies outside of the tree");
        assert_eq!(why("../out"), "hash `../out`: it lies outside of the tree");
        assert_eq!(why("."), "hash `.`: it isn't a regular file");
        assert_eq!(why("none"), "hash `none`: No such file or directory (os error 2)");
    }
}
