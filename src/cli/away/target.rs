//! Which machine a name means, and which folder there.
//!
//! It leaves out whether either is there.

use std::path::Path;

use super::super::error::CliError;
use super::super::{settings, workflow_file};
use crate::host::is_name;

/// A machine, as it was named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    /// All that was named, as it is typed again.
    pub(super) named: String,
    /// What the person calls the machine.
    pub(super) name: String,
    /// What ssh calls it.
    pub(super) destination: String,
    /// The checkout there; from the home there on where it doesn't begin with `/`.
    pub(super) folder: Option<String>,
    /// An ilchul that is there already.
    pub(super) program: Option<String>,
}

impl Target {
    /// What `NAME[:FOLDER]` means by the user's settings.
    ///
    /// # Errors
    /// `host_name`, or when the settings can't be used.
    pub(super) fn of(named: &str) -> Result<Self, CliError> {
        let (name, folder) = match named.split_once(':') {
            Some((name, folder)) if !folder.is_empty() => (name, Some(folder.to_owned())),
            Some((name, _)) => (name, None),
            None => (named, None),
        };
        let known = settings::load()?.hosts.remove(name).unwrap_or_default();
        let destination = known.ssh.unwrap_or_else(|| name.to_owned());
        if !is_name(&destination) {
            let message = format!("use the host `{}`: that is no name for ssh", destination.escape_debug());
            return Err(CliError::new("host_name", message)
                .hint("Name one as ssh does (`user@login`), or by `hosts` of your settings."));
        }
        Ok(Self {
            named: named.to_owned(),
            name: name.to_owned(),
            destination,
            folder: folder.or(known.folder).map(|folder| tidy(&folder)).or_else(usual),
            program: known.program,
        })
    }
}

/// Without the `~/` that means what nothing means.
fn tidy(folder: &str) -> String {
    match folder.strip_prefix("~/") {
        Some("") => ".".to_owned(),
        Some(rest) => rest.to_owned(),
        None if folder == "~" => ".".to_owned(),
        None => folder.to_owned(),
    }
}

/// `ilchul/<name of the repository here>`.
fn usual() -> Option<String> {
    let root = workflow_file::root(&workflow_file::here().ok()?)?;
    let name = Path::new(&root).file_name()?.to_string_lossy().into_owned();
    Some(format!("ilchul/{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_counts_from_the_home_there_unless_it_begins_at_the_root() {
        for (given, expected) in [("/a/b", "/a/b"), ("~/x", "x"), ("x/y", "x/y"), ("~", "."), ("~/", ".")] {
            assert_eq!(tidy(given), expected);
        }
    }
}
