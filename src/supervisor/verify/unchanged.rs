//! `unchanged`: an untrusted task's tree is as it was made.
//!
//! Head and uncommitted files are compared, new ones too: its head is what others start from.
//! What git ignores isn't looked at, so that a build folder refutes nobody. It leaves out a
//! mount that can't be written, which would need more than git.

use super::diff::some;
use super::{Case, Git, refuted, unverifiable, verified};
use crate::engine::event::Snapshot;
use crate::engine::evidence::Checked;

const KIND: &str = "unchanged";

pub(super) fn check(case: &Case) -> Checked {
    let Some(git) = &case.git else { return unverifiable(KIND, "there is no repository to look at") };
    let Some(snapshot) = &git.snapshot else {
        return unverifiable(KIND, "what the tree held couldn't be kept as a commit");
    };
    judge(case, git, snapshot)
        .unwrap_or_else(|why| unverifiable(KIND, why))
        .fact("base", git.base.clone())
        .fact("head", snapshot.commit.clone())
        .fact("uncommitted", snapshot.uncommitted.clone())
}

fn judge(case: &Case, git: &Git, snapshot: &Snapshot) -> Result<Checked, String> {
    if let Some(astray) = case.astray()? {
        return Ok(refuted(KIND, astray));
    }
    let head = git.repository.head(&git.handle).map_err(|error| error.to_string())?;
    if !head.on_branch {
        return Ok(refuted(KIND, "the tree's HEAD isn't on the task's own branch"));
    }
    if snapshot.tip != git.base {
        let reason = format!("an untrusted task made commits: its head is {}, not its base", snapshot.tip);
        return Ok(refuted(KIND, reason));
    }
    if !snapshot.uncommitted.is_empty() {
        let reason = format!("an untrusted task changed its tree: {}", some(&snapshot.uncommitted));
        return Ok(refuted(KIND, reason));
    }
    Ok(verified(KIND, "untrusted, and its tree is as it was made"))
}
