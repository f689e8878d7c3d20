//! Which tmux server: program, version, socket; and single commands to it.
//!
//! It leaves out the standing connection (`control`) and what the commands are.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use ilchul_substrate::{Error, ErrorKind};
use rustix::process::getuid;

use crate::run::{Answer, NoAnswer, run};

/// How long any one command may take before the server counts as not answering.
pub(crate) const COMMAND_LIMIT: Duration = Duration::from_secs(3);
/// `sun_path` holds 108 bytes, the last one a NUL.
const MAX_SOCKET_PATH: usize = 107;
/// The oldest tmux that has what we use: client flags, `pane_dead_status`, subscriptions.
const OLDEST: (u32, u32) = (3, 2);
/// What a client, and so a server that it starts, may see of our environment: the first
/// client's environment reaches every pane that the user opens there later.
const PASSED_ON: [&str; 17] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "TERM",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "LC_COLLATE",
    "LC_MESSAGES",
    "LC_TIME",
    "TZ",
    "TMPDIR",
    "TMUX_TMPDIR",
    "XDG_CONFIG_HOME",
    "XDG_RUNTIME_DIR",
];

/// Which server to use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Server {
    /// The one that `tmux` without options talks to.
    Default,
    /// The one that `tmux -L label` talks to.
    Label(String),
    /// The one at this socket (`tmux -S path`).
    Socket(PathBuf),
}

impl Server {
    /// The server that the user is in (`$TMUX`), else the default one.
    #[must_use]
    pub fn from_env() -> Self {
        Self::from_tmux(env::var_os("TMUX").as_deref())
    }

    fn from_tmux(tmux: Option<&OsStr>) -> Self {
        // `socket,pid,session`; the path may hold commas itself.
        let text = tmux.map(OsStr::as_bytes).unwrap_or_default();
        let path = text.rsplitn(3, |&byte| byte == b',').nth(2).unwrap_or_default();
        if path.is_empty() { Self::Default } else { Self::Socket(PathBuf::from(OsStr::from_bytes(path))) }
    }

    /// The socket's path, as tmux itself would find it, but never silently another one.
    fn socket(&self, tmpdir: Option<&OsStr>) -> Result<PathBuf, Error> {
        let label = match self {
            Self::Socket(path) => return Ok(path.clone()),
            Self::Default => "default",
            Self::Label(label) => label,
        };
        if label.is_empty() || label.contains('/') || label.contains('\0') || label == "." || label == ".." {
            return Err(refused(format!("`{}` is no label of a server", label.escape_debug())));
        }
        let base = tmpdir.filter(|dir| !dir.is_empty()).unwrap_or(OsStr::new("/tmp"));
        // tmux would fall back to `/tmp` here, and so to another server than the one meant.
        let base = fs::canonicalize(base).map_err(|error| {
            let text = format!("`TMUX_TMPDIR` names `{}`: {error}", Path::new(base).display());
            Error::new(ErrorKind::Unavailable, FIND, text).with_source(error)
        })?;
        Ok(base.join(format!("tmux-{}", getuid().as_raw())).join(label))
    }
}

const FIND: &str = "find tmux server";

fn refused(detail: String) -> Error {
    Error::new(ErrorKind::Refused, FIND, detail)
}

fn unavailable(detail: String) -> Error {
    Error::new(ErrorKind::Unavailable, FIND, detail)
}

/// A program and a socket: everything needed to say something to one server.
#[derive(Debug, Clone)]
pub(crate) struct Tmux {
    program: PathBuf,
    socket: PathBuf,
    config: Option<PathBuf>,
}

impl Tmux {
    /// Checks the program, what it needs, and that the socket can be and is ours.
    pub(crate) fn find(program: &Path, server: &Server) -> Result<Self, Error> {
        let socket = server.socket(env::var_os("TMUX_TMPDIR").as_deref())?;
        check_socket(&socket)?;
        let tmux = Self { program: program.to_owned(), socket, config: None };
        tmux.check_version()?;
        check_env()?;
        Ok(tmux)
    }

    pub(crate) fn with_config(mut self, path: PathBuf) -> Self {
        self.config = Some(path);
        self
    }

    /// The same program, talking to another server.
    pub(crate) fn at(&self, socket: &Path) -> Self {
        Self { program: self.program.clone(), socket: socket.to_owned(), config: None }
    }

    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    /// A client of this server, with nothing of our environment but what [`PASSED_ON`] lists.
    pub(crate) fn client(&self) -> Command {
        let mut command = self.bare();
        if let Some(config) = &self.config {
            command.arg("-f").arg(config);
        }
        command.arg("-S").arg(&self.socket);
        command
    }

    /// Runs one client; a failed command is an answer too.
    pub(crate) fn ask<I: IntoIterator<Item = OsString>>(&self, words: I) -> Result<Answer, NoAnswer> {
        run(self.client().args(words), COMMAND_LIMIT)
    }

    /// The program in a sealed environment, without a server.
    fn bare(&self) -> Command {
        let mut command = Command::new(&self.program);
        let kept = PASSED_ON.iter().filter_map(|name| Some((name, env::var_os(name)?)));
        // A group of its own: Ctrl-C at our terminal is meant for us. `/` pins no directory.
        command.env_clear().envs(kept).current_dir("/").process_group(0);
        command
    }

    /// Asks the program; the server's own version is asked with each look.
    fn check_version(&self) -> Result<(), Error> {
        let answer = run(self.bare().arg("-V"), COMMAND_LIMIT).map_err(|why| self.no_answer(FIND, why))?;
        let text = if answer.out.trim().is_empty() { answer.err.trim() } else { answer.out.trim() };
        supported(text)
    }

    /// The error for a client that gave no answer.
    pub(crate) fn no_answer(&self, action: &'static str, why: NoAnswer) -> Error {
        let program = self.program.display();
        match why {
            NoAnswer::Start(error) if error.kind() == io::ErrorKind::NotFound => {
                Error::new(ErrorKind::Unavailable, action, format!("no program `{program}`"))
                    .with_source(error)
            }
            NoAnswer::Start(error) => {
                Error::new(ErrorKind::Unavailable, action, format!("start `{program}`: {error}"))
                    .with_source(error)
            }
            NoAnswer::Late => Error::new(
                ErrorKind::Unavailable,
                action,
                format!("`{program}` gave no answer in {} s", COMMAND_LIMIT.as_secs()),
            ),
            NoAnswer::Io(error) => Error::io(action, format!("`{program}`"), error),
        }
    }
}

/// Whether this is tmux 3.2 or newer, by what `tmux -V` or `#{version}` says.
pub(crate) fn supported(text: &str) -> Result<(), Error> {
    match version(text) {
        Some(found) if found >= OLDEST => Ok(()),
        Some(_) => Err(unavailable(format!("`{}` is older than tmux 3.2", text.escape_debug()))),
        None => Err(unavailable(format!("`{}` names no version of tmux that is known", text.escape_debug()))),
    }
}

/// `tmux 3.3a`, `next-3.7`, `3.4-rc2`; not `master` and not `openbsd-7.5`, which counts differently.
fn version(text: &str) -> Option<(u32, u32)> {
    let text = text.strip_prefix("tmux ").unwrap_or(text);
    let text = text.strip_prefix("next-").unwrap_or(text);
    let (major, rest) = text.split_once('.')?;
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    Some((major.parse().ok()?, rest.get(..digits)?.parse().ok()?))
}

/// A socket that is there must be ours; a folder that tmux would make is made as tmux makes it.
fn check_socket(socket: &Path) -> Result<(), Error> {
    let shown = socket.display();
    let length = socket.as_os_str().len();
    if length > MAX_SOCKET_PATH {
        return Err(refused(format!(
            "socket path `{shown}` has {length} bytes, the limit is {MAX_SOCKET_PATH}"
        )));
    }
    if !socket.is_absolute() {
        return Err(refused(format!("socket path `{shown}` is relative")));
    }
    // Through links, because the connection goes through them too: its owner is what counts.
    match fs::metadata(socket) {
        Ok(found) if !found.file_type().is_socket() => Err(refused(format!("`{shown}` is no socket"))),
        Ok(found) if found.uid() != getuid().as_raw() => {
            Err(refused(format!("socket `{shown}` belongs to user {}", found.uid())))
        }
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => check_folder(socket),
        Err(error) => {
            Err(Error::new(ErrorKind::Unavailable, FIND, format!("`{shown}`: {error}")).with_source(error))
        }
    }
}

/// `-S` makes no folder, and the one for default sockets is worth our care: in `/tmp`
/// anybody could have made it first, to serve us a socket of their own.
fn check_folder(socket: &Path) -> Result<(), Error> {
    let Some(folder) = socket.parent() else { return Err(refused("the socket has no folder".to_owned())) };
    let shown = folder.display();
    let ours = format!("tmux-{}", getuid().as_raw());
    if folder.file_name() == Some(OsStr::new(&ours)) {
        let made = fs::DirBuilder::new().mode(0o700).create(folder);
        match made {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => {
                return Err(Error::new(ErrorKind::Unavailable, FIND, format!("make `{shown}`: {error}")));
            }
        }
        let found = fs::symlink_metadata(folder)
            .map_err(|error| Error::new(ErrorKind::Unavailable, FIND, format!("`{shown}`: {error}")))?;
        if !found.is_dir() || found.uid() != getuid().as_raw() {
            return Err(refused(format!("`{shown}` belongs to somebody else")));
        }
    }
    if folder.is_dir() { Ok(()) } else { Err(unavailable(format!("`{shown}` is no folder"))) }
}

/// The trampoline that gives a pane exactly its environment and directory needs `-C` and `-S`.
fn check_env() -> Result<(), Error> {
    let mut command = Command::new(crate::make::ENV_PROGRAM);
    command.args(["-i", "-C", "/", "-S", "-- ILCHUL=${ILCHUL}", crate::make::ENV_PROGRAM]).env("ILCHUL", "1");
    match run(&mut command, COMMAND_LIMIT) {
        Ok(answer) if answer.success && answer.out == "ILCHUL=1\n" => Ok(()),
        Ok(_) | Err(_) => {
            let program = crate::make::ENV_PROGRAM;
            Err(unavailable(format!("`{program}` knows no `-C` and `-S` (coreutils 8.30 or newer do)")))
        }
    }
}

/// Whether a server still listens on `socket`, whatever has become of the file.
pub(crate) fn is_bound(socket: &Path) -> bool {
    let table = fs::read("/proc/net/unix").unwrap_or_default();
    bound_in(&table, socket.as_os_str().as_bytes())
}

/// The table keeps the path of a listener even when the file is gone.
fn bound_in(table: &[u8], socket: &[u8]) -> bool {
    // `Num RefCount Protocol Flags Type St Inode Path`; flag 00010000 is "listens".
    table.split(|&byte| byte == b'\n').any(|line| {
        let head = line.strip_suffix(socket).and_then(|head| head.strip_suffix(b" "));
        head.is_some_and(|head| {
            head.split(|&byte| byte == b' ').filter(|word| !word.is_empty()).nth(3) == Some(b"00010000")
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_leniently_and_odd_ones_are_shown() {
        for text in ["tmux 3.2", "tmux 3.3a", "tmux next-3.7", "3.6", "tmux 3.4-rc2", "tmux 10.0"] {
            supported(text).unwrap();
        }
        for text in
            ["tmux 2.9", "tmux 3.1c", "tmux 3.0a", "tmux master", "tmux openbsd-7.5", "", "tmux", "\u{1b}[2J"]
        {
            let error = supported(text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unavailable);
            assert!(error.to_string().contains(&text.escape_debug().to_string()), "{error}");
        }
    }

    #[test]
    fn the_user_s_server_is_the_one_that_tmux_names() {
        let from = |text: &str| Server::from_tmux(Some(OsStr::new(text)));
        assert_eq!(Server::from_tmux(None), Server::Default);
        assert_eq!(from(""), Server::Default);
        assert_eq!(from("junk"), Server::Default);
        assert_eq!(from("/tmp/tmux-0/work,123,0"), Server::Socket("/tmp/tmux-0/work".into()));
        assert_eq!(from("/tmp/a,b/s,123,0"), Server::Socket("/tmp/a,b/s".into()));
    }

    #[test]
    fn a_missing_tmux_tmpdir_is_an_error_and_not_another_server() {
        let error = Server::Default.socket(Some(OsStr::new("/no/such/folder"))).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.to_string().contains("/no/such/folder"), "{error}");
        let uid = getuid().as_raw();
        let label = Server::Label("x".to_owned()).socket(None).unwrap();
        assert!(label.ends_with(format!("tmux-{uid}/x")), "{}", label.display());
        for label in ["", "a/b", "..", "a\0b"] {
            assert_eq!(Server::Label(label.to_owned()).socket(None).unwrap_err().kind(), ErrorKind::Refused);
        }
    }

    #[test]
    fn a_socket_path_that_the_system_can_t_take_is_refused_with_its_size() {
        let error = check_socket(Path::new(&format!("/tmp/{}", "x".repeat(110)))).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused);
        assert!(error.to_string().contains("115 bytes"), "{error}");
    }

    #[test]
    fn what_is_no_socket_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("s");
        fs::write(&file, "").unwrap();
        assert_eq!(check_socket(&file).unwrap_err().kind(), ErrorKind::Refused);
        assert_eq!(check_socket(&folder.path().join("none/s")).unwrap_err().kind(), ErrorKind::Unavailable);
        check_socket(&folder.path().join("later")).unwrap();
    }

    #[test]
    fn a_listener_is_found_by_its_whole_path() {
        let table = b"Num RefCount Protocol Flags Type St Inode Path\n\
            0: 00000002 00000000 00010000 0001 01 18667 /tmp/x/s\n\
            0: 00000003 00000000 00000000 0001 03 18668 /tmp/x/t\n";
        assert!(bound_in(table, b"/tmp/x/s"));
        assert!(!bound_in(table, b"/x/s"));
        assert!(!bound_in(table, b"/tmp/x/t"), "connected, not listening");
    }
}
