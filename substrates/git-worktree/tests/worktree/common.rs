//! A repository with real git in a private world, for all tests of this crate.
//!
//! It leaves out mocks: what is promised is promised about git.

use ilchul_git_worktree::{Filling, GitWorktree, WorktreeSpec};
use ilchul_substrate::{Handle, Mark, Observation, State, Substrate};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

pub const RUN: &str = "r1";

pub struct World {
    _dir: tempfile::TempDir,
    pub root: PathBuf,
    pub repo: PathBuf,
    pub home: PathBuf,
}

impl World {
    /// A checkout with two commits' worth of small files.
    pub fn new() -> Self {
        let world = Self::bare_world();
        world.git(&["init", "-q", "-b", "main", "."]);
        world.write("src/lib.rs", "fn a() {}\nfn b() {}\n");
        world.write("README", "hello\n");
        world.write(".gitignore", "ignored/\n*.log\n");
        world.git(&["add", "."]);
        world.git(&["commit", "-q", "-m", "first"]);
        world
    }

    /// The folders only; the repository is the test's.
    pub fn bare_world() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let (repo, home) = (root.join("repo"), root.join("repo.ilchul"));
        fs::create_dir_all(&repo).unwrap();
        fs::create_dir_all(root.join("userhome")).unwrap();
        Self { _dir: dir, root, repo, home }
    }

    pub fn command(&self, at: &Path) -> Command {
        let mut command = Command::new("git");
        for (name, _) in std::env::vars_os() {
            if name.as_encoded_bytes().starts_with(b"GIT_") {
                command.env_remove(name);
            }
        }
        command.env("HOME", self.root.join("userhome")).env("GIT_CONFIG_NOSYSTEM", "1");
        command.args(["-c", "user.name=t", "-c", "user.email=t@localhost", "-c", "commit.gpgsign=false"]);
        command.current_dir(at);
        command
    }

    pub fn try_git(&self, at: &Path, args: &[&str]) -> Output {
        self.command(at).args(args).output().unwrap()
    }

    pub fn git_at(&self, at: &Path, args: &[&str]) -> String {
        let output = self.try_git(at, args);
        let words = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "git {args:?}: {words}");
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }

    pub fn git(&self, args: &[&str]) -> String {
        self.git_at(&self.repo, args)
    }

    pub fn write(&self, path: &str, text: &str) {
        let path = self.repo.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub fn head(&self) -> String {
        self.git(&["rev-parse", "HEAD"])
    }

    pub fn open(&self) -> GitWorktree {
        GitWorktree::open(&self.repo, self.home.join("quarantine")).unwrap()
    }

    pub fn tree(&self, mark: &Mark) -> PathBuf {
        self.home.join("runs").join(mark.run()).join("trees").join(mark.to_string())
    }

    pub fn entry(&self, mark: &Mark) -> PathBuf {
        self.repo.join(".git/worktrees").join(mark.to_string())
    }

    pub fn spec(&self, mark: &Mark) -> WorktreeSpec {
        WorktreeSpec {
            path: self.tree(mark),
            branch: Some(branch(mark)),
            base: self.head(),
            reason: format!("ilchul: in use by {mark}"),
            filling: Filling::AtOnce,
        }
    }

    pub fn made(&self, substrate: &GitWorktree, mark: &Mark) -> Handle {
        substrate.ensure(mark, &self.spec(mark)).unwrap()
    }

    /// A program at `path` that leaves a file behind when it is run.
    pub fn canary(&self, path: &Path) -> PathBuf {
        let fired = self.root.join("fired");
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, format!("#!/bin/sh\necho \"$0 $*\" >> {}\ncat\n", fired.display())).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        fired
    }
}

pub fn mark(task: &str, attempt: u32) -> Mark {
    Mark::new(RUN, task, attempt).unwrap()
}

pub fn branch(mark: &Mark) -> String {
    format!("ilchul/{}/{}", mark.run(), mark.worker())
}

pub fn reference(mark: &Mark) -> String {
    format!("refs/ilchul/{}/{}", mark.run(), mark.worker())
}

pub fn state(substrate: &GitWorktree, handle: &Handle) -> State {
    let [Observation { state, .. }] = substrate.observe(std::slice::from_ref(handle)).try_into().unwrap();
    state
}

/// All files below `root` with their bytes, `.git` of the tree included.
pub fn files(root: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            } else {
                found.push((entry.path(), fs::read(entry.path()).unwrap_or_default()));
            }
        }
    }
    found.sort();
    found
}
