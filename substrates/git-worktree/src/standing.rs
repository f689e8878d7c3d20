//! How git stands to files of the main checkout: tracked, ignored, or neither.
//!
//! Asked of the index and of the ignore rules, without a walk. It leaves out whether the
//! files exist.

use crate::GitWorktree;
use crate::repository::trouble;
use ilchul_substrate::Error;
use std::path::Path;

/// What git says of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It stands in the index.
    Tracked,
    /// It doesn't, and some rule says that it shan't.
    Ignored,
    /// Neither.
    Untracked,
}

impl GitWorktree {
    /// The standing of each of `paths`, which are relative to the main checkout.
    ///
    /// # Errors
    /// When the index or a file of rules can't be read.
    pub fn standing(&self, paths: &[&str]) -> Result<Vec<Standing>, Error> {
        const LOOK: &str = "look at untracked files";
        let repo = self.repository()?;
        let index = repo.index().map_err(|error| trouble(LOOK, "the index", error))?;
        let one = |path: &&str| {
            if index.get_path(Path::new(path), 0).is_some() {
                return Ok(Standing::Tracked);
            }
            match repo.is_path_ignored(path) {
                Ok(true) => Ok(Standing::Ignored),
                Ok(false) => Ok(Standing::Untracked),
                Err(error) => Err(trouble(LOOK, format!("`{path}`"), error)),
            }
        };
        paths.iter().map(one).collect()
    }
}
