//! What a repository brings to every fresh worktree, and whether a person approved just that.
//!
//! Tasks are what a person asks to run; a setup comes with the repository and would run
//! before them. So it runs only once its exact content was approved: the commands, the
//! patterns of both lists, and the files of the commit that the commands name. What those
//! files start in turn isn't followed. It leaves out asking (`approve --hooks`).

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Component, Path};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::error::{CliError, words};
use super::place::Place;
use super::start;
use crate::engine::event::SetupApproval;
use crate::mail::{self, MailError};
use crate::render::words;
use crate::supervisor::include::{self, Found, LISTED};
use crate::workflow::{TaskBase, Workflow, WorkspaceKind};

/// Bytes of one file that a command names.
const FILE_MAX: usize = 16 << 20;
/// Words of all commands together that may name one.
const WORDS_MAX: usize = 10_000;
/// Links that are followed from one to the next.
const HOPS: usize = 8;
/// What ends a word of a command line, as far as a path in it goes.
const BREAKS: &[char] =
    &[' ', '\t', '\n', ';', '|', '&', '<', '>', '(', ')', '{', '}', '"', '\'', '`', '$', '=', ',', ':'];

/// A setup, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setup {
    /// SHA-256 over all that follows, in hex.
    pub digest: String,
    /// `setup.include`.
    pub include: Vec<String>,
    /// `setup.run`.
    pub run: Vec<String>,
    /// What is in `.worktreeinclude`; empty where there is none.
    pub listed: String,
    /// Files that a command names: path and SHA-256. One path may have several, by the bases.
    pub scripts: BTreeSet<(String, String)>,
}

/// The setup of a workflow whose tasks start at these commits; none where there is nothing to approve.
///
/// # Errors
/// What can't be read.
pub fn of<'c>(
    place: &Place,
    workflow: &Workflow,
    commits: impl IntoIterator<Item = &'c str>,
) -> Result<Option<Setup>, CliError> {
    if workflow.tasks.iter().all(|task| task.workspace == WorkspaceKind::None) {
        return Ok(None);
    }
    let (include, run) =
        workflow.setup.as_ref().map(|setup| (setup.include.clone(), setup.run.clone())).unwrap_or_default();
    let listed = listed(place)?;
    if include.is_empty() && run.is_empty() && listed.is_empty() {
        return Ok(None);
    }
    let mut scripts = BTreeSet::new();
    for commit in commits {
        for path in named(&run)? {
            read_script(place, commit, path, &mut scripts)?;
        }
    }
    let whole = json!({
        "schema": "ilchul.setup/1",
        "include": include,
        "run": run,
        "worktreeinclude": listed,
        "scripts": scripts,
    });
    let digest = hex(whole.to_string().as_bytes());
    Ok(Some(Setup { digest, include, run, listed, scripts }))
}

/// The same for a run that would start now.
///
/// # Errors
/// What can't be read, and a base that names no commit.
pub fn of_now(place: &Place, workflow: &Workflow) -> Result<Option<Setup>, CliError> {
    let mut commits = vec![start::resolve(place, workflow)?];
    for task in &workflow.tasks {
        if let Some(TaskBase::Commit(name)) = &task.base {
            commits.push(start::commit(place, name)?);
        }
    }
    commits.sort();
    commits.dedup();
    of(place, workflow, commits.iter().map(String::as_str))
}

/// What `.worktreeinclude` says at the main checkout's root; empty where it says nothing.
fn listed(place: &Place) -> Result<String, CliError> {
    let path = place.repository.main_checkout().join(LISTED);
    let unread = |why: String| CliError::new("worktreeinclude", format!("read `{}`: {why}", path.display()));
    let bytes = match mail::read_regular(&path) {
        Ok(bytes) => bytes,
        Err(MailError::Io(_, _, error)) if error.kind() == std::io::ErrorKind::NotFound => {
            return Ok(String::new());
        }
        Err(error) => return Err(unread(words(&error))),
    };
    let text = String::from_utf8(bytes).map_err(|_| unread("it isn't UTF-8".to_owned()))?;
    let says = |line: &str| !line.trim().is_empty() && !line.starts_with('#');
    Ok(if text.lines().any(says) { text } else { String::new() })
}

/// Paths below the root that the commands may name. More than they mean is no harm: it is
/// only compared.
fn named(run: &[String]) -> Result<BTreeSet<String>, CliError> {
    let found: Vec<&str> = run.iter().flat_map(|line| line.split(BREAKS)).collect();
    if found.len() > WORDS_MAX {
        return Err(CliError::new("setup", format!("read more than {WORDS_MAX} words of setup commands")));
    }
    Ok(found.into_iter().filter_map(inside).collect())
}

/// A path as the repository has it, if it can be one of it.
fn inside(word: &str) -> Option<String> {
    let mut parts: Vec<&str> = Vec::new();
    for part in Path::new(word.trim_start_matches('/')).components() {
        match part {
            Component::Normal(part) => parts.push(part.to_str()?),
            Component::ParentDir => drop(parts.pop()?),
            Component::CurDir => {}
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    (!parts.is_empty()).then(|| parts.join("/"))
}

fn read_script(
    place: &Place,
    commit: &str,
    mut path: String,
    scripts: &mut BTreeSet<(String, String)>,
) -> Result<(), CliError> {
    for _ in 0..HOPS {
        let stored = place.repository.file_at(commit, Path::new(&path), FILE_MAX).map_err(|error| {
            CliError::new("setup", format!("read what the setup names: {}", words(&error)))
        })?;
        let Some(stored) = stored else { return Ok(()) };
        scripts.insert((path.clone(), hex(&stored.bytes)));
        if !stored.link {
            return Ok(());
        }
        // A link runs what it leads to; what lies outside of the repository isn't its content.
        let target = String::from_utf8_lossy(&stored.bytes).into_owned();
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        match (!target.starts_with('/')).then(|| inside(&format!("{folder}/{target}"))).flatten() {
            Some(next) => path = next,
            None => return Ok(()),
        }
    }
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What was once approved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approved {
    /// By whom.
    pub who: String,
    /// When, RFC 3339.
    pub at: String,
}

/// Whether just this was approved, and by whom.
///
/// # Errors
/// When nobody can know: a file that can't be read is no answer.
pub fn approved(place: &Place, setup: &Setup) -> Result<Option<Approved>, CliError> {
    let path = place.home.approved(&setup.digest);
    let unread = |why: String| {
        CliError::new("approval", format!("read the approval `{}`: {why}", path.display()))
            .hint("Move it away, and run `ilchul approve --hooks` again.")
    };
    let bytes = match mail::read_regular(&path) {
        Ok(bytes) => bytes,
        Err(MailError::Io(_, _, error)) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unread(words(&error))),
    };
    let said: Value = serde_json::from_slice(&bytes).map_err(|error| unread(error.to_string()))?;
    let text = |key: &str| said[key].as_str().map(str::to_owned);
    match (text("digest"), text("who"), text("at")) {
        (Some(digest), Some(who), Some(at)) if digest == setup.digest => Ok(Some(Approved { who, at })),
        _ => Err(unread("it is about something else".to_owned())),
    }
}

/// Remembers that `who` approved it.
///
/// # Errors
/// What the system says.
pub fn approve(place: &Place, setup: &Setup, who: &str, at: &str) -> Result<(), CliError> {
    let path = place.home.approved(&setup.digest);
    let said = json!({"digest": setup.digest, "who": who, "at": at, "what": setup.json()});
    let write = || {
        let folder = path.parent().unwrap_or_else(|| place.home.root());
        crate::home::private_dir(place.home.root())?;
        crate::home::private_dir(folder)?;
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(said.to_string().as_bytes())?;
        file.as_file().sync_all()?;
        file.persist(&path).map(drop).map_err(|error| error.error)
    };
    write().map_err(|error: std::io::Error| {
        CliError::new("approval", format!("remember the approval in `{}`: {error}", path.display()))
    })
}

/// What a run goes by: the approval that is remembered, or the flag's; none where there is
/// nothing to approve.
///
/// # Errors
/// `setup_unapproved`, with what would run.
pub fn granted(place: &Place, setup: Option<Setup>, trust: bool) -> Result<Option<SetupApproval>, CliError> {
    let Some(setup) = setup else { return Ok(None) };
    let by = match (trust, approved(place, &setup)?) {
        (_, Some(approved)) => approved.who,
        (true, None) => "--trust-setup".to_owned(),
        (false, None) => {
            let message =
                format!("start a run: nobody has approved the setup of its worktrees: {}", setup.phrase());
            return Err(CliError::new("setup_unapproved", message)
                .hint("Run `ilchul approve --hooks` to see and approve it, or `ilchul up --trust-setup` where nobody can be asked.")
                .details(setup.json()));
        }
    };
    Ok(Some(SetupApproval { digest: setup.digest, listed: setup.listed, by }))
}

impl Setup {
    /// What it does, as the end of a sentence.
    fn phrase(&self) -> String {
        let mut parts: Vec<String> =
            self.run.iter().map(|line| format!("run `{}`", line.escape_debug())).collect();
        parts.extend(self.include.iter().map(|one| format!("copy `{}`", one.escape_debug())));
        if !self.listed.is_empty() {
            parts.push(format!("copy what `{LISTED}` lists"));
        }
        words::list(&parts)
    }

    /// For people, a line each with its break.
    #[must_use]
    pub fn text(&self) -> String {
        let mut lines: Vec<String> = self.include.iter().map(|one| format!("copy    {one}")).collect();
        let listed = self.listed.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
        lines.extend(listed.map(|line| format!("copy    {line} ({LISTED})")));
        lines.extend(self.run.iter().map(|line| format!("run     {line}")));
        lines.extend(self.scripts.iter().map(|(path, digest)| format!("script  {path} (sha256 {digest})")));
        lines.iter().map(|line| format!("  {}\n", line.replace('\n', "\n          "))).collect()
    }

    /// For scripts.
    #[must_use]
    pub fn json(&self) -> Value {
        let script = |(path, digest): &(String, String)| json!({"path": path, "sha256": digest});
        let listed = Some(&self.listed).filter(|listed| !listed.is_empty());
        json!({
            "digest": self.digest,
            "include": self.include,
            "run": self.run,
            "worktreeinclude": listed,
            "scripts": self.scripts.iter().map(script).collect::<Vec<_>>(),
        })
    }

    /// The files that a tree would be given now.
    ///
    /// # Errors
    /// More than may be copied, or what the system says.
    pub fn files(&self, place: &Place) -> Result<Vec<Found>, CliError> {
        include::find(&place.repository, &self.include, &self.listed)
            .map_err(|why| CliError::new("setup", format!("find what a worktree is given: {why}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_that_a_command_may_name_is_compared() {
        let names = |line: &str| named(&[line.to_owned()]).unwrap().into_iter().collect::<Vec<_>>();
        assert_eq!(names("./scripts/a.sh --x=tools/b"), ["--x", "scripts/a.sh", "tools/b"]);
        assert_eq!(
            names("sh \"$ILCHUL_TREE\"/x/../y;(z)&&./w>out"),
            ["ILCHUL_TREE", "out", "sh", "w", "y", "z"]
        );
        assert_eq!(names("cat ../outside .. /"), ["cat"]);
    }

    #[test]
    fn commands_with_more_words_than_anybody_reads_are_refused() {
        assert!(named(&["x ".repeat(WORDS_MAX + 1)]).is_err());
    }
}
