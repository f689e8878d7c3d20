//! `diff`: what changed between the task's base and its head (law E3).

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use ilchul_git_worktree::DiffFile;

use super::secrets::is_secret;
use super::{Case, Git, refuted, unverifiable, verified};
use crate::engine::event::Snapshot;
use crate::engine::evidence::Checked;

const KIND: &str = "diff";
/// How many paths a reason names.
const NAMED: usize = 5;
/// How many paths are recorded.
pub(in crate::supervisor) const PATHS_MAX: usize = 1000;

pub(super) struct Rules<'a> {
    pub(super) paths: &'a [String],
    pub(super) max_lines: Option<u64>,
    pub(super) clean: bool,
    pub(super) allow_none: bool,
}

pub(super) fn check(case: &Case, rules: &Rules<'_>) -> Checked {
    let Some(git) = &case.git else { return refuted(KIND, "the task has no worktree") };
    let Some(snapshot) = &git.snapshot else {
        return unverifiable(KIND, "what the tree held couldn't be kept as a commit");
    };
    match judge(case, git, snapshot, rules) {
        Ok(checked) => checked,
        Err(why) => unverifiable(KIND, why),
    }
    .fact("base", git.base.clone())
    .fact("head", snapshot.commit.clone())
    .fact("uncommitted", snapshot.uncommitted.clone())
}

fn judge(case: &Case, git: &Git, snapshot: &Snapshot, rules: &Rules<'_>) -> Result<Checked, String> {
    let trouble = |error: ilchul_substrate::Error| error.to_string();
    if let Some(foreign) = case.foreign_commit() {
        return Ok(refuted(KIND, foreign));
    }
    if let Some(astray) = case.astray()? {
        return Ok(refuted(KIND, astray));
    }
    let head = git.repository.head(&git.handle).map_err(trouble)?;
    if !head.on_branch {
        return Ok(refuted(KIND, "the tree's HEAD isn't on the task's own branch"));
    }
    if !git.repository.descends(&snapshot.commit, &git.base).map_err(trouble)? {
        return Ok(refuted(KIND, "the head doesn't descend from the task's base"));
    }
    if rules.clean && !snapshot.uncommitted.is_empty() {
        return Ok(refuted(KIND, format!("uncommitted: {}", some(&snapshot.uncommitted))));
    }
    let stat = git.repository.diff(&git.base, &snapshot.commit).map_err(trouble)?;
    let names: Vec<String> = stat.files.iter().map(|file| file.path.clone()).collect();
    let lines = u64::try_from(stat.added + stat.removed).unwrap_or(u64::MAX);
    let facts = |checked: Checked| {
        checked
            .fact("files", names.len())
            .fact("added", stat.added)
            .fact("removed", stat.removed)
            .fact("patch_id", stat.patch_id.clone())
            .fact("paths", names.iter().take(PATHS_MAX).cloned().collect::<Vec<_>>())
    };
    if names.is_empty() {
        let checked = if rules.allow_none {
            verified(KIND, "nothing changed, which is allowed")
        } else {
            refuted(KIND, "nothing changed")
        };
        return Ok(facts(checked));
    }
    if !rules.paths.is_empty() {
        let allowed = globs(rules.paths)?;
        let outside: Vec<String> = names.iter().filter(|name| !allowed.is_match(name)).cloned().collect();
        if !outside.is_empty() {
            return Ok(facts(refuted(KIND, format!("outside of `paths`: {}", some(&outside)))));
        }
    }
    // A removed secret is a good change. Who wants one in says so by its whole name, not by a pattern.
    let stray = |file: &&DiffFile| !file.gone && is_secret(&file.path) && !rules.paths.contains(&file.path);
    let secrets: Vec<String> = stat.files.iter().filter(stray).map(|file| file.path.clone()).collect();
    if !secrets.is_empty() {
        let reason = format!("looks like a secret, and `paths` doesn't name it: {}", some(&secrets));
        return Ok(facts(refuted(KIND, reason)));
    }
    if let Some(most) = rules.max_lines.filter(|most| lines > *most) {
        return Ok(facts(refuted(KIND, format!("{lines} changed lines, at most {most} are allowed"))));
    }
    let files = if names.len() == 1 { "1 file".to_owned() } else { format!("{} files", names.len()) };
    Ok(facts(verified(KIND, format!("{files}, +{} -{}", stat.added, stat.removed))))
}

fn globs(patterns: &[String]) -> Result<GlobSet, String> {
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        let glob = GlobBuilder::new(pattern).literal_separator(true).build();
        set.add(glob.map_err(|error| error.to_string())?);
    }
    set.build().map_err(|error| error.to_string())
}

pub(super) fn some(names: &[String]) -> String {
    let more = names.len().saturating_sub(NAMED);
    let named = names.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    if more == 0 { named } else { format!("{named} and {more} more") }
}
