//! Looking at what of a repository a worker has no business in: the main checkout, references,
//! shared settings, other worktrees.
//!
//! By files and `lstat` only: nothing that the repository defines runs, no index is refreshed,
//! nothing is written. Every list has a bound, beyond which the answer is that nobody looked.
//! It leaves out remote branches, which a `git fetch` of anybody's moves.

use crate::GitWorktree;
use crate::admin::{Entry, entry_names, small_file};
use crate::fingerprint::{Checkout, Fingerprint, Folder, Row, Seen, Site, Stamp, below};
use crate::look::KIND;
use git2::Oid;
use ilchul_substrate::{Error, Handle, Mark};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Metadata};
use std::io::ErrorKind as IoKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Most tracked files of a checkout that is looked at.
pub const FILES_MAX: usize = 50_000;
/// Most references, and most other worktrees.
const LISTED_MAX: usize = 4_096;
/// Most entries of one folder beside what is tracked in it.
const OTHERS_MAX: usize = 4_096;
/// How deep a branch's name may go.
const DEPTH_MAX: usize = 16;
/// Other worktrees that are looked into; of more it's only seen whether they are there.
const INSIDE_MAX: usize = 128;
/// Most bytes of the packed references.
const PACKED_MAX: u64 = 8 << 20;

/// References by folder, below the common git dir. Not those of remotes: fetching is no drift.
const REFS: [&str; 3] = ["refs/heads", "refs/tags", "refs/replace"];
/// Where ilchul's own branches are: each is looked at with its worker.
const OWN: &str = "refs/heads/ilchul/";
/// What every worktree of the repository obeys. `info/exclude` is written by ilchul itself.
const SETTINGS: [&str; 6] =
    ["config", "config.worktree", "info/attributes", "info/grafts", "objects/info/alternates", "shallow"];

/// Another worker's place.
#[derive(Debug, Clone)]
pub struct Sibling {
    /// Its worktree.
    pub tree: Handle,
    /// Where its branch was when its attempt was over, a full id; none while it is at work.
    pub tip: Option<String>,
}

impl GitWorktree {
    /// Looks once, for the workers of `run`. What `last` saw saves reading what the system says
    /// is unchanged.
    #[must_use]
    pub fn fingerprint(&self, last: Option<&Fingerprint>, run: &str, siblings: &[Sibling]) -> Fingerprint {
        let last = last.and_then(|last| last.checkout.as_ref().ok());
        let refs = self.all_refs();
        let site = |sibling: &Sibling| {
            let seen = self.site(sibling, refs.as_ref().ok()).map_err(|error| error.to_string());
            (sibling.tree.mark.worker(), seen)
        };
        let siblings = siblings.iter().map(site).collect();
        Fingerprint {
            checkout: self.look_at_checkout(last),
            refs: refs.map(|mut refs| {
                refs.retain(|name, _| !name.starts_with(OWN));
                refs
            }),
            settings: self.settings().map_err(|error| error.to_string()),
            worktrees: self.worktrees(run).map_err(|error| error.to_string()),
            siblings,
        }
    }

    fn look_at_checkout(&self, last: Option<&Checkout>) -> Seen<Checkout> {
        let index = stamp(&self.common.join("index"));
        let mut files = match last.filter(|last| last.index == index && index != Stamp::Hidden) {
            Some(last) => last.files.clone(),
            None => self.tracked()?,
        };
        for (path, row) in &mut files {
            // A submodule is a repository of its own.
            if !row.staged.starts_with("160000 ") {
                row.stamp = stamp(&self.checkout.join(path));
            }
        }
        let folders = self.folders(&files, last)?;
        Ok(Checkout { index, files, folders })
    }

    fn tracked(&self) -> Seen<BTreeMap<String, Row>> {
        let words = |error: git2::Error| error.message().to_owned();
        let repository = self.repository().map_err(|error| error.to_string())?;
        let index = repository.index().map_err(words)?;
        if index.len() > FILES_MAX {
            return Err(format!("it has more than {FILES_MAX} tracked files"));
        }
        let mut files = BTreeMap::new();
        for entry in index.iter() {
            let Ok(path) = String::from_utf8(entry.path.clone()) else {
                return Err("a tracked path isn't UTF-8".to_owned());
            };
            let staged = format!("{:o} {} {}", entry.mode, entry.id, (entry.flags >> 12) & 3);
            files.insert(path, Row { staged, stamp: Stamp::Hidden });
        }
        Ok(files)
    }

    /// What lies beside the tracked files: a folder is only listed anew where it has changed.
    fn folders(
        &self,
        files: &BTreeMap<String, Row>,
        last: Option<&Checkout>,
    ) -> Seen<BTreeMap<String, Folder>> {
        let mut names: BTreeSet<&str> = BTreeSet::from([""]);
        for path in files.keys() {
            let mut rest = path.as_str();
            while let Some((folder, _)) = rest.rsplit_once('/') {
                if !names.insert(folder) {
                    break;
                }
                rest = folder;
            }
        }
        let mut repository = None;
        let mut folders = BTreeMap::new();
        for name in &names {
            let now = stamp(&self.checkout.join(name));
            let known = last.and_then(|last| last.folders.get(*name)).filter(|known| known.stamp == now);
            let folder = match known {
                Some(known) => known.clone(),
                None => {
                    let tracked = |path: &str| files.contains_key(path) || names.contains(path);
                    Folder { stamp: now, others: self.others(name, &tracked, &mut repository)? }
                }
            };
            folders.insert((*name).to_owned(), folder);
        }
        Ok(folders)
    }

    fn others(
        &self,
        folder: &str,
        tracked: &dyn Fn(&str) -> bool,
        repository: &mut Option<git2::Repository>,
    ) -> Seen<BTreeSet<String>> {
        let path = self.checkout.join(folder);
        let listing = match fs::read_dir(&path) {
            Ok(listing) => listing,
            Err(error) if matches!(error.kind(), IoKind::NotFound | IoKind::NotADirectory) => {
                return Ok(BTreeSet::new());
            }
            Err(error) => return Err(format!("list `{}`: {error}", path.display())),
        };
        let mut others = BTreeSet::new();
        for (count, entry) in listing.enumerate() {
            let entry = entry.map_err(|error| format!("list `{}`: {error}", path.display()))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let whole = below(folder, &name);
            if name == ".git" || tracked(&whole) {
                continue;
            }
            if count >= OTHERS_MAX + FILES_MAX || others.len() >= OTHERS_MAX {
                return Err(format!("more than {OTHERS_MAX} untracked files lie in `{}`", path.display()));
            }
            if repository.is_none() {
                *repository = Some(self.repository().map_err(|error| error.to_string())?);
            }
            let is_dir = entry.file_type().is_ok_and(|kind| kind.is_dir());
            let asked = if is_dir { format!("{whole}/") } else { whole };
            // A rule that can't be read hides nothing.
            let ignored = repository.as_ref().and_then(|rules| rules.is_path_ignored(&asked).ok());
            if ignored != Some(true) {
                others.insert(name);
            }
        }
        Ok(others)
    }

    /// Every reference that is watched, and `HEAD`, by full name.
    fn all_refs(&self) -> Seen<BTreeMap<String, String>> {
        let mut refs = BTreeMap::new();
        let packed = self.common.join("packed-refs");
        match fs::symlink_metadata(&packed) {
            Ok(found) if found.len() > PACKED_MAX => return Err("there are too many to look at".to_owned()),
            Ok(_) => {}
            Err(error) if error.kind() == IoKind::NotFound => {}
            Err(error) => return Err(format!("read `{}`: {error}", packed.display())),
        }
        for line in fs::read_to_string(&packed).unwrap_or_default().lines() {
            if let Some((id, name)) = line.split_once(' ')
                && (REFS.iter().any(|kind| name.starts_with(kind)) || name == "refs/stash")
            {
                refs.insert(name.to_owned(), id.to_owned());
            }
        }
        for kind in REFS {
            self.loose(kind, 0, &mut refs)?;
        }
        for name in ["HEAD", "refs/stash"] {
            let text = small_file(&self.common.join(name)).map_err(|error| error.to_string())?;
            refs.extend(text.map(|text| (name.to_owned(), text.trim_end().to_owned())));
        }
        if refs.len() > LISTED_MAX * 4 {
            return Err("there are too many to look at".to_owned());
        }
        Ok(refs)
    }

    fn loose(&self, folder: &str, depth: usize, refs: &mut BTreeMap<String, String>) -> Seen<()> {
        let path = self.common.join(folder);
        let listing = match fs::read_dir(&path) {
            Ok(listing) => listing,
            Err(error) if error.kind() == IoKind::NotFound => return Ok(()),
            Err(error) => return Err(format!("list `{}`: {error}", path.display())),
        };
        for entry in listing {
            let entry = entry.map_err(|error| format!("list `{}`: {error}", path.display()))?;
            let name = format!("{folder}/{}", entry.file_name().to_string_lossy());
            if refs.len() > LISTED_MAX || depth > DEPTH_MAX {
                return Err("there are too many to look at".to_owned());
            }
            // Its own branches are read one by one, for the workers that are looked at.
            if OWN.trim_end_matches('/') == name {
                continue;
            }
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                self.loose(&name, depth + 1, refs)?;
            } else if !name.ends_with(".lock")
                && let Some(text) = small_file(&entry.path()).map_err(|error| error.to_string())?
            {
                refs.insert(name, text.trim_end().to_owned());
            }
        }
        Ok(())
    }

    fn settings(&self) -> Result<BTreeMap<String, String>, Error> {
        let mut found = BTreeMap::new();
        for name in SETTINGS {
            if let Some(text) = small_file(&self.common.join(name))? {
                found.insert(name.to_owned(), digest(text.as_bytes()));
            }
        }
        let hooks = self.common.join("hooks");
        let listing = match fs::read_dir(&hooks) {
            Ok(listing) => listing,
            Err(error) if error.kind() == IoKind::NotFound => return Ok(found),
            Err(error) => return Err(Error::io("list hooks", format!("`{}`", hooks.display()), error)),
        };
        for entry in listing.take(LISTED_MAX).flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if !name.ends_with(".sample") {
                found.insert(format!("hooks/{name}"), format!("{:?}", stamp(&entry.path())));
            }
        }
        Ok(found)
    }

    /// The entries of worktrees that aren't of `run`, nor of anything called after it with a
    /// dash (`<run>-left`): the user's own, and other runs'.
    fn worktrees(&self, run: &str) -> Result<BTreeMap<String, String>, Error> {
        let is_own =
            |of: &str| of.strip_prefix(run).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'));
        let is_of = |name: &str| name.parse::<Mark>().is_ok_and(|mark| is_own(mark.run()));
        let mut found = BTreeMap::new();
        let others = entry_names(&self.common)?.into_iter().filter(|name| !is_of(name));
        for (count, name) in others.take(LISTED_MAX).enumerate() {
            let dir = self.entry_dir(&name);
            // An entry that is being made right now is some launch's, not a change.
            if small_file(&dir.join("gitdir"))?.is_none() {
                continue;
            }
            let mut says = String::new();
            for file in ["HEAD", "locked"].into_iter().filter(|_| count < INSIDE_MAX) {
                says.push_str(&small_file(&dir.join(file))?.unwrap_or_default());
            }
            found.insert(name, says);
        }
        Ok(found)
    }

    fn site(&self, sibling: &Sibling, refs: Option<&BTreeMap<String, String>>) -> Result<Site, Error> {
        let handle = &sibling.tree;
        let tree = PathBuf::from(handle.field("path")?);
        let entry = Entry::read(&self.common, &handle.mark.to_string())?;
        let there = crate::look::inode_of(&tree)?;
        let gitfile = there.is_some() && crate::look::gitfile_intact(&tree, handle.field("gitfile")?)?;
        let reference = format!("refs/heads/{}", handle.field("branch")?);
        let branch = || -> Result<String, Error> {
            let loose = small_file(&self.common.join(&reference))?.map(|text| text.trim_end().to_owned());
            let packed = || refs.and_then(|refs| refs.get(&reference)).cloned();
            Ok(loose.or_else(packed).unwrap_or_default())
        };
        let (mut tip, mut head) = (None, None);
        if sibling.tip.is_some() {
            tip = Some(branch()?);
            let own = entry.as_ref().map(|entry| small_file(&entry.dir.join("HEAD"))).transpose()?;
            head = Some(own.flatten().unwrap_or_default().trim_end().to_owned());
        }
        Ok(Site {
            tree: there.is_some_and(|inode| gitfile || handle.fields.get("inode") == Some(&inode)),
            gitfile,
            locked: entry.as_ref().is_some_and(|entry| stamp(&entry.dir.join("locked")) != Stamp::Absent),
            entry: entry.is_some_and(|entry| handle.kind == KIND && entry.tree.as_deref() == Some(&tree)),
            recorded: sibling.tip.clone(),
            tip,
            head,
        })
    }
}

/// What the system says of `path`, not through a link.
fn stamp(path: &Path) -> Stamp {
    let nanos = |seconds: i64, nanos: i64| seconds.saturating_mul(1_000_000_000).saturating_add(nanos);
    let of = |found: &Metadata| {
        let modified = nanos(found.mtime(), found.mtime_nsec());
        let changed = nanos(found.ctime(), found.ctime_nsec());
        Stamp::There(found.mode(), found.size(), modified, changed, found.ino())
    };
    match fs::symlink_metadata(path) {
        Ok(found) => of(&found),
        Err(error) if matches!(error.kind(), IoKind::NotFound | IoKind::NotADirectory) => Stamp::Absent,
        Err(_) => Stamp::Hidden,
    }
}

fn digest(bytes: &[u8]) -> String {
    Oid::hash_object(git2::ObjectType::Blob, bytes).map(|id| id.to_string()).unwrap_or_default()
}
