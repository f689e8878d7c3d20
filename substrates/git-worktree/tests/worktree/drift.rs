//! What changed round the workers: each place where a worker has no business, in a real repository.
//!
//! It leaves out who is told, and when it is looked.

use super::common::{RUN, World, mark};
use ilchul_git_worktree::{Change, FILES_MAX, GitWorktree, Sibling};
use ilchul_substrate::Handle;
use std::fs;

/// What changes between two looks while `act` happens: kinds and names.
fn during(world: &World, siblings: &[Sibling], act: impl FnOnce()) -> Vec<(&'static str, Vec<String>)> {
    let git = world.open();
    let before = git.fingerprint(None, RUN, siblings);
    assert_eq!(before.unseen(), None);
    assert_eq!(git.fingerprint(Some(&before), RUN, siblings).changes(&before), [], "nothing happened");
    act();
    named(&git.fingerprint(Some(&before), RUN, siblings).changes(&before))
}

fn named(changes: &[Change]) -> Vec<(&'static str, Vec<String>)> {
    changes.iter().map(|change| (change.kind, change.names.clone())).collect()
}

#[track_caller]
fn check(world: &World, act: impl FnOnce(), expected: &[(&'static str, &[&str])]) {
    let found = during(world, &[], act);
    let expected: Vec<(&str, Vec<String>)> = expected
        .iter()
        .map(|(kind, names)| (*kind, names.iter().map(|name| (*name).to_owned()).collect()))
        .collect();
    assert_eq!(found, expected);
}

/// The worktree of a worker whose attempt is over, as its record has it.
fn settled(world: &World, git: &GitWorktree, task: &str) -> (Handle, Sibling) {
    let tree = world.made(git, &mark(task, 1));
    let tip = world.head();
    (tree.clone(), Sibling { tree, tip: Some(tip) })
}

#[test]
fn r5_tracked_files_that_were_written_removed_or_staged_are_named() {
    let world = World::new();
    check(&world, || world.write("src/lib.rs", "fn c() {}\n"), &[("files", &["src/lib.rs"])]);
    check(&world, || fs::remove_file(world.repo.join("README")).unwrap(), &[("files", &["README"])]);
    check(&world, || drop(world.git(&["add", "src/lib.rs"])), &[("files", &["src/lib.rs"])]);
}

#[test]
fn r5_a_rewrite_of_the_same_size_with_its_old_time_is_seen() {
    let world = World::new();
    let path = world.repo.join("README");
    let time = fs::metadata(&path).unwrap().modified().unwrap();
    let forge = || {
        world.write("README", "HELLO\n");
        fs::File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
    };
    check(&world, forge, &[("files", &["README"])]);
}

#[test]
fn r5_new_files_beside_tracked_ones_are_named_and_ignored_ones_are_not() {
    let world = World::new();
    let act = || {
        world.write("src/new.rs", "x");
        world.write("notes", "x");
        world.write("build.log", "x");
        world.write("ignored/x.o", "x");
    };
    check(&world, act, &[("files", &["notes", "src/new.rs"])]);
    check(&world, || fs::remove_file(world.repo.join("notes")).unwrap(), &[("files", &["notes"])]);
}

#[test]
fn r5_a_status_of_the_users_own_that_refreshes_the_index_is_no_drift() {
    let world = World::new();
    world.write("README", "hello\n");
    check(&world, || drop(world.git(&["status"])), &[]);
}

#[test]
fn r5_a_moved_branch_a_new_one_and_head_are_named_in_full() {
    let world = World::new();
    let old = world.head();
    let tree = world.git(&["rev-parse", "HEAD^{tree}"]);
    let new = world.git(&["commit-tree", "-p", "HEAD", "-m", "x", &tree]);
    let moved = format!("refs/heads/main ({} to {})", &old[..12], &new[..12]);
    check(&world, || drop(world.git(&["update-ref", "refs/heads/main", &new])), &[("refs", &[&moved])]);
    let made = format!("refs/heads/side/x (new, {})", &new[..12]);
    check(&world, || drop(world.git(&["branch", "side/x"])), &[("refs", &[&made])]);
    let gone = format!("refs/heads/side/x ({}, gone)", &new[..12]);
    world.git(&["pack-refs", "--all"]);
    check(&world, || drop(world.git(&["branch", "-D", "side/x"])), &[("refs", &[&gone])]);
    let head = "HEAD (ref: refs/heads/main to ref: refs/heads/other)";
    check(&world, || drop(world.git(&["symbolic-ref", "HEAD", "refs/heads/other"])), &[("refs", &[head])]);
}

#[test]
fn r5_packing_references_moves_none() {
    let world = World::new();
    world.git(&["branch", "side"]);
    check(&world, || drop(world.git(&["pack-refs", "--all"])), &[]);
}

#[test]
fn r5_shared_settings_hooks_grafts_and_alternates_are_named() {
    let world = World::new();
    check(&world, || drop(world.git(&["config", "core.fsmonitor", "/x"])), &[("settings", &["config"])]);
    let act = || {
        fs::create_dir_all(world.repo.join(".git/hooks")).unwrap();
        fs::write(world.repo.join(".git/hooks/pre-commit"), "#!/bin/sh\n").unwrap();
        fs::write(world.repo.join(".git/info/grafts"), "").unwrap();
        fs::write(world.repo.join(".git/objects/info/alternates"), "/x\n").unwrap();
    };
    let names: &[&str] = &["hooks/pre-commit", "info/grafts", "objects/info/alternates"];
    check(&world, act, &[("settings", names)]);
    let replace = || drop(world.git(&["update-ref", &format!("refs/replace/{}", world.head()), "HEAD"]));
    let found = during(&world, &[], replace);
    assert!(found[0].0 == "refs" && found[0].1[0].starts_with("refs/replace/"), "{found:?}");
}

#[test]
fn r5_another_workers_branch_lock_git_file_and_tree_are_compared_with_its_record() {
    let world = World::new();
    let git = world.open();
    let (tree, sibling) = settled(&world, &git, "b");
    let (path, branch) = (tree.fields["path"].clone(), tree.fields["branch"].clone());
    let siblings = [sibling];
    let say = |act: &dyn Fn()| during(&world, &siblings, act);
    let old = world.head();
    let one = |words: &str| vec![("worktrees", vec![format!("b.1: {words}")])];
    let commit = || {
        world.git(&["-C", &path, "commit", "-q", "--allow-empty", "-m", "x"]);
    };
    let found = say(&commit);
    let new = world.git(&["rev-parse", &format!("refs/heads/{branch}")]);
    assert_eq!(found, one(&format!("its branch moved ({} to {})", &old[..12], &new[..12])));
    let detach = || drop(world.git(&["-C", &path, "checkout", "-q", "--detach"]));
    assert_eq!(say(&detach), one("its `HEAD` was moved"));
    let unlock = || drop(world.git(&["worktree", "unlock", &path]));
    assert_eq!(say(&unlock), one("its lock is gone"));
    let swap = || fs::write(format!("{path}/.git"), "gitdir: /elsewhere\n").unwrap();
    assert_eq!(say(&swap), one("its `.git` file isn't the one that git wrote"));
    fs::write(format!("{path}/.git"), format!("{}\n", tree.fields["gitfile"])).unwrap();
    let delete = || drop(world.git(&["update-ref", "-d", &format!("refs/heads/{branch}")]));
    assert_eq!(say(&delete), one(&format!("its branch is gone ({})", &new[..12])));
    let remove = || drop(world.git(&["worktree", "remove", "-f", "-f", &path]));
    let found = say(&remove);
    assert!(found[0].1[0].contains("b.1: its folder is gone"), "{found:?}");
    assert!(found[0].1[1].contains("b.1: git's entry for it is gone"), "{found:?}");
}

#[test]
fn r5_what_was_done_to_a_worker_before_the_first_look_at_it_is_found_by_its_record() {
    let world = World::new();
    let git = world.open();
    let before = git.fingerprint(None, RUN, &[]);
    let (tree, sibling) = settled(&world, &git, "b");
    assert_eq!(git.fingerprint(Some(&before), RUN, std::slice::from_ref(&sibling)).changes(&before), []);
    world.git(&["-C", &tree.fields["path"], "commit", "-q", "--allow-empty", "-m", "x"]);
    let found = named(&git.fingerprint(Some(&before), RUN, &[sibling]).changes(&before));
    assert!(found[0].1[0].starts_with("b.1: its branch moved ("), "{found:?}");
}

#[test]
fn r5_where_a_worker_at_work_takes_its_own_branch_is_its_own_affair() {
    let world = World::new();
    let git = world.open();
    let tree = world.made(&git, &mark("b", 1));
    let path = tree.fields["path"].clone();
    let busy = [Sibling { tree, tip: None }];
    let commit = || drop(world.git(&["-C", &path, "commit", "-q", "--allow-empty", "-m", "x"]));
    assert_eq!(during(&world, &busy, commit), []);
    let gone = during(&world, &busy, || drop(world.git(&["worktree", "remove", "-f", "-f", &path])));
    assert!(gone[0].1[0].contains("its folder is gone"), "{gone:?}");
}

#[test]
fn r5_the_users_own_worktrees_are_siblings_too() {
    let world = World::new();
    let side = world.root.join("side");
    let add = || drop(world.git(&["worktree", "add", "-q", "-b", "side", side.to_str().unwrap()]));
    let found = during(&world, &[], add);
    assert_eq!(found[1], ("worktrees", vec!["side: new".to_owned()]));
    let detach = || drop(world.git_at(&side, &["checkout", "-q", "--detach"]));
    check(&world, detach, &[("worktrees", &["side: its `HEAD` or its lock changed"])]);
    let remove = || drop(world.git(&["worktree", "remove", side.to_str().unwrap()]));
    check(&world, remove, &[("worktrees", &["side: gone"])]);
}

#[test]
fn r5_a_list_of_names_is_bounded_and_the_rest_is_counted() {
    let world = World::new();
    let git = world.open();
    let before = git.fingerprint(None, RUN, &[]);
    for n in 0..30 {
        world.write(&format!("n{n:02}"), "x");
    }
    let changes = git.fingerprint(Some(&before), RUN, &[]).changes(&before);
    assert_eq!((changes[0].names.len(), changes[0].more), (20, 10));
}

#[test]
fn r5_beyond_its_bound_a_look_says_that_it_did_not_look() {
    let world = World::new();
    let blob = world.git(&["rev-parse", "HEAD:README"]);
    let lines: String = (0..=FILES_MAX).map(|n| format!("100644 {blob}\tx/{n}\n")).collect();
    let list = world.root.join("list");
    fs::write(&list, lines).unwrap();
    let mut update = world.command(&world.repo);
    let ended = update.args(["update-index", "--index-info"]).stdin(fs::File::open(&list).unwrap()).status();
    assert!(ended.unwrap().success());
    let git = world.open();
    let found = git.fingerprint(None, RUN, &[]);
    assert_eq!(found.unseen().unwrap(), "the main checkout: it has more than 50000 tracked files");
    world.git(&["branch", "side"]);
    let changes = git.fingerprint(Some(&found), RUN, &[]).changes(&found);
    assert_eq!(changes[0].kind, "refs", "the rest is still looked at");
}

#[test]
fn l9_a_look_that_failed_once_hides_no_change_for_good() {
    let world = World::new();
    let git = world.open();
    let before = git.fingerprint(None, RUN, &[]);
    let index = fs::read(world.repo.join(".git/index")).unwrap();
    fs::write(world.repo.join(".git/index"), "torn").unwrap();
    let blind = git.fingerprint(Some(&before), RUN, &[]);
    assert!(blind.unseen().is_some());
    assert_eq!(blind.changes(&before), []);
    fs::write(world.repo.join(".git/index"), index).unwrap();
    world.write("README", "other\n");
    let kept = blind.or_before(&before);
    let after = git.fingerprint(Some(&kept), RUN, &[]);
    assert_eq!(named(&after.changes(&kept)), [("files", vec!["README".to_owned()])]);
}

#[test]
fn s1_looking_runs_nothing_that_the_repository_defines_and_writes_nothing() {
    let world = World::new();
    let fired = world.canary(&world.root.join("canary"));
    let canary = world.root.join("canary").display().to_string();
    for key in ["core.fsmonitor", "filter.x.clean", "filter.x.smudge", "diff.external", "core.hooksPath"] {
        world.git(&["config", key, &canary]);
    }
    fs::write(world.repo.join(".gitattributes"), "* filter=x\n").unwrap();
    let before = fs::read(world.repo.join(".git/index")).unwrap();
    let git = world.open();
    let first = git.fingerprint(None, RUN, &[]);
    world.write("README", "other\n");
    assert_eq!(git.fingerprint(Some(&first), RUN, &[]).changes(&first).len(), 1);
    assert!(!fired.exists(), "{}", fs::read_to_string(fired).unwrap_or_default());
    assert_eq!(fs::read(world.repo.join(".git/index")).unwrap(), before);
}
