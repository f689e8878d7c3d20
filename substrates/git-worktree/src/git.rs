//! How the `git` program is called: our git dir and work tree, nobody's hooks, a deadline.
//!
//! Only what changes a work tree or git's administration goes through here; all
//! reading is done by libgit2 or by reading files. It leaves out what a failure
//! means: the caller knows what was there before.

use crate::deadline::{Deadline, wait_for};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

/// Settings that win over every config file. Each turns off something that the
/// repository could make git run or do beside what was asked.
const OVERRIDES: [&str; 12] = [
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.untrackedCache=false",
    "core.splitIndex=false",
    "index.sparse=false",
    "gc.auto=0",
    "maintenance.auto=0",
    "submodule.recurse=false",
    "advice.detachedHead=false",
    // Measured: for a fresh checkout of 5,000 files more workers gain nothing
    // as soon as several worktrees are made at once.
    "checkout.workers=1",
    // The bytes of the tree's `.git` file are compared later: one form only.
    "worktree.useRelativePaths=false",
    "core.pager=cat",
];

/// Set for every call, after everything beginning with `GIT_` was removed: the
/// list that git itself prints as local to a repository is not enough.
const ENVIRONMENT: [(&str, &str); 6] = [
    ("GIT_TERMINAL_PROMPT", "0"),
    ("GIT_NO_LAZY_FETCH", "1"),
    ("GIT_NO_REPLACE_OBJECTS", "1"),
    ("GIT_GRAFT_FILE", "/dev/null"),
    ("GIT_ADVICE", "0"),
    ("LC_ALL", "C"),
];

/// Words of git's by which the host is to blame and not the repository.
pub(crate) const HOST_SIGNS: [&str; 4] =
    ["No space left", "Disk quota exceeded", "Cannot allocate memory", "fork"];

/// How much of what git said is kept, in bytes.
const WORDS_MAX: usize = 4096;

/// One call of git.
pub(crate) struct Call<'a> {
    pub(crate) git_dir: &'a Path,
    pub(crate) work_tree: &'a Path,
    pub(crate) args: &'a [&'a OsStr],
    /// More settings, as key and value, for keys that may hold any character.
    pub(crate) settings: &'a [(OsString, &'static str)],
    pub(crate) limit: Duration,
}

/// Why a call didn't succeed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It couldn't be started or read.
    Start(std::io::Error),
    /// It ran longer than allowed and was ended by us, with all that it started.
    Hung(Duration),
    /// It ended by itself, unhappily; its words, made printable.
    Exit(String),
}

impl Failure {
    pub(crate) fn words(&self) -> String {
        match self {
            Self::Start(error) => format!("`git` couldn't be started: {error}"),
            Self::Hung(limit) => {
                format!("`git` didn't end within {:.1} s and was ended", limit.as_secs_f64())
            }
            Self::Exit(words) => words.clone(),
        }
    }

    /// The host's trouble rather than the repository's.
    pub(crate) fn is_the_hosts(&self) -> bool {
        match self {
            Self::Start(_) | Self::Hung(_) => true,
            Self::Exit(words) => HOST_SIGNS.iter().any(|sign| words.contains(sign)),
        }
    }
}

/// Runs git to its end or to the limit.
pub(crate) fn run(program: &Path, call: &Call<'_>) -> Result<(), Failure> {
    let mut child = command(program, call).spawn().map_err(Failure::Start)?;
    let deadline = Deadline::after(call.limit);
    let mut said = Vec::new();
    let ended = listen(&mut child, deadline, &mut said).map_err(Failure::Start)?;
    match ended {
        Some(status) if status.success() => Ok(()),
        Some(status) => Err(Failure::Exit(printable(&said, status))),
        None => {
            end(&mut child);
            Err(Failure::Hung(call.limit))
        }
    }
}

/// The words of a call after the program's name.
pub(crate) fn words(call: &Call<'_>) -> Vec<OsString> {
    let mut words: Vec<OsString> = Vec::new();
    for setting in OVERRIDES {
        words.extend(["-c".into(), setting.into()]);
    }
    words.extend([joined("--git-dir=", call.git_dir), joined("--work-tree=", call.work_tree)]);
    words.extend(call.args.iter().map(OsString::from));
    words
}

/// The variables of a call, for an environment from which everything beginning with `GIT_` was
/// removed.
pub(crate) fn variables(call: &Call<'_>) -> Vec<(OsString, OsString)> {
    let mut variables: Vec<(OsString, OsString)> =
        ENVIRONMENT.iter().map(|(name, value)| (name.into(), value.into())).collect();
    // By environment and not by `-c`: a filter's name may hold `=`.
    variables.push(("GIT_CONFIG_COUNT".into(), call.settings.len().to_string().into()));
    for (index, (key, value)) in call.settings.iter().enumerate() {
        variables.push((format!("GIT_CONFIG_KEY_{index}").into(), key.clone()));
        variables.push((format!("GIT_CONFIG_VALUE_{index}").into(), value.into()));
    }
    variables
}

fn command(program: &Path, call: &Call<'_>) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        if name.as_encoded_bytes().starts_with(b"GIT_") {
            command.env_remove(name);
        }
    }
    command.envs(variables(call)).args(words(call));
    // `/`, so that a relative PATH entry can't find a `git` inside a repository.
    // A group of its own: Ctrl-C is for us, and a hung git ends with its helpers.
    command.current_dir("/").process_group(0);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

fn joined(option: &str, path: &Path) -> OsString {
    let mut text = OsString::from(option);
    text.push(path);
    text
}

/// Collects what git says until it has ended; `None` when time is up first.
fn listen(child: &mut Child, deadline: Deadline, said: &mut Vec<u8>) -> std::io::Result<Option<ExitStatus>> {
    let Some(mut pipe) = child.stderr.take() else {
        return wait_for(deadline.left(), || child.try_wait().transpose()).transpose();
    };
    let mut buffer = [0_u8; 4096];
    loop {
        // In slices: something that git left running may hold the pipe open for ever.
        let slice = deadline.left().min(Duration::from_millis(50));
        let timeout = PollTimeout::try_from(slice).unwrap_or(PollTimeout::ZERO);
        let ready = {
            let mut fds = [PollFd::new(pipe.as_fd(), PollFlags::POLLIN)];
            match poll(&mut fds, timeout) {
                Ok(count) => count > 0,
                Err(nix::errno::Errno::EINTR) => false,
                Err(errno) => return Err(errno.into()),
            }
        };
        if ready {
            let count = pipe.read(&mut buffer)?;
            if count == 0 {
                return wait_for(deadline.left(), || child.try_wait().transpose()).transpose();
            }
            let room = WORDS_MAX.saturating_sub(said.len()).min(count);
            said.extend_from_slice(&buffer[..room]);
        } else if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if deadline.left().is_zero() {
            return Ok(None);
        }
    }
}

/// Ends the child's whole group. KILL and not TERM: on TERM git tidies up, and
/// what is half made shall be found and named instead.
fn end(child: &mut Child) {
    // Not reaped yet, so the number can't be anybody else's.
    if let Ok(pgid) = i32::try_from(child.id()) {
        assert!(pgid > 1, "a process group above 1");
        let _ = killpg(Pid::from_raw(pgid), Signal::SIGKILL);
    }
    let _ = child.wait();
}

/// Git's words on one line, control characters spelled out: they end on terminals.
fn printable(said: &[u8], status: ExitStatus) -> String {
    let text = String::from_utf8_lossy(said);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    if lines.is_empty() {
        return format!("`git` ended with {status} and said nothing");
    }
    let plain = |c: char| if c.is_control() { c.escape_unicode().to_string() } else { c.to_string() };
    lines.join("; ").chars().map(plain).collect()
}

/// The program's name where no other is given.
pub(crate) fn default_program() -> PathBuf {
    PathBuf::from("git")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(script: &str, limit: Duration) -> Result<(), Failure> {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("git");
        std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let args = [OsStr::new("read-tree")];
        run(&program, &Call { git_dir: dir.path(), work_tree: dir.path(), args: &args, settings: &[], limit })
    }

    #[test]
    fn a_hung_git_is_ended_with_all_that_it_started() {
        // The second sleep keeps the pipe open: ending only the first would wait for it.
        let failure = call("sleep 1000 & sleep 1000", Duration::from_millis(100)).unwrap_err();
        assert!(matches!(failure, Failure::Hung(_)), "{failure:?}");
        assert!(failure.is_the_hosts());
    }

    #[test]
    fn what_git_leaves_running_does_not_hold_us() {
        assert!(call("sleep 3 & exit 0", Duration::from_secs(60)).is_ok());
    }

    #[test]
    fn words_of_git_reach_nobody_with_control_characters() {
        let failure =
            call("printf 'fatal: \\033[31mred\\n\\nmore\\n' >&2; exit 128", Duration::from_secs(60));
        assert_eq!(failure.unwrap_err().words(), "fatal: \\u{1b}[31mred; more");
    }

    #[test]
    fn no_more_than_the_stated_amount_is_kept_of_a_flood() {
        let failure = call("head -c 1000000 /dev/zero | tr '\\0' x >&2; exit 1", Duration::from_secs(60));
        assert_eq!(failure.unwrap_err().words().len(), WORDS_MAX);
    }

    #[test]
    fn a_program_that_is_not_there_is_the_hosts_trouble() {
        let args = [OsStr::new("x")];
        let here = Path::new("/");
        let call = Call {
            git_dir: here,
            work_tree: here,
            args: &args,
            settings: &[],
            limit: Duration::from_secs(1),
        };
        let failure = run(Path::new("/nonexistent/git"), &call).unwrap_err();
        assert!(matches!(failure, Failure::Start(_)) && failure.is_the_hosts());
    }
}
