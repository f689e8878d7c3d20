//! What changed between two commits as text, for eyes: bounded, and made by nothing that the
//! repository defines.
//!
//! No program runs for it: no external diff, no text conversion, no pager, and attributes that
//! whoever is looked at wrote hide nothing. It proves nothing, so only what is shown has to be
//! stored. It leaves out making control characters visible, which is for whoever shows it.

use crate::GitWorktree;
use crate::diff::is_binary;
use crate::objects::{links, odb, parse};
use crate::repository::trouble;
use git2::{Delta, DiffOptions, Oid, Patch};
use ilchul_substrate::Error;

const SHOW: &str = "show the changes";

/// The text of a change.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PatchText {
    /// As `git diff` has it; bytes that are no UTF-8 are `U+FFFD`.
    pub text: String,
    /// Nothing was cut off.
    pub whole: bool,
}

impl GitWorktree {
    /// What `head` has other than `base`, both full ids, in at most `cap` bytes and whole lines.
    /// A file with a zero byte near its start is only named.
    ///
    /// # Errors
    /// When a commit, its folders or a file that is shown aren't stored here.
    pub fn patch(&self, base: &str, head: &str, cap: usize) -> Result<PatchText, Error> {
        self.objects_stay()?;
        let repo = self.repository()?;
        let (base, head) = (parse(base)?, parse(head)?);
        let wrong = |error| trouble(SHOW, format!("{base} and {head}"), error);
        let tree = |oid: Oid| repo.find_tree(links(&odb(&repo)?, oid)?.tree).map_err(wrong);
        let mut options = DiffOptions::new();
        options.force_text(true).ignore_submodules(false);
        let (old, new) = (tree(base)?, tree(head)?);
        let diff = repo.diff_tree_to_tree(Some(&old), Some(&new), Some(&mut options)).map_err(wrong)?;
        let mut text = Text { bytes: Vec::new(), cap, whole: true };
        for (index, delta) in diff.deltas().enumerate() {
            if delta.status() == Delta::Unmodified || !text.whole {
                continue;
            }
            let (old, new) = (delta.old_file(), delta.new_file());
            if is_binary(&repo, old.id())? || is_binary(&repo, new.id())? {
                let path = new.path_bytes().or_else(|| old.path_bytes()).unwrap_or_default();
                text.take(&[b"Binary files differ: ", path, b"\n"].concat());
            } else if let Some(mut patch) = Patch::from_diff(&diff, index).map_err(wrong)? {
                text.print(&mut patch).map_err(wrong)?;
            }
        }
        Ok(PatchText { text: String::from_utf8_lossy(&text.bytes).into_owned(), whole: text.whole })
    }
}

/// What has been printed.
struct Text {
    bytes: Vec<u8>,
    cap: usize,
    whole: bool,
}

impl Text {
    /// Takes one more line, if there is room; whether there was.
    fn take(&mut self, line: &[u8]) -> bool {
        self.whole = self.whole && self.bytes.len() + line.len() <= self.cap;
        if self.whole {
            self.bytes.extend_from_slice(line);
        }
        self.whole
    }

    fn print(&mut self, patch: &mut Patch<'_>) -> Result<(), git2::Error> {
        let printed = patch.print(&mut |_, _, line| {
            let sign = match line.origin() {
                '+' => "+",
                '-' => "-",
                ' ' => " ",
                // Headings, and that there is no newline at the end: they have no sign.
                _ => "",
            };
            self.take(&[sign.as_bytes(), line.content()].concat())
        });
        match printed {
            // Our own stop is told as an error.
            Err(_) if !self.whole => Ok(()),
            printed => printed,
        }
    }
}
