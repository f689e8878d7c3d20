//! What reading for evidence promises: the truth about commits, and nothing changed by asking.

use crate::common::{World, files, mark, reference};
use ilchul_git_worktree::{GitWorktree, Limits, PatchText};
use ilchul_substrate::{ErrorKind, Handle, Mark};
use std::fs;
use std::path::Path;
use std::time::Duration;

struct Worker {
    world: World,
    substrate: GitWorktree,
    mark: Mark,
    handle: Handle,
}

fn worker() -> Worker {
    worker_with(Limits::default())
}

fn worker_with(limits: Limits) -> Worker {
    let world = World::new();
    let (substrate, mark) = (world.open().with_limits(limits), mark("fix", 1));
    let handle = world.made(&substrate, &mark);
    Worker { world, substrate, mark, handle }
}

impl Worker {
    fn write(&self, path: &str, text: &str) {
        let path = self.tree().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn tree(&self) -> std::path::PathBuf {
        self.world.tree(&self.mark)
    }

    fn git(&self, args: &[&str]) -> String {
        self.world.git_at(&self.tree(), args)
    }

    fn commit(&self, message: &str) -> String {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", message]);
        self.git(&["rev-parse", "HEAD"])
    }

    fn snapshot(&self) -> ilchul_git_worktree::Snapshot {
        self.substrate.snapshot(&self.handle, &reference(&self.mark), "state").unwrap()
    }

    fn tree_id(&self) -> String {
        self.substrate.tree_id(&self.handle).unwrap().tree
    }

    fn listed(&self, commit: &str) -> Vec<String> {
        self.world.git(&["ls-tree", "-r", "--name-only", commit]).lines().map(str::to_owned).collect()
    }
}

#[test]
fn r2_a_snapshot_holds_everything_and_leaves_index_and_head_byte_equal() {
    let worker = worker();
    let base = worker.commit("work");
    worker.write("src/lib.rs", "changed\n");
    worker.write("src/staged.rs", "staged\n");
    worker.git(&["add", "src/staged.rs"]);
    worker.write("deep/er/untracked.txt", "untracked\n");
    worker.write("ignored/x", "ignored\n");
    worker.write("a.log", "ignored\n");
    worker.write(".ilchul/report.json", "{}\n");
    fs::remove_file(worker.tree().join("README")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", worker.tree().join("link")).unwrap();
    let watched = |worker: &Worker| {
        let entry = files(&worker.world.entry(&worker.mark));
        let heads = worker.world.git(&["for-each-ref", "refs/heads"]);
        (entry, heads, files(&worker.tree()))
    };
    let before = watched(&worker);
    let snapshot = worker.snapshot();
    assert_eq!(watched(&worker), before, "index, HEAD, branches and files are as they were");
    assert_eq!(snapshot.parent, base);
    let changed = ["README", "deep/er/untracked.txt", "link", "src/lib.rs", "src/staged.rs"];
    assert_eq!(snapshot.uncommitted, changed);
    assert!(snapshot.left_out.is_empty());
    let held = [".gitignore", "deep/er/untracked.txt", "link", "src/lib.rs", "src/staged.rs"];
    assert_eq!(worker.listed(&snapshot.commit), held);
    assert_eq!(worker.world.git(&["show", &format!("{}:link", snapshot.commit)]), "/etc/passwd");
    assert_eq!(worker.world.git(&["show", &format!("{}:src/lib.rs", snapshot.commit)]), "changed");
    assert_eq!(worker.world.git(&["rev-parse", &reference(&worker.mark)]), snapshot.commit);
    assert_eq!(
        worker.world.git(&["rev-list", "--parents", "-1", &snapshot.commit]),
        format!("{} {base}", snapshot.commit)
    );
    let by = worker.world.git(&["log", "-1", "--format=%cn <%ce> %an %s", &snapshot.commit]);
    assert_eq!(by, "ilchul <ilchul@localhost> ilchul state");
    worker.world.git(&["fsck", "--strict"]);
}

#[test]
fn a_snapshot_of_a_clean_tree_is_its_head() {
    let worker = worker();
    worker.write("src/new.rs", "new\n");
    let head = worker.commit("work");
    worker.write("ignored/x", "ignored\n");
    worker.write(".ilchul/report.json", "{}\n");
    let snapshot = worker.snapshot();
    assert_eq!((&snapshot.commit, &snapshot.parent), (&head, &head));
    assert!(snapshot.uncommitted.is_empty() && snapshot.kept.is_none());
    assert_eq!(worker.world.git(&["rev-parse", &reference(&worker.mark)]), head);
}

#[test]
fn the_same_state_gives_the_same_snapshot_and_another_keeps_the_first() {
    let worker = worker();
    worker.write("src/lib.rs", "one\n");
    let first = worker.snapshot();
    assert_eq!(worker.snapshot(), first, "taken again after a crash");
    worker.write("src/lib.rs", "two\n");
    let second = worker.snapshot();
    assert_ne!(second.commit, first.commit);
    let kept = second.kept.clone().unwrap();
    assert!(kept.starts_with(&reference(&worker.mark)));
    assert_eq!(worker.world.git(&["rev-parse", &kept]), first.commit);
    assert_eq!(worker.world.git(&["rev-parse", &reference(&worker.mark)]), second.commit);
}

#[test]
fn r2_a_lock_that_a_killed_process_left_on_our_reference_keeps_no_snapshot_from_being_kept() {
    let worker = worker_with(Limits { packing: Duration::from_millis(50), ..Limits::default() });
    let lock = |name: &str| worker.world.repo.join(".git").join(format!("{name}.lock"));
    let left = |name: &str| {
        fs::create_dir_all(lock(name).parent().unwrap()).unwrap();
        fs::write(lock(name), "half a name").unwrap();
    };
    worker.write("src/lib.rs", "one\n");
    left(&reference(&worker.mark));
    let first = worker.snapshot();
    assert_eq!(worker.world.git(&["rev-parse", &reference(&worker.mark)]), first.commit);
    // Where it must move on, what it named before needs a name that may be locked as well.
    worker.write("src/lib.rs", "two\n");
    left(&format!("{}-{}", reference(&worker.mark), &first.commit[..12]));
    assert_eq!(worker.world.git(&["rev-parse", &worker.snapshot().kept.unwrap()]), first.commit);
    let remnants = worker.substrate.remnants().unwrap();
    assert_eq!(remnants.len(), 2, "{remnants:?}");
    for remnant in remnants {
        assert!(remnant.moved_aside && remnant.name.ends_with(".lock"), "{remnant:?}");
        assert_eq!(fs::read_to_string(&remnant.path).unwrap(), "half a name", "moved, not removed");
    }
}

#[test]
fn a_lock_that_a_git_at_work_holds_for_a_moment_is_waited_for_and_left_alone() {
    let worker = worker_with(Limits { packing: Duration::from_mins(1), ..Limits::default() });
    let lock = worker.world.repo.join(".git").join(format!("{}.lock", reference(&worker.mark)));
    fs::create_dir_all(lock.parent().unwrap()).unwrap();
    fs::write(&lock, "").unwrap();
    let other = std::thread::spawn(move || {
        // A git that does something else first; the snapshot finds the lock in any case.
        std::thread::sleep(Duration::from_millis(100));
        fs::remove_file(lock).unwrap();
    });
    worker.write("src/lib.rs", "one\n");
    assert_eq!(worker.world.git(&["rev-parse", "HEAD"]), worker.snapshot().parent);
    other.join().unwrap();
    assert!(worker.substrate.remnants().unwrap().is_empty());
}

#[test]
fn a_snapshot_only_goes_below_refs_ilchul() {
    let worker = worker();
    for name in ["refs/heads/main", "HEAD", "refs/ilchul/", "refs/ilchul/a..b", "refs/ilchul/../heads/x"] {
        let error = worker.substrate.snapshot(&worker.handle, name, "s").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused, "{name}");
    }
}

#[test]
fn flags_that_tell_git_not_to_look_hide_nothing() {
    let worker = worker();
    worker.git(&["update-index", "--assume-unchanged", "src/lib.rs"]);
    worker.git(&["update-index", "--skip-worktree", "README"]);
    let before = worker.tree_id();
    worker.write("src/lib.rs", "hidden\n");
    worker.write("README", "hidden too\n");
    assert_eq!(worker.git(&["status", "--porcelain"]), "", "git itself is blind now");
    assert_ne!(worker.tree_id(), before);
    assert_eq!(worker.snapshot().uncommitted, ["README", "src/lib.rs"]);
}

#[test]
fn a_merge_in_progress_is_captured_as_it_lies() {
    let worker = worker();
    worker.write("README", "ours\n");
    let ours = worker.commit("ours");
    worker.git(&["checkout", "-q", "-b", "side", "HEAD~1"]);
    worker.write("README", "theirs\n");
    worker.commit("theirs");
    worker.git(&["checkout", "-q", &crate::common::branch(&worker.mark)]);
    assert!(!worker.world.try_git(&worker.tree(), &["merge", "-q", "side"]).status.success(), "a conflict");
    let snapshot = worker.snapshot();
    assert_eq!((snapshot.parent.as_str(), snapshot.uncommitted.len()), (ours.as_str(), 1));
    let held = worker.world.git(&["show", &format!("{}:README", snapshot.commit)]);
    assert!(held.contains("<<<<<<<") && held.contains("theirs"), "{held}");
}

#[test]
fn what_a_snapshot_cannot_hold_is_named() {
    let worker = worker();
    worker.write("nested/file", "x\n");
    worker.world.git_at(&worker.tree().join("nested"), &["init", "-q", "."]);
    worker.world.git_at(&worker.tree().join("nested"), &["add", "."]);
    worker.world.git_at(&worker.tree().join("nested"), &["commit", "-q", "-m", "x"]);
    worker.write("plain", "x\n");
    let snapshot = worker.snapshot();
    assert_eq!(snapshot.left_out, ["nested/"]);
    assert!(worker.listed(&snapshot.commit).contains(&"plain".to_owned()));
}

#[test]
fn line_ends_are_converted_as_git_does() {
    let world = World::new();
    world.write(".gitattributes", "*.txt text eol=crlf\n");
    world.write("a.txt", "one\ntwo\n");
    world.git(&["add", "."]);
    world.git(&["commit", "-q", "-m", "crlf"]);
    let (substrate, mark) = (world.open(), mark("fix", 1));
    let handle = world.made(&substrate, &mark);
    let path = world.tree(&mark).join("a.txt");
    assert_eq!(fs::read_to_string(&path).unwrap(), "one\r\ntwo\r\n");
    // Touched, with the same content: no change.
    fs::write(&path, "one\r\ntwo\r\n").unwrap();
    let snapshot = substrate.snapshot(&handle, &reference(&mark), "s").unwrap();
    assert_eq!(snapshot.commit, snapshot.parent);
    fs::write(&path, "one\r\nthree\r\n").unwrap();
    let snapshot = substrate.snapshot(&handle, &reference(&mark), "s").unwrap();
    let stored = world.git(&["cat-file", "-p", &format!("{}:a.txt", snapshot.commit)]);
    assert_eq!(stored, "one\nthree");
}

#[test]
fn e2_the_tree_id_follows_tracked_files_only_and_stores_nothing() {
    let worker = worker();
    let base = worker.world.git(&["rev-parse", "HEAD^{tree}"]);
    assert_eq!(worker.tree_id(), base);
    worker.write("untracked", "x\n");
    let objects = || files(&worker.world.repo.join(".git/objects"));
    let before = objects();
    let seen = worker.substrate.tree_id(&worker.handle).unwrap();
    assert_eq!(
        (seen.tree, seen.untracked, seen.untracked_count),
        (base.clone(), vec!["untracked".to_owned()], 1)
    );
    worker.write("README", "moved while checking\n");
    assert_ne!(worker.tree_id(), base);
    assert_eq!(objects(), before, "nothing was stored");
    worker.git(&["add", "README"]);
    worker.git(&["commit", "-q", "-m", "x"]);
    assert_eq!(worker.tree_id(), worker.git(&["rev-parse", "HEAD^{tree}"]));
    fs::remove_file(worker.tree().join("src/lib.rs")).unwrap();
    worker.git(&["add", "src/lib.rs"]);
    assert_eq!(worker.tree_id(), worker.git(&["write-tree"]));
}

#[test]
fn the_list_of_untracked_files_is_bounded_and_their_number_isnt() {
    let worker = worker();
    for count in 0..ilchul_git_worktree::UNTRACKED_MAX + 5 {
        fs::write(worker.tree().join(format!("u{count:05}")), "").unwrap();
    }
    let seen = worker.substrate.tree_id(&worker.handle).unwrap();
    assert_eq!(seen.untracked.len(), ilchul_git_worktree::UNTRACKED_MAX);
    assert_eq!(seen.untracked_count, ilchul_git_worktree::UNTRACKED_MAX + 5);
}

#[test]
fn a_made_up_cache_of_tree_ids_in_the_index_is_not_believed() {
    let worker = worker();
    let base = worker.world.git(&["rev-parse", "HEAD^{tree}"]);
    worker.write("README", "other\n");
    worker.commit("other");
    let other = worker.git(&["rev-parse", "HEAD^{tree}"]);
    worker.git(&["reset", "-q", "--soft", "HEAD~1"]);
    // The index says now that its files are those of the base.
    let path = worker.world.entry(&worker.mark).join("index");
    let mut bytes = fs::read(&path).unwrap();
    let cache = bytes.windows(4).position(|window| window == b"TREE").unwrap();
    let line = cache + 8 + bytes[cache + 8..].iter().position(|byte| *byte == b'\n').unwrap();
    let oid: Vec<u8> = (0..20).map(|at| u8::from_str_radix(&base[2 * at..2 * at + 2], 16).unwrap()).collect();
    bytes[line + 1..line + 21].copy_from_slice(&oid);
    let body = bytes.len() - 20;
    fs::write(worker.world.root.join("body"), &bytes[..body]).unwrap();
    let sum = std::process::Command::new("sha1sum").arg(worker.world.root.join("body")).output().unwrap();
    let sum = String::from_utf8(sum.stdout).unwrap();
    for at in 0..20 {
        bytes[body + at] = u8::from_str_radix(&sum[2 * at..2 * at + 2], 16).unwrap();
    }
    fs::write(&path, &bytes).unwrap();
    assert_eq!(worker.git(&["write-tree"]), base, "git itself believes it");
    assert_eq!(worker.tree_id(), other);
    let snapshot = worker.snapshot();
    assert_eq!(snapshot.uncommitted, ["README"]);
    assert_eq!(worker.world.git(&["rev-parse", &format!("{}^{{tree}}", snapshot.commit)]), other);
}

#[test]
fn head_tells_where_a_worktree_stands_and_where_its_branch_is() {
    let worker = worker();
    let base = worker.world.head();
    let head = worker.substrate.head(&worker.handle).unwrap();
    assert_eq!((head.commit.as_str(), head.branch_tip.as_deref()), (base.as_str(), Some(base.as_str())));
    assert!(head.on_branch && head.gitfile_intact);
    let work = worker.commit("work");
    assert_eq!(worker.substrate.head(&worker.handle).unwrap().branch_tip, Some(work.clone()));
    worker.git(&["checkout", "-q", "--detach", &base]);
    let head = worker.substrate.head(&worker.handle).unwrap();
    assert_eq!((head.commit, head.branch_tip, head.on_branch), (base, Some(work), false));
    worker.git(&["branch", "-D", "-q", &crate::common::branch(&worker.mark)]);
    let head = worker.substrate.head(&worker.handle).unwrap();
    assert_eq!((head.branch_tip, head.on_branch), (None, false));
    worker.git(&[
        "symbolic-ref",
        &format!("refs/heads/{}", crate::common::branch(&worker.mark)),
        "refs/heads/main",
    ]);
    worker.git(&["symbolic-ref", "HEAD", &format!("refs/heads/{}", crate::common::branch(&worker.mark))]);
    assert!(!worker.substrate.head(&worker.handle).unwrap().on_branch, "an alias isn't the branch");
    fs::write(worker.world.entry(&worker.mark).join("HEAD"), "3".repeat(40)).unwrap();
    assert!(worker.substrate.head(&worker.handle).is_err(), "a commit that isn't stored is no head");
}

#[test]
fn e3_a_diff_counts_lines_and_shows_both_ends_of_a_rename() {
    let worker = worker();
    let base = worker.world.head();
    worker.write("src/lib.rs", "fn a() {}\nfn c() {}\nfn d() {}\n");
    worker.write("blob.bin", "a\0b");
    fs::rename(worker.tree().join("README"), worker.tree().join("MOVED")).unwrap();
    let head = worker.commit("work");
    let stat = worker.substrate.diff(&base, &head).unwrap();
    let rows: Vec<_> =
        stat.files.iter().map(|file| (file.path.as_str(), file.added, file.removed, file.binary)).collect();
    let expected = [
        ("MOVED", 1, 0, false),
        ("README", 0, 1, false),
        ("blob.bin", 0, 0, true),
        ("src/lib.rs", 2, 1, false),
    ];
    assert_eq!(rows, expected);
    assert_eq!((stat.added, stat.removed), (3, 2));
    assert!(worker.substrate.diff(&base, &base).unwrap().files.is_empty());
}

#[test]
fn attributes_written_by_the_judged_do_not_make_a_diff_smaller() {
    let worker = worker();
    let base = worker.world.head();
    worker.write(".gitattributes", "* -diff binary\n");
    worker.write("src/lib.rs", "1\n2\n3\n4\n");
    // Where libgit2 would look for them: in the main checkout and beside the settings.
    worker.world.write(".gitattributes", "* -diff binary\n");
    fs::write(worker.world.repo.join(".git/info/attributes"), "* -diff binary\n").unwrap();
    let head = worker.commit("work");
    let stat = worker.substrate.diff(&base, &head).unwrap();
    let file = stat.files.iter().find(|file| file.path == "src/lib.rs").unwrap();
    assert_eq!((file.added, file.removed, file.binary), (4, 2, false));
}

#[test]
fn a_patch_is_what_git_prints_and_nothing_of_the_repositorys_own_has_a_say_in_it() {
    let worker = worker();
    let base = worker.world.head();
    let canary = worker.world.canary(&worker.world.root.join("tools/differ"));
    let tool = worker.world.root.join("tools/differ");
    for key in ["diff.external", "diff.tool.textconv", "diff.tool.command", "core.pager"] {
        worker.world.git(&["config", key, tool.to_str().unwrap()]);
    }
    worker.write("src/lib.rs", "fn a() {}\nfn c() {}");
    worker.write("blob.bin", "a\0b");
    worker.write("colour.txt", "\u{1b}[31mred\n");
    let plain = worker.commit("work");
    let patch = worker.substrate.patch(&base, &plain, 1 << 20).unwrap();
    let options = ["diff", "--no-ext-diff", "--no-textconv", "--no-renames", "--abbrev=7", &base, &plain];
    let said = worker.world.git(&[&options[..], &["--", "src", "colour.txt"]].concat());
    for line in said.lines() {
        assert!(patch.text.contains(line), "`{line}` isn't in\n{}", patch.text);
    }
    assert!(patch.whole && patch.text.contains("Binary files differ: blob.bin\n"), "{}", patch.text);
    assert!(patch.text.contains("-fn b() {}\n+fn c() {}\n"), "{}", patch.text);

    worker.write(".gitattributes", "* diff=tool binary\n");
    worker.world.write(".gitattributes", "* diff=tool binary\n");
    fs::write(worker.world.repo.join(".git/info/attributes"), "* diff=tool -diff\n").unwrap();
    let hidden = worker.commit("hide");
    let patch = worker.substrate.patch(&base, &hidden, 1 << 20).unwrap();
    assert!(patch.text.contains("-fn b() {}\n+fn c() {}\n"), "{}", patch.text);
    assert!(!canary.exists(), "{}", fs::read_to_string(canary).unwrap());
}

#[test]
fn a_patch_is_cut_at_a_line_and_says_so() {
    let worker = worker();
    let base = worker.world.head();
    worker.write("many", &"another line\n".repeat(1_000));
    let head = worker.commit("work");
    let whole = worker.substrate.patch(&base, &head, 1 << 20).unwrap();
    assert!(whole.whole && whole.text.len() > 14_000);
    let cut = worker.substrate.patch(&base, &head, 2_000).unwrap();
    assert!(!cut.whole && cut.text.len() <= 2_000 && cut.text.len() > 1_900, "{}", cut.text.len());
    assert!(cut.text.ends_with("+another line\n") && whole.text.starts_with(&cut.text));
    let exact = worker.substrate.patch(&base, &head, whole.text.len()).unwrap();
    assert_eq!(exact, whole);
    assert_eq!(
        worker.substrate.patch(&head, &head, 10).unwrap(),
        PatchText { text: String::new(), whole: true }
    );
    assert!(worker.substrate.patch(&base, &"1".repeat(40), 10).is_err());
}

#[test]
fn s19_grafts_replacements_and_commit_graphs_do_not_make_an_ancestor() {
    let worker = worker();
    let base = worker.world.head();
    worker.git(&["checkout", "-q", "--orphan", "other"]);
    let other = worker.commit("other");
    fs::write(worker.world.repo.join(".git/info/grafts"), format!("{other} {base}\n")).unwrap();
    worker.world.git(&["replace", "--graft", &other, &base]);
    worker.world.git(&["commit-graph", "write", "--reachable"]);
    let lied = worker.world.try_git(&worker.world.repo, &["merge-base", "--is-ancestor", &base, &other]);
    assert!(lied.status.success(), "git itself believes it");
    assert!(!worker.substrate.descends(&other, &base).unwrap());
    assert_eq!(
        worker.substrate.diff(&base, &other).unwrap().files.len(),
        0,
        "the same files, read as stored"
    );
}

#[test]
fn descent_is_known_or_an_error() {
    let worker = worker();
    let base = worker.world.head();
    let one = worker.commit("one");
    let two = worker.commit("two");
    let substrate = &worker.substrate;
    assert!(substrate.descends(&two, &base).unwrap() && substrate.descends(&two, &two).unwrap());
    assert!(!substrate.descends(&base, &two).unwrap());
    assert!(substrate.descends(&two, &"1".repeat(40)).is_err());
    assert_eq!(substrate.descends("HEAD", &base).unwrap_err().kind(), ErrorKind::Refused);
    let object = worker.world.repo.join(".git/objects").join(&one[..2]).join(&one[2..]);
    fs::rename(&object, worker.world.root.join("lost")).unwrap();
    assert!(substrate.descends(&two, &base).is_err(), "a missing link is no answer");
    assert!(substrate.descends(&two, &two).unwrap());
    assert!(!substrate.contains_commit(&one).unwrap() && substrate.contains_commit(&two).unwrap());
}

#[test]
fn e3_a_diff_needs_every_object_of_both_commits() {
    let worker = worker();
    let base = worker.world.head();
    worker.write("src/new.rs", "new\n");
    let head = worker.commit("work");
    // Not even a changed one: a file that both sides share.
    let blob = worker.world.git(&["rev-parse", "HEAD:README"]);
    let object = worker.world.repo.join(".git/objects").join(&blob[..2]).join(&blob[2..]);
    fs::rename(&object, worker.world.root.join("lost")).unwrap();
    let error = worker.substrate.diff(&base, &head).unwrap_err();
    assert!(error.to_string().contains("README"), "failed to {error}");
}

#[test]
fn a_file_of_a_commit_is_found_by_its_path() {
    let worker = worker();
    let base = worker.world.head();
    let substrate = &worker.substrate;
    let blob = worker.world.git(&["rev-parse", "HEAD:src/lib.rs"]);
    assert_eq!(substrate.blob_at(&base, Path::new("src/lib.rs")).unwrap(), Some(blob));
    assert_eq!(substrate.blob_at(&base, Path::new("src/none.rs")).unwrap(), None);
    assert_eq!(substrate.blob_at(&base, Path::new("src")).unwrap(), None, "a folder is no file");
    assert!(substrate.blob_at(&"1".repeat(40), Path::new("README")).is_err());
}

#[test]
fn uncommitted_files_are_told_for_the_main_checkout_and_each_worktree() {
    let worker = worker();
    assert!(worker.substrate.uncommitted(&worker.world.repo).unwrap().is_empty());
    worker.world.write("README", "changed\n");
    worker.world.write("src/new.rs", "new\n");
    worker.write("only-here", "x\n");
    assert_eq!(worker.substrate.uncommitted(&worker.world.repo).unwrap(), ["README", "src/new.rs"]);
    assert_eq!(worker.substrate.uncommitted(&worker.tree()).unwrap(), ["only-here"]);
    let error = worker.substrate.uncommitted(&worker.world.root).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
}

#[test]
fn the_drop_box_is_excluded_once_and_other_lines_stay() {
    let worker = worker();
    let path = worker.world.repo.join(".git/info/exclude");
    fs::write(&path, "# mine\n*.mine").unwrap();
    for _ in 0..2 {
        worker.substrate.ensure_excluded().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "# mine\n*.mine\n/.ilchul/\n");
    }
    worker.write(".ilchul/report.json", "{}\n");
    assert_eq!(worker.git(&["status", "--porcelain"]), "");
    fs::remove_dir_all(path.parent().unwrap()).unwrap();
    worker.substrate.ensure_excluded().unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "/.ilchul/\n");
}

#[test]
fn files_with_any_name_are_held() {
    use std::os::unix::ffi::OsStrExt;
    let worker = worker();
    let name = std::ffi::OsStr::from_bytes(b"caf\xe9\n-*[x]");
    fs::write(worker.tree().join(name), "x\n").unwrap();
    let snapshot = worker.snapshot();
    assert!(snapshot.left_out.is_empty(), "{:?}", snapshot.left_out);
    assert_eq!(worker.world.git(&["ls-tree", "--name-only", &snapshot.commit]).lines().count(), 4);
}

#[test]
fn a_patch_id_is_the_one_that_git_says_and_binary_files_have_none() {
    let worker = worker();
    let base = worker.world.head();
    worker.write("src/lib.rs", "fn a() {}\nfn c() {}\nfn d() {}\n");
    worker.write("new.txt", "one\ntwo\n");
    let head = worker.commit("work");
    let stat = worker.substrate.diff(&base, &head).unwrap();
    let script = format!("git diff {base} {head} | git patch-id --stable");
    let output = std::process::Command::new("sh")
        .args(["-c", &script])
        .current_dir(&worker.world.repo)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(stat.patch_id.as_deref(), said.split_whitespace().next());
    assert!(stat.patch_id.is_some());
    assert_eq!(worker.substrate.diff(&base, &base).unwrap().patch_id, None, "nothing has no id");
    worker.write("blob.bin", "a\0b");
    let head = worker.commit("binary");
    assert_eq!(worker.substrate.diff(&base, &head).unwrap().patch_id, None);
}

#[test]
fn a_stored_file_is_read_bounded_and_a_link_is_told_from_what_it_leads_to() {
    let world = World::new();
    std::os::unix::fs::symlink("README", world.repo.join("link")).unwrap();
    world.git(&["add", "."]);
    world.git(&["commit", "-q", "-m", "link"]);
    let (substrate, head) = (world.open(), world.head());
    let read = |path: &str, cap| substrate.file_at(&head, Path::new(path), cap);
    let told = |path: &str| read(path, 6).unwrap().map(|stored| (stored.bytes, stored.link));
    assert_eq!(told("README"), Some((b"hello\n".to_vec(), false)));
    assert_eq!(told("link"), Some((b"README".to_vec(), true)));
    assert_eq!((told("src"), told("none")), (None, None));
    assert_eq!(read("README", 5).unwrap_err().kind(), ErrorKind::Refused);
    assert!(substrate.file_at(&"1".repeat(40), Path::new("README"), 6).is_err());
}

#[test]
fn a_path_of_the_checkout_is_tracked_ignored_or_neither() {
    let world = World::new();
    world.write("ignored/deep/x", "");
    world.write("a.log", "");
    world.write("new", "");
    world.git(&["add", "-f", "a.log"]);
    let paths = ["README", "a.log", "b.log", "ignored/deep/x", "new", "src/none.rs"];
    use ilchul_git_worktree::Standing::{Ignored, Tracked, Untracked};
    let expected = [Tracked, Tracked, Ignored, Ignored, Untracked, Untracked];
    assert_eq!(world.open().standing(&paths).unwrap(), expected);
}
