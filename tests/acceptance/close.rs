//! Safe to close, with reasons: each observation in a real repository, what `release` and
//! `cleanup` make of it, and how a worktree that somebody else removed comes back.
//!
//! It leaves out the table of the verdict itself, which is tested beside it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::world::{World, wait_until};

/// A world in which `a.1` ended and left `left.txt` untracked, and whatever `more` left.
fn ended(more: &str) -> World {
    let world = World::with(&format!("tasks: {{ a: {{ run: 'echo left > left.txt; {more}' }} }}"));
    world.up().exits(0);
    world
}

/// The close verdict on `a.1`: the word, and the reasons.
fn verdict(world: &World) -> (String, Vec<String>) {
    let close = workers(world)["close"].clone();
    let reasons = close["reasons"].as_array().unwrap().iter();
    let reasons = reasons.map(|reason| reason.as_str().unwrap().to_owned()).collect();
    (close["verdict"].as_str().unwrap().to_owned(), reasons)
}

/// `a.1`, as `workers --close --json` shows it.
fn workers(world: &World) -> Value {
    let shown = world.run(&["workers", "--close", "--json"]).exits(0).stdout;
    serde_json::from_str::<Value>(&shown).unwrap()["data"][0].clone()
}

#[track_caller]
fn check(world: &World, word: &str, reason: &str) {
    let (verdict, reasons) = verdict(world);
    assert_eq!(verdict, word, "{reasons:?}");
    assert!(reasons.iter().any(|one| one.contains(reason)), "{reason}: {reasons:?}");
}

/// Runs git in the worktree of `a.1`, as its worker could have.
#[track_caller]
fn in_tree(world: &World, args: &[&str]) -> String {
    let tree = world.tree("a.1");
    let mut all = vec!["-C", tree.to_str().unwrap(), "-c", "user.name=t", "-c", "user.email=t@localhost"];
    all.extend(args);
    world.git(&all)
}

/// Every path below `folder`, with what is in it.
fn listing(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(path) = open.pop() {
        let shown = path.display().to_string();
        if path.symlink_metadata().unwrap().is_dir() {
            found.push((shown, Vec::new()));
            open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            found.push((shown, fs::read(&path).unwrap()));
        }
    }
    found.sort();
    found
}

/// Types the commands that a text shows, indented by two blanks, as they stand there.
fn type_commands(world: &World, text: &str) -> usize {
    let commands: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("  ")).collect();
    for command in &commands {
        let ended = world.sealed("sh").args(["-c", command]).current_dir("/").output().unwrap();
        assert!(ended.status.success(), "{command}: {}", String::from_utf8_lossy(&ended.stderr));
    }
    commands.len()
}

#[test]
fn r4_what_is_all_kept_is_safe_and_is_shown_with_reasons_and_sizes() {
    let world = ended("true");
    check(&world, "safe", "1 uncommitted file is kept");
    let sizes = workers(&world)["close"]["sizes"].clone();
    assert_eq!((&sizes["unknown"], &sizes["regenerable"]), (&5.into(), &0.into()));
    assert!(sizes["source"].as_u64().unwrap() > 10);
    let table = world.run(&["workers", "--close"]).exits(0).stdout;
    assert!(table.contains("REGENERABLE") && table.contains("all of it is in refs/ilchul/"), "{table}");
    let plain = world.run(&["workers", "--json"]).exits(0).stdout;
    assert!(plain.contains("\"close\":null"), "{plain}");
}

#[test]
fn r4_a_worktree_with_only_ignored_files_is_not_safe_and_is_not_released() {
    let world = World::with("tasks: { a: { run: 'true' } }");
    fs::write(world.repo().join(".gitignore"), "target/\n.env\n").unwrap();
    world.git(&["add", ".gitignore"]);
    world.git(&["-c", "user.name=t", "-c", "user.email=t@localhost", "commit", "-qm", "Ignore"]);
    world.up().exits(0);
    check(&world, "safe", "nothing is ignored");
    fs::create_dir_all(world.tree("a.1").join("target/deep")).unwrap();
    fs::write(world.tree("a.1").join("target/deep/x.o"), "four").unwrap();
    fs::write(world.tree("a.1").join(".env"), "KEY").unwrap();
    check(&world, "not safe", "2 files (7 B) ignored, in no commit: .env, target/");
    let refused = world.run(&["release", "a.1"]).exits(1);
    assert!(refused.stderr.contains("2 files (7 B) ignored"), "{}", refused.stderr);
    assert_eq!(world.state().workers["a.1"].phase.word(), "completed-retained");
}

#[test]
fn r4_a_stash_made_in_the_worktree_counts_and_one_made_elsewhere_does_not() {
    let world = ended("true");
    let stash = |folder: &str| {
        let line = "echo x >> README && git -c user.name=t -c user.email=t@localhost stash -q";
        let ended = world.sealed("sh").args(["-c", line]).current_dir(folder).output().unwrap();
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    };
    stash(world.repo().to_str().unwrap());
    check(&world, "safe", "nothing is stashed");
    stash(world.tree("a.1").to_str().unwrap());
    check(&world, "not safe", "stash@{0}: WIP on ");
}

#[test]
fn r4_a_repository_inside_is_unknown() {
    let world = ended("true");
    let inside = world.tree("a.1").join("lib");
    fs::create_dir(&inside).unwrap();
    for args in [&["init", "-q"][..], &["commit", "-q", "--allow-empty", "-m", "x"]] {
        let git = ["-C", inside.to_str().unwrap(), "-c", "user.name=t", "-c", "user.email=t@localhost"];
        world.git(&[&git[..], args].concat());
    }
    let (word, reasons) = verdict(&world);
    assert_ne!(word, "safe", "{reasons:?}");
    in_tree(&world, &["-c", "advice.addEmbeddedRepo=false", "add", "lib"]);
    // A gitlink with a repository in it is a submodule, by whatever way it came there.
    let (word, reasons) = verdict(&world);
    assert_ne!(word, "safe", "{reasons:?}");
    assert!(reasons.iter().any(|one| one.contains("aren't looked into: lib")), "{reasons:?}");
}

#[test]
fn r4_unmerged_merged_and_squashed_branches_are_told_apart() {
    let world = World::with("tasks: { a: { run: 'true' } }");
    world.up().exits(0);
    for (name, text) in [("one.txt", "1\n"), ("two.txt", "2\n")] {
        fs::write(world.tree("a.1").join(name), text).unwrap();
        in_tree(&world, &["add", name]);
        in_tree(&world, &["commit", "-q", "-m", name]);
    }
    // In full: the short name would mean the snapshot below `refs/ilchul/`.
    let branch = format!("refs/heads/ilchul/{}/a.1", world.run_id().unwrap());
    // The snapshot was taken before these commits, so only another branch can hold them.
    check(&world, "not safe", "its commits are on its own branch only");
    check(&world, "not safe", "2 paths changed since refs/ilchul/");
    let commit = |args: &[&str]| {
        world.git(&[&["-c", "user.name=t", "-c", "user.email=t@localhost"], args].concat());
    };
    commit(&["checkout", "-q", "-b", "other"]);
    fs::write(world.repo().join("else.txt"), "else\n").unwrap();
    commit(&["add", "else.txt"]);
    commit(&["commit", "-q", "-m", "Something else"]);
    commit(&["merge", "-q", "--squash", &branch]);
    check(&world, "not safe", "its commits are on its own branch only");
    commit(&["commit", "-q", "-m", "Squashed"]);
    check(&world, "safe", "`HEAD` has the same changes");
    commit(&["checkout", "-q", "-b", "picked", "main"]);
    fs::write(world.repo().join("more.txt"), "more\n").unwrap();
    commit(&["add", "more.txt"]);
    commit(&["commit", "-q", "-m", "Something more"]);
    commit(&["cherry-pick", &format!("{branch}~1")]);
    check(&world, "not safe", "its commits are on its own branch only");
    commit(&["cherry-pick", &branch]);
    check(&world, "safe", "`HEAD` has the same changes");
    commit(&["checkout", "-q", "main"]);
    check(&world, "not safe", "its commits are on its own branch only");
    commit(&["merge", "-q", "--no-ff", "-m", "Merge", &branch]);
    check(&world, "safe", "`HEAD` contains its branch");
    fs::write(world.tree("a.1").join("late.txt"), "late\n").unwrap();
    check(&world, "not safe", "1 uncommitted file, in no commit: late.txt");
}

#[test]
fn r4_what_was_pushed_is_held_by_a_remote_branch() {
    let world = ended("true");
    in_tree(&world, &["add", "left.txt"]);
    in_tree(&world, &["commit", "-q", "-m", "Left"]);
    world.git(&["init", "-q", "--bare", "../remote.git"]);
    world.git(&["remote", "add", "origin", world.root().join("remote.git").to_str().unwrap()]);
    let reference = format!("refs/ilchul/{}/a.1", world.run_id().unwrap());
    world.git(&["update-ref", "-d", &reference]);
    check(&world, "not safe", "isn't there");
    in_tree(&world, &["push", "-q", "origin", "HEAD:refs/heads/review"]);
    world.git(&["fetch", "-q", "origin"]);
    check(&world, "safe", "`origin/review` contains its branch");
}

#[test]
fn r4_a_snapshot_that_somebody_moved_is_not_what_the_journal_tells_of() {
    let world = ended("true");
    let reference = format!("refs/ilchul/{}/a.1", world.run_id().unwrap());
    world.git(&["update-ref", &reference, "HEAD"]);
    check(&world, "not safe", "isn't what the journal tells of");
    world.run(&["release", "a.1"]).exits(1);
}

#[test]
fn r4_evidence_that_is_no_longer_kept_counts_against_it() {
    let world = World::with("tasks: { a: { run: 'echo x > x', evidence: [ { artifact: x } ] } }");
    world.up().exits(0);
    check(&world, "safe", "its evidence is kept");
    fs::rename(world.home().blobs(), world.root().join("elsewhere")).unwrap();
    check(&world, "not safe", "isn't among the kept evidence");
}

#[test]
fn r4_r4a_a_process_in_the_tree_refuses_a_release_and_takes_the_mark_back() {
    let world = ended("true");
    world.run(&["release", "a.1"]).exits(0);
    let mut visitor = Command::new("sleep").arg("600").current_dir(world.tree("a.1")).spawn().unwrap();
    let (word, reasons) = verdict(&world);
    let cleaned = world.run(&["cleanup", "--safe"]);
    let phase = world.state().workers["a.1"].phase.word();
    let reason = world.state().workers["a.1"].reason.clone();
    let refused = world.run(&["release", "a.1"]);
    visitor.kill().unwrap();
    visitor.wait().unwrap();
    let seen = format!("process {} (sleep) in its tree lives", visitor.id());
    assert_eq!((word.as_str(), &reasons[0]), ("not safe", &seen));
    let cleaned = cleaned.exits(0);
    assert!(cleaned.stdout.contains("retained again") && cleaned.stdout.contains(&seen), "{cleaned:?}");
    assert_eq!((phase, reason), ("completed-retained", format!("not_safe: {seen}")));
    assert!(refused.exits(1).stderr.contains(&seen));
    world.run(&["release", "a.1"]).exits(0);
}

#[test]
fn r4a_what_changed_after_the_release_takes_the_mark_back() {
    let world = ended("true");
    world.run(&["release", "a.1"]).exits(0);
    fs::write(world.tree("a.1").join("late.txt"), "late\n").unwrap();
    let cleaned = world.run(&["cleanup", "--safe", "--json"]).exits(0).stdout;
    let cleaned: Value = serde_json::from_str(&cleaned).unwrap();
    assert_eq!(cleaned["data"]["workers"][0]["state"], "completed-retained");
    assert_eq!(cleaned["data"]["workers"][0]["commands"], serde_json::json!([]));
    assert_eq!(world.state().workers["a.1"].phase.word(), "completed-retained");
    let events = world.run(&["events", "--json"]).exits(0).stdout;
    assert!(events.contains("late.txt"), "{events}");
    world.run(&["release", "a.1"]).exits(0);
    fs::write(world.repo().join(".git/info/exclude"), "secret\n").unwrap();
    fs::write(world.tree("a.1").join("secret"), "s").unwrap();
    world.run(&["release", "a.1"]).exits(1);
    assert_eq!(world.state().workers["a.1"].phase.word(), "completed-retained");
    fs::remove_file(world.tree("a.1").join("secret")).unwrap();
    // A release keeps what is there now, and then it holds.
    world.run(&["release", "a.1"]).exits(0);
    world.run(&["cleanup", "--safe"]).exits(0);
    assert_eq!(world.state().workers["a.1"].phase.word(), "cleanup-released");
}

/// A world in which `a.1` was called safe to close and `b.1` goes on until `go` is there; looks
/// of the supervisor's own come every few seconds.
fn marked() -> World {
    World::with(
        "heartbeat: { every: 50ms, unhealthy_after: 200ms, lost_after: 20s }\nlimits: { workers: 2 }\n\
         tasks: { a: { run: 'true' }, b: { needs: [a], run: 'until test -e $W/go; do sleep 0.02; done' } }",
    )
}

fn released(world: &World) -> super::world::Up {
    let up = world.start_up();
    world.await_task("b", "in_progress");
    world.run(&["release", "a.1"]).exits(0);
    world.await_worker("a.1", "safe-to-close");
    up
}

#[test]
fn r4a_a_resume_takes_back_a_mark_that_changes_have_overtaken() {
    let world = marked();
    released(&world).kill();
    fs::write(world.tree("a.1").join("late.txt"), "late\n").unwrap();
    let up = world.start_up();
    world.await_worker("a.1", "completed-retained");
    let reason = world.state().workers["a.1"].reason.clone();
    assert_eq!(reason, "not_safe: changed since its snapshot: late.txt");
    world.touch("go");
    up.wait().exits(0);
}

#[test]
fn r4a_a_living_supervisor_takes_back_a_mark_when_somebody_works_in_the_tree_again() {
    let world = marked();
    let up = released(&world);
    let mut visitor = Command::new("sleep").arg("600").current_dir(world.tree("a.1")).spawn().unwrap();
    let seen = format!("not_safe: process {} (sleep) in its tree lives", visitor.id());
    wait_until("the mark to be taken back", || {
        world.peek().is_some_and(|state| state.workers["a.1"].reason == seen)
    });
    visitor.kill().unwrap();
    visitor.wait().unwrap();
    assert_eq!(world.state().workers["a.1"].phase.word(), "completed-retained");
    world.touch("go");
    up.wait().exits(0);
}

#[test]
fn r4a_a_mark_that_still_holds_is_left_by_every_look() {
    let world = marked();
    released(&world).kill();
    let up = world.start_up();
    world.await_resumes(1);
    world.touch("go");
    up.wait().exits(0);
    assert_eq!(world.state().workers["a.1"].phase.word(), "safe-to-close");
}

#[test]
fn r4_a_cleanup_deletes_nothing_and_its_commands_are_the_users_to_run() {
    let world = World::with("tasks: { a: { run: 'echo left > left.txt' }, b: { run: 'true' } }");
    world.run(&["up", "--session", "tmux"]).exits(0);
    world.run(&["cleanup"]).exits(2);
    world.run(&["release", "a.1"]).exits(0);
    let trees = world.home().run(&world.run_id().unwrap()).join("trees");
    let before = (listing(&trees), world.git(&["for-each-ref"]), world.git(&["worktree", "list"]));
    let panes = world.tmux(&["list-panes", "-a", "-F", "#{pane_id}"]).exits(0).stdout;
    let cleaned = world.run(&["cleanup", "--safe"]).exits(0);
    assert_eq!((listing(&trees), world.git(&["for-each-ref"]), world.git(&["worktree", "list"])), before);
    assert_eq!(world.tmux(&["list-panes", "-a", "-F", "#{pane_id}"]).exits(0).stdout, panes);
    assert!(cleaned.stdout.contains("Nothing was removed."), "{}", cleaned.stdout);
    let state = world.state();
    assert_eq!(state.workers["a.1"].phase.word(), "cleanup-released");
    assert!(state.workers["a.1"].reason.starts_with("cleaned_up: by "), "{}", state.workers["a.1"].reason);
    assert_eq!(state.workers["b.1"].phase.word(), "completed-retained");
    // Now a person runs them: its tree, its branch and its window go, and nothing else.
    assert_eq!(type_commands(&world, &cleaned.stdout), 4);
    assert!(!world.tree("a.1").exists() && world.tree("b.1").exists());
    let left = world.tmux(&["list-panes", "-a", "-F", "#{pane_id}"]).exits(0).stdout;
    assert_eq!(left.lines().count() + 1, panes.lines().count());
    let reference = format!("refs/ilchul/{}/a.1:left.txt", world.run_id().unwrap());
    assert_eq!(world.git(&["show", &reference]), "left\n");
    let shown = world.run(&["workers"]).exits(0).stdout;
    assert!(!shown.contains("To have it back"), "{shown}");
}

#[test]
fn r3_a_worktree_that_somebody_removed_is_reported_and_comes_back_by_the_printed_commands() {
    let world = ended("mkdir deep; echo u > deep/untracked; echo changed >> README; ln -s left.txt link");
    let tree = world.tree("a.1");
    let before = listing(&tree);
    let status = in_tree(&world, &["status", "--porcelain", "--untracked-files=all"]);
    fs::remove_dir_all(&tree).unwrap();
    let shown = world.run(&["workers"]).exits(0).stdout;
    assert!(shown.contains("tree gone: its worktree isn't there any more"), "{shown}");
    let why = world.run(&["why", "a"]).exits(0).stdout;
    assert!(why.contains("The worktree of `a.1` is gone"), "{why}");
    let up = world.up().exits(0);
    assert!(up.stderr.contains("The worktree of `a.1` is gone"), "{}", up.stderr);
    check(&world, "safe", "the worktree is gone already; refs/ilchul/");
    assert_eq!(world.told("a"), "completed");
    let restoring = shown.split("To have it back").nth(1).unwrap();
    assert_eq!(type_commands(&world, restoring), 3);
    assert_eq!(listing(&tree), before);
    assert_eq!(in_tree(&world, &["status", "--porcelain", "--untracked-files=all"]), status);
    let again = workers(&world);
    assert_eq!((&again["restore"], &again["close"]["verdict"]), (&serde_json::json!([]), &"safe".into()));
    assert!(!world.run(&["why", "a"]).exits(0).stdout.contains("is gone"));
}

/// A world in which `a.1` left a commit, a change and an untracked file, and somebody removed its
/// worktree and git's entry for it.
fn removed() -> (World, Vec<(String, Vec<u8>)>, String) {
    let commit = "git -c user.name=t -c user.email=t@localhost commit -q -m Kept";
    let world = ended(&format!("echo k > kept.txt; git add kept.txt; {commit}; echo more >> README"));
    let files = |world: &World| {
        let mut files = listing(&world.tree("a.1"));
        files.retain(|(path, _)| !path.ends_with("/.git"));
        files
    };
    let before = (files(&world), in_tree(&world, &["status", "--porcelain", "--untracked-files=all"]));
    fs::remove_dir_all(world.tree("a.1")).unwrap();
    world.git(&["worktree", "unlock", world.tree("a.1").to_str().unwrap()]);
    world.git(&["worktree", "prune", "--expire", "now"]);
    (world, before.0, before.1)
}

/// Types what `workers` prints to have `a.1` back, and looks whether everything is there again.
#[track_caller]
fn comes_back(world: &World, files: &[(String, Vec<u8>)], status: &str) -> String {
    let shown = world.run(&["workers"]).exits(0).stdout;
    let restoring = shown.split("To have it back").nth(1).unwrap();
    assert!(type_commands(world, restoring) >= 3, "{restoring}");
    let mut found = listing(&world.tree("a.1"));
    found.retain(|(path, _)| !path.ends_with("/.git"));
    assert_eq!(found, files);
    assert_eq!(in_tree(world, &["status", "--porcelain", "--untracked-files=all"]), status);
    assert!(world.git(&["worktree", "list", "--porcelain"]).contains("\nlocked"));
    assert!(in_tree(world, &["log", "-1", "--format=%s"]).trim() == "Kept");
    restoring.to_owned()
}

#[test]
fn r3_a_worktree_whose_entry_is_gone_too_comes_back_on_its_branch() {
    let (world, files, status) = removed();
    comes_back(&world, &files, &status);
    let branch = format!("refs/heads/ilchul/{}/a.1", world.run_id().unwrap());
    assert_eq!(in_tree(&world, &["symbolic-ref", "HEAD"]).trim(), branch);
}

#[test]
fn r3_a_branch_that_is_gone_with_its_worktree_comes_back_where_it_was() {
    let (world, files, status) = removed();
    let branch = format!("refs/heads/ilchul/{}/a.1", world.run_id().unwrap());
    let tip = world.git(&["rev-parse", &branch]);
    world.git(&["update-ref", "-d", &branch]);
    comes_back(&world, &files, &status);
    assert_eq!(world.git(&["rev-parse", &branch]), tip);
    assert_eq!(in_tree(&world, &["symbolic-ref", "HEAD"]).trim(), branch);
}

#[test]
fn r3_a_branch_that_went_elsewhere_is_left_there() {
    let (world, files, status) = removed();
    let branch = format!("refs/heads/ilchul/{}/a.1", world.run_id().unwrap());
    world.git(&["update-ref", &branch, "HEAD"]);
    let restoring = comes_back(&world, &files, &status);
    assert_eq!(world.git(&["rev-parse", &branch]), world.git(&["rev-parse", "HEAD"]));
    assert!(!restoring.contains("symbolic-ref"), "{restoring}");
}

#[test]
fn r3_a_branch_that_is_gone_comes_back_where_gits_entry_is_still_there() {
    let world = ended("true");
    let status = in_tree(&world, &["status", "--porcelain", "--untracked-files=all"]);
    let branch = format!("refs/heads/ilchul/{}/a.1", world.run_id().unwrap());
    fs::remove_dir_all(world.tree("a.1")).unwrap();
    world.git(&["update-ref", "-d", &branch]);
    let shown = world.run(&["workers"]).exits(0).stdout;
    assert_eq!(type_commands(&world, shown.split("To have it back").nth(1).unwrap()), 4);
    assert_eq!(in_tree(&world, &["status", "--porcelain", "--untracked-files=all"]), status);
    assert_eq!(world.git(&["rev-parse", &branch]).trim(), world.head());
}

#[test]
fn r3_a_worktree_removed_while_the_run_lives_fails_nothing_and_comes_back_by_the_printed_commands() {
    let world = World::with(
        "tasks: { a: { run: 'echo u > u.txt; echo more >> README' }, b: { needs: [a], run: 'until test -e $W/go; do sleep 0.02; done' } }",
    );
    let up = world.start_up();
    world.await_task("b", "in_progress");
    let before = listing(&world.tree("a.1"));
    fs::remove_dir_all(world.tree("a.1")).unwrap();
    let shown = world.run(&["workers"]).exits(0).stdout;
    assert_eq!(type_commands(&world, shown.split("To have it back").nth(1).unwrap()), 3);
    assert_eq!(listing(&world.tree("a.1")), before);
    world.touch("go");
    up.wait().exits(0);
    assert_eq!((world.told("a").as_str(), world.told("b").as_str()), ("completed", "completed"));
}

#[test]
fn r3_a_path_that_something_else_took_is_left_alone() {
    let world = ended("true");
    let tree = world.tree("a.1");
    fs::remove_dir_all(&tree).unwrap();
    symlink("/nowhere", &tree).unwrap();
    let shown = world.run(&["workers", "--close"]).exits(0).stdout;
    assert!(!shown.contains("mkdir"), "{shown}");
    assert_eq!(fs::read_link(&tree).unwrap(), Path::new("/nowhere"));
}

#[test]
fn r3_a_session_that_vanished_after_the_work_is_journaled_once_and_fails_nothing() {
    let world = World::with(
        "tasks: { a: { run: 'echo left > left.txt' }, b: { needs: [a], run: 'until test -e $W/go; do sleep 0.02; done' } }",
    );
    let up = world.start(&["up", "--session", "tmux"]);
    world.await_task("b", "in_progress");
    up.kill();
    let pane = world.state().workers["a.1"].session.as_ref().unwrap().id.clone();
    world.tmux(&["kill-pane", "-t", &pane]).exits(0);
    let up = world.start(&["up"]);
    world.await_resumes(1);
    up.kill();
    world.touch("go");
    world.run(&["up"]).exits(0);
    let state = world.state();
    assert_eq!(state.workers["a.1"].phase.word(), "completed-retained");
    assert!(state.workers["a.1"].reason.starts_with("session_gone: "), "{}", state.workers["a.1"].reason);
    let events = world.run(&["events", "--json"]).exits(0).stdout;
    assert_eq!(events.matches("worker.session-gone").count(), 1, "{events}");
    assert_eq!((world.told("a").as_str(), world.told("b").as_str()), ("completed", "completed"));
}

#[test]
fn what_was_cleaned_up_and_removed_by_its_person_is_closed_by_the_next_life() {
    let world = World::with(
        "tasks: { a: { run: 'true' }, b: { needs: [a], run: 'until test -e $W/go; do sleep 0.02; done' } }",
    );
    let up = world.start_up();
    world.await_task("b", "in_progress");
    // Decided by the supervisor, which holds the home.
    world.run(&["release", "a.1"]).exits(0);
    let cleaned = world.run(&["cleanup", "--safe"]).exits(0).stdout;
    assert_eq!(world.state().workers["a.1"].phase.word(), "cleanup-released");
    up.kill();
    let up = world.start_up();
    world.await_resumes(1);
    world.await_worker("a.1", "cleanup-released");
    up.kill();
    assert_eq!(type_commands(&world, &cleaned), 3);
    world.touch("go");
    world.up().exits(0);
    assert_eq!(world.state().workers["a.1"].phase.word(), "closed");
    assert_eq!((world.told("a").as_str(), world.told("b").as_str()), ("completed", "completed"));
}
