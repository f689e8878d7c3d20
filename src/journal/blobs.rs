//! Content-addressed blobs: `blobs/sha256/<2>/<62>`, written once, never changed.
//!
//! A blob is on the disk, under the hash of the very bytes that were copied, before
//! any row names it (law J1). It leaves out what blobs mean.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use sha2::{Digest, Sha256};

use crate::home::{Home, private_dir, read_plain};

/// A stored blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    /// SHA-256 of its bytes, in lowercase hex.
    pub sha256: String,
    /// Its size in bytes.
    pub bytes: u64,
}

/// Where the blob with this hash is.
#[must_use]
pub fn path(home: &Home, sha256: &str) -> PathBuf {
    let (head, tail) = sha256.split_at_checked(2).unwrap_or((sha256, ""));
    home.blobs().join(head).join(tail)
}

/// Copies at most `cap` bytes of `source` into the store, hashing what is copied.
///
/// # Errors
/// `FileTooLarge` when there is more than `cap`; nothing is stored then.
pub fn keep(home: &Home, source: &mut impl Read, cap: u64) -> io::Result<Blob> {
    let root = home.blobs();
    private_dir(&root)?;
    let mut temporary = tempfile::NamedTempFile::new_in(&root)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 64 * 1024];
    let mut bytes: u64 = 0;
    loop {
        let count = source.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        bytes += count as u64;
        if bytes > cap {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("larger than {cap} bytes")));
        }
        hash.update(&buffer[..count]);
        temporary.write_all(&buffer[..count])?;
    }
    let sha256 = hex(hash);
    let blob = Blob { sha256, bytes };
    let target = path(home, &blob.sha256);
    let folder = target.parent().unwrap_or(&root);
    private_dir(folder)?;
    // What stands under that name is trusted only after a look: a disk may have lost a part
    // of it. The bytes at hand are the right ones, so they take its place.
    if !is_whole(&target, &blob)? {
        temporary.as_file().sync_all()?;
        temporary.persist(&target).map_err(|error| error.error)?;
    }
    // Also where it was there already: whoever wrote it may have died before this.
    File::open(folder)?.sync_all()?;
    File::open(&root)?.sync_all()?;
    Ok(blob)
}

/// Whether the file at `path` is that blob, byte for byte.
///
/// # Errors
/// What the system says; a file that isn't there isn't whole.
pub fn is_whole(path: &Path, blob: &Blob) -> io::Result<bool> {
    let mut file = match read_plain(path) {
        Ok(file) => file,
        // Whatever else stands there gives way to the blob.
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidInput) => {
            return Ok(false);
        }
        Err(error) => return Err(error),
    };
    let metadata = file.metadata()?;
    if metadata.len() != blob.bytes {
        return Ok(false);
    }
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex(hash) == blob.sha256),
            count => hash.update(&buffer[..count]),
        }
    }
}

/// What stands under a hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// The very bytes, and how many.
    Whole(u64),
    /// Nothing.
    Missing,
    /// Something else: what, as a sentence's fragment.
    Other(String),
}

/// Looks at a blob again, copying its bytes to `out` as they are hashed, at most `cap` of them.
///
/// What stands in the store may have been put there by anybody, so no link is followed, no
/// FIFO is waited for, and `out` is to be trusted only once `Whole` was answered.
///
/// # Errors
/// What the system says: a look that failed is no answer.
pub fn inspect(home: &Home, sha256: &str, cap: u64, out: &mut impl Write) -> io::Result<Found> {
    let is_hash =
        sha256.len() == 64 && sha256.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    if !is_hash {
        return Ok(Found::Other("what was recorded is no SHA-256".to_owned()));
    }
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    let mut file = match rustix::fs::open(path(home, sha256), flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(Found::Missing),
        Err(Errno::LOOP | Errno::NXIO) => return Ok(Found::Other("it isn't a regular file".to_owned())),
        Err(error) => return Err(error.into()),
    };
    if !file.metadata()?.is_file() {
        return Ok(Found::Other("it isn't a regular file".to_owned()));
    }
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 64 * 1024];
    let mut bytes: u64 = 0;
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        bytes += count as u64;
        if bytes > cap {
            return Ok(Found::Other(format!("it is larger than the {cap} bytes that are ever kept")));
        }
        hash.update(&buffer[..count]);
        out.write_all(&buffer[..count])?;
    }
    let found = hex(hash);
    Ok(if found == sha256 { Found::Whole(bytes) } else { Found::Other(format!("its SHA-256 is {found}")) })
}

fn hex(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blob_is_found_under_the_hash_of_its_bytes_and_kept_once() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path());
        let blob = keep(&home, &mut &b"evidence"[..], 100).unwrap();
        assert_eq!(blob.bytes, 8);
        assert_eq!(keep(&home, &mut &b"evidence"[..], 100).unwrap(), blob);
        // What `sha256sum` says of the same bytes.
        assert!(blob.sha256.starts_with("ee8250fb76e094b3"), "{}", blob.sha256);
        assert_eq!(std::fs::read(path(&home, &blob.sha256)).unwrap(), b"evidence");
    }

    #[test]
    fn j1_a_blob_that_a_disk_damaged_is_never_trusted_but_written_anew() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path());
        let blob = keep(&home, &mut &b"evidence"[..], 100).unwrap();
        let path = path(&home, &blob.sha256);
        // Other bytes of the same length, a part, nothing: each with the right name.
        for damaged in [&b"evidencE"[..], b"evid", b""] {
            std::fs::write(&path, damaged).unwrap();
            assert!(!is_whole(&path, &blob).unwrap());
            assert_eq!(keep(&home, &mut &b"evidence"[..], 100).unwrap(), blob);
            assert_eq!(std::fs::read(&path).unwrap(), b"evidence");
        }
        assert!(is_whole(&path, &blob).unwrap());
    }

    #[test]
    fn j1_a_whole_blob_is_left_as_it_is() {
        use std::os::unix::fs::MetadataExt;
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path());
        let blob = keep(&home, &mut &b"evidence"[..], 100).unwrap();
        let inode = || std::fs::metadata(path(&home, &blob.sha256)).unwrap().ino();
        let before = inode();
        keep(&home, &mut &b"evidence"[..], 100).unwrap();
        assert_eq!(inode(), before);
    }

    #[test]
    fn j1_a_source_that_fails_halfway_leaves_no_blob() {
        struct Torn;
        impl Read for Torn {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("torn"))
            }
        }
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path());
        keep(&home, &mut (&b"evi"[..]).chain(Torn), 100).unwrap_err();
        assert_eq!(std::fs::read_dir(home.blobs()).unwrap().count(), 0);
    }

    #[test]
    fn e6_a_blob_that_is_looked_at_again_is_whole_missing_or_named_for_what_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path());
        let blob = keep(&home, &mut &b"evidence"[..], 100).unwrap();
        let path = path(&home, &blob.sha256);
        let look = |cap| {
            let mut bytes = Vec::new();
            inspect(&home, &blob.sha256, cap, &mut bytes).map(|found| (found, bytes)).unwrap()
        };
        assert_eq!(look(8), (Found::Whole(8), b"evidence".to_vec()));
        assert!(matches!(look(7).0, Found::Other(why) if why.contains("larger than the 7 bytes")));
        std::fs::write(&path, b"evidencE").unwrap();
        assert!(matches!(look(8).0, Found::Other(why) if why.starts_with("its SHA-256 is ")));
        std::fs::remove_file(&path).unwrap();
        assert_eq!(look(8).0, Found::Missing);
        // The right bytes behind a link aren't the blob, and nobody waits for a FIFO's writer.
        std::fs::write(dir.path().join("real"), b"evidence").unwrap();
        std::os::unix::fs::symlink(dir.path().join("real"), &path).unwrap();
        assert_eq!(look(8).0, Found::Other("it isn't a regular file".to_owned()));
        std::fs::remove_file(&path).unwrap();
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(look(8).0, Found::Other("it isn't a regular file".to_owned()));
        let escape = inspect(&home, "../../../etc/passwd", 8, &mut io::sink()).unwrap();
        assert_eq!(escape, Found::Other("what was recorded is no SHA-256".to_owned()));
    }

    #[test]
    fn s12_what_is_larger_than_the_cap_is_not_stored() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path());
        let error = keep(&home, &mut &b"evidence"[..], 7).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
        assert_eq!(std::fs::read_dir(home.blobs()).unwrap().count(), 0);
    }
}
