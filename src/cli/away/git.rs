//! Git on this machine, for what goes there and comes back: nobody's hooks, nobody's `GIT_*`.
//!
//! It leaves out git on the other machine, which scripts call.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use super::super::detach::in_path;
use super::super::error::CliError;
use crate::host::{Call, Host, Input, Local, Ran};

/// How long git may take over a large history.
const LIMIT: Duration = Duration::from_secs(600);
/// What a repository could make git run beside what was asked.
const OVERRIDES: [&str; 7] = [
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "submodule.recurse=false",
    "fetch.recurseSubmodules=false",
    "core.alternateRefsCommand=true",
];

/// Runs git in `root`; a failure of its own is an answer.
///
/// # Errors
/// When it can't be run.
pub(super) fn ask(root: &Path, words: &[&str], input: Input) -> Result<Ran, CliError> {
    let mut argv: Vec<OsString> = vec![in_path("env").into()];
    let foreign = std::env::vars_os().map(|(name, _)| name);
    for name in foreign.filter(|name| name.as_encoded_bytes().starts_with(b"GIT_")) {
        argv.extend(["-u".into(), name]);
    }
    let fixed = ["LC_ALL=C", "GIT_TERMINAL_PROMPT=0", "GIT_NO_LAZY_FETCH=1", "GIT_ALLOW_PROTOCOL=none"];
    argv.extend(fixed.map(OsString::from));
    argv.extend([in_path("git").into(), "-C".into(), root.into()]);
    for setting in OVERRIDES {
        argv.extend(["-c".into(), setting.into()]);
    }
    argv.extend(words.iter().map(OsString::from));
    Local
        .run(Call { argv: &argv, input, limit: LIMIT })
        .map_err(|error| CliError::new("repository", format!("run `git {}`: {error}", words.join(" "))))
}

/// What git prints, without the line's end; none where it fails.
///
/// # Errors
/// When it can't be run.
pub(super) fn line(root: &Path, words: &[&str]) -> Result<Option<String>, CliError> {
    let ran = ask(root, words, Input::Nothing)?;
    Ok((ran.code == 0).then(|| String::from_utf8_lossy(&ran.stdout).trim_end().to_owned()))
}
