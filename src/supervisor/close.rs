//! Looking at a worker before it is closed: processes, files, git, kept evidence.
//!
//! Every look that fails is an answer of its own (law L9), and each is bounded by what it
//! looks at. The verdict is the engine's (`engine/close.rs`). Nothing here changes anything.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use ilchul_git_worktree::{Filled, GitWorktree, Holding, Reach, Target, Weight, weigh};
use ilchul_slurm::LastWord;
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
            Ok(living) => match self.may_run_elsewhere(worker) {
                Some(why) => Err(why),
                None => living.of(&worker.id, Some(&tree), session),
            },
            Err(why) => Err(why.clone()),
        };
        Looked {
            at_work: worker.phase.is_live().then(|| worker.phase.word().to_owned()),
            processes,
            unarchived: self.unarchived(archived),
            tree: self.files(worker, &tree),
        }
    }

    /// Why nobody can know that nothing of it runs on another host, if that is so. Whether it was
    /// ever ready says nothing: what a cut keeps from being heard goes on all the same. Only its
    /// own word proves its end, or that it was called off before it began; and not even that where
    /// the word of who saw the end names processes that outlived it.
    fn may_run_elsewhere(&self, worker: &WorkerView) -> Option<String> {
        if worker.end_seen {
            return None;
        }
        let session = worker.session.as_ref();
        let field = |name: &str| session.and_then(|place| place.fields.get(name)).map(String::as_str);
        let folder = self.home.run(self.run).join("slurm").join(format!("ilchul.{}.{}", self.run, worker.id));
        // Here they would be found by their mark; there nobody can look.
        if worker.survived && (field("boot_id") == Some(ELSEWHERE) || folder.exists()) {
            let node = ilchul_slurm::node(&folder).unwrap_or_else(|| "its node".to_owned());
            return Some(format!("processes outlived its end on {node}"));
        }
        match ilchul_slurm::last_word(&folder, field("nonce")) {
            Ok(LastWord::Given | LastWord::NeverBegan) => None,
            Ok(LastWord::Nowhere) => (field("boot_id") == Some(ELSEWHERE))
                .then(|| "it had a job, and nothing tells of its end any more".to_owned()),
            Ok(LastWord::Missing(Some((job, node)))) => {
                Some(format!("nobody saw its end, so its job {job} may still run on {node}"))
            }
            Ok(LastWord::Missing(None)) => Some("its job may still begin: nobody took it back".to_owned()),
            Err(error) => Some(words(&error)),
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
    use crate::engine::close::{CloseVerdict, judge};
    use crate::engine::event::Drift;
    use crate::engine::moment::{Moment, Stamp};
    use crate::engine::worker_table::WorkerPhase;

    #[test]
    fn a_path_is_quoted_so_that_a_shell_reads_it_back() {
        assert_eq!(quoted("/home/a-b/c.d"), "/home/a-b/c.d");
        assert_eq!(quoted("/a b/$x"), "'/a b/$x'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
    }

    /// The look at one that may have had a job, whose folder the test makes.
    fn of_a_job(make: impl FnOnce(&Path), worker: impl FnOnce(&mut WorkerView)) -> (CloseVerdict, String) {
        let dir = tempfile::tempdir().unwrap();
        let git = |args: &[&str]| {
            let done = std::process::Command::new("git").args(args).current_dir(dir.path()).output();
            assert!(done.unwrap().status.success(), "{args:?}");
        };
        git(&["init", "-q"]);
        git(&["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "--allow-empty", "-m", "x"]);
        let (home, repository) =
            (Home::at(dir.path().join("home")), GitWorktree::open(dir.path(), dir.path().join("s")).unwrap());
        let folder = home.run("r").join("slurm/ilchul.r.fix.1");
        std::fs::create_dir_all(&folder).unwrap();
        make(&folder);
        let boot = ("boot_id".to_owned(), ELSEWHERE.to_owned());
        let fields = [boot, ("nonce".to_owned(), NONCE.to_owned())].into_iter().collect();
        let mut view = WorkerView {
            id: "fix.1".to_owned(),
            task: "fix".to_owned(),
            attempt: 1,
            phase: WorkerPhase::StaleRegistry,
            reason: String::new(),
            since: Stamp { moment: Moment(0), wall_ms: 0 },
            session: Some(Place { kind: "slurm".to_owned(), id: "7".to_owned(), fields }),
            workspace: None,
            pid: None,
            lost: false,
            observations: Vec::new(),
            drift: Drift::default(),
            snapshot: None,
            report: None,
            end_seen: false,
            survived: false,
        };
        worker(&mut view);
        let close = judge(&Close::new(&home, "r", &repository, "HEAD").look(&view, &[]));
        (close.verdict, close.reasons.first().cloned().unwrap_or_default())
    }

    const NONCE: &str = "0123456789abcdef0123456789abcdef";

    fn begun(folder: &Path) {
        std::fs::write(folder.join("intent"), format!("{NONCE}\n")).unwrap();
        std::fs::write(folder.join("claim"), "job=7\nnode=n2\nsocket=/tmp/s\n").unwrap();
    }

    fn ended(folder: &Path, words: &str) {
        begun(folder);
        std::fs::write(folder.join("exit"), format!("{NONCE} {words}\n")).unwrap();
    }

    #[test]
    fn r4_a_worker_on_a_node_that_is_cut_off_is_never_safe_to_close_whether_or_not_it_was_ready() {
        let lives = "its processes can't be looked at: nobody saw its end, so its job 7 may still run on n2";
        for pid in [None, Some(7)] {
            let seen = of_a_job(begun, |worker| worker.pid = pid);
            assert_eq!(seen, (CloseVerdict::Unknown, lives.to_owned()));
        }
        // What Slurm says of a node that it can't reach is written down by us, and no word of its own.
        let called_over = |folder: &Path| ended(folder, "- it was ended by ilchul, and left no word");
        assert_eq!(of_a_job(called_over, |_| {}), (CloseVerdict::Unknown, lives.to_owned()));
        // A launch that was cut short, whose submit may have been taken.
        let submitted = |folder: &Path| std::fs::write(folder.join("intent"), NONCE).unwrap();
        let (verdict, why) = of_a_job(submitted, |worker| worker.session = None);
        assert_eq!(verdict, CloseVerdict::Unknown);
        assert!(why.ends_with("its job may still begin: nobody took it back"), "{why}");
        let (verdict, why) = of_a_job(|_| {}, |_| {});
        assert_eq!(verdict, CloseVerdict::Unknown);
        assert!(why.ends_with("it had a job, and nothing tells of its end any more"), "{why}");
    }

    #[test]
    fn r4_what_outlived_its_end_on_another_host_is_never_safe_to_close_whatever_its_job_wrote() {
        let survivor = |make: fn(&Path), worker: fn(&mut WorkerView)| {
            of_a_job(make, |view| {
                view.survived = true;
                worker(view);
            })
        };
        let on = |node| {
            let why = format!("its processes can't be looked at: processes outlived its end on {node}");
            (CloseVerdict::Unknown, why)
        };
        // The job's script came to its end; a process in an unreachable mount's write didn't.
        assert_eq!(survivor(|folder| ended(folder, "0"), |_| {}), on("n2"));
        assert_eq!(survivor(|folder| ended(folder, "0"), |worker| worker.session = None), on("n2"));
        // Neither does a folder that is gone prove anything.
        assert_eq!(survivor(|folder| std::fs::remove_dir(folder).unwrap(), |_| {}), on("its node"));
        // On this machine they are looked for, and none of them lives any more.
        let here: fn(&mut WorkerView) = |worker| worker.session = None;
        let (verdict, why) = survivor(|folder| std::fs::remove_dir(folder).unwrap(), here);
        assert_eq!(verdict, CloseVerdict::Safe, "{why}");
    }

    #[test]
    fn r4_its_own_word_an_end_that_was_seen_and_a_job_that_never_began_are_proof() {
        let safe = |make: fn(&Path), worker: fn(&mut WorkerView)| {
            let (verdict, why) = of_a_job(make, worker);
            assert_eq!(verdict, CloseVerdict::Safe, "{why}");
        };
        safe(|folder| ended(folder, "73 a line failed"), |_| {});
        safe(begun, |worker| worker.end_seen = true);
        safe(
            |folder| {
                begun(folder);
                std::fs::write(folder.join("claim"), "node=\ncalled_off=1\n").unwrap();
            },
            |_| {},
        );
        // A session of this machine has no such folder.
        safe(|_| {}, |worker| worker.session = None);
    }
}
