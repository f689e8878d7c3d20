//! The repository on the other machine: made where it is missing, and brought to the commit
//! that is checked out here.
//!
//! Objects travel as a bundle through our own link, so no hook, no helper and no login shell's
//! output has a say. Nothing there is ever forced. It leaves out what isn't committed.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::super::error::CliError;
use super::super::output::{self, Output};
use super::super::place::{self as here, Place};
use super::super::up::UpArgs;
use super::super::workflow_file::{self, File};
use super::going::Going;
use super::link::{Link, Look};
use super::{git, place, runs, stays};
use crate::host::Input;

/// What stands there now.
pub(super) struct Sent {
    /// The workflow's path in the repository; none where the repository there is the user's own.
    pub(super) file: Option<String>,
    /// The checkout here that it came from; none likewise.
    pub(super) root: Option<PathBuf>,
}

/// Brings the repository there, unless the folder there is a repository of the user's own, or a
/// run is under way in it.
///
/// # Errors
/// Where the folder is another's, isn't clean, has gone another way, or the workflow isn't
/// committed here.
pub(super) fn sync(
    link: &Link,
    look: &Look,
    (args, words): (&UpArgs, &[OsString]),
    output: Output,
) -> Result<Sent, CliError> {
    let (name, folder) = (&link.target.name, place::shown(link.folder()?));
    if look.get("git").is_empty() {
        return Err(CliError::new("host", format!("find git on `{name}`"))
            .hint("Install git 2.30 or newer there, or load it in the files of its login shell."));
    }
    let is_own = look.get("kind") == "repository";
    if is_own && look.get("from").is_empty() && !look.get("head").is_empty() {
        output::talk(&format!(
            "`{folder}` on {name} is a repository of its own: it runs as it is there, and nothing is sent."
        ));
        return Ok(Sent { file: None, root: None });
    }
    let root = workflow_file::here().ok().and_then(|here| workflow_file::root(&here));
    let place = here::find(None)?;
    let root = root.unwrap_or_else(|| place.repository.main_checkout().to_owned());
    let mine = mine(&root);
    if is_own && !look.get("from").is_empty() && look.get("from") != mine {
        let message =
            format!("use `{folder}` on `{name}`: it was made for {}", look.get("from").escape_debug());
        return Err(CliError::new("host_folder", message).hint(format!(
            "Name another folder (`--host {name}:FOLDER`). Where it is the same repository, which moved: \
             `git config ilchul.from {mine}` in that folder."
        )));
    }
    let path = workflow_file::locate(&workflow_file::here()?, args.file.as_deref());
    if is_own && runs::is_one_driven(link, words)? {
        // A checkout that moves under a run is a change by nobody known, and an edited workflow
        // keeps its next supervisor out.
        output::talk(&format!("A run is under way on {name}: nothing is sent."));
        let file = workflow_file::identity(&path, place.repository.main_checkout());
        return Ok(Sent { file: Some(file), root: Some(root) });
    }
    if look.get("kind") == "other" {
        let message = format!("use `{folder}` on `{name}`: it isn't empty, and no repository");
        return Err(
            CliError::new("host_folder", message).hint(format!("Name another one: `--host {name}:FOLDER`."))
        );
    }
    if !look.get("dirty").is_empty() {
        let message = format!(
            "bring `{folder}` on `{name}` to the commit that is here: it has changes: {}",
            crate::render::clean(look.get("dirty").trim())
        );
        return Err(CliError::new("host_dirty", message)
            .hint("Commit or undo them there; what runs there comes from here."));
    }
    let file = workflow_file::load_for_elsewhere(&path, output)?;
    let identity = committed(&place, &root, (&path, &file))?;
    stays::told(link, &place, &root);
    let going = Going::of(&root, &file)?;
    going.send(link, look, (&root, &mine))?;
    Ok(Sent { file: Some(identity), root: Some(root) })
}

/// Whose a folder there is: this machine's name and the checkout's path.
fn mine(root: &Path) -> String {
    let machine = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{}:{}", machine.trim(), root.display())
}

/// The workflow's path in the repository, whose file is the committed one: a commit tells what
/// ran there, and a second way for files would be a second truth.
fn committed(place: &Place, root: &Path, (path, file): (&Path, &File)) -> Result<String, CliError> {
    let identity = workflow_file::identity(path, place.repository.main_checkout());
    let ran = git::ask(root, &["cat-file", "blob", &format!("HEAD:{identity}")], Input::Nothing)?;
    if ran.code == 0 && ran.stdout == file.bytes {
        return Ok(identity);
    }
    let why = match (Path::new(&identity).is_absolute(), ran.code) {
        (true, _) => "it isn't in this repository",
        (false, 0) => "it has changes that aren't committed",
        (false, _) => "it isn't committed",
    };
    Err(CliError::new("uncommitted_workflow", format!("send `{}`: {why}", path.display()))
        .hint("Commit it: commits are what travels, and tell later what ran."))
}
