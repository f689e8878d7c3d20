//! What changed between two commits, counted so that a worker can't talk it smaller.
//!
//! Attributes, text conversion and rename detection are off: the first two are
//! written by whoever is judged, the third would hide the path that a file left.
//! It leaves out bounds on paths and sizes; those are the caller's.

use crate::GitWorktree;
use crate::objects::{complete, links, odb, parse};
use crate::repository::trouble;
use git2::{Delta, DiffOptions, Oid, Patch, Repository};
use ilchul_substrate::Error;

const COMPARE: &str = "compare commits";

/// From this size on, in bytes, a file counts as binary: nobody reads its lines.
const TEXT_MAX: usize = 32 * 1024 * 1024;

/// How far git looks for a zero byte, which makes a file binary.
const BINARY_WINDOW: usize = 8000;

/// One changed path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiffFile {
    /// Relative to the repository's root; what isn't UTF-8 in it is shown as `U+FFFD`.
    pub path: String,
    /// Lines added; 0 where `binary`.
    pub added: usize,
    /// Lines removed; 0 where `binary`.
    pub removed: usize,
    /// One of its sides holds a zero byte near its start, or is huge. A zero byte
    /// can be put into any file: whoever limits lines must decide about these.
    pub binary: bool,
    /// It isn't there any more.
    pub gone: bool,
}

/// All that changed. A renamed file is a removed and an added one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DiffStat {
    /// By path.
    pub files: Vec<DiffFile>,
    /// Lines added in all files together.
    pub added: usize,
    /// Lines removed in all files together.
    pub removed: usize,
    /// What `git patch-id --stable` says of the same change: equal for the same patch on
    /// another commit. None where a file is binary, whose lines nobody reads.
    pub patch_id: Option<String>,
}

impl GitWorktree {
    /// What `head` has other than `base`; both are full ids.
    ///
    /// # Errors
    /// When any object of the two commits isn't stored here: then nothing is known.
    pub fn diff(&self, base: &str, head: &str) -> Result<DiffStat, Error> {
        self.objects_stay()?;
        let repo = self.repository()?;
        let (base, head) = (parse(base)?, parse(head)?);
        complete(&repo, base)?;
        complete(&repo, head)?;
        let wrong = |error| trouble(COMPARE, format!("{base} and {head}"), error);
        let tree = |oid: Oid| repo.find_tree(links(&odb(&repo)?, oid)?.tree).map_err(wrong);
        let mut options = DiffOptions::new();
        options.force_text(true).ignore_submodules(false).context_lines(0);
        let (old, new) = (tree(base)?, tree(head)?);
        let diff = repo.diff_tree_to_tree(Some(&old), Some(&new), Some(&mut options)).map_err(wrong)?;
        let mut stat = DiffStat::default();
        for (index, delta) in diff.deltas().enumerate() {
            if delta.status() == Delta::Unmodified {
                continue;
            }
            let (old, new) = (delta.old_file(), delta.new_file());
            let bytes = new.path_bytes().or_else(|| old.path_bytes()).unwrap_or_default();
            let path = String::from_utf8_lossy(bytes).into_owned();
            let binary = is_binary(&repo, old.id())? || is_binary(&repo, new.id())?;
            let (mut added, mut removed) = (0, 0);
            if !binary && let Some(patch) = Patch::from_diff(&diff, index).map_err(wrong)? {
                (_, added, removed) = patch.line_stats().map_err(wrong)?;
            }
            stat.added += added;
            stat.removed += removed;
            let gone = delta.status() == Delta::Deleted;
            stat.files.push(DiffFile { path, added, removed, binary, gone });
        }
        stat.files.sort_by(|a, b| a.path.cmp(&b.path));
        if !stat.files.is_empty() && stat.files.iter().all(|file| !file.binary) {
            // Patch ids are compared with those of others, who have git's three lines around a change.
            options.context_lines(3);
            let diff = repo.diff_tree_to_tree(Some(&old), Some(&new), Some(&mut options)).map_err(wrong)?;
            stat.patch_id = Some(diff.patchid(None).map_err(wrong)?.to_string());
        }
        Ok(stat)
    }
}

/// Whether a side's content is binary; a side that isn't there isn't, nor is a submodule's commit.
pub(crate) fn is_binary(repo: &Repository, oid: Oid) -> Result<bool, Error> {
    let wrong = |error| trouble(COMPARE, format!("file {oid}"), error);
    let odb = odb(repo)?;
    if oid.is_zero() || !odb.exists(oid) {
        return Ok(false);
    }
    let (size, _) = odb.read_header(oid).map_err(wrong)?;
    if size > TEXT_MAX {
        return Ok(true);
    }
    let object = odb.read(oid).map_err(wrong)?;
    Ok(object.data().iter().take(BINARY_WINDOW).any(|byte| *byte == 0))
}
