//! Whether a worktree can be made as asked: every check that comes before any effect.
//!
//! It leaves out git: a spec is judged by reading files and objects only.

use crate::repository::trouble;
use crate::{GitWorktree, WorktreeSpec};
use git2::{ErrorCode, Oid, Repository};
use ilchul_substrate::{Error, ErrorKind, Mark};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Component, Path, PathBuf};

pub(crate) const MAKE: &str = "make worktree";

/// A spec that passed every check that needs no lock.
pub(crate) struct Place {
    pub(crate) name: String,
    /// The tree's path, links in its folder resolved, as git will write it.
    pub(crate) path: PathBuf,
    pub(crate) text: String,
    /// None: detached.
    pub(crate) branch: Option<String>,
    pub(crate) base: Oid,
    pub(crate) reason: String,
}

impl Place {
    /// As a record has it: empty for a detached one.
    pub(crate) fn branch_text(&self) -> &str {
        self.branch.as_deref().unwrap_or_default()
    }
}

fn refused(detail: String) -> Error {
    Error::new(ErrorKind::Refused, MAKE, detail)
}

/// What is in the way, or half made, and was left as it was.
pub(crate) fn conflict(detail: String) -> Error {
    Error::new(ErrorKind::Conflict, MAKE, detail)
}

impl GitWorktree {
    pub(crate) fn place(&self, repo: &Repository, mark: &Mark, spec: &WorktreeSpec) -> Result<Place, Error> {
        let name = mark.to_string();
        let shown = spec.path.display();
        // Git names its entry after the last part, so the mark there is the key to all that follows.
        if !spec.path.is_absolute() || spec.path.file_name() != Some(OsStr::new(&name)) {
            return Err(refused(format!(
                "`{shown}` must be absolute and end in `{name}`, by which it is found"
            )));
        }
        // A leading dash would be read as an option by every git that is given the name.
        let is_name = |name: &str| {
            git2::Reference::is_valid_name(&format!("refs/heads/{name}")) && !name.starts_with('-')
        };
        if let Some(name) = spec.branch.as_deref().filter(|name| !is_name(name)) {
            return Err(refused(format!("`{}` can't name a branch", name.escape_debug())));
        }
        // Git shows the reason as one line of a list.
        if spec.reason.trim().is_empty() || spec.reason.chars().any(char::is_control) {
            return Err(refused("a worktree is locked with a reason of one line".to_owned()));
        }
        let base = full_commit(repo, &spec.base)?;
        self.objects_for_checkout(repo, base)?;
        // Judged before a folder is made: a tree in a checkout would be untracked
        // files to it, one in the git dir an entry of nobody's.
        let path = settled(&spec.path)?;
        for (root, what) in
            [(&self.common, "the repository's git dir"), (&self.checkout, "the main checkout")]
        {
            if path.starts_with(root) {
                return Err(refused(format!("`{shown}` lies inside {what} `{}`", root.display())));
            }
        }
        let text = path.to_str().filter(|text| !text.chars().any(char::is_control)).map(str::to_owned);
        let text = text.ok_or_else(|| refused(format!("`{shown}` isn't plain UTF-8")))?;
        // Private: prompts, logs and reports lie beside the trees.
        let parent = path.parent().unwrap_or(Path::new("/"));
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(parent);
        made.map_err(|error| Error::io("make folder", format!("`{}`", parent.display()), error))?;
        Ok(Place { name, path, text, branch: spec.branch.clone(), base, reason: spec.reason.clone() })
    }

    /// A partial clone fetches what it lacks while git checks out; we start no
    /// network traffic, so it is refused before anything is made.
    fn objects_for_checkout(&self, repo: &Repository, base: Oid) -> Result<(), Error> {
        let wrong =
            |error| trouble("read the repository's settings", format!("`{}`", self.common.display()), error);
        let config = repo.config().map_err(wrong)?;
        let mut promisor = config.get_string("extensions.partialclone").is_ok();
        let entries = config.entries(Some("^remote\\..*\\.promisor$")).map_err(wrong)?;
        entries.for_each(|_| promisor = true).map_err(wrong)?;
        if promisor { crate::objects::complete(repo, base) } else { Ok(()) }
    }

    /// That neither folder nor branch is there yet. Asked under the lock, so that
    /// no other ilchul answers the same in the same moment.
    pub(crate) fn free_of_obstacles(&self, repo: &Repository, place: &Place) -> Result<(), Error> {
        // Not through a link: a dangling one is in the way as well.
        match fs::symlink_metadata(&place.path) {
            Ok(_) => return Err(conflict(format!("the path `{}` exists already", place.text))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(Error::io(MAKE, format!("`{}`", place.text), error)),
        }
        place.branch.as_ref().map_or(Ok(()), |branch| branch_is_free(repo, branch))
    }
}

/// The path with the links above it resolved, the form in which git will write
/// it down; without making the folders that aren't there yet.
fn settled(path: &Path) -> Result<PathBuf, Error> {
    if path.components().any(|part| part == Component::ParentDir) {
        return Err(refused(format!("`{}` goes upwards", path.display())));
    }
    // The last part stays as it is: a link in its place is in the way.
    for above in path.ancestors().skip(1) {
        match above.canonicalize() {
            Ok(real) => return Ok(real.join(path.strip_prefix(above).unwrap_or(path))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(Error::io(MAKE, format!("`{}`", above.display()), error)),
        }
    }
    Err(refused(format!("`{}` must be absolute", path.display())))
}

/// That no branch has this name, nor one that makes it impossible: where there
/// is a branch `ilchul`, a branch `ilchul/x` would be a file inside a file.
fn branch_is_free(repo: &Repository, branch: &str) -> Result<(), Error> {
    let wrong = |error| trouble(MAKE, format!("branch `{branch}`"), error);
    let ends = branch.match_indices('/').map(|(end, _)| end).chain([branch.len()]);
    for name in ends.map(|end| &branch[..end]) {
        match repo.find_reference(&format!("refs/heads/{name}")) {
            Ok(reference) => {
                let at = reference.target().map_or_else(String::new, |oid| format!(" at {oid}"));
                let detail = format!("the branch `{branch}` can't be made: `{name}` exists already{at}");
                return Err(conflict(detail));
            }
            Err(error) if matches!(error.code(), ErrorCode::NotFound) => {}
            Err(error) => return Err(wrong(error)),
        }
    }
    let mut below = repo.references_glob(&format!("refs/heads/{branch}/*")).map_err(wrong)?;
    let below = below.next().transpose().map_err(wrong)?;
    below.map_or(Ok(()), |reference| {
        let name = String::from_utf8_lossy(reference.name_bytes()).into_owned();
        Err(conflict(format!("the branch `{branch}` can't be made: `{name}` exists already")))
    })
}

/// A full id of a commit that is here: names move, ids don't.
fn full_commit(repo: &Repository, text: &str) -> Result<Oid, Error> {
    let oid = Oid::from_str(text).ok().filter(|_| text.len() == 40);
    let oid = oid.ok_or_else(|| refused(format!("base `{}` is no full commit id", text.escape_debug())))?;
    match repo.find_commit(oid).and_then(|commit| commit.tree()) {
        Ok(_) => Ok(oid),
        Err(error) if error.code() == ErrorCode::NotFound => {
            Err(refused(format!("base {oid} is not in the repository")).with_source(error))
        }
        Err(error) => Err(trouble(MAKE, format!("base {oid}"), error)),
    }
}
