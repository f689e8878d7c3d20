//! The commands that bring a vanished worktree back as its snapshot holds it: commits, what was
//! uncommitted, untracked files, the branch.
//!
//! Every reference stands there by its full name, because the short one of the branch means the
//! snapshot as well. It leaves out running any of them: they are the user's to type.

use std::fs;

use ilchul_git_worktree::GitWorktree;
use ilchul_substrate::Handle;

use super::close::quoted;
use crate::engine::event::Snapshot;

/// No object: a reference is only made where there is none.
const NOTHING: &str = "0000000000000000000000000000000000000000";

/// Where the branch of a vanished tree is.
enum Branch {
    /// Where the attempt left it, and nobody else works on it.
    There,
    /// Nowhere.
    Gone,
    /// At another commit, checked out by somebody else, or nobody could look.
    Elsewhere,
}

/// The commands, for the tree of which `reference` keeps the snapshot.
pub(super) fn commands(
    repository: &GitWorktree,
    tree: &Handle,
    (reference, snapshot): (&str, Option<&Snapshot>),
) -> Vec<String> {
    let main = quoted(&repository.main_checkout().display().to_string());
    let path = tree.fields.get("path").cloned().unwrap_or_default();
    let entry = repository.common_dir().join("worktrees").join(tree.mark.to_string());
    let taken = fs::symlink_metadata(&path).is_ok();
    // What was kept again since then has another parent than the journal knows.
    let is_named = |kept: &&Snapshot| matches!(repository.reference(reference), Ok(Some(commit)) if commit == kept.commit);
    let snapshot = snapshot.filter(is_named);
    let branch = format!("refs/heads/{}", tree.fields.get("branch").cloned().unwrap_or_default());
    let place = snapshot.map_or(Branch::Elsewhere, |kept| place_of(repository, tree, (&branch, &kept.tip)));
    let mut commands = Vec::new();
    if let (Branch::Gone, Some(kept)) = (&place, snapshot) {
        commands.push(format!("git -C {main} update-ref {} {} {NOTHING}", quoted(&branch), kept.tip));
    }
    if !taken && entry.is_dir() {
        // Git's own entry is still there, with branch, index and lock: only the files are missing.
        let path = quoted(&path);
        commands.push(format!("mkdir -p {path}"));
        commands.push(format!("git -C {main} worktree repair"));
        commands.push(format!("git -C {path} restore --source={reference} --worktree -- ."));
        return commands;
    }
    let beside = quoted(&if taken { format!("{path}.restored") } else { path });
    commands.push(format!("git -C {main} worktree add --lock --detach {beside} {reference}"));
    let Some(kept) = snapshot else { return commands };
    // What was uncommitted is so again: `HEAD` goes back to where the work left it, the files stay.
    match place {
        Branch::There | Branch::Gone => {
            commands.push(format!("git -C {beside} symbolic-ref HEAD {}", quoted(&branch)));
        }
        Branch::Elsewhere => {
            commands.push(format!("git -C {beside} update-ref --no-deref HEAD {}", kept.tip));
        }
    }
    commands.push(format!("git -C {beside} reset --mixed --quiet"));
    commands
}

fn place_of(repository: &GitWorktree, tree: &Handle, (branch, tip): (&str, &str)) -> Branch {
    match repository.reference(branch) {
        Ok(None) => Branch::Gone,
        Ok(Some(commit)) if commit == tip && !is_in_use(repository, tree, branch) => Branch::There,
        Ok(Some(_)) | Err(_) => Branch::Elsewhere,
    }
}

/// Whether another checkout of the repository has the branch, as far as anybody can tell.
fn is_in_use(repository: &GitWorktree, tree: &Handle, branch: &str) -> bool {
    let common = repository.common_dir();
    let own = common.join("worktrees").join(tree.mark.to_string());
    let entries = fs::read_dir(common.join("worktrees")).into_iter().flatten().flatten();
    let entries = entries.map(|entry| entry.path()).filter(|entry| *entry != own);
    let has = |git_dir: std::path::PathBuf| {
        let head = fs::read_to_string(git_dir.join("HEAD")).unwrap_or_default();
        head.trim_end().strip_prefix("ref: ") == Some(branch)
    };
    entries.chain([common.to_owned()]).any(has)
}
