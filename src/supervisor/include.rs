//! What a fresh worktree is given of the main checkout: untracked files, found by patterns.
//!
//! Two lists ask for them. `setup.include` names paths, folders and globs from the root on,
//! of anything that isn't tracked. `.worktreeinclude` has the syntax of `.gitignore`, and
//! gives only what git ignores. Links are neither followed nor copied, folders with a git
//! of their own are left alone. It leaves out the copying (`graft.rs`) and every approval.

use std::path::Path;

use globset::{GlobBuilder, GlobMatcher};
use ilchul_git_worktree::{GitWorktree, Standing};

/// The file with patterns at a repository's root.
pub const LISTED: &str = ".worktreeinclude";
/// Entries that are looked at for one tree; beyond them a pattern is too wide.
const VISITED_MAX: usize = 1_000_000;
/// Files that one tree is given.
const FILES_MAX: usize = 50_000;
/// Bytes of them together.
pub(super) const BYTES_MAX: u64 = 8 << 30;
/// Folders within each other.
const DEPTH_MAX: usize = 128;
/// Folders that are never part of it.
const OWN: [&str; 2] = [".git", ".ilchul"];

/// A file that a tree would be given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Relative to the checkout.
    pub path: String,
    /// As it was looked at.
    pub bytes: u64,
    /// Git ignores it: else it counts as the worker's own change.
    pub ignored: bool,
}

/// What the two lists find, in the order of their paths.
///
/// # Errors
/// In words: a pattern that can't be used, more than may be copied, what the system says.
pub fn find(repository: &GitWorktree, include: &[String], listed: &str) -> Result<Vec<Found>, String> {
    let rules = Rules::new(include, listed)?;
    if rules.is_empty() {
        return Ok(Vec::new());
    }
    let mut walk = Walk { rules: &rules, candidates: Vec::new(), visited: 0 };
    walk.folder(repository.main_checkout(), "", (false, false), 0)?;
    walk.candidates.sort_by(|one, other| one.path.cmp(&other.path));
    let paths: Vec<&str> = walk.candidates.iter().map(|one| one.path.as_str()).collect();
    let standings = repository.standing(&paths).map_err(|error| super::launch::words(&error))?;
    let wanted = walk.candidates.into_iter().zip(standings).filter_map(|(one, standing)| {
        let ignored = standing == Standing::Ignored;
        let wanted = standing != Standing::Tracked && (one.included || ignored);
        wanted.then_some(Found { path: one.path, bytes: one.bytes, ignored })
    });
    let found: Vec<Found> = wanted.collect();
    let bytes = found.iter().fold(0_u64, |sum, one| sum.saturating_add(one.bytes));
    if found.len() > FILES_MAX || bytes > BYTES_MAX {
        return Err(format!(
            "{} files with {bytes} bytes are to be copied into each tree; at most {FILES_MAX} files and {BYTES_MAX} bytes may be",
            found.len()
        ));
    }
    Ok(found)
}

/// A file that some pattern names; whether git knows it isn't looked at yet.
struct Candidate {
    path: String,
    bytes: u64,
    /// Named by `setup.include`, which asks for untracked files as well.
    included: bool,
}

/// One pattern.
struct Rule {
    matcher: GlobMatcher,
    /// The folders before the first wildcard: nothing outside of them can match.
    below: String,
    negated: bool,
    folders_only: bool,
}

impl Rule {
    fn new(pattern: &str, negated: bool) -> Result<Self, String> {
        let folders_only = pattern.ends_with('/');
        let pattern = pattern.trim_end_matches('/').trim_start_matches("./");
        let glob = GlobBuilder::new(pattern).literal_separator(true).backslash_escape(true).build();
        let glob = glob.map_err(|error| format!("`{pattern}` isn't a pattern: {}", error.kind()))?;
        let plain = |part: &&str| !part.contains(['*', '?', '[', '{', '\\']);
        let below = pattern.split('/').take_while(plain).collect::<Vec<_>>().join("/");
        Ok(Self { matcher: glob.compile_matcher(), below, negated, folders_only })
    }

    fn matches(&self, path: &str, folder: bool) -> bool {
        (folder || !self.folders_only) && self.matcher.is_match(path)
    }

    /// Whether something in `folder` may match.
    fn reaches(&self, folder: &str) -> bool {
        is_below(folder, &self.below) || is_below(&self.below, folder)
    }
}

fn is_below(path: &str, folder: &str) -> bool {
    folder.is_empty()
        || path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

struct Rules {
    include: Vec<Rule>,
    listed: Vec<Rule>,
}

impl Rules {
    fn new(include: &[String], listed: &str) -> Result<Self, String> {
        let include = include.iter().map(|pattern| Rule::new(pattern, false));
        let listed = listed.lines().filter_map(listed_rule);
        Ok(Self { include: include.collect::<Result<_, _>>()?, listed: listed.collect::<Result<_, _>>()? })
    }

    fn is_empty(&self) -> bool {
        self.include.is_empty() && self.listed.is_empty()
    }

    fn includes(&self, path: &str, folder: bool) -> bool {
        self.include.iter().any(|rule| rule.matches(path, folder))
    }

    /// The last line that matches decides, as in a `.gitignore`.
    fn lists(&self, path: &str, folder: bool) -> bool {
        let last = self.listed.iter().rev().find(|rule| rule.matches(path, folder));
        last.is_some_and(|rule| !rule.negated)
    }

    fn reach(&self, folder: &str) -> bool {
        self.include.iter().chain(&self.listed).any(|rule| !rule.negated && rule.reaches(folder))
    }
}

/// One line of `.worktreeinclude`; none for a comment or a blank one.
fn listed_rule(line: &str) -> Option<Result<Rule, String>> {
    let line = line.strip_suffix('\r').unwrap_or(line);
    // A space at the end counts only behind a backslash.
    let line = if line.ends_with("\\ ") { line } else { line.trim_end() };
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let (line, negated) = line.strip_prefix('!').map_or((line, false), |rest| (rest, true));
    // A slash before the end ties a pattern to the root; without one it matches in any folder.
    let tied = line.trim_end_matches('/').contains('/');
    let pattern = match line.strip_prefix('/') {
        Some(rest) => rest.to_owned(),
        None if tied => line.to_owned(),
        None => format!("**/{line}"),
    };
    Some(Rule::new(&pattern, negated))
}

struct Walk<'r> {
    rules: &'r Rules,
    candidates: Vec<Candidate>,
    visited: usize,
}

impl Walk<'_> {
    /// Looks through one folder; `inside` says which of the lists named a folder around it.
    fn folder(&mut self, root: &Path, at: &str, inside: (bool, bool), depth: usize) -> Result<(), String> {
        let here = root.join(at);
        let fail = |error: std::io::Error| format!("look through `{}`: {error}", here.display());
        let mut entries: Vec<_> = std::fs::read_dir(&here).and_then(Iterator::collect).map_err(fail)?;
        entries.sort_by_key(std::fs::DirEntry::file_name);
        for entry in entries {
            self.visited += 1;
            if self.visited > VISITED_MAX {
                return Err(format!(
                    "more than {VISITED_MAX} entries would have to be looked at: name folders"
                ));
            }
            // What isn't text can be named by no pattern, and is reported by nobody.
            let Ok(name) = entry.file_name().into_string() else { continue };
            let kind = entry.file_type().map_err(fail)?;
            let path = if at.is_empty() { name.clone() } else { format!("{at}/{name}") };
            if kind.is_dir() && !OWN.contains(&name.as_str()) {
                let inside = self.judge(&path, true, inside);
                let wanted = inside.0 || inside.1 || self.rules.reach(&path);
                let another_git = || entry.path().join(".git").symlink_metadata().is_ok();
                if wanted && depth < DEPTH_MAX && !another_git() {
                    self.folder(root, &path, inside, depth + 1)?;
                }
            } else if kind.is_file() {
                let (included, listed) = self.judge(&path, false, inside);
                if included || listed {
                    let bytes = entry.metadata().map_err(fail)?.len();
                    self.candidates.push(Candidate { path, bytes, included });
                }
            }
        }
        Ok(())
    }

    fn judge(&self, path: &str, folder: bool, inside: (bool, bool)) -> (bool, bool) {
        (inside.0 || self.rules.includes(path, folder), inside.1 || self.rules.lists(path, folder))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Which of some files the lists name, git's word aside.
    fn named(include: &[&str], listed: &str) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        let files = [
            ".env",
            "sub/.env",
            "sub/deep/.env",
            "config/a.local",
            "config/b.txt",
            "certs/x/key.pem",
            "build/out/a.o",
            ".git/config",
            ".ilchul/report.json",
            "vendor/.git",
            "vendor/.env",
            "a b",
        ];
        for file in files {
            let path = dir.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, file).unwrap();
        }
        std::os::unix::fs::symlink(".env", dir.path().join("link.env")).unwrap();
        std::os::unix::fs::symlink("/etc", dir.path().join("certs/etc")).unwrap();
        let include: Vec<String> = include.iter().map(|one| (*one).to_owned()).collect();
        let rules = Rules::new(&include, listed).unwrap();
        let mut walk = Walk { rules: &rules, candidates: Vec::new(), visited: 0 };
        walk.folder(dir.path(), "", (false, false), 0).unwrap();
        walk.candidates.sort_by(|one, other| one.path.cmp(&other.path));
        walk.candidates.into_iter().map(|one| one.path).collect()
    }

    #[test]
    fn an_include_names_a_path_a_folder_or_a_glob_from_the_root_on() {
        assert_eq!(named(&[".env"], ""), [".env"]);
        assert_eq!(named(&["./config"], ""), ["config/a.local", "config/b.txt"]);
        assert_eq!(named(&["config/*.local", "certs/"], ""), ["certs/x/key.pem", "config/a.local"]);
        assert_eq!(named(&["**/.env"], ""), [".env", "sub/.env", "sub/deep/.env"]);
        assert_eq!(named(&["*/.env"], ""), ["sub/.env"]);
        assert_eq!(named(&["nothing"], ""), [""; 0]);
    }

    #[test]
    fn a_list_has_the_syntax_of_a_gitignore() {
        assert_eq!(named(&[], "# secrets\n\n.env\n"), [".env", "sub/.env", "sub/deep/.env"]);
        assert_eq!(named(&[], "/.env  \r\n"), [".env"]);
        assert_eq!(named(&[], ".env\n!sub/.env"), [".env", "sub/deep/.env"]);
        assert_eq!(named(&[], "deep/"), ["sub/deep/.env"]);
        assert_eq!(named(&[], "x"), ["certs/x/key.pem"]);
        assert_eq!(named(&[], ".env/"), [""; 0]);
        assert_eq!(named(&[], "a\\ b\nconfig/*\n!*.txt"), ["a b", "config/a.local"]);
        assert_eq!(
            named(&[], "build\n!build/out/a.o"),
            ["build/out/a.o"],
            "what lies in a named folder stays named"
        );
        assert!(Rules::new(&[], "a[").is_err());
    }

    #[test]
    fn links_other_repositories_and_gits_own_folders_are_left_alone() {
        let all = named(&["**"], "*");
        assert!(
            all.iter().all(|path| !path.starts_with(".git/") && !path.starts_with(".ilchul/")),
            "{all:?}"
        );
        assert!(all.iter().all(|path| !path.starts_with("vendor/")), "{all:?}");
        assert!(!all.iter().any(|path| path == "link.env" || path.starts_with("certs/etc")), "{all:?}");
        assert_eq!(all.len(), 8, "{all:?}");
    }
}
