//! A machine behind ssh: one link for all calls, kept open by ssh's own master.
//!
//! The user's ssh configuration holds: keys, jumps, ports are ssh's. It leaves out keeping a
//! master alive by hand: the first call that needs one makes it.

use std::ffi::{OsStr, OsString};
use std::fs::{DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};

use super::{Call, Host, HostError, Input, MARK, Past, Ran, gist, quote, run};

/// The exit code by which ssh says that it failed itself.
const OWN_FAILURE: i32 = 255;
/// The longest folder of sockets: a socket's path has 107 bytes, of which ssh's own name for one
/// takes 58.
const FOLDER_MAX: usize = 45;

/// A machine behind ssh.
#[derive(Debug, Clone)]
pub struct Ssh {
    program: PathBuf,
    destination: String,
    sockets: PathBuf,
    /// There is a terminal on which ssh may ask.
    asks: bool,
}

/// Why a machine wasn't reached, as far as ssh's words tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Its name leads nowhere.
    Name,
    /// Nobody answers: the network, the machine, or its sshd.
    Silent,
    /// Its key is unknown, or another one than before.
    Key,
    /// It doesn't let us in.
    Denied,
    /// Our words were never run: its login shell, or what it is forced to.
    Shell,
    /// Anything else.
    Other,
}

/// Whether ssh takes `name` for a destination, and for nothing else.
#[must_use]
pub fn is_name(name: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_graphic() && !"'\"`$\\;&|<>(){}*?!".contains(c);
    !name.is_empty() && !name.starts_with('-') && name.chars().all(is_plain)
}

/// The folder of the links' sockets, for us alone.
///
/// # Errors
/// When it is another's, or can't be made.
pub fn control_folder(runtime: Option<&Path>, uid: u32) -> io::Result<PathBuf> {
    let plain = |path: &&Path| {
        let text = path.as_os_str().as_encoded_bytes();
        let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/._-".contains(byte);
        path.is_absolute() && path.is_dir() && text.len() < FOLDER_MAX - 7 && text.iter().all(is_plain)
    };
    let folder = match runtime.filter(plain) {
        Some(runtime) => runtime.join("ilchul"),
        None => PathBuf::from(format!("/tmp/ilchul-{uid}")),
    };
    match DirBuilder::new().mode(0o700).create(&folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        Ok(()) | Err(_) => {}
    }
    // Whoever owns the folder could hand us a link of their own.
    let found = std::fs::symlink_metadata(&folder)?;
    if found.is_dir() && found.uid() == uid && found.mode() & 0o077 == 0 {
        return Ok(folder);
    }
    let why = format!("`{}` isn't a folder of yours that nobody else may enter", folder.display());
    Err(io::Error::new(io::ErrorKind::PermissionDenied, why))
}

impl Ssh {
    /// The machine that `destination` names to the `ssh` at `program`; its link in `sockets`.
    #[must_use]
    pub fn new((program, sockets): (PathBuf, PathBuf), destination: &str, asks: bool) -> Self {
        Self { program, destination: destination.to_owned(), sockets, asks }
    }

    /// Its name for ssh.
    #[must_use]
    pub fn destination(&self) -> &str {
        &self.destination
    }

    /// The command that runs `script` there, on a terminal or without.
    ///
    /// # Errors
    /// [`HostError::Words`].
    pub fn command(&self, script: &OsStr, terminal: bool) -> Result<Command, HostError> {
        let argv = self.argv(script, terminal)?;
        let mut command = Command::new(&self.program);
        command.args(&argv[1..]);
        Ok(command)
    }

    fn argv(&self, script: &OsStr, terminal: bool) -> Result<Vec<OsString>, HostError> {
        let line = quote::line(script)?;
        let mut argv = vec![self.program.clone().into_os_string()];
        let path = format!("ControlPath={}/%C", self.sockets.display());
        let batch = if self.asks { "BatchMode=no" } else { "BatchMode=yes" };
        let options = [
            "ControlMaster=auto",
            "ControlPersist=10m",
            &path,
            "ServerAliveInterval=5",
            "ServerAliveCountMax=3",
            "ConnectTimeout=5",
            // What ssh says of its own accord isn't the program's; errors stay.
            "LogLevel=ERROR",
            batch,
        ];
        for option in options {
            argv.extend(["-o".into(), option.into()]);
        }
        argv.push(if terminal { "-t" } else { "-T" }.into());
        argv.extend(["--".into(), self.destination.clone().into(), line.into()]);
        Ok(argv)
    }

    /// What ssh's end means, after `before` was said and nothing of ours was run.
    #[must_use]
    pub fn unreached(code: i32, words: &[u8]) -> HostError {
        if code != OWN_FAILURE {
            let why = format!("its login shell ended with {code} before it ran anything: {}", gist(words));
            return HostError::Unreached(Trouble::Shell, why);
        }
        HostError::Unreached(trouble(&String::from_utf8_lossy(words)), gist(words))
    }

    /// Whether ssh itself failed.
    #[must_use]
    pub fn is_own_failure(code: i32) -> bool {
        code == OWN_FAILURE
    }

    fn call(&self, script: &OsStr, input: Input, limit: std::time::Duration) -> Result<Ran, HostError> {
        let ran = run::run(self.command(&marked(script), false)?, input, limit)?;
        let mut out = Past::default();
        let stdout = out.feed(&ran.stdout).to_vec();
        judged(out.said().is_some(), Ran { stdout, ..ran })
    }

    /// Runs a program to its end; what it prints goes into `file`, however much it is.
    ///
    /// # Errors
    /// As [`Host::run`], and where the file can't take it.
    pub fn run_into(&self, call: Call<'_>, mut file: File) -> Result<Ran, HostError> {
        let command = self.command(&marked(&quote::exec(call.argv)), false)?;
        let kept = Arc::new(Mutex::new((Past::default(), Ok(()))));
        let shared = kept.clone();
        let each = move |piece: &[u8]| {
            let mut kept = shared.lock().unwrap_or_else(PoisonError::into_inner);
            kept.1 = file.write_all(kept.0.feed(piece));
            kept.1.is_ok()
        };
        let ran = run::run_into(command, (call.input, call.limit), each)?;
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut kept.1, Ok(())).map_err(HostError::Keep)?;
        judged(kept.0.said().is_some(), ran)
    }
}

/// The script, with a word of ours in front on both streams.
fn marked(script: &OsStr) -> OsString {
    let mut marked = OsString::from(format!("echo; echo '{MARK} run'; {{ echo; echo '{MARK} run'; }} >&2\n"));
    marked.push(script);
    marked
}

/// What the end of such a script means.
fn judged(is_begun: bool, ran: Ran) -> Result<Ran, HostError> {
    if !is_begun {
        return Err(Ssh::unreached(ran.code, &ran.stderr));
    }
    let stderr = Past::default().feed(&ran.stderr).to_vec();
    if Ssh::is_own_failure(ran.code) { Err(HostError::lost(&stderr)) } else { Ok(Ran { stderr, ..ran }) }
}

impl Host for Ssh {
    fn run(&self, call: Call<'_>) -> Result<Ran, HostError> {
        self.call(&quote::exec(call.argv), call.input, call.limit)
    }

    fn read(&self, path: &str, max: u64) -> Result<Option<Vec<u8>>, HostError> {
        let script = format!("exec head -c {max} < {}", quote::word(OsStr::new(path)).to_string_lossy());
        let ran = self.call(OsStr::new(&script), Input::Nothing, super::run::LIMIT)?;
        Ok((ran.code == 0).then_some(ran.stdout))
    }

    fn write(&self, path: &str, input: Input, mode: &str) -> Result<bool, HostError> {
        if !mode.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(HostError::Words);
        }
        let path = quote::word(OsStr::new(path));
        // Whole or not at all: whoever looks for the name finds all of it.
        let script = format!(
            "p={}; t=\"$p.part.$$\"; umask 077; mkdir -p -- \"$(dirname -- \"$p\")\" && cat > \"$t\" && \
             chmod {mode} \"$t\" && {{ sync \"$t\" 2> /dev/null || sync; }} && mv -f -- \"$t\" \"$p\"",
            path.to_string_lossy()
        );
        Ok(self.call(OsStr::new(&script), input, super::run::LIMIT)?.code == 0)
    }

    fn there(&self, argv: &[OsString]) -> Result<Vec<OsString>, HostError> {
        self.argv(&quote::exec(argv), true)
    }
}

/// What ssh's words mean; those of the last OpenSSH versions, and nothing is concluded from others.
fn trouble(words: &str) -> Trouble {
    let kinds: [(Trouble, &[&str]); 4] = [
        (Trouble::Name, &["Could not resolve hostname", "Name or service not known"]),
        (Trouble::Key, &["Host key verification failed", "REMOTE HOST IDENTIFICATION HAS CHANGED"]),
        (Trouble::Denied, &["Permission denied", "Too many authentication failures"]),
        (
            Trouble::Silent,
            &[
                "Connection timed out",
                "Connection refused",
                "No route to host",
                "Network is unreachable",
                "Operation timed out",
                "Connection closed",
                "Connection reset",
                "banner exchange",
            ],
        ),
    ];
    let said = |signs: &[&str]| signs.iter().any(|sign| words.contains(sign));
    kinds.iter().find(|(_, signs)| said(signs)).map_or(Trouble::Other, |(kind, _)| *kind)
}
