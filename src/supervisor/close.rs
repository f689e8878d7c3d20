//! Looking at a worker before it is closed: processes, files, git, kept evidence.
//!
//! Every look that fails is an answer of its own (law L9), and each is bounded by what it
//! looks at. The verdict is the engine's (`engine/close.rs`). Nothing here changes anything.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use ilchul_git_worktree::{Filled, GitWorktree, Holding, Reach, Target, Weight, weigh};
use ilchul_subprocess::process::Identity;
use ilchul_substrate::{Handle, State, Substrate};

use super::clock::boot_id;
use super::launch::words;
use super::living::Living;
use super::restore;
use super::world::handle;
use crate::engine::close::{Files, Held, Kept, Known, Looked, Sizes, Tree};
use crate::engine::event::{Place, Snapshot};
use crate::engine::view::WorkerView;
use crate::home::Home;
use crate::journal::blobs;

/// What a session's boot is called whose processes another host has.
const ELSEWHERE: &str = "elsewhere";

/// What is looked at once for all workers of a run.
#[derive(Debug)]
pub struct Close<'a> {
    home: &'a Home,
    run: &'a str,
    repository: &'a GitWorktree,
    living: Known<Living>,
    targets: Known<Vec<Target>>,
}

impl<'a> Close<'a> {
    /// Looks at all processes and at where work may have gone: to what `base` names now, to the
    /// branch of the checkout, to the remotes' branches.
    #[must_use]
    pub fn new(home: &'a Home, run: &'a str, repository: &'a GitWorktree, base: &str) -> Self {
        let names: &[&str] = if base == "HEAD" { &["HEAD"] } else { &[base, "HEAD"] };
        Self {
            home,
            run,
            repository,
            living: Living::look(run).map_err(|error| error.to_string()),
            targets: repository.targets(names).map_err(|error| words(&error)),
        }
    }

    /// Looks at one worker. `archived` are the hashes of what its evidence kept.
    #[must_use]
    pub fn look(&self, worker: &WorkerView, archived: &[String]) -> Looked {
        let tree = self.folder(worker);
        let session = worker.session.as_ref().and_then(root);
        let processes = match &self.living {
            // What runs elsewhere isn't among the processes here (laws L9, R4).
            Ok(_) if !worker.end_seen && ran_elsewhere(worker.pid, worker.session.as_ref()) => {
                Err("it ran on another host, and nobody saw its end there".to_owned())
            }
            Ok(living) => living.of(&worker.id, Some(&tree), session),
            Err(why) => Err(why.clone()),
        };
        Looked {
            at_work: worker.phase.is_live().then(|| worker.phase.word().to_owned()),
            processes,
            unarchived: self.unarchived(archived),
            tree: self.files(worker, &tree),
        }
    }

    fn folder(&self, worker: &WorkerView) -> PathBuf {
        let path = worker.workspace.as_ref().and_then(|place| place.fields.get("path"));
        path.map_or_else(|| self.home.scratch(self.run, &worker.id), PathBuf::from)
    }

    fn unarchived(&self, archived: &[String]) -> Known<Vec<String>> {
        let mut lacking = Vec::new();
        for sha256 in archived {
            match std::fs::symlink_metadata(blobs::path(self.home, sha256)) {
                Ok(found) if found.is_file() => {}
                Ok(_) => lacking.push(sha256.clone()),
                Err(error) if error.kind() == ErrorKind::NotFound => lacking.push(sha256.clone()),
                Err(error) => return Err(error.to_string()),
            }
        }
        Ok(lacking)
    }

    fn files(&self, worker: &WorkerView, folder: &Path) -> Tree {
        let Some(place) = &worker.workspace else {
            // A launch that failed halfway may have made a worktree that nobody recorded.
            let half_made = self.home.tree(self.run, &worker.id);
            if self.is_unfilled(&worker.id) {
                return Tree::Unfilled;
            }
            return match (std::fs::symlink_metadata(&half_made), std::fs::symlink_metadata(folder)) {
                (Ok(_), _) => Tree::Hidden(format!("`{}` was half made", half_made.display())),
                (Err(_), Ok(_)) => Tree::Folder(weigh(folder).map(files_of).map_err(|error| words(&error))),
                (Err(_), Err(_)) => Tree::Never,
            };
        };
        let tree = match self.handle(&worker.id, place) {
            Ok(tree) => tree,
            Err(why) => return Tree::Hidden(why),
        };
        let observed = self.repository.observe(std::slice::from_ref(&tree));
        match observed.into_iter().next().map(|observation| observation.state) {
            Some(State::Live(_)) => self.there(worker, &tree),
            Some(State::Absent) => self.gone(worker, &tree),
            Some(State::Unknown(why)) => Tree::Hidden(why),
            Some(State::Queued(_) | State::Stuck(_) | State::Ended(_)) | None => {
                Tree::Hidden("it wasn't looked at".to_owned())
            }
        }
    }

    fn there(&self, worker: &WorkerView, tree: &Handle) -> Tree {
        let filled = self.repository.filled(tree);
        match filled.as_ref().map(|filled| (filled, filled.lack())) {
            Ok((Filled::Never, _)) => Tree::Unfilled,
            Ok((Filled::Partly, lack)) => Tree::Hidden(lack.unwrap_or_default().to_owned()),
            Ok((Filled::Whole, _)) => Tree::There(Box::new(self.held(worker, tree))),
            Err(error) => Tree::Hidden(words(error)),
        }
    }

    /// Whether a launch that failed left a worktree without files, which nobody recorded.
    fn is_unfilled(&self, worker: &str) -> bool {
        let Ok(mark) = format!("ilchul.{}.{worker}", self.run).parse() else { return false };
        let made = self.repository.made(&mark).ok().flatten();
        made.is_some_and(|tree| matches!(self.repository.filled(&tree), Ok(Filled::Never)))
    }

    fn handle(&self, worker: &str, place: &Place) -> Known<Handle> {
        let mark = format!("ilchul.{}.{worker}", self.run).parse();
        Ok(handle(mark.map_err(|error: ilchul_substrate::InvalidMark| error.to_string())?, place))
    }

    fn gone(&self, worker: &WorkerView, tree: &Handle) -> Tree {
        let reference = reference(self.run, &worker.id);
        let kept = self.repository.reference(&reference).map_err(|error| words(&error));
        let there = matches!(kept, Ok(Some(_)));
        let snapshot = worker.snapshot.as_ref();
        let back = || restore::commands(self.repository, tree, (&reference, snapshot));
        let restore = if there { back() } else { Vec::new() };
        Tree::Gone { kept: kept.map(|kept| kept.map(|_| reference)), restore }
    }

    fn held(&self, worker: &WorkerView, tree: &Handle) -> Held {
        let reference = reference(self.run, &worker.id);
        let named = self.repository.reference(&reference).map_err(|error| words(&error));
        let since = named.as_ref().ok().and_then(Option::as_deref);
        let holding = self.repository.holding(tree, since).map_err(|error| words(&error));
        let kept = named.and_then(|named| self.kept(worker, &reference, named, &holding));
        let head = self.repository.head(tree).map_err(|error| words(&error));
        let gitfile_intact = head.as_ref().map(|head| head.gitfile_intact).map_err(Clone::clone);
        let tips: Known<Vec<String>> = head.map(|head| {
            let mut tips = vec![head.commit];
            tips.extend(head.branch_tip.filter(|tip| *tip != tips[0]));
            tips
        });
        let part = |part: fn(&Holding) -> Vec<String>| holding.as_ref().map(part).map_err(Clone::clone);
        Held {
            gitfile_intact,
            uncommitted: part(|holding| [holding.changed.clone(), holding.untracked.clone()].concat()),
            kept: tips.as_ref().map_err(Clone::clone).and_then(|tips| self.not_parted(tips)).and(kept),
            reach: tips.as_ref().map_err(Clone::clone).and_then(|tips| self.reach(tips)),
            ignored: holding.as_ref().map(|holding| files_of(holding.ignored.clone())).map_err(Clone::clone),
            stashes: tips.and_then(|tips| self.stashes(tree, &tips)),
            nested: part(|holding| [holding.submodules.clone(), holding.left_out.clone()].concat()),
            sizes: holding.as_ref().map(sizes).unwrap_or_default(),
            reference,
        }
    }

    /// How `reference`, which names the commit `named`, keeps what was just found in the tree.
    fn kept(
        &self,
        worker: &WorkerView,
        reference: &str,
        named: Option<String>,
        holding: &Known<Holding>,
    ) -> Known<Kept> {
        let Some(named) = named else { return Ok(Kept::Missing) };
        if let Some(snapshot) = worker.snapshot.as_ref().filter(|snapshot| snapshot.commit != named) {
            // A later snapshot gave the one of the journal a name of its own.
            let earlier = format!("{reference}-{}", snapshot.commit.get(..12).unwrap_or_default());
            let there = self.repository.reference(&earlier).map_err(|error| words(&error))?;
            if there.as_deref() != Some(&snapshot.commit) {
                return Ok(Kept::Moved { journaled: snapshot.commit.clone() });
            }
        }
        let since = holding.as_ref().map_err(Clone::clone)?.since.clone().unwrap_or_default();
        Ok(if since.is_empty() { Kept::Whole } else { Kept::Changed(since) })
    }

    /// A snapshot holds what `HEAD` comes from; a branch that went elsewhere isn't part of it.
    fn not_parted(&self, tips: &[String]) -> Known<()> {
        let [head, branch] = tips else { return Ok(()) };
        match self.repository.descends(head, branch) {
            Ok(true) => Ok(()),
            Ok(false) => Err("its `HEAD` has left its branch".to_owned()),
            Err(error) => Err(words(&error)),
        }
    }

    fn reach(&self, tips: &[String]) -> Known<Option<String>> {
        let targets = self.targets.as_ref().map_err(Clone::clone)?;
        let mut how = None;
        for tip in tips {
            match self.repository.reach(targets, tip).map_err(|error| words(&error))? {
                Reach::Contained(by) => how = Some(format!("`{by}` contains its branch")),
                Reach::SameTree(by) => how = Some(format!("`{by}` has had the same content")),
                Reach::SamePatches(by) => how = Some(format!("`{by}` has the same changes")),
                Reach::Apart => return Ok(None),
            }
        }
        Ok(how)
    }

    fn stashes(&self, tree: &Handle, tips: &[String]) -> Known<Vec<String>> {
        let branch = tree.field("branch").map_err(|error| words(&error))?;
        let tips: Vec<&str> = tips.iter().map(String::as_str).collect();
        self.repository.stashes(branch, &tips).map_err(|error| words(&error))
    }
}

/// Keeps what a worker's tree holds now, as after an attempt; what was kept before keeps a name.
///
/// # Errors
/// Why it couldn't be.
pub fn keep(repository: &GitWorktree, run: &str, worker: &WorkerView) -> Known<()> {
    let Some(place) = &worker.workspace else { return Ok(()) };
    let mark = format!("ilchul.{run}.{}", worker.id).parse();
    let tree = handle(mark.map_err(|error: ilchul_substrate::InvalidMark| error.to_string())?, place);
    let message = format!("ilchul: what {} held when it was released", worker.id);
    let kept = repository.snapshot(&tree, &reference(run, &worker.id), &message);
    kept.map(|_| ()).map_err(|error| words(&error))
}

/// The reference that keeps what a worker's tree held.
pub(super) fn reference(run: &str, worker: &str) -> String {
    format!("refs/ilchul/{run}/{worker}")
}

/// Whether its process was once ready on a host whose processes mean nothing here.
fn ran_elsewhere(pid: Option<u32>, session: Option<&Place>) -> bool {
    let boot = session.and_then(|place| place.fields.get("boot_id"));
    pid.is_some() && boot.is_some_and(|boot| boot == ELSEWHERE)
}

/// The session's first process, where it is of this boot.
pub(super) fn root(session: &Place) -> Option<Identity> {
    let number = |name: &str| session.fields.get(name).and_then(|value| value.parse::<u64>().ok());
    let pid = number("pid").or_else(|| session.id.parse().ok()).and_then(|pid| u32::try_from(pid).ok())?;
    let another_boot = session.fields.get("boot_id").is_some_and(|boot| *boot != boot_id());
    (!another_boot).then_some(Identity { pid, start_ticks: number("start_ticks")? })
}

fn files_of(weight: Weight) -> Files {
    Files { count: weight.count, bytes: weight.bytes, more: weight.more, names: weight.names }
}

fn sizes(holding: &Holding) -> Sizes {
    let bytes = |weight: &Weight| (!weight.more).then_some(weight.bytes);
    Sizes {
        source: bytes(&holding.source),
        regenerable: bytes(&holding.ignored),
        unknown: bytes(&holding.unknown),
    }
}

/// What to type to have back the worktree of a run's worker, where that is seen to be gone;
/// empty where nothing keeps it.
#[must_use]
pub fn vanished(
    repository: &GitWorktree,
    run: &str,
    (worker, place, snapshot): (&str, Option<&Place>, Option<&Snapshot>),
) -> Option<Vec<String>> {
    let place = place?;
    let path = place.fields.get("path")?;
    // One cheap look for the many that are there.
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Ok(_) | Err(_) => return None,
    }
    let tree = handle(format!("ilchul.{run}.{worker}").parse().ok()?, place);
    let observed = repository.observe(std::slice::from_ref(&tree));
    if !matches!(observed.first().map(|observation| &observation.state), Some(State::Absent)) {
        return None;
    }
    let reference = reference(run, worker);
    let there = matches!(repository.reference(&reference), Ok(Some(_)));
    Some(if there { restore::commands(repository, &tree, (&reference, snapshot)) } else { Vec::new() })
}

/// A path as a shell reads it back.
#[must_use]
pub fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+,@:=%".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_quoted_so_that_a_shell_reads_it_back() {
        assert_eq!(quoted("/home/a-b/c.d"), "/home/a-b/c.d");
        assert_eq!(quoted("/a b/$x"), "'/a b/$x'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
    }

    #[test]
    fn l9_a_worker_of_another_host_is_known_by_its_sessions_boot_once_it_was_ready() {
        let session = |boot: &str| Place {
            kind: "slurm".to_owned(),
            id: "7".to_owned(),
            fields: std::iter::once(("boot_id".to_owned(), boot.to_owned())).collect(),
        };
        assert!(ran_elsewhere(Some(7), Some(&session("elsewhere"))));
        assert!(!ran_elsewhere(None, Some(&session("elsewhere"))), "it never was there");
        assert!(!ran_elsewhere(Some(7), Some(&session(&boot_id()))));
        assert!(!ran_elsewhere(Some(7), None));
    }
}
