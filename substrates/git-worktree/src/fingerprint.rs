//! What was seen of a repository at one time, and what changed between two such looks.
//!
//! Files are compared by what the system says of them (size, times, inode), never by their
//! content: a look must cost little beside the work that it watches. It leaves out looking
//! (`lookout.rs`) and who changed something, which nobody can know.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Most names that one change gives; the others are counted.
const NAMES_MAX: usize = 20;

/// What couldn't be looked at, and why.
pub(crate) type Seen<T> = Result<T, String>;

/// What there was of a repository beside the work of its workers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    pub(crate) checkout: Seen<Checkout>,
    /// `HEAD` of the main checkout, branches, tags, the stash and replacements, by their full
    /// names; those that ilchul makes are left out.
    pub(crate) refs: Seen<BTreeMap<String, String>>,
    /// The files of the common git dir that every worktree obeys, by their digests.
    pub(crate) settings: Seen<BTreeMap<String, String>>,
    /// The entries of other worktrees, each with what it says of itself.
    pub(crate) worktrees: Seen<BTreeMap<String, String>>,
    pub(crate) siblings: BTreeMap<String, Seen<Site>>,
}

/// The main checkout's files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Checkout {
    /// Of the index file, so that an unchanged one isn't read again.
    pub(crate) index: Stamp,
    /// By path: what is tracked.
    pub(crate) files: BTreeMap<String, Row>,
    /// By path: the folders in which tracked files lie.
    pub(crate) folders: BTreeMap<String, Folder>,
}

/// One tracked file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Row {
    /// What the index says of it: its blob, and its stage where there is a conflict.
    pub(crate) staged: String,
    pub(crate) stamp: Stamp,
}

/// One folder: what lies in it beside what is tracked or ignored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Folder {
    pub(crate) stamp: Stamp,
    pub(crate) others: BTreeSet<String>,
}

/// What the system says of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Stamp {
    /// Nothing is there.
    Absent,
    /// Mode, size, modification, change (both in nanoseconds), inode.
    There(u32, u64, i64, i64, u64),
    /// Nobody could look.
    Hidden,
}

/// The place of another worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Site {
    /// Its folder is there, and is the one that was made.
    pub(crate) tree: bool,
    /// The tree's `.git` file holds what git wrote.
    pub(crate) gitfile: bool,
    /// Git's entry for it is there.
    pub(crate) entry: bool,
    /// The entry is locked.
    pub(crate) locked: bool,
    /// Where its branch was when its attempt was over, as the record says; none: it is at work,
    /// and where its branch and `HEAD` go is its own affair.
    pub(crate) recorded: Option<String>,
    /// Where its branch is, likewise; empty: there is none.
    pub(crate) tip: Option<String>,
    /// What its own `HEAD` says, likewise.
    pub(crate) head: Option<String>,
}

impl Site {
    /// How a place was before it was looked at for the first time: whole, and as recorded.
    fn before(&self) -> Self {
        let (recorded, head) = (self.recorded.clone(), self.head.clone());
        Self { tree: true, gitfile: true, entry: true, locked: true, tip: recorded.clone(), recorded, head }
    }
}

/// One kind of thing that changed between two looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// `files`, `refs`, `settings`, `worktrees`.
    pub kind: &'static str,
    /// What changed, in a fixed order: paths in the checkout; full names of references and where
    /// they went; files of the git dir; worktrees and what became of them.
    pub names: Vec<String>,
    /// How many more than these.
    pub more: usize,
}

impl Fingerprint {
    /// What changed from `before` to this. Nothing follows from what couldn't be seen at either time.
    #[must_use]
    pub fn changes(&self, before: &Self) -> Vec<Change> {
        let mut worktrees = between(&before.worktrees, &self.worktrees, worktree_words);
        for (id, now) in &self.siblings {
            let Ok(now) = now else { continue };
            let then = before.siblings.get(id).and_then(|then| then.as_ref().ok()).cloned();
            let then = then.unwrap_or_else(|| now.before());
            worktrees.extend(site_words(&then, now).into_iter().map(|words| format!("{id}: {words}")));
        }
        let kinds = [
            ("files", self.files_since(before)),
            ("refs", between(&before.refs, &self.refs, ref_words)),
            ("settings", between(&before.settings, &self.settings, |name, _, _| name.to_owned())),
            ("worktrees", worktrees),
        ];
        let change = |(kind, names): (&'static str, Vec<String>)| {
            let more = names.len().saturating_sub(NAMES_MAX);
            (!names.is_empty()).then(|| Change {
                kind,
                names: names.into_iter().take(NAMES_MAX).collect(),
                more,
            })
        };
        kinds.into_iter().filter_map(change).collect()
    }

    /// What couldn't be looked at, in words; none where everything could.
    #[must_use]
    pub fn unseen(&self) -> Option<String> {
        let parts = [
            self.checkout.as_ref().err().map(|why| format!("the main checkout: {why}")),
            self.refs.as_ref().err().map(|why| format!("the references: {why}")),
            self.settings.as_ref().err().map(|why| format!("the shared git settings: {why}")),
            self.worktrees.as_ref().err().map(|why| format!("the other worktrees: {why}")),
        ];
        let siblings = self.siblings.iter();
        let siblings = siblings.filter_map(|(id, seen)| Some(format!("{id}: {}", seen.as_ref().err()?)));
        let parts: Vec<String> = parts.into_iter().flatten().chain(siblings.take(1)).collect();
        (!parts.is_empty()).then(|| parts.join("; "))
    }

    /// Keeps what was last seen of a part that can't be seen now, so that a look that failed once
    /// hides no change for good.
    #[must_use]
    pub fn or_before(mut self, before: &Self) -> Self {
        fn kept<T: Clone>(now: &mut Seen<T>, before: &Seen<T>) {
            if now.is_err() && before.is_ok() {
                now.clone_from(before);
            }
        }
        kept(&mut self.checkout, &before.checkout);
        kept(&mut self.refs, &before.refs);
        kept(&mut self.settings, &before.settings);
        kept(&mut self.worktrees, &before.worktrees);
        for (id, now) in &mut self.siblings {
            before.siblings.get(id).into_iter().for_each(|before| kept(now, before));
        }
        self
    }

    fn files_since(&self, before: &Self) -> Vec<String> {
        let (Ok(then), Ok(now)) = (&before.checkout, &self.checkout) else { return Vec::new() };
        let mut names = BTreeSet::new();
        let paths = then.files.keys().chain(now.files.keys());
        for path in paths {
            let same = match (then.files.get(path), now.files.get(path)) {
                (Some(then), Some(now)) => then.staged == now.staged && then.stamp.agrees(now.stamp),
                (Some(_), None) | (None, Some(_)) => false,
                (None, None) => true,
            };
            if !same {
                names.insert(path.clone());
            }
        }
        for (folder, now_there) in &now.folders {
            let Some(before_there) = then.folders.get(folder) else { continue };
            let differing = before_there.others.symmetric_difference(&now_there.others);
            names.extend(differing.map(|name| below(folder, name)));
        }
        names.into_iter().collect()
    }
}

impl Stamp {
    /// Of a file at which nobody could look at either time, nothing is said.
    fn agrees(self, other: Self) -> bool {
        self == other || self == Self::Hidden || other == Self::Hidden
    }
}

/// A name in a folder, by its path from the root of the checkout.
pub(crate) fn below(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

/// What differs between two lists, in words; nothing where either couldn't be seen.
fn between(
    then: &Seen<BTreeMap<String, String>>,
    now: &Seen<BTreeMap<String, String>>,
    words: impl Fn(&str, Option<&str>, Option<&str>) -> String,
) -> Vec<String> {
    let (Ok(then), Ok(now)) = (then, now) else { return Vec::new() };
    let names: BTreeSet<&String> = then.keys().chain(now.keys()).collect();
    let differs = |name: &&String| then.get(*name) != now.get(*name);
    let text = |of: &BTreeMap<String, String>, name: &String| of.get(name).cloned();
    let said = |name: &String| words(name, text(then, name).as_deref(), text(now, name).as_deref());
    names.into_iter().filter(differs).map(said).collect()
}

fn ref_words(name: &str, then: Option<&str>, now: Option<&str>) -> String {
    match (then.map(short), now.map(short)) {
        (Some(then), Some(now)) => format!("{name} ({then} to {now})"),
        (Some(then), None) => format!("{name} ({then}, gone)"),
        (None, Some(now)) => format!("{name} (new, {now})"),
        (None, None) => name.to_owned(),
    }
}

/// An id as people read one; the name of another reference whole.
fn short(value: &str) -> &str {
    if value.starts_with("ref: ") { value } else { value.get(..12).unwrap_or(value) }
}

fn worktree_words(name: &str, then: Option<&str>, now: Option<&str>) -> String {
    match (then, now) {
        (Some(_), None) => format!("{name}: gone"),
        (None, _) => format!("{name}: new"),
        (Some(_), Some(_)) => format!("{name}: its `HEAD` or its lock changed"),
    }
}

fn site_words(then: &Site, now: &Site) -> Vec<String> {
    let mut words = Vec::new();
    let mut lost = |then: bool, now: bool, what: &str| {
        if then && !now {
            words.push(what.to_owned());
        }
    };
    lost(then.tree, now.tree, "its folder is gone");
    // What is missing with the whole isn't told apart.
    lost(then.entry, now.entry, "git's entry for it is gone");
    lost(then.gitfile || !now.tree, now.gitfile || !now.tree, "its `.git` file isn't the one that git wrote");
    lost(then.locked || !now.entry, now.locked || !now.entry, "its lock is gone");
    if let (Some(then), Some(now)) = (then.tip.as_ref().or(now.recorded.as_ref()), &now.tip)
        && then != now
    {
        words.push(match now.as_str() {
            "" => format!("its branch is gone ({})", short(then)),
            now => format!("its branch moved ({} to {})", short(then), short(now)),
        });
    }
    if matches!((&then.head, &now.head), (Some(then), Some(now)) if then != now) {
        words.push("its `HEAD` was moved".to_owned());
    }
    words
}
