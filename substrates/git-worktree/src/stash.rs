//! The stash entries that were made in one worktree: git keeps those of all worktrees in one list.
//!
//! It leaves out making, showing and dropping any.

use crate::repository::trouble;
use crate::{GitWorktree, plain};
use git2::ErrorCode;
use ilchul_substrate::Error;

const READ: &str = "list stash entries";
const STASH: &str = "refs/stash";
/// The most entries that are looked at.
const ENTRIES_MAX: usize = 1000;

impl GitWorktree {
    /// The entries that name `branch`, and those made on no branch at one of `commits`, as
    /// `stash@{n}: words`.
    ///
    /// # Errors
    /// What git says, or when there are more than are looked at.
    pub fn stashes(&self, branch: &str, commits: &[&str]) -> Result<Vec<String>, Error> {
        let repo = self.repository()?;
        let wrong = |error| trouble(READ, format!("`{STASH}`"), error);
        plain::references(&self.common, &[STASH])?;
        match repo.find_reference(STASH) {
            Ok(_) => {}
            Err(error) if error.code() == ErrorCode::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(wrong(error)),
        }
        let log = repo.reflog(STASH).map_err(wrong)?;
        if log.len() > ENTRIES_MAX {
            let detail = format!("there are more than {ENTRIES_MAX} entries");
            return Err(Error::new(ilchul_substrate::ErrorKind::Refused, READ, detail));
        }
        let mut found = Vec::new();
        for (index, entry) in log.iter().enumerate() {
            let message = String::from_utf8_lossy(entry.message_bytes().unwrap_or_default()).into_owned();
            let made_on = message.strip_prefix("WIP on ").or_else(|| message.strip_prefix("On "));
            let made_on = made_on.and_then(|rest| rest.split_once(": ")).map(|(branch, _)| branch);
            let ours = match made_on {
                // Older gits write the last part only.
                Some(name) if name != "(no branch)" => {
                    name == branch || branch.rsplit('/').next() == Some(name)
                }
                Some(_) | None => {
                    let parent = repo.find_commit(entry.id_new()).and_then(|commit| commit.parent_id(0));
                    let parent = parent.map(|parent| parent.to_string()).unwrap_or_default();
                    commits.contains(&parent.as_str())
                }
            };
            if ours {
                found.push(format!("stash@{{{index}}}: {message}"));
            }
        }
        Ok(found)
    }
}
