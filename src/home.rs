//! The home of a repository: which file is where (contract 2).
//!
//! Names only, and the making of private folders. It leaves out what the files
//! hold, and finding the home from a checkout, which is the command line's.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::OFlag;

pub use disk::Disk;

mod disk;

/// The folder beside a checkout in which everything of ilchul's lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    root: PathBuf,
    /// Said instead of found.
    disk: Option<Disk>,
}

impl Home {
    /// The home at `root`; nothing is looked at or made.
    #[must_use]
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), disk: None }
    }

    /// The same as if it lay on such a file system, whatever it lies on.
    #[must_use]
    pub fn on(self, disk: Disk) -> Self {
        Self { disk: Some(disk), ..self }
    }

    /// The file system that it lies on, or will lie on.
    ///
    /// # Errors
    /// What the system says.
    pub fn disk(&self) -> io::Result<Disk> {
        self.disk.map_or_else(|| Disk::of(&self.root), Ok)
    }

    /// The folder itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The journal.
    #[must_use]
    pub fn journal(&self) -> PathBuf {
        self.root.join("journal.db")
    }

    /// The lock of the one supervisor.
    #[must_use]
    pub fn lock(&self) -> PathBuf {
        self.root.join("supervisor.lock")
    }

    /// The folder whose changes tell a supervisor that a request was written.
    #[must_use]
    pub fn bell(&self) -> PathBuf {
        self.root.join("bell")
    }

    /// Where half-made things of ours that stood in the way are kept.
    #[must_use]
    pub fn quarantine(&self) -> PathBuf {
        self.root.join("quarantine")
    }

    /// Content-addressed evidence.
    #[must_use]
    pub fn blobs(&self) -> PathBuf {
        self.root.join("blobs").join("sha256")
    }

    /// What a person once approved of what the repository would run by itself: a file for
    /// each digest.
    #[must_use]
    pub fn approved(&self, digest: &str) -> PathBuf {
        self.root.join("approved").join(digest)
    }

    /// Everything of one run.
    #[must_use]
    pub fn run(&self, run: &str) -> PathBuf {
        self.root.join("runs").join(run)
    }

    /// The workflow file as it was when the run started.
    #[must_use]
    pub fn workflow(&self, run: &str) -> PathBuf {
        self.run(run).join("workflow.yaml")
    }

    /// The fold that is kept so that a long journal need not be replayed; it may be gone.
    #[must_use]
    pub fn fold(&self, run: &str) -> PathBuf {
        self.run(run).join("fold")
    }

    /// What was last seen of the repository round a run's workers; it may be gone.
    #[must_use]
    pub fn surroundings(&self, run: &str) -> PathBuf {
        self.run(run).join("surroundings")
    }

    /// When that was, on the run's line.
    #[must_use]
    pub fn looked(&self, run: &str) -> PathBuf {
        self.run(run).join("looked")
    }

    /// A worker's worktree. Git names its entry after the last part, so that part is unique.
    #[must_use]
    pub fn tree(&self, run: &str, worker: &str) -> PathBuf {
        self.run(run).join("trees").join(format!("ilchul.{run}.{worker}"))
    }

    /// A worker's folder where it has no worktree.
    #[must_use]
    pub fn scratch(&self, run: &str, worker: &str) -> PathBuf {
        self.run(run).join("scratch").join(worker)
    }

    /// A worker's mail.
    #[must_use]
    pub fn mail(&self, run: &str, worker: &str) -> PathBuf {
        self.run(run).join("mail").join(worker)
    }

    /// A worker's output, as ilchul captured it.
    #[must_use]
    pub fn log(&self, run: &str, worker: &str) -> PathBuf {
        self.run(run).join("logs").join(format!("{worker}.log"))
    }

    /// What the setup of a worker's tree printed. No worker's id ends so: what follows its
    /// last dot is a number.
    #[must_use]
    pub fn setup_log(&self, run: &str, worker: &str) -> PathBuf {
        self.run(run).join("logs").join(format!("{worker}.setup.log"))
    }

    /// Where the evidence commands of a worker leave their output.
    #[must_use]
    pub fn checks(&self, run: &str, worker: &str) -> PathBuf {
        self.run(run).join("checks").join(worker)
    }
}

/// Opens a file of the home: regular, by no link, never waited for. Whoever runs as the same
/// user can put anything in its place (S10, S22).
///
/// # Errors
/// What the system says, and `InvalidInput` for anything else than a regular file.
pub fn open_plain(path: &Path, options: &OpenOptions) -> io::Result<File> {
    let refused = || io::Error::new(io::ErrorKind::InvalidInput, "it isn't a regular file");
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let opened = options.clone().custom_flags(flags.bits()).open(path);
    let file = opened.map_err(|error| match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::ELOOP | Errno::ENXIO | Errno::EISDIR) => refused(),
        Some(_) | None => error,
    })?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(refused()) }
}

/// [`open_plain`], for reading.
///
/// # Errors
/// As [`open_plain`].
pub fn read_plain(path: &Path) -> io::Result<File> {
    open_plain(path, OpenOptions::new().read(true))
}

/// Makes a folder and its missing parents, for their owner only (S13).
///
/// # Errors
/// What the system says, or that something else than a folder is there.
pub fn private_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    // The umask may only take rights away, but an older folder may have had more.
    let metadata = std::fs::symlink_metadata(path)?;
    // Behind a link lies somebody's own folder, whose rights are theirs to give.
    if metadata.is_dir() && metadata.permissions().mode() & 0o077 != 0 {
        std::fs::set_permissions(path, Permissions::from_mode(0o700))?;
    }
    Ok(())
}

/// Makes one folder below a private one that is there already: one call where the general
/// way takes five. A folder that is there is left as it is.
///
/// # Errors
/// What the system says.
pub fn private_child(path: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => private_dir(path),
        made => made,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_named_after_its_mark_so_that_gits_entry_is_unique() {
        let tree = Home::at("/h").tree("20260101-000000-abcd", "fix.2");
        assert_eq!(tree, Path::new("/h/runs/20260101-000000-abcd/trees/ilchul.20260101-000000-abcd.fix.2"));
    }

    #[test]
    fn s13_folders_are_for_their_owner_only() {
        let top = tempfile::tempdir().unwrap();
        let path = top.path().join("a/b");
        private_dir(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        std::fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        private_dir(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn s10_s22_only_a_regular_file_of_that_very_name_is_opened_and_nothing_is_waited_for() {
        let top = tempfile::tempdir().unwrap();
        let at = |name: &str| top.path().join(name);
        std::fs::write(at("real"), "text").unwrap();
        std::os::unix::fs::symlink("real", at("link")).unwrap();
        std::os::unix::fs::symlink("nowhere", at("dangling")).unwrap();
        nix::unistd::mkfifo(&at("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        std::fs::create_dir(at("folder")).unwrap();
        let mut write = OpenOptions::new();
        write.write(true).create(true).truncate(true);
        for name in ["link", "dangling", "fifo", "socket", "folder"] {
            for error in [read_plain(&at(name)).unwrap_err(), open_plain(&at(name), &write).unwrap_err()] {
                assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{name}: {error}");
            }
        }
        assert!(!at("nowhere").exists());
        assert_eq!(io::read_to_string(read_plain(&at("real")).unwrap()).unwrap(), "text");
        assert_eq!(read_plain(&at("none")).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn s22_the_rights_of_what_a_link_leads_to_are_not_changed() {
        let top = tempfile::tempdir().unwrap();
        let (real, link) = (top.path().join("real"), top.path().join("link"));
        std::fs::create_dir(&real).unwrap();
        std::fs::set_permissions(&real, Permissions::from_mode(0o755)).unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        private_dir(&link).unwrap();
        assert_eq!(std::fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o755);
    }
}
