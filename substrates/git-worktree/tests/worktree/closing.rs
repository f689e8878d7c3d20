//! What looking before a close promises: what is held only here is never said to be held elsewhere.

use crate::common::{World, mark, reference};
use ilchul_git_worktree::{GitWorktree, Reach, weigh};
use ilchul_substrate::Handle;
use std::fs;
use std::path::PathBuf;

struct Worker {
    world: World,
    substrate: GitWorktree,
    handle: Handle,
    tree: PathBuf,
}

fn worker() -> Worker {
    let world = World::new();
    let (substrate, mark) = (world.open(), mark("fix", 1));
    let handle = world.made(&substrate, &mark);
    let tree = world.tree(&mark);
    Worker { world, substrate, handle, tree }
}

impl Worker {
    fn write(&self, path: &str, text: &str) {
        let path = self.tree.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn git(&self, args: &[&str]) -> String {
        self.world.git_at(&self.tree, args)
    }

    fn commit(&self, path: &str, text: &str) -> String {
        self.write(path, text);
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "-m", path]);
        self.git(&["rev-parse", "HEAD"])
    }

    fn reach(&self, tip: &str) -> Reach {
        let targets = self.substrate.targets(&["main"]).unwrap();
        self.substrate.reach(&targets, tip).unwrap()
    }
}

fn main() -> String {
    "main".to_owned()
}

#[test]
fn r4_a_commit_is_told_by_history_by_tree_and_by_patch() {
    let worker = worker();
    let start = worker.git(&["rev-parse", "HEAD"]);
    assert_eq!(worker.reach(&start), Reach::Contained(main()));
    worker.commit("a.txt", "a\n");
    let tip = worker.commit("b.txt", "b\n");
    assert_eq!(worker.reach(&tip), Reach::Apart);
    worker.world.git(&["merge", "-q", "--squash", &tip]);
    worker.world.git(&["commit", "-q", "-m", "same tree"]);
    assert_eq!(worker.reach(&tip), Reach::SameTree(main()));
    worker.world.write("c.txt", "c\n");
    worker.world.git(&["add", "."]);
    worker.world.git(&["commit", "-q", "-m", "later"]);
    assert_eq!(worker.reach(&tip), Reach::SameTree(main()), "it was there once");
    worker.world.git(&["reset", "-q", "--hard", &start]);
    worker.world.git(&["commit", "-q", "--allow-empty", "-m", "elsewhere"]);
    worker.world.write("c.txt", "c\n");
    worker.world.git(&["add", "."]);
    worker.world.git(&["commit", "-q", "-m", "before"]);
    worker.world.git(&["cherry-pick", &format!("{tip}~1")]);
    assert_eq!(worker.reach(&tip), Reach::Apart, "one of two");
    worker.world.git(&["cherry-pick", &tip]);
    assert_eq!(worker.reach(&tip), Reach::SamePatches(main()));
}

#[test]
fn r4_a_patch_that_differs_in_blanks_or_bytes_is_another() {
    for (ours, theirs) in [("x y\n", "x  y\n"), ("a\0b", "a\0c"), ("x\n", "x")] {
        let worker = worker();
        let tip = worker.commit("new", ours);
        for (path, text) in [("before", "z\n"), ("new", theirs)] {
            worker.world.write(path, text);
            worker.world.git(&["add", "."]);
            worker.world.git(&["commit", "-q", "-m", path]);
        }
        assert_eq!(worker.reach(&tip), Reach::Apart, "{ours:?} {theirs:?}");
    }
}

#[test]
fn r4_a_forged_graft_merges_nothing() {
    let worker = worker();
    let tip = worker.commit("a.txt", "a\n");
    let main_tip = worker.world.head();
    fs::create_dir_all(worker.world.repo.join(".git/info")).unwrap();
    fs::write(worker.world.repo.join(".git/info/grafts"), format!("{main_tip} {tip}\n")).unwrap();
    let targets = worker.substrate.targets(&["main"]).unwrap();
    let reach = worker.substrate.reach(&targets, &tip);
    assert!(matches!(reach, Ok(Reach::Apart) | Err(_)), "{reach:?}");
}

#[test]
fn r4_a_tree_is_weighed_by_what_git_knows_of_it() {
    let worker = worker();
    let clean = worker.substrate.holding(&worker.handle, None).unwrap();
    assert_eq!((clean.source.count, clean.ignored.count, clean.unknown.count), (3, 0, 0));
    assert_eq!((clean.since, clean.changed.len(), clean.untracked.len()), (None, 0, 0));
    worker.write("README", "changed\n");
    worker.write("new/file", "12345");
    worker.write("ignored/deep/one", "1");
    worker.write("ignored/two", "22");
    worker.write("only/x.log", "333");
    worker.write(".ilchul/drop", "ours");
    let found = worker.substrate.holding(&worker.handle, Some(&worker.world.head())).unwrap();
    assert_eq!((found.ignored.count, found.ignored.bytes), (3, 6));
    assert_eq!(found.ignored.names, ["ignored/", "only/x.log"]);
    assert_eq!((found.unknown.count, found.unknown.bytes), (1, 5));
    assert_eq!((found.changed, found.untracked), (vec!["README".to_owned()], vec!["new/file".to_owned()]));
    assert_eq!(found.since.unwrap(), ["README", "new/file"]);
    let snapshot =
        worker.substrate.snapshot(&worker.handle, &reference(&worker.handle.mark), "kept").unwrap();
    let kept = worker.substrate.holding(&worker.handle, Some(&snapshot.commit)).unwrap();
    assert_eq!(kept.since, Some(Vec::new()), "a snapshot holds all that isn't ignored");
    assert_eq!(worker.substrate.reference(&reference(&worker.handle.mark)).unwrap(), Some(snapshot.commit));
    assert_eq!(worker.substrate.reference("refs/ilchul/none").unwrap(), None);
}

#[test]
fn r4_a_change_that_an_index_hides_is_seen() {
    let worker = worker();
    worker.git(&["update-index", "--assume-unchanged", "README"]);
    worker.write("README", "hidden\n");
    let found = worker.substrate.holding(&worker.handle, Some(&worker.world.head())).unwrap();
    assert_eq!((found.changed, found.since.unwrap()), (vec!["README".to_owned()], vec!["README".to_owned()]));
}

#[test]
fn r4_a_plain_folder_is_weighed_without_following_links() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(weigh(&dir.path().join("none")).unwrap().count, 0);
    fs::create_dir_all(dir.path().join("a/b")).unwrap();
    fs::write(dir.path().join("a/b/c"), "123").unwrap();
    std::os::unix::fs::symlink("/", dir.path().join("all")).unwrap();
    let found = weigh(dir.path()).unwrap();
    assert_eq!((found.count, found.bytes, found.names), (2, 4, vec!["a/".to_owned(), "all".to_owned()]));
}

#[test]
fn r4_stash_entries_are_told_by_their_branch_or_their_commit() {
    let worker = worker();
    let branch = worker.git(&["branch", "--show-current"]);
    let stashes = |commits: &[&str]| worker.substrate.stashes(&branch, commits).unwrap();
    assert_eq!(stashes(&[]), [""; 0]);
    worker.world.write("README", "main's\n");
    worker.world.git(&["stash", "-q"]);
    let head = worker.world.head();
    assert_eq!(stashes(&[&head]), [""; 0], "another branch's, at the same commit");
    worker.write("README", "ours\n");
    worker.git(&["stash", "push", "-q", "-m", "later"]);
    assert_eq!(stashes(&[]), [format!("stash@{{0}}: On {branch}: later")]);
    worker.git(&["checkout", "-q", "--detach"]);
    worker.write("README", "nowhere\n");
    worker.git(&["stash", "-q"]);
    assert_eq!(stashes(&[&head]).len(), 2);
    assert_eq!(stashes(&[]).len(), 1);
}
