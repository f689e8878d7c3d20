//! Finding the repository, and saying clearly why one can't be used.
//!
//! It leaves out everything that runs: opening reads files and nothing else.

use crate::admin::small_file;
use crate::{GitWorktree, Limits, plain};
use git2::{ErrorClass, ErrorCode, Repository};
use ilchul_substrate::{Error, ErrorKind};
use std::path::{Path, PathBuf};

const OPEN: &str = "open repository";
/// The file that names further stores of objects.
const ALTERNATES: &str = "objects/info/alternates";

impl GitWorktree {
    /// The repository that `repo` lies in; `repo` is any folder of a checkout or linked worktree.
    ///
    /// `quarantine` is the folder into which half-made entries of ours are moved;
    /// it is made when first needed. Nothing is written here.
    ///
    /// # Errors
    /// `Refused`, with the reason, for what no worktree can be made from: no
    /// repository, a bare one, one without a commit, one of a form that libgit2
    /// can't read (reftable, sha256), one owned by somebody else.
    pub fn open(repo: &Path, quarantine: PathBuf) -> Result<Self, Error> {
        // The nearest one is the one that will be found.
        let nearest = repo.ancestors().map(|above| above.join(".git")).find(|dir| dir.is_dir());
        nearest.as_deref().map_or(Ok(()), plain::common)?;
        let here = Repository::discover(repo).map_err(|error| refusal(repo, &error))?;
        let common = real(here.commondir())?;
        plain::common(&common)?;
        // A linked worktree of a bare repository doesn't call itself bare.
        let main = Repository::open(&common).map_err(|error| refusal(repo, &error))?;
        let checkout = match main.workdir() {
            Some(workdir) if !main.is_bare() => real(workdir)?,
            Some(_) | None => {
                let detail = format!("`{}` is bare: it has no checkout to work beside", common.display());
                return Err(Error::new(ErrorKind::Refused, OPEN, detail));
            }
        };
        // Handles and git's own files are compared as text, line by line.
        if common.to_str().is_none_or(|text| text.chars().any(char::is_control)) {
            let detail = format!("the path of `{}` isn't plain UTF-8", common.display());
            return Err(Error::new(ErrorKind::Refused, OPEN, detail));
        }
        here.head().and_then(|head| head.peel_to_commit()).map_err(|error| match error.code() {
            ErrorCode::UnbornBranch | ErrorCode::NotFound => {
                // That is all there is to know: the library's own words would add nothing.
                let detail = format!("`{}` has no commit yet", checkout.display());
                Error::new(ErrorKind::Refused, OPEN, detail)
            }
            _ => trouble(OPEN, format!("`{}`", repo.display()), error),
        })?;
        let alternates = small_file(&common.join(ALTERNATES))?;
        Ok(Self {
            alternates,
            here: real(here.path())?,
            common,
            checkout,
            quarantine,
            program: crate::git::default_program(),
            limits: Limits::default(),
            turn: crate::turn::Turns::default(),
        })
    }

    /// A view of the whole repository. One per call: libgit2's may not be shared by threads.
    pub(crate) fn repository(&self) -> Result<Repository, Error> {
        plain::common(&self.common)?;
        Repository::open(&self.common)
            .map_err(|error| trouble(OPEN, format!("`{}`", self.common.display()), error))
    }
}

impl GitWorktree {
    /// That objects are kept where they were when the repository was opened. A worker can name a
    /// store of its own, and with that store its commits would vanish.
    pub(crate) fn objects_stay(&self) -> Result<(), Error> {
        let path = self.common.join(ALTERNATES);
        if small_file(&path)? == self.alternates {
            return Ok(());
        }
        let detail = format!("`{}` was changed: objects may lie where nobody keeps them", path.display());
        Err(Error::new(ErrorKind::Conflict, OPEN, detail))
    }
}

fn real(path: &Path) -> Result<PathBuf, Error> {
    path.canonicalize().map_err(|error| Error::io(OPEN, format!("`{}`", path.display()), error))
}

fn refusal(repo: &Path, error: &git2::Error) -> Error {
    let words = error.message();
    let detail = if error.code() == ErrorCode::Owner {
        format!(
            "`{0}` belongs to another user; if you trust it, run `git config --global --add safe.directory {0}`",
            repo.display()
        )
    } else if words.contains("unsupported extension") || words.contains("object format") {
        format!("`{}` is of a form that isn't supported (reftable or sha256): {words}", repo.display())
    } else if error.code() == ErrorCode::NotFound {
        format!("`{}` is in no git repository", repo.display())
    } else {
        format!("`{}`: {words}", repo.display())
    };
    let cause = std::io::Error::other(words.to_owned());
    Error::new(ErrorKind::Refused, OPEN, detail).with_source(cause)
}

/// An error of libgit2, by the kind that a caller decides by.
pub(crate) fn trouble(action: &'static str, what: impl std::fmt::Display, error: git2::Error) -> Error {
    let words = error.message();
    let full = ["No space left", "quota exceeded", "Too many open files", "Cannot allocate"];
    let kind = if full.iter().any(|sign| words.contains(sign)) || error.class() == ErrorClass::NoMemory {
        ErrorKind::Unavailable
    } else if matches!(error.code(), ErrorCode::Locked | ErrorCode::Exists | ErrorCode::Modified) {
        ErrorKind::Conflict
    } else {
        ErrorKind::Io
    };
    Error::new(kind, action, format!("{what}: {words}")).with_source(error)
}
