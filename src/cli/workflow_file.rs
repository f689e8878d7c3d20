//! Finding, reading and naming the workflow file that a command is about.
//!
//! Finding looks for `.git` upwards and runs nothing, so that `validate` works in
//! any folder. It leaves out what the file says, which is `workflow`'s.

use std::path::{Component, Path, PathBuf};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::error::{CliError, words};
use super::output::{self, Output};
use super::settings;
use crate::workflow::{self, Loaded, Problem, Settings};

/// The file's name at a repository's root.
pub const NAME: &str = "ilchul.yaml";
/// The most that is read of a worktree's `.git` file and of what it leads to, in bytes.
const MAX_LINK: usize = 4096;

/// A workflow file, read and checked.
#[derive(Debug)]
pub struct File {
    /// What it says, and its warnings.
    pub loaded: Loaded,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// SHA-256 of its bytes, in hex.
    pub digest: String,
}

/// The working directory, without links.
///
/// # Errors
/// When it is gone, or can't be looked at.
pub fn here() -> Result<PathBuf, CliError> {
    std::env::current_dir()
        .and_then(|here| here.canonicalize())
        .map_err(|error| CliError::new("no_directory", format!("find the working directory: {error}")))
}

/// The checkout that `dir` lies in: the nearest folder from there up that has a `.git`.
#[must_use]
pub fn root(dir: &Path) -> Option<PathBuf> {
    dir.ancestors().find(|folder| folder.join(".git").exists()).map(Path::to_owned)
}

/// The named file, else `ilchul.yaml` at the root of the checkout around `dir`, else in `dir`.
///
/// The answer is relative where the working directory lies below that root, so that
/// messages show a name that a person may type there.
#[must_use]
pub fn locate(dir: &Path, named: Option<&Path>) -> PathBuf {
    if let Some(named) = named {
        return named.to_owned();
    }
    let root = root(dir).unwrap_or_else(|| dir.to_owned());
    let here = std::env::current_dir().ok();
    here.and_then(|here| upwards(&root, &here)).unwrap_or(root).join(NAME)
}

/// `../..` from `here` up to `root`, where it is above.
fn upwards(root: &Path, here: &Path) -> Option<PathBuf> {
    let below = here.strip_prefix(root).ok()?;
    Some(below.components().map(|_| Component::ParentDir).collect())
}

/// Reads and checks a file; warnings and problems are drawn on stderr, unless for `--json`.
///
/// # Errors
/// `workflow_file` when it can't be read; `invalid_workflow` with all problems as details.
pub fn load(path: &Path, output: Output) -> Result<File, CliError> {
    let file = load_with(&settings::load()?, path, output)?;
    if !file.loaded.warnings.is_empty() && !output.json {
        let (name, warnings) = (path.display().to_string(), &file.loaded.warnings);
        let text = workflow::render_problems(&name, warnings, output.color_err, output::width());
        output::talk_styled(text.trim_end());
    }
    Ok(file)
}

/// The same for a file that another machine runs: it has settings of its own, and warns itself.
///
/// # Errors
/// As [`load`], but for what only that machine's settings can tell.
pub fn load_for_elsewhere(path: &Path, output: Output) -> Result<File, CliError> {
    load_with(&Settings::elsewhere(), path, output)
}

fn load_with(settings: &Settings, path: &Path, output: Output) -> Result<File, CliError> {
    let bytes = workflow::read(path)
        .map_err(|error| CliError::new("workflow_file", words(&error)).hint(sentence(error.hint())))?;
    let name = path.display().to_string();
    match workflow::load_for(settings, &name, &bytes) {
        Ok(loaded) => {
            let digest = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
            Ok(File { loaded, bytes, digest })
        }
        Err(errors) => {
            if !output.json {
                output::talk_styled(workflow::render(&errors, output.color_err, output::width()).trim_end());
            }
            Err(CliError::new("invalid_workflow", errors.to_string())
                .hint("Nothing was created or started.")
                .details(details(&errors.name, &errors.problems)))
        }
    }
}

/// Problems for `--json`: contract 6, and what to write instead.
#[must_use]
pub fn details(file: &str, problems: &[Problem]) -> Value {
    let one = |problem: &Problem| {
        json!({
            "file": file,
            "line": problem.line,
            "column": problem.column,
            "path": problem.path,
            "message": problem.message,
            "help": problem.help,
        })
    };
    problems.iter().map(one).collect()
}

/// A fragment as a sentence.
fn sentence(fragment: &str) -> String {
    let mut rest = fragment.chars();
    let first = rest.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", rest.as_str())
}

/// The workflow's identity: its path in the repository with `/`, or its whole path outside.
///
/// The same file is the same workflow from every worktree of the repository, so a path in
/// another worktree than `checkout` counts from that worktree's root.
#[must_use]
pub fn identity(path: &Path, checkout: &Path) -> String {
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    // The folder only: a link is the workflow that its own name says.
    let whole = match (whole.parent().map(Path::canonicalize), whole.file_name()) {
        (Some(Ok(folder)), Some(name)) => folder.join(name),
        (Some(_) | None, _) => whole,
    };
    let checkout = checkout.canonicalize().unwrap_or_else(|_| checkout.to_owned());
    let own = root(whole.parent().unwrap_or(&whole));
    let root = own.filter(|own| *own != checkout && shares_git(own, &checkout)).unwrap_or(checkout);
    let Ok(inside) = whole.strip_prefix(&root) else { return whole.display().to_string() };
    let parts: Vec<_> = inside.iter().map(|part| part.to_string_lossy()).collect();
    parts.join("/")
}

/// Whether two checkouts are worktrees of one repository.
fn shares_git(one: &Path, other: &Path) -> bool {
    common_dir(one).is_some_and(|dir| Some(dir) == common_dir(other))
}

/// The git dir that all worktrees of a checkout's repository share.
fn common_dir(checkout: &Path) -> Option<PathBuf> {
    let git = checkout.join(".git");
    let dir = if git.is_dir() { git } else { checkout.join(link(&git)?.strip_prefix("gitdir: ")?) };
    let common = link(&dir.join("commondir")).map_or_else(|| dir.clone(), |common| dir.join(common));
    common.canonicalize().ok()
}

/// The one line of a small file of git's.
fn link(path: &Path) -> Option<String> {
    let bytes = crate::mail::read_regular(path).ok().filter(|bytes| bytes.len() <= MAX_LINK)?;
    String::from_utf8(bytes).ok().map(|text| text.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn folders(names: &[&str]) -> (tempfile::TempDir, PathBuf) {
        let top = tempfile::tempdir().unwrap();
        let real = top.path().canonicalize().unwrap();
        names.iter().for_each(|name| fs::create_dir_all(real.join(name)).unwrap());
        (top, real)
    }

    #[test]
    fn the_file_is_found_at_the_root_from_any_folder_below() {
        let (_top, real) = folders(&["repo/.git", "repo/a/b", "other"]);
        assert_eq!(root(&real.join("repo/a/b")), Some(real.join("repo")));
        assert_eq!(root(&real.join("repo")), Some(real.join("repo")));
        assert_eq!(locate(&real.join("repo/a/b"), None), real.join("repo").join(NAME));
        assert_eq!(locate(&real.join("repo"), Some(Path::new("x.yaml"))), Path::new("x.yaml"));
    }

    #[test]
    fn a_found_file_is_named_as_a_person_would_type_it() {
        let up = |root: &str, here: &str| upwards(Path::new(root), Path::new(here));
        assert_eq!(up("/r", "/r/a/b"), Some(PathBuf::from("../..")));
        assert_eq!(up("/r", "/r"), Some(PathBuf::new()));
        assert_eq!(up("/r", "/elsewhere"), None);
    }

    #[test]
    fn a_file_has_one_identity_from_every_worktree_and_its_whole_path_outside() {
        let (_top, real) =
            folders(&["repo/.git/worktrees/w", "repo/flows", "w/flows", "outside", "next/.git"]);
        let entry = real.join("repo/.git/worktrees/w");
        fs::write(entry.join("commondir"), "../..\n").unwrap();
        fs::write(real.join("w/.git"), format!("gitdir: {}\n", entry.display())).unwrap();
        let checkout = real.join("repo");
        let check = |path: &str, expected: &str| assert_eq!(identity(&real.join(path), &checkout), expected);
        check("repo/ilchul.yaml", "ilchul.yaml");
        check("repo/flows/../flows/a.yaml", "flows/a.yaml");
        check("w/flows/a.yaml", "flows/a.yaml");
        for outside in ["outside/a.yaml", "next/a.yaml"] {
            check(outside, &real.join(outside).display().to_string());
        }
    }

    #[test]
    fn a_link_is_the_workflow_that_its_own_name_says() {
        let (_top, real) = folders(&["repo/.git", "outside"]);
        fs::write(real.join("outside/x.yaml"), "").unwrap();
        std::os::unix::fs::symlink(real.join("outside/x.yaml"), real.join("repo/a.yaml")).unwrap();
        assert_eq!(identity(&real.join("repo/a.yaml"), &real.join("repo")), "a.yaml");
    }
}
