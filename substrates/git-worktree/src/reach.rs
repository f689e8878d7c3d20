//! Whether what a branch holds is held elsewhere as well: by its commits, its patches or its tree.
//!
//! Histories are walked by the parents that the stored commits name; libgit2's own walk only
//! says how far down to look, so that grafts can make the answer worse and never better. It
//! leaves out what follows from it.

use crate::objects::{links, odb, parse};
use crate::repository::trouble;
use crate::{GitWorktree, plain};
use git2::{Diff, DiffFormat, DiffOptions, ErrorCode, ObjectType, Oid, Repository};
use ilchul_substrate::{Error, ErrorKind};
use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};

const COMPARE: &str = "compare histories";

/// The most commits of a target that are walked.
const COMMITS_MAX: usize = 20_000;
/// The most patches of either side that are compared.
const PATCHES_MAX: usize = 500;
/// The largest patch that is compared, in bytes.
const PATCH_MAX: usize = 16 << 20;
/// The most targets that are asked for.
const TARGETS_MAX: usize = 50;
/// How far committers' clocks may differ, in seconds.
const SKEW: i64 = 86_400;

/// How a commit's content is held by a target, whose name comes with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// The commit is in its history.
    Contained(String),
    /// Its history has a commit with the very same tree.
    SameTree(String),
    /// Its history has the same patches, one by one or as one.
    SamePatches(String),
    /// None of these, as far as was looked.
    Apart,
}

/// Where work may have gone: a name for people, and the commit it means now.
pub type Target = (String, String);

impl GitWorktree {
    /// What `names` mean now, where they mean anything, and the branches of remotes.
    ///
    /// # Errors
    /// What git says; more remote branches than are looked at aren't an error.
    pub fn targets(&self, names: &[&str]) -> Result<Vec<Target>, Error> {
        let repo = self.repository()?;
        let mut targets: Vec<Target> = Vec::new();
        for name in names {
            if let Ok(commit) = self.resolve_commit(name) {
                targets.push(((*name).to_owned(), commit));
            }
        }
        let wrong = |error| trouble(COMPARE, "remote branches", error);
        plain::references_below(&self.common.join("refs/remotes"))?;
        for reference in repo.references_glob("refs/remotes/*").map_err(wrong)?.take(TARGETS_MAX) {
            let reference = reference.map_err(wrong)?;
            let name = String::from_utf8_lossy(reference.shorthand_bytes()).into_owned();
            if let Ok(commit) = reference.peel_to_commit() {
                targets.push((name, commit.id().to_string()));
            }
        }
        Ok(targets)
    }

    /// How the content of the commit `tip` is held by one of `targets`, the strongest way first.
    ///
    /// # Errors
    /// When a commit can't be read, or there are more of them than are looked at: nobody knows then.
    pub fn reach(&self, targets: &[Target], tip: &str) -> Result<Reach, Error> {
        let repo = self.repository()?;
        let tip = parse(tip)?;
        let mut found = Vec::new();
        let mut trouble = None;
        for (name, commit) in targets {
            match held(&repo, parse(commit)?, tip) {
                Ok(Some(how)) => found.push((how, name)),
                Ok(None) => {}
                Err(error) => trouble = Some(error),
            }
        }
        let best = found.into_iter().min_by_key(|(how, _)| *how);
        match (best, trouble) {
            (Some((How::Contained, name)), _) => Ok(Reach::Contained(name.clone())),
            (Some((How::SameTree, name)), _) => Ok(Reach::SameTree(name.clone())),
            (Some((How::SamePatches, name)), _) => Ok(Reach::SamePatches(name.clone())),
            (None, Some(error)) => Err(error),
            (None, None) => Ok(Reach::Apart),
        }
    }

    /// The commit that a reference names now, if it is there.
    ///
    /// # Errors
    /// What git says.
    pub fn reference(&self, name: &str) -> Result<Option<String>, Error> {
        plain::references(&self.common, &[name])?;
        match self.repository()?.refname_to_id(name) {
            Ok(commit) => Ok(Some(commit.to_string())),
            Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
            Err(error) => Err(trouble(COMPARE, format!("reference `{name}`"), error)),
        }
    }

    /// Notes where a branch of another machine stands: `name` is below `refs/remotes/`, and the
    /// commit is here. Nobody's own branch can be moved by it.
    ///
    /// # Errors
    /// What git says, and any other name.
    pub fn note_remote(&self, name: &str, commit: &str) -> Result<(), Error> {
        if !name.starts_with("refs/remotes/") {
            return Err(Error::new(ErrorKind::Conflict, COMPARE, format!("reference `{name}`")));
        }
        let wrong = |error| trouble(COMPARE, format!("reference `{name}`"), error);
        let repository = self.repository()?;
        let commit = repository.find_commit(Oid::from_str(commit).map_err(wrong)?).map_err(wrong)?;
        repository.reference(name, commit.id(), true, "ilchul: fetched").map(drop).map_err(wrong)
    }
}

/// From the strongest to the weakest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum How {
    Contained,
    SameTree,
    SamePatches,
}

fn held(repo: &Repository, target: Oid, tip: Oid) -> Result<Option<How>, Error> {
    let fork = match repo.merge_base(target, tip) {
        Ok(fork) => fork,
        Err(error) if error.code() == ErrorCode::NotFound => return Ok(None),
        Err(error) => return Err(trouble(COMPARE, format!("{target} and {tip}"), error)),
    };
    let theirs = newer(repo, target, fork)?;
    if theirs.contains_key(&tip) {
        return Ok(Some(How::Contained));
    }
    let odb = odb(repo)?;
    let tree = links(&odb, tip)?.tree;
    if theirs.values().any(|known| *known == tree) {
        return Ok(Some(How::SameTree));
    }
    // Where they really part, by the commits' own words.
    let (own, parted) = beyond(repo, tip, &theirs)?;
    let known = patches(repo, theirs.keys().filter(|commit| !parted.contains(*commit)))?;
    if let Some(from) = parted.iter().next().filter(|_| parted.len() == 1) {
        let whole = patch(repo, links(&odb, *from)?.tree, tree)?;
        if whole.is_some() && known.contains(&whole) {
            return Ok(Some(How::SamePatches));
        }
    }
    let (mut all, mut any) = (true, false);
    for commit in &own {
        let found = links(&odb, *commit)?;
        let [parent] = found.parents[..] else { return Ok(None) };
        any = true;
        all &= known.contains(&patch(repo, links(&odb, parent)?.tree, found.tree)?);
    }
    Ok((any && all).then_some(How::SamePatches))
}

/// The commits of `from` that aren't much older than `fork`, with their trees.
fn newer(repo: &Repository, from: Oid, fork: Oid) -> Result<HashMap<Oid, Oid>, Error> {
    let wrong = |error| trouble(COMPARE, format!("{from}"), error);
    let odb = odb(repo)?;
    let time = |commit: Oid| repo.find_commit(commit).map(|commit| commit.time().seconds()).map_err(wrong);
    let oldest = time(fork)? - SKEW;
    let (mut found, mut queue) = (HashMap::new(), VecDeque::from([from]));
    while let Some(commit) = queue.pop_front() {
        if found.contains_key(&commit) || time(commit)? < oldest {
            continue;
        }
        if found.len() == COMMITS_MAX {
            return Err(many(&format!("{COMMITS_MAX} commits")));
        }
        let known = links(&odb, commit)?;
        found.insert(commit, known.tree);
        // Below the fork both sides are one.
        if commit != fork {
            queue.extend(known.parents);
        }
    }
    Ok(found)
}

/// The commits of `tip` that aren't in `theirs`, newest first, and those of `theirs` on which they stand.
fn beyond(
    repo: &Repository,
    tip: Oid,
    theirs: &HashMap<Oid, Oid>,
) -> Result<(Vec<Oid>, HashSet<Oid>), Error> {
    let odb = odb(repo)?;
    let (mut found, mut parted) = (Vec::new(), HashSet::new());
    let (mut seen, mut queue) = (HashSet::new(), VecDeque::from([tip]));
    while let Some(commit) = queue.pop_front() {
        if theirs.contains_key(&commit) {
            parted.insert(commit);
            continue;
        }
        if !seen.insert(commit) {
            continue;
        }
        if found.len() == PATCHES_MAX {
            return Err(many(&format!("{PATCHES_MAX} commits of its own")));
        }
        found.push(commit);
        queue.extend(links(&odb, commit)?.parents);
    }
    Ok((found, parted))
}

fn patches<'c>(
    repo: &Repository,
    commits: impl Iterator<Item = &'c Oid>,
) -> Result<BTreeSet<Option<Oid>>, Error> {
    let odb = odb(repo)?;
    let mut found = BTreeSet::new();
    // A commit that changes nothing matches one that changes nothing.
    found.insert(None);
    for (count, commit) in commits.enumerate() {
        if count == PATCHES_MAX {
            return Err(many(&format!("{PATCHES_MAX} commits since it branched off")));
        }
        let known = links(&odb, *commit)?;
        if let [parent] = known.parents[..] {
            found.insert(patch(repo, links(&odb, parent)?.tree, known.tree)?);
        }
    }
    Ok(found)
}

/// One id for all that changes between two trees, wherever it stands in its files; none where
/// nothing does. Unlike git's own patch id it counts blanks and binary content.
fn patch(repo: &Repository, old: Oid, new: Oid) -> Result<Option<Oid>, Error> {
    let wrong = |error| trouble(COMPARE, format!("{old} and {new}"), error);
    let mut options = DiffOptions::new();
    options.force_text(true).ignore_submodules(false);
    let (old, new) = (repo.find_tree(old).map_err(wrong)?, repo.find_tree(new).map_err(wrong)?);
    let diff = repo.diff_tree_to_tree(Some(&old), Some(&new), Some(&mut options)).map_err(wrong)?;
    let bytes = text(&diff).map_err(wrong)?;
    if bytes.len() > PATCH_MAX {
        return Err(many(&format!("{PATCH_MAX} bytes in one patch")));
    }
    if bytes.is_empty() {
        return Ok(None);
    }
    Oid::hash_object(ObjectType::Blob, &bytes).map(Some).map_err(wrong)
}

fn text(diff: &Diff<'_>) -> Result<Vec<u8>, git2::Error> {
    let mut bytes = Vec::new();
    diff.print(DiffFormat::Patch, |delta, _, line| {
        if bytes.len() > PATCH_MAX {
            return true;
        }
        match line.origin() {
            origin @ ('+' | '-' | ' ') => {
                bytes.push(u8::try_from(origin).unwrap_or(b' '));
                bytes.extend_from_slice(line.content());
            }
            // A file's heading: its name and modes; its content's ids say where the rest lies.
            'F' => {
                for side in [delta.old_file(), delta.new_file()] {
                    bytes.extend_from_slice(side.path_bytes().unwrap_or_default());
                    bytes.extend_from_slice(format!("\0{:?}\0", side.mode()).as_bytes());
                }
            }
            'B' => bytes.extend_from_slice(
                format!("{} {}\0", delta.old_file().id(), delta.new_file().id()).as_bytes(),
            ),
            _ => bytes.push(0),
        }
        true
    })?;
    Ok(bytes)
}

fn many(what: &str) -> Error {
    Error::new(ErrorKind::Refused, COMPARE, format!("there are more than {what}"))
}
