//! Our own program where every node of a cluster finds it: once for each content, in the home.
//!
//! An update of ilchul then changes nothing under a job that waits or runs. It leaves out
//! taking older ones away: who still runs them isn't known here.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::error::CliError;
use crate::home::{Home, private_dir};

/// What is read at once.
const CHUNK: usize = 1 << 20;

/// The place of `program` in the home; copied there unless it is there already.
///
/// # Errors
/// What the system says.
pub fn program(home: &Home, program: &Path) -> Result<PathBuf, CliError> {
    place(home, program).map_err(|error| {
        CliError::new("program", format!("place `{}` where nodes find it: {error}", program.display()))
            .hint("The home must lie on a file system that every node sees under the same path.")
    })
}

fn place(home: &Home, program: &Path) -> io::Result<PathBuf> {
    let digest = digest(program)?;
    // The folder is named by content and not the file: workers call `ilchul`.
    let folder = home.root().join("bin").join(&digest[..16]);
    let placed = folder.join("ilchul");
    if placed.is_file() && self::digest(&placed)? == digest {
        return Ok(placed);
    }
    private_dir(&folder)?;
    let mut copy = tempfile::NamedTempFile::new_in(&folder)?;
    io::copy(&mut File::open(program)?, &mut copy)?;
    copy.as_file().set_permissions(fs::Permissions::from_mode(0o700))?;
    copy.as_file().sync_all()?;
    // A whole file or none, whoever else places it now.
    copy.persist(&placed).map_err(|error| error.error)?;
    Ok(placed)
}

/// SHA-256 of a file, in hex.
///
/// # Errors
/// What the system says.
pub(super) fn digest(path: &Path) -> io::Result<String> {
    let (mut file, mut hash, mut chunk) = (File::open(path)?, Sha256::new(), vec![0; CHUNK]);
    loop {
        let count = file.read(&mut chunk)?;
        if count == 0 {
            return Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect());
        }
        hash.update(&chunk[..count]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_placed_once_for_each_content_and_a_torn_one_is_mended() {
        let top = tempfile::tempdir().unwrap();
        let (home, source) = (Home::at(top.path().join("home")), top.path().join("p"));
        fs::write(&source, "one").unwrap();
        let first = program(&home, &source).unwrap();
        assert_eq!(first.file_name().unwrap(), "ilchul");
        assert_eq!(program(&home, &source).unwrap(), first);
        fs::write(&first, "on").unwrap();
        assert_eq!(program(&home, &source).unwrap(), first);
        assert_eq!(fs::read_to_string(&first).unwrap(), "one");
        fs::write(&source, "two").unwrap();
        let second = program(&home, &source).unwrap();
        assert_ne!(second, first);
        assert_eq!(fs::read_to_string(&first).unwrap(), "one");
        assert_eq!(fs::metadata(&second).unwrap().permissions().mode() & 0o777, 0o700);
    }
}
