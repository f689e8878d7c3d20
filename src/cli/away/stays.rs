//! What of a checkout doesn't travel with its commit, said before anything goes there.
//!
//! It leaves out bringing it there by another way.

use std::path::Path;

use super::super::output;
use super::super::place::Place;
use super::git;
use super::link::Link;
use crate::host::Input;
use crate::render::words::list;

/// How many paths are named.
const NAMED: usize = 5;
/// How a submodule begins in a list of the index.
const SUBMODULE: &str = "160000 ";

/// Says it.
pub(super) fn told(link: &Link, place: &Place, root: &Path) {
    if let Some(paths) = place.repository.uncommitted(root).ok().and_then(|paths| some(&paths)) {
        output::talk(&format!("Not sent, because uncommitted: {paths}."));
    }
    let name = &link.target.name;
    if let Some(paths) = some(&submodules(root)) {
        output::talk(&format!(
            "Submodules don't travel, and are empty folders on {name}: {paths}. The workflow's `setup` can fill them there (`git submodule update --init`)."
        ));
    }
    if let Some(paths) = some(&tracked(root, &["--", ":(attr:filter=lfs)"])) {
        output::talk(&format!(
            "Files of Git LFS don't travel, and are their pointers on {name}: {paths}. Use a clone there that has them (`--host {name}:FOLDER`), or let the workflow's `setup` fetch them."
        ));
    }
}

/// The first of them, and how many more there are; none where there are none.
fn some(paths: &[String]) -> Option<String> {
    let mut named: Vec<String> = paths.iter().take(NAMED).cloned().collect();
    let more = paths.len().saturating_sub(NAMED);
    if more > 0 {
        named.push(format!("{more} more"));
    }
    (!named.is_empty()).then(|| list(&named))
}

/// Those of the checkout, with those that nobody declared.
fn submodules(root: &Path) -> Vec<String> {
    let entries = tracked(root, &["-s"]);
    let path = |entry: &String| Some(entry.strip_prefix(SUBMODULE)?.split_once('\t')?.1.to_owned());
    entries.iter().filter_map(path).collect()
}

/// What git lists of the index. What it can't list keeps nobody from going there.
fn tracked(root: &Path, words: &[&str]) -> Vec<String> {
    let Ok(ran) = git::ask(root, &[&["ls-files", "-z"][..], words].concat(), Input::Nothing) else {
        return Vec::new();
    };
    let text = String::from_utf8_lossy(&ran.stdout);
    text.split('\0').filter(|path| ran.code == 0 && !path.is_empty()).map(str::to_owned).collect()
}
