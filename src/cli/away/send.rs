//! The repository on the other machine: made where it is missing, and brought to the commit
//! that is checked out here.
//!
//! Objects travel as a bundle through our own link, so no hook, no helper and no login shell's
//! output has a say. Nothing there is ever forced. It leaves out what isn't committed.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::super::error::CliError;
use super::super::output::{self, Output};
use super::super::place::{self as here, Place};
use super::super::up::UpArgs;
use super::super::workflow_file::{self, File};
use super::link::{Link, Look};
use super::seal::SEAL;
use super::{git, place, runs};
use crate::host::{Input, word};
use crate::workflow::TaskBase;

/// How long a history may travel.
const LIMIT: Duration = Duration::from_secs(3600);
/// How many uncommitted paths are named.
const NAMED: usize = 5;

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
    let file = workflow_file::load(&path, output)?;
    let identity = committed(&place, &root, (&path, &file))?;
    told(&place, &root);
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

/// Says what stays here.
fn told(place: &Place, root: &Path) {
    let Ok(changed) = place.repository.uncommitted(root) else { return };
    let named: Vec<&str> = changed.iter().take(NAMED).map(String::as_str).collect();
    if !named.is_empty() {
        let more = changed.len().saturating_sub(NAMED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        output::talk(&format!("Not sent, because uncommitted: {}{more}.", named.join(", ")));
    }
}

/// What goes there.
struct Going {
    branch: String,
    head: String,
    /// Names as git has them here, and what they stand for.
    refs: Vec<(String, String)>,
}

impl Going {
    /// The checked-out commit, and what else the workflow starts from by name.
    fn of(root: &Path, file: &File) -> Result<Self, CliError> {
        let base = || CliError::new("base", "find the commit that is checked out here");
        let head = git::line(root, &["rev-parse", "--verify", "HEAD^{commit}"])?.ok_or_else(base)?;
        let branch = git::line(root, &["symbolic-ref", "-q", "--short", "HEAD"])?;
        let workflow = &file.loaded.workflow;
        let bases = workflow.tasks.iter().filter_map(|task| match &task.base {
            Some(TaskBase::Commit(name)) => Some(name.as_str()),
            Some(_) | None => None,
        });
        let names: BTreeSet<&str> = bases.chain(workflow.base.as_deref()).collect();
        let mut refs = Vec::new();
        for name in names {
            for kind in ["refs/heads", "refs/tags"] {
                let whole = format!("{kind}/{name}");
                if let Some(id) = git::line(root, &["rev-parse", "-q", "--verify", &whole])? {
                    refs.push((whole, id));
                    break;
                }
            }
        }
        let branch = branch.unwrap_or_else(|| format!("detached-{}", &head[..12]));
        refs.retain(|(name, _)| *name != format!("refs/heads/{branch}"));
        Ok(Self { branch, head, refs })
    }

    fn send(&self, link: &Link, look: &Look, (root, mine): (&Path, &str)) -> Result<(), CliError> {
        let whole = format!("refs/heads/{}", self.branch);
        let is_there =
            |name: &str, id: &str| look.refs.iter().any(|(have, known)| have == id && known == name);
        if look.get("head") == self.head
            && look.get("branch") == whole
            && look.get("from") == mine
            && self.refs.iter().all(|(name, id)| is_there(name, id))
        {
            return Ok(());
        }
        let bundle = self.bundle(look, root)?;
        let mut script = OsString::from(SEAL);
        script.push("f=");
        script.push(place::folder(link)?);
        for (name, value) in [("from", mine), ("branch", &self.branch), ("head", &self.head)] {
            script.push(format!("\n{name}="));
            script.push(word(OsStr::new(value)));
        }
        script.push(format!("\nsent={}\n{APPLY}", u8::from(bundle.is_some())));
        for (name, id) in &self.refs {
            script.push("other ");
            script.push(word(OsStr::new(name)));
            script.push(format!(" {id}\n"));
        }
        let input = bundle.map_or(Input::Nothing, Input::File);
        let ran = link.sh_within(&script, input, LIMIT)?;
        let (name, folder) = (&link.target.name, place::shown(link.folder()?));
        match ran.code {
            0 => Ok(()),
            DIVERGED => Err(CliError::new(
                "host_diverged",
                format!("bring `{folder}` on `{name}` to {}: {}", &self.head[..12], ran.words()),
            )
            .hint("Nothing there is forced: bring its commits here first, or work on another branch or in another folder.")),
            _ => Err(CliError::new("host_folder", format!("bring `{folder}` on `{name}` to {}: {}", &self.head[..12], ran.words()))
                .hint("Look at the space and the rights there, and at what stands in the folder.")),
        }
    }

    /// What isn't there yet, as a file; none where all of it is.
    fn bundle(&self, look: &Look, root: &Path) -> Result<Option<std::fs::File>, CliError> {
        let ids: String = look.refs.iter().map(|(id, _)| format!("{id}\n")).collect();
        let known = git::ask(root, &["cat-file", "--batch-check"], Input::Bytes(ids.into_bytes()))?;
        let known = String::from_utf8_lossy(&known.stdout).into_owned();
        let known = known.lines().filter(|line| !line.ends_with("missing"));
        let known: Vec<String> =
            known.filter_map(|line| Some(format!("^{}", line.split(' ').next()?))).collect();
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        let wanted: Vec<&str> =
            std::iter::once("HEAD").chain(self.refs.iter().map(|(name, _)| name.as_str())).collect();
        let missing = git::line(root, &[&["rev-list", "-n", "1"][..], &wanted, &known].concat())?;
        if missing.is_some_and(|missing| missing.is_empty()) {
            return Ok(None);
        }
        let failed = |why: String| CliError::new("repository", format!("pack what goes there: {why}"));
        let folder = tempfile::tempdir().map_err(|error| failed(error.to_string()))?;
        let path = folder.path().join("sent");
        let text = path.to_string_lossy().into_owned();
        let made = git::ask(
            root,
            &[&["bundle", "create", "-q", &text][..], &wanted, &known].concat(),
            Input::Nothing,
        )?;
        if made.code != 0 {
            return Err(failed(made.words()));
        }
        // The folder may go: an open file stays.
        std::fs::File::open(path).map(Some).map_err(|error| failed(error.to_string()))
    }
}

/// The exit code for what isn't a fast-forward.
const DIVERGED: i32 = 75;
const APPLY: &str = r#"
umask 077
mkdir -p -- "$f" && cd -- "$f" || exit 70
[ -e .git ] || g init -q --template= || exit 70
sealed || { echo "error: the settings of its filters can't be read" >&2; exit 70; }
git config --local ilchul.from "$from" || exit 70
if [ "$sent" = 1 ]; then
  t=.git/ilchul-sent.$$
  cat > "$t" && g bundle unbundle "$t" > /dev/null; e=$?
  unlink "$t"
  [ "$e" = 0 ] || exit 70
fi
# What is there has to be a part of what comes: nothing is taken back.
forward() { g merge-base --is-ancestor "$1" "$2" || { echo "\`$3\` has commits there that aren't part of it" >&2; exit 75; }; }
other() {
  old=$(g rev-parse -q --verify "$1")
  [ "$old" != "$2" ] || return 0
  case $1 in
    refs/tags/*) [ -z "$old" ] || { echo "the tag \`$1\` is another one there" >&2; exit 75; } ;;
    *) [ -z "$old" ] || forward "$old" "$2" "$1" ;;
  esac
  g update-ref "$1" "$2" || exit 70
}
b="refs/heads/$branch"
now=$(g symbolic-ref -q HEAD)
if ! g rev-parse -q --verify 'HEAD^{commit}' > /dev/null; then
  g symbolic-ref HEAD "$b" && g merge -q --ff-only --no-verify-signatures "$head" || exit 70
elif [ "$now" = "$b" ]; then
  forward HEAD "$head" "$branch"
  g merge -q --ff-only --no-verify-signatures "$head" || exit 70
else
  other "$b" "$head"
  g checkout -q "$branch" -- || exit 70
fi
"#;
