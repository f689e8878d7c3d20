//! The suite of all substrates, over real git.
//!
//! It leaves out what only worktrees promise; that is in the other files here.

use crate::common::World;
use ilchul_conformance::{Harness, Hosts, conformance};
use ilchul_git_worktree::{Filling, GitWorktree, WorktreeSpec};
use ilchul_substrate::{Handle, Mark};
use std::fs;

struct Worktrees {
    world: World,
    substrate: GitWorktree,
    filling: Filling,
}

impl Worktrees {
    fn new() -> Self {
        Self::filled(Filling::AtOnce)
    }

    fn deferred() -> Self {
        Self::filled(Filling::Deferred)
    }

    fn filled(filling: Filling) -> Self {
        let world = World::new();
        let substrate = world.open();
        Self { world, substrate, filling }
    }
}

impl Harness for Worktrees {
    type S = GitWorktree;

    fn hosts(&self) -> Hosts {
        Hosts::Workspace
    }

    fn substrate(&self) -> &GitWorktree {
        &self.substrate
    }

    fn reopened(&self) -> GitWorktree {
        self.world.open()
    }

    fn run(&self) -> &str {
        crate::common::RUN
    }

    fn lasting(&self, mark: &Mark) -> WorktreeSpec {
        WorktreeSpec { filling: self.filling, ..self.world.spec(mark) }
    }

    fn ending(&self, _mark: &Mark, _exit: i32) -> Option<WorktreeSpec> {
        None
    }

    fn obstruct(&self, mark: &Mark) -> bool {
        let tree = self.world.tree(mark);
        fs::create_dir_all(&tree).unwrap();
        fs::write(tree.join("theirs"), "theirs").unwrap();
        true
    }

    fn obstructed(&self, mark: &Mark) -> Result<(), String> {
        let found = crate::common::files(&self.world.tree(mark));
        let expected = [(self.world.tree(mark).join("theirs"), b"theirs".to_vec())];
        (found == expected).then_some(()).ok_or_else(|| format!("{found:?}"))
    }

    fn lose(&self, handle: &Handle) {
        fs::remove_dir_all(self.world.tree(&handle.mark)).unwrap();
    }

    fn mistaken(&self, handle: &Handle) -> Handle {
        let mut mistaken = handle.clone();
        for name in ["inode", "gitfile"] {
            mistaken.fields.insert(name.to_owned(), "of an earlier one".to_owned());
        }
        mistaken
    }

    fn kept(&self, handle: &Handle) -> Result<(), String> {
        let tree = self.world.tree(&handle.mark);
        let lock = self.world.entry(&handle.mark).join("locked");
        let readme = (self.filling == Filling::AtOnce).then(|| tree.join("README"));
        for path in [Some(tree.join(".git")), readme, Some(lock)].into_iter().flatten() {
            if !path.exists() {
                return Err(path.display().to_string());
            }
        }
        Ok(())
    }
}

conformance!(Worktrees::new);

/// One that somebody else fills is one all the same.
mod to_be_filled {
    use super::Worktrees;

    ilchul_conformance::conformance!(Worktrees::deferred);
}
