//! Where a command works: the repository, its home, its runs.
//!
//! It leaves out changing anything: a command that only looks finds no home and
//! says so, and makes none.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use ilchul_git_worktree::GitWorktree;
use ilchul_substrate::ErrorKind;
use sha2::{Digest, Sha256};

use super::error::{CliError, words};
use crate::engine::Engine;
use crate::home::Home;
use crate::journal::Journal;
use crate::supervisor::SupervisorError;
use crate::supervisor::fold::{self, Proof};

/// A repository and its home.
#[derive(Debug)]
pub struct Place {
    /// The repository.
    pub repository: Arc<GitWorktree>,
    /// The home; it may not exist yet.
    pub home: Home,
}

/// Finds the repository around the working directory, and its home.
///
/// # Errors
/// When there is no repository, or git's own rules forbid it.
pub fn find(home: Option<&Path>) -> Result<Place, CliError> {
    let here = std::env::current_dir()
        .map_err(|error| CliError::new("no_directory", format!("find the working directory: {error}")))?;
    // The quarantine lies in the home, and the home follows from the repository: open once
    // to learn where, then with the right folder.
    let probe = open(&here, PathBuf::new())?;
    let home = Home::at(match home {
        Some(home) => settled(home),
        None => default_home(probe.main_checkout()),
    });
    let repository = Arc::new(open(&here, home.quarantine())?);
    let root = home.root();
    if root.exists() && !root.is_dir() {
        return Err(CliError::new(
            "bad_home",
            format!("use the home `{}`: it isn't a folder", root.display()),
        )
        .hint("Name another one with `--home` or `ILCHUL_HOME`."));
    }
    let real = real(root);
    let lies_in = |folder: &Path| root.starts_with(folder) || real.starts_with(folder);
    if lies_in(repository.main_checkout()) || lies_in(repository.common_dir()) {
        let message = format!(
            "use the home `{}`: it lies inside the repository, whose cleaning would take it away",
            root.display()
        );
        return Err(
            CliError::new("bad_home", message).hint("Name a folder outside with `--home` or `ILCHUL_HOME`.")
        );
    }
    Ok(Place { repository, home })
}

/// A path from the root on without `..`, each of them taken as the system takes it: from where
/// a link before it leads to.
fn settled(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    absolute.components().fold(PathBuf::new(), |mut settled, part| {
        if part == Component::ParentDir {
            settled = settled.canonicalize().unwrap_or(settled);
            settled.pop();
        } else {
            settled.push(part);
        }
        settled
    })
}

/// Where a path leads to, of which only the beginning may be there.
fn real(path: &Path) -> PathBuf {
    let there =
        path.ancestors().find_map(|part| Some((part.canonicalize().ok()?, path.strip_prefix(part).ok()?)));
    there.map_or_else(|| path.to_owned(), |(real, rest)| real.join(rest))
}

fn open(here: &Path, quarantine: PathBuf) -> Result<GitWorktree, CliError> {
    GitWorktree::open(here, quarantine).map_err(|error| {
        let hint = match error.kind() {
            ErrorKind::Refused => "Run ilchul inside a git repository with at least one commit.",
            ErrorKind::Unavailable | ErrorKind::Limited | ErrorKind::Conflict | ErrorKind::Io => "",
        };
        CliError::new("repository", words(&error)).hint(hint)
    })
}

/// `<parent>/<repo>.ilchul`, or a folder of the user's state where the parent can't be written.
fn default_home(checkout: &Path) -> PathBuf {
    let name =
        checkout.file_name().map_or_else(|| "repo".to_owned(), |name| name.to_string_lossy().into_owned());
    if let Some(parent) = checkout.parent() {
        let beside = parent.join(format!("{name}.ilchul"));
        let writable = nix::unistd::access(parent, nix::unistd::AccessFlags::W_OK).is_ok();
        if beside.exists() || writable {
            return beside;
        }
    }
    let hash: String = Sha256::digest(checkout.as_os_str().as_encoded_bytes())
        .iter()
        .take(4)
        .map(|b| format!("{b:02x}"))
        .collect();
    state_folder().join("ilchul").join(format!("{name}-{hash}"))
}

fn state_folder() -> PathBuf {
    use etcetera::BaseStrategy;
    etcetera::choose_base_strategy()
        .ok()
        .and_then(|strategy| strategy.state_dir())
        .unwrap_or_else(|| PathBuf::from("/var/tmp"))
}

/// One run, read from the journal.
#[derive(Debug)]
pub struct Run {
    /// Its machine, folded.
    pub engine: Engine,
}

impl Place {
    /// The journal, for reading.
    ///
    /// # Errors
    /// When there is none, or it can't be read.
    pub fn journal(&self) -> Result<Journal, CliError> {
        Ok(Journal::open_read(&self.home)?)
    }

    /// The id of the run that `wanted` is a unique prefix of; the latest when `None`.
    ///
    /// # Errors
    /// When there is none, or more than one.
    pub fn run_id(&self, journal: &Journal, wanted: Option<&str>) -> Result<String, CliError> {
        let runs = journal.runs()?;
        let Some(wanted) = wanted else {
            return runs.last().map(|run| run.id.clone()).ok_or_else(|| {
                CliError::new("no_runs", "find a run: there has been none here")
                    .hint("Run `ilchul up` to start one.")
            });
        };
        let found: Vec<&str> =
            runs.iter().map(|run| run.id.as_str()).filter(|id| id.starts_with(wanted)).collect();
        let shown = wanted.escape_debug();
        match found[..] {
            [one] => Ok(one.to_owned()),
            [] => Err(CliError::new("unknown_run", format!("find the run `{shown}`"))
                .hint("Run `ilchul runs` to see them.")),
            [..] => Err(CliError::new(
                "ambiguous_run",
                format!("find the run `{shown}`: {} begin so: {}", found.len(), found.join(", ")),
            )
            .hint("Give more of its id.")),
        }
    }

    /// A run, folded.
    ///
    /// # Errors
    /// When it isn't there, or the journal is damaged.
    pub fn run(&self, wanted: Option<&str>) -> Result<Run, CliError> {
        let journal = self.journal()?;
        let id = self.run_id(&journal, wanted)?;
        self.run_of(&journal, &id)
    }

    /// A run by its whole id, folded.
    ///
    /// # Errors
    /// When the journal is damaged.
    pub fn run_of(&self, journal: &Journal, id: &str) -> Result<Run, CliError> {
        self.run_by(journal, id, Proof::Whole)
    }

    /// The same, with a proof of its rows that may be under way.
    ///
    /// # Errors
    /// As [`Place::run_of`].
    pub fn run_by(&self, journal: &Journal, id: &str, proof: Proof) -> Result<Run, CliError> {
        let folded = fold::read(journal, &self.home, id, proof)?;
        let unknown = || CliError::from(SupervisorError::UnknownRun(id.to_owned()));
        let engine = folded.ok_or_else(unknown)?.engine;
        Ok(Run { engine })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_up_is_taken_as_the_system_takes_it() {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path().canonicalize().unwrap();
        std::fs::create_dir_all(top.join("a/deep")).unwrap();
        std::os::unix::fs::symlink(top.join("a/deep"), top.join("link")).unwrap();
        assert_eq!(settled(&top.join("a/../b")), top.join("b"));
        assert_eq!(settled(&top.join("link/../b")), top.join("a/b"), "from where the link leads to");
        assert_eq!(settled(&top.join("none/../b")), top.join("b"));
        assert_eq!(real(&top.join("link/x/y")), top.join("a/deep/x/y"));
        assert_eq!(real(Path::new("/no/such/way")), Path::new("/no/such/way"));
    }
}
