//! What nobody but a worker in its own tree may do: the rules, one call at a time.
//!
//! Whoever is no worker removes nothing, renames nothing away and writes over nothing in any
//! tree, the checkout, git's folder, or what is kept as evidence. Three things are no loss: a
//! temporary name that the same process made (git's locks), a half-made thing of ilchul's that
//! is moved aside whole, and what a failing git takes back of the worktree that it was making. It leaves out signals to processes of our own.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use super::lives::{Act, Kind};
use super::places::{Place, Places, joined};
use super::trace::{Call, path_of, string};

/// Errors that say that there was nothing to take.
const NOTHING_THERE: &[&str] = &["ENOENT", "ENOTDIR", "EEXIST"];
/// The file that says that a worktree's entry was finished.
const READY: &str = "ilchul-ready";

/// What came out.
#[derive(Debug, Default)]
pub struct Verdict {
    /// Every act that wasn't allowed, in words.
    pub wrong: Vec<String>,
    /// How often each program was started that isn't a worker's.
    pub programs: BTreeMap<String, usize>,
    /// How many calls of workers removed or overwrote something, which they may in their tree.
    pub by_workers: usize,
    /// How many were looked at that could have taken something away.
    pub looked_at: usize,
}

/// What a call does to one path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deed {
    /// It wasn't there before.
    Make,
    /// It may have been there, and stays as it is.
    Use,
    Remove,
    /// Something else gets this name: what had it before is gone.
    Replace,
    /// It is emptied, or opened so that it can be written over.
    Overwrite,
}

/// Judges all acts of a world in the order in which they were done. `found` is what lay there
/// at some moments, because not everybody who makes something is traced.
pub fn judge(places: &Places, mut acts: Vec<Act>, found: Vec<(u64, Vec<PathBuf>)>) -> Verdict {
    acts.sort_by_key(|act| act.at);
    let mut found = found.into_iter().peekable();
    let pids = acts.iter().map(|act| act.by.pid).collect();
    let mut guard = Guard { places, pids, known: HashMap::new(), verdict: Verdict::default() };
    for act in &acts {
        while let Some((_, paths)) = found.next_if(|(at, _)| *at <= act.at) {
            for path in paths {
                guard.known.entry(path).or_insert(None);
            }
        }
        guard.look(act);
    }
    guard.verdict
}

struct Guard<'p> {
    places: &'p Places,
    /// Everybody who is traced.
    pids: HashSet<u32>,
    /// What is there, and which process made it.
    known: HashMap<PathBuf, Option<(usize, usize)>>,
    verdict: Verdict,
}

impl Guard<'_> {
    fn look(&mut self, act: &Act) {
        let ours = act.by.kind != Kind::Worker;
        if ours && act.call.name == "execve" && act.call.succeeded() {
            let name = act.by.argv.first().and_then(|name| name.rsplit('/').next()).unwrap_or_default();
            *self.verdict.programs.entry(name.to_owned()).or_default() += 1;
        }
        if ours && let Some(pid) = signalled(&act.call).filter(|pid| !self.pids.contains(pid)) {
            self.wrong(act, Path::new("/proc").join(pid.to_string()).as_path(), "signals a stranger");
        }
        if act.call.error().is_some_and(|error| NOTHING_THERE.contains(&error)) {
            return;
        }
        let deeds = deeds(&act.call, &act.by.cwd);
        let aside = deeds.iter().any(|(_, path)| self.places.is_aside(path));
        for (deed, path) in &deeds {
            self.verdict.looked_at += usize::from(!matches!(deed, Deed::Make | Deed::Use));
            if let Some(why) = self.refuse(act, (*deed, path), aside) {
                self.wrong(act, path, why);
            }
        }
        // An attempt that failed is judged like one that didn't, but changes nothing.
        if act.call.error().is_none() {
            deeds.into_iter().for_each(|(deed, path)| self.remember(act, deed, path));
        }
    }

    /// Why this mustn't be done.
    fn refuse(&mut self, act: &Act, (deed, path): (Deed, &Path), aside: bool) -> Option<&'static str> {
        let place = self.places.find(path)?;
        if act.by.kind == Kind::Worker {
            self.verdict.by_workers += usize::from(deed == Deed::Remove || deed == Deed::Overwrite);
            return self.strays(act, deed, &place, path);
        }
        let known = self.known.get(path);
        let own = known == Some(&Some(act.id));
        match deed {
            Deed::Make | Deed::Use => None,
            Deed::Remove if own && self.places.is_temporary(path) => None,
            Deed::Remove if own && self.takes_back(act, &place, path) => None,
            Deed::Remove if aside && self.is_half_made(&place, path) => None,
            Deed::Remove => Some("takes away what it may not"),
            Deed::Overwrite if self.places.is_temporary(path) => None,
            Deed::Replace | Deed::Overwrite if own || known.is_none() => None,
            Deed::Replace => self.replaces(&place, path).then_some("puts something else in its place"),
            Deed::Overwrite => Some("writes over what isn't its own"),
        }
    }

    /// A worker that isn't in its own tree: then it was put into the wrong one.
    fn strays(&self, act: &Act, deed: Deed, place: &Place, path: &Path) -> Option<&'static str> {
        let elsewhere = match place {
            Place::Tree(root) => act.by.tree.as_ref() != Some(root),
            Place::Checkout | Place::Kept => true,
            Place::Reference | Place::Entry | Place::Git => false,
        };
        let takes = !matches!(deed, Deed::Make | Deed::Use) && self.known.contains_key(path);
        (elsewhere && takes).then_some("is a worker's act outside of its tree")
    }

    /// Whether a name that was taken may not be given to something else.
    fn replaces(&self, place: &Place, path: &Path) -> bool {
        match place {
            Place::Tree(_) | Place::Checkout | Place::Kept => true,
            // A later snapshot takes the name; that the earlier one keeps another is seen at the end.
            Place::Reference => !path.to_string_lossy().contains("/refs/ilchul/"),
            Place::Entry => self.is_ready(path),
            // Objects are named by what they hold, and settings are rewritten whole.
            Place::Git => false,
        }
    }

    fn is_half_made(&self, place: &Place, path: &Path) -> bool {
        match place {
            Place::Entry => !self.is_ready(path),
            Place::Reference => self.places.is_temporary(path),
            Place::Tree(_) | Place::Checkout | Place::Git | Place::Kept => false,
        }
    }

    /// Whether this is git's undoing of a worktree that it couldn't finish, and nobody ever had.
    fn takes_back(&self, act: &Act, place: &Place, path: &Path) -> bool {
        let adds = act.by.argv.windows(2).any(|words| words == ["worktree", "add"]);
        match place {
            Place::Entry => adds && !self.is_ready(path),
            Place::Tree(_) => adds,
            Place::Checkout | Place::Reference | Place::Git | Place::Kept => false,
        }
    }

    /// Whether the entry that a path lies in was finished.
    fn is_ready(&self, path: &Path) -> bool {
        path.ancestors().any(|folder| self.known.contains_key(&folder.join(READY)))
    }

    fn remember(&mut self, act: &Act, deed: Deed, path: PathBuf) {
        match deed {
            Deed::Use | Deed::Overwrite => {
                self.known.entry(path).or_insert(Some(act.id));
            }
            Deed::Make | Deed::Replace => {
                self.known.insert(path, Some(act.id));
            }
            Deed::Remove => {
                self.known.remove(&path);
            }
        }
    }

    fn wrong(&mut self, act: &Act, path: &Path, why: &str) {
        let (by, call) = (&act.by, &act.call);
        let told = format!(
            "{why}: `{}` by {} {:?} ({}): {}({}) = {}",
            path.display(),
            by.pid,
            by.kind,
            by.argv.join(" "),
            call.name,
            call.args.join(", "),
            call.result
        );
        self.verdict.wrong.push(told);
    }
}

/// Every path that a call touches, and how.
fn deeds(call: &Call, cwd: &Path) -> Vec<(Deed, PathBuf)> {
    let args: Vec<&str> = call.args.iter().map(String::as_str).collect();
    let at = |path: &str| string(path).map(|path| joined(cwd, &path));
    let from = |folder: &str, path: &str| {
        let folder = path_of(folder).map_or_else(|| cwd.to_owned(), PathBuf::from);
        string(path).map(|path| joined(&folder, &path))
    };
    let found = match (call.name.as_str(), args.as_slice()) {
        ("unlink" | "rmdir", [path, ..]) => vec![(Some(Deed::Remove), at(path))],
        ("unlinkat", [folder, path, ..]) => vec![(Some(Deed::Remove), from(folder, path))],
        ("rename", [old, new]) => vec![(Some(Deed::Remove), at(old)), (Some(Deed::Replace), at(new))],
        ("renameat", [a, old, b, new]) => {
            vec![(Some(Deed::Remove), from(a, old)), (Some(Deed::Replace), from(b, new))]
        }
        ("renameat2", [a, old, b, new, flags]) => {
            // Exchanged: each is gone from where it was.
            let both = if flags.contains("EXCHANGE") { Deed::Remove } else { Deed::Replace };
            vec![(Some(Deed::Remove), from(a, old)), (Some(both), from(b, new))]
        }
        ("creat", [path, ..]) => vec![(Some(Deed::Overwrite), at(path))],
        ("truncate", [path, ..]) => vec![(Some(Deed::Overwrite), at(path))],
        ("ftruncate", [file, ..]) => vec![(Some(Deed::Overwrite), path_of(file).map(PathBuf::from))],
        ("open", [path, flags, ..]) => vec![(opened(flags), at(path))],
        ("openat" | "openat2", [folder, path, flags, ..]) => vec![(opened(flags), from(folder, path))],
        ("mkdir", [path, ..]) | ("symlink" | "link", [_, path]) => vec![(Some(Deed::Make), at(path))],
        ("mkdirat", [folder, path, ..]) | ("symlinkat", [_, folder, path]) => {
            vec![(Some(Deed::Make), from(folder, path))]
        }
        ("linkat", [_, _, folder, path, ..]) => vec![(Some(Deed::Make), from(folder, path))],
        _ => Vec::new(),
    };
    found.into_iter().filter_map(|(deed, path)| Some((deed?, path?))).collect()
}

/// What opening with these flags does to what is there; nothing where it is only read.
fn opened(flags: &str) -> Option<Deed> {
    let has = |flag: &str| flags.contains(flag);
    let writes = has("O_WRONLY") || has("O_RDWR");
    // Emptied even where it is only read, and however else it is opened.
    match () {
        () if has("O_EXCL") => Some(Deed::Make),
        () if has("O_TRUNC") || (writes && !has("O_APPEND") && !has("O_PATH")) => Some(Deed::Overwrite),
        () => has("O_CREAT").then_some(Deed::Use),
    }
}

/// Who gets a signal by this call; nobody where it only asks whether they live.
fn signalled(call: &Call) -> Option<u32> {
    let target = match (call.name.as_str(), call.args.as_slice()) {
        ("kill" | "tkill", [pid, signal, ..]) if signal != "0" => pid.trim_start_matches('-'),
        ("tgkill", [pid, _, signal]) if signal != "0" => pid,
        ("pidfd_send_signal", [file, signal, ..]) if signal != "0" => {
            file.split_once("<pid:")?.1.trim_end_matches('>')
        }
        _ => return None,
    };
    // Nobody by that number, and one's own group, harm no stranger.
    if call.error() == Some("ESRCH") { None } else { target.parse().ok().filter(|pid| *pid > 0) }
}
