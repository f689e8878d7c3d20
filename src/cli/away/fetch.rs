//! The branches of a run's workers, from there to `refs/remotes/` here.
//!
//! Nothing is checked out. It leaves out what is only kept there: evidence, logs, trees.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::time::Duration;

use super::super::output;
use super::follow::is_id;
use super::link::Link;
use super::{git, place};
use crate::host::{Input, word};

/// How long they may travel.
const LIMIT: Duration = Duration::from_secs(3600);

/// Fetches those of the latest run there, unless they are here.
pub(super) fn of_latest(link: &Link, root: &Path) {
    let Ok(runs) = link.ilchul(&["runs".into(), "--json".into()], LIMIT) else { return };
    let runs: serde_json::Value = serde_json::from_slice(&runs.stdout).unwrap_or_default();
    let last = runs["data"].as_array().and_then(|runs| runs.last()?["id"].as_str());
    let Some(run) = last else { return };
    let here = git::line(root, &["for-each-ref", "--count=1", &below(&link.target.name, run)]);
    if here.is_ok_and(|found| found.is_some_and(|found| found.is_empty())) {
        branches(link, root, run);
    }
}

/// Fetches them, and says so in a line. A run that can't be fetched is no worse for it.
pub(super) fn branches(link: &Link, root: &Path, run: &str) {
    let name = &link.target.name;
    match fetched(link, root, run) {
        Ok(0) => {}
        Ok(count) => output::talk(&format!(
            "The branches of {} are fetched to `{}`.",
            crate::render::words::count(count, "worker"),
            below(name, run)
        )),
        Err(why) => output::talk(&format!("The branches of its workers stay on {name}: {why}.")),
    }
}

/// Where they are here.
fn below(name: &str, run: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_".contains(c) { c } else { '-' };
    format!("refs/remotes/{}/ilchul/{run}/", name.chars().map(plain).collect::<String>())
}

fn fetched(link: &Link, root: &Path, run: &str) -> Result<usize, String> {
    let said = |error: super::super::error::CliError| error.message;
    // The other machine's word, which becomes the name of references here.
    if !is_id(run) {
        return Err("its id is no name for branches".to_owned());
    }
    let head = git::line(root, &["rev-parse", "HEAD"]).map_err(said)?.unwrap_or_default();
    let mut script = OsString::from("cd -- ");
    script.push(place::folder(link).map_err(said)?);
    script.push(" || exit 1\nb=");
    script.push(word(OsStr::new(&format!("refs/heads/ilchul/{run}"))));
    script.push(format!("\nk={head}\n{BUNDLE}"));
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let path = folder.path().join("fetched");
    let file = std::fs::File::create(&path).map_err(|error| error.to_string())?;
    let ran = link.sh_into(&script, file, LIMIT).map_err(said)?;
    if ran.code != 0 {
        return Err(ran.words());
    }
    if std::fs::metadata(&path).map_err(|error| error.to_string())?.len() == 0 {
        return Ok(0);
    }
    let (path, to) = (path.to_string_lossy().into_owned(), below(&link.target.name, run));
    let spec = format!("refs/heads/ilchul/{run}/*:{to}*");
    let words = ["fetch", "-q", "--no-tags", "--no-write-fetch-head", &path, &spec];
    let done = git::ask(root, &words, Input::Nothing).map_err(said)?;
    if done.code != 0 {
        return Err(done.words());
    }
    let listed = git::line(root, &["for-each-ref", "--format=%(refname)", &to]).map_err(said)?;
    Ok(listed.unwrap_or_default().lines().count())
}

/// Without the history that is here already, where it is known there: but with its last commit,
/// because a branch that stands at one left out is left out itself.
const BUNDLE: &str = r#"
g() { git -c core.hooksPath=/dev/null -c core.fsmonitor=false -c gc.auto=0 "$@"; }
[ -n "$(g for-each-ref --count=1 "$b")" ] || exit 0
t=.git/ilchul-fetched.$$
g bundle create -q "$t" $(g for-each-ref --format='%(refname)' "$b/") --not $(g rev-parse -q --verify "$k^1" 2> /dev/null) || {
  e=$?; unlink "$t" 2> /dev/null; exit "$e"; }
cat "$t"; e=$?; unlink "$t"; exit "$e"
"#;
