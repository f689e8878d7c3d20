//! What `ensure` promises: whole or named, never over anything, and nobody's code is run.

use crate::common::{World, branch, files, mark, state};
use ilchul_git_worktree::{Filling, GitWorktree, Limits, WorktreeSpec};
use ilchul_substrate::{Error, ErrorKind, Mark, State, Substrate};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

#[track_caller]
fn refused(result: Result<ilchul_substrate::Handle, Error>, kind: ErrorKind, words: &[&str]) {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), kind, "failed to {error}");
    for word in words {
        assert!(error.to_string().contains(word), "`{word}` in: failed to {error}");
    }
}

#[test]
fn a_worktree_is_whole_locked_and_on_its_branch_once_ensure_returned() {
    let world = World::new();
    let (substrate, mark) = (world.open(), mark("fix", 1));
    let handle = world.made(&substrate, &mark);
    let tree = world.tree(&mark);
    assert_eq!(world.git_at(&tree, &["status", "--porcelain", "--branch"]), format!("## {}", branch(&mark)));
    assert_eq!(world.git_at(&tree, &["rev-parse", "HEAD"]), world.head());
    assert_eq!(fs::read_to_string(tree.join("src/lib.rs")).unwrap(), "fn a() {}\nfn b() {}\n");
    let listed = world.git(&["worktree", "list", "--porcelain"]);
    assert!(listed.contains(&format!("locked ilchul: in use by {mark}")), "{listed}");
    assert_eq!(handle.id, tree.to_str().unwrap());
    assert_eq!(handle.field("base").unwrap(), world.head());
    let State::Live(facts) = state(&substrate, &handle) else { panic!("live") };
    assert_eq!(facts.path, Some(tree));
    assert_eq!(facts.notes, [("branch", branch(&mark)), ("head", world.head())]);
    assert!(substrate.remnants().unwrap().is_empty());
}

#[test]
fn the_folders_above_a_tree_are_private() {
    let world = World::new();
    world.made(&world.open(), &mark("fix", 1));
    let mode = fs::metadata(world.home.join("runs/r1/trees")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[test]
fn a_path_in_the_way_is_named_and_left_as_it_was() {
    let world = World::new();
    let (substrate, mark) = (world.open(), mark("fix", 1));
    let tree = world.tree(&mark);
    fs::create_dir_all(&tree).unwrap();
    fs::write(tree.join("mine"), "mine").unwrap();
    refused(substrate.ensure(&mark, &world.spec(&mark)), ErrorKind::Conflict, &[tree.to_str().unwrap()]);
    assert_eq!(files(&tree), [(tree.join("mine"), b"mine".to_vec())]);
    assert_eq!(world.git(&["branch", "--list", "ilchul/*"]), "", "and nothing was made");
}

#[test]
fn a_dangling_link_in_the_way_is_not_written_through() {
    let world = World::new();
    let (substrate, mark) = (world.open(), mark("fix", 1));
    let tree = world.tree(&mark);
    fs::create_dir_all(tree.parent().unwrap()).unwrap();
    symlink(world.root.join("elsewhere"), &tree).unwrap();
    refused(substrate.ensure(&mark, &world.spec(&mark)), ErrorKind::Conflict, &["exists already"]);
    assert!(!world.root.join("elsewhere").exists());
}

#[test]
fn a_branch_in_the_way_is_named_and_left_as_it_was() {
    let world = World::new();
    let (substrate, mark) = (world.open(), mark("fix", 1));
    let spec = world.spec(&mark);
    world.git(&["branch", &branch(&mark)]);
    world.git(&["commit", "-q", "--allow-empty", "-m", "second"]);
    refused(substrate.ensure(&mark, &spec), ErrorKind::Conflict, &[&branch(&mark), &spec.base]);
    assert_eq!(world.git(&["rev-parse", &branch(&mark)]), spec.base);
    assert!(!world.tree(&mark).exists() && !world.entry(&mark).exists());
}

#[test]
fn branches_that_make_ours_impossible_are_named() {
    for (theirs, named) in
        [("ilchul", "`ilchul`"), ("ilchul/r1", "`ilchul/r1`"), ("ilchul/r1/fix.1/x", "fix.1/x")]
    {
        let world = World::new();
        world.git(&["branch", theirs]);
        let mark = mark("fix", 1);
        refused(
            world.open().ensure(&mark, &world.spec(&mark)),
            ErrorKind::Conflict,
            &[&branch(&mark), named],
        );
        assert!(!world.tree(&mark).exists() && !world.entry(&mark).exists());
    }
}

#[test]
fn another_spec_under_a_known_mark_is_a_conflict() {
    let world = World::new();
    let (substrate, mark) = (world.open(), mark("fix", 1));
    world.made(&substrate, &mark);
    world.git(&["commit", "-q", "--allow-empty", "-m", "second"]);
    refused(substrate.ensure(&mark, &world.spec(&mark)), ErrorKind::Conflict, &["another spec"]);
}

#[test]
fn what_cannot_be_served_is_refused_before_anything_is_made() {
    let world = World::new();
    let (substrate, mark) = (world.open(), mark("fix", 1));
    let good = world.spec(&mark);
    let check = |change: &dyn Fn(&mut WorktreeSpec)| {
        let mut spec = good.clone();
        change(&mut spec);
        refused(substrate.ensure(&mark, &spec), ErrorKind::Refused, &[]);
    };
    check(&|spec| spec.path = Path::new("relative").join(mark.to_string()));
    check(&|spec| spec.path = world.home.join("other-name"));
    check(&|spec| spec.path = world.repo.join(mark.to_string()));
    check(&|spec| spec.path = world.home.join("..").join(mark.to_string()));
    check(&|spec| spec.path = world.repo.join(".git/x").join(mark.to_string()));
    check(&|spec| spec.branch = Some("a..b".to_owned()));
    check(&|spec| spec.branch = Some("--force".to_owned()));
    check(&|spec| spec.base = "main".to_owned());
    check(&|spec| spec.base = spec.base[..12].to_owned());
    check(&|spec| spec.base = "1".repeat(40));
    check(&|spec| spec.base = world.git(&["rev-parse", "HEAD^{tree}"]));
    check(&|spec| spec.reason = String::new());
    check(&|spec| spec.reason = "two\nlines".to_owned());
    assert_eq!(world.git(&["branch", "--list", "ilchul/*"]), "");
    assert!(!world.repo.join(".git/worktrees").exists() && !world.repo.join(".git/x").exists());
    assert!(!world.home.exists());
}

/// A `git` that does `script` for calls with `what` in them, and is the real one otherwise.
fn stub(world: &World, what: &str, script: &str) -> PathBuf {
    let path = world.root.join("bin/git");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let text = format!(
        "#!/bin/sh\nat={}\ncase \"$*\" in *{what}*) {script};; esac\nexec git \"$@\"\n",
        world.root.display()
    );
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[test]
fn a_spurious_failure_of_git_is_tried_again_while_nothing_of_ours_is_there() {
    let world = World::new();
    let words = "fatal: failed to read .git/worktrees/x/commondir: Success";
    // Three failures, each in git's own words for meeting a half-written entry.
    let script =
        format!("echo x >> $at/count; [ $(wc -l < $at/count) -gt 3 ] || {{ echo '{words}' >&2; exit 128; }}");
    let substrate = world.open().with_program(stub(&world, "worktree*add", &script));
    let mark = mark("fix", 1);
    let handle = world.made(&substrate, &mark);
    assert!(matches!(state(&substrate, &handle), State::Live(_)));
    assert_eq!(fs::read_to_string(world.root.join("count")).unwrap().lines().count(), 4);
}

#[test]
fn a_failure_that_left_something_is_not_tried_again() {
    let world = World::new();
    let mark = mark("fix", 1);
    let entry = world.entry(&mark);
    let script = format!(
        "echo x >> $at/count; mkdir -p {}; echo 'fatal: failed to read commondir' >&2; exit 128",
        entry.display()
    );
    let substrate = world.open().with_program(stub(&world, "worktree*add", &script));
    refused(substrate.ensure(&mark, &world.spec(&mark)), ErrorKind::Conflict, &[entry.to_str().unwrap()]);
    assert_eq!(fs::read_to_string(world.root.join("count")).unwrap().lines().count(), 1);
}

#[test]
fn a_failure_that_goes_on_for_ever_ends_after_a_stated_number_of_tries() {
    let world = World::new();
    let script = "echo x >> $at/count; echo 'fatal: failed to read commondir' >&2; exit 128";
    let substrate = world.open().with_program(stub(&world, "worktree*add", script));
    let mark = mark("fix", 1);
    refused(substrate.ensure(&mark, &world.spec(&mark)), ErrorKind::Conflict, &["commondir", &branch(&mark)]);
    assert_eq!(fs::read_to_string(world.root.join("count")).unwrap().lines().count(), 12);
}

#[test]
fn two_git_processes_make_a_worktree_and_none_looks_at_it() {
    let world = World::new();
    let log = "echo \"$*\" >> $at/count";
    let substrate = world.open().with_program(stub(&world, "", log));
    let mark = mark("fix", 1);
    let handle = world.made(&substrate, &mark);
    assert_eq!(world.made(&substrate, &mark), handle);
    assert!(matches!(state(&substrate, &handle), State::Live(_)));
    substrate.discover(crate::common::RUN).unwrap();
    substrate.snapshot(&handle, &crate::common::reference(&mark), "s").unwrap();
    substrate.release(&handle, ilchul_substrate::Urgency::Asked).unwrap();
    let calls = fs::read_to_string(world.root.join("count")).unwrap();
    assert_eq!(calls.lines().count(), 2, "{calls}");
    for verb in ["remove", "prune", "reset", "clean", "stash", "branch -D", "--force"] {
        assert!(!calls.contains(verb), "R1: `{verb}` in {calls}");
    }
}

/// Leaves an entry as a `git worktree add` leaves it that is killed at some moment.
fn half_made(world: &World, mark: &Mark, present: &[(&str, &str)]) {
    let entry = world.entry(mark);
    fs::create_dir_all(&entry).unwrap();
    for (name, text) in present {
        fs::write(entry.join(name), text).unwrap();
    }
}

#[test]
fn r4b_a_half_made_one_is_named_never_retried_and_does_not_block_the_next() {
    let gitdir = "/nowhere/ilchul.r1.fix.1/.git\n";
    let whole = [("HEAD", "ref: refs/heads/main\n"), ("commondir", "../..\n"), ("gitdir", gitdir)];
    type Case = (&'static str, Vec<(&'static str, &'static str)>, &'static str);
    let cases: [Case; 6] = [
        ("nothing in it", vec![], "no `HEAD`"),
        ("empty commondir", vec![("commondir", ""), whole[0], whole[2]], "no `commondir`"),
        ("no gitdir", vec![whole[0], whole[1]], "no `gitdir`"),
        ("no HEAD", vec![whole[1], whole[2]], "no `HEAD`"),
        ("initializing", [&whole[..], &[("locked", "initializing")]].concat(), "initializing"),
        ("index.lock", [&whole[..], &[("index.lock", "")]].concat(), "index.lock"),
    ];
    for (case, present, lack) in cases {
        let world = World::new();
        let (substrate, half, next) = (world.open(), mark("fix", 1), mark("fix", 2));
        half_made(&world, &half, &present);
        for _ in 0..2 {
            refused(substrate.ensure(&half, &world.spec(&half)), ErrorKind::Conflict, &[lack]);
        }
        assert_eq!(substrate.discover("r1").unwrap()[0].0, half, "{case}: discovered");
        world.made(&substrate, &next);
        refused(substrate.ensure(&half, &world.spec(&half)), ErrorKind::Conflict, &["half"]);
        let remnants = substrate.remnants().unwrap();
        assert_eq!(remnants.len(), 1, "{case}: {remnants:?}");
        assert_eq!(remnants[0].name, half.to_string());
        assert!(remnants[0].modified_at.is_some());
        let blocks = present.iter().filter(|(name, text)| !text.is_empty() && *name != "locked").count() < 3;
        assert_eq!(remnants[0].moved_aside, blocks, "{case}");
        assert_eq!(world.entry(&half).exists(), !blocks, "{case}");
        for (name, text) in present {
            assert_eq!(fs::read_to_string(remnants[0].path.join(name)).unwrap(), text, "{case}: kept");
        }
    }
}

#[test]
fn a_half_made_entry_of_somebody_else_is_named_and_not_touched() {
    let world = World::new();
    let substrate =
        world.open().with_limits(Limits { foreign: Duration::from_millis(30), ..Limits::default() });
    // `ilchul.notes` is a person's: only a whole mark is ours.
    for theirs in ["theirs", "ilchul.notes"] {
        let entry = world.repo.join(".git/worktrees").join(theirs);
        fs::create_dir_all(&entry).unwrap();
        fs::write(entry.join("HEAD"), "ref: refs/heads/main\n").unwrap();
        fs::write(entry.join("gitdir"), "/nowhere/.git\n").unwrap();
        fs::write(entry.join("commondir"), "").unwrap();
        let before = files(&entry);
        let mark = mark("fix", 1);
        refused(substrate.ensure(&mark, &world.spec(&mark)), ErrorKind::Conflict, &[theirs]);
        assert_eq!(files(&entry), before);
        assert_eq!(world.git(&["branch", "--list", "ilchul/*"]), "", "nothing of ours was left behind");
        fs::write(entry.join("commondir"), "../..\n").unwrap();
    }
}

#[test]
fn a_foreign_entry_that_becomes_whole_is_waited_for() {
    let world = World::new();
    let entry = world.repo.join(".git/worktrees/theirs");
    fs::create_dir_all(&entry).unwrap();
    fs::write(entry.join("HEAD"), "ref: refs/heads/main\n").unwrap();
    fs::write(entry.join("gitdir"), "/nowhere/.git\n").unwrap();
    fs::write(entry.join("commondir"), "").unwrap();
    let patient = Limits { foreign: Duration::from_secs(60), ..Limits::default() };
    let (substrate, mark) = (world.open().with_limits(patient), mark("fix", 1));
    thread::scope(|scope| {
        let made = scope.spawn(|| substrate.ensure(&mark, &world.spec(&mark)));
        // Finished by the other side only once ours has begun to wait under its lock.
        let lock = world.repo.join(".git/ilchul.lock");
        ilchul_conformance::wait_until("the lock is there", ilchul_conformance::PATIENCE, || lock.exists());
        fs::write(entry.join("commondir"), "../..\n").unwrap();
        made.join().unwrap().unwrap();
    });
}

#[test]
fn a_half_made_entry_is_moved_beside_git_when_the_home_is_on_another_file_system() {
    // Where there is no such place, the same promise is checked on one file system.
    let shm = Some(Path::new("/dev/shm")).filter(|path| path.is_dir());
    let elsewhere = shm.map_or_else(tempfile::tempdir, tempfile::tempdir_in).unwrap();
    let world = World::new();
    let substrate = GitWorktree::open(&world.repo, elsewhere.path().join("quarantine")).unwrap();
    half_made(&world, &mark("fix", 1), &[("commondir", "")]);
    world.made(&substrate, &mark("fix", 2));
    let remnants = substrate.remnants().unwrap();
    assert!(remnants.len() == 1 && remnants[0].moved_aside, "{remnants:?}");
    assert!(!world.entry(&mark("fix", 1)).exists());
}

#[test]
fn eight_at_once_beside_a_foreign_loop_lose_nothing() {
    let world = World::new();
    let substrate = world.open();
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let foreign = scope.spawn(|| {
            let mut count = 0;
            // Bounded: the point is contention, not a flood.
            while !over.load(Ordering::Relaxed) && count < 200 {
                count += 1;
                let path = world.root.join(format!("theirs/w{count}"));
                world.try_git(&world.repo, &["worktree", "add", "-q", "--detach", path.to_str().unwrap()]);
            }
            count
        });
        for round in 1..=3 {
            let made: Vec<_> = (1..=8)
                .map(|task| {
                    let (world, substrate) = (&world, &substrate);
                    scope.spawn(move || {
                        let mark = mark(&format!("t{task}"), round);
                        (mark.clone(), substrate.ensure(&mark, &world.spec(&mark)))
                    })
                })
                .collect();
            for made in made {
                let (mark, result) = made.join().unwrap();
                let handle = result.unwrap_or_else(|error| panic!("{mark}: failed to {error}"));
                assert!(matches!(state(&substrate, &handle), State::Live(_)));
                assert_eq!(world.git_at(&world.tree(&mark), &["status", "--porcelain"]), "");
            }
        }
        over.store(true, Ordering::Relaxed);
        assert!(foreign.join().unwrap() > 0);
    });
    assert_eq!(substrate.discover(crate::common::RUN).unwrap().len(), 24);
    assert!(substrate.remnants().unwrap().is_empty());
}

#[test]
fn s1_no_hook_monitor_or_filter_of_the_repository_runs() {
    let world = World::new();
    let canary = world.root.join("bin/canary");
    let fired = world.canary(&canary);
    let program = canary.to_str().unwrap();
    for hook in ["post-checkout", "reference-transaction", "post-index-change", "pre-commit", "post-commit"] {
        world.canary(&world.repo.join(".git/hooks").join(hook));
    }
    let attributes = b"README filter=evil\nsrc/* filter=a=b\n.gitignore filter=\xff\n";
    fs::write(world.repo.join(".gitattributes"), attributes).unwrap();
    world.git(&["-c", "core.hooksPath=/dev/null", "add", "."]);
    world.git(&["-c", "core.hooksPath=/dev/null", "commit", "-q", "-m", "attributes"]);
    // Beside it an included file: filters hide there as well.
    fs::write(
        world.repo.join(".git/more"),
        format!("[filter \"a=b\"]\nsmudge = {program}\nclean = {program}\nrequired = true\n"),
    )
    .unwrap();
    let config = format!(
        "\n[include]\npath = more\n[core]\nfsmonitor = {program}\nsshCommand = {program}\npager = {program}\n\
         [filter \"evil\"]\nsmudge = {program}\nclean = {program}\nprocess = {program}\nrequired = true\n\
         [diff]\nexternal = {program}\n"
    );
    let path = world.repo.join(".git/config");
    // One more under a name that isn't UTF-8.
    let odd = [b"[filter \"\xff\"]\nsmudge = ", program.as_bytes(), b"\n"].concat();
    fs::write(&path, [&fs::read(&path).unwrap(), config.as_bytes(), &odd].concat()).unwrap();
    let (substrate, mark) = (world.open(), mark("fix", 1));
    let base = fs::read_to_string(world.repo.join(".git/refs/heads/main")).unwrap().trim().to_owned();
    let spec = WorktreeSpec {
        path: world.tree(&mark),
        branch: Some(branch(&mark)),
        base: base.clone(),
        reason: "r".to_owned(),
        filling: Filling::AtOnce,
    };
    let handle = substrate.ensure(&mark, &spec).unwrap();
    fs::write(world.tree(&mark).join("README"), "changed\n").unwrap();
    fs::write(world.tree(&mark).join("src/new.rs"), "new\n").unwrap();
    let snapshot = substrate.snapshot(&handle, &crate::common::reference(&mark), "s").unwrap();
    substrate.tree_id(&handle).unwrap();
    substrate.head(&handle).unwrap();
    substrate.uncommitted(&world.repo).unwrap();
    substrate.diff(&base, &snapshot.commit).unwrap();
    substrate.release(&handle, ilchul_substrate::Urgency::Asked).unwrap();
    assert!(!fired.exists(), "{}", fs::read_to_string(&fired).unwrap_or_default());
    assert_eq!(snapshot.uncommitted, ["README", "src/new.rs"]);
    // The trap is real: git, asked plainly, walks into it.
    world.try_git(&world.tree(&mark), &["status"]);
    assert!(fired.exists());
}

#[test]
fn filters_of_the_repository_run_when_they_are_trusted() {
    let world = World::new();
    let canary = world.root.join("bin/canary");
    let fired = world.canary(&canary);
    world.write(".gitattributes", "README filter=mine\n");
    world.git(&["add", "."]);
    world.git(&["commit", "-q", "-m", "attributes"]);
    world.git(&["config", "filter.mine.smudge", canary.to_str().unwrap()]);
    let substrate = world.open().with_limits(Limits { trust_filters: true, ..Limits::default() });
    world.made(&substrate, &mark("fix", 1));
    assert!(fired.exists());
}

#[test]
fn a_hung_git_is_unavailable_and_what_was_left_is_named() {
    let world = World::new();
    let limits = Limits { administration: Duration::from_millis(200), ..Limits::default() };
    let substrate = world.open().with_program(stub(&world, "", "sleep 600")).with_limits(limits);
    let first = mark("fix", 1);
    refused(
        substrate.ensure(&first, &world.spec(&first)),
        ErrorKind::Unavailable,
        &["0.2 s", &branch(&first)],
    );
    // Our lock isn't held by the dead: the next one is made at once.
    world.made(&world.open(), &mark("fix", 2));
    refused(world.open().ensure(&first, &world.spec(&first)), ErrorKind::Conflict, &[&branch(&first)]);
}

#[test]
fn a_checkout_that_fails_leaves_a_named_remnant_and_is_not_retried() {
    let world = World::new();
    // The real git for the administration, a full disk for the checkout.
    let full = "echo 'fatal: No space left on device' >&2; exit 128";
    let substrate = world.open().with_program(stub(&world, "read-tree", full));
    let mark = mark("fix", 1);
    let tree = world.tree(&mark);
    refused(
        substrate.ensure(&mark, &world.spec(&mark)),
        ErrorKind::Unavailable,
        &["No space left", tree.to_str().unwrap()],
    );
    refused(
        world.open().ensure(&mark, &world.spec(&mark)),
        ErrorKind::Conflict,
        &["isn't recorded as finished"],
    );
    let handle = substrate.discover(crate::common::RUN).unwrap().remove(0).1;
    assert!(handle.field("half_made").unwrap().contains("finished"));
    assert!(matches!(state(&substrate, &handle), State::Unknown(_)), "half made is never live, nor absent");
    assert_eq!(substrate.remnants().unwrap()[0].lacks, ["its checkout isn't recorded as finished"]);
}

#[test]
fn a_repository_lock_file_of_somebody_else_is_a_conflict_and_stays() {
    let world = World::new();
    let mark = mark("fix", 1);
    let spec = world.spec(&mark);
    let lock = world.repo.join(".git/refs/heads").join(format!("{}.lock", branch(&mark)));
    fs::create_dir_all(lock.parent().unwrap()).unwrap();
    fs::write(&lock, "").unwrap();
    refused(world.open().ensure(&mark, &spec), ErrorKind::Conflict, &[&branch(&mark)]);
    assert!(lock.exists());
}

#[test]
fn the_main_checkout_may_be_in_the_middle_of_anything() {
    let world = World::new();
    world.write("README", "uncommitted\n");
    fs::write(world.repo.join(".git/index.lock"), "").unwrap();
    fs::write(world.repo.join(".git/MERGE_HEAD"), world.head() + "\n").unwrap();
    let before = (files(&world.repo.join("src")), fs::read(world.repo.join(".git/index")).unwrap());
    world.made(&world.open(), &mark("fix", 1));
    assert_eq!(fs::read_to_string(world.repo.join("README")).unwrap(), "uncommitted\n");
    assert_eq!((files(&world.repo.join("src")), fs::read(world.repo.join(".git/index")).unwrap()), before);
}

#[test]
fn a_sparse_checkout_or_split_index_in_the_settings_does_no_harm() {
    let world = World::new();
    world.write("docs/a.md", "left out\n");
    world.git(&["add", "."]);
    world.git(&["commit", "-q", "-m", "docs"]);
    world.git(&["config", "core.splitIndex", "true"]);
    world.git(&["config", "index.sparse", "true"]);
    world.git(&["sparse-checkout", "set", "--sparse-index", "src"]);
    let (substrate, mark) = (world.open(), mark("fix", 1));
    let handle = world.made(&substrate, &mark);
    assert!(!world.tree(&mark).join("docs").exists(), "as sparse as the main checkout");
    let snapshot = substrate.snapshot(&handle, &crate::common::reference(&mark), "s").unwrap();
    assert_eq!(snapshot.commit, snapshot.parent, "{:?}", snapshot.uncommitted);
    fs::write(world.tree(&mark).join("README"), "changed\n").unwrap();
    let snapshot = substrate.snapshot(&handle, &crate::common::reference(&mark), "s").unwrap();
    assert_eq!(snapshot.uncommitted, ["README"]);
    world.git(&["cat-file", "-e", &format!("{}:docs/a.md", snapshot.commit)]);
}

#[test]
fn replace_references_and_grafts_do_not_change_what_is_checked_out() {
    let world = World::new();
    let real = world.head();
    world.write("README", "a lie\n");
    world.git(&["commit", "-qam", "lie"]);
    let lie = world.head();
    world.git(&["reset", "-q", "--hard", &real]);
    world.git(&["replace", &real, &lie]);
    let mark = mark("fix", 1);
    world.made(&world.open(), &mark);
    assert_eq!(fs::read_to_string(world.tree(&mark).join("README")).unwrap(), "hello\n");
}

#[test]
fn a_partial_clone_that_lacks_files_is_refused_before_anything_is_made() {
    let world = World::new();
    world.git(&["config", "uploadpack.allowFilter", "true"]);
    let clone = world.root.join("clone");
    let url = format!("file://{}", world.repo.display());
    world.git_at(
        &world.root,
        &["clone", "-q", "--filter=blob:none", "--no-checkout", &url, clone.to_str().unwrap()],
    );
    let substrate = GitWorktree::open(&clone, world.home.join("quarantine")).unwrap();
    let mark = mark("fix", 1);
    refused(substrate.ensure(&mark, &world.spec(&mark)), ErrorKind::Refused, &["isn't stored here"]);
    assert!(!clone.join(".git/worktrees").exists());
}

#[test]
fn a_detached_view_stands_at_its_commit_on_no_branch_and_every_change_is_told() {
    let world = World::new();
    let substrate = world.open();
    let mark = Mark::new("r1-left", "judge", 1).unwrap();
    let spec = WorktreeSpec { branch: None, ..world.spec(&mark) };
    let before = substrate.fingerprint(None, "r1", &[]);
    let handle = substrate.ensure(&mark, &spec).unwrap();
    assert_eq!(substrate.ensure(&mark, &spec).unwrap(), handle, "twice is once");
    assert_eq!(substrate.fingerprint(Some(&before), "r1", &[]).changes(&before), [], "no drift of the run");
    let head = substrate.head(&handle).unwrap();
    assert_eq!((head.commit, head.branch_tip, head.on_branch), (spec.base.clone(), None, false));
    assert_eq!(world.git(&["branch", "--list", "ilchul/*"]), "");
    assert!(substrate.discover("r1").unwrap().is_empty(), "nobody takes it for a worker of the run");
    assert!(matches!(state(&substrate, &handle), State::Live(_)));
    assert_eq!(substrate.uncommitted(&spec.path).unwrap(), Vec::<String>::new());
    fs::write(spec.path.join("README"), "changed\n").unwrap();
    fs::write(spec.path.join("new"), "x").unwrap();
    assert_eq!(substrate.uncommitted(&spec.path).unwrap(), ["README", "new"]);
    let lock = fs::read_to_string(world.entry(&mark).join("locked")).unwrap();
    assert!(lock.contains("ilchul"), "locked from birth: {lock}");
}
