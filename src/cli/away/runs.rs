//! Which runs there are on the other machine, as its own `runs` tells.
//!
//! It leaves out what is in them.

use std::ffi::OsString;
use std::time::Duration;

use serde_json::Value;

use super::super::error::CliError;
use super::link::Link;

/// How long a large journal there may take to be read.
const LIMIT: Duration = Duration::from_secs(120);

/// Its runs, oldest first, in the home that the words of a command name; none where it can't tell.
fn all(link: &Link, words: &[OsString]) -> Result<Vec<Value>, CliError> {
    let mut asked = home(words);
    asked.extend(["runs".into(), "--json".into()]);
    let ran = link.ilchul(&asked, LIMIT)?;
    let mut said: Value = serde_json::from_slice(&ran.stdout).unwrap_or_default();
    Ok(said["data"].as_array_mut().map(std::mem::take).unwrap_or_default())
}

/// The id of the latest one.
///
/// # Errors
/// When the machine isn't reached, or has no such folder or program.
pub(super) fn latest(link: &Link, words: &[OsString]) -> Result<Option<String>, CliError> {
    Ok(all(link, words)?.last().and_then(|run| run["id"].as_str()).map(str::to_owned))
}

/// Whether a supervisor drives one of them.
///
/// # Errors
/// As [`latest`].
pub(super) fn is_one_driven(link: &Link, words: &[OsString]) -> Result<bool, CliError> {
    Ok(all(link, words)?.iter().any(|run| run["state"] == "running"))
}

/// The words that name a home.
fn home(words: &[OsString]) -> Vec<OsString> {
    let is_home = |word: &OsString| word.as_encoded_bytes().starts_with(b"--home");
    let Some(at) = words.iter().position(is_home) else { return Vec::new() };
    let count = if words[at] == "--home" { 2 } else { 1 };
    words.iter().skip(at).take(count).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_home_is_the_one_that_the_command_names() {
        let check = |given: &str, expected: &str| {
            let words: Vec<OsString> = given.split(' ').map(OsString::from).collect();
            assert_eq!(home(&words).join(std::ffi::OsStr::new(" ")), expected);
        };
        check("up --new", "");
        check("--home h up", "--home h");
        check("up --home=h x.yaml", "--home=h");
    }
}
