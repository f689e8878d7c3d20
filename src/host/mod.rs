//! A machine to run programs on: this one, or one behind ssh with a link that is kept open.
//!
//! Whatever the login shell there is, and whatever its files print, the words of a call arrive
//! as they are. It leaves out what is run: a host knows nothing of runs.

mod local;
mod past;
mod pump;
mod quote;
mod run;
mod ssh;

use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::time::Duration;

pub use local::Local;
pub use past::{MARK, Past};
pub use pump::Pump;
pub use quote::{line, word};
pub use ssh::{Ssh, Trouble, control_folder, is_name};

/// What a program finds on its standard input.
#[derive(Debug, Default)]
pub enum Input {
    /// Nothing.
    #[default]
    Nothing,
    /// These bytes.
    Bytes(Vec<u8>),
    /// What the file holds, from where it stands.
    File(File),
}

/// One call of a program.
#[derive(Debug)]
pub struct Call<'a> {
    /// The program and its arguments, without a shell.
    pub argv: &'a [OsString],
    /// What it reads.
    pub input: Input,
    /// After this time it is given up; what it asked for may be done all the same.
    pub limit: Duration,
}

/// How a program ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ran {
    /// Its exit code; -1 after a signal.
    pub code: i32,
    /// What it printed.
    pub stdout: Vec<u8>,
    /// What it complained of, cut at a bound.
    pub stderr: Vec<u8>,
}

impl Ran {
    /// What it complained of in one line: the last one, which is the reason more often than not.
    #[must_use]
    pub fn words(&self) -> String {
        gist(&self.stderr)
    }
}

/// The last line of a complaint that says something, without control characters.
#[must_use]
pub fn gist(bytes: &[u8]) -> String {
    last_line(bytes).unwrap_or_else(|| "it said nothing".to_owned())
}

/// The same; none where nothing is said. A mark is our own word, and no complaint.
fn last_line(bytes: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(bytes);
    let says = |line: &&str| !line.is_empty() && !line.starts_with(MARK);
    let last = text.lines().map(str::trim).rfind(says)?;
    Some(last.chars().filter(|c| !c.is_control()).take(300).collect())
}

/// Why nobody knows how a program ended.
#[derive(Debug)]
pub enum HostError {
    /// The program, or the `ssh` in front of it, can't be started here.
    Start(std::io::Error),
    /// It didn't end in time.
    Late(Duration),
    /// The machine wasn't reached: nothing was run.
    Unreached(Trouble, String),
    /// The link broke while it ran.
    Lost(String),
    /// The words of the call are longer than a command line may be, or hold a NUL.
    Words,
    /// It printed more than is kept of an output.
    Long,
    /// What it printed can't be kept here.
    Keep(std::io::Error),
}

impl HostError {
    /// The link broke, and these are ssh's last words, if it had any.
    #[must_use]
    pub fn lost(words: &[u8]) -> Self {
        Self::Lost(last_line(words).unwrap_or_else(|| "it was cut".to_owned()))
    }
}

impl fmt::Display for HostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start(error) => write!(f, "{error}"),
            Self::Late(limit) => write!(f, "no answer within {} s", limit.as_secs()),
            Self::Unreached(_, words) | Self::Lost(words) => f.write_str(words),
            Self::Words => f.write_str("its arguments are too long, or hold a NUL"),
            Self::Long => write!(f, "it printed more than {} MiB", run::OUTPUT_MAX >> 20),
            Self::Keep(error) => write!(f, "what it printed can't be kept here: {error}"),
        }
    }
}

impl std::error::Error for HostError {}

/// A machine.
pub trait Host {
    /// Runs a program to its end.
    ///
    /// # Errors
    /// Where nobody knows how it ended; an exit code of its own is no error.
    fn run(&self, call: Call<'_>) -> Result<Ran, HostError>;

    /// The bytes of a file, `max` of them at most; none where it can't be read.
    ///
    /// # Errors
    /// As [`Host::run`].
    fn read(&self, path: &str, max: u64) -> Result<Option<Vec<u8>>, HostError>;

    /// Puts a whole file there or none, for its owner only; `mode` in octal digits. `false`
    /// where it can't be written.
    ///
    /// # Errors
    /// As [`Host::run`].
    fn write(&self, path: &str, input: Input, mode: &str) -> Result<bool, HostError>;

    /// What a person runs on a terminal here to run `argv` on a terminal there.
    ///
    /// # Errors
    /// [`HostError::Words`].
    fn there(&self, argv: &[OsString]) -> Result<Vec<OsString>, HostError>;
}

#[cfg(test)]
mod tests;
