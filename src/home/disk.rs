//! What kind of file system a folder lies on: this host's own, or one that several hosts write.
//!
//! By the numbers of `statfs(2)` alone. It leaves out what follows: the journal keeps its rows
//! in another way there, and `doctor` advises.

use std::io;
use std::path::Path;

/// A kind of file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disk {
    /// This host's own.
    Local(&'static str),
    /// One that other hosts see as well.
    Network(&'static str),
    /// A program's: sshfs and Gluster are, and so are some local ones.
    Fuse,
    /// One that isn't known here, by its number.
    Unknown(u64),
}

impl Disk {
    /// The one that `folder`, or the nearest folder above it that exists, lies on.
    ///
    /// # Errors
    /// What the system says.
    pub fn of(folder: &Path) -> io::Result<Self> {
        let there = folder.ancestors().find(|folder| folder.is_dir()).unwrap_or(folder);
        let found = rustix::fs::statfs(there)?;
        // The kernel's numbers are 32 bits wide, whatever C's type for them is.
        Ok(Self::numbered(u64::try_from(found.f_type & 0xffff_ffff).unwrap_or(0)))
    }

    /// Whether another host may have the same file open, so that no memory is shared with it.
    /// A program's file system counts, and one that isn't known: being careful costs time alone.
    #[must_use]
    pub fn may_be_shared(self) -> bool {
        !matches!(self, Self::Local(_))
    }

    /// By its number in `statfs(2)`.
    #[must_use]
    pub fn numbered(number: u64) -> Self {
        let named = |list: &[(u64, &'static str)]| {
            list.iter().find(|(known, _)| *known == number).map(|(_, name)| *name)
        };
        match (named(&NETWORK), named(&LOCAL), number) {
            (Some(name), _, _) => Self::Network(name),
            (None, Some(name), _) => Self::Local(name),
            (None, None, 0x6573_5546) => Self::Fuse,
            (None, None, other) => Self::Unknown(other),
        }
    }
}

const NETWORK: [(u64, &str); 13] = [
    (0x6969, "nfs"),
    (0x517b, "smb"),
    (0xff53_4d42, "cifs"),
    (0xfe53_4d42, "smb2"),
    (0x0102_1997, "9p"),
    (0x00c3_6400, "ceph"),
    (0x5346_414f, "afs"),
    (0x6b41_4653, "afs"),
    (0x0bd0_0bd0, "lustre"),
    (0x4750_4653, "gpfs"),
    (0x1983_0326, "beegfs"),
    (0x7461_636f, "ocfs2"),
    (0x0116_1970, "gfs2"),
];

const LOCAL: [(u64, &str); 8] = [
    (0xef53, "ext4"),
    (0x5846_5342, "xfs"),
    (0x9123_683e, "btrfs"),
    (0x2fc1_2fc1, "zfs"),
    (0xf2f5_2010, "f2fs"),
    (0x0102_1994, "tmpfs"),
    (0x794c_7630, "overlay"),
    (0xca45_1a4e, "bcachefs"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_file_systems_are_named_and_unknown_ones_are_not_called_local() {
        assert_eq!(Disk::numbered(0x6969), Disk::Network("nfs"));
        assert_eq!(Disk::numbered(0xff53_4d42), Disk::Network("cifs"));
        assert_eq!(Disk::numbered(0xef53), Disk::Local("ext4"));
        assert_eq!(Disk::numbered(0x1234), Disk::Unknown(0x1234));
        let shared = [0x6969, 0x0bd0_0bd0, 0x6573_5546].map(|number| Disk::numbered(number).may_be_shared());
        assert_eq!(shared, [true; 3]);
        assert!(!Disk::numbered(0xef53).may_be_shared() && Disk::numbered(0x1234).may_be_shared());
    }

    #[test]
    fn what_isnt_made_yet_lies_where_the_nearest_folder_above_it_does() {
        let top = tempfile::tempdir().unwrap();
        assert_eq!(Disk::of(&top.path().join("a/b")).unwrap(), Disk::of(top.path()).unwrap());
    }
}
