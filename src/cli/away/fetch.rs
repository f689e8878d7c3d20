//! The branches of a run's workers, from there to `refs/remotes/` here.
//!
//! Nothing is checked out. It leaves out what is only kept there: evidence, logs, trees.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::time::Duration;

use super::super::error::CliError;
use super::super::{output, place as here};
use super::link::Link;
use super::seal::SEAL;
use super::tale::is_id;
use super::{git, place, runs};
use crate::host::{Input, word};

/// How long they may travel.
const LIMIT: Duration = Duration::from_secs(3600);
/// How many of the commits that are known on both sides are told there: a line has its bounds.
const KNOWN: usize = 500;

/// Fetches those of the latest run there.
pub(super) fn of_latest(link: &Link, root: &Path, words: &[OsString]) {
    if let Ok(Some(run)) = runs::latest(link, words) {
        branches(link, root, &run);
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

/// How many of them are new here, or moved.
fn fetched(link: &Link, root: &Path, run: &str) -> Result<usize, String> {
    // The other machine's word, which becomes the name of references here.
    if !is_id(run) {
        return Err("its id is no name for branches".to_owned());
    }
    let (from, to) = (format!("refs/heads/ilchul/{run}/"), below(&link.target.name, run));
    let listed =
        link.sh_within(&script(link, &[("b", &from)], LIST)?, Input::Nothing, LIMIT).map_err(said)?;
    if listed.code != 0 {
        return Err(listed.words());
    }
    let there = refs(&listed.stdout);
    let format = "--format=%(objectname) %(refname)";
    let here = git::ask(root, &["for-each-ref", format, &to], Input::Nothing).map_err(said)?;
    let here: BTreeMap<String, String> = refs(&here.stdout).into_iter().collect();
    let mut news = Vec::new();
    for (name, id) in &there {
        let Some(short) = name.strip_prefix(&from) else { continue };
        let name = format!("{to}{short}");
        if here.get(&name) != Some(id) {
            news.push((name, id));
        }
    }
    let missing = missing(root, there.values())?;
    if news.iter().any(|(_, id)| missing.contains(*id)) {
        let head = git::line(root, &["rev-parse", "HEAD"]).map_err(said)?;
        let known = there.values().filter(|id| !missing.contains(*id)).take(KNOWN);
        let known: Vec<&str> = head.iter().chain(known).map(String::as_str).collect();
        bring(link, root, (&from, &known.join(" ")))?;
    }
    let repository = here::find(None).map_err(said)?.repository;
    for (name, id) in &news {
        repository.note_remote(name, id).map_err(|error| error.to_string())?;
    }
    Ok(news.len())
}

/// Brings what stands below `from` there, without what stands at `known`. No URL is named to
/// git here: settings of the repository rewrite them, and name what to run for them.
fn bring(link: &Link, root: &Path, (from, known): (&str, &str)) -> Result<(), String> {
    let script = script(link, &[("b", from), ("k", known)], BUNDLE)?;
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let path = folder.path().join("fetched");
    // Into a file: branches may be larger than any output that is kept.
    let file = std::fs::File::create(&path).map_err(|error| error.to_string())?;
    let ran = link.sh_into(&script, file, LIMIT).map_err(said)?;
    if ran.code != 0 {
        return Err(ran.words());
    }
    let words = ["bundle", "unbundle", &path.to_string_lossy()];
    let done = git::ask(root, &words, Input::Nothing).map_err(said)?;
    if done.code == 0 { Ok(()) } else { Err(done.words()) }
}

/// Those of `ids` that aren't here.
fn missing<'i>(root: &Path, ids: impl Iterator<Item = &'i String>) -> Result<BTreeSet<String>, String> {
    let ids: String = ids.map(|id| format!("{id}^{{commit}}\n")).collect();
    let words = ["cat-file", "--batch-check"];
    let found = git::ask(root, &words, Input::Bytes(ids.into_bytes())).map_err(said)?;
    let found = String::from_utf8_lossy(&found.stdout).into_owned();
    let missing = found.lines().filter_map(|line| line.strip_suffix("^{commit} missing"));
    Ok(missing.map(str::to_owned).collect())
}

/// References by name, from lines of an id and a name.
fn refs(bytes: &[u8]) -> BTreeMap<String, String> {
    let text = String::from_utf8_lossy(bytes);
    let pairs = text.lines().filter_map(|line| line.split_once(' '));
    let is_id = |id: &str| id.len() == 40 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_name = |name: &str| name.chars().all(|c| !c.is_whitespace() && !c.is_control());
    let pairs = pairs.filter(|(id, name)| is_id(id) && is_name(name));
    pairs.map(|(id, name)| (name.to_owned(), id.to_owned())).collect()
}

/// A script in the folder there, with these variables.
fn script(link: &Link, set: &[(&str, &str)], text: &str) -> Result<OsString, String> {
    let mut script = OsString::from(format!("{SEAL}cd -- "));
    script.push(place::folder(link).map_err(said)?);
    script.push(" || exit 1\n");
    for (name, value) in set {
        script.push(format!("{name}="));
        script.push(word(OsStr::new(value)));
        script.push("\n");
    }
    script.push(text);
    Ok(script)
}

fn said(error: CliError) -> String {
    error.message
}

const LIST: &str = r#"
sealed
echo "$(g rev-parse -q --verify 'HEAD^{commit}') HEAD"
g for-each-ref --format='%(objectname) %(refname)' "$b"
"#;
/// Branches at commits that are known here are left out by git: they need no objects.
const BUNDLE: &str = r#"
sealed
t=.git/ilchul-fetched.$$
not=
for id in $k; do g cat-file -e "$id^{commit}" 2> /dev/null && not="$not ^$id"; done
g bundle create -q "$t" $(g for-each-ref --format='%(refname)' "$b") $not || { e=$?; unlink "$t" 2> /dev/null; exit "$e"; }
cat "$t"; e=$?; unlink "$t"; exit "$e"
"#;
