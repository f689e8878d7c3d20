//! The one line that keeps the drop box out of everybody's status.
//!
//! It leaves out `.gitignore` files: those are the repository's content.

use crate::GitWorktree;
use crate::admin::{AdminLock, write_whole};
use ilchul_substrate::Error;
use std::fs;

/// Anchored: a folder of that name deeper down isn't ours.
const LINE: &str = "/.ilchul/";

impl GitWorktree {
    /// Sees to it that git ignores `.ilchul/` at the root of every worktree of
    /// the repository. What else stands in `info/exclude` stays as it is.
    ///
    /// # Errors
    /// When the file can't be read or replaced.
    pub fn ensure_excluded(&self) -> Result<(), Error> {
        let _lock = AdminLock::take(&self.common, self.limits.lock)?;
        let folder = self.common.join("info");
        let wrong = |error| Error::io("exclude `.ilchul/`", format!("`{}`", folder.display()), error);
        fs::create_dir_all(&folder).map_err(wrong)?;
        // A link is followed: replacing it would cut it off from what the user keeps elsewhere.
        let path = folder.join("exclude");
        let path = path.canonicalize().unwrap_or(path);
        crate::plain::common(&self.common)?;
        let mut bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(wrong(error)),
        };
        if bytes.split(|byte| *byte == b'\n').any(|line| line.trim_ascii_end() == LINE.as_bytes()) {
            return Ok(());
        }
        if !bytes.is_empty() && !bytes.ends_with(b"\n") {
            bytes.push(b'\n');
        }
        bytes.extend_from_slice(LINE.as_bytes());
        bytes.push(b'\n');
        write_whole(&path, &bytes)
    }
}
