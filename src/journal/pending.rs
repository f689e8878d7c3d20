//! Facts that couldn't be recorded, kept as lines beside their run (laws J11a, J11c).
//!
//! For people: nothing reads such a file back, a resumed run looks at the world again. It
//! leaves out what a line says, which is the caller's.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::home::{Home, private_dir};

/// Writes `lines` to `runs/<run>/pending-<stamp>.jsonl`, or, where that can't be written, to
/// the folder for temporary files; on the disk once this returns, for its owner only.
///
/// # Errors
/// What the system says of the second place.
pub fn keep(home: &Home, run: &str, stamp: &str, lines: &str) -> io::Result<PathBuf> {
    let beside = home.run(run);
    let name = format!("pending-{stamp}.jsonl");
    private_dir(&beside)
        .and_then(|()| write(&beside, &name, lines))
        .or_else(|_| write(&std::env::temp_dir(), &format!("ilchul-{run}-{name}"), lines))
}

/// Whole or not at all, and never over a file that is there.
fn write(folder: &Path, name: &str, lines: &str) -> io::Result<PathBuf> {
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(lines.as_bytes())?;
    file.as_file().sync_all()?;
    let path = folder.join(name);
    file.persist_noclobber(&path).map_err(|error| error.error)?;
    File::open(folder)?.sync_all()?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn j11c_pending_facts_are_kept_beside_their_run_for_their_owner_only() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path().join("home"));
        let path = keep(&home, "r", "20260101T000000Z", "{}\n").unwrap();
        assert_eq!(path, home.run("r").join("pending-20260101T000000Z.jsonl"));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{}\n");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn j11c_where_the_run_has_no_room_they_are_kept_with_the_temporary_files_and_never_over_others() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("runs"), "no folder").unwrap();
        let home = Home::at(dir.path());
        // Unique among all that share the folder for temporary files.
        let run = format!("test-{}", uuid::Uuid::new_v4());
        let path = keep(&home, &run, "s", "{}\n").unwrap();
        assert_eq!(path.parent(), Some(std::env::temp_dir().as_path()));
        assert!(keep(&home, &run, "s", "another").is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{}\n");
        std::fs::remove_file(path).unwrap();
    }
}
