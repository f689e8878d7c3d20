//! Where a command stands when a worker runs it: its mail, its tree, its assignment.
//!
//! Written to mail, or to the drop box in the tree where a sandbox keeps us out of
//! mail. It leaves out what is written.

use std::path::{Path, PathBuf};

use super::error::{CliError, words};
use crate::home::private_dir;
use crate::mail::{self, MailError};
use crate::protocol::{self, ASSIGNMENT, Assignment, DROP_BOX};

/// A worker, seen from inside.
#[derive(Debug)]
pub struct WorkerSide {
    mail: PathBuf,
    tree: Option<PathBuf>,
}

/// Whether a file that is there may be replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replace {
    /// It may.
    Yes,
    /// It stays, and writing is refused.
    No,
}

impl WorkerSide {
    /// From the environment that every worker has.
    ///
    /// # Errors
    /// `outside_worker` where it isn't there.
    pub fn here() -> Result<Self, CliError> {
        let folder = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let Some(mail) = folder("ILCHUL_MAIL") else {
            return Err(CliError::new("outside_worker", "find the worker's mail: `ILCHUL_MAIL` isn't set")
                .hint("This command is for what a worker runs. To check a report, run `ilchul report --check FILE`."));
        };
        Ok(Self { mail, tree: folder("ILCHUL_TREE") })
    }

    /// The tree, without links.
    ///
    /// # Errors
    /// `outside_worker` where the environment names none, or it is gone.
    pub fn tree(&self) -> Result<PathBuf, CliError> {
        let Some(tree) = &self.tree else {
            return Err(CliError::new("outside_worker", "find the worker's tree: `ILCHUL_TREE` isn't set"));
        };
        tree.canonicalize().map_err(|error| {
            CliError::new("io", format!("find the worker's tree `{}`: {error}", tree.display()))
        })
    }

    /// The assignment, if it is the one that the environment names.
    ///
    /// # Errors
    /// When there is none yet, it can't be read, or it is another attempt's.
    pub fn assignment(&self) -> Result<Assignment, CliError> {
        let shown = self.mail.join(ASSIGNMENT).display().to_string();
        let fail = |why: &str| CliError::new("assignment", format!("read the assignment `{shown}`: {why}"));
        let bytes = mail::read_bounded(&self.mail, ASSIGNMENT)
            .map_err(|error| CliError::new("assignment", words(&error)))?
            .ok_or_else(|| {
                fail("there is none").hint("A worker can report once it has been given its task.")
            })?;
        let assignment: Assignment = protocol::parse(&bytes).map_err(|problem| fail(&problem.to_string()))?;
        let (task, attempt) = (std::env::var("ILCHUL_TASK").ok(), std::env::var("ILCHUL_ATTEMPT").ok());
        let other = task.as_ref().is_some_and(|task| *task != assignment.task)
            || attempt.as_ref().is_some_and(|attempt| *attempt != assignment.attempt.to_string());
        if other {
            let (task, attempt) = (task.unwrap_or_default(), attempt.unwrap_or_default());
            let why = format!(
                "it is for {}.{}, and this is {}.{}",
                assignment.task,
                assignment.attempt,
                task.escape_debug(),
                attempt.escape_debug()
            );
            return Err(fail(&why).hint("Run this from the worker that `ILCHUL_MAIL` belongs to."));
        }
        Ok(assignment)
    }

    /// The file `name` of mail or of the drop box, whichever is there; mail goes first.
    #[must_use]
    pub fn read(&self, name: &str) -> Option<Vec<u8>> {
        let dropped = || mail::read_in_untrusted(&self.tree.as_ref()?.join(DROP_BOX), name).ok().flatten();
        mail::read_bounded(&self.mail, name).ok().flatten().or_else(dropped)
    }

    /// Whether something stands under that name in mail or in the drop box, whatever it is.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        let stands = |folder: &Path| std::fs::symlink_metadata(folder.join(name)).is_ok();
        stands(&self.mail) || self.tree.as_ref().is_some_and(|tree| stands(&tree.join(DROP_BOX)))
    }

    /// Where the file `name` belongs, written or not.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.mail.join(name)
    }

    /// Writes `bytes` whole as the file `name`, and answers where.
    ///
    /// # Errors
    /// When it is there and may not be replaced, or neither place can be written.
    pub fn write(&self, name: &str, bytes: &[u8], replace: Replace) -> Result<PathBuf, CliError> {
        let first = match put(&self.mail, name, bytes, replace) {
            Ok(()) => return Ok(self.mail.join(name)),
            Err(error @ MailError::Exists(_)) => return Err(exists(&error)),
            Err(error) => error,
        };
        let Some(tree) = &self.tree else { return Err(unwritable(&words(&first))) };
        let folder = tree.join(DROP_BOX);
        let dropped = private_dir(&folder)
            .map_err(|error| MailError::Io("make", folder.clone(), error))
            .and_then(|()| put(&folder, name, bytes, replace));
        match dropped {
            Ok(()) => Ok(folder.join(name)),
            Err(error @ MailError::Exists(_)) => Err(exists(&error)),
            Err(second) => Err(unwritable(&format!("{}; then {}", words(&first), words(&second)))),
        }
    }
}

fn put(folder: &Path, name: &str, bytes: &[u8], replace: Replace) -> Result<(), MailError> {
    match replace {
        Replace::Yes => mail::write_bytes(folder, name, bytes, true),
        Replace::No => mail::write_new_bytes(folder, name, bytes, true),
    }
}

fn exists(error: &MailError) -> CliError {
    CliError::new("reported", words(error)).hint("The first report of an attempt counts; it stays as it is.")
}

fn unwritable(why: &str) -> CliError {
    CliError::new("unwritable", why.to_owned())
        .hint("Allow writing to the folder that `ILCHUL_MAIL` names, or to `.ilchul` in the tree.")
}
