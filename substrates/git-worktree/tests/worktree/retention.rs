//! What is kept, and how it is seen again: locks, looks, other people's `prune`.

use crate::common::{RUN, World, files, mark, state};
use ilchul_substrate::{ErrorKind, Handle, State, Substrate, Urgency};
use std::fs;

fn lock_of(world: &World, handle: &Handle) -> String {
    fs::read_to_string(world.entry(&handle.mark).join("locked")).unwrap()
}

#[test]
fn r2_a_released_worktree_is_locked_as_retained_and_git_keeps_its_hands_off() {
    let world = World::new();
    let (substrate, mark) = (world.open(), mark("fix", 1));
    let handle = world.made(&substrate, &mark);
    let tree = world.tree(&mark);
    fs::write(tree.join("untracked"), "work").unwrap();
    let before = files(&tree);
    substrate.release(&handle, Urgency::Asked).unwrap();
    assert_eq!(lock_of(&world, &handle), format!("ilchul: retained {mark}\n"));
    let listed = world.git(&["worktree", "list", "--porcelain"]);
    assert!(listed.contains(&format!("locked ilchul: retained {mark}")), "{listed}");
    world.git(&["worktree", "prune", "--expire", "now"]);
    let removed = world.try_git(&world.repo, &["worktree", "remove", "--force", tree.to_str().unwrap()]);
    assert!(!removed.status.success(), "git refuses to remove what is locked");
    assert_eq!(files(&tree), before);
    assert!(matches!(state(&substrate, &handle), State::Live(_)));
}

#[test]
fn a_lock_that_was_taken_off_is_put_back_by_release() {
    let world = World::new();
    let (substrate, mark) = (world.open(), mark("fix", 1));
    let handle = world.made(&substrate, &mark);
    world.git(&["worktree", "unlock", world.tree(&mark).to_str().unwrap()]);
    substrate.release(&handle, Urgency::AtOnce).unwrap();
    assert_eq!(lock_of(&world, &handle), format!("ilchul: retained {mark}\n"));
}

#[test]
fn r3_a_tree_that_was_moved_away_is_absent_survives_prune_and_is_seen_again() {
    let world = World::new();
    let (substrate, mark) = (world.open(), mark("fix", 1));
    let handle = world.made(&substrate, &mark);
    let away = world.root.join("away");
    fs::rename(world.tree(&mark), &away).unwrap();
    assert_eq!(state(&substrate, &handle), State::Absent);
    substrate.release(&handle, Urgency::Asked).unwrap();
    let ensured = substrate.ensure(&mark, &world.spec(&mark)).unwrap_err();
    assert_eq!(ensured.kind(), ErrorKind::Conflict, "never made anew under the same name");
    world.git(&["worktree", "prune", "--expire", "now"]);
    fs::rename(&away, world.tree(&mark)).unwrap();
    assert!(matches!(state(&substrate, &handle), State::Live(_)));
    assert_eq!(substrate.ensure(&mark, &world.spec(&mark)).unwrap(), handle);
}

#[test]
fn l9_what_cannot_be_seen_is_unknown_and_never_absent() {
    let world = World::new();
    let (substrate, mark) = (world.open(), mark("fix", 1));
    let handle = world.made(&substrate, &mark);
    let unknown = |why: &str| {
        let State::Unknown(words) = state(&substrate, &handle) else { panic!("{why}: unknown") };
        assert!(words.contains(why), "`{why}` in `{words}`");
    };
    // Like an unmounted disk: the folder round it is gone as well.
    let trees = world.tree(&mark).parent().unwrap().to_path_buf();
    fs::rename(&trees, world.root.join("unmounted")).unwrap();
    unknown("not mounted");
    fs::rename(world.root.join("unmounted"), &trees).unwrap();
    // The tree holds work, whatever became of git's side.
    fs::rename(world.entry(&mark), world.root.join("entry")).unwrap();
    unknown("git's entry is gone");
    fs::rename(world.root.join("entry"), world.entry(&mark)).unwrap();
    fs::write(world.entry(&mark).join("gitdir"), "/elsewhere/.git\n").unwrap();
    unknown("doesn't belong");
}

#[test]
fn l15_a_handle_of_another_repository_is_refused() {
    let (world, other) = (World::new(), World::new());
    let handle = world.made(&world.open(), &mark("fix", 1));
    let substrate = other.open();
    other.made(&substrate, &mark("fix", 1));
    assert!(matches!(state(&substrate, &handle), State::Unknown(_)));
    assert_eq!(substrate.release(&handle, Urgency::Asked).unwrap_err().kind(), ErrorKind::Refused);
    assert_eq!(substrate.head(&handle).unwrap_err().kind(), ErrorKind::Refused);
    assert!(substrate.snapshot(&handle, "refs/ilchul/r1/x.1", "s").is_err());
}

#[test]
fn l19_another_folder_in_its_place_is_another_object() {
    let world = World::new();
    let (substrate, mark) = (world.open(), mark("fix", 1));
    let handle = world.made(&substrate, &mark);
    fs::rename(world.tree(&mark), world.root.join("away")).unwrap();
    fs::create_dir(world.tree(&mark)).unwrap();
    fs::write(world.tree(&mark).join("mine"), "mine").unwrap();
    assert_eq!(state(&substrate, &handle), State::Absent);
    assert_eq!(substrate.release(&handle, Urgency::Asked).unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(substrate.tree_id(&handle).unwrap_err().kind(), ErrorKind::Conflict);
    assert!(lock_of(&world, &handle).contains("in use by"), "not even its lock was touched");
}

#[test]
fn a_restored_copy_of_a_tree_is_still_that_tree() {
    let world = World::new();
    let (substrate, mark) = (world.open(), mark("fix", 1));
    let handle = world.made(&substrate, &mark);
    let (tree, copy) = (world.tree(&mark), world.root.join("copy"));
    let copied = std::process::Command::new("cp").arg("-a").args([&tree, &copy]).status().unwrap();
    assert!(copied.success());
    fs::rename(&tree, world.root.join("lost")).unwrap();
    fs::rename(&copy, &tree).unwrap();
    assert!(matches!(state(&substrate, &handle), State::Live(_)), "its `.git` file says so");
}

#[test]
fn s2_a_swapped_git_file_is_told_and_not_followed() {
    let world = World::new();
    let (substrate, mark) = (world.open(), mark("fix", 1));
    let handle = world.made(&substrate, &mark);
    let evil = World::new();
    evil.write("README", "evil\n");
    evil.git(&["commit", "-qam", "evil"]);
    let fired = world.canary(&world.root.join("bin/monitor"));
    evil.git(&["config", "core.fsmonitor", world.root.join("bin/monitor").to_str().unwrap()]);
    let gitfile = world.tree(&mark).join(".git");
    fs::write(&gitfile, format!("gitdir: {}\n", evil.repo.join(".git").display())).unwrap();
    let head = substrate.head(&handle).unwrap();
    assert_eq!((head.commit.as_str(), head.gitfile_intact), (world.head().as_str(), false));
    let State::Live(facts) = state(&substrate, &handle) else { panic!("live: the folder is the same") };
    assert!(facts.notes.contains(&("gitfile", "changed".to_owned())));
    let snapshot = substrate.snapshot(&handle, &crate::common::reference(&mark), "s").unwrap();
    assert_eq!(snapshot.parent, world.head());
    assert_eq!(snapshot.commit, snapshot.parent);
    substrate.tree_id(&handle).unwrap();
    substrate.release(&handle, Urgency::Asked).unwrap();
    assert!(!fired.exists());
    world.try_git(&world.tree(&mark), &["status"]);
    assert!(fired.exists(), "the trap is real: git, asked plainly, walks into it");
    // A link in its place is no better, whatever it leads to.
    let right = fs::read(world.entry(&mark).join("gitdir")).unwrap();
    assert!(!right.is_empty());
    fs::remove_file(&gitfile).unwrap();
    std::os::unix::fs::symlink("/dev/zero", &gitfile).unwrap();
    assert!(!substrate.head(&handle).unwrap().gitfile_intact);
}

#[test]
fn a_half_made_one_can_be_retained_too() {
    let world = World::new();
    let (substrate, mark) = (world.open(), mark("fix", 1));
    let entry = world.entry(&mark);
    fs::create_dir_all(&entry).unwrap();
    fs::write(entry.join("gitdir"), format!("{}/.git\n", world.tree(&mark).display())).unwrap();
    let handle = substrate.discover(RUN).unwrap().remove(0).1;
    substrate.release(&handle, Urgency::Asked).unwrap();
    assert_eq!(lock_of(&world, &handle), format!("ilchul: retained {mark}\n"));
}

#[test]
fn a_finished_worktree_whose_entry_was_damaged_is_left_where_it_is() {
    let world = World::new();
    let short = ilchul_git_worktree::Limits {
        foreign: std::time::Duration::from_millis(30),
        ..ilchul_git_worktree::Limits::default()
    };
    let (substrate, damaged) = (world.open().with_limits(short), mark("fix", 1));
    let handle = world.made(&substrate, &damaged);
    let path = world.entry(&damaged).join("HEAD");
    fs::rename(&path, world.root.join("HEAD")).unwrap();
    assert!(matches!(state(&substrate, &handle), State::Unknown(_)));
    let error = substrate.ensure(&damaged, &world.spec(&damaged)).unwrap_err();
    assert!(error.to_string().contains("no `HEAD`"), "failed to {error}");
    world.made(&substrate, &mark("fix", 2));
    assert!(world.entry(&damaged).join("index").exists(), "not moved aside: its index may hold work");
    assert_eq!(substrate.remnants().unwrap()[0].lacks, ["no `HEAD`"]);
    fs::rename(world.root.join("HEAD"), &path).unwrap();
    // This one blocks git, so the next is refused by name; still it isn't touched.
    fs::write(world.entry(&damaged).join("commondir"), "").unwrap();
    let third = mark("fix", 3);
    let error = substrate.ensure(&third, &world.spec(&third)).unwrap_err();
    assert!(error.to_string().contains(&damaged.to_string()), "failed to {error}");
    fs::write(world.entry(&damaged).join("commondir"), "../..\n").unwrap();
    assert!(matches!(state(&substrate, &handle), State::Live(_)));
}

#[test]
fn discover_fails_rather_than_calling_an_unreadable_repository_empty() {
    let world = World::new();
    let substrate = world.open();
    assert!(substrate.discover(RUN).unwrap().is_empty());
    fs::rename(world.repo.join(".git"), world.root.join("gone")).unwrap();
    assert!(substrate.discover(RUN).is_err());
    assert!(substrate.remnants().is_err());
}
