//! The trampoline:
//! `ilchul shim --exec [--tty PATH | --session] [--env FILE] [--parent PID] -- ARGV...`.
//!
//! A new session with a controlling terminal, or an end that comes with the parent's, has to be
//! asked for inside the child; doing it here, in a process of its own, needs no `pre_exec` and so no `unsafe`.
//! It leaves out everything after the exec.

use super::terminal::open_terminal;
use super::{ShimError, say, system};
use crate::mail;
use nix::sys::signal::{SigSet, Signal};
use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The exit code of what TERM ended.
const TERMINATED: i32 = 143;

/// What the arguments ask for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Order {
    tty: Option<OsString>,
    /// A session of its own and no terminal at all.
    session: bool,
    env: Option<PathBuf>,
    /// Whose end, however it comes, is to be the program's as well.
    parent: Option<u32>,
    argv: Vec<OsString>,
}

/// Becomes `ARGV`; answers only when it can't: 127 for a program that isn't there, else 126.
pub(super) fn run(args: &[OsString]) -> Result<i32, ShimError> {
    let order = read(args)?;
    let mut command = Command::new(&order.argv[0]);
    command.args(&order.argv[1..]);
    if let Some(file) = &order.env {
        add_variables(&mut command, file)?;
    }
    if let Some(path) = &order.tty {
        take_terminal(path)?;
    }
    if order.session {
        nix::unistd::setsid().map_err(system("begin a session"))?;
    }
    if let Some(parent) = order.parent
        && !end_with(parent).map_err(system("end with the parent"))?
    {
        return Ok(TERMINATED);
    }
    // What was blocked stays blocked across an exec.
    SigSet::empty().thread_set_mask().map_err(system("unblock signals"))?;
    // Answers only when it has failed; from here on the program is somebody else's.
    let error = command.exec();
    let code = if error.kind() == std::io::ErrorKind::NotFound { 127 } else { 126 };
    say(&ShimError::System("start the program", error));
    Ok(code)
}

/// Asks for TERM at the parent's end, which holds across an exec and for no child; `false` where
/// that end has come already.
fn end_with(parent: u32) -> Result<bool, nix::Error> {
    nix::sys::prctl::set_pdeathsig(Signal::SIGTERM)?;
    Ok(u32::try_from(nix::unistd::getppid().as_raw()).is_ok_and(|now| now == parent))
}

fn read(args: &[OsString]) -> Result<Order, ShimError> {
    let mut order = Order::default();
    let mut rest = args.iter();
    while let Some(word) = rest.next() {
        let mut value = || rest.next().cloned().ok_or(ShimError::Usage("an option of `--exec` has no value"));
        match word.to_str() {
            Some("--tty") => order.tty = Some(value()?),
            Some("--session") => order.session = true,
            Some("--env") => order.env = Some(value()?.into()),
            Some("--parent") => {
                let text = value()?;
                let pid = text.to_str().and_then(|text| text.parse().ok());
                order.parent = Some(pid.ok_or(ShimError::Usage("`--parent` takes a pid"))?);
            }
            Some("--") => {
                order.argv = rest.cloned().collect();
                break;
            }
            None | Some(_) => {
                return Err(ShimError::Usage(
                    "`--exec` takes `--tty` or `--session`, `--env`, `--parent` and, after `--`, a program",
                ));
            }
        }
    }
    if order.session && order.tty.is_some() {
        return Err(ShimError::Usage("`--exec` takes either `--tty` or `--session`"));
    }
    if order.argv.is_empty() {
        return Err(ShimError::Usage("`--exec` has no program after `--`"));
    }
    Ok(order)
}

/// Variables that may be secret come in a file that only its owner can read, and only once.
fn add_variables(command: &mut Command, file: &Path) -> Result<(), ShimError> {
    let bytes = mail::read_regular(file)?;
    rustix::fs::unlink(file).map_err(system("remove the file of variables"))?;
    let variables: std::collections::BTreeMap<String, String> =
        serde_json::from_slice(&bytes).map_err(system("read the file of variables"))?;
    let is_name = |name: &str| !name.is_empty() && !name.contains(['=', '\0']);
    if variables.iter().any(|(name, value)| !is_name(name) || value.contains('\0')) {
        return Err(ShimError::Usage("the file of variables holds a name or a value that can't be one"));
    }
    // Added and not put in place of ours: the file holds only what may not be seen.
    command.envs(variables);
    Ok(())
}

fn take_terminal(path: &OsStr) -> Result<(), ShimError> {
    // Only a session without a terminal can take one, and only its leader.
    nix::unistd::setsid().map_err(system("begin a session"))?;
    let terminal = open_terminal(path).map_err(system("open the terminal"))?;
    rustix::process::ioctl_tiocsctty(&terminal).map_err(system("take the terminal"))?;
    rustix::stdio::dup2_stdin(&terminal).map_err(system("use the terminal"))?;
    rustix::stdio::dup2_stdout(&terminal).map_err(system("use the terminal"))?;
    rustix::stdio::dup2_stderr(&terminal).map_err(system("use the terminal"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(words: &[&str]) -> Option<Order> {
        read(&words.iter().map(OsString::from).collect::<Vec<_>>()).ok()
    }

    #[test]
    fn everything_after_the_dashes_is_the_program() {
        let found = order(&["--tty", "/dev/pts/1", "--env", "f", "--", "a", "--tty", "--"]).unwrap();
        let argv = ["a", "--tty", "--"].iter().map(OsString::from).collect();
        assert_eq!(
            found,
            Order { tty: Some("/dev/pts/1".into()), env: Some("f".into()), argv, ..Order::default() }
        );
        assert_eq!(order(&["--parent", "7", "--", "a"]).unwrap().parent, Some(7));
        assert!(order(&["--session", "--", "a"]).unwrap().session);
    }

    #[test]
    fn anything_else_is_refused() {
        for words in [
            &[][..],
            &["--"],
            &["a"],
            &["--tty"],
            &["--tty", "x"],
            &["--other", "--", "a"],
            &["--parent", "x", "--", "a"],
            &["--session", "--tty", "x", "--", "a"],
        ] {
            assert!(order(words).is_none(), "{words:?}");
        }
    }
}
