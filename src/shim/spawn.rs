//! Starting one child with a clean slate.
//!
//! `posix_spawn` and not `Command`: only it can hand the child an empty signal
//! mask and default dispositions while the shim keeps its own signals blocked,
//! without a moment in which one of them could end the shim. It leaves out a new
//! session or a controlling terminal, which the trampoline makes.

use nix::fcntl::OFlag;
use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, PosixSpawnFlags, posix_spawn};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::stat::Mode;
use nix::unistd::{AccessFlags, Pid, access};
use std::collections::BTreeMap;
use std::ffi::{CString, OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// Where programs are looked for when the environment doesn't say.
const DEFAULT_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// What to start.
#[derive(Debug)]
pub(super) struct Program {
    /// The file, already found.
    pub(super) file: PathBuf,
    /// Its arguments, the name first.
    pub(super) argv: Vec<OsString>,
    /// Its whole environment.
    pub(super) env: BTreeMap<OsString, OsString>,
}

impl Program {
    /// Finds `argv[0]` the way a shell would, in the child's own `PATH`.
    pub(super) fn find(argv: &[OsString], env: BTreeMap<OsString, OsString>) -> io::Result<Self> {
        let name = argv.first().filter(|name| !name.is_empty());
        let name =
            name.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "there is no program to start"))?;
        let file = if name.as_bytes().contains(&b'/') {
            let file = PathBuf::from(name);
            // Asked here and not left to the exec: behind the trampoline its answer would
            // only be an exit code, and a failed start must not look like one.
            file.metadata()?;
            if !is_program(&file) {
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, "it isn't a program"));
            }
            file
        } else {
            let path = env.get(OsStr::new("PATH")).cloned().unwrap_or_else(|| DEFAULT_PATH.into());
            let found = std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| is_program(file));
            found.ok_or_else(|| {
                io::Error::new(io::ErrorKind::NotFound, format!("`{}` isn't in PATH", name.to_string_lossy()))
            })?
        };
        Ok(Self { file, argv: argv.to_vec(), env })
    }

    /// Starts it in its own process group, without input, its output going to `output`.
    pub(super) fn start_in_group(&self, output: &OwnedFd) -> io::Result<Pid> {
        let mut actions = PosixSpawnFileActions::init()?;
        actions.add_open(0, "/dev/null", OFlag::O_RDONLY, Mode::empty())?;
        actions.add_dup2(output.as_raw_fd(), 1)?;
        actions.add_dup2(output.as_raw_fd(), 2)?;
        self.start(&actions, PosixSpawnFlags::POSIX_SPAWN_SETPGROUP)
    }

    /// Starts it with these files and nothing of ours: for the trampoline, which begins its session.
    pub(super) fn start_with(
        &self,
        input: Option<&File>,
        output: &OwnedFd,
        errors: &OwnedFd,
    ) -> io::Result<Pid> {
        let mut actions = PosixSpawnFileActions::init()?;
        match input {
            Some(file) => actions.add_dup2(file.as_raw_fd(), 0)?,
            None => actions.add_open(0, "/dev/null", OFlag::O_RDONLY, Mode::empty())?,
        }
        actions.add_dup2(output.as_raw_fd(), 1)?;
        actions.add_dup2(errors.as_raw_fd(), 2)?;
        self.start(&actions, PosixSpawnFlags::empty())
    }

    /// Starts it with our own terminal or files: for the trampoline, which changes them itself.
    pub(super) fn start_as_is(&self) -> io::Result<Pid> {
        self.start(&PosixSpawnFileActions::init()?, PosixSpawnFlags::empty())
    }

    fn start(&self, actions: &PosixSpawnFileActions, group: PosixSpawnFlags) -> io::Result<Pid> {
        let mut attributes = PosixSpawnAttr::init()?;
        attributes.set_flags(
            group | PosixSpawnFlags::POSIX_SPAWN_SETSIGMASK | PosixSpawnFlags::POSIX_SPAWN_SETSIGDEF,
        )?;
        attributes.set_pgroup(Pid::from_raw(0))?;
        attributes.set_sigmask(&SigSet::empty())?;
        attributes.set_sigdefault(&defaults())?;
        let env =
            self.env.iter().map(|(name, value)| variable(name, value)).collect::<io::Result<Vec<_>>>()?;
        let argv = self.argv.iter().map(|arg| text(arg)).collect::<io::Result<Vec<_>>>()?;
        match posix_spawn(self.file.as_path(), actions, &attributes, &argv, &env) {
            Err(nix::errno::Errno::ENOEXEC) => {
                // A script without a `#!` line: every shell runs it with sh.
                let mut with_shell = vec![c"sh".to_owned(), text(self.file.as_os_str())?];
                with_shell.extend(argv.into_iter().skip(1));
                Ok(posix_spawn(c"/bin/sh", actions, &attributes, &with_shell, &env)?)
            }
            other => Ok(other?),
        }
    }
}

/// What an ancestor may have ignored and a program expects to be default.
fn defaults() -> SigSet {
    let mut set = SigSet::empty();
    for signal in Signal::iterator() {
        // Their dispositions can't be set; asking is an error.
        if !matches!(signal, Signal::SIGKILL | Signal::SIGSTOP) {
            set.add(signal);
        }
    }
    set
}

fn is_program(file: &Path) -> bool {
    access(file, AccessFlags::X_OK).is_ok() && file.is_file()
}

fn text(value: &OsStr) -> io::Result<CString> {
    CString::new(value.as_bytes()).map_err(io::Error::from)
}

fn variable(name: &OsStr, value: &OsStr) -> io::Result<CString> {
    let mut joined = name.to_owned().into_vec();
    joined.push(b'=');
    joined.extend_from_slice(value.as_bytes());
    CString::new(joined).map_err(io::Error::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(argv: &[&str], path: Option<&str>) -> io::Result<Program> {
        let argv: Vec<OsString> = argv.iter().map(OsString::from).collect();
        let env = path.map(|path| ("PATH".into(), path.into())).into_iter().collect();
        Program::find(&argv, env)
    }

    #[test]
    fn programs_are_found_in_the_childs_own_path() {
        assert_eq!(find(&["sh"], Some("/nowhere:/bin")).unwrap().file, Path::new("/bin/sh"));
        assert!(find(&["sh"], None).unwrap().file.ends_with("sh"));
        assert_eq!(find(&["sh"], Some("/nowhere")).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(find(&["/bin/../bin/sh"], None).unwrap().file, Path::new("/bin/../bin/sh"));
        assert_eq!(find(&["./x/y"], None).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(find(&["/etc/passwd"], None).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        assert_eq!(find(&["/etc"], None).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
    }

    #[test]
    fn no_program_is_an_answer() {
        for argv in [&[][..], &[""][..]] {
            assert_eq!(find(argv, None).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        }
    }
}
