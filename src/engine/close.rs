//! The close verdict (law R4): whether anything would be lost with a worker's tree and session.
//!
//! Pure: from what was looked at just now to a verdict with its reasons. It is derived whenever
//! it is shown and never stored as a truth; a release keeps the reasons as what was seen then.
//! It leaves out looking, and everything that follows.

/// What was seen, or why it couldn't be looked at.
pub type Known<T> = Result<T, String>;

/// The most names that a reason gives.
const NAMES: usize = 3;

/// Whether a worker may be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseVerdict {
    /// Nothing would be lost.
    Safe,
    /// Something would.
    NotSafe,
    /// Something couldn't be looked at.
    Unknown,
}

impl CloseVerdict {
    /// The word that users see.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Safe => "safe",
            Self::NotSafe => "not safe",
            Self::Unknown => "unknown",
        }
    }
}

/// A verdict and all that it follows from: what speaks against it first, what is fine last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Close {
    /// What follows.
    pub verdict: CloseVerdict,
    /// Fragments of sentences.
    pub reasons: Vec<String>,
    /// How many of the first reasons keep it from being safe.
    pub against: usize,
    /// How large its tree is.
    pub sizes: Sizes,
    /// What to type to have a vanished tree back.
    pub restore: Vec<String>,
}

/// Bytes of a worker's tree; `None` where nobody could look or there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sizes {
    /// Tracked files.
    pub source: Option<u64>,
    /// Ignored files.
    pub regenerable: Option<u64>,
    /// Untracked files.
    pub unknown: Option<u64>,
}

/// Files of one kind, counted up to a limit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Files {
    /// How many.
    pub count: usize,
    /// How large together, in bytes.
    pub bytes: u64,
    /// There are more than were counted.
    pub more: bool,
    /// The first few names.
    pub names: Vec<String>,
}

/// All that was looked at of one worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Looked {
    /// Its work isn't over; in which state it is.
    pub at_work: Option<String>,
    /// What lives of it or works in its tree, each in words.
    pub processes: Known<Vec<String>>,
    /// Blobs that its evidence names and that aren't there.
    pub unarchived: Known<Vec<String>>,
    /// Its files.
    pub tree: Tree,
}

/// Where a worker's files are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tree {
    /// None were ever made.
    Never,
    /// A worktree was made, and nobody put its files into it.
    Unfilled,
    /// Seen to be gone.
    Gone {
        /// The reference that keeps what it held, where that is there.
        kept: Known<Option<String>>,
        /// What to type to have it back.
        restore: Vec<String>,
    },
    /// A plain folder, which no commit keeps.
    Folder(Known<Files>),
    /// Nobody could look.
    Hidden(String),
    /// A worktree.
    There(Box<Held>),
}

/// What a worktree holds, and what of that is held elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The reference below `refs/ilchul/` that should keep it.
    pub reference: String,
    /// The tree's `.git` file is the one that git wrote; anything else leads a person's git
    /// elsewhere.
    pub gitfile_intact: Known<bool>,
    /// Changed and untracked paths that are in no commit of its branch.
    pub uncommitted: Known<Vec<String>>,
    /// How the reference keeps what is there now.
    pub kept: Known<Kept>,
    /// How its branch's tip is held by the target or a remote branch, in words; none where it isn't.
    pub reach: Known<Option<String>>,
    /// Ignored files: in no commit, whatever else is kept.
    pub ignored: Known<Files>,
    /// Stash entries that were made in it.
    pub stashes: Known<Vec<String>>,
    /// Submodules and nested repositories with a history of their own.
    pub nested: Known<Vec<String>>,
    /// Bytes by kind.
    pub sizes: Sizes,
}

/// How a reference keeps what a worktree holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
    /// All of it, as it is now.
    Whole,
    /// As it was; these paths changed since.
    Changed(Vec<String>),
    /// It isn't there.
    Missing,
    /// The commit that the journal tells of is under no name of ours any more.
    Moved {
        /// What the journal tells of.
        journaled: String,
    },
}

/// How one observation speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Side {
    Against,
    Unknown,
    For,
}

type Reason = (Side, String);

/// The verdict on what was seen.
#[must_use]
pub fn judge(looked: &Looked) -> Close {
    let mut reasons: Vec<Reason> = Vec::new();
    if let Some(state) = &looked.at_work {
        reasons.push((Side::Against, format!("its work isn't over: it is {state}")));
    }
    reasons.push(nothing_of("its processes", &looked.processes, "lives", "no process lives"));
    reasons.extend(files(&looked.tree));
    let archive = "isn't among the kept evidence";
    reasons.push(nothing_of("its evidence", &looked.unarchived, archive, "its evidence is kept"));
    // Stable: within one side the order of looking stays.
    reasons.sort_by_key(|(side, _)| *side);
    let has = |wanted: Side| reasons.iter().any(|(side, _)| *side == wanted);
    let verdict = if has(Side::Against) {
        CloseVerdict::NotSafe
    } else if has(Side::Unknown) {
        CloseVerdict::Unknown
    } else {
        CloseVerdict::Safe
    };
    let (sizes, restore) = match &looked.tree {
        Tree::There(held) => (held.sizes, Vec::new()),
        Tree::Gone { restore, .. } => (Sizes::default(), restore.clone()),
        Tree::Folder(Ok(files)) => (Sizes { unknown: Some(files.bytes), ..Sizes::default() }, Vec::new()),
        Tree::Folder(Err(_)) | Tree::Never | Tree::Unfilled | Tree::Hidden(_) => {
            (Sizes::default(), Vec::new())
        }
    };
    let against = reasons.iter().filter(|(side, _)| *side != Side::For).count();
    Close { verdict, reasons: reasons.into_iter().map(|(_, words)| words).collect(), against, sizes, restore }
}

fn files(tree: &Tree) -> Vec<Reason> {
    match tree {
        Tree::Never => vec![(Side::For, "it never had files".to_owned())],
        Tree::Unfilled => {
            let words = "its worktree was never filled: it holds what its base commit does";
            vec![(Side::For, words.to_owned())]
        }
        Tree::Hidden(why) => vec![(Side::Unknown, format!("its worktree can't be looked at: {why}"))],
        Tree::Gone { kept: Ok(Some(reference)), .. } => {
            vec![(Side::For, format!("the worktree is gone already; {reference} keeps what it held"))]
        }
        Tree::Gone { kept: Ok(None), .. } => {
            vec![(Side::Against, "the worktree is gone, and nothing below refs/ilchul keeps it".to_owned())]
        }
        Tree::Gone { kept: Err(why), .. } => {
            vec![(Side::Unknown, format!("the worktree is gone, and its snapshot can't be looked at: {why}"))]
        }
        Tree::Folder(Err(why)) => vec![(Side::Unknown, format!("its folder can't be looked at: {why}"))],
        Tree::Folder(Ok(files)) if files.count == 0 => vec![(Side::For, "its folder is empty".to_owned())],
        Tree::Folder(Ok(files)) => {
            vec![(
                Side::Against,
                format!("{} in a plain folder, in no commit{}", weight(files), named(files)),
            )]
        }
        Tree::There(held) => worktree(held),
    }
}

fn worktree(held: &Held) -> Vec<Reason> {
    let mut reasons = content(held);
    match &held.gitfile_intact {
        // The rule, and no news.
        Ok(true) => {}
        Ok(false) => {
            let words = "its `.git` file isn't the one that git wrote: git run in it works elsewhere";
            reasons.push((Side::Against, words.to_owned()));
        }
        Err(why) => reasons.push((Side::Unknown, format!("its `.git` file can't be looked at: {why}"))),
    }
    reasons.push(match &held.ignored {
        Err(why) => (Side::Unknown, format!("its ignored files can't be looked at: {why}")),
        Ok(files) if files.count == 0 && !files.more => (Side::For, "nothing is ignored".to_owned()),
        Ok(files) => (Side::Against, format!("{} ignored, in no commit{}", weight(files), named(files))),
    });
    reasons.push(nothing_of("the stash", &held.stashes, "was stashed here", "nothing is stashed"));
    reasons.push(match &held.nested {
        Err(why) => (Side::Unknown, format!("its submodules can't be looked at: {why}")),
        Ok(found) if found.is_empty() => (Side::For, "it has no repositories inside".to_owned()),
        Ok(found) => {
            (Side::Unknown, format!("it has repositories inside, which aren't looked into: {}", list(found)))
        }
    });
    reasons
}

/// Whether what the tree holds is held elsewhere: by our own reference, or by a branch that
/// stays. Its own branch doesn't count: whoever closes a worker may want that gone too.
fn content(held: &Held) -> Vec<Reason> {
    let reference = &held.reference;
    let dirty = match &held.uncommitted {
        Ok(paths) if paths.is_empty() => None,
        Ok(paths) => Some(count(paths.len(), "uncommitted file")),
        Err(_) => Some("what is uncommitted".to_owned()),
    };
    let clean = matches!(&held.uncommitted, Ok(paths) if paths.is_empty());
    let elsewhere = clean && matches!(held.reach, Ok(Some(_)));
    let whole = held.kept == Ok(Kept::Whole);
    let mut reasons = Vec::new();
    // What speaks against it doesn't where the same work is held by another branch.
    let lacks = |side: Side| if elsewhere { Side::For } else { side };
    reasons.push(match &held.kept {
        Ok(Kept::Whole) => (Side::For, format!("all of it is in {reference}")),
        Ok(Kept::Changed(paths)) => {
            let changed = count(paths.len(), "path");
            (lacks(Side::Against), format!("{changed} changed since {reference} was taken: {}", list(paths)))
        }
        Ok(Kept::Missing) => (lacks(Side::Against), format!("{reference} isn't there")),
        Ok(Kept::Moved { journaled }) => {
            (lacks(Side::Against), format!("{reference} isn't what the journal tells of: {journaled}"))
        }
        Err(why) => (lacks(Side::Unknown), format!("{reference} can't be looked at: {why}")),
    });
    reasons.push(match (&held.uncommitted, dirty) {
        (Err(why), _) => (Side::Unknown, format!("what is uncommitted can't be looked at: {why}")),
        (Ok(_), None) => (Side::For, "nothing is uncommitted".to_owned()),
        (Ok(paths), Some(words)) if whole => {
            (Side::For, format!("{words} {} kept", if paths.len() == 1 { "is" } else { "are" }))
        }
        (Ok(paths), Some(words)) => (Side::Against, format!("{words}, in no commit: {}", list(paths))),
    });
    reasons.push(match &held.reach {
        Ok(Some(how)) => (Side::For, how.clone()),
        Ok(None) if whole => (Side::For, "its branch isn't merged".to_owned()),
        Ok(None) => (Side::Against, "its commits are on its own branch only".to_owned()),
        Err(why) => (Side::Unknown, format!("whether its branch is merged can't be told: {why}")),
    });
    reasons
}

/// A look at something of which there should be nothing.
fn nothing_of(what: &str, found: &Known<Vec<String>>, verb: &str, fine: &str) -> Reason {
    match found {
        Err(why) => (Side::Unknown, format!("{what} can't be looked at: {why}")),
        Ok(found) if found.is_empty() => (Side::For, fine.to_owned()),
        Ok(found) => (Side::Against, format!("{} {verb}", list(found))),
    }
}

fn weight(files: &Files) -> String {
    let more = if files.more { "more than " } else { "" };
    format!("{more}{} ({})", count(files.count, "file"), size(files.bytes))
}

fn named(files: &Files) -> String {
    if files.names.is_empty() { String::new() } else { format!(": {}", list(&files.names)) }
}

fn list(names: &[String]) -> String {
    let shown: Vec<&str> = names.iter().take(NAMES).map(String::as_str).collect();
    match names.len().saturating_sub(NAMES) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// Bytes as people say them: `0 B`, `1.5 KiB`, `20.0 MiB`.
#[must_use]
pub fn size(bytes: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB"];
    let (mut whole, mut tenth, mut unit) = (bytes, 0, "B");
    for next in units {
        if whole < 1024 {
            break;
        }
        (tenth, whole, unit) = (whole % 1024 * 10 / 1024, whole / 1024, next);
    }
    if unit == "B" { format!("{whole} B") } else { format!("{whole}.{tenth} {unit}") }
}

#[cfg(test)]
mod tests;
