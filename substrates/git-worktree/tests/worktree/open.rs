//! Which repositories are taken, and what is said of the others.

use crate::common::World;
use ilchul_git_worktree::GitWorktree;
use ilchul_substrate::{ErrorKind, Substrate};
use std::fs;
use std::path::Path;
use std::process::Command;

#[track_caller]
fn refused(world: &World, repo: &Path, words: &str) {
    let error = GitWorktree::open(repo, world.home.join("quarantine")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused, "failed to {error}");
    assert!(error.to_string().contains(words), "`{words}` in: failed to {error}");
    assert!(!world.home.exists(), "nothing was made");
}

#[test]
fn a_repository_is_found_from_any_folder_and_from_a_linked_worktree() {
    let world = World::new();
    let linked = world.root.join("linked");
    world.git(&["worktree", "add", "-q", linked.to_str().unwrap(), "-b", "side"]);
    for at in [world.repo.clone(), world.repo.join("src"), linked.join("src"), world.repo.join(".git")] {
        let substrate = GitWorktree::open(&at, world.home.join("quarantine")).unwrap();
        assert_eq!(substrate.common_dir(), world.repo.join(".git"), "{}", at.display());
        assert_eq!(substrate.main_checkout(), world.repo);
    }
}

#[test]
fn head_means_the_head_of_the_checkout_that_one_stands_in() {
    let world = World::new();
    let linked = world.root.join("linked");
    world.git(&["worktree", "add", "-q", linked.to_str().unwrap(), "-b", "side"]);
    world.git_at(&linked, &["commit", "-q", "--allow-empty", "-m", "side"]);
    let side = world.git(&["rev-parse", "side"]);
    let there = GitWorktree::open(&linked, world.home.join("quarantine")).unwrap();
    assert_eq!(there.resolve_commit("HEAD").unwrap(), side);
    let here = world.open();
    assert_eq!(here.resolve_commit("HEAD").unwrap(), world.head());
    assert_eq!(here.resolve_commit("side").unwrap(), side);
    assert_eq!(here.resolve_commit("side~1").unwrap(), world.head());
    for nothing in ["nothing", "", "HEAD:README", "--all"] {
        assert_eq!(here.resolve_commit(nothing).unwrap_err().kind(), ErrorKind::Refused, "{nothing}");
    }
}

#[test]
fn what_no_worktree_can_be_made_from_is_refused_with_the_reason() {
    let world = World::bare_world();
    refused(&world, &world.repo, "no git repository");
    refused(&world, &world.root.join("missing"), "no git repository");
    world.git(&["init", "-q", "."]);
    refused(&world, &world.repo, "no commit yet");
    let bare = world.root.join("bare");
    world.git(&["init", "-q", "--bare", bare.to_str().unwrap()]);
    refused(&world, &bare, "bare");
}

#[test]
fn a_worktree_of_a_bare_repository_is_refused_as_bare() {
    let world = World::new();
    let (bare, linked) = (world.root.join("bare"), world.root.join("linked"));
    world.git(&["clone", "-q", "--bare", ".", bare.to_str().unwrap()]);
    world.git_at(&bare, &["worktree", "add", "-q", linked.to_str().unwrap(), "main"]);
    refused(&world, &linked, "bare");
}

#[test]
fn forms_that_libgit2_cannot_read_are_named() {
    for option in ["--ref-format=reftable", "--object-format=sha256"] {
        let world = World::bare_world();
        world.git(&["init", "-q", option, "."]);
        world.git(&["commit", "-q", "--allow-empty", "-m", "first"]);
        refused(&world, &world.repo, "isn't supported (reftable or sha256)");
    }
}

#[test]
fn a_repository_whose_path_is_no_plain_text_is_refused() {
    use std::os::unix::ffi::OsStrExt;
    for name in [&b"new\nline"[..], b"caf\xe9"] {
        let world = World::new();
        let odd = world.root.join(std::ffi::OsStr::from_bytes(name));
        fs::rename(&world.repo, &odd).unwrap();
        refused(&world, &odd, "isn't plain UTF-8");
    }
}

#[test]
fn a_repository_of_somebody_else_is_refused_with_what_to_do() {
    let world = World::new();
    let other = nix::unistd::Uid::from_raw(12345);
    // Only root can give files away; elsewhere the promise is kept by git's own tests of ownership.
    let given =
        ["", ".git"].iter().all(|part| nix::unistd::chown(&world.repo.join(part), Some(other), None).is_ok());
    if given {
        refused(&world, &world.repo, "safe.directory");
    } else {
        assert!(!nix::unistd::geteuid().is_root());
    }
}

#[test]
fn a_shallow_clone_serves() {
    let world = World::new();
    world.git(&["commit", "-q", "--allow-empty", "-m", "second"]);
    let clone = world.root.join("clone");
    let url = format!("file://{}", world.repo.display());
    world.git_at(&world.root, &["clone", "-q", "--depth=1", &url, clone.to_str().unwrap()]);
    let substrate = GitWorktree::open(&clone, world.home.join("quarantine")).unwrap();
    let mark = crate::common::mark("fix", 1);
    let handle = substrate.ensure(&mark, &world.spec(&mark)).unwrap();
    fs::write(world.tree(&mark).join("README"), "x\n").unwrap();
    let snapshot = substrate.snapshot(&handle, &crate::common::reference(&mark), "s").unwrap();
    assert!(substrate.descends(&snapshot.commit, &world.head()).unwrap());
    assert!(
        substrate.descends(&world.head(), &snapshot.commit).is_err(),
        "where history ends nothing is known"
    );
}

/// The body of the next test, run by it in a process with a poisoned environment.
#[test]
fn s3_inner_part_for_a_poisoned_environment() {
    let Ok(root) = std::env::var("ILCHUL_TEST_ROOT") else { return };
    let root = Path::new(&root);
    let substrate = GitWorktree::open(&root.join("repo"), root.join("quarantine")).unwrap();
    let mark = crate::common::mark("fix", 1);
    let spec = ilchul_git_worktree::WorktreeSpec {
        path: root.join("trees").join(mark.to_string()),
        branch: Some(crate::common::branch(&mark)),
        base: substrate.resolve_commit("HEAD").unwrap(),
        reason: "r".to_owned(),
        filling: ilchul_git_worktree::Filling::AtOnce,
    };
    let handle = substrate.ensure(&mark, &spec).unwrap();
    fs::write(spec.path.join("README"), "changed\n").unwrap();
    let snapshot = substrate.snapshot(&handle, &crate::common::reference(&mark), "s").unwrap();
    assert_eq!(snapshot.uncommitted, ["README"]);
    fs::write(root.join("passed"), "").unwrap();
}

#[test]
fn s3_a_poisoned_environment_without_a_home_changes_nothing() {
    let (world, other) = (World::new(), World::new());
    let fired = world.canary(&world.root.join("bin/evil"));
    let evil = world.root.join("bin/evil");
    let (evil, git_dir) = (evil.to_str().unwrap(), other.repo.join(".git"));
    let git_dir = git_dir.to_str().unwrap();
    let mut inner = Command::new(std::env::current_exe().unwrap());
    inner
        .args(["--exact", "open::s3_inner_part_for_a_poisoned_environment"])
        .env("ILCHUL_TEST_ROOT", &world.root);
    inner.env_remove("HOME").env_remove("XDG_CONFIG_HOME").env_remove("USER");
    for (name, value) in [
        ("GIT_DIR", git_dir),
        ("GIT_COMMON_DIR", git_dir),
        ("GIT_WORK_TREE", other.repo.to_str().unwrap()),
        ("GIT_INDEX_FILE", "/nonexistent/index"),
        ("GIT_OBJECT_DIRECTORY", "/nonexistent/objects"),
        ("GIT_CONFIG_PARAMETERS", "'core.hooksPath'='/nonexistent'"),
        ("GIT_CONFIG_COUNT", "1"),
        ("GIT_CONFIG_KEY_0", "core.fsmonitor"),
        ("GIT_CONFIG_VALUE_0", evil),
        ("GIT_CONFIG_GLOBAL", "/nonexistent/config"),
        ("GIT_NAMESPACE", "evil"),
        ("GIT_EXTERNAL_DIFF", evil),
        ("GIT_SSH_COMMAND", evil),
        ("GIT_EXEC_PATH", "/nonexistent"),
        ("GIT_TRACE", "/nonexistent/trace"),
        ("GIT_CEILING_DIRECTORIES", "/"),
        ("GIT_PREFIX", "evil/"),
        ("GIT_REF_PARANOIA", "x"),
    ] {
        inner.env(name, value);
    }
    let output = inner.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(world.root.join("passed").exists(), "the inner part ran");
    assert!(!fired.exists());
    assert_eq!(other.git(&["worktree", "list"]).lines().count(), 1, "the other repository was not touched");
}
