//! What goes to the repository on the other machine, and how it is put in place there.
//!
//! It leaves out whether anything may go there at all.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::time::Duration;

use super::super::error::CliError;
use super::super::output;
use super::super::workflow_file::File;
use super::link::{Link, Look};
use super::seal::SEAL;
use super::{git, place};
use crate::host::{Input, gist, word};
use crate::workflow::TaskBase;

/// How long a history may travel.
const LIMIT: Duration = Duration::from_secs(3600);
/// What may go there by its name.
const KINDS: [&str; 3] = ["refs/heads/", "refs/tags/", "refs/remotes/"];
/// How git begins to say that files in the way would be lost.
const IN_THE_WAY: [&str; 3] = [
    "The following untracked working tree files would be ",
    "Updating the following directories would lose untracked files in ",
    "Your local changes to the following files would be ",
];
/// How many paths in the way are named.
const NAMED: usize = 5;

/// What goes there.
pub(super) struct Going {
    branch: String,
    head: String,
    /// What else goes along.
    refs: Vec<Based>,
}

/// What a task starts from, and how it is called there.
struct Based {
    name: String,
    id: String,
    /// A reference here that holds it: only references travel.
    carrier: String,
}

impl Going {
    /// The checked-out commit, and what else the workflow starts from by name.
    ///
    /// # Errors
    /// When there is no commit, or a base that can't go there.
    pub(super) fn of(root: &Path, file: &File) -> Result<Self, CliError> {
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
            refs.extend(based(root, name)?);
        }
        let branch = branch.unwrap_or_else(|| format!("detached-{}", &head[..12]));
        refs.retain(|based| based.name != format!("refs/heads/{branch}"));
        Ok(Self { branch, head, refs })
    }

    /// Brings it there.
    ///
    /// # Errors
    /// Where it can't go there without a loss, or isn't all here.
    pub(super) fn send(&self, link: &Link, look: &Look, (root, mine): (&Path, &str)) -> Result<(), CliError> {
        let whole = format!("refs/heads/{}", self.branch);
        let is_there =
            |name: &str, id: &str| look.refs.iter().any(|(have, known)| have == id && known == name);
        if look.get("head") == self.head
            && look.get("branch") == whole
            && look.get("from") == mine
            && self.refs.iter().all(|based| is_there(&based.name, &based.id))
        {
            return Ok(());
        }
        let known = known(look, root)?;
        let bundle = self.bundle(&known, root)?;
        let mut script = OsString::from(SEAL);
        script.push("f=");
        script.push(place::folder(link)?);
        for (name, value) in [("from", mine), ("branch", &self.branch), ("head", &self.head)] {
            script.push(format!("\n{name}="));
            script.push(word(OsStr::new(value)));
        }
        script.push(format!(
            "\nsent={}\nknown='{}'\n{APPLY}",
            u8::from(bundle.is_some()),
            self.rewritten(look, &known)
        ));
        for Based { name, id, .. } in &self.refs {
            script.push("other ");
            script.push(word(OsStr::new(name)));
            script.push(format!(" {id}\n"));
        }
        let input = bundle.map_or(Input::Nothing, Input::File);
        let ran = link.sh_within(&script, input, LIMIT)?;
        let (name, folder) = (&link.target.name, place::shown(link.folder()?));
        match ran.code {
            0 => {
                String::from_utf8_lossy(&ran.stdout).lines().for_each(|line| kept(name, line));
                Ok(())
            }
            DIVERGED => Err(CliError::new(
                "host_diverged",
                format!("bring `{folder}` on `{name}` to {}: {}", &self.head[..12], ran.words()),
            )
            .hint("Nothing there is forced: bring its commits here first, or work on another branch or in another folder.")),
            _ => {
                let complaint = complaint(&ran.stderr);
                let (code, hint) = if IN_THE_WAY.iter().any(|begin| complaint.starts_with(begin)) {
                    ("host_dirty", "Nothing there is overwritten, ignored files neither: move them away there, or leave them out of the commit here.")
                } else {
                    ("host_folder", "Look at the space and the rights there, and at what stands in the folder.")
                };
                let message = format!("bring `{folder}` on `{name}` to {}: {complaint}", &self.head[..12]);
                Err(CliError::new(code, message).hint(hint))
            }
        }
    }

    /// What stands there under the names that go there, as far as it is here as well: it was
    /// rewritten here (amended, rebased), and nothing of it is lost where the name moves on.
    fn rewritten(&self, look: &Look, known: &BTreeSet<String>) -> String {
        let whole = format!("refs/heads/{}", self.branch);
        let moves = |name: &str| name == whole || self.refs.iter().any(|based| based.name == name);
        let ids = look.refs.iter().filter(|(id, name)| moves(name) && known.contains(id));
        let ids: Vec<&str> = ids.map(|(id, _)| id.as_str()).collect();
        ids.join(" ")
    }

    /// What isn't there yet, as a file; none where all of it is.
    fn bundle(&self, known: &BTreeSet<String>, root: &Path) -> Result<Option<std::fs::File>, CliError> {
        let known: Vec<String> = known.iter().map(|id| format!("^{id}")).collect();
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        let with_head = |each: fn(&Based) -> &str| -> Vec<&str> {
            std::iter::once("HEAD").chain(self.refs.iter().map(each)).collect()
        };
        let wanted = with_head(|based| &based.id);
        let missing = git::line(root, &[&["rev-list", "-n", "1"][..], &wanted, &known].concat())?;
        if missing.is_some_and(|missing| missing.is_empty()) {
            return Ok(None);
        }
        if git::line(root, &["rev-parse", "--is-shallow-repository"])?.as_deref() == Some("true") {
            return Err(CliError::new("shallow_repository", "pack what goes there: this clone is shallow")
                .hint("Run `git fetch --unshallow`: what goes there has to have its whole history."));
        }
        let carriers = with_head(|based| &based.carrier);
        let failed = |why: String| CliError::new("repository", format!("pack what goes there: {why}"));
        let folder = tempfile::tempdir().map_err(|error| failed(error.to_string()))?;
        let path = folder.path().join("sent");
        let text = path.to_string_lossy().into_owned();
        let made = git::ask(
            root,
            &[&["bundle", "create", "-q", &text][..], &carriers, &known].concat(),
            Input::Nothing,
        )?;
        if made.code != 0 {
            return Err(failed(made.words()));
        }
        // The folder may go: an open file stays.
        std::fs::File::open(path).map(Some).map_err(|error| failed(error.to_string()))
    }
}

/// What of that machine's references is here as well.
fn known(look: &Look, root: &Path) -> Result<BTreeSet<String>, CliError> {
    let ids = look.refs.iter().map(|(id, _)| id).filter(|id| id.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let ids: String = ids.map(|id| format!("{id}\n")).collect();
    let found = git::ask(root, &["cat-file", "--batch-check"], Input::Bytes(ids.into_bytes()))?;
    let found = String::from_utf8_lossy(&found.stdout).into_owned();
    let found = found.lines().filter(|line| !line.ends_with("missing"));
    Ok(found.filter_map(|line| Some(line.split(' ').next()?.to_owned())).collect())
}

/// Says what was moved away from there, by a line of the script.
fn kept(machine: &str, line: &str) {
    let Some((id, name)) = line.strip_prefix("kept ").and_then(|rest| rest.split_once(' ')) else { return };
    let short = name.strip_prefix("refs/heads/").or(name.strip_prefix("refs/tags/")).unwrap_or(name);
    output::talk(&format!(
        "`{short}` was rewritten here since it was sent: on {machine} it moves, and what it was stays there as `refs/ilchul-base/{id}`."
    ));
}

/// What `base: name` needs there beside the commit that is checked out here; none where that is
/// enough, or where it names nothing: then the machine there says so.
fn based(root: &Path, name: &str) -> Result<Option<Based>, CliError> {
    let stem = name.find(['~', '^']).into_iter().chain(name.find("@{")).min().map_or(name, |at| &name[..at]);
    let whole = ["", "refs/"].map(|before| format!("{before}{stem}"));
    let whole = whole.into_iter().filter(|whole| KINDS.iter().any(|kind| whole.starts_with(kind)));
    for whole in whole.chain(KINDS.map(|kind| format!("{kind}{stem}"))) {
        if let Some(line) = git::line(root, &["show-ref", "--verify", &whole])?
            && let Some((id, _)) = line.split_once(' ')
        {
            return Ok(Some(Based { name: whole.clone(), id: id.to_owned(), carrier: whole }));
        }
    }
    let commit = |name: &str| {
        git::line(root, &["rev-parse", "-q", "--verify", "--end-of-options", &format!("{name}^{{commit}}")])
    };
    let Some(id) = commit(stem)? else { return Ok(None) };
    let is_known = git::ask(root, &["merge-base", "--is-ancestor", &id, "HEAD"], Input::Nothing)?.code == 0;
    if stem == "HEAD" || stem == "@" || (is_known && id.starts_with(stem)) {
        return Ok(None);
    }
    let failed = |why: &str| CliError::new("base", format!("send the base `{name}`: {why}"));
    if !id.starts_with(stem) {
        return Err(
            failed("it means something in this clone only").hint("Name a branch, a tag or a commit's id.")
        );
    }
    let holding = ["for-each-ref", "--count=1", "--format=%(refname)", "--contains", &id];
    let carrier = git::line(root, &[&holding[..], &["refs/heads", "refs/tags", "refs/remotes"]].concat())?;
    let carrier = carrier.filter(|carrier| !carrier.is_empty());
    let carrier = carrier.ok_or_else(|| {
        failed("no branch and no tag here holds it").hint("Make a branch at it: references are what travels.")
    })?;
    // A commit that no reference holds there would be swept away.
    Ok(Some(Based { name: format!("refs/ilchul-base/{id}"), id, carrier }))
}

/// What git complained of first, with the paths that it names: its last line only says that it
/// gave up.
fn complaint(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.lines();
    let first = lines.find_map(|line| line.strip_prefix("error: ").or(line.strip_prefix("fatal: ")));
    let Some(first) = first else { return gist(bytes) };
    let paths: Vec<&str> = lines.map_while(|line| line.strip_prefix('\t')).take(NAMED).collect();
    let all = format!("{first} {}", paths.join(", "));
    crate::render::clean(all.trim()).chars().take(600).collect()
}

/// The exit code for what isn't a fast-forward.
const DIVERGED: i32 = 75;
const APPLY: &str = r#"
umask 077
mkdir -p -- "$f" && cd -- "$f" || exit 70
[ -e .git ] || { g init -q --template= && g config --local lfs.skipdownloaderrors true; } || exit 70
sealed || { echo "error: the settings of its filters can't be read" >&2; exit 70; }
git config --local ilchul.from "$from" || exit 70
if [ "$sent" = 1 ]; then
  t=.git/ilchul-sent.$$
  cat > "$t" && g bundle unbundle "$t" > /dev/null; e=$?
  unlink "$t"
  [ "$e" = 0 ] || exit 70
fi
# What is there has to be a part of what comes, or be where it comes from: nothing is lost.
forward() {
  g merge-base --is-ancestor "$1" "$2" || kept "$1" "$3" || {
    echo "\`${3#refs/heads/}\` has commits there that aren't part of it: $(g log --format=%h -n 3 "$2..$1" | tr '\n' ' ')" >&2
    exit 75
  }
}
kept() {
  case " $known " in *" $1 "*) ;; *) return 1 ;; esac
  g update-ref "refs/ilchul-base/$1" "$1" || exit 70
  echo "kept $1 $2"
}
other() {
  old=$(g rev-parse -q --verify "$1")
  [ "$old" != "$2" ] || return 0
  case $1 in
    refs/tags/*) [ -z "$old" ] || kept "$old" "$1" || { echo "the tag \`$1\` is another one there" >&2; exit 75; } ;;
    # Somebody else's branches, as they were last seen here.
    refs/remotes/*) ;;
    *) [ -z "$old" ] || forward "$old" "$2" "$1" ;;
  esac
  g update-ref "$1" "$2" || exit 70
}
b="refs/heads/$branch"
now=$(g symbolic-ref -q HEAD)
# What is ignored there may be all that there is of it (git 1.7.9 knows how to keep it). A merge
# into no commit at all would overwrite it all the same.
if [ "$now" != "$b" ]; then
  other "$b" "$head"
  g checkout -q --no-overwrite-ignore "$branch" -- || exit 70
elif ! old=$(g rev-parse -q --verify 'HEAD^{commit}'); then
  g checkout -q --no-overwrite-ignore -B "$branch" "$head" -- || exit 70
else
  forward "$old" "$head" "$b"
  if g merge-base --is-ancestor "$old" "$head"
  then g merge -q --ff-only --no-overwrite-ignore --no-verify-signatures "$head"
  else g checkout -q --no-overwrite-ignore -B "$branch" "$head" --; fi || exit 70
fi
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_complaint_is_gits_first_one_with_its_paths() {
        let text = "noise\nerror: The following untracked working tree files would be overwritten by merge:\n\ta\n\tb c\nPlease move them.\nAborting\n";
        let said = complaint(text.as_bytes());
        assert_eq!(said, "The following untracked working tree files would be overwritten by merge: a, b c");
        assert_eq!(complaint(b"mkdir: cannot make it\n"), "mkdir: cannot make it");
    }

    /// Runs a line of `sh` in `folder`, with git's own settings.
    fn sh(folder: &Path, line: &str) -> std::process::Output {
        let mut sh = std::process::Command::new("sh");
        sh.args(["-c", line]).current_dir(folder);
        sh.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", "/dev/null").output().unwrap()
    }

    fn ok(folder: &Path, line: &str) -> String {
        let out = sh(folder, line);
        assert!(out.status.success(), "{line}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8_lossy(&out.stdout).trim().to_owned()
    }

    /// Three commits of a repository whose last one has `data`, and a folder there whose branch
    /// and commit are made by `before`, where `data` is ignored.
    fn brought(before: &str, data: &str) -> (std::process::Output, tempfile::TempDir) {
        let top = tempfile::tempdir().unwrap();
        let commit = "git add -A && git -c user.name=t -c user.email=t@localhost commit -qm";
        ok(
            top.path(),
            &format!(
                "git init -q -b main here && cd here && echo one > a && {commit} one && echo two > a && {commit} two && \
                 git branch amended && git reset -q --hard HEAD~1 && echo new > data && {commit} data && \
                 git init -q -b main ../there && cd ../there && git fetch -q ../here '+refs/heads/*:refs/seen/*' && \
                 echo data > .git/info/exclude && {before} && {data}"
            ),
        );
        let head = ok(top.path(), "git -C here rev-parse main");
        let known = ok(top.path(), "git -C here rev-parse amended");
        let apply =
            format!("{SEAL}f=there\nfrom=x\nbranch=main\nhead={head}\nsent=0\nknown='{known}'\n{APPLY}");
        (sh(top.path(), &apply), top)
    }

    #[test]
    fn l3_a_file_that_is_ignored_there_is_not_overwritten_by_a_commit_that_has_it() {
        let ways = [
            ("forward", "git reset -q --hard refs/seen/main~1"),
            ("amended", "git reset -q --hard refs/seen/amended"),
            ("another branch", "git reset -q --hard refs/seen/main~1 && git branch -m side"),
            ("another branch of nothing", "git symbolic-ref HEAD refs/heads/master"),
            ("nothing", "true"),
        ];
        for (way, before) in ways {
            let data = [("echo precious > data", "data"), ("mkdir data && echo precious > data/x", "data/x")];
            for (data, file) in data {
                let (out, top) = brought(before, data);
                let said = complaint(&out.stderr);
                assert_eq!(out.status.code(), Some(70), "{way}: {said}");
                assert!(IN_THE_WAY.iter().any(|begin| said.starts_with(begin)), "{way}: {said}");
                assert!(said.ends_with(" data"), "{way}: {said}");
                let kept = std::fs::read_to_string(top.path().join("there").join(file)).unwrap();
                assert_eq!(kept, "precious\n", "{way}");
            }
            let (out, top) = brought(before, "true");
            let said = String::from_utf8_lossy(&out.stderr).into_owned();
            assert_eq!(out.status.code(), Some(0), "{way}: {said}");
            assert_eq!(ok(top.path(), "git -C there status --porcelain; cat there/data"), "new", "{way}");
            let heads = ok(top.path(), "git -C there rev-parse HEAD main; git -C here rev-parse main");
            assert!(heads.lines().all(|id| heads.starts_with(id)), "{way}: {heads}");
        }
    }
}
